#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild verify: a good image passes, and whatever is done to it afterwards is found and named. Built once; each case
# changes a copy with the tools of others.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster "certManager:" "  email: me@example.org" \
		"  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}" "  zones: [home.example.org]" \
		"loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}"
	export DO_TOKEN=dop_v1_canary0123456789abcdefghijklmnopqrstuvwxyz
	build --sha256 -o out >stdout 2>stderr
	sandbox -- sh -c 'cp "$PIBUILD_LOCK" lock' 2>>stderr
	mkdir -p overlays/worker/etc/systemd/system/extra.service.d
	printf '[Unit]\nRequires=sockets.target pibuild-preflight.service\n' >overlays/worker/etc/systemd/system/extra.service.d/x.conf
	mkdir -p overlays/worker/etc/private.d && echo 1234 >pin
	install -m 644 pin overlays/worker/etc/private.d/pin && chmod 700 overlays/worker/etc/private.d
	install -m 700 pin overlays/worker/etc/script
	build --node w-1 -o hanging >>stdout 2>>stderr
	rm -r overlays && every_allowed_overlay
	build --node w-1 -o allowed >>stdout 2>>stderr
	rm -r overlays
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	{ grep -oE '[A-Za-z0-9+/]{40,}' secrets.yaml && echo "$DO_TOKEN"; } | sort -u >values
}

# put PATH [TEXT]: a file of the user's overlays
put() {
	mkdir -p "overlays/$(dirname "$1")"
	printf '%s\n' "${2:-x}" >"overlays/$1"
}

# One of each kind that node/overlay_check.c leaves to the user.
every_allowed_overlay() {
	put common/etc/sysctl.d/99-k8s.conf 'fs.inotify.max_user_instances=8192'
	put common/etc/rancher/k3s/config.yaml.d/50-taint.yaml 'node-taint+: []'
	put common/etc/ssh/sshd_config.d/50-mine.conf 'X11Forwarding no'
	put common/etc/sudoers.d/20-mine '# nothing'
	put common/etc/systemd/system/mnt-disk.mount $'[Unit]\nDescription=A disk\n[Mount]\nWhat=/dev/disk/by-label/x\nWhere=/mnt/disk'
	put common/etc/systemd/system/mine.service $'[Unit]\nDescription=Mine\n[Service]\nExecStart=/usr/local/bin/mine\n[Install]\nWantedBy=multi-user.target'
	mkdir -p overlays/common/etc/systemd/system/multi-user.target.wants
	ln -s ../mine.service overlays/common/etc/systemd/system/multi-user.target.wants/mine.service
	put common/etc/NetworkManager/system-connections/backup.nmconnection $'[connection]\nid=backup\ntype=ethernet\ninterface-name=eth7'
	put common/etc/systemd/system/k3s-agent.service.d/50-mine.conf $'[Service]\nNice=1'
	put common/boot/firmware/overlays/mine.dtbo
	put common/boot/firmware/note.txt
	put common/usr/local/bin/mine $'#!/bin/sh\n' && chmod 755 overlays/common/usr/local/bin/mine
	put common/home/pi/.bashrc 'alias k=kubectl'
	put common/srv/own 'a folder of its own'
	put w-1/etc/private.d/pin 1234 && chmod 700 overlays/w-1/etc/private.d && chmod 600 overlays/w-1/etc/private.d/pin
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	server=out/cp-1.img worker=out/w-1.img
	img=$BATS_TEST_TMPDIR/cp-1.img
	copy "$server"
}

# copy IMG: becomes $img, with its manifest beside it.
copy() {
	cp --reflink=auto --sparse=always "$1" "$img"
	cp "${1%.img}.manifest.json" "${img%.img}.manifest.json"
}

verify() {
	"$PIBUILD" verify "$@"
}

# change COMMAND: of debugfs, on the root file system of the copy.
change() {
	debugfs -w -R "$1" "$img?offset=$(part_start "$img" 2)" >/dev/null 2>&1
}

# judged [OPTION]...: verify finds faults in the copy, and tells no secret with them.
judged() {
	run verify "$img" "$@"
	[ "$status" -eq 4 ] || { echo "exit $status: $output"; return 1; }
	refute grep -qFf values <<<"$output"
}

# finds CHECK WHERE TEXT: it said so: "CHECK: WHERE: ... TEXT".
finds() {
	grep -F -- "$3" <<<"$output" | grep -q "^$1: $2: " || { echo "not said: $1: $2: $3"; echo "$output"; return 1; }
	grep -qE "^  FAULT  *($1|companions) " <<<"$output"
}

# only CHECK...: nothing else was found.
only() {
	[ "$(grep -o '^  FAULT  *[a-z0-9-]*' <<<"$output" | awk '{print $2}' | xargs)" = "$*" ] || { echo "$output"; return 1; }
}

# flip BYTE: turns a byte of the copy over.
flip() {
	local old
	old=$(od -An -tu1 -j "$1" -N 1 "$img")
	printf "\\x$(printf %02x $((old ^ 255)))" | dd of="$img" bs=1 seek="$1" conv=notrunc status=none
}

@test "an image as it was built is clean: server and worker, against base, lock and digest" {
	for image in "$server" "$worker"; do
		verify "$image" --base base.img --lock lock >report
		[ "$(grep -c '^  ok ' report)" -eq 16 ]
		refute grep -q 'FAULT\|skipped' report
	done
	grep -q 'node w-1 of cluster lab, worker' report
}

@test "what cannot be looked at without more is said to be skipped, and is no fault" {
	rm "${img%.img}.manifest.json"
	verify "$img" >report
	[ "$(grep '^  skipped' report | awk '{print $2}' | xargs)" = 'companions base lock' ]
}

@test "--json tells every check and every finding" {
	verify "$server" --json | jq -e '.clean and .node == "cp-1" and (.checks | length) == 16 and .findings == [] and
		([.checks[] | select(.name == "files")][0] | .state == "ok" and .looked > 100)'
	change 'rm /etc/hostname'
	verify "$img" --json 2>/dev/null >json || [ $? -eq 4 ]
	jq -e '(.clean | not) and .findings == [{check: "files", where: "/etc/hostname", text: "is not there"}] and
		([.checks[] | select(.state == "fault").name] == ["files"])' json
}

@test "a byte of a program that is not its own any more" {
	block=$(on_root "$img" blocks /usr/local/bin/helm | awk '{print $1}')
	size=$(dumpe2fs -h "$img?offset=$(part_start "$img" 2)" 2>/dev/null | awk -F: '/^Block size/ {print $2 + 0}')
	flip $(($(part_start "$img" 2) + block * size + 1000))
	judged
	finds files /usr/local/bin/helm 'other content'
	only files
}

@test "a byte of a file of the boot partition" {
	boot_cat "$img" cmdline.txt >cmdline
	at=$(grep -abo cgroup_enable "$img" | head -1 | cut -d: -f1)
	flip "$at"
	judged
	finds files /boot/firmware/cmdline.txt 'other content'
}

@test "a mode, an owner, a link, a kind and a length that are not the manifest's" {
	change 'sif /etc/hostname mode 0100640'
	change 'sif /etc/hosts uid 1000'
	change 'rm /usr/local/bin/kubectl'
	change 'symlink /usr/local/bin/kubectl /bin/sh'
	change 'rm /etc/timezone'
	change 'mkdir /etc/timezone'
	change 'rm /etc/pibuild/node'
	echo short >short
	change 'write short /etc/pibuild/node'
	judged
	finds files /etc/hostname 'has mode 0640, the manifest says 0644'
	finds files /etc/hosts 'belongs to 1000:0, the manifest says 0:0'
	finds files /usr/local/bin/kubectl 'leads to /bin/sh, the manifest says k3s'
	finds files /etc/timezone 'is no regular file'
	finds files /etc/pibuild/node 'has 6 bytes, the manifest says'
}

@test "what no record speaks of, when the base is there to compare with" {
	change 'mkdir /surprise'
	verify "$img" >/dev/null
	judged --base base.img
	finds base /surprise 'the manifest does not speak of it'
	only base
}

@test "the digest beside the image is of another one" {
	cp "${server%.img}".*[^g] "${img%/*}"
	verify "$img" >/dev/null
	truncate -s +512 "$img"
	judged
	finds sha256 "$img" 'one of the two was changed'
	echo nonsense >"$img.sha256"
	judged
	finds sha256 "${img%.img}.bmap" 'cp-1.img.sha256 states another digest, or none'
}

@test "a partition table that is gone: the rest is said to be skipped" {
	dd if=/dev/zero of="$img" bs=512 count=1 conv=notrunc status=none
	judged
	finds partitions 'partition table' 'it is no disk image'
	[ "$(grep -c '^  skipped' <<<"$output")" -eq 14 ]
}

@test "an image that was cut off" {
	truncate -s -1M "$img"
	judged
	finds partitions 'partition table' 'it is cut off'
}

@test "another disk id than cmdline.txt and fstab go by" {
	sfdisk -q --disk-id "$img" 0x12345678
	judged
	finds references /boot/firmware/cmdline.txt '12345678'
	finds references /etc/fstab '12345678'
	only references
}

# cmdline TEXT: of the copy
cmdline() {
	printf '%s\n' "$1" >"$BATS_TEST_TMPDIR/cmdline.txt"
	mcopy -o -i "$img@@$(part_start "$img" 1)" "$BATS_TEST_TMPDIR/cmdline.txt" ::
}

@test "a cmdline.txt without root=, with another partition's, or with it in a second line" {
	line=$(boot_cat "$img" cmdline.txt) id=$(sfdisk --disk-id "$img") id=${id#0x}
	cmdline "$(sed 's/ root=[^ ]*//' <<<"$line")"
	judged
	finds references /boot/firmware/cmdline.txt "has no root=PARTUUID=$id-02 in its first line"
	cmdline "${line/-02/-01}"
	judged
	finds references /boot/firmware/cmdline.txt "has root=PARTUUID=$id-01, which is not the root partition of this image (PARTUUID=$id-02)"
	cmdline "$line root=/dev/sda1"
	judged
	finds references /boot/firmware/cmdline.txt 'has root=/dev/sda1, which is not the root partition of this image'
	cmdline "$(sed 's/ root=/\nroot=/' <<<"$line")"
	judged
	finds references /boot/firmware/cmdline.txt 'has no root=PARTUUID'
}

@test "what check allows in an overlay, verify holds" {
	cd "$BATS_FILE_TMPDIR"
	verify allowed/w-1.img >said || { cat said; return 1; }
}

@test "damage in the root file system is told in e2fsck's words" {
	change 'sif /etc/hostname links_count 5'
	judged
	finds root-fs 'partition 2' 'e2fsck failed with exit code 4: Inode'
	finds root-fs 'partition 2' 'ref count is 5, should be 1'
	copy "$server"
	# The superblock itself.
	dd if=/dev/zero of="$img" bs=1 count=1024 seek=$(($(part_start "$img" 2) + 1024)) conv=notrunc status=none
	judged
	finds root-fs 'partition 2' 'e2fsck'
}

@test "damage in the boot partition is told in fsck.fat's words" {
	# A byte of the first FAT, beyond the entries every FAT begins with.
	at=$(part_start "$img" 1)
	flip $((at + $(minfo -i "$img@@$at" :: | sed -n 's/^reserved (boot) sectors: //p') * 512 + 40))
	judged
	finds boot-fs 'partition 1' 'fsck.fat failed with exit code 1'
	finds boot-fs 'partition 1' 'FATs differ'
	[ -z "$(find "${TMPDIR:-/var/tmp}" -maxdepth 1 -name 'pibuild-*' -newer values)" ]
}

@test "the manifest beside the image is another node's" {
	cp out/w-1.manifest.json "${img%.img}.manifest.json"
	judged
	finds manifest "${img%.img}.manifest.json" 'is not the manifest that lies on the card'
	only companions
}

@test "release.json that tells another node" {
	root_cat "$img" /etc/pibuild/release.json | sed 's/"node": "cp-1"/"node": "cp-2"/' >release
	change 'rm /etc/pibuild/release.json'
	change 'write release /etc/pibuild/release.json'
	judged
	finds manifest /etc/pibuild/release.json 'its node is cp-2, that of the manifest cp-1'
	finds files /etc/pibuild/release.json 'other content'
}

@test "an image without a manifest, and one that cannot be read" {
	change 'rm /etc/pibuild/manifest.json'
	judged
	finds manifest /etc/pibuild/manifest.json 'no image of pibuild'
	echo '{' >broken
	change 'write broken /etc/pibuild/manifest.json'
	judged
	finds manifest /etc/pibuild/manifest.json 'manifest.json:'
}

@test "pins that the lock does not have, or has by another digest" {
	sed '/name: helm/,/sha256/s/sha256: .*/sha256: "'"$(printf '0%.0s' {1..64})"'"/; s/name: hubble-cli/name: other/' lock >lock.other
	judged --lock lock.other
	finds lock helm 'v3.22.0 has sha256'
	finds lock hubble-cli 'is in the image, but not in'
	only lock
	fails 3 'cannot open' verify "$img" --lock nothing
}

@test "a unit that is gone, and a step that does not start" {
	change 'rm /etc/systemd/system/pibuild-cni.service'
	change 'rm /etc/systemd/system/multi-user.target.wants/pibuild-loadbalancer.service'
	judged
	finds units /etc/systemd/system/pibuild-cni.service 'the step cni of first boot cannot run'
	finds units /etc/systemd/system/multi-user.target.wants/pibuild-cni.service 'leads to no unit'
	finds units /etc/systemd/system/multi-user.target.wants/pibuild-loadbalancer.service 'does not start'
	finds files /etc/systemd/system/pibuild-cni.service 'is not there'
	only files units
}

@test "K3s of the other role, or of none" {
	change 'symlink /etc/systemd/system/multi-user.target.wants/k3s-agent.service /etc/systemd/system/k3s.service'
	judged
	finds units /etc/systemd/system/multi-user.target.wants/k3s-agent.service 'has no place on a control-plane node'
	change 'rm /etc/systemd/system/multi-user.target.wants/k3s.service'
	judged
	finds units /etc/systemd/system/multi-user.target.wants/k3s.service 'does not start on this control-plane node'
}

@test "a link of the base that leads nowhere is passed over when it wants, not when it requires" {
	change 'symlink /etc/systemd/system/multi-user.target.wants/gone.service /lib/systemd/system/gone.service'
	verify "$img" >/dev/null
	change 'mkdir /etc/systemd/system/multi-user.target.requires'
	change 'symlink /etc/systemd/system/multi-user.target.requires/gone.service /lib/systemd/system/gone.service'
	judged
	finds units /etc/systemd/system/multi-user.target.requires/gone.service 'leads to no unit'
}

@test "a unit of the user's that requires a oneshot that retries" {
	copy hanging/w-1.img
	judged
	finds units /etc/systemd/system/extra.service.d/x.conf 'requires pibuild-preflight.service, a oneshot that retries'
	only units
}

@test "what a user keeps private may be readable in a private folder, and run; not more" {
	copy hanging/w-1.img
	[ "$(root_mode "$img" /etc/private.d/pin)$(root_mode "$img" /etc/script)" = 06000700 ]
	change 'sif /etc/private.d/pin mode 0100644'
	change 'sif /etc/private.d mode 040755'
	change 'sif /etc/script mode 0100705'
	judged
	finds secret-files /etc/private.d/pin 'is a secret and has mode 0644'
	finds secret-files /etc/script 'is a secret and has mode 0705'
}

@test "setuid and writable for all" {
	change 'sif /usr/local/bin/k3s mode 0104755'
	change 'sif /etc/pibuild/steps mode 0100666'
	change 'write values /usr/lib/pibuild/new'
	change 'sif /usr/lib/pibuild/new mode 0102755'
	judged
	finds modes /usr/local/bin/k3s 'has mode 4755'
	finds modes /etc/pibuild/steps 'has mode 0666'
	finds modes /usr/lib/pibuild/new 'has mode 2755'
}

@test "secrets that others may read, or that are not root's" {
	change 'sif /etc/rancher/k3s/config.yaml mode 0100644'
	change 'sif /etc/pibuild/secrets mode 040755'
	change 'sif /etc/rancher/node/password uid 1000'
	change 'sif /home/pi/.ssh/authorized_keys mode 0100664'
	change 'sif /etc/shadow mode 0100644'
	judged
	finds secret-files /etc/rancher/k3s/config.yaml 'is a secret and has mode 0644, not 0600'
	finds secret-files /etc/rancher/k3s/config.yaml 'everybody on the node can read it'
	finds secret-files /etc/pibuild/secrets 'has mode 0755'
	finds secret-files /etc/rancher/node/password 'belongs to 1000:0, not to root'
	finds secret-files /home/pi/.ssh/authorized_keys 'not 0600 in 0700'
	finds secret-files /etc/shadow 'has mode 0644, not 0640'
}

@test "a certificate may be 0644 in its private folder, not in an open one" {
	[ "$(root_mode "$img" /var/lib/rancher/k3s/server/tls/server-ca.crt)" = 0644 ]
	change 'sif /var/lib/rancher/k3s/server mode 040755'
	change 'sif /var/lib/rancher/k3s/server/tls mode 040755'
	judged
	finds secret-files /var/lib/rancher/k3s/server/tls/server-ca.crt 'everybody on the node can read it'
}

# put_boot TEXT FILE: on the boot partition of the copy
put_boot() {
	printf 'text before %s and after\n' "$1" >note
	mcopy -n -i "$img@@$(part_start "$img" 1)" note "::$2"
}

@test "each secret of the cluster on the boot partition, named by the file that holds it" {
	token=$(root_cat "$img" /etc/rancher/k3s/config.yaml | sed -n 's/^token: //p')
	put_boot "$token" a.txt
	put_boot "$(root_cat "$img" /etc/rancher/node/password)" b.txt
	put_boot "$(root_cat "$img" /var/lib/rancher/k3s/server/tls/service.key | sed -n 3p)" c.txt
	put_boot "$(root_cat "$img" /var/lib/rancher/k3s/server/tls/etcd/peer-ca.key | sed -n 2p)" d.txt
	put_boot "$DO_TOKEN" e.txt
	judged
	finds secret-values /boot/firmware/a.txt 'holds a secret of /etc/rancher/k3s/config.yaml'
	finds secret-values /boot/firmware/b.txt 'holds a secret of /etc/rancher/node/password'
	finds secret-values /boot/firmware/c.txt 'holds a secret of /var/lib/rancher/k3s/server/tls/service.key'
	finds secret-values /boot/firmware/d.txt 'holds a secret of /var/lib/rancher/k3s/server/tls/etcd/peer-ca.key'
	finds secret-values /boot/firmware/e.txt 'holds a secret of /etc/pibuild/secrets/dns01.yaml'
	only secret-values
}

@test "a secret that was deleted from the boot partition is still there" {
	put_boot "$DO_TOKEN" gone.txt
	mdel -i "$img@@$(part_start "$img" 1)" ::gone.txt
	judged
	finds secret-values 'partition 1, free space' 'holds a secret of /etc/pibuild/secrets/dns01.yaml'
	at=$(sed -n 's/.*free space: .* at byte \([0-9]*\):.*/\1/p' <<<"$output")
	[ "$(dd if="$img" bs=1 skip="$at" count=${#DO_TOKEN} status=none)" = "$DO_TOKEN" ]
}

@test "a secret that lies across two pieces of the search" {
	at=$(($(part_start "$img" 1) + 8 * 1048576 - 20))
	printf %s "$DO_TOKEN" | dd of="$img" bs=1 seek="$at" conv=notrunc status=none
	judged
	finds secret-values 'partition 1, free space' "at byte $at"
}

@test "a secret in a unit and in the manifest" {
	printf '[Service]\nEnvironment=TOKEN=%s\n' "$DO_TOKEN" >unit
	change 'rm /etc/systemd/system/pibuild-cni.service'
	change 'write unit /etc/systemd/system/pibuild-cni.service'
	sed "s/generated: k3s/$DO_TOKEN/" out/cp-1.manifest.json >manifest
	change 'rm /etc/pibuild/manifest.json'
	change 'write manifest /etc/pibuild/manifest.json'
	judged
	finds secret-values /etc/systemd/system/pibuild-cni.service 'holds a secret'
	finds secret-values /etc/pibuild/manifest.json 'holds a secret'
}

@test "what a machine makes for itself: host keys, machine id, random seed" {
	ssh-keygen -q -t ed25519 -N '' -f ssh_key <<<y >/dev/null
	change 'write ssh_key /etc/ssh/ssh_host_ed25519_key'
	change 'write ssh_key /var/lib/systemd/random-seed'
	echo 0123456789abcdef0123456789abcdef >id
	change 'rm /etc/machine-id'
	change 'write id /etc/machine-id'
	judged
	finds fresh /etc/ssh/ssh_host_ed25519_key 'is a host key'
	finds fresh /var/lib/systemd/random-seed 'random data'
	finds fresh /etc/machine-id 'would be the same machine'
}

@test "a card that has booted is told from a damaged image" {
	change 'write values /var/lib/pibuild/cni.done'
	judged
	finds fresh /var/lib/pibuild/cni.done 'this card has run, and verify is for images as they were built'
	only fresh
}

@test "a base is no image of pibuild's" {
	fails 4 'no image of pibuild' verify base.img
}

@test "an image that is not there is an error, not a finding; a folder is none" {
	fails 1 'cannot open' verify nothing.img
	fails 2 'an argument is missing: usage: pibuild verify IMAGE' verify
}

@test "verify changes nothing, leaves nothing and needs no right to write" {
	mkdir "$BATS_TEST_TMPDIR/tmp"
	sum=$(sha256sum <"$img")
	chmod 400 "$img"
	TMPDIR=$BATS_TEST_TMPDIR/tmp verify "$img" --base base.img >/dev/null
	[ "$(sha256sum <"$img")" = "$sum" ]
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/tmp")" ]
}

@test "without fsck.fat it ends with 6 and names the package" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to hide the tool"
	run unshare -m bash -c 'mount --bind /dev/null "$0" && exec "$1" verify "$2"' "$(readlink -f "$(command -v fsck.fat)")" "$PIBUILD" "$img"
	[ "$status" -eq 6 ]
	[[ "$output" == *'install the package dosfstools'* ]]
}
