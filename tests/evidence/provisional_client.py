# SPDX-License-Identifier: ISC
"""The client of tests/evidence/e2e_provisional: plays cases one after the other and prints what it saw of each, as JSON.

    provisional_client.py CASES.json warm|test|both

A case: {port, method, style, wait, path}.  "warm" makes each server's connection one that may be lent."""

import json
import select
import socket
import sys

TIMEOUT = 4
BAD = {"poll": select.POLLERR | select.POLLHUP | select.POLLRDHUP,
       "epoll": select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP}


class Waiting:
    """One way to wait for a socket; counts what no client of a fresh connection would see."""

    def __init__(self, way, sock):
        self.way, self.sock, self.broken, self.empty, self.epoll = way, sock, 0, 0, None
        sock.setblocking(way in ("blocking", "poll-blocking"))
        if way.startswith("epoll"):
            self.epoll = select.epoll()
            self.mode = {"epoll-lt": 0, "epoll-et": select.EPOLLET, "epoll-oneshot": select.EPOLLONESHOT}[way]
            self.known = False

    def wait(self, writing):
        if self.way == "blocking":
            return True
        if self.way == "select":
            ready = select.select([] if writing else [self.sock], [self.sock] if writing else [], [], TIMEOUT)
            return any(ready)
        if self.epoll:
            mask = (select.EPOLLOUT if writing else select.EPOLLIN | select.EPOLLRDHUP) | self.mode
            (self.epoll.modify if self.known else self.epoll.register)(self.sock, mask)
            self.known = True
            events = self.epoll.poll(TIMEOUT)
        else:
            poll = select.poll()
            poll.register(self.sock, select.POLLOUT if writing else select.POLLIN | select.POLLRDHUP)
            events = poll.poll(TIMEOUT * 1000)
        self.last = events[0][1] if events else 0
        return bool(events)

    def receive(self):
        """Bytes, b"" at the end, or an error's name."""
        while True:
            if not self.wait(False):
                return "timeout"
            try:
                return self.sock.recv(4096)
            except BlockingIOError:
                self.empty += 1
            except OSError as error:
                return type(error).__name__

    def close(self):
        if self.epoll:
            self.epoll.close()


def request(case, number, path):
    style, method = case["style"], case["method"]
    head = f"{method} {path}?{number} HTTP/{'1.0' if style == 'old' else '1.1'}\r\nHost: a\r\n"
    if style == "close":
        head += "Connection: close\r\n"
    body = b"" if method in ("GET", "HEAD", "DELETE") else b"hello"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def is_whole(data):
    """Of an observed client: is the final answer complete?"""
    head, found, body = data.partition(b"\r\n\r\n")
    while found and head.split(b" ")[1:2] and head.split(b" ")[1].startswith(b"1"):
        head, found, body = body.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths and len(body) >= int(lengths[0].split(b":")[1]))


def shown(data):
    """Less the fields of the connection."""
    head, found, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    return (b"\r\n".join(lines) + found + body).decode("latin-1")


def exchange(case, number, path):
    """[what came, how it ended, wake-ups without anything, events of an end before a byte]"""
    sock = socket.socket()
    waiting = Waiting(case["wait"], sock)
    data, end = b"", ""
    try:
        error = sock.connect_ex(("127.0.0.1", case["port"]))
        if waiting.way not in ("blocking", "poll-blocking"):
            waiting.wait(True)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return ["", f"connect {error}", 0, 0]
        sock.sendall(request(case, number, path))
        while not end:
            part = waiting.receive()
            if isinstance(part, bytes) and part:
                data += part
                if case["style"] == "keep" and is_whole(data):
                    end = "whole"
                continue
            end = "end" if part == b"" else part
            kind = "epoll" if waiting.epoll else "poll"
            if not data and waiting.way not in ("blocking", "select") and waiting.last & BAD[kind]:
                waiting.broken += 1
    finally:
        waiting.close()
        sock.close()
    return [shown(data), end, waiting.empty, waiting.broken]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    what, seen = sys.argv[2], []
    for case in cases:
        found = []
        if what != "test":
            found.append(exchange(dict(case, method="GET"), 0, "/good"))
        if what == "both" or what == "test":
            found += [exchange(case, number, case["path"]) for number in (1, 2)]
        seen.append(found)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
