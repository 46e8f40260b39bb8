#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How faults look: the line of the file below, colours and width of a terminal; and what is never shown.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_CONFIG NO_COLOR
}

# screen COLUMNS: what `check` shows on a terminal
screen() {
	TERM=${TERM_HERE-xterm} "$top/tests/lib/terminal.py" "$1" "$PIBUILD" check
}

# Access with a user who is refused, on one line.
write_root() {
	printf '%s\n' 'apiVersion: pibuild/v1' 'cluster: {name: lab}' "access: {sshKeys: ['ssh-dss AAAA'], user: ${1:-root}}" \
		'nodes:' '  - {name: cp-1, role: control-plane, board: rpi5}' >cluster.yaml
}

@test "a terminal of 80 columns: colours, words stay whole, the place is marked" {
	write_root
	screen 80 >shown
	diff - shown <<-'EOT'
		cluster.yaml:3:20: \e[1;31merror:\e[m access.sshKeys[0]: DSA keys are no longer accepted by
		    OpenSSH; make a new one: ssh-keygen -t ed25519
		    3 | access: {sshKeys: ['ssh-dss AAAA'], user: root}
		      |                    \e[1;32m^~~~~~~~\e[m
		cluster.yaml:3:43: \e[1;31merror:\e[m access.user: 'root' cannot be used: this is an account
		    of the system; choose a name of your own, such as pi
		    3 | access: {sshKeys: ['ssh-dss AAAA'], user: root}
		      |                                           \e[1;32m^~~~\e[m
		pibuild: \e[1;31merror:\e[m cluster.yaml: 2 faults, nothing was done
	EOT
}

@test "NO_COLOR: the same without colours; a dumb terminal, a pipe: plain lines" {
	write_root
	screen 80 | sed 's/\\e\[[0-9;]*m//g' >expected
	NO_COLOR=1 screen 80 >shown
	diff expected shown
	NO_COLOR='' screen 80 | grep -qF '\e[1;31m'
	TERM_HERE=dumb screen 80 >plain
	CLICOLOR_FORCE=1 "$PIBUILD" check 2>pipe || true
	diff plain pipe
	refute grep -qF '\e' plain
	[ "$(grep -c ': error: ' plain)" -eq 3 ]
	[ "$(wc -l <plain)" -eq 7 ]
}

@test "nothing of a terminal is passed on, and no line is wider than it" {
	write_root "\"$(printf '\302\205\342\200\256root')\", sudo: true, shell: zsh, uid: 1000, gecos: the administrator of it all, groups: [a, b]"
	for columns in 50 60 80 200; do
		screen "$columns" | sed 's/\\e\[[0-9;]*m//g' >shown
		LC_ALL=C.UTF-8 awk -v n="$columns" 'length > n' shown >wide
		[ ! -s wide ] || { cat wide; return 1; }
	done
	screen 80 >shown
	refute grep -q "$(printf '\342\200\256')" shown
	grep -q ' ^' shown || grep -qF '\e[1;32m^' shown
}

@test "a file that is no YAML shows its line too, whatever the command" {
	printf 'cluster: {name: x\naccess:\n' >cluster.yaml
	run "$PIBUILD" plan
	[ "$status" -eq 3 ]
	[[ "$output" == *$'\n    '*' | '*$'\n      | '*'^'* ]]
}

@test "a line with a secret is not shown, whatever the fault and wherever it stands" {
	local n=0
	while IFS= read -r wrong; do
		printf '%b\n' "apiVersion: pibuild/v1" "cluster: {name: lab}" "$wrong" "nodes: 7" >cluster.yaml
		run "$PIBUILD" check
		[ "$status" -eq 3 ]
		[[ "$output" != *hunter22* ]] || { echo "shown: $output"; return 1; }
		n=$((n + 1))
	done <<-'EOT'
		access: {user: pi, passwordHash: hunter22, oops: 1}
		access: {user: pi, pasword: hunter22, oops: 1}
		access:\n  passwordHash: "hunter22
		access:\n  passwordHash:\n    hunter22: [
		network: {wifi: {ssid: x, passphrase: hunter22, country: de}}
		network:\n  wifi:\n    psk: hunter22
		network:\n  wifi:\n    ssid: x\n    key:\n      - hunter22\n     }
		network:\n  wifi:\n    passphrase: "hunter22
		network:\n  wifi: {ssid: x, passphrase:\nhunter22, country: de}
		network:\n  wifi: {ssid: x, passphrase: hunter22\naccess: {user: root}
		network:\n\twifi:\n\t\tpassphrase: hunter22
		network:\n  wi-fi:\n    passphrase: hunter22: x
		certManager:\n  dns01:\n    provider: nobody\n    accessToken: hunter22
		certManager:\n  dns01: {provider: digitalocean, accessToken: hunter22}
		certManager:\n  acme:\n    cloudflare_api_token: hunter22
		access:\n  sshKeys:\n    - |\n      -----BEGIN OPENSSH PRIVATE KEY-----\n      hunter22hunter22hunter22\n     x: y
		access:\n  sshKeys: [ b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQhunter22 ]
		token: hunter22
		k3sToken: hunter22
	EOT
	[ "$n" -eq 19 ]
}
