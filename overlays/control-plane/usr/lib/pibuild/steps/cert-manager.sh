# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: cert-manager
# needs: cni
# bound: 1800
#
# cert-manager by helm, from the chart on this card.

chart=$charts/cert-manager.tgz
values=$etc/cert-manager-values.yaml

inputs() {
	printf '%s\n' "$chart $values"
}

ready() {
	need_program helm && need_file "$chart" "$values"
}

apply() {
	unstick cert-manager cert-manager || return
	timeout 1200 helm upgrade --install cert-manager "$chart" --namespace cert-manager --create-namespace \
		--reset-values --values "$values" --timeout 15m
}

underway() {
	pods cert-manager || return 1
	row=$(worst 1-3) || return 0
	blame cert-manager "$row"
	return 1
}

finished() {
	deployed cert-manager cert-manager || return
	established clusterissuers.cert-manager.io certificates.cert-manager.io || return
	available cert-manager app.kubernetes.io/instance=cert-manager || return
	whole_release cert-manager cert-manager
}
