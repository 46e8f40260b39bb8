#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: left out of `make test-fast`
# The network of a node: its NetworkManager keyfiles as libnm reads them, the code NetworkManager itself reads them with.

load ../lib/image

connections=etc/NetworkManager/system-connections

setup() {
	cd "$BATS_TEST_TMPDIR" || exit
	unset PIBUILD_MIRRORS PIBUILD_LOCK
	export WIFI_PASSPHRASE='correct horse battery'
}

# cluster NETWORK-LINE... -- NODE-LINE...
cluster() {
	{
		printf '%s\n' 'apiVersion: pibuild/v1' 'cluster: {name: lab}' 'access:' '  user: pi' "  sshKeys: ['$example_key']" network:
		while [ "$1" != -- ]; do printf '  %s\n' "$1"; shift; done
		shift
		printf '%s\n' nodes:
		printf '  - {%s}\n' "$@"
	} >cluster.yaml
}
static='name: cp-1, role: control-plane, board: rpi5, address: 192.168.1.11/24'
lan='subnet: 192.168.1.0/24'
router='gateway: 192.168.1.1'
dns='nameservers: [192.168.1.1]'
wlan='wifi: {ssid: Home, passphrase: {env: WIFI_PASSPHRASE}, country: DE}'

# render [NODE]: below ./NODE, secrets shown.
render() {
	"$PIBUILD" render --node "${1:-cp-1}" -o "${1:-cp-1}" --show-secrets --force >/dev/null 2>talk || { cat talk; return 1; }
}

# Debian's Python has gi; another one in PATH has not.
connection() {
	/usr/bin/python3 "$top/tests/lib/keyfile.py" "$1/$connections/pibuild-$2.nmconnection"
}

# is FILTER VALUE: of the connection in ./c.json
is() {
	[ "$(jq -cr "$1" c.json)" = "$2" ] || { echo "$1: expected $2"; cat c.json; return 1; }
}

# quoted TEXT: as a YAML string.
quoted() {
	jq -Rsn --arg text "$1" '$text'
}

@test "a static node has its address, gateway and DNS server, and no other connection" {
	cluster "$lan" "$router" "$dns" -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .type 802-3-ethernet
	is .interface eth0
	is .ipv4.method manual
	is .ipv4.addresses '["192.168.1.11/24"]'
	is .ipv4.gateway 192.168.1.1
	is .ipv4.dns '["192.168.1.1"]'
	[ "$(ls cp-1/$connections)" = pibuild-eth0.nmconnection ]
}

@test "a connection comes up by itself, is tried for ever, and IPv4 must succeed" {
	cluster "$lan" "$router" "$dns" -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .autoconnect true
	is .retries 0
	is .ipv4.mayFail false
	is .ipv6.mayFail true
}

@test "several DNS servers stand in their order" {
	cluster "$lan" "$router" 'nameservers: [9.9.9.9, 192.168.1.1, 1.1.1.1]' -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .ipv4.dns '["9.9.9.9","192.168.1.1","1.1.1.1"]'
}

@test "a node without address uses DHCP and the DNS servers DHCP names" {
	cluster 'interface: eth0' -- 'name: cp-1, role: control-plane, board: rpi5'
	render
	connection cp-1 eth0 >c.json
	is .ipv4.method auto
	is .ipv4.addresses '[]'
	is .ipv4.gateway null
	is .ipv4.dns '[]'
	is .ipv4.ignoreAutoDNS false
}

@test "DNS servers of cluster.yaml are all there are, whatever DHCP and the router's IPv6 name" {
	dhcp='name: cp-1, role: control-plane, board: rpi5'
	for node in "$static" "$dhcp"; do
		for link in eth0 eth0.20 wlan0; do
			case $link in
			eth0) kind='interface: eth0' ;;
			eth0.20) kind='vlan: 20' ;;
			wlan0) kind="interface: wlan0" ;;
			esac
			cluster "$lan" "$router" 'nameservers: [9.9.9.9, 1.1.1.1]' "$kind" "$wlan" -- "$node"
			render
			connection cp-1 $link >c.json
			is .ipv4.dns '["9.9.9.9","1.1.1.1"]'
			is '[.ipv4, .ipv6 | .ignoreAutoDNS, .searches]' '[true,[],true,[]]'
			is .ipv6.dns '[]'
			rm -r cp-1
		done
	done
}

@test "pods ask the name servers of cluster.yaml, three at most, and get no search domain" {
	cluster "$lan" "$router" 'nameservers: [9.9.9.9, 192.168.1.1, 1.1.1.1, 8.8.8.8]' -- "$static" 'name: w-1, role: worker, board: rpi4'
	for node in cp-1 w-1; do
		render $node
		grep -qx 'resolv-conf: /etc/pibuild/resolv.conf' $node/etc/rancher/k3s/config.yaml
		[ "$(cat $node/etc/pibuild/resolv.conf)" = $'nameserver 9.9.9.9\nnameserver 192.168.1.1\nnameserver 1.1.1.1' ]
		[ ! -e $node/etc/NetworkManager/dispatcher.d ]
	done
}

# resolves LINE...: what pods ask when NetworkManager has written these into resolv.conf
resolves() {
	printf '%s\n' "$@" >cp-1/etc/resolv.conf
	PIBUILD_ROOT=$PWD/cp-1 cp-1/usr/lib/pibuild/pod-dns eth0 up
	tr '\n' ' ' <cp-1/var/lib/pibuild/resolv.conf
}

@test "with name servers from DHCP pods get those, without search domains, and keep them while there are none" {
	cluster 'interface: eth0' -- 'name: cp-1, role: control-plane, board: rpi5'
	render
	grep -qx 'resolv-conf: /var/lib/pibuild/resolv.conf' cp-1/etc/rancher/k3s/config.yaml
	[ "$(readlink cp-1/etc/NetworkManager/dispatcher.d/50-pibuild-pod-dns)" = /usr/lib/pibuild/pod-dns ]
	[ "$(resolves '# nothing yet')" = 'nameserver 8.8.8.8 ' ]
	[ "$(resolves 'search home.example lan' 'nameserver 192.168.1.1')" = 'nameserver 192.168.1.1 ' ]
	[ "$(resolves 'nameserver 127.0.0.53' 'nameserver fd00::1' 'nameserver fe80::1%eth0' 'options edns0')" = 'nameserver 192.168.1.1 ' ]
	[ "$(resolves 'nameserver fd00::1' 'nameserver 10.0.0.1' 'nameserver 10.0.0.2' 'nameserver 10.0.0.3' 'nameserver 10.0.0.4')" = \
		'nameserver 10.0.0.1 nameserver 10.0.0.2 nameserver 10.0.0.3 ' ]
}

@test "the prefix of the address is the node's own" {
	cluster 'subnet: 10.0.0.0/20' 'gateway: 10.0.0.1' 'nameservers: [10.0.0.1]' -- \
		'name: cp-1, role: control-plane, board: rpi5, address: 10.0.15.254/20'
	render
	connection cp-1 eth0 >c.json
	is .ipv4.addresses '["10.0.15.254/20"]'
}

@test "a VLAN carries the address, and the interface below it has none" {
	cluster "$lan" "$router" "$dns" 'vlan: 20' -- "$static"
	render
	connection cp-1 eth0.20 >c.json
	is .type vlan
	is .interface eth0.20
	is .vlan.parent eth0
	is .vlan.id 20
	is .ipv4.addresses '["192.168.1.11/24"]'
	connection cp-1 eth0 >c.json
	is .type 802-3-ethernet
	is .ipv4.method disabled
	is .ipv6.method disabled
	[ "$(ls cp-1/$connections | wc -l)" -eq 2 ]
}

@test "a VLAN on DHCP takes its address there" {
	cluster 'vlan: 4094' -- 'name: cp-1, role: control-plane, board: rpi5'
	render
	connection cp-1 eth0.4094 >c.json
	is .vlan.id 4094
	is .ipv4.method auto
	connection cp-1 eth0 >c.json
	is .ipv4.method disabled
}

@test "interface: wlan0 puts every node on Wi-Fi, with WPA" {
	cluster "$lan" "$router" "$dns" 'interface: wlan0' "$wlan" -- "$static" \
		'name: w-1, role: worker, board: rpi4, address: 192.168.1.12/24'
	for node in cp-1 w-1; do
		render $node
		connection $node wlan0 >c.json
		is .type 802-11-wireless
		is .interface wlan0
		is .wifi '{"ssid":"Home","mode":"infrastructure","keyMgmt":"wpa-psk","psk":"correct horse battery","powersave":2,"hidden":false,"mtu":0}'
		[ "$(ls $node/$connections)" = pibuild-wlan0.nmconnection ]
	done
	is .ipv4.addresses '["192.168.1.12/24"]'
}

@test "only nodes without Ethernet use Wi-Fi when the interface is a wired one" {
	cluster "$lan" "$router" "$dns" "$wlan" -- "$static" 'name: w-1, role: worker, board: zero2w, address: 192.168.1.12/24'
	render cp-1
	render w-1
	[ "$(ls cp-1/$connections)" = pibuild-eth0.nmconnection ]
	[ "$(ls w-1/$connections)" = pibuild-wlan0.nmconnection ]
	refute grep -rq 'correct horse' cp-1
	grep -qw cfg80211.ieee80211_regdom=DE w-1/boot/firmware/cmdline.txt
	refute grep -q regdom cp-1/boot/firmware/cmdline.txt
}

@test "the radio is switched on where it is used, and only there" {
	cluster "$lan" "$router" "$dns" "$wlan" -- "$static" 'name: w-1, role: worker, board: zero2w, address: 192.168.1.12/24'
	render cp-1
	render w-1
	state=var/lib/NetworkManager/NetworkManager.state
	[ ! -e cp-1/$state ]
	[ "$(python3 -c '
import configparser, sys
c = configparser.ConfigParser()
c.read(sys.argv[1])
print(c["main"]["WirelessEnabled"], c["main"]["NetworkingEnabled"])' w-1/$state)" = 'true true' ]
	[ "$(stat -c %a w-1/$state)" = 600 ]
}

@test "any name of a Wi-Fi network arrives as it is" {
	local ssid
	for ssid in Home ' leading' 'trailing ' '   ' 'a  b' '"quoted"' "it's" '\' '\s' 'a\;b' ';' '1;2;' '65;66;' ' 72; 111 ;' '16' \
		'x;y' '#hash' '[wifi]' 'psk=x' 'Größe' '日本語' '📶 wifi' '%s%n' '$(id)' '{a: b}' '12345678901234567890123456789012'; do
		cluster "$lan" "$router" "$dns" 'interface: wlan0' \
			"wifi: {ssid: $(quoted "$ssid"), passphrase: {env: WIFI_PASSPHRASE}, country: DE}" -- "$static"
		render
		connection cp-1 wlan0 >c.json
		is .wifi.ssid "$ssid"
	done
}

@test "any passphrase arrives as it is" {
	local psk
	for psk in ' leading' 'trailing  ' '"quoted"' "it's mine" '\\\\\\\\' '\s\n\t\r' 'a;b;c;d;' '49;50;51;52;' '#no comment' \
		'[ipv4]method=x' 'a=b=c=d=' '$(reboot)`id`' '{a: *b, c}' \
		'123456789012345678901234567890123456789012345678901234567890123'; do
		cluster "$lan" "$router" "$dns" 'interface: wlan0' "$wlan" -- "$static"
		WIFI_PASSPHRASE=$psk render
		connection cp-1 wlan0 >c.json
		is .wifi.psk "$psk"
	done
}

@test "a key of 64 hexadecimal digits stands where the passphrase does, and a hidden network is asked for by name" {
	cluster "$lan" "$router" "$dns" 'interface: wlan0' "${wlan/country/hidden: true, country}" -- "$static"
	WIFI_PASSPHRASE=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef render
	connection cp-1 wlan0 >c.json
	is .wifi.psk 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
	is .wifi.hidden true
	cluster "$lan" "$router" "$dns" 'interface: wlan0' "$wlan" -- "$static"
	render
	connection cp-1 wlan0 >c.json
	is .wifi.hidden false
}

@test "an MTU is that of the interface, of a VLAN and of what is below it, and of Wi-Fi" {
	cluster "$lan" "$router" "$dns" -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .mtu 0
	cluster "$lan" "$router" "$dns" 'mtu: 9000' -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .mtu 9000
	grep -qx 'mtu 9000' cp-1/etc/pibuild/node
	rm -r cp-1
	cluster "$lan" "$router" "$dns" 'mtu: 9000' 'vlan: 20' -- "$static"
	render
	for link in eth0 eth0.20; do
		connection cp-1 $link >c.json
		is .mtu 9000
	done
	cluster "$lan" "$router" "$dns" 'mtu: 1400' 'interface: wlan0' "$wlan" -- "$static"
	render
	connection cp-1 wlan0 >c.json
	is .wifi.mtu 1400
}

@test "search domains are the nodes' own, and pods get none" {
	cluster "$lan" "$router" "$dns" 'searchDomains: [home.example.com, lan]' -- "$static"
	render
	connection cp-1 eth0 >c.json
	is .ipv4.searches '["home.example.com","lan"]'
	is .ipv6.searches '[]'
	refute grep -rq 'home.example.com' cp-1/etc/pibuild cp-1/etc/rancher
}

@test "a node has an interface of its own: an adapter, its VLAN, Wi-Fi among wired nodes, Ethernet on a board without" {
	cluster "$lan" "$router" "$dns" "$wlan" -- "$static, interface: eth1" \
		'name: w-1, role: worker, board: rpi5, address: 192.168.1.12/24, interface: wlan0' \
		'name: w-2, role: worker, board: zero2w, address: 192.168.1.13/24, interface: eth0' \
		'name: w-3, role: worker, board: rpi5, address: 192.168.1.14/24'
	for pair in cp-1:eth1 w-1:wlan0 w-2:eth0 w-3:eth0; do
		render ${pair%:*}
		[ "$(ls ${pair%:*}/$connections)" = "pibuild-${pair#*:}.nmconnection" ]
		grep -qx "interface ${pair#*:}" ${pair%:*}/etc/pibuild/node
	done
	refute grep -q regdom w-2/boot/firmware/cmdline.txt
	cluster "$lan" "$router" "$dns" 'vlan: 20' -- "$static, interface: eth1"
	rm -r cp-1
	render
	connection cp-1 eth1.20 >c.json
	is .vlan.parent eth1
	[ "$(ls cp-1/$connections | wc -l)" -eq 2 ]
}

@test "time servers, host names and kernel settings land in the files of the programs that read them" {
	cluster "$lan" "$router" "$dns" 'ntp: [192.168.1.1, time.lan]' 'hosts: {nas.lan: 192.168.1.5, api.lan: 192.168.1.11}' -- "$static"
	printf '%s\n' 'os: {sysctl: {vm.swappiness: 10, net.ipv4.tcp_rmem: 4096 87380 6291456, net/ipv4/conf/eth0.20/log_martians: "1"}}' >>cluster.yaml
	render
	[ "$(cat cp-1/etc/systemd/timesyncd.conf.d/50-pibuild.conf)" = $'[Time]\nNTP=192.168.1.1 time.lan' ]
	grep -qx 'ntp 192.168.1.1 time.lan' cp-1/etc/pibuild/node
	[ "$(tail -n 2 cp-1/etc/hosts)" = $'192.168.1.5\tnas.lan\n192.168.1.11\tapi.lan' ]
	[ "$(cat cp-1/etc/sysctl.d/60-pibuild.conf)" = $'vm.swappiness = 10\nnet.ipv4.tcp_rmem = 4096 87380 6291456\nnet/ipv4/conf/eth0.20/log_martians = 1' ]
}

# environment NODE: of its K3s, as lines NAME=VALUE
environment() {
	python3 - "$1"/etc/systemd/system/*.service.env <<-'EOT'
		import shlex, sys
		assert len(sys.argv) == 2
		print(*shlex.split(open(sys.argv[1]).read(), posix=True), sep="\n")
	EOT
}

@test "a proxy is the environment of K3s, on servers and workers, and what is the cluster's own or on the LAN goes around it" {
	cluster "$lan" "$router" "$dns" 'hosts: {nas.lan: 192.168.1.5, web.example.com: 192.0.2.1}' \
		'proxy: {http: http://proxy.lan:3128, noProxy: [.example.net]}' -- "$static" 'name: w-1, role: worker, board: rpi5'
	printf '%s\n' 'certManager: {email: me@my-domain.org}' >>cluster.yaml
	sed -i 's/cluster: {name: lab}/cluster: {name: lab, endpoint: api.my-domain.org}/' cluster.yaml
	none='localhost,127.0.0.0/8,::1,.svc,.cluster.local,10.42.0.0/16,10.43.0.0/16,192.168.1.0/24,api.my-domain.org,cp-1,192.168.1.11,w-1,nas.lan,.example.net'
	for pair in cp-1:k3s w-1:k3s-agent; do
		render ${pair%:*}
		[ "$(environment ${pair%:*})" = "HTTP_PROXY=http://proxy.lan:3128
HTTPS_PROXY=http://proxy.lan:3128
NO_PROXY=$none" ]
		[ "$(stat -c %a ${pair%:*}/etc/systemd/system/${pair#*:}.service.env)" = 600 ]
	done
	[ "$(grep _proxy cp-1/etc/pibuild/cert-manager-values.yaml)" = "http_proxy: http://proxy.lan:3128
https_proxy: http://proxy.lan:3128
no_proxy: $none" ]
	[ "$(stat -c %a cp-1/etc/pibuild/cert-manager-values.yaml)" = 644 ]
}

@test "a proxy with a password is nowhere but in files that are root's alone" {
	cluster "$lan" "$router" "$dns" 'proxy: {http: http://proxy.lan:3128, https: {env: PROXY}}' -- "$static"
	printf '%s\n' 'certManager: {email: me@my-domain.org}' >>cluster.yaml
	export PROXY='http://me:hun%22ter2@proxy.lan:3129'
	render
	environment cp-1 | grep -qx 'HTTP_PROXY=http://proxy.lan:3128'
	environment cp-1 | grep -qxF "HTTPS_PROXY=$PROXY"
	[ "$(grep -rl 'ter2@proxy' cp-1 | sort)" = 'cp-1/etc/pibuild/cert-manager-values.yaml
cp-1/etc/systemd/system/k3s.service.env' ]
	[ "$(grep -rl 'ter2@proxy' cp-1 | xargs stat -c %a | sort -u)" = 600 ]
	rm -r cp-1
	"$PIBUILD" render --node cp-1 -o cp-1 >said 2>&1
	refute grep -rq 'ter2' cp-1 said
	environment cp-1 | grep -qx 'HTTPS_PROXY=<masked>'
}

@test "a passphrase from a file loses its line end and nothing else" {
	printf '  two blanks \n' >pass
	cluster "$lan" "$router" "$dns" 'interface: wlan0' 'wifi: {ssid: Home, passphrase: {file: pass}, country: DE}' -- "$static"
	render
	connection cp-1 wlan0 >c.json
	is .wifi.psk '  two blanks '
}

@test "names and passphrases that no network can have are refused" {
	cluster "$lan" "$router" "$dns" 'interface: wlan0' \
		'wifi: {ssid: "a\nb", passphrase: {env: WIFI_PASSPHRASE}, country: DE}' -- "$static"
	fails 3 'cannot hold control characters' "$PIBUILD" check
	cluster "$lan" "$router" "$dns" 'interface: wlan0' \
		'wifi: {ssid: "123456789012345678901234567890é1", passphrase: {env: WIFI_PASSPHRASE}, country: DE}' -- "$static"
	fails 3 'has 1 to 32 bytes' "$PIBUILD" check
	cluster "$lan" "$router" "$dns" 'interface: wlan0' "$wlan" -- "$static"
	WIFI_PASSPHRASE=short fails 3 '8 to 63 characters' "$PIBUILD" check
	WIFI_PASSPHRASE=$'correct\nhorse' fails 3 'more than one line' "$PIBUILD" check
}

@test "without --show-secrets the passphrase is masked" {
	cluster "$lan" "$router" "$dns" 'interface: wlan0' "$wlan" -- "$static"
	"$PIBUILD" render --node cp-1 -o masked >said 2>&1
	connection masked wlan0 >c.json
	is .wifi.psk '<masked>'
	refute grep -rq 'correct horse' masked said
}

@test "keyfiles are private whatever the umask, or NetworkManager ignores them" {
	cluster "$lan" "$router" "$dns" 'vlan: 20' -- "$static"
	umask 000
	render
	[ "$(stat -c %a cp-1/$connections/* | sort -u)" = 600 ]
	umask 077
	rm -r cp-1
	render
	[ "$(stat -c %a cp-1/$connections/* | sort -u)" = 600 ]
}

@test "a connection has the same uuid in every build and another one on every node and interface" {
	cluster "$lan" "$router" "$dns" 'vlan: 20' -- "$static" 'name: w-1, role: worker, board: rpi5, address: 192.168.1.12/24'
	render cp-1
	render w-1
	cat ./*/$connections/* | sed -n 's/^uuid=//p' >first
	[ "$(sort -u first | wc -l)" -eq 4 ]
	grep -qE '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' first
	rm -r cp-1 w-1
	mkdir elsewhere && cp cluster.yaml elsewhere && cd elsewhere
	TZ=Asia/Tokyo LC_ALL=C render cp-1
	TZ=Asia/Tokyo LC_ALL=C render w-1
	cat ./*/$connections/* | sed -n 's/^uuid=//p' | cmp - ../first
}

# matches LINK: one of the patterns in $specs.
matches() {
	local spec
	for spec in $(set -f && echo $specs); do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $spec ]] || return 0
	done
	return 1
}

@test "NetworkManager leaves Cilium's links alone" {
	cluster "$lan" "$router" "$dns" -- "$static"
	render
	specs=$(sed -n 's/^unmanaged-devices=//p' cp-1/etc/NetworkManager/conf.d/*.conf | tr ';' '\n' | sed -n 's/^interface-name://p')
	for link in cilium_host cilium_net cilium_vxlan lxc1234 lxc_health; do
		matches "$link" || { echo "$link is managed: $specs"; return 1; }
	done
	for link in eth0 wlan0 eth0.20; do
		refute matches "$link"
	done
}
