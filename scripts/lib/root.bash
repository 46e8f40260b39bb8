# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A clean Debian of the suite this machine runs, to try out in what works only because of what lies around here. Needs
# root, for chroot and mounts; those are in a mount namespace of their own and end with it.

# shellcheck disable=SC2154 # from common.bash
roots=$top/build/roots

# in_own_mounts ARG...: the script again, once, where its mounts are nobody else's.
in_own_mounts() {
	[ -z "${PIBUILD_OWN_MOUNTS:-}" ] || return 0
	[ "$(id -u)" -eq 0 ] || {
		note "chroot and mounts need root: sudo make ${prog}"
		exit 6
	}
	need mmdebstrap unshare chroot
	PIBUILD_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
}

root_tar() {
	local suite file
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "$ID-$VERSION_CODENAME")
	case $suite in
	debian-*) suite=${suite#debian-} ;;
	*) note "this checks on Debian only, not on $suite" && exit 6 ;;
	esac
	file=$roots/$suite.tar
	kept "$file" make_root "$suite"
	printf '%s\n' "$file"
}

make_root() {
	note "making a clean Debian $1 (minutes; kept in build/roots)"
	mmdebstrap --quiet --variant=minbase --mode=root --format=tar "$1" "$2" >&2
}

# clean_root DIR: with network names and what every program may expect mounted.
clean_root() {
	mkdir -p "$1"
	tar -C "$1" -xpf "$(root_tar)"
	cp -L /etc/resolv.conf "$1/etc/resolv.conf"
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t sysfs -o ro sysfs "$1/sys"
}

# in_root DIR USER COMMAND...: with nothing of this environment.
in_root() {
	local dir=$1 user=$2
	shift 2
	chroot --userspec="$user" "$dir" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${env_in_root[@]}" "$@"
}
env_in_root=()

# drop_roots FOLDER: with what is mounted in its roots, but never what is mounted there.
drop_roots() {
	local dir
	for dir in "$1"/{dev,proc,sys} "$1"/*/{dev,proc,sys}; do
		! mountpoint -q "$dir" || umount -R --lazy "$dir"
	done
	rm -rf --one-file-system "$1"
}

# builds_images DIR USER: pibuild as USER there makes a node's image from the stand-in releases, which this machine
# serves on loopback: the two share a network.
builds_images() {
	local dir=$1 user=$2
	mkdir -p "$dir/try/.ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/try/.ssh/id_ed25519"
	cp "$top/configs/demo.yaml" "$dir/try/cluster.yaml"
	chroot "$dir" chown -R "$user" /try
	# The lock and the certificate of the sandbox lie there under the same names.
	# shellcheck disable=SC2016 # expanded in the sandbox
	"$top/scripts/sandbox" -- bash -euc 'cp --parents "$PIBUILD_LOCK" "$1"/build/sandbox/tls-*/ca.pem "$2"
		first=${1#/} && chmod -R a+rX "$2/${first%%/*}" # the folders above this tree may be private
		chroot --userspec="$3" "$2" sh -c "cd /try && HOME=/try exec pibuild --role control-plane --progress none"' \
		bash "$top" "$dir" "$user" >&2
	[ -s "$dir/try/out/cp-1.img" ] || die "pibuild made no image there"
	sfdisk --verify "$dir/try/out/cp-1.img" >&2
}
