# SPDX-License-Identifier: ISC
"""Running the matrix: a row against a server, directly and with holdfast, through a relay that counts
connections and keeps what was asked.  Cases run in two processes; servers are shared."""

import concurrent.futures
import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

from clients import difference, run
from matrix_clients import EACH, ONE, OWN, SOME, comparable
from matrix_relay import Relay, requests
from servers import plain_environment

AT_A_TIME = 2
LONGEST = 25        # seconds; what takes longer hangs


@dataclass
class Result:
    """What came of a case: problems (none: passed), or why it was skipped."""
    name: str
    problems: list = field(default_factory=list)
    skipped: str = ""
    exchanges: int = 0
    direct: int = 0         # connections
    shimmed: int = 0


@dataclass
class Side:
    """One of the two runs."""
    outcome: object
    connections: int
    asked: list         # of matrix_relay.Asked, sorted
    left_open: int


class Case:
    def __init__(self, row, server):
        self.row, self.server = row, server
        self.name = f"{row.name} {server.name}"

    def __call__(self, bench):
        result = Result(self.name)
        result.skipped = self.server.missing() or self.row.missing() or ""
        if result.skipped:
            return result
        direct, shimmed = (self._side(bench, wrapper) for wrapper in ([], [bench.holdfast]))
        if self.row.counted:
            result.exchanges = len(direct.asked) + len(shimmed.asked)
            result.direct, result.shimmed = direct.connections, shimmed.connections
        result.problems = [*self._direct_problems(direct), *self._outcome(direct.outcome, shimmed.outcome),
                           *self._requests(direct, shimmed), *self._connections(direct, shimmed)]
        if shimmed.left_open:
            result.problems.append(f"{shimmed.left_open} connections open after its end")
        return result

    def _side(self, bench, wrapper):
        server, relay = bench.servers[self.server.name], bench.relay(self.server.name)
        made = bench.made(self.row)
        argv = wrapper + self.row.fill(*self.row.words(server, relay.port, made))
        with tempfile.TemporaryDirectory(prefix="files.", dir=bench.directory) as files:
            relay.take()
            outcome = run(argv, files, LONGEST, HOME=files, **dict(self.row.environment))
            connections = relay.take()
        asked = [request for connection in connections for request in requests(connection.sent)]
        asked.sort(key=lambda request: (request.target, request.method, request.body, request.fields))
        return Side(outcome, len(connections), asked, sum(c.open for c in connections))

    def _direct_problems(self, side):
        """Does the row do without holdfast what it is there for?"""
        status, found = side.outcome.status, []
        if status == "hangs" or self.row.status not in (None, status):
            found.append(f"directly: status {status}, {side.outcome.stderr[-300:]!r}")
        if not side.asked or any(not request.method for request in side.asked):
            found.append(f"directly: asked {side.asked[:1]}")
        return found

    def _outcome(self, a, b):
        found = []
        if a.status != b.status:
            found.append(f"status {b.status}, not {a.status}")
        for what in ("stdout", "stderr"):
            x, y = (comparable(self.row, getattr(side, what), self.server.by_version)
                    for side in (a, b))
            if x != y:
                found.append(f"{what} differs:\n{difference(x, y)}")
        if a.files != b.files:
            found.append(f"files differ:\n{difference(a.files, b.files)}")
        return found

    def _requests(self, direct, shimmed):
        a, b = direct.asked, shimmed.asked
        if not self.row.counted or self.server.silent:      # asked again, or cut by the server's end
            # One of those that ask the same goes out in its own version, to see whether the server closes.
            a, b = (list({(one.method, one.target, one.body): one for one in filter(is_whole, side)}.values())
                    for side in (a, b))
        if len(a) != len(b):
            return [f"{len(b)} requests, not {len(a)}"]
        wrong = [(x, y) for x, y in zip(a, b) if not same_request(x, y, self.row.ordered)]
        return [f"the server was asked otherwise:\n  without: {x}\n  with:    {y}" for x, y in wrong[:1]]

    def _connections(self, direct, shimmed):
        # What has to be asked again needs another.
        more = self.row.at_a_time + 2 if self.server.silent else 0
        found, allowed = shimmed.connections, range(1, direct.connections + more + 1)
        if not self.row.counted:        # by time: as many as it manages
            return [] if found < direct.connections or not self.server.persists else ["none was shared"]
        elif self.row.connections in (EACH, OWN):
            allowed = range(direct.connections, direct.connections + more + 1)
        elif self.row.connections == ONE and self._persists():
            allowed = range(1, self._most(direct.connections) + 1)
        if found in allowed:
            return []
        return [f"{found} connections, not {allowed}; directly {direct.connections}"]

    def _most(self, requests):
        """One, and for a server that says nothing two more: a silent answer, and one after which it is asked to close.
        Of several at a time, each has at most two more of its own until the server has answered a second request on a
        connection; where it says nothing, not all of that need be over before they end."""
        at_a_time = self.row.at_a_time
        if at_a_time == 1:
            return 3 if self.server.wordless else 1
        return requests if self.server.wordless else 3 * at_a_time

    def _persists(self):
        """Does the server show this client that it persists?  One that says nothing is asked to close, or is believed
        if it gives a Date; a client that does not ask for the close cannot have it asked to."""
        shows = not self.server.wordless or self.server.dated or self.row.asks
        return self.server.persists and shows and not set(self.row.answers) & set(self.server.ends)


def is_whole(request):
    length = dict((name.lower(), value) for name, value in request.fields).get("content-length", "0")
    return len(request.body) >= int(length)


def same_request(a, b, ordered=True):
    """Method, target, body and the fields meant for the server; what holdfast adds and takes is in the
    README: Host where there was none, the version, Expect of a 1.0 client."""
    x, y = list(a.fields), list(b.fields)
    if not any(name.lower() == "host" for name, _ in x):
        y = [(name, value) for name, value in y if name.lower() != "host"]
    if a.version == "HTTP/1.0":
        x = [(name, value) for name, value in x if name.lower() != "expect"]
    if not ordered:
        x, y = sorted(x), sorted(y)
    versions = {a.version, "HTTP/1.1"} if a.version == "HTTP/1.0" else {a.version}
    return (a.method, a.target, a.body, x) == (b.method, b.target, b.body, y) and b.version in versions


class Bench:
    """What the cases of one process share."""

    def __init__(self, holdfast, servers, directory):
        self.holdfast, self.servers, self.parent = holdfast, servers, directory
        self.directory = None

    def enter(self):
        """In the process that is going to work."""
        self.directory = tempfile.mkdtemp(prefix="worker.", dir=self.parent)

    @functools.lru_cache(maxsize=None)
    def relay(self, name):
        return Relay(self.servers[name].port)

    @functools.lru_cache(maxsize=None)
    def made(self, row):
        """The row's directory, with its script and what it prepares."""
        made = tempfile.mkdtemp(prefix="made.", dir=self.directory)
        for name, data in (("script", row.script), ("script.body", row.body)):
            with open(os.path.join(made, name), "w", encoding="utf-8") as file:
                file.write(data)
        if row.prepare:
            subprocess.run(row.prepare, cwd=made, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=plain_environment())
        return made


BENCH = None        # of a working process


def begin_work(bench):
    global BENCH
    BENCH = bench
    BENCH.enter()


def work(case):
    try:
        return case(BENCH)
    except Exception as error:      # a broken case is a failed one; the others go on
        return Result(case.name, [f"{type(error).__name__}: {error}"])


def repository(directory):
    """A small git repository as a web server would have it."""
    def git(*arguments, **more):
        environment = plain_environment(HOME=directory, GIT_CONFIG_NOSYSTEM="1",
                                        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                                           for what, value in (("NAME", "x"), ("EMAIL", "x@x"),
                                                               ("DATE", "1700000000 +0000"))})
        return subprocess.run(["git", *arguments], cwd=path, env=environment, check=True,
                              capture_output=True, **more).stdout.decode().strip()
    path = os.path.join(directory, "repo.git")
    os.mkdir(path)
    git("init", "-q", "--bare", "-b", "main")
    commit = None
    for n in range(3):
        blob = git("hash-object", "-w", "--stdin", input=b"line\n" * (n + 1))
        tree = git("mktree", input=f"100644 blob {blob}\tfile\n".encode())
        commit = git("commit-tree", "-m", f"change {n}", *(["-p", commit] if commit else []), tree)
    git("update-ref", "refs/heads/main", commit)
    git("update-server-info")
    return path


def start(classes, directory):
    """The servers of these classes that can run here, by name; those in front of nginx need one."""
    servers = {}
    ready = [one for one in classes if not one.missing()]
    ready.sort(key=lambda one: one.behind)
    repo = repository(directory) if shutil.which("git") else None
    backend = None
    try:
        for one in ready:
            server = servers[one.name] = one(backend)
            server.begin()
            backend = server.port if one.name == "nginx" else backend
            if repo:
                shutil.copytree(repo, os.path.join(server.dir, "www", "repo.git"))
        for server in servers.values():
            server.ready()
    except BaseException:
        end(servers)
        raise
    return servers


def end(servers):
    for server in servers.values():
        server.end()


def run_cases(cases, bench):
    """Yields a Result for each, as they come."""
    if AT_A_TIME == 1 or len(cases) == 1 or os.environ.get("MATRIX_SERIAL"):
        begin_work(bench)
        yield from map(work, cases)
        return
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(AT_A_TIME, context, begin_work, (bench,)) as pool:
        futures = [pool.submit(work, case) for case in cases]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    sys.stdout.flush()
