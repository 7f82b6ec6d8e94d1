# SPDX-License-Identifier: ISC
"""A relay in front of a server that keeps every byte a client sends, connection by connection: the
count of connections and the requests as the server got them, alike for every server.

    with Relay(server.port) as relay:
        ... a client talks to relay.port ...
        connections = relay.take()          # since the last take, each an object with .sent
        requests(connections[0].sent)

Ends and resets pass as they come.  After the client has ended, take() waits until its connections have
too; one that stays open is a leak, and `open` in what take() returns says so.
"""

import select
import socket
import struct
import threading
import time
from typing import NamedTuple

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "trailers",
              "transfer-encoding", "upgrade"}
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: close with a reset


class Asked(NamedTuple):
    """A request as it arrived: `fields` are those that are meant for the server, in order."""
    method: str
    target: str
    version: str
    fields: tuple
    body: bytes


class Connection:
    def __init__(self):
        self.sent = bytearray()         # by the client
        self.received = bytearray()     # what the server said
        self.pumps = 2

    @property
    def open(self):
        return self.pumps > 0


class Relay:
    def __init__(self, port):
        self.to, self.connections = port, []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def take(self, seconds=3):
        """The connections since the last call, once they have ended or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while True:
            with self.lock:
                waiting, _, _ = select.select([self.listener], [], [], 0)
                busy = waiting or any(connection.open for connection in self.connections)
                if not busy or time.monotonic() > deadline:
                    taken, self.connections = self.connections, []
                    return taken
            time.sleep(0.002)

    def _accept(self):
        while True:
            try:
                select.select([self.listener], [], [])
                with self.lock:
                    client, _ = self.listener.accept()
                    connection = Connection()
                    self.connections.append(connection)
            except (OSError, ValueError):       # it was closed
                return
            threading.Thread(target=self._serve, args=(client, connection), daemon=True).start()

    def _serve(self, client, connection):
        try:
            server = socket.create_connection(("127.0.0.1", self.to), 5)
        except OSError:
            client.close()
            connection.pumps = 0
            return
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(server, client, connection, connection.received),
                                daemon=True)
        back.start()
        self._pump(client, server, connection, connection.sent)
        back.join()
        client.close()
        server.close()

    def _pump(self, source, sink, connection, record):
        try:
            while data := source.recv(65536):
                record += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset of either side is a reset for the other, and the end of both directions.
            for end in (source, sink):
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        with self.lock:
            connection.pumps -= 1


def requests(data):
    """The requests in what a client sent on one connection, as a list of Asked; what is not HTTP/1.x
    is one whose method is empty."""
    found, rest = [], bytes(data)
    while rest := rest.lstrip(b"\r\n"):
        head, gap, after = rest.partition(b"\r\n\r\n")
        words = head.partition(b"\r\n")[0].split(b" ")
        if not gap or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return [*found, Asked("", "", "", (), rest)]
        pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        pairs = [(name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in pairs]
        values = {name.lower(): value for name, value in pairs}
        body, rest = read_body(values, after)
        named = {word.strip().lower() for word in values.get("connection", "").split(",")}
        kept = tuple(pair for pair in pairs if pair[0].lower() not in HOP_BY_HOP | named)
        found.append(Asked(*(word.decode("latin-1") for word in words), kept, body))
    return found


def read_body(values, data):
    """(body, what follows it)."""
    if values.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size, gap, data = data.partition(b"\r\n")
            size = int(size.partition(b";")[0] or b"0", 16) if gap else 0
            body, data = body + data[:size], data[size + 2 if size else 0:]
            if not size:
                return body, data.partition(b"\r\n")[2]
    length = int(values.get("content-length", 0))
    return data[:length], data[length:]
