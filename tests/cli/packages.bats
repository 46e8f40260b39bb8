#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# os.packages: what apt is asked about a base and what the lock keeps, the files on the card, and the step that installs them,
# with the real dpkg. Debian's own archive is asked once.

load ../lib/first-boot

zeros=$(printf '0%.0s' {1..64})

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	"$top/scripts/make-base" tiny base.img
	cat >debian.sources <<-'EOT'
		Types: deb
		URIs: http://deb.debian.org/debian/
		Suites: trixie
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOT
	printf 'Package: base-files\nStatus: install ok installed\nVersion: 13.8\nArchitecture: arm64\nMaintainer: x <x@y.z>\nDescription: x\n\n' >status
	debugfs -w -f /dev/stdin "base.img?offset=$(part_start base.img 2)" >/dev/null 2>&1 <<-EOT
		mkdir /etc/apt
		mkdir /etc/apt/sources.list.d
		write debian.sources /etc/apt/sources.list.d/debian.sources
		mkdir /usr/share/keyrings
		write /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.gpg
		mkdir /var/lib/dpkg
		rm /var/lib/dpkg/status
		write status /var/lib/dpkg/status
	EOT
	sha256sum <base.img | cut -d' ' -f1 >base.sum
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset PIBUILD_MIRRORS PIBUILD_LOCK PIBUILD_DATA
	base=$BATS_FILE_TMPDIR/base.img
	sum=$(<"$BATS_FILE_TMPDIR/base.sum")
}

# packages YAML...: a cluster on that base which asks for them
packages() {
	write_cluster "os: {base: $base, sha256: $sum, packages: $1}"
	cp "$top/configs/pibuild.lock" .
}

# An apt that notes what it is asked, and what lies in the folder it is given; it names `uris`.
stand_in_apt() {
	mkdir -p bin
	cat >bin/apt-get <<-EOT
		#!/bin/sh
		echo "\$*" >>'$PWD/asked'
		for word in "\$@"; do
			case \$word in Dir::Etc::sourceparts=*) rm -rf '$PWD/etc' && cp -r "\${word#*=}/.." '$PWD/etc' ;; esac
			case \$word in Dir::State::status=*) cp "\${word#*=}" '$PWD/status' ;; esac
		done
		case "\$*" in
		*print-uris*) cat '$PWD/uris' ;;
		esac
	EOT
	chmod +x bin/apt-get
	cat >uris <<-EOT
		Reading package lists...
		'https://deb.debian.org/debian/pool/main/o/open-iscsi/open-iscsi_2.1_arm64.deb' open-iscsi_2.1_arm64.deb 12 SHA256:$zeros
		'https://deb.debian.org/debian/pool/main/o/open-isns/libisns0t64_1%3a0.1_arm64.deb' libisns0t64_1%3a0.1_arm64.deb 34 SHA256:$sum
	EOT
}

lock() {
	PATH=$PWD/bin:$PATH "$PIBUILD" --cache "$PWD/cache" lock "$@"
}

@test "names that are none, modules that would have to be compiled: refused by check" {
	packages '[Open-ISCSI]'
	fails 3 'os.packages[0]: ' "$PIBUILD" check
	packages '[zfs-dkms]'
	fails 3 'it is compiled where it is installed' "$PIBUILD" check
	packages '["open-iscsi=2.1"]'
	fails 3 'give a package of Debian by its name alone' "$PIBUILD" check
}

@test "beside some packages K3s does not work: refused, with why; others ask for care, which is a note" {
	for package in firewalld ferm connman dhcpcd dhcpcd5 cri-o; do
		packages "[open-iscsi, $package]"
		fails 3 ": error: os.packages[1]: $package cannot be beside K3s: it " "$PIBUILD" check
	done
	packages '[podman, etcd-server, systemd-resolved]'
	fails 0 '2 nodes' "$PIBUILD" check
	sed -i "/nameservers:/d; s/, address: [0-9./]*//; s|^os: .*|os: {base: raspios-bookworm, packages: [podman, etcd-server, systemd-resolved]}|" cluster.yaml
	sed -i 's/^  name: lab/&\n  datastore: etcd\n  endpoint: api.home.arpa/' cluster.yaml
	run "$PIBUILD" check
	[ "$status" -eq 3 ]
	[[ "$output" == *'podman cannot be beside K3s: it brings a network for pods'*'etcd-server cannot be beside K3s: it listens on TCP 2379'*'systemd-resolved cannot be beside K3s: it writes 127.0.0.53'* ]] || { echo "$output"; return 1; }
	for package in docker.io docker-ce ufw nftables iptables-persistent netfilter-persistent; do
		packages '[]'
		sed -i "s/name: w-1,/& packages: [$package],/" cluster.yaml
		fails 0 "note: nodes[1].packages[0]: $package: " "$PIBUILD" check
	done
}

# bats test_tags=slow
@test "packages for which apt would take others off the base are refused with their names" {
	packages '[chrony]'
	stand_in_apt
	printf '%s\n' 'The following packages will be REMOVED:' '  network-manager systemd-timesyncd' '  x' 'The following NEW packages will be installed:' '  chrony' >>uris
	PATH=$PWD/bin:$PATH fails 3 'apt would remove network-manager systemd-timesyncd x from the base for them, and os.packages only adds to it; leave out what is in its place' \
		"$PIBUILD" --cache cache lock
	cmp pibuild.lock "$top/configs/pibuild.lock"
}

@test "without them in the lock a build says how to get them; lock --check names what is missing" {
	packages '[open-iscsi]'
	fails 4 "the lock does not pin open-iscsi for base ${sum:0:12}: run \`pibuild lock --cache cache\`" "$PIBUILD" --cache cache
	fails 4 "packages open-iscsi: the lock has no such list for base ${sum:0:12}" "$PIBUILD" lock --check
	fails 0 'note: os.packages: what cp-1 needs of it on this base is not in ./pibuild.lock; `pibuild lock` has apt choose it' "$PIBUILD" check
	sed -i 's/, packages: [^}]*}/}/; s/name: w-1,/& packages: [open-iscsi],/' cluster.yaml
	fails 0 'note: nodes[1].packages: what w-1 needs of it on this base is not in' "$PIBUILD" check
}

# bats test_tags=slow
@test "apt is asked with the base's packages, archives and keys; each list of a node once" {
	packages '[open-iscsi]'
	sed -i 's/name: w-1,/& packages: [cryptsetup, open-iscsi],/' cluster.yaml
	stand_in_apt
	lock >said || { cat said; return 1; }
	grep -q '^added *packages *open-iscsi ' said
	grep -q '^added *packages *cryptsetup,open-iscsi ' said
	[ "$(grep -c ' update$' asked)" = 1 ]
	[ "$(sed -n 's/.*print-uris install //p' asked)" = "$(printf '%s\n' open-iscsi 'cryptsetup open-iscsi')" ]
	cmp status "$BATS_FILE_TMPDIR/status"
	grep -qx 'URIs: https://deb.debian.org/debian/' etc/sources.list.d/debian.sources
	key=$(sed -n 's/^Signed-By: //p' etc/sources.list.d/debian.sources)
	[[ "$key" == */pibuild-apt.*/keyrings/debian-archive-keyring.gpg ]]
	python3 - pibuild.lock "$sum" <<-'EOT'
		import sys, yaml
		first, second = yaml.safe_load(open(sys.argv[1]))["packages"]
		assert first["base"] == "base " + sys.argv[2][:12] and first["wanted"] == ["open-iscsi"], first
		assert second["wanted"] == ["cryptsetup", "open-iscsi"], second
		assert [(p["name"], p["version"], p["size"]) for p in first["list"]] == [("libisns0t64", "1:0.1", 34), ("open-iscsi", "2.1", 12)], first
		assert first["list"][1]["url"] == "https://deb.debian.org/debian/pool/main/o/open-iscsi/open-iscsi_2.1_arm64.deb", first
	EOT
	lock >said && grep -q '^kept *packages *open-iscsi ' said
	lock --update packages >said && grep -q '^confirmed *packages *open-iscsi ' said
	sed -i 's/_2\.1_/_2.2_/g' uris && lock --update packages >said && grep -q '^updated *packages *open-iscsi ' said
	fails 1 'the packages of os.packages have to be looked up' "$PIBUILD" lock --update packages --offline
}

# bats test_tags=slow
@test "a base that is no Debian is told as that" {
	cp "$BATS_FILE_TMPDIR/base.img" other.img
	debugfs -w -R 'rm /var/lib/dpkg/status' "other.img?offset=$(part_start other.img 2)" 2>debugfs.log
	base=$PWD/other.img sum=$(sha256sum <other.img | cut -d' ' -f1)
	packages '[open-iscsi]'
	stand_in_apt
	PATH=$PWD/bin:$PATH fails 3 'the base has no /var/lib/dpkg/status' "$PIBUILD" lock
}

# bats test_tags=slow
@test "Debian's own archive: the package and all it needs, by digest, and the card holds them" {
	curl -sI --max-time 10 https://deb.debian.org/debian/ >/dev/null || skip "Debian's archive cannot be reached"
	packages '[hello]'
	"$PIBUILD" --cache cache lock >said 2>&1 || { cat said; return 1; }
	grep -q '^added *packages *hello ' said
	"$PIBUILD" render --node cp-1 -o card >said
	grep -q '^hello ' card/etc/pibuild/packages
	grep -q '/usr/share/pibuild/packages/hello.deb' said
	grep -qx 'packages .*Packages of Debian from the card' <(sed 's/  */ /g' card/etc/pibuild/steps | grep '^packages')
	jq -e '[.artifacts[].name] | index("hello") and index("libc6")' card/etc/pibuild/release.json
}

# bats test_tags=slow
@test "what a package needs and does not bring: the initiator's name stays the same over cards, and differs by node" {
	packages '[open-iscsi, cryptsetup, multipath-tools]'
	for node in cp-1 w-1 cp-1; do
		rm -rf "$node" && "$PIBUILD" render --node $node -o $node >/dev/null
		cp $node/etc/iscsi/initiatorname.iscsi name.$node
	done
	grep -qE '^InitiatorName=iqn\.1993-08\.org\.debian:01:[0-9a-f]{12}$' name.cp-1
	[ "$(stat -c %a cp-1/etc/iscsi/initiatorname.iscsi)" = 600 ]
	cmp name.cp-1 cp-1/etc/iscsi/initiatorname.iscsi
	refute cmp -s name.cp-1 name.w-1
	grep -qx iscsi_tcp cp-1/etc/modules-load.d/pibuild-iscsi.conf
	grep -qx dm_crypt cp-1/etc/modules-load.d/pibuild-crypt.conf
	grep -q 'devnode "^sd' cp-1/etc/multipath/conf.d/pibuild.conf
}

# a_deb NAME VERSION [FIELD]: a package for the card
a_deb() {
	mkdir -p "deb/$1/DEBIAN" "deb/$1/usr/share/$1"
	echo "$2" >"deb/$1/usr/share/$1/version"
	printf '%s\n' "Package: $1" "Version: $2" 'Architecture: arm64' 'Maintainer: x <x@y.z>' ${3:+"$3"} 'Description: x' >"deb/$1/DEBIAN/control"
	dpkg-deb --root-owner-group --build "deb/$1" "card/usr/share/pibuild/packages/$1.deb" >/dev/null
}

# card_with_packages [FIELD]: the card of a node with two packages, of which the first in the list needs the second, as FIELD says, and
# the machine's dpkg at its root.
card_with_packages() {
	packages '[aaa, zzz]'
	cat >>pibuild.lock <<-EOT
		packages:
		- base: base ${sum:0:12}
		  wanted: [aaa, zzz]
		  list:
		  - {name: aaa, version: "1.0", url: "https://deb.debian.org/aaa.deb", size: 1, sha256: "$zeros"}
		  - {name: zzz, version: "2.0", url: "https://deb.debian.org/zzz.deb", size: 1, sha256: "$sum"}
	EOT
	"$PIBUILD" secrets new -q
	"$PIBUILD" render --node cp-1 --show-secrets -o card >/dev/null
	mkdir -p card/{proc,run/pibuild/steps,usr/local/bin,usr/share/pibuild/packages,var/lib/dpkg/{info,updates}}
	: >card/var/lib/dpkg/status
	echo '100.00 100.00' >card/proc/uptime
	of_this_card
	printf '#!/bin/sh\nread -r up _ <"$PIBUILD_PROC/uptime"\necho "$((${up%%%%.*} + $1)).00 0.00" >"$PIBUILD_PROC/uptime"\n' >card/usr/local/bin/sleep
	program dpkg 'case $1 in --compare-versions) exec /usr/bin/dpkg "$@" ;; esac' \
		'exec /usr/bin/dpkg --root="$PIBUILD_ROOT" --force-not-root --force-architecture --force-script-chrootless --log=/dev/null "$@"'
	program dpkg-query 'exec /usr/bin/dpkg-query --admindir="$PIBUILD_ROOT/var/lib/dpkg" "$@"'
	ln -s /bin/true card/usr/local/bin/sync
	chmod 755 card/usr/local/bin/sleep
	a_deb aaa 1.0 "${1:-Pre-Depends}: zzz"
	a_deb zzz 2.0
	echo 'state done' >card/run/pibuild/steps/preflight
}

# bats test_tags=slow
@test "the step installs what the card holds, once; a newer one stays, an older one and one that is gone are put back" {
	card_with_packages
	step packages || { cat log.packages; return 1; }
	[ "$(cat card/usr/share/aaa/version card/usr/share/zzz/version)" = "$(printf '1.0\n2.0')" ]
	[ "$(state_of packages state)" = "done" ]
	rm card/usr/share/aaa/version
	step packages # its stamp fits: nothing is unpacked again
	[ ! -e card/usr/share/aaa/version ]
	sed -i '/^Package: zzz/,/^$/s/^Version: .*/Version: 3.0/' card/var/lib/dpkg/status
	step packages
	grep -q '^Version: 3.0' card/var/lib/dpkg/status
	sed -i '/^Package: zzz/,/^$/s/^Version: .*/Version: 1.0/' card/var/lib/dpkg/status
	step packages
	grep -q '^Version: 2.0' card/var/lib/dpkg/status
	/usr/bin/dpkg --root="$PWD/card" --force-not-root --force-script-chrootless --log=/dev/null --purge aaa >/dev/null
	step packages
	[ -e card/usr/share/aaa/version ]
}

# bats test_tags=slow
@test "one that the power cut off while it was unpacked, and one without what it needs, are finished too" {
	card_with_packages Depends
	half() { /usr/bin/dpkg --root="$PWD/card" --force-not-root --force-architecture --log=/dev/null --unpack card/usr/share/pibuild/packages/aaa.deb >/dev/null 2>&1; }
	half
	grep -q '^Status: install ok unpacked' card/var/lib/dpkg/status
	step packages || { cat log.packages; return 1; }
	[ "$(grep -c '^Status: install ok installed' card/var/lib/dpkg/status)" = 2 ]
	rm -r card/var/lib/dpkg/{status,info} card/var/lib/pibuild/packages.done
	mkdir card/var/lib/dpkg/info && : >card/var/lib/dpkg/status
	half
	sed -i 's/^Status: install ok unpacked/Status: install reinstreq half-installed/' card/var/lib/dpkg/status
	step packages || { cat log.packages; return 1; }
	[ "$(grep -c '^Status: install ok installed' card/var/lib/dpkg/status)" = 2 ]
}

# bats test_tags=slow
@test "what dpkg has half done when the power goes is finished; a file that is missing is told" {
	card_with_packages
	/usr/bin/dpkg --root="$PWD/card" --force-not-root --force-architecture --force-depends --log=/dev/null --unpack card/usr/share/pibuild/packages/zzz.deb >/dev/null 2>&1
	grep -q '^Status: install ok unpacked' card/var/lib/dpkg/status
	step packages || { cat log.packages; return 1; }
	[ "$(grep -c '^Status: install ok installed' card/var/lib/dpkg/status)" = 2 ]
	rm card/usr/share/pibuild/packages/zzz.deb
	rm card/var/lib/pibuild/packages.done
	program sleep "$stop_step"
	step packages || true
	[[ "$(state_of packages cause)" == *"zzz.deb is missing on this card or empty"* ]]
}
