#!/usr/bin/env bats
# slow: a program of the card, on disks
# SPDX-License-Identifier: Apache-2.0
# The root grows as far as its partition table can name, and never shrinks: the real sfdisk on sparse files in a
# made-up /sys, and on loop devices, where root is there to make them, the real partx and resize2fs.

load ../lib/first-boot
load ../lib/disk

teardown() { detach_all; }

# disk BYTES LABEL LINE...: a sparse disk with the lines' partitions, of which the second is the root; its /sys beside it
disk() {
	rm -rf sys dev programs
	mkdir -p sys/class/block dev programs sys/devices/card/queue
	truncate -s "$1" dev/card
	printf '%s\n' "label: $2" "${@:3}" | sfdisk -q dev/card 2>/dev/null
	echo $(($1 / 512)) >sys/devices/card/size
	echo 512 >sys/devices/card/queue/logical_block_size
	ln -s ../../devices/card sys/class/block/card
	cat >programs/partx <<-'EOT'
		#!/bin/sh
		# As the kernel reads a table anew.
		sfdisk --dump dev/card 2>/dev/null | sed -n 's/^dev\/\(card[0-9]*\) : start= *\([0-9]*\), size= *\([0-9]*\),.*/\1 \2 \3/p' |
			while read -r name start size; do
				mkdir -p "sys/devices/card/$name"
				ln -sfn "../../devices/card/$name" "sys/class/block/$name"
				echo "$start" >"sys/devices/card/$name/start"
				echo "$size" >"sys/devices/card/$name/size"
				echo "${name#card}" >"sys/devices/card/$name/partition"
			done
	EOT
	printf '#!/bin/sh\necho "/dev/${ROOT_IS:-card2}"\n' >programs/findmnt
	printf '#!/bin/sh\necho "$@" >>resized\n' >programs/resize2fs
	chmod 755 programs/*
	programs/partx
}

grow() {
	PATH=$PWD/programs:$PATH PIBUILD_SYS=$PWD/sys PIBUILD_DEV=$PWD/dev sh "$top/overlays/common/usr/lib/pibuild/grow-root" "$@"
}

# same_disk A B: byte for byte, without a minute for what neither holds.
same_disk() { qemu-img compare -f raw -F raw "$1" "$2"; }

# root_size: of the second partition, in sectors, as the table has it
root_size() { sfdisk --dump dev/card 2>/dev/null | sed -n 's/.*card2 : .*size= *\([0-9]*\),.*/\1/p'; }

boot='start=8192, size=1048576, type=c'
root='start=1064960, size=2000000, type=83'

@test "a card: to its last sector, the second time nothing" {
	disk 8000000512 dos "$boot" "$root"
	[ "$(grow --reach)" = $((8000000512 / 512 - 1064960)) ]
	grow
	[ "$(root_size)" = $((8000000512 / 512 - 1064960)) ]
	sfdisk --verify dev/card
	cp dev/card once
	grow
	same_disk dev/card once
	[ "$(cat resized)" = $'/dev/card2\n/dev/card2' ]
}

@test "a disk over 2 TiB with an MBR: to the sector that 32 bits end at, and never back from there" {
	local size
	# 1.9 TiB, 2 TiB and one sector to each side of it, 4 TB, 16 TB
	for size in 2089072092774 2199023255040 2199023255552 2199023256064 4000787030016 16000900661248; do
		disk $((size / 512 * 512)) dos "$boot" "$root"
		grow
		[ "$(($(root_size) + 1064960))" -eq "$((size / 512 < 4294967295 ? size / 512 : 4294967295))" ]
		grow
		[ "$(($(root_size) + 1064960))" -eq "$((size / 512 < 4294967295 ? size / 512 : 4294967295))" ]
	done
	# What another program grew to the same end, or a sector further, is left as it is.
	for size in 4293902335 4293902336; do
		disk 4000787030016 dos "$boot" "start=1064960, size=$size, type=83"
		grow
		[ "$(root_size)" = "$size" ]
		[ "$(grow --reach)" = "$size" ]
	done
}

@test "a GPT: over 2 TiB too, and the backup of the table moves to the end" {
	disk 4000787030016 gpt "${boot/, type=c/}" "${root/, type=83/}"
	grow
	[ "$(root_size)" = $((4000787030016 / 512 - 2048 - 1064960)) ]
	# A card's image on a larger disk
	disk 2000000000 gpt "${boot/, type=c/}" "${root/, type=83/}"
	truncate -s 64000000000 dev/card
	echo $((64000000000 / 512)) >sys/devices/card/size
	grow
	[ "$(root_size)" = $((64000000000 / 512 - 2048 - 1064960)) ]
	run sfdisk --verify dev/card
	[ "$status" -eq 0 ]
	[[ "$output" == *"No errors detected"* ]]
	[[ "$output" != *"backup"* ]]
}

@test "partitions behind the root are its end, in whatever order the table has them" {
	disk 8000000000 dos "$boot" "$root" 'start=6000000, size=1000, type=83' 'start=4000000, size=1000, type=83'
	grow
	[ "$(root_size)" = $((4000000 - 1064960)) ]
	disk 8000000000 dos "$boot" "$root" "start=3064960, size=1000, type=83"
	cp dev/card before
	grow
	same_disk dev/card before
}

@test "what cannot grow is left alone and said: a logical partition, another table, no partition" {
	disk 8000000000 dos "$boot" 'start=1064960, size=8000000, type=5' 'start=1067008, size=2000000, type=83'
	ROOT_IS=card5 run grow
	[ "$status" -eq 0 ]
	[ "$output" = "grow-root: /dev/card5 is a logical partition: nothing to grow" ]
	dd if=/dev/zero of=dev/card bs=512 count=1 conv=notrunc status=none
	run grow
	[ "$output" = "grow-root: the partition table of card is neither an MBR nor a GPT: nothing to grow" ]
	ROOT_IS=mapper/root run grow
	[ "$output" = "grow-root: the root filesystem is on /dev/mapper/root, which is no partition: nothing to grow" ]
	ROOT_IS=mapper/root run grow --reach
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ ! -e resized ]
}

@test "a card cut down below its root is not written to" {
	disk 8000000000 dos "$boot" 'start=1064960, size=10000000, type=83'
	echo 5000000 >sys/devices/card/size
	cp dev/card before
	grow
	same_disk dev/card before
}

@test "cut between table and file system: the next boot finishes" {
	disk 8000000000 dos "$boot" "$root"
	printf '#!/bin/sh\nexit 1\n' >programs/resize2fs
	run grow
	[ "$status" -eq 1 ]
	printf '#!/bin/sh\necho "$@" >>resized\n' >programs/resize2fs
	grow
	[ "$(cat resized)" = /dev/card2 ]
}

# real BYTES OPTIONS SECTORS...: the file system in the second partition of a loop device is grown by the real programs
real() {
	local loop unit=${2:-512}
	truncate -s "$1" big.img
	loop=$(attach --sector-size "$unit" big.img)
	printf 'label: %s\nstart=8192, size=65536\nstart=%s, size=%s\n' "$3" 81920 65536 | sfdisk -q --no-tell-kernel --no-reread "$loop" 2>/dev/null
	partx --add "$loop"
	mke2fs -q -F -t ext4 -O ^has_journal "${loop}p2"
	mkdir -p programs
	printf '#!/bin/sh\necho %sp2\n' "$loop" >programs/findmnt
	chmod 755 programs/findmnt
	PATH=$PWD/programs:$PATH sh "$top/overlays/common/usr/lib/pibuild/grow-root"
	PATH=$PWD/programs:$PATH sh "$top/overlays/common/usr/lib/pibuild/grow-root"
	e2fsck -fn "${loop}p2"
	sfdisk --verify "$loop"
	blocks=$(dumpe2fs -h "${loop}p2" 2>/dev/null | sed -n 's/^Block count: *//p')
	partx --delete "$loop"
	partx --add "$loop"
	[ "$(cat "/sys/class/block/${loop##*/}p2/size")" -ge "$((blocks * 8))" ]
	partx --delete "$loop"
}

# on_card FREE: a card of 64 GB whose root is 1 GB, seen by preflight, with so many bytes free before it grows
on_card() {
	card
	disk 64000000000 dos "$boot" "$root"
	cp -a sys/. card/sys/
	rm -rf sys && ln -s card/sys sys
	ln -sf "$PWD"/programs/{partx,findmnt} card/usr/local/bin/
	program resize2fs 'size=$(($(cat "$PIBUILD_SYS/class/block/card2/size") * 512)); echo "$size $((size - 500000000))" >"$PIBUILD_ROOT/df"'
	program df 'echo "1B-blocks Avail"; cat "$PIBUILD_ROOT/df"'
	echo "1000000000 $1" >card/df # less than 2 GiB free is a note of its own
	export PIBUILD_DEV=$PWD/dev
}

# The step by a short name: a test of first boot beside this one ends its own by pkill -f usr/lib/pibuild/step.
preflight() {
	(cd card/usr/lib/pibuild && timeout 90 sh ./step preflight) >log 2>&1
}

# run_cure FILE: what the cure in a state or note says to run
run_cure() {
	local command
	command=$(sed -n 's,^cure Grow it: sudo ,,p' "$1")
	[ "$command" = /usr/lib/pibuild/grow-root ]
	PATH=$PWD/card/usr/local/bin:$PATH sh "card$command"
}

@test "preflight's note that the root did not grow has a cure: after it the note is gone" {
	on_card 700000000
	preflight
	grep -qx 'cause The root file system did not grow to the end of the card: it has 953 MiB' card/run/pibuild/notes/card
	run_cure card/run/pibuild/notes/card
	preflight
	[ ! -e card/run/pibuild/notes/card ]
}

@test "a card that is full because it did not grow: growing it is the cure, and preflight goes on" {
	on_card 1000000
	tick '[ -e seen ] || { cp card/run/pibuild/steps/preflight seen; }; [ "$1" -lt 130 ] || [ -e grown ] || {
		touch grown; PATH=$PWD/card/usr/local/bin:$PATH; sh card/usr/lib/pibuild/grow-root; }'
	preflight
	grep -qx 'cause The card is full: 0 MiB left of 953 MiB; the root file system did not grow to its end' seen
	grep -qx 'cure Grow it: sudo /usr/lib/pibuild/grow-root' seen
	[ "$(state_of preflight state)" = done ]
}

@test "no note where the root ends where its table does: over 2 TiB, and before another partition" {
	on_card 3000000000
	echo 'start=3064960, size=1000000, type=83' | sfdisk -q --append dev/card
	programs/partx
	preflight
	[ ! -e card/run/pibuild/notes/card ]
	sfdisk -q --delete dev/card 3
	truncate -s 4000787030016 dev/card
	echo $((4000787030016 / 512)) >sys/devices/card/size
	echo ', 4293902335' | sfdisk -q --force -N 2 dev/card 2>/dev/null
	programs/partx
	echo "$((4293902335 * 512)) 900000000000" >card/df
	rm sys/devices/card/card3/start
	preflight
	[ ! -e card/run/pibuild/notes/card ]
}

@test "the real programs: a disk with sectors of 4096 bytes, MBR and GPT" {
	need_loop
	real 4294967296 4096 dos
	[ "$blocks" -eq $((4294967296 / 4096 - 81920)) ]
	detach_all
	rm big.img loops
	real 4294967296 4096 gpt
	[ "$blocks" -eq $((4294967296 / 4096 - 256 - 81920)) ]
}
