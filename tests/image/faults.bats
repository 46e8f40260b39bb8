#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bases and places that do not fit: refused with the reason, or built all the same; never half an image.

load ../lib/image

setup_file() {
	export CACHE=$BATS_FILE_TMPDIR/cache
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	build fetch >/dev/null
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
}

# refuses VARIANT TEXT
refuses() {
	SANDBOX="--variant $1" fails 1 "$2" build --node w-1
	[ ! -e out/w-1.img ]
	[ -z "$(find out -name '.*.part')" ]
}

# builds VARIANT
builds() {
	SANDBOX="--variant $1" build --node w-1 >/dev/null
	judge out/w-1.img
	[ "$(root_cat out/w-1.img /etc/hostname)" = w-1 ]
}

@test "a base with GPT is refused" {
	refuses gpt GPT
}

@test "a base without a FAT is refused" {
	refuses no-fat FAT
}

@test "a base without a second partition is refused" {
	refuses one-partition 'no second partition'
}

@test "a base with a partition behind the root is refused, saying why" {
	refuses p3 'more than two partitions; neither pibuild nor Raspberry Pi OS could grow the root'
}

@test "a base whose journal needs recovery is refused with the cure" {
	refuses dirty-journal journal
}

@test "a base with an unknown ext4 feature is refused" {
	refuses unknown-feature feature
}

@test "a base that is full to the last block is grown" {
	builds full
}

@test "a base mounted after its last check is grown" {
	builds late-mount
}

@test "a base with the 64bit feature" {
	builds 64bit
}

@test "a base with orphan_file and a checksum seed" {
	builds orphan-file
}

@test "a base with blocks of 1 KiB" {
	builds block-1k
}

@test "a base without Raspberry Pi OS's own resize gets a grow unit that is enabled" {
	builds no-resize
	root_has out/w-1.img /usr/lib/pibuild/grow-root
	[ "$(root_link out/w-1.img /etc/systemd/system/sysinit.target.wants/pibuild-grow-root.service)" = /etc/systemd/system/pibuild-grow-root.service ]
	run ! grep -qw resize <(boot_cat out/w-1.img cmdline.txt)
}

@test "the FAT of the base has clusters of one sector, as since 2026-03" {
	builds plain
	part out/w-1.img 1 fat
	[ "$(od -An -tu1 -j13 -N1 fat | tr -d ' ')" -eq 1 ]
}

# own_base FILE: a cluster that starts from FILE.
own_base() {
	write_cluster "os:" "  base: $1" "  sha256: $(sha256sum "$1" | cut -d' ' -f1)"
}

@test "a raw, a gzip and a zstd base give the same image as the xz one" {
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	gzip -kn base.img && zstd -q base.img
	for form in img img.gz img.zst; do
		own_base "base.$form"
		build --secrets "$BATS_TEST_TMPDIR/s.yaml" -o "$form" --node w-1 >/dev/null
		judge "$form/w-1.img"
	done
	# The base's own digest is on the card; all else is equal.
	[ "$(root_cat img/w-1.img /etc/hostname)" = "$(root_cat img.gz/w-1.img /etc/hostname)" ]
	cmp <(on_root img.gz/w-1.img ls -l /etc) <(on_root img.zst/w-1.img ls -l /etc)
}

@test "a base whose digest is not the one configured ends with 4" {
	cp "$("$top/scripts/make-base" --kept tiny)" base.img.xz
	write_cluster "os:" "  base: base.img.xz" "  sha256: $(printf x | sha256sum | cut -d' ' -f1)"
	fails 4 'expected' build --node w-1
	[ ! -e out/w-1.img ]
}

@test "a truncated xz base is named as such" {
	head -c 1000000 "$("$top/scripts/make-base" --kept tiny)" >base.img.xz
	own_base base.img.xz
	fails 1 'truncated' build --node w-1
	[ ! -e out/w-1.img ]
}

@test "a corrupt xz base is named as such" {
	cp "$("$top/scripts/make-base" --kept tiny)" base.img.xz
	chmod u+w base.img.xz
	printf '\377\377\377' | dd of=base.img.xz bs=1 seek=700000 conv=notrunc status=none
	own_base base.img.xz
	fails 1 'corrupt' build --node w-1
	[ ! -e out/w-1.img ]
}

@test "a base that is no image at all is refused" {
	head -c 2000000 /dev/urandom >base.img
	own_base base.img
	fails 1 'partition table' build --node w-1
}

@test "a base that unpacks to more than the lock promises is stopped" {
	mkdir fresh && cp -r "$CACHE/objects" fresh/
	run sandbox -- bash -c 'sed "/name: raspios/,/source:/s/raw: {size: [0-9]*/raw: {size: 1048576/" "$PIBUILD_LOCK" >lock
		PIBUILD_LOCK=$PWD/lock "$0" --progress none --cache fresh --node w-1' "$PIBUILD"
	[ "$status" -eq 4 ]
	[[ "$output" == *"raspios 2026-09-15"* ]]
	[ ! -e out/w-1.img ]
}

@test "a full disk under the output is told with what is needed and free" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a small file system"
	build --node w-1 -o elsewhere >/dev/null
	mkdir small
	run unshare -m bash -c 'mount -t tmpfs -o size=1m none small && "$0" "$1" --offline --progress none --cache "$CACHE" --node w-1 -o small; code=$?; ls -A small; exit $code' \
		"$top/tests/lib/in-sandbox" "$PIBUILD"
	[ "$status" -eq 1 ]
	[[ "$output" == *"make room"* ]]
	[[ "$output" != *".img"$'\n'* ]]
}

@test "a disk that fills up half-way leaves nothing" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a small file system"
	build --node w-1 -o elsewhere >/dev/null
	run bash -c 'ulimit -f 20000; "$0" "$1" --offline --progress none --cache "$CACHE" --node w-1 -o limited' "$top/tests/lib/in-sandbox" "$PIBUILD"
	[ "$status" -eq 1 ]
	[ -z "$(ls -A limited)" ]
}

@test "too few open files are told with the limit" {
	local n
	# how many are open already is the test runner's affair
	for ((n = 6; n < 30; n++)); do
		run bash -c 'ulimit -n "$1"; "$0" render --node cp-1 -o tree' "$PIBUILD" "$n"
		[[ "$output" != *'ulimit -n'* ]] || break
	done
	[ "$status" -eq 1 ]
	[[ "$output" == *"Too many open files"*"\`ulimit -n\` shows"* ]]
}

@test "a read-only output folder is told before anything is downloaded" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to mount"
	mkdir ro
	run unshare -m bash -c 'mount -t tmpfs -o ro none ro && "$0" "$1" --progress none --cache fresh --node w-1 -o ro' "$top/tests/lib/in-sandbox" "$PIBUILD"
	[ "$status" -eq 1 ]
	[[ "$output" == *"output folder ro"* ]]
	[ ! -e fresh ]
}

@test "an output path that is a file is refused" {
	touch out
	fails 1 'output folder: out is no folder: choose another with -o' build --node w-1
}

@test "a result that cannot be printed is a failure" {
	run bash -c '"$0" schema >/dev/full' "$PIBUILD"
	[ "$status" -eq 1 ]
	[[ "$output" == *stdout* ]]
}

# hostile NAME: an archive in place of the helm release, with a lock that pins it.
with_helm() {
	own_sandbox -- bash -c '
		file=$PIBUILD_SANDBOX/www/get.helm.sh/helm-v3.22.0-linux-arm64.tar.gz
		mkdir -p "${file%/*}" && cp "$1" "$file"
		python3 - "$PIBUILD_LOCK" "$(sha256sum <"$1" | cut -d" " -f1)" <<-EOT >lock
		import re, sys
		t = open(sys.argv[1]).read()
		head, tail = t.split("- name: helm\n", 1)
		tail = re.sub(r"sha256: [0-9a-f]+", "sha256: " + sys.argv[2], tail, count=1)
		print(head + "- name: helm\n" + re.sub(r"  size: [0-9]+\n", "", tail, count=1))
		EOT
		shift
		PIBUILD_LOCK=$PWD/lock exec "$@"' _ "$@"
}

hostile() {
	run with_helm "$1" "$PIBUILD" --progress none --cache "$CACHE" --node cp-1
	[ "$status" -eq 1 ] || { echo "$status $output"; return 1; }
	[ ! -e out/cp-1.img ]
	[[ "$output" == *helm* ]]
}

@test "an archive whose member is a symbolic link is refused" {
	mkdir linux-arm64 && ln -s /etc/shadow linux-arm64/helm
	tar -czf x.tgz linux-arm64/helm
	hostile x.tgz
}

@test "an archive whose member is a hard link is refused" {
	mkdir linux-arm64 && echo x >linux-arm64/a && ln linux-arm64/a linux-arm64/helm
	tar -czf x.tgz linux-arm64/a linux-arm64/helm
	hostile x.tgz
}

@test "an archive whose member is a device is refused" {
	python3 -c '
import tarfile
t = tarfile.open("x.tgz", "w:gz"); i = tarfile.TarInfo("linux-arm64/helm"); i.type = tarfile.CHRTYPE; i.devmajor = 1; i.devminor = 3
t.addfile(i); t.close()'
	hostile x.tgz
}

@test "an archive without the member is refused, naming what it holds" {
	mkdir linux-amd64 && echo x >linux-amd64/helm
	tar -czf x.tgz linux-amd64/helm
	hostile x.tgz
	[[ "$output" == *linux-amd64/helm* ]]
}

@test "a truncated archive is refused" {
	mkdir linux-arm64 && head -c 300000 /dev/urandom >linux-arm64/helm
	tar -cz linux-arm64/helm | head -c 100000 >x.tgz
	hostile x.tgz
}

@test "a setuid bit in an archive does not reach the card" {
	mkdir linux-arm64 && echo x >linux-arm64/helm && chmod 4755 linux-arm64/helm
	tar -czf x.tgz linux-arm64/helm
	with_helm x.tgz "$PIBUILD" --progress none --cache "$CACHE" --node cp-1 >/dev/null
	[ "$(root_mode out/cp-1.img /usr/local/bin/helm)" = 0755 ]
}

@test "another user name takes the place of pi, whose groups it inherits" {
	USER_NAME=anna write_cluster
	build --node w-1 >/dev/null
	judge out/w-1.img
	[ "$(root_cat out/w-1.img /etc/passwd | grep :1000:)" = anna:x:1000:1000::/home/anna:/bin/bash ]
	run ! grep -qw pi <(root_cat out/w-1.img /etc/group)
	root_cat out/w-1.img /etc/group | grep '^sudo:' | grep -qw anna
	run ! root_has out/w-1.img /home/pi
	root_cat out/w-1.img /etc/skel/.profile | cmp - <(root_cat out/w-1.img /home/anna/.profile)
	[ "$(root_owner out/w-1.img /home/anna/.profile)" = 1000:1000 ]
}

@test "the user's overlays come last: common, role, node" {
	mkdir -p overlays/{common,worker,w-1}/etc overlays/common/boot/firmware
	echo common >overlays/common/etc/a && echo common >overlays/common/etc/b && echo common >overlays/common/etc/c
	echo worker >overlays/worker/etc/b && echo worker >overlays/worker/etc/c
	echo node >overlays/w-1/etc/c
	echo note >overlays/common/boot/firmware/note.txt
	install -m 755 /dev/null overlays/common/etc/run
	ln -s a overlays/common/etc/link
	build --node w-1 >/dev/null
	judge out/w-1.img
	[ "$(root_cat out/w-1.img /etc/a)" = common ]
	[ "$(root_cat out/w-1.img /etc/b)" = worker ]
	[ "$(root_cat out/w-1.img /etc/c)" = node ]
	[ "$(root_mode out/w-1.img /etc/run)" = 0755 ]
	[ "$(root_link out/w-1.img /etc/link)" = a ]
	[ "$(boot_cat out/w-1.img note.txt)" = note ]
}

@test "what an overlay lays where secrets lie is private, also on a umask that opens or closes everything; verify agrees" {
	local path mask
	for mask in 022 077; do
		rm -rf overlays out
		umask $mask
		mkdir -p overlays/cp-1/etc/{rancher/k3s/config.yaml.d,NetworkManager/system-connections,sysctl.d} \
			overlays/cp-1/{usr/local/bin,home/pi,var/lib/rancher/k3s/server/manifests}
		echo 'mirrors: {}' >overlays/cp-1/etc/rancher/k3s/registries.yaml
		echo 'node-label+: [a=b]' >overlays/cp-1/etc/rancher/k3s/config.yaml.d/50-mine.yaml
		echo '[connection]' >overlays/cp-1/etc/NetworkManager/system-connections/mine.nmconnection
		echo 'vm.swappiness = 1' >overlays/cp-1/etc/sysctl.d/99-mine.conf
		printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n' >overlays/cp-1/var/lib/rancher/k3s/server/manifests/mine.yaml
		echo '# mine' >overlays/cp-1/home/pi/.bash_aliases
		build --node cp-1 >/dev/null
		"$PIBUILD" verify out/cp-1.img
		for path in /etc/rancher/k3s/registries.yaml /etc/rancher/k3s/config.yaml.d/50-mine.yaml /etc/NetworkManager/system-connections/mine.nmconnection; do
			[ "$(root_mode out/cp-1.img $path)" = 0600 ]
			jq -e --arg path $path '[.files[] | select(.path == $path)][0] | has("sha256") | not' out/cp-1.manifest.json
		done
		[ "$(root_mode out/cp-1.img /etc)$(root_mode out/cp-1.img /etc/rancher)" = 07550755 ]
		[ "$(root_mode out/cp-1.img /var/lib/rancher/k3s/server)" = 0700 ]
		[ "$(root_owner out/cp-1.img /home/pi)" = 1000:1000 ]
	done
}

@test "a setuid file in an overlay is refused" {
	mkdir -p overlays/common/bin && install -m 4755 /dev/null overlays/common/bin/x
	fails 3 'setuid' "$PIBUILD" plan
}

@test "a pipe in an overlay is refused" {
	mkdir -p overlays/common && mkfifo overlays/common/pipe
	fails 3 'device, socket or pipe' "$PIBUILD" plan
}

@test "the second known-good set builds" {
	write_cluster "versions: {k3s: v1.35.8+k3s1, cilium: 1.19.6, gatewayAPI: v1.4.1}"
	build >/dev/null
	judge out/cp-1.img
	root_cat out/cp-1.img /etc/pibuild/release.json | jq -e '[.artifacts[] | select(.name == "k3s")][0].version == "v1.35.8+k3s1"'
}

@test "a version that the lock does not pin ends with 4 and names the command" {
	write_cluster "versions: {helm: v3.18.4}"
	fails 4 'pibuild lock' build
}

@test "progress as JSON is one object a line" {
	sandbox -- "$PIBUILD" --progress json --cache "$CACHE" --node w-1 >/dev/null 2>log
	grep '^{' log | jq -es 'length > 3 and all(has("event") and has("step"))'
}

@test "-v ends with a table of timings" {
	sandbox -- "$PIBUILD" -v --cache "$CACHE" --node w-1 >/dev/null 2>log
	grep -q '^step .*seconds' log
	grep -q '^stamp ' log
}

@test "--sha256 writes a digest that sha256sum accepts" {
	build --node w-1 --sha256 >/dev/null
	(cd out && sha256sum -c w-1.img.sha256)
}

@test "closed standard descriptors: no message ends up in an image or in the cache" {
	build --secrets ../kept.yaml -o plain --node w-1 >/dev/null
	# What cannot be told on stdout is a failure; the image is there all the same.
	# shellcheck disable=SC2016 # the inner shell's arguments
	run sandbox -- sh -c 'exec "$@" <&- >&- 2>&-' sh "$PIBUILD" -v --progress plain --cache fresh --secrets ../kept.yaml \
		--node w-1
	[ "$status" -eq 1 ]
	cmp plain/w-1.img out/w-1.img
	run ! grep -aq '^pibuild: ' fresh/layers/*
}

@test "a layer for which no file can be made is an error, not a crash" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: strace reads no paths of a program that keeps its memory to itself"
	build --node w-1 >/dev/null
	rm "$CACHE"/layers/*.json
	ASAN_OPTIONS=detect_leaks=0 sandbox -- strace -o trace -e trace=openat "$PIBUILD" --progress none --cache "$CACHE" --node w-1 >/dev/null
	rm "$CACHE"/layers/*.json
	call=$(grep -n 'openat.*[.]img[.][0-9]*[.]0[.]part' trace | head -1 | cut -d: -f1)
	ASAN_OPTIONS=detect_leaks=0 fails 1 'No space left on device' sandbox -- strace -o trace -e trace=openat \
		-e "inject=openat:error=ENOSPC:when=$call" "$PIBUILD" --progress none --cache "$CACHE" --node w-1
}

@test "what a killed run left of a layer that nobody asks for any more goes with the next run; what another run is at stays" {
	build --node w-1 >/dev/null
	touch "$CACHE"/layers/.gone.img.4194000.0.part "$CACHE"/layers/.held.img.4194001.0.part
	exec 9<"$CACHE"/layers/.held.img.4194001.0.part
	flock 9
	build --node w-1 >/dev/null
	[ "$(cd "$CACHE"/layers && echo .*.part)" = .held.img.4194001.0.part ]
}

@test "a manifest or digest beside an image is that image's own, wherever a run ends" {
	build --sha256 --node w-1 >/dev/null
	sha256sum -c <(sed 's| w-1| out/w-1|' out/w-1.img.sha256)
	sed -i 's|Europe/Berlin|Europe/Rome|' cluster.yaml
	for n in 1 2 3 4 5 6; do
		ASAN_OPTIONS=detect_leaks=0 run sandbox -- strace -o trace -e trace=fsync -e "inject=fsync:error=EIO:when=$n" \
			"$PIBUILD" --progress none --cache "$CACHE" --node w-1
		[ ! -e out/w-1.manifest.json ] || cmp out/w-1.manifest.json <(root_cat out/w-1.img /etc/pibuild/manifest.json)
		[ ! -e out/w-1.img.sha256 ] || (cd out && sha256sum -c w-1.img.sha256)
	done
	build --node w-1 >/dev/null
	[ "$(root_cat out/w-1.img /etc/timezone)" = Europe/Rome ]
	cmp out/w-1.manifest.json <(root_cat out/w-1.img /etc/pibuild/manifest.json)
	[ ! -e out/w-1.img.sha256 ]
}

@test "a base that cannot be opened is named with its reason, not sought in the cache" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: strace reads no paths of a program that keeps its memory to itself"
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	own_base base.img
	ASAN_OPTIONS=detect_leaks=0 fails 1 "cannot open $PWD/base.img: Input/output error" sandbox -- strace -o trace \
		-P "$PWD/base.img" -e trace=openat -e inject=openat:error=EIO:when=1 "$PIBUILD" --progress none --cache fresh --node w-1
	run ! grep -q 'pibuild fetch' <<<"$output"
}

@test "no image takes the place of a device, pipe or folder" {
	mkdir out && mkfifo out/w-1.img
	fails 5 'no file is put in its place' build --node w-1
	[ -p out/w-1.img ]
}

@test "a name in an overlay that is no UTF-8 is refused: no manifest could tell of it" {
	mkdir -p overlays/common/etc && touch "overlays/common/etc/$(printf 'caf\351')"
	fails 3 'is no UTF-8' build --node w-1
	rm -r overlays/common/etc/* && ln -s "$(printf 'caf\351')" overlays/common/etc/link
	fails 3 'is no UTF-8' build --node w-1
}
