#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild devices and the command line of pibuild flash, as a plain user sees them. What a disk is judged by: tests/unit/
# test_devices.c; real disks: tests/image/flash.bats.

load ../lib/image
load ../lib/disk

teardown() {
	detach_all
}

@test "devices lists every disk of sysfs that has a medium" {
	local name expected=''
	for name in /sys/block/*; do
		[ "$(<"$name/size")" -eq 0 ] || expected+="${name##*/}"$'\n'
	done
	[ "$("$PIBUILD" devices --json | jq -r '.[].name' | sort)" = "$(sort <<<"${expected%$'\n'}")" ]
}

@test "devices says of each why it cannot be flashed, and of none that is mounted that it can" {
	"$PIBUILD" devices --json | jq -e 'all(.[]; (.flashable or .reason != "") and (.mounts == "" or (.flashable | not)))'
	"$PIBUILD" devices --json | jq -e 'all(.[]; .path == "/dev/" + .name and .size > 0)'
}

@test "the disk of / cannot be flashed" {
	local root
	root=$(findmnt -nvo SOURCE /) || skip "/ is no mount here"
	[ -b "$root" ] || skip "/ is on no disk that can be seen"
	"$PIBUILD" devices --json | jq -e 'any(.[]; (.flashable | not) and (.reason | test("runs from it: / is on")))'
}

@test "a loop device is listed with its sequence number for a serial" {
	need_loop
	truncate -s 16M "$BATS_TEST_TMPDIR/disk"
	local loop
	loop=$(attach "$BATS_TEST_TMPDIR/disk")
	[ "$(identity "$loop")" = "seq-$(<"/sys/block/${loop#/dev/}/diskseq")" ]
	"$PIBUILD" devices | grep -A1 "^$loop " | grep -q 'flashed only when its serial is typed'
}

@test "flash without image or disk, with too much, or with a choice that makes no sense is a usage error" {
	fails 2 "which disk? \`pibuild devices\` lists the disks; usage: pibuild flash IMAGE DISK" "$PIBUILD" flash
	fails 2 "which disk, or which image?" "$PIBUILD" flash one.img
	fails 2 "too many arguments" "$PIBUILD" flash one.img /dev/null /dev/null
	fails 2 "too many arguments" "$PIBUILD" flash --node cp-1 one.img /dev/null /dev/zero
	fails 2 "--all means every node" "$PIBUILD" flash --all --node cp-1 /dev/null
	fails 2 "--update keeps what is on the disk" "$PIBUILD" flash --update --discard one.img /dev/null
	fails 2 "one --node at a time" "$PIBUILD" flash --node a --node b /dev/null
}

@test "flash onto what is not there says so and points to devices" {
	fails 1 "\`pibuild devices\` lists them" "$PIBUILD" flash --yes --serial x "$BATS_TEST_FILENAME" "$BATS_TEST_TMPDIR/none"
}

@test "a disk that is not there is told before secrets are made, the /dev/sdX of the examples too" {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	for arguments in '--all /dev/sdX' '--node cp-1 /dev/sdX' 'out/cp-1.img /dev/sdX'; do
		# shellcheck disable=SC2086 # words
		fails 1 'there is no disk /dev/sdX: `pibuild devices` lists them' "$PIBUILD" flash $arguments
	done
	[ ! -e secrets.yaml ]
}
