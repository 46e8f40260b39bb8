# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: The data disk
# bound: 180
#
# A disk that outlives the card: found, formatted when it is empty, checked, given what this card brings along for it, and
# mounted, at every start and before K3s. One that holds anything else is read, and never written to.
#
#   /etc/pibuild/data                  "key value" per line: device (nvme, usb, by-id/NAME), mount, uuid, label
#   /var/lib/pibuild/data.formatting   which disk is being formatted: after a power cut it is not empty, and no more ours
#                                      than before
#   .pibuild on the disk               the machine-id of the card whose files it was given, then their paths
#
# The UUID is of this node, this cluster and its CA (builder/node/data_disk.c): a disk of any other has another.

dev=${PIBUILD_DEV:-/dev} sys=${PIBUILD_SYS:-/sys}
formatting=$stamps/data.formatting
staging=$run/data

data_device='' data_mount='' data_uuid='' data_label=''
while read -r key value; do
	case $key in
	device) data_device=$value ;;
	mount) data_mount=$value ;;
	uuid) data_uuid=$value ;;
	label) data_label=$value ;;
	esac
done <"$etc/data"
place=$root$data_mount

# --- which disk

# system_disks: those that this system runs from, a line each
system_disks() {
	for mounted in "$root/" "$root/boot/firmware"; do
		part=$(findmnt -no SOURCE --target "$mounted") || continue
		part=${part##*/}
		if [ -e "$sys/class/block/$part/partition" ]; then
			path=$(readlink -f "$sys/class/block/$part") && path=${path%/*} && printf '%s\n' "${path##*/}"
		else
			printf '%s\n' "$part"
		fi
	done
}

# named_disks: what the device of cluster.yaml means, a line each; a card reader without a card has no size
named_disks() {
	case $data_device in
	by-id/*) path=$(readlink -e "$dev/disk/$data_device") && set -- "$sys/class/block/${path##*/}" ;;
	nvme) set -- "$sys"/class/block/nvme* ;;
	*) set -- "$sys"/class/block/sd* ;;
	esac
	for disk in "$@"; do
		[ -b "$dev/${disk##*/}" ] || continue
		[ ! -e "$disk/partition" ] || continue
		read -r size <"$disk/size"
		[ "$size" -gt 0 ] || continue
		case $data_device:$(readlink -f "$disk") in
		usb:*/usb*/* | by-id/* | nvme:*) printf '%s\n' "${disk##*/}" ;;
		esac
	done
}

# look DISK: sets `holds` to ours, nothing, foreign (`what` says what) or broken. It is only read.
look() {
	probe=$(timeout 60 blkid --probe --output export "$dev/$1" 2>/dev/null)
	code=$? holds=foreign
	what=$(printf '%s\n' "$probe" | sed -n 's/^TYPE=//p; s/^PTTYPE=/a partition table: /p' | paste -s -d ' ')
	label=$(printf '%s\n' "$probe" | sed -n 's/^LABEL=//p')
	[ -z "$label" ] || what="$what with the label $label"
	case $code in
	0) ! printf '%s\n' "$probe" | grep -qxF "UUID=$data_uuid" || holds=ours ;;
	2) # nothing that is known; what is encrypted has no mark
		timeout 60 cmp -s -n 1048576 "$dev/$1" /dev/zero
		case $? in
		0) holds=nothing ;;
		1) what="data of a form that is not known" ;;
		*) holds=broken ;;
		esac
		;;
	8) what="more than one file system" ;;
	*) holds=broken ;;
	esac
	return 0
}

# find_disk: sets `disk` to the one that is ours, else to the only one that there is, and `holds`
find_disk() {
	system=$(system_disks) disk='' several='' all=''
	for one in $(named_disks); do
		printf '%s\n' "$system" | grep -qxF "$one" && continue
		look "$one"
		[ "$holds" != ours ] || {
			disk=$one several=''
			return 0
		}
		[ -z "$disk" ] || several=yes
		disk=$one all="${all:+$all, }$one"
	done
	[ -z "$several" ] || {
		hopeless "Several disks could be the data disk: $all" "Name it in cluster.yaml, nodes[].data.device: by-id/NAME, as ls -l /dev/disk/by-id shows it"
		return 1
	}
	[ -n "$disk" ] && look "$disk" && return 0
	case $data_device in
	nvme) why "There is no NVMe disk beside the one that this system runs from" "Look whether it sits well; an adapter that the board does not know by itself needs boot.config: [dtparam=pciex1] in cluster.yaml" ;;
	usb) why "There is no USB disk beside the one that this system runs from" "Plug it in; a disk that comes and goes gets too little power: lsblk shows which there are" ;;
	*) why "The data disk /dev/disk/$data_device is not there" "Plug it in; ls /dev/disk/by-id shows which there are" ;;
	esac
	return 1
}

# --- what is done with it

# Size and names of the disk: what is told from another one by.
identity() {
	cat "$sys/class/block/$disk/size"
	for link in "$dev"/disk/by-id/*; do
		[ "$(readlink -f "$link")" != "$(readlink -f "$dev/$disk")" ] || printf '%s\n' "${link##*/}"
	done
}

# begun: this very disk was found empty and its formatting did not end. What is known on it by now is not of that; and one that
# was mounted since is in use, by another card while this one lay in a drawer.
begun() {
	[ -r "$formatting" ] && [ "$(cat "$formatting")" = "$(identity)" ] || return 1
	case $holds:$what in
	nothing:* | "foreign:data of a form that is not known") return 0 ;;
	ours:*) ! timeout 60 dumpe2fs -h "$dev/$disk" 2>/dev/null | grep '^Last mount time:' | grep -qv 'n/a$' ;;
	*) return 1 ;;
	esac
}

format() {
	show running "The empty disk $disk is formatted"
	identity >"$formatting.new" && sync "$formatting.new" && mv "$formatting.new" "$formatting" && sync "$stamps" || return
	timeout 900 mkfs.ext4 -q -F -m 1 -e remount-ro -E nodiscard -L "$data_label" -U "$data_uuid" "$dev/$disk" >"$run/log/data" 2>&1 || {
		explain "It said nothing" <"$run/log/data"
		why "The data disk $disk cannot be formatted: $cause" "Look what the kernel says: sudo dmesg | grep $disk; try another disk or cable"
		return 1
	}
	sync "$dev/$disk" && rm "$formatting" && sync "$stamps"
}

# prepare: it has our file system, whole
prepare() {
	if begun || [ "$holds" = nothing ]; then
		format && look "$disk" || return
	fi
	case $holds:$label in
	ours:*) ;;
	foreign:pibuild-*)
		hopeless "The disk $disk is the data disk of another node or of another cluster ($label)" \
			"Put it into that node; or, if nothing on it is needed: sudo wipefs -a /dev/$disk && sudo dd if=/dev/zero of=/dev/$disk bs=1M count=1"
		return 1
		;;
	foreign:*)
		hopeless "The disk $disk holds $what, and only an empty one is made a data disk" \
			"Use another one; or, if nothing on it is needed: sudo wipefs -a /dev/$disk && sudo dd if=/dev/zero of=/dev/$disk bs=1M count=1"
		return 1
		;;
	*)
		why "The data disk $disk cannot be read" "Look what the kernel says: sudo dmesg | grep $disk; try another cable, or another disk"
		return 1
		;;
	esac
	timeout 3600 e2fsck -p "$dev/$disk" >"$run/log/data" 2>&1
	[ $? -lt 4 ] && return 0
	why "The file system of the data disk $disk has errors that are not repaired without being asked" "Save what matters, then repair it: sudo e2fsck -y /dev/$disk"
	return 1
}

# A token begins with the digest of the CA, of which servers and agents keep a copy where they keep all else.
fits_ca() {
	own_ca=$(sed -n 's/^token: *"\{0,1\}K10\([0-9a-f]*\)::.*/\1/p' "$root/etc/rancher/k3s/config.yaml")
	for ca in "$staging/k3s/server/tls/server-ca.crt" "$staging/k3s/agent/server-ca.crt"; do
		[ -s "$ca" ] || continue
		found=$(sha256sum <"$ca")
		[ "${found%% *}" = "$own_ca" ] || {
			hopeless "The CA of K3s on the data disk is not that of this card" "Build the card with the secrets.yaml of the cluster that is on the disk"
			return 1
		}
	done
}

# This card's files for K3s, CA, images and manifests, over those of an earlier card, whose images and pods go when this one
# has none; what K3s made stays. Once for a card: afterwards the disk's are in force, however they are changed.
give() {
	read -r card <"$root/etc/machine-id"
	[ ! -r "$staging/.pibuild" ] || read -r given <"$staging/.pibuild"
	[ "${given:-none}" != "$card" ] || return 0
	fits_ca || return
	if [ -e "$place/k3s/server/db" ] && [ -e "$staging/k3s/server/db" ]; then
		hopeless "Card and data disk both hold the state of a cluster" "Move away the one that does not count: /var/lib/rancher/k3s/server/db of the card, or another disk"
		return 1
	fi
	mkdir -p "$place"
	(cd "$place" && find . -type f | sort) >"$run/data.files"
	[ ! -r "$staging/.pibuild" ] || sed 1d "$staging/.pibuild" | grep '^\./k3s/agent/' | grep -vxFf "$run/data.files" | while read -r file; do
		rm -f "$staging/$file"
	done
	{ cp -a "$place/." "$staging/" && sync -f "$staging"; } || {
		why "What this card brings along cannot be copied to the data disk" "Look whether it is full: df -h $data_mount; or look what the kernel says: sudo dmesg | grep $disk"
		return 1
	}
	{ printf '%s\n' "$card" && cat "$run/data.files"; } >"$staging/.pibuild.new" && sync "$staging/.pibuild.new" &&
		mv "$staging/.pibuild.new" "$staging/.pibuild" && sync -f "$staging"
}

# mount_at FOLDER
mount_at() {
	mkdir -p "$1"
	mount -t ext4 -o noatime "$dev/$disk" "$1" 2>"$run/log/data" && return 0
	why "The data disk $disk cannot be mounted: $(tail -n 1 "$run/log/data")" "Look what the kernel says: sudo dmesg | grep $disk"
	return 1
}

# A try that was cut may have left it there.
aside() {
	! mountpoint -q "$staging" || umount "$staging"
}

finished() {
	if mountpoint -q "$place"; then
		[ "$(findmnt -no UUID --mountpoint "$place")" != "$data_uuid" ] || return 0
		hopeless "Another file system is mounted at $data_mount" "Take it out of /etc/fstab, or nodes[].data out of cluster.yaml"
		return 1
	fi
	aside && find_disk && prepare || return 1
	mount_at "$staging" || return 1
	give
	code=$?
	aside && [ "$code" = 0 ] && mount_at "$place"
}
