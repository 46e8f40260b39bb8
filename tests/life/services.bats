#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# From power on to services, in QEMU, in one boot: a server without the internet whose card brings a Gateway with a certificate
# of the cluster's own CA, charts and manifests, one of which cannot be installed, and Flux with its token. K3s, Cilium's
# operator, cert-manager and Helm are stand-ins. SESSION=write keeps what the commands of README's picture said (docs/first-boot.session).

load ../lib/life
load ../lib/refute
load ../lib/flux

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
	mkdir release && cp pibuild.lock release/
}

setup_file() {
	need_qemu
	cd "$BATS_FILE_TMPDIR"
	ssh-keygen -q -t ed25519 -N '' -f key -C desk
	write_services
	desk cp-1 192.168.1.11
	export top PIBUILD
	export -f serve_apps build_services flux_install sha256_of
	sandbox --airgap --base bootable -- bash -euc build_services >build.log 2>&1 || { cat build.log; return 1; }
	judge out/cp-1.img
	machine start cp-1 out/cp-1.img --memory 768 --cpus 1 --net user:192.168.1.0/24 --desk "$(cat port-cp-1)" --append pibuild.network=closed
}

# Not of disks, as those of other files.
need_loop() { :; }

@test "the cluster is READY with all its services, and the app that cannot be installed says why on a line of its own" {
	begun=$SECONDS
	ready cp-1
	took 'READY'
	on cp-1 cat /run/pibuild/status.json >status.json
	[ "$(jq -r '.steps[].state' status.json | sort -u)" = "done" ]
	[ "$(jq -r '[.apps[] | .name + "=" + .state] | sort | join(" ")' status.json)" = 'flux=done monitors=failed own=done tool=done web=done' ]
	jq -r '.apps[] | select(.name == "monitors").cause' status.json | grep -q 'no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"'
	grep -qaE 'pibuild: app monitors: failed: ' cp-1/console.log
	grep -qaE 'pibuild: READY: all [0-9]+ steps done' cp-1/console.log
}

@test "what README's picture shows is what is said" {
	at_desk check
	mv said checked
	at_desk status
	mv said status
	PATH=$PWD/bin:$PATH ssh -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=known pi@192.168.1.11 pibuild-status >node || true # the log of what failed comes with it
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
