# SPDX-License-Identifier: ISC
"""Servers of what is not plain HTTP/1.x, for e2e_opaque: real ones as in servers_real.py, and small ones
of our own, each a function that is given a connection."""

import base64
import glob
import hashlib
import os
import pwd
import socket
import subprocess
import threading

from servers import find_program, plain_environment
from servers_real import AS_ROOT, Server, somebody

TLS_NGINX = """
daemon off;
worker_processes 1;
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{port} {how};
        root {www};
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
    }}
}}
"""

SQUID_PROXY = """
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
access_log none
cache_log {dir}/cache.log
pid_filename none
coredump_dir {dir}
visible_hostname test
shutdown_lifetime 0 seconds
pinger_enable off
via off
forwarded_for delete
{user}
"""

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
Allow 127.0.0.1
PidFile "{dir}/pid"
LogFile "{dir}/log"
MaxClients 20
DisableViaHeader Yes
"""

VSFTPD = """
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root={dir}/www
secure_chroot_dir={dir}/empty
seccomp_sandbox=NO
vsftpd_log_file={dir}/log
{user}
"""

SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {dir}/host
PidFile none
AuthorizedKeysFile {dir}/user.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PasswordAuthentication no
"""


class Other(Server):
    """Ready when its port is open."""

    def _answers(self):
        return self.process.poll() is None

    def command(self):
        raise NotImplementedError


class TlsNginx(Other):
    name, program, how = "nginx-tls", "nginx", "ssl http2"

    def command(self):
        make_certificate(self.dir)
        path = self.fill(TLS_NGINX, how=self.how, user="user root;" if AS_ROOT else "")
        return "nginx", "-p", self.dir, "-e", os.path.join(self.dir, "error.log"), "-c", path


class NginxHttp2(TlsNginx):
    """HTTP/2 without TLS: prior knowledge only."""

    name, how = "nginx-http2", "http2"


class TlsServer(Other):
    """openssl s_server -www: a page about the connection for each."""

    name, program = "s_server", "openssl"

    def command(self):
        make_certificate(self.dir)
        return ("openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{self.port}", "-WWW",
                "-cert", "cert.pem", "-key", "key.pem")


class Nghttpd(Other):
    name = program = "nghttpd"

    def command(self):
        return "nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", self.www, str(self.port)


class SquidProxy(Other):
    name = program = "squid"

    def command(self):
        user = f"cache_effective_user {somebody('proxy', 'squid')}" if AS_ROOT else ""
        return "squid", "-N", "-f", self.fill(SQUID_PROXY, user=user)


class Tinyproxy(Other):
    name = program = "tinyproxy"

    def command(self):
        return "tinyproxy", "-d", "-c", self.fill(TINYPROXY)


class Vsftpd(Other):
    name = program = "vsftpd"

    def command(self):
        os.makedirs(os.path.join(self.dir, "empty"), exist_ok=True)
        for folder in (self.dir, self.www):
            os.chmod(folder, 0o755)
        return "vsftpd", self.fill(VSFTPD, user="" if AS_ROOT else "run_as_launching_user=YES")


class Redis(Other):
    name, program = "redis", "redis-server"

    def command(self):
        return ("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--dir", self.dir)


class Sshd(Other):
    name = program = "sshd"

    @classmethod
    def missing(cls):
        shell = pwd.getpwuid(os.geteuid()).pw_shell
        return super().missing() or ("this user cannot log in" if "nologin" in shell else None)

    def command(self):
        for key in ("host", "user"):
            if not os.path.exists(os.path.join(self.dir, key)):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], cwd=self.dir,
                               check=True, stdin=subprocess.DEVNULL)
        if AS_ROOT:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)     # it insists
        os.chmod(self.dir, 0o755)
        return find_program("sshd"), "-D", "-e", "-f", self.fill(SSHD)


class Postgres(Other):
    name = program = "postgres"

    @staticmethod
    def installed(program):
        """Debian keeps these out of PATH."""
        return find_program(program) or next(iter(glob.glob(f"/usr/lib/postgresql/*/bin/{program}")), None)

    @classmethod
    def missing(cls):
        return None if cls.installed("initdb") else "initdb is not installed"

    def command(self):
        data, prefix = os.path.join(self.dir, "data"), []
        if AS_ROOT:
            owner = pwd.getpwnam("postgres")
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
            prefix = ["setpriv", "--reuid=postgres", f"--regid={owner.pw_gid}", "--clear-groups"]
        if not os.path.exists(data):
            subprocess.run([*prefix, self.installed("initdb"), "-D", data, "-A", "trust", "-U", "test",
                            "-N"], check=True, cwd=self.dir, stdout=subprocess.DEVNULL,
                           env=plain_environment())
        return (*prefix, self.installed("postgres"), "-D", data, "-p", str(self.port),
                "-h", "127.0.0.1", "-k", "", "-c", "fsync=off")


class GitDaemon(Other):
    name, program = "git-daemon", "git"

    def command(self):
        return ("git", "daemon", f"--port={self.port}", "--listen=127.0.0.1", "--export-all",
                f"--base-path={self.www}", "--reuseaddr")


def make_certificate(directory):
    if os.path.exists(os.path.join(directory, "cert.pem")):
        return
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", "key.pem", "-out", "cert.pem"], cwd=directory, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# --- small ones ---

class Small:
    """A server of our own: a thread for each connection, which `talk` serves."""

    def __init__(self, talk):
        self.talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(10)
            try:
                self.talk(connection)
            except OSError:
                pass


def echo_pieces(connection):
    """Answers each piece with its length, as it comes: what is held back gets no answer."""
    while data := connection.recv(65536):
        connection.sendall(b"%d\n" % len(data))


def line_store(connection):
    """Lines like GET NAME, SET NAME VALUE, as many servers have them; ends at QUIT."""
    store = {}
    with connection.makefile("rb") as lines:
        for line in lines:
            words = line.split()
            if not words or words[0] == b"QUIT":
                return
            if words[0] in (b"SET", b"PUT", b"POST"):
                store[words[1]] = words[2]
                connection.sendall(b"STORED\r\n")
            else:
                value = store.get(words[1] if len(words) > 1 else b"", b"")
                connection.sendall(b"VALUE %d\r\n%s\r\n" % (len(value), value))


def smtp(connection):
    """Speaks first."""
    connection.sendall(b"220 test ESMTP\r\n")
    in_message = False
    with connection.makefile("rb") as lines:
        for line in lines:
            if in_message:
                in_message = line != b".\r\n"
                if not in_message:
                    connection.sendall(b"250 taken\r\n")
            elif line.upper().startswith(b"DATA"):
                in_message = True
                connection.sendall(b"354 go on\r\n")
            elif line.upper().startswith(b"QUIT"):
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 fine\r\n")


def web_socket(connection):
    """/accept: 101 with two frames in the same segment, then echoes frames; /refuse: 426, persistent."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return
        head += piece
    if b"/refuse" in head:
        connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno\n")
        if b"close" not in head.lower():
            web_socket(connection)
        return
    key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n")
               if line.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x81\x05hello\x81\x05again")
    while data := connection.recv(65536):
        connection.sendall(data)
