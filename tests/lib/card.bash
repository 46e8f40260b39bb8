# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Cards made by hand in a moment, for tests that need no build.

# make_card OUT BOOT ROOT: the files below two folders, in the layout of Raspberry Pi OS.
make_card() {
	local boot_mib=16 root_mib=16
	rm -f "$1"
	truncate -s $(((boot_mib + root_mib + 1) * 1048576)) "$1"
	printf 'label: dos\nlabel-id: 0x5e7b1a2c\nstart=1MiB, size=%dMiB, type=c\nstart=%dMiB, size=%dMiB, type=83\n' \
		$boot_mib $((boot_mib + 1)) $root_mib | sfdisk -q "$1"
	mkfs.fat -F 16 --offset=2048 "$1" $((boot_mib * 1024)) >/dev/null
	find "$2" -mindepth 1 -maxdepth 1 -exec mcopy -s -i "$1@@1M" {} :: \;
	mke2fs -q -F -t ext4 -d "$3" -E offset=$(((boot_mib + 1) * 1048576)) "$1" ${root_mib}m
}
