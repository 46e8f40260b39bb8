#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild boot --upgrade-from for real: a server and WORKERS workers (1) of an older lock in QEMU, changed by apply over the
# real ssh. K3s in them is a stand-in; in the bad case the new one never gets its node Ready.

load ../lib/boot

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	desk_lab "${WORKERS:-1}" rpi5 rpi4
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
}

# What makes an emulated machine slow and is not what is tested.
quick='nokaslr kpti=off mitigations=off apparmor=0 audit=0 rcupdate.rcu_expedited=1 quiet systemd.default_device_timeout_sec=900'

# upgrade COMMAND...: from the set of versions one minor back to today's; the bootable base stands for Raspberry Pi OS
upgrade() {
	# shellcheck disable=SC2016 # of the sandbox's shell
	sandbox --base bootable -- bash -c 'sed "s/^time: .*/&\nversions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}/" "$PIBUILD_LOCK" >older.lock && exec "$PIBUILD" --progress none --cache "${BOOT_CACHE:-cache}" boot --all --base raspios \
		--upgrade-from older.lock --memory 768 --cpus 1 --disk-size 4GiB --log logs "$@"' upgrade --append "$quick" "$@" >out 2>err
}

@test "the cluster of the older lock becomes that of today's: servers first, Ready, and the verdict says so" {
	cat >ask <<-'EOT'
		for port in $SSH_PORTS; do
			ssh -n -F none -i key -p "${port#*=}" -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o BatchMode=yes pi@127.0.0.1 k3s --version
		done >versions
	EOT
	upgrade --timeout 1200 -- bash ./ask || { tail -n 40 out err logs/*; return 1; }
	grep -q 'the upgrade holds: .* from K3s v1.35.8+k3s1, Cilium 1.19.6 to K3s v1.36.4+k3s1, Cilium 1.20.0' err
	grep -q 'k3s v1.35.8+k3s1 -> v1.36.4+k3s1' out
	[ "$(grep -c 'v1.36.4+k3s1' versions)" -eq $((1 + ${WORKERS:-1})) ]
	[ ! -e known_hosts ]
	[ ! -e flashed.jsonl ]
}

@test "a new K3s that never gets its node Ready ends it with exit 1, what failed, and the reports" {
	# The stand-in does nothing once this is there; the older one is asked for it at each start too, so it comes with a drop-in
	# of the new version's only: what an upgrade brings that does not work.
	mkdir -p overlays/common/etc/systemd/system/k3s.service.d
	cat >overlays/common/etc/systemd/system/k3s.service.d/50-old-binary-only.conf <<-'EOT'
		[Service]
		ExecStartPre=/bin/sh -c '/usr/local/bin/k3s --version | grep -q v1.35'
	EOT
	run upgrade --timeout 420
	cat out err
	[ "$status" -eq 1 ]
	grep -q 'the upgrade from K3s v1.35.8+k3s1, .* does not hold: cp-1 is changed and not well' err
	grep -q 'the report of cp-1:' err
}
