# SPDX-License-Identifier: ISC
"""A client that does as it is told, a line of JSON on its standard input an exchange, and answers with
another one what it read and how that ended.  Run directly and under holdfast by e2e_cases.

    cases_client.py [--thread]      # with another thread that does nothing

    {"to": [host, port], "send": [hex, ...], "size": 7, "until": 40, "habit": "peek"}
    {"got": hex, "end": "EOF"}

habit: recv; timeout (that is poll and a socket that does not block); peek; waitall; readv; poll; fork: a
child process reads.

until: how many bytes to read at least (null: up to the end); what comes within a moment behind them is
read, too.  end: EOF, open (nothing more came), or the name of an error.
"""

import errno
import json
import os
import select
import socket
import sys
import threading

PATIENCE = 20       # seconds; whoever started us is less patient
MOMENT = 5          # milliseconds


def read_peek(sock, size):
    return sock.recv(len(sock.recv(size, socket.MSG_PEEK)))


def read_waitall(sock, size):
    return sock.recv(size, socket.MSG_WAITALL)


def read_pieces(sock, size):
    buffers = [bytearray(3), bytearray(size)]
    n = sock.recvmsg_into(buffers)[0]
    return b"".join(buffers)[:n]


def read_poll(sock, size):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.poll()
    return sock.recv(size, socket.MSG_DONTWAIT)


READS = {"recv": socket.socket.recv, "timeout": socket.socket.recv, "peek": read_peek,
         "waitall": read_waitall, "readv": read_pieces, "poll": read_poll,
         "fork": socket.socket.recv}


def receive(sock, task):
    """Yields what comes; returns how it ends."""
    got, read = 0, READS[task["habit"]]
    while True:
        size = task["size"]
        if task["until"] is not None and got >= task["until"]:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(MOMENT):
                return "open"
        elif task["until"] is not None and task["habit"] == "waitall":
            size = min(size, task["until"] - got)
        piece = read(sock, size)
        if not piece:
            return "EOF"
        got += len(piece)
        yield piece


def answer(sock, task):
    got = bytearray()
    try:
        pieces = receive(sock, task)
        while True:
            got += next(pieces)
    except StopIteration as stop:
        end = stop.value
    except OSError as error:
        end = errno.errorcode.get(error.errno, str(error))
    return {"got": got.hex(), "end": end}


def answer_of_child(sock, task):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open(writing, "w", encoding="ascii") as file:
            json.dump(answer(sock, task), file)
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="ascii") as file:
        result = json.load(file)
    os.waitpid(pid, 0)
    return result


def exchange(task):
    with socket.socket() as sock:
        try:
            if task["habit"] == "timeout":
                sock.settimeout(PATIENCE)
            sock.connect(tuple(task["to"]))
            for piece in task["send"]:
                sock.sendall(bytes.fromhex(piece))
        except OSError as error:
            return {"got": "", "end": f"{errno.errorcode.get(error.errno, str(error))} before a byte"}
        return answer_of_child(sock, task) if task["habit"] == "fork" else answer(sock, task)


def main():
    if "--thread" in sys.argv:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    for line in sys.stdin:
        print(json.dumps(exchange(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
