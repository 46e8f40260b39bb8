# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Real disks for tests that flash: loop devices over files, which only root can make.

# Tests of disks, skipped where there can be none.
need_loop() {
	[ "$(id -u)" -eq 0 ] || skip "loop devices need root"
	losetup --find >/dev/null 2>&1 || skip "this machine has no loop device to spare"
}

# attach FILE: its loop device, detached by detach_all.
attach() {
	local loop
	loop=$(losetup --find --show "$@") && echo "$loop" >>"$BATS_TEST_TMPDIR/loops" && echo "$loop"
}

# Only what is still this test's own: a number that was let go may be another test's disk by now, in the other lane.
detach_all() {
	local loop
	[ ! -e "$BATS_TEST_TMPDIR/loops" ] || while read -r loop; do
		[[ "$(cat "/sys/block/${loop#/dev/}/loop/backing_file" 2>/dev/null)" == "$(realpath "$BATS_TEST_TMPDIR")"/* ]] || continue
		umount "$loop" 2>/dev/null || true
		swapoff "$loop" 2>/dev/null || true
		losetup -d "$loop" 2>/dev/null || true
	done <"$BATS_TEST_TMPDIR/loops"
}

# dirty FILE MIB: a disk full of somebody's data, with a valid boot sector.
dirty() {
	dd if=/dev/urandom of="$1" bs=1M count="$2" status=none
	printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

# sha256_of FILE: many times 256 MiB, so by the program that uses the processor's own instructions.
sha256_of() { openssl dgst -sha256 -r "$1" | cut -d' ' -f1; }

identity() { "$PIBUILD" devices --json | jq -r --arg d "$1" '.[] | select(.path == $d).serial'; }

# flash ... DISK: as a script does it, with the serial of the disk.
flash() {
	"$PIBUILD" --progress none flash --yes --serial "$(identity "${!#}")" "$@"
}

# same_data IMAGE DISK: the disk holds every byte of data of the image.
same_data() {
	python3 - "$1" "$2" <<-'PYTHON'
		import os, sys
		image, disk = (os.open(name, os.O_RDONLY) for name in sys.argv[1:])
		at = total = 0
		while True:
		    try:
		        data = os.lseek(image, at, os.SEEK_DATA)
		    except OSError:
		        break
		    at = os.lseek(image, data, os.SEEK_HOLE)
		    for start in range(data, at, 1 << 20):
		        n = min(1 << 20, at - start)
		        if os.pread(image, n, start) != os.pread(disk, n, start):
		            sys.exit(f"the disk differs from the image in {start}..{start + n}")
		    total += at - data
		sys.exit(total < 1 << 20 and "the image holds next to no data")
	PYTHON
}

boot_signature() { dd if="$1" bs=1 skip=510 count=2 status=none | od -An -tx1 | tr -d ' \n'; }

# on_terminal ANSWER COMMAND...: the command on a terminal of its own; $HOOK runs before the answer is given. An answer of
# several lines is one for each question.
on_terminal() {
	python3 - "$@" <<-'PYTHON'
		import os, pty, signal, subprocess, sys
		signal.alarm(60)
		answer, command = sys.argv[1], sys.argv[2:]
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(command[0], command)
		seen = b""
		while not seen.rstrip().endswith(b"go on:"):
		    try:
		        chunk = os.read(fd, 1024)
		    except OSError: # it ended without a question
		        break
		    seen += chunk
		else:
		    subprocess.run(os.environ.get("HOOK", "true"), shell=True, check=True)
		    os.write(fd, answer.encode() + b"\n")
		try:
		    while chunk := os.read(fd, 1024):
		        seen += chunk
		except OSError:
		    pass
		sys.stdout.write(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PYTHON
}
