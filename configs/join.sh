#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154
#
# What `pibuild join NAME` prints, with the node's values and files in their places: makes this machine a worker of the
# cluster. Run as root; running it again brings the node up to date. It holds secrets: keep it private, remove it afterwards.
# @VALUES@
set -eu
umask 077
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
die() {
	echo "$0: $*" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || die 'run it as root: sudo sh FILE'
[ -d /run/systemd/system ] || die 'this machine has no systemd, which K3s is started by here'
case $(uname -m) in
"$machine") ;;
*) die "this machine is $(uname -m), cluster.yaml says $arch" ;;
esac
[ ! -e /var/lib/rancher/k3s/server/db ] || die 'this machine is a server of a cluster: k3s-uninstall.sh or a new system first'
old=$(cat /etc/rancher/node/password 2>/dev/null) || old=''

# put MODE FILE: base64 on stdin
put() {
	(umask 022 && mkdir -p "${2%/*}")
	base64 -d >"$2.new"
	chmod "$1" "$2.new"
	mv "$2.new" "$2"
}

# K3s, by its digest in the lock
if ! echo "$sha256  /usr/local/bin/k3s" | sha256sum -c >/dev/null 2>&1; then
	new=/usr/local/bin/.k3s.new
	mkdir -p /usr/local/bin
	if command -v curl >/dev/null; then
		curl -fsSL --proto '=https' --retry 3 -o "$new" "$url" || die "cannot download $url"
	elif command -v wget >/dev/null; then
		wget -qO "$new" "$url" || die "cannot download $url"
	else
		die 'there is neither curl nor wget'
	fi
	echo "$sha256  $new" | sha256sum -c >/dev/null || { rm -f "$new" && die "$url is not what the lock pins"; }
	chmod 755 "$new"
	mv "$new" /usr/local/bin/k3s
fi
for name in kubectl crictl ctr; do
	[ -e "/usr/local/bin/$name" ] || ln -s k3s "/usr/local/bin/$name"
done

# @FILES@
# Where cluster.yaml names no name servers, pods ask those of this machine.
if [ ! -e "$resolv" ]; then
	mkdir -p "${resolv%/*}" && chmod 755 "${resolv%/*}"
	for from in /run/systemd/resolve/resolv.conf /etc/resolv.conf; do
		[ ! -r "$from" ] || { ln -sf "$from" "$resolv" && break; }
	done
fi
modprobe -a overlay br_netfilter vxlan 2>/dev/null || true
sysctl -q -p /etc/sysctl.d/50-pibuild.conf
cat >/etc/systemd/system/k3s-agent.service <<'EOT'
[Unit]
Description=K3s agent
Documentation=https://docs.k3s.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s agent
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s

[Install]
WantedBy=multi-user.target
EOT
chmod 644 /etc/systemd/system/k3s-agent.service
systemctl daemon-reload
systemctl enable -q k3s-agent.service
systemctl restart --no-block k3s-agent.service
[ -z "$old" ] || [ "$old" = "$(cat /etc/rancher/node/password)" ] ||
	echo "$0: this machine was a node before; where the cluster still has it under another password: kubectl delete node $node" >&2
echo "$node joins $server: journalctl -fu k3s-agent shows how far it is"
