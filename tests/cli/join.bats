#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# External nodes: counted, without a card, and the script that makes a machine one. It is run here in a folder that stands
# for the machine's root, with a K3s that a stand-in of curl brings.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	write_cluster "registries:" "  mirrors: [{from: docker.io, to: [\"https://mirror.lan\"]}]"
	cat >>cluster.yaml <<-'EOT'
		  - {name: nuc-1, role: worker, board: external, arch: arm64, memory: 2GiB, address: 192.168.1.31/24, labels: {disk: fast}, taints: ["own=yes:NoSchedule"]}
	EOT
	cp "$top/configs/pibuild.lock" my.lock
}

# locked FILE NAME: the lock pins that file under that name
locked() {
	python3 - "$(sha256sum <"$1" | cut -d ' ' -f 1)" "$2" <<-'EOT'
		import re, sys
		lock = open("my.lock").read()
		entry = re.search(r"  - name: k3s\n    version: (v1\.36\.4.*)\n(?:    .*\n)*", lock)
		new = f"  - name: {sys.argv[2]}\n    version: {entry[1]}\n    url: https://k3s.example.com/k3s\n    sha256: {sys.argv[1]}\n    source: this test\n"
		keep = "" if sys.argv[2] == "k3s" else entry[0]
		open("my.lock", "w").write(lock[:entry.start()] + keep + new + lock[entry.end():])
	EOT
}

# machine ARCH: ./m is its root, and what the script calls is written to ./calls
machine() {
	mkdir -p m/run/systemd/system m/etc/systemd/system m/usr/local bin
	printf '#!/bin/sh\necho "%s"\n' "$1" >bin/uname
	printf '#!/bin/sh\necho 0\n' >bin/id
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho "curl $*" >>"%s/calls"\nwhile [ "$1" != -o ]; do shift; done\ncp "%s/k3s" "$2"\n' "$PWD" "$PWD" >bin/curl
	for name in systemctl modprobe sysctl; do
		# shellcheck disable=SC2016
		printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n' "$name" "$PWD" >bin/$name
	done
	chmod 755 bin/*
}

# join SCRIPT
join() {
	sed -E "s#(^|[ \"'=>])/(etc|var|run|usr/local)/#\1$PWD/m/\2/#g" "$1" >moved
	PATH=$PWD/bin:$PATH run sh ./moved
}

@test "a node with a card, and one that nobody knows, make no secrets" {
	run -2 "$PIBUILD" join w-1 --lock my.lock
	[[ "$output" == *'w-1 is a node with a card, which joins by itself'* ]]
	run -2 "$PIBUILD" join nuc-2 --lock my.lock
	[[ "$output" == *"cluster.yaml has no node 'nuc-2'; did you mean nuc-1?"* ]]
	[ ! -e secrets.yaml ]
}

@test "the script lays down what a card of the node would hold for K3s, byte for byte, and starts it" {
	echo 'a K3s' >k3s
	locked k3s k3s
	"$PIBUILD" join nuc-1 --lock my.lock -o join.sh >out 2>err || { cat err; return 1; }
	[ ! -s out ]
	[ "$(stat -c %a join.sh)" = 600 ]
	shellcheck -s sh join.sh
	# Once more over its own, never over another file.
	"$PIBUILD" -q join nuc-1 --lock my.lock -o join.sh
	echo mine >notes
	fails 5 'notes is there already and is not a script of join: give another name, or replace it with --force' "$PIBUILD" join nuc-1 --lock my.lock -o notes
	[ "$(cat notes)" = mine ]
	"$PIBUILD" -q join nuc-1 --lock my.lock -o notes --force
	cmp notes join.sh
	machine aarch64
	join join.sh
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[[ "$output" == *'nuc-1 joins https://192.168.1.11:6443'* ]]
	cmp k3s m/usr/local/bin/k3s
	[ "$(readlink m/usr/local/bin/kubectl)" = k3s ]
	# The same node with a card.
	sed 's/board: external, arch: arm64/board: virt/' cluster.yaml >card.yaml
	"$PIBUILD" render -c card.yaml --secrets secrets.yaml --lock my.lock --node nuc-1 --show-secrets -o card >rendered 2>err
	for file in etc/rancher/k3s/config.yaml etc/rancher/k3s/registries.yaml etc/rancher/node/password etc/pibuild/resolv.conf \
		var/lib/rancher/k3s/agent/etc/kubelet.conf.d/10-pibuild.conf etc/sysctl.d/50-pibuild.conf; do
		diff <(sed "s/board=virt/board=external/" "card/$file") "m/$file"
		[ "$(stat -c %a "m/$file")" = "$(stat -c %a "card/$file")" ]
	done
	python3 - <<-'EOT'
		import yaml
		config = yaml.safe_load(open("m/etc/rancher/k3s/config.yaml"))
		assert config["token"].startswith("K10") and "::node:" in config["token"], "no pinned CA"
		assert "disk=fast" in config["node-label"] and config["node-taint"] == ["own=yes:NoSchedule"]
		assert yaml.safe_load(open("m/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml")) == {"server": "https://192.168.1.11:6443"}
	EOT
	[ "$(stat -c %a m/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml)" = 600 ]
	grep -qx 'systemctl enable -q k3s-agent.service' calls
	grep -qx 'systemctl restart --no-block k3s-agent.service' calls
	systemd-analyze verify m/etc/systemd/system/k3s-agent.service 2>&1 | refute grep -v 'is not executable'
	# No server's secret is in it.
	for name in server_token admin; do
		refute grep -qF "$("$PIBUILD" secrets show --show-secrets --json 2>err | jq -r '.serverToken // .token.server // "none-of-it"')" join.sh
	done
	# Again: nothing is downloaded.
	: >calls
	join join.sh
	[ "$status" -eq 0 ]
	refute grep -q curl calls
}

@test "the machine is looked at first: another processor, a server, a K3s that is not the lock's" {
	echo 'a K3s' >k3s
	locked k3s k3s
	"$PIBUILD" join nuc-1 --lock my.lock >join.sh 2>err
	grep -q "holds the agents' token and the password of nuc-1" err
	machine x86_64
	join join.sh
	[ "$status" -eq 1 ]
	[[ "$output" == *'this machine is x86_64, cluster.yaml says arm64'* ]]
	machine aarch64
	echo 'another one' >k3s
	join join.sh
	[ "$status" -eq 1 ]
	[[ "$output" == *'is not what the lock pins'* ]]
	[ ! -e m/usr/local/bin/k3s ]
	[ ! -e m/usr/local/bin/.k3s.new ]
	[ ! -e m/etc/rancher ]
	mkdir -p m/var/lib/rancher/k3s/server/db
	join join.sh
	[ "$status" -eq 1 ]
	[[ "$output" == *'this machine is a server of a cluster'* ]]
}

@test "amd64 has a K3s of its own in the lock, which only clusters with such a node need" {
	"$PIBUILD" check >out 2>&1
	refute grep -q k3s-amd64 out
	sed -i 's/arch: arm64/arch: amd64/' cluster.yaml
	run "$PIBUILD" check --lock my.lock
	[[ "$output" == *'the lock has no digest of k3s-amd64'* ]]
	fails 4 'the lock does not pin k3s-amd64' "$PIBUILD" join nuc-1 --lock my.lock
	echo 'a K3s' >k3s
	locked k3s k3s-amd64
	"$PIBUILD" join nuc-1 --lock my.lock >join.sh 2>err
	machine x86_64
	join join.sh
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	cmp k3s m/usr/local/bin/k3s
}

@test "an external node is counted, and has no image and no card" {
	"$PIBUILD" plan --json >plan.json 2>err
	[ "$(jq -c '[.nodes[].name]' plan.json)" = '["cp-1","w-1"]' ]
	"$PIBUILD" render --node w-1 -o tree >out 2>err
	grep -qE '^192.168.1.31[[:space:]]+nuc-1' tree/etc/hosts
	fails 2 'nuc-1 is external, a machine without a card or an image: `pibuild join nuc-1` prints the script' "$PIBUILD" plan --node nuc-1
	fails 2 'w-1 is a node with a card, which joins by itself' "$PIBUILD" join w-1
	fails 2 "has no node 'nuc-2'; did you mean nuc-1?" "$PIBUILD" join nuc-2
}

@test "what an external node cannot be or have is a fault with the reason" {
	while IFS='|' read -r change text; do
		write_cluster
		echo '  - {name: nuc-1, role: worker, board: external, arch: amd64}' >>cluster.yaml
		sed -i "$change" cluster.yaml
		fails 3 "$text" "$PIBUILD" check
	done <<-'EOT'
		/nuc-1/s/role: worker/role: control-plane/|nodes[2].role: nuc-1 is external: a server has a card: external machines are workers
		/nuc-1/s/amd64/x86_64/|nodes[2].arch: 'x86_64' cannot be used: write 'amd64' (it must be amd64 or arm64)
		/nuc-1/s/amd64/''/|nodes[2].arch: '' cannot be used: it must be amd64 or arm64
		/nuc-1/s/, arch: amd64//|nodes[2].board: nuc-1 is external: say which programs it runs: arch: amd64, or arch: arm64
		/nuc-1/s/arch/packages: [vim], &/|nodes[2].packages: nuc-1 is external: install them there
		/nuc-1/s/arch/data: {device: nvme}, &/|nodes[2].data: nuc-1 is external: mount a disk there
		/nuc-1/s/arch/boot: {config: [dtparam=x=1]}, &/|nodes[2].boot: nuc-1 is external: it starts without a card of pibuild
		/w-1/s/board: rpi5/&, arch: amd64/|nodes[1].arch: Raspberry Pi 5 is arm64, as all boards are; amd64 goes with board: external
	EOT
}
