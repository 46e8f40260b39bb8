# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an HTTP proxy: proxy.py PORT-FILE LOG [NAME:PASSWORD [HOST...]]

Takes CONNECT HOST:443 alone, as RFC 9110 9.3.6 has it: a request line, Host of the same authority, an empty line. 407
without the name and password (RFC 7617), 403 for hosts that are not listed (none listed: all are led to), 400 for what is
no such request. LOG gets a line for each: status and target.
"""
import base64
import pathlib
import socketserver
import sys

port_file, log, user, *hosts = sys.argv[1:] + [""] * (3 - len(sys.argv[1:]))


class Handler(socketserver.StreamRequestHandler):
    timeout = 5

    def answer(self):
        line = self.rfile.readline(4096)
        if not line:
            return None, ""  # somebody who only knocks
        headers = []
        while (header := self.rfile.readline(4096)) not in (b"\r\n", b""):
            headers.append(header)
        words = line.decode("latin-1").split(" ")
        if header != b"\r\n" or len(words) != 3 or words[0] != "CONNECT" or words[2] != "HTTP/1.1\r\n":
            return 400, repr(line)
        if not all(h.endswith(b"\r\n") and b": " in h for h in headers) or f"Host: {words[1]}\r\n".encode() not in headers:
            return 400, repr(headers)
        host, _, port = words[1].rpartition(":")
        if user and b"Proxy-Authorization: Basic " + base64.b64encode(user.encode()) + b"\r\n" not in headers:
            return 407, words[1]
        return (200 if port == "443" and (not hosts or host in hosts) else 403), words[1]

    def handle(self):
        status, target = self.answer()
        if status:
            with open(log, "a", encoding="utf-8") as f:
                f.write(f"{status} {target}\n")
            self.wfile.write(f"HTTP/1.1 {status} Whatever\r\n\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    pathlib.Path(port_file + ".new").write_text(f"{server.server_address[1]}\n", encoding="utf-8")
    pathlib.Path(port_file + ".new").rename(port_file)
    server.serve_forever()
