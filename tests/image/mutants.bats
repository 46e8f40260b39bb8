#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Filesystems with a few wrong bytes. A sample of `make test-mutants`.

load ../lib/image

@test "mutated filesystems end in a verdict, and good is only said of what e2fsck and fsck.fat call good" {
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	run sandbox -- "$top/tests/faults/mutants" "$PIBUILD" base.img --count "${COUNT:-15}" --seed "${SEED:-1}"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *" mutants, 0 went wrong" ]]
}
