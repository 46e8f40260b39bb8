#!/usr/bin/env bats
# slow: an image for each node, an sshd for each, and the card's own programs
# SPDX-License-Identifier: Apache-2.0
# pibuild apply and diff --live: the real ssh and sshd, the card's own program in a folder that holds what is on the
# card, stand-ins for systemd and K3s. That a booted node takes it: tests/life/apply.bats.

load ../lib/apply

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip "files of several owners: wants root"
	cd "$BATS_FILE_TMPDIR"
	lab cp-1 w-1
	mkdir fresh
	cp -a root-* report-* cluster.yaml fresh/
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR"
	all_down
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	rm -rf root-* cut overlays state/acts state/calls state/faults/* state/cordoned state/sent flashed.jsonl known_hosts state/objects/pod/default/*
	cp -a fresh/. .
	member cp-1 1
	member w-1 ''
}

# overlay PATH TEXT: a file of the user's on every card
overlay() {
	mkdir -p "overlays/common/${1%/*}"
	printf '%s\n' "$2" >"overlays/common/$1"
}

# made_with NODE ARTIFACT VERSION: its card had this version
made_with() {
	jq --arg name "$2" --arg version "$3" '(.artifacts[] | select(.name == $name)).version = $version' "root-$1/etc/pibuild/manifest.json" >manifest.new
	cp manifest.new "root-$1/etc/pibuild/manifest.json"
}

# older_k3s NODE VERSION: that binary is there, and the manifest says so
older_k3s() {
	made_with "$1" k3s "$2"
	printf 'K3s %s\n' "$2" >"root-$1/usr/local/bin/k3s"
	jq --arg sha "$(sha256sum <"root-$1/usr/local/bin/k3s" | cut -d ' ' -f 1)" '(.files[] | select(.path == "/usr/local/bin/k3s")).sha256 = $sha' "root-$1/etc/pibuild/manifest.json" >manifest.new
	cp manifest.new "root-$1/etc/pibuild/manifest.json"
}

# --- what changes, and what it costs

@test "nodes that are as their cards were made are left alone, and do not differ" {
	find root-* -newermt '@0' -printf '%p %T@ %C@\n' | grep -v '/run/\|/proc/' | sort >before
	apply
	ends 0 'cp-1	is as cluster.yaml says' 'w-1	is as cluster.yaml says'
	diff_live w-1
	ends 0
	find root-* -newermt '@0' -printf '%p %T@ %C@\n' | grep -v '/run/\|/proc/' | sort | diff before -
	[ -z "$(acts)" ]
}

@test "nodes are read at the same time: each waits here until the other was asked too" {
	rm -rf asked
	mkdir asked
	cp over-there/sudo sudo.kept
	sed -i "2i [ \"\$2 \$3\" != '/usr/lib/pibuild/apply state' ] || { : >'$PWD/asked/'\$NODE; for _ in \$(seq 300); do [ ! -e '$PWD/asked/cp-1' ] || [ ! -e '$PWD/asked/w-1' ] || break; /usr/bin/sleep 0.1; done; [ -e '$PWD/asked/w-1' ] || exit 1; }" over-there/sudo
	apply
	cp sudo.kept over-there/sudo
	ends 0 'cp-1	is as cluster.yaml says' 'w-1	is as cluster.yaml says'
}

@test "a label is given by a step on the first server: K3s restarts nowhere, and of no other file anything follows" {
	sed -i 's/name: w-1, role: worker/&, labels: {radio: zigbee}/' cluster.yaml
	apply --dry-run
	ends 0 '~ /etc/pibuild/nodes	the step nodes' '~ /etc/rancher/k3s/config.yaml	nothing' 'then the step nodes'
	refute grep -qE 'restart|reboot' <<<"$output"
	# For programs the same, of both commands.
	export PIBUILD_LOCK=$PWD/release/pibuild.lock
	"$PIBUILD" --progress none --offline --cache cache apply --dry-run --json 2>err >delta.json
	jq -e 'map({node, off, same}) == [{node: "cp-1", off: false, same: false}, {node: "w-1", off: false, same: false}]
		and (.[0] | .effects == ["the step nodes"] and any(.files[]; . == {path: "/etc/pibuild/nodes", change: "changed", effect: "the step nodes", byHand: false}))' delta.json
	"$PIBUILD" -q --progress none --offline --cache cache diff --live w-1 --json 2>err >live.json || [ $? -eq 1 ]
	jq -e --slurpfile delta delta.json '. == ($delta[0][1] | del(.node, .off))' live.json
	[ -z "$(acts)" ]
	apply --yes
	ends 0 'cp-1 is as cluster.yaml says' 'w-1 is as cluster.yaml says'
	[ "$(acts)" = 'cp-1 restart --no-block pibuild-nodes.service' ]
	grep -qx -- '- "\?radio=zigbee"\?' root-w-1/etc/rancher/k3s/config.yaml
	[ "$(stat -c '%a %U' root-w-1/etc/rancher/k3s/config.yaml)" = '600 root' ]
	diff_live cp-1
	ends 0
	diff_live w-1
	ends 0
}

@test "a setting of the kernel, a value of Cilium, a unit, a file of one's own: each with its own effect, and the manifest is a fresh card's" {
	sed -i 's/vm.swappiness: "10"/vm.swappiness: "20"/; s/^network:/cilium: {hubble: {ui: false}}\n&/' cluster.yaml
	overlay etc/systemd/system/mine.service '[Service]'
	overlay etc/mine.conf 'mine'
	apply --yes
	ends 0 '~ /etc/sysctl.d/60-pibuild.conf	settings of the kernel' '~ /etc/pibuild/cilium-values.yaml	the step cni' \
		'+ /etc/systemd/system/mine.service	reload of systemd' '+ /etc/mine.conf	nothing that pibuild knows of'
	acts >done
	diff - done <<-'EOT'
		cp-1 daemon-reload
		sysctl
		cp-1 restart --no-block pibuild-cni.service
		w-1 daemon-reload
		sysctl
	EOT
	[ "$(cat root-w-1/etc/mine.conf)" = mine ]
	[ ! -e root-cp-1/var/lib/pibuild/next ]
	[ ! -e root-cp-1/var/lib/pibuild/effects ]
	PIBUILD_LOCK=$PWD/release/pibuild.lock "$PIBUILD" --progress none --offline --cache cache build -o again >/dev/null 2>&1
	for node in cp-1 w-1; do
		cmp "again/$node.manifest.json" "root-$node/etc/pibuild/manifest.json"
	done
	# What has no place any more goes.
	rm overlays/common/etc/mine.conf
	apply --yes --node w-1
	ends 0 '- /etc/mine.conf	nothing'
	[ ! -e root-w-1/etc/mine.conf ]
}

@test "what was changed by hand is told, by diff --live too, and put back" {
	echo 'hand' >>root-w-1/etc/sysctl.d/60-pibuild.conf
	rm root-w-1/usr/lib/pibuild/causes
	diff_live w-1
	ends 1 '~ /etc/sysctl.d/60-pibuild.conf	settings of the kernel, changed by hand' '+ /usr/lib/pibuild/causes'
	apply --node w-1 --yes
	ends 0 'changed by hand'
	diff_live w-1
	ends 0
	# what a running system writes itself is its own
	echo 'new:x:1001:1001::/home/new:/bin/sh' >>root-w-1/etc/passwd
	echo '{}' >root-w-1/etc/pibuild/birth
	printf '%32768s' '{"state": "done"}' >root-w-1/boot/firmware/pibuild-status.json
	diff_live w-1
	ends 0
}

@test "the boot partition: a reboot that is waited for; words and lines of the node's own stay" {
	# as Raspberry Pi OS leaves it after its first boot
	sed -i 's/PARTUUID=[0-9a-f]*/PARTUUID=0badcafe/; s/$/ own=word/; s/ resize//' root-w-1/boot/firmware/cmdline.txt
	sed -i '1i # mine' root-w-1/boot/firmware/config.txt
	diff_live w-1
	ends 0
	sed -i 's/^network:/boot: {cmdline: [quirk=1], config: [dtparam=pciex1_gen=3]}\n&/' cluster.yaml
	apply --node w-1 --yes
	ends 0 '~ /boot/firmware/cmdline.txt	reboot' '~ /boot/firmware/config.txt	reboot' 'then reboot' 'draining w-1'
	[ "$(acts)" = 'w-1 reboot' ]
	grep -q 'PARTUUID=0badcafe.* own=word .*quirk=1' root-w-1/boot/firmware/cmdline.txt
	grep -qx 'dtparam=pciex1_gen=3' root-w-1/boot/firmware/config.txt
	grep -qx '# mine' root-w-1/boot/firmware/config.txt
	[ "$(grep -c '^# pibuild: begin' root-w-1/boot/firmware/config.txt)" = 1 ]
	diff_live w-1
	ends 0
	sed -i '/^boot:/d' cluster.yaml
	apply --node w-1 --yes
	ends 0
	refute grep -q 'quirk' root-w-1/boot/firmware/cmdline.txt
	grep -q ' own=word' root-w-1/boot/firmware/cmdline.txt
}

# --- versions

@test "a new K3s: servers first, each drained, restarted, waited for and given its pods back" {
	older_k3s cp-1 v1.36.3+k3s1
	older_k3s w-1 v1.36.3+k3s1
	pod web w-1
	apply --yes
	ends 0 'k3s v1.36.3+k3s1 -> v1.36.4+k3s1' '~ /usr/local/bin/k3s	restart of K3s' 'draining cp-1' 'draining w-1'
	acts >done
	diff - done <<-'EOT'
		cp-1 restart k3s.service
		cp-1 restart --no-block pibuild-k3s.service
		w-1 restart k3s-agent.service
		w-1 restart --no-block pibuild-join.service
	EOT
	[ "$(sed -n 's/^[0-9.]* kubectl \(drain\|uncordon\) \([a-z0-9-]*\).*/\1 \2/p' state/calls | paste -s -d,)" = 'drain cp-1,uncordon cp-1,drain w-1,uncordon w-1' ]
	[ ! -e root-w-1/var/lib/pibuild/drained ]
}

@test "a version that may not follow is refused with the way, before anything changes" {
	while IFS='|' read -r artifact from text; do
		made_with cp-1 "$artifact" "$from"
		apply --yes --node cp-1
		ends 5 "$text" 'nothing was changed'
		cp fresh/root-cp-1/etc/pibuild/manifest.json root-cp-1/etc/pibuild/
	done <<-'EOT'
		k3s|v1.34.2+k3s1|K3s skips no minor version: from v1.34.2+k3s1 the way to v1.36.4+k3s1 leads over 1.35
		cilium-chart|1.18.0|Cilium goes one minor version at a time: from 1.18.0 the way to 1.20.0 leads over 1.19
	EOT
	older_k3s w-1 v1.36.3+k3s1
	older_k3s cp-1 v1.36.3+k3s1
	apply --yes --node w-1
	ends 5 'w-1 would get K3s v1.36.4+k3s1, and the server cp-1 has v1.36.3+k3s1: servers go first, `pibuild apply --node cp-1 --cache cache`'
	[ -z "$(acts)" ]
}

# --- what goes wrong

@test "the first node that is not well ends it, with the way on and back; the nodes behind it are as they were" {
	sed -i 's/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	ill cp-1 'K3s ends again and again'
	apply --yes
	ends 1 'cp-1 is changed and not well: its report says that k3s is failed: K3s ends again and again. The nodes behind it are as they were; to go on, mend it and run `pibuild apply --cache cache` again; to go back, put cluster.yaml as it was and run `pibuild apply --node cp-1 --cache cache`'
	grep -q 20 root-cp-1/etc/sysctl.d/60-pibuild.conf
	grep -q 10 root-w-1/etc/sysctl.d/60-pibuild.conf
	well cp-1
	cp fresh/cluster.yaml .
	apply --yes --node cp-1
	ends 0
	grep -q 10 root-cp-1/etc/sysctl.d/60-pibuild.conf
}

@test "a drained node that is not well says that it takes no pods, and what a new card would not do" {
	older_k3s w-1 v1.36.3+k3s1
	pod web w-1
	ill w-1 'K3s ends again and again'
	apply --yes
	ends 1 'w-1 is changed and not well: its report says that k3s is failed' '; it takes no pods until then, nor with a new card before `kubectl uncordon w-1`'
	[ -e root-w-1/var/lib/pibuild/drained ]
	PATH=$PWD/over-there:$PATH sh -c 'k3s kubectl uncordon w-1' | grep -qx 'node/w-1 uncordoned'
}

@test "a pod that may not go keeps a node from being changed; --no-drain does without" {
	older_k3s w-1 v1.36.3+k3s1
	pod web w-1
	echo default/web >state/faults/budget
	apply --yes
	ends 1 'w-1 cannot be drained, and nothing on it was changed' '`pibuild apply --no-drain --cache cache`'
	grep -qx 'K3s v1.36.3+k3s1' root-w-1/usr/local/bin/k3s
	grep -q 'kubectl uncordon w-1' state/calls
	# nor does it take up at its next start what was sent
	[ ! -e root-w-1/var/lib/pibuild/next ]
	there w-1 switch boot
	grep -qx 'K3s v1.36.3+k3s1' root-w-1/usr/local/bin/k3s
	[ -z "$(acts)" ]
	# a card of before cannot put it away, and that is said
	sed -i 's/^unstage:0)/unknown:0)/' root-w-1/usr/lib/pibuild/apply
	apply --yes
	ends 1 'w-1 cannot be drained' 'what was sent to w-1 is still there, and its next start takes it up'
	[ -e root-w-1/var/lib/pibuild/next ]
	cp fresh/root-w-1/usr/lib/pibuild/apply root-w-1/usr/lib/pibuild/apply
	rm -rf root-w-1/var/lib/pibuild/next state/faults/budget state/calls
	: >root-w-1/var/lib/pibuild/drained # a run that was cut off here
	apply --yes --no-drain
	ends 0
	refute grep -q 'kubectl drain' state/calls
	grep -q 'kubectl uncordon w-1' state/calls
	refute grep -qx 'K3s v1.36.3+k3s1' root-w-1/usr/local/bin/k3s
}

@test "a node that somebody keeps from new pods is drained of those that it has, and left as it was" {
	older_k3s w-1 v1.36.3+k3s1
	pod web w-1
	PATH=$PWD/over-there:$PATH sh -c 'k3s kubectl cordon w-1'
	apply --yes --node w-1 --node cp-1
	ends 0 'draining w-1: its pods have 300 seconds to go elsewhere; it takes no new ones already, and is left so'
	grep -q 'kubectl drain w-1' state/calls
	refute grep -q 'kubectl uncordon w-1' state/calls
	[ ! -e root-w-1/var/lib/pibuild/drained ]
}

@test "a node that restarted by itself since it was read is waited for all the same" {
	mkdir cut
	: >cut/stage
	printf '#!/bin/sh\necho boot-of-its-own >"%s/root-w-1/proc/sys/kernel/random/boot_id"\nexec /usr/bin/tar "$@"\n' "$PWD" >cut/tar
	chmod 755 cut/tar
	cp over-there/systemctl systemctl.kept
	sed -i '/reboot/d' over-there/systemctl
	sed -i 's/^network:/boot: {cmdline: [quirk=1]}\n&/' cluster.yaml
	apply --node w-1 --yes --timeout 3
	cp systemctl.kept over-there/systemctl
	ends 1 'w-1 is changed and not well: after 3 seconds it does not answer'
	[ "$(acts | tail -n 1)" = 'w-1 reboot' ]
}

@test "a node that is off is named and left for later; the others are changed" {
	sed -i 's/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	down w-1
	apply --yes
	back w-1
	ends 1 'w-1 is left for later: w-1 (192.168.1.21) does not answer on SSH' 'cp-1 is as cluster.yaml says' 'w-1 did not answer: once they are on, run `pibuild apply --cache cache` again'
	grep -q 20 root-cp-1/etc/sysctl.d/60-pibuild.conf
	apply --yes
	ends 0 'cp-1	is as cluster.yaml says' 'w-1 is as cluster.yaml says'
}

@test "two at once on one desk: the second is refused, and may look" {
	exec 8<cluster.yaml
	flock 8
	apply --yes
	ends 5 'another pibuild on this machine changes the cluster of cluster.yaml: wait for its end'
	apply --dry-run
	ends 0 'w-1	is as cluster.yaml says'
	exec 8<&-
}

@test "nothing is downloaded for nodes that are all off" {
	local lock=$PWD/release/pibuild.lock
	down cp-1 w-1
	PIBUILD_LOCK=$lock run "$PIBUILD" --progress none --cache none apply
	ends 1 'cp-1 (192.168.1.11) does not answer on SSH' 'w-1 (192.168.1.21) does not answer on SSH' 'none of the 2 nodes answers, and nothing was downloaded for them'
	PIBUILD_LOCK=$lock run "$PIBUILD" --progress none --cache none diff --live w-1
	ends 1 'w-1 (192.168.1.21) does not answer on SSH'
	[ -z "$(find none -type f -size +0)" ]
	back cp-1
	PIBUILD_LOCK=$lock run "$PIBUILD" --progress none --offline --cache none apply
	back w-1
	ends 1 'not in the cache'
}

@test "a node whose address was changed in the file is told from one that is off: only a card brings it" {
	sed -i 's/192\.168\.1\.21/192.168.1.29/; s/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	printf 'Host 192.168.1.29\n\tHostName 127.0.0.29\n\tPort %s\n' "$(sed -n 's/^Port //p' sshd-w-1.conf)" >>ssh_config
	apply --yes
	ends 5 'w-1 runs at 192.168.1.21, and cluster.yaml has it at 192.168.1.29' 'write 192.168.1.21 again, or give it a new card, `sudo pibuild flash --node w-1 DISK --cache cache`; nothing was changed'
	grep -q 10 root-cp-1/etc/sysctl.d/60-pibuild.conf
	# one of which the cluster hears nothing may have its new card already
	echo w-1 >state/faults/dead
	apply --yes
	ends 1 'w-1 did not answer: once they are on'
	grep -q 20 root-cp-1/etc/sysctl.d/60-pibuild.conf
}

@test "a foreign machine at the address gets nothing, at first contact too: nobody vouches for its key" {
	sed -i 's/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	echo 0123456789abcdef >root-w-1/etc/rancher/node/password
	apply --yes --node w-1
	ends 1 'w-1 (192.168.1.21) cannot prove that it is w-1' 'nothing was sent to it'
	# one that only passes on what the true node says shows its own key
	cp fresh/root-w-1/etc/rancher/node/password root-w-1/etc/rancher/node/
	ssh-keygen -q -t ed25519 -N '' -f other
	cp other.pub root-w-1/etc/ssh/ssh_host_ed25519_key.pub
	apply --yes --node w-1
	ends 1 'w-1 (192.168.1.21) cannot prove that it is w-1'
	# another node's card
	cp fresh/root-w-1/etc/ssh/ssh_host_ed25519_key.pub root-w-1/etc/ssh/
	sed -i 's/"node": "w-1"/"node": "w-2"/' root-w-1/etc/pibuild/manifest.json
	apply --yes --node w-1
	ends 5 'the card there was made for the node w-2, and cluster.yaml has w-1'
	refute ls root-*/var/lib/pibuild/coming
	[ -z "$(acts)" ]
}

@test "what only a new card brings is refused before anything changes; a later base stays apt's" {
	sed -i 's/user: pi/user: mia/; s/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	apply --yes --node w-1
	ends 5 '/etc/group cannot change on a node that runs: access.user is made with the card: flash a new one; nothing was changed'
	cp fresh/cluster.yaml .
	sed -i 's/^cluster: {name: lab/&, podCIDR: 10.99.0.0\/16/' cluster.yaml
	apply --yes --node cp-1
	ends 5 'cluster.podCIDR cannot change on a node that runs: the cluster was started with 10.42.0.0/16: write that again; nothing was changed'
	cp fresh/cluster.yaml .
	jq '.base.sha256 = "0000" | .base.version = "2026-01-01" | (.files[] | select(.path == "/etc/passwd")).sha256 |= sub("^....";"0000")' root-w-1/etc/pibuild/manifest.json >older
	cp older root-w-1/etc/pibuild/manifest.json
	apply --yes --node w-1
	ends 0 '= the base stays, raspios 2026-01-01 -> raspios 2026-09-15'
	apply --node w-1
	ends 0 'w-1	is as cluster.yaml says'
	[ -z "$(acts)" ]
}

@test "tokens that were replaced: the agents' comes by a restart, the servers' only when the cluster knows it" {
	token=root-cp-1/var/lib/rancher/k3s/server/token
	bare() { "$PIBUILD" secrets show --show-secrets --json | jq -r ".tokens.$1" | sed 's/.*://'; }
	cp secrets.yaml kept.yaml
	echo "K10abc::server:$(bare server)" >"$token"
	"$PIBUILD" -q secrets rotate agent-token
	apply --yes
	ends 0 '~ /etc/rancher/k3s/config.yaml	restart of K3s' 'w-1 is as cluster.yaml says'
	grep -q "^agent-token: \"\?$(bare agent)" root-cp-1/etc/rancher/k3s/config.yaml
	grep -q "^token: \"\?K10.*$(bare agent)" root-w-1/etc/rancher/k3s/config.yaml
	acts >/dev/null
	"$PIBUILD" -q secrets rotate server-token
	apply --yes
	ends 5 'cp-1 runs with another server token than that of ./secrets.yaml, and K3s does not start with one' 'nothing was changed'
	[ -z "$(acts)" ]
	# What `k3s token rotate` does there.
	echo "K10abc::server:$(bare server)" >"$token"
	apply --yes
	ends 0 'cp-1 is as cluster.yaml says'
	grep -q "^token: \"\?K10.*$(bare server)" root-cp-1/etc/rancher/k3s/config.yaml
	mv kept.yaml secrets.yaml
}

@test "what dies on the node while it looks makes no file missing, changed or good" {
	sed -i 's/^#.*/# by hand/' root-w-1/etc/sysctl.d/60-pibuild.conf
	mkdir cut
	: >cut/state
	printf '#!/bin/sh\nkill -KILL $$\n' >cut/find
	chmod 755 cut/find
	diff_live w-1
	ends 1 'w-1: it did not look at all files: see whether it has memory left'
	refute grep -q '^[-+~] ' <<<"$output"
	rm cut/find
	# as xargs calls it, of the files; -z is nobody else's
	printf '#!/bin/sh\n[ "$1" != -z ] || kill -KILL $$\nexec /usr/bin/sha256sum "$@"\n' >cut/sha256sum
	chmod 755 cut/sha256sum
	apply --yes --node w-1
	ends 1 'could not be read, or it has no memory left'
	[ -z "$(acts)" ]
}

@test "it asks on a terminal, and without one wants --yes; without secrets there is nobody to ask" {
	sed -i 's/vm.swappiness: "10"/vm.swappiness: "20"/' cluster.yaml
	apply --node w-1 </dev/null
	ends 5 'there is no terminal to ask on: with --yes what is shown above is done'
	PIBUILD_LOCK=$PWD/release/pibuild.lock run "$top/tests/lib/terminal.py" 4000:no "$PIBUILD" --progress none --offline --cache cache apply --node w-1
	[[ $output == *'1 node will change, servers first. Type yes to go on: '*'not confirmed: nothing was changed'* ]]
	grep -q 10 root-w-1/etc/sysctl.d/60-pibuild.conf
	mv secrets.yaml away
	apply --yes
	mv away secrets.yaml
	ends 3 'nodes are changed with the secrets that their cards were made with'
}

@test "no secret is in the words of a command, here or there" {
	cat >cut-sudo <<-EOT
		#!/bin/sh
		echo "\$*" >>"$PWD/state/sent"
		exec "$PWD/over-there/sudo.real" "\$@"
	EOT
	chmod 755 cut-sudo
	mv over-there/sudo over-there/sudo.real && mv cut-sudo over-there/sudo
	rm root-cp-1/etc/pibuild/secrets/* root-cp-1/etc/rancher/k3s/config.yaml 2>/dev/null || true
	apply --yes --node cp-1
	mv over-there/sudo.real over-there/sudo
	ends 0
	[ "$(stat -c %a root-cp-1/etc/rancher/k3s/config.yaml)" = 600 ]
	[ -s state/sent ]
	grep -oE '[0-9a-f]{32,}' secrets.yaml >values
	refute grep -qFf values state/sent
}

# --- the program on the node by itself

# there NODE VERB...: as root on it
there() {
	PIBUILD_ROOT=$PWD/root-$1 PIBUILD_PROC=$PWD/root-$1/proc PATH=$PWD/over-there:/usr/bin:/bin NODE=$1 "$PWD/root-$1/usr/lib/pibuild/apply" "${@:2}"
}

# parcel LINE...: a tar for `stage`, with files of the contents "new A" and "/target"
parcel() {
	rm -rf parcel && mkdir parcel
	new=$(printf 'new A\n' | sha256sum | cut -d ' ' -f 1)
	target=$(printf '/target' | sha256sum | cut -d ' ' -f 1)
	printf 'new A\n' >"parcel/$new"
	printf '/target' >"parcel/$target"
	printf '%b\n' "$@" | sed "s/NEW/$new/; s/TARGET/$target/" >parcel/plan
	tar -C parcel -cf parcel.tar .
}

@test "a node takes no plan that is damaged, and none that touches the cluster's state" {
	while IFS='|' read -r line text; do
		parcel "$line"
		run there w-1 stage <parcel.tar
		ends 1 "$text"
		[ ! -e root-w-1/var/lib/pibuild/next ]
	done <<-'EOT'
		file\t0644\t0\t0\tNEW\t/var/lib/rancher/k3s/server/db/state.db|refused: /var/lib/rancher/k3s/server/db/state.db
		file\t0644\t0\t0\tNEW\t/etc/../etc/x|refused
		gone\t-\t-\t-\t-\t/var/lib/rancher/k3s/storage/a|refused
		file\t0644;id\t0\t0\tNEW\t/etc/x|damaged
		file\t0644\t0\t0\t0123\t/etc/x|has no file for /etc/x
		run\t-\t-\t-\t-\t/etc/x|does not know: run
	EOT
	parcel 'file\t0644\t0\t0\tNEW\t/etc/x'
	printf 'new B\n' >"parcel/$new" && tar -C parcel -cf parcel.tar .
	run there w-1 stage <parcel.tar
	ends 1 'what was sent arrived damaged'
	run there w-1 act 'restart a;b'
	ends 1 'is no unit'
	run there w-1 put ../x </dev/null
	ends 1 'is no digest'
	run there w-1 nothing
	ends 2 'apply VERB'
}

@test "steps that follow wait for each other by their states: those of all are gone before the first one starts" {
	mkdir -p root-cp-1/run/pibuild/steps
	local step
	for step in cni gateway-crds k3s; do echo 'state done' >"root-cp-1/run/pibuild/steps/$step"; done
	mv over-there/systemctl over-there/systemctl.was
	printf '#!/bin/sh\necho "$* with $(ls "%s/root-$NODE/run/pibuild/steps" | paste -s -d ,)" >>"%s/state/acts"\n' "$PWD" "$PWD" >over-there/systemctl
	chmod 755 over-there/systemctl
	run there cp-1 act 'step cni' 'step gateway-crds'
	mv over-there/systemctl.was over-there/systemctl
	ends 0 'apply: step gateway-crds'
	printf 'restart --no-block pibuild-%s.service with k3s\n' cni gateway-crds | diff - state/acts
	# nothing is done of what is not all right
	rm state/acts
	run there cp-1 act reload 'step a/b'
	ends 1 'is no unit'
	[ ! -e state/acts ]
}

# killers: in ./bin-cut, programs that kill it at the call of which ./cut-at has the number, before or, by ./cut-how,
# after they did their work
killers() {
	local name
	mkdir -p bin-cut
	for name in mv cp install ln sync mkdir chmod chown rm rmdir cat awk sed sort tar sha256sum; do
		cat >"bin-cut/$name" <<-EOT
			#!/bin/dash
			read -r n <"$PWD/cut-count"; n=\$((n + 1)); echo "\$n" >"$PWD/cut-count"
			read -r at how <"$PWD/cut-at"
			[ "\$n" != "\$at" ] || [ "\$how" = after ] || { read -r pid <"$PWD/cut-pid"; kill -9 "\$pid" "\$PPID" 2>/dev/null; exit 1; }
			/usr/bin/$name "\$@" || exit
			[ "\$n" != "\$at" ] || { read -r pid <"$PWD/cut-pid"; kill -9 "\$pid" "\$PPID" 2>/dev/null; }
		EOT
		chmod 755 "bin-cut/$name"
	done
}

# cut_there NODE AT HOW VERB...; KILL_STEP=1 tries every command, make test every fifth
cut_there() {
	echo 0 >cut-count
	echo "$2 $3" >cut-at
	PIBUILD_ROOT=$PWD/root-$1 PIBUILD_PROC=$PWD/root-$1/proc PATH=$PWD/bin-cut:$PWD/over-there:/usr/bin:/bin NODE=$1 \
		sh -c 'echo $$ >cut-pid; exec "$@"' - "$PWD/root-$1/usr/lib/pibuild/apply" "${@:4}" >/dev/null 2>&1
	# what it had started ends by itself
	flock "$PWD/root-$1/run/pibuild/lock.apply" true
}

# whole ROOT: each file is as before or as wanted
whole() {
	local found
	for found in "$(cat "$1/etc/a")" "$(cat "$1/boot/firmware/b")"; do
		[ "$found" = 'old A' ] || [ "$found" = 'new A' ] || { echo "torn: $found" && return 1; }
	done
	found=$(readlink "$1/etc/link")
	[ "$found" = /old ] || [ "$found" = /target ] || { echo "torn link: $found" && return 1; }
	found=$(cat "$1/boot/firmware/cmdline.txt")
	[ "$found" = 'a=1 old=1 own' ] || [ "$found" = 'a=1 own new=1' ] || { echo "torn words: $found" && return 1; }
}

@test "killed at any command, files are old or new each, and the next run ends as if nothing had been" {
	killers
	words=$(printf -- '-old=1\n+new=1\n' | sha256sum | cut -d ' ' -f 1)
	root=$PWD/root-w-1
	plan='gone\t-\t-\t-\t-\t/etc/old-dir/x\ngone\t-\t-\t-\t-\t/etc/old-dir\ndir\t0700\t0\t0\t-\t/etc/new-dir\nfile\t0600\t1000\t0\tNEW\t/etc/a\nbig\t0644\t0\t0\tNEW\t/etc/big\nfile\t0755\t0\t0\tNEW\t/boot/firmware/b\nlink\t-\t-\t-\tTARGET\t/etc/link\nwords\t-\t-\t-\tWORDS\t/boot/firmware/cmdline.txt\neffect\t-\t-\t-\t-\tsysctl'
	parcel "${plan//WORDS/$words}"
	printf -- '-old=1\n+new=1\n' >"parcel/$words"
	tar -C parcel -cf parcel.tar .
	ended='' points=0 at=0
	while [ -z "$ended" ]; do
		points=$((points + 1)) at=$((at + ${KILL_STEP:-5}))
		rm -rf "$root"/var/lib/pibuild/{coming,next,next.old,effects} "$root"/etc/{new-dir,big}
		mkdir -p "$root/etc/old-dir"
		: >"$root/etc/old-dir/x"
		echo 'old A' | tee "$root/etc/a" >"$root/boot/firmware/b"
		ln -sfn /old "$root/etc/link"
		echo 'a=1 old=1 own' >"$root/boot/firmware/cmdline.txt"
		how=$([ $((points % 2)) = 0 ] && echo after || echo before)
		# The first half of the numbers cuts staging, the rest switching.
		cut_there w-1 "$at" "$how" stage <parcel.tar || true
		staged=$(cat cut-count)
		whole "$root"
		if [ -e "$root/var/lib/pibuild/next" ]; then
			cut_there w-1 $((at - staged)) "$how" switch || true
			[ "$(cat cut-count)" -ge $((at - staged)) ] || ended=yes
			whole "$root"
		else
			there w-1 stage <parcel.tar
		fi
		there w-1 switch
		[ "$(cat "$root/etc/a" "$root/boot/firmware/b" "$root/etc/big" | uniq)" = 'new A' ]
		[ "$(stat -c '%a %u' "$root/etc/a" "$root/etc/new-dir" "$root/etc/big" | paste -s -d,)" = '600 1000,700 0,644 0' ]
		[ "$(readlink "$root/etc/link")" = /target ]
		[ "$(cat "$root/boot/firmware/cmdline.txt")" = 'a=1 own new=1' ]
		[ ! -e "$root/etc/old-dir" ]
		[ "$(cat "$root/var/lib/pibuild/effects")" = $'boot-of-w-1\nsysctl' ]
		[ -z "$(find "$root/etc" "$root/boot" "$root/var/lib/pibuild" -name '.pibuild.*' -o -name next -o -name next.old)" ]
	done
	[ "$at" -gt 25 ]
}

@test "what a cut has left is taken up at the next start: all that starts later by itself, the rest by what is left to do" {
	parcel 'file\t0644\t0\t0\tNEW\t/etc/a' 'effect\t-\t-\t-\t-\tsysctl' 'effect\t-\t-\t-\t-\tk3s' 'effect\t-\t-\t-\t-\tstep cni' 'effect\t-\t-\t-\t-\tstart x.timer' 'effect\t-\t-\t-\t-\treboot'
	there w-1 stage <parcel.tar
	# of an earlier start, and so taken up by this one
	printf 'earlier\nlocale\n' >root-w-1/var/lib/pibuild/effects
	there w-1 switch boot
	[ "$(cat root-w-1/etc/a)" = 'new A' ]
	[ "$(cat root-w-1/var/lib/pibuild/effects)" = $'boot-of-w-1\nreboot' ]
	acts | sort >done
	diff - done <<-'EOT'
		sysctl
		w-1 daemon-reload
		w-1 start --no-block x.timer
	EOT
	# the next apply owes the reboot
	apply --yes --no-drain --node w-1
	ends 0 'then reboot'
	[ "$(acts | tail -n 1)" = 'w-1 reboot' ]
}

@test "a locale is made once, by a unit that has a stamp: a restart alone makes no other" {
	stamp=root-w-1/var/lib/pibuild/locale.done
	: >$stamp
	printf 'boot-of-w-1\nlocale\nreboot\n' >root-w-1/var/lib/pibuild/effects
	apply --yes --no-drain --node w-1
	ends 0 'then the locale is made, reboot'
	acts >done
	diff - done <<-'EOT'
		w-1 restart --no-block pibuild-locale.service
		w-1 reboot
	EOT
	[ ! -e $stamp ]
	# and where nobody is there to follow
	: >$stamp
	parcel 'file\t0644\t0\t0\tNEW\t/etc/a' 'effect\t-\t-\t-\t-\tlocale'
	there w-1 stage <parcel.tar
	there w-1 switch
	[ ! -e $stamp ]
}

@test "what is staged can be put away again, but not once a switch to it has begun" {
	parcel 'file\t0644\t0\t0\tNEW\t/etc/a'
	there w-1 stage <parcel.tar
	: >root-w-1/var/lib/pibuild/next/begun
	run there w-1 unstage
	ends 1 'the switch to what is staged has begun'
	rm root-w-1/var/lib/pibuild/next/begun
	there w-1 unstage
	[ -z "$(ls root-w-1/var/lib/pibuild | grep next)" ]
	there w-1 unstage
}

@test "with a password for sudo, the one program that changes a node passes without it" {
	sed -i "s|access: {user: pi,|& passwordHash: '$(openssl passwd -6 -salt abcdefgh another)',|" cluster.yaml
	rm -rf card && "$PIBUILD" render --node w-1 -o card >/dev/null
	[ ! -e card/etc/sudoers.d/010-pibuild ]
	grep -qx 'pi ALL=(root) NOPASSWD: /usr/lib/pibuild/apply' card/etc/sudoers.d/011-pibuild-apply
	run there w-1 kubectl delete node w-1
	ends 1 'no kubectl delete'
}

@test "the node's side says how it is called, and nothing else of its head" {
	run there w-1 nonsense
	[ "$status" -eq 2 ]
	[[ "${lines[0]}" == 'apply VERB: '* ]]
	[[ "${lines[-1]}" == *'drained yes|no '* ]]
}
