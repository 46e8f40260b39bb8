# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# A node that joins: it is a member once the API knows it as Ready. Asked with the kubelet's own credentials, which see
# no more than that; there is no admin key on a worker.

kubelet=$rancher/agent/kubelet.kubeconfig
unit=k3s-agent
[ "$node_role" != control-plane ] || unit=k3s

inputs() {
	printf '%s\n' "$root/etc/rancher/k3s/config.yaml"
}

finished() {
	need_program k3s || return 1
	k3s_runs "$unit" || {
		# K3s says only that it tries again; whether anybody is there is for us to find out.
		server_answers || return 1
		return 1
	}
	[ -r "$kubelet" ] || {
		why "K3s runs and is joining" "It passes by itself; else: journalctl -u $unit"
		return 1
	}
	found=$(KUBECONFIG=$kubelet ask get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>&1)
	case $found in
	True) return 0 ;;
	False | Unknown) why "Joined; waiting until Cilium makes this node Ready" "The first server installs it: pibuild-status there says how far it is" ;;
	*NotFound*) why "K3s runs; the cluster does not know this node yet" "It passes by itself; else: journalctl -u $unit" ;;
	*) explain_text "$found" ;;
	esac
	return 1
}

server_answers() {
	server=$node_server
	host=${server%:*} port=${server##*:}
	# shellcheck disable=SC2016 # for that bash
	timeout 10 bash -c ': <>"/dev/tcp/$0/$1"' "$host" "$port" 2>/dev/null && return 0
	if getent ahostsv4 "$host" >/dev/null; then
		why "The first server does not answer at $server" "Power it on, and see what its own report says; a firewall must let TCP $port through"
	else
		why "The first server's name $host cannot be resolved" "Give it a static address in cluster.yaml, or a name that your name server knows"
	fi
	return 1
}
