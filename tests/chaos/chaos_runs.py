# SPDX-License-Identifier: ISC
"""Batches of requests, run directly and under holdfast, compared number by number, and what their origin
executed.  For e2e_chaos and e2e_replay.

A record that differs is asked for again, directly, a few times: if a direct run gives it too, it is a
matter of chance in the client or the kernel, and counted as such ("varies directly").  A request that
crossed bytes which the server sent on an idle connection cannot be told from one that was answered by
them: the origin's log says so, and it is counted ("crossed").

TEST_SHARE=off|tree in the environment: HOLDFAST_SHARE of the runs under holdfast.
"""

import collections
import contextlib
import json
import os
import re
import tempfile
import threading
from typing import NamedTuple

from chaos_clients import ENDPOINTS, Place
from holdfast_test import Origin, quoted, run

AGAIN = 6
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")


class Side:
    """An origin with a log of what it executed, and a way to run a batch against it."""

    def __init__(self, stack, shim, path):
        self.shim, self.path = shim, path
        self.log, self.stats, self.said = (
            stack.enter_context(tempfile.NamedTemporaryFile(prefix="holdfast-")) for _ in range(3))
        self.origin = stack.enter_context(Origin("--loopback-net", "--log", self.log.name))
        self.environment = {"HOLDFAST_STATS": self.stats.name, "HOLDFAST_LOG": self.said.name}
        if share := os.environ.get("TEST_SHARE"):
            self.environment["HOLDFAST_SHARE"] = share

    def run(self, batch, net):
        """(records, Result)"""
        with tempfile.TemporaryDirectory(prefix="holdfast-chaos-") as directory:
            place = Place(net, self.origin.port, self.path, directory)
            result = run(batch.client.command(batch, place), shim=self.shim, timeout=120,
                         env={**self.environment, **dict(batch.settings)})
            return batch.client.records(batch, result.out, result.err, place), result

    def executed(self):
        """What the origin did since the last call."""
        done = Executed(collections.Counter(), set(), set())
        for line in self.log.read().decode().splitlines():
            words = line.split()
            if words[0] == "crossed":
                done.crossed.add(number_of(words[4]))
            elif words[2] != "BAD":
                done.times[number_of(words[3])] += 1
                if words[1] != "1" and words[2] not in IDEMPOTENT:
                    done.unsafe.add(number_of(words[3]))
        return done

    def replays(self):
        """{address: how often holdfast's log has a request that is sent again} since the last call."""
        return collections.Counter(re.findall(r"^\S+ .*\[\d+\] fd \d+ ([\d.]+):\d+ (?:replayed|asked_as_1_0):",
                                              self.said.read().decode(), re.M))

    def counted(self):
        """Sums of HOLDFAST_STATS since the last call."""
        sums = collections.Counter()
        for line in self.stats.read().decode().splitlines():
            stats = json.loads(line)
            sums.update({k: v for k, v in stats.items() if isinstance(v, int) and k != "pid"})
            sums.update({f"reason {k}": v for k, v in stats["reasons"].items()})
        return sums


class Executed(NamedTuple):
    times: collections.Counter      # by number
    crossed: set                    # numbers that met unasked bytes on their way
    unsafe: set                     # numbers, not idempotent, that came on a reused connection


def number_of(target):
    return int(target.rsplit("/", 1)[1])


class Pair:
    def __init__(self, stack, path):
        self.direct, self.shim = Side(stack, False, path), Side(stack, True, path)


@contextlib.contextmanager
def pair(path):
    with contextlib.ExitStack() as stack:
        yield Pair(stack, path)


class Runs:
    """Checks batches, each on a net of its own, and adds up."""

    def __init__(self):
        self.lock, self.sums = threading.Lock(), collections.Counter()
        self.nets = (f"127.{a}.{b}" for a in range(1, 255) for b in range(1, 255))

    def add(self, **counts):
        with self.lock:
            self.sums.update(counts)

    def check(self, batch, worker):
        """A list of problems."""
        with self.lock:
            net = next(self.nets)
        direct, plain = worker.direct.run(batch, net)
        shim, held = worker.shim.run(batch, net)
        once, done = worker.direct.executed(), worker.shim.executed()
        found = self.executions(batch, once.times, done, worker.shim.replays(), net)
        if held.status is None and plain.status is not None:
            found.append(f"hung: {quoted(held.command)}")
        if not set(batch.numbers) <= shim.keys():
            found.append(f"status {held.status}, {len(shim)} records of {len(batch.numbers)}: {held.out[-300:]!r}")
        for number in batch.numbers:
            found += self.compare(batch, number, direct.get(number), shim.get(number), done.crossed, worker, net)
        worker.direct.executed()
        self.add(exchanges=len(batch.numbers), **worker.shim.counted())
        return found

    def executions(self, batch, direct, done, replays, net):
        """None twice that must not be, and no other without a replay to the same address."""
        found, extra = [], collections.Counter()
        for i, number in enumerate(batch.numbers):
            more = done.times[number] - max(direct[number], 1)
            if more > 0:
                extra[f"{net}.{1 + i % ENDPOINTS}"] += more
            if more > 1 or (more == 1 and batch.method not in IDEMPOTENT):
                found.append(f"{batch.method} {number} executed {done.times[number]} times, directly {direct[number]}")
        for address, more in extra.items():
            if more > replays[address]:
                found.append(f"{address}: {more} executions too many, {replays[address]} replays in the log")
        if done.unsafe and dict(batch.settings).get("HOLDFAST_UNSAFE") != "reuse":
            found.append(f"on reused connections: {batch.method} {sorted(done.unsafe)}")
        self.add(**{f"{batch.method} executed": sum(done.times.values()), f"{batch.method} twice": extra.total(),
                    f"{batch.method} requests": len(batch.numbers)})
        return found

    def compare(self, batch, number, direct, shim, crossed, worker, net):
        if direct == shim and direct is not None:
            return []
        if shim is None:
            self.add(missing=1)
            return []
        if number in crossed:
            self.add(crossed=1)
            return []
        again = (worker.direct.run(batch.only(number), net)[0].get(number) for _ in range(AGAIN))
        if shim in again:
            self.add(**{"varies directly": 1})
            return []
        self.add(differs=1)
        return [f"number {number}:", f"  directly       {direct!r}", f"  under holdfast {shim!r}"]

    def print(self, title):
        print(title + ":", ", ".join(f"{k} {v}" for k, v in sorted(self.sums.items())))
