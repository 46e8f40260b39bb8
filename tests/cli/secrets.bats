#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: left out of `make test-fast`
# The secrets file as a user meets it, and its certificates as openssl sees them.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	unset SUDO_UID
	write_cluster
}

# The parts of the secrets file as files below ./tls, named as K3s names them.
unpack() {
	local name
	mkdir -p tls
	"$PIBUILD" secrets show --show-secrets --json >all.json
	for name in server client requestHeader etcdServer etcdPeer; do
		jq -j ".ca.$name.certificate" all.json >"tls/$name.crt"
		jq -j ".ca.$name.key" all.json >"tls/$name.key"
	done
	jq -j .admin.certificate all.json >tls/admin.crt
	jq -j .admin.key all.json >tls/admin.key
	jq -j .serviceAccountKey all.json >tls/service.key
}

# Every secret of the file, one on a line: passwords, and each line of a private key. Public lines are left out.
canaries() {
	sed -n '/BEGIN.*PRIVATE KEY/,/END.*PRIVATE KEY/p' secrets.yaml | grep -v PRIVATE | tr -d ' '
	sed -n 's/^  \(server\|agent\|cp-1\|w-1\): "\{0,1\}\([^" ]\{16,\}\)"\{0,1\}$/\2/p' secrets.yaml
}

# no_secrets FILE: none of them is in it, as it is or as base64.
no_secrets() {
	canaries >values
	[ "$(wc -l <values)" -gt 30 ]
	while read -r line; do
		printf '%s\n' "$line"
		printf '%s' "$line" | base64 -w0 | cut -c1-40
	done <values >needles
	refute grep -nFf needles "$1"
}

@test "secrets new makes a private file whatever the umask" {
	umask 000
	"$PIBUILD" secrets new
	[ "$(stat -c %a secrets.yaml)" = 600 ]
	[ "$(ls -A)" = $'cluster.yaml\nsecrets.yaml' ]
}

@test "the file is created private, not made private afterwards" {
	command -v strace >/dev/null || skip "strace is not installed"
	umask 000
	strace -f -o trace -e trace=open,openat,creat "$PIBUILD" secrets new
	# By flags: the memory of pibuild is closed to a tracer that is not root, so the path may be a mere address.
	grep O_CREAT trace >creations
	refute grep -v 'O_EXCL.*0600' creations
}

@test "secrets new refuses to replace a file" {
	"$PIBUILD" secrets new
	cp secrets.yaml before
	run "$PIBUILD" secrets new
	[ "$status" -eq 5 ]
	[[ "$output" == *"is there already"*"secrets rotate"* ]]
	cmp before secrets.yaml
}

@test "first builds at once: one makes the secrets, all go on with them" {
	local n round
	for round in 1 2; do
		rm -f secrets.yaml
		for n in 1 2 3; do
			("$PIBUILD" build --offline --cache "cache$n" >"said$n" 2>&1 || true) &
		done
		wait
		for n in 1 2 3; do
			grep -q 'downloads are not in the cache' "said$n" || { cat "said$n"; return 1; }
		done
		[ "$(cat said? | grep -c 'made ./secrets.yaml')" -eq 1 ]
	done
}

@test "--secrets names another file" {
	"$PIBUILD" secrets new --secrets elsewhere/keys.yaml
	[ "$(stat -c %a elsewhere/keys.yaml)" = 600 ]
	[ ! -e secrets.yaml ]
	"$PIBUILD" --secrets elsewhere/keys.yaml secrets show | grep -q 'cp-1: <masked>'
}

@test "a secrets file can come through a pipe" {
	"$PIBUILD" secrets new
	mv secrets.yaml safe
	"$PIBUILD" secrets show --secrets <(cat safe) | grep -q '^CA hash: [0-9a-f]\{64\}$'
}

@test "a secrets file others can read is refused with the cure" {
	"$PIBUILD" secrets new
	chmod 644 secrets.yaml
	for command in "secrets show" "secrets rotate admin" kubeconfig; do
		# shellcheck disable=SC2086 # words
		run "$PIBUILD" $command
		[ "$status" -eq 5 ]
		[[ "$output" == *"mode 0644"*"chmod 600"* ]]
	done
}

@test "a missing secrets file is told with the command that makes it" {
	for command in "secrets show" "secrets rotate admin" kubeconfig; do
		# shellcheck disable=SC2086 # words
		run "$PIBUILD" $command
		[ "$status" -eq 3 ]
		[[ "$output" == *"pibuild secrets new"* ]]
	done
}

@test "a build makes no keys where encrypted ones lie, or such of another name" {
	local name
	for name in secrets.yaml.age secrets.sops.yaml secrets.yml; do
		echo x >"$name"
		run "$PIBUILD" build --offline
		[ "$status" -eq 5 ]
		[[ "$output" == *"secrets.yaml is missing, and "*"$name is there: if those are the keys of "*"decrypt or rename them"*"pibuild secrets new"* ]]
		[ ! -e secrets.yaml ]
		rm "$name"
	done
}

@test "a damaged file is refused with file, line and key" {
	"$PIBUILD" secrets new
	sed -i '0,/BEGIN CERTIFICATE/s//BEGIN CERTIFICAT/' secrets.yaml
	run "$PIBUILD" secrets show
	[ "$status" -eq 3 ]
	[[ "$output" =~ secrets.yaml:[0-9]+:[0-9]+:\ ca.server:.*backup ]]
}

@test "a file that is encrypted wants to be decrypted, not to be put back from a backup" {
	"$PIBUILD" secrets new
	cp secrets.yaml good
	while IFS='|' read -r begin said; do
		(printf '%b\n' "$begin" && cat good) >secrets.yaml
		fails 3 "secrets.yaml:1:1: error: the file is encrypted by $said" "$PIBUILD" check
		[[ "$output" != *backup* ]]
	done <<-'EOT'
		sops: {age: []}|SOPS; decrypt it first
		-----BEGIN AGE ENCRYPTED FILE-----|age; decrypt it first
		$ANSIBLE_VAULT;1.1;AES256|Ansible's vault; decrypt it first
		-----BEGIN PGP MESSAGE-----|GnuPG; decrypt it first
		\0000GITCRYPT\0000x|git-crypt; unlock the repository first
	EOT
}

@test "openssl accepts each CA as a strict self-signed CA" {
	"$PIBUILD" secrets new
	unpack
	for ca in server client requestHeader etcdServer etcdPeer; do
		openssl verify -x509_strict -check_ss_sig -CAfile "tls/$ca.crt" "tls/$ca.crt"
		[ "$(grep -c BEGIN "tls/$ca.crt")" -eq 1 ]
		openssl x509 -in "tls/$ca.crt" -noout -pubkey >pub1
		openssl pkey -in "tls/$ca.key" -pubout >pub2
		cmp pub1 pub2
	done
	# One CA vouches for nothing of another.
	refute openssl verify -CAfile tls/server.crt tls/client.crt
}

@test "each CA has the form K3s gives its own" {
	"$PIBUILD" secrets new
	unpack
	names='server:k3s-server-ca client:k3s-client-ca requestHeader:k3s-request-header-ca
		etcdServer:k3s-etcd-server-ca etcdPeer:k3s-etcd-peer-ca'
	for pair in $names; do
		openssl x509 -in "tls/${pair%:*}.crt" -noout -text -nameopt oneline >text
		grep -q 'Version: 3' text
		grep -qE "Subject: CN = ${pair#*:}@[0-9]{10}\$" text
		grep -q 'NIST CURVE: P-256' text
		grep -q 'Signature Algorithm: ecdsa-with-SHA256' text
		grep -A1 'Basic Constraints: critical' text | grep -q 'CA:TRUE'
		grep -A1 'Key Usage: critical' text | grep -q 'Digital Signature, Key Encipherment, Certificate Sign$'
		[ "$(grep -A1 'Subject Key Id' text | tail -1)" = "$(grep -A1 'Authority Key Id' text | tail -1)" ]
		refute grep -q 'Extended Key Usage' text
		[ "$(openssl x509 -in "tls/${pair%:*}.crt" -noout -serial | wc -c)" -ge $((7 + 32)) ]
		# Begun long ago, and still good after ten years.
		start=$(date -d "$(openssl x509 -in "tls/${pair%:*}.crt" -noout -startdate | cut -d= -f2)" +%s)
		[ "$start" -lt $(($(date +%s) - 30 * 86400)) ]
		openssl x509 -in "tls/${pair%:*}.crt" -noout -checkend $((3690 * 86400))
	done
}

@test "keys have the PEM forms K3s reads" {
	"$PIBUILD" secrets new
	unpack
	for key in server client requestHeader etcdServer etcdPeer admin; do
		[ "$(head -1 "tls/$key.key")" = '-----BEGIN EC PRIVATE KEY-----' ]
	done
	[ "$(head -1 tls/service.key)" = '-----BEGIN RSA PRIVATE KEY-----' ]
	openssl rsa -in tls/service.key -check -noout
	openssl rsa -in tls/service.key -noout -text | grep -q '2048 bit'
}

@test "the admin certificate is a client of the client CA with all rights" {
	"$PIBUILD" secrets new
	unpack
	openssl verify -x509_strict -purpose sslclient -CAfile tls/client.crt tls/admin.crt
	refute openssl verify -purpose sslserver -CAfile tls/client.crt tls/admin.crt
	[ "$(openssl x509 -in tls/admin.crt -noout -subject -nameopt oneline)" = 'subject=O = system:masters, CN = system:admin' ]
	openssl x509 -in tls/admin.crt -noout -checkend $((4 * 365 * 86400))
	refute openssl x509 -in tls/admin.crt -noout -checkend $((6 * 365 * 86400))
}

@test "tokens hold the SHA-256 of the server CA's file" {
	"$PIBUILD" secrets new
	unpack
	hash=$(sha256sum <tls/server.crt | cut -d' ' -f1)
	[[ "$(jq -r .tokens.server all.json)" =~ ^K10$hash::server:[0-9a-f]{64}$ ]]
	[[ "$(jq -r .tokens.agent all.json)" =~ ^K10$hash::node:[0-9a-f]{64}$ ]]
	[ "$(jq -r .caHash all.json)" = "$hash" ]
}

@test "fingerprints shown are those openssl shows" {
	"$PIBUILD" secrets new
	unpack
	for ca in server client requestHeader etcdServer etcdPeer; do
		want=$(openssl x509 -in "tls/$ca.crt" -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | tr A-F a-f)
		[ "$(jq -r ".ca.$ca.sha256" all.json)" = "$want" ]
		"$PIBUILD" secrets show | grep -q "sha256: $want"
	done
}

@test "secrets show gives no secret away, as text or as JSON" {
	{
		"$PIBUILD" -v secrets new
		"$PIBUILD" -v secrets show
		"$PIBUILD" -v secrets show --json
		"$PIBUILD" -v secrets rotate admin
		"$PIBUILD" -v secrets new || true
	} >out 2>&1
	no_secrets out
	grep -q 'server token: <masked>' out
	# The search does find what is there.
	for option in --json --yes; do
		"$PIBUILD" secrets show --show-secrets $option >out
		refute no_secrets out
	done
}

@test "secrets show --show-secrets gives every secret" {
	"$PIBUILD" secrets new
	"$PIBUILD" secrets show --show-secrets >out
	canaries | while read -r line; do grep -qF -- "$line" out; done
	"$PIBUILD" secrets show --show-secrets --json | jq -r '.. | strings' >out
	canaries | while read -r line; do grep -qF -- "$line" out; done
}

@test "no secret stands in the arguments or the environment of a process" {
	command -v strace >/dev/null || skip "strace is not installed"
	strace -f -v -s 65535 -o trace -e trace=execve "$PIBUILD" secrets new
	strace -f -v -s 65535 -o trace2 -e trace=execve "$PIBUILD" kubeconfig >/dev/null
	cat trace2 >>trace
	grep -q execve trace
	no_secrets trace
}

@test "secrets rotate replaces one part and keeps the file as it was" {
	"$PIBUILD" secrets new
	cp secrets.yaml before
	umask 000
	"$PIBUILD" secrets rotate agent-token
	[ "$(diff before secrets.yaml | grep -c '^[<>]')" -eq 2 ]
	diff before secrets.yaml | grep -q '^>   agent: '
	backup=$(echo secrets.yaml.*.bak)
	cmp before "$backup"
	[ "$(stat -c %a secrets.yaml "$backup" | sort -u)" = 600 ]
}

@test "secrets may come through a pipe, out of another store; what has to be added or replaced wants the file" {
	"$PIBUILD" -q secrets new
	"$PIBUILD" kubeconfig --secrets <(cat secrets.yaml) >kubeconfig 2>said
	cmp kubeconfig <("$PIBUILD" -q kubeconfig)
	grep -qF -- '--secrets <(...)`' said
	run -3 "$PIBUILD" secrets rotate admin --secrets <(cat secrets.yaml)
	[[ "$output" == *'is no file, and something has to be made or replaced in it: do that once where the file is kept, and store it anew' ]]
	echo '  - {name: nuc-1, role: worker, board: external, arch: arm64, address: 192.168.1.31/24}' >>cluster.yaml
	run -3 "$PIBUILD" join nuc-1 --secrets <(cat secrets.yaml)
	[[ "$output" == *'is no file, and something has to be made or replaced in it'* ]]
}

@test "secrets rotate says what a running cluster needs" {
	"$PIBUILD" secrets new
	"$PIBUILD" secrets rotate server-token 2>&1 | grep -q 'k3s token rotate'
	"$PIBUILD" secrets rotate agent-token 2>&1 | grep -q '`pibuild apply` brings the new one'
	"$PIBUILD" secrets rotate admin 2>&1 | grep -q 'pibuild kubeconfig'
	"$PIBUILD" secrets rotate node w-1 2>&1 | grep -q 'node-password.k3s'
	"$PIBUILD" secrets rotate ca --yes 2>&1 | grep -q 'flash every card again'
	# An image does not show it: no digest of a secret is beside it.
	for what in server-token agent-token 'node w-1' 'ca --yes' 'all --yes'; do
		# shellcheck disable=SC2086 # words
		"$PIBUILD" secrets rotate $what 2>&1 | grep -q 'build .* anew'
	done
}

@test "CAs that were made while the clock was ahead are told with the command that makes them anew" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	at_clock +3650d "$PIBUILD" secrets new -q
	run "$PIBUILD" check
	[[ "$output" == *"the server CA is not valid yet; is the clock of this machine right? If it was wrong when that was made: \`pibuild secrets rotate ca\`"* ]]
	"$PIBUILD" secrets rotate ca --yes -q
	run "$PIBUILD" check
	[[ "$output" != *'not valid yet'* ]]
}

@test "secrets rotate ca and all want --yes" {
	"$PIBUILD" secrets new
	cp secrets.yaml before
	for what in ca all; do
		run "$PIBUILD" secrets rotate "$what"
		[ "$status" -eq 5 ]
		[[ "$output" == *"every card"*"--yes"* ]]
	done
	cmp before secrets.yaml
	[ "$(ls)" = $'before\ncluster.yaml\nsecrets.yaml' ]
	"$PIBUILD" secrets rotate all --yes
	"$PIBUILD" secrets show | grep -q 'cp-1'
	canaries >values
	refute grep -qFf values before
}

@test "secrets rotate lists what there is, and the nearest node" {
	"$PIBUILD" secrets new
	for what in "" tokens; do
		# shellcheck disable=SC2086 # none or one word
		run "$PIBUILD" secrets rotate $what
		[ "$status" -eq 2 ]
		[[ "$output" == *server-token*agent-token*admin*"node NAME"*ca*all* ]]
	done
	run "$PIBUILD" secrets rotate node w1
	[ "$status" -eq 2 ]
	[[ "$output" == *"did you mean w-1"* ]]
	run "$PIBUILD" secrets rotate node
	[ "$status" -eq 2 ]
	run "$PIBUILD" secrets rotate admin now
	[ "$status" -eq 2 ]
}

@test "secrets without or with an unknown verb is a usage error" {
	run "$PIBUILD" secrets
	[ "$status" -eq 2 ]
	[[ "$output" == *"new | show"* ]]
	run "$PIBUILD" secrets print
	[ "$status" -eq 2 ]
	[[ "$output" == *"'print'"* ]]
}

@test "secrets new warns where git would take the file along, as git itself sees it" {
	mkdir -p repo/sub/deep
	git init -q repo
	cp cluster.yaml repo/sub/deep
	cd repo/sub/deep
	# Each line is a .gitignore: of the top, then (after |) of the file's own folder.
	while IFS='|' read -r top_ignore own_ignore; do
		printf '%b' "$top_ignore" >../../.gitignore
		printf '%b' "$own_ignore" >.gitignore
		rm -f secrets.yaml
		"$PIBUILD" secrets new 2>err
		if git check-ignore -q secrets.yaml; then
			refute grep 'git would' err || { echo "ignored, but warned: $top_ignore|$own_ignore"; false; }
		else
			grep -q 'git would' err || { echo "no warning: $top_ignore|$own_ignore"; false; }
			grep -qF 'secrets.yaml*' err
		fi
	done <<-'EOT'
		|
		secrets.yaml\n|
		# secrets.yaml\n|
		|secrets.yaml*\n
		*.yaml\n|!secrets.yaml\n
		|*.yaml\n!cluster.yaml\n
		/secrets.yaml\n|
		/sub/deep/secrets.yaml\n|
		sub/\n|
		deep/\n|
		secrets.yaml/\n|
		**/secrets.yaml\n|
		sub/*.yaml\n|
		secrets.yaml \r\n|
		secrets.yml\n|
	EOT
}

@test "other files that hold secrets are told in a work tree too" {
	git init -q .
	"$PIBUILD" -q secrets new 2>err
	"$PIBUILD" -q kubeconfig -o lab.kubeconfig 2>err
	grep -q 'git would take lab.kubeconfig along, and with it full control of the cluster: add the line' err
	grep -qxF $'\tlab.kubeconfig*' err
	echo '*.kubeconfig' >.gitignore
	"$PIBUILD" -q kubeconfig -o lab.kubeconfig 2>err
	[ ! -s err ]
	echo '  - {name: nuc-1, role: worker, board: external, arch: arm64, address: 192.168.1.31/24}' >>cluster.yaml
	"$PIBUILD" -q join nuc-1 -o join.sh 2>err
	grep -q 'git would take join.sh along, and with it' err
}

@test "outside of git there is no talk of git" {
	"$PIBUILD" secrets new 2>err
	sed 's/out of git//' err >rest
	refute grep git rest
}

@test "a filesystem without locks: the file is made all the same, and nothing is left beside it" {
	command -v strace >/dev/null || skip "strace is not installed"
	ASAN_OPTIONS=detect_leaks=0 strace -o trace -e trace=flock -e inject=flock:error=ENOLCK "$PIBUILD" secrets new --secrets there/s.yaml
	[ "$(ls -A there)" = s.yaml ]
}

@test "a secrets file that is named and not there is an error wherever it would be used" {
	fails 3 'nowhere.yaml' "$PIBUILD" plan --secrets nowhere.yaml
	fails 3 'nowhere.yaml' "$PIBUILD" render --show-secrets --secrets nowhere.yaml -o tree
	[ ! -e tree ]
}

@test "two clusters in one folder: the second one does not take the keys of the first, and each of the cures helps" {
	"$PIBUILD" secrets new
	sed '0,/  name: .*/s//  name: second/' cluster.yaml >second.yaml
	cp secrets.yaml before
	for command in check plan kubeconfig; do
		fails 3 "secrets.yaml holds the keys of the cluster $(sed -n 's/^clusterName: //p' before), and second.yaml describes second: with the same keys each would let in the other's nodes" "$PIBUILD" "$command" -c second.yaml
	done
	cmp secrets.yaml before
	# Who names the file has chosen it.
	"$PIBUILD" check -c second.yaml --secrets secrets.yaml 2>said
	grep -q 'warning: secrets.yaml holds the keys of the cluster .*, and second.yaml describes second' said
	"$PIBUILD" secrets new -c second.yaml --secrets second.secrets.yaml
	"$PIBUILD" check -c second.yaml --secrets second.secrets.yaml
	"$PIBUILD" secrets rotate agent-token -c second.yaml --secrets second.secrets.yaml
	grep -qx 'clusterName: second' second.secrets.yaml
	sed -i 's/^clusterName: .*/clusterName: second/' secrets.yaml
	"$PIBUILD" check -c second.yaml
	# Files of before say nothing, and are whose folder they lie in.
	sed -i '/^clusterName: /d' secrets.yaml
	"$PIBUILD" check
	"$PIBUILD" check -c second.yaml
}
