#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a cluster is born with, and secrets that its cards were made with: told from flashed.jsonl and the images beside.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
}

# line NODE [MEMBER]...: a card that was written, as flash records it
line() {
	jq -cn --arg n "$1" "{time: \"2026-11-01T10:00:00Z\", state: \"done\", node: \$n, serial: \"s\", model: \"m\", disk: \"/dev/sdx\", size: 1} + {${2:-}}" >>flashed.jsonl
}

born='cluster: "lab", starts: true, born: {"cluster.podCIDR": "10.42.0.0/16", "cluster.serviceCIDR": "10.43.0.0/16", "cluster.datastore": "sqlite"}'

@test "what a cluster was started with stays: a fault at the key that was changed" {
	line cp-1 "$born"
	"$PIBUILD" check
	sed -i 's/^  name: lab/&\n  podCIDR: 10.50.0.0\/16/' cluster.yaml
	fails 3 "cluster.yaml:4:" "$PIBUILD" check
	[[ "$output" == *"cluster.podCIDR: lab was started with 10.42.0.0/16 (card of cp-1, 2026-11-01T10:00:00Z), and a running cluster cannot change to 10.50.0.0/16: write 10.42.0.0/16 again, or start anew"* ]]
	[[ "$output" == *'`pibuild flash --start-new-cluster --node cp-1 DISK`'* ]]
	sed -i 's/podCIDR/serviceCIDR/' cluster.yaml
	fails 3 "cluster.serviceCIDR: lab was started with 10.43.0.0/16" "$PIBUILD" check
	sed -i 's/serviceCIDR.*/datastore: etcd/' cluster.yaml
	fails 3 "cluster.datastore: lab was started with sqlite" "$PIBUILD" check
	sed -i 's/datastore.*/podCIDR: 10.42.0.0\/16/' cluster.yaml
	"$PIBUILD" check
}

# encrypted: what a server of this cluster would be told
encrypted() {
	rm -rf card
	"$PIBUILD" render --node cp-1 -o card >/dev/null && grep '^secrets-encryption' card/etc/rancher/k3s/config.yaml
}

@test "a new cluster encrypts its Secrets, one that is there goes on as it was started, and a change is a fault" {
	[ "$(encrypted)" = 'secrets-encryption: true' ]
	line cp-1 "${born%\}}, \"k3s.secretsEncryption\": \"true\"}"
	[ "$(encrypted)" = 'secrets-encryption: true' ]
	sed -i 's/^access:/k3s: {secretsEncryption: false}\n&/' cluster.yaml
	fails 3 "k3s.secretsEncryption: lab was started with true (card of cp-1, 2026-11-01T10:00:00Z), and a running cluster cannot change to false: write true again" "$PIBUILD" check
	# cards from before it was kept
	line cp-1 "$born"
	"$PIBUILD" check
	sed -i '/^k3s:/d' cluster.yaml
	[ "$(encrypted)" = '' ]
	sed -i 's/^access:/k3s: {secretsEncryption: true}\n&/' cluster.yaml
	fails 3 "k3s.secretsEncryption: lab was started with false" "$PIBUILD" check
	rm flashed.jsonl
	"$PIBUILD" check
}

@test "another only server leaves the cluster behind: a note, until the one that started it was removed" {
	line cp-1 "$born"
	line w-1 'cluster: "lab", starts: false'
	sed -i 's/name: cp-1/name: server/' cluster.yaml
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" == *"note: nodes[0]: server is the only server now, and lab was started by cp-1 (card of 2026-11-01T10:00:00Z), which is no node of this file any more: a card of server starts a cluster of its own, and what is in lab (objects, Secrets, volumes) stays behind"* ]]
	[[ "$output" == *'`pibuild flash --restore`'* ]]
	sed -i 's/name: server/name: cp-1/; s/role: worker/role: moved/; s/role: control-plane/role: worker/; s/role: moved/role: control-plane/' cluster.yaml
	run "$PIBUILD" check
	[[ "$output" == *"note: nodes[1]: w-1 is the only server now, and lab was started by cp-1 (card of 2026-11-01T10:00:00Z), which is a worker now:"* ]]
	line cp-1 'cluster: "lab", state: "removed"'
	run "$PIBUILD" check
	[[ "$output" != *"is the only server now"* ]]
}

@test "another cluster's cards, cards of workers and writings that did not end are no birth" {
	line cp-1 "${born//\"lab\"/\"other\"}"
	line w-1 'cluster: "lab", starts: false'
	line cp-1 "$born, state: \"begun\""
	sed -i 's/^  name: lab/&\n  podCIDR: 10.50.0.0\/16/' cluster.yaml
	"$PIBUILD" check
	# the last one counts
	line cp-1 "$born"
	fails 3 "was started with 10.42.0.0/16" "$PIBUILD" check
	line cp-1 "${born//10.42/10.50}"
	"$PIBUILD" check
}

@test "secrets that cards or images were made with are not made anew by a build" {
	line w-1 'cluster: "lab", starts: false'
	fails 5 "./secrets.yaml is missing, and the card of w-1, written 2026-11-01T10:00:00Z (./flashed.jsonl) was made with it" \
		"$PIBUILD" build --offline --cache cache
	[[ "$output" == *"put the file back from your backup, or, when it is lost, start anew: \`pibuild secrets new\`"* ]]
	[ ! -e secrets.yaml ]
	sed -i 's/"lab"/"other"/' flashed.jsonl
	mkdir out
	echo '{"cluster": "lab", "node": "cp-1"}' >out/cp-1.manifest.json
	fails 5 "the image of cp-1 (out/cp-1.manifest.json) was made with it" "$PIBUILD" build --offline --cache cache
	[ ! -e secrets.yaml ]
	# one that cannot be read may be such a one
	ln -sf cp-1.manifest.json out/cp-1.manifest.json
	fails 1 "out/cp-1.manifest.json: Too many levels of symbolic links; it says whether there are images of the secrets that are missing" \
		"$PIBUILD" build --offline --cache cache
	[ ! -e secrets.yaml ]
	# the way on that it names
	"$PIBUILD" secrets new
	run "$PIBUILD" build --offline --cache cache
	[[ "$output" != *"is missing, and"* ]]
}

@test "a node that was added has no password yet: check and plan say that it will be made" {
	"$PIBUILD" secrets new -q
	"$PIBUILD" check 2>&1 | grep -c 'has no password' | grep -qx 0
	echo '  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24}' >>cluster.yaml
	for command in check plan; do
		run "$PIBUILD" "$command"
		[ "$status" -eq 0 ]
		[[ "$output" == *"cluster.yaml:17:"*"./secrets.yaml has no password for w-2 yet: the next \`pibuild build\` or \`flash\` makes it"* ]]
	done
	fails 3 'has no password for w-2 yet: `pibuild build` makes it' "$PIBUILD" render --node w-2 --show-secrets
	run "$PIBUILD" build --offline --cache cache
	grep -q 'w-2' secrets.yaml
	"$PIBUILD" render --node w-2 --show-secrets
}
