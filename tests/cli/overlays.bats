#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a user's overlays must not do is found by check, and by build with the same words.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	write_cluster
	umask 022
}

# put PATH [CONTENT]: a file below overlays/
put() {
	local path=overlays/$1
	mkdir -p "${path%/*}"
	printf '%s' "${2-x}" >"$path"
}

# refused PATH TEXT: check says so of the file, and the exit code is that of a wrong cluster.yaml
refused() {
	[[ "$(grep -F -- "error: ./overlays/$1" <<<"$output")" == *"$2"* ]] || { echo "not said of $1: $2"; echo "$output"; return 1; }
}

check() {
	run "$PIBUILD" check
}

@test "folders that no node takes are faults with the nearest name; so are files beside them" {
	local name
	for name in CP-1 control_plane controlplane workers agent master Common w1 nosuchnode; do put "$name/etc/a"; done
	put notes.txt
	put README.md
	put .gitignore
	check
	[ "$status" -eq 3 ]
	refused CP-1 'did you mean cp-1?'
	refused control_plane 'did you mean control-plane?'
	refused controlplane 'did you mean control-plane?'
	refused workers 'did you mean worker?'
	refused agent 'did you mean worker?'
	refused master 'did you mean control-plane?'
	refused Common 'did you mean common?'
	refused w1 'did you mean w-1?'
	refused nosuchnode "is taken by no node: its folders are common, control-plane, worker and the nodes' names"
	refused notes.txt 'is no folder, so no card gets it'
	[ "$(grep -c '^error:' <<<"$output")" -eq 10 ]
}

@test "a folder meant for overlays by another name is told" {
	mkdir overlay
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"note: ./overlay is not read; did you mean overlays?"* ]]
	rmdir overlay
	touch overlays
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"error: ./overlays is no folder"* ]]
}

@test "what decides boot and login, and what pibuild writes, is refused by name with what to do instead" {
	local row path
	cat >rows <<-'EOT'
		etc/hosts|set network.hosts
		etc/hostname|nodes[].name
		etc/localtime|access.timezone
		etc/timezone|access.timezone
		etc/locale.gen|access.locale
		etc/default/keyboard|cluster.yaml decides the keyboard
		etc/passwd|access.user
		etc/shadow|access.user
		etc/group|access.user
		etc/subuid|access.user
		home/pi/.ssh/authorized_keys|access.sshKeys
		root/.ssh/authorized_keys|access.sshKeys
		etc/ssh/sshd_config|/etc/ssh/sshd_config.d/
		etc/ssh/sshd_config.d/00-pibuild.conf|another name
		etc/ssh/ssh_host_ed25519_key|is a host key
		etc/sudoers|/etc/sudoers.d/
		etc/sudoers.d/010-pibuild|another name
		etc/pam.d/sshd|who may log in
		etc/nsswitch.conf|who may log in
		etc/fstab|NAME.mount
		etc/machine-id|the same machine
		var/lib/systemd/random-seed|random data of one machine
		etc/systemd/system/default.target|the card boots by it
		etc/systemd/system/k3s.service|/etc/systemd/system/k3s.service.d/
		etc/systemd/system/pibuild-report.service|pibuild-NAME.service.d/
		etc/systemd/system/userconfig.service|pibuild writes it
		etc/systemd/system/multi-user.target.wants/k3s-agent.service|nodes[].role
		etc/systemd/system-preset/00-pibuild.preset|another name
		sbin/init|the card boots by it
		lib/pibuild/step|choose another place
		boot/firmware/cmdline.txt|boot.cmdline
		boot/firmware/Config.TXT|boot.config
		etc/default/raspi-firmware-custom|boot.config
		etc/default/raspi-firmware|boot.config
		boot/vmlinuz-6.12.47+rpt-rpi-v8|os.base
		boot/initrd.img-6.12.47+rpt-rpi-v8|os.base
		boot/firmware/kernel8.img|os.base
		boot/firmware/bcm2712-rpi-5-b.dtb|os.base
		boot/firmware/userconf.txt|nothing on the card reads it
		boot/firmware/user-data|cloud-init is off
		boot/firmware/pibuild-status.json|pibuild's own
		boot/config.txt|/boot/firmware/
		boot/ssh|nothing on the card reads it
		etc/resolv.conf|network.nameservers
		etc/network/interfaces|network in cluster.yaml
		etc/netplan/50.yaml|network in cluster.yaml
		etc/wpa_supplicant/wpa_supplicant.conf|network.wifi
		etc/systemd/network/10-eth0.network|systemd-networkd is off
		etc/NetworkManager/NetworkManager.conf|/etc/NetworkManager/conf.d/
		etc/NetworkManager/system-connections/pibuild-eth0.nmconnection|network in cluster.yaml
		etc/rancher/k3s/config.yaml|/etc/rancher/k3s/config.yaml.d/
		etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml|another name
		etc/rancher/k3s/k3s.yaml|pibuild kubeconfig
		etc/systemd/system/k3s.service.env|network.proxy
		etc/systemd/system/k3s-agent.service.env|network.proxy
		etc/systemd/timesyncd.conf|network.ntp
		etc/systemd/timesyncd.conf.d/50-pibuild.conf|network.ntp
		etc/sysctl.d/60-pibuild.conf|os.sysctl
		etc/rancher/node/password|pibuild secrets show
		var/lib/rancher/k3s/server/token|pibuild secrets show
		var/lib/rancher/k3s/server/tls/server-ca.key|pibuild secrets show
		var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl|config-v3.toml.d/
		etc/pibuild/node|choose another place
		etc/pibuild/manifests/mine.yaml|choose another place
		etc/pibuild/manifest.json|choose another place
		var/lib/pibuild/k3s.done|choose another place
		usr/local/bin/k3s|versions
	EOT
	while IFS='|' read -r path _; do put "common/$path"; done <rows
	check
	[ "$status" -eq 3 ]
	while IFS='|' read -r path row; do refused "common/$path " "$row"; done <rows
	[ "$(grep -c '^error:' <<<"$output")" -eq "$(wc -l <rows)" ]
	grep '^error:' <<<"$output" >checked
	run "$PIBUILD" build
	[ "$status" -eq 3 ]
	grep '^error:' <<<"$output" | cmp - checked
}

@test "each is refused where a role or a node brings it, and as a link too" {
	put worker/etc/hostname
	put w-1/etc/hosts
	mkdir -p overlays/cp-1/etc overlays/common/etc
	ln -s /usr/share/zoneinfo/UTC overlays/cp-1/etc/localtime
	ln -s /srv/rancher overlays/common/etc/rancher
	check
	[ "$status" -eq 3 ]
	refused worker/etc/hostname 'nodes[].name'
	refused w-1/etc/hosts network.hosts
	refused cp-1/etc/localtime access.timezone
	refused common/etc/rancher 'would take the place of the folder /etc/rancher'
}

@test "a file in the way of a folder, and one below what is a file on the card" {
	put common/etc/systemd
	put common/etc/hostname.d/x
	put common/etc/hostname/x
	check
	[ "$status" -eq 3 ]
	refused common/etc/systemd 'would take the place of the folder /etc/systemd'
	grep -qF 'error: the folder ./overlays/common/etc/hostname would take the place of the file /etc/hostname: cluster.yaml names the node; set nodes[].name' <<<"$output"
	[ "$(grep -c '^error:' <<<"$output")" -eq 2 ]
}

@test "a folder in the place of a file is a fault, empty and private too; so are a file and a folder of two overlays" {
	mkdir -p overlays/worker/etc/fstab overlays/control-plane/usr/lib/pibuild
	mkdir -p -m 700 overlays/common/etc/rancher/k3s/config.yaml
	put common/lib/one
	put w-1/usr/lib/one/x
	put worker/etc/two/x
	put w-1/etc/two
	put cp-1/etc/two
	check
	[ "$status" -eq 3 ]
	grep -qF 'error: the folder ./overlays/worker/etc/fstab would take the place of the file /etc/fstab: the card boots by it' <<<"$output"
	grep -qF 'error: the folder ./overlays/common/etc/rancher/k3s/config.yaml would take the place of the file /etc/rancher/k3s/config.yaml: K3s starts with it, and pibuild writes it; put a file into /etc/rancher/k3s/config.yaml.d/' <<<"$output"
	refused common/lib/one 'is a file and ./overlays/w-1/usr/lib/one a folder'
	refused w-1/etc/two 'is a file and ./overlays/worker/etc/two a folder, and a card that takes both can have only one of them: rename or remove one'
	[ "$(grep -c '^error:' <<<"$output")" -eq 4 ]
}

@test "settings that go over pibuild's own, or past them, are refused where they stand" {
	local path text words
	while IFS='|' read -r path text words; do
		rm -rf overlays
		put "$path"
		printf '%b' "$text" >"overlays/$path"
		check
		[ "$status" -eq 3 ] || { echo "$path: $output"; return 1; }
		refused "$path" "$words"
		[ "$(grep -c '^error:' <<<"$output")" -eq 1 ] || { echo "$output"; return 1; }
	done <<-'EOT'
		common/etc/cron.d/job|* * * * * root true|does not end with a newline, and cron passes over all of it; put one behind its last line
		common/etc/udev/rules.d/70-lan.rules|SUBSYSTEM=="net", ACTION=="add", NAME="lan0"\n|renames eth0, by which cp-1 has its address, to lan0; remove the rule, or let it match another interface
		w-1/etc/udev/rules.d/70-lan.rules|SUBSYSTEM=="net", KERNEL=="eth*", NAME:="lan0"\n|renames eth0, by which w-1 has its address, to lan0
		control-plane/etc/rancher/k3s/config.yaml.d/x.yaml|flannel-backend: vxlan\n|sets flannel-backend: Cilium is the cluster's network; leave it out
		control-plane/etc/rancher/k3s/config.yaml.d/x.yaml|disable: [metrics-server]\n|sets disable: it would take the place of the list that pibuild writes; write disable+
		cp-1/etc/rancher/k3s/config.yaml.d/x.yaml|tls-san: a.lan\n|write tls-san+
		w-1/etc/rancher/k3s/config.yaml.d/x.yaml|node-name: other\n|sets node-name: every node would have the same
		common/etc/rancher/k3s/config.yaml.d/x.yaml|etcd-expose-metrics: true\n|sets etcd-expose-metrics: `k3s agent` has no such key; remove it
		control-plane/etc/rancher/k3s/config.yaml.d/x.yaml|kube-apiserver-arg+: [feature-gates=EphemeralContainers=true]\n|sets kube-apiserver-arg+: feature-gates sets EphemeralContainers=true: Kubernetes has no feature gate EphemeralContainers any more
		common/etc/rancher/k3s/config.yaml.d/x.yaml|kubelet-arg+: [max-pods=400]\n|sets kubelet-arg+: max-pods cannot be 400
		common/etc/rancher/k3s/config.yaml.d/x.yml|debug: true\n|is read by nobody: K3s takes files there whose names end in .yaml
		common/etc/rancher/k3s/config.yaml.d/x.yaml|- debug\n|is no map of keys
		control-plane/var/lib/rancher/k3s/server/manifests/my_app.yaml|a: b\n|is applied by nobody
		control-plane/var/lib/rancher/k3s/server/manifests/traefik.yaml|a: b\n|has the name of a file that K3s writes or removes there itself
		common/etc/NetworkManager/conf.d/x.conf|[main]\ndns=none\n|sets dns, which decides who writes /etc/resolv.conf
		common/etc/NetworkManager/conf.d/x.conf|[keyfile]\nunmanaged-devices = none\n|sets unmanaged-devices
		common/etc/NetworkManager/system-connections/any.nmconnection|[connection]\nid=any\ntype=ethernet\n|fits eth0 too, which carries the address of cp-1
		w-1/etc/NetworkManager/system-connections/any.nmconnection|[connection]\ntype=ethernet\n[match]\ninterface-name=eth*;\n|fits eth0 too, which carries the address of w-1
		common/etc/systemd/network/10-lan.link|[Match]\nOriginalName=eth*\n[Link]\nName=lan0\n|renames eth0, by which cp-1 has its address, to lan0
		common/etc/modprobe.d/x.conf|install vxlan /bin/false\n|keeps the module vxlan away
		common/etc/systemd/system-preset/00-mine.preset|disable k3s*\n|switches k3s.service off at the first boot
		common/etc/sysctl.conf|vm.swappiness=1\n|put it into /etc/sysctl.d/
		common/etc/cni/net.d/10-x.conflist|{}\n|Cilium writes there
		common/etc/sysctl.d/99-k8s|fs.inotify.max_user_instances=8192\n|is read by nobody: systemd-sysctl takes files there whose names end in .conf; rename it
		common/etc/udev/rules.d/70-x.conf|# x\n|is read by nobody: udev takes files there whose names end in .rules
		common/etc/systemd/system/ssh.service.d/override|[Service]\n|is read by nobody: systemd takes files there whose names end in .conf
		common/etc/cron.daily/backup.sh|#!/bin/sh\n|is read by nobody: run-parts passes over files there with anything but letters, digits
		common/etc/cron.d/reboot|0 4 * * * /sbin/reboot\n|has a line without a user, which cron passes over: '0 4 * * * /sbin/reboot'
		common/etc/cron.d/reboot|MAILTO = x\n@reboot /usr/local/sbin/x\n|has a line without a user, which cron passes over: '@reboot /usr/local/sbin/x'
		common/var/spool/cron/crontabs/root|0 4 * * * /sbin/reboot\n|is passed over by cron, which takes it from the user of that name alone, with the mode 600: put it into /etc/cron.d/
		control-plane/etc/default/k3s|K3S_URL=https://10.0.0.1:6443\n|sets K3S_URL, which K3s takes for the flag of that name beside those that pibuild gives it
		common/etc/default/k3s-agent|# x\nINSTALL_K3S_EXEC=agent\n|sets INSTALL_K3S_EXEC, which K3s's install script reads, and none runs here
		common/etc/default/k3s|https_proxy=http://proxy.lan:3128\n|sets https_proxy without NO_PROXY, so that nodes would ask each other through the proxy; set network.proxy in cluster.yaml
		common/etc/modprobe.d/x.conf|options ipv6 disable=1\n|switches IPv6 off where nothing here knows of it
		control-plane/var/lib/rancher/k3s/server/manifests/x.yaml|services: {a: {image: b}}\n|is for Docker Compose, which Kubernetes does not know
		common/etc/systemd/system/NetworkManager.service|[Unit]\n|the node is reached by it
		common/etc/systemd/system/k3s.service.d/x.conf|[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server --docker\n|sets ExecStart, so that K3s starts without what pibuild starts it with
		w-1/etc/systemd/system/k3s-agent.service.d/x.conf|[Service]\nExecStart=\n|its flags are keys of k3s.server and k3s.agent
		w-1/etc/systemd/system/k3s-agent.service.d/x.conf|[Service]\nEnvironment="A=b" "K3S_TOKEN=c"\n|sets K3S_TOKEN, which K3s takes for the flag of that name
		common/etc/systemd/system/k3s.service.d/x.conf|[Service]\nEnvironment=HTTP_PROXY=http://p:1\n|sets HTTP_PROXY without NO_PROXY
		common/etc/ssh/sshd_config.d/20-x.conf|allowusers ann bob@192.168.1.*\n|lets only others than pi log in, whom access.user names; add pi to AllowUsers
		common/etc/ssh/sshd_config.d/20-x.conf|DenyUsers=p?\n|denies pi the login
		common/etc/ssh/sshd_config.d/20-x.conf|PubkeyAuthentication no\n|switches off PubkeyAuthentication
		common/etc/ssh/sshd_config.d/20-x|X11Forwarding no\n|is read by nobody: sshd takes files there whose names end in .conf
		common/etc/cron.d/über|0 3 * * * root /bin/true\n|is read by nobody: cron passes over files there with anything but letters, digits
		common/etc/sudoers.d/20-x.conf|ann ALL=(ALL) ALL\n|is read by nobody: sudo passes over files there with a dot in their names
		common/etc/systemd/system/mnt-data.mount|[Mount]\nWhat=LABEL=d\nWhere=/mnt/my-data\n|says Where=/mnt/my-data, and systemd takes a unit for that place under the name mnt-my\x2ddata.mount alone; rename it
		common/etc/systemd/system/x.timer|[Timer]\nOnCalendar=0 3 * * *\n|says OnCalendar=0 3 * * *, which systemd does not understand, so that the timer never runs; every night at three is *-*-* 03:00:00
		common/etc/systemd/system/x.timer|[Timer]\nOnCalendar=daily at 3\n|says OnCalendar=daily at 3, which systemd does not understand
		common/var/lib/rancher/k3s/agent/images/x.tar.xz|x\n|is read by nobody: K3s passes over files there that end in nothing of .tar, .tar.gz
		control-plane/var/lib/rancher/k3s/server/manifests/x.yaml.txt|a: b\n|is read by nobody: K3s passes over files there that end in nothing of .yaml, .yml and .json
		worker/var/lib/rancher/k3s/server/manifests/x.yaml|a: b\n|is read by nobody: that folder is K3s's on servers, and a worker has none; move it into overlays/control-plane
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|maxPods: 200\n|does not say both apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPod: 200\n|has in line 3 what the kubelet does not go with: maxPod: KubeletConfiguration has no such field; did you mean 'maxPods'?
		worker/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: cgroupfs\n|cgroupDriver: cannot be set here: K3s makes it known to the kubelet itself; leave it out
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 400\n|maxPods: a node has addresses for some 250 pods
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionSoft: {memory.available: 300Mi}\n|evictionSoft: memory.available has no time in evictionSoftGracePeriod
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.conf|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\tmaxPods: 4\n|is no YAML that the kubelet can read
		common/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-x.yaml|apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 40\n|is read by nobody: the kubelet takes files there whose names end in .conf; rename it
		common/etc/rancher/k3s/registries.yaml|mirrors:\n\tdocker.io:\n|is no YAML that K3s can read
		common/etc/rancher/k3s/registries.yaml|mirror:\n  docker.io: {}\n|has in line 1 what K3s does not start with, or passes over: unknown key 'mirror'; did you mean 'mirrors'?
		common/etc/rancher/k3s/registries.yaml|mirrors:\n  docker.io:\n    endpoint: https://m.lan\n|mirrors.docker.io.endpoint: must be a list
		common/etc/rancher/k3s/config.yml|debug: true\n|nothing on the card reads it; put a file that ends in .yaml into /etc/rancher/k3s/config.yaml.d/
		common/etc/rancher/k3s/config.d/x.yaml|debug: true\n|nothing on the card reads it; put a file that ends in .yaml
		common/etc/rancher/k3s/registries.yml|mirrors: {}\n|call it /etc/rancher/k3s/registries.yaml
		common/etc/containerd/config.toml|x = 1\n|put a file that ends in .toml into /var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/
		common/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/x|x = 1\n|is read by nobody: containerd takes files there whose names end in .toml
		worker/etc/systemd/system/k3s.service.d/x.conf|[Service]\nNice=1\n|is read by nobody: a worker has k3s-agent.service, and no k3s.service
		cp-1/etc/default/k3s-agent|A=b\n|is read by nobody: a server has k3s.service, and no k3s-agent.service
		control-plane/var/lib/rancher/k3s/server/manifests/net.yaml|apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: net, namespace: kube-system}\nspec: {chart: cilium, repo: https://helm.cilium.io}\n|has a HelmChart of cilium, which pibuild installs itself; cilium.valuesFile has values for it
		common/var/lib/rancher/k3s/agent/images/x.tar|version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n|: the file only says where Git LFS has its content; run git lfs pull
		common/etc/NetworkManager/system-connections/x.nmconnection|$ANSIBLE_VAULT;1.1;AES256\n61\n|: the file is encrypted by Ansible's vault; decrypt it first
		common/opt/x.key|\x00GITCRYPT\x00abc|: the file is encrypted by git-crypt; unlock the repository first
		common/etc/sysctl.d/99-x.conf|<<<<<<< HEAD\nvm.swappiness=1\n=======\n>>>>>>> x\n|: git left two versions of the file here
		common/etc/ssh/sshd_config.d/20-x.conf|PermitRootLogn no\n|says PermitRootLogn, which is no keyword of sshd_config: sshd does not start, and nobody can log in; did you mean PermitRootLogin?
		common/etc/ssh/sshd_config.d/20-x.conf|X11Forwarding false\n|says X11Forwarding false, which takes yes or no: sshd does not start
		common/etc/ssh/sshd_config.d/20-x.conf|Match User ann\n  Banner\n|says Banner and no value: sshd does not start
		common/etc/ssh/sshd_config.d/20-x.conf|AuthenticationMethods publickey,password\n|sets AuthenticationMethods to more than a key
		common/etc/ssh/sshd_config.d/20-x.conf|AuthorizedKeysFile /etc/ssh/keys/%u\n|sets AuthorizedKeysFile to other places than .ssh/authorized_keys
		common/etc/ssh/sshd_config.d/20-x.conf|DenyGroups su*\n|denies a group of pi the login
		common/etc/ssh/sshd_config.d/20-x.conf|ListenAddress 192.168.1.11\n|lets sshd listen at 192.168.1.11 alone, which is not the address of w-1
		common/etc/sudoers.d/50-team|%sudo ALL=(ALL:ALL) ALL\n|makes sudo ask pi for a password, which has none
		common/etc/systemd/system/var-lib-rancher.mount|[Mount]\nWhat=LABEL=d\nWhere=/var/lib/rancher\n|mounts a disk over /var/lib/rancher, and what the card brings there would not be seen
		common/etc/systemd/system/home.mount|[Mount]\nWhat=LABEL=d\nWhere=/home\n|mount it somewhere else
		common/etc/systemd/system/backup|[Service]\n|is read by nobody: systemd passes over files there that end in no kind of unit
		common/etc/fstab.d/x|/dev/sda1 /mnt ext4\n|mount other disks by a unit
		common/etc/security/limits.d/nofile|* soft nofile 9\n|is read by nobody: pam_limits takes files there whose names end in .conf
		common/etc/apt/sources.list.d/x|deb http://x y z\n|is read by nobody: apt passes over files there that end in neither .list nor .sources
		common/boot/firmware/autoboot.txt|[all]\n|it says which partition the card boots from
		common/etc/modules|wireguard\r\n|has the line ends of Windows
	EOT
	rm -rf overlays
	put control-plane/etc/rancher/k3s/config.yaml.d/x.yaml $'disable+: [metrics-server]\ntls-san+: [a.lan]\nnode-external-ip: 203.0.113.7\nnode-label+: [a=b]\netcd-expose-metrics: true\n'
	put common/etc/NetworkManager/conf.d/x.conf $'[connection]\nwifi.powersave=2\n[main]\nno-auto-default=*\n'
	put common/etc/NetworkManager/system-connections/usb.nmconnection $'[connection]\ntype=ethernet\ninterface-name=eth1\n'
	put common/etc/NetworkManager/system-connections/mac.nmconnection $'[connection]\ntype=ethernet\n[ethernet]\nmac-address=AA:BB:CC:DD:EE:FF\n'
	put common/etc/systemd/network/10-usb.link $'[Match]\nOriginalName=eth1\n[Link]\nName=usb0\n'
	put common/etc/modprobe.d/x.conf $'blacklist pcspkr\noptions brcmfmac x=1\noptions ipv6 autoconf=0\n'
	put common/etc/default/k3s $'HTTPS_PROXY=http://proxy.lan:3128\nNO_PROXY=10.0.0.0/8\nGODEBUG=x\n'
	put common/etc/cron.d/mine $'PATH=/usr/bin\n0 4 * * * root /sbin/reboot\n@daily pi /home/pi/x\n'
	put common/etc/cron.daily/mine $'#!/bin/sh\n' && chmod +x overlays/common/etc/cron.daily/mine
	put common/etc/sysctl.d/README 'x' && put common/etc/sysctl.d/x.conf.off 'x'
	put common/etc/systemd/system-preset/90-mine.preset $'disable *\n'
	put common/etc/ssh/sshd_config.d/20-x.conf $'AllowUsers ann\nAllowUsers pi@192.168.*\nDenyUsers root\nMatch User ann\n  PubkeyAuthentication no\n'
	put common/etc/sudoers.d/a~b 'ann ALL=(ALL) ALL'
	put common/etc/systemd/system/k3s.service.d/x.conf $'[Service]\nExecStartPre=/bin/true\nEnvironment=A=b\n'
	put common/etc/default/k3s-agent 'A=b'
	put worker/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/90-w.conf $'apiVersion: kubelet.config.k8s.io/v1beta1\r\nkind: KubeletConfiguration\r\nsystemReserved: {memory: 300Mi}\r\nevictionSoft: {memory.available: 300Mi}\r\nevictionSoftGracePeriod: {memory.available: 1m30s}\r\n'
	put common/etc/rancher/k3s/registries.yaml $'mirrors:\n  "*":\n  docker.io:\n    endpoint: ["https://m.lan:5000"]\n    rewrite: {"^(.*)$": "hub/$1"}\nconfigs:\n  "m.lan:5000":\n    auth: {username: a, password: 1234}\n    tls: {ca_file: /etc/x.pem, insecure_skip_verify: true}\n'
	put control-plane/var/lib/rancher/k3s/server/manifests/off.yaml $'# kind: Namespace\n---\n'
	put control-plane/var/lib/rancher/k3s/server/manifests/anchors.yaml $'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: &l {a: b}, annotations: *l}\n'
	put common/etc/ssh/sshd_config.d/30-cis.conf $'Protocol 2\nusepam yes\nAllowGroups sudo ops\nAuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2\nAuthenticationMethods publickey\nListenAddress 0.0.0.0\nChallengeResponseAuthentication no\nAcceptEnv LANG LC_*\nDebianBanner no\nPerSourcePenalties no\n'
	put cp-1/etc/ssh/sshd_config.d/40-here.conf $'ListenAddress 192.168.1.11\n'
	put common/etc/sudoers.d/50-team $'ann ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n'
	put common/etc/sudoers.d/005-first $'pi ALL=(ALL:ALL) ALL\n'
	put common/etc/systemd/journald.conf.d/90-x.conf $'[Journal]\nStorage=volatile\n'
	put common/etc/systemd/system/var-log.mount $'[Mount]\nWhat=tmpfs\nWhere=/var/log\n'
	put common/etc/systemd/system/getty@tty1.service.d/login.conf $'[Service]\nExecStart=\n'
	put common/opt/notes.age $'age-encryption.org/v1\n-> X25519 x\n'
	ln -s /dev/null overlays/common/etc/systemd/system/bluetooth.service
	check
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "two manifests of one name to K3s are refused, in one overlay or two" {
	local a=$'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n'

	put control-plane/var/lib/rancher/k3s/server/manifests/web.yaml "$a"
	put control-plane/var/lib/rancher/k3s/server/manifests/web.values.yaml "$a"
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"manifests/web.values.yaml and "*"manifests/web.yaml are one to K3s, which calls a manifest by its name up to the first dot, web: each would remove what the other made; rename one"* ]]
	rm overlays/control-plane/var/lib/rancher/k3s/server/manifests/web.values.yaml
	put cp-1/var/lib/rancher/k3s/server/manifests/mine/web.yml "$a"
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"manifests/web.yaml are one to K3s"* || "$output" == *"manifests/mine/web.yml and "*"are one to K3s"* ]]
	rm -r overlays/cp-1
	put worker/etc/x 'x'
	check
	[ "$status" -eq 0 ]
}

@test "a second default route, another port of sshd and what sshd hears too late are notes; times of systemd are taken" {
	put common/etc/NetworkManager/system-connections/usb.nmconnection $'[connection]\ntype=ethernet\ninterface-name=eth1\n[ipv4]\nmethod=auto\n'
	put common/etc/ssh/sshd_config.d/20-x.conf $'PasswordAuthentication yes\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"usb.nmconnection gives the node a second default route, over eth1, and which of the two is taken is a matter of luck; write never-default=true below [ipv4]"* ]]
	[[ "$output" == *"20-x.conf sets PasswordAuthentication, which 00-pibuild.conf said before it"* ]]
	put common/etc/NetworkManager/system-connections/usb.nmconnection $'[connection]\ntype=ethernet\ninterface-name=eth1\n[ipv4]\nmethod=auto\nnever-default=true\n[ipv6]\nmethod=auto\n'
	put common/etc/ssh/sshd_config.d/20-x.conf $'Port 2222\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"20-x.conf moves sshd to port 2222, and pibuild's status, apply and ssh ask at 22: add the line Port 22"* && "$output" != *"default route"* ]]
	put common/etc/ssh/sshd_config.d/20-x.conf $'Port 22\nPort 2222\nPasswordAuthentication no\n'
	put common/etc/systemd/system/mnt-my\\x2ddata.mount $'[Mount]\nWhat=LABEL=d\nWhere=/mnt/my-data/\n'
	put common/etc/systemd/system/x.timer $'[Timer]\nOnCalendar=daily\nOnCalendar=Mon..Fri,Sun *-*-1/7 03:00 Europe/Berlin\nOnCalendar=*:0/15\nOnCalendar=\nOnCalendar=2026-12-24 18:00:00 UTC\nOnCalendar=03:00 Japan\nOnCalendar=%i\n[Install]\nWantedBy=timers.target\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" != *"20-x.conf"* && "$output" == *"ln -s ../x.timer into timers.target.wants beside it"* ]]
	mkdir overlays/common/etc/systemd/system/timers.target.wants
	(cd overlays/common/etc/systemd/system/timers.target.wants && ln -s ../x.timer .)
	check
	[ "$status" -eq 0 ]
	[[ "$output" != *x.timer* ]]
}

@test "a VLAN without an address on the node's port is a note, unless Cilium is told of it" {
	put common/etc/NetworkManager/system-connections/iot.nmconnection $'[connection]\nid=iot\ntype=vlan\ninterface-name=eth0.30\n[vlan]\nparent=eth0\nid=30\n[ipv4]\nmethod=disabled\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"iot.nmconnection makes a VLAN without an address on eth0, where Cilium drops its frames: give it one, or write bpf: {vlanBypass: [30]} into cilium.valuesFile"* ]]
	echo 'bpf: {vlanBypass: [30]}' >values.yaml
	echo 'cilium: {valuesFile: values.yaml}' >>cluster.yaml
	check
	[ "$status" -eq 0 ]
	[[ "$output" != *iot.nmconnection* ]]
}

@test "without the list of K3s's keys no drop-in of K3s is called good" {
	put common/etc/rancher/k3s/config.yaml.d/x.yaml 'debug: true'
	check
	[ "$status" -eq 0 ]
	mkdir data
	cp -r "$top"/{boards,configs,overlays} data/
	rm data/configs/names/k3s-keys.txt
	PIBUILD_DATA=$PWD/data check
	[ "$status" -ne 0 ]
	grep -q 'sets debug: cannot .*k3s-keys.txt' <<<"$output"
}

@test "what pibuild does not own is the user's: drop-ins, manifests, registries, other units and connections" {
	put common/etc/sysctl.d/99-k8s.conf 'fs.inotify.max_user_instances=8192'
	put common/etc/rancher/k3s/registries.yaml 'mirrors: {}'
	put common/etc/rancher/k3s/config.yaml.d/50-taint.yaml 'node-taint+: []'
	put common/etc/ssh/sshd_config.d/50-mine.conf 'X11Forwarding no'
	put common/etc/sudoers.d/20-mine 'x'
	put common/etc/sysusers.d/mine.conf 'u mine -'
	put common/etc/systemd/system/mnt-disk.mount '[Mount]'
	put common/etc/systemd/system-preset/50-mine.preset 'disable x.service'
	put common/etc/NetworkManager/system-connections/backup.nmconnection '[connection]'
	put common/etc/NetworkManager/conf.d/50-mine.conf '[main]'
	put common/etc/systemd/system/k3s.service.d/50-mine.conf '[Service]'
	put common/etc/systemd/system/pibuild-report.service.d/50-mine.conf '[Service]'
	put common/etc/systemd/network/10-nic.link '[Match]'
	put common/boot/firmware/overlays/mine.dtbo
	put common/boot/firmware/note.txt
	put common/usr/local/bin/mine $'#!/bin/sh\n'
	chmod 755 overlays/common/usr/local/bin/mine
	put common/home/pi/.bashrc 'alias k=kubectl'
	put control-plane/var/lib/rancher/k3s/server/manifests/apps.yaml '{apiVersion: v1, kind: Namespace, metadata: {name: apps}}'
	put common/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/50.toml 'x = 1'
	check
	[ "$status" -eq 0 ]
	run ! grep -E '^(error|note):.*overlays' <<<"$output"
}

@test "settings of the kernel that Cilium needs otherwise, and a second connection of a node's interface, are refused; others are not" {
	put common/etc/sysctl.d/99-mine.conf $'# net.ipv4.ip_forward=0\nvm.swappiness = 1\n-net/ipv4/conf/all/rp_filter = 1\n'
	put w-1/etc/NetworkManager/system-connections/lan.nmconnection $'[connection]\nid=lan\ninterface-name=eth0\n'
	check
	[ "$status" -eq 3 ]
	grep -qF 'error: ./overlays/common/etc/sysctl.d/99-mine.conf sets net/ipv4/conf/all/rp_filter: Cilium sets it: with another value the kernel drops packets of pods; remove that line' <<<"$output"
	grep -qF 'error: ./overlays/w-1/etc/NetworkManager/system-connections/lan.nmconnection is a second connection of eth0, which carries the address of w-1 by cluster.yaml: only one of them would be used; set network in cluster.yaml, or autoconnect=false in that file' <<<"$output"
	[ "$(grep -c '^error:' <<<"$output")" -eq 2 ]
	put common/etc/sysctl.d/99-mine.conf $'vm.swappiness = 1\nnet.ipv4.conf.lxc*.rp_filter = 0\nvm.overcommit_memory=1\n'
	put common/usr/lib/sysctl.d/99-few.conf $'kernel.pid_max = 16384\n'
	put w-1/etc/NetworkManager/system-connections/lan.nmconnection $'[connection]\nid=lan\ninterface-name=eth0.7\n'
	put w-1/etc/NetworkManager/system-connections/old.nmconnection $'[connection]\nid=old\ninterface-name=eth0\nautoconnect=false\n'
	check
	[ "$status" -eq 0 ]
	grep -qF 'note: ./overlays/common/usr/lib/sysctl.d/99-few.conf sets kernel.pid_max = 16384: it is less than a node has without it' <<<"$output"
	put common/usr/lib/sysctl.d/99-few.conf $'kernel.pid_max = 1024\n'
	check
	[ "$status" -eq 3 ]
	grep -qF 'error: ./overlays/common/usr/lib/sysctl.d/99-few.conf sets kernel.pid_max: it is too little: every thread' <<<"$output"
}

@test "a folder that is spelled wrong, and those that a running card mounts over" {
	put common/data/a
	put common/ETC/a
	put common/user/bin/a
	put common/proc/a
	put common/tmp/a
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"note: ./overlays/common/data makes a new folder /data on the card"* ]]
	refused common/ETC 'did you mean etc?'
	refused common/user 'did you mean usr?'
	refused common/proc 'which mounts its own /proc over it'
	refused common/tmp 'which mounts its own /tmp over it'
}

unit=$'[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n'

@test "a link that was stored as text is refused, and the command that it says makes a link of it" {
	local cure
	put common/etc/systemd/system/mine.service "$unit"
	put common/etc/systemd/system/multi-user.target.wants/mine.service ../mine.service
	check
	[ "$status" -eq 3 ]
	refused common/etc/systemd/system/multi-user.target.wants/mine.service 'is a file, and systemd follows only links there'
	cure=$(sed -n 's/^error: .* only links there: //p' <<<"$output")
	sh -c "$cure"
	check
	[ "$status" -eq 0 ]
	[[ "$output" != *mine.service* ]]
}

@test "a unit that no link enables is a note" {
	put common/etc/systemd/system/mine.service "$unit"
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"note: ./overlays/common/etc/systemd/system/mine.service is enabled by no link"* ]]
	put common/etc/systemd/system/mine.service "${unit%\[Install*}"
	check
	[[ "$output" != *mine.service* ]]
}

@test "links that lead nowhere on a card: out of the overlay, to this machine, to a unit that nobody brings" {
	mkdir -p overlays/common/etc/systemd/system/multi-user.target.wants
	ln -s ../../../shared.conf overlays/common/etc/out
	touch shared.conf
	ln -s "$PWD/shared.conf" overlays/common/etc/here
	ln -s "$PWD/later.conf" overlays/common/etc/later
	ln -s "$PWD-data/shared.conf" overlays/common/etc/beside
	ln -s ../gone.service overlays/common/etc/systemd/system/multi-user.target.wants/gone.service
	ln -s /usr/lib/systemd/system/ssh.service overlays/common/etc/systemd/system/multi-user.target.wants/base.service
	ln -s ../opt/x overlays/common/etc/fine
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"error: the link ./overlays/common/etc/out leads out of its overlay"* ]]
	[[ "$output" == *"error: the link ./overlays/common/etc/here leads to a place of this machine"* ]]
	[[ "$output" == *"wants/gone.service leads to /etc/systemd/system/gone.service, which neither your overlays nor pibuild bring"* ]]
	[ "$(grep -c '^error:' <<<"$output")" -eq 3 ]
}

@test "line ends and byte order marks of Windows, and the commands that take them away" {
	local bom=$'\xef\xbb\xbf' cure
	put 'common/usr/local/bin/run it' $'#!/bin/sh\r\necho\r\n'
	put common/etc/systemd/system/a.service $'[Service]\r\nExecStart=/bin/true\r\n'
	put "common/etc/sysctl.d/a's.conf" $'vm.swappiness=1\r\n'
	put common/etc/sudoers.d/a $'pi ALL=(ALL) NOPASSWD: ALL\r\n'
	put common/usr/local/bin/bom "$bom"$'#!/bin/sh\n'
	put common/etc/sysctl.d/b.conf "$(printf '\xff\xfe')v"
	put common/etc/mine.txt $'fine\r\n'
	chmod 755 overlays/common/usr/local/bin/*
	check
	[ "$status" -eq 3 ]
	refused 'common/usr/local/bin/run it' 'its #! names no program'
	refused common/etc/systemd/system/a.service 'line ends of Windows'
	refused "common/etc/sysctl.d/a's.conf" 'line ends of Windows'
	refused common/etc/sudoers.d/a 'line ends of Windows'
	refused common/usr/local/bin/bom 'byte order mark'
	refused common/etc/sysctl.d/b.conf 'UTF-16'
	[ "$(grep -c '^error:' <<<"$output")" -eq 6 ]
	while read -r cure; do sh -c "$cure"; done < <(grep -o "sed -i 's/.*" <<<"$output")
	check
	[ "$(grep -c '^error:' <<<"$output")" -eq 2 ]
}

@test "each keyword that sshd has is in the list" {
	ssh-keygen -q -t ed25519 -N '' -f key
	mkdir -p /run/sshd 2>/dev/null || true
	/usr/sbin/sshd -T -h key -f /dev/null | cut -d' ' -f1 | sort -u >has
	[ "$(wc -l <has)" -gt 50 ]
	grep -v '^#' "$top/configs/names/sshd-keywords.txt" | cut -d' ' -f1 | tr '[:upper:]' '[:lower:]' | sort -u >listed
	run comm -23 has listed
	[ -z "$output" ]
}

@test "settings that pibuild's own file takes back, and groups that it does not give, are notes" {
	put common/etc/systemd/journald.conf $'[Journal]\nStorage=volatile\n'
	put common/etc/sysctl.d/10-x.conf $'fs.inotify.max_user_watches = 1048576\n'
	put common/etc/sysctl.d/99-x.conf $'vm.max_map_count 262144\n'
	put common/etc/ssh/sshd_config.d/20-x.conf $'AllowGroups ops\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"journald.conf sets Storage to volatile, which does nothing: /etc/systemd/journald.conf.d/50-pibuild.conf is read after it and says persistent; put it into a file there whose name comes later, 99-mine.conf say"* ]]
	[[ "$output" == *"10-x.conf sets fs.inotify.max_user_watches to 1048576, which does nothing: /etc/sysctl.d/50-pibuild.conf is read after it and says 524288"* ]]
	[[ "$output" == *"99-x.conf has a line without '=', which systemd-sysctl passes over: 'vm.max_map_count 262144'"* ]]
	[[ "$output" == *"20-x.conf lets only members of other groups than those of pi log in, whom access.user names, unless a file of /etc/sysusers.d/ puts pi into one (m pi GROUP); add sudo to AllowGroups"* ]]
}

@test "programs: for another processor a fault, without an x bit a note wherever a unit starts them" {
	mkdir -p overlays/common/usr/local/bin
	printf '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0' >overlays/common/usr/local/bin/k9s
	check
	[ "$status" -eq 3 ]
	refused common/usr/local/bin/k9s 'is a program for the processor of a PC (x86), and the nodes are arm64'
	printf '\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0' >overlays/common/usr/local/bin/k9s
	put common/opt/run.sh $'#!/bin/sh\n'
	put common/opt/by-shell.sh $'#!/bin/sh\n'
	put common/etc/systemd/system/x.service $'[Service]\nExecStartPre=/bin/sh /opt/by-shell.sh\nExecStart=-/opt/run.sh --all\n'
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"bin/k9s is a program without an x bit, so it cannot be run: chmod +x"* ]]
	[[ "$output" == *"opt/run.sh is a script without an x bit, so it cannot be run: chmod +x"* && "$output" != *by-shell* ]]
}

@test "a folder that holds nothing is made on the card too" {
	mkdir -p overlays/common/srv/empty overlays/cp-1/srv/kept
	touch overlays/cp-1/srv/kept/.gitkeep
	"$PIBUILD" render --node cp-1 -o out 2>/dev/null
	[ -d out/srv/empty ]
	[ -d out/srv/kept ]
}

@test "a script without an x bit is a note, and the command makes it run" {
	put "common/usr/local/bin/run it's" $'#!/bin/sh\n'
	check
	[ "$status" -eq 0 ]
	sh -c "$(grep -o 'chmod +x .*' <<<"$output")"
	check
	[[ "$output" != *"x bit"* ]]
}

@test "what programs leave behind is not copied, and told" {
	local name
	for name in .DS_Store Thumbs.db 'a.conf~' .a.conf.swp ._a.conf .git/config .gitkeep; do put "common/etc/$name"; done
	put common/etc/a.conf
	check
	[ "$status" -eq 0 ]
	for name in .DS_Store Thumbs.db 'a.conf~' .a.conf.swp ._a.conf .git; do
		grep -qF "note: ./overlays/common/etc/$name is not copied" <<<"$output"
	done
	"$PIBUILD" plan --json | jq -r '.nodes[0].entries[] | select(.origin == "your overlays/common") | .path' >paths
	[ "$(cat paths)" = /etc/a.conf ]
}

@test "names that differ in capitals only are one file on the boot partition" {
	put common/boot/firmware/Note.txt
	put common/boot/firmware/note.TXT
	put common/etc/Note.txt
	put common/etc/note.TXT
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"are one file on the boot partition"* ]]
	[ "$(grep -c '^error:' <<<"$output")" -eq 1 ]
}

@test "what no card can hold is a fault of check too: pipes, setuid, names of control characters" {
	put common/etc/a
	mkfifo overlays/common/etc/pipe
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"error: ./overlays/common/etc/pipe is a device, socket or pipe"* ]]
	rm overlays/common/etc/pipe
	chmod 4755 overlays/common/etc/a
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"error: ./overlays/common/etc/a is setuid or setgid"* ]]
	sh -c "$(sed -n 's/.* such files; \(chmod [^ ]*\) it$/\1 overlays\/common\/etc\/a/p' <<<"$output")"
	check
	[ "$status" -eq 0 ]
	touch "overlays/common/etc/$(printf 'a\nb')"
	check
	[ "$status" -eq 3 ]
	[[ "$output" == *"a name in ./overlays/common/etc holds a control character, is no UTF-8 or is too long (shown with '?' for these: a?b); give the file another"* ]]
}

@test "names that no FAT holds are refused on the boot partition, and nowhere else" {
	put common/etc/a:b
	check
	[ "$status" -eq 0 ]
	put common/boot/firmware/a:b
	put common/boot/firmware/b.
	check
	[ "$status" -eq 3 ]
	refused common/boot/firmware/a:b "no name of the boot partition, which is a FAT, may have a ':'; give it another"
	refused common/boot/firmware/b. 'a name of the boot partition, which is a FAT, loses the dot at its end; give it another'
}

@test "rules of udev that name other interfaces, or something else than interfaces, are the user's" {
	put common/etc/udev/rules.d/70-mine.rules $'SUBSYSTEM=="net", ATTR{address}=="dc:a6:32:00:00:01", NAME="lan1"\nSUBSYSTEM=="net", KERNEL=="eth1", NAME="lan1"\nSUBSYSTEM=="block", NAME="x"\nSUBSYSTEM=="net", ENV{NM_UNMANAGED}="1"\n'
	check
	[ "$status" -eq 0 ]
}

@test "secrets stay private by their place, and folders of everybody stay open under umask 077" {
	umask 077
	put common/etc/sysctl.d/mine.conf 'a = 1'
	put control-plane/var/lib/rancher/k3s/server/manifests/x.yaml $'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n'
	chmod -R go+rX overlays/control-plane
	put common/etc/rancher/k3s/registries.yaml 'mirrors: {}'
	chmod 644 overlays/common/etc/rancher/k3s/registries.yaml
	"$PIBUILD" plan --node cp-1 --json | jq -r '.nodes[0].entries[] | select(.kind != "symlink") | "\(.mode) \(.path)"' >modes
	grep -qx '0600 /etc/rancher/k3s/registries.yaml' modes
	grep -qx '0600 /etc/sysctl.d/mine.conf' modes
	grep -qx '0700 /var/lib/rancher/k3s/server' modes
}

@test "a file that is too large to be looked into is noted: nobody knows whether it fits the cluster" {
	mkdir -p overlays/common/etc/sysctl.d
	{ yes '# words' | head -c 70000; echo net.ipv4.ip_forward=0; } >overlays/common/etc/sysctl.d/70-mine.conf
	check
	[ "$status" -eq 0 ]
	[[ "$output" == *"note: ./overlays/common/etc/sysctl.d/70-mine.conf is larger than the limit of 64.0 KiB, so nobody looked whether it fits the cluster"* ]]
}
