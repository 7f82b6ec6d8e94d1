# SPDX-License-Identifier: ISC
"""The plots of scripts/bench/bench, as gnuplot's input.  Each takes the summaries by the names of their cells, and
returns None if there is nothing to show."""

from bench_cells import DIRECT, HOLDFAST, LIMIT

# Proxies are shades of one colour; holdfast stands out; what is given is grey.
COLOURS = {DIRECT: "#9aa0a6", HOLDFAST: "#d9480f", LIMIT: "#343a40"}
PROXY_COLOURS = ("#1864ab", "#1c7ed6", "#4dabf7", "#74c0fc", "#a5d8ff")
LOOPBACK = (("small-1", "100 B\\n1 at a time"), ("small-16", "100 B\\n16"), ("small-128", "100 B\\n128"),
            ("10k-16", "10 KB\\n16"), ("1m-16", "1 MB\\n16"), ("chunked-16", "10 KB\\nchunked, 16"),
            ("process", "100 B\\na process"))
WIRE = (("rtt-1", "1 ms"), ("rtt-20", "20 ms"), ("rtt-100", "100 ms"))
PARTS = (("client", "#d9480f"), ("proxy", "#1c7ed6"), ("origin", "#9aa0a6"))

HEAD = """set terminal svg size {width},{height} font "sans-serif,13" background rgb "white"
set title "{title}"
set border 3 lc rgb "#868e96"
set tics nomirror textcolor rgb "#343a40"
set grid y lc rgb "#dee2e6" lt 1
set style data histograms
set style fill solid noborder
set boxwidth 0.9
set bmargin 7
set key below horizontal center
set yrange [0:*]
set ylabel "{y}"
"""


def head(title, y, width=900, height=380):
    return HEAD.format(title=title, y=y, width=width, height=height)


def ways_in(summaries):
    return list(dict.fromkeys(way for s in summaries for way in s.ways))


def colours(ways):
    proxies = iter(PROXY_COLOURS)
    return {way: COLOURS.get(way) or next(proxies, PROXY_COLOURS[-1]) for way in ways}


def block(name, labels, rows):
    """gnuplot's data block: a row a label."""
    lines = [f'"{text}" ' + " ".join("NaN" if v is None else f"{v:.4f}" for v in row)
             for text, row in zip(labels, rows)]
    return f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"


def bars(title, y, groups, value, without=()):
    """A group of bars for each (summary, label): a bar a way."""
    ways = [way for way in ways_in([s for s, _ in groups]) if way not in without]
    colour = colours(ways)
    rows = [[value(s, way) if way in s.ways else None for way in ways] for s, _ in groups]
    plots = ", ".join(f'$data using {i + 2}:xtic(1) title "{"limit (ab -k)" if way == LIMIT else way}" '
                      f'lc rgb "{colour[way]}"' for i, way in enumerate(ways))
    return (head(title, y) + "set style histogram clustered gap 1\n" +
            block("data", [text for _, text in groups], rows) + f"plot {plots}\n")


def there(by_name, names):
    return [(by_name[name], text) for name, text in names if name in by_name]


def rates(by_name):
    groups = there(by_name, LOOPBACK)
    if not groups:
        return None
    return bars("Requests a second, as multiples of a direct connection (loopback)", "÷ direct", groups,
                lambda s, way: s.ratio(way, DIRECT))


def round_trips(by_name):
    groups = there(by_name, WIRE)
    if not groups:
        return None
    return bars("Round trips a request, one at a time", "round trips", groups,
                lambda s, way: s.round_trips(way))


def processor(by_name):
    """Who takes it, in the cell of the promises."""
    s = by_name.get("small-16")
    direct = s and s.cpu(DIRECT)
    if not direct:
        return None
    ways = [way for way in s.ways if s.cpu(way)]
    rows = [[part / sum(direct) for part in s.cpu(way)] for way in ways]
    labels = ["ab -k" if way == LIMIT else way.replace(" ", "\\n") for way in ways]
    plots = ", ".join(f'$data using {i + 2}:xtic(1) title "{name}" lc rgb "{colour}"'
                      for i, (name, colour) in enumerate(PARTS))
    return (head("Processor time a request, 100 bytes, 16 at a time (direct = 1)", "÷ direct") +
            "set style histogram rowstacked\nset boxwidth 0.6\n" +
            block("data", labels, rows) + f"plot {plots}\n")


PLOTS = {"rates": rates, "round-trips": round_trips, "processor": processor}
