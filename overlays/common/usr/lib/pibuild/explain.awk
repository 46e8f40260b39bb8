# SPDX-License-Identifier: Apache-2.0
#
# What the last lines of a program's output mean, for lib.sh's explain. Arguments: the table `causes`, then the output.
# Variables: fallback, the cause when the output says nothing; unit, of K3s on this node.
#
# Prints three lines: now or wait, the cure, the cause.
#
# mawk 1.3.4 runs it: no gawk functions.

function after_colon(j,    text, k) { # a line that ends in a colon says what is wrong in the lines after it
	text = lines[j]
	if (text !~ /: *$/) return text
	for (k = j + 1; k <= m && lines[k] !~ /^Use --debug/; k++)
		if (lines[k] !~ /: validation failed$/) text = text " " lines[k]
	return text
}

# %l is the line, %r what follows the match in it.
function fill(text, i, j,    whole, at) {
	whole = after_colon(j)
	at = index(text, "%l")
	if (at) return substr(text, 1, at - 1) whole substr(text, at + 2)
	at = index(text, "%r")
	if (!at) return text
	match(tolower(whole), regex[i])
	return substr(text, 1, at - 1) substr(whole, RSTART + RLENGTH) substr(text, at + 2)
}

NR == FNR {
	if (!/^#/ && NF >= 3) { n++; class[n] = $1; regex[n] = $2; cause[n] = $3; cure[n] = $4 }
	next
}

{
	gsub(/[\t\r]/, " ")
	sub(/^ +/, "")
	sub(/^[EWIF][0-9][0-9][0-9][0-9] [0-9:.]+ +[0-9]+ [^ ]+\] /, "") # klog's head
}

/[^ ]/ {
	lines[++m] = $0
	last = m
	if (tolower($0) ~ /error|fatal|unable|failed|cannot/) telling = m
}

END {
	for (j = 1; j <= m; j++)
		for (i = 1; i <= n; i++)
			if (tolower(lines[j]) ~ regex[i]) {
				rank = class[i] == "now" ? i : n + i
				if (!best || rank <= best) { best = rank; row = i; hit = j }
				break
			}
	if (best) {
		print class[row]
		gsub(/%u/, unit, cure[row])
		print cure[row]
		print fill(cause[row], row, hit)
		exit
	}
	print "wait"
	print ""
	print (telling ? after_colon(telling) : last ? lines[last] : fallback)
}
