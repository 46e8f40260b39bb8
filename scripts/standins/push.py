# SPDX-License-Identifier: Apache-2.0
"""push.py LOCK PORT CA OUT

Pushes stand-ins for the images in the lock to the registry on loopback, as a container
engine does, and lists them in OUT: reference and index digest.
"""

import http.client
import ssl
import sys

import yaml

import images


class Registry:
    def __init__(self, port, ca):
        self.port = port
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=30, context=ssl.create_default_context(cafile=ca))

    def call(self, method, path, body=b"", media_type="application/octet-stream", expect=201):
        self.connection.request(method, path, body=body, headers={"Content-Type": media_type})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status != expect:
            sys.exit(f"push: {method} {path}: {reply.status} {text.decode(errors='replace').strip()}")
        return reply

    def push_blob(self, repository, data):
        reply = self.call("POST", f"/v2/{repository}/blobs/uploads/", expect=202)
        path = reply.headers["Location"].split(f":{self.port}", 1)[-1]
        self.call("PUT", f"{path}{'&' if '?' in path else '?'}digest={images.digest(data)}", data)

    def push(self, repository, tag):
        blobs, manifests, index = images.image(repository, tag)
        for data in blobs:
            self.push_blob(repository, data)
        for media_type, data in manifests:
            name = tag if images.digest(data) == index else images.digest(data)
            self.call("PUT", f"/v2/{repository}/manifests/{name}", data, media_type)
        return index


def main():
    lock_path, port, ca, out = sys.argv[1:]
    with open(lock_path, encoding="utf-8") as file:
        lock = yaml.load(file, Loader=yaml.BaseLoader)
    registry = Registry(port, ca)
    with open(out, "w", encoding="utf-8") as file:
        for image in lock["images"]:
            index = registry.push(image["name"].split("/", 1)[1], image["tag"])
            file.write(f"{image['name']}:{image['tag']} {index}\n")


main()
