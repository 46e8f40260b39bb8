# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# For tests that drive booted machines while they run: faults put in and taken away, cables, several machines in one LAN.
# tests/lib/machine.py does the work; a machine is a folder below the file's own, named for its node.

load ../lib/boot

# machine VERB NODE [ARGUMENT]...
machine() {
	local verb=$1 node=$2
	shift 2
	MACHINE_OWNER=${BATS_ROOT_PID:-$PPID} python3 -B "$top/tests/lib/machine.py" "$verb" "$BATS_FILE_TMPDIR/$node" "$@"
}

# on NODE COMMAND...: as root, in the guest
on() {
	machine run "$1" --timeout "${BOUND:-60}" "${*:2}"
}

# plug NODE up|down
plug() {
	machine link "$1" "$2"
}

# power_on NODE [OPTION]...: its image, booted
power_on() {
	machine start "$1" "$BATS_FILE_TMPDIR/out/$1.img" --memory 512 --cpus 1 "${@:2}"
}

# told NODE STEP=STATE [CAUSE]: within BOUND seconds (60) the report says so, and so does the boot partition's; the cause
# comes with a cure unless it is over.
told() {
	machine wait "$1" --timeout "${BOUND:-60}" --cause "${3:-}" "$2" >told || return 1
	[ -z "${3:-}" ] || [ -n "$(cut -f 3 told)" ] || { echo "no cure: $(cat told)"; return 1; }
	local step=${2%=*} state=${2#*=} i
	for ((i = 0; i < 10; i++)); do
		on "$1" cat /boot/firmware/pibuild-status.json >boot-partition.json
		if [ "$2" = "$step" ]; then
			jq -e --arg state "$state" '.state == $state' boot-partition.json >jq.log && return 0
		else
			jq -e --arg step "$step" --arg state "$state" --arg cause "${3:-}" \
				'.steps[] | select(.name == $step) | .state == $state and (.cause | test($cause))' boot-partition.json >jq.log && return 0
		fi
		sleep 1
	done
	echo "not on the boot partition: $2 ${3:-}"
	cat boot-partition.json
	return 1
}

# fault NODE NAME [TEXT], cured NODE NAME: what the stand-ins do wrong as long as the file is there
fault() {
	on "$1" "mkdir -p /var/lib/rancher/k3s/stand-in/faults && echo '${3:-}' >/var/lib/rancher/k3s/stand-in/faults/$2"
}

cured() {
	on "$1" "rm /var/lib/rancher/k3s/stand-in/faults/$2"
}

# keep_logs: in teardown; of a failed test the consoles and reports outlive Bats' folders.
keep_logs() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	local folder node
	folder=$top/build/machines/$(basename "$BATS_TEST_FILENAME" .bats)-$BATS_TEST_NUMBER
	mkdir -p "$folder"
	for node in "$BATS_FILE_TMPDIR"/*/console.log; do
		node=$(basename "${node%/*}")
		cp "$BATS_FILE_TMPDIR/$node/console.log" "$folder/$node.console"
		BOUND=20 on "$node" 'cat /run/pibuild/status.json; journalctl -b -o short-monotonic -n 200' >"$folder/$node.state" 2>&1 || true
	done
	echo "# consoles and reports: $folder"
}

power_off_all() {
	local node
	for node in "$BATS_FILE_TMPDIR"/*/machine.json; do
		[ ! -e "$node" ] || machine kill "$(basename "${node%/*}")"
	done
}
