# SPDX-License-Identifier: ISC
"""The servers of tests/evidence/e2e_provisional: one for each case, on a port of its own, that plays its row."""

import collections
import selectors
import socket
import struct
import threading
import time

HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n"


def answer(status=b"200 OK", body=b"good", keep=True):
    return HEAD % (status, len(body), b"keep-alive" if keep else b"close") + body


STATUS = {"408": b"408 Request Timeout", "421": b"421 Misdirected Request", "505": b"505 HTTP Version Not Supported",
          "400": b"400 Bad Request", "405": b"405 Method Not Allowed", "501": b"501 Not Implemented"}
CLOSES = ("400", "405", "501")


class Server:
    """`row` is what it does with a request for /row that comes on a connection which was used before; `always`: on
    any.  All else is answered."""

    def __init__(self, row, always):
        self.row, self.always = row, always
        self.executed = collections.Counter()       # (method, target): how often
        self.reused = False     # the first request for /row came on a connection that was used before
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]

    def requests(self, sock):
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = sock.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            length = [int(line.split(b":")[1]) for line in head.split(b"\r\n")[1:]
                      if line.lower().startswith(b"content-length:")]
            while length and len(data) < length[0]:
                data += sock.recv(65536)
            data = data[length[0]:] if length else data
            yield head

    def serve(self, sock):
        first = True
        try:
            for head in self.requests(sock):
                method, target, version = head.split(b"\r\n")[0].split(b" ")
                self.executed[method.decode(), target.decode()] += 1
                self.reused |= not first and target == b"/row?1"
                close = b"\r\nconnection: close" in head.lower() or version == b"HTTP/1.0"
                if target.startswith(b"/row") and (self.always or not first):
                    if not self.play(sock, close, version == b"HTTP/1.0"):
                        return
                else:
                    sock.sendall(answer(keep=not close))
                if close:
                    return
                first = False
        except OSError:
            pass
        finally:
            sock.close()

    def play(self, sock, close, old):
        """False: the connection is at its end."""
        row = self.row
        if old and row.startswith("interim"):       # RFC 9110 15.2: no 1xx to a 1.0 client
            row = {"interim": "end", "interim-then-408": "408"}[row]
        if row == "refused":        # and nobody accepts any more
            self.listener.shutdown(socket.SHUT_RDWR)
            sock.sendall(answer(STATUS["408"], b"no", False))
            return False
        if row in STATUS:
            sock.sendall(answer(STATUS[row], b"no", keep=not close and row not in CLOSES))
            return row not in CLOSES
        if row == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if row == "end":
            return False
        sends = {"late": [b"<html>late</html>\n", 0.02, answer()], "late-in-pieces": [b"H", 0.02, b"T", 0.02, b"ML\n"],
                 "one-byte": [b"H"], "half-head": [b"HTTP/1.1 200 OK\r\nX-Job: started\r\n"],
                 "half-head-reset": [b"HTTP/1.1 200 OK\r\nX-Job: started\r\n"],
                 "interim": [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"],
                 "interim-then-408": [b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.02, answer(STATUS["408"], b"no", False)],
                 "in-pieces": [b"HT", 0.02, b"TP/1.", 0.02, b"1 200 OK\r\nContent-Le", 0.02, b"ngth: 4\r\n\r\ngood"],
                 "400-stays": [answer(STATUS["400"], b"no", not close)],
                 "talks": [b"ICY 200 OK\r\nicy-name: x\r\n\r\nmusic"]}[row]
        for part in sends:
            if isinstance(part, float):
                time.sleep(part)
            else:
                sock.sendall(part)
        if row == "half-head-reset":
            time.sleep(0.05)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return row in ("late", "in-pieces", "400-stays")


class Servers:
    """Accepts for all of them."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def add(self, row, always):
        server = Server(row, always)
        with self.lock:
            self.selector.register(server.listener, selectors.EVENT_READ, server)
        return server

    def accept(self):
        while True:
            for key, _ in self.selector.select(0.05):
                try:
                    sock = key.data.listener.accept()[0]
                except OSError:
                    with self.lock:
                        self.selector.unregister(key.fileobj)
                    key.data.listener.close()
                    continue
                threading.Thread(target=key.data.serve, args=(sock,), daemon=True).start()
