# SPDX-License-Identifier: ISC
"""The networks of scripts/bench/bench: whoever is root gets network namespaces of his own, made by
build/delay-wire, in which nobody else's packets count.

    with Network(20) as net:        # the bench itself is at the near end of a wire of 20 ms
        net.near, net.far           # addresses for proxies and for the origin
        net.enter_far               # for the process that is to serve at the far end
        net.packets()

Network(0) is a loopback: one of its own for root, else the machine's.
"""

import ctypes
import os
import subprocess

from holdfast_test import BUILD
from servers import end_with_parent, free_port

WIRE = os.path.join(BUILD, "delay-wire")
CLONE_NEWNET = 0x40000000
FIRST_PORT = 8001       # below those that the kernel gives to clients
NAMES = ("WIRE_CLIENT", "WIRE_SERVER", "WIRE_CLIENT_NET", "WIRE_SERVER_NET", "WIRE_PID")


class NoNetwork(Exception):
    """With the reason."""


def enter(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def open_namespace(path):
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


class Network:
    def __init__(self, rtt_ms):
        self.rtt_ms = rtt_ms
        self.near = self.far = "127.0.0.1"
        self.wire = self.home = self.there = self.enter_far = None
        self.ports = 0

    def __enter__(self):
        try:
            told = self._begin()
        except NoNetwork:
            if self.rtt_ms:
                raise
            return self
        self.home = open_namespace("/proc/self/ns/net")
        near = open_namespace(told["WIRE_CLIENT_NET"])
        enter(near)
        os.close(near)
        if self.rtt_ms:
            self.far = told["WIRE_SERVER"]
            self.there = open_namespace(told["WIRE_SERVER_NET"])
            self.enter_far = lambda: enter(self.there)
        return self

    def _begin(self):
        if os.geteuid() != 0:
            raise NoNetwork("needs root")
        if not os.access(WIRE, os.X_OK):
            raise NoNetwork(f"{os.path.relpath(WIRE)} is not built")
        self.wire = subprocess.Popen([WIRE, "--rtt", str(self.rtt_ms)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     preexec_fn=end_with_parent)
        lines = [self.wire.stdout.readline() for _ in NAMES]
        if not lines[-1]:
            _, error = self.wire.communicate()
            self.wire = None
            raise NoNetwork(error.strip())
        return dict(line.strip().split("=", 1) for line in lines)

    def __exit__(self, *_):
        if self.home is not None:
            enter(self.home)
            os.close(self.home)
        if self.there is not None:
            os.close(self.there)
        if self.wire:
            self.wire.communicate()     # the end of its standard input ends it

    def port(self):
        """For a server of ours."""
        self.ports += 1
        return FIRST_PORT + self.ports - 1 if self.wire else free_port()

    def packets(self):
        """So far: over the wire, both ways; on a loopback the TCP segments that were sent.  None where
        others' count as well."""
        if not self.wire:
            return None
        if self.rtt_ms:
            with open("/proc/thread-self/net/dev", encoding="ascii") as table:
                words = next(line for line in table if line.strip().startswith("wire:")).split(":")[1].split()
            return int(words[1]) + int(words[9])
        with open("/proc/thread-self/net/snmp", encoding="ascii") as table:
            names, values = [line.split() for line in table if line.startswith("Tcp:")]
        return int(values[names.index("OutSegs")])

    def pids(self):
        return [self.wire.pid] if self.wire else []
