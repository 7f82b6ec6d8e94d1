"""Makes programs for build/tests/calls (see tests/calls/calls.h) at random: one to four exchanges, whole and in pieces, with
calls of all kinds at random moments of them.  The same seed makes the same program.

A call that could wait for ever is made only where something is there to be had, or with a timer around it: what a
program may wait for is known from a small model of each socket (class Socket)."""

import random

METHODS = ["GET"] * 8 + ["HEAD", "HEAD", "POST", "PUT", "DELETE"]
SENDS = ["write", "send", "sendto", "writev", "sendmsg", "sendmmsg", "sendfile", "splice", "dprintf"]
RECEIVES = ["read", "recv", "recvfrom", "readv", "recvmsg", "recvmmsg", "splice"]
RECEIVE_FLAGS = ["-", "-", "-", "dontwait", "dontwait", "peek+dontwait", "peek", "waitall", "trunc", "dontwait+waitall"]
LENGTHS = [1, 2, 7, 64, 100, 512, 1000, 1500, 4000, 4000, 4000, 16000]
EVENTS = [0x1, 0x1, 0x4, 0x5, 0x2001, 0x2000, 0x0, 0x2, 0x41, 0x10, 0x2015]
SET_EVENTS = [0x1, 0x1, 0x4, 0x5, 0x2001, 0x2000, 0x80000001, 0x80000005, 0x40000001, 0x40000005, 0x80002005, 0x10000001]
OPTIONS = ["error", "type", "nodelay", "keepalive", "domain", "protocol", "accepting", "reuse"]


class Socket:
    def __init__(self, slot):
        self.slot = slot
        self.exists = self.connected = self.nonblocking = False
        self.exchange = None
        self.sent = 0           # of 1000
        self.part = -1          # the last cut that was answered
        self.unread = False     # something is certainly there, or the end
        self.persists = False
        self.copy = None        # the slot of a copy
        self.stream = False


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines, self.exchanges = [], []
        self.sets = {}
        self.slots = [Socket(i) for i in range(4)]
        self.threads = False
        self.wild = self.random.random() < 0.5     # calls that make no sense, too

    def one_of(self, *choices):
        return self.random.choice(choices[0] if len(choices) == 1 else choices)

    def chance(self, probability):
        return self.random.random() < probability

    def add(self, line):
        self.lines.append(line)

    def new_exchange(self):
        r, k = self.random, len(self.exchanges)
        method = self.one_of(METHODS)
        minor, connection = self.one_of([(0, "none")] * 5 + [(1, "close")] * 3 + [(1, "none")] * 3 + [(0, "keep"), (1, "keep")])
        body = "none"
        if method in ("POST", "PUT"):
            body = "chunked" if minor == 1 and self.chance(0.3) else "length"
        kind = self.one_of("length", "length", "length", "chunked", "chunked", "close", "none", "interim")
        status = self.one_of(200, 200, 200, 200, 404, 204, 304) if kind != "none" else self.one_of(204, 304)
        length = 0 if kind == "none" else self.one_of(0, 1, 30, 100, 700, 3000, 9000)
        cuts = sorted(r.randint(0, max(length, 1)) for _ in range(2))
        texts = [f"b{cut}" for cut in cuts]
        if self.chance(0.02):
            texts[0] = f"h{r.randint(1, 60)}"
        bare = kind == "none" or status in (204, 304) or method == "HEAD"
        # What each part adds to the one before: whether there is then something to be read.
        adds = [True, False, False] if bare else [True, min(cuts[1], length) > min(cuts[0], length), length > cuts[1] or
                                                  kind == "chunked" and minor == 1]
        self.exchanges.append((f"req {k} {method} {minor} {connection} {body} {self.one_of(1, 20, 300, 2000)}",
                               f"resp {k} {kind} {status} {length} {' '.join(texts)}"))
        persists = (minor == 1 and connection != "close" or connection == "keep") and kind != "close" and \
            not (kind == "chunked" and minor == 0)
        return k, persists, adds

    # What is done to one socket in the course of an exchange.

    def open(self, s):
        s.__init__(s.slot)
        s.nonblocking = self.chance(0.3)
        self.add(f"socket {s.slot} {('n' if s.nonblocking else '') + ('c' if self.chance(0.4) else '') + ('6' if self.chance(0.1) else '') or '-'}")
        s.exists = True

    def connect(self, s):
        self.add(f"connect {s.slot}")
        s.connected = True
        if s.nonblocking:
            self.add(self.one_of(f"poll 1000 {s.slot} 0x4", f"select 1000 {s.slot} w", f"connect {s.slot}",
                                 f"poll 1000 {s.slot} 0x5", f"getopt {s.slot} error"))
            if self.lines[-1].startswith(("connect", "getopt")):
                self.lines.insert(-1, f"poll 1000 {s.slot} 0x4")

    def begin(self, s):
        s.exchange, s.persists, s.adds = self.new_exchange()
        s.sent, s.part, s.unread = 0, -1, False

    def send(self, s):
        to = 1000 if self.chance(0.6) else self.random.randint(s.sent + 1, 1000)
        via = self.one_of(SENDS) if self.chance(0.5) else self.one_of("write", "send")
        flags = self.one_of("-", "nosignal", "dontwait", "nosignal+dontwait") if via in ("send", "sendto", "sendmsg", "sendmmsg") else "-"
        if s.stream:
            self.add(f"fput {s.slot} {s.exchange} {s.sent} {to}")
        else:
            self.add(f"send {s.slot} {s.exchange} {s.sent} {to} {flags} {via}")
        s.sent = to

    def answer(self, s):
        before, s.part = s.part, 2 if self.chance(0.5) else s.part + 1
        self.add(f"answer {s.exchange} {s.part}")
        s.unread = s.unread or any(s.adds[before + 1:s.part + 1]) or s.part == 2 and not s.persists

    def receive(self, s, slot=None):
        slot = s.slot if slot is None else slot
        if s.stream:
            self.add(f"fget {slot} {self.one_of(1, 7, 100)}" if s.part == 2 else f"inq {slot}")
            return
        via, flags = self.one_of(RECEIVES) if self.chance(0.5) else "recv", self.one_of(RECEIVE_FLAGS)
        if via in ("read", "readv"):
            flags = "-"
        if via == "splice":
            flags = self.one_of("-", "dontwait")
        waits = "dontwait" not in flags and not s.nonblocking
        certain = s.unread and via != "recvmmsg" and "waitall" not in flags
        if waits and not certain and not (s.part == 2 and not s.persists):
            if self.chance(0.3):
                self.add(f"later signal {self.one_of('plain', 'plain', 'restart') if s.unread else 'plain'}")
            else:
                via, flags = "recv", "dontwait"
        self.add(f"recv {slot} {self.one_of(LENGTHS)} {flags} {via}")
        if "peek" not in flags:
            s.unread = s.part == 2 and not s.persists

    def finish(self, s):
        for _ in range(self.random.randint(0, 2)):
            self.add(f"recv {s.slot} {self.one_of(4000, 16000)} dontwait recv")
        if self.chance(0.7):
            self.add(f"drain {s.slot}")
        s.unread = not s.persists

    def close(self, s):
        self.add(f"fclose {s.slot}" if s.stream else f"close {s.slot}")
        s.exists = s.connected = s.stream = False

    # At any moment.

    def interlude(self, s):
        kinds = [self.wait, self.wait, self.epoll, self.epoll, self.epoll, self.query, self.query, self.number, self.flag]
        if self.wild:
            kinds += [self.copy, self.half_close, self.process, self.thread, self.blocked, self.pass_on, self.misuse]
        self.one_of(kinds)(s)

    def wait_line(self, s, ms):
        if self.chance(0.4):
            return f"{self.one_of('select', 'pselect')} {ms} {s.slot} {self.one_of('r', 'w', 'rw', 'x', 'rwx')}"
        return f"{self.one_of('poll', 'ppoll')} {ms} {s.slot} {self.one_of(EVENTS):#x}"

    def wait(self, s):
        if self.chance(0.1):
            self.add(f"later signal {self.one_of('plain', 'restart')}")
            self.add(self.wait_line(s, 300))
            return
        self.add(self.wait_line(s, self.one_of(0, 0, 0, 5, 5, 60)))

    def epoll(self, s):
        e = self.random.randrange(2)
        if e not in self.sets:
            self.sets[e] = set()
            self.add(f"epmake {e}")
        members = self.sets[e]
        if s.slot not in members and s.exists:
            members.add(s.slot)
            self.add(f"epadd {e} {s.slot} {self.one_of(SET_EVENTS):#x}")
        elif self.chance(0.25):
            self.add(f"epmod {e} {s.slot} {self.one_of(SET_EVENTS[:-1]):#x}")
        elif self.chance(0.15):
            members.discard(s.slot)
            self.add(f"epdel {e} {s.slot}")
        self.add(f"epwait {e} {self.one_of(0, 0, 0, 5)} {self.one_of('-', '-', 'pwait', 'pwait2')}")

    def query(self, s):
        self.add(self.one_of(f"inq {s.slot}", f"getopt {s.slot} {self.one_of(OPTIONS)}", f"names {s.slot}", f"getfl {s.slot}",
                             f"getfd {s.slot}", f"inq {s.slot}"))

    def flag(self, s):
        on = self.random.randrange(2)
        if self.chance(0.3):
            self.add(f"{self.one_of('setfl', 'nbio')} {s.slot} {on}")
            s.nonblocking = bool(on)
        else:
            self.add(self.one_of(f"setfd {s.slot} {on}", f"setopt {s.slot} nodelay {on}", f"setopt {s.slot} keepalive {on}"))

    def number(self, s):
        """A number that something else gets and gives back."""
        self.add("socket 7 -")
        self.add("close 7")

    def copy(self, s):
        if not s.exists or s.stream:
            return
        self.add(self.one_of(f"dup {s.slot} 5", f"fdup {s.slot} 5 {self.one_of(0, 20)}", f"dup {s.slot} 5"))
        for _ in range(self.random.randint(0, 2)):
            self.add(self.one_of("recv 5 64 dontwait recv", "poll 0 5 0x5", "inq 5", "getfl 5"))
        if self.chance(0.8):
            self.add("close 5")
        elif self.chance(0.5):
            self.add(f"dup2 5 {s.slot}")

    def half_close(self, s):
        if s.sent == 1000 or not s.connected or self.chance(0.2):
            self.add(f"shutdown {s.slot} {self.one_of(1, 1, 1, 0, 2)}")

    def process(self, s):
        if self.chance(0.5) and s.part == 2:
            self.add(f"exec {s.slot} {self.one_of('fork', 'vfork', 'spawn')}")
            return
        lines = [self.one_of(f"recv {s.slot} 64 dontwait recv", f"poll 0 {s.slot} 0x5", f"inq {s.slot}", f"close {s.slot}",
                             f"drain {s.slot}") for _ in range(self.random.randint(1, 2))]
        self.add(f"fork {len(lines)}")
        self.lines += lines

    def thread(self, s):
        self.add("thread 1")
        self.add(self.one_of(self.wait_line(s, 0), f"recv {s.slot} 64 dontwait recv", f"inq {s.slot}"))

    def blocked(self, s):
        """A thread waits for what is about to come."""
        if s.sent < 1000 or s.part >= 2 or s.exchange is None or s.stream:
            return
        self.add("blocked")
        self.add(self.one_of(f"recv {s.slot} 4000 - recv", self.wait_line(s, 300)))
        s.part = 2
        self.add(f"answer {s.exchange} 2")
        s.unread = not s.persists

    def pass_on(self, s):
        if s.exists and not s.stream:
            self.add(f"pass {s.slot} 6")
            self.add(self.one_of("recv 6 64 dontwait recv", "poll 0 6 0x5", "getfl 6"))
            self.add("close 6")

    def misuse(self, s):
        self.add(self.one_of(f"connect {s.slot}", f"connect {s.slot} nowhere", f"send {s.slot} 0 0 0 - send",
                             f"recv {s.slot} 0 dontwait recv", f"close {s.slot}", f"shutdown {s.slot} 1",
                             f"send {s.slot} 0 990 1000 nosignal+dontwait send", f"dup2 {s.slot} {s.slot}",
                             f"range {s.slot}"))

    def stage(self, s):
        """The next step of this socket."""
        if not s.exists:
            self.open(s)
        elif not s.connected:
            self.connect(s)
        elif s.exchange is None:
            if len(self.exchanges) >= 5:
                return False
            self.begin(s)
        elif s.sent < 1000:
            if s.sent == 0 and not s.stream and self.wild and self.chance(0.04):
                self.add(f"fdopen {s.slot} r+")
                s.stream = True
            self.send(s)
        elif s.part < 2:
            self.receive(s) if self.chance(0.4) and s.part >= 0 else self.answer(s)
        else:
            self.finish(s)
            if s.persists and self.chance(0.5) and len(self.exchanges) < 5:
                s.exchange = None
                return True
            if self.chance(0.15):
                self.add(f"end {s.exchange}")
            if self.chance(0.3):
                self.interlude(s)
            self.close(s)
            s.exchange = None
            return False
        return True

    def make(self):
        active = [self.slots[0]]
        if self.chance(0.25):
            active.append(self.slots[1])
        rounds = {s.slot: self.random.randint(1, 3) for s in active}
        while active and len(self.lines) < 110:
            s = self.one_of(active)
            if not self.stage(s):
                rounds[s.slot] -= 1
                if rounds[s.slot] <= 0 or len(self.exchanges) >= 5:
                    active.remove(s)
                continue
            while self.chance(0.35):
                self.interlude(s)
        heads = [line for pair in self.exchanges for line in pair]
        return heads + self.lines


def program(seed):
    return Maker(seed).make()
