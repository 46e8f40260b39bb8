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

# slow_disk [FILTER-OPTION]...: $loop is a disk that takes 30 ms for each request, and fails as long as there is a file `fails`.
slow_disk() {
	local dir=$BATS_TEST_TMPDIR
	: >"$dir/disk"
	nbdkit -U "$dir/socket" -P "$dir/nbdkit.pid" --filter=error --filter=delay memory 256M rdelay=30ms wdelay=30ms \
		error-file="$dir/fails" "$@"
	nbdfuse "$dir/disk" --unix "$dir/socket" &
	until [ "$(stat -c %s "$dir/disk")" -gt 0 ]; do sleep 0.05; done
	loop=$(attach --direct-io=on "$dir/disk")
}

teardown() {
	detach_all
	[ ! -e "$BATS_TEST_TMPDIR/nbdkit.pid" ] || {
		until umount "$BATS_TEST_TMPDIR/disk" 2>/dev/null; do sleep 0.05; done
		kill "$(cat "$BATS_TEST_TMPDIR/nbdkit.pid")"
	}
}

@test "a slow disk is only slow" {
	slow_disk
	flash out/cp-1.img "$loop"
	same_data out/cp-1.img "$loop"
}

@test "a slow disk that fails is given up in time, with the place, and has no boot sector" {
	local fault
	for fault in pwrite pread; do
		slow_disk "error-$fault-rate=100%"
		(sleep 0.4 && touch "$BATS_TEST_TMPDIR/fails") &
		SECONDS=0
		run flash out/cp-1.img "$loop"
		[ "$SECONDS" -lt 35 ]
		[ "$status" = $([ $fault = pwrite ] && echo 1 || echo 4) ]
		[[ "$output" == *"$loop at byte "* ]]
		rm "$BATS_TEST_TMPDIR/fails"
		[ "$(boot_signature "$loop")" = 0000 ]
		teardown
		rm "$BATS_TEST_TMPDIR"/{disk,socket,nbdkit.pid,loops}
	done
}
