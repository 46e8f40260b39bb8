#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild lock: what is kept, what is looked up where, what is found stale, and which locks are no locks.
# shellcheck disable=SC2154,SC2034 # set by the library, used by it

load ../lib/faults

setup_file() {
	start_fault_server
	echo 'a chart' >"$BATS_FILE_TMPDIR/chart.tgz"
	write_checksums
}

teardown_file() {
	stop_fault_server
}

setup() {
	enter_fault_test
	write_checksums
	rm pibuild.lock
}

# The checksum files of all three forms, as upstreams publish them: with other lines around the wanted one.
write_checksums() {
	local dir=$BATS_FILE_TMPDIR/faults/files zeros
	zeros=$(printf '0%.0s' {1..64})
	cat >"$dir/sums.txt" <<-EOT
		$zeros  thing.bin.sig
		$zeros  some-thing.bin
		$(digest_of "$dir/thing.bin")  thing.bin
		$zeros *thing.binary
	EOT
	cat >"$dir/release.json" <<-EOT
		{"tag_name": "v3.22.0", "assets": [
		 {"name": "other.bin.asc", "size": 1, "digest": "sha256:$zeros"},
		 {"name": "other.bin", "size": 12, "digest": "sha256:$(digest_of "$dir/other.bin")"}]}
	EOT
	cat >"$dir/index.yaml" <<-EOT
		apiVersion: v1
		entries:
		  chart:
		  - {version: 1.20.1, digest: $zeros, urls: [chart-1.20.1.tgz]}
		  - version: 1.20.0
		    description: |
		      a chart
		    digest: $(digest_of "$BATS_FILE_TMPDIR/chart.tgz")
		    urls: [https://elsewhere.invalid/chart-1.20.0.tgz]
		  graph:
		  - {version: 1.20.0, digest: $zeros}
	EOT
}

lock() {
	"$PIBUILD" lock "$@"
}

# field NAME KEY: of the lock beside the config.
field() {
	sed -n "/name: $1\$/,/source:/s/^ *$2: *//p" pibuild.lock | tr -d '"'
}

# served FILE: replaces a file of the server until the next test.
served() {
	cat >"$faults/files/$1"
}

@test "lock looks up what no lock knows, in each form of checksum file" {
	lock >out
	grep -q '^added *thing ' out
	[ "$(field thing sha256)" = "$(digest_of "$faults/files/thing.bin")" ]
	[ "$(field other sha256)" = "$(digest_of "$faults/files/other.bin")" ]
	[ "$(field chart sha256)" = "$(digest_of "$BATS_FILE_TMPDIR/chart.tgz")" ]
	[ "$(field other size)" = 12 ]
	[ "$(field thing url)" = https://files.invalid/thing/v1.36.4%2Bk3s1/thing.bin ]
	[ "$(field thing source)" = https://files.invalid/v1.36.4%2Bk3s1/sums.txt ]
	lock --check
	fetch
	is_cached
}

@test "columns are straight, however long a name is" {
	mkdir own && cd own && write_cluster
	env -u PIBUILD_DATA "$PIBUILD" lock --dry-run --offline >out
	grep -q '^kept *quay.io/jetstack/cert-manager-cainjector ' out
	[ "$(awk '/^kept/ { print index($0, " " $3 " ") }' out | sort -u | wc -l)" -eq 1 ]
}

@test "lock keeps what it knows and then needs no network" {
	lock
	before=$(cat pibuild.lock)
	unset PIBUILD_MIRRORS
	lock --offline >out
	[ "$(grep -c ^kept out)" -eq 3 ]
	grep -q 'is up to date' out
	[ "$(cat pibuild.lock)" = "$before" ]
}

@test "lock writes its time, which can be given, and is the same each time" {
	SOURCE_DATE_EPOCH=1700000000 lock
	grep -q 'time: "\?2023-11-14T22:13:20Z' pibuild.lock
	SOURCE_DATE_EPOCH=1700000000 lock --lock second.lock --update
	cmp pibuild.lock second.lock
}

@test "lock --lock writes there and nowhere else" {
	lock --lock deep/own.lock
	[ -s deep/own.lock ]
	[ ! -e pibuild.lock ]
	lock --check --lock deep/own.lock
	fails 4 'is stale' lock --check
}

@test "lock --json says what changed" {
	lock --json >out
	jq -e '.written and .file == "./pibuild.lock" and (.artifacts | map(.state) == ["added", "added", "added"])' out
	lock --json | jq -e '(.written | not) and (.artifacts | map(.state) | unique == ["kept"])'
}

@test "a version that changes is looked up, and the one before is dropped" {
	lock
	echo 'versions: {k3s: v1.35.8+k3s1}' >>cluster.yaml
	fails 4 'thing v1.35.8+k3s1: the lock has no such version' lock --check
	lock >out
	grep -q '^added *thing *v1.35.8+k3s1' out
	grep -q '^removed *thing *v1.36.4+k3s1' out
	grep -q '^kept *other' out
	[ "$(field thing url)" = https://files.invalid/thing/v1.35.8%2Bk3s1/thing.bin ]
	lock --check
}

@test "lock --update NAME looks up that one and shows a release that was replaced" {
	lock
	old=$(field thing sha256)
	echo "$(printf '1%.0s' {1..64})  thing.bin" | served sums.txt
	lock >out
	grep -q '^kept *thing' out
	lock --update other >out
	grep -q '^confirmed *other' out
	grep -q '^kept *thing' out
	lock --update thing >out
	grep -q "^changed *thing .*was ${old:0:12}: upstream has replaced this release" out
	[ "$(field thing sha256)" = "$(printf '1%.0s' {1..64})" ]
}

@test "lock --update of an unknown name is a usage error with the nearest" {
	fails 2 "there is no artifact 'thinng', did you mean thing?" lock --update thinng
	fails 2 'NAMEs go with --update' lock thing
	fails 2 'give one of them' lock --check --update
}

@test "what was looked up stays the same bytes: size and raw are kept" {
	lock
	sed -i '/name: thing$/,/source:/s/^  source/  size: 3000000\n  raw: {size: 5, sha256: "'"$(printf '2%.0s' {1..64})"'"}\n&/' pibuild.lock
	lock --update thing
	[ "$(field thing size | head -n 1)" = 3000000 ]
	grep -q 2222222 pibuild.lock
}

@test "lock --check finds an entry whose address was edited, and lock puts it right" {
	lock
	sed -i 's|https://files.invalid/thing/|https://files.invalid/evil/|' pibuild.lock
	fails 4 'its url is https://files.invalid/evil/v1.36.4%2Bk3s1/thing.bin, the catalogue says https://files.invalid/thing/' lock --check
	lock
	lock --check
}

@test "lock --check finds a digest that is none, with its line" {
	lock
	sed -i 's/sha256: .*/sha256: abc/' pibuild.lock
	fails 4 'pibuild.lock:21:11: '"artifacts[0].sha256: 'abc' cannot be used: give 64 hexadecimal digits in lower case" lock --check
	fails 3 'give 64 hexadecimal digits in lower case' lock
}

@test "lock --check --json lists what is stale on stdout" {
	code=0
	lock --check --json >out 2>err || code=$?
	[ $code -eq 4 ]
	jq -e '.artifacts | map(select(.state == "missing")) | length == 3' out
}

@test "lock --check needs no network and writes nothing" {
	write_lock >pibuild.lock
	lock_entry chart "$chart_version" "$BATS_FILE_TMPDIR/chart.tgz" >>pibuild.lock
	before=$(ls -l --full-time)
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$BATS_FILE_TMPDIR/trace" -e trace=network "$PIBUILD" lock --check
	[ "$(grep -c '(' "$BATS_FILE_TMPDIR/trace" || true)" -eq 0 ]
	[ "$(ls -l --full-time)" = "$before" ]
}

@test "--offline with something to look up names it and its checksum file" {
	fails 1 'https://files.invalid/v1.36.4%2Bk3s1/sums.txt' lock --offline
	[[ "$output" == *"thing $thing_version"* ]]
	[ ! -e pibuild.lock ]
}

@test "a version that upstream does not list is asked about" {
	echo "$(printf '1%.0s' {1..64})  something-else" | served sums.txt
	fails 1 'sums.txt does not list thing.bin v1.36.4+k3s1; was this version released?' lock
	write_checksums
	echo '{"assets": []}' | served release.json
	fails 1 'release.json does not list other.bin' lock
	write_checksums
	echo 'entries: {chart: []}' | served index.yaml
	fails 1 'index.yaml does not list chart 1.20.0' lock
	[ ! -e pibuild.lock ]
}

@test "a checksum file that is not there says so" {
	from 404
	fails 1 'sums.txt: it answers HTTP 404 (not found)' lock
	[ ! -e pibuild.lock ]
}

@test "a checksum file with a digest alone is taken" {
	digest_of "$faults/files/thing.bin" | served sums.txt
	lock
	[ "$(field thing sha256)" = "$(digest_of "$faults/files/thing.bin")" ]
}

@test "checksum files that contradict themselves or hold no digest are refused" {
	printf '%064d  thing.bin\n%064d  thing.bin\n' 1 2 | served sums.txt
	fails 4 'states two different digests for one file' lock
	echo 'd41d8cd98f00b204e9800998ecf8427e  thing.bin' | served sums.txt
	fails 4 "'d41d8cd98f00b204e9800998ecf8427e' is no sha256" lock
	write_checksums
	echo '{"assets": [{"name": "other.bin", "digest": null}]}' | served release.json
	fails 4 'states no sha256 for other.bin' lock
	echo '<html>' | served release.json
	fails 4 'release.json is no JSON' lock
	write_checksums
	echo 'entries: {chart: [{version: 1.20.0}]}' | served index.yaml
	fails 4 'has no digest for chart 1.20.0' lock
	[ ! -e pibuild.lock ]
}

@test "a large index of charts is read" {
	{
		sed '/^entries/q' "$faults/files/index.yaml"
		echo '  filler:'
		awk 'BEGIN { for (i = 0; i < 12000; i++) printf "  - {version: 0.0.%d, description: %0150d, digest: %064d}\n", i, i, i }'
		sed '1,/^entries/d' "$faults/files/index.yaml"
	} | served index.new
	mv "$faults/files/index.new" "$faults/files/index.yaml"
	[ "$(stat -c %s "$faults/files/index.yaml")" -gt 2000000 ]
	lock
	[ "$(field chart sha256)" = "$(digest_of "$BATS_FILE_TMPDIR/chart.tgz")" ]
}

# ---- locks that are none ----

# no_lock LINE-OR-TEXT MESSAGE: the lock with SED applied is refused.
no_lock() {
	write_lock | sed "$1" >pibuild.lock
	fails 3 "pibuild.lock:$2" fetch
}

@test "a lock is read strictly, each fault with its line and column" {
	no_lock 's/size:/sise:/' "9:5: artifacts[0]: unknown key 'sise'; did you mean 'size'?"
	no_lock '0,/    version:.*/{//d}' "5:5: artifacts[0]: 'version' is missing"
	no_lock 's/size: .*/size: 12k/' "9:11: artifacts[0].size: '12k' cannot be used: give a whole number"
	no_lock 's/size: .*/size: -1/' "9:11: artifacts[0].size: '-1' cannot be used: give a whole number"
	no_lock 's|url: https:|url: http:|' "7:10: artifacts[0].url: 'http://files.invalid/thing/v1.36.4%2Bk3s1/thing.bin' cannot be used: only https:// addresses are used"
	no_lock 's|//files|//me:word@files|' "7:10: artifacts[0].url: 'https://me:word@files.invalid/thing/v1.36.4%2Bk3s1/thing.bin' cannot be used: a user name or password in the address is refused"
	no_lock 's/^kind: Lock/kind: Catalogue/' "2:7: kind: must be Lock"
	no_lock 's/^time: .*/time: yesterday/' "3:7: time: 'yesterday' cannot be used: give a time such as 2026-10-01T12:00:00Z"
	# The line it is about, with a mark.
	[[ "$output" == *"    3 | time: yesterday"* ]]
	no_lock 's/name: other/name: thing/; s/v3.22.0/v1.36.4+k3s1/' '10:5: thing v1.36.4+k3s1 is there already, in line 5'
}

@test "a lock that was named and is not there is an error" {
	fails 3 'none.lock' "$PIBUILD" fetch --lock none.lock
	PIBUILD_LOCK=none.lock fails 3 'none.lock' "$PIBUILD" fetch
}

@test "a lock that is a link to nothing is no missing one" {
	ln -s gone pibuild.lock
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" == *"./pibuild.lock: No such file or directory"* ]]
}

@test "the lock beside the config goes before the shipped one, PIBUILD_LOCK before both, --lock before all" {
	write_lock >pibuild.lock
	fetch --role worker
	write_lock | sed 's/v3.22.0/v0.0.0/' >stale.lock
	PIBUILD_LOCK=stale.lock fails 4 'does not pin other' fetch --role worker
	PIBUILD_LOCK=stale.lock fetch --role worker --lock pibuild.lock
	rm pibuild.lock
	fails 4 'does not pin other' fetch --role worker
}

@test "the shipped lock pins the shipped catalogue and both known-good sets" {
	unset PIBUILD_DATA
	"$PIBUILD" lock --check
	echo 'versions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}' >>cluster.yaml
	"$PIBUILD" lock --check
}

# ---- access.sshKeys: {github: USER} ----

# github USER...: of the cluster, beside the key that is there; GitHub is the server of this file.
github() {
	local user
	for user; do sed -i "s/^  sshKeys:/&\n    - {github: $user}/" cluster.yaml; done
	PIBUILD_MIRRORS="$PIBUILD_MIRRORS$(printf '\n- {from: "https://github.com/", to: "https://127.0.0.1:%s/ok/%s/", caFile: "%s"}' "$port" "$token" "$faults/ca.pem")"
}

# public_key: a line as GitHub gives it out, without a comment
public_key() {
	rm -f k k.pub && ssh-keygen -q -t ed25519 -N '' -f k && cut -d' ' -f1,2 k.pub
}

@test "keys of a GitHub user are fetched when locking, pinned, and on the card without a network" {
	one=$(public_key) two=$(public_key)
	printf '%s\n%s\r\n' "$one" "$two" | served me.keys
	lock
	github me
	fails 0 'cluster.yaml:7:5: note: access.sshKeys: the keys of the GitHub user me are not in' "$PIBUILD" check
	fails 4 'the lock does not pin the keys of access.sshKeys: {github: me}: run `pibuild lock`, which fetches them' "$PIBUILD" build --offline
	[ ! -e out ] # a build that is refused makes nothing
	lock --check --json 2>/dev/null | jq -e '[.sshKeys[] | .name, .state] == ["github:me", "missing"]'
	lock >out
	grep -q '^added *github:me *2 keys .*  https://github.com/me.keys$' out
	lock --check
	unset PIBUILD_MIRRORS
	lock --offline >out
	grep -q '^kept *github:me *2 keys ' out
	run "$PIBUILD" check
	[[ "$output" != *GitHub* ]]
	"$PIBUILD" render --node cp-1 -o card >/dev/null 2>&1
	[ "$(cat card/home/pi/.ssh/authorized_keys)" = "$example_key
$one me@github
$two me@github" ]
	ssh-keygen -l -f card/home/pi/.ssh/authorized_keys
}

@test "keys that GitHub gives out anew are taken by --update sshKeys alone, and leave with their user" {
	public_key | served me.keys
	github me
	lock
	before=$(sed -n '/^sshKeys/,$p' pibuild.lock)
	public_key | served me.keys
	lock
	[ "$(sed -n '/^sshKeys/,$p' pibuild.lock)" = "$before" ]
	lock --update thing
	[ "$(sed -n '/^sshKeys/,$p' pibuild.lock)" = "$before" ]
	lock --update sshKeys >out
	grep -q '^updated *github:me *1 key ' out
	[ "$(sed -n '/^sshKeys/,$p' pibuild.lock)" != "$before" ]
	lock --update sshKeys >out
	grep -q '^confirmed *github:me ' out
	lock --json | jq -e '.sshKeys == [{name: "github:me", version: "1 key", state: "kept", url: .sshKeys[0].url, sha256: .sshKeys[0].sha256, source: "https://github.com/me.keys"}]'
	sed -i '/github: me/d' cluster.yaml
	lock >out
	grep -q '^removed *github:me ' out
	refute grep -q github.com/me pibuild.lock
}

@test "what is no key, none at all, too many or too much is refused with the address, and nothing is written" {
	github me
	while IFS='|' read -r text why; do
		printf "$text" | served me.keys
		fails 4 "https://github.com/me.keys$why" "$PIBUILD" lock
		[ ! -e pibuild.lock ]
	done <<-'EOT'
		| has no key: nobody could log in by it
		ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcil\n|: line 1 is no key that may log in: the key is cut off or damaged
		<html>nothing</html>\n|: line 1 is no key that may log in:
		ssh-dss AAAAB3NzaC1kc3M\n|: line 1 is no key that may log in:
	EOT
	key=$(public_key)
	for _ in $(seq 65); do echo "$key"; done | served me.keys
	fails 4 'https://github.com/me.keys has more than 64 keys' "$PIBUILD" lock
	head -c 70000 /dev/zero | tr '\0' x | served me.keys
	fails 1 'looking up the keys of me at GitHub' "$PIBUILD" lock
	while IFS='|' read -r user why; do
		sed "s|github: me|github: $user|" cluster.yaml >one.yaml
		fails 3 "one.yaml:7:7: error: access.sshKeys[0]: $why" "$PIBUILD" check -c one.yaml
	done <<-'EOT'
		"@me"|give the name of a GitHub account, without @ and without https://github.com/
		../me|give the name of a GitHub account
		me-|give the name of a GitHub account
		[me]|give the name of a GitHub account
		me, file: k.pub|give a line of a .pub file, or {file: ~/.ssh/id_ed25519.pub}, or {github: USER}
	EOT
}

@test "a key in the lock that is none, or a user who is there twice, is a fault with its line" {
	public_key | served me.keys
	github me
	lock
	cp pibuild.lock good
	sed -i 's/ssh-ed25519 AAAA[^ ]*/ssh-ed25519 AAAAC3Nza/' pibuild.lock
	fails 4 'sshKeys[0].keys[0]: ' lock --check
	sed '/^sshKeys:/,$p' good >pibuild.lock
	sed -n '/^sshKeys:/,$p' good | sed 1d >again
	cat good again >pibuild.lock
	fails 4 'the keys of me are there already, in line' lock --check
}
