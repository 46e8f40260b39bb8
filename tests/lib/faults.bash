# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # the ports come from a file; variables are for the tests
# For tests of downloads: a server that misbehaves, a catalogue of artifacts it has, and a cluster that wants them.
#
# `thing` goes on control-plane nodes and is locked with its size, `other` goes on workers and is locked without.

# shellcheck source=tests/lib/image.bash disable=SC1091
. "${BATS_TEST_DIRNAME%/tests/*}/tests/lib/image.bash"

thing_size=3000000

# start_fault_server: once per file of tests; $faults is its folder.
start_fault_server() {
	export faults=$BATS_FILE_TMPDIR/faults
	mkdir -p "$faults/files"
	python3 -c "import random; random.seed(7); open('$faults/files/thing.bin', 'wb').write(random.randbytes($thing_size))"
	echo 'another one' >"$faults/files/other.bin"
	python3 "$top/tests/lib/fault-server.py" "$faults" >"$faults/talk" 2>&1 3>&- &
	echo $! >"$faults/pid"
	for _ in $(seq 200); do
		[ ! -f "$faults/ready" ] || break
		sleep 0.05
	done
	make_data_folder "$BATS_FILE_TMPDIR/data"
	echo 'an image' >"$BATS_FILE_TMPDIR/base.img"
}

stop_fault_server() {
	kill "$(cat "$BATS_FILE_TMPDIR/faults/pid")"
}

digest_of() {
	sha256sum "$1" | cut -d' ' -f1
}

# make_data_folder DIR: the shipped one with a catalogue of our own, without channels.
make_data_folder() {
	mkdir -p "$1/configs"
	ln -s "$top/boards" "$top/overlays" "$1/"
	cp -r "$top"/configs/* "$1/configs/"
	sed '/^channels:/,$d' "$top/configs/catalogue.yaml" >"$1/configs/catalogue.yaml"
	cat >>"$1/configs/catalogue.yaml" <<-'EOT'
		artifacts:
		  - name: thing
		    version: k3s
		    url: https://files.invalid/thing/{version}/thing.bin
		    checksum: {form: sha256sum, url: "https://files.invalid/{version}/sums.txt", file: thing.bin}
		    maxSize: 4
		    install: {as: file, path: /usr/local/bin/thing, mode: "0755"}
		    for: [control-plane]
		  - name: other
		    version: helm
		    url: https://files.invalid/other/{version}/other.bin
		    checksum: {form: github, url: "https://files.invalid/{version}/release.json", file: other.bin}
		    maxSize: 4
		    install: {as: file, path: /usr/local/bin/other, mode: "0755"}
		    for: [worker]
		  - name: chart
		    version: cilium
		    url: https://files.invalid/chart/{version}/chart.tgz
		    checksum: {form: helm-index, url: "https://files.invalid/index.yaml", chart: chart}
		    maxSize: 4
		    install: {as: file, path: /usr/share/chart.tgz, mode: "0644"}
		    for: [airgap]
	EOT
	: >"$1/configs/pibuild.lock"
	write_lock_header >"$1/configs/pibuild.lock"
}

write_lock_header() {
	printf 'apiVersion: pibuild/v1\nkind: Lock\ntime: 2026-10-07T00:00:00Z\nartifacts:'
	[ $# -eq 0 ] && printf ' []\n' || printf '\n'
}

# lock_entry NAME VERSION FILE [LINE]...: an entry for the bytes of FILE.
lock_entry() {
	local name=$1 version=$2 file=$3
	shift 3
	printf '  - name: %s\n    version: %s\n' "$name" "$version"
	printf '    url: https://files.invalid/%s/%s/%s\n' "$name" "${version//+/%2B}" "${file##*/}"
	printf '    sha256: "%s"\n' "$(digest_of "$file")"
	for line; do printf '    %s\n' "$line"; done
}

thing_version=v1.36.4+k3s1 other_version=v3.22.0 chart_version=1.20.0

write_lock() {
	write_lock_header entries
	lock_entry thing $thing_version "$faults/files/thing.bin" "size: $thing_size"
	lock_entry other $other_version "$faults/files/other.bin"
}

# In the folder of the test: cluster.yaml, pibuild.lock, and the server as mirror of what the catalogue names.
enter_fault_test() {
	export faults=$BATS_FILE_TMPDIR/faults PIBUILD_DATA=$BATS_FILE_TMPDIR/data
	unset PIBUILD_LOCK PIBUILD_MIRRORS PIBUILD_CACHE SOURCE_DATE_EPOCH
	unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
	# shellcheck disable=SC1091
	. "$faults/ready"
	cd "$BATS_TEST_TMPDIR" || return
	write_cluster os: "  base: $BATS_FILE_TMPDIR/base.img" "  sha256: $(digest_of "$BATS_FILE_TMPDIR/base.img")"
	write_lock >pibuild.lock
	token=$BATS_TEST_NUMBER
	from ok
}

mirror_line() {
	printf -- '- {from: "https://files.invalid/", to: "https://127.0.0.1:%s/%s/", caFile: "%s"}\n' "$@"
}

# from CASE...: a mirror for each, in this order.
from() {
	PIBUILD_MIRRORS=$(for c; do mirror_line "$port" "$c/$token" "$faults/ca.pem"; done)
	export PIBUILD_MIRRORS
}

# from_port PORT: the sane files behind TLS that is not.
from_port() {
	PIBUILD_MIRRORS=$(mirror_line "$1" "ok/$token" "$faults/ca.pem")
	export PIBUILD_MIRRORS
}

fetch() {
	"$PIBUILD" fetch --progress none --cache cache "$@"
}

# The thing alone; as words too, for runs in the background that are to be killed.
get=("$PIBUILD" fetch --progress none --cache cache --role control-plane)
get() {
	"${get[@]}" "$@"
}

requests() {
	grep -c "/$token/" "$faults/log" || true
}

# Bytes of bodies the server sent to this test.
sent() {
	awk -v t="/$token/" 'index($1, t) { n += $4 } END { print n + 0 }' "$faults/log"
}

objects() {
	find cache/objects -type f 2>/dev/null
}

# The thing is in the cache, and all in the cache is what its name says.
is_cached() {
	local f
	[ -f "cache/objects/$(digest_of "$faults/files/thing.bin" | cut -c1-2)/$(digest_of "$faults/files/thing.bin")" ]
	for f in $(objects); do
		[ "$(digest_of "$f")" = "${f##*/}" ]
	done
}

part_file() {
	echo "cache/tmp/$(digest_of "$faults/files/thing.bin").part"
}

# wait_for_part BYTES
wait_for_part() {
	for _ in $(seq 200); do
		[ "$(stat -c %s "$(part_file)" 2>/dev/null || echo 0)" -lt "$1" ] || return 0
		sleep 0.02
	done
	return 1
}
