# SPDX-License-Identifier: ISC
"""Makes programs for build/tests/calls (see tests/calls/calls.h) at random: one to four exchanges, whole and in pieces, with
calls of all kinds at random moments of them.  The same seed makes the same program.

A call that could wait for ever is made only where something is there to be had, or where something will come while it
sleeps (`later`): what a program may wait for is known from a small model of each socket (class Socket)."""

import random

METHODS = ["GET"] * 8 + ["HEAD", "HEAD", "POST", "PUT", "DELETE"]
CLIENTS = [(0, "none")] * 5 + [(1, "close")] * 3 + [(1, "none")] * 3 + [(0, "keep"), (1, "keep")]
KINDS = ["length"] * 3 + ["chunked"] * 2 + ["extended", "close", "none", "interim", "interims"]
SENDS = ["write", "send", "sendto", "writev", "sendmsg", "sendmmsg", "sendfile", "splice", "dprintf", "pwritev2", "syscall",
         "pwritev64v2", "vdprintf", "sendfile64"]
FLAGGED_SENDS = ("send", "sendto", "sendmsg", "sendmmsg")
SEND_FLAGS = ["-", "nosignal", "dontwait", "nosignal+dontwait", "eor", "confirm", "zerocopy"]
RECEIVES = ["read", "recv", "recvfrom", "readv", "recvmsg", "recvmmsg", "splice", "preadv2", "syscall", "read_chk",
            "recv_chk", "recvfrom_chk", "preadv64v2"]
BARE_RECEIVES = ("read", "readv", "preadv2", "preadv64v2", "syscall", "read_chk")
RECEIVE_FLAGS = ["-", "-", "-", "dontwait", "dontwait", "peek+dontwait", "peek", "waitall", "trunc", "dontwait+waitall",
                 "dontwait+errqueue", "cloexec"]
LENGTHS = [1, 2, 7, 64, 100, 512, 1000, 1500, 4000, 4000, 4000, 16000]
EVENTS = [0x1, 0x1, 0x4, 0x5, 0x2001, 0x2000, 0x0, 0x2, 0x41, 0x10, 0x2015]
SET_EVENTS = [0x1, 0x1, 0x4, 0x5, 0x2001, 0x2000, 0x80000001, 0x80000005, 0x40000001, 0x40000005, 0x80002005, 0x10000001]
OPTIONS = ["error", "type", "nodelay", "keepalive", "domain", "protocol", "accepting", "reuse", "lowat", "oobinline", "user"]
SETTABLE = ["nodelay 0", "nodelay 1", "keepalive 0", "keepalive 1", "rcvtimeo 20", "rcvtimeo 0", "sndtimeo 50", "cork 0",
            "quickack 1", "reuse 1"]
DISTURBING = ["linger 0", "linger -1", "lowat 1", "lowat 200", "oobinline 1", "user 5000", "cork 1", "sendbuf 20000"]
EXECS = ["fork", "vfork", "spawn", "spawnp", "fexec", "execvpe", "system", "popen"]
ENDS = ["_exit", "exit", "quick", "_Exit"]
SHARED = 0.08            # of all programs
MISC = ["setns", "unshare", "setuid", "seteuid", "setreuid", "setresuid", "setfsuid", "prctl"]


class Socket:
    def __init__(self, slot):
        self.slot = slot
        self.exists = self.connected = self.nonblocking = False
        self.exchange = None
        self.sent = 0           # of 1000
        self.part = -1          # the last cut that was answered
        self.adds = []          # whether each cut adds bytes
        self.unread = False     # something is certainly there, or the end
        self.persists = False
        self.stream = False
        self.disturbed = False  # what is there, and what will come, is not known
        self.given = False      # another process reads the rest

    def over(self):
        """Whether the end is there, at the latest behind what is left."""
        return self.part == 2 and not self.persists


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines, self.exchanges = [], []
        self.sets = {}
        self.slots = [Socket(i) for i in range(4)]
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
        minor, connection = self.one_of(CLIENTS)
        body = "none"
        if method in ("POST", "PUT"):
            body = "chunked" if minor == 1 and self.chance(0.3) else "length"
        kind = self.one_of(KINDS)
        status = self.one_of(200, 200, 200, 200, 404, 204, 304) if kind != "none" else self.one_of(204, 304)
        length = 0 if kind == "none" else self.one_of(0, 1, 30, 100, 700, 3000, 9000)
        cuts = sorted(r.randint(0, max(length - 1, 0)) for _ in range(2))
        texts = [f"b{cut}" for cut in cuts]
        if self.chance(0.01):
            texts[0] = f"h{r.randint(1, 60)}"
        observed = connection == "keep" or minor == 1 and connection == "none"
        silent = " silent" if observed and minor == 1 and self.chance(0.4) else ""
        bare = kind == "none" or status in (204, 304) or method == "HEAD"
        chunked = kind in ("chunked", "extended")
        # Whether each part adds bytes; no part but the last is all of it.
        adds = [not bare and length > 0, cuts[1] > cuts[0], True]
        self.exchanges.append((f"req {k} {method} {minor} {connection} {body} {self.one_of(1, 20, 300, 2000)}",
                               f"resp {k} {kind} {status} {length} {' '.join(texts)}{silent}"))
        persists = (minor == 1 and connection != "close" or connection == "keep") and kind != "close" and \
            not (chunked and minor == 0 and not bare)
        return k, persists, adds

    # What is done to one socket in the course of an exchange.

    def open(self, s):
        s.__init__(s.slot)
        s.nonblocking = self.chance(0.3)
        flags = ("n" if s.nonblocking else "") + ("c" if self.chance(0.4) else "") + ("6" if self.chance(0.1) else "")
        self.add(f"socket {s.slot} {flags or '-'}")
        s.exists = True

    def connect(self, s):
        if self.wild and self.chance(0.05):
            self.add(f"bind {s.slot}")
        self.add(f"connect {s.slot}")
        s.connected = True
        if s.nonblocking:
            self.add(self.one_of(f"poll 1000 {s.slot} 0x4", f"select 1000 {s.slot} w", f"poll 1000 {s.slot} 0x5"))
            if self.chance(0.4):
                self.add(self.one_of(f"connect {s.slot}", f"getopt {s.slot} error"))

    def begin(self, s):
        s.exchange, s.persists, s.adds = self.new_exchange()
        s.sent, s.part, s.unread = 0, -1, False

    def send(self, s):
        to = 1000 if self.chance(0.6) else self.random.randint(s.sent + 1, 1000)
        via = self.one_of(SENDS) if self.chance(0.5) else self.one_of("write", "send")
        flags = self.one_of(SEND_FLAGS) if via in FLAGGED_SENDS else "-"
        if via in FLAGGED_SENDS and to < 1000 and self.chance(0.1):
            flags = "more"
        if s.stream:
            self.add(f"fput {s.slot} {s.exchange} {s.sent} {to}")
        else:
            self.add(f"send {s.slot} {s.exchange} {s.sent} {to} {flags} {via}")
        s.sent = to

    def answered(self, s):
        """The part that is answered next; what will then be there is noted."""
        before, s.part = s.part, 2 if self.chance(0.5) or not s.adds[0] else s.part + 1
        adds = any(s.adds[before + 1:s.part + 1]) or s.over()
        s.unread = s.unread or adds
        return f"answer {s.exchange} {s.part}", adds

    def answer(self, s):
        asleep = not s.unread and not s.disturbed and not s.nonblocking and not s.stream and self.chance(0.3)
        line, adds = self.answered(s)
        if not asleep or not adds:
            self.add(line)
            return
        if self.chance(0.2):
            self.add("later signal restart")
            self.add(f"later {line}")
            self.add(f"recv {s.slot} {self.one_of(LENGTHS)} - {self.one_of('read', 'recv', 'recvmsg', 'recvfrom')}")
            s.unread = s.over()
            return
        self.add(f"later {line}")
        if self.chance(0.5):
            self.add(f"recv {s.slot} {self.one_of(LENGTHS)} {self.one_of('-', '-', 'peek')} {self.one_of('read', 'recv', 'recvmsg', 'splice')}")
            s.unread = s.over()
        else:
            self.add(self.readable_line(s, 1000))

    def readable_line(self, s, ms):
        return self.one_of(f"poll {ms} {s.slot} 0x1", f"ppoll {ms} {s.slot} 0x2001", f"select {ms} {s.slot} r",
                           f"pselect {ms} {s.slot} rx", f"poll_chk {ms} {s.slot} 0x1")

    def receive(self, s, slot=None):
        slot = s.slot if slot is None else slot
        if s.stream:
            self.add(self.one_of(f"fget {slot} {self.one_of(1, 7, 100)}", f"fgets {slot}") if s.part == 2 and s.unread
                     else f"inq {slot}")
            return
        via, flags = self.one_of(RECEIVES) if self.chance(0.5) else "recv", self.one_of(RECEIVE_FLAGS)
        if via in BARE_RECEIVES:
            flags = "-"
        if via == "splice":
            flags = self.one_of("-", "dontwait")
        if via == "recvmmsg" and self.chance(0.3):
            flags = self.one_of("one", "dontwait", "one+dontwait")
        waits = "dontwait" not in flags and not s.nonblocking
        whole = "waitall" in flags or via == "recvmmsg" and "one" not in flags
        certain = (s.unread and not whole or s.over()) and not s.disturbed
        if waits and not certain:
            if self.chance(0.3) and not s.disturbed:
                self.add("later signal plain")
            else:
                via, flags = "recv", "dontwait"
        self.add(f"recv {slot} {self.one_of(LENGTHS)} {flags} {via}")
        if "peek" not in flags:
            s.unread = s.over()

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
        kinds = [self.wait, self.wait, self.epoll, self.epoll, self.epoll, self.query, self.query, self.number, self.flag,
                 self.sleep]
        if self.wild:
            kinds += [self.copy, self.half_close, self.process, self.thread, self.blocked, self.pass_on, self.misuse,
                      self.any_call, self.any_call]
        self.one_of(kinds)(s)

    def wait_line(self, s, ms):
        if self.chance(0.4):
            return f"{self.one_of('select', 'pselect')} {ms} {s.slot} {self.one_of('r', 'w', 'rw', 'x', 'rwx')}"
        return f"{self.one_of('poll', 'poll', 'ppoll', 'poll_chk', 'ppoll_chk')} {ms} {s.slot} {self.one_of(EVENTS):#x}"

    def wait(self, s):
        if self.chance(0.1):
            self.add(f"later signal {self.one_of('plain', 'restart')}")
            self.add(self.wait_line(s, 300))
            return
        self.add(self.wait_line(s, self.one_of(0, 0, 0, 5, 5, 60)))

    def sleep(self, s):
        if self.chance(0.4):
            self.add("later signal plain")
            self.add(self.one_of("sleep 300 usleep", "sleep 300 nanosleep", "sleep 300 clock", "sleep 0 pause"))
        else:
            self.add(self.one_of("sleep 1 usleep", "sleep 1 nanosleep", "sleep 1 clock", "sleep 0 usleep"))

    def epoll(self, s):
        e = self.random.randrange(2)
        if e not in self.sets:
            self.sets[e] = set()
            self.add(f"epmake {e}{self.one_of('', ' old')}")
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
                             f"getfd {s.slot}", f"inq {s.slot}", f"outq {s.slot}", f"control {s.slot} atmark",
                             f"control {s.slot} terminal", "list", f"fileno {s.slot}" if s.stream else "list"))

    def flag(self, s):
        on = self.random.randrange(2)
        if self.chance(0.3):
            self.add(f"{self.one_of('setfl', 'nbio')} {s.slot} {on}")
            s.nonblocking = bool(on)
        elif self.wild and self.chance(0.05):
            self.add(f"setopt {s.slot} {self.one_of(DISTURBING)}")
            s.disturbed = True
        else:
            self.add(self.one_of(f"setfd {s.slot} {on}", f"setopt {s.slot} {self.one_of(SETTABLE)}",
                                 f"control {s.slot} {self.one_of('cloexec', 'nocloexec')}"))

    def number(self, s):
        """A number that something else gets and gives back."""
        self.add("socket 7 -")
        self.add("close 7")

    def copy(self, s):
        if not s.exists or s.stream:
            return
        self.add(self.one_of(f"dup {s.slot} 5", f"fdup {s.slot} 5 {self.one_of(0, 20)}", f"fdupc {s.slot} 5 0",
                             f"dup {s.slot} 5"))
        for _ in range(self.random.randint(0, 2)):
            self.add(self.one_of("recv 5 64 dontwait recv", "poll 0 5 0x5", "inq 5", "getfl 5"))
            s.disturbed = True
        if self.chance(0.8):
            self.add("close 5")
        elif self.chance(0.5):
            self.add(self.one_of(f"dup2 5 {s.slot}", f"dup3 5 {s.slot}"))

    def half_close(self, s):
        if s.sent == 1000 or not s.connected or self.chance(0.2):
            self.add(f"shutdown {s.slot} {self.one_of(1, 1, 1, 0, 2)}")
            s.disturbed = True

    def process(self, s):
        s.disturbed = True
        if self.chance(0.5) and s.part == 2:
            self.add(f"exec {s.slot} {self.one_of(EXECS)}")
            s.given = True
            return
        lines = [self.one_of(f"recv {s.slot} 64 dontwait recv", f"poll 0 {s.slot} 0x5", f"inq {s.slot}", f"close {s.slot}",
                             f"drain {s.slot}") for _ in range(self.random.randint(1, 2))]
        self.add(f"fork {len(lines)} {self.one_of(ENDS)}")
        self.lines += lines
        s.given = s.given or any(line.startswith(("recv", "drain")) for line in lines)

    def thread(self, s):
        self.add(self.one_of("thread 1", "thread 1 thrd"))
        self.add(self.one_of(self.wait_line(s, 0), f"recv {s.slot} 64 dontwait recv", f"inq {s.slot}"))
        s.disturbed = True

    def blocked(self, s):
        """A thread waits for what is about to come, or for what another thread does to the socket."""
        if s.sent < 1000 or s.part >= 2 or s.exchange is None or s.stream or s.disturbed or not any(s.adds[s.part + 1:]):
            return
        self.add("blocked")
        self.add(self.one_of(f"recv {s.slot} 4000 - recv", self.readable_line(s, 1000), self.wait_line(s, 300)))
        s.part = 2
        self.add(self.one_of(f"answer {s.exchange} 2", f"answer {s.exchange} 2", f"shutdown {s.slot} 2"))
        s.unread = s.over()
        s.disturbed = True

    def pass_on(self, s):
        if s.exists and not s.stream:
            self.add(f"pass {s.slot} 6")
            self.add(self.one_of("poll 0 6 0x5", "getfl 6", "inq 6", "names 6", "poll 0 6 0x5", "recv 6 64 dontwait recv"))
            self.add("close 6")
            s.disturbed = True

    def misuse(self, s):
        s.disturbed = True
        self.add(self.one_of(f"connect {s.slot}", f"connect {s.slot} nowhere", f"send {s.slot} 0 0 0 - send",
                             f"recv {s.slot} 0 dontwait recv", f"close {s.slot}", f"shutdown {s.slot} 1",
                             f"send {s.slot} 0 990 1000 nosignal+dontwait send", f"dup2 {s.slot} {s.slot}",
                             f"range {s.slot}", f"range {s.slot} cloexec", f"bind {s.slot}", f"listen {s.slot}",
                             f"setfl {s.slot} 1", f"send {s.slot} 0 0 1 oob+dontwait+nosignal send",
                             f"recv {s.slot} 1 oob+dontwait recv", f"control {s.slot} async"))
        if self.lines[-1].startswith("listen"):
            self.add(f"setfl {s.slot} 1")
            self.add(f"accept {s.slot}")

    def any_call(self, s):
        """What moves no byte and changes nothing that lasts, whatever the state is."""
        n = s.slot
        if self.chance(0.3):
            via = self.one_of(RECEIVES)
            if via in BARE_RECEIVES + ("splice",):
                self.add(f"setfl {n} 1")
                s.nonblocking = True
            self.add(f"recv {n} {self.one_of(LENGTHS)} {'-' if via in BARE_RECEIVES else 'dontwait'} {via}")
            s.disturbed = True
            return
        self.add(self.one_of(
            f"send {n} 0 0 0 dontwait+nosignal {self.one_of(SENDS)}", f"accept4 {n}", f"fcntl64 {n}", "list fd",
            f"misc {self.one_of(MISC)}", f"misc {self.one_of(MISC)}", f"__poll 0 {n} 0x5", f"__select 0 {n} rw",
            "sleep 0 sleep", f"listen {n}", f"exec {n} {self.one_of(EXECS)}", f"dup3 {n} 5"))
        if self.lines[-1].startswith("exec"):
            s.disturbed = s.given = True
        elif self.lines[-1].startswith(("dup3", "listen")):
            s.disturbed = True
        if self.chance(0.1):
            self.add(f"_fork 1 {self.one_of(ENDS)}")
            self.add(f"from {n}")

    def stage(self, s):
        """The next step of this socket."""
        if not s.exists:
            self.open(s)
        elif s.given: # two processes that take turns are not followed: README
            self.close(s)
            s.exchange = None
            return False
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
                self.add(f"{self.one_of('end', 'end', 'reset')} {s.exchange}")
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
            while self.chance(0.35) and not s.given:
                self.interlude(s)
        heads = [line for pair in self.exchanges for line in pair]
        return heads + self.lines


def program(seed):
    share = ["with share"] if random.Random(-1 - seed).random() < SHARED else []
    return share + Maker(seed).make()
