# SPDX-License-Identifier: ISC
"""A server that sends what a case says, whatever it is asked, and keeps what it received.

    with Server(case, shim=True, in_pieces=False) as server:
        server.address
        ...
        server.done.wait(5)         # all was sent
        server.connections, server.of_case      # all, and the one that had the case

On each connection: a request for /control gets a good answer; the first other one the case's bytes.
Two requests for /proof show holdfast that this server answers two on one connection, which then is gone
and forgotten.
"""

import contextlib
import fcntl
import itertools
import socket
import struct
import termios
import threading
import time

from cases_table import pieces, write

CONTROL = b"GET /control HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
CONTROL_BEGINS = b"GET /control "
CONTROL_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontrol"
PROOF = b"GET /proof HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
PROOF_ANSWERS = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: %s\r\n\r\n" % word
                 for word in (b"keep-alive", b"close")]
PAUSE = 0.03
QUIET = 1.0             # seconds: no more of a request will come
LARGE, PIECE = 3000, 977
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: close with a reset
SAYS_CLOSE = ("server_closes", "server_http10")

counter = itertools.count(1)


def cut(data, in_pieces):
    """[all of it], or single bytes; of much, pieces."""
    if not in_pieces or not data:
        return [data]
    size = 1 if len(data) <= LARGE else PIECE
    return [data[i:i + size] for i in range(0, len(data), size)]


def closes(case, shim):
    """Does a server that does as it is asked end the connection itself?"""
    if case.end in ("FIN", "WAITS") or case.kind in ("OPAQUE", "LOST"):
        return True
    if case.kind == "OBSERVED":
        return False
    return not shim or case.why in SAYS_CLOSE


def arrived(sock):
    """Waits until all that was sent is at the client: a reset would take the rest back."""
    deadline = time.monotonic() + 5
    while any(fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4)) and time.monotonic() < deadline:
        time.sleep(0.0005)


class Connection:
    def __init__(self):
        self.pending = bytearray()          # received, and not yet looked at
        self.asked = bytearray()            # what was not a control
        self.controls = self.proofs = 0
        self.closed = threading.Event()     # by the client


class Server:
    def __init__(self, case, shim, in_pieces):
        # An address of its own: whatever is learned of an endpoint is learned of this case.
        n = next(counter)
        self.host = f"127.{9 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
        self.listener = socket.create_server((self.host, 0))
        self.address = self.listener.getsockname()
        self.authority = f"{self.host}:{self.address[1]}".encode()
        self.case, self.in_pieces = case, in_pieces
        self.want = len(write(case.sends if shim else case.request, self.authority))
        self.ending = case.end if case.end in ("FIN", "RST") else "FIN" if closes(case, shim) else "stay"
        self.connections, self.sockets, self.of_case, self.cases = [], [], None, 0
        self.done = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.listener, *self.sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()

    def _accept(self):
        try:
            while True:
                sock = self.listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection()
                self.connections.append(connection)
                self.sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock, connection), daemon=True).start()
        except OSError:
            pass

    def _serve(self, sock, connection):
        try:
            with sock:
                while self._more(sock, connection):
                    if connection.pending.startswith(PROOF[:12]):
                        if self._prove(sock, connection):
                            return
                    else:
                        self._answer(sock, connection)
        except OSError:
            pass
        finally:
            connection.closed.set()

    @staticmethod
    def _more(sock, connection):
        data = sock.recv(65536)
        connection.pending += data
        return data

    def _prove(self, sock, connection):
        """True: the connection has done its duty."""
        if not connection.pending.endswith(b"\r\n\r\n"):
            return False
        connection.pending.clear()
        sock.sendall(PROOF_ANSWERS[connection.proofs])
        connection.proofs += 1
        if connection.proofs < len(PROOF_ANSWERS):
            return False
        self.connections.remove(connection)
        return True

    def _answer(self, sock, connection):
        """A control, the case, or what follows either."""
        while connection.pending:
            begun = bytes(connection.pending)
            end = begun.find(b"\r\n\r\n") + 4
            if not begun.startswith(CONTROL_BEGINS[:len(begun)]):
                if not connection.asked:
                    self._play(sock, connection)
                    continue
                at = connection.pending.find(CONTROL_BEGINS)
                end = at if at >= 0 else len(connection.pending)
                connection.asked += connection.pending[:end]
            elif end < 4:
                return
            else:
                connection.controls += 1
                sock.sendall(CONTROL_ANSWER)
                if b"Connection: close" in begun[:end]:
                    sock.shutdown(socket.SHUT_WR)
            del connection.pending[:end]

    def _play(self, sock, connection):
        self.cases += 1
        self.of_case = self.of_case or connection
        sock.settimeout(QUIET)
        with contextlib.suppress(TimeoutError):
            while len(connection.pending) < self.want and self._more(sock, connection):
                pass
        sock.settimeout(None)
        connection.asked += connection.pending
        connection.pending.clear()
        try:
            self._send(sock)
        finally:
            self.done.set()

    def _send(self, sock):
        for i, piece in enumerate(pieces(self.case.response)):
            if i:
                time.sleep(PAUSE)
            for part in cut(piece, self.in_pieces):
                sock.sendall(part)
        if self.ending == "RST":
            arrived(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
        elif self.ending == "FIN":
            sock.shutdown(socket.SHUT_WR)
