#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line itself: help, usage errors, documents that must keep up with it.

load ../lib/image

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
	[ "$(awk 'length > 80' a | wc -l)" -eq 0 ]
	for command in $(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' a); do
		"$PIBUILD" help "$command" >a && "$PIBUILD" "$command" --help >b
		cmp a b
		[ "$(sed -n '/^Examples:/,$p' a | grep -c "^  \(sudo \)\?pibuild ${command#build}\|^  pibuild -V$")" -eq 2 ]
		[ "$(grep -oE '^ +(-[a-z], )?--[a-z0-9-]+' a | sort | uniq -d | wc -l)" -eq 0 ]
		[ "$(awk 'length > 80' a | wc -l)" -eq 0 ] || { awk 'length > 80' a; return 1; }
		# What an example says is taken.
		sed -n '/^Examples:/,$s/^  //p' a | grep -o -- ' --[a-z0-9][a-z0-9-]*' | sort -u >used
		sed '/^Examples:/,$d' a | grep -o -- ' --[a-z0-9][a-z0-9-]*' | sort -u | comm -13 - used >untold
		[ ! -s untold ] || { echo "$command: $(cat untold)"; return 1; }
	done
	"$PIBUILD" help sign >a
	for other in --config --offline --jobs --out --progress --cache; do refute grep -qw -- "$other" a; done
	fails 2 "unknown command 'flsh', did you mean flash?" "$PIBUILD" help flsh
}

@test "help says what an argument may be, where that is a word out of a list" {
	"$PIBUILD" help secrets | tr -s ' ' >a
	"$PIBUILD" secrets rotate 2>&1 | sed -n 's/^  \([a-z-]*\( NAME\)\?\)  .*/\1/p' >kinds
	[ "$(wc -l <kinds)" -gt 5 ]
	while read -r kind; do grep -q "^ rotate $kind " a || { echo "$kind"; return 1; }; done <kinds
	"$PIBUILD" help lock >a
	for name in k3s certManager packages sshKeys apps gateway-api quay.io/cilium/cilium; do grep -qw -- "$name" a || { echo "$name"; return 1; }; done
	"$PIBUILD" help schema >a
	for name in status cluster-status board lock secrets; do grep -qw -- "$name" a; done
	write_cluster
	fails 2 "there is no artifact 'nosuch'; \`pibuild help lock\` lists them" "$PIBUILD" lock --update nosuch --dry-run
}

@test "a node that there is not is told which there are; status of a node is told what asks it" {
	write_cluster
	for command in 'plan --node' 'render --node' ssh join 'apply --node'; do
		fails 2 "cluster.yaml has no node 'nosuch'; it has cp-1, w-1" "$PIBUILD" $command nosuch
	done
	fails 2 "has no node 'cp-2'; did you mean cp-1?" "$PIBUILD" plan --node cp-2
	fails 2 'w-1 is a node, and there is no file of that name: `pibuild status` asks all nodes, `pibuild ssh w-1 pibuild-status` this one' "$PIBUILD" status w-1
	fails 1 'cannot open w-2: ' "$PIBUILD" status w-2
	touch w-1
	fails 4 'w-1: is no report' "$PIBUILD" status w-1
}

@test "a node that has no name yet is in nobody's way who looks for another" {
	write_cluster
	sed -i 's/name: w-1, //' cluster.yaml
	for command in build render; do
		fails 2 "too many arguments: did you mean \`pibuild $command --node cp-1\`?" "$PIBUILD" $command cp-1
	done
	for command in join 'apply --node'; do
		fails 2 "cluster.yaml has no node 'nosuch'; it has cp-1" "$PIBUILD" $command nosuch
	done
	fails 3 'there is no ./secrets.yaml' "$PIBUILD" apply --node cp-1
	[ "$(offered plan --node '')" = cp-1 ]
}

@test "a build of a node that there is not makes no secrets, and its name does not speak to the terminal" {
	write_cluster
	fails 2 "has no node 'nosuch'" "$PIBUILD" build --node nosuch
	[ ! -e secrets.yaml ]
	run "$PIBUILD" build --node $'\e[31mx'
	[[ "$output" == *"has no node '?[31mx'"* && "$output" != *$'\e'* ]]
	run "$PIBUILD" check -c $'\e[31mx'
	[[ "$output" != *$'\e'* ]]
}

@test "a registry may be this machine" {
	for place in localhost:5000/lab:v1 localhost/lab:v1; do
		fails 2 "$place is not pushed: there is no generic image in out" "$PIBUILD" push "$place"
	done
	fails 2 'it is no name of an image' "$PIBUILD" push localhost:5000/
}

@test "verify of a file that is no image counts nothing, and says what is wrong" {
	echo hello >x.img
	run "$PIBUILD" verify x.img
	[ "$status" -eq 4 ]
	grep -qx '  FAULT    partitions     a FAT and a Linux partition, whole, apart, with a disk id' <<<"$output"
	grep -q 'x.img: is too short for a disk image' <<<"$output"
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
	fails 2 "unknown command 'chekc', did you mean check?" "$PIBUILD" chekc
	fails 2 "unknown command 'flsah', did you mean flash?" "$PIBUILD" flsah
}

@test "an unknown option is a usage error that names the nearest" {
	fails 2 'unknown option --ofline, did you mean --offline?' "$PIBUILD" --ofline
}

@test "an option without its value is a usage error" {
	fails 2 '--node wants a value' "$PIBUILD" plan --node
}

@test "an option that is misspelt before any command is named, not its value" {
	fails 2 'unknown option --nodes, did you mean --node?' "$PIBUILD" --nodes cp-1
	fails 2 "unknown command 'cp-1'" "$PIBUILD" --help cp-1
}

@test "an option of another command is a usage error" {
	fails 2 'pibuild doctor takes no --node' "$PIBUILD" doctor --node x
}

@test "a flag takes no value" {
	fails 2 'unknown option --json=yes' "$PIBUILD" check --json=yes
}

@test "an = behind one letter is told, and a name that begins with one can be given" {
	write_cluster
	fails 2 "-c=my lab.yaml: behind one letter stands no =: -c 'my lab.yaml', or --config='my lab.yaml'" "$PIBUILD" check '-c=my lab.yaml'
	fails 2 '-o=there: behind one letter stands no =: -o there, or --out=there' "$PIBUILD" -o=there plan
	mv cluster.yaml =lab.yaml
	"$PIBUILD" check -c =lab.yaml
	"$PIBUILD" check -c./=lab.yaml
}

@test "--jobs wants a number" {
	fails 2 "--jobs wants a number from 1 to 64, not 'many'" "$PIBUILD" --jobs many
}

@test "what is wrong with the options of build is said before anything, secrets.yaml say, is made" {
	write_cluster
	fails 2 "--compress wants xz or zst, not 'gz'" "$PIBUILD" build --compress gz
	fails 3 'the key nokey cannot be read' "$PIBUILD" build --sign nokey
	ln -s nowhere gone
	fails 1 'output folder: cannot create the folder cluster.yaml/x: Not a directory' "$PIBUILD" build -o cluster.yaml/x
	fails 1 'output folder: cluster.yaml is no folder: choose another with -o' "$PIBUILD" build -o cluster.yaml
	fails 1 'output folder: cannot open gone: No such file or directory; it is a link to nowhere' "$PIBUILD" build -o gone
	[ ! -e secrets.yaml ]
}

@test "--role wants a role" {
	fails 2 "--role wants control-plane or worker, not 'master'" "$PIBUILD" --role master
}

@test "--progress wants a mode" {
	fails 2 '--progress wants auto, bar, plain, json or none' "$PIBUILD" --progress loud
}

@test "superfluous arguments are a usage error" {
	write_cluster
	fails 2 'too many arguments: usage: pibuild doctor' "$PIBUILD" doctor now
	fails 2 'too many arguments: usage: pibuild secrets' "$PIBUILD" secrets show x
	fails 2 'too many arguments: usage: pibuild build' "$PIBUILD" build cp-1 other
	fails 2 'too many arguments: usage: pibuild check' "$PIBUILD" check cp-1
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

# words_of_help: every command and option, as help has them.
words_of_help() {
	"$PIBUILD" --help >help
	grep -oE -- '--[a-z0-9-]+' help
	for command in $(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' help); do
		echo "$command"
		"$PIBUILD" "$command" --help | sed '/^Examples:/,$d' | grep -oE -- '^ +(-[a-z], )?--[a-z0-9-]+' | grep -oE -- '--.*'
	done
}

@test "the man page has markup for every command and option, and no others" {
	words_of_help | sort -u >said
	# Heads of paragraphs: the line behind .TP, without fonts.
	sed 's/\\-/-/g; s/\\f[A-Z]//g' "$top/docs/pibuild.1" |
		awk '/^\.TP$/ {head = 1; next} head {sub(/^\.[A-Z]+ /, ""); gsub(/["\[]/, ""); print; head = 0}' >heads
	grep -oE -- '--[a-z0-9-]+' heads | sort -u >options
	awk '{print $1}' heads | grep -xE '[a-z]+' | grep -xf <(grep -v '^-' said) | sort -u >commands
	diff <(grep -v '^-' said) commands
	diff <(grep '^-' said) options
}

# offered WORD...: what completion offers for the last, without what it says of it
offered() { "$PIBUILD" --complete "$@" | cut -f 1; }

@test "completion offers nodes, boards, images, disks, commands, options and their words" {
	write_cluster
	mkdir -p lab out && sed 's/cp-1/other-1/' cluster.yaml >lab/cluster.yaml && touch out/cp-1.img
	[ "$(offered plan --node '')" = $'cp-1\nw-1' ]
	[ "$(offered plan --node=)" = $'cp-1\nw-1' ]
	[ "$(offered -c lab/cluster.yaml plan --node '')" = $'other-1\nw-1' ]
	[ "$(offered init --board '')" = "$(cd "$top/boards" && basename -as .yaml -- *.yaml)" ]
	[ "$(offered verify '')" = $'out/cp-1.img\n@file' ]
	[ "$(offered secrets '')" = $'new\nshow\nrotate' ]
	[ "$(offered secrets rotate '')" = "$("$PIBUILD" help secrets | sed -n 's/^  rotate \([a-z-]*\) .*/\1/p')" ]
	[ "$(offered secrets rotate node '')" = $'cp-1\nw-1' ]
	[ "$(offered node remove '')" = $'cp-1\nw-1' ]
	# What is not asked for there is not offered.
	for words in 'secrets show' 'secrets rotate admin' 'backup list' 'ssh w-1' 'schema lock' 'node remove w-1' 'verify a.img'; do
		[ -z "$(offered $words '')" ] || { echo "$words"; return 1; }
	done
	[ -z "$(offered join '')" ]
	echo '  - {name: nuc-1, role: worker, board: external, arch: amd64, address: 192.168.1.31/24}' >>cluster.yaml
	[ "$(offered join '')" = nuc-1 ]
	sed -i '/nuc-1/d' cluster.yaml
	[ "$(offered --cache '')" = @dir ]
	offered lock --update ssh | grep -qx sshKeys
	[ "$(offered flash out/cp-1.img '')" = "$("$PIBUILD" devices --json | jq -r '.[] | select(.flashable).path')" ]
	offered '' | grep -qx kubeconfig
	offered render --sh | grep -qx -- --show-secrets
	refute grep -qx -- --serial <(offered render --)
	# Nothing that is wrong stands in the way, and standard input is nobody's cluster.
	echo 'nodes: [' >cluster.yaml
	[ -z "$(offered plan --node '' 2>&1)" ]
	[ -z "$(offered plan -c - --node '' 2>&1 <lab/cluster.yaml)" ]
}

@test "Bash completes by it" {
	write_cluster
	PATH=$(dirname "$PIBUILD"):$PATH
	source "$top/docs/pibuild.bash"
	complete_words() {
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
		_pibuild
	}
	complete_words pibuild ins
	[ "${COMPREPLY[*]}" = inspect ]
	complete_words pibuild render --sh
	[ "${COMPREPLY[*]}" = --show-secrets ]
	complete_words pibuild plan --node w
	[ "${COMPREPLY[*]}" = w-1 ]
	complete_words pibuild plan --node = c
	[ "${COMPREPLY[*]}" = cp-1 ]
	mkdir 'a folder' && touch 'a file'
	complete_words pibuild status a
	[ "$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd,)" = 'a file,a folder' ]
}

@test "fish completes by it" {
	command -v fish >/dev/null || skip "fish is not installed"
	write_cluster
	run env HOME="$PWD" PATH="$(dirname "$PIBUILD"):$PATH" fish --no-config -c "source $top/docs/pibuild.fish; complete -C 'pibuild plan --node w'; complete -C 'pibuild plan --node=c'; complete -C 'pibuild ins'"
	[ "$status" -eq 0 ]
	[ "$(cut -f 1 <<<"$output" | paste -sd,)" = 'w-1,--node=cp-1,inspect' ]
}

@test "zsh completes by it" {
	command -v zsh >/dev/null || skip "zsh is not installed"
	write_cluster
	cat >by-hand <<-'EOT'
		compset() { }
		_files() { print -r -- "@files $*" }
		_call_program() { shift; eval "$@" }
		_describe() { print -rl -- "${(@P)4}" }
		words=(pibuild plan --node w) CURRENT=4 PREFIX=w
		source "$1"
		words=(pibuild status w) CURRENT=3
		_pibuild
	EOT
	PATH=$(dirname "$PIBUILD"):$PATH run zsh -f by-hand "$top/docs/pibuild.zsh"
	[[ "$output" == *$'cp-1:control-plane\nw-1:worker'* ]]
	[[ "$output" == *'@files'* ]]
}

@test "make uninstall takes away what make install put, and nothing else" {
	dest=$PWD/dest
	mkdir -p "$dest/usr/share/man/man1" "$dest/usr/share/pibuild/configs" "$dest/usr/bin"
	touch "$dest/usr/share/man/man1/other.1" "$dest/usr/share/pibuild/configs/mine.yaml" "$dest/usr/bin/other"
	find "$dest" ! -type d | sort >before
	mkdir -p build && cp "$PIBUILD" build/pibuild
	make_it() { make -s -C "$top" -o all B="$PWD/build" PREFIX=/usr DESTDIR="$dest" "$@" >log 2>&1 || { cat log; return 1; }; }
	make_it install
	for file in bin/pibuild share/man/man1/pibuild.1 share/bash-completion/completions/pibuild share/zsh/site-functions/_pibuild \
		share/fish/vendor_completions.d/pibuild.fish share/pibuild/ci/build.sh share/pibuild/docs/cluster.schema.json; do
		[ -s "$dest/usr/$file" ]
	done
	for dir in boards configs overlays; do
		diff -r --no-dereference "$top/$dir" "$dest/usr/share/pibuild/$dir" | grep -v 'mine.yaml' >differs || true
		[ ! -s differs ]
	done
	[ -x "$dest/usr/share/pibuild/overlays/common/usr/lib/pibuild/grow-root" ]
	make_it uninstall
	find "$dest" ! -type d | sort >after
	diff before after
	[ "$(find "$dest/usr/share/pibuild" -type d | wc -l)" -eq 2 ]
}

@test "the man page has no fault that man can see" {
	command -v man >/dev/null || skip "man is not installed"
	LC_ALL=C.UTF-8 MANROFFSEQ='t' man --warnings -l "$top/docs/pibuild.1" 2>warnings >/dev/null
	[ ! -s warnings ]
	# What man takes without a word: a quotation mark that is left over, and blanks that are lost with it.
	run grep -nE '^\.[BIR]+ ([^"]*"[^"]*")*[^"]*"[^"]*$' "$top/docs/pibuild.1"
	[ -z "$output" ] || { echo "$output"; return 1; }
}

@test "a role that none of the nodes named has" {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	fails 2 'cluster.yaml has no node with the role worker among those that --node names' "$PIBUILD" plan --role worker --node cp-1
}

@test "- is stdout for -o of what prints without it, and becomes a file of that name nowhere" {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	cat >>cluster.yaml <<-'EOT'
		  - {name: nuc-1, role: worker, board: external, arch: arm64, memory: 2GiB, address: 192.168.1.31/24}
		certManager: {issuers: [ca], zones: [home.arpa]}
	EOT
	"$PIBUILD" -q secrets new
	for command in kubeconfig 'join nuc-1' ca; do
		# shellcheck disable=SC2086 # words
		"$PIBUILD" -q $command >printed && "$PIBUILD" -q $command -o - | cmp - printed
	done
	fails 2 '--merge changes a file, and -o - is stdout: give one of them' "$PIBUILD" kubeconfig --merge -o -
	while read -r option command; do
		# shellcheck disable=SC2086 # words
		fails 2 "takes no - (stdin, stdout) for --$option: name a file or folder; one of that name is ./-" "$PIBUILD" $command -
	done <<-'EOT'
		out render --node cp-1 -o
		out build -o
		out backup get -o
		out pull x.lan/y:z --out
		out imager -o
		new-key sign --new-key
		secrets secrets new --secrets
		secrets build --secrets
		lock lock --lock
		log boot x.img --log
	EOT
	[ ! -e ./- ]
	"$PIBUILD" -q kubeconfig -o ./-
	cmp <("$PIBUILD" -q kubeconfig) ./-
}

@test "an output that cannot be made is named whole, and nothing but a file is replaced" {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	echo '  - {name: nuc-1, role: worker, board: external, arch: arm64, memory: 2GiB, address: 192.168.1.31/24}' >>cluster.yaml
	"$PIBUILD" -q secrets new
	fails 1 'cannot create /proc/admin.conf: ' "$PIBUILD" kubeconfig -o /proc/admin.conf
	fails 1 '/proc/there/admin.conf: cannot create the folder /proc/there: ' "$PIBUILD" kubeconfig -o /proc/there/admin.conf
	touch file
	fails 1 'file/admin.key: cannot open its folder: Not a directory' "$PIBUILD" sign --new-key file/admin.key
	ln -s /dev/null null
	fails 5 'null is a folder, device or pipe, and no file is put in its place' "$PIBUILD" join nuc-1 -o null --force
	[ -L null ]
	fails 5 'null is a folder, device or pipe, and no file is put in its place' "$PIBUILD" kubeconfig -o null
	# where stdout is a file, as here, the link leads to one
	fails 5 '/dev/stdout is a folder, device or pipe' "$PIBUILD" kubeconfig -o /dev/stdout
	fails 5 '/dev/stdout is a folder, device or pipe' "$PIBUILD" kubeconfig -o /dev/stdout --force
	[ -L /dev/stdout ]
	fails 5 'there/ is a folder, device or pipe' "$PIBUILD" kubeconfig -o there/
	[ ! -e there ]
}
