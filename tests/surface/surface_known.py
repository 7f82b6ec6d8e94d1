# SPDX-License-Identifier: ISC
"""What differs under holdfast and is known to: cases of e2e_surface by pattern, each with its reason."""

import re

KNOWN = {
    r"(recv|send)_fault ": "a bad pointer crashes where the kernel would answer EFAULT: the bytes are read first",
    r"fork_alternate ": "child and parent take turns in reading one response: each follows it alone",
    r"rights(_self)? .* chunked": "a socket passed on in mid-exchange shows the framing of the persistent answer",
    r"seccomp_(few|errno|strict) (sent|middle) warm": "an exchange under way needs recvfrom and shutdown, not only read",
    r"blocked_close middle ": "recv in one thread, shutdown and close in another: EBADF instead of 0",
    r"(connect_again|fastopen_connected) ended ": "errno of a connect that makes no sense, after the end",
    r"stream_modes ": "fdopen with \"a\" does not set O_APPEND on the socket",
}


def reason(case):
    """Why this case is known to differ, or None."""
    return next((why for pattern, why in KNOWN.items() if re.match(pattern, str(case))), None)
