# SPDX-License-Identifier: ISC
"""Cases of tests/broker/e2e_broker: how much is reused, who may reuse it, and what --status says of it."""

import os
import shlex
import subprocess

from broker_daemon import usual_place
from broker_run import case, end, for_all_users, for_root, Home, wait_ms
from tree_bounds import OTHER, served
from tree_reuse import PYTHON
from tree_run import Server, Skipped, can, check, free_address, parallel, repeat, settles


@for_all_users
@case
def commands_from_different_shells(world):
    """Each a shell and a session of its own."""
    times = world.size(40, 500)
    with Home(world) as home, Server() as server:
        url = f'"{server.url("/bytes/2000")}?seed=$i"'
        one = f"i=$i setsid -w sh -c '$PROGRAM curl -0 -sS --max-time 60 -o out.$i {url}'"
        direct, shim = home.both(repeat(times, one), server, timeout=900)
        told = home.status()
    check(direct.connections == times, f"directly {direct.connections} connections")
    check(len(shim.outcome.files) == times, "answers are missing")
    check(shim.connections <= 5, f"{shim.connections} connections for {times} commands; {told}")
    check(told["connects"] == times and told["handshakes_saved"] == times - shim.connections,
          f"the server saw {shim.connections} connections for {times} commands; --status says {told}")
    world.note(f"{times} commands, each from its own shell: {shim.connections} connections; {told['asked_for']} came from the "
               f"broker, which was asked {told['asked']} times, {told['unanswered']} of them in vain")


@for_all_users
@case
def commands_at_a_time(world):
    times = world.size(40, 1000)
    with Home(world) as home, Server() as server:
        one = f'$PROGRAM curl -0 -sS --max-time 60 -o out.$i "{server.url("/bytes/2000")}?seed=$i"'
        _, shim = home.both(parallel(times, 16, one), server, timeout=900)
    check(len(shim.outcome.files) == times, "answers are missing")
    check(shim.connections <= 40, f"{shim.connections} connections")
    world.note(f"{times} commands, 16 at a time: {shim.connections} connections")


@case
def commands_with_pauses(world):
    """What lies idle for more than a moment is with the broker, and comes from there."""
    times = world.size(4, 20)
    with Home(world) as home, Server() as server:
        one = f'sleep 0.6; $PROGRAM curl -0 -sS "{server.url("/bytes/2000")}?seed=$i"'
        _, shim = home.both(repeat(times, one), server, timeout=200)
        told = home.status()
    check(shim.connections == 1, f"{shim.connections} connections")
    check(told["asked_for"] >= times / 2 and told["hoarded"] >= times / 2, f"it was not with the broker: {told}")
    world.note(f"{times} commands with pauses: {shim.connections} connections, {told['asked_for']} from the broker")


@case
def idle_and_age_and_count(world):
    """HOLDFAST_IDLE, and what the server says of time and number, hold for what the broker has."""
    with Home(world) as home, Server("--announce", "--keepalive-timeout", "3000") as server:
        get = f"$PROGRAM curl -0 -sS {server.url('/bytes/9')}"
        seen = home.run(["sh", "-c", f"{get}; sleep 0.7; {get}; sleep 2.4; {get}"], server)
        check(seen.connections == 2, f"{seen.connections} connections with timeout=3")
        check(home.status()["ended"] == 0, "it was kept until the server closed it")
    with Home(world) as home, Server("--announce", "--max-requests", "3") as server:
        get = f"sleep 0.5; $PROGRAM curl -0 -sS {server.url('/bytes/9')}"
        seen = home.run(repeat(6, get), server)
        check(seen.connections == 2, f"{seen.connections} connections for 6 requests with max=3")
    with Home(world) as home, Server() as server:
        get = f"$PROGRAM curl -0 -sS {server.url('/bytes/9')}"
        seen = home.run(["sh", "-c", f"{get}; sleep 2.8; {get}"], server, HOLDFAST_IDLE="2")
        check(seen.connections == 2, f"{seen.connections} connections with HOLDFAST_IDLE=2")


@case
def another_host_and_unsafe_methods(world):
    with Home(world) as home, Server() as server:
        url = server.url("/bytes/10")
        a, b, post = (f"$PROGRAM curl -0 -sS {words} '{url}?{mark}'" for words, mark in
                      (("-H 'Host: a.test'", "a"), ("-H 'Host: b.test'", "b"), ("-d x=y", "post")))
        _, shim = home.both(repeat(3, f"{a} && sleep 0.4 && {b} && {a} && sleep 0.4 && {post}"), server)
        a, b = served(shim.hits, "?a"), served(shim.hits, "?b")
        check(not a & b, f"connections {sorted(a & b)} served two hosts")
        check(len(a) <= 4 and len(b) <= 3, f"{len(a)} and {len(b)} connections")
        check(all(hit.nth == 1 for hit in shim.hits if "?post" in hit.target), "a POST was sent on a used connection")


@case
def preloaded_by_hand(world):
    """No launcher: the process looks for the broker itself, once."""
    library = os.path.join(os.path.dirname(world.holdfast), "libholdfast.so")
    with Home(world) as home, Server() as server:
        alone = home.command("env", f"LD_PRELOAD={library}", "curl", "-0", "-sS", server.url("/bytes/10"))
        check(alone.returncode == 0 and not home.pids(), f"without a broker: {alone}")
        with home.daemon() as daemon:
            server.stats()
            for pause in 0, 0, 0, 0.6, 0.6:
                wait_ms(1000 * pause)
                done = home.command("env", f"LD_PRELOAD={library}", "curl", "-0", "-sS", server.url("/bytes/10"))
                check(done.returncode == 0 and done.stdout == alone.stdout, f"other bytes: {done}")
            check(server.stats()["connections"] == 1, "not shared")
            fds = home.command("env", f"LD_PRELOAD={library}", world.client, "get", server.at("/bytes/0"), "fds")
            check(fds.stdout == "", f"a program sees {fds.stdout!r}")
            daemon.terminate()


@case
def launchers_within(world):
    """One kind of sharing within the other, and off in both: to each its own."""
    with Home(world) as home, Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        words = {kind: f"HOLDFAST_SHARE={kind} $PROGRAM sh -c" for kind in ("tree", "user", "off")}
        texts = [f"{words['user']} '{get}?u; $PROGRAM {get}?u; {get}?u'",
                 f"{words['tree']} '{get}?t; {words['user']} \"{get}?u; {get}?u\"; {get}?t'",
                 f"{words['user']} '{get}?u; {words['tree']} \"{get}?t2; {get}?t2\"; {get}?u'",
                 f"{words['user']} '{get}?u; {words['off']} \"{get}?o; {get}?o\"; {get}?u'"]
        _, shim = home.both(["sh", "-c", "; ".join(texts)], server)
        user, tree, other, off = (served(shim.hits, mark) for mark in ("?u", "?t", "?t2", "?o"))
        check(len(user) == 1, f"{len(user)} connections of the user's")
        check(not user & (tree | other | off), "shared beyond what was asked for")
        check(len(off) == 2, f"{len(off)} connections where sharing is off")


@case
def what_a_program_sees_open(world):
    with Home(world) as home:
        for words in (f"$PROGRAM {world.client} fds", f"$PROGRAM sh -c '{world.client} fds; exec {world.client} fds'",
                      f"$PROGRAM env -u LD_PRELOAD {world.client} fds", f"$PROGRAM env HOLDFAST_SHARE=off {world.client} fds",
                      f"$PROGRAM sh -c 'HOLDFAST_SHARE=tree $PROGRAM {world.client} fds'"):
            home.both(["sh", "-c", words], HOLDFAST_STATS="")


@for_root
@case
def two_users(world):
    """Each has a broker of his own, in the usual place, and the other's connections are none of it."""
    words = f"setpriv --reuid {OTHER} --regid {OTHER} --clear-groups env HOME=/"
    if not world.is_root or not can(*words.split(), "true"):
        raise Skipped("needs root")
    ordinary = type(world)("other", words.split(), OTHER, world.full, world.notes)
    try:
        with Home(world) as home, Home(ordinary) as his, Server() as server:
            for i in range(world.size(6, 40)):
                for place, mark in (home, "ours"), (his, "theirs"):
                    done = place.command(place.world.holdfast, "curl", "-0", "-sS", f"{server.url('/bytes/100')}?{mark}-{i}")
                    check(done.returncode == 0, f"{mark}: {done.stderr}")
                if i % 3 == 2:
                    wait_ms(500)
            hits = server.hits()
            check(home.pid() != his.pid(), "one broker for both")
            # Root with the other's environment.
            done = subprocess.run([world.holdfast, "curl", "-0", "-sS", f"{server.url('/bytes/100')}?root"],
                                  env={"PATH": os.environ["PATH"], **his.environment, "HOLDFAST_SHARE": "user"},
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
            check(done.returncode == 0, f"{done}")
            hits += server.hits()
            for pid in usual_place(world):
                end(pid)
    finally:
        ordinary.close()
    ours, theirs, root = served(hits, "ours-"), served(hits, "theirs-"), served(hits, "root")
    check(not ours & theirs and not root & theirs, f"{ours & theirs} {root & theirs} served both")
    check(len(ours) == len(theirs) == 1, f"{len(ours)} and {len(theirs)} connections")
    world.note(f"two users, {len(hits)} commands: {len(ours)} connection of the one, {len(theirs)} of the other")


@case
def two_namespaces(world):
    """The same address and port, another server there, the same directory."""
    unshare = ["unshare", "-n"] if world.is_root else ["unshare", "-rn"]
    if not can(*world.prefix, *unshare, "true"):
        raise Skipped(" ".join(unshare) + " fails")
    origin = os.path.join(world.build, "tests", "origin")
    with Home(world) as home, Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        pause = "sleep 0.5"
        inside = f"{world.client} lo; {origin} --port {server.port} --log $PWD/inside >ready & server=$!; " \
                 f"while [ ! -s ready ]; do sleep 0.02; done; for i in 1 2 3; do $PROGRAM {get}?inside-$i; {pause}; done; " \
                 f"{get}?inside-4; kill $server; wait; wc -l <inside; cut -d' ' -f3,4 <inside; rm inside ready"
        there = f"{' '.join(unshare)} sh -c {shlex.quote(inside)}"
        words = f"$PROGRAM {get}?outside; {pause}; {there}; $PROGRAM {get}?outside; " \
                f"$PROGRAM sh -c {shlex.quote(f'{get}?outside; {there}; {get}?outside')}; {pause}; $PROGRAM {get}?outside"
        _, shim = home.both(["sh", "-c", words], server, timeout=120)
        check([h.target for h in shim.hits if "inside" in h.target] == [], "a request left the namespace")
        check(len(shim.hits) == 5 and shim.connections == 1, f"{shim.connections} connections outside")
        brokers = len(home.names(".lock"))
    check(brokers == 3, f"{brokers} brokers were begun")
    world.note(f"two namespaces: {shim.connections} connection outside, {brokers} brokers")


@case
def status_in_three_ways(world):
    """By a parser that others use, against what the server counted; in a tree, in a user's family, outside."""
    if not can(PYTHON, "-c", "import prometheus_client.openmetrics.parser"):
        raise Skipped("no python3-prometheus-client: scripts/deps")
    with Home(world) as home, Server() as server:
        nothing = home.command(world.holdfast, "--status")
        check(nothing.returncode == 1 and not nothing.stdout and nothing.stderr.count("\n") == 1, f"{nothing}")
        bad = home.command(world.holdfast, "--status=xml")
        check(bad.returncode == 125 and not bad.stdout, f"{bad}")
        get = f"$PROGRAM curl -0 -sS {server.url('/bytes/10')}"
        seen = home.run(["sh", "-c", f"{get}; {get}; sleep 0.6; {get}; $PROGRAM curl -0 -sS -d a=b {server.url('/bytes/1')}"],
                        server)
        check(seen.connections == 2, f"{seen.connections} connections")
        endpoint = f"127.0.0.1:{server.port}"
        check(settles(lambda: home.held() == 1), f"the broker has not taken the POST's: {home.status()}")
        told, metrics, table = home.status(), parse(home.status("openmetrics")), \
            home.command(world.holdfast, "--status").stdout
        check((told["kind"], told["connects"], told["fresh"], told["handshakes_saved"], told["parked"]) ==
              ("broker", 4, 2, 2, 4), f"{told}")
        check(told["idle"] == [{**told["idle"][0], "endpoint": endpoint, "queued": 0, "held": 1}], f"{told}")
        check(told["misses"].get("pool_empty") == 1 and told["misses"].get("unsafe_method") == 1, f"{told}")
        check(0 < told["age_seconds"] < 60 and 0 < told["idle"][0]["oldest_seconds"] < 20, f"{told}")
        check(metrics[("holdfast_idle_connections", endpoint, "broker")] == 1 and
              metrics[("holdfast_connects_total",)] == 4 and metrics[("holdfast_handshakes_saved_total",)] == 2 and
              metrics[("holdfast_parks_total",)] == 4 and metrics[("holdfast_misses_total", "pool_empty")] == 1 and
              metrics[("holdfast_broker_up",)] == 1 and
              sum(metrics[("holdfast_leases_total", who)] for who in ("process", "others", "broker")) == 3, f"{metrics}")     # the POST gave one up
        check(f"{endpoint} " in table and f"process {home.pid()}" in table, table)
        for share in "tree", "user":
            inside = f"HOLDFAST_SHARE={share} $PROGRAM sh -c 'curl -0 -sS {server.url('/bytes/10')} >/dev/null; " \
                     f"{world.holdfast} --status=openmetrics'"
            metrics = parse(home.run(["sh", "-c", inside]).outcome.stdout.decode())
            check(metrics[("holdfast_connects_total",)] == (1 if share == "tree" else 5), f"{share}: {metrics}")
            check(metrics[("holdfast_idle_connections", endpoint, "queue")] == 1, f"{share}: {metrics}")
            check(metrics[("holdfast_broker_up",)] == (share == "user"), f"{share}: {metrics}")


PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
rows = [[s.name, *(v for k, v in s.labels.items() if k != "uid"), s.value] for family in parse(sys.stdin.read()) for s in family.samples]
print(json.dumps(rows))
"""


def parse(text):
    import json
    done = subprocess.run([PYTHON, "-c", PARSE], input=text, capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, f"no OpenMetrics: {done.stderr[-600:]}\n{text}")
    return {tuple(row[:-1]): row[-1] for row in json.loads(done.stdout)}


@case
def status_of_many_endpoints(world):
    endpoints = world.size(40, 250)
    with Home(world) as home, Server() as server:
        gets = " ".join(f"get 127.0.1.{i}:{server.port}/bytes/1" for i in range(1, endpoints + 1))
        seen = home.run(["sh", "-c", f"$PROGRAM {world.client} {gets}"], server, HOLDFAST_IDLE="600")
        check(seen.outcome.status == 0 and seen.connections == endpoints, f"{seen}")
        metrics = parse(home.status("openmetrics"))
        rows = [key for key in metrics if key[0] == "holdfast_idle_oldest_seconds"]
        check(len(rows) >= endpoints * 0.5, f"only {len(rows)} of {endpoints} endpoints are kept")
    world.note(f"one process, {endpoints} endpoints: {len(rows)} are kept")
