#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py COLUMNS COMMAND...: runs it on a terminal of that width and prints what it shows there, escapes as \\e."""
import fcntl, os, pty, struct, sys, termios

pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:  # the other end is closed
        break
    if not part:
        break
    said += part
os.waitpid(pid, 0)
sys.stdout.write(said.decode().replace("\r\n", "\n").replace("\x1b", "\\e"))
