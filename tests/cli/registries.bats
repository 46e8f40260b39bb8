#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The registries section: what is refused, what K3s reads on the card, and what preflight asks.

load ../lib/first-boot

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	export TOKEN=dckr_pat_canary
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=lan -out lan.pem 2>/dev/null
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=other -out other.pem 2>/dev/null
}

cluster() {
	write_cluster "$@"
}

refused() {
	cluster "${@:2}"
	one_fault "$1"
}

noted() {
	cluster "${@:2}"
	streams "$PIBUILD" check
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	[[ "$stderr" == *"note: $1"* ]] || { printf 'not said: %s\n%s\n' "$1" "$stderr"; return 1; }
}

# rendered NODE: what K3s reads there, as JSON
rendered() {
	rm -rf card
	"$PIBUILD" render --node "$1" --show-secrets -o card >/dev/null 2>err || { cat err; return 1; }
	python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1])), sort_keys=True))' card/etc/rancher/k3s/registries.yaml
}

mirror='registries: {mirrors: ['

@test "mirrors, certificates and accounts are what K3s reads, on every node the same, root's alone" {
	cluster 'registries:' '  mirrors:' '    - {from: docker.io, to: ["https://mirror.gcr.io", "https://zot.lan:5000/v2/hub"], caFile: lan.pem}' \
		'    - {from: "*", to: ["https://zot.lan:5000/v2/all"]}' '  auth:' '    - {registry: "zot.lan:5000", username: me, password: {env: TOKEN}}'
	rendered cp-1 >cp-1
	[ "$(stat -c %a card/etc/rancher/k3s/registries.yaml)" = 600 ]
	cmp card/etc/rancher/k3s/registry-ca/0.pem lan.pem
	rendered w-1 | cmp cp-1 -
	jq -e '.mirrors == {"docker.io": {endpoint: ["https://mirror.gcr.io", "https://zot.lan:5000/v2/hub"]}, "*": {endpoint: ["https://zot.lan:5000/v2/all"]}}
		and .configs == {"mirror.gcr.io": {tls: {ca_file: "/etc/rancher/k3s/registry-ca/0.pem"}},
			"zot.lan:5000": {tls: {ca_file: "/etc/rancher/k3s/registry-ca/0.pem"}, auth: {username: "me", password: "dckr_pat_canary"}}}' cp-1
	refute grep -q embedded-registry card/etc/rancher/k3s/config.yaml
}

@test "without the section there is no such file, and with masks no password in it" {
	cluster
	"$PIBUILD" render --node cp-1 -o card >/dev/null
	[ ! -e card/etc/rancher/k3s/registries.yaml ]
	cluster 'registries: {auth: [{registry: docker.io, username: me, password: {env: TOKEN}}]}'
	rm -rf card && "$PIBUILD" render --node cp-1 -o card >/dev/null
	grep -q 'password: "<masked>"' card/etc/rancher/k3s/registries.yaml
}

@test "share: servers are told, and every node asks the others for every registry" {
	cluster 'registries: {share: true}'
	[ "$(rendered cp-1)" = '{"mirrors": {"*": {}}}' ]
	grep -qx 'embedded-registry: true' card/etc/rancher/k3s/config.yaml
	[ "$(rendered w-1)" = '{"mirrors": {"*": {}}}' ]
	refute grep -q embedded-registry card/etc/rancher/k3s/config.yaml
	cluster 'registries: {share: true, mirrors: [{from: docker.io, to: ["https://mirror.gcr.io"]}]}'
	[ "$(rendered cp-1)" = '{"mirrors": {"*": {}, "docker.io": {"endpoint": ["https://mirror.gcr.io"]}}}' ]
	refused 'registries.share: K3s v1.31.3+k3s1 cannot share images yet' 'registries: {share: true}' 'versions: {k3s: v1.31.3+k3s1, certManager: v1.18.0, cilium: 1.18.0, gatewayAPI: v1.3.0}'
}

@test "registries and addresses in other forms than containerd wants are refused with theirs" {
	refused "registries.mirrors[0].from: 'https://docker.io' cannot be used: give the registry as it stands before an image's name" "$mirror{from: 'https://docker.io', to: ['https://a.lan']}]}"
	refused "registries.mirrors[0].from: 'docker' cannot be used: a registry has a dot or a port in its name" "$mirror{from: docker, to: ['https://a.lan']}]}"
	refused "registries.mirrors[0].from: 'registry-1.docker.io' cannot be used: images of Docker Hub are called docker.io/...; write docker.io" "$mirror{from: registry-1.docker.io, to: ['https://a.lan']}]}"
	refused "registries.mirrors[0].to[0]: 'http://a.lan' cannot be used: give an https:// address" "$mirror{from: docker.io, to: ['http://a.lan']}]}"
	refused "registries.mirrors[0].to[0]: 'https://me:x@a.lan' cannot be used" "$mirror{from: docker.io, to: ['https://me:x@a.lan']}]}"
	refused 'registries.mirrors[0].to: there is nothing in it; give an address' "$mirror{from: docker.io, to: []}]}"
	refused "registries.mirrors[0].caFile: 'none.pem' cannot be used: " "$mirror{from: docker.io, to: ['https://a.lan'], caFile: none.pem}]}"
	refused 'registries.auth[0].username: ' 'registries: {auth: [{registry: docker.io, username: "a:b", password: {env: TOKEN}}]}'
	refused 'registries.auth[0].password: a secret must not be written here' 'registries: {auth: [{registry: docker.io, username: me, password: dckr_pat_canary}]}'
	[[ "$stderr" != *dckr_pat_canary* ]]
	refused "registries.auth[0].password: " 'registries: {auth: [{registry: docker.io, username: me, password: {env: NOT_SET_ANYWHERE}}]}'
}

@test "what contradicts itself is refused with both places" {
	refused 'registries.mirrors[1].from: docker.io has its mirrors in mirrors[0] already; add to that list' "$mirror{from: docker.io, to: ['https://a.lan']}, {from: docker.io, to: ['https://b.lan']}]}"
	refused 'registries.mirrors[0].to[1]: stands there twice; remove one' "$mirror{from: docker.io, to: ['https://a.lan', 'https://a.lan']}]}"
	refused 'registries.mirrors[0].to[0]: this is the registry itself' "$mirror{from: ghcr.io, to: ['https://ghcr.io']}]}"
	refused 'registries.mirrors[1].caFile: a.lan has another one in registries.mirrors[0].caFile; one host has one' \
		"$mirror{from: docker.io, to: ['https://a.lan/v2/x'], caFile: lan.pem}, {from: quay.io, to: ['https://a.lan'], caFile: other.pem}]}"
	refused 'registries.auth[1].registry: ghcr.io has a user name already' 'registries: {auth: [{registry: ghcr.io, username: a, password: {env: TOKEN}}, {registry: ghcr.io, username: b, password: {env: TOKEN}}]}'
	noted 'registries.mirrors[0].to[0]: the path is taken as it is, and a registry answers below /v2; is it https://a.lan/v2/hub?' "$mirror{from: docker.io, to: ['https://a.lan/hub']}]}"
}

@test "an overlay's registries.yaml beside the section is refused; without the section it is the node's" {
	cluster "$mirror{from: docker.io, to: ['https://a.lan']}]}"
	mkdir -p overlays/common/etc/rancher/k3s && echo 'mirrors: {}' >overlays/common/etc/rancher/k3s/registries.yaml
	streams "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$stderr" == *'cluster.yaml has registries, and there is one such file'* ]]
	cluster
	"$PIBUILD" check -q
}

# --- preflight

with_mirrors() {
	write_cluster 'registries: {mirrors: [{from: docker.io, to: ["https://a.lan:5000", "https://b.lan"]}]}'
}

# asked: what preflight tried to reach, a line each
asked() {
	sort -u card/asked 2>/dev/null
}

# bats test_tags=slow
@test "preflight asks the mirrors instead of the registry, at their ports, and one of them will do" {
	export MAKE=with_mirrors
	card
	[ "$(sed -n 's/^registries //p' card/etc/pibuild/node)" = 'a.lan:5000,b.lan quay.io' ]
	echo 'console=tty1' >card/proc/cmdline
	echo yes >card/synchronized
	program getent 'echo "192.0.2.1 STREAM"'
	program bash 'echo "$3:$4" >>"$PIBUILD_ROOT/asked"; [ "$3" != a.lan ]'
	step preflight
	[ "$(asked)" = $'a.lan:5000\nb.lan:443\nquay.io:443' ]
	[ ! -e card/run/pibuild/notes/network ]
}

# bats test_tags=slow
@test "mirrors that do not answer are named with their port, and waited for as registries are" {
	export MAKE=with_mirrors
	card
	echo 'console=tty1' >card/proc/cmdline
	echo yes >card/synchronized
	program getent 'echo "192.0.2.1 STREAM"'
	program bash '[ "$3" = quay.io ]'
	tick "$(leap 120 380)"
	step preflight
	grep -qx 'cause b.lan, where container images come from, cannot be reached (TCP 443)' card/run/pibuild/notes/network
}

# bats test_tags=slow
@test "with a proxy mirrors are asked through it, but for those that noProxy names by domain or network" {
	card '  proxy: {http: "http://192.0.2.9:3128", noProxy: [.lan, 198.51.100.0/24]}' \
		'registries: {mirrors: [{from: docker.io, to: ["https://a.lan:5000", "https://198.51.100.5", "https://198.51.101.5", "https://out.example:8443"]}]}'
	echo 'console=tty1' >card/proc/cmdline
	echo yes >card/synchronized
	program getent 'echo "192.0.2.1 STREAM"'
	program bash 'echo "$3:$4 ${5:-}" >>"$PIBUILD_ROOT/asked"' '[ "$3" = 192.0.2.9 ] || exit 1' \
		'case ${5:-} in 198.51.101.5:443) echo 403 ;; out.example:8443 | quay.io:443) echo 200 ;; esac'
	step preflight
	[ "$(grep -v '3128 $' card/asked)" = 'a.lan:5000 
198.51.100.5:443 
192.0.2.9:3128 198.51.101.5:443
192.0.2.9:3128 out.example:8443
192.0.2.9:3128 quay.io:443' ]
	[ ! -e card/run/pibuild/notes/network ]
}
