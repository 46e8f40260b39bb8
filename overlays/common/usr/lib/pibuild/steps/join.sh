# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Member of the cluster
# needs: find-cluster
# bound: 1800
#
# A node that joins: it is a member once the API knows it as Ready. Asked with the kubelet's own credentials, which see
# no more than that; there is no admin key on a worker.

kubelet=$rancher/agent/kubelet.kubeconfig

inputs() {
	printf '%s\n' "$root/etc/rancher/k3s/config.yaml"
}

finished() {
	need_program k3s || return 1
	k3s_runs "$node_unit" || {
		# K3s says only that it tries again; whether anybody is there is for us to find out.
		server_answers || return 1
		return 1
	}
	[ -r "$kubelet" ] || {
		why "K3s runs and is joining" "It passes by itself; else: journalctl -u $node_unit"
		return 1
	}
	KUBECONFIG=$kubelet asked get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
	case $found in
	True) return 0 ;;
	False | Unknown) why "Joined; waiting until Cilium makes this node Ready" "The first server installs it: pibuild-status there says how far it is" ;;
	*NotFound*) why "K3s runs; the cluster does not know this node yet" "It passes by itself; else: journalctl -u $node_unit" ;;
	*) explain_text "$found" ;;
	esac
	return 1
}

# The server that find-cluster chose.
server_answers() {
	server=$(sed -n 's/^server: "https:\/\/\(.*\)"$/\1/p' "$root/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml")
	host=${server%:*} port=${server##*:}
	# shellcheck disable=SC2016 # for that bash
	resolves "$host" && timeout 10 bash -c ': <>"/dev/tcp/$0/$1"' "$found_at" "$port" 2>/dev/null && return 0
	why "The server that was chosen at this start does not answer any more: $server" "Power it on, or restart this node, which then looks for another; a firewall must let TCP $port through"
	return 1
}
