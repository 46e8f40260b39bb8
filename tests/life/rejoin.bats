#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Cards that die and are made anew, in QEMU: three servers and a worker stay one cluster. K3s in them is a stand-in that
# decides as the real one does about members (scripts/standins/members.sh); flash, cards and all that boots are the real ones.
# POINTS and SEED: power cuts of a rejoin, at how many seconds of it and which.

load ../lib/life

setup_file() {
	need_qemu
	need_loop
	cd "$BATS_FILE_TMPDIR"
	write_life
	SANDBOX="--base bootable" build --node cp-2 --node cp-3 --node w-1 -o out >stdout 2>stderr || { cat stderr; return 1; }
}

@test "three servers and a worker become one cluster" {
	begun=$SECONDS
	card cp-1
	insert cp-1 "$CARD"
	insert w-1 out/w-1.img
	ready cp-1
	insert cp-2 out/cp-2.img
	insert cp-3 out/cp-3.img
	ready w-1 cp-2 cp-3
	identity_of cp-1 >identity
	grep -qE '^[0-9a-f-]{36}$' identity
	one_cluster
	on w-1 'cat /proc/sys/kernel/random/boot_id' >worker
	ask_api cp-3 "get node w-1 -o 'jsonpath={.metadata.uid}'" >worker-node
	# What a server that stays hears of the worker, all along.
	on cp-3 'setsid sh -c "while sleep 15; do KUBECONFIG=/etc/rancher/k3s/k3s.yaml kubectl get node w-1 -o \"jsonpath={.status.conditions[?(@.type==\\\"Ready\\\")].status}{\\\"\\n\\\"}\"; done >/run/heard-of-worker 2>&1" >/dev/null 2>&1 &'
	took 'one cluster of four'
}

@test "the first server's card dies: a new one joins the living, under its name, and the worker stays" {
	begun=$SECONDS
	machine kill cp-1
	card cp-1
	grep -q 'this one joins it through another server' flashed
	jq -s -e '[.[] | select(.state == "done") | [.node, .starts]] == [["cp-1", true], ["cp-1", false]]' flashed.jsonl
	insert cp-1 "$CARD"
	# Whichever server the worker joined by, others do.
	soon 120 on w-1 'KUBECONFIG=/var/lib/rancher/k3s/agent/kubelet.kubeconfig kubectl get node w-1 -o name'
	ready cp-1
	echo $((SECONDS - begun)) >rejoin-took
	on cp-1 'cat /etc/pibuild/birth' | grep -qx no
	on cp-1 'cat /etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml' >dropin
	grep -qE '^server: "https://192\.168\.1\.1[23]:6443"$' dropin
	refute grep -q cluster-init dropin
	on cp-1 'journalctl -b -o cat -u pibuild-find-cluster' >journal
	grep -q 'removing what the cluster knows of cp-1, and its member of etcd, by cp-[23]' journal
	one_cluster
	took 'the first server is back'
}

@test "the worker was Ready all the time, at its first start, as the node that it was; then its card and a second server's die" {
	begun=$SECONDS
	[ "$(on w-1 'cat /proc/sys/kernel/random/boot_id')" = "$(cat worker)" ]
	[ "$(on w-1 'systemctl show -p NRestarts --value k3s-agent')" = 0 ]
	[ "$(ask_api cp-1 "get node w-1 -o 'jsonpath={.metadata.uid}'")" = "$(cat worker-node)" ]
	on cp-3 'sort /run/heard-of-worker | uniq -c' >heard
	grep -qE '^ +[0-9]+ True$' heard
	refute grep -E ' (False|Unknown)$' heard
	machine kill cp-2
	machine kill w-1
	card cp-2
	insert cp-2 "$CARD"
	card w-1
	insert w-1 "$CARD"
	ready cp-2 w-1
	[ "$(ask_api cp-1 "get node w-1 -o 'jsonpath={.metadata.uid}'")" = "$(cat worker-node)" ]
	one_cluster
	took 'the second server and the worker are back'
}

@test "with all others down a new card of the first server waits, and says whom for" {
	begun=$SECONDS
	for server in $servers; do
		machine kill "$server"
	done
	insert cp-1 "$(find "$PWD/cards" -name 'cp-1.*' | sort | tail -n 1)"
	BOUND=300 told cp-1 find-cluster=waiting 'No server of the cluster answers at TCP 6443: cp-2 at 192.168.1.12, cp-3 at 192.168.1.13; this card may not start the cluster'
	refute on cp-1 'systemctl is-active k3s'
	took 'told that nobody answers'
}

@test "a foreign cluster at the address of one of them is refused, never joined" {
	begun=$SECONDS
	mkdir foreign
	(
		cd foreign
		write_life
		sed -i '/name: cp-[13]/d; /name: w-1/d' cluster.yaml
		"$PIBUILD" secrets new -q
		SANDBOX="--base bootable" CACHE=../cache build --node cp-2 -o . >stdout 2>stderr || { cat stderr; return 1; }
	)
	insert foreign-cp-2 foreign/cp-2.img
	BOUND=300 told cp-1 find-cluster=waiting 'Another cluster answers at cp-2 \(192.168.1.12\): its CA is not that of this card'
	refute on cp-1 'systemctl is-active k3s'
	[ -z "$(on cp-1 'ls /etc/rancher/k3s/config.yaml.d 2>/dev/null')" ]
	machine kill foreign-cp-2
	took 'the foreign one is refused'
}

@test "one server alone has no majority, which is told; with two it joins, and it is the cluster that it was" {
	begun=$SECONDS
	machine boot cp-2
	BOUND=300 told cp-1 find-cluster=waiting 'cp-2 answers, and cannot tell about cp-1: '
	machine boot cp-3
	ready cp-2 cp-3 cp-1
	one_cluster
	took 'one cluster again'
}

@test "power cuts at seeded seconds of a rejoin end in one cluster" {
	points "${POINTS:-2}" "${SEED:-1}" "$(cat rejoin-took)" >points
	number=0
	while read -r at mode chance <&4; do
		begun=$SECONDS
		number=$((number + 1))
		server=cp-$((chance % 2 + 1))
		machine kill "$server"
		insert "$server" "$(find "$PWD/cards" -name "$server.*" | sort | tail -n 1)"
		power_cut "$server" "$at" "$mode"
		ready "$server"
		one_cluster || { echo "point $number: $server, cut at $at s, unflushed writes $mode" && return 1; }
		took "point $number: $server, cut at $at s, unflushed writes $mode"
	done 4<points
	[ "$number" = "${POINTS:-2}" ]
}
