#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The gateway as it is rendered: its address alone in a pool, a listener for each name, who may ask, and the records that
# plan prints. What a cluster makes of it: first-boot.bats.

load ../lib/image

# gateway_cluster POOL SECTION: ./out has the first server's manifests
gateway_cluster() {
	write_cluster "loadBalancer: {pools: [{name: lan, range: $1}]}" 'certManager: {issuers: [ca, letsencrypt-staging], dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: [my-domain.org], wildcard: true}' "gateway: $2"
	rm -rf out
	"$PIBUILD" render -q --node cp-1 -o out >/dev/null
}

# manifest NAME PYTHON: true of the documents d of that manifest
manifest() {
	python3 - "$(find out -name "$1.yaml")" "$2" <<-'EOT'
		import sys, yaml
		d = list(yaml.safe_load_all(open(sys.argv[1])))
		assert eval(sys.argv[2]), d
	EOT
}

@test "the gateway's address is in a pool of its own, for its Service alone, and in no other" {
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70}'
	manifest pools '[b for b in d[0]["spec"]["blocks"]] == [{"start": "192.168.1.65", "stop": "192.168.1.69"}, {"start": "192.168.1.71", "stop": "192.168.1.95"}]'
	manifest pools 'd[1]["spec"]["blocks"] == [{"start": "192.168.1.70", "stop": "192.168.1.70"}]'
	manifest pools 'd[1]["spec"]["serviceSelector"] == {"matchLabels": {"io.kubernetes.service.namespace": "kube-system", "io.kubernetes.service.name": "cilium-gateway-lan"}}'
	gateway_cluster 192.168.1.70-192.168.1.71 '{address: 192.168.1.70}'
	manifest pools 'd[0]["spec"]["blocks"] == [{"start": "192.168.1.71", "stop": "192.168.1.71"}]'
	gateway_cluster 192.168.1.70-192.168.1.70 '{address: 192.168.1.70}'
	manifest pools 'len(d) == 1 and d[0]["metadata"]["name"] == "gateway"'
	sed -i 's/name: lan/name: gateway/; s/192.168.1.70-192.168.1.70/192.168.1.70-192.168.1.71/' cluster.yaml
	"$PIBUILD" render -q --node cp-1 --force -o out >/dev/null
	manifest pools '[x["metadata"]["name"] for x in d] == ["gateway", "pibuild-gateway"]'
}

@test "each zone has listeners for itself and below, one certificate, by the issuer that was asked for; HTTP only redirects" {
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70, zones: [my-domain.org, a.my-domain.org], issuer: letsencrypt-staging, hubble: a.my-domain.org}'
	manifest gateway '[x["kind"] for x in d] == ["CiliumClusterwideNetworkPolicy", "Gateway", "HTTPRoute", "HTTPRoute"]'
	manifest gateway 'd[1]["spec"]["addresses"] == [{"type": "IPAddress", "value": "192.168.1.70"}]'
	manifest gateway '[l["hostname"] for l in d[1]["spec"]["listeners"] if l["port"] == 443] == ["my-domain.org", "*.my-domain.org", "a.my-domain.org", "*.a.my-domain.org"]'
	manifest gateway 'all(l["tls"]["certificateRefs"] == [{"name": "wildcard-" + l["hostname"].removeprefix("*.")}] for l in d[1]["spec"]["listeners"] if l["port"] == 443)'
	manifest gateway '{l["allowedRoutes"]["namespaces"]["from"] for l in d[1]["spec"]["listeners"] if l["port"] == 80} == {"Same"}'
	manifest gateway '{p["sectionName"] for p in d[2]["spec"]["parentRefs"]} == {l["name"] for l in d[1]["spec"]["listeners"] if l["port"] == 80}'
	manifest gateway 'd[3]["spec"]["parentRefs"] == [{"name": "lan", "sectionName": "https-a.my-domain.org"}]'
	manifest issuers '[(c["metadata"]["name"], c["spec"]["issuerRef"]["name"]) for c in d[2:]] == [("wildcard-my-domain.org", "letsencrypt-staging"), ("wildcard-a.my-domain.org", "letsencrypt-staging")]'
	[ "$(sed -n 's/^certificates //p' "$(find out -path '*/etc/pibuild/node')")" = 'wildcard-my-domain.org wildcard-a.my-domain.org' ]
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70, redirect: false}'
	manifest gateway '[x["kind"] for x in d] == ["CiliumClusterwideNetworkPolicy", "Gateway"]'
	manifest gateway '{l["allowedRoutes"]["namespaces"]["from"] for l in d[1]["spec"]["listeners"]} == {"All"}'
	manifest issuers 'd[2]["spec"]["issuerRef"]["name"] == "ca"'
}

@test "who may ask is the LAN, or what allowFrom says, and always the cluster" {
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70}'
	manifest gateway 'd[0]["spec"]["endpointSelector"] == {"matchExpressions": [{"key": "reserved:ingress", "operator": "Exists"}]}'
	manifest gateway 'd[0]["spec"]["ingress"] == [{"fromEntities": ["cluster"]}, {"fromCIDR": ["192.168.1.0/24"]}]'
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70, allowFrom: [10.0.0.0/8, 192.168.7.7]}'
	manifest gateway 'd[0]["spec"]["ingress"][1] == {"fromCIDR": ["10.0.0.0/8", "192.168.7.7/32"]}'
}

@test "plan prints the records for the name server, as JSON too" {
	gateway_cluster 192.168.1.65-192.168.1.95 '{address: 192.168.1.70, zones: [my-domain.org]}'
	"$PIBUILD" plan >told
	diff <(sed -n '/^records/,$p' told | tr -s ' ') <(printf '%s\n' 'records for your name server' ' my-domain.org A 192.168.1.70' ' *.my-domain.org A 192.168.1.70')
	[ "$("$PIBUILD" plan --json | jq -c '.dns')" = '[{"name":"my-domain.org","type":"A","value":"192.168.1.70"},{"name":"*.my-domain.org","type":"A","value":"192.168.1.70"}]' ]
	sed -i '/^gateway/d' cluster.yaml
	"$PIBUILD" plan | refute grep -q '^records'
}

@test "zones that stand twice, a name that leads to the API already, and nobody who gets an answer are refused" {
	local gateway said
	while IFS='|' read -r gateway said; do
		write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' "certManager: {issuers: [ca], zones: [my-domain.org${gateway%%#*}]}" "gateway: {address: 192.168.1.70${gateway#*#}}"
		sed -i 's/^  name: lab/&\n  endpoint: api.my-domain.org/' cluster.yaml
		one_fault "$said"
	done <<-'EOT'
		, my-domain.org#|certManager.zones[1]: my-domain.org is there twice; remove one
		#, zones: [my-domain.org, my-domain.org]|gateway.zones[1]: my-domain.org is there twice
		#, hubble: api.my-domain.org|gateway.hubble: api.my-domain.org is cluster.endpoint, which leads to the API and not to the gateway; take another name
		, api.my-domain.org#|cluster.endpoint: api.my-domain.org is a zone of the gateway, whose name leads there and not to the API; take one of its own, such as api.api.my-domain.org
		#, allowFrom: []|gateway.allowFrom: there is nothing in it, so nobody on the LAN would get an answer; leave it out for network.subnet, or write who gets one
	EOT
}

@test "a gateway that takes the only address there is, and features that get none, are notes" {
	write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.70-192.168.1.70}]}' 'certManager: {issuers: [ca], zones: [my-domain.org]}' 'gateway: {address: 192.168.1.70}'
	fails 0 'note: gateway.address: it is the only address of loadBalancer.pools, so that Ingress and every other Service of type LoadBalancer wait for one; give a larger range, or set cilium.ingress: false' "$PIBUILD" check
	sed -i 's/^gateway:/cilium: {ingress: false}\n&/' cluster.yaml
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" != *'only address'* ]]
	write_cluster 'cilium: {ingress: true, gatewayAPI: true}'
	fails 0 'note: cilium.ingress: without loadBalancer.pools its Service gets no address, and nobody outside of the cluster reaches it; add a pool' "$PIBUILD" check
	[[ "$output" == *'note: cilium.gatewayAPI: without loadBalancer.pools'* ]]
}
