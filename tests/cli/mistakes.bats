#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Mistakes of beginners (tests/mistakes/*.yaml), each with all that `check` says of it (.txt). A new one is a file; `tests/mistakes/run --update NAME.yaml` writes its text, which is then read.

load ../lib/image

@test "each mistake of a beginner is told as it is written down" {
	local mistake
	"$top/tests/mistakes/run" >said
	for mistake in "$top"/tests/mistakes/*.yaml; do
		echo "== $(basename "$mistake")"
		cat "${mistake%.yaml}.txt"
	done >expected
	diff expected said
	[ "$(grep -c '^== ' expected)" -ge 80 ]
	[ "$(grep -c '^exit 3$' expected)" -eq "$(grep -c '^== ' expected)" ]
}

@test "a folder where a file is wanted" {
	mkdir lab empty
	run "$PIBUILD" check -c empty
	[ "$status" -eq 3 ]
	[ "${lines[0]}" = 'error: empty is a folder: -c takes the file that describes the cluster, and there is none in it' ]
	echo 'apiVersion: pibuild/v1' >lab/cluster.yaml
	run "$PIBUILD" check -c lab
	[ "$status" -eq 3 ]
	[ "${lines[0]}" = 'error: lab is a folder: name the file in it, with `-c lab/cluster.yaml`' ]
	run "$PIBUILD" check -c lab/cluster.yaml
	[[ "${lines[0]}" == lab/cluster.yaml:* ]]
	cd lab
	run "$PIBUILD" check -c .
	[ "${lines[0]}" = 'error: . is a folder: name the file in it, with `-c cluster.yaml`' ]
}

@test "a key and its value in one word, with a secret in it: the secret is not repeated" {
	printf '%s\n' 'apiVersion: pibuild/v1' 'network: {wifi: {ssid: x, passphrase:hunter22, country: DE}, key:hunter22: 1}' >cluster.yaml
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" != *hunter22* ]]
	[[ "$output" == *"'passphrase:' and what follows it are one word to YAML"* ]]
	printf '%s\n' 'access:' '  passwordHash:hunter22' '  user: pi' >cluster.yaml
	run "$PIBUILD" check
	[[ "$output" != *hunter22* ]]
	[[ "$output" == *"cluster.yaml:2:15: error: a blank is missing after the ':' here; write 'KEY: VALUE'"* ]]
}
