#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Compressed images, judged by xz, zstd and bmaptool; and images that are built again from their manifest.

load ../lib/image
load ../lib/companions

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	"$PIBUILD" -q sign --new-key key
	build -o out --node cp-1 >/dev/null
	sandbox -- bash -c 'cp "$PIBUILD_LOCK" lock'
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

@test "--compress xz and zst: one file, the same image, the same bytes with one processor and two" {
	for form in xz zst; do
		again $form
		(cd $form && build -o out --node cp-1 >/dev/null && build -o out --node cp-1 --compress $form --sign key >/dev/null)
		[ "$(cd $form/out && ls *.img*)" = "$(printf 'cp-1.img.%s\n' $form $form.sha256 $form.sha256.sig)" ]
		${form/zst/zstd} -q -t $form/out/cp-1.img.$form
		${form/zst/zstd} -q -dc $form/out/cp-1.img.$form | cmp - out/cp-1.img
		(cd $form/out && sha256sum --quiet --strict -c cp-1.img.$form.sha256)
		cmp $form/out/cp-1.bmap out/cp-1.bmap
		bmaptool copy $form/out/cp-1.img.$form "$BATS_TEST_TMPDIR/card" 2>&1 | grep -q "discovered bmap file"
		cmp out/cp-1.img "$BATS_TEST_TMPDIR/card"
		[ "$(jq -r '.subject[1] | "\(.name) \(.digest.sha256)"' $form/out/cp-1.provenance.json)" = \
			"cp-1.img $(sha256sum <out/cp-1.img | cut -d' ' -f1)" ]
		python3 "$top/tests/lib/spdx.py" $form/out/cp-1.spdx.json
		(cd $form && CACHE=$PWD/../cache sandbox -- taskset -c 0 "$PIBUILD" --progress none --cache ../cache -o one \
			--node cp-1 --compress $form --sign key >/dev/null)
		for f in $form/out/*; do cmp "$f" "$form/one/${f##*/}"; done
		"$PIBUILD" -q sign --key key $form/out/cp-1.img.$form >/dev/null
		"$PIBUILD" verify --key key.pub $form/out/cp-1.img.$form >report
		[ "$(grep -c '^  ok' report)" -eq 14 ]
		[ "$("$PIBUILD" diff --brief out $form/out)" = 'cp-1: same' ]
		flip $form/one/cp-1.img.$form 100000
		fails 4 "cp-1.img.$form" "$PIBUILD" --progress none sign --key key $form/one/cp-1.img.$form
	done
	fails 2 "--compress wants xz or zst" "$PIBUILD" build --compress gz
}

@test "imager: the nodes as devices of Raspberry Pi Imager, each with its own image; another's image is refused" {
	copy
	export PIBUILD_CONFIG=$PWD/cluster.yaml
	manifest=$copy/lab.rpi-imager-manifest
	for form in '' .xz; do
		[ -z "$form" ] || { xz -T0 -1 "$copy/cp-1.img" && rm "$manifest"; }
		[ "$("$PIBUILD" imager -o "$copy" 2>said)" = "$manifest" ]
		grep -q '^pibuild: warning: w-1 has no image in .* and is left out: `pibuild build --node w-1 .*` makes it' said || { cat said; return 1; }
		jq -e --arg url "file://$copy/cp-1.img$form" --arg sha "$(sha256sum <out/cp-1.img | cut -d' ' -f1)" \
			--argjson raw "$(stat -c %s out/cp-1.img)" --argjson size "$(stat -c %s "$copy/cp-1.img$form")" '
			([.imager.devices[] | .name, .tags, .matching_type] == ["cp-1", ["cp-1"], "exclusive"]) and (.os_list | length == 1) and
			(.os_list[0] | .url == $url and .extract_sha256 == $sha and .extract_size == $raw and .image_download_size == $size
				and .devices == ["cp-1"] and .init_format == "none" and (.release_date | test("^[0-9-]{10}$"))
				and .description == "control-plane, rpi5, 192.168.1.11" and has("name") and has("icon"))' "$manifest" || { cat "$manifest"; stat -c "%s %n" out/cp-1.img "$copy"/*; return 1; }
	done
	while read -r dir url; do
		"$PIBUILD" -q imager -o "$copy" --dir "$dir" >/dev/null 2>&1
		[ "$(jq -r '.os_list[0].url' "$manifest")" = "$url/cp-1.img.xz" ]
	done <<-'EOT'
		C:\home\my-lab\ file:///C:/home/my-lab
		d:/a#b?ü file:///d:/a%23b%3F%C3%BC
		\\nas\share file://nas/share
		/Users/me/out file:///Users/me/out
	EOT
	"$PIBUILD" imager -o "$copy" --base-url http://nas.lan/lab/ >/dev/null 2>said
	[ "$(jq -r '.os_list[0].url' "$manifest")" = http://nas.lan/lab/cp-1.img.xz ]
	grep -q '^pibuild: warning: Raspberry Pi Imager keeps what it downloads in its cache' said
	fails 2 "--dir out: a whole path was expected here" "$PIBUILD" imager -o "$copy" --dir out
	fails 2 "--dir and --base-url exclude each other" "$PIBUILD" imager -o "$copy" --dir /a --base-url https://a
	fails 2 "--base-url ftp://a: an address that begins with" "$PIBUILD" imager -o "$copy" --base-url ftp://a
	mv "$copy/cp-1.img.xz" "$copy/w-1.img.xz" && mv "$copy/cp-1.manifest.json" "$copy/w-1.manifest.json"
	fails 3 "w-1.img.xz is the image of 'cp-1' in the cluster 'lab': build it again from" "$PIBUILD" imager -o "$copy"
	rm "$copy/w-1.manifest.json"
	fails 3 "which says whose image" "$PIBUILD" imager -o "$copy"
	rm "$copy/w-1.img.xz"
	fails 2 "no node of" "$PIBUILD" imager -o "$copy"
}

@test "--reproduce says identical, and what differs, and leaves nothing behind" {
	copy
	mkdir "$BATS_TEST_TMPDIR/map" && cp "$copy/cp-1.manifest.json" "$copy/cp-1.bmap" "$BATS_TEST_TMPDIR/map/"
	before=$(find . "$BATS_TEST_TMPDIR" -not -path '*/cache/tmp*' | sort)
	[[ "$(build --reproduce "$copy/cp-1.manifest.json")" == *"identical (compared the file list and every byte of "*cp-1.img")"* ]]
	[[ "$(build --reproduce "$BATS_TEST_TMPDIR/map/cp-1.manifest.json")" == *"every range of"* ]]
	build --reproduce "$copy/cp-1.manifest.json" --json | jq -e '.identical and .node == "cp-1" and .differences == []'
	flip "$copy/cp-1.img" 9000000
	fails 4 "bytes 8998912 to 9003007 differ" build --reproduce "$copy/cp-1.manifest.json"
	rm "$copy/cp-1.img"
	sed 's/Berlin/Paris/' cluster.yaml >other.yaml
	fails 4 "files: /etc/timezone: it was" build --reproduce "$copy/cp-1.manifest.json" -c other.yaml --secrets secrets.yaml
	rm other.yaml
	fails 2 "is of the node cp-1" build --reproduce "$copy/cp-1.manifest.json" --node w-1
	[ "$(find . "$BATS_TEST_TMPDIR" -not -path '*/cache/tmp*' | sort)" = "$(grep -v 'copy/cp-1.img$' <<<"$before")" ]
}

@test "--reproduce goes by the manifest's pins and time, not by the lock in force" {
	again pinned
	cd pinned
	sed -E "s/^time: .*/time: 2030-01-01T00:00:00Z/; /name: helm/,/sha256:/ s/sha256: ./sha256: 0/" ../lock >lock
	cmp -s lock ../lock && return 1
	sandbox -- env PIBUILD_LOCK=lock "$PIBUILD" --progress none --cache ../cache --reproduce ../out/cp-1.manifest.json
}
