#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# scripts/check-tests refuses what cannot fail, and nothing else.

lint() {
	printf '%s\n' "$@" >x.bats
	run "$BATS_TEST_DIRNAME/../../scripts/check-tests" x.bats
}

setup() {
	cd "$BATS_TEST_TMPDIR"
}

@test "lines that cannot fail are refused, each by its place" {
	for line in '! grep x file' '! step k3s || break' '[ a = b ] && [ c = d ]' '[[ a == b ]] && [[ c == d ]]' '[ a = b ] || true' \
		'cut() {' '[[ "$output" == *"not ready: x"* || "$output" == *"not ready"* ]]'; do
		lint 'true' "	$line" 'true'
		[ "$status" -eq 1 ] || { echo "taken: $line"; false; }
		[[ "$output" == "x.bats:2: "* ]] || { echo "$output"; false; }
	done
}

@test "lines that can fail are taken" {
	while IFS= read -r line; do
		lint "$line"
		[ "$status" -eq 0 ] || { echo "refused: $output"; false; }
	done <<-'END'
		refute grep x file
		if ! grep x file; then
		[ a = b ] || { echo no; false; }
		[[ "$output" == *"ready"* || "$output" == *"done"* ]]
		[ -e x ] || return 0
		grep -q x file && return 1
		power_cut() {
	END
	lint 'find . ! -name a \' '	! -name b' "cat <<'EOF'" '! in a file' 'EOF'
	[ "$status" -eq 0 ]
}
