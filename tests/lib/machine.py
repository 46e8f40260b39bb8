#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Really booted machines for tests: QEMU for arm64, driven from outside without SSH.

    tests/lib/machine.py start DIR IMG [OPTION]...  boots IMG; what it writes goes to DIR (at first empty)
    tests/lib/machine.py run DIR [--timeout S] CMD  CMD as root in the guest; prints its output, ends with its exit code
    tests/lib/machine.py wait DIR [--timeout S] [--cause REGEX] STATE|STEP=STATE
                                                    until the report says so; prints `state<TAB>cause<TAB>cure`
    tests/lib/machine.py seen DIR [--timeout S] REGEX   until the console shows it
    tests/lib/machine.py put DIR FILE GUEST-FILE    a small file into the guest
    tests/lib/machine.py get DIR GUEST-FILE FILE    and out of it
    tests/lib/machine.py save DIR NAME              keeps disk, memory and devices as DIR/NAME.*; the machine goes on
    tests/lib/machine.py load DIR NAME [--into DIR2]    goes on from there, in DIR2 as a machine of its own
    tests/lib/machine.py boot DIR                   power on again after kill or poweroff
    tests/lib/machine.py link DIR up|down           the network cable
    tests/lib/machine.py kill DIR [--flushed]       power cut: what the guest has not flushed is lost in part; with
                                                    --flushed all that it wrote is on the disk
    tests/lib/machine.py poweroff DIR               the power button, and up to a minute's patience
    tests/lib/machine.py console DIR [LINES]        the end of the console (DIR/console.log holds all of it)
    tests/lib/machine.py disk DIR OUT               the disk of a machine that is off, as a raw image
    tests/lib/machine.py data DIR [--file FILE]     a second disk from its next power-on, a qcow2 image; without FILE none

Options of start: --data FILE (a second disk, a qcow2 image, with the serial number `data`), --memory MIB, --cpus N,
--disk-size SIZE, --append WORDS (kernel command line), --rtc DATE, --net MODE,
--watchdog (an i6300esb, which resets the machine), --desk PORT (a second card, whose 10.99.0.15:22 is this port of
loopback here), --alone (QEMU is in a network of its own, with loopback and nothing else: who asks the machine enters it),
--owner PID (the machine dies with this process; default: the caller's, or MACHINE_OWNER). MODE is `user:CIDR` (QEMU's own
network, closed to the outside; gateway and name server are its first address), `lan:NAME` (an Ethernet that the machines of
that name share, nothing else on it) or `none`.

Why not `pibuild boot`, which runs an image once for a person: tests cut the power with writes under way, pull cables, save a
running machine and go on from it many times. What both share is QEMU's own command line; the product's is tested as such.

How: the kernel command line asks systemd for a root shell on a virtio console (`systemd.debug_shell=hvc0`), so the image is
booted as it is. A saved state is the disk, frozen as the backing file of all that is written later, and QEMU's migration
stream in a file: any number of machines can go on from one, and a cut in one of them cannot hurt it.
"""

import argparse
import base64
import hashlib
import ipaddress
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

SHELL = "systemd.debug_shell=hvc0"
# What makes an emulated machine slow and is not what is tested: address space games of the kernel, security modules, waiting
# for RCU; and the serial port's terminal, whose size systemd asks for again and again. Where several share two processors,
# systemd's 90 seconds for a disk to appear are not much.
QUICK = ("nokaslr kpti=off mitigations=off apparmor=0 audit=0 rcupdate.rcu_expedited=1 quiet "
         "TERM=dumb systemd.log_color=no systemd.show_status=no systemd.getty_auto=no "
         "systemd.default_device_timeout_sec=900")
SECTOR = 512


class Failure(Exception):
    """What, where and why, for people."""


def first_partition(image):
    """Offset in bytes of the first MBR partition."""
    with open(image, "rb") as disk:
        table = disk.read(SECTOR)
    return struct.unpack_from("<I", table, 446 + 8)[0] * SECTOR


def take_boot_files(image, folder):
    """Kernel, initramfs and cmdline.txt of the boot partition."""
    drive = f"{image}@@{first_partition(image)}"
    for name in ("kernel8.img", "initramfs8", "cmdline.txt"):
        done = subprocess.run(
            ["mcopy", "-n", "-i", drive, f"::{name}", f"{folder}/{name}"],
            env=dict(os.environ, MTOOLS_SKIP_CHECK="1"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode and name != "initramfs8":
            raise Failure(f"{image}: no {name} on the boot partition: {done.stderr.decode().strip()}")


def network_args(mode, identity):
    kind, _, value = mode.partition(":")
    digest = hashlib.sha256(identity.encode()).digest()
    mac = "52:54:00:" + ":".join(f"{b:02x}" for b in digest[:3])
    card = ["-device", f"virtio-net-device,id=nic,netdev=net,mac={mac}"]
    if kind == "none":
        return ["-nic", "none"]
    if kind == "user":
        net = ipaddress.ip_network(value)
        return ["-netdev", f"user,id=net,net={net},dns={net[1]},host={net[2]},restrict=on"] + card
    if kind == "lan":
        # A multicast group on loopback is the switch; its name makes it this test's own.
        digest = hashlib.sha256(value.encode()).digest()
        group = "239.{}.{}.{}:{}".format(*digest[:3], 20000 + int.from_bytes(digest[3:5], "big") % 20000)
        return ["-netdev", f"socket,id=net,mcast={group},localaddr=127.0.0.1"] + card
    raise Failure(f"--net {mode}: not user:CIDR, lan:NAME or none")


class Qmp:
    """QEMU's control socket, for as long as a `with` block."""

    def __init__(self, path):
        self.socket = connect(path, 20)
        self.stream = self.socket.makefile("rw")
        self.stream.readline()  # greeting
        self("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def __call__(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                raise Failure(f"QEMU ended during {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise Failure(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def migrated(self, timeout=120):
        """Waits for the end of a migration in either direction."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            status = self("query-migrate").get("status")
            if status == "completed":
                return
            if status == "failed":
                raise Failure("QEMU could not write or read the saved state")
            time.sleep(0.02)
        raise Failure(f"the saved state was not written or read in {timeout} s")


def connect(path, timeout):
    """A Unix socket by a path of any length: the folder goes by its descriptor."""
    end = time.monotonic() + timeout
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
    try:
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            try:
                sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
                return sock
            except OSError as err:
                sock.close()
                if time.monotonic() > end:
                    raise Failure(f"{path}: {err}: is the machine on?") from err
                time.sleep(0.05)
    finally:
        os.close(folder)


class Machine:
    """The machine kept in a folder. Only files there hold its state: any process may drive it, one at a time."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    # --- power

    @classmethod
    def create(cls, folder, image, memory=768, cpus=2, disk_size="4G", append="", rtc="", net="none", watchdog=False,
               desk=0, data="", alone=False):
        """A machine that is off, with an empty overlay over IMG."""
        self = cls(folder)
        os.makedirs(self.folder, exist_ok=True)
        image = os.path.abspath(image)
        take_boot_files(image, self.folder)
        with open(self.path("cmdline.txt"), encoding="ascii") as file:
            words = [w for w in file.read().split() if not w.startswith("console=")]
        words += [append, SHELL, QUICK, "console=tty1 console=ttyAMA0"]
        args = ["-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", str(cpus), "-m", str(memory)]
        args += ["-kernel", "kernel8.img", "-append", " ".join(filter(None, words))]
        if os.path.exists(self.path("initramfs8")):
            args += ["-initrd", "initramfs8"]
        args += ["-device", "virtio-blk-device,drive=disk", "-device", "virtio-rng-device"]
        args += ["-device", "virtio-serial-device", "-device", "virtconsole,chardev=shell"]
        if desk:  # before the other one: the last is eth0
            args += ["-netdev", f"user,id=desk,net=10.99.0.0/24,restrict=on,hostfwd=tcp:127.0.0.1:{desk}-10.99.0.15:22"]
            args += ["-device", "virtio-net-device,netdev=desk,mac=52:54:00:de:5c:00"]
        args += network_args(net, self.folder)
        if rtc:
            args += ["-rtc", f"base={rtc}"]
        if watchdog:
            args += ["-device", "i6300esb"]
        self.overlay(image, "raw", disk_size)
        self.keep("machine.json", {"args": args, "disk": "disk.qcow2", "saved": 0, "alone": alone,
                                   "data": os.path.abspath(data) if data else ""})
        return self

    def settings(self):
        try:
            with open(self.path("machine.json"), encoding="utf-8") as file:
                return json.load(file)
        except OSError as err:
            raise Failure(f"{self.folder}: no machine: {err.strerror}") from err

    def keep(self, name, value):
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(value, file)

    def plug(self, data):
        settings = self.settings()
        settings["data"] = os.path.abspath(data) if data else ""
        self.keep("machine.json", settings)

    def overlay(self, backing, form, size="", name="disk.qcow2"):
        tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", form, self.path(name), *filter(None, [size]))

    def boot(self, owner=None, incoming=""):
        """Power on; INCOMING is a saved state to go on from."""
        if self.pid():
            raise Failure(f"{self.folder}: the machine is on already")
        settings = self.settings()
        for name in ("qmp", "shell"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        args = ["qemu-system-aarch64", *settings["args"], "-nodefaults", "-display", "none"]
        # writeback, so that a flush of the guest counts and its absence does too
        args += ["-drive", f"if=none,id=disk,file={settings['disk']},format=qcow2,cache=writeback,discard=unmap"]
        if settings["data"]:
            args += ["-drive", f"if=none,id=data,file={settings['data']},format=qcow2,cache=writeback,discard=unmap"]
            args += ["-device", "virtio-blk-device,drive=data,serial=data"]
        args += ["-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"]
        args += ["-chardev", "socket,id=shell,path=shell,server=on,wait=off"]
        args += ["-qmp", "unix:qmp,server=on,wait=off"]
        if incoming:
            args += ["-incoming", "defer"]
        if settings["alone"]:
            args = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "-", *args]
        self.supervise(args, owner or int(os.environ.get("MACHINE_OWNER", 0)) or os.getpid())
        with self.qmp() as qmp:
            if incoming:
                qmp("migrate-incoming", uri=f"exec:cat {shlex.quote(incoming)}")
                qmp.migrated()
                qmp("cont")

    def supervise(self, args, owner):
        """Runs QEMU below a process that ends with it, and ends it with OWNER."""
        ready, tell = os.pipe()
        if os.fork() == 0:
            try:
                os.setsid()
                os.close(ready)
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(null, 1)
                log = os.open(self.path("qemu.err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(log, 2)
                os.closerange(3, tell)
                os.closerange(tell + 1, 1024)  # Bats waits for the end of some
                watch_owner(args, owner, self.folder, tell)
            finally:
                os._exit(0)
        os.close(tell)
        with os.fdopen(ready) as pipe:
            pid = pipe.read()
        self.keep("pid", int(pid or 0))
        if not pid:
            raise Failure(f"{self.folder}: QEMU does not start")

    def pid(self):
        """Of QEMU; 0 when the machine is off."""
        try:
            with open(self.path("pid"), encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                state = file.read().rpartition(") ")[2].split()
            # Of a killed one the first thread may be gone while another still holds the disk's lock (proc(5): num_threads).
            return 0 if state[0] == "Z" and int(state[17]) <= 1 else pid
        except (OSError, ValueError):
            return 0

    def off(self, timeout=10):
        end = time.monotonic() + timeout
        while self.pid():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def kill(self, flushed=False):
        """Power cut. What was written since the last flush sits partly in QEMU's tables of the qcow2 file and goes with
        it, as with the cache of a card; FLUSHED lets QEMU write them out."""
        if flushed and self.pid():
            with self.qmp() as qmp:
                qmp("stop")
                qmp("quit")
            self.off()
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
            self.off()

    def poweroff(self, timeout=60):
        with self.qmp() as qmp:
            qmp("system_powerdown")
        if not self.off(timeout):
            raise Failure(f"{self.folder}: the guest did not shut down in {timeout} s")

    def qmp(self):
        return Qmp(self.path("qmp"))

    def link(self, up):
        with self.qmp() as qmp:
            qmp("set_link", name="nic", up=up)

    def disk(self, out):
        """The disk of a machine that is off, as a raw file."""
        tool("qemu-img", "convert", "-O", "raw", self.path(self.settings()["disk"]), out)

    # --- saved states

    def save(self, name):
        """The disk so far becomes read-only below a new overlay; memory and devices go to a file."""
        settings = self.settings()
        settings["saved"] += 1
        frozen, disk = settings["disk"], f"disk{settings['saved']}.qcow2"
        with self.qmp() as qmp:
            qmp("stop")
            qmp("blockdev-snapshot-sync", device="disk", **{"snapshot-file": self.path(disk), "format": "qcow2"})
            qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            qmp("migrate", uri=f"exec:cat >{shlex.quote(self.path(name))}.ram")
            qmp.migrated()
            qmp("cont")
        self.keep(f"{name}.json", {"disk": frozen, "console": os.path.getsize(self.path("console.log"))})
        settings["disk"] = disk
        self.keep("machine.json", settings)

    def load(self, name, into="", owner=None):
        """Goes on from a saved state, here or as another machine; returns that machine."""
        with open(self.path(f"{name}.json"), encoding="utf-8") as file:
            state = json.load(file)
        settings = self.settings()
        other = Machine(into) if into else self
        other.kill()
        if into:
            os.makedirs(other.folder, exist_ok=True)
            for file in ("kernel8.img", "initramfs8"):
                if not os.path.exists(other.path(file)) and os.path.exists(self.path(file)):
                    os.symlink(self.path(file), other.path(file))
            shutil.copy(self.path("console.log"), other.path("console.log"))
        else:
            settings["saved"] += 1
        os.truncate(other.path("console.log"), state["console"])
        disk = f"disk{settings['saved']}.qcow2"
        other.overlay(self.path(state["disk"]), "qcow2", name=disk)
        other.keep("machine.json", {**settings, "disk": disk})
        other.boot(owner, self.path(name) + ".ram")
        return other

    # --- the guest

    def run(self, command, timeout=60):
        """(exit code, output) of a shell command, run by root. Through a pipe: on a terminal ls makes columns and ip colours."""
        with Shell(self.path("shell"), timeout + 20) as shell:
            return shell.run(f"(set -o pipefail; timeout -k 5 {timeout:g} sh -c {shlex.quote(command)} 2>&1 </dev/null | cat)")

    def put(self, data, guest):
        with Shell(self.path("shell"), 60) as shell:
            text = base64.encodebytes(data).decode()
            code, said = shell.run(f"base64 -d >{shlex.quote(guest)} <<'.'\n{text}.\n")
        if code:
            raise Failure(f"{guest}: {said.decode(errors='replace')}")

    def get(self, guest):
        code, data = self.run(f"cat {shlex.quote(guest)}")
        if code:
            raise Failure(data.decode(errors="replace").strip())
        return data

    def report(self):
        """The first-boot report as the node has it now; {} before there is one."""
        try:
            with Shell(self.path("shell"), 40) as shell:
                # By the shell alone: asked twice a second, processes would be a good part of an emulated machine's work.
                code, text = shell.run("mapfile -t report </run/pibuild/status.json && printf '%s\\n' \"${report[@]}\"")
        except Failure:  # a machine that is busy booting
            return {}
        if code:
            return {}
        try:
            return json.loads(text)
        except ValueError as err:
            raise Failure(f"status.json is no JSON: {err}: {text[:200]!r}") from err

    def wait(self, what, timeout=60, cause="", pause=0.5):
        """Until the report's state (WHAT is `done`) or a step's (`cni=waiting`) is that; returns the report's row."""
        step, _, state = what.rpartition("=")
        end = time.monotonic() + timeout
        found = {}
        while time.monotonic() < end:
            found = self.report()
            row = next((s for s in found.get("steps", []) if s["name"] == step), {}) if step else found
            if row.get("state") == state and re.search(cause, row.get("cause", "")):
                return row
            if not self.pid():
                raise Failure(f"the machine is off; {what} was awaited")
            time.sleep(pause)
        raise Failure(f"{what}{cause and f' ({cause})'} not reported in {timeout} s; the report:\n{json.dumps(found, indent=1)}")

    def seen(self, regex, timeout=60, since=0):
        """Until the console shows REGEX behind the byte SINCE; returns the match."""
        end = time.monotonic() + timeout
        pattern = re.compile(regex, re.M)
        while True:
            alive = self.pid()
            with open(self.path("console.log"), "rb") as file:
                file.seek(since)
                match = pattern.search(file.read().decode(errors="replace").replace("\r", ""))
            if match:
                return match
            if not alive:
                raise Failure(f"the machine is off; '{regex}' was awaited:\n{self.console()}")
            if time.monotonic() > end:
                raise Failure(f"'{regex}' did not appear in {timeout} s:\n{self.console()}")
            time.sleep(0.1)

    def console(self, lines=40):
        with open(self.path("console.log"), "rb") as file:
            text = file.read().decode(errors="replace").replace("\r", "")
        return "\n".join(text.splitlines()[-lines:])


class Shell:
    """The root shell behind the virtio console. What was left of an earlier talk is skipped: each is begun by a word that
    the shell puts together itself, so that its echo cannot be taken for it."""

    # The shell that systemd starts edits lines and echoes; its successor reads them as they come, and keeps nothing on the disk.
    HELLO = "exec bash --norc --noediting\nstty raw -echo; PS1= PS2= HISTFILE= TMPDIR=/dev/shm CALM=calm\n"

    def __init__(self, path, timeout):
        self.end = time.monotonic() + timeout
        self.socket = connect(path, min(timeout, 20))
        self.buffer = b""
        try:
            self.meet()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def meet(self):
        """A shell that was met before answers at once. A new one is there only when systemd has come so far."""
        wait = 1
        while True:
            word = os.urandom(6).hex()
            self.send(f"\nprintf '%s%s %s\\n' met {word} ${{CALM-}}\n")
            if self.find(f"met{word}".encode(), wait):
                if b"calm" in self.line():
                    return
                self.send(self.HELLO)
            if time.monotonic() > self.end:
                raise Failure("the guest's shell does not answer")
            wait = min(wait * 2, 5)

    def send(self, text):
        self.socket.settimeout(max(1, self.end - time.monotonic()))
        self.socket.sendall(text.encode())

    def more(self, timeout):
        readable, _, _ = select.select([self.socket], [], [], max(0, timeout))
        if not readable:
            return False
        data = self.socket.recv(1 << 16)
        if not data:
            raise Failure("the machine went off while its shell was asked")
        self.buffer += data
        return True

    def find(self, mark, timeout):
        """Drops everything up to and including MARK."""
        end = time.monotonic() + timeout
        while mark not in self.buffer:
            if not self.more(end - time.monotonic()):
                return False
        self.buffer = self.buffer.split(mark, 1)[1]
        return True

    def line(self):
        while b"\n" not in self.buffer:
            if not self.more(5):
                return b""
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text

    def run(self, command):
        word = os.urandom(6).hex()
        self.send(f"printf '%s%s\\n' begin {word}; {command.rstrip()}\nprintf '%s%s %s\\n' end {word} $?\n")
        begin, mark = f"begin{word}\n".encode(), f"end{word} ".encode()
        if not self.find(begin, self.end - time.monotonic()):
            raise Failure("the guest's shell did not take the command")
        while mark not in self.buffer:
            if not self.more(self.end - time.monotonic()):
                raise Failure(f"no end of the command in the guest; so far: {self.buffer[-300:]!r}")
        output, self.buffer = self.buffer.split(mark, 1)
        return int(self.line()), output


def watch_owner(args, owner, folder, tell):
    """In the supervisor: QEMU, its end, the owner's end."""
    watched = os.pidfd_open(owner)
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *args], cwd=folder) as qemu:
        os.write(tell, str(qemu.pid).encode())
        os.close(tell)
        ended = os.pidfd_open(qemu.pid)
        select.select([watched, ended], [], [])
        qemu.kill()


def tool(*args):
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"{args[0]}: {done.stderr.decode().strip()}")
    return done.stdout


# --- command line


def start(args):
    machine = Machine.create(args.dir, args.image, args.memory, args.cpus, args.disk_size, args.append, args.rtc, args.net,
                             args.watchdog, args.desk, args.data, args.alone)
    machine.boot(args.owner)


def run(args):
    code, output = Machine(args.dir).run(args.command, args.timeout)
    sys.stdout.buffer.write(output)
    return code


def wait(args):
    row = Machine(args.dir).wait(args.what, args.timeout, args.cause)
    print(row["state"], row.get("cause", ""), row.get("cure", ""), sep="\t")


def put(args):
    with open(args.file, "rb") as file:
        Machine(args.dir).put(file.read(), args.guest)


def get(args):
    data = Machine(args.dir).get(args.guest)
    with open(args.file, "wb") as file:
        file.write(data)


def parser():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name, action, *words, **options):
        sub = verbs.add_parser(name)
        sub.set_defaults(action=action)
        sub.add_argument("dir")
        for option, default in options.items():
            kind = {"action": "store_true"} if default is False else {"default": default, "type": type(default)}
            sub.add_argument("--" + option.replace("_", "-"), **kind)
        for word in words:
            sub.add_argument(word)
        return sub

    parent = os.getppid()
    owner = int(os.environ.get("MACHINE_OWNER", parent))
    verb("start", start, "image", memory=768, cpus=2, disk_size="4G", append="", rtc="", net="none", watchdog=False, desk=0, data="",
         alone=False, owner=owner)
    verb("data", lambda a: Machine(a.dir).plug(a.file), file="")
    verb("run", run, "command", timeout=60.0)
    verb("wait", wait, "what", timeout=60.0, cause="")
    verb("seen", lambda a: Machine(a.dir).seen(a.regex, a.timeout) and None, "regex", timeout=60.0)
    verb("put", put, "file", "guest")
    verb("get", get, "guest", "file")
    verb("save", lambda a: Machine(a.dir).save(a.name), "name")
    verb("load", lambda a: Machine(a.dir).load(a.name, a.into, a.owner) and None, "name", into="", owner=owner)
    verb("boot", lambda a: Machine(a.dir).boot(a.owner), owner=owner)
    verb("link", lambda a: Machine(a.dir).link(a.state == "up"), "state")
    verb("kill", lambda a: Machine(a.dir).kill(a.flushed), flushed=False)
    verb("poweroff", lambda a: Machine(a.dir).poweroff(a.timeout), timeout=60.0)
    verb("console", lambda a: print(Machine(a.dir).console(a.lines)), lines=40)
    verb("disk", lambda a: Machine(a.dir).disk(a.out), "out")
    return top


def main():
    args = parser().parse_args()
    try:
        return args.action(args) or 0
    except Failure as err:
        print(f"machine: {err}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
