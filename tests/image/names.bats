#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The build looks into the base for the names that the card will use, and verify finds links that lead nowhere.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	build --node w-1 -o out >stdout 2>stderr
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

@test "a base without the time zone ends the build with the key, and leaves no image; UTC needs none" {
	mkdir -p "$BATS_TEST_TMPDIR/zones" && cd "$BATS_TEST_TMPDIR/zones"
	write_cluster
	SANDBOX='--variant no-zones' fails 3 'access.timezone: the base has no time zone Europe/Berlin (no /usr/share/zoneinfo/Europe/Berlin); write one that it has, or UTC' \
		build --node w-1
	[ ! -e out/w-1.img ]
	sed -i 's,Europe/Berlin,UTC,' cluster.yaml
	SANDBOX='--variant no-zones' build --node w-1 >/dev/null
	"$PIBUILD" verify out/w-1.img
}

@test "a base that has no locales, and a user who is an account of the base, end the build with the key" {
	mkdir -p "$BATS_TEST_TMPDIR/locale" && cd "$BATS_TEST_TMPDIR/locale"
	write_cluster
	sed -i 's,  timezone:.*,  locale: de_DE.UTF-8,' cluster.yaml
	CACHE=$BATS_FILE_TMPDIR/cache fails 3 'access.locale: the base cannot make de_DE.UTF-8: it has no package locales; write C.UTF-8' build --node w-1
	sed -i 's,de_DE.UTF-8,C.UTF-8,' cluster.yaml
	CACHE=$BATS_FILE_TMPDIR/cache build --node w-1 >/dev/null
	USER_NAME=base-daemon write_cluster
	CACHE=$BATS_FILE_TMPDIR/cache fails 3 "access.user: 'base-daemon' is an account of the base's own (id 988); choose another name" build --node w-1
}

@test "verify finds a link of pibuild's that leads nowhere" {
	cp out/w-1.img "$BATS_TEST_TMPDIR/w-1.img"
	img=$BATS_TEST_TMPDIR/w-1.img
	"$PIBUILD" verify "$img"
	debugfs -w -R 'rm /usr/share/zoneinfo/Europe/Berlin' "$img?offset=$(part_start "$img" 2)" >/dev/null 2>&1
	fails 4 'links: /etc/localtime: leads nowhere: there is no /usr/share/zoneinfo/Europe/Berlin in the image' "$PIBUILD" verify "$img"
}
