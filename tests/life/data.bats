#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A server with a data disk, both IP families, a proxy, labels and taints, in QEMU: its card is made anew and the cluster stays, the
# disk is pulled and K3s waits for it, a foreign one stays as it is, power goes while the disk is formatted. POINTS and SEED: how many
# cuts, and which.

load ../lib/life

setup_file() {
	need_qemu
	need_loop
	cd "$BATS_FILE_TMPDIR"
	example_key=$example_key write_cluster
	sed -i 's|^network:|&\n  ipv6: {}\n  proxy: {http: "http://proxy.home.arpa:3128"}|; /name: w-1/d; s/rpi5/virt/
		s|1\.11/24}|1.11/24, data: {device: by-id/virtio-data}, labels: {radio: zigbee}, taints: ["dedicated=storage:PreferNoSchedule"]}|' cluster.yaml
}

# mounted: the guest's K3s keeps what it has on a disk that is this node's
mounted() {
	on cp-1 'findmnt -no SOURCE,FSTYPE,OPTIONS --mountpoint /var/lib/rancher' >mount
	grep -qE '^/dev/vd[ab] ext4 .*noatime' mount
	[ "$(on cp-1 'blkid -p -o value -s UUID $(findmnt -no SOURCE --mountpoint /var/lib/rancher)')" = "$(on cp-1 'sed -n "s/^uuid //p" /etc/pibuild/data')" ]
}

# both_families: the guest has the address that pibuild gave it in IPv6 too, for ever. There is no router here that says a word about
# IPv6, and NetworkManager waits half a minute for one.
both_families() {
	local address
	address=$(on cp-1 'sed -n "s/^address6 //p" /etc/pibuild/node')
	on cp-1 'ip -6 -o addr show dev eth0 scope global' >addresses
	grep -qF " $address/64 " addresses || { echo "not there: $address" && cat addresses && on cp-1 'journalctl -b -o short-monotonic -u NetworkManager | tail -n 20' && return 1; }
	grep -F " $address/64 " addresses | grep -q 'valid_lft forever' || { cat addresses && return 1; }
	refute grep -E 'tentative|dadfailed' addresses
}

# marks: labels and taints of the guest's Node, as its API has them
marks() {
	ask_api cp-1 "get node cp-1 -o 'jsonpath={.metadata.labels.radio} {.metadata.labels.rack} {.metadata.labels.mine} {.spec.taints[*].key}'"
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
	both_families
	address=$(on cp-1 'sed -n "s/^address6 //p" /etc/pibuild/node')
	on cp-1 "grep -qx 'node-ip: 192.168.1.11,$address' /etc/rancher/k3s/config.yaml"
	# K3s goes through the proxy, but not to its own networks, of either family.
	on cp-1 'tr "\0" "\n" </proc/$(systemctl show -P MainPID k3s)/environ' >environ
	grep -qx 'HTTPS_PROXY=http://proxy.home.arpa:3128' environ
	for network in $(on cp-1 'sed -nE "s/^(cluster|service)-cidr: //p" /etc/rancher/k3s/config.yaml' | tr , ' '); do
		grep '^NO_PROXY=' environ | grep -qF "$network"
		echo "$network" >>networks
	done
	[ "$(wc -l <networks)" -eq 4 ]
	# What cluster.yaml gives the node it has by the API, and what others give it beside that.
	[ "$(marks)" = 'zigbee   dedicated' ]
	ask_api cp-1 'label node cp-1 mine=kept'
	ask_api cp-1 'taint node cp-1 theirs=kept:PreferNoSchedule'
	# As the network watchdog does it; the kernel forgets IPv6's addresses then.
	on cp-1 'sleep 40; ip link set dev eth0 down; sleep 2; ip link set dev eth0 up'
	soon 60 both_families
	took 'first boot'
}

@test "its card is made anew: the same cluster, the same volumes" {
	machine kill cp-1 --flushed
	sed -i 's/radio: zigbee/radio: zwave, rack: a/; s/, taints: [^]]*]//' cluster.yaml
	card cp-1
	grep -q 'what cp-1 has on its data disk is kept, and it goes on with it' flashed
	machine start cp-1 "$CARD" --memory 512 --cpus 1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed --data data.qcow2
	ready cp-1
	mounted
	[ "$(identity_of cp-1)" = "$(cat identity)" ]
	[ "$(on cp-1 'cat /var/lib/rancher/k3s/storage/volume')" = mine ]
	refute on cp-1 'journalctl -b -o cat -u pibuild-data | grep formatted'
	# What cluster.yaml has otherwise now is so, what it has no longer is gone, and what others gave is there.
	[ "$(marks)" = 'zwave a kept theirs' ]
	both_families
	took 'the new card'
}

@test "without the disk K3s waits, and the report says for what" {
	machine poweroff cp-1 --timeout 300
	machine data cp-1
	machine boot cp-1
	BOUND=${BOUND:-900} told cp-1 data=waiting 'The data disk /dev/disk/by-id/virtio-data is not there'
	refute on cp-1 'systemctl is-active k3s'
	# Nor does it start past all that it waits for.
	on cp-1 'timeout 40 systemctl start --job-mode=ignore-dependencies k3s; systemctl is-active k3s; journalctl -b -o cat -u k3s' >started 2>&1 || true
	refute grep -qx active started
	grep -q 'asserts failed' started || { cat started && return 1; }
	machine kill cp-1
}

@test "a disk that holds anything is only read; with the node's own all goes on" {
	truncate -s 64M foreign
	mkfs.ext4 -q -F -L photos foreign
	qemu-img convert -O qcow2 foreign foreign.qcow2
	machine data cp-1 --file foreign.qcow2
	machine boot cp-1
	BOUND=${BOUND:-900} told cp-1 data=failed 'The disk vd[ab] holds ext4 with the label photos, and only an empty one is made a data disk'
	machine poweroff cp-1 --timeout 300
	qemu-img compare foreign foreign.qcow2
	machine data cp-1 --file data.qcow2
	machine boot cp-1
	ready cp-1
	[ "$(identity_of cp-1)" = "$(cat identity)" ]
	both_families
	took 'the disk is back'
}

# emptied: nothing of the guest uses its disk any more, which is empty again
emptied() {
	BOUND=180 on cp-1 'systemctl stop k3s pibuild-data
		find /proc/[0-9]*/fd /proc/[0-9]*/cwd -lname "/var/lib/rancher*" 2>/dev/null | cut -d / -f 3 | sort -u | xargs -r kill -9
		while mountpoint -q /var/lib/rancher; do umount /var/lib/rancher || exit 1; done
		disk=$(readlink -f /dev/disk/by-id/virtio-data); wipefs -qa "$disk" || exit 1
		dd if=/dev/zero of="$disk" bs=1M count=1 conv=fsync 2>/dev/null'
}

@test "power cuts at seeded moments of the formatting: the disk is this node's in the end, and whole" {
	emptied
	started=$SECONDS
	BOUND=300 on cp-1 'systemctl start pibuild-data'
	mounted
	python3 - "${POINTS:-2}" "${SEED:-1}" $((SECONDS - started)) >points <<-'PYTHON'
		import random, sys
		count, seed, last = map(int, sys.argv[1:])
		chance = random.Random(seed)
		for i in range(count):
		    print(f"{last * (i + chance.random()) / count:.2f}", "lost" if (i + seed) % 2 == 0 else "kept")
	PYTHON
	number=0
	while read -r at mode <&4; do
		begun=$SECONDS
		number=$((number + 1))
		emptied
		on cp-1 'systemctl start --no-block pibuild-data'
		power_cut cp-1 "$at" "$mode"
		BOUND=${BOUND:-900} told cp-1 data=done
		mounted
		on cp-1 'disk=$(readlink -f /dev/disk/by-id/virtio-data); ls /var/lib/rancher/k3s/server/tls/server-ca.key; [ ! -e /var/lib/pibuild/data.formatting ] && dumpe2fs -h $disk 2>/dev/null | grep "Filesystem state"' >whole
		grep -q 'Filesystem state: *clean' whole
		took "point $number: cut $at s after it was begun, unflushed writes $mode"
	done 4<points
	[ "$number" = "${POINTS:-2}" ]
	ready cp-1
	both_families
}
