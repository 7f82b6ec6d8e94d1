# SPDX-License-Identifier: ISC
"""The cases of cases.def, as Python values.

    for case in load():             # one a client and, of TRUNCATED, one a cut and a way to end
        case.name, case.request, case.response, ...

The README says what the rows mean.  Bytes are kept as they are written there, with their marks, until
write() and pieces() take them apart.
"""

import os
import re
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = re.compile(r'\s+|(/\*.*?\*/)|("(?:[^"\\]|\\.)*")|(\w+)|([(),])', re.S)
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", '"': b'"', "\\": b"\\"}
MARK = re.compile(rb"@(?:\{(\d+)\*(.*?)\}|([A|/.]))", re.S)

HOST = b"Host: h\r\n"
CLIENTS = {     # letter: what it sends, what goes out of it if it is adapted
    "o": (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", True),
    "n": (b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n", True),
    "k": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", False),
    "p": (b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n", False),
}
ADAPTED_REQUEST = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n"
HOP_BY_HOP = (b"connection:", b"keep-alive:", b"upgrade:", b"proxy-authenticate:")
CANNED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Case:
    name: str
    kind: str               # ADAPTED, OBSERVED, OPAQUE, LOST
    request: bytes
    sends: bytes            # what arrives under holdfast
    response: bytes         # what the server sends
    sees: bytes             # what the client sees under holdfast
    exactly: bool           # or but for hop-by-hop fields
    end: str                # ENDS, ASKS, WAITS, BREAKS; FIN, RST: the server ends it there
    why: str
    parked: bool
    letter: str = "-"
    old: bool = field(default=False)

    def __str__(self):
        return f"{self.name} ({self.letter})"


def unescape(literal):
    def one(match):
        text = match.group(1)
        return ESCAPES[text].decode("latin-1") if text in ESCAPES else chr(int(text, 8))
    return re.sub(r"\\([0-7]{3}|.)", one, literal[1:-1]).encode("latin-1")


def tokens(text):
    at, found = 0, []
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"cannot read {text[at:at + 60]!r}")
        at = match.end()
        if match.group(2) or match.group(3) or match.group(4):
            found.append(match.group().strip())
    return found


class Reader:
    """Of the tokens of one file: the calls in it."""

    def __init__(self, defines):
        self.defines, self.tokens, self.at = defines, [], 0

    def value(self, words):
        """Strings as bytes; one name, or a call as (name, arguments)."""
        if len(words) > 1 and words[1] == "(":
            return words[0], self.arguments(words, 1)[0]
        if len(words) == 1 and words[0][0] != '"' and words[0] not in self.defines:
            return words[0]
        return b"".join(unescape(w) if w[0] == '"' else self.defines[w] for w in words)

    def arguments(self, words, at):
        """Of the parenthesis at `at`: the values in it, and where it ends."""
        depth, one, found = 0, [], []
        while True:
            word, at = words[at], at + 1
            depth += (word == "(") - (word == ")")
            if depth == 0 or (depth == 1 and word == ","):
                found.append(self.value(one))
                one = []
                if depth == 0:
                    return found, at
            elif depth > 1 or word != "(":
                one.append(word)

    def calls(self, text):
        words, at = tokens(text), 0
        while at < len(words):
            name = words[at]
            values, at = self.arguments(words, at + 1)
            yield name, values


def rows(path="cases.def", defines=None):
    """(macro, its arguments) of a file and those that it includes."""
    reader = Reader({} if defines is None else defines)
    with open(os.path.join(HERE, path), encoding="ascii") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    plain = []
    for line in text.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "#define":
            name, _, words = rest.partition(" ")
            reader.defines[name] = reader.value(tokens(words))
        elif word == "#include":
            yield from rows(rest.strip('"'), reader.defines)
        else:
            plain.append(line)
    yield from reader.calls("\n".join(plain))


def write(text, authority=b"@A"):
    """Without marks."""
    def one(match):
        if match.group(1):
            return int(match.group(1)) * match.group(2)
        return authority if match.group(3) == b"A" else b""
    return MARK.sub(one, text)


def pieces(text):
    """What is sent at once."""
    return [write(piece) for piece in text.split(b"@/")]


def without_hop_by_hop(text):
    lines = re.findall(rb"[^\n]*\n|[^\n]+", text)
    return b"".join(line for line in lines if not line.lower().startswith(HOP_BY_HOP))


def text_of(value, same):
    """Of AS_IS, EDITED or SEES(bytes): the bytes, and whether exactly."""
    if isinstance(value, tuple):
        return value[1][0], False
    return same, value == "AS_IS"


def of_clients(name, letters, response, sees, end, why):
    for letter in letters:
        request, adapted = CLIENTS[letter.lower()]
        sends = ADAPTED_REQUEST if adapted else request
        if letter.isupper():
            request, sends = (text.replace(b"GET", b"HEAD") for text in (request, sends))
        seen, exactly = text_of(sees, response)
        yield Case(name, "ADAPTED" if adapted else "OBSERVED", request, sends, response,
                   seen if adapted else response, exactly or not adapted, end, why,
                   end == "ENDS" and why == "none", letter, old=letter in "oO")


def response_row(name, section, letters, response, sees, end, why):
    return of_clients(name.decode(), letters.decode(), response, sees, end, why)


def chunks_row(name, section, body, data, end, why):
    head = b"HTTP/1.1 200 OK\r\n"
    response = head + b"Transfer-Encoding: chunked\r\n\r\n" + body
    yield from of_clients(name.decode(), "o", response, ("SEES", [head + b"\r\n" + data]), end, why)
    end = "ENDS" if end == "ENDS" and why == "none" else "ASKS"
    yield from of_clients(name.decode(), "nk", response, "EDITED", end, why)


def request_row(name, section, request, kind, sends, why):
    return exchange_row(name, section, request, kind, sends, CANNED, "EDITED", "ENDS", why)


def exchange_row(name, section, request, kind, sends, response, sees, end, why):
    seen, exactly = text_of(sees, response)
    parked = kind in ("ADAPTED", "OBSERVED") and end == "ENDS" and why == "none"
    yield Case(name.decode(), kind, request, text_of(sends, request)[0], response,
               seen, exactly or kind != "ADAPTED", end, why, parked)


def decoded(body):
    """The data of chunks that are well-formed, as far as they go."""
    data = b""
    while True:
        size, feed, body = body.partition(b"\n")
        n = int(size.split(b";")[0].strip() or b"0", 16) if feed else 0
        if n == 0:
            return data
        data += body[:n]
        body = body[n + 2:]


def shown_to_old(text):
    """What an HTTP/1.0 client sees of the beginning of a response, and whether that was decoded."""
    while match := re.match(rb"HTTP/1.1 1.*?\r\n\r\n", text, re.S):
        text = text[match.end():]
    head, blank, body = text.partition(b"\r\n\r\n")
    coding = b"\r\nTransfer-Encoding: chunked"
    if not blank or coding not in head or b"Content-Length" in head:
        return text, False
    return head.replace(coding, b"") + blank + decoded(body), True


def truncated_row(name, section, letters, response):
    parts = response.split(b"@|")
    for i in range(1, len(parts)):
        part = b"".join(parts[:i])
        whole = i == len(parts) - 1 and not parts[i]
        for case in of_clients(f"{name.decode()} {i}", letters.decode(), part, "EDITED", "", "none"):
            if case.kind == "ADAPTED" and case.old:
                case.sees, breaks = shown_to_old(part)
            else:
                breaks = False
            for way in ("FIN", "RST"):
                yield Case(**{**case.__dict__, "name": f"{case.name}, {way}", "end": way,
                              "why": "whole" if whole else "breaks" if breaks else "cut"})


ROWS = {"RESPONSE": response_row, "CHUNKS": chunks_row, "REQUEST": request_row, "EXCHANGE": exchange_row,
        "TRUNCATED": truncated_row}


def load():
    for macro, values in rows():
        yield from ROWS[macro](*values)
