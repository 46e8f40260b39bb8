#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild boot --all for real: a cluster.yaml of Pis as machines of QEMU that find each other and become one cluster.

load ../lib/boot

setup() {
	need_qemu
	cd "$BATS_TEST_TMPDIR"
	ssh-keygen -q -t ed25519 -N '' -f key -C boot-test
	example_key=$(cat key.pub) write_cluster
}

# What makes an emulated machine slow and is not what is tested.
quick='nokaslr kpti=off mitigations=off apparmor=0 audit=0 rcupdate.rcu_expedited=1 quiet systemd.default_device_timeout_sec=900'

# The bootable base stands for Raspberry Pi OS there.
rehearse() {
	SANDBOX="--base bootable" CACHE=${BOOT_CACHE:-$PWD/cache} build boot --all --base raspios --memory 768 --cpus 1 --disk-size 4GiB \
		--log logs --append "$quick" "$@"
}

@test "a server and a worker become one cluster, which is reached by the ports that are told" {
	cat >ask <<-'EOT'
		ask() { ssh -n -F none -i key -p "$1" -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o BatchMode=yes pi@127.0.0.1 "${@:2}"; }
		for port in $SSH_PORTS; do
			ask "${port#*=}" hostname
		done >names
		ask "$SSH_PORT" sudo k3s kubectl get nodes -o name >nodes
	EOT
	rehearse --until-ready --timeout 1200 -- bash ./ask >out 2>err || { tail -n 30 err logs/*; return 1; }
	grep -q 'all 2 nodes are done, after' err
	[ "$(cat names)" = $'cp-1\nw-1' ]
	[ "$(sort nodes)" = $'node/cp-1\nnode/w-1' ]
	[ ! -e flashed.jsonl ]
}
