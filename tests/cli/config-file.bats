#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which file describes the cluster: -c, PIBUILD_CONFIG, standard input, cluster.yaml, the shipped default, and what is
# refused instead of it.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	unset PIBUILD_CONFIG
	mkdir -p home/.ssh empty
	export HOME=$PWD/home
	echo "$example_key" >home/.ssh/id_ed25519.pub
	write_cluster && mv cluster.yaml home/mine
	here=$PWD
	cd empty || exit
}

notice='taking the shipped default, one rpi5 on DHCP; `pibuild init` writes your own'
cluster() { cat "$here/home/mine"; }

# Runs the command in backquotes after WORD in the last message.
run_cure() {
	[[ "$output" =~ $1\ \`([^\`]*)\` ]] || { echo "no cure after '$1': $output"; return 1; }
	echo "${BASH_REMATCH[1]}"
}

# ---- the shipped default ----

@test "in an empty folder the default is taken, and one line says so before all else" {
	for command in check plan 'plan --json' 'render --node pi-1 -o tree --force' 'lock --check'; do
		# shellcheck disable=SC2086 # words
		streams "$PIBUILD" $command
		[ "$status" -eq 0 ] || { echo "$command: $stderr"; return 1; }
		[[ "${stderr%%$'\n'*}" == *"$notice" ]] || { echo "$command: $stderr"; return 1; }
		[ "$(grep -c 'shipped default' <<<"$stderr")" -eq 1 ]
	done
	streams "$PIBUILD" check -q
	[[ "$stderr" == *"$notice" ]]
}

@test "in an empty folder nothing of a cluster is shown, made or written to a disk" {
	truncate -s 64M disk.img
	for command in kubeconfig 'kubeconfig -o k' 'secrets new' 'secrets show' 'secrets rotate admin' lock \
		'lock --update' 'flash --all disk.img' 'flash --node pi-1 disk.img' 'flash worker.img --node pi-1 disk.img'; do
		# shellcheck disable=SC2086 # words
		fails 3 'there is no cluster.yaml here, and' "$PIBUILD" $command || { echo "$command"; return 1; }
		[[ "$output" == *'`pibuild init` writes that file, `-c FILE` names one that lies elsewhere' ]]
		[ "$(ls -A)" = disk.img ] || { ls -A; return 1; }
	done
}

@test "what a build of the default left is found again without a cluster.yaml" {
	"$PIBUILD" secrets new -c "$top/configs/default.yaml"
	[ -e secrets.yaml ]
	"$PIBUILD" kubeconfig | grep -q 'server: https://pi-1:6443'
	"$PIBUILD" secrets show | grep -q 'pi-1:'
	"$PIBUILD" secrets rotate admin
}

@test "the default takes no secrets of another cluster" {
	cluster >"$here/other.yaml"
	"$PIBUILD" secrets new -c "$here/other.yaml" --secrets secrets.yaml
	cp secrets.yaml before
	for command in kubeconfig check plan; do
		fails 3 'belongs to a cluster with the node cp-1' "$PIBUILD" "$command"
	done
	cmp secrets.yaml before
}

@test "configs/default.yaml behaves as the default does, and secrets lie where the user stands" {
	"$PIBUILD" plan --json >a 2>/dev/null
	"$PIBUILD" plan --json -c "$top/configs/default.yaml" >b
	cmp a b
	ln -s "$top/configs/default.yaml" link.yaml
	"$PIBUILD" secrets new -c "$top/configs/../configs/default.yaml"
	[ -e secrets.yaml ]
	[ ! -e "$top/configs/secrets.yaml" ]
	cp "$top/configs/default.yaml" cluster.yaml
	"$PIBUILD" check
}

@test "without a key the default names init and ssh-keygen, and no folder that is not there" {
	rm "$HOME"/.ssh/*
	for args in '' "-c $top/configs/default.yaml"; do
		# shellcheck disable=SC2086 # words
		fails 3 'make one with `ssh-keygen -t ed25519`, or answer `pibuild init`' "$PIBUILD" check $args
		refute grep -q 'examples' <<<"$output"
	done
	rm -r "$HOME/.ssh"
	fails 3 'ssh-keygen -t ed25519' "$PIBUILD" plan
	ssh-keygen -q -t ed25519 -N '' -f "$here/k" && mkdir "$HOME/.ssh" && mv "$here"/k* "$HOME/.ssh"
	"$PIBUILD" check
}

@test "a key file that is not there: another one is named, else how to make one" {
	cluster | sed 's|- ssh-.*|- {file: ~/.ssh/id_rsa.pub}|' >cluster.yaml
	fails 3 "there is no $HOME/.ssh/id_rsa.pub, but $HOME/.ssh/id_ed25519.pub: name that" "$PIBUILD" check
	echo 'ssh-ed25519-cert-v01@openssh.com AAAA' >"$HOME/.ssh/id_ed25519.pub"
	fails 3 "make a pair of keys with: ssh-keygen -t ed25519" "$PIBUILD" check
}

@test "a pattern takes every file that holds keys, in order, and folders are taken as they are" {
	HOME=$here/'a[b]*' && mkdir -p "$HOME/.ssh"
	for n in 2 1; do ssh-keygen -q -t ed25519 -N '' -C "k$n" -f "$HOME/.ssh/k$n"; done
	echo 'no key' >"$HOME/.ssh/k0.pub"
	cluster | sed 's|- ssh-.*|- {file: "~/.ssh/*.pub"}|' >cluster.yaml
	"$PIBUILD" render --node cp-1 -o tree >/dev/null
	cmp <(cat "$HOME"/.ssh/k1.pub "$HOME"/.ssh/k2.pub) <(cat tree/home/pi/.ssh/authorized_keys)
}

# ---- files that are meant to be cluster.yaml ----

@test "a file beside that is meant to be cluster.yaml is refused by name, and the cure works" {
	for name in cluster.yml Cluster.yaml CLUSTER.YML cluster.yaml.txt cluster.txt cluster 'cluster (1).yaml' \
		cluster.yaml.bak cluster.json "cluster.o'hara.yaml"; do
		cluster >"$name"
		fails 3 "there is no cluster.yaml here, but $name: name it with " "$PIBUILD" check
		bash -c "$PIBUILD check $(run_cure 'name it with')"
		fails 5 "$name is there" "$PIBUILD" init --yes --subnet 192.168.7.0/24
		rm "$name"
		[ -z "$(ls -A)" ]
	done
}

@test "every command that takes a cluster refuses the default beside a cluster.yml" {
	cluster >cluster.yml
	for command in build plan kubeconfig 'secrets new' 'flash --all x' lock fetch; do
		# shellcheck disable=SC2086 # words
		fails 3 'but cluster.yml: name it with `-c cluster.yml`' "$PIBUILD" $command
	done
}

@test "a cluster under a name of its own is found by what is in it" {
	cluster >homelab.yaml
	fails 3 'but homelab.yaml: name it with `-c homelab.yaml`' "$PIBUILD"
	"$PIBUILD" check -c homelab.yaml
}

@test "what only resembles a cluster.yaml beside does not stop the default" {
	mkdir cluster.yml cluster
	printf 'apiVersion: v1\nkind: Secret\n' >cluster-issuer.yaml
	printf 'apiVersion: pibuild/v1\nkind: Secrets\n' >other-secrets.yaml
	touch clusters.txt .cluster.yaml.swp
	"$PIBUILD" check
}

@test "cluster.yaml goes before all that resembles it, also as a link that leads nowhere" {
	cluster >cluster.yaml
	echo 'no: yaml' >cluster.yml
	"$PIBUILD" check
	ln -sf nowhere cluster.yaml
	fails 3 'cannot open cluster.yaml' "$PIBUILD" check
}

@test "no control character of a file's name reaches the terminal" {
	cluster >$'cluster.\e[31m.yaml'
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" != *$'\e'* ]]
}

@test "a cluster.yaml in a folder above is refused by name, up to the repository and the home folder" {
	cluster >cluster.yaml
	mkdir -p a/b && cd a/b
	for command in check build kubeconfig 'secrets show' 'flash --all x'; do
		# shellcheck disable=SC2086 # words
		fails 3 'but ../../cluster.yaml in a folder above: name it with `-c ../../cluster.yaml`, or go to its folder' \
			"$PIBUILD" $command
	done
	bash -c "$PIBUILD check $(run_cure 'name it with')"
	mv ../../cluster.yaml ../../cluster.yml
	fails 3 'but ../../cluster.yml in a folder above' "$PIBUILD" check
	mkdir ../.git
	"$PIBUILD" check
	rmdir ../.git
	HOME=$PWD fails 3 'holds a public key' "$PIBUILD" check
	mkdir .ssh && echo "$example_key" >.ssh/k.pub
	HOME=$PWD "$PIBUILD" check
	HOME=$(cd .. && pwd)
	mkdir "$HOME/.ssh" && cp .ssh/k.pub "$HOME/.ssh"
	"$PIBUILD" check
}

@test "a folder that everybody may write to is nobody's project" {
	cluster >cluster.yaml
	chmod 1777 .
	mkdir a && cd a
	"$PIBUILD" check
}

# ---- named ----

@test "PIBUILD_CONFIG names the config, -c goes before it" {
	mkdir lab && cluster >lab/pis.yaml
	PIBUILD_CONFIG=lab/pis.yaml "$PIBUILD" check | grep -q '^lab/pis.yaml: ok: 2 nodes'
	PIBUILD_CONFIG=lab/pis.yaml "$PIBUILD" secrets new
	[ -e lab/secrets.yaml ]
	PIBUILD_CONFIG=no.yaml "$PIBUILD" check -c lab/pis.yaml
	PIBUILD_CONFIG='' "$PIBUILD" check 2>&1 | grep -q 'shipped default'
	PIBUILD_CONFIG=no.yaml fails 3 'PIBUILD_CONFIG: cannot open no.yaml' "$PIBUILD" check
	PIBUILD_CONFIG=no.yaml fails 3 'PIBUILD_CONFIG: cannot open no.yaml' "$PIBUILD" plan
}

@test "-c - reads standard input, and paths start where the user stands" {
	echo 'operator: {rollOutPods: false}' >values.yaml
	{ cluster && echo 'cilium: {valuesFile: values.yaml}'; } >"$here/text"
	"$PIBUILD" check -c - <"$here/text" | grep -q '^<stdin>: ok: 2 nodes'
	"$PIBUILD" secrets new -c - <"$here/text"
	[ -e secrets.yaml ]
	PIBUILD_CONFIG=- "$PIBUILD" plan --json <"$here/text" | jq -e '.nodes | length == 2'
	sed 's/  name: lab/  nmae: lab/' "$here/text" | fails 3 "<stdin>:3:3: error: cluster: unknown key 'nmae'" "$PIBUILD" check -c -
	fails 3 'there is nothing in this file' "$PIBUILD" check -c - </dev/null
	head -c 2000000 /dev/zero | fails 3 'larger than 1 MiB' "$PIBUILD" check -c -
	fails 2 'not with -c -' "$PIBUILD" init -c -
	echo x >./-
	"$PIBUILD" check -c - <"$here/text"
}
