#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# One first boot in QEMU that meets every fault a home network and a card have for it, one after another. Each case puts the
# next one in (or finds it there), waits until the report on the node and on the boot partition names it with its cure, within
# its bound, takes the cause away, and sees first boot go on by itself. The cases build upon each other: one machine, one boot.

load ../lib/machines

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	export DO_TOKEN=dop_v1_0123456789
	build_node cp-1 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:' \
		'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]'
	power_on cp-1 --net user:192.168.1.0/24 # which lets nothing out
	plug cp-1 down
	machine seen cp-1 --timeout 300 'preflight: waiting'
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

@test "no cable: preflight waits and says so" {
	BOUND=200 told cp-1 preflight=waiting 'No cable on eth0'
	on cp-1 'grep -q "No cable on eth0" /boot/firmware/pibuild-status.txt'
	[ "$(on cp-1 'systemctl is-active k3s.service' || true)" != active ]
}

@test "a full card is named, and forgotten when there is room again" {
	on cp-1 'fallocate -l $(($(df -B1 --output=avail / | tail -n 1) - 100000000)) /var/filler'
	BOUND=60 told cp-1 preflight=waiting 'The card is full'
	on cp-1 'rm /var/filler'
	BOUND=60 told cp-1 preflight=waiting 'No cable on eth0'
}

@test "the cable comes after minutes, but the name server is dead" {
	plug cp-1 up
	BOUND=90 told cp-1 preflight=waiting 'name .* cannot be resolved'
}

@test "names come back; the clock stands at 1970" {
	on cp-1 'date -s @3600 && busybox httpd -p 443 -h /run/pibuild &&
		for name in $(sed -n "s/^registries //p" /etc/pibuild/node); do echo "127.0.0.1 $name"; done >>/etc/hosts'
	BOUND=90 told cp-1 preflight=waiting 'clock reads 1970'
	[ "$(on cp-1 'systemctl is-active k3s.service' || true)" != active ]
}

@test "the clock stands at the image's time: first boot goes on with a note; the API is never ready" {
	fault cp-1 api
	on cp-1 'date -s "@$(cat /etc/pibuild/build-time)"'
	BOUND=150 told cp-1 preflight=done
	on cp-1 cat /run/pibuild/status.json | jq -e '.notes[] | select(.about == "clock")'
	BOUND=120 told cp-1 k3s=waiting 'The API does not answer'
}

@test "the API answers; Cilium's agent ends again and again" {
	fault cp-1 crashloop
	fault cp-1 crds
	cured cp-1 api
	BOUND=90 told cp-1 k3s=done
	BOUND=180 told cp-1 cni=waiting 'CrashLoopBackOff'
}

@test "Cilium runs; its definitions are late" {
	cured cp-1 crashloop
	BOUND=120 told cp-1 cni=waiting 'does not know .*cilium'
}

@test "the definitions are there; the API refuses a manifest, and a program is missing" {
	on cp-1 'mv /usr/local/bin/helm /usr/local/bin/helm.gone'
	fault cp-1 refuse CiliumLoadBalancerIPPool
	cured cp-1 crds
	BOUND=120 told cp-1 cni=done
	BOUND=90 told cp-1 loadbalancer=failed 'refuses a manifest'
	BOUND=60 told cp-1 cert-manager=failed 'program helm is missing'
	machine seen cp-1 'cert-manager: .*The program helm is missing'
}

@test "the manifest is accepted and the program is back; cert-manager's webhook is late" {
	fault cp-1 webhook
	cured cp-1 refuse
	on cp-1 'mv /usr/local/bin/helm.gone /usr/local/bin/helm'
	BOUND=120 told cp-1 loadbalancer=done
	BOUND=120 told cp-1 cert-manager=done
	BOUND=120 told cp-1 issuers=waiting 'webhook does not answer yet'
}

@test "with no fault left, first boot ends READY without hands" {
	cured cp-1 webhook
	BOUND=150 told cp-1 'done'
	machine seen cp-1 'pibuild: READY'
	[ -z "$(on cp-1 'systemctl --failed --no-legend --plain')" ]
}
