/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of Cilium's chart that are right one by one and not together: the chart refuses to install, the agent ends
 * when it starts, or a feature stays off in silence. One row per contradiction. Sources, of Cilium 1.18 to 1.20:
 *
 *	chart   validate.yaml and cilium-configmap.yaml in install/kubernetes/cilium/templates
 *	kpr     pkg/kpr/initializer/kube_proxy_replacement.go (1.18: daemon/cmd/kube_proxy_replacement.go)
 *	daemon  initAndValidateDaemonConfig(), validateEncryptionDaemonConfig() in daemon/cmd/daemon.go
 *	env     initEnv() in daemon/cmd/daemon_main.go
 *	option  pkg/option/config.go
 *	lb      NewConfig() in pkg/loadbalancer/config.go
 *	others  by name
 */
#include "node/contradictions.h"

#define DSR    "dsr|hybrid"
#define TUNNEL "tunnel|"
#define OFF    "!true"

/* clang-format off */
static const struct contradiction rows[] = {
	/* ---- load balancing ---- */
	{ .all = { { "loadBalancer.mode", DSR }, { "routingMode", TUNNEL }, { "tunnelProtocol", "vxlan|" } },
	  .why = "the agent ends: DSR needs native routing, or geneve as dispatch and tunnel", /* kpr */
	  .key = "loadBalancer.mode", .value = "snat" },
	{ .all = { { "loadBalancer.mode", DSR }, { "routingMode", TUNNEL }, { "tunnelProtocol", "geneve" },
		   { "loadBalancer.dsrDispatch", "!geneve" } },
	  .why = "the agent ends: through a tunnel DSR needs geneve as dispatch too", /* kpr */
	  .key = "loadBalancer.dsrDispatch", .value = "geneve" },
	{ .all = { { "loadBalancer.mode", DSR }, { "loadBalancer.dsrDispatch", "geneve" },
		   { "routingMode", "native" }, { "tunnelProtocol", "!geneve" } },
	  .why = "the agent ends: this dispatch needs geneve as tunnel protocol", /* kpr */
	  .key = "loadBalancer.dsrDispatch", .value = "opt" },
	{ .all = { { "loadBalancer.mode", "hybrid" }, { "bpf.lbModeAnnotation", "true" } },
	  .why = "the agent ends: hybrid is no default when services choose by annotation", /* lb */
	  .key = "loadBalancer.mode", .value = "snat" },
	{ .all = { { "loadBalancer.acceleration", "native" } },
	  .why = "the agent ends: the Ethernet of a Raspberry Pi (bcmgenet, macb, lan78xx) has no XDP in Linux 6.12",
	  .key = "loadBalancer.acceleration", .value = "disabled" },
	{ .all = { { "loadBalancer.l7.backend", "envoy" }, { "l7Proxy", "false" } },
	  .why = "Cilium's chart refuses Envoy for services without the L7 proxy", /* chart */
	  .key = "loadBalancer.l7.backend", .value = "disabled" },
	{ .all = { { "nat46x64Gateway.enabled", "true" }, { "ipv6.enabled", OFF } },
	  .why = "the agent ends: it translates between IPv4 and IPv6 and needs both", /* option */
	  .key = "nat46x64Gateway.enabled", .value = "false" },
	{ .all = { { "installNoConntrackIptablesRules", "true" }, { "routingMode", TUNNEL } },
	  .why = "the agent ends: rules without conntrack need native routing", /* env */
	  .key = "installNoConntrackIptablesRules", .value = "false" },
	{ .all = { { "installNoConntrackIptablesRules", "true" }, { "enableIPv4Masquerade", "!false" },
		   { "bpf.masquerade", OFF } },
	  .why = "the agent ends: rules without conntrack need BPF masquerading", /* kpr */
	  .key = "bpf.masquerade", .value = "true" },

	/* ---- routing ---- */
	{ .all = { { "routingMode", "native" }, { "ipv4NativeRoutingCIDR", "" }, { "enableIPv4Masquerade", "!false" },
		   { "ipMasqAgent.enabled", "!true" }, { "nativeRoutingCIDRFromClusterPool", "!true" } },
	  .why = "the agent ends: it must know which network is not to be masqueraded", /* option */
	  .key = "ipv4NativeRoutingCIDR", .value = CONTRADICTION_POD_CIDR },
	{ .all = { { "routingMode", "native" }, { "ipv6.enabled", "true" }, { "ipv6NativeRoutingCIDR", "" },
		   { "enableIPv6Masquerade", "!false" }, { "ipMasqAgent.enabled", "!true" },
		   { "nativeRoutingCIDRFromClusterPool", "!true" } },
	  .why = "Cilium's chart refuses it: the agent must know which network is not to be masqueraded", /* chart */
	  .key = "ipv6NativeRoutingCIDR", .value = CONTRADICTION_POD_CIDR6 },
	{ .all = { { "routingMode", "native" }, { "autoDirectNodeRoutes", OFF }, { "bgpControlPlane.enabled", OFF } },
	  .several_nodes = true,
	  .why = "nothing makes routes to the pods of other nodes, so they do not reach each other",
	  .key = "autoDirectNodeRoutes", .value = "true" },
	{ .all = { { "autoDirectNodeRoutes", "true" }, { "routingMode", TUNNEL } },
	  .why = "the agent ends: packets must go through the tunnel", /* env */
	  .key = "autoDirectNodeRoutes", .value = "false" },
	{ .all = { { "directRoutingSkipUnreachable", "true" }, { "autoDirectNodeRoutes", OFF } },
	  .why = "the agent ends: there are no routes of which some could be skipped", /* option */
	  .key = "directRoutingSkipUnreachable", .value = "false" },
	{ .all = { { "underlayProtocol", "ipv6" }, { "ipv6.enabled", OFF } },
	  .why = "the agent ends: nodes have no IPv6 addresses for the tunnel", /* pkg/datapath/tunnel */
	  .key = "underlayProtocol", .value = "ipv4" },
	{ .all = { { "k8s.requireIPv6PodCIDR", "true" }, { "ipv6.enabled", OFF } },
	  .why = "the agent waits for ever: K3s gives nodes no IPv6 pod network here",
	  .key = "k8s.requireIPv6PodCIDR", .value = "false" },
	{ .all = { { "enableIPv6Masquerade", "true" }, { "ipv6.enabled", OFF } }, .note = true,
	  .why = "there is no IPv6 to masquerade, so this does nothing",
	  .key = "enableIPv6Masquerade", .value = "false" },
	{ .all = { { "vtep.enabled", "true" }, { "vtep.endpoint", "" } },
	  .why = "the agent ends: it is told no endpoint", /* option, validateVTEP() */
	  .key = "vtep.enabled", .value = "false" },

	/* ---- masquerading, egress gateway ---- */
	{ .all = { { "bpf.masquerade", "true" }, { "enableIPv4Masquerade", "false" } },
	  .why = "the agent ends: there is nothing to masquerade", /* daemon */
	  .key = "bpf.masquerade", .value = "false" },
	{ .all = { { "bpf.masquerade", "true" }, { "egressMasqueradeInterfaces", "*" } },
	  .why = "the agent ends: BPF masquerading takes its interfaces from 'devices'", /* daemon */
	  .key = "egressMasqueradeInterfaces" },
	{ .all = { { "bpf.masquerade", "true" }, { "enableMasqueradeRouteSource", "true" } },
	  .why = "the agent ends: BPF masquerading cannot take the route's source", /* daemon */
	  .key = "enableMasqueradeRouteSource", .value = "false" },
	{ .all = { { "ipMasqAgent.enabled", "true" }, { "bpf.masquerade", OFF },
		   { "enableIPv4Masquerade", "!false" } },
	  .why = "the agent ends: ip-masq-agent needs BPF masquerading", /* daemon */
	  .key = "bpf.masquerade", .value = "true" },
	{ .all = { { "ipMasqAgent.enabled", "true" }, { "enableIPv4Masquerade", "false" } },
	  .why = "the agent ends: there is nothing to masquerade", /* daemon */
	  .key = "ipMasqAgent.enabled", .value = "false" },
	{ .all = { { "egressGateway.enabled", "true" }, { "bpf.masquerade", OFF },
		   { "enableIPv4Masquerade", "!false" } },
	  .why = "the agent ends: the egress gateway needs BPF masquerading", /* pkg/egressgateway/manager.go */
	  .key = "bpf.masquerade", .value = "true" },
	{ .all = { { "egressGateway.enabled", "true" }, { "enableIPv4Masquerade", "false" } },
	  .why = "the agent ends: the egress gateway needs masquerading", /* pkg/egressgateway/manager.go */
	  .key = "enableIPv4Masquerade", .value = "true" },
	{ .all = { { "egressGateway.enabled", "true" }, { "ciliumEndpointSlice.enabled", "true" } },
	  .why = "the agent ends: the egress gateway does not read CiliumEndpointSlices", /* pkg/egressgateway */
	  .key = "ciliumEndpointSlice.enabled", .value = "false" },
	{ .all = { { "egressGateway.enabled", "true" }, { "identityAllocationMode", "!|crd" } },
	  .why = "the agent ends: the egress gateway needs identities in CRDs", /* pkg/egressgateway/manager.go */
	  .key = "identityAllocationMode", .value = "crd" },

	/* ---- bandwidth, BIG TCP, device mode ---- */
	{ .all = { { "bandwidthManager.bbr", "true" }, { "bandwidthManager.enabled", OFF } }, .note = true,
	  .why = "without the bandwidth manager BBR does nothing", /* chart */
	  .key = "bandwidthManager.enabled", .value = "true" },
	{ .all = { { "bandwidthManager.bbr", "true" }, { "bandwidthManager.enabled", "true" },
		   { "bandwidthManager.bbrHostNamespaceOnly", OFF }, { "bpf.hostLegacyRouting", "true" } },
	  .why = "the agent ends: BBR needs BPF host routing", /* pkg/datapath/linux/bandwidth/bandwidth.go */
	  .key = "bpf.hostLegacyRouting", .value = "false" },
	{ .all = { { "bandwidthManager.bbr", "true" }, { "bandwidthManager.enabled", "true" },
		   { "bandwidthManager.bbrHostNamespaceOnly", OFF }, { "enableIPv4Masquerade", "!false" },
		   { "bpf.masquerade", OFF } },
	  .why = "BBR needs BPF host routing, and masquerading by iptables switches that off", /* kpr */
	  .key = "bpf.masquerade", .value = "true" },
	{ .all = { { "bandwidthManager.bbrHostNamespaceOnly", "true" }, { "bandwidthManager.bbr", OFF } },
	  .why = "the agent ends: this is a restriction of BBR, which is off", /* .../bandwidth.go */
	  .key = "bandwidthManager.bbrHostNamespaceOnly", .value = "false" },
	{ .all = { { "bandwidthManager.enabled", "true" }, { "encryption.enabled", "true" },
		   { "encryption.type", "ipsec|" } }, .note = true,
	  .why = "with IPsec the agent switches the bandwidth manager off", /* .../bandwidth.go */
	  .key = "encryption.type", .value = "wireguard" },
	{ .all = { { "enableIPv4BIGTCP", "true" }, { "routingMode", TUNNEL }, { "enableTunnelBIGTCP", OFF } },
	  .why = "the agent ends: BIG TCP needs native routing", /* pkg/datapath/linux/bigtcp/bigtcp.go */
	  .key = "enableIPv4BIGTCP", .value = "false" },
	{ .all = { { "enableIPv4BIGTCP", "true" }, { "bpf.hostLegacyRouting", "true" } },
	  .why = "the agent ends: BIG TCP needs BPF host routing", /* .../bigtcp.go */
	  .key = "bpf.hostLegacyRouting", .value = "false" },
	{ .all = { { "enableIPv4BIGTCP", "true" }, { "encryption.enabled", "true" }, { "encryption.type", "ipsec|" } },
	  .why = "the agent ends: BIG TCP and IPsec exclude each other", /* .../bigtcp.go */
	  .key = "enableIPv4BIGTCP", .value = "false" },
	{ .all = { { "enableIPv6BIGTCP", "true" }, { "ipv6.enabled", "true" }, { "routingMode", TUNNEL },
		   { "enableTunnelBIGTCP", OFF } },
	  .why = "the agent ends: BIG TCP needs native routing", /* .../bigtcp.go */
	  .key = "enableIPv6BIGTCP", .value = "false" },
	{ .all = { { "enableIPv6BIGTCP", "true" }, { "bpf.hostLegacyRouting", "true" } },
	  .why = "the agent ends: BIG TCP needs BPF host routing", /* .../bigtcp.go */
	  .key = "bpf.hostLegacyRouting", .value = "false" },
	{ .all = { { "enableIPv6BIGTCP", "true" }, { "encryption.enabled", "true" }, { "encryption.type", "ipsec|" } },
	  .why = "the agent ends: BIG TCP and IPsec exclude each other", /* .../bigtcp.go */
	  .key = "enableIPv6BIGTCP", .value = "false" },
	{ .all = { { "enableIPv6BIGTCP", "true" }, { "ipv6.enabled", OFF } },
	  .why = "there is no IPv6 in this cluster; the agent ends in tunnel mode, else it does nothing",
	  .key = "enableIPv6BIGTCP", .value = "false" },
	{ .all = { { "bpf.datapathMode", "netkit|netkit-l2" }, { "bpf.tproxy", "true" } },
	  .why = "Cilium's chart refuses it; before 1.19 proxied connections hang", /* chart; cilium issue 39892 */
	  .key = "bpf.tproxy", .value = "false" },
	{ .all = { { "bpf.datapathMode", "netkit|netkit-l2" }, { "bpf.hostLegacyRouting", "true" } },
	  .why = "netkit devices need BPF host routing", /* Documentation/operations/performance/tuning.rst */
	  .key = "bpf.hostLegacyRouting", .value = "false" },
	{ .all = { { "bpf.datapathMode", "netkit|netkit-l2" }, { "enableIPv4Masquerade", "!false" },
		   { "bpf.masquerade", OFF } },
	  .why = "netkit devices need BPF host routing, and masquerading by iptables switches that off", /* kpr */
	  .key = "bpf.masquerade", .value = "true" },
	{ .all = { { "bpf.distributedLRU.enabled", "true" }, { "bpf.mapDynamicSizeRatio", "0" } },
	  .why = "the agent ends: maps per processor are sized by this ratio", /* option */
	  .key = "bpf.mapDynamicSizeRatio", .value = "0.0025" },
	{ .all = { { "bpf.events.default.rateLimit", ">0" }, { "bpf.events.default.burstLimit", "|0" } },
	  .why = "the agent ends: a rate limit needs a burst limit", /* option */
	  .key = "bpf.events.default.rateLimit" },
	{ .all = { { "bpf.events.default.burstLimit", ">0" }, { "bpf.events.default.rateLimit", "|0" } },
	  .why = "the agent ends: a burst limit needs a rate limit", /* option */
	  .key = "bpf.events.default.burstLimit" },

	/* ---- encryption ---- */
	{ .all = { { "encryption.enabled", "true" }, { "encryption.type", "ipsec|" }, { "l7Proxy", "!false" },
		   { "dnsProxy.enableTransparentMode", "false" } },
	  .why = "the agent ends: with IPsec the DNS proxy must be transparent", /* daemon */
	  .key = "dnsProxy.enableTransparentMode", .value = "true" },
	{ .all = { { "encryption.enabled", "true" }, { "encryption.type", "ipsec|" }, { "hostFirewall.enabled", "true" } },
	  .why = "the agent ends: IPsec and the host firewall exclude each other", /* daemon */
	  .key = "encryption.type", .value = "wireguard" },
	{ .all = { { "encryption.nodeEncryption", "true" }, { "encryption.enabled", "true" },
		   { "encryption.type", "!wireguard" } },
	  .why = "only WireGuard encrypts between nodes, so that traffic would stay in the clear", /* env, encrypt-node */
	  .key = "encryption.type", .value = "wireguard" },
	{ .all = { { "encryption.nodeEncryption", "true" }, { "encryption.enabled", OFF } },
	  .why = "nothing is encrypted as long as encryption is off", /* chart */
	  .key = "encryption.nodeEncryption", .value = "false" },
	{ .all = { { "encryption.strictMode.enabled", "true" }, { "encryption.enabled", OFF } },
	  .why = "nothing is encrypted as long as encryption is off", .until = 19, /* chart */
	  .key = "encryption.strictMode.enabled", .value = "false" },
	{ .all = { { "encryption.strictMode.enabled", "true" }, { "encryption.strictMode.cidr", "" } },
	  .why = "the agent ends: strict mode needs the network it is for", .until = 19, /* option */
	  .key = "encryption.strictMode.cidr", .value = CONTRADICTION_POD_CIDR },
	{ .all = { { "encryption.strictMode.egress.enabled", "true" }, { "encryption.enabled", OFF } }, .since = 19,
	  .why = "all traffic between pods would be dropped: nothing encrypts it", /* chart */
	  .key = "encryption.strictMode.egress.enabled", .value = "false" },
	{ .all = { { "encryption.strictMode.egress.enabled", "true" }, { "encryption.strictMode.egress.cidr", "" } },
	  .since = 19, .why = "the agent ends: strict mode needs the network it is for", /* option */
	  .key = "encryption.strictMode.egress.cidr", .value = CONTRADICTION_POD_CIDR },
	{ .all = { { "encryption.strictMode.ingress.enabled", "true" }, { "encryption.enabled", OFF } }, .since = 19,
	  .why = "all traffic between pods would be dropped: nothing encrypts it", /* chart */
	  .key = "encryption.strictMode.ingress.enabled", .value = "false" },
	{ .all = { { "encryption.strictMode.ingress.enabled", "true" }, { "encryption.enabled", "true" },
		   { "encryption.type", "ipsec|" } }, .since = 19,
	  .why = "the agent ends: IPsec has no strict mode for ingress", /* daemon */
	  .key = "encryption.type", .value = "wireguard" },
	{ .all = { { "encryption.strictMode.ingress.enabled", "true" }, { "routingMode", "native" } }, .since = 19,
	  .why = "the agent ends: strict ingress needs a tunnel", /* daemon */
	  .key = "encryption.strictMode.ingress.enabled", .value = "false" },

	/* ---- Envoy, DNS proxy, authentication ---- */
	{ .all = { { "standaloneDnsProxy.enabled", "true" }, { "dnsProxy.proxyPort", "|0" } }, .since = 19,
	  .why = "Cilium's chart refuses the proxy of its own without a port that both know", /* chart */
	  .key = "dnsProxy.proxyPort", .value = "10094" },
	{ .all = { { "standaloneDnsProxy.enabled", "true" }, { "l7Proxy", "false" } }, .since = 19,
	  .why = "the proxy ends: it needs the L7 proxy", /* standalone-dns-proxy/cmd */
	  .key = "standaloneDnsProxy.enabled", .value = "false" },
	{ .all = { { "envoyConfig.enabled", "true" }, { "l7Proxy", "false" } },
	  .why = "without the L7 proxy no CiliumEnvoyConfig is ever served", /* pkg/ciliumenvoyconfig/cell.go */
	  .key = "envoyConfig.enabled", .value = "false" },
	{ .all = { { "authentication.mutual.spire.enabled", "true" }, { "authentication.enabled", "false" } },
	  .why = "Cilium's chart refuses SPIRE without authentication", /* chart */
	  .key = "authentication.enabled", .value = "true" },
	{ .all = { { "authentication.mutual.spire.enabled", "true" }, { "authentication.enabled", "" } }, .since = 19,
	  .why = "Cilium's chart refuses SPIRE without authentication", /* chart; on by default until 1.18 */
	  .key = "authentication.enabled", .value = "true" },

	{ .all = { { "standaloneDnsProxy.enabled", "true" }, { "standaloneDnsProxy.image.repository", "" },
		   { "standaloneDnsProxy.image.override", "" } }, .since = 19, .note = true,
	  .why = "the chart names no image for it, so its pods cannot start before one is given", /* values.yaml */
	  .key = "standaloneDnsProxy.enabled", .value = "false" },

	/* ---- Hubble ---- */
	{ .all = { { "hubble.redact.http.headers.allow", "*" }, { "hubble.redact.http.headers.deny", "*" } },
	  .why = "Cilium's chart takes only one of the lists", /* chart */
	  .key = "hubble.redact.http.headers.deny" },
	{ .all = { { "hubble.tls.auto.enabled", "false" }, { "hubble.tls.enabled", "!false" },
		   { "hubble.tls.server.cert", "" }, { "hubble.tls.server.existingSecret", "" } },
	  .why = "nobody makes Hubble's certificates then, and Cilium's chart refuses to install", /* chart */
	  .key = "hubble.tls.auto.enabled", .value = "true" },
	{ .all = { { "hubble.ui.standalone.enabled", "true" }, { "hubble.ui.enabled", "true" },
		   { "hubble.relay.enabled", "true" }, { "hubble.relay.tls.server.enabled", "true" },
		   { "hubble.ui.standalone.tls.certsVolume", "" } },
	  .why = "Cilium's chart refuses it: the UI would have no certificate for the relay", /* chart */
	  .key = "hubble.ui.standalone.enabled", .value = "false" },

	/* ---- identities, cluster mesh ---- */
	{ .all = { { "ciliumEndpointSlice.enabled", "true" }, { "disableEndpointCRD", "true" } },
	  .why = "Cilium's chart refuses it: the slices are made of endpoints", /* chart */
	  .key = "disableEndpointCRD", .value = "false" },
	{ .all = { { "identityAllocationMode", "kvstore|doublewrite-readkvstore|doublewrite-readcrd" },
		   { "etcd.enabled", OFF } },
	  .why = "the agent ends: there is no etcd for identities", /* pkg/kvstore */
	  .key = "identityAllocationMode", .value = "crd" },
	{ .all = { { "clustermesh.maxConnectedClusters", "!|255|511" } },
	  .why = "Cilium's chart takes 255 or 511 alone", /* chart */
	  .key = "clustermesh.maxConnectedClusters", .value = "255" },
	{ .all = { { "cluster.id", ">255" }, { "clustermesh.maxConnectedClusters", "|255" } },
	  .why = "the agent ends: the id must be at most 255", /* pkg/clustermesh/types/option.go */
	  .key = "clustermesh.maxConnectedClusters", .value = "511" },
	{ .all = { { "cluster.id", ">511" } },
	  .why = "the agent ends: the id must be at most 255, or 511", /* pkg/clustermesh/types/option.go */
	  .key = "cluster.id", .value = "1" },
	{ .all = { { "cluster.id", "<0" } },
	  .why = "the agent ends: the id must be from 0 to 255", /* pkg/clustermesh/types/option.go */
	  .key = "cluster.id", .value = "1" },
	{ .all = { { "clustermesh.useAPIServer", "true" }, { "cluster.id", "|0" } },
	  .why = "clustermesh-apiserver ends: 0 is the id of a cluster without a mesh", /* pkg/clustermesh/types */
	  .key = "cluster.id", .value = "1" },
	{ .all = { { "clustermesh.config.enabled", "true" }, { "cluster.id", "|0" } },
	  .why = "the agent ends: 0 is the id of a cluster without a mesh", /* pkg/clustermesh/types */
	  .key = "cluster.id", .value = "1" },
	{ .all = { { "clustermesh.useAPIServer", "true" }, { "disableEndpointCRD", "true" } },
	  .why = "Cilium's chart refuses it: the mesh shares endpoints", /* chart */
	  .key = "disableEndpointCRD", .value = "false" },
	{ .all = { { "clustermesh.useAPIServer", "true" }, { "clustermesh.apiserver.tls.auto.enabled", "!false" },
		   { "clustermesh.apiserver.tls.auto.method", "certmanager" },
		   { "clustermesh.apiserver.tls.auto.certManagerIssuerRef", "" } },
	  .why = "Cilium's chart refuses it: no issuer is named", /* chart */
	  .key = "clustermesh.apiserver.tls.auto.method", .value = "cronJob" },
	{ .all = { { "clustermesh.useAPIServer", "true" },
		   { "clustermesh.apiserver.tls.authMode", "!|legacy|migration|cluster" } },
	  .why = "Cilium's chart takes legacy, migration or cluster", /* chart */
	  .key = "clustermesh.apiserver.tls.authMode", .value = "legacy" },
	{ .all = { { "clustermesh.apiserver.kvstoremesh.kvstoreMode", "!|internal|external" } },
	  .why = "Cilium's chart takes internal or external", /* chart */
	  .key = "clustermesh.apiserver.kvstoremesh.kvstoreMode", .value = "internal" },
	{ .all = { { "clustermesh.apiserver.kvstoremesh.kvstoreMode", "external" },
		   { "identityAllocationMode", "|crd" } },
	  .why = "Cilium's chart refuses it: an external etcd goes with identities in etcd", /* chart */
	  .key = "clustermesh.apiserver.kvstoremesh.kvstoreMode", .value = "internal" },
	{ .all = { { "clustermesh.apiserver.kvstoremesh.kvstoreMode", "external" },
		   { "clustermesh.useAPIServer", OFF } },
	  .why = "Cilium's chart refuses it without clustermesh-apiserver", /* chart */
	  .key = "clustermesh.apiserver.kvstoremesh.kvstoreMode", .value = "internal" },

	/* ---- operator, agents, CNI ---- */
	{ .all = { { "operator.setNodeTaints", "true" }, { "operator.removeNodeTaints", "false" } },
	  .why = "Cilium's chart refuses it: taints that nobody takes away again", /* chart */
	  .key = "operator.removeNodeTaints", .value = "true" },
	{ .all = { { "preflight.enabled", "true" } },
	  .why = "the chart then installs the check before an upgrade in place of the agents", /* chart, daemonset.yaml */
	  .key = "preflight.enabled", .value = "false" },
	{ .all = { { "cni.chainingMode", "!|none" } },
	  .why = "there is no other CNI on these nodes that Cilium could be chained to",
	  .key = "cni.chainingMode", .value = "none" },
	{ .all = { { "cni.install", "false" }, { "cni.customConf", OFF } },
	  .why = "without a CNI configuration every node stays NotReady",
	  .key = "cni.install", .value = "true" },
	{ .all = { { "cni.customConf", "true" }, { "cni.configMap", "" } },
	  .why = "the agent then writes no CNI configuration, and every node stays NotReady",
	  .key = "cni.customConf", .value = "false" },
	{ .all = { { "cni.configMap", "*" } },
	  .why = "the agents wait for that ConfigMap, which nothing makes here before they run",
	  .key = "cni.configMap" },
	{ .all = { { "kubeConfigPath", "*" } }, .several_nodes = true,
	  .why = "the agents of workers end: K3s keeps a kubeconfig on servers alone",
	  .key = "kubeConfigPath" },
	{ .all = { { "etcd.enabled", "true" }, { "etcd.endpoints", "" } },
	  .why = "the agent waits for an etcd of which it is told no address", /* values.yaml has CHANGE-ME */
	  .key = "etcd.enabled", .value = "false" },
	{ .all = { { "enableIPv4Masquerade", "false" }, { "routingMode", TUNNEL } },
	  .why = "the addresses of pods mean nothing outside, so that no answer from LAN or internet comes back to them",
	  .key = "enableIPv4Masquerade", .value = "true" },
	{ .all = { { "enableIPv6Masquerade", "false" }, { "ipv6.enabled", "true" }, { "routingMode", TUNNEL } },
	  .why = "the addresses of pods mean nothing outside, so that no answer from LAN or internet comes back to them",
	  .key = "enableIPv6Masquerade", .value = "true" },
	{ .all = { { "envoy.baseID", ">4294967295" } },
	  .why = "Cilium's chart takes 0 to 4294967295", /* chart */
	  .key = "envoy.baseID", .value = "0" },
	{ .all = { { "envoy.baseID", "<0" } },
	  .why = "Cilium's chart takes 0 to 4294967295", /* chart */
	  .key = "envoy.baseID", .value = "0" },

#define CLOUD(path) \
	{ .all = { { path, "true" } }, .why = "that is for machines of a cloud", .key = path, .value = "false" }
	CLOUD("eni.enabled"), CLOUD("azure.enabled"), CLOUD("alibabacloud.enabled"), CLOUD("gke.enabled"),
	CLOUD("aksbyocni.enabled"),
#undef CLOUD

	/* ---- airgap: what asks for images that no card holds; templates/ of the chart, `images` of the catalogue ---- */
#define NO_IMAGE(images) "with airgap: true the cards hold no image of it (" images ") and nothing could pull it"
	{ .all = { { "clustermesh.useAPIServer", "true" } }, .airgap = true,
	  .why = NO_IMAGE("quay.io/cilium/clustermesh-apiserver"),
	  .key = "clustermesh.useAPIServer", .value = "false" },
	{ .all = { { "clustermesh.mcsapi.corednsAutoConfigure.enabled", "true" }, { "clustermesh.mcsapi.enabled", "true" } },
	  .airgap = true, .why = NO_IMAGE("quay.io/cilium/clustermesh-apiserver"),
	  .key = "clustermesh.mcsapi.corednsAutoConfigure.enabled", .value = "false" },
	{ .all = { { "nodeinit.enabled", "true" } }, .airgap = true,
	  .why = NO_IMAGE("quay.io/cilium/startup-script"),
	  .key = "nodeinit.enabled", .value = "false" },
	{ .all = { { "authentication.mutual.spire.enabled", "true" },
		   { "authentication.mutual.spire.install.enabled", "!false" } }, .airgap = true,
	  .why = NO_IMAGE("ghcr.io/spiffe/spire-server, ghcr.io/spiffe/spire-agent, docker.io/library/busybox"),
	  .key = "authentication.mutual.spire.enabled", .value = "false" },
	{ .all = { { "encryption.enabled", "true" }, { "encryption.type", "ztunnel" } }, .airgap = true,
	  .why = NO_IMAGE("quay.io/cilium/ztunnel, before 1.20 docker.io/istio/ztunnel"),
	  .key = "encryption.type", .value = "wireguard" },
	{ .all = { { "standaloneDnsProxy.enabled", "true" } }, .since = 19, .airgap = true,
	  .why = NO_IMAGE("standaloneDnsProxy.image"),
	  .key = "standaloneDnsProxy.enabled", .value = "false" },
#undef NO_IMAGE

	/* ---- words and numbers that the chart lets pass and the agent does not ---- */
#define WORDS(path, list, fallback) \
	{ .all = { { path, "!|" list } }, .words = list, .key = path, .value = fallback }
	WORDS("loadBalancer.mode", "snat|dsr|hybrid", "snat"),			       /* lb */
	WORDS("loadBalancer.algorithm", "random|maglev", "random"),		       /* lb */
	WORDS("loadBalancer.dsrDispatch", "opt|ipip|geneve", "opt"),		       /* lb */
	WORDS("loadBalancer.acceleration", "disabled|native|best-effort|testing-only", "disabled"), /* option */
	WORDS("loadBalancer.l7.backend", "disabled|envoy", "disabled"),		       /* chart */
	WORDS("routingMode", "tunnel|native", "tunnel"),			       /* option */
	WORDS("tunnelProtocol", "vxlan|geneve", "vxlan"),			       /* pkg/datapath/tunnel */
	WORDS("encryption.type", "ipsec|wireguard|ztunnel", "wireguard"),	       /* chart */
	WORDS("bpf.datapathMode", "veth|netkit|netkit-l2|auto", "veth"),	       /* pkg/datapath/option */
	WORDS("bpf.monitorAggregation", "none|disabled|lowest|low|medium|max|maximum|0|1|2|3|4", "medium"), /* option */
	WORDS("identityAllocationMode", "crd|kvstore|doublewrite-readkvstore|doublewrite-readcrd", "crd"), /* option */
	WORDS("policyEnforcementMode", "default|always|never", "default"),	       /* pkg/policy/config.go */
	WORDS("serviceNoBackendResponse", "reject|drop", "reject"),		       /* option */
	WORDS("policyDenyResponse", "none|icmp", "none"),			       /* option */
	WORDS("maglev.tableSize", "251|509|1021|2039|4093|8191|16381|32749|65521|131071", "16381"), /* pkg/maglev */
	WORDS("hubble.eventBufferCapacity", "1|3|7|15|31|63|127|255|511|1023|2047|4095|8191|16383|32767|65535",
	      "4095"),								       /* pkg/hubble/container */
	WORDS("nodePort.range", "30000,32767", "30000,32767"),			       /* what K3s hands out */
#undef WORDS
#define SIZE(path, least, most) \
	{ .all = { { path, "<" #least } }, .why = "the agent takes " #least " to " #most, .key = path }, \
	{ .all = { { path, ">" #most } }, .why = "the agent takes " #least " to " #most, .key = path }
	SIZE("bpf.ctTcpMax", 1024, 16777216),	/* option, checkMapSizeLimits() */
	SIZE("bpf.ctAnyMax", 1024, 16777216),	/* option */
	SIZE("bpf.natMax", 1024, 16777216),	/* option */
	SIZE("bpf.authMapMax", 256, 16777216),	/* option */
	SIZE("bpf.lbMapMax", 1, 2147483647),	/* lb */
	SIZE("bpf.mapDynamicSizeRatio", 0, 1),	/* option, calculateBPFMapSizes() */
#undef SIZE
};
/* clang-format on */

const struct contradiction *contradictions(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

/* ---- what a value is: a word, or "*" for a list or map that is not empty ---- */

static const char *word_at(const struct yaml_node *values, const char *path)
{
	const struct yaml_node *n = yaml_find(values, path);

	if (!n)
		return "";
	return n->type == YAML_SCALAR ? yaml_word(n) : n->count ? "*" : "";
}

/* WORD is one of "a|b|"; the last of these is the empty one. */
static bool is_among(const char *word, const char *words)
{
	size_t n = strlen(word);

	for (;;) {
		size_t len = strcspn(words, "|");

		if (len == n && strncmp(words, word, n) == 0)
			return true;
		if (!words[len])
			return false;
		words += len + 1;
	}
}

static bool holds(const struct yaml_node *values, const struct contradiction_part *p)
{
	const char *word = word_at(values, p->key);
	char *end;
	double v;

	switch (*p->is) {
	case '!':
		return !is_among(word, p->is + 1);
	case '*':
		return *word;
	case '<':
	case '>':
		v = strtod(word, &end);
		return *word && !*end && (*p->is == '<' ? v < atof(p->is + 1) : v > atof(p->is + 1));
	default:
		return is_among(word, p->is);
	}
}

/* ---- a row against the values ---- */

static const char *said(const struct contradictory *x, const char *key)
{
	const struct yaml_node *n = yaml_find(x->merged, key);
	const char *own = n && !yaml_find(x->user, key) ? " (pibuild's own)" : "";

	if (!n)
		return arena_printf("%s not set", key);
	return n->type == YAML_SCALAR ? arena_printf("%s: %s%s", key, str_or(n->text, ""), own)
				      : arena_printf("%s set%s", key, own);
}

static const char *situation(const struct contradictory *x, const struct contradiction *c)
{
	const char *text = said(x, c->all[0].key), *before = " with ";

	for (size_t i = 1; i < ARRAY_SIZE(c->all) && c->all[i].key; i++) {
		/* What is left at a default that nobody thinks of is no part of the story. */
		if (streq(c->all[i].is, "!false") && !yaml_find(x->merged, c->all[i].key))
			continue;
		text = arena_printf("%s%s%s", text, before, said(x, c->all[i].key));
		before = ", ";
	}
	return text;
}

static const char *cure(const struct contradictory *x, const struct contradiction *c)
{
	const char *value = c->value;

	if (!value)
		return arena_printf("remove %s", c->key);
	if (streq(value, CONTRADICTION_POD_CIDR))
		value = cidr_text(x->config->cluster.pod_cidr);
	if (streq(value, CONTRADICTION_POD_CIDR6))
		value = cidr6_text(&x->config->network.ipv6.pods);
	return arena_printf("set %s: %s", c->key, value);
}

static const char *reason(const struct contradiction *c)
{
	char *words = c->words ? arena_strdup(c->words) : NULL;

	for (char *p = words; p && (p = strchr(p, '|')); p++)
		*p = ' ';
	return words ? arena_printf("the agent takes one of: %s", words) : c->why;
}

/* The user's part of it, first that of the first condition; NULL when the user has none. */
static const struct yaml_node *contradiction_place(const struct contradictory *x, const struct contradiction *c)
{
	const struct yaml_node *n = NULL;

	for (size_t i = 0; !n && i < ARRAY_SIZE(c->all) && c->all[i].key; i++)
		n = yaml_find(x->user, c->all[i].key);
	return n;
}

bool contradiction_applies(const struct contradictory *x, const struct contradiction *c)
{
	if ((c->since && x->minor < c->since) || (c->until && x->minor > c->until) ||
	    (c->several_nodes && x->config->nodes.n < 2) || (c->airgap && !x->config->airgap))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(c->all) && c->all[i].key; i++)
		if (!holds(x->merged, &c->all[i]))
			return false;
	return true;
}

void contradictions_check(const struct contradictory *x, struct faults *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct yaml_node *n = contradiction_applies(x, &rows[i]) ? contradiction_place(x, &rows[i])
									       : NULL;

		if (!n || faults_at(f, n, false))
			continue;
		if (rows[i].note)
			note_at(f, n, "%s: %s; %s", situation(x, &rows[i]), reason(&rows[i]), cure(x, &rows[i]));
		else
			fault_at(f, n, "%s: %s; %s", situation(x, &rows[i]), reason(&rows[i]), cure(x, &rows[i]));
	}
}
