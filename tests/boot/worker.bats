#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A worker's image, booted in QEMU. K3s is a stand-in.

load ../lib/boot

facts=(
	'hostname' 'ip -4 -o addr show eth0' 'systemctl --failed --no-legend --plain' 'systemctl is-active k3s-agent.service'
	'systemctl list-unit-files k3s.service --no-legend' 'sudo journalctl -b -o cat -u k3s-agent.service'
	'sudo find /var/lib/rancher/k3s/server -type f' 'findmnt -bno SIZE /' 'cat /etc/default/locale'
)

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	boot_node w-1
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
}

@test "the worker boots with no unit failed" {
	[ "$(cat state)" = running ]
	[ -z "$(answer 'systemctl --failed --no-legend --plain')" ]
}

@test "the K3s stand-in runs as agent" {
	[ "$(answer 'systemctl is-active k3s-agent.service')" = active ]
	answer 'sudo journalctl -b -o cat -u k3s-agent.service' | grep -q 'stand-in v1.36.4+k3s1: agent runs with'
}

@test "there is no server unit on it" {
	[ -z "$(answer 'systemctl list-unit-files k3s.service --no-legend')" ]
}

@test "no key of the cluster is on it" {
	run ! grep -q "^/" <(answer "sudo find /var/lib/rancher/k3s/server -type f")
}

@test "it has its own name and address" {
	[ "$(answer hostname)" = w-1 ]
	answer 'ip -4 -o addr show eth0' | grep -qw 192.168.1.12/24
}

@test "its root has grown and its locale is set" {
	[ "$(answer 'findmnt -bno SIZE /')" -gt 3500000000 ]
	[ "$(answer 'cat /etc/default/locale')" = LANG=C.UTF-8 ]
}
