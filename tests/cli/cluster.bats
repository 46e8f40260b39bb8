#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: left out of `make test-fast`
# The cluster on the card: mistakes of the usual blog-post setup, each refused or put right; the files every shipped
# example renders to; random clusters.
#
# PIBUILD_GOLDEN=update bats tests/cli/cluster.bats writes tests/golden anew: look at the difference before a commit.

load ../lib/image

golden=$top/tests/golden

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	export HOME=$BATS_TEST_TMPDIR
	export DO_TOKEN=dop_v1_token WIFI_PASSPHRASE=correct-horse DOCKERHUB_TOKEN=dckr_pat_x BGP_PASSWORD=bgp-password AZURE_CLIENT_SECRET=x AWS_SECRET_ACCESS_KEY=x
}

# cluster NODES... [-- LINE...]: a cluster.yaml of nodes "role:board", then more lines.
cluster() {
	local n=10
	cat >cluster.yaml <<-EOT
		apiVersion: pibuild/v1
		cluster: {name: lab}
		access: {user: pi, sshKeys: [$example_key]}
		network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]}
		nodes:
	EOT
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		echo "  - {name: n-$n, role: ${1%:*}, board: ${1#*:}, address: 192.168.1.$n/24}" >>cluster.yaml
		n=$((n + 1))
		shift
	done
	[ $# -eq 0 ] || { shift && printf '%s\n' "$@" >>cluster.yaml; }
}
server=control-plane:rpi5 worker=worker:rpi5
pool='loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.127}]}'

# values LINE...: a values file beside a cluster of one server and one worker.
values() {
	printf '%s\n' "$@" >extra.yaml
	cluster $server $worker -- "$pool" 'cilium: {valuesFile: extra.yaml}'
}
refused() {
	fails 3 "$1" "$PIBUILD" check
}
noted() {
	fails 0 "$1" "$PIBUILD" check
}

# rendered [NODE]: the tree of the first node, or of NODE, in ./card.
rendered() {
	rm -rf card
	"$PIBUILD" render --node "${1:-n-10}" -o card >listing 2>err || { cat err; return 1; }
}
# holds FILE TEXT...: each TEXT is a line of it, blanks at its start aside.
holds() {
	local file=card/$1 line
	shift
	for line in "$@"; do
		sed 's/^ *//' "$file" | grep -qxF -- "$line" || { echo "not in $file: $line"; cat "$file"; return 1; }
	done
}
values_file=etc/pibuild/cilium-values.yaml
manifests=etc/pibuild/manifests

# ---- the blog post, mistake by mistake ----

@test "blog 1: k8sServiceHost: auto is refused with the reason, and 127.0.0.1:6444 is generated" {
	values 'k8sServiceHost: auto'
	refused 'extra.yaml:1:17: error: k8sServiceHost: auto reads a ConfigMap that only kubeadm makes'
	cluster $server && rendered
	holds $values_file 'k8sServiceHost: "127.0.0.1"' 'k8sServicePort: 6444'
}

@test "blog 2: the kubelet's port for health checks is refused, and 10256 is generated" {
	values 'kubeProxyReplacementHealthzBindAddr: "0.0.0.0:10250"'
	refused 'port 10250 of a node belongs to the kubelet'
	cluster $server && rendered
	holds $values_file 'kubeProxyReplacementHealthzBindAddr: "0.0.0.0:10256"'
}

@test "blog 3: the master label is refused, and control-plane with the text \"true\" is generated" {
	values 'operator: {nodeSelector: {node-role.kubernetes.io/master: "true"}}'
	refused 'K3s has not set the label node-role.kubernetes.io/master since 1.34'
	values 'operator: {nodeSelector: {node-role.kubernetes.io/control-plane: ""}}'
	refused 'K3s gives the label node-role.kubernetes.io/control-plane the value "true"'
	cluster $server && rendered
	holds $values_file 'node-role.kubernetes.io/control-plane: "true"'
}

@test "blog 4: externalIPs is named as gone, and kube-proxy replacement is on though the chart's default is off" {
	values 'externalIPs: {enabled: true}'
	refused "externalIPs: this key is no longer in Cilium's chart and does nothing"
	values 'kubeProxyReplacement: strict'
	refused 'kubeProxyReplacement: must be true'
	cluster $server && rendered
	holds $values_file 'kubeProxyReplacement: true'
}

@test "blog 5: the operator's replicas follow the servers, and more than there are servers is refused" {
	values 'operator: {replicas: 2}'
	refused '2 replicas need 2 control-plane nodes and there is 1'
	cluster $server && rendered
	holds $values_file 'replicas: 1'
	cluster $server $server $server && rendered
	holds $values_file 'replicas: 2'
}

@test "blog 6: the operator tolerates every taint, and a narrower list is refused" {
	values 'operator: {tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]}'
	refused 'add {operator: Exists}'
	cluster $server && rendered
	holds $values_file '- operator: Exists'
}

@test "blog 7: the Gateway API comes with its CRDs or not at all" {
	cluster $server && rendered
	grep -q "$manifests/gateway-api.yaml" listing
	holds $values_file 'create: "true"'
	cluster $server -- 'cilium: {gatewayAPI: false}' && rendered
	run ! grep -q gateway-api.yaml listing
	values 'gatewayAPI: {enabled: true}'
	refused 'set cilium.gatewayAPI in cluster.yaml instead'
}

@test "blog 7: a K3s that brings the CRDs itself needs the network for it first, so they are on the card all the same" {
	cluster $server -- 'versions: {k3s: v1.37.1+k3s1}'
	PIBUILD_LOCK=$top/configs/pibuild.lock rendered
	grep -q "$manifests/gateway-api.yaml" listing
}

@test "blog 8: pods in 10.0.0.0/8 are refused, and K3s and Cilium are given the same network" {
	values 'ipam: {operator: {clusterPoolIPv4PodCIDRList: [10.0.0.0/8]}}'
	refused 'pods must come from cluster.podCIDR (10.42.0.0/16)'
	cluster $server && sed -i 's/name: lab}/name: lab, podCIDR: 10.0.0.0\/8}/' cluster.yaml
	refused 'cluster.podCIDR 10.0.0.0/8 and cluster.serviceCIDR 10.43.0.0/16 overlap'
	cluster $server && rendered
	holds $values_file '- 10.42.0.0/16'
	holds etc/rancher/k3s/config.yaml 'cluster-cidr: 10.42.0.0/16'
}

@test "blog 9: devices without the interface of a node are refused, and a policy's interface is matched whole" {
	values 'devices: [end0]'
	refused 'devices: leaves out eth0, which carries the address of n-10'
	cluster $server -- "$pool" && rendered
	run ! grep -q devices card/$values_file
	holds $manifests/l2-policy.yaml '- "^eth0$"'
}

@test "blog 10: announcements never exclude every node" {
	cluster $server -- "$pool" && rendered
	run ! grep -q nodeSelector card/$manifests/l2-policy.yaml
	cluster $server $server $server -- "$pool" && rendered
	run ! grep -q nodeSelector card/$manifests/l2-policy.yaml
	cluster $server $worker -- "$pool" && rendered
	holds $manifests/l2-policy.yaml 'operator: DoesNotExist'
	cluster $server -- "${pool%\}}, announce: {nodes: workers}}"
	refused 'there is no worker, so no node would ever answer for a service address'
}

@test "blog 11: one address serves every Ingress, and an address for each is noted" {
	values 'ingressController: {loadbalancerMode: dedicated}'
	noted 'each Ingress takes an address of its own from the pool'
	cluster $server && rendered
	holds $values_file 'loadbalancerMode: shared'
}

@test "blog 12: a pool inside the DHCP range or outside the LAN is refused" {
	cluster $server -- "$pool"
	sed -i 's/^network: {/&dhcpRange: 192.168.1.100-192.168.1.200, /' cluster.yaml
	refused 'the router would give service addresses to other machines'
	cluster $server -- "${pool//192.168.1/192.168.2}"
	refused 'lies outside network.subnet 192.168.1.0/24'
}

@test "blog 13: VLAN ids to bypass are noted as needless, and more than five are refused" {
	values 'bpf: {vlanBypass: [0]}'
	noted 'only tagged sub-interfaces of a node need this'
	values 'bpf: {vlanBypass: [1, 2, 3, 4, 5, 6]}'
	refused 'the agent refuses more than 5 VLAN ids'
}

@test "blog 14: every binary of the card is the arm64 one, whatever machine builds" {
	cluster $server
	"$PIBUILD" plan --json >plan.json
	[ "$(jq -r '.. | .url? // empty' plan.json | grep -cE 'amd64|x86')" -eq 0 ]
	[ "$(jq -r '.. | .url? // empty' plan.json | grep -cE '(hubble|cilium)-linux-arm64')" -ge 2 ]
}

@test "blog 15: latest is no version, and everything planned has one" {
	cluster $server -- 'versions: {cilium: latest}'
	refused 'versions.cilium'
	cluster $server
	"$PIBUILD" plan --json >plan.json
	run ! grep -qE 'stable\.txt|latest' plan.json
}

@test "blog 16: Hubble is on by values, and switching its UI there is refused" {
	values 'hubble: {ui: {enabled: false}}'
	refused 'set cilium.hubble.ui in cluster.yaml instead'
	cluster $server && rendered
	holds $values_file 'hubble:' 'relay:' 'ui:' 'method: cronJob'
}

@test "blog 17: kubectl, crictl and ctr are on every node" {
	cluster $server && rendered
	for name in kubectl crictl ctr; do [ "$(readlink card/usr/local/bin/$name)" = k3s ]; done
}

@test "blog 18: externalTrafficPolicy: Local is refused, and Cluster is generated" {
	values 'gatewayAPI: {externalTrafficPolicy: Local}'
	refused 'keep Cluster'
	cluster $server && rendered
	holds $values_file 'externalTrafficPolicy: Cluster'
}

@test "blog 19: indentation lost in a paste is refused, with the place where a key belongs" {
	values 'operator:' 'replicas: 1'
	refused 'nil pointer evaluating interface'
	values 'leaseDuration: 15s'
	refused "did you mean 'l2announcements.leaseDuration'?"
	values 'bandwidthManager:' 'enabled: true'
	refused 'was the indentation lost?'
}

@test "blog 20: a DNS token is given to Kubernetes as text, not as hand-made base64" {
	printf 'dop_v1_token\n' >token
	cluster $server -- 'certManager: {dns01: {provider: digitalocean, accessToken: {file: token}}}'
	rm -rf card && "$PIBUILD" render --node n-10 -o card --show-secrets >/dev/null
	holds etc/pibuild/secrets/dns01.yaml 'stringData:' 'access-token: dop_v1_token'
	[ "$(stat -c %a card/etc/pibuild/secrets/dns01.yaml)" = 600 ]
	[ "$(stat -c %a card/etc/pibuild/secrets)" = 700 ]
}

@test "blog 20: a token written into cluster.yaml is refused and not repeated" {
	cluster $server -- 'certManager: {dns01: {provider: digitalocean, accessToken: dop_v1_secret}}'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" != *dop_v1_secret* ]]
}

@test "akamai: the host and three secrets, each where cert-manager's solver looks for it" {
	cluster $server -- 'certManager: {zones: [home.example.org], dns01: {provider: akamai, serviceConsumerDomain: akab-0.luna.akamaiapis.net,' \
		'  clientToken: {env: A_CLIENT}, clientSecret: {env: A_SECRET}, accessToken: {env: A_ACCESS}}}'
	rm -rf card && A_CLIENT=the-client A_SECRET=the-secret A_ACCESS=the-access \
		"$PIBUILD" render --node n-10 -o card --show-secrets >/dev/null
	holds etc/pibuild/secrets/dns01.yaml 'client-token: the-client' 'client-secret: the-secret' 'access-token: the-access'
	python3 - card/$manifests/issuers.yaml <<-'PYTHON'
		import sys, yaml
		for issuer in yaml.safe_load_all(open(sys.argv[1])):
		    solver = issuer["spec"]["acme"]["solvers"][0]["dns01"]["akamai"]
		    name = solver["clientTokenSecretRef"]["name"]
		    assert solver == {"serviceConsumerDomain": "akab-0.luna.akamaiapis.net",
		                      "clientTokenSecretRef": {"name": name, "key": "client-token"},
		                      "clientSecretSecretRef": {"name": name, "key": "client-secret"},
		                      "accessTokenSecretRef": {"name": name, "key": "access-token"}}, solver
	PYTHON
}

@test "blog 21: issuers serve every namespace, and their secret is where cert-manager looks for it" {
	cluster $server -- 'certManager: {dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}}' && rendered
	holds $manifests/issuers.yaml 'kind: ClusterIssuer'
	run ! grep -qx 'kind: Issuer' card/$manifests/issuers.yaml
	holds etc/pibuild/secrets/dns01.yaml 'namespace: cert-manager'
}

@test "blog 22: both issuers are there, and challenges are looked up outside the home's own DNS" {
	cluster $server -- 'certManager: {dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}}' && rendered
	holds $manifests/issuers.yaml 'name: letsencrypt-staging' 'name: letsencrypt-production'
	holds etc/pibuild/cert-manager-values.yaml 'dns01RecursiveNameservers: 1.1.1.1:53,8.8.8.8:53' \
		'dns01RecursiveNameserversOnly: true'
}

@test "blog 23: helm and the charts are on the first server" {
	cluster $server -- 'certManager: {}' && rendered
	grep -q /usr/local/bin/helm listing
	grep -q /usr/share/pibuild/charts/cilium listing
	grep -q /usr/share/pibuild/charts/cert-manager.tgz listing
}

@test "blog 24: without a pin cert-manager is a supported version, with CRDs and time enough for a Pi" {
	cluster $server -- 'certManager: {}' && rendered
	grep -q 'cert-manager-chart v1\.21\.' listing
	holds etc/pibuild/cert-manager-values.yaml 'crds:' 'timeout: 5m'
}

@test "blog 25: a board that cannot run Envoy gets none, and the tunnel's module is loaded" {
	cluster control-plane:rpi4 $worker && rendered
	holds $values_file 'l7Proxy: false'
	run ! grep -q 'enabled: true' <(grep -A1 -E 'ingressController:|gatewayAPI:|envoy:' card/$values_file)
	holds etc/modules-load.d/pibuild.conf vxlan
	run ! grep -q '^iptable' card/etc/modules-load.d/pibuild.conf
	cluster control-plane:rpi4 -- 'cilium: {ingress: true}'
	refused 'Envoy would crash on n-10'
}

@test "blog 26: nothing waits for a ClusterIP: kube-proxy, flannel, servicelb and traefik are off in K3s" {
	cluster $server && rendered
	holds etc/rancher/k3s/config.yaml 'disable-kube-proxy: true' 'flannel-backend: none' \
		'disable-network-policy: true' '- servicelb' '- traefik'
}

@test "blog 27: a change of values restarts agent, operator, Envoy, relay and UI" {
	cluster $server && rendered
	holds $values_file 'rollOutCiliumPods: true'
	[ "$(grep -c 'rollOutPods: true' card/$values_file)" -eq 4 ]
}

@test "blog 28: the API at port 6443 of 127.0.0.1 is refused: workers have none" {
	values 'k8sServicePort: 6443'
	refused '6443 exists on servers only'
	cluster $server $worker && rendered n-11
	holds etc/pibuild/servers 'n-10 192.168.1.10'
}

# ---- what is not in a blog post ----

@test "a key of the values file that the chart does not know is named with its place and the nearest key" {
	values 'hubble:' '  relay:' '    replica: 2'
	refused "extra.yaml:3:5: error: hubble.relay.replica: the chart of Cilium 1.20.0 has no such key and would ignore it without a word; did you mean 'hubble.relay.replicas'?"
}

@test "what a values file puts over a generated value is said, and done" {
	values 'rollOutCiliumPods: false' 'MTU: 1400'
	noted "extra.yaml:1:20: note: rollOutCiliumPods: goes over pibuild's own value, which is true"
	rendered
	holds $values_file 'rollOutCiliumPods: false' 'MTU: 1400'
}

@test "a worker's tree holds no server token, no CA, no admin key and no DNS token" {
	cluster $server $worker -- 'certManager: {dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}}'
	"$PIBUILD" secrets new
	rm -rf card && "$PIBUILD" render --node n-11 -o card --show-secrets >/dev/null
	run ! grep -rlE '::server:|PRIVATE KEY|BEGIN CERTIFICATE|dop_v1_token' card
	grep -q 'token: "\?K10[0-9a-f]\{64\}::node:' card/etc/rancher/k3s/config.yaml
	[ ! -e card/var/lib/rancher/k3s/server ]
}

@test "a VIP: servers hold it by a static pod, that of no service, and are known by it" {
	cluster $server $server $server $worker -- "$pool"
	sed -i 's/{name: lab}/{name: lab, vip: 192.168.1.20}/; s/^network: {/&interface: eth0, vlan: 7, /' cluster.yaml
	PIBUILD_LOCK=$top/configs/pibuild.lock rendered
	pod=var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml
	python3 - "card/$pod" "$top/configs/pibuild.lock" <<-'EOT'
		import sys, yaml
		pod, = yaml.safe_load_all(open(sys.argv[1]))
		lock = yaml.safe_load(open(sys.argv[2]))
		digest = next(i for i in lock["images"] if i["name"] == "ghcr.io/kube-vip/kube-vip")
		spec, = [pod["spec"]]
		container, = spec["containers"]
		assert container["image"] == f"{digest['name']}:{digest['tag']}@{digest['digest']}", container["image"]
		env = {e["name"]: e.get("value", e.get("valueFrom")) for e in container["env"]}
		assert all(isinstance(e.get("value", ""), str) for e in container["env"])
		assert env["address"] == "192.168.1.20" and env["vip_interface"] == "eth0.7" and env["port"] == "6443"
		assert env["cp_enable"] == env["vip_arp"] == env["vip_leaderelection"] == "true" and env["svc_enable"] == "false"
		assert env["vip_nodename"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
		assert int(env["vip_leaseduration"]) > int(env["vip_renewdeadline"]) > int(env["vip_retryperiod"])
		assert env["prometheus_server"].startswith("127.0.0.1:")
		assert spec["hostNetwork"] is True and spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["kubernetes"]}]
		assert container["securityContext"]["capabilities"] == {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}
		assert spec["volumes"] == [{"name": "kubeconfig", "hostPath": {"path": "/etc/rancher/k3s/k3s.yaml", "type": "File"}}]
		assert container["volumeMounts"][0]["mountPath"] == "/etc/kubernetes/admin.conf"
	EOT
	holds etc/rancher/k3s/config.yaml '- "192.168.1.20"'
	holds etc/pibuild/node 'registries registry-1.docker.io quay.io ghcr.io'
	holds etc/pibuild/servers '- 192.168.1.20'
	rendered n-12
	[ -e "card/$pod" ]
	rendered n-13
	[ ! -e "card/$pod" ]
	holds etc/pibuild/servers '- 192.168.1.20'
	holds etc/pibuild/node 'registries registry-1.docker.io quay.io'
	# None without it
	cluster $server && rendered
	[ ! -e card/var/lib/rancher/k3s/agent/pod-manifests ]
}

@test "units: a server has k3s.service, a worker k3s-agent.service, and systemd takes both" {
	cluster $server $worker && rendered
	mv card server && rendered n-11
	[ -f server/etc/systemd/system/k3s.service ]
	[ ! -e server/etc/systemd/system/k3s-agent.service ]
	[ -f card/etc/systemd/system/k3s-agent.service ]
	[ ! -e card/etc/systemd/system/k3s.service ]
	for unit in server/etc/systemd/system/k3s.service card/etc/systemd/system/k3s-agent.service; do
		run systemd-analyze verify --man=no --recursive-errors=no "./$unit"
		# The programs themselves are on the card, not here.
		run ! grep -v -e '^$' -e "\(k3s\|may-start\) is not executable" <<<"$output"
	done
}

# ---- the shipped examples ----

# cluster_files CARD [PATH]...: only what makes the cluster, and these; the rest of a card has tests of its own.
cluster_files() {
	(cd "$1" && find etc/rancher/k3s etc/pibuild etc/systemd/{system,journald}.conf.d etc/rpi var/lib/rancher/k3s/agent/{pod-manifests,etc/kubelet.conf.d} "${@:2}" -type f \
		! -name release.json ! -name build-time 2>/dev/null | sort)
}
# What the keys of the lab example are for, and those of the one on Wi-Fi.
lab_files=(boot/firmware/cmdline.txt boot/firmware/config.txt etc/hosts etc/sysctl.d etc/systemd/timesyncd.conf.d etc/systemd/system/k3s.service.env etc/systemd/system/k3s-agent.service.env
	etc/iscsi etc/modules-load.d etc/multipath etc/NetworkManager/system-connections)
names_of() {
	sed -nE 's/.*\{?name: ([a-z0-9-]+), *role:.*/\1/p' "$1"
}

@test "every example renders to the files that were looked at before" {
	mkdir .ssh && echo "$example_key" >.ssh/id_ed25519.pub
	for file in $(example_clusters); do
		example=$(basename -s .yaml "$file")
		more=()
		case $example in
		lab) more=("${lab_files[@]}") ;;
		wifi) more=(etc/NetworkManager/system-connections) ;;
		esac
		for node in $(names_of "$file"); do
			out=new/$example/$node
			rm -rf card && "$PIBUILD" render -c "$file" --lock "$top/configs/pibuild.lock" --node "$node" \
				-o card >/dev/null 2>err || { cat err; return 1; }
			for path in $(cluster_files card "${more[@]}"); do
				mkdir -p "$out/$(dirname "$path")" && cp "card/$path" "$out/$path"
			done
		done
	done
	if [ "${PIBUILD_GOLDEN:-}" = update ]; then
		rm -rf "$golden" && cp -r new "$golden"
	fi
	[ "$(find new -type f | wc -l)" -gt 40 ]
	diff -r "$golden" new
}

@test "the sample Gateway uses the certificate that the homelab example makes" {
	rendered_certificate=$golden/homelab/cp-1/$manifests/issuers.yaml
	name=$(sed -n 's/^ *secretName: //p' "$rendered_certificate")
	grep -qx " *- name: $name" "$top/configs/samples/gateway.yaml"
	namespace=$(grep -A4 '^kind: Certificate$' "$rendered_certificate" | sed -n 's/^ *namespace: //p')
	[ "$(grep -A4 '^kind: Gateway$' "$top/configs/samples/gateway.yaml" | sed -n 's/^ *namespace: //p')" = "$namespace" ]
}

@test "random clusters pass the check, and render to what their own rules take" {
	export PIBUILD_TEST_SECRET=secret-of-a-test
	"$top/tests/random-clusters" "${PIBUILD_SEED:-1}" "${PIBUILD_RANDOM:-30}" random
	for dir in random/*; do
		"$PIBUILD" check -c "$dir/cluster.yaml" >log 2>&1 || { echo "$dir"; cat log; return 1; }
		first=$(jq -r '[.nodes[] | select(.role == "control-plane")][0].name' "$dir/cluster.yaml")
		rm -rf card && "$PIBUILD" render -c "$dir/cluster.yaml" --node "$first" -o card >/dev/null 2>&1
		# Its own values as a values file: no unknown key, no wrong type, nothing that breaks the cluster.
		jq '.cilium.valuesFile = "own.yaml"' "$dir/cluster.yaml" >"$dir/again.yaml"
		switches='del(.ingressController.enabled, .gatewayAPI.enabled, .hubble.relay.enabled, .hubble.ui.enabled)'
		to_json card/$values_file | jq "$switches" >"$dir/own.yaml"
		"$PIBUILD" check -c "$dir/again.yaml" >log 2>&1 || { echo "$dir"; cat log "$dir/own.yaml"; return 1; }
	done
}
to_json() {
	python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)' "$1"
}
