#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py COLUMNS[:ANSWER|ANSWER...] COMMAND...: runs it on a terminal of that width and prints what stands there in
the end, colours as \\e[...m. An answer is typed when a line waits for it; \\x03 is Ctrl-C. Ends 1 when a line that was
drawn on the way is wider than the terminal.
"""
import fcntl, os, pty, re, select, struct, sys, termios, time

columns, _, answers = sys.argv[1].partition(":")
answers = answers.encode().decode("unicode_escape").split("|") if answers else []
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
said, mark, end = b"", 0, time.monotonic() + 60
while time.monotonic() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    elif answers and re.search(rb"[:?\]] *(\x1b\[0?m)? *$", said[mark:]):
        mark, answer = len(said), answers.pop(0)
        os.write(fd, answer.encode() if answer in ("\x03", "\x04") else answer.encode() + b"\n")
os.close(fd)
os.waitpid(pid, 0)

# What progress draws is gone up to and wiped.
lines, wide = [""], False
for part in re.split(r"(\r?\n|\r|\x1b\[1A|\x1b\[2?K)", said.decode()):
    if part in ("\n", "\r\n"):
        lines.append("")
    elif part == "\x1b[1A":
        lines.pop()
        wide = wide or len(lines[-1]) > int(columns)
    elif part.startswith("\x1b[") and part.endswith("K"):
        lines[-1] = ""
    elif part != "\r":
        lines[-1] += part
sys.stdout.write("\n".join(lines).replace("\x1b", "\\e"))
sys.exit(wide)
