# SPDX-License-Identifier: ISC
"""The symbols of sources, as an object file has them: for check-layers and check-rooms."""

import collections
import concurrent.futures
import os
import subprocess
import tempfile

# needs: undefined names, without their version; defines: names that other objects see; written: names in sections that
# can be written to, static ones too, (.data.rel.ro is read-only once it is relocated).
Object = collections.namedtuple("Object", "source needs defines written")


def compile_all(sources, *flags):
    """({source: Object}, {source: the compiler's first line}).  CC: the compiler."""
    compiler = [*os.environ.get("CC", "cc").split(), "-std=gnu11", "-fPIC", "-Ishim", "-U_FORTIFY_SOURCE", "-w", *flags]
    with tempfile.TemporaryDirectory(prefix="holdfast-objects-") as work:
        def one(numbered):
            number, source = numbered
            to = os.path.join(work, f"{number}.o")
            done = subprocess.run([*compiler, "-c", source, "-o", to], capture_output=True, text=True, check=False)
            return source, to, (done.stderr.strip().split("\n")[0] or "the compiler failed") if done.returncode else None
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            done = list(pool.map(one, enumerate(sources)))
        return read_all({to: source for source, to, failed in done if not failed}), \
            {source: failed for source, _, failed in done if failed}


def read_all(objects):
    """Of {object file: source}; one nm for all of them."""
    found = {source: Object(source, set(), set(), set()) for source in objects.values()}
    if not objects:
        return found
    # -A would do without the headlines, but is no option of -f sysv.
    listing = subprocess.run(["nm", "-f", "sysv", *objects, os.devnull], capture_output=True, text=True, check=False).stdout
    current = None
    for line in listing.splitlines():
        if line.endswith(":") and "|" not in line:
            current = found.get(objects.get(line.rpartition(" ")[2][:-1]), current)
        columns = [column.strip() for column in line.split("|")]
        if len(columns) != 7 or columns[0] == "Name":
            continue
        name, kind, section = columns[0], columns[2], columns[6]
        if kind in "Uwv":
            current.needs.add(name.split("@")[0])
        elif kind.isupper():
            current.defines.add(name)
        if kind in "bBdDC" and not section.startswith(".data.rel.ro"):
            current.written.add(name.split(".")[0])
    return found
