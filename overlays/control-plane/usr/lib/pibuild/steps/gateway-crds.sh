# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Definitions of the Gateway API
# needs: k3s
# bound: 600
#
# Definitions of the Gateway API, before Cilium: its operator looks for them once, at its start. From v1.37 on K3s brings
# them itself, but by a Job whose pod needs the network first (manifests/gateway-api-crd.yaml, no bootstrap chart); it takes
# over what it finds (takeOwnership).

manifest=$etc/manifests/gateway-api.yaml

inputs() {
	printf '%s\n' "$manifest"
}

ready() {
	need_file "$manifest"
}

definitions() {
	awk '/^kind: / { crd = $2 == "CustomResourceDefinition" } crd && /^  name: [a-z0-9.]+$/ { print $2; crd = 0 }' "$manifest"
}

apply() {
	apply_files "$manifest"
}

finished() {
	whole -f "$manifest" || return
	# shellcheck disable=SC2046 # names without blanks
	established $(definitions)
}
