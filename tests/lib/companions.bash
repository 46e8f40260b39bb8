# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What stands beside an image: built again elsewhere, copied, touched. The cluster's key pair is `key`, its image cp-1 in out/.

# again DIR: the same cluster in another folder, with the first one's secrets and key.
again() {
	mkdir -p "$1"
	cp cluster.yaml secrets.yaml key key.pub "$1/"
}

# A copy of what stands beside cp-1 to be tampered with, in $copy.
copy() {
	copy=$BATS_TEST_TMPDIR/copy
	rm -rf "$copy"
	mkdir "$copy"
	cp --sparse=always out/cp-1.* "$copy/"
}

# flip FILE OFFSET: one bit.
flip() {
	python3 - "$1" "$2" <<-'EOT'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    c = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([c ^ 1]))
	EOT
}
