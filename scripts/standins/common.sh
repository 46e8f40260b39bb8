# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Part of each stand-in, put into it where it says so: flags, the state of the cluster that is not there, and the faults
# that a test asks for. What it says are the words of the real programs (kubectl 1.36, helm 3.22, cilium CLI 0.19.7).
#
# State, kept over reboots as a real datastore would be (STANDIN_STATE, else below the K3s data folder):
#   objects/<kind>/<namespace or _>/<name>   what was applied, as YAML; first line: "# born UPTIME"
#   values/<namespace>/<release>.v<N>        user-supplied values of a release, "path TAB value" per line, keys of a path joined by \001
#   calls                                    one line per call: uptime, program, arguments
#   faults/<program>-<command>               what goes wrong, one line each:
#       fail N         the next N calls fail; `fail always`
#       slow SECONDS   the call takes so long, before it does anything
#       stuck          helm, cilium: the call dies half-way and leaves its release pending, once
#       broken TEXT    helm, cilium: the release fails with that error, and its record says so
#   faults/<name>      what goes wrong as long as the file is there:
#       api            the API refuses connections
#       starting       the API answers and is not ready: /readyz lists what it waits for
#       crds           Cilium's operator has not registered its definitions yet
#       webhook        cert-manager's webhook does not answer
#       refuse, deny   the API (an admission policy) refuses objects of the kind that the file names
#       crashloop      Cilium's agent ends again and again
#       dead           the nodes that the file names are switched off
#       budget         a disruption budget keeps the pod NAMESPACE/NAME that the file names where it is
#       gateway        Cilium's operator found no definitions of the Gateway API at its start, until it is started anew
#       hook           the pod of Cilium's certgen hook waits, with the reason in the file
#       quorum         too few members of etcd answer
#       member         a member cannot be taken out of etcd
#       conditions     a line "KIND NAME TYPE STATUS MESSAGE" each: what a controller says instead of what it would

# Busybox has its own sed, awk and so on and starts no program for them: on an emulated machine a fifth of the time.
if [ -n "${STANDIN_SHELL:-}" ]; then
	unset STANDIN_SHELL
elif [ -z "${STANDIN_STATE:-}" ] && command -v busybox >/dev/null; then
	STANDIN_SHELL=busybox exec busybox sh "$0" "$@"
fi

# shellcheck disable=SC2034 # `ready` and others are for the programs
state=${STANDIN_STATE:-/var/lib/rancher/k3s/stand-in}
ready=${STANDIN_READY:-/run/k3s-stand-in.ready}
view=${STANDIN_VIEW:-/run/k3s-stand-in.view} # what a server knows of the others (members.sh)
read -r now _ <"${STANDIN_PROC:-/proc}/uptime"

newline='
'

# die TEXT: to standard error as it is; a backslash stays one, which echo does not promise.
die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# On a node what is written outlives a power cut; a test on some computer has none, and saves two processes a file.
[ -z "${STANDIN_STATE:-}" ] || sync() { :; }

# store FILE [LINE]: LINE and stdin, durable before the name appears
store() {
	[ -d "${1%/*}" ] || mkdir -p "${1%/*}"
	{
		[ -z "${2:-}" ] || echo "$2"
		cat
	} >"$1.tmp.$$"
	sync "$1.tmp.$$"
	mv "$1.tmp.$$" "$1"
	sync "${1%/*}"
}

# called PROGRAM ARG...: notes the call and does what the faults for it say.
called() {
	[ -d "$state" ] || mkdir -p "$state"
	# A question may be asked by a unit that can write nothing.
	{ echo "$now $*" >>"$state/calls"; } 2>/dev/null || return 0
	fault=$state/faults/$1-${2:-}
	[ -f "$fault" ] || return 0
	slow=$(sed -n 's/^slow //p' "$fault")
	fail=$(sed -n 's/^fail //p' "$fault")
	[ -z "$slow" ] || sleep "$slow"
	case $fail in
	'' | 0) return 0 ;;
	always) ;;
	*) sed "s/^fail .*/fail $((fail - 1))/" "$fault" | store "$fault" ;;
	esac
	die "$1 ${2:-}: fails because the test says so (stand-in)"
}

# fault NAME: as long as its file is there
fault() {
	[ -e "$state/faults/$1" ]
}

# fault_text NAME: sets `text` to the first line of its file, empty without one
fault_text() {
	text=''
	! fault "$1" || read -r text <"$state/faults/$1" || true
}

# stuck PROGRAM COMMAND: true once if the test wants the call to die half-way.
stuck() {
	grep -qx stuck "$state/faults/$1-$2" 2>/dev/null || return 1
	sed '/^stuck$/d' "$state/faults/$1-$2" | store "$state/faults/$1-$2"
}

# --- flags, as cobra and pflag read them (github.com/spf13/pflag flag.go)

# take_flags "FLAG..." ARG...: sets flag_NAME for each that is given, and `words` to what is left over. A flag is
# NAME (true or false), NAME= (a value), NAME+ (a value, may be given often), NAME@ (a duration) or LETTER:NAME.
# Its program defines usage_error TEXT.
take_flags() {
	known=" $1 " words=''
	shift
	while [ $# -gt 0 ]; do
		given=''
		case $1 in
		--*=*) flag=${1%%=*} flag=${flag#--} value=${1#*=} given=yes ;;
		--*) flag=${1#--} what="--$flag" ;;
		-?*)
			value=${1#-?} letter=${1#-} letter=${letter%"$value"} what="'$letter' in $1"
			case $known in
			*" $letter:"*) flag=${known#*" $letter:"} flag=${flag%% *} ;;
			*) usage_error "unknown shorthand flag: $what" ;;
			esac
			[ -z "$value" ] || given=yes value=${value#=}
			;;
		*)
			words="$words $1"
			shift
			continue
			;;
		esac
		case $known in
		*" $flag "*)
			[ -n "$given" ] || value=true
			case $value in
			true | false) ;;
			*) usage_error "invalid argument \"$value\" for \"--$flag\" flag: strconv.ParseBool: parsing \"$value\": invalid syntax" ;;
			esac
			;;
		*" $flag="* | *" $flag+"* | *" $flag@"*)
			if [ -z "$given" ]; then
				[ $# -gt 1 ] || usage_error "flag needs an argument: $what"
				value=$2
				shift
			fi
			;;
		*) usage_error "unknown flag: --$flag" ;;
		esac
		keep_flag "$flag" "$value"
		shift
	done
	words=${words# }
}

# keep_flag NAME VALUE
keep_flag() {
	variable=flag_$1
	while [ "$variable" != "${variable%%-*}" ]; do
		variable=${variable%%-*}_${variable#*-}
	done
	case $known in
	*" $1+ "*) eval "$variable=\"\${$variable:-} \$2\"" ;;
	*" $1@ "*)
		seconds "$2" || usage_error "invalid argument \"$2\" for \"--$1\" flag: time: invalid duration \"$2\""
		eval "$variable=\$seconds"
		;;
	*) eval "$variable=\$2" ;;
	esac
}

# find_verb ARG...: sets `verb` and `sub` to the first two words that are no flag of `global_flags` nor its value
find_verb() {
	verb='' sub=''
	while [ $# -gt 0 ]; do
		case $1 in
		--*=*) ;;
		--*)
			case " $global_flags " in
			*" ${1#--}= "*) [ $# -lt 2 ] || shift ;;
			esac
			;;
		-?)
			case " $global_flags " in
			*" ${1#-}:help "*) ;;
			*" ${1#-}:"*) [ $# -lt 2 ] || shift ;;
			esac
			;;
		-*) ;;
		*)
			[ -z "$verb" ] || { sub=$1 && return; }
			verb=$1
			;;
		esac
		shift
	done
}

# seconds DURATION: sets `seconds`, as Go reads one of whole hours, minutes and seconds
seconds() {
	rest=$1 seconds=0
	[ -n "$rest" ] || return 1
	while [ -n "$rest" ]; do
		number=${rest%%[hms]*} unit=${rest#"${rest%%[hms]*}"}
		case $number in
		'' | *[!0-9]*) return 1 ;;
		esac
		case $unit in
		h*) seconds=$((seconds + number * 3600)) ;;
		m*) seconds=$((seconds + number * 60)) ;;
		s*) seconds=$((seconds + number)) ;;
		*) [ "$rest" = 0 ] && return 0 || return 1 ;;
		esac
		rest=${unit#?}
	done
}

# --- objects

# One row a resource: ",names," then the name in objects/, plural and group, scope.
resources=",nodes,node,no,Node, node nodes Cluster
,namespaces,namespace,ns,Namespace, namespace namespaces Cluster
,pods,pod,po,Pod, pod pods Namespaced
,secrets,secret,Secret, secret secrets Namespaced
,configmaps,configmap,cm,ConfigMap, configmap configmaps Namespaced
,services,service,svc,Service, service services Namespaced
,leases,lease,Lease,leases.coordination.k8s.io,lease.coordination.k8s.io, lease leases.coordination.k8s.io Namespaced
,daemonsets,daemonset,ds,DaemonSet,daemonsets.apps,daemonset.apps, daemonset daemonsets.apps Namespaced
,deployments,deployment,deploy,Deployment,deployments.apps,deployment.apps, deployment deployments.apps Namespaced
,customresourcedefinitions,customresourcedefinition,crd,crds,CustomResourceDefinition, customresourcedefinition customresourcedefinitions.apiextensions.k8s.io Cluster
,validatingadmissionpolicies,validatingadmissionpolicy,ValidatingAdmissionPolicy, validatingadmissionpolicy validatingadmissionpolicies.admissionregistration.k8s.io Cluster
,validatingadmissionpolicybindings,validatingadmissionpolicybinding,ValidatingAdmissionPolicyBinding, validatingadmissionpolicybinding validatingadmissionpolicybindings.admissionregistration.k8s.io Cluster
,ciliumloadbalancerippools,ciliumloadbalancerippool,ippools,ippool,lbippool,lbippools,CiliumLoadBalancerIPPool, ciliumloadbalancerippool ciliumloadbalancerippools.cilium.io Cluster
,ciliuml2announcementpolicies,ciliuml2announcementpolicy,l2announcement,CiliumL2AnnouncementPolicy, ciliuml2announcementpolicy ciliuml2announcementpolicies.cilium.io Cluster
,ciliumnetworkpolicies,ciliumnetworkpolicy,cnp,ciliumnp,CiliumNetworkPolicy, ciliumnetworkpolicy ciliumnetworkpolicies.cilium.io Namespaced
,ciliumbgpclusterconfigs,ciliumbgpclusterconfig,cbgpcluster,CiliumBGPClusterConfig, ciliumbgpclusterconfig ciliumbgpclusterconfigs.cilium.io Cluster
,ciliumbgppeerconfigs,ciliumbgppeerconfig,cbgppeer,CiliumBGPPeerConfig, ciliumbgppeerconfig ciliumbgppeerconfigs.cilium.io Cluster
,ciliumbgpadvertisements,ciliumbgpadvertisement,cbgpadvert,CiliumBGPAdvertisement, ciliumbgpadvertisement ciliumbgpadvertisements.cilium.io Cluster
,ciliumbgpnodeconfigs,ciliumbgpnodeconfig,cbgpnode,CiliumBGPNodeConfig, ciliumbgpnodeconfig ciliumbgpnodeconfigs.cilium.io Cluster
,ciliumclusterwidenetworkpolicies,ciliumclusterwidenetworkpolicy,ccnp,CiliumClusterwideNetworkPolicy, ciliumclusterwidenetworkpolicy ciliumclusterwidenetworkpolicies.cilium.io Cluster
,httproutes,httproute,HTTPRoute, httproute httproutes.gateway.networking.k8s.io Namespaced
,gatewayclasses,gatewayclass,gc,GatewayClass, gatewayclass gatewayclasses.gateway.networking.k8s.io Cluster
,gateways,gateway,gtw,Gateway, gateway gateways.gateway.networking.k8s.io Namespaced
,clusterissuers,clusterissuer,ciss,ClusterIssuer, clusterissuer clusterissuers.cert-manager.io Cluster
,issuers,issuer,iss,Issuer, issuer issuers.cert-manager.io Namespaced
,certificates,certificate,cert,certs,Certificate, certificate certificates.cert-manager.io Namespaced
,gitrepositories,gitrepository,gitrepo,GitRepository, gitrepository gitrepositories.source.toolkit.fluxcd.io Namespaced
,kustomizations,kustomization,ks,Kustomization, kustomization kustomizations.kustomize.toolkit.fluxcd.io Namespaced
"

# resource NAME: sets `stored`, `plural` (with its group) and `scope`; 1 when the API does not serve it. Plural, singular,
# short name or kind, with or without the group.
resource() {
	row=${resources#*,"$1",}
	[ "$row" != "$resources" ] || row=${resources#*,"${1%%.*}",}
	[ "$row" != "$resources" ] || { defined "$1"; return; }
	row=${row%%"$newline"*}
	row=${row##*, } row=${row# }
	stored=${row%% *} row=${row#* }
	plural=${row% *} scope=${row#* }
	case $plural in
	*.cilium.io) ! fault crds && [ -e "$state/objects/customresourcedefinition/_/$plural" ] ;;
	*.apps | *.apiextensions.k8s.io | *.admissionregistration.k8s.io | *.coordination.k8s.io) ;;
	*.*) [ -e "$state/objects/customresourcedefinition/_/$plural" ] ;;
	esac
}

# defined NAME: the same of a resource that somebody defined
defined() {
	for definition in "$state"/objects/customresourcedefinition/_/*; do
		[ -e "$definition" ] || return 1
		plural=${definition##*/}
		read -r defines scope <<-EOT
			$(awk '$1 == "kind:" && $2 != "" { kind = $2 } $1 == "scope:" { scope = $2 } END { print kind, scope ? scope : "Namespaced" }' "$definition")
		EOT
		case $1 in
		"$defines" | "${plural%%.*}" | "$plural") stored=${plural%%.*} && return ;;
		esac
	done
	return 1
}

# put STORED NAMESPACE NAME: stdin becomes that object. One that was there keeps the time of its birth.
put() {
	file=$state/objects/$1/${2:-_}/$3 born="# born ${now%.*}"
	[ ! -e "$file" ] || read -r born <"$file"
	case $born in
	'# born '*) ;;
	*) born='# born 0' ;;
	esac
	store "$file" "$born"
	[ -z "$manifest" ] || echo "$file" >>"$manifest"
}
manifest=''

# begin_manifest: from here on `put` notes what it makes; a file, for it is the end of pipes
begin_manifest() {
	manifest=$state/manifest.$$
	: >"$manifest"
}

# keep_manifest NAMESPACE RELEASE: that is what helm's record of the release lists
keep_manifest() {
	# shellcheck disable=SC2046 # paths without blanks
	awk 'FNR == 1 { print "---\n# Source: stand-in" } !/^# born /' $(cat "$manifest") | store "$state/values/$1/$2.manifest"
	rm "$manifest"
	manifest=''
}

# settled FILE: controllers have had a second for it. A time after now is of an earlier boot.
settled() {
	read -r born <"$1" || return 1
	case $born in
	'# born '*) [ "$((${now%.*} - ${born#\# born }))" -ne 0 ] ;;
	esac
}

# crd GROUP KIND PLURAL VERSION...: as an operator or a chart registers it
crd() {
	group=$1 kind=$2 plural=$3
	shift 3
	{
		printf 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: %s.%s\n' "$plural" "$group"
		printf 'spec:\n  group: %s\n  names:\n    kind: %s\n    plural: %s\n  versions:\n' "$group" "$kind" "$plural"
		printf '  - name: %s\n' "$@"
	} | put customresourcedefinition '' "$plural.$group"
}

# workload STORED NAMESPACE NAME [REPLICAS]
workload() {
	printf 'apiVersion: apps/v1\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\n  labels:\n    app.kubernetes.io/instance: %s\nspec:\n  replicas: %s\n' \
		"$1" "$3" "$2" "${2#kube-system}" "${4:-1}" | put "$1" "$2" "$3"
}

# cilium_pod APP NAME NODE: one of Cilium's, as its DaemonSet or Deployment has it
cilium_pod() {
	printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: kube-system\n  labels:\n    k8s-app: %s\n    app.kubernetes.io/part-of: cilium\n    name: %s\nspec:\n  nodeName: %s\n' "$2" "$1" "$1" "$3" |
		put pod kube-system "$2"
}

# --- what the controllers of a real cluster would make of it

# unheard NODE: nothing was heard of it for as long as makes it Unknown
unheard() {
	[ -e "$view/heard/$1" ] || return 1
	read -r last <"$view/heard/$1" || return 1
	[ $((${now%.*} - last)) -ge 50 ]
}

# look_at_nodes: sets `nodes`, `alive` (names), `servers` (how many are alive)
look_at_nodes() {
	nodes=' ' alive=' ' servers=0
	fault_text dead
	for file in "$state"/objects/node/_/*; do
		name=${file##*/}
		case $name in
		*.tmp.* | '*') continue ;;
		esac
		nodes="$nodes$name "
		case " $text " in
		*" $name "*) continue ;;
		esac
		! unheard "$name" || continue
		alive="$alive$name "
		while read -r line; do
			case $line in
			node-role.kubernetes.io/control-plane:*) servers=$((servers + 1)) ;;
			esac
		done <"$file"
	done
}

# count_pods STORED FILE: sets `desired` and `running` of a workload; look_at_nodes was before
count_pods() {
	# shellcheck disable=SC2086 # names
	case $1 in
	daemonset)
		set -- "$1" "$2" $nodes
		desired=$(($# - 2))
		set -- "$1" "$2" $alive
		running=$(($# - 2))
		case ${2##*/} in
		cilium) ! fault crashloop || running=0 ;;
		esac
		;;
	*)
		desired=1 running=0
		while read -r key value; do
			[ "$key" != replicas: ] || desired=$value
		done <"$2"
		running=$servers # of more than one replica no two are on one node, and they are the operator's
		[ "$running" -le "$desired" ] || running=$desired
		;;
	esac
	settled "$2" || running=0
}

# agent_runs: Cilium's DaemonSet is there and has had its time
agent_runs() {
	[ -e "$state/objects/daemonset/kube-system/cilium" ] && settled "$state/objects/daemonset/kube-system/cilium" && ! fault crashloop
}

# Where a kubeconfig leads to a machine by HTTP, its stand-in of k3s does the work: commands change no file of the
# caller, as the real ones do not.

# balanced: an agent's servers, by its load balancer's file
balancer=/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json
balanced() {
	[ ! -e "$balancer" ] || sed 's/.*\[//; s/[],"}]/ /g' "$balancer"
}

# call_server HOST:PORT: stdin is the body (what is wanted, who asks, arguments); output and exit status are the answer's.
# On an agent 127.0.0.1:6444 is the first of its servers that answers.
call_server() {
	body=$(cat) targets=$1
	[ "$1" != 127.0.0.1:6444 ] || targets=$(balanced)
	for target in $targets; do
		answer=$(busybox wget -q -T "${patience:-900}" -O - --post-data="$body" "http://$target/cgi-bin/k3s" 2>/dev/null) || continue
		printf '%s\n' "$answer" | sed 1d
		return "$(printf '%s\n' "$answer" | sed -n '1s/^exit //p')"
	done
	unreachable
}

# read_kubeconfig: sets `server` (host and port) and `token`; without a file clients take localhost:8080
# (client-go tools/clientcmd/client_config.go)
read_kubeconfig() {
	server=localhost:8080 token='' scheme=''
	[ -r "${KUBECONFIG:-/nonexistent}" ] || return 0
	while read -r key value; do
		case $key in
		server:) scheme=${value%%://*} server=${value#*://} ;;
		token:) token=$value ;;
		esac
	done <"$KUBECONFIG"
}

# refused PATH: the error that Go's client has for it
refused() {
	printf 'Get "https://%s%s": dial tcp %s: connect: connection refused' "$server" "$1" "$server"
}

# forward PROGRAM ARG...
forward() {
	[ -z "${STANDIN_LOCAL:-}" ] && [ "$scheme" = http ] || return 0
	status=0
	{
		printf '%s\n%s\n' "$1" "$token"
		shift
		printf '%s\n' "$@"
	} | call_server "$server" || status=$?
	exit "$status"
}

# no_quorum: too few members of etcd answer
no_quorum() {
	fault quorum || [ -e "$view/lost" ]
}

api_up() {
	[ -e "$ready" ] && ! fault api && [ -n "$token" ]
}

# need_api PROGRAM ARG...: the API answers once K3s said so, to those who have the kubeconfig. Else its program's `unreachable`.
need_api() {
	read_kubeconfig
	forward "$@"
	api_up || unreachable
}

# Releases, as helm keeps them: a secret per revision, its status in a label.

# release_files NAMESPACE NAME
release_files() {
	for file in "$state/objects/secret/$1/sh.helm.release.v1.$2.v"*; do
		case $file in
		*.tmp.*) ;;
		*) [ ! -e "$file" ] || echo "${file##*.v} $file" ;;
		esac
	done | sort -n | cut -d ' ' -f 2
}

# release_status FILE
release_status() {
	sed -n 's/^    status: //p' "$1"
}

# set_release NAMESPACE NAME REVISION STATUS
set_release() {
	printf 'apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata:\n  name: sh.helm.release.v1.%s.v%s\n  namespace: %s\n  labels:\n    name: %s\n    owner: helm\n    status: %s\n    version: "%s"\n' \
		"$2" "$3" "$1" "$2" "$4" "$3" | put secret "$1" "sh.helm.release.v1.$2.v$3"
}

# last_release NAMESPACE NAME: sets `last` (file or nothing), `was` (its status) and `revision` (the next)
last_release() {
	last=$(release_files "$1" "$2" | tail -n 1)
	was='' revision=1
	[ -n "$last" ] || return 0
	was=$(release_status "$last") revision=$((${last##*.v} + 1))
}

# begin_release PROGRAM COMMAND NAMESPACE NAME, after last_release: sets `doing`.
begin_release() {
	doing=pending-install
	[ "$was" != deployed ] || doing=pending-upgrade
	set_release "$3" "$4" "$revision" "$doing"
	if stuck "$1" "$2"; then
		kill -KILL $$
	fi
}

# end_release NAMESPACE NAME
end_release() {
	if [ "$doing" = pending-upgrade ]; then
		set_release "$1" "$2" "$((revision - 1))" superseded
	fi
	set_release "$1" "$2" "$revision" deployed
}

# broken PROGRAM COMMAND: sets `text` to the error that the test wants of the release
broken() {
	text=$(sed -n 's/^broken //p' "$state/faults/$1-$2" 2>/dev/null) && [ -n "$text" ]
}

# --- YAML in block style, which is what pibuild and helm write: flow style is refused, but for {} and [].

# For awk: yaml(LINE) takes a document line by line. at[1..paths] are its paths in order, keys joined by S;
# value[PATH] of scalars, quoted[PATH], size[PATH] of lists and maps, kind_of[PATH] map, list or scalar.
# shellcheck disable=SC2016 # for awk
yaml_awk='
	function yaml_begin(base) { top = 0; level[0] = -1; path[0] = base; kept = "" }
	function yaml_join(parent, key) { return parent == "" ? key : parent S key }
	function yaml_child(parent, key,    child) {
		child = yaml_join(parent, key)
		if (!(child in seen)) { seen[child] = 1; at[++paths] = child; size[parent]++ }
		return child
	}
	function yaml_scalar(where, text,    mark) {
		mark = substr(text, 1, 1)
		kind_of[where] = "scalar"
		quoted[where] = mark == "\"" || mark == "\047"
		if (quoted[where]) {
			match(text, mark == "\"" ? "^\"([^\"\\\\]|\\\\.)*\"" : "^\047([^\047]|\047\047)*\047")
			text = substr(text, 2, RLENGTH - 2)
			if (mark == "\"") { gsub(/\\"/, "\"", text); gsub(/\\n/, "\n", text); gsub(/\\\\/, "\\", text) }
			else gsub(/\047\047/, "\047", text)
		} else {
			sub(/ +#.*$/, "", text)
			sub(/ +$/, "", text)
			if (text == "{}" || text == "[]") { kind_of[where] = text == "{}" ? "map" : "list"; size[where] += 0; return }
			if (text ~ /^[{[]/) { print "stand-in: YAML in flow style: " text > "/dev/stderr"; exit 3 }
		}
		value[where] = text
	}
	function yaml_key(text) {
		if (text ~ /^"/) return match(text, /^"([^"\\]|\\.)*" *:( |$)/) ? RLENGTH : 0
		if (text ~ /^\047/) return match(text, /^\047[^\047]*\047 *:( |$)/) ? RLENGTH : 0
		return match(text, /:( |$)/) ? RSTART + RLENGTH - 1 : 0
	}
	function yaml(line,    indent, rest, where, key, length_of_key) {
		if (kept != "") {
			match(line, /^ */)
			if (line !~ /[^ ]/ || RLENGTH > kept_level) {
				if (kept_in < 0 && line ~ /[^ ]/) kept_in = RLENGTH
				value[kept] = value[kept] (line ~ /[^ ]/ ? substr(line, kept_in + 1) : "") "\n"
				return
			}
			kept = ""
		}
		if (line ~ /^ *(#|$)/) return
		if (line ~ /^ *\t/) { yaml_fault = "found character that cannot start any token"; return }
		match(line, /^ */)
		indent = RLENGTH
		rest = substr(line, indent + 1)
		while (rest ~ /^-( |$)/) {
			while (top > 0 && (level[top] > indent || (level[top] == indent && item[top]))) top--
			kind_of[path[top]] = "list"
			where = yaml_child(path[top], size[path[top]] + 0)
			level[++top] = indent; path[top] = where; item[top] = 1
			match(rest, /^- */)
			indent += RLENGTH
			rest = substr(rest, RLENGTH + 1)
			if (rest == "") return
		}
		if (!(length_of_key = yaml_key(rest))) {
			if (top > 0 && item[top]) yaml_scalar(path[top], rest)
			else yaml_fault = "could not find expected \047:\047"
			return
		}
		key = substr(rest, 1, length_of_key)
		rest = substr(rest, length_of_key + 1)
		sub(/: ?$/, "", key)
		gsub(/^["\047]|["\047]$/, "", key)
		sub(/^ +/, "", rest)
		while (top > 0 && level[top] >= indent) top--
		kind_of[path[top]] = "map"
		where = yaml_child(path[top], key)
		level[++top] = indent; path[top] = where; item[top] = 0
		if (rest ~ /^[|>][-+]?$/) { kept = where; kept_level = indent; kept_in = -1; kind_of[where] = "scalar"; quoted[where] = 1; value[where] = "" }
		else if (rest != "" && rest !~ /^#/) yaml_scalar(where, rest)
	}
	BEGIN { S = "\001" }'

# flat FILE...: "path TAB value" per scalar and empty list or map of values files, a later one over an earlier as helm
# merges them (helm pkg/chartutil/coalesce.go): maps key by key, everything else as a whole. FILE may be such a list, .v*.
flat() {
	awk "$yaml_awk"'
		function replace(where, text,    i, kept_count) {
			for (i = 1; i <= count; i++)
				if (!(name[i] == where || index(name[i], where S) == 1 || index(where, name[i] S) == 1)) { name[++kept_count] = name[i]; held[kept_count] = held[i] }
			count = kept_count + 0
		}
		function forget() { split("", seen); split("", at); split("", size); split("", value); split("", kind_of); paths = 0; yaml_begin("") }
		# the outermost list it is in, else itself
		function whole(where,    n, parts, i, prefix) {
			n = split(where, parts, S)
			for (i = 1; i < n; i++) { prefix = yaml_join(prefix, parts[i]); if (kind_of[prefix] == "list") return prefix }
			return where
		}
		function take(    i, w, old) {
			old = count
			for (i = 1; i <= paths; i++) {
				if (kind_of[at[i]] != "scalar" && size[at[i]] > 0) continue
				w = whole(at[i])
				if (!((FILENAME, w) in done)) { done[FILENAME, w] = 1; replace(w) }
				if (kind_of[at[i]] == "scalar" && !quoted[at[i]] && (value[at[i]] == "null" || value[at[i]] == "~")) continue
				name[++count] = at[i]
				held[count] = kind_of[at[i]] == "scalar" ? value[at[i]] : (kind_of[at[i]] == "list" ? "[]" : "{}")
			}
		}
		FNR == 1 { if (file != "" && file !~ /\.v[0-9]+$/) take(); forget(); file = FILENAME }
		file ~ /\.v[0-9]+$/ { tab = index($0, "\t"); name[++count] = substr($0, 1, tab - 1); held[count] = substr($0, tab + 1); next }
		{ yaml($0) }
		END {
			if (file !~ /\.v[0-9]+$/) take()
			for (i = 1; i <= count; i++) { gsub(/\n/, "\\n", held[i]); print name[i] "\t" held[i] }
		}' "$@"
}

# check_values FILE
check_values() {
	[ -r "$1" ] || die "${2:-Error: }open $1: no such file or directory"
	! grep -q "$(printf '^ *\t')" "$1" || die "${2:-Error: }failed to parse $1: error converting YAML to JSON: yaml: line $(grep -n "$(printf '^ *\t')" "$1" | head -n 1 | cut -d : -f 1): found a tab character that violates indentation"
	case $(sed -e '/^ *#/d' -e '/^ *$/d' "$1" | head -c 1) in
	-) die "${2:-Error: }failed to parse $1: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}" ;;
	esac
}
