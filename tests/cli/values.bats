#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cilium.valuesFile: values as Helm reads them, values that contradict each other, and images they ask for.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	printf '%s\n' 'apiVersion: pibuild/v1' \
		'cluster: {name: lab}' \
		'access: {user: pi, sshKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ test]}' \
		'network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]}' \
		'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.80}]}' \
		'cilium: {valuesFile: extra.yaml}' \
		'nodes:' \
		'  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24}' \
		'  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.12/24}' >cluster.yaml
}

# taken LINE...: a values file that is good. Notes may be said.
taken() {
	printf '%s\n' "$@" >extra.yaml
	streams "$PIBUILD" check
	[ "$status" -eq 0 ] || { echo "$*: $stderr"; return 1; }
}
# refused TEXT LINE...: exit 3, and TEXT begins what is said, which is one fault: POSITION: error: ...
refused() {
	local text=$1
	shift
	printf '%s\n' "$@" >extra.yaml
	streams "$PIBUILD" check
	[ "$status" -eq 3 ] || { echo "$*: exit $status: $stderr"; return 1; }
	[[ $stderr == *': error: '*': 1 fault, nothing was done' ]] || { echo "$*: $stderr"; return 1; }
	[[ $stderr == *"$PWD/extra.yaml:$text"* ]] || { echo "$*: expected: $text"; echo "$stderr"; return 1; }
}

# ---- scalars ----

@test "what looks like a number and is none to YAML is text, and stays as it was written" {
	taken 'k8sServiceHost: 127.0.0.1' 'tunnelProtocol: vxlan' 'cni: {confFileMountPath: 1.2.3}' \
		'authentication: {gcInterval: 1e3x}' 'agentNotReadyTaintKey: 0x1g' 'sctp: {enabled: off}'
	"$PIBUILD" render --node cp-1 -o card
	grep -qx 'k8sServiceHost: 127.0.0.1' card/etc/pibuild/cilium-values.yaml
	grep -qx '  confFileMountPath: 1.2.3' card/etc/pibuild/cilium-values.yaml
}

@test "what the chart takes and the API refuses is told: amounts, labels and annotations that are no text, ports of nodes, classes of priority" {
	refused "1:30: error: resources.limits.memory: '512MB' is no amount, and the API refuses the pod: write 512Mi, 1Gi, 500m or 0.5, so that Helm installs no Cilium and no node gets Ready" 'resources: {limits: {memory: 512MB}}'
	refused "1:40: error: operator.resources.requests.cpu: '0,5' is no amount" 'operator: {resources: {requests: {cpu: "0,5"}}}'
	refused "1:40: error: envoy.resources.requests.memory: 512Mi is more than the limit, 256Mi, and the API refuses the pod" 'envoy: {resources: {requests: {memory: 512Mi}, limits: {memory: 256Mi}}}'
	refused "1:40: error: podAnnotations: the value of prometheus.io/scrape must be text, or the API refuses it: put it in quotes" 'podAnnotations: {prometheus.io/scrape: true}'
	refused "1:47: error: hubble.metrics.serviceAnnotations: the value of port must be text" 'hubble: {metrics: {serviceAnnotations: {port: 9965}}}'
	refused "1:51: error: hubble.ui.service.nodePort: 80: ports of nodes are 30000 to 32767, and the API refuses a Service with another" 'hubble: {ui: {service: {type: NodePort, nodePort: 80}}}'
	refused "1:20: error: priorityClassName: there is no PriorityClass mine when Cilium is installed, so no pod of this would be made" 'priorityClassName: mine'
	refused "1:30: error: resources.limits.memory: 512m is less than a mebibyte (m stands for thousandths), with which no program starts; write 128Mi or such" 'resources: {limits: {memory: 512m}}'
	refused "1:21: error: image.pullPolicy: 'always' is refused by the API (did you mean Always?), which takes Always, IfNotPresent, Never" 'image: {pullPolicy: always}'
	refused "1:31: error: hubble.ui.service.type: 'Nodeport' is refused by the API (did you mean NodePort?), which takes ClusterIP" 'hubble: {ui: {service: {type: Nodeport}}}'
	refused "1:12: error: dnsPolicy: 'Clusterfirst' is refused by the API" 'dnsPolicy: Clusterfirst'
	taken 'dnsPolicy: ClusterFirst' 'image: {pullPolicy: Always}' 'hubble: {ui: {service: {type: LoadBalancer}}}'
	taken 'resources: {limits: {memory: 512Mi, cpu: 2}, requests: {cpu: 100m, memory: 1e8}}' 'podAnnotations: {a: "true", b: 1.2.3}' 'priorityClassName: system-node-critical' \
		'hubble: {ui: {service: {type: NodePort, nodePort: 31235}}}'
}

@test "where a kernel has no IPv6 Hubble's UI does not listen on it" {
	printf 'debug: {enabled: false}\n' >extra.yaml
	sed -i 's/name: w-1,/&boot: {cmdline: ["ipv6.disable=1"]},/' cluster.yaml
	"$PIBUILD" render --node cp-1 -o card
	[ "$(python3 -c 'import yaml; print(yaml.safe_load(open("card/etc/pibuild/cilium-values.yaml"))["hubble"]["ui"]["frontend"])')" = "{'server': {'ipv6': {'enabled': False}}}" ]
	sed -i 's/ipv6.disable=1/psi=1/' cluster.yaml
	"$PIBUILD" render --node cp-1 -o other
	refute grep -q frontend other/etc/pibuild/cilium-values.yaml
}

@test "networks of nodes that do not fit podCIDR, and images of another minor version than the chart are refused" {
	refused '1:44: error: ipam.operator.clusterPoolIPv4MaskSize: a node takes a network of this size for its pods: /28 is room for a dozen pods at most; remove it, pibuild sets 24' 'ipam: {operator: {clusterPoolIPv4MaskSize: 28}}'
	refused '1:44: error: ipam.operator.clusterPoolIPv4MaskSize: cluster.podCIDR 10.42.0.0/16 holds 1 networks of this size, and there are 2 nodes' 'ipam: {operator: {clusterPoolIPv4MaskSize: 16}}'
	refused '1:14: error: image.tag: the chart is that of Cilium 1.20.0: beside its digests this tag does nothing' 'image: {tag: v1.17.3}'
	taken 'ipam: {operator: {clusterPoolIPv4MaskSize: 25}}' 'image: {tag: v1.20.0-fix}'
}

@test "a number in any spelling of YAML is one, and stays one" {
	for n in 1500 1_500 0x5DC 0o2734 02734 1.5e3 1500. +1500; do
		taken "MTU: $n"
		rm -rf card
		"$PIBUILD" render --node cp-1 -o card
		grep -qx "MTU: $n" card/etc/pibuild/cilium-values.yaml
	done
	refused '1:6: error: MTU: the chart wants a whole number here and refuses to install; '\''1.2.3'\'' is text' 'MTU: 1.2.3'
	refused '1:6: error: MTU: the chart wants a whole number here and refuses to install; '\''1500'\'' is text' 'MTU: "1500"'
	refused '1:6: error: MTU: the chart wants a whole number here and refuses to install; 1.50 is the number 1.5 to YAML' 'MTU: 1.50'
	refused '1:6: error: MTU: the chart wants a whole number here and refuses to install; yes is true to YAML' 'MTU: yes'
}

@test "text that is a number or a word of YAML to Helm wants quotes, and keeps them" {
	refused '1:24: error: agentNotReadyTaintKey: the chart wants text (use quotes) here and refuses to install; 1_000 is the number 1000 to YAML' \
		'agentNotReadyTaintKey: 1_000'
	refused '1:24: error: agentNotReadyTaintKey: the chart wants text (use quotes) here and refuses to install; on is true to YAML' \
		'agentNotReadyTaintKey: on'
	taken 'agentNotReadyTaintKey: "1_000"'
	"$PIBUILD" render --node cp-1 -o card
	grep -qx 'agentNotReadyTaintKey: "1_000"' card/etc/pibuild/cilium-values.yaml
}

@test "yes, on and True are true to every check, yEs is text" {
	taken 'sctp: {enabled: yes}'
	taken 'kubeProxyReplacement: on' 'operator: {replicas: 0x1}'
	refused '1:10: error: l7Proxy: Cilium'\''s chart refuses' 'l7Proxy: no'
	refused '1:17: error: sctp.enabled: the chart wants true or false here and refuses to install; '\''yEs'\'' is text' 'sctp: {enabled: yEs}'
	refused '1:22: error: operator.replicas: 2 replicas need 2 control-plane nodes' 'operator: {replicas: 0b10}'
}

@test "a key without a value, a number that JSON lacks and one key in two spellings" {
	refused '1:6: error: MTU: the chart wants a whole number here and refuses to install; without a value the key is taken away' 'MTU: ~'
	taken 'extraEnv: null' 'podAnnotations: ~'
	refused '1:20: error: .inf: Helm refuses a file with this number' 'extraConfig: {big: .inf}'
	refused '2:8: error: .nan: Helm refuses a file with this number' 'podAnnotations:' '  a/b: .nan'
	printf 'podLabels: {on: "1", yes: "2"}\n' >extra.yaml
	streams "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ $stderr == *"the key 'yes' is already set in line 1, as 'on'; to YAML both are true"* ]]
}

@test "labels are text to Kubernetes, whatever the spelling of what is none" {
	for v in 1 1_0 0x1 1.2 .5 on yes; do
		refused '1:38: error: hubble.relay.nodeSelector: the value of a/b must be text: put it in quotes' "hubble: {relay: {nodeSelector: {a/b: $v}}}"
	done
	taken 'hubble: {relay: {nodeSelector: {a/b: 1.2.3, c/d: "1", e/f: 10.0.0.1}}}'
}

# ---- values that contradict each other; every row of the table is in tests/unit/test_contradictions.c ----

@test "DSR through a vxlan tunnel is refused at the user's value, with the values it does not go with" {
	refused '1:22: error: loadBalancer.mode: dsr with routingMode: tunnel (pibuild'\''s own), tunnelProtocol: vxlan (pibuild'\''s own): the agent ends' \
		'loadBalancer: {mode: dsr}'
	refused '2:9: error: loadBalancer.mode: hybrid' 'loadBalancer:' '  mode: hybrid'
	taken 'loadBalancer: {mode: snat}'
	taken 'loadBalancer: {mode: dsr}' 'routingMode: native' 'ipv4NativeRoutingCIDR: 10.42.0.0/16' 'autoDirectNodeRoutes: true'
	refused '2:16: error: loadBalancer.dsrDispatch: gneve: the agent takes one of: opt ipip geneve; set loadBalancer.dsrDispatch: opt' \
		'loadBalancer:' '  dsrDispatch: gneve'
}

@test "native routing wants its network, and routes between nodes, as cluster.yaml has them" {
	refused '1:14: error: routingMode: native with ipv4NativeRoutingCIDR not set' 'routingMode: native' 'autoDirectNodeRoutes: true'
	[[ $stderr == *'set ipv4NativeRoutingCIDR: 10.42.0.0/16'* ]]
	refused '1:14: error: routingMode: native with autoDirectNodeRoutes not set' 'routingMode: native' 'ipv4NativeRoutingCIDR: 10.42.0.0/16'
	taken 'routingMode: native' 'ipv4NativeRoutingCIDR: 10.42.0.0/16' 'autoDirectNodeRoutes: true'
	taken 'routingMode: native' 'nativeRoutingCIDRFromClusterPool: true' 'autoDirectNodeRoutes: yes'
	refused '1:23: error: autoDirectNodeRoutes: true with routingMode: tunnel' 'autoDirectNodeRoutes: true'
}

@test "BGP of services makes no routes between pods" {
	sed -i 's|^loadBalancer: .*|loadBalancer: {pools: [{name: lan, range: 10.9.0.1-10.9.0.9}], announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513}}}|' cluster.yaml
	refused '1:14: error: routingMode: native with loadBalancer.announce.bgp: that tells the router of services' \
		'routingMode: native' 'ipv4NativeRoutingCIDR: 10.42.0.0/16'
	taken 'routingMode: native' 'ipv4NativeRoutingCIDR: 10.42.0.0/16' 'autoDirectNodeRoutes: true'
}

@test "what holds for IPv4 holds for IPv6 too: native routing, masquerading, BIG TCP" {
	local native=('routingMode: native' 'autoDirectNodeRoutes: true' 'ipv4NativeRoutingCIDR: 10.42.0.0/16')

	sed -i 's|^network: {|&ipv6: {podCIDR: "fd00:42::/56"}, |' cluster.yaml
	refused '1:14: error: routingMode: native with ipv6.enabled: true (pibuild'\''s own), ipv6NativeRoutingCIDR not set' "${native[@]}"
	[[ $stderr == *'set ipv6NativeRoutingCIDR: fd00:42::/56'* ]]
	taken "${native[@]}" 'ipv6NativeRoutingCIDR: "fd00:42::/56"'
	taken "${native[@]}" 'enableIPv6Masquerade: false'
	refused '4:24: error: ipv6NativeRoutingCIDR: fd00:43::/56 does not hold the pods, network.ipv6.podCIDR fd00:42::/56' \
		"${native[@]}" 'ipv6NativeRoutingCIDR: fd00:43::/56'
	refused '1:23: error: enableIPv6Masquerade: false with ipv6.enabled: true (pibuild'\''s own), routingMode: tunnel' 'enableIPv6Masquerade: false'
	refused '1:19: error: enableIPv6BIGTCP: true with ipv6.enabled: true (pibuild'\''s own), routingMode: tunnel' 'enableIPv6BIGTCP: true'
}

@test "keys that only the templates of the chart know by a name of their own are keys" {
	taken 'socketLB: {enabled: true, hostNamespaceOnly: true, terminatePodConnections: true, tracing: true}'
}

@test "IPsec wants its Secret, which an overlay may bring; WireGuard needs none" {
	refused '1:23: error: encryption.enabled: IPsec takes its keys from the Secret kube-system/cilium-ipsec-keys' 'encryption: {enabled: true}'
	refused '1:35: error: encryption.type: IPsec takes its keys' 'encryption: {enabled: true, type: ipsec}'
	taken 'encryption: {enabled: true, type: wireguard}'
	mkdir -p overlays/control-plane/var/lib/rancher/k3s/server/manifests
	printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: cilium-ipsec-keys, namespace: kube-system}\n' \
		>overlays/control-plane/var/lib/rancher/k3s/server/manifests/ipsec.yaml
	taken 'encryption: {enabled: true, type: ipsec}'
}

@test "what keeps agents or the operator off their nodes is refused: labels nobody has, taints nobody tolerates" {
	refused '1:27: error: operator.nodeSelector: no server has this kubernetes.io/hostname from its start on' 'operator: {nodeSelector: {kubernetes.io/hostname: w-1}}'
	refused '1:16: error: nodeSelector: w-1 has not this node-role.kubernetes.io/control-plane from its start on' 'nodeSelector: {node-role.kubernetes.io/control-plane: "true"}'
	refused '1:16: error: nodeSelector: cp-1 has not this disk from its start on' 'nodeSelector: {disk: ssd}'
	taken 'operator: {nodeSelector: {kubernetes.io/hostname: cp-1}}' 'nodeSelector: {kubernetes.io/arch: arm64}'
	sed -i 's/board: rpi5,/& labels: {disk: ssd},/' cluster.yaml
	taken 'nodeSelector: {disk: ssd}' 'operator: {nodeSelector: {disk: ssd}}'
	refused '1:14: error: tolerations: this list takes the place of the chart' 'tolerations: []'
	taken 'tolerations: [{operator: Exists}]'
}

@test "a port of the node that something else has is refused, wherever Cilium would listen" {
	while read -r at key; do
		for port in 6443 10250 30080; do
			refused "$at: error: ${key//: \{/.}: port $port of a node " "$key: $port$(tr -dc '{' <<<"$key" | tr '{' '}')"
		done
	done <<-'EOT'
		1:13 healthPort
		1:21 envoy: {healthPort
		1:20 prometheus: {port
		1:31 operator: {prometheus: {port
		1:26 hubble: {metrics: {port
	EOT
	refused '1:25: error: hubble.listenAddress: port 4240 of a node belongs to Cilium' 'hubble: {listenAddress: ":4240"}'
	taken 'healthPort: 9879' 'hubble: {listenAddress: ":4244", peerService: {targetPort: 4244}}' 'clusterHealthPort: 4240' 'kubeProxyReplacementHealthzBindAddr: "[::]:10256"'
}

@test "what cuts pods off from each other, the LAN or the internet is refused" {
	local row
	for row in 'MTU: 9000#1:6: error: MTU: packets of 9000 do not fit the LAN' \
		'enableIPv4Masquerade: false#1:23: error: enableIPv4Masquerade: false with routingMode: tunnel' \
		'egressMasqueradeInterfaces: eth1#1:29: error: egressMasqueradeInterfaces: leaves out eth0, which carries the address of cp-1; pods would get no answer through it' \
		'policyEnforcementMode: always#1:24: error: policyEnforcementMode: must be default' \
		'waitForKubeProxy: true#1:19: error: waitForKubeProxy: must be false' \
		'namespaceOverride: cilium#1:20: error: namespaceOverride: must be kube-system' \
		'operator: {hostNetwork: false}#1:25: error: operator.hostNetwork: must be true' \
		'rbac: {create: false}#1:16: error: rbac.create: must be true' \
		'kubeConfigPath: /etc/rancher/k3s/k3s.yaml#1:17: error: kubeConfigPath: ' \
		'cni: {customConf: true}#1:19: error: cni.customConf: true with cni.configMap not set' \
		'enableLBIPAM: false#1:15: error: enableLBIPAM: must be true: nobody else gives services an address of the pools; remove it' \
		'ingressController: {service: {annotations: {lbipam.cilium.io/ips: 192.168.1.200}}}#1:67: error: ingressController.service.annotations: 192.168.1.200 is in no pool' \
		'ingressController: {service: {loadBalancerIP: 192.168.1.200}}#1:47: error: ingressController.service.loadBalancerIP: 192.168.1.200 is in no pool'; do
		refused "${row#*#}" "${row%%#*}"
	done
	taken 'MTU: 1450' 'egressMasqueradeInterfaces: eth+' 'ingressController: {service: {loadBalancerIP: 192.168.1.70}}'
	taken 'ingressController: {service: {annotations: {lbipam.cilium.io/ips: 192.168.1.70, a.b/c: x}}}'
	refused '3:24: error: ipv4NativeRoutingCIDR: 192.168.1.0/24 does not hold the pods' 'routingMode: native' 'autoDirectNodeRoutes: true' 'ipv4NativeRoutingCIDR: 192.168.1.0/24'
	taken 'routingMode: native' 'autoDirectNodeRoutes: true' 'ipv4NativeRoutingCIDR: 10.0.0.0/8' 'enableIPv4Masquerade: false'
	sed -i 's/^network: {/&mtu: 9000, /' cluster.yaml
	taken 'MTU: 9000'
}

@test "what was copied along with values, or stands as behind --set, is told as that" {
	refused "1:1: error: hubble.relay.replicas: in a file this is one key of that name, which the chart does not have; dots join keys behind --set alone: write hubble: {relay: {replicas: ...}}" 'hubble.relay.replicas: 1'
	refused "1:1: error: cilium: the file holds Cilium's values alone: take this line away, and move what stands below it to the left" 'cilium:' '  debug: {enabled: true}'
	refused "1:1: error: spec: this is of a manifest, and the file holds values alone: what a HelmChartConfig has in valuesContent" 'spec: {valuesContent: ""}'
	taken 'nodeSelector: {kubernetes.io/os: linux}' 'podAnnotations: {a.b/c: d}'
}

@test "metrics that Hubble has not are a note, and a gateway at the nodes' own ports is refused beside gateway" {
	taken 'hubble: {metrics: {enabled: [dns, "tcp:sourceContext=pod", drops]}}'
	[[ $stderr == *': note: hubble.metrics.enabled: pibuild knows no metrics of Hubble by the name drops, and with one that it has not Hubble gives none at all; did you mean drop?'* ]]
	taken 'gatewayAPI: {hostNetwork: {enabled: true}}'
	sed -i 's/^cilium:/certManager: {issuers: [ca], zones: [home.arpa]}\ngateway: {address: 192.168.1.70}\n&/' cluster.yaml
	refused "1:37: error: gatewayAPI.hostNetwork.enabled: Gateways would listen at the nodes' own addresses, and gateway.address be nobody's" 'gatewayAPI: {hostNetwork: {enabled: true}}'
	taken 'gatewayAPI: {hostNetwork: {enabled: false}}'
}

@test "another way to the API than each node's own is a note" {
	taken 'k8s: {apiServerURLs: "https://192.168.1.11:6443"}'
	[[ $stderr == *'note: k8s.apiServerURLs: agents would ask there and not at 127.0.0.1:6444 of their node, where K3s leads to any server that lives; remove it'* ]]
	taken 'k8s: {apiServerURLs: ""}'
	[[ $stderr != *apiServerURLs* ]]
}

@test "what would do nothing is a note" {
	taken 'bandwidthManager: {bbr: true}'
	[[ $stderr == *': note: bandwidthManager.bbr: true with bandwidthManager.enabled not set: without the bandwidth manager BBR does nothing; set bandwidthManager.enabled: true'* ]]
}

# ---- airgap: images that no card holds ----

@test "with airgap, features whose images no card holds are refused, and taken without" {
	local row
	for row in 'clustermesh: {useAPIServer: true}#cluster: {id: 1}' 'nodeinit: {enabled: yes}#' \
		'encryption: {enabled: true, type: ztunnel}#' 'standaloneDnsProxy: {enabled: true}#dnsProxy: {proxyPort: 10094}' \
		'authentication: {enabled: true, mutual: {spire: {enabled: true}}}#'; do
		sed -i '/^airgap/d' cluster.yaml
		taken "${row%%#*}" "${row#*#}"
		echo 'airgap: true' >>cluster.yaml
		printf '%s\n' "${row%%#*}" "${row#*#}" >extra.yaml
		streams "$PIBUILD" check
		[ "$status" -eq 3 ]
		[[ $stderr == *"$PWD/extra.yaml:1:"*': with airgap: true the cards hold no image of it ('* ]] || { echo "$row: $stderr"; return 1; }
	done
}

@test "with airgap, images of the user's own and pulling in any case are refused" {
	echo 'airgap: true' >>cluster.yaml
	refused '1:15: error: image.tag: with airgap: true the card holds the images of the chart' 'image: {tag:  v1.20.0-fix}'
	refused '2:13: error: extraContainers[0].image: with airgap: true the card holds the images of the chart, not busybox:1' \
		'extraContainers:' '  - {image: busybox:1, name: x}'
	refused '1:22: error: image.pullPolicy: with airgap: true nothing can be pulled' 'image: {pullPolicy:  Always}'
	refused '1:28: error: operator.image.suffix: with airgap: true the card holds the images of the chart' 'operator: {image: {suffix: -ci}}'
	taken 'image: {repository: quay.io/cilium/cilium, pullPolicy: IfNotPresent, override: null}'
	taken 'image: {repository: quay.io/cilium/cilium}'
}
