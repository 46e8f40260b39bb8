#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# apps: what the lock looks up where, what the card holds, and the step that installs it, with stand-ins for the cluster.
# shellcheck disable=SC2154,SC2034 # set by the library, used by it

load ../lib/faults
load ../lib/first-boot
load ../lib/flux

export APP_TOKEN=app-canary-0123456789abcdef APP_PASSWORD='a pass word of the app'

setup_file() {
	start_fault_server
	python3 -B - "$top/scripts/standins" "$faults/files" <<-'EOT'
		import hashlib, json, sys
		sys.path.insert(0, sys.argv[1])
		import make
		chart = make.chart("web", "1.2.3", "1", {"image": {"repository": "docker.io/lab/web", "tag": "1.0"}, "replicas": 1}, {})
		digest = hashlib.sha256(chart).hexdigest()
		open(f"{sys.argv[2]}/web-1.2.3.tgz", "wb").write(chart)
		open(f"{sys.argv[2]}/sha256:{digest}", "wb").write(chart)
		json.dump({"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
		           "digest": f"sha256:{digest}", "size": len(chart)}]}, open(f"{sys.argv[2]}/1.2.3_x", "w"))
	EOT
	chart=$(digest_of "$faults/files/web-1.2.3.tgz")
	printf 'apiVersion: v1\nentries:\n  chart:\n  - {version: 1.20.0, digest: %064d}\n  other:\n  - version: 1.2.3\n    digest: %064d\n  web:\n  - digest: %s\n    urls:\n    - web-1.2.3.tgz\n    version: 1.2.3\n  - digest: %064d\n    urls: [https://files.invalid/web-1.2.2.tgz]\n    version: 1.2.2\n' \
		2 0 "$chart" 1 >"$faults/files/index.yaml"
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: remote\n' >"$faults/files/install.yaml"
}

teardown_file() {
	stop_fault_server
}

# apps LINE...: a cluster with these apps, in a folder with the server as mirror
apps() {
	enter_fault_test
	write_cluster os: "  base: $BATS_FILE_TMPDIR/base.img" "  sha256: $(digest_of "$BATS_FILE_TMPDIR/base.img")" "apps:" "$@"
}

web='  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}}'

# pinned FROM KEY: of the lock's apps
pinned() {
	python3 -c 'import sys, yaml
for app in yaml.safe_load(open("pibuild.lock")).get("apps", []):
    if app["from"] == sys.argv[1]: print(app.get(sys.argv[2]))' "$@"
}

# ---- the file ----

@test "an app is one chart from one place, or manifests; two of one name, and what pibuild installs itself, are refused" {
	apps "$web" '  - {name: web, chart: {repo: "https://files.invalid/charts", oci: ghcr.io/a/b, version: 1.2.3}}' \
		'  - {name: none}' '  - {name: nameless, chart: {repo: "https://files.invalid/charts", version: 1.2.3}}' \
		'  - {name: cert-manager, chart: {repo: "https://charts.jetstack.io", name: cert-manager, version: v1.21.1}}' \
		'  - {name: m, manifest: ["https://files.invalid/install.yaml"], values: {a: 1}, secrets: [{name: s, data: {k: {env: APP_TOKEN}}}]}' \
		'  - {name: l, chart: {repo: "https://charts.longhorn.io", name: longhorn, version: 1.12.0}}' \
		'  - {name: o, chart: {oci: ghcr.io/a/nfs-subdir-external-provisioner, version: 4.0.18}}'
	run "$PIBUILD" check
	[ "$status" = 3 ]
	for said in 'apps\[1\].name: there are two apps of the name web' 'apps\[1\].chart: give exactly one of repo and oci' \
		'apps\[2\]: give exactly one of chart and manifest' 'apps\[3\].chart: repo needs name' \
		'apps\[4\].chart: pibuild installs cert-manager itself; certManager installs it' 'apps\[5\]: values are a chart' \
		'apps\[5\].secrets: manifests need namespace' 'apps\[6\]: longhorn needs open-iscsi on the nodes' \
		'apps\[7\]: nfs-subdir-external-provisioner needs nfs-common on the nodes'; do
		grep -q "$said" <<<"$output"
	done
}

@test "versions that move, addresses that are not https, images that are none and secrets in clear are refused" {
	apps '  - {name: a, chart: {repo: "https://files.invalid", name: web, version: latest}}' \
		'  - {name: b, chart: {repo: "http://files.invalid", name: web, version: 1.2.3}}' \
		'  - {name: c, manifest: ["http://files.invalid/x.yaml", nowhere.yaml]}' \
		'  - {name: d, chart: {oci: "oci://ghcr.io/a/b", version: 1.2.3}, images: ["quay.io/a/b:x y", "Docker.io/a"]}' \
		'  - {name: e, chart: {repo: "https://files.invalid", name: web, version: 1.2.3}, secretValues: {a: hunter2}}' \
		'  - {name: f, chart: {repo: "https://files.invalid/index.yaml", name: web, version: 1.2.3}, namespace: worker}' \
		'  - {name: g, manifest: ["https://github.com/a/b/blob/main/x/y.yaml"], namespace: n, secrets: [{name: My_S, data: {k: {env: APP_TOKEN}}}]}'
	run "$PIBUILD" check
	[ "$status" = 3 ]
	for said in 'apps\[0\].chart.version: .*one exact version' 'apps\[1\].chart.repo: .*https://' 'apps\[2\].manifest\[0\]: .*only https' \
		'apps\[2\].manifest\[1\]: .*nowhere.yaml: No such file' 'apps\[3\].chart.oci: .*without oci://' \
		'apps\[3\].images\[0\]: .*tag that can be none' 'apps\[3\].images\[1\]: .*no name of an image' 'apps\[4\].secretValues.a: a secret must not be written here' \
		'apps\[5\].chart.repo: .*this is the list of its charts; leave out index.yaml' \
		'apps\[6\].manifest\[0\]: .*this is a page about the file; the file is https://raw.githubusercontent.com/a/b/main/x/y.yaml' \
		"apps\[6\].secrets\[0\].name: 'My_S' cannot be used: use lower-case letters, digits, '-' and '.'"; do
		grep -q "$said" <<<"$output"
	done
}

# ---- the lock ----

@test "files that are no manifests are told, with what they are" {
	mkdir kz && printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n' >kz/a.yaml
	while IFS='|' read -r file text said; do
		printf "$text" >"$file"
		write_cluster 'apps:' "  - {name: m, manifest: [$file]}"
		one_fault "apps[0].manifest[0]: $PWD/$file $said"
	done <<-'EOT'
		kz/kustomization.yaml|resources: [a.yaml]\n|is for Kustomize; give what it makes: `kubectl kustomize DIR >FILE.yaml`
		k.yaml|apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n|is for Kustomize
		c.yaml|services:\n  web: {image: nginx}\n|is for Docker Compose, which Kubernetes does not know
		s.yaml|apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: "ENC[x]"}\nsops: {age: []}\n|is encrypted by SOPS, which neither kubectl nor K3s can read
		t.yaml|kind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-x\n|is a template of a chart, which only Helm can read
		i.yaml|apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n|is no YAML that any program can read (i.yaml:4:1: a tab; YAML is indented with spaces)
		n.yaml|apiVersion: v1\nkind: ConfigMap\n|has a ConfigMap without metadata.name, which the cluster would refuse
		a.yaml|apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nname: x\nversion: 1.2.3\n|has no kind, without which it is no object of Kubernetes
		l.yaml|[a, b]\n|is no object of Kubernetes, which has apiVersion, kind and metadata
		e.yaml|# nothing yet\n|has no object in it
		p.yaml|apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: p}\n|has a PodDisruptionBudget of policy/v1beta1, which Kubernetes has no more since 1.25; write policy/v1
		y.yaml|apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: y}\n|has a PodSecurityPolicy of policy/v1beta1, which Kubernetes has no more since 1.25; leave it out, nothing took its place
		x.yaml|apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: x}\n|has a Ingress of extensions/v1beta1, which Kubernetes has no more since 1.22; write networking.k8s.io/v1
		b.yaml|apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ndata: {token: plain-text}\n|has a Secret whose data.token is no base64, and the cluster refuses it: write it below stringData, which takes text
		d.yaml|apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata: {port: 8080}\n|has a ConfigMap whose data.port is no text, and the cluster refuses it: put it in quotes
		w.yaml|apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w, labels: {v: 1}}\n|has a fault at metadata.labels: the value of v must be text
		u.yaml|apiVersion: v1\nkind: Pod\nmetadata: {name: u}\nspec: {containers: [{name: u, imagePullPolicy: always}]}\n|has a fault at spec.containers[0].imagePullPolicy: 'always' is refused by the API (did you mean Always?), which takes Always, IfNotPresent, Never
		r.yaml|apiVersion: v1\nkind: Pod\nmetadata: {name: r}\nspec: {containers: [{name: r, resources: {limits: {memory: 128m}}}]}\n|has a fault at spec.containers[0].resources.limits.memory: 128m is less than a mebibyte (m stands for thousandths), with which no program starts
		k1.yaml|apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: k}\n|has a Deploymnet of apps/v1, and the cluster knows no such kind there; did you mean Deployment?
		k2.yaml|apiVersion: v1\nkind: Deployment\nmetadata: {name: k}\n|has a Deployment of v1, and the cluster knows no such kind there; write apiVersion: apps/v1
		k3.yaml|apiVersion: app/v1\nkind: Deployment\nmetadata: {name: k}\n|has a Deployment of app/v1, and the cluster knows no such kind there; write apiVersion: apps/v1
		k7.yaml|apiVersion: v1\nkind: Service\nmetadata: {name: k}\nspec: {type: Loadbalancer}\n|has a Service whose spec.type is 'Loadbalancer', which the cluster refuses; did you mean LoadBalancer?; there are ClusterIP
		k8.yaml|apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nmetadata: {name: k}\n|has a Issuer of cert-manager.io/v1alpha2, and the cluster knows no such kind there; write apiVersion: cert-manager.io/v1
		k4.yaml|apiVersion: v1\nkind: Whatever\nmetadata: {name: k}\n|has a Whatever of v1, and the cluster knows no such kind there
		k5.yaml|apiVersion: cilium.io/v2\nkind: CiliumL2AnnouncementPolicy\nmetadata: {name: k}\n|has a CiliumL2AnnouncementPolicy of cilium.io/v2, and the cluster knows no such kind there; write apiVersion: cilium.io/v2alpha1
		k6.yaml|apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: k}\n|has a HttpRoute of gateway.networking.k8s.io/v1, and the cluster knows no such kind there; did you mean HTTPRoute?
	EOT
	# kinds that are there, and those of others, which nobody here knows
	for kind in 'apps/v1 StatefulSet' 'v1 ConfigMapList' 'gateway.networking.k8s.io/v1 XRoute' 'cilium.io/v2 CiliumDatapathPlugin' 'example.com/v1 Deploymnet' \
		'cilium.io/v2alpha1 CiliumL2AnnouncementPolicy' 'cilium.io/v2alpha1 CiliumLoadBalancerIPPool' 'storage.k8s.io/v1beta1 VolumeAttributesClass'; do
		printf 'apiVersion: %s\nkind: %s\nmetadata: {name: k}\n' ${kind% *} ${kind#* } >kind.yaml
		write_cluster 'apps:' '  - {name: m, manifest: [kind.yaml]}'
		"$PIBUILD" check
	done
	# what others read, and this parser does not; a list; templates of what runs in the cluster
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {a: b}}\ndata: {x: "{{ y }}"}\n' >anchor.yaml
	printf -- '---\n---\napiVersion: v1\nkind: List\nitems: []\n---\nkind: Kustomization\napiVersion: kustomize.toolkit.fluxcd.io/v1\nmetadata: {name: x}\ndata: {x: "{{ y }}"}\n' >list.yaml
	printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: "YWJj", b: "", c: , d: "YWI="}\nstringData: {e: "8"}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: other}\nspec: {type: LoadBalancer, externalTrafficPolicy: Local}\n---\n' >taken.yaml
	printf 'apiVersion: networking.k8s.io/v1beta1\nkind: ServiceCIDR\nmetadata: {name: s}\n---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: s}\nspec: {labels: {a: 1}}\n' >>taken.yaml
	write_cluster 'apps:' '  - {name: m, manifest: [anchor.yaml, list.yaml, kz/a.yaml, taken.yaml]}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ "$output" == *'so nobody has seen what is in its manifests; run `pibuild lock`'* ]]
	write_cluster 'apps:' '  - {name: m, namespace: mine, manifest: [kz/a.yaml, taken.yaml]}'
	one_fault "apps[0].manifest[1]: $PWD/taken.yaml has a Service in the namespace other, which kubectl refuses where the app has namespace: mine; leave one of the two out"
}

# pool NAME BLOCK: as a manifest
pool() {
	printf -- 'apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata: {name: %s}\nspec: {blocks: [%s]%s}\n' "$1" "$2" "${3:-}" >pool.yaml
}

@test "a pool of addresses in a manifest that overlaps one of cluster.yaml, or what other machines have, is refused" {
	local lan=('  dhcpRange: 192.168.1.150-192.168.1.199' 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.80}]}')
	while IFS='|' read -r name block more said; do
		pool "$name" "$block" "$more"
		write_cluster "${lan[@]}" 'apps:' '  - {name: m, manifest: [pool.yaml]}'
		one_fault "apps[0].manifest[0]: $PWD/pool.yaml has $said"
	done <<-'EOT'
		mine|{cidr: 192.168.1.64/28}||the pool mine, whose spec.blocks[0] overlaps the pool lan (192.168.1.65-192.168.1.80) of loadBalancer.pools, and Cilium gives out nothing of the later one; take other addresses
		mine|{start: 192.168.1.100}, {start: 192.168.1.80, stop: 192.168.1.81}||the pool mine, whose spec.blocks[1] overlaps the pool lan
		mine|{start: 192.168.1.11}||the pool mine, whose spec.blocks[0] overlaps the node cp-1, and two machines would answer for its address; take other addresses
		mine|{start: 192.168.1.1, stop: 192.168.1.1}||the pool mine, whose spec.blocks[0] overlaps network.gateway (192.168.1.1), and two machines would answer for an address
		mine|{start: 192.168.1.140, stop: 192.168.1.160}||the pool mine, whose spec.blocks[0] overlaps network.dhcpRange
		lan|{start: 192.168.1.100}||a pool of the name lan, as loadBalancer.pools has, and each would take the place of the other; give it another
		mine|{start: 192.168.1.100}|, allowFirstLastIPs: No|the pool mine whose spec.allowFirstLastIPs is no text of the cluster's: write "Yes" or "No", in quotes
	EOT
	pool mine '{start: 192.168.1.100, stop: 192.168.1.120}, {cidr: "fd00::/120"}' ', allowFirstLastIPs: "No"'
	write_cluster "${lan[@]}" 'apps:' '  - {name: m, manifest: [pool.yaml]}'
	"$PIBUILD" check
}

@test "values of a chart that the API would refuse are a note" {
	printf 'podLabels: {a: 1}\n' >v.yaml
	write_cluster 'apps:' '  - {name: a, chart: {repo: "https://a.b", name: web, version: 1.2.3}, valuesFile: v.yaml,' \
		'     values: {web: {resources: {limits: {memory: 512MB}}}, service: {nodePort: 8080}}}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	grep -q "cluster.yaml:[0-9]*:[0-9]*: note: apps\[0\].values.web.resources.limits.memory: '512MB' is no amount, and the API refuses the pod" <<<"$output"
	grep -q "cluster.yaml:[0-9]*:[0-9]*: note: apps\[0\].values.service.nodePort: 8080: ports of nodes are 30000 to 32767" <<<"$output"
	grep -q "v.yaml:1:16: note: apps\[0\].values.podLabels: the value of a must be text" <<<"$output"
}

@test "passwords in clear, and addresses that no pool has, are a note" {
	printf 'grafana: {adminPassword: hunter2, usePassword: true, existingSecret: mine}\nauth: {password: ""}\n' >v.yaml
	write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.70}]}' 'apps:' \
		'  - {name: a, chart: {repo: "https://a.b", name: web, version: 1.2.3}, valuesFile: v.yaml,' \
		'     values: {a: [{loadBalancerIP: 192.168.1.240}], b: {lbipam.cilium.io/ips: "192.168.1.66,192.168.1.71"}, loadBalancerIP: 192.168.1.67,' \
		'     c: {metallb.universe.tf/loadBalancerIPs: 192.168.1.67}}}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	grep -q 'v.yaml:1:26: note: apps\[0\].values.grafana.adminPassword: a secret that is written here is in git and backups too; give it by secretValues: {grafana.adminPassword: {env: NAME}}' <<<"$output"
	grep -q 'cluster.yaml:[0-9]*:[0-9]*: note: apps\[0\].values.a\[0\].loadBalancerIP: 192.168.1.240 is in no pool of loadBalancer.pools, so that the Service waits for it for ever' <<<"$output"
	grep -q 'note: apps\[0\].values.b.lbipam.cilium.io/ips: 192.168.1.71 is in no pool' <<<"$output"
	grep -q 'note: apps\[0\].values.c.metallb.universe.tf/loadBalancerIPs: Cilium reads no annotation of another load balancer, so that the Service gets any address; write lbipam.cilium.io/ips: 192.168.1.67' <<<"$output"
	refute grep -q 'usePassword\|existingSecret\|auth.password\|values.loadBalancerIP\|192.168.1.66 is' <<<"$output"
}

@test "charts of what the cluster has already are a note" {
	write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.70}]}' 'apps:' \
		'  - {name: a, chart: {repo: "https://metallb.github.io/metallb", name: metallb, version: 0.15.2}}' \
		'  - {name: b, chart: {oci: ghcr.io/a/metrics-server, version: 3.13.0}}' \
		'  - {name: c, chart: {repo: "https://a.b", name: kube-vip, version: 0.6.6}}'
	run "$PIBUILD" check
	grep -q 'apps\[0\].chart: metallb: Cilium gives out the addresses of loadBalancer.pools' <<<"$output"
	grep -q 'apps\[1\].chart: metrics-server: K3s brings it, and Helm takes over nothing that it did not make; add it to k3s.disable' <<<"$output"
	refute grep -q 'apps\[2\].chart: kube-vip' <<<"$output"
	sed -i '/loadBalancer/d' cluster.yaml
	echo 'k3s: {disable: [metrics-server]}' >>cluster.yaml
	run "$PIBUILD" check
	refute grep -q 'metallb: \|metrics-server: ' <<<"$output"
}

@test "lock finds a chart in its repository's index, one at a registry, and a manifest, each by digest; then needs no network" {
	apps "$web" '  - {name: also, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}}' \
		'  - {name: reg, chart: {oci: files.invalid/lab/web, version: 1.2.3+x}}' '  - {name: m, manifest: ["https://files.invalid/install.yaml"]}'
	fails 0 'apps[0]: the lock has no digest of https://files.invalid/charts/web 1.2.3; run `pibuild lock`' "$PIBUILD" check
	"$PIBUILD" lock >out
	[ "$(grep -c '^added *https://files.invalid/charts/web *1.2.3 ' out)" = 1 ]
	chart=$(digest_of "$faults/files/web-1.2.3.tgz")
	[ "$(pinned https://files.invalid/charts/web sha256)" = "$chart" ]
	[ "$(pinned https://files.invalid/charts/web url)" = https://files.invalid/charts/web-1.2.3.tgz ]
	[ "$(pinned https://files.invalid/charts/web source)" = https://files.invalid/charts/index.yaml ]
	[ "$(pinned oci://files.invalid/lab/web url)" = "https://files.invalid/v2/lab/web/blobs/sha256:$chart" ]
	[ "$(pinned https://files.invalid/install.yaml sha256)" = "$(digest_of "$faults/files/install.yaml")" ]
	cp pibuild.lock first
	"$PIBUILD" lock --check
	PIBUILD_MIRRORS='' "$PIBUILD" lock --offline >out
	grep -q '^kept *oci://files.invalid/lab/web ' out
	cmp first pibuild.lock
	fetch >/dev/null
	[ -f "cache/objects/${chart:0:2}/$chart" ]
	"$PIBUILD" plan --cache cache | grep -q '^  app:web  *1.2.3 .*in the cache$'
}

@test "a registry that wants a token gets one for its charts too" {
	apps '  - {name: reg, chart: {oci: files.invalid/lab/web, version: 1.2.3+x}}'
	echo x >"$faults/files/token"
	PIBUILD_MIRRORS="- {from: \"https://files.invalid/v2/\", to: \"https://127.0.0.1:$port/token/$token/\", caFile: \"$faults/ca.pem\"}
$PIBUILD_MIRRORS"
	"$PIBUILD" lock >/dev/null
	fetch >/dev/null
	[ "$(grep -c "^/token/$token/.*Authorization" "$faults/log")" -ge 3 ]
}

@test "a chart that is not what the index says, one that is not listed, and an index that names another place than https" {
	apps "$web"
	sed "s/digest: $(digest_of "$faults/files/web-1.2.3.tgz")/digest: $(printf '%064d' 7)/" "$faults/files/index.yaml" >"$faults/files/index.new"
	cp "$faults/files/index.yaml" kept
	mv "$faults/files/index.new" "$faults/files/index.yaml"
	fails 4 'https://files.invalid/charts/web-1.2.3.tgz: expected sha256 0000' "$PIBUILD" lock
	sed 's,web-1.2.3.tgz,http://files.invalid/web-1.2.3.tgz,' kept >"$faults/files/index.yaml"
	fails 4 'the address of web 1.2.3, http://files.invalid/web-1.2.3.tgz: ' "$PIBUILD" lock
	# no list: what goes on before anything began
	{ sed '/^  web:/,$d' kept && printf '  web:\n    version: 1.2.3\n'; } >"$faults/files/index.yaml"
	fails 1 'has no chart of the name web' "$PIBUILD" lock
	cp kept "$faults/files/index.yaml"
	sed -i 's/1.2.3}/1.2.9}/' cluster.yaml
	fails 1 'does not list web 1.2.9; was this version released' "$PIBUILD" lock
	sed -i 's/name: web, version/name: wub, version/' cluster.yaml
	fails 1 'has no chart of the name wub' "$PIBUILD" lock
	[ "$(pinned https://files.invalid/charts/web sha256)" = '' ]
}

@test "lock --update apps takes a manifest that changed at its address, an app that is gone leaves the lock" {
	apps '  - {name: m, manifest: ["https://files.invalid/install.yaml"]}' "$web"
	"$PIBUILD" lock >/dev/null
	cp "$faults/files/install.yaml" kept
	echo '# changed' >>"$faults/files/install.yaml"
	"$PIBUILD" lock >out
	grep -q '^kept *https://files.invalid/install.yaml' out
	fails 4 'app:m/0' fetch
	"$PIBUILD" lock --update apps >out
	grep -q '^changed *https://files.invalid/install.yaml' out
	[ "$(pinned https://files.invalid/install.yaml sha256)" = "$(digest_of "$faults/files/install.yaml")" ]
	cp kept "$faults/files/install.yaml"
	sed -i '/name: web/d' cluster.yaml
	"$PIBUILD" lock >out
	grep -q '^removed *https://files.invalid/charts/web' out
	[ "$(pinned https://files.invalid/charts/web url)" = '' ]
}

# ---- values and images ----

# helm that renders a chart as what the test wrote to ./rendered, and notes how it was asked; or fails with ./refused
stand_in_helm() {
	mkdir -p bin
	cat >bin/helm <<-EOT
		#!/bin/sh
		echo "\$*" >'$PWD/asked'
		cat >'$PWD/values'
		[ ! -e '$PWD/refused' ] || { cat '$PWD/refused' >&2; exit 1; }
		tar -tzf "\$3" >'$PWD/members' && cat '$PWD/rendered'
	EOT
	chmod +x bin/helm
	PATH=$PWD/bin:$PATH
}

@test "values that the chart does not show are named with the nearest; those that its schema or Helm refuses are a fault" {
	apps '  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}, values: {replcas: 2, image: {tagg: "2", pullPolicy: Always}}}'
	fails 0 "apps: web: its chart shows no value 'replcas'; did you mean replicas?" "$PIBUILD" lock
	grep -q "apps: web: its chart shows no value 'image.tagg'; did you mean tag?" <<<"$output"
	refute grep -q pullPolicy <<<"$output"
	sed -i 's/replcas: 2/replicas: 3/; s/tagg: /tag: /' cluster.yaml
	fails 0 'apps[0]: the lock has not looked at web as it is now' "$PIBUILD" check
	fails 4 'app:web 1 image: it changed since' "$PIBUILD" lock --check
	stand_in_helm
	echo 'Error: values do not meet the specifications of the schema' >refused
	fails 3 'apps: web: Helm does not take its chart with these values: Error: values do not meet' "$PIBUILD" lock
	rm refused && : >rendered
	"$PIBUILD" lock >/dev/null
	grep -q '^template web /proc/self/fd/3 --namespace web --values - --include-crds --kube-version v1.36.4 --api-versions cilium.io/v2,' asked
	grep -q ',gateway.networking.k8s.io/v1/HTTPRoute$' asked # no cert-manager is installed
	grep -qx 'replicas: 3' values
	grep -qx 'web/Chart.yaml' members
	run "$PIBUILD" check
	refute grep -q 'has not looked' <<<"$output"
}

# An index of a registry for each name, as the server has it under any tag.
image_under() {
	local digest
	digest=$(grep '^good ' "$faults/files/images" | cut -d' ' -f2)
	for tag; do cp "$faults/files/$digest" "$faults/files/$tag"; done
}

@test "with airgap every image that is rendered, and those given by hand, are pinned, and on all cards in an archive of the app's own" {
	python3 "$top/tests/lib/make-images.py" "$faults/files"
	image_under 1.0 2.0 v3
	apps '  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}, images: ["files.invalid/lab/hand:v3"]}' \
		'  - {name: m, manifest: [m.yaml]}' 'airgap: true' 'cilium: {hubble: {relay: false, ui: false}}'
	stand_in_helm
	digest=$(grep '^good ' "$faults/files/images" | cut -d' ' -f2)
	printf '%s\n' '# image: files.invalid/lab/comment:1' 'spec:' '  - image: "files.invalid/lab/web:1.0"' '    args: [--sidecar=files.invalid/lab/side:2.0, "web.svc:8080/x", https://a.b/c:d1]' \
		"    env: files.invalid/lab/digest:x@$digest" >rendered
	printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: m}\nspec:\n  containers:\n  - image: files.invalid/lab/web:1.0\n' >m.yaml
	"$PIBUILD" lock >out
	judged() { python3 -c 'import yaml; print(*[a["app"] + ":" + ",".join(a.get("images", [])) for a in yaml.safe_load(open("pibuild.lock"))["judged"]], sep="\n")'; }
	[ "$(judged)" = "web:files.invalid/lab/digest@$digest,files.invalid/lab/side:2.0,files.invalid/lab/web:1.0
m:files.invalid/lab/web:1.0" ]
	for image in web:1.0 side:2.0 hand:v3; do grep -q "^added *files.invalid/lab/${image%:*} *${image#*:} " out; done
	"$PIBUILD" lock --check
	fetch >/dev/null
	"$PIBUILD" plan --json >plan.json
	[ "$(jq -r '.images[] | .name' plan.json | sort | tr '\n' ' ')" = "files.invalid/lab/digest files.invalid/lab/hand files.invalid/lab/side files.invalid/lab/web " ]
	[ "$(jq -r '.nodes[].entries[].path | select(test("images/pibuild-app"))' plan.json)" = "/var/lib/rancher/k3s/agent/images/pibuild-app-web.tar
/var/lib/rancher/k3s/agent/images/pibuild-app-web.tar" ]
	"$PIBUILD" render --node w-1 -o card >/dev/null 2>&1
	jq -e '[.images[].name] | length == 4' card/etc/pibuild/release.json
	sed -i 's/v3"]/v3", "files.invalid\/lab\/new:1"]/' cluster.yaml
	fails 4 'does not pin the container images files.invalid/lab/new:1: run' fetch
	sed -i 's/, "files.invalid.lab.new:1"//' cluster.yaml
	# What pods ask a registry for at every start they ask for in vain.
	always() { fails 0 "apps: m: pods ask for $1 at every start (imagePullPolicy: Always, or the tag latest), which is in vain without the internet; set the policy to IfNotPresent" "$PIBUILD" lock; }
	image_under latest
	printf -- '---\nkind: Broken\nx: &a\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: m}\nspec:\n  containers:\n  - image: files.invalid/lab/web:1.0\n    imagePullPolicy: Always\n' >m.yaml
	always files.invalid/lab/web:1.0
	sed -i '/imagePullPolicy/d; s/web:1.0/web/' m.yaml
	always files.invalid/lab/web
	echo '    imagePullPolicy: IfNotPresent' >>m.yaml
	run "$PIBUILD" lock
	refute grep -q 'pods ask for' <<<"$output"
	sed -i 's/v3"]/v3", "files.invalid\/lab\/new:1"]/' cluster.yaml
	echo '# other' >>m.yaml
	fails 4 'does not pin the container images of the app m, files.invalid/lab/new:1: run' fetch
}

@test "without Helm the images of a chart are those of its values, which is said" {
	python3 "$top/tests/lib/make-images.py" "$faults/files"
	image_under 1.5
	apps '  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}, values: {image: {registry: files.invalid, repository: lab/web, tag: "1.5"}}}' 'airgap: true'
	fails 0 'apps: web: Helm is not installed here' "$PIBUILD" lock
	grep -q '"\?files.invalid/lab/web:1.5"\?$' pibuild.lock
	# Once Helm is there what was guessed is found; what it rendered is left alone, unless it is asked for.
	image_under 1.6
	stand_in_helm
	echo 'image: files.invalid/lab/web:1.6' >rendered
	"$PIBUILD" lock >out
	grep -q '^added *app:web *1 image' out
	grep -q '"\?files.invalid/lab/web:1.6"\?$' pibuild.lock
	rm asked
	"$PIBUILD" lock >out
	[ ! -e asked ]
	"$PIBUILD" lock --update apps >out
	[ -e asked ]
	grep -q '^confirmed *app:web *1 image' out
}

@test "a build looks at values that changed since the lock was made, and at no others" {
	apps '  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}, values: {replicas: 2}}'
	"$PIBUILD" lock >/dev/null 2>&1
	stand_in_helm
	echo 'Error: values do not meet the specifications of the schema' >refused
	built() { "$PIBUILD" --progress none --cache cache build --node cp-1 -o out; }
	run built
	[ ! -e asked ] || { echo "$output"; return 1; }
	sed -i 's/replicas: 2/replicas: many/' cluster.yaml
	fails 3 'apps: web: Helm does not take its chart with these values: Error: values do not meet' built
	grep -qx 'replicas: many' values
	[ -z "$(find out -name '*.img' -newer refused 2>/dev/null)" ]
}

# ---- recipes ----

@test "every recipe is valid beside a small cluster, has the packages its chart needs, and is told of in docs/apps.md" {
	unset PIBUILD_DATA PIBUILD_MIRRORS PIBUILD_LOCK
	for file in "$top"/configs/apps/*.yaml; do
		head -n 1 "$file" | grep -q '^# [A-Za-z].*: '
		grep -q "(../configs/apps/${file##*/})" "$top/docs/apps.md" || { echo "docs/apps.md lacks ${file##*/}"; return 1; }
		{ sed '/^nodes:/,$d' "$top/configs/apps.yaml" | sed '/^apps:/,$d; s/sshKeys: .*/sshKeys: [PUBLIC]/' | sed "s|PUBLIC|$example_key|" && cat "$file" && sed -n '/^nodes:/,$p' "$top/configs/apps.yaml"; } >cluster.yaml
		DO_TOKEN=x FLUX_TOKEN=x "$PIBUILD" check >out 2>&1 || { cat out; return 1; }
		refute grep -v 'the lock has no digest of\|os.packages: what cp-1 needs\|^ \|next:\|cluster.yaml: ok' out
	done
}

# ---- the card ----

# app_cluster LINE...: as first-boot renders it, with two charts, manifests and every kind of secret
app_cluster() {
	mkdir -p m/sub
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: one\n' >m/b.yaml
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: two\n' >m/a.yml
	echo 'not a manifest' >m/README.md
	printf 'replicas: 1\nname: file\n' >web.yaml
	write_cluster 'certManager: {}' 'apps:' \
		'  - {name: web, chart: {repo: "https://files.invalid/charts", name: web, version: 1.2.3}, valuesFile: web.yaml, values: {replicas: 2},' \
		'     secretValues: {admin.password: {env: APP_PASSWORD}}, secrets: [{name: web-token, data: {token: {env: APP_TOKEN}}}], apply: always}' \
		'  - {name: own, manifest: [m, "https://files.invalid/install.yaml"]}' \
		'  - {name: last, chart: {oci: files.invalid/lab/web, version: 1.2.3}, namespace: kube-system}' "$@"
	write_lock_of_apps
}

write_lock_of_apps() {
	cp "$top/configs/pibuild.lock" .
	printf 'apps:\n' >>pibuild.lock
	while read -r from version file; do
		printf '  - {from: "%s", %surl: "https://files.invalid/%s", sha256: "%s", size: %s}\n' "$from" "${version:+version: $version, }" \
			"$file" "$(digest_of "$faults/files/$file")" "$(stat -c %s "$faults/files/$file")"
	done >>pibuild.lock <<-EOT
		https://files.invalid/charts/web 1.2.3 web-1.2.3.tgz
		oci://files.invalid/lab/web 1.2.3 web-1.2.3.tgz
	EOT
	printf '  - {from: "https://files.invalid/install.yaml", url: "https://files.invalid/install.yaml", sha256: "%s", size: 1}\n' \
		"$(digest_of "$faults/files/install.yaml")" >>pibuild.lock
}

# The card of the first server after cert-manager, with what artifacts would bring.
app_card() {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	export faults=$BATS_FILE_TMPDIR/faults
	MAKE=app_cluster card_after cert-manager
	mkdir -p card/usr/share/pibuild/apps
	for app in web last; do cp "$faults/files/web-1.2.3.tgz" "card/usr/share/pibuild/apps/$app.tgz"; done
	cp "$faults/files/install.yaml" card/usr/share/pibuild/apps/own-01.yaml
}

app_said() { sed -n "s/^$2 //p" "card/run/pibuild/apps/$1"; }

# a new start of the node: what is in memory is gone
restart() {
	rm -rf card/run/pibuild/steps/apps card/run/pibuild/apps card/run/pibuild/notes
}

@test "the first server's card has values, manifests in their order and staged secrets; other servers the charts alone" {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	MAKE=app_cluster card
	[ "$(cat card/etc/pibuild/apps/list)" = "web chart web always yes
own manifest - once no
last chart kube-system once no" ]
	[ "$(cat card/etc/pibuild/apps/web/values.yaml)" = "replicas: 2
name: file" ]
	[ "$(cat card/etc/pibuild/apps/own/manifests)" = "/etc/pibuild/apps/own/00-00.yaml
/etc/pibuild/apps/own/00-01.yaml
/usr/share/pibuild/apps/own-01.yaml" ]
	grep -qx '  name: two' card/etc/pibuild/apps/own/00-00.yaml
	[ ! -e card/etc/pibuild/apps/last/namespace.yaml ]
	[ "$(stat -c %a card/etc/pibuild/secrets/app-web.yaml card/etc/pibuild/secrets/app-web-values.yaml | sort -u)" = 600 ]
	grep -qF "token: $APP_TOKEN" card/etc/pibuild/secrets/app-web.yaml
	grep -qF "password: $APP_PASSWORD" card/etc/pibuild/secrets/app-web-values.yaml
	refute grep -rqF "$APP_TOKEN" card/etc/pibuild/apps card/etc/pibuild/release.json card/boot
	cp cluster.yaml three.yaml 2>/dev/null || app_cluster
	sed -i 's/name: w-1, role: worker/name: w-1, role: control-plane/; $a\  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.13/24}' cluster.yaml
	"$PIBUILD" plan --json --node w-1 >plan.json
	jq -e '.artifacts[] | select(.name == "app:web" and .version == "1.2.3")' plan.json
	jq -e '[.nodes[0].entries[].path | select(test("pibuild/apps/|secrets/app"))] == ["/usr/share/pibuild/apps/last.tgz", "/usr/share/pibuild/apps/own-01.yaml", "/usr/share/pibuild/apps/web.tgz"]' plan.json
}

# bats test_tags=slow
@test "apps are installed in their order, Secrets before them, and what was staged is gone" {
	app_card
	step apps
	report
	[ "$(jq -r '.apps[] | .name + "=" + .state' card/run/pibuild/status.json | sort | tr '\n' ' ')" = "last=done own=done web=done " ]
	for object in namespace/_/web secret/web/web-token deployment/web/web namespace/_/one namespace/_/two namespace/_/remote deployment/kube-system/last; do
		[ -s "card/state/objects/$object" ]
	done
	grep -qF "$APP_TOKEN" card/state/objects/secret/web/web-token
	grep -q "$(printf 'admin\001password\t')" card/state/values/web/web.v1
	grep -q "$(printf 'replicas\t2')" card/state/values/web/web.v1
	[ ! -e card/etc/pibuild/secrets/app-web.yaml ]
	[ ! -e card/etc/pibuild/secrets/app-web-values.yaml ]
	refute grep -rqF "$APP_TOKEN" card/run card/etc card/var/lib/pibuild log.apps
	refute grep -rqF "$APP_PASSWORD" card/run card/etc card/var/lib/pibuild log.apps
}

# bats test_tags=slow
@test "a second start installs nothing again; once stays as its owner made it, always is put back with its secret values" {
	app_card
	step apps
	calls() { grep -cE 'kubectl apply|helm upgrade' card/state/calls; }
	before=$(calls)
	restart
	step apps
	[ "$(calls)" = "$before" ]
	rm card/state/objects/namespace/_/one card/state/objects/deployment/kube-system/last card/state/objects/deployment/web/web
	restart
	step apps
	[ ! -e card/state/objects/namespace/_/one ]
	[ ! -e card/state/objects/deployment/kube-system/last ]
	[ -s card/state/objects/deployment/web/web ]
	grep -q "$(printf 'admin\001password\t')" card/state/values/web/web.v2
}

# bats test_tags=slow
@test "where a package brought gawk, which has words of its own, apps and the report go on" {
	command -v gawk >/dev/null || skip 'needs gawk'
	app_card
	ln -s "$(command -v gawk)" card/usr/local/bin/awk
	step apps
	restart
	rm card/state/objects/deployment/web/web
	step apps
	[ -s card/state/objects/deployment/web/web ]
	refute grep -i awk log.apps
	report
	jq -e '[.apps[].state] == ["done", "done", "done"]' card/run/pibuild/status.json
}

# bats test_tags=slow
@test "a new card leaves alone what an earlier one installed once, and brings its Secrets" {
	app_card
	step apps
	rm -r card/var/lib/pibuild/apps
	mkdir -p card/etc/pibuild/secrets
	printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: new\n  namespace: kube-system\nstringData:\n  a: b\n' >card/etc/pibuild/secrets/app-last.yaml
	restart
	step apps
	[ "$(grep -c 'helm upgrade last' card/state/calls)" = 1 ]
	[ -s card/state/objects/secret/kube-system/new ]
	[ ! -e card/etc/pibuild/secrets/app-last.yaml ]
}

# bats test_tags=slow
@test "an app that fails holds up neither the others nor READY, says why in the report, and is tried again" {
	app_card
	mkdir -p card/state/faults
	printf 'broken execution error at (web/templates/x.yaml:1:2): a password is needed\n' >card/state/faults/helm-upgrade
	step apps
	[ "$(state_of apps state)" = "done" ]
	[ "$(app_said web state)$(app_said own state)$(app_said last state)" = faileddonefailed ]
	[[ "$(app_said web cause)" == "The chart refuses its values: "*"a password is needed"* ]]
	grep -qx 'cause Not installed yet: web last' card/run/pibuild/notes/apps
	[ -e card/etc/pibuild/secrets/app-web-values.yaml ]
	for one in $(steps); do [ -e "card/run/pibuild/steps/$one" ] || printf 'state done\nattempts 1\nsince 1\ncause \ncure \n' >"card/run/pibuild/steps/$one"; done
	report
	[ "$(jq -r .state card/run/pibuild/status.json)" = "done" ]
	grep -q 'app web: failed: The chart refuses its values' console
	"$PIBUILD" status card/run/pibuild/status.json >out
	grep -A1 '^  failed *web' out | grep -q 'why: *The chart refuses its values'
	rm card/state/faults/helm-upgrade
	grep -qx 'ConditionPathExists=/run/pibuild/notes/apps' card/etc/systemd/system/pibuild-apps-late.service
	step apps
	[ "$(app_said web state)$(app_said last state)" = donedone ]
	[ ! -e card/run/pibuild/notes/apps ]
	[ ! -e card/etc/pibuild/secrets/app-web-values.yaml ]
}

# bats test_tags=slow
@test "new values that are secrets: taken by an app that is always put back, left alone with one that is there once, gone from the card" {
	app_card
	step apps
	local app
	for app in web last; do printf 'admin:\n  password: rotated-canary\n' >"card/etc/pibuild/secrets/app-$app-values.yaml"; done
	restart
	step apps
	[ "$(app_said web state)$(app_said last state)" = donedone ]
	grep -q "$(printf 'admin\001password\trotated-canary')" card/state/values/web/web.v2
	[ "$(grep -c 'helm upgrade last' card/state/calls)" = 1 ]
	[ -z "$(ls card/etc/pibuild/secrets)" ] || { ls card/etc/pibuild/secrets; return 1; }
	[ "$(cut -f 2 card/var/lib/pibuild/taken | grep -c values)" = 2 ]
	refute grep -rqF rotated-canary card/run card/etc card/var/lib/pibuild log.apps
}

# bats test_tags=slow
@test "a chart's notes, which may show a secret value, are said nowhere" {
	app_card
	mkdir -p card/state/faults
	: >card/state/faults/notes
	step apps
	[ "$(app_said web state)" = "done" ]
	refute grep -rqF "$APP_PASSWORD" card/run log.apps
}

# bats test_tags=slow
@test "an API that does not answer is no cluster that has lost secret values" {
	app_card
	step apps
	rm card/var/lib/pibuild/apps/web
	restart
	in_app() {
		printf '%s\n' '. "$PIBUILD_ROOT/usr/lib/pibuild/lib.sh"' '. "$PIBUILD_ROOT/usr/lib/pibuild/steps/apps.sh"' "$@" >script
		sh script
	}
	run in_app 'unstick() { :; }' 'ask() { echo "The connection to the server 127.0.0.1:6443 was refused" >&2; return 1; }' \
		'app=web namespace=web secret=yes secret_values=/none' install_chart
	[ "$status" = 1 ]
	[[ "$output" == *'was refused'* && "$output" != *'has lost'* ]]
}

# bats test_tags=slow
@test "secret values that cluster and card have lost are told, with the cure" {
	app_card
	step apps
	PATH=$PWD/card/usr/local/bin:$PATH KUBECONFIG=card/etc/rancher/k3s/k3s.yaml card/usr/local/bin/helm uninstall web -n web >/dev/null
	restart
	step apps
	[ "$(app_said web state)" = failed ]
	[[ "$(app_said web cause)" == "The cluster has lost the secret values of web, and so has this card"* ]]
}

# ---- Flux ----

export FLUX_TOKEN=flux-canary-fedcba9876543210

# flux_cluster: one that follows a repository
flux_cluster() {
	write_cluster 'gitops: {flux: {url: "https://git.my-domain.org/me/home", path: clusters/home, token: {env: FLUX_TOKEN}}}'
	cp "$top/configs/pibuild.lock" .
}

@test "Flux: an address with what does not go with it, a path that leads out, and an app of its name are refused" {
	ssh-keygen -q -t ed25519 -N '' -f key -C x
	enter_fault_test
	while IFS='|' read -r flux said; do
		write_cluster "gitops: {flux: $flux}" "$([ "$said" != 'there are two' ] || echo "apps: [{name: flux, manifest: [\"https://a.b/c.yaml\"]}]")"
		fails 3 "$said" "$PIBUILD" check
	done <<-'EOT'
		{url: "ssh://git@github.com/me/home", token: {env: FLUX_TOKEN}}|an ssh:// address needs sshKey
		{url: "https://github.com/me/home", sshKey: {file: ../key}}|gitops.flux.sshKey: goes with an ssh:// address
		{url: "https://me:secret@github.com/me/home"}|without a password
		{url: "http://github.com/me/home"}|give https://HOST/PATH or ssh://
		{url: "https://github.com/me/home", path: a/../../b}|it leads out of the repository
		{url: "https://github.com/me/home", version: latest}|gitops.flux.version
		{url: "https://github.com/me/home", branch: refs/heads/main}|a branch is named by what stands behind refs/heads/
		{url: "https://github.com/me/home"}|there are two
	EOT
}

# bats test_tags=slow
@test "Flux: its release by the lock, repository and folder as flux bootstrap writes them, and the token gone once the cluster has it" {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	MAKE=flux_cluster card_after cni
	[ "$(cat card/etc/pibuild/apps/list)" = 'flux manifest flux-system once no' ]
	jq -e '.artifacts[] | select(.name == "app:flux/0")' card/etc/pibuild/release.json
	[ "$(stat -c %a card/etc/pibuild/secrets/app-flux.yaml)" = 600 ]
	refute grep -rqF "$FLUX_TOKEN" card/etc/pibuild/apps card/boot
	python3 - card/etc/pibuild/apps/flux/sync.yaml <<-'EOT'
		import sys, yaml
		source, sync = yaml.safe_load_all(open(sys.argv[1]))
		assert source["spec"] == {"interval": "1m0s", "url": "https://git.my-domain.org/me/home", "ref": {"branch": "main"}, "secretRef": {"name": "flux-system"}}, source
		assert sync["spec"] == {"interval": "10m0s", "path": "./clusters/home", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}, sync
	EOT
	mkdir -p card/usr/share/pibuild/apps && flux_install >card/usr/share/pibuild/apps/flux-00.yaml
	step apps
	[ "$(app_said flux state)" = "done" ] || { cat log.apps; return 1; }
	for object in gitrepository/flux-system/flux-system kustomization/flux-system/flux-system secret/flux-system/flux-system; do
		[ -s "card/state/objects/$object" ]
	done
	grep -qF "$FLUX_TOKEN" card/state/objects/secret/flux-system/flux-system
	[ ! -e card/etc/pibuild/secrets/app-flux.yaml ]
	refute grep -rqF "$FLUX_TOKEN" card/run card/etc card/var/lib/pibuild log.apps
}

@test "Flux by SSH: key and host keys are one Secret" {
	ssh-keygen -q -t ed25519 -N '' -f key -C x
	echo "github.com $(cut -d' ' -f1,2 key.pub)" >hosts
	write_cluster 'gitops: {flux: {url: "ssh://git@github.com/me/home", branch: live, sshKey: {file: key}, knownHosts: hosts}}'
	"$PIBUILD" secrets new -q
	"$PIBUILD" render --node cp-1 --show-secrets -o card >/dev/null 2>&1
	python3 - card/etc/pibuild/secrets/app-flux.yaml key hosts <<-'EOT'
		import sys, yaml
		data = yaml.safe_load(open(sys.argv[1]))["stringData"]
		assert data == {"identity": open(sys.argv[2]).read().rstrip("\n"), "known_hosts": open(sys.argv[3]).read().rstrip("\n")}, data
	EOT
}

# ---- a DNS-01 solver that is an app ----

@test "dns01.provider: webhook needs an app, and hands its map to the solver as it is" {
	unset PIBUILD_DATA PIBUILD_MIRRORS
	webhook='certManager: {email: me@my-domain.org, zones: [my-domain.org], dns01: {provider: webhook, groupName: acme.my-domain.org, solverName: hetzner, config: {zoneName: my-domain.org, enabled: true, n: 3, tokenSecretRef: {name: hetzner, key: token}}}}'
	write_cluster "$webhook"
	fails 3 'certManager.dns01: a webhook is an app of yours, and there is none; add its chart to apps' "$PIBUILD" check
	write_cluster "$webhook" 'apps:' '  - {name: hetzner, chart: {repo: "https://files.invalid", name: cert-manager-webhook-hetzner, version: 1.3.1}, namespace: cert-manager,' \
		'     secrets: [{name: hetzner, data: {token: {env: APP_TOKEN}}}]}'
	"$PIBUILD" secrets new -q
	"$PIBUILD" render --node cp-1 --show-secrets -o card >/dev/null 2>&1
	python3 - card/etc/pibuild/manifests/issuers.yaml <<-'EOT'
		import sys, yaml
		for issuer in yaml.safe_load_all(open(sys.argv[1])):
		    assert issuer["spec"]["acme"]["solvers"] == [{"selector": {"dnsZones": ["my-domain.org"]}, "dns01": {"webhook": {
		        "groupName": "acme.my-domain.org", "solverName": "hetzner",
		        "config": {"zoneName": "my-domain.org", "enabled": True, "n": 3, "tokenSecretRef": {"name": "hetzner", "key": "token"}}}}}], issuer
	EOT
	[ ! -e card/etc/pibuild/secrets/dns01.yaml ]
	grep -qx '  namespace: cert-manager' card/etc/pibuild/secrets/app-hetzner.yaml
	run "$PIBUILD" check
	refute grep -q 'note: certManager.dns01' <<<"$output"
	sed -i 's/namespace: cert-manager,/values: {groupName: acme.example.com},/' cluster.yaml
	fails 0 'certManager.dns01.groupName: acme.my-domain.org, and the values of the app hetzner say acme.example.com: cert-manager would ask for a solver where none answers; write the same' "$PIBUILD" check
	[[ "$output" == *'certManager.dns01.config: the Secret hetzner is put into the namespace hetzner, that of its app, and is looked for in cert-manager; give the app namespace: cert-manager'* ]]
	sed -i 's/, config: .*/}}/' cluster.yaml
	"$PIBUILD" check >/dev/null 2>&1
}
