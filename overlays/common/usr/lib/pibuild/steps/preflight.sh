# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: This machine can run K3s
# bound: 600
#
# Whether this machine can run K3s and Cilium. K3s starts after this step, so what certainly breaks it holds it back:
# a clock before the build (K3s makes certificates at its first start), no memory cgroup, a full card. The network is
# waited for until this node was part of its cluster once; afterwards a power cut must not need the internet to recover.
# All else becomes a note in the report.

patience=300 # seconds that name service and registries are waited for; some closed networks have neither
sync_limit=120
sys=${PIBUILD_SYS:-/sys}

# --- the clock

time_synchronized() {
	[ -e "$root/run/systemd/timesync/synchronized" ] ||
		[ "$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)" = yes ]
}

check_clock() {
	time_out="Let network time out (NTP, UDP 123)"
	[ -z "$node_ntp" ] || time_out="Look whether the servers of network.ntp answer (UDP 123): $node_ntp"
	unnote clock
	! time_synchronized || return 0
	now=$(date +%s) built=$(cat "$etc/build-time")
	if [ "$now" -lt "$built" ]; then
		why "The clock reads $(date -u '+%Y-%m-%d %H:%M') UTC, which is before this card was built; K3s would make certificates that are not valid" \
			"$time_out; or set it by hand: sudo date -s '2026-01-31 12:00'"
		return 1
	fi
	if network_closed; then
		note clock "Not checked against network time: the network is closed"
	elif [ $((up - begin)) -ge "$sync_limit" ]; then
		note clock "There is no network time; the clock reads $(date -u '+%Y-%m-%d %H:%M') UTC" \
			"$time_out; certificates need the right date"
	else
		why "Waiting for network time, $sync_limit seconds at most" "It passes by itself; else: $time_out"
		return 1
	fi
}

# --- kernel and card

check_memory_cgroup() {
	read -r controllers <"$sys/fs/cgroup/cgroup.controllers"
	case " $controllers " in
	*' memory '*) return 0 ;;
	esac
	hopeless "The kernel's memory cgroup is off, and K3s does not start without it" \
		"Add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt and restart"
	return 1
}

# kernel_options: sets `options` to what this kernel was built with; 1 when nothing here says so
kernel_options() {
	config=$root/boot/config-$(uname -r)
	if [ -r "$config" ]; then
		options=$(cat "$config")
	elif [ -r "$proc/config.gz" ]; then
		options=$(zcat "$proc/config.gz")
	else
		return 1
	fi
}

# lacks OPTION...: sets `missing` to those of them that it was built without
lacks() {
	missing=''
	for option in "$@"; do
		case $options in
		*"CONFIG_$option=y"* | *"CONFIG_$option=m"*) ;;
		*) missing="$missing $option" ;;
		esac
	done
	[ -n "$missing" ]
}

# Options without which Cilium's agent does not start (docs.cilium.io, system requirements); and with what BGP's password
# asks for, a signature of TCP's packets, no session comes up.
check_kernel() {
	unnote kernel
	unnote bgp-password
	kernel_options || return 0
	if lacks BPF_SYSCALL BPF_JIT CGROUP_BPF NET_CLS_BPF NET_CLS_ACT NET_SCH_INGRESS VXLAN VETH; then
		note kernel "This kernel ($(uname -r)) lacks what Cilium needs:$missing" \
			"Use the kernel that came with the base, or one built with these options"
	fi
	if [ "$node_signs" = yes ] && lacks TCP_MD5SIG; then
		note bgp-password "This kernel ($(uname -r)) cannot sign packets (it lacks$missing), so that this node has no session with the router" \
			"Leave out loadBalancer.announce.bgp.password, in cluster.yaml and on the router; kernels of Debian can (os.base: debian)"
	fi
}

# Envoy's allocator wants 48 bits of address; kernels of Raspberry Pi OS for Pi 3 and 4 have 39. The stack lies at the
# top: twelve hexadecimal digits with 47 or 48 bits, ten with 39.
check_address_bits() {
	unnote envoy
	[ "$node_envoy" = yes ] || return 0
	top=$(sed -n 's/^[0-9a-f]*-\([0-9a-f]*\) .*\[stack\]$/\1/p' "$proc/self/maps")
	[ ${#top} -lt 11 ] || return 0
	note envoy "This kernel has 39-bit addresses; Envoy, which Ingress and Gateway API need, ends at once on it" \
		"Remove kernel=kernel8.img from config.txt on a Pi 5; on a Pi 3 or 4 use os.base: debian, or switch both off"
}

# Misspelt, or of a module that is not loaded yet when systemd-sysctl runs: it says so to the journal alone.
check_sysctl() {
	file=$root/etc/sysctl.d/60-pibuild.conf
	unnote sysctl
	[ -r "$file" ] || return 0
	while read -r key _; do
		path=$key
		case ${key#"${key%%[./]*}"} in
		.*) path=$(printf '%s' "$key" | tr ./ /.) ;; # sysctl.d(5): else dots are no separators
		esac
		[ -e "$proc/sys/$path" ] ||
			note sysctl "The kernel has no setting $key, which os.sysctl of cluster.yaml sets" \
				"Correct its name; a setting of a kernel module needs that loaded early: its name in a file of /etc/modules-load.d"
	done <"$file"
}

mib() {
	printf '%s\n' $(($1 / 1048576))
}

# Full, small, or not grown as far as it could be. It can fill up, and be emptied, while this step waits.
card_size='' reach=''
check_card() {
	unnote card
	read -r size free <<-EOT
		$(df --block-size=1 --output=size,avail "$root/" | tail -n 1)
	EOT
	# Many processes; what it says changes with the size alone.
	[ "$size" = "$card_size" ] || reach=$("$root/usr/lib/pibuild/grow-root" --reach) || reach=''
	card_size=$size grow=''
	[ $((${reach:-0} - size / 512)) -lt $((size / 512 / 4)) ] || grow='Grow it: sudo /usr/lib/pibuild/grow-root'
	if [ "$free" -lt 209715200 ]; then
		why "The card is full: $(mib "$free") MiB left of $(mib "$size") MiB${grow:+; the root file system did not grow to its end}" \
			"${grow:-Look what fills it: df -h / and du -xhd1 /var; else flash a larger card}"
		return 1
	fi
	[ "$free" -ge 2147483648 ] ||
		note card "Only $(mib "$free") MiB are free on the card; images and logs will fill it" "Use a card of 16 GB or more"
	[ -z "$grow" ] ||
		note card "The root file system did not grow to the end of the card: it has $(mib "$size") MiB" "$grow"
}

# --- the network

carrier_fault() {
	if [ ! -d "$sys/class/net/$1" ]; then
		why "There is no network interface $1" "Set network.interface of cluster.yaml, or interface of this node there, to one that ip link shows"
	elif [ "$(cat "$sys/class/net/$1/carrier" 2>/dev/null)" != 1 ]; then
		case $1 in
		wlan*) why "$1 is not connected" "Check the network's name and passphrase, and that it is in reach" ;;
		*) why "No cable on $1, or nothing at its other end" "Plug the cable in and look at the lights of the port" ;;
		esac
	else
		return 1
	fi
}

# The kubelet takes no address that is not there yet, or that another machine has: the kernel asks the LAN about it first.
check_address6() {
	[ -n "$node_address6" ] || return 0
	found=$(ip -6 -o addr show dev "$node_interface" scope global)
	case $found in
	*" $node_address6/"*dadfailed*)
		why "Another machine has the IPv6 address of this node, $node_address6" "Two nodes of one cluster never have the same; give network.ipv6.subnet of cluster.yaml"
		return 1
		;;
	*" $node_address6/"*tentative*) ;;
	*" $node_address6/"*) return 0 ;;
	esac
	why "$node_interface does not have its IPv6 address $node_address6 yet" "It passes by itself; else: journalctl -u NetworkManager"
	return 1
}

# A default route is what K3s wants; without one, what is missing on the way to it.
check_network() {
	[ -z "$(ip -4 route show default)" ] || return 0
	carrier_fault "${node_interface%.*}" && return 1
	if [ -z "$(ip -4 -o addr show dev "$node_interface" scope global)" ]; then
		if [ -n "$node_address" ]; then
			why "$node_interface does not have its address $node_address yet" "It passes by itself; else: journalctl -u NetworkManager"
		else
			why "$node_interface has no address from DHCP" "Is the router on? Else give the node an address in cluster.yaml"
		fi
	else
		why "There is no default route" "Set network.gateway in cluster.yaml, or let DHCP hand it out"
	fi
	return 1
}

# The proxy that K3s goes through, from its environment: sets `proxy_host`, `proxy_port`, `proxy_user` and `no_proxy`; all
# empty without one.
find_proxy() {
	file=$root/etc/systemd/system/$node_unit.service.env proxy='' no_proxy='' proxy_host='' proxy_port='' proxy_user=''
	[ ! -r "$file" ] || {
		proxy=$(sed -n 's/^HTTPS_PROXY="\(.*\)"$/\1/p' "$file")
		no_proxy=$(sed -n 's/^NO_PROXY="\(.*\)"$/\1/p' "$file")
	}
	[ -n "$proxy" ] || return 0
	proxy_port=80 proxy_scheme=${proxy%%://*}
	[ "$proxy_scheme" = http ] || proxy_port=443
	proxy_host=${proxy#*://} proxy_host=${proxy_host%/}
	case $proxy_host in
	*@*) proxy_user=${proxy_host%@*} proxy_host=${proxy_host##*@} ;;
	esac
	case $proxy_host in
	*:*) proxy_port=${proxy_host##*:} proxy_host=${proxy_host%:*} ;;
	esac
}

# in_network ADDRESS ADDRESS/BITS, both IPv4
in_network() {
	awk -v one="$1" -v net="$2" '
		function number(text, part) {
			return split(text, part, ".") == 4 && text !~ /[^0-9.]/ ? ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] : -1
		}
		BEGIN {
			split(net, half, "/")
			size = 2 ^ (32 - half[2])
			exit !(number(one) >= 0 && number(half[1]) >= 0 && int(number(one) / size) == int(number(half[1]) / size))
		}'
}

# proxied HOST: it is asked for through the proxy. NO_PROXY as Go reads it (golang.org/x/net/http/httpproxy).
proxied() {
	[ -n "$proxy_host" ] || return 1
	for none in $(printf '%s\n' "$no_proxy" | tr , ' '); do
		none=${none#'*'}
		case $none in
		*/*) ! in_network "$1" "$none" || return 1 ;;
		*) case $1 in
			"$none" | *".${none#.}") return 1 ;;
			esac ;;
		esac
	done
}

# reaches HOST[:PORT], where images come from; for that there is only so much patience. What goes through the proxy is
# looked up there.
reaches() {
	host=${1%:*} port=${1##*:}
	[ "$host" != "$1" ] || port=443
	if proxied "$host"; then
		through_proxy "$host" "$port"
		return
	fi
	resolves "$host" || {
		why "The name $host cannot be resolved" \
			"Check network.nameservers of cluster.yaml, and that the name server runs; now: $(sed -n 's/^nameserver //p' "$root/etc/resolv.conf" | tr '\n' ' ')"
		return 1
	}
	knock "$host" "$port" && return 0
	why "$host, where container images come from, cannot be reached (TCP $port)" "Check that the router and a firewall let this node out"
	return 1
}

# knock HOST PORT
knock() {
	# shellcheck disable=SC2016 # for that bash
	timeout 10 bash -c ': <>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
}

# tunnel HOST PORT: prints the status with which the proxy answers. Name and password are in no argument and no environment.
tunnel() {
	# shellcheck disable=SC2016 # for that bash
	printf '%s\n' "$proxy_user" | timeout 20 bash -c '
		IFS= read -r user
		exec 3<>"/dev/tcp/$0/$1" || exit
		[ -z "$user" ] || user="Proxy-Authorization: Basic $(printf "%b" "${user//%/\\x}" | base64 -w 0)\r\n"
		printf "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%b\r\n" "$2" "$2" "$user" >&3
		read -r _ status _ <&3
		printf "%s\n" "$status"
	' "$proxy_host" "$proxy_port" "$1:$2" 2>/dev/null
}

# through_proxy HOST PORT. To a proxy that speaks TLS only the way is looked at.
through_proxy() {
	knock "$proxy_host" "$proxy_port" || {
		why "The proxy $proxy_host cannot be reached (TCP $proxy_port)" "Check network.proxy of cluster.yaml, and that the proxy runs"
		return 1
	}
	[ "$proxy_scheme" = http ] || return 0
	status=$(tunnel "$1" "$2")
	case $status in
	200) return 0 ;;
	407) why "The proxy $proxy_host wants a name and a password${proxy_user:+, and not these}" \
		"Give network.proxy in cluster.yaml as a secret that holds http://NAME:PASSWORD@$proxy_host:$proxy_port" ;;
	*) why "The proxy $proxy_host does not lead to $1, where container images come from (it answers ${status:-nothing})" \
		"Allow CONNECT to $1:$2 there" ;;
	esac
	return 1
}

# One of those that have the same images will do.
check_registries() {
	[ -z "$proxy_host" ] || resolves "$proxy_host" || {
		why "The name of the proxy, $proxy_host, cannot be resolved" \
			"Check network.proxy of cluster.yaml; a name that no name server knows goes into network.hosts"
		return 1
	}
	for same in $node_registries; do
		for one in $(printf '%s\n' "$same" | tr , ' '); do
			! reaches "$one" || continue 2
		done
		return 1
	done
	why ''
}

# With name servers from DHCP the kubelet reads a file that is made here.
pods_ask() {
	[ -e "$etc/resolv.conf" ] || "$lib/pod-dns"
}

ip_number() {
	printf '%s\n' "$1" | {
		IFS=. read -r a b c d
		printf '%s\n' $((a << 24 | b << 16 | c << 8 | d))
	}
}

# split CIDR: sets `number` and `width`; an address alone is a network of one. Without a process: it is asked often.
split() {
	number=${1%/*} width=${1#*/}
	[ "$width" != "$1" ] || width=32
	tail=${number#*.}
	rest=${tail#*.}
	number=$((${number%%.*} << 24 | ${tail%%.*} << 16 | ${rest%.*} << 8 | ${rest#*.}))
}

# overlap CIDR CIDR
overlap() {
	split "$1"
	first_number=$number first_width=$width
	split "$2"
	[ "$width" -le "$first_width" ] || width=$first_width
	[ $(((number ^ first_number) >> (32 - width))) -eq 0 ]
}

# "NETWORK INTERFACE" of what this machine has and reaches, without what Cilium makes. As a member its addresses alone:
# routes to pods of other nodes may be Cilium's too.
own_networks() {
	{
		ip -4 -o addr show | awk '{ print $4, $2 }'
		was_member || ip -4 route show | awk '$1 ~ /^[0-9]/ { for (i = 2; i < NF; i++) if ($i == "dev") print $1, $(i + 1) }'
	} | grep -vE ' (lo|cilium.*|lxc.*|veth.*)$' | sort -u
}

# first_free NETWORKS COUNT: sets `free` to the COUNTth proposal that none of these overlaps
first_free() {
	count=$2 free=''
	for network in $node_free; do
		for own in $1; do
			! overlap "$network" "$own" || continue 2
		done
		count=$((count - 1))
		[ "$count" -gt 0 ] || {
			free=$network
			return 0
		}
	done
	return 1
}

# Pods or services in a network that this machine lives in would cut it off.
check_own_networks() {
	owned=$(own_networks)
	networks=$(printf '%s\n' "$owned" | cut -d ' ' -f 1)
	set -- cluster.podCIDR "$node_podcidr" cluster.serviceCIDR "$node_servicecidr"
	hit='' set_keys='' nth=0
	while [ $# -gt 0 ]; do
		nth=$((nth + 1))
		while read -r own interface; do
			[ -n "$own" ] || continue
			overlap "$2" "$own" || continue
			hit=${hit:-"This node has or reaches $own on $interface, and $1 is $2: with K3s it would lose that network"}
			first_free "$networks" "$nth"
			set_keys="${set_keys:+$set_keys, }$1: ${free:-another network}"
			break
		done <<-EOT
			$owned
		EOT
		shift 2
	done
	[ -n "$hit" ] || return 0
	hopeless "$hit" "Set $set_keys in cluster.yaml, then flash the cards of all nodes again, the first server's with --start-new-cluster; or give the LAN another network"
	return 1
}

# Pools that L2 announcements cannot serve, seen from the network this node really got.
check_pools() {
	unnote pools
	pools=$node_pools
	[ -n "$pools" ] || return 0
	address=$(ip -4 -o addr show dev "$node_interface" scope global | awk '{ print $4; exit }')
	[ -n "$address" ] || return 0
	own=$(ip_number "${address%/*}") mask=$(((0xffffffff << (32 - ${address#*/})) & 0xffffffff))
	for pool in $pools; do
		first=$(ip_number "${pool%-*}") last=$(ip_number "${pool#*-}")
		if [ $((first & mask)) -ne $((own & mask)) ] || [ $((last & mask)) -ne $((own & mask)) ]; then
			note pools "The pool $pool is not in this node's network, $address: its addresses will not be reached" \
				"Choose loadBalancer.pools inside the network that the router hands out"
		elif [ "$own" -ge "$first" ] && [ "$own" -le "$last" ]; then
			note pools "This node's own address ${address%/*} is in the pool $pool" "Move the pool, or give the node another address"
		fi
	done
}

# What a driver does not take is left out with a line in NetworkManager's journal.
check_mtu() {
	unnote mtu
	[ -n "$node_mtu" ] && [ -r "$sys/class/net/$node_interface/mtu" ] || return 0
	read -r found <"$sys/class/net/$node_interface/mtu"
	[ "$found" = "$node_mtu" ] ||
		note mtu "$node_interface has an MTU of $found, not of $node_mtu as network.mtu says: large packets between nodes get lost" \
			"The interface may take no more: set network.mtu to what every node of the LAN takes"
}

# What hangs on addresses and routes alone: looked at once, and again when they change.
addresses=none
check_addresses() {
	found=$(ip -4 -o addr show && ip -4 route show)
	[ "$found" != "$addresses" ] || return 0
	check_own_networks || return
	pods_ask
	check_pools
	check_mtu
	addresses=$found
}

# Was part of its cluster before.
was_member() {
	[ -e "$stamps/k3s.done" ] || [ -e "$stamps/join.done" ]
}

# Until it was: what it needs to become that.
check_way_out() {
	check_network && check_address6 || return
	check_addresses || return
	unnote network
	if network_closed; then
		note network "Name service and registries were not checked: the network is closed"
		return 0
	fi
	# With all images on the card, or an overlay's registries of which nothing is known here, nobody else has to answer.
	[ "$node_airgap" != yes ] || return 0
	[ "$node_mirrors" = yes ] || [ ! -e "$root/etc/rancher/k3s/registries.yaml" ] || return 0
	find_proxy
	if check_registries; then
		return 0
	fi
	[ $((up - begin)) -ge "$patience" ] || return 1
	note network "$cause" "$cure"
	why ''
}

kernel_seen=''
finished() {
	uptime
	check_memory_cgroup && check_card || return 1
	# The kernel stays what it is: dozens of processes, every few seconds.
	[ -n "$kernel_seen" ] || {
		check_kernel
		check_address_bits
		check_sysctl
		kernel_seen=yes
	}
	check_power
	if was_member; then
		check_addresses || return 1
	else
		check_way_out || return 1
	fi
	check_clock
}
