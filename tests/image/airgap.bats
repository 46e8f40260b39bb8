#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# airgap: the archive of container images on the cards, fetched from a real registry and judged by skopeo and tar.
# shellcheck disable=SC2154,SC2016 # variables of the library and of other shells

load ../lib/image

images_dir=/var/lib/rancher/k3s/agent/images

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	write_cluster 'airgap: true'
	SANDBOX=--airgap build -o out >list
	sandbox --airgap -- bash -c 'cp "$PIBUILD_LOCK" lock; cp "$PIBUILD_SANDBOX/images" images'
	for node in cp-1 w-1; do
		on_root out/$node.img "dump $images_dir/pibuild-images.tar $PWD/$node.tar"
	done
	mkdir layout && tar -xf w-1.tar -C layout
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
}

# images_of NODE: what its manifest says.
images_of() {
	jq -r '.images[] | .name + ":" + .tag' "out/$1.manifest.json" | sort
}

# again DIR: the same cluster with the same secrets in a folder of its own.
again() {
	mkdir "$1"
	cp cluster.yaml secrets.yaml "$1/"
}

@test "every node holds the same archive, readable by all, and the file systems are sound" {
	for node in cp-1 w-1; do
		judge "out/$node.img"
		[ "$(root_mode "out/$node.img" $images_dir/pibuild-images.tar)" = 0644 ]
		[ "$(root_owner "out/$node.img" $images_dir/pibuild-images.tar)" = 0:0 ]
		root_has "out/$node.img" $images_dir/k3s-airgap-images-arm64.tar.zst
	done
	cmp cp-1.tar w-1.tar
}

@test "the manifest states digest and size of the archive, and the digest of each image" {
	jq -e --arg d "$(sha256sum <w-1.tar | cut -d' ' -f1)" --argjson n "$(stat -c %s w-1.tar)" \
		'.files[] | select(.path | endswith("/pibuild-images.tar")) | .sha256 == $d and .size == $n' out/w-1.manifest.json
	jq -r '.images[] | .name + ":" + .tag + " sha256:" + .sha256' out/w-1.manifest.json | sort >stated
	[ "$(wc -l <stated)" -eq 7 ]
	[ -z "$(sort images | comm -13 - stated)" ]
	root_cat out/w-1.img /etc/pibuild/release.json | jq -e '.images | length == 7'
}

@test "the images are those the chart asks for by tag" {
	root_cat out/cp-1.img /usr/share/pibuild/charts/cilium/values.yaml >chart.yaml
	for name in cilium hubble-relay cilium-envoy certgen hubble-ui hubble-ui-backend; do
		tag=$(grep -A3 "repository: quay.io/cilium/$name\$" chart.yaml | sed -n 's/.*tag: //p')
		images_of cp-1 | grep -qx "quay.io/cilium/$name:$tag"
	done
	images_of cp-1 | grep -q '^quay.io/cilium/operator-generic:v1'
	refute grep -q 'useDigest: true' <(root_cat out/cp-1.img /etc/pibuild/cilium-values.yaml)
}

@test "tar lists plain files of root without a time, and nothing after them" {
	tar -tvf w-1.tar >listing 2>tar.err
	[ ! -s tar.err ]
	refute grep -vq '^-rw-r--r-- 0/0 .* 1970-01-01 00:00 \(oci-layout\|index.json\|blobs/sha256/[0-9a-f]\{64\}\)$' listing
	[ "$(TZ=UTC tar -tf w-1.tar | sort | uniq -d | wc -l)" -eq 0 ]
	[ $(($(stat -c %s w-1.tar) % 512)) -eq 0 ]
}

@test "every blob of the archive is what its name says" {
	cd layout/blobs/sha256
	for f in *; do echo "$f  $f"; done | sha256sum -c --quiet
}

@test "skopeo finds each image under its tag and copies all of it" {
	for ref in $(images_of w-1); do
		skopeo --insecure-policy --override-os linux --override-arch arm64 copy -q "oci-archive:w-1.tar:$ref" "dir:copy-${ref##*/}"
		[ -s "copy-${ref##*/}/manifest.json" ]
		jq -r '.config.digest, .layers[].digest' "copy-${ref##*/}/manifest.json" | sed 's/sha256://' | while read -r blob; do
			cmp "copy-${ref##*/}/$blob" "layout/blobs/sha256/$blob"
		done
		skopeo --override-os linux --override-arch arm64 inspect "oci-archive:w-1.tar:$ref" | jq -e '.Architecture == "arm64"'
	done
}

@test "containerd finds the names K3s looks for, and upstream's digest at the top" {
	jq -e .imageLayoutVersion layout/oci-layout | grep -qx '"1.0.0"'
	jq -r '.manifests[] | .annotations["io.containerd.image.name"] + " " + .digest' layout/index.json | sort >tops
	diff tops stated
	jq -e '.manifests | all(.mediaType == "application/vnd.oci.image.index.v1+json" and .annotations["org.opencontainers.image.ref.name"] == .annotations["io.containerd.image.name"])' layout/index.json
}

@test "another folder, umask, time zone and a cold cache give the same bytes" {
	again other
	(cd other && umask 077 && TZ=Asia/Tokyo SANDBOX=--airgap CACHE=$PWD/cold build -o out --node w-1 >/dev/null)
	cmp out/w-1.img other/out/w-1.img
	cmp out/w-1.manifest.json other/out/w-1.manifest.json
}

@test "a build offline from the same cache gives the same bytes" {
	again offline
	PIBUILD_LOCK=lock "$PIBUILD" -c offline/cluster.yaml --offline --progress none --cache cache -o offline/out --node w-1 >/dev/null
	cmp out/w-1.img offline/out/w-1.img
}

@test "a layer that was damaged in the cache ends with code 4 and is fetched anew" {
	blob=$(jq -r '.layers[0].digest' copy-cilium:*/manifest.json | cut -d: -f2)
	cp -r cache hurt && rm -rf hurt/layers
	object=hurt/objects/${blob:0:2}/$blob
	cp "$object" whole
	chmod u+w "$object"
	# as long as before, then shorter
	for damage in "printf X | dd of=$object conv=notrunc status=none" "truncate -s -1 $object"; do
		bash -c "$damage"
		PIBUILD_LOCK=lock fails 4 'a part of a container image in the cache is damaged' \
			"$PIBUILD" --offline --progress none --cache hurt -o hurt/out --node w-1
		[[ "$output" == *"$blob"* ]]
		[ ! -e "$object" ]
		[ ! -e hurt/out/w-1.img ]
		cp whole "$object"
	done
	rm "$object"
	SANDBOX=--airgap CACHE=$PWD/hurt build -o hurt/out --node w-1 >/dev/null
	cmp out/w-1.img hurt/out/w-1.img
}

@test "another digest of an image makes another layer" {
	sed '/repository\|cilium\/certgen/,/digest/s/digest: sha256:..../digest: sha256:0000/' lock >lock2
	refute cmp -s lock lock2
	for l in lock lock2; do
		PIBUILD_LOCK=$l "$PIBUILD" plan --json | jq -r '.nodes[].layer' >"$l.layers"
	done
	[ "$(sort lock.layers lock2.layers | uniq -d | wc -l)" -eq 0 ]
}

@test "cert-manager's images come with cert-manager, Envoy's where Envoy runs" {
	export PIBUILD_LOCK=$PWD/lock
	plan() { "$PIBUILD" plan --json -c "$1/cluster.yaml" | jq -r '.images[].name'; }
	mkdir issuers pi4 plain
	(cd issuers && write_cluster 'airgap: true' 'certManager: {email: a@example.com, issuers: [letsencrypt-staging], zones: [home.example.com],' \
		'  dns01: {provider: cloudflare, apiToken: {file: token}}}' && echo x >token && chmod 600 token)
	[ "$(plan issuers | grep -c /jetstack/cert-manager-)" -eq 5 ]
	(cd pi4 && write_cluster 'airgap: true' && sed -i 's/rpi5/rpi4/' cluster.yaml)
	[ "$(plan pi4 | grep -c cilium-envoy)" -eq 0 ]
	plan pi4 | grep -q hubble-relay
	(cd plain && write_cluster)
	[ -z "$(plan plain)" ]
}
