# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Address pools and who answers for them
# needs: cni
# bound: 600
#
# Address pools, and who answers for them: nodes by ARP (l2-policy.yaml), the router by what nodes tell it (bgp.yaml), or
# both. Cilium's operator brings their definitions some time after it starts.

pools=$etc/manifests/pools.yaml
policy=$etc/manifests/l2-policy.yaml
bgp=$etc/manifests/bgp.yaml
secret=$etc/secrets/bgp.yaml
patience=120

# not all of them are on every card
inputs() {
	printf '%s\n' "$pools" "$policy" "$bgp"
}

staged() {
	printf '%s\n' "$secret"
}

own_manifests() {
	for file in $(inputs); do
		[ ! -e "$file" ] || printf '%s\n' "$file"
	done
}

ready() {
	need_file "$pools" || return
	[ -e "$bgp" ] || need_file "$policy" || return
	set -- ciliumloadbalancerippools.cilium.io ciliuml2announcementpolicies.cilium.io
	[ ! -e "$bgp" ] || set -- "$@" ciliumbgpclusterconfigs.cilium.io ciliumbgppeerconfigs.cilium.io ciliumbgpadvertisements.cilium.io
	established "$@"
}

apply() {
	# shellcheck disable=SC2046 # paths of pibuild's own, without blanks
	apply_files $(secrets) $(own_manifests)
}

finished() {
	# shellcheck disable=SC2046
	whole $(own_manifests | sed 's/^/-f /') || return
	found=$(ask get ciliumloadbalancerippools -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="cilium.io/PoolConflict")].status}{"\n"}{end}' 2>/dev/null | grep ' True$')
	[ -z "$found" ] || {
		why "Cilium finds that the pool ${found%% *} overlaps another one and gives no address from it" \
			"kubectl get ciliumloadbalancerippools shows all; delete the one that is not from cluster.yaml"
		return 1
	}
	[ -e "$bgp" ] || return 0
	if bgp_sessions; then
		unnote bgp
		return 0
	fi
	# The router's side is for people to make, when they come to it; the report looks after it from here on.
	uptime
	[ $((up - begin)) -ge "$patience" ] || return 1
	note bgp "$cause" "$cure"
}
