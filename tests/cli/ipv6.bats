#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# network.ipv6: both families on nodes, pods, services and pools, alike in NetworkManager, K3s and Cilium, judged by Python's
# ipaddress; and that a cluster keeps what it was started with.

load ../lib/first-boot

# both YAML [LINE]...: cluster.yaml with network.ipv6 of that
both() {
	write_cluster "${@:2}"
	sed -i "s|^network:|network:\n  ipv6: $1|; s/^  gateway/  dhcpRange: 192.168.1.200-192.168.1.250\n&/" cluster.yaml
}

with_pools=('loadBalancer: {pools: [{name: a, range: 192.168.1.65-192.168.1.70}, {name: b, range: 192.168.1.71-192.168.1.75}]}')

# rendered NODE: into ./card
rendered() {
	rm -rf card
	[ -e secrets.yaml ] || "$PIBUILD" secrets new -q
	"$PIBUILD" render --node "$1" --show-secrets -o card >/dev/null
}

@test "networks that are none of IPv6's, of the wrong size or for no machine are refused; overlaps and nodes on DHCP too" {
	for ipv6 in '{}' '{subnet: "fd00::/64"}' '{subnet: "2001:DB8:1:2::/64", podCIDR: "fd00:1:2::/48", serviceCIDR: "fd00:3::/108"}' '{podCIDR: "fd00:0:0:100::/56", serviceCIDR: "fd00:1::/120"}'; do
		both "$ipv6"
		"$PIBUILD" check -q || { echo "$ipv6"; return 1; }
	done
	for ipv6 in 'subnet: "fd00::/48"' 'subnet: "fd00::1/64"' 'subnet: "fe80::/64"' 'subnet: "ff02::/64"' 'subnet: "fc00::/64"' 'subnet: "::/64"' 'subnet: 192.168.1.0/24' \
		'subnet: "fd00::%eth0/64"' 'subnet: "fd00::/064"' 'podCIDR: "fd00::/64"' 'podCIDR: "fd00::/47"' 'serviceCIDR: "fd00::/104"' 'serviceCIDR: "fd00::/121"' 'serviceCIDR: ""'; do
		both "{$ipv6}"
		fails 3 "network.ipv6.${ipv6%%:*}: " "$PIBUILD" check
	done
	both '{podCIDR: "fd00::/56", serviceCIDR: "fd00:0:0:1::/112"}'
	fails 3 'network.ipv6.serviceCIDR: fd00:0:0:1::/112 overlaps network.ipv6.podCIDR fd00::/56; the same addresses would be two things: use another' "$PIBUILD" check
	for off in 'boot: {cmdline: [ipv6.disable=1]}' 'os: {sysctl: {net.ipv6.conf.all.disable_ipv6: 1}}'; do
		both '{}' "$off"
		fails 3 'switches off what network.ipv6 gives the nodes; remove one of the two' "$PIBUILD" check
	done
	both '{podCIDR: "fd00::/63"}'
	sed -i '$a\  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24}' cluster.yaml
	fails 3 'network.ipv6.podCIDR: each node takes a /64 for its pods, and fd00::/63 has room for 2 of the 3 nodes; use a /56' "$PIBUILD" check
	both '{}'
	sed -i '/name: w-1/s/, address: [^}]*//' cluster.yaml
	fails 3 'nodes[1].name: with network.ipv6 every node needs a static address, which gives it its IPv6 address too; K3s has to be told both, and w-1 has DHCP: give it an address' "$PIBUILD" check
}

@test "who writes both families at one place, an address for a network, or somebody else's network is told what to write" {
	both '{subnet: "fd12:3456:789a::1/64"}'
	fails 3 "network.ipv6.subnet: 'fd12:3456:789a::1/64' cannot be used: the network is fd12:3456:789a::/64; an address of a single machine does not go here" "$PIBUILD" check
	both '{subnet: 192.168.1.0/24}'
	fails 3 'IPv6 is given here, and IPv4 is in network.subnet and cluster' "$PIBUILD" check
	both '{podCIDR: "2001:cafe:42::/56", subnet: "2001:db8:1::/64"}'
	fails 0 'network.ipv6.podCIDR: 2001:cafe:42::/56 are addresses of the internet, which nodes and pods could not reach any more; leave it out for private ones' "$PIBUILD" check
	fails 0 'network.ipv6.subnet: 2001:db8::/32 is set aside for documentation, and no router has it' "$PIBUILD" check
	both '{}'
	sed -i 's|^cluster:|&\n  podCIDR: "10.42.0.0/16,fd00:42::/56"|' cluster.yaml
	fails 3 "cluster.podCIDR: '10.42.0.0/16,fd00:42::/56' cannot be used: IPv4 alone is given here, and network.ipv6 has what is IPv6" "$PIBUILD" check
}

@test "what is made from the cluster's name is private, its own, and the same on every card and in every program" {
	both '{}' "${with_pools[@]}" 'registries: {share: true}'
	sed -i 's|^  ipv6: {}|&\n  proxy: {http: "http://proxy.lan:3128"}|' cluster.yaml
	rendered cp-1 && mv card cp-1
	rendered w-1 && mv card w-1
	sed -i 's/^  name: lab/  name: lap/' cluster.yaml
	sed -i 's/^clusterName: lab/clusterName: lap/' secrets.yaml
	rendered cp-1
	python3 - <<-'PYTHON'
		import configparser, ipaddress, re, yaml
		v6 = ipaddress.IPv6Network
		def config(card): return yaml.safe_load(open(card + "/etc/rancher/k3s/config.yaml"))
		def nets(card): return [ipaddress.ip_network(n) for key in ("cluster-cidr", "service-cidr") for n in config(card)[key].split(",")]
		pods4, pods, services4, services = nets("cp-1")
		assert (pods4.version, services4.version, pods.version, services.version) == (4, 4, 6, 6)
		assert pods.prefixlen == 56 and services.prefixlen == 112
		other = nets("card")[1]
		assert not other.overlaps(pods) and other == nets("card")[1]
		lan = []
		for card, host in ("cp-1", "192.168.1.11"), ("w-1", "192.168.1.12"):
		    four, six = config(card)["node-ip"].split(",")
		    assert four == host and six.endswith("::" + host.replace(".", ":")) or six.endswith(":" + host.replace(".", ":")), six
		    text = re.sub(r"^address1=(?=1)", "x=", open(card + "/etc/NetworkManager/system-connections/pibuild-eth0.nmconnection").read(), flags=re.M)
		    file = configparser.ConfigParser(strict=False); file.read_string(text)
		    address = ipaddress.ip_interface(file["ipv6"]["address1"])
		    assert str(address.ip) == six and address.network.prefixlen == 64, (address, six)
		    assert file["ipv6"]["method"] == "auto"
		    lan.append(address)
		    assert open(card + "/etc/pibuild/node").read().count(f"\naddress6 {six}\n") == 1
		assert lan[0].network == lan[1].network and lan[0] != lan[1]
		for net in pods, services, lan[0].network:
		    assert net.subnet_of(v6("fd00::/8")), net
		assert not any(a.overlaps(b) for a, b in ((pods, services), (pods, lan[0].network), (services, lan[0].network)))
		assert str(lan[0].ip) in config("cp-1")["tls-san"]
		values = yaml.safe_load(open("cp-1/etc/pibuild/cilium-values.yaml"))
		operator = values["ipam"]["operator"]
		assert values["ipv6"] == {"enabled": True} and operator["clusterPoolIPv6PodCIDRList"] == [str(pods)] and operator["clusterPoolIPv6MaskSize"] == 64
		seen = []
		for pool in yaml.safe_load_all(open("cp-1/etc/pibuild/manifests/pools.yaml")):
		    four, six = pool["spec"]["blocks"]
		    first, last = map(ipaddress.ip_address, (six["start"], six["stop"]))
		    assert four["start"].startswith("192.168.1.") and first < last and first in lan[0].network and last in lan[0].network
		    assert not any(first <= a.ip <= last for a in lan) and not any(first <= b and a <= last for a, b in seen)
		    seen.append((first, last))
		assert len(seen) == 2
		none = re.search('NO_PROXY="(.*)"', open("cp-1/etc/systemd/system/k3s.service.env").read())[1].split(",")
		assert {str(pods), str(services), str(lan[0].network)} <= set(none), none
	PYTHON
	grep -q 'ip link set dev eth0 allmulticast on' w-1/etc/udev/rules.d/70-pibuild-multicast.rules
	[ ! -e cp-1/etc/udev/rules.d/70-pibuild-multicast.rules ] # where a worker answers
}

@test "without it all is as it was; values of the user's own may not say otherwise" {
	write_cluster "${with_pools[@]}"
	rendered cp-1
	refute grep -rqE 'ipv6: *$|fd[0-9a-f]{2}:|IPv6Pod' card/etc/rancher card/etc/pibuild card/etc/udev card/etc/NetworkManager
	echo 'ipv6: {enabled: true}' >values.yaml
	sed -i 's/^nodes:/cilium: {valuesFile: values.yaml}\n&/' cluster.yaml
	fails 3 'ipv6.enabled: must be false: K3s has to have the same families, which network.ipv6 of cluster.yaml decides; remove it' "$PIBUILD" check
	sed -i 's/^network:/&\n  ipv6: {}/' cluster.yaml
	"$PIBUILD" check -q
	echo 'ipv6: {enabled: false}' >values.yaml
	fails 3 'ipv6.enabled: must be true: ' "$PIBUILD" check
}

@test "a Cilium that announces no IPv6 gets none into its pools, and that is said" {
	both '{}' "${with_pools[@]}" 'versions: {cilium: 1.18.12, gatewayAPI: v1.3.0}'
	run "$PIBUILD" check
	[[ "$output" == *'note: network.ipv6: Cilium 1.18.12 announces no IPv6 addresses on the LAN, which 1.19 and later do, so services of type LoadBalancer have IPv4 alone'* ]] || { echo "$output" && false; }
}

@test "a cluster keeps the families it was started with" {
	write_cluster
	jq -cn '{state: "done", node: "cp-1", cluster: "lab", time: "2026-11-01T00:00:00Z", starts: true, born: {"cluster.podCIDR": "10.42.0.0/16"}}' >flashed.jsonl
	"$PIBUILD" check -q
	both '{}'
	fails 3 'was started with IPv4 alone (card of cp-1, 2026-11-01T00:00:00Z), and a running cluster cannot change to fd' "$PIBUILD" check
	[[ "$output" == *': remove network.ipv6, or start anew'* ]]
	jq -cn '{state: "done", node: "cp-1", cluster: "lab", time: "2026-11-01T00:00:00Z", starts: true, born: {"network.ipv6.podCIDR": "fd00:1::/56", "network.ipv6.serviceCIDR": "fd00:2::/112"}}' >flashed.jsonl
	fails 3 'write fd00:1::/56 again' "$PIBUILD" check
	both '{podCIDR: "fd00:1::/56", serviceCIDR: "fd00:2::/112", subnet: "fd00:3::/64"}'
	"$PIBUILD" check -q
	write_cluster
	fails 3 'network.ipv6.podCIDR: lab was started with fd00:1::/56' "$PIBUILD" check
}

# bats test_tags=slow
@test "first boot waits for the node's IPv6 address, and tells of another machine that has it" {
	with_ipv6() { both '{subnet: "fd00::/64"}'; }
	MAKE=with_ipv6 card
	program ip 'case $* in *"-6 "*) cat "$PIBUILD_ROOT/address6" 2>/dev/null ;; *addr*) cat "$PIBUILD_ROOT/address" ;; *route*) cat "$PIBUILD_ROOT/route" ;; esac'
	date +%s >card/clock
	state() {
		tick "[ \"\$1\" -lt $((100 + $1)) ] || { cp card/run/pibuild/steps/preflight seen; kill \$(cat card/step.pid); }"
		echo '100.00 100.00' >card/proc/uptime
		refute step preflight
	}
	state 4
	grep -qx 'cause eth0 does not have its IPv6 address fd00::192:168:1:11 yet' seen
	echo '2: eth0    inet6 fd00::192:168:1:11/64 scope global tentative noprefixroute' >card/address6
	state 4
	grep -qx 'cause eth0 does not have its IPv6 address fd00::192:168:1:11 yet' seen
	echo '2: eth0    inet6 fd00::192:168:1:11/64 scope global dadfailed tentative noprefixroute' >card/address6
	state 4
	grep -qx 'cause Another machine has the IPv6 address of this node, fd00::192:168:1:11' seen
	echo '2: eth0    inet6 fd00::192:168:1:11/64 scope global noprefixroute' >card/address6
	rm card/tick
	step preflight
}
