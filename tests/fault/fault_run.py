# SPDX-License-Identifier: ISC
"""Running the client of the fault tests (tests/fault/client.h), directly and with the shim, with the library
that makes calls fail (tests/fault/fault.h); and what is wrong with a run whatever was expected of it."""

import mmap
import os
import re
import struct
import subprocess
import tempfile
import threading
from collections import Counter, defaultdict

from holdfast_test import BUILD, Origin, clean_environment

CLIENT = os.path.join(BUILD, "tests", "fault_client")
LIBRARY = os.path.join(BUILD, "tests", "fault.so")
SHIM = os.path.join(BUILD, "libholdfast.so")
RECORD = struct.Struct("=iiii24s")
RECORD_FILE = 16 + 8192 * RECORD.size
EXCHANGE, STEP, EXEC = 100000, 1000, 50 * 100000     # client.h
LIMIT = 20          # seconds


class Seen:
    """What one run of the client said."""

    def __init__(self, status, out):
        self.status, self.out = status, out
        self.exchanges, self.fds, self.odd = defaultdict(list), [], []
        for line in out.splitlines():
            if match := re.fullmatch(r"(\d+)\.\d+ (.*?) head (\w+) body (\d+)(.*)", line):
                self.exchanges[int(match[1])].append((match[2] + match[5], match[3], int(match[4])))
            elif line.startswith("fds "):
                self.fds.append(line)
            else:
                self.odd.append(line)

    def verdicts(self, exchange):
        return [verdict for verdict, _, _ in self.exchanges.get(exchange, [])]


class Worker:
    """An origin, and a file for the record."""

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="holdfast-fault-")
        self.log = os.path.join(self.dir.name, "origin.log")
        self.origin = Origin("--log", self.log).__enter__()
        self.record_path = os.path.join(self.dir.name, "record")
        with open(self.record_path, "wb") as f:
            f.truncate(RECORD_FILE)
        with open(self.record_path, "r+b") as f:
            self.record = mmap.mmap(f.fileno(), RECORD_FILE)
        self.runs, self.logged = 0, 0
        return self

    def __exit__(self, *exc):
        self.origin.__exit__(*exc)
        self.record.close()
        self.dir.cleanup()

    def run(self, script, preload, plan=None, environment="", limited=()):
        """(what was seen, the record: [(where, name, nth, first)], how often the plan was followed).
        `limited`: a command in front of it."""
        self.runs += 1
        self.record[:16] = bytes(16)
        env = clean_environment({"FAULT_RECORD": self.record_path})
        if environment:
            name, _, value = environment.partition("=")
            env[name] = value
        if environment == "FILES=1":
            env["HOLDFAST_LOG"] = os.path.join(self.dir.name, "log")
            env["HOLDFAST_STATS"] = os.path.join(self.dir.name, "stats")
        if plan:
            env["FAULT_PLAN"] = plan
        command = [CLIENT, str(self.origin.port), script, f"r{self.runs}"]
        env["LD_PRELOAD"] = " ".join(preload)
        if limited:     # a shell and env, which do without
            command = [*limited, "env", "LD_PRELOAD=" + env.pop("LD_PRELOAD"), *command]
        child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        killer = threading.Timer(LIMIT, child.kill)
        killer.start()
        out = child.stdout.read().decode("latin-1")
        child.stdout.close()
        status = child.wait()
        killer.cancel()
        count, fired = struct.unpack_from("=II", self.record)
        calls = []
        for i in range(min(count, 8192)):
            where, nth, first, _, name = RECORD.unpack_from(self.record, 16 + i * RECORD.size)
            calls.append((where, name.rstrip(b"\0").decode(), nth, first))
        return Seen(status, out), calls, fired

    def executions(self):
        """{(id of the run, of the request): (method, how often)} since the last call."""
        with open(self.log, "rb") as f:
            f.seek(self.logged)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.logged += len(data)
        counts = Counter(re.findall(rb" (\w+) \S*[?&]id=([\w.]+)", data))
        return {(method.decode(), request.decode()): n for (method, request), n in counts.items()}


def broken(direct, seen, whole=None):
    """What is wrong whatever was expected.  `whole`: a run that nothing disturbed, if `direct` is not one."""
    problems = []
    if seen.status != 0 or seen.odd:
        problems.append(f"exit status {seen.status}, said {seen.odd[:3]}")
    if "BROKEN" in seen.out:
        problems.append("wrong bytes")
    for number, turns in (whole or direct).exchanges.items():
        for (verdict, head, body), (_, right_head, right_body) in zip(seen.exchanges.get(number, []), turns):
            if head not in ("0", right_head):
                problems.append(f"exchange {number}: another head")
            if body > right_body and not verdict.startswith("ok"):
                problems.append(f"exchange {number}: more than there is")
    return problems + left_open(direct, seen)


def left_open(direct, seen):
    """Descriptors, once all that is idle was let go."""
    if len(seen.fds) != len(direct.fds):
        return [f"the last words are missing: {seen.fds}"]
    for here, there in zip(seen.fds, direct.fds):
        low, _, private = here.partition(" private ")
        wrong = low != there.partition(" private ")[0]
        n = {word[0]: int(word[1:]) for word in private.split()}
        if wrong or n["o"] or n["e"] + n["u"] > 4 or n["f"] > 3:
            return [f"left open: {here}, directly {there}"]
    return []
