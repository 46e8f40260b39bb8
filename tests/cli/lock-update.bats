#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: a server of channels for every case
# pibuild lock --update: where newer versions come from, which are taken, and what is refused.
# shellcheck disable=SC2154,SC2034,SC2016 # variables of the library, those of jq

load ../lib/faults

setup_file() {
	start_fault_server
	for file in crds.yaml issuer.tgz os.img.xz; do echo "$file" >"$faults/files/$file"; done
	python3 "$top/tests/lib/make-images.py" "$faults/files"
	{
		sed '/^artifacts:/,$d' "$BATS_FILE_TMPDIR/data/configs/catalogue.yaml"
		channels
		sed -n '/^artifacts:/,$p' "$BATS_FILE_TMPDIR/data/configs/catalogue.yaml"
		more_artifacts
	} >"$BATS_FILE_TMPDIR/catalogue"
	mv "$BATS_FILE_TMPDIR/catalogue" "$BATS_FILE_TMPDIR/data/configs/catalogue.yaml"
}

teardown_file() {
	stop_fault_server
}

setup() {
	enter_fault_test
	write_cluster
	rm pibuild.lock
	write_documents
}

# As in the shipped catalogue, from our server.
channels() {
	cat <<-'EOT2'
		channels:
		  cilium:
		    form: text
		    url: https://files.invalid/cilium.txt
		    releases: {form: helm-index, url: "https://files.invalid/index.yaml", name: chart}
		  certManager: {form: helm-index, url: "https://files.invalid/index.yaml", name: issuer}
		  k3s: {form: k3s, url: "https://files.invalid/channels.json", name: stable}
		  gatewayAPI: {form: github, url: "https://files.invalid/gateway.json?per_page=100", follows: cilium}
		  helm: {form: github, url: "https://files.invalid/helm.json?per_page=100"}
		  raspios: {form: raspios-list, url: "https://files.invalid/os_list.json"}
	EOT2
}

more_artifacts() {
	cat <<-'EOT2'
		  - name: crds
		    version: gatewayAPI
		    url: https://files.invalid/crds/{version}/crds.yaml
		    checksum: {form: sha256sum, url: "https://files.invalid/{version}/sums.txt", file: crds.yaml}
		    maxSize: 4
		    install: {as: file, path: /etc/crds.yaml, mode: "0644"}
		    for: [control-plane]
		  - name: issuer
		    version: certManager
		    url: https://files.invalid/issuer/{version}/issuer.tgz
		    checksum: {form: helm-index, url: "https://files.invalid/index.yaml", chart: issuer}
		    maxSize: 4
		    install: {as: file, path: /usr/share/issuer.tgz, mode: "0644"}
		    for: [control-plane]
		  - name: raspios
		    version: raspios
		    base: true
		    url: https://files.invalid/os/os-{version}/{version}-os.img.xz
		    checksum: {form: sha256sum, url: "https://files.invalid/{version}/sums.txt", file: "{version}-os.img.xz"}
		    maxSize: 4096
		images:
		  - {name: files.invalid/lab/proxy, version: cilium, chart: chart, values: proxy.image}
	EOT2
}

served() {
	cat >"$faults/files/$1"
}

ones=$(printf '1%.0s' {1..64}) twos=$(printf '2%.0s' {1..64})

# What upstream has: each version one step further than the tested set, and things that are no stable releases.
write_documents() {
	cat <<-EOT2 | served sums.txt
		$(digest_of "$faults/files/thing.bin")  thing.bin
		$(digest_of "$faults/files/crds.yaml")  crds.yaml
		$ones  2026-09-15-os.img.xz
	EOT2
	echo "{\"assets\": [{\"name\": \"other.bin\", \"digest\": \"sha256:$ones\"}]}" | served release.json
	chart_index 1.21.0-pre.0 1.20.1 1.20.0 1.19.7 | served index.yaml
	echo v1.20.1 | served cilium.txt
	k3s_channels v1.36.5+k3s1 v1.36.5+k3s1 v1.35.9+k3s1 | served channels.json
	github v1.7.0-rc.1 v1.7.0 v1.6.2 v1.6.1 v1.4.1 | served gateway.json
	github v4.2.4 v3.22.1 v3.22.0 | served helm.json
	os_list 2026-10-07 2026-10-06 | served os_list.json
}

chart_index() {
	printf 'apiVersion: v1\nentries:\n  issuer:\n'
	printf -- '  - {version: %s, digest: %s}\n' v1.22.0-alpha.0 "$ones" v1.21.2 "$ones" v1.21.1 "$ones"
	printf '  chart:\n'
	for version; do printf -- '  - {version: %s, digest: %s}\n' "$version" "$ones"; done
}

# k3s_channels STABLE MINOR...: as update.k3s.io answers.
k3s_channels() {
	jq -n --arg stable "$1" '{type: "collection", resourceType: "channels", data: (
		[{id: "stable", type: "channel", name: "stable", latest: $stable},
		 {id: "latest", type: "channel", name: "latest", latest: "v1.37.1+k3s1"},
		 {id: "testing", type: "channel", name: "testing", latest: "v1.38.0-rc1+k3s1"},
		 {id: "v1.0-testing", type: "channel", name: "v1.0-testing"}]
		+ [$ARGS.positional[1:][] | {type: "channel", name: sub("[.][0-9]+[+].*"; ""), latest: .}])}' --args "$@"
}

github() {
	jq -n '[$ARGS.positional[] | {tag_name: ., draft: false, prerelease: (contains("-")), assets: []}]
		+ [{tag_name: "v3.99.0", draft: true, prerelease: false}, {tag_name: "v1.6.99", draft: false, prerelease: true}]' --args "$@"
}

# os_list FOLDER-DATE FILE-DATE [FILTER]: the list of the imager, the image deep inside.
os_list() {
	jq -n --arg url "https://files.invalid/os/os-$1/$2-os.img.xz" --arg ones "$ones" --arg twos "$twos" '
		{imager: {}, os_list: [{name: "full", url: "https://files.invalid/os/full.img.xz"},
		 {name: "other", subitems: [{name: "third", subitems_url: "https://third.invalid/"}, {subitems: [
		  {name: "Lite", url: $url, image_download_size: 550466056, image_download_sha256: $ones,
		   extract_size: 3078619136, extract_sha256: $twos, release_date: "2026-10-06"}]}]}]} | '"${3:-.}"
}

lock() {
	"$PIBUILD" lock "$@"
}

# version KEY: from, to and state, from the JSON in `out`.
version() {
	jq -r --arg key "$1" '.versions[] | select(.name == $key) | "\(.from) \(.to) \(.state)"' out
}

chosen() {
	sed -n '/^versions:/,/^artifacts:/s/^  '"$1"': *//p' pibuild.lock | tr -d '"'
}

@test "every form of channel is followed, to what is stable and fits" {
	lock --update --json >out
	[ "$(version k3s)" = 'v1.36.4+k3s1 v1.36.5+k3s1 updated' ]
	[ "$(version cilium)" = '1.20.0 1.20.1 updated' ]
	[ "$(version gatewayAPI)" = 'v1.6.1 v1.6.2 updated' ]
	[ "$(version certManager)" = 'v1.21.1 v1.21.2 updated' ]
	[ "$(version helm)" = 'v3.22.0 v3.22.1 updated' ]
	[ "$(version raspios)" = '2026-09-15 2026-10-06 updated' ]
	[ "$(chosen k3s)" = v1.36.5+k3s1 ]
	[ "$(chosen cilium)" = 1.20.1 ]
	lock --check
}

@test "what the lock chose is used until it moves again" {
	lock --update >/dev/null
	lock --offline >out
	grep -q 'is up to date' out
	"$PIBUILD" plan --json | jq -e '[.artifacts[].version] | index("v1.36.5+k3s1") and index("2026-10-06")'
	lock --update --json >out
	jq -e '(.changed | not) and (.written | not) and ([.versions[].state] | unique == ["current", "held"])' out
}

@test "versions: of cluster.yaml go before those of the lock, and those before the tested set" {
	lock --update >/dev/null
	echo 'versions: {helm: v3.20.0}' >>cluster.yaml
	lock --json >out
	[ "$(version helm)" = 'v3.20.0 v3.20.0 pinned' ]
	[ "$(version k3s)" = 'v1.36.5+k3s1 v1.36.5+k3s1 kept' ]
}

@test "a version pinned in cluster.yaml stays, and the newer one is shown" {
	echo 'versions: {k3s: v1.35.8+k3s1}' >>cluster.yaml
	lock --update >out
	grep -Eq '^pinned +k3s +v1.35.8\+k3s1  newest v1.36.5\+k3s1$' out
	grep -q '^added *thing *v1.35.8+k3s1' out
	fails 2 'pins versions.k3s to v1.35.8+k3s1: change it there' lock --update k3s=v1.36.4+k3s1
}

@test "what is held back is said with both sides and the newest that fits is taken" {
	chart_index 1.21.0 1.20.3 1.20.1 1.20.0 | served index.yaml
	echo v1.21.0 | served cilium.txt
	lock --update --json >out
	[ "$(version cilium)" = '1.20.0 1.20.3 updated' ]
	jq -e '.versions[] | select(.name == "cilium") | .newest == "1.21.0" and (.held | test("pibuild knows the values and CRDs of Cilium 1.17 to 1.20, not of 1.21.0"))' out
	jq -e '.versions[] | select(.name == "gatewayAPI") | .newest == "v1.7.0" and (.held | test("Cilium 1.20.3 does not work with the Gateway API CRDs v1.7.0"))' out
}

@test "a K3s that Cilium is not tested with is not taken, the newest of another channel is" {
	k3s_channels v1.37.1+k3s1 v1.37.1+k3s1 v1.36.6+k3s1 v1.35.9+k3s1 | served channels.json
	lock --update >out
	grep -q '^updated *k3s *v1.36.4+k3s1 -> v1.36.6+k3s1  newest v1.37.1+k3s1: Cilium 1.20.1 is tested with Kubernetes 1.33 to 1.36, not with K3s v1.37.1+k3s1' out
	lock --update k3s=v1.37.1+k3s1 >out
	[ "$(chosen k3s)" = v1.37.1+k3s1 ]
}

@test "nothing goes back to an older version by itself" {
	lock --update k3s=v1.36.5+k3s1 >/dev/null
	k3s_channels v1.36.3+k3s1 v1.36.3+k3s1 | served channels.json
	lock --update --json >out
	[ "$(version k3s)" = 'v1.36.5+k3s1 v1.36.5+k3s1 current' ]
}

@test "another major version is never taken by itself" {
	echo v2.0.0 | served cilium.txt
	github v4.2.4 | served helm.json
	lock --update --json >out
	[ "$(version helm)" = 'v3.22.0 v3.22.0 held' ]
	jq -e '.versions[] | select(.name == "helm") | .held | test("`pibuild lock --update helm=v4.2.4` goes there")' out
	[ "$(version cilium)" = '1.20.0 1.20.1 updated' ]
	lock --update helm=v4.2.4 >/dev/null
	[ "$(chosen helm)" = v4.2.4 ]
}

@test "a named update moves that and what follows it, nothing else" {
	lock --update cilium --json >out
	[ "$(version cilium)" = '1.20.0 1.20.1 updated' ]
	[ "$(version gatewayAPI)" = 'v1.6.1 v1.6.2 updated' ]
	[ "$(version k3s)" = 'v1.36.4+k3s1 v1.36.4+k3s1 kept' ]
	lock --update thing --json >out
	[ "$(version k3s)" = 'v1.36.4+k3s1 v1.36.5+k3s1 updated' ]
	[ "$(version helm)" = 'v3.22.0 v3.22.0 kept' ]
}

@test "Gateway API goes where a chosen Cilium needs it, back too" {
	lock --update cilium=1.19.7 --json >out
	[ "$(version cilium)" = '1.20.0 1.19.7 updated' ]
	[ "$(version gatewayAPI)" = 'v1.6.1 v1.4.1 updated' ]
	lock --check
}

@test "a set that does not fit is refused as a whole" {
	lock
	before=$(cat pibuild.lock)
	fails 3 'Cilium 1.20.0 does not work with the Gateway API CRDs v1.4.1' lock --update gatewayAPI=v1.4.1
	echo 'versions: {gatewayAPI: v1.4.1}' >>cluster.yaml
	fails 3 'these versions do not fit, so nothing was written' lock --update
	[ "$(cat pibuild.lock)" = "$before" ]
}

@test "--dry-run shows all and writes nothing" {
	lock --update --dry-run --json >out
	jq -e '.changed and (.written | not)' out
	[ "$(version k3s)" = 'v1.36.4+k3s1 v1.36.5+k3s1 updated' ]
	lock --update --dry-run >out
	grep -q 'pibuild.lock would be written' out
	[ ! -e pibuild.lock ]
}

@test "the JSON has what an update bot needs" {
	lock --update --json >out
	jq -e '[.versions[] | has("name", "from", "to", "state", "newest", "source")] | all' out
	jq -e '.artifacts[] | select(.name == "thing") | .from == "v1.36.4+k3s1" and .version == "v1.36.5+k3s1" and .state == "updated"
		and (.sha256 | length == 64) and .url == "https://files.invalid/thing/v1.36.5%2Bk3s1/thing.bin" and .source == "https://files.invalid/v1.36.5%2Bk3s1/sums.txt"' out
	jq -e '.versions[] | select(.name == "k3s") | .source == "https://files.invalid/channels.json"' out
}

@test "Raspberry Pi OS comes with the digests of the imager's list, from the folder it names" {
	lock --update raspios
	entry=$(sed -n '/name: raspios/,/source:/p' pibuild.lock)
	[[ "$entry" == *'url: https://files.invalid/os/os-2026-10-07/2026-10-06-os.img.xz'* ]]
	[[ "$entry" == *"sha256: \"$ones\""* && "$entry" == *'size: 550466056'* ]]
	[[ "$entry" == *'size: 3078619136'* && "$entry" == *"sha256: \"$twos\""* ]]
	[[ "$entry" == *'source: https://files.invalid/os_list.json'* ]]
	lock --check
	lock --update raspios >out
	grep -q '^confirmed *raspios' out
}

# refused_document FILE MESSAGE: what stdin has is no document.
refused_document() {
	served "$1"
	fails 4 "$2" lock --update
	write_documents
}

@test "channels that are none are refused" {
	refused_document channels.json 'channels.json is no JSON' <<<'<html>'
	refused_document channels.json "has no channel 'stable'" <<<'{"data": []}'
	refused_document channels.json "'../../evil' is no release such as v1.36.4+k3s1" < <(k3s_channels ../../evil)
	refused_document channels.json "'v1.37.0-rc1+k3s1' is no release" < <(k3s_channels v1.37.0-rc1+k3s1)
	refused_document cilium.txt "is no release such as 1.20.0" < <(printf 'v1.20.1\nv1.20.2\n')
	refused_document cilium.txt "'' is no release" </dev/null
	refused_document helm.json 'names no release such as v3.22.0' < <(github v3.23.0-rc.1)
	refused_document gateway.json 'names no release' <<<'{"message": "API rate limit exceeded"}'
	[ ! -e pibuild.lock ]
}

@test "an image list that points elsewhere or states no digest is refused" {
	refused_document os_list.json 'names no release such as 2026-09-15' \
		< <(os_list 2026-10-07 2026-10-06 'walk(if type == "string" then sub("files.invalid"; "evil.invalid") else . end)')
	refused_document os_list.json 'names no release' \
		< <(os_list 2026-10-07 2026-10-06 'walk(if type == "string" then sub("/os-2026"; "/../os-2026") else . end)')
	refused_document os_list.json 'states no sound sizes and digests for https://files.invalid/os/os-2026-10-07/2026-10-06-os.img.xz' \
		< <(os_list 2026-10-07 2026-10-06 'walk(if type == "object" then del(.image_download_sha256) else . end)')
	refused_document os_list.json 'states no sound sizes' \
		< <(os_list 2026-10-07 2026-10-06 'walk(if type == "object" and .extract_size then .extract_size = -1 else . end)')
	refused_document os_list.json 'nests its lists more than 8 deep' \
		< <(os_list 2026-10-07 2026-10-06 'reduce range(12) as $i (.; .os_list = [{subitems: .os_list}])')
}

@test "documents that are too large are not read to their end" {
	head -c 2000 /dev/zero | tr '\0' 1 | served cilium.txt
	fails 1 'cilium.txt: it is larger than the limit of 1.0 KiB' lock --update cilium
}

@test "a channel that cannot be had says which, and --offline forbids it" {
	rm "$faults/files/channels.json"
	fails 1 'channels.json: it answers HTTP 404' lock --update k3s
	fails 1 'which --offline forbids' lock --update --offline
	[ ! -e pibuild.lock ]
}

@test "wishes that cannot be granted are usage errors" {
	fails 2 "k3s: 'latest' is no version such as v1.36.4+k3s1" lock --update k3s=latest
	fails 2 "'v1.36.5+k3s1/../x' is no version" lock --update thing=v1.36.5+k3s1/../x
	fails 2 "there is no artifact 'k4s', did you mean k3s?" lock --update k4s=v1.36.5+k3s1
}

@test "a lock whose versions are none is refused" {
	lock >/dev/null
	sed -i 's/^  k3s: .*/  k3s: "..\/x"/' pibuild.lock
	fails 3 'an exact version was expected here' lock
}

# chart REPOSITORY TAG: what the server has as chart of every version.
chart() {
	mkdir -p made/chart
	printf 'proxy:\n  image: {repository: "%s", tag: "%s"}\n' "$1" "$2" >made/chart/values.yaml
	tar -czf "$faults/files/chart.tgz" -C made chart
	chart_index 1.20.1 1.20.0 | sed "s/$ones/$(digest_of "$faults/files/chart.tgz")/" | served index.yaml
	cp "$faults/files/$(grep '^good ' "$faults/files/images" | cut -d' ' -f2)" "$faults/files/proxy-9"
}

@test "airgap: the chart says which image goes with it, and the lock remembers" {
	write_cluster 'airgap: true'
	chart files.invalid/lab/proxy proxy-9
	lock --update --json >out
	jq -e '.images[] | .name == "files.invalid/lab/proxy" and .version == "proxy-9" and .state == "added"' out
	grep -A1 'tag: proxy-9' pibuild.lock | grep -A1 'for:'
	before=$(cat pibuild.lock)
	lock --offline | grep -q 'is up to date'
	lock --check
	[ "$(cat pibuild.lock)" = "$before" ]
	"$PIBUILD" plan --json | jq -e '.images[].tag == "proxy-9"'
}

@test "airgap: an image that an old lock has without its chart is asked about again" {
	write_cluster 'airgap: true'
	chart files.invalid/lab/proxy proxy-9
	lock >/dev/null
	sed -i '/^  *for:/,+1d' pibuild.lock
	fails 4 'files.invalid/lab/proxy' lock --check
	lock | grep -q 'pibuild.lock written'
	lock --check
}

@test "airgap: a chart of another digest or with another image is refused" {
	write_cluster 'airgap: true'
	chart files.invalid/lab/proxy proxy-9
	echo more >>"$faults/files/chart.tgz"
	fails 4 'chart 1.20.0: expected' lock
	chart elsewhere.invalid/lab/proxy proxy-9
	fails 4 "asks for the image 'elsewhere.invalid/lab/proxy:proxy-9' at proxy.image of its values, the catalogue for files.invalid/lab/proxy" lock
	chart files.invalid/lab/proxy '../x'
	fails 4 'asks for the image' lock
	[ ! -e pibuild.lock ]
}

@test "the shipped catalogue's channels are followed in the sandbox" {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	sandbox -- "$PIBUILD" lock --update --json --lock own.lock >out
	jq -e '[.versions[] | select(.state == "current")] | length == 8' out
	jq -e '[.artifacts[].source | startswith("https://")] | all' out
	sandbox -- "$PIBUILD" lock --check --lock own.lock
}

@test "os.base: raspios-bookworm is the image of that release, by the same list" {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	write_cluster 'os: {base: raspios-bookworm}'
	"$PIBUILD" lock --check
	sandbox -- "$PIBUILD" lock --update raspios --lock own.lock
	grep -A2 'name: raspios-bookworm$' own.lock | grep -q 'raspios_oldstable_lite_arm64-2026-09-15/2026-09-15-raspios-bookworm-arm64-lite.img.xz'
	refute grep -q 'trixie' own.lock
}
