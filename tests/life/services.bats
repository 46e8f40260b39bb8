#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# From power on to services, in QEMU, in one boot: a server without the internet whose card brings a Gateway with a certificate
# of the cluster's own CA, charts and manifests, one of which cannot be installed, and Flux with its token; switched off, where
# its secrets are; and a second boot, after changes by hand. K3s, Cilium's operator, cert-manager and Helm are stand-ins.
# SESSION=write keeps what the commands of README's picture said (docs/first-boot.session).

load ../lib/life
load ../lib/flux
load ../lib/canaries

export FLUX_TOKEN=fluxCanary8Xp3Kd7Wz2Qn6Vt9Rb4Lm APP_TOKEN=appCanary5Tn9Wq2Zx7Kd3Rp8Vb4Ys APP_PASSWORD=valueCanary6Zk2Xv8Rn4Tq9Wd3Lp7Bm

write_services() {
	example_key='{file: key.pub}' write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' \
		'certManager: {issuers: [ca], zones: [home.arpa]}' 'gateway: {address: 192.168.1.70, hubble: hubble.home.arpa}' 'airgap: true' \
		'gitops: {flux: {url: "https://git.lab.invalid/me/home", path: clusters/home, token: {env: FLUX_TOKEN}}}' 'apps:' \
		'  - {name: web, chart: {repo: "https://charts.lab.invalid", name: web, version: 1.2.3}, images: ["quay.io/cilium/certgen:v0.4.6"], apply: always,' \
		'     secretValues: {admin.password: {env: APP_PASSWORD}}, secrets: [{name: web, data: {token: {env: APP_TOKEN}}}]}' \
		'  - {name: tool, chart: {repo: "https://charts.lab.invalid", name: web, version: 1.2.3}}' \
		'  - {name: monitors, manifest: [monitors.yaml], namespace: monitoring}' '  - {name: own, manifest: [own.yaml], namespace: own}'
	sed -i '/name: w-1/d; s/rpi5/virt/; s/name: lab/name: homelab/; s/^  gateway: .*/&\n  dhcpRange: 192.168.1.128-192.168.1.250/' cluster.yaml
	printf 'apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata:\n  name: web\n' >monitors.yaml
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\ndata:\n  written: by me\n' >own.yaml
}

# serve_apps, in the sandbox: a repository of charts, and the release of Flux that the lock asks for
serve_apps() {
	local charts=$PIBUILD_SANDBOX/www/charts.lab.invalid flux
	mkdir -p "$charts"
	python3 -B - "$top/scripts/standins" "$charts/web-1.2.3.tgz" <<-'EOT'
		import sys
		sys.path.insert(0, sys.argv[1])
		import make
		open(sys.argv[2], "wb").write(make.chart("web", "1.2.3", "1", {"admin": {"password": ""}}, {}))
	EOT
	printf 'apiVersion: v1\nentries:\n  web:\n  - {version: 1.2.3, digest: %s, urls: [web-1.2.3.tgz]}\n' "$(sha256_of "$charts/web-1.2.3.tgz")" >"$charts/index.yaml"
	flux=$("$PIBUILD" plan --json | jq -r '.artifacts[] | select(.name == "app:flux/0").url')
	mkdir -p "$PIBUILD_SANDBOX/www/$(dirname "${flux#https://}")"
	flux_install >"$PIBUILD_SANDBOX/www/${flux#https://}"
	PIBUILD_MIRRORS="$PIBUILD_MIRRORS
$(sed -n 's/github\.com/charts.lab.invalid/gp' <<<"$PIBUILD_MIRRORS")"
}

build_services() {
	cp "$PIBUILD_LOCK" pibuild.lock
	unset PIBUILD_LOCK
	serve_apps
	"$PIBUILD" --progress none --cache cache lock >lock.log
	"$PIBUILD" --progress none --cache cache build -o out >built
	cp "$PIBUILD_SANDBOX"/*.log .
	mkdir release && cp pibuild.lock release/
}

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	export ALONE=cp-1
	ssh-keygen -q -t ed25519 -N '' -f key -C desk
	write_services
	desk cp-1 192.168.1.11
	export top PIBUILD
	export -f serve_apps build_services flux_install sha256_of
	sandbox --airgap --base bootable -- bash -euc build_services >build.log 2>&1 || { cat build.log; return 1; }
	judge out/cp-1.img
	canaries list secrets.yaml "flux=$FLUX_TOKEN" "app=$APP_TOKEN" "value=$APP_PASSWORD" >list
	machine start cp-1 out/cp-1.img --memory 768 --cpus 1 --net user:192.168.1.0/24 --alone --desk "$(cat port-cp-1)" --append pibuild.network=closed
}

# Not of disks, as those of other files.
need_loop() { :; }

# apps_are "NAME=STATE ...": in the report, which is kept in status.json
apps_are() {
	on cp-1 cat /run/pibuild/status.json >status.json
	[ "$(jq -r '[.apps[] | .name + "=" + .state] | sort | join(" ")' status.json)" = "$1" ]
}

@test "the cluster is READY with all its services, and the app that cannot be installed says why on a line of its own" {
	ready cp-1
	took 'READY'
	soon 300 apps_are 'flux=done monitors=failed own=done tool=done web=done' # not while the timer has its turn
	[ "$(jq -r '.steps[].state' status.json | sort -u)" = "done" ]
	jq -r '.apps[] | select(.name == "monitors").cause' status.json | grep -q 'no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"'
	grep -qaE 'pibuild: app monitors: failed: ' cp-1/console.log
	grep -qaE 'pibuild: READY: all [0-9]+ steps done' cp-1/console.log
}

# whole_status: where processors are shared, what is asked by ssh may take longer than its 30 seconds
whole_status() {
	at_desk status && refute grep 'could not be asked' said
}

@test "what README's picture shows is what is said" {
	at_desk check
	mv said checked
	soon 300 whole_status
	mv said status
	there ssh -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=known pi@192.168.1.11 pibuild-status >node || true # the log of what failed comes with it
	{
		echo '$ pibuild check' && cat checked && echo '$ pibuild' && cat built && echo '$ pibuild status' && cat status
		echo '$ ssh pi@192.168.1.11 pibuild-status' && cat node
	} >session
	[ "${SESSION:-}" != write ] || cp session "$top/docs/first-boot.session"
	diff <(sed 's/[0-9][0-9.]*/N/g; s/  */ /g' "$top/docs/first-boot.session") <(sed 's/[0-9][0-9.]*/N/g; s/  */ /g' session)
}

@test "the Gateway is served at its address" {
	[ "$(ask_api cp-1 "-n kube-system get gateway lan -o 'jsonpath={.status.addresses[0].value} {.status.conditions[?(@.type==\"Programmed\")].status}'")" = '192.168.1.70 True' ]
}

# certificate KEY: of the Gateway's Secret, as PEM
certificate() {
	ask_api cp-1 "-n kube-system get secret wildcard-home.arpa -o 'jsonpath={.data.${1/./\\.}}'" | base64 -d
}

@test "the Gateway's certificate is by the cluster's CA, which signs for its zones alone; the report has nothing to say of it" {
	"$PIBUILD" -q ca >ca.pem
	certificate tls.crt >web.pem
	diff ca.pem <(certificate ca.crt)
	diff <(openssl x509 -in web.pem -noout -pubkey) <(certificate tls.key | openssl pkey -pubout)
	for name in home.arpa hubble.home.arpa; do
		openssl verify -purpose sslserver -CAfile ca.pem -verify_hostname "$name" web.pem
	done
	for name in a.b.home.arpa home.my-domain.org; do
		refute openssl verify -purpose sslserver -CAfile ca.pem -verify_hostname "$name" web.pem
	done
	openssl x509 -in web.pem -noout -ext subjectAltName | grep -qx ' *DNS:home.arpa, DNS:\*.home.arpa'
	openssl x509 -in web.pem -noout -checkend $((80 * 24 * 3600))
	# The same key, and a name of somebody else's.
	python3 -c 'import sys, yaml; print(yaml.safe_load(sys.stdin)["issuerCA"]["key"], end="")' <secrets.yaml >ca.key
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -subj / -days 9 -CA ca.pem -CAkey ca.key \
		-addext subjectAltName=critical,DNS:www.my-domain.org -addext basicConstraints=critical,CA:FALSE
	rm ca.key
	run ! openssl verify -purpose sslserver -CAfile ca.pem other.pem
	grep -q 'permitted subtree violation' <<<"$output"
	[ "$(ask_api cp-1 "-n kube-system get certificate wildcard-home.arpa -o 'jsonpath={.status.conditions[?(@.type==\"Ready\")].status}'")" = True ]
	refute jq -e '.notes[] | select(.about == "certificate")' status.json
}

@test "an app's images are on the card as the lock pins them, and K3s has them before the app is installed" {
	root_cat out/cp-1.img /var/lib/rancher/k3s/agent/images/pibuild-app-web.tar | tar -xO index.json >image.json
	[ "$(jq -r '.manifests[].annotations["io.containerd.image.name"]' image.json)" = quay.io/cilium/certgen:v0.4.6 ]
	grep -A 2 'quay.io/cilium/certgen' pibuild.lock | grep -A 1 'tag: .*v0.4.6' | grep -qF "$(jq -r '.manifests[].digest' image.json)"
	on cp-1 'ctr images ls -q' >images
	grep -qx 'quay.io/cilium/certgen:v0.4.6' images
	on cp-1 "journalctl -b -o cat -u k3s -u pibuild-apps" >journal
	imported=$(grep -n 'Imported images from .*/pibuild-app-web.tar in ' journal | cut -d : -f 1)
	installed=$(grep -n 'Release "web" does not exist. Installing it now.' journal | cut -d : -f 1)
	[ "$imported" -lt "$installed" ]
	grep -q 'Imported quay.io/cilium/certgen:v0.4.6' <(head -n "$imported" journal)
}

@test "while it runs no secret is in /run, the journal, arguments and environments, on the console" {
	canaries needles list >needles
	machine put cp-1 needles /dev/shm/needles
	on cp-1 '{ find /run -xdev -type f ! -path "/run/log/*" -exec cat {} +; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; } 2>/dev/null | tr "\0" "\n" >/dev/shm/seen; journalctl -b -a >>/dev/shm/seen; grep -c pibuild-apps /dev/shm/seen; grep -aoFf /dev/shm/needles /dev/shm/seen | sort -u; rm /dev/shm/*' >seen
	[ "$(head -n 1 seen)" -gt 5 ]
	[ "$(wc -l <seen)" = 1 ]
	clean cp-1/console.log
	[ -z "$(on cp-1 'ls -A /etc/pibuild/secrets')" ]
}

# by_hand: what somebody does with kubectl; the timer of failed apps takes no turn after it
by_hand() {
	on cp-1 'systemctl stop pibuild-apps-late.timer pibuild-apps-late.service'
	sed 's/by me/by hand/; s/^metadata:/&\n  namespace: own/' own.yaml >hand.yaml
	printf 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: servicemonitors.monitoring.coreos.com\nspec:\n  group: monitoring.coreos.com\n  names:\n    kind: ServiceMonitor\n    plural: servicemonitors\n  versions:\n  - name: v1\n' >crd.yaml
	machine put cp-1 hand.yaml /run/hand.yaml
	machine put cp-1 crd.yaml /run/crd.yaml
	ask_api cp-1 'apply --server-side --force-conflicts -f /run/hand.yaml -f /run/crd.yaml'
	ask_api cp-1 '-n tool delete deployment tool'
	ask_api cp-1 '-n web delete deployment web'
}

cluster=/var/lib/rancher/k3s/stand-in tls=/var/lib/rancher/k3s/server/tls config=/etc/rancher/k3s/config.yaml
# What a server needs as long as it lives.
kept=("token.server=$config" "token.agent=$config" password.cp-1=/etc/rancher/node/password "ca.server=$tls/server-ca.key"
	"ca.client=$tls/client-ca.key" "ca.requestHeader=$tls/request-header-ca.key" "ca.etcdServer=$tls/etcd/server-ca.key"
	"ca.etcdPeer=$tls/etcd/peer-ca.key" "service=$tls/service.key")

@test "switched off, the card holds the secrets of apps, Flux and certificates in the API's Secrets and nowhere else, FAT and free space included" {
	by_hand
	machine poweroff cp-1 --timeout 180
	mkdir -p off/out
	machine disk cp-1 off/out/cp-1.img
	cd off
	judge out/cp-1.img
	# Helm keeps values in a Secret of its own, K3s no password, but its hash; their stand-ins keep both in files.
	holds cp-1 "${kept[@]}" "password.cp-1=$cluster/objects/secret/kube-system/cp-1.node-password.k3s" "flux=$cluster/objects/secret/flux-system/flux-system" "app=$cluster/objects/secret/web/web" \
		"value=$cluster/values/web/web.v1" "issuer-ca=$cluster/objects/secret/cert-manager/issuer-ca"
	part out/cp-1.img 1 fat
	clean fat
}

@test "on the computer that built it they are in the image alone: not in its FAT, the cache, what was said or served" {
	holds cp-1 "${kept[@]}" flux=/etc/pibuild/secrets/app-flux.yaml app=/etc/pibuild/secrets/app-web.yaml \
		value=/etc/pibuild/secrets/app-web-values.yaml issuer-ca=/etc/pibuild/secrets/issuer-ca.yaml
	part out/cp-1.img 1 fat
	clean fat cache release out/*.json *.log built checked status node session
}

@test "after changes by hand and a second boot: what is there once is left alone, always is put back, what failed is done" {
	machine boot cp-1
	ready cp-1
	took 'READY again'
	apps_are 'flux=done monitors=done own=done tool=done web=done'
	refute jq -e '.notes[] | select(.about == "apps")' status.json
	ask_api cp-1 '-n own get configmap own -o yaml' | grep -q 'written: by hand'
	ask_api cp-1 '-n tool get deployments -o name' >left
	[ ! -s left ]
	ask_api cp-1 '-n web get deployment web -o name'
	ask_api cp-1 '-n monitoring get servicemonitors web -o name'
	[ "$(ask_api cp-1 "get secrets -A -l owner=helm -o name" | grep -cE 'v1\.(web|tool)\.v')" = 3 ]
}
