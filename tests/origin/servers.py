# SPDX-License-Identifier: ISC
"""Real servers for the end-to-end tests, each in a directory of its own and on free ports of the
loopback, as a child of the test that started it, ended by its pid.

    with Nginx() as server:
        mark = server.mark()
        ... server.url("/file10k") ...
        server.requests(mark)       # what it answered since, one Request each
        server.connections(mark)    # over how many connections

Another server is another class with the same methods and the same paths (PATHS).
"""

import ctypes
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from typing import NamedTuple

from holdfast_test import clean_environment


class Request(NamedTuple):
    connection: int     # number that the server gave the connection
    nth: int            # which request on it, from 1
    line: str           # the request line
    status: int


def text(seed, size):
    """`size` bytes of lines that say where they are, so that a diff of two answers can be read."""
    lines, n = [], 0
    while n < size:
        digest = hashlib.sha256(f"{seed} {n}".encode()).hexdigest()
        lines.append(f"{seed} {n:08d} {digest}\n")
        n += len(lines[-1])
    return "".join(lines).encode()[:size]


# What each server answers to.
PATHS = {
    "/file10k": "a file of 10 KB, with Content-Length",
    "/small": "a file of 100 bytes",
    "/empty": "a file of 0 bytes",
    "/chunked": "10 KB in chunks of several sizes to an HTTP/1.1 client, until close to a 1.0 one",
    "/until-close": "an answer whose length only the end of the connection tells",
    "/204": "204",
    "/redirect": "302 to /small",
    "/post": "200 to any method, the body is read and forgotten",
    "/put/file": "PUT replaces it",
    "/private": "wants Basic authentication, user:secret",
}

DOCUMENTS = {
    "file10k": text("file", 10240),
    "small": text("small", 100),
    "empty": b"",
    "private": text("private", 100),
    "index.html": b'<html><a href="file10k">1</a> <a href="small">2</a> <a href="chunked">3</a></html>\n',
    "doc.xml": b"<?xml version='1.0'?>\n<doc><a>1</a></doc>\n",
    "put/file": b"old\n",
    "part1": text("part1", 1),
    "part2": text("part2", 3000),
    "part3": text("part3", 6217),
    "chunked": b'<!--#include file="part1" -->first\n<!--#include file="part2" -->second\n'
               b'<!--#include file="part3" -->last\n',
}

NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 2048; }}
http {{
    log_format connections '$connection $connection_requests "$request" $status';
    access_log {dir}/access.log connections;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    default_type text/plain;
    absolute_redirect off;
    keepalive_requests {keepalive_requests};
    keepalive_timeout {keepalive_timeout};
    # Server-side includes lose the length of what they put together: nginx sends chunks then.
    ssi_types *;
    server {{
        {listen}
        root {dir}/www;
        location = /chunked {{ ssi on; }}
        location = /until-close {{ ssi on; alias {dir}/www/chunked; chunked_transfer_encoding off; }}
        location = /204 {{ return 204; }}
        location = /redirect {{ return 302 /small; }}
        location = /post {{ return 200 "posted\\n"; }}
        location /put/ {{ dav_methods PUT; }}
        location = /private {{ auth_basic test; auth_basic_user_file {dir}/users; }}
    }}
}}
"""


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port():
    """A port that nobody uses, on 127.0.0.1 and, where there is one, on ::1."""
    for _ in range(100):
        with socket.socket() as four:
            four.bind(("127.0.0.1", 0))
            port = four.getsockname()[1]
            if not have_ipv6():
                return port
            with socket.socket(socket.AF_INET6) as six:
                try:
                    six.bind(("::1", port))
                    return port
                except OSError:
                    continue
    raise RuntimeError("no free port")


def end_with_parent():
    """Between fork and exec: a killed test leaves no server behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)      # PR_SET_PDEATHSIG


class Nginx:
    """nginx with one worker; its access log tells the connections apart."""

    program = "nginx"

    def __init__(self, keepalive_requests=1000000, keepalive_timeout=75):
        self.settings = {"keepalive_requests": keepalive_requests,
                         "keepalive_timeout": keepalive_timeout}
        self.process = None

    @staticmethod
    def installed():
        return find_program("nginx") is not None

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="holdfast-nginx-")
        try:
            self._write_files()
            for attempt in range(5):    # somebody else may take the port first
                if self._start():
                    return self
            raise RuntimeError("nginx does not start: " + self._read("error.log"))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def url(self, path, ipv6=False):
        return f"http://{'[::1]' if ipv6 else '127.0.0.1'}:{self.port}{path}"

    def mark(self):
        """A point in the log, for requests() and connections()."""
        self._settle()
        return os.path.getsize(os.path.join(self.dir, "access.log"))

    def requests(self, mark):
        self._settle()
        with open(os.path.join(self.dir, "access.log"), encoding="latin-1") as log:
            log.seek(mark)
            found = [re.fullmatch(r'(\d+) (\d+) "(.*)" (\d+)', line.rstrip("\n")) for line in log]
        return [Request(int(m[1]), int(m[2]), m[3], int(m[4]))
                for m in found if "/settle-" not in m[3]]

    def connections(self, mark):
        return len({request.connection for request in self.requests(mark)})

    def _settle(self):
        """nginx logs a request after its answer; with one worker, whatever it answered before a
        request of our own is in the log when that one is."""
        token = f"/settle-{time.monotonic_ns()}"
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        asking.request("GET", token, headers={"Connection": "close"})
        asking.getresponse().read()
        asking.close()
        deadline = time.monotonic() + 10
        while token not in self._read("access.log", tail=65536):
            if time.monotonic() > deadline:
                raise RuntimeError("nginx does not log")
            time.sleep(0.002)

    def _write_files(self):
        os.chmod(self.dir, 0o755)
        os.makedirs(os.path.join(self.dir, "www", "put"))
        for name, body in DOCUMENTS.items():
            path = os.path.join(self.dir, "www", name)
            with open(path, "wb") as file:
                file.write(body)
            os.utime(path, (1700000000, 1700000000))
        with open(os.path.join(self.dir, "users"), "w", encoding="ascii") as file:
            file.write("user:{PLAIN}secret\n")
        open(os.path.join(self.dir, "access.log"), "w").close()

    def _start(self):
        self.port = free_port()
        listen = f"listen 127.0.0.1:{self.port};"
        if have_ipv6():
            listen += f" listen [::1]:{self.port};"
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(NGINX_CONF.format(dir=self.dir, listen=listen,
                                         user="user root;" if os.geteuid() == 0 else "",
                                         **self.settings))
        log = os.path.join(self.dir, "error.log")
        self.process = subprocess.Popen(
            [find_program("nginx"), "-p", self.dir, "-e", log, "-c", conf],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=plain_environment(), preexec_fn=end_with_parent)
        return wait_for_port(self.port, self.process)

    def _read(self, name, tail=None):
        try:
            with open(os.path.join(self.dir, name), "rb") as file:
                if tail:
                    file.seek(max(0, os.path.getsize(file.name) - tail))
                return file.read().decode("latin-1")
        except FileNotFoundError:
            return ""


class Recorder:
    """A server that keeps every byte it is sent, a list entry a connection, and answers each request
    head with the same response.  For requests without a body."""

    RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

    def __init__(self, response=RESPONSE, persist=True):
        self.response, self.persist, self.received = response, persist, []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            record = bytearray()
            self.received.append(record)
            threading.Thread(target=self._serve, args=(connection, record), daemon=True).start()

    def _serve(self, connection, record):
        answered = 0
        with connection:
            try:
                while data := connection.recv(65536):
                    record += data
                    while answered < record.count(b"\r\n\r\n"):
                        answered += 1
                        connection.sendall(self.response)
                    if answered and not self.persist:
                        return
            except OSError:
                pass


class Quitter(Recorder):
    """A server whose first connection ends as its second request comes: with a reset, or in order."""

    def __init__(self, reset):
        super().__init__()
        self.reset = reset

    def _serve(self, connection, record):
        if record is not self.received[0]:
            super()._serve(connection, record)
            return
        with connection:
            while b"\r\n\r\n" not in record:
                record += connection.recv(65536)
            connection.sendall(self.response.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
            connection.recv(1, socket.MSG_PEEK)
            if not self.reset:      # bytes that nobody has read make a close a reset
                connection.recv(65536)


def find_program(name):
    """Like which(1), but servers may live where a user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def plain_environment(**more):
    """The environment without our own settings, in a fixed locale, without proxies."""
    kept = {k: v for k, v in clean_environment().items() if not k.lower().endswith("_proxy")}
    return {**kept, "LC_ALL": "C", **more}


def wait_for_port(port, process, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.01)
    return False
