# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets where none may be: as they are, in hexadecimal, and in base64 whatever comes before them.

usage: canaries.py list SECRETS.yaml NAME=VALUE...    the secrets: one "NAME VALUE" per line; keys in pieces
       canaries.py find LIST PATH...                  every place: PATH (folders with all below, names too), NAME, form
       canaries.py needles LIST                       what to look for, a line each, for grep -F
       canaries.py on-root LIST IMAGE OFFSET          "NAME PATH" of every file of the ext4 at OFFSET that holds one;
                                                      PATH is "free space" where no file is
"""
import base64
import os
import re
import subprocess
import sys
import tempfile

import yaml


def pieces(name, pem):
    """A private key, line by line: each is random enough, and a copy may be wrapped in another way."""
    body = [line for line in pem.strip().splitlines() if not line.startswith("-----")]
    for i, line in enumerate(body):
        # The first bytes of a key say its type, the last line may be short, and both lie in public keys as well.
        if i and len(line) >= 24:
            yield f"{name}.{i}", line


def secrets(path):
    doc = yaml.safe_load(open(path))
    for role in ("server", "agent"):
        yield f"token.{role}", doc["tokens"][role]
    for ca, pair in doc["ca"].items():
        yield from pieces(f"ca.{ca}", pair["key"])
    yield from pieces("admin", doc["admin"]["key"])
    yield from pieces("service", doc["serviceAccountKey"])
    if "issuerCA" in doc:
        yield from pieces("issuer-ca", doc["issuerCA"]["key"])
    for node, password in doc["nodes"].items():
        yield f"password.{node}", password


def forms(value):
    raw = value.encode()
    yield "as it is", raw
    yield "hex", raw.hex().encode()
    yield "HEX", raw.hex().upper().encode()
    for phase in range(3):
        # Only the digits that depend on nothing but the secret.
        text = base64.b64encode(bytes(phase) + raw)
        yield f"base64+{phase}", text[(phase * 8 + 5) // 6 : (phase + len(raw)) * 8 // 6]
    if value.startswith("ey") or len(value) == 64:
        try:
            yield "decoded", base64.b64decode(value, validate=True)
        except ValueError:
            pass


def needles(path):
    table = {}
    for line in open(path):
        name, value = line.rstrip("\n").split(" ", 1)
        for form, needle in forms(value):
            if b"\n" not in needle and b"\0" not in needle:
                table[needle] = (name, form)
    return table


def hits(table, paths):
    """(path, offset, name, form) of everything grep finds."""
    with tempfile.NamedTemporaryFile() as list_file:
        list_file.write(b"\n".join(table) + b"\n")
        list_file.flush()
        # -o and -b: grep tells the offset of each hit, in files of any kind and size.
        found = subprocess.run(["grep", "-raobHZF", "-f", list_file.name, "--", *paths], stdout=subprocess.PIPE,
                               env={**os.environ, "LC_ALL": "C"}, check=False)
    if found.returncode > 1:
        sys.exit("grep failed")
    for path, offset, text in re.findall(rb"([^\0]+)\0(\d+):(.*)\n", found.stdout):
        yield (path.decode(), int(offset), *table[text])


def find(table, paths):
    for path, _, name, form in hits(table, paths):
        print(f"{path}: {name} {form}")
    for top in paths:
        for folder, folders, files in os.walk(top):
            for entry in folders + files:
                for needle, (name, form) in table.items():
                    if needle in os.fsencode(entry):
                        print(f"{folder}/{entry}: {name} {form} in the name")


def debugfs(image, command):
    return subprocess.run(["debugfs", "-R", command, image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True).stdout


def on_root(table, image, offset):
    where = f"{image}?offset={offset}"
    block_size = int(re.search(r"Block size: +(\d+)", debugfs(where, "show_super_stats -h")).group(1))
    blocks = {}
    for _, at, name, _ in hits(table, [image]):
        if at >= offset:
            blocks.setdefault((at - offset) // block_size, set()).add(name)
    if not blocks:
        return
    inodes = dict(re.findall(r"^(\d+)\t(.+)$", debugfs(where, "icheck " + " ".join(map(str, blocks))), re.M))
    numbers = sorted({i for i in inodes.values() if i.isdigit()})
    paths = {}
    for inode, path in re.findall(r"^(\d+)\t(.+)$", debugfs(where, "ncheck " + " ".join(numbers)), re.M):
        paths.setdefault(inode, path)
    out = set()
    for block, names in blocks.items():
        for name in names:
            out.add(f"{name} {paths.get(inodes.get(str(block)), 'free space')}")
    print("\n".join(sorted(out)))


if sys.argv[1] == "list":
    for name, value in secrets(sys.argv[2]):
        print(name, value)
    for arg in sys.argv[3:]:
        print(*arg.split("=", 1))
elif sys.argv[1] == "needles":
    sys.stdout.buffer.write(b"\n".join(needles(sys.argv[2])) + b"\n")
elif sys.argv[1] == "find":
    find(needles(sys.argv[2]), sys.argv[3:])
else:
    on_root(needles(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
