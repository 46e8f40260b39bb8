# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# Definitions of the Gateway API, before Cilium: its operator looks for them once, at its start. From v1.37 on K3s
# brings them itself; then there is no file, and they are only waited for.

manifest=$etc/manifests/gateway-api.yaml

inputs() {
	[ ! -e "$manifest" ] || printf '%s\n' "$manifest"
}

definitions() {
	if [ -e "$manifest" ]; then
		awk '/^kind: / { crd = $2 == "CustomResourceDefinition" } crd && /^  name: [a-z0-9.]+$/ { print $2; crd = 0 }' "$manifest"
	else
		printf '%s.gateway.networking.k8s.io\n' gatewayclasses gateways httproutes grpcroutes referencegrants
	fi
}

apply() {
	[ ! -e "$manifest" ] || apply_files "$manifest"
}

finished() {
	# shellcheck disable=SC2046 # names without blanks
	established $(definitions)
}
