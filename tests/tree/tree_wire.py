# SPDX-License-Identifier: ISC
"""What is run at the client's end of a wire for tests/tree/e2e_tree: processes of `curl -0`, one after another,
directly and under holdfast, each timed by the shell that starts it.

    delay-wire --rtt 20 -- python3 tests/tree/tree_wire.py HOLDFAST TIMES UID

Prints JSON: medians of milliseconds, connections, packets a request.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from holdfast_test import ORIGIN, clean_environment  # noqa: E402

# For each line that it reads: one process, and what it took.
SHELL = """
while read -r i; do
    t0=$EPOCHREALTIME
    curl -0 -sS --max-time 60 -o "$2" "$1?seed=$i" || exit
    t1=$EPOCHREALTIME
    echo $((${t1/./} - ${t0/./}))
done
"""


def packets():
    """At the server's end, both ways."""
    with open(f"/proc/{os.environ['WIRE_PID']}/net/dev", encoding="ascii") as table:
        words = next(line for line in table if line.strip().startswith("wire:")).split(":")[1].split()
    return int(words[1]) + int(words[9])


class Server:
    def __init__(self):
        self.log = tempfile.NamedTemporaryFile("r", prefix="holdfast-tree-log-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = ["nsenter", "--net=" + os.environ["WIRE_SERVER_NET"], ORIGIN, "--any", "--die-with-stdin",
                 "--port", str(self.port), "--log", self.log.name]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=clean_environment())
        self.process.stdout.readline()

    def url(self):
        return f"http://{os.environ['WIRE_SERVER']}:{self.port}/bytes/1000"

    def connections(self):
        return len({line.split()[0] for line in self.log.readlines()})


class Side:
    """A shell that starts the processes, directly or under holdfast, with a server of its own."""

    def __init__(self, prefix, place):
        self.server, self.answer = Server(), os.path.join(place, f"answer{len(os.listdir(place))}")
        open(self.answer, "wb").close()
        os.chmod(self.answer, 0o666)
        self.took, self.answers, self.packets = [], [], 0
        self.shell = subprocess.Popen([*prefix, "bash", "-c", SHELL, "bash", self.server.url(), self.answer],
                                      env=clean_environment({"LC_ALL": "C"}), text=True, cwd="/",
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def once(self, i):
        before = packets()
        self.shell.stdin.write(f"{i}\n")
        self.shell.stdin.flush()
        self.took.append(int(self.shell.stdout.readline()) / 1000)
        time.sleep(0.03)        # the last packets
        self.packets += packets() - before
        with open(self.answer, "rb") as answer:
            self.answers.append(answer.read())

    def end(self):
        self.shell.stdin.close()
        self.shell.wait(10)
        self.server.process.stdin.close()
        self.server.process.wait(10)


def main():
    holdfast, times, uid = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    user = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if uid != "0" else []
    with tempfile.TemporaryDirectory(prefix="holdfast-tree-wire-") as place:
        os.chmod(place, 0o755)
        direct, shim = Side(user, place), Side([*user, holdfast], place)
        for i in range(times):      # in turns: what else the machine does hits both
            direct.once(i)
            shim.once(i)
        direct.end()
        shim.end()
    direct_ms, shim_ms = statistics.median(direct.took), statistics.median(shim.took)
    print(json.dumps({"same": direct.answers == shim.answers, "direct_ms": direct_ms, "shim_ms": shim_ms,
                      "saved_ms": direct_ms - shim_ms, "direct_connections": direct.server.connections(),
                      "shim_connections": shim.server.connections(), "direct_packets": direct.packets / times,
                      "shim_packets": shim.packets / times}))


if __name__ == "__main__":
    main()
