# SPDX-License-Identifier: Apache-2.0
#
# Makes the report from the files that lib.sh describes. Arguments: node, steps, then those of run/steps, run/notes,
# run/apps, run/nodes, run/certificates and run/backup that there are. Variables: now (seconds since 1970), up (uptime in seconds),
# dir (where the files go).
#
# DIR/status.json, DIR/status.txt   the report
# DIR/lines                         "step: state[: cause -> cure]", one per step; the last line is the verdict
# DIR/verdict                       state, then the step that failed and why
# DIR/boot/NAME                     the report again, padded to the size that file of the boot partition always has:
#                                   overwritten in place, it changes no FAT and no directory entry. Which files there are
#                                   and their sizes stand in the line `report` of /etc/pibuild/node.
#
# mawk 1.3.4 runs it: no gawk functions. gawk 5.2.1, which a package of the user's may bring, dies of an element that is
# not there yet when it is handed to a function: `"" x[i]` makes one of it first.

function string(s,    out, at) {
	out = ""
	while (match(s, /["\\]/)) { # not gsub(): awks differ in what a backslash is there
		out = out substr(s, 1, RSTART - 1) "\\" substr(s, RSTART, 1)
		s = substr(s, RSTART + 1)
	}
	return "\"" out s "\""
}

# 1764086400 -> 2025-11-25T16:00:00Z: days to year, month and day as in the proleptic Gregorian calendar.
function iso(t,    days, era, doe, yoe, doy, mp, d, m, y) {
	days = int(t / 86400)
	t -= days * 86400
	days += 719468
	era = int(days / 146097)
	doe = days - era * 146097
	yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
	doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100))
	mp = int((5 * doy + 2) / 153)
	d = doy - int((153 * mp + 2) / 5) + 1
	m = mp < 10 ? mp + 3 : mp - 9
	y = yoe + era * 400 + (m <= 2)
	return sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", y, m, d, int(t / 3600), int(t % 3600 / 60), t % 60)
}

function ago(seconds) {
	if (seconds < 120) return seconds " s"
	if (seconds < 7200) return int(seconds / 60) " min"
	return int(seconds / 3600) " h"
}

function rest(s) {
	sub(/^[^ ]* ?/, "", s)
	return s
}

function base(path) {
	sub(/.*\//, "", path)
	return path
}

# SIZE is a multiple of 64. By lines: an awk that prints blanks one by one is the busiest program of first boot.
function pad(file, text, size,    blank, n) {
	blank = sprintf("%63s\n", "")
	n = length(text)
	printf "%s%s", text, n < size ? substr(blank, n % 64 + 1) : "" >file
	for (n += 64 - n % 64; n < size; n += 64)
		printf "%s", blank >file
	close(file)
}

FNR == 1 { name = base(FILENAME); part = FILENAME; sub(/\/[^\/]*$/, "", part); part = base(part) }
part == "steps" { field[name, $1] = rest($0); next }
part == "notes" { if (FNR == 1) note[++notes] = name; found[name, $1] = rest($0); next }
part == "apps" { if (FNR == 1) app[++apps] = name; told[name, $1] = rest($0); next }
name == "nodes" { split($0, cell, "|"); member[++members] = $0; next }
name == "certificates" { good[$1] = $2; next }
name == "backup" { backup_time = $1; backup_name = $2; next }
name == "node" { value[$1] = rest($0); next }
name == "steps" {
	step[++steps] = $1
	title[$1] = $0
	sub(/^[^ ]+ +[^ ]+ +[^ ]+ +/, "", title[$1])
}

function failed_text(s) {
	return s ": " field[s, "cause"] (field[s, "cure"] != "" ? " -> " field[s, "cure"] : "")
}

# Parts of the report, in JSON and for people.
function tell_steps(    i, s, since, state) {
	for (i = 1; i <= steps; i++) {
		s = step[i]
		state = field[s, "state"]
		if (state == "") state = field[s, "state"] = "pending"
		since = field[s, "since"]
		json = json sprintf("%s\n    {\"name\": %s, \"title\": %s, \"state\": %s, \"cause\": %s, \"cure\": %s,", i > 1 ? "," : "",
			string(s), string("" title[s]), string(state), string("" field[s, "cause"]), string("" field[s, "cure"]))
		json = json sprintf(" \"attempts\": %d, \"since\": %s, \"unit\": %s}", field[s, "attempts"],
			string(since == "" ? "" : iso(now - (up - since))), string("pibuild-" s ".service"))
		text = text sprintf("  %-8s %-14s %s", state, s, title[s])
		if (state == "waiting" || state == "running" || state == "failed")
			text = text " (since " ago(up - since) (field[s, "attempts"] > 1 ? ", tried " field[s, "attempts"] " times" : "") ")"
		text = text "\n"
		if (field[s, "cause"] != "") text = text "             why:  " field[s, "cause"] "\n"
		if (field[s, "cure"] != "") text = text "             cure: " field[s, "cure"] "\n"
		print s ": " state (field[s, "cause"] != "" ? ": " field[s, "cause"] : "") \
			(field[s, "cure"] != "" ? " -> " field[s, "cure"] : "") >(dir "/lines")
	}
}

function tell_notes(    i, n) {
	if (notes) text = text "\nGood to know:\n"
	for (i = 1; i <= notes; i++) {
		n = note[i]
		json = json sprintf("%s\n    {\"about\": %s, \"cause\": %s, \"cure\": %s}", i > 1 ? "," : "", string(n),
			string("" found[n, "cause"]), string("" found[n, "cure"]))
		text = text "  " n ": " found[n, "cause"] "\n"
		if (found[n, "cure"] != "") text = text "             cure: " found[n, "cure"] "\n"
	}
}

function tell_apps(    i, a) {
	if (!apps) return
	json = json ",\n  \"apps\": ["
	text = text "\nApps:\n"
	for (i = 1; i <= apps; i++) {
		a = app[i]
		json = json sprintf("%s\n    {\"name\": %s, \"state\": %s, \"cause\": %s, \"cure\": %s}", i > 1 ? "," : "", string(a),
			string("" told[a, "state"]), string("" told[a, "cause"]), string("" told[a, "cure"]))
		text = text sprintf("  %-8s %s\n", told[a, "state"], a)
		if (told[a, "cause"] != "") text = text "             why:  " told[a, "cause"] "\n"
		if (told[a, "cure"] != "") text = text "             cure: " told[a, "cure"] "\n"
		print "app " a ": " told[a, "state"] (told[a, "cause"] != "" ? ": " told[a, "cause"] : "") \
			(told[a, "cure"] != "" ? " -> " told[a, "cure"] : "") >(dir "/lines")
	}
	json = json "\n  ]"
}

function tell_certificates() {
	if (good["until"] == "") return
	json = json sprintf(",\n  \"certificatesUntil\": %s", string(iso(good["until"])))
	text = text sprintf("\nK3s's certificates are good for %d days, until %s; it renews them in time.\n", good["days"], substr(iso(good["until"]), 1, 10))
}

function tell_nodes(    i, cell) {
	json = json ",\n  \"nodes\": ["
	text = text "\nThe other nodes, as the cluster knows them:\n"
	for (i = 1; i <= members; i++) {
		split(member[i], cell, "|")
		json = json sprintf("%s\n    {\"name\": %s, \"role\": %s, \"state\": %s, \"cause\": %s, \"time\": %s}", i > 1 ? "," : "",
			string("" cell[1]), string("" cell[2]), string("" cell[3]), string("" cell[4]), string("" cell[5]))
		text = text sprintf("  %-8s %-14s %s%s\n", cell[3], cell[1], cell[2], cell[4] != "" ? ": " cell[4] : "")
	}
	json = json "\n  ]"
}

# A server that makes backups: the last one.
function tell_backup() {
	json = json sprintf(",\n  \"backup\": {\"time\": %s, \"name\": %s}", string(iso(backup_time)), string(backup_name))
	text = text "\nLast backup: " iso(backup_time) ", " backup_name "\n"
}

# What fits into the file of the boot partition; a large cluster's other nodes are left to the API.
function pad_fitting(file, full, short, size) {
	pad(file, length(full) < size ? full : short, size)
}

END {
	done = 0
	state = "working"
	for (i = 1; i <= steps; i++) {
		s = step[i]
		if (field[s, "state"] == "done") done++
		if (field[s, "state"] == "failed" && state != "failed") { state = "failed"; bad = s }
	}
	if (state != "failed" && done == steps) state = "done"
	verdict = state == "done" ? "READY: all " steps " steps done" : \
		state == "failed" ? "FAILED: " failed_text(bad) : "WORKING: " done " of " steps " steps done"

	json = "{\n  \"apiVersion\": \"pibuild/v1\",\n  \"kind\": \"Status\",\n"
	json = json sprintf("  \"cluster\": %s, \"node\": %s, \"role\": %s,\n  \"state\": %s,\n  \"time\": %s,\n  \"steps\": [",
		string("" value["cluster"]), string("" value["node"]), string("" value["role"]), string(state), string(iso(now)))
	text = value["node"] ", " value["role"] " of cluster " value["cluster"] ", " iso(now) "\n" verdict "\n\n"
	tell_steps()
	json = json "\n  ],\n  \"notes\": ["
	tell_notes()
	json = json (notes ? "\n  ]" : "]")
	tell_apps()
	tell_certificates()
	if (backup_name != "") tell_backup()
	end = "\n}\n"
	short_json = json end
	short_text = text
	if (members) tell_nodes()

	print verdict >(dir "/lines")
	printf "%s\n", verdict >(dir "/verdict")
	printf "%s%s", json, end >(dir "/status.json")
	printf "%s", text >(dir "/status.txt")
	n = split(value["report"], on_boot, " ")
	for (i = 1; i <= n; i++) {
		split(on_boot[i], cell, ":") # json or text, size, name
		if (cell[1] == "json") pad_fitting(dir "/boot/" cell[3], json end, short_json, cell[2] + 0)
		else pad_fitting(dir "/boot/" cell[3], text, short_text, cell[2] + 0)
	}
}
