#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An S3 service for tests: OpenStack Swift with its S3 middleware, from Debian's python3-swift, in one process.

    swift-s3.py FOLDER CERT KEY ACCESS-KEY SECRET-KEY BUCKET

Listens on a free port of 127.0.0.1 with TLS, makes the bucket, and writes the port to FOLDER/port. Signatures of
version 4, digests of bodies and listings are judged by Swift's own code, which public clouds run; nothing here
stands for it. What is not Swift's: a memory in the place of memcached, and the key's id, which has no account in it,
as those of other services have none.
"""
import os
import sys

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402
from swift.common import storage_policy, utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

CONFIG = {
    "swift.conf": "[swift-hash]\nswift_hash_path_prefix = test\nswift_hash_path_suffix = test\n",
    "proxy.conf": """[DEFAULT]
swift_dir = {folder}
bind_port = 0
[pipeline:main]
pipeline = s3api tempauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
auth_pipeline_check = false
""",
    "server.conf": """[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
bind_port = 0
[pipeline:main]
pipeline = app
[app:app]
use = egg:swift#{kind}
""",
}


class Memory(dict):
    """What Swift asks of memcached: tokens and listings; time does not pass."""

    def __bool__(self):
        return True

    def get(self, key, **_):
        return super().get(key)

    def set(self, key, value, **_):
        self[key] = value

    def delete(self, key, **_):
        self.pop(key, None)

    def incr(self, key, delta=1, **_):
        self[key] = (self.get(key) or 0) + delta
        return self[key]


def write(folder, name, **values):
    path = f"{folder}/{values.get('kind', '')}{name}"
    with open(path, "w") as f:
        f.write(CONFIG[name].format(folder=folder, **values))
    return path


def serve(app, **tls):
    sock = eventlet.listen(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    if tls:
        sock = eventlet.wrap_ssl(sock, server_side=True, **tls)
    eventlet.spawn(eventlet.wsgi.server, sock, app, log_output=False, protocol=SwiftHttpProtocol,
                   capitalize_response_headers=False)
    return port


def ring(folder, kind, port):
    builder = RingBuilder(2, 1, 1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1",
                     "replication_port": port, "device": "sda", "weight": 1, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")


def main():
    folder, cert, key, access, secret, bucket = sys.argv[1:]
    os.makedirs(f"{folder}/devices/sda")
    utils.SWIFT_CONF_FILE = write(folder, "swift.conf")
    utils.validate_hash_conf()
    storage_policy.reload_storage_policies()
    for kind in "account", "container", "object":
        ring(folder, kind, serve(loadapp(write(folder, "server.conf", kind=kind))))
    proxy = loadapp(write(folder, "proxy.conf", secret=secret))
    part = proxy
    while part is not None and not hasattr(part, "users"):
        part = getattr(part, "app", getattr(part, "_pipeline_app", None))
    part.users[access] = part.users["test:tester"]
    memory = Memory()

    def app(env, start_response):
        env["swift.cache"] = memory
        return proxy(env, start_response)

    port = serve(app, certfile=cert, keyfile=key)
    from swift.common.swob import Request
    request = Request.blank(f"/v1/AUTH_test/{bucket}", environ={"REQUEST_METHOD": "PUT", "swift.authorize_override": True})
    answer = request.get_response(part.app)
    assert answer.status_int in (201, 202), answer.status
    with open(f"{folder}/port.new", "w") as f:
        f.write(f"{port}\n")
    os.rename(f"{folder}/port.new", f"{folder}/port")
    while True:
        eventlet.sleep(3600)


main()
