# SPDX-License-Identifier: ISC
"""What holdfast costs, as counts that repeat: instructions by callgrind, system calls by strace.

A count for a request is the difference of two runs, a long one and a short one, so that starting up does
not matter.  Used by scripts/bench/bench-count, which prints all of it, and by e2e_counts, which compares."""

import contextlib
import os
import re
import subprocess
import tempfile

import callgrind
from holdfast_test import BUILD, HOLDFAST, Origin, clean_environment

LIBRARY = os.path.join(os.path.dirname(HOLDFAST), "libholdfast.so")
COUNTED = os.path.join(BUILD, "tests", "counted")
POOLCOST = os.path.join(BUILD, "tests", "poolcost")
UNTRACKED = os.path.join(BUILD, "tests", "untracked_read")


class Failed(Exception):
    pass


def execute(argv, env=None, timeout=300):
    result = subprocess.run(argv, env=clean_environment(env), stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}: {result.returncode}\n{result.stderr[-2000:]}")
    return result


def instructions(argv, holdfast=False):
    """Of one process; the launcher is not counted."""
    return callgrind.instructions(argv, clean_environment(), [HOLDFAST] * holdfast)


def syscalls(argv, holdfast=False, launcher=False):
    """Of a process and its threads.  `launcher`: what the launcher does is counted, too."""
    with tempfile.NamedTemporaryFile("r", prefix="holdfast-strace-") as out:
        strace = ["strace", "-f", "-c", "-o", out.name]
        if launcher:
            execute([*strace, HOLDFAST, *argv])
        else:
            execute([HOLDFAST] * holdfast + strace + list(argv))
        found = re.search(r"^100\.00 .*?(\d+)(?: +\d+)? total$", out.read(), re.MULTILINE)
    if not found:
        raise Failed("strace says nothing")
    return int(found[1])


def each(count, command, low, high, **how):
    """What one more of whatever `command(n)` does n times costs."""
    return (count(command(high), **how) - count(command(low), **how)) / (high - low)


def untracked_read():
    def command(n):
        return [UNTRACKED, str(n)]
    plain = each(instructions, command, 10000, 110000)
    return each(instructions, command, 10000, 110000, holdfast=True) - plain


def lease_and_park(endpoints=1):
    return each(instructions, lambda n: [POOLCOST, str(n), str(endpoints)], 1000, 11000)


def pool_memory(count=10000):
    return int(execute([POOLCOST, "memory", str(count)]).stdout)


def fd_memory(count=10000):
    direct = int(execute([COUNTED, "memory", str(count)]).stdout)
    return int(execute([HOLDFAST, COUNTED, "memory", str(count)]).stdout) - direct


def exchange(count, origin, holdfast, others=0, threads=1, low=100, high=600):
    """socket, connect, write, read, the end, close; with `others` open meanwhile."""
    low, high = max(low // threads, 4), max(high // threads, 24)

    def command(n):
        return [COUNTED, str(origin.port), str(n), str(others), str(threads)]
    return each(count, command, low, high, holdfast=holdfast) / threads


@contextlib.contextmanager
def origin_server():
    with Origin() as origin:
        yield origin


def ab(url, keep, concurrency, holdfast=False):
    def command(n):
        return ["ab", "-q", *["-k"] * keep, "-n", str(n), "-c", str(concurrency), url]
    return each(syscalls, command, 500, 2500, holdfast=holdfast)


def ab_instructions(url, keep, concurrency, holdfast=False):
    def command(n):
        return ["ab", "-q", *["-k"] * keep, "-n", str(n), "-c", str(concurrency), url]
    return each(instructions, command, 500, 2500, holdfast=holdfast)


def loading():
    """(instructions, system calls) that `true` costs more with the library; system calls of the launcher."""
    library = instructions(["true"], holdfast=True) - instructions(["true"])
    plain = syscalls(["true"])
    calls = syscalls(["true"], holdfast=True) - plain
    return library, calls, syscalls(["true"], launcher=True) - plain - calls
