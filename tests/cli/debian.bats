#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# os.base: debian up to where it takes long: how apt is asked, what the lock keeps, what plan, render and doctor say, and
# what is refused before the first download. The long part is in tests/debian.

load ../lib/image

zeros=$(printf '0%.0s' {1..64})
ones=$(printf '1%.0s' {1..64})

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK PIBUILD_DATA
	write_cluster 'os: {base: debian}'
	sed -i 's/rpi5/rpi4/' cluster.yaml
	cp "$top/configs/pibuild.lock" .
	mkdir bin
}

# The lock gets packages: two of them, one as the recipe wants it.
lock_packages() {
	cat >>pibuild.lock <<-EOT
		debian:
		  version: trixie
		  mirror: https://deb.debian.invalid/
		  time: "2026-10-01T00:00:00Z"
		  packages:
		  - {name: bash, version: "5.2-1", path: debian/pool/bash_5.2-1_arm64.deb, size: 1048576, sha256: "$zeros"}
		  - {name: jq, version: "1.7-1", path: debian/pool/jq_1.7-1_arm64.deb, size: 1048576, sha256: "$ones"}
	EOT
}

# program NAME: one of that name comes before the host's, with this text on stdin.
program() {
	cat >"bin/$1"
	chmod +x "bin/$1"
}

# An apt that notes what it is asked and names a few packages.
stand_in_apt() {
	program apt-get <<-EOT
		#!/bin/sh
		echo "\$*" >>'$PWD/asked'
		for word in "\$@"; do
			case \$word in Dir::Etc::sourcelist=*) cat "\${word#*=}" >'$PWD/sources' ;; esac
		done
		case "\$*" in
		*print-uris*) cat '$PWD/uris' ;;
		esac
	EOT
	{
		echo 'Reading package lists...'
		for p in $(sed -n 's/^  - //p' "$top/configs/debian/base.yaml"); do
			echo "'$1/debian/pool/$p.deb' ${p}_1.0-1_arm64.deb 12 SHA256:$zeros"
		done
		echo "'$1/debian-security/pool/updates/a%2b.deb' aaa_2%3a1+deb13u1_all.deb 34 SHA256:$ones"
	} >uris
}

lock() {
	PATH=$PWD/bin:$PATH "$PIBUILD" lock "$@"
}

@test "check takes it for boards that Debian's kernel boots, and Envoy runs there" {
	run -0 "$PIBUILD" check
	refute grep -q Envoy <<<"$output"
}

@test "its Ethernet is eth0: end0 would never come up" {
	sed -i 's/^  gateway:.*/&\n  interface: end0/' cluster.yaml
	run -3 "$PIBUILD" check
	[[ "$output" == *"network.interface: the Debian of os.base calls the Ethernet of every board eth0, so end0 would never come up"* ]]
}

@test "a version that is no release is refused" {
	echo 'versions: {debian: 13}' >>cluster.yaml
	run -3 "$PIBUILD" check
	[[ "$output" == *"versions.debian: "*"give a Debian release such as trixie, or one at a time such as trixie-20261001T000000Z"* ]]
}

@test "without packages in the lock a build says how to get them, and fetches nothing" {
	run -4 "$PIBUILD" --cache cache
	[[ "$output" == *"the lock does not pin debian trixie"*"pibuild lock"* ]]
	[ ! -e cache ]
}

@test "lock --check finds the packages missing, or too few of them" {
	run -4 "$PIBUILD" lock --check
	[[ "$output" == *"debian trixie: the lock has no packages for it"* ]]
	lock_packages
	run -4 "$PIBUILD" lock --check
	[[ "$output" == *"debian trixie: the lock has no package raspi-firmware"* ]]
}

@test "apt is asked in a folder of its own, for arm64, of signed archives" {
	stand_in_apt https://deb.debian.org
	run -0 lock
	[[ "$output" == *"added      debian "*" trixie "* ]]
	grep -q 'Dir::State=.*/pibuild-apt\..*/state .* update$' asked
	grep -q 'print-uris install ?essential raspi-firmware linux-image-arm64 .* xz-utils$' asked
	cat >want <<-EOT
		deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://deb.debian.org/debian/ trixie main non-free-firmware
		deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://deb.debian.org/debian/ trixie-updates main non-free-firmware
		deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://deb.debian.org/debian-security/ trixie-security main non-free-firmware
	EOT
	diff want sources
	refute ls -d /tmp/pibuild-apt.*/etc
}

@test "the lock keeps a line per package, sorted; asked again nothing changes" {
	stand_in_apt https://deb.debian.org
	lock >added
	sed -n '/^  packages:/,$p' pibuild.lock | sed 1d >packages
	[ "$(wc -l <packages)" = "$(grep -c "^'" uris)" ]
	[ "$(head -n 1 packages)" = "  - {name: aaa, version: '2:1+deb13u1', path: \"debian-security/pool/updates/a%2b.deb\", size: 34, sha256: \"$ones\"}" ]
	LC_ALL=C sort -c packages
	cp pibuild.lock before
	run -0 lock
	[[ "$output" == *"kept       debian "* ]]
	cmp before pibuild.lock
	run -0 lock --update debian
	[[ "$output" == *"confirmed  debian "* ]]
	"$PIBUILD" lock --check
}

@test "an update of the packages is a change of the lock" {
	stand_in_apt https://deb.debian.org
	lock >added
	sed -i "s/jq_1.0-1_arm64.deb 12 SHA256:$zeros/jq_1.0-2_arm64.deb 13 SHA256:$ones/" uris
	run -0 lock --update debian
	[[ "$output" == *"changed    debian "* ]]
	grep -q 'name: jq, version: "1.0-2", .* size: 13' pibuild.lock
}

@test "mirrors apply to what apt reads, and the lock keeps Debian's own address" {
	stand_in_apt https://mirror.lan/deb
	echo 'mirrors: [{from: "https://deb.debian.org/", to: "https://mirror.lan/deb/"}]' >>cluster.yaml
	lock >added
	grep -q ' https://mirror.lan/deb/debian/ trixie main' sources
	grep -q '^  mirror: https://deb.debian.org/$' pibuild.lock
	grep -q 'name: jq, version: "1.0-1", path: debian/pool/jq.deb,' pibuild.lock
}

@test "a version with a date comes from the snapshots of that time" {
	stand_in_apt https://snapshot.debian.org/archive
	sed -i 's|archive/debian/|&20261001T000000Z/|; s|archive/debian-security/|&20261001T000000Z/|' uris
	echo 'versions: {debian: trixie-20261001T000000Z}' >>cluster.yaml
	lock >added
	grep -q 'check-valid-until=no\] https://snapshot.debian.org/archive/debian/20261001T000000Z/ trixie main' sources
	grep -q '^  mirror: https://snapshot.debian.org/archive/$' pibuild.lock
	grep -q 'path: debian/20261001T000000Z/pool/jq.deb,' pibuild.lock
}

@test "lock --update goes to a date too, and says what a version looks like" {
	stand_in_apt https://deb.debian.org
	lock >added
	stand_in_apt https://snapshot.debian.org/archive
	sed -i 's|archive/debian/|&20261001T000000Z/|; s|archive/debian-security/|&20261001T000000Z/|' uris
	lock --update debian=trixie-20261001T000000Z >updated
	grep -q '^updated .*debian .*trixie-20261001T000000Z' updated
	grep -q 'path: debian/20261001T000000Z/pool/jq.deb,' pibuild.lock
	fails 2 "debian: 'trixie-tomorrow' is no version such as trixie" lock --update debian=trixie-tomorrow
}

@test "apt that tells no SHA-256 is not believed" {
	stand_in_apt https://deb.debian.org
	sed -i "s/SHA256:$ones/MD5Sum:0123/" uris
	cp pibuild.lock before
	run -4 lock
	[[ "$output" == *"debian trixie: aaa 2:1+deb13u1: apt tells no SHA-256"* ]]
	cmp before pibuild.lock
}

@test "what apt complains of is passed on" {
	program apt-get <<-'EOT'
		#!/bin/sh
		echo "E: The repository is not signed." >&2
		exit 100
	EOT
	run -1 lock
	[[ "$output" == *"debian trixie: reading the package lists of https://deb.debian.org/debian/: apt-get failed with exit code 100: E: The repository is not signed."* ]]
}

@test "offline the packages cannot be looked up" {
	run -1 lock --offline
	[[ "$output" == *"--offline, and the packages of debian trixie have to be looked up at https://deb.debian.org/"* ]]
}

@test "a lock written for another base keeps the packages" {
	stand_in_apt https://deb.debian.org
	lock >added
	touch base.img
	sed -i "s|^os:.*|os: {base: base.img, sha256: $zeros}|" cluster.yaml
	rm bin/apt-get
	run -0 "$PIBUILD" lock --lock other.lock
	diff <(sed -n '/^debian:/,$p' pibuild.lock) <(sed -n '/^debian:/,$p' other.lock)
	[ "$(grep -c 'name: jq, version' other.lock)" = 1 ]
}

@test "the plan has one line for the packages; JSON has them all" {
	lock_packages
	run -0 "$PIBUILD" plan
	[[ "$output" == *"  debian               trixie "*" made here"* ]]
	[[ "$output" == *"    of    2 packages "*" 2.0 MiB "*" 2 to download"* ]]
	refute grep -q '^  jq ' <<<"$output"
	"$PIBUILD" --json plan >plan.json
	[ "$(jq -r '.artifacts[] | select(.name == "jq").url' plan.json)" = https://deb.debian.invalid/debian/pool/jq_1.7-1_arm64.deb ]
	[ "$(jq -r '.artifacts[] | select(.name == "debian").state' plan.json)" = 'made here' ]
}

@test "the base's digest follows the packages, not the rest of the lock" {
	lock_packages
	digest() { "$PIBUILD" --json plan | jq -r '.artifacts[] | select(.name == "debian").sha256'; }
	first=$(digest)
	sed -i 's/^time: .*/time: "2026-11-01T00:00:00Z"/' pibuild.lock
	[ "$(digest)" = "$first" ]
	sed -i "s/5.2-1\", path/5.2-2\", path/" pibuild.lock
	[ "$(digest)" != "$first" ]
}

@test "what raspi-firmware writes anew with every kernel keeps our words" {
	sed -i 's/name: w-1, role: worker, board: rpi4/name: w-1, role: worker, board: rpi3/' cluster.yaml
	lock_packages
	"$PIBUILD" render --node cp-1 -o cp-1
	"$PIBUILD" render --node w-1 -o w-1
	[ "$(cat cp-1/etc/default/raspi-extra-cmdline)" = 'cgroup_memory=1 cgroup_enable=memory' ]
	[ ! -e cp-1/etc/default/raspi-firmware-custom ]
	[ "$(cat w-1/etc/default/raspi-firmware-custom)" = $'[pi3]\ngpu_mem=16\n[all]' ]
	sed -i '/^os:/d' cluster.yaml
	"$PIBUILD" render --node cp-1 -o stock
	[ ! -e stock/etc/default/raspi-extra-cmdline ]
}

# Only what is named is in PATH, beside what pibuild finds in /usr/sbin and /sbin.
only() {
	local p
	for p in "$@"; do
		ln -s "$(command -v "$p")" "bin/$p"
	done
}

@test "without the programs a build names the packages that have them, before any download" {
	lock_packages
	only sh
	PATH=$PWD/bin run -6 "$PIBUILD" --cache cache
	[[ "$output" == *"os.base: debian is made on this machine, which lacks programs for that; run: sudo apt-get install mmdebstrap arch-test"* ]]
	refute grep -q deb.debian.invalid <<<"$output"
}

@test "a machine that cannot run arm64 programs is told how to" {
	lock_packages
	program arch-test <<-'EOT'
		#!/bin/sh
		echo "arm64: not supported on this machine/kernel"
		exit 1
	EOT
	PATH=$PWD/bin:$PATH run -6 "$PIBUILD" --cache cache
	[[ "$output" == *"cannot run arm64 programs (no emulation is registered with binfmt); run: sudo apt-get install qemu-user-static binfmt-support"* ]]
	PATH=$PWD/bin:$PATH run "$PIBUILD" --cache cache doctor
	[[ "$output" == *"warning  arm64 programs "*"-> sudo apt-get install arch-test qemu-user-static binfmt-support"* ]]
}

@test "offline the packages that the cache lacks are named" {
	lock_packages
	run -1 "$PIBUILD" --offline --cache cache fetch
	[[ "$output" == *"jq 1.7-1  https://deb.debian.invalid/debian/pool/jq_1.7-1_arm64.deb"* ]]
}
