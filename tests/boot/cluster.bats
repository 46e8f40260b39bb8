#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Two machines on an Ethernet of their own: the worker is on first and waits for the server. Of three servers in cluster.yaml two are
# never there; tests/life/rejoin.bats has them all.

load ../lib/machines
load ../lib/refute

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	local node
	example_key=$example_key write_cluster
	sed -i '/name: cp-1/a\  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}\n  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}' cluster.yaml
	CACHE=${BOOT_CACHE:-$PWD/cache} SANDBOX="--base bootable" build --node cp-1 --node w-1 -o out >stdout 2>stderr || { cat stderr; return 1; }
	# As flash writes it onto the first card of the first server; an image without it waits five minutes for others.
	echo yes >birth
	debugfs -w -R "write birth /etc/pibuild/birth" "out/cp-1.img?offset=$(part_start out/cp-1.img 2)" 2>stderr
	for node in w-1 cp-1; do
		power_on "$node" --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed
	done
	# The server is not there yet.
	plug cp-1 down
}

teardown_file() {
	power_off_all
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
}

teardown() {
	keep_logs
}

@test "a worker without its server waits and says for whom" {
	BOUND=600 told w-1 find-cluster=waiting 'No server of the cluster answers at TCP 6443: cp-1 at 192.168.1.11'
}

@test "once the server is there, the worker joins with the agent token only" {
	plug cp-1 up
	BOUND=600 told w-1 'done'
	[ -z "$(on w-1 'find /var/lib/rancher/k3s/server -type f 2>&1 | grep "^/"')" ]
	on w-1 'grep -q "^token: .*::node:" /etc/rancher/k3s/config.yaml'
	on w-1 'ping -c 1 -W 5 192.168.1.11'
}

@test "the worker is itself and no server: name, address, locale, units; its root has grown, no unit failed" {
	[ "$(on w-1 hostname)" = w-1 ]
	on w-1 'ip -4 -o addr show eth0 | grep -qw 192.168.1.12/24'
	[ "$(on w-1 'cat /etc/default/locale')" = LANG=C.UTF-8 ]
	[ "$(on w-1 'findmnt -bno SIZE /')" -gt 3500000000 ]
	[ "$(on w-1 'systemctl is-active k3s-agent.service')" = active ]
	[ -z "$(on w-1 'systemctl list-unit-files k3s.service --no-legend')" ]
	[ -z "$(on w-1 'systemctl --failed --no-legend --plain')" ]
}

@test "the first server's own steps are done" {
	BOUND=600 told cp-1 cni=done
}

@test "the first server shows every node, and those that are not there" {
	local i
	for ((i = 0; i < 60; i++)); do
		on cp-1 cat /run/pibuild/status.json >report.json
		refute jq -e '[.nodes[] | select(.state == "done") | .name] == ["w-1"]' report.json || break
		sleep 2
	done
	[ "$(jq -r '[.nodes[] | "\(.name)=\(.state)"] | sort | join(" ")' report.json)" = "cp-2=absent cp-3=absent w-1=done" ]
}
