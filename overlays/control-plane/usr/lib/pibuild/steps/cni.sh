# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# Cilium by its own command line, from the chart on this card. Hubble is part of the values.

chart=$charts/cilium
values=$etc/cilium-values.yaml

inputs() {
	printf '%s\n' "$values $chart/Chart.yaml"
}

ready() {
	need_program cilium && need_file "$values" "$chart/Chart.yaml"
}

apply() {
	unstick kube-system cilium || return
	# An upgrade takes up the values of the last release, unless it is told not to: what was taken out of the file would
	# stay in the cluster (cilium/cilium, cilium-cli/cli/install.go of CLI v0.19.7).
	set -- install
	! has_release kube-system cilium || set -- upgrade --reset-values
	timeout 900 cilium "$@" --chart-directory "$chart" --values "$values" --wait-duration 14m
}

finished() {
	deployed kube-system cilium || return
	pods_ready kube-system app.kubernetes.io/part-of=cilium || return 1
	found=$(timeout 120 cilium status --wait --wait-duration 60s --interactive=false 2>&1) && return 0
	why "Cilium is not ready yet: $(printf '%s\n' "$found" | grep -iE 'error|unavailable|pending|warning|timeout' | tail -n 1)" \
		"Images are downloaded at first; if it stays so: kubectl -n kube-system get pods, cilium status"
	return 1
}
