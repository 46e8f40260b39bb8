#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Puts pibuild on a runner (Debian or Ubuntu): out of this checkout, or from a package.
#
#   install.sh PREFIX       compiles it and installs it below PREFIX
#   install.sh FILE.deb
#
# On GitHub PREFIX/bin is in the PATH of the steps that follow.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)

case ${1:?install.sh PREFIX or FILE.deb} in
*.deb)
	file=$(realpath "$1")
	if [ "$(id -u)" -eq 0 ]; then sudo=''; else sudo=sudo; fi
	$sudo apt-get update >&2
	$sudo apt-get install -y --no-install-recommends "$file" >&2
	;;
*)
	mkdir -p "$1"
	prefix=$(cd "$1" && pwd)
	"$top/scripts/deps" build run >&2
	make -s -C "$top" -j "$(nproc)" install B=build-ci PREFIX="$prefix" >&2
	[ -z "${GITHUB_PATH:-}" ] || echo "$prefix/bin" >>"$GITHUB_PATH"
	;;
esac
