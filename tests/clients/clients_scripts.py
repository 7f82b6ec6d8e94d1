# SPDX-License-Identifier: ISC
"""What the scripts of clients.py's rows say, by language.  Each prints all that its library tells of
a response, the date apart, so that two runs can be compared."""

PYTHON_URLLIB = """
import sys, urllib.request
for i in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=20) as r:
        head = sorted(f"{k}: {v}" for k, v in r.headers.items() if k != "Date")
        print(r.status, r.reason, r.version, head, flush=True)
        sys.stdout.buffer.write(r.read())
"""

PYTHON_THREADS = """
import concurrent.futures, sys, urllib.request
def get(i):
    with urllib.request.urlopen(sys.argv[1], timeout=20) as r:
        return r.read()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for body in pool.map(get, range(int(sys.argv[2]))):
        sys.stdout.buffer.write(body)
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

# For all that follow: get() is one HTTP/1.0 exchange by hand, in parts.
PYTHON_BY_HAND = """
import ctypes, os, socket, subprocess, sys, time
host, port, path, n = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
name = f"[{host}]" if ":" in host else host
request = f"GET {path} HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n".encode()
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

PYTHON_EARLY_CLOSE = PYTHON_BY_HAND + """
for i in range(n):
    with connect() as s:
        s.sendall(request)
        show(s.recv(400, socket.MSG_WAITALL))
"""

PYTHON_ASYNCIO = PYTHON_BY_HAND + """
import asyncio
async def get(_):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer
async def main():
    for i in range(0, n, 8):
        for answer in await asyncio.gather(*map(get, range(8))):
            show(answer)
asyncio.run(main())
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
