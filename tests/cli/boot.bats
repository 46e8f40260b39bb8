#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild boot without a boot: what QEMU is told, and what becomes of what its console says. QEMU is a stand-in; a real
# one boots real images in tests/boot and tests/life.
# slow: it builds images and waits for the stand-in's console.

load ../lib/image
load ../lib/card

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir bin && cp "$BATS_TEST_DIRNAME/../lib/qemu-stand-in" bin/qemu-system-aarch64
	write_cluster
	card cp-1
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	command -v qemu-img >/dev/null || skip "needs qemu-img"
	export PATH=$BATS_FILE_TMPDIR/bin:$PATH CONSOLE=$BATS_TEST_TMPDIR/console TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir tmp
	img=$BATS_FILE_TMPDIR/cp-1.img
}

teardown() {
	# Nothing is left behind, however a run ended.
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/tmp" 2>/dev/null)" ]
}

# card NODE: NODE.img from the files a build would generate for it, with the base's boot partition.
card() {
	rm -rf root boot
	"$PIBUILD" render --node "$1" -o root --force >/dev/null
	mv root/boot/firmware boot
	sed -i '1s/^/console=serial0,115200 console=tty1 root=PARTUUID=5e7b1a2c-02 rootwait /' boot/cmdline.txt
	echo kernel >boot/kernel8.img
	make_card "$1.img" boot root
}

# dry [OPTION]...: the words of QEMU's command line, one per line.
dry() {
	"$PIBUILD" boot "$img" --dry-run "$@" >line 2>err || { cat err; return 1; }
	xargs -n 1 <line >words
}

# value OPTION: what follows it in the command line.
value() { grep -xA 1 -e "$1" words | tail -1; }

# gone PID: it ends within some seconds.
gone() {
	for _ in $(seq 50); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

started() {
	for _ in $(seq 100); do
		[ ! -s told ] || return 0
		sleep 0.1
	done
	return 1
}

# ---- the network ----

@test "the LAN is the node's own: subnet, gateway as name server, a host address nobody else has" {
	dry
	[[ "$(value -netdev)" == 'user,id=net,net=192.168.1.0/24,host=192.168.1.254,dns=192.168.1.1,restrict=on,'* ]]
	[[ "$(value -netdev)" =~ hostfwd=tcp:127.0.0.1:[0-9]+-192.168.1.11:22,hostfwd=tcp:127.0.0.1:[0-9]+-192.168.1.11:6443$ ]]
	[[ "$(value -append)" == *' pibuild.network=closed '* ]]
}

@test "the host's address is never the gateway's or the node's" {
	write_cluster
	sed -i 's/gateway: .*/gateway: 192.168.1.254/; s/192.168.1.11\//192.168.1.253\//; s/nameservers.*/nameservers: [9.9.9.9]/' cluster.yaml
	card cp-1 && img=cp-1.img
	dry
	[[ "$(value -netdev)" == *',net=192.168.1.0/24,host=192.168.1.252,dns=192.168.1.254,'* ]]
}

@test "without a gateway the name server has an address of its own" {
	cp -r "$BATS_FILE_TMPDIR"/{boot,root} .
	sed -i 's/^\(address1=.*\),.*/\1/' root/etc/NetworkManager/system-connections/*
	make_card card.img boot root && img=card.img
	dry
	[[ "$(value -netdev)" == *',host=192.168.1.253,dns=192.168.1.254,'* ]]
}

@test "a subnet too small for a host is widened" {
	write_cluster
	sed -i 's/192.168.1.0\/24/192.168.1.8\/30/; s/gateway: .*/gateway: 192.168.1.9/; s/192.168.1.11\/24/192.168.1.10\/30/; /w-1/d' cluster.yaml
	card cp-1 && img=cp-1.img
	dry
	[[ "$(value -netdev)" == *',net=192.168.1.8/29,host=192.168.1.14,dns=192.168.1.9,'* ]]
}

@test "a DHCP node gets QEMU's own network" {
	write_cluster
	sed -i 's/, address: [^}]*//; /w-1/d' cluster.yaml
	card cp-1 && img=cp-1.img
	dry
	[[ "$(value -netdev)" =~ ^user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:[0-9]+-:22,hostfwd=tcp:127.0.0.1:[0-9]+-:6443$ ]]
	[ ! -s err ]
}

@test "a node on a VLAN: said to be out of reach" {
	write_cluster '  vlan: 40'
	card cp-1 && img=cp-1.img
	dry
	grep -q 'it is on the VLAN eth0.40' err
	[[ "$(value -netdev)" == *',net=192.168.1.0/24,'* ]]
}

@test "--open opens the network and does not call it closed" {
	dry --open
	[[ "$(value -netdev)" != *restrict* ]]
	[[ "$(value -append)" != *pibuild.network* ]]
}

@test "ports: those asked for, and a message when one is taken" {
	dry
	[[ "$(value -netdev)" =~ 127.0.0.1:([0-9]+)-.*127.0.0.1:([0-9]+)- ]]
	dry --ssh-port "${BASH_REMATCH[2]}" --api-port "${BASH_REMATCH[1]}"
	[[ "$(value -netdev)" == *"127.0.0.1:${BASH_REMATCH[2]}-192.168.1.11:22,"*"127.0.0.1:${BASH_REMATCH[1]}-192.168.1.11:6443" ]]
	fails 2 '--ssh-port wants a number from 1 to 65535' "$PIBUILD" boot "$img" --ssh-port 70000
	python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True); time.sleep(20)' >port 3>&- &
	while [ ! -s port ]; do sleep 0.05; done
	fails 1 "port $(cat port) of 127.0.0.1 cannot be used" "$PIBUILD" boot "$img" --api-port "$(cat port)"
	kill $!
}

# ---- the machine ----

@test "cmdline.txt without its consoles, then more words, then QEMU's console last" {
	dry --append 'quiet systemd.unit=rescue.target'
	[[ "$(value -append)" == *'root=PARTUUID='*' quiet systemd.unit=rescue.target console=tty1 console=ttyAMA0' ]]
	[ "$(value -append | grep -o console= | wc -l)" -eq 2 ]
}

@test "memory, processors, clock, disk and more arguments" {
	dry --memory 1024 --cpus 3 --rtc 1970-01-01 --qemu -device --qemu virtio-balloon-device
	[ "$(value -m)" = 1024 ]
	[ "$(value -smp)" = 3 ]
	[ "$(value -rtc)" = base=1970-01-01 ]
	[ "$(tail -1 words)" = virtio-balloon-device ]
	grep -qx 'virtio-blk-device,drive=disk' words
	[[ "$(value -drive)" == *cache=unsafe* ]]
	fails 2 "--disk-size wants a size such as 16GiB, not 'big'" "$PIBUILD" boot "$img" --disk-size big
	fails 2 'less than the image has' "$PIBUILD" boot "$img" --disk-size 1M
}

@test "kernel and initramfs are those that config.txt names for every board" {
	cp -r "$BATS_FILE_TMPDIR"/{boot,root} .
	printf '%s\n' '[pi5]' kernel=kernel_2712.img '[all]' kernel=vmlinuz-6.12 'initramfs initrd.img-6.12 followkernel' >boot/config.txt
	make_card card.img boot root
	fails 1 'there is no vmlinuz-6.12' "$PIBUILD" boot card.img --dry-run
	echo kernel >boot/vmlinuz-6.12 && echo initramfs >boot/initrd.img-6.12
	make_card card.img boot root
	img=card.img dry
	[[ "$(value -initrd)" == */initramfs ]]
}

@test "an image without a kernel names what is missing" {
	cp -r "$BATS_FILE_TMPDIR"/{boot,root} . && rm boot/kernel8.img
	make_card card.img boot root
	fails 1 'there is no kernel8.img' "$PIBUILD" boot card.img
}

@test "a Pi's own kernel is refused before it is tried: no virtio, or only as modules its initramfs lacks" {
	cp -r "$BATS_FILE_TMPDIR"/{boot,root} .
	modules=root/usr/lib/modules/6.12.75+rpt-rpi-v8
	mkdir -p $modules
	: >$modules/modules.builtin && echo kernel/net/8021q/8021q.ko.xz: >$modules/modules.dep
	make_card card.img boot root
	fails 1 'the driver virtio_mmio is missing' "$PIBUILD" boot card.img --dry-run
	[[ "$output" == *"QEMU cannot run this image of board rpi5: its kernel kernel8.img is made for the Pi's hardware"* ]]
	[[ "$output" == *"name it instead of its image: \`pibuild boot --node NAME\`; of this image"* ]]
	printf 'kernel/drivers/%s.ko.xz:\n' virtio/virtio_mmio block/virtio_blk net/virtio_net >$modules/modules.dep
	mkdir -p tree/modules && echo init >tree/init
	pack_initramfs && make_card card.img boot root
	fails 1 'the driver virtio_mmio is a module that its initramfs lacks' "$PIBUILD" boot card.img --dry-run
	touch tree/modules/virtio_{mmio,blk}.ko
	pack_initramfs && make_card card.img boot root
	img=card.img dry
	printf 'kernel/drivers/%s.ko\n' virtio/virtio_mmio block/virtio_blk net/virtio_net >$modules/modules.builtin
	rm boot/initramfs8 && make_card card.img boot root
	img=card.img dry
}

pack_initramfs() {
	(cd tree && find . | sort | python3 -B "$top/scripts/base/bootable/cpio.py") | zstd -q >boot/initramfs8
}

@test "what is no raw image is refused" {
	xz -k -c "$img" >card.img.xz
	fails 1 'unpack it first' "$PIBUILD" boot card.img.xz
	fails 1 'cannot open nothing.img' "$PIBUILD" boot nothing.img
	fails 1 'is not an image file' "$PIBUILD" boot tmp
}

@test "without QEMU: exit 6 and the packages" {
	PATH=/nowhere fails 6 'sudo apt-get install qemu-system-arm qemu-utils' "$PIBUILD" boot "$img"
}

@test "usage errors" {
	fails 2 'an argument is missing: usage: pibuild boot IMAGE' "$PIBUILD" boot
	fails 2 'a command follows after --' "$PIBUILD" boot "$img" true
	fails 2 'exclude each other' "$PIBUILD" boot "$img" --until x --until-ready
	fails 2 'no POSIX extended regular expression' "$PIBUILD" boot "$img" --until '('
	fails 2 'there is no such program' "$PIBUILD" boot "$img" -- no-such-program
}

# ---- the run ----

@test "the console is shown on stdout, all else on stderr, and a machine that goes off ends it" {
	printf 'one\r\ntwo\r\n' >console
	QEMU_MODE=off "$PIBUILD" boot "$img" >out 2>err
	printf 'one\ntwo\n' | cmp - out
	[ "$(grep -c "of board rpi5 QEMU shows the system, first boot and the cluster; it cannot show what is the Pi's own" err)" -eq 1 ]
	grep -q 'firmware and config.txt.*GPIO and LEDs, Wi-Fi' err
	grep -qE '127.0.0.1 port [0-9]+ is its SSH, port [0-9]+ the Kubernetes API' err
}

@test "--until-ready ends 0 at READY and tells the steps, whatever stands before the lines" {
	printf '%s\r\n' '[   12.3] pibuild: preflight: running' 'x pibuild: cni: waiting: no API -> wait' \
		'[  120.0] pibuild: READY: all 7 steps done' >console
	"$PIBUILD" boot "$img" --until-ready --log log >out 2>err
	[ ! -s out ]
	grep -q 'pibuild: cni: waiting: no API -> wait' err
	grep -q 'all 7 steps done, after' err
	cmp console log
}

@test "--until-ready ends 1 at FAILED, with the step, its cause and the cure" {
	printf '%s\r\n' 'pibuild: cni: failed: no API -> look' 'pibuild: FAILED: cni: no API -> look at k3s' >console
	fails 1 'the node reports a failure: cni: no API; what to do: look at k3s' "$PIBUILD" boot "$img" --until-ready
}

@test "what the kernel repeats of its command line decides nothing" {
	printf '%s\r\n' '[ 0.0] Kernel command line: quiet say="pibuild: FAILED: cni: a -> b" Kernel panic - not syncing' \
		'pibuild: READY: all 1 steps done' >console
	"$PIBUILD" boot "$img" --until-ready >out 2>err
	fails 1 'did not appear' "$PIBUILD" boot "$img" --until say= --timeout 1
}

@test "a timeout tells the report's last word" {
	printf '%s\r\n' 'pibuild: cni: waiting: no API -> wait' >console
	fails 1 'no verdict within 1 seconds; its last word: cni: waiting: no API -> wait' \
		"$PIBUILD" boot "$img" --until-ready --timeout 1
	echo nothing >console
	fails 1 'is this an image with first-boot steps?' "$PIBUILD" boot "$img" --until-ready --timeout 1
}

@test "a panic, emergency mode and the machine's end fail at once" {
	printf 'x\r\n[ 1.0] Kernel panic - not syncing: VFS\r\n' >console
	fails 1 'the boot broke down: [ 1.0] Kernel panic - not syncing: VFS' timeout 20 "$PIBUILD" boot "$img" --until-ready
	printf 'You are in emergency mode. After logging in\r\n' >console
	fails 1 'the boot broke down: You are in emergency mode' timeout 20 "$PIBUILD" boot "$img"
	echo x >console
	QEMU_MODE=off fails 1 'the machine went off before' "$PIBUILD" boot "$img" --until never
}

@test "the end of the console is told when it failed unseen" {
	seq 100 >console
	run -1 "$PIBUILD" boot "$img" --until never --timeout 1 --log log
	[[ "$output" == *"the end of the console:"*"  61"*"  100"* ]]
	[[ "$output" != *"  60"* ]]
}

@test "--until takes a regular expression, and a prompt without an end of line" {
	printf 'Debian\r\n\ncp-1 login: ' >console
	"$PIBUILD" boot "$img" --until '^[a-z]+-[0-9] login: ?$' >out 2>err
	grep -q 'cp-1 login:' out
	fails 1 'did not appear within 1 seconds' "$PIBUILD" boot "$img" --until '^login' --timeout 1
}

@test "what would command a terminal is not shown, but kept in the log" {
	printf 'a\033[31mred\033[0m \033]0;title\007b\033[2J\002 tab\tend \302\233x\r\n' >console
	QEMU_MODE=off "$PIBUILD" boot "$img" >out 2>err
	LC_ALL=C grep -aq '^ared b? tab end .?x$' out
	LC_ALL=C run ! grep -aqP '[\x00-\x09\x0b-\x1f]|\xc2[\x80-\x9f]' out
	QEMU_MODE=off "$PIBUILD" boot "$img" --log log
	cmp console log
}

@test "a command is run once the login prompt is there; its status is the result" {
	printf 'cp-1 login: ' >console
	run -42 --separate-stderr "$PIBUILD" boot "$img" -- bash -c 'echo "$SSH_PORT $API_PORT"; cat "$CONSOLE_LOG"; exit 42'
	read -r ssh api <<<"$output"
	grep -q "127.0.0.1:$ssh-192.168.1.11:22,hostfwd=tcp:127.0.0.1:$api-192.168.1.11:6443" arguments
	[[ "$output" == *'cp-1 login: ' ]]
	"$PIBUILD" boot "$img" -- true
	run -137 "$PIBUILD" boot "$img" -- bash -c 'kill -KILL $$'
}

@test "the guest is not kept waiting while the command runs" {
	{ echo 'cp-1 login: ' && yes 'a long console' | head -c 1000000; } >console
	"$PIBUILD" boot "$img" --log log -- bash -c 'for _ in $(seq 100); do [ "$(stat -c %s log)" -lt 1000000 ] || exit 0; sleep 0.1; done; exit 1'
}

@test "--poweroff presses the button; else the power is cut" {
	printf 'cp-1 login: ' >console
	"$PIBUILD" boot "$img" --poweroff -- true
	grep -q system_powerdown told
	"$PIBUILD" boot "$img" -- true
	run ! grep -q system_powerdown told
}

@test "QEMU that does not start says why" {
	QEMU_MODE=broken fails 1 'QEMU did not start: qemu-system-aarch64: -wrong: no such thing' "$PIBUILD" boot "$img"
}

@test "Ctrl-C ends QEMU and exits 130" {
	QEMU_MODE=deaf "$PIBUILD" boot "$img" >out 2>err 3>&- &
	started
	kill -INT $!
	code=0 && wait $! || code=$?
	[ $code -eq 130 ]
	gone "$(cat pid)"
}

@test "Ctrl-C while the command runs ends both" {
	printf 'cp-1 login: ' >console
	QEMU_MODE=deaf "$PIBUILD" boot "$img" -- bash -c 'echo $$ >command; exec sleep 600' >out 2>err 3>&- &
	while [ ! -s command ]; do sleep 0.1; done
	kill -TERM $!
	code=0 && wait $! || code=$?
	[ $code -eq 143 ]
	gone "$(cat pid)"
	gone "$(cat command)"
}

@test "not even kill -9 leaves QEMU running, or its files" {
	QEMU_MODE=deaf "$PIBUILD" boot "$img" >out 2>err 3>&- &
	started
	for _ in $(seq 50); do [ -n "$(ls -A tmp)" ] || break; sleep 0.1; done
	kill -KILL $!
	gone "$(cat pid)"
}

@test "the image is never written" {
	sha256sum "$img" >before
	QEMU_MODE=off "$PIBUILD" boot "$img" --keep disk.qcow2
	sha256sum -c --quiet before
	qemu-img info --output json disk.qcow2 >info
	jq -e '.["backing-filename"] | endswith("/cp-1.img")' info
	jq -e '.["virtual-size"] == 8589934592' info
}

@test "a kept overlay is gone on from: kernel and cmdline.txt as the disk has them now" {
	cp -r "$BATS_FILE_TMPDIR"/{boot,root} . && echo 'root=changed-by-guest' >boot/cmdline.txt
	make_card newer.img boot root
	qemu-img convert -f raw -O qcow2 newer.img 'odd, name.qcow2'
	dry --keep 'odd, name.qcow2'
	[[ "$(value -append)" == root=changed-by-guest* ]]
	[[ "$(value -drive)" == *'odd,, name.qcow2,format=qcow2,cache=writeback'* ]]
	dry --keep new.qcow2
	[ ! -e new.qcow2 ]
	touch -d '1 hour ago' 'odd, name.qcow2' && touch "$BATS_FILE_TMPDIR/cp-1.img"
	fails 5 'remove it to begin anew' "$PIBUILD" boot "$img" --keep 'odd, name.qcow2'
}
