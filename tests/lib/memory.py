# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets in the memory of a program that is about to end (root).

usage: memory.py LIST COMMAND...    runs it; LIST is what canaries.py list prints. Prints the name of every secret that is there
                                    once the program has nothing left to do, and the number of bytes it looked through.
"""
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

talk = Path("memory-strace")
secrets = dict(line.split(" ", 1) for line in Path(sys.argv[1]).read_text().splitlines())
# It stands still before its last system call.
tracer = subprocess.Popen(["strace", "-o", talk, "-e", "trace=exit_group,mlock", "-e", "inject=exit_group:delay_enter=30000000", *sys.argv[2:]],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children")
while True:
    pid = children.read_text().split()
    if pid and re.match(r"(231|94) ", Path(f"/proc/{pid[0]}/syscall").read_text()):
        break
    if tracer.poll() is not None:
        sys.exit("it ended unseen")
    time.sleep(0.02)
looked, found = 0, set()
with open(f"/proc/{pid[0]}/mem", "rb", buffering=0) as memory:
    for line in Path(f"/proc/{pid[0]}/maps").read_text().splitlines():
        start, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
        if "w" not in mode:
            continue
        memory.seek(int(start, 16))
        try:
            data = memory.read(int(end, 16) - int(start, 16))
        except OSError:
            continue
        looked += len(data)
        for name, value in secrets.items():
            if value.encode() in data:
                found.add(f"{name} in {line.split()[-1] if len(line.split()) > 5 else 'no file'}")
tracer.send_signal(signal.SIGKILL)
subprocess.run(["kill", "-9", pid[0]], check=False)
print(*sorted(found), looked, sep="\n")
