# SPDX-License-Identifier: ISC
"""What scripts/bench/bench has found, a file of JSON for each cell: written, added to, read again, and made into
medians and ratios."""

import json
import os
import statistics

from bench_cells import CELLS, DIRECT, HOLDFAST, LIMIT


class Mismatch(Exception):
    """Results that must not be put together."""


def path_of(directory, cell):
    return os.path.join(directory, f"{cell}.json")


def load(directory):
    """The cells that there are, in their order."""
    found = []
    for cell in CELLS:
        if os.path.exists(path_of(directory, cell.name)):
            with open(path_of(directory, cell.name), encoding="utf-8") as file:
                found.append(json.load(file))
    return found


def store(directory, result, add=False):
    """With `add`, to the rounds that are there already."""
    path = path_of(directory, result["cell"])
    if add and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            result = merged(json.load(file), result)
    os.makedirs(directory, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def merged(old, new):
    for key in ("cell", "machine", "requests"):
        if old[key] != new[key]:
            raise Mismatch(f"{new['cell']}: other {key} than before: {old[key]}, {new[key]}")
    ways = {}
    for name in [*old["ways"], *(n for n in new["ways"] if n not in old["ways"])]:
        a, b = old["ways"].get(name), new["ways"].get(name)
        ways[name] = join(a, b) if a and b else a or b
    return {**new, "seconds": old["seconds"] + new["seconds"], "ways": ways}


def join(old, new):
    return {"base": new["base"] or old["base"], "rounds": old["rounds"] + new["rounds"],
            "calls": new["calls"] or old["calls"], "problems": old["problems"] + new["problems"]}


class Summary:
    """A cell in figures: medians over its rounds."""

    def __init__(self, result):
        self.name, self.result = result["cell"], result
        self.cell = next(cell for cell in CELLS if cell.name == self.name)
        self.ways = result["ways"]
        self.requests = result["requests"]

    def _median(self, way, key):
        values = [r[key] for r in self.ways[way]["rounds"] if r[key] is not None]
        return statistics.median(values) if values else None

    def rounds(self):
        return max((len(way["rounds"]) for way in self.ways.values()), default=0)

    def problems(self, way):
        found = self.ways[way]["problems"] + [p for r in self.ways[way]["rounds"] for p in r["problems"]]
        return list(dict.fromkeys(found))

    def rate(self, way):
        """None if a request of it failed: that is neither slow nor fast."""
        if way not in self.ways or self.problems(way) or not self.ways[way]["rounds"]:
            return None
        return self._median(way, "rate")

    def ratio(self, way, to):
        a, b = self.rate(way), self.rate(to)
        return a / b if a and b else None

    def range(self, way, to):
        """The lowest and the highest ratio of two runs of the same round."""
        pairs = zip(self.ways[way]["rounds"], self.ways[to]["rounds"])
        ratios = [a["rate"] / b["rate"] for a, b in pairs if b["rate"]]
        return (min(ratios), max(ratios)) if ratios else None

    def cpu(self, way):
        """Microseconds of client, proxy and origin for each request beyond the first ones."""
        if self.rate(way) is None:
            return None
        beyond = self.requests - self.cell.concurrency
        base = self.ways[way]["base"]
        parts = zip(*(r["cpu"] for r in self.ways[way]["rounds"]))
        if self.cell.client == "curl":      # a process is what a request takes
            base, beyond = [0, 0, 0], self.requests
        return [max(0.0, (statistics.median(part) - b) * 1e6 / beyond) for part, b in zip(parts, base)]

    def cpu_ratio(self, way, to=DIRECT):
        a, b = self.cpu(way), self.cpu(to)
        return sum(a) / sum(b) if a and b and sum(b) else None

    def connections(self, way):
        return self._median(way, "connections")

    def packets(self, way):
        """A request."""
        count = self._median(way, "packets")
        return None if count is None else count / self.requests

    def calls(self, way):
        return self.ways[way]["calls"]

    def round_trips(self, way):
        """How many round trips a request took, all in all."""
        rate = self.rate(way)
        return 1000 / rate / self.cell.rtt_ms if rate and self.cell.rtt_ms else None

    def others(self):
        """How much of a processor all else took meanwhile, on average."""
        values = [r["others"] for way in self.ways.values() for r in way["rounds"]]
        return statistics.mean(values) if values else 0.0

    def proxies(self):
        return [name for name in self.ways if name not in (DIRECT, HOLDFAST, LIMIT)]

    def best_proxy(self):
        rates = [(self.rate(name), name) for name in self.proxies() if self.rate(name)]
        return max(rates)[1] if rates else None
