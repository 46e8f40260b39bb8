# SPDX-License-Identifier: Apache-2.0
"""make.py CATALOGUE LOCK OUT [--real-size]

Makes stand-ins for the release artifacts that the catalogue names, at every version the lock lists,
in the forms of the real releases: OUT/<host>/<path> is what a web server shows for the URL, and
OUT/lock.yaml is the lock with the digests and sizes of the stand-ins. The documents of the catalogue's channels list
those versions, as upstream would. --real-size pads programs to
the size of the real ones.

The sandbox brings its own base image: OUT/bases lists the URLs it stands in for, and the lock has
@BASE_SHA256@, @BASE_SIZE@ and @BASE_RAW@ in the places of its digests and sizes; the list of Raspberry Pi Imager has
@BASE_RAW_SHA256@ and @BASE_RAW_SIZE@ too.
"""

import gzip
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
from urllib.parse import quote, unquote, urlsplit

import yaml

import images

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCH = images.EPOCH
DATE = "2026-09-15T00:00:00Z"
REAL_SIZE = {"k3s": 71368866, "cilium-cli": 150000000, "hubble-cli": 60000000, "helm": 55000000,
             "k3s-airgap-images": 175402374}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def expand(text, version):
    return text.replace("{version}", version)


def expand_url(text, version):
    return expand(text, quote(version, safe=""))


def read(name):
    with open(os.path.join(HERE, name), "rb") as file:
        return file.read()


def k3s_flags(command):
    """What `k3s COMMAND` takes, "NAME:KIND" each, between blanks: from the list that pibuild checks by."""
    with open(os.path.join(HERE, "../../configs/names/k3s-keys.txt"), encoding="ascii") as file:
        rows = [line.split() for line in file if not line.startswith("#")]
    return "".join(f" {name}:{kind}" for name, scope, kind, *_ in rows if scope in (command, "both")) + " "


def program(name, version, size=0):
    """A stand-in program: the script of that name with its version put in, padded after `exit 0`."""
    text = read(name).replace(b"@VERSION@", version.encode())
    for command in "server", "agent":
        text = text.replace(f"@{command.upper()}_FLAGS@".encode(), k3s_flags(command).encode())
    text = re.sub(rb"# shellcheck source=(\w+\.sh)\n.*\n", lambda part: read(part[1].decode()).split(b"\n\n", 1)[1], text)
    return text + padding(name, version, max(0, size - len(text)))


def padding(name, version, size):
    """K3s is packed already; the others are programs in Go, of which gzip makes a third: words that come again."""
    noise = random.Random(name + version)
    if name == "k3s":
        return noise.randbytes(size)
    words = [noise.randbytes(8) for _ in range(4096)]
    return b"".join(noise.choices(words, k=size // 8 + 1))[:size]


def tar(members):
    """Bytes of a tar archive of {name: (mode, data)}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (mode, data) in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), mode, EPOCH
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def tar_gz(members):
    return gzip.compress(tar(members), compresslevel=1, mtime=0)


def zst(data):
    return subprocess.run(["zstd", "-q", "-3", "--long=25"], input=data, stdout=subprocess.PIPE, check=True).stdout


def to_yaml(document):
    return yaml.safe_dump(document, sort_keys=False).encode()


def chart(name, version, app_version, values, templates):
    members = {
        "Chart.yaml": to_yaml({
            "apiVersion": "v2", "name": name, "version": version, "appVersion": app_version,
            "description": f"Stand-in for the {name} chart", "kubeVersion": ">= 1.21.0-0",
        }),
        "README.md": f"# {name} {version}\n\nStand-in chart.\n".encode(),
        "values.yaml": to_yaml(values),
        "templates/_helpers.tpl": b'{{- define "stand-in.name" -}}stand-in{{- end -}}\n',
    }
    members.update({f"templates/{path}": text for path, text in templates.items()})
    return tar_gz({f"{name}/{path}": (0o644, data) for path, data in members.items()})


def reference(repository, tag, pinned):
    value = {"repository": f"quay.io/{repository}", "tag": tag}
    if pinned:
        value.update(digest=images.image(repository, tag)[2], useDigest=True)
    return value


def cilium_chart(version):
    found = {part: reference(*name, True) for part, name in images.cilium_images(version).items()}
    found["operator"].update(
        repository="quay.io/cilium/operator", genericDigest=found["operator"].pop("digest"), suffix="")
    values = {
        "image": found["image"],
        "operator": {"image": found["operator"], "replicas": 2},
        "envoy": {"enabled": None, "image": found["envoy"]},
        "certgen": {"image": found["certgen"]},
        "hubble": {
            "relay": {"enabled": False, "image": found["relay"]},
            "ui": {"enabled": False, "frontend": {"image": found["ui"]}, "backend": {"image": found["ui-backend"]}},
        },
        "ipam": {"mode": "cluster-pool", "operator": {"clusterPoolIPv4PodCIDRList": ["10.0.0.0/8"]}},
        "kubeProxyReplacement": "false",
    }
    daemon_set = b"apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: cilium\n  namespace: kube-system\n"
    return chart("cilium", version, version, values, {"cilium-agent/daemonset.yaml": daemon_set})


def cert_manager_chart(version):
    found = {part: reference(*name, False) for part, name in images.cert_manager_images(version).items()}
    values = {"crds": {"enabled": False, "keep": True}, "image": found.pop("controller")}
    values.update({part: {"image": image} for part, image in found.items()})
    deployment = b"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: cert-manager\n"
    return chart("cert-manager", version, version, values, {"deployment.yaml": deployment})


def crd(kind, plural, versions, bundle):
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.gateway.networking.k8s.io",
            "annotations": {"gateway.networking.k8s.io/bundle-version": bundle,
                            "gateway.networking.k8s.io/channel": "standard"},
        },
        "spec": {
            "group": "gateway.networking.k8s.io", "scope": "Cluster" if kind == "GatewayClass" else "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": v, "served": True, "storage": v == versions[0],
                          "schema": {"openAPIV3Schema": {"type": "object"}}} for v in versions],
        },
    }


def gateway_api(version):
    kinds = [("GatewayClass", "gatewayclasses", ["v1", "v1beta1"]), ("Gateway", "gateways", ["v1", "v1beta1"]),
             ("HTTPRoute", "httproutes", ["v1", "v1beta1"]), ("GRPCRoute", "grpcroutes", ["v1"])]
    if version.startswith(("v1.2.", "v1.3.", "v1.4.")):
        kinds += [("ReferenceGrant", "referencegrants", ["v1beta1"])]
    else:
        kinds += [("ReferenceGrant", "referencegrants", ["v1", "v1beta1"]), ("TLSRoute", "tlsroutes", ["v1"]),
                  ("BackendTLSPolicy", "backendtlspolicies", ["v1"])]
    head = b"# Stand-in for the Gateway API standard channel.\n"
    return head + b"".join(b"---\n" + to_yaml(crd(*row, version)) for row in kinds)


def airgap_images(version, size):
    names = [f"docker.io/rancher/{name}:stand-in" for name in ("mirrored-pause", "mirrored-coredns-coredns")]
    manifest = [{"Config": f"{n}.json", "RepoTags": [name], "Layers": [f"{n}/layer.tar"]}
                for n, name in enumerate(names)]
    members = {"manifest.json": (0o644, json.dumps(manifest).encode())}
    for n, name in enumerate(names):
        text = f"{name} {version} stand-in\n".encode()
        members[f"{n}.json"] = (0o644, json.dumps({"architecture": "arm64", "os": "linux"}).encode())
        members[f"{n}/layer.tar"] = (0o644, tar({"stand-in": (0o644, text)}))
    if size:
        members["padding"] = (0o644, random.Random(version).randbytes(size))
    return zst(tar(members))


def generic(artifact, version):
    """A stand-in for an artifact this script does not know: by the way it is installed."""
    install = artifact.get("install", {})
    text = f"stand-in for {artifact['name']} {version}\n".encode()
    if install.get("as") == "member":
        return tar_gz({install["member"]: (0o755, text)})
    if install.get("as") == "unpack":
        return tar_gz({f"{install['member']}/stand-in": (0o644, text)})
    return text


def content(artifact, version, real_size):
    name = artifact["name"]
    size = REAL_SIZE.get(name, 0) if real_size else 0
    if name == "k3s":
        return program("k3s", version, size)
    if name == "k3s-airgap-images":
        return airgap_images(version, size)
    if name in ("cilium-cli", "hubble-cli", "helm"):
        tool = name.removesuffix("-cli")
        extra = {} if name != "helm" else {"linux-arm64/LICENSE": (0o644, b"stand-in\n")}
        return tar_gz({**extra, artifact["install"]["member"]: (0o755, program(tool, version, size))})
    if name == "cilium-chart":
        return cilium_chart(version)
    if name == "cert-manager-chart":
        return cert_manager_chart(version)
    if name == "gateway-api":
        return gateway_api(version)
    return generic(artifact, version)


def k3s_channels(versions):
    def channel(name, latest):
        where = "https://update.k3s.io/v1-release/channels"
        return {"id": name, "type": "channel", "links": {"self": f"{where}/{name}"}, "name": name, "latest": latest}

    channels = [channel("stable", versions[0]), channel("latest", "v1.99.0+k3s1"), channel("testing", "v1.99.1-rc1+k3s1")]
    channels += [channel(version.rsplit(".", 1)[0], version) for version in versions]
    return json.dumps({"type": "collection", "links": {"self": "https://update.k3s.io/v1-release/channels"},
                       "actions": {}, "resourceType": "channels", "data": channels}).encode()


def stable_txt(versions):
    return f"v{versions[0].removeprefix('v')}\n".encode()


def releases(versions):
    names = [("v99.0.0-rc.1", True)] + [(version, False) for version in versions]
    return json.dumps([{"tag_name": name, "name": name, "draft": False, "prerelease": early, "published_at": DATE,
                        "assets": []} for name, early in names]).encode()


def os_list(urls):
    def image(name, url):
        return {"name": name, "description": "stand-in", "icon": "icons/stand-in.png", "url": url,
                "extract_size": "@BASE_RAW_SIZE@", "extract_sha256": "@BASE_RAW_SHA256@",
                "image_download_size": "@BASE_SIZE@", "image_download_sha256": "@BASE_SHA256@",
                "release_date": "2026-09-15", "init_format": "cloudinit-rpi", "devices": ["pi5-64bit", "pi4-64bit"]}

    full = image("Raspberry Pi OS (64-bit)", urls[0].replace("lite_arm64", "arm64").replace("-lite", ""))
    other = {"name": "Raspberry Pi OS (other)", "description": "more", "icon": "icons/stand-in.png",
             "subitems": [image("Raspberry Pi OS Lite (64-bit)", url) for url in urls]}
    return json.dumps({"imager": {"latest_version": "2.0.0", "devices": []},
                       "os_list": [full, other, {"name": "Elsewhere", "subitems_url": "https://elsewhere.invalid/x.json"}]},
                      indent=1).encode()


def by_number(version):
    return [int(number) for number in re.findall(r"\d+", version)]


class Site:
    """Files by URL; checksum files grow as artifacts are added."""

    def __init__(self):
        self.files = {}

    def add(self, artifact, version, url, data):
        self.files[url] = data
        check = artifact.get("checksum", {})
        form = check.get("form")
        where = expand_url(check.get("url", ""), version)
        if form == "sha256sum":
            self.add_sum(where, expand(check["file"], version), data)
        elif form == "helm-index":
            self.add_chart(where, check["chart"], version, url, data)
        elif form == "github":
            self.add_release(where, version, url, expand(check["file"], version), data)

    def add_sum(self, where, name, data):
        lines = self.files.get(where, b"")
        if not lines and where.endswith("/sha256sum-arm64.txt"):
            for other in ("k3s-airgap-images-arm64.tar", "k3s-airgap-images-arm64.tar.gz"):
                lines += f"{sha256(other.encode())}  {other}\n".encode()
        line = f"{sha256(data)}  {name}\n".encode()
        # upstream lists the archives first and the program last
        program_line = [x for x in lines.splitlines(True) if x.endswith(b" k3s-arm64\n")]
        rest = [x for x in lines.splitlines(True) if x not in program_line]
        self.files[where] = b"".join(rest + ([line] + program_line if program_line else [line]))

    def add_chart(self, where, name, version, url, data):
        index = yaml.safe_load(self.files[where]) if where in self.files else {"apiVersion": "v1", "entries": {}}
        base = where.rsplit("/", 1)[0] + "/"
        rows = index["entries"].setdefault(name, [])
        if not rows:
            rows.append({"apiVersion": "v2", "name": name, "version": "99.0.0-pre.0", "appVersion": "99.0.0-pre.0",
                         "created": DATE, "digest": sha256(b"none"), "urls": [f"{name}-99.0.0-pre.0.tgz"]})
        rows.append({"apiVersion": "v2", "name": name, "version": version, "appVersion": version, "created": DATE,
                     "digest": sha256(data),
                     "urls": [url.removeprefix(base) if "/charts/" in url else url]})
        index["generated"] = DATE
        self.files[where] = to_yaml(index)

    def add_release(self, where, version, url, name, data):
        other = b"stand-in\n"
        base = url.rsplit("/", 1)[0]
        assets = [(name, data), ("experimental-install.yaml", other), ("experimental-" + name, other)]
        self.files[where] = json.dumps({
            "tag_name": version, "name": version, "draft": False, "prerelease": False, "published_at": DATE,
            "assets": [{"name": n, "size": len(d), "digest": f"sha256:{sha256(d)}", "state": "uploaded",
                        "browser_download_url": f"{base}/{n}"} for n, d in assets],
        }, indent=2).encode()

    def add_channel(self, source, versions, urls):
        """VERSIONS are newest first; URLS are those of the bases."""
        kinds = {"k3s": k3s_channels, "text": stable_txt, "github": releases}
        if source["form"] == "raspios-list":
            self.files[source["url"]] = os_list(urls)
        elif source["form"] in kinds:
            # A path cannot be a file and a folder: the server adds the .json.
            suffix = ".json" if source["form"] == "github" else ""
            self.files[source["url"].split("?")[0] + suffix] = kinds[source["form"]](versions)

    def write(self, out):
        for url, data in self.files.items():
            parts = urlsplit(url)
            path = os.path.join(out, parts.netloc, unquote(parts.path).lstrip("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)


def entry_of(entry, data):
    return {**entry, "sha256": sha256(data), "size": len(data), "source": "stand-in"}


def base_of(entry):
    kept = {key: entry[key] for key in ("name", "version", "url")}
    return {**kept, "sha256": "@BASE_SHA256@", "size": "@BASE_SIZE@", "raw": "@BASE_RAW@", "source": "stand-in"}


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    real_size = "--real-size" in sys.argv
    with open(arguments[0], encoding="utf-8") as file:
        catalogue = yaml.load(file, Loader=yaml.BaseLoader)
    with open(arguments[1], encoding="utf-8") as file:
        lock = yaml.load(file, Loader=yaml.BaseLoader)
    rows = {a["name"]: a for a in catalogue["artifacts"]}
    site, bases = Site(), []
    for number, entry in enumerate(lock["artifacts"]):
        artifact = rows.get(entry["name"])
        if artifact is None:
            continue
        if artifact.get("base") == "true":
            bases.append(entry["url"])
            lock["artifacts"][number] = base_of(entry)
            continue
        data = content(artifact, entry["version"], real_size)
        site.add(artifact, entry["version"], entry["url"], data)
        lock["artifacts"][number] = entry_of(entry, data)
    for image in lock.get("images", []):
        repository = image["name"].split("/", 1)[1]
        image.update(digest=images.image(repository, image["tag"])[2], source="stand-in")
    keys = {name: row["version"] for name, row in rows.items()}
    tagged = {row["name"]: row["version"] for row in catalogue.get("images", []) if row.get("tag") == "{version}"}
    for key, channel in catalogue.get("channels", {}).items():
        versions = {e["version"] for e in lock["artifacts"] if keys.get(e["name"]) == key}
        versions |= {i["tag"] for i in lock.get("images", []) if tagged.get(i["name"]) == key}
        site.add_channel(channel, sorted(versions, key=by_number, reverse=True), bases)
    site.write(arguments[2])
    with open(os.path.join(arguments[2], "lock.yaml"), "w", encoding="utf-8") as file:
        yaml.safe_dump(lock, file, sort_keys=False, width=1000)
    with open(os.path.join(arguments[2], "bases"), "w", encoding="utf-8") as file:
        file.writelines(url + "\n" for url in bases)


if __name__ == "__main__":
    main()
