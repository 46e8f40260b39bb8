# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Certificate issuers
# needs: cert-manager
# bound: 600
#
# Issuers, certificates, and their secrets: what proves that the zone is yours, and the cluster's own CA. Secrets are on
# the card only until the cluster has them.

issuers=$etc/manifests/issuers.yaml
names='dns01 issuer-ca'

inputs() {
	printf '%s\n' "$issuers"
}

# A lost card means new keys at the DNS provider all the same, and `pibuild secrets rotate issuer-ca`.
staged() {
	for secret in $names; do
		printf '%s\n' "$etc/secrets/$secret.yaml"
	done
}

ready() {
	need_file "$issuers" && established clusterissuers.cert-manager.io certificates.cert-manager.io
}

apply() {
	# shellcheck disable=SC2046 # paths of pibuild's own, without blanks
	apply_files $(secrets) "$issuers"
}

finished() {
	whole -f "$issuers" || return
	for secret in $names; do
		check_secret || return
	done
	for issuer in $node_issuers; do
		asked get clusterissuer "$issuer" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}'
		case $found in
		"True "*) ;;
		"False "* | "Unknown "* | ' ' | '')
			remedy="It registers with Let's Encrypt: this needs the internet, and an e-mail address that exists"
			[ "$issuer" != ca ] || remedy="See why: kubectl describe clusterissuer ca"
			why "Issuer $issuer is not ready yet: ${found#* }" "$remedy"
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
}

# Most issuers are Ready without it, and no certificate comes; the card has not had it since the cluster took it.
check_secret() {
	unnote "$secret"
	grep -qE "^ *(name|secretName): $secret\$" "$issuers" || return 0
	asked -n cert-manager get secret "$secret" -o name && return 0
	case $found in
	*NotFound*) ;;
	*) return 0 ;;
	esac
	[ ! -e "$etc/secrets/$secret.yaml" ] || return 2
	what="secret that proves the zones are yours"
	[ "$secret" = dns01 ] || what="key of its CA for certificates"
	note "$secret" "The cluster has lost the $what, and so has this card: no certificate is made or renewed" \
		"Build and flash this node's card again"
}
