#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an editor shows: asks a YAML language server over LSP on stdio about files.

    lsp.py SERVER [--schema FILE] FILE...

Prints "FILE:LINE:COL: message" for each diagnostic, lines and columns from 1. Without --schema a file says itself which
one it goes by ($schema in its first line).
"""
import json
import os
import pathlib
import subprocess
import sys
import threading

TIMEOUT = 60  # seconds for all of it

args = sys.argv[1:]
server, schema = args.pop(0), None
if args[0] == "--schema":
    schema = args[1]
    args = args[2:]
uris = {pathlib.Path(f).resolve().as_uri(): f for f in args}
settings = {"validate": True, "schemaStore": {"enable": False}, "customTags": []}
if schema:
    settings["schemas"] = {pathlib.Path(schema).resolve().as_uri(): list(uris)}

process = subprocess.Popen([server, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
watchdog = threading.Timer(TIMEOUT, process.kill)
watchdog.start()


def send(message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    process.stdin.flush()


def receive():
    length = 0
    while (line := process.stdout.readline()) not in (b"\r\n", b""):
        name, value = line.split(b":", 1)
        if name.lower() == b"content-length":
            length = int(value)
    if not length:
        sys.exit("lsp: the server has ended, or took too long")
    return json.loads(process.stdout.read(length))


def wait_for(wanted):
    """Answers what the server asks until a message comes that WANTED takes."""
    while True:
        message = receive()
        if message.get("method") == "workspace/configuration":
            answer = [settings if i.get("section") == "yaml" else {} for i in message["params"]["items"]]
            send({"id": message["id"], "result": answer})
        elif "method" in message and "id" in message:
            send({"id": message["id"], "result": None})
        elif wanted(message):
            return message


send({"id": 1, "method": "initialize", "params": {
    "processId": os.getpid(), "rootUri": None,
    "capabilities": {"workspace": {"configuration": True}, "textDocument": {"publishDiagnostics": {}}}}})
wait_for(lambda m: m.get("id") == 1)
send({"method": "initialized", "params": {}})
send({"method": "workspace/didChangeConfiguration", "params": {"settings": {"yaml": settings}}})
for uri, name in uris.items():
    with open(name, encoding="utf-8") as f:
        text = f.read()
    send({"method": "textDocument/didOpen", "params": {
        "textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}}})
    found = wait_for(lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"]["uri"] == uri)
    for d in found["params"]["diagnostics"]:
        start = d["range"]["start"]
        print(f"{name}:{start['line'] + 1}:{start['character'] + 1}: {d['message']}".replace("\n", " "))
send({"id": 2, "method": "shutdown"})
wait_for(lambda m: m.get("id") == 2)
send({"method": "exit"})
process.wait()
watchdog.cancel()
