#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# os.packages in QEMU: a package of Debian's own archive and the one it needs, chosen by apt for what is installed in the base, pinned by
# the lock, installed from the card by the real dpkg before K3s starts, with no network; and power cuts while dpkg is at it. POINTS
# and SEED: how many cuts, and which.

load ../lib/life

VARIANT=dpkg
LOCK=lock.yaml

setup_file() {
	need_qemu
	need_loop
	curl -sI --max-time 10 https://deb.debian.org/debian/ >/dev/null || skip "Debian's archive cannot be reached"
	cd "$BATS_FILE_TMPDIR"
	write_cluster 'os: {packages: [ipset]}'
	sed -i '/name: w-1/d; s/rpi5/virt/' cluster.yaml
}

@test "the lock pins what the base lacks, no more" {
	# shellcheck disable=SC2016 # of the shell in there
	sandbox --base bootable --variant "$VARIANT" -- sh -c 'cp "$PIBUILD_LOCK" "$0" && "$@"' "$LOCK" \
		"$PIBUILD" --progress none --cache cache --lock "$LOCK" lock >said 2>&1 || { cat said; return 1; }
	python3 - "$LOCK" <<-'PYTHON'
		import sys, yaml
		(found,) = yaml.safe_load(open(sys.argv[1]))["packages"]
		assert found["wanted"] == ["ipset"], found
		assert sorted(p["name"] for p in found["list"]) == ["ipset", "libipset13t64"], found
	PYTHON
	took 'lock'
}

@test "they are installed without a network before K3s starts, and work" {
	card cp-1
	machine start cp-1 "$CARD" --memory 512 --cpus 1 --net user:192.168.1.0/24 --append pibuild.network=closed
	ready cp-1
	on cp-1 'ipset --version; dpkg --audit; dpkg --verify ipset libipset13t64; dpkg-query --show --showformat "\${db:Status-Abbrev}\${Package} \${Version}\n" ipset libipset13t64' >installed
	grep -q '^ipset v7' installed
	sed -n 's/^ii *//p' installed | diff - <(on cp-1 'sort /etc/pibuild/packages')
	[ "$(wc -l <installed)" -ge 3 ]
	# In this order, by the kernel's clock.
	on cp-1 'systemctl show -P ExecMainExitTimestampMonotonic pibuild-packages; systemctl show -P ExecMainStartTimestampMonotonic k3s' >moments
	sort -nC moments
	refute grep -qx 0 moments
	machine kill cp-1
	took 'first boot'
}

@test "power cuts at seeded points of the installation lead to the same end state" {
	set -o pipefail
	"$top/tests/power-cut" --points "${POINTS:-2}" --seed "${SEED:-1}" --lanes "${LANES:-2}" --during pibuild-packages \
		--expect '^package ipset .* ii ' "$(find "$PWD/cards" -name 'cp-1.*' | sort | tail -n 1)" |
		sed -u 's/^/# /' >&3
}
