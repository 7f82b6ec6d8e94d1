#!/usr/bin/env python3
"""Connections shared by the processes of a tree: each case is run directly and under holdfast, counted at
the server, as root and as an ordinary user.

    tests/e2e_tree [--full] [--user root|ordinary] [--list] [PATTERN...]

--full: the sizes that figures are given for (1,000 processes where a small one has 60): minutes, not
seconds.  `make check-tree` runs that.
"""

import argparse
import fnmatch
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from holdfast_test import HOLDFAST, ORIGIN, Tally, need     # noqa: E402
import tree_run                                             # noqa: E402
import tree_reuse, tree_habits, tree_bounds                 # noqa: E402,E401,F401


class Case:
    def __init__(self, world, function):
        self.world, self.function = world, function

    def __str__(self):
        return f"{self.world.name} {self.function.__name__}"


def attempt(case, _):
    started = time.monotonic()
    try:
        case.function(case.world)
    except tree_run.Skipped as why:
        case.world.note(f"skipped {case.function.__name__}: {why}")
    except tree_run.Failed as what:
        return str(what).split("\n")
    finally:
        case.world.took.append((time.monotonic() - started, str(case)))
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--user", choices=("root", "ordinary"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--times", action="store_true", help="also say how long each took")
    parser.add_argument("patterns", nargs="*", default=["*"])
    arguments = parser.parse_args()
    functions = [f for f in tree_run.CASES if any(fnmatch.fnmatch(f.__name__, p) for p in arguments.patterns)]
    if arguments.list:
        print(*(f.__name__ for f in functions), sep="\n")
        return
    need(HOLDFAST, ORIGIN)
    notes = []
    found = tree_run.worlds(arguments.full, arguments.user, notes)
    tally = Tally()
    try:
        tally.run([Case(world, function) for function in functions for world in found], attempt)
    finally:
        for world in found:
            world.close()
    print(*notes, sep="\n")
    if arguments.times:
        print(*(f"{took:6.1f} s {name}" for world in found for took, name in sorted(world.took)), sep="\n")
    tally.finish()


if __name__ == "__main__":
    main()
