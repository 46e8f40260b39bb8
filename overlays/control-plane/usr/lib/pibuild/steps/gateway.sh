# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Gateway with HTTPS
# needs: loadbalancer issuers
# bound: 900
#
# The cluster's Gateway, its routes, and the policy of who gets an answer. Its certificates are asked for by the step
# before; they are waited for as long as that takes minutes, then told in the report, which looks after them from there on.

gateway=$etc/manifests/gateway.yaml
patience=600

inputs() {
	printf '%s\n' "$gateway"
}

ready() {
	need_file "$gateway" && established gateways.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io ciliumclusterwidenetworkpolicies.cilium.io
}

apply() {
	apply_files "$gateway"
}

finished() {
	whole -f "$gateway" || return
	policy_valid && serves && routed || return 1
	certificates && return 0
	uptime
	[ $((up - begin)) -ge "$patience" ]
}

# A policy that Cilium does not understand leaves everything open.
policy_valid() {
	asked get ciliumclusterwidenetworkpolicy gateway -o 'jsonpath={.status.conditions[?(@.type=="Valid")].status} {.status.conditions[?(@.type=="Valid")].message}'
	case $found in
	"False "*)
		why "Cilium does not take the policy of who may use the gateway: ${found#* }" "kubectl describe ciliumclusterwidenetworkpolicy gateway"
		return 1
		;;
	esac
}

# serves: it has its address, which is the only one
serves() {
	wanted=$(sed -n 's/^ *value: "*\([0-9.]*\)"*$/\1/p' "$gateway")
	asked -n kube-system get gateway lan -o 'jsonpath={.status.addresses[0].value}|{.status.conditions[?(@.type=="Programmed")].status}|{.status.conditions[?(@.status=="False")].message}' || {
		explain_text "$found"
		return 1
	}
	case $found in
	"$wanted|True|"*) return 0 ;;
	"$wanted|"* | "|"*) why "The Gateway is not served yet${found##*|}" ;;
	*) why "The Gateway has the address ${found%%|*} and not $wanted" ;;
	esac
	[ -z "${found##*|}" ] || why "The Gateway is not served yet: ${found##*|}"
	cure="See why: kubectl -n kube-system describe gateway lan"
	return 1
}

# routed: Cilium has looked at the routes, and took them
routed() {
	asked -n kube-system get httproutes -o 'jsonpath={range .items[*]}{.metadata.name}|{.status.parents[0].conditions[?(@.type=="Accepted")].status}|{.status.parents[*].conditions[?(@.status=="False")].message}{"\n"}{end}' || {
		explain_text "$found"
		return 1
	}
	routes=$(sed -n '/^kind: HTTPRoute/,/^  name: /s/^  name: //p' "$gateway")
	for route in $routes; do
		row=$(printf '%s\n' "$found" | grep "^$route|")
		case $row in
		"$route|True|") continue ;;
		esac
		row=${row##*|}
		why "The route $route is not taken yet${row:+: $row}" "See why: kubectl -n kube-system describe httproute $route"
		return 1
	done
}
