#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `check`: what is wrong with a cluster.yaml, each fault with its line, its reason and its cure.

load ../lib/image

# one_fault_each: of lines EDIT|WORDS, that cluster.yaml so edited has the one fault that these words begin.
one_fault_each() {
	local edit words
	cp cluster.yaml good.txt
	while IFS='|' read -r edit words; do
		cp good.txt cluster.yaml
		change "$edit"
		one_fault "$words"
	done
	cp good.txt cluster.yaml
}

# A valid cluster; every test breaks one thing of it.
setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK NOT_SET_ANYWHERE
	printf '%s\n' 'apiVersion: pibuild/v1' \
		'cluster:' \
		'  name: lab' \
		'  podCIDR: 10.42.0.0/16' \
		'  serviceCIDR: 10.43.0.0/16' \
		'access:' \
		'  user: pi' \
		'  sshKeys:' \
		'    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ test' \
		'  timezone: Europe/Berlin' \
		'network:' \
		'  subnet: 192.168.1.0/24' \
		'  gateway: 192.168.1.1' \
		'  nameservers: [192.168.1.1]' \
		'  dhcpRange: 192.168.1.128-192.168.1.250' \
		'loadBalancer:' \
		'  pools:' \
		'    - {name: lan, range: 192.168.1.65-192.168.1.127}' \
		'cilium:' \
		'  hubble: {relay: true, ui: true}' \
		'nodes:' \
		'  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24}' \
		'  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.12/24}' >cluster.yaml
}

# boards: the names of all, as messages list them
boards() {
	(cd "$top/boards" && printf '%s\n' *.yaml) | sed 's/[.]yaml$//' | LC_ALL=C sort | paste -sd, | sed 's/,/, /g'
}

# change EXPRESSION: with sed -E. add LINE...: at the end. values LINE...: a file of Helm values.
change() {
	LC_ALL=C sed -E -i "$1" cluster.yaml
}
add() {
	printf '%s\n' "$@" >>cluster.yaml
}
values() {
	printf '%s\n' "$@" >extra.yaml
	change 's/  hubble: .*/&\n  valuesFile: extra.yaml/'
}

# said LINE CODE: check ends with CODE, and LINE is all it says besides notes, lines of the file (tests/mistakes has these) and the count of faults.
said() {
	streams "$PIBUILD" check
	[ "$status" -eq "$2" ] || { echo "exit $status instead of $2: $stderr"; return 1; }
	[ -z "$output" ]
	[ "$(grep -v -e ': note: ' -e '^ *[0-9]* | ' -e '^pibuild: error: cluster.yaml: 1 fault, nothing was done$' <<<"$stderr")" = "$1" ] ||
		{ echo "expected: $1"; echo "$stderr"; return 1; }
}
# fault LINE: the only one, exit 3. The values file is named by its full path.
fault() {
	said "${1//@PWD@/$PWD}" 3
}
# note LINE: among what is said of a valid file, exit 0.
note() {
	streams "$PIBUILD" check
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	[[ "$output" == cluster.yaml:\ ok:* ]]
	grep -qxF -- "${1//@PWD@/$PWD}" <<<"$stderr" || { echo "expected: $1"; echo "$stderr"; return 1; }
}

# fine: nothing wrong with it; notes may be said.
fine() {
	streams "$PIBUILD" check -q
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
}

@test "a valid file is said to be so on stdout, in one line, and what next on stderr" {
	streams "$PIBUILD" check
	[ "$status" -eq 0 ]
	[ "$output" = 'cluster.yaml: ok: 2 nodes (1 control-plane, 1 worker), 1 address pool' ]
	[ "$stderr" = 'pibuild: next: `pibuild build` makes the images; `pibuild plan` says first what that takes' ]
	streams "$PIBUILD" check -q
	[ "$output" = 'cluster.yaml: ok: 2 nodes (1 control-plane, 1 worker), 1 address pool' ]
	[ -z "$stderr" ]
	"$PIBUILD" check >both 2>&1
	[[ "$(sed -n 1p both)" == 'cluster.yaml: ok: '* ]]
}

# ---- the form of the file ----

@test "a file of another version is refused" {
	change 's,pibuild/v1,pibuild/v2,'
	fault 'cluster.yaml:1:13: error: apiVersion: must be pibuild/v1: another program or another version wrote this file'
}

@test "a missing apiVersion is named" {
	change '/apiVersion/d'
	fault 'cluster.yaml:1:1: error: '\''apiVersion'\'' is missing: the version of this file'\''s form: pibuild/v1'
}

@test "a missing section is named" {
	change '/^access/,/timezone/d'
	fault 'cluster.yaml:1:1: error: '\''access'\'' is missing: who may log in, and the nodes'\'' locale'
}

@test "a missing key of a node is named" {
	change 's/, board: rpi5, address: 192.168.1.12/, address: 192.168.1.12/'
	fault 'cluster.yaml:23:5: error: nodes[1]: '\''board'\'' is missing: what the node runs on: '"$(boards | sed 's/\(.*\),/\1 or/')"
}

@test "an unknown key names the nearest known one" {
	change 's/gateway:/gatway:/; s/  subnet: .*/&\n  gateway: 192.168.1.1/'
	fault 'cluster.yaml:14:3: error: network: unknown key '\''gatway'\''; did you mean '\''gateway'\''?'
}

@test "a key of another program's file, or of another section, is answered with what does it here" {
	while IFS='|' read -r keys words; do
		cp cluster.yaml one.yaml
		printf '%s\n' "$keys" >>one.yaml
		run "$PIBUILD" check -c one.yaml
		[ "$status" -eq 3 ]
		[[ "$output" == *": error: $words"* ]] || { echo "$keys: expected $words"; echo "$output"; return 1; }
	done <<-'EOT'
		backup: {s3: {bucket: x}}|backup: unknown key 's3'; it belongs below backup.to:
		backup: {retention: 7, to: {disk: B}}|backup: unknown key 'retention'; did you mean 'keep'?
		backup: {enabled: true, to: {disk: B}}|backup: unknown key 'enabled': what stands in the file is on, what does not is off; leave it out
		hubble: {ui: false}|unknown key 'hubble': it comes with Cilium: see cilium.hubble
		backup: {to: {s3: {url: "https://a.b"}}}|backup.to.s3: unknown key 'url'; did you mean 'endpoint'?
		metallb: {}|unknown key 'metallb': Cilium gives out addresses: set loadBalancer.pools
		k3s: {version: v1.36.4+k3s1}|k3s: unknown key 'version': set versions.k3s
		k3s: {args: [--debug]}|k3s: unknown key 'args': keys of K3s go below k3s.server and k3s.agent, without the dashes
		registries: {auth: [{registry: ghcr.io, username: a, token: {env: A}}]}|registries.auth[0]: unknown key 'token'; did you mean 'password'?
		ingress: {}|unknown key 'ingress'; it belongs below cilium:
		certManager: {issuers: [letsencrypt-prod]}|certManager.issuers[0]: must be letsencrypt-staging, letsencrypt-production or ca; did you mean letsencrypt-production?
	EOT
	change 's/^network:/&\n  routes: [{to: 10.0.0.0\/8, via: 192.168.1.2}]/; s/  pools:/  addresses:/; s/  hubble: .*/  hubble: {enabled: false}/'
	run "$PIBUILD" check
	[[ "$output" == *"error: network: unknown key 'routes': a script in an overlay adds them: etc/NetworkManager/dispatcher.d/"* ]]
	[[ "$output" == *"error: loadBalancer: unknown key 'addresses'; did you mean 'pools'?"* ]]
	[[ "$output" == *"error: cilium.hubble: unknown key 'enabled': Hubble is part of Cilium here"* ]]
}

@test "an unknown key far from all names those that are known" {
	change 's/  hubble: .*/&\n  loxilb: true/'
	fault 'cluster.yaml:21:3: error: cilium: unknown key '\''loxilb'\''; known here: valuesFile, hubble, ingress, gatewayAPI; values of Cilium'\''s chart go into a file of yours: set valuesFile'
}

@test "a section that is a list is refused" {
	change 's/  hubble: .*/  hubble: [relay, ui]/'
	fault 'cluster.yaml:20:11: error: cilium.hubble: must hold keys (name: value), not a list'
}

@test "a list that is a single value is refused" {
	change 's/nameservers: .*/nameservers: 192.168.1.1/'
	fault 'cluster.yaml:14:16: error: network.nameservers: must be a list: [a, b], or one '\''- '\'' per line'
}

@test "a value that is a map is refused" {
	change 's/name: lab/name: {a: b}/'
	fault 'cluster.yaml:3:9: error: cluster.name: must be a single value (cluster name), not a map'
}

@test "a key without a value is refused" {
	change 's/name: lab/name:/'
	fault 'cluster.yaml:3:8: error: cluster.name: has no value: use 1 to 32 lower-case letters, digits and '\''-'\'', with a letter or digit at both ends (Cilium'\''s rule)'
}

@test "duplicate keys are refused with both lines" {
	change 's/  user: pi/&\n  user: me/'
	fault 'cluster.yaml:8:3: error: the key '\''user'\'' is already set in line 7; each key may stand once'
}

@test "a tab as indentation is refused" {
	change 's/^  user/\tuser/'
	fault 'cluster.yaml:7:1: error: a tab; YAML is indented with spaces'
}

@test "an alias is refused" {
	change 's/name: lab/name: *lab/'
	fault 'cluster.yaml:3:9: error: aliases (*name) are not supported; put text that starts with '\''*'\'' in quotes'
}

@test "an anchor is refused" {
	change 's/name: lab/name: \&x lab/'
	fault 'cluster.yaml:3:9: error: anchors (&name) are not supported; write the value out where it is needed'
}

@test "a merge key is refused" {
	change 's/  name: lab/&\n  <<: {a: b}/'
	fault 'cluster.yaml:4:3: error: merge keys (<<) are not supported; write the keys out'
}

@test "a tag is refused" {
	change 's/name: lab/name: !!str lab/'
	fault 'cluster.yaml:3:9: error: tags (!name) are not supported; put text that starts with '\''!'\'' in quotes'
}

@test "a second document is refused" {
	add '---' 'a: 1'
	fault 'cluster.yaml:24:1: error: a second document starts here (after ---); this file must hold one'
}

@test "an open quote is refused where it opens" {
	change 's/name: lab/name: "lab/'
	fault 'cluster.yaml:3:9: error: this quote is never closed'
}

@test "a byte order mark is refused" {
	change '1s/^/\xef\xbb\xbf/'
	fault 'cluster.yaml:1:1: error: the file starts with a byte order mark; save it as UTF-8 without BOM'
}

@test "Latin-1 is refused" {
	change 's/name: lab/name: l\xe4b/'
	fault 'cluster.yaml:3:10: error: this byte is no valid UTF-8; save the file as UTF-8'
}

# ---- values ----

@test "yes is no boolean" {
	add 'airgap: yes'
	fault 'cluster.yaml:24:9: error: airgap: '\''yes'\'' is no boolean here; write true or false'
}

@test "a quoted true is no boolean" {
	add 'airgap: "true"'
	fault 'cluster.yaml:24:9: error: airgap: must be true or false, without quotes'
}

@test "a cluster name of more than 32 characters is refused" {
	change 's/name: lab/name: a-name-that-is-much-too-long-for-cilium/'
	fault 'cluster.yaml:3:9: error: cluster.name: '\''a-name-that-is-much-too-long-for-cilium'\'' cannot be used: use 1 to 32 lower-case letters, digits and '\''-'\'', with a letter or digit at both ends (Cilium'\''s rule)'
}

@test "a node name with capitals is refused" {
	change 's/name: w-1/name: W-1/'
	fault 'cluster.yaml:23:12: error: nodes[1].name: '\''W-1'\'' cannot be used: use 1 to 63 lower-case letters, digits and '\''-'\'', with a letter or digit at both ends, no dots'
}

@test "a node name that is a role is refused" {
	change 's/name: w-1/name: worker/'
	fault 'cluster.yaml:23:12: error: nodes[1].name: '\''worker'\'' cannot be used: this name is taken by pibuild or the system; choose another'
}

@test "a role that is none is refused" {
	change 's/role: worker/role: master/'
	fault 'cluster.yaml:23:23: error: nodes[1].role: '\''master'\'' cannot be used: write '\''control-plane'\'' (it must be control-plane or worker)'
}

@test "an unknown board names the nearest and all there are" {
	change 's/role: worker, board: rpi5/role: worker, board: rpi6/'
	fault 'cluster.yaml:23:38: error: nodes[1].board: there is no board '\''rpi6'\''; boards are '"$(boards)"
}

@test "the root user is refused" {
	change 's/user: pi/user: root/'
	fault 'cluster.yaml:7:9: error: access.user: '\''root'\'' cannot be used: this is an account of the system; choose a name of your own, such as pi'
}

@test "a system group as user is refused" {
	change 's/user: pi/user: docker/; s/user: docker/user: video/'
	fault 'cluster.yaml:7:9: error: access.user: '\''video'\'' cannot be used: this is a group of the system, and a user'\''s own group has the user'\''s name; choose another'
}

@test "a user name with blanks is refused" {
	change "s/user: pi/user: 'pi x'/"
	fault 'cluster.yaml:7:9: error: access.user: '\''pi x'\'' cannot be used: use up to 32 lower-case letters, digits, '\''_'\'' and '\''-'\'', starting with a letter'
}

@test "a time zone that is a path is refused" {
	change 's,Europe/Berlin,../../etc/shadow,'
	fault 'cluster.yaml:10:13: error: access.timezone: '\''../../etc/shadow'\'' cannot be used: give a zone of the tz database, such as Europe/Berlin or UTC'
}

@test "an address without its size is refused" {
	change 's,192.168.1.12/24,192.168.1.12,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: '\''192.168.1.12'\'' cannot be used: the size of the network is missing; write 192.168.1.12/24 when that is your network'\''s'
}

@test "the network address is no node" {
	change 's,192.168.1.12/24,192.168.1.0/24,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: '\''192.168.1.0/24'\'' cannot be used: this is the network address of 192.168.1.0/24, not one of a machine'
}

@test "a subnet with host bits is refused" {
	change 's,subnet: .*,subnet: 192.168.1.1/24,'
	fault 'cluster.yaml:12:11: error: network.subnet: '\''192.168.1.1/24'\'' cannot be used: the network is 192.168.1.0/24; an address of a single machine does not go here'
}

@test "an octet above 255 is refused" {
	change 's/gateway: .*/gateway: 192.168.1.256/'
	fault 'cluster.yaml:13:12: error: network.gateway: '\''192.168.1.256'\'' cannot be used: no number of an IPv4 address is above 255; give an IPv4 address such as 192.168.1.1'
}

@test "a range upside down is refused" {
	change 's/range: .*}/range: 192.168.1.127-192.168.1.65}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: '\''192.168.1.127-192.168.1.65'\'' cannot be used: the lower address comes first; write 192.168.1.65-192.168.1.127'
}

@test "a memory size without unit is refused" {
	change 's,192.168.1.12/24,&\, memory: 4,'
	fault 'cluster.yaml:23:78: error: nodes[1].memory: '\''4'\'' cannot be used: give a size such as 512MiB or 4GiB'
}

@test "a VLAN beyond 4094 is refused" {
	change 's/  gateway: .*/&\n  vlan: 5000/'
	fault 'cluster.yaml:14:9: error: network.vlan: '\''5000'\'' cannot be used: a VLAN id is a number from 1 to 4094'
}

@test "a base that is misspelt names the nearest" {
	add 'os: {base: raspois}'
	fault 'cluster.yaml:24:12: error: os.base: '\''raspois'\'' cannot be used: it must be raspios, raspios-bookworm, debian, a path or an https:// address; did you mean raspios?'
}

@test "a base over plain http is refused" {
	add 'os: {base: "http://example.com/x.img"}'
	fault 'cluster.yaml:24:12: error: os.base: '\''http://example.com/x.img'\'' cannot be used: only https:// addresses are fetched'
}

@test "a missing base file is refused" {
	add "os: {base: /nonexistent.img.xz, sha256: $(printf %064d 0)}"
	fault 'cluster.yaml:24:12: error: os.base: '\''/nonexistent.img.xz'\'' cannot be used: /nonexistent.img.xz: No such file or directory'
}

@test "a mirror without a slash at the end is refused" {
	add 'mirrors: [{from: "https://a.org", to: "https://b.org/"}]'
	fault 'cluster.yaml:24:18: error: mirrors[0].from: '\''https://a.org'\'' cannot be used: give an https:// address that ends in '\''/'\'', without user name, '\''?'\'' or '\''#'\'''
}

@test "a missing CA file is refused" {
	add 'mirrors: [{from: "https://a.org/", to: "https://b.org/", caFile: /nonexistent.pem}]'
	fault 'cluster.yaml:24:66: error: mirrors[0].caFile: '\''/nonexistent.pem'\'' cannot be used: /nonexistent.pem: No such file or directory'
}

@test "a password instead of its hash is refused and not repeated" {
	change 's/  user: pi/&\n  passwordHash: raspberry/'
	fault 'cluster.yaml:8:17: error: access.passwordHash: this is no password hash; make one with: openssl passwd -6   (and put it in single quotes)'
}

@test "a missing key file is refused" {
	change 's,- ssh-ed25519.*,- {file: /nonexistent.pub},'
	fault 'cluster.yaml:9:7: error: access.sshKeys[0]: there is no /nonexistent.pub; make a pair of keys with: ssh-keygen -t ed25519'
}

@test "a private key file is named as such" {
	printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n' >id
	change "s,- ssh-ed25519.*,- {file: $PWD/id},"
	fault 'cluster.yaml:9:7: error: access.sshKeys[0]: @PWD@/id is a private key, which must never leave your computer; give id.pub'
}

@test "a key cut off by a paste is refused" {
	change 's/- ssh-ed25519 .*/- ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5MzBLc/'
	fault 'cluster.yaml:9:7: error: access.sshKeys[0]: the key is cut off or damaged; copy the whole line of the .pub file'
}

@test "a misspelt issuer is refused" {
	add 'certManager: {issuers: [letsencrypt]}'
	fault 'cluster.yaml:24:25: error: certManager.issuers[0]: must be letsencrypt-staging, letsencrypt-production or ca'
}

# ---- versions ----

@test "latest is no version" {
	add 'versions: {cilium: latest}'
	fault 'cluster.yaml:24:20: error: versions.cilium: '\''latest'\'' cannot be used: give one exact version such as 1.20.0, without v; a moving name would make builds differ'
}

@test "a K3s version without its suffix is refused" {
	add 'versions: {k3s: v1.36.4}'
	fault 'cluster.yaml:24:17: error: versions.k3s: '\''v1.36.4'\'' cannot be used: give one exact K3s release such as v1.36.4+k3s1; a moving name would make builds differ'
}

@test "a Cilium version with v is refused" {
	add 'versions: {cilium: v1.20.0}'
	fault 'cluster.yaml:24:20: error: versions.cilium: '\''v1.20.0'\'' cannot be used: give one exact version such as 1.20.0, without v; a moving name would make builds differ'
}

@test "Cilium and Gateway API that do not fit are refused" {
	add 'versions: {gatewayAPI: v1.4.1}'
	fault 'cluster.yaml:24:24: error: versions.gatewayAPI: Cilium 1.20.0 does not work with the Gateway API CRDs v1.4.1: its operator crashes or leaves the Gateway API off without a word; set versions.gatewayAPI: v1.6.1'
}

@test "an older Cilium asks for its own Gateway API" {
	add 'versions: {cilium: 1.19.6}'
	fault 'cluster.yaml:24:20: error: versions.cilium: Cilium 1.19.6 does not work with the Gateway API CRDs v1.6.1: its operator crashes or leaves the Gateway API off without a word; set versions.gatewayAPI: v1.4.1'
}

@test "a Cilium pibuild does not know is refused" {
	add 'versions: {cilium: 1.16.0, gatewayAPI: v1.1.0}'
	fault 'cluster.yaml:24:20: error: versions.cilium: pibuild knows the values and CRDs of Cilium 1.17 to 1.20, not of 1.16.0'
}

@test "K3s 1.37 brings CRDs that an older Cilium crashes with" {
	add 'versions: {k3s: v1.37.1+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}'
	fault 'cluster.yaml:24:17: error: versions.k3s: K3s v1.37.1+k3s1 brings Gateway API CRDs of its own (v1.6), with which the operator of Cilium 1.19.6 crashes; use Cilium 1.20 or set cilium.gatewayAPI: false'
}

@test "an ancient cert-manager is refused" {
	add 'versions: {certManager: v1.14.0}' 'certManager: {}'
	fault 'cluster.yaml:24:25: error: versions.certManager: the chart of v1.14.0 does not know the values pibuild writes; use v1.15 or later'
}

# ---- nodes ----

@test "no server is a fault" {
	change 's/role: control-plane/role: worker/'
	fault 'cluster.yaml:22:3: error: nodes: no node has role: control-plane, so there would be no API to join; make one of them a server'
}

@test "an empty list of nodes is a fault" {
	change '/  - .name: cp-1/,$d; s/^nodes:/nodes: []/'
	fault 'cluster.yaml:21:8: error: nodes: there is no node; add at least one with role: control-plane'
}

@test "two nodes of one name are refused" {
	change 's/name: w-1/name: cp-1/'
	fault 'cluster.yaml:23:12: error: nodes[1].name: '\''cp-1'\'' is taken by nodes[0]; K3s refuses a second node of the same name'
}

@test "two nodes of one address are refused" {
	change 's,192.168.1.12/24,192.168.1.11/24,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: 192.168.1.11 is the address of cp-1 too; both would drop off the network'
}

@test "a first server on DHCP is refused when others join" {
	change 's,\, address: 192.168.1.11/24,,'
	fault 'cluster.yaml:22:12: error: nodes[0]: the first server is on DHCP, so the other nodes would not know where to join; give it an address, or set cluster.endpoint to a name that always leads to it'
}

@test "an endpoint that is a worker is refused" {
	change 's/  name: lab/&\n  endpoint: 192.168.1.12/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: 192.168.1.12 is the worker w-1, where no API listens; use a control-plane node'
}

@test "an endpoint inside a pool is refused" {
	change 's/  name: lab/&\n  endpoint: 192.168.1.70/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: 192.168.1.70 lies in the pool 192.168.1.65-192.168.1.127, whose addresses come up only after nodes have joined; use another'
}

@test "an endpoint that K3s cannot resolve, that is no server or not for good is refused, and the cure holds" {
	cp cluster.yaml whole.yaml
	change 's/  name: lab/&\n  endpoint: cp-1.local/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: cp-1.local is a name of mDNS, which K3s does not ask, so no node would join; write 192.168.1.11, or use a name that your name server knows'
	change 's/cp-1.local/192.168.1.11/'
	fine
	[ -z "$stderr" ]
	change 's/192.168.1.11$/192.168.1.200/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: 192.168.1.200 lies in network.dhcpRange 192.168.1.128-192.168.1.250, so the router may give it to another machine; use one outside'
	for self in localhost 127.0.0.1; do
		change "s/endpoint: .*/endpoint: $self/"
		fault "cluster.yaml:4:13: error: cluster.endpoint: $self is every machine itself; use the address of a server"
	done
	change 's/endpoint: .*/endpoint: kube.local/; s,\, address: 192.168.1.11/24,,'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: kube.local is a name of mDNS, which K3s does not ask, so no node would join; give cp-1 an address and remove endpoint, or use a name that your name server knows'
	cp whole.yaml cluster.yaml
	change 's/  name: lab/&\n  endpoint: cp-1/'
	fine
	[ -z "$stderr" ]
}

@test "an endpoint that no machine can keep, or that is a worker by name, is refused" {
	change 's/  name: lab/&\n  endpoint: x/'
	for address in 169.254.1.1 192.168.1.0 192.168.1.255 224.0.0.1 255.255.255.255; do
		change "s/endpoint: .*/endpoint: $address/"
		fault "cluster.yaml:4:13: error: cluster.endpoint: $address is no address that a machine can keep; use the address of a server"
	done
	change 's/endpoint: .*/endpoint: w-1/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: w-1 is a worker, where no API listens; use a control-plane node'
}

@test "an endpoint that nobody outside the cluster knows, or that is the machine itself in other words, is refused" {
	change 's/  name: lab/&\n  endpoint: x/'
	for name in kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local; do
		change "s/endpoint: .*/endpoint: $name/"
		fault "cluster.yaml:4:13: error: cluster.endpoint: $name is a name inside the cluster, which pods know and nodes do not; use the address of a server"
	done
	for self in 0.0.0.0 localhost.localdomain ip6-localhost; do
		change "s/endpoint: .*/endpoint: $self/"
		fault "cluster.yaml:4:13: error: cluster.endpoint: $self is every machine itself; use the address of a server"
	done
}

@test "a name or address of another form than it is taken in is told with the form" {
	change 's/  gateway: .*/&\n  ntp: [x]/'
	while IFS='|' read -r host words; do
		change "s#ntp: .*#ntp: ['$host']#"
		fault "cluster.yaml:14:9: error: network.ntp[0]: '$host' cannot be used: $words"
	done <<-'EOT'
		fd00::1|this is IPv6: IPv4 is given here, and network.ipv6 adds IPv6; give a name such as api.home.example.com or an IPv4 address, without https:// and without a port
		Time.Home.Lan|names are in lower case here, without a dot at the end; write time.home.lan
		time.home.lan.|names are in lower case here, without a dot at the end; write time.home.lan
		zeit.häuschen.de|DNS writes letters other than a to z in a form of its own, which begins with xn--; write that
		https://time.lan|give a name such as api.home.example.com or an IPv4 address, without https:// and without a port
	EOT
}

@test "search domains: those of the cluster are refused, those of mDNS noted" {
	change 's/  gateway: .*/&\n  searchDomains: [home.lan]/'
	fine
	for domain in cluster.local svc.cluster.local; do
		change "s/searchDomains: .*/searchDomains: [home.lan, $domain]/"
		fault "cluster.yaml:14:29: error: network.searchDomains[1]: $domain is the cluster's own, whose names pods know and the name servers of nodes do not; remove it: pods look there by themselves"
	done
	change 's/searchDomains: .*/searchDomains: [local]/'
	note 'cluster.yaml:14:19: note: network.searchDomains[0]: names below local are asked for by multicast (mDNS), and K3s knows none of them; where your name server has them, call it another way, such as home.arpa'
}

@test "a section that is on by being there is noted where nothing stands below it" {
	add 'certManager:' '  # zones: [home.arpa]'
	note 'cluster.yaml:24:13: note: certManager: nothing stands below it, which is taken as {}: cert-manager is installed, without an issuer; to be without, remove the line'
	change 's/^certManager:/& {}/'
	fine
	[[ "$stderr" != *certManager* ]]
	change 's/  gateway: .*/&\n  ipv6:/'
	note 'cluster.yaml:14:8: note: network.ipv6: nothing stands below it, which is taken as {}: nodes, pods and services have IPv6 too, in private networks; to be without, remove the line'
}

@test "an endpoint that is no server is noted: somebody has to provide it" {
	change 's/  name: lab/&\n  endpoint: 192.168.1.10/'
	note 'cluster.yaml:4:13: note: cluster.endpoint: 192.168.1.10 is no server of this file: a load balancer or virtual address of yours has to lead from it to TCP 6443 of cp-1 before nodes can join'
	change 's/192.168.1.10$/api.home.my-domain.org/'
	note 'cluster.yaml:4:13: note: cluster.endpoint: api.home.my-domain.org is no server of this file: your name server has to know it, and it has to lead to TCP 6443 of cp-1 before nodes can join'
}

@test "a VIP is a free address of the LAN: what has it already, or could get it, is named" {
	local address why
	change 's/  name: lab/&\n  vip: x/; s/nameservers: .*/nameservers: [192.168.1.2]/'
	while read -r address why; do
		change "s/vip: .*/vip: $address/"
		fault "cluster.yaml:4:8: error: cluster.vip: $address $why"
	done <<-'EOT'
		192.168.2.10 lies outside network.subnet 192.168.1.0/24, where no machine would find it; use a free address inside
		192.168.1.0 is the network address of 192.168.1.0/24; use a free one
		192.168.1.255 is the broadcast address of 192.168.1.0/24; use a free one
		192.168.1.11 is the address of cp-1, which it would lose to another server; use a free address
		192.168.1.12 is the address of w-1, which it would lose to another server; use a free address
		192.168.1.1 is network.gateway, your router; use a free address
		192.168.1.2 is network.nameservers[0], a name server; use a free address
		192.168.1.65 lies in the pool 192.168.1.65-192.168.1.127, so Cilium would give it to a Service too; use a free address
		192.168.1.250 lies in network.dhcpRange 192.168.1.128-192.168.1.250, so the router may give it to another machine; use a free address
	EOT
	change 's/vip: .*/vip: 192.168.1.10/'
	note 'cluster.yaml:4:8: note: cluster.vip: there is one server, so nobody takes 192.168.1.10 over from it; with cluster.datastore: etcd two more can be added'
	add '  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}' '  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}'
	fine
	[ -z "$stderr" ]
	change 's,\, address: 192.168.1.14/24,,'
	note 'cluster.yaml:26:12: note: nodes[3].name: a server on DHCP may take cluster.vip 192.168.1.10 for its own address while it holds it; give cp-3 one'
}

@test "without a subnet nobody can judge a VIP; a first server on DHCP can be found by one" {
	change 's/  name: lab/&\n  vip: 192.168.1.10/; /subnet:/d; s,\, address: [0-9./]+,,'
	change '/^loadBalancer/,/range:/d; /dhcpRange/d; /nameservers/d; /gateway/d; s/^network:/network: {}/'
	fault 'cluster.yaml:4:8: error: cluster.vip: network.subnet is missing, and without it nobody can tell whether 192.168.1.10 is an address of your LAN; give it'
	change 's,^network:.*,network: {subnet: 192.168.1.0/24},'
	fine
}

@test "an endpoint beside a VIP leads there, by name or because it is the same" {
	change 's/  name: lab/&\n  vip: 192.168.1.10\n  endpoint: 192.168.1.10/'
	fine
	change 's/endpoint: .*/endpoint: api.home.my-domain.org/'
	note 'cluster.yaml:5:13: note: cluster.endpoint: your name server has to lead api.home.my-domain.org to cluster.vip 192.168.1.10'
	for other in 192.168.1.11 192.168.1.9 cp-1; do
		change "s/endpoint: .*/endpoint: $other/"
		fault "cluster.yaml:5:13: error: cluster.endpoint: $other is not cluster.vip 192.168.1.10, so kubeconfig would go past it: remove endpoint, or use a name that your name server leads to 192.168.1.10"
	done
}

@test "two servers with etcd are refused" {
	change 's/role: worker/role: control-plane/'
	fault 'cluster.yaml:22:3: error: nodes: the cluster stands still as soon as 1 of 2 servers with etcd fail, no later than with one server less, and a split stops both halves; use 1 or 3'
}

@test "a server with etcd on DHCP is a note" {
	change 's/role: worker/role: control-plane/; $a\  - {name: cp-3, role: control-plane, board: rpi5}'
	note 'cluster.yaml:24:12: note: nodes[2].name: cp-3 is a server with etcd on DHCP: etcd does not follow a member whose address changes, and a card that is made anew looks for the others by their names; give it an address, or let your router always give it the same one, and know its name'
}

@test "SQLite with several servers is refused" {
	change 's/role: worker/role: control-plane/; s/  name: lab/&\n  datastore: sqlite/'
	fault 'cluster.yaml:4:14: error: cluster.datastore: sqlite lives on one server and cannot be shared by 2; use etcd, or one server'
}

@test "a server with 1 GiB is refused" {
	change 's,192.168.1.11/24,&\, memory: 1GiB,'
	fault 'cluster.yaml:22:86: error: nodes[0].memory: a server needs 2.0 GiB of memory, and this Raspberry Pi 5 has 1.0 GiB; the kernel would kill K3s again and again'
}

@test "a board that cannot have the memory of a server is refused" {
	change 's/role: control-plane, board: rpi5/role: control-plane, board: rpi3/'
	fault 'cluster.yaml:22:46: error: nodes[0].board: a server needs 2.0 GiB of memory, and this Raspberry Pi 3 has at most 1.0 GiB; the kernel would kill K3s again and again'
}

@test "memory a board is not made with is refused" {
	change 's,192.168.1.12/24,&\, memory: 3GiB,'
	fault 'cluster.yaml:23:78: error: nodes[1].memory: Raspberry Pi 5 is not made with 3.0 GiB of memory, but with 1.0 GiB, 2.0 GiB, 4.0 GiB, 8.0 GiB, 16.0 GiB'
}

@test "settings that leave a node less memory than its role needs are refused where they stand" {
	change 's/^access:/boot: {config: [total_mem=4096, gpu_mem=512], cmdline: [mem=4G, hugepages=8]}\n&/'
	note 'cluster.yaml:6:16: note: boot.config: gpu_mem does nothing on cp-1: a Pi 5 gives its GPU what it asks for'
	change 's/^boot: .*/boot: {cmdline: [mem=900M]}/'
	fault 'cluster.yaml:6:18: error: boot.cmdline[0]: mem=900M leaves cp-1 (Raspberry Pi 5) 900.0 MiB of at most 16.0 GiB of memory, and a server needs 2.0 GiB; the kernel would kill K3s again and again: take it away'
	change 's/^boot: .*/boot: {cmdline: [quiet, hugepages=512]}/'
	fault 'cluster.yaml:6:25: error: boot.cmdline[1]: hugepages=512, of pages of 32 MiB, leaves cp-1 (Raspberry Pi 5) 0 B of at most 16.0 GiB of memory, and a server needs 2.0 GiB; the kernel would kill K3s again and again: take it away'
	change 's/^boot: .*/boot: {cmdline: [hugepagesz=2M, hugepages=1024]}/'
	fine
	change 's/^boot: .*/os: {sysctl: {vm.nr_hugepages: 1024}}/'
	fault 'cluster.yaml:6:14: error: os.sysctl: vm.nr_hugepages = 1024, of pages of 32 MiB, leaves cp-1 (Raspberry Pi 5) 0 B of at most 16.0 GiB of memory, and a server needs 2.0 GiB; the kernel would kill K3s again and again: take it away'
	change '/^os: /d; s,192.168.1.12/24,&\, memory: 4GiB\, boot: {config: [total_mem=256]},'
	fault 'cluster.yaml:23:100: error: nodes[1].boot.config[0]: total_mem=256 leaves w-1 (Raspberry Pi 5) 256.0 MiB of 4.0 GiB of memory, and a worker needs 512.0 MiB; the kernel would kill K3s again and again: take it away'
	change 's/board: rpi5, address: 192.168.1.12/board: rpi4, address: 192.168.1.12/; s/memory: 4GiB, boot: .*\}\}/memory: 1GiB, boot: {config: [gpu_mem=896]}}/'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ $output == *'nodes[1].boot.config[0]: gpu_mem=896 leaves w-1 (Raspberry Pi 4) 128.0 MiB of 1.0 GiB'* ]]
}

@test "a module's parameter that stands twice for a node is noted: the kernel takes the last one" {
	change 's/^access:/boot: {cmdline: ["usb-storage.quirks=152d:0578:u", console=tty1, console=ttyAMA0]}\n&/'
	fine
	change 's,192.168.1.12/24,&\, boot: {cmdline: ["usb-storage.quirks=174c:55aa:u"]},'
	note 'cluster.yaml:24:86: note: nodes[1].boot.cmdline: usb-storage.quirks stands there twice for w-1, and the kernel takes the last one alone, usb-storage.quirks=174c:55aa:u: make one word of them, such as usb-storage.quirks=152d:0578:u,174c:55aa:u, if it takes a list'
}

@test "nobody who could log in is a fault" {
	change 's/  sshKeys:/  sshKeys: []/; /- ssh-ed25519/d'
	fault 'cluster.yaml:8:12: error: access: nobody could log in: give sshKeys (make one with `ssh-keygen -t ed25519`) or passwordHash'
}

@test "Debian does not boot a Pi 5" {
	change 's/role: worker, board: rpi5/role: worker, board: rpi4/'
	add 'os: {base: debian}'
	fault 'cluster.yaml:22:46: error: nodes[0].board: Raspberry Pi 5 does not boot with os.base: debian, whose kernel does not know this board; use os.base: raspios, or another board'
}

@test "a digest is asked for with an image of your own" {
	add 'os: {base: "https://example.com/x.img.xz"}'
	fault 'cluster.yaml:24:12: error: os.sha256 is missing: an image of your own is used only when its digest is known (sha256sum FILE)'
}

@test "a digest beside a shipped base is refused" {
	add "os: {sha256: $(printf %064d 0)}"
	fault 'cluster.yaml:24:14: error: os.sha256: raspios is pinned by the lock; remove this, or give a path or URL as base'
}

# ---- network ----

@test "a node outside the subnet is refused" {
	change 's,192.168.1.12/24,192.168.2.12/24,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: 192.168.2.12 lies outside network.subnet 192.168.1.0/24; the node would be cut off'
}

@test "a node with another prefix is refused" {
	change 's,192.168.1.12/24,192.168.1.12/16,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: /16 does not fit network.subnet 192.168.1.0/24; the node would take other nodes for far away: use 192.168.1.12/24'
}

@test "a node inside the DHCP range is refused" {
	change 's,192.168.1.12/24,192.168.1.200/24,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: 192.168.1.200 lies in network.dhcpRange 192.168.1.128-192.168.1.250, so the router may give it to another machine; use one outside'
}

@test "a node that is the gateway is refused" {
	change 's,192.168.1.12/24,192.168.1.1/24,'
	fault 'cluster.yaml:23:53: error: nodes[1].address: 192.168.1.1 is network.gateway, your router'
}

@test "a gateway outside the subnet is refused" {
	change 's/gateway: .*/gateway: 192.168.2.1/'
	fault 'cluster.yaml:13:12: error: network.gateway: 192.168.2.1 lies outside network.subnet 192.168.1.0/24; no node could reach it'
}

@test "a static address needs a gateway" {
	change '/gateway:/d'
	fault 'cluster.yaml:12:3: error: network.gateway is missing: cp-1 has a static address and would have no way to the internet; K3s does not start without a default route'
}

@test "a static address needs name servers" {
	change '/nameservers:/d'
	fault 'cluster.yaml:12:3: error: network.nameservers is missing: cp-1 has a static address and would resolve no name; your router'\''s address usually does'
}

@test "a DHCP range outside the subnet is refused" {
	change 's/dhcpRange: .*/dhcpRange: 192.168.3.1-192.168.3.9/'
	fault 'cluster.yaml:15:14: error: network.dhcpRange: 192.168.3.1-192.168.3.9 lies outside network.subnet 192.168.1.0/24'
}

@test "pods in the LAN are refused" {
	change 's,10.42.0.0/16,192.168.0.0/16,'
	fault 'cluster.yaml:4:12: error: cluster.podCIDR: 192.168.0.0/16 overlaps your LAN 192.168.1.0/24; nodes would lose every machine in it, SSH included. Take another private network for cluster.podCIDR, such as 10.42.0.0/16'
	change 's,podCIDR: .*,podCIDR: 10.42.0.0/16,'
	fine
}

@test "services in the LAN are refused" {
	change 's,10.43.0.0/16,192.168.1.0/26,'
	fault 'cluster.yaml:5:16: error: cluster.serviceCIDR: 192.168.1.0/26 overlaps your LAN 192.168.1.0/24; nodes would lose every machine in it, SSH included. Take another private network for cluster.serviceCIDR, such as 10.200.0.0/16'
}

@test "networks of the internet for pods and services are noted" {
	change 's,10.42.0.0/16,8.8.0.0/16,'
	note 'cluster.yaml:4:12: note: cluster.podCIDR: 8.8.0.0/16 are addresses of the internet, which nodes and pods could not reach any more. Take another private network for cluster.podCIDR, such as 10.42.0.0/16'
	for net in 172.31.0.0/16 192.168.128.0/17 100.127.0.0/16 198.19.0.0/16; do
		change "s,podCIDR: .*,podCIDR: $net,"
		fine
		[[ "$stderr" != *internet* ]]
	done
	change 's,podCIDR: .*,podCIDR: 172.32.0.0/16,'
	note 'cluster.yaml:4:12: note: cluster.podCIDR: 172.32.0.0/16 are addresses of the internet, which nodes and pods could not reach any more. Take another private network for cluster.podCIDR, such as 10.42.0.0/16'
}

@test "pods and services in one network are refused" {
	change 's,10.42.0.0/16,10.0.0.0/8,'
	fault 'cluster.yaml:4:12: error: cluster.podCIDR 10.0.0.0/8 and cluster.serviceCIDR 10.43.0.0/16 overlap; pods and services would get the same addresses. Take another private network for cluster.podCIDR, such as 172.20.0.0/16'
	change 's,podCIDR: .*,podCIDR: 172.20.0.0/16,'
	fine
}

@test "a pod network too small for the nodes is refused" {
	change 's,10.42.0.0/16,10.42.0.0/24,'
	fault 'cluster.yaml:4:12: error: cluster.podCIDR: each node takes a /24 for its pods, and 10.42.0.0/24 has room for 1 of the 2 nodes; use a /16'
}

@test "a name server inside the pod network is refused" {
	change 's/nameservers: .*/nameservers: [10.42.0.10]/'
	fault 'cluster.yaml:4:12: error: cluster.podCIDR: 10.42.0.0/16 overlaps network.nameservers[0] 10.42.0.10; nodes could not reach it. Take another private network for cluster.podCIDR, such as 172.20.0.0/16'
}

# cures: the network that each fault proposes is written into the file, after which nothing is wrong with it.
cures() {
	local key network
	streams "$PIBUILD" check
	[ "$status" -eq 3 ] || return 1
	while read -r key network; do
		sed -i "/^  ${key#cluster.}:/d; s,^  name: lab,&\n  ${key#cluster.}: $network," cluster.yaml
	done < <(sed -nE 's/.*Take another private network for (cluster[.][A-Za-z]+), such as ([0-9./]+)$/\1 \2/p' <<<"$stderr")
	fine
}

@test "a network that is proposed collides with nothing the file names" {
	cp cluster.yaml whole.yaml
	while read -r lan in; do
		for given in yes no; do
			sed -e "s,192\.168\.1\.0/24,$lan,; s,192\.168\.1\.,$in.,g; s,/24},/${lan#*/}},; s,-$in.127,-$in.126,; s,-$in.250,-$in.251," whole.yaml >cluster.yaml
			[ $given = yes ] || sed -i '/CIDR:/d' cluster.yaml
			cures
		done
	done <<-EOT
		10.42.0.0/24 10.42.0
		10.43.7.0/24 10.43.7
		10.0.0.0/8 10.42.1
		10.42.0.0/15 10.42.9
	EOT
	cp whole.yaml cluster.yaml
	change 's/nameservers: .*/nameservers: [10.42.0.10, 172.20.0.53, 10.200.0.1]/'
	cures
	cp whole.yaml cluster.yaml
	change 's/  name: lab/&\n  endpoint: 10.43.0.5/'
	cures
}

@test "where the default collides, the fault stands at what is in the file" {
	change '/CIDR:/d; s,192\.168\.1\.,10.42.0.,g'
	fault 'cluster.yaml:10:11: error: cluster.podCIDR: 10.42.0.0/16 (the default) overlaps your LAN 10.42.0.0/24; nodes would lose every machine in it, SSH included. Take another private network for cluster.podCIDR, such as 172.20.0.0/16'
}

@test "the interface name of another system is refused" {
	change 's/  gateway: .*/&\n  interface: end0/'
	fault 'cluster.yaml:14:14: error: network.interface: Raspberry Pi OS calls the Ethernet of every board eth0, so end0 would never come up'
}

@test "an interface that nothing on a card makes is refused, of all nodes and of one; an external machine's is its own" {
	local name why
	while read -r name why; do
		change '/^  interface: /d; s/, interface: [^}]*//'
		change "s/  gateway: .*/&\n  interface: $name/"
		fault "cluster.yaml:14:14: error: network.interface: $why, so $name would never come up"
		change "/^  interface: /d; s/(name: w-1.*)\}/\\1, interface: $name}/"
		fault "cluster.yaml:23:81: error: nodes[1].interface: $why, so $name would never come up"
	done <<-EOT
		enp1s0 Raspberry Pi OS calls the Ethernet of every board eth0
		enx001122334455 Raspberry Pi OS calls the Ethernet of every board eth0
		eth0.20 network.vlan makes the interface of a VLAN, upon the one that is named here
		br0 a node's address goes onto a port of the board, eth0 say, and nothing makes bridges, bonds and tunnels before
		bond0 a node's address goes onto a port of the board, eth0 say, and nothing makes bridges, bonds and tunnels before
		cilium_host a node's address goes onto a port of the board, eth0 say, and nothing makes bridges, bonds and tunnels before
		auto the ports of a Pi are called eth0, eth1, wlan0
		Eth0 the ports of a Pi are called eth0, eth1, wlan0
	EOT
	for name in eth1 usb0 lan0 brlan; do
		change "s/, interface: [^}]*//; s/(name: w-1.*)\}/\\1, interface: $name}/"
		fine
	done
	change 's/, interface: [^}]*//'
	add '  - {name: nuc-1, role: worker, board: external, arch: amd64, address: 192.168.1.31/24, interface: end0}'
	fine
}

@test "Wi-Fi without its section is refused" {
	change 's/  gateway: .*/&\n  interface: wlan0/'
	fault 'cluster.yaml:14:14: error: network.interface: wlan0 needs network.wifi with ssid, passphrase and country'
}

@test "a board without Ethernet needs Wi-Fi" {
	change 's/role: worker, board: rpi5/role: worker, board: zero2w/'
	change 's/  pools:/  announce: {nodes: all}\n&/; s/  hubble: .*/&\n  ingress: false\n  gatewayAPI: false/'
	fault 'cluster.yaml:26:38: error: nodes[1].board: Raspberry Pi Zero 2 W has no Ethernet; add network.wifi with ssid, passphrase and country, or name the interface of its adapter: interface: eth0'
	change 's/(board: zero2w.*)\}/\1, interface: eth0}/'
	fine
}

# ---- what a node's owner sets ----

@test "an interface of one node is judged as that of all is, at its own place" {
	change 's/(name: w-1.*)\}/\1, interface: wlan0}/'
	fault 'cluster.yaml:23:81: error: nodes[1].interface: wlan0 needs network.wifi with ssid, passphrase and country'
	change 's/interface: wlan0/interface: wlan1/'
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {env: WIFI_PASSPHRASE}, country: DE}/'
	export WIFI_PASSPHRASE='correct horse'
	fault "cluster.yaml:24:81: error: nodes[1].interface: the Wi-Fi of a Pi is wlan0, not wlan1"
	change 's/interface: wlan1/interface: end0/'
	fault 'cluster.yaml:24:81: error: nodes[1].interface: Raspberry Pi OS calls the Ethernet of every board eth0, so end0 would never come up'
	change 's/interface: end0/interface: lan0123456789ab/; s/  gateway: .*/&\n  vlan: 20/'
	fault 'cluster.yaml:25:81: error: nodes[1].interface: the interface would be called lan0123456789ab.20, and Linux allows 15 characters'
	change 's/interface: lan0123456789ab/interface: eth1/'
	fine
	change 's/  pools:/  announce: {interfaces: [eth1.20]}\n&/'
	fine
}

@test "packets larger than a node can send are refused or noted" {
	change 's/  gateway: .*/&\n  mtu: 9000/'
	fine
	[ -z "$(grep mtu <<<"$stderr")" ]
	change 's/(name: w-1.*board: )rpi5/\1rpi4/; s/  hubble: .*/&\n  ingress: false\n  gatewayAPI: false/'
	note 'cluster.yaml:14:8: note: network.mtu: the Ethernet of w-1 (Raspberry Pi 4) takes no more than 1500 with the kernels that are out, and the first-boot report says so when it stays there; nodes that do not agree lose large packets'
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {env: WIFI_PASSPHRASE}, country: DE}/'
	change 's/(name: w-1.*)\}/\1, interface: wlan0}/'
	export WIFI_PASSPHRASE='correct horse'
	fault 'cluster.yaml:15:8: error: network.mtu: w-1 is on Wi-Fi, whose frames hold 1500 at most, and every node of the LAN has to use the same; set 1500 or less'
	change 's/mtu: 9000/mtu: 1279/'
	fault "cluster.yaml:15:8: error: network.mtu: '1279' cannot be used: the size of the largest packet is a number from 1280 to 9216; Ethernet's own is 1500"
	change 's/mtu: 1279/mtu: 1280/'
	fine
}

@test "a time server that only the cluster would bring up is refused, one that no node has is noted" {
	change 's/  gateway: .*/&\n  ntp: [192.168.1.70, time.lan]/'
	fault 'cluster.yaml:14:9: error: network.ntp[0]: 192.168.1.70 lies in the pool 192.168.1.65-192.168.1.127, whose addresses come up only after K3s, which waits for the time; use another server'
	change 's/192.168.1.70, time/192.168.1.11, time/'
	note 'cluster.yaml:14:9: note: network.ntp[0]: 192.168.1.11 is cp-1, where no time server runs at first boot; the router often is one'
	change 's/192.168.1.11, time/192.168.1.1, time/; s/  ntp: .*/&\n  hosts: {time.lan: 192.168.1.80}/'
	fault 'cluster.yaml:14:22: error: network.ntp[1]: time.lan lies in the pool 192.168.1.65-192.168.1.127, whose addresses come up only after K3s, which waits for the time; use another server'
}

# asked KEY VALUE WHERE WORDS: VALUE (YAML) at KEY of cluster.yaml is a fault there
asked() {
	cp cluster.yaml kept.yaml
	case $1 in
	network.*) change "s#^  gateway: .*#&\\n  ${1#network.}: $2#" ;;
	*) add "$1: $2" ;;
	esac
	fault "cluster.yaml:$3: error: $4"
	mv kept.yaml cluster.yaml
}

@test "a proxy, a time server, a mirror that could never answer where they are said to be are refused" {
	asked network.proxy '{http: "http://192.168.1.70:3128"}' 14:17 'network.proxy.http: 192.168.1.70 lies in the pool 192.168.1.65-192.168.1.127, whose addresses come up only after K3s, which waits for the images that come through it; use another one'
	asked network.proxy '{http: "http://proxy.lan:3128", https: "http://nas.local:3128"}' 14:49 'network.proxy.https: nas.local is a name of mDNS, which K3s does not ask, so it would never find it; write its address, or put the name into network.hosts'
	asked network.proxy '{http: "http://squid.proxy.svc:3128"}' 14:17 'network.proxy.http: squid.proxy.svc is a name inside the cluster, which pods know and nodes do not; use a machine beside the cluster'
	asked network.proxy '{http: "http://10.42.7.8:3128"}' 4:12 'cluster.podCIDR: 10.42.0.0/16 overlaps network.proxy.http 10.42.7.8; nodes could not reach it. Take another private network for cluster.podCIDR, such as 172.20.0.0/16'
	asked network.ntp '[localhost]' 14:9 'network.ntp[0]: localhost is each node itself, where no time server runs; write the name or address of the machine that has it'
	asked network.ntp '[10.43.0.9]' 5:16 'cluster.serviceCIDR: 10.43.0.0/16 overlaps network.ntp[0] 10.43.0.9; nodes could not reach it. Take another private network for cluster.serviceCIDR, such as 10.200.0.0/16'
	asked network.hosts '{nas.lan: 10.42.3.1}' 4:12 'cluster.podCIDR: 10.42.0.0/16 overlaps network.hosts 10.42.3.1; nodes could not reach it. Take another private network for cluster.podCIDR, such as 172.20.0.0/16'
	asked registries '{mirrors: [{from: docker.io, to: ["https://nas.local:5000"]}]}' 24:47 'registries.mirrors[0].to[0]: nas.local is a name of mDNS, which K3s does not ask, so it would never find it; write its address, or put the name into network.hosts'
	asked registries '{mirrors: [{from: docker.io, to: ["https://zot.zot.svc.cluster.local"]}]}' 24:47 'registries.mirrors[0].to[0]: zot.zot.svc.cluster.local is a name inside the cluster, which pods know and nodes do not; give its Service an address of a pool, and write that'
	asked backup '{to: {nfs: "nas.storage.svc:/backup"}}' 24:20 'backup.to.nfs: nas.storage.svc is a name inside the cluster, which pods know and nodes do not; give its Service an address of a pool, and write that'
	asked gitops '{flux: {url: "https://localhost:3000/me/home"}}' 24:22 'gitops.flux.url: localhost is the pod itself that asks, where no server of that kind runs; write the name or address of the machine that has it'
}

@test "of a proxy or a mirror that may be meant as it is a note tells what follows" {
	change 's#^  gateway: .*#&\n  proxy: {http: "http://127.0.0.1:3128"}#'
	note 'cluster.yaml:14:17: note: network.proxy.http: 127.0.0.1 is each node itself, where a proxy runs only if a package or an overlay of yours brings one; is another machine meant?'
	change 's#127.0.0.1:3128#w-1:3128#'
	note 'cluster.yaml:14:17: note: network.proxy.http: w-1 is a node of this file, where no proxy runs at first boot; use another machine'"'"'s'
	change '/^  proxy/d'
	add 'registries: {mirrors: [{from: docker.io, to: ["https://192.168.1.70:5000"]}]}'
	note 'cluster.yaml:24:47: note: registries.mirrors[0].to[0]: 192.168.1.70 lies in the pool 192.168.1.65-192.168.1.127, whose addresses come up with the cluster: the first images come from the registry itself, and first boot waits some minutes before it asks there'
	# a Service by its address, and names that /etc/hosts has
	change 's#192.168.1.70:5000#10.43.0.50:5000#; s#^  gateway: .*#&\n  proxy: {http: "http://nas.local:3128"}\n  hosts: {nas.local: 192.168.1.5, zot.lan: 10.43.0.51}#'
	fine
}

@test "names of network.hosts: those of nodes and of the system are refused, an endpoint among them needs no name server" {
	change 's/  gateway: .*/&\n  hosts: {w-1: 192.168.1.12}/'
	fault 'cluster.yaml:14:16: error: network.hosts: w-1 is a node of this file, whose address nodes[].address says; remove it here'
	change 's/w-1: 192/localhost: 192/'
	fault "cluster.yaml:14:11: error: network.hosts: the key 'localhost' cannot be used: the system has an address for this name itself"
	change 's/localhost: 192/192.168.1.5: 192/'
	fault "cluster.yaml:14:11: error: network.hosts: the key '192.168.1.5' cannot be used: a name stands before the ':', and its address behind it"
	change 's/192.168.1.5: 192/NAS: 192/'
	fault "cluster.yaml:14:11: error: network.hosts: the key 'NAS' cannot be used: give a name such as nas.home.example.com, in lower case, without a dot at the end"
	change 's/NAS: 192.168.1.12/api.lan: 192.168.1.11/; s/^  podCIDR/  endpoint: api.lan\n&/'
	fine
	[ -z "$(grep endpoint <<<"$stderr")" ]
	change 's/api.lan: 192.168.1.11/api.lan: 192.168.1.12/'
	fault 'cluster.yaml:4:13: error: cluster.endpoint: api.lan is the worker w-1, where no API listens; use a control-plane node'
}

@test "lines of config.txt that the card needs as they are, and what no firmware reads, are refused with the reason" {
	change 's/^access:/boot:\n  config: [dtparam=pciex1_gen=3]\n  cmdline: [quiet]\n&/'
	fine
	one=$(grep -vF "config: [" cluster.yaml | sed '/^boot:/a\  config:\n    - "LINE"')
	while IFS='|' read -r text why; do
		printf '%s\n' "${one/LINE/"$text"}" >one.yaml
		fails 3 "one.yaml:8:7: error: boot.config[0]: '$text' cannot be used: $why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		kernel=kernel8.img|the base's kernel for the board is the one that Cilium and Envoy run on
		arm_64bit=0|K3s and the base are arm64
		initramfs x followkernel|the base's initramfs grows the root file system
		auto_initramfs=0|the base's initramfs grows
		os_prefix=x/|the firmware would not find the base's files any more
		device_tree=x.dtb|the firmware would not find
		start_x=1|the firmware of the base belongs together
		kernel_watchdog_timeout=5|set os.watchdog
		cmdline=other.txt|the root file system and K3s's memory cgroup stand in cmdline.txt; set boot.cmdline
		program_usb_boot_mode=1|it burns a fuse of the chip, which stays for ever
		include extra.txt|all of config.txt stands in one file; give its lines here
		[pi4]|lines go below [all] of this card alone; what one node needs goes into nodes[].boot
		dtoverlay=disable-wifi|set boot.wifi: false
		dtoverlay=disable-bt|set boot.bluetooth: false
		# a comment|comments stay in cluster.yaml
		dtparam = audio=on|give NAME=VALUE without blanks around either
		dtparam=a, b|parameters are NAME or NAME=VALUE
		dtparam=a=1,,b|parameters are NAME or NAME=VALUE
		dtoverlay=a b|an overlay is loaded by dtoverlay=NAME or dtoverlay=NAME,PARAMETER=VALUE,...
		dtoverlay=../x|an overlay is loaded by
		gpu_mem|give NAME=VALUE
	EOT
	line=dtoverlay=gpio-fan,$(printf 'x%.0s' {1..79})
	change "s/dtparam=pciex1_gen=3/'$line'/"
	fine
	change "s/$line/${line}y/"
	fault "cluster.yaml:7:12: error: boot.config[0]: '${line:0:57}...' cannot be used: the firmware reads 98 characters of a line, and this one has 99; parameters of an overlay may go into lines dtparam= that follow it"
	change "s/'${line}y'/\"a=1\\\\nkernel=x\"/"
	fault "cluster.yaml:7:12: error: boot.config[0]: 'a=1?kernel=x' cannot be used: it has to be one line of printable ASCII characters"
}

@test "words of the kernel's command line that the card needs are refused with the reason" {
	change 's/^access:/boot:\n  cmdline: ["psi=1"]\n&/'
	fine
	one=$(<cluster.yaml)
	while IFS='|' read -r text why; do
		printf '%s\n' "${one/psi=1/"$text"}" >one.yaml
		fails 3 "one.yaml:7:13: error: boot.cmdline[0]: '$text' cannot be used: $why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		root=PARTUUID=1|the card finds, grows and checks its root file system by it
		rootfstype=ext4|the card finds, grows and checks
		resize|the card finds, grows and checks
		init=.bin.sh|systemd has to be the first program
		cgroup_disable=memory|K3s needs the memory cgroup, of version 2
		cgroup-disable=memory|K3s needs the memory cgroup, of version 2
		cgroup_memory=1|every card has what K3s needs of cgroups already; leave it out
		cgroup_enable=memory|every card has what K3s needs of cgroups already; leave it out
		systemd.unified-cgroup-hierarchy=0|K3s needs the memory cgroup
		systemd.unit=rescue.target|K3s would not be started
		emergency|K3s would not be started
		3|K3s would not be started
		net.ifnames=1|interfaces are called eth0 and wlan0 here; set nodes[].interface
		cfg80211.ieee80211_regdom=DE|set network.wifi.country
		watchdog_disarm=1|set os.watchdog
		systemd.machine_id=0|every card makes an id of its own
		ds=nocloud|cloud-init is off on the card
		overlayroot=tmpfs|K3s's state would be forgotten at every restart
		pibuild.network=closed|these words are pibuild's own
		--x|what follows it is for systemd, not for the kernel
		quiet splash|a blank begins another word; give each as an entry of its own
	EOT
	word=$(printf 'x%.0s' {1..190})
	change "s/\\[\"psi=1\"\\]/[a$word, b$word, c$word, d$word, e$word, f$word]/"
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" == *'boot.cmdline: the words for cp-1 have 1152 characters together, and the kernel has room for some 1024'* ]]
}

@test "a radio that carries a node's address is not switched off, and gpu_mem on a Pi 5 is noted" {
	export WIFI_PASSPHRASE='correct horse'
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {env: WIFI_PASSPHRASE}, country: DE}/'
	change 's/(name: w-1.*)\}/\1, interface: wlan0}/'
	change 's/^access:/boot: {wifi: false, bluetooth: false}\n&/'
	fault 'cluster.yaml:6:14: error: boot.wifi: w-1 has its address on Wi-Fi, and would be cut off; remove this, or give nodes[].interface'
	change 's/interface: wlan0/interface: wlan0, boot: {wifi: true}/'
	fine
	change 's/boot: \{wifi: true\}/boot: {wifi: false}/; s/^boot: .*/boot: {config: [gpu_mem=16]}/'
	fault 'cluster.yaml:25:101: error: nodes[1].boot.wifi: w-1 has its address on Wi-Fi, and would be cut off; remove this, or give nodes[].interface'
	change 's/, boot: \{wifi: false\}//'
	note 'cluster.yaml:6:16: note: boot.config: gpu_mem does nothing on cp-1: a Pi 5 gives its GPU what it asks for'
}

@test "an order of booting has the medium of the card, and boards have a bootloader to set" {
	change 's/^access:/boot:\n  eeprom: {BOOT_ORDER: [nvme, sd, usb], PSU_MAX_CURRENT: 5000}\n&/'
	fine
	while IFS='|' read -r order at why; do
		sed "s/\[nvme, sd, usb\]/$order/" cluster.yaml >one.yaml
		fails 3 "one.yaml:7:$at: error: boot.eeprom.BOOT_ORDER$why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		[nvme, ssd]|31|[1]: must be one of sd, usb, nvme, network and http in the order in which they are tried
		[sd, usb, sd]|34|[2]: stands there twice
		[network, http]|24|: has none of sd, usb and nvme, on which the card of a node lies
		0xf416|24|: must be a list of sd, usb, nvme, network and http
	EOT
	change 's/PSU_MAX_CURRENT: 5000/PSU_MAX_CURRENT: much/'
	fault "cluster.yaml:7:58: error: boot.eeprom.PSU_MAX_CURRENT: 'much' cannot be used: give a number from 0 to 99999"
	change 's/PSU_MAX_CURRENT: much/PSU_MAX_CURENT: 5000/'
	fault "cluster.yaml:7:41: error: boot.eeprom: unknown key 'PSU_MAX_CURENT'; did you mean 'PSU_MAX_CURRENT'?"
	change 's/, PSU_MAX_CURENT: 5000//; s/(name: cp-1.*)board: rpi5/\1board: cm4/; s/  hubble: .*/&\n  ingress: false\n  gatewayAPI: false/'
	fine
	change 's/(name: w-1.*)board: rpi5/\1board: cm4/'
	fault 'cluster.yaml:7:11: error: boot.eeprom: no board of this file has a bootloader that its own system may set; remove this'
	change 's/^  eeprom: .*/  wifi: true/; s/(name: w-1.*)\}/\1, boot: {eeprom: {PCIE_PROBE: 1}}}/'
	fault 'cluster.yaml:27:84: error: nodes[1].boot.eeprom: Compute Module 4 has no bootloader that its own system may set; remove this'
}

@test "a proxy with a password written out is refused and not repeated; by reference it is looked at" {
	change 's/  gateway: .*/&\n  proxy: {http: "http:\/\/me:hunter2@proxy.lan:3128"}/'
	fault 'cluster.yaml:14:17: error: network.proxy.http: a password must not be written here, where git and backups keep it; put the whole address into a secret: {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}'
	[[ "$stderr" != *hunter2* ]]
	change 's/"http:.*"\}/{env: PROXY}}/'
	PROXY='http://me:hunter 2@proxy.lan' fails 3 'cluster.yaml:14:17: error: network.proxy.http: the environment variable PROXY holds a blank' "$PIBUILD" check
	PROXY='http://me:hun"ter@proxy.lan' fails 3 'cluster.yaml:14:17: error: network.proxy.http: the environment variable PROXY is no address of a proxy with a name and password: http://NAME:PASSWORD@HOST:PORT, with %XX for what is no letter' "$PIBUILD" check
	export PROXY='http://me:hun%22ter@proxy.lan:3128/'
	fine
	while IFS='|' read -r text why; do
		change "s,  proxy: .*,  proxy: {http: $text},"
		fails 3 "cluster.yaml:14:17: error: network.proxy.http: $why" "$PIBUILD" check
	done <<-'EOT'
		proxy.lan:3128|give the address of a proxy such as http://proxy.home.example.com:3128
		socks5://proxy.lan|give the address of a proxy such as http://
		http://proxy.lan:0|a port is a number from 1 to 65535
		http://proxy.lan:70000|a port is a number from 1 to 65535
		http://proxy.lan/path|give the address of a proxy
		http://-proxy|give the address of a proxy
		[http://proxy.lan]|must be a single value
	EOT
	change 's,  proxy: .*,  proxy: {http: http://proxy.lan:3128\, noProxy: [.lan\, "a\,b"]},'
	fault "cluster.yaml:14:56: error: network.proxy.noProxy[1]: 'a,b' cannot be used: give a name, a domain such as .example.com, an address or a network such as 192.168.0.0/16"
	change 's,"a\,b",192.168.0.0/16,'
	fine
	change 's,http: http://proxy.lan:3128\, ,,'
	fault "cluster.yaml:14:10: error: network.proxy: 'http' is missing: the proxy; by reference when its address holds a name and password"
}

@test "kernel settings with the value that they have on every node, or less than one has, are notes" {
	cp cluster.yaml good.txt
	while IFS='|' read -r setting words; do
		cp good.txt cluster.yaml
		add "os: {sysctl: {$setting}}"
		run "$PIBUILD" check
		[ "$status" -eq 0 ]
		[[ "$output" == *": note: os.sysctl: $words"* ]]
	done <<-'EOT'
		net.ipv4.ip_forward: 1|net.ipv4.ip_forward = 1: superfluous: without forwarding no pod
		net.bridge.bridge-nf-call-iptables: 1|net.bridge.bridge-nf-call-iptables = 1: superfluous: K3s sets it
		net.ipv4.conf.all.rp_filter: 0|net.ipv4.conf.all.rp_filter = 0: superfluous: Cilium sets it
		vm.overcommit_memory: 1|vm.overcommit_memory = 1: superfluous: the kubelet sets it
		kernel.panic: 10|kernel.panic = 10: superfluous
		kernel.pid_max: 16384|kernel.pid_max = 16384: it is less than a node has without it: every thread
		fs.file-max: 65535|fs.file-max = 65535: it is less than a node has without it
		fs.inotify.max_user_instances: 512|fs.inotify.max_user_instances = 512: it is less than a node has without it
		net.ipv4.ip_local_port_range: 1024 65535|net.ipv4.ip_local_port_range = 1024 65535: any connection may be given a port of K3s
	EOT
	cp good.txt cluster.yaml
	add 'os: {sysctl: {kernel.pid_max: 4194304, fs.file-max: 2097152, fs.inotify.max_user_watches: 1048576, net.ipv4.ip_local_port_range: 32768 60999, vm.max_map_count: 262144}}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" != *'os.sysctl: '* ]]
}

@test "kernel settings that K3s, the kubelet or Cilium need are refused with who needs them" {
	change 's/^network:/os:\n  sysctl: {vm.swappiness: 10}\n&/'
	fine
	while IFS='|' read -r key why; do
		sed "s|vm.swappiness|$key|" cluster.yaml >one.yaml
		fails 3 "one.yaml:12:12: error: os.sysctl: $key = 10: $why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		net.ipv4.ip_forward|without forwarding no pod reaches another node; K3s and Cilium turn it on; leave it out
		net/ipv4/conf/eth0.20/forwarding|without forwarding no pod
		net.ipv6.conf.all.forwarding|without forwarding no pod
		net.ipv4.conf.all.rp_filter|Cilium sets it: with another value the kernel drops packets of pods
		net/ipv4/conf/all/rp_filter|Cilium sets it
		net.core.bpf_jit_enable|Cilium sets it
		net.bridge.bridge-nf-call-iptables|K3s sets it at every start
		vm.overcommit_memory|the kubelet sets it at every start
		kernel.panic_on_oops|the kubelet sets it at every start
		kernel.hostname|nodes[].name is the host name
		kernel.modules_disabled|Cilium and K3s load modules after it
		kernel.pid_max|it is too little: every thread of the node takes one, and K3s, Cilium and some dozens of pods have thousands
		fs.file-max|it is too little: it is for all programs of the node together
		fs.inotify.max_user_instances|it is too little: each pod and controller that watches files takes some
		user.max_net_namespaces|it is too little: every pod takes one
		net.netfilter.nf_conntrack_max|it is too little
		net.ipv4.ip_local_port_range|the kernel takes two numbers, the first and the last port, such as 32768 60999
	EOT
	while IFS='|' read -r key why; do
		sed "s|vm.swappiness|$key|" cluster.yaml >one.yaml
		fails 3 "one.yaml:12:12: error: os.sysctl: the key '$key' cannot be used: $why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		vm..swappiness|a part of it is empty
		net.ipv4.conf.*.send_redirects|give a name of sysctl such as vm.swappiness, with all or default in the place of
		swappiness|give a name of sysctl such as vm.swappiness
	EOT
	change 's/swappiness: 10/swappiness: "1\\n2"/'
	fault "cluster.yaml:12:27: error: os.sysctl.vm.swappiness: '1?2' cannot be used: give one line of printable characters, without blanks around it"
}

# ---- load balancer ----

@test "a pool outside the subnet is refused" {
	change 's/range: .*}/range: 192.168.2.65-192.168.2.70}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.2.65-192.168.2.70 lies outside network.subnet 192.168.1.0/24; nobody on the LAN would ask for these addresses by ARP'
}

@test "a pool with the broadcast address is refused" {
	change 's/range: .*}/range: 192.168.1.251-192.168.1.255}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.1.251-192.168.1.255 includes the broadcast address of 192.168.1.0/24, which no service can have'
}

@test "a pool with the network address is refused" {
	change 's/range: .*}/range: 192.168.1.0-192.168.1.0}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.1.0-192.168.1.0 includes the network address of 192.168.1.0/24, which no service can have'
}

@test "a pool that overlaps the DHCP range is refused" {
	change 's/range: .*}/range: 192.168.1.65-192.168.1.128}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.1.65-192.168.1.128 overlaps network.dhcpRange 192.168.1.128-192.168.1.250; the router would give service addresses to other machines'
}

@test "a pool with the gateway is refused" {
	change 's/range: .*}/range: 192.168.1.1-192.168.1.5}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.1.1-192.168.1.5 includes the gateway 192.168.1.1; a service that got it would take the whole LAN off the internet'
}

@test "a pool with a node is refused" {
	change 's/range: .*}/range: 192.168.1.12-192.168.1.20}/'
	fault 'cluster.yaml:18:26: error: loadBalancer.pools[0].range: 192.168.1.12-192.168.1.20 includes 192.168.1.12, the address of w-1; two machines would answer for it'
}

@test "pools that overlap are refused" {
	change 's/(    - .name: )lan(, range: ).*/&\n\1b\2192.168.1.120-192.168.1.127}/'
	fault 'cluster.yaml:19:24: error: loadBalancer.pools[1].range: 192.168.1.120-192.168.1.127 overlaps the pool lan (192.168.1.65-192.168.1.127); Cilium would stop giving out addresses of one'
}

@test "a pool without a subnet is refused" {
	change '/subnet:/d; s,\, address: 192.168.1.1[12]/24,,; s/  name: lab/&\n  endpoint: api.lan/'
	fault 'cluster.yaml:18:5: error: loadBalancer.pools: a pool must be part of your LAN; say which one in network.subnet'
}

@test "a policy for workers without a worker is refused" {
	change '/name: w-1/d; s/  pools:/  announce: {nodes: workers}\n&/'
	fault 'cluster.yaml:17:21: error: loadBalancer.announce.nodes: there is no worker, so no node would ever answer for a service address, and nothing would report it; use auto or all'
}

@test "an interface that no node has is refused" {
	change 's/  pools:/  announce: {interfaces: [eth1]}\n&/'
	fault 'cluster.yaml:17:27: error: loadBalancer.announce.interfaces[0]: no node has eth1 (cp-1 is on eth0), so nobody would answer for service addresses; write the interface of your nodes, or remove interfaces'
	change 's/\[eth1\]/[eth0]/'
	fine
	change 's/\{interfaces: \[eth0\]\}/{nodes: auto}/'
	fine
}

@test "the interface below a VLAN is refused, and the VLAN's is named" {
	change 's/  pools:/  announce: {interfaces: [eth0]}\n&/; s/  gateway: .*/&\n  vlan: 20/'
	fault 'cluster.yaml:18:27: error: loadBalancer.announce.interfaces[0]: eth0 carries no address, because network.vlan: 20 puts it on eth0.20; nobody would answer for service addresses: write eth0.20'
	change 's/\[eth0\]/[eth0.20]/'
	fine
}

# wifi_worker: a third node, which has no Ethernet
wifi_worker() {
	export WIFI_PASSPHRASE='correct horse battery'
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {env: WIFI_PASSPHRASE}, country: DE}/'
	add '  - {name: z-1, role: worker, board: zero2w, address: 192.168.1.13/24}'
}

@test "Wi-Fi nodes among wired ones, as the only workers too, are no fault" {
	wifi_worker
	fine
	change '/name: w-1/d'
	fine
	run grep -c 'promiscuous' <<<"$stderr"
	[ "$output" = 0 ]
}

@test "an interface that only servers have is refused where workers answer" {
	wifi_worker
	change '/name: w-1/d; s/  pools:/  announce: {interfaces: [wlan0, eth0]}\n&/'
	fault 'cluster.yaml:18:34: error: loadBalancer.announce.interfaces[1]: eth0 is only on cp-1, a server, and loadBalancer.announce.nodes: auto lets the workers answer; set nodes: all, or remove eth0'
	change 's/eth0\]/&, nodes: all/'
	fine
	change 's/, eth0\], nodes: all/]/'
	fine
}

@test "nodes that answer over Wi-Fi are named, with what is done about it" {
	wifi_worker
	change 's/  pools:/  announce: {interfaces: [wlan0]}\n&/'
	note 'cluster.yaml:18:3: note: loadBalancer: service addresses are answered for over Wi-Fi (z-1): wlan0 is set to promiscuous mode there, without which a Pi'\''s Wi-Fi answers for its own address alone; some access points drop such answers all the same, a node on Ethernet is surer'
}

# ---- features ----

@test "Hubble UI without the relay is refused" {
	change 's/relay: true/relay: false/'
	fault 'cluster.yaml:20:19: error: cilium.hubble: the UI talks to the relay, and Cilium'\''s chart refuses one without the other; set relay: true or ui: false'
}

@test "ingress on a 39-bit kernel is refused with the cure that fits" {
	change 's/role: worker, board: rpi5/role: worker, board: rpi4/; s/  hubble: .*/&\n  ingress: true\n  gatewayAPI: false/'
	fault 'cluster.yaml:21:12: error: cilium.ingress: Envoy would crash on w-1: Raspberry Pi 4 boots kernel8.img with 39 address bits, and Envoy needs more; set cilium.ingress: false'
}

@test "Gateway API on a 39-bit kernel names Debian when all boards boot it" {
	change 's/board: rpi5/board: rpi4/; s/  hubble: .*/&\n  ingress: false\n  gatewayAPI: true/'
	fault 'cluster.yaml:22:15: error: cilium.gatewayAPI: Envoy would crash on cp-1: Raspberry Pi 4 boots kernel8.img with 39 address bits, and Envoy needs more; set os.base: debian, or set cilium.gatewayAPI: false'
}

@test "issuers without DNS-01 are refused" {
	add 'certManager: {issuers: [letsencrypt-production]}'
	fault 'cluster.yaml:24:24: error: certManager.issuers: Let'\''s Encrypt wants proof that a domain is yours; add dns01 with your DNS provider, or take [ca], a CA of your own'
}

@test "zones without DNS-01 are refused" {
	add 'certManager: {zones: [home.example.com]}'
	fault 'cluster.yaml:24:22: error: certManager.zones: no issuer would serve them; add dns01, or issuers: [ca] for a CA of your own'
}

@test "a CA of the cluster's own needs zones, takes private ones, and no registry's" {
	add 'certManager: {issuers: [ca]}'
	fault 'cluster.yaml:24:24: error: certManager.issuers: ca signs for names below certManager.zones alone, so that it can do no harm elsewhere; add zones, such as [home.arpa]'
	for zone in home.arpa lab.internal home.lan home.example.com; do
		change "s/^certManager.*/certManager: {issuers: [ca], zones: [$zone]}/"
		fine
	done
	change 's/^certManager.*/certManager: {issuers: [ca], zones: [home.local]}/'
	note "cluster.yaml:24:38: note: certManager.zones[0]: 'local' is for names found by multicast (RFC 6762): machines ask no name server for names below it, so that nobody finds them; take home.arpa or .internal"
	change 's/^certManager.*/certManager: {issuers: [ca], zones: [co.uk]}/'
	fault "cluster.yaml:24:38: error: certManager.zones[0]: a CA for all of co.uk could sign for everybody's names there, and your devices would believe it; write your own domain below it"
}

@test "a provider that cert-manager does not have is led to a webhook, and an address that nobody uses is not judged" {
	export TOKEN=abcdefghijklmnop
	add 'certManager: {email: me@my-domain.org, dns01: {provider: hetzner, apiToken: {env: TOKEN}}, zones: [my-domain.org]}'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ $output == *"certManager.dns01.provider: cert-manager has no provider 'hetzner' of its own; where somebody made a webhook for it, write provider: webhook and add its chart to apps (there are digitalocean, "* ]]
	change 's/^certManager.*/certManager: {email: me@home.arpa, issuers: [ca], zones: [home.arpa]}/'
	fine
}

@test "beside Let's Encrypt the CA signs for private zones, as long as both have some" {
	export CF_TOKEN=abcdefghijklmnopqrstuvwxyz0123456789ABCD
	add 'certManager: {email: me@my-domain.org, issuers: [ca, letsencrypt-production], dns01: {provider: cloudflare, apiToken: {env: CF_TOKEN}}, zones: [home.arpa, my-domain.org]}'
	fine
	add 'gateway: {address: 192.168.1.70}'
	fine
	change 's/192.168.1.70/&, issuer: letsencrypt-production/'
	fault 'cluster.yaml:25:42: error: gateway.issuer: letsencrypt-production never signs for home.arpa; leave it out: ca signs for that zone then, and Let'\''s Encrypt for those of the internet, or write ca'
	change 's/issuer: letsencrypt-production/zones: [my-domain.org], &/'
	fine
	change '/^gateway/d; s/, my-domain.org/, lab.internal/'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ $output == *"certManager.zones[0]: Let's Encrypt never issues a certificate for home.arpa"*"certManager.zones[1]: Let's Encrypt never issues a certificate for lab.internal"* ]]
}

# gateway_cluster GATEWAY [CERTMANAGER]
gateway_cluster() {
	add "certManager: ${2:-{issuers: [ca], zones: [home.arpa]\}}" "gateway: $1"
}

@test "a gateway takes an address of a pool, zones of the issuers, and a name its certificate is for" {
	gateway_cluster '{address: 192.168.1.70, hubble: hubble.home.arpa}'
	fine
	change 's/192.168.1.70/192.168.1.64/'
	fault 'cluster.yaml:25:20: error: gateway.address: 192.168.1.64 is in no pool, and Cilium gives out addresses of pools alone; make it part of a range of loadBalancer.pools, or take one that is in it'
	change '/^loadBalancer/,/name: lan/d'
	fault 'cluster.yaml:22:20: error: gateway.address: 192.168.1.64 is in no pool, and Cilium gives out addresses of pools alone; add one that holds it to loadBalancer.pools, or take one that is in it'
	change 's/^gateway.*/loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}/'
	add 'gateway: {address: 192.168.1.70, zones: [a.home.arpa, lan.internal], hubble: x.b.home.arpa}'
	change 's/hubble: x.b.home/hubble: x.a.home/'
	fault 'cluster.yaml:23:55: error: gateway.zones[1]: no issuer signs for lan.internal: it is neither one of certManager.zones nor below one; add it there'
	change 's/, lan.internal//; s/x.a.home/x.b.home/'
	fault 'cluster.yaml:23:64: error: gateway.hubble: no certificate is for x.b.home.arpa: those of the gateway are for a zone and the names right below it; take hubble.a.home.arpa'
	change 's/x.b.home.arpa/a.home.arpa, issuer: letsencrypt-production/'
	fault 'cluster.yaml:23:85: error: gateway.issuer: letsencrypt-production is not among certManager.issuers; add it there, or take one that is'
	change 's/issuer: letsencrypt-production/allowFrom: [192.168.1.0\/24, 10.9.8.7, 0.0.0.0\/0]/'
	note "cluster.yaml:23:88: note: gateway.allowFrom: Hubble's UI has no login: everybody who reaches a.home.arpa sees what talks to what in the cluster"
	change 's/10.9.8.7/10.9.8.7\/24/'
	fault 'cluster.yaml:23:105: error: gateway.allowFrom[1]: '\''10.9.8.7/24'\'' cannot be used: the network is 10.9.8.0/24, and a single machine is written without a size'
}

@test "a gateway without issuer, zones, Hubble or the Gateway API is refused" {
	gateway_cluster '{address: 192.168.1.70}' '{}'
	fault 'cluster.yaml:25:10: error: gateway: nobody signs its certificates; add certManager: {issuers: [ca], zones: [home.arpa]}, or dns01 for a domain of yours'
	change 's/^certManager.*/certManager: {issuers: [ca], zones: [home.arpa]}/; s/  hubble: .*/&\n  gatewayAPI: false/'
	fault "cluster.yaml:21:15: error: cilium.gatewayAPI: the gateway is Cilium's, and this turns it off; remove this, or remove gateway"
	change '/gatewayAPI/d; s/  hubble: .*/  hubble: {ui: false}/; s/^gateway:.*/gateway: {address: 192.168.1.70, hubble: h.home.arpa}/'
	fault 'cluster.yaml:25:42: error: gateway.hubble: there is no Hubble UI to show; set cilium.hubble.ui: true, or remove this'
}

@test "a gateway on a kernel that Envoy does not run on names the cure" {
	gateway_cluster '{address: 192.168.1.70}'
	change 's/board: rpi5/board: rpi4/'
	fault 'cluster.yaml:25:10: error: gateway: Envoy, which would serve it, crashes on cp-1: Raspberry Pi 4 boots kernel8.img with 39 address bits, and Envoy needs more; set os.base: debian, or remove gateway'
	add 'os: {base: debian}'
	fine
}

@test "a wildcard without zones is refused" {
	add 'certManager: {wildcard: true}'
	fault 'cluster.yaml:24:25: error: certManager.wildcard: for which domains? add zones'
}

# ---- secrets ----

@test "a secret written literally is refused and not repeated" {
	add 'certManager: {dns01: {provider: digitalocean, accessToken: dop_v1_abcdef}}'
	fault 'cluster.yaml:24:60: error: certManager.dns01.accessToken: a secret must not be written here, where git and backups keep it; use {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}'
}

@test "an unset variable is a fault at its line" {
	add 'certManager: {dns01: {provider: digitalocean, accessToken: {env: NOT_SET_ANYWHERE}}}'
	fault 'cluster.yaml:24:60: error: certManager.dns01.accessToken: the environment variable NOT_SET_ANYWHERE is not set; it should hold the secret'
}

@test "a missing secret file is a fault at its line" {
	add 'certManager: {dns01: {provider: cloudflare, apiToken: {file: /nonexistent}}}'
	fault 'cluster.yaml:24:55: error: certManager.dns01.apiToken: the secret'\''s file /nonexistent cannot be read: No such file or directory'
}

@test "a command that is a string is refused" {
	add 'certManager: {dns01: {provider: cloudflare, apiToken: {command: pass dns}}}'
	fault 'cluster.yaml:24:55: error: certManager.dns01.apiToken: command takes a list: the program and its arguments, such as [pass, show, dns/token]; no shell runs'
}

@test "a secret with two sources is refused" {
	add 'certManager: {dns01: {provider: cloudflare, apiToken: {env: A, command: [b]}}}'
	fault 'cluster.yaml:24:55: error: certManager.dns01.apiToken: give exactly one of {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}'
}

@test "a misspelt provider names the nearest" {
	add 'certManager: {dns01: {provider: cloudfare, apiToken: {command: [b]}}}'
	fault 'cluster.yaml:24:33: error: certManager.dns01.provider: no provider '\''cloudfare'\''; did you mean '\''cloudflare'\''? (there are '"$(sed -n 's/^### //p' "$top/docs/reference.md" | paste -sd, | sed 's/,/, /g')"')'
}

@test "a missing key of a provider is named" {
	add 'certManager: {dns01: {provider: route53, region: eu-central-1, accessKeyID: AKIA}}'
	fault 'cluster.yaml:24:22: error: certManager.dns01: '\''secretAccessKey'\'' is missing: the key itself, such as {env: AWS_SECRET_ACCESS_KEY}'
}

@test "a key of another provider names the nearest" {
	add 'certManager: {dns01: {provider: digitalocean, apiToken: {command: [b]}, accessToken: {command: [b]}}}'
	fault 'cluster.yaml:24:47: error: certManager.dns01: unknown key '\''apiToken'\''; known here: provider, accessToken'
}

# ---- what blog posts put into Helm values ----

@test "k8sServiceHost: auto is refused" {
	values 'k8sServiceHost: auto'
	fault '@PWD@/extra.yaml:1:17: error: k8sServiceHost: auto reads a ConfigMap that only kubeadm makes; on K3s the agents would dial a host called '\''auto'\'', or the install stops. Remove it: pibuild sets 127.0.0.1'
}

@test "port 6443 on loopback is refused" {
	values 'k8sServicePort: 6443'
	fault '@PWD@/extra.yaml:1:17: error: k8sServicePort: on 127.0.0.1 K3s has the API at port 6444 on every node; 6443 exists on servers only. Remove it'
}

@test "health port 10250 is refused" {
	values 'kubeProxyReplacementHealthzBindAddr: 0.0.0.0:10250'
	fault '@PWD@/extra.yaml:1:38: error: kubeProxyReplacementHealthzBindAddr: port 10250 of a node belongs to the kubelet, so one of the two would not start; remove it: 10256 is free'
}

@test "the master label is refused wherever it stands" {
	values 'operator:' '  nodeSelector:' '    node-role.kubernetes.io/master: "true"'
	fault '@PWD@/extra.yaml:3:5: error: operator.nodeSelector: K3s has not set the label node-role.kubernetes.io/master since 1.34, so this matches no node and the pods stay Pending; use node-role.kubernetes.io/control-plane: "true"'
}

@test "externalIPs is refused as doing nothing" {
	values 'externalIPs: {enabled: true}'
	fault '@PWD@/extra.yaml:1:14: error: externalIPs: this key is no longer in Cilium'\''s chart and does nothing, without a word; remove it'
}

@test "kubeProxyReplacement: strict is refused" {
	values 'kubeProxyReplacement: strict'
	fault '@PWD@/extra.yaml:1:23: error: kubeProxyReplacement: must be true: K3s runs without kube-proxy here, so nothing else would serve ClusterIPs. Remove it'
}

@test "more operators than servers are refused" {
	values 'operator: {replicas: 2}'
	fault '@PWD@/extra.yaml:1:22: error: operator.replicas: 2 replicas need 2 control-plane nodes and there is 1: the rest would stay Pending, and every wait for it fails'
}

@test "replicas as text is refused" {
	values 'operator: {replicas: "1"}'
	fault '@PWD@/extra.yaml:1:22: error: operator.replicas: must be a number of 1 or more, without quotes: the chart'\''s schema refuses text'
}

@test "lost indentation is refused" {
	values 'l2announcements:'
	fault '@PWD@/extra.yaml:1:17: error: l2announcements: must hold keys below it; with the indentation lost, Cilium'\''s chart dies with '\''nil pointer evaluating interface'\'''
}

@test "pods in the default 10.0.0.0/8 are refused" {
	values 'ipam: {operator: {clusterPoolIPv4PodCIDRList: [10.0.0.0/8]}}'
	fault '@PWD@/extra.yaml:1:47: error: ipam.operator.clusterPoolIPv4PodCIDRList: pods must come from cluster.podCIDR (10.42.0.0/16), which K3s knows too; set that in cluster.yaml and remove this'
}

@test "six VLAN ids are refused" {
	values 'bpf: {vlanBypass: [1, 2, 3, 4, 5, 6]}'
	fault '@PWD@/extra.yaml:1:19: error: bpf.vlanBypass: the agent refuses more than 5 VLAN ids; [0] lets all pass'
}

@test "lease timing out of order is refused" {
	values 'l2announcements: {leaseDuration: 3s, leaseRenewDeadline: 5s}'
	fault '@PWD@/extra.yaml:1:18: error: l2announcements: leaseDuration (3.0s) must be longer than leaseRenewDeadline (5.0s), or addresses jump between nodes for ever'
}

@test "a renew deadline too close to the retry period is refused" {
	values 'l2announcements: {leaseRenewDeadline: 2s}'
	fault '@PWD@/extra.yaml:1:18: error: l2announcements: leaseRenewDeadline (2.0s) must be at least 1.2 times leaseRetryPeriod (2.0s), or the agent does not start announcing'
}

@test "announcements off beside a pool are refused" {
	values 'l2announcements: {enabled: false}'
	fault '@PWD@/extra.yaml:1:28: error: l2announcements.enabled: cluster.yaml has address pools, and without announcements nobody on the LAN would find them; remove it'
}

@test "geneve is refused on Raspberry Pi OS" {
	values 'tunnelProtocol: geneve'
	fault '@PWD@/extra.yaml:1:17: error: tunnelProtocol: the kernels of Raspberry Pi OS have no geneve, so pods of different nodes would not reach each other; use vxlan'
}

@test "Gateway API by values is refused" {
	values 'gatewayAPI: {enabled: true}'
	fault '@PWD@/extra.yaml:1:23: error: gatewayAPI.enabled: set cilium.gatewayAPI in cluster.yaml instead: more than this value depends on it (CRDs, GatewayClass, the Envoy of every board)'
}

@test "externalTrafficPolicy: Local is refused" {
	values 'gatewayAPI: {externalTrafficPolicy: Local}'
	fault '@PWD@/extra.yaml:1:37: error: gatewayAPI.externalTrafficPolicy: with L2 announcements the address of a Local service can be announced by a node that drops its traffic, or by none; keep Cluster'
}

@test "Hubble UI by values is refused" {
	values 'hubble: {ui: {enabled: true}}'
	fault '@PWD@/extra.yaml:1:24: error: hubble.ui.enabled: set cilium.hubble.ui in cluster.yaml instead'
}

@test "Hubble certificates by cert-manager are refused" {
	values 'hubble: {tls: {auto: {method: certmanager}}}'
	fault '@PWD@/extra.yaml:1:31: error: hubble.tls.auto.method: cert-manager runs only once the network does, which waits for these certificates; use cronJob'
}

@test "the L7 proxy off beside ingress is refused" {
	change 's/  hubble: .*/&\n  ingress: true/'
	values 'l7Proxy: false'
	fault '@PWD@/extra.yaml:1:10: error: l7Proxy: Cilium'\''s chart refuses ingress and Gateway API without the L7 proxy; set cilium: {ingress: false, gatewayAPI: false} in cluster.yaml'
}

@test "another cluster name is refused" {
	values 'cluster: {name: default}'
	fault '@PWD@/extra.yaml:1:17: error: cluster.name: this is cluster.name of cluster.yaml (lab); remove it here'
}

@test "a values file that is no YAML is refused" {
	values 'a: b: c'
	fault 'cluster.yaml:21:15: error: cilium.valuesFile: '\''extra.yaml'\'' cannot be used: @PWD@/extra.yaml:1:5: a '\'':'\'' stands where no key can be: check the indentation of this line and the one above, and put quotes around text that holds '\'': '\'''
}

@test "a values file that is missing is refused" {
	change 's/  hubble: .*/&\n  valuesFile: nowhere.yaml/'
	fault 'cluster.yaml:21:15: error: cilium.valuesFile: '\''nowhere.yaml'\'' cannot be used: @PWD@/nowhere.yaml: No such file or directory'
}

# ---- notes, which make nothing invalid ----

@test "auto on a 39-bit kernel says what stays off" {
	change 's/role: worker, board: rpi5/role: worker, board: rpi4/'
	note 'cluster.yaml:20:3: note: cilium: ingress and Gateway API stay off, because Envoy does not run on w-1 (Raspberry Pi 4, 39 address bits)'
}

@test "a K3s that nothing is tested with is noted" {
	add 'versions: {k3s: v1.37.1+k3s1}'
	note 'cluster.yaml:24:17: note: versions.k3s: Cilium 1.20.0 is tested with Kubernetes 1.33 to 1.36, not with K3s v1.37.1+k3s1'
}

@test "a version the lock lacks is noted" {
	add 'versions: {helm: v3.99.0}'
	note 'cluster.yaml:24:18: note: versions.helm: the lock has no digest of helm v3.99.0; run `pibuild lock` before the first build'
}

@test "Wi-Fi that no node uses is noted" {
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {command: ["false"]}, country: DE}/'
	note 'cluster.yaml:14:9: note: network.wifi: every node has Ethernet and uses it; for Wi-Fi on all nodes set network.interface: wlan0'
}

@test "an e-mail address of a domain that nobody can prove to have is noted" {
	add 'certManager: {email: me@x}'
	for domain in example.com home.lan mail.fritz.box x.example.org; do
		change "s/me@[a-z.]*/me@$domain/"
		note "cluster.yaml:24:22: note: certManager.email: Let's Encrypt refuses accounts of $domain; put your own address here"
	done
}

@test "a node that is its own name server is noted, an empty list of them is none" {
	change 's/nameservers: .*/nameservers: [192.168.1.12, 192.168.1.1]/'
	note 'cluster.yaml:14:17: note: network.nameservers[0]: 192.168.1.12 is w-1, where no name server runs at first boot, and a node needs names to fetch images; put your router'\''s address here'
	change 's/nameservers: .*/nameservers: []/'
	fault 'cluster.yaml:12:3: error: network.nameservers is missing: cp-1 has a static address and would resolve no name; your router'\''s address usually does'
}

@test "dedicated load balancers are noted" {
	values 'ingressController: {loadbalancerMode: dedicated}'
	note '@PWD@/extra.yaml:1:39: note: ingressController.loadbalancerMode: each Ingress takes an address of its own from the pool, besides the one of the shared service; shared takes one'
}

@test "a fixed list of devices is noted" {
	values 'devices: [eth0]'
	note '@PWD@/extra.yaml:1:10: note: devices: Cilium finds the interfaces itself; a fixed list breaks nodes whose interface has another name (end0, wlan0, USB)'
}

# ---- the whole run ----

@test "every fault is found in one run, in the order of the file" {
	change 's/name: lab/name: LAB/; s/gateway: .*/gateway: 192.168.9.1/; s,192.168.1.12/24,192.168.1.70/24,'
	add 'airgap: maybe'
	streams "$PIBUILD" check
	[ "$status" -eq 3 ]
	[ "$(grep '^cluster.yaml:' <<<"$stderr" | cut -d: -f2 | head -4 | tr '\n' ' ')" = '3 13 18 24 ' ]
	[ "$(tail -1 <<<"$stderr")" = 'pibuild: error: cluster.yaml: 4 faults, nothing was done' ]
}

@test "--json gives the same faults to programs, exit code and all" {
	change 's/role: worker, board: rpi5/role: worker, board: rpi4/; s/gateway: .*/gateway: 192.168.9.1/'
	streams "$PIBUILD" check --json
	[ "$status" -eq 3 ]
	jq -e '.ok == false and (.faults | length) == 2 and .faults[0].file == "cluster.yaml" and .faults[0].line == 13
		and .faults[0].column == 12 and .faults[0].severity == "error" and .faults[1].severity == "note"
		and (.faults[0].message | startswith("network.gateway: 192.168.9.1 lies outside"))' <<<"$output"
}

@test "--json of a valid file is ok without faults" {
	streams "$PIBUILD" check --json
	[ "$status" -eq 0 ]
	jq -e '. == {ok: true, faults: []}' <<<"$output"
	[ -z "$stderr" ]
}

@test "--json of a file that is no YAML has the place of the fault" {
	echo 'a: b: c' >cluster.yaml
	streams "$PIBUILD" check --json
	[ "$status" -eq 3 ]
	jq -e '.ok == false and .faults[0].line == 1 and .faults[0].column == 5 and .faults[0].file == "cluster.yaml"' <<<"$output"
}

@test "a file that is not there ends 3 and names it" {
	fails 3 'error: cannot open nowhere.yaml: No such file or directory' "$PIBUILD" check -c nowhere.yaml
}

@test "paths in the file are relative to the file, not to where pibuild runs" {
	mkdir -p sub/keys
	printf 'k8sServiceHost: auto\n' >sub/keys/values.yaml
	change 's,  hubble: .*,&\n  valuesFile: keys/values.yaml,'
	mv cluster.yaml sub/
	fails 3 "$PWD/sub/keys/values.yaml:1:17: error: k8sServiceHost" "$PIBUILD" check -c sub/cluster.yaml
}

@test "checking writes nothing and runs no command" {
	add "certManager: {dns01: {provider: cloudflare, apiToken: {command: [touch, $PWD/ran]}}}"
	ls -A >before 2>/dev/null
	HOME=$PWD/home XDG_CACHE_HOME=$PWD/xdg "$PIBUILD" check
	rm -f before
	[ "$(ls -A)" = 'cluster.yaml' ]
}

@test "a secret never reaches what is printed" {
	add 'certManager: {dns01: {provider: cloudflare, apiToken: {env: TOKEN_X}}, issuers: [nonsense]}'
	export TOKEN_X=verysecretvalue
	for options in '' --json -v; do
		# shellcheck disable=SC2086 # options are words
		run "$PIBUILD" check $options
		[ "$status" -eq 3 ]
		[[ "$output" != *verysecretvalue* ]]
	done
}

@test "faults of the config do not hide those of the secrets file" {
	change 's/gateway: .*/gateway: 192.168.9.1/'
	printf 'x: 1\n' >secrets.yaml
	chmod 600 secrets.yaml
	streams "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$stderr" == *cluster.yaml:13:12:* && "$stderr" == *secrets.yaml* ]]
}

@test "a secrets file that others can read is refused, with the cure" {
	printf 'x: 1\n' >secrets.yaml
	chmod 644 secrets.yaml
	fails 5 'chmod 600 ./secrets.yaml' "$PIBUILD" check
}

@test "--secrets with a file that is not there is a fault" {
	fails 3 'nowhere.yaml' "$PIBUILD" check --secrets nowhere.yaml
}

# ---- without a file ----

@test "without cluster.yaml the shipped default takes the keys of ~/.ssh" {
	mkdir -p home/.ssh
	sed -n 's/^    - ssh/ssh/p' cluster.yaml >home/.ssh/id_ed25519.pub
	rm cluster.yaml
	HOME=$PWD/home streams "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" == *': ok: 1 node (1 control-plane, 0 workers), 0 address pools' ]]
}

@test "without cluster.yaml and without a key it ends 3 and names ssh-keygen" {
	rm cluster.yaml
	mkdir -p home/.ssh
	printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\n' >home/.ssh/broken.pub
	HOME=$PWD/home fails 3 'ssh-keygen -t ed25519' "$PIBUILD" check
}

# ---- limits ----

@test "a file larger than 1 MiB is refused" {
	head -c 1048577 /dev/zero | tr '\0' '#' >cluster.yaml
	fault 'error: cluster.yaml: larger than 1 MiB; this is no configuration file'
}

@test "a file nested deeper than 64 levels is refused" {
	printf 'a: %s\n' "$(printf '[%.0s' {1..64})$(printf ']%.0s' {1..64})" >cluster.yaml
	fault 'cluster.yaml:1:67: error: nested deeper than 64 levels'
}

@test "a value of more than 64 KiB is refused" {
	printf 'a: %s\n' "$(head -c 65537 /dev/zero | tr '\0' x)" >cluster.yaml
	fault 'cluster.yaml:1:4: error: a single value of more than 64 KiB'
}

@test "a billion laughs end at the first anchor" {
	cat >cluster.yaml <<-'EOT'
		a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]
		b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
	EOT
	fault 'cluster.yaml:1:4: error: anchors (&name) are not supported; write the value out where it is needed'
}

@test "a file with NUL bytes is refused" {
	printf 'a: \0\n' >cluster.yaml
	fault 'cluster.yaml:1:4: error: a NUL byte; the file must be plain UTF-8 text (is it UTF-16?)'
}

@test "UTF-16 is named as such" {
	printf '\xff\xfea\0:\0' >cluster.yaml
	fault 'cluster.yaml:1:1: error: the file is UTF-16; save it as UTF-8'
}

@test "a file with CRLF line ends is fine" {
	change 's/$/\r/'
	"$PIBUILD" check
}

@test "a terminal escape in a key is not printed" {
	add '"\e]0;evil\a": 1'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" != *$'\e'* ]]
}

# ---- the shipped examples ----

@test "every example cluster is valid" {
	own_key
	export DO_TOKEN=x WIFI_PASSPHRASE=correct-horse DOCKERHUB_TOKEN=dckr_pat_x BGP_PASSWORD=bgp-password AZURE_CLIENT_SECRET=x AWS_SECRET_ACCESS_KEY=x
	# All that are clusters, but for the default, which has no key of its own.
	for f in $(grep -l '^cluster:' "$top"/configs/*.yaml | grep -v /default.yaml); do
		"$PIBUILD" check -c "$f" 2>err || { cat err; return 1; }
	done
}

@test "no example holds a key, and those that examples once held are refused with whose they are" {
	refute grep -rE 'AAAA[A-Za-z0-9+/]{30}' "$top/configs" "$top/docs" "$top/README.md" "$top/scripts/fleet"
	cp cluster.yaml good.yaml.txt
	while read -r key whose; do
		sed "s|- ssh-ed25519 .*|- ssh-ed25519 $key somebody|" good.yaml.txt >cluster.yaml
		fault "cluster.yaml:9:7: error: access.sshKeys[0]: this is no key of yours but that of an example of pibuild ($whose), whose owner could log in; give your own: {file: ~/.ssh/id_ed25519.pub}, made by \`ssh-keygen -t ed25519\`"
		fails 3 'no key of yours' "$PIBUILD" plan
		printf '%s\nssh-ed25519  %s   x\n' "$example_key" "$key" >k.pub
		sed 's|- ssh-ed25519 .*|- {file: k.pub}|' good.yaml.txt >cluster.yaml
		fails 3 "cluster.yaml:9:7: error: access.sshKeys[0]: $PWD/k.pub: this is no key of yours" "$PIBUILD" check
		fails 2 'no key of yours' "$PIBUILD" init --yes --subnet 192.168.7.0/24 --key k.pub -c new.yaml
	done <<-'EOT'
		AAAAC3NzaC1lZDI1NTE5AAAAII5MzBLcR+y10u4hjZ6hhRD8M307kr0sRpnXvYjSDm8T homelab.yaml and its like
		AAAAC3NzaC1lZDI1NTE5AAAAIDtHFUhg+bgB6lD7yzUYhPpi6+ydl62EVyvxsUJ3buRo demo.yaml
	EOT
}

@test "the password hash that the reference page once showed is refused" {
	change "s|^  timezone.*|  passwordHash: '$(openssl passwd -6 -salt saltsalt password)'|"
	fault "cluster.yaml:10:17: error: access.passwordHash: this is the hash of the word 'password', from an example; make your own with: openssl passwd -6"
}

@test "an example with a secret names the variable that is not set" {
	own_key
	unset DO_TOKEN
	fails 3 'the environment variable DO_TOKEN is not set' "$PIBUILD" check -c "$top/configs/homelab.yaml"
}

@test "a passphrase that WPA does not take is a fault before any build" {
	change 's/  gateway: .*/&\n  wifi: {ssid: Home, passphrase: {file: wpa}, country: DE}/'
	(umask 077 && echo short >wpa)
	fault "cluster.yaml:14:34: error: network.wifi.passphrase: the secret's file @PWD@/wpa is no WPA passphrase: those have 8 to 63 characters, this one has 5"
}

@test "no control character of a field reaches the terminal" {
	change 's/  name: lab/  name: "a\\x9b31m\\e[31m\\x7f"/'
	fault "cluster.yaml:3:9: error: cluster.name: 'a?31m?[31m?' cannot be used: a character is in it that nobody sees (U+009B), as web pages and chats bring it; type it anew"
	change 's/  name: .*/  name: la\xc2\xa0b/'
	fault "cluster.yaml:3:9: error: cluster.name: 'la?b' cannot be used: a character is in it that nobody sees (U+00A0), as web pages and chats bring it; type it anew"
	grep -qxF '    3 |   name: la?b' <<<"$stderr"
}

@test "what is right by its form and can work on no LAN is refused at its place" {
	one_fault_each <<-'EOT'
		s/nameservers: .*/nameservers: [192.168.1.255]/|network.nameservers[0]: 192.168.1.255 is the broadcast address of 192.168.1.0/24, which no machine has; write that of the machine you mean
		s/  gateway: .*/&\n  ntp: [192.168.1.0]/|network.ntp[0]: 192.168.1.0 is the network address of 192.168.1.0/24
		s/  gateway: .*/&\n  hosts: {nas.lan: 192.168.1.255}/|network.hosts: 192.168.1.255 is the broadcast address
		s/  gateway: .*/&\n  proxy: {http: "http:..192.168.1.255:3128"}/; s/http:[.][.]/http:\/\//|network.proxy.http: 192.168.1.255 is the broadcast address
		s/  gateway: .*/&\n  proxy: {http: "http:..p.lan", noProxy: [192.168.0.0\/99]}/; s/http:[.][.]/http:\/\//|network.proxy.noProxy[0]: '192.168.0.0/99' cannot be used: this is neither address nor network, so nothing would be left out by it
		s/  gateway: .*/&\n  proxy: {http: "http:..p.lan", noProxy: [192.168.0.300]}/; s/http:[.][.]/http:\/\//|network.proxy.noProxy[0]: '192.168.0.300' cannot be used
		s/^  timezone.*/  passwordHash: '$6$rounds=5$salt$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'/|access.passwordHash: this is no password hash
		s/^  timezone.*/  passwordHash: '$2b$99$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'/|access.passwordHash: this is no password hash
		s/^  timezone.*/  passwordHash: '$y$zzz$abc$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'/|access.passwordHash: this is no password hash
		s/^nodes:/versions: {raspios: 2026-09-31}\nnodes:/|versions.raspios: '2026-09-31' cannot be used: give the date of one release
	EOT
	cp good.txt cluster.yaml
	change 's/name: w-1/name: 0x1g/; s/name: lan/name: worker/; s/  gateway: .*/&\n  proxy: {http: "http:..p.lan", noProxy: [192.168.0.0\/16, 10.0.0.1:80, .lan, a.lan]}/; s/http:[.][.]/http:\/\//'
	change "s/^  timezone.*/  passwordHash: '\$y\$j9T\$F5Jx5fExrKuPp53xLKQ..1\$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'/"
	"$PIBUILD" check
}

@test "an address where a file, a key or a map is meant is told as that" {
	one_fault_each <<-'EOT'
		s/  hubble: .*/&\n  valuesFile: https:..x.org.v.yaml/; s/https:[.][.]x.org./https:\/\/x.org\//|cilium.valuesFile: 'https://x.org/v.yaml' cannot be used: this is an address, and a file is meant: download it, and give the path of that
		s/^    - ssh-ed25519.*/    - https:..github.com\/me.keys/; s/https:[.][.]/https:\/\//|access.sshKeys[0]: this is the address of an account; write {github: me}
		s/^nodes:/certManager: {email: me@my-domain.org, zones: [my-domain.org], dns01: [cloudflare]}\nnodes:/|certManager.dns01: must hold keys (name: value), not a list
		/name: w-1/d; s/role: control-plane/role: both/|nodes[0].role: 'both' cannot be used: it must be control-plane or worker
		s/^nodes:/boot: {cmdline: ["module_blacklist=snd,vxlan"]}\nnodes:/|boot.cmdline[0]: 'module_blacklist=snd,vxlan' cannot be used: it keeps the module vxlan away, without which K3s or Cilium do not work
		s/^nodes:/boot: {cmdline: ["modprobe.blacklist=br-netfilter"]}\nnodes:/|boot.cmdline[0]: 'modprobe.blacklist=br-netfilter' cannot be used: it keeps the module br_netfilter away
	EOT
	cp good.txt cluster.yaml
	add 'boot: {cmdline: ["module_blacklist=snd"]}'
	"$PIBUILD" check
}

@test "ports that there are not are refused wherever an address has one" {
	local section words
	cp cluster.yaml good.txt
	while IFS='|' read -r section words; do
		cp good.txt cluster.yaml
		add "$section"
		one_fault "$words' cannot be used: a port is a number from 1 to 65535"
	done <<-'EOT'
		registries: {mirrors: [{from: "nas.lan:70000", to: ["https://m.lan"]}]}|registries.mirrors[0].from: 'nas.lan:70000
		registries: {mirrors: [{from: docker.io, to: ["https://nas.lan:0/v2/x"]}]}|registries.mirrors[0].to[0]: 'https://nas.lan:0/v2/x
		registries: {auth: [{registry: "nas.lan:99999", username: a, password: {command: [x]}}]}|registries.auth[0].registry: 'nas.lan:99999
		mirrors: [{from: "https://github.com/", to: "https://m.lan:65536/"}]|mirrors[0].to: 'https://m.lan:65536/
		apps: [{name: a, chart: {repo: "https://x.org:99999/c", name: a, version: 1.0.0}}]|apps[0].chart.repo: 'https://x.org:99999/c
		apps: [{name: a, chart: {oci: "x.org:99999/c", version: 1.0.0}}]|apps[0].chart.oci: 'x.org:99999/c
		gitops: {flux: {url: "https://git.lan:99999/me/home"}}|gitops.flux.url: 'https://git.lan:99999/me/home
		backup: {to: {s3: {endpoint: "https://nas.lan:90000", bucket: bbb, accessKey: {command: [x]}, secretKey: {command: [x]}}}}|backup.to.s3.endpoint: 'https://nas.lan:90000
		certManager: {email: a@my-domain.org, zones: [my-domain.org], dns01: {provider: rfc2136, nameserver: "192.168.1.2:70000", tsigKeyName: k, tsigSecret: {command: [x]}}}|certManager.dns01.nameserver: '192.168.1.2:70000
	EOT
	cp good.txt cluster.yaml
	add 'registries: {mirrors: [{from: "nas.lan:5000", to: ["https://nas.lan:65535/v2/x"]}]}' 'gitops: {flux: {url: "https://git.lan:3000/me/home"}}'
	"$PIBUILD" check
}

@test "numbers that YAML reads and the kernel does not are refused as settings of it" {
	local value
	for value in 0o10 1e4 1_000 -1E3; do
		add "os: {sysctl: {vm.swappiness: $value}}"
		one_fault "os.sysctl.vm.swappiness: '$value' cannot be used: the kernel reads no such spelling of a number; write its digits"
		change '$d'
	done
	for value in true false; do
		add "os: {sysctl: {vm.swappiness: $value}}"
		one_fault "os.sysctl.vm.swappiness: '$value' cannot be used: the kernel reads no words; write 1 or 0"
		change '$d'
	done
	add 'os: {sysctl: {vm.dirty_ratio: 0x10, kernel.sched_rt_runtime_us: -1, net.ipv4.tcp_rmem: "4096 87380 6291456", kernel.core_pattern: "|/bin/false", net.core.default_qdisc: fq, kernel.x: 1edge}}'
	"$PIBUILD" check
}

@test "a certificate with its private key, and one that is cut off, go on no card" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=ca 2>/dev/null
	cat ca.pem ca.key >both.pem
	head -c 300 ca.pem >cut.pem
	cat cut.pem ca.pem >cut-first.pem
	cat ca.pem ca.pem >two.pem
	cp cluster.yaml good.txt
	while IFS='|' read -r file words; do
		cp good.txt cluster.yaml
		add "registries: {mirrors: [{from: docker.io, to: [\"https://m.lan\"], caFile: $file}]}"
		if [ "$words" ]; then
			one_fault "registries.mirrors[0].caFile: '$file' cannot be used: $words"
		else
			"$PIBUILD" check
		fi
	done <<-'EOT'
		both.pem|the file holds a private key, which must not leave your machine; give the certificate alone
		cut.pem|a certificate in the file is cut off; copy all of it, from -----BEGIN to -----END CERTIFICATE-----
		cut-first.pem|a certificate in the file is cut off
		ca.key|the file holds no certificate in PEM form
		two.pem|
	EOT
}

@test "a name that programs take for an address is noted" {
	change 's/name: w-1/name: 7/; s/name: cp-1/name: 0x1g/'
	note 'cluster.yaml:23:12: note: nodes[1].name: programs take a name that is a number for an IPv4 address, so that ssh 7 and the like lead nowhere; put a letter before it'
	change 's/name: 7/name: 0xab/'
	note 'cluster.yaml:23:12: note: nodes[1].name: programs take a name that is a number for an IPv4 address, so that ssh 0xab and the like lead nowhere; put a letter before it'
}

@test "a hash that is refused for its setting is one that crypt(3) makes nothing of, and the others are taken" {
	local setting rest made
	change '/timezone/d'
	while IFS='|' read -r setting rest; do
		made=$(python3 -c 'import ctypes, sys; f = ctypes.CDLL("libcrypt.so.1").crypt; f.restype = ctypes.c_char_p; print(f(b"x", sys.argv[1].encode()).decode())' "$setting")
		change '/passwordHash/d'
		if [ "$rest" ]; then
			[[ "$made" == '*'* ]]
			change "s|^  user: pi|&\n  passwordHash: '$setting$(printf '%*s' "$rest" '' | tr ' ' x)'|"
			one_fault 'access.passwordHash: this is no password hash'
		else
			change "s|^  user: pi|&\n  passwordHash: '$made'|"
			"$PIBUILD" check
		fi
	done <<-'EOT'
		$6$rounds=1000$salt$|
		$6$rounds=999$salt$|86
		$6$rounds=1000000000$salt$|86
		$5$rounds=2000$salt$|
		$5$rounds=02000$salt$|43
		$2b$04$xxxxxxxxxxxxxxxxxxxxxx|
		$2b$32$xxxxxxxxxxxxxxxxxxxxxx|31
		$y$j9T$F5Jx5fExrKuPp53xLKQ..1$|
		$y$zzz$abc$|43
	EOT
}

@test "a podCIDR that is too small for the nodes is answered with one that is not" {
	change '/^  - .name: w-1/d'
	for i in $(seq 300); do
		echo "  - {name: n-$i, role: worker, board: rpi5}"
	done >>cluster.yaml
	one_fault 'cluster.podCIDR: each node takes a /24 for its pods, and 10.42.0.0/16 has room for 256 of the 301 nodes; use a /15'
	change 's/podCIDR: .*/podCIDR: 172.20.0.0\/15/'
	"$PIBUILD" check
}
