# SPDX-License-Identifier: Apache-2.0
"""Tiny multi-architecture OCI images under the names of the real ones.

Content depends on the name alone, so digests are known before any registry runs.
"""

import gzip
import hashlib
import io
import json
import tarfile

ENVOY = {
    "1.20.0": "v1.37.5-1782911245-7cffc778c923f68a77954a53b1a98d6b5353f004",
    "1.19.6": "v1.36.9-1782267392-edeb3f2af56c37c407efa1f63f0b32f595399bbc",
    "1.18.12": "v1.36.9-1782267392-edeb3f2af56c37c407efa1f63f0b32f595399bbc",
}
CERTGEN = {"1.20.0": "v0.4.8", "1.19.6": "v0.4.6", "1.18.12": "v0.4.6"}
CERT_MANAGER = ("controller", "webhook", "cainjector", "acmesolver", "startupapicheck")
PLATFORMS = (("linux", "arm64"), ("linux", "amd64"))
EPOCH = 1789430400

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def cilium_images(chart):
    """Images of a Cilium chart version: part of the chart -> (repository, tag)."""
    newest = next(iter(ENVOY))
    return {
        "image": ("cilium/cilium", f"v{chart}"),
        "operator": ("cilium/operator-generic", f"v{chart}"),
        "relay": ("cilium/hubble-relay", f"v{chart}"),
        "envoy": ("cilium/cilium-envoy", ENVOY.get(chart, ENVOY[newest])),
        "certgen": ("cilium/certgen", CERTGEN.get(chart, CERTGEN[newest])),
        "ui": ("cilium/hubble-ui", "v0.13.5"),
        "ui-backend": ("cilium/hubble-ui-backend", "v0.13.5"),
    }


def cert_manager_images(chart):
    return {part: (f"jetstack/cert-manager-{part}", chart) for part in CERT_MANAGER}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(document):
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def layer(text):
    """A layer of one file: (compressed, digest of the uncompressed)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("stand-in")
        entry.size, entry.mtime = len(text), EPOCH
        tar.addfile(entry, io.BytesIO(text))
    return gzip.compress(raw.getvalue(), mtime=0), digest(raw.getvalue())


def image(repository, tag):
    """(blobs, manifests, index digest); the index is the last of the manifests."""
    blobs, manifests, parts = [], [], []
    for system, architecture in PLATFORMS:
        data, diff_id = layer(f"{repository}:{tag} {system}/{architecture} stand-in\n".encode())
        config = encode({
            "architecture": architecture, "os": system,
            "config": {"Entrypoint": ["/stand-in"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        })
        manifest = encode({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config), "layers": [descriptor(LAYER, data)],
        })
        blobs += [data, config]
        manifests.append((MANIFEST, manifest))
        parts.append(descriptor(MANIFEST, manifest,
                                platform={"architecture": architecture, "os": system}))
    index = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts})
    manifests.append((INDEX, index))
    return blobs, manifests, digest(index)
