#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The kubeconfig, proved by TLS: a server made as K3s makes its own (leaf by the server CA, clients by the client CA).

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	unset SUDO_UID
	write_cluster
	"$PIBUILD" secrets new
}

teardown() {
	[ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
}

# Value of a -data key of the kubeconfig on stdin.
field() { sed -n "s/^ *$1: \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p"; }

unpack_kubeconfig() {
	field certificate-authority-data <admin.conf | base64 -d >ca.crt
	field client-certificate-data <admin.conf | base64 -d >client.crt
	field client-key-data <admin.conf | base64 -d >client.key
}

# An API server's TLS side with the keys of the secrets file; sets server_pid and port.
start_server() {
	"$PIBUILD" secrets show --show-secrets --json >all.json
	jq -j .ca.server.certificate all.json >server-ca.crt
	jq -j .ca.server.key all.json >server-ca.key
	jq -j .ca.client.certificate all.json >client-ca.crt
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -subj /CN=k3s -out leaf.csr
	printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >leaf.ext
	openssl x509 -req -in leaf.csr -CA server-ca.crt -CAkey server-ca.key -set_serial 7 -days 2 -extfile leaf.ext \
		-out leaf.crt
	# An answer with its headers, as s_server -HTTP sends files.
	body='{"major":"1","minor":"36","gitVersion":"v1.36.4+k3s1"}'
	printf 'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" >version
	: >server.log
	openssl s_server -accept 0 -4 -HTTP -key leaf.key -cert leaf.crt -Verify 2 -verify_return_error \
		-verifyCAfile client-ca.crt >server.log 2>&1 &
	server_pid=$!
	for _ in $(seq 50); do
		port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' server.log)
		[ -z "$port" ] || return 0
		sleep 0.1
	done
	cat server.log
	return 1
}

@test "the kubeconfig is on stdout and nothing else" {
	"$PIBUILD" kubeconfig >admin.conf 2>err
	grep -qx 'apiVersion: v1' admin.conf
	grep -qx 'kind: Config' admin.conf
	grep -qx 'current-context: lab' admin.conf
	[ "$(field server <admin.conf)" = https://192.168.1.11:6443 ]
	# Until when it is good goes to the person.
	grep -qE 'until 20[0-9]{2}-[0-9]{2}-[0-9]{2}$' err
}

@test "kubectl reads the kubeconfig" {
	command -v kubectl >/dev/null || skip "kubectl is not installed"
	"$PIBUILD" kubeconfig -o admin.conf
	[ "$(kubectl --kubeconfig admin.conf config current-context)" = lab ]
	[ "$(kubectl --kubeconfig admin.conf config view -o jsonpath='{.clusters[0].cluster.server}')" = \
		https://192.168.1.11:6443 ]
	[ "$(kubectl --kubeconfig admin.conf config view --minify -o jsonpath='{.users[0].name}')" = admin@lab ]
}

# bats test_tags=slow
@test "a server with these CAs lets the kubeconfig's client in, and the client trusts the server" {
	"$PIBUILD" kubeconfig >admin.conf
	unpack_kubeconfig
	start_server
	curl -sS --max-time 10 --noproxy '*' --cacert ca.crt --cert client.crt --key client.key \
		"https://127.0.0.1:$port/version" | grep -q v1.36.4+k3s1
	if command -v kubectl >/dev/null; then
		cp admin.conf moved
		sed -i "s|https://.*:6443|https://127.0.0.1:$port|" moved
		kubectl --kubeconfig moved get --raw /version | grep -q v1.36.4+k3s1
	fi
}

# bats test_tags=slow
@test "without the certificate, or with one of another cluster, there is no way in" {
	"$PIBUILD" kubeconfig >admin.conf
	unpack_kubeconfig
	start_server
	run curl -sS --max-time 10 --noproxy '*' --cacert ca.crt "https://127.0.0.1:$port/version"
	[ "$status" -ne 0 ]
	"$PIBUILD" --secrets other.yaml secrets new
	"$PIBUILD" --secrets other.yaml kubeconfig >admin.conf
	mkdir other && cd other && mv ../admin.conf . && unpack_kubeconfig
	run curl -sS --max-time 10 --noproxy '*' --cacert ../ca.crt --cert client.crt --key client.key \
		"https://127.0.0.1:$port/version"
	[ "$status" -ne 0 ]
	# And the other cluster's client does not trust this server.
	run curl -sS --max-time 10 --noproxy '*' --cacert ca.crt --cert ../client.crt --key ../client.key \
		"https://127.0.0.1:$port/version"
	[ "$status" -eq 60 ]
}

@test "-o writes a private file whatever the umask" {
	umask 000
	"$PIBUILD" kubeconfig -o admin.conf >out
	[ ! -s out ]
	[ "$(stat -c %a admin.conf)" = 600 ]
	"$PIBUILD" kubeconfig | cmp - admin.conf
}

@test "-o replaces the cluster's own kubeconfig but not one with others in it" {
	"$PIBUILD" kubeconfig -o admin.conf
	"$PIBUILD" secrets rotate admin
	cp admin.conf before
	"$PIBUILD" kubeconfig -o admin.conf
	refute cmp -s before admin.conf
	cat >mine <<-EOT
		apiVersion: v1
		kind: Config
		clusters:
		- {name: lab, cluster: {server: "https://a"}}
		- {name: work, cluster: {server: "https://b"}}
	EOT
	echo 'something else' >notes
	cp mine mine.before
	for file in mine notes; do
		run "$PIBUILD" kubeconfig -o "$file"
		[ "$status" -eq 5 ]
		[[ "$output" == *"kubeconfig --merge -o"* ]]
	done
	cmp mine mine.before
	[ "$(cat notes)" = 'something else' ]
	"$PIBUILD" kubeconfig -o notes --force
	cmp notes admin.conf
}

@test "the endpoint of the cluster is the server's name" {
	sed -i 's/^  name: lab/  name: lab\n  endpoint: api.home.example.com/' cluster.yaml
	"$PIBUILD" kubeconfig 2>err | field server >url
	[ "$(cat url)" = https://api.home.example.com:6443 ]
	refute grep -q resolve err
}

@test "the VIP is the server's address, unless there is an endpoint, and a first server on DHCP is then no matter" {
	sed -i 's/^  name: lab/  name: lab\n  vip: 192.168.1.10/; s/board: rpi5, address: 192.168.1.11\/24/board: rpi5/' cluster.yaml
	"$PIBUILD" kubeconfig 2>err | field server >url
	[ "$(cat url)" = https://192.168.1.10:6443 ]
	refute grep -q resolve err
	sed -i 's/^  name: lab/  name: lab\n  endpoint: api.home.example.com/' cluster.yaml
	[ "$("$PIBUILD" kubeconfig | field server)" = https://api.home.example.com:6443 ]
}

@test "a first server on DHCP is reached by its name, and that is said" {
	sed -i 's/board: rpi5, address: 192.168.1.11\/24/board: rpi5/' cluster.yaml
	"$PIBUILD" kubeconfig 2>err | field server >url
	[ "$(cat url)" = https://cp-1:6443 ]
	grep -q "resolve the name 'cp-1'" err
}

@test "the same secrets give the same kubeconfig" {
	"$PIBUILD" kubeconfig >one
	TZ=Asia/Tokyo LC_ALL=C "$PIBUILD" kubeconfig >two
	cmp one two
}

@test "no secret of the kubeconfig is in what is said" {
	"$PIBUILD" -v kubeconfig >admin.conf 2>err
	refute grep -F "$(field client-key-data <admin.conf | cut -c1-60)" err
	field client-key-data <admin.conf | base64 -d | grep -v PRIVATE >lines
	[ -s lines ]
	refute grep -Ff lines err
}

@test "a full disk is an error" {
	[ -w /dev/full ] || skip "no /dev/full"
	run bash -c '"$0" kubeconfig >/dev/full' "$PIBUILD"
	[ "$status" -eq 1 ]
}

@test "a pipe or a device is not replaced, nor waited for" {
	mkfifo pipe
	fails 5 'pipe is a folder, device or pipe, and no file is put in its place' timeout 20 "$PIBUILD" kubeconfig -o pipe
	[ -p pipe ]
}

# --- --merge, judged by kubectl, or where there is none by a parser of YAML

# names CLUSTERS|CONTEXTS|USERS FILE: sorted
names() {
	python3 -c 'import sys, yaml
print(*sorted(x["name"] for x in yaml.safe_load(open(sys.argv[2]))[sys.argv[1]]))' "$1" "$2"
}

# of FILE CONTEXT: server and user that kubectl takes for a context
of() {
	kubectl --kubeconfig "$1" --context "$2" config view --minify -o 'jsonpath={.clusters[0].cluster.server} {.users[0].name}'
}

work_config() {
	cat <<-EOT
		# mine
		apiVersion: v1
		kind: Config
		current-context: work
		preferences: {colors: true}
		clusters:
		- name: work
		  cluster: {server: "https://work.example.com", insecure-skip-tls-verify: true}
		contexts:
		- name: work
		  context: {cluster: work, user: me, namespace: "0123"}
		users:
		- name: me
		  user:
		    exec: {apiVersion: client.authentication.k8s.io/v1, command: get-token, args: [--port, "8000", "yes"], interactiveMode: IfAvailable}
	EOT
}

@test "--merge keeps all others as they are, takes it in beside them, and again changes nothing" {
	work_config >config
	chmod 644 config
	cp config was
	"$PIBUILD" kubeconfig --merge -o config >out 2>err
	[[ "$(tail -n 1 err)" == 'pibuild: next: '* ]]
	[ ! -s out ]
	[ "$(stat -c %a config) $(stat -c %a config.bak)" = '600 600' ]
	cmp was config.bak
	[ "$(names clusters config), $(names contexts config), $(names users config)" = 'lab work, lab work, admin@lab me' ]
	# What was there is what it was, to the type.
	python3 - <<-'EOT'
		import yaml
		was, now = (yaml.safe_load(open(f)) for f in ("was", "config"))
		for key, value in was.items():
		    assert (value == now[key]) if not isinstance(value, list) else all(x in now[key] for x in value), key
	EOT
	grep -q 'kubectl config use-context lab' err
	refute grep -qF "$("$PIBUILD" kubeconfig | field client-key-data)" err
	cp config once
	"$PIBUILD" kubeconfig --merge -o config 2>err
	cmp once config
	[ "$(ls config.*)" = config.bak ]
	# Of later changes what was there is kept, too, and nobody's .bak is replaced.
	"$PIBUILD" secrets rotate admin
	"$PIBUILD" kubeconfig --merge -o config 2>err
	cmp was config.bak
	cmp once config.*Z.bak
	[ ! -e config.lock ]
	command -v kubectl || skip 'needs kubectl'
	[ "$(of config lab)" = 'https://192.168.1.11:6443 admin@lab' ]
	[ "$(kubectl --kubeconfig config config current-context)" = work ]
	"$PIBUILD" kubeconfig >own.conf
	[ "$(kubectl --kubeconfig config --context lab config view --minify --raw -o 'jsonpath={.users[0].user.client-key-data}')" = "$(field client-key-data <own.conf)" ]
}

@test "--merge goes where kubectl looks: KUBECONFIG's first, else ~/.kube/config, which it makes; the first one becomes current" {
	export HOME=$PWD/home KUBECONFIG=''
	mkdir home
	"$PIBUILD" kubeconfig --merge 2>err
	[ "$(stat -c %a home/.kube home/.kube/config)" = $'700\n600' ]
	[ ! -e home/.kube/config.bak ]
	grep -qx 'current-context: lab' home/.kube/config
	refute grep -q use-context err
	work_config >real && ln -s real link
	KUBECONFIG=:link:home/.kube/config "$PIBUILD" kubeconfig --merge 2>err
	[ -L link ]
	[ "$(names clusters real)" = 'lab work' ]
}

@test "--merge: another cluster of the same name keeps its own; ours is known by server or CA, whatever its context is called" {
	"$PIBUILD" kubeconfig >own.conf
	printf 'apiVersion: v1\nkind: Config\nclusters: [{name: lab, cluster: {server: "https://10.0.0.1:6443"}}]\ncontexts: [{name: lab, context: {cluster: lab, user: x}}]\nusers: [{name: x, user: {}}]\n' >config
	"$PIBUILD" kubeconfig --merge -o config 2>err
	[ "$(names clusters config), $(names users config)" = 'lab lab-192.168.1.11, admin@lab-192.168.1.11 x' ]
	grep -q 'https://10.0.0.1:6443' config
	sed -i 's/192.168.1.11:6443/192.168.1.99:6443/; s/^  - context:$/&/' config
	# the same CA at another address, in a context by another name
	cp own.conf config
	sed -i 's/192.168.1.11/192.168.1.99/; s/current-context: lab/current-context: home/' config
	python3 -c 'import yaml; c = yaml.safe_load(open("config")); c["contexts"][0]["name"] = "home"; yaml.safe_dump(c, open("config", "w"))'
	"$PIBUILD" kubeconfig --merge -o config 2>err
	[ "$(names clusters config), $(names contexts config)" = 'lab, home' ]
	grep -q 'https://192.168.1.11:6443' config
	printf 'kind: Config\nclusters: [{name: lab, cluster: {server: "https://a"}}, {name: lab-192.168.1.11, cluster: {server: "https://b"}}]\n' >config
	fails 5 'config has other clusters called lab already: rename them there' "$PIBUILD" kubeconfig --merge -o config
}

@test "--merge refuses what is no kubeconfig, or one that kubectl is changing, and changes nothing" {
	echo 'apiVersion: v1' >config
	for text in 'kind: Pod' 'a: 1' '[a]' 'kind: Config
clusters: {a: b}'; do
		echo "$text" >config
		fails 5 'is no kubeconfig' "$PIBUILD" kubeconfig --merge -o config
		[ "$(cat config)" = "$text" ]
	done
	echo 'a: &x 1' >config
	fails 3 'config:1' "$PIBUILD" kubeconfig --merge -o config
	rm config && : >config.lock
	fails 5 'being changed by kubectl' "$PIBUILD" kubeconfig --merge -o config
	[ ! -e config ]
	[ -e config.lock ]
}

@test "a kubeconfig of several clusters that -o refuses takes it in as the message says" {
	work_config >config
	run "$PIBUILD" kubeconfig -o config
	[ "$status" -eq 5 ]
	command=$(sed -n 's/.*`pibuild \(kubeconfig --merge [^`]*\)`.*/\1/p' <<<"$output")
	eval "\"$PIBUILD\" $command"
	[ "$(names clusters config)" = 'lab work' ]
}
