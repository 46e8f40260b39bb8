#!/usr/bin/env bats
# slow: each case runs a step of first boot
# SPDX-License-Identifier: Apache-2.0
# Whether a node joins its cluster, starts it or waits: the step find-cluster of rendered cards, with stand-ins for the
# servers it asks: folders of ./peers by address, with a CA, Nodes and members of etcd (scripts/standins/kubectl.sh).

load ../lib/first-boot

# three NODE [MAKE]: ./card of that node of a cluster of three servers and a worker
three() {
	write_three() {
		write_cluster
		for n in 2 3; do
			sed -i "/name: w-1/i\\  - {name: cp-$n, role: control-plane, board: rpi5, address: 192.168.1.1$n/24}" cluster.yaml
		done
		sed -i 's/name: w-1\(.*\)1.12/name: w-1\11.21/' cluster.yaml
	}
	write_three_vip() {
		write_three
		sed -i 's/^  name: lab/&\n  vip: 192.168.1.10/' cluster.yaml
	}
	NODE=$1 MAKE=${2:-write_three} card
	mkdir -p peers
	touch card/run/pibuild/steps/preflight 2>/dev/null || mkdir -p card/run/pibuild/steps
	echo 'state done' >card/run/pibuild/steps/preflight
	dropin=card/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml
	program getent 'for host; do :; done; echo "$host STREAM"'
}

# peer HOST [NODE=READY]...: a server of the card's cluster that answers there
peer() {
	local host=$1 one
	shift
	mkdir -p "peers/$host/objects/node/_" "peers/$host/faults" "peers/$host/members"
	"$PIBUILD" kubeconfig -q >kubeconfig
	sed -n 's/.*certificate-authority-data: //p' kubeconfig | base64 -d >"peers/$host/server-ca.crt"
	sed -n 's/.*client-certificate-data: //p' kubeconfig | base64 -d >"peers/$host/admin.crt"
	for one in "$@"; do
		printf '# born 1\napiVersion: v1\nkind: Node\nmetadata:\n  name: %s\n  labels:\n    node-role.kubernetes.io/control-plane: "true"\n' "${one%=*}" >"peers/$host/objects/node/_/${one%=*}"
		: >"peers/$host/members/${one%=*}"
		[ "${one#*=}" != dead ] || echo "${one%=*}" >>"peers/$host/faults/dead"
	done
}

# until SECONDS: the step, ended when that many have passed; what it said last is in ./seen
until_second() {
	tick "[ \"\$1\" -lt $((100 + $1)) ] || { cp card/run/pibuild/steps/find-cluster seen; kill \$(cat card/step.pid); }"
	refute step find-cluster
}

said() {
	grep -q "^$1" seen || { cat seen && return 1; }
}

# --- the decision

# facts: every combination, and what is right for it, told anew from the rules in words
@test "the decision over every combination of facts" {
	three cp-1
	cat >table.sh <<-'EOT'
		. "$PIBUILD_ROOT/usr/lib/pibuild/lib.sh"
		. "$lib/steps/find-cluster.sh"
		for member in yes no; do for answer in ours foreign none; do for place in alone first other; do
		for birth in yes no unknown; do for waited in yes no; do
			echo "$member $answer $place $birth $waited $(decide $member $answer $place $birth $waited)"
		done; done; done; done; done
	EOT
	sh table.sh >table
	[ "$(wc -l <table)" = 108 ]
	python3 - <<-'EOT'
		for line in open("table"):
		    member, answer, place, birth, waited, said = line.split()
		    if member == "yes": right = "keep"
		    elif answer == "ours": right = "join"
		    elif answer == "foreign": right = "refuse"
		    elif place == "alone": right = "start"
		    elif place == "first" and birth == "yes": right = "start"
		    elif place == "first" and birth == "unknown" and waited == "yes": right = "start"
		    else: right = "wait"
		    assert said == right, line
		    # what must never be, whatever the rest
		    assert said != "start" or (answer == "none" and place != "other" and birth != "no" or place == "alone"), line
	EOT
	# The page has the same table.
	sed -n '/^| a member already/,/^$/p' "$top/docs/life.md" | grep '^| \(yes\|no\) ' >rows
	while IFS='|' read -r _ member answer place birth waited decision _; do
		matches=$(awk -v m="$member" -v a="$answer" -v p="$place" -v b="$birth" -v w="$waited" '
			function fits(list, word) { gsub(/ /, "", list); return list == "" || ("," list ",") ~ ("," word ",") }
			fits(m, $1) && fits(a, $2) && fits(p, $3) && fits(b, $4) && fits(w, $5) { print $6 }' table | sort -u)
		[ "$matches" = "$(echo $decision | tr -d '*')" ] || { echo "$member|$answer|$place|$birth|$waited: $decision, not $matches"; return 1; }
		awk -v m="$member" -v a="$answer" -v p="$place" -v b="$birth" -v w="$waited" '
			function fits(list, word) { gsub(/ /, "", list); return list == "" || ("," list ",") ~ ("," word ",") }
			fits(m, $1) && fits(a, $2) && fits(p, $3) && fits(b, $4) && fits(w, $5)' table >>covered
	done <rows
	[ "$(sort covered | uniq -d | wc -l)" = 0 ]
	[ "$(sort -u covered | wc -l)" = 108 ]
}

# --- servers

@test "the first server's first card starts the cluster when nobody answers; K3s then takes what it wrote" {
	three cp-1
	echo yes >card/etc/pibuild/birth
	step find-cluster
	grep -qx 'cluster-init: true' "$dropin"
	[ "$(stat -c %a "$dropin")" = 600 ]
	timeout 5 card/usr/local/bin/k3s server >/dev/null 2>&1 || true
	[ -e card/var/lib/rancher/k3s/server/db/etcd/member/wal ]
	# From now on it asks nobody.
	peer 192.168.1.12 cp-1=up
	rm "$dropin" card/run/pibuild/steps/find-cluster
	step find-cluster
	[ ! -e "$dropin" ]
	# K3s was told that others removed this member: it is none, and K3s moves its data away when it joins.
	rm -r peers card/run/pibuild/steps/find-cluster
	peer 192.168.1.12
	touch card/var/lib/rancher/k3s/server/db/etcd/tombstone
	step find-cluster
	grep -qx 'server: "https://192.168.1.12:6443"' "$dropin"
}

@test "an address that servers share is asked after them: by it one joins, and the first of all gets no answer there" {
	three cp-1 write_three_vip
	diff card/etc/pibuild/servers - <<-'EOT'
		cp-1 192.168.1.11
		cp-2 192.168.1.12
		cp-3 192.168.1.13
		- 192.168.1.10
	EOT
	echo yes >card/etc/pibuild/birth
	step find-cluster
	grep -qx 'cluster-init: true' "$dropin"
	rm -r "$dropin" card/run/pibuild/steps/find-cluster
	# made anew: none of the others answers by its own address
	echo no >card/etc/pibuild/birth
	peer 192.168.1.10 cp-1=dead cp-2=up cp-3=up
	step find-cluster
	grep -q 'removing what the cluster knows of cp-1, and its member of etcd, by 192.168.1.10' log.find-cluster
	grep -qx 'server: "https://192.168.1.10:6443"' "$dropin"
}

@test "a re-made card of the first server joins the living, after its old Node and member were removed" {
	three cp-1
	echo no >card/etc/pibuild/birth
	peer 192.168.1.13 cp-1=dead cp-2=up cp-3=up
	step find-cluster
	grep -qx 'server: "https://192.168.1.13:6443"' "$dropin"
	refute grep -q cluster-init "$dropin"
	[ ! -e peers/192.168.1.13/objects/node/_/cp-1 ]
	[ ! -e peers/192.168.1.13/members/cp-1 ]
	[ -e peers/192.168.1.13/members/cp-2 ]
}

@test "what kubectl complains of beside its answer is no part of the answer" {
	three cp-1
	echo no >card/etc/pibuild/birth
	peer 192.168.1.12 cp-1=dead cp-2=up
	: >peers/192.168.1.12/faults/discovery
	STEP_TIME=60 step find-cluster
	grep -qx 'server: "https://192.168.1.12:6443"' "$dropin"
	[ ! -e peers/192.168.1.12/objects/node/_/cp-1 ]
}

@test "what K3s has to start with cannot be written: it does not start without, which would be a cluster of its own" {
	[ "$(id -u)" -eq 0 ] || skip "mounts a small filesystem: wants root"
	local how
	three cp-2
	peer 192.168.1.11 cp-1=up
	mkdir "${dropin%/*}"
	for how in full read-only; do
		mount -t tmpfs -o size=4k tmpfs "${dropin%/*}"
		head -c 4096 /dev/zero >"${dropin%/*}/fill"
		[ $how = full ] || mount -o remount,ro "${dropin%/*}"
		read -r up _ <card/proc/uptime
		tick "[ \$1 -lt $((${up%.*} + 10)) ] || { cp card/run/pibuild/steps/find-cluster seen.$how; kill \$(cat card/step.pid); }"
		step find-cluster && code=0 || code=$?
		umount "${dropin%/*}"
		[ "$code" != 0 ] || { cat log.find-cluster; return 1; }
		grep -qx 'state failed\|state waiting' seen.$how
	done
	grep -q '^cause What K3s has to start with cannot be written: The card is full' seen.full
	grep -q '^cure Look what fills it: df -h /' seen.full
	grep -q '^cause What K3s has to start with cannot be written: .*Read-only file system' seen.read-only
	tick :
	step find-cluster
	grep -qx 'server: "https://192.168.1.11:6443"' "$dropin"
	[ "$(stat -c %a "$dropin")" = 600 ]
	[ ! -e "$dropin.new" ]
}

@test "with the right to start it, too: somebody of the cluster who answers counts more" {
	three cp-1
	echo yes >card/etc/pibuild/birth
	peer 192.168.1.12 cp-2=up
	step find-cluster
	grep -qx 'server: "https://192.168.1.12:6443"' "$dropin"
}

# may_start TEXT: K3s may not, for this reason; without TEXT it may
may_start() {
	run sh card/usr/lib/pibuild/may-start
	[ "$status" = $((${1:+1} + 0)) ] || { echo "$status $output, not $*"; return 1; }
	[ "$output" = "${1:+pibuild: may-start: K3s does not start: $1}" ] || { echo "$output, not $*"; return 1; }
}

@test "K3s does not start a cluster of its own: not without what was found, nor when it was removed and its unit starts it again" {
	three cp-1
	echo yes >card/etc/pibuild/birth
	local etcd=card/var/lib/rancher/k3s/server/db/etcd
	program systemctl 'echo "$*" >>"$PIBUILD_ROOT/asked"'
	[ "$(grep -m 1 ExecStartPre card/etc/systemd/system/k3s.service)" = ExecStartPre=/usr/lib/pibuild/may-start ]
	# find-cluster was killed, or its unit failed
	may_start 'the step find-cluster has not found a server to join'
	step find-cluster
	may_start
	mkdir -p $etcd/member/wal
	may_start
	mv "$dropin" kept
	may_start
	# K3s was told by the others, ended, and is started again: with "cluster-init", or with nothing on a card made anew
	touch $etcd/tombstone
	for found in kept /dev/null; do
		cp $found "$dropin"
		rm -f card/asked
		echo 'state done' >card/run/pibuild/steps/find-cluster
		may_start 'this server was removed from its cluster, and the step find-cluster has not found a server to join'
		may_start 'this server was removed from its cluster, and the step find-cluster has not found a server to join'
		[ "$(cat card/asked)" = 'restart --no-block pibuild-find-cluster.service' ]
	done
	# as long as nobody answers it waits, whatever flash allowed its card
	until_second 40
	said 'cause No server of the cluster answers .*; this card may not start the cluster'
	may_start 'this server was removed from its cluster, and the step find-cluster has not found a server to join'
	peer 192.168.1.12 cp-2=up
	tick :
	step find-cluster
	may_start
	# a backup that is not restored yet
	mkdir card/var/lib/pibuild/restore
	may_start 'the step restore is not done'
	touch card/var/lib/pibuild/restore/done
	may_start
	# one server with SQLite
	rm -r card && card
	may_start
}

@test "a second machine of that name is not pushed out: it waits until the cluster hears of it no more" {
	three cp-2
	peer 192.168.1.11 cp-1=up cp-2=up
	tick '[ "$1" -lt 150 ] || echo cp-2 >peers/192.168.1.11/faults/dead' 'cp card/run/pibuild/steps/find-cluster seen.$1'
	step find-cluster
	grep -q '^cause The cluster hears of a running cp-2: another machine has this name, or this one had until a minute ago' seen.10*
	[ ! -e peers/192.168.1.11/members/cp-2 ]
	grep -q 'server: "https://192.168.1.11:6443"' "$dropin"
}

@test "a power cut between removing and joining: the next start goes on" {
	three cp-2
	peer 192.168.1.11 cp-1=up cp-2=dead
	rm peers/192.168.1.11/objects/node/_/cp-2
	step find-cluster
	grep -q 'server: "https://192.168.1.11:6443"' "$dropin"
}

@test "with all others down a server waits, says whom for, and what to do when there never was a cluster" {
	three cp-1
	echo no >card/etc/pibuild/birth
	sed -i 's/^\(find-cluster.*\) 600 /\1 30 /' card/etc/pibuild/steps
	until_second 40
	said 'state failed'
	said 'cause No server of the cluster answers at TCP 6443: cp-2 at 192.168.1.12, cp-3 at 192.168.1.13; this card may not start the cluster, since an earlier one of cp-1 may have$'
	said 'cure Power one of them on, .*; if the cluster never ran or is gone: pibuild flash --start-new-cluster --node cp-1 DISK$'
	[ ! -e "$dropin" ]
	# It is there a moment later.
	tick '[ "$1" -lt 170 ] || [ -d peers/192.168.1.12 ] || mv later peers/192.168.1.12'
	peer 192.168.1.12 cp-2=up
	mv peers/192.168.1.12 later
	step find-cluster
	grep -q 'server: "https://192.168.1.12:6443"' "$dropin"
}

@test "an image that flash did not write waits five minutes for another server, then starts the cluster" {
	three cp-1
	echo console=tty1 >card/proc/cmdline
	tick 'cp card/run/pibuild/steps/find-cluster seen; echo "$1" >last'
	step find-cluster
	said 'cause No server of the cluster answers .*; without an answer this card starts the cluster in [0-9]* seconds$'
	[ "$(cat last)" -ge 395 ]
	[ "$(cat last)" -le 410 ]
	grep -qx 'cluster-init: true' "$dropin"
	rm -rf card
	# `pibuild boot` says that there is no network: then there is nobody to wait for.
	three cp-1
	step find-cluster
	[ "$(cat card/proc/uptime)" = '100.00 100.00' ]
	rm -rf card
	three cp-2
	sed -i 's/^patience=300/patience=10/' card/usr/lib/pibuild/steps/find-cluster.sh
	until_second 40
	said 'cause No server of the cluster answers at TCP 6443: cp-1 at 192.168.1.11, cp-3 at 192.168.1.13$'
	[ ! -e "$dropin" ]
}

@test "a foreign cluster at the address is refused in words, never joined, and never started beside" {
	three cp-1
	echo yes >card/etc/pibuild/birth
	peer 192.168.1.12 cp-2=up
	echo other >>peers/192.168.1.12/server-ca.crt
	until_second 30
	said 'cause Another cluster answers at cp-2 (192.168.1.12): its CA is not that of this card$'
	said 'cure Power that machine off or flash its card, if it is an old one; else build all cards from one secrets.yaml$'
	[ ! -e "$dropin" ]
	# One of ours beside it is joined.
	peer 192.168.1.13 cp-3=up
	tick :
	step find-cluster
	grep -q 'server: "https://192.168.1.13:6443"' "$dropin"
}

@test "servers without a majority, and members that cannot be removed, are told with the cure" {
	three cp-1
	echo no >card/etc/pibuild/birth
	peer 192.168.1.12 cp-1=dead cp-2=up
	touch peers/192.168.1.12/faults/quorum
	until_second 30
	said 'cause cp-2 answers, and cannot tell about cp-1: The API cannot answer yet: .*etcdserver: request timed out'
	said 'cure Power on the other servers: etcd needs more than half of them; with one of two lost for good, on the other: sudo systemctl stop k3s && sudo k3s server --cluster-reset && sudo systemctl start k3s$'
	mv peers/192.168.1.12/faults/quorum peers/192.168.1.12/faults/member
	until_second 100
	said 'cause The old cp-1 cannot be removed: '
	said 'cure .*on cp-2: sudo k3s kubectl delete node cp-1$'
	[ ! -e "$dropin" ]
	echo x >>card/etc/pibuild/secrets/admin.crt
	until_second 130
	said 'cause cp-2 answers, and cannot tell about cp-1'
}

@test "K3s that cannot unpack itself is no silence of others: it is told" {
	three cp-1
	echo yes >card/etc/pibuild/birth
	peer 192.168.1.12 cp-2=up
	mkdir -p card/var/lib/rancher/k3s
	: >card/var/lib/rancher/k3s/data
	until_second 30
	said 'cause K3s cannot unpack itself below .*/var/lib/rancher/k3s: .*extracting data: .*Not a directory'
	[ ! -e "$dropin" ]
	rm card/var/lib/rancher/k3s/data
	tick :
	step find-cluster
	grep -q 'server: "https://192.168.1.12:6443"' "$dropin"
	# All else is read-only to the unit.
	grep -qx 'StateDirectory=pibuild rancher' card/etc/systemd/system/pibuild-find-cluster.service
}

# --- workers

@test "a worker takes any server that lives, asks anew at each start until it is a member, then no more" {
	three w-1
	peer 192.168.1.12 cp-2=up w-1=dead
	step find-cluster
	grep -q 'server: "https://192.168.1.12:6443"' "$dropin"
	# Its Node stays: the password on the card is what it always was.
	[ -e peers/192.168.1.12/objects/node/_/w-1 ]
	mv peers/192.168.1.12 peers/192.168.1.11
	rm card/run/pibuild/steps/find-cluster
	step find-cluster
	grep -q 'server: "https://192.168.1.11:6443"' "$dropin"
	echo x >card/var/lib/pibuild/join.done
	rm -r peers/192.168.1.11 card/run/pibuild/steps/find-cluster
	step find-cluster
	grep -q 'server: "https://192.168.1.11:6443"' "$dropin"
}

@test "a worker whose servers are all down waits and says which; a name that nobody knows is told" {
	three w-1
	until_second 30
	said 'state waiting'
	said 'cause No server of the cluster answers at TCP 6443: cp-1 at 192.168.1.11, cp-2 at 192.168.1.12, cp-3 at 192.168.1.13$'
	sed -i 's/^cp-1 .*/cp-1 cp-1.local/' card/etc/pibuild/servers
	# found by mDNS, which K3s does not ask
	program getent 'case $* in "-s hosts:files dns ahostsv4 cp-1.local") exit 2 ;; *) echo "192.168.1.11 STREAM" ;; esac'
	until_second 60
	said 'cause The name of a server, cp-1.local, cannot be resolved by /etc/hosts and name servers, all that K3s asks$'
}

@test "one server on SQLite has nothing to find; with etcd it starts its cluster, whatever its card was" {
	card
	refute grep -q find-cluster card/etc/pibuild/steps
	[ ! -e card/etc/pibuild/servers ]
	grep -qx 'ConditionPathExists=/etc/pibuild/servers' card/etc/systemd/system/pibuild-find-cluster.service
	rm -rf card
	write_etcd() {
		write_cluster
		sed -i 's/^  name: lab/&\n  datastore: etcd/' cluster.yaml
	}
	MAKE=write_etcd card
	echo 'state done' >card/run/pibuild/steps/preflight 2>/dev/null || { mkdir -p card/run/pibuild/steps && echo 'state done' >card/run/pibuild/steps/preflight; }
	echo no >card/etc/pibuild/birth
	step find-cluster
	grep -qx 'cluster-init: true' card/etc/rancher/k3s/config.yaml.d/10-pibuild-join.yaml
}
