#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Backups: their keys in cluster.yaml, and the program of a rendered card that makes, ships and counts them.
#
# S3 is OpenStack Swift's (tests/lib/swift-s3.py), SSH is sshd's, both on loopback, by the curl and sftp of this machine.
# NFS is mounted by a stand-in that takes what the kernel and mount(8) take, since a real mount needs a kernel's NFS; disks
# too, so that all but one test need no root.

load ../lib/first-boot
load ../lib/disk

teardown() {
	umount "$BATS_TEST_TMPDIR/card/var/lib/pibuild/backup/place" 2>/dev/null || true
	detach_all
	for pid in "$BATS_TEST_TMPDIR"/*.pid; do
		[ ! -e "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || true
	done
}

# backed_up LINE...: ./card of a single server with these lines below backup.to, its database with a row in it
backed_up() {
	card 'backup:' '  keep: 3' '  to:' "$@"
	program k3s 'echo "k3s version v1.36.4+k3s1 (abcdef)"; echo "go version go1.26"'
	database card/var/lib/rancher/k3s/server/db/state.db written-before
}

# database FILE WORD: a database as K3s has one, open and written to in WAL mode, with WORD in a row
database() {
	mkdir -p "$(dirname "$1")"
	sqlite3 "$1" 'PRAGMA journal_mode=WAL' 'CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY, name TEXT)' \
		"INSERT INTO kine (name) VALUES ('$2')" >/dev/null
}

rows() {
	sqlite3 "$1" 'SELECT name FROM kine ORDER BY id' | paste -sd ' '
}

back_up() {
	sh card/usr/lib/pibuild/backup >log.backup 2>&1
}

# mounts SOURCE TYPE: `mount` shows ./there at the folder, when it is asked for this and as pibuild has to ask
mounts() {
	mkdir -p there
	echo "$1 $2" >card/mountable
	program mount 'dir='"$PWD/there" 'options="" type="" internal=""' \
		'while [ $# -gt 2 ]; do case $1 in -i) internal=yes ;; -t) type=$2; shift ;; -o) options=$2; shift ;; *) echo "mount: bad usage" >&2; exit 1 ;; esac; shift; done' \
		'read -r source kind <"$PIBUILD_ROOT/mountable"' \
		'[ "$1" = "$source" ] || { echo "mount: $2: can'\''t find $1." >&2; exit 32; }' \
		'if [ "$kind" = nfs ]; then' \
		'  case ,$options, in *,addr=192.168.1.9,*) ;; *) echo "mount: $2: fsconfig() failed: NFS: mount program didn'\''t pass remote address." >&2; exit 32 ;; esac' \
		'  case $internal:$type:,$options, in yes:nfs:*,vers=4.1,*) ;; *) echo "mount: $2: fsconfig() failed: NFS: Version unavailable." >&2; exit 32 ;; esac' \
		'fi' \
		'rmdir "$2" && ln -s "$dir" "$2"'
	program umount '[ -L "$1" ] || { echo "umount: $1: not mounted" >&2; exit 32; }; rm "$1" && mkdir "$1"'
	program getent 'echo "192.168.1.9 STREAM"'
}

# at SECONDS: what the card's clock says
at() {
	echo "$1" >card/clock
	program date 'case $1 in +%s) exec cat "$PIBUILD_ROOT/clock" ;; esac; exec /bin/date "$@"'
}
day=86400 first_day=1790000000

copies() {
	(cd "${1:-there}" && ls | grep -c '\.gz$' || true)
}

# ---- cluster.yaml ----

@test "what cannot be a backup is refused at its place, with the way out" {
	local line expected
	mkdir wrong && ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N secret -f locked
	echo 'nas.lan ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ' >hosts
	echo '# empty' >no-hosts
	sed 's/$/\r/' key >key.crlf && tr -d '\n' <key >key.one && awk '{printf "%s\\n", $0}' key >key.escaped && head -n 3 key >key.cut
	chmod 600 key.*
	export KEY_ID=id KEY=key
	while IFS='|' read -r line expected; do
		write_cluster "backup: $line"
		fails 3 "$expected" "$PIBUILD" check
	done <<-'EOT'
		{}|backup: 'to' is missing: where they go: exactly one of these
		{to: {}}|backup.to: give exactly one of s3, nfs, ssh or disk
		{to: {nfs: "nas:/b", disk: B}}|backup.to: give exactly one of s3, nfs, ssh or disk, not several
		{to: {nfs: "nfs://nas/b"}}|backup.to.nfs: 'nfs://nas/b' cannot be used: this is a URL: give HOST:/FOLDER, such as nas.lan:/volume1/backup, without nfs://
		{to: {nfs: nas/b}}|backup.to.nfs: 'nas/b' cannot be used: give the server and the folder that it exports
		{to: {disk: rootfs}}|this is the label of the card itself
		{to: {disk: "a b"}}|backup.to.disk
		{schedule: "0 3 * *", to: {disk: B}}|backup.schedule: '0 3 * *' cannot be used: give five fields as cron has them
		{schedule: "0 24 * * *", to: {disk: B}}|'24' is no hour of 0 to 23
		{schedule: "0 3 1 * 1", to: {disk: B}}|mean one thing to cron and another to systemd
		{schedule: "0 3 31 2 *", to: {disk: B}}|there is no such day in any year
		{keep: 0, to: {disk: B}}|backup.keep: '0' cannot be used: give a number from 1 to 365
		{to: {s3: {endpoint: "http://nas", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.endpoint: 'http://nas' cannot be used: give the https:// address
		{to: {s3: {endpoint: "https://nas/", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|without a '/' at its end
		{to: {s3: {endpoint: "https://nas", bucket: bbb, accessKey: AKIA, secretKey: {env: KEY}}}}|backup.to.s3.accessKey: a secret must not be written here
		{to: {s3: {endpoint: "https://nas", bucket: bbb, accessKey: {env: NO_SUCH}, secretKey: {env: KEY}}}}|backup.to.s3.accessKey
		{to: {s3: {endpoint: "https://s3.eu-central-1.amazonaws.com", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.region: us-east-1 (the default) is not that of s3.eu-central-1.amazonaws.com, which refuses what is signed for another; set region: eu-central-1
		{to: {s3: {endpoint: "https://s3.eu-west-1.amazonaws.com", region: eu-west-2, bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.region: eu-west-2 is not that of s3.eu-west-1.amazonaws.com
		{to: {s3: {endpoint: "https://s3.dualstack.eu-west-1.amazonaws.com", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.region: us-east-1 (the default) is not that of s3.dualstack.eu-west-1.amazonaws.com, which refuses what is signed for another; set region: eu-west-1
		{to: {s3: {endpoint: "https://s3.amazonaws.com", region: eu-west-1, bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.endpoint: s3.amazonaws.com is that of us-east-1, and refuses what is signed for eu-west-1; write https://s3.eu-west-1.amazonaws.com
		{to: {s3: {endpoint: "https://s3.us-west-004.backblazeb2.com", region: us-west-1, bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.region: us-west-1 is not that of s3.us-west-004.backblazeb2.com, which refuses what is signed for another; set region: us-west-004
		{to: {s3: {endpoint: "https://s3.eu-central-1.wasabisys.com", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|set region: eu-central-1
		{to: {s3: {endpoint: "https://s3.nl-ams.scw.cloud", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|set region: nl-ams
		{to: {s3: {endpoint: "https://0123abcd.r2.cloudflarestorage.com", region: eu-west-1, bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.region: eu-west-1 is not that of 0123abcd.r2.cloudflarestorage.com, which refuses what is signed for another; set region: auto
		{to: {s3: {endpoint: "https://bbb.s3.amazonaws.com", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}|backup.to.s3.endpoint: bbb.s3.amazonaws.com is the address of the bucket, and it would be looked for in itself; write https://s3.amazonaws.com
		{to: {ssh: {to: nas, key: {file: key}, knownHosts: hosts}}}|backup.to.ssh.to: 'nas' cannot be used: give the account, the host and an absolute folder
		{to: {ssh: {to: "b@nas:/b", key: {file: key.pub}, knownHosts: hosts}}}|backup.to.ssh.key: the secret's file
		{to: {ssh: {to: "b@nas:/b", key: {file: locked}, knownHosts: hosts}}}|has a passphrase, and nobody is there
		{to: {ssh: {to: "b@nas:/b", key: {file: key.crlf}, knownHosts: hosts}}}|key.crlf has line ends of Windows (CR LF), with which ssh takes no key; remove them: sed -i 's/\r$//' FILE
		{to: {ssh: {to: "b@nas:/b", key: {file: key.one}, knownHosts: hosts}}}|key.one has lost the ends of its lines
		{to: {ssh: {to: "b@nas:/b", key: {file: key.escaped}, knownHosts: hosts}}}|key.escaped has lost the ends of its lines
		{to: {ssh: {to: "b@nas:/b", key: {file: key.cut}, knownHosts: hosts}}}|key.cut is cut off
		{to: {ssh: {to: "b@nas:/b", key: {file: key}, knownHosts: no-hosts}}}|holds no host key
		{to: {ssh: {to: "b@nas:/b", key: {file: key}, knownHosts: key.pub}}}|a line is none of known_hosts
	EOT
	sed -i 's/\r$//' key.crlf
	for line in key key.crlf; do
		write_cluster "backup: {to: {ssh: {to: \"b@nas:/b\", key: {file: $line}, knownHosts: hosts}}}"
		"$PIBUILD" check
	done
	for line in 's3.amazonaws.com' 's3.eu-central-1.amazonaws.com", region: "eu-central-1' 's3.dualstack.eu-central-1.amazonaws.com", region: "eu-central-1' 'bbb.lan' \
		's3.fr-par.scw.cloud", region: "fr-par' 's3.us-west-004.backblazeb2.com", region: "us-west-004' 'a.eu.r2.cloudflarestorage.com", region: "auto' \
		'a.r2.cloudflarestorage.com", region: "weur' 'a.r2.cloudflarestorage.com' 's3.wasabisys.com' 'garage.lan:3900", region: "garage' 'nas.lan:9000", region: "home_1.lan' \
		'fsn1.your-objectstorage.com", region: "fsn1' 'ams3.digitaloceanspaces.com' 'gateway.storjshare.io'; do
		write_cluster "backup: {to: {s3: {endpoint: \"https://$line\", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}"
		"$PIBUILD" check
	done
}

@test "Garage without its region is asked about" {
	export KEY_ID=a KEY=b
	for host in garage.lan s3.lan:3900; do
		write_cluster "backup: {to: {s3: {endpoint: \"https://$host\", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}"
		fails 0 'note: backup.to.s3.region: if this is Garage, it refuses us-east-1, the default: set region to what its s3_region says, mostly garage' "$PIBUILD" check
	done
}

@test "the id of a key in the place of the key is asked about" {
	export KEY_ID=AKIAIOSFODNN7EXAMPLE KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
	write_cluster 'backup: {to: {s3: {endpoint: "https://s3.amazonaws.com", bucket: bbb, accessKey: {env: KEY}, secretKey: {env: KEY_ID}}}}'
	fails 0 'KEY_ID looks like the id of a key of Amazon, and the key itself is wanted here, which has 40 characters; were the two exchanged?' "$PIBUILD" check
	write_cluster 'backup: {to: {s3: {endpoint: "https://s3.amazonaws.com", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}}}'
	run "$PIBUILD" check
	[ "$status" -eq 0 ]
	[[ $output != *exchanged* ]]
}

@test "a backup inside the cluster is noted" {
	write_cluster 'loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.70}]}' 'backup: {to: {nfs: "192.168.1.66:/b"}}'
	fails 0 'backup.to.nfs: 192.168.1.66 is a service of this cluster: when the cluster is lost, so are its backups' "$PIBUILD" check
	write_cluster 'backup: {to: {nfs: "w-1:/b"}}'
	fails 0 'w-1 is the node w-1' "$PIBUILD" check
	write_cluster 'backup: {to: {nfs: "nas.lan:/b"}}'
	"$PIBUILD" check 2>said
	refute grep -q 'backup' said
}

# Random cron lines: what systemd makes of the timer against days and minutes counted one by one.
# bats test_tags=slow
@test "the timer comes when the cron line says, and the period is its longest gap" {
	write_cluster
	python3 - "$PIBUILD" <<-'EOT'
		import datetime, random, re, subprocess, sys
		rng = random.Random(7)
		def field(low, high, names=()):
		    kind, top = rng.randrange(5), 31 if high == 28 else high
		    if kind < 2: return "*", set(range(low, top + 1))
		    if kind == 2:
		        v = rng.sample(range(low, high + 1), rng.randint(1, 3))
		        return ",".join(map(str, v)), set(v)
		    a = rng.randint(low, high); b = rng.randint(a, high)
		    if kind == 3: return f"{a}-{b}", set(range(a, b + 1))
		    step = rng.randint(1, 9)
		    return f"*/{step}", set(range(low, top + 1, step))
		lines = [("0 3 * * *", ({0}, {3}, set(range(1, 32)), set(range(1, 13)), set(range(7)))),
		         ("30 2 * * mon,Wed", ({30}, {2}, set(range(1, 32)), set(range(1, 13)), {1, 3})),
		         ("0 0 1 jan,JUL *", ({0}, {0}, {1}, {1, 7}, set(range(7)))),
		         ("15 4 * * 7", ({15}, {4}, set(range(1, 32)), set(range(1, 13)), {0}))]
		while len(lines) < 16:
		    minute, m = field(0, 59); hour, h = field(0, 23); month, mo = field(1, 12)
		    day, d = ("*", set(range(1, 32))); week, w = ("*", set(range(7)))
		    if rng.random() < 0.5: day, d = field(1, 28)
		    else: week, w = field(0, 6)
		    lines.append((f"{minute} {hour} {day} {month} {week}", (m, h, d, mo, w)))
		for line, (m, h, d, mo, w) in lines:
		    base = [l for l in open("cluster.yaml") if not l.startswith("backup")]
		    open("cluster.yaml", "w").write("".join(base) + f'backup: {{schedule: "{line}", to: {{disk: B}}}}\n')
		    subprocess.run(["rm", "-rf", "card"], check=True)
		    subprocess.run([sys.argv[1], "render", "--node", "cp-1", "-o", "card"], check=True, capture_output=True)
		    timer = open("card/etc/systemd/system/pibuild-backup.timer").read()
		    wanted = re.search(r"^OnCalendar=(.*)$", timer, re.M).group(1)
		    out = subprocess.run(["systemd-analyze", "calendar", "--iterations=12", "--base-time=2026-11-29 00:00:00 UTC", wanted],
		                         capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"})
		    assert out.returncode == 0, (line, wanted, out.stderr)
		    got = re.findall(r"(?:Next elapse|Iter(?:ation|\.) #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d):00", out.stdout)
		    right, t = [], datetime.datetime(2026, 11, 29)
		    times = sorted(60 * a + b for a in h for b in m)
		    while len(right) < len(got):
		        if t.day in d and t.month in mo and (t.isoweekday() % 7) in w:
		            for minute in times:
		                at = t + datetime.timedelta(minutes=minute)
		                if at > datetime.datetime(2026, 11, 29): right.append(at.strftime("%Y-%m-%d %H:%M"))
		        t += datetime.timedelta(days=1)
		    assert got and got == right[:len(got)], (line, wanted, got, right)
		    period = int(re.search(r"^period (\d+)$", open("card/etc/pibuild/backup").read(), re.M).group(1))
		    t, end, last = datetime.date(2024, 1, 1), datetime.date(2052, 1, 1), None
		    longest = max([b - a for a, b in zip(times, times[1:])] + [0])
		    while t < end:
		        if t.day in d and t.month in mo and (t.isoweekday() % 7) in w:
		            if last: longest = max(longest, (t - last).days * 1440 + times[0] - times[-1])
		            last = t
		        t += datetime.timedelta(days=1)
		    assert period == 60 * longest, (line, period, longest)
	EOT
}

@test "every server has it, with its keys in private files alone; a worker has nothing of it" {
	write_cluster
	sed -i '/name: w-1/i\  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}\n  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}' cluster.yaml
	ssh-keygen -q -t ed25519 -N '' -f key
	echo 'nas.lan ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ' >hosts
	cp cluster.yaml plain.yaml
	for place in 'ssh: {to: "b@nas.lan:/b", key: {file: key}, knownHosts: hosts}' \
		's3: {endpoint: "https://nas.lan", bucket: bbb, accessKey: {env: KEY_ID}, secretKey: {env: KEY}}'; do
		cp plain.yaml cluster.yaml && echo "backup: {to: {$place}}" >>cluster.yaml
		for node in cp-1 cp-3 w-1; do
			rm -rf card
			KEY_ID=keyIdOfTheBackup KEY='s3cret"of\backup' "$PIBUILD" render --node $node --show-secrets -o card >/dev/null 2>&1
			case $node in
			w-1)
				[ ! -e card/etc/pibuild/backup ]
				[ ! -e card/etc/systemd/system/timers.target.wants/pibuild-backup.timer ]
				[ ! -e card/etc/pibuild/secrets ]
				;;
			*)
				grep -qx "order $((${node#cp-} - 1))" card/etc/pibuild/backup
				grep -qx 'datastore etcd' card/etc/pibuild/backup
				[ -L card/etc/systemd/system/timers.target.wants/pibuild-backup.timer ]
				secret=$(find card -path '*/secrets/backup.*')
				[ "$(stat -c %a "$secret" "$(dirname "$secret")" | paste -sd ' ')" = '600 700' ]
				;;
			esac
		done
		[ "$(grep -rlE 's3cret|OPENSSH PRIVATE' card | wc -l)" = 0 ]
	done
	rm -rf card
	KEY_ID=keyIdOfTheBackup KEY='s3cret"of\backup' "$PIBUILD" render --node cp-2 --show-secrets -o card >/dev/null 2>&1
	[ "$(cat card/etc/pibuild/secrets/backup.curl)" = 'user = "keyIdOfTheBackup:s3cret\"of\\backup"' ]
	[ "$(grep -rl s3cret card)" = card/etc/pibuild/secrets/backup.curl ]
	KEY_ID=a:b KEY=c fails 3 "backup.to.s3.accessKey: the id of a key has no ':'" "$PIBUILD" render --node cp-1 --show-secrets -o other
}

# bats test_tags=slow
@test "systemd finds no fault in the timer and its service, which is confined" {
	backed_up '    disk: BACKUP'
	for unit in service timer; do
		sed "s|=/usr/lib/pibuild/|=$PWD/card/usr/lib/pibuild/|" "card/etc/systemd/system/pibuild-backup.$unit" >"pibuild-backup.$unit"
	done
	run systemd-analyze verify --man=no --recursive-errors=no ./pibuild-backup.timer ./pibuild-backup.service
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	systemd-analyze security --offline=true --threshold=60 card/etc/systemd/system/pibuild-backup.service >security || { tail -3 security; return 1; }
}

# ---- one run ----

# bats test_tags=slow
@test "a disk: what SQLite had while it was written to is there, with its digest, and can be opened" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	sqlite3 card/var/lib/rancher/k3s/server/db/state.db 'BEGIN IMMEDIATE' "INSERT INTO kine (name) VALUES ('not-committed')" '.system touch writing; sleep 3' ROLLBACK >/dev/null &
	until [ -e writing ]; do sleep 0.05; done
	back_up || { cat log.backup; return 1; }
	wait
	name=$(cd there && ls *.gz)
	[[ "$name" =~ ^lab_cp-1_[0-9]{8}T[0-9]{6}Z_v1\.36\.4-k3s1_sqlite\.gz$ ]]
	(cd there && sha256sum -c --quiet "$name.sha256")
	gunzip -c "there/$name" >restored.db
	[ "$(rows restored.db)" = written-before ]
	[ "$(sqlite3 restored.db 'PRAGMA integrity_check')" = ok ]
	[ "$(stat -c %a "there/$name" card/var/lib/pibuild/backup | paste -sd ' ')" = '600 700' ]
	[ "$(cut -d' ' -f2 card/var/lib/pibuild/backup/last)" = "$name" ]
	# nothing is left on the card, and nothing mounted
	[ "$(ls card/var/lib/pibuild/backup | paste -sd ' ')" = 'last lock log place' ]
	[ ! -L card/var/lib/pibuild/backup/place ]
}

# bats test_tags=slow
@test "old ones go once a new one is complete; one that is not whole is never counted, and goes after a day" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	echo mine >there/notes.txt
	touch there/other_cp-1_20200101T000000Z_v1.36.4-k3s1_sqlite.gz there/lab_cp-1_20200101T000000Z_v1.36.4-k3s1_sqlite.gz.part
	for n in 1 2 3; do at $((first_day + n * day)) && back_up; done
	[ "$(copies)" = 4 ]
	[ ! -e there/lab_cp-1_20200101T000000Z_v1.36.4-k3s1_sqlite.gz.part ]
	# the digest of the second never came
	second=$(cd there && ls lab_* | grep '\.gz$' | sed -n 2p)
	rm "there/$second.sha256"
	at $((first_day + 4 * day)) && back_up
	[ ! -e "there/$second" ]
	[ "$(cd there && ls lab_*.gz | wc -l)" = 3 ]
	at $((first_day + 5 * day)) && back_up
	[ "$(cd there && ls lab_*.gz lab_*.sha256 | wc -l)" = 6 ]
	[ -e there/notes.txt ]
	[ -e there/other_cp-1_20200101T000000Z_v1.36.4-k3s1_sqlite.gz ]
	# a copy that is not complete yet, of an hour ago: another server may be at work on it
	fresh=lab_cp-2_$(date -u -d "@$((first_day + 6 * day - 3600))" +%Y%m%dT%H%M%SZ)_v1.36.4-k3s1_sqlite.gz
	touch "there/$fresh"
	at $((first_day + 6 * day)) && back_up
	[ -e "there/$fresh" ]
}

# bats test_tags=slow
@test "nothing old is removed when a new one cannot be written; the report says why, and forgets it afterwards" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	sed -i 's/keep 3/keep 1/' card/etc/pibuild/backup
	at $first_day && back_up
	before=$(ls there)
	for broken in cp sync python3; do
		[ "$broken" != sync ] || rm card/usr/local/bin/sync
		program $broken 'echo "No space left on device" >&2; exit 1'
		at $((first_day + day))
		refute back_up
		grep -q '^cause .*No space left on device' card/run/pibuild/notes/backup
		rm card/usr/local/bin/$broken
		[ "$broken" != sync ] || ln -s /bin/true card/usr/local/bin/sync
		[ "$(ls there | grep -v part)" = "$before" ]
	done
	at $((first_day + 2 * day)) && back_up
	[ ! -e card/run/pibuild/notes/backup ]
	[ "$(copies)" = 1 ]
	[ "$(ls there)" != "$before" ]
}

# bats test_tags=slow
@test "killed anywhere, the next run makes a whole one and leaves nothing" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	for cut in python3 gzip cp mv; do
		program $cut "kill -9 \$PPID; exit 1"
		at $((first_day + day))
		refute back_up
		rm card/usr/local/bin/$cut
		[ ! -L card/var/lib/pibuild/backup/place ] || { rm card/var/lib/pibuild/backup/place && mkdir card/var/lib/pibuild/backup/place; }
	done
	at $((first_day + 3 * day)) && back_up || { cat log.backup; return 1; }
	(cd there && sha256sum -c --quiet lab_*.sha256)
	[ "$(ls there | wc -l)" = 2 ]
	[ "$(ls card/var/lib/pibuild/backup | paste -sd ' ')" = 'last lock log place' ]
}

# bats test_tags=slow
@test "NFS is mounted by the kernel's own means, the version that the server has; a name that is not known is told" {
	backed_up '    nfs: nas.lan:/volume1/backup'
	mounts nas.lan:/volume1/backup nfs
	back_up || { cat log.backup; return 1; }
	[ "$(copies)" = 1 ]
	program getent 'exit 2'
	refute back_up
	grep -q '^cause .*nas.lan:/volume1/backup, cannot be opened: the name nas.lan cannot be resolved' card/run/pibuild/notes/backup
}

# bats test_tags=slow
@test "a disk that is not there is told with its label" {
	backed_up '    disk: BACKUP'
	mounts LABEL=OTHER disk
	refute back_up
	grep -q "^cause The backup's place, LABEL=BACKUP, cannot be opened: mount: .*can't find LABEL=BACKUP" card/run/pibuild/notes/backup
}

# bats test_tags=slow
@test "a real disk, ext4 or FAT, is found by its label, written, and let go" {
	need_loop
	local label=PB$((BASHPID % 100000)) kind disks=''
	backed_up "    disk: $label"
	for kind in ext4 vfat; do
		grep -qw "$kind" /proc/filesystems || modprobe -q "$kind" || continue
		truncate -s 40M "$kind.img"
		case $kind in
		ext4) mke2fs -q -t ext4 -L "$label" "$kind.img" ;;
		vfat) mkfs.fat -F 32 -n "$label" "$kind.img" >/dev/null ;;
		esac
		loop=$(attach "$kind.img")
		udevadm settle 2>/dev/null || true
		blkid -p "$loop" >/dev/null
		at $first_day && back_up || { cat log.backup card/var/lib/pibuild/backup/log; return 1; }
		refute mountpoint -q card/var/lib/pibuild/backup/place
		mkdir "seen.$kind" && mount -o ro "$loop" "seen.$kind"
		(cd "seen.$kind" && sha256sum -c --quiet lab_*.sha256) || { umount "seen.$kind"; return 1; }
		umount "seen.$kind"
		detach_all && rm "$BATS_TEST_TMPDIR/loops"
		disks="$disks $kind"
	done
	[ -n "$disks" ]
	# what the kernel says against a disk is what is told
	head -c 1M /dev/urandom >none.img && truncate -s 40M none.img && loop=$(attach none.img)
	sed -i "s|^source .*|source $loop|" card/etc/pibuild/backup
	refute back_up
	grep -q "^cause The backup's place, $loop, cannot be opened: mount: " card/run/pibuild/notes/backup
}

# ---- etcd, several servers ----

# three NODE [LINE]...: ./card of that server of three, backups to a disk
three() {
	local node=$1
	write_three() {
		write_cluster 'backup: {keep: 3, to: {disk: BACKUP}}'
		sed -i '/name: w-1/i\  - {name: cp-2, role: control-plane, board: rpi5, address: 192.168.1.13/24}\n  - {name: cp-3, role: control-plane, board: rpi5, address: 192.168.1.14/24}' cluster.yaml
	}
	NODE=$node MAKE=write_three card
	python3 -B - "$top/scripts/standins" <<-'EOT'
		import os, sys
		sys.path.insert(0, sys.argv[1])
		import make
		open("card/usr/local/bin/k3s", "wb").write(make.program("k3s", "v1.36.4+k3s1"))
	EOT
	mkdir -p card/var/lib/rancher/k3s/server/db/etcd/member/wal card/state/objects/configmap/default
	echo written-before >card/state/objects/configmap/default/proof
	mounts LABEL=BACKUP disk
}

# bats test_tags=slow
@test "etcd: K3s takes the snapshot, and it is shipped like any other" {
	three cp-1
	at $first_day && back_up || { cat log.backup; return 1; }
	name=$(cd there && ls *.gz)
	[[ "$name" =~ ^lab_cp-1_.*_v1\.36\.4-k3s1_etcd\.gz$ ]]
	gunzip -c "there/$name" | tar -xOf - objects/configmap/default/proof 2>/dev/null | grep -qx written-before
	# without a member there is none, in K3s's words
	rm -r card/var/lib/rancher/k3s/server/db
	refute back_up
	grep -q 'etcd database not found' card/run/pibuild/notes/backup
}

# bats test_tags=slow
@test "of several servers one makes it: the next looks first, and does it when the one before did not" {
	three cp-2
	export TRIGGER_UNIT=pibuild-backup.timer
	begin=$first_day
	at $begin
	# the first server made one meanwhile
	tick "cp /dev/null \"\$OLDPWD/x\" 2>/dev/null; name=lab_cp-1_$(date -u -d @$((begin + 30)) +%Y%m%dT%H%M%SZ)_v1.36.4-k3s1_etcd.gz; touch there/\$name there/\$name.sha256"
	back_up || { cat log.backup; return 1; }
	[ "$(copies)" = 1 ]
	grep -q 'another server made lab_cp-1_' log.backup
	grep -q " lab_cp-1_" card/var/lib/pibuild/backup/last
	[ "$(cut -d' ' -f1 card/var/lib/pibuild/backup/last)" = $((begin + 30)) ]
	# it waited its turn
	[ "$(cut -d. -f1 card/proc/uptime)" -ge 1000 ]
	# the first one is dead
	rm card/tick
	at $((begin + day)) && back_up
	[ "$(copies)" = 2 ]
	ls there | grep -q '^lab_cp-2_'
	# by hand it makes one at once
	unset TRIGGER_UNIT
	read -r before _ <card/proc/uptime
	at $((begin + 2 * day)) && back_up
	[ "$(copies)" = 3 ]
	[ "$(cut -d' ' -f1 card/proc/uptime)" = "$before" ]
}

# bats test_tags=slow
@test "what fails is tried again three times, and whoever starts it then is not refused" {
	backed_up '    disk: BACKUP'
	mounts LABEL=OTHER disk
	back_up || code=$?
	[ "$code" = 1 ]
	echo 3 >card/k3s-restarts
	back_up || code=$?
	[ "$code" = 2 ]
	unit=card/etc/systemd/system/pibuild-backup.service
	grep -qx 'RestartPreventExitStatus=2' "$unit"
	grep -qx 'StartLimitIntervalSec=0' "$unit"
	refute grep -q StartLimitBurst "$unit"
}

# ---- S3 and SSH ----

# swift [SECRET]: an S3 service at $s3_port that trusts keyIdOfTheBackup with that secret
swift() {
	/usr/bin/python3 -c 'import swift.common.middleware.s3api.s3api' 2>/dev/null || skip 'needs python3-swift'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout s3.key -out s3.pem 2>/dev/null
	/usr/bin/python3 "$top/tests/lib/swift-s3.py" "$PWD/swift" "$PWD/s3.pem" "$PWD/s3.key" keyIdOfTheBackup "${1:-s3cret/of+backup=}" homelab >swift.log 2>&1 3>&- &
	echo $! >swift.pid
	for _ in $(seq 300); do [ -e swift/port ] && break; sleep 0.1; done
	s3_port=$(cat swift/port) || { cat swift.log; return 1; }
	export KEY_ID=keyIdOfTheBackup KEY=${2:-s3cret/of+backup=}
}

s3_card() {
	backed_up "    s3: {endpoint: 'https://localhost:$s3_port', bucket: homelab, accessKey: {env: KEY_ID}, secretKey: {env: KEY}, caFile: $PWD/s3.pem}"
}

# bats test_tags=slow
@test "S3: written, counted, removed and fetched again, with a real service" {
	swift
	s3_card
	for n in 1 2 3 4; do at $((first_day + n * day)) && back_up || { cat log.backup card/var/lib/pibuild/backup/log; return 1; }; done
	"$PIBUILD" backup list --json >listed
	[ "$(jq length listed)" = 3 ]
	newest=$(jq -r '.[-1].name' listed)
	[ "$(cut -d' ' -f2 card/var/lib/pibuild/backup/last)" = "$newest" ]
	"$PIBUILD" backup get -o mine.gz
	(sed -n '$s/ .*//p' mine.gz.sha256 && sha256sum <mine.gz | cut -d' ' -f1) | uniq | wc -l | grep -qx 1
	gunzip -c mine.gz >restored.db && [ "$(rows restored.db)" = written-before ]
	[ "$(stat -c %a mine.gz mine.gz.sha256 | sort -u)" = 600 ]
	"$PIBUILD" backup get "$(jq -r '.[0].name' listed)"
	[ -s "$(jq -r '.[0].name' listed)" ]
}

# bats test_tags=slow
@test "S3: a wrong key, a bucket that is not there and a name that is not trusted are told in the service's words" {
	swift right wrong
	s3_card
	refute back_up
	grep -q '^cause .*https://localhost:.*/homelab, cannot be listed: SignatureDoesNotMatch: ' card/run/pibuild/notes/backup
	run ! grep -rq wrong card/run log.backup card/var/lib/pibuild
	sed -i 's/:wrong"/:right"/' card/etc/pibuild/secrets/backup.curl
	sed -i 's/^bucket .*/bucket elsewhere/' card/etc/pibuild/backup
	refute back_up
	grep -q 'cannot be listed: NoSuchBucket: ' card/run/pibuild/notes/backup
	rm card/etc/pibuild/backup-ca.pem
	refute back_up
	grep -qi 'certificate' card/run/pibuild/notes/backup
	fails 1 '/homelab: SignatureDoesNotMatch: ' "$PIBUILD" backup list
	[[ $output == *'; backup.to.s3 has its keys, its bucket and its region'* ]]
}

# sshd_up: at $ssh_port, for the key ./key, with SFTP alone into any folder
sshd_up() {
	[ -x /usr/sbin/sshd ] || skip 'needs openssh-server'
	ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N '' -f host_key && ssh-keygen -q -t ed25519 -N '' -f other_key
	install -m 600 key.pub authorized
	ssh_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >sshd_config <<-EOT
		ListenAddress 127.0.0.1
		Port $ssh_port
		HostKey $PWD/host_key
		AuthorizedKeysFile $PWD/authorized
		StrictModes no
		UsePAM no
		PidFile $PWD/sshd.pid
		ForceCommand internal-sftp
		Subsystem sftp internal-sftp
	EOT
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	/usr/sbin/sshd -f "$PWD/sshd_config" -E "$PWD/sshd.log"
	for _ in $(seq 50); do [ -s sshd.pid ] && break; sleep 0.1; done
	printf '[localhost]:%s %s\n' "$ssh_port" "$(cut -d' ' -f1,2 host_key.pub)" >hosts
	mkdir -p there
}

ssh_card() {
	backed_up "    ssh: {to: '$(id -un)@localhost:$PWD/there', port: $ssh_port, key: {file: $PWD/key}, knownHosts: $PWD/hosts}"
}

# bats test_tags=slow
@test "SSH: written, counted, removed and fetched again, with a real sshd" {
	sshd_up
	ssh_card
	for n in 1 2 3 4; do at $((first_day + n * day)) && back_up || { cat log.backup card/var/lib/pibuild/backup/log sshd.log; return 1; }; done
	(cd there && sha256sum -c --quiet lab_*.sha256)
	[ "$(ls there | wc -l)" = 6 ]
	"$PIBUILD" backup list --json >listed
	[ "$(jq length listed)" = 3 ]
	"$PIBUILD" backup get -o mine.gz
	cmp mine.gz "there/$(jq -r '.[-1].name' listed)"
	[ -z "$(ls -d "${TMPDIR:-/var/tmp}"/pibuild-backup.* 2>/dev/null)" ]
}

# bats test_tags=slow
@test "SSH: another host than the one that is known is not trusted, nor is another key let in" {
	sshd_up
	ssh_card
	printf '[localhost]:%s %s\n' "$ssh_port" "$(cut -d' ' -f1,2 other_key.pub)" >card/etc/pibuild/backup-known_hosts
	refute back_up
	grep -q 'cannot be listed' card/run/pibuild/notes/backup
	[ -z "$(ls there)" ]
	cp hosts card/etc/pibuild/backup-known_hosts
	cp other_key card/etc/pibuild/secrets/backup.key
	refute back_up
	[ -z "$(ls there)" ]
	cp key card/etc/pibuild/secrets/backup.key
	back_up
}

# ---- from the desk ----

# bats test_tags=slow
@test "backup list and get read a folder too; one that is damaged or not whole never gets a name" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	for n in 1 2 3; do at $((first_day + n * day)) && back_up; done
	fails 5 'backup.to.disk is mounted by the servers, and to mount it here is for you: then name the folder, --from DIR' "$PIBUILD" backup list
	"$PIBUILD" backup list --from there >listed
	[ "$(wc -l <listed)" = 3 ]
	first=$(cd there && ls *.gz | head -1) newest=$(cd there && ls *.gz | tail -1)
	"$PIBUILD" -q backup get --from there -o mine.gz
	"$PIBUILD" -q backup get --from there -o mine.gz
	cmp mine.gz "there/$newest"
	echo mine >mine.gz
	fails 5 'mine.gz is there already and is not that backup: give another name, or replace it with --force' "$PIBUILD" backup get "$first" --from there -o mine.gz
	[ "$(cat mine.gz)" = mine ]
	"$PIBUILD" -q backup get "$first" --from there -o mine.gz --force
	cmp mine.gz "there/$first"
	rm "there/$newest.sha256"
	"$PIBUILD" backup list --from there --json | jq -e 'length == 2'
	fails 1 "there is no backup $newest of lab that is complete" "$PIBUILD" backup get "$newest" --from there
	printf damaged | dd of="there/$first" bs=1 seek=100 conv=notrunc status=none
	fails 4 "$first is damaged where it lies" "$PIBUILD" backup get "$first" --from there -o out.gz
	[ ! -e out.gz ]
	[ ! -e out.gz.sha256 ]
	rm there/*
	fails 1 'there is no backup of lab that is complete' "$PIBUILD" backup list --from there
	sed -i '/^backup:/,/disk/d' cluster.yaml
	fails 3 'nothing says where backups lie; --from DIR names a folder' "$PIBUILD" backup list
}

# ---- the report ----

# bats test_tags=slow
@test "the report has the last backup, and a note when it is older than twice the period, or there is none" {
	backed_up '    disk: BACKUP'
	mounts LABEL=BACKUP disk
	mkdir -p card/run/pibuild/steps card/boot/firmware
	echo 'state done' >card/run/pibuild/steps/preflight
	at $first_day && report
	jq -e '.backup == null and (.notes | map(select(.about == "backup-age")) == [])' card/run/pibuild/status.json
	back_up
	report
	name=$(cd there && ls *.gz)
	jq -e --arg name "$name" '.backup.name == $name and .backup.time == "2026-09-21T14:13:20Z"' card/run/pibuild/status.json
	grep -q "^Last backup: 2026-09-21T14:13:20Z, $name" card/run/pibuild/status.txt
	"$PIBUILD" status card/run/pibuild/status.json >said || true
	grep -q "^last backup: 2026-09-21 14:13:20 UTC, .* old: $name" said
	at $((first_day + 2 * day + 60)) && report
	jq -r '.notes[] | select(.about == "backup-age") | .cause' card/run/pibuild/status.json | grep -q 'The last backup is of 2026-09-21 14:13 UTC, and there should be one every 24 h'
	at $((first_day + 3 * day)) && back_up && report
	jq -e '.notes | map(select(.about == "backup-age")) == []' card/run/pibuild/status.json
	# never one, and done since long
	rm card/var/lib/pibuild/backup/last
	touch -d "@$first_day" card/var/lib/pibuild/k3s.done
	at $((first_day + 3 * day)) && report
	jq -r '.notes[] | select(.about == "backup-age") | .cause' card/run/pibuild/status.json | grep -q 'There is no backup yet'
}
