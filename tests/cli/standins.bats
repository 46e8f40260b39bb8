#!/usr/bin/env bats
# slow: what only slow tests stand upon
# SPDX-License-Identifier: Apache-2.0
# The stand-ins for kubectl, helm and the cilium CLI are as strict as the real ones. REAL_KUBECTL and REAL_HELM name real
# programs (any version that still says it so): the tables that need no server are held against them too.

load ../lib/standins

setup() {
	cd "$BATS_TEST_TMPDIR"
	standins
}

# What kubectl says before it asks the API, and when nobody listens at 127.0.0.1:6499.
kubectl_words() {
	cat <<-'EOT'
		1 | kubectl get node x --bogus | error: unknown flag: --bogus\nSee 'kubectl get --help' for usage.
		1 | kubectl --bogus | error: unknown flag: --bogus\nSee 'kubectl --help' for usage.
		1 | kubectl --version | error: unknown flag: --version
		1 | kubectl apply --server-side --bogus | error: unknown flag: --bogus\nSee 'kubectl apply --help' for usage.
		1 | kubectl rollout status --bogus | error: unknown flag: --bogus\nSee 'kubectl rollout status --help' for usage.
		1 | kubectl get nodes --timeout 3s | error: unknown flag: --timeout
		1 | kubectl get nodes --field-manager=x | error: unknown flag: --field-manager
		1 | kubectl delete node y --force-conflicts | error: unknown flag: --force-conflicts
		1 | kubectl get nodes -z | error: unknown shorthand flag: 'z' in -z
		1 | kubectl get nodes --selector | error: flag needs an argument: --selector
		1 | kubectl get nodes -f | error: flag needs an argument: 'f' in -f
		1 | kubectl get nodes --ignore-not-found=maybe | error: invalid argument "maybe" for "--ignore-not-found" flag: strconv.ParseBool: parsing "maybe": invalid syntax
		1 | kubectl get nodes --request-timeout=abc | error: Invalid timeout value. Timeout must be a single integer in seconds
		1 | kubectl bogus | error: unknown command "bogus" for "kubectl"
		1 | kubectl rollout bogus | error: unknown command "bogus"\nSee 'kubectl rollout -h' for help and examples
		1 | kubectl create bogus | error: Unexpected args: [bogus]\nSee 'kubectl create -h' for help and examples
		1 | kubectl create namespace | error: exactly one NAME is required, got 0
		1 | kubectl create namespace a b | error: exactly one NAME is required, got 2
		1 | kubectl get | error: Required resource not specified.
		1 | kubectl apply | error: must specify one of -f and -k
		1 | kubectl apply -f /nonexistent | error: the path "/nonexistent" does not exist
		1 | kubectl wait node/x | error: unrecognized condition: []
		1 | kubectl wait --for=bogus node/y | error: unrecognized condition: "bogus"
		1 | kubectl annotate node x | error: at least one annotation update is required
		1 | kubectl label node x | error: at least one label update is required
		1 | kubectl taint node x | error: at least one taint update is required
		1 | kubectl taint | error: one or more resources must be specified as <resource> <name>
		1 | kubectl delete | error: You must provide one or more resources by argument or filename.
		1 | kubectl rollout restart | error: required resource not specified
		1 | kubectl drain | error: USAGE: drain NODE [flags]\nSee 'kubectl drain -h' for help and examples
		1 | kubectl drain x --ignore-daemonset | error: unknown flag: --ignore-daemonset\nSee 'kubectl drain --help' for usage.
		1 | kubectl drain x --timeout=abc | error: invalid argument "abc" for "--timeout" flag: time: invalid duration "abc"
		1 | kubectl uncordon | error: USAGE: uncordon NODE [flags]
		1 | kubectl --kubeconfig=/nonexistent get nodes | error: stat /nonexistent: no such file or directory
		0 | kubectl version --client | Client Version: v1.36.
		0 | kubectl | kubectl controls the Kubernetes cluster manager.
		1 | kubectl --kubeconfig closed.yaml get nodes | couldn't get current server API group list: Get \\"http
		1 | kubectl --kubeconfig closed.yaml get nodes | \nThe connection to the server 127.0.0.1:6499 was refused - did you specify the right host or port?
		1 | kubectl --kubeconfig closed.yaml get --raw /readyz | The connection to the server 127.0.0.1:6499 was refused - did you specify the right host or port?
		1 | kubectl --kubeconfig closed.yaml apply -f object.yaml | error: error validating "object.yaml": error validating data: failed to download openapi: Get "http
		1 | kubectl --kubeconfig closed.yaml apply --server-side -f object.yaml | 127.0.0.1:6499: connect: connection refused; if you choose to ignore these errors, turn validation off with --validate=false
		1 | kubectl --kubeconfig closed.yaml --request-timeout=5s apply -f object.yaml | /openapi/v2?timeout=5s": dial tcp 127.0.0.1:6499: connect: connection refused
		1 | kubectl --kubeconfig closed.yaml wait --for=condition=Ready node/x --timeout=2s | The connection to the server 127.0.0.1:6499 was refused
		1 | kubectl --kubeconfig closed.yaml delete secret x | The connection to the server 127.0.0.1:6499 was refused
		1 | kubectl --kubeconfig closed.yaml label node x a=b | The connection to the server 127.0.0.1:6499 was refused
		1 | kubectl --kubeconfig closed.yaml annotate node x a=b | The connection to the server 127.0.0.1:6499 was refused
		1 | kubectl --kubeconfig closed.yaml create namespace x | The connection to the server 127.0.0.1:6499 was refused
		1 | kubectl --kubeconfig closed.yaml rollout status deploy/x | The connection to the server 127.0.0.1:6499 was refused
	EOT
}

# A pod of NODE, with an ANNOTATION.
pod_on() {
	mkdir -p state/objects/pod/default
	printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: default\n  annotations:\n    %s\nspec:\n  nodeName: %s\n' "$1" "${3:-a: b}" "$2" >"state/objects/pod/default/$1"
}

helm_words() {
	cat <<-'EOT'
		1 | helm list --bogus | Error: unknown flag: --bogus
		1 | helm list -z | Error: unknown shorthand flag: 'z' in -z
		1 | helm list --timeout 5s | Error: unknown flag: --timeout
		1 | helm -n | Error: flag needs an argument: 'n' in -n
		1 | helm upgrade --timeout abc x chart | Error: invalid argument "abc" for "--timeout" flag: time: invalid duration "abc"
		1 | helm bogus | Error: unknown command "bogus" for "helm"\nRun 'helm --help' for usage.
		1 | helm upgrade x | Error: "helm upgrade" requires 2 arguments\n\nUsage:  helm upgrade [RELEASE] [CHART] [flags]
		1 | helm status | Error: "helm status" requires 1 argument\n\nUsage:  helm status RELEASE_NAME [flags]
		1 | helm uninstall | Error: "helm uninstall" requires at least 1 argument
		1 | helm list x | Error: "helm list" accepts no arguments
		0 | helm version | version.BuildInfo{Version:"v
		1 | helm --kubeconfig closed.yaml list | ubernetes cluster unreachable: Get "http
		1 | helm --kubeconfig closed.yaml upgrade --install x chart | /version": dial tcp 127.0.0.1:6499: connect: connection refused
		1 | helm --kubeconfig closed.yaml upgrade x chart | Error: UPGRADE FAILED:
		1 | helm --kubeconfig closed.yaml status x | ubernetes cluster unreachable
		1 | helm --kubeconfig closed.yaml uninstall x | ubernetes cluster unreachable
	EOT
}

# nobody_listens: closed.yaml leads to a port that is closed; the stand-in's API is down with it
nobody_listens() {
	sed 's|https://127.0.0.1:6443|http://127.0.0.1:6499|' k3s.yaml >closed.yaml
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n' >object.yaml
}

@test "kubectl: flags, commands, arguments, and an API that is down, in the real words" {
	nobody_listens
	sed -i 's|http:|https:|' closed.yaml
	touch state/faults/api
	kubectl_words | words_table
}

@test "the real kubectl says the same (REAL_KUBECTL)" {
	[ -n "${REAL_KUBECTL:-}" ] || skip "REAL_KUBECTL is not set"
	nobody_listens
	ln -sf "$REAL_KUBECTL" bin/kubectl
	HOME=$PWD kubectl_words | words_table
}

@test "kubectl drain: what it refuses to evict, each with the flag that lets it, and what it does then" {
	node w-1
	pod_on alone w-1 'stand-in/owner: none'
	pod_on scratch w-1 'stand-in/volume: emptyDir'
	pod_on elsewhere cp-1
	mkdir -p state/objects/pod/kube-system
	sed 's/alone/cilium-w-1/; s/default/kube-system/; /annotations/,+1d' state/objects/pod/default/alone >state/objects/pod/kube-system/cilium-w-1
	says 1 'cannot delete Pods that declare no controller (use --force to override): default/alone' kubectl drain w-1 --ignore-daemonsets --delete-emptydir-data
	says 1 'cannot delete Pods with local storage (use --delete-emptydir-data to override): default/scratch' kubectl drain w-1 --ignore-daemonsets --force
	says 1 'error: unable to drain node "w-1" due to error: cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): kube-system/cilium-w-1, continuing command...\nThere are pending nodes to be drained:\n w-1' kubectl drain w-1 --force --delete-emptydir-data
	says 1 'Error from server (NotFound): nodes "w-9" not found' kubectl drain w-9
	echo default/scratch >state/faults/budget
	says 1 "Cannot evict pod as it would violate the pod's disruption budget.\nerror: unable to drain node \"w-1\" due to error: error when evicting pods/\"scratch\" -n \"default\": global timeout reached: 9s" kubectl drain w-1 --ignore-daemonsets --delete-emptydir-data --force --timeout=9s
	rm state/faults/budget
	says 0 'node/w-1 already cordoned\nWarning: ignoring DaemonSet-managed Pods: kube-system/cilium-w-1\nevicting pod default/scratch\npod/scratch evicted\nnode/w-1 drained' kubectl drain w-1 --ignore-daemonsets --delete-emptydir-data --force
	[ -e state/objects/pod/default/elsewhere ]
	[ -e state/objects/pod/kube-system/cilium-w-1 ]
	says 0 'node/w-1 uncordoned' kubectl uncordon w-1
	says 0 'node/w-1 already uncordoned' kubectl uncordon w-1
}

@test "helm: flags, commands, arguments, and an API that is down, in the real words" {
	nobody_listens
	sed -i 's|http:|https:|' closed.yaml
	touch state/faults/api
	helm_words | words_table
}

@test "the real helm says the same (REAL_HELM)" {
	[ -n "${REAL_HELM:-}" ] || skip "REAL_HELM is not set"
	nobody_listens
	ln -sf "$REAL_HELM" bin/helm
	HOME=$PWD helm_words | words_table
}

@test "cilium: flags and commands without the word Error, fatal ones with it, and an API that is down" {
	touch state/faults/api
	words_table <<-'EOT'
		1 | cilium status --bogus | unknown flag: --bogus
		1 | cilium install --history | unknown flag: --history
		1 | cilium bogus | unknown command "bogus" for "cilium"
		1 | cilium install --chart-directory none | failed to load Helm chart directory none
		1 | cilium install --chart-directory chart --values values.yaml | \nError: Unable to install Cilium: cluster reachability check failed: kubernetes cluster unreachable: Get "https://127.0.0.1:6443/version": dial tcp 127.0.0.1:6443: connect: connection refused
		1 | cilium upgrade --chart-directory chart --values values.yaml | Error: Unable to upgrade Cilium: kubernetes cluster unreachable: Get "https://127.0.0.1:6443/version"
		1 | cilium status --wait --wait-duration 4s --interactive=false | Get "https://127.0.0.1:6443/apis/apps/v1/namespaces/kube-system/daemonsets/cilium": dial tcp 127.0.0.1:6443: connect: connection refused
		1 | cilium status --wait --wait-duration 4s --interactive=false | Error: Unable to determine status:  timeout while waiting for status to become successful: context deadline exceeded
		0 | cilium version --client | cilium-cli: v
		1 | hubble bogus | unknown command "bogus" for "hubble"
	EOT
	run cilium status --bogus
	[[ "$output" != *Error* ]]
}

@test "kubectl: labels, annotations and taints of a node, in the real words" {
	node w-1
	words_table <<-'EOT'
		0 | kubectl label node w-1 a=b c=d | node/w-1 labeled
		0 | kubectl label node/w-1 a=b | node/w-1 not labeled
		1 | kubectl label node w-1 a=x | error: 'a' already has a value (b), and --overwrite is false
		0 | kubectl label --overwrite node w-1 a=x c- | node/w-1 modified
		0 | kubectl label node w-1 c- | label "c" not found.\nnode/w-1 not labeled
		0 | kubectl label node w-1 a- | node/w-1 unlabeled
		1 | kubectl label node w-1 a=b_ | error: invalid label value: "a=b_": a valid label must be an empty string
		1 | kubectl label node w-1 a=b=c | error: invalid label spec: a=b=c
		1 | kubectl label node w-2 a=b | Error from server (NotFound): nodes "w-2" not found
		0 | kubectl annotate node w-1 x/y=a,b=c | node/w-1 annotated
		1 | kubectl annotate node w-1 x/y=z | error: 'x/y' already has a value (a,b=c), and --overwrite is false
		0 | kubectl taint node w-1 a=b:NoSchedule c:NoExecute | node/w-1 tainted
		1 | kubectl taint node w-1 a=x:NoSchedule | error: node w-1 already has a taint(s) with same effect(s) and --overwrite is false
		0 | kubectl taint --overwrite node w-1 a=x:NoSchedule c:NoExecute- | node/w-1 modified
		1 | kubectl taint node w-1 c:NoExecute- | error: taint "c:NoExecute" not found
		1 | kubectl taint node w-1 a=b:Never | error: invalid taint effect: Never, unsupported taint effect\nSee 'kubectl taint -h' for help and examples
		1 | kubectl taint node w-1 a:b:NoSchedule | error: invalid taint spec: a:b:NoSchedule
		1 | kubectl taint node w-1 a=b | error: invalid taint spec: a=b
	EOT
	[ "$(kubectl get node w-1 -o 'jsonpath={.metadata.labels}{.metadata.labels.a}|{.metadata.annotations.x/y}|{.spec.taints[*].key}={.spec.taints[*].value}:{.spec.taints[*].effect}')" = '{}|a,b=c|a=x:NoSchedule' ]
	kubectl taint node w-1 a-
	[ "$(kubectl get node w-1 -o 'jsonpath={.spec.taints[*].key}')" = '' ]
}

@test "k3s: keys it does not know, values of another kind and labels a kubelet may not set stop it" {
	local line want
	while IFS='|' read -r line want; do
		printf 'node-name: cp-1\ntoken: x\n%b\n' "$line" >config.yaml
		chmod 600 config.yaml
		says 1 "$want" timeout 20 k3s server
	done <<-'EOT'
		etcd-expose-metric: true|flag provided but not defined: -etcd-expose-metric
		debug: "yes"|invalid boolean value "yes" for flag -debug
		v: much|invalid number value much for flag -v
		node-label:\n- node-role.kubernetes.io/worker=true|failed to validate kubelet flags: unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [node-role.kubernetes.io/worker]
	EOT
}

@test "kubectl: kinds and names that the API does not have" {
	words_table <<-'EOT'
		1 | kubectl get foo | error: the server doesn't have a resource type "foo"
		1 | kubectl get foo.bar.io | error: the server doesn't have a resource type "foo"
		1 | kubectl get ciliumloadbalancerippools | error: the server doesn't have a resource type "ciliumloadbalancerippools"
		1 | kubectl get node y | Error from server (NotFound): nodes "y" not found
		1 | kubectl get crd y | Error from server (NotFound): customresourcedefinitions.apiextensions.k8s.io "y" not found
		0 | kubectl get node y --ignore-not-found |
		1 | kubectl get nodes y z | Error from server (NotFound): nodes "y" not found\nError from server (NotFound): nodes "z" not found
		0 | kubectl get secrets | No resources found in default namespace.
		1 | kubectl wait --for=condition=Ready node/y --timeout=1s | Error from server (NotFound): nodes "y" not found
		1 | kubectl wait --for=condition=Ready secret --timeout=1s | error: no matching resources found
		1 | kubectl wait --for=condition=Ready node/cp-1 --timeout=2s | error: timed out waiting for the condition on nodes/cp-1
		1 | kubectl delete node | error: resource(s) were provided, but no name was specified
		1 | kubectl get nodes -o foo | error: unable to match a printer suitable for the output format "foo", allowed formats are: custom-columns
		1 | kubectl get nodes -o 'jsonpath={range .items[*]}{.a}{end' | error: error parsing jsonpath {range .items[*]}{.a}{end, unclosed action
	EOT
}

@test "/readyz is 500 with its list while the API starts" {
	touch state/faults/starting
	says 1 'Error from server (InternalError): an error on the server ("[+]ping ok\\n[+]log ok' kubectl get --raw /readyz
	[[ "$output" == *'[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n'*'readyz check failed") has prevented the request from succeeding' ]]
	rm state/faults/starting
	says 0 ok kubectl get --raw /readyz
}

@test "a node's credentials read its own object and nothing else" {
	node w-1 && node w-2
	sed 's/admin/w-1.node-password.k3s/' k3s.yaml >kubelet.yaml
	export KUBECONFIG=$PWD/kubelet.yaml
	words_table <<-'EOT'
		0 | kubectl get node w-1 -o name | node/w-1
		0 | kubectl annotate --overwrite node w-1 pibuild.io/report=done | node/w-1 annotated
		1 | kubectl get node w-2 | Error from server (Forbidden): nodes "w-2" is forbidden: User "system:node:w-1" cannot get resource "nodes" in API group "" at the cluster scope: node 'w-1' cannot read 'w-2', only its own Node object
		1 | kubectl get nodes | Error from server (Forbidden): nodes is forbidden: User "system:node:w-1" cannot list resource "nodes" in API group "" at the cluster scope: node 'w-1' cannot read all nodes, only its own Node object
		1 | kubectl -n kube-system get secret | Error from server (Forbidden): secrets is forbidden: User "system:node:w-1" cannot list resource "secrets" in API group "" in the namespace "kube-system"
		1 | kubectl annotate --overwrite node w-2 a=b | node 'w-1' cannot read 'w-2', only its own Node object
	EOT
	echo 'token: nobody' >kubelet.yaml
	run kubectl get node w-1
	[ "$status" = 1 ]
}

pool='apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata:\n  name: p\nspec:\n'

# applied STATUS TEXT DOCUMENTS
applied() {
	printf '%b' "$3" >applied.yaml
	says "$1" "$2" kubectl apply --server-side -f applied.yaml
}

@test "apply: schema and admission of the kinds that pibuild sends" {
	cilium install --chart-directory chart --values values.yaml
	local patch='Error from server: failed to create typed patch object (/p; cilium.io/v2, Kind=CiliumLoadBalancerIPPool): .spec'
	applied 0 'ciliumloadbalancerippool.cilium.io/p serverside-applied' "$pool  blocks:\n  - cidr: 10.0.0.0/24\n"
	applied 1 "$patch.x: field not declared in schema" "$pool  x: 1\n"
	applied 1 "$patch.blocks[0].z: field not declared in schema" "$pool  blocks:\n  - cidr: a\n    z: 1\n"
	applied 1 "$patch.disabled: expected boolean, got &value.valueUnstructured{Value:\"yes\"}" "$pool  disabled: \"yes\"\n"
	applied 1 "$patch.blocks[0].cidr: expected string, got &value.valueUnstructured{Value:1}" "$pool  blocks:\n  - cidr: 1\n"
	applied 1 "$patch.blocks: expected list" "$pool  blocks: x\n"
	applied 1 'The CiliumLoadBalancerIPPool "p" is invalid: spec.allowFirstLastIPs: Unsupported value: "Maybe": supported values: "Yes", "No"' "$pool  allowFirstLastIPs: Maybe\n"
	applied 1 'Error from server (BadRequest): Secret in version "v1" cannot be handled as a Secret: illegal base64 data' 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: kube-system\ndata:\n  a: x!\n'
	applied 1 'error: resource name may not be empty' 'apiVersion: v1\nkind: Namespace\n'
	applied 1 'error: no objects passed to apply' ''
	applied 1 'error: error parsing applied.yaml: error converting YAML to JSON: yaml: found character that cannot start any token' 'a:\n\tb: 1\n'
	applied 1 'apiVersion not set; if you choose to ignore these errors' 'kind: Secret\n'
	applied 1 'no matches for kind "Foo" in version "v1"\nensure CRDs are installed first' 'apiVersion: v1\nkind: Foo\nmetadata:\n  name: f\n'
	applied 1 'Error from server (NotFound): namespaces "nope" not found' 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: nope\n'
	echo CiliumLoadBalancerIPPool >state/faults/deny
	applied 1 "ValidatingAdmissionPolicy 'stand-in' with binding 'stand-in' denied request" "$pool  disabled: true\n"
}

@test "apply goes on after a bad document, ends 1, and tells those that cannot be sent first" {
	cilium install --chart-directory chart --values values.yaml
	applied 1 'resource mapping not found for name: "f" namespace: "" from "applied.yaml": no matches for kind "Foo" in version "v1"
ensure CRDs are installed first
Error from server: failed to create typed patch object (/p; cilium.io/v2, Kind=CiliumLoadBalancerIPPool): .spec.x: field not declared in schema' \
		"$pool  x: 1\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: after\n---\napiVersion: v1\nkind: Foo\nmetadata:\n  name: f\n"
	[[ "$output" == 'namespace/after serverside-applied'* ]]
	[ -s state/objects/namespace/_/after ]
}

# ready_is TYPE OBJECT STATUS: its condition
condition_is() {
	[ "$(kubectl get "$2" -o "jsonpath={.status.conditions[?(@.type==\"$1\")].status}")" = "$3" ]
}

@test "conditions are empty, False or Unknown at first, and what their controllers say a moment later" {
	printf 'gatewayAPI:\n  enabled: true\n  gatewayClass:\n    create: "true"\n' >>values.yaml
	mkdir -p state/objects/customresourcedefinition/_
	printf 'metadata:\n  name: gatewayclasses.gateway.networking.k8s.io\n' >state/objects/customresourcedefinition/_/gatewayclasses.gateway.networking.k8s.io
	cilium install --chart-directory chart --values values.yaml
	condition_is Established crd/ciliumloadbalancerippools.cilium.io ''
	condition_is Ready node/cp-1 False
	condition_is Accepted gatewayclass/cilium Unknown
	later 2
	condition_is Established crd/ciliumloadbalancerippools.cilium.io True
	condition_is Ready node/cp-1 True
	condition_is Accepted gatewayclass/cilium True
	echo 'node cp-1 Ready Unknown Kubelet stopped posting node status.' >state/faults/conditions
	condition_is Ready node/cp-1 Unknown
}

@test "Cilium's operator that found no Gateway API at its start does not look again before it is started anew" {
	printf 'gatewayAPI:\n  enabled: true\n  gatewayClass:\n    create: "true"\n' >>values.yaml
	cilium install --chart-directory chart --values values.yaml
	mkdir -p state/objects/customresourcedefinition/_
	printf 'metadata:\n  name: x\n' >state/objects/customresourcedefinition/_/gatewayclasses.gateway.networking.k8s.io
	later 60
	condition_is Accepted gatewayclass/cilium Unknown
	says 0 'deployment.apps/cilium-operator restarted' kubectl -n kube-system rollout restart deployment/cilium-operator
	condition_is Accepted gatewayclass/cilium True
}

@test "cilium upgrade keeps the last values below the new ones unless it is told not to" {
	values() { helm -n kube-system get values cilium -o yaml; }
	printf 'bpf:\n  masquerade: true\ndevices:\n- eth0\n- eth1\n' | cat values.yaml - >first.yaml
	printf 'devices:\n- end0\n' | cat values.yaml - >second.yaml
	cilium install --chart-directory chart --values first.yaml
	cilium upgrade --chart-directory chart --values second.yaml
	values | grep -q 'masquerade: true'
	[ "$(values | grep -A1 '^devices:')" = $'devices:\n  - end0' ]
	cilium upgrade --chart-directory chart --values second.yaml --reuse-values
	values | grep -q 'masquerade: true'
	cilium upgrade --chart-directory chart --values second.yaml --reset-values
	run ! grep -q masquerade <(values)
	# The CLI's own are there all the same.
	values | grep -q 'routingMode: tunnel'
	[ "$(kubectl -n kube-system get secret -l owner=helm,name=cilium -o 'jsonpath={range .items[*]}{.metadata.labels.status} {end}')" = 'superseded superseded superseded deployed ' ]
}

@test "cilium status counts over all nodes: a dead one, an operator without a place" {
	printf 'operator:\n  replicas: 2\n' >>values.yaml
	node w-1
	cilium install --chart-directory chart --values values.yaml
	later 2
	echo w-1 >state/faults/dead
	says 1 'Error: Unable to determine status:  timeout while waiting for status to become successful: context deadline exceeded' \
		cilium status --wait --wait-duration 6s --interactive=false
	[[ "$output" == *'1 pods of DaemonSet cilium are not ready'* ]]
	[[ "$output" == *'1 pods of Deployment cilium-operator are not ready'* ]]
	[ "$(kubectl -n kube-system get daemonset cilium -o 'jsonpath={.status.numberReady}/{.status.desiredNumberScheduled}')" = 1/2 ]
	condition_is Ready node/w-1 Unknown
	condition_is Ready node/cp-1 True
	rm state/faults/dead
	node cp-2 'node-role.kubernetes.io/control-plane: "true"'
	says 0 'Desired: 2, Ready: ' cilium status --wait --wait-duration 6s --interactive=false
}

@test "a release that fails leaves its record" {
	echo 'broken Internal error occurred: etcdserver: leader changed' >state/faults/cilium-install
	says 1 'Error: Unable to install Cilium: Internal error occurred: etcdserver: leader changed' cilium install --chart-directory chart --values values.yaml
	[ "$(kubectl -n kube-system get secret -l owner=helm -o 'jsonpath={.items[*].metadata.labels.status}')" = failed ]
	rm state/faults/cilium-install
	says 1 'Error: Unable to install Cilium: release name check failed: cannot reuse a name that is still in use' cilium install --chart-directory chart --values values.yaml
	cilium upgrade --chart-directory chart --values values.yaml
}

@test "the hook of Cilium 1.18 blocks the installation until its pod runs, then fails it" {
	printf 'name: cilium\nversion: "1.18.12"\n' >chart/Chart.yaml
	printf 'hubble:\n  tls:\n    auto:\n      method: cronJob\n' >>values.yaml
	echo ImagePullBackOff >state/faults/hook
	says 1 'Error: Unable to install Cilium: failed post-install: resource Job/kube-system/hubble-generate-certs not ready. status: InProgress, message: Job in progress\ncontext deadline exceeded' \
		cilium install --chart-directory chart --values values.yaml
	[ "$(cut -d . -f 1 uptime)" = 400 ]
	[ "$(kubectl -n kube-system get pods -l k8s-app=hubble-generate-certs -o 'jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}')" = ImagePullBackOff ]
	rm state/faults/hook
	cilium upgrade --chart-directory chart --values values.yaml
}

@test "helm refuses values that the chart's schema does not know, and names them" {
	printf 'name: cert-manager\n' >chart/Chart.yaml
	printf 'crds:\n  enabled: true\nbogus: 1\n' >values.yaml
	says 1 "Error: values don't meet the specifications of the schema(s) in the following chart(s):\ncert-manager:\n- at '': additional properties 'bogus' not allowed" \
		helm upgrade --install cert-manager chart --namespace cert-manager --create-namespace --values values.yaml
	printf 'crds:\n  enabled: true\n' >values.yaml
	says 1 'Error: create: failed to create: namespaces "cert-manager" not found' helm upgrade --install cert-manager chart -n cert-manager --values values.yaml
	says 0 'STATUS: deployed' helm upgrade --install cert-manager chart -n cert-manager --create-namespace --values values.yaml
}

@test "k3s etcd-snapshot save and server --cluster-reset: flags, folders, files and configuration that K3s refuses, in its words" {
	export STANDIN_DATA=$PWD/data
	mkdir there
	(umask 077 && printf 'token: K10abc::server:x\ncluster-init: true\n' >config.yaml)
	fails 1 'etcd database not found in ' k3s etcd-snapshot save
	mkdir -p data/server/db/etcd/member/wal
	fails 1 'flag provided but not defined: -keep' k3s etcd-snapshot save --keep 3
	fails 1 "failed to get etcd-snapshot-dir: stat $PWD/nowhere: no such file or directory" k3s etcd-snapshot save --dir "$PWD/nowhere"
	k3s etcd-snapshot save --name pibuild --dir "$PWD/there"
	snapshot=$(ls there/pibuild-*)
	reset=(k3s server --cluster-reset "--cluster-reset-restore-path=$PWD/$snapshot")
	fails 1 'etcd: snapshot path does not exist: /nowhere' k3s server --cluster-reset --cluster-reset-restore-path=/nowhere
	fails 1 'flag provided but not defined: --cluster-rest' k3s server --cluster-rest
	cp "$snapshot" whole && printf damaged | dd of="$snapshot" bs=1 seek=600 conv=notrunc status=none
	fails 1 'expected sha256' "${reset[@]}"
	cp whole "$snapshot"
	mkdir config.yaml.d && (umask 077 && echo 'server: "https://192.168.1.12:6443"' >config.yaml.d/10-join.yaml)
	fails 1 'cannot perform cluster-reset while server URL is set' "${reset[@]}"
	rm config.yaml.d/10-join.yaml
	# what came after the snapshot is gone
	node w-1
	fails 0 'restart without --cluster-reset flag now' "${reset[@]}"
	[ -e state/objects/node/_/cp-1 ]
	[ ! -e state/objects/node/_/w-1 ]
	[ -e data/server/db/reset-flag ]
}

@test "k3s imports the archives of agent/images before it runs, and passes over what is none; ctr lists what they held" {
	export STANDIN_DATA=$PWD/data
	mkdir -p data/agent/images
	(umask 077 && printf 'token: K10abc::server:x\nnode-ip: "192.168.1.11"\n' >config.yaml)
	printf '{"manifests":[{"annotations":{"io.containerd.image.name":"quay.io/b/c:v1"}},{"annotations":{"io.containerd.image.name":"a:v2"}}]}' >index.json
	tar -cf data/agent/images/b.tar index.json
	: >data/agent/images/a.tar
	timeout 5 k3s server >log 2>&1 || true
	diff <(sed -n "s|$PWD/||; s/level=\([a-z]*\) msg=/\1 /p; s/: server runs with.*/ runs/p" log) - <<-'EOT'
		info "Importing images from data/agent/images/a.tar"
		error "Error encountered while importing data/agent/images/a.tar: unrecognized image format"
		info "Importing images from data/agent/images/b.tar"
		info "Imported quay.io/b/c:v1"
		info "Imported a:v2"
		info "Imported images from data/agent/images/b.tar in 1s"
		k3s stand-in v1.36.4+k3s1 runs
	EOT
	[ "$(k3s ctr images ls -q)" = $'a:v2\nquay.io/b/c:v1' ]
}

@test "a certificate of the CA's issuer is there when it was applied, whoever asks for it later and may write nothing" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9 2>/dev/null
	: >state/objects/namespace/_/cert-manager
	mkdir cert-manager && echo "name: cert-manager" >cert-manager/Chart.yaml
	helm upgrade --install cert-manager "$PWD/cert-manager" --namespace cert-manager >log
	{
		printf 'apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: web\n  namespace: kube-system\nspec:\n  secretName: web\n  issuerRef:\n    kind: ClusterIssuer\n    name: ca\n  dnsNames:\n  - a.lan\n'
		printf -- '---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: ca\nspec:\n  ca:\n    secretName: issuer-ca\n'
	} >issuer.yaml
	kubectl apply --server-side -f issuer.yaml
	[ ! -e state/objects/secret/kube-system/web ]
	{
		printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: issuer-ca\n  namespace: cert-manager\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n'
		sed 's/^/    /' ca.pem
		printf '  tls.key: |\n'
		sed 's/^/    /' ca.key
	} >secret.yaml
	kubectl apply --server-side -f secret.yaml
	sed -n 's/^  tls.crt: //p' state/objects/secret/kube-system/web | base64 -d | openssl verify -CAfile ca.pem -verify_hostname a.lan
}

# etcd_member: k3s here has started a cluster with etcd, of which it is the only member
etcd_member() {
	printf 'node-name: cp-1\nnode-ip: "192.168.1.11"\ntoken: K10abc::server:sesame\nagent-token: "worker"\ncluster-init: true\n' >config.yaml
	chmod 600 config.yaml
	export STANDIN_VIEW=$PWD/view STANDIN_TLS=$PWD/tls
	mkdir view view/there view/heard tls
	echo 'the CA' >tls/server-ca.crt
	timeout 20 k3s server >log 2>&1 || true
	[ -d state/server/db/etcd/member/wal ]
	grep -qE '^192\.168\.1\.11 cp-1-[0-9a-f]{8}$' state/members/cp-1
}

# asked WORD WHO TEXT: as another machine asks by HTTP; what is answered, and its status
asked() {
	local body=$1$'\n'$2$'\n'$3$'\n' reply code
	reply=$(CONTENT_LENGTH=${#body} k3s stand-in-request <<<"$body") || return
	reply=${reply#*$'\r\n\r\n'} code=${reply%%$'\n'*}
	printf '%s\n' "${reply#*$'\n'}"
	return "${code#exit }"
}

@test "k3s: who is let in as a member of etcd, and what the others are told" {
	etcd_member
	words_table <<-'EOT'
		0 | asked cacerts - - | 743de95d43ac96ce
		1 | asked join server:wrong "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | not authorized
		1 | asked join node:worker "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | not authorized
		0 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | cp-2 joined as server
		0 | grep -qx 192.168.1.12 state/members/cp-2 |
		0 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | cp-2 joined as server
		0 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-bbbbbbbb" | cp-2 joined as server
		1 | asked join server:sesame "cp-2 pw2 server 192.168.1.22 cp-2-bbbbbbbb" | etcd cluster join failed: duplicate node name found, please use a unique name for this node
		1 | asked join server:sesame "cp-3 pw3 server 192.168.1.13 cp-3-aaaaaaaa" | etcdserver: too many learner members in cluster
		1 | asked join server:sesame "cp-2 other server 192.168.1.12 cp-2-aaaaaaaa" | Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry
		1 | asked promote server:wrong "cp-2 192.168.1.12 cp-2-aaaaaaaa" | not authorized
		0 | asked promote server:sesame "cp-2 192.168.1.12 cp-2-aaaaaaaa" |
		0 | kubectl get node cp-2 -o 'jsonpath={.status.addresses[0].address}' | 192.168.1.12
		0 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | cp-2 joined as server
		1 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-bbbbbbbb" | etcd cluster join failed: duplicate node name found, please use a unique name for this node
		1 | asked join server:sesame "cp-3 pw3 server 192.168.1.13 cp-3-aaaaaaaa" | etcdserver: unhealthy cluster
		0 | touch view/there/cp-2 |
		0 | asked join server:sesame "cp-3 pw3 server 192.168.1.13 cp-3-aaaaaaaa" | cp-3 joined as server
		0 | asked join node:worker "w-1 pww agent 192.168.1.21" | w-1 joined as agent
		0 | kubectl delete node cp-2 | node "cp-2" deleted
		1 | test -e state/members/cp-2 |
		1 | asked promote server:sesame "cp-2 192.168.1.12 cp-2-aaaaaaaa" | this server is a not a member of the etcd cluster. Found [cp-1 cp-3 ], expect: cp-2-aaaaaaaa
	EOT
	[ "$(cat state/revision)" -ge 6 ]
}

@test "k3s: with too few members of etcd the API has no answers, and who leads elsewhere changes nothing here" {
	etcd_member
	: >view/lost
	words_table <<-'EOT'
		1 | kubectl get nodes | Error from server: etcdserver: request timed out
		1 | kubectl get --raw /readyz | Error from server (InternalError): an error on the server ("[+]ping ok\\n[+]log ok\\n[-]etcd failed: reason withheld
		0 | kubectl get --raw /cacerts | the CA
		1 | asked join server:sesame "cp-2 pw2 server 192.168.1.12 cp-2-aaaaaaaa" | Error from server: etcdserver: request timed out
		0 | asked cacerts - - |
		0 | rm view/lost |
		1 | asked kubectl nobody "get\nnodes" | error: You must be logged in to the server (Unauthorized)
		0 | rm ready |
		1 | asked kubectl admin $'get\nnodes' | Error from server (ServiceUnavailable): the server is currently unable to handle the request
	EOT
	echo '192.168.1.12 cp-2-aaaaaaaa' >state/members/cp-2
	echo cp-2 >state/leader
	says 1 'Error from server: etcdserver: leader changed' asked join node:worker 'w-1 pww agent 192.168.1.21'
	refute test -e state/objects/node/_/w-1
}

@test "a node that nobody heard of for 50 seconds is Unknown" {
	cilium install --chart-directory chart --values values.yaml
	later 2
	export STANDIN_VIEW=$PWD/view
	mkdir -p view/heard
	echo 60 >view/heard/cp-1
	condition_is Ready node/cp-1 True
	echo 52 >view/heard/cp-1
	condition_is Ready node/cp-1 Unknown
}
