# SPDX-License-Identifier: ISC
"""How scripts/bench/bench runs a client once, and what it reads off: requests a second, processor time, what
failed, what the origin saw.  Everything that is parsed here is tested by tests/cost/e2e_bench."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from typing import NamedTuple

from servers import plain_environment

TIMEOUT = 300
# One process for each request: $1 times, of $2.
LOOP = 'i=0; while [ $i -lt "$1" ]; do curl -0 -sS --max-time 60 "$2" || exit; i=$((i+1)); done'


class Done(NamedTuple):
    status: int         # None: it took too long
    out: bytes
    err: bytes
    seconds: float
    cpu: float          # seconds, with those of its children


def run(argv, timeout=TIMEOUT):
    """Runs it to its end, in a group of its own, which ends with us."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env=plain_environment(), start_new_session=True)
        killer = threading.Timer(timeout, os.killpg, (child.pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            killer.cancel()
        seconds = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Done(child.returncode if seconds < timeout else None, out.read(), err.read(), seconds,
                    usage.ru_utime + usage.ru_stime)


def cpu_of(pids):
    """Seconds of processor time that these processes have used, all threads, also those that ended."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)    # what clock_getcpuclockid(3) gives
        except OSError:
            pass
    return total


def busy():
    """Seconds of processor time that the whole machine has used."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Client:
    """A client that is to make `requests` requests for url, by name: "ab", "ab -k", or "curl", which is a
    process a request."""

    def __init__(self, name, url, requests, concurrency, prefix=()):
        self.name, self.requests = name, requests
        if name == "curl":
            self.argv = [*prefix, "sh", "-c", LOOP, "sh", str(requests), url]
        else:
            self.argv = [*prefix, *name.split(), "-q", "-s", "60", "-n", str(requests), "-c", str(concurrency),
                         url]

    def judge(self, done, body):
        """(requests a second, problems)"""
        problems = []
        if done.status != 0:
            said = done.err.decode("latin-1").strip().splitlines()
            problems.append(f"exit status {done.status}: {said[-1] if said else ''}")
        if self.name == "curl":
            if done.out != body * self.requests:
                problems.append("the bodies are not those of the origin")
            return self.requests / done.seconds, problems
        report = done.out.decode("latin-1")
        return figure(report, "Requests per second"), problems + complaints(report, self.requests, len(body))


def figure(report, name):
    found = re.search(rf"^{re.escape(name)}:\s+([\d.]+)", report, re.MULTILINE)
    return float(found[1]) if found else 0.0


def complaints(report, requests, size):
    """What ab's report says against itself."""
    found = []
    complete = figure(report, "Complete requests")
    if complete != requests:
        found.append(f"{complete:.0f} of {requests} requests complete")
    for name in ("Failed requests", "Non-2xx responses"):
        if figure(report, name):
            found.append(f"{name}: {figure(report, name):.0f}")
    if figure(report, "Document Length") != size:
        found.append(f"a body of {figure(report, 'Document Length'):.0f} bytes, not {size}")
    if figure(report, "HTML transferred") != size * requests:
        found.append(f"{figure(report, 'HTML transferred'):.0f} bytes of bodies, not {size * requests}")
    return found


class Strace:
    """Counts the calls of processes that run already, while it is open."""

    def __init__(self, pids):
        self.pids, self.process, self.calls = pids, None, 0

    def __enter__(self):
        if not self.pids:
            return self
        self.file = tempfile.NamedTemporaryFile("r", prefix="holdfast-bench-strace-")
        which = [word for pid in self.pids for word in ("-p", str(pid))]
        self.process = subprocess.Popen(["strace", "-c", "-f", "-o", self.file.name, *which],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 5
        while not all(map(is_traced, self.pids)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        if not self.process:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.calls = total_calls(self.file.read())
        self.file.close()


def is_traced(pid):
    """Each of its threads."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="latin-1") as status:
                if "\nTracerPid:\t0\n" in status.read():
                    return False
    except OSError:
        return True     # it is gone
    return True


def total_calls(summary):
    """The sum of `strace -c`, or None."""
    found = re.search(r"^\s*100\.00\s+[\d.]+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$", summary, re.MULTILINE)
    return int(found[1]) if found else None


def count_client(argv):
    """The calls of a command from start to end, or None."""
    with tempfile.NamedTemporaryFile("r", prefix="holdfast-bench-strace-") as file:
        run(["strace", "-c", "-f", "-o", file.name, *argv])
        return total_calls(file.read())
