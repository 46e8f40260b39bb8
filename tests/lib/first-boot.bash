# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The first-boot programs of a rendered card, run on this machine: stand-ins for K3s, cilium, helm and kubectl that keep
# state, small stand-ins for what a running system would say, and time that passes as fast as it is slept.

load ../lib/image

# card [LINE]...: ./card of cp-1 (or $NODE) of write_cluster's cluster, lines put before its nodes, or of what $MAKE writes.
# Rendered once in a file of tests, copied from then on.
card() {
	made=$(cksum <<<"${NODE:-cp-1} ${MAKE:-} $*")
	made=$BATS_FILE_TMPDIR/card.${made%% *}
	[ -d "$made" ] || (mkdir "$made.new" && cd "$made.new" && render_card "$@" && mv "$made.new" "$made")
	cp -a "$made/." .
	of_this_card
}

# card_after STEP|end [LINE]...: the same with its API up, after that step and all before it, each of them taken once
card_after() {
	local one last=$1
	shift
	card "$@"
	if [ ! -d "$made.$last" ]; then
		for one in $(steps); do
			if [ ! -d "$made.$one" ]; then
				[ "$one" != k3s ] || api_up
				step "$one" || { cat "log.$one" && return 1; }
				cp -a . "$made.$one"
			else
				rm -rf card && cp -a "$made.$one/." .
			fi
			[ "$one" != "$last" ] || break
		done
		[ "$last" != end ] || ln -s "$made.$one" "$made.end"
	fi
	rm -rf card && cp -a "$made.$last/." .
}

# steps: those of this card, in their order
steps() {
	awk '{ print $1 }' card/etc/pibuild/steps
}

render_card() {
	${MAKE:-write_cluster} "$@"
	"$PIBUILD" secrets new -q
	"$PIBUILD" render --node "${NODE:-cp-1}" --show-secrets -o card >/dev/null
	mkdir -p card/{proc/self,sys/fs/cgroup,sys/class/net/eth0,run,state,usr/local/bin,usr/share/pibuild/charts/cilium}
	echo '100.00 100.00' >card/proc/uptime
	echo 'console=tty1 pibuild.network=closed' >card/proc/cmdline
	echo 'cpu memory pids' >card/sys/fs/cgroup/cgroup.controllers
	echo 1 >card/sys/class/net/eth0/carrier
	printf 'fffff0000000-ffffffff0000 rw-p 00000000 00:00 0 [stack]\n' >card/proc/self/maps
	echo 'name: cilium' >card/usr/share/pibuild/charts/cilium/Chart.yaml
	of_this_card
	charts_and_programs
	: >console
}

of_this_card() {
	export PIBUILD_ROOT=$PWD/card PIBUILD_PROC=$PWD/card/proc PIBUILD_SYS=$PWD/card/sys PIBUILD_CONSOLE=$PWD/console
	export STANDIN_STATE=$PWD/card/state STANDIN_READY=$PWD/card/ready STANDIN_CONFIG=$PWD/card/etc/rancher/k3s/config.yaml
	export STANDIN_PROC=$PIBUILD_PROC STANDIN_DATA=$PWD/card/var/lib/rancher/k3s STANDIN_PEERS=$PWD/peers
}

charts_and_programs() {
	local program
	python3 -B - "$top/scripts/standins" card <<-'EOT'
		import os, sys
		sys.path.insert(0, sys.argv[1])
		import make
		for name in "k3s", "cilium", "helm":
		    path = f"{sys.argv[2]}/usr/local/bin/{name}"
		    if os.path.lexists(path):
		        os.remove(path)
		    open(path, "wb").write(make.program(name, "test"))
		    os.chmod(path, 0o755)
		open(f"{sys.argv[2]}/usr/share/pibuild/charts/cert-manager.tgz", "wb").write(make.chart("cert-manager", "1", "1", {}, {}))
	EOT
	if [ -e card/etc/pibuild/cilium-values.yaml ]; then
		gateway_manifest >card/etc/pibuild/manifests/gateway-api.yaml
	fi
	# What it sleeps passes on the card's clock; the caller waits next to nothing.
	program sleep '[ "$1" != infinity ] || exec /bin/sleep 100' 'read -r up _ <"$PIBUILD_PROC/uptime"' \
		'echo "$((${up%%.*} + $1)).00 0.00" >"$PIBUILD_PROC/uptime"' '[ ! -x "$PIBUILD_ROOT/tick" ] || "$PIBUILD_ROOT/tick" "${up%%.*}"' 'exec /bin/sleep 0.02'
	program systemctl 'case $* in *ActiveState*) cat "$PIBUILD_ROOT/k3s-state" ;; *NRestarts*) cat "$PIBUILD_ROOT/k3s-restarts" 2>/dev/null || echo 0 ;; esac'
	program journalctl 'cat "$PIBUILD_ROOT/journal" 2>/dev/null; true'
	program timedatectl 'cat "$PIBUILD_ROOT/synchronized" 2>/dev/null || echo no'
	program ip 'case $* in *addr*) cat "$PIBUILD_ROOT/address" ;; *route*) cat "$PIBUILD_ROOT/route" ;; esac'
	program findmnt 'echo /dev/none'
	ln -s /bin/true card/usr/local/bin/sync # what lasts over a power cut is seen in tests/boot
	program date 'case $1 in +%s) [ ! -e "$PIBUILD_ROOT/clock" ] || exec cat "$PIBUILD_ROOT/clock" ;; esac; exec /bin/date "$@"'
	echo active >card/k3s-state
	address 192.168.1.11/24
	echo 'default via 192.168.1.1 dev eth0' >card/route
}

# address CIDR: what eth0 has
address() {
	echo "2: eth0    inet $1 brd 192.168.1.255 scope global eth0" >card/address
}

# program NAME LINE...: a stand-in for a program of the system
program() {
	{
		echo '#!/bin/sh'
		printf '%s\n' "${@:2}"
	} >"card/usr/local/bin/$1"
	chmod 755 "card/usr/local/bin/$1"
}

# tick LINE...: run at each sleep, with the uptime in $1: where a test changes the world
tick() {
	{
		echo '#!/bin/sh'
		echo 'cd "${PIBUILD_ROOT%/*}"'
		printf '%s\n' "$@"
	} >card/tick
	chmod 755 card/tick
}

# leap FROM TO: a line for tick: between them the card's clock jumps, for what only waits
leap() {
	echo "[ \$1 -lt $1 ] || [ \$1 -ge $2 ] || echo '$2.00 0.00' >\"\$PIBUILD_PROC/uptime\""
}

gateway_manifest() {
	local kind
	for kind in GatewayClass:gatewayclasses Gateway:gateways HTTPRoute:httproutes; do
		printf -- '---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: %s.gateway.networking.k8s.io\nspec:\n  group: gateway.networking.k8s.io\n  names:\n    kind: %s\n    plural: %s\n  versions:\n  - name: v1\n' "${kind#*:}" "${kind%:*}" "${kind#*:}"
	done
}

# api_up: K3s's stand-in as it is once the server has started
api_up() {
	card/usr/local/bin/k3s server >/dev/null 2>&1 3>&- &
	until [ -e card/ready ]; do /bin/sleep 0.02; done
	kill $!
}

# step NAME: to its end, at most four real minutes. stop_step ends it from within.
step() {
	# shellcheck disable=SC2016 # for that shell
	timeout ${STEP_TIME:-240} sh -c 'echo $$ >card/step.pid; exec sh card/usr/lib/pibuild/step "$1"' - "$1" >"log.$1" 2>&1
}
stop_step='kill $(cat card/step.pid)'

report() {
	sh card/usr/lib/pibuild/report once
}

# state_of STEP FIELD
state_of() {
	sed -n "s/^$2 //p" "card/run/pibuild/steps/$1"
}
