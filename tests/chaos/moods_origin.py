# SPDX-License-Identifier: ISC
"""Servers of many characters, one a port, each of which plays its own at random moments: the origin of tests/chaos/e2e_moods.

    python3 moods_origin.py SEED        prints one line of JSON, {character: port}; each line that it reads asks for
                                        what was executed: {character: {"METHOD number": times}}; ends with its stdin

What a server of any character answers to a request on a *fresh* connection depends on the request alone (content()), so a
client can tell its answer from all others.  What differs between characters is what comes on a connection that was used
before, and what they do with bodies and with idle connections."""

import asyncio
import collections
import json
import random
import re
import sys

DATE = b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
NOTHING = b""


def content(number, length):
    """The body of the answer to request `number`."""
    piece = b"<%d>" % number
    return (piece * (length // len(piece) + 1))[:length]


class Request:
    def __init__(self, head, body):
        line, *fields = head.split(b"\r\n")
        self.method, target, version = line.split(b" ", 2)
        self.minor = int(version[-1:])
        self.fields = {name.lower(): value.strip() for name, _, value in (f.partition(b":") for f in fields if f)}
        self.number, self.length = (int(n) for n in re.findall(rb"\d+", target)[:2])
        self.body = body
        said = self.fields.get(b"connection", NOTHING).lower()
        self.persists = b"keep-alive" in said if self.minor == 0 else b"close" not in said
        self.asks_keep = b"keep-alive" in said


def answer(request, status=b"200 OK", said=None, dated=True, version=b"HTTP/1.1", end=b"\r\n"):
    """said: the value of Connection, or None."""
    body = content(request.number, request.length)
    lines = [version + b" " + status, b"X-Number: %d" % request.number, b"Content-Length: %d" % len(body)]
    lines += [DATE.rstrip()] if dated else []
    lines += [b"Connection: " + said] if said else []
    return end.join(lines + [b"", b""]) + (NOTHING if request.method == b"HEAD" else body)


class Server:
    """Says that it keeps connections open, and does."""
    reads_bodies = True
    says = True         # Connection: keep-alive, to who asks for it
    dated = True

    def __init__(self, dice):
        self.dice, self.executed = dice, collections.Counter()

    async def begin(self, reader, writer):
        used = 0
        try:
            while request := await self.request(reader, writer, used):
                used += 1
                if not await self.serve(request, used, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError, ValueError):
            pass
        writer.close()

    async def request(self, reader, writer, used):
        head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
        request = Request(head[:-4], NOTHING)
        if self.reads_bodies:
            request.body = await reader.readexactly(int(request.fields.get(b"content-length", 0)))
        return request

    def execute(self, request):
        self.executed[f"{request.method.decode()} {request.number}"] += 1

    def said(self, request):
        return (b"keep-alive" if self.says else None) if request.persists else b"close"

    async def serve(self, request, used, writer):
        """False: the connection ends."""
        self.execute(request)
        writer.write(answer(request, said=self.said(request), dated=self.dated))
        await writer.drain()
        return request.persists


class Silent(Server):
    says = False


class Wordless(Server):
    says = dated = False


class Closes(Server):
    async def serve(self, request, used, writer):
        self.execute(request)
        writer.write(answer(request, said=b"close"))
        return False


class ClosesSilently(Server):
    async def serve(self, request, used, writer):
        self.execute(request)
        writer.write(answer(request))
        return False


class NeverSecond(Server):
    """Reads a second request, and does nothing."""
    says = False

    async def serve(self, request, used, writer):
        if used > 1:
            await asyncio.sleep(30)
        self.execute(request)
        writer.write(answer(request, said=None if request.persists else b"close"))
        return request.persists


class SaysAndNeverSecond(NeverSecond):
    async def serve(self, request, used, writer):
        if used > 1:
            await asyncio.sleep(30)
        self.execute(request)
        writer.write(answer(request, said=self.said_so(request)))
        return request.persists

    @staticmethod
    def said_so(request):
        return b"keep-alive" if request.persists else b"close"


class Stub(Server):
    """Prints an answer, as netcat in a loop does, and waits for its client's end."""

    async def serve(self, request, used, writer):
        if used > 1:
            await asyncio.sleep(30)
        self.execute(request)
        writer.write(answer(request, dated=False))
        return request.minor == 1 and request.persists or request.asks_keep


class LateBytes(Server):
    """Behind some answers on a connection that goes on comes more than belongs to them, a moment later."""

    async def serve(self, request, used, writer):
        going_on = await super().serve(request, used, writer)
        if going_on and self.dice.random() < 0.3:
            await asyncio.sleep(self.dice.choice((0.02, 0.05))) # the answer to this request is read by then
            writer.write(b"<html>late</html>")
        return going_on


class UnreadBody(Server):
    """Does not read the bodies of requests: what follows a head is the next request, well or badly formed."""
    reads_bodies = False

    async def begin(self, reader, writer):
        used = 0
        try:
            while True:
                line = await reader.readuntil(b"\n")
                if not line.strip():
                    continue
                if not re.fullmatch(rb"[A-Z]+ /\S* HTTP/1\.[01]\r\n", line):
                    writer.write(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 3\r\nConnection: close\r\n\r\n501")
                    break
                head = line + await reader.readuntil(b"\r\n\r\n")
                used += 1
                if not await self.serve(Request(head[:-4], NOTHING), used, writer):
                    break
            writer.write_eof()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        # A body that came right behind the answer would be reset, directly as well.
        asyncio.get_running_loop().call_later(0.05, writer.close)


class DropsIdle(Server):
    """Closes what lies idle for a moment, without a word."""

    async def request(self, reader, writer, used):
        wait = self.dice.choice((0.001, 0.003, 0.01, 5)) if used else 30
        try:
            return await asyncio.wait_for(super().request(reader, writer, used), wait)
        except asyncio.TimeoutError:
            return None


class ResetsSecond(Server):
    async def serve(self, request, used, writer):
        if used > 1 and self.dice.random() < 0.3:
            writer.transport.abort()
            return False
        return await super().serve(request, used, writer)


class RefusesSecond(Server):
    """A second request is answered with a status that says: not on this connection."""
    statuses = (b"408 Request Timeout", b"421 Misdirected Request", b"400 Bad Request")

    async def serve(self, request, used, writer):
        if used > 1 and self.dice.random() < 0.3:
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno" % self.dice.choice(self.statuses))
            return False
        return await super().serve(request, used, writer)


class OnlyTen(Server):
    """Knows HTTP/1.0 only."""

    async def serve(self, request, used, writer):
        if request.minor:
            writer.write(b"HTTP/1.0 505 HTTP Version Not Supported\r\nContent-Length: 3\r\n\r\n505")
            return False
        self.execute(request)
        writer.write(answer(request, version=b"HTTP/1.0"))
        return False


class BareLf(Server):
    async def serve(self, request, used, writer):
        self.execute(request)
        writer.write(answer(request, said=self.said(request), end=b"\n"))
        return request.persists


class Slow(Server):
    async def serve(self, request, used, writer):
        await asyncio.sleep(self.dice.choice((0, 0.01, 0.05)))
        return await super().serve(request, used, writer)


class InPieces(Server):
    async def serve(self, request, used, writer):
        self.execute(request)
        whole = answer(request, said=self.said(request))
        at = 0
        while at < len(whole):
            n = self.dice.choice((1, 5, 40, len(whole)))
            writer.write(whole[at:at + n])
            await writer.drain()
            await asyncio.sleep(0)
            at += n
        return request.persists


class UntilClose(Server):
    async def serve(self, request, used, writer):
        self.execute(request)
        body = NOTHING if request.method == b"HEAD" else content(request.number, request.length)
        writer.write(b"HTTP/1.1 200 OK\r\n" + DATE + b"X-Number: %d\r\nConnection: close\r\n\r\n" % request.number + body)
        return False


CHARACTERS = {cls.__name__: cls for cls in (
    Server, Silent, Wordless, Closes, ClosesSilently, NeverSecond, SaysAndNeverSecond, Stub, LateBytes, UnreadBody, DropsIdle,
    ResetsSecond, RefusesSecond, OnlyTen, BareLf, Slow, InPieces, UntilClose)}
# Lends at most one request in a tree before it is known.
LOSES_ONE = ("NeverSecond", "SaysAndNeverSecond", "Stub")


async def main(seed):
    servers, ports = {}, {}
    for name, cls in CHARACTERS.items():
        servers[name] = cls(random.Random(f"{seed} {name}"))
        listener = await asyncio.start_server(servers[name].begin, "127.0.0.1", 0, backlog=256)
        ports[name] = listener.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps({name: server.executed for name, server in servers.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
