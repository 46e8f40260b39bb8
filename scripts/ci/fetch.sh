#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that the lock pins for this cluster into the cache, so that the jobs that share it download nothing.
# What it reads: lib.sh.
set -eu
here=${0%/*}
# shellcheck source=lib.sh
. "$here/lib.sh"

load_env
run_pibuild fetch
