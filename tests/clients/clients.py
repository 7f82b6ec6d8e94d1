# SPDX-License-Identifier: ISC
"""The clients of the end-to-end tests, a row each, and how to run one.

A row says what to run, how many requests that makes, over how many connections without holdfast and
over how many with it.  e2e_clients runs every row both ways and compares all that the client shows.
What a row's program says is in clients_scripts.py, the servers are in servers.py.

In argv, URLS stands for as many arguments as there are requests, each a URL with a query of its own;
{url}, {base}, {base6}, {host}, {port}, {path}, {n} and {script} (a file with the row's `script`)
stand for themselves.
"""

import difflib
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field

import clients_scripts as scripts
from servers import find_program, plain_environment

EACH = "each"               # a connection for each request
# N at a time: while one request shows that the server answers a second one on a connection, each of the others has
# connections of its own: the first, and at most two more until the answer was seen.
TOGETHER = {n: range(1, 3 * n + 1) for n in (4, 8)}
ANY = range(1, 1000000)     # it does not matter how many


@dataclass(frozen=True)
class Client:
    name: str
    argv: tuple
    requests: int = 100
    script: str = ""
    paths: tuple = ("/file10k", "/chunked")     # of servers.PATHS; a case each
    ipv6: bool = False                          # over ::1 as well
    status: int = 200                           # of every response; None: not the same of all
    direct: object = EACH                       # connections without holdfast
    connections: object = 1                     # connections with it: a number, EACH or a range
    server: tuple = ()                          # settings of servers.Nginx, (name, value) each
    settings: dict = field(default_factory=dict)    # HOLDFAST_* of the run with it
    reasons: tuple = ()     # each a reason that the log must give, or a tuple of which it gives one
    needs: tuple = ()       # programs besides argv[0]
    probe: tuple = ()       # a command that succeeds where the row can run
    stdout: tuple = ()      # (regular expression, replacement): what may differ between two runs
    stderr: tuple = ()

    def missing(self):
        """Why this row cannot run here, or None."""
        for program in (self.argv[0], *self.needs):
            if not find_program(program):
                return f"{program} is not installed"
        if self.probe and run(self.probe).status != 0:
            return f"{' '.join(self.probe)} fails"
        return None

    def command(self, base, base6, path, script):
        url = base + path
        host, port = base.split("//")[1].rsplit(":", 1)
        words = {"{url}": url, "{base}": base, "{base6}": base6, "{host}": host.strip("[]"),
                 "{port}": port, "{path}": path, "{n}": str(self.requests), "{script}": script}
        argv = []
        for argument in self.argv:
            if argument == "URLS":
                argv += [f"{url}?{i}" for i in range(1, self.requests + 1)]
                continue
            for word, value in words.items():
                argument = argument.replace(word, value)
            argv.append(argument)
        return argv


@dataclass
class Outcome:
    """What a user can see of a program that ran."""
    status: object          # exit status, minus the signal's number, or "hangs"
    stdout: bytes
    stderr: bytes
    files: dict             # what it left in its directory


def run(argv, directory=None, timeout=60, **environment):
    """Runs argv in `directory` and waits; what hangs is ended together with its children."""
    process = subprocess.Popen(argv, cwd=directory, env=plain_environment(**environment),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        status = "hangs"
    return Outcome(status, stdout, stderr, read_tree(directory) if directory else {})


def read_tree(directory):
    files = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, directory)] = file.read()
    return files


def difference(a, b):
    """The first lines in which two outcomes differ, for people."""
    if isinstance(a, dict):
        odd = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
        return f"{len(odd)} files, first {odd[0]}:\n{difference(a.get(odd[0], b''), b.get(odd[0], b''))}"
    if isinstance(a, bytes):
        a, b = (x.decode("latin-1").splitlines() for x in (a, b))
    if not isinstance(a, list):
        return f"  without: {a}\n  with:    {b}"
    lines = list(difflib.unified_diff(a[:2000], b[:2000], "without", "with", lineterm="", n=0))
    return "\n".join("  " + line[:200] for line in lines[:20])


def replace(rules, data):
    for pattern, replacement in rules:
        data = re.sub(pattern.encode(), replacement.encode(), data)
    return data


WGET_CLOCK = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "CLOCK"),
    (r"\([\d.]+ [KMGT]?B/s\)", "(SPEED)"),
    (r" +[\d.]+[KMGT]?=[\d.]+s", " SPEED"),
    (r"\bin [\d.]+s", "in TIME"),
    (r"wall clock time: [\d.]+s", "wall clock time: TIME"),
)
CURL = ("curl", "-sS", "-w", "%{stderr}%{http_code} %{num_connects} %{size_download}\\n")
# The shim may put Connection elsewhere in the head.
FIELDS_BETWEEN = ((r"Date: .*\r\n", ""), (r"Connection: close\r\n", ""))
BY_HAND = ("python3", "{script}", "{host}", "{port}", "{path}", "{n}")

CLIENTS = (
    # One-shot clients, of issue and of habit.
    Client("curl-0", (*CURL, "-0", "URLS"), 20, ipv6=True),
    Client("curl-0-files", (*CURL, "-0", "{url}?[1-20]", "-o", "got.#1"), 20),
    Client("curl-close", (*CURL, "-H", "Connection: close", "URLS"), 20, ipv6=True),
    Client("curl-close-files", (*CURL, "-H", "Connection: close", "{url}?[1-20]", "-o", "got.#1"), 20),
    Client("wget", ("wget", "--no-http-keep-alive", "URLS"), 20, ipv6=True, stderr=WGET_CLOCK),
    Client("wget-stdout", ("wget", "--no-http-keep-alive", "-nv", "-O", "-", "URLS"), 20,
           stderr=WGET_CLOCK),
    Client("python-urllib", ("python3", "{script}", "{url}", "{n}"), script=scripts.PYTHON_URLLIB,
           ipv6=True),
    Client("perl-lwp", ("perl", "{script}", "{url}", "{n}"), script=scripts.PERL_LWP,
           probe=("perl", "-MLWP::UserAgent", "-e", "0")),
    Client("php-contents", ("php", "{script}", "{url}", "{n}"), script=scripts.PHP_CONTENTS),
    Client("php-contents-1.0", ("php", "{script}", "{url}", "{n}", "1.0"),
           script=scripts.PHP_CONTENTS),
    Client("tcl-http", ("tclsh", "{script}", "{url}", "{n}"), script=scripts.TCL_HTTP),
    Client("python-raw", BY_HAND, script=scripts.PYTHON_RAW, ipv6=True),
    Client("perl-socket", ("perl", "{script}", "{host}", "{port}", "{path}", "{n}"),
           script=scripts.PERL_SOCKET),
    Client("php-fsockopen", ("php", "{script}", "{host}", "{port}", "{path}", "{n}"),
           script=scripts.PHP_FSOCKOPEN),

    # Several requests at a time: as many connections as requests in flight, at most.
    Client("curl-0-parallel", (*CURL, "--no-progress-meter", "-0", "-Z", "--parallel-max", "4",
                               "{url}?[1-40]", "-o", "got.#1"),
           40, connections=TOGETHER[4]),
    Client("python-threads", ("python3", "{script}", "{url}", "{n}"), 40, script=scripts.PYTHON_THREADS,
           connections=TOGETHER[4]),
    Client("python-asyncio", BY_HAND, 40, script=scripts.PYTHON_ASYNCIO, connections=TOGETHER[8]),
    Client("python-asyncio-full", BY_HAND, 40, script=scripts.PYTHON_ASYNCIO, connections=ANY,
           settings={"HOLDFAST_MAX_PER_ENDPOINT": "1"}, reasons=("pool_full",)),

    # Other answers than 200, other methods than GET.
    Client("curl-0-statuses", (*CURL, "-0", "-L", "{base}/small", "{base}/missing", "{base}/204",
                               "{base}/redirect", "{base}/empty", "{base}/private", "{base}/small"),
           8, paths=("/",), status=None),
    Client("curl-0-head", (*CURL, "-0", "-I", "URLS"), 5, stdout=FIELDS_BETWEEN),
    Client("curl-0-head-404", (*CURL, "-0", "-I", "URLS"), 5, paths=("/missing",), status=404,
           stdout=FIELDS_BETWEEN),
    Client("wget-spider", ("wget", "--no-http-keep-alive", "--spider", "URLS"), 5, paths=("/file10k",),
           stderr=WGET_CLOCK),
    Client("curl-0-304", (*CURL, "-0", "-z", "Tue, 14 Nov 2023 22:13:20 GMT", "URLS"), 5,
           paths=("/file10k",), status=304),
    Client("curl-0-range", (*CURL, "-0", "-r", "100-299", "URLS"), 5, paths=("/file10k",), status=206, connections=EACH,
           reasons=("of_its_version",)),   # lighttpd heeds it in 1.1 only
    Client("curl-close-range", (*CURL, "-H", "Connection: close", "-r", "100-299", "URLS"), 5, paths=("/file10k",), status=206),
    Client("curl-0-basic", (*CURL, "-0", "-u", "user:secret", "URLS"), 5, paths=("/private",)),
    Client("curl-0-put", (*CURL, "-0", "-T", "{{script},{script},{script}}", "{url}"), 3,
           script="stored\n", paths=("/put/file",), status=204),
    Client("curl-close-put", (*CURL, "-H", "Connection: close", "-T", "{{script},{script},{script}}",
                              "{url}"), 3, script="stored\n", paths=("/put/file",), status=204,
           connections=EACH, reasons=("expects",)),
    Client("curl-0-post", (*CURL, "-0", "-d", "a=b", "URLS"), 5, paths=("/post",), connections=EACH,
           reasons=("version_unproven",)),
    Client("curl-close-post-chunked", (*CURL, "-H", "Connection: close", "-H",
                                       "Transfer-Encoding: chunked", "-d", "a=b", "URLS"),
           5, paths=("/post",), connections=EACH, reasons=("unsafe_method",)),
    Client("curl-0-post-reuse", (*CURL, "-0", "-d", "a=b", "URLS"), 5, paths=("/post",), connections=EACH,
           settings={"HOLDFAST_UNSAFE": "reuse"}),
    Client("curl-0-until-close", (*CURL, "-0", "URLS"), 5, paths=("/until-close",), connections=EACH,
           reasons=(("no_length", "server_closes"),)),
    Client("early-close", BY_HAND, 5, script=scripts.PYTHON_EARLY_CLOSE, connections=ANY),

    # Settings.
    *(Client(f"off-{value}", (*CURL, "-0", "URLS"), 5, paths=("/file10k",), connections=EACH,
             settings={"HOLDFAST": value}) for value in ("0", "off", "no", "false")),
    Client("idle-1s", BY_HAND, 3, script=scripts.PYTHON_IDLE, paths=("/file10k",), connections=2,
           settings={"HOLDFAST_IDLE": "1"}, reasons=("expired",)),
    Client("no-host", BY_HAND, 5, script=scripts.PYTHON_NO_HOST),
    Client("no-host-never", BY_HAND, 5, script=scripts.PYTHON_NO_HOST, connections=EACH,
           settings={"HOLDFAST_HOST": "never"}, reasons=("no_host",)),

    # Servers that end connections: announced at every tenth request, and silently after a second.
    Client("ten-requests", ("python3", "{script}", "{url}", "{n}"), script=scripts.PYTHON_URLLIB,
           server=(("keepalive_requests", 10),), connections=10, reasons=("server_closes",)),
    Client("idle-server", BY_HAND, 3, script=scripts.PYTHON_IDLE, connections=2,
           server=(("keepalive_timeout", 1),), reasons=("stale",)),

    # Followed without a changed byte: what persists by itself.
    Client("curl-persistent", (*CURL, "URLS"), 5, direct=1, connections=1),
    Client("wget-persistent", ("wget", "-nv", "-O", "-", "URLS"), 5, direct=1, connections=1,
           stderr=WGET_CLOCK),

    # What programs do to descriptors: the same result; how many connections is another matter.
    Client("half-close", BY_HAND, 5, script=scripts.PYTHON_HALF_CLOSE),
    Client("two-servers", BY_HAND, 6, script=scripts.PYTHON_TWO_SERVERS, connections=2),
    Client("children", BY_HAND, 3, script=scripts.PYTHON_CHILDREN),
    Client("dup", BY_HAND, 5, script=scripts.PYTHON_DUP, connections=ANY),
    Client("fdopen", BY_HAND, 3, script=scripts.PYTHON_FDOPEN, connections=ANY),
    Client("fork", BY_HAND, 8, script=scripts.PYTHON_FORK, connections=ANY),
    Client("busybox-wget", ("busybox", "wget", "-q", "-O", "-", "URLS"), 3, connections=ANY),
    Client("bash-dev-tcp", ("bash", "-c", """
        for i in 1 2 3; do
            exec 3<>/dev/tcp/{host}/{port} || exit
            printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3
            cat <&3 | sed '1,/^\\r$/d'
            exec 3>&-
        done"""), 3, needs=("sed",), connections=ANY),
)
