# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Cilium, the cluster's network, and Hubble
# needs: k3s gateway-crds
# bound: 1800
#
# Cilium by its own command line, from the chart on this card. Hubble is part of the values.

chart=$charts/cilium
values=$etc/cilium-values.yaml

inputs() {
	printf '%s\n' "$values $chart/Chart.yaml"
}

ready() {
	need_program cilium && need_file "$values" "$chart/Chart.yaml"
}

apply() {
	unstick kube-system cilium || return
	# An upgrade takes up the values of the last release, unless it is told not to: what was taken out of the file would
	# stay in the cluster (cilium/cilium, cilium-cli/cli/install.go of CLI v0.19.7).
	set -- install
	has_release kube-system cilium
	case $? in
	0) set -- upgrade --reset-values ;;
	1) ;;
	*) return 1 ;;
	esac
	timeout 900 cilium "$@" --chart-directory "$chart" --values "$values" --wait-duration 14m
}

# needed: the row of the pod without which this step is not done: this node's agent, or the operator while there is none
needed() {
	printf '%s\n' "$pods" | awk -F '|' -v node="$node_name" '
		$3 == node && $4 == "cilium" && (agent == "" || $1 == 9) { agent = $0 }
		$2 ~ /^cilium-operator-/ && (operator == "" || $1 == 9) { operator = $0 }
		END {
			if (agent == "") agent = "4|Cilium\047s agent"
			if (operator == "") operator = "4|Cilium\047s operator"
			row = operator < agent ? operator : agent
			if (row !~ /^9/) print row
		}'
}

# The charts before 1.19 make Hubble's certificates by a Job that helm waits for (templates/hubble/tls-cronjob/job.yaml, a
# hook); its pod waits for the network, so for the agent and its images.
underway() {
	pods kube-system || return 1
	row=$(needed)
	case $row in
	4*) return 0 ;; # nothing is made yet
	'') row=$(worst 1-3 'hubble-') || return 0 ;;
	esac
	blame kube-system "$row"
	return 1
}

# Other nodes, a second operator that waits for a second server, Hubble: notes.
finished() {
	deployed kube-system cilium || return
	pods kube-system || return 1
	row=$(needed)
	[ -z "$row" ] || {
		blame kube-system "$row"
		return 1
	}
	registered || return
	whole_release kube-system cilium || return
	note_cilium
}

# registered: what the operator does once, at its start: it registers its definitions, and looks whether those of the
# Gateway API are there (operator/pkg/gateway-api/cell.go; Cilium 1.17 to 1.19 want gatewayclasses, gateways, httproutes,
# grpcroutes, referencegrants, 1.20 also tlsroutes and backendtlspolicies: pull request 46031). One that missed it is
# started anew, once: its pods are deleted, for a rollout never ends while the second of two replicas finds no node.
registered() {
	established ciliumnetworkpolicies.cilium.io ciliumloadbalancerippools.cilium.io ciliuml2announcementpolicies.cilium.io &&
		gateway_accepted
	case $? in
	0)
		unnote gateway
		return 0
		;;
	3) return 2 ;;
	esac
	uptime
	since_ready=${since_ready:-$up}
	[ $((up - since_ready)) -ge 60 ] || return 1
	if [ -z "$restarted" ]; then
		say "cni: $cause; Cilium's operator is started anew"
		ask -n kube-system delete pods -l name=cilium-operator --wait=false && restarted=yes since_ready=''
		return 1
	fi
	case $cause in
	*GatewayClass*) note gateway "Gateway API does not work: $cause" "$cure" ;;
	*) return 1 ;;
	esac
}
since_ready='' restarted=''

# gateway_accepted: 3 when the class is gone, which the chart brings
gateway_accepted() {
	case ",$needs," in
	*,gateway-crds,*) ;;
	*) return 0 ;;
	esac
	asked get gatewayclass cilium -o 'jsonpath={.status.conditions[?(@.type=="Accepted")].status} {.status.conditions[?(@.type=="Accepted")].message}' || {
		explain_text "$found"
		case $found in
		*NotFound*) return 3 ;;
		esac
		return 1
	}
	case $found in
	"True "*) return 0 ;;
	esac
	why "Cilium's operator has not accepted the GatewayClass cilium (${found% })" \
		"What it misses: kubectl -n kube-system logs deployment/cilium-operator | grep -i gateway"
	return 1
}
