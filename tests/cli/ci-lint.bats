#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: npm packages are installed the first time, and a linter of a minute's patience runs every time.
# The YAML for GitHub and GitLab, judged by the linters of their users.

load ../lib/image

@test "action.yml, the workflows and the GitLab templates pass their linters" {
	code=0
	"$top/scripts/check-ci" "$PIBUILD" >"$BATS_TEST_TMPDIR/log" 2>&1 || code=$?
	[ "$code" -ne 6 ] || skip "$(tail -n 1 "$BATS_TEST_TMPDIR/log"); or no npm that reaches its registry"
	cat "$BATS_TEST_TMPDIR/log"
	[ "$code" -eq 0 ]
}
