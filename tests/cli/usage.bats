#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line itself: help, usage errors, documents that must keep up with it.

load ../lib/image
load ../lib/refute

setup() {
	cd "$BATS_TEST_TMPDIR"
}

@test "--version, -V and version name the program, a version, the commit and the date of the catalogue" {
	for word in --version -V version; do
		run "$PIBUILD" $word
		[ "$status" -eq 0 ]
		[[ "$output" =~ ^pibuild\ [0-9]+\.[0-9]+\.[0-9]+\ \((commit\ [0-9a-f]{12}(-dirty)?|of\ no\ known\ commit),\ catalogue\ of\ $(sed -n 's/^time: \(.*\)T.*/\1/p' "$top/configs/pibuild.lock")\)$ ]]
	done
	PIBUILD_DATA=/nowhere run "$PIBUILD" --version
	[[ "$output" == *"without a catalogue)" ]]
}

@test "the commit is that of the tree: of git, of an archive, or none" {
	mkdir -p repo/scripts && cp "$top/scripts/commit" repo/scripts/ && cp "$top/.gitattributes" repo/
	git=(git -C repo -c user.name=x -c user.email=x@example.org)
	[ -z "$(repo/scripts/commit)" ]
	"${git[@]}" init -q && "${git[@]}" add . && "${git[@]}" commit -q -m x
	commit=$("${git[@]}" rev-parse --short=12 HEAD)
	[ "$(repo/scripts/commit)" = "$commit" ]
	mkdir archive repo/inside
	"${git[@]}" archive HEAD | tar -C archive -x
	[ "$(archive/scripts/commit)" = "$commit" ]
	# An archive of no commit inside somebody's repository is not that repository's.
	mkdir -p repo/inside/scripts && cp "$top/scripts/commit" repo/inside/scripts/
	[ -z "$(repo/inside/scripts/commit)" ]
	echo '# changed' >>repo/scripts/commit
	[ "$(repo/scripts/commit)" = "$commit-dirty" ]
}

@test "help is the program's, help COMMAND the command's: its own options, and two examples that are good" {
	"$PIBUILD" help >a && "$PIBUILD" --help >b
	cmp a b
	for command in $(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' a); do
		"$PIBUILD" help "$command" >a && "$PIBUILD" "$command" --help >b
		cmp a b
		[ "$(sed -n '/^Examples:/,$p' a | grep -c "^  \(sudo \)\?pibuild ${command#build}\|^  pibuild -V$")" -eq 2 ]
		[ "$(grep -oE '^ +(-[a-z], )?--[a-z0-9-]+' a | sort | uniq -d | wc -l)" -eq 0 ]
		# What an example says is taken.
		sed -n '/^Examples:/,$s/^  //p' a | grep -o -- ' --[a-z0-9-]*' | sort -u >used
		while read -r option; do grep -qw -- "$option" a || { echo "$command: $option"; return 1; }; done <used
	done
	"$PIBUILD" help sign >a
	for other in --config --offline --jobs --out --progress --cache; do refute grep -qw -- "$other" a; done
	fails 2 "unknown command 'flsh', did you mean flash?" "$PIBUILD" help flsh
}

@test "--help lists commands, options and exit codes on stdout" {
	"$PIBUILD" --help >help 2>err
	[ ! -s err ]
	grep -q '^  build ' help
	grep -q -- '--config FILE' help
	grep -q '5 refused for safety' help
}

@test "--help after a command is that command's own" {
	"$PIBUILD" render --help | grep -q '^usage: pibuild render'
	"$PIBUILD" --help render | grep -q -- '--show-secrets'
}

@test "an unknown command is a usage error that names the nearest" {
	fails 2 "unknown command 'rendr', did you mean render?" "$PIBUILD" rendr
}

@test "an unknown option is a usage error that names the nearest" {
	fails 2 'unknown option --ofline, did you mean --offline?' "$PIBUILD" --ofline
}

@test "an option without its value is a usage error" {
	fails 2 '--node wants a value' "$PIBUILD" plan --node
}

@test "an option of another command is a usage error" {
	fails 2 'pibuild doctor takes no --node' "$PIBUILD" doctor --node x
}

@test "a flag takes no value" {
	fails 2 'unknown option --json=yes' "$PIBUILD" check --json=yes
}

@test "--jobs wants a number" {
	fails 2 "--jobs wants a number from 1 to 64, not 'many'" "$PIBUILD" --jobs many
}

@test "--role wants a role" {
	fails 2 "--role wants control-plane or worker, not 'master'" "$PIBUILD" --role master
}

@test "--progress wants a mode" {
	fails 2 '--progress wants auto, bar, plain, json or none' "$PIBUILD" --progress loud
}

@test "superfluous arguments are a usage error" {
	fails 2 'too many arguments' "$PIBUILD" doctor now
}

@test "inspect without an image is a usage error" {
	fails 2 'an argument is missing: usage: pibuild inspect IMAGE' "$PIBUILD" inspect
}

@test "verify and diff without their images are usage errors" {
	fails 2 'an argument is missing: usage: pibuild verify IMAGE' "$PIBUILD" verify
	fails 2 'an argument is missing: usage: pibuild diff IMAGE|DIR IMAGE|DIR' "$PIBUILD" diff one.img
	fails 2 'pibuild verify takes no --brief' "$PIBUILD" verify one.img --brief
}

@test "options may stand before or after the command" {
	write_cluster
	"$PIBUILD" --json plan -c cluster.yaml >a
	"$PIBUILD" plan -ccluster.yaml --json >b
	cmp a b
}

@test "a missing config file is named with what to do" {
	fails 3 'cannot open nothing.yaml' "$PIBUILD" check -c nothing.yaml
}

@test "doctor finds the tools this machine needs" {
	"$PIBUILD" doctor --cache c >list
	grep -qE '^ok +resize2fs ' list
	"$PIBUILD" doctor --cache c --json | jq -e 'map(select(.state == "missing")) == []'
}

@test "doctor without tools ends with 6 and names the packages" {
	# No /sbin and no PATH in a mount namespace: as on a bare machine.
	[ "$(id -u)" -eq 0 ] || skip "needs root to hide the tools"
	hidden=$(command -v resize2fs)
	run unshare -m bash -c 'mount --bind /dev/null "$0" && exec "$1" doctor --cache c' "$(readlink -f "$hidden")" "$PIBUILD"
	[ "$status" -eq 6 ]
	[[ "$output" == *"sudo apt-get install"*e2fsprogs* ]]
}

@test "plan lists artifacts and images without a cache, a network or a secrets file" {
	write_cluster
	run strace -f -qq -e trace=connect,socket -e signal=none "$PIBUILD" plan
	[ "$status" -eq 0 ]
	[[ "$output" == *"out/cp-1.img"* ]]
	[[ "$output" == *"k3s"*"v1.36.4+k3s1"* ]]
	[[ "$output" != *AF_INET* ]]
	[ ! -e secrets.yaml ]
	[ ! -e out ]
}

@test "plan --json lists every entry of every node" {
	write_cluster
	"$PIBUILD" plan --json | jq -e '(.nodes | length) == 2 and ([.nodes[0].entries[].path] | index("/etc/hostname") != null)
		and ([.artifacts[] | select(.sha256 == null)] | length) == 0'
}

@test "render lays a node's files out with their modes, secrets masked" {
	write_cluster
	"$PIBUILD" render --node cp-1 -o tree >list
	[ "$(cat tree/etc/hostname)" = cp-1 ]
	[ "$(stat -c %a tree/etc/rancher/k3s/config.yaml)" = 600 ]
	grep -qw cgroup_enable=memory tree/boot/firmware/cmdline.txt
	grep -q '/usr/local/bin/k3s -> on the card only' list
	[ ! -e tree/usr/local/bin/k3s ]
	[ ! -e secrets.yaml ]
}

@test "render refuses a folder that is not empty" {
	write_cluster
	mkdir tree && touch tree/mine
	fails 5 'tree is not empty' "$PIBUILD" render --node cp-1 -o tree
	[ "$(ls tree)" = mine ]
	"$PIBUILD" render --node cp-1 -o tree --force >/dev/null
}

@test "render of several nodes asks for one" {
	write_cluster
	fails 2 'pibuild render --node NAME' "$PIBUILD" render
}

@test "with no cluster.yaml the default is one rpi5 with the keys of ~/.ssh" {
	mkdir -p home/.ssh && echo "$example_key" >home/.ssh/id_ed25519.pub
	HOME=$PWD/home "$PIBUILD" plan --json | jq -e '(.nodes | length) == 1 and .nodes[0].board == "rpi5"'
}

@test "with no cluster.yaml and no key it ends with 3 and names ssh-keygen" {
	mkdir home
	HOME=$PWD/home fails 3 'ssh-keygen' "$PIBUILD" plan
}

@test "the man page and the completion know every command and option" {
	"$PIBUILD" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >words
	for command in $(cat words); do "$PIBUILD" "$command" --help; done | grep -oE -- '--[a-z0-9-]+' | sort -u >>words
	sed 's/\\-/-/g' "$top/docs/pibuild.1" >page
	while read -r word; do
		grep -qw -- "$word" page || { echo "not in the man page: $word"; return 1; }
	done <words
}

@test "completion offers commands and options" {
	PATH=$(dirname "$PIBUILD"):$PATH
	source "$top/docs/pibuild.bash"
	COMP_WORDS=(pibuild ins) COMP_CWORD=1 COMPREPLY=()
	_pibuild
	[ "${COMPREPLY[*]}" = inspect ]
	COMP_WORDS=(pibuild render --sh) COMP_CWORD=2 COMPREPLY=()
	_pibuild
	[ "${COMPREPLY[*]}" = --show-secrets ]
}

@test "the man page has no fault that man can see" {
	command -v man >/dev/null || skip "man is not installed"
	LC_ALL=C.UTF-8 MANROFFSEQ='t' man --warnings -l "$top/docs/pibuild.1" 2>warnings >/dev/null
	[ ! -s warnings ]
}
