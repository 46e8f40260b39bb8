# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# For tests that look for secrets: the file's ./list has them (canaries.py).

load ../lib/image

canaries() {
	python3 "$top/tests/lib/canaries.py" "$@"
}

# clean PATH...: none of the secrets is there.
clean() {
	canaries find "${list:-$BATS_FILE_TMPDIR/list}" "$@" >found
	[ ! -s found ] || { cat found; return 1; }
}

# holds NODE NAME=PATH...: the root file system of its image holds these secrets in these files, and no others.
holds() {
	local img=out/$1.img
	shift
	canaries on-root "$BATS_FILE_TMPDIR/list" "$img" "$(part_start "$img" 2)" | sed 's/\.[0-9]* / /' | sort -u >holders
	printf '%s\n' "${@/=/ }" | sort | diff - holders
}
