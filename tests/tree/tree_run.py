# SPDX-License-Identifier: ISC
"""How the tests of sharing between processes (tests/tree/e2e_tree) run things: as root and as an ordinary user,
directly and under holdfast, counted at the server.

    @case
    def something(world):
        with Server() as server:
            direct, shim = world.both(["sh", "-c", "..."], server)
            check(shim.connections <= 1, ...)
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from typing import NamedTuple

from clients import difference, run
from holdfast_test import BUILD, BUILT, HOLDFAST, ROOT, Origin, copy_programs, quoted

ORDINARY = 61234        # a user without an entry anywhere; what is in flight is counted for each user
CASES = []


def tree_constant(name):
    """A number of shim/pool/tree.h."""
    with open(os.path.join(ROOT, "shim", "pool", "tree.h"), encoding="utf-8") as header:
        return int(re.search(rf"\b{name} = (\d+)", header.read())[1])


class Failed(Exception):
    """A case does not hold."""


class Skipped(Exception):
    """A case cannot be tried here."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def case(function):
    CASES.append(function)
    return function


def long_case(function):
    """One that takes seconds: but for --full as one of the users, by chance."""
    function.long = True
    return case(function)


class Hit(NamedTuple):
    connection: int
    nth: int            # on that connection, from 1
    target: str


class Server(Origin):
    """An origin on every address of the loopback, with a log of which connection served what."""

    def __init__(self, *args, port=0):
        self.log = tempfile.NamedTemporaryFile("r", prefix="holdfast-tree-log-")
        super().__init__("--any", "--port", str(port), "--log", self.log.name, *args)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.log.close()

    def at(self, path, host="127.0.0.1"):
        """For treeclient."""
        return f"{host}:{self.port}{path}"

    def hits(self):
        """What was asked since the last call."""
        found = [line.split() for line in self.log.readlines()]
        return [Hit(int(words[0]), int(words[1]), words[3]) for words in found
                if len(words) == 5 and not words[3].startswith("/stats")]

    def sockets(self, state, end):
        """How many TCP sockets are in that state: "server", those that it accepted, or "client"."""
        return sockets(self.port, state, end)


STATES = {"ESTABLISHED": 1, "CLOSE_WAIT": 8}


def sockets(port, state, end):
    found = set()       # while other sockets come and go, the kernel may show one twice
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            side = words[1] if end == "server" else words[2]
            if int(side.split(":")[1], 16) == port and int(words[3], 16) == STATES[state]:
                found.add((words[1], words[2]))
    return len(found)


def settles(condition, seconds=10):
    """Whether the condition comes true; waits for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Seen(NamedTuple):
    outcome: object         # clients.Outcome
    connections: int
    requests: int
    hits: list
    stats: list             # what the processes said at their end, one dict each
    seconds: float

    def sum(self, name):
        return sum(line.get(name, 0) for line in self.stats)


class World:
    """A user, and how much is to be done."""

    def __init__(self, name, prefix=(), uid=None, full=False, notes=None):
        self.name, self.prefix, self.uid, self.full = name, list(prefix), uid, full
        self.notes = notes if notes is not None else []
        self.took = []
        self.build = copy_programs(BUILT) if uid else BUILD
        self.holdfast = HOLDFAST
        if HOLDFAST == os.path.join(BUILD, "holdfast"):
            self.holdfast = os.path.join(self.build, "holdfast")

    def close(self):
        if self.uid:
            shutil.rmtree(self.build, ignore_errors=True)

    @property
    def daemon(self):
        return os.path.join(os.path.dirname(self.holdfast), "holdfastd")

    @property
    def client(self):
        return os.path.join(self.build, "tests", "treeclient")

    @property
    def is_root(self):
        return os.geteuid() == 0 and not self.uid

    def size(self, small, full):
        return full if self.full else small

    def note(self, text):
        self.notes.append(f"{self.name}: {text}")

    def directory(self):
        """A new directory of the user's own; the caller removes it."""
        path = tempfile.mkdtemp(prefix="holdfast-tree-")
        if self.uid:
            os.chown(path, self.uid, self.uid)
        return path

    def run(self, argv, server=None, shim=True, timeout=120, **environment):
        """Runs argv, with holdfast in front of it if `shim`, in a directory of its own."""
        place, notes = self.directory(), self.directory()
        stats = os.path.join(notes, "stats")
        try:
            if server:
                server.stats()
                server.hits()
            started = time.monotonic()
            outcome = run([*self.prefix, *([self.holdfast] if shim else []), *argv], place, timeout,
                          **{"HOLDFAST_STATS": stats, **environment})
            seconds = time.monotonic() - started
            counted = server.stats() if server else {"connections": 0, "requests": 0}
            return Seen(outcome, counted["connections"], counted["requests"], server.hits() if server else [],
                        read_stats(stats), seconds)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(notes, ignore_errors=True)

    def both(self, argv, server=None, **how):
        """Directly and under holdfast; all that a user sees has to be the same."""
        direct = self.run(argv, server, shim=False, **how)
        shim = self.run(argv, server, **how)
        check(direct.outcome.status == 0, f"directly: exit status {direct.outcome.status}: "
              f"{direct.outcome.stderr[-500:]!r} of {quoted(argv)[:300]}")
        for what in ("status", "stdout", "stderr", "files"):
            a, b = getattr(direct.outcome, what), getattr(shim.outcome, what)
            check(a == b, f"{what} differs:\n{difference(a, b) if a != b else ''}\n  stderr: "
                  f"{shim.outcome.stderr[-500:]!r}")
        check(direct.requests == shim.requests, f"{direct.requests} requests directly, {shim.requests} "
              "under holdfast")
        return direct, shim

    def few(self, argv, server, most, **how):
        """As `both`, with at most so many connections under holdfast."""
        direct, shim = self.both(argv, server, **how)
        check(shim.connections <= most, f"{shim.requests} requests over {shim.connections} connections, "
              f"more than {most}")
        return direct, shim

    def start(self, argv, shim=True, **environment):
        """A process to talk with, by text lines."""
        from servers import plain_environment
        return subprocess.Popen([*self.prefix, *([self.holdfast] if shim else []), *argv], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                                env=plain_environment(**environment))


def read_stats(path):
    try:
        with open(path, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except (FileNotFoundError, json.JSONDecodeError):
        return []


def repeat(times, command):
    """For sh: the command so many times, stopping where it fails; it may use $i."""
    return ["sh", "-c", f"i=0; while [ $i -lt {times} ]; do {command} || exit 9; i=$((i+1)); done"]


def parallel(times, at_a_time, command):
    """For sh: likewise with several at a time."""
    return ["sh", "-c", f"seq {times} | xargs -P {at_a_time} -I{{}} sh -c 'i={{}}; {command}'"]


def can(*argv):
    """Whether this command works here."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 0


def worlds(full, only=None, notes=None, ordinary=ORDINARY):
    """The users that this can be tried as."""
    if os.geteuid() != 0:
        found = [World("ordinary", full=full, notes=notes)]
    else:
        found = [World("root", full=full, notes=notes)]
        words = ["setpriv", "--reuid", str(ordinary), "--regid", str(ordinary), "--clear-groups"]
        if can(*words, "true"):
            found.append(World("ordinary", words, ordinary, full, notes))
    return [world for world in found if only in (None, world.name)]


def free_address():
    """A port of the loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
