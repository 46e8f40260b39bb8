#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The proof: a base of Debian arm64 packages, served, fetched, built into the images of a server and a worker, and booted in
# QEMU, on an Ethernet of their own. The worker is on first and waits; the server goes from power-on to the last step of first
# boot, is switched off, and boots once more, alone. The cases look at what the running machines said, and each goes on where
# the one before it ended. K3s, cilium, helm and kubectl are stand-ins. tests/life has clusters of several servers.

load ../lib/machines

canary=dop_v1_canary0123456789abcdefghijklmnopqrstuvwxyz
calls='sudo cat /var/lib/rancher/k3s/stand-in/calls'

# Everything that must not change when a node boots again (the network watchdog notes up to a minute after READY that it was there), once the node's object has its last report, which is written there at most every 15 s.
same='for i in $(seq 40); do sudo grep -q "pibuild.io/report: .done" /var/lib/rancher/k3s/stand-in/objects/node/_/cp-1 && break; sleep 1; done; sudo sh -c "cd / && { find etc var/lib/pibuild var/lib/rancher/k3s/stand-in/objects -type f ! -path etc/machine-id ! -path var/lib/pibuild/ready ! -path \"*/node/_/w-1\" | LC_ALL=C sort | xargs -d \\\\n sha256sum; find etc -type l -printf \"%p %l\\n\" | LC_ALL=C sort; }"'

# All but the one for locales, whose program the test base does not have.
verify='systemd-analyze verify --man=no --recursive-errors=no $(ls /etc/systemd/system/pibuild-*.service | grep -v locale); echo "$?"'

modes='sudo stat -c "%a %U:%G %n" /etc/rancher/k3s/config.yaml /etc/rancher/node/password /var/lib/rancher/k3s/server/tls/server-ca.key'
started='systemctl show -p ActiveEnterTimestampMonotonic k3s.service pibuild-preflight.service'

facts=(
	'hostname' 'ip -4 -o addr show eth0' 'ip route' 'systemctl is-system-running --wait' 'systemctl --failed --no-legend --plain'
	'systemctl is-active k3s.service' 'systemctl is-enabled k3s.service' 'systemctl is-active multi-user.target'
	'systemctl is-active NetworkManager.service' 'systemctl is-enabled systemd-networkd.service'
	'findmnt -bno SIZE /' 'cat /sys/fs/cgroup/cgroup.controllers' 'cat /etc/resolv.conf' 'nmcli -t -f NAME,DEVICE con show --active'
	'sudo journalctl -b -o cat -u k3s.service' 'sudo journalctl -b -o cat -u pibuild-grow-root.service'
	"$modes" 'date +%s' 'cat /etc/machine-id' "$started" 'ls /etc/ssh' 'kubectl version --client' 'cat /proc/cmdline'
	'cat /run/pibuild/status.json' 'pibuild-status; echo $?' 'cat /run/motd.d/50-pibuild' 'sudo ls -A /etc/pibuild/secrets'
	"$calls" 'sudo journalctl -b' 'sudo cat /var/lib/rancher/k3s/stand-in/objects/secret/cert-manager/dns01'
	'findmnt -no FSTYPE /boot/firmware' "$verify" "$same"
)

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	local node
	export DO_TOKEN=$canary
	ssh-keygen -q -t ed25519 -N '' -f key -C boot-test
	example_key=$(cat key.pub) write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:' \
		'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]'
	echo '  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24}' >>cluster.yaml
	CACHE=${BOOT_CACHE:-$PWD/cache} SANDBOX="--base bootable" build --node cp-1 --node w-1 -o out >stdout 2>stderr || { cat stderr; return 1; }
	judge out/cp-1.img
	power_on w-1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed
	# A Pi has no clock: it starts where the card was built.
	power_on cp-1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed --rtc 1970-01-01
	# The server is not there yet.
	plug cp-1 down
}

teardown_file() {
	power_off_all
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	[ ! -e broken ] || skip "an earlier one failed"
}

teardown() {
	keep_logs
}

@test "a worker without its server waits and says for whom" {
	touch broken
	BOUND=600 told w-1 find-cluster=waiting 'No server of the cluster answers at TCP 6443: cp-1 at 192.168.1.11'
	rm broken
}

@test "once the server is there, the worker joins with the agent token only" {
	touch broken
	plug cp-1 up
	BOUND=600 told w-1 'done'
	rm broken
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

@test "the server's steps are done too, and it shows every node and the one that is not there" {
	local i
	touch broken
	BOUND=600 told cp-1 'done'
	for ((i = 0; i < 60; i++)); do
		on cp-1 cat /run/pibuild/status.json >report.json
		refute jq -e '[.nodes[] | select(.state == "done") | .name] == ["w-1"]' report.json || break
		sleep 2
	done
	[ "$(jq -r '[.nodes[] | "\(.name)=\(.state)"] | sort | join(" ")' report.json)" = "w-1=done w-2=absent" ]
	questions >ask
	machine put cp-1 ask /run/ask
	BOUND=300 on cp-1 'bash /run/ask' | answers
	rm broken
}

@test "the machine boots to multi-user" {
	[ "$(answer 'systemctl is-active multi-user.target')" = active ]
}

@test "no unit failed" {
	[ -z "$(answer 'systemctl --failed --no-legend --plain')" ]
	[ "$(answer 'systemctl is-system-running --wait')" = running ]
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
	preflight=$(answer "$started" | sed -n 's/.*=//p' | tail -1)
	k3s=$(answer "$started" | sed -n 's/.*=//p' | head -1)
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
	answer "$modes" | awk '$1 != "600" || $2 != "root:root" {exit 1} END {exit NR != 3}'
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
		grep -qa "pibuild: $step: done" cp-1/console.log
	done
	grep -qaE 'pibuild: READY: all [0-9]+ steps done' cp-1/console.log
}

@test "login message and pibuild-status on the node show it" {
	answer 'cat /run/motd.d/50-pibuild' | grep -qE 'READY: all [0-9]+ steps done'
	answer 'pibuild-status; echo $?' | grep -q '^  done     issuers '
	[ "$(answer 'pibuild-status; echo $?' | tail -n 1)" = 0 ]
	answer 'pibuild-status; echo $?' | grep -q '^  done     w-1 '
	answer 'pibuild-status; echo $?' | grep -q '^  absent   w-2 '
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

@test "switched off and pulled out, the card's boot partition has the report, and no fault" {
	touch broken
	machine kill w-1
	machine poweroff cp-1
	mkdir -p second/out
	machine disk cp-1 second/out/cp-1.img
	[ "$(answer 'findmnt -no FSTYPE /boot/firmware')" = vfat ]
	"$PIBUILD" status second/out/cp-1.img >told
	grep -q '^  done *issuers' told
	boot_cat second/out/cp-1.img pibuild-status.txt | grep -qE 'READY: all [0-9]+ steps done'
	judge second/out/cp-1.img
	rm broken
}

@test "a second boot, by pibuild, changes nothing: /etc, stamps, cluster; it applies nothing and is done" {
	touch broken
	cp key second && cd second
	first="$(cd .. && answer "$same")"
	ordered="$(cd .. && answer "$calls" | grep -cE 'apply|install|upgrade')"
	facts=("$same" 'cat /run/pibuild/status.json' "$calls" id 'sudo -n id -u' 'sudo sshd -T')
	boot_node cp-1
	diff <(echo "$first") answer.0
	[ "$(wc -l <answer.0)" -gt 100 ]
	jq -e '.state == "done"' answer.1
	[ "$(grep -cE 'apply|install|upgrade' answer.2)" = "$ordered" ]
	rm ../broken
}

@test "the user logs in by key, is uid 1000 and may use sudo; sshd offers no password" {
	cd second
	answer id | grep -q '^uid=1000(pi) gid=1000(pi).*(sudo)'
	[ "$(answer 'sudo -n id -u')" = 0 ]
	answer 'sudo sshd -T' | grep -qx 'passwordauthentication no'
	answer 'sudo sshd -T' | grep -qx 'permitrootlogin no'
	grep -q 'Permission denied (publickey)' no-password
}
