#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Files of people: what editors, shells and other programs do to keys and secrets. Whatever a message says to run is run.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	umask 077
	ssh-keygen -q -t ed25519 -N '' -C me -f id
	printf 'abcDEF123token\n' >token
	printf 'correct horse\n' >wpa
}

# cluster [CERT-MANAGER]: one server with the key of id.pub
cluster() {
	local dns01=${1:-'{provider: cloudflare, apiToken: {file: token}}'}
	printf '%s\n' 'apiVersion: pibuild/v1' \
		'cluster: {name: lab}' \
		"access: {user: pi, sshKeys: [{file: $PWD/id.pub}]}" \
		'network: {interface: wlan0, wifi: {ssid: Home, passphrase: {file: wpa}, country: DE}}' \
		'nodes:' \
		'  - {name: cp-1, role: control-plane, board: rpi5}' \
		"certManager: {zones: [my-domain.org], dns01: $dns01}" >cluster.yaml
}

# refused WORDS: exit 3, the words in one line of errors, and no part of a secret
refused() {
	streams "$PIBUILD" check
	[ "$status" -eq 3 ] || { echo "exit $status: $output $stderr"; return 1; }
	[[ "$stderr" == *"$1"* ]] || { echo "expected: $1"; echo "$stderr"; return 1; }
	[[ "$stderr" != *EF123* && "$stderr" != *horse* ]] || { echo "it repeats the secret: $stderr"; return 1; }
}
taken() {
	streams "$PIBUILD" -q check
	[ "$status" -eq 0 ] || { echo "exit $status: $output $stderr"; return 1; }
}
# cure: runs what the last message says behind its last ": "
cure() {
	local line
	line=$(grep ': error: ' <<<"$stderr" | head -n 1)
	eval "${line##*: }"
}

# One reference of each kind to one file, in turn: NAME|KEYS OF DNS01
tokens() {
	cat <<-'EOT'
		digitalocean.accessToken|{provider: digitalocean, accessToken: {file: token}}
		cloudflare.apiToken|{provider: cloudflare, apiToken: {file: token}}
		route53.secretAccessKey|{provider: route53, region: eu-central-1, accessKeyID: AKIA, secretAccessKey: {file: token}}
		route53.accessKeyID|{provider: route53, region: eu-central-1, accessKeyID: {file: token}, secretAccessKey: {command: [x]}}
		azuredns.clientSecret|{provider: azuredns, subscriptionID: 01234567-89ab-cdef-0123-456789abcdef, resourceGroupName: dns, tenantID: 01234567-89ab-cdef-0123-456789abcdef, clientID: 01234567-89ab-cdef-0123-456789abcdef, clientSecret: {file: token}}
		rfc2136.tsigSecret|{provider: rfc2136, nameserver: 192.168.1.2, tsigKeyName: k, tsigSecret: {file: token}}
		akamai.clientToken|{provider: akamai, serviceConsumerDomain: a.luna.akamaiapis.net, clientToken: {file: token}, clientSecret: {command: [x]}, accessToken: {command: [x]}}
	EOT
}

@test "every secret that is text: byte order mark, UTF-16, CR, quotes, blanks, lines, NUL, nothing" {
	local references reference name
	mapfile -t references < <(tokens)
	# shellcheck disable=SC2016 # backquotes are meant
	while IFS='|' read -r what bytes words; do
		printf '%b' "$bytes" >token
		for reference in "${references[@]}"; do
			name=${reference%%|*}
			cluster "${reference#*|}"
			refused "certManager.dns01.${name#*.}: the secret's file $PWD/token $words" || { echo "$what, $name"; return 1; }
		done
	done <<-'EOT'
		byte order mark|\xef\xbb\xbfabcDEF123token\n|starts with a byte order mark
		UTF-16|\xff\xfea\0b\0c\0D\0E\0F\01\02\03\0\n\0|is text in UTF-16
		UTF-16, the other way round|\xfe\xff\0a\0b\0c\0D\0\n|is text in UTF-16
		UTF-16 without a mark|a\0b\0c\0D\0\n\0|is text in UTF-16
		Windows line end|abcDEF123token\r\n|has line ends of Windows
		double quotes|"abcDEF123token"\n|has quotes around the secret
		single quotes|\x27abcDEF123token\x27\n|has quotes around the secret
		a shell's line|CLOUDFLARE_API_TOKEN=abcDEF123token\n|is a line NAME=SECRET
		certbot's line|dns_cloudflare_api_token=abcDEF123token\n|is a line NAME=SECRET
		one quote|abcDEF123token"\n|has quotes around the secret
		typographic quotes|“abcDEF123token”\n|holds a character that is not ASCII
		a blank before|  abcDEF123token\n|has blanks around the secret
		a blank behind|abcDEF123token \n|has blanks around the secret
		a blank that breaks no line|abcDEF123token\xc2\xa0\n|holds a character that is not ASCII
		a blank inside|Bearer abcDEF123token\n|holds a blank
		an empty line behind|abcDEF123token\n\n|has empty lines around the secret
		an empty line before|\nabcDEF123token\n|has empty lines around the secret
		two lines|abcDEF123token\nabcDEF123token\n|has more than one line
		a tab|abcDEF123\ttoken\n|holds a tab
		NUL|abcDEF123\0token\n|is no text
		Latin-1|abcDEF123\xe9\n|is no text
		only a newline|\n|is empty
		only blanks|  \n|is empty
		nothing||is empty
	EOT
	printf 'abcDEF123token' >token
	for reference in "${references[@]}"; do
		cluster "${reference#*|}"
		taken
	done
}

@test "the same holds for a variable, and at the build for a command" {
	cluster '{provider: cloudflare, apiToken: {env: SOME_TOKEN}}'
	SOME_TOKEN='"abcDEF123token"' refused 'certManager.dns01.apiToken: the environment variable SOME_TOKEN has quotes around the secret'
	SOME_TOKEN=$'abcDEF123token\r' refused 'the environment variable SOME_TOKEN has line ends of Windows (CR LF), and the CR would be a part of the secret; remove them'
	cluster '{provider: cloudflare, apiToken: {command: [printf, "\\xef\\xbb\\xbfabcDEF123token"]}}'
	taken
	"$PIBUILD" secrets new
	fails 3 "certManager.dns01.apiToken: the output of the secret's command printf starts with a byte order mark" \
		"$PIBUILD" render --node cp-1 -o card --show-secrets
}

@test "the cures that messages about secrets name mend the file, whatever its name, and keep its mode" {
	name="my 'token' file"
	cluster "{provider: cloudflare, apiToken: {file: \"$name\"}}"
	printf '\xff\xfe' >"$name"
	printf 'abcDEF123token\r\n' | iconv -f UTF-8 -t UTF-16LE >>"$name"
	refused 'is text in UTF-16'
	cure
	printf '\xef\xbb\xbf%s' "$(cat "$name")" >with-mark
	cat with-mark >"$name"
	refused 'starts with a byte order mark'
	cure
	refused 'has line ends of Windows'
	cure
	taken
	[ "$(cat "$name")" = abcDEF123token ]
	[ "$(stat -c %a "$name")" = 600 ]
}

@test "a Wi-Fi passphrase: what it cannot be is refused, what it may be is asked about" {
	cluster
	while IFS='|' read -r bytes words; do
		printf '%b' "$bytes" >wpa
		refused "network.wifi.passphrase: the secret's file $PWD/wpa $words"
	done <<-'EOT'
		\xef\xbb\xbfcorrect horse\n|starts with a byte order mark
		correct horse\r\n|has line ends of Windows (CR LF), and the CR would be a part of the secret; remove them: sed -i
		correct horse\ncorrect horse\n|has more than one line
		horse\n|is no WPA passphrase: those have 8 to 63 characters, this one has 5
		0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg\n|is no WPA passphrase, which has 8 to 63 characters, and no key, which has 64 hexadecimal digits
	EOT
	while IFS='|' read -r bytes words; do
		printf '%b' "$bytes" >wpa
		taken
		if [ -n "$words" ]; then
			[[ "$stderr" == *"$PWD/wpa $words"* ]] || { echo "expected: $words"; echo "$stderr"; return 1; }
		else
			[ -z "$stderr" ] || { echo "$stderr"; return 1; }
		fi
	done <<-'EOT'
		"correct horse"\n|stands in quotes, which will be a part of it
		correct horse \n|has blanks around it, which will be a part of it
		psk=correct horse\n|is a line NAME=SECRET
		WIFI_PASSPHRASE=correct horse\n|is a line NAME=SECRET
		“correct horse”\n|holds a blank or a quote that only looks like one
		correct\xc2\xa0horse\n|holds a blank or a quote that only looks like one
		pässwörter\n|
		p&ss;w"ord\x27\\\\x\n|
		0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef\n|
		correct horse\n|
	EOT
}

@test "a password that is the file of a program's passwords is asked about" {
	cluster '{provider: cloudflare, apiToken: {command: [x]}}'
	echo 'registries: {auth: [{registry: ghcr.io, username: me, password: {file: token}}]}' >>cluster.yaml
	printf '{"auths": {"ghcr.io": {"auth": "kanary"}}}\n' >token
	taken
	[[ "$stderr" == *"$PWD/token looks like JSON, all of which will be the password; leave the password alone if it is in there"* && "$stderr" != *kanary* ]]
}

@test "an account without its domain, and the key of a whole account, are asked about" {
	cluster '{provider: acmedns, host: "https://auth.acme-dns.io", account: {file: token}}'
	printf '{"username": "u", "password": "kanary", "fulldomain": "f", "subdomain": "s", "allowfrom": []}\n' >token
	taken
	[[ "$stderr" == *"$PWD/token does not say which domain an account is for; write {\"DOMAIN\": ACCOUNT}"* && "$stderr" != *kanary* ]]
	printf '{"home.my-domain.org": {"username": "u", "password": "p", "fulldomain": "f", "subdomain": "s", "allowfrom": []}}\n' >token
	taken
	[ -z "$stderr" ]
	cluster '{provider: cloudflare, apiToken: {file: token}}'
	printf '144c9defac04969c7bfad8efaa8ea194abcde\n' >token
	taken
	[[ "$stderr" == *"$PWD/token looks like the global key of an account"* ]]
	printf 'v1_abcdefghijklmnopqrstuvwxyz0123456789\n' >token
	taken
	[ -z "$stderr" ]
}

@test "keys in JSON may have lines and blanks; what is no JSON is asked about" {
	cluster '{provider: clouddns, project: my-project, serviceAccount: {file: token}}'
	printf '{\r\n  "type": "service_account",\r\n  "private_key": "k"\r\n}\r\n\r\n' >token
	taken
	[ -z "$stderr" ]
	printf '{"type": "authorized_user", "private_key": "kanary"}\n' >token
	taken
	[[ "$stderr" == *"$PWD/token is no key of a service account, which has \"type\": \"service_account\" and a private_key"* && "$stderr" != *kanary* ]]
	printf '\xef\xbb\xbf{"type": "service_account"}\n' >token
	refused 'certManager.dns01.serviceAccount: the secret'\''s file '"$PWD/token"' starts with a byte order mark'
	printf '{"a": 1,\nabcDEF123token\n' >token
	taken
	[[ "$stderr" == *"$PWD/token is no JSON (line 2)"* ]]
	[[ "$stderr" != *EF123* ]]
	cluster '{provider: rfc2136, nameserver: 192.168.1.2, tsigKeyName: k, tsigSecret: {file: token}}'
	printf 'abcDEF12345=\n' >token
	taken
	[ -z "$stderr" ]
	printf 'key{secret:abcDEF123}\n' >token
	taken
	[[ "$stderr" == *"$PWD/token is no base64, as a TSIG key is"* ]]
}

# ---- SSH keys ----

# bats test_tags=slow
@test "SSH keys: taken and refused as ssh-keygen takes and refuses them" {
	cluster
	for type in ed25519 'ecdsa -b 256' 'ecdsa -b 384' 'ecdsa -b 521' 'rsa -b 2048'; do
		rm -f k k.pub
		# shellcheck disable=SC2086 # two words are meant
		ssh-keygen -q -t $type -N '' -C me -f k
		read -r word blob _ <k.pub
		n=${#blob}
		printf '%s\n' "$word $blob" "$word  $blob  a comment" "$word $blob== x" "$word ${blob:0:n-4}" "$word ${blob:0:n-5}x" \
			"$word ${blob:0:n/2}" "$word ${blob}AAAA" "$word AAAA${blob:4}" "ssh-ed448 $blob" "$word" "$blob" \
			"ssh-rsa ${blob:0:20}" "${word}x $blob" >lines
		while IFS= read -r line; do
			printf '%s\n' "$line" >id.pub
			judge=0
			ssh-keygen -l -f id.pub >/dev/null 2>&1 || judge=3
			run "$PIBUILD" check
			[ "$status" -eq "$judge" ] || { echo "$line: pibuild $status, ssh-keygen $judge: $output"; return 1; }
		done <lines
	done
}

@test "SSH keys: other forms are named, and the commands that convert them do" {
	cluster
	pub=$(cat id.pub)
	while IFS='|' read -r bytes words; do
		printf '%b' "${bytes/@KEY@/$pub}" >id.pub
		refused "access.sshKeys[0]: $words"
	done <<-EOT
		\\xef\\xbb\\xbf@KEY@\\n|$PWD/id.pub starts with a byte order mark
		\\xff\\xfes\\0s\\0h\\0-\\0|$PWD/id.pub is text in UTF-16
		command="/bin/true x",no-pty @KEY@\\n|$PWD/id.pub: something stands before 'ssh-ed25519': options such as command= or from=
		192.168.1.11 @KEY@\\n|$PWD/id.pub: something stands before 'ssh-ed25519'
		PuTTY-User-Key-File-3: ssh-ed25519\\n|$PWD/id.pub is PuTTY's private key, which must never leave your computer; give what PuTTYgen shows
		-----BEGIN PGP PUBLIC KEY BLOCK-----\\n|$PWD/id.pub is an OpenPGP key, not an SSH key
		-----BEGIN CERTIFICATE-----\\n|$PWD/id.pub is a TLS certificate, not an SSH key
		\\n# only a comment\\n|$PWD/id.pub holds no key
		@KEY@ \\0\\n|$PWD/id.pub is no text
	EOT

	ssh-keygen -q -t ed25519 -N '' -f ca
	printf '%s\n' "$pub" >id.pub
	ssh-keygen -q -s ca -I me -n pi id.pub
	cp id-cert.pub id.pub
	refused 'this is a certificate, which runs out and needs an authority that the nodes know'

	ssh-keygen -q -t rsa -b 2048 -N '' -C me -f rsa
	for form in RFC4716 PKCS8 PEM; do
		ssh-keygen -e -m "$form" -f rsa.pub >id.pub
		refused ': ssh-keygen -i'
		cure >converted
		cp converted id.pub
		taken
		[ "$(cut -d ' ' -f 2 id.pub)" = "$(cut -d ' ' -f 2 rsa.pub)" ]
	done
	cp rsa id.pub
	refused 'is a private key, which must never leave your computer; give the public key that belongs to it'
}

@test "what only a shell puts into a path is told where the file is missing" {
	local hint="of what a shell puts into a path only '~/' at its beginning is known here: write it out"
	cluster
	cp cluster.yaml kept.yaml
	for path in '$HOME/id.pub' '~root/id.pub' '%USERPROFILE%/id.pub'; do
		sed "s|file: $PWD/id.pub|file: \"$path\"|" kept.yaml >cluster.yaml
		refused "access.sshKeys[0]: there is no $PWD/$path; $hint"
	done
	{ cat kept.yaml && echo 'mirrors: [{from: "https://a.org/", to: "https://b.org/", caFile: "$HOME/ca.pem"}]'; } >cluster.yaml
	refused "$PWD/\$HOME/ca.pem: No such file or directory; $hint"
	{ cat kept.yaml && echo 'registries: {auth: [{registry: docker.io, username: me, password: {file: "${HOME}/pw"}}]}'; } >cluster.yaml
	refused "$PWD/\${HOME}/pw cannot be read: No such file or directory; $hint"
}

@test "SSH keys: the cures for byte order marks and UTF-16 mend the file; Windows line ends, comments and several keys are taken" {
	cluster
	printf '\xef\xbb\xbf%s\r\n' "$(cat id.pub)" >with-mark
	{ printf '\xff\xfe'; iconv -f UTF-8 -t UTF-16LE id.pub; } >utf16
	for file in with-mark utf16; do
		cp "$file" id.pub
		refused "access.sshKeys[0]: $PWD/id.pub "
		cure
		taken
	done
	ssh-keygen -q -t ecdsa -N '' -C other -f other
	printf '# mine\r\n\r\n%s\r\n  # the other\n  %s\n' "$(tr -d '\r' <id.pub)" "$(cat other.pub)" >both
	cp both id.pub
	taken
	[ -z "$stderr" ]
	"$PIBUILD" render --node cp-1 -o card >/dev/null 2>&1
	[ "$(wc -l <card/home/pi/.ssh/authorized_keys)" -eq 2 ]
	[ "$(ssh-keygen -l -f card/home/pi/.ssh/authorized_keys | wc -l)" -eq 2 ]
}

@test "SSH keys: files put together without a newline between them would lose a key" {
	ssh-keygen -q -t rsa -b 2048 -N '' -C other -f other
	cluster
	printf '%s%s' "$(cat other.pub)" "$(cat id.pub)" >two.pub
	mv two.pub id.pub
	refused "id.pub: a second key stands behind it on the same line, where sshd takes it for words about the first; give each a line or an entry of its own"
	{ cat other.pub; echo "$(cat other.pub) ssh-rsa and other words"; } >id.pub
	taken
}

@test "SSH keys: RSA below what sshd takes is refused, below 2048 bits it is a note" {
	cluster
	ssh-keygen -q -t rsa -b 1024 -N '' -f weak
	cp weak.pub id.pub
	taken
	[[ "$stderr" == *': note: access.sshKeys[0]: an RSA key of 1024 bits is weak'* ]]
	# Of 768 bits, which ssh-keygen no longer makes.
	openssl genrsa -traditional 768 2>/dev/null >small
	ssh-keygen -i -m PKCS8 -f <(openssl rsa -in small -pubout 2>/dev/null) >id.pub 2>/dev/null || skip "this ssh-keygen does not convert it"
	refused 'sshd refuses RSA keys below 1024 bits, and this one has 768; make a new one: ssh-keygen -t ed25519'
}

@test "a CA file with a byte order mark is refused, and the cure mends it" {
	cluster
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=ca 2>/dev/null |
		sed '1s/^/\xef\xbb\xbf/' >ca.pem
	echo 'mirrors: [{from: "https://github.com/", to: "https://mirror.lan/", caFile: ca.pem}]' >>cluster.yaml
	refused "mirrors[0].caFile: 'ca.pem' cannot be used: $PWD/ca.pem starts with a byte order mark"
	cure
	taken
}

# As a share that is not mounted leaves them.
@test "a link that leads nowhere is told wherever its file would be read, and taken for missing nowhere" {
	cluster
	"$PIBUILD" secrets new -q
	mv secrets.yaml secrets.kept
	ln -s share/secrets.yaml secrets.yaml
	for command in check plan build kubeconfig 'secrets new' 'secrets show' 'secrets rotate admin'; do
		# shellcheck disable=SC2086 # words
		fails 3 'cannot open ./secrets.yaml: No such file or directory; it is a link to share/secrets.yaml: bring back what it leads to, or remove the link' \
			"$PIBUILD" $command
	done
	mv secrets.kept secrets.yaml
	ln -s share/pibuild.lock pibuild.lock
	for command in check plan build lock; do
		fails 3 'cannot open ./pibuild.lock: No such file or directory; it is a link to share/pibuild.lock' "$PIBUILD" $command
	done
	rm pibuild.lock
	ln -s share/overlays overlays
	for command in check plan build; do
		fails 3 './overlays is no folder' "$PIBUILD" $command
	done
	rm overlays
	mkdir overlays
	ln -s ../share/common overlays/common
	for command in check plan build; do
		fails 3 './overlays/common: No such file or directory' "$PIBUILD" $command
	done
	rm -r overlays
	mv cluster.yaml cluster.kept
	ln -s share/cluster.yaml cluster.yaml
	fails 3 'cannot open cluster.yaml: No such file or directory; it is a link to share/cluster.yaml' "$PIBUILD" check
	mv cluster.kept cluster.yaml
	"$PIBUILD" plan
}

@test "of a file that may not be read it is told whose it is" {
	[ "$(id -u)" -eq 0 ] || skip "files of several owners: wants root"
	cluster
	sed -i "s|{file: $PWD/id.pub}|$(cat id.pub)|" cluster.yaml
	chmod 644 token wpa cluster.yaml
	"$PIBUILD" secrets new -q
	mkdir "$BATS_TEST_TMPDIR/program"
	cp "$PIBUILD" program/pibuild
	chmod -R a+rX program
	chmod 755 .
	as_nobody() { PIBUILD_DATA=$top setpriv --reuid 65534 --regid 65534 --clear-groups program/pibuild "$@"; }
	as_nobody version >/dev/null || skip "nobody cannot reach this folder"
	fails 3 'cannot open ./secrets.yaml: Permission denied; it belongs to root (mode 0600): its owner, or root, can let you read it' \
		as_nobody kubeconfig
	chown 65534 secrets.yaml
	chmod 600 cluster.yaml
	fails 3 'cannot open cluster.yaml: Permission denied; it belongs to root (mode 0600)' as_nobody check
	fails 5 "./secrets.yaml belongs to the user with id 65534, not to you: whoever owns it knows the cluster's keys; take it over with chown, or give your own with --secrets FILE" \
		"$PIBUILD" kubeconfig
	"$PIBUILD" -q secrets new --secrets mine.yaml
	"$PIBUILD" -q kubeconfig --secrets mine.yaml >/dev/null
}
