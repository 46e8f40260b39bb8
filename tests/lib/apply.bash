# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Nodes that run and have files: for each machine of remote.bash a folder that stands for its root, what the programs there
# say of themselves, and a record of what was done. The program that changes it is the card's own.

load ../lib/remote

# lab NODE...: machines that are up, whose folders hold what is on their cards; layers are in ./cache, and all that a later
# call needs of the sandbox in ./release. Owners of files take root.
lab() {
	local node
	[ "$(id -u)" -eq 0 ] || skip "files of several owners: wants root"
	machines "${@/%/=up}"
	echo 'os: {sysctl: {vm.swappiness: "10"}}' >>cluster.yaml
	PATH=${PATH#"$PWD/bin:"} sandbox -- bash -c 'mkdir release && cp "$PIBUILD_LOCK" release/pibuild.lock && "$PIBUILD" --progress none --cache cache build -o out' >build.log 2>&1 || {
		cat build.log
		return 1
	}
	up "$@"
	there_programs
	for node in "$@"; do
		new_root "$node"
	done
}

# new_root NODE: what is on its card, as debugfs and mtools read it, and what it makes of itself when it runs
new_root() {
	local root=$PWD/root-$1
	mkdir "$root"
	on_root "out/$1.img" rdump / "$root"
	mkdir -p "$root"/etc/ssh "$root"/usr/lib/systemd "$root"/run/pibuild "$root"/boot/firmware "$root"/proc/sys/kernel/random
	MTOOLS_SKIP_CHECK=1 mcopy -snQ -i "out/$1.img@@$(part_start "out/$1.img" 1)" '::*' "$root/boot/firmware/"
	cp "host-$1.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
	printf '100.00 0.00\n' >"$root/proc/uptime"
	echo "boot-of-$1" >"$root/proc/sys/kernel/random/boot_id"
	printf '#!/bin/sh\necho sysctl >>"%s/state/acts"\n' "$PWD" >"$root/usr/lib/systemd/systemd-sysctl"
	chmod 755 "$root/usr/lib/systemd/systemd-sysctl"
	well "$1"
}

# well NODE, ill NODE CAUSE: what its report says
well() {
	printf '{"state": "done", "steps": [{"name": "k3s", "state": "done", "cause": ""}]}\n' >"report-$1"
}

ill() {
	printf '{"state": "failed", "steps": [{"name": "k3s", "state": "failed", "cause": "%s"}]}\n' "$2" >"report-$1"
}

# The programs of remote.bash run K3s; these have a root of their own.
there_programs() {
	rm -f over-there/{sudo,systemctl,cat,pibuild-status}
	cat >over-there/sudo <<-EOT
		#!/bin/sh
		[ "\$1" = -n ] || exit 1
		shift
		root=$PWD/root-\$NODE
		case \$1 in
		/usr/lib/pibuild/apply)
			[ -e "\$root\$1" ] || { echo "sudo: \$1: command not found" >&2; exit 1; }
			program=\$root\$1
			shift
			export PIBUILD_ROOT="\$root" PIBUILD_PROC="\$root/proc"
			[ ! -e "$PWD/cut/\$1" ] || export PATH="$PWD/cut:\$PATH"
			exec "\$program" "\$@"
			;;
		esac
		exec "\$@"
	EOT
	cat >over-there/systemctl <<-EOT
		#!/bin/sh
		echo "\$NODE \$*" >>$PWD/state/acts
		[ ! -e "$PWD/state/faults/systemctl" ] || exit 1
		[ "\$1" != reboot ] || echo "boot-\$\$" >"$PWD/root-\$NODE/proc/sys/kernel/random/boot_id"
	EOT
	printf '#!/bin/sh\ncat "%s/report-$NODE"\n' "$PWD" >over-there/pibuild-status
	cat >over-there/cat <<-EOT
		#!/bin/sh
		case \${1:-} in
		/proc/sys/* | /etc/pibuild/*) set -- "$PWD/root-\$NODE\$1" ;;
		esac
		exec /bin/cat "\$@"
	EOT
	chmod 755 over-there/{sudo,systemctl,cat,pibuild-status}
}

# apply ARGUMENT...: $output has both streams, $status what it ended with
apply() {
	run env PIBUILD_LOCK="$PWD/release/pibuild.lock" "$PIBUILD" --progress none --offline --cache cache apply --timeout 20 "$@"
}

# diff_live NODE
diff_live() {
	run env PIBUILD_LOCK="$PWD/release/pibuild.lock" "$PIBUILD" --progress none --offline --cache cache diff --live "$@"
}

# acts: what machines were told to do since the last call, a line each
acts() {
	cat state/acts 2>/dev/null || true
	rm -f state/acts
}

# back NODE: after `down`
back() {
	/usr/sbin/sshd -f "$PWD/sshd-$1.conf" -E "$PWD/sshd-$1.log"
	while [ ! -e "sshd-$1.pid" ]; do /usr/bin/sleep 0.1; done
}
