#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# configs/lab.yaml on the tiny base: what its keys come to on the two partitions, and overlays of the firmware that the
# base does not have. Built once for the whole file.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir -p home/.ssh && echo "$example_key" >home/.ssh/id_ed25519.pub
	export HOME=$PWD/home DOCKERHUB_TOKEN=dckr_pat_canary
	cp "$top/configs/lab.yaml" cluster.yaml
	pin_packages
	build --lock lock.yaml --node cp-1 --node w-2 -o out >stdout 2>stderr || { cat stderr; return 1; }
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
}

# pin_packages: what `pibuild lock` would have apt say of the packages, into ./lock.yaml, and small ones of these names into the cache
pin_packages() {
	local name sum base
	# shellcheck disable=SC2016 # of the shell in there
	sandbox -- sh -c 'cp "$PIBUILD_LOCK" lock.yaml'
	"$PIBUILD" render --node w-1 --lock lock.yaml -o card >/dev/null
	base=$(sed -n 's/^open-iscsi for //p' card/etc/pibuild/packages)
	for name in multipath-tools nfs-common open-iscsi; do
		mkdir -p "deb/$name/DEBIAN"
		printf '%s\n' "Package: $name" 'Version: 1:2.0-3' 'Architecture: arm64' 'Maintainer: x <x@y.z>' 'Description: x' >"deb/$name/DEBIAN/control"
		dpkg-deb --root-owner-group --build "deb/$name" "deb/$name.deb" >/dev/null
		sum=$(sha256sum <"deb/$name.deb" | cut -d' ' -f1)
		install -D -m 0644 "deb/$name.deb" "cache/objects/${sum:0:2}/$sum"
		echo "  - {name: $name, version: '1:2.0-3', url: 'https://deb.debian.org/$name.deb', size: $(stat -c %s "deb/$name.deb"), sha256: $sum}" >>debs
	done
	{
		printf 'packages:\n- base: %s\n  wanted: [multipath-tools, nfs-common, open-iscsi]\n  list:\n' "$base"
		cat debs
		printf -- '- base: %s\n  wanted: [nfs-common, open-iscsi]\n  list:\n' "$base"
		tail -n 2 debs
	} >>lock.yaml
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	export HOME=$PWD/home DOCKERHUB_TOKEN=dckr_pat_canary
}

@test "no tool finds a fault in the images of the lab, verify neither" {
	for image in out/*.img; do
		judge "$image"
		"$PIBUILD" verify "$image" --base base.img >said || { cat said; return 1; }
	done
}

@test "lines and words of boot stand behind those of the base, one node's own last" {
	boot_cat out/w-2.img config.txt >config.txt
	boot_cat base.img config.txt >base.txt
	[ "$(head -n "$(wc -l <base.txt)" config.txt)" = "$(cat base.txt)" ]
	[ "$(tail -n +$(($(wc -l <base.txt) + 1)) config.txt)" = '# pibuild: begin
[all]
kernel_watchdog_timeout=300
dtparam=pciex1_gen=3
usb_max_current_enable=1
dtoverlay=disable-wifi
dtoverlay=disable-bt
# pibuild: end' ]
	boot_cat out/w-2.img cmdline.txt >cmdline
	[ "$(wc -l <cmdline)" -eq 1 ]
	[ "$(cat cmdline)" = "$(boot_cat base.img cmdline.txt) cgroup_memory=1 cgroup_enable=memory watchdog_disarm=0 usb-storage.quirks=152d:0578:u" ]
	refute grep -q usb_max_current <(boot_cat out/cp-1.img config.txt)
}

@test "settings are root's, and the environment of K3s is root's alone" {
	[ "$(root_mode out/cp-1.img /etc/sysctl.d/60-pibuild.conf)" = 0644 ]
	[ "$(root_mode out/cp-1.img /etc/systemd/system/k3s.service.env)" = 0600 ]
	[ "$(root_owner out/cp-1.img /etc/systemd/system/k3s.service.env)" = 0:0 ]
	root_cat out/w-2.img /etc/hosts | grep -qx $'192.168.1.10\tapi.lab.example.com'
	root_has out/cp-1.img /etc/systemd/system/multi-user.target.wants/pibuild-eeprom.service
}

@test "packages lie on the card as dpkg takes them, with the step that installs them and what they do not bring" {
	root_cat out/cp-1.img /etc/pibuild/packages | diff - <(printf '%s 1:2.0-3\n' nfs-common open-iscsi)
	for name in nfs-common open-iscsi; do
		root_cat out/cp-1.img /usr/share/pibuild/packages/$name.deb >$name.deb
		cmp $name.deb deb/$name.deb
	done
	refute root_has out/w-2.img /usr/share/pibuild/packages/multipath-tools.deb
	root_has out/w-2.img /etc/systemd/system/multi-user.target.wants/pibuild-packages.service
	root_cat out/cp-1.img /etc/iscsi/initiatorname.iscsi >name
	grep -qE '^InitiatorName=iqn\.1993-08\.org\.debian:01:[0-9a-f]{12}$' name
	refute cmp -s name <(root_cat out/w-2.img /etc/iscsi/initiatorname.iscsi)
	jq -e '[.packages[].externalRefs[]?.referenceLocator] | index("pkg:deb/debian/open-iscsi@1%3A2.0-3?arch=arm64")' out/cp-1.spdx.json
}

@test "the address that servers share is kube-vip's on each of them, and no worker's" {
	root_cat out/cp-1.img /var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml | grep -q 'value: "\?192\.168\.1\.10"\?$'
	refute root_has out/w-2.img /var/lib/rancher/k3s/agent/pod-manifests/kube-vip.yaml
	for name in 192.168.1.10 api.lab.example.com; do
		root_cat out/cp-1.img /etc/rancher/k3s/config.yaml | sed -n '/^tls-san:/,/^[^ -]/p' | grep -qE "^ *- \"?${name//./\\.}\"?\$"
	done
}

@test "an overlay that the base does not have is a fault of the build with the nearest name; one of the user's own is there" {
	mkdir -p own && cd own
	write_cluster 'boot: {config: ["dtoverlay=dwc3,dr_mode=host"]}'
	cp -r ../cache . 2>/dev/null || true
	fails 3 'boot.config: the base has no overlay dwc3 (there is no overlays/dwc3.dtbo on its boot partition), so the firmware would pass over dtoverlay=dwc3,dr_mode=host; did you mean dwc2?' build --node w-1 -o out
	[ ! -e out/w-1.img ]
	mkdir -p overlays/common/boot/firmware/overlays && echo mine >overlays/common/boot/firmware/overlays/dwc3.dtbo
	build --node w-1 -o out >stdout 2>stderr || { cat stderr; return 1; }
	[ "$(boot_cat out/w-1.img overlays/dwc3.dtbo)" = mine ]
	write_cluster 'boot: {config: ["dtoverlay=DWC2"]}'
	build --node w-1 -o two >stdout 2>stderr || { cat stderr; return 1; } # a FAT does not tell capitals
}

@test "a proxy's password is in files of root alone: verify finds it nowhere else, and nothing beside the images tells it" {
	mkdir -p proxy && cd proxy
	export PROXY='http://me:hun%22ter2canary@proxy.lan:3129'
	write_cluster '  proxy: {http: {env: PROXY}}' 'certManager: {email: me@my-domain.org}'
	CACHE=$BATS_FILE_TMPDIR/cache build -o out >stdout 2>stderr || { cat stderr; return 1; }
	for image in out/*.img; do
		"$PIBUILD" verify "$image" >said 2>&1 || { cat said; return 1; }
	done
	refute grep -rq ter2canary out/*.json stdout stderr said
	root_cat out/cp-1.img /etc/systemd/system/k3s.service.env | grep -qF ter2canary
	[ "$(root_mode out/cp-1.img /etc/pibuild/cert-manager-values.yaml)" = 0600 ]
}

@test "plan and what was built agree path by path, also on secrets; a change is named with what it would take, and no other" {
	plan() {
		sandbox -- "$PIBUILD" plan --lock lock.yaml --node cp-1 --node w-2 --json --cache cache 2>stderr | jq -r ".standing[] | .name as \$n | .image | \"\(\$n) \(.state)\", (.paths[] | \"\(.change) \(.path)\")"
	}
	plan >seen
	diff seen - <<-'EOT'
		cp-1 same
		w-2 same
	EOT
	cp cluster.yaml kept.yaml
	sed -i 's/^access:/access:\n  keyboard: de/' cluster.yaml
	mkdir -p overlays/worker/etc && echo mine >overlays/worker/etc/mine
	plan >seen
	cp kept.yaml cluster.yaml
	rm -r overlays
	diff seen - <<-'EOT'
		cp-1 differs
		changed /etc/default/keyboard
		w-2 differs
		changed /etc/default/keyboard
		added /etc/mine
	EOT
}
