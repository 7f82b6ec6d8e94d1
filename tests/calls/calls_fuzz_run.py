# SPDX-License-Identifier: ISC
"""A run of tests/calls/calls_fuzz: batches of programs, each job a process of its own on one processor; kept in a file, so
that an interrupted run goes on where it was."""

import collections
import json
import multiprocessing
import os
import queue
import sys

import calls_make
from calls_known import OPEN, ROWS
from calls_run import Player, Reducer

BATCH = 50              # programs that one job plays at a time
SHOWN = 60              # seeds to print
JOBS_A_PROCESSOR = 4    # programs wait more than they compute


def play_batch(player, first, most):
    """The result of one batch, as it is kept."""
    result = {"first": first, "same": 0, "unstable": [], "rare": [], "excused": {}, "open": {}, "failed": []}
    for seed in range(first, most):
        verdict = player.verdict(calls_make.program(seed))
        if verdict.kind == "same":
            result["same"] += 1
        elif verdict.kind in ("excused", "open"):
            result[verdict.kind].setdefault(verdict.why, []).append(seed)
        else:
            result["failed" if verdict.kind == "differs" else verdict.kind].append(seed)
    return result


def reduced(player, seed):
    lines = Reducer(player, calls_make.program(seed)).reduce()
    verdict = player.verdict(lines)
    return {"seed": seed, "lines": lines, "direct": verdict.direct, "shim": verdict.shim}


def job(processor, todo, done):
    """A process of its own: origin and players stay on one processor (tests/calls/origin.c)."""
    os.sched_setaffinity(0, {processor})
    player = Player()
    try:
        for kind, *what in iter(todo.get, None):
            done.put(play_batch(player, *what) if kind == "batch" else reduced(player, *what))
    finally:
        player.close()


class Run:
    def __init__(self, first, programs, jobs=None, state=None):
        self.first, self.programs, self.jobs, self.state = first, programs, jobs, state
        self.todo, self.done = multiprocessing.Queue(), multiprocessing.Queue()
        self.results = {}
        self.load()

    def load(self):
        if not self.state or not os.path.exists(self.state):
            return
        with open(self.state, encoding="ascii") as file:
            for line in file:
                if line.endswith("}\n"):
                    result = json.loads(line)
                    self.results[result["first"]] = result

    def keep(self, result):
        self.results[result["first"]] = result
        if self.state:
            with open(self.state, "a", encoding="ascii") as file:
                file.write(json.dumps(result) + "\n")

    def play(self, reduce=0, show=None):
        """All batches; then so many of those that differ are made short, and shown."""
        processors = sorted(os.sched_getaffinity(0))
        jobs = self.jobs or len(processors) * JOBS_A_PROCESSOR
        workers = [multiprocessing.Process(target=job, args=(processors[i % len(processors)], self.todo, self.done))
                   for i in range(jobs)]
        for worker in workers:
            worker.start()
        last = self.first + self.programs
        batches = [(first, min(first + BATCH, last)) for first in range(self.first, last, BATCH)
                   if first not in self.results]
        for batch in batches:
            self.todo.put(("batch", *batch))
        for _ in batches:
            self.keep(self.next_result(workers))
        chosen = self.all_of("failed")[:reduce]
        for seed in chosen:
            self.todo.put(("reduce", seed))
        for _ in chosen:
            show(**self.next_result(workers))
        for _ in workers:
            self.todo.put(None)
        for worker in workers:
            worker.join()

    def next_result(self, workers):
        while True:
            try:
                return self.done.get(timeout=5)
            except queue.Empty:
                if not all(worker.is_alive() for worker in workers):
                    for worker in workers:
                        worker.kill()
                    sys.exit("a worker has died")

    def all_of(self, kind):
        return sorted(seed for result in self.results.values() for seed in result[kind])

    def by_reason(self, kind):
        seeds = collections.defaultdict(list)
        for result in self.results.values():
            for why, some in result[kind].items():
                seeds[why] += some
        return seeds

    def count(self, kind):
        if kind == "same":
            return sum(result["same"] for result in self.results.values())
        if kind in ("excused", "open"):
            return sum(len(seeds) for seeds in self.by_reason(kind).values())
        return len(self.all_of(kind))

    def played(self):
        return sum(map(self.count, ("same", "excused", "open", "unstable", "rare", "failed")))

    def report(self, seconds, to_be_mended=False):
        """Prints the tables and a summary; the number of what is wrong."""
        for kind, text, rows in (("excused", "excused", ROWS), ("open", "to be mended", OPEN)):
            seeds = self.by_reason(kind)
            for why, _ in rows:
                if kind == "excused" or seeds[why]:
                    print(f"{text} {len(seeds[why])}: {why} {sorted(seeds[why])[:8] if kind == 'open' else ''}")
        for kind in ("unstable", "rare", "failed"):
            if self.count(kind):
                print(f"{kind}:", *self.all_of(kind)[:SHOWN])
        print(f"{self.played()} programs: {self.count('same')} the same, {self.count('excused')} excused, "
              f"{self.count('open')} to be mended, {self.count('failed')} differ, {self.count('rare')} differed once, "
              f"{self.count('unstable')} differ from themselves; {self.played() / max(seconds, 1):.0f} a second")
        bad = self.count("failed") + self.count("rare") + (self.count("unstable") * 20 > self.played())
        bad += self.count("excused") * 100 > max(self.played(), 300)
        return bad + (0 if to_be_mended else self.count("open"))
