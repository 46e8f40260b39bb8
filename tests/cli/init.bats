#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `init`: a cluster.yaml from options, or from answers at a terminal, that `check` takes as it is.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	mkdir -p home/.ssh
	export HOME=$PWD/home
	echo "$example_key" >home/.ssh/id_ed25519.pub
	lan=(--board rpi5 --subnet 192.168.7.0/24 --gateway 192.168.7.1)
}

init() {
	"$PIBUILD" init "$@" </dev/null
}

# value FILTER [FILE]: of cluster.yaml as another YAML reader sees it.
value() {
	python3 -c 'import sys, json, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)' "${2:-cluster.yaml}" |
		jq -c "$1"
}

# A network of our own, without root; some systems forbid it.
namespaces() {
	unshare -rn true 2>/dev/null || skip "no network namespaces for this user"
}

nothing_written() {
	[ "$(ls -A)" = home ] || { ls -A; return 1; }
}

# at_terminal ANSWERS [ARGUMENT]...: pibuild init on a pseudo terminal; the talk goes to ./talk. An answer is typed when
# its question stands there; \x03 is Ctrl-C, \x04 Ctrl-D.
at_terminal() {
	python3 - "$PIBUILD" "$@" <<-'PYTHON'
		import os, pty, select, signal, sys, time
		program, answers, *args = sys.argv[1:]
		answers = answers.encode().decode("unicode_escape").split("|") if answers else []
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(program, [program, "init", *args])
		talk, mark, end = b"", 0, time.monotonic() + 120
		while time.monotonic() < end:
		    if select.select([fd], [], [], 0.2)[0]:
		        try:
		            data = os.read(fd, 4096)
		        except OSError:
		            break
		        if not data:
		            break
		        talk += data
		    if answers and talk[mark:].endswith(b": "):
		        mark = len(talk)
		        answer = answers.pop(0).encode()
		        os.write(fd, answer if answer in (b"\x03", b"\x04") else answer + b"\n")
		else:
		    os.kill(pid, signal.SIGKILL)
		open("talk", "wb").write(talk)
		status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		if status < 0:
		    sys.exit("ended by signal %d after:\n%s" % (-status, talk.decode()))
		if answers:
		    sys.exit("never asked for: " + repr(answers))
		sys.exit(status)
	PYTHON
}

@test "init writes a cluster.yaml that check takes, and names the next commands" {
	init --name lab --user ann "${lan[@]}" --servers 3 --workers 2 --pool 192.168.7.64-192.168.7.79 >said
	grep -qx '  pibuild check' said
	grep -qx '  pibuild' said
	"$PIBUILD" check | grep -q 'ok: 5 nodes (3 control-plane, 2 workers), 1 address pool'
	[ "$(value '[.cluster.name, .access.user, .network.subnet, .network.gateway]')" = \
		'["lab","ann","192.168.7.0/24","192.168.7.1"]' ]
	[ "$(value '[.nodes[].name]')" = '["cp-1","cp-2","cp-3","w-1","w-2"]' ]
	[ "$(value '.loadBalancer.pools')" = '[{"name":"lan","range":"192.168.7.64-192.168.7.79"}]' ]
}

@test "--dhcp-range is written, and neither nodes nor pool may lie in it" {
	init --name lab "${lan[@]}" --dhcp-range 192.168.7.10-192.168.7.99 --workers 1 >said
	[ "$(value '[.network.dhcpRange, .nodes[].address]')" = \
		'["192.168.7.10-192.168.7.99","192.168.7.100/24","192.168.7.101/24"]' ]
	grep -q '1 control-plane, 1 worker: 192.168.7.100 to 192.168.7.101' said
	fails 3 'overlaps network.dhcpRange' init --name lab "${lan[@]}" -c b.yaml \
		--dhcp-range 192.168.7.10-192.168.7.99 --pool 192.168.7.90-192.168.7.120
	fails 2 '--dhcp-range 10.0.0.1-10.0.0.9: that is no address of a machine' init --name lab "${lan[@]}" -c b.yaml --dhcp-range 10.0.0.1-10.0.0.9
}

@test "every section has its comment" {
	init --name lab "${lan[@]}"
	for section in apiVersion cluster access network nodes; do
		grep -B1 "^$section:" cluster.yaml | head -n 1 | grep -q '^# ' || { echo "$section"; return 1; }
	done
}

@test "without a pool the file shows how to write one" {
	init --name lab "${lan[@]}"
	[ "$(value .loadBalancer)" = null ]
	grep -q '^#   loadBalancer:' cluster.yaml
}

@test "nodes get addresses that neither router, DNS servers nor pool have" {
	init --name lab --board rpi5 --subnet 192.168.7.0/24 --gateway 192.168.7.12 --nameserver 192.168.7.13 \
		--pool 192.168.7.15-192.168.7.20 --workers 3 --address 192.168.7.11
	[ "$(value '[.nodes[].address]')" = \
		'["192.168.7.11/24","192.168.7.14/24","192.168.7.21/24","192.168.7.22/24"]' ]
}

@test "--nameserver may be repeated, without it the router is asked" {
	init --name lab "${lan[@]}" --nameserver 9.9.9.9 --nameserver 1.1.1.1
	[ "$(value .network.nameservers)" = '["9.9.9.9","1.1.1.1"]' ]
	init --name lab "${lan[@]}" -c b.yaml
	[ "$(value .network.nameservers b.yaml)" = '["192.168.7.1"]' ]
}

@test "the key is the first of ~/.ssh that is one, or the one named" {
	echo 'no key' >home/.ssh/a.pub
	init --name lab "${lan[@]}"
	[ "$(value '.access.sshKeys[]')" = "\"$example_key\"" ]
	ssh-keygen -q -t ed25519 -N '' -C 'odd: "comment" # {x} *' -f mine
	init --name lab "${lan[@]}" --key mine.pub -c b.yaml
	[ "$(value '.access.sshKeys[]' b.yaml | jq -r .)" = "$(cat mine.pub)" ]
}

@test "a private key is refused and never copied" {
	ssh-keygen -q -t ed25519 -N '' -f mine
	fails 2 'is a private key' init --name lab "${lan[@]}" --key mine
	[ ! -e cluster.yaml ]
}

@test "without a terminal missing answers are a usage error that names their options" {
	rm home/.ssh/*
	fails 2 'give --key FILE --name NAME --board NAME --subnet NET --gateway IP' init
	fails 2 'give --key FILE --subnet NET (' init --name lab --board rpi4 --gateway 192.168.7.1
	nothing_written
}

@test "--yes takes the network this machine is on" {
	namespaces
	command -v ip >/dev/null || skip "iproute2 is not installed"
	run -0 unshare -rn bash -ec '
		ip link add lan0 type veth peer name vpn0
		ip link set lan0 up
		ip link set vpn0 up
		ip addr add 172.16.0.2/24 dev vpn0
		ip route add default via 172.16.0.1 metric 900
		ip addr add 10.11.12.13/22 dev lan0
		ip route add default via 10.11.12.1 metric 50
		exec "$0" init --yes </dev/null' "$PIBUILD"
	[ "$(value '[.cluster.name, .network.subnet, .network.gateway]')" = '["homelab","10.11.12.0/22","10.11.12.1"]' ]
	"$PIBUILD" check
}

@test "--yes on a machine without a network names what it could not find out" {
	namespaces
	run -2 unshare -rn "$PIBUILD" init --yes
	[[ "$output" == *'not everything has a default: give --subnet NET --gateway IP' ]]
	nothing_written
}

@test "every wrong option is named with its reason" {
	fails 2 '--subnet 192.168.7.5/24: the network is 192.168.7.0/24' init --name lab --board rpi5 --subnet 192.168.7.5/24 --gateway 192.168.7.1
	fails 2 '--gateway 10.0.0.1: that is no address of a machine in 192.168.7.0/24' \
		init --name lab --board rpi5 --subnet 192.168.7.0/24 --gateway 10.0.0.1
	fails 2 '--servers 2: give 1, 3, 5 or 7' init --name lab "${lan[@]}" --servers 2
	fails 2 '--workers many: give a number' init --name lab "${lan[@]}" --workers many
	fails 2 '--board rpi55:' init --name lab --board rpi55 --subnet 192.168.7.0/24 --gateway 192.168.7.1
	fails 2 '--user root: this is an account of the system' init --name lab "${lan[@]}" --user root
	fails 2 '--name My_Lab:' init --name My_Lab "${lan[@]}"
	fails 2 '--nameserver 9.9.9.9,x:' init --name lab "${lan[@]}" --nameserver 9.9.9.9 --nameserver x
	fails 2 '--pool 192.168.8.1-192.168.8.9: that is no address' init --name lab "${lan[@]}" --pool 192.168.8.1-192.168.8.9
	nothing_written
}

@test "an answer cannot break the grammar of the file" {
	local text
	for text in $'x\nos: {base: /etc/passwd}' 'x: y' '*a' '!!str x' '# x' '- x' '"' "'" '{' '%x' $'x\t'; do
		fails 2 '--name ' init --name "$text" "${lan[@]}"
		fails 2 '--user ' init --name lab "${lan[@]}" --user "$text"
		fails 2 '--pool ' init --name lab "${lan[@]}" --pool "$text"
	done
	nothing_written
}

@test "what check would refuse is not written, and the reason is said" {
	fails 3 'includes the gateway 192.168.7.1' init --name lab "${lan[@]}" --pool 192.168.7.1-192.168.7.9
	[[ "$output" == *'cluster.yaml was not written'* && "$output" != *.part* ]]
	fails 3 'a server needs 2.0 GiB' init --name lab --board zero2w --subnet 192.168.7.0/24 --gateway 192.168.7.1
	nothing_written
}

@test "a LAN where pods or services would be leads to other networks for them" {
	init --name lab --board rpi5 --subnet 10.42.0.0/24 --gateway 10.42.0.1
	[ "$(value '[.cluster.podCIDR, .cluster.serviceCIDR]')" = '["172.20.0.0/16",null]' ]
	"$PIBUILD" check
	rm cluster.yaml
	init --name lab --board rpi5 --subnet 10.0.0.0/8 --gateway 10.0.0.1
	[ "$(value '[.cluster.podCIDR, .cluster.serviceCIDR]')" = '["172.20.0.0/16","100.96.0.0/16"]' ]
	"$PIBUILD" check
	rm cluster.yaml
	init --name lab "${lan[@]}" --nameserver 10.43.0.7
	[ "$(value '[.cluster.podCIDR, .cluster.serviceCIDR]')" = '[null,"10.200.0.0/16"]' ]
}

@test "a subnet without room for the nodes is a usage error" {
	fails 2 'too few free addresses for 9 nodes' init --name lab --board rpi5 --subnet 192.168.7.0/29 --gateway 192.168.7.1 --workers 8
	nothing_written
}

@test "an existing file is never replaced, nor a link that leads nowhere" {
	echo mine >cluster.yaml
	fails 5 'cluster.yaml is there already' init --name lab "${lan[@]}"
	[ "$(cat cluster.yaml)" = mine ]
	ln -s nowhere.yaml link.yaml
	fails 5 'link.yaml is there already' init --name lab "${lan[@]}" -c link.yaml
	[ ! -e nowhere.yaml ]
	[ ! -e .gitignore ]
}

@test "-c names the file, and the next commands name it too" {
	init --name lab "${lan[@]}" -c house/pis.yaml >said
	grep -qx '  pibuild check -c house/pis.yaml' said
	[ -e house/.gitignore ]
	[ ! -e .gitignore ]
	[ ! -e cluster.yaml ]
	"$PIBUILD" check -c house/pis.yaml
}

@test "-o is a usage error that names -c" {
	fails 2 'name it with -c FILE' init --name lab "${lan[@]}" -o other.yaml
	nothing_written
}

@test "--json says the file and the next commands" {
	init --name lab "${lan[@]}" --json | jq -e '.file == "cluster.yaml" and .next == ["pibuild check", "pibuild"]'
}

@test ".gitignore keeps secrets and images out of git" {
	command -v git >/dev/null || skip "git is not installed"
	git init -q .
	init --name lab "${lan[@]}"
	touch secrets.yaml secrets.yaml.bak cp-1.img && mkdir out && touch out/x
	[ "$(git ls-files -o --exclude-standard | grep -v ^home/)" = $'.gitignore\ncluster.yaml' ]
	"$PIBUILD" kubeconfig 2>/dev/null || true
	rm secrets.yaml
	"$PIBUILD" secrets new 2>said
	refute grep -q 'git would take' said
}

@test "a .gitignore that is there keeps its lines, and only missing ones are added" {
	printf '*.o\nout/  \r\n!out/keep\n# no end' >.gitignore
	init --name lab "${lan[@]}"
	cmp .gitignore <(printf '*.o\nout/  \r\n!out/keep\n# no end\nsecrets.yaml*\n*.img\n')
	before=$(stat -c %Y.%i .gitignore)
	init --name lab "${lan[@]}" -c b.yaml
	[ "$(stat -c %Y.%i .gitignore)" = "$before" ]
	[ "$(wc -l <.gitignore)" -eq 6 ]
}

@test "when .gitignore cannot be written there is no cluster.yaml" {
	mkdir .gitignore
	fails 1 'cannot open ./.gitignore' init --name lab "${lan[@]}"
	[ "$(ls -A)" = $'.gitignore\nhome' ]
}

@test "at a terminal it asks for what was not given, and Enter takes the suggestion" {
	at_terminal 'bob||lab|rpi4||1|192.168.7.0/24||||' --pool none
	grep -q 'Your account on the nodes \[pi\]: ' talk
	grep -q 'Its router \[192.168.7.1\]: ' talk
	grep -q 'DNS servers \[192.168.7.1\]: ' talk
	grep -q 'first node, which the others follow \[192.168.7.11\]: ' talk
	grep -q 'Enter takes what stands in \[brackets\]; Ctrl-C ends, and nothing is written' talk
	refute grep -q 'addresses for services' talk
	grep -q 'The nodes get 192.168.7.11 to 192.168.7.12' talk
	[ "$(value '[.access.user, .cluster.name, .network.gateway, .nodes[].board]')" = \
		'["bob","lab","192.168.7.1","rpi4","rpi4"]' ]
	[ "$(value '.access.sshKeys[]')" = "\"$example_key\"" ]
	"$PIBUILD" check
}

@test "at a terminal a wrong answer is explained and asked for again" {
	at_terminal 'root|pi||Lab!|lab||2|3||192.168.7.5/24|192.168.7.0/24|10.0.0.1||9.9.9.9, x|9.9.9.9 1.1.1.1|7-9|192.168.7.128-192.168.7.250|192.168.7.1-192.168.7.9|192.168.7.120-192.168.7.130||'
	grep -q 'this is an account of the system' talk
	grep -q 'use 1 to 32 lower-case letters' talk
	grep -q 'give 1, 3, 5 or 7' talk
	grep -q 'the network is 192.168.7.0/24' talk
	grep -q 'that is no address of a machine in 192.168.7.0/24' talk
	grep -q 'give a range such as' talk
	grep -q 'it includes the gateway 192.168.7.1, your router' talk
	grep -q 'the router hands out some of these itself' talk
	[ "$(value '.network.nameservers')" = '["9.9.9.9","1.1.1.1"]' ]
	[ "$(value '.network.dhcpRange')" = '"192.168.7.128-192.168.7.250"' ]
	"$PIBUILD" check
}

@test "answers that make no cluster together are asked for again, and none is lost" {
	at_terminal 'bob||lab|zero2w|||192.168.7.0/24|||||||||rpi5||||||||'
	grep -q 'a server needs 2.0 GiB' talk
	grep -q 'Once more; Enter keeps an answer' talk
	grep -q 'Your account on the nodes \[bob\]: ' talk
	[ "$(value '[.access.user, .cluster.name, .nodes[0].board]')" = '["bob","lab","rpi5"]' ]
	rm cluster.yaml
	at_terminal 'pi||lab|rpi5|1|8|192.168.7.0/29|||||||||||0||||||'
	grep -q 'too few free addresses for 9 nodes' talk
	"$PIBUILD" check
}

@test "an option that cannot be used is told before anything is asked" {
	run at_terminal '' --pool lots
	[ "$status" -eq 2 ]
	refute grep -q 'Your account' talk
	at_terminal '||||||192.168.7.0/24|192.168.7.1||||' --gateway 10.0.0.1
	grep -q 'Its router \[10.0.0.1\]: ' talk
}

@test "at a terminal every board is listed with what it is, from the folder of boards" {
	mkdir data && cp -r "$top"/{boards,configs,docs} data/
	sed 's/^title: .*/title: Raspberry Pi 6/' "$top/boards/rpi5.yaml" >data/boards/rpi6.yaml
	PIBUILD_DATA=$PWD/data run at_terminal '||lab|rpi6|||192.168.7.0/24||||||'
	grep -q '^  rpi6    Raspberry Pi 6, 1 GiB to 16 GiB' talk
	for board in $(grep -L '^external: true' "$top"/boards/*.yaml); do
		grep -q "^  $(basename "$board" .yaml) .*$(sed -n 's/^title: //p' "$board")" talk || { echo "$board"; return 1; }
	done
	grep -q 'zero2w .*Wi-Fi only' talk
}

@test "several servers: a word about the address of the API, which is a key" {
	at_terminal '||lab||3||192.168.7.0/24|||||'
	grep -q 'cluster.vip' talk
	init --name lab "${lan[@]}" --servers 3 -c b.yaml | grep -q 'cluster.vip'
	sed -i 's/^  name: lab$/&\n  vip: 192.168.7.10/' b.yaml
	"$PIBUILD" check -c b.yaml
	init --name lab "${lan[@]}" -c c.yaml >said
	refute grep -q 'cluster.vip' said
}

@test "no line of the talk is wider than 80 columns when the answers are good" {
	at_terminal '||lab||3|2|192.168.7.0/24|||192.168.7.128-192.168.7.250|192.168.7.64-192.168.7.79|'
	tr -d '\r' <talk | awk 'length($0) > 100 { print; bad = 1 } END { exit bad }'
	tr -d '\r' <talk | sed 's/: .*/:/' | awk 'length($0) > 80 { print; bad = 1 } END { exit bad }'
}

@test "without a key it offers to make one, and takes a pasted line too" {
	rm home/.ssh/*
	at_terminal '|yes||||lab||||192.168.7.0/24|||||'
	grep -q 'Make one with `ssh-keygen -t ed25519`? \[yes\]: ' talk
	[ "$(value '.access.sshKeys[]' | jq -r .)" = "$(cat home/.ssh/id_ed25519.pub)" ]
	[ "$(stat -c %a home/.ssh/id_ed25519)" = 600 ]
	rm -r cluster.yaml home/.ssh
	at_terminal "|no|$example_key|lab||||192.168.7.0/24|||||"
	[ "$(value '.access.sshKeys[]' | jq -r .)" = "$example_key" ]
	[ ! -e home/.ssh ]
}

@test "at a terminal --yes asks nothing" {
	at_terminal '' --yes --subnet 192.168.7.0/24 2>/dev/null || true
	refute grep -q 'Its router' talk
	"$PIBUILD" check
}

@test "Ctrl-C and Ctrl-D at a question leave nothing behind" {
	# More than once: it may come just before the wait for an answer, or during it.
	for _ in 1 2 3 4 5 6 7 8; do
		run at_terminal 'pi|\x03'
		[ "$status" -eq 130 ] || { echo "$status: $output"; return 1; }
	done
	grep -q 'interrupted by SIGINT' talk
	run at_terminal 'pi|\x04'
	[ "$status" -eq 2 ]
	grep -q 'the answers ended too early' talk
	rm talk
	nothing_written
}
