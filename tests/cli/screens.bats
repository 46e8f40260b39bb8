#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What people see, as it stands in tests/screens: at 80 and 120 columns, in colour and on a dumb terminal. After a change
# that is meant: SCREENS=write bats tests/cli/screens.bats, and read the difference.

load ../lib/image
load ../lib/disk

setup() {
	export HOME=$BATS_TEST_TMPDIR/home NO_COLOR='' DO_TOKEN=x
	unset NO_COLOR
	mkdir -p "$HOME/.ssh" "$BATS_TEST_TMPDIR/lab"
	cd "$BATS_TEST_TMPDIR/lab"
	ssh-keygen -q -t ed25519 -N '' -C pi@desk -f "$HOME/.ssh/id_ed25519"
	cp "$top/configs/homelab.yaml" cluster.yaml
	sed 's/role: worker,/role: slave, /; s/192\.168\.1\.12/192.168.1.11/; s/gateway:/gatway:/' cluster.yaml >wrong.yaml
}

teardown() {
	detach_all
}

# What another machine, day or disk would say.
same() {
	sed -E "s|$top|TOP|g; s|$BATS_TEST_TMPDIR|TMP|g; s|layer [0-9a-f]+|layer LAYER|
		s/^Your LAN( \\[[^]]*\\])?:/Your LAN [LAN]:/
		s|/dev/loop[0-9]+|/dev/loopN|g; s/\bloop[0-9]+/loopN/g; s/seq-[0-9]+/seq-N/g
		s/, about [0-9]+ (s|min) left//; s/[0-9]+\.[0-9] s\b/SECONDS/g; s/ \([0-9.]+ [KMG]?i?B\/s\)//; /^  /!s/\b[0-9.]+ [KMG]iB\b/SIZE/g
		s/20[0-9]{2}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?( UTC)?|T[0-9:]+Z)/DATE/g"
}

# screen NAME COLUMNS[:ANSWERS] TERM COMMAND...: is as it was, and on a terminal that can do more than dumb no line is
# longer, but for a word alone (an address, say). Narrower than 80, only what is drawn again has to fit.
screen() {
	local columns=${2%%:*} file
	file=$1.$columns.$3
	TERM=$3 "$top/tests/lib/terminal.py" "$2" "${@:4}" >raw || { echo "a line that is drawn is too wide at $columns"; return 1; }
	same <raw >seen
	refute grep -n '/tmp/\|/home/' seen || { echo "a path of this machine; same() has no name for it (is PIBUILD of this tree?)"; return 1; }
	[ "${SCREENS-}" != write ] || cp seen "$top/tests/screens/$file"
	diff "$top/tests/screens/$file" seen
	[ "$3" = dumb ] || [ "$columns" -lt 80 ] || [ "$(sed 's/\\e\[[0-9;]*m//g; /^ *[^ ]*$/d' raw | wc -L)" -le "$columns" ]
}

@test "check: faults with their lines, and a file that is right" {
	for at in '80 xterm' '120 xterm' '80 dumb'; do
		screen check-wrong ${at% *} ${at#* } "$PIBUILD" check -c wrong.yaml
		screen check-right ${at% *} ${at#* } "$PIBUILD" check
	done
}

@test "help: all commands, and one" {
	for at in '80 xterm' '120 xterm' '80 dumb'; do
		screen help ${at% *} ${at#* } "$PIBUILD" help
		screen help-flash ${at% *} ${at#* } "$PIBUILD" help flash
	done
}

@test "plan, by the shipped lock" {
	for at in '80 xterm' '80 dumb'; do
		screen plan ${at% *} ${at#* } "$PIBUILD" --cache "$BATS_TEST_TMPDIR/cache" plan
	done
}

@test "what was mistyped on the command line" {
	for at in '80 xterm' '80 dumb'; do
		screen command ${at% *} ${at#* } "$PIBUILD" flsh
		screen option ${at% *} ${at#* } "$PIBUILD" flash --nod cp-1
	done
}

# answers: to init's questions, the wrong board and a range that is none among them
answers='pi||homelab|rpi9|rpi5|1|2|192.168.1.0/24|192.168.1.1||192.168.1.128|192.168.1.128-192.168.1.250|192.168.1.65-192.168.1.80|no|'

@test "init: asks, asks again, and says what it wrote; with a file there it refuses" {
	for at in '40 xterm' '80 xterm' '120 xterm' '80 dumb'; do
		rm -f *.yaml .gitignore
		screen init "${at% *}:$answers" ${at#* } "$PIBUILD" init
		screen init-again ${at% *} ${at#* } "$PIBUILD" init
	done
}

@test "init: Ctrl-C in the middle, no key, and an option that is wrong" {
	rm *.yaml
	for at in '40 xterm' '80 xterm'; do
		screen init-stop "${at% *}:pi|\x03" ${at#* } "$PIBUILD" init
		screen init-option ${at% *} ${at#* } "$PIBUILD" init --board rpi6 --subnet 192.168.1.0/24
	done
	rm "$HOME"/.ssh/*
	for at in '40 xterm' '80 xterm'; do
		screen init-no-key "${at% *}:pi|no|\x03" ${at#* } "$PIBUILD" init
	done
}

# An outside world that has been there: what it gave is in the cache.
offline() {
	write_cluster
	sandbox -- sh -c 'cp "$PIBUILD_LOCK" lock && "$PIBUILD" -q --cache cache fetch' >/dev/null 2>&1
	"$PIBUILD" -q --cache cache --lock lock --offline -o warm >/dev/null 2>&1
}

# bats test_tags=slow
@test "build: what it says on the way and in the end; what stops it" {
	export PIBUILD
	offline
	for at in '40 xterm' '80 xterm' '120 xterm' '80 dumb'; do
		screen build ${at% *} ${at#* } "$PIBUILD" --cache cache --lock lock --offline -o out
		screen build-offline ${at% *} ${at#* } "$PIBUILD" --cache nowhere --lock lock --offline -o out
	done
	mkdir ../nothing && cd ../nothing
	for at in '40 xterm' '80 xterm'; do
		screen build-nothing ${at% *} ${at#* } "$PIBUILD" --cache nowhere --offline
		screen flash-nothing ${at% *} ${at#* } "$PIBUILD" flash --all /dev/null
	done
}

# bats test_tags=slow
@test "flash: asks, writes, knows its own cards; what it refuses" {
	export PIBUILD
	need_loop
	offline
	truncate -s 256M disk
	local loop
	loop=$(attach "$PWD/disk")
	for at in '40 xterm' '80 xterm' '120 xterm' '80 dumb'; do
		rm -f flashed.jsonl
		wipefs -qa "$loop" && dd if=/dev/zero of="$loop" bs=1M count=1 status=none
		screen flash-no "${at% *}:n" ${at#* } "$PIBUILD" flash warm/cp-1.img "$loop"
		screen flash "${at% *}:$(identity "$loop")|yes" ${at#* } "$PIBUILD" flash warm/cp-1.img "$loop"
		screen flash-other "${at% *}:$(identity "$loop")|" ${at#* } "$PIBUILD" flash warm/w-1.img "$loop"
		screen flash-swapped ${at% *} ${at#* } "$PIBUILD" flash "$loop" warm/w-1.img
	done
}
