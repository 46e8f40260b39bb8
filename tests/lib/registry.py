#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry stand-in over HTTPS that misbehaves on request, and one that keeps referrers, which Debian's does not.

  registry.py DIR CERT KEY     writes DIR/address when it listens, DIR/log; ends with its parent

The first part of a repository's name names what goes wrong: wrong-digest/lab. It refuses what the real one refuses: a
blob of another digest, a manifest that names blobs it has not, bytes out of order. DIR/log: method, path, status.
"""
import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse

LOGIN = "Basic " + base64.b64encode(b"reader:Canary-Word_7").decode()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LIMIT = 1 << 20


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    blobs, manifests, uploads, turns = {}, {}, {}, {}
    root = address = ""

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        with self.lock, open(os.path.join(self.root, "log"), "a") as log:
            print(self.command, self.path, status, *(["Authorization"] if "Authorization" in self.headers else []), file=log)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, message="", **headers):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), **headers)

    def first(self, times=1):
        """Whether this folder is asked for the first time(s)."""
        key = self.command, self.path.partition("?")[0].rpartition("/")[0]
        with self.lock:
            self.turns[key] = self.turns.get(key, 0) + 1
            return self.turns[key] <= times

    def handle_any(self):
        size = int(self.headers.get("Content-Length", "0"))
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        # The body is read by whoever wants it.
        self.size, self.left = size, size
        if url.path == "/token":
            return self.token()
        match = re.fullmatch(r"/v2/(.+)/(blobs|manifests|referrers)/(?:(uploads)/)?([^/]*)", url.path)
        if not match:
            return self.error(404, "NAME_UNKNOWN")
        self.repository, kind, upload, self.reference = match.groups()
        self.case = self.repository.split("/")[0]
        if self.refused():
            self.body()
            return None
        method = "do_upload" if upload is not None else "do_" + kind
        getattr(self, method)()
        self.body()
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any

    def body(self):
        data = self.rfile.read(self.left)
        self.left = 0
        return data

    # ---- who may ----

    def token(self):
        if "loop" in self.query["scope"] or self.headers.get("Authorization") == LOGIN:
            self.answer(200, json.dumps({"token": "granted:" + self.query["scope"]}).encode())
        else:
            self.error(401, "UNAUTHORIZED", "no such account")

    def refused(self):
        wanted = f"repository:{self.repository}:pull,push"
        challenge = f'Bearer realm="https://{self.address}/token",service="stand-in",scope="repository:{self.repository}:pull"'
        token = self.headers.get("Authorization", "")
        if self.case == "loop" or (self.case == "token" and token not in (f"Bearer granted:{wanted}", f"Bearer granted:repository:{self.repository}:pull")):
            self.error(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
        elif self.case == "token" and self.command not in ("GET", "HEAD") and "push" not in token:
            self.error(403, "DENIED", "pull only")
        elif self.case == "denied" and self.command == "POST":
            self.error(403, "DENIED", "the quota of this project is used up\x1b[31m")
        elif self.case == "busy" and self.first():
            self.error(429, "TOOMANYREQUESTS", Retry_After="1")
        elif self.case == "down":
            self.error(503, "UNAVAILABLE")
        else:
            return False
        return True

    # ---- blobs ----

    def do_blobs(self):
        data = self.blobs.get((self.repository, self.reference))
        if data is None:
            self.error(404, "BLOB_UNKNOWN")
        elif self.case == "wrong-blob":
            self.answer(200, bytes([data[0] ^ 1]) + data[1:])
        elif self.case == "cut-blob" and self.command == "GET" and len(data) > LIMIT and "Range" not in self.headers:
            self.answer(200, data[: len(data) // 2], Content_Length=str(len(data)))
            self.close_connection = True
        elif "Range" in self.headers:
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"]).group(1))
            self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.answer(200, data)

    def do_upload(self):
        if self.command == "POST":
            name = f"u{len(self.uploads)}"
            self.uploads[name] = b""
            return self.place(202, name)
        if self.reference not in self.uploads:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN")
        if self.case == "small" and self.size > 16 * LIMIT or self.case == "tiny" and self.size:
            self.close_connection, self.left = True, 0
            return self.error(413, "SIZE_INVALID")
        if self.case == "cut-upload" and self.size > LIMIT and self.first_upload():
            self.rfile.read(LIMIT)
            self.close_connection, self.left = True, 0
            return None
        have = self.uploads[self.reference]
        start = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", "0-0"))
        if self.command == "PATCH" and int(start.group(1)) != len(have):
            return self.error(416, "RANGE_INVALID")
        have = self.uploads[self.reference] = have + self.body()
        if self.command == "PATCH":
            return self.place(202, self.reference)
        if digest_of(have) != self.query.get("digest") or self.case == "damage":
            return self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.blobs[self.repository, digest_of(have)] = have
        return self.answer(201, Location=f"/v2/{self.repository}/blobs/{digest_of(have)}")

    def first_upload(self):
        with self.lock:
            self.turns["cut"] = self.turns.get("cut", 0) + 1
            return self.turns["cut"] == 1

    def place(self, status, name):
        path = f"/v2/{self.repository}/blobs/uploads/{name}"
        places = {
            "elsewhere": f"https://blobs.example.org{path}",
            "plain": f"http://{self.address}{path}",
            "absolute": f"https://{self.address}{path}?state=a%2Fb",
        }
        if self.case == "redirect":
            self.answer(307, Location=f"http://{self.address}{path}")
        elif self.case == "no-place":
            self.answer(status)
        else:
            self.answer(status, Location=places.get(self.case, path))

    # ---- documents ----

    def do_manifests(self):
        if self.command == "PUT":
            return self.put_manifest()
        kind, data = self.manifests.get((self.repository, self.reference), (MANIFEST, None))
        if self.case == "to-http":
            return self.answer(302, Location=f"http://{self.address}/v2/ok/manifests/v1")
        if self.case == "huge":
            return self.answer(200, b"{" + b" " * (5 << 20), Content_Type=MANIFEST)
        if self.case in ("foreign", "traversal", "twice", "lonely", "no-json", "one", "large"):
            return self.answer(200, self.odd_manifest(), Content_Type=MANIFEST)
        if data is None and self.case == "stranger":
            data = next((text for (_, name), (_, text) in self.manifests.items() if name == self.reference), None)
        if data is None:
            return self.error(404, "MANIFEST_UNKNOWN")
        if self.case == "cut-manifest":
            self.answer(200, data[: len(data) // 2], Content_Length=str(len(data)))
            self.close_connection = True
            return None
        if self.case == "wrong-manifest":
            data = data.replace(b'"size":', b'"size": ')
        return self.answer(200, data, Content_Type=kind)

    def odd_manifest(self):
        layer = {"mediaType": "application/vnd.pibuild.image.v1", "digest": digest_of(b"x"), "size": 1}
        names = {"traversal": ["worker.img", "../../worker.bmap"], "twice": ["worker.img", "worker.img"], "lonely": ["worker.bmap"],
                 "one": ["cp-1.img"]}
        types = {".bmap": "application/vnd.pibuild.bmap.v2+xml"}
        if self.case == "no-json":
            return b"<html>log in to the hotel</html>"
        layers = [dict(layer, mediaType=types.get(os.path.splitext(name)[1], layer["mediaType"]),
                       size=1 << 40 if self.case == "large" else 1, annotations={"org.opencontainers.image.title": name})
                  for name in names.get(self.case, ["worker.img"])]
        kind = "application/vnd.example+type" if self.case == "foreign" else "application/vnd.pibuild.images.v1"
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "layers": layers}).encode()

    def put_manifest(self):
        data = self.body()
        document = json.loads(data)
        named = [document["config"], *document["layers"]] if "layers" in document else []
        if self.reference.startswith("sha256:") and self.reference != digest_of(data):
            return self.error(400, "DIGEST_INVALID")
        if any((self.repository, one["digest"]) not in self.blobs for one in named):
            return self.error(404, "MANIFEST_BLOB_UNKNOWN")
        for reference in self.reference, digest_of(data):
            self.manifests[self.repository, reference] = self.headers["Content-Type"], data
        shown = digest_of(b"other") if self.case == "wrong-digest" else digest_of(data)
        extra = {"OCI_Subject": document["subject"]["digest"]} if "subject" in document and self.case != "site" else {}
        return self.answer(201, Docker_Content_Digest=shown, **extra)

    def do_referrers(self):
        found = []
        if self.case == "site":  # a web site answers for what it does not know
            return self.answer(200, b"<html>welcome</html>")
        for (repository, reference), (kind, data) in sorted(self.manifests.items()):
            document = json.loads(data)
            if repository == self.repository and reference == digest_of(data) and document.get("subject", {}).get("digest") == self.reference:
                found.append({"mediaType": kind, "digest": reference, "size": len(data), "artifactType": document["artifactType"]})
        if self.case == "stranger":  # one that refers to something else
            found = [dict(one, digest=digest_of(data), size=len(data), artifactType="application/vnd.pibuild.signature.v1")
                     for (_, _), (_, data) in list(self.manifests.items())[:1] for one in found or [{"mediaType": MANIFEST}]]
        return self.answer(200, json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}).encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def main():
    root, cert, key = sys.argv[1:]
    parent = os.getppid()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Server(("127.0.0.1", 0), Registry)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    Registry.root, Registry.address = root, f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(os.path.join(root, "address.tmp"), "w") as f:
        print(Registry.address, file=f)
    os.rename(os.path.join(root, "address.tmp"), os.path.join(root, "address"))
    while os.getppid() == parent:
        time.sleep(0.5)


main()
