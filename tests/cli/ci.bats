#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What runs in CI: the scripts of scripts/ci as a runner of a CI engine runs them, and the house rules for the YAML around them.

load ../lib/image
load ../lib/ci

setup() {
	setup_runner
}

@test "plan: the matrix and the cache key are outputs of a step" {
	GITHUB_OUTPUT=$PWD/../output ci plan github >matrix
	[ "$(jq -r '[.include[].node] | join(" ")' matrix)" = 'cp-1 w-1' ]
	sed -n 's/^matrix=//p' ../output | cmp - matrix
	[ "$(sed -n 's/^cache-key=//p' ../output)" = "$("$PIBUILD" plan --json | jq -r .cacheKey)" ]
	[ "$(wc -l <../output)" -eq 2 ]
}

@test "plan: a log that it speaks into is gone on with, and a file that is named holds the matrix alone" {
	{ echo before && ci plan github && echo after; } >../log
	[ "$(sed -n '1p;3p' ../log | paste -sd,)" = before,after ]
	ci plan github ../matrix >../log
	[ ! -s ../log ]
	jq -e .include ../matrix >/dev/null
}

@test "plan: a stale lock ends it, before anything else" {
	printf 'versions: {k3s: v1.30.0+k3s1}\n' >>cluster.yaml
	run ci plan github
	[ "$status" -eq 4 ]
	[[ "$output" == *k3s* ]]
}

@test "plan: a faulty cluster ends it with the line" {
	sed -i 's/192.168.1.12/192.168.9.12/' cluster.yaml
	run ci plan gitlab
	[ "$status" -eq 3 ]
	[[ "$output" == *cluster.yaml:1[0-9]:* ]]
}

@test "what cluster.yaml reads comes from PIBUILD_ENV, or is a placeholder; other lines are refused" {
	write_cluster 'certManager:' '  email: me@my-domain.org' '  zones: [my-domain.org]' \
		'  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}'
	fails 3 DO_TOKEN ci plan github
	PIBUILD_ENV='DO_TOKEN=dop_v1_0123' ci plan github
	PIBUILD_ENV=$'# a comment\nDO_TOKEN=a=b=c' ci plan gitlab | grep -q 'PIBUILD_NODES: cp-1'
	PIBUILD_PLACEHOLDERS=DO_TOKEN ci plan github
	PIBUILD_ENV='PATH=/tmp' fails 2 'must not set PATH' ci plan github
	PIBUILD_ENV='a b=1' fails 2 'PIBUILD_ENV has a line' ci plan github
}

@test "build: without secrets it ends with 3 and says how to make them" {
	fails 3 'pibuild secrets new' ci build
	[ ! -e out ]
}

@test "build: ended by a signal it leaves no secrets behind" {
	"$PIBUILD" secrets new --secrets ../mine.yaml 2>/dev/null
	# A pibuild that takes its time.
	printf '#!/bin/sh\ntouch started\nsleep 30\n' >../slow && chmod +x ../slow
	PIBUILD=$PWD/../slow PIBUILD_SECRETS=$(cat ../mine.yaml) setsid "$top/scripts/ci/build.sh" 2>/dev/null &
	job=$!
	for _ in {1..100}; do [ ! -e started ] || break; sleep 0.1; done
	[ -n "$(ls "$RUNNER_TEMP")" ]
	kill -TERM -- "-$job"
	code=0
	wait "$job" || code=$?
	[ "$code" -eq 143 ]
	[ -z "$(ls "$RUNNER_TEMP")" ]
}

@test "report: all parts in one, short enough for a comment" {
	mkdir -p parts/a parts/b
	printf '**cp-1**\n' >parts/a/cp-1.diff.md
	printf '**w-1**\n' >parts/b/w-1.diff.md
	GITHUB_STEP_SUMMARY=$PWD/summary ci report parts
	[ "$(grep -c '^\*\*' report.md)" -eq 2 ]
	cmp report.md summary
	head -c 100000 /dev/zero | tr '\0' x >parts/a/cp-1.diff.md
	ci report parts
	[ "$(wc -c <report.md)" -lt 65536 ]
	grep -q 'cut here' report.md
}

# A gh that writes down what it was asked, and knows comment 7 when there is a file `seven`.
stand_in_gh() {
	mkdir -p bin parts && echo '**w-1**' >parts/w-1.diff.md
	cat >bin/gh <<-'EOT'
		#!/bin/sh
		echo "$*" >>gh.log
		case " $* " in
		*' --jq '*) [ ! -e seven ] || echo 7 ;;
		*) [ ! -e forbidden ] ;;
		esac
	EOT
	chmod +x bin/gh
	export PATH=$PWD/bin:$PATH GITHUB_REPOSITORY=me/fleet PIBUILD_PULL_REQUEST=12
}

@test "report: one comment on the pull request, renewed by later runs" {
	stand_in_gh
	ci report parts
	grep -q -- '-X POST repos/me/fleet/issues/12/comments -F body=@report.md' gh.log
	touch seven
	ci report parts
	grep -q -- '-X PATCH repos/me/fleet/issues/comments/7 -F body=@report.md' gh.log
}

@test "report: a token that may not comment is no failure; a number that is none is" {
	stand_in_gh
	touch forbidden
	run ci report parts
	[ "$status" -eq 0 ]
	[[ "$output" == *'could not comment on pull request 12'* ]]
	PIBUILD_PULL_REQUEST='1; id' fails 2 'is a number' ci report parts
}

@test "install: compiled below a prefix it runs and finds its data" {
	# As install.sh does it, without the packages, which are there, and what is tested, whatever it was compiled with.
	make -s -C "$top" -o all install B="${PIBUILD%/pibuild}" PREFIX="$PWD/prefix" >/dev/null
	env -u PIBUILD_DATA prefix/bin/pibuild plan --matrix github | jq -e '.include | length == 2'
	[ -x prefix/share/pibuild/ci/build.sh ]
	[ -r prefix/share/pibuild/configs/ci/gitlab-jobs.yml ]
}

# rules FILE: what scripts/check-ci asks of one file beyond its schema.
rules() {
	mkdir -p blocks
	python3 "$top/scripts/lib/ci-blocks.py" blocks "$1"
}

@test "house rules: the files keep them" {
	for file in "$top"/action.yml "$top"/.github/workflows/*.yml "$top"/configs/ci/*.yml; do rules "$file"; done
	grep -qx '"$GITHUB_ACTION_PATH/scripts/ci/build.sh"' blocks/*
}

@test "house rules: an expression in a run, a tag for a commit, a job without end are told" {
	cat >w.yml <<-'EOT'
		permissions: {contents: read}
		jobs:
		  a:
		    steps:
		      - uses: actions/checkout@v6
		      - run: echo ${{ github.head_ref }}
	EOT
	run rules w.yml
	[ "$status" -eq 1 ]
	[[ "$output" == *'an expression in a run'* ]]
	[[ "$output" == *'not pinned by commit and version: actions/checkout@v6'* ]]
	[[ "$output" == *'job a has no timeout-minutes'* ]]
}
