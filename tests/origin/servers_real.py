# SPDX-License-Identifier: ISC
"""The servers of the matrix, besides servers.Nginx: each a child of the test in a directory of its
own, answering to servers.PATHS, and saying by which path (`path`) or that it cannot (`lacks`).

    server = Lighttpd()
    server.begin()              # several may start at the same time
    server.ready()
    server.port, server.path("chunked")
    server.end()
"""

import base64
import functools
import glob
import hashlib
import http.client
import os
import pwd
import shutil
import subprocess
import tempfile
import time

import servers_apps as apps
import servers_conf as conf
from servers import (DOCUMENTS, Nginx, end_with_parent, find_program, free_port, plain_environment,
                     wait_for_port)

# The kinds of answers, and where each is to be had unless a server says otherwise.
KINDS = {
    "static": "/file10k", "chunked": "/chunked", "204": "/204", "304": "/file10k",
    "head": "/file10k", "redirect": "/redirect", "404": "/missing", "until-close": "/until-close",
    "post": "/post", "put": "/put/file", "basic": "/private",
}
BY_CGI = {kind: "/cgi-bin" + KINDS[kind] for kind in ("chunked", "204", "redirect", "until-close", "post")}
BY_CGI["put"] = "/cgi-bin/put"
AS_ROOT = os.geteuid() == 0
ATTEMPTS = 5


def somebody(*names):
    """The first of these users that there is: what a server becomes that does not stay root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in names if name in known), "nobody")


@functools.lru_cache(maxsize=None)
def python_with(module):
    """A Python that has this module: not always the first of PATH; or None."""
    for python in ("python3", "/usr/bin/python3"):
        if find_program(python) and subprocess.call(
                [python, "-c", f"import {module}"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env=plain_environment()) == 0:
            return python
    return None


class Server:
    """What they have in common.  A subclass gives its program and command, and writes its files."""

    name = program = ""
    lacks = ()          # kinds that it cannot answer
    paths = {}          # kinds that are elsewhere
    ends = ()           # kinds after which it ends the connection all the same
    drops = False       # an answer whose client has ended its side
    silent = False      # ends connections of HTTP/1.0 without having said so: curl asks again
    by_version = ()     # fields that it gives to HTTP/1.1 only
    persists = True     # keeps a connection for a client that asks for it
    wordless = False    # ... and does not say so
    dated = True        # its answers have a Date
    behind = False      # is in front of an nginx
    module = ""         # a Python module that it needs

    def __init__(self, backend=None):
        self.backend = backend
        self.process = self.dir = None

    @classmethod
    def missing(cls):
        """What has to be installed for it, or None."""
        if not find_program(cls.program):
            return f"{cls.program} is not installed"
        if cls.module and not python_with(cls.module):
            return f"Python's {cls.module} is not installed"
        return None

    def path(self, kind):
        """The path of a kind of answer, or None if this server has no such answer."""
        return None if kind in self.lacks else self.paths.get(kind, KINDS[kind])

    def begin(self):
        self.dir = tempfile.mkdtemp(prefix=f"holdfast-{self.name}-")
        self.www = os.path.join(self.dir, "www")
        os.makedirs(os.path.join(self.www, "put"))
        os.makedirs(os.path.join(self.www, "cgi-bin"))
        for folder in (self.dir, os.path.join(self.www, "put")):
            os.chmod(folder, 0o777)
        for name, body in DOCUMENTS.items():
            self.write(os.path.join("www", name), body)
        for name in BY_CGI:
            self.write(f"www{BY_CGI[name]}", apps.CGI.replace("{www}", self.www).encode(), 0o755)
        self._launch()

    def ready(self):
        """Waits for it; somebody else may have taken the port first."""
        for _ in range(ATTEMPTS):
            if wait_for_port(self.port, self.process, 20) and self._answers():
                return
            self._stop()
            self._launch()
        raise RuntimeError(f"{self.name} does not start")

    def _answers(self):
        """A server that listens may still be reading its configuration, or about to give up."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                asking.request("GET", self.path("static"), headers={"Connection": "close"})
                if asking.getresponse().status == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            finally:
                asking.close()
            time.sleep(0.02)
        return False

    def end(self):
        self._stop()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, name, data, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        os.utime(path, (1700000000, 1700000000))
        os.chmod(path, 0o666 if "/put/" in path else mode)
        return path

    def fill(self, template, **more):
        return self.write("conf", template.format(dir=self.dir, www=self.www, port=self.port,
                                                  backend=self.backend, **more))

    def command(self):
        raise NotImplementedError

    def _launch(self):
        self.port = free_port()
        program, *arguments = self.command()
        self.process = subprocess.Popen(
            [find_program(program), *arguments], cwd=self.dir, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.dir, "stderr"), "wb"),
            env=plain_environment(HOME=self.dir), preexec_fn=end_with_parent)

    def _stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class NginxServer(Nginx):
    """servers.Nginx with the methods of the others."""

    name, lacks, ends, by_version = "nginx", (), (), ()
    persists, wordless, dated, behind, drops, silent = True, False, True, False, False, False

    def __init__(self, backend=None):
        super().__init__()

    @classmethod
    def missing(cls):
        return None if cls.installed() else "nginx is not installed"

    def path(self, kind):
        return KINDS[kind]

    def begin(self):
        self.__enter__()

    def ready(self):
        pass

    def end(self):
        self.__exit__()


class Apache(Server):
    name = "apache"
    program = "apache2"

    @classmethod
    def missing(cls):
        return super().missing() or (None if cls._modules() else "Apache's modules are not installed")

    @staticmethod
    def _modules():
        return next(iter(glob.glob("/usr/lib*/apache2/modules")), None)

    def command(self):
        digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
        self.write("users", f"user:{{SHA}}{digest}\n")
        where = self._modules()
        modules = "\n".join(f"LoadModule {module}_module {where}/mod_{module}.so"
                            for module in conf.APACHE_MODULES)
        user = somebody("www-data", "apache")
        group = pwd.getpwnam(user).pw_gid
        path = self.fill(conf.APACHE, modules=modules, user=f"User {user}\nGroup #{group}" if AS_ROOT else "")
        return "apache2", "-DFOREGROUND", "-f", path


class Lighttpd(Server):
    name = program = "lighttpd"
    wordless = True
    by_version = ("Accept-Ranges",)
    paths = BY_CGI

    def command(self):
        self.write("plain-users", "user:secret\n")
        return "lighttpd", "-D", "-f", self.fill(conf.LIGHTTPD)


class HAProxy(Server):
    name = program = "haproxy"
    wordless = True
    behind = True

    def command(self):
        return "haproxy", "-db", "-q", "-f", self.fill(conf.HAPROXY)


class Varnish(Server):
    name = "varnish"
    program = "varnishd"
    behind = True

    def command(self):
        return ("varnishd", "-F", "-j", "none", "-n", self.dir, "-a", f"127.0.0.1:{self.port}",
                "-f", self.fill(conf.VARNISH), "-s", "malloc,16m")


class Squid(Server):
    name = program = "squid"
    drops = True
    behind = True

    def command(self):
        user = f"cache_effective_user {somebody('proxy', 'squid')}" if AS_ROOT else ""
        return "squid", "-N", "-f", self.fill(conf.SQUID, user=user)


class Caddy(Server):
    name = program = "caddy"
    wordless = True
    drops = True
    behind = True

    def command(self):
        return "caddy", "run", "--adapter", "caddyfile", "--config", self.fill(conf.CADDY)


class BusyBox(Server):
    """httpd; every answer ends its connection."""

    name = "busybox"
    program = "busybox"
    paths = BY_CGI
    lacks = ("put",)
    persists = False
    silent = True

    def command(self):
        path = self.write("conf", conf.BUSYBOX)
        return "busybox", "httpd", "-f", "-p", f"127.0.0.1:{self.port}", "-h", self.www, "-c", path


class Node(Server):
    name = program = "node"
    drops = True

    def command(self):
        return "node", self.write("app.js", apps.NODE), str(self.port), self.www


class HttpServer10(Server):
    """Python's http.server as it is: HTTP/1.0."""

    name = "http.server-1.0"
    program = "python3"
    protocol = "HTTP/1.0"
    persists = False

    def command(self):
        script = self.write("app.py", apps.HTTP_SERVER)
        return "python3", script, self.protocol, str(self.port), self.www


class HttpServer11(HttpServer10):
    name = "http.server-1.1"
    wordless = True
    protocol = "HTTP/1.1"
    persists = True
    ends = ("404",)
    silent = True


class Gunicorn(Server):
    """With threads, which persist."""

    name = program = "gunicorn"
    lacks = ("until-close",)
    worker = ("-k", "gthread", "--threads", "4", "--keep-alive", "5")

    def app(self):
        return self.write("app.py", apps.WSGI.replace("{www!r}", repr(self.www)))

    def command(self):
        self.app()
        return ("gunicorn", *self.worker, "-b", f"127.0.0.1:{self.port}", "--chdir", self.dir,
                "--log-level", "error", "app")


class GunicornSync(Gunicorn):
    """Its plain worker: every answer ends its connection."""

    name = "gunicorn-sync"
    worker = ("-k", "sync")
    persists = False


class Uwsgi(Gunicorn):
    """Says HTTP/1.1 and a length, nothing of the connection, and ends it all the same."""

    name = "uwsgi"
    program = "uwsgi_python3"
    persists = False
    silent = True

    def command(self):
        return ("uwsgi_python3", "--http-socket", f"127.0.0.1:{self.port}", "--wsgi-file", self.app(),
                "--disable-logging", "--die-on-term", "--master", "--no-orphans", "--processes", "2")


class Puma(Server):
    name = program = "puma"
    wordless, dated = True, False
    drops = True
    lacks = ("until-close",)

    def command(self):
        rack = self.write("config.ru", apps.RACK.replace("{www}", self.www))
        return "puma", "-q", "-t", "4:4", "-b", f"tcp://127.0.0.1:{self.port}", rack


class Tornado(Server):
    name = "tornado"
    wordless = True
    program = "python3"
    module = "tornado"
    drops = silent = True
    lacks = ("until-close",)

    def command(self):
        return python_with("tornado"), self.write("app.py", apps.TORNADO), str(self.port), self.www


SERVERS = (NginxServer, Apache, Lighttpd, HAProxy, Varnish, Squid, Node, HttpServer10, HttpServer11,
           Gunicorn, GunicornSync, Uwsgi, Puma, Tornado, Caddy, BusyBox)
