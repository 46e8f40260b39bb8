# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: K3s and its API
# needs: preflight data restore find-cluster
# bound: 900
#
# The first server: its API is ready, and knows this node.

inputs() {
	printf '%s\n' "$root/etc/rancher/k3s/config.yaml"
}

finished() {
	need_program k3s kubectl || return 1
	k3s_runs k3s || return 1
	asked get --raw /readyz || {
		explain_text "$found"
		# its list: [+] is ready, [-] is not
		late=$(printf '%s' "$found" | grep -o '\[-\][^ \]*' | cut -c 4- | tr '\n' ' ')
		[ -z "$late" ] || why "The API is starting and waits for ${late% }" "It passes by itself; else: journalctl -u k3s"
		return 1
	}
	asked get node "$node_name" -o name && return 0
	case $found in
	*NotFound*) why "The API is ready; this node has not registered yet" "It passes by itself; else: journalctl -u k3s" ;;
	*) explain_text "$found" ;;
	esac
	return 1
}
