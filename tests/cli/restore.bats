#!/usr/bin/env bats
# slow: each case runs steps of first boot
# SPDX-License-Identifier: Apache-2.0
# A card that starts its cluster from a backup: the step `restore` of first boot, with what flash puts there. What flash
# does and refuses is in tests/image/restore.bats.

load ../lib/first-boot

# staged FILE NAME: the backup FILE of that name on ./card, as flash leaves it, and the step among the others
staged() {
	mkdir -p card/var/lib/pibuild/restore card/run/pibuild/steps
	gzip -c "$1" >card/var/lib/pibuild/restore/backup.gz
	printf '# Backup of a cluster\n%s  %s\n' "$(sha256sum <card/var/lib/pibuild/restore/backup.gz | cut -d' ' -f1)" "$2" >card/var/lib/pibuild/restore/about
	sed -i 's/^find-cluster  *preflight /find-cluster preflight,restore /; s/^k3s  *preflight/k3s preflight,restore/' card/etc/pibuild/steps
	sed -i '/^preflight/a restore preflight 1800 The cluster from a backup' card/etc/pibuild/steps
	echo 'state done' >card/run/pibuild/steps/preflight
}

single() {
	card
	sqlite3 state.db 'CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT)' "INSERT INTO kine (name) VALUES ('written-before')"
	staged state.db lab_cp-1_20261129T030000Z_v1.36.4-k3s1_sqlite.gz
	db=card/var/lib/rancher/k3s/server/db/state.db
}

rows() {
	sqlite3 "$1" 'SELECT name FROM kine ORDER BY id' | paste -sd ' '
}

# three: ./card of the first of three servers, with a snapshot of the stand-in's etcd
three() {
	write_three() {
		write_cluster
		sed -i '/name: w-1/i\  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}\n  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}' cluster.yaml
	}
	MAKE=write_three card
	mkdir -p peers old/objects/configmap/default old/objects/node/_
	echo written-before >old/objects/configmap/default/proof
	printf 'kind: Node\n' >old/objects/node/_/cp-1
	tar -cf snapshot -C old objects && sha256sum <snapshot | cut -c 1-64 >sum && cat sum >>snapshot
	staged snapshot lab_cp-2_20261129T030000Z_v1.36.4-k3s1_etcd.gz
	echo yes >card/etc/pibuild/birth
	program getent 'for host; do :; done; echo "$host STREAM"'
}

# until_second SECONDS: the step, ended when that many have passed; what it said last is in ./seen
until_second() {
	tick "[ \"\$1\" -lt $((100 + $1)) ] || { cp card/run/pibuild/steps/restore seen; $stop_step; }"
	refute step restore
	rm card/tick
}

# wrapped LINE: `k3s server` is that, all else the stand-in's; unwrapped
wrapped() {
	mv card/usr/local/bin/k3s card/usr/local/bin/k3s.whole
	program k3s 'whole=$PIBUILD_ROOT/usr/local/bin/k3s.whole' 'case ${0##*/} in kubectl) exec "$whole" kubectl "$@" ;; esac' "case \$1 in server) $1 ;; esac" 'exec "$whole" "$@"'
}

unwrapped() {
	mv card/usr/local/bin/k3s.whole card/usr/local/bin/k3s
}

said() {
	grep -q "^$1" seen || { cat seen && return 1; }
}

@test "SQLite: the database is in its place before K3s starts, once and never again" {
	single
	step restore || { cat log.restore; return 1; }
	[ "$(rows $db)" = written-before ]
	[ "$(stat -c %a $db card/var/lib/rancher/k3s/server/db | paste -sd ' ')" = '600 700' ]
	[ "$(ls card/var/lib/pibuild/restore | paste -sd ' ')" = 'about done' ]
	# The cluster goes on, and the next boot leaves it alone, also when the program is another one by then.
	sqlite3 $db "INSERT INTO kine (name) VALUES ('written-after')"
	echo '# newer' >>card/usr/lib/pibuild/steps/restore.sh
	rm card/run/pibuild/steps/restore
	step restore
	[ "$(rows $db)" = 'written-before written-after' ]
	[ "$(state_of restore state)" = "done" ]
}

@test "a backup that is torn, or another cluster's, or of another datastore is refused with words, and nothing is made of it" {
	single
	cp -a card whole
	printf damaged | dd of=card/var/lib/pibuild/restore/backup.gz bs=1 seek=60 conv=notrunc status=none
	until_second 10
	said 'state failed'
	said 'cause The backup on this card is damaged: its digest is [0-9a-f]\{64\}, and it was '
	said 'cure Flash this card again with --restore'
	[ ! -e card/var/lib/rancher/k3s/server/db ]
	report
	jq -r .state card/run/pibuild/status.json | grep -qx failed
	for name in other_cp-1_20261129T030000Z_v1.36.4-k3s1_sqlite.gz lab_cp-1_20261129T030000Z_v1.36.4-k3s1_etcd.gz ''; do
		rm -rf card && cp -a whole card
		sed -i "s/  lab_.*/  $name/" card/var/lib/pibuild/restore/about
		until_second 10
		said 'state failed'
		said "cause The backup on this card, $name, is not one of lab on sqlite"
		[ ! -e card/var/lib/rancher/k3s/server/db ]
	done
	rm -rf card && cp -a whole card
	: >card/var/lib/pibuild/restore/backup.gz
	until_second 10
	said 'cause .*/backup.gz is missing on this card or empty'
}

@test "killed in every program it runs: the next start begins anew and ends with the whole backup" {
	single
	cp -a card whole
	for cut in rm mkdir chmod gunzip sync cp mv; do
		rm -rf card && cp -a whole card
		mkdir -p card/var/lib/rancher/k3s/server/db && echo half >$db
		rm -f card/usr/local/bin/sync
		program $cut "kill -9 \$(cat \"\${PIBUILD_ROOT}/step.pid\") \$PPID; exit 1"
		refute step restore
		rm card/usr/local/bin/$cut
		ln -sf /bin/true card/usr/local/bin/sync
		[ ! -e card/var/lib/pibuild/restore/done ] || { echo "$cut: done already"; return 1; }
		step restore || { echo "$cut"; cat log.restore; return 1; }
		[ "$(rows $db)" = written-before ] || { echo "$cut"; return 1; }
	done
}

@test "etcd: K3s makes a cluster of one member of it, and goes on as that" {
	three
	step restore || { cat log.restore; return 1; }
	[ "$(cat card/state/objects/configmap/default/proof)" = written-before ]
	[ -e card/var/lib/rancher/k3s/server/db/etcd/member/wal ]
	step find-cluster
	[ ! -e card/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml ]
	api_up
	[ ! -e card/var/lib/rancher/k3s/server/db/reset-flag ]
	# nobody starts it anew
	echo written-after >card/state/objects/configmap/default/proof
	rm card/run/pibuild/steps/restore
	step restore
	[ "$(cat card/state/objects/configmap/default/proof)" = written-after ]
}

@test "etcd: a power cut in the middle of K3s's own work: no half of it is taken for a member" {
	three
	wrapped 'mkdir -p "$STANDIN_DATA/server/db/etcd/member"; : >"$STANDIN_DATA/server/db/etcd/member/wal"; : >"$STANDIN_DATA/server/db/reset-flag"; kill -9 $(cat "$PIBUILD_ROOT/step.pid") $PPID; exit 1'
	refute step restore
	# find-cluster would keep that member, and does not come to it
	rm -f card/run/pibuild/steps/restore
	tick "[ \"\$1\" -lt 200 ] || { cp card/run/pibuild/steps/find-cluster seen; $stop_step; }"
	refute step find-cluster
	said 'state pending'
	rm card/tick
	unwrapped
	step restore || { cat log.restore; return 1; }
	[ "$(cat card/state/objects/configmap/default/proof)" = written-before ]
}

@test "etcd: no second cluster beside one that lives; once all others are off it goes on" {
	three
	mkdir -p peers/192.168.1.13/objects peers/192.168.1.13/faults peers/192.168.1.13/members
	"$PIBUILD" kubeconfig -q >kubeconfig
	sed -n 's/.*certificate-authority-data: //p' kubeconfig | base64 -d >peers/192.168.1.13/server-ca.crt
	until_second 20
	said 'state waiting'
	said 'cause The cluster lives: cp-2 answers at 192.168.1.13, and a backup restored beside it would make two of it'
	said 'cure Power off all other servers and flash their cards again after this one, or flash this card without --restore'
	[ ! -e card/var/lib/rancher/k3s/server/db ]
	rm -r peers/192.168.1.13
	step restore
	[ "$(cat card/state/objects/configmap/default/proof)" = written-before ]
}

@test "what K3s says against a backup is told: it is of another token" {
	three
	wrapped 'echo "level=fatal msg=\"starting kubernetes: preparing server: bootstrap data already found and encrypted with different token\""; exit 1'
	until_second 20
	said 'state failed'
	said 'cause The backup was made with another server token than this card has'
}

@test "K3s waits for it in both kinds of clusters, and systemd finds no fault in its unit" {
	single
	grep -q '^After=.*pibuild-restore.service' card/etc/systemd/system/k3s.service
	grep -q '^# needs: .*restore' card/usr/lib/pibuild/steps/k3s.sh
	sed "s|=/usr/lib/pibuild/|=$PWD/card/usr/lib/pibuild/|" card/etc/systemd/system/pibuild-restore.service >pibuild-restore.service
	run systemd-analyze verify --man=no --recursive-errors=no ./pibuild-restore.service
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}
