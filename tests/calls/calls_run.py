# SPDX-License-Identifier: ISC
"""Plays programs of build/tests/calls directly, twice, and under holdfast, and compares what they print; makes a
program that differs as short as it can be."""

import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from typing import NamedTuple, Optional

import calls_known
from holdfast_test import BUILD, HOLDFAST, clean_environment

CALLS = os.environ.get("CALLS", os.path.join(BUILD, "tests", "calls"))
HANGS_MS = 3000
HASTE_MS = 500          # while a program is made shorter
REDUCING_S = 40
SECONDS = 12            # the player has failed
AGAIN = 3               # runs more of each kind before a difference is believed
END = b"\0\n"
SHARE = "with share\n"
# What a process that is to play other programs, too, does not do.
LASTING = ("exec", "fdopen", "fput", "fget", "fgets", "fileno", "fclose")


def preloaded(holdfast):
    """The environment of a program under the library: what `holdfast --env` says, and each process for itself."""
    environment = direct()
    text = subprocess.run([holdfast, "--env"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for part in text.replace("\n", ";").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name.isidentifier():
            environment[name] = shlex.split(value)[0]
    environment["HOLDFAST_SHARE"] = "off"
    return environment


def direct():
    """Symbols are found once, and not by each child."""
    return {**clean_environment(), "LD_BIND_NOW": "1"}


class Server:
    """`calls serve`.  Each program gets a child of its process, unless it is `shared`: then only one that leaves something
    behind does."""

    def __init__(self, environment, meeting, port, shared, launcher=()):
        self.shared = shared
        self.process = subprocess.Popen([*launcher, CALLS, "serve", meeting, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment, bufsize=0, start_new_session=True)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def close(self):
        self.selector.close()
        self.process.stdin.close()
        os.killpg(self.process.pid, signal.SIGKILL) # with a child of a program that was played in this very process
        self.process.wait()
        self.process.stdout.close()

    def play(self, text, limit_ms):
        """What the program printed, with how it ended; None: the player itself has failed."""
        data = text.encode("ascii")
        here = self.shared and not any(line.startswith(LASTING) for line in text.splitlines())
        self.process.stdin.write(b"%d\n%d\n" % (0 if here else limit_ms, len(data)) + data)
        said = b""
        while not said.endswith(END):
            if not self.selector.select(limit_ms / 1000 if here else SECONDS):
                return None
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                return None
            said += part
        return said[:-len(END)].decode("latin-1")


class Verdict(NamedTuple):
    kind: str               # same, unstable, rare (differed once, and not again), differs, open, excused
    direct: str = ""        # the first lines that are not alike
    shim: str = ""
    why: Optional[str] = None


class Player:
    """An origin, a player without the library and one with it."""

    def __init__(self, holdfast=HOLDFAST):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-calls-")
        self.meeting = os.path.join(self.folder.name, "origin")
        self.environments = {"direct": direct(), "shim": preloaded(holdfast), "tree": direct()}
        self.holdfast = holdfast
        self.origin = subprocess.Popen([CALLS, "origin", self.meeting], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, env=self.environments["direct"])
        self.port = self.origin.stdout.readline().strip()
        self.servers = {}

    def close(self):
        for server in self.servers.values():
            server.close()
        self.origin.stdin.close()
        try:
            self.origin.wait(10)
        except subprocess.TimeoutExpired:
            self.origin.kill()
            self.origin.wait()
        self.origin.stdout.close()
        self.folder.cleanup()

    def play(self, how, text, limit_ms=HANGS_MS):
        """`with share`: in a tree of its own, so that nothing is left of what others have shared."""
        launcher = (self.holdfast,) if how == "shim" and text.startswith(SHARE) else ()
        how = "tree" if launcher else how
        if how not in self.servers:
            self.servers[how] = Server(self.environments[how], self.meeting, self.port, how == "direct", launcher)
        said = self.servers[how].play(text, limit_ms)
        if said is None or launcher:
            self.servers.pop(how).close()
        return "the player hangs\n" if said is None else said

    def quick(self, lines):
        """What an unexplained difference is in, on a quick look; None: there is none."""
        text = "\n".join(lines) + "\n"
        direct = self.play("direct", text, HASTE_MS)
        if direct.endswith("hangs\n"):
            return None
        shim = self.play("shim", text, HASTE_MS)
        found = difference(lines, direct, shim) if shim != direct else None
        if not found or found.kind != "differs" or self.play("direct", text, HASTE_MS) != direct or \
                self.play("shim", text, HASTE_MS) == direct:
            return None
        return what_differs(found)

    def verdict(self, lines):
        """Of one program.  A difference is one if it comes again, and if no direct run differs from another."""
        text = "\n".join(lines) + "\n"
        direct, shim = self.play("direct", text), self.play("shim", text)
        if direct.endswith("hangs\n") or self.play("direct", text) != direct:
            return Verdict("unstable")
        if direct == shim:
            return Verdict("same")
        if any(self.play("direct", text) != direct for _ in range(AGAIN)):
            return Verdict("unstable")
        again = [self.play("shim", text) for _ in range(AGAIN)]
        shim = next((said for said in again if said != direct), None)
        if shim is None:
            return Verdict("rare")
        return difference(lines, direct, shim)


def call_number(said):
    """Of the call that said the last of these lines; None: the program had ended."""
    for line in reversed(said):
        word = line.split(" ", 1)[0]
        if word.isdigit() or word == "pipes":
            return int(word) if word.isdigit() else None
    return None


def difference(lines, direct, shim):
    ours, theirs = direct.splitlines(), shim.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    a = ours[at] if at < len(ours) else "(nothing)"
    b = theirs[at] if at < len(theirs) else "(nothing)"
    moment = calls_known.moment(lines, call_number(ours[:at + 1]), a, b, ours[:at])
    why = calls_known.reason(calls_known.ROWS, moment)
    if why:
        return Verdict("excused", a, b, why)
    why = calls_known.reason(calls_known.OPEN, moment)
    return Verdict("open" if why else "differs", a, b, why)


def is_head(line):
    return line.startswith(("req ", "resp ", "with "))


def without_idle_heads(lines):
    """Without the requests that no call names."""
    calls = [line.split() for line in lines if not is_head(line)]
    used = {words[1] for words in calls if words[0] in ("answer", "end", "reset") and len(words) > 1}
    used |= {words[2] for words in calls if words[0] in ("send", "fput", "later", "blocked") and len(words) > 2}
    return [line for line in lines if not line.startswith(("req ", "resp ")) or line.split()[1] in used]


def what_differs(verdict):
    """The call in whose answer it is: what is made shorter must go on to differ there."""
    words = verdict.direct.split() or [""]
    return words[1] if words[0].isdigit() and len(words) > 1 else words[0]


class Reducer:
    """Takes calls out as long as an unexplained difference is left, then makes what is left plainer."""

    def __init__(self, player, lines):
        self.player, self.until = player, time.monotonic() + REDUCING_S
        self.lines, self.what = lines, player.quick(lines)

    def differs(self, lines):
        return time.monotonic() < self.until and self.player.quick(lines) == self.what

    def remove(self, lines):
        size = max(1, len(lines) // 2)
        while size:
            start = 0
            while start < len(lines):
                shorter = lines[:start] + lines[start + size:]
                if not is_head(lines[start]) and self.differs(shorter):
                    lines = shorter
                else:
                    start += size
            size //= 2
        return lines

    def plainer(self, lines):
        """One word of a line at a time, as the plainest program would have it."""
        for i in range(len(lines)):
            for word, plain in plain_words(lines[i]):
                words = lines[i].split()
                if word >= len(words) or words[word] == plain:
                    continue
                words[word] = plain
                trial = lines[:i] + [" ".join(words)] + lines[i + 1:]
                if self.differs(trial):
                    lines = trial
        return lines

    def reduce(self):
        if self.what is None:
            return self.lines
        lines = self.remove(self.lines)
        for without in (without_idle_heads, lambda some: [line for line in some if line != SHARE.strip()]):
            shorter = without(lines)
            if shorter != lines and self.differs(shorter):
                lines = shorter
        return self.remove(self.plainer(lines))


def plain_words(line):
    name = line.split()[0]
    return {
        "socket": [(2, "-")],
        "send": [(5, "-"), (6, "send"), (4, "1000")],
        "recv": [(3, "-"), (4, "recv"), (3, "dontwait"), (2, "4000")],
        "req": [(2, "GET"), (5, "none"), (3, "0"), (4, "none"), (6, "1")],
        "resp": [(2, "length"), (3, "200"), (4, "100"), (5, "b0"), (6, "b1")],
        "answer": [(2, "2")],
        "epwait": [(3, "-"), (2, "0")],
        "poll": [(1, "0")],
    }.get(name, [])
