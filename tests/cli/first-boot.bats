#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# First boot: steps, causes, stamps and report, run here with stand-ins for the cluster (see ../lib/first-boot.bash).
# slow: each case renders a card and waits through hours of the card's time.

load ../lib/first-boot

with_certificates=('loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:'
	'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]')
export DO_TOKEN=dop_v1_canary

# after STEP|end: one card for all, so that its steps are taken once
after() {
	card_after "$1" "${with_certificates[@]}"
}

all_steps() {
	local one
	for one in $(steps); do
		step "$one" || { echo "$one"; cat "log.$one"; return 1; }
	done
}

@test "a first server's steps are done one after the other, and the report says so" {
	after end
	report
	[ "$(jq -r .state card/run/pibuild/status.json)" = "done" ]
	[ "$(jq -r '.steps[] | .name + "=" + .state' card/run/pibuild/status.json)" = "$(steps | sed 's/$/=done/')" ]
	[ "$(steps | wc -l)" -ge 7 ]
	grep -qx "pibuild: READY: all $(steps | wc -l) steps done" console
}

@test "what was installed is what the card holds, in this order" {
	after end
	run grep -oE '(kubectl apply|cilium install|helm upgrade)' card/state/calls
	[ "$(uniq <<<"$output" | tr '\n' ' ')" = "kubectl apply cilium install kubectl apply helm upgrade kubectl apply " ]
	for object in customresourcedefinition/_/gateways.gateway.networking.k8s.io ciliumloadbalancerippool/_/lan \
		ciliuml2announcementpolicy/_/lan clusterissuer/_/letsencrypt-production secret/cert-manager/dns01; do
		[ -s "card/state/objects/$object" ]
	done
}

@test "the staged secret is gone once the cluster has it" {
	card "${with_certificates[@]}"
	[ -s card/etc/pibuild/secrets/dns01.yaml ]
	after end
	[ ! -e card/etc/pibuild/secrets/dns01.yaml ]
	grep -q dop_v1_canary card/state/objects/secret/cert-manager/dns01
	run ! grep -rq dop_v1_canary card/run log.*
}

@test "a new secret that apply brought reaches the cluster although nothing else changed, and is gone then" {
	export BGP_PASSWORD=bgp-canary
	card_after end 'loadBalancer: {pools: [{name: s, range: 172.20.0.10-172.20.0.20}], announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513, password: {env: BGP_PASSWORD}}}}' \
		"${with_certificates[@]:1}"
	local before one kind
	printf '%s\n' /etc/pibuild/secrets/bgp.yaml /etc/pibuild/secrets/dns01.yaml | diff - <(cut -f 2 card/var/lib/pibuild/taken | sort)
	for one in loadbalancer:kube-system/bgp:password issuers:cert-manager/dns01:access-token; do
		IFS=: read -r step object key <<<"$one"
		before=$(sha256sum <"card/var/lib/pibuild/$step.done")
		printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\ntype: Opaque\nstringData:\n  %s: rotated-canary\n' \
			"${object#*/}" "${object%/*}" "$key" >"card/etc/pibuild/secrets/${object#*/}.yaml"
		wanted=$(sha256sum <"card/etc/pibuild/secrets/${object#*/}.yaml")
		rm "card/run/pibuild/steps/$step"
		tick "$(leap 200 900)"
		step "$step"
		grep -q rotated-canary "card/state/objects/secret/$object"
		[ ! -e "card/etc/pibuild/secrets/${object#*/}.yaml" ]
		[ "$(awk -F '\t' -v path="/etc/pibuild/secrets/${object#*/}.yaml" '$2 == path { print $1 }' card/var/lib/pibuild/taken)" = "${wanted%% *}" ]
		[ "$(sha256sum <"card/var/lib/pibuild/$step.done")" = "$before" ]
	done
	run ! grep -rq rotated-canary card/run card/etc card/var log.*
}

@test "a second boot applies nothing again, also when kubectl complains of something else with every answer" {
	after end
	rm -r card/run/pibuild
	mkdir -p card/state/faults && : >card/state/faults/discovery
	digest() { (cd card && find etc var state/objects -type f | sort | xargs sha256sum | sha256sum); }
	before=$(digest) calls=$(grep -cE 'apply|install|upgrade' card/state/calls)
	all_steps
	[ "$(digest)" = "$before" ]
	[ "$(grep -cE 'apply|install|upgrade' card/state/calls)" = "$calls" ]
}

@test "a step run twice at once is done once" {
	after gateway-crds
	step cni & 
	timeout 90 sh card/usr/lib/pibuild/step cni >log.second 2>&1
	wait
	[ "$(grep -c 'cilium install' card/state/calls)" = 1 ]
	run ! grep -q 'cilium upgrade' card/state/calls
}

@test "a torn stamp is none: the step is taken again" {
	after end
	: >card/var/lib/pibuild/loadbalancer.done
	rm -r card/run/pibuild/steps/loadbalancer
	step loadbalancer
	[ "$(grep -c 'kubectl apply' card/state/calls)" -gt 5 ]
	[ -s card/var/lib/pibuild/loadbalancer.done ]
}

@test "changed values on the card are an upgrade" {
	after cni
	echo '# changed' >>card/etc/pibuild/cilium-values.yaml
	step cni
	[ "$(grep -c 'cilium upgrade' card/state/calls)" = 1 ]
}

@test "a step that needs another waits without a look at the clock while that one is at work, and goes on when it is done" {
	card
	api_up
	mkdir -p card/run/pibuild/steps
	exec 8>card/run/pibuild/lock.preflight
	flock 8
	step k3s 8>&- &
	until grep -qs 'state pending' card/run/pibuild/steps/k3s; do /bin/sleep 0.02; done
	before=$(cat card/proc/uptime)
	/bin/sleep 0.3
	[ "$(cat card/proc/uptime)" = "$before" ]
	printf 'state done\n' >card/run/pibuild/steps/preflight
	exec 8>&-
	wait $!
	[ "$(state_of k3s state)" = "done" ]
}

@test "a step that needs another which nobody takes waits for it all the same" {
	card
	api_up
	tick '[ "$1" -lt 130 ] || echo "state done" >card/run/pibuild/steps/preflight'
	step k3s
	[ "$(state_of k3s state)" = "done" ]
	[ "$(state_of k3s since)" -ge 130 ]
}

@test "a release that a power cut left pending is cleared away" {
	after gateway-crds
	mkdir -p card/state/faults && echo stuck >card/state/faults/cilium-install
	step cni
	grep -q 'left in state pending-install' log.cni
	grep -q 'status: deployed' card/state/objects/secret/kube-system/sh.helm.release.v1.cilium.v1
	[ "$(ls card/state/objects/secret/kube-system | grep -c cilium)" = 1 ]
}

# What each step makes, and what may be gone of it: definitions, objects, helm's record; then the whole datastore.
@test "what is gone from the cluster is made again in spite of its stamp" {
	after end
	local gone steps one need objects=card/state/objects
	while read -r gone steps; do
		rm -r "$objects/$gone" card/run/pibuild/steps
		mkdir card/run/pibuild/steps
		for one in $steps; do
			for need in $(awk -v step="$one" '$1 == step { gsub(/,/, " ", $2); print $2 }' card/etc/pibuild/steps); do
				printf 'state done\n' >"card/run/pibuild/steps/$need"
			done
			step "$one" </dev/null || { echo "$gone: $one"; cat "log.$one"; false; }
		done
		[ -e "$objects/$gone" ] || { echo "$gone"; false; }
	done <<-EOT
		customresourcedefinition/_/gateways.gateway.networking.k8s.io gateway-crds
		ciliumloadbalancerippool loadbalancer
		ciliuml2announcementpolicy/_/lan loadbalancer
		deployment/cert-manager/cert-manager-webhook cert-manager
		deployment/kube-system/cilium-operator cni
		customresourcedefinition/_/clusterissuers.cert-manager.io cert-manager issuers
		clusterissuer issuers
		secret/kube-system cni
	EOT
	rm -r "$objects" card/run/pibuild card/ready
	api_up
	all_steps
	for gone in customresourcedefinition/_/gateways.gateway.networking.k8s.io ciliumloadbalancerippool/_/lan clusterissuer/_/letsencrypt-production; do
		[ -s "$objects/$gone" ]
	done
}

@test "of a release everything that helm's record lists is asked for, each in its namespace, but Jobs; what is gone is named" {
	card
	mkdir -p card/run/pibuild
	program helm 'cat "${PIBUILD_ROOT%/*}/manifest"'
	cat >manifest <<-'EOT'
		---
		# Source: x/templates/a.yaml
		apiVersion: v1
		kind: ServiceAccount
		metadata:
		  # of the agent
		  labels:
		    name: not-this
		  name: "a"
		  namespace: kube-system
		---
		apiVersion: apps/v1
		kind: Deployment
		metadata:
		  name: b
		spec:
		  template:
		    metadata:
		      name: nor-this
		---
		apiVersion: batch/v1
		kind: Job
		metadata:
		  name: c
		---
		# nothing
	EOT
	in_lib 'PATH=$PIBUILD_ROOT/usr/local/bin:$PATH' 'ask() { cp "$5" asked; echo "Error from server (NotFound): deployments.apps \"b\" not found"; return 1; }' \
		'whole_release its-own x; echo "$? $cause" >told' 'attempts=1 cause=' 'whole_release its-own x; echo "$? $cause" >after'
	diff asked - <<-'EOT'
		---
		apiVersion: v1
		kind: ServiceAccount
		metadata:
		  name: "a"
		  namespace: kube-system
		---
		apiVersion: apps/v1
		kind: Deployment
		metadata:
		  name: b
		  namespace: its-own
	EOT
	[ "$(cat told)" = '2 deployments.apps "b" is gone from the cluster' ]
	[ "$(cat after)" = '0 ' ]
}

@test "an API that never answers is waiting, then failed at its bound, then done once it is there" {
	card
	echo activating >card/k3s-state
	step preflight
	tick "$(leap 150 950)" 'state=$(sed -n "s/^state //p" card/run/pibuild/steps/k3s)' 'echo "$1 $state" >>seen' \
		'[ "$1" -lt 1020 ] || { echo active >card/k3s-state; [ -e card/ready ] || timeout 5 card/usr/local/bin/k3s server >/dev/null 2>&1 & }'
	step k3s
	grep -q ' waiting' seen
	[ "$(awk '$2 == "failed" { print $1; exit }' seen)" -le 1010 ]
	[ "$(awk '$2 == "failed" { print $1; exit }' seen)" -ge 1000 ]
	[ "$(state_of k3s state)" = "done" ]
}

@test "K3s that ends again and again: its own words, in ours" {
	card
	echo activating >card/k3s-state && echo 3 >card/k3s-restarts
	echo 'time="2026" level=fatal msg="failed to find memory cgroup (v2)"' >card/journal
	step preflight
	tick '[ "$1" -lt 110 ] || { cp card/run/pibuild/steps/k3s seen; '"$stop_step"'; }'
	refute step k3s
	grep -qx 'state failed' seen
	grep -q "^cause The kernel's memory cgroup is off" seen
	grep -q '^cure Add cgroup_enable=memory to' seen
}

# fails_with STEP FAULT-FILE CONTENT: until uptime 400 the fault is there; `seen` keeps the report of that time
fails_with() {
	mkdir -p card/state/faults
	printf '%s\n' "$3" >"card/state/faults/$2"
	tick "! grep -qsx 'state waiting' card/run/pibuild/steps/$1 || { $(leap 150 $((${4:-400} - 10))); }" "[ \"\$1\" -lt ${4:-400} ] || { [ -e seen ] || cp card/run/pibuild/steps/$1 seen; rm -f card/state/faults/$2; }"
	step "$1"
	[ "$(state_of "$1" state)" = "done" ]
}

@test "a webhook that is late: said, waited for, done" {
	after cert-manager
	fails_with issuers webhook x
	grep -qx 'state waiting' seen
	grep -qx "cause cert-manager's webhook does not answer yet" seen
	[ "$(sed -n 's/^attempts //p' seen)" -ge 2 ]
}

@test "definitions that Cilium's operator registers late: said, waited for, done" {
	after cni
	fails_with loadbalancer crds x
	grep -qx 'cause The API does not know ciliumloadbalancerippools.cilium.io yet' seen
}

@test "a manifest that the API refuses has failed at once, with the API's words" {
	after cni
	fails_with loadbalancer refuse CiliumLoadBalancerIPPool 130
	grep -qx 'state failed' seen
	grep -q '^cause The API refuses a manifest: The CiliumLoadBalancerIPPool "lan" is invalid' seen
	grep -q '^cure Correct it in cluster.yaml' seen
}

@test "Cilium that keeps ending: which pod, and the command that shows why" {
	after gateway-crds
	fails_with cni crashloop x
	grep -qx 'cause Pod cilium-cp-1 keeps ending (CrashLoopBackOff)' seen
	grep -q '^cure See why: kubectl -n kube-system logs cilium-cp-1' seen
}

@test "a program that is missing: which, and what to do" {
	after gateway-crds
	mv card/usr/local/bin/cilium .
	tick '[ "$1" -lt 110 ] || { [ -e seen ] || cp card/run/pibuild/steps/cni seen; cp cilium card/usr/local/bin/; }'
	step cni
	grep -qx 'state failed' seen
	grep -qx 'cause The program cilium is missing on this card' seen
}

@test "failed commands are tried again after 5, 10, 20, 40, 60, 60 seconds" {
	after cni
	mkdir -p card/state/faults && echo 'fail 6' >card/state/faults/kubectl-apply
	tick 'echo "$1" >>slept'
	step loadbalancer
	[ "$(state_of loadbalancer attempts)" = 7 ]
	[ "$(awk 'NR > 1 { printf "%d ", $1 - last } { last = $1 }' slept)" = "5 10 20 40 60 " ]
}

# --- what messages mean

# in_lib LINE...: run by the card's shell with the first-boot programs' own functions
in_lib() {
	mkdir -p card/run/pibuild
	printf '%s\n' '. "$PIBUILD_ROOT/usr/lib/pibuild/lib.sh"' "$@" >script
	sh script
}

@test "what programs say means what the table says: passing trouble is no wrong manifest" {
	card
	in_lib "while IFS='$(printf '\t')' read -r verdict begin output; do" \
		"case \$verdict in '#'*) continue ;; esac" \
		'printf "%b\n" "$output" >output; explain nothing <output; echo "${sure:+now}|$cause" >>told; echo "${verdict#wait}|$begin" >>wanted' \
		'case $cause in "$begin"*) begin=$cause ;; esac' \
		'[ "${sure:+now}|$cause" = "${verdict#wait}|$begin" ] || echo "${sure:+now} $cause, not $verdict $begin: $output"; done' \
		<"$top/tests/lib/causes.txt" >wrong
	[ "$(wc -l <told)" -ge 48 ]
	[ ! -s wrong ] || { cat wrong; false; }
}

@test "text of others stays as it is: no backslash is expanded, in no shell program of a card" {
	card
	mkdir -p card/run/pibuild/notes
	in_lib 'text='"'"'a \n b \t c'"'"'' 'say "$text" >said' 'note x "$text" "$text"' 'explain_text "$text"' 'printf "%s\n" "$cause" >explained'
	[ "$(cat said)" = 'pibuild: a \n b \t c' ]
	[ "$(cat card/run/pibuild/notes/x)" = 'cause a \n b \t c
cure a \n b \t c' ]
	[ "$(cat explained)" = 'a \n b \t c' ]
	in_lib "note y 'a$(printf '\001\303\244')b' 'c
state done'"
	[ "$(cat card/run/pibuild/notes/y)" = 'cause a b
cure c state done' ]
	run grep -rnE '(^|[^#[:alnum:]_-])echo ' "$top/overlays"
	[ "$output" = "$(grep -E ':[0-9]+:[[:space:]]*#' <<<"$output")" ] || { echo "$output"; false; }
}

@test "values that were taken out of the card leave the cluster too" {
	after end
	program cilium 'echo "$*" >>cilium-calls'
	program helm 'echo "$*" >>helm-calls'
	for one in cni:cilium cert-manager:cert-manager; do
		echo '# changed' >>"card/etc/pibuild/${one#*:}-values.yaml"
		step "${one%:*}"
	done
	grep -q '^upgrade --reset-values ' cilium-calls
	grep -q '^upgrade .* --reset-values ' helm-calls
}

@test "the secret for the zones that the cluster has lost is a note, or taken from the card as long as it is there" {
	card "${with_certificates[@]}"
	mkdir -p card/run/pibuild/notes
	local answers='ask() { case $* in *"get secret"*) cat secret; [ ! -s secret ] ;; *) echo "True x" ;; esac; }'
	echo 'Error from server (NotFound): secrets "dns01" not found' >secret
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished; echo $? >code'
	[ "$(cat code)" = 2 ]
	rm card/etc/pibuild/secrets/dns01.yaml
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished'
	grep -q '^cause The cluster has lost the secret' card/run/pibuild/notes/dns01
	: >secret
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished'
	[ ! -e card/run/pibuild/notes/dns01 ]
}

@test "the CA that the cluster has lost is taken from the card as long as it is there, else a note, and what its issuer says is told" {
	card 'certManager: {issuers: [ca], zones: [home.arpa]}'
	mkdir -p card/run/pibuild/notes
	local answers='ask() { case $* in *"get secret issuer-ca"*) cat secret; [ ! -s secret ] ;; *issuer\ ca*) cat issuer ;; *) echo "True x" ;; esac; }'
	echo 'Error from server (NotFound): secrets "issuer-ca" not found' >secret
	echo 'False Error getting keypair for CA issuer: secret "issuer-ca" not found' >issuer
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished; echo $? >code'
	[ "$(cat code)" = 2 ]
	in_lib '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'for file in $(staged); do shred_staged "$file"; done'
	[ ! -e card/etc/pibuild/secrets/issuer-ca.yaml ]
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished || printf "%s\n" "$cause" "$cure" >told'
	grep -q '^cause The cluster has lost the key of its CA' card/run/pibuild/notes/issuer-ca
	printf '%s\n' 'Issuer ca is not ready yet: Error getting keypair for CA issuer: secret "issuer-ca" not found' 'See why: kubectl describe clusterissuer ca' | diff told -
	: >secret
	echo 'True Signing CA verified' >issuer
	in_lib "$answers" '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/issuers.sh"' 'finished'
	[ ! -e card/run/pibuild/notes/issuer-ca ]
}

# --- Cilium: what it brought, and what of it is elsewhere

# pod NAME NODE LABEL READY [REASON [MESSAGE]]: a line as kubectl answers; -- is nothing
pod() {
	local phase=Running
	[ "$4" = True ] || phase=Pending
	printf '@\t%s\t%s\t%s\t%s\t%s\t %s\t%s\t %s\n' "$1" "${2#--}" "$3" "$phase" "$4" "${5:-}" "${6:-}" "${6:-}"
}

# cni_says LINE...: the step's functions, with the answers of the API from the files pods, crd and class
cni_says() {
	in_lib 'needs=k3s,gateway-crds attempts=1' \
		'ask() { case $* in *"get pods"*) cat pods ;; *"get secret"*) echo x ;; *"get crd"*) cat crd ;; *gatewayclass*) cat class; ! grep -q NotFound class ;; *"delete pods"*) echo "$*" >>deleted ;; esac; }' \
		'. "$PIBUILD_ROOT/usr/lib/pibuild/steps/cni.sh"' "$@"
}

@test "Cilium is done with this node's agent, one operator and its definitions; the rest is a note that goes away" {
	card
	mkdir -p card/run/pibuild/notes
	printf "|%s.cilium.io=True" ciliumnetworkpolicies ciliumloadbalancerippools ciliuml2announcementpolicies >crd
	echo 'True x' >class
	{
		pod cilium-aaaaa cp-1 cilium True
		pod cilium-bbbbb w-1 cilium False
		pod cilium-operator-1 cp-1 '' True
		pod cilium-operator-2 -- '' '' '' "0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules."
		pod hubble-relay-1 cp-1 hubble-relay '' ContainerCreating
		pod coredns-1 -- kube-dns ''
	} >pods
	cni_says 'finished'
	[ "$(sed -n 's/^cause //p' card/run/pibuild/notes/cilium)" = 'Pod cilium-bbbbb on w-1 is not ready, and 2 more' ]
	grep -v 'cilium-bbbbb\|operator-2\|hubble' pods >fewer
	mv fewer pods
	cni_says 'finished'
	[ ! -e card/run/pibuild/notes/cilium ]
}

@test "Cilium that is not ready: which pod, and why" {
	card
	printf "|%s.cilium.io=True" ciliumnetworkpolicies ciliumloadbalancerippools ciliuml2announcementpolicies >crd
	echo 'True x' >class
	local lookup='Back-off pulling image "quay.io/a:1": ErrImagePull: failed to pull and unpack image "quay.io/a:1": failed to do request: Head "https://quay.io/v2/a": dial tcp: lookup quay.io: no such host'
	while IFS='|' read -r wanted agent operator; do
		eval "pod cilium-a $agent" >pods
		[ -z "$operator" ] || eval "pod cilium-operator-1 $operator" >>pods
		cni_says 'finished && exit 9' 'printf "%s\n" "$cause"' >told
		[ "$(cat told)" = "$wanted" ] || { cat told; false; }
	done <<-'EOT'
		Pod cilium-a on cp-1 is starting (PodInitializing)|cp-1 cilium False PodInitializing|cp-1 '' True
		Pod cilium-a on cp-1 is not ready|cp-1 cilium False|cp-1 '' True
		Pod cilium-a keeps ending (CrashLoopBackOff)|cp-1 cilium False 'PodInitializing CrashLoopBackOff'|cp-1 '' True
		Pod cilium-operator-1 cannot get its image (ImagePullBackOff): dial tcp: lookup quay.io: no such host|cp-1 cilium False|cp-1 '' False ImagePullBackOff "$lookup"
		Pod cilium-a cannot start (CreateContainerConfigError): secret "x" not found|cp-1 cilium False CreateContainerConfigError 'secret "x" not found'|cp-1 '' True
		Pod cilium-operator-1 has no node yet: 0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.|cp-1 cilium True|-- '' '' '' '0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.'
		Cilium's agent has no pod on this node yet|w-1 cilium True|cp-1 '' True
		Cilium's operator has no pod on this node yet|cp-1 cilium True|
	EOT
}

@test "a GatewayClass that nobody accepts: the operator is started anew once, then a note says it; accepted, it goes" {
	card
	mkdir -p card/run/pibuild/notes
	printf "|%s.cilium.io=True" ciliumnetworkpolicies ciliumloadbalancerippools ciliuml2announcementpolicies >crd
	echo 'Unknown Waiting for controller' >class
	{ pod cilium-a cp-1 cilium True && pod cilium-operator-1 cp-1 '' True; } >pods
	cni_says 'up=0; uptime() { up=$((up + 5)); }' 'until finished; do [ "$up" -lt 900 ] || exit 9; done; echo "$up" >took'
	[ "$(cat took)" -ge 120 ]
	[ "$(cat deleted)" = '-n kube-system delete pods -l name=cilium-operator --wait=false' ]
	grep -q "^cause Gateway API does not work: Cilium's operator has not accepted the GatewayClass cilium (Unknown Waiting for controller)" card/run/pibuild/notes/gateway
	echo 'True Valid GatewayClass' >class
	cni_says finished
	[ ! -e card/run/pibuild/notes/gateway ]
	echo 'Error from server (NotFound): gatewayclasses.gateway.networking.k8s.io "cilium" not found' >class
	cni_says 'finished; echo $? >code'
	[ "$(cat code)" = 2 ]
}

@test "what cilium install waits for is said while it runs, and when its time is over" {
	after gateway-crds
	mv card/usr/local/bin/kubectl card/usr/local/bin/kubectl.real
	{ pod cilium-a cp-1 cilium True && pod cilium-operator-1 cp-1 '' True && pod hubble-generate-certs-1 cp-1 hubble-generate-certs '' ErrImagePull 'not found'; } >pods
	program kubectl '[ -e "${PIBUILD_ROOT%/*}/pods" ] || exec "$0.real" "$@"' 'case $* in *"get pods"*) cat "${PIBUILD_ROOT%/*}/pods" ;; esac'
	program cilium 'until [ -e "$PIBUILD_ROOT/over" ]; do /bin/sleep 0.02; done; echo "Error: Unable to install Cilium: failed post-install: context deadline exceeded" >&2; exit 1'
	tick 'state=$(sed -n "s/^state //p" card/run/pibuild/steps/cni)' 'case $state in running | waiting) cp card/run/pibuild/steps/cni "seen.$state" ;; esac' \
		'! grep -q "^cause Pod" seen.running || touch card/over' '[ ! -e seen.waiting ] || '"$stop_step"
	run step cni
	for one in running waiting; do
		grep -qx 'cause Pod hubble-generate-certs-1 cannot get its image (ErrImagePull): not found' "seen.$one"
	done
}

@test "an API that is starting says what it waits for" {
	card
	in_lib 'ask() { printf "%s\n" "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[-]etcd failed: reason withheld\\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\\nreadyz check failed\") has prevented the request from succeeding"; return 1; }' \
		'need_program() { :; }' 'k3s_runs() { :; }' '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/k3s.sh"' 'finished; printf "%s\n" "$cause" >told'
	[ "$(cat told)" = 'The API is starting and waits for etcd poststarthook/rbac/bootstrap-roles' ]
}

# --- preflight

# preflight_says UPTIME: the state of preflight at that uptime goes to `seen`; then it is stopped
preflight_says() {
	tick "$(leap 104 $(($1 - 10)))" "[ \"\$1\" -lt $1 ] || { cp card/run/pibuild/steps/preflight seen; kill \$(cat card/step.pid); }"
	refute step preflight
}

open_network() {
	echo 'console=tty1' >card/proc/cmdline
	program getent '[ ! -e "$PIBUILD_ROOT/no-dns" ] && echo "192.0.2.1 STREAM"'
	program bash '[ ! -e "$PIBUILD_ROOT/no-registry" ]'
	echo yes >card/synchronized
}

@test "no memory cgroup: failed at once, with the cure" {
	card
	echo 'cpu pids' >card/sys/fs/cgroup/cgroup.controllers
	preflight_says 102
	grep -qx 'state failed' seen
	grep -q '^cure Add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt' seen
}

@test "no cable, then one: waiting with the reason, then done" {
	card
	echo 0 >card/sys/class/net/eth0/carrier
	mv card/route .
	tick "$(leap 110 170)" '[ "$1" -lt 180 ] || { [ -e seen ] || cp card/run/pibuild/steps/preflight seen; cp route card/; }'
	step preflight
	grep -qx 'state waiting' seen
	grep -qx 'cause No cable on eth0, or nothing at its other end' seen
	[ "$(state_of preflight state)" = "done" ]
}

@test "no address, no default route, no such interface: each in its words" {
	card
	: >card/address
	: >card/route
	preflight_says 102
	grep -qx 'cause eth0 does not have its address 192.168.1.11 yet' seen
	sed -i '/^address/d' card/etc/pibuild/node
	preflight_says 102
	grep -qx 'cause eth0 has no address from DHCP' seen
	address 192.168.1.11/24
	preflight_says 106
	grep -qx 'cause There is no default route' seen
	rm -r card/sys/class/net/eth0
	preflight_says 110
	grep -qx 'cause There is no network interface eth0' seen
}

@test "a dead name service holds it back for five minutes, then becomes a note" {
	card
	open_network
	touch card/no-dns
	tick "$(leap 120 190)" "$(leap 210 380)" '[ "$1" -lt 200 ] || [ -e seen ] || cp card/run/pibuild/steps/preflight seen'
	step preflight
	grep -qx 'cause The name registry-1.docker.io cannot be resolved' seen
	grep -q '^cause The name registry-1.docker.io' card/run/pibuild/notes/network
	read -r up _ <card/proc/uptime
	[ "${up%%.*}" -ge 400 ]
	[ "${up%%.*}" -le 420 ]
}

@test "a registry that cannot be reached is named" {
	card
	open_network
	touch card/no-registry
	preflight_says 120
	grep -q '^cause registry-1.docker.io, where container images come from, cannot be reached' seen
}

# proxy_runs [NAME:PASSWORD [HOST...]]: a stand-in for one, its port in $port
proxy_runs() {
	rm -f proxy.port proxy.log
	python3 "$top/tests/lib/proxy.py" proxy.port proxy.log "$@" 3>&- &
	proxy=$!
	until [ -s proxy.port ]; do /bin/sleep 0.05; done
	port=$(cat proxy.port)
}
proxy_ends() {
	kill "$proxy"
	wait "$proxy" || true
}

@test "with a proxy registries are asked for through it, with its name and password, and their names are its business" {
	PROXY=http://127.0.0.1:1 card '  proxy: {http: {env: PROXY}}'
	open_network
	rm card/usr/local/bin/bash
	program getent 'for last; do :; done' '[ "$last" = 127.0.0.1 ] && echo "127.0.0.1 STREAM"'
	environment=card/etc/systemd/system/k3s.service.env
	grep -q '^NO_PROXY="localhost,' "$environment"
	preflight_says 120
	grep -qx 'cause The proxy 127.0.0.1 cannot be reached (TCP 1)' seen

	proxy_runs 'me:hun"ter2'
	sed -i "s|127.0.0.1:1\"|127.0.0.1:$port\"|" "$environment"
	preflight_says 140
	grep -qx 'cause The proxy 127.0.0.1 wants a name and a password' seen
	[ "$(sort -u proxy.log)" = '407 registry-1.docker.io:443' ]
	sed -i "s|http://|http://me:hun%22ter@|" "$environment"
	preflight_says 160
	grep -qx 'cause The proxy 127.0.0.1 wants a name and a password, and not these' seen
	refute grep -r 'ter@\|ter2' card/run log.preflight
	sed -i "s|hun%22ter@|hun%22ter2@|" "$environment"
	rm card/tick proxy.log
	step preflight
	[ "$(cat proxy.log)" = '200 registry-1.docker.io:443
200 quay.io:443' ]
	[ ! -e card/run/pibuild/notes/network ]
	proxy_ends

	proxy_runs 'me:hun"ter2' registry-1.docker.io
	sed -i "s|@127.0.0.1:[0-9]*\"|@127.0.0.1:$port\"|" "$environment"
	preflight_says 180
	grep -qx 'cause The proxy 127.0.0.1 does not lead to quay.io, where container images come from (it answers 403)' seen
	proxy_ends
}

@test "a registry that noProxy names is asked for directly" {
	card '  proxy: {http: "http://127.0.0.1:1", noProxy: [quay.io, registry-1.docker.io]}'
	open_network
	touch card/no-registry
	preflight_says 120
	grep -q '^cause registry-1.docker.io, where container images come from, cannot be reached (TCP 443)' seen
}

@test "with all images on the card nobody asks for registries" {
	card 'airgap: true'
	open_network
	touch card/no-dns card/no-registry
	step preflight
	[ ! -e card/run/pibuild/notes/network ]
}

@test "a node that was a member once does not wait for the internet" {
	card
	open_network
	touch card/no-dns card/var/lib/pibuild/k3s.done
	: >card/route
	step preflight
}

@test "name servers from DHCP are there for the kubelet before K3s starts, at every boot" {
	card
	rm card/etc/pibuild/resolv.conf
	printf 'search home.example\nnameserver 192.168.1.1\n' >card/etc/resolv.conf
	step preflight
	grep -qx 'nameserver 192.168.1.1' card/var/lib/pibuild/resolv.conf
	printf 'search home.example\nnameserver 192.168.1.2\n' >card/etc/resolv.conf
	touch card/var/lib/pibuild/k3s.done
	step preflight
	[ "$(cat card/var/lib/pibuild/resolv.conf)" = 'nameserver 192.168.1.2' ]
}

@test "a clock before the build is waited for without end" {
	card
	echo 1000 >card/clock
	preflight_says 900
	grep -qx 'state failed' seen
	grep -q '^cause The clock reads' seen
	rm card/clock card/tick
	step preflight
}

@test "without network time two minutes are enough when the clock is after the build" {
	card
	open_network
	rm card/synchronized
	tick "$(leap 120 205)"
	step preflight
	read -r up _ <card/proc/uptime
	[ "${up%%.*}" -ge 220 ]
	[ "${up%%.*}" -le 230 ]
	grep -q '^cause There is no network time' card/run/pibuild/notes/clock
}

@test "time servers of cluster.yaml are named when none answers" {
	card '  ntp: [192.168.1.5, time.lan]'
	open_network
	rm card/synchronized
	tick "$(leap 120 205)"
	step preflight
	grep -qx 'cure Look whether the servers of network.ntp answer (UDP 123): 192.168.1.5 time.lan; certificates need the right date' card/run/pibuild/notes/clock
}

@test "an MTU that the interface did not take, and a kernel setting that there is not, are noted" {
	card '  mtu: 9000' \
		'os: {sysctl: {vm.swappiness: 10, net/ipv4/conf/eth0.20/log_martians: 1, net.ipv4.no_such: 1}}'
	mkdir -p card/proc/sys/vm card/proc/sys/net/ipv4/conf/eth0.20
	touch card/proc/sys/vm/swappiness card/proc/sys/net/ipv4/conf/eth0.20/log_martians
	echo 1500 >card/sys/class/net/eth0/mtu
	step preflight
	grep -q '^cause eth0 has an MTU of 1500, not of 9000 as network.mtu says' card/run/pibuild/notes/mtu
	grep -qx 'cause The kernel has no setting net.ipv4.no_such, which os.sysctl of cluster.yaml sets' card/run/pibuild/notes/sysctl
	echo 9000 >card/sys/class/net/eth0/mtu
	touch card/proc/sys/net/ipv4/no_such
	step preflight
	[ ! -e card/run/pibuild/notes/mtu ]
	[ ! -e card/run/pibuild/notes/sysctl ]
}

@test "a kernel with 39 address bits is noted where Envoy is on" {
	card
	printf '7fd0000000-7fffb05000 rw-p 00000000 00:00 0 [stack]\n' >card/proc/self/maps
	step preflight
	grep -q '^cause This kernel has 39-bit addresses' card/run/pibuild/notes/envoy
}

@test "kernel options that Cilium needs and are off are named" {
	card
	mkdir -p card/boot
	printf 'CONFIG_%s=y\n' BPF_SYSCALL BPF_JIT CGROUP_BPF NET_CLS_BPF NET_CLS_ACT VETH >"card/boot/config-$(uname -r)"
	step preflight
	grep -q 'lacks what Cilium needs: NET_SCH_INGRESS VXLAN$' card/run/pibuild/notes/kernel
}

@test "pools outside the network that the node really got are noted" {
	card "${with_certificates[@]}"
	address 10.0.0.7/24
	step preflight
	grep -q '^cause The pool 192.168.1.65-192.168.1.95 is not in this node.s network, 10.0.0.7/24' card/run/pibuild/notes/pools
	address 192.168.1.70/24
	step preflight
	grep -q "^cause This node's own address 192.168.1.70 is in the pool" card/run/pibuild/notes/pools
	address 192.168.1.11/24
	step preflight
	[ ! -e card/run/pibuild/notes/pools ]
}

# own ADDRESS ROUTE...: what the machine has; a network on the way to another one, and Cilium's own, too
own() {
	echo "2: eth0    inet $1 brd 0.0.0.0 scope global eth0" >card/address
	shift
	printf '%s\n' 'default via 192.168.1.1 dev eth0' "$@" >card/route
}

@test "a node inside the networks of pods or services holds K3s back, and the cure is clear of all it has" {
	card
	own 10.42.0.57/24 '10.42.0.0/24 dev eth0 proto kernel scope link' '172.20.0.0/14 via 10.42.0.1 dev wg0'
	preflight_says 110
	grep -qx 'state failed' seen
	grep -qx 'cause This node has or reaches 10.42.0.0/24 on eth0, and cluster.podCIDR is 10.42.0.0/16: with K3s it would lose that network' seen
	grep -q '^cure Set cluster.podCIDR: 10.200.0.0/16 in cluster.yaml, then flash the cards of all nodes again, the first server'"'"'s with --start-new-cluster' seen
	own 192.168.1.11/24 '10.43.128.0/17 dev eth1 proto dhcp'
	preflight_says 120
	grep -q '^cause This node has or reaches 10.43.128.0/17 on eth1, and cluster.serviceCIDR is 10.43.0.0/16' seen
	grep -q '^cure Set cluster.serviceCIDR: 10.200.0.0/16 in' seen
	own 10.7.7.7/8 '10.0.0.0/8 dev eth0 proto kernel scope link'
	preflight_says 130
	grep -q '^cure Set cluster.podCIDR: 172.20.0.0/16, cluster.serviceCIDR: 100.96.0.0/16 in' seen
	# A member that finds itself there after a move is held back too, but not for what Cilium made.
	touch card/var/lib/pibuild/k3s.done
	preflight_says 140
	grep -q '^cause This node has or reaches 10.7.7.7/8 on eth0' seen
	own 192.168.1.11/24 '10.42.1.0/24 via 192.168.1.12 dev eth0'
	echo '9: cilium_host    inet 10.42.0.1/32 scope global cilium_host' >>card/address
	rm card/tick
	step preflight
}

@test "undervoltage is noted" {
	card
	mkdir -p card/sys/class/hwmon/hwmon0
	echo rpi_volt >card/sys/class/hwmon/hwmon0/name && echo 1 >card/sys/class/hwmon/hwmon0/in0_lcrit_alarm
	step preflight
	grep -qx 'cause The power supply gives too little voltage' card/run/pibuild/notes/undervoltage
}

@test "a full card is a failure that names the command to look further" {
	card
	program df 'echo "Avail"; echo "8000000000 1000000"'
	preflight_says 102
	grep -q '^cause The card is full: 0 MiB left of 7629 MiB' seen
}

@test "a card that fills up while something else is waited for is named, and forgotten when there is room again" {
	card
	echo 0 >card/sys/class/net/eth0/carrier
	mv card/route .
	program df 'echo "Avail"; [ -e "$PIBUILD_ROOT/full" ] && echo "8000000000 1000000" || echo "8000000000 7000000000"'
	tick '[ "$1" -lt 110 ] || { [ -e seen ] || { cp card/run/pibuild/steps/preflight before; touch card/full seen; }; }' \
		'[ "$1" -lt 130 ] || { [ -e after ] || { cp card/run/pibuild/steps/preflight seen; rm card/full; touch after; }; }' \
		'[ "$1" -lt 150 ] || { [ -s after ] || { cp card/run/pibuild/steps/preflight after; cp route card/; }; }'
	step preflight
	grep -q '^cause No cable on eth0' before
	grep -q '^cause The card is full: 0 MiB left of 7629 MiB' seen
	grep -q '^cause No cable on eth0' after
}

# small DIR: a filesystem of a page there, which is full
small() {
	mount -t tmpfs -o size=4k tmpfs "$1"
	head -c 4096 /dev/zero >"$1/fill"
}

@test "a card that takes no stamp, full or read-only, is told of in words, and the next boot takes the step again" {
	[ "$(id -u)" -eq 0 ] || skip "mounts a small filesystem: wants root"
	local how
	card_after k3s
	for how in full read-only; do
		small card/var/lib/pibuild
		[ $how = full ] || mount -o remount,ro card/var/lib/pibuild
		step gateway-crds && report || true
		umount card/var/lib/pibuild
		cp card/run/pibuild/status.txt $how
		[ "$(state_of gateway-crds state)" = "done" ]
		[ ! -e card/var/lib/pibuild/gateway-crds.done ]
		[ ! -e card/var/lib/pibuild/gateway-crds.done.new ]
		rm card/run/pibuild/steps/gateway-crds
	done
	grep -q 'The card is full, so that gateway-crds is done is forgotten at the next boot' full
	grep -q 'Look what fills it: df -h /' full
	grep -q 'cannot be written: .*Read-only file system, so that gateway-crds is done is forgotten' read-only
	step gateway-crds
	report
	[ -s card/var/lib/pibuild/gateway-crds.done ]
	refute grep -q 'is forgotten at the next boot' card/run/pibuild/status.txt
}

# --- the report

@test "a boot partition that is read-only or full: the report says so, with the reason, everywhere else" {
	[ "$(id -u)" -eq 0 ] || skip "mounts a small filesystem: wants root"
	local how
	card
	step preflight
	for how in full read-only; do
		small card/boot/firmware
		[ $how = full ] || mount -o remount,ro card/boot/firmware
		report && report || true # a note is in the report after it
		umount card/boot/firmware
		cp card/run/pibuild/status.txt $how
	done
	grep -q 'cannot be written to the boot partition: .*No space left on device' full
	grep -q 'cannot be written to the boot partition: .*Read-only file system' read-only
	report && report
	refute grep -q 'cannot be written' card/run/pibuild/status.txt
}

@test "the boot partition gets the report in place: same inode, same size, never more" {
	card
	size=$(stat -c %s card/boot/firmware/pibuild-status.json) inode=$(stat -c %i card/boot/firmware/pibuild-status.json)
	step preflight
	report
	[ "$(stat -c %s card/boot/firmware/pibuild-status.json)" = "$size" ]
	[ "$(stat -c %i card/boot/firmware/pibuild-status.json)" = "$inode" ]
	[ "$(jq -r '.steps[0].state' card/boot/firmware/pibuild-status.json)" = "done" ]
	cmp card/boot/firmware/pibuild-status.json card/boot/firmware/pibuild-status.bak
	grep -q '^  done     preflight ' card/boot/firmware/pibuild-status.txt
	[ "$(stat -c %s card/boot/firmware/pibuild-status.txt)" = 16384 ]
}

@test "pibuild status reads what the card wrote; from the second copy when the power went in the middle of a write" {
	after end
	report
	"$PIBUILD" status card/boot/firmware >told
	grep -q '^  done  *issuers' told
	dd if=/dev/zero of=card/boot/firmware/pibuild-status.json bs=512 seek=2 count=1 conv=notrunc status=none
	"$PIBUILD" status card/boot/firmware >told-again
	cmp told told-again
}

@test "the running report tells each change once, and is not made anew when nothing changed" {
	card
	# The second change carries a time long before the first: a Pi's clock jumps.
	tick 'say() { printf "state %s\nattempts 1\nsince 5\ncause \ncure \n" "$1" >steps.new && mv steps.new card/run/pibuild/steps/preflight && touch -d "$2" card/run/pibuild/steps card/run/pibuild/steps/preflight; }' \
		'case $1 in 109) say running now ;; 121) say done 1970-01-02 ;; 133) printf "cause a\ncure b\n" >note.new && mv note.new card/run/pibuild/notes/x ;; esac' \
		'echo "$1 $(stat -c %i card/run/pibuild/status.json) $(stat -c %Y.%y card/boot/firmware/pibuild-status.json)" >>looks; cat console >>said' \
		'[ "$1" -lt 199 ] || kill $(cat card/report.pid)'
	run timeout 60 sh -c 'echo $$ >card/report.pid; exec sh card/usr/lib/pibuild/report'
	grep -qx 'pibuild: preflight: running' said
	[ "$(grep -cx 'pibuild: preflight: done' console)" = 1 ]
	[ "$(jq -r '.steps[0].state + .notes[0].cause' card/run/pibuild/status.json)" = donea ]
	cmp card/boot/firmware/pibuild-status.json card/boot/firmware/pibuild-status.bak
	[ "$(awk '$1 > 145 { $1 = ""; print }' looks | sort -u | wc -l)" = 1 ]
	[ "$(awk '{ print $2 }' looks | uniq | wc -l)" -ge 4 ]
}

@test "a card that was not booted says so in its own report" {
	card
	grep -q 'has not been booted yet' card/boot/firmware/pibuild-status.txt
	fails 1 'has not booted yet: put it in and power the Pi on' "$PIBUILD" status card/boot/firmware
}

@test "odd bytes in an error reach the report as one line of ASCII, quotes and backslashes encoded" {
	after gateway-crds
	program cilium 'printf "\033[31mbad \"quoted\" back\\\\slash \303\244 tab\t end\n" >&2' 'exit 1'
	tick '! grep -q "^cause ." card/run/pibuild/steps/cni || { cp -r card/run/pibuild/steps keep; '"$stop_step"'; }'
	refute step cni
	report
	cause=$(jq -r '.steps[] | select(.name == "cni") | .cause' card/run/pibuild/status.json)
	[ "$cause" = ' [31mbad "quoted" back\slash tab end' ] || { echo "$cause"; false; }
}

@test "LED: slow while working, fast when failed, steady when done" {
	card
	mkdir -p card/sys/class/leds/ACT && touch card/sys/class/leds/ACT/{trigger,delay_on,delay_off}
	report
	[ "$(cat card/sys/class/leds/ACT/{trigger,delay_on})" = $'timer\n1000' ]
	mkdir -p card/run/pibuild/steps
	printf 'state failed\nattempts 1\nsince 5\ncause x\ncure y\n' >card/run/pibuild/steps/preflight
	report
	[ "$(cat card/sys/class/leds/ACT/{trigger,delay_on})" = $'timer\n100' ]
	for one in $(awk '{ print $1 }' card/etc/pibuild/steps); do printf 'state done\n' >"card/run/pibuild/steps/$one"; done
	report
	[ "$(cat card/sys/class/leds/ACT/trigger)" = default-on ]
}

@test "login message and pibuild-status show the report; the latter the log of what fails" {
	card
	step preflight
	printf 'state failed\nattempts 3\nsince 5\ncause It broke\ncure Mend it\n' >card/run/pibuild/steps/k3s
	echo 'the last words' >card/journal
	report
	grep -q 'FAILED: k3s: It broke -> Mend it' card/run/motd.d/50-pibuild
	PATH="$PWD/card/usr/local/bin:$PATH" run sh card/usr/lib/pibuild/status
	[ "$status" -eq 1 ]
	[[ "$output" == *"why:  It broke"*"cure: Mend it"*"| the last words"*"sudo journalctl -b -u pibuild-k3s"* ]]
}

@test "dates in the report are right, leap years too" {
	card
	for at in 0 951782400 1709164799 1735689599 1772236800 4107542399; do
		echo "$at" >card/clock
		report
		[ "$(jq -r .time card/run/pibuild/status.json)" = "$(/bin/date -u -d "@$at" +%Y-%m-%dT%H:%M:%SZ)" ]
	done
}

@test "the first server's report has the other nodes, also one that was never seen" {
	after k3s
	mkdir -p card/state/objects/node/_
	printf 'metadata:\n  name: w-1\n  annotations:\n    pibuild.io/report: "failed|join: it broke"\n' >card/state/objects/node/_/w-1
	report
	jq -e '.nodes == [{name: "w-1", role: "worker", state: "failed", cause: "join: it broke", time: .nodes[0].time}]' card/run/pibuild/status.json
	rm card/state/objects/node/_/w-1
	report
	jq -e '.nodes[0].state == "absent"' card/run/pibuild/status.json
	grep -q 'absent   w-1            worker: not seen yet' card/run/pibuild/status.txt
}

@test "a worker's card finds its cluster and joins, and has nothing of a server" {
	NODE=w-1 card
	[ "$(awk '{ print $1 }' card/etc/pibuild/steps | tr '\n' ' ')" = "preflight find-cluster join " ]
	[ "$(ls card/usr/lib/pibuild/steps)" = "$(ls "$top/overlays/common/usr/lib/pibuild/steps")" ]
	[ ! -e card/usr/lib/pibuild/steps/cni.sh ]
	[ ! -e card/etc/systemd/system/pibuild-cni.service ]
}

# chosen: a card whose step find-cluster has found the first server
chosen() {
	card_after preflight
	mkdir -p card/etc/rancher/k3s/config.yaml.d
	echo 'server: "https://192.168.1.11:6443"' >card/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml
	echo 'state done' >card/run/pibuild/steps/find-cluster
}

@test "join: the server is not there, then K3s joins, then Cilium makes the node Ready" {
	NODE=w-1 chosen
	echo activating >card/k3s-state
	program bash '[ -e "$PIBUILD_ROOT/server-up" ]'
	program getent 'echo "192.168.1.11 STREAM"'
	program kubectl 'cat "$PIBUILD_ROOT/node-ready"'
	tick 'grep -h ^cause card/run/pibuild/steps/join | tail -n 1 >>seen' \
		'[ "$1" -lt 130 ] || touch card/server-up' '[ "$1" -lt 140 ] || echo active >card/k3s-state' \
		'[ "$1" -lt 150 ] || { mkdir -p card/var/lib/rancher/k3s/agent; echo x >card/var/lib/rancher/k3s/agent/kubelet.kubeconfig; [ -e card/node-ready ] || echo False >card/node-ready; }' \
		'[ "$1" -lt 160 ] || echo True >card/node-ready'
	step join
	[ "$(uniq seen | sed 's/^cause //')" = "The server that was chosen at this start does not answer any more: 192.168.1.11:6443
K3s is starting
K3s runs and is joining
Joined; waiting until Cilium makes this node Ready" ]
}

@test "a cure names the unit of K3s that runs here" {
	NODE=w-1 card
	PIBUILD_ROOT=$PWD/card sh -c '. card/usr/lib/pibuild/lib.sh; explain_text "dial tcp 127.0.0.1:6444: connect: connection refused"; echo "$cure"' >cure
	grep -q 'journalctl -u k3s-agent$' cure
	sed -i 's/^role .*/role control-plane/' card/etc/pibuild/node
	PIBUILD_ROOT=$PWD/card sh -c '. card/usr/lib/pibuild/lib.sh; explain_text "dial tcp 127.0.0.1:6443: connect: connection refused"; echo "$cure"' >cure
	grep -q 'journalctl -u k3s$' cure
}

@test "join: a node password that the cluster does not know has failed, with the cure" {
	NODE=w-1 chosen
	echo activating >card/k3s-state
	program bash true
	program getent 'echo "192.168.1.11 STREAM"'
	echo "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match" >card/journal
	tick '[ "$1" -lt 104 ] || { cp card/run/pibuild/steps/join seen; '"$stop_step"'; }'
	refute step join
	grep -qx 'state failed' seen
	grep -qx 'cause The cluster knows another node of this name' seen
}

# --- the bootloader

# bootloader SETTINGS-LINE...: stand-ins for a Pi's bootloader, its tools and a restart. As strict as rpi-eeprom-config of
# raspberrypi/rpi-eeprom: it takes --apply FILE and nothing else, a file of at most 4076 bytes.
bootloader() {
	printf '%s\n' "$@" >card/bootloader
	: >card/applied
	program rpi-eeprom-config 'cd "$PIBUILD_ROOT" || exit' '[ $# -gt 0 ] || exec cat bootloader' \
		'[ $# -eq 2 ] && [ "$1" = --apply ] || { echo "rpi-eeprom-config: error: unrecognized arguments: $*" >&2; exit 2; }' \
		'[ -f "$2" ] || { echo "ERROR: config file '"'"'$2'"'"' not found" >&2; exit 1; }' \
		'[ "$(wc -c <"$2")" -le 4076 ] || { echo "ERROR: the file is too large" >&2; exit 1; }' \
		'[ ! -e broken ] || { echo "UPDATE FAILED" >&2; exit 1; }' 'cp "$2" pending' 'echo once >>applied' \
		'[ ! -e cut-in-tool ] || { rm cut-in-tool; kill -KILL $(cat step.pid); }'
	program rpi-eeprom-update '[ "$*" = -l ] || exit 1' 'echo "$PIBUILD_ROOT/pieeprom.bin"'
	program strings '[ -e "$1" ] && cat "$1"'
	printf 'BUILD_TIMESTAMP=1746713597\n' >card/pieeprom.bin
	mkdir -p card/proc/device-tree/chosen/bootloader
	printf '\x68\x1c\xb9\xa8' >card/proc/device-tree/chosen/bootloader/build-timestamp
	program findmnt 'echo /dev/mmcblk0p2'
	program systemctl '[ "$*" = reboot ] || exit 1' 'kill -KILL $(cat "$PIBUILD_ROOT/step.pid")'
}

# starts: the bootloader takes what was set, then the system starts, and the step with it
starts() {
	[ ! -e card/pending ] || [ -e card/deaf ] || mv card/pending card/bootloader
	rm -rf card/run/pibuild
	step eeprom
}

wanted='boot: {eeprom: {BOOT_ORDER: [nvme, sd, usb], PCIE_PROBE: 1}}'

@test "the bootloader is set once, with one restart, and what else it is set to stays" {
	card "$wanted"
	bootloader '[all]' BOOT_UART=0 BOOT_ORDER=0xf41 '[gpio4=1]' BOOT_ORDER=0xf2 NET_BOOT_MAX_RETRIES=3
	[ "$(steps | head -n 2 | tr '\n' ' ')" = 'eeprom preflight ' ]
	refute starts
	[ "$(grep ^cause card/run/pibuild/steps/eeprom)" = 'cause The bootloader was set; this machine restarts once' ]
	starts
	[ "$(cat card/applied)" = once ]
	[ "$(cat card/bootloader)" = '[all]
BOOT_UART=0
[gpio4=1]
NET_BOOT_MAX_RETRIES=3
[all]
BOOT_ORDER=0xf416
PCIE_PROBE=1' ]
	starts
	[ "$(cat card/applied)" = once ]
	[ ! -e card/run/pibuild/notes/eeprom ]
	[ "$(state_of eeprom state)" = "done" ]
}

@test "a bootloader that is set so already is left alone" {
	card "$wanted"
	bootloader BOOT_UART=0 PCIE_PROBE=1 BOOT_ORDER=0xf416
	starts
	[ ! -s card/applied ]
}

@test "power that goes while the bootloader is set, before and after: it converges, and is set no more than it has to be" {
	card "$wanted"
	bootloader BOOT_ORDER=0xf41
	touch card/cut-in-tool # all is staged, and nobody has noted it
	refute starts
	[ ! -e card/var/lib/pibuild/eeprom.tried ]
	starts
	[ "$(cat card/applied)" = once ]
	[ ! -e card/run/pibuild/notes/eeprom ]

	bootloader BOOT_ORDER=0xf41
	touch card/cut-in-tool # and what was staged is lost with the power
	refute starts
	rm card/pending
	refute starts
	starts
	[ "$(wc -l <card/applied)" -eq 2 ]
	[ ! -e card/run/pibuild/notes/eeprom ]

	bootloader BOOT_ORDER=0xf41
	program systemctl 'exit 0' # noted, and then the power goes in the place of the restart
	program sleep 'kill -KILL $(cat "$PIBUILD_ROOT/step.pid")'
	refute starts
	[ -e card/var/lib/pibuild/eeprom.tried ]
	starts
	[ "$(cat card/applied)" = once ]
	[ ! -e card/var/lib/pibuild/eeprom.tried ]
}

@test "a card that cannot note that the bootloader was set is not restarted for it" {
	[ "$(id -u)" -eq 0 ] || skip "mounts a small filesystem: wants root"
	card "$wanted"
	bootloader BOOT_ORDER=0xf41
	touch card/deaf # it would be set, and the machine restarted, for ever
	small card/var/lib/pibuild
	starts || code=$?
	umount card/var/lib/pibuild
	[ "${code:-0}" = 0 ]
	grep -q '^cause The bootloader was not set as boot.eeprom says: it takes the settings at the next start; no restart is made for it, since the card cannot be written: .*No space left on device' card/run/pibuild/notes/eeprom
}

# not_set TEXT: it was done at once all the same, with this in a note, and nothing was set
not_set() {
	starts
	[ "$(state_of eeprom state)" = "done" ]
	grep -qxF "cause The bootloader was not set as boot.eeprom says: $1" card/run/pibuild/notes/eeprom || { cat card/run/pibuild/notes/eeprom; return 1; }
}

@test "a bootloader that cannot be set holds nothing back, and a note says why" {
	card "$wanted"
	bootloader BOOT_ORDER=0xf41
	rm card/usr/local/bin/rpi-eeprom-config
	PATH=/usr/bin:/bin not_set 'the base has no rpi-eeprom-config'
	bootloader BOOT_ORDER=0xf41
	touch card/broken
	not_set 'UPDATE FAILED'
	rm card/broken
	printf '\x7f\x00\x00\x00' >card/proc/device-tree/chosen/bootloader/build-timestamp
	not_set "the board's bootloader is newer than that of the base's package"
	bootloader BOOT_ORDER=0xf41
	program findmnt 'echo /dev/sda2'
	sed -i 's/BOOT_ORDER=.*/BOOT_ORDER=0xf16/' card/etc/pibuild/eeprom
	not_set 'BOOT_ORDER lacks the medium that this system runs from'
	[ ! -s card/applied ]
	bootloader BOOT_ORDER=0xf41
	touch card/deaf
	refute starts
	not_set 'the board did not take the settings after a restart'
	[ "$(cat card/applied)" = once ]
}

# --- units

@test "a step is a file that says what it is called, what it needs and how long it may take, a unit like the others, and a row" {
	card "${with_certificates[@]}"
	local head one own=''
	for one in $(steps); do
		head=card/usr/lib/pibuild/steps/$one.sh
		read -r _ needs bound title < <(grep "^$one " card/etc/pibuild/steps)
		grep -qx "# title: $title" "$head"
		grep -qx "# bound: $bound" "$head"
		# of what it needs, what this card takes
		[ "$needs" = "$(for need in $(sed -n 's/^# needs: //p' "$head"); do steps | grep -x "$need"; done | paste -s -d , | sed 's/^$/-/')" ]
		# preflight's own is in overlays/
		diff <(sed "s/{name}/$one/; s|{title}|$title|" "$top/overlays/step.service") "card/etc/systemd/system/pibuild-$one.service" >/dev/null || own="$own $one"
	done
	[ "$own" = ' preflight' ]
	# One that no row names would never be taken.
	for one in "$top"/overlays/*/usr/lib/pibuild/steps/*.sh; do
		grep -q "{ \"$(basename "$one" .sh)\", " "$top/builder/node/first_boot.c"
	done
}

@test "a step whose file does not say that is refused, with the file" {
	mkdir data
	cp -r "$top"/{boards,configs,overlays} data
	write_cluster
	"$PIBUILD" secrets new -q
	local steps=data/overlays/control-plane/usr/lib/pibuild/steps
	sed -i '/^# bound: /d' $steps/cni.sh
	PIBUILD_DATA=$PWD/data fails 1 "$PWD/$steps/cni.sh: its head has to say '# title: TEXT' and '# bound: SECONDS'" "$PIBUILD" render --node cp-1 -o card
	# Overlays are held against what pibuild brings.
	mkdir -p overlays/common/etc
	PIBUILD_DATA=$PWD/data fails 1 "$PWD/$steps/cni.sh: its head has to say" "$PIBUILD" check
	sed -i 's/^# title: /&T\n# bound: 5\n# needs: /' $steps/cni.sh
	PIBUILD_DATA=$PWD/data fails 1 "$PWD/$steps/cni.sh: needs a step that there is not: 'Cilium,'" "$PIBUILD" render --node cp-1 -o card
	rm $steps/k3s.sh
	PIBUILD_DATA=$PWD/data fails 1 'overlays/ has no file for the step k3s: /usr/lib/pibuild/steps/k3s.sh' "$PIBUILD" render --node cp-1 -o card
}

@test "systemd finds no fault in the units of any card, and no unit requires one that retries" {
	for NODE in cp-1 w-1; do
		rm -rf card secrets.yaml
		card "${with_certificates[@]}"
		for unit in card/etc/systemd/system/pibuild-*.{service,timer}; do
			sed "s|=/usr/lib/pibuild/|=$PWD/card/usr/lib/pibuild/|" "$unit" >"$(basename "$unit")"
		done
		rm ./pibuild-locale.service # it runs locale-gen, which not every machine has
		systemd-analyze verify --man=no --recursive-errors=no ./pibuild-*.{service,timer}
		rm ./pibuild-*.{service,timer}
		run ! grep -rE '^(Requires|BindsTo|Requisite)=' card/etc/systemd/system
	done
}

# A card has some of them: systemd would leave one of a circle out, whichever.
@test "what comes before what is no circle, with all units that a node can have" {
	for role in control-plane worker; do
		for unit in "$top"/overlays/{common,"$role"}/etc/systemd/system/*.service; do
			awk -v unit="$(basename "$unit")" -F '[= ]' '/^After=/ { for (i = 2; i <= NF; i++) print $i, unit } /^Before=/ { for (i = 2; i <= NF; i++) print unit, $i }' "$unit"
		done >order
		grep -qx 'pibuild-data.service pibuild-apply.service' order
		tsort order >/dev/null
	done
}

@test "exposure of the units that talk to the network is 5.0 at most" {
	card "${with_certificates[@]}"
	for unit in $(steps) report network-watchdog renew last-boot nodes-late; do
		systemd-analyze security --offline=true --threshold=50 "card/etc/systemd/system/pibuild-$unit.service" >security || { tail -3 security; return 1; }
	done
}

# ---- certificates ----

# issuing READY ISSUING-MESSAGE READY-MESSAGE [CHALLENGES]: what the API answers about certificates; all else is the stand-in's
issuing() {
	printf '%s|%s|%s' "$1" "$2" "$3" >card/certificate
	printf '%b' "${4:-}" >card/challenges
	[ ! -L card/usr/local/bin/kubectl ] || rm card/usr/local/bin/kubectl
	program kubectl 'case $* in' '*certificates.cert-manager.io*wildcard-home.my-domain.org*) exec cat "$PIBUILD_ROOT/certificate" ;;' \
		'*challenges.acme.cert-manager.io*) exec cat "$PIBUILD_ROOT/challenges" ;;' 'esac' 'exec "${0%/*}/k3s" kubectl "$@"'
}

# The note's cause in the report.
noted() {
	jq -r '.notes[]? | select(.about == "certificate") | .cause' card/run/pibuild/status.json
}

@test "READY tells of a certificate that was asked for and is not issued, with what holds it up, until it is" {
	# All but the last steps as a card without one has taken them.
	after cert-manager
	mkdir taken && mv card/{state,run,ready,proc,var} card/etc/rancher/k3s/k3s.yaml taken/
	card "${with_certificates[@]}" '  wildcard: true'
	rm -r card/{state,run,proc,var} && cp -a taken/{state,run,ready,proc,var} card/ && cp taken/k3s.yaml card/etc/rancher/k3s/
	grep -qx 'certificates wildcard-home.my-domain.org' card/etc/pibuild/node
	issuing False '' 'Issuing certificate as Secret does not exist'
	step issuers
	step nodes
	report
	[ "$(jq -r .state card/run/pibuild/status.json)" = "done" ]
	[ "$(noted)" = 'The certificate wildcard-home.my-domain.org is not issued yet: Issuing certificate as Secret does not exist' ]
	issuing False '' 'Issuing certificate as Secret does not exist' \
		'home.other.org|not ours\nhome.my-domain.org|\nhome.my-domain.org|GET https://api.digitalocean.com/v2/domains/my-domain.org/records: 401 Unable to authenticate you\n'
	report
	[ "$(noted)" = 'The certificate wildcard-home.my-domain.org is not issued yet: GET https://api.digitalocean.com/v2/domains/my-domain.org/records: 401 Unable to authenticate you' ]
	[[ "$(cat card/run/pibuild/status.txt)" == *'401 Unable to authenticate you'* ]]
	issuing False 'The certificate request has failed to complete and will be retried: order is in "invalid" state' x
	report
	[[ "$(noted)" == *'has failed to complete and will be retried'* ]]
	issuing True '' 'Certificate is up to date and has not expired'
	report
	[ -z "$(noted)" ]
}

with_gateway=('loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager: {issuers: [ca], zones: [home.arpa]}'
	'gateway: {address: 192.168.1.70, hubble: hubble.home.arpa}')

@test "a certificate that was there and is not good any more is told by the report that runs" {
	card_after end "${with_gateway[@]}"
	echo 'certificate wildcard-home.arpa Ready False Certificate expired' >expired
	rm -f card/state/faults/conditions
	mkdir -p card/state/faults
	read -r up _ <card/proc/uptime
	begin=${up%.*}
	tick "[ \$1 -lt $((begin + 9)) ] || [ -e card/state/faults/conditions ] || { cp card/run/pibuild/status.json before; mv expired card/state/faults/conditions; }" \
		"$(leap $((begin + 12)) $((begin + 3700)))" "[ \$1 -lt $((begin + 3720)) ] || kill \$(cat card/report.pid)"
	run timeout 60 sh -c 'echo $$ >card/report.pid; exec sh card/usr/lib/pibuild/report'
	[ "$(jq '[.notes[].about] | index("certificate")' before)" = null ]
	[ "$(noted)" = 'The certificate wildcard-home.arpa is not issued yet: Certificate expired' ]
}

# --- BGP

@test "without a session with the router the pools' step ends with a note, with one without; the password is gone" {
	export BGP_PASSWORD=bgp-canary
	card_after cni 'loadBalancer: {pools: [{name: s, range: 172.20.0.10-172.20.0.20}], announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513, password: {env: BGP_PASSWORD}}}}'
	grep -qx 'pools' <(sed 's/ *$//' card/etc/pibuild/node) # none that has to be in the node's network
	grep -q bgp-canary card/etc/pibuild/secrets/bgp.yaml
	tick "$(leap 140 230)"
	step loadbalancer
	grep -q 'No node has a BGP session with the router 192.168.1.1 yet -> pibuild plan --router frr (or unifi, mikrotik, opnsense) says what the router needs; what Cilium sees: cilium bgp peers' log.loadbalancer
	[ "$(state_of loadbalancer state)" = "done" ]
	grep -q '^cause No node has a BGP session' card/run/pibuild/notes/bgp
	[ ! -e card/etc/pibuild/secrets/bgp.yaml ]
	for object in ciliumbgpclusterconfig/_/router ciliumbgppeerconfig/_/router ciliumbgpadvertisement/_/services secret/kube-system/bgp; do
		[ -e "card/state/objects/$object" ] || { echo "$object"; return 1; }
	done
	peering w-1 established
	step loadbalancer
	[ ! -e card/run/pibuild/notes/bgp ]
}

# peering NODE STATE: what Cilium's agent there says of its session with the router
peering() {
	mkdir -p card/state/objects/ciliumbgpnodeconfig/_
	printf 'apiVersion: cilium.io/v2\nkind: CiliumBGPNodeConfig\nmetadata:\n  name: %s\nstatus:\n  bgpInstances:\n  - name: cluster\n    peers:\n    - name: router\n      peerAddress: 192.168.1.1\n      peeringState: %s\n' \
		"$1" "$2" >"card/state/objects/ciliumbgpnodeconfig/_/$1"
}

@test "the report tells of sessions with the router as they are now, long after the step was done" {
	card_after cni 'loadBalancer: {pools: [{name: s, range: 172.20.0.10-172.20.0.20}], announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513}}}'
	peering w-1 established
	peering w-2 established
	step loadbalancer
	told_of_bgp() {
		report
		jq -r '.notes[] | select(.about == "bgp") | .cause + " -> " + .cure' card/run/pibuild/status.json
	}
	cure=' -> pibuild plan --router frr (or unifi, mikrotik, opnsense) says what the router needs; what Cilium sees: cilium bgp peers'
	[ "$(told_of_bgp)" = '' ]
	peering w-2 active
	[ "$(told_of_bgp)" = "These nodes have no BGP session with the router 192.168.1.1: w-2$cure" ]
	peering w-1 idle
	[ "$(told_of_bgp)" = "No node has a BGP session with the router 192.168.1.1 yet$cure" ]
	# What cannot be asked is as it was.
	mkdir -p card/state/faults && : >card/state/faults/api
	[[ "$(told_of_bgp)" == 'No node has '* ]]
	rm card/state/faults/api
	peering w-1 established
	peering w-2 established
	[ "$(told_of_bgp)" = '' ]
}

# --- the gateway

# told: cause and cure of the step gateway, all the while it was at work
told_by_gateway() {
	sed -n 's/^pibuild: gateway: [a-z]*: //p' log.gateway
}

@test "the gateway is done with its address, its routes and its certificate" {
	card_after end "${with_gateway[@]}"
	report
	[ "$(jq -r .state card/run/pibuild/status.json)" = "done" ]
	grep -q 'Gateway with HTTPS' card/run/pibuild/status.txt
	[ "$(jq -r '.notes[] | select(.about == "certificate")' card/run/pibuild/status.json)" = '' ]
	for object in gateway/kube-system/lan httproute/kube-system/https-redirect httproute/kube-system/hubble-ui \
		ciliumclusterwidenetworkpolicy/_/gateway ciliumloadbalancerippool/_/gateway certificate/kube-system/wildcard-home.arpa; do
		[ -e "card/state/objects/$object" ] || { echo "$object"; return 1; }
	done
	[ ! -e card/etc/pibuild/secrets/issuer-ca.yaml ]
	# What is gone is made again.
	rm card/state/objects/httproute/kube-system/hubble-ui
	step gateway
	[ -e card/state/objects/httproute/kube-system/hubble-ui ]
}

@test "a gateway that is not served, a route that is not taken, a policy that is none: told in Cilium's words" {
	card_after issuers "${with_gateway[@]}"
	mkdir -p card/state/faults
	echo 'gateway lan Programmed False Address is not ready yet' >card/state/faults/conditions
	tick 'case $1 in *[02468]) ;; *) [ "$(grep -c "Address is not" log.gateway)" = 0 ] || echo "ciliumclusterwidenetworkpolicy gateway Valid False invalid CIDR" >card/state/faults/conditions ;; esac' \
		'[ "$(grep -c "invalid CIDR" log.gateway)" = 0 ] || rm -f card/state/faults/conditions'
	step gateway
	told_by_gateway >told
	grep -q 'The Gateway is not served yet: Address is not ready yet -> See why: kubectl -n kube-system describe gateway lan' told
	grep -q 'Cilium does not take the policy of who may use the gateway: invalid CIDR' told
	[ "$(state_of gateway state)" = "done" ]
}

@test "a certificate that does not come is waited for some minutes, then the step is done and the report says why not" {
	card_after issuers "${with_gateway[@]}"
	mkdir -p card/state/faults
	echo 'certificate wildcard-home.arpa Ready False no luck' >card/state/faults/conditions
	tick "$(leap 130 600)"
	step gateway
	grep -q 'The certificate wildcard-home.arpa is not issued yet: no luck -> It takes minutes; if it stays so: kubectl -n kube-system describe certificate,order,challenge' log.gateway
	[ "$(state_of gateway state)" = "done" ]
	read -r up _ <card/proc/uptime
	[ "${up%.*}" -ge 700 ]
	step nodes
	report
	[ "$(jq -r .state card/run/pibuild/status.json)" = "done" ]
	[ "$(jq -r '.notes[] | select(.about == "certificate") | .cause' card/run/pibuild/status.json)" = 'The certificate wildcard-home.arpa is not issued yet: no luck' ]
}

@test "an API that does not answer about a certificate is told of, by the step that waits for it" {
	card_after issuers "${with_gateway[@]}"
	rm card/usr/local/bin/kubectl
	program kubectl 'case $* in' '*certificates.cert-manager.io*) [ -e "$PIBUILD_ROOT/asked" ] || { : >"$PIBUILD_ROOT/asked"; echo "Error from server: etcdserver: request timed out" >&2; exit 1; } ;;' \
		'esac' 'exec "${0%/*}/k3s" kubectl "$@"'
	step gateway
	grep -q 'pibuild: gateway: waiting: .*request timed out' log.gateway
	[ "$(state_of gateway state)" = "done" ]
}

@test "without a certificate of cluster.yaml nothing is asked about any" {
	after cert-manager
	if grep -q '^certificates' card/etc/pibuild/node; then false; fi
	issuing False x y
	step issuers
	report
	[ -z "$(noted)" ]
}
