# SPDX-License-Identifier: ISC
"""What scripts/bench/bench measures: its cells, the ways that are compared in each, and the measuring of one."""

import contextlib
import statistics
import time
from typing import NamedTuple

from bench_peers import DOCUMENTS
from bench_run import Client, Strace, busy, count_client, cpu_of, run
from servers import find_program


class Cell(NamedTuple):
    name: str
    about: str
    document: str
    concurrency: int
    requests: int
    rounds: int
    client: str = "ab"      # or "curl": a process a request
    rtt_ms: int = 0
    counted: int = 500      # requests in the run whose system calls are counted


CELLS = (
    Cell("small-1", "100 bytes, one at a time", "small", 1, 5000, 5),
    Cell("small-16", "100 bytes, 16 at a time", "small", 16, 20000, 9),
    Cell("small-128", "100 bytes, 128 at a time", "small", 128, 10000, 5),
    Cell("10k-16", "10 KB, 16 at a time", "10k", 16, 5000, 5),
    Cell("1m-16", "1 MB, 16 at a time", "1m", 16, 500, 5, counted=100),
    Cell("chunked-16", "10 KB in chunks, 16 at a time", "chunked", 16, 5000, 5),
    Cell("process", "100 bytes, a process of curl -0 each", "small", 1, 100, 5, "curl", counted=20),
    Cell("rtt-1", "100 bytes over 1 ms", "small", 1, 400, 3, rtt_ms=1, counted=50),
    Cell("rtt-20", "100 bytes over 20 ms", "small", 1, 100, 3, rtt_ms=20, counted=20),
    Cell("rtt-100", "100 bytes over 100 ms", "small", 1, 40, 3, rtt_ms=100, counted=10),
    Cell("process-rtt-20", "a process of curl -0 each, over 20 ms", "small", 1, 30, 3, "curl", 20, 10),
)
DIRECT, HOLDFAST, LIMIT = "direct", "holdfast", "limit"
CHECKED = 3             # requests whose bodies are compared, for each way, before and after
BASES = 3               # runs that find out what a client takes to start and to end


class Way:
    """One way to make the requests of a cell, and what was found.  `round` and all that it gives counts the
    processor time and calls of client, proxy and origin apart."""

    def __init__(self, name, cell, net, origin, proxy=None, prefix=()):
        self.name, self.cell, self.net, self.origin, self.proxy = name, cell, net, origin, proxy
        self.prefix = list(prefix)
        self.body, self.path = DOCUMENTS[cell.document], f"/{cell.document}"
        self.found = {"base": [], "rounds": [], "calls": None, "problems": []}
        # What no client can do better: its own keep-alive; for a process a request, to have no network.
        self.offline = name == LIMIT and cell.client == "curl"

    def client(self, requests):
        program = self.cell.client
        url = (self.proxy or self.origin).url(self.path)
        if self.name == LIMIT:
            program = "curl" if self.offline else "ab -k"
            url = f"file://{self.origin.dir}/www{self.path}" if self.offline else url
        return Client(program, url, requests, self.cell.concurrency, self.prefix)

    def servers(self):
        return (self.proxy.pids() if self.proxy else []), self.origin.pids()

    def once(self, requests):
        """One run: what it gave, problems included."""
        client, (proxy, origin) = self.client(requests), self.servers()
        mark, packets = self.origin.mark(), self.net.packets()
        before, machine = [cpu_of(proxy), cpu_of(origin), cpu_of(self.net.pids())], busy()
        start = time.monotonic()
        done = run(client.argv)
        time.sleep(0.02 + self.net.rtt_ms / 1000)     # the last packets
        used = [a - b for a, b in zip([cpu_of(proxy), cpu_of(origin), cpu_of(self.net.pids())], before)]
        others = (busy() - machine - sum(used) - done.cpu) / (time.monotonic() - start)
        packets = None if packets is None else self.net.packets() - packets
        rate, problems = client.judge(done, self.body)
        connections = self.check_origin(mark, requests, problems)
        return {"rate": rate, "cpu": [done.cpu, used[0], used[1]], "connections": connections,
                "packets": packets, "others": max(0.0, round(others, 3)), "problems": problems}

    def check_origin(self, mark, requests, problems):
        """Each request has to come to it."""
        expected = 0 if self.offline else requests
        seen, connections = self.origin.seen(mark, self.path, len(self.body), expected)
        if seen != expected:
            problems.append(f"{seen} requests came to the origin, not {expected}")
        return connections

    def check(self):
        """The bodies, by a client that shows them."""
        url, mark = (self.proxy or self.origin).url(self.path), self.origin.mark()
        done = run([*self.prefix, "curl", "-0", "-sS", "--max-time", "60", *[url] * CHECKED])
        if done.status != 0 or done.out != self.body * CHECKED:
            self.found["problems"].append("curl -0 does not get the origin's bodies")
        self.origin.seen(mark, self.path, len(self.body), CHECKED)

    def base(self):
        """What is not a matter of requests: as many of them as are made at a time."""
        runs = [self.once(self.cell.concurrency) for _ in range(BASES)]
        self.found["base"] = [statistics.median(part) for part in zip(*(r["cpu"] for r in runs))]
        self.found["problems"] += [p for r in runs for p in r["problems"]]

    def round(self, requests):
        self.found["rounds"].append(self.once(requests))

    def count_calls(self):
        """Calls a request of client, proxy and origin: the difference of two runs."""
        few = self.calls(self.cell.concurrency)
        many = self.calls(self.cell.concurrency + self.cell.counted)
        self.found["calls"] = [None if None in pair else round((pair[1] - pair[0]) / self.cell.counted, 2)
                               for pair in zip(few, many)]

    def calls(self, requests):
        proxy, origin = self.servers()
        with contextlib.ExitStack() as stack:
            counts = [stack.enter_context(Strace(pids)) for pids in (proxy, [] if self.offline else origin)]
            client = count_client(self.client(requests).argv)
        return client, *(count.calls for count in counts)


def ways_of(cell, net, origin, proxies, holdfast):
    """In the order in which they are shown."""
    return [Way(DIRECT, cell, net, origin), *(Way(p.name, cell, net, origin, proxy=p) for p in proxies),
            Way(HOLDFAST, cell, net, origin, prefix=[holdfast]), Way(LIMIT, cell, net, origin)]


def measure(cell, ways, rounds, requests, say):
    """Each way a first time for its bodies and for what it takes to start, then in turns: none has always
    the same one before it."""
    say(f"{cell.name}: bodies, starts")
    for way in ways:
        way.check()
        way.base()
    for i in range(rounds):
        say(f"{cell.name}: round {i + 1} of {rounds}")
        for way in ways[i % len(ways):] + ways[:i % len(ways)]:
            way.round(requests)
    if find_program("strace"):
        say(f"{cell.name}: system calls")
        for way in ways:
            way.count_calls()
    for way in ways:
        way.check()
