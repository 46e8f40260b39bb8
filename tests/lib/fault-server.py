#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS server that misbehaves on request, for tests of downloads.

  fault-server.py DIR      serves DIR/files/*; writes DIR/ready when it listens, ends with its parent

A case that holds its last bytes back sends them when there is DIR/go-TOKEN, TOKEN being the second part of the path; it
hangs up when none comes.

The first part of a path names what goes wrong with the file in its last part, what is between tells tests apart:
/wrong/7/thing.bin. DIR/ready holds the ports as shell assignments (port: sane; the others: how their TLS is not),
DIR/ca.pem the throw-away CA, DIR/log one line per request: path, Range, status, bytes of body sent, and the names of
request headers that tell who asks.
"""
import email.utils
import gzip
import http.server
import os
import re
import ssl
import subprocess
import sys
import threading
import time

HALF, LATER = 0.5, 2


def cut(handler, data):
    """Half of the body, then nothing."""
    handler.start(200, data)
    handler.body(data[: int(len(data) * HALF)])
    handler.hang_up()


def rest_of(handler, data, status=206, shown_start=None):
    start = handler.range_start()
    shown = start if shown_start is None else shown_start
    handler.start(status, data[start:], {"Content-Range": f"bytes {shown}-{len(data) - 1}/{len(data)}"})
    handler.body(data[start:])


def ok(handler, data):
    if handler.range_start() is None:
        handler.whole(data)
    elif handler.range_start() >= len(data):
        handler.plain(416)
    else:
        rest_of(handler, data)


def always_cut(handler, data):
    if handler.range_start() is None:
        cut(handler, data)
    else:
        handler.start(206, data[handler.range_start():], {
            "Content-Range": f"bytes {handler.range_start()}-{len(data) - 1}/{len(data)}"})
        handler.hang_up()


def cut_once_then(reply):
    return lambda handler, data: cut(handler, data) if handler.turn == 1 else reply(handler, data)


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


def no_more(handler, data):
    handler.plain(416) if handler.range_start() is not None else handler.whole(data)


def changed(handler, data):
    """The first half is of another file of the same length."""
    cut(handler, flipped(data)) if handler.turn == 1 else ok(handler, data)


def length_is(offset):
    def reply(handler, data):
        handler.start(200, data, {"Content-Length": str(len(data) + offset)})
        handler.body(data)
        handler.hang_up()
    return reply


def endless(handler, data):
    handler.start(200, None, {"Transfer-Encoding": "chunked"})
    while True:
        handler.chunk(b"x" * 65536)


def chunks_cut(handler, data):
    if handler.turn > 1:
        return ok(handler, data)
    handler.start(200, None, {"Transfer-Encoding": "chunked"})
    handler.chunk(data[: len(data) // 2])
    handler.hang_up()


def stall(handler, data):
    handler.start(200, data)
    handler.body(data[:1000])
    time.sleep(90)
    handler.hang_up()


def slow(handler, data):
    start = handler.range_start() or 0
    extra = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    handler.start(206 if start else 200, data[start:], extra)
    for at in range(start, len(data), 65536):
        handler.body(data[at : at + 65536])
        time.sleep(0.04)


def held(handler, data):
    start, last = handler.range_start() or 0, len(data) - 4096
    extra = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    handler.start(206 if start else 200, data[start:], extra)
    for at in range(start, last, 16384):
        handler.body(data[at : min(at + 16384, last)])
    go, patience = os.path.join(handler.root, "go-" + handler.path.split("/")[2]), time.monotonic() + 60
    while not os.path.exists(go) and time.monotonic() < patience:
        time.sleep(0.02)
    if os.path.exists(go):
        handler.body(data[max(start, last) :])
    handler.hang_up()


def zipped(handler, data):
    body = gzip.compress(data)
    handler.start(200, body, {"Content-Encoding": "gzip"})
    handler.body(body)


def zipped_chunks(handler, data):
    handler.start(200, None, {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
    handler.chunk(gzip.compress(data))
    handler.chunk(b"")


def portal(handler, data):
    handler.whole(b"\n<html><body>Welcome to Hotel Wi-Fi, please log in</body></html>\n")


def big_header(handler, data):
    handler.send_response_only(200)
    for i in range(2000):
        handler.send_header(f"X-Filler-{i}", "x" * 5000)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.body(data)


def status_then_ok(status, times, headers=lambda: {}):
    return lambda handler, data: handler.plain(status, headers()) if handler.turn <= times else ok(handler, data)


def redirect(target):
    return lambda handler, data: handler.plain(302, {"Location": target(handler)})


def registry(challenge, reply=ok):
    """As registries do: nothing without a token, which the realm of the challenge hands out to anybody."""
    def answer(handler, data):
        if handler.headers.get("Authorization") == "Bearer anonymous":
            reply(handler, data)
        else:
            handler.plain(401, {"WWW-Authenticate": challenge(handler)})
    return answer


def bearer(realm):
    return lambda h: f'Bearer realm="{realm(h)}",service="a registry",scope="repository:lab/app:pull"'


def here(port, case):
    scheme = "http" if port == "http" else "https"
    return lambda h: f"{scheme}://127.0.0.1:{h.ports[port]}/{case}/{h.path.split('/')[2]}/token"


def in_seconds(n):
    return email.utils.formatdate(time.time() + n, usegmt=True)


FOREVER = 10**9
CASES = {
    "ok": ok,
    "cut-once": cut_once_then(ok),
    "always-cut": always_cut,
    "no-range": cut_once_then(lambda h, d: h.whole(d)),
    "wrong-range": cut_once_then(lambda h, d: ok(h, d) if h.range_start() is None else rest_of(h, d, shown_start=7)),
    "no-such-range": cut_once_then(no_more),
    "changed": changed,
    "wrong": lambda h, d: h.whole(flipped(d)),
    "wrong-end": lambda h, d: h.whole(d[:-1] + flipped(d[-1:])),
    "wrong-once": lambda h, d: h.whole(flipped(d) if h.turn == 1 else d),
    "one-more": lambda h, d: h.whole(d + b"x"),
    "empty": lambda h, d: h.whole(b""),
    "length-high": length_is(100),
    "length-low": length_is(-100),
    "endless": endless,
    "chunks-cut": chunks_cut,
    "stall": stall,
    "slow": slow,
    "held": held,
    "gzip": zipped,
    "gzip-chunked": zipped_chunks,
    "portal": portal,
    "big-header": big_header,
    "404": status_then_ok(404, FOREVER),
    "403": status_then_ok(403, FOREVER),
    "500": status_then_ok(500, FOREVER),
    "500-twice": status_then_ok(500, 2),
    "429-once": status_then_ok(429, 1, lambda: {"Retry-After": str(LATER)}),
    "503-once": status_then_ok(503, 1, lambda: {"Retry-After": in_seconds(LATER + 1)}),
    "token": registry(bearer(here("port", "hand-out"))),
    "token-moved": registry(bearer(here("port", "hand-out")), redirect(here("twin", "moved"))),
    "token-elsewhere": registry(bearer(lambda h: f"https://auth.invalid/{h.path.split('/')[2]}/token")),
    "token-http": registry(bearer(here("http", "hand-out"))),
    "token-file": registry(bearer(lambda h: "file:///etc/passwd")),
    "token-none": registry(bearer(here("port", "403"))),
    "token-odd": registry(bearer(here("port", "odd-token"))),
    "token-long": registry(bearer(here("port", "long-token"))),
    "token-useless": registry(bearer(here("port", "other-token"))),
    "password": registry(lambda h: 'Basic realm="a registry"'),
    "hand-out": lambda h, d: h.whole(b'{"token": "anonymous", "expires_in": 300}'),
    "other-token": lambda h, d: h.whole(b'{"access_token": "worthless"}'),
    "odd-token": lambda h, d: h.whole(b'{"token": "a\\r\\nX-Evil: b"}'),
    "long-token": lambda h, d: h.whole(b'{"token": "anonymous", "more": "%s"}' % (b"x" * 65536)),
    "moved": lambda h, d: h.plain(404),
    "redirect": redirect(lambda h: f"https://127.0.0.1:{h.ports['port']}/ok/{h.file}"),
    "redirect-loop": redirect(lambda h: h.path),
    "redirect-http": redirect(lambda h: f"http://127.0.0.1:{h.ports['http']}/ok/{h.file}"),
    "redirect-file": redirect(lambda h: "file:///etc/passwd"),
    "redirect-user": redirect(lambda h: f"https://user:word@127.0.0.1:{h.ports['port']}/ok/{h.file}"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    turns, ports, root = {}, {}, ""

    def log_message(self, *_):
        pass

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def range_start(self):
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match.group(1)) if match else None

    def start(self, status, data, extra=None):
        self.status = status
        headers = {} if data is None else {"Content-Length": str(len(data))}
        headers.update(extra or {})
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def body(self, data):
        self.wfile.write(data)
        self.sent += len(data)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.sent += len(data)

    def whole(self, data):
        self.start(200, data)
        self.body(data)

    def plain(self, status, headers=None):
        text = b"no\n"
        self.start(status, text, headers)
        self.body(text)

    def hang_up(self):
        self.close_connection = True

    def do_GET(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        case, self.file, self.status, self.sent = parts[0], parts[-1], 0, 0
        with self.lock:
            self.turn = self.turns[self.path] = self.turns.get(self.path, 0) + 1
        path = os.path.join(self.root, "files", self.file)
        try:
            if case not in CASES or not os.path.isfile(path):
                self.plain(404)
            else:
                with open(path, "rb") as f:
                    CASES[case](self, f.read())
        except OSError:
            self.close_connection = True
        finally:
            with self.lock, open(os.path.join(self.root, "log"), "a") as log:
                tell = [h for h in ("Authorization", "Cookie", "Accept-Encoding", "Referer") if h in self.headers]
                log.write(" ".join([self.path, self.headers.get("Range", "-"), str(self.status), str(self.sent), *tell])
                          + "\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def openssl(root, *args):
    subprocess.run(["openssl", *args], cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def make_ca(root, name):
    openssl(root, "req", "-x509", *KEY, "-days", "30", "-subj", f"/CN={name}, throw-away", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-addext", "basicConstraints=critical,CA:true")


def make_cert(root, name, ca, san, first, last):
    """Signed by `openssl ca`, which alone of Debian 12's commands can date a certificate."""
    base = os.path.join(root, f"ca-{name}")
    os.makedirs(base)
    open(os.path.join(base, "index"), "w").close()
    with open(os.path.join(base, "conf"), "w") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index\nnew_certs_dir={base}\nrand_serial=yes\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n"
                f"[e]\nsubjectAltName={san}\nbasicConstraints=CA:false\n")
    openssl(root, "req", *KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(root, "ca", "-batch", "-notext", "-config", f"{base}/conf", "-extensions", "e", "-cert", f"{ca}.pem",
            "-keyfile", f"{ca}.key", "-startdate", first, "-enddate", last, "-in", f"{name}.csr", "-out",
            f"{name}.pem")


def tls(root, name, old=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(os.path.join(root, f"{name}.pem"), os.path.join(root, f"{name}.key"))
    return context


def serve(context):
    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    import warnings
    warnings.simplefilter("ignore")
    root = os.path.abspath(sys.argv[1])
    parent = os.getppid()
    Handler.root = root
    here, past, future = "IP:127.0.0.1", ("20200101000000Z", "20200201000000Z"), ("20900101000000Z", "20910101000000Z")
    now = ("20200101000000Z", "20990101000000Z")
    make_ca(root, "ca")
    make_ca(root, "other")
    make_cert(root, "sane", "ca", here, *now)
    make_cert(root, "expired", "ca", here, *past)
    make_cert(root, "future", "ca", here, *future)
    make_cert(root, "stranger", "other", here, *now)
    make_cert(root, "misnamed", "ca", "DNS:elsewhere.example.org", *now)
    Handler.ports.update(port=serve(tls(root, "sane")), twin=serve(tls(root, "sane")), http=serve(None), oldtls=serve(tls(root, "sane", old=True)))
    for name in "expired", "future", "stranger", "misnamed":
        Handler.ports[name] = serve(tls(root, name))
    with open(os.path.join(root, "ready.tmp"), "w") as f:
        f.write("".join(f"{name}={port}\n" for name, port in Handler.ports.items()))
    os.rename(os.path.join(root, "ready.tmp"), os.path.join(root, "ready"))
    while os.getppid() == parent:
        time.sleep(0.5)


main()
