# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# The stand-ins for kubectl, helm and the cilium CLI by themselves: a cluster of one server that is up, a clock that the
# test moves, and everything in the folder the test is in.

load ../lib/image

# standins: into ./bin; the API is up and holds one server, and nothing else
standins() {
	python3 -B - "$top/scripts/standins" <<-'EOT'
		import os, sys
		sys.path.insert(0, sys.argv[1])
		import make
		os.mkdir("bin")
		for name in "k3s", "cilium", "helm", "hubble":
		    with open(f"bin/{name}", "wb") as file:
		        file.write(make.program(name, "v1.36.4+k3s1"))
		    os.chmod(f"bin/{name}", 0o755)
		os.symlink("k3s", "bin/kubectl")
	EOT
	mkdir -p state/objects/node/_ state/objects/namespace/_ state/faults
	export STANDIN_STATE=$PWD/state STANDIN_READY=$PWD/ready STANDIN_PROC=$PWD STANDIN_CONFIG=$PWD/config.yaml KUBECONFIG=$PWD/k3s.yaml
	export PATH=$PWD/bin:$PATH
	printf 'apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    server: https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\ncurrent-context: default\nusers:\n- name: default\n  user:\n    token: admin\n' >k3s.yaml
	# What is slept passes at once.
	printf '#!/bin/sh\nread -r up _ <"$STANDIN_PROC/uptime"\necho "$((${up%%.*} + $1)).00 0.00" >"$STANDIN_PROC/uptime"\n' >bin/sleep
	chmod 755 bin/sleep
	echo '100.00 0.00' >uptime
	: >ready
	node cp-1 'node-role.kubernetes.io/control-plane: "true"'
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kube-system\n' >state/objects/namespace/_/kube-system
	mkdir -p chart
	printf 'name: cilium\nversion: "1.20.0"\n' >chart/Chart.yaml
	printf 'kubeProxyReplacement: true\nk8sServiceHost: 127.0.0.1\nk8sServicePort: 6444\n' >values.yaml
}

# node NAME [LABEL]
node() {
	printf 'apiVersion: v1\nkind: Node\nmetadata:\n  name: %s\n  labels:\n    %s\n' "$1" "${2:-kubernetes.io/os: linux}" >"state/objects/node/_/$1"
}

# later SECONDS
later() {
	sleep "$1"
}

# says STATUS TEXT COMMAND...: ends so, and says that (a part of it, "\n" for line ends) on standard output or error
says() {
	local want
	printf -v want '%b' "$2"
	run "${@:3}"
	if [ "$status" != "$1" ] || [[ "$output" != *"$want"* ]]; then
		printf '%s\nwanted %s: %s\ngot %s: %s\n' "${*:3}" "$1" "$want" "$status" "$output"
		return 1
	fi
}

# words_table < TABLE: "STATUS | COMMAND | TEXT" a line; all that differ are told
words_table() {
	local code command text failed=''
	while IFS='|' read -r code command text; do
		[ -n "$command" ] || continue
		# shellcheck disable=SC2086 # the table's words
		eval "set -- $command"
		says "${code// /}" "${text# }" "$@" || failed=yes
	done
	[ -z "$failed" ]
}
