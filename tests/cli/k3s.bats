#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The k3s section: K3s's own keys, taken by name and kind, refused where pibuild owns them, and where they end up.

load ../lib/image

# cluster [LINE...]: three servers and a worker, then these lines.
cluster() {
	printf '%s\n' 'apiVersion: pibuild/v1' \
		'cluster: {name: lab}' \
		"access: {user: pi, sshKeys: ['$example_key']}" \
		'network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1], dhcpRange: 192.168.1.200-192.168.1.250}' \
		'nodes:' \
		'  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24}' \
		'  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.12/24}' \
		'  - {name: cp-3, role: control-plane, board: rpi4, address: 192.168.1.13/24}' \
		'  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.14/24}' >cluster.yaml
	[ $# -eq 0 ] || printf '%s\n' "$@" >>cluster.yaml
}

# refused TEXT LINE...: check ends 3 with one fault that says so
refused() {
	cluster "${@:2}"
	one_fault "$1"
}

# rendered NODE: its tree in ./card-NODE, and beside it what PyYAML reads in what K3s and the kubelet read, as JSON
rendered() {
	"$PIBUILD" render --node "$1" -o "card-$1" >/dev/null 2>err || { cat err; return 1; }
	python3 -c 'import json, sys, yaml
for read, written in zip(sys.argv[1::2], sys.argv[2::2]): json.dump(yaml.safe_load(open(read)), open(written, "w"))' \
		"card-$1/etc/rancher/k3s/config.yaml" "k3s-$1.json" "card-$1/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/10-pibuild.conf" "kubelet-$1.json"
}

# value NODE KEY: of its config.yaml, as JSON
value() {
	jq -c --arg key "$2" '.[$key]' "k3s-$1.json"
}

@test "keys of K3s land in its configuration file with their kinds, on the nodes of their role alone" {
	cluster 'k3s:' '  server: {etcd-expose-metrics: true, etcd-snapshot-retention: 9, etcd-snapshot-reconcile-interval: 15m,' \
		'    service-node-port-range: 30000-31000, vmodule: "0644"}' '  agent: {debug: true}'
	for node in cp-1 w-1; do rendered $node; done
	[ "$(value cp-1 etcd-expose-metrics)" = true ]
	[ "$(value cp-1 etcd-snapshot-retention)" = 9 ]
	[ "$(value cp-1 etcd-snapshot-reconcile-interval)" = '"15m"' ]
	[ "$(value cp-1 service-node-port-range)" = '"30000-31000"' ]
	[ "$(value cp-1 vmodule)" = '"0644"' ]
	[ "$(value cp-1 debug)" = null ]
	[ "$(value w-1 debug)" = true ]
	[ "$(value w-1 etcd-expose-metrics)" = null ]
}

@test "a list goes on from what pibuild writes, whether it is written as a list or as one value" {
	cluster 'k3s:' '  server: {tls-san: [lab.lan, cp-1], kubelet-arg: v=2}' '  agent: {kubelet-arg: [v=3, "x=y,z"]}'
	for node in cp-1 w-1; do rendered $node; done
	[ "$(value cp-1 tls-san | jq -r 'join(" ")')" = '192.168.1.11 cp-1 192.168.1.12 cp-2 192.168.1.13 cp-3 lab.lan' ]
	[ "$(value cp-1 kubelet-arg)" = '["v=2"]' ]
	[ "$(value w-1 kubelet-arg)" = '["v=3","x=y,z"]' ]
}

@test "all servers get the same but what is their own" {
	cluster 'k3s: {server: {cluster-dns: 10.43.0.53, kube-apiserver-arg: [event-ttl=2h], tls-san: [b, a]}}'
	for node in cp-1 cp-2 cp-3; do
		rendered $node
		grep -v -e '^node-' -e '^- pibuild/board' "card-$node/etc/rancher/k3s/config.yaml" >"shared-$node"
	done
	cmp shared-cp-1 shared-cp-2
	cmp shared-cp-1 shared-cp-3
	grep -q '^- event-ttl=2h$' shared-cp-1
}

@test "every key that pibuild owns is refused with the reason and what to do instead, and is one of K3s" {
	sed -n '/^} owned_keys/,/^};/p' "$top/builder/config/k3s_keys.c" | sed -n 's/^\t{ "\([a-z0-9-]*\)", NULL,.*/\1/p' >owned
	[ "$(wc -l <owned)" -gt 50 ]
	sed 's/ .*//' "$top/configs/names/k3s-keys.txt" | sort -u >keys
	sort owned | comm -23 - keys >strange
	[ ! -s strange ] || { echo "K3s has no $(cat strange)"; return 1; }
	agents=" $(sed -n 's/ agent .*//p' "$top/configs/names/k3s-keys.txt" | paste -sd ' ') "
	while read -r key; do
		command=server
		[[ $agents != *" $key "* ]] || command=agent
		refused "k3s.$command.$key: cannot be set here: " "k3s: {$command: {$key: x}}" || return 1
		[[ "$stderr" == *": cannot be set here: "*"; "* ]]
	done <owned
	refused 'k3s.server.cluster-cidr: cannot be set here: Cilium has to know it too; set cluster.podCIDR' 'k3s: {server: {cluster-cidr: 10.1.0.0/16}}'
	refused 'k3s.server.egress-selector-mode: cannot be set here: it finds no pod' 'k3s: {server: {egress-selector-mode: pod}}'
	cluster 'k3s: {server: {egress-selector-mode: cluster}}'
	"$PIBUILD" check -q
}

@test "a secret among K3s's keys is refused and not repeated" {
	refused 'k3s.server.etcd-s3-secret-key: cannot be set here: a secret must not be written here' 'k3s: {server: {etcd-s3-secret-key: s3cr3tCanary}}'
	[[ "$stderr" != *s3cr3tCanary* ]]
	refused 'k3s.agent.token: cannot be set here' 'k3s: {agent: {token: s3cr3tCanary}}'
	[[ "$stderr" != *s3cr3tCanary* ]]
}

@test "a key that K3s does not have names the nearest one that may be set" {
	refused "k3s.server.etcd-expose-metric: \`k3s server\` has no such key; did you mean 'etcd-expose-metrics'?" 'k3s: {server: {etcd-expose-metric: true}}'
	refused 'k3s.server.foo: `k3s server` has no such key; ' 'k3s: {server: {foo: true}}'
	[[ "$stderr" == *configs/names/k3s-keys.txt* ]]
	refused 'k3s.agent.etcd-expose-metrics: only `k3s server` takes it, so it belongs below k3s.server' 'k3s: {agent: {etcd-expose-metrics: true}}'
	refused "k3s.server.tls-san+: lists are added to here in any case: write it without the '+'" 'k3s: {server: {tls-san+: [x]}}'
}

@test "a value of another kind than K3s takes is refused with its line" {
	refused "k3s.server.debug: 'yes' is no boolean here; write true or false" 'k3s: {server: {debug: yes}}'
	refused 'k3s.server.debug: must be true or false, without quotes' 'k3s: {server: {debug: "true"}}'
	refused "k3s.server.v: 'much' cannot be used: give a whole number" 'k3s: {server: {v: much}}'
	refused "k3s.server.etcd-s3-timeout: '5' cannot be used: give a time such as 30s, 5m or 1h30m" 'k3s: {server: {etcd-s3-timeout: 5}}'
	refused 'k3s.server.vmodule: must be a single value (text), not a list' 'k3s: {server: {vmodule: [a]}}'
	refused 'k3s.server.tls-san[0]: must be a single value (text), not a map' 'k3s: {server: {tls-san: [{a: b}]}}'
	refused 'k3s.server.tls-san: must be a list' 'k3s: {server: {tls-san: {a: b}}}'
	refused 'k3s.server.vmodule: has no value' 'k3s: {server: {vmodule: }}'
	refused "k3s.server.vmodule: 'a?b' cannot be used: it holds a line end or another control character" 'k3s: {server: {vmodule: "a\nb"}}'
	refused 'k3s.server: must hold keys of K3s (name: value), not a list' 'k3s: {server: [debug]}'
}

@test "a cluster-dns outside the network of services is refused" {
	refused "k3s.server.cluster-dns: 10.99.0.10 lies outside cluster.serviceCIDR 10.43.0.0/16, so no service could have it; take one inside" \
		'k3s: {server: {cluster-dns: 10.99.0.10}}'
}

@test "values of K3s's keys at which it ends, or does something else without a word, are refused" {
	while IFS='|' read -r keys words; do
		refused "k3s.server.$words" "k3s: {server: {$keys}}"
	done <<-'EOT'
		cluster-dns: 10.43.0.1|cluster-dns: 10.43.0.1 is the API's, so CoreDNS would get none; leave it out for 10.43.0.10
		cluster-dns: [10.43.0.11, pihole]|cluster-dns[1]: 'pihole' is no address, and K3s does not start with it
		default-local-storage-path: data|default-local-storage-path: 'data' starts where K3s does, which is nowhere; give the whole path, from / on
		etcd-snapshot-dir: ./x|etcd-snapshot-dir: './x' starts where K3s does
		egress-selector-mode: none|egress-selector-mode: K3s takes one of: agent cluster disabled; with 'none' it does not start
		etcd-s3-bucket-lookup-type: Path|etcd-s3-bucket-lookup-type: K3s takes one of: auto dns path; with 'Path' it does not start; did you mean path?
		secrets-encryption-provider: aesgcm|secrets-encryption-provider: K3s takes one of: aescbc secretbox; with 'aesgcm' it does not start
		etcd-snapshot-schedule-cron: "0 25 * * *"|etcd-snapshot-schedule-cron: K3s passes over a schedule that it cannot read, and makes no snapshot: '25' is no hour of 0 to 23
		etcd-snapshot-schedule-cron: "@every day"|etcd-snapshot-schedule-cron: K3s passes over a schedule that it cannot read
		service-node-port-range: "30000:32767"|service-node-port-range: '30000:32767' is no range of ports, and K3s does not start with it; write FIRST-LAST
		snapshotter: zfs|snapshotter: zfs needs a file system of its own below /var/lib/rancher, which no card has
		snapshotter: fuse-overlayfs|snapshotter: fuse-overlayfs is a program that no card has, and containerd does not start without; add it to os.packages
		snapshotter: overlay|snapshotter: K3s takes one of: overlayfs native fuse-overlayfs stargz; with 'overlay' it does not start
		system-default-registry: "https://nas.lan"|system-default-registry: 'https://nas.lan' would stand before the name of every image
		tls-san: [a.lan, "https://b.lan:6443"]|tls-san[1]: 'https://b.lan:6443' is no name that a certificate could have
		kube-apiserver-arg: [feature-gates=Some]|kube-apiserver-arg[0]: feature-gates says 'Some', and K3s does not start with it: write feature-gates=NAME=true
	EOT
	cluster 'os: {packages: [fuse-overlayfs]}' 'k3s: {agent: {snapshotter: fuse-overlayfs}, server: {cluster-dns: [10.43.0.11, "fd00::a"], etcd-snapshot-schedule-cron: "0 3 1 * 1", snapshotter: native,' \
		'  tls-san: [a.lan, 192.168.1.9, "fd00::1"], egress-selector-mode: cluster, service-node-port-range: 30000-31000, kube-apiserver-arg: ["feature-gates=AllAlpha=false,NodeSwap=1"]}}'
	"$PIBUILD" check
	for schedule in @daily '@every 6h' '*/30 * * * *'; do
		cluster "k3s: {server: {etcd-snapshot-schedule-cron: \"$schedule\"}}"
		"$PIBUILD" check
	done
}

# ---- feature gates: configs/names/feature-gates.txt ----

@test "a feature gate that the Kubernetes of this K3s has not, not yet, not any more, or locked to the other value is refused" {
	while IFS='|' read -r gates words; do
		refused "k3s.server.kube-apiserver-arg[0]: feature-gates sets ${gates##*,}: $words" "k3s: {server: {kube-apiserver-arg: ['feature-gates=$gates']}}"
		gate=${gates##*,}
		refused "k3s.kubelet.featureGates.${gate%=*}: $words" "k3s: {kubelet: {featureGates: {${gate%=*}: ${gate#*=}}}}"
	done <<-'EOT'
		NodeSwap=true,RemoveSelfLink=false|Kubernetes has no feature gate RemoveSelfLink any more, and K3s does not start with it; remove it
		EphemeralContainers=true|Kubernetes has no feature gate EphemeralContainers any more
		TopologyAwareHints=true|Kubernetes has no feature gate TopologyAwareHints any more since 1.36, and K3s does not start with it; remove it: what it switched on is always on
		MixedProtocolLBService=true|Kubernetes has no feature gate MixedProtocolLBService any more
		NodeSwap=false|the feature gate NodeSwap is locked to true since Kubernetes 1.34, and K3s does not start with it; remove it
		InPlacePodVerticalScaling=false|the feature gate InPlacePodVerticalScaling is locked to true since Kubernetes 1.35
		GitRepoVolumeDriver=true|the feature gate GitRepoVolumeDriver is locked to false since Kubernetes 1.36
		memoryQoS=true|capitals count in a feature gate's name, and K3s does not start with it; write MemoryQoS
	EOT
	refused 'k3s.kubelet.featureGates.PodsAPI: Kubernetes has the feature gate PodsAPI since 1.36, and 1.35 of this K3s does not start with it; remove it, or set versions.k3s' \
		'versions: {k3s: v1.35.8+k3s1}' 'k3s: {kubelet: {featureGates: {PodsAPI: true}}}'
	refused 'k3s.agent.kubelet-arg[0]: feature-gates sets DevicePlugins=true: Kubernetes has no' 'k3s: {agent: {kubelet-arg: [--feature-gates=DevicePlugins=true]}}'
	cluster 'versions: {k3s: v1.35.8+k3s1}' 'k3s: {kubelet: {featureGates: {TopologyAwareHints: true, ImageVolume: false, GitRepoVolumeDriver: true}}}'
	"$PIBUILD" check
}

@test "a feature gate that pibuild does not know is noted, with the one that was meant" {
	cluster 'k3s: {server: {kube-apiserver-arg: [feature-gates=MutatingAdmisionPolicy=true]}, kubelet: {featureGates: {Zzz: true, MemoryQoS: true}}}'
	streams "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$stderr" == *'note: k3s.server.kube-apiserver-arg[0]: pibuild does not know the feature gate MutatingAdmisionPolicy, and K3s does not start with one that its Kubernetes has not; did you mean MutatingAdmissionPolicy?'* ]]
	[[ "$stderr" == *'note: k3s.kubelet.featureGates.Zzz: pibuild does not know the feature gate Zzz'* ]]
	[[ "$stderr" != *featureGates.MemoryQoS* ]]
}

@test "keys that K3s itself calls deprecated or experimental are noted" {
	cluster 'k3s: {server: {helm-job-image: x, supervisor-metrics: true}}'
	streams "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$stderr" == *'note: k3s.server.helm-job-image: K3s calls this key deprecated: a later version may not take it'* ]]
	[[ "$stderr" == *'note: k3s.server.supervisor-metrics: K3s calls this key experimental'* ]]
}

@test "what K3s brings along is left out on all servers by name; a word it does not know is refused" {
	cluster 'k3s: {disable: [metrics-server, traefik]}'
	for node in cp-1 cp-2; do
		rendered $node
		[ "$(value $node disable)" = '["servicelb","traefik","metrics-server"]' ]
	done
	refused "k3s.disable[0]: 'metric-server' cannot be used: write 'metrics-server'" 'k3s: {disable: [metric-server]}'
	cluster 'k3s: {disable: [coredns]}'
	streams "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$stderr" == *'note: k3s.disable[0]: without coredns no pod resolves a name'* ]]
}

# kubelet NODE EXPRESSION: of its kubelet's drop-in, as JSON
kubelet() {
	jq -c "$2" "kubelet-$1.json"
}

@test "the kubelet of every node ends its pods before a shutdown, and leaves memory to K3s by role and board" {
	cluster
	sed -i -e '/cp-1/s/}/, memory: 2GiB}/' -e '/cp-2/s/}/, memory: 16GiB}/' -e '/w-1/s/rpi5/rpi3/' cluster.yaml
	for node in cp-1 cp-2 cp-3 w-1; do rendered $node; done
	[ "$(kubelet cp-1 .)" = '{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"KubeletConfiguration","shutdownGracePeriod":"60s","shutdownGracePeriodCriticalPods":"20s","systemReserved":{"memory":"512Mi"}}' ]
	[ "$(kubelet cp-2 .systemReserved.memory)" = '"1Gi"' ]
	[ "$(kubelet cp-3 .systemReserved.memory)" = '"512Mi"' ]
	[ "$(kubelet w-1 .systemReserved.memory)" = '"160Mi"' ]
	grep -qx 'InhibitDelayMaxSec=60' card-w-1/etc/systemd/logind.conf.d/50-pibuild.conf
	grep -qx 'fs.inotify.max_user_instances = 8192' card-w-1/etc/sysctl.d/50-pibuild.conf
	[ "$(stat -c %a card-cp-1/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/10-pibuild.conf)" = 600 ]
}

@test "fields for the kubelet go over pibuild's, with the kinds that it reads" {
	cluster 'k3s:' '  kubelet: {maxPods: 60, podPidsLimit: -1, memoryThrottlingFactor: 0.8, systemReserved: {cpu: 1, memory: 2Gi}, shutdownGracePeriod: 1m30s,' \
		'    featureGates: {NodeSwap: true}, evictionHard: {memory.available: 5%}, reservedSystemCPUs: 0, logging: {verbosity: 3}, allowedUnsafeSysctls: [a.b]}'
	rendered w-1
	[ "$(kubelet w-1 '[.maxPods, .podPidsLimit, .memoryThrottlingFactor, .systemReserved, .featureGates, .evictionHard, .reservedSystemCPUs, .logging, .allowedUnsafeSysctls]')" = \
		'[60,-1,0.8,{"memory":"2Gi","cpu":"1"},{"NodeSwap":true},{"memory.available":"5%"},"0",{"verbosity":3},["a.b"]]' ]
	[ "$(kubelet w-1 '[.shutdownGracePeriod, .shutdownGracePeriodCriticalPods]')" = '["1m30s","20s"]' ]
	grep -qx 'InhibitDelayMaxSec=90' card-w-1/etc/systemd/logind.conf.d/50-pibuild.conf
	cluster 'k3s: {kubelet: {shutdownGracePeriod: 0s}}'
	rm -r card-w-1 && rendered w-1
	[ "$(kubelet w-1 '[.shutdownGracePeriod, .shutdownGracePeriodCriticalPods]')" = '["0s","0s"]' ]
	[ ! -e card-w-1/etc/systemd/logind.conf.d ]
	cluster 'k3s: {kubelet: {shutdownGracePeriodByPodPriority: [{priority: 0, shutdownGracePeriodSeconds: 10}]}}'
	rm -r card-w-1 && rendered w-1
	[ "$(kubelet w-1 'has("shutdownGracePeriod")')" = false ]
}

@test "fields that the kubelet does not know, wants otherwise, or that are K3s's are refused" {
	refused "k3s.kubelet.maxPod: KubeletConfiguration has no such field; did you mean 'maxPods'?" 'k3s: {kubelet: {maxPod: 1}}'
	refused 'k3s.kubelet.zzz: KubeletConfiguration has no such field; ' 'k3s: {kubelet: {zzz: 1}}'
	refused 'k3s.kubelet.maxPods: must be a number, without quotes' 'k3s: {kubelet: {maxPods: "60"}}'
	refused "k3s.kubelet.shutdownGracePeriod: '60' cannot be used: give a time such as 30s" 'k3s: {kubelet: {shutdownGracePeriod: 60}}'
	refused "k3s.kubelet.featureGates.NodeSwap: 'yes' is no boolean here" 'k3s: {kubelet: {featureGates: {NodeSwap: yes}}}'
	refused 'k3s.kubelet.systemReserved: must hold keys (name: value)' 'k3s: {kubelet: {systemReserved: 300Mi}}'
	refused 'k3s.kubelet.logging: must be a map or a list' 'k3s: {kubelet: {logging: text}}'
	refused 'k3s.kubelet.kind: cannot be set here: pibuild writes it; leave it out' 'k3s: {kubelet: {kind: KubeletConfiguration}}'
	refused 'k3s.kubelet.registerWithTaints: cannot be set here: every node would have the same; set nodes[].taints' 'k3s: {kubelet: {registerWithTaints: []}}'
	refused 'k3s.kubelet: of a shutdownGracePeriod of 10s, 20s are for critical pods' 'k3s: {kubelet: {shutdownGracePeriod: 10s, shutdownGracePeriodCriticalPods: 20s}}'
	refused 'k3s.kubelet.maxPods: a node has addresses for some 250 pods' 'k3s: {kubelet: {maxPods: 300}}'
	sed -n '/^} owned_fields/,/^};/p' "$top/builder/config/kubelet_keys.c" | sed -n 's/^\t{ "\([A-Za-z]*\)",.*/\1/p' | grep -vx -e apiVersion -e kind >owned
	[ "$(wc -l <owned)" -gt 15 ]
	cut -d' ' -f1 "$top/configs/names/kubelet-keys.txt" | grep -cxf owned | grep -qx "$(wc -l <owned)"
}

@test "values at which the kubelet ends, and K3s with it at every start, are refused" {
	while IFS='|' read -r fields words; do
		refused "k3s.kubelet$words" "k3s: {kubelet: {$fields}}"
	done <<-'EOT'
		containerLogMaxFiles: 1|.containerLogMaxFiles: the kubelet takes a whole number from 2 on, and with 1 it ends, and K3s with it, at every start
		maxPods: 60.5|.maxPods: the kubelet takes a whole number from 0 on, and with 60.5 it ends
		oomScoreAdj: -2000|.oomScoreAdj: the kubelet takes a whole number from -1000 to 1000, and with -2000 it ends
		cpuManagerPolicy: Static|.cpuManagerPolicy: the kubelet takes none, static, and with Static it ends, and K3s with it, at every start; did you mean static?
		topologyManagerPolicy: single-numa|.topologyManagerPolicy: the kubelet takes none, best-effort, restricted, single-numa-node, and with single-numa it ends
		memorySwap: {swapBehavior: UnlimitedSwap}|.memorySwap.swapBehavior: the kubelet takes NoSwap, LimitedSwap, and with UnlimitedSwap it ends
		evictionHard: {memory.free: 100Mi}|.evictionHard.memory.free: the kubelet knows memory.available, nodefs.available
		evictionHard: {memory.available: 100MB}|.evictionHard.memory.available: the kubelet takes 100Mi or 10%, more than nothing, and with 100MB it ends
		evictionHard: {memory.available: "110%"}|.evictionHard.memory.available: the kubelet takes 100Mi or 10%
		evictionSoft: {memory.available: 200Mi}|.evictionSoft: memory.available has no time in evictionSoftGracePeriod
		systemReserved: {memory: 512MB}|.systemReserved.memory: the kubelet takes an amount such as 100Mi or 0.5, and with 512MB it ends
		kubeReserved: {ram: 1Gi}|.kubeReserved.ram: the kubelet knows cpu, memory, ephemeral-storage, pid, and with ram it ends
		cpuManagerPolicy: static|.cpuManagerPolicy: static leaves pods processors of their own, and the kubelet ends when none is kept for the system; add systemReserved: {cpu: 500m}
		memoryManagerPolicy: Static|.memoryManagerPolicy: with Static the kubelet ends when reservedMemory does not say
		imageGCHighThresholdPercent: 75|: imageGCLowThresholdPercent is 80 by default and has to be less than imageGCHighThresholdPercent, 75,
		imageGCHighThresholdPercent: 80%|.imageGCHighThresholdPercent: must be a number, without quotes
		containerLogMaxFiles: "3"|.containerLogMaxFiles: must be a number, without quotes
		imageGCHighThresholdPercent: 60, imageGCLowThresholdPercent: 70|: imageGCLowThresholdPercent is 70 and has to be less
		imageMaximumGCAge: 1m|.imageMaximumGCAge: has to be more than imageMinimumGCAge
		containerLogMonitorInterval: 1s|.containerLogMonitorInterval: the kubelet takes 3s or more
		containerLogMaxSize: 10MB|.containerLogMaxSize: the kubelet takes an amount such as 10Mi, and with 10MB it ends
		enforceNodeAllocatable: [pods, system]|.enforceNodeAllocatable: the kubelet takes pods, none, system-reserved and kube-reserved, and with system it ends
		enforceNodeAllocatable: [pods, kube-reserved]|.enforceNodeAllocatable: with kube-reserved the kubelet wants to know kubeReservedCgroup
		serializeImagePulls: true, maxParallelImagePulls: 5|.maxParallelImagePulls: more than one at a time, and serializeImagePulls
		shutdownGracePeriod: 500ms, shutdownGracePeriodCriticalPods: 0s|.shutdownGracePeriod: the kubelet takes 0s, or 1s and more
		logging: {verbosity: "4"}|.logging.verbosity: the kubelet takes a whole number from 0 on
		systemReserved: {memory: 6Gi}, kubeReserved: {memory: 2Gi}|: systemReserved, kubeReserved and evictionHard keep 8.1 GiB of memory from pods, and cp-3 (Raspberry Pi 4) has at most 8.0 GiB: the kubelet ends there
	EOT
	cluster 'k3s: {kubelet: {systemReserved: {cpu: 3500m}, kubeReserved: {cpu: 1}}}'
	fails 3 'k3s.kubelet: systemReserved and kubeReserved keep 4.5 processors from pods, and cp-1 (Raspberry Pi 5) has 4: the kubelet ends there, and K3s with it, at every start; keep less' "$PIBUILD" check
	cluster 'k3s: {kubelet: {shutdownGracePeriodByPodPriority: [{priority: 0, shutdownGracePeriodSeconds: 30}], logging: {verbosity: 4}, systemReserved: {cpu: 3}}}'
	"$PIBUILD" check
	refused 'k3s.agent.kubelet-arg[0]: container-log-max-files cannot be 1: the kubelet takes a whole number from 2 on' 'k3s: {agent: {kubelet-arg: ["container-log-max-files=1"]}}'
	cluster 'k3s:' '  kubelet: {cpuManagerPolicy: static, systemReserved: {cpu: 0.5, memory: 1e9}, evictionHard: {memory.available: 5%, nodefs.available: 1Gi, pid.available: 100},' \
		'    evictionSoft: {imagefs.available: 15%}, evictionSoftGracePeriod: {imagefs.available: 1m}, evictionMinimumReclaim: {imagefs.available: 0}, nodeStatusMaxImages: -1,' \
		'    imageGCHighThresholdPercent: 75, imageGCLowThresholdPercent: 60, enforceNodeAllocatable: [pods], logging: {format: json}, topologyManagerPolicy: none, containerLogMaxFiles: 3,' \
		'    imageMaximumGCAge: 168h, serializeImagePulls: false, maxParallelImagePulls: 3, registryPullQPS: 0, memorySwap: {swapBehavior: LimitedSwap}}'
	"$PIBUILD" check
}

@test "flags for the programs in K3s: those that the card goes by are refused with what to set" {
	while IFS='|' read -r section arg words; do
		refused "k3s.$section[0]: $words" "k3s: {${section%%.*}: {${section#*.}: [\"$arg\", v=2]}}"
	done <<-'EOT'
		server.kubelet-arg|cgroup-driver=cgroupfs|cgroup-driver cannot be set here: K3s makes it known to the kubelet itself; leave it out
		agent.kubelet-arg|--resolv-conf=/run/systemd/resolve/resolv.conf|resolv-conf cannot be set here: pods ask the name servers that the nodes ask; set network.nameservers
		agent.kubelet-arg|hostname-override=x|hostname-override cannot be set here: the node is known by its name; set nodes[].name
		server.kubelet-arg|fail-swap-on=true|fail-swap-on cannot be true: with true the kubelet ends where there is swap, and K3s with it, at every start; set os.swap: off, or leave it out
		server.kubelet-arg|max-pods=500|max-pods cannot be 500: a node has addresses for some 250 pods
		server.kubelet-arg|max-pods|max-pods cannot be true: the kubelet takes a number
		server.kubelet-arg|node-status-update-frequency=4|node-status-update-frequency cannot be 4: the kubelet takes a time such as 30s or 1m
		server.kubelet-arg|system-reserved=cpu=1,memory=512MB|system-reserved cannot be cpu=1,memory=512MB: the kubelet takes an amount such as 100Mi or 0.5, and with 512MB it ends
		server.kubelet-arg|eviction-hard=memory.free<100Mi|eviction-hard cannot be memory.free<100Mi: the kubelet knows memory.available
		server.kubelet-arg|v 2|'v 2' is no flag, and K3s would not start with it: write NAME=VALUE, such as v=2
		agent.kubelet-arg|-v=2|'-v=2' is no flag
		server.kube-controller-manager-arg|pod-eviction-timeout=30s|pod-eviction-timeout is no flag of Kubernetes since 1.27, and K3s does not start with it; set default-not-ready-toleration-seconds=30
		server.kube-controller-manager-arg|node-monitor-period=2|node-monitor-period cannot be '2', with which K3s does not start: give a time such as 30s or 1m
		server.kube-apiserver-arg|default-not-ready-toleration-seconds=30s|default-not-ready-toleration-seconds cannot be '30s', with which K3s does not start: give a number of seconds
		server.kube-apiserver-arg|enable-admission-plugins=NodeRestriction,PodSecurityPolicy|enable-admission-plugins names PodSecurityPolicy, which Kubernetes has no more since 1.25
		server.kube-apiserver-arg|oidc-issuer-url=http://auth.lan|oidc-issuer-url has to begin with https://, or K3s does not start
		server.kube-apiserver-arg|max-requests-inflight=1k|max-requests-inflight cannot be '1k', with which K3s does not start: give a whole number, without a unit
		server.etcd-arg|quota-backend-bytes=8GB|quota-backend-bytes cannot be '8GB', with which K3s does not start: give a whole number, without a unit
		server.etcd-arg|quota-backend-bytes=99999999999999999999|quota-backend-bytes cannot be '99999999999999999999', with which K3s does not start
		server.kube-apiserver-arg|secure-port=7443|secure-port cannot be set here: Cilium reaches the API at 127.0.0.1:6444
		server.kube-apiserver-arg|etcd-servers=x|etcd-servers cannot be set here: K3s sets it
		server.kube-controller-manager-arg|cluster-cidr=10.0.0.0/16|cluster-cidr cannot be set here: Cilium and the checks of your networks go by cluster.yaml; set cluster.podCIDR
	EOT
	refused 'k3s.kubelet.failSwapOn: with true the kubelet ends where there is swap' 'k3s: {kubelet: {failSwapOn: true}}'
	refused 'k3s.server.service-node-port-range: Cilium serves the ports 30000 to 32767 alone' 'k3s: {server: {service-node-port-range: 10000-32767}}'
	cluster 'os: {swap: off}' 'k3s: {kubelet: {failSwapOn: true, maxPods: 200}, server: {kubelet-arg: [fail-swap-on, max-pods=200, "eviction-minimum-reclaim=memory.available=1Mi", "--eviction-hard=memory.available<5%,nodefs.available<1Gi", kube-reserved=cpu=250m], kube-apiserver-arg: [event-ttl=1h, "enable-admission-plugins+=AlwaysPullImages", default-unreachable-toleration-seconds=30]}}'
	"$PIBUILD" check
}

@test "a flag that is nearly one is noted with it, others are K3s's business" {
	cluster 'k3s: {server: {kube-apiserver-arg: [event-tll=2h], kube-controller-manager-arg: [node-monitor-graceperiod=40s]}}'
	fails 0 'note: k3s.server.kube-apiserver-arg[0]: pibuild does not know the flag event-tll, and K3s does not start with one that its programs have not; did you mean event-ttl?' "$PIBUILD" check
	[[ "$output" == *'did you mean node-monitor-grace-period?'* ]]
	cluster 'k3s: {server: {kube-apiserver-arg: [storage-backend=etcd3, contention-profiling=true, max-requests-inflight=400, "oidc-issuer-url=https://a.lan"], etcd-arg: [quota-backend-bytes=8589934592], kube-controller-manager-arg: [concurrent-deployment-syncs=5, route-reconciliation-period=10s]}}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" != *'did you mean'* ]]
}

@test "without the list of the kubelet's fields no flag of it is called good" {
	cluster 'k3s: {agent: {kubelet-arg: [v=2]}}'
	"$PIBUILD" check
	mkdir data
	cp -r "$top"/{boards,configs,overlays} data/
	rm data/configs/names/kubelet-keys.txt
	PIBUILD_DATA=$PWD/data run "$PIBUILD" check
	[ "$status" -ne 0 ]
	grep -q 'k3s.agent.kubelet-arg\[0\]: v cannot be 2: cannot .*kubelet-keys.txt' <<<"$output"
}

@test "a file that a flag names has to come onto the servers' cards" {
	refused 'k3s.server.kube-apiserver-arg[0]: audit-policy-file=/etc/rancher/k3s/audit.yaml: nothing brings /etc/rancher/k3s/audit.yaml onto the card of cp-1, and K3s does not start without it; put it into overlays/control-plane/etc/rancher/k3s/audit.yaml' \
		'k3s: {server: {kube-apiserver-arg: ["audit-policy-file=/etc/rancher/k3s/audit.yaml", "audit-log-path=/var/log/audit.log", "oidc-ca-file=/etc/ssl/certs/ca-certificates.crt"]}}'
	mkdir -p overlays/control-plane/etc/rancher/k3s
	printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n' >overlays/control-plane/etc/rancher/k3s/audit.yaml
	"$PIBUILD" check
}

@test "protect-kernel-defaults brings what the kernel has to be set to" {
	cluster 'k3s: {agent: {protect-kernel-defaults: true}, server: {protect-kernel-defaults: false}}'
	rendered w-1 && rendered cp-1
	grep -qx 'vm.overcommit_memory = 1' card-w-1/etc/sysctl.d/90-kubelet.conf
	[ ! -e card-cp-1/etc/sysctl.d/90-kubelet.conf ]
}

# A tree of K3s in small, with all its ways to write a flag down.
k3s_tree() {
	mkdir -p k3s/pkg/cli/cmds
	printf 'module k3s\n\nrequire (\n\tk8s.io/kubernetes v1.99.1\n)\n' >k3s/go.mod
	cat >k3s/pkg/cli/cmds/agent.go <<-'EOT'
		package cmds
		var (
			DebugFlag = &cli.BoolFlag{
				Name:  "debug",
				Usage: "(logging) a brace { in a text",
			}
			Labels = &cli.StringSliceFlag{
				Name: "node-label",
			}
		)
		func NewAgentCommand() *cli.Command {
			return &cli.Command{
				Flags: []cli.Flag{
					DebugFlag,
					// Experimental flags
					Labels,
					&cli.IntFlag{
						Hidden: true,
						Name:   "port",
					},
				},
			}
		}
	EOT
	cat >k3s/pkg/cli/cmds/server.go <<-'EOT'
		package cmds
		var ServerFlags = []cli.Flag{
			DebugFlag,
			&cli.DurationFlag{
				Name:  "wait",
				Usage: "(deprecated) how long",
			},
			&cli.StringFlag{
				Name:  "place",
				Usage: "(experimental/db) where",
			},
			Labels,
		}
	EOT
}

@test "scripts/make-k3s-keys reads the flags of both commands out of K3s's source, with kinds and marks" {
	k3s_tree
	mkdir -p copy/scripts copy/configs/names && cp "$top/scripts/make-k3s-keys" copy/scripts/
	copy/scripts/make-k3s-keys k3s
	diff copy/configs/names/k3s-keys.txt - <<-'EOT'
		# Made by scripts/make-k3s-keys from k3s-io/k3s with Kubernetes v1.99.1
		# a key, the command that takes it (server, agent, both), its kind, and whether K3s calls it experimental, deprecated or hides it
		debug both boolean
		node-label both list
		place server text experimental
		port agent number hidden
		wait server duration deprecated
	EOT
	copy/scripts/make-k3s-keys --check k3s
	mkdir -p kubelet/config/v1beta1 gardener/pkg/utils/validation/features
	printf 'module kubelet\n' >kubelet/go.mod
	printf 'type KubeletConfiguration struct {\n\tMaxPods int32 `json:"maxPods"`\n}\n' >kubelet/config/v1beta1/types.go
	cat >gardener/pkg/utils/validation/features/featuregates.go <<-'EOT'
		var featureGateVersionRanges = map[string]*FeatureGateVersionRange{
			"Old":  {LockedValue: true, LockedToDefaultInVersion: "1.30", VersionRange: versionutils.VersionRange{AddedInVersion: "1.20", RemovedInVersion: "1.33"}},
			"Kept": {},
			"Shut": {LockedToDefaultInVersion: "1.36"},
		}
	EOT
	copy/scripts/make-k3s-keys k3s kubelet gardener
	diff copy/configs/names/feature-gates.txt - <<-'EOT'
		# Made by scripts/make-k3s-keys from gardener/gardener, up to Kubernetes v1.36
		# a feature gate, the minor versions of 1.x since which it is there, locked, and gone (- = never, as far as is known), and to what it is locked
		Kept - - - -
		Old 20 30 33 true
		Shut - 36 - false
	EOT
	sed -i 's/IntFlag/PathFlag/' k3s/pkg/cli/cmds/agent.go
	refute copy/scripts/make-k3s-keys --check k3s
}
