# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: A server to join, or a cluster to start
# needs: preflight data restore
# bound: 600
#
# K3s starts a cluster of its own where it has no member of etcd and is told no server (k3s-io/k3s pkg/etcd/etcd.go,
# pkg/cluster/bootstrap.go), and a card that was made anew has none. So "the first time" is read from the world: until
# this node is a member, every other server is asked for its CA, which takes no credentials, and what it answers decides.
#
#   /etc/pibuild/servers   a line "NAME HOST" per server, then "- HOST" for what else leads to one
#   /etc/pibuild/birth     "yes" or "no": whether this card may start the cluster, as flash knows; without it nobody does
#
# K3s asks before each of its starts whether this was found (usr/lib/pibuild/may-start of servers).

patience=300 # seconds that a card of which nobody knows waits for another server
config=$root/etc/rancher/k3s/config.yaml
dropin=${config%/*}/config.yaml.d/10-pibuild-join.yaml

# decide MEMBER ANSWER PLACE BIRTH WAITED: prints what to do. All combinations stand in docs/life.md.
#   MEMBER  yes, no               this node was let in before, and has what it knew then
#   ANSWER  ours, foreign, none   who answers at the addresses of the other servers
#   PLACE   alone, first, other   the only server, the first of several, every other node
#   BIRTH   yes, no, unknown
#   WAITED  yes, no               for as long as the others get
decide() {
	case $1:$2:$3:$4:$5 in
	yes:*) printf 'keep\n' ;;
	no:ours:*) printf 'join\n' ;;
	no:foreign:*) printf 'refuse\n' ;;
	no:none:alone:* | no:none:first:yes:* | no:none:first:unknown:yes) printf 'start\n' ;;
	*) printf 'wait\n' ;;
	esac
}

# --- the facts

member() {
	if [ "$node_role" = control-plane ]; then
		# K3s puts the tombstone there when others removed this member, and moves it all away at its next start
		# (k3s-io/k3s pkg/executor/embed/etcd.go, pkg/etcd/etcd.go).
		[ -e "$rancher/server/db/etcd/member/wal" ] && [ ! -e "$rancher/server/db/etcd/tombstone" ]
	else
		[ -e "$stamps/join.done" ] && [ -s "$dropin" ]
	fi && printf 'yes\n' || printf 'no\n'
}

# A token begins with the digest of the CA: of the file as the server hands it out (docs.k3s.io, cli/token).
own_ca=$(sed -n 's/^token: *"\{0,1\}K10\([0-9a-f]*\)::.*/\1/p' "$config")

# ca_of HOST: sets `seen` to the digest of the CA that is served there
ca_of() {
	KUBECONFIG=/dev/null timeout 20 kubectl --server "https://$1:6443" --insecure-skip-tls-verify --token none \
		--request-timeout=10s get --raw /cacerts </dev/null >"$run/cacerts" 2>/dev/null && [ -s "$run/cacerts" ] || return 1
	seen=$(sha256sum <"$run/cacerts")
	seen=${seen%% *}
}

# ask_around: sets `answer`, and `host` and `host_name` to who gave it; one that is ours counts more than one that is not
ask_around() {
	answer=none host='' host_name=''
	while read -r server candidate; do
		[ "$server" != "$node_name" ] || continue
		ca_of "$candidate" || continue
		host=$candidate host_name=$server
		[ "$server" != - ] || host_name=$candidate # an address that servers share
		[ "$seen" != "$own_ca" ] || {
			answer=ours
			return
		}
		answer=foreign
	done <"$etc/servers"
}

place() {
	others=$(grep -vc -e '^- ' -e "^$node_name " "$etc/servers")
	if [ "$node_role" = control-plane ] && [ "$others" = 0 ]; then
		printf 'alone\n'
	elif [ "$node_first" = yes ]; then
		printf 'first\n'
	else
		printf 'other\n'
	fi
}

# Whoever was removed from the cluster knows that there is one.
birth() {
	birth=unknown
	[ ! -r "$etc/birth" ] || read -r birth <"$etc/birth"
	[ ! -e "$rancher/server/db/etcd/tombstone" ] || birth=no
	printf '%s\n' "$birth"
}

# In a network that is closed nobody comes.
waited() {
	{ network_closed || [ $((up - begin)) -ge "$patience" ]; } && printf 'yes\n' || printf 'no\n'
}

# --- what follows

# settle LINE: what K3s reads beside config.yaml, there whole or not at all. Without it K3s would start a cluster of its own.
settle() {
	said=$({
		mkdir -p "${dropin%/*}" && umask 077 &&
			printf '# Found by pibuild at %s; K3s reads it until this node is a member.\n%s\n' "$(date -u '+%Y-%m-%dT%H:%M:%SZ')" "$1" | keep "$dropin"
	} 2>&1) && return 0
	explain "The card cannot be written" <<-EOT
		$said
	EOT
	why "What K3s has to start with cannot be written: $cause" "$cure"
	return 1
}

# As the cluster's admin, by the server that answered. A server may: its token gives it the CA's keys.
ask_host() {
	KUBECONFIG=/dev/null ask --server "https://$host:6443" --certificate-authority "$etc/secrets/server-ca.crt" \
		--client-certificate "$etc/secrets/admin.crt" --client-key "$etc/secrets/admin.key" "$@"
}

# K3s lets no second member of a name in (pkg/etcd/etcd.go, "duplicate node name found"), and takes the member away with
# its Node (pkg/etcd/member_controller.go, a finalizer). Only one whose kubelet is not heard of any more is stale.
old_is_gone() {
	[ "$node_role" = control-plane ] || return 0
	answered ask_host get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' || {
		case $found in
		*NotFound*) return 0 ;;
		esac
		explain_text "$found"
		why "$host_name answers, and cannot tell about $node_name: $cause" \
			"Power on the other servers: etcd needs more than half of them; with one of two lost for good, on the other: sudo systemctl stop k3s && sudo k3s server --cluster-reset && sudo systemctl start k3s"
		return 1
	}
	[ "$found" = Unknown ] || {
		why "The cluster hears of a running $node_name: another machine has this name, or this one had until a minute ago" \
			"Power that machine off: a node has one card; else it passes within a minute"
		return 1
	}
	say "find-cluster: removing what the cluster knows of $node_name, and its member of etcd, by $host_name"
	answered ask_host delete node "$node_name" --timeout=50s && return 0
	explain_text "$found"
	why "The old $node_name cannot be removed: $cause" "It is tried again; else, on $host_name: sudo k3s kubectl delete node $node_name"
	return 1
}

# unresolved: 0, with why, when a name among the others leads nowhere
unresolved() {
	while read -r server candidate; do
		[ "$server" != "$node_name" ] || continue
		resolves "$candidate" && continue
		why "The name of a server, $candidate, cannot be resolved by /etc/hosts and name servers, all that K3s asks" \
			"Give the servers addresses in cluster.yaml, or as cluster.endpoint a name that your name server knows"
		return 0
	done <"$etc/servers"
	return 1
}

nobody_answers() {
	unresolved ||
		why "No server of the cluster answers at TCP 6443: $(sed -n "/^$node_name /d; s/^- //; s/ / at /; p" "$etc/servers" | paste -s -d , | sed 's/,/, /g')" \
			"Power one of them on, and see what its own report says; a firewall must let TCP 6443 through"
	[ "$node_first" = yes ] || return 0
	if [ "$(birth)" = unknown ]; then
		why "$cause; without an answer this card starts the cluster in $((patience - up + begin)) seconds" "$cure"
	else
		why "$cause; this card may not start the cluster, since an earlier one of $node_name may have" \
			"$cure; if the cluster never ran or is gone: pibuild flash --start-new-cluster --node $node_name DISK"
	fi
}

# unpacked: K3s unpacks itself at its first call (k3s-io/k3s cmd/k3s/main.go, extract), which takes a slow card longer than a
# server may take to answer; and what it cannot is no silence of others.
unpacked() {
	found=$(KUBECONFIG=/dev/null timeout 300 kubectl version --client </dev/null 2>&1) && return 0
	explain_text "$found"
	why "K3s cannot unpack itself below $rancher: $cause" "Look what fills the card: df -h / and du -xhd1 /var; one that is read-only is worn out, flash a new one"
	return 1
}

finished() {
	need_program kubectl && need_file "$config" "$etc/servers" || return 1
	uptime
	member=$(member)
	if [ "$member" = no ]; then
		unpacked || return 1
		ask_around
	fi
	uptime
	case $(decide "$member" "${answer:-none}" "$(place)" "$(birth)" "$(waited)") in
	keep) return 0 ;;
	start) settle 'cluster-init: true' ;;
	join)
		old_is_gone || return 1
		settle "server: \"https://$host:6443\""
		;;
	refuse)
		why "Another cluster answers at $host_name ($host): its CA is not that of this card" \
			"Power that machine off or flash its card, if it is an old one; else build all cards from one secrets.yaml"
		return 1
		;;
	*)
		nobody_answers
		return 1
		;;
	esac
}
