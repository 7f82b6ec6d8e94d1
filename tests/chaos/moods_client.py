# SPDX-License-Identifier: ISC
"""The client of tests/chaos/e2e_moods: one request after the other, each to a server of a random character, in a random way.

    python3 moods_client.py PORTS FIRST COUNT SEED      PORTS: {character: port}; FIRST: its first request's number

Prints a line for each request whose answer is not what a fresh connection gives: character, number, method, way, what."""

import json
import os
import random
import select
import socket
import sys
import time

from moods_origin import content

PATIENCE = 1.5
METHODS = ["GET"] * 6 + ["HEAD", "POST", "PUT", "DELETE"]
# How it speaks: version and Connection.
WAYS = [(0, ""), (0, ""), (0, ""), (1, "close"), (1, "close"), (1, "")]


def wait_for(s, how, event):
    until = time.monotonic() + PATIENCE
    if how == "select":
        sets = ([s], [], []) if event == "r" else ([], [s], [])
        return any(select.select(*sets, until - time.monotonic()))
    if how == "poll":
        p = select.poll()
        p.register(s, select.POLLIN if event == "r" else select.POLLOUT)
        return bool(p.poll(PATIENCE * 1000))
    with select.epoll() as e:
        edge = select.EPOLLET if how == "epollet" else 0
        e.register(s, (select.EPOLLIN if event == "r" else select.EPOLLOUT) | edge)
        return bool(e.poll(PATIENCE))


class Connection:
    def __init__(self, port, how):
        self.how, self.s = how, socket.socket()
        if how == "block":
            self.s.settimeout(None)
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\1\0\0\0\0\0\0\0" + bytes(8))
            self.s.connect(("127.0.0.1", port))
            return
        self.s.setblocking(False)
        if self.s.connect_ex(("127.0.0.1", port)) != 0 and not wait_for(self.s, how, "w"):
            raise TimeoutError

    def send(self, data):
        while data:
            try:
                data = data[self.s.send(data):]
            except BlockingIOError:
                if self.how == "block" or not wait_for(self.s, self.how, "w"):
                    raise TimeoutError from None

    def receive(self):
        while True:
            try:
                return self.s.recv(65536)
            except BlockingIOError:
                if self.how == "block" or not wait_for(self.s, self.how, "r"):
                    raise TimeoutError from None


def exchange(port, method, number, length, way, dice):
    """What is wrong with the answer, or ''."""
    minor, said = way
    body = b"" if method not in ("POST", "PUT") else dice.choice((b"a=b", b"x" * 300, b"line\r\nline two\r\n", b"GET /hidden HTTP/1.1\r\n\r\n"))
    head = f"{method} /{number}/{length} HTTP/1.{minor}\r\nHost: moods\r\n"
    head += f"Connection: {said}\r\n" if said else ""
    head += f"Content-Length: {len(body)}\r\n" if method in ("POST", "PUT") else ""
    connection = Connection(port, dice.choice(("block", "block", "poll", "select", "epoll", "epollet")))
    with connection.s:
        data = head.encode() + b"\r\n" + body
        cut = dice.choice((len(data), len(data), len(head) + 2, dice.randrange(1, len(data))))
        connection.send(data[:cut])
        if cut < len(data):
            connection.send(data[cut:])
        got = b""
        want = content(number, length)
        until_end = minor == 0 or said == "close"
        while more := connection.receive():
            got += more
            if not until_end and is_whole(got, method):
                break
    lines, _, rest = got.replace(b"\r\n", b"\n").partition(b"\n\n") if b"\r\n\r\n" not in got else got.partition(b"\r\n\r\n")
    status = lines.split(b" ")[1:2]
    if not until_end: # what else comes is not this client's
        rest = rest[:len(want)]
    if method == "HEAD":
        want = b""
    if status != [b"200"] or rest != want:
        return f"{lines[:60]!r} {len(rest)} bytes, {rest[:20]!r}"
    return ""


def is_whole(got, method):
    head, end, rest = got.partition(b"\r\n\r\n") if b"\r\n\r\n" in got else got.partition(b"\n\n")
    if not end:
        return False
    if method == "HEAD":
        return True
    for line in head.split(b"\n"):
        if line.lower().startswith(b"content-length:"):
            return len(rest) >= int(line.split(b":")[1])
    return False


def right_directly(character, way):
    """A server of this character answers this client well on a fresh connection."""
    return not (character == "OnlyTen" and way[0] == 1)


def main(ports, first, count, seed):
    dice = random.Random(seed)
    for number in range(first, first + count):
        while True:
            character, way = dice.choice(list(ports)), dice.choice(WAYS)
            if right_directly(character, way):
                break
        method, length = dice.choice(METHODS), dice.choice((0, 10, 700, 20000))
        try:
            what = exchange(ports[character], method, number, length, way, dice)
        except (OSError, TimeoutError) as error:
            what = f"{type(error).__name__} {error}"
        if what:
            line = f"{character} {number} {method} HTTP/1.{way[0]} {way[1] or '-'} {what}\n"
            os.write(1, line.encode()) # in one piece: others write there, too


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *(int(word) for word in sys.argv[2:5]))
