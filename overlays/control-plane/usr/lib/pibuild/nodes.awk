# SPDX-License-Identifier: Apache-2.0
#
# What has to be done so that Nodes are as cluster.yaml has them (steps/nodes.sh): a line "VERB NODE ARGUMENTS" of kubectl
# each, or "missing NODE".
#
#   first file    "NODE label KEY=VALUE" or "NODE taint KEY=VALUE:EFFECT": all that the card wants
#   second file   a Node a line, fields between tabs: its name, what pibuild gave it before (labels, taints, joined by
#                 commas), keys and effects of its taints, then the values of the labels in KEYS, in that order
#
# What pibuild gave stands in two annotations, so that it can be taken away again and nothing else is. They are written
# before what they speak of is given and after it was taken: a power cut leaves them with too much, never with too little.

function key_of(label) { sub(/=.*/, "", label); return label }
# A node has one taint of a key and an effect.
function kind_of_taint(taint,    key) { key = taint; sub(/[=:].*/, "", key); sub(/.*:/, "", taint); return key ":" taint }
function has(list, word) { return index("," list ",", "," word ",") > 0 }
function join(list, word) { return list == "" ? word : list "," word }

FNR == NR {
	if (!($1 in known)) names[++count] = $1
	known[$1] = 1
	if ($2 == "label") {
		labels[$1] = join(labels[$1], $3)
		label_keys[$1] = join(label_keys[$1], key_of($3))
	} else {
		taints[$1] = join(taints[$1], $3)
		taint_kinds[$1] = join(taint_kinds[$1], kind_of_taint($3))
	}
	next
}

{
	split($0, field, "\t")
	name = field[1]
	if (!(name in known)) next
	here[name] = 1
	given_labels = field[2]
	given_taints = field[3]
	n = split(KEYS, key, " ")
	split("", value)
	for (i = 1; i <= n; i++) value[key[i]] = field[5 + i]
	n = split(field[4], key, " ")
	split(field[5], effect, " ")
	there = ""
	for (i = 1; i <= n; i++) there = join(there, key[i] ":" effect[i])

	set = gone = ""
	all_labels = given_labels
	n = split(labels[name], want, ",")
	for (i = 1; i <= n; i++) {
		k = key_of(want[i])
		if (!has(given_labels, k)) all_labels = join(all_labels, k)
		# An empty value and none look the same.
		if (value[k] != substr(want[i], length(k) + 2) || value[k] == "") set = set " " want[i]
	}
	n = split(given_labels, old, ",")
	for (i = 1; i <= n; i++) if (!has(label_keys[name], old[i])) gone = gone " " old[i] "-"

	taint = untaint = kept_taints = ""
	all_taints = given_taints
	n = split(taints[name], want, ",")
	for (i = 1; i <= n; i++) {
		if (!has(given_taints, want[i])) all_taints = join(all_taints, want[i])
		if (!has(given_taints, want[i]) || !has(there, kind_of_taint(want[i]))) taint = taint " " want[i]
	}
	n = split(given_taints, old, ",")
	for (i = 1; i <= n; i++) {
		k = kind_of_taint(old[i])
		if (!has(taint_kinds[name], k) && has(there, k)) untaint = untaint " " k "-"
	}

	if (all_labels != given_labels || all_taints != given_taints) print "annotate " name " pibuild.io/labels=" all_labels " pibuild.io/taints=" all_taints
	if (set gone != "") print "label " name set gone
	if (taint untaint != "") print "taint " name taint untaint
	if (all_labels != label_keys[name] || all_taints != taints[name]) print "annotate " name " pibuild.io/labels=" label_keys[name] " pibuild.io/taints=" taints[name]
}

END {
	for (i = 1; i <= count; i++) if (!(names[i] in here)) print "missing " names[i]
}
