#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a built card holds, judged by e2fsprogs, dosfstools, mtools and sfdisk. Built once for the whole file.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster "cilium: {valuesFile: values.yaml}" "certManager:" "  email: me@example.org" \
		"  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}" "  zones: [home.example.org]"
	export DO_TOKEN=dop_v1_canary0123456789abcdefghijklmnopqrstuvwxyz
	echo 'extraConfig: {pin: "1234"}' >values.yaml
	mkdir -p overlays/common/etc/private.d && echo 1234 >overlays/common/etc/pin && chmod 600 overlays/common/etc/pin
	echo 1234 >overlays/common/etc/private.d/pin && chmod 700 overlays/common/etc/private.d
	mkdir -p overlays/common/{home/pi/{.ssh,.config/k9s},srv/empty} && echo k >overlays/common/home/pi/.ssh/id_ed25519
	chmod 600 overlays/common/home/pi/.ssh/id_ed25519 && echo c >overlays/common/home/pi/.config/k9s/config.yaml
	build -o out >stdout 2>stderr
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	server=out/cp-1.img worker=out/w-1.img
}

@test "a build leaves one image per node, named after it, and says so on stdout" {
	[ "$(cd out && ls ./*.img)" = $'./cp-1.img\n./w-1.img' ]
	[ "$(cut -f1 stdout)" = $'out/cp-1.img\nout/w-1.img' ]
}

@test "what next: the commands of a build and of verify are good for the image" {
	mkdir -p bin && ln -sf "$PIBUILD" bin/pibuild
	grep -qE '^pibuild: 2 images in out, after [0-9.]+ s$' stderr
	command=$(grep -o '`pibuild verify [^`]*`' stderr | tr -d '\`')
	PATH=$PWD/bin:$PATH sh -c "$command" >/dev/null 2>said
	grep -q "^pibuild: next: .*\`sudo pibuild flash ${command##* } DISK\`" said
	grep -q "\`sudo pibuild flash ${command##* } DISK --cache $PWD/cache\`" stderr
	[ -e "${command##* }" ]
}

@test "images of a node that cluster.yaml has no more are told of, with what removes them, and before one is flashed" {
	mkdir gone && cp -a --sparse=always ./*.yaml overlays out gone/ && cd gone
	cp out/w-1.bmap out/w-1-old.bmap
	run ! grep -q 'no card for' ../stderr
	sed -i '/name: w-1/d' cluster.yaml
	CACHE=$BATS_FILE_TMPDIR/cache build -q -o out >/dev/null 2>said
	grep -q '^pibuild: warning: out/w-1.img is of w-1, which cluster.yaml has no card for (any more): it holds keys of lab, and a card of it joins as w-1; `rm ' said
	"$PIBUILD" -q plan 2>said.plan >/dev/null
	cmp said said.plan
	[ "$("$PIBUILD" plan --json | jq -r '.leftovers[] | .node, .files[0]')" = $'w-1\nout/w-1.img' ]
	# The disk is refused, and what is said of the image comes before.
	run "$PIBUILD" flash out/w-1.img /dev/null
	[[ "$output" == 'pibuild: warning: out/w-1.img is of w-1, which cluster.yaml has no card for (any more): this one would join lab as w-1'* ]]
	run "$PIBUILD" flash out/cp-1.img /dev/null
	[[ "$output" != *warning* ]]
	# A cluster.yaml with faults is none that flash of an image asks for more than it has.
	sed 's/name: cp-1, //; s/^  name: lab//' cluster.yaml >faulty.yaml
	fails 5 /dev/null "$PIBUILD" flash -c faulty.yaml out/w-1.img /dev/null
	# A file that lies beside them and is not theirs stays.
	sh -c "$(sed -n 's/.*`\(rm [^`]*\)`.*/\1/p' said)"
	[ "$(ls out/w-1*)" = out/w-1-old.bmap ]
	[ -s out/cp-1.img ]
	[ -s out/cp-1.manifest.json ]
	[ "$("$PIBUILD" plan --json | jq -c .leftovers)" = '[]' ]
}

@test "images hold secrets and are readable by their owner only" {
	[ "$(stat -c %a "$server")" = 600 ]
	[ "$(stat -c %a secrets.yaml)" = 600 ]
}

@test "the first build says that it made the secrets file" {
	grep -q 'made ./secrets.yaml\|made secrets.yaml' stderr
}

@test "e2fsck, fsck.fat and sfdisk find no fault in a server's image" {
	judge "$server"
}

@test "e2fsck, fsck.fat and sfdisk find no fault in a worker's image" {
	judge "$worker"
}

@test "nothing but what inspect declares differs from the base" {
	"$PIBUILD" inspect "$server" --base base.img >/dev/null
	"$PIBUILD" inspect "$worker" --base base.img >/dev/null
}

@test "inspect names a file that was changed afterwards and ends with 4" {
	cp --sparse=always "$server" changed.img
	printf 'evil\n' >evil
	debugfs -w -R 'rm /etc/hostname' "changed.img?offset=$(part_start changed.img 2)" 2>/dev/null
	debugfs -w -R 'write evil /etc/hostname' "changed.img?offset=$(part_start changed.img 2)" 2>/dev/null >&2
	fails 4 'not as the manifest says' "$PIBUILD" inspect changed.img
	[[ "$output" == *changed*"/etc/hostname"* ]]
}

@test "inspect --base names a change that no record speaks of" {
	cp --sparse=always "$server" foreign.img
	debugfs -w -R 'mkdir /surprise' "foreign.img?offset=$(part_start foreign.img 2)" 2>/dev/null
	fails 4 /surprise "$PIBUILD" inspect foreign.img --base base.img
}

@test "inspect --json is JSON with partitions, files, units and free space" {
	"$PIBUILD" inspect --json "$server" >inspect.json
	jq -e '.node == "cp-1" and .role == "control-plane" and (.partitions | length) == 2 and .rootFree > 0
		and (.files | map(select(.state == "changed" or .state == "missing")) | length) == 0
		and ([.units[].unit] | index("k3s.service") != null)' inspect.json
}

@test "the host name is in hostname and hosts, with the other static nodes" {
	[ "$(root_cat "$server" /etc/hostname)" = cp-1 ]
	root_cat "$server" /etc/hosts | grep -qP '^127\.0\.1\.1\tcp-1$'
	root_cat "$server" /etc/hosts | grep -qP '^192\.168\.1\.12\tw-1$'
}

@test "machine-id stays uninitialized, so that first boot runs its own steps" {
	[ "$(root_cat "$server" /etc/machine-id)" = uninitialized ]
}

@test "the time zone is set" {
	[ "$(root_cat "$server" /etc/timezone)" = Europe/Berlin ]
	[ "$(root_link "$server" /etc/localtime)" = /usr/share/zoneinfo/Europe/Berlin ]
}

@test "the user is uid 1000 with a shell, no password, in sudo" {
	[ "$(root_cat "$server" /etc/passwd | grep ^pi:)" = pi:x:1000:1000::/home/pi:/bin/bash ]
	[[ "$(root_cat "$server" /etc/shadow | grep ^pi:)" == 'pi:*:'* ]]
	root_cat "$server" /etc/group | grep '^sudo:' | grep -qw pi
	[ "$(root_mode "$server" /etc/shadow)" = 0640 ]
}

@test "root and every other account of the base are untouched" {
	diff <(root_cat base.img /etc/passwd | grep -v ^pi:) <(root_cat "$server" /etc/passwd | grep -v ^pi:)
}

@test "the key is in authorized_keys, 0600 and the user's" {
	[ "$(root_cat "$server" /home/pi/.ssh/authorized_keys)" = "$example_key" ]
	[ "$(root_mode "$server" /home/pi/.ssh/authorized_keys)" = 0600 ]
	[ "$(root_mode "$server" /home/pi/.ssh)" = 0700 ]
	[ "$(root_owner "$server" /home/pi/.ssh/authorized_keys)" = 1000:1000 ]
}

@test "what an overlay brings into the user's home is the user's, and a folder that holds nothing is there" {
	local path
	for path in .ssh/id_ed25519 .config .config/k9s .config/k9s/config.yaml; do
		[ "$(root_owner "$server" "/home/pi/$path")" = 1000:1000 ]
	done
	[ "$(root_mode "$server" /home/pi/.ssh/id_ed25519)" = 0600 ]
	[ "$(root_owner "$server" /srv/empty)" = 0:0 ]
	[ "$(root_mode "$server" /srv/empty)" = 0755 ]
}

@test "sshd takes keys only, before any other file says otherwise" {
	root_cat "$server" /etc/ssh/sshd_config.d/00-pibuild.conf >sshd.conf
	grep -qx 'PasswordAuthentication no' sshd.conf
	grep -qx 'PermitRootLogin no' sshd.conf
	on_root "$server" ls -p /etc/ssh/sshd_config.d | awk -F/ '$6 ~ /conf$/ {print $6}' | sort | head -1 | grep -qx 00-pibuild.conf
}

@test "without a password sudo asks for none; the file is 0440" {
	[ "$(root_cat "$server" /etc/sudoers.d/010-pibuild)" = 'pi ALL=(ALL:ALL) NOPASSWD: ALL' ]
	[ "$(root_mode "$server" /etc/sudoers.d/010-pibuild)" = 0440 ]
}

@test "the static address, gateway and name servers are in a 0600 keyfile" {
	root_cat "$server" /etc/NetworkManager/system-connections/pibuild-eth0.nmconnection >keyfile
	grep -qx 'address1=192.168.1.11/24,192.168.1.1' keyfile
	grep -qx 'dns=192.168.1.1;9.9.9.9;' keyfile
	[ "$(root_mode "$server" /etc/NetworkManager/system-connections/pibuild-eth0.nmconnection)" = 0600 ]
	[ "$(root_owner "$server" /etc/NetworkManager/system-connections/pibuild-eth0.nmconnection)" = 0:0 ]
}

@test "NetworkManager leaves Cilium's links alone" {
	root_cat "$server" /etc/NetworkManager/conf.d/10-pibuild.conf | grep -q '^unmanaged-devices=.*interface-name:cilium\*.*interface-name:lxc\*'
}

@test "cmdline.txt stays one line with its PARTUUID and resize, and turns the memory cgroup on" {
	boot_cat "$server" cmdline.txt >cmdline
	[ "$(wc -l <cmdline)" -eq 1 ]
	grep -qw "root=$(boot_cat base.img cmdline.txt | grep -o 'PARTUUID=[^ ]*')" cmdline
	grep -qw resize cmdline
	grep -qw cgroup_enable=memory cmdline
}

@test "config.txt keeps every line of the base" {
	diff <(boot_cat base.img config.txt) <(boot_cat "$server" config.txt | sed '/^# pibuild: begin/,/^# pibuild: end/d')
}

@test "the disk id, and so every PARTUUID, is the base's" {
	[ "$(sfdisk --disk-id "$server")" = "$(sfdisk --disk-id base.img)" ]
}

@test "fstab is the base's" {
	[ "$(root_cat "$server" /etc/fstab)" = "$(root_cat base.img /etc/fstab)" ]
}

@test "k3s is the locked file, 0755, with its three links" {
	root_cat "$server" /usr/local/bin/k3s | cmp - "$top/build/sandbox/www/github.com/k3s-io/k3s/releases/download/v1.36.4+k3s1/k3s-arm64"
	[ "$(root_mode "$server" /usr/local/bin/k3s)" = 0755 ]
	for link in kubectl crictl ctr; do
		[ "$(root_link "$server" /usr/local/bin/$link)" = k3s ]
	done
}

@test "cilium, hubble and helm are the members of their archives" {
	www=$top/build/sandbox/www
	tar -xOzf "$www/github.com/cilium/cilium-cli/releases/download/v0.19.7/cilium-linux-arm64.tar.gz" cilium |
		cmp - <(root_cat "$server" /usr/local/bin/cilium)
	tar -xOzf "$www/github.com/cilium/hubble/releases/download/v1.19.4/hubble-linux-arm64.tar.gz" hubble |
		cmp - <(root_cat "$server" /usr/local/bin/hubble)
	tar -xOzf "$www/get.helm.sh/helm-v3.22.0-linux-arm64.tar.gz" linux-arm64/helm |
		cmp - <(root_cat "$server" /usr/local/bin/helm)
}

@test "the Cilium chart is unpacked on the first server, cert-manager's lies there as it came" {
	[[ "$(root_cat "$server" /usr/share/pibuild/charts/cilium/Chart.yaml)" == *'name: cilium'* ]]
	root_cat "$server" /usr/share/pibuild/charts/cert-manager.tgz | cmp - "$top/build/sandbox/www/charts.jetstack.io/charts/cert-manager-v1.21.1.tgz"
}

@test "a worker gets k3s but no server tools, charts or manifests" {
	root_has "$worker" /usr/local/bin/k3s
	for path in /usr/local/bin/helm /usr/local/bin/cilium /usr/share/pibuild/charts /etc/pibuild/manifests; do
		run ! root_has "$worker" $path
	done
}

@test "a server has k3s.service and no agent unit, a worker the reverse" {
	root_has "$server" /etc/systemd/system/k3s.service
	root_has "$worker" /etc/systemd/system/k3s-agent.service
	run ! root_has "$server" /etc/systemd/system/k3s-agent.service
	run ! root_has "$worker" /etc/systemd/system/k3s.service
}

@test "the K3s configuration is 0600 and root's" {
	for img in "$server" "$worker"; do
		[ "$(root_mode "$img" /etc/rancher/k3s/config.yaml)" = 0600 ]
		[ "$(root_owner "$img" /etc/rancher/k3s/config.yaml)" = 0:0 ]
	done
	root_cat "$server" /etc/rancher/k3s/config.yaml | grep -q '^flannel-backend: none'
	root_cat "$worker" /etc/pibuild/servers | grep -qx 'cp-1 192.168.1.11'
}

@test "the preset file enables the right unit only" {
	root_cat "$server" /etc/systemd/system-preset/00-pibuild.preset >preset
	grep -qx 'enable k3s.service' preset
	run ! grep -q 'k3s-agent' preset
	grep -qx 'disable userconfig.service' preset
	[ "$(root_link "$server" /etc/systemd/system/multi-user.target.wants/k3s.service)" = /etc/systemd/system/k3s.service ]
}

@test "cloud-init and userconfig are out of the way" {
	root_has "$server" /etc/cloud/cloud-init.disabled
	[ "$(root_link "$server" /etc/systemd/system/userconfig.service)" = /dev/null ]
}

@test "release.json says what is on the card" {
	root_cat "$server" /etc/pibuild/release.json >release.json
	jq -e '.node == "cp-1" and .cluster == "lab" and .board == "rpi5" and
		([.artifacts[] | select(.name == "k3s")][0].version == "v1.36.4+k3s1")' release.json
	jq -e '[.artifacts[].sha256 | test("^[0-9a-f]{64}$")] | all' release.json
}

@test "the manifest beside the image is the one on the card and names no digest of a secret" {
	root_cat "$server" /etc/pibuild/manifest.json | cmp - out/cp-1.manifest.json
	jq -e '[.files[] | select(.path == "/etc/rancher/k3s/config.yaml" or .path == "/etc/shadow") | has("sha256")] == [false, false]' out/cp-1.manifest.json
}

@test "what the user keeps private has no digest either, for a short secret is guessed from one" {
	jq -e '[.files[] | select(.path | IN("/etc/pin", "/etc/private.d/pin", "/etc/pibuild/cilium-values.yaml")) | has("sha256")] ==
		[false, false, false]' out/cp-1.manifest.json
	[ "$(root_mode "$server" /etc/pin)" = 0600 ]
}

@test "every file pibuild wrote carries the time of the build" {
	on_root "$server" stat /etc/hostname | grep -q 'mtime: 0x6ac58b80'
	on_root "$server" stat /usr/local/bin/k3s | grep -q 'mtime: 0x6ac58b80'
}

@test "the DNS-01 token is a 0600 Secret on the first server and nowhere on a worker" {
	root_cat "$server" /etc/pibuild/secrets/dns01.yaml | grep -q "$DO_TOKEN"
	[ "$(root_mode "$server" /etc/pibuild/secrets/dns01.yaml)" = 0600 ]
	[ "$(root_mode "$server" /etc/pibuild/secrets)" = 0700 ]
	run ! grep -aq "$DO_TOKEN" "$worker"
}

@test "no secret of the cluster is on the FAT or in a manifest, plan or log" {
	part "$server" 1 fat
	"$PIBUILD" plan --json >plan.json
	# Long random values of the file: tokens, passwords, keys.
	{ grep -oE '[A-Za-z0-9+/]{40,}' secrets.yaml && echo "$DO_TOKEN"; } | sort -u >values
	[ "$(wc -l <values)" -gt 10 ]
	run ! grep -aqFf values fat out/cp-1.manifest.json out/w-1.manifest.json plan.json stdout stderr
	run ! grep -raqFf values cache
}
