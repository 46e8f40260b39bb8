#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which card may start its cluster, as flash decides and writes it: real block devices, the tiny base.

load ../lib/image
load ../lib/disk

servers() {
	write_servers 3
	echo '  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.21/24}' >>cluster.yaml
}

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	servers
	build --node cp-1 -o out >/dev/null 2>&1
	[ "$(id -u)" -ne 0 ] || dirty dirty.img 256
}

setup() {
	need_loop
	cd "$BATS_FILE_TMPDIR"
	servers
	rm -f flashed.jsonl
	disk=$BATS_TEST_TMPDIR/disk
	cp dirty.img "$disk"
	loop=$(attach "$disk")
}

teardown() {
	detach_all
}

# card NODE [OPTION]...: its card, from the layer that is in the cache
card() {
	sandbox -- "$PIBUILD" --progress none --cache cache flash --node "$@" --yes --serial "$(identity "$loop")" "$loop"
}

mark() {
	root_cat "$loop" /etc/pibuild/birth
}

# as a machine leaves it that has booted from it
boots() {
	debugfs -w -f /dev/stdin "$loop?offset=$(part_start "$loop" 2)" >/dev/null 2>&1 <<-EOT
		rm /etc/machine-id
		write $BATS_TEST_FILENAME /etc/machine-id
	EOT
}

@test "the first card of the first server may start the cluster, whichever server's is written first; no other may" {
	card cp-2
	[ "$(mark)" = no ]
	card cp-1
	[ "$(mark)" = yes ]
	card w-1
	refute root_has "$loop" /etc/pibuild/birth
	jq -s -e '[.[] | select(.state == "done") | [.node, .cluster, .starts, .born["cluster.datastore"]]] ==
		[["cp-2", "lab", false, null], ["cp-1", "lab", true, "etcd"], ["w-1", "lab", false, null]]' flashed.jsonl
}

@test "a card that was never booted leaves its right to the next one in its place; one that was does not" {
	card cp-1
	card cp-1
	[ "$(mark)" = yes ]
	boots
	run card cp-1
	[[ "$output" == *"a card of cp-1 that starts lab was written "*": this one joins it through another server; if lab never ran or is gone, flash with --start-new-cluster"* ]]
	[ "$(mark)" = no ]
	# Not even unbooted: it had no right to leave.
	card cp-1
	[ "$(mark)" = no ]
}

@test "a writing that did not end started nothing; a card of before there were marks may have" {
	echo '{"time": "2026-01-01T00:00:00Z", "state": "begun", "node": "cp-1", "cluster": "lab", "starts": true}' >flashed.jsonl
	card cp-1
	[ "$(mark)" = yes ]
	cp dirty.img "$disk"
	echo '{"time": "2026-01-01T00:00:00Z", "state": "done", "node": "cp-1"}' >flashed.jsonl
	card cp-1
	[ "$(mark)" = no ]
}

@test "--start-new-cluster wants the cluster's name typed, and is about the first server's card" {
	fails 2 "pibuild flash --start-new-cluster --node NAME DISK, with the name of the first server" "$PIBUILD" flash --start-new-cluster out/cp-1.img "$loop"
	fails 2 "a cluster is started by its first server: --start-new-cluster goes with --node cp-1" "$PIBUILD" flash --start-new-cluster --node cp-2 "$loop"
	card cp-1
	boots
	fails 5 "not confirmed" on_terminal "$(identity "$loop")"$'\nyes' "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --start-new-cluster --node cp-1 "$loop"
	[[ "$output" == *"Type the cluster's name to go on:"* ]]
	on_terminal "$(identity "$loop")"$'\nlab' "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --start-new-cluster --node cp-1 "$loop"
	[ "$(mark)" = yes ]
	# What it was born with counts no longer, and is what it is born with now.
	sed -i 's/^  name: lab/&\n  podCIDR: 10.50.0.0\/16/' cluster.yaml
	fails 3 "cluster.podCIDR: lab was started with 10.42.0.0/16" card cp-1
	card cp-1 --start-new-cluster
	"$PIBUILD" check
}

@test "the only server's card is its cluster: once it ran, its node's name is wanted" {
	sed -i '/name: cp-[23]/d' cluster.yaml
	card cp-1
	refute root_has "$loop" /etc/pibuild/birth
	jq -e 'select(.state == "done").born["cluster.datastore"] == "sqlite"' flashed.jsonl
	run on_terminal "$(identity "$loop")" "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --node cp-1 "$loop"
	[[ "$output" != *"nowhere else"* ]]
	[ "$status" -eq 0 ]
	boots
	fails 5 "not confirmed" on_terminal "$(identity "$loop")" "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --node cp-1 "$loop"
	[[ "$output" == *"The cluster lab is on it and nowhere else: its objects, Secrets and volumes go. Type cp-1 to go on:"* ]]
	on_terminal cp-1 "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --node cp-1 "$loop"
	boots
	card cp-1 2>&1 | grep 'the cluster lab is on .* and nowhere else'
}

@test "what an image file brings along is known under sudo too, where the disk is root's alone" {
	local home
	home=$(mktemp -d /tmp/pibuild-birth.XXXXXX)
	cp out/cp-1.img cluster.yaml "$home"
	chown -R nobody "$home" && chmod 755 "$home"
	# LeakSanitizer cannot trace who became somebody else.
	(cd "$home" && SUDO_UID=$(id -u nobody) ASAN_OPTIONS=detect_leaks=0 "$PIBUILD" --progress none flash cp-1.img --yes --serial "$(identity "$loop")" "$loop")
	jq -es 'last | .born["cluster.datastore"] == "etcd"' "$home/flashed.jsonl"
	rm -rf "$home"
}

@test "a card that an image file was written to says what its cluster is born with, as one made by flash does" {
	xz -T0 -0 -c out/cp-1.img >"$BATS_TEST_TMPDIR/cp-1.img.xz"
	for image in out/cp-1.img "$BATS_TEST_TMPDIR/cp-1.img.xz"; do
		rm -rf flashed.jsonl "$BATS_TEST_TMPDIR/card"
		sandbox -- "$PIBUILD" --progress none flash "$image" --yes --serial "$(identity "$loop")" "$loop" >/dev/null
		jq -es 'last | .born["k3s.secretsEncryption"] == "true" and .born["cluster.datastore"] == "etcd" and (has("starts") | not)' flashed.jsonl
		# Nothing of the cluster changes by that.
		"$PIBUILD" render --node cp-1 -o "$BATS_TEST_TMPDIR/card" >said 2>&1 || { cat said; return 1; }
		root_cat "$loop" /etc/rancher/k3s/config.yaml | grep -q '^secrets-encryption: true'
		grep -q '^secrets-encryption: true' "$BATS_TEST_TMPDIR/card/etc/rancher/k3s/config.yaml"
	done
}
