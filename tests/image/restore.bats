#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# flash --restore: what it refuses, asks and puts onto the card. Real block devices, the tiny base.

load ../lib/image
load ../lib/disk

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_servers 1
	"$PIBUILD" secrets new -q
	[ "$(id -u)" -ne 0 ] || dirty dirty.img 256
}

setup() {
	need_loop
	cd "$BATS_FILE_TMPDIR"
	write_servers 1
	rm -f flashed.jsonl
	disk=$BATS_TEST_TMPDIR/disk
	cp dirty.img "$disk"
	loop=$(attach "$disk")
	version=$("$PIBUILD" plan --json | jq -r '[.. | objects | select(.name? == "k3s") | .version][0]')
}

teardown() {
	detach_all
}

# backup NAME [CA]: a backup of that name, whole; its path
backup() {
	mkdir -p "$BATS_TEST_TMPDIR/backups"
	head -c 300000 /dev/urandom | gzip >"$BATS_TEST_TMPDIR/backups/$1"
	printf '# ca %s\n%s  %s\n' "${2:-$("$PIBUILD" secrets show --json | jq -r .caHash)}" \
		"$(sha256_of "$BATS_TEST_TMPDIR/backups/$1")" "$1" >"$BATS_TEST_TMPDIR/backups/$1.sha256"
	echo "$BATS_TEST_TMPDIR/backups/$1"
}

restored() {
	sandbox -- "$PIBUILD" --progress none --cache cache flash --restore "$1" --node "${2:-cp-1}" --yes --serial "$(identity "$loop")" "$loop"
}

@test "the card holds the backup, root's alone, and the step that restores it; the record says that it starts the cluster" {
	file=$(backup "lab_cp-1_20261129T030000Z_v1.30.0-k3s1_sqlite.gz")
	run restored "$file"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[[ "$output" == *"lab starts as it was at 2026-11-29T03:00:00Z, by lab_cp-1_20261129T030000Z_v1.30.0-k3s1_sqlite.gz"* ]]
	root_cat "$loop" /var/lib/pibuild/restore/backup.gz | cmp - "$file"
	root_cat "$loop" /var/lib/pibuild/restore/about | cmp - "$file.sha256"
	[ "$(root_mode "$loop" /var/lib/pibuild/restore/backup.gz) $(root_owner "$loop" /var/lib/pibuild/restore/backup.gz)" = '0600 0:0' ]
	[ "$(root_mode "$loop" /var/lib/pibuild/restore)" = 0700 ]
	root_cat "$loop" /etc/pibuild/steps | awk '{ print $1 }' | sed -n 1,2p | paste -sd ' ' | grep -qx 'preflight restore'
	root_cat "$loop" /etc/pibuild/steps | grep -q '^k3s *preflight,restore '
	root_has "$loop" /etc/systemd/system/multi-user.target.wants/pibuild-restore.service
	judge "$loop"
	# another card of it has nothing of that
	sandbox -- "$PIBUILD" --progress none --cache cache flash --node cp-1 --yes --serial "$(identity "$loop")" "$loop"
	refute root_has "$loop" /var/lib/pibuild/restore
	root_cat "$loop" /etc/pibuild/steps >steps
	refute grep -q '^restore' steps
}

@test "with several servers the restored one starts the cluster, whatever was flashed before; the next cards join it" {
	write_servers 3
	echo '{"time": "2026-01-01T00:00:00Z", "state": "done", "node": "cp-1", "cluster": "lab", "starts": true}' >flashed.jsonl
	restored "$(backup "lab_cp-3_20261129T030000Z_v1.30.0-k3s1_etcd.gz")"
	[ "$(root_cat "$loop" /etc/pibuild/birth)" = yes ]
	jq -s -e '.[-1] | .starts and .born["cluster.datastore"] == "etcd"' flashed.jsonl
	# it has booted
	debugfs -w -f /dev/stdin "$loop?offset=$(part_start "$loop" 2)" >/dev/null 2>&1 <<-EOT
		rm /etc/machine-id
		write $BATS_TEST_FILENAME /etc/machine-id
	EOT
	sandbox -- "$PIBUILD" --progress none --cache cache flash --node cp-1 --yes --serial "$(identity "$loop")" "$loop"
	[ "$(root_cat "$loop" /etc/pibuild/birth)" = no ]
}

@test "what does not fit is refused before anything is written" {
	before=$(sha256_of "$disk")
	good=$(backup "lab_cp-1_20261129T030000Z_v1.30.0-k3s1_sqlite.gz")
	fails 5 "is a backup of the cluster other, and this is lab" restored "$(backup "other_cp-1_20261129T030000Z_v1.30.0-k3s1_sqlite.gz")"
	fails 5 "is of a cluster on etcd, and lab is on sqlite: set cluster.datastore: etcd" restored "$(backup "lab_cp-1_20261129T030000Z_v1.30.0-k3s1_etcd.gz")"
	fails 5 "was made with another CA than that of your secrets" restored "$(backup "lab_cp-1_20261129T040000Z_v1.30.0-k3s1_sqlite.gz" "$(printf '%064d' 0)")"
	fails 5 "was made by K3s v1.99.0+k3s1, and the card would have $version, which cannot read it" restored "$(backup "lab_cp-1_20261129T030000Z_v1.99.0-k3s1_sqlite.gz")"
	printf damaged | dd of="$good" bs=1 seek=1000 conv=notrunc status=none
	fails 4 "$good is damaged: its digest is " restored "$good"
	rm "$good.sha256"
	fails 4 "there is no $good.sha256: a backup without its digest was never complete" restored "$good"
	echo nonsense >"$good.sha256"
	fails 4 "$good.sha256 is no digest of a backup" restored "$good"
	fails 1 "there-is-none" restored there-is-none
	fails 2 "a backup is restored onto one card" "$PIBUILD" flash --restore "$good" out/cp-1.img "$loop"
	write_servers 3
	fails 2 "a cluster is started by its first server: --restore goes with --node cp-1" restored "$(backup "lab_cp-1_20261129T050000Z_v1.30.0-k3s1_etcd.gz")" cp-2
	[ "$(sha256_of "$disk")" = "$before" ]
}

@test "the version of the card is old enough, to the number behind k3s" {
	number=${version##*k3s}
	name=lab_cp-1_20261129T030000Z_$(tr + - <<<"${version%+*}")-k3s$((number + 1))_sqlite.gz
	fails 5 "which cannot read it" restored "$(backup "$name")"
	restored "$(backup "lab_cp-1_20261129T030000Z_$(tr + - <<<"$version")_sqlite.gz")"
}

@test "it asks for the cluster's name, and says what a backup does not bring back" {
	file=$(backup "lab_cp-1_20261129T030000Z_v1.30.0-k3s1_sqlite.gz")
	fails 5 "not confirmed" on_terminal "$(identity "$loop")"$'\nyes' "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --restore "$file" --node cp-1 "$loop"
	[[ "$output" == *"It starts lab as it was at 2026-11-29T03:00:00Z: what came after is lost, volumes are not in a backup"* ]]
	[[ "$output" == *"Type the cluster's name to go on:"* ]]
	on_terminal "$(identity "$loop")"$'\nlab' "$top/scripts/sandbox" -- "$PIBUILD" --cache cache flash --restore "$file" --node cp-1 "$loop"
	root_has "$loop" /var/lib/pibuild/restore/backup.gz
}
