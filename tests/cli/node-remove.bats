#!/usr/bin/env bats
# slow: an sshd for each node of every case
# SPDX-License-Identifier: Apache-2.0
# pibuild node remove, and how nodes that run are asked: the real ssh and sshd, stand-ins behind them (lib/remote.bash).

load ../lib/remote

teardown() {
	all_down
}

# flashed NODE...: cards of them were written, and cp-1's started the cluster
flashed() {
	local node starts
	for node in "$@"; do
		starts='"starts":false'
		[ "$node" != cp-1 ] || starts='"starts":true,"born":{"cluster.podCIDR":"10.42.0.0/16"}'
		printf '{"time":"2026-11-01T10:00:00Z","state":"done","node":"%s","cluster":"lab","serial":"S-%s",%s}\n' "$node" "$node" "$starts"
	done >>flashed.jsonl
}

# remove ARGUMENT...: $output has both streams, $status what it ended with
remove() {
	run "$PIBUILD" node remove "$@"
}

# --- workers

@test "a worker is drained, stopped and deleted in this order, and taken from the record of cards" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	flashed cp-1 w-1
	pod web w-1
	remove w-1 --yes
	ends 0 "w-1	is no node of lab" 'K3s on w-1 is stopped and stays off' \
		'cluster.yaml:7: w-1 still stands there: take it out, or the next build makes its card again'
	diff <(calls) - <<-'EOT'
		drain w-1
		stop w-1 disable --now k3s-agent.service
		delete node w-1
	EOT
	[ ! -e state/objects/node/_/w-1 ]
	[ ! -e state/objects/pod/default/web ]
	# Its card is none of the cluster any more; what cp-1 was born with is known as before.
	"$PIBUILD" plan --json >plan.json 2>/dev/null
	[ "$(jq -r '.flashed[].node' plan.json)" = cp-1 ]
	[ "$(wc -l <flashed.jsonl)" -eq 3 ]
	jq -e 'select(.state == "removed") | .node == "w-1" and .cluster == "lab"' <(tail -n 1 flashed.jsonl)
	sed -i 's/^cluster: .*/cluster: {name: lab, podCIDR: 10.99.0.0\/16}/' cluster.yaml
	run "$PIBUILD" check
	ends 3 'cluster.podCIDR: lab was started with 10.42.0.0/16'
}

@test "the record of the node that started the cluster outlives it: no later card starts it again" {
	machines cp-1=up cp-2=up cp-3=up
	up cp-2 cp-3 cp-1
	flashed cp-1 cp-2 cp-3
	remove cp-1 --yes
	ends 0 '2 servers are left, and etcd on 2 survives no more failures than on 1: add one, or remove one more'
	sed -i '/name: cp-1/d' cluster.yaml
	sed -i 's/^cluster: .*/cluster: {name: lab, podCIDR: 10.99.0.0\/16}/' cluster.yaml
	run "$PIBUILD" check
	ends 3 'cluster.podCIDR: lab was started with 10.42.0.0/16 (card of cp-1, 2026-11-01T10:00:00Z)'
}

@test "a worker of which nothing is heard is not drained; what its card would do is said" {
	machines cp-1=up w-1=dead
	up cp-1
	remove w-1 --yes
	ends 0 'nothing is heard of w-1' 'w-1 could not be told to stop: power it off; with this card it joins again when it boots'
	[ "$(calls)" = 'delete node w-1' ]
}

@test "a pod that may not go holds the drain, and the node; --force removes it all the same" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	pod web w-1
	echo default/web >state/faults/budget
	remove w-1 --yes --timeout 20
	ends 1 "w-1 is not drained and takes no more pods: on cp-1" "global timeout reached: 20s" \
		'or on cp-1 let it go on: sudo k3s kubectl uncordon w-1'
	[ -e state/objects/node/_/w-1 ]
	[ "$(calls)" = 'drain w-1' ]
	# what it says lets it go on
	PATH=$PWD/over-there:$PATH sh -c 'sudo -n k3s kubectl uncordon w-1' | grep -qx 'node/w-1 uncordoned'
	remove w-1 --yes --timeout 20 --force
	ends 0 'w-1 is not drained' "w-1	is no node of lab"
	[ ! -e state/objects/node/_/w-1 ]
}

@test "a pod without an owner would be lost, which --force says" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	pod mine w-1 'stand-in/owner: none'
	pod scratch w-1 'stand-in/volume: emptyDir'
	remove w-1 --yes
	ends 1 'cannot delete Pods that declare no controller (use --force to override): default/mine'
	[ -e state/objects/pod/default/scratch ]
	remove w-1 --yes --force
	ends 0
	[ ! -e state/objects/pod/default/mine ]
}

# --- servers

@test "a server of three goes with its member of etcd, by another server" {
	machines cp-1=up cp-2=up cp-3=up w-1=up
	up cp-1 cp-2 cp-3 w-1
	remove cp-1 --yes
	ends 0 'removing cp-1 and its member of etcd' '2 servers are left'
	diff <(calls) - <<-'EOT'
		drain cp-1
		stop cp-1 disable --now k3s.service
		delete node cp-1
	EOT
	[ ! -e state/members/cp-1 ]
	[ -e state/members/cp-2 ]
}

@test "of two servers one is stopped only after its member is gone: etcd could not decide else" {
	machines cp-1=up cp-2=up
	up cp-1 cp-2
	remove cp-2 --yes
	ends 0 "cp-2	is no node of lab"
	diff <(calls) - <<-'EOT'
		drain cp-2
		delete node cp-2
		stop cp-2 disable --now k3s.service
	EOT
	[ ! -e state/faults/quorum ]
}

@test "what would break the quorum is refused and changes nothing; what is dead may go" {
	machines cp-1=up cp-2=up cp-3=dead
	up cp-1 cp-2
	remove cp-2 --yes
	ends 5 'without cp-2 etcd would have 2 members of which 1 is ready, and more than half have to be, or the cluster stops: power cp-3 on first, or remove what is gone for good instead'
	[ -z "$(calls)" ]
	remove cp-3 --yes
	ends 0 "cp-3	is no node of lab"
	[ ! -e state/members/cp-3 ]
}

@test "the only server is never removed, by the file nor by the cluster" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	remove cp-1 --yes
	ends 5 'cp-1 is the only server of lab, and there is no cluster without one'
	[ ! -e state/calls ]
	# The file has a second one that never joined.
	sed -i '/name: w-1/i\  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.12/24}' cluster.yaml
	up cp-2
	remove cp-1 --yes
	ends 5 'cp-1 is the only server of lab'
	[ -z "$(calls)" ]
}

@test "a member that does not go is said, and the next run goes on" {
	machines cp-1=up cp-2=up cp-3=up
	up cp-1 cp-2 cp-3
	touch state/faults/member
	remove cp-3 --yes
	ends 1 'cp-3 is not gone: K3s holds it until its member of etcd is removed; run this again'
	rm state/faults/member
	remove cp-3 --yes
	ends 0 "cp-3	is no node of lab"
}

# --- what is asked, and of whom

@test "without a terminal --yes is wanted; on one, yes is typed" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	remove w-1 </dev/null
	ends 5 'there is no terminal to ask on: with --yes w-1 leaves lab'
	run "$top/tests/lib/terminal.py" 200:no "$PIBUILD" node remove w-1
	[[ $output == *'w-1, a worker, which runs, leaves lab: its pods go to other nodes, its local volumes are lost. Type yes to go on: no'*'not confirmed: w-1 stays'* ]]
	[ -z "$(calls)" ]
	run "$top/tests/lib/terminal.py" 200:yes "$PIBUILD" node remove w-1
	[[ $output == *'is no node of lab'* ]]
}

@test "a server that is down is passed over; with none, what each said is told" {
	machines cp-1=dead cp-2=up cp-3=up w-1=up
	up cp-1 cp-2 cp-3 w-1
	down cp-1
	remove w-1 --yes
	ends 0 "w-1	is no node of lab"
	down cp-2 cp-3
	remove cp-1 --yes
	ends 1 'no server of lab can be asked: cp-2 (192.168.1.12) does not answer on SSH' 'Connection refused' '; cp-3 (192.168.1.13) does not answer'
}

@test "a node that is gone already is only taken from the record; one that never was is a mistake" {
	machines cp-1=up w-1=up w-2=up
	up cp-1 w-1
	flashed w-2
	rm state/objects/node/_/w-2
	remove w-2
	ends 0 'lab knows no w-2' "w-2	is no node of lab"
	[ -z "$(calls)" ]
	tail -n 1 flashed.jsonl | jq -e '.state == "removed"'
	remove w-l
	ends 2 "lab has no node 'w-l', did you mean w-1? There are cp-1, w-1"
	[ "$(wc -l <flashed.jsonl)" -eq 2 ]
}

@test "a node that was taken out of cluster.yaml first is found by the address the cluster knows" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	sed -i '/name: w-1/d' cluster.yaml
	remove w-1 --yes
	ends 0 'K3s on w-1 is stopped'
	refute grep -q 'still stands' <<<"$output"
}

@test "of a node with addresses of both families the one of the LAN is taken, whichever comes first" {
	for addresses in 192.168.1.21,fd00::21 fd00::21,192.168.1.21; do
		rm -rf state over-there bin key key.pub
		machines cp-1=up w-1=up
		sed -i "s/internal-ip: 192.168.1.21/internal-ip: $addresses/" state/objects/node/_/w-1
		up cp-1 w-1
		sed -i '/name: w-1/d' cluster.yaml
		remove w-1 --yes
		ends 0 'K3s on w-1 is stopped'
		down cp-1 w-1
		rm known_hosts ssh_config
	done
}

@test "a drain that is interrupted is told, with what lets the node go on" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	printf '#!/bin/sh\n: >"%s/draining"\nexec /usr/bin/sleep 60\n' "$PWD" >over-there/drain
	sed -i '2i case "$*" in *" drain "*) exec "${0%/*}/drain" ;; esac' over-there/sudo
	chmod 755 over-there/drain
	"$PIBUILD" node remove w-1 --yes >out 2>&1 &
	interrupted $! [ -e draining ]
	grep -q 'w-1 may take no more pods: run this again, or on cp-1 let it go on: sudo k3s kubectl uncordon w-1' out
}

@test "the record of cards: a line that was cut takes no other with it, and one that cannot be read is no cluster without cards" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	flashed w-1
	printf '{"time":"2026-11-02T10:00:00Z","sta' >>flashed.jsonl
	remove w-1 --yes
	ends 0 "w-1	is no node of lab"
	[ "$(wc -l <flashed.jsonl)" -eq 3 ]
	tail -n 1 flashed.jsonl | jq -e '.state == "removed" and .node == "w-1"'
	rm flashed.jsonl && mkdir flashed.jsonl
	for command in check status 'ssh w-1 true' 'node remove w-1'; do
		# shellcheck disable=SC2086 # words
		run "$PIBUILD" $command
		ends 1 'flashed.jsonl: Is a directory; it says which cards were written and how the cluster was started'
	done
}

# --- SSH

@test "the host key of a card is kept at first contact, and no other is taken of that card" {
	machines cp-1=up w-1=up
	up cp-1 w-1
	flashed cp-1
	remove w-1 --yes
	ends 0
	grep -q '^cp-1.lab.2026-11-01t10:00:00z ssh-ed25519 ' known_hosts
	down cp-1
	rm host-cp-1*
	up cp-1
	member w-1 ''
	remove w-1 --yes
	ends 1 'cp-1 (192.168.1.11) shows another SSH host key than its card did before'
	# a new card may
	printf '{"time":"2026-11-02T10:00:00Z","state":"done","node":"cp-1","cluster":"lab"}\n' >>flashed.jsonl
	remove w-1 --yes
	ends 0 "w-1	is no node of lab"
}

@test "what a host key that changed is told to do helps, whatever the folder is called" {
	machines cp-1=up w-1=up
	up cp-1
	mkdir "my lab's 100%" && mv cluster.yaml key key.pub "my lab's 100%"
	run "$PIBUILD" node remove w-1 --yes -c "my lab's 100%/cluster.yaml"
	ends 0
	[ -s "my lab's 100%/known_hosts" ]
	down cp-1
	rm host-cp-1*
	up cp-1
	member w-1 ''
	run "$PIBUILD" node remove w-1 --yes -c "my lab's 100%/cluster.yaml"
	ends 1 'shows another SSH host key'
	# shellcheck disable=SC2016 # backticks of the message
	sh -c "$(grep -o '`ssh-keygen -f [^`]*`' <<<"$output" | tr -d '`')"
	run "$PIBUILD" node remove w-1 --yes -c "my lab's 100%/cluster.yaml"
	ends 0
}

@test "no key that fits, and sudo that asks for a password, are told from a machine that is down" {
	machines cp-1=up w-1=up
	up cp-1
	touch state/faults/sudo
	remove w-1 --yes
	ends 1 'on cp-1 sudo asks pi for a password (access.passwordHash is set)'
	rm state/faults/sudo
	ssh-keygen -q -t ed25519 -N '' -C other -f other
	cp other.pub authorized
	remove w-1 --yes
	ends 1 'cp-1 (192.168.1.11) lets pi not in from here: the private key of one of access.sshKeys has to be on this machine'
	# Only the agent has it: that counts too.
	cp key.pub authorized
	mv key away && ssh-keygen -q -p -P '' -N secret -f away
	remove w-1 --yes
	ends 1 'lets pi not in from here'
	ssh-keygen -q -p -P secret -N '' -f away
	eval "$(ssh-agent -s)" >/dev/null
	ssh-add -q away
	remove w-1 --yes
	kill "$SSH_AGENT_PID"
	ends 0 "w-1	is no node of lab"
}

@test "without ssh on this machine it says what to install" {
	machines cp-1=up w-1=up
	run env PATH="$PWD/none" "$PIBUILD" node remove w-1 --yes
	ends 6 'ssh is not installed' 'install the package openssh-client'
}

@test "usage" {
	machines cp-1=up w-1=up
	run "$PIBUILD" node
	ends 2 'an argument is missing: usage: pibuild node remove NAME'
	run "$PIBUILD" node add w-2
	ends 2 "node cannot 'add': usage: pibuild node remove NAME"
	run "$PIBUILD" node remove w-1 w-2
	ends 2 'too many arguments'
	cd "$BATS_FILE_TMPDIR"
	run "$PIBUILD" node remove w-1
	ends 3 'there is no cluster.yaml here, and there is no cluster to take a node from'
	cd "$BATS_TEST_TMPDIR"
}
