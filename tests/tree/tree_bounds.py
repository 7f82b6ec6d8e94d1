# SPDX-License-Identifier: ISC
"""Cases of tests/tree/e2e_tree: to whom nothing is lent, what is bounded, and what holds across processes."""

import http.server
import json
import os
import shlex
import shutil
import subprocess
import threading

from tree_reuse import PYTHON
from tree_run import Server, Skipped, can, case, check, long_case, repeat, settles, tree_constant

OTHER = 61235


def served(hits, mark):
    """The connections that served targets with that mark."""
    return {hit.connection for hit in hits if mark in hit.target}


def never_both(world, switch, times=4):
    """`switch` makes a command another user's or namespace's: no connection serves both sides."""
    with Server() as server:
        url = server.url("/bytes/100")
        ours, theirs = f"curl -0 -sS '{url}?ours-'$i", f"curl -0 -sS '{url}?theirs-'$i"
        one = f"{ours} && {switch(theirs)} && {ours} && {switch(theirs)}"
        _, shim = world.both(repeat(times, one), server)
        ours, theirs = served(shim.hits, "ours-"), served(shim.hits, "theirs-")
    check(not ours & theirs, f"connections {sorted(ours & theirs)} served both")
    check(len(ours) <= 2, f"{len(ours)} connections on this side: sharing does not go on")
    world.note(f"{len(ours)} connections on one side, {len(theirs)} on the other")


def shell(prefix):
    return lambda command: f"{prefix} sh -c {shlex.quote('i=$0; ' + command)} $i"


@case
def another_user_by_setpriv(world):
    words = f"setpriv --reuid {OTHER} --regid {OTHER} --clear-groups"
    if not world.is_root or not can(*words.split(), "true"):
        raise Skipped("needs root")
    never_both(world, shell(words))


@case
def another_user_by_effective_id(world):
    words = f"setpriv --euid {OTHER} --clear-groups"
    if not world.is_root or not can(*words.split(), "true"):
        raise Skipped("needs root")
    never_both(world, lambda command: f"{words} {command}")       # a shell would take it back


@case
def another_user_by_su(world):
    if not world.is_root or not can("su", "-s", "/bin/sh", "nobody", "-c", "curl --version"):
        raise Skipped("needs root, su and nobody")
    never_both(world, lambda command: f"i=$i su -s /bin/sh nobody -c {shlex.quote(command)}")


@case
def somebody_who_calls_himself_root(world):
    """In a user namespace everybody can be root by number."""
    words = f"setpriv --reuid {OTHER} --regid {OTHER} --clear-groups unshare -r"
    if not world.is_root or not can(*words.split(), "true"):
        raise Skipped("needs root and user namespaces")
    never_both(world, shell(words))


@case
def another_user_in_the_same_process(world):
    """A process that changes its user while it runs, for good or for a while."""
    if not world.is_root:
        raise Skipped("needs root")
    with Server() as server:
        ours, theirs = (f"{server.at('/bytes/100')}?{who}-$i" for who in ("ours", "theirs"))
        one = f"{world.client} get {ours} uid {OTHER} get {theirs} get {theirs} && " \
              f"{world.client} get {ours} euid {OTHER} get {theirs} euid 0 get {ours} euid {OTHER} get {theirs}"
        _, shim = world.both(repeat(4, one), server)
    ours, theirs = served(shim.hits, "ours-"), served(shim.hits, "theirs-")
    check(not ours & theirs, f"connections {sorted(ours & theirs)} served both")
    world.note(f"users that change: {len(ours)} connections of the one, {len(theirs)} of the other")


@case
def another_network_namespace(world):
    """The same address and port, and another server there."""
    unshare = ["unshare", "-n"] if world.is_root else ["unshare", "-rn"]
    if not can(*world.prefix, *unshare, "true"):
        raise Skipped(" ".join(unshare) + " fails")
    origin = os.path.join(world.build, "tests", "origin")
    with Server() as server:
        url = server.url("/bytes/100")
        inside = f"{world.client} lo; {origin} --port {server.port} --log $PWD/inside >ready & server=$!; " \
                 f"while [ ! -s ready ]; do sleep 0.02; done; " \
                 f"for i in 1 2 3; do curl -0 -sS {url}?inside-$i; done; kill $server; wait; " \
                 "wc -l <inside; cut -d' ' -f3,4 <inside"
        outside = f"curl -0 -sS {url}?outside"
        words = ["sh", "-c", f"{outside}; {outside}; {' '.join(unshare)} sh -c {shlex.quote(inside)}; {outside}; "
                 "rm inside ready"]
        _, shim = world.both(words, server)
    check([h.target for h in shim.hits if "inside" in h.target] == [], "a request left the namespace")
    check(shim.connections <= 2, f"{shim.connections} connections outside")


@case
def descriptors_of_the_same_user(world):
    """A program of the same user, with a low limit, can have its own descriptors in flight, whatever lies in
    the queue: what is in flight is counted for the user."""
    if not world.uid and world.is_root:
        raise Skipped("root is not limited")
    fill = world.size(120, 400)
    with Server() as server:
        filler = f"for i in $(seq 1 {fill // 8}); do {world.client} many 8 127.0.0.$((i % 100 + 1)):{server.port}/bytes/10 " \
                 ">/dev/null; done; echo full; read line"
        with world.start(["sh", "-c", filler], HOLDFAST_IDLE="300") as child:
            check(child.stdout.readline() == "full\n", "the filler fails")
            held = server.sockets("ESTABLISHED", "server")
            told = subprocess.run([*world.prefix, world.client, "limit", "64", "pass", "1", "pass", "8", "pass", "24"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
            child.stdin.close()
            child.stdin = None
    world.note(f"with {held} idle connections of a tree, a limit of 64: {told.stdout.strip()}")
    check(told.stdout.startswith("pass 1: OK\npass 8: OK\n"), f"with {held} idle: {told.stdout!r} {told.stderr!r}")


@case
def a_low_limit_of_the_whole_tree(world):
    """Where there are few descriptors, holdfast must not take them."""
    for limit, files in (16, 11), (24, 19), (64, 55), (256, 230):
        open_files = f"{world.client} " + "hold " * files
        for words in [["sh", "-c", f"ulimit -n {limit}; exec {open_files}"],
                      ["sh", "-c", f"ulimit -n {limit}; exec {world.holdfast} {open_files}"]]:
            seen = world.run(words, shim=False, HOLDFAST_STATS="")
            check(seen.outcome.status == 0, f"with a limit of {limit}, {files} files: {seen.outcome.stderr[-200:]!r}")


@case
def a_low_limit_of_ones_own(world):
    """Clients with few descriptors go on working."""
    with Server() as server:
        get = f"ulimit -n 16; {world.client} get {server.at('/bytes/100')}?seed=$i"
        world.both(["sh", "-c", f"for i in 1 2 3 4 5 6; do ({get}); done"], server)
        get = f"ulimit -n 64; curl -0 -sS {server.url('/bytes/100')}?seed=$i"
        world.few(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do ({get}); done"], server, 5)


def paced(world, server, steps, **environment):
    """`steps`: paths to get from 127.0.0.1, numbers to sleep for.  Returns what was seen under holdfast."""
    words = [f"sleep {step}" if not isinstance(step, str) else
             f"curl -0 -sS {server.url(step)}" for step in steps]
    shim = world.run(["sh", "-c", " && ".join(words)], server, **environment)
    check(shim.outcome.status == 0, f"exit status {shim.outcome.status}: {shim.outcome.stderr[-300:]!r}")
    check(shim.requests == sum(isinstance(step, str) for step in steps), f"{shim.requests} requests")
    return shim


def reasons(shim):
    found = {}
    for line in shim.stats:
        for name, count in line["reasons"].items():
            found[name] = found.get(name, 0) + count
    return found


@case
def idle_time_across_processes(world):
    with Server() as server:
        shim = paced(world, server, ["/bytes/1", "/bytes/2", 2.6, "/bytes/3"], HOLDFAST_IDLE="2")
    check(shim.connections == 2, f"{shim.connections} connections")
    check(shim.hits[-1].nth == 1 and shim.hits[1].nth == 2, f"{shim.hits}")


@case
def idle_time_is_not_renewed_by_others(world):
    """A connection that lies in the queue while others come and go does not get younger."""
    with Server() as server, Server() as other:
        words = ["sh", "-c", f"curl -0 -sS {server.url('/bytes/1')}; i=0; while [ $i -lt 16 ]; do "
                 f"{world.client} many 2 {other.at('/bytes/10')} >/dev/null; sleep 0.15; i=$((i+1)); done; "
                 f"curl -0 -sS {server.url('/bytes/2')}"]
        shim = world.run(words, server, HOLDFAST_IDLE="2")
    check(shim.outcome.status == 0 and shim.requests == 2, f"{shim.requests} requests")
    check(shim.connections == 2, "a connection of more than 2.4 s was used again with HOLDFAST_IDLE=2")


PYTHON_BURST = """
import sys, time, urllib.request
for i in range(12):
    urllib.request.urlopen(sys.argv[1] + "?burst", timeout=20).read()
time.sleep(float(sys.argv[2]))
"""


@long_case
def idle_time_counts_from_the_last_use(world):
    """Not from the moment in which its process gave it to the others."""
    with Server() as server:
        for wait, fresh in (2.5, True), (0.1, False):
            words = ["sh", "-c", f"{PYTHON} -c '{PYTHON_BURST}' {server.url('/bytes/9')} {wait}; sleep 1; "
                     f"{world.client} get {server.at('/bytes/9')}?after"]
            shim = world.run(words, server, HOLDFAST_IDLE="3")
            check(shim.outcome.status == 0 and shim.requests == 13, f"{shim.requests} requests")
            check((shim.hits[-1].nth == 1) == fresh, f"after {wait} and 1 s it was "
                  f"{'used again' if fresh else 'not used'} with HOLDFAST_IDLE=3")


@case
def keep_alive_timeout_across_processes(world):
    """The server says timeout=3: it is used for 2 s, and no longer."""
    with Server("--announce", "--keepalive-timeout", "3000") as server:
        shim = paced(world, server, ["/bytes/1", "/bytes/2", 2.4, "/bytes/3"])
    check(shim.connections == 2, f"{shim.connections} connections")
    check("stale" not in reasons(shim), f"it was used until the server closed it: {reasons(shim)}")


@case
def keep_alive_max_across_processes(world):
    with Server("--announce", "--max-requests", "3") as server:
        get = f"curl -0 -sS {server.url('/bytes/10')}?seed=$i"
        _, shim = world.both(repeat(9, get), server)
    check(shim.connections == 3, f"{shim.connections} connections for 9 requests, 3 on each")
    check(not reasons(shim).get("stale") and not shim.sum("replayed"), f"{reasons(shim)}")


@case
def requests_are_counted_across_processes(world):
    """A server that closes after three without saying so in advance."""
    with Server("--max-requests", "3") as server:
        _, shim = world.both(repeat(9, f"curl -0 -sS {server.url('/bytes/10')}?seed=$i"), server)
    check(shim.connections == 3, f"{shim.connections} connections for 9 requests, 3 on each")


@case
def cap_across_processes(world):
    """HOLDFAST_MAX_PER_ENDPOINT is what lies idle in the whole tree.  Where several give at the same moment,
    each may add its one; the next one to give sees to it."""
    with Server() as server:
        get = f"{world.client} get {server.at('/bytes/10')}"
        text = f"for i in $(seq 1 16); do {get}?stall=300 >/dev/null & done; wait; " \
               f"echo many; read line; {get} >/dev/null; {get} >/dev/null; echo idle; read line"
        with world.start(["sh", "-c", text], HOLDFAST_MAX_PER_ENDPOINT="2") as child:
            check(child.stdout.readline() == "many\n", "the shell fails")
            settles(lambda: server.sockets("ESTABLISHED", "server") <= 2, 1)
            many = server.sockets("ESTABLISHED", "server")
            child.stdin.write("\n")
            child.stdin.flush()
            check(child.stdout.readline() == "idle\n", "the shell fails")
            settles(lambda: server.sockets("ESTABLISHED", "server") <= 2, 3)
            idle = server.sockets("ESTABLISHED", "server")
            child.stdin.close()
            child.stdin = None
        opened = server.stats()["connections"]
    world.note(f"with a cap of 2, of {opened} connections {many} were kept at first, {idle} after two more")
    check(opened >= 8, f"only {opened} connections were opened")
    check(many <= 5, f"{many} connections were kept")
    check(idle <= 2, f"{idle} connections are kept")


@case
def default_cap_across_processes(world):
    """Of one endpoint 64 at most."""
    with Server() as server:
        text = f"for i in 1 2 3; do {world.client} many 60 {server.at('/bytes/10')}?stall=500 >/dev/null & done; wait; " \
               f"{world.client} get {server.at('/bytes/10')} >/dev/null; echo idle; read line"
        with world.start(["sh", "-c", text]) as child:
            check(child.stdout.readline() == "idle\n", "the shell fails")
            settles(lambda: server.sockets("ESTABLISHED", "server") <= 64, 2)
            idle = server.sockets("ESTABLISHED", "server")
            child.stdin.close()
            child.stdin = None
        opened = server.stats()["connections"]
    world.note(f"of {opened} connections to one endpoint {idle} were kept")
    check(opened >= 150, f"only {opened} connections were opened")
    check(idle <= 64, f"{idle} connections are kept")


@case
def what_nobody_takes_is_bounded(world):
    """Many processes park many connections to many endpoints: the number that is kept has a limit."""
    endpoints = world.size(60, 250)
    with Server() as server:
        text = f"for i in $(seq 1 {endpoints}); do {world.client} many 8 127.0.1.$i:{server.port}/bytes/10 >/dev/null; done; " \
               "echo idle; read line"
        with world.start(["sh", "-c", text], HOLDFAST_IDLE="600") as child:
            check(child.stdout.readline() == "idle\n", "the shell fails")
            idle = server.sockets("ESTABLISHED", "server")
            child.stdin.close()
            child.stdin = None
        opened = server.stats()["connections"]
    world.note(f"of {opened} connections to {endpoints} endpoints {idle} were kept")
    most = tree_constant("TREE_MOST_PRIVILEGED" if world.is_root else "TREE_MOST")
    check(idle <= most + 8, f"{idle} connections are kept")


@case
def dead_ones_are_found_at_the_next_take(world):
    """The server closed what lay in the queue: the next process gets a fresh one, and no error."""
    with Server("--keepalive-timeout", "700") as server:
        steps = ["/bytes/1", "/bytes/2", 1.2, "/bytes/3", "/bytes/4", 1.2, "/bytes/5"]
        shim = paced(world, server, steps)
    check(shim.hits[2].nth == shim.hits[4].nth == 1, f"{shim.hits}")
    check(shim.connections < 5, "nothing was used again")      # 3, where the machine is not too busy
    check(not shim.sum("replayed"), "a dead connection was used")


@case
def late_bytes_in_the_queue(world):
    """What a server sends on an idle connection is never the next process's answer."""
    with Server() as server:
        url = server.url("/bytes/50")
        get = f"curl -0 -sS '{url}?extra=HTTP/1.1%20200%20OK%0d%0aContent-Length:%203%0d%0a%0d%0abad' | tail -c 50; " \
              f"curl -0 -sS '{url}?seed=$i'"
        world.both(repeat(6, get), server)


@case
def unsafe_methods_stay_fresh(world):
    with Server() as server:
        get, post = (f"curl -0 -sS {more} {server.url('/bytes/10')}" for more in ("", "-d a=b"))
        _, shim = world.both(repeat(5, f"{get} && {post}"), server)
    posts = [hit for hit in shim.hits if hit.nth > 1]
    check(shim.connections >= 5, f"{shim.connections} connections: a POST was sent on a used one ({posts})")


class OneAtATime(http.server.BaseHTTPRequestHandler):
    """Persistent connections, and nobody else is served before one has ended."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{self.command} {len(self.rfile.read(int(self.headers.get('Content-Length', 0))))}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


@case
def a_server_of_one_connection_at_a_time(world):
    """What needs a connection of its own does not leave another one open, or both sides would wait for ever."""
    with http.server.HTTPServer(("127.0.0.1", 0), OneAtATime) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        get, post, long = (f"curl -0 -sS {more} {url}" for more in ("", "-d a=b", "-T long"))
        world.both(["sh", "-c", f"head -c 100000 /dev/zero > long; for i in 1 2 3; do {get} && {post} && {long}; done"],
                   timeout=20)
        slowly = "import socket, sys, time\n" \
                 "for i in range(3):\n" \
                 f"    with socket.create_connection(('127.0.0.1', {server.server_port})) as client:\n" \
                 "        for piece in b'GET / HT', b'TP/1.0\\r\\n', b'\\r\\n':\n" \
                 "            client.sendall(piece)\n" \
                 "            time.sleep(0.01)\n" \
                 "        while piece := client.recv(1000):\n" \
                 "            pass\n"
        world.both([PYTHON, "-c", slowly], timeout=20)
        server.shutdown()


@case
def another_host_on_the_same_address(world):
    """What a connection has served is remembered across processes: another Host does not get it."""
    with Server() as server:
        one = f"curl -0 -sS -H 'Host: a.test' '{server.url('/bytes/10')}?a' && " \
              f"curl -0 -sS -H 'Host: b.test' '{server.url('/bytes/10')}?b'"
        _, shim = world.both(repeat(5, one), server)
    a, b = served(shim.hits, "?a"), served(shim.hits, "?b")
    check(not a & b, f"connections {sorted(a & b)} served both")
    check(len(a) + len(b) <= 5, f"{len(a)} and {len(b)} connections")


@case
def what_does_not_belong_into_the_queue(world):
    rounds = world.size(40, 3000)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree_foreign.py")
    place = world.directory()
    try:
        os.chmod(place, 0o755)
        script = shutil.copy(here, place)
        with Server() as server:
            seen = world.run([PYTHON, script, os.path.join(os.path.dirname(world.holdfast), "libholdfast.so"), world.client,
                              server.at("/bytes/3000"), str(rounds), str(tree_constant("TREE_QUEUES")),
                               str(tree_constant("TREE_MOST"))], server, shim=False, timeout=1500)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    check(seen.outcome.status == 0, f"exit status {seen.outcome.status}: {seen.outcome.stderr[-800:]!r}")
    told = json.loads(seen.outcome.stdout)
    check(told["first"] == 0 and told["shared"], f"a true message is not taken: {told}")
    check(not told["harmed"], f"{len(told['harmed'])} of {told['tried']} did harm: {told['harmed'][:10]}")
    world.note(f"{told['tried']} foreign messages, none did harm")
