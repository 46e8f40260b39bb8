#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What people see, as it stands in tests/screens: at 80 and 120 columns, in colour and on a dumb terminal. After a change
# that is meant: SCREENS=write bats tests/cli/screens.bats, and read the difference.

load ../lib/image

setup() {
	export HOME=$BATS_TEST_TMPDIR/home NO_COLOR='' DO_TOKEN=x
	unset NO_COLOR
	mkdir -p "$HOME/.ssh" "$BATS_TEST_TMPDIR/lab"
	cd "$BATS_TEST_TMPDIR/lab"
	ssh-keygen -q -t ed25519 -N '' -C pi@desk -f "$HOME/.ssh/id_ed25519"
	cp "$top/configs/homelab.yaml" cluster.yaml
	sed 's/role: worker,/role: slave, /; s/192\.168\.1\.12/192.168.1.11/; s/gateway:/gatway:/' cluster.yaml >wrong.yaml
}

# screen NAME COLUMNS TERM COMMAND...: is as it was, and no line of a terminal that can do more than dumb is longer
screen() {
	local want=$top/tests/screens/$1.$2.$3
	TERM=$3 "$top/tests/lib/terminal.py" "$2" "${@:4}" | sed "s|$top|TOP|g; s|$BATS_TEST_TMPDIR|TMP|g; s|layer [0-9a-f]*|layer LAYER|" >seen
	[ "${SCREENS-}" != write ] || cp seen "$want"
	diff "$want" seen
	[ "$3" = dumb ] || [ "$(sed 's/\\e\[[0-9;]*m//g' seen | wc -L)" -le "$2" ]
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
