# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# The bootable base: Debian arm64 in the layout of Raspberry Pi OS Lite, for QEMU's `virt` machine.
# Packages are unpacked, never configured, so nothing foreign is run; what their maintainer scripts
# would have made is made by base/bootable/build, under fakeroot, for the owners' sake.

bootable_suite=trixie
bootable_mirror=${PIBUILD_DEBIAN_MIRROR:-http://deb.debian.org/debian}
bootable_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
bootable_packages=(
	base-files base-passwd bash busybox-static ca-certificates coreutils dash dbus diffutils dosfstools
	e2fsprogs fdisk findutils grep gzip hostname iproute2 iputils-ping jq kmod libc-bin libpam-modules
	libpam-systemd linux-image-arm64 login mawk mount netbase network-manager openssh-server passwd
	procps sed sudo systemd systemd-sysv systemd-timesyncd tar tzdata udev util-linux xz-utils zstd
)

bootable_variants() {
	cat <<-'TABLE'
		plain            as Raspberry Pi OS Lite is laid out
		dpkg             with dpkg, what it knows of the packages, and Debian's archive: more can be installed
	TABLE
}

# The real base has its /usr so often more: far enough apart for no compressor to see that it is the same.
# shellcheck disable=SC2034 # scripts/make-base takes it
real_copies=8

# make_bootable VARIANT IMG WORK COPIES
make_bootable() {
	local packages made_of hook=() installed=$top/scripts/base/bootable/installed
	need fakeroot mmdebstrap depmod modprobe zstd xz
	[ "$1" != dpkg ] || bootable_packages+=(dpkg debian-archive-keyring)
	made_of=$(printf '%s\n' "${bootable_packages[@]}")
	if [ "$1" = dpkg ]; then
		hook=("--extract-hook=$installed \"\$1\"")
		made_of+=$(cat "$installed")
	fi
	packages=$keep/packages-$bootable_suite-$(sha256sum <<<"$made_of" | cut -c1-16).tar.zst
	kept "$packages" bootable_fetch "$3" "${hook[@]}"
	fakeroot -- "$top/scripts/base/bootable/build" "$packages" "$2" "$3" "$4"
}

# bootable_fetch WORK [HOOK] OUT: the packages, unpacked into one archive.
bootable_fetch() {
	local list said out=${*: -1}
	[ -e "$bootable_keyring" ] || die "$bootable_keyring is missing. Run scripts/deps"
	list=$(printf '%s,' "${bootable_packages[@]}")
	note "downloading Debian $bootable_suite packages for arm64 from $bootable_mirror"
	# mmdebstrap hands the number of one of its pipes to dash, which knows only those of one digit: leave it the low
	# ones, of which Bats keeps some open.
	said=$(TMPDIR=$1 fakeroot mmdebstrap --quiet --mode=chrootless --variant=extract --architectures=arm64 \
		--keyring="$bootable_keyring" --include="${list%,}" --format=tar "${@:2:$#-2}" \
		"$bootable_suite" "$1/packages.tar" "$bootable_mirror" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-) ||
		die "mmdebstrap failed; it needs to reach $bootable_mirror (PIBUILD_DEBIAN_MIRROR names another):
$(grep -v '^ *$' <<<"$said" | cut -c1-300 | tail -n 20)"
	zstd -q --rm -3 -T0 "$1/packages.tar" -o "$out"
}
