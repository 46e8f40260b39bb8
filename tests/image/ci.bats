#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# scripts/ci/build.sh as a runner of a CI engine runs it.

load ../lib/image
load ../lib/ci

setup() {
	setup_runner
}

@test "build: the nodes of the job, with the secrets given, which leave no trace" {
	"$PIBUILD" secrets new --secrets ../mine.yaml 2>/dev/null
	token=$(sed -n 's/.*server: *"*\([0-9a-f]\{64\}\).*/\1/p' ../mine.yaml | head -n 1)
	[ -n "$token" ]
	ASAN_OPTIONS=detect_leaks=0 PIBUILD_SECRETS=$(cat ../mine.yaml) PIBUILD_NODES=w-1 PIBUILD_PRIVATE=true sandbox -- \
		strace -f -v -s 100000 -e trace=execve -e signal=none -o ../trace "$top/scripts/ci/build.sh" >log 2>&1
	[ "$(ls out/*.img)" = out/w-1.img ]
	[ "$(ls pibuild-upload/*.img)" = pibuild-upload/w-1.img ]
	judge out/w-1.img
	# the same image as by hand
	build build --node w-1 --secrets ../mine.yaml -o by-hand
	cmp out/w-1.img by-hand/w-1.img
	# neither in an argument nor in the environment of a process, but that of the script itself; nor said; nor left
	grep -c "$token" ../trace | grep -qx 1
	refute grep -q "$token" log
	[ -z "$(ls "$RUNNER_TEMP")" ]
	# Nor is anybody told to go on with a file that was there for this job.
	refute grep -e 'next: ' -e "$RUNNER_TEMP" log
	refute grep -rqF "$token" --include='*.json' --include='*.bmap' pibuild-upload
}

@test "build: secrets that lack a node end it before anything is handed on" {
	"$PIBUILD" secrets new --secrets ../mine.yaml 2>/dev/null
	sed -i 's/^  - {name: w-1/  - {name: w-2, role: worker, board: rpi5}\n&/' cluster.yaml
	PIBUILD_SECRETS_FILE=../mine.yaml PIBUILD_NODES=w-2 PIBUILD_PRIVATE=true fails 3 'renew the CI secret' \
		sandbox -- "$top/scripts/ci/build.sh"
	[ ! -e pibuild-upload ]
	[ -z "$(ls "$RUNNER_TEMP")" ]
}

@test "build: what everybody can read is handed on without images, as is a build with throw-away secrets" {
	export PIBUILD_THROWAWAY=true PIBUILD_NODES=w-1
	PIBUILD_PRIVATE=true GITHUB_OUTPUT=$PWD/../output sandbox -- "$top/scripts/ci/build.sh" 2>log
	refute grep -e 'next: ' -e "$RUNNER_TEMP" log
	[ -e out/w-1.img ]
	[ -e pibuild-upload/w-1.manifest.json ]
	[ ! -e pibuild-upload/w-1.img ]
	grep -qx upload=reports ../output
	refute grep -rl 'PRIVATE KEY' pibuild-upload
	[ ! -e secrets.yaml ]
	[ -z "$(ls "$RUNNER_TEMP")" ]
}

# A cluster in git, whose second commit gives w-1 another time zone and adds w-2.
two_commits() {
	git init -q . && git config user.name test && git config user.email test@localhost
	git add cluster.yaml && git commit -qm first
	sed -i 's|Europe/Berlin|Europe/Paris|; s/^  - {name: w-1/  - {name: w-2, role: worker, board: rpi5}\n&/' cluster.yaml
	git commit -qam second
}

@test "build: with a base the report says what is other there, and nodes that are new" {
	two_commits
	export PIBUILD_THROWAWAY=true PIBUILD_BASE_REF=HEAD~1
	PIBUILD_NODES='w-1 w-2' sandbox -- "$top/scripts/ci/build.sh" 2>/dev/null
	grep -qx '\*\*w-1 w-2\*\*' pibuild-upload/*.diff.md
	grep -q '^    w-1: .* changed' pibuild-upload/*.diff.md
	rm -rf pibuild-upload out
	PIBUILD_NODES=w-2 sandbox -- "$top/scripts/ci/build.sh" 2>/dev/null
	grep -q 'these nodes are new' pibuild-upload/*.diff.md
	[ -z "$(ls "$RUNNER_TEMP")" ]
	[ "$(git worktree list | wc -l)" -eq 1 ]
}

@test "build: nothing changed is said so" {
	two_commits
	PIBUILD_THROWAWAY=true PIBUILD_BASE_REF=HEAD PIBUILD_NODES=w-1 sandbox -- "$top/scripts/ci/build.sh" 2>/dev/null
	grep -qx '    w-1: same' out/w-1.diff.md
}


@test "build: generic images need no secret, and are handed on from a public repository too" {
	write_cluster 'certManager:' '  email: me@my-domain.org' '  zones: [my-domain.org]' \
		'  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}'
	export PIBUILD_GENERIC=true
	"$top/scripts/ci/plan.sh" github ../matrix
	[ "$(jq -r '[.include[] | .node, .args] | join(", ")' ../matrix)" = \
		'control-plane, --generic --role control-plane, worker, --generic --role worker' ]
	"$PIBUILD" -q sign --new-key ../key
	PIBUILD_NODES=worker PIBUILD_COMPRESS=zst PIBUILD_SIGN_KEY=$(cat ../key) sandbox -- \
		sh -c '"$0/fetch.sh" && "$0/build.sh"' "$top/scripts/ci" 2>/dev/null
	[ "$(ls pibuild-upload/*.img*)" = "$(printf 'pibuild-upload/worker.img.%s\n' zst zst.sha256 zst.sha256.sig)" ]
	"$PIBUILD" verify --key ../key.pub pibuild-upload/worker.img.zst
	[ ! -e secrets.yaml ]
	[ -z "$(ls "$RUNNER_TEMP")" ]
}
