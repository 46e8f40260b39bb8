# SPDX-License-Identifier: Apache-2.0
"""Writes the files named on stdin to stdout as a newc cpio archive, root's, without host traces."""

import os
import stat
import sys


def header(number, mode, mtime, size, name):
    fields = (number, mode, 0, 0, 1, mtime, size, 0, 0, 0, 0, len(name) + 1, 0)
    return b"070701" + b"".join(b"%08x" % f for f in fields) + name + b"\0"


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def entry(number, path):
    info = os.lstat(path)
    name = path.encode().removeprefix(b"./")
    data = b""
    if stat.S_ISLNK(info.st_mode):
        data = os.readlink(path).encode()
    elif stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            data = file.read()
    return pad(header(number, info.st_mode, int(info.st_mtime), len(data), name)) + pad(data)


for number, line in enumerate(sys.stdin, 1):
    sys.stdout.buffer.write(entry(number, line.rstrip("\n")))
sys.stdout.buffer.write(pad(header(0, 0, 0, 0, b"TRAILER!!!")))
