# SPDX-License-Identifier: ISC
"""What scripts/bench/bench shows of its results: a Markdown page with all of them (bench.md), a short table on
standard output, and plots (SVG, by gnuplot).  Ratios only: figures of another machine are other figures."""

import os
import subprocess

from bench_cells import DIRECT, HOLDFAST, LIMIT
from bench_plots import PLOTS
from bench_results import Summary, load
from servers import find_program

LICENCE = "SPDX-License-Identifier: ISC"
PAGE = "bench.md"
# The promises, each with the cell that it is about.
PROMISES = (
    ("small-16", "holdfast at least 0.85 of ab -k", lambda s: s.ratio(HOLDFAST, LIMIT), lambda v: v >= 0.85),
    ("small-16", "holdfast at least 2.5 times direct", lambda s: s.ratio(HOLDFAST, DIRECT), lambda v: v >= 2.5),
    ("small-16", "holdfast at least 3 times the best proxy", lambda s: to_best(s), lambda v: v >= 3),
    ("rtt-20", "holdfast at most 1.05 round trips a request", lambda s: s.round_trips(HOLDFAST),
     lambda v: v <= 1.05),
)


def to_best(summary):
    best = summary.best_proxy()
    return summary.ratio(HOLDFAST, best) if best else None


def number(value, digits=2):
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return " + ".join(number(v, digits) for v in value)
    return f"{value:.{digits}f}" if digits else f"{value:,.0f}"


def table(heads, rows):
    """Markdown; the first column is text."""
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def label(way, cell):
    if way != LIMIT:
        return way
    return "curl, no network" if cell.client == "curl" else "ab -k"


def spread(summary, way, to):
    ratio, found = summary.ratio(way, to), None
    if ratio is not None:
        found = summary.range(way, to)
    return number(ratio) + (f" ({number(found[0])}-{number(found[1])})" if found and way != to else "")


def cell_table(summary):
    cell = summary.cell
    heads = ["", "÷ direct", f"÷ {label(LIMIT, cell)}", "processor ÷ direct", "connections", "packets", "system calls"]
    if cell.rtt_ms:
        heads.insert(3, "round trips")
    rows = []
    for way in summary.ways:
        row = [label(way, cell), spread(summary, way, DIRECT), spread(summary, way, LIMIT),
               number(summary.cpu_ratio(way)), number(summary.connections(way), 0),
               number(summary.packets(way), 1), calls(summary, way)]
        if cell.rtt_ms:
            row.insert(3, number(summary.round_trips(way)))
        if summary.rate(way) is None:
            row[1] = "FAILS"
        rows.append(row)
    return table(heads, rows)


def calls(summary, way):
    found = summary.calls(way)
    if not found or None in found:
        return "-"
    return number([part for i, part in enumerate(found) if part or i != 1], 1)


def cell_text(summary):
    lines = [f"### {summary.cell.about} (`{summary.name}`)", "",
             f"{summary.requests:,} requests a run, {summary.rounds()} rounds; all else on the machine took "
             f"{summary.others():.0%} of one processor meanwhile.", "", cell_table(summary)]
    for way in summary.ways:
        lines += [f"- **{way}**: {problem}" for problem in summary.problems(way)]
    return "\n".join(lines)


def origin_text(results):
    found = list(dict.fromkeys(str(result["machine"]) for result in results))
    if len(found) != 1:
        return "These results come from several machines or versions, and should not be compared.\n"
    m = results[0]["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items())
    policy = f" What is measured was scheduled as {m['policy']}." if m.get("policy") else ""
    return (f"From a machine with {m['cores']} cores ({m['processor']}), Linux {m['kernel']}, {m['system']}; "
            f"{versions}. The origin is nginx, too.{policy}\n")


READING = """Requests a second as ratios of medians (in brackets the lowest and the highest ratio of two runs in
the same round); processor time of client, proxy and origin together, a request, without what the client takes
to start; connections that the origin saw in a run; packets a request, of all that is sent on the loopback, or
over the wire only; system calls a request, of client + proxy + origin, or client + origin.

Client, proxy and origin share the machine and are not tied to a processor. The limit is `ab -k`; as ab speaks
HTTP/1.0, whose answers cannot come in chunks, it is no limit for those; and where each request has a process
of its own, the limit is the process alone: curl with a file:// URL. A proxy has its connections to the origin
from before; holdfast and `ab -k` open theirs in each run. What each proxy's settings are, and why,
is in scripts/bench/bench_peers.py.
"""


def promises(summaries):
    by_name, lines = {s.name: s for s in summaries}, []
    for cell, words, value_of, good in PROMISES:
        value = value_of(by_name[cell]) if cell in by_name else None
        verdict = "not measured" if value is None else "yes" if good(value) else "NO"
        lines.append([f"{words} (`{cell}`)", number(value), verdict])
    return table(["", "found", ""], lines)


def overview(summaries):
    """Requests a second to direct, a row a cell; what is short enough for a terminal and a README."""
    ways = list(dict.fromkeys(way for s in summaries for way in s.ways if way != DIRECT))
    heads = ["requests/s ÷ direct", *("limit" if w == LIMIT else w for w in ways), "holdfast ÷ limit"]
    rows = []
    for s in summaries:
        row = [s.cell.about]
        for way in ways:
            ratio = s.ratio(way, DIRECT) if way in s.ways else None
            failed = way in s.ways and s.problems(way)
            row.append("fails" if failed else number(ratio))
        rows.append([*row, number(s.ratio(HOLDFAST, LIMIT) if HOLDFAST in s.ways else None)])
    return table(heads, rows)


def report(directory, into):
    """Writes the page and the plots.  1 if a request failed anywhere."""
    results = load(directory)
    if not results:
        print(f"bench: no results in {directory}")
        return 1
    summaries = [Summary(result) for result in results]
    os.makedirs(into, exist_ok=True)
    sections = [f"<!-- {LICENCE} -->\n# make bench", origin_text(results), READING, overview(summaries), promises(summaries),
                *map(cell_text, summaries)]
    with open(os.path.join(into, PAGE), "w", encoding="utf-8") as page:
        page.write("\n".join(sections))
    print("\n" + overview(summaries) + "\n" + promises(summaries))
    failures = [f"{s.name}: {way}: {p}" for s in summaries for way in s.ways for p in s.problems(way)]
    for failure in failures:
        print(f"FAILED: {failure}")
    plot(summaries, into)
    print(f"{sum(r['seconds'] for r in results) / 60:.1f} minutes; the whole in {os.path.relpath(into)}/{PAGE}")
    return 1 if failures else 0


def plot(summaries, into):
    if not find_program("gnuplot"):
        print("bench: no plots: gnuplot is not installed")
        return
    by_name = {s.name: s for s in summaries}
    for name, script_of in PLOTS.items():
        script = script_of(by_name)
        if script is None:
            continue
        done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout.startswith("<?xml"):
            print(f"bench: {name}: gnuplot: {done.stderr.strip()}")
            continue
        with open(os.path.join(into, f"{name}.svg"), "w", encoding="utf-8") as file:
            file.write(done.stdout.replace("\n", f"\n<!-- {LICENCE} -->\n", 1))
