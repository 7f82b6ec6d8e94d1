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
import tempfile
import threading

from chaos_clients import Place
from holdfast_test import Origin, quoted, run

AGAIN = 6
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")


class Side:
    """An origin with a log of what it executed, and a way to run a batch against it."""

    def __init__(self, stack, shim, path):
        self.shim, self.path = shim, path
        self.log, self.stats = (stack.enter_context(tempfile.NamedTemporaryFile(prefix="holdfast-"))
                                for _ in range(2))
        self.origin = stack.enter_context(Origin("--loopback-net", "--log", self.log.name))
        self.environment = {"HOLDFAST_STATS": self.stats.name}
        if share := os.environ.get("TEST_SHARE"):
            self.environment["HOLDFAST_SHARE"] = share

    def run(self, batch, net):
        """(records, Result)"""
        with tempfile.TemporaryDirectory(prefix="holdfast-chaos-") as directory:
            place = Place(net, self.origin.port, self.path, directory)
            result = run(batch.client.command(batch, place), shim=self.shim, timeout=120, env=self.environment)
            return batch.client.records(batch, result.out, result.err, place), result

    def executed(self):
        """({number: times}, {numbers that crossed something}) since the last call."""
        counts, crossed = collections.Counter(), set()
        for line in self.log.read().decode().splitlines():
            words = line.split()
            if words[0] == "crossed":
                crossed.add(number_of(words[4]))
            elif words[2] != "BAD":
                counts[number_of(words[3])] += 1
        return counts, crossed

    def counted(self):
        """Sums of HOLDFAST_STATS since the last call."""
        sums = collections.Counter()
        for line in self.stats.read().decode().splitlines():
            stats = json.loads(line)
            sums.update({k: v for k, v in stats.items() if isinstance(v, int) and k != "pid"})
            sums.update({f"reason {k}": v for k, v in stats["reasons"].items()})
        return sums


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
        done_directly, _ = worker.direct.executed()
        done, crossed = worker.shim.executed()
        stats = worker.shim.counted()
        found = self.executions(batch, done_directly, done, stats)
        if held.status is None and plain.status is not None:
            found.append(f"hung: {quoted(held.command)}")
        if not set(batch.numbers) <= shim.keys():
            found.append(f"status {held.status}, {len(shim)} records of {len(batch.numbers)}: {held.out[-300:]!r}")
        for number in batch.numbers:
            found += self.compare(batch, number, direct.get(number), shim.get(number), crossed, worker, net)
        worker.direct.executed()
        self.add(exchanges=len(batch.numbers), **stats)
        return found

    def executions(self, batch, direct, shim, stats):
        """None twice that must not be, and no other without a replay."""
        found, more = [], 0
        for number, times in shim.items():
            extra = times - max(direct[number], 1)
            if extra > 0:
                more += extra
            if extra > 0 and (batch.method not in IDEMPOTENT or extra > 1):
                found.append(f"{batch.method} {number} executed {times} times, directly {direct[number]}")
        if more > stats["replayed"]:
            found.append(f"{more} executions too many, {stats['replayed']} replays")
        self.add(**{"executed": sum(shim.values()), "executed twice": more,
                    f"executed {batch.method}": sum(shim.values()), f"twice {batch.method}": more})
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
