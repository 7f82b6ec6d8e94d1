# SPDX-License-Identifier: ISC
"""What the tests of HOLDFAST_SHARE=user (tests/broker/e2e_broker) share: a place of its own for a broker, and how it
is looked at and ended.

    with Home(world) as home:
        home.both(["sh", "-c", "$PROGRAM curl ..."], server)      # holdfast, or env
        home.status()["connects"]
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

from clients import difference
from holdfast_test import clean_environment
from tree_run import check, settles

CASES = []


def case(function):
    """Tried as all users with --full, else as the ordinary one, if there is one."""
    function.users = ("ordinary",)
    CASES.append(function)
    return function


def for_all_users(function):
    function.users = ("root", "ordinary")
    return function


def for_root(function):
    function.users = ("root",)
    return function


def is_alive(pid):
    """Not a zombie either."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Child(subprocess.Popen):
    """One that does not outlive a case that failed."""

    def __exit__(self, *exc):
        if exc[0]:
            self.kill()
        return super().__exit__(*exc)


class Home:
    """A user's XDG_RUNTIME_DIR."""

    def __init__(self, world, **environment):
        self.world, self.path = world, world.directory()
        self.environment = {"HOLDFAST_SHARE": "user", "XDG_RUNTIME_DIR": self.path, **environment}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for pid in self.pids():
            end(pid)
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def directory(self):
        return os.path.join(self.path, "holdfast")

    def names(self, end_of_name=""):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return [os.path.join(self.directory, name) for name in os.listdir(self.directory)
                    if name.endswith(end_of_name)]
        return []

    def pids(self):
        """Brokers that run here, by what their locks say of them."""
        found = []
        for name in self.names(".lock"):
            with contextlib.suppress(OSError, ValueError, IndexError), open(name, encoding="ascii") as lock:
                pid = int(lock.read().split()[0])
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    if b"holdfastd" in line.read() and is_alive(pid):
                        found.append(pid)
        return found

    def pid(self):
        """Of the one that there is, or comes to be."""
        check(settles(lambda: len(self.pids()) == 1), f"{len(self.pids())} brokers")
        return self.pids()[0]

    def run(self, argv, server=None, shim=True, **how):
        """holdfast is not in front of argv, but in its environment, or `env` in its place."""
        program = self.world.holdfast if shim else "env"
        return self.world.run(argv, server, shim=False, **{**self.environment, "PROGRAM": program, **how})

    def both(self, argv, server=None, **how):
        """As World.both: argv runs $PROGRAM where it wants."""
        direct = self.run(argv, server, shim=False, **how)
        shim = self.run(argv, server, **how)
        check(direct.outcome.status == 0, f"directly: exit status {direct.outcome.status}: "
              f"{direct.outcome.stderr[-500:]!r}")
        for what in ("status", "stdout", "stderr", "files"):
            a, b = getattr(direct.outcome, what), getattr(shim.outcome, what)
            check(a == b, f"{what} differs:\n{difference(a, b) if a != b else ''}\n  stderr: "
                  f"{shim.outcome.stderr[-500:]!r}")
        check(direct.requests == shim.requests, f"{direct.requests} requests directly, {shim.requests} with it")
        return direct, shim

    def command(self, *words, **how):
        """A program as the user, with this home."""
        return subprocess.run([*self.world.prefix, *words], env=clean_environment(self.environment),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60,
                              check=False,
                              **how)

    def start(self, *words, **more):
        return Child([*self.world.prefix, *words], env=clean_environment({**self.environment, **more}),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def daemon(self, *options, **more):
        """holdfastd in the foreground, ready."""
        child = self.start(self.world.daemon, *options, **more)
        check(settles(lambda: self.names() and self.pids() == [child.pid] or child.poll() is not None),
              "holdfastd is not ready")
        return child

    def status(self, kind="json"):
        done = self.command(self.world.holdfast, f"--status={kind}")
        check(done.returncode == 0, f"--status={kind}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout) if kind == "json" else done.stdout

    def held(self):
        """How many the broker has to itself."""
        return sum(row["held"] for row in self.status()["idle"])

    def queued(self):
        return sum(row["queued"] for row in self.status()["idle"])


def end(pid, how=signal.SIGKILL):
    """Ends a broker; waits for it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, how)
    return settles(lambda: not is_alive(pid))


class Notified:
    """A service manager's socket (sd_notify(3))."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.settimeout(20)

    def next(self):
        return self.socket.recv(4096).decode()

    def close(self):
        self.socket.close()


def wait_ms(milliseconds):
    time.sleep(milliseconds / 1000)
