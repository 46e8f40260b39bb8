#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Whole builds with archives that nobody wishes well, each pinned by its digest: tests/lib/hostile-archives.

load ../lib/image

# Every eighth of tests/lib/hostile-archives, from the HOSTILE-th on; STEP=1 takes all.
@test "a chart that nobody wishes well ends a build in words, or brings a clean image with nothing of it elsewhere" {
	write_cluster
	mkdir archives
	"$top/tests/lib/hostile-archives" archives cilium
	own_sandbox -- bash -c '
		mkdir -p "$PIBUILD_SANDBOX/www/helm.cilium.io"
		for file in $(ls archives | sed -n "${HOSTILE:-1}~${STEP:-8}p"); do
			cp "archives/$file" "$PIBUILD_SANDBOX/www/helm.cilium.io/cilium-1.20.0.tgz"
			python3 - "$PIBUILD_LOCK" "$(sha256sum <"archives/$file" | cut -d" " -f1)" >lock <<-EOT
			import re, sys
			head, tail = open(sys.argv[1]).read().split("- name: cilium-chart\n", 1)
			tail = re.sub(r"sha256: [0-9a-f]+", "sha256: " + sys.argv[2], tail, count=1)
			print(head + "- name: cilium-chart\n" + re.sub(r"  size: [0-9]+\n", "", tail, count=1))
			EOT
			status=0
			PIBUILD_LOCK=$PWD/lock timeout 120 "$PIBUILD" --progress none --cache cache --node cp-1 -o "out-$file" >"said-$file" 2>&1 || status=$?
			echo "$file $status"
		done' >ends 2>sandbox.log || { cat sandbox.log; return 1; }
	[ -s ends ]
	while read -r file status; do
		echo "$file $status $(cat "said-$file")"
		if [ "$status" -eq 0 ]; then
			[[ $file == harmless-* ]]
			judge "out-$file/cp-1.img"
			run ! root_has "out-$file/cp-1.img" /usr/share/pibuild/charts/x
			run ! root_has "out-$file/cp-1.img" /etc/x
		else
			[ "$status" -eq 1 ]
			[ "$(grep -c 'error: .*cilium' "said-$file")" = 1 ]
			[ ! -e "out-$file/cp-1.img" ]
		fi
	done <ends
}
