#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild boot --upgrade-from: the cluster of an older lock, then apply of today's. QEMU is a stand-in (boot.bats), its
# machines are the sshds and folders of apply.bats, where its ports lead. tests/life/upgrade.bats boots.
# slow: it builds images

load ../lib/apply

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip "files of several owners: wants root"
	command -v qemu-img >/dev/null || skip "needs qemu-img"
	cd "$BATS_FILE_TMPDIR"
	machines cp-1=up w-1=up
	qemu_stand_in
	base_of_ones_own
	locks
	ports_lead
	cp cluster.yaml today.yaml
	# The cards of before, as they are made for QEMU's machines.
	mkdir out
	CAPTURE=$PWD/out rehearse --all --lock older.lock --until-ready >built 2>&1 || { cat built; return 1; }
	up cp-1 w-1
	there_programs
	for node in cp-1 w-1; do
		new_root "$node"
	done
	mkdir fresh
	cp -a root-* report-* fresh/
}

# It hands out the images that it is to run, if $CAPTURE says where to.
qemu_stand_in() {
	mkdir desk && cp "$BATS_TEST_DIRNAME/../lib/qemu-stand-in" desk/stand-in
	printf '#!/bin/sh\n[ -z "${CAPTURE:-}" ] || cp --sparse=always "${TMPDIR:-/var/tmp}"/pibuild-rehearsal.*/*.img "$CAPTURE"/\nexec "%s/desk/stand-in" "$@"\n' "$PWD" >desk/qemu-system-aarch64
	chmod 755 desk/qemu-system-aarch64
	printf '%s\r\n' 'pibuild: READY: all 7 steps done' >console
}

# The tiny base has no kernel.
base_of_ones_own() {
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	echo kernel >kernel8.img
	mcopy -i "base.img@@$(part_start base.img 1)" kernel8.img ::
	echo "os: {base: $PWD/base.img, sha256: $(sha256sum <base.img | cut -d ' ' -f 1), sysctl: {vm.swappiness: \"10\"}}" >>cluster.yaml
}

# now.lock, and those of other times
locks() {
	PATH=${PATH#"$PWD/bin:"} sandbox -- bash -c 'cp "$PIBUILD_LOCK" now.lock'
	chose v1.35.8+k3s1 1.19.6 v1.4.1 >older.lock
	sed '0,/version: v1.35.8+k3s1/s//version: v1.34.3+k3s1/' now.lock >with-1.34
	{ chose v1.34.3+k3s1 1.19.6 v1.4.1 with-1.34; } >ancient.lock
}

# chose K3S CILIUM GATEWAY-API [LOCK]: the lock of a time when these were in force
chose() {
	sed "s/^time: .*/&\nversions: {k3s: $1, cilium: $2, gatewayAPI: $3}/" "${4:-now.lock}"
}

# A port of 127.0.0.1 leads to the machine that QEMU runs: here to the sshd of the node that is meant.
ports_lead() {
	cat >desk/ssh <<-EOT
		#!/bin/bash
		words=()
		for word in "\$@"; do
			case \$word in
			HostKeyAlias=*) node=\${word#*=} node=\${node%%.*} ;;
			UserKnownHostsFile=*) echo "\$PWD" >>"$PWD/ran-in" ;;
			Port=*) word=AddressFamily=inet ;;
			127.0.0.1) case \$node in cp-*) word=192.168.1.1\${node#cp-} ;; *) word=192.168.1.2\${node#w-} ;; esac ;;
			esac
			words+=("\$word")
		done
		exec $(PATH=/usr/bin:/bin command -v ssh) -F "$PWD/ssh_config" -o User=root "\${words[@]}"
	EOT
	chmod 755 desk/ssh
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR"
	all_down
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	rm -rf root-* state/acts state/calls state/faults/* ran-in tmp
	[ ! -d fresh ] || cp -a fresh/. .
	cp today.yaml cluster.yaml
	member cp-1 1
	member w-1 ''
	export TMPDIR=$BATS_FILE_TMPDIR/tmp CONSOLE=$BATS_FILE_TMPDIR/console
	mkdir tmp
}

teardown() {
	# Nothing is left behind, however a run ended, and the real cluster's files are as they were.
	cd "$BATS_FILE_TMPDIR"
	[ -z "$(ls -A tmp)" ]
	[ ! -e known_hosts ]
	[ ! -e flashed.jsonl ]
}

# rehearse [OPTION]...
rehearse() {
	PATH="$BATS_FILE_TMPDIR/desk:${PATH#"$BATS_FILE_TMPDIR/bin:"}" CONSOLE=$BATS_FILE_TMPDIR/console PIBUILD_LOCK=$BATS_FILE_TMPDIR/now.lock \
		sandbox -- env PIBUILD_LOCK="$BATS_FILE_TMPDIR/now.lock" "$PIBUILD" boot --cache "$BATS_FILE_TMPDIR/cache" --progress none --timeout 20 "$@"
}

# upgrade [OPTION]...: $output has both streams
upgrade() {
	run rehearse --all --upgrade-from older.lock "$@"
}

@test "from an older lock to today's: servers first, new versions there, Ready, a verdict; nothing of it stays" {
	upgrade --log logs
	ends 0 'from K3s v1.35.8+k3s1, Cilium 1.19.6 to K3s v1.36.4+k3s1, Cilium 1.20.0' 'all 2 nodes are done' \
		'k3s v1.35.8+k3s1 -> v1.36.4+k3s1' 'cp-1 is as cluster.yaml says' 'w-1 is as cluster.yaml says' \
		'the upgrade holds: 2 nodes from K3s v1.35.8+k3s1, Cilium 1.19.6 to K3s v1.36.4+k3s1, Cilium 1.20.0'
	acts >done
	[ "$(grep -nE 'restart .*k3s' done | cut -d : -f 2 | cut -d ' ' -f 1 | uniq | tr '\n' ' ')" = 'cp-1 w-1 ' ]
	for node in cp-1 w-1; do
		[ "$(jq -r '.artifacts[] | select(.name == "k3s").version' "root-$node/etc/pibuild/manifest.json")" = v1.36.4+k3s1 ]
		cmp console "logs/$node.log"
	done
	refute grep -qx "$BATS_FILE_TMPDIR" ran-in
}

@test "versions of cluster.yaml count for the later half only; a command may look at the cluster that was upgraded" {
	echo 'versions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}' >>cluster.yaml
	upgrade -- sh -c 'echo "$SSH_PORTS" >ports'
	ends 0 'the versions are the same, only files may differ' $'cp-1\tis as cluster.yaml says' 'the upgrade holds'
	[ -z "$(acts)" ]
	sed -i '$d' cluster.yaml
	echo 'versions: {k3s: v1.36.4+k3s1}' >>cluster.yaml
	upgrade --dry-run
	ends 0 'from K3s v1.35.8+k3s1, Cilium 1.19.6 to K3s v1.36.4+k3s1'
	grep -qE '^cp-1=[0-9]+ w-1=[0-9]+$' ports
}

@test "a server whose new K3s never gets Ready: exit 1 with the cause, the worker is left alone, the reports are shown" {
	printf 'cp-1 ' >state/faults/dead
	upgrade --timeout 8
	ends 1 'the upgrade from K3s v1.35.8+k3s1, Cilium 1.19.6 to K3s v1.36.4+k3s1, Cilium 1.20.0 does not hold: cp-1 is changed and not well: after 8 seconds' \
		'the report of cp-1:' 'the report of w-1:'
	refute grep -q '^w-1 restart' <(acts)
	[ "$(jq -r '.artifacts[] | select(.name == "k3s").version' root-w-1/etc/pibuild/manifest.json)" = v1.35.8+k3s1 ]
}

@test "a step that fails after the change: exit 1 with the report's words" {
	ill w-1 'K3s v1.36.4+k3s1 does not take --old-flag'
	upgrade
	ends 1 'w-1 is changed and not well: its report says that k3s is failed: K3s v1.36.4+k3s1 does not take --old-flag' '"state": "failed"'
	ill cp-1 'x'
}

@test "a cluster that does not get up with the older lock is no upgrade's fault" {
	printf '%s\r\n' 'pibuild: FAILED: cni: no API -> look' >console
	upgrade
	ends 1 'reports a failure: cni: no API -> look'
	refute grep -q 'does not hold' <<<"$output"
	[ -z "$(acts)" ]
	printf '%s\r\n' 'pibuild: READY: all 7 steps done' >console
}

@test "a skipped minor version, and a way back, are refused before anything is built or started" {
	run rehearse --all --upgrade-from ancient.lock
	ends 5 'K3s skips no minor version: from v1.34.3+k3s1 the way to v1.36.4+k3s1 leads over 1.35' 'nothing was started'
	run rehearse --all --upgrade-from now.lock --lock older.lock
	ends 5 'K3s goes back within a minor version only' 'nothing was started'
	sed '/name: gateway-api/{n;s/v1.4.1/v1.3.0/}' now.lock >with-1.18
	chose v1.35.8+k3s1 1.18.12 v1.3.0 with-1.18 >cilium.lock
	run rehearse --all --upgrade-from cilium.lock
	ends 5 'Cilium goes one minor version at a time: from 1.18.12 the way to 1.20.0 leads over 1.19'
	[ -z "$(acts)" ]
}

@test "without addresses, without a lock, without --all or --node it is told what is missing" {
	sed -i 's/, address: 192.168.1.21.24//' cluster.yaml
	upgrade
	ends 3 'w-1 has no address of its own, and is not reached'
	cp today.yaml cluster.yaml
	run rehearse --all --upgrade-from nothing.lock
	ends 3 'nothing.lock'
	fails 2 '--upgrade-from rehearses cluster.yaml: with --all the whole cluster' "$PIBUILD" boot out/cp-1.img --upgrade-from older.lock
	fails 2 '--upgrade-from rehearses cluster.yaml: with --all the whole cluster' "$PIBUILD" boot --upgrade-from older.lock
	fails 2 'it takes none of --until, --poweroff' "$PIBUILD" boot --node cp-1 --upgrade-from older.lock --until x
}

@test "--dry-run prints QEMU's command lines and asks no node anything" {
	run rehearse --all --upgrade-from older.lock --dry-run
	ends 0 'from K3s v1.35.8+k3s1' 'qemu-system-aarch64'
	[ ! -e ran-in ]
}
