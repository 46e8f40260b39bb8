#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Container images as a registry shows them, good ones and others.

  make-images.py DIR      writes every index, manifest and blob to DIR/sha256:<digest>, and DIR/images with a line for
                          each image: what is the matter with it, digests of index, manifest and layer
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/standins"))
import images

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def put(folder, data):
    with open(os.path.join(folder, images.digest(data)), "wb") as file:
        file.write(data)
    return images.digest(data)


class Maker:
    def __init__(self, folder):
        self.folder = folder
        self.lines = []

    def image(self, name, architectures=("amd64", "arm64"), layers=1, layer_type=images.LAYER,
              manifest_type=images.MANIFEST, index_type=images.INDEX, extra=None):
        parts = []
        for architecture in architectures:
            data, diff_id = images.layer(f"{name} {architecture}\n".encode())
            config = images.encode({"architecture": architecture, "os": "linux",
                                    "rootfs": {"type": "layers", "diff_ids": [diff_id] * layers}})
            manifest = images.encode({
                "schemaVersion": 2, "mediaType": manifest_type, "config": images.descriptor(images.CONFIG, config),
                "layers": [images.descriptor(layer_type, data)] * layers})
            for document in data, config, manifest:
                put(self.folder, document)
            parts.append(images.descriptor(
                manifest_type, manifest, platform={"architecture": architecture, "os": "linux"}))
        index = images.encode({"schemaVersion": 2, "mediaType": index_type, "manifests": parts, **(extra or {})})
        # of the last architecture
        self.line(name, put(self.folder, index), images.digest(manifest), images.digest(data))

    def document(self, name, document):
        self.line(name, put(self.folder, images.encode(document)))

    def line(self, name, *digests):
        self.lines.append(" ".join([name, *digests]) + "\n")


def main():
    folder = sys.argv[1]
    make = Maker(folder)
    make.image("good")
    make.image("docker", manifest_type=DOCKER, index_type=DOCKER_LIST)
    make.image("no-arm64", ("386", "amd64"))
    make.image("many-layers", layers=101)
    make.image("foreign-layer", layer_type=FOREIGN)
    make.image("both", extra={"layers": [], "config": {}})
    make.document("schema1", {"schemaVersion": 1, "name": "lab/app", "tag": "v1", "architecture": "arm64",
                              "fsLayers": [{"blobSum": images.digest(b"")}], "history": []})
    make.document("manifest-only", {"schemaVersion": 2, "mediaType": images.MANIFEST, "layers": []})
    make.document("path-digest", {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [{
        "mediaType": images.MANIFEST, "digest": "sha256:../../../etc/passwd", "size": 9,
        "platform": {"os": "linux", "architecture": "arm64"}}]})
    make.line("html", put(folder, b"<html>log in</html>\n"))
    make.line("huge", put(folder, b" " * (4 * 1024 * 1024 + 1)))
    with open(os.path.join(folder, "images"), "w", encoding="utf-8") as file:
        file.writelines(make.lines)


main()
