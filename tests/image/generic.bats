#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Generic images: one per role, safe to publish; stamped on the card they are the node's own image.

load ../lib/image
load ../lib/disk

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_three
	export DO_TOKEN=dop_v1_0123456789abcdef
	build -o out >/dev/null 2>&1
	# A machine without the cluster's secrets makes them.
	mkdir public && cp cluster.yaml public/
	(cd public && unset DO_TOKEN && CACHE=$BATS_FILE_TMPDIR/cache build -o generic --generic >stdout 2>stderr)
}

# Three servers, so that one of them is the first, and a DNS token that only it holds.
write_three() {
	write_cluster 'certManager:' '  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' \
		'  zones: [home.my-domain.org]'
	cat >>cluster.yaml <<-EOT
		  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}
		  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}
	EOT
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	generic=public/generic
}

teardown() {
	detach_all
}

# stamp IMAGE NODE [OPTION]...: onto a new disk, which is then $disk.
stamp() {
	local image=$1 node=$2
	shift 2
	flash_new "$@" --cache "$BATS_TEST_TMPDIR/cache" flash "$image" --node "$node"
}

# flash_new ARGUMENT...: onto a new disk, the first one of this cluster.
flash_new() {
	disk=$BATS_TEST_TMPDIR/disk
	rm -f "$disk" flashed.jsonl && truncate -s 256M "$disk"
	local loop
	loop=$(attach "$disk")
	sandbox -- env DO_TOKEN=dop_v1_0123456789abcdef "$PIBUILD" --progress none "$@" --yes --serial "$(identity "$loop")" "$loop"
}

@test "one image per role with its manifest, readable by everybody, and no secrets file is made for it" {
	[ "$(cd $generic && echo *.img *.manifest.json)" = "control-plane.img worker.img control-plane.manifest.json worker.manifest.json" ]
	(umask 022 && [ "$(stat -c %a $generic/worker.img)" = 644 ])
	[ ! -e public/secrets.yaml ]
	grep -q '^generic/worker.img	worker' public/stdout
	judge $generic/worker.img
	judge $generic/control-plane.img
}

@test "a generic image knows no node, no cluster, no user, no key and no address" {
	local image
	for image in worker control-plane; do
		[ "$(jq -r '[.cluster, .node, .board] | map(. // "none") | join(" ")' $generic/$image.manifest.json)" = "none none none" ]
		root_cat $generic/$image.img /etc/pibuild/manifest.json | cmp - $generic/$image.manifest.json
		run ! grep -aqE 'cp-1|w-1|192\.168\.1\.1|AAAAC3NzaC1lZDI1NTE5|my-domain|dop_v1' $generic/$image.img
		run ! root_has $generic/$image.img /etc/rancher/k3s/config.yaml
		run ! root_has $generic/$image.img /etc/pibuild/node
		root_has $generic/$image.img /usr/local/bin/k3s
	done
}

@test "inspect finds all of a generic image in order, and says what it is" {
	run "$PIBUILD" inspect $generic/worker.img
	[ "$status" -eq 0 ]
	[[ "$output" == *'generic: worker, for `pibuild flash IMAGE --node NAME DISK`'* ]]
	[ "$("$PIBUILD" inspect --json $generic/worker.img | jq '[.files[].state] | map(select(. == "changed" or . == "missing")) | length')" = 0 ]
}

@test "verify finds a generic image good, diff tells what the stamp adds" {
	run "$PIBUILD" verify $generic/control-plane.img
	[ "$status" -eq 0 ]
	[[ "$output" == *"generic, control-plane"* && "$output" == *"a generic image is no node yet"* ]]
	run "$PIBUILD" diff $generic/worker.img out/w-1.img
	[ "$status" -eq 1 ]
	[[ "$output" == *"/etc/rancher/k3s/config.yaml"* && "$output" != *"/usr/local/bin/k3s"* ]]
}

@test "stamped on the card it is the node's own card, byte for byte, with nothing from the cache" {
	need_loop
	local node role
	for node in cp-1 cp-2 w-1; do
		role=worker
		[ $node = w-1 ] || role=control-plane
		stamp $generic/$role.img $node --offline
		detach_all
		mv "$disk" "$BATS_TEST_TMPDIR/stamped"
		flash_new --cache cache flash --node $node
		detach_all
		cmp "$disk" "$BATS_TEST_TMPDIR/stamped"
	done
	# A worker's has no mark of birth: it is its image.
	cmp -n "$(stat -c %s out/w-1.img)" out/w-1.img "$disk"
	[ -z "$(find "$BATS_TEST_TMPDIR/cache" -type f)" ]
}

@test "a compressed generic image does as well, and leaves nothing behind" {
	need_loop
	zstd -q -1 -c $generic/worker.img >"$BATS_TEST_TMPDIR/worker.img.zst"
	stamp "$BATS_TEST_TMPDIR/worker.img.zst" w-1
	cmp -n "$(stat -c %s out/w-1.img)" out/w-1.img "$disk"
	[ -z "$(find "$BATS_TEST_TMPDIR/cache" -type f)" ]
}

@test "what does not fit is refused by its name, before the disk is touched" {
	need_loop
	fails 3 "is for the role worker, and cp-1 is of the role control-plane" stamp $generic/worker.img cp-1
	fails 2 "out/w-1.img is the image of the node w-1 already" stamp out/w-1.img w-1
	fails 2 "--node wants a generic image" stamp cluster.yaml w-1
	mkdir -p old && sed 's/^nodes:/versions: {k3s: v1.35.8+k3s1}\nnodes:/' cluster.yaml >old/cluster.yaml
	cp secrets.yaml old/
	fails 3 "k3s v1.36.4+k3s1, not v1.35.8+k3s1" stamp $generic/worker.img w-1 -c old/cluster.yaml
	[ -z "$(tr -d '\0' <"$disk" | head -c 1)" ]
}

@test "nodes whose overlays need other room cannot share a generic image" {
	mkdir -p own/overlays/w-2/opt && cp cluster.yaml own/
	echo '  - {name: w-2, role: worker, board: rpi5, address: 192.168.1.15/24}' >>own/cluster.yaml
	"$PIBUILD" plan -c own/cluster.yaml --generic >/dev/null
	truncate -s 40M own/overlays/w-2/opt/big
	fails 3 "w-1 and w-2 cannot share a generic image: your overlays for one of them are larger by 32 MiB or more" "$PIBUILD" plan -c own/cluster.yaml --generic
	"$PIBUILD" plan -c own/cluster.yaml >/dev/null
}

@test "--generic is for all nodes of a role" {
	fails 2 "give --role instead of --node" "$PIBUILD" build --generic --node w-1
	[ "$("$PIBUILD" plan --generic --role worker --json | jq -c '[.nodes[] | [.name, .generic, .board]]')" = '[["worker",true,null]]' ]
}
