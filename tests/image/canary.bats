#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where the secrets of a cluster turn up: in the files of a card that need them, and nowhere else, in no form.
#
# Every secret is random and long, so each is its own canary. One build, traced and with all its talk, under umask 000.

load ../lib/canaries

wifi_canary=wifiCanary7Q2xVb9LmZ4tRk8WpNc3Hs
dns_canary=dnsCanaryK3v8Xw1Rz6Tq9Yb4Lm7Jd2Fg
backup_canary=backupCanary5Rt8Yp2Wq9Zx4Vn7Kd1Hs
bgp_canary=bgpCanary4Lt7Xw2Kp9Zr6Vb3Nq8Yd
registry_canary=registryCanary8Hn4Wc6Zq2Xv9Rt5Kb3Lm
app_canary=appCanary2Wd6Xk9Tn4Rb7Zp3Lq8Vm5
hash_canary=zxdHWSoVJ0cSFUmAAJWBfyzOBQJIW8rw7PyL8mZgr91GNOihXyTfPclGxp1hqXIRM77FWQMFwsT1ZDCAfk

write_canary_cluster() {
	cat >cluster.yaml <<-EOT
		apiVersion: pibuild/v1
		cluster: {name: lab}
		access:
		  user: pi
		  sshKeys: ['$example_key']
		  passwordHash: '\$6\$saltsalt\$$hash_canary/250'
		network:
		  subnet: 192.168.1.0/24
		  gateway: 192.168.1.1
		  nameservers: [192.168.1.1]
		  wifi: {ssid: Home, passphrase: {file: wifi}, country: DE}
		loadBalancer:
		  pools: [{name: services, range: 172.20.0.10-172.20.0.20}]
		  announce: {bgp: {router: 192.168.1.1, routerASN: 64512, asn: 64513, password: {env: BGP_PASSWORD}}}
		registries:
		  auth: [{registry: docker.io, username: me, password: {file: registry}}]
		certManager:
		  email: me@my-domain.org
		  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}
		  zones: [home.my-domain.org]
		  issuers: [letsencrypt-production, ca]
		backup: {to: {s3: {endpoint: 'https://nas.my-domain.org', bucket: homelab, accessKey: {env: BACKUP_ID}, secretKey: {env: BACKUP_KEY}}}}
		apps: [{name: own, manifest: [own.yaml], namespace: own, secrets: [{name: a, data: {user: {env: BACKUP_ID}}}, {name: b, data: {token: {file: app}}}]}]
		nodes:
		  - {name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24}
		  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.12/24}
		  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.13/24}
		  - {name: w-1, role: worker, board: rpi5, address: 192.168.1.14/24}
		  - {name: w-2, role: worker, board: zero2w, address: 192.168.1.15/24}
	EOT
	echo "$wifi_canary" >wifi
	echo "$registry_canary" >registry
	echo "$app_canary" >app
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\n' >own.yaml
}

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	export DO_TOKEN=$dns_canary BACKUP_ID=backup-id BACKUP_KEY=$backup_canary BGP_PASSWORD=$bgp_canary ASAN_OPTIONS=detect_leaks=0
	write_canary_cluster
	mkdir tmp talk
	(
		umask 000
		export TMPDIR=$PWD/tmp
		sandbox -- strace -f -v -s 65535 -o trace -e trace=execve,open,openat,creat -e signal=none \
			"$PIBUILD" -v --json --progress plain --cache cache >talk/build 2>talk/build.err
	)
	canaries list secrets.yaml "wifi=$wifi_canary" "dns=$dns_canary" "registry=$registry_canary" "backup=$backup_canary" "bgp=$bgp_canary" "app=$app_canary" "hash=$hash_canary" >list
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

# Root's and unreadable for all others, whoever holds one.
private() {
	local img=out/$1.img path
	for path in $(cut -d' ' -f2 holders | sort -u); do
		case $(root_owner "$img" "$path") in 0:0 | 0:42) ;; *) echo "$path: $(root_owner "$img" "$path")"; return 1 ;; esac
		case $(root_mode "$img" "$path") in 0600 | 0640) ;; *) echo "$path: $(root_mode "$img" "$path")"; return 1 ;; esac
		[ "$(root_owner "$img" "$path")" = 0:0 ] || [ "$path" = /etc/shadow ]
	done
}

# talks NAME COMMAND...: what it says goes to talk/NAME; it may fail.
talks() {
	local name=talk/$1
	shift
	"$@" >"$name" 2>"$name.err" || true
	[ -s "$name" ] || [ -s "$name.err" ] || { echo "nothing was said: $*"; return 1; }
}

@test "the search itself: every secret is found, in every form, in names too" {
	canaries find list secrets.yaml wifi registry app cluster.yaml | sed 's/^[^ ]* //; s/\.[0-9]* / /; s/ .*//' | sort -u >seen
	printf '%s\n' admin ca.{client,etcdPeer,etcdServer,requestHeader,server} hash issuer-ca password.{cp-{1,2,3},w-{1,2}} service \
		app registry token.{agent,server} wifi | sort | diff - seen
	[ "$(awk 'length($2) < 24' list)" = '' ]
	mkdir "$BATS_TEST_TMPDIR/bin" && cd "$BATS_TEST_TMPDIR"
	printf 'x%s' $dns_canary | base64 -w0 >one
	printf 'xy%s' $dns_canary | base64 -w0 >two
	printf 'xyz%s, and more' $dns_canary | base64 -w0 >three
	printf '%s' $dns_canary | od -An -tx1 | tr -d ' \n' >hex
	printf '\0\n%s\0' $dns_canary >raw
	: >"bin/$dns_canary.tmp"
	for file in one two three hex raw bin; do
		refute clean $file
	done
}

@test "nothing is said: not by -v, not by --json" {
	grep -q '"path"\|cp-1.img' talk/build
	grep -q 'debug:' talk/build.err
	clean talk
}

@test "no secret is an argument or in the environment of a program that is run" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to read the arguments of programs that pibuild runs"
	# What the user put into the environment of pibuild itself is the first line.
	grep execve trace | tail -n +2 >executed
	grep -q 'execve("[^"]*/resize2fs", \["resize2fs".*\["LC_ALL=C"' executed
	grep -q 'execve("[^"]*/e2fsck"' executed
	clean executed
}

@test "manifests, the cache and its names, and the folder for temporary files hold none" {
	[ "$(find cache -type f | wc -l)" -gt 5 ]
	clean cache out/*.json
	[ -z "$(ls -A tmp)" ]
}

@test "a lock made for this cluster holds none" {
	cp -r cluster.yaml wifi registry app own.yaml "$BATS_TEST_TMPDIR" && cd "$BATS_TEST_TMPDIR"
	sandbox -- env -u PIBUILD_LOCK "$PIBUILD" lock --progress none >/dev/null 2>&1
	grep -q sha256 pibuild.lock
	clean pibuild.lock
}

@test "the boot partition holds none, byte for byte" {
	for node in cp-1 cp-2 w-1 w-2; do
		part out/$node.img 1 "$BATS_TEST_TMPDIR/$node.fat"
		clean "$BATS_TEST_TMPDIR/$node.fat"
	done
}

@test "before the partitions there is none either" {
	for node in cp-1 w-2; do
		head -c "$(part_start out/$node.img 1)" out/$node.img >"$BATS_TEST_TMPDIR/head"
		clean "$BATS_TEST_TMPDIR/head"
	done
}

tls=/var/lib/rancher/k3s/server/tls
config=/etc/rancher/k3s/config.yaml
registry=registry=/etc/rancher/k3s/registries.yaml

@test "the first server has tokens, the CA set, its password, the DNS token, the registry's and the key of backups, each in one private file" {
	holds cp-1 "token.server=$config" "token.agent=$config" password.cp-1=/etc/rancher/node/password \
		"ca.server=$tls/server-ca.key" "ca.client=$tls/client-ca.key" "ca.requestHeader=$tls/request-header-ca.key" \
		"ca.etcdServer=$tls/etcd/server-ca.key" "ca.etcdPeer=$tls/etcd/peer-ca.key" "service=$tls/service.key" \
		admin=/etc/pibuild/secrets/admin.key dns=/etc/pibuild/secrets/dns01.yaml issuer-ca=/etc/pibuild/secrets/issuer-ca.yaml bgp=/etc/pibuild/secrets/bgp.yaml app=/etc/pibuild/secrets/app-own.yaml backup=/etc/pibuild/secrets/backup.curl \
		"$registry" hash=/etc/shadow
	private cp-1
}

@test "a further server has the tokens, what they are worth, its own password, the registry's and the key of backups, no CA key and no DNS token" {
	for node in cp-2 cp-3; do
		holds $node "token.server=$config" "token.agent=$config" password.$node=/etc/rancher/node/password \
			admin=/etc/pibuild/secrets/admin.key backup=/etc/pibuild/secrets/backup.curl "$registry" hash=/etc/shadow
		private $node
	done
}

@test "a worker has the agent token and its own password: no server token, no CA key, no admin key" {
	holds w-1 "token.agent=$config" password.w-1=/etc/rancher/node/password "$registry" hash=/etc/shadow
	private w-1
}

@test "only a node on Wi-Fi has the passphrase" {
	holds w-2 "token.agent=$config" password.w-2=/etc/rancher/node/password "$registry" hash=/etc/shadow \
		wifi=/etc/NetworkManager/system-connections/pibuild-wlan0.nmconnection
	private w-2
}

@test "under umask 000 secrets and images are private, from their first byte" {
	[ "$(stat -c %a secrets.yaml out/*.img | sort -u)" = 600 ]
	[ "$(find cache -type f -perm /077 -o -type d -name cache -perm /077)" = '' ]
	[ "$(grep -c O_CREAT trace)" -gt 10 ]
	refute grep -E 'O_CREAT.*, 0[0-7]*[1-7][0-7]?\) += [0-9]' <(grep -v -e ', 0600) ' -e '\.gcda"' trace) # counts of make coverage
}

@test "no report on the cluster or its images tells one" {
	for node in cp-1 w-2; do
		talks "inspect-$node" "$PIBUILD" inspect out/$node.img
		talks "inspect-json-$node" "$PIBUILD" -v inspect --json out/$node.img
		talks "verify-$node" "$PIBUILD" -v verify out/$node.img
		talks "render-$node" "$PIBUILD" -v render --node $node -o masked/$node
	done
	for other in cp-2 w-1; do
		talks "diff-$other" "$PIBUILD" -v diff out/cp-1.img out/$other.img
		talks "diff-json-$other" "$PIBUILD" -v diff --json out/w-2.img out/$other.img
	done
	for command in check plan doctor 'secrets show'; do
		# shellcheck disable=SC2086 # words
		talks "${command// /-}" "$PIBUILD" -v $command --cache cache
		# shellcheck disable=SC2086
		talks "${command// /-}-json" "$PIBUILD" $command --json --cache cache
	done
	# The hash stands in cluster.yaml, so it is no secret of ours to mask in a rendered tree.
	clean talk
	grep -v '^hash ' list >"$BATS_TEST_TMPDIR/list"
	list=$BATS_TEST_TMPDIR/list clean masked
}

@test "a kubeconfig holds the admin's key and nothing else, and is private" {
	(umask 000 && "$PIBUILD" kubeconfig -o admin.conf 2>talk/kubeconfig)
	[ "$(stat -c %a admin.conf)" = 600 ]
	[ "$(canaries find list admin.conf | sed 's/^[^ ]* //; s/\.[0-9]* .*//' | sort -u)" = admin ]
	clean talk/kubeconfig
}

@test "a build that fails while it writes says none and leaves none behind" {
	cd "$BATS_TEST_TMPDIR"
	cp -p "$BATS_FILE_TMPDIR"/{cluster.yaml,secrets.yaml,wifi,registry,app,own.yaml} .
	mkdir talk cache && cp -r "$BATS_FILE_TMPDIR/cache/objects" cache/
	failed=0
	for n in 1 2 3 4 7 8; do
		rm -rf out
		talks "fsync-$n" sandbox -- strace -o trace -e trace=fsync -e "inject=fsync:error=EIO:when=$n" \
			"$PIBUILD" -v --json --progress json --cache cache
		[ "$(find . -name '*.part')" = '' ]
		# Some are not our own: libext2fs flushes too, and the image is flushed again after it.
		grep -q 'Input/output error' "talk/fsync-$n.err" && failed=$((failed + 1))
	done
	[ "$failed" -ge 3 ]
	rm -f out/*.img
	clean talk cache out
}

@test "a build that is killed leaves none in the cache, in temporary files and in what it said" {
	object=${PIBUILD%/*}/tests/faults/fault.so
	[ -e "$object" ] || skip "make $object"
	[ "$(grep -c __asan_init "$PIBUILD")" -eq 0 ] || skip "the sanitizers have their own memory"
	cd "$BATS_TEST_TMPDIR"
	cp -p "$BATS_FILE_TMPDIR"/{cluster.yaml,secrets.yaml,wifi,registry,app,own.yaml} .
	mkdir talk cache tmp && cp -r "$BATS_FILE_TMPDIR/cache/objects" cache/
	killed=0
	umask 000
	for n in 2 4 6 8; do
		# SIGKILL (3, 9) at the n-th fsync (kind 4): what is to be flushed has been written
		python3 -c "import struct; open('fault', 'wb').write(struct.pack('=IIIIQII36Q', 4, 3, 9, 0, $n, *[0] * 38))"
		sandbox -- env TMPDIR="$PWD/tmp" FAULT_FILE="$PWD/fault" LD_PRELOAD="$object" "$PIBUILD" -v --progress json --cache cache \
			--node cp-1 >"talk/$n" 2>&1 || killed=$((killed + 1))
		# What stands beside an image is for everybody; that it holds none is looked at below.
		[ -z "$(find out tmp cache -name '*.img.[0-9]*.part' -perm /077)" ]
		rm -f out/*.img
		find out -name '.*.img.*.part' -delete # the image itself, which holds what its card has to
		clean talk cache tmp out
	done
	[ "$killed" -ge 3 ]
}

@test "when a build ends its memory holds no secret, and what held them was locked" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: nobody else reads the memory of pibuild"
	[ "$(grep -c __asan_init "$PIBUILD")" -eq 0 ] || skip "the sanitizers have their own memory"
	# What comes from the environment stays there; the rest is a line of the list each.
	grep -vE '^(dns|backup|bgp) ' list >"$BATS_TEST_TMPDIR/list"
	sandbox -- python3 "$top/tests/lib/memory.py" "$BATS_TEST_TMPDIR/list" "$PIBUILD" --progress none --cache cache --node cp-1 -o again >memory
	cat memory
	[ "$(wc -l <memory)" -eq 1 ]
	[ "$(cat memory)" -gt 1000000 ]
	grep -q '^mlock(.* = 0$' memory-strace
}

@test "a damaged secrets file is complained about without a word of it" {
	cd "$BATS_TEST_TMPDIR"
	cp "$BATS_FILE_TMPDIR"/{cluster.yaml,wifi,registry,app,own.yaml} .
	mkdir talk
	cut -d' ' -f2 "$BATS_FILE_TMPDIR/list" >values
	grep -nFf values "$BATS_FILE_TMPDIR/secrets.yaml" | cut -d: -f1 >lines
	[ "$(wc -l <lines)" -gt 30 ]
	while read -r n; do
		for damage in 's/$/!/' 's/^ *//' 's/: /: - /;s/^ *\([^ ]*\)$/ \1: x/' 's/^\( *\)\(.*\)/\1\2\n\1\2/' 's/$/\x01/'; do
			sed "$n{$damage}" "$BATS_FILE_TMPDIR/secrets.yaml" >secrets.yaml
			chmod 600 secrets.yaml
			"$PIBUILD" -v check >>talk/all 2>&1 || true
		done
	done <lines
	[ "$(grep -c 'secrets.yaml:' talk/all)" -gt 100 ]
	clean talk
}

@test "a secret in the wrong place of cluster.yaml is refused and not repeated" {
	cd "$BATS_TEST_TMPDIR"
	cp "$BATS_FILE_TMPDIR"/{wifi,registry,app,own.yaml} .
	mkdir talk
	wrong() {
		write_canary_cluster
		sed -i "$1" cluster.yaml
		run "$PIBUILD" -v check --json
		[ "$status" -eq 3 ] || { echo "$1: exit $status"; echo "$output"; return 1; }
		printf '%s\n' "$output" >>talk/all
		talks build "$PIBUILD" -v
		cat talk/build talk/build.err >>talk/all
	}
	wrong "s/{env: DO_TOKEN}/$dns_canary/"
	wrong "s/{env: DO_TOKEN}/[$dns_canary]/"
	wrong "s/{env: DO_TOKEN}/{env: $dns_canary-}/"
	wrong "s/{env: DO_TOKEN}/{env: DO_TOKEN, value: $dns_canary}/"
	wrong "s/{file: registry}/$registry_canary/"
	wrong "s/{file: registry}/{env: $registry_canary-}/"
	wrong "s/{file: wifi}/$wifi_canary/"
	wrong "s/{file: wifi}/{command: $wifi_canary}/"
	wrong "s/passwordHash: .*/passwordHash: $dns_canary/"
	wrong "s|passwordHash: .*|passwordHash: '\$5\$salt\$$hash_canary'|"
	{
		echo '-----BEGIN OPENSSH PRIVATE KEY-----'
		cut -d' ' -f2 "$BATS_FILE_TMPDIR/list" | tail -n 3
	} >key
	wrong 's/sshKeys: .*/sshKeys: [{file: key}]/'
	wrong "s/sshKeys: .*/sshKeys: ['-----BEGIN OPENSSH PRIVATE KEY----- $dns_canary']/"
	clean talk
}

@test "a secret that cannot be used, or whose command fails, is not repeated" {
	cd "$BATS_TEST_TMPDIR"
	cp -p "$BATS_FILE_TMPDIR"/{cluster.yaml,secrets.yaml,registry,app,own.yaml} .
	mkdir talk
	for wifi in "$wifi_canary$wifi_canary$wifi_canary" "$wifi_canary"$'\n'"$wifi_canary" "$wifi_canary"$'\r' $'\xff'"$wifi_canary"; do
		printf '%s\n' "$wifi" >wifi
		talks check "$PIBUILD" -v check
		talks build build -v
		cat talk/check.err talk/build.err >>talk/all
	done
	grep -q 'network.wifi.passphrase' talk/all
	echo "$wifi_canary" >wifi
	for token in $'\xff'"$dns_canary" "$(head -c 70000 /dev/zero | tr '\0' x)$dns_canary"; do
		printf '%s' "$token" >token
		sed -i 's/{env: DO_TOKEN}/{file: token}/' cluster.yaml
		talks token build -v
		cat talk/token.err >>talk/all
	done
	grep -q 'certManager.dns01.accessToken' talk/all
	sed -i "s|{file: token}|{command: [sh, -c, 'cat secret; exit 3']}|" cluster.yaml
	echo "$dns_canary" >secret
	talks command build -v
	grep -q 'certManager.dns01.accessToken' talk/command.err
	clean talk
}
