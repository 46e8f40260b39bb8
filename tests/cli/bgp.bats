#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# BGP between nodes and the router: what Cilium is given, what the router is told (FRR's own programs judge that), what
# contradicts itself. What a cluster makes of it: first-boot.bats.

load ../lib/image
load ../lib/refute

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
}
