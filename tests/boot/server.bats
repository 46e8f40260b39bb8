#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The proof: a base of Debian arm64 packages, served, fetched, built into a server's image and booted in QEMU. It boots
# once; the cases look at what the running machine said. K3s is a stand-in.

load ../lib/boot

facts=(
	'hostname' 'ip -4 -o addr show eth0' 'ip route' 'id' 'sudo -n id -u' 'systemctl --failed --no-legend --plain'
	'systemctl is-active k3s.service' 'systemctl is-enabled k3s.service' 'systemctl is-active multi-user.target'
	'systemctl is-active NetworkManager.service' 'systemctl is-enabled systemd-networkd.service'
	'findmnt -bno SIZE /' 'cat /sys/fs/cgroup/cgroup.controllers' 'cat /etc/resolv.conf' 'nmcli -t -f NAME,DEVICE con show --active'
	'sudo journalctl -b -o cat -u pibuild-preflight.service' 'sudo journalctl -b -o cat -u k3s.service'
	'sudo journalctl -b -o cat -u pibuild-grow-root.service'
	'sudo sshd -T' 'sudo stat -c "%a %U:%G %n" /etc/rancher/k3s/config.yaml /etc/rancher/node/password /var/lib/rancher/k3s/server/tls/server-ca.key'
	'date +%s' 'cat /etc/machine-id' 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service'
	'ls /etc/ssh' 'kubectl --version' 'cat /proc/cmdline' 'sudo passwd -S pi' 'sudo cat /etc/pibuild/release.json'
)

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	boot_node cp-1
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
}

@test "the machine boots to multi-user" {
	[ "$(answer 'systemctl is-active multi-user.target')" = active ]
}

@test "no unit failed" {
	[ -z "$(answer 'systemctl --failed --no-legend --plain')" ]
	[ "$(cat state)" = running ]
}

@test "the K3s stand-in's unit is active and enabled" {
	[ "$(answer 'systemctl is-active k3s.service')" = active ]
	[ "$(answer 'systemctl is-enabled k3s.service')" = enabled ]
	answer 'sudo journalctl -b -o cat -u k3s.service' | grep -q 'k3s stand-in v1.36.4+k3s1: server runs with'
}

@test "the host name is the node's" {
	[ "$(answer hostname)" = cp-1 ]
}

@test "the static address, the route and the name servers are in force" {
	answer 'ip -4 -o addr show eth0' | grep -qw 192.168.1.11/24
	answer 'ip route' | grep -q '^default via 192.168.1.1 dev eth0'
	answer 'cat /etc/resolv.conf' | grep -qx 'nameserver 192.168.1.1'
	answer 'cat /etc/resolv.conf' | grep -qx 'nameserver 9.9.9.9'
	[ "$(answer 'nmcli -t -f NAME,DEVICE con show --active' | grep eth0)" = pibuild-eth0:eth0 ]
}

@test "the user logs in by key, is uid 1000 and may use sudo" {
	answer id | grep -q '^uid=1000(pi) gid=1000(pi).*(sudo)'
	[ "$(answer 'sudo -n id -u')" = 0 ]
}

@test "sshd offers no password" {
	answer 'sudo sshd -T' | grep -qx 'passwordauthentication no'
	answer 'sudo sshd -T' | grep -qx 'permitrootlogin no'
	grep -q 'Permission denied (publickey)' no-password
}

@test "host keys were made on the machine" {
	answer 'ls /etc/ssh' | grep -qx ssh_host_ed25519_key
}

@test "the root file system has grown to the disk" {
	[ "$(answer 'findmnt -bno SIZE /')" -gt 3500000000 ]
	answer 'sudo journalctl -b -o cat -u pibuild-grow-root.service' | grep -q '^grow-root: '
}

@test "the memory cgroup is on" {
	answer 'cat /sys/fs/cgroup/cgroup.controllers' | grep -qw memory
	answer 'cat /proc/cmdline' | grep -qw cgroup_enable=memory
}

@test "K3s started after the clock was looked at" {
	answer 'sudo journalctl -b -o cat -u pibuild-preflight.service' | grep -q 'clock: '
	preflight=$(answer 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service' | sed -n 's/.*=//p' | tail -1)
	k3s=$(answer 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service' | sed -n 's/.*=//p' | head -1)
	[ "$preflight" -gt 0 ] && [ "$k3s" -gt "$preflight" ]
}

@test "the clock is not before the build" {
	[ "$(answer 'date +%s')" -ge "$(root_cat out/cp-1.img /etc/pibuild/build-time)" ]
}

@test "only one manager of networks runs" {
	[ "$(answer 'systemctl is-active NetworkManager.service')" = active ]
	[ "$(answer 'systemctl is-enabled systemd-networkd.service')" != enabled ]
}

@test "what holds secrets is 0600 and root's on the running machine" {
	answer "${facts[19]}" | awk '$1 != "600" || $2 != "root:root" {exit 1} END {exit NR != 3}'
}

@test "first boot gave the machine an id of its own" {
	answer 'cat /etc/machine-id' | grep -qxE '[0-9a-f]{32}'
}

@test "kubectl is K3s's own" {
	answer 'kubectl --version' | grep -q 'kubectl stand-in of k3s'
}
