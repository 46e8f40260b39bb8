#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: a card is made for every case
# pibuild status: the first-boot report, from a file, a folder, an image; good ones, bad ones, hostile ones.

load ../lib/image
load ../lib/card

# report STATE [CNI_STATE]: a report on stdout, of two steps.
report() {
	cat <<-EOT
		{"apiVersion": "pibuild/v1", "kind": "Status", "cluster": "homelab", "node": "cp-1", "role": "control-plane",
		 "state": "$1", "time": "2026-11-25T16:00:00Z",
		 "steps": [
		  {"name": "preflight", "title": "Checks", "state": "done", "cause": "", "cure": "", "attempts": 1,
		   "since": "2026-11-25T15:50:00Z", "unit": "pibuild-preflight.service"},
		  {"name": "cni", "title": "Cilium, the network", "state": "${2:-$1}", "cause": "the API does not answer",
		   "cure": "look at k3s", "attempts": 7, "since": "2026-11-25T15:59:00Z", "unit": "pibuild-cni.service"}],
		 "notes": [{"about": "undervoltage", "cause": "4.6 V were seen", "cure": "use a stronger supply"}],
		 "nodes": [{"name": "w-1", "role": "worker", "state": "absent", "cause": "has not joined", "time": ""}]}
	EOT
}

# changed FILTER: a good report with something wrong.
changed() {
	report working waiting | jq -c "$1" >status.json
}

@test "a finished node: exit 0, and a table of its steps" {
	report done >status.json
	"$PIBUILD" status status.json >out 2>err
	[ ! -s err ]
	grep -qx 'node cp-1 of cluster homelab, control-plane: done' out
	grep -qE '^  done +preflight +10 min  Checks$' out
	grep -qE '^  done +cni +60 s  Cilium, the network$' out
}

@test "a failed step: exit 1, a sentence with step, cause and cure, and where to look further" {
	report failed >status.json
	fails 1 'cp-1 has failed: step cni (Cilium, the network) is failed: the API does not answer; what to do: look at k3s' \
		"$PIBUILD" status status.json
	[[ "$output" == *'tries: 7; more: journalctl -u pibuild-cni.service'* ]]
}

@test "a node still at work: exit 1 and what it waits for" {
	report working waiting >status.json
	fails 1 'cp-1 is not done yet: step cni (Cilium, the network) is waiting: the API does not answer' \
		"$PIBUILD" status status.json
}

@test "a report that no step was ever begun for: what card it is and what to do, no table of pending steps" {
	report working waiting | jq '.steps |= map(.state = "pending" | .attempts = 0 | .since = "")' >status.json
	fails 1 'this is the card of cp-1 of homelab and has not booted yet: put it in and power the Pi on' "$PIBUILD" status status.json
	[[ "$output" == *'card of cp-1 of homelab, control-plane, that has not booted yet'* ]]
	[[ "$output" != *'by its own clock'* ]]
}

@test "an unfinished card is named" {
	head -c 2M /dev/zero >card.img
	printf 'pibuild: unfinished card of w-1\033[2J; flash it again\n' | dd of=card.img bs=4096 seek=1 conv=notrunc status=none
	fails 1 'card.img is an unfinished card of w-1?[2J: its writing did not end' "$PIBUILD" status card.img
}

@test "notes and the other nodes are shown" {
	report done >status.json
	"$PIBUILD" status status.json >out
	grep -q 'why:  4.6 V were seen' out
	grep -q 'cure: use a stronger supply' out
	grep -qE '^  absent +w-1 +worker +last heard of: never' out
}

@test "--json gives the report, with the same exit codes" {
	report done >status.json
	"$PIBUILD" status status.json --json >out
	diff <(jq -S . status.json) <(jq -S . out)
	report failed >status.json
	run -1 --separate-stderr "$PIBUILD" status status.json --json
	jq -e '.state == "failed"' <<<"$output"
}

@test "it is read from a pipe too, as from ssh" {
	report done | "$PIBUILD" status /dev/stdin | grep -q 'cp-1'
}

@test "a folder: a boot partition, a root with one in it, a running node's root" {
	for place in . boot/firmware run/pibuild; do
		rm -rf dir && mkdir -p "dir/$place"
		name=pibuild-status.json
		[ "$place" != run/pibuild ] || name=status.json
		report done >"dir/$place/$name"
		"$PIBUILD" status dir | grep -q '^node cp-1'
	done
}

@test "an image, and a lone FAT: the report on the boot partition" {
	mkdir -p boot root/etc/pibuild
	report failed >boot/pibuild-status.json
	make_card card.img boot root
	fails 1 'step cni (Cilium, the network) is failed' "$PIBUILD" status card.img
	dd if=card.img of=fat.img bs=1M skip=1 count=16 status=none
	fails 1 'step cni (Cilium, the network) is failed' "$PIBUILD" status fat.img
}

@test "an image is only read" {
	mkdir -p boot root
	report done >boot/pibuild-status.json
	make_card card.img boot root
	chmod 0444 card.img
	sha256sum card.img >before
	"$PIBUILD" status card.img >out
	sha256sum -c --quiet before
}

@test "a card that has not booted is told from one that is not pibuild's" {
	mkdir -p boot root/etc/pibuild
	echo '{}' >root/etc/pibuild/release.json
	make_card card.img boot root
	fails 1 'this card has not booted yet' "$PIBUILD" status card.img
	fails 1 'this card has not booted yet' "$PIBUILD" status root
	rm -r root/etc
	make_card card.img boot root
	fails 1 "nothing else of pibuild's" "$PIBUILD" status card.img
	fails 1 "nothing else of pibuild's" "$PIBUILD" status root
}

@test "what is no image at all is said to be none" {
	head -c 4096 /dev/zero >zero
	fails 1 'it is no disk image' "$PIBUILD" status zero
	head -c 4096 /dev/urandom | xz >card.img.xz
	fails 1 'unpack it first' "$PIBUILD" status card.img.xz
	fails 1 'cannot open nothing' "$PIBUILD" status nothing
	fails 3 'there is no cluster.yaml here, and so there is no cluster to ask (of a card give the device, or its report): `pibuild init`' "$PIBUILD" status
}

@test "a report cut off by a loss of power is exit 4 and says so" {
	report done | head -c 300 >status.json
	fails 4 'cut off by a loss of power' "$PIBUILD" status status.json
	: >status.json
	fails 4 'cut off by a loss of power' "$PIBUILD" status status.json
}

@test "a report with control characters commands no terminal, nor does its JSON" {
	changed '.steps[1].cause = "red \u001b[31m bell \u0007 line\nbreak c1 \u009b del \u007f end"'
	for option in '' --json; do
		run -1 "$PIBUILD" status status.json $option
		[[ "$output" == *'red ?[31m bell ? line?break c1 ?'*'del ? end'* ]]
		run ! grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' <<<"$output"
	done
}

@test "an unknown key is no way to print either" {
	changed '.steps[0]["a\u001b[2Jb"] = 1'
	fails 4 "steps[0]: unknown key 'a?[2Jb'; known here: name, title," "$PIBUILD" status status.json
}

@test "too long a report is not read" {
	changed '.notes = [range(255) | {about: "x", cause: ("y" * 4000), cure: ""}]'
	[ "$(stat -c %s status.json)" -gt 262144 ]
	fails 4 'more than 256 KiB' "$PIBUILD" status status.json
}

@test "no symbolic link of a card and no pipe on it is followed" {
	report done >outside
	mkdir dir && ln -s ../outside dir/pibuild-status.json
	fails 1 'cannot open dir/pibuild-status.json' "$PIBUILD" status dir
	rm dir/pibuild-status.json && mkfifo dir/pibuild-status.json
	fails 4 'is not a regular file' timeout 10 "$PIBUILD" status dir
	rm -r dir && mkdir -p dir real/firmware && report done >real/firmware/pibuild-status.json
	ln -s ../real dir/boot
	run ! "$PIBUILD" status dir
}

@test "a report that contradicts itself is none" {
	changed '.state = "done"'
	fails 4 'state is not what its steps say' "$PIBUILD" status status.json
	changed '.steps[1].name = "preflight"'
	fails 4 'steps[1].name is there twice' "$PIBUILD" status status.json
	changed '.time = "2026-02-30T00:00:00Z"'
	fails 4 "time: '2026-02-30T00:00:00Z' cannot be used: give a time such as" "$PIBUILD" status status.json
	report done | sed 's/"kind"/"kind": "Status", &/' >status.json
	fails 4 'duplicate' "$PIBUILD" status status.json
}

@test "a clock that was set in between makes no nonsense of durations" {
	changed '.steps[0].since = "1970-01-01T00:00:05Z" | .steps[1].since = "2026-11-25T17:00:00Z"'
	run -1 "$PIBUILD" status status.json
	grep -qE '^  done +preflight +-  Checks$' <<<"$output"
	grep -qE '^  waiting +cni +-  Cilium' <<<"$output"
}

@test "schema --status is a draft 2020-12 schema without loose ends" {
	"$PIBUILD" schema status >schema.json
	python3 - <<-'EOT'
		import json, jsonschema
		schema = json.load(open("schema.json"))
		jsonschema.Draft202012Validator.check_schema(schema)
		def walk(x):
		    if isinstance(x, dict):
		        if x.get("type") == "object":
		            assert x["additionalProperties"] is False, x
		        for v in x.values(): walk(v)
		    elif isinstance(x, list):
		        for v in x: walk(v)
		walk(schema)
	EOT
}

@test "the schema and the program agree about every single change to a report" {
	report working waiting >base.json
	"$PIBUILD" schema status >schema.json
	PIBUILD=$PIBUILD python3 - <<-'EOT'
		import copy, json, jsonschema, os, subprocess
		validator = jsonschema.Draft202012Validator(json.load(open("schema.json")))
		base = json.load(open("base.json"))
		values = [None, True, -1, 0, 3, 1.5, 2**31, "", "x", "Done", "done", "failed", "waiting", "absent", "pending", "a" * 64,
		          "a" * 201, "é" * 4096, "é" * 4097, "-a", "a.b-c", "worker", "2026-11-25T16:00:00Z", "2026-11-25 16:00:00", [], {}]
		def places(x, path=()):
		    for key in (x if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ()):
		        yield path + (key,)
		        yield from places(x[key], path + (key,))
		def at(x, path):
		    for key in path: x = x[key]
		    return x
		changes = 0
		for path in list(places(base)):
		    if path[:2] == ("steps", 0): continue # as steps[1]
		    variants = []
		    for value in values:
		        variant = copy.deepcopy(base)
		        at(variant, path[:-1])[path[-1]] = value
		        variants.append(variant)
		    gone = copy.deepcopy(base)
		    del at(gone, path[:-1])[path[-1]]
		    more = copy.deepcopy(base)
		    if isinstance(at(more, path), dict): at(more, path)["more"] = 1
		    for variant in variants + [gone, more]:
		        names = [s.get("name") for s in variant.get("steps") or [] if isinstance(s, dict)] if isinstance(variant.get("steps"), list) else []
		        if len(set(map(str, names))) != len(names): continue # JSON Schema cannot say it
		        run = subprocess.run([os.environ["PIBUILD"], "status", "/dev/stdin"], input=json.dumps(variant).encode(), capture_output=True)
		        assert run.returncode in (0, 1, 4), (path, run)
		        assert (run.returncode != 4) == validator.is_valid(variant), (path, at(variant, path[:-1]), run)
		        changes += 1
		assert changes > 600, changes
	EOT
}
