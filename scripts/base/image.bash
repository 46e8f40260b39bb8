# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# Disk images in the stock Raspberry Pi OS layout, made without root, mount or loop device: every
# tool writes into the image file at an offset. Same input, same bytes: all ids and times are fixed
# here, and nothing depends on the order of a directory, the user, the time zone or the umask.

export LC_ALL=C TZ=UTC
epoch=1789430400 # 2026-09-15
export SOURCE_DATE_EPOCH=$epoch E2FSPROGS_FAKE_TIME=$epoch
umask 022

disk_id=5e7b1a2c
fat_id=5E7B1A2D
root_uuid=5e7b1a2c-0000-4000-8000-000000000002
hash_seed=5e7b1a2c-0000-4000-8000-000000000003
gpt_id=5E7B1A2C-0000-4000-8000-000000000000

mib=$((1024 * 1024))
boot_start=8 # MiB, as on every Raspberry Pi OS image
# What pi-gen's mkfs.ext4 -O ^huge_file,^64bit leaves, named one by one: hosts differ in defaults.
ext4_features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg
ext4_features+=,sparse_super,large_file,dir_nlink,extra_isize,metadata_csum

# partition IMG: partition table from sfdisk(8) script on stdin.
partition() {
	sfdisk -q --no-reread --no-tell-kernel "$1"
}

# mbr_script BOOT_MIB ROOT_MIB
mbr_script() {
	printf 'label: dos\nlabel-id: 0x%s\nunit: sectors\n' "$disk_id"
	printf 'start=%d, size=%d, type=c\n' $((boot_start * 2048)) $(($1 * 2048))
	printf 'start=%d, size=%d, type=83\n' $(((boot_start + $1) * 2048)) $(($2 * 2048))
}

# gpt_script BOOT_MIB ROOT_MIB: the same two partitions.
gpt_script() {
	printf 'label: gpt\nlabel-id: %s\nunit: sectors\n' "$gpt_id"
	printf 'start=%d, size=%d, uuid=%s, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n' \
		$((boot_start * 2048)) $(($1 * 2048)) "${gpt_id/%0/1}"
	printf 'start=%d, size=%d, uuid=%s, type=L\n' \
		$(((boot_start + $1) * 2048)) $(($2 * 2048)) "${gpt_id/%0/2}"
}

# make_fat IMG BOOT_MIB [BITS]: FAT32 with one sector per cluster, as since 2026-03.
make_fat() {
	local args=(-F "${3:-32}")
	[ "${3:-32}" != 32 ] || args+=(-s 1)
	local said
	said=$(mkfs.fat "${args[@]}" -n bootfs --invariant -i "$fat_id" --offset=$((boot_start * 2048)) \
		"$1" $(($2 * 1024)) 2>&1) || die "mkfs.fat: $said"
}

# fill_fat IMG DIR: files in sorted order, with fixed times.
fill_fat() {
	local img=$1@@$((boot_start * mib)) dir=$2 sub files
	export MTOOLS_SKIP_CHECK=1
	find "$dir" -exec touch -h -d "@$epoch" {} +
	(cd "$dir" && find . -type d | sort) | while read -r sub; do
		[ "$sub" = . ] || mmd -i "$img" "::${sub#.}"
		mapfile -t files < <(find "$dir/$sub" -maxdepth 1 -type f | sort)
		[ ${#files[@]} -eq 0 ] || mcopy -i "$img" -m "${files[@]}" "::${sub#.}/"
	done
}

# make_ext4 IMG START_MIB SIZE_MIB FEATURES [MKE2FS_ARG]...
make_ext4() {
	local img=$1 start=$2 size=$3 features=$4
	shift 4
	mke2fs -q -F -t ext4 -b 4096 -I 256 -i 16384 -m 5 -O "$features" -L rootfs -U "$root_uuid" \
		-E "hash_seed=$hash_seed,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard,offset=$((start * mib))" \
		"$@" "$img" $((size * 1024))k
}

# tree_rows DIR: one line per entry, sorted: path type mode uid gid links inode target.
tree_rows() {
	find "$1" -mindepth 1 -printf '%P\t%y\t%m\t%U\t%G\t%n\t%i\t%l\n' | sort
}

# rows_to_debugfs DIR < rows: debugfs(8) commands that create these entries. debugfs makes every
# inode 0:0 with E2FSPROGS_FAKE_TIME; mke2fs -d would take over change times and directory order.
# Names are given relative to `cd`: debugfs looks a parent of "/" up as the current directory.
rows_to_debugfs() {
	awk -F '\t' -v src="$1" '
		function set(field, value) { printf "sif \"/%s\" %s %s\n", path, field, value }
		{
			path = dir = name = $1; type = $2; mode = $3
			sub(/.*\//, "", name)
			if (!sub(/\/[^\/]*$/, "", dir)) dir = ""
			if (dir != cwd || NR == 1) printf "cd \"/%s\"\n", cwd = dir
			if (type == "f" && $6 > 1) {
				if ($7 in first) {
					printf "ln \"/%s\" \"%s\"\n", first[$7], name
					next
				}
				first[$7] = path
			}
			if (type == "d") {
				printf "mkdir \"%s\"\n", name
				if (mode != "755") set("mode", "04" sprintf("%04d", mode))
			} else if (type == "l") {
				printf "symlink \"%s\" \"%s\"\n", name, $8
			} else if (type == "f") {
				printf "write \"%s/%s\" \"%s\"\n", src, path, name
				set("mode", "010" sprintf("%04d", mode))
				if ($6 > 1) set("links_count", $6)
			} else {
				printf "rows_to_debugfs: %s: cannot make a file of type %s\n", path, type > "/dev/stderr"
				exit 1
			}
			if ($4 != 0) set("uid", $4)
			if ($5 != 0) set("gid", $5)
		}'
}

# edit_ext4 IMG START_MIB < commands: debugfs(8) never fails by its exit status, only by talking.
edit_ext4() {
	local said
	said=$(debugfs -w -f - "$1?offset=$(($2 * mib))" 2>&1 >/dev/null | grep -v '^debugfs 1\.' || true)
	[ -z "$said" ] || die "debugfs: $said"
}

# pack IMG OUT BLOCK_MIB LEVEL: IMG becomes OUT, compressed as its suffix says. Two threads at least, so
# that the block structure does not depend on the host.
pack() {
	local threads
	threads=$(nproc)
	[ "$threads" -gt 1 ] || threads=2
	case $2 in
	*.img) cp --sparse=always "$1" "$2" ;;
	*.xz) xz "-$4" "-T$threads" "--block-size=${3}MiB" -c "$1" >"$2" ;;
	*.gz) gzip -n -6 -c "$1" >"$2" ;;
	*.zst) zstd -q -T2 -c "$1" >"$2" ;;
	*) die "$2: the name has to end in .img, .img.xz, .img.gz or .img.zst" ;;
	esac
}
