#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# First boot survives power cuts, at as many seeded points as `make test-powercut` and `make test-life` have time for; at every second
# one the disk also loses what was not flushed.

load ../lib/boot

@test "a power cut anywhere in first boot leads to the same end state" {
	need_qemu
	cd "$BATS_TEST_TMPDIR"
	export DO_TOKEN=dop_v1_0123456789
	build_node cp-1 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:' \
		'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]'
	set -o pipefail
	"$top/tests/power-cut" --points "${POINTS:-1}" --seed "${SEED:-2}" --lanes "${LANES:-1}" out/cp-1.img | sed -u 's/^/# /' >&3
}
