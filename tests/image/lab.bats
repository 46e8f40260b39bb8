#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# configs/lab.yaml on the tiny base: what its keys come to on the two partitions, and overlays of the firmware that the
# base does not have. Built once for the whole file.

load ../lib/image
load ../lib/refute

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir -p home/.ssh && echo "$example_key" >home/.ssh/id_ed25519.pub
	export HOME=$PWD/home DOCKERHUB_TOKEN=dckr_pat_canary
	cp "$top/configs/lab.yaml" cluster.yaml
	build --node cp-1 --node w-2 -o out >stdout 2>stderr || { cat stderr; return 1; }
	xz -dc "$("$top/scripts/make-base" --kept tiny)" >base.img
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
	root_cat out/w-2.img /etc/hosts | grep -qx $'192.168.1.11\tapi.lab.example.com'
	root_has out/cp-1.img /etc/systemd/system/multi-user.target.wants/pibuild-eeprom.service
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
		sandbox -- "$PIBUILD" plan --node cp-1 --node w-2 --json --cache cache 2>stderr | jq -r ".standing[] | .name as \$n | .image | \"\(\$n) \(.state)\", (.paths[] | \"\(.change) \(.path)\")"
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
