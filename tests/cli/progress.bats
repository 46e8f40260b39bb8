#!/usr/bin/env bats
# slow: it builds images
# SPDX-License-Identifier: Apache-2.0
# Progress of a whole run, in each of its faces, and the sizes that plan tells before it.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	sandbox -- "$PIBUILD" plan --cache cache >before
	sandbox -- "$PIBUILD" --progress json --cache cache 2>json >/dev/null
	rm -r cache/layers
	sandbox -- "$PIBUILD" --progress plain --cache cache 2>plain >/dev/null
	sandbox -- "$PIBUILD" plan --cache cache >after
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

@test "every line of JSON progress has its times and its place in the whole run" {
	grep '^{' json | jq -es 'length > 20 and all(has("elapsed") and has("rate") and has("seconds") and
		.overall.step >= 1 and .overall.step <= .overall.steps and .overall.fraction >= 0 and .overall.fraction <= 1)'
	grep '^{' json | jq -es '[.[].elapsed] == ([.[].elapsed] | sort)'
	grep '^{' json | jq -es '[.[] | select(.event == "end").overall.fraction] == ([.[] | select(.event == "end").overall.fraction] | sort)'
}

@test "what is announced is what comes: the first download knows the number of the last step" {
	local announced steps
	announced=$(grep '^{' json | jq -s '.[0].overall.steps')
	steps=$(grep '^{' json | jq -s 'map(select(.event == "begin")) | length')
	[ "$announced" = "$steps" ]
	grep '^{' json | jq -es 'last.overall | .fraction == 1 and .step == .steps'
}

# An estimate comes after a second of work, which a quick machine does not need.
@test "plain lines say step N of M, and how long it will take while there is something left" {
	grep -qE '^pibuild: decode raspios: .*; step 1 of [0-9]+(, about [1-9][0-9]* s left)?$' plain
	grep -qE '^pibuild: clone w-1: .*; step ([0-9]+) of \1$' plain
	if grep '[ ,]0 s left' plain; then false; fi
}

@test "a command that says nothing of what comes tells no steps" {
	"$PIBUILD" --progress plain verify out/cp-1.img >/dev/null 2>lines
	if grep -q 'step [0-9]' lines; then false; fi
}

@test "on a terminal of 80 columns no line of the bars is wider, and the last says where the whole is" {
	rm -r cache/layers
	python3 - "$top/scripts/sandbox" "$PIBUILD" <<-'PYTHON'
		import fcntl, os, pty, re, struct, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
		    os.execv(sys.argv[1], [sys.argv[1], "--", sys.argv[2], "--progress", "bar", "--cache", "cache"])
		seen = b""
		try:
		    while chunk := os.read(fd, 4096):
		        seen += chunk
		except OSError:
		    pass
		lines = re.sub("\x1b\\[[0-9]*[AK]", "", seen.decode()).split("\r\n")
		bars = [line for line in lines if line.startswith("  ")]
		assert bars and max(map(len, bars)) < 80, bars
		steps = [line for line in bars if re.match(r"  step \d+ of \d+ +\[[#-]{16}\] \d+ %", line)]
		assert steps, bars
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PYTHON
}

@test "plan tells sizes that are true, ranges where no source states them, and never 0 B" {
	grep -qE '^  to download: [0-9.]+ [KMG]iB$' before
	grep -qx '  nothing to download' after
	if grep -qE '(^| )0 B' before after; then false; fi
	"$PIBUILD" plan --cache none >plan
	grep -qE '^  to download: [0-9.]+ MiB to [0-9.]+ [MG]iB$' plan
	grep -qE '^  helm .* <= [0-9.]+ MiB ' plan
	"$PIBUILD" --json plan --cache none | jq -e '.artifacts[] | select(.name == "helm") | .maxSize > 0 and (has("size") | not)'
	sandbox -- "$PIBUILD" --json plan --cache cache | jq -e '.artifacts[] | select(.name == "helm").size > 0'
}
