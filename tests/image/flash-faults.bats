#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A small sample of tests/flash-faults, which in full (its defaults) takes some ten minutes.

load ../lib/image
load ../lib/disk

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	build -o out >/dev/null 2>&1
}

setup() {
	need_loop
	command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null || skip "nbdkit and nbdfuse are not installed"
	[ -c /dev/fuse ] || skip "this machine has no FUSE"
	cd "$BATS_FILE_TMPDIR"
}

@test "corruptions, errors, pulled disks, kills and false capacities: none leaves a card that is called good and is not" {
	run "$top/tests/flash-faults" "$PIBUILD" out/cp-1.img out/w-1.img --corruptions 21 --errors 9 --kills 2 \
		--interrupts 7 --seed 7
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"0 went wrong" ]]
	[[ "$output" == *"wrap: a disk of half the size"* && "$output" == *"limbo: a disk of half the size"* ]]
}
