# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Roles, labels and taints of all nodes
# needs: cni
# bound: 900
#
# A kubelet gives its Node labels and taints when that is made, and never again; a role it may not give itself, nor may it
# change taints (kubernetes/kubernetes plugin/pkg/admission/noderestriction). So the first server does it for all, at every
# start: what others gave stays, what pibuild gave before and cluster.yaml has no longer is taken away (nodes.awk).
#
# Nobody waits for a node that has not joined, which may be dead: pibuild-nodes-late.timer has this step taken again for it.
#
# No server-side apply: it would make Nodes that are not there, leave labels that the kubelet gave too, and own all taints
# of a node, those of Kubernetes' controllers among them, for they are a list without keys (k8s.io/api core/v1 NodeSpec).

list=$etc/nodes

# node_facts: sets `found` to a line per Node, as nodes.awk wants it, and `keys`
node_facts() {
	keys=$(awk '$2 == "label" { sub(/=.*/, "", $3); if (!seen[$3]++) printf "%s ", $3 }' "$list")
	columns='{.metadata.name}{"\t"}{.metadata.annotations.pibuild\.io/labels}{"\t"}{.metadata.annotations.pibuild\.io/taints}{"\t"}{.spec.taints[*].key}{"\t"}{.spec.taints[*].effect}'
	for key in $keys; do
		columns="$columns{\"\\t\"}{.metadata.labels.$(printf '%s' "$key" | sed 's/\./\\./g')}"
	done
	asked get nodes -o "jsonpath={range .items[*]}$columns{\"\\n\"}{end}" && return 0
	explain_text "$found"
	return 1
}

# set_nodes: does what is to be done; sets `missing`
set_nodes() {
	missing=''
	todo=$(printf '%s\n' "$found" | awk -v KEYS="$keys" -f "$lib/nodes.awk" "$list" -)
	while read -r verb node words; do
		case $verb in
		'') continue ;;
		missing)
			missing="$missing $node"
			continue
			;;
		esac
		# shellcheck disable=SC2086 # words of pibuild's own, without blanks
		said=$(ask "$verb" node "$node" --overwrite $words 2>&1 </dev/null) || {
			explain_text "$said"
			why "The API does not take what cluster.yaml has of $node: $cause" "It is tried again; else: kubectl describe node $node"
			return 1
		}
		say "nodes: $verb $node $words"
	done <<-EOT
		$todo
	EOT
}

finished() {
	need_file "$list" || return 1
	node_facts || return 1
	set_nodes || return 1
	unnote nodes
	[ -n "$missing" ] || return 0
	note nodes "Not in the cluster yet, and so without role and labels:$missing" \
		"Power them on; they are given theirs some minutes after they have joined"
}
