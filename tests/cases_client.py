"""A client that does as it is told, a line of JSON on its standard input an exchange, and answers with
another one what it read and how that ended.  Run directly and under holdfast by e2e_cases.

    {"to": [host, port], "send": [hex, ...], "size": 7, "until": 40, "blocking": true}
    {"got": hex, "end": "EOF"}

until: how many bytes to read at least (null: up to the end); what comes within a moment behind them is
read, too.  end: EOF, open (nothing more came), or the name of an error.
"""

import errno
import json
import select
import socket
import sys

PATIENCE = 20       # seconds; whoever started us is less patient
MOMENT = 5          # milliseconds


def receive(sock, task):
    """Yields what comes; returns how it ends."""
    got = 0
    while True:
        if task["until"] is not None and got >= task["until"]:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(MOMENT):
                return "open"
        piece = sock.recv(task["size"])
        if not piece:
            return "EOF"
        got += len(piece)
        yield piece


def exchange(task):
    got, end = bytearray(), None
    sock = socket.socket()
    try:
        if not task["blocking"]:
            sock.settimeout(PATIENCE)
        sock.connect(tuple(task["to"]))
        for piece in task["send"]:
            sock.sendall(bytes.fromhex(piece))
        pieces = receive(sock, task)
        while True:
            got += next(pieces)
    except StopIteration as stop:
        end = stop.value
    except OSError as error:
        end = errno.errorcode.get(error.errno, str(error))
    sock.close()
    return {"got": got.hex(), "end": end}


def main():
    for line in sys.stdin:
        print(json.dumps(exchange(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
