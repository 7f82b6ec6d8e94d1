# SPDX-License-Identifier: ISC
"""Scripts of tests/fault/client.h that run out of descriptors: at the first call of a step of an exchange the
table fills up, but for a few.  The kernel says EMFILE by itself, to the client as to the shim.  The client must
not be worse off than directly, call by call; part of tests/fault/e2e_fault."""

import threading
import zlib
from collections import Counter
from typing import NamedTuple

from fault_run import EXCHANGE, LIBRARY, SHIM, STEP, broken

FREE = (0, 1, 2, 3)
# Soft and hard limit: with room above the soft one the shim keeps its own descriptors there.
LIMITS = ((64, 64), (64, 4096))


class Case(NamedTuple):
    script: object
    exchange: int
    step: int
    free: int
    stays: bool
    limit: tuple

    def __str__(self):
        return (f"{self.script.name}: {self.free} descriptors free from exchange {self.exchange} step {self.step} on, "
                f"{'to the end' if self.stays else 'until it is over'}, limits {self.limit}")

    def limited(self):
        fill = f"FAULT_FILL={self.exchange}:{self.step}:{self.free}:{int(self.stays)}"
        soft, hard = self.limit
        return ["sh", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec env {fill} "$@"', "sh"]


class Limits:
    def __init__(self, scripts, part):
        self.cases = [Case(script, exchange, step, free, stays, limit)
                      for script in scripts
                      for exchange, step in self.places(script)
                      for free in FREE for stays in (False, True) for limit in LIMITS]
        self.total = len(self.cases)
        if part is not None:
            self.cases.sort(key=lambda case: zlib.crc32(str(case).encode()))
            del self.cases[part:]
        self.counts, self.lock = Counter(), threading.Lock()

    def places(self, script):
        """(exchange, step) of the client's calls, up to an exec."""
        return sorted({(where // EXCHANGE - 1, where // STEP % 100) for where, *_ in script.calls
                       if EXCHANGE <= where < 50 * EXCHANGE})

    def check(self, case, worker):
        script = case.script
        direct, *_ = worker.run(script.name, [LIBRARY], None, script.environment, case.limited())
        seen, *_ = worker.run(script.name, [SHIM, LIBRARY], None, script.environment, case.limited())
        problems = broken(direct, seen, script.direct)
        kind = "as direct"
        for n in sorted(set(script.direct.exchanges) | set(seen.exchanges)):
            if seen.verdicts(n) == direct.verdicts(n):
                continue
            kind = "better"
            if seen.verdicts(n) != script.direct.verdicts(n):
                problems.append(f"exchange {n}: {seen.verdicts(n)}, directly {direct.verdicts(n)}")
        with self.lock:
            self.counts["worse" if problems else kind] += 1
        return problems

    def print(self):
        if not self.counts:
            return
        print(f"out of descriptors: {len(self.cases)} of {self.total} cases: "
              + ", ".join(f"{kind} {self.counts[kind]}" for kind in ("as direct", "better", "worse")))
