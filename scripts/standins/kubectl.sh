# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# Part of the stand-in of k3s: kubectl, which keeps what is applied in files and answers from them. Words were seen from
# kubectl v1.36.3 against a closed port and against answers of an API server; those of the server are from
# kubernetes/kubernetes v1.36: staging/src/k8s.io/apiserver (readyz, structured merge diff), plugin/pkg/auth/authorizer/node.

# --- flags of each verb that pibuild and its tests may use (kubectl pkg/cmd/*); one that is not here is unknown.

global_flags='kubeconfig= namespace= n:namespace request-timeout= context= server= s:server token= user= cluster= as= cache-dir= v= help h:help insecure-skip-tls-verify certificate-authority= client-certificate= client-key='
get_flags='output= o:output selector= l:selector all-namespaces A:all-namespaces ignore-not-found field-selector= raw= no-headers show-labels filename+ f:filename watch w:watch chunk-size= sort-by= show-kind'
apply_flags='filename+ f:filename server-side force-conflicts field-manager= validate= recursive R:recursive output= o:output dry-run= overwrite wait timeout@ selector= l:selector prune'
wait_flags='for= timeout@ all all-namespaces A:all-namespaces selector= l:selector field-selector= output= o:output filename+ f:filename'
delete_flags='ignore-not-found all all-namespaces A:all-namespaces selector= l:selector field-selector= filename+ f:filename wait now force grace-period= timeout@ cascade= output= o:output'
create_flags='filename+ f:filename dry-run= output= o:output field-manager= validate='
rollout_restart_flags='selector= l:selector filename+ f:filename field-manager= output= o:output'
rollout_status_flags='timeout@ watch w:watch revision= selector= l:selector filename+ f:filename'
annotate_flags='overwrite all all-namespaces A:all-namespaces selector= l:selector field-selector= field-manager= output= o:output resource-version= list dry-run= filename+ f:filename local'
label_flags=$annotate_flags
drain_flags='ignore-daemonsets delete-emptydir-data force timeout@ grace-period= selector= l:selector pod-selector= disable-eviction skip-wait-for-delete-timeout= chunk-size= dry-run='
cordon_flags='selector= l:selector dry-run='
taint_flags='overwrite all selector= l:selector field-manager= output= o:output dry-run= validate='
version_flags='client output= o:output'
cluster_info_flags='output= o:output'

flag_namespace='' flag_output='' flag_selector='' flag_field_selector='' flag_filename='' flag_raw='' flag_for='' flag_kubeconfig=''
flag_request_timeout='' flag_ignore_not_found='' flag_all_namespaces='' flag_all='' flag_client='' flag_overwrite='' flag_server_side=''
flag_force_conflicts='' flag_validate='' flag_force='' flag_ignore_daemonsets='' flag_delete_emptydir_data='' flag_timeout='' flag_server='' flag_token='' flag_insecure_skip_tls_verify='' flag_certificate_authority='' flag_client_certificate=''
flag_client_key='' verb='' command=kubectl

usage_error() {
	die "error: $1
See '$command --help' for usage."
}

# --- who asks, and where

# is_here: the API is on this machine, and questions can be answered from its files. Over HTTP one takes an emulator
# seconds, and first boot asks dozens.
is_here() {
	[ ! -e "$state/faults/kubectl-get" ] && [ "$scheme:$server" = "http:127.0.0.1:$port" ]
}

# user: sets `user`, who the token says it is
user() {
	case ${STANDIN_USER:-$token} in
	admin) user=system:admin ;;
	*.node-password.k3s) user=${STANDIN_USER:-$token} user=system:node:${user%.node-password.k3s} ;;
	"cert:$(digest_of "$admin")") user=system:admin ;;
	*) die "error: You must be logged in to the server (Unauthorized)" ;;
	esac
}

digest_of() {
	[ ! -r "$1" ] || sha256sum <"$1" | cut -d ' ' -f 1
}

# dial: the server that --server names, with what the flags say of who asks. In a test it is a folder of $STANDIN_PEERS with
# its ca.crt, its admin.crt and its objects; where none is, nobody listens.
admin=${STANDIN_ADMIN:-/etc/pibuild/secrets/admin.crt}
dial() {
	scheme=http server=${flag_server#*://} token=$flag_token
	[ -z "$flag_client_certificate" ] || {
		[ -r "$flag_client_key" ] || die "error: unable to read client-key $flag_client_key for default due to open $flag_client_key: no such file or directory"
		token=cert:$(digest_of "$flag_client_certificate")
	}
	if [ -n "${STANDIN_PEERS:-}" ]; then
		scheme=https state=$STANDIN_PEERS/${server%:*}
		ready=$state tls=$state admin=$state/admin.crt
		[ -d "$state" ] || unreachable
	fi
	[ "$scheme" = http ] || [ "$flag_insecure_skip_tls_verify" = true ] || cmp -s "$flag_certificate_authority" "$tls/server-ca.crt" ||
		die "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority"
}

# unreachable: what kubectl says when nobody listens, by what it wanted first of the API.
unreachable() {
	case $verb in
	apply)
		for file in $flag_filename; do
			die "error: error validating \"$file\": error validating data: failed to download openapi: $(refused "/openapi/v2?timeout=${flag_request_timeout:-32s}"); if you choose to ignore these errors, turn validation off with --validate=false"
		done
		;;
	get | wait | delete | annotate | label | taint | rollout | drain | cordon | uncordon)
		row="E0101 00:00:00.000000       1 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API group list: Get \\\"https://$server/api?timeout=${flag_request_timeout:-32s}\\\": dial tcp $server: connect: connection refused\""
		[ -n "$flag_raw" ] || printf '%s\n' "$row" "$row" "$row" "$row" >&2
		;;
	esac
	die "The connection to the server $server was refused - did you specify the right host or port?"
}

# authorize VERB NAME, after resource: what a node's credentials let it do, which is next to nothing
authorize() {
	[ "$user" != system:admin ] || return 0
	me=${user#system:node:}
	case $stored:$2 in
	"node:$me") return 0 ;;
	node:) why=": node '$me' cannot read all nodes, only its own Node object" ;;
	node:*) why=": node '$me' cannot read '$2', only its own Node object" ;;
	pod:)
		[ "$flag_field_selector" != "spec.nodeName=$me" ] || return 0
		why=": can only list/watch pods with spec.nodeName field selector"
		;;
	*) why='' ;;
	esac
	where="in the namespace \"${flag_namespace:-default}\""
	[ "$scope" = Namespaced ] || where="at the cluster scope"
	group=${plural#"${plural%%.*}"}
	die "Error from server (Forbidden): $plural${2:+ \"$2\"} is forbidden: User \"$user\" cannot $1 resource \"${plural%%.*}\" in API group \"${group#.}\" $where$why"
}

# --- apply

# Fields that the kinds pibuild sends may have, below apiVersion, kind and metadata: PATH:TYPE, [] an item of a list.
# Types: string, boolean, integer, strings (a map of them), base64 (the same), selector (of labels), any, or the values that are allowed; ! is needed.
# From the definitions of Cilium 1.20 (pkg/k8s/apis/cilium.io/client/crds), cert-manager 1.21 (deploy/crds), the Gateway API
# 1.6 (config/crd/standard), Flux 2.9 (source-controller and kustomize-controller, api/v1), and the API.
schema='
Namespace spec.finalizers[]:string
Secret type:string data:base64 stringData:strings immutable:boolean
CiliumLoadBalancerIPPool spec.blocks[].cidr:string spec.blocks[].start:string spec.blocks[].stop:string spec.allowFirstLastIPs:Yes|No spec.disabled:boolean spec.serviceSelector:selector
CiliumL2AnnouncementPolicy spec.interfaces[]:string spec.externalIPs:boolean spec.loadBalancerIPs:boolean spec.nodeSelector:selector spec.serviceSelector:selector
CiliumBGPClusterConfig spec.nodeSelector:selector spec.bgpInstances[].name:string! spec.bgpInstances[].localASN:integer spec.bgpInstances[].localPort:integer spec.bgpInstances[].peers[].name:string! spec.bgpInstances[].peers[].peerASN:integer spec.bgpInstances[].peers[].peerAddress:string spec.bgpInstances[].peers[].autoDiscovery:any spec.bgpInstances[].peers[].peerConfigRef.name:string!
CiliumBGPPeerConfig spec.authSecretRef:string spec.ebgpMultihop:integer spec.gracefulRestart.enabled:boolean! spec.gracefulRestart.restartTimeSeconds:integer spec.timers:any spec.transport:any spec.families[].afi:ipv4|ipv6|l2vpn|ls|opaque! spec.families[].safi:unicast|multicast|mpls_label|encapsulation|vpls|evpn|ls! spec.families[].advertisements:selector
CiliumBGPAdvertisement spec.advertisements[].advertisementType:PodCIDR|CiliumPodIPPool|Service|Interface! spec.advertisements[].service.addresses[]:LoadBalancerIP|ClusterIP|ExternalIP spec.advertisements[].service.aggregationLengthIPv4:integer spec.advertisements[].attributes:any spec.advertisements[].interface:any spec.advertisements[].selector:selector
GatewayClass spec.controllerName:string! spec.description:string spec.parametersRef:any
Gateway spec.gatewayClassName:string! spec.addresses[].type:string spec.addresses[].value:string! spec.listeners[].name:string! spec.listeners[].hostname:string spec.listeners[].port:integer! spec.listeners[].protocol:string! spec.listeners[].tls.mode:Terminate|Passthrough spec.listeners[].tls.options:strings spec.listeners[].tls.certificateRefs[].group:string spec.listeners[].tls.certificateRefs[].kind:string spec.listeners[].tls.certificateRefs[].name:string! spec.listeners[].tls.certificateRefs[].namespace:string spec.listeners[].allowedRoutes.namespaces.from:All|Same|Selector|None spec.listeners[].allowedRoutes.namespaces.selector:selector spec.listeners[].allowedRoutes.kinds:any spec.infrastructure:any
HTTPRoute spec.parentRefs[].group:string spec.parentRefs[].kind:string spec.parentRefs[].name:string! spec.parentRefs[].namespace:string spec.parentRefs[].sectionName:string spec.parentRefs[].port:integer spec.hostnames[]:string spec.rules[].name:string spec.rules[].matches:any spec.rules[].timeouts:any spec.rules[].filters[].type:RequestHeaderModifier|ResponseHeaderModifier|RequestMirror|RequestRedirect|URLRewrite|ExtensionRef|CORS! spec.rules[].filters[].requestRedirect.scheme:http|https spec.rules[].filters[].requestRedirect.hostname:string spec.rules[].filters[].requestRedirect.port:integer spec.rules[].filters[].requestRedirect.statusCode:integer spec.rules[].filters[].requestRedirect.path:any spec.rules[].filters[].requestHeaderModifier:any spec.rules[].filters[].responseHeaderModifier:any spec.rules[].backendRefs[].group:string spec.rules[].backendRefs[].kind:string spec.rules[].backendRefs[].name:string! spec.rules[].backendRefs[].namespace:string spec.rules[].backendRefs[].port:integer spec.rules[].backendRefs[].weight:integer
CiliumClusterwideNetworkPolicy spec.description:string spec.endpointSelector:selector spec.nodeSelector:selector spec.ingress[].fromEntities[]:all|world|cluster|host|init|ingress|unmanaged|remote-node|health|none|kube-apiserver spec.ingress[].fromCIDR[]:string spec.ingress[].fromCIDRSet:any spec.ingress[].fromEndpoints:any spec.ingress[].toPorts:any spec.egress:any
ClusterIssuer spec.acme.server:string! spec.acme.email:string spec.acme.profile:string spec.acme.preferredChain:string spec.acme.privateKeySecretRef.name:string! spec.acme.privateKeySecretRef.key:string spec.acme.solvers[].selector.dnsZones[]:string spec.acme.solvers[].selector.dnsNames[]:string spec.acme.solvers[].selector.matchLabels:strings spec.acme.solvers[].dns01.cnameStrategy:None|Follow spec.acme.solvers[].dns01.digitalocean:any spec.acme.solvers[].dns01.cloudflare:any spec.acme.solvers[].dns01.route53:any spec.acme.solvers[].dns01.azureDNS:any spec.acme.solvers[].dns01.cloudDNS:any spec.acme.solvers[].dns01.rfc2136:any spec.acme.solvers[].dns01.acmeDNS:any spec.acme.solvers[].dns01.akamai:any spec.acme.solvers[].dns01.webhook:any spec.acme.solvers[].http01:any spec.selfSigned:any spec.ca.secretName:string! spec.ca.crlDistributionPoints[]:string spec.ca.ocspServers[]:string spec.ca.issuingCertificateURLs[]:string spec.vault:any spec.venafi:any
Certificate spec.secretName:string! spec.issuerRef.name:string! spec.issuerRef.kind:string spec.issuerRef.group:string spec.dnsNames[]:string spec.ipAddresses[]:string spec.commonName:string spec.duration:string spec.renewBefore:string spec.usages[]:string spec.isCA:boolean spec.privateKey:any spec.secretTemplate:any spec.revisionHistoryLimit:integer
GitRepository spec.url:string! spec.interval:string! spec.ref.branch:string spec.secretRef.name:string spec.suspend:boolean spec.ignore:string
Kustomization spec.interval:string! spec.path:string spec.prune:boolean! spec.sourceRef.kind:GitRepository|OCIRepository|Bucket|ExternalArtifact! spec.sourceRef.name:string! spec.sourceRef.namespace:string spec.suspend:boolean spec.wait:boolean
'

# documents FILE DIR: each into a file of DIR, and a line for each into DIR/index: its file, kind, apiVersion, name,
# namespace, and what the API's schema has against it: a class (typed, invalid, data) and the error.
documents() {
	SCHEMA=$schema awk -v out="$2/" "$yaml_awk"'
		function declare(kind,    n, i, parts, colon, field, type, prefix, m, keys, j, row) {
			split("", type_of); split("", needed); split("", parent_of); declared = 0
			if (!(kind in rows)) return
			declared = 1
			row = rows[kind]
			while (match(row, /[^ ]+:selector/)) {
				prefix = substr(row, RSTART, RLENGTH - 9)
				row = substr(row, 1, RSTART - 1) prefix ".matchLabels:strings " prefix ".matchExpressions[].key:string " prefix ".matchExpressions[].operator:In|NotIn|Exists|DoesNotExist " prefix ".matchExpressions[].values[]:string" substr(row, RSTART + RLENGTH)
			}
			n = split(row, parts, " ")
			for (i = 1; i <= n; i++) {
				colon = index(parts[i], ":")
				field = substr(parts[i], 1, colon - 1)
				type = substr(parts[i], colon + 1)
				if (sub(/!$/, "", type)) needed[field] = 1
				type_of[field] = type
				m = split(field, keys, ".")
				prefix = ""
				for (j = 1; j < m; j++) { prefix = prefix (j > 1 ? "." : "") keys[j]; parent_of[prefix] = 1; if (sub(/\[\]$/, "", prefix)) { parent_of[prefix] = 1; prefix = prefix "[]" } }
				if (sub(/\[\]$/, "", field)) parent_of[field] = 1
			}
		}
		# names WHERE: sets `field` as the schema has it, and `shown` as errors have it
		function names(where,    n, keys, i, prefix) {
			n = split(where, keys, S)
			field = shown = prefix = ""
			for (i = 1; i <= n; i++) {
				if (i > 1 && kind_of[prefix] == "list") { field = field "[]"; shown = shown "[" keys[i] "]" }
				else { field = field (i > 1 ? "." : "") keys[i]; shown = shown "." keys[i] }
				prefix = yaml_join(prefix, keys[i])
			}
		}
		function typed(text) { return "typed|failed to create typed patch object (" value["metadata" S "namespace"] "/" value["metadata" S "name"] "; " value["apiVersion"] ", Kind=" value["kind"] "): " text }
		function go(where) { return quoted[where] || value[where] !~ /^(true|false|[0-9]+)$/ ? "\"" value[where] "\"" : value[where] }
		function wrong(where, type,    plain, is) {
			plain = value[where]
			is = quoted[where] ? "string" : plain ~ /^(true|false)$/ ? "boolean" : plain ~ /^-?[0-9]+$/ ? "integer" : "string"
			if (kind_of[where] != "scalar") return type == "any" ? "" : typed(shown ": expected " type ", got &value.valueUnstructured{Value:" (kind_of[where] == "list" ? "[]interface {}" : "map[string]interface {}") "{}}")
			if (type == "any" || type == is) return ""
			if (type ~ /\|/ && is == "string") {
				if (index("|" type "|", "|" plain "|")) return ""
				gsub(/\|/, "\", \"", type)
				return "invalid|" substr(shown, 2) ": Unsupported value: \"" plain "\": supported values: \"" type "\""
			}
			return typed(shown ": expected " (type ~ /\|/ ? "string" : type) ", got &value.valueUnstructured{Value:" go(where) "}")
		}
		function against(    i, where, head, above, fault, want, keys) {
			if (!declared) return ""
			for (i = 1; i <= paths; i++) {
				where = at[i]
				split(where, keys, S)
				if (keys[1] ~ /^(apiVersion|kind|metadata)$/) continue
				names(where)
				if (field in parent_of) {
					if (kind_of[where] != "scalar") continue
					return typed(shown ": expected " ((field "[]") in type_of || (field "[]") in parent_of ? "list" : "map") ", got &value.valueUnstructured{Value:" go(where) "}")
				}
				if (field in type_of) {
					if (type_of[field] ~ /^(strings|base64)$/) { if (kind_of[where] != "scalar") continue; return wrong(where, "map") }
					if ((fault = wrong(where, type_of[field])) != "") return fault
					continue
				}
				above = field
				fault = typed(shown ": field not declared in schema")
				while (match(above, /[.[][^.[]*$/)) {
					head = substr(above, 1, RSTART - 1)
					if (type_of[head] == "any") { fault = ""; break }
					if (type_of[head] == "strings" || type_of[head] == "base64") { fault = wrong(where, "string"); break }
					above = head
				}
				if (fault != "") return fault
				if (type_of[keys[1]] == "base64" && (value[where] !~ /^[A-Za-z0-9+\/]*=?=?$/ || length(value[where]) % 4)) return "data|Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0"
			}
			for (i = 1; i <= paths; i++) { names(at[i]); is_there[declaration, field] = 1 }
			for (want in needed) {
				above = want
				sub(/\.[^.]*$/, "", above)
				# A part that is optional is needed only where its owner is.
				if (!((declaration, want) in is_there) && (above !~ /\.(acme|ca|gracefulRestart)|\[\]/ || (declaration, above) in is_there)) return "invalid|" want ": Required value"
			}
			return ""
		}
		function close_document(    line) {
			if (begun) {
				declaration++
				declare(value["kind"])
				line = yaml_fault != "" ? "parse|" yaml_fault : against()
				gsub(/\n/, "\\n", line)
				print out n "|" value["kind"] "|" value["apiVersion"] "|" value["metadata" S "name"] "|" value["metadata" S "namespace"] "|" line > (out "index")
			}
			close(out n)
			split("", seen); split("", at); split("", size); split("", value); split("", kind_of); split("", quoted)
			yaml_begin("")
			paths = begun = 0
			n++
		}
		BEGIN {
			m = split(ENVIRON["SCHEMA"], lines, "\n")
			for (i = 1; i <= m; i++) { blank = index(lines[i], " "); rows[substr(lines[i], 1, blank - 1)] = substr(lines[i], blank + 1) }
			n = 100
			printf "" > (out "index")
			yaml_begin("")
		}
		/^---/ { close_document(); next }
		{ print > (out n); if ($0 ~ /^[^#]/) begun = 1; yaml($0) }
		END { close_document() }' "$1"
}

# serves KIND API: the API has that kind in that version
serves() {
	resource "$1" || return 1
	group=${plural#"${plural%%.*}"} group=${group#.}
	case $2 in
	*/*) [ "$group" = "${2%/*}" ] || return 1 ;;
	*) [ -z "$group" ] || return 1 ;;
	esac
	case $group in
	'' | apps | apiextensions.k8s.io | admissionregistration.k8s.io) [ "${2#*/}" = v1 ] ;;
	*) grep -q "^ *\(- \)\{0,1\}name: ${2#*/}\$" "$state/objects/customresourcedefinition/_/$plural" ;;
	esac
}

# Errors are told at the end: those of documents that nobody can send first, and in other words when there are several.
errors=0 unsendable='' alone='' others=''

# unsendable TEXT
unsendable() {
	errors=$((errors + 1)) alone="error: $1"
	unsendable="$unsendable$1$newline"
}

# answered TEXT [ALONE]: an error of the server, and the same when it is the only one
answered() {
	errors=$((errors + 1)) alone=${2:-$1}
	others="$others$1$newline"
}

# invalid TEXT
invalid() {
	answered "Error from server (Invalid): $kind${group:+.$group} \"$name\" is invalid: $1" "The $kind \"$name\" is invalid: $1"
}

# apply_document FILE ORIGIN, with kind, api, name, space, class and text from the index
apply_document() {
	case $class:$api:$kind in
	parse:*) unsendable "error parsing $2: error converting YAML to JSON: yaml: $text" && return ;;
	*::*) unsendable "error validating \"$2\": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false" && return ;;
	*:) unsendable "error validating \"$2\": error validating data: kind not set; if you choose to ignore these errors, turn validation off with --validate=false" && return ;;
	esac
	if ! serves "$kind" "$api"; then
		unsendable "resource mapping not found for name: \"$name\" namespace: \"$space\" from \"$2\": no matches for kind \"$kind\" in version \"$api\"${newline}ensure CRDs are installed first"
		return
	fi
	[ -n "$name" ] || { unsendable "resource name may not be empty" && return; }
	case $class in
	typed) answered "Error from server: $text" && return ;;
	data) answered "Error from server (BadRequest): $text" && return ;;
	invalid) invalid "$text" && return ;;
	esac
	if fault webhook && [ "$group" = cert-manager.io ]; then
		answered "Error from server (InternalError): Internal error occurred: failed calling webhook \"webhook.cert-manager.io\": failed to call webhook: Post \"https://cert-manager-webhook.cert-manager.svc:443/validate?timeout=30s\": dial tcp 10.43.0.9:443: connect: connection refused"
		return
	fi
	fault_text refuse
	[ "$text" != "$kind" ] || { invalid "spec: Invalid value: refused because the test says so (stand-in)" && return; }
	fault_text deny
	if [ "$text" = "$kind" ]; then
		answered "The ${plural%%.*} \"$name\" is invalid: : ValidatingAdmissionPolicy 'stand-in' with binding 'stand-in' denied request: the test says so"
		return
	fi
	if [ "$scope" = Cluster ]; then
		space=''
	else
		space=${space:-${flag_namespace:-default}}
		[ -e "$state/objects/namespace/_/$space" ] || { answered "Error from server (NotFound): namespaces \"$space\" not found" && return; }
	fi
	done=created
	[ ! -e "$state/objects/$stored/${space:-_}/$name" ] || done=configured
	[ -z "$flag_server_side" ] || done=serverside-applied
	put "$stored" "$space" "$name" <"$1"
	echo "$stored${group:+.$group}/$name $done"
}

# apply_file FILE
apply_file() {
	[ -r "$1" ] || die "error: the path \"$1\" does not exist"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	documents "$1" "$work"
	[ -s "$work/index" ] || die "error: no objects passed to apply"
	while IFS='|' read -r document kind api name space class text; do
		apply_document "$document" "$1"
	done <"$work/index"
	rm -rf "$work"
}

kubectl_apply() {
	for file in $flag_filename; do
		case $file in
		-) apply_file /dev/stdin ;;
		*)
			if [ -d "$file" ]; then
				for part in "$file"/*.yaml "$file"/*.yml; do
					[ ! -e "$part" ] || apply_file "$part"
				done
			else
				apply_file "$file"
			fi
			;;
		esac
	done
	issue
	case $errors in
	0) return 0 ;;
	1) die "$alone" ;;
	esac
	printf '%s%s' "$unsendable" "$others" >&2
	exit 1
}

# --- questions

# find_objects RESOURCE [NAME...] or RESOURCE/NAME...: sets `paths`, one a line, `listed` when no name was given, and
# `missing` to the errors for names that are not there
find_objects() {
	paths='' missing='' listed=''
	several=''
	[ $# -le 2 ] || several=yes # they make a list, whatever is found of them (kubectl pkg/cmd/get)
	case ${1:-} in
	*/*)
		for word in "$@"; do
			find_named "${word%%/*}" "${word#*/}"
		done
		return
		;;
	esac
	what=$1
	shift
	if [ $# -gt 0 ]; then
		for word in "$@"; do
			find_named "$what" "$word"
		done
		return
	fi
	listed=yes
	known_resource "$what"
	authorize list ''
	spaces=${flag_namespace:-default}
	[ "$scope" = Namespaced ] || spaces=_
	[ -z "$flag_all_namespaces" ] || spaces='*'
	for file in "$state/objects/$stored"/$spaces/*; do
		case $file in
		*.tmp.* | *'*') continue ;;
		esac
		paths="$paths$file$newline"
	done
}

known_resource() {
	resource "$1" || die "error: the server doesn't have a resource type \"${1%%.*}\""
}

# find_named RESOURCE NAME
find_named() {
	known_resource "$1"
	authorize get "$2"
	space=${flag_namespace:-default}
	[ "$scope" = Namespaced ] || space=_
	file=$state/objects/$stored/$space/$2
	hidden=''
	case $stored:$2 in
	customresourcedefinition:*.cilium.io) ! fault crds || hidden=yes ;;
	esac
	if [ -e "$file" ] && [ -z "$hidden" ]; then
		paths="$paths$file$newline"
	elif [ -z "$flag_ignore_not_found" ]; then
		missing="${missing}Error from server (NotFound): $plural \"$2\" not found$newline"
	fi
}

# tell_missing: prints them and ends when there are any
tell_missing() {
	[ -n "$missing" ] || return 0
	printf '%s' "$missing" >&2
	exit 1
}

# What the controllers say of an object: kind, type of the condition, then status, reason and message at first (none: there
# is no such condition yet) and once they have looked, a second later (see settled).
conditions='
customresourcedefinition|NamesAccepted||||True|NoConflicts|no conflicts found
customresourcedefinition|Established||||True|InitialNamesAccepted|the initial names have been accepted
gatewayclass|Accepted|Unknown|Pending|Waiting for controller|True|Accepted|Valid GatewayClass
node|Ready|False|KubeletNotReady|container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized|True|KubeletReady|kubelet is posting ready status
clusterissuer|Ready||||True|ACMEAccountRegistered|The ACME account was registered with the ACME server
issuer|Ready||||True|ACMEAccountRegistered|The ACME account was registered with the ACME server
certificate|Ready|False|DoesNotExist|Issuing certificate as Secret does not exist|True|Ready|Certificate is up to date and has not expired
deployment|Available|False|MinimumReplicasUnavailable|Deployment does not have minimum availability.|True|MinimumReplicasAvailable|Deployment has minimum availability.
pod|Ready|False|ContainersNotReady|containers with unready status|True||
gateway|Accepted|Unknown|Pending|Waiting for controller|True|Accepted|Gateway successfully scheduled
gateway|Programmed|Unknown|Pending|Waiting for controller|True|Programmed|Gateway successfully reconciled
ciliumclusterwidenetworkpolicy|Valid||||True||Policy validation succeeded
ciliumloadbalancerippool|cilium.io/PoolConflict||||False|resolved|
'

# pooled ADDRESS: a block of some pool holds it
pooled() {
	cat "$state"/objects/ciliumloadbalancerippool/_/* 2>/dev/null | awk -v address="$1" '
		function number(ip,    part) { gsub(/"/, "", ip); split(ip, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
		$1 == "start:" || $2 == "start:" { start = number($NF) }
		$1 == "stop:" && start <= number(address) && number(address) <= number($2) { found = 1 }
		END { exit !found }'
}

# part KEY FILE: that text of a Secret, which has it as a block
part() {
	awk -v key="$1:" '$1 == key { on = 1; next } !/^    / { on = 0 } on { sub(/^ +/, ""); print }' "$2"
}

# issue: cert-manager's part in what was just applied. It is done where that is, by K3s, for who asks may write nothing.
issue() {
	for path in "$state"/objects/certificate/*/*; do
		case $path in
		*'*' | *.tmp.*) ;;
		*) issued "$path" || true ;;
		esac
	done
}

# issued FILE: the Secret of a Certificate is there. Cert-manager's CA issuer makes it when its own key is (pkg/issuer/ca,
# pkg/util/pki); keys are RSA 2048 there, which takes an emulated machine half a minute. Who signs for ACME is not here.
issued() {
	! grep -q "^certificate ${1##*/} Ready False" "$state/faults/conditions" 2>/dev/null || return 1
	issuer=$(sed -n '/^  issuerRef:/,/^  [a-z]*:$/s/^    name: //p' "$1")
	signer=$(sed -n 's/^ *secretName: //p' "$state/objects/clusterissuer/_/$issuer" 2>/dev/null) || true
	[ -n "$signer" ] || { grep -q '^  acme:' "$state/objects/clusterissuer/_/$issuer" 2>/dev/null; return; }
	signer=$state/objects/secret/cert-manager/$signer
	space=${1%/*} space=${space##*/} secret=$(sed -n 's/^  secretName: //p' "$1")
	[ -e "$signer" ] || return 1
	[ -e "$state/objects/secret/$space/$secret" ] || (sign "$1" "$signer" "$space" "$secret") 2>/dev/null
}

# sign CERTIFICATE SIGNER NAMESPACE SECRET
sign() {
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	part tls.crt "$2" >"$work/ca.pem"
	part tls.key "$2" >"$work/ca.key"
	names=$(sed -n '/^  dnsNames:/,/^  [a-z]*:/s/^  - *"\{0,1\}\([^"]*\)"\{0,1\}$/DNS:\1/p' "$1" | paste -sd ,)
	printf 'subjectAltName=critical,%s\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n' "$names" >"$work/extensions"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout "$work/key" -out "$work/request" || exit
	openssl x509 -req -in "$work/request" -CA "$work/ca.pem" -CAkey "$work/ca.key" -set_serial "0x$(openssl rand -hex 16)" -days 90 -extfile "$work/extensions" -out "$work/crt" || exit
	{
		printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\n  annotations:\n    cert-manager.io/certificate-name: %s\ntype: kubernetes.io/tls\ndata:\n' "$4" "$3" "${1##*/}"
		printf '  ca.crt: %s\n  tls.crt: %s\n  tls.key: %s\n' "$(base64 -w 0 "$work/ca.pem")" "$(base64 -w 0 "$work/crt")" "$(base64 -w 0 "$work/key")"
	} | put secret "$3" "$4"
	[ -s "$state/objects/secret/$3/$4" ]
}

# settled_paths: those of `paths` whose controllers have had their time, and what else a condition waits for
settled_paths() {
	settled=$newline counts=$newline
	case $stored in
	node | pod | deployment | daemonset) look_at_nodes ;;
	gatewayclass) ! fault gateway || return 0 ;;
	esac
	while read -r path; do
		[ -n "$path" ] || continue
		case $stored in
		deployment | daemonset)
			count_pods "$stored" "$path"
			counts="$counts$path $desired $running$newline"
			[ "$running" -gt 0 ] || continue
			;;
		node) agent_runs || continue ;;
		gateway) # an operator that knows the Gateway API gives it an address that a pool holds
			! fault gateway && pooled "$(sed -n 's/^ *value: "*\([0-9.]*\)"*$/\1/p' "$path")" || continue
			;;
		httproute)
			parent=$(sed -n '/parentRefs:/,/^  [a-z]/s/^ *- *name: //p' "$path" | head -n 1)
			space=${path%/*}
			[ -e "$state/objects/gateway/${space##*/}/$parent" ] || continue
			;;
		certificate) issued "$path" || continue ;;
		clusterissuer) # of kind CA: not before its secret is there
			secret=$(sed -n 's/^ *secretName: //p' "$path")
			[ -z "$secret" ] || [ -e "$state/objects/secret/cert-manager/$secret" ] || continue
			;;
		pod)
			case $path in
			*/cilium-operator-*) ;;
			*/pod/kube-system/cilium-*) ! fault crashloop || continue ;;
			*/hubble-generate-certs-*) ! fault hook || continue ;;
			esac
			;;
		esac
		! settled "$path" || settled="$settled$path$newline"
	done <<-EOT
		$paths
	EOT
}

# answer: prints what is asked of `paths` as `flag_output` says
answer() {
	settled_paths
	fault_text crashloop
	crash=''
	! fault crashloop || crash=CrashLoopBackOff
	fault_text hook
	told=''
	! fault conditions || told=$(cat "$state/faults/conditions")
	cordoned=$(cd "$state/cordoned" 2>/dev/null && echo *) || true
	# shellcheck disable=SC2086 # paths have no blanks
	TABLE=$conditions TOLD=$told CORDONED=" $cordoned " SETTLED=$settled COUNTS=$counts ALIVE=${alive:-} OUTPUT=$flag_output SELECTOR=$flag_selector FIELDS=$flag_field_selector \
		LISTED=$listed$several KIND=$stored GROUP=${plural#"${plural%%.*}"} CRASH=$crash HOOK=$text PATHS=$paths \
		awk "$yaml_awk"'
		function set(where, text,    keys, n, i, prefix) {
			n = split(where, keys, S)
			prefix = ""
			for (i = 1; i <= n; i++) { kind_of[prefix] = keys[i] ~ /^[0-9]+$/ ? "list" : "map"; prefix = yaml_child(prefix, keys[i]) }
			kind_of[prefix] = "scalar"; value[prefix] = text; quoted[prefix] = 1
		}
		function under(root, dotted) { gsub(/\./, S, dotted); return root S dotted }
		function condition(root, type, status, reason, message,    where) {
			if (status == "") return
			where = root (root ~ (S "parents" S "[0-9]+$") ? "" : S "status") S "conditions"
			where = where S (size[where] + 0)
			set(where S "type", type); set(where S "status", status)
			if (reason != "") set(where S "reason", reason)
			if (message != "") set(where S "message", message)
		}
		# What controllers would have written into the object.
		function observe(root, file,    name, n, rows, i, parts, m, told, t, k, done, alive, node, number, address, families) {
			name = file
			sub(/.*\//, "", name)
			if (value[root S "metadata" S "name"] == "") set(root S "metadata" S "name", name)
			node = kind == "node" ? name : value[under(root, "spec.nodeName")]
			alive = node == "" || index(ENVIRON["ALIVE"], " " node " ")
			t = split(ENVIRON["TOLD"], told, "\n")
			n = split(ENVIRON["TABLE"], rows, "\n")
			for (i = 1; i <= n; i++) {
				split(rows[i], parts, "|")
				if (parts[1] != kind) continue
				done = 0
				for (k = 1; k <= t; k++) {
					m = split(told[k], words, " ")
					if (words[1] != kind || (words[2] != name && words[2] != "*") || words[3] != parts[2]) continue
					text = told[k]
					for (j = 1; j <= 4; j++) sub(/^ *[^ ]+ */, "", text)
					condition(root, words[3], words[4], "StandIn", text)
					done = 1
				}
				if (done) continue
				# cert-manager pkg/issuer/ca/setup.go
				secret = value[under(root, "spec.ca.secretName")]
				if (kind == "clusterissuer" && secret != "") {
					if (index(ENVIRON["SETTLED"], "\n" file "\n")) condition(root, "Ready", "True", "KeyPairVerified", "Signing CA verified")
					else condition(root, "Ready", "False", "ErrGetKeyPair", "Error getting keypair for CA issuer: secret \"" secret "\" not found")
				}
				else if (kind == "node" && !alive) condition(root, "Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
				else if (index(ENVIRON["SETTLED"], "\n" file "\n") && alive) condition(root, parts[2], parts[6], parts[7], parts[8])
				else condition(root, parts[2], parts[3], parts[4], parts[5])
			}
			if (kind == "node" && index(ENVIRON["CORDONED"], " " name " ")) set(under(root, "spec.unschedulable"), "true")
			address = root S "metadata" S "annotations" S "k3s.io/internal-ip"
			if (kind == "node" && address in value) {
				m = split(value[address], families, ",")
				for (i = 1; i <= m; i++) {
					set(under(root, "status.addresses." (i - 1) ".type"), "InternalIP"); set(under(root, "status.addresses." (i - 1) ".address"), families[i])
				}
			}
			done = index(ENVIRON["SETTLED"], "\n" file "\n")
			if (kind == "gateway" && done) {
				set(under(root, "status.addresses.0.type"), "IPAddress"); set(under(root, "status.addresses.0.value"), value[under(root, "spec.addresses.0.value")])
			}
			if (kind == "httproute" && done) {
				for (i = 0; i < size[under(root, "spec.parentRefs")]; i++) {
					condition(under(root, "status.parents." i), "Accepted", "True", "Accepted", "Accepted HTTPRoute")
					condition(under(root, "status.parents." i), "ResolvedRefs", "True", "ResolvedRefs", "Service reference is valid")
				}
			}
			if (kind == "pod") pod_status(root, name, alive && index(ENVIRON["SETTLED"], "\n" file "\n"))
			if (match(ENVIRON["COUNTS"], "\n" file " [0-9]+ [0-9]+\n")) {
				split(substr(ENVIRON["COUNTS"], RSTART + 1, RLENGTH - 2), number, " ")
				workload_status(root, number[2], number[3])
			}
		}
		function pod_status(root, name, ready,    app, reason) {
			app = value[root S "metadata" S "labels" S "k8s-app"]
			reason = app == "cilium" ? ENVIRON["CRASH"] : app == "hubble-generate-certs" ? ENVIRON["HOOK"] : ""
			if (reason == "" && !ready) reason = "ContainerCreating"
			set(under(root, "status.phase"), ready || reason == "CrashLoopBackOff" ? "Running" : "Pending")
			set(under(root, "status.containerStatuses.0.name"), app == "cilium" ? "cilium-agent" : app)
			set(under(root, "status.containerStatuses.0.ready"), reason == "" ? "true" : "false")
			if (reason != "") set(under(root, "status.containerStatuses.0.state.waiting.reason"), reason)
		}
		function workload_status(root, desired, running) {
			if (kind == "daemonset") {
				set(under(root, "status.desiredNumberScheduled"), desired); set(under(root, "status.numberReady"), running)
				if (running > 0) set(under(root, "status.numberAvailable"), running)
				if (desired > running) set(under(root, "status.numberUnavailable"), desired - running)
			} else {
				set(under(root, "status.replicas"), desired)
				if (running > 0) { set(under(root, "status.readyReplicas"), running); set(under(root, "status.availableReplicas"), running) }
				if (desired > running) set(under(root, "status.unavailableReplicas"), desired - running)
			}
		}
		function chosen(root,    n, pairs, i, key, text, not) {
			n = split(ENVIRON["SELECTOR"], pairs, ",")
			for (i = 1; i <= n; i++) {
				not = pairs[i] ~ /!=/
				if (!match(pairs[i], /!=|==?/)) { if (!((root S "metadata" S "labels" S pairs[i]) in value)) return 0; continue }
				key = substr(pairs[i], 1, RSTART - 1); text = substr(pairs[i], RSTART + RLENGTH)
				if ((value[root S "metadata" S "labels" S key] == text) == not) return 0
			}
			n = split(ENVIRON["FIELDS"], pairs, ",")
			for (i = 1; i <= n; i++) {
				not = pairs[i] ~ /!=/
				match(pairs[i], /!=|==?/)
				if ((value[under(root, substr(pairs[i], 1, RSTART - 1))] == substr(pairs[i], RSTART + RLENGTH)) == not) return 0
			}
			return 1
		}
		# --- JSONPath (client-go util/jsonpath): fields, [*], [N], [?(@.field=="text")], range and literals
		function unclosed() { print "error: error parsing jsonpath " substr(ENVIRON["OUTPUT"], 10) ", unclosed action" > "/dev/stderr"; failed = 1; exit 1 }
		# query TEXT ROOT: what it leads to, into hits[1..found]
		function query(text, root,    name, i, k, n, was, count, key, want) {
			found = 1; hits[1] = root
			while (text != "" && text != ".") {
				count = found
				for (i = 1; i <= count; i++) was[i] = hits[i]
				found = 0
				if (match(text, /^\[\*\]/) || match(text, /^\[\]/)) {
					text = substr(text, RLENGTH + 1)
					for (i = 1; i <= count; i++) for (k = 0; k < size[was[i]]; k++) hits[++found] = was[i] S k
				} else if (match(text, /^\[-?[0-9]+\]/)) {
					key = substr(text, 2, RLENGTH - 2) + 0
					text = substr(text, RLENGTH + 1)
					for (i = 1; i <= count; i++) { k = key < 0 ? size[was[i]] + key : key; if (k >= 0 && k < size[was[i]]) hits[++found] = was[i] S k }
				} else if (match(text, /^\[\?\(@\.[A-Za-z.]+ *(==|!=) *("[^"]*"|\047[^\047]*\047)\)\]/)) {
					name = substr(text, 6, RLENGTH - 7)
					text = substr(text, RLENGTH + 1)
					match(name, / *(==|!=) */)
					want = substr(name, RSTART + RLENGTH + 1)
					key = substr(name, 1, RSTART - 1)
					n = substr(name, RSTART, RLENGTH) ~ /!=/
					sub(/["\047]$/, "", want)
					for (i = 1; i <= count; i++) for (k = 0; k < size[was[i]]; k++) if ((value[under(was[i] S k, key)] == want) != n) hits[++found] = was[i] S k
				} else if (match(text, /^\[\047[^\047]*\047\]/)) {
					key = substr(text, 3, RLENGTH - 4)
					text = substr(text, RLENGTH + 1)
					for (i = 1; i <= count; i++) if ((was[i] S key) in seen) hits[++found] = was[i] S key
				} else if (match(text, /^\.([^.[\\]|\\.)+/)) {
					key = substr(text, 2, RLENGTH - 1)
					text = substr(text, RLENGTH + 1)
					gsub(/\\/, "", key)
					for (i = 1; i <= count; i++) if ((was[i] S key) in seen) hits[++found] = was[i] S key
				} else {
					print "stand-in: jsonpath is not supported: " text > "/dev/stderr"
					exit 3
				}
			}
		}
		function results(text, root,    i, out) {
			query(text, root)
			out = ""
			for (i = 1; i <= found; i++) out = out (i > 1 ? " " : "") (kind_of[hits[i]] == "scalar" ? value[hits[i]] : "{}")
			return out
		}
		function render(text, root,    out, token, body, depth, rest, n, i, mine) {
			out = ""
			while (match(text, /\{[^}]*\}/)) {
				out = out substr(text, 1, RSTART - 1)
				token = substr(text, RSTART + 1, RLENGTH - 2)
				text = substr(text, RSTART + RLENGTH)
				if (token ~ /^"/) {
					token = substr(token, 2, length(token) - 2)
					gsub(/\\n/, "\n", token); gsub(/\\t/, "\t", token)
					out = out token
				} else if (token ~ /^range /) {
					n = index(text, "{end}")
					if (!n) unclosed()
					body = substr(text, 1, n - 1)
					text = substr(text, n + 5)
					query(substr(token, 7), root)
					n = found
					for (i = 1; i <= n; i++) mine[i] = hits[i]
					for (i = 1; i <= n; i++) out = out render(body, mine[i])
				} else {
					out = out results(substr(token, 1, 1) == "." || substr(token, 1, 1) == "[" ? token : "." token, root)
				}
			}
			if (text ~ /[{}]/) unclosed()
			return out text
		}
		function status_of(root,    word) {
			word = results(".status.conditions[?(@.type==\"Ready\")].status", root)
			if (kind == "node") return word == "True" ? "Ready" : "NotReady"
			return word != "" ? word : results(".status.conditions[0].status", root)
		}
		function forget(root,    where) {
			for (where in seen) if (where == root || index(where, root S) == 1) { delete seen[where]; delete value[where]; delete size[where]; delete kind_of[where]; delete quoted[where] }
			delete size[root]
		}
		function load(file, root,    line) {
			yaml_begin(root)
			kind_of[root] = "map"
			while ((getline line <file) > 0) yaml(line)
			close(file)
			observe(root, file)
		}
		BEGIN {
			kind = ENVIRON["KIND"]
			n = split(ENVIRON["PATHS"], files, "\n")
			items = "list" S "items"
			kind_of[items] = "list"
			seen[items] = 1
			for (f = 1; f <= n; f++) {
				if (files[f] == "") continue
				root = items S (many + 0)
				load(files[f], root)
				if (chosen(root)) file_of[many++] = files[f]
				else forget(root)
				size[items] = many + 0
			}
			output = ENVIRON["OUTPUT"]
			if (output ~ /^jsonpath=/) {
				printf "%s", render(substr(output, 10), ENVIRON["LISTED"] != "" || many > 1 ? "list" : items S 0)
				exit
			}
			if (output != "name" && output != "yaml" && many && ENVIRON["HEADERS"] != "no") print "NAME   STATUS"
			for (f = 0; f < many; f++) {
				name = value[items S f S "metadata" S "name"]
				if (output == "name") print kind ENVIRON["GROUP"] "/" name
				else if (output == "yaml") { while ((getline line <file_of[f]) > 0) if (line !~ /^# born /) print line; print "---" }
				else print name "   " status_of(items S f)
			}
		}'
}

# get_listed: the objects that the files of -f list, by name
get_listed() {
	[ "$flag_output" = name ] || die "kubectl stand-in: get -f is supported with -o name"
	paths='' missing='' several=yes asked=$flag_namespace
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	for origin in $flag_filename; do
		[ -r "$origin" ] || die "error: the path \"$origin\" does not exist"
		documents "$origin" "$work"
		while IFS='|' read -r _ kind api name space _ _; do
			serves "$kind" "$api" || die "error: resource mapping not found for name: \"$name\" namespace: \"$space\" from \"$origin\": no matches for kind \"$kind\" in version \"$api\"${newline}ensure CRDs are installed first"
			[ -z "$asked" ] || [ "${space:-$asked}" = "$asked" ] || die "error: the namespace from the provided object \"$space\" does not match the namespace \"$asked\". You must pass '--namespace=$space' to perform this operation."
			flag_namespace=${space:-$asked} before=$paths
			find_named "$kind" "$name"
			[ "$paths" = "$before" ] || echo "$stored${group:+.$group}/$name"
		done <"$work/index"
	done
	rm -rf "$work"
	tell_missing
}

kubectl_get() {
	if [ -n "$flag_raw" ]; then
		get_raw "$flag_raw"
		return
	fi
	case $flag_output in
	'' | name | yaml | wide | jsonpath=*) ;;
	json | jsonpath-as-json=* | custom-columns=* | go-template=*) die "kubectl stand-in: -o $flag_output is not supported" ;;
	*) die "error: unable to match a printer suitable for the output format \"$flag_output\", allowed formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml" ;;
	esac
	if [ -n "$flag_filename" ]; then
		get_listed
		return
	fi
	find_objects "$@"
	if [ -z "$paths" ]; then
		[ -n "$missing$flag_output$flag_ignore_not_found" ] || echo "No resources found in ${flag_namespace:-default} namespace." >&2
	fi
	[ -z "$paths" ] && [ -z "$listed" ] || answer
	tell_missing
}

# get_raw PATH
get_raw() {
	case $1 in
	/readyz* | /livez* | /healthz*)
		! fault starting || die "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[+]log ok\\n[+]etcd ok\\n[+]etcd-readiness ok\\n[+]informer-sync ok\\n[+]poststarthook/start-apiserver-admission-initializer ok\\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\\n[-]poststarthook/scheduling/bootstrap-system-priority-classes failed: reason withheld\\n[+]shutdown ok\\nreadyz check failed\") has prevented the request from succeeding"
		printf ok
		;;
	/cacerts) cat "$tls/server-ca.crt" ;;
	/version) printf '{"gitVersion": "%s"}' "$version" ;;
	*) die "Error from server (NotFound): the server could not find the requested resource" ;;
	esac
}

# the_condition: sets `wanted` and `expected` from --for
the_condition() {
	case $flag_for in
	condition=*=*) expected=${flag_for##*=} wanted=${flag_for#condition=} wanted=${wanted%%=*} ;;
	condition=*) expected=True wanted=${flag_for#condition=} ;;
	delete | create) expected='' wanted=$flag_for ;;
	jsonpath=*) die "kubectl stand-in: wait --for=$flag_for is not supported" ;;
	'') die "error: unrecognized condition: []" ;;
	*) die "error: unrecognized condition: \"$flag_for\"" ;;
	esac
}

kubectl_wait() {
	waited=0
	flag_output='jsonpath={.status.conditions[?(@.type=="'$wanted'")].status}'
	while :; do
		find_objects "$@"
		case $wanted:$missing in
		delete:?*) return 0 ;;
		create:?*) ;;
		*) tell_missing ;;
		esac
		[ -n "$paths" ] || [ "$wanted" = create ] || die "error: no matching resources found"
		met=yes
		all=$paths
		for path in $all; do
			paths=$path listed='' several=''
			[ "$wanted" = create ] || [ "$(answer)" = "$expected" ] || met=''
		done
		[ -n "$all" ] || met=''
		[ -z "$met" ] || break
		if [ "$waited" -ge "${flag_timeout:-30}" ]; then
			for path in $all; do
				die "error: timed out waiting for the condition on ${plural}/${path##*/}"
			done
			die "error: timed out waiting for the condition"
		fi
		sleep 1
		waited=$((waited + 1))
		read -r now _ <"${STANDIN_PROC:-/proc}/uptime"
	done
	for path in $all; do
		echo "$stored${plural#"${plural%%.*}"}/${path##*/} condition met"
	done
}

# leaves NODE: K3s holds a Node back (a finalizer, pkg/etcd/member_controller.go) until its member of etcd is gone
leaves() {
	! fault member || {
		echo "node \"$1\" deleted"
		die "error: timed out waiting for the condition on nodes/$1"
	}
	rm -f "$state/members/$1" "$state/cordoned/$1" "$state/objects/pod/kube-system/cilium-$1"
	[ -e "$state/objects/pod/kube-system/cilium-operator-$1" ] || return 0
	rm "$state/objects/pod/kube-system/cilium-operator-$1"
	look_at_nodes
	for other in $alive; do
		[ "$other" = "$1" ] || { cilium_pod cilium-operator "cilium-operator-$other" "$other" && return; }
	done
}

kubectl_delete() {
	case $#:$1 in
	*:*/* | [!1]:*) ;;
	*) [ -n "$flag_all$flag_selector$flag_field_selector" ] || die "error: resource(s) were provided, but no name was specified" ;;
	esac
	find_objects "$@"
	if [ -n "$listed" ]; then
		flag_output=name
		names=$(answer)
		paths=''
		for name in $names; do
			paths="$paths$(echo "$state/objects/$stored"/*/"${name##*/}")$newline"
		done
	fi
	for path in $paths; do
		[ "$stored" != node ] || leaves "${path##*/}"
		rm "$path"
		space=${path%/*} space=${space##*/}
		[ "$space" != _ ] && space=" from $space namespace" || space=''
		echo "$stored${plural#"${plural%%.*}"} \"${path##*/}\" deleted$space"
		restarted "$stored" "${path##*/}"
	done
	tell_missing
}

# restarted STORED NAME: the pod, or what a Deployment or DaemonSet started anew
restarted() {
	case $1:$2 in
	pod:cilium-operator* | deployment:cilium-operator) rm -f "$state/faults/gateway" ;;
	esac
	case $1 in
	deployment | daemonset) return ;;
	esac
	# what owns the pod makes another
	case $2 in
	cilium-operator-*) cilium_pod cilium-operator "$2" "${2#cilium-operator-}" ;;
	cilium-*) cilium_pod cilium "$2" "${2#cilium-}" ;;
	esac
}

# create namespace NAME
kubectl_create() {
	[ ! -e "$state/objects/namespace/_/$2" ] || die "Error from server (AlreadyExists): namespaces \"$2\" already exists"
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n' "$2" | put namespace '' "$2"
	echo "namespace/$2 created"
}

# one_object KIND NAME ... or KIND/NAME ...: sets `path` and `named`, and `taken` to how many words that were
one_object() {
	taken=2
	case ${1:-} in
	*/*)
		taken=1
		set -- "${1%%/*}" "${1#*/}"
		;;
	esac
	named=${2:-}
	find_objects "$1" "$named"
	tell_missing
	path=${paths%"$newline"}
}

# kubectl_mark PART KIND NAME KEY=VALUE|KEY-...: annotations or labels of one object (kubectl pkg/cmd/label, annotate)
kubectl_mark() {
	part=$1
	shift
	one_object "$@"
	shift "$taken"
	for pair in "$@"; do
		case $part:$pair in
		labels:*=*=*) die "error: invalid label spec: $pair" ;;
		labels:*=*)
			printf '%s\n' "${pair#*=}" | grep -qxE '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?' ||
				die "error: invalid label value: \"$pair\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
			;;
		*:*=* | *:*-) ;;
		labels:*) die "error: unknown label spec: $pair" ;;
		*) die "error: all resources must be specified before annotation changes: $pair" ;;
		esac
	done
	printf '%s\n' "$@" >"$path.tmp.words.$$"
	told=$(awk -v part="$part" -v overwrite="$flag_overwrite" -v out="$path.tmp.mark.$$" '
		function plain(text) { if (text ~ /^"/) { text = substr(text, 2, length(text) - 2); gsub(/\\"/, "\"", text); gsub(/\\\\/, "\\", text) } return text }
		function quoted(text) { gsub(/\\/, "&&", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }
		NR == FNR {
			at = index($0, "=")
			if (at) { key[++n] = substr($0, 1, at - 1); want[key[n]] = substr($0, at + 1) }
			else drop[++dropped] = substr($0, 1, length($0) - 1)
			next
		}
		{ line[++m] = $0 }
		/^[^ ]/ { section = "" }
		$0 == "metadata:" { metadata = m }
		/^  [^ ]/ { section = $0 }
		section == "  " part ":" && /^  [^ ]/ { head = m }
		section == "  " part ":" && /^    [^ ]/ { at = index($0, ": "); k = plain(substr($0, 5, at - 5)); row[k] = m; value[k] = plain(substr($0, at + 2)) }
		END {
			for (i = 1; i <= n; i++) {
				k = key[i]
				if (k in row && value[k] == want[k]) continue
				if (k in row && overwrite != "true") { print "\047" k "\047 already has a value (" value[k] "), and --overwrite is false"; exit 4 }
				added++
				if (k in row) line[row[k]] = "    " k ": " quoted(want[k])
				else fresh = fresh "    " k ": " quoted(want[k]) "\n"
			}
			for (i = 1; i <= dropped; i++) {
				if (drop[i] in row) { removed++; gone[row[drop[i]]] = 1 }
				else if (part == "labels") print "label \"" drop[i] "\" not found."
			}
			for (i = 1; i <= m; i++) {
				if (!(i in gone)) print line[i] > out
				if (fresh != "" && (i == head || (!head && i == metadata))) printf("%s%s", (head ? "" : "  " part ":\n"), fresh) > out
			}
			if (part == "annotations") print "annotated"
			else print added && removed ? "modified" : added ? "labeled" : removed ? "unlabeled" : "not labeled"
		}' "$path.tmp.words.$$" "$path") || {
		rm -f "$path".tmp.*."$$"
		die "error: $told"
	}
	tail -n +2 "$path.tmp.mark.$$" | store "$path" "$(head -n 1 "$path.tmp.mark.$$")"
	rm -f "$path".tmp.*."$$"
	printf '%s\n' "$told" | sed "\$s|^|$stored/$named |"
}

# kubectl_taint node NAME TAINT...: as kubectl pkg/cmd/taint does it, words included
kubectl_taint() {
	one_object "$@"
	[ "$stored" = node ] || die "error: invalid resource type $1, only node types are supported"
	shift "$taken"
	for taint in "$@"; do
		bare=${taint%-}
		case $taint in
		*:*:*) taint_usage "invalid taint spec: $bare" ;;
		*:NoSchedule | *:PreferNoSchedule | *:NoExecute | *:NoSchedule- | *:PreferNoSchedule- | *:NoExecute-) ;;
		*:*) taint_usage "invalid taint effect: ${bare##*:}, unsupported taint effect" ;;
		*-) ;;
		*) taint_usage "invalid taint spec: $taint" ;;
		esac
	done
	printf '%s\n' "$@" >"$path.tmp.words.$$"
	told=$(awk -v overwrite="$flag_overwrite" -v out="$path.tmp.mark.$$" -v node="$named" '
		function take(spec, into,    at) { # sets key, effect and value
			effect = ""
			if (at = index(spec, ":")) { effect = substr(spec, at + 1); spec = substr(spec, 1, at - 1) }
			value = ""
			if (at = index(spec, "=")) { value = substr(spec, at + 1); spec = substr(spec, 1, at - 1) }
			key = spec
		}
		function write(key, value, effect) { printf("  - effect: %s\n    key: %s\n%s", effect, key, (value == "" ? "" : "    value: \"" value "\"\n")) > out }
		NR == FNR {
			take($0 ~ /-$/ ? substr($0, 1, length($0) - 1) : $0)
			if ($0 ~ /-$/) { gone_key[++gones] = key; gone_effect[gones] = effect }
			else { n++; new_key[n] = key; new_effect[n] = effect; new_value[n] = value }
			next
		}
		/^[^ ]/ { part = $0; inside = 0 }
		part == "spec:" && /^  [^ -]/ { inside = $0 == "  taints:" }
		part == "spec:" && inside && /^  - / { o++; sub(/^  - /, "    ") ; old_value[o] = "" }
		part == "spec:" && inside && /^    (key|value|effect): / { text = $2; gsub(/"/, "", text); if ($1 == "key:") old_key[o] = text; if ($1 == "value:") old_value[o] = text; if ($1 == "effect:") old_effect[o] = text }
		part == "spec:" && inside { next }
		$0 != "spec:" { if (part == "spec:") rest = rest $0 "\n"; else line[++m] = $0 }
		END {
			for (i = 1; i <= n; i++) for (j = 1; j <= o; j++) if (new_key[i] == old_key[j] && new_effect[i] == old_effect[j]) {
				if (overwrite != "true") { print "node " node " already has " new_key[i] " taint(s) with same effect(s) and --overwrite is false"; exit 4 }
				replaced[j] = 1
			}
			for (j = 1; j <= o; j++) if (!(j in replaced)) { n++; new_key[n] = old_key[j]; new_effect[n] = old_effect[j]; new_value[n] = old_value[j] }
			for (i = 1; i <= gones; i++) {
				hit = 0
				for (j = 1; j <= n; j++) if (new_key[j] == gone_key[i] && (gone_effect[i] == "" || new_effect[j] == gone_effect[i])) { hit = 1; dropped[j] = 1 }
				if (!hit) { print "taint \"" gone_key[i] (gone_effect[i] == "" ? "" : ":" gone_effect[i]) "\" not found"; exit 4 }
			}
			for (i = 1; i <= m; i++) print line[i] > out
			for (j = 1; j <= n; j++) if (!(j in dropped)) left++
			if (left || rest != "") printf("spec:\n%s", rest) > out
			if (left) print "  taints:" > out
			for (j = 1; j <= n; j++) if (!(j in dropped)) write(new_key[j], new_value[j], new_effect[j])
			print (overwrite == "true" ? "modified" : (n > o) ? "tainted" : "untainted")
		}' "$path.tmp.words.$$" "$path") || {
		rm -f "$path".tmp.*."$$"
		die "error: $told"
	}
	tail -n +2 "$path.tmp.mark.$$" | store "$path" "$(head -n 1 "$path.tmp.mark.$$")"
	rm -f "$path".tmp.*."$$"
	echo "node/$named $told"
}

taint_usage() {
	die "error: $1
See 'kubectl taint -h' for help and examples"
}

# kubectl_cordon NODE: whether pods may come is a file beside the Node, which holds one value a line anyway
kubectl_cordon() {
	find_objects node "$1"
	tell_missing
	mark=$state/cordoned/$1
	case $verb:$([ -e "$mark" ] && echo yes) in
	uncordon:) echo "node/$1 already uncordoned" ;;
	uncordon:yes) rm "$mark" && echo "node/$1 uncordoned" ;;
	*:yes) echo "node/$1 already cordoned" ;;
	*)
		mkdir -p "$state/cordoned"
		: >"$mark"
		echo "node/$1 cordoned"
		;;
	esac
}

# undrained NODE TEXT: why it is not (kubectl pkg/cmd/drain/drain.go)
undrained() {
	die "error: unable to drain node \"$1\" due to error: $2, continuing command...
There are pending nodes to be drained:
 $1
error: $2"
}

# kubectl_drain NODE: pods of a DaemonSet are those of Cilium's agents here; the annotations `stand-in/owner: none` and
# `stand-in/volume: emptyDir` of a pod, and the fault `budget` with NAMESPACE/POD, stand for what else matters to it (kubectl pkg/drain/filters.go, pkg/drain/drain.go).
kubectl_drain() {
	kubectl_cordon "$1"
	daemons='' alone='' local='' evicted=''
	for file in "$state"/objects/pod/*/*; do
		case $file in
		*'*' | *.tmp.*) continue ;;
		esac
		grep -qx "  nodeName: $1" "$file" || continue
		pod=${file#"$state"/objects/pod/}
		case $pod in
		kube-system/cilium-operator-*) ;;
		kube-system/cilium-*) daemons="$daemons, $pod" && continue ;;
		esac
		! grep -q '^    stand-in/owner: none' "$file" || alone="$alone, $pod"
		! grep -q '^    stand-in/volume: emptyDir' "$file" || local="$local, $pod"
		evicted="$evicted $pod"
	done
	found=''
	[ -z "$alone" ] || [ "$flag_force" = true ] || found="cannot delete Pods that declare no controller (use --force to override): ${alone#, }"
	[ -z "$local" ] || [ "$flag_delete_emptydir_data" = true ] || found="${found:+$found, }cannot delete Pods with local storage (use --delete-emptydir-data to override): ${local#, }"
	[ -z "$daemons" ] || [ "$flag_ignore_daemonsets" = true ] || found="${found:+$found, }cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ${daemons#, }"
	case $found in
	*', cannot delete'*) found="[$found]" ;;
	esac
	[ -z "$found" ] || undrained "$1" "$found"
	[ -z "$daemons" ] || echo "Warning: ignoring DaemonSet-managed Pods: ${daemons#, }" >&2
	fault_text budget
	for pod in $evicted; do
		echo "evicting pod $pod"
		[ "$pod" != "$text" ] || {
			echo "error when evicting pods/\"${pod#*/}\" -n \"${pod%/*}\" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget." >&2
			sleep "${flag_timeout:-0}"
			undrained "$1" "error when evicting pods/\"${pod#*/}\" -n \"${pod%/*}\": global timeout reached: ${flag_timeout:-0}s"
		}
		rm "$state/objects/pod/$pod"
		echo "pod/${pod#*/} evicted"
	done
	echo "node/$1 drained"
}

kubectl_rollout() {
	shift
	find_objects "$@"
	tell_missing
	for path in $paths; do
		case $sub in
		restart)
			restarted "$stored" "${path##*/}"
			echo "$stored.apps/${path##*/} restarted"
			;;
		status)
			waited=0
			while look_at_nodes && count_pods "$stored" "$path" && [ "$running" -lt "$desired" ]; do
				[ "$waited" -lt "${flag_timeout:-300}" ] || die "error: timed out waiting for the condition"
				[ "$waited" -gt 0 ] || echo "Waiting for $stored \"${path##*/}\" rollout to finish: $running of $desired updated pods are available..."
				sleep 1
				waited=$((waited + 1))
				read -r now _ <"${STANDIN_PROC:-/proc}/uptime"
			done
			echo "$stored \"${path##*/}\" successfully rolled out"
			;;
		esac
	done
}

# --- which command

# verb_flags: sets `flags` of it
verb_flags() {
	command="kubectl $verb"
	case $verb in
	'') flags='' command=kubectl ;;
	get) flags=$get_flags ;;
	apply) flags=$apply_flags ;;
	wait) flags=$wait_flags ;;
	delete) flags=$delete_flags ;;
	create) flags=$create_flags ;;
	annotate) flags=$annotate_flags ;;
	label) flags=$label_flags ;;
	taint) flags=$taint_flags ;;
	drain) flags=$drain_flags ;;
	cordon | uncordon) flags=$cordon_flags ;;
	version) flags=$version_flags ;;
	cluster-info) flags=$cluster_info_flags ;;
	rollout)
		case $sub in
		restart) flags=$rollout_restart_flags command='kubectl rollout restart' ;;
		status) flags=$rollout_status_flags command='kubectl rollout status' ;;
		*) flags='' ;;
		esac
		;;
	describe | logs | exec | edit | patch | replace | scale | diff | explain | run | expose | top | \
		certificate | debug | events | port-forward | proxy | cp | auth | attach | set | autoscale | kustomize | completion | api-resources | \
		api-versions | config | kuberc | plugin) die "kubectl stand-in: $verb is not supported" ;;
	*) die "error: unknown command \"$verb\" for \"kubectl\"" ;;
	esac
}

# check_words WORD...: what is said before the API is asked
check_words() {
	case $verb:$# in
	get:1)
		[ -n "$flag_raw$flag_filename" ] || die 'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).
See '"'kubectl get -h'"' for help and examples'
		;;
	apply:*)
		[ -n "$flag_filename" ] || die "error: must specify one of -f and -k"
		[ -z "$flag_force_conflicts" ] || [ -n "$flag_server_side" ] || die "error: --force-conflicts only works with --server-side"
		for file in $flag_filename; do
			[ "$file" = - ] || [ -e "$file" ] || die "error: the path \"$file\" does not exist"
		done
		;;
	wait:*) the_condition ;;
	delete:1)
		die "error: You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"
		;;
	create:*)
		case ${2:-} in
		ns | namespace) [ $# -eq 3 ] || die "error: exactly one NAME is required, got $(($# - 2))
See 'kubectl create namespace -h' for help and examples" ;;
		*)
			shift
			die "error: Unexpected args: [$*]
See 'kubectl create -h' for help and examples"
			;;
		esac
		;;
	drain:1 | cordon:1 | uncordon:1) die "error: USAGE: $verb NODE [flags]
See '$command -h' for help and examples" ;;
	annotate:* | label:*)
		case "$* " in
		*=* | *'- '*) ;;
		*) die "error: at least one $(echo "$verb" | sed 's/annotate/annotation/') update is required" ;;
		esac
		;;
	taint:*)
		case "$* " in
		*=* | *:* | *'- '*) [ $# -gt 2 ] || die "error: at least one resource name must be specified since 'all' parameter is not set" ;;
		taint\ ) die "error: one or more resources must be specified as <resource> <name>" ;;
		*) die "error: at least one taint update is required" ;;
		esac
		;;
	rollout:1) die "Manage the rollout of one or many resources." ;;
	rollout:*)
		case $2:$# in
		restart:2 | status:2) die "error: required resource not specified" ;;
		restart:* | status:*) ;;
		*) die "error: unknown command \"$2\"
See 'kubectl rollout -h' for help and examples" ;;
		esac
		;;
	esac
}

need_kubectl_api() {
	if [ -n "$flag_kubeconfig" ]; then
		KUBECONFIG=$flag_kubeconfig
		[ -e "$KUBECONFIG" ] || die "error: stat $KUBECONFIG: no such file or directory"
	fi
	export KUBECONFIG="${KUBECONFIG:-$kubeconfig}"
	[ ! -e "$KUBECONFIG" ] || [ -r "$KUBECONFIG" ] || die "error: error loading config file \"$KUBECONFIG\": open $KUBECONFIG: permission denied"
	read_kubeconfig
	[ -z "$flag_server" ] || dial
	case $verb in
	get | wait) is_here || forward kubectl "$@" ;;
	*) forward kubectl "$@" ;;
	esac
	[ -z "${STANDIN_LOCAL:-}" ] || [ -e "$ready" ] || die "Error from server (ServiceUnavailable): the server is currently unable to handle the request"
	api_up || unreachable
	[ "$flag_raw" != /cacerts ] || return 0
	case $flag_raw in
	/readyz* | /livez* | /healthz*)
		! no_quorum || die "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[+]log ok\\n[-]etcd failed: reason withheld\\n[-]etcd-readiness failed: reason withheld\\n[+]informer-sync ok\\n[+]shutdown ok\\nreadyz check failed\") has prevented the request from succeeding"
		;;
	*) ! no_quorum || die "Error from server: etcdserver: request timed out" ;;
	esac
	user
	# Complained of and passed over: kubernetes/client-go discovery/cached/memory/memcache.go, as long as metrics-server is not up.
	if [ -z "${STANDIN_LOCAL:-}" ] && fault discovery; then
		printf 'E1129 10:00:00.000000    4711 memcache.go:287] "Unhandled Error" err="couldn'"'"'t get resource list for metrics.k8s.io/v1beta1: the server is currently unable to handle the request" logger="UnhandledError"\n' >&2
	fi
}

kubectl() {
	find_verb "$@"
	verb_flags
	take_flags "$global_flags $flags" "$@"
	if [ -n "$flag_request_timeout" ]; then
		case $flag_request_timeout in
		*[!0-9]*) seconds "$flag_request_timeout" || die "error: Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)" ;;
		esac
	fi
	case $verb:$flag_client in
	:*)
		echo "kubectl controls the Kubernetes cluster manager."
		return
		;;
	version:*)
		printf 'Client Version: %s\nKustomize Version: v5.8.1\n' "$version"
		[ "$flag_client" != true ] || return 0
		;;
	esac
	# shellcheck disable=SC2086 # words hold no blanks
	check_words $words
	need_kubectl_api "$@"
	# shellcheck disable=SC2086
	set -- $words
	called kubectl "$@"
	shift
	case $verb in
	apply) kubectl_apply ;;
	get) kubectl_get "$@" ;;
	wait) kubectl_wait "$@" ;;
	delete) kubectl_delete "$@" ;;
	create) kubectl_create "$@" ;;
	rollout) kubectl_rollout "$@" ;;
	annotate) kubectl_mark annotations "$@" ;;
	label) kubectl_mark labels "$@" ;;
	taint) kubectl_taint "$@" ;;
	cordon | uncordon) kubectl_cordon "$@" ;;
	drain) kubectl_drain "$@" ;;
	version) echo "Server Version: $version" ;;
	cluster-info) echo "Kubernetes control plane is running at https://$server" ;;
	esac
}
