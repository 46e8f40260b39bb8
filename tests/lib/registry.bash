# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016 # variables of the library image, a hash with dollars
# Registries on loopback, each with TLS of one throw-away CA ($registry_ca): Debian's docker-registry, with and without a
# login.

registry_user=reader
registry_word=Canary-Word_7
# bcrypt of it, which Debian 12 has no program for that is not a web server.
registry_hash='$2y$05$abcdefghijklmnopqrstuuTtd8MlakfCFB7X3.V7mn1TE5fXLmXpS'

registry_tls() {
	registries=$BATS_FILE_TMPDIR/registries
	registry_ca=$registries/ca.pem
	[ ! -e "$registry_ca" ] || return 0
	mkdir -p "$registries"
	(
		cd "$registries" || exit
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=registries, throw-away' -keyout ca.key \
			-out ca.tmp -addext basicConstraints=critical,CA:true
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
		openssl x509 -req -in server.csr -CA ca.tmp -CAkey ca.key -set_serial 2 -days 30 -out server.pem \
			-extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
		mv ca.tmp ca.pem
	) 2>/dev/null
}

# start_registry NAME [LINE]...: lines of YAML more; its address is then in $registry. Ends with the shell that asked.
start_registry() {
	local dir i
	registry_tls
	dir=$registries/$1
	mkdir -p "$dir"
	{
		cat <<-CONFIG
			version: 0.1
			log: {level: info, accesslog: {disabled: false}}
			storage: {filesystem: {rootdirectory: "$dir/data"}}
			http:
			  addr: "127.0.0.1:0"
			  secret: test
			  tls: {certificate: "$registries/server.pem", key: "$registries/server.key"}
		CONFIG
		printf '%s\n' "${@:2}"
	} >"$dir/registry.yml"
	setpriv --pdeathsig KILL docker-registry serve "$dir/registry.yml" >"$dir/log" 2>&1 3>&- </dev/null &
	echo $! >"$dir/pid"
	for ((i = 0; i < 500; i++)); do
		registry=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\), tls.*/\1/p' "$dir/log")
		[ -z "$registry" ] || { echo "$registry" >"$dir/address"; return 0; }
		sleep 0.02
	done
	cat "$dir/log" >&2
	return 1
}

# start_closed_registry NAME: one that wants $registry_user and $registry_word.
start_closed_registry() {
	registry_tls
	mkdir -p "$registries/$1"
	echo "$registry_user:$registry_hash" >"$registries/$1/users"
	start_registry "$1" "auth: {htpasswd: {realm: here, path: \"$registries/$1/users\"}}"
}

stop_registries() {
	local pid
	for pid in "$BATS_FILE_TMPDIR"/registries/*/pid; do
		[ ! -e "$pid" ] || kill -KILL "$(cat "$pid")" 2>/dev/null || true
	done
}

# address_of NAME: of one that was started in setup_file.
address_of() {
	registries=$BATS_FILE_TMPDIR/registries
	registry_ca=$registries/ca.pem
	registry=$(cat "$registries/$1/address")
}

# log_in FILE REGISTRY: as skopeo keeps it; the password goes through its stdin.
log_in() {
	mkdir -p "$BATS_TEST_TMPDIR/certs" && cp "$registry_ca" "$BATS_TEST_TMPDIR/certs/ca.crt"
	skopeo login --authfile "$1" --cert-dir "$BATS_TEST_TMPDIR/certs" -u "$registry_user" --password-stdin "$2" <<<"$registry_word" >/dev/null
}

# start_odd_registry: the stand-in that misbehaves by the name of the repository (registry.py), as `odd`.
start_odd_registry() {
	local dir i
	registry_tls
	dir=$registries/odd
	mkdir -p "$dir"
	"$top/tests/lib/registry.py" "$dir" "$registries/server.pem" "$registries/server.key" >"$dir/talk" 2>&1 3>&- </dev/null &
	echo $! >"$dir/pid"
	for ((i = 0; i < 500; i++)); do
		[ ! -s "$dir/address" ] || return 0
		sleep 0.02
	done
	cat "$dir/talk" >&2
	return 1
}
