#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Whatever a person writes into a field is refused with its line, or is on the card as it was written.

load ../lib/image

@test "random text in every field is refused by name or comes back unchanged from the card's files" {
	/usr/bin/python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed"
	run "$top/tests/random-strings" --count "${RANDOM_STRINGS:-1500}" "$PIBUILD"
	echo "$output"
	[ "$status" -eq 0 ]
}

# bats test_tags=slow
@test "whatever value is left out or empty, check answers with words" {
	/usr/bin/python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed"
	cd "$BATS_TEST_TMPDIR"
	run /usr/bin/python3 - "$PIBUILD" "$top/configs/lab.yaml" <<-'EOT'
		import copy, subprocess, sys, yaml
		def places(at, path=()):
		    for key, value in at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ():
		        yield path + (key,)
		        yield from places(value, path + (key,))
		def check(doc):
		    with open("cluster.yaml", "w") as file:
		        yaml.safe_dump(doc, file, sort_keys=False)
		    return subprocess.run([sys.argv[1], "check"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
		whole = yaml.safe_load(open(sys.argv[2]))
		whole.setdefault("os", {})["sysctl"] = {"net.ipv6.conf.all.disable_ipv6": "0", "kernel.pid_max": "99999"}
		tried = wrong = 0
		for path in places(whole):
		    for empty in (True, False):
		        doc = copy.deepcopy(whole)
		        at = doc
		        for key in path[:-1]:
		            at = at[key]
		        if empty:
		            at[path[-1]] = None
		        else:
		            del at[path[-1]]
		        done = check(doc)
		        tried += 1
		        told = done.returncode == 0 or (done.returncode == 3 and "cluster.yaml:" in done.stderr)
		        if not told or "(null)" in done.stdout + done.stderr:
		            wrong += 1
		            print(path, "is empty" if empty else "is gone", done.returncode, done.stderr[-400:])
		print(tried, "tried,", wrong, "wrong")
	EOT
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *" tried, 0 wrong" ]]
}
