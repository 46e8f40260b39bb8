# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# Servers of the sandbox on loopback: nginx with TLS, a container registry, and their throw-away CA.
# Each runs in a folder of its own, ends with the shell that started it, and needs no root.

servers=()
# shellcheck disable=SC2034 # for those who start them
web_port='' registry_port=''

# tls_dir: folder with ca.pem, server.pem and server.key. A new one each month, long before expiry.
tls_dir() {
	local dir
	dir=$keep/tls-$(date -u +%Y-%m)
	kept "$dir" make_tls
	printf '%s\n' "$dir"
}

make_tls() (
	umask 077
	mkdir -p "$1"
	cd "$1" || exit
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 \
		-subj '/CN=pibuild sandbox, throw-away' -keyout ca.key -out ca.pem \
		-addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
		-keyout server.key -out server.csr 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:false\n' >server.ext
	openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 90 \
		-extfile server.ext -out server.pem 2>/dev/null
	rm ca.key server.csr server.ext
)

# serve COMMAND...: in the background and out of reach of Ctrl-C; killed with this shell, whatever
# ends it, also just now.
serve() {
	local shell=$BASHPID
	# shellcheck disable=SC2016 # for the inner shell
	setpriv --pdeathsig KILL sh -c '[ "$PPID" = "$1" ] && shift && exec setsid "$@"' - "$shell" "$@" </dev/null &
	servers+=($!)
	disown $!
}

stop_servers() {
	[ ${#servers[@]} -eq 0 ] || kill -KILL "${servers[@]}" 2>/dev/null || true
	servers=()
}

running() {
	kill -0 "${servers[-1]}" 2>/dev/null
}

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	printf '%s\n' "$port"
}

pause() {
	sleep 0.02
}

# start_web RUN STANDINS TLS: sets web_port.
start_web() {
	local run=$1 try i
	mkdir -p "$run/www" "$run/tmp"
	for try in 1 2 3 4 5; do
		web_port=$(free_port)
		web_config "$web_port" "$@" >"$run/nginx.conf"
		serve nginx -p "$run" -c "$run/nginx.conf" -e "$run/error.log" >/dev/null 2>&1
		for ((i = 0; i < 100; i++)); do
			[ ! -s "$run/nginx.pid" ] || return 0
			running || break
			pause
		done
		note "nginx did not start on port $web_port (try $try)"
		stop_servers
	done
	cat "$run/error.log" >&2
	die "nginx does not start"
}

# One process, so that one kill ends it, and as the user who started it, so that it can read.
web_config() {
	cat <<-CONFIG
		daemon off;
		master_process off;
		pid "$2/nginx.pid";
		error_log "$2/error.log";
		events { worker_connections 256; }
		http {
			client_body_temp_path "$2/tmp/body";
			proxy_temp_path "$2/tmp/proxy";
			fastcgi_temp_path "$2/tmp/fastcgi";
			uwsgi_temp_path "$2/tmp/uwsgi";
			scgi_temp_path "$2/tmp/scgi";
			log_format line '\$status \$request_method \$request_uri \$body_bytes_sent "\$http_range"';
			access_log "$2/access.log" line;
			types { }
			default_type application/octet-stream;
			server {
				listen 127.0.0.1:$1 ssl;
				ssl_certificate "$4/server.pem";
				ssl_certificate_key "$4/server.key";
				root "$2/www";
				try_files \$uri @kept;
				location @kept { root "$3"; try_files \$uri \$uri.json =404; }
			}
		}
	CONFIG
}

# start_registry RUN TLS: with the images that are kept; sets registry_port.
start_registry() {
	local data
	need docker-registry
	data=$keep/registry-$(digest_of "$top"/scripts/standins/{images,push}.py "$top/configs/pibuild.lock")
	kept "$data" fill_registry "$2"
	cp "$data/images" "$1/images"
	serve_registry "$1" "$data" "$2" true
}

# fill_registry TLS OUT
fill_registry() {
	mkdir -p "$2"
	note "filling the container registry"
	serve_registry "$2" "$2" "$1" false
	python "$top/scripts/standins/push.py" "$top/configs/pibuild.lock" "$registry_port" "$1/ca.pem" "$2/images"
	kill -KILL "${servers[-1]}"
	unset 'servers[-1]'
	rm "$2"/registry.*
}

# serve_registry RUN DATA TLS READONLY: on a port of its own choice, read from its log.
serve_registry() {
	local i
	cat >"$1/registry.yml" <<-CONFIG
		version: 0.1
		log: {level: info, accesslog: {disabled: true}}
		storage:
		  filesystem: {rootdirectory: "$2"}
		  maintenance: {readonly: {enabled: $4}, uploadpurging: {enabled: false}}
		http:
		  addr: "127.0.0.1:0"
		  secret: sandbox
		  tls: {certificate: "$3/server.pem", key: "$3/server.key"}
	CONFIG
	serve docker-registry serve "$1/registry.yml" >"$1/registry.log" 2>&1
	for ((i = 0; i < 250; i++)); do
		registry_port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\), tls.*/\1/p' "$1/registry.log")
		[ -z "$registry_port" ] || return 0
		running || break
		pause
	done
	cat "$1/registry.log" >&2
	die "docker-registry does not start"
}
