# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# The tiny base: what pibuild reads and edits of a Raspberry Pi OS Lite image, and nothing that
# could boot. Its files lie below base/tiny/: boot/, root/, and `extra` for what git cannot hold.

tiny_boot_mib=48 # FAT32 needs 65525 clusters
tiny_root_mib=96

tiny_variants() {
	cat <<-'TABLE'
		plain            as Raspberry Pi OS Lite is laid out
		gpt              GPT instead of MBR
		no-fat           partition 1 holds zeros
		fat16            partition 1 is FAT16
		one-partition    no partition 2
		p3               a third partition behind the root file system
		dirty-journal    the journal holds a transaction to be replayed
		full             no free block in the root file system
		late-mount       last mounted later than last checked
		unknown-feature  an incompatible ext4 feature that no libext2fs knows
		no-resize        no ` resize` in cmdline.txt and no rpi-resize.service
		64bit            ext4 with 64bit
		inline-data      ext4 with inline_data, small files in the inode
		orphan-file      ext4 with orphan_file and metadata_csum_seed, as newer hosts default to
		block-1k         ext4 with 1 KiB blocks
		no-zones         no time zones, as where tzdata is not installed
	TABLE
}

# make_tiny VARIANT IMG WORK
make_tiny() {
	local variant=$1 img=$2 work=$3
	tiny_tree "$variant" "$work"
	tiny_disk "$variant" "$img"
	case $variant in
	one-partition) ;;
	*) tiny_root "$variant" "$img" "$work" ;;
	esac
	case $variant in
	no-fat) ;;
	fat16) make_fat "$img" $tiny_boot_mib 16 && fill_fat "$img" "$work/boot" ;;
	*) make_fat "$img" $tiny_boot_mib && fill_fat "$img" "$work/boot" ;;
	esac
}

tiny_tree() {
	local variant=$1 work=$2 partuuid=$disk_id here=$top/scripts/base/tiny
	[ "$variant" != gpt ] || partuuid=${gpt_id,,}
	cp -R "$here/root" "$here/boot" "$work/"
	sed -i "s/@PARTUUID@/$partuuid/" "$work/root/etc/fstab" "$work/boot/cmdline.txt"
	if [ "$variant" = gpt ]; then
		sed -i 's/0-01/1/; s/0-02/2/' "$work/root/etc/fstab" "$work/boot/cmdline.txt"
	fi
	tiny_zones "$variant" "$work/root/usr/share/zoneinfo"
	mkdir -p "$work/root/home/pi" "$work/root/usr/share/pibuild-base"
	cp "$here"/root/etc/skel/.[a-z]* "$work/root/home/pi/"
	random_file 2 >"$work/root/usr/share/pibuild-base/random"
	cp "$here/extra" "$work/extra"
	if [ "$variant" = no-resize ]; then
		sed -i 's/ resize$//' "$work/boot/cmdline.txt"
		sed -i '/rpi-resize/d' "$work/extra"
		rm "$work/root/usr/lib/systemd/system/rpi-resize.service"
	fi
}

# tiny_zones VARIANT DIR: a stand-in for each time zone of Debian 13, as long as pibuild only asks whether it is there
tiny_zones() {
	local names
	[ "$1" != no-zones ] || return 0
	mapfile -t names < <(grep -v -e '^#' -e ' ' "$top/configs/names/timezones.txt")
	(
		mkdir -p "$2"
		cd "$2" || exit
		printf '%s\n' "${names[@]}" | sed -n 's,/[^/]*$,,p' | sort -u | xargs mkdir -p
		printf '%s\n' "${names[@]}" | xargs touch
	)
}

# random_file MIB: the same noise each time.
random_file() {
	head -c $(($1 * mib)) /dev/zero |
		openssl enc -aes-128-ctr -nosalt -K 00112233445566778899aabbccddeeff -iv "${2:-00000000000000000000000000000000}"
}

tiny_disk() {
	local script=mbr_script end=$((boot_start + tiny_boot_mib + tiny_root_mib)) tail=0
	case $1 in
	gpt) script=gpt_script tail=1 ;;
	p3) tail=8 ;;
	esac
	truncate -s $(((end + tail) * mib)) "$2"
	{
		$script $tiny_boot_mib $tiny_root_mib
		[ "$1" != p3 ] || printf 'start=%d, size=%d, type=83\n' $((end * 2048)) $((8 * 2048))
	} | if [ "$1" = one-partition ]; then sed '$d'; else cat; fi | partition "$2"
}

tiny_root() {
	local variant=$1 img=$2 work=$3 start=$((boot_start + tiny_boot_mib)) features=$ext4_features args=()
	case $variant in
	64bit) features+=,64bit ;;
	inline-data) features+=,inline_data ;;
	orphan-file) features+=,orphan_file,metadata_csum_seed ;;
	block-1k) args=(-b 1024) ;;
	esac
	make_ext4 "$img" $start $tiny_root_mib "$features" "${args[@]}"
	{
		tree_rows "$work/root" | tiny_rows "$work/extra" | sort | rows_to_debugfs "$work/root"
		tiny_links "$work/extra"
		echo 'ea_set "/usr/share/pibuild-base/random" user.pibuild.origin make-base'
	} | edit_ext4 "$img" $start
	tiny_spoil "$variant" "$img" "$work" $start
}

# Rows with owners and modes as `extra` says: those of a checkout depend on its user and umask.
tiny_rows() {
	awk -F '\t' -v OFS='\t' -v extra="$1" '
		BEGIN {
			while ((getline line < extra) > 0) {
				if (split(line, w, " ") < 4 || w[1] ~ /^#/) continue
				split(w[3], own, ":")
				if (w[1] == "dir" || w[1] == "mode") {
					mode[w[4]] = substr(w[2], 2); uid[w[4]] = own[1]; gid[w[4]] = own[2]
					if (substr(w[2], 1, 1) != 0) mode[w[4]] = w[2]
				}
				if (w[1] == "dir") dir[w[4]] = 1
				if (w[1] == "link") print w[4], "l", "777", 0, 0, 1, 0, w[5]
			}
		}
		{
			$4 = $5 = 0; $6 = 1
			$3 = $2 == "d" || $3 ~ /[1357]/ ? "755" : "644"
			if ($1 in mode) { $3 = mode[$1]; $4 = uid[$1]; $5 = gid[$1]; delete dir[$1] }
			print
			for (p = $1; sub(/\/[^\/]*$/, "", p);) seen[p] = 1
			seen[$1] = 1
		}
		END {
			for (d in dir) {
				print d, "d", mode[d], uid[d], gid[d], 1, 0, ""
				for (p = d; sub(/\/[^\/]*$/, "", p);)
					if (!(p in seen) && !(p in dir)) { seen[p] = 1; print p, "d", "755", 0, 0, 1, 0, "" }
			}
		}'
}

tiny_links() {
	awk '$1 == "hard" { printf "ln \"/%s\" \"/%s\"\nsif \"/%s\" links_count 2\n", $5, $4, $5 }' "$1"
}

# What makes a variant a bad base, done last.
tiny_spoil() {
	local variant=$1 img=$2 work=$3 start=$4
	case $variant in
	dirty-journal)
		tiny_journal "$img" "$work" "$start"
		;;
	late-mount)
		printf 'ssv mtime %s\nssv mnt_count 3\n' "$(date -u -d "@$((epoch + 86400))" +%Y%m%d%H%M%S)" |
			edit_ext4 "$img" "$start"
		;;
	unknown-feature) echo 'ssv feature_incompat 0x80000242' | edit_ext4 "$img" "$start" ;;
	full) tiny_fill "$img" "$work" "$start" ;;
	esac
}

# One committed transaction that overwrites the start of a file when it is replayed.
tiny_journal() {
	local block
	block=$(debugfs -R 'bmap /usr/share/pibuild-base/random 0' "$1?offset=$(($3 * mib))" 2>/dev/null)
	(yes journal || true) | head -c 4096 >"$2/transaction"
	printf 'jo\njw -b %s %s\njc\n' "$block" "$2/transaction" | edit_ext4 "$1" "$3"
	block=$(debugfs -R 'bmap <8> 3' "$1?offset=$(($3 * mib))" 2>/dev/null)
	# The commit block tells the time of day, which debugfs does not let itself be told.
	dd if=/dev/zero of="$1" bs=1 count=12 seek=$(($3 * mib + block * 4096 + 48)) conv=notrunc status=none
}

tiny_fill() {
	local free
	free=$(debugfs -R 'show_super_stats -h' "$1?offset=$(($3 * mib))" 2>/dev/null | awk '/^Free blocks:/ { print $3 }')
	(yes pibuild || true) | head -c $((free * 4096)) >"$2/filler"
	printf 'write "%s" filler\n' "$2/filler" | edit_ext4 "$1" "$3"
}
