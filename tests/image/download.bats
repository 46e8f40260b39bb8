#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The base is decoded while it is downloaded; nothing shows before its digest was seen, however the server behaves.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # variables of the library; an inner shell's; each test has its own

load ../lib/faults

setup_file() {
	start_fault_server
	cp "$("$top/scripts/make-base" --kept tiny)" "$faults/files/base.img.xz"
	digest_of "$faults/files/base.img.xz" >"$BATS_FILE_TMPDIR/sha256"
	cd "$BATS_FILE_TMPDIR" || return
	write_cluster os: "  base: https://files.invalid/base.img.xz" "  sha256: $(cat sha256)"
	at_server
	from ok
	build -o plain >/dev/null
	mv cache/objects .
}

teardown_file() {
	stop_fault_server
}

# The test's own folder: all downloads in the cache but for the base.
setup() {
	at_server
	cd "$BATS_TEST_TMPDIR" || return
	cp "$BATS_FILE_TMPDIR"/{cluster,secrets}.yaml .
	mkdir cache
	cp -r "$BATS_FILE_TMPDIR/objects" cache/
	rm "$(object)"
}

at_server() {
	faults=$BATS_FILE_TMPDIR/faults token=${BATS_TEST_NUMBER:-0}
	# shellcheck disable=SC1091
	. "$faults/ready"
}

# from CASE...: the base; all else comes from the sandbox.
from() {
	mirrors=$(for c; do mirror_line "$port" "$c/$token" "$faults/ca.pem"; done)
}

# pibuild ARGUMENT...: with that server; its process is in the file pid. SIGNALS holds options of env.
pibuild() {
	# shellcheck disable=SC2086 # options are words
	sandbox -- bash -c 'echo $$ >pid; export PIBUILD_MIRRORS=$1$'"'\n'"'$PIBUILD_MIRRORS; shift; exec "$@"' \
		_ "$mirrors" env --default-signal=INT ${SIGNALS:-} "$PIBUILD" "$@" --progress none --cache cache
}

build() {
	pibuild build --node w-1 "$@"
}

object() {
	local sha256
	sha256=$(cat "$BATS_FILE_TMPDIR/sha256")
	echo "cache/objects/${sha256:0:2}/$sha256"
}

# start_build: until bytes of the decoded base are in a file, while the server holds the last of the compressed ones back.
start_build() {
	from held
	build >said 2>&1 3>&- &
	for _ in $(seq 600); do
		[ -z "$(decoded)" ] || break
		sleep 0.1
	done
	[ -n "$(decoded)" ]
	[ ! -e "$faults/go-$token" ]
	[ ! -e "$(object)" ]
	[ -z "$(shown)" ]
}

decoded() {
	find cache/layers -name '.*.part' -printf '%b %p\n' 2>/dev/null | grep -v '^0 '
}

end_build() {
	status=0
	wait $! || status=$?
	output=$(cat said)
}

# Images and layers under final names.
shown() {
	find out cache/layers -type f ! -name '.*' ! -name '*.lock' 2>/dev/null
}

# shows_nothing: nor are there leftovers.
shows_nothing() {
	[ ! -e "$(object)" ]
	[ -z "$(shown)" ]
	[ -z "$(find out cache/layers -name '.*.part' 2>/dev/null)" ]
}

same_image() {
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	cmp out/w-1.img "$BATS_FILE_TMPDIR/plain/w-1.img"
	[ "$(digest_of "$(object)")" = "$(cat "$BATS_FILE_TMPDIR/sha256")" ]
}

@test "decoding begins before the last byte was sent, and nothing shows until it was" {
	start_build
	touch "$faults/go-$token"
	end_build
	same_image
	[ "$(requests)" -eq 1 ]
}

@test "what a killed run left is decoded before more of it comes" {
	start_build
	kill -KILL "$(cat pid)"
	end_build
	[ "$status" -eq 137 ]
	[ -s "cache/tmp/$(cat "$BATS_FILE_TMPDIR/sha256").part" ]
	rm cache/layers/.*.part
	start_build
	touch "$faults/go-$token"
	end_build
	same_image
	grep -q "/$token/.* bytes=[0-9]*- 206 4096" "$faults/log"
}

@test "Ctrl-C while the base comes ends with 130, and what came is kept" {
	start_build
	kill -INT "$(cat pid)"
	end_build
	[ "$status" -eq 130 ]
	[[ "$output" == *interrupted* ]]
	shows_nothing
	[ -s "cache/tmp/$(cat "$BATS_FILE_TMPDIR/sha256").part" ]
}

@test "signals that whoever started it ignores or holds back: nohup lets it end well, its programs are waited for, SIGTERM arrives" {
	SIGNALS='--ignore-signal=HUP,CHLD --block-signal=TERM'
	start_build
	kill -HUP "$(cat pid)"
	touch "$faults/go-$token"
	end_build
	same_image
	rm -r out cache/layers "$(object)" "$faults/go-$token"
	start_build
	kill -TERM "$(cat pid)"
	end_build
	[ "$status" -eq 143 ]
	shows_nothing
}

@test "a cut connection goes on where it stopped, and the image is the same" {
	from cut-once
	run build
	same_image
	grep -q "/$token/.* bytes=[0-9]*- 206 " "$faults/log"
	[ "$(sent)" -eq "$(stat -c %s "$faults/files/base.img.xz")" ]
}

@test "wrong bytes that came first, or in the middle, are forgotten" {
	for case in wrong-once changed no-range; do
		from "$case"
		run build
		same_image
		rm -r out cache/layers "$(object)"
	done
}

@test "a mirror with wrong bytes is left for the next" {
	from wrong-end ok
	run build
	[[ "$output" == *"sha256"*"trying 127.0.0.1"* ]]
	same_image
}

@test "a base that fails ends a build as it ends fetch: the same words, the same exit code, nothing that shows" {
	for case in wrong wrong-end one-more empty 404 portal; do
		from "$case"
		run pibuild fetch --node w-1
		words=$output code=$status
		[ "$code" -ne 0 ]
		shows_nothing
		run build
		[ "$status" -eq "$code" ] || { echo "$case: $status instead of $code: $output"; return 1; }
		diff <(echo "$words") <(echo "$output")
		shows_nothing
	done
}
