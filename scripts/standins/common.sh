# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Part of each stand-in, put into it where it says so: the state of the cluster that is not
# there, and the faults that a test asks for.
#
# State, kept over reboots as a real datastore would be (STANDIN_STATE, else below the K3s data folder):
#   objects/<kind>/<namespace or _>/<name>   what was applied, as YAML
#   calls                                    one line per call: uptime, program, arguments
#   faults/<program>-<command>               what goes wrong, one line each:
#       fail N         the next N calls fail; `fail always`
#       slow SECONDS   the call takes so long, before it does anything
#       stuck          helm, cilium: the call dies half-way and leaves its release pending, once
#   faults/<name>      what goes wrong as long as the file is there:
#       api            the API refuses connections
#       crds           Cilium's operator has not registered its definitions yet
#       webhook        cert-manager's webhook does not answer
#       refuse         the API refuses objects of the kind that the file names
#       crashloop      Cilium's agent ends again and again

# Busybox has its own sed, awk and so on and starts no program for them: on an emulated machine a fifth of the time.
if [ -n "${STANDIN_SHELL:-}" ]; then
	unset STANDIN_SHELL
elif command -v busybox >/dev/null; then
	STANDIN_SHELL=busybox exec busybox sh "$0" "$@"
fi

# shellcheck disable=SC2034 # `ready` and others are for the programs
state=${STANDIN_STATE:-/var/lib/rancher/k3s/stand-in}
ready=${STANDIN_READY:-/run/k3s-stand-in.ready}

die() {
	echo "$*" >&2
	exit 1
}

# store FILE: stdin, durable before the name appears
store() {
	[ -d "${1%/*}" ] || mkdir -p "${1%/*}"
	cat >"$1.tmp.$$"
	sync "$1.tmp.$$"
	mv "$1.tmp.$$" "$1"
	sync "${1%/*}"
}

# called PROGRAM ARG...: notes the call and does what the faults for it say.
called() {
	[ -d "$state" ] || mkdir -p "$state"
	# A question may be asked by a unit that can write nothing.
	read -r now _ </proc/uptime
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

# stuck PROGRAM COMMAND: true once if the test wants the call to die half-way.
stuck() {
	grep -qx stuck "$state/faults/$1-$2" 2>/dev/null || return 1
	sed '/^stuck$/d' "$state/faults/$1-$2" | store "$state/faults/$1-$2"
}

# kind_of NAME: sets `stored`: how objects/ calls a kind, plural or short name. Without a process for what is asked for all the time.
kind_of() {
	case $1 in
	ns | Namespace) stored=namespace ;;
	no | nodes | Node) stored=node ;;
	secrets | Secret) stored=secret ;;
	po | pods | Pod) stored=pod ;;
	deploy | deployments | Deployment) stored=deployment ;;
	crd | crds | CustomResourceDefinition) stored=customresourcedefinition ;;
	*[!a-z]* | *s | ??)
		stored=$(echo "$1" | tr '[:upper:]' '[:lower:]' | sed -e 's/\..*//' -e 's/^svc$/service/' -e 's/^ds$/daemonset/' -e 's/^cm$/configmap/' \
			-e 's/ies$/y/' -e 's/sses$/ss/' -e 's/\([^s]\)s$/\1/')
		;;
	*) stored=$1 ;;
	esac
}

# put KIND NAMESPACE NAME: stdin becomes that object
put() {
	kind_of "$1"
	store "$state/objects/$stored/${2:-_}/$3"
}

# crd GROUP KIND PLURAL VERSION...: as an operator or a chart registers it
crd() {
	group=$1 kind=$2 plural=$3
	shift 3
	{
		printf 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: %s.%s\n' "$plural" "$group"
		printf 'spec:\n  group: %s\n  names:\n    kind: %s\n    plural: %s\n  versions:\n' "$group" "$kind" "$plural"
		printf '  - name: %s\n' "$@"
	} | put CustomResourceDefinition '' "$plural.$group"
}

# workload KIND NAMESPACE NAME
workload() {
	printf 'apiVersion: apps/v1\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\n' "$1" "$3" "$2" | put "$1" "$2" "$3"
}

# Where a kubeconfig leads to a machine by HTTP, its stand-in of k3s does the work: commands change no file of the
# caller, as the real ones do not.

# call_server HOST:PORT: stdin is the body (what is wanted, who asks, arguments); output and exit status are the answer's.
call_server() {
	answer=$(busybox wget -q -T 900 -O - --post-data="$(cat)" "http://$1/cgi-bin/k3s" 2>/dev/null) ||
		die "The connection to the server $1 was refused - did you specify the right host or port?"
	printf '%s\n' "$answer" | sed 1d
	return "$(printf '%s\n' "$answer" | sed -n '1s/^exit //p')"
}

# forward PROGRAM ARG...
forward() {
	[ -z "${STANDIN_LOCAL:-}" ] || return 0
	server=$(sed -n 's/^ *server: http:\/\///p' "$KUBECONFIG") token=$(sed -n 's/^ *token: //p' "$KUBECONFIG")
	[ -n "$server" ] || return 0
	status=0
	{
		printf '%s\n%s\n' "$1" "$token"
		shift
		printf '%s\n' "$@"
	} | call_server "$server" || status=$?
	exit "$status"
}

api_up() {
	[ -e "$ready" ] && ! fault api
}

# need_api PROGRAM ARG...: the API answers once K3s said so, to those who have the kubeconfig.
need_api() {
	[ -r "${KUBECONFIG:-/nonexistent}" ] || die "Error: Kubernetes cluster unreachable: KUBECONFIG is not set to a file that can be read (stand-in)"
	forward "$@"
	api_up || die "Error: Kubernetes cluster unreachable: connect: connection refused (stand-in)"
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
		"$2" "$3" "$1" "$2" "$4" "$3" | put Secret "$1" "sh.helm.release.v1.$2.v$3"
}

# begin_release PROGRAM COMMAND NAMESPACE NAME: refuses while one is pending; sets `revision`, `was` and `doing`.
begin_release() {
	last=$(release_files "$3" "$4" | tail -n 1)
	revision=1 was='' doing=pending-install
	if [ -n "$last" ]; then
		was=$(release_status "$last")
		revision=$((${last##*.v} + 1))
		case $was in
		pending-*) die "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress" ;;
		deployed) doing=pending-upgrade ;;
		esac
	fi
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

# check_values FILE
check_values() {
	[ -r "$1" ] || die "Error: open $1: no such file or directory"
	[ -s "$1" ] || die "Error: $1: empty values file (stand-in)"
	! grep -q "$(printf '^ *\t')" "$1" || die "Error: failed to parse $1: found character that cannot start any token"
}
