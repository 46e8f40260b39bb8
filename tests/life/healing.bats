#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A node in QEMU that hangs in every way it is brought back from, and in some in which it has to be left alone. One machine; the
# cases build upon each other. The watchdog is QEMU's i6300esb, with the times that every card has; of the network
# watchdog's, drop-ins make minutes into seconds.

load ../lib/machines

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	mkdir -p overlays/common/etc/{modules-load.d,systemd/system/pibuild-network-watchdog.{timer,service}.d}
	echo i6300esb >overlays/common/etc/modules-load.d/i6300esb.conf # the test base asks udev for little
	printf '[Timer]\nOnBootSec=\nOnUnitInactiveSec=\nOnBootSec=20s\nOnUnitInactiveSec=4s\nAccuracySec=1s\n' \
		>overlays/common/etc/systemd/system/pibuild-network-watchdog.timer.d/quick.conf
	printf '[Service]\nEnvironment=PIBUILD_PATIENCE=60\n' >overlays/common/etc/systemd/system/pibuild-network-watchdog.service.d/quick.conf
	build_node cp-1
	power_on cp-1 --net user:192.168.1.0/24 --watchdog --append pibuild.network=closed
	machine seen cp-1 --timeout 300 'preflight: done'
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

# noted ABOUT REGEX: within BOUND looks (60) the report has that note
noted() {
	local i
	for ((i = 0; i < ${BOUND:-60}; i++)); do
		on cp-1 cat /run/pibuild/status.json >status.json 2>on.log || true
		jq -e --arg about "$1" --arg cause "$2" '.notes[] | select(.about == $about) | .cause | test($cause)' status.json >jq.log 2>&1 && return 0
		sleep 2
	done
	cat status.json
	return 1
}

boot_id() {
	on cp-1 cat /proc/sys/kernel/random/boot_id
}

# another_boot ID: within BOUND looks (60) the machine is on in another boot than that
another_boot() {
	local i found
	for ((i = 0; i < ${BOUND:-60}; i++)); do
		found=$(BOUND=10 boot_id 2>on.log) || found=''
		[ "${#found}" != 36 ] || [ "$found" = "$1" ] || return 0
		sleep 2
	done
	return 1
}

# What the port's death looks like from outside the driver: all that is to be sent stays in the queue.
freeze_port() {
	on cp-1 'tc qdisc replace dev eth0 root netem delay 3000s limit 100000'
}

network_is_there() {
	local i
	for ((i = 0; i < 30; i++)); do
		on cp-1 'ping -c 1 -W 2 192.168.1.1 && ip -4 route show default | grep -q 192.168.1.1 && ip -4 addr show eth0 | grep -q 192.168.1.11/24' >ping.log 2>&1 && return 0
		sleep 2
	done
	cat ping.log
	return 1
}

@test "the watchdog is on from the first boot on, and a first boot that is only slow is left alone by it and by the network's" {
	fault cp-1 api
	[ "$(on cp-1 cat /sys/class/watchdog/watchdog0/identity)" = 'i6300ESB timer' ]
	[ "$(on cp-1 cat /sys/class/watchdog/watchdog0/timeout)" = 60 ]
	before=$(boot_id)
	freeze_port
	sleep 150
	on cp-1 systemctl show -p ActiveEnterTimestampMonotonic,Result pibuild-network-watchdog.service
	on cp-1 'systemctl list-timers --no-legend pibuild-network-watchdog.timer | grep -q pibuild'
	refute on cp-1 test -e /var/lib/pibuild/network-watchdog
	[ "$(boot_id)" = "$before" ]
	on cp-1 'tc qdisc del dev eth0 root'
	cured cp-1 api
	BOUND=200 told cp-1 'done'
	network_is_there
}

@test "a cable that is out is nothing the network watchdog acts upon, and the network is there when it is in again" {
	BOUND=30 on cp-1 'until [ -e /var/lib/pibuild/ready ]; do sleep 1; done'
	plug cp-1 down
	sleep 60
	plug cp-1 up
	network_is_there
	refute on cp-1 test -e /var/lib/pibuild/network-watchdog
}

@test "a port that stopped sending sends again once its link was taken down and up; the report tells of it" {
	before=$(boot_id)
	# In the place of the driver, which forgets what it hung upon.
	on cp-1 'systemd-run --quiet sh -c "until grep -q down /sys/class/net/eth0/operstate; do sleep 0.1; done; tc qdisc del dev eth0 root"'
	freeze_port
	noted network-watchdog 'its link was reset once and the node restarted 0 times'
	network_is_there
	[ "$(boot_id)" = "$before" ]
	on cp-1 'journalctl -b -u pibuild-network-watchdog' | grep -q 'its link is taken down and up'
}

@test "a port that does not come back restarts the node, and the report after it says why" {
	before=$(boot_id)
	freeze_port
	BOUND=120 another_boot "$before"
	BOUND=90 noted network-watchdog 'reset (2|3|4) times and the node restarted once'
	BOUND=120 told cp-1 'done'
	network_is_there
	# In order: no hang.
	refute jq -e '.notes[] | select(.about == "watchdog")' status.json
	on cp-1 'journalctl -b -1 -u pibuild-network-watchdog' | grep -q 'the node is restarted'
}

@test "a node whose systemd hangs is reset by the watchdog, and the report says so; the journal of before is there" {
	before=$(boot_id)
	on cp-1 'echo the last words | systemd-cat -t healing && journalctl --sync && sync'
	on cp-1 'echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze'
	BOUND=120 another_boot "$before"
	BOUND=90 noted watchdog 'This node hung and its watchdog restarted it: once in a month'
	on cp-1 'journalctl -b -1 -t healing -o cat' | grep -qx 'the last words'
	BOUND=120 told cp-1 'done'
}
