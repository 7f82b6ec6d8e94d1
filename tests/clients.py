"""The clients of the end-to-end tests, a row each, and how to run one.

A row says what to run, how many requests that makes, over how many connections without holdfast and
over how many with it.  e2e_clients runs every row both ways and compares all that the client shows.

In argv, URLS stands for as many arguments as there are requests, each a URL with a query of its own;
{url}, {base}, {base6}, {host}, {port}, {path}, {n} and {script} (a file with the row's `script`)
stand for themselves.
"""

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field

from servers import find_program, plain_environment

EACH = "each"       # a connection for each request
ANY = "any"         # from one to as many as there are requests


@dataclass(frozen=True)
class Client:
    name: str
    argv: tuple
    requests: int = 100
    script: str = ""
    paths: tuple = ("/file10k", "/chunked")     # of servers.PATHS; a case each
    ipv6: bool = False                          # over ::1 as well
    direct: object = EACH                       # connections without holdfast
    connections: object = 1                     # connections with it
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


def replace(rules, data):
    for pattern, replacement in rules:
        data = re.sub(pattern.encode(), replacement.encode(), data)
    return data


# ---------------------------------------------------------------------------------------------------
# Scripts.  Each prints all that its library tells of a response, the date apart.

PYTHON_URLLIB = """
import sys, urllib.request
for i in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=20) as r:
        head = sorted(f"{k}: {v}" for k, v in r.headers.items() if k != "Date")
        print(r.status, r.reason, r.version, head, flush=True)
        sys.stdout.buffer.write(r.read())
"""

PERL_LWP = """
use LWP::UserAgent;
my $agent = LWP::UserAgent->new(timeout => 20);
for (1 .. $ARGV[1]) {
    my $r = $agent->get($ARGV[0]);
    $r->remove_header('Date', 'Client-Date');
    print $r->protocol, ' ', $r->status_line, "\\n", $r->headers->as_string, $r->content;
}
"""

PHP_CONTENTS = """<?php
$context = stream_context_create(['http' => ['timeout' => 20] +
    ($argc > 3 ? ['protocol_version' => $argv[3]] : [])]);
for ($i = 0; $i < $argv[2]; $i++) {
    $body = file_get_contents($argv[1], false, $context);
    $head = array_filter($http_response_header, fn($f) => strncmp($f, 'Date:', 5));
    sort($head);
    print(implode("\\n", $head) . "\\n" . $body);
}
"""

PHP_FSOCKOPEN = """<?php
for ($i = 0; $i < $argv[4]; $i++) {
    $s = fsockopen($argv[1], $argv[2], $errno, $error, 20);
    fwrite($s, "GET $argv[3] HTTP/1.0\\r\\nHost: $argv[1]\\r\\n\\r\\n");
    [$head, $body] = explode("\\r\\n\\r\\n", stream_get_contents($s), 2);
    fclose($s);
    $head = array_filter(explode("\\r\\n", $head), fn($f) => strncmp($f, 'Date:', 5));
    sort($head);
    print(implode("\\n", $head) . "\\n" . $body);
}
"""

TCL_HTTP = """
package require http
fconfigure stdout -translation binary
for {set i 0} {$i < [lindex $argv 1]} {incr i} {
    set r [http::geturl [lindex $argv 0] -timeout 20000]
    puts "[http::status $r] [http::code $r]"
    set head [http::meta $r]
    foreach name [lsort [dict keys $head]] {
        if {$name ne "Date"} {puts "$name: [dict get $head $name]"}
    }
    puts -nonewline [http::data $r]
    http::cleanup $r
}
"""

PERL_SOCKET = """
use IO::Socket::INET;
my ($host, $port, $path, $n) = @ARGV;
for (1 .. $n) {
    my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 20) or die;
    print $s "GET $path HTTP/1.0\\r\\nHost: $host\\r\\n\\r\\n";
    my ($head, $body) = split /\\r\\n\\r\\n/, do { local $/; <$s> }, 2;
    close $s;
    print join("\\n", sort grep { !/^Date:/ } split /\\r\\n/, $head), "\\n", $body;
}
"""

# For the scripts below: get() is one HTTP/1.0 exchange by hand, in parts.
PYTHON_BY_HAND = """
import ctypes, os, socket, subprocess, sys, time
host, port, path, n = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
request = f"GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n".encode()
def connect():
    return socket.create_connection((host, port), 20)
def read(s):
    parts = []
    while part := s.recv(4096):
        parts.append(part)
    assert s.recv(10) == b""
    return b"".join(parts)
def show(answer):
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    head = sorted(f for f in head.split(b"\\r\\n") if not f.startswith(b"Date:"))
    os.write(1, b"\\n".join(head) + b"\\n" + body + b"\\n")
def get():
    with connect() as s:
        s.sendall(request)
        show(read(s))
"""

PYTHON_RAW = PYTHON_BY_HAND + """
for i in range(n): get()
"""

PYTHON_NO_HOST = PYTHON_BY_HAND + """
request = f"GET {path} HTTP/1.0\\r\\n\\r\\n".encode()
for i in range(n): get()
"""

PYTHON_HALF_CLOSE = PYTHON_BY_HAND + """
for i in range(n):
    with connect() as s:
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
        show(read(s))
"""

PYTHON_IDLE = PYTHON_BY_HAND + """
get(); time.sleep(0.2); get(); time.sleep(2.3); get()
"""

PYTHON_TWO_SERVERS = PYTHON_BY_HAND + """
for i in range(n // 2):
    host = "127.0.0.1"; get()
    host = "::1"; get()
"""

PYTHON_CHILDREN = PYTHON_BY_HAND + """
for i in range(n):
    get()
    subprocess.run(["true"], check=True)
    os.system("exit 0")
"""

PYTHON_DUP = PYTHON_BY_HAND + """
with connect() as s, s.dup() as d:      # before the request; read from the copy
    s.sendall(request); show(read(d)); assert s.recv(1) == b""
with connect() as s:                    # after the request; the first one closed
    s.sendall(request)
    d = s.dup(); s.close(); show(read(d)); d.close()
with connect() as s:                    # after the response
    s.sendall(request); show(read(s))
    d = s.dup(); s.close(); assert d.recv(1) == b""; d.close()
s = connect(); t = connect()            # dup2 of one tracked socket over another
os.dup2(s.fileno(), t.fileno()); t.sendall(request); show(read(s)); s.close(); t.close()
get()
"""

PYTHON_FDOPEN = PYTHON_BY_HAND + """
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
for name in ("fputs", "fflush", "fread", "fclose"):
    getattr(libc, name).argtypes = {"fputs": [ctypes.c_char_p, ctypes.c_void_p],
        "fread": [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]}.get(
        name, [ctypes.c_void_p])
for i in range(n):
    s = connect()
    s.settimeout(None)
    f = libc.fdopen(s.detach(), b"r+")
    libc.fputs(request, f); libc.fflush(f)
    answer, buffer = b"", ctypes.create_string_buffer(1000)
    while (got := libc.fread(buffer, 1, 1000, f)) > 0:
        answer += buffer.raw[:got]
    libc.fclose(f)
    show(answer)
"""

PYTHON_FORK = PYTHON_BY_HAND + """
def in_child(work):
    if (pid := os.fork()) == 0:
        work(); os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
get()                                                   # leaves an idle connection
in_child(lambda: (get(), get()))                        # the child has its own
get()
with connect() as s:                                    # the child reads what the parent asked
    s.sendall(request); in_child(lambda: show(read(s)))
with connect() as s:                                    # the parent reads what the child asked
    in_child(lambda: s.sendall(request)); show(read(s))
with connect() as s:                                    # the child closes, the parent reads
    s.sendall(request); in_child(s.close); show(read(s))
get()
"""

# ---------------------------------------------------------------------------------------------------

WGET_CLOCK = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "CLOCK"),
    (r"\([\d.]+ [KMGT]?B/s\)", "(SPEED)"),
    (r" +[\d.]+[KMGT]?=[\d.]+s", " SPEED"),
    (r"\bin [\d.]+s", "in TIME"),
    (r"wall clock time: [\d.]+s", "wall clock time: TIME"),
)
CURL = ("curl", "-sS", "-w", "%{stderr}%{http_code} %{num_connects} %{size_download}\\n")
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
    Client("python-urllib", ("python3", "{script}", "{url}", "{n}"), script=PYTHON_URLLIB, ipv6=True),
    Client("perl-lwp", ("perl", "{script}", "{url}", "{n}"), script=PERL_LWP,
           probe=("perl", "-MLWP::UserAgent", "-e", "0")),
    Client("php-contents", ("php", "{script}", "{url}", "{n}"), script=PHP_CONTENTS),
    Client("php-contents-1.0", ("php", "{script}", "{url}", "{n}", "1.0"), script=PHP_CONTENTS),
    Client("tcl-http", ("tclsh", "{script}", "{url}", "{n}"), script=TCL_HTTP),
    Client("python-raw", BY_HAND, script=PYTHON_RAW, ipv6=True),
    Client("perl-socket", ("perl", "{script}", "{host}", "{port}", "{path}", "{n}"),
           script=PERL_SOCKET),
    Client("php-fsockopen", ("php", "{script}", "{host}", "{port}", "{path}", "{n}"),
           script=PHP_FSOCKOPEN),

    # Other answers than 200, other methods than GET.
    Client("curl-0-statuses", (*CURL, "-0", "-L", "{base}/small", "{base}/missing", "{base}/204",
                               "{base}/redirect", "{base}/empty", "{base}/private", "{base}/small"),
           8, paths=("/",)),
    Client("curl-0-head", (*CURL, "-0", "-I", "URLS"), 5, stdout=((r"Date: .*\r\n", ""),
                                                                 (r"Connection: close\r\n", "")),
           paths=("/file10k", "/chunked", "/missing")),
    Client("curl-0-304", (*CURL, "-0", "-z", "2024-01-01", "URLS"), 5, paths=("/file10k",)),
    Client("curl-0-basic", (*CURL, "-0", "-u", "user:secret", "URLS"), 5, paths=("/private",)),
    Client("curl-0-put", (*CURL, "-0", "-T", "{script}", "-o", "-", "URLS"), 1, script="stored\n",
           paths=("/put/file",)),
    Client("curl-0-post", (*CURL, "-0", "-d", "a=b", "URLS"), 5, paths=("/post",), connections=EACH,
           reasons=("unsafe_method",)),
    Client("curl-0-post-reuse", (*CURL, "-0", "-d", "a=b", "URLS"), 5, paths=("/post",),
           settings={"HOLDFAST_UNSAFE": "reuse"}),
    Client("curl-0-until-close", (*CURL, "-0", "URLS"), 5, paths=("/until-close",), connections=EACH,
           reasons=(("no_length", "server_closes"),)),

    # Settings.
    *(Client(f"off-{value}", (*CURL, "-0", "URLS"), 5, paths=("/file10k",), connections=EACH,
             settings={"HOLDFAST": value}) for value in ("0", "off", "no", "false")),
    Client("idle-1s", BY_HAND, 3, script=PYTHON_IDLE, paths=("/file10k",), connections=2,
           settings={"HOLDFAST_IDLE": "1"}, reasons=("expired",)),
    Client("no-host", BY_HAND, 5, script=PYTHON_NO_HOST),
    Client("no-host-never", BY_HAND, 5, script=PYTHON_NO_HOST, connections=EACH,
           settings={"HOLDFAST_HOST": "never"}, reasons=("no_host",)),

    # Untouched: what persists by itself.
    Client("curl-persistent", (*CURL, "URLS"), 5, direct=1, connections=1,
           reasons=("client_persists",)),
    Client("wget-persistent", ("wget", "-nv", "-O", "-", "URLS"), 5, direct=1, connections=1,
           stderr=WGET_CLOCK, reasons=("client_persists",)),

    # What programs do to descriptors: the same result; how many connections is another matter.
    Client("half-close", BY_HAND, 5, script=PYTHON_HALF_CLOSE),
    Client("two-servers", BY_HAND, 6, script=PYTHON_TWO_SERVERS, connections=2),
    Client("children", BY_HAND, 3, script=PYTHON_CHILDREN),
    Client("dup", BY_HAND, 5, script=PYTHON_DUP, connections=ANY),
    Client("fdopen", BY_HAND, 3, script=PYTHON_FDOPEN, connections=ANY),
    Client("fork", BY_HAND, 8, script=PYTHON_FORK, connections=ANY),
    Client("busybox-wget", ("busybox", "wget", "-q", "-O", "-", "URLS"), 3, connections=ANY),
    Client("bash-dev-tcp", ("bash", "-c", """
        for i in 1 2 3; do
            exec 3<>/dev/tcp/{host}/{port} || exit
            printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3
            cat <&3 | sed '1,/^\\r$/d'
            exec 3>&-
        done"""), 3, needs=("sed",), connections=ANY),
)
