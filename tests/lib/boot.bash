# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that boot an image once and then look at what the running machine said.

load ../lib/image

need_qemu() {
	command -v qemu-system-aarch64 >/dev/null || skip "QEMU for arm64 is not installed"
}

# build_node NODE [LINE]...: builds it from the bootable base; lines go before the cluster's nodes.
build_node() {
	ssh-keygen -q -t ed25519 -N '' -f key -C boot-test
	example_key=$(cat key.pub) write_cluster "${@:2}"
	CACHE=${BOOT_CACHE:-$PWD/cache} SANDBOX="--base bootable" build --node "$1" -o out >stdout 2>stderr || { cat stderr; return 1; }
	judge "out/$1.img"
}

# questions: a script that asks all `facts`; ./facts numbers them
questions() {
	printf '%s\n' "${facts[@]}" | tee facts | sed '1i exec 2>&1
		s/.*/(&\n) <\/dev\/null; printf "\\n@next@\\n"/'
}

# answers: what that script said, one file a question
answers() {
	awk -v n=0 '
		$0 == "@next@" { printf "%s", (held == "\n" ? "" : held) >("answer." n); close("answer." n++); held = ""; next }
		{ if (held != "") printf "%s", held >("answer." n); held = $0 "\n" }'
}

# boot_node NODE [OPTION]...: boots it in a LAN like its own until its report says READY, and asks it each line of the array `facts`. Answers: answer(). One SSH connection carries all: a handshake takes an
# emulated machine seconds.
boot_node() {
	questions >questions
	rm -f answer.*
	cat >ask <<-'EOT'
		#!/bin/bash
		on_machine() { ssh -n -F none "${@:1:$#-1}" -i key -p "$SSH_PORT" -o StrictHostKeyChecking=no -o UserKnownHostsFile=known -o BatchMode=yes -o ConnectTimeout=10 -o ControlMaster=auto -o ControlPath=./ctl -o ControlPersist=20 pi@127.0.0.1 "${@: -1}"; }
		for _ in $(seq 60); do
			on_machine 'timeout 120 systemctl is-system-running --wait' >state 2>ssh.log
			grep -q . state && break
			sleep 1
		done
		# In one session: each costs an emulated machine a second, for PAM and logind.
		on_machine "$(cat questions)" >said
		on_machine -o ControlPath=none -o PubkeyAuthentication=no true >no-password 2>&1
		on_machine true || exit 1
		ssh -F none -O exit -o ControlPath=./ctl -p "$SSH_PORT" pi@127.0.0.1 2>ssh.log || true
	EOT
	# What makes an emulated machine slow and is not what is tested.
	"$PIBUILD" boot "out/$1.img" --memory 1024 --cpus 1 --disk-size 4GiB --timeout 600 --log console --until-ready \
		--append "nokaslr kpti=off mitigations=off apparmor=0 audit=0 rcupdate.rcu_expedited=1 quiet" "${@:2}" -- bash ./ask >boot.log 2>&1 ||
		{ tail -n 40 console boot.log; return 1; }
	answers <said
}

# answer QUESTION: what the machine said to it.
answer() {
	local n
	n=$(grep -nxF -- "$1" facts | head -1 | cut -d: -f1)
	cat "answer.$((n - 1))"
}

# desk_lab WORKERS BOARD WORKER_BOARD: cluster.yaml of a server and so many workers, whose key is made here
desk_lab() {
	local i
	ssh-keygen -q -t ed25519 -N '' -f key -C desk
	cat >cluster.yaml <<-EOT
		apiVersion: pibuild/v1
		cluster: {name: lab}
		access: {user: pi, sshKeys: [{file: key.pub}]}
		network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]}
		nodes:
		  - {name: cp-1, role: control-plane, board: $2, address: 192.168.1.11/24}
	EOT
	for ((i = 1; i <= $1; i++)); do
		echo "  - {name: w-$i, role: worker, board: $3, address: 192.168.1.2$i/24}" >>cluster.yaml
	done
}
