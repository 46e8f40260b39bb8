#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Calls of the C library that fail, and how the program ends then. A sample of `make test-faults`.

load ../lib/image

# Counts of make coverage whose writing fails would take those of all other tests along.
setup() {
	export GCOV_PREFIX=$BATS_TEST_TMPDIR/gcov
}

fault_object() {
	object=${PIBUILD%/*}/tests/faults/fault.so
	[ -e "$object" ] || skip "make $object"
	[ "$(grep -c __asan_init "$PIBUILD")" -eq 0 ] || skip "the sanitizers have their own memory"
}

@test "no failing call and no kill ends in wrong bytes, without words, or with the blame on what is good" {
	fault_object
	run sandbox -- "$top/tests/faults/run" "$PIBUILD" "$object" --points "${POINTS:-30}" --seed "${SEED:-1}"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *" points, 0 went wrong" ]]
}

@test "what the machine could not do is no fault of a file, and no socket stops all others" {
	fault_object
	at='check:open:*/4:EMFILE,render:write:*/40:ENOSPC,verify:seek:*/30:EINVAL+,verify:truncate:*:EFBIG,fetch:fcntl:*/2:EMFILE,push:read:*/40:SIGTERM'
	at+=',verify:access:*:EIO,verify:stat:*/6:EIO,pull:stat:*/12:EACCES+,pull:flock:*:ENOLCK,lock:stat:13:EIO,render:stat:11:ENOMEM,render:open:517:EMFILE+'
	at+=',render:readdir:*:EIO,secrets:access:*:EIO,verify:exec:*:EACCES,init:open:*/9:EMFILE,render:access:*/9:EIO,kubeconfig:put:*:ENOSPC,plan:put:*/40:EIO,plan:open:*/8:EMFILE,imager:open:*/4:EMFILE,boot:bind:*:ENOBUFS,boot:dup:*:EMFILE,boot:dup:1:SIGKILL'
	# nodes, with files of several owners
	[ "$(id -u)" -ne 0 ] || at+=',apply:ssh:*/4:cut,apply:ssh:*/5:deaf,live:ssh:*:no-find,live:ssh:*:no-sums,apply:path:*/11:SIGTERM,flash:access:*/50:EIO'
	run sandbox -- "$top/tests/faults/run" "$PIBUILD" "$object" --at "$at"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a disk that is full at one moment or another: words, nothing half, and all is well once there is room" {
	fault_object
	[ "$(id -u)" -eq 0 ] || skip "mounts a small filesystem: wants root"
	run sandbox -- "$top/tests/faults/run" "$PIBUILD" "$object" --full "${FULL:-2}"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the power of this machine fails: what has its name is whole, what was called done is there, and the next build makes all right" {
	fault_object
	[ "$(id -u)" -eq 0 ] || skip "mounts a disk that is watched: wants root"
	run sandbox -- "$top/tests/faults/run" "$PIBUILD" "$object" --cuts "${CUTS:-4}" --seed "${SEED:-1}" --case build
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "an answer that cannot be read is told so, and is no answer that was left out" {
	fault_object
	cd "$BATS_TEST_TMPDIR"
	# every reading of a stream (36) fails (1) with EIO
	python3 -c 'import struct; open("fault", "wb").write(struct.pack("=IIIIQ4096x", 36, 1, 5, 1, 1))'
	run script -qec "env LD_PRELOAD='$object' FAULT_FILE=fault '$PIBUILD' init" talk </dev/null
	echo "$output"
	[ "$status" -eq 1 ]
	[[ "$output" == *"cannot read the answer: Input/output error"* ]]
}

@test "memory's end and a crash are told in words, with exit code 1" {
	fault_object
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	fault() { FAULT_FILE=fault LD_PRELOAD=$object fails 1 "$1" "$PIBUILD" check; }
	# kind alloc, fails (1) with ENOMEM from the 10000th on
	python3 -c 'import struct; open("fault", "wb").write(struct.pack("=IIIIQ4096x", 0, 1, 12, 1, 10000))'
	fault 'out of memory'
	# the program gets (3) a SIGSEGV at the fifth open
	python3 -c 'import struct; open("fault", "wb").write(struct.pack("=IIIIQ4096x", 1, 3, 11, 0, 5))'
	fault 'SIGSEGV'
}

# gone PID: within some seconds
gone() {
	local i
	for ((i = 0; i < 100; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

@test "a sandbox that is told to end twice at once does, and one that is killed takes its command with it" {
	local i
	cd "$BATS_TEST_TMPDIR"
	for signal in TERM TERM TERM TERM TERM KILL; do
		rm -f sandbox
		timeout 100 "$top/scripts/sandbox" -- bash -c 'echo $$ >command; echo $PPID >sandbox; sleep 90; true' 2>/dev/null 3>&- &
		for ((i = 0; i < 400; i++)); do
			[ ! -s sandbox ] || break
			sleep 0.05
		done
		# timeout tells its child and then all of the group
		if [ "$signal" = TERM ]; then kill -TERM $!; else kill -KILL "$(cat sandbox)"; fi
		gone "$(cat sandbox)"
		gone "$(cat command)"
	done
}
