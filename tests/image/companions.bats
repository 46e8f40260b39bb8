#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What stands beside an image: judged by bmaptool, sha256sum, openssl and jq; repeatable; and whatever is touched is
# found. `pibuild sign` looks at everything before it signs, so it stands here for all who look.

load ../lib/image
load ../lib/companions

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	"$PIBUILD" -q sign --new-key key
	build -o out --sign key >/dev/null
	build -o plain --node cp-1 >/dev/null
	sandbox -- bash -c 'cp "$PIBUILD_LOCK" lock'
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

# same FOLDER: all that stands in out/ of cp-1, byte by byte.
same() {
	local f
	for f in out/cp-1.*; do cmp "$f" "$1/${f##*/}" || return 1; done
	[ "$(ls "$1"/cp-1.*)" = "$(ls out/cp-1.* | sed "s|^out|$1|")" ]
}

@test "every image has its companions, and only those that were asked for" {
	[ "$(ls plain)" = "$(printf 'cp-1.%s\n' bmap img manifest.json provenance.json spdx.json)" ]
	[ "$(cd out && ls cp-1.*)" = "$(printf 'cp-1.%s\n' bmap img img.sha256 img.sha256.sig manifest.json provenance.json spdx.json)" ]
	[ "$(stat -c %a out/cp-1.img)" = 600 ]
	[ "$(stat -c %a out/cp-1.bmap)" = 600 ]
}

@test "bmaptool copies by the map, finds it by itself, and gets the image" {
	bmaptool copy out/cp-1.img "$BATS_TEST_TMPDIR/card" 2>&1 | grep -q "discovered bmap file"
	cmp out/cp-1.img "$BATS_TEST_TMPDIR/card"
	flip "$BATS_TEST_TMPDIR/card" 9000000
	refute bmaptool copy --bmap out/cp-1.bmap "$BATS_TEST_TMPDIR/card" "$BATS_TEST_TMPDIR/card2"
}

@test "a card full of old bytes is whole after only the mapped blocks were written" {
	python3 - out/cp-1.bmap out/cp-1.img "$BATS_TEST_TMPDIR/card" <<-'EOT'
		import hashlib, sys
		from xml.etree import ElementTree
		xml = ElementTree.parse(sys.argv[1]).getroot()
		size = int(xml.find("ImageSize").text)
		with open(sys.argv[2], "rb") as image, open(sys.argv[3], "wb") as card:
		    for _ in range(size >> 20):
		        card.write(b"\xff" * (1 << 20))
		    for r in xml.find("BlockMap"):
		        first, last = (int(x) for x in r.text.split("-"))
		        image.seek(first * 4096)
		        data = image.read((last - first + 1) * 4096)
		        assert hashlib.sha256(data).hexdigest() == r.attrib["chksum"]
		        card.seek(first * 4096)
		        card.write(data)
		    card.truncate(size)
	EOT
	judge "$BATS_TEST_TMPDIR/card"
	"$PIBUILD" inspect "$BATS_TEST_TMPDIR/card" >/dev/null
	[ "$(root_cat "$BATS_TEST_TMPDIR/card" /etc/hostname)" = cp-1 ]
}

@test "sha256sum accepts the digests, openssl the signature" {
	(cd out && sha256sum --quiet --strict -c cp-1.img.sha256 w-1.img.sha256)
	[ "$(wc -l <out/cp-1.img.sha256)" -eq 5 ]
	openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in out/cp-1.img.sha256 -sigfile out/cp-1.img.sha256.sig
	refute openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in out/w-1.img.sha256 -sigfile out/cp-1.img.sha256.sig
}

@test "--sha256 alone writes digests and no signature; a build without it takes old ones away" {
	cp -r --sparse=always plain older
	build -o older --node cp-1 --sha256 >/dev/null
	(cd older && sha256sum --quiet --strict -c cp-1.img.sha256)
	[ ! -e older/cp-1.img.sha256.sig ]
	touch older/cp-1.img.sha256.sig older/cp-1.img.xz older/cp-1.img.xz.sha256
	build -o older --node cp-1 >/dev/null
	[ "$(ls older)" = "$(ls plain)" ]
	cmp older/cp-1.provenance.json plain/cp-1.provenance.json
}

@test "the SBOM holds to SPDX 2.3 and names all that is on the card or pulled" {
	for f in out/cp-1 out/w-1 plain/cp-1; do python3 "$top/tests/lib/spdx.py" $f.spdx.json; done
	sbom=out/cp-1.spdx.json
	# Every pin of the manifest, by digest.
	[ "$(jq -c '[.base, .artifacts[]] | map([.name, .version, .sha256]) | sort' out/cp-1.manifest.json)" = \
		"$(jq -c '[.packages[] | select(.SPDXID | test("^SPDXRef-(Base|Artifact)")) | [.name, .versionInfo, .checksums[0].checksumValue]] | sort' $sbom)" ]
	jq -e '[.packages[] | select(.externalRefs[]?.referenceLocator == "pkg:github/k3s-io/k3s@v1.36.4%2Bk3s1")] | length == 1' $sbom
	# What pods pull is depended on.
	jq -e '.relationships[] | select(.relationshipType == "DEPENDS_ON" and (.relatedSpdxElement | test("Container.*-cilium$")))' $sbom
	# Debian's packages: those that are installed, as they are.
	[ "$(jq -c '[.packages[] | select(.SPDXID | test("^SPDXRef-Deb")) | [.name, .versionInfo, .externalRefs[0].referenceLocator, .supplier]]' $sbom)" = \
		'[["base-files","13.8+deb13u1","pkg:deb/debian/base-files@13.8%2Bdeb13u1?arch=arm64","Person: Santiago Vila (sanvila@debian.org)"],["libstdc++6","14.2.0-19","pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=arm64","Person: Debian GCC Maintainers (debian-gcc@lists.debian.org)"],["network-manager","1:1.52.1-1+rpt1","pkg:deb/debian/network-manager@1%3A1.52.1-1%2Brpt1?arch=arm64","Person: Utopia Maintenance Team (pkg-utopia-maintainers@lists.alioth.debian.org)"]]' ]
	[ "$(jq -r '.packages[0].checksums[0].checksumValue' $sbom)" = "$(sha256sum <out/cp-1.img | cut -d' ' -f1)" ]
	jq -e '.packages[0].checksums == null' plain/cp-1.spdx.json
}

@test "the provenance is a SLSA v1 statement of what was built from what" {
	p=out/cp-1.provenance.json
	jq -e '._type == "https://in-toto.io/Statement/v1" and .predicateType == "https://slsa.dev/provenance/v1"
		and (.predicate | keys) == ["buildDefinition", "runDetails"]
		and (.predicate.buildDefinition | keys) == ["buildType", "externalParameters", "resolvedDependencies"]
		and (.predicate.runDetails.builder | keys) == ["id", "version"]
		and ([.subject[], .predicate.buildDefinition.resolvedDependencies[]] | all(.digest.sha256 | test("^[0-9a-f]{64}$")))' $p
	while read -r sha256 name; do
		[ "$(sha256sum <"out/$name" | cut -d' ' -f1)" = "$sha256" ]
	done < <(jq -r '.subject[] | "\(.digest.sha256) \(.name)"' $p)
	[ "$(jq -r '[.subject[].name] | join(" ")' $p)" = "cp-1.img cp-1.manifest.json cp-1.bmap cp-1.spdx.json" ]
	[ "$(jq -r '[.subject[].name] | join(" ")' plain/cp-1.provenance.json)" = "cp-1.manifest.json cp-1.bmap cp-1.spdx.json" ]
	[ "$(jq -r '.predicate.buildDefinition.externalParameters.config.digest.sha256' $p)" = "$(sha256sum <cluster.yaml | cut -d' ' -f1)" ]
	[ "$(jq -r '.predicate.buildDefinition.externalParameters.lock.digest.sha256' $p)" = "$(sha256sum <lock | cut -d' ' -f1)" ]
	[ "$(jq -c '[.base, .artifacts[]] | map(.sha256)' out/cp-1.manifest.json)" = \
		"$(jq -c '[.predicate.buildDefinition.resolvedDependencies[].digest.sha256]' $p)" ]
	refute grep -q -e "$PWD" -e "$(hostname)" $p
}

@test "no secret is in any of them" {
	for secret in $(grep -oE '[0-9a-f]{32,}' secrets.yaml | sort -u); do
		refute grep -qF "$secret" out/cp-1.manifest.json out/cp-1.bmap out/cp-1.spdx.json out/cp-1.provenance.json
	done
}

@test "a generic image has them too, for everybody, and they name no node" {
	build -o generic --generic --role worker --sign key >/dev/null
	[ "$(ls generic)" = "$(printf 'worker.%s\n' bmap img img.sha256 img.sha256.sig manifest.json provenance.json spdx.json)" ]
	[ "$(stat -c %a generic/worker.bmap)" = 644 ]
	(cd generic && sha256sum --quiet --strict -c worker.img.sha256)
	bmaptool copy generic/worker.img "$BATS_TEST_TMPDIR/card" 2>&1 | grep -q "discovered bmap file"
	cmp generic/worker.img "$BATS_TEST_TMPDIR/card"
	python3 "$top/tests/lib/spdx.py" generic/worker.spdx.json
	jq -e '.predicate.buildDefinition.externalParameters | .role == "worker" and .node == null' generic/worker.provenance.json
	refute grep -q w-1 generic/worker.spdx.json generic/worker.provenance.json
	"$PIBUILD" -q --progress none sign --key key generic/worker.img >/dev/null
}

@test "any byte that is changed is found and named before anything is signed" {
	copy
	"$PIBUILD" -q --progress none sign --key key "$copy/cp-1.img" >/dev/null
	for at in 9000000 150000000; do
		flip "$copy/cp-1.img" $at
		# The range that the block map knows, or the byte where there must be zeros.
		fails 4 "byte" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
		[[ "$output" == *"bytes $((at / 1048576 * 1048576)) to"* || "$output" == *"byte $at "* ]]
		flip "$copy/cp-1.img" $at
	done
	for file in manifest.json bmap spdx.json provenance.json img.sha256; do
		size=$(stat -c %s "$copy/cp-1.$file")
		for at in $((size / 3)) $((size - 1)); do
			flip "$copy/cp-1.$file" "$at"
			fails 4 "cp-1.$file" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
			flip "$copy/cp-1.$file" "$at"
		done
	done
	# Without digests of the whole, each vouches for the next.
	rm "$copy"/cp-1.img.sha256*
	for file in manifest.json bmap spdx.json; do
		flip "$copy/cp-1.$file" 300
		fails 4 "cp-1.$file" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
		flip "$copy/cp-1.$file" 300
	done
	flip "$copy/cp-1.img" 9000000
	fails 4 "bytes 8388608 to 9437183" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
	flip "$copy/cp-1.img" 9000000
	"$PIBUILD" -q --progress none sign --key key "$copy/cp-1.img" >/dev/null
	cmp "$copy/cp-1.img.sha256.sig" out/cp-1.img.sha256.sig
}

@test "verify asks all of them, and the signature when it has a key" {
	"$PIBUILD" verify --key key.pub out/cp-1.img >report
	grep -q '^  ok  *companions .* 6 companions$' report
	copy
	flip "$copy/cp-1.img" 150000000
	fails 4 "bmap: $copy/cp-1.img: byte 150000000 is not zero" "$PIBUILD" verify "$copy/cp-1.img"
	openssl genpkey -algorithm ed25519 | openssl pkey -pubout -out stranger.pub
	fails 4 "signature: out/cp-1.img.sha256.sig: " "$PIBUILD" verify --key stranger.pub out/cp-1.img
	fails 4 "signature: plain/cp-1.img.sha256.sig: there is no signature" "$PIBUILD" verify --key key.pub plain/cp-1.img
}

@test "companions of another node's image are refused" {
	copy
	cp out/w-1.spdx.json "$copy/cp-1.spdx.json"
	fails 4 "cp-1.spdx.json" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
	copy
	cp out/w-1.manifest.json "$copy/cp-1.manifest.json"
	rm "$copy/cp-1.img.sha256" "$copy/cp-1.provenance.json"
	fails 4 "not the manifest that lies on the card" "$PIBUILD" --progress none sign --key key "$copy/cp-1.img"
}

@test "a key others can read, an encrypted one and what is no key are refused before anything is built" {
	cp key open && chmod 644 open
	fails 5 "can be read by others" "$PIBUILD" build --sign open -o nothing
	openssl pkey -in key -aes256 -passout pass:x -out locked && chmod 600 locked
	fails 3 "is encrypted" "$PIBUILD" build --sign locked -o nothing </dev/null
	install -m 600 cluster.yaml no-key
	fails 3 "is no private Ed25519 key" "$PIBUILD" build --sign no-key -o nothing
	openssl genpkey -algorithm ed25519 -out theirs && chmod 600 theirs
	"$PIBUILD" -q --progress none sign --key theirs plain/cp-1.img
	openssl pkey -in theirs -pubout -out theirs.pub
	openssl pkeyutl -verify -pubin -inkey theirs.pub -rawin -in plain/cp-1.img.sha256 -sigfile plain/cp-1.img.sha256.sig
	rm plain/cp-1.img.sha256*
	fails 5 "is there already" "$PIBUILD" sign --new-key key
	fails 2 "--key" "$PIBUILD" sign out/cp-1.img
}

@test "another folder, user mask, time zone, locale, clock and a cold cache: the same companions" {
	again "a folder/with spaces"
	(cd "a folder/with spaces" && umask 077 && TZ=Asia/Tokyo LC_ALL=C CACHE=$PWD/cache build -o "the out" --sign key --node cp-1 >/dev/null)
	same "a folder/with spaces/the out"
	again clock
	mkdir clock/cache && cp -r cache/objects clock/cache/
	(cd clock && PIBUILD_LOCK=../lock at_clock -3650d taskset -c 0 "$PIBUILD" --offline --progress none --cache cache -o out --sign key --node cp-1 >/dev/null)
	# The lock is an input, and is called as it is.
	sed -i 's/"name": "lock"/"name": "pibuild.lock"/' clock/out/cp-1.provenance.json
	cmp clock/out/cp-1.provenance.json out/cp-1.provenance.json
	for f in img bmap manifest.json spdx.json; do cmp clock/out/cp-1.$f out/cp-1.$f; done
}

@test "kept digests of a layer that was made anew are not used" {
	cp -r --sparse=always cache torn
	for layer in torn/layers/*.img; do truncate -s 1M "$layer"; done
	CACHE=$PWD/torn build -o torn-out --sign key --node cp-1 >/dev/null
	same torn-out
	echo damaged | tee torn/layers/*.digests.json >/dev/null
	CACHE=$PWD/torn build -o torn-out --sign key --node cp-1 >/dev/null
	same torn-out
}
