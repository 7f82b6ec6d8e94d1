"""What may differ under holdfast: each row a predicate on the program, what both runs had printed alike, and the first
lines that are not alike, with its reason.  The README's list of limits is made from these."""

import re


def half_head(lines, before, direct, shim):
    return any(re.match(r"resp .* h\d+", line) for line in lines)


ROWS = [
    ("half a response head is held until the rest has come", half_head),
]


def reason(lines, before, direct, shim):
    return next((why for why, applies in ROWS if applies(lines, before, direct, shim)), None)
