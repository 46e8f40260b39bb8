# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Sourced by the scripts of this folder, which do what GitHub and GitLab share. They are told by environment variables,
# because an engine's text must not become shell:
#
#   PIBUILD             the program (pibuild)
#   PIBUILD_CONFIG      cluster.yaml, relative to the repository (cluster.yaml)
#   PIBUILD_LOCK_FILE   lock file (pibuild.lock beside the config, else the shipped one)
#   PIBUILD_OUT         where results go (out)
#   PIBUILD_NODES       node names with blanks between (all)
#   PIBUILD_GENERIC     true: an image per role that holds no secret; PIBUILD_NODES are roles then
#   PIBUILD_ROLE        control-plane or worker (both)
#   PIBUILD_BATCH       nodes per job (as few as the engine takes)
#   PIBUILD_CACHE       downloads and layers; read by pibuild itself
#   PIBUILD_ENV         lines NAME=VALUE: what `{env: NAME}` in cluster.yaml reads
#   PIBUILD_PLACEHOLDERS  names for which a value that means nothing will do, where the real one is not to be had
#   PIBUILD_SECRETS     content of secrets.yaml; or PIBUILD_SECRETS_FILE, its path
#   PIBUILD_THROWAWAY   true: without those, make secrets that are forgotten, for a build that nobody flashes
#   PIBUILD_ARGS        more options for the build, with blanks between

say() {
	printf '%s: %s\n' "$prog" "$*" >&2
}

die() {
	code=$1
	shift
	say "$*"
	exit "$code"
}

# All engines say so themselves, and pibuild then names no next step and no file that is gone with the job.
export CI="${CI:-true}"
prog=${0##*/}
pibuild=${PIBUILD:-pibuild}
config=${PIBUILD_CONFIG:-cluster.yaml}
generic=''
[ "${PIBUILD_GENERIC:-}" != true ] || generic=yes

# Secrets go on as variables of this shell only: no process it starts has them.
# shellcheck disable=SC2034 # for build.sh
secrets_text=${PIBUILD_SECRETS:-} sign_key=${PIBUILD_SIGN_KEY:-}
env_lines=${PIBUILD_ENV:-}
unset PIBUILD_SECRETS PIBUILD_SIGN_KEY PIBUILD_ENV

# What cluster.yaml reads, each as a variable of its own.
load_env() {
	while IFS='=' read -r name value; do
		case $name in
		'' | '#'*) ;;
		[!A-Za-z_]* | *[!A-Za-z0-9_]*) die 2 "PIBUILD_ENV has a line that does not start with NAME=" ;;
		PATH | LD_* | PIBUILD*) die 2 "PIBUILD_ENV must not set $name" ;;
		*) export "$name=$value" ;;
		esac
	done <<-EOT
		$env_lines
	EOT
	for name in ${PIBUILD_PLACEHOLDERS:-}; do
		case $name in
		[!A-Za-z_]* | *[!A-Za-z0-9_]* | PATH | LD_* | PIBUILD*) die 2 "PIBUILD_PLACEHOLDERS must not name $name" ;;
		esac
		[ -n "$(printenv "$name")" ] || export "$name=placeholder"
	done
}

# run_pibuild COMMAND [OPTION]...
run_pibuild() {
	command=$1
	shift
	"$pibuild" "$command" -c "$config" ${PIBUILD_LOCK_FILE:+--lock "$PIBUILD_LOCK_FILE"} --progress plain "$@"
}

# For the engine: a line of GitHub's step outputs, when that is where we run.
output() {
	[ -z "${GITHUB_OUTPUT:-}" ] || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}
