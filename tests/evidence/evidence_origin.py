# SPDX-License-Identifier: ISC
"""An origin that says, and does, about persistence what a test wants.

    with Origin(says="silent", closes=True, dated=True) as origin:
        origin.port, origin.connections, origin.answered, origin.lost
        origin.forget()             # listens no more, and serves what is open
"""

import contextlib
import re
import socket
import threading
import time

DATE = b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
BODY = b"123456789\n"


class Origin:
    """says: "keep-alive" (Connection), "field" (Keep-Alive), "heeds" (`Connection: close` to who asks for it, else
    nothing), "silent".  closes: where it is asked to, or by HTTP/1.0 without keep-alive.  once: one answer a
    connection, which it leaves open.  until_close: one answer for each accept, whatever comes, and then the end.
    simple: a Connection field that is a list says nothing to it.
    second: what it answers to a second request on a connection, before it ends that: b"" or a status line.
    ends: behind each answer, without a word; `second` aside.
    A path that begins with /slow is answered after half a second."""

    def __init__(self, says="silent", dated=False, closes=True, once=False, until_close=False,
                 simple=False, second=None, ends=False, port=0):
        self.says, self.dated, self.closes, self.once, self.until_close = says, dated, closes, once, until_close
        self.simple, self.second, self.ends = simple, second, ends
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.connections = self.answered = self.lost = self.refused = 0
        self.lock = threading.Lock()
        self.open = set()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.forget()
        for s in list(self.open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def forget(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                s = self.listener.accept()[0]
                with self.lock:
                    self.connections += 1
                    self.open.add(s)
                threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with s, contextlib.suppress(OSError):
            requests, data = 0, b""
            while more := s.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    requests += 1
                    if self.once and requests > 1:
                        with self.lock:
                            self.lost += 1
                    elif self.second is not None and requests > 1:
                        with self.lock:
                            self.refused += 1
                        return self._refuse(s)
                    elif not self._answer(s, head.lower()):
                        return
        self.open.discard(s)

    def _refuse(self, s):
        if self.second:
            s.sendall(b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbad\n" % self.second)

    def _answer(self, s, head):
        """False: that was the end."""
        if b"get /slow" in head:
            time.sleep(0.5)
        with self.lock:
            self.answered += 1
        options = re.search(rb"connection: *([^\r]*)", head)
        options = options[1] if options else b""
        asked = (options == b"close" if self.simple else b"close" in options) or (
            b"http/1.0" in head and b"keep-alive" not in options)
        if self.until_close:
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
            return False
        fields = DATE if self.dated else b""
        if asked and self.says == "heeds":
            fields += b"Connection: close\r\n"
        elif not asked and self.says == "keep-alive":
            fields += b"Connection: keep-alive\r\n"
        elif not asked and self.says == "field":
            fields += b"Keep-Alive: timeout=30\r\n"
        s.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (fields, len(BODY), BODY))
        return not ((asked and self.closes) or self.ends)


class Loop:
    """One connection at a time, and none other accepted until the client has closed that: it is answered, ended from
    this side, and read to its end.  Whoever comes meanwhile is refused."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                s = self.listener.accept()[0]
                self.listener.close()
                with s, contextlib.suppress(OSError):
                    s.recv(65536)
                    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
                self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1)
