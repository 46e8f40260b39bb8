#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A cluster that runs in QEMU and is changed by `pibuild apply`: a server and WORKERS workers (2), over the real ssh, by the
# card's own program. K3s in them is a stand-in. POINTS and SEED: power cuts of a node while it is changed.

load ../lib/life

nodes='cp-1'
for ((i = 1; i <= ${WORKERS:-2}; i++)); do
	nodes="$nodes w-$i"
done

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	desk_lab "${WORKERS:-2}" virt virt
	sed -i 's/^nodes:/os: {sysctl: {vm.swappiness: "10"}}\nversions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}\n&/' cluster.yaml
	for node in $nodes; do
		desk "$node" "$(lan_address "$node")"
	done
	sandbox --base bootable -- bash -c 'mkdir release && cp "$PIBUILD_LOCK" release/pibuild.lock && "$PIBUILD" --progress none --cache cache build -o out &&
		sed "s/^versions:.*/versions: {k3s: v1.36.4+k3s1}/" cluster.yaml >later.yaml && "$PIBUILD" --progress none --cache cache fetch -c later.yaml' >build.log 2>&1 || { cat build.log; return 1; }
}

setup() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	[ ! -e broken ] || skip "an earlier one failed"
}

lan_address() {
	case $1 in
	cp-*) echo "192.168.1.1${1##*-}" ;;
	*) echo "192.168.1.2${1##*-}" ;;
	esac
}

# as_wanted NODE...: no file of it differs
as_wanted() {
	local node
	for node in "$@"; do
		at_desk diff --live "$node" || return
	done
}

# started UNIT NODE: when it was, in microseconds of that boot
started() {
	on "$2" "systemctl show -p ActiveEnterTimestampMonotonic --value $1"
}

# facts_of NODE: what must not change by a change that is not about it
facts_of() {
	local unit=k3s-agent
	case $1 in cp-*) unit=k3s ;; esac
	cat <(on "$1" 'cat /proc/sys/kernel/random/boot_id') <(started "$unit" "$1")
}

@test "a cluster that was just born is as cluster.yaml says: nothing is changed, no file differs" {
	begun=$SECONDS
	for node in $nodes; do
		machine start "$node" "out/$node.img" --memory 512 --cpus 1 --net "lan:$BATS_FILE_TMPDIR" --desk "$(cat "port-$node")" --append pibuild.network=closed
	done
	# shellcheck disable=SC2086 # names
	ready $nodes
	took 'the cluster is ready'
	# shellcheck disable=SC2086
	as_wanted $nodes
	begun=$SECONDS
	at_desk apply
	[ "$(grep -c 'is as cluster.yaml says' said)" = "$(wc -w <<<"$nodes")" ]
	took 'apply of what is so already'
}

@test "a label, a setting of the kernel, a value of Cilium, a file: each with its effect, and K3s runs on" {
	begun=$SECONDS
	last=${nodes##* }
	for node in $nodes; do
		facts_of "$node" >"before-$node"
	done
	started pibuild-cni cp-1 >cni
	sed -i "s/vm.swappiness: \"10\"/vm.swappiness: \"33\"/; s/^nodes:/cilium: {valuesFile: mine.yaml}\n&/; s/name: $last, /&labels: {radio: zigbee}, /" cluster.yaml
	printf 'debug: {enabled: true}\n' >mine.yaml
	mkdir -p overlays/common/etc/systemd/system
	printf '[Unit]\nDescription=Mine\n[Service]\nExecStart=/bin/true\n' >overlays/common/etc/systemd/system/mine.service
	at_desk apply --yes
	cat said
	grep -q '~ /etc/sysctl.d/60-pibuild.conf	settings of the kernel' said
	grep -q '~ /etc/pibuild/cilium-values.yaml	the step cni' said
	grep -q '~ /etc/pibuild/nodes	the step nodes' said
	refute grep -qE 'restart of K3s|reboot' said
	for node in $nodes; do
		facts_of "$node" | diff "before-$node" -
		[ "$(on "$node" 'cat /proc/sys/vm/swappiness')" = 33 ]
		on "$node" 'systemctl cat mine.service' | grep -q 'Description=Mine'
	done
	[ "$(started pibuild-cni cp-1)" != "$(cat cni)" ]
	ask_api cp-1 "get node $last -o 'jsonpath={.metadata.labels.radio}'" | grep -qx zigbee
	# shellcheck disable=SC2086
	as_wanted $nodes
	took 'changed'
}

@test "K3s a minor version up, and Cilium with it: servers first, each back before the next" {
	begun=$SECONDS
	for node in $nodes; do
		facts_of "$node" >"before-$node"
	done
	sed -i 's/^versions:.*/versions: {k3s: v1.36.4+k3s1}/' cluster.yaml
	at_desk apply --yes
	cat said
	grep -q 'k3s v1.35.8+k3s1 -> v1.36.4+k3s1' said
	grep -q 'cilium-chart 1.19.6 -> 1.20.0' said
	for node in $nodes; do
		[ "$(on "$node" 'cat /proc/sys/kernel/random/boot_id')" = "$(sed -n 1p "before-$node")" ]
		[ "$(facts_of "$node" | sed -n 2p)" != "$(sed -n 2p "before-$node")" ]
		on "$node" 'k3s --version' | grep -q v1.36.4+k3s1
	done
	[ "$(ask_api cp-1 "get nodes -o 'jsonpath={range .items[*]}{.spec.unschedulable}{end}'")" = '' ]
	# shellcheck disable=SC2086
	as_wanted $nodes
	# back over a minor version leads no way
	sed -i 's/^versions:.*/versions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}/' cluster.yaml
	refute at_desk apply --yes
	grep -q 'K3s goes back within a minor version only' said
	sed -i 's/^versions:.*/versions: {k3s: v1.36.4+k3s1}/' cluster.yaml
	took 'upgraded'
}

@test "a word for the kernel: the node restarts with it, and its own words stay" {
	begun=$SECONDS
	last=${nodes##* }
	sed -i "s/name: $last, /&boot: {cmdline: [lab.test=1]}, /" cluster.yaml
	at_desk apply --yes --node "$last"
	grep -q 'then reboot' said
	on "$last" 'cat /boot/firmware/cmdline.txt' | grep -q 'root=.* lab.test=1'
	as_wanted "$last"
	took 'restarted'
}

@test "the power cut at seeded moments of a change: the node starts, and the next apply ends it well" {
	points "${POINTS:-2}" "${SEED:-1}" 40 >points
	number=0
	last=${nodes##* }
	while read -r at mode _ <&4; do
		begun=$SECONDS
		number=$((number + 1))
		sed -i "s/vm.swappiness: \"[0-9]*\"/vm.swappiness: \"$((40 + number))\"/; s/^versions:.*/versions: {k3s: v1.36.4+k3s1}/" cluster.yaml
		printf 'change %s\n' "$number" >overlays/common/etc/systemd/system/"mine-$number.service"
		(at_desk apply --yes --no-drain --node "$last" --timeout 60 || true) 3>&- 4<&- &
		sleep "$at"
		case $mode in
		lost) machine kill "$last" ;;
		kept) machine kill "$last" --flushed ;;
		esac
		kill $! 2>/dev/null || true
		wait $! || true
		machine boot "$last"
		ready "$last"
		soon 60 at_desk apply --yes --node "$last"
		as_wanted "$last" || { echo "point $number: cut at $at s, unflushed writes $mode" && return 1; }
		[ "$(on "$last" 'cat /proc/sys/vm/swappiness')" = $((40 + number)) ]
		took "point $number: cut at $at s, unflushed writes $mode"
	done 4<points
	[ "$number" = "${POINTS:-2}" ]
}
