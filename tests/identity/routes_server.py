# SPDX-License-Identifier: ISC
"""The server of e2e_routes, in its own network namespace: counts what is asked for, and can be slow."""

import collections
import http.server
import json
import socket
import sys
import threading
import time

COUNTS = collections.Counter()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global COUNTS
        if self.path == "/count":
            counts, COUNTS = COUNTS, collections.Counter()
            return self.answer(json.dumps(counts))
        if self.path.startswith("/unread"):
            time.sleep(1)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        COUNTS[f"{self.command} {self.path}"] += 1
        if self.path.startswith("/slow"):
            time.sleep(1.2)
        self.answer(f"{self.command} {self.path} {len(body)}\n")

    do_POST = do_PUT = do_GET

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        try:
            self.wfile.write(text.encode())
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 64

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        super().server_bind()

    def handle_error(self, *_):
        pass


if __name__ == "__main__":
    server = Server(("::", 8080), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
