# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Certificate issuers
# needs: cert-manager
# bound: 600
#
# Issuers, certificates, and the secret that proves the zone is yours. The secret is on the card only until the cluster
# has it.

issuers=$etc/manifests/issuers.yaml
secret=$etc/secrets/dns01.yaml

inputs() {
	printf '%s\n' "$issuers"
}

ready() {
	need_file "$issuers" && established clusterissuers.cert-manager.io certificates.cert-manager.io
}

apply() {
	[ ! -e "$secret" ] || apply_files "$secret" || return
	apply_files "$issuers"
}

finished() {
	whole -f "$issuers" || return
	for issuer in $node_issuers; do
		found=$(ask get clusterissuer "$issuer" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}' 2>&1)
		case $found in
		"True "*) ;;
		"False "* | "Unknown "* | ' ' | '')
			why "Issuer $issuer is not ready yet: ${found#* }" "It registers with Let's Encrypt: this needs the internet, and an e-mail address that exists"
			return 1
			;;
		*)
			explain_text "$found"
			return 1
			;;
		esac
	done
	# They need minutes and the DNS of others: the report looks after them from here on.
	certificates || true
	check_secret
}

# The issuers are Ready without it, and no certificate comes; the card has not had it since the cluster took it.
check_secret() {
	unnote dns01
	grep -q '^ *name: dns01$' "$issuers" || return 0
	found=$(ask -n cert-manager get secret dns01 -o name 2>&1) && return 0
	case $found in
	*NotFound*) ;;
	*) return 0 ;;
	esac
	[ ! -e "$secret" ] || return 2
	note dns01 "The cluster has lost the secret that proves the zones are yours, and so has this card: no certificate is made or renewed" \
		"Build and flash this node's card again"
}

# Overwritten first; a card may keep old blocks all the same, so a lost card means new keys at the DNS provider.
cleanup() {
	[ -e "$secret" ] || return 0
	shred --iterations=1 --zero --remove=unlink "$secret"
	sync "${secret%/*}"
	say "issuers: removed $secret, which the cluster holds now"
}
