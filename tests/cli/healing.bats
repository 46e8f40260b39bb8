#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What brings a node back: files of watchdog, journal and swap on rendered cards, and the programs that look after the
# network port, K3s's certificates and the end of the last boot, run here with stand-ins for what they look at.
# slow: each case renders a card.

load ../lib/first-boot

system_conf=card/etc/systemd/system.conf.d/90-pibuild.conf
journald_conf=card/etc/systemd/journald.conf.d/50-pibuild.conf
swap_conf=card/etc/rpi/swap.conf.d/50-pibuild.conf
wants=card/etc/systemd/system/timers.target.wants
preset=card/etc/systemd/system-preset/00-pibuild.preset

# rendered LINE...: cp-1's card of write_cluster's cluster in ./card, with its boot partition as a base's would become
rendered() {
	rm -rf card
	write_cluster "$@"
	[ -z "${BOARD:-}" ] || sed -i "s/board: rpi5/board: $BOARD/" cluster.yaml
	[ -e secrets.yaml ] || "$PIBUILD" secrets new -q
	"$PIBUILD" render --node cp-1 -o card >/dev/null 2>err || { cat err; return 1; }
}

# decisions SCRIPT FACTS...: for every combination of the comma-separated facts a line of them and the decision
decisions() {
	{
		sed -n '/^decide() {/,/^}/p' "$top/overlays/common/usr/lib/pibuild/$1"
		# shellcheck disable=SC2016 # for that shell
		echo 'while read -r facts; do echo "$facts $(decide $facts)"; done'
	} >decide.sh
	python3 -c 'import itertools, sys; [print(*facts) for facts in itertools.product(*(a.split(",") for a in sys.argv[1:]))]' "${@:2}" | sh decide.sh
}

# ---- files ----

@test "by default: a watchdog that fits the Raspberry Pi's, a journal on the card within 64 MiB, swap into memory" {
	rendered
	grep -qx 'RuntimeWatchdogSec=60' $system_conf
	grep -qx 'RebootWatchdogSec=300' $system_conf
	grep -qx 'Storage=persistent' $journald_conf
	grep -qx 'SystemMaxUse=64M' $journald_conf
	[ "$(stat -c %a card/var/log/journal)" = 755 ]
	grep -qx 'Mechanism=zram' $swap_conf
	grep -qx 'kernel_watchdog_timeout=300' card/boot/firmware/config.txt
	[ "$(sed -n '/kernel_watchdog/{x;p;d};x' card/boot/firmware/config.txt)" = '[all]' ]
	grep -qw 'watchdog_disarm=0' card/boot/firmware/cmdline.txt
}

# A time that leaves 8 or less by 16 resets a Pi with a kernel from before 2026-06 without end.
@test "the times of the watchdog are some that kernels of Raspberry Pis can set" {
	rendered
	for seconds in $(sed -n 's/^[A-Za-z]*WatchdogSec=//p' $system_conf); do
		[ $((seconds % 16)) -gt 8 ]
	done
}

@test "systemd and its tools read our files as meant, after Raspberry Pi OS's own" {
	rendered
	mkdir -p card/usr/lib/systemd/{system,journald}.conf.d
	printf '[Manager]\nRuntimeWatchdogSec=1m\n' >card/usr/lib/systemd/system.conf.d/40-rpi-enable-watchdog.conf
	cp card/usr/lib/systemd/system.conf.d/{40,70}-rpi-enable-watchdog.conf
	printf '[Journal]\nStorage=volatile\n' >card/usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf
	touch card/etc/systemd/{system,journald}.conf
	[ "$(systemd-analyze --root="$PWD/card" cat-config systemd/system.conf | grep '^Runtime' | tail -n 1)" = RuntimeWatchdogSec=60 ]
	[ "$(systemd-analyze --root="$PWD/card" cat-config systemd/journald.conf | grep '^Storage' | tail -n 1)" = Storage=persistent ]
}

@test "os.watchdog: false switches off what Raspberry Pi OS has on; virt has none to switch" {
	rendered 'os: {watchdog: false}'
	grep -qx 'RuntimeWatchdogSec=off' $system_conf
	refute grep -rq watchdog card/boot/firmware
	BOARD=virt rendered
	[ ! -e $system_conf ]
	refute grep -rq watchdog card/boot/firmware
}

@test "Debian's kernel has the watchdog as a module: it is not started before the kernel" {
	BOARD=rpi4 rendered 'os: {base: debian}'
	grep -qx 'RuntimeWatchdogSec=60' $system_conf
	refute grep -rq kernel_watchdog_timeout card/boot/firmware card/etc/default
	[ ! -e $swap_conf ]
}

@test "journal and swap as cluster.yaml says" {
	rendered 'os: {journal: {storage: volatile, max: 16MiB}, swap: off}'
	grep -qx 'Storage=volatile' $journald_conf
	grep -qx 'RuntimeMaxUse=16M' $journald_conf
	[ ! -e card/var/log/journal ]
	grep -qx 'Mechanism=none' $swap_conf
	rendered 'os: {base: raspios-bookworm, swap: off, journal: {max: 1GiB}}'
	[ "$(readlink card/etc/systemd/system/dphys-swapfile.service)" = /dev/null ]
	[ ! -e $swap_conf ]
	grep -qx 'SystemMaxUse=1024M' $journald_conf
}

@test "wrong values are told with what is right" {
	wrong() {
		write_cluster "os: {$1}"
		fails 3 "$2" "$PIBUILD" check
	}
	wrong 'journal: {max: 4MiB}' "os.journal.max: '4MiB' cannot be used: give a size from 8MiB to 4GiB, such as 64MiB"
	wrong 'journal: {max: 5GiB}' 'give a size from 8MiB to 4GiB'
	wrong 'watchdog: 20' 'os.watchdog'
	wrong 'networkWatchdog: true' 'os.networkWatchdog'
	wrong 'swap: file' 'os.swap'
}

@test "swap into memory where the base cannot is noted, when it was asked for" {
	write_cluster 'os: {base: raspios-bookworm, swap: zram}'
	fails 0 'os.swap: os.base: raspios-bookworm cannot swap into memory; its nodes swap into a file on the card' "$PIBUILD" check
	write_cluster 'os: {base: raspios-bookworm}'
	"$PIBUILD" check >log 2>&1
	refute grep -q os.swap log
}

@test "a Raspberry Pi 5 with a kernel from before the cure of its port is noted" {
	write_cluster 'versions: {raspios: 2026-04-13}'
	fails 0 'the network port of Raspberry Pi 5 can stop sending for good with the kernel of 2026-04-13' "$PIBUILD" check
	sed -i 's/rpi5/rpi4/; s/2026-04-13/2026-06-18/' cluster.yaml
	"$PIBUILD" check >log 2>&1 || true
	refute grep -q 'stop sending' log
}

@test "networkWatchdog: off takes its timer away; the others stay" {
	rendered
	[ -L $wants/pibuild-network-watchdog.timer ]
	[ -L $wants/pibuild-renew.timer ]
	grep -qx 'enable pibuild-network-watchdog.timer' $preset
	rendered 'os: {networkWatchdog: off}'
	[ ! -L $wants/pibuild-network-watchdog.timer ]
	grep -qx 'disable pibuild-network-watchdog.timer' $preset
	[ -L $wants/pibuild-renew.timer ]
}

# ---- the network port ----

# port: a card whose first boot came to its end, and a port that sends, in a network that does not answer
port() {
	card
	mkdir -p card/sys/class/net/eth0/statistics card/var/lib/pibuild card/run/pibuild
	echo 1000 >card/sys/class/net/eth0/statistics/tx_packets
	echo 1900000000 >card/clock
	printf 'qdisc fq_codel 0: root\n backlog 4542b 3p requeues 0\n' >card/qdisc
	: >card/var/lib/pibuild/ready
	program ping '[ ! -e "$PIBUILD_ROOT/answers" ] || exit 0' \
		'sent=$PIBUILD_SYS/class/net/eth0/statistics/tx_packets' \
		'[ -e "$PIBUILD_ROOT/frozen" ] || echo $(($(cat "$sent") + 3)) >"$sent"' 'exit 1'
	program tc 'cat "$PIBUILD_ROOT/qdisc"'
	program ip 'case $* in *addr*) cat "$PIBUILD_ROOT/address" ;; *route*) cat "$PIBUILD_ROOT/route" ;; link*) echo "$*" >>"$PIBUILD_ROOT/links" ;; esac'
	program systemctl 'echo "$*" >>"$PIBUILD_ROOT/ordered"'
	touch card/links card/ordered
}

# look [SECONDS]: that much later (60)
look() {
	read -r up _ <card/proc/uptime
	echo "$((${up%%.*} + ${1:-60})).00 0.00" >card/proc/uptime
	echo $(($(cat card/clock) + ${1:-60})) >card/clock
	sh card/usr/lib/pibuild/network-watchdog >>log 2>&1
}

looks() {
	local i
	for ((i = 0; i < $1; i++)); do look; done
}

# started_anew: what a restart leaves of a card
started_anew() {
	rm -rf card/run/pibuild
	mkdir -p card/run/pibuild
	echo '200.00 0.00' >card/proc/uptime
}

@test "the network watchdog's decision over every combination of facts" {
	decisions network-watchdog yes,no yes,no yes,no moved,frozen waits,empty,unknown first,short,long left,none left,none >table
	[ "$(sort -u table | wc -l)" = 576 ]
	python3 - <<-'PY'
		for line in open("table"):
		    born, carrier, answer, sent, queue, time, resets, restarts, said = line.split()
		    stuck = born == "yes" and carrier == "yes" and answer == "no" and sent == "frozen" and queue != "empty"
		    if not stuck: right = "leave"
		    elif time == "first": right = "look"
		    elif time == "long": right = "restart" if restarts == "left" else "give-up"
		    else: right = "reset" if resets == "left" else "look"
		    assert said == right, line
	PY
}

@test "a port that sends nothing is reset from the second look on, three times; after five minutes the node is restarted" {
	port
	touch card/frozen
	look
	[ ! -s card/links ]
	looks 3
	[ "$(cat card/links)" = "$(for i in 1 2 3; do printf 'link set dev eth0 down\nlink set dev eth0 up\n'; done)" ]
	looks 1
	[ "$(grep -c down card/links)" = 3 ]
	[ ! -s card/ordered ]
	looks 1
	[ "$(cat card/ordered)" = reboot ]
	[ "$(cut -d ' ' -f 2 card/var/lib/pibuild/network-watchdog | tr '\n' ' ')" = "reset reset reset restart " ]
	grep -q 'eth0 has sent nothing for 60 seconds; its link is taken down and up' log
	grep -q 'eth0 has sent nothing for 30. seconds; the node is restarted' log
}

@test "a port that sends again after a reset is left alone, and the report tells of it" {
	port
	touch card/frozen
	looks 2
	rm card/frozen
	looks 10
	[ "$(grep -c down card/links)" = 1 ]
	[ ! -s card/ordered ]
	grep -q 'eth0 sends again' log
	report
	jq -e '.notes[] | select(.about == "network-watchdog") | .cause | test("its link was reset once and the node restarted 0 times")' card/run/pibuild/status.json
	started_anew
	look
	grep -q 'reset once' card/run/pibuild/notes/network-watchdog
}

@test "three restarts in a day, over restarts and with a clock that stands still meanwhile; then it says so and gives up" {
	port
	touch card/frozen
	for i in 1 2 3; do
		looks 6
		[ "$(grep -c reboot card/ordered)" = "$i" ]
		started_anew
	done
	looks 20
	[ "$(grep -c reboot card/ordered)" = 3 ]
	grep -q 'it stands still now, and was restarted 3 times in a day' card/run/pibuild/notes/network-watchdog
	look 86400
	[ "$(grep -c reboot card/ordered)" = 4 ]
}

@test "nothing is done in a first boot, without a cable, in a network that is dead, with an empty queue, with nobody to ask" {
	port
	touch card/frozen
	rm card/var/lib/pibuild/ready
	looks 10
	[ ! -s card/links ]
	touch card/var/lib/pibuild/ready
	echo 0 >card/sys/class/net/eth0/carrier
	looks 10
	echo 1 >card/sys/class/net/eth0/carrier
	rm card/frozen
	looks 10
	touch card/frozen card/answers
	looks 10
	rm card/answers
	printf 'qdisc fq_codel 0: root\n backlog 0b 0p requeues 0\n' >card/qdisc
	looks 10
	printf 'qdisc fq_codel 0: root\n backlog 9b 1p requeues 0\n' >card/qdisc
	: >card/route
	looks 10
	[ ! -s card/links ]
	[ ! -s card/ordered ]
	echo 'default via 192.168.1.1 dev eth0' >card/route
	looks 2
	[ -s card/links ]
}

@test "a first boot that takes a day is left alone; when its report says READY it was one" {
	port
	touch card/frozen
	rm card/var/lib/pibuild/ready
	printf '{\n  "state": "working",\n' >card/run/pibuild/status.json
	look 86400
	looks 3
	[ ! -e card/var/lib/pibuild/ready ]
	[ ! -s card/links ]
	printf '{\n  "state": "done",\n' >card/run/pibuild/status.json
	look
	[ -e card/var/lib/pibuild/ready ]
}

@test "a card that cannot be written gets no restart: it would not be counted" {
	port
	touch card/frozen
	rm card/usr/local/bin/sync
	program sync 'exit 1'
	looks 12
	[ ! -s card/ordered ]
	grep -q 'the card cannot be written, without which no restart is made' card/run/pibuild/notes/network-watchdog
}

@test "the port of a VLAN is the one below, and servers are asked too" {
	port
	sed -i 's/^interface .*/interface eth0.20/' card/etc/pibuild/node
	printf 'cp-1 192.168.1.11\ncp-2 192.168.1.12\n- api.lan\n' >card/etc/pibuild/servers
	: >card/route
	program ping 'echo "$*" >>"$PIBUILD_ROOT/asked"; exit 1'
	looks 2
	grep -qx 'link set dev eth0 down' card/links
	[ "$(awk '{ print $NF }' card/asked | sort -u)" = 192.168.1.12 ]
}

# ---- K3s's certificates ----

# leaf FILE DAYS: a certificate of K3s that is good for that long
leaf() {
	mkdir -p "$(dirname "card/var/lib/rancher/k3s/$1")"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days "$2" \
		-keyout key.pem -out "card/var/lib/rancher/k3s/$1" 2>/dev/null
}

# server DAYS: cp-1 of three servers, certificates that are good for that long, at 3 o'clock of the first night of seven
server() {
	write_three() {
		write_cluster
		for n in 2 3; do
			sed -i "/name: w-1/i\\  - {name: cp-$n, role: control-plane, board: rpi5, address: 192.168.1.2$n/24}" cluster.yaml
		done
	}
	MAKE=write_three card
	api_up
	for n in 2 3; do
		sed "s/cp-1/cp-$n/" card/state/objects/node/_/cp-1 >card/state/objects/node/_/cp-$n
	done
	# Cilium's agents run, so nodes are Ready.
	mkdir -p card/state/objects/daemonset/kube-system
	printf '# born 1\napiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: cilium\n  namespace: kube-system\n' >card/state/objects/daemonset/kube-system/cilium
	leaf server/tls/serving-kube-apiserver.crt "$1"
	leaf server/tls/etcd/client.crt 300
	leaf server/tls/client-ca.crt 3
	leaf agent/client-kubelet.crt 200
	echo 03 >card/hour
	echo 007 >card/day
	echo $(($(date +%s) + 3600)) >card/clock
	program date 'case $1 in +%s) exec cat "$PIBUILD_ROOT/clock" ;; +%H) exec cat "$PIBUILD_ROOT/hour" ;; +%j) exec cat "$PIBUILD_ROOT/day" ;; esac' 'exec /bin/date "$@"'
	program systemctl 'echo "$*" >>"$PIBUILD_ROOT/ordered"'
	touch card/ordered
}

renew() {
	sh card/usr/lib/pibuild/renew >>log 2>&1
}

@test "the decision about K3s's certificates over every combination of facts" {
	decisions renew fresh,due,urgent,over night,day yes,no ready,late never,week,today >table
	[ "$(sort -u table | wc -l)" = 96 ]
	python3 - <<-'PY'
		for line in open("table"):
		    left, hour, turn, others, tried, said = line.split()
		    if left == "fresh": right = "keep"
		    elif tried == "today": right = "wait"
		    elif left == "over": right = "restart"
		    elif left == "urgent": right = "restart" if hour == "night" else "wait"
		    else: right = "restart" if (hour, turn, others, tried) == ("night", "yes", "ready", "never") else "wait"
		    assert said == right, line
	PY
}

@test "the report says how long K3s's certificates are good, by the first that runs out, CAs aside" {
	server 150
	renew
	mkdir -p card/run/pibuild/steps
	printf 'state waiting\nattempts 1\nsince 50\n' >card/run/pibuild/steps/preflight
	until=$(openssl x509 -noout -enddate -in card/var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt | cut -d= -f2)
	report
	[ "$(jq -r .certificatesUntil card/run/pibuild/status.json)" = "$(date -u -d "$until" +%Y-%m-%dT%H:%M:%SZ)" ]
	grep -q "K3s's certificates are good for 149 days, until $(date -u -d "$until" +%Y-%m-%d)" card/run/pibuild/status.txt
	[ "$(jq '.notes | length' card/run/pibuild/status.json)" = "$(ls card/run/pibuild/notes | wc -l)" ]
	[ ! -e card/run/pibuild/notes/certificates ]
	[ ! -s card/ordered ]
	"$PIBUILD" status card/run/pibuild/status.json >told || true
	grep -q "^K3s's certificates are good until $(date -u -d "$until" '+%Y-%m-%d %H:%M:%S') UTC" told
}

@test "with 50 days left a server restarts K3s in its night, once; the report says so before" {
	server 50
	echo 12 >card/hour
	renew
	grep -q "cause K3s's certificates run out in 49 days" card/run/pibuild/notes/certificates
	[ ! -s card/ordered ]
	echo 03 >card/hour && echo 008 >card/day
	renew
	[ ! -s card/ordered ]
	echo 007 >card/day
	renew
	renew
	[ "$(cat card/ordered)" = 'restart --no-block k3s.service' ]
	leaf server/tls/serving-kube-apiserver.crt 365
	renew
	[ ! -e card/run/pibuild/notes/certificates ]
}

@test "each server has a night of its own" {
	server 50
	for member in cp-1:001 cp-2:002 cp-3:003; do
		sed -i "s/^node .*/node ${member%:*}/" card/etc/pibuild/node
		for day in 000 001 002 003; do
			echo "$day" >card/day
			: >card/ordered
			rm -f card/var/lib/pibuild/renewed
			renew
			[ ! -s card/ordered ] || echo "${member%:*} $day" >>nights
		done
	done
	[ "$(cat nights)" = 'cp-1 000
cp-2 001
cp-3 002' ]
}

@test "a server waits while another one is not Ready, until a week before the end" {
	server 50
	mkdir -p card/state/faults
	echo cp-2 >card/state/faults/dead
	renew
	[ ! -s card/ordered ]
	leaf server/tls/serving-kube-apiserver.crt 6
	renew
	[ -s card/ordered ]
}

@test "a worker restarts its agent in its night, when it is Ready" {
	server 50
	leaf agent/client-kubelet.crt 40
	sed -i 's/^node .*/node w-1/; s/^role .*/role worker/' card/etc/pibuild/node
	rm card/usr/local/bin/kubectl
	program kubectl 'echo "$*" >>"$PIBUILD_ROOT/asked"' 'cat "$PIBUILD_ROOT/own-state"'
	echo Unknown >card/own-state
	renew
	[ ! -s card/ordered ]
	echo True >card/own-state
	renew
	[ "$(cat card/ordered)" = 'restart --no-block k3s-agent.service' ]
	grep -q 'get node w-1 -o' card/asked
}

@test "certificates that ran out are renewed at any hour; one that a restart did not renew is told, and not tried again that day" {
	server 6
	echo 12 >card/hour
	echo $(($(date +%s) + 10 * 86400)) >card/clock
	renew
	[ "$(grep -c restart card/ordered)" = 1 ]
	echo $(($(cat card/clock) + 3600)) >card/clock
	renew
	[ "$(grep -c restart card/ordered)" = 1 ]
	grep -q 'a restart of K3s did not renew them' card/run/pibuild/notes/certificates
	echo $(($(cat card/clock) + 86400)) >card/clock
	renew
	[ "$(grep -c restart card/ordered)" = 2 ]
}

@test "before K3s has certificates, and without openssl, nothing is done" {
	server 50
	rm -r card/var/lib/rancher/k3s/server/tls card/var/lib/rancher/k3s/agent
	renew
	[ ! -s card/ordered ]
	[ ! -e card/run/pibuild/certificates ]
}

# ---- how the last boot ended ----

last_boot() {
	sh card/usr/lib/pibuild/last-boot "$@"
}

# rsts HEX: the chip's reason for this start
rsts() {
	mkdir -p card/proc/device-tree/chosen/bootloader
	printf "$(sed 's/../\\x&/g' <<<"$1")" >card/proc/device-tree/chosen/bootloader/rsts
}

@test "how a boot ended, by the mark, the chip's reason and what the watchdog knows" {
	card
	while read -r mark reason bootstatus right; do
		[ "$reason" != - ] || reason=''
		[ "$bootstatus" != - ] || bootstatus=''
		[ "$(last_boot ended "$mark" "$reason" "$bootstatus")" = "$right" ] || { echo "$mark $reason $bootstatus"; false; }
	done <<-EOT
		gone - - in-order
		gone 00000020 0 in-order
		gone 00001000 0 in-order
		left - - unknown
		left 00001000 0 power
		left 00000020 0 by-watchdog
		left 00000021 - by-watchdog
		left 00001020 0 power
		left 00000000 0 unknown
		left - 32 by-watchdog
		gone - 32 by-watchdog
	EOT
}

@test "a restart by the watchdog is counted for a month and told; loss of power and a restart in order are none" {
	card
	echo 1900000000 >card/clock
	rsts 00000020
	last_boot start
	[ ! -e card/run/pibuild/notes/watchdog ]
	last_boot stop
	last_boot start
	[ ! -e card/run/pibuild/notes/watchdog ]
	last_boot start # without a stop: it hung
	grep -q '^cause This node hung and its watchdog restarted it: once in a month, the last time at about 2030-03-17' card/run/pibuild/notes/watchdog
	rsts 00001000
	rm card/run/pibuild/notes/watchdog
	last_boot start
	grep -q 'restarted it: once' card/run/pibuild/notes/watchdog
	last_boot stop
	echo $((1900000000 + 31 * 86400)) >card/clock
	rm card/run/pibuild/notes/watchdog
	last_boot start
	[ ! -e card/run/pibuild/notes/watchdog ]
}

# ---- notices ----

@test "a processor that is slowed down by heat is noted" {
	card
	mkdir -p card/sys/class/thermal/thermal_zone0
	echo 61000 >card/sys/class/thermal/thermal_zone0/temp
	report
	[ ! -e card/run/pibuild/notes/heat ]
	echo 81250 >card/sys/class/thermal/thermal_zone0/temp
	report
	jq -e '.notes[] | select(.about == "heat") | .cause | test("reached 81 degrees")' card/run/pibuild/status.json
}

@test "stalls of the port that the kernel got going again are counted, on a Raspberry Pi 5's Ethernet" {
	card
	mkdir -p card/sys/class/net/eth0/device
	ln -s ../../../../bus/platform/drivers/bcmgenet card/sys/class/net/eth0/device/driver
	for i in 1 2; do
		echo 'macb 1f00100000.ethernet eth0: TX stall detected on queue 0 (tail=28784870 head=28784874); re-kicking TSTART'
	done >card/journal
	report
	[ ! -e card/run/pibuild/notes/stalls ]
	ln -sfn ../../../../bus/platform/drivers/macb card/sys/class/net/eth0/device/driver
	report
	grep -qx 'cause eth0 stopped sending 2 times since this start, and the kernel got it going again' card/run/pibuild/notes/stalls
}
