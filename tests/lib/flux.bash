# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests with gitops.flux: what a release of Flux begins with.

# flux_install: its namespace and its definitions, without the controllers
flux_install() {
	printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-system\n'
	for kind in source:GitRepository:gitrepositories kustomize:Kustomization:kustomizations; do
		IFS=: read -r group name plural <<<"$kind"
		printf -- '---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: %s.%s.toolkit.fluxcd.io\nspec:\n  group: %s.toolkit.fluxcd.io\n  names:\n    kind: %s\n    plural: %s\n  versions:\n  - name: v1\n' \
			"$plural" "$group" "$group" "$name" "$plural"
	done
}
