#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Flashing onto real block devices: loop devices over files full of somebody's data.

load ../lib/image
load ../lib/disk

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	build -o out >/dev/null 2>&1
	[ "$(id -u)" -ne 0 ] || dirty dirty.img 256
}

setup() {
	need_loop
	cd "$BATS_FILE_TMPDIR"
	image=out/cp-1.img
	disk=$BATS_TEST_TMPDIR/disk
	cp dirty.img "$disk"
	loop=$(attach "$disk")
}

teardown() {
	detach_all
}

# refuses TEXT COMMAND...: exit 5, TEXT, and not one byte of the disk changed.
refuses() {
	local before
	before=$(sha256_of "$disk")
	fails 5 "$@"
	# The last close of a disk has written out what was written to it.
	[ "$(sha256_of "$disk")" = "$before" ] || { echo "the disk was written to"; return 1; }
}

@test "the flashed disk holds the image, e2fsck and fsck.fat find no fault, sfdisk none in the table" {
	flash "$image" "$loop"
	same_data "$image" "$loop"
	dd if="$loop" of="$BATS_TEST_TMPDIR/card.img" bs=1M count=$(($(stat -c %s "$image") / 1048576)) status=none
	judge "$BATS_TEST_TMPDIR/card.img"
}

@test "what next: the kubeconfig of the card's cluster and power; without a project what the card will say" {
	run --separate-stderr flash "$image" "$loop"
	[ "$status" -eq 0 ]
	[[ "$stderr" == *'1 card is written and verified'* ]]
	[[ "${stderr_lines[-1]}" == 'pibuild: next: `pibuild kubeconfig -o ~/.kube/lab` for kubectl, power the Pi on,'* ]]
	run --separate-stderr flash --json "$image" "$loop"
	[[ "$stderr" != *next:* ]]
	cd "$BATS_TEST_TMPDIR"
	run --separate-stderr flash "$BATS_FILE_TMPDIR/$image" "$loop"
	[[ "${stderr_lines[-1]}" == *"its card says how far it came: \`pibuild status $loop\`" ]]
}

@test "blocks in use that are holes in the image are zeros on the disk" {
	flash "$image" "$loop"
	# The journal is in use and full of zeros; e2fsck looks at none of it.
	local block
	block=$(on_root "$image" 'bmap <8> 100')
	[ "$(dd if="$image" bs=4096 skip=$(($(part_start "$image" 2) / 4096 + block)) count=1 status=none | tr -d '\0' | wc -c)" = 0 ]
	[ "$(dd if="$loop" bs=4096 skip=$(($(part_start "$image" 2) / 4096 + block)) count=1 status=none | tr -d '\0' | wc -c)" = 0 ]
}

@test "free blocks are not written: an image of 208 MiB takes less than 32" {
	run --separate-stderr flash --json "$image" "$loop"
	[ "$status" = 0 ]
	[ "$(jq '.[0].written' <<<"$output")" -lt $((32 << 20)) ]
	[ "$(jq '.[0].verified >= .[0].written' <<<"$output")" = true ]
}

@test "--discard leaves nothing of the old owner, not even where the image is free" {
	flash --discard "$image" "$loop"
	same_data "$image" "$loop"
	# All that is not in the image is zero: the disk is the image and nothing else.
	cmp -n "$(stat -c %s "$image")" "$image" "$loop"
	[ -z "$(tail -c +$(($(stat -c %s "$image") + 1)) "$disk" | tr -d '\0' | head -c 1)" ]
}

@test "xz, zst and gz are told by their bytes and decoded on the way" {
	local kind size
	size=$(stat -c %s "$image")
	for kind in xz gzip zstd; do
		"$kind" -1 -c "$image" >"$BATS_TEST_TMPDIR/compressed.img"
		dd if=dirty.img of="$disk" bs=4M conv=notrunc status=none
		flash "$BATS_TEST_TMPDIR/compressed.img" "$loop"
		cmp -n "$size" "$image" "$loop"
	done
}

@test "a damaged or cut compressed image is found out before the disk is touched" {
	local before
	before=$(sha256_of "$disk")
	xz -1 -c "$image" >"$BATS_TEST_TMPDIR/i.xz"
	truncate -s -100 "$BATS_TEST_TMPDIR/i.xz"
	fails 1 truncated flash "$BATS_TEST_TMPDIR/i.xz" "$loop"
	gzip -1 -c "$image" >"$BATS_TEST_TMPDIR/i.gz"
	printf '\xff\xff\xff' | dd of="$BATS_TEST_TMPDIR/i.gz" bs=1 seek=500000 conv=notrunc status=none
	fails 1 i.gz flash "$BATS_TEST_TMPDIR/i.gz" "$loop"
	fails 1 "no boot sector" flash cluster.yaml "$loop"
	[ "$(sha256_of "$disk")" = "$before" ]
}

@test "a node is flashed without an image: same bytes, and no image file is left" {
	rm -rf "$BATS_TEST_TMPDIR/p" && mkdir "$BATS_TEST_TMPDIR/p" && cp cluster.yaml secrets.yaml "$BATS_TEST_TMPDIR/p"
	local node
	for node in cp-1 w-1; do
		dd if=dirty.img of="$disk" bs=4M conv=notrunc status=none
		(cd "$BATS_TEST_TMPDIR/p" && sandbox -- "$PIBUILD" --progress none --cache "$BATS_FILE_TMPDIR/cache" flash --yes \
			--serial "$(identity "$loop")" --node "$node" "$loop")
		same_data "out/$node.img" "$loop"
		dd if="$loop" of="$BATS_TEST_TMPDIR/card.img" bs=1M count=$(($(stat -c %s "out/$node.img") / 1048576)) status=none
		judge "$BATS_TEST_TMPDIR/card.img"
	done
	[ -z "$(find "$BATS_TEST_TMPDIR/p" -name '*.img')" ]
}

@test "node and image give one and the same digest of the contents" {
	local a b
	a=$(flash --json "$image" "$loop" 2>/dev/null | jq -r '.[0].sha256')
	b=$(sandbox -- "$PIBUILD" --progress none --cache cache --json flash --yes --serial "$(identity "$loop")" --node cp-1 \
		"$loop" 2>/dev/null | jq -r '.[0].sha256')
	[ "$a" = "$b" ]
	[ ${#a} = 64 ]
}

@test "--update writes only what differs, and nothing at all when nothing does" {
	flash out/w-1.img "$loop"
	printf 'changed by a running node' | dd of="$loop" bs=1 seek=$(($(part_start "$image" 2) + 1024 * 1024)) conv=notrunc,fsync status=none
	run --separate-stderr flash --json --update out/w-1.img "$loop"
	[ "$status" = 0 ]
	[ "$(jq '.[0].written' <<<"$output")" -le $((4 << 20)) ]
	same_data out/w-1.img "$loop"
	run --separate-stderr flash --json --update out/w-1.img "$loop"
	[ "$(jq '.[0].unchanged' <<<"$output")" = true ]
	[ "$(jq '.[0].written' <<<"$output")" = 0 ]
	flash --update "$image" "$loop"
	same_data "$image" "$loop"
}

@test "the copy of an old GPT at the end of the disk is gone" {
	printf 'label: gpt\nsize=10M\n' | sfdisk -q --no-reread --no-tell-kernel "$loop"
	[ "$(tail -c 512 "$disk" | head -c 8)" = 'EFI PART' ]
	flash "$image" "$loop"
	[ "$(tail -c 1048576 "$disk" | tr -d '\0' | wc -c)" = 0 ]
	[ "$(sfdisk --json "$loop" | jq -r .partitiontable.label)" = dos ]
}

@test "a disk exactly as large as the image is enough" {
	truncate -s "$(stat -c %s "$image")" "$disk" && losetup -c "$loop"
	flash "$image" "$loop"
	cmp "$image" "$loop" >/dev/null || same_data "$image" "$loop"
}

@test "every card is recorded in the project folder: node, serial, contents, time; plan shows it" {
	flash "$image" "$loop"
	jq -e --arg s "$(identity "$loop")" 'select(.node == "cp-1" and .serial == $s and (.sha256 | length) == 64 and
		(.time | startswith("20")))' flashed.jsonl >/dev/null
	sandbox -- "$PIBUILD" plan --cache cache 2>/dev/null | grep -A9 '^cards' | grep -q "cp-1.*$(identity "$loop")"
	sandbox -- "$PIBUILD" plan --json --cache cache 2>/dev/null | jq -e '.flashed[] | select(.node == "cp-1")' >/dev/null
}

@test "--all writes every node, several cards at once" {
	cp dirty.img "$BATS_TEST_TMPDIR/second"
	local second
	second=$(attach "$BATS_TEST_TMPDIR/second")
	sandbox -- "$PIBUILD" --progress none --cache cache flash --all --yes --serial "$(identity "$loop")" \
		--serial "$(identity "$second")" "$loop" "$second"
	same_data out/cp-1.img "$loop"
	same_data out/w-1.img "$second"
}

@test "--all with one disk for two nodes needs a terminal for the change of cards" {
	refuses "no terminal to ask for the next card" sandbox -- "$PIBUILD" flash --all --yes --serial "$(identity "$loop")" \
		--cache cache "$loop" </dev/null
}

@test "--all with the same disk twice is refused" {
	refuses "same disk" sandbox -- "$PIBUILD" flash --all --yes --serial "$(identity "$loop")" --cache cache "$loop" "$loop"
}

# ---- refusals: exit 5, not one byte written ----

@test "refused: without a terminal and without --yes --serial" {
	refuses "there is no terminal to ask on" "$PIBUILD" flash "$image" "$loop" </dev/null
	refuses "--yes wants to know which disk" "$PIBUILD" flash --yes "$image" "$loop"
}

@test "refused: another serial than the disk's" {
	refuses "has the serial seq-" "$PIBUILD" flash --yes --serial seq-1 "$image" "$loop"
}

@test "refused: a disk that is mounted, and its file system is whole afterwards" {
	mkfs.ext4 -q -F "$loop"
	mkdir "$BATS_TEST_TMPDIR/mnt" && mount "$loop" "$BATS_TEST_TMPDIR/mnt"
	fails 5 "it is mounted" flash "$image" "$loop"
	umount "$loop"
	e2fsck -fn "$loop"
}

@test "refused: mounted where this process cannot see it" {
	mkfs.ext4 -q -F "$loop"
	mkdir "$BATS_TEST_TMPDIR/mnt"
	unshare --mount --propagation private sh -c "mount $loop $BATS_TEST_TMPDIR/mnt && sleep 30" 3>&- &
	local pid=$!
	sleep 1
	fails 5 "is in use" flash "$image" "$loop"
	pkill -P "$pid" || true
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
	[ "$(blkid -o value -s TYPE "$loop")" = ext4 ]
}

@test "refused: a disk that is swapped to" {
	mkswap -q "$loop" && swapon "$loop" || skip "this kernel cannot swap to a loop device"
	fails 5 "in use as swap" flash "$image" "$loop"
	swapoff "$loop"
}

@test "refused: a disk that something else opened alone" {
	python3 -c 'import os, sys, time; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL); print("held", flush=True); time.sleep(30)' \
		"$loop" >"$BATS_TEST_TMPDIR/held" 3>&- &
	local pid=$!
	until grep -q held "$BATS_TEST_TMPDIR/held"; do sleep 0.1; done
	refuses "is in use" flash "$image" "$loop"
	kill "$pid"
}

@test "refused: the disk this machine runs from" {
	local root
	root=$(lsblk -nro PKNAME,MOUNTPOINT,NAME | awk '$NF && /(^| )\/( |$)/ {print $NF; exit}')
	[ -b "/dev/$root" ] || skip "/ is on no disk that can be seen"
	run "$PIBUILD" flash --yes --serial x "$image" "/dev/$root"
	[ "$status" = 5 ]
	[[ "$output" == *"this machine runs from it"* || "$output" == *"is a partition"* ]]
}

@test "refused: a partition" {
	printf 'label: dos\nsize=100M\n' | sfdisk -q --no-reread --no-tell-kernel "$loop"
	partx -a "$loop" || skip "this kernel makes no partitions of loop devices"
	[ -b "${loop}p1" ] || { partx -d "$loop"; skip "there is no node for the partition"; }
	refuses "is a partition: an image goes onto the whole disk, $loop" "$PIBUILD" flash --yes --serial x "$image" "${loop}p1"
	partx -d "$loop"
}

@test "refused: a file, a folder, a character device instead of a disk" {
	refuses "is a file, not a disk" "$PIBUILD" flash --yes --serial x "$image" "$disk"
	refuses "is a folder, not a disk" "$PIBUILD" flash --yes --serial x "$image" out
	refuses "not a disk" "$PIBUILD" flash --yes --serial x "$image" /dev/zero
}

@test "refused: a symbolic link to the disk" {
	ln -s "$loop" "$BATS_TEST_TMPDIR/card"
	refuses "symbolic link" "$PIBUILD" flash --yes --serial "$(identity "$loop")" "$image" "$BATS_TEST_TMPDIR/card"
}

@test "refused: a read-only disk" {
	blockdev --setro "$loop"
	refuses "read-only" flash "$image" "$loop"
	blockdev --setrw "$loop"
}

@test "refused: too small, for raw and compressed images" {
	truncate -s 200M "$disk" && losetup -c "$loop"
	refuses "too small" flash "$image" "$loop"
	zstd -q -1 -c "$image" >"$BATS_TEST_TMPDIR/i.zst"
	refuses "too small" flash "$BATS_TEST_TMPDIR/i.zst" "$loop"
}

@test "on a terminal a disk that is not removable wants its serial typed" {
	refuses "not confirmed" on_terminal yes "$PIBUILD" flash "$image" "$loop"
	[[ "$output" == *"256.0 MiB, loop, serial $(identity "$loop")"* ]]
	run on_terminal "$(identity "$loop")" "$PIBUILD" flash "$image" "$loop"
	[ "$status" = 0 ]
	same_data "$image" "$loop"
}

@test "refused: another disk than the one that was shown, put in before the answer" {
	cp dirty.img "$BATS_TEST_TMPDIR/other"
	local serial
	serial=$(identity "$loop")
	HOOK="losetup -d $loop && losetup $loop $BATS_TEST_TMPDIR/other" \
		refuses "taken out or put in again" on_terminal "$serial" "$PIBUILD" flash "$image" "$loop"
	[ "$(boot_signature "$BATS_TEST_TMPDIR/other")" = 55aa ]
}

@test "an image that is written to while it is flashed leaves no card that boots" {
	cp --sparse=always "$image" "$BATS_TEST_TMPDIR/i.img"
	HOOK="touch $BATS_TEST_TMPDIR/i.img" fails 1 "changed while it was flashed" on_terminal "$(identity "$loop")" \
		"$PIBUILD" flash "$BATS_TEST_TMPDIR/i.img" "$loop"
	[ "$(boot_signature "$loop")" = 0000 ]
}

@test "on a terminal --all with one reader sees the change of cards: Enter alone overwrites nothing" {
	cp dirty.img "$BATS_TEST_TMPDIR/second"
	python3 - "$PIBUILD" "$loop" "$BATS_TEST_TMPDIR/second" "$top/scripts/sandbox" <<-'PYTHON'
		import json, os, pty, signal, subprocess, sys
		signal.alarm(60)
		pibuild, loop, second, sandbox = sys.argv[1:]
		def serial():
		    disks = json.loads(subprocess.check_output([pibuild, "devices", "--json"]))
		    return next(d["serial"] for d in disks if d["path"] == loop).encode()
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sandbox, [sandbox, "--", pibuild, "--progress", "none", "--cache", "cache", "flash", "--all", loop])
		seen = b""
		def until(text):
		    global seen
		    while text not in seen:
		        seen += os.read(fd, 1024)
		    seen = seen.partition(text)[2]
		until(b"becomes cp-1 of lab")
		until(b"go on: ")
		os.write(fd, serial() + b"\n")
		for answer in b"", b"yes", b"w-1":
		    until(b"put in the card for w-1")
		    until(b"Enter: ")
		    os.write(fd, answer + b"\n")
		    until(b"still holds cp-1, written a moment ago")
		until(b"Enter: ")
		subprocess.run(f"losetup -d {loop} && losetup {loop} {second}", shell=True, check=True)
		os.write(fd, b"\n")
		until(b"becomes w-1 of lab")
		until(b"go on: ")
		os.write(fd, serial() + b"\n")
		try:
		    while os.read(fd, 1024):
		        pass
		except OSError:
		    pass
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PYTHON
	losetup -d "$loop"
	same_data out/cp-1.img "$disk"
	same_data out/w-1.img "$BATS_TEST_TMPDIR/second"
}

@test "a card of another node wants that node's name typed, and is told with its time" {
	local written
	flash out/w-1.img "$loop"
	written="holds w-1 of lab, written $(date +%Y-%m-%d)"
	"$PIBUILD" devices | grep -A1 "^$loop " | grep -q "$written"
	"$PIBUILD" devices --json | jq -e --arg d "$loop" '.[] | select(.path == $d).holds |
		.node == "w-1" and .cluster == "lab" and .role == "worker"'
	refuses "not confirmed" on_terminal yes "$PIBUILD" flash "$image" "$loop"
	[[ "$output" == *"$written"*"becomes cp-1 of lab"*"Type w-1 to give it up and go on:"* ]]
	refuses "not confirmed" on_terminal '' "$PIBUILD" flash "$image" "$loop"
	refuses "not confirmed" on_terminal "$(identity "$loop")" "$PIBUILD" flash "$image" "$loop"
	on_terminal w-1 "$PIBUILD" flash "$image" "$loop"
	same_data "$image" "$loop"
}

@test "a node's own card is asked about as any disk; an image goes by what is in it, not by its name" {
	flash "$image" "$loop"
	cp --sparse=always "$image" "$BATS_TEST_TMPDIR/renamed"
	on_terminal "$(identity "$loop")" "$PIBUILD" flash "$BATS_TEST_TMPDIR/renamed" "$loop"
	# The same name in another cluster is another node.
	mkdir "$BATS_TEST_TMPDIR/other"
	sed 's/name: lab/name: attic/' cluster.yaml >"$BATS_TEST_TMPDIR/other/cluster.yaml"
	CACHE=$PWD/cache build -c "$BATS_TEST_TMPDIR/other/cluster.yaml" -o "$BATS_TEST_TMPDIR/other/out" --node cp-1 >/dev/null 2>&1
	refuses "Type cp-1 to give it up" on_terminal yes "$PIBUILD" flash "$BATS_TEST_TMPDIR/other/out/cp-1.img" "$loop"
	[[ "$output" == *"holds cp-1 of lab"*"becomes cp-1 of attic"* ]]
}

@test "a card pulled out of a running node is known all the same" {
	flash out/w-1.img "$loop"
	debugfs -w -R 'feature needs_recovery' "$loop?offset=$(part_start "$image" 2)"
	debugfs -w -R 'ssv state 0' "$loop?offset=$(part_start "$image" 2)"
	"$PIBUILD" devices | grep -A1 "^$loop " | grep -q 'holds w-1 of lab'
}

@test "what a hostile card calls itself breaks neither the terminal nor the JSON" {
	printf '%s' 'pibuild: unfinished card of '$'\x9b\xff\e[2J''; flash it again'$'\n' | dd of="$loop" bs=4096 seek=1 conv=notrunc status=none
	"$PIBUILD" devices --json | jq -e --arg d "$loop" '.[] | select(.path == $d).holds.node == "???[2J"'
	flash "$image" "$loop"
	local node
	node=$(printf 'é%.0s' $(seq 100))
	jq -n --arg n "$node" '{node: $n, cluster: "a\u009b\u001b[2J", role: 7}' >"$BATS_TEST_TMPDIR/release.json"
	debugfs -w -f /dev/stdin "$loop?offset=$(part_start "$image" 2)" >/dev/null 2>&1 <<-EOT
		rm /etc/pibuild/release.json
		write $BATS_TEST_TMPDIR/release.json /etc/pibuild/release.json
	EOT
	"$PIBUILD" devices --json | jq -e --arg d "$loop" '.[] | select(.path == $d).holds | .cluster == "a???[2J" and (.node | test("^[?]{64}$"))'
}

@test "with --yes what goes is said, and nobody waits for Enter" {
	flash out/w-1.img "$loop"
	run flash "$image" "$loop"
	[ "$status" = 0 ]
	[[ "$output" == *"$loop holds w-1 of lab, written 20"*"it becomes cp-1"* ]]
	refuses "with --yes nobody is asked for the next card" on_terminal '' "$top/tests/lib/in-sandbox" "$PIBUILD" --cache cache flash \
		--all --yes --serial "$(identity "$loop")" "$loop"
	[[ "$output" != *"press Enter"* ]]
}

@test "image and disk the wrong way round are recognised, and the line that is printed works" {
	refuses_usage() {
		local before
		before=$(sha256_of "$disk")
		fails 2 "the image comes first: pibuild flash $image" "$@"
		[ "$(sha256_of "$disk")" = "$before" ]
	}
	refuses_usage "$PIBUILD" flash "$loop" "$image"
	refuses_usage "$PIBUILD" flash --node cp-1 "$loop" "$image"
	[[ "$output" == *"pibuild flash $image --node cp-1 $loop"* ]]
	flash "$image" "$loop"
}

@test "a folder in the place of an image is said to be one" {
	fails 2 'out is no file: pibuild flash IMAGE DISK' "$PIBUILD" flash --yes --serial "$(identity "$loop")" out "$loop"
}

@test "the missing right to the disk is told before anything is built or asked" {
	local home
	home=$(mktemp -d /tmp/pibuild-flash.XXXXXX)
	cp cluster.yaml secrets.yaml "$home"
	chown -R nobody "$home" && chmod 755 "$home"
	(cd "$home" && fails 1 "cannot open $loop; run it as root (sudo pibuild flash" setpriv --reuid 65534 --regid 65534 --clear-groups \
		-- env HOME="$home" "$PIBUILD" flash --node cp-1 --yes --serial "$(identity "$loop")" "$loop")
	[ ! -e "$home/.cache/pibuild/layers" ]
	for command in status verify inspect; do
		fails 1 "cannot open $loop; a disk is root's: run it with sudo" setpriv --reuid 65534 --regid 65534 --clear-groups \
			-- env HOME="$home" "$PIBUILD" "$command" "$loop"
	done
	rm -rf "$home"
}

@test "an unfinished card says so to status, devices and plan, until it is written again" {
	rm -f flashed.jsonl
	flash "$image" "$loop"
	# What a kill leaves: zeros, the line, and a record without an end.
	head -n 1 flashed.jsonl >begun && mv begun flashed.jsonl
	jq -e '.state == "begun"' flashed.jsonl
	xz -0 -c out/w-1.img >"$BATS_TEST_TMPDIR/w-1.img.xz"
	"$PIBUILD" --progress none flash --yes --serial "$(identity "$loop")" "$BATS_TEST_TMPDIR/w-1.img.xz" "$loop" 3>&- &
	local pid=$!
	until [ "$(boot_signature "$loop")" = 0000 ] && grep -q 'unfinished card' "$loop"; do sleep 0.02; done
	kill -9 "$pid"
	wait "$pid" || true
	fails 1 "$loop is an unfinished card of w-1" "$PIBUILD" status "$loop"
	"$PIBUILD" devices | grep -A1 "^$loop " | grep -q 'holds an unfinished card of w-1'
	sandbox -- "$PIBUILD" plan --cache cache 2>/dev/null | grep -A9 '^cards' >cards
	grep -q '^  w-1 .*not finished: flash it again$' cards
	flash out/w-1.img "$loop"
	fails 1 "the card of w-1 of lab and has not booted yet: put it in" "$PIBUILD" status "$loop"
	[ "$(grep -a -c 'unfinished card' "$loop")" = 0 ]
}

@test "plan lists a node's card until it becomes another's, and says when cluster.yaml is newer" {
	rm -f flashed.jsonl
	touch -d '1 hour ago' cluster.yaml
	flash "$image" "$loop"
	cards() { sandbox -- "$PIBUILD" plan --cache cache 2>/dev/null | sed -n '/^cards/,$p'; }
	cards | grep -q '^  cp-1 .*[^e]$'
	touch -d '1 hour' cluster.yaml
	cards | grep -q '^  cp-1 .*older than cluster.yaml: flash --update$'
	sandbox -- "$PIBUILD" plan --json --cache cache 2>/dev/null | jq -e '.flashed[0].older'
	touch cluster.yaml
	flash out/w-1.img "$loop"
	[ "$(cards | grep -c '^  ')" = 1 ]
	cards | grep -q '^  w-1 '
}

@test "a plain user is told to use sudo" {
	run setpriv --reuid 65534 --regid 65534 --clear-groups -- "$PIBUILD" flash --yes --serial "$(identity "$loop")" \
		"$BATS_FILE_TMPDIR/$image" "$loop"
	[ "$status" = 1 ]
	[[ "$output" == *sudo* || "$output" == *"ermission denied"* ]]
}

@test "under sudo a card is written as root, and all else as the caller" {
	local home
	home=$(mktemp -d /tmp/pibuild-flash.XXXXXX)
	cp "$image" "$home/cp-1.img"
	cp cluster.yaml "$home"
	chown -R nobody "$home" && chmod 755 "$home"
	# LeakSanitizer cannot trace who became somebody else.
	(cd "$home" && SUDO_UID=$(id -u nobody) ASAN_OPTIONS=detect_leaks=0 flash --discard cp-1.img "$loop")
	same_data "$image" "$loop"
	[ "$(stat -c %U "$home/flashed.jsonl")" = nobody ]
	rm -rf "$home"
}

@test "a Ctrl-C ends with 130 and leaves a card that does not boot" {
	xz -0 -c "$image" >"$BATS_TEST_TMPDIR/i.xz"
	"$PIBUILD" flash --yes --serial "$(identity "$loop")" "$BATS_TEST_TMPDIR/i.xz" "$loop" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	local pid=$! code=0
	until [ "$(boot_signature "$loop")" = 0000 ]; do sleep 0.02; done
	kill -INT "$pid"
	wait "$pid" || code=$?
	[ "$code" = 130 ] || [ "$code" = 0 ] # 0: the signal came too late
	[ "$code" = 0 ] || [ "$(boot_signature "$loop")" = 0000 ]
}
