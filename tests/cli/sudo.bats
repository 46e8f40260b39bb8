#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Root that works for somebody: under sudo, doas and pkexec all but the disk is done as the caller.

load ../lib/image

setup() {
	[ "$(id -u)" -eq 0 ] || skip "only root can be called by sudo"
	unset XDG_CACHE_HOME PIBUILD_CACHE SUDO_UID SUDO_GID DOAS_USER PKEXEC_UID
	# LeakSanitizer cannot trace who became somebody else.
	export ASAN_OPTIONS=detect_leaks=0
	# Bats' own folder is closed to others.
	home=$(mktemp -d /tmp/pibuild-sudo.XXXXXX)
	mkdir "$home/.ssh" "$home/project"
	echo "$example_key" >"$home/.ssh/id_ed25519.pub"
	cd "$home/project"
	write_cluster
	sed -i 's|- ssh-ed25519 .*|- {file: ~/.ssh/id_ed25519.pub}|' cluster.yaml
	chown -R nobody "$home"
	chmod 755 "$home"
}

teardown() {
	[ -z "${home:-}" ] || rm -rf "$home"
}

uid=$(id -u nobody)

# called VARIABLE=VALUE... COMMAND...: as sudo runs it, in a sandbox that everybody can read.
called() {
	export home
	sandbox -- bash -c 'cp "$PIBUILD_LOCK" "$home/pibuild.lock"
		ca=$(grep -o "/[^ ,}]*/ca.pem" <<<"$PIBUILD_MIRRORS" | head -n 1) && cp "$ca" "$home/ca.pem"
		chown nobody "$home/pibuild.lock" "$home/ca.pem"
		export PIBUILD_LOCK=$home/pibuild.lock PIBUILD_MIRRORS=${PIBUILD_MIRRORS//"$ca"/"$home/ca.pem"}
		exec env "$@"' called "$@"
}

# left_to_root DIR: what there is not nobody's.
left_to_root() { find "$1" ! -user nobody; }

# bats test_tags=slow
@test "what is made under sudo is the caller's: cache, secrets, images, folders" {
	called HOME="$home" SUDO_UID="$uid" "$PIBUILD" --progress none
	[ -s out/cp-1.img ]
	[ -s secrets.yaml ]
	[ -d "$home/.cache/pibuild/objects" ]
	[ -z "$(left_to_root "$home")" ]
	root_cat out/cp-1.img /home/pi/.ssh/authorized_keys | grep -qF "$example_key"
}

@test "under sudo, doas and pkexec ~ is the caller's home, not root's" {
	local call
	for call in "SUDO_UID=$(id -u games)" DOAS_USER=games "PKEXEC_UID=$(id -u games)"; do
		fails 3 "$(getent passwd games | cut -d: -f6)/.ssh/id_ed25519.pub" env HOME=/root "$call" "$PIBUILD" check
	done
	fails 3 "/nowhere/.ssh/id_ed25519.pub" env HOME=/nowhere "$PIBUILD" check
	fails 3 "/nowhere/.ssh/id_ed25519.pub" env HOME=/nowhere SUDO_UID=0 "$PIBUILD" check
	fails 3 "/nowhere/.ssh/id_ed25519.pub" env HOME=/nowhere SUDO_UID=somebody "$PIBUILD" check
}

@test "nodes that run are asked as the caller, by commands too that may read a disk as root" {
	env HOME="$home" SUDO_UID="$uid" "$PIBUILD" secrets new
	local theirs
	theirs=$(getent passwd nobody | cut -d: -f6)/.ssh/id_ed25519.pub
	fails 3 "$theirs" env HOME=/root SUDO_UID="$uid" "$PIBUILD" status
	fails 3 "$theirs" env HOME=/root SUDO_UID="$uid" "$PIBUILD" diff --live cp-1
}

# bats test_tags=slow
@test "the caller's cache is taken under sudo, also by its path" {
	install -o nobody "$home/.ssh/id_ed25519.pub" key.pub
	sed -i 's|{file: .*}|{file: key.pub}|' cluster.yaml
	called HOME="$home" SUDO_UID="$uid" "$PIBUILD" --progress none --cache "$home/cache" fetch
	called HOME=/root SUDO_UID="$uid" "$PIBUILD" --progress none --cache "$home/cache" --offline fetch
	[ -z "$(left_to_root "$home")" ]
	fails 6 "belongs to another user" "$PIBUILD" --cache "$home/cache" --offline fetch
}

@test "a caller without an account keeps what is made, and is asked for a cache" {
	cp "$home/.ssh/id_ed25519.pub" key.pub
	sed -i 's|{file: .*}|{file: key.pub}|' cluster.yaml
	chown -R 54321 "$home"
	fails 6 "give a folder with --cache DIR" env HOME=/root SUDO_UID=54321 SUDO_GID=54321 "$PIBUILD" fetch
	env HOME="$home" SUDO_UID=54321 SUDO_GID=54321 "$PIBUILD" secrets new
	[ "$(stat -c %u:%g secrets.yaml)" = 54321:54321 ]
}

@test "what belongs to root is not touched, and the way to have it back works" {
	install -m 600 /dev/null secrets.yaml
	fails 3 'sudo chown -R nobody FOLDER' env HOME="$home" SUDO_UID="$uid" "$PIBUILD" kubeconfig
	[ "$(stat -c %u secrets.yaml)" = 0 ]
	rm secrets.yaml
	HOME=$home "$PIBUILD" secrets new
	fails 3 'sudo chown -R nobody FOLDER' env HOME="$home" SUDO_UID="$uid" "$PIBUILD" kubeconfig
	chown -R nobody .
	env HOME="$home" SUDO_UID="$uid" "$PIBUILD" kubeconfig >/dev/null
}

@test "what cannot be made in another's folder is told with its owner and a way out, and nothing before it" {
	env HOME="$home" SUDO_UID="$uid" "$PIBUILD" secrets new
	mkdir -m 755 theirs
	local file
	for file in theirs/kubeconfig theirs/dir/kubeconfig; do
		fails 1 "$PWD/theirs belongs to root (mode 0755): work in a folder of your own, or give another place" \
			env HOME="$home" SUDO_UID="$uid" "$PIBUILD" kubeconfig -o "$file"
		[[ "$output" != *control* ]]
	done
}

@test "a root shell in a folder of root's own works as root" {
	mkdir "$home/root" && chmod 700 "$home/root" && cd "$home/root"
	cp ../project/cluster.yaml .
	env HOME="$home" SUDO_UID="$uid" "$PIBUILD" secrets new
	[ "$(stat -c %u secrets.yaml)" = 0 ]
	chown nobody secrets.yaml
	local call
	for call in SUDO_UID="$uid" DOAS_USER=nobody PKEXEC_UID="$uid"; do
		env HOME="$home" "$call" "$PIBUILD" kubeconfig >/dev/null
	done
	fails 5 "belongs to the user with id $uid, not to you" env HOME="$home" DOAS_USER=games "$PIBUILD" kubeconfig
}

# bats test_tags=slow
@test "what a link of the caller's leads to is written as the caller" {
	ln -s /etc out
	fails 1 "cannot write to the output folder" called HOME="$home" SUDO_UID="$uid" "$PIBUILD" --progress none
	[ ! -e /etc/cp-1.img ]
}

# bats test_tags=slow
@test "programs that are started have no way back to root" {
	printf '#!/bin/sh\ngrep ^Uid: /proc/self/status >"%s/status"\necho mF3xk9Qp2sLw8Zr4\n' "$home" >"$home/secret"
	chmod 755 "$home/secret"
	sed -i "s|^nodes:|  interface: wlan0\n  wifi: {country: DE, ssid: x, passphrase: {command: [$home/secret]}}\nnodes:|" cluster.yaml
	called HOME="$home" SUDO_UID="$uid" "$PIBUILD" --progress none
	grep -qE "^Uid:(\s+$uid){4}$" "$home/status"
}

@test "rights that cannot be changed, an account that nobody can look up: words, and nothing is made as root" {
	local object=${PIBUILD%/*}/tests/faults/fault.so n
	[ -e "$object" ] || skip "make $object"
	[ "$(grep -c __asan_init "$PIBUILD")" -eq 0 ] || skip "the sanitizers have their own memory"
	# fault KIND ERRNO N TEXT [VARIABLE=VALUE]: the Nth call of KIND fails; 44 changes rights, 45 looks up accounts.
	fault() {
		python3 -c 'import struct, sys; k, e, n = map(int, sys.argv[1:]); open("fault", "wb").write(struct.pack("=IIIIQ4096x", k, 1, e, 0, n))' "${@:1:3}"
		fails 1 "$4" env LD_PRELOAD="$object" FAULT_FILE="$PWD/fault" HOME="$home" "${5:-SUDO_UID=$uid}" "$PIBUILD" secrets new
		[ ! -e secrets.yaml ]
	}
	for n in 1 2 3; do fault 44 11 $n 'cannot work as nobody: Resource temporarily unavailable'; done
	for n in 4 5; do fault 44 1 $n 'cannot change between root and who called sudo, doas or pkexec, and goes on with the rights of neither; run it again, or in a root shell: Operation not permitted'; done
	fault 45 24 1 "cannot look up the account of $uid, whom this run is for: Too many open files"
	fault 45 5 1 "cannot look up the account of nobody, whom this run is for: Input/output error" DOAS_USER=nobody
	# root of a container that has no other users
	python3 -c 'import struct; open("fault", "wb").write(struct.pack("=IIIIQ4096x", 44, 1, 1, 0, 1))'
	env LD_PRELOAD="$object" FAULT_FILE="$PWD/fault" HOME="$home" SUDO_UID="$uid" "$PIBUILD" secrets new
	[ -s secrets.yaml ]
}
