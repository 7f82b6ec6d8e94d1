# SPDX-License-Identifier: ISC
"""Cases of tests/broker/e2e_broker: holdfastd as a program: how it is started, what it holds, how it ends."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from broker_run import case, end, for_all_users, Home, is_alive, Notified, wait_ms
from holdfast_test import clean_environment
from tree_bounds import OTHER
from tree_reuse import PYTHON
from tree_run import Server, Skipped, check, parallel, settles

# Has it children that it did not make, or a signal that nobody sent?
CHILDLESS = """
import os, signal
print(signal.sigpending())
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
"""


@for_all_users
@case
def is_nobodys_child(world):
    """What the command finds of it: nothing, and no end of a pipe is kept from whoever waits for it."""
    with Home(world) as home:
        for prefix in "", "env --block-signal=CHLD ", "env --ignore-signal=CHLD ":
            words = f"{prefix}$PROGRAM {PYTHON} -c '{CHILDLESS}' 2>&1"
            home.both(["sh", "-c", words])
            pid = home.pid()
            if prefix:
                continue
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                _, parent, group, session, terminal = stat.read().rsplit(")", 1)[1].split()[:5]
            check(group == session != str(pid) and terminal == "0", f"group {group}, session {session}, terminal {terminal}")
            check(os.readlink(f"/proc/{pid}/cwd") == "/", "it is in a directory of the command's")
            held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            odd = [name for name in held if not re.match(r"socket:|anon_inode:|/dev/null$|/memfd:holdfast-board|.*\.lock$", name)]
            check(not odd, f"it holds {odd}")
            with open(f"/proc/{pid}/environ", "rb") as environment:
                names = {entry.split(b"=")[0] for entry in environment.read().split(b"\0") if entry}
            check(b"LD_PRELOAD" not in names and len(names) <= 4, f"{names}")
            end(pid)


@case
def does_not_keep_a_pipe(world):
    """x=$(holdfast curl ...) ends with curl, though a broker was begun meanwhile."""
    with Home(world) as home, Server() as server:
        text = f"x=$($PROGRAM curl -0 -sS {server.url('/bytes/10')}); y=$($PROGRAM sh -c 'true & curl -0 -sS " \
               f"{server.url('/bytes/10')}' 2>&1 3>&1 9>&1); echo $x $y"
        _, shim = home.both(["bash", "-c", text], server)
        check(shim.seconds < 20, f"it took {shim.seconds:.1f} s")
        home.pid()


@case
def not_by_who_adopts_orphans(world):
    """The first process of a container would find it among its children."""
    unshare = ["unshare", "-pf", "--mount-proc"] if world.is_root else ["unshare", "-rpf", "--mount-proc"]
    if subprocess.run([*world.prefix, *unshare, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        raise Skipped(" ".join(unshare))
    with Home(world) as home, Server() as server:
        words = " ".join(unshare) + f" $PROGRAM sh -c 'curl -0 -sS {server.url('/bytes/9')}; curl -0 -sS {server.url('/bytes/9')}'"
        _, shim = home.both(["sh", "-c", words], server)
        check(shim.connections == 1 and not home.pids(), f"{shim.connections} connections, {home.pids()}")


@case
def many_at_the_same_moment(world):
    """Launchers that all find no broker begin one, whatever was left there."""
    times = world.size(24, 200)
    with Home(world) as home, Server() as server:
        one = f'$PROGRAM curl -0 -sS -o out.$i "{server.url("/bytes/500")}?seed=$i"'
        for _ in range(world.size(2, 10)):
            _, shim = home.both(parallel(times, 16, one), server, timeout=300)
            check(settles(lambda: len(home.pids()) == 1, 5), f"{home.pids()}")
            check(len(running(home)) == 1, f"{len(running(home))} brokers run")
            check(shim.connections <= 40, f"{shim.connections} connections")
            end(home.pid())        # its socket's name stays behind
        world.note(f"{times} commands, 16 at a time, where a broker had died: {shim.connections} connections")


def running(home):
    """Every holdfastd with this XDG_RUNTIME_DIR, whatever the locks say."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environment, open(f"/proc/{pid}/comm", encoding="ascii") as name:
                if name.read() == "holdfastd\n" and home.path.encode() in environment.read():
                    found.append(int(pid))
        except OSError:
            pass
    return [pid for pid in found if is_alive(pid)]


@for_all_users
@case
def as_a_service(world):
    """Readiness, a second one, SIGTERM that closes what is idle, statuses."""
    with Home(world) as home, Server() as server:
        notified = Notified(home.path)
        daemon = home.daemon(NOTIFY_SOCKET=notified.path)
        check(notified.next() == "READY=1", "not READY=1")
        second = home.command(world.daemon)
        check(second.returncode == 1 and "another one is running" in second.stderr, f"{second}")
        get = f"$PROGRAM curl -0 -sS {server.url('/bytes/10')}"
        seen = home.run(["sh", "-c", f"{get}; {get}; sleep 0.6; {get}; $PROGRAM {world.client} many 4 {server.at('/bytes/9')}"], server)
        check(seen.outcome.status == 0 and home.pids() == [daemon.pid], f"{seen.outcome} {home.pids()}")
        check(seen.connections >= 4 and settles(lambda: server.sockets("ESTABLISHED", "server") == seen.connections, 3),
              f"{server.sockets('ESTABLISHED', 'server')} are idle of {seen.connections}: {home.status()}")
        daemon.send_signal(signal.SIGTERM)
        check(notified.next() == "STOPPING=1", "not STOPPING=1")
        check(daemon.wait(10) == 0, f"exit status {daemon.returncode}")
        check(settles(lambda: server.sockets("ESTABLISHED", "server") == 0, 3), "what was idle is still open")
        check([name for name in home.names() if not name.endswith(".lock")] == [], f"{home.names()} are left")
        check("is ready" in (log := daemon.stderr.read()) and "ended by signal 15" in log, log)
        notified.close()
        usage = home.command(world.daemon, "--what")
        check(usage.returncode == 2 and not usage.stdout, f"{usage}")
        for words in ["x"], ["--idle-exit=0"], ["--idle-exit=x"], ["--idle-exit"]:
            check(home.command(world.daemon, *words).returncode == 2, f"{words}")
        check(home.command(world.daemon, "--help").returncode == 0 and
              home.command(world.daemon, "--version").stdout.startswith("holdfastd "), "--help, --version")
        check(home.command(world.daemon, "--log=/nowhere/at/all").returncode == 1, "--log")


@case
def ends_when_idle(world):
    """With --idle-exit, once nobody is there who could want something; a command that runs is somebody."""
    with Home(world) as home, Server() as server:
        daemon = home.daemon("--idle-exit=1")
        started = time.monotonic()
        done = home.command(world.holdfast, "sh", "-c", f"curl -0 -sS {server.url('/bytes/10')}; sleep 2.5; "
                            f"curl -0 -sS {server.url('/bytes/10')}", )
        check(done.returncode == 0 and daemon.poll() is None, "it ended while a command was running")
        check(server.stats()["connections"] == 1, "not shared")
        end_idle = world.size(3, 15)
        done = home.command("env", f"HOLDFAST_IDLE={end_idle}", world.holdfast, "curl", "-0", "-sS", server.url("/bytes/10?last"))
        check(done.returncode == 0, f"{done}")
        check(daemon.wait(60) == 0, f"exit status {daemon.returncode}")
        check(time.monotonic() - started > 3, "it did not wait for what was idle")
        check("idle for 1 s" in daemon.stderr.read(), "it does not say so")


@case
def by_its_socket(world):
    """LISTEN_FDS: a service manager listens, and starts it when somebody comes."""
    with Home(world) as home, Server() as server:
        os.mkdir(home.directory, 0o700)
        if world.uid:
            os.chown(home.directory, world.uid, world.uid)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(os.path.join(home.directory, "socket"))
        os.chmod(os.path.join(home.directory, "socket"), 0o666)
        # Whose socket it is, is who listened.
        script = "import os, select, socket, sys; s = socket.socket(fileno=3); s.listen(); print(flush=True); " \
                 "select.select([s], [], []); " \
                 "os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
        words = [*world.prefix, PYTHON, "-c", script, world.daemon]
        daemon = subprocess.Popen(words, env=clean_environment({**home.environment, "LISTEN_FDS": "1"}), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, close_fds=False,
                                  preexec_fn=lambda: os.dup2(listening.fileno(), 3, inheritable=True) and None)
        listening.close()
        daemon.stdout.readline()
        done = home.command(world.holdfast, "--status=json")
        check(done.returncode == 0, f"whoever came before it was there: {done}")
        home.pid()
        for _ in range(3):
            done = home.command(world.holdfast, "curl", "-0", "-sS", server.url("/bytes/10"))
            check(done.returncode == 0, f"{done}")
        check(server.stats()["connections"] == 1, "not shared")
        check(home.pids() == [daemon.pid] == running(home), "another one was begun")
        check(not [name for name in home.names() if not name.endswith((".lock", "/socket"))], f"{home.names()}")
        daemon.terminate()
        said = daemon.stderr.read()
        check(daemon.wait(10) == 0, f"exit status {daemon.returncode}: {said}")
        check("refused" not in said, said)


@case
def of_narrow_means(world):
    """It needs little of what the shell that it is begun from may have, and keeps nothing from the user."""
    for narrow in "ulimit -Sn 64", "ulimit -Sn 80", "umask 777":
        with Home(world) as home, Server() as server:
            one = f"$PROGRAM curl -0 -sS {server.url('/bytes/9')}"
            _, shim = home.both(["sh", "-c", f"{narrow}; {one}; {one}"], server)
            check(shim.connections == 1, f"{narrow}: {shim.connections} connections")
            home.pid()


def lingering():
    """A connection whose last close waits for 5 s: what was sent on it is not taken.  And its peer, to be kept."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    ours.setblocking(False)
    try:
        while ours.send(bytes(1 << 20)):
            pass
    except BlockingIOError:
        pass
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    return ours, peer


def send_lingering(path, process):
    """A stranger's messages are there before the broker looks at who he is.  Seconds until he is turned away."""
    os.kill(process, signal.SIGSTOP)
    peers = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(path)
        for _ in range(3):
            ours, peer = lingering()
            peers.append(peer)
            socket.send_fds(stranger, [b"x" * 100], [ours.fileno()])
            ours.close()
        began = time.monotonic()
        os.kill(process, signal.SIGCONT)
        stranger.settimeout(20)
        try:
            stranger.recv(1)
        except ConnectionResetError:
            pass
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as another:
            another.settimeout(20)
            another.connect(path)
            another.recv(1)
        took = time.monotonic() - began
    for peer in peers:
        peer.close()
    return took


@case
def a_foreign_user(world):
    """Whoever gets through to the socket is asked by the kernel who he is; refused, and it is on the log."""
    if not world.uid:
        raise Skipped("needs two users")
    with Home(world) as home:
        log = os.path.join(home.path, "log")
        with home.daemon(f"--log={log}") as daemon:
            path = next(name for name in home.names() if not name.endswith(".lock"))
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                stranger.settimeout(5)
                stranger.connect(path)      # as root, whom a directory's mode does not stop
                check(stranger.recv(4096) == b"", "a foreign user is answered")
            check(settles(lambda: re.search(r"refused a connection of user 0, process \d+", open(log, encoding="utf-8").read())),
                  open(log, encoding="utf-8").read())
            took = send_lingering(path, daemon.pid)
            check(took < 2, f"what a stranger sent holds the broker up for {took:.1f} s")
            # Another one does not even get there, and where the directory lets him, is refused as well.
            script = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); " \
                     "print(s.recv(4096))"
            words = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", sys.executable, "-c", script, path]
            told = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
            check("PermissionError" in told.stderr, f"{told}")
            for directory in home.path, home.directory:
                os.chmod(directory, 0o755)
            os.chmod(path, 0o777)
            told = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
            check(told.stdout == "b''\n", f"{told}")
            check(settles(lambda: f"refused a connection of user {OTHER}" in open(log, encoding="utf-8").read()), "not logged")
            daemon.terminate()


@case
def whose_directory(world):
    """A directory that is not the user's own, or open to others, or a link, is not used."""
    with Home(world) as home, Server() as server:
        os.mkdir(os.path.join(home.path, "elsewhere"), 0o700)
        leftover = []
        for spoil in "chmod 755 holdfast", "ln -s elsewhere holdfast", "touch holdfast":
            text = f"cd $XDG_RUNTIME_DIR; rm -rf holdfast; mkdir holdfast; rmdir holdfast; {spoil.replace('chmod', 'mkdir holdfast; chmod')}; " \
                   f"$PROGRAM curl -0 -sS {server.url('/bytes/9')}"
            seen = home.run(["sh", "-c", text], server, HOME="/nonexistent")
            check(seen.outcome.status == 0 and seen.requests == 1, f"{spoil}: {seen.outcome}")
            check(not home.names("socket") and not home.pids(), f"{spoil}: it was used")
            leftover += usual_place(world)
            wait_ms(100)
            home.command("sh", "-c", "rm -rf $XDG_RUNTIME_DIR/holdfast; mkdir $XDG_RUNTIME_DIR/holdfast")
    for pid in leftover:
        end(pid)


def usual_place(world):
    """What was begun in the place for users without XDG_RUNTIME_DIR."""
    uid = world.uid or os.geteuid()
    found = []
    for directory in f"/tmp/holdfast-{uid}", f"/run/user/{uid}/holdfast":
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                if name.endswith(".lock"):
                    with open(os.path.join(directory, name), encoding="ascii") as lock:
                        words = lock.read().split()
                    if words and is_alive(int(words[0])) and int(words[0]) not in found:
                        found.append(int(words[0]))
    return found


def lease_among(world, many):
    """What build/tests/brokerbench says of a lease at 10 and at as many as asked for."""
    with Home(world, HOLDFAST_MAX_PER_ENDPOINT="65536") as home:
        with home.daemon() as daemon:
            done = home.command(os.path.join(world.build, "tests", "brokerbench"), str(daemon.pid), "10", str(many))
            check(done.returncode == 0, f"brokerbench: {done.returncode} {done.stderr[-500:]}")
            told = json.loads(done.stdout)
            daemon.terminate()
    check(told["few"]["idle"] == 10 and told["many"]["idle"] == many, f"{told}")
    return told


@case
def many_idle(world):
    """What each costs in memory, and a lease among many; by build/tests/brokerbench.  On a machine that does much else
    the broker takes more at one waking than the lease that is counted: then it is counted anew, and the least is true."""
    many = world.size(200, 15000)
    least = {}
    for _ in range(1 if world.full else 4):
        told = lease_among(world, many)
        for size in "few", "many":
            for what in "instructions", "syscalls":
                if told[size][what]:
                    least[size, what] = min(told[size][what], least.get((size, what), told[size][what]))
        counted = {what: least["many", what] / least["few", what] for what in ("instructions", "syscalls")
                   if ("few", what) in least and ("many", what) in least}
        if all(ratio <= 1.2 for ratio in counted.values()):
            break
    for what, ratio in counted.items():
        check(ratio <= 1.2, f"{what} of a lease at {many} are {ratio:.2f} times those at 10: {least}")
    check(told["bytes_each"] <= 2048, f"{told['bytes_each']} bytes for each")
    ratio = told["many"]["ns"] / told["few"]["ns"]
    world.note(f"{many} idle in the broker: {told['bytes_each']:.0f} bytes of its memory for each; a lease costs "
               f"{told['few']['ns'] / 1000:.1f} us at 10, {told['many']['ns'] / 1000:.1f} at {many} (ratio {ratio:.2f}; counted "
               f"{counted})")
