#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: each case takes a step of first boot again
# First boot on a bad day: at seeded points a command of a step fails, a program that asks others hangs, or the step is killed.
# As systemd does, a step that ended is begun again; then everything is as if nothing had been. `make test-first-boot` has more points.

load ../lib/first-boot

with_certificates=('loadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.95}]}' 'certManager:'
	'  email: me@my-domain.org' '  dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}' '  zones: [home.my-domain.org]')
export DO_TOKEN=dop_v1_canary

# Of what the scripts of the card name, the programs there are.
programs() {
	{
		cat card/usr/lib/pibuild/{step,lib.sh,report,steps/*.sh} | grep -oE '[a-z][a-z0-9_-]+' | sort -u | while read -r word; do
			[ ! -x "/usr/bin/$word" ] || echo "$word"
		done
		(cd card/real && ls)
	} | sort -u | grep -vxE 'sh|dash|bash|sleep|env|false|true|test|printf|echo'
}

# wrap: every program goes through one that counts down to its fault. What lay in the card's own place lies in card/real.
wrap() {
	local program real
	mkdir card/real
	mv card/usr/local/bin/* card/real/
	mv card/real/sleep card/usr/local/bin/
	[ -e "$BATS_FILE_TMPDIR/programs" ] || programs >"$BATS_FILE_TMPDIR/programs"
	while read -r program; do
		real=$PWD/card/real/$program
		[ -e "$real" ] || real=/usr/bin/$program
		cat >"card/usr/local/bin/$program" <<-EOT
			#!/bin/sh
			read -r n <"$PWD/due"
			echo \$((n - 1)) >"$PWD/due"
			how=
			[ "\$n" != 1 ] || { read -r how <"$PWD/how"; echo "$program \$*" >"$PWD/hit"; }
			case \$how in
			fail) echo "$program: Input/output error" >&2; exit 1 ;;
			kill) kill -9 \$(cat $PWD/card/step.pid); exit 1 ;;
			hang) case $program in kubectl | getent) exec /bin/sleep 600 ;; *) exit 1 ;; esac ;; # helm and cilium have bounds of their own
			esac
			[ $program != timeout ] || { shift; set -- 3 "\$@"; }
			exec $real "\$@"
		EOT
	done <"$BATS_FILE_TMPDIR/programs"
	chmod 755 card/usr/local/bin/*
}

# All that stays: files and stamps to their last byte, and which objects the cluster has (numbers and times in them differ).
outcome() {
	(cd card && find etc var -type f ! -name '*.new*' ! -name '*.done' -exec sha256sum {} + | sort -k 2
		[ ! -d state/objects ] || find state/objects -type f ! -name '*.tmp.*' | sed '/sh[.]helm[.]release/s/[.]v[0-9]*$//' | sort -u)
}
stamps() {
	(cd card && find var -name '*.done' -type f -exec sha256sum {} + | sort)
}

# once SECONDS NAME: the step, for at most that long
once() {
	STEP_TIME=$1 step "$2" 3>&- # what hangs does not keep the test waiting
}

# point SEED: one fault in one step; prints what it was
point() {
	local all before how n one
	mapfile -t all < <(steps)
	RANDOM=$1
	n=$((RANDOM % ${#all[@]})) how=$((RANDOM % 5))
	one=${all[n]} before=$([ $n = 0 ] || echo "${all[n - 1]}")
	case $how in 0 | 1 | 2) how=fail ;; 3) how="kill" ;; 4) how=hang ;; esac
	# shellcheck disable=SC2154 # card's
	rm -rf card && cp -a "$made${before:+.$before}/." .
	[ "$one" != k3s ] || api_up
	rm -f hit
	wrap
	echo $how >how
	echo $((1 + RANDOM % $(cat "$BATS_FILE_TMPDIR/calls.$one"))) >due
	for _ in 1 2 3; do
		once 120 "$one" && break
		# Whoever asks in between is not told that it is done, and gets a report.
		[ "$(state_of "$one" state)" != "done" ] || { echo "$one: $how of $(cat hit): not done, and said to be"; return 1; }
		[ ! -e hit ] || report >/dev/null 2>&1 || true
		[ ! -e card/run/pibuild/status.json ] || jq -e .state card/run/pibuild/status.json >/dev/null || { echo "$one: no report"; return 1; }
	done
	[ "$(state_of "$one" state)" = "done" ] || { echo "$one: $how of $(cat hit 2>/dev/null): not done after three runs"; cat "log.$one"; return 1; }
	diff <(outcome) "$BATS_FILE_TMPDIR/outcome.$one" || { echo "$one: $how of $(cat hit): another outcome"; return 1; }
	diff -q <(stamps) "$BATS_FILE_TMPDIR/stamps.$one" >/dev/null || {
		# It was done with what could not be read: the next boot takes it again, and knows then.
		echo 0 >due
		rm "card/run/pibuild/steps/$one"
		once 120 "$one"
		diff <(stamps) "$BATS_FILE_TMPDIR/stamps.$one" || { echo "$one: $how of $(cat hit): another stamp"; return 1; }
	}
}

# learn: how many programs each step starts, and what it leaves
learn() {
	local before='' one
	for one in $(steps); do
		# shellcheck disable=SC2154 # card's
		rm -rf card && cp -a "$made${before:+.$before}/." .
		[ "$one" != k3s ] || api_up
		wrap
		echo none >how
		echo 0 >due
		once 120 "$one" || { cat "log.$one"; return 1; }
		echo $((-$(cat due))) >"$BATS_FILE_TMPDIR/calls.$one"
		outcome >"$BATS_FILE_TMPDIR/outcome.$one"
		stamps >"$BATS_FILE_TMPDIR/stamps.$one"
		before=$one
	done
}

@test "a command that fails, hangs or is where the step is killed: the step begun again ends as if nothing had been" {
	local seed bad=0
	card_after end "${with_certificates[@]}"
	learn
	for seed in $(seq "${SEED:-1}" $((${SEED:-1} + ${POINTS:-4} - 1))); do
		point "$seed" || { echo "(seed $seed)"; bad=$((bad + 1)); }
	done
	echo "${POINTS:-4} points, $bad went wrong; steps: $(steps | wc -l), programs started: $(cat "$BATS_FILE_TMPDIR"/calls.* | paste -sd+ | bc)"
	[ "$bad" -eq 0 ]
}
