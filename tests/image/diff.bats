#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pibuild diff: what differs between images, and never a secret of either. Three small builds for the whole file.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	export DO_TOKEN=dop_v1_canary0123456789abcdefghijklmnopqrstuvwxyz
	{
		echo 'certManager:'
		echo '  email: me@example.org'
		echo '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}'
		echo '  zones: [home.example.org]'
	} >lines
	mapfile -t lines <lines
	write_cluster "${lines[@]}"
	cat >>cluster.yaml <<-EOT
		  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.13/24}
	EOT
	build -o old >stdout 2>stderr
	cp secrets.yaml secrets.old
	mkdir -p overlays/common/etc overlays/common/opt && echo 'hello' >overlays/common/etc/greeting
	head -c 5000 /dev/urandom >overlays/common/opt/blob
	sed -i 's|Europe/Berlin|Europe/Vienna|; /name: w-2/d' cluster.yaml
	"$PIBUILD" secrets rotate server-token --yes >>stdout 2>>stderr
	DO_TOKEN=${DO_TOKEN}0 build -o new >>stdout 2>>stderr
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
	{ cat secrets.yaml secrets.old | grep -oE '[A-Za-z0-9+/]{40,}' && echo "$DO_TOKEN"; } | sort -u >values
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	img=$BATS_TEST_TMPDIR/w-1.img
}

# compare [ARGUMENT]...: ends with 1, the report in ./report; says nothing on stderr and no secret anywhere.
compare() {
	local code=0
	"$PIBUILD" diff "$@" >"$BATS_TEST_TMPDIR/report" 2>"$BATS_TEST_TMPDIR/talk" || code=$?
	cd "$BATS_TEST_TMPDIR"
	[ "$code" -eq 1 ] || { echo "exit $code"; cat talk report; return 1; }
	[ ! -s talk ] || { cat talk; return 1; }
	refute grep -qFf "$BATS_FILE_TMPDIR/values" report
}

# says LINE...: each is a line of the report.
says() {
	local line
	for line in "$@"; do
		grep -qxF -- "$line" report || { echo "not said: $line"; cat report; return 1; }
	done
}

copy() {
	cp --reflink=auto --sparse=always "$1" "$img"
}

change() {
	debugfs -w -R "$1" "$img?offset=$(part_start "$img" 2)" >/dev/null 2>&1
}

@test "an image and itself, and a copy elsewhere, are the same" {
	[ "$("$PIBUILD" diff old/cp-1.img old/cp-1.img)" = 'cp-1: same' ]
	copy old/w-1.img
	[ "$("$PIBUILD" diff --brief old/w-1.img "$img")" = 'w-1: same' ]
	"$PIBUILD" diff --json old old | jq -e '.same and (.images | length) == 3 and ([.images[].same] | all)'
}

@test "two nodes of a role differ in name, address and identity" {
	compare old/w-1.img old/w-2.img
	says 'a: old/w-1.img' 'b: old/w-2.img' 'changed  /etc/hostname  content' '      -w-1' '      +w-2' \
		'      --- a/etc/hostname' '      +++ b/etc/hostname' \
		'changed  /etc/rancher/node/password  content differs (secret)' \
		'changed  /etc/rancher/k3s/config.yaml  content differs (secret)' \
		'changed  /etc/NetworkManager/system-connections/pibuild-eth0.nmconnection  content differs (secret)'
	grep -q '^w-1 -> w-2: 0 added, [0-9]* changed, 0 removed$' report
	refute grep -q '^added\|^removed\|^layout\|^version' report
}

@test "a build of the same cluster with another value" {
	compare old/cp-1.img new/cp-1.img
	says '      -Europe/Berlin' '      +Europe/Vienna' \
		'changed  /etc/localtime  to /usr/share/zoneinfo/Europe/Berlin -> /usr/share/zoneinfo/Europe/Vienna' \
		'added    /etc/greeting  file 0644 0:0 6 B' 'added    /opt/blob  file 0644 0:0 4.9 KiB' \
		'changed  /etc/pibuild/secrets/dns01.yaml  content differs (secret)'
	grep -q '^cp-1: [0-9]* added, [0-9]* changed, 0 removed' report
}

@test "folders: images by their names, one line each with --brief, those of one side alone" {
	compare --brief old new
	[ "$(cut -d: -f1 report | xargs)" = 'cp-1 w-1 w-2' ]
	grep -q '^w-1: [0-9]* added, [0-9]* changed, 0 removed' report
	says 'w-2: only old/w-2.img'
	cd "$BATS_FILE_TMPDIR"
	compare --brief new old
	says 'w-2: only old/w-2.img'
}

@test "a binary is one line with sizes and digests; a text beyond its size too" {
	copy new/w-1.img
	head -c 6000 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	seq 100000 >"$BATS_TEST_TMPDIR/long"
	change 'rm /opt/blob'
	change "write $BATS_TEST_TMPDIR/blob /opt/blob"
	change 'rm /etc/greeting'
	change "write $BATS_TEST_TMPDIR/long /etc/greeting"
	old=$(sha256sum <overlays/common/opt/blob) new=$(sha256sum <"$BATS_TEST_TMPDIR/blob")
	change 'sif /opt/blob mode 0100644'
	compare new/w-1.img "$img"
	grep -q "^changed  /opt/blob .*content: 5000 -> 6000 bytes, sha256 ${old:0:12}... -> ${new:0:12}...$" report
	grep -q '^changed  /etc/greeting .*content: 6 -> 588895 bytes' report
	refute grep -q '^ .*99999' report
}

@test "mode, owner, kind, links and time" {
	copy old/w-1.img
	change 'sif /etc/hosts mode 0100600'
	change 'sif /etc/timezone uid 1000'
	change 'rm /etc/hostname'
	change 'symlink /etc/hostname /etc/elsewhere'
	change 'set_inode_field /etc/fstab mtime 20200102030405'
	change 'rm /usr/local/bin/ctr'
	compare old/w-1.img "$img"
	says 'changed  /etc/hosts  mode 0644 -> 0600' 'changed  /etc/timezone  owner 0:0 -> 1000:0' \
		'removed  /usr/local/bin/ctr  link to k3s'
	grep -q '^changed  /etc/hostname  file -> link' report
	grep -q '^time     /etc/fstab  .* -> 2020-01-02T03:04:05Z$' report
	grep -q 'by time alone' report
}

@test "files of the boot partition, texts and others" {
	copy old/w-1.img
	at=$(part_start "$img" 1)
	mtype -i "$img@@$at" ::cmdline.txt | sed 's/$/ quiet/' >"$BATS_TEST_TMPDIR/cmdline.txt"
	printf '\0\1\2' >"$BATS_TEST_TMPDIR/start4.elf"
	mcopy -o -i "$img@@$at" "$BATS_TEST_TMPDIR"/{cmdline.txt,start4.elf} ::
	mdel -i "$img@@$at" ::user-data
	mmd -i "$img@@$at" ::new
	compare old/w-1.img "$img"
	grep -q '^      +.* quiet$' report
	grep -q '^changed  /boot/firmware/start4.elf  content: [0-9]* -> 3 bytes, sha256' report
	grep -q '^removed  /boot/firmware/user-data  file' report
	grep -q '^added    /boot/firmware/new  folder' report
}

@test "an image and its base: all that was put there, and the layout" {
	compare base.img old/cp-1.img
	says 'added    /usr/local/bin/kubectl  link to k3s' 'added    /etc/rancher/node/password  file 0600 0:0 (secret)' \
		'changed  /etc/shadow  content differs (secret)'
	grep -q '^layout   size of the image  [0-9]* -> [0-9]*$' report
	grep -q '^layout   partition 2  start' report
	refute grep -q '^layout   disk id\|^layout   partition 1' report
	grep -q '^base -> cp-1: ' report
}

@test "versions that changed, and a digest that did under the same version" {
	copy new/w-1.img
	root_cat "$img" /etc/pibuild/manifest.json | jq '(.artifacts[] | select(.name == "k3s")) |= (.version = "v1.35.8+k3s1" | .sha256 = ("0" * 64)) |
		.base.sha256 = ("1" * 64) | .artifacts += [{name: "extra", version: "2", sha256: ("2" * 64), url: null}]' >"$BATS_TEST_TMPDIR/manifest"
	change 'rm /etc/pibuild/manifest.json'
	change "write $BATS_TEST_TMPDIR/manifest /etc/pibuild/manifest.json"
	compare --brief "$img" new/w-1.img
	grep -q '; base [^ ]* (111111111111) -> [^ ]* ([0-9a-f]*), k3s v1.35.8+k3s1 -> v1.36.4+k3s1, extra 2 gone$' report
}

@test "a file that only root may read is masked, whatever the manifests say; the user's own is not" {
	copy base.img
	echo 'hush, private' >"$BATS_TEST_TMPDIR/hush"
	for file in /etc/private /etc/hosts2; do change "write $BATS_TEST_TMPDIR/hush $file"; done
	change 'sif /etc/private mode 0100600'
	cp "$img" other.img
	img=other.img
	echo 'loud, private' >"$BATS_TEST_TMPDIR/loud"
	for file in /etc/private /etc/hosts2; do change "rm $file" && change "write $BATS_TEST_TMPDIR/loud $file"; done
	change 'sif /etc/private mode 0100600'
	compare "$BATS_TEST_TMPDIR/w-1.img" other.img
	grep -q '^changed  /etc/private .*content differs (secret)$' report
	[ "$(grep -c 'hush, private' report)" -eq 1 ]
}

@test "--json has every change, and secrets only by their names" {
	compare --json old/cp-1.img new/cp-1.img
	jq -e '.same == false and (.images[0] | .name == "cp-1" and .counts.added > 1 and
		([.changes[] | select(.path == "/etc/timezone")][0] | .change == "changed" and (.diff | contains("+Europe/Vienna")) and
			(.a.sha256 | length) == 64 and .a.mode == "0644" and (.differs | index("content") != null)) and
		([.changes[] | select(.path == "/etc/pibuild/secrets/dns01.yaml")][0] |
			.secret and (has("diff") | not) and (.a | has("size") or has("sha256") | not)))' report
}

@test "words of an image do not command the terminal" {
	copy old/w-1.img
	printf 'a\033[31mred\rb\n' >"$BATS_TEST_TMPDIR/red"
	change 'rm /etc/hostname'
	change "write $BATS_TEST_TMPDIR/red /etc/hostname"
	change "mkdir /$(printf 'x\033[31m')"
	compare old/w-1.img "$img"
	refute grep -q "$(printf '\033')" report
	grep -q 'added    /x?\[31m' report
}

@test "what cannot be compared" {
	fails 2 'give two images or two folders, not one of each' "$PIBUILD" diff old old/cp-1.img
	fails 2 'an argument is missing: usage: pibuild diff IMAGE|DIR IMAGE|DIR' "$PIBUILD" diff old
	fails 1 'cannot open nothing' "$PIBUILD" diff old/cp-1.img nothing
	mkdir -p empty
	fails 1 'there is no image in empty or empty' "$PIBUILD" diff empty empty
	fails 1 'is too short for a disk image' "$PIBUILD" diff old/cp-1.img stdout
}

@test "nothing is left behind, nothing secret is an argument" {
	mkdir "$BATS_TEST_TMPDIR/tmp"
	TMPDIR=$BATS_TEST_TMPDIR/tmp strace -f -v -s 65535 -o "$BATS_TEST_TMPDIR/trace" -e trace=execve -e signal=none \
		"$PIBUILD" diff old/cp-1.img new/cp-1.img >/dev/null || [ $? -eq 1 ]
	grep -q '"diff", "-u"' "$BATS_TEST_TMPDIR/trace"
	tail -n +2 "$BATS_TEST_TMPDIR/trace" >"$BATS_TEST_TMPDIR/run"
	grep -q /diff "$BATS_TEST_TMPDIR/run"
	refute grep -qFf values "$BATS_TEST_TMPDIR/run"
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/tmp")" ]
}

@test "without diff it ends with 6 and names the package" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to hide the tool"
	run unshare -m bash -c 'mount --bind /dev/null "$0" && exec "$1" diff old/cp-1.img new/cp-1.img' "$(readlink -f "$(command -v diff)")" "$PIBUILD"
	[ "$status" -eq 6 ]
	[[ "$output" == *'install the package diffutils'* ]]
}
