#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: left out of `make test-fast`
# Downloads from a server that misbehaves: what ends well, what ends how, and what stays in the cache.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031,SC2016 # variables of the library, messages with backticks

load ../lib/faults

# What takes long because it waits runs from the start, beside the other tests.
setup_file() {
	start_fault_server
	slow_run stall
	slow_run 500
	slow_run always-cut
	slow_run refused
	slow_run down
	slow_run big-header
}

teardown_file() {
	stop_fault_server
}

setup() {
	enter_fault_test
}

# slow_run CASE: a run of its own; result_of waits for it.
slow_run() {
	local dir=$BATS_FILE_TMPDIR/slow-$1
	mkdir -p "$dir"
	(
		BATS_TEST_TMPDIR=$dir BATS_TEST_NUMBER=slow-$1
		enter_fault_test
		from "$1"
		[ "$1" != refused ] || from_port 1
		code=0
		words=(--role control-plane)
		case $1 in down) from_port 1 && words=(--progress plain) ;; stall) words+=(-v) ;; esac
		timeout 33 "$PIBUILD" fetch --progress none --cache cache "${words[@]}" >out 2>err || code=$?
		echo $code >code
	) >/dev/null 2>&1 3>&- &
}

# result_of CASE: goes to the run's folder and sets $status.
result_of() {
	cd "$BATS_FILE_TMPDIR/slow-$1" || return
	token=slow-$1
	for _ in $(seq 800); do
		[ ! -s code ] || break
		sleep 0.1
	done
	status=$(cat code)
}

# ---- what is well ----

@test "fetch downloads what the nodes need and tells it apart from what it had" {
	run fetch
	[ "$status" -eq 0 ]
	[[ "$output" =~ base.*local ]]
	[[ "$output" == *thing*"$thing_version"*'2.9 MiB'*downloaded* ]]
	[[ "$output" == *other*"$other_version"*'12 B'*downloaded* ]]
	is_cached
	run fetch
	[[ "$output" =~ thing.*cached ]]
	[ "$(requests)" -eq 2 ]
}

@test "fetch --json gives name, version, size, digest and state" {
	fetch --json >out
	jq -e --arg d "$(digest_of "$faults/files/other.bin")" '.artifacts[] | select(.name == "other")
		| .sha256 == $d and .size == 12 and .state == "downloaded"' out
}

@test "fetch --role and --node download only what those nodes need" {
	fetch --role worker
	[ "$(requests)" -eq 1 ]
	[ "$(objects | wc -l)" -eq 1 ]
	fetch --node cp-1
	is_cached
}

@test "the cache is for its owner only, whatever the umask" {
	(umask 000 && get)
	[ -z "$(find cache -type f -not -perm 600)" ]
	[ -z "$(find cache -type d -not -perm 700)" ]
	is_cached
	rm -r cache
	(umask 777 && get)
	is_cached
}

@test "requests tell nothing about who asks: no .netrc, cookies or encodings" {
	printf 'machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n' >.netrc
	chmod 600 .netrc
	HOME=$PWD get
	is_cached
	grep "/$token/" "$faults/log" | grep -qvE 'Authorization|Cookie|Accept-Encoding|Referer'
}

@test "a redirect to another https address is followed" {
	from redirect
	get
	is_cached
}

@test "offline with all in the cache opens no socket" {
	fetch
	ASAN_OPTIONS=detect_leaks=0 strace -f -o trace -e trace=network "$PIBUILD" fetch --offline --progress none --cache cache
	[ "$(grep -c '(' trace || true)" -eq 0 ]
}

@test "offline with an empty cache lists all that is missing at once" {
	fails 1 "thing $thing_version  https://files.invalid/thing/v1.36.4%2Bk3s1/thing.bin" fetch --offline
	[[ "$output" == *"other $other_version  https://files.invalid/other/v3.22.0/other.bin"* ]]
	[[ "$output" == *'2 downloads are not in the cache'* ]]
	[ "$(requests)" -eq 0 ]
}

# ---- cut and resumed ----

@test "a download that is cut goes on where it stopped" {
	from cut-once
	fails 0 'the connection was cut before the end; attempt 2 of 5' get -v
	is_cached
	grep -q "/$token/.* bytes=[0-9]*- 206 " "$faults/log"
	[ "$(sent)" -eq "$thing_size" ]
}

@test "a server that ignores Range sends all of it, and that is taken" {
	from no-range
	get
	is_cached
}

@test "a server that sends another part than asked for is asked for the whole" {
	from wrong-range
	fails 0 'it sent another part of the file than was asked for' get -v
	is_cached
}

@test "a server that has no such range is asked for the whole" {
	from no-such-range
	fails 0 'it has no such part of the file' get -v
	is_cached
}

@test "a file that changed between the pieces is downloaded anew" {
	from changed
	fails 0 'once more from the start' get -v
	is_cached
}

@test "a body in chunks that ends too early is not taken for whole" {
	from chunks-cut
	fails 0 'attempt 2 of 5' get -v
	is_cached
}

@test "a run that was killed goes on where it stopped" {
	from slow
	"${get[@]}" & pid=$!
	wait_for_part 1000000
	kill -9 $pid
	wait $pid || true
	[ -z "$(objects)" ]
	had=$(stat -c %s "$(part_file)")
	token=$token-again
	from ok
	get
	is_cached
	[ "$(sent)" -eq $((thing_size - had)) ]
}

@test "a run that was interrupted ends with its signal and goes on the next time" {
	from slow
	"${get[@]}" 2>err & pid=$!
	wait_for_part 500000
	kill -TERM $pid
	code=0
	wait $pid || code=$?
	[ $code -eq 143 ]
	grep -q 'interrupted by SIGTERM' err
	[ -z "$(objects)" ]
	[ -s "$(part_file)" ]
	from ok
	get
	is_cached
}

@test "a partial file that was tampered with is found out" {
	from ok
	mkdir -p cache/tmp
	head -c 1000000 /dev/zero >"$(part_file)"
	fails 0 'once more from the start' get -v
	is_cached
}

@test "a partial file that is complete needs no network" {
	mkdir -p cache/tmp
	cp "$faults/files/thing.bin" "$(part_file)"
	get
	is_cached
	[ "$(requests)" -eq 0 ]
}

@test "a partial file longer than the download is thrown away" {
	mkdir -p cache/tmp
	head -c 5000000 /dev/zero >"$(part_file)"
	get
	is_cached
}

@test "two pibuilds at once download it once" {
	from slow
	"${get[@]}" 2>err1 & one=$!
	"${get[@]}" 2>err2 & two=$!
	wait $one
	wait $two
	is_cached
	cat err1 err2 | grep -q 'another pibuild is downloading it; waiting'
	[ "$(sent)" -eq "$thing_size" ]
}

@test "a pibuild that waits takes over when the other is killed" {
	from slow
	"${get[@]}" 2>err1 & one=$!
	wait_for_part 500000
	"${get[@]}" 2>err2 & two=$!
	sleep 0.3
	kill -9 $one
	wait $one || true
	wait $two
	is_cached
	[ "$(sent)" -lt $((thing_size + 1500000)) ]
	grep -q ' bytes=[0-9]*- ' <(grep "/$token/" "$faults/log")
}

# ---- wrong bytes ----

@test "a wrong digest names both digests and the address, and nothing is cached" {
	from wrong
	fails 4 "expected $(digest_of "$faults/files/thing.bin")" get
	[[ "$output" == *"https://127.0.0.1:$port/wrong/$token/thing/v1.36.4%2Bk3s1/thing.bin: its sha256 is "* ]]
	[ -z "$(objects)" ]
	[ ! -e "$(part_file)" ]
	[ "$(requests)" -eq 2 ]
}

@test "bytes that are wrong once are downloaded once more" {
	from wrong-once
	get
	is_cached
}

@test "a mirror with wrong bytes is left for the next" {
	from wrong ok
	fails 0 "its sha256 is " get -v
	is_cached
	[ "$(requests)" -eq 2 ]
}

@test "a mirror that has not the file is left for the next" {
	from 404 ok
	get
	is_cached
}

@test "one byte too many is a wrong length" {
	from one-more
	fails 4 "it has 3000001 bytes, the lock says 3000000" get
	[ -z "$(objects)" ]
	[ "$(requests)" -le 2 ]
}

@test "an empty answer is a wrong length" {
	from empty
	fails 4 "it has 0 bytes, the lock says 3000000" get
	[ "$(requests)" -le 2 ]
}

@test "a Content-Length that lies is refused before the body" {
	from length-low
	fails 4 'it has 2999900 bytes, the lock says 3000000' get
	from length-high
	fails 4 'it has 3000100 bytes, the lock says 3000000' get
	[ -z "$(objects)" ]
}

@test "an endless body stops at the size of the lock" {
	from endless
	fails 4 'it has more than the 3000000 bytes the lock says' get
	[ -z "$(objects)" ]
	[ "$(stat -c %s "$(part_file)" 2>/dev/null || echo 0)" -eq 0 ]
}

@test "an endless body stops at the catalogue's limit when the lock has no size" {
	sed -i '/size:/d' pibuild.lock
	from endless
	fails 1 'it is larger than the limit of 4.0 MiB' get
	[ "$(requests)" -eq 1 ]
	[ -z "$(objects)" ]
}

@test "the login page of a network is named as what it is" {
	from portal
	fails 4 'what came is a web page' get
	sed -i '/size:/d' pibuild.lock
	fails 4 'what came is a web page' get
}

@test "a compressed answer is not unpacked" {
	from gzip-chunked
	fails 4 'Content-Encoding: gzip, which nobody asked for' get
	[ -z "$(objects)" ]
}

@test "an edited digest in the lock is found out" {
	sed -i "s/$(digest_of "$faults/files/thing.bin")/$(printf '0%.0s' {1..64})/" pibuild.lock
	fails 4 "its sha256 is $(digest_of "$faults/files/thing.bin"), expected 0000" get
}

@test "every download that failed is named" {
	from 404
	fails 1 '2 downloads failed:' fetch
	[[ "$output" == *"thing $thing_version: https://127.0.0.1:"*'answers HTTP 404 (not found)'* ]]
	[[ "$output" == *"other $other_version: https://127.0.0.1:"*'answers HTTP 404 (not found)'* ]]
}

# ---- answers that are none ----

@test "a definite no is not asked again" {
	from 404
	fails 1 'it answers HTTP 404 (not found)' get
	from 403
	fails 1 'it answers HTTP 403 (forbidden)' get
	[ "$(requests)" -eq 2 ]
}

@test "a server in trouble is asked again after a pause" {
	from 500-twice
	fails 0 'attempt 3 of 5' get -v
	is_cached
	[ "$(requests)" -eq 3 ]
}

@test "Retry-After in seconds is honoured" {
	from 429-once
	start=$(date +%s%N)
	fails 0 'HTTP 429 (too many requests); attempt 2 of 5 in 2.0 s' get -v
	[ $(($(date +%s%N) - start)) -ge 2000000000 ]
	is_cached
}

@test "Retry-After as a date is honoured" {
	from 503-once
	start=$(date +%s%N)
	fails 0 'HTTP 503 (busy); attempt 2 of 5 in' get -v
	[ $(($(date +%s%N) - start)) -ge 1500000000 ]
	is_cached
}

@test "redirects that go in a circle end" {
	from redirect-loop
	fails 1 'it redirects more than 10 times' get
	[ "$(requests)" -eq 11 ]
}

@test "a redirect away from https is refused" {
	for case in redirect-http redirect-file; do
		from $case
		fails 1 'it redirects to an address that is not https' get
	done
	from redirect-user
	fails 1 'it redirects to an address with a user name' get
	[ -z "$(objects)" ]
}

# ---- TLS and proxies ----

@test "an expired certificate makes one look at the clock" {
	from_port "$expired"
	fails 1 'its certificate has expired, or the clock of this machine is wrong: it says 20' get
}

@test "a certificate of the future makes one look at the clock" {
	from_port "$future"
	fails 1 'its certificate is not valid yet, or the clock of this machine is wrong' get
}

@test "a certificate of an unknown CA names caFile" {
	from_port "$stranger"
	fails 1 'its certificate is of an unknown CA' get
	[[ "$output" == *caFile* ]]
}

@test "a certificate for another name says so" {
	from_port "$misnamed"
	fails 1 "its certificate is not accepted" get
	[[ "$output" == *"no alternative certificate subject name matches target host name '127.0.0.1'"* ]]
}

@test "the CA of a mirror is trusted for that mirror only" {
	PIBUILD_MIRRORS=$(mirror_line "$port" "ok/$token" "$faults/other.pem")
	fails 1 'its certificate is of an unknown CA' get
	[ "$(requests)" -eq 0 ]
}

@test "a proxy is used, and not for what NO_PROXY names" {
	https_proxy=http://127.0.0.1:$http fails 1 'the proxy answers HTTP 501' get
	https_proxy=http://127.0.0.1:$http NO_PROXY=127.0.0.1 get
	is_cached
}

# ---- this machine ----

@test "a lock without the version asked for is stale" {
	echo 'versions: {k3s: v1.35.8+k3s1}' >>cluster.yaml
	fails 4 'the lock does not pin thing v1.35.8+k3s1: run `pibuild lock --cache cache`' get
	[ "$(requests)" -eq 0 ]
}

@test "downloads that do not fit are not begun" {
	sed -i 's/size: 3000000/size: 900000000000000/' pibuild.lock
	fails 1 'the downloads need 818.5 TiB, the cache cache has room for' get
	[ "$(requests)" -eq 0 ]
}

@test "a cache that is a file is refused" {
	echo >cache
	fails 1 'cache' get
}

@test "a cache of another user is refused" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make one"
	mkdir cache
	chown 65534 cache
	fails 6 'belongs to another user' get
}

@test "without HOME the cache has to be given" {
	unset HOME XDG_CACHE_HOME
	fails 6 'give a folder with --cache' "$PIBUILD" fetch
}

@test "the cache is found by PIBUILD_CACHE, else XDG_CACHE_HOME, else HOME" {
	export HOME=$PWD/home
	"$PIBUILD" fetch -q && [ -d home/.cache/pibuild/objects ]
	XDG_CACHE_HOME=$PWD/xdg "$PIBUILD" fetch -q && [ -d xdg/pibuild/objects ]
	PIBUILD_CACHE=$PWD/own XDG_CACHE_HOME=$PWD/xdg2 "$PIBUILD" fetch -q && [ -d own/objects ] && [ ! -e xdg2 ]
}

@test "temporary files that nobody touched for a week go, younger ones stay" {
	mkdir -p cache/tmp
	echo old >cache/tmp/old.part
	echo young >cache/tmp/young.part
	touch -d '8 days ago' cache/tmp/old.part
	get
	[ ! -e cache/tmp/old.part ]
	[ -e cache/tmp/young.part ]
}

@test "an error of the disk, wherever it strikes, ends with a reason and spoils nothing" {
	for fault in pwrite64:ENOSPC:1 pwrite64:EIO:9 fsync:EIO:1 fsync:EIO:2 fsync:EIO:3 renameat:ENOSPC:1 mkdirat:EACCES:4 \
		flock:ENOLCK:1; do
		IFS=: read -r call error when <<<"$fault"
		rm -rf cache
		ASAN_OPTIONS=detect_leaks=0 run strace -f -o trace -e trace="$call" \
			-e inject="$call:error=$error:when=$when" "${get[@]}"
		[ "$status" -eq 1 ] || { echo "$fault: exit $status"; return 1; }
		[[ "$output" == *"pibuild: error: "*"cannot "* ]]
		get
		is_cached
	done
}

@test "what is put in the cache is on the disk before it has its name" {
	ASAN_OPTIONS=detect_leaks=0 strace -f -o trace -e trace=fsync,renameat,pwrite64 "${get[@]}"
	grep -oE '^[0-9]+ +(fsync|renameat|pwrite64)' trace | awk '{print $2}' | uniq | tr '\n' ' ' >order
	grep -q 'pwrite64 fsync renameat fsync' order
}

# ---- what waited long ----

@test "a mirror that is down is left for the address itself" {
	result_of refused
	[ "$status" -eq 1 ]
	grep -q '127.0.0.1:1: .*; trying files.invalid' err
}

@test "hosts that are down are told in a line each, and the verdict names for each all that is missing" {
	result_of down
	[ "$status" -eq 1 ]
	[ "$(grep -c warning err)" -eq 1 ]
	grep -q '^pibuild: warning: .*127.0.0.1:1: .*; trying files.invalid$' err
	[ "$(grep -vcE ": note: |^ *[0-9]* [|] |^pibuild: download " err)" -eq 4 ]
	grep -q '^pibuild: download .*, failed; step 1 of 2$' err
	grep -q '^pibuild: error: 2 downloads failed:$' err
	for host in 127.0.0.1:1 files.invalid; do
		[ "$(grep "^  $host: " err | grep -cF -e ": thing $thing_version, other $other_version" -e ": other $other_version, thing $thing_version")" -eq 1 ]
	done
}

@test "a retry that goes well is nobody's concern, but for -v" {
	from cut-once
	run --separate-stderr get
	[ "$status" -eq 0 ]
	[ -z "$(grep -vE ': note: |^ *[0-9]* [|] ' <<<"$stderr")" ]
	is_cached
}

@test "a server that stays in trouble is given up after five attempts" {
	result_of 500
	[ "$status" -eq 1 ]
	grep -q 'answers HTTP 500 (5 attempts)' err
	[ "$(requests)" -eq 5 ]
}

@test "a download that is always cut is given up after five attempts, and what came is kept" {
	result_of always-cut
	[ "$status" -eq 1 ]
	grep -q 'the connection was cut before the end (5 attempts)' err
	[ -s "$(part_file)" ]
	[ -z "$(objects)" ]
}

@test "headers without end are cut short" {
	result_of big-header
	[ "$status" -eq 1 ]
	grep -q 'Too large response headers.*(5 attempts)' err
	[ -z "$(objects)" ]
}

@test "a server that stalls is left after 30 seconds" {
	result_of stall
	[ "$status" -ne 0 ]
	grep -q 'it stalled: less than 1024 bytes/s for 30 s; attempt 2 of 5' err
}
