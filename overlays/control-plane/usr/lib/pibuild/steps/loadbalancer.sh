# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Address pools and who answers for them
# needs: cni
# bound: 600
#
# Address pools and who answers for them. Cilium's operator brings their definitions some time after it starts.

pools=$etc/manifests/pools.yaml
policy=$etc/manifests/l2-policy.yaml

inputs() {
	printf '%s\n' "$pools $policy"
}

ready() {
	need_file "$pools" "$policy" && established ciliumloadbalancerippools.cilium.io ciliuml2announcementpolicies.cilium.io
}

apply() {
	apply_files "$pools" "$policy"
}

finished() {
	whole -f "$pools" -f "$policy" || return
	found=$(ask get ciliumloadbalancerippools -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="cilium.io/PoolConflict")].status}{"\n"}{end}' 2>/dev/null | grep ' True$')
	[ -z "$found" ] && return 0
	why "Cilium finds that the pool ${found%% *} overlaps another one and gives no address from it" \
		"kubectl get ciliumloadbalancerippools shows all; delete the one that is not from cluster.yaml"
	return 1
}
