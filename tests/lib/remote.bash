# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Nodes that run, for commands that ask them over SSH: a real sshd for each, on an address of loopback that the real ssh is
# led to, and behind it stand-ins of sudo, systemctl and K3s, which all look at one cluster (standins.bash).

load ../lib/standins

# machines NODE=READY...: cluster.yaml has cp-N at 192.168.1.1N and w-N at 192.168.1.2N; those given are nodes of a
# cluster, READY or dead. `up` starts their sshd.
machines() {
	local one
	standins
	ssh-keygen -q -t ed25519 -N '' -C test -f "$PWD/key"
	{
		printf 'apiVersion: pibuild/v1\ncluster: {name: lab}\naccess: {user: pi, sshKeys: [{file: key.pub}]}\n'
		printf 'network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]}\nnodes:\n'
		for one in "$@"; do
			case $one in
			cp-*) printf '  - {name: %s, role: control-plane, board: rpi5, address: 192.168.1.1%s/24}\n' "${one%=*}" "$(number "$one")" ;;
			*) printf '  - {name: %s, role: worker, board: rpi5, address: 192.168.1.2%s/24}\n' "${one%=*}" "$(number "$one")" ;;
			esac
		done
	} >cluster.yaml
	rm state/objects/node/_/*
	mkdir -p state/members state/objects/pod/{kube-system,default} over-there
	for one in "$@"; do
		member "${one%=*}" "$(case $one in cp-*) echo "$#" ;; esac)"
		[ "${one#*=}" != dead ] || echo "${one%=*}" | tr '\n' ' ' >>state/faults/dead
		printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: cilium-%s\n  namespace: kube-system\nspec:\n  nodeName: %s\n' "${one%=*}" "${one%=*}" >"state/objects/pod/kube-system/cilium-${one%=*}"
	done
	printf 'apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: cilium\n  namespace: kube-system\n' | put_object daemonset/kube-system/cilium
	programs_over_there
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	# A machine whose sshd is not up refuses at once, where one that is off would cost ten seconds.
	for one in "$@"; do
		host_of "${one%=*}"
	done
	sed 's/ test$//' key.pub >authorized
	# The wrapper is no stand-in: it says what a ~/.ssh/config would, of ports, addresses, and who one is here.
	printf '#!/bin/sh\nexec %s -F "%s/ssh_config" -o "User=%s" "$@"\n' "$(PATH=/usr/bin:/bin command -v ssh)" "$PWD" "$(id -un)" >bin/ssh
	chmod 755 bin/ssh
}

# ends STATUS PART...: what `run` ran did, and said so
ends() {
	local part
	[ "$status" -eq "$1" ] || { echo "ended $status: $output" && return 1; }
	for part in "${@:2}"; do
		[[ $output == *"$part"* ]] || { echo "no '$part' in: $output" && return 1; }
	done
}

number() {
	set -- "${1%=*}"
	echo "${1##*-}"
}

# member NODE SERVER: its Node, and of a server its member of etcd
member() {
	local labels='kubernetes.io/os: linux'
	[ -z "$2" ] || labels=$'node-role.kubernetes.io/control-plane: "true"\n    node-role.kubernetes.io/etcd: "true"'
	printf '# born 1\napiVersion: v1\nkind: Node\nmetadata:\n  name: %s\n  labels:\n    %s\n  annotations:\n    k3s.io/internal-ip: %s\n' "$1" "$labels" "$(address "$1")" >"state/objects/node/_/$1"
	[ -z "$2" ] || : >"state/members/$1"
}

address() {
	case $1 in
	cp-*) echo "192.168.1.1${1##*-}" ;;
	*) echo "192.168.1.2${1##*-}" ;;
	esac
}

# host_of NODE: ssh is led to its sshd
host_of() {
	printf 'Host %s\n\tHostName %s\n\tPort %s\n' "$(address "$1")" "$(on_loopback "$1")" "$port" >>ssh_config
}

on_loopback() {
	local last
	last=$(address "$1")
	echo "127.0.0.${last##*.}"
}

put_object() {
	mkdir -p "state/objects/${1%/*}"
	{ echo '# born 1' && cat; } >"state/objects/$1"
}

# pod NAME NODE [ANNOTATION]: of no DaemonSet
pod() {
	printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: default\n  annotations:\n    %s\nspec:\n  nodeName: %s\n' "$1" "${3:-a: b}" "$2" | put_object "pod/default/$1"
}

# A machine whose K3s was stopped is not heard of; with half of the members gone etcd decides nothing.
programs_over_there() {
	cat >over-there/sudo <<-'EOT'
		#!/bin/sh
		[ "$1" = -n ] || { echo "sudo stand-in: only with -n, nobody is there to be asked" >&2 && exit 1; }
		needs='a password is required'
		[ "${LC_ALL:-}" = C ] || needs='Ein Passwort ist notwendig'
		[ ! -e "$STANDIN_STATE/faults/sudo" ] || { echo "sudo: $needs" >&2 && exit 1; }
		shift
		[ "$1 ${2:-}" != '/usr/lib/pibuild/apply kubectl' ] || { shift && set -- k3s "$@"; }
		exec "$@"
	EOT
	cat >over-there/systemctl <<-'EOT'
		#!/bin/sh
		echo "0 systemctl $NODE $*" >>"$STANDIN_STATE/calls"
		case $NODE:$* in
		cp-*:'disable --now k3s.service' | w-*:'disable --now k3s-agent.service') ;;
		*) echo "Failed to disable unit: Unit file ${3:-} does not exist." >&2 && exit 1 ;;
		esac
		printf '%s ' "$NODE" >>"$STANDIN_STATE/faults/dead"
		members=$(ls "$STANDIN_STATE/members" | wc -l) left=0
		for member in "$STANDIN_STATE"/members/*; do
			grep -qw -- "${member##*/}" "$STANDIN_STATE/faults/dead" || left=$((left + 1))
		done
		[ "$left" -gt $((members / 2)) ] || : >"$STANDIN_STATE/faults/quorum"
	EOT
	chmod 755 over-there/*
	ln -s ../bin/k3s ../bin/sleep "$top/overlays/common/usr/local/bin/pibuild-status" over-there/
}

# up NODE...: its sshd answers
up() {
	local node
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	for node in "$@"; do
		grep -qx "Host $(address "$node")" ssh_config || host_of "$node"
		[ -e "host-$node" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$PWD/host-$node"
		cat >"sshd-$node.conf" <<-EOT
			Port $port
			ListenAddress $(on_loopback "$node")
			HostKey $PWD/host-$node
			PidFile $PWD/sshd-$node.pid
			AuthorizedKeysFile $PWD/authorized
			StrictModes no
			UsePAM no
			PasswordAuthentication no
			KbdInteractiveAuthentication no
			PermitRootLogin prohibit-password
			SetEnv NODE=$node PIBUILD_ROOT=$PWD/card-$node PATH=$PWD/over-there:/usr/bin:/bin STANDIN_STATE=$STANDIN_STATE STANDIN_READY=$STANDIN_READY STANDIN_PROC=$STANDIN_PROC STANDIN_CONFIG=$STANDIN_CONFIG KUBECONFIG=$KUBECONFIG
		EOT
		mkdir -p "card-$node/etc/pibuild" "card-$node/run/pibuild"
		/usr/sbin/sshd -f "$PWD/sshd-$node.conf" -E "$PWD/sshd-$node.log"
		for _ in $(seq 100); do
			[ ! -e "sshd-$node.pid" ] || break
			/usr/bin/sleep 0.1
		done
	done
}

# down NODE...
down() {
	local node
	for node in "$@"; do
		kill "$(cat "sshd-$node.pid")"
		while [ -e "sshd-$node.pid" ]; do /usr/bin/sleep 0.1; done
	done
}

all_down() {
	local file
	for file in sshd-*.pid; do
		[ ! -e "$file" ] || kill "$(cat "$file")"
	done
}

# interrupted PID COMMAND...: by Ctrl-C, once COMMAND is true; it ends as it should
interrupted() {
	local pid=$1 code=0
	shift
	for _ in $(seq 600); do
		if "$@"; then break; fi
		/usr/bin/sleep 0.1
	done
	kill -INT "$pid"
	wait "$pid" || code=$?
	[ "$code" -eq 130 ]
}

# calls: what was done to the cluster and its machines, a line each, without questions
calls() {
	sed -n 's/^[0-9.]* //; s/^kubectl \(drain\|delete\) /\1 /p; s/^systemctl /stop /p' state/calls
}
