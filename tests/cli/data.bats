#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# nodes[].data: which disks may be named, what the card holds, and the step that finds, formats and mounts the disk, on loop
# devices with the real blkid, mkfs.ext4, e2fsck and mount.

load ../lib/first-boot
load ../lib/disk

teardown() {
	[ ! -d card/dev ] || power_off
	detach_all
}

# data NODE YAML [BOARD]: cluster.yaml in which the node has it
data() {
	write_cluster
	sed -i "/name: $1,/{s|}\$|, data: {$2}}|;s/board: rpi5/board: ${3:-rpi5}/}" cluster.yaml
}

with_disk() {
	data cp-1 'device: by-id/test'
}

# --- cluster.yaml and the card

@test "disks by NVMe, by USB and by id are taken, others refused with what to write" {
	for device in nvme usb by-id/nvme-Samsung_SSD_990_PRO_1TB_S6Z1 by-id/usb-JMicron_Tech_DB98-0:0 by-id/wwn-0x5002538e; do
		data cp-1 "device: $device, mount: /var/lib/longhorn"
		"$PIBUILD" check -q || { echo "$device"; return 1; }
	done
	for device in /dev/sda sda by-uuid/1 by-id/ by-id/../sda "'by-id/a b'" "'nvme '" NVME; do
		data cp-1 "device: $device"
		fails 3 'nodes[0].data.device: ' "$PIBUILD" check
	done
	for words in '/dev/disk/by-id/usb-JMicron_Tech_DB98-0:0|the folder is known; write by-id/usb-JMicron_Tech_DB98-0:0' '/dev/nvme0n1|write nvme, for the one disk at NVMe' \
		'/dev/sda|such a name may be another disk'; do
		data cp-1 "device: ${words%|*}"
		fails 3 "nodes[0].data.device: '${words%|*}' cannot be used: ${words#*|}" "$PIBUILD" check
	done
	data cp-1 'device: by-id/nvme-Samsung-part1'
	fails 3 'this is a partition, and a data disk is taken whole; leave out the end' "$PIBUILD" check
	data cp-1 'mount: /var/lib/rancher'
	fails 3 "nodes[0].data: 'device' is missing" "$PIBUILD" check
	data cp-1 'device: nvme, mount: /etc'
	fails 3 "nodes[0].data.mount: '/etc' cannot be used: it must be /var/lib/rancher, /var/lib/rancher/k3s/storage or /var/lib/longhorn" "$PIBUILD" check
}

@test "NVMe on a board without PCIe, and one disk in two machines, are faults" {
	for board in rpi4 zero2w rpi3; do
		data w-1 'device: nvme' $board
		fails 3 'has no PCIe, so there is no NVMe disk; use usb for one in an enclosure' "$PIBUILD" check
	done
	data cp-1 'device: by-id/ata-X'
	sed -i '/name: w-1/s/}$/, data: {device: by-id\/ata-X}}/' cluster.yaml
	fails 3 'nodes[1].data.device: by-id/ata-X is the data disk of nodes[0] already, and a disk is in one machine' "$PIBUILD" check
	data cp-1 'device: nvme'
	sed -i '/name: w-1/s/}$/, data: {device: nvme}}/' cluster.yaml
	"$PIBUILD" check -q
}

@test "the UUID is of node, cluster and CA; K3s does not start without the disk" {
	MAKE=with_disk card
	grep -qx 'mount /var/lib/rancher' card/etc/pibuild/data
	uuid=$(sed -n 's/^uuid //p' card/etc/pibuild/data)
	[[ "$uuid" =~ ^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$ ]]
	grep -qx "label pibuild-${uuid%%-*}" card/etc/pibuild/data
	grep -qx 'AssertPathIsMountPoint=/var/lib/rancher' card/etc/systemd/system/k3s.service.d/50-pibuild-data.conf
	grep -qx 'RequiresMountsFor=/var/lib/rancher' card/etc/systemd/system/k3s.service.d/50-pibuild-data.conf
	[ -L card/etc/systemd/system/multi-user.target.wants/pibuild-data.service ]
	[ -L card/etc/systemd/system/timers.target.wants/pibuild-trim.timer ]
	[ "$(steps | head -n 3 | tr '\n' ' ')" = 'preflight data k3s ' ]
	# the same again; another cluster, another node, another CA
	uuid_of() { rm -rf other && "$PIBUILD" render --node "$1" --show-secrets -o other >/dev/null && sed -n 's/^uuid //p' other/etc/pibuild/data; }
	with_disk && rm -f secrets.yaml && "$PIBUILD" secrets new -q
	[ ! -e other ] && first=$(uuid_of cp-1) && [ "$first" = "$(uuid_of cp-1)" ]
	[ "$first" != "$uuid" ] # made with other secrets
	sed -i 's/^  name: lab/  name: lap/' cluster.yaml && [ "$(uuid_of cp-1)" != "$first" ]
	data w-1 'device: usb' && [ "$(uuid_of w-1)" != "$first" ]
	[ -e other/etc/systemd/system/k3s-agent.service.d/50-pibuild-data.conf ]
}

# --- the step

# ready [CLUSTER.YAML-MAKER]: ./card with a system that has no disk but its own
ready() {
	need_loop
	MAKE=${1:-with_disk} card
	export PIBUILD_DEV=$PWD/card/dev
	mkdir -p card/dev/disk/by-id card/sys/class/block card/usr/sbin
	program findmnt 'case $* in *--target*) cat "$PIBUILD_ROOT/system-disk" 2>/dev/null || echo /dev/none ;; *) exec /usr/bin/findmnt "$@" ;; esac'
	echo 00000000000000000000000000000001 >card/etc/machine-id
	place=card/var/lib/rancher
}

# plug FILE NAME: a disk of that name, which /dev/disk/by-id/test leads to; its loop device is in $loop
plug() {
	loop=$(attach "$1")
	ln -sfn "$loop" "card/dev/$2"
	# by-id leads to the kernel's name, which is a loop device's here
	ln -sfn "$loop" "card/dev/${loop##*/}"
	ln -sfn "$loop" card/dev/disk/by-id/test
	for name in "$2" "${loop##*/}"; do
		mkdir -p "card/sys/devices/${3:-pci}/$name"
		ln -sfn "../../devices/${3:-pci}/$name" "card/sys/class/block/$name"
		echo $(($(stat -c %s "$1") / 512)) >"card/sys/class/block/$name/size"
	done
}

empty() {
	truncate -s 48M disk.img
	plug disk.img disk
}

power_off() {
	for mounted in card/run/pibuild/data card/var/lib/rancher; do
		while mountpoint -q "$mounted"; do umount -l "$mounted"; done
	done
	rm -rf card/run/pibuild
}

# told SECONDS: the step, ended when that many have passed; its state is in ./seen
told() {
	tick "[ \"\$1\" -lt $((100 + ${1:-4})) ] || { cp card/run/pibuild/steps/data seen; kill \$(cat card/step.pid); }"
	echo '100.00 100.00' >card/proc/uptime
	refute step data
	rm card/tick
}

said() {
	grep -q "^$1" seen || { cat seen && return 1; }
}

# bats test_tags=slow
@test "an empty disk is formatted, once, and has what the card brings for K3s; a new card goes on with it" {
	ready
	empty
	step data || { cat log.data && false; }
	uuid=$(sed -n 's/^uuid //p' card/etc/pibuild/data)
	[ "$(blkid -p -o value -s UUID "$loop")" = "$uuid" ]
	[ "$(blkid -p -o value -s LABEL "$loop")" = "pibuild-${uuid%%-*}" ]
	findmnt -no OPTIONS --mountpoint $place | grep -q noatime
	openssl x509 -in $place/k3s/server/tls/server-ca.crt -noout
	[ "$(stat -c %a $place/k3s/server)" = 700 ]
	[ ! -e card/var/lib/pibuild/data.formatting ]
	mkdir -p $place/k3s/server/db/etcd/member/wal && echo state >$place/k3s/server/db/state
	mkdir -p $place/k3s/agent/pod-manifests && echo mine >$place/k3s/agent/pod-manifests/mine.yaml
	echo changed >$place/k3s/agent/etc/containerd/config-v3.toml.tmpl
	# The same card again.
	power_off
	[ ! -e $place/k3s/server/db ]
	step data
	refute grep -q formatted log.data
	[ "$(cat $place/k3s/server/db/state)" = state ]
	[ "$(cat $place/k3s/agent/etc/containerd/config-v3.toml.tmpl)" = changed ]
	# Run by hand meanwhile: nothing to do.
	step data
	# A card that once had a pod; then one that has none.
	power_off
	echo 00000000000000000000000000000002 >card/etc/machine-id
	mkdir -p $place/k3s/agent/pod-manifests && echo vip >$place/k3s/agent/pod-manifests/kube-vip.yaml
	step data
	[ "$(cat $place/k3s/agent/pod-manifests/kube-vip.yaml)" = vip ]
	refute grep -qx changed $place/k3s/agent/etc/containerd/config-v3.toml.tmpl
	power_off
	rm $place/k3s/agent/pod-manifests/kube-vip.yaml
	echo 00000000000000000000000000000003 >card/etc/machine-id
	step data
	[ "$(ls $place/k3s/agent/pod-manifests)" = mine.yaml ]
	[ "$(cat $place/k3s/server/db/state)" = state ]
	power_off
	e2fsck -fn "$loop" >/dev/null
	# Nor is it formatted by a card that once began to, and comes out of a drawer.
	{ cat "card/sys/class/block/${loop##*/}/size" && echo test; } >card/var/lib/pibuild/data.formatting
	step data
	[ "$(cat $place/k3s/server/db/state)" = state ]
}

# bats test_tags=slow
@test "a disk that holds anything is never written to, and is taken after what the report says" {
	ready
	uuid=11111111-2222-8333-8444-555555555555
	for kind in ext4 other swap table random; do
		truncate -s 0 disk.img && truncate -s 48M disk.img
		case $kind in
		ext4) mkfs.ext4 -q -L photos disk.img ;;
		other) mkfs.ext4 -q -L pibuild-11111111 -U $uuid disk.img ;;
		swap) mkswap disk.img >/dev/null ;;
		table) echo 'label: gpt' | sfdisk -q disk.img ;;
		random) head -c 1M /dev/urandom >start && dd if=start of=disk.img conv=notrunc status=none ;;
		esac
		before=$(sha256_of disk.img)
		plug disk.img disk
		told
		said 'state failed' || { echo "$kind"; return 1; }
		[ "$(sha256_of disk.img)" = "$before" ] || { echo "$kind: the disk was written to"; return 1; }
		refute mountpoint -q $place
		case $kind in
		ext4) said "cause The disk ${loop##*/} holds ext4 with the label photos, and only an empty one" ;;
		other) said "cause The disk ${loop##*/} is the data disk of another node or of another cluster (pibuild-11111111)" ;;
		swap) said 'cause The disk loop[0-9]* holds swap' ;;
		table) said 'cause The disk loop[0-9]* holds a partition table: gpt' ;;
		random) said 'cause The disk loop[0-9]* holds data of a form that is not known' ;;
		esac
		# What a broken formatting of another disk left counts for nothing here.
		echo another disk >card/var/lib/pibuild/data.formatting
		told
		[ "$(sha256_of disk.img)" = "$before" ]
		cure=$(sed -n 's/.*: \(sudo wipefs.*\)/\1/p' seen)
		sh -c "$(sed 's/sudo //g' <<<"$cure")" >/dev/null
		step data || { cat log.data && return 1; }
		mountpoint -q $place
		power_off
		rm -f card/var/lib/pibuild/*
		detach_all && rm loops
	done
}

# bats test_tags=slow
@test "the disk of the system, partitions, readers without a card and other buses are none; of several none is chosen" {
	with_nvme() { data cp-1 'device: nvme'; }
	ready with_nvme
	told
	said 'cause There is no NVMe disk beside the one that this system runs from'
	said 'state waiting'
	truncate -s 48M one.img two.img
	plug one.img nvme0n1
	ln -s ../../devices/pci/nvme0n1/nvme0n1p2 card/sys/class/block/nvme0n1p2
	mkdir card/sys/devices/pci/nvme0n1/nvme0n1p2
	echo 2 >card/sys/class/block/nvme0n1p2/partition
	echo /dev/nvme0n1p2 >card/system-disk
	told
	said 'cause There is no NVMe disk beside'
	before=$(sha256_of one.img)
	plug two.img nvme1n1
	rm card/system-disk
	told
	said 'cause Several disks could be the data disk: nvme0n1, nvme1n1$'
	said 'cure Name it in cluster.yaml, nodes\[\].data.device: by-id/NAME, as ls -l /dev/disk/by-id shows it$'
	echo 0 >card/sys/class/block/nvme1n1/size
	step data
	power_off
	echo $((48 * 2048)) >card/sys/class/block/nvme1n1/size
	# Ours among several is known.
	step data
	[ "$(findmnt -no SOURCE --mountpoint $place)" = "$(readlink card/dev/nvme0n1)" ]
	[ "$(sha256_of two.img)" = "$before" ]
}

# bats test_tags=slow
@test "a disk at USB is told from one at another bus" {
	with_usb() { data cp-1 'device: usb'; }
	ready with_usb
	truncate -s 48M disk.img
	plug disk.img sda pci0000/ata1
	told
	said 'cause There is no USB disk beside'
	plug disk.img sda platform/usb2/2-1
	step data
	mountpoint -q $place
}

# bats test_tags=slow
@test "another CA on the disk, state on card and disk: told, and K3s does not start" {
	ready
	empty
	step data
	mkdir -p $place/k3s/server/db
	power_off
	echo 00000000000000000000000000000002 >card/etc/machine-id
	cp card/etc/rancher/k3s/config.yaml config.yaml
	sed -i 's/K10[0-9a-f]*::/K100000::/' card/etc/rancher/k3s/config.yaml
	told
	said 'cause The CA of K3s on the data disk is not that of this card'
	refute mountpoint -q $place
	cp config.yaml card/etc/rancher/k3s/config.yaml
	mkdir -p $place/k3s/server/db
	told
	said 'cause Card and data disk both hold the state of a cluster'
	rmdir $place/k3s/server/db
	step data
	[ -d $place/k3s/server/db ]
	# Errors that nobody may repair unasked.
	power_off
	printf '%s\n' 'set_inode_field / mode 0100644' 'set_super_value state 2' | debugfs -w -f /dev/stdin "$loop" >debugfs.log 2>&1
	told
	said 'cause The file system of the data disk loop[0-9]* has errors that are not repaired without being asked'
	cure=$(sed -n 's/.*: \(sudo e2fsck.*\)/\1/p' seen)
	sh -c "$(sed 's/sudo //' <<<"$cure")" >/dev/null || [ $? -lt 4 ]
	step data
}

# What changes disk or card, counted; at the one it is to be cut at the power goes, before it or after it. Of a formatting that
# was cut the beginning of the file system may be what did not reach the disk.
cutting() {
	local name
	for name in mkfs.ext4 e2fsck mount umount cp mv rm sync mkdir; do
		rm -f "card/usr/local/bin/$name"
		program "$name" \
			'n=$(($(cat "$PIBUILD_ROOT/count" 2>/dev/null || echo 0) + 1)); echo $n >"$PIBUILD_ROOT/count"' \
			"real=\$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $name); [ $name != sync ] || real=true" \
			'at=$(cat "$PIBUILD_ROOT/cut" 2>/dev/null); [ "$n$(cat "$PIBUILD_ROOT/when")" != "${at}before" ] || { kill -9 $(cat "$PIBUILD_ROOT/../card/step.pid"); exit 9; }' \
			'"$real" "$@"; code=$?' \
			"[ $name != mkfs.ext4 ] || echo \$n >\"\$PIBUILD_ROOT/formatting\"" '[ "$n" != "$at" ] || {' \
			"	[ $name != mkfs.ext4 ] || [ \$(cat \"\$PIBUILD_ROOT/when\") != torn ] || dd if=/dev/zero of=\$(readlink \"\$PIBUILD_ROOT/dev/disk/by-id/test\") bs=1k seek=1 count=1 conv=notrunc status=none" \
			'	kill -9 $(cat "$PIBUILD_ROOT/../card/step.pid"); exit 9; }' \
			'exit $code'
	done
}

# Of the commands every third, all with CUTS=all.
# bats test_tags=slow
@test "power cuts at commands that change anything: the next start ends with the disk whole" {
	ready
	truncate -s 48M disk.img
	plug disk.img disk
	cutting
	cp -a card clean
	cut=0 cut_here=yes
	while :; do
		cut=$((cut + 1))
		for when in before torn; do
			[ "${CUTS:-}" = all ] || [ "$cut$when" = "${formatting:-}torn" ] || [ $((cut % 6)) = $([ $when = torn ] && echo 1 || echo 4) ] || continue
			rm -rf card/var/lib/pibuild card/run card/proc/uptime
			cp -a clean/var/lib/pibuild card/var/lib/ && cp clean/proc/uptime card/proc/ && mkdir -p card/run
			truncate -s 0 disk.img && truncate -s 48M disk.img && blockdev --flushbufs "$loop"
			rm -f card/count && echo $cut >card/cut && echo $when >card/when
			cut_here=yes
			if step data; then cut_here=''; fi
			[ ! -e card/formatting ] || formatting=$(cat card/formatting)
			[ -z "$cut_here" ] || {
				rm -f card/cut card/count
				power_off
				step data || { echo "cut $when command $cut"; cat log.data card/run/pibuild/steps/data; return 1; }
			}
			cmp -s clean/var/lib/rancher/k3s/server/tls/server-ca.key $place/k3s/server/tls/server-ca.key || { echo "cut $when command $cut"; return 1; }
			[ ! -e card/var/lib/pibuild/data.formatting ]
			power_off
			e2fsck -fn "$loop" >e2fsck.log 2>&1 || { echo "cut $when command $cut"; cat e2fsck.log; return 1; }
		done
		[ -n "$cut_here" ] || break
	done
	echo "# $cut commands" >&3
	[ "$cut" -gt 12 ]
}
