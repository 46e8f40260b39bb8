# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Packages of Debian from the card
# needs: preflight
# bound: 900
#
# Without a network: what `pibuild lock` had apt choose for this base lies on the card, with all it depends on.
#
#   /etc/pibuild/packages   a line "NAME VERSION" for each file NAME.deb

list=$etc/packages
files=$root/usr/share/pibuild/packages

inputs() {
	printf '%s\n' "$list"
}

ready() {
	need_program dpkg || return 1
	while read -r package _; do
		need_file "$files/$package.deb" || return 1
	done <"$list"
}

# After a power cut dpkg may have packages that are half there: it knows them, and takes up where it was. It cannot with one
# that needs another which had not come yet, or was cut off while it was unpacked: those are installed anew. What comes by
# name may be needed by one before it in the list (Pre-Depends), which then works at the second try.
apply() {
	export DEBIAN_FRONTEND=noninteractive
	set -- --force-confdef --force-confold
	dpkg "$@" --configure -a || [ -s "$list" ] || return 1
	[ -s "$list" ] || return 0
	set -- "$@" --install
	while read -r package _; do
		set -- "$@" "$files/$package.deb"
	done <"$list"
	dpkg "$@" || dpkg "$@"
}

# As new as on the card, or newer: apt may have been at work since.
finished() {
	while read -r package version; do
		# shellcheck disable=SC2016 # of dpkg-query
		found=$(dpkg-query --show --showformat '${db:Status-Abbrev}${Version}' "$package" 2>/dev/null) || found=''
		case $found in
		"ii $version" | "hi $version") ;;
		"ii "* | "hi "*) dpkg --compare-versions "${found#?? }" gt "$version" || return 2 ;;
		*)
			why "The package $package is not installed"
			return 2
			;;
		esac
	done <"$list"
}
