# SPDX-License-Identifier: ISC
"""What is run for tests/tree/e2e_tree as some user: makes the queues of a tree by hand, runs clients under the
library with them, and puts into the queues what does not belong there.

    tree_foreign.py LIBRARY TREECLIENT HOST:PORT ROUNDS QUEUES MOST

Prints JSON: how many were tried, and each that did harm.
"""

import array
import json
import os
import random
import secrets
import select
import socket
import subprocess
import sys
import time

QUEUES, FIRST, MOST = int(sys.argv[5]), 900, 4096
NAME = "\0holdfast-2-{}-{}"
RIGHTS = (socket.SOL_SOCKET, socket.SCM_RIGHTS)


class Tree:
    """As the launcher makes it: shim/pool/tree.h."""

    def __init__(self):
        token = secrets.token_hex(8)
        self.queues = []
        for i in range(QUEUES):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                made.bind(NAME.format(token, i))
                os.dup2(made.fileno(), FIRST + i, inheritable=True)
            self.queues.append(socket.socket(fileno=FIRST + i))
        for queue in reversed(self.queues):
            queue.connect(NAME.format(token, 0))
        self.token = token
        self.variable = f"{FIRST:05d}-{token}-{os.geteuid():010d}-{int(sys.argv[6]):03d}"

    def send(self, queue, data, fds=()):
        control = [(*RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.queues[0].sendmsg([data], control, socket.MSG_DONTWAIT, NAME.format(self.token, queue))
            return True
        except OSError:
            return False

    def receive(self, flags=0):
        """(queue, bytes, fds) of the first message that is found; the fds are ours."""
        for i, queue in enumerate(self.queues):
            try:
                data, control, _, _ = queue.recvmsg(MOST, 512, socket.MSG_DONTWAIT | flags)
            except BlockingIOError:
                continue
            fds = array.array("i")
            for level, kind, value in control:
                if (level, kind) == RIGHTS:
                    fds.frombytes(value[:len(value) - len(value) % fds.itemsize])
            return i, data, list(fds)
        return None

    def drain(self):
        count = 0
        while (found := self.receive()) is not None:
            count += 1
            for fd in found[2]:
                os.close(fd)
        return count


class Trial:
    def __init__(self, library, client, url):
        self.tree, self.library, self.client, self.url = Tree(), library, client, url
        self.tried, self.harmed, self.shared = 0, [], 0
        self.expected = self.get()     # the first parks the connection that the others play with

    def start(self, *words):
        environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": self.library,
                       "HOLDFAST_TREE": self.tree.variable}
        return subprocess.Popen([self.client, *words], env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                pass_fds=range(FIRST, FIRST + QUEUES))

    def get(self):
        with self.start("get", self.url) as child:
            out, err = child.communicate(timeout=30)
        return child.returncode, out, err

    def genuine(self):
        """A message as a client left it, taken out: (queue, bytes, fd)."""
        self.tree.drain()
        if self.get() != self.expected:
            return None
        queue, data, fds = self.tree.receive() or (None, None, None)
        return (queue, data, fds[0]) if fds and len(fds) == 1 else None

    def attempt(self, name, queue, data, fds=(), times=1):
        """Puts it there, and runs clients: they have to see what they always see."""
        self.tried += 1
        for _ in range(times):
            self.tree.send(queue, data, fds)
        if self.get() != self.expected or self.get() != self.expected:
            self.harmed.append(name)

    def is_let_go(self, name, queue, data, beside=()):
        """The same with a pipe: once a client has been there, nobody holds it, though the client lives on."""
        self.tried += 1
        self.tree.drain()
        read, write = os.pipe()
        self.tree.send(queue, data, [write, *beside])
        os.close(write)
        with self.start("get", self.url, "wait", "60000") as child:
            body = b""
            while len(body) < len(self.expected[1]) and (more := os.read(child.stdout.fileno(), 65536)):
                body += more
            time.sleep(0.01)        # its close
            ended = bool(select.select([read], [], [], 0.5)[0])
            child.kill()
        os.close(read)
        if body != self.expected[1] or not ended:
            self.harmed.append(name + ("" if ended else ": is kept"))

    def connection_is_let_go(self, data, queue, where):
        """A true message beside another connection to the same server: its cookie is not that one's."""
        ours = socket.create_connection(where, 5)
        copy = os.dup(ours.fileno())
        self.tried += 1
        self.tree.drain()
        self.tree.send(queue, data, [copy])
        os.close(copy)
        with self.start("get", self.url, "wait", "60000") as child:
            os.read(child.stdout.fileno(), 1)
            time.sleep(0.1)
            inode = os.readlink(f"/proc/self/fd/{ours.fileno()}")
            held = [fd for fd in os.listdir(f"/proc/{child.pid}/fd") if
                    os.readlink(f"/proc/{child.pid}/fd/{fd}") == inode]
            child.kill()
        ours.close()
        if held or self.tree.drain() > 1:
            self.harmed.append("another connection of ours: is kept")

    def odd_descriptors(self, queue, data):
        """The message is as it should be; what comes beside it is something else."""
        host, port = self.url.split("/")[0].split(":")
        kinds = {
            "a file": os.open("/dev/null", os.O_RDWR), "a directory": os.open("/", os.O_RDONLY),
            "a pipe": os.pipe()[1], "an event": os.eventfd(0), "a queue": os.dup(FIRST),
            "a datagram socket": socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
            "a fresh socket": socket.socket().detach(), "a pair": socket.socketpair()[0].detach(),
            "a listener": socket.create_server(("127.0.0.1", 0)).detach(),
            "another connection": socket.create_connection((host, int(port)), 5).detach(),
        }
        elsewhere = socket.create_server(("127.0.0.1", 0))
        kinds["a connection elsewhere"] = socket.create_connection(elsewhere.getsockname(), 5).detach()
        for name, fd in kinds.items():
            self.tree.drain()
            self.attempt(name, queue, data, [fd])
            self.attempt(name + ", twice", queue, data, [fd, fd])
        self.is_let_go("a pipe beside a true message", queue, data)
        self.connection_is_let_go(data, queue, (host, int(port)))
        self.is_let_go("two descriptors", queue, data, [kinds["a file"]])
        self.is_let_go("ten descriptors", queue, data, [kinds["a file"]] * 9)
        for fd in kinds.values():
            os.close(fd)

    def other_bytes(self, queue, data):
        for name, other in (("empty", b""), ("one byte", b"x"), ("text", b"GET / HTTP/1.0\r\n\r\n"),
                            ("short", data[:-1]), ("half", data[:len(data) // 2]), ("long", data + b"\0"),
                            ("twice", data * 2), ("zeroes", bytes(len(data))), ("ones", b"\xff" * len(data)),
                            ("4 KB", b"y" * MOST)):
            self.attempt(name + " alone", queue, other)
            self.is_let_go(name, queue, other)
        self.attempt("a true message alone", queue, data)
        self.attempt("many of them", queue, data, times=100)
        self.attempt("much text", queue, b"z" * 1000, times=1000)

    def changed(self, rounds):
        """A true connection, and a message of which a byte or some are other."""
        chance = random.Random(rounds)
        for i in range(rounds):
            found = self.genuine()
            if found is None:
                self.harmed.append(f"round {i}: nothing was parked")
                return
            queue, data, fd = found
            other = bytearray(data)
            for at in [i % len(data)] if i % 2 else chance.sample(range(len(data)), 5):
                other[at] ^= chance.choice((1, 2, 4, 128, 255))
            self.attempt(f"changed {[k for k in range(len(data)) if data[k] != other[k]]}", queue, bytes(other), [fd])
            os.close(fd)

    def as_it_is(self):
        """That the true thing, sent by hand, is taken: without this nothing above means anything."""
        queue, data, fd = self.genuine()
        number = os.fstat(fd).st_ino
        self.tree.send(queue, data, [fd])
        os.close(fd)
        same = self.get() == self.expected
        found = self.tree.receive(socket.MSG_PEEK)
        self.shared = int(same and found is not None and [os.fstat(f).st_ino for f in found[2]] == [number])
        return queue, data


def main():
    # Numbers above what select() and the library's own descriptors use must be free.
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024 if hard < 0 else min(1024, hard), hard))
    assert all(not os.path.exists(f"/proc/self/fd/{FIRST + i}") for i in range(QUEUES))
    trial = Trial(sys.argv[1], sys.argv[2], sys.argv[3])
    told = {"first": trial.expected[0], "shared": 0}
    if trial.tree.receive(socket.MSG_PEEK) is not None:
        queue, data = trial.as_it_is()
        trial.odd_descriptors(queue, data)
        trial.other_bytes(queue, data)
        trial.changed(int(sys.argv[4]))
    print(json.dumps({**told, "shared": trial.shared, "tried": trial.tried, "harmed": trial.harmed}))


if __name__ == "__main__":
    main()
