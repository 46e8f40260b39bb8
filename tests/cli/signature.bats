#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# os.signatureKey: the signature beside a base, checked by gpgv.
# shellcheck disable=SC2154,SC2034,SC2016 # variables of the library, messages with backticks

load ../lib/faults

setup_file() {
	start_fault_server
	echo 'an image' >"$faults/files/os.img.xz"
	GNUPGHOME=$BATS_FILE_TMPDIR/gnupg
	export GNUPGHOME
	mkdir -m 700 "$GNUPGHOME"
	for name in maker stranger; do
		gpg --batch -q --passphrase '' --quick-gen-key "$name@lab" ed25519 sign never
		gpg --batch -q --export "$name@lab" >"$BATS_FILE_TMPDIR/$name.gpg"
	done
	gpg --batch -q --export --armor maker@lab >"$BATS_FILE_TMPDIR/armored.asc"
	gpg --batch -q -u maker@lab --detach-sign -o "$BATS_FILE_TMPDIR/good.sig" "$faults/files/os.img.xz"
	gpgconf --kill all
}

teardown_file() {
	stop_fault_server
}

setup() {
	enter_fault_test
	cp "$BATS_FILE_TMPDIR/good.sig" "$faults/files/os.img.xz.sig"
	signed_by maker.gpg
}

# signed_by KEY: the cluster asks for the image with this key.
signed_by() {
	write_cluster "os: {base: \"https://files.invalid/os.img.xz\", sha256: $(digest_of "$faults/files/os.img.xz"), signatureKey: $BATS_FILE_TMPDIR/$1}"
}

@test "a good signature is checked once, and then needs no network" {
	fetch >/dev/null
	[ "$(grep -c "/$token/os.img.xz.sig" "$faults/log")" -eq 1 ]
	fetch >/dev/null
	fetch --offline >/dev/null
	[ "$(grep -c "/$token/os.img.xz.sig" "$faults/log")" -eq 1 ]
}

@test "a signature by another key, of other bytes or of none is refused, each time" {
	signed_by stranger.gpg
	fails 4 "no good signature by os.signatureKey $BATS_FILE_TMPDIR/stranger.gpg" fetch
	fails 4 'No public key' fetch
	signed_by maker.gpg
	fetch >/dev/null
	signed_by stranger.gpg
	fails 4 'no good signature' fetch
	signed_by maker.gpg
	rm -r cache
	echo nothing >"$faults/files/os.img.xz.sig"
	fails 4 'no good signature' fetch
}

@test "a gpgv that cannot be started says nothing of the signature" {
	object=${PIBUILD%/*}/tests/faults/fault.so
	[ -e "$object" ] || skip "make $object"
	[ "$(grep -c __asan_init "$PIBUILD")" -eq 0 ] || skip "the sanitizers have their own memory"
	# kind fork, fails (1) with EAGAIN from the first on
	python3 -c 'import struct; open("fault", "wb").write(struct.pack("=IIIIQII36Q", 20, 1, 11, 1, 1, *[0] * 38))'
	fails 1 'gpgv' env FAULT_FILE=fault LD_PRELOAD="$object" "$PIBUILD" fetch --progress none --cache cache
	[[ $output != *'no good signature'* ]]
	fetch >/dev/null
}

@test "a signature that is not there, and --offline before it was seen, are said" {
	rm "$faults/files/os.img.xz.sig"
	fails 1 'os.img.xz.sig: it answers HTTP 404' fetch
	fails 1 'which --offline forbids' fetch --offline
}

@test "a key that gpgv cannot read is a fault with the cure" {
	signed_by armored.asc
	fails 3 'the file holds no OpenPGP key in binary form; `gpg --export KEY >FILE` or `gpg --dearmor FILE` makes one' "$PIBUILD" check
}

@test "an image by path has no signature to check" {
	echo 'an image' >own.img.xz
	write_cluster "os: {base: own.img.xz, sha256: $(digest_of own.img.xz), signatureKey: $BATS_FILE_TMPDIR/maker.gpg}"
	fails 3 'os.signatureKey: a signature lies beside what is downloaded' "$PIBUILD" check
}

@test "without gpgv the package is named" {
	mkdir bin
	fails 6 'gpgv is not installed' env PATH="$PWD/bin" "$PIBUILD" fetch --progress none --cache cache
}
