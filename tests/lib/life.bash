# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# For tests of a cluster that outlives its cards: three servers and a worker, cards that flash wrote, and whether they are
# one cluster.

load ../lib/machines
load ../lib/disk

servers='cp-1 cp-2 cp-3'

# A file's cases build upon each other: after one that failed none is tried.
setup() {
	need_qemu
	need_loop
	cd "$BATS_FILE_TMPDIR"
	[ ! -e broken ] || skip "an earlier one failed"
	begun=$SECONDS
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}${BATS_TEST_SKIPPED:-}" ] || {
		touch broken
		keep_logs
	}
}

teardown_file() {
	power_off_all
}

# took WORDS: said of a case, with the seconds since it began, or since `begun`
took() {
	echo "# $((SECONDS - begun)) s: $*" >&3
}

# write_life: cluster.yaml of three servers and a worker
write_life() {
	example_key=$example_key write_cluster
	sed -i '/name: cp-1/a\  - {name: cp-2, role: control-plane, board: virt, address: 192.168.1.12/24}\n  - {name: cp-3, role: control-plane, board: virt, address: 192.168.1.13/24}' cluster.yaml
	sed -i '/name: /s/rpi5/virt/; /name: w-1/s/1\.12/1.21/' cluster.yaml
}

# card NODE: a new card of that node, written by flash (from the backup $RESTORE, with the lock $LOCK and on the variant $VARIANT of the
# base, if there are any); its path is in $CARD, what flash said in ./flashed
card() {
	local loop code=0
	mkdir -p cards
	CARD=$PWD/cards/$1.$(find cards -name "$1.*" | wc -l)
	truncate -s 4G "$CARD"
	loop=$(losetup --find --show "$CARD")
	sandbox --base bootable ${VARIANT:+--variant "$VARIANT"} -- "$PIBUILD" --progress none --cache cache ${LOCK:+--lock "$LOCK"} flash --node "$1" ${RESTORE:+--restore "$RESTORE"} --yes --serial "$(identity "$loop")" "$loop" >flashed 2>&1 || code=$?
	losetup -d "$loop"
	[ "$code" = 0 ] || { cat flashed && return "$code"; }
}

# insert NODE CARD: the machine with that card, switched on
insert() {
	machine start "$1" "$2" --memory 512 --cpus 1 --net "lan:$BATS_FILE_TMPDIR" --append pibuild.network=closed
}

# ready NODE...: each says so in its report, within BOUND seconds
ready() {
	local node
	for node in "$@"; do
		BOUND=${BOUND:-900} told "$node" 'done' || return
	done
}

# soon SECONDS COMMAND...: it succeeds within that time; what it said last is told otherwise
soon() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >soon.log 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { cat soon.log && return 1; }
		sleep 2
	done
}

# ask_api NODE ARGUMENT...: kubectl of that server
ask_api() {
	on "$1" "KUBECONFIG=/etc/rancher/k3s/k3s.yaml kubectl ${*:2}"
}

# identity_of NODE: the cluster as that server knows it
identity_of() {
	ask_api "$1" "get namespace kube-system -o 'jsonpath={.metadata.uid}'"
}

# same_cluster NODE: it knows the cluster of ./identity, with three members, and four Nodes that are Ready
same_cluster() {
	local found
	found=$(identity_of "$1") || return
	[ "$found" = "$(cat identity)" ] || { echo "$1 knows another cluster: $found" && return 1; }
	found=$(on "$1" 'ls -1 /var/lib/rancher/k3s/stand-in/members' | tr '\n' ' ') || return
	[ "$found" = 'cp-1 cp-2 cp-3 ' ] || { echo "members of $1: $found" && return 1; }
	found=$(ask_api "$1" "get nodes -o 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type==\"Ready\")].status} {end}'") || return
	[ "$found" = 'cp-1=True cp-2=True cp-3=True w-1=True ' ] || { echo "Nodes of $1: $found" && return 1; }
}

# one_cluster: all servers say the same
one_cluster() {
	local server
	for server in $servers; do
		soon 90 same_cluster "$server" || return
	done
}

# points COUNT SEED LAST: "SECOND MODE CHANCE" a line: when to cut the power, one in each of COUNT equal spans up to LAST;
# every second time the disk loses what was not flushed; a number to choose by
points() {
	python3 - "$@" <<-'EOT'
		import random, sys
		count, seed, last = map(int, sys.argv[1:])
		chance = random.Random(seed)
		for i in range(count):
		    at = 4 + (last - 4) * (i + chance.random()) / count
		    print(f"{at:.1f}", "lost" if (i + seed) % 2 == 0 else "kept", chance.randrange(1000))
	EOT
}

# power_cut NODE SECOND MODE: its power, so long after it was switched on; then it is switched on again
power_cut() {
	sleep "$2"
	case $3 in
	lost) machine kill "$1" ;;
	kept) machine kill "$1" --flushed ;;
	esac
	machine boot "$1"
}

# desk NODE ADDRESS: before the build; a computer that is no machine of that LAN has a card of its own in the node, and reaches
# it by the real ssh, and no other address. For `machine start --desk "$(cat port-NODE)"`.
desk() {
	local port keyfile=overlays/common/etc/NetworkManager/system-connections/desk.nmconnection
	mkdir -p bin "${keyfile%/*}"
	(umask 077 && printf '[connection]\nid=desk\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:DE:5C:00\n[ipv4]\nmethod=manual\naddress1=10.99.0.15/24\n[ipv6]\nmethod=disabled\n' >"$keyfile")
	printf '#!/bin/sh\nexec %s -F "%s/ssh_config" "$@"\n' "$(command -v ssh)" "$PWD" >bin/ssh
	chmod 755 bin/ssh
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	printf 'Host %s\n\tHostName 127.0.0.1\n\tPort %s\n\tConnectTimeout 30\n\tProxyCommand none\n' "$2" "$port" >>ssh_hosts
	{ cat ssh_hosts && printf 'Host *\n\tProxyCommand false\n'; } >ssh_config
	echo "$port" >"port-$1"
}

# there COMMAND...: with the desk's ssh. Beside the machine $ALONE, which was started so: no other network can be reached.
there() {
	local enter=()
	[ -z "${ALONE:-}" ] || enter=(nsenter --preserve-credentials --user --net --target "$(cat "$BATS_FILE_TMPDIR/$ALONE/pid")")
	PATH=$PWD/bin:$PATH "${enter[@]}" "$@"
}

# at_desk COMMAND...: as its user types it; what it said is in ./said
at_desk() {
	local code=0
	PIBUILD_LOCK=$PWD/release/pibuild.lock PIBUILD_CACHE=$PWD/cache there "$PIBUILD" --progress none --offline "$@" >said 2>&1 || code=$?
	[ "$code" = 0 ] || cat said
	return "$code"
}
