#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A server with a data disk and with both IP families, in QEMU: its card is made anew and the cluster stays, the disk is pulled and
# K3s waits for it, power goes while the disk is formatted. POINTS and SEED: how many cuts, and which.

load ../lib/life
load ../lib/refute

setup_file() {
	need_qemu
	need_loop
	cd "$BATS_FILE_TMPDIR"
	example_key=$example_key write_cluster
	sed -i 's/^network:/&\n  ipv6: {}/; /name: w-1/d; s/rpi5/virt/; s|1\.11/24}|1.11/24, data: {device: by-id/virtio-data}}|' cluster.yaml
}

# mounted: the guest's K3s keeps what it has on a disk that is this node's
mounted() {
	on cp-1 'findmnt -no SOURCE,FSTYPE,OPTIONS --mountpoint /var/lib/rancher' >mount
	grep -qE '^/dev/vd[ab] ext4 .*noatime' mount
	[ "$(on cp-1 'blkid -p -o value -s UUID $(findmnt -no SOURCE --mountpoint /var/lib/rancher)')" = "$(on cp-1 'sed -n "s/^uuid //p" /etc/pibuild/data')" ]
}

@test "an empty disk is formatted at first boot, and the cluster is on it" {
	qemu-img create -q -f qcow2 data.qcow2 2G
	card cp-1
	machine start cp-1 "$CARD" --memory 512 --cpus 1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed --data data.qcow2
	ready cp-1
	mounted
	on cp-1 'ls /var/lib/rancher/k3s/server' >state
	[ -s state ]
	# Not a file of K3s's on the card itself but what the card brought along.
	on cp-1 'mkdir -p /run/card && mount --bind / /run/card && find /run/card/var/lib/rancher -name stand-in; umount /run/card' >on-card
	[ ! -s on-card ]
	identity_of cp-1 >identity
	grep -qE '^[0-9a-f-]{36}$' identity
	on cp-1 'mkdir -p /var/lib/rancher/k3s/storage && echo mine >/var/lib/rancher/k3s/storage/volume && sync'
	# With no router that says a word about IPv6 it has its address in both families all the same, as K3s is told.
	address=$(on cp-1 'sed -n "s/^address6 //p" /etc/pibuild/node')
	on cp-1 'ip -6 -o addr show dev eth0 scope global' >addresses
	grep -qF " $address/64 " addresses || { echo "not there: $address" && cat addresses && on cp-1 'ip -6 addr; journalctl -b -o short-monotonic -u NetworkManager | tail -n 20' && return 1; }
	refute grep -qE 'tentative|dadfailed' addresses
	on cp-1 "grep -qx 'node-ip: 192.168.1.11,$address' /etc/rancher/k3s/config.yaml"
	took 'first boot'
}

@test "its card is made anew: the same cluster, the same volumes" {
	machine kill cp-1 --flushed
	card cp-1
	grep -q 'what cp-1 has on its data disk is kept, and it goes on with it' flashed
	machine start cp-1 "$CARD" --memory 512 --cpus 1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed --data data.qcow2
	ready cp-1
	mounted
	[ "$(identity_of cp-1)" = "$(cat identity)" ]
	[ "$(on cp-1 'cat /var/lib/rancher/k3s/storage/volume')" = mine ]
	refute on cp-1 'journalctl -b -o cat -u pibuild-data | grep formatted'
	took 'the new card'
}

@test "without the disk K3s waits, and the report says for what; with it all goes on" {
	machine poweroff cp-1 --timeout 300
	machine data cp-1
	machine boot cp-1
	BOUND=${BOUND:-900} told cp-1 data=waiting 'The data disk /dev/disk/by-id/virtio-data is not there'
	refute on cp-1 'systemctl is-active k3s'
	# Nor does it start when nothing waits for the disk any more.
	on cp-1 'systemctl mask --runtime --now pibuild-data; timeout 40 systemctl start k3s; systemctl is-active k3s; journalctl -b -o cat -u k3s' >started 2>&1 || true
	refute grep -qx active started
	grep -q 'asserts failed' started
	machine kill cp-1
	machine data cp-1 --file data.qcow2
	machine boot cp-1
	ready cp-1
	[ "$(identity_of cp-1)" = "$(cat identity)" ]
	took 'the disk is back'
}

# Formatting is begun again on the running node, whose disk is made empty for it.
@test "power cuts at seeded moments of the formatting: the disk is this node's in the end, and whole" {
	python3 - "${POINTS:-2}" "${SEED:-1}" >points <<-'PYTHON'
		import random, sys
		count, seed = map(int, sys.argv[1:])
		chance = random.Random(seed)
		for i in range(count):
		    print(f"{6 * (i + chance.random()) / count:.2f}", "lost" if (i + seed) % 2 == 0 else "kept")
	PYTHON
	number=0
	while read -r at mode <&4; do
		begun=$SECONDS
		number=$((number + 1))
		on cp-1 'systemctl stop k3s pibuild-data; for i in 1 2 3 4 5 6; do mountpoint -q /var/lib/rancher && umount -l /var/lib/rancher; done
			disk=$(readlink -f /dev/disk/by-id/virtio-data); sync; wipefs -qa $disk; dd if=/dev/zero of=$disk bs=1M count=1 conv=fsync 2>/dev/null
			rm -rf /run/pibuild/steps/data; setsid systemctl start --no-block pibuild-data </dev/null >/dev/null 2>&1'
		cut cp-1 "$at" "$mode"
		BOUND=${BOUND:-900} told cp-1 data=done
		mounted
		on cp-1 'disk=$(readlink -f /dev/disk/by-id/virtio-data); ls /var/lib/rancher/k3s/server/tls/server-ca.key; [ ! -e /var/lib/pibuild/data.formatting ] && dumpe2fs -h $disk 2>/dev/null | grep "Filesystem state"' >whole
		grep -q 'Filesystem state: *clean' whole
		took "point $number: cut $at s after it was begun, unflushed writes $mode"
	done 4<points
	[ "$number" = "${POINTS:-2}" ]
	ready cp-1
}
