#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: left out of `make test-fast`
# Container images from a registry that misbehaves: what is refused, what is asked for a token, what the lock pins.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031,SC2016 # variables of the library, messages with backticks

load ../lib/faults

app=files.invalid/lab/app version=v3.22.0

setup_file() {
	start_fault_server
	echo 'a chart' >"$faults/files/chart.tgz"
	python3 "$top/tests/lib/make-images.py" "$faults/files"
	echo x >"$faults/files/token"
	cat >>"$BATS_FILE_TMPDIR/data/configs/catalogue.yaml" <<-EOT
		images:
		  - {name: $app, version: helm, tag: "{version}"}
		  - {name: files.invalid/lab/relay, version: helm, tag: "{version}", when: hubble.relay.enabled}
		  - {name: files.invalid/lab/vip, version: helm, tag: "{version}", for: [vip]}
	EOT
}

teardown_file() {
	stop_fault_server
}

# The cluster wants the app alone.
setup() {
	enter_fault_test
	: >>"$faults/log"
	write_cluster os: "  base: $BATS_FILE_TMPDIR/base.img" "  sha256: $(digest_of "$BATS_FILE_TMPDIR/base.img")" \
		'airgap: true' 'cilium: {hubble: {relay: false, ui: false}}'
	image good
}

# lock_files: pins all that is no image.
lock_files() {
	write_lock
	lock_entry chart $chart_version "$faults/files/chart.tgz"
}

# image WHICH: the lock pins this one; sets index, manifest and layer.
image() {
	local _
	read -r _ index manifest layer < <(grep "^$1 " "$faults/files/images")
	{
		lock_files
		printf 'images:\n  - {name: %s, tag: %s, digest: "%s"}\n' "$app" "$version" "$index"
	} >pibuild.lock
}

# tag WHICH: what the registry has under the tag.
tag() {
	local digest
	digest=$(grep "^$1 " "$faults/files/images" | cut -d' ' -f2)
	cp "$faults/files/$digest" "$faults/files/$version"
}

object() { echo "cache/objects/${1:7:2}/${1#sha256:}"; }

# Everything in the cache is what its name says.
cache_is_sound() {
	local f
	for f in $(objects); do
		[ "$(digest_of "$f")" = "${f##*/}" ] || return 1
	done
}

# lacking DIGEST: all is in the cache but this.
lacking() {
	fetch >/dev/null
	rm "$(object "$1")"
}

# ---- what is fetched ----

@test "fetch brings index, arm64 manifest, config and layer of an image, and nothing of other platforms" {
	run fetch
	[ "$status" -eq 0 ]
	[[ "$output" == *"$app:$version"*downloaded* ]]
	for d in "$index" "$manifest" "$layer"; do [ -f "$(object "$d")" ]; done
	grep -q 'arm64' "$(object "$manifest")" || zcat "$(object "$layer")" | grep -aq arm64
	refute grep -lq amd64 "$(object "$layer")"
	# thing, other, index, manifest, config, layer
	[ "$(objects | wc -l)" -eq 6 ]
	cache_is_sound
}

@test "a second fetch of an image needs no network" {
	fetch >/dev/null
	before=$(requests)
	run fetch --offline
	[ "$status" -eq 0 ]
	[[ "$output" == *"$app:$version"*cached* ]]
	[ "$(requests)" -eq "$before" ]
}

@test "images of Docker's types are fetched as those of OCI's" {
	image docker
	fetch >/dev/null
	[ -f "$(object "$layer")" ]
}

@test "an image that the cluster has switched off is not fetched" {
	[ "$("$PIBUILD" plan --json 2>/dev/null | jq -r '.images[].name')" = "$app" ]
}

@test "without airgap no image is asked for" {
	write_cluster os: "  base: $BATS_FILE_TMPDIR/base.img" "  sha256: $(digest_of "$BATS_FILE_TMPDIR/base.img")"
	fetch >/dev/null
	[ "$(grep -c "/$token/.*/v2/" "$faults/log")" -eq 0 ]
}

@test "plan tells which images are there and which are to come" {
	"$PIBUILD" plan --cache cache | grep -q "$app:$version .*${index:7:12} .*to download"
	fetch >/dev/null
	"$PIBUILD" plan --cache cache | grep -q "$app:$version .*in the cache"
	rm "$(object "$layer")"
	"$PIBUILD" plan --cache cache | grep -q "$app:$version .*to download"
}

@test "--offline lists the images that are missing together with the files" {
	fails 1 "$app:$version index" fetch --offline
	[[ "$output" == *"thing $thing_version"* && "$output" == *'3 downloads are not in the cache'* ]]
	lacking "$layer"
	fails 1 "$app:$version layer 1 of 1" fetch --offline
}

# ---- wrong bytes ----

@test "an index, a manifest or a layer with wrong bytes is refused and not kept" {
	for part in "$index" "$manifest" "$layer"; do
		from ok
		lacking "$part"
		from wrong
		fails 4 "expected ${part#sha256:}" fetch
		[ ! -e "$(object "$part")" ]
		cache_is_sound
	done
}

@test "a layer that is cut goes on where it stopped" {
	lacking "$layer"
	from cut-once
	fetch >/dev/null
	cache_is_sound
	[ -f "$(object "$layer")" ]
}

@test "an empty layer and one that is longer than the manifest says are refused" {
	for how in empty one-more; do
		from ok
		lacking "$layer"
		from "$how"
		fails 4 "$app:$version layer 1 of 1" fetch
		[ ! -e "$(object "$layer")" ]
	done
}

@test "a second mirror with the right bytes makes up for a first with wrong ones" {
	from wrong ok
	fetch >/dev/null
	[ -f "$(object "$layer")" ]
	cache_is_sound
}

@test "a document that was damaged in the cache is fetched anew" {
	fetch >/dev/null
	chmod u+w "$(object "$manifest")" && echo '{}' >"$(object "$manifest")"
	fetch >/dev/null
	cache_is_sound
}

# ---- images that are none for a card ----

# refused WHICH WHY
refused() {
	image "$1"
	fails 4 "$2" fetch
	[[ "$output" == *"$app:$version"* ]]
	rm -rf cache
}

@test "an image without linux/arm64 is refused" {
	refused no-arm64 'it has no variant for linux/arm64'
}

@test "an image of schema 1, a single manifest and a web page are no index" {
	refused schema1 'schema 1'
	refused manifest-only "its type is 'application/vnd.oci.image.manifest.v1+json'"
	refused html 'no JSON object'
}

@test "an index that is a manifest at once, or names a part by a path, is refused" {
	refused both 'an index and a manifest at once'
	refused path-digest 'named by no sha256 digest'
}

@test "101 layers and layers that lie elsewhere are refused" {
	refused many-layers 'more than 100 layers'
	refused foreign-layer 'is not used'
}

@test "a download of an index stops at 4 MiB" {
	image huge
	fails 1 'larger than the limit of 4.0 MiB' fetch
	[ "$(objects | wc -l)" -eq 0 ]
}

# ---- tokens ----


# from_registry CASE: only what is of a registry goes wrong; files come from where they do.
from_registry() {
	PIBUILD_MIRRORS=$(
		for part in thing other; do mirror_line "$port" "ok/$token" "$faults/ca.pem" | sed "s|invalid/\"|invalid/$part/\"|; s|/\", ca|/$part/\", ca|"; done
		mirror_line "$port" "$1/$token" "$faults/ca.pem" | sed 's|invalid/"|invalid/v2/"|; s|/", ca|/v2/", ca|'
		printf -- '- {from: "https://auth.invalid/", to: "https://127.0.0.1:%s/hand-out/", caFile: "%s"}\n' "$twin" "$faults/ca.pem"
	)
	export PIBUILD_MIRRORS
}

# asked PATH: requests of this test below PATH, with the request headers that tell who asks.
asked() {
	grep "^/$1/$token/" "$faults/log" || true
}

@test "a registry that wants a token gets one that was asked for without credentials" {
	from_registry token
	fetch >/dev/null
	cache_is_sound
	[ -f "$(object "$layer")" ]
	asked hand-out | grep -q '/token?service=a%20registry&scope=repository%3Alab%2Fapp%3Apull '
	[ "$(asked hand-out | grep -c Authorization)" -eq 0 ]
	# One for all parts of the image, and for nothing else.
	[ "$(asked hand-out | wc -l)" -eq 1 ]
	[ "$(asked token | grep -c Authorization)" -eq 4 ]
	[ "$(asked ok | grep -c Authorization)" -eq 0 ]
}

@test "the token may come from another host, which is reached as mirrors say" {
	from_registry token-elsewhere
	fetch >/dev/null
	[ -f "$(object "$layer")" ]
	[ "$(asked hand-out | grep -c Authorization)" -eq 0 ]
}

@test "a token is not told to the host a registry redirects to" {
	from_registry token-moved
	fails 1 "$app:$version index" fetch
	[ "$(asked token-moved | grep -c Authorization)" -ge 1 ]
	[ "$(asked moved | wc -l)" -ge 1 ]
	[ "$(asked moved | grep -c Authorization)" -eq 0 ]
}

@test "a realm that is not https is refused and never asked" {
	from_registry token-http
	fails 1 'only https:// addresses are used' fetch
	[ "$(asked hand-out | wc -l)" -eq 0 ]
	from_registry token-file
	fails 1 "'file:///etc/passwd' for a token" fetch
	[ "$(objects | wc -l)" -eq 0 ]
}

@test "a registry that wants a password is no registry for us" {
	from_registry password
	fails 1 'wants a login' fetch
}

@test "a token that helps nothing is asked for twice at most" {
	from_registry token-useless
	fails 1 'wants a login' fetch
	[ "$(asked other-token | wc -l)" -le 2 ]
}

@test "a realm that gives no token, or one that is none, ends in an error that says so" {
	from_registry token-none
	fails 1 "$app:$version index" fetch
	from_registry token-odd
	fails 1 "$app:$version index" fetch
	from_registry token-long
	fails 1 "no token from 127.0.0.1:$port: its answer is too long" fetch
	[ "$(objects | wc -l)" -eq 0 ]
}

# ---- lock ----

pinned() { sed -n '/^images:/,$s/.*digest: *//p' pibuild.lock | tr -d '"'; }

# digest WHICH: of its index.
digest() { grep "^$1 " "$faults/files/images" | cut -d' ' -f2; }

@test "lock asks the registry for the digest behind a tag, and a second time for nothing" {
	lock_files >pibuild.lock
	tag docker
	fails 4 "$app $version: the lock has no such container image" "$PIBUILD" lock --check
	"$PIBUILD" lock >out
	grep -q "^added *$app *$version" out
	[ "$(pinned | sort -u)" = "$(digest docker)" ]
	grep -q "source: \"\?https://files.invalid/v2/lab/app/manifests/$version" pibuild.lock
	"$PIBUILD" lock --check
	PIBUILD_MIRRORS='' "$PIBUILD" lock --offline | grep -q "^kept *$app"
	fetch >/dev/null
}

@test "lock --update NAME shows that a tag was moved" {
	lock_files >pibuild.lock
	tag good
	"$PIBUILD" lock >/dev/null
	"$PIBUILD" lock --update "$app" | grep -q "^confirmed *$app"
	tag docker
	run "$PIBUILD" lock --update "$app" --json
	[ "$status" -eq 0 ]
	jq -e ".images[] | select(.name == \"$app\") | .state == \"changed\" and \"sha256:\" + .was == \"$(digest good)\"" <<<"$output"
	[ "$(pinned | head -1)" = "$(digest docker)" ]
}

@test "lock refuses what is no index with an image for us" {
	lock_files >pibuild.lock
	before=$(cat pibuild.lock)
	for what in no-arm64 schema1 html manifest-only; do
		tag "$what"
		fails 4 "$app:$version" "$PIBUILD" lock
		[ "$(cat pibuild.lock)" = "$before" ]
	done
}

@test "lock leaves the registry alone without airgap, and keeps what it knows" {
	sed -i '/^airgap/d' cluster.yaml
	"$PIBUILD" lock >out
	grep -q "^kept *$app *$version" out
	[[ "$(pinned)" == "$index"* ]]
	lock_files >pibuild.lock
	"$PIBUILD" lock >out
	[ "$(grep -c "$app" out)" -eq 0 ]
	[ "$(grep -c "/$token/.*/v2/" "$faults/log")" -eq 0 ]
}

@test "the image of cluster.vip is pinned without airgap too, and its pod names it so" {
	sed -i '/^airgap/d; s/^  name: lab/&\n  vip: 192.168.1.10/' cluster.yaml
	lock_files >pibuild.lock
	tag docker
	"$PIBUILD" check 2>&1 | grep -q "note: versions.helm: the lock has no digest of the container image files.invalid/lab/vip:$version"
	fails 4 "files.invalid/lab/vip $version: the lock has no such container image" "$PIBUILD" lock --check
	fails 4 "the lock does not pin the container images files.invalid/lab/vip:$version: run \`pibuild lock --cache cache\`" "$PIBUILD" build --cache cache
	"$PIBUILD" lock >out
	grep -q "^added *files.invalid/lab/vip *$version" out
	[ "$(grep -c "$app" out)" -eq 0 ]
	"$PIBUILD" lock --check
	"$PIBUILD" render --node cp-1 -o tree >/dev/null
	grep -q "image: \"\?files.invalid/lab/vip:$version@$(digest docker)\"\?$" tree/var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml
	# Nothing of it is fetched; on an air-gapped card it lies in the archive, where it is known by its tag.
	fetch >/dev/null
	[ ! -e "$(object "$(digest docker)")" ]
	echo 'airgap: true' >>cluster.yaml
	"$PIBUILD" render --node cp-1 -o airgap >/dev/null
	grep -q "image: \"\?files.invalid/lab/vip:$version\"\?$" airgap/var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml
	"$PIBUILD" plan --json | jq -e '[.images[].name] | index("files.invalid/lab/vip") != null'
}

@test "an image that the lock does not pin is a note of check and stops a fetch" {
	lock_files >pibuild.lock
	"$PIBUILD" check 2>&1 | grep -q "note: .*the lock has no digest of the container image $app:$version"
	fails 4 "the lock does not pin the container images $app:$version: run \`pibuild lock --cache cache\`" fetch
	[ ! -d cache ] || [ "$(objects | wc -l)" -eq 0 ]
}

@test "a digest that is none, an image that is none and a twin are faults of the lock, with their line" {
	sed -i 's/digest: "sha256:.*"/digest: sha256:abc/' pibuild.lock
	fails 3 "images[0].digest: 'sha256:abc' cannot be used: give sha256: and 64 hexadecimal digits" "$PIBUILD" plan
	for name in ../etc/passwd cilium files.invalid/../x files.invalid/Lab 'files.invalid/a b'; do
		image good
		sed -i "s|name: $app|name: \"$name\"|" pibuild.lock
		fails 3 "is no container image" "$PIBUILD" plan
	done
	image good
	tail -1 pibuild.lock >>pibuild.lock
	fails 3 "is there already, in line" "$PIBUILD" plan
}

@test "a digest that the lock lacks is a note of check where the artifact has its use alone" {
	local lacks='the lock has no digest of'
	PIBUILD_DATA=$top
	write_cluster 'versions: {certManager: v1.21.0, gatewayAPI: v1.6.0}' 'cilium: {gatewayAPI: false}'
	"$PIBUILD" check --lock "$top/configs/pibuild.lock" 2>off
	refute grep "$lacks" off
	write_cluster 'versions: {certManager: v1.21.0, gatewayAPI: v1.6.0}' 'cilium: {gatewayAPI: true}' 'certManager: {enabled: true, email: a@example.org}'
	"$PIBUILD" check --lock "$top/configs/pibuild.lock" 2>on || cat on
	grep -q "$lacks gateway-api v1.6.0" on
	grep -q "$lacks cert-manager-chart v1.21.0" on
}

@test "a Cilium whose images the lock does not know is a note of check, and fetch asks for a lock" {
	PIBUILD_DATA=$top
	write_cluster 'airgap: true' 'versions: {cilium: 1.20.1}'
	run "$PIBUILD" check --lock "$top/configs/pibuild.lock"
	[ "$status" -eq 0 ]
	[[ "$output" == *'note: versions.cilium: the lock has no digest of the container image quay.io/cilium/cilium-envoy; run `pibuild lock'* ]]
	fails 4 'does not pin' fetch --lock "$top/configs/pibuild.lock"
}

@test "every image of the shipped catalogue is in the shipped lock, for each version of Cilium" {
	export PIBUILD_DATA=$top
	for set in '1.20.0, gatewayAPI: v1.6.1' '1.19.6, gatewayAPI: v1.4.1, k3s: v1.35.8+k3s1' '1.18.12, gatewayAPI: v1.4.1, k3s: v1.35.8+k3s1'; do
		write_cluster 'airgap: true' "versions: {cilium: $set}"
		run "$PIBUILD" lock --check --lock "$top/configs/pibuild.lock" --json
		[[ "$output" == *'"images"'* ]]
		[ "$(jq '[.images[] | select(.state != "kept")] | length' <<<"${output%%pibuild:*}")" -eq 0 ]
		[ "$(jq '.images | length' <<<"${output%%pibuild:*}")" -eq 12 ]
	done
}
