"""Cases of the matrix that differ and may: the name of the case and the reason.  Three at most."""

KNOWN = {
}
assert len(KNOWN) <= 3
