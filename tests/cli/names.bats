#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names that must exist: time zones, locales, keyboards, countries. A name of the right form that names nothing is found.

load ../lib/image

# cluster BASE KEY VALUE
cluster() {
	local access='' country=DE
	case $2 in
	country) country=$3 ;;
	*) access=", $2: $3" ;;
	esac
	cat >cluster.yaml <<-EOT
		apiVersion: pibuild/v1
		cluster: {name: lab}
		os: {base: $1}
		access: {user: pi, sshKeys: [$example_key]$access}
		network: {interface: wlan0, wifi: {ssid: Home, passphrase: {command: [x]}, country: $country}}
		nodes: [{name: cp-1, role: control-plane, board: rpi4}]
		cilium: {ingress: false, gatewayAPI: false}
	EOT
}

# judged CODE WORDS: of check, one fault or none
judged() {
	streams "$PIBUILD" -q check
	[ "$status" -eq "$1" ] || { echo "exit $status instead of $1: $stderr"; return 1; }
	[[ "$stderr" == *"$2"* ]] || { echo "not said: $2"; echo "$stderr"; return 1; }
	[ "$(grep -c ': error: [a-z]' <<<"$stderr")" -le 2 ]
}

@test "names that do not exist are refused with the one that was meant, and that one is taken" {
	while IFS='|' read -r key value words cure; do
		cluster raspios "$key" "$value"
		judged 3 "$words${cure:+ $cure}"
		[ -n "$cure" ] || continue
		cluster raspios "$key" "${cure%\?}"
		judged 0 ''
	done <<-'EOT'
		timezone|US/Eastern|access.timezone: 'US/Eastern' is not in Debian 13's tzdata (it moved to tzdata-legacy), so the clock would show UTC; write|America/New_York
		timezone|US/Pacific|write|America/Los_Angeles
		timezone|GB|write|Europe/London
		timezone|Japan|write|Asia/Tokyo
		timezone|Europe/Kiev|write|Europe/Kyiv
		timezone|Asia/Calcutta|write|Asia/Kolkata
		timezone|EST5EDT|write|America/New_York
		timezone|PRC|write|Asia/Shanghai
		timezone|Europe/Berlim|there is no time zone 'Europe/Berlim'; did you mean|Europe/Berlin?
		timezone|europe/berlin|did you mean|Europe/Berlin?
		timezone|Berlin|did you mean|Europe/Berlin?
		timezone|utc|did you mean|UTC?
		timezone|us/eastern|did you mean|America/New_York?
		timezone|CEST|there is no time zone 'CEST'; |
		timezone|Europe|there is no time zone 'Europe'; |
		timezone|posix/Europe/Berlin|there is no time zone 'posix/Europe/Berlin'; |
		timezone|GMT+2|there is no time zone 'GMT+2'; name a place, such as Europe/Berlin, which knows summer time, or write|Etc/GMT-2
		timezone|UTC-5|or write|Etc/GMT+5
		timezone|GMT-14|configs/names/timezones.txt lists them|
		timezone|Mars/Olympus|configs/names/timezones.txt lists them|
		locale|en_UK.UTF-8|'en_UK.UTF-8' is no locale of the C library; write|en_GB.UTF-8
		locale|de_DR.UTF-8|there is no locale 'de_DR.UTF-8'; did you mean|de_DE.UTF-8?
		locale|xx_YY.UTF-8|configs/names/locales.txt lists them|
		keyboard|uk|'uk' is a keymap of the console, not an XKB layout; write|gb
		keyboard|de-latin1|write|de
		keyboard|en|there is no XKB layout 'en'; |
		keyboard|germn|there is no XKB layout 'germn'; |
		country|UK|network.wifi.country: 'UK' is not the country's code in ISO 3166, so Wi-Fi would not follow its rules; write|GB
		country|EN|there is no country 'EN'; |
		country|EU|there is no country 'EU'; |
	EOT
}

@test "names that exist are taken, in every list" {
	for name in timezone:America/Argentina/Buenos_Aires timezone:Etc/GMT-2 timezone:UTC timezone:Pacific/Auckland \
		locale:C.UTF-8 locale:pt_BR.UTF-8 locale:aa_ER.UTF-8 locale:eo.UTF-8 keyboard:latam keyboard:us country:US; do
		cluster raspios "${name%%:*}" "${name#*:}"
		judged 0 ''
		[ -z "$stderr" ] || { echo "$name: $stderr"; return 1; }
	done
	cluster raspios country MM
	judged 0 'note: network.wifi.country: Linux knows no Wi-Fi rules of MM'
}

@test "another base has its own names: Debian 12 the old zones, an image of one's own whatever it has" {
	cluster raspios-bookworm timezone US/Eastern
	judged 0 ''
	cluster raspios-bookworm timezone US/Estern
	judged 3 "there is no time zone 'US/Estern'"
	truncate -s 1M own.img
	cluster "own.img, sha256: $(sha256sum own.img | cut -d ' ' -f 1)" timezone Europe/Berlim
	judged 0 "note: access.timezone: Debian 13 has no time zone 'Europe/Berlim', perhaps your base has; did you mean Europe/Berlin?"
	cluster 'debian' timezone US/Eastern
	judged 3 'write America/New_York'
}

@test "the lists are what the packages of Debian make" {
	for list in "$top"/configs/names/*.txt; do
		[[ $list != *-keys.txt && $list != */feature-gates.txt && $list != */sshd-keywords.txt ]] || continue # from sources that are not packages
		[[ "$(head -n 1 "$list")" =~ ^'# Made by scripts/make-names from '[a-z-]+' '[0-9].*' of Debian trixie'$ ]]
	done
	[ -d "$top/build/names" ] || skip "no packages are kept; scripts/make-names downloads them"
	"$top/scripts/make-names" --check
}

# ---- zones ----

@test "zones that no public authority serves are refused, each with its reason" {
	while read -r zone reserved; do
		cluster raspios timezone UTC
		echo "certManager: {dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: [$zone]}" >>cluster.yaml
		judged 3 "certManager.zones[0]: Let's Encrypt never issues a certificate for $zone: '$reserved' "
		[[ "$stderr" == *'; use a domain of your own, whose names may lead to private addresses'* ]]
	done <<-'EOT'
		home.lan lan
		lab.home.lan lan
		home.local local
		k8s.internal internal
		home.arpa arpa
		a.home.arpa arpa
		10.in-addr.arpa arpa
		lab.test test
		lab.example example
		lab.invalid invalid
		a.localhost localhost
		my.home home
		my.corp corp
		my.mail mail
		my.intranet intranet
		my.private private
		a.localdomain localdomain
		xyz.onion onion
		xyz.alt alt
		fritz.box fritz.box
		k3s.fritz.box fritz.box
	EOT
	for zone in com '192.168.1.1' '*.my-domain.org' my-domain.org.; do
		cluster raspios timezone UTC
		echo "certManager: {dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: ['$zone']}" >>cluster.yaml
		judged 3 "certManager.zones[0]: '$zone' cannot be used"
	done
	cluster raspios timezone UTC
	echo "certManager: {dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: [häuschen.de]}" >>cluster.yaml
	judged 3 "certManager.zones[0]: 'häuschen.de' cannot be used: DNS writes letters other than a to z in a form of its own, which begins with xn--; write that"
}

@test "zones of the internet are taken; what is most likely none is a note" {
	for zone in my-domain.org lan.my-domain.org local.co.uk home.box a.xn--p1ai my.homes corp.dev plan.net fritz.box.de; do
		cluster raspios timezone UTC
		echo "certManager: {dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: [$zone]}" >>cluster.yaml
		judged 0 ''
		[ -z "$stderr" ] || { echo "$zone: $stderr"; return 1; }
	done
	while read -r zone words; do
		cluster raspios timezone UTC
		echo "certManager: {dns01: {provider: cloudflare, apiToken: {command: [x]}}, zones: [$zone]}" >>cluster.yaml
		judged 0 "note: certManager.zones[0]: $words"
	done <<-'EOT'
		home.router '.router' was no top-level domain of the internet
		my.homelab '.homelab' was no top-level domain of the internet
		co.uk under co.uk a registry gives out domains
		com.au under com.au a registry gives out domains
		home.example.com example.com is set aside for documentation
	EOT
}
