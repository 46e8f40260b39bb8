#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A cluster that dies with its only server and is there again from its backup, in QEMU: pibuild-backup on the node that
# runs, flash --restore onto a fresh card, and power cuts of that card's first boot. K3s is a stand-in; its snapshots of etcd
# hold what the API was told. POINTS and SEED: how many cuts, and which.

load ../lib/life

setup_file() {
	need_qemu
	need_loop
	cd "$BATS_FILE_TMPDIR"
	write_cluster 'backup: {to: {disk: BACKUP}}'
	sed -i '/name: w-1/d; s/rpi5/virt/; s/^  name: lab/&\n  datastore: etcd/' cluster.yaml
	card cp-1
	qemu-img create -q -f qcow2 place.qcow2 64M
	machine start cp-1 "$CARD" --data place.qcow2 --memory 512 --cpus 1 --net user:192.168.1.0/24 --append pibuild.network=closed
	ready cp-1
}

@test "the backup of a node that runs is at its place, whole by the digest beside it" {
	local name
	identity_of cp-1 >identity
	grep -qE '^[0-9a-f-]{36}$' identity
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: proof\n  namespace: default\ndata:\n  written: before\n' >proof.yaml
	machine put cp-1 proof.yaml /run/proof.yaml
	ask_api cp-1 'apply -f /run/proof.yaml'
	on cp-1 'for disk in /sys/block/vd*; do if grep -qx data "$disk/serial"; then mkfs.ext4 -q -L BACKUP "/dev/${disk##*/}"; fi; done'
	BOUND=120 on cp-1 'systemctl start pibuild-backup && mount LABEL=BACKUP /mnt'
	name=$(on cp-1 'cd /mnt && ls -1 *.gz')
	[[ "$name" == lab_cp-1_*_etcd.gz ]]
	for file in "$name" "$name.sha256"; do
		machine get cp-1 "/mnt/$file" "$file"
	done
	sha256sum -c "$name.sha256"
	ask_api cp-1 'delete configmap proof -n default'
	machine kill cp-1
	echo "$name" >name
}

@test "its dead card's successor starts the cluster from it: the same cluster, with the object that was written before" {
	RESTORE=$(cat name) card cp-1
	grep -q 'lab starts as it was at ' flashed
	machine start cp-1-again "$CARD" --memory 512 --cpus 1 --net user:192.168.1.0/24 --append pibuild.network=closed
	ready cp-1-again
	[ "$(identity_of cp-1-again)" = "$(cat identity)" ]
	[ "$(ask_api cp-1-again "get configmap proof -n default -o 'jsonpath={.data.written}'")" = before ]
	[ "$(on cp-1-again 'ls -1 /var/lib/rancher/k3s/stand-in/members')" = cp-1 ]
	machine kill cp-1-again
}

@test "power cuts at seeded points of the restore lead to the same end state: the cluster of the backup" {
	set -o pipefail
	"$top/tests/power-cut" --points "${POINTS:-2}" --seed "${SEED:-1}" --lanes "${LANES:-2}" \
		--expect '^\./configmap/default/proof:.*before' "$(find "$PWD/cards" -name 'cp-1.*' | sort | tail -n 1)" |
		sed -u 's/^/# /' >&3
}
