# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The scripts of scripts/ci as a runner of a CI engine runs them: in a repository with a cluster, its own folders beside it.

setup_runner() {
	cd "$BATS_TEST_TMPDIR" || return
	unset GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_PATH
	export PIBUILD PIBUILD_CACHE=$PWD/cache RUNNER_TEMP=$PWD/runner
	mkdir runner repository && cd repository || return
	write_cluster
}

# ci SCRIPT [ARGUMENT]...
ci() {
	local script=$1
	shift
	"$top/scripts/ci/$script.sh" "$@"
}
