# SPDX-License-Identifier: ISC
"""HTTPS servers for the tests of shim/tls, with certificates of a CA that is made for them.

    with Certificates() as made, Server(made, "good") as server:
        server.port, server.connections, server.requests, server.failures
"""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
BODY = bytes(range(256)) * 40


class Certificates:
    """A folder with ca.pem, other-ca.pem, and of each server NAME.pem and NAME.key."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-tls-")
        for ca in ("ca", "other-ca"):
            self.openssl("req", "-x509", *KEY, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "30", "-subj", f"/CN=holdfast {ca}")
        self.sign("good", "subjectAltName=DNS:localhost,DNS:other.test,IP:127.0.0.1")
        self.sign("purpose", "subjectAltName=DNS:localhost,IP:127.0.0.1", "extendedKeyUsage=clientAuth")
        self.sign("client", "extendedKeyUsage=clientAuth")
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True, timeout=120)

    def sign(self, name, *extensions):
        self.openssl("req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-days", "30", "-subj", f"/CN={name}", "-addext", "basicConstraints=CA:FALSE",
                     *(word for one in extensions for word in ("-addext", one)))


class Server:
    """Answers /bytes/N, /chunks, /length/N (says so many, and sends the half), /close, /bye (ends a moment after its answer), /late,
    /pha (asks for a certificate before it answers).

    connections: that made a handshake; requests: (connection, request line, body) of each; failures: what TLS complained of
    when a request was read."""

    def __init__(self, made, name="good", version=None, asks=False, later=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(made.path(f"{name}.pem"), made.path(f"{name}.key"))
        self.context.set_alpn_protocols(["http/1.1", "holdfast"])
        if version:
            self.context.minimum_version = self.context.maximum_version = version
            if version < ssl.TLSVersion.TLSv1_2:
                self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if asks:
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.load_verify_locations(made.path("ca.pem"))
        self.context.post_handshake_auth = later
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        self.connections, self.requests, self.failures = 0, [], []

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.listener.close()

    def serve(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(plain,), daemon=True).start()

    def converse(self, plain):
        plain.settimeout(60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self.context.wrap_socket(plain, server_side=True) as secure:
                with self.lock:
                    self.connections += 1
                    number = self.connections
                with secure.makefile("rb") as stream:
                    while self.answer(secure, stream, number):
                        pass
                if secure.fileno() >= 0:
                    secure.unwrap()
        except ssl.SSLError as error:
            with self.lock:
                self.failures.append(error.reason or str(error))
        except OSError:
            pass

    def answer(self, secure, stream, number):
        line = stream.readline().decode("latin-1").strip()
        if not line:
            return False
        fields = {}
        while (field := stream.readline().strip()):
            name, _, value = field.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        body = stream.read(int(fields.get("content-length", 0)))
        with self.lock:
            self.requests.append((number, line, fields, body))
        path = line.split()[1].partition("?")[0]
        close = fields.get("connection", "").lower() == "close" or line.endswith("1.0") and \
            fields.get("connection", "").lower() != "keep-alive" or path == "/close"
        head = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" + \
            f"Connection: {'close' if close else 'keep-alive'}\r\n"
        what, _, count = path[1:].partition("/")
        data = (BODY * (int(count or 10) // len(BODY) + 1))[:int(count or 10)]
        if line.startswith("HEAD"):
            secure.sendall((head + "Content-Length: 10\r\n\r\n").encode())
        elif what == "chunks" and line.endswith("1.1"):
            secure.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
            for start in range(0, 10000, 3000):
                secure.sendall(b"%x\r\n%s\r\n" % (3000, (BODY + BODY)[start % 7:start % 7 + 3000]))
            secure.sendall(b"0\r\n\r\n")
        elif what == "length":
            secure.sendall((head + f"Content-Length: {2 * len(data)}\r\n\r\n").encode() + data)
            secure.close()
            return False
        elif what == "chunks": # as long as it needs to be, then the end
            secure.sendall((head + "\r\n").encode() + (BODY + BODY)[:12000])
            return False
        else:
            if what == "late":
                time.sleep(0.2)
            if what == "pha": # asks for a certificate now
                secure.verify_client_post_handshake()
            secure.sendall((head + f"Content-Length: {len(data)}\r\n\r\n").encode() + data)
        if what == "bye":
            time.sleep(0.05)
            return False
        return not close
