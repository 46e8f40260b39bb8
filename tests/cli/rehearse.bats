#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild boot --node and --all: cluster.yaml on QEMU's machine whatever its boards, one node or all in a LAN of their own.
# Images are built for it of the tiny base; QEMU is a stand-in (boot.bats). tests/life/rehearse.bats boots.
# slow: it builds images

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir bin && cp "$BATS_TEST_DIRNAME/../lib/qemu-stand-in" bin/qemu-system-aarch64
	# Nothing of this is on QEMU's machine.
	write_cluster "  interface: eth1" "  vlan: 40" "boot:" "  config: [dtparam=pciex1_gen=3]" "  eeprom: {BOOT_ORDER: [nvme, sd]}"
	# The tiny base has no kernel. A base of one's own is taken as it is.
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	echo kernel >kernel8.img
	mcopy -i "base.img@@$(part_start base.img 1)" kernel8.img ::
	cp cluster.yaml debian.yaml
	sed -i "s|^network:|os: {base: $PWD/base.img, sha256: $(sha256sum <base.img | cut -d ' ' -f 1)}\n&|" cluster.yaml
	sed -i '/name: w-1/s/board: rpi5/board: zero2w, memory: 512MiB/' cluster.yaml
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	command -v qemu-img >/dev/null || skip "needs qemu-img"
	export PATH=$BATS_FILE_TMPDIR/bin:$PATH CONSOLE=$BATS_TEST_TMPDIR/console TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir tmp
	cp "$BATS_FILE_TMPDIR"/*.yaml .
}

teardown() {
	# Nothing is left behind, however a run ended.
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/tmp" 2>/dev/null)" ]
}

# rehearse [OPTION]...
rehearse() {
	sandbox -- "$PIBUILD" boot --cache "$BATS_FILE_TMPDIR/cache" --progress none "$@"
}

@test "--all: each node a machine of board virt, plugged into one switch, the first one with the way to the ports of all; nothing is left" {
	rehearse --all --dry-run >lines 2>err || { cat err; return 1; }
	[ "$(wc -l <lines)" -eq 2 ]
	head -1 lines | xargs -n 1 >first
	tail -1 lines | xargs -n 1 >second
	plug=$(sed -n 's/^stream,id=net,server=off,addr.type=unix,addr.path=//p' second)
	[[ "$plug" == /*/switch ]]
	[ "$(grep -A 1 -xe -netdev first | grep -v ^- | sed "s|$plug|SWITCH|; s/restrict=on,.*/restrict=on/")" = "stream,id=net,server=off,addr.type=unix,addr.path=SWITCH
user,id=world,net=192.168.1.0/24,host=192.168.1.254,dns=192.168.1.1,restrict=on
stream,id=uplink,server=off,addr.type=unix,addr.path=SWITCH
hubport,id=port0,hubid=0,netdev=world
hubport,id=port1,hubid=0,netdev=uplink" ]
	grep -qE '^user,id=world,.*-192.168.1.11:22,.*-192.168.1.12:22,' first
	[ "$(grep -cxe -netdev second)" -eq 1 ]
	[ "$(grep -h '^virtio-net-device' first second | sort -u | wc -l)" -eq 2 ]
	# The real cluster's files are none of its business.
	[ ! -e out ]
	[ ! -e flashed.jsonl ]
}

@test "--all ends with the verdict of all nodes; what one says has its name in front, its console is kept" {
	printf '%s\r\n' 'pibuild: cni: waiting: no API -> wait' 'pibuild: READY: all 7 steps done' >console
	rehearse --all --until-ready --log logs -- sh -c 'echo "$SSH_PORTS" >ports' >out 2>err || { cat err; return 1; }
	grep -q 'cp-1: cni: waiting: no API -> wait' err
	grep -q 'w-1: cni: waiting' err
	grep -q 'all 2 nodes are done, after' err
	cmp console logs/cp-1.log
	cmp console logs/w-1.log
	grep -qE '^cp-1=[0-9]+ w-1=[0-9]+$' ports
	printf '%s\r\n' 'pibuild: FAILED: cni: no API -> look' >console
	fails 1 'reports a failure: cni: no API -> look' rehearse --all --until-ready
	printf '%s\r\n' 'pibuild: cni: waiting: no API -> wait' >console
	fails 1 'within 2 seconds not all nodes were done; not cp-1 (cni: waiting: no API -> wait), w-1' \
		rehearse --all --until-ready --timeout 2
}

@test "--node: one of them as boot IMAGE runs it; one that nobody lets in is told" {
	printf '%s\r\n' 'pibuild: READY: all 7 steps done' >console
	rehearse --node w-1 --until-ready --log log >out 2>err || { cat err; return 1; }
	grep -q 'board virt is this machine' err
	grep -q 'w-1 waits for cp-1, which is not there: --all has the whole cluster' err
	grep -q 'all 7 steps done, after' err
}

@test "a project without the pins of Debian is told what locks them" {
	fails 4 'write os.base: debian into the copy, lock that with --lock FILE' sandbox -- "$PIBUILD" boot -c debian.yaml --all --dry-run --cache "$BATS_FILE_TMPDIR/cache"
}

@test "usage of --all and --node" {
	fails 2 'usage: pibuild boot IMAGE|--node NAME|--all' "$PIBUILD" boot
	fails 2 'usage: pibuild boot IMAGE|--node NAME|--all' "$PIBUILD" boot x.img --all
	fails 2 '--all has every node: leave out --node' "$PIBUILD" boot --all --node cp-1
	fails 2 '--node is one node here; --all has the whole cluster' "$PIBUILD" boot --node cp-1 --node w-1
	fails 2 '--keep goes with an image that stays' "$PIBUILD" boot --node cp-1 --keep x
	fails 2 '--all takes none of --until' "$PIBUILD" boot --all --until x
	fails 2 '--base wants debian, raspios or raspios-bookworm' "$PIBUILD" boot --all --base arch
	fails 2 "has no node 'cp-9'; did you mean cp-1?" "$PIBUILD" boot --node cp-9
}
