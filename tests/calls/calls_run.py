"""Plays programs of build/tests/calls directly, twice, and under holdfast, and compares what they print; makes a
program that differs as short as it can be."""

import os
import shlex
import subprocess
import tempfile

import calls_known
from holdfast_test import BUILD, HOLDFAST, clean_environment

CALLS = os.environ.get("CALLS", os.path.join(BUILD, "tests", "calls"))
SECONDS = 4


def preloaded():
    """The environment of a program under the library: what `holdfast --env` says, and each process for itself."""
    environment = clean_environment()
    text = subprocess.run([HOLDFAST, "--env"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for part in text.replace("\n", ";").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name.isidentifier():
            environment[name] = shlex.split(value)[0]
    environment["HOLDFAST_SHARE"] = "off"
    return environment


class Player:
    """An origin of its own, and a file that programs are played from."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-calls-")
        self.meeting = os.path.join(self.folder.name, "origin")
        self.file = os.path.join(self.folder.name, "program")
        self.environments = {"direct": clean_environment(), "shim": preloaded()}
        self.start()

    def start(self):
        self.origin = subprocess.Popen([CALLS, "origin", self.meeting], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, env=self.environments["direct"])
        self.port = self.origin.stdout.readline().strip()

    def close(self):
        self.origin.stdin.close()
        self.origin.wait(10)
        self.folder.cleanup()

    def play(self, how):
        """What the program in the file prints, with how it ended."""
        process = subprocess.Popen([CALLS, "play", self.file, self.meeting, self.port], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environments[how])
        try:
            output, _ = process.communicate(timeout=SECONDS)
            return output.decode("latin-1") + f"status {process.returncode}\n"
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            return output.decode("latin-1") + "hangs\n"

    def run(self, lines):
        """(direct, shim), or None if two direct runs differ, or hang."""
        with open(self.file, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        direct = self.play("direct")
        shim = self.play("shim")
        if direct == shim:
            return direct, shim
        if direct.endswith("hangs\n"):
            return None
        again = self.play("direct")
        if direct != again:
            return None
        if self.play("shim") == direct: # chance, or a rare race: the caller counts it
            return direct, direct
        return direct, shim

    def differs(self, lines):
        """The first row of the table that is not known for it: ('', why) where it is the same or unstable."""
        pair = self.run(lines)
        if pair is None:
            return None
        return difference(lines, *pair)


def difference(lines, direct, shim):
    """None: the same; else (line of the program or its end, direct, shim, the row that excuses it or None)."""
    if direct == shim:
        return None
    ours, theirs = direct.splitlines(), shim.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    a = ours[at] if at < len(ours) else "(nothing)"
    b = theirs[at] if at < len(theirs) else "(nothing)"
    return a, b, calls_known.reason(lines, ours[:at], a, b)


def is_head(line):
    return line.startswith(("req ", "resp "))


def reduce(player, lines, budget=250):
    """Takes calls out as long as an unexplained difference is left, then what says nothing any more."""
    heads, calls = [line for line in lines if is_head(line)], [line for line in lines if not is_head(line)]
    size = max(1, len(calls) // 2)
    while size and budget:
        start = 0
        while start < len(calls) and budget:
            shorter = calls[:start] + calls[start + size:]
            budget -= 1
            found = player.differs(heads + shorter)
            if found and not found[2]:
                calls = shorter
            else:
                start += size
        size //= 2
    used = {word for line in calls for word in line.split()[1:]}
    return [head for head in heads if head.split()[1] in used] + calls
