# SPDX-License-Identifier: ISC
"""Counts instructions with callgrind: exact, and the same on every run on one machine."""

import re
import subprocess
import sys
import tempfile


def instructions(argv, environment=None, wrapper=()):
    """Of a whole run of a program; `wrapper`, in front of it all, is not counted."""
    with tempfile.TemporaryDirectory(prefix="holdfast-callgrind-") as directory:
        result = subprocess.run(
            [*wrapper, "valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out", *argv],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not found:
        sys.exit(f"callgrind failed on {' '.join(argv)}:\n{result.stderr}")
    return int(found[1])


def per_repetition(argv_for, short, long, environment=None):
    """What one repetition costs of a program that is told by argv_for(N) to do something N times: the
    count of a short run is taken from that of a long one, so that starting up does not matter."""
    return ((instructions(argv_for(long), environment) - instructions(argv_for(short), environment))
            / (long - short))
