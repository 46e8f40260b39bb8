#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The cluster's own CA: what it may sign for is judged by openssl; what is printed, kept, replaced, and put on a card.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	ca_cluster home.arpa
}

# ca_cluster ZONE...
ca_cluster() {
	local zones
	zones=$(printf '%s, ' "$@")
	write_cluster
	echo "certManager: {issuers: [ca], zones: [${zones%, }], wildcard: true}" >>cluster.yaml
}

# sign NAME SAN: NAME.pem, as cert-manager would make it from what is in secrets.yaml
sign() {
	"$PIBUILD" secrets show --show-secrets --json | jq -j .issuerCA.key >key.pem
	signed_by ca.pem key.pem "$1" "subjectAltName=$2" extendedKeyUsage=serverAuth basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature,keyEncipherment
}

# signed_by CA KEY NAME EXTENSION...
signed_by() {
	local ca=$1 key=$2 name=$3 extension extensions=()
	for extension in "${@:4}"; do extensions+=(-addext "$extension"); done
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -out "$name.pem" -subj "/O=$name" -days 90 \
		-CA "$ca" -CAkey "$key" "${extensions[@]}" 2>/dev/null
}

# trusted NAME [HOST]
trusted() {
	openssl verify -x509_strict -purpose sslserver -CAfile ca.pem ${2:+-verify_hostname "$2"} "$1.pem"
}

@test "the CA signs for its zones, and for no other name, no address and no further CA" {
	ca_cluster home.arpa lab.internal
	"$PIBUILD" secrets new
	"$PIBUILD" ca >ca.pem
	openssl verify -x509_strict -check_ss_sig -CAfile ca.pem ca.pem
	sign inside 'DNS:home.arpa,DNS:*.home.arpa,DNS:a.b.lab.internal'
	trusted inside hubble.home.arpa
	for name in DNS:example.com DNS:home.arpa.example.com DNS:xhome.arpa DNS:arpa IP:192.168.1.70 IP:2001:db8::1; do
		sign outside "DNS:x.home.arpa,$name"
		run trusted outside
		[[ "$status $output" == [^0]*"subtree violation"* ]] || { echo "$name: $output"; return 1; }
	done
	signed_by ca.pem key.pem below basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign
	signed_by below.pem below.key leaf subjectAltName=DNS:x.home.arpa
	run openssl verify -CAfile ca.pem -untrusted below.pem leaf.pem
	[[ "$output" == *'path length constraint exceeded'* ]]
	openssl x509 -in ca.pem -noout -ext nameConstraints,basicConstraints,extendedKeyUsage >extensions
	grep -q 'Name Constraints: critical' extensions
	grep -q 'CA:TRUE, pathlen:0' extensions
	refute grep -q 'Code Signing\|E-mail' extensions
	openssl x509 -in ca.pem -noout -checkend $((3690 * 86400))
}

@test "ca prints the certificate on stdout and how to trust it beside, never the key, and makes it where it is missing" {
	sed -i /certManager/d cluster.yaml
	"$PIBUILD" secrets new
	refute grep -q issuerCA secrets.yaml
	fails 3 'cluster.yaml: the cluster has no CA of its own for certificates; certManager: {issuers: [ca], zones: [home.arpa]} makes one for these zones' "$PIBUILD" ca
	ca_cluster home.arpa
	"$PIBUILD" check 2>&1 | grep -q 'has no CA for the issuer ca yet: the next `pibuild build`, `flash` or `pibuild ca` makes it'
	streams "$PIBUILD" ca
	[ "$status" -eq 0 ]
	[ "$(grep -c -- '-----BEGIN' <<<"$output")" = 1 ]
	openssl x509 -noout -subject <<<"$output" | grep -q 'lab CA 20'
	for system in Debian Fedora Arch macOS Windows Firefox Chrome Android iOS; do grep -q "  $system" <<<"$stderr"; done
	refute grep -q 'PRIVATE KEY' <<<"$output$stderr"
	fingerprint=$(openssl x509 -noout -fingerprint -sha256 <<<"$output" | tr -d : | tr A-F a-f)
	grep -qi "fingerprint ${fingerprint#*=}" <<<"$stderr"
	"$PIBUILD" -q ca -o kept.pem
	diff kept.pem <(echo "$output")
	# Over this CA, or what it was before, and over nothing else.
	"$PIBUILD" -q secrets rotate issuer-ca
	"$PIBUILD" -q ca -o kept.pem
	refute diff kept.pem <(echo "$output")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out theirs.pem -subj '/CN=Company CA 2026' 2>/dev/null
	cp theirs.pem theirs
	fails 5 'theirs.pem is there already and is not a CA of the cluster lab: give another name, or replace it with --force' "$PIBUILD" ca -o theirs.pem
	cmp theirs theirs.pem
	"$PIBUILD" -q ca -o theirs.pem --force
	cmp theirs.pem kept.pem
	[ "$(stat -c %a secrets.yaml)" = 600 ]
	"$PIBUILD" check 2>&1 | refute grep -q 'has no CA'
}

@test "a zone that came later is a fault, and the cure makes another CA and leaves the rest as it was" {
	"$PIBUILD" secrets new
	"$PIBUILD" ca >old.pem 2>/dev/null
	ca_cluster home.arpa lab.internal
	for command in check ca; do
		run "$PIBUILD" $command
		[ "$status" -eq 3 ]
		[[ "$output" == *"certManager.zones: the CA in ./secrets.yaml was made before lab.internal was among the zones, and may not sign for it: \`pibuild secrets rotate issuer-ca\` drops it"* ]]
	done
	"$PIBUILD" secrets rotate issuer-ca
	run "$PIBUILD" secrets rotate issuer-ca
	[ "$status" -eq 2 ]
	"$PIBUILD" ca >ca.pem
	"$PIBUILD" check
	sign new DNS:x.lab.internal
	trusted new
	refute openssl verify -CAfile old.pem new.pem
	old=$(echo secrets.yaml.*.bak)
	diff <(sed '/^issuerCA/,/^[a-z]*:$/d' secrets.yaml) <(sed '/^issuerCA/,/^[a-z]*:$/d' ${old%% *}) >difference || true
	refute grep -q 'token\|admin\|server' difference
	# A zone that was taken out needs no other one.
	ca_cluster lab.internal
	"$PIBUILD" check
}

@test "the first server's card holds the CA as the issuer wants it, and no other card does" {
	"$PIBUILD" secrets new
	"$PIBUILD" render --node cp-1 -o card >/dev/null
	refute grep -q 'BEGIN' "$(find card -name issuer-ca.yaml)"
	"$PIBUILD" render --node cp-1 --show-secrets -o shown >/dev/null
	python3 - "$(dirname "$(find shown -name secrets -type d)")" <<-'EOT'
		import sys, yaml
		secret = yaml.safe_load(open(sys.argv[1] + "/secrets/issuer-ca.yaml"))
		issuer, certificate = yaml.safe_load_all(open(sys.argv[1] + "/manifests/issuers.yaml"))
		assert secret["type"] == "kubernetes.io/tls" and secret["metadata"] == {"name": "issuer-ca", "namespace": "cert-manager"}
		open("tls.crt", "w").write(secret["stringData"]["tls.crt"])
		open("tls.key", "w").write(secret["stringData"]["tls.key"])
		assert issuer["spec"] == {"ca": {"secretName": "issuer-ca"}} and issuer["metadata"]["name"] == "ca"
		assert certificate["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": "ca"}
		assert "server auth" in certificate["spec"]["usages"]
	EOT
	diff <(openssl x509 -in tls.crt -noout -pubkey) <(openssl pkey -in tls.key -pubout)
	diff tls.crt <("$PIBUILD" -q ca)
	"$PIBUILD" render --node w-1 -o other >/dev/null
	refute grep -rq issuer-ca other
}

@test "beside Let's Encrypt each issuer has its zones on the card" {
	export CF_TOKEN=abcdefghijklmnopqrstuvwxyz0123456789ABCD
	write_cluster
	cat >>cluster.yaml <<-'EOT'
		certManager:
		  email: me@my-domain.org
		  issuers: [ca, letsencrypt-production]
		  dns01: {provider: cloudflare, apiToken: {env: CF_TOKEN}}
		  zones: [home.arpa, my-domain.org]
		  wildcard: true
	EOT
	"$PIBUILD" secrets new
	"$PIBUILD" render --node cp-1 -o card >/dev/null
	python3 - card/etc/pibuild/manifests/issuers.yaml <<-'EOT'
		import sys, yaml
		docs = {(d["kind"], d["metadata"]["name"]): d["spec"] for d in yaml.safe_load_all(open(sys.argv[1]))}
		acme = docs["ClusterIssuer", "letsencrypt-production"]["acme"]
		assert acme["solvers"][0]["selector"]["dnsZones"] == ["my-domain.org"], acme
		issuers = {zone: docs["Certificate", "wildcard-" + zone]["issuerRef"]["name"] for zone in ("home.arpa", "my-domain.org")}
		assert issuers == {"home.arpa": "ca", "my-domain.org": "letsencrypt-production"}, issuers
	EOT
}
