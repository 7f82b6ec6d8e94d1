# SPDX-License-Identifier: ISC
"""The client of e2e_routes: two requests for each way to wait; in between it has the path broken, and healed after.

    routes_client.py HOST STYLE WAIT...     STYLE: one-shot, observed, named (asks for its address
                                            before it sends), post, slow, unread
    routes_client.py HOST STYLE break-after|only WAIT
"""

import select
import socket
import sys
import time

LIMIT = 8


def tell(*words):
    print(*words, flush=True)


def told(*words):
    tell(*words)
    sys.stdin.readline()


def wait(s, how, out):
    """Until s can be read, or written; False: the time is over."""
    if how == "select":
        sets = select.select([] if out else [s], [s] if out else [], [], LIMIT)
        return any(sets)
    waiter = select.epoll() if how == "epoll" else select.poll()
    waiter.register(s, select.POLLOUT if out else select.POLLIN)
    return bool(waiter.poll(LIMIT if how == "epoll" else LIMIT * 1000))


def receive(s, how):
    while True:
        if how != "blocking" and not wait(s, how, False):
            raise TimeoutError
        try:
            return s.recv(65536)
        except BlockingIOError:
            pass


def send(s, how, data):
    while data:
        try:
            data = data[s.send(data):]
        except BlockingIOError:
            wait(s, how, True)


def whole(data):
    head, found, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return found and lengths and len(body) >= lengths[0]


def ask(host, how, style, path):
    """The body, and the local port."""
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(LIMIT)
    if how != "blocking":
        s.setblocking(False)
    if s.connect_ex((host, 8080)) != 0:
        wait(s, how, True)
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise ConnectionError
    if style == "named":
        tell(s.getsockname()[0], s.getsockname()[1] != 0)
    body = b"x" * 40000 if style == "unread" else b"x" if style == "post" else b""
    method = {"unread": "PUT", "post": "POST"}.get(style, "GET")
    version = "1.1" if style == "observed" else "1.0"
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    send(s, how, f"{method} {path} HTTP/{version}\r\nHost: x\r\n{length}\r\n".encode() + body)
    port, data = s.getsockname()[1], b""
    while style != "observed" or not whole(data):
        part = receive(s, how)
        if not part:
            break
        data += part
    s.close()
    return data.partition(b"\r\n\r\n")[2], port


def timed(host, how, style, path):
    begun, answer = time.monotonic(), "nothing"
    try:
        answer, _ = ask(host, how, style, path)
    except OSError as e:
        answer = type(e).__name__
    tell(how, answer)
    tell("took", time.monotonic() - begun)


def main():
    host, style, *waits = sys.argv[1:]
    if waits[0] == "only":
        timed(host, waits[1], style, "/second")
        return
    across = waits[0] == "break-after"
    for i, how in enumerate(waits[across:]):
        name = style if style in ("slow", "unread") else "one"
        body, port = ask(host, how, style if style in ("observed", "named") else "one-shot", f"/first{i}")
        tell(how, body)
        if style not in ("slow", "unread"):
            told("break", port)
        if not across:
            timed(host, how, style, f"/{name}{i}")
            if style not in ("slow", "unread"):
                told("heal")


if __name__ == "__main__":
    main()
