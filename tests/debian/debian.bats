#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# os.base: debian for real (make test-debian): resolved by apt from Debian's archive, made twice from nothing, and a
# server's image booted in QEMU through the whole of first boot. K3s, cilium, helm and kubectl are stand-ins.
# DEBIAN_WORK holds the lock and both caches: what is there already is not made again.

load ../lib/boot

regenerate='cp /boot/firmware/cmdline.txt /boot/firmware/config.txt /tmp; sudo env DEB_MAINT_PARAMS=configure /etc/kernel/postinst.d/z50-raspi-firmware; cat /tmp/cmdline.txt /boot/firmware/cmdline.txt'
facts=(
	'hostname' 'ip -4 -o addr show eth0' 'systemctl --failed --no-legend --plain' 'cat /sys/fs/cgroup/cgroup.controllers' 'uname -r'
	'cat /run/pibuild/status.json' 'dpkg --audit' 'dpkg-query -f "\${db:Status-Abbrev}\n" -W' 'apt-mark showmanual' 'findmnt -no FSTYPE /boot/firmware'
	'findmnt -bno SIZE /' 'ls /etc/ssh' 'cat /etc/machine-id' 'grep -h ^URIs /etc/apt/sources.list.d/debian.sources' 'ls /etc/apt'
	'ls -l /sys/kernel/security/apparmor/profiles; /usr/sbin/apparmor_parser --version' 'zcat -f /boot/config-$(uname -r) | grep VA_BITS='
	'getcap /usr/bin/ping; stat -c "%a %U:%G %n" /usr/bin/sudo /etc/shadow' "$regenerate"
)

# make_one NAME [PREFIX]...: an image from a cache of its own.
make_one() {
	local start=$SECONDS
	sandbox -- "${@:2}" "$PIBUILD" --lock "$DEBIAN_WORK/lock" --cache "$DEBIAN_WORK/$1" --secrets secrets.yaml --progress none --node cp-1 -o "$1" >"$1.stdout" 2>"$1.stderr" ||
		{ cat "$1.stderr"; return 1; }
	echo "$((SECONDS - start)) s" >"$1.time"
}

# The stand-in of K3s answers through /bin/busybox, which this base has no use for.
add_busybox() {
	mkdir -p overlays/common/usr/bin
	xz -dc "$("$top/scripts/make-base" --kept bootable)" >bootable.img
	root_cat bootable.img /usr/bin/busybox >overlays/common/usr/bin/busybox
	chmod +x overlays/common/usr/bin/busybox
	rm bootable.img
}

setup_file() {
	export DEBIAN_WORK=${DEBIAN_WORK:-$top/build/debian}
	mkdir -p "$DEBIAN_WORK"
	cd "$BATS_FILE_TMPDIR"
	ssh-keygen -q -t ed25519 -N '' -f key -C boot-test
	example_key=$(cat key.pub) write_cluster 'os: {base: debian}' 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}'
	sed -i 's/rpi5/rpi4/' cluster.yaml
	add_busybox
	[ -e "$DEBIAN_WORK/lock" ] || sandbox -- "$PIBUILD" lock --lock "$DEBIAN_WORK/lock"
	"$PIBUILD" secrets new
	make_one a &
	make_one b env TZ=Asia/Tokyo LC_ALL=C.UTF-8 sh -c 'umask 077 && exec "$@"' sh
	wait $!
	mv a out
	boot_node cp-1 --rtc 1970-01-01 --memory 2048 --cpus 2 --timeout 3000
	for f in a.time b.time; do echo "# $f: $(cat $f)" >&3; done
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	printf '%s\n' "${facts[@]}" >facts
}

@test "made twice, with another time zone, umask and cache, the base is the same bytes" {
	for layer in "$DEBIAN_WORK"/a/layers/*.img; do
		cmp "$layer" "$DEBIAN_WORK/b/layers/${layer##*/}"
	done
}

@test "so are the images" {
	cmp out/cp-1.img b/cp-1.img
}

@test "the tools that know best find no fault" {
	judge out/cp-1.img
}

@test "cmdline.txt and fstab name the image's own disk id" {
	id=$(sfdisk --json out/cp-1.img | jq -r '.partitiontable.id' | cut -c3-)
	[ "$(boot_cat out/cp-1.img cmdline.txt | xargs)" = "console=ttyS1,115200 console=tty1 root=PARTUUID=$id-02 rw fsck.repair=yes net.ifnames=0 rootwait cgroup_memory=1 cgroup_enable=memory" ]
	[ "$(root_cat out/cp-1.img /etc/fstab | grep -c "^PARTUUID=$id-0[12] ")" = 2 ]
}

@test "each card has a disk id of its own" {
	"$PIBUILD" verify out/cp-1.img
	[ "$(sfdisk --json out/cp-1.img | jq -r '.partitiontable.id')" != "$(sfdisk --json "$DEBIAN_WORK"/a/layers/"$("$PIBUILD" --lock "$DEBIAN_WORK/lock" --json plan |
		jq -r '.artifacts[] | select(.name == "debian").sha256')".img | jq -r '.partitiontable.id')" ]
	root_cat out/cp-1.img /etc/default/raspi-firmware | grep -qx "ROOTPART=PARTUUID=$(sfdisk --json out/cp-1.img | jq -r '.partitiontable.id' | cut -c3-)-02"
}

@test "the boot partition has firmware, kernel, initramfs and device trees" {
	mdir -b -i "out/cp-1.img@@$(part_start out/cp-1.img 1)" ::/ >files
	for f in start4.elf fixup4.dat bootcode.bin config.txt bcm2711-rpi-4-b.dtb bcm2837-rpi-3-b.dtb; do grep -qx "::/$f" files; done
	kernel=$(boot_cat out/cp-1.img config.txt | sed -n 's/^kernel=//p')
	initramfs=$(boot_cat out/cp-1.img config.txt | sed -n 's/^initramfs //p')
	grep -qx "::/$kernel" files
	grep -qx "::/$initramfs" files
	boot_cat out/cp-1.img config.txt | grep -qx arm_64bit=1
}

@test "nothing of the machine that made it is inside" {
	root_has out/cp-1.img /etc/machine-id
	[ -z "$(root_cat out/cp-1.img /etc/machine-id)" ] # see builder/node/units.c
	on_root out/cp-1.img ls -p /etc/ssh >ssh
	refute grep -q ssh_host_ ssh
	on_root out/cp-1.img ls -p /etc >etc
	refute grep -qE '/(resolv.conf|passwd-|shadow-)/' etc
	on_root out/cp-1.img ls -p /usr/sbin >sbin
	refute grep -q policy-rc.d sbin
}

@test "first boot comes to its end: every step is done" {
	answer 'cat /run/pibuild/status.json' >status.json
	[ "$(jq -r '[.steps[] | .state] | unique | join(" ")' status.json)" = "done" ]
	[ "$(cat state)" = running ]
	[ -z "$(answer 'systemctl --failed --no-legend --plain')" ]
}

@test "the kernel is Debian's, with 48 address bits at least" {
	answer 'uname -r' | grep -q '^6\..*-arm64$'
	[ "$(answer "${facts[16]}" | sed 's|.*=||')" -ge 48 ] # "CONFIG_ARM64_VA_BITS=52": 48 on a Pi's processor
}

@test "network, memory cgroup and boot partition are as on Raspberry Pi OS" {
	answer 'ip -4 -o addr show eth0' | grep -qw 192.168.1.11/24
	answer 'cat /sys/fs/cgroup/cgroup.controllers' | grep -qw memory
	[ "$(answer 'findmnt -no FSTYPE /boot/firmware')" = vfat ]
	[ "$(answer 'findmnt -bno SIZE /')" -gt 3500000000 ]
}

@test "dpkg has every package configured, and knows which were asked for" {
	[ -z "$(answer 'dpkg --audit')" ]
	[ "$(answer "${facts[7]}" | sort -u | tr -d ' ')" = ii ]
	diff <(sed -n 's/^  - //p' "$top/configs/debian/base.yaml" | sort) <(answer 'apt-mark showmanual' | sort)
	[ "$(answer "${facts[13]}" | sort -u)" = "$(printf 'URIs: http://deb.debian.org/debian\nURIs: http://deb.debian.org/debian-security')" ]
	refute grep -q sources.list$ <(answer 'ls /etc/apt')
}

@test "owners, modes and capabilities survived" {
	answer "${facts[17]}" | grep -q '^4755 root:root /usr/bin/sudo$'
	answer "${facts[17]}" | grep -q '^640 root:shadow /etc/shadow$'
}

@test "host keys and machine id were made on the machine" {
	answer 'ls /etc/ssh' | grep -qx ssh_host_ed25519_key
	answer 'cat /etc/machine-id' | grep -qxE '[0-9a-f]{32}'
}

@test "what raspi-firmware writes at a kernel's upgrade boots the same way" {
	answer "$regenerate" | grep 'root=PARTUUID' | tr -s ' ' | sort | uniq -c | grep -q '^ *2 .*cgroup_enable=memory'
}
