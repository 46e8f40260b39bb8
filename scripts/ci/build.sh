#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the nodes of one job into $PIBUILD_OUT, and with PIBUILD_BASE_REF (a commit) says in $PIBUILD_OUT/NODE.diff.md
# what is other than there. What may be handed on is then in $PIBUILD_UPLOAD_DIR:
#
#   PIBUILD_UPLOAD      images: all; reports: what holds no secret (manifests, SBOMs, digests, *.diff.md); none;
#                       auto (default): images if PIBUILD_PRIVATE is true and the secrets are real, or if they are
#                       generic; else reports
#   PIBUILD_PRIVATE     true: only members can read what this repository's jobs leave behind; on GitLab its visibility
#                       says that too
#   PIBUILD_UPLOAD_DIR  (pibuild-upload)
#   PIBUILD_COMPRESS    xz or zst
#   PIBUILD_SIGN_KEY    an Ed25519 key in PEM, to sign with
#
# The images hold the cluster's keys: whoever can download them is an administrator of the cluster. Secrets are written
# to a folder of the runner outside the repository, 0600, and are gone when this ends, however it ends.
# What else it reads: lib.sh.
set -eu
here=${0%/*}
# shellcheck source=lib.sh
. "$here/lib.sh"

out=${PIBUILD_OUT:-out}
umask 077
work=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/pibuild.XXXXXX")
work=$(cd "$work" && pwd)
clean_up() {
	[ ! -e "$work/base" ] || git worktree remove --force "$work/base" || true
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# secret FILE CONTENT: printf is a builtin, so no other process ever has it as an argument.
secret() {
	printf '%s\n' "$2" >"$1"
}

put_secrets() {
	real=yes
	secrets=$work/secrets.yaml
	if [ -n "$generic" ]; then
		: # none is looked at
	elif [ -n "$secrets_text" ]; then
		secret "$secrets" "$secrets_text"
	elif [ -n "${PIBUILD_SECRETS_FILE:-}" ]; then
		cat "$PIBUILD_SECRETS_FILE" >"$secrets"
	elif [ "${PIBUILD_THROWAWAY:-}" = true ]; then
		real=''
		say "no secrets: making some for this job only; no node with these images joins a cluster"
		run_pibuild secrets new -q --secrets "$secrets" >&2
	else
		die 3 "PIBUILD_SECRETS is empty: make secrets.yaml with 'pibuild secrets new' and put its content into a secret" \
			"of the repository (or PIBUILD_THROWAWAY=true for a build that nobody flashes)"
	fi
	[ -n "$generic" ] || before=$(sha256sum <"$secrets")
}

# A node without a password gets one while it is built: lost with this runner, and another at the next build.
secrets_are_complete() {
	[ -n "$generic" ] || [ "$(sha256sum <"$secrets")" = "$before" ] ||
		die 3 "the secrets lack a node of $config: build it once where they are kept, which adds it, and renew the CI secret"
}

# set_options: what every build has, as PIBUILD_ARGS and the like say, in $options. Words, none with blanks in it.
set_options() {
	options=${PIBUILD_ARGS:-} select=--node
	[ -z "$generic" ] || options="$options --generic" select=--role
	[ -z "${PIBUILD_ROLE:-}" ] || options="$options --role $PIBUILD_ROLE"
	[ -z "${PIBUILD_COMPRESS:-}" ] || options="$options --compress $PIBUILD_COMPRESS"
	if [ -n "$sign_key" ]; then
		secret "$work/sign.pem" "$sign_key"
		options="$options --sign $work/sign.pem"
	fi
}

# build OUT [NODE]...
build() {
	to=$1
	shift
	for node; do
		shift
		set -- "$@" "$select" "$node"
	done
	# shellcheck disable=SC2086 # words
	run_pibuild build --secrets "$secrets" -o "$to" $options "$@"
}

# base_nodes: those of PIBUILD_NODES that were there before.
base_nodes() {
	matrix=$(run_pibuild plan --matrix github ${generic:+--generic} ${PIBUILD_ROLE:+--role "$PIBUILD_ROLE"}) || return
	printf '%s\n' "$matrix" | grep -o '"node":"[^"]*"' | cut -d '"' -f 4 | tr ' ' '\n' |
		if [ -n "${PIBUILD_NODES:-}" ]; then grep -Fx -e "$(echo "$PIBUILD_NODES" | tr ' ' '\n')"; else cat; fi
}

# part_name: the parts of a fleet lie side by side in the end.
part_name() {
	set -f
	# shellcheck disable=SC2086 # words
	set -- ${PIBUILD_NODES:-}
	echo "${1:-${PIBUILD_ROLE:-all}}"
}

# compare REF: the same nodes of that commit, with the same secrets, and what differs.
compare() {
	code=0
	git worktree add --quiet --detach "$work/base" "$1"
	# What was no cluster before has nothing to be compared with.
	if nodes=$(cd "$work/base" && base_nodes) && [ -n "$nodes" ]; then
		# The cluster may have had another name then.
		[ -n "$generic" ] || sed '/^clusterName: /d' "$secrets" >"$work/base-secrets.yaml"
		# shellcheck disable=SC2086 # words
		(secrets=$work/base-secrets.yaml && cd "$work/base" && build "$work/base-out" $nodes)
		"$pibuild" diff --brief "$work/base-out" "$out" >"$work/diff" || code=$?
		[ "$code" -le 1 ] || exit "$code"
	else
		echo 'Nothing to compare with: these nodes are new.' >"$work/diff"
	fi
	{
		printf '**%s**\n\n' "${PIBUILD_NODES:-all nodes}"
		if [ -s "$work/diff" ]; then sed 's/^/    /' "$work/diff"; else echo '    no difference'; fi
		echo
	} >"$out/$(part_name).diff.md"
}

# hand_on DIR WHAT: links, not copies; an image is gigabytes.
hand_on() {
	mkdir -p "$1"
	for file in "$out"/*; do
		case ${file##*/} in
		*.json | *.sha256 | *.sig | *.diff.md) ;;
		*) [ "$2" = images ] || continue ;;
		esac
		[ ! -f "$file" ] || ln -f "$file" "$1/"
	done
}

load_env
set_options
put_secrets
# shellcheck disable=SC2086 # words
build "$out" ${PIBUILD_NODES:-}
secrets_are_complete
[ -z "${PIBUILD_BASE_REF:-}" ] || compare "$PIBUILD_BASE_REF"

private=''
if [ "${PIBUILD_PRIVATE:-}" = true ] || [ "${CI_PROJECT_VISIBILITY:-}" = private ]; then private=yes; fi
upload=${PIBUILD_UPLOAD:-auto}
if [ "$upload" = auto ]; then
	upload=reports
	[ -z "$private$generic" ] || [ -z "$real" ] || upload=images
fi
case $upload in
images | reports) hand_on "${PIBUILD_UPLOAD_DIR:-pibuild-upload}" "$upload" ;;
none) ;;
*) die 2 "PIBUILD_UPLOAD is auto, images, reports or none, not '$upload'" ;;
esac
output upload "$upload"
say "built into $out, to be handed on: $upload"
