# SPDX-License-Identifier: ISC
"""What the end-to-end tests share: the origin server, running a command directly and under holdfast,
comparing what it said, and a tally of cases that run two at a time.

    with Origin() as origin:
        pair = run_both([PROBER, "--port", str(origin.port), "/bytes/10"], origin)
        problems = differences(pair)
        pair.direct.stats["connections"], pair.shim.stats["connections"]
"""

import atexit
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)


def copy_programs(built):
    """A copy of what is built there, without objects, that every user can reach.  It goes when this process ends."""
    place = tempfile.mkdtemp(prefix="holdfast-programs-")
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(place, ignore_errors=True))
    for name in ("holdfast", "holdfastd", "libholdfast.so", "libholdfast-tls.so", "delay-wire", "preload", "preload-32", "i386", "tests"):
        source, target = os.path.join(built, name), os.path.join(place, name)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        elif os.path.exists(source):
            shutil.copy2(source, target)
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    return place


def in_reach(built):
    """Whether every user can run what is built there."""
    folders = [built]
    while folders[-1] != "/":
        folders.append(os.path.dirname(folders[-1]))
    return (all(os.stat(folder).st_mode & 0o001 for folder in folders) and
            all(os.stat(path).st_mode & 0o005 == 0o005 for path in glob.glob(os.path.join(built, "holdfast*"))))


# Where make builds; and where tests run what it built.  A clone may lie in a folder of mode 0700, or have been made
# with a umask of 077: root's tests, some of which become other users, then run a copy.
BUILT = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
BUILD = BUILT if os.geteuid() or not os.path.isdir(BUILT) or in_reach(BUILT) else copy_programs(BUILT)
ORIGIN = os.path.join(BUILD, "tests", "origin")
PROBER = os.path.join(BUILD, "tests", "prober")
HOLDFAST = os.environ.get("HOLDFAST_UNDER_TEST", os.path.join(BUILD, "holdfast"))
AT_A_TIME = 2

# Modules of one folder serve the scripts of others (servers.py, clients.py): no two have the same name.
sys.path += sorted({os.path.dirname(module) for module in glob.glob(os.path.join(TESTS, "*", "*.py"))})


class Record(NamedTuple):
    connection: int
    request: int
    head: bytes
    body: bytes     # as it was framed

    def fields(self):
        """[(name in lower case, value)] of the head."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = [line.partition(":") for line in lines if line]
        return [(name.lower(), value.strip()) for name, _, value in pairs]


class Origin:
    """build/tests/origin as a child; ended by closing its standard input."""

    def __init__(self, *args, record=False):
        self.record = tempfile.NamedTemporaryFile(prefix="holdfast-record-") if record else None
        command = [ORIGIN, "--die-with-stdin", *args]
        if record:
            command += ["--record", self.record.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=clean_environment())
        line = self.process.stdout.readline()
        if not line.strip():
            raise RuntimeError(f"{ORIGIN} did not start")
        self.port = int(line)
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        if self.record:
            self.record.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stats(self, reset=True):
        """Counts since the last reset: connections, requests, most (requests on one connection)."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            s.sendall(f"GET /stats?reset={int(reset)} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def records(self):
        """The requests received since the last call, oldest first."""
        with open(self.record.name, "rb") as f:
            f.seek(self.seen)
            data = f.read()
        found, at = [], 0
        pattern = re.compile(rb"== connection (\d+) request (\d+) head (\d+) bytes (\d+)\n")
        while match := pattern.match(data, at):
            connection, request, head, size = map(int, match.groups())
            raw = data[match.end():match.end() + size]
            found.append(Record(connection, request, raw[:head], raw[head:]))
            at = match.end() + size + 1
        self.seen += at
        return found


class Result(NamedTuple):
    command: list
    status: int         # exit status, negative: signal, None: it hung
    out: bytes
    err: bytes
    seconds: float
    cpu: float          # seconds that it used
    stats: dict         # what the origin counted meanwhile


class Pair(NamedTuple):
    direct: Result
    shim: Result        # None with direct_only


def clean_environment(extra=None):
    # GIT_*: `git bisect run` and hooks of git's name their own repository, in which no test is to commit.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "GIT_")) and k != "LD_PRELOAD"}
    return {**env, **(extra or {})}


def run(command, origin=None, shim=False, timeout=30, env=None):
    """Run the command, with holdfast in front of it if `shim`."""
    if shim:
        command = [HOLDFAST, *command]
    if origin:
        origin.stats()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=clean_environment(env))
        killer = threading.Timer(timeout, child.kill)
        killer.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        killer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)    # it has been waited for
        out.seek(0)
        err.seek(0)
        return Result(command, None if seconds >= timeout else child.returncode, out.read(), err.read(),
                      seconds, usage.ru_utime + usage.ru_stime, origin.stats() if origin else {})


def run_both(command, origin=None, direct_only=False, **how):
    return Pair(run(command, origin, **how),
                None if direct_only else run(command, origin, shim=True, **how))


# Lines of the prober that may differ: counts, and the fields that belong to the connection.
MAY_DIFFER = re.compile(r"@|(connection|keep-alive|date):", re.I)


def normalise(out):
    """What has to be the same of a prober's output."""
    return [line for line in out.decode("latin-1").split("\n") if not MAY_DIFFER.match(line)]


def differences(pair):
    """What is not the same under holdfast: a list of lines, empty if all is well."""
    direct, shim, found = pair.direct, pair.shim, []
    if shim.status is None:
        found.append("hung")
    elif direct.status != shim.status:
        found.append(f"exit status: directly {direct.status}, under holdfast {shim.status}")
    if direct.err != shim.err:
        found.append(f"stderr: directly {direct.err[:300]!r}, under holdfast {shim.err[:300]!r}")
    a, b = normalise(direct.out), normalise(shim.out)
    if a != b:
        n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        found.append(f"directly:       {a[n] if n < len(a) else '(nothing)'}")
        found.append(f"under holdfast: {b[n] if n < len(b) else '(nothing)'}")
    return found


def counts(result):
    """The prober's sums: wakeups, empty, reads, sends."""
    match = re.search(rb"^@@ wakeups (\d+) empty (\d+) reads (\d+) sends (\d+)", result.out, re.M)
    if not match:
        return None
    return dict(zip(("wakeups", "empty", "reads", "sends"), map(int, match.groups())))


class Slow(str):
    """A problem that may be the machine's: something took longer than it should."""


class Tally:
    """Runs cases, AT_A_TIME of them at once, and prints those that fail.

    `check(case, worker)` returns a list of problems; `worker` is what `make_worker` made for the
    thread, a context manager.  A case that was Slow and nothing else is checked once more, and that is said."""

    def __init__(self, make_worker=contextlib.nullcontext):
        self.make_worker = make_worker
        self.local = threading.local()
        self.stack = contextlib.ExitStack()
        self.lock = threading.Lock()
        self.passed = self.failed = 0

    def _one(self, case, check):
        if not hasattr(self.local, "worker"):
            with self.lock:
                self.local.worker = self.stack.enter_context(self.make_worker())
        problems = self._problems(case, check)
        if problems and all(isinstance(problem, Slow) for problem in problems):
            with self.lock:
                print(f"slow {case}", *(f"    {line}" for line in problems), sep="\n", flush=True)
            problems = self._problems(case, check)
        with self.lock:
            if problems:
                self.failed += 1
                print(f"FAIL {case}", *(f"    {line}" for line in problems), sep="\n", flush=True)
            else:
                self.passed += 1

    def _problems(self, case, check):
        try:
            return check(case, self.local.worker)
        except Exception as e:          # a broken case is a failed one; the others go on
            return [f"{type(e).__name__}: {e}"]

    def run(self, cases, check):
        with self.stack, concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda case: self._one(case, check), cases))

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def quoted(command):
    return " ".join(shlex.quote(str(word)) for word in command)


def need(*paths):
    for path in paths:
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is not built: make")
