#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# BGP between nodes and the router: what Cilium is given, what the router is told (FRR's own programs judge that), what
# contradicts itself. What a cluster makes of it: first-boot.bats.

load ../lib/first-boot

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	export BGP_PASSWORD=bgp-canary-0123456789
}

# bgp_cluster POOL [BGP]
bgp_cluster() {
	write_cluster "loadBalancer: {pools: [{name: s, range: $1}], announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513${2:-}}}}"
}

# documents NAME PYTHON: true of the documents d of that manifest of the first server
documents() {
	rm -rf out
	"$PIBUILD" render -q --node cp-1 -o out >/dev/null
	python3 - "$(find out -path "*/$1.yaml")" "$2" <<-'EOT'
		import sys, yaml
		d = list(yaml.safe_load_all(open(sys.argv[1])))
		assert eval(sys.argv[2]), d
	EOT
}

@test "a password that TCP-MD5 does not take is a fault before any build" {
	bgp_cluster 172.20.0.10-172.20.0.20 ', password: {file: pw}'
	(umask 077 && printf '%081d' 0 >pw)
	fails 3 'is longer than the 80 bytes that TCP-MD5 takes: it has 81' "$PIBUILD" check
	(umask 077 && printf '%080d' 0 >pw)
	"$PIBUILD" check
}

# frr_takes FILE: every line is a command of FRR where it stands
frr_takes() {
	vtysh -C -f "$1"
}

@test "a pool outside the LAN goes by BGP alone: no ARP, values, peer, one advertisement of all Services, a staged password" {
	bgp_cluster 172.20.0.10-172.20.0.20 ', password: {env: BGP_PASSWORD}'
	"$PIBUILD" check
	documents manifests/bgp '[x["kind"] for x in d] == ["CiliumBGPClusterConfig", "CiliumBGPPeerConfig", "CiliumBGPAdvertisement"] and {x["apiVersion"] for x in d} == {"cilium.io/v2"}'
	documents manifests/bgp 'd[0]["spec"]["bgpInstances"] == [{"name": "cluster", "localASN": 64513, "peers": [{"name": "router", "peerASN": 64512, "peerAddress": "192.168.1.1", "peerConfigRef": {"name": "router"}}]}]'
	documents manifests/bgp 'd[1]["spec"]["families"][0]["advertisements"]["matchLabels"].items() <= d[2]["metadata"]["labels"].items() and d[1]["spec"]["authSecretRef"] == "bgp"'
	documents secrets/bgp 'd[0]["stringData"].keys() == {"password"} and d[0]["metadata"] == {"name": "bgp", "namespace": "kube-system"}'
	documents cilium-values 'd[0]["bgpControlPlane"]["enabled"] and "l2announcements" not in d[0]'
	[ -z "$(find out -name l2-policy.yaml)" ]
	refute grep -rq bgp-canary out
	bgp_cluster 192.168.1.65-192.168.1.95
	documents cilium-values 'd[0]["bgpControlPlane"]["enabled"] and d[0]["l2announcements"]["enabled"]'
	[ -n "$(find out -name l2-policy.yaml)" ]
	[ -z "$(find out -path '*secrets/bgp.yaml')" ]
}

@test "plan --router frr and unifi: FRR takes it, with the password in its place too, and not what is wrong" {
	command -v vtysh >/dev/null || skip "FRR is not installed: scripts/deps test"
	bgp_cluster 172.20.0.10-172.20.0.200 ', password: {env: BGP_PASSWORD}'
	for router in frr unifi; do
		"$PIBUILD" plan -q --router $router >conf
		frr_takes conf
		refute grep -q "$BGP_PASSWORD" conf
		sed 's/^! neighbor pibuild password PASSWORD/ neighbor pibuild password secret/' conf >with
		grep -q '^ neighbor pibuild password' with
		frr_takes with
	done
	grep -qx ' neighbor 192.168.1.12 peer-group pibuild' conf
	refute grep -q 192.168.1.11 conf # no server speaks
	sed 's/maximum-paths/maximum-path-s/' conf >wrong
	run vtysh -C -f wrong
	[ "$status" -ne 0 ]
	# A node whose address is not known is let in from the LAN; all nodes, when that is asked for.
	sed -i 's/, address: 192.168.1.12.24//; s/announce: {/announce: {nodes: all, /' cluster.yaml
	"$PIBUILD" plan -q --router frr >conf
	frr_takes conf
	grep -qx ' bgp listen range 192.168.1.0/24 peer-group pibuild' conf
	grep -qx ' neighbor 192.168.1.11 peer-group pibuild' conf
}

@test "the router takes the pool's addresses, every one and no other" {
	bgp_cluster 172.20.0.10-172.20.0.200
	"$PIBUILD" plan -q --router frr | sed -n 's/^ip prefix-list .* permit \([0-9./]*\).*/\1/p' >networks
	python3 - <<-'EOT'
		import ipaddress
		taken = [a for line in open("networks") for a in ipaddress.ip_network(line.strip())]
		assert sorted(taken) == [ipaddress.ip_address("172.20.0.10") + n for n in range(191)]
	EOT
	[ "$("$PIBUILD" plan -q --router mikrotik | sed -n 's/.*dst in \([0-9./]*\).*/\1/p')" = "$(cat networks)" ]
	"$PIBUILD" plan -q --router opnsense | grep -q 'Neighbors: w-1, peer IP 192.168.1.12, remote AS 64513'
	fails 2 '--router cisco: there are frr, unifi, mikrotik and opnsense' "$PIBUILD" plan --router cisco
	sed -i '/loadBalancer/d' cluster.yaml
	fails 3 'there is nothing to tell a router' "$PIBUILD" plan --router frr
}

@test "a password that nodes' kernels cannot sign with is a note, with who cannot and what to do; the node's own kernel is asked at first boot" {
	bgp_cluster 172.20.0.10-172.20.0.20 ', password: {env: BGP_PASSWORD}'
	note='loadBalancer.announce.bgp.password: with it no session of'
	fails 0 "$note w-1 comes up: kernels of Raspberry Pi OS are built without what signs packets (CONFIG_TCP_MD5SIG); leave it out, here and on the router" "$PIBUILD" check
	refute grep -q 'os.base: debian' <<<"$output" # no kernel of Debian boots a Raspberry Pi 5
	"$PIBUILD" render -q --node w-1 -o w-1 >/dev/null 2>&1
	"$PIBUILD" render -q --node cp-1 -o cp-1 >/dev/null 2>&1
	grep -qx 'signs yes' w-1/etc/pibuild/node
	refute grep -q '^signs' cp-1/etc/pibuild/node
	sed -i 's/board: rpi5/board: rpi4/' cluster.yaml
	fails 0 "$note w-1 comes up: kernels of Raspberry Pi OS are built without what signs packets (CONFIG_TCP_MD5SIG); leave it out, here and on the router, or set os.base: debian" "$PIBUILD" check
	sed -i 's/^nodes:/os: {base: debian}\n&/' cluster.yaml
	run "$PIBUILD" check
	refute grep -q "$note" <<<"$output"
	bgp_cluster 172.20.0.10-172.20.0.20
	run "$PIBUILD" check
	refute grep -q "$note" <<<"$output"
}

@test "a kernel that cannot sign what BGP's password wants signed is told on its node, with what to do" {
	card
	mkdir -p card/boot
	options() { printf 'CONFIG_%s=y\n' BPF_SYSCALL BPF_JIT CGROUP_BPF NET_CLS_BPF NET_CLS_ACT NET_SCH_INGRESS VXLAN VETH "$@" >"card/boot/config-$(uname -r)"; }
	options
	step preflight
	[ ! -e card/run/pibuild/notes/bgp-password ]
	echo 'signs yes' >>card/etc/pibuild/node
	step preflight
	grep -q '^cause This kernel (.*) cannot sign packets (it lacks TCP_MD5SIG), so that this node has no session with the router$' card/run/pibuild/notes/bgp-password
	grep -q '^cure Leave out loadBalancer.announce.bgp.password, in cluster.yaml and on the router; kernels of Debian can' card/run/pibuild/notes/bgp-password
	[ ! -e card/run/pibuild/notes/kernel ]
	options TCP_MD5SIG
	step preflight
	[ ! -e card/run/pibuild/notes/bgp-password ]
}

@test "with BGP alone no pool has IPv6 addresses, which nobody would announce; with a pool of the LAN it has" {
	ipv6() { sed -i 's/^  subnet: .*/&\n  ipv6: {}/' cluster.yaml; }
	bgp_cluster 172.20.0.10-172.20.0.20 && ipv6
	fails 0 'network.ipv6: the router hears by BGP of IPv4 addresses alone, and no pool is part of the LAN, where nodes would answer for others; so services of type LoadBalancer have IPv4 alone' "$PIBUILD" check
	documents pools 'd[0]["spec"]["blocks"] == [{"start": "172.20.0.10", "stop": "172.20.0.20"}]'
	bgp_cluster 192.168.1.65-192.168.1.95 && ipv6
	documents pools 'len(d[0]["spec"]["blocks"]) == 2 and ":" in d[0]["spec"]["blocks"][1]["start"]'
	run "$PIBUILD" check
	refute grep -q 'the router hears by BGP' <<<"$output"
}

@test "RouterOS: an instance has the cluster's side's number, and every connection names it; internal sessions are called so" {
	bgp_cluster 172.20.0.10-172.20.0.200 ', password: {env: BGP_PASSWORD}'
	"$PIBUILD" plan -q --router mikrotik >conf
	grep -qx '/routing/bgp/instance/add name=pibuild as=64512' conf
	grep -q '^/routing/bgp/connection/add name=pibuild-w-1 instance=pibuild local.role=ebgp .* remote.as=64513 .* tcp-md5-key=PASSWORD$' conf
	[ "$(grep -n instance/add conf | cut -d : -f 1)" -lt "$(grep -n connection/add conf | cut -d : -f 1)" ]
	refute grep -q '^/routing/bgp/connection.* as=' conf # it is the instance's, from 7.20 on
	grep -qx '# before 7.20: without the line of the instance, and as=64512 in place of instance=pibuild' conf
	sed -i 's/asn: 64513/asn: 64512/' cluster.yaml
	"$PIBUILD" plan -q --router mikrotik 2>/dev/null | grep -q ' local.role=ibgp '
	"$PIBUILD" plan -q --router frr >conf 2>/dev/null
	grep -qx '  maximum-paths ibgp 16' conf
	if command -v vtysh >/dev/null; then frr_takes conf; fi
}

@test "BGP with a router that is none, with numbers of others, without a pool" {
	bgp_cluster 172.20.0.10-172.20.0.20
	sed -i 's/router: 192.168.1.1,/router: 192.168.2.1,/' cluster.yaml
	fails 3 "loadBalancer.announce.bgp.router: 192.168.2.1 lies outside network.subnet 192.168.1.0/24, and nodes reach neighbours only; write the router's address there" "$PIBUILD" check
	sed -i 's/router: 192.168.2.1,/router: 192.168.1.12,/' cluster.yaml
	fails 3 'loadBalancer.announce.bgp.router: 192.168.1.12 is the address of w-1, a node of the cluster' "$PIBUILD" check
	bgp_cluster 192.168.1.250-192.168.2.9
	fails 3 'loadBalancer.pools[0].range: 192.168.1.250-192.168.2.9 lies partly in network.subnet 192.168.1.0/24; make two pools of it' "$PIBUILD" check
	bgp_cluster 192.168.1.65-192.168.1.95
	sed -i 's/asn: 64513/asn: 64512/; s/routerASN: 64512/routerASN: 3320/' cluster.yaml
	fails 0 "loadBalancer.announce.bgp.routerASN: 3320 is somebody's on the internet; private numbers are 64512-65534 and 4200000000-4294967294" "$PIBUILD" check
	[[ "$output" == *'this pool is part of the LAN, so its addresses are announced twice, by ARP and by BGP'* ]]
	sed -i 's/routerASN: 3320/routerASN: 64512/' cluster.yaml
	fails 0 'loadBalancer.announce.bgp.asn: router and cluster have the number 64512, which makes their session an internal one' "$PIBUILD" check
	sed -i 's/asn: 64512/asn: 4294967295/' cluster.yaml
	fails 3 'the number of an autonomous system is one from 1 to 4294967294' "$PIBUILD" check
	sed -i 's/asn: 4294967295/asn: 23456/' cluster.yaml
	fails 3 'loadBalancer.announce.bgp.asn: 23456 stands for numbers that old routers cannot write (RFC 6793), and no router takes it for one' "$PIBUILD" check
	sed -i 's/asn: 23456/asn: 4294967295/; s/router: 192.168.1.1,/router: 192.168.1.255,/' cluster.yaml
	fails 3 'loadBalancer.announce.bgp.router: 192.168.1.255 is the broadcast address of 192.168.1.0/24' "$PIBUILD" check
	sed -i 's/router: 192.168.1.255,/router: 192.168.1.2,/; s/^cluster:/&\n  vip: 192.168.1.2/' cluster.yaml
	fails 3 'cluster.vip: 192.168.1.2 is loadBalancer.announce.bgp.router; use a free address' "$PIBUILD" check
	sed -i '/vip:/d; s/router: 192.168.1.2,/router: 192.168.1.1,/' cluster.yaml
	sed -i 's/asn: 4294967295/asn: 64513/; s/pools: .*announce/announce/' cluster.yaml
	fails 3 'loadBalancer.announce.bgp: there is no pool whose addresses could be announced; add loadBalancer.pools' "$PIBUILD" check
	bgp_cluster 172.20.0.10-172.20.0.20
	sed -i '/^  subnet:/d; s/, address: [0-9.\/]*//' cluster.yaml
	fails 3 'loadBalancer.pools: nodes answer by ARP for pools of your LAN, and tell the router of the others alone; say which one in network.subnet' "$PIBUILD" check
}
