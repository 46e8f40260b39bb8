# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the first-boot programs share: places, the table of steps, the state of a step, causes and cures in words.
#
#   /etc/pibuild/node          "key value" per line: what this node is (made by pibuild)
#   /etc/pibuild/steps         the steps of this node in order: name, what it needs, bound in seconds, title
#   /run/pibuild/steps/NAME    state of a step, a field per line, replaced by a rename:
#       state     pending, waiting, running, done or failed
#       attempts  how often its command was run in this boot
#       since     uptime in seconds when state or cause last changed
#       cause, cure   for people: one line of ASCII each
#   /run/pibuild/notes/NAME    findings that stop nothing: cause, cure
#   /run/pibuild/apps/NAME     of the first server with apps, how far each is: state, cause, cure
#   /run/pibuild/backup        of a server that makes backups, the last one: seconds since 1970, name
#   /var/lib/pibuild/NAME.done digest of what the step was done with
#
# PIBUILD_ROOT and PIBUILD_PROC are for tests; on a card they are never set.

root=${PIBUILD_ROOT:-}
proc=${PIBUILD_PROC:-/proc}
# shellcheck disable=SC2034 # some are for the programs that read this file
{
	etc=$root/etc/pibuild
	run=$root/run/pibuild
	stamps=$root/var/lib/pibuild
	lib=$root/usr/lib/pibuild
	charts=$root/usr/share/pibuild/charts
	rancher=$root/var/lib/rancher/k3s
}

# Text that is not constant goes through printf: dash's echo makes a new line of a backslash and an n.
say() {
	printf 'pibuild: %s\n' "$*"
}

# uptime: sets `up`, whole seconds. Not the clock: that jumps when the time of day becomes known.
uptime() {
	read -r up _ <"$proc/uptime"
	up=${up%%.*}
}

# line TEXT: sets `text` to one line of printable ASCII, as reports and JSON want it.
line() {
	text=$1
	case $text in
	*[!\ -~]*) text=$(printf '%s' "$text" | tr -s '\000-\040\177-\377' ' ') ;;
	esac
	[ ${#text} -le 300 ] || text=$(printf '%.300s' "$text")
}

# often N: in words
often() {
	[ "$1" = 1 ] && printf 'once\n' || printf '%s times\n' "$1"
}

# publish FILE TEXT: complete from the moment it has the name
publish() {
	printf '%s\n' "$2" >"$1.new.$$" && mv "$1.new.$$" "$1"
}

# keep FILE: stdin, on the card whole from the moment it has that name; else FILE stays as it is, and standard error says
# why. By cat: what dash's printf cannot write it calls an I/O error.
keep() {
	cat >"$1.new" && sync "$1.new" && mv "$1.new" "$1" && sync "${1%/*}" && return
	rm -f "$1.new"
	return 1
}

# note_taken PATH DIGEST: a line of /var/lib/pibuild/taken, see usr/lib/pibuild/apply
note_taken() (
	umask 077
	{
		[ ! -e "$stamps/taken" ] || awk -F '\t' -v path="$1" '$2 != path' "$stamps/taken"
		printf '%s\t%s\n' "${2%% *}" "$1"
	} | keep "$stamps/taken"
)

# shred_staged FILE: a secret that the cluster holds now. Its digest stays, so that `pibuild apply` sees whether another one
# is wanted. Overwritten first; a card may keep old blocks all the same.
shred_staged() {
	[ -e "$1" ] || return 0
	note_taken "${1#"$root"}" "$(sha256sum <"$1")"
	if shred --iterations=1 --zero --remove=unlink "$1" && sync "${1%/*}"; then
		say "removed $1, which the cluster holds now"
	else
		say "$1, which the cluster holds now, cannot be removed"
	fi
}

# What this node is; empty where the card does not say.
node_name='' node_role='' node_first='' node_interface='' node_address='' node_address6='' node_envoy='' node_signs='' node_airgap=''
node_mtu='' node_ntp='' node_registries='' node_mirrors='' node_pools='' node_issuers='' node_certificates='' node_members='' node_report='' node_podcidr='' node_servicecidr='' node_free=''
# shellcheck disable=SC2034 # for the programs that read this file
while read -r key value; do
	case $key in
	node) node_name=$value ;;
	role) node_role=$value ;;
	first) node_first=$value ;;
	interface) node_interface=$value ;;
	mtu) node_mtu=$value ;; # network.mtu of cluster.yaml; empty where it says nothing
	ntp) node_ntp=$value ;; # its time servers
	address) node_address=$value ;; # static; empty with DHCP
	address6) node_address6=$value ;; # static, beside it; empty without IPv6
	envoy) node_envoy=$value ;;
	signs) node_signs=$value ;; # packets for the router: loadBalancer.announce.bgp.password of cluster.yaml
	airgap) node_airgap=$value ;;
	registries) node_registries=$value ;; # where images come from: HOST[:PORT], or several that will do, with commas
	mirrors) node_mirrors=$value ;;       # cluster.yaml says so itself
	pools) node_pools=$value ;;
	podcidr) node_podcidr=$value ;;
	servicecidr) node_servicecidr=$value ;;
	free) node_free=$value ;; # networks that would do instead of these, by cluster.yaml
	issuers) node_issuers=$value ;;
	certificates) node_certificates=$value ;;
	members) node_members=$value ;;
	report) node_report=$value ;; # files on the boot partition in the order of writing, each json|text:SIZE:NAME
	esac
done <"$etc/node"

# The unit of K3s that runs here.
node_unit=k3s-agent
[ "$node_role" != control-plane ] || node_unit=k3s

# resolves HOST: sets `found_at` to its address, found as K3s finds it: in /etc/hosts and by name servers. The C library
# here may ask mDNS too.
resolves() {
	found_at=$(timeout 10 getent -s 'hosts:files dns' ahostsv4 "$1") && found_at=${found_at%% *}
}

# step_row NAME: sets `needs` and `bound`
step_row() {
	# shellcheck disable=SC2034 # for the driver
	while read -r row needs bound _; do
		[ "$row" != "$1" ] || return 0
	done <"$etc/steps"
	return 1
}

is_done() {
	[ -r "$run/steps/$1" ] && read -r _ found <"$run/steps/$1" && [ "$found" = "done" ]
}

# Nothing beyond this machine can be reached, and that is meant: `pibuild boot` and tests say so.
network_closed() {
	grep -qw 'pibuild.network=closed' "$proc/cmdline"
}

# why CAUSE [CURE]: what a check says before it returns not-yet. hopeless CAUSE [CURE]: no amount of time helps.
cause='' cure='' sure=''
why() {
	cause=$1 cure=${2:-} sure=''
}

# shellcheck disable=SC2034 # for the driver
hopeless() {
	cause=$1 cure=${2:-} sure=yes
}

# explain FALLBACK < LOG: sets cause, cure and sure from the table `causes`, by the last 40 lines of the log. A line
# belongs to the first row that matches it; of several lines the one counts that is certain, then the one whose row
# comes first. Without any, the last line that speaks of an error, else the last one, else FALLBACK.
explain() {
	meaning=$(tail -n 40 | LC_ALL=C awk -F '\t' -v fallback="$1" -v unit="$node_unit" -f "$lib/explain.awk" "$lib/causes" -)
	certain='' remedy='' said=''
	{ read -r certain && read -r remedy && read -r said; } <<-EOT
		$meaning
	EOT
	line "$said"
	why "$text" "$remedy"
	# shellcheck disable=SC2034 # for the driver
	[ "$certain" != now ] || sure=yes
}

# explain_text TEXT: the same for the answer of a question to the API. No pipe: the variables have to stay.
explain_text() {
	explain "The API does not answer" <<-EOT
		$1
	EOT
}

# note NAME CAUSE [CURE]; unnote NAME
note() {
	line "${3:-}"
	remedy=$text
	line "$2"
	publish "$run/notes/$1" "cause $text
cure $remedy"
}

unnote() {
	[ ! -e "$run/notes/$1" ] || rm "$run/notes/$1"
}

# need_file FILE...: all are on the card and not empty
need_file() {
	for file in "$@"; do
		[ -s "$file" ] || {
			hopeless "$file is missing on this card or empty" "Build and flash this node's card again"
			return 1
		}
	done
}

# need_program NAME...
need_program() {
	for file in "$@"; do
		command -v "$file" >/dev/null || {
			hopeless "The program $file is missing on this card" "Build and flash this node's card again"
			return 1
		}
	done
}

# Too little voltage makes cards and USB fail in ways that look like anything else. Noted once.
check_power() {
	[ ! -e "$run/notes/undervoltage" ] || return 0
	for alarm in "${PIBUILD_SYS:-/sys}"/class/hwmon/hwmon*/in0_lcrit_alarm; do
		[ -r "$alarm" ] || continue
		read -r sensor <"${alarm%/*}/name"
		read -r low <"$alarm"
		[ "$sensor:$low" != rpi_volt:1 ] ||
			note undervoltage "The power supply gives too little voltage" "Use the supply made for this board, and a short cable"
	done
}

# From 80 degrees on the firmware takes the processor's clock down (raspberrypi/documentation, frequency-management.adoc).
# The firmware's own word for it, get_throttled, is a file that the kernel warns of, or needs vcgencmd. Noted once.
check_heat() {
	[ ! -e "$run/notes/heat" ] || return 0
	for zone in "${PIBUILD_SYS:-/sys}"/class/thermal/thermal_zone*/temp; do
		[ -r "$zone" ] || continue
		read -r heat <"$zone"
		[ "${heat:-0}" -lt 80000 ] ||
			note heat "The processor reached $((heat / 1000)) degrees Celsius and is slowed down" "Give it air or a fan, and look at pibuild-status after a restart"
	done
}

# k3s_runs UNIT: K3s has told systemd that it is ready; else says what it complains about
k3s_runs() {
	found=$(systemctl show -p ActiveState --value "$1.service") restarts=$(systemctl show -p NRestarts --value "$1.service")
	[ "$found" != active ] || return 0
	explain "K3s ends again and again" <<-EOT
		$(journalctl -b -o cat -n 100 -u "$1.service" | grep -iE 'fatal|error|fail|rejected|mismatch|match|removed from the cluster' | tail -n 20)
	EOT
	# A line or two of complaint belongs to every start.
	[ -n "$sure" ] || [ "${restarts:-0}" -ge 2 ] ||
		why "K3s is starting" "The first start takes minutes; what it does: journalctl -fu $1"
	cure=${cure:-"journalctl -u $1 shows all"}
	return 1
}

# --- the cluster, as the first server sees it

# ask ARG...: kubectl, never for long
ask() {
	timeout 60 kubectl --request-timeout=30s "$@"
}

# answered COMMAND ARG...: sets `found` to what it answers, or to why it does not. One that answers may complain all the
# same, on standard error (warnings of the API, a group whose server is not up yet: client-go discovery, k8s.io/kubectl):
# that is no part of the answer.
answered() {
	found=$("$@" 2>"$run/answered.$$") && said='' || said=$?
	[ -z "$said" ] || found=$(printf '%s\n' "$found" && cat "$run/answered.$$")
	rm -f "$run/answered.$$"
	return "${said:-0}"
}

# asked ARG...: the same of kubectl
asked() {
	answered ask "$@"
}

apply_files() {
	for file in "$@"; do
		timeout 300 kubectl apply --server-side --force-conflicts --request-timeout=120s -f "$file" || return
	done
}

# established CRD CRD...: the API serves these definitions, two or more; 1 when not yet or when it does not answer, 2 when
# one is not there. One question: every kubectl takes a Pi a second.
established() {
	asked get crd "$@" -o 'jsonpath={range .items[*]}{"|"}{.metadata.name}={.status.conditions[?(@.type=="Established")].status}{end}' || {
		explain_text "$found"
		case $found in
		*NotFound*) ;;
		*) return 1 ;;
		esac
		found=${found#*customresourcedefinitions.apiextensions.k8s.io \"}
		why "The API does not know ${found%%\"*} yet" "It is waited for; the step before this one brings it"
		return 2
	}
	for crd in "$@"; do
		case $found in
		*"|$crd=True"*) continue ;;
		esac
		why "The API does not serve $crd yet" "It passes by itself; else: kubectl describe crd $crd"
		return 1
	done
}

# unstick NAMESPACE RELEASE: a power cut in the middle of helm leaves a record that says "pending" for ever, and helm
# then refuses to go on. Only this step writes that release, and it holds its lock: nobody else is at work on it.
unstick() {
	ask -n "$1" get secret -l "owner=helm,name=$2" \
		-o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.metadata.labels.status}{"\n"}{end}' | while read -r record status; do
		case $status in
		pending-*)
			say "$2: removing $record, left in state $status by an interruption"
			ask -n "$1" delete secret "$record" || return
			;;
		esac
	done
}

# has_release NAMESPACE RELEASE: 1 when there is none, 2 when the API does not answer, whose words are said then
has_release() {
	asked -n "$1" get secret -l "owner=helm,name=$2" -o name || {
		printf '%s\n' "$found"
		return 2
	}
	[ -n "$found" ]
}

# deployed NAMESPACE RELEASE: helm's record says so; 1 when the API does not answer, 2 when there is no such record
deployed() {
	asked -n "$1" get secret -l "owner=helm,name=$2,status=deployed" -o name || {
		explain_text "$found"
		return 1
	}
	[ -n "$found" ] || return 2
}

# whole -f FILE...: every object of these manifests is there; 1 when the API does not answer, 2 with one that is not
whole() {
	asked get -o name "$@" && return 0
	explain_text "$found"
	case $found in
	*NotFound*) ;;
	*) return 1 ;;
	esac
	found=${found#*"(NotFound): "}
	why "${found%%" not found"*} is gone from the cluster"
	return 2
}

# whole_release NAMESPACE RELEASE: the same for what helm's record of it lists, but for Jobs, which a cluster removes when
# they are old. Not looked at when the command was run just now: it has made what it makes.
whole_release() {
	[ "${attempts:-0}" = 0 ] || return 0
	answered timeout 60 helm get manifest "$2" --namespace "$1" || {
		explain_text "$found"
		return 1
	}
	publish "$run/objects.$2" "$(printf '%s\n' "$found" | LC_ALL=C awk -v given="$1" '
		function tell() {
			if (name != "" && kind != "Job")
				printf "---\napiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\n", api, kind, name, space != "" ? space : given
			api = kind = name = space = ""
			depth = 0
		}
		/^---/ { tell(); next }
		/^[^ #]/ { inside = /^metadata:/ }
		/^apiVersion: / { api = $2 }
		/^kind: / { kind = $2 }
		inside && match($0, /^ +[^ #]/) {
			if (!depth) depth = RLENGTH
			if (RLENGTH == depth && $1 == "name:") name = $2
			if (RLENGTH == depth && $1 == "namespace:") space = $2
		}
		END { tell() }')"
	whole -f "$run/objects.$2"
}

# certificates: a note of the first one that cluster.yaml asks for and that is not issued, with what holds it up: the
# challenge knows best (.status.reason), then the last attempt. 1, with the same as cause and cure, as long as there is
# one, or the API does not answer.
certificates() {
	for certificate in $node_certificates; do
		asked -n kube-system get certificates.cert-manager.io "$certificate" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}|{.status.conditions[?(@.type=="Issuing")].message}|{.status.conditions[?(@.type=="Ready")].message}' || {
			explain_text "$found"
			return 1
		}
		case $found in
		"True|"*) continue ;;
		esac
		reason=$(ask -n kube-system get challenges.acme.cert-manager.io -o 'jsonpath={range .items[*]}{.spec.dnsName}|{.status.reason}{"\n"}{end}' 2>/dev/null |
			awk -F '|' -v zone="${certificate#wildcard-}" '$1 == zone && $2 != "" { print substr($0, length($1) + 2); exit }')
		found=${found#*|}
		reason=${reason:-${found%%|*}}
		reason=${reason:-${found#*|}}
		why "The certificate $certificate is not issued yet${reason:+: $reason}" \
			"It takes minutes; if it stays so: kubectl -n kube-system describe certificate,order,challenge"
		note certificate "$cause" "$cure"
		return 1
	done
	unnote certificate
}

# bgp_sessions: every node that has to has one with the router, by what Cilium's operator and agents write of them
# (CiliumBGPNodeConfig). 1 with cause and cure when not, 2 when the API does not answer.
bgp_sessions() {
	asked get ciliumbgpnodeconfigs -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.bgpInstances[*].peers[*].peeringState}{"\n"}{end}' || {
		explain_text "$found"
		return 2
	}
	without=$(printf '%s\n' "$found" | awk '!/ established/ { printf "%s%s", n++ ? " " : "", $1 }')
	case $found in
	*' established'*) [ -n "$without" ] || return 0 ;;
	*) without='' ;;
	esac
	router=$(sed -n 's/^ *peerAddress: "*\([0-9.]*\)"*$/\1/p' "$etc/manifests/bgp.yaml")
	why "${without:+These nodes have no BGP session with the router $router: $without}" \
		"pibuild plan --router frr (or unifi, mikrotik, opnsense) says what the router needs; what Cilium sees: cilium bgp peers"
	cause=${cause:-"No node has a BGP session with the router $router yet"}
	return 1
}

# pods NAMESPACE [SELECTOR]: sets `pods`, a line each, the worst first: HOW|NAME|NODE|k8s-app|REASON|MESSAGE
#   HOW is 1 goes wrong (image, crash, configuration), 2 is starting, 3 has no node yet, 9 ready or ended well.
pods() {
	pods=''
	asked -n "$1" get pods ${2:+-l "$2"} -o 'jsonpath={range .items[*]}{"@\t"}{.metadata.name}{"\t"}{.spec.nodeName}{"\t"}{.metadata.labels.k8s-app}{"\t"}{.status.phase}{"\t"}{.status.conditions[?(@.type=="Ready")].status}{"\t"}{.status.initContainerStatuses[*].state.waiting.reason} {.status.containerStatuses[*].state.waiting.reason}{"\t"}{.status.conditions[?(@.type=="PodScheduled")].message}{"\t"}{.status.initContainerStatuses[*].state.waiting.message} {.status.containerStatuses[*].state.waiting.message}{"\n"}{end}' || {
		explain_text "$found"
		return 1
	}
	pods=$(printf '%s\n' "$found" | LC_ALL=C awk -F '\t' '
		$1 != "@" { next } # a message of several lines
		{
			how = 2
			text = $9
			reason = $7
			sub(/^ +/, "", reason)
			sub(/ .*/, "", reason)
			if (match($7, /[A-Za-z]*(BackOff|Err|Invalid)[A-Za-z]*/)) { how = 1; reason = substr($7, RSTART, RLENGTH) }
			else if ($6 == "True" || $5 == "Succeeded") how = 9
			else if ($3 == "") { how = 3; text = $8 }
			sub(/.*": /, "", text) # what was tried and where, each quoted, then what went wrong
			gsub(/\|/, " ", text)
			print how "|" $2 "|" $3 "|" $4 "|" reason "|" text
		}' | sort -s -n)
}

# blame NAMESPACE ROW: says what is the matter with that pod
blame() {
	how='' pod='' node='' reason='' message=''
	IFS='|' read -r how pod node _ reason message <<-EOT
		$2
	EOT
	shown_message=${message# }
	case $how:$reason in
	1:*Image*) why "Pod $pod cannot get its image ($reason)${shown_message:+: $shown_message}" "Check that ${node:-its node} reaches the internet; then: kubectl -n $1 describe pod $pod" ;;
	1:Crash* | 1:RunContainer*) why "Pod $pod keeps ending ($reason)" "See why: kubectl -n $1 logs $pod --all-containers --previous" ;;
	1:*) why "Pod $pod cannot start ($reason)${shown_message:+: $shown_message}" "What it needs: kubectl -n $1 describe pod $pod" ;;
	2:?*) why "Pod $pod on $node is starting ($reason)" "Images are downloaded at first; if it stays so: kubectl -n $1 describe pod $pod" ;;
	2:) why "Pod $pod on $node is not ready" "If it stays so: kubectl -n $1 logs $pod --all-containers" ;;
	3:*) why "Pod $pod has no node yet: $shown_message" "What it needs: kubectl -n $1 describe pod $pod" ;;
	*) why "$pod has no pod on this node yet" "If it stays so: kubectl -n $1 get daemonsets,deployments" ;;
	esac
}

# worst HOWS [NAMES]: the first row whose HOW is one of these and whose name matches
worst() {
	printf '%s\n' "$pods" | grep -m 1 -E "^[$1][|]${2:-}"
}

# note_cilium: what of Cilium does not run, on this node and on others, is a note: it holds nothing back.
note_cilium() {
	pods kube-system || return 0
	row=$(worst 1-3 '(cilium|hubble|clustermesh)-') || {
		unnote cilium
		return 0
	}
	more=$(($(printf '%s\n' "$pods" | grep -cE '^[1-3][|](cilium|hubble|clustermesh)-') - 1))
	[ "$more" -gt 0 ] && more=", and $more more" || more=''
	blame kube-system "$row"
	note cilium "$cause$more" "$cure; all: kubectl -n kube-system get pods -o wide"
}

# available NAMESPACE [SELECTOR]: every Deployment of it is; 1 when one is not yet, 2 when there is none
available() {
	pods "$@" || return 1
	if row=$(worst 1); then
		blame "$1" "$row"
		return 1
	fi
	asked -n "$1" get deployments ${2:+-l "$2"} \
		-o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Available")].status}{"\n"}{end}' || {
		explain_text "$found"
		return 1
	}
	[ -n "$found" ] || {
		why "Nothing runs in the namespace $1"
		return 2
	}
	waiting=$(printf '%s\n' "$found" | sed -n '/ True$/!{s/ .*//;p;q}')
	[ -z "$waiting" ] && return 0
	why "$waiting in $1 is not available yet" "If it stays so: kubectl -n $1 describe deployment $waiting"
	return 1
}
