# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: The cluster from a backup
# needs: preflight packages data
# bound: 1800
#
# Only on a card that was flashed with --restore. Before K3s starts for the first time its datastore is made from the
# backup: SQLite's file is put into its place, of etcd K3s makes a cluster of one member, which the other servers join
# (docs.k3s.io, cli/etcd-snapshot; k3s-io/k3s pkg/cli/server/server.go and pkg/etcd/etcd.go, Reset: no agent runs in it).
# Nothing else of this node, K3s and find-cluster too, goes on before the file `done` is there; until then it is begun
# anew from the backup, afterwards never again.
#
#   /var/lib/pibuild/restore/backup.gz, about   made by flash: the backup, and what it is, as builder/backup/backup.h has it
#   /var/lib/pibuild/restore/done               which one it was, once the datastore is there

# Who else is there is asked as find-cluster asks.
# shellcheck source=overlays/common/usr/lib/pibuild/steps/find-cluster.sh
. "$lib/steps/find-cluster.sh"

staged=$stamps/restore
db=$rancher/server/db
own_cluster=$(sed -n 's/^cluster //p' "$etc/node")
own_datastore=sqlite
[ ! -e "$etc/servers" ] || own_datastore=etcd
judged=''

# judge: 0 when the backup on this card is whole and this cluster's; a file of many megabytes is read once
judge() {
	[ -z "$judged" ] || return 0
	need_file "$staged/backup.gz" "$staged/about" || return 1
	digest_said='' name_said=''
	read -r digest_said name_said <<-EOT
		$(sed -n '/^#/!p' "$staged/about")
	EOT
	found=$(sha256sum <"$staged/backup.gz")
	[ "${found%% *}" = "$digest_said" ] || {
		hopeless "The backup on this card is damaged: its digest is ${found%% *}, and it was $digest_said" "Flash this card again with --restore; if it stays so, the card is worn out"
		return 1
	}
	case $name_said in
	"${own_cluster}"_*_"$own_datastore.gz") judged=yes ;;
	*)
		hopeless "The backup on this card, $name_said, is not one of $own_cluster on $own_datastore" "Flash this card again with --restore and a backup of this cluster"
		return 1
		;;
	esac
}

# alone: nobody of this cluster is there; a backup restored beside it would make two of one name, CA and address
alone() {
	[ "$own_datastore" = etcd ] || return 0
	need_program kubectl && unpacked || return 1
	ask_around
	[ "$answer" = ours ] || return 0
	why "The cluster lives: $host_name answers at $host, and a backup restored beside it would make two of it" \
		"Power off all other servers and flash their cards again after this one, or flash this card without --restore: it then joins them"
	return 1
}

ready() {
	[ ! -e "$staged/done" ] || return 0
	judge && alone
}

# What a power cut may have left of an earlier try goes.
apply() {
	[ ! -e "$staged/done" ] || return 0
	rm -rf "$staged/state" "$db" && mkdir -p "$db" && chmod 700 "$rancher/server" "$db" || return
	gunzip -c "$staged/backup.gz" >"$staged/state" && chmod 600 "$staged/state" && sync "$staged/state" || return
	"restore_$own_datastore" && sync -f "$rancher" || return
	sed -n '/^#/!p' "$staged/about" | keep "$staged/done"
}

restore_sqlite() {
	cp "$staged/state" "$db/state.db.new" && chmod 600 "$db/state.db.new" && sync "$db/state.db.new" && mv "$db/state.db.new" "$db/state.db"
}

# It starts etcd on the snapshot, makes this node its only member, and ends.
restore_etcd() {
	timeout 1500 k3s server --cluster-reset "--cluster-reset-restore-path=$staged/state"
}

finished() {
	[ -e "$staged/done" ] && return 0
	why "The datastore is not restored yet"
	return 1
}

cleanup() {
	rm -f "$staged/backup.gz" "$staged/state"
}
