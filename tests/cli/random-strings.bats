#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Whatever a person writes into a field is refused with its line, or is on the card as it was written.

load ../lib/image

@test "random text in every field is refused by name or comes back unchanged from the card's files" {
	/usr/bin/python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed"
	run "$top/tests/random-strings" --count "${RANDOM_STRINGS:-1500}" "$PIBUILD"
	echo "$output"
	[ "$status" -eq 0 ]
}
