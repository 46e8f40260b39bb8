#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands that messages tell people to run are run, where the message was printed, and do what it says. The list of
# them is tests/cures.

load ../lib/first-boot

setup() {
	cd "$BATS_TEST_TMPDIR"
	mkdir bin
	ln -s "$PIBUILD" bin/pibuild
	printf '#!/bin/sh\nexec "$@"\n' >bin/sudo
	chmod 755 bin/sudo
	PATH=$PWD/bin:$PATH
}

# cure START: the first command in $output between backticks that begins so
cure() {
	local found
	found=$(grep -o "\`$1[^\`]*\`" <<<"$output" | head -n 1 | tr -d '\`')
	[ -n "$found" ] || { echo "no command $1 in: $output" >&2; return 1; }
	echo "$found"
}

@test "every command that a message names is in the list, and the list has no others" {
	python3 -B "$top/tests/lib/cures.py" "$top" >named
	[ "$(wc -l <named)" -gt 40 ]
	grep -v '^#' "$top/tests/cures" | cut -f 1 | sort >listed
	LC_ALL=C sort named >a
	LC_ALL=C sort listed >b
	diff a b
}

@test "what the list says is run is a test that there is" {
	local how file name count=0
	while IFS=$'\t' read -r _ how; do
		case $how in
		'run '*)
			how=${how#run } file=${how%%: *} name=${how#*: }
			grep -qF "@test \"$name\"" "$top"/tests/*/"$file" || { echo "no such test: $file: $name"; return 1; }
			count=$((count + 1))
			;;
		'look '?*) ;;
		*) echo "neither run nor look: $how" && return 1 ;;
		esac
	done < <(grep -v '^#' "$top/tests/cures")
	[ "$count" -ge 15 ]
}

@test "a command that is told names the files of the run that told it, whatever command it is" {
	mkdir lab
	write_cluster
	pibuild secrets new --secrets lab/s.yaml
	{ cat cluster.yaml && echo 'certManager: {issuers: [ca], zones: [home.arpa]}'; } >lab/cluster.yaml
	rm cluster.yaml
	run pibuild check -c lab/cluster.yaml --secrets lab/s.yaml
	[ "$status" -eq 0 ]
	[ "$(cure 'pibuild ca')" = 'pibuild ca -c lab/cluster.yaml --secrets lab/s.yaml' ]
	sh -c "$(cure 'pibuild ca')" | openssl x509 -noout -subject
	[ "$(cure 'pibuild plan')" = 'pibuild plan -c lab/cluster.yaml --secrets lab/s.yaml' ]
	sh -c "$(cure 'pibuild plan')"
}

@test "no secrets yet: secrets new, for the files of the run that said so" {
	write_cluster
	run pibuild kubeconfig
	[ "$status" -eq 3 ]
	[ "$(cure pibuild)" = 'pibuild secrets new' ]
	sh -c "$(cure pibuild)"
	pibuild kubeconfig >/dev/null
	rm secrets.yaml
	run pibuild render --node cp-1 --show-secrets -o tree
	sh -c "$(cure 'pibuild secrets new')"
	run pibuild render --node cp-1 --show-secrets -o tree2
	[[ "$output" != *"secrets new"* ]]
	# Another folder, with a name that a shell takes apart, and a file by another name
	mkdir "my lab's" && mv cluster.yaml "my lab's/" && rm secrets.yaml
	run pibuild kubeconfig -c "my lab's/cluster.yaml"
	[ "$status" -eq 3 ]
	sh -c "$(cure pibuild)"
	pibuild kubeconfig -c "my lab's/cluster.yaml" >/dev/null
	[ -e "my lab's/secrets.yaml" ]
	run pibuild check -c "my lab's/cluster.yaml" --secrets keys.yaml
	[ "$status" -eq 3 ]
	sh -c "$(cure pibuild)"
	pibuild check -c "my lab's/cluster.yaml" --secrets keys.yaml
	[ -e keys.yaml ]
}

@test "secrets and keys that others can read: chmod" {
	write_cluster "certManager:" "  email: me@example.org" \
		"  dns01: {provider: digitalocean, accessToken: {file: token}}" "  zones: [home.example.org]"
	echo dop_v1_0123456789abcdef0123456789abcdef >token
	chmod 600 token
	pibuild secrets new -q
	chmod 644 secrets.yaml
	run pibuild secrets show
	[ "$status" -eq 5 ]
	sh -c "$(cure chmod)"
	pibuild secrets show >/dev/null
	mkdir "my \$lab's"
	cp secrets.yaml "my \$lab's/"
	chmod 644 "my \$lab's/secrets.yaml"
	run pibuild secrets show --secrets "my \$lab's/secrets.yaml"
	sh -c "$(cure chmod)"
	pibuild secrets show --secrets "my \$lab's/secrets.yaml" >/dev/null
	chmod 644 secrets.yaml
	run pibuild secrets show
	chmod 600 secrets.yaml
	run sh -c "$(cure 'pibuild secrets rotate all')"
	[[ "$output" == *--yes* ]]
	chmod 644 token
	run pibuild render --node cp-1 --show-secrets -o tree
	[ "$status" -eq 0 ]
	sh -c "$(grep -o 'chmod 600 .*' <<<"$output" | head -n 1)"
	run pibuild render --node cp-1 --show-secrets -o tree2
	[[ "$output" != *chmod* ]]
	pibuild sign --new-key key
	chmod 644 key
	run pibuild sign --key key nothing.img
	sh -c "$(grep -o 'chmod 600 [^,;]*' <<<"$output" | head -n 1)"
	run pibuild sign --key key nothing.img
	[[ "$output" != *chmod* ]]
	mv key 'my key'
	chmod 644 'my key'
	run pibuild sign --key 'my key' nothing.img
	sh -c "$(grep -o 'chmod 600 [^,;]*' <<<"$output" | head -n 1)"
	run pibuild sign --key 'my key' nothing.img
	[[ "$output" != *chmod* ]]
}

@test "no key to sign with: sign --new-key" {
	run pibuild sign nothing.img
	[ "$status" -eq 2 ]
	command=$(cure pibuild)
	sh -c "${command/FILE/mine}"
	openssl pkey -in mine -noout
	[ -e mine.pub ]
}

@test "an encrypted key: openssl takes the passphrase off" {
	openssl genpkey -algorithm ed25519 -aes-256-cbc -pass pass:x -out key
	chmod 600 key
	run pibuild sign --key key nothing.img
	[ "$status" -eq 3 ]
	command=$(cure openssl)
	(umask 077 && sh -c "${command/FILE/plain} -passin pass:x")
	run pibuild sign --key plain nothing.img
	[[ "$output" != *openssl* ]]
	[[ "$output" == *nothing.img* ]]
}

@test "nobody could log in: ssh-keygen" {
	write_cluster
	sed -i '/sshKeys/,+1d' cluster.yaml
	run pibuild check
	[ "$status" -eq 3 ]
	sh -c "$(cure ssh-keygen) -N '' -q -f id"
	sed -i 's|^  user: pi|&\n  sshKeys: [{file: id.pub}]|' cluster.yaml
	pibuild check
	# A private key, and one of a kind that OpenSSH gave up
	sed -i 's|id.pub|id|' cluster.yaml
	run pibuild check
	[ "$status" -eq 3 ]
	sed -i 's|{file: id}|ssh-dss AAAAB3NzaC1kc3MAAACBAP|' cluster.yaml
	run pibuild check
	[[ "$output" == *"ssh-keygen -t ed25519"* ]]
}

@test "a node that has no secrets: secrets show" {
	write_cluster
	pibuild secrets new -q
	run pibuild secrets rotate node cp-9
	[ "$status" -eq 2 ]
	sh -c "$(cure 'pibuild secrets show')" | grep -q cp-1
}

@test "an admin certificate that was replaced: kubeconfig" {
	write_cluster
	pibuild secrets new -q
	run pibuild secrets rotate admin
	sh -c "$(grep -o 'pibuild kubeconfig' <<<"$output" | head -n 1)" >new
	grep -q 'client-certificate-data' new
}

@test "what next: each command names one that goes on with the same files, none with -q nor --json" {
	write_cluster
	mkdir "my lab" && mv cluster.yaml "my lab/"
	cluster=(-c "my lab/cluster.yaml" --secrets "my lab/keys.yaml")
	run pibuild doctor -c "my lab/cluster.yaml" --cache c
	[ "$status" -eq 0 ]
	[[ "$output" == *"pibuild: this machine "* ]]
	sh -c "$(cure 'pibuild check')" 2>next
	output=$(cat next)
	[[ "$(cure 'pibuild plan')" == *"-c 'my lab/cluster.yaml'"* ]]
	sh -c "$(cure 'pibuild plan')" >/dev/null
	pibuild secrets new -q "${cluster[@]}"
	run pibuild kubeconfig "${cluster[@]}"
	mkdir -p home/.kube
	HOME=$PWD/home sh -c "$(cure 'pibuild kubeconfig')" 2>next
	[ "$(stat -c %a home/.kube/lab)" = 600 ]
	output=$(cat next)
	[[ "$output" == *"it is in $PWD/home/.kube/lab (mode 0600)"* ]]
	cd /
	sh -c "$(cure export); grep -q admin@lab \"\$KUBECONFIG\""
	cd "$BATS_TEST_TMPDIR"
	for quiet in -q --json; do
		for command in "check" "doctor --cache c" "kubeconfig"; do
			# shellcheck disable=SC2086 # words
			streams pibuild $command $quiet "${cluster[@]}"
			[ "$status" -eq 0 ]
			[[ "$stderr" != *next:* ]]
		done
	done
	rm -r "my lab"
	run pibuild doctor --cache c
	[[ "$(cure pibuild)" == "pibuild init" ]]
}

@test "a lock that lacks something: check names lock before build" {
	write_cluster "versions: {k3s: v1.36.3+k3s1}"
	run pibuild check
	[ "$status" -eq 0 ]
	[[ "$output" == *'next: `pibuild lock` pins what is to be downloaded, then `pibuild build`'* ]]
	run pibuild fetch --offline --cache "my cache"
	[[ "$output" == *"run \`pibuild lock --cache 'my cache'\`"* ]]
	CI=false run pibuild check
	[[ "$output" == *'next: `pibuild lock`'* ]]
	CI=true run pibuild check
	[[ "$output" != *'next: '* ]]
}

@test "what is not in the cache: fetch, with the options of the run that said so" {
	write_cluster
	run pibuild fetch --offline --cache "my cache"
	[[ "$output" == *"run \`pibuild fetch --cache 'my cache'\`"* ]]
	mkdir lab && mv cluster.yaml lab/
	run pibuild fetch --offline -c lab/cluster.yaml
	[[ "$output" == *'run `pibuild fetch -c lab/cluster.yaml`'* ]]
}

@test "a node or a file as an argument too many: the same command with its option" {
	local row
	write_cluster
	mkdir lab && cp cluster.yaml lab/my.yml
	while IFS='|' read -r row option; do
		run pibuild $row
		[ "$status" -eq 2 ]
		[[ "$(cure pibuild)" == *" $option"* ]]
		sh -c "$(cure pibuild) -q >/dev/null"
	done <<-EOT
		secrets new lab/my.yml|-c lab/my.yml
		secrets show lab/my.yml|-c lab/my.yml
		check cluster.yaml|-c cluster.yaml
		kubeconfig lab/my.yml|-c lab/my.yml
		plan w-1 cp-1|--node w-1 --node cp-1
		plan w-1 -c lab/my.yml|--node w-1 -c lab/my.yml
		render cp-1|--node cp-1
	EOT
	run pibuild build --offline --cache empty cp-1
	[[ "$(cure pibuild)" == 'pibuild build --node cp-1 --cache empty' ]]
}

# bats test_tags=slow
@test "a compressed image: xz" {
	truncate -s 64M a.img
	printf 'label: dos\nstart=2048, size=8192, type=c\nstart=16384, type=83\n' | sfdisk -q a.img
	xz a.img
	run pibuild boot a.img.xz
	[[ "$output" == *"is compressed"* ]]
	sh -c "$(cure xz) a.img.xz"
	run pibuild boot a.img
	[[ "$output" != *"is compressed"* ]]
}

# bats test_tags=slow
@test "a clock that cannot be set by the network: date" {
	local command
	card
	echo 1000 >card/clock
	tick '[ -e seen ] || cp card/run/pibuild/steps/preflight seen; [ ! -e set ] || rm -f card/clock'
	program date 'case $1 in -s) echo "$2" >"$PIBUILD_ROOT/../set" ;; +%s) [ ! -e "$PIBUILD_ROOT/clock" ] || exec cat "$PIBUILD_ROOT/clock" ;; esac; exec /bin/date "$@"'
	(cd card/usr/lib/pibuild && timeout 60 sh ./step preflight) >log 2>&1 &
	until [ -e seen ] && grep -q '^cure Let network time out' seen; do /bin/sleep 0.1; done
	command=$(sed -n 's/^cure .* by hand: sudo //p' seen)
	/bin/date -d "$(sed "s/^date -s '\(.*\)'$/\1/" <<<"$command")"
	echo x >set
	wait
	[ "$(state_of preflight state)" = done ]
}
