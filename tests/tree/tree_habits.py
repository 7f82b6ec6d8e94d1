# SPDX-License-Identifier: ISC
"""Cases of tests/tree/e2e_tree: what processes do with themselves and their descriptors, and how they end.  None of
it may do harm; where it can, sharing goes on."""

import contextlib
import os
import shlex
import tempfile

from servers import find_program
from tree_reuse import PYTHON
from tree_run import STATES, Server, Skipped, can, case, check, long_case, repeat, settles, sockets, tree_constant

CLOSERS = ("loop", "range", "from", "mark")


def numbered(server, client, action="get", size=300):
    return f'{client} {action} {server.at(f"/bytes/{size}")}"?seed=$i"'


@case
def every_way_to_end(world):
    """One connection is opened, and the end of each process hands it on."""
    with Server() as server:
        for way in "exit", "_exit", "quick", "group":
            world.few(repeat(8, numbered(server, world.client) + f" {way}"), server, 2)
        world.few(repeat(8, numbered(server, world.client)), server, 2)
        world.few(repeat(8, numbered(server, world.client, "leave")), server, 2)
        # What is killed loses what it held, and nothing else.
        world.both(repeat(8, numbered(server, world.client) + " kill; true"), server)


@case
def exec_hands_over(world):
    """The same process, another program: again and again, and into one that is not a client."""
    with Server() as server:
        get = [world.client, "get", server.at("/bytes/100")]
        world.few([*get, "exec", *get, "exec", *get, "exec", *get, "exec", *get], server, 1)
        world.few(repeat(8, numbered(server, world.client) + " exec true"), server, 2)
        world.few(repeat(8, numbered(server, f"env nice -n 1 {world.client}")), server, 2)


PYTHON_EXEC = """
import os, sys, urllib.request
url, left = sys.argv[1], int(sys.argv[2])
sys.stdout.buffer.write(urllib.request.urlopen(url + "?seed=%d" % left, timeout=20).read())
sys.stdout.flush()
if left > 1:
    os.execv(sys.executable, [sys.executable, sys.argv[0], url, str(left - 1)])
"""

PYTHON_CHILDREN = """
import subprocess, sys, urllib.request
url, n = sys.argv[1], int(sys.argv[2])
for i in range(n):
    sys.stdout.buffer.write(urllib.request.urlopen(url + "?seed=%d" % i, timeout=20).read())
    sys.stdout.flush()
    subprocess.run(["curl", "-0", "-sS", url + "?seed=%d" % (n + i)], check=True, close_fds=sys.argv[3] == "1")
"""

PYTHON_FORKS = """
import os, sys, urllib.request
url, n = sys.argv[1], int(sys.argv[2])
def get(i):
    sys.stdout.buffer.write(urllib.request.urlopen(url + "?seed=%d" % i, timeout=20).read())
    sys.stdout.flush()
for i in range(n):
    get(i)
    child = os.fork()
    if child == 0:
        get(n + i)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def script(text):
    """The script as a word that does not depend on a file."""
    return ["-c", "import sys; sys.argv = ['-'] + sys.argv[1:]\n" + text]


@case
def python_that_executes_itself(world):
    with Server() as server:
        shell = f"cat >script.py <<'END'\n{PYTHON_EXEC}\nEND\nexec {PYTHON} script.py {server.url('/bytes/99')} 6"
        world.few(["sh", "-c", shell], server, 1)


@case
def long_lived_parent_and_its_children(world):
    """What the parent has idle is of use to its children, and the other way round."""
    times = 8
    with Server() as server:
        for close_fds in "0", "1":
            words = [PYTHON, *script(PYTHON_CHILDREN), server.url("/bytes/200"), str(times), close_fds]
            _, shim = world.both(words, server)
            world.note(f"a parent and children, close_fds={close_fds}: {shim.requests} requests, "
                       f"{shim.connections} connections")
            check(close_fds == "1" or shim.connections <= 3, f"{shim.connections} connections")
            check(shim.connections <= times + 2, f"{shim.connections} connections")


@case
def forks_that_do_not_exec(world):
    with Server() as server:
        words = [PYTHON, *script(PYTHON_FORKS), server.url("/bytes/200"), "8"]
        _, shim = world.few(words, server, 10)
        world.note(f"forks without exec: {shim.requests} requests, {shim.connections} connections")


@case
def closers_of_descriptors(world):
    """They close what they do not know, then ask, then start others; and more come after them."""
    with Server() as server:
        get = f"{world.client} get {server.at('/bytes/100')}"
        for closer in CLOSERS:
            one = f"{get}?before=$i && {world.client} {closer} get {server.at('/bytes/200')}?closed=$i run {get}?below=$i . " \
                  f"get {server.at('/bytes/200')}?again=$i exec {get}?after=$i"
            _, shim = world.both(repeat(5, one), server)
            world.note(f"closer by {closer}: {shim.requests} requests, {shim.connections} connections")
            # Before, and what comes after the whole: those at least go on sharing.
            check(shim.connections <= 1 + 5 * 4, f"{closer}: {shim.connections} connections")
            befores = {hit.connection for hit in shim.hits if "before" in hit.target}
            check(len(befores) <= 2 or shim.connections <= 5, f"{closer}: {len(befores)} connections for those beside it")


@case
def shells_jobs_and_sessions(world):
    """Background jobs, nohup, setsid, pipelines, subshells, command substitution, timeout, xargs."""
    with Server() as server:
        get = f"{world.client} get {server.at('/bytes/100')}"
        text = f"""
            {get}?1 & wait; nohup {get}?2 2>/dev/null; setsid -w {get}?3
            {get}?4 | cat; ({get}?5); echo $({get}?6); timeout 20 {get}?7
            echo {server.at('/bytes/100')}?8 | xargs {world.client} get
            {{ {get}?9; {get}?10; }} | (cat; {get}?11); exec {get}?12"""
        world.few(["bash", "-c", text], server, 5)


@case
def launcher_under_launcher(world):
    with Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        inner = f"{world.holdfast} sh -c '{get}; {get}; {world.holdfast} {get}'"
        words = ["sh", "-c", f"{get}; {world.holdfast} {get}; {inner}; {get}; {get}"]
        shim = world.run(words, server)
        one = world.run(["curl", "-0", "-sS", server.url("/bytes/100")], server, shim=False)
    check(shim.outcome.status == 0 and shim.outcome.stdout == one.outcome.stdout * 7, "other bytes than directly")
    world.note(f"launchers within launchers: {shim.connections} connections for {shim.requests} requests")
    check(shim.connections <= 4, f"{shim.connections} connections")


NEW_PIDS = """
import ctypes, os, platform, sys
CLONE_NEWPID, SIGCHLD = 0x20000000, 17
pid = ctypes.CDLL(None).syscall({"x86_64": 56, "aarch64": 220}[platform.machine()], CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0)
if pid == 0 and os.fork() == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
status = os.waitpid(-1, 0)[1]
os._exit(os.waitstatus_to_exitcode(status))
"""


@case
def a_sandbox_with_pids_of_its_own(world):
    """As bwrap --unshare-pid begins: clone past libc; the parent has no number there.  All share still."""
    if not world.is_root:
        raise Skipped("needs root")
    with Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        _, shim = world.both(["sh", "-c", f"{get}; python3 -c '{NEW_PIDS}' sh -c '{get}; {get}; {get}'; {get}"], server)
        check(shim.requests == 5 and shim.connections <= 2, f"{shim.connections} connections for {shim.requests}")


@case
def launcher_as_the_first_process(world):
    """PID 1 of a container, where what is orphaned becomes its child."""
    words = ["unshare", "-pf", "--mount-proc"] if world.is_root else ["unshare", "-rpf", "--mount-proc"]
    if not can(*world.prefix, *words, "true"):
        raise Skipped(" ".join(words) + " fails")
    with Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        shell = f"{get}; {get}; (setsid sh -c 'sleep 0.2; {get} >late' &) ; {get}; sleep 1; {get}"
        shim = world.run([*words, world.holdfast, "sh", "-c", shell], server, shim=False)
        direct = world.run([*words, "sh", "-c", shell], server, shim=False)
    check((shim.outcome.status, shim.outcome.stdout, shim.outcome.files) ==
          (direct.outcome.status, direct.outcome.stdout, direct.outcome.files), f"differs: {shim.outcome}")
    check(shim.requests == 5 and shim.connections <= 2, f"{shim.connections} connections for {shim.requests}")


def extra_descriptors(world, words):
    """What is open under holdfast and not directly, as the program itself sees it."""
    direct, shim = world.run(words, shim=False), world.run(words, HOLDFAST_STATS="")
    check(shim.outcome.status == direct.outcome.status == 0, f"{words}: {shim.outcome.stderr[-200:]!r}")
    extra = shim.outcome.stdout.decode().splitlines()
    for line in direct.outcome.stdout.decode().splitlines():
        check(line in extra, f"{' '.join(words)}: {line} is missing")
        extra.remove(line)
    return extra


@case
def what_a_program_sees_open(world):
    """Who goes through what is open, as LVM's tools do, finds what it finds directly."""
    for words in ([world.client, "fds"], ["sh", "-c", f"{world.client} fds; exec {world.client} fds"],
                  [world.client, "run", world.client, "fds", ".", "fds", "exec", world.client, "fds"],
                  *(["env", *change, world.client, "fds"] for change in
                    (["-u", "LD_PRELOAD"], ["HOLDFAST=0"], ["HOLDFAST_SHARE=off"]))):
        extra = extra_descriptors(world, words)
        check(not extra, f"{' '.join(words)} sees {extra}")


@case
def what_lvm_says_of_them(world):
    """LVM's tools warn of each descriptor that they are handed."""
    lvm = find_program("lvm")
    if not lvm:
        raise Skipped("no lvm")
    for change in [], ["HOLDFAST=0"], ["HOLDFAST_SHARE=off"], ["-u", "LD_PRELOAD"]:
        words = ["env", *change, lvm, "version"]
        direct, shim = world.run(words, shim=False), world.run(words, HOLDFAST_STATS="")
        said, more = (x.outcome.stderr.count(b" leaked on lvm") for x in (direct, shim))
        check(said == more, f"{words} warns {more} times instead of {said}")


@case
def what_a_static_program_sees_open(world):
    """The library is not in it.  What it sees is what README says."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "treeclient.c")
    static = os.path.join(world.build if world.uid else tempfile.gettempdir(), f"treeclient-static-{os.getpid()}")
    if not can("cc", "-static", "-o", static, source):
        raise Skipped("no static libc")
    try:
        for words in [static, "fds"], ["sh", "-c", f"{static} fds"], [world.client, "exec", static, "fds"]:
            extra = extra_descriptors(world, words)
            world.note(f"a static program, by {words[0].rsplit('/', 1)[-1]}, sees {extra or 'nothing'} more than directly")
            check(len(extra) <= tree_constant("TREE_FDS"), f"a static program sees {extra}")
    finally:
        os.unlink(static)


@case
def what_a_program_sees_open_after_a_request(world):
    with Server() as server:
        get = [world.client, "get", server.at("/bytes/0")]
        for words in ([*get, "run", world.client, "fds", "."], [*get, "exec", world.client, "fds"],
                      ["sh", "-c", f"{' '.join(get)}; {world.client} fds"]):
            world.both(words, server, HOLDFAST_STATS="")


@case
def every_number_is_the_programs_own(world):
    """A program that wants a certain number gets it, and so do its children."""
    with Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/100')}"
        text = f"""
            ulimit -Sn 1024; {get}
            for n in {{1000..1023}}; do eval "exec $n>f$n"; done; {get}
            for n in {{1000..1023}}; do eval "echo $n >&$n"; bash -c "echo child >&$n"; done; {get}
            for n in {{1000..1023}}; do env -u LD_PRELOAD bash -c "echo plain >&$n"; done; {get}
            for n in {{1000..1023}}; do eval "exec $n>&-"; done; {get}; {get}"""
        _, shim = world.both(["bash", "-c", text], server)
        world.note(f"every number taken for a while: {shim.connections} connections for {shim.requests} requests")


@long_case
def what_is_done_to_inherited_descriptors(world):
    """Reads, writes and the like by syscall, in programs with the library and without: nobody is harmed."""
    with Server() as server:
        get = f"curl -0 -sS {server.url('/bytes/1000')}?seed=$i"
        for act in "read", "write", "ctl", "shut", "read write":
            for how in "", "env -u LD_PRELOAD ":
                meddle = f"{how}{world.client} {act}"
                direct, shim = world.both(repeat(4, f"{get}; {meddle}; {get}"), server)
                check(direct.requests == shim.requests == 8, f"{act}: {shim.requests} requests")
                check(act in ("shut", "ctl") or shim.connections <= 8, f"{act}: {shim.connections} connections")
                world.note(f"{how}{act}: {shim.connections} connections for {shim.requests} requests")


@case
def the_last_process_ends(world):
    """Then the server sees all connections end."""
    with Server() as server:
        shell = f"for i in 1 2 3 4 5 6 7 8; do {world.client} many 4 {server.at('/bytes/100')} >out.$i & done; wait"
        _, shim = world.both(["sh", "-c", shell], server)
        check(shim.connections >= 4, f"only {shim.connections} connections")
        check(settles(lambda: server.sockets("ESTABLISHED", "server") == 0, 5),
              f"{server.sockets('ESTABLISHED', 'server')} connections are still open")


@case
def background_job_outlives_the_shell(world):
    """What it shares lives as long as any process under the launcher."""
    with Server() as server:
        get = f"{world.client} get {server.at('/bytes/100')}"
        shell = f"{get}; (sleep 0.7; {get}; {get}; sleep 0.2) >/dev/null 2>&1 & exit 0"
        with world.start(["sh", "-c", shell]) as child:
            check(child.wait(10) == 0, "the shell fails")
        check(settles(lambda: server.stats(False)["requests"] == 3 and
                      server.sockets("ESTABLISHED", "server") == 0), "the job's requests, or its end, are missing")
        check(server.stats()["connections"] <= 1, "the background job did not share")


PYTHON_LONG_LIVED = """
import http.client, os, sys, threading, time, traceback
threading.excepthook = lambda args: (traceback.print_exception(args.exc_value), os._exit(1))
port, rounds = int(sys.argv[1]), int(sys.argv[2])
def one(host, path):
    c = http.client.HTTPConnection(host, port, timeout=20)
    c.request("GET", path)
    c.getresponse().read()
    c.close()
for i in range(rounds):
    threads = [threading.Thread(target=one, args=("127.0.0.%d" % (10 + i), "/bytes/100?stall=20")) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    time.sleep(0.05)
print("done", flush=True)
sys.stdin.readline()
"""


def dead_of(pid, port):
    """How many of the process's own descriptors lead to connections that the server has closed."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    dead = {f"socket:[{row[9]}]" for row in rows
            if int(row[2].split(":")[1], 16) == port and int(row[3], 16) == STATES["CLOSE_WAIT"]}
    held = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            held.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return len(dead.intersection(held))


@case
def no_pile_of_dead_connections(world):
    """A process lives on, and its servers close what is idle: not all of it may stay, in the process or in
    what it shares."""
    most = tree_constant("TREE_MOST_PRIVILEGED" if world.is_root else "TREE_MOST")
    rounds = world.size(most // 4, 200)
    with Server("--keepalive-timeout", "40") as server:
        child = world.start([PYTHON, *script(PYTHON_LONG_LIVED), str(server.port), str(rounds)])
        with child:
            for line in child.stdout:
                if line == "done\n":
                    break
            dead, own = sockets(server.port, "CLOSE_WAIT", "client"), dead_of(child.pid, server.port)
            child.stdin.close()
            child.stdin = None
            check(child.wait(20) == 0, "a request failed")
        opened = server.stats()["connections"]
    world.note(f"{opened} connections that the server closed when idle: {dead} of them are still held, {own} by "
               "the process itself")
    check(opened > most + 20, f"only {opened} connections were opened")
    check(dead <= most + 8, f"{dead} dead connections of {opened} are held")
    check(own <= 12, f"{own} dead connections of {opened} are held by the process itself")


PYTHON_BURST = """
import os, select, sys, threading, time, urllib.request
def get(i):
    urllib.request.urlopen(sys.argv[1] + "?burst=%d" % i, timeout=20).read()
for i in range(8):
    threads = [threading.Thread(target=get, args=(i,)) for _ in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
print("quiet", flush=True)
if sys.argv[2] == "select":
    select.select([sys.stdin], [], [])
elif sys.argv[2] == "poll":
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.poll()
elif sys.argv[2] == "sleep":
    time.sleep(1)
elif sys.argv[2] == "wait":
    os.system("sleep 1")
else:
    sys.stdin.readline()
"""


def quiet_by(world, way):
    """A process was busy and has nothing to do now: what it has idle is of use to the others."""
    with Server() as server:
        text = f"{PYTHON} -c {shlex.quote(PYTHON_BURST)} {server.url('/bytes/100')} {way} <&3 | {{ read quiet; sleep 0.3; " \
               f"{world.client} get {server.at('/bytes/10')}?after >/dev/null; echo done; }}"
        with world.start(["bash", "-c", f"exec 3<&0; {text}"]) as child:
            check(child.stdout.readline() == "done\n", "the shell fails")
            child.stdin.close()
            child.stdin = None
        hits = server.hits()
    busy = {hit.connection for hit in hits if "burst" in hit.target}
    after = {hit.connection for hit in hits if "after" in hit.target}
    check(len(after) == 1 and after <= busy, f"{way}: the others had to open {after} beside {busy}")


@case
def what_a_quiet_process_holds(world):
    for way in "select", "poll", "sleep", "wait":
        quiet_by(world, way)


@case
def what_a_process_holds_that_reads(world):
    quiet_by(world, "read")


@case
def stdin_and_pipes_stay_what_they_are(world):
    """A program that counts on the lowest free descriptor gets the one that it gets directly."""
    with Server() as server:
        python = f"""
import os, socket, urllib.request
print([os.open("/dev/null", 0) for _ in range(4)], socket.socket().fileno())
urllib.request.urlopen("{server.url('/bytes/1')}").read()
print(os.open("/dev/null", 0))
print(sorted(int(f) for f in os.listdir("/proc/self/fd"))[:3])"""
        world.both([PYTHON, "-c", python], server)
