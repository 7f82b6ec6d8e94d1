# SPDX-License-Identifier: ISC
"""Cases of the matrix that differ and may: the name of the case and the reason.  Three at most."""

KNOWN = {
    "tcl-http uwsgi":
        "uwsgi's /chunked is an HTTP/1.1 answer without a length and without Connection; Tcl's http package "
        "takes that for an empty one. With holdfast every answer to a client that asked for close says "
        "`Connection: close`, and Tcl reads it to its end.",
}
assert len(KNOWN) <= 3
