#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The proof: a base of Debian arm64 packages, served, fetched, built into a server's image and booted in QEMU, from power-on
# to the last step of first boot, then once more. The cases look at what the running machine said. K3s, cilium, helm and
# kubectl are stand-ins.

load ../lib/boot

canary=dop_v1_canary0123456789abcdefghijklmnopqrstuvwxyz
calls='sudo cat /var/lib/rancher/k3s/stand-in/calls'

# Everything that must not change when a node boots again (the network watchdog notes up to a minute after READY that it was there), once the node's object has its last report, which is written there at most every 15 s.
same='for i in $(seq 40); do sudo grep -q "pibuild.io/report: .done" /var/lib/rancher/k3s/stand-in/objects/node/_/cp-1 && break; sleep 1; done; sudo sh -c "cd / && { find etc var/lib/pibuild var/lib/rancher/k3s/stand-in/objects -type f ! -path etc/machine-id ! -path var/lib/pibuild/ready | LC_ALL=C sort | xargs -d \\\\n sha256sum; find etc -type l -printf \"%p %l\\n\" | LC_ALL=C sort; }"'

# All but the one for locales, whose program the test base does not have.
verify='systemd-analyze verify --man=no --recursive-errors=no $(ls /etc/systemd/system/pibuild-*.service | grep -v locale); echo "$?"'

facts=(
	'hostname' 'ip -4 -o addr show eth0' 'ip route' 'id' 'sudo -n id -u' 'systemctl --failed --no-legend --plain'
	'systemctl is-active k3s.service' 'systemctl is-enabled k3s.service' 'systemctl is-active multi-user.target'
	'systemctl is-active NetworkManager.service' 'systemctl is-enabled systemd-networkd.service'
	'findmnt -bno SIZE /' 'cat /sys/fs/cgroup/cgroup.controllers' 'cat /etc/resolv.conf' 'nmcli -t -f NAME,DEVICE con show --active'
	'sudo journalctl -b -o cat -u k3s.service' 'sudo journalctl -b -o cat -u pibuild-grow-root.service'
	'sudo sshd -T' 'sudo stat -c "%a %U:%G %n" /etc/rancher/k3s/config.yaml /etc/rancher/node/password /var/lib/rancher/k3s/server/tls/server-ca.key'
	'date +%s' 'cat /etc/machine-id' 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service'
	'ls /etc/ssh' 'kubectl version --client' 'cat /proc/cmdline' 'sudo passwd -S pi'
	'cat /run/pibuild/status.json' 'pibuild-status; echo $?' 'cat /run/motd.d/50-pibuild' 'sudo ls -A /etc/pibuild/secrets'
	"$calls" 'sudo journalctl -b' 'sudo cat /var/lib/rancher/k3s/stand-in/objects/secret/cert-manager/dns01'
	'findmnt -no FSTYPE /boot/firmware' "$verify" "$same"
)

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	export DO_TOKEN=$canary
	build_node cp-1 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:' \
		'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]'
	# A Pi has no clock: it starts where the card was built.
	boot_node cp-1 --rtc 1970-01-01 --keep disk.qcow2 --poweroff
	mkdir first && cp answer.* console first/
	qemu-img convert -O raw disk.qcow2 after.img
	facts=("$same" 'cat /run/pibuild/status.json' "$calls")
	boot_node cp-1 --keep disk.qcow2
	mkdir second && cp answer.* console second/
	cp first/answer.* .
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	printf '%s\n' "${facts[@]}" >facts
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

@test "K3s started after preflight" {
	preflight=$(answer 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service' | sed -n 's/.*=//p' | tail -1)
	k3s=$(answer 'systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service' | sed -n 's/.*=//p' | head -1)
	[ "$preflight" -gt 0 ]
	[ "$k3s" -gt "$preflight" ]
}

@test "the clock is not before the build, though the machine's own says 1970" {
	[ "$(answer 'date +%s')" -ge "$(root_cat out/cp-1.img /etc/pibuild/build-time)" ]
}

@test "only one manager of networks runs" {
	[ "$(answer 'systemctl is-active NetworkManager.service')" = active ]
	[ "$(answer 'systemctl is-enabled systemd-networkd.service')" != enabled ]
}

@test "what holds secrets is 0600 and root's on the running machine" {
	answer "${facts[18]}" | awk '$1 != "600" || $2 != "root:root" {exit 1} END {exit NR != 3}'
}

@test "first boot gave the machine an id of its own" {
	answer 'cat /etc/machine-id' | grep -qxE '[0-9a-f]{32}'
}

@test "kubectl is K3s's own" {
	answer 'kubectl version --client' | grep -q '^Client Version: v1.36.4+k3s1'
}

# steps: those of the card, in their order
steps() {
	root_cat out/cp-1.img /etc/pibuild/steps | awk '{ print $1 }'
}

@test "every step is done, and the report fits its schema" {
	answer 'cat /run/pibuild/status.json' >status.json
	[ "$(jq -r '.steps[] | .name + "=" + .state' status.json)" = "$(steps | sed 's/$/=done/')" ]
	[ "$(steps | wc -l)" -ge 7 ]
	"$PIBUILD" status status.json
	python3 -c 'import json, jsonschema, sys; jsonschema.validate(json.load(open("status.json")), json.load(open(sys.argv[1])))' \
		"$top/docs/status.schema.json"
}

@test "the console told each step and the verdict" {
	for step in $(steps); do
		grep -qa "pibuild: $step: done" first/console
	done
	grep -qaE 'pibuild: READY: all [0-9]+ steps done' first/console
}

@test "login message and pibuild-status on the node show it" {
	answer 'cat /run/motd.d/50-pibuild' | grep -qE 'READY: all [0-9]+ steps done'
	answer 'pibuild-status; echo $?' | grep -q '^  done     issuers '
	[ "$(answer 'pibuild-status; echo $?' | tail -n 1)" = 0 ]
	answer 'pibuild-status; echo $?' | grep -q '^  absent   w-1 '
}

@test "the boot partition of the card that was pulled out has the report, and no fault" {
	[ "$(answer 'findmnt -no FSTYPE /boot/firmware')" = vfat ]
	"$PIBUILD" status after.img >told
	grep -q '^  done *issuers' told
	boot_cat after.img pibuild-status.txt | grep -qE 'READY: all [0-9]+ steps done'
	judge after.img
}

@test "commands were given in order: definitions, Cilium, then pools beside cert-manager, issuers" {
	answer "$calls" | grep -oE 'kubectl apply|cilium (install|upgrade)|helm upgrade' >given
	[ "$(head -n 2 given | tr '\n' ' ')" = "kubectl apply cilium install " ]
	[ "$(grep -c 'helm upgrade' given)" = 1 ]
	[ "$(tail -n 1 given)" = "kubectl apply" ]
}

@test "the DNS-01 secret is in the cluster and nowhere else on the card: no file, no journal" {
	answer 'sudo cat /var/lib/rancher/k3s/stand-in/objects/secret/cert-manager/dns01' | grep -q "$canary"
	[ -z "$(answer 'sudo ls -A /etc/pibuild/secrets')" ]
	answer 'sudo journalctl -b' >journal
	grep -q 'pibuild-issuers' journal
	run ! grep -q "$canary" journal
}

@test "the machine's own systemd finds no fault in our units" {
	[ "$(answer "$verify")" = 0 ]
}

@test "a second boot changes nothing: /etc, stamps, cluster" {
	diff <(answer "$same") second/answer.0
	[ "$(wc -l <second/answer.0)" -gt 100 ]
}

@test "a second boot applies nothing and is done" {
	jq -e '.state == "done"' second/answer.1
	[ "$(grep -cE 'apply|install|upgrade' second/answer.2)" = "$(answer "$calls" | grep -cE 'apply|install|upgrade')" ]
}
