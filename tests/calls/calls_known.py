# SPDX-License-Identifier: ISC
"""What may differ under holdfast: at most twelve rows, each a predicate on the call whose answer differs first, on what was
done to its socket before, and on both answers, with its reason.  holdfast(7) says each of these: "Descriptors" and "Half a
head" among its limits, and WHAT IS REPEATED.

A row is for what cannot be had, or is documented; what is only not mended yet has no place here."""

import re
from typing import NamedTuple

RECEIVES = ("recv", "drain", "inq", "fget", "fgets")
WAITS = ("poll", "ppoll", "poll_chk", "ppoll_chk", "select", "pselect", "epwait")
IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")


class Moment(NamedTuple):
    heads: list         # words of the req and resp lines
    before: list        # words of the calls before this one
    call: list          # of this call; []: what the origin received
    direct: str
    shim: str
    said: list = []     # directly, before

    def slot(self):
        return self.call[2 if self.call[0] in WAITS else 1] if len(self.call) > 2 else None

    def since_opened(self, slot):
        """The calls that named the slot, since it was opened."""
        calls = [words for words in self.before if slot in words[1:4]]
        opened = [i for i, words in enumerate(calls) if words[:2] == ["socket", slot]]
        return calls[opened[-1]:] if opened else calls


def moment(lines, number, direct, shim, said=()):
    words = [line.split() for line in lines]
    heads = [w for w in words if w[0] in ("req", "resp")]
    calls = [w for w in words if w[0] not in ("req", "resp")]
    at = len(calls) if number is None else number
    return Moment(heads, calls[:at], calls[at] if at < len(calls) else [], direct, shim, list(said))


def masks(line):
    """What a wait has printed: {slot: events}; of poll, and of all else, {}: it prints them in order."""
    words = line.partition(" = ")[2].partition(" -> ")[0].split()[1:]
    return {word[0]: int(word[2:], 16) for word in words if re.fullmatch(r"\d:[0-9a-f]+", word)}


def in_order(line):
    words = line.partition(" = ")[2].partition(" -> ")[0].split()[1:]
    return [int(word.partition(":")[2] or word, 16) for word in words if re.fullmatch(r"(\d:)?[0-9a-f]+", word)]


def half_head(m):
    """A part of an answer was cut within its head."""
    halves = {w[1] for w in m.heads if w[0] == "resp" and any(re.match(r"h\d", cut) for cut in w[5:7])}
    parts = dict(w[w.index("answer") + 1:][:2] for w in m.before if "answer" in w[:2] and w[0] != "now")
    return bool(m.call) and m.call[0] in RECEIVES + WAITS and any(parts.get(k, "2") != "2" for k in halves)


def passed_on(m):
    """What is read of a socket, or of its copy, that was passed on in mid-exchange; whether waits say that both sides have
    ended: the library has ended this one, so that the server ends the other; and the copy's names, after the end, too."""
    if not m.call or m.call[0] not in RECEIVES + WAITS + ("names",):
        return False
    slot = m.call[1]
    if m.call[0] in WAITS:
        return hang_up_alone(m) and any(w[0] == "pass" for w in m.before)
    if m.call[0] == "names":
        return any(w[0] == "pass" and slot == w[2] for w in m.since_opened(slot) + m.before[-2:])
    return any(w[0] == "pass" and slot in w[1:3] for w in m.since_opened(slot) + m.before[-2:])


def hang_up_alone(m):
    """The masks differ in POLLHUP, and in nothing else."""
    ours, theirs = in_order(m.direct), in_order(m.shim)
    return ours != theirs and len(ours) == len(theirs) and all((a ^ b) & ~0x10 == 0 and a & ~0x10 for a, b in zip(ours, theirs))


def edge_again(m):
    """An edge-triggered registration tells once more, of another socket under the number, what it told before."""
    if not m.call or m.call[0] != "epwait":
        return False
    ours, theirs = masks(m.direct), masks(m.shim)
    before = [masks(line) for line in m.said if line.split(" ")[1:3] == m.call[:2]]
    return set(ours) < set(theirs) and all(ours[slot] == theirs[slot] for slot in ours) and \
        all(told_by_edge(m, slot, theirs[slot], before) for slot in set(theirs) - set(ours))


def told_by_edge(m, slot, events, before):
    asked = [w for w in m.before if w[0] in ("epadd", "epmod") and w[1:3] == [m.call[1], slot]]
    return bool(asked) and int(asked[-1][3], 16) & 0x80000000 and any(told.get(slot, 0) & events == events for told in before)


def asked_again(m):
    """A request that nobody answered was sent again, as the program's own version of HTTP would have it."""
    if m.call:
        return False
    again = {k for k in re.findall(r"/(\d) x2", m.shim) if f"/{k} x1" in m.direct}
    methods = {w[1]: w[2] for w in m.heads if w[0] == "req"}
    ended = {w[-1] for w in m.before if w[0] in ("end", "reset")} | {w[2] for w in m.before if w[:2] == ["later", "end"]}
    return bool(again) and all(k in ended and methods.get(k) in IDEMPOTENT for k in again) and \
        re.sub(r"x\d", "", m.direct) == re.sub(r"x\d", "", m.shim)


def stray_dropped(m):
    """Of two sends or more that go beyond a request the origin got less, and all else is the same."""
    rest = [re.search(r"rest (\d+)", text) for text in (m.direct, m.shim)]
    if m.call or not all(rest) or int(rest[1][1]) >= int(rest[0][1]) or \
            m.direct.partition("rest")[0] != m.shim.partition("rest")[0]:
        return False
    whole = [i for i, w in enumerate(m.before) if w[0] == "send" and w[4] == "1000"]
    return any(later[0] == "send" and later[1] == m.before[i][1] for i in whole for later in m.before[i + 1:])


ROWS = [
    ("half a response head is held until the rest has come", half_head),
    ("a socket that was passed on in mid-exchange shows the persistent answer", passed_on),
    ("an edge-triggered registration tells once more what is still true of another socket under the number", edge_again),
    ("an idempotent request that the server ended without an answer is sent again", asked_again),
    ("what begins like a request behind a one-shot one is dropped, if the answer says where it ends", stray_dropped),
]


# To be mended: `make fuzz-calls` fails by these, tests/calls/e2e_calls does not.  Each goes when it is mended.

OPEN = []


def reason(rows, m):
    return next((why for why, applies in rows if applies(m)), None)
