"""What is run at the client's end of a wire for tests/tree.py: processes of `curl -0`, one after another,
directly and under holdfast, each timed by the shell that starts it.

    delay-wire --rtt 20 -- python3 tests/tree_wire.py HOLDFAST TIMES UID

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

from holdfast_test import ORIGIN, clean_environment

LOOP = """
for ((i = 0; i < $2; i++)); do
    t0=$EPOCHREALTIME
    curl -0 -sS --max-time 60 "$1?seed=$i" || exit
    t1=$EPOCHREALTIME
    echo $((${t1/./} - ${t0/./})) >&2
done
"""


def packets():
    """At the server's end, both ways."""
    with open(f"/proc/{os.environ['WIRE_PID']}/net/dev", encoding="ascii") as table:
        words = next(line for line in table if line.strip().startswith("wire:")).split(":")[1].split()
    return int(words[1]) + int(words[9])


class End:
    def __init__(self, holdfast, times, uid):
        self.holdfast, self.times = holdfast, times
        self.user = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if uid != "0" else []
        self.log = tempfile.NamedTemporaryFile("r", prefix="holdfast-tree-log-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = ["nsenter", "--net=" + os.environ["WIRE_SERVER_NET"], ORIGIN, "--any", "--die-with-stdin",
                 "--port", str(self.port), "--log", self.log.name]
        self.server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env=clean_environment())
        self.server.stdout.readline()

    def run(self, shim):
        url = f"http://{os.environ['WIRE_SERVER']}:{self.port}/bytes/1000"
        words = [*self.user, *([self.holdfast] if shim else []), "bash", "-c", LOOP, "bash", url, str(self.times)]
        before = packets()
        done = subprocess.run(words, env=clean_environment({"LC_ALL": "C"}), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120, check=True, cwd="/")
        time.sleep(0.2)         # the last packets
        took = [int(line) / 1000 for line in done.stderr.split()]
        connections = {line.split()[0] for line in self.log.readlines()}
        return done.stdout, took, len(connections), (packets() - before) / self.times


def main():
    end = End(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    direct, direct_took, direct_connections, direct_packets = end.run(False)
    shim, shim_took, shim_connections, shim_packets = end.run(True)
    end.server.stdin.close()
    end.server.wait(10)
    direct_ms, shim_ms = statistics.median(direct_took), statistics.median(shim_took)
    print(json.dumps({"same": direct == shim, "direct_ms": direct_ms, "shim_ms": shim_ms,
                      "saved_ms": direct_ms - shim_ms, "direct_connections": direct_connections,
                      "shim_connections": shim_connections, "direct_packets": direct_packets,
                      "shim_packets": shim_packets}))


if __name__ == "__main__":
    main()
