# SPDX-License-Identifier: ISC
"""What is run for tests/broker/e2e_broker as the broker's own user: messages that are changed or never were any, with
descriptors beside them that do not belong there.

    broker_nonsense.py SOCKET ROUNDS SEED
"""

import array
import os
import random
import socket
import struct
import sys

SIZE = 96       # struct broker_request


def true_message(kind):
    endpoint = struct.pack("<HHI16sIIIIQQ", 2, 0x901f, 0, bytes([127, 0, 0, 1]), os.geteuid(), os.getegid(), 0, 0, 1, 0)
    if kind != 2:
        endpoint = bytes(len(endpoint))
    return struct.pack("<QII", 0x317172656b6f7262, SIZE, kind) + endpoint + bytes([0] * 16 + [kind == 2] + [0] * 7)


def main():
    path, rounds, chance = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
    null = os.open("/dev/null", os.O_RDWR)
    answered = 0
    for i in range(rounds):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.settimeout(20)
            line.connect(path)
            message = bytearray(true_message(1 + i % 4))
            for _ in range(chance.randrange(4)):
                message[chance.randrange(len(message))] = chance.randrange(256)
            if chance.random() < 0.2:
                message = message[:chance.randrange(len(message))] or b"x"
            elif chance.random() < 0.1:
                message += bytes(chance.randrange(4000))
            fds = [null] * chance.choice((0, 0, 1, 1, 2, 20))
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if fds and chance.random() < 0.6:
                fds[0] = far.fileno()
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            for _ in range(chance.choice((1, 1, 1, 40))):
                try:
                    line.sendmsg([message], control, socket.MSG_DONTWAIT)
                except OSError:
                    break
            if i % 50 == 0:     # the true thing, to see that it is still there
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as good:
                    good.settimeout(20)
                    good.connect(path)
                    good.send(true_message(1))
                    data, got, _, _ = good.recvmsg(4096, 4096)
                    answered += len(data) == 80
                    for _, _, value in got:
                        for fd in array.array("i", value):
                            os.close(fd)
            near.close()
            far.close()
    assert answered == (rounds + 49) // 50, answered


if __name__ == "__main__":
    main()
