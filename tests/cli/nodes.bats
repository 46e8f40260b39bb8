#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Labels and taints of nodes: what may be written, where it ends up, and how a cluster that runs follows.
# slow: some cases render a card and run first boot on it.

load ../lib/first-boot

# cluster LINE-OF-CLUSTER LINE-OF-SERVER LINE-OF-WORKER: one of each, with these keys
cluster() {
	cat >cluster.yaml <<-EOT
		apiVersion: pibuild/v1
		cluster: {name: lab$1}
		access: {user: pi, sshKeys: ['$example_key']}
		network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1], dhcpRange: 192.168.1.200-192.168.1.250}
		nodes:
		  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24$2}
		  - {name: w-1, role: worker, board: rpi4, address: 192.168.1.12/24$3}
	EOT
}

@test "labels and taints by the syntax of Kubernetes are taken, others refused by name" {
	cluster '' '' ", labels: {radio: zigbee, a.b-c/X_y.z: '', on: 'yes', n: 1}, taints: ['a=b:NoSchedule', 'a:NoExecute', x.io/y=:PreferNoSchedule]"
	"$PIBUILD" check -q
	local long=a23456789012345678901234567890123456789012345678901234567890123
	while IFS='|' read -r label; do
		cluster '' '' ", labels: {$label}"
		one_fault "nodes[1].labels" || return 1
	done <<-EOT
		"-a": b
		a-: b
		a b: c
		"": c
		/a: c
		A.io/b: c
		a/b/c: d
		${long}4: a
		a: -b
		a: b c
		a: ${long}4
		a: ~
		a: [b]
		a: "b\nc"
	EOT
	cluster '' '' ", labels: {$long: $long}"
	"$PIBUILD" check -q
	while read -r taint; do
		cluster '' '' ", taints: ['$taint']"
		one_fault "nodes[1].taints[0]: '" || return 1
	done <<-EOT
		a
		a=b
		a=b:Never
		a:noschedule
		a=b=c:NoSchedule
		a:b:NoSchedule
		-a:NoSchedule
		a=-b:NoSchedule
		=b:NoSchedule
		:NoSchedule
		node.kubernetes.io/unschedulable:NoSchedule
		node-role.kubernetes.io/control-plane:NoSchedule
	EOT
}

@test "labels that a node, K3s or pibuild sets are refused with whose they are" {
	cluster '' '' ', labels: {kubernetes.io/hostname: x}'
	one_fault "nodes[1].labels: 'kubernetes.io/hostname' cannot be used: the node sets it itself; choose another name"
	cluster '' '' ', labels: {node-role.kubernetes.io/control-plane: "true"}'
	one_fault "nodes[1].labels: 'node-role.kubernetes.io/control-plane' cannot be used: K3s gives it to servers"
	cluster '' '' ', labels: {node-role.kubernetes.io/worker: "true"}'
	one_fault "nodes[1].labels: 'node-role.kubernetes.io/worker' cannot be used: pibuild gives it to nodes"
	cluster '' '' ', labels: {pibuild/board: x}'
	one_fault "nodes[1].labels: 'pibuild/board' cannot be used"
}

@test "taintServers needs a worker, and some node has to take pods" {
	cluster ', taintServers: true' '' ''
	"$PIBUILD" check -q
	sed -i '$d' cluster.yaml
	one_fault 'cluster.taintServers: there is no worker, so no pod of yours would find a node; add one, or write auto'
	cluster ', taintServers: true' '' ", taints: ['a:NoExecute']"
	one_fault 'nodes[1].taints: every node keeps pods off that do not tolerate its taints, so CoreDNS, Hubble and cert-manager would stay Pending; leave one without'
	cluster ', taintServers: true' '' ", taints: ['a:PreferNoSchedule']"
	"$PIBUILD" check -q
	cluster '' '' ", taints: ['a=b:NoSchedule', 'a=c:NoSchedule']"
	one_fault 'nodes[1].taints[1]: a node has one taint a with the effect NoSchedule, and taints[0] is it; remove one'
}

# config NODE KEY: of its config.yaml, a line each
config() {
	python3 -c 'import sys, yaml; print("\n".join(yaml.safe_load(open(sys.argv[1])).get(sys.argv[2]) or []))' "card/etc/rancher/k3s/config.yaml" "$1"
}

labelled=(', taintServers: true' '' ', labels: {radio: zigbee, node-role.kubernetes.io/storage: "true", topology.kubernetes.io/zone: cellar}, taints: ["dedicated=storage:NoSchedule", "x:PreferNoSchedule"]}
  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24')

@test "a node registers with what its kubelet may give it; the first server knows the rest of all" {
	cluster "${labelled[@]}"
	"$PIBUILD" render --node w-1 -o card >/dev/null
	[ "$(config node-label)" = $'pibuild/board=rpi4\nradio=zigbee\ntopology.kubernetes.io/zone=cellar' ]
	[ "$(config node-taint)" = $'dedicated=storage:NoSchedule\nx:PreferNoSchedule' ]
	[ ! -e card/etc/pibuild/nodes ]
	rm -rf card && "$PIBUILD" render --node cp-1 -o card >/dev/null
	[ "$(config node-taint)" = node-role.kubernetes.io/control-plane:NoSchedule ]
	diff card/etc/pibuild/nodes - <<-'EOT'
		cp-1 label pibuild/board=rpi5
		cp-1 taint node-role.kubernetes.io/control-plane:NoSchedule
		w-1 label pibuild/board=rpi4
		w-1 label node-role.kubernetes.io/worker=true
		w-1 label radio=zigbee
		w-1 label node-role.kubernetes.io/storage=true
		w-1 label topology.kubernetes.io/zone=cellar
		w-1 taint dedicated=storage:NoSchedule
		w-1 taint x:PreferNoSchedule
		w-2 label pibuild/board=rpi5
		w-2 label node-role.kubernetes.io/worker=true
	EOT
}

# --- the step, on the first server

make_labelled() {
	cluster "${labelled[@]}"
}

# joined NAME LINE...: its Node, as a kubelet made it
joined() {
	{
		printf 'apiVersion: v1\nkind: Node\nmetadata:\n  name: %s\n  labels:\n    kubernetes.io/os: linux\n' "$1"
		[ $# -eq 1 ] || printf '%s\n' "${@:2}"
	} >"card/state/objects/node/_/$1"
}

# node NAME LINE...: its Node has these lines, wherever
node_has() {
	local line
	for line in "${@:2}"; do
		grep -qxF -- "$line" "card/state/objects/node/_/$1" || { echo "not in $1: $line"; cat "card/state/objects/node/_/$1"; return 1; }
	done
}
node_lacks() {
	refute grep -F -- "$2" "card/state/objects/node/_/$1"
}

# nodes_step: taken again, as at the next start of this node
nodes_step() {
	rm -f card/run/pibuild/steps/nodes
	step nodes || { cat log.nodes && return 1; }
}

ready_for_nodes() {
	export MAKE=make_labelled
	card_after cni
	joined w-1 '    mine: kept' 'spec:' '  taints:' '  - effect: NoExecute' '    key: node.kubernetes.io/unreachable'
	joined w-2
}

@test "the first server gives roles, labels and taints, keeps what others gave, and does nothing twice" {
	ready_for_nodes
	nodes_step
	node_has cp-1 '    node-role.kubernetes.io/control-plane: "true"' '    pibuild/board: "rpi5"' '    key: node-role.kubernetes.io/control-plane'
	node_has w-1 '    mine: kept' '    radio: "zigbee"' '    node-role.kubernetes.io/worker: "true"' '    node-role.kubernetes.io/storage: "true"' \
		'    key: node.kubernetes.io/unreachable' '    key: dedicated' '    value: "storage"' '    key: x' \
		'    pibuild.io/taints: "dedicated=storage:NoSchedule,x:PreferNoSchedule"'
	node_has w-2 '    node-role.kubernetes.io/worker: "true"'
	node_lacks w-2 radio
	before=$(cat card/state/objects/node/_/* | sha256sum) calls=$(grep -cE 'label|taint|annotate' card/state/calls)
	nodes_step
	[ "$(cat card/state/objects/node/_/* | sha256sum)" = "$before" ]
	[ "$(grep -cE 'label|taint|annotate' card/state/calls)" = "$calls" ]
}

@test "what is gone from cluster.yaml goes from the cluster, a changed value follows, and a gone one is given again" {
	ready_for_nodes
	nodes_step
	sed -i -e '/^w-1 label radio/d' -e '/^w-1 taint x/d' -e 's/zone=cellar/zone=attic/' -e 's/=storage:/=disks:/' card/etc/pibuild/nodes
	sed -i '/node-role.kubernetes.io\/worker: /d' card/state/objects/node/_/w-2
	nodes_step
	node_lacks w-1 radio
	node_lacks w-1 'key: x'
	node_has w-1 '    mine: kept' '    topology.kubernetes.io/zone: "attic"' '    value: "disks"' '    key: node.kubernetes.io/unreachable' \
		'    pibuild.io/taints: "dedicated=disks:NoSchedule"'
	node_has w-2 '    node-role.kubernetes.io/worker: "true"'
}

@test "a cut anywhere between leaves nothing behind that nobody takes away" {
	ready_for_nodes
	nodes_step
	cp -r card/state/objects/node/_ whole
	sed -i -e '/^w-1 label/d' -e '/^w-1 taint/d' card/etc/pibuild/nodes
	echo 'w-1 label new=1' >>card/etc/pibuild/nodes
	cp card/usr/local/bin/kubectl kubectl.real
	for cut in 1 2 3 4; do
		rm -rf card/state/objects/node/_ && cp -r whole card/state/objects/node/_
		echo 0 >calls
		program kubectl 'case " $* " in *" label "*|*" taint "*|*" annotate "*) n=$(($(cat "${PIBUILD_ROOT%/*}/calls") + 1)); echo $n >"${PIBUILD_ROOT%/*}/calls"' \
			"[ \$n -lt $cut ] || { echo cut >&2; exit 1; } ;; esac" 'exec "${PIBUILD_ROOT%/*}/kubectl.real" "$@"'
		rm -f card/run/pibuild/steps/nodes
		tick "$stop_step"
		refute step nodes
		rm card/tick
		cp kubectl.real card/usr/local/bin/kubectl
		nodes_step
		node_has w-1 '    mine: kept' '    new: "1"' '    key: node.kubernetes.io/unreachable'
		for gone in radio zone storage 'key: dedicated' 'key: x'; do
			node_lacks w-1 "$gone" || { echo "cut at $cut"; return 1; }
		done
	done
}

@test "nodes that have not joined hold nobody up: a note, and they are given theirs once they are there" {
	ready_for_nodes
	rm card/state/objects/node/_/w-2
	nodes_step
	[ "$(state_of nodes state)" = "done" ]
	grep -qx 'cause Not in the cluster yet, and so without role and labels: w-2' card/run/pibuild/notes/nodes
	node_has w-1 '    radio: "zigbee"'
	grep -qx 'ConditionPathExists=/run/pibuild/notes/nodes' card/etc/systemd/system/pibuild-nodes-late.service
	grep -qx 'ExecStart=/usr/lib/pibuild/step nodes' card/etc/systemd/system/pibuild-nodes-late.service
	[ -L card/etc/systemd/system/timers.target.wants/pibuild-nodes-late.timer ]
	joined w-2
	step nodes
	node_has w-2 '    node-role.kubernetes.io/worker: "true"'
	[ ! -e card/run/pibuild/notes/nodes ]
	[ "$(state_of nodes state)" = "done" ]
}

@test "an API that refuses a label is told with its words, and the step goes on trying" {
	ready_for_nodes
	sed -i 's/^w-2 label pibuild.*/w-2 label a=b_/' card/etc/pibuild/nodes
	tick "$(leap 130 1100)" '[ "$1" -lt 1110 ] || { cp card/run/pibuild/steps/nodes seen; '"$stop_step"'; }'
	refute nodes_step
	grep -qx 'state failed' seen
	grep -q '^cause The API does not take what cluster.yaml has of w-2: .*invalid label value: "a=b_"' seen
}
