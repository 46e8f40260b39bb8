#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Filesystems that share blocks: base, layer and images have one copy of what they have in common. Root, for loop mounts.
# shellcheck disable=SC2154 # variables of the library

load ../lib/image

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to mount a file system"
	cd "$BATS_TEST_TMPDIR" || return
	write_cluster
	sed -i '$a\  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24}' cluster.yaml
}

teardown() {
	[ ! -d there ] || umount there
}

# on KIND OPTION...: the folder there, which mkfs.KIND made.
on() {
	[ -n "$(command -v "mkfs.$1")" ] || skip "no mkfs.$1 here"
	truncate -s 1G disk
	"mkfs.$1" -q "${@:2}" disk
	mkdir there
	mount -o loop disk there
}

# bytes_of IMG: those that are its own, and those that it shares, as the kernel tells.
bytes_of() {
	filefrag -v -b1 "$1" | awk -F: '$1 ~ /^ *[0-9]+$/ { n = $4 + 0; if (/shared/) shared += n; else own += n }
		END { print own + 0, shared + 0 }'
}

# Further images of a layer take the room of what is their node's alone, and are the bytes that they are elsewhere.
shares_blocks() {
	local image own shared
	CACHE=$PWD/there/cache build -o there/out
	sync -f there
	for image in there/out/{cp-1,w-1,w-2}.img; do
		read -r own shared <<<"$(bytes_of "$image")"
		echo "$image: $own bytes of its own, $shared shared"
		[ "$own" -lt $((1 << 20)) ]
		[ "$shared" -gt $((2 << 20)) ]
		judge "$image"
	done
	build -o out >/dev/null
	diff -r out there/out
}

@test "on XFS an image shares its layer's blocks, and is the same" {
	on xfs -m reflink=1
	shares_blocks
}

@test "on btrfs an image shares its layer's blocks, and is the same" {
	on btrfs
	shares_blocks
	# A second judge: total, exclusive and shared bytes.
	btrfs filesystem du --raw -s there/out/w-2.img | awk 'NR == 2 && $2 < 1048576 && $1 > 3 * $2 { ok = 1 } END { exit !ok }'
}
