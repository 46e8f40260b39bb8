#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Refuses a stale lock and a faulty cluster.yaml, and says which jobs build it.
#
#   plan.sh github|gitlab [FILE]     the matrix into FILE (default: stdout)
#
# On GitHub also the outputs `matrix` and `cache-key`. What else it reads: lib.sh.
set -eu
here=${0%/*}
# shellcheck source=lib.sh
. "$here/lib.sh"

engine=${1:?plan.sh github|gitlab [FILE]}
load_env
run_pibuild lock --check >&2
# What is for everybody must not want what only the cluster's owners have.
[ "$generic" = yes ] || run_pibuild check >&2
matrix=$(run_pibuild plan --matrix "$engine" ${generic:+--generic} ${PIBUILD_BATCH:+--batch "$PIBUILD_BATCH"})
# A stdout that is a file, a log say, is gone on with; opened anew it would be cut off.
if [ -n "${2:-}" ]; then
	printf '%s\n' "$matrix" >"$2"
else
	printf '%s\n' "$matrix"
fi
if [ "$engine" = github ]; then
	output matrix "$matrix"
	output cache-key "$(printf '%s\n' "$matrix" | sed 's/.*"cacheKey":"\([0-9a-f]*\)".*/\1/')"
fi
