# SPDX-License-Identifier: ISC
"""What the clients of e2e_opaque say that are scripts.  Each gets a port first."""

URLLIB = """
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for url in sys.argv[2:]:
    with urllib.request.urlopen(url, timeout=20, context=context) as r:
        sys.stdout.buffer.write(r.read())
"""

SMTP = """
import smtplib, sys
for i in range(2):
    with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "me", timeout=20) as s:
        print(s.sendmail("a@b", ["c@d"], "Subject: GET / HTTP/1.0\\r\\n\\r\\nhello"))
"""

# A frame in each piece; the answer to the request is read as told.
WEB_SOCKET = """
import select, socket, sys
port, how = int(sys.argv[1]), sys.argv[2]
close = ", close" if "close" in how else ""
request = (f"GET /{how} HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade{close}\\r\\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n").encode()
size = 1 if "bytes" in how else 65536
def read_until(end):
    data = b""
    while not data.endswith(end):
        if "poll" in how:
            assert select.select([s], [], [], 5)[0], "no answer"
        piece = s.recv(size)
        if not piece:
            return data + b"(end)"
        data += piece
    return data
for i in range(3):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(request)
        if "refuse" in how:
            print(read_until(b"no\\n"))
            if not close:
                s.sendall(request)
            print(read_until(b"no\\n"))
            continue
        print(read_until(b"again"))
        for frame in (b"\\x81\\x83abcd123", b"GET / HTTP/1.1\\r\\n\\r\\n", b"\\x88\\x80abcd"):
            s.sendall(frame)
            print(read_until(frame[-3:]))
"""

# Each piece has to get out before the next is sent.
PIECES = """
import socket, sys
for pieces in ((b"G", b"ET ", b"foo", b"\\r\\n"), (b"GET key\\r\\n", b"GET key\\r\\n"),
               (b"POST 5\\r\\n", b"hello"), (b"HEAD", b"\\x00\\x01\\x02"), (b"PRI", b" * x\\n"),
               (b"GET / HT", b"ML\\r\\n"),
               (b"GET / HTTP", b"D\\r\\n"), (b"DELETE k\\n", b"OPTIONS\\n"),
               (b"\\x16\\x03\\x01", b"\\x00\\x01"),
               (b"\\r\\n", b"GET\\r\\n"), (b"CONNECT\\r\\n", b"x"),
               (b"GET http://a b c\\r\\n", b"y" * 5000),
               (b"x" * 20000, b"z"), (b"PUT /name\\r\\n", b"HTTP/1.0\\r\\n"),
               (b"get a b\\r\\n", b"quit\\r\\n")):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s:
        for piece in pieces:
            s.sendall(piece)
            left = len(piece)
            while left > 0:
                left -= sum(map(int, s.recv(1000).split()))
            print(piece[:10], left)
"""

LINES = """
import socket, sys
for i in range(3):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s, s.makefile("rb") as answers:
        for line in (b"SET foo bar", b"GET foo", b"GET none", b"POST a b", b"HEAD a", b"PUT x y", b"GET x"):
            s.sendall(line + b"\\r\\n")
            print(answers.readline())
            if not line.startswith((b"SET", b"POST", b"PUT")):
                print(answers.readline())
        s.sendall(b"QUIT\\r\\n")
        print(answers.read())
"""

LINES_PHP = """<?php
$s = fsockopen('127.0.0.1', (int)$argv[1], $errno, $error, 5);
foreach (['SET foo bar', 'GET foo', 'DELETE foo'] as $line) {
    fwrite($s, "$line\\r\\n");
    print(fgets($s));
    if ($line != 'SET foo bar') print(fgets($s));
}
"""
