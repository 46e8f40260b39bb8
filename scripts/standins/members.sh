# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# Part of the stand-in of k3s: the members of etcd on several machines, as far as they decide about birth and rejoin.
#
# As in the real ones:
#   - a member goes on as the one that it was, by member/wal and its name, NODE-xxxxxxxx, in db/etcd (k3s-io/k3s
#     pkg/etcd/etcd.go, IsInitialized, setName);
#   - one that joins is added by its address without a name, then starts and gets it; added and not yet started, it is
#     known by the address; the name of another member of its node is refused (etcd.go, join), which ends K3s;
#   - one is added at a time, and only while all others are there (etcd-io/etcd server/etcdserver/server.go, mayAddMember:
#     "unhealthy cluster", "too many learner members in cluster"); K3s then waits for them (etcd.go, join);
#   - more than half of those that have a name must answer, or the API has no answers; /cacerts needs none of them;
#   - a member goes with its Node (pkg/etcd/member_controller.go), and one that was taken away ends;
#   - agents keep the addresses of all servers and ask the next when one does not answer (pkg/agent/loadbalancer);
#   - a Node of which nothing was heard for 50 seconds is Unknown (kubernetes/kubernetes, node-monitor-grace-period).
# Not as in the real ones: there is no raft. Changes are made by one member at a time, named in `leader` of the state: any
# other first has that name and the whole state handed over, makes its change, and hands the state to all that answer. One
# that starts takes it from those that are up; of several that start the one with most of it is up first. Servers ask nodes
# whether they are there, at the kubelet's port, and are not told. A learner that never starts is not given up after five
# minutes, and a member that was taken away does not come back by itself. All talk is plain HTTP, by busybox.
#
#   members/NODE   in the state: "ADDRESS MEMBER", without MEMBER until it has started
#   leader, revision   in the state: the node that makes changes; a number that each change makes larger
#   $view/lost         is there while too few members answer
#   $view/heard/NODE   uptime when that node was last heard of

db=$data/server/db
www=/var/lib/rancher/k3s/stand-in.www # /run is mounted noexec where an initramfs mounts it

is_member() {
	[ -e "$db/etcd/member/wal" ]
}

# become_member: durable before anything says so
become_member() {
	mkdir -p "$db/etcd/member/wal"
	sync -f "$db/etcd/member/wal"
}

# name_member: sets `me`
name_member() {
	me=''
	[ ! -s "$db/etcd/name" ] || read -r me <"$db/etcd/name"
	[ -z "$me" ] || return 0
	read -r me </proc/sys/kernel/random/uuid
	me=$node-${me%%-*}
	echo "$me" | store "$db/etcd/name"
}

# own_address: sets `address`
own_address() {
	address=$(config_value node-ip)
	[ -n "$address" ] || address=$(ip -4 -o addr show scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p;q')
}

# member_of NODE: sets `address` and `member`; 1 when etcd has none of that node
member_of() {
	address='' member=''
	[ -e "$state/members/$1" ] || return 1
	read -r address member <"$state/members/$1" || true
}

# member_nodes: the nodes that have a member
member_nodes() {
	for file in "$state"/members/*; do
		case $file in
		*.tmp.* | *'*') ;;
		*) echo "${file##*/}" ;;
		esac
	done
}

# revision: sets `revision`
revision() {
	revision=0
	[ ! -e "$state/revision" ] || read -r revision <"$state/revision"
}

# --- a change, and how it comes to the others

# secret: sets `secret`, which servers know of each other
secret() {
	secret=$(config_value token)
	secret=${secret##*:server:}
}

# peer begin: also a program of its own, for the whole stand-in takes an emulated machine half a second to read
# pack: the state, as text
pack() {
	(cd "$state" && find objects values members cordoned leader revision -type f ! -name '*.tmp.*' 2>/dev/null | xargs tar -czf -) | base64
}

# sums DIR PATH...: "DIGEST  PATH" of the files there
sums() {
	(cd "$1" && shift && find "$@" -type f ! -name '*.tmp.*' -print0 2>/dev/null | xargs -0 -r sha256sum) | sort
}

# unpack_state: what pack made becomes the state, file by file by a rename, the revision last
unpack_state() {
	new=$state/new.$$ taken=''
	mkdir -p "$new" "$state/objects" "$state/values" "$state/members"
	if base64 -d | tar -xzf - -C "$new" && [ -s "$new/revision" ]; then
		sums "$new" objects values members cordoned leader >"$new.new"
		sums "$state" objects values members cordoned leader >"$new.old"
		comm -23 "$new.new" "$new.old" | while read -r _ file; do
			case $file in
			*/*) mkdir -p "$state/${file%/*}" ;;
			esac
			mv "$new/$file" "$state/$file"
		done
		cut -c 67- "$new.new" | sort >"$new.names"
		cut -c 67- "$new.old" | sort | comm -13 "$new.names" - | while read -r file; do
			rm -f "$state/$file"
		done
		sync -f "$state"
		mv "$new/revision" "$state/revision"
		taken=yes
	fi
	rm -rf "$new" "$new.new" "$new.old" "$new.names"
	[ -n "$taken" ]
}

# names: of all that the state holds
names() {
	(cd "$state" && find objects values members cordoned -type f ! -name '*.tmp.*' 2>/dev/null) | sort
}

# take_change NEW OLD: stdin, "- FILE" for what went and then an archive of what came, makes the state of OLD that of NEW.
# Who has another state takes the whole one at its next look around.
take_change() {
	[ "$2" = "$(cat "$state/revision" 2>/dev/null || echo 0)" ] || return 0
	new=$state/new.$$
	mkdir -p "$new"
	cat >"$new.body"
	sed '/^- /d' "$new.body" | base64 -d | tar -xzf - -C "$new"
	(cd "$new" && find . -type f) | while read -r file; do
		[ -d "$state/${file%/*}" ] || mkdir -p "$state/${file%/*}"
		mv "$new/$file" "$state/$file"
	done
	sed -n 's/^- //p' "$new.body" | while read -r file; do
		rm -f "$state/$file"
	done
	rm -rf "$new" "$new.body"
	echo "$1" >"$state/revision.tmp.$$"
	sync -f "$state"
	mv "$state/revision.tmp.$$" "$state/revision"
}

# hand_over NODE REVISION: the lead, with the state when that node has another one; not in the middle of a change
hand_over() {
	{
		flock 9
		read -r leader <"$state/leader" && [ "$leader" = "$node" ] || return 1
		echo "$1" >"$state/leader.tmp.$$"
		mv "$state/leader.tmp.$$" "$state/leader"
		sync -f "$state"
		number=$(cat "$state/revision" 2>/dev/null || echo 0)
		echo "$number"
		[ "$2" = "$number" ] || pack
	} 9>"$view/lock"
}

# answer_peer: the body is a line "SECRET VERB [WORD...]", then what goes with it: `push` has a change, `state` gives all,
# `lead` hands over
answer_peer() {
	body=$(head -c "${CONTENT_LENGTH:-0}")
	printf 'Content-Type: text/plain\r\n\r\n'
	read -r secret verb word second <<-EOT
		$body
	EOT
	grep -q "::server:$secret\"\{0,1\}\$" "$config" || return 1
	case $verb in
	push) printf '%s\n' "$body" | sed 1d | take_change "$word" "$second" ;;
	state) pack ;;
	lead) hand_over "$word" "$second" ;;
	esac
}
# peer end

# ask_peer ADDRESS VERB [WORD...]: stdin goes with it
ask_peer() {
	at=$1
	shift
	secret
	peer_body=$(echo "$secret $*" && cat)
	busybox wget -q -T 30 -O - --post-data="$peer_body" "http://$at:$port/cgi-bin/peer"
}

# fetch_state ADDRESS
fetch_state() {
	ask_peer "$1" state </dev/null >"$view/fetched.$$" && [ -s "$view/fetched.$$" ] && unpack_state <"$view/fetched.$$"
	found=$?
	rm -f "$view/fetched.$$"
	return "$found"
}

# lead: this member makes the next change
lead() {
	for turn in 1 2 3 4 5; do
		leader=$(cat "$state/leader" 2>/dev/null || true)
		[ "$leader" != "$node" ] || return 0
		revision
		if member_of "$leader" && ask_peer "$address" lead "$node" "$revision" </dev/null >"$view/lead" && read -r number <"$view/lead"; then
			[ "$number" = "$revision" ] || sed 1d "$view/lead" | unpack_state || continue
			echo "$node" | store "$state/leader"
			return 0
		fi
		[ "$turn" = 1 ] || sleep 1 # it was handed to another meanwhile
	done 2>/dev/null
	return 1
}

# begin_change, push: what is changed between them goes to all other members that answer. Called with the lock. busybox's
# find knows seconds only: what was changed just before goes along.
begin_change() {
	touch -d "@$(($(date +%s) - 2))" "$view/begun"
	names >"$view/names"
}

push() {
	revision
	echo "$((revision + 1))" | store "$state/revision"
	{
		names | comm -23 "$view/names" - | sed 's/^/- /'
		(cd "$state" && { echo leader && find objects values members cordoned -type f ! -name '*.tmp.*' -newer "$view/begun" 2>/dev/null; } | xargs tar -czf -) | base64
	} >"$view/packed"
	for other in $(member_nodes); do
		[ "$other" != "$node" ] && member_of "$other" && [ -n "$address" ] || continue
		[ -e "$view/there/$other" ] || [ ! -e "$view/heard/$other" ] || continue
		ask_peer "$address" push "$((revision + 1))" "$revision" <"$view/packed" >/dev/null 2>&1 &
	done
	wait
}

# changes PROGRAM ARG...: whether that call may change the state
changes() {
	case $1 in
	join | promote) return 0 ;;
	kubectl)
		for word in "$@"; do
			case $word in
			apply | delete | create | annotate | label | restart | drain | cordon | uncordon | taint) return 0 ;;
			esac
		done
		return 1
		;;
	helm | cilium)
		for word in "$@"; do
			case $word in
			install | upgrade | uninstall) return 0 ;;
			esac
		done
		return 1
		;;
	esac
	return 1
}

# --- who is there: a look around every few seconds, by a process of its own

# knock: at all other nodes at once; $view/there holds what those said that answered in the last 25 s. Few processes, for it is done all the
# time.
knock() {
	mkdir -p "$view/heard" "$view/there" "$view/new"
	rm -f "$view"/new/*
	for file in "$view"/heard/*; do
		[ -e "$state/objects/node/_/${file##*/}" ] || rm -f "$file"
	done
	for file in "$state"/objects/node/_/*; do
		name=${file##*/}
		case $name in
		*.tmp.* | '*' | "$node") continue ;;
		esac
		at=''
		while read -r key value; do
			[ "$key" != k3s.io/internal-ip: ] || at=$value
		done <"$file"
		busybox wget -q -T 8 -O "$view/new/$name" "http://$at:10250/node" 2>/dev/null &
	done
	wait
	read -r up _ </proc/uptime
	for file in "$state"/objects/node/_/*; do
		name=${file##*/}
		case $name in
		*.tmp.* | '*' | "$node") continue ;;
		esac
		said=''
		[ ! -s "$view/new/$name" ] || read -r said <"$view/new/$name"
		# One that is new counts from now.
		[ -z "$said" ] && [ -e "$view/heard/$name" ] || echo "${up%.*}" >"$view/heard/$name"
		if [ -n "$said" ]; then
			echo "$said" >"$view/there/$name"
		elif [ -e "$view/there/$name" ]; then
			# A machine may be too busy to answer once.
			read -r last <"$view/heard/$name"
			[ $((${up%.*} - last)) -lt 25 ] || rm "$view/there/$name"
		fi
	done
}

# count_members: sets `voters`, `here` (how many of them answer), `first` (the first of those that are up), `newest`,
# `newest_phase` and `newest_at` (who has the highest revision of those that are up, or of all while none is), `leading`
# when the leader is up
count_members() {
	voters=0 here=0 first='' newest='' newest_at=-1 newest_phase='' leading='' leader=''
	[ ! -e "$state/leader" ] || read -r leader <"$state/leader"
	revision
	for file in "$state"/members/*; do
		name=${file##*/}
		case $name in
		*.tmp.*) continue ;;
		esac
		member_of "$name" || continue
		[ -n "$member" ] || continue
		voters=$((voters + 1))
		said="$me $phase $revision"
		[ "$name" = "$node" ] || {
			[ -e "$view/there/$name" ] || continue
			read -r said <"$view/there/$name" || continue
		}
		# shellcheck disable=SC2086 # three words
		set -- $said
		[ "${1:-}" = "$member" ] || continue
		here=$((here + 1))
		[ "$2" != up ] || first=${first:-$name}
		[ "$2:$name" != "up:$leader" ] || leading=yes
		case $newest_phase:$2 in
		up:starting) continue ;;
		:* | starting:up) ;;
		*) [ "$3" -gt "$newest_at" ] || continue ;;
		esac
		newest=$name newest_at=$3 newest_phase=$2
	done
}

# look_around: whether there are enough, who leads, and whether this one has missed something
look_around() {
	knock
	[ -n "$me" ] || return 0
	removed=''
	member_of "$node" && [ "$member" = "$me" ] || { removed=yes && return; }
	count_members
	if [ $((here * 2)) -le "$voters" ]; then
		[ -e "$view/lost" ] || echo "etcd: $here of $voters members answer"
		: >"$view/lost"
		return 0
	fi
	if [ "$newest" != "$node" ] && [ "$newest_at" -gt "$revision" ] || [ "$phase:$newest_phase" = starting:up ]; then
		[ "$newest_phase" = up ] && member_of "$newest" && fetch_state "$address" || return 0
		member_of "$node" && [ "$member" = "$me" ] || removed=yes
	fi
	[ -z "$removed" ] || return 0
	[ "$phase:$newest_phase" != starting:starting ] || [ "$newest" = "$node" ] || return 0
	phase=up
	[ ! -e "$view/lost" ] || rm "$view/lost"
	missed=$((${missed:-0} + 1))
	[ -z "$leading" ] || missed=0
	# The first one after three looks; the others, if that one thinks otherwise, later. They take it by its revision.
	if [ "$missed" -ge 3 ] && { [ "$first" = "$node" ] || [ "$missed" -ge 9 ]; }; then
		echo "etcd: $node leads"
		echo "$node" | store "$state/leader"
		echo $(((revision / 1000 + 1) * 1000)) | store "$state/revision"
		missed=0
	fi
	: >"$ready"
}

# tell: what others find here
tell() {
	revision
	told="${me:-agent} $phase $revision"
	[ "$told" != "${was_told:-}" ] || return 0
	echo "$told" >"$www/node.tmp"
	mv "$www/node.tmp" "$www/node"
	was_told=$told
	[ -n "$me" ] || return 0
	for name in $(member_nodes); do
		member_of "$name"
		echo "$address:$port"
	done >"$www/members.tmp"
	mv "$www/members.tmp" "$www/members"
}

# balance: an agent's list of servers, the first one that answers in front
balance() {
	for target in $(balanced); do
		found=$(busybox wget -q -T 8 -O - "http://$target/members" 2>/dev/null) && [ -n "$found" ] || continue
		keep_balance "$target" "$found"
		return
	done
}

# keep_balance SERVER SERVERS
keep_balance() {
	list="\"$1\""
	for target in $2; do
		[ "$target" = "$1" ] || list="$list,\"$target\""
	done
	[ "$list" = "${kept_list:-}" ] || echo "{\"ServerURL\":\"https://$1\",\"ServerAddresses\":[$list]}" | store "$balancer"
	kept_list=$list
}

# beat ROLE: for as long as the machine is on
beat() {
	set +e
	phase=starting me=${me:-}
	[ -n "$me" ] || phase=up
	while :; do
		case $1 in
		server) look_around ;;
		agent) balance ;;
		esac
		[ -z "${removed:-}" ] || {
			echo "level=fatal msg=\"this server is a not a member of the etcd cluster. Found [$(member_nodes | tr '\n' ' ')], expect: $me\""
			rm -f "$ready" "$www/node"
			return 1
		}
		tell
		sleep 7
	done
}

# start_beat ROLE: in the place of the one of before a restart of K3s
start_beat() {
	mkdir -p "$view"
	[ ! -e "$view/beat" ] || kill "$(cat "$view/beat")" 2>/dev/null || true
	beat "$1" </dev/null &
	echo $! >"$view/beat"
}

# listen ROLE: the API's port and the kubelet's
listen() {
	command -v busybox >/dev/null && [ -z "${STANDIN_STATE:-}" ] || return 0
	mkdir -p "$www/cgi-bin" "$view"
	rm -f "$www/node" "$www/members"
	if [ "$1" = server ]; then
		printf '#!/bin/busybox sh\nSTANDIN_SHELL=busybox exec busybox sh /usr/local/bin/k3s stand-in-request\n' >"$www/cgi-bin/k3s"
		{
			printf '#!/bin/busybox sh\nset -eu\nstate=%s config=%s view=%s node=%s\n' "$state" "$config" "$view" "$node"
			sed -n '/^# peer begin/,/^# peer end/p' "$0"
			echo answer_peer
		} >"$www/cgi-bin/peer"
		chmod 755 "$www/cgi-bin/k3s" "$www/cgi-bin/peer"
		busybox httpd -p $port -h "$www" 2>/dev/null || true # the one of before a restart is still there
	fi
	busybox httpd -p 10250 -h "$www" 2>/dev/null || true
}
