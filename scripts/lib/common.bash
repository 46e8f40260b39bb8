# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the scripts of this folder: talk, failing, places, and things kept between runs.
# Everything these scripts write lies below build/; kept things are shared by all runs, so they
# are made under a lock and appear by a rename.

shopt -s inherit_errexit

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
keep=$top/build/sandbox
prog=${0##*/}

note() {
	[ -n "${QUIET:-}" ] || printf '%s: %s\n' "$prog" "$*" >&2
}

die() {
	printf '%s: %s\n' "$prog" "$*" >&2
	exit 1
}

usage_error() {
	printf '%s: %s (see %s --help)\n' "$prog" "$*" "$prog" >&2
	exit 2
}

# The header comment of the script itself is its help page.
print_help() {
	awk 'NR > 2 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"
}

# need PROGRAM...: ends 6 when one is missing, naming all that are.
need() {
	local missing=() p
	PATH=$PATH:/usr/sbin:/sbin
	for p in "$@"; do
		command -v "$p" >/dev/null || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	printf '%s: programs missing: %s. Run scripts/deps\n' "$prog" "${missing[*]}" >&2
	exit 6
}

# digest_of FILE...: one digest over names and contents, short enough for a file name.
digest_of() {
	sha256sum -- "$@" | sed "s|  $top/|  |" | sha256sum | cut -c1-16
}

# sha256_of FILE: of a big one; OpenSSL uses the processor's own instructions, coreutils may take five times as long.
sha256_of() {
	openssl dgst -sha256 -r "$1" | cut -d' ' -f1
}

# kept FILE COMMAND...: makes FILE by `COMMAND... TEMPORARY` unless it is there. In a subshell of its
# own: as part of a condition, `set -e` would not end the command at its first failure.
kept() {
	local file=$1 lock status
	shift
	if [ -e "$file" ]; then
		touch -c "$file" 2>/dev/null || true # in use: see sweep in scripts/sandbox
		return 0
	fi
	mkdir -p "$(dirname "$file")" "$keep/locks"
	exec {lock}>"$keep/locks/${file##*/}"
	flock "$lock"
	if [ ! -e "$file" ]; then
		rm -rf "$file.new"
		set +e
		(
			set -e
			"$@" "$file.new"
		) {lock}>&-
		status=$?
		set -e
		if [ $status -ne 0 ]; then
			rm -rf "$file.new"
			note "could not make ${file#"$top"/}"
			exit $status
		fi
		mv -T "$file.new" "$file"
	fi
	exec {lock}>&-
}

# python CODE-FILE ARG...: with the first Python that has the yaml module.
python() {
	local p
	for p in python3 /usr/bin/python3; do
		if command -v "$p" >/dev/null && "$p" -c 'import yaml' 2>/dev/null; then
			"$p" -B "$@"
			return
		fi
	done
	printf '%s: Python 3 with the yaml module is missing. Run scripts/deps\n' "$prog" >&2
	exit 6
}
