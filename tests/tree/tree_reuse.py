# SPDX-License-Identifier: ISC
"""Cases of tests/tree/e2e_tree: how much is reused.  The figures that sharing is for."""

import json
import os
import shutil
import sys
import tempfile

from servers import find_program
from tree_run import ORDINARY, Failed, Server, Skipped, can, case, check, long_case, parallel, repeat

PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
URLLIB = f"{PYTHON} -c \"import sys, urllib.request as u; " \
         "sys.stdout.buffer.write(u.urlopen(sys.argv[1], timeout=20).read())\""

# {url}: with a seed that makes each answer another.
CLIENTS = {
    "curl -0": "curl -0 -sS --max-time 60 -o out.$i {url}",
    "curl": "curl -sS --max-time 60 -o out.$i {url}",
    "wget": "wget -q -T 60 -O out.$i {url}",
    "wget one-shot": "wget -q -T 60 --no-http-keep-alive -O out.$i {url}",
    "python": URLLIB + " {url} >out.$i",
}


def command(name, server, size=2000):
    return CLIENTS[name].format(url=f'"{server.url(f"/bytes/{size}")}?seed=$i"')


def one_after_another(world, name, times, most):
    with Server() as server:
        direct, shim = world.few(repeat(times, command(name, server)), server, most, timeout=900)
    check(direct.connections == direct.requests == times, f"directly {direct.connections} connections")
    check(len(shim.outcome.files) == times, "answers are missing")
    world.note(f"{name}, {times} processes one after another: {shim.connections} connections")


@long_case
def curl_0_one_after_another(world):
    one_after_another(world, "curl -0", world.size(60, 1000), 5)


@case
def curl_one_after_another(world):
    one_after_another(world, "curl", world.size(20, 1000), 5)


@case
def wget_one_after_another(world):
    one_after_another(world, "wget", world.size(20, 1000), 5)


@case
def wget_one_shot_one_after_another(world):
    one_after_another(world, "wget one-shot", world.size(20, 1000), 5)


@case
def python_one_after_another(world):
    one_after_another(world, "python", world.size(8, 300), 5)


def at_a_time(world, name, text, times):
    """`text` is run 16 at a time."""
    with Server() as server:
        _, shim = world.few(parallel(times, 16, text(server)), server, 32, timeout=900)
    check(len(shim.outcome.files) == times, "answers are missing")
    world.note(f"{name}, {times} processes, 16 at a time: {shim.connections} connections")


def mixed(server):
    """Takes turns by the last digit."""
    rows = "\n".join(f"*[{digits}]) {command(name, server)} ;;" for digits, name in
                     (("0123", "curl -0"), ("45", "curl"), ("67", "wget"), ("8", "wget one-shot"),
                      ("9", "python")))
    return f"case $i in {rows} esac"


@long_case
def curl_0_at_a_time(world):
    at_a_time(world, "curl -0", lambda server: command("curl -0", server), world.size(64, 1000))


@long_case
def all_sorts_at_a_time(world):
    at_a_time(world, "all sorts", mixed, world.size(60, 1000))


@long_case
def large_answers_at_a_time(world):
    at_a_time(world, "1 MB", lambda server: command("curl -0", server, 1000000), world.size(24, 500))


@case
def busybox(world):
    """Its shell and its wget; it may run its own programs without an exec."""
    program = find_program("busybox")
    if not program:
        raise Skipped("no busybox")
    times = world.size(20, 1000)
    with Server() as server:
        fetch = f'{program} wget -q -O - "{server.url("/bytes/500")}?seed=$i"'
        loop = f"i=0; while [ $i -lt {times} ]; do {fetch} || exit 9; i=$((i+1)); done"
        _, shim = world.few([program, "sh", "-c", loop], server, 5, timeout=900)
    world.note(f"BusyBox, {times} processes: {shim.connections} connections")


@long_case
def fifty_endpoints_in_turn(world):
    endpoints, times = 50, world.size(200, 2000)
    with Server() as server:
        fetch = f'{world.client} get 127.0.0.$((1 + i % {endpoints})):{server.port}"/bytes/300?seed=$i"'
        _, shim = world.both(repeat(times, fetch), server, timeout=900, HOLDFAST_IDLE="300")
    could = times - endpoints
    reused = times - shim.connections
    check(reused >= 0.9 * could, f"{shim.connections} connections: {reused} of {could} were reused")
    world.note(f"{endpoints} endpoints, {times} processes: {reused} of {could} reused")


@long_case
def fifty_endpoints_sixteen_at_a_time(world):
    endpoints, times = 50, world.size(100, 2000)
    with Server() as server:
        fetch = f'{world.client} get 127.0.0.$((1 + i % {endpoints})):{server.port}"/bytes/300?seed=$i" >out.$i'
        _, shim = world.both(parallel(times, 16, fetch), server, timeout=900, HOLDFAST_IDLE="300")
    check(len(shim.outcome.files) == times, "answers are missing")
    world.note(f"{endpoints} endpoints, {times} processes, 16 at a time: {shim.connections} connections")


@case
def off_is_off(world):
    times = 10
    with Server() as server:
        for values in {"HOLDFAST_SHARE": "off"}, {"HOLDFAST": "off"}:
            _, shim = world.both(repeat(times, command("curl -0", server)), server, **values)
            check(shim.connections == times, f"{values}: {shim.connections} connections for {times} processes")
            check(not shim.sum("shared_taken") and not shim.sum("shared_given"), f"{values}: something was shared")


@case
def counted_in_the_statistics(world):
    with Server() as server:
        shim = world.run(repeat(10, f"{world.client} get {server.at('/bytes/10')}"), server)
    taken, given = shim.sum("shared_taken"), shim.sum("shared_given")
    check(taken == shim.sum("leased") == 10 - shim.connections, f"taken {taken}, leased {shim.sum('leased')}")
    check(given >= taken, f"given {given}, taken {taken}")


def kill_at_random(world, close_fds):
    """A driver starts clients, and kills some of them at any time; the others must not notice."""
    runs = world.size(200, 10000)
    kills = runs // 5
    answers = tempfile.mkdtemp(prefix="holdfast-tree-answers-")
    try:
        os.chmod(answers, 0o755)
        here = os.path.dirname(os.path.abspath(__file__))
        driver = shutil.copy(os.path.join(here, "tree_kill.py"), answers)
        with Server() as server:
            words = [PYTHON, driver, server.url("/"), str(runs), str(kills), str(int(close_fds)), world.client]
            shim = world.run(words, server, timeout=1500)
        check(shim.outcome.status == 0, f"the driver failed: {shim.outcome.stderr[-800:]!r}")
        told = json.loads(shim.outcome.stdout)
        check(told["killed"] >= 0.8 * kills, f"only {told['killed']} were killed in time")
        check(not told["failed"], f"{len(told['failed'])} clients failed: {told['failed'][:3]}")
        check(not told["wrong"], f"{len(told['wrong'])} clients were given other bytes: {told['wrong'][:3]}")
        check(told["good"] + told["killed"] == runs, f"not all are accounted for: {told}")
        world.note(f"kill -9 ({'close_fds' if close_fds else 'plain'}): {runs} processes, {told['killed']} killed, "
                   f"{told['good']} unharmed, {shim.connections} connections for {shim.requests} requests")
    finally:
        shutil.rmtree(answers, ignore_errors=True)


@long_case
def killed_at_random(world):
    kill_at_random(world, False)


@long_case
def killed_at_random_under_a_closer_of_descriptors(world):
    kill_at_random(world, True)


@long_case
def wire_of_20_ms(world):
    """What a request costs there, by the clock of a shell around each process: medians."""
    from holdfast_test import BUILD
    wire = os.path.join(BUILD, "delay-wire")
    if not world.is_root and not world.uid:
        raise Skipped("needs root")
    if not can(wire, "--", "true"):
        raise Skipped("no wire to be had")
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree_wire.py")
    times = world.size(21, 101)
    user = str(ORDINARY) if world.uid else "0"
    words = [wire, "--rtt", "20", "--", sys.executable, here, world.holdfast, str(times), user]
    # A busy machine takes its share, so the quietest of three counts; if handshakes were made all the same,
    # nothing would be saved in any.
    least = world.size(0.6, 0.9) * 20
    for _ in range(3):
        told = on_the_wire(words, times)
        world.note(f"a wire of 20 ms, {times} processes: {told['direct_ms']:.1f} ms each directly, "
                   f"{told['shim_ms']:.1f} under holdfast: {told['saved_ms'] / 20:.2f} round trips less; packets "
                   f"each {told['direct_packets']:.1f} and {told['shim_packets']:.1f}")
        if told["saved_ms"] >= least:
            return
    raise Failed(f"only {told['saved_ms']:.1f} ms less than directly: {told}")


def on_the_wire(words, times):
    done = world_free_run(words)
    check(done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-500:]}")
    told = json.loads(done.stdout)
    check(told["direct_connections"] == times, f"directly {told['direct_connections']} connections")
    check(told["same"], "other bytes than directly")
    check(told["shim_connections"] <= 5, f"{told['shim_connections']} connections")
    return told


def world_free_run(words):
    import subprocess
    from holdfast_test import clean_environment
    return subprocess.run(words, env=clean_environment(), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=300, check=False)
