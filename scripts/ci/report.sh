#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# One report out of the *.diff.md of all jobs.
#
#   report.sh DIR [FILE]     every *.diff.md below DIR, into FILE (default: report.md)
#
# On GitHub it goes to the summary of the run, and with PIBUILD_PULL_REQUEST (a number) and GH_TOKEN into one comment,
# which later runs renew. A token that may not comment, as in a pull request from a fork, is a note and no failure.
set -eu
here=${0%/*}
# shellcheck source=lib.sh
. "$here/lib.sh"

marker='<!-- pibuild report -->'
limit=60000 # a comment takes 65536 characters
dir=${1:?report.sh DIR [FILE]}
file=${2:-report.md}

{
	printf '%s\n### What changes on the cards\n\n' "$marker"
	find "$dir" -name '*.diff.md' | LC_ALL=C sort | while IFS= read -r part; do cat "$part"; done
} >"$file.all"
head -c "$limit" "$file.all" >"$file"
if [ "$(wc -c <"$file.all")" -gt "$limit" ]; then
	printf '\n\n(cut here; the rest is in the jobs of this run)\n' >>"$file"
fi
rm -f "$file.all"
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$file" >>"$GITHUB_STEP_SUMMARY"

comment() {
	comments=repos/$GITHUB_REPOSITORY/issues/$PIBUILD_PULL_REQUEST/comments
	id=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$marker\")) | .id") || return
	id=$(printf '%s\n' "$id" | head -n 1)
	if [ -n "$id" ]; then
		gh api --silent -X PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$file"
	else
		gh api --silent -X POST "$comments" -F "body=@$file"
	fi
}

case ${PIBUILD_PULL_REQUEST:-} in
'') ;;
*[!0-9]*) die 2 "PIBUILD_PULL_REQUEST is a number, not '$PIBUILD_PULL_REQUEST'" ;;
*) comment || say "could not comment on pull request $PIBUILD_PULL_REQUEST; the report is in the summary of the run" ;;
esac
