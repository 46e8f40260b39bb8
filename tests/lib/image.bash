# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that build images: a cluster to build, the sandbox to build it in, and strangers to judge the result.

bats_require_minimum_version 1.5.0

top=${BATS_TEST_DIRNAME%/tests/*}
PIBUILD=${PIBUILD:-$top/build/pibuild}
# For Bats run by hand: sfdisk and e2fsck lie where a plain user's PATH on Debian does not look.
PATH=$PATH:/usr/sbin:/sbin

# Of a file that has none of its own. What the sandbox of the caller has to say is no matter.
setup() {
	cd "$BATS_TEST_TMPDIR" || return
	unset PIBUILD_MIRRORS PIBUILD_LOCK
}

# refute COMMAND...: it must fail. A bare `! COMMAND` that is not the last line of a test is never noticed.
refute() {
	if "$@"; then
		echo "did not fail: $*"
		return 1
	fi
}

# at_clock SHIFT CMD...: under another clock, which is no matter for the sanitizers' order of libraries
at_clock() {
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 faketime -f "$@"
}

# Who is traced cannot be looked through for leaks: LeakSanitizer traces, too.
strace() {
	ASAN_OPTIONS=detect_leaks=0 command strace "$@"
}

example_key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ test'

# A home folder with a key, for the clusters that ask for {file: ~/.ssh/id_ed25519.pub}: all in configs/.
own_key() {
	mkdir -p "$BATS_TEST_TMPDIR/home/.ssh"
	echo "$example_key" >"$BATS_TEST_TMPDIR/home/.ssh/id_ed25519.pub"
	export HOME=$BATS_TEST_TMPDIR/home
}

# The clusters that ship as examples, one path a line.
example_clusters() {
	grep -l '^nodes:' "$top"/configs/*.yaml
}

# A cluster of one server and one worker in the current folder. Arguments are lines put before `nodes:`, an empty one without. Written by the shell itself, as
# are those of other files of tests that change one thing and check: a process for each would be a fifth of their time.
write_cluster() {
	printf '%s\n' 'apiVersion: pibuild/v1' \
		'cluster:' \
		'  name: lab' \
		'access:' \
		"  user: ${USER_NAME:-pi}" \
		'  sshKeys:' \
		"    - $example_key" \
		'  timezone: Europe/Berlin' \
		'network:' \
		'  subnet: 192.168.1.0/24' \
		'  gateway: 192.168.1.1' \
		'  nameservers: [192.168.1.1, 9.9.9.9]' \
		"${@:-}" \
		'nodes:' \
		'  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24}' \
		'  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.12/24}' >cluster.yaml
}

# write_servers N: cluster.yaml of servers alone
write_servers() {
	local n
	write_cluster
	sed -i '/name: w-1/d' cluster.yaml
	for ((n = 2; n <= $1; n++)); do
		echo "  - {name: cp-$n, role: control-plane, board: rpi5, address: 192.168.1.1$n/24}" >>cluster.yaml
	done
}

# streams COMMAND...: $output, $stderr and $status, as of `run --separate-stderr`, which takes two processes more. Most tests are
# little else.
streams() {
	output=$("$@" 2>"$BATS_TEST_TMPDIR/streams.stderr") && status=0 || status=$?
	stderr=$(<"$BATS_TEST_TMPDIR/streams.stderr")
}

# one_fault TEXT: what check says of cluster.yaml, and nothing else
one_fault() {
	streams "$PIBUILD" check
	[ "$status" -eq 3 ] || { echo "exit $status: $stderr"; cat cluster.yaml; return 1; }
	[[ "$stderr" == *"error: $1"* ]] || { printf 'not said: %s\n%s\n' "$1" "$stderr"; return 1; }
	[[ "$stderr" == *'cluster.yaml: 1 fault, nothing was done'* ]] || { echo "$stderr"; return 1; }
}

# sandbox [OPTION]... -- COMMAND: the stand-in releases on loopback. Without options in the one that scripts/run-tests keeps for all
# tests, if it runs them.
sandbox() {
	if [ -n "${SHARED_SANDBOX:-}" ] && [ "$1" = -- ]; then
		shift
		"$top/tests/lib/in-sandbox" "$@"
	else
		own_sandbox "$@"
	fi
}

# own_sandbox [OPTION]... -- COMMAND: for a test that looks at the server, or gives it other files.
own_sandbox() {
	"$top/scripts/sandbox" "$@"
}

# build [ARGUMENT]...: pibuild in the sandbox, cache and output of this test. SANDBOX holds sandbox options.
build() {
	# shellcheck disable=SC2086 # options are words
	sandbox ${SANDBOX:-} -- "$PIBUILD" --progress none --cache "${CACHE:-$PWD/cache}" "$@"
}

part_start() { sfdisk --json "$1" | jq ".partitiontable.partitions[$(($2 - 1))].start * 512"; }
part_size() { sfdisk --json "$1" | jq ".partitiontable.partitions[$(($2 - 1))].size * 512"; }

# part IMG N OUT: a partition as a file of its own.
part() {
	dd if="$1" of="$3" bs=1M iflag=skip_bytes,count_bytes skip="$(part_start "$1" "$2")" count="$(part_size "$1" "$2")" conv=sparse status=none
}

# judge IMG: the tools that know best find no fault. sfdisk may warn of unused sectors, which is none.
judge() {
	local dir
	dir=$(mktemp -d "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/judge.XXXX") # the latter in setup_file
	part "$1" 1 "$dir/boot" && part "$1" 2 "$dir/root"
	fsck.fat -n "$dir/boot" >"$dir/fat.log" || { cat "$dir/fat.log"; return 1; }
	e2fsck -fn "$dir/root" >"$dir/ext4.log" 2>&1 || { cat "$dir/ext4.log"; return 1; }
	sfdisk --verify "$1" >"$dir/table.log" 2>&1 || { cat "$dir/table.log"; return 1; }
	# The file system ends inside its partition, which e2fsck on a piece cannot see.
	[ $(($(dumpe2fs -h "$dir/root" 2>/dev/null | awk -F: '/^Block count/ {c=$2} /^Block size/ {s=$2} END {printf "%.0f", c * s}'))) \
		-le "$(part_size "$1" 2)" ]
	rm -rf "$dir"
}

# on_root IMG COMMAND...: debugfs on the root file system.
on_root() {
	local img=$1
	shift
	debugfs -R "$*" "$img?offset=$(part_start "$img" 2)" 2>/dev/null
}
root_cat() { on_root "$1" cat "$2"; }
root_mode() { on_root "$1" stat "$2" | sed -n 's/.*Mode: *\([0-7]*\).*/\1/p'; }
root_owner() { on_root "$1" stat "$2" | sed -n 's/^User: *\([0-9]*\) *Group: *\([0-9]*\).*/\1:\2/p'; }
root_has() { on_root "$1" stat "$2" | grep -q '^Inode:'; }
root_link() { on_root "$1" stat "$2" | sed -n 's/^Fast link dest: "\(.*\)"/\1/p'; }
boot_cat() { mtype -i "$1@@$(part_start "$1" 1)" "::$2"; }

# fails CODE TEXT COMMAND...: ends with CODE and says TEXT.
fails() {
	local code=$1 text=$2
	shift 2
	run "$@"
	[ "$status" -eq "$code" ] || { echo "exit $status instead of $code: $output"; return 1; }
	[[ "$output" == *"$text"* ]] || { echo "not said: $text"; echo "$output"; return 1; }
}
