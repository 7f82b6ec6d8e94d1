# SPDX-License-Identifier: ISC
"""The servers of scripts/bench/bench: the origin, and the proxies that stand beside a client which cannot be
changed.  Each has one worker, a directory of its own, and is a child of the bench, ended by its pid.

    with Origin(port) as origin, HAProxy(another_port, origin) as proxy:
        proxy.url("/small"), proxy.pids(), proxy.version()

The proxies are set up as their own documentation says is fastest for requests that all have to reach
the origin: no caching, no access log, as many idle connections to the origin as there are, kept for as
long as the bench takes.  Each says where it has that from.  What else there is was measured, and was no
faster: larger buffers (nginx, HAProxy), splice-auto (HAProxy), two pools (Varnish), a thread of its own to
accept and a pool for all threads (Traffic Server).
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from servers import end_with_parent, find_program, plain_environment, text

DOCUMENTS = {"small": text("small", 100), "10k": text("10k", 10240), "1m": text("1m", 1 << 20),
             "chunked": text("chunked", 10240)}
AS_ROOT = os.geteuid() == 0
START_SECONDS = 20
FLUSH_SECONDS = 0.15      # a little more than the origin takes to write its log


def somebody(*names):
    """The first of these users that there is."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in names if name in known), "nobody")


def descendants(pid):
    """The process and all under it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as stat:
                    parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                pass
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Peer:
    """A server.  A subclass gives its name, program and configuration."""

    name = program = conf = conf_name = ""
    version_option = "-v"
    enter = None            # called between fork and exec: into another network namespace

    def __init__(self, port, origin=None, address="127.0.0.1"):
        self.address, self.port, self.origin = address, port, origin
        self.process = self.dir = None

    @classmethod
    def installed(cls):
        return find_program(cls.program) is not None

    @classmethod
    def version(cls):
        done = subprocess.run([find_program(cls.program), cls.version_option], capture_output=True, text=True,
                              env=plain_environment(), check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
        return found[0] if found else "?"

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="holdfast-bench-")
        os.chmod(self.dir, 0o777)       # some become another user
        try:
            self.files()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.process and self.process.poll() is None:
                self._end()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _end(self):
        """Politely, but at once if we are interrupted."""
        pids = descendants(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(5)
        except BaseException as reason:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            self.process.wait()

    def fill(self, conf):
        far = {"far": self.origin.address, "far_port": self.origin.port} if self.origin else {}
        return conf.format(dir=self.dir, port=self.port, address=self.address, **far)

    def write(self, name, content):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        return path

    def files(self):
        self.conf_name = self.write("conf", self.fill(self.conf))

    def command(self):
        raise NotImplementedError

    def environment(self):
        return plain_environment()

    def start(self):
        def prepare():
            end_with_parent()
            if self.enter:
                self.enter()

        with open(os.path.join(self.dir, "said"), "wb") as said:
            self.process = subprocess.Popen([find_program(self.program), *self.command()], cwd=self.dir,
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                            env=self.environment(), preexec_fn=prepare)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(os.path.join(self.dir, "said"), encoding="latin-1") as said:
                    raise RuntimeError(f"{self.name} does not start: {said.read()[-2000:].strip()}")
            time.sleep(0.02)

    def answers(self):
        """Whether it answers a request: a proxy may listen before it works."""
        try:
            with socket.create_connection((self.address, self.port), 2) as s:
                s.sendall(b"GET /small HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(4096).partition(b"\r\n")[0]
        except OSError:
            return False

    def url(self, path):
        return f"http://{self.address}:{self.port}{path}"

    def pids(self):
        return descendants(self.process.pid)


class Origin(Peer):
    """nginx with one worker.  Its log, which it writes ten times a second, tells what came over which
    connection; that costs every way the same."""

    name = "origin"
    program = "nginx"
    conf = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error; ROOT
events {{ worker_connections 8192; }}
http {{
    log_format seen '$connection $status $body_bytes_sent $uri';
    access_log {dir}/log seen buffer=256k flush=100ms;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    default_type text/plain; sendfile on; tcp_nopush on; open_file_cache max=100;
    keepalive_requests 1000000000; keepalive_time 24h; keepalive_timeout 1h;
    ssi_types *;
    server {{
        listen {address}:{port} backlog=4096;
        root {dir}/www;
        location = /chunked {{ ssi on; }}       # an answer that may have includes is sent in chunks
    }}
}}
""".replace("ROOT", "user root;" if AS_ROOT else "")

    def files(self):
        super().files()
        for name, body in DOCUMENTS.items():
            self.write(f"www/{name}", body)
        self.write("log", "")

    def command(self):
        return "-p", self.dir, "-e", os.path.join(self.dir, "error"), "-c", self.conf_name

    def start(self):
        super().start()
        time.sleep(FLUSH_SECONDS)       # what was asked to find out whether it answers

    def mark(self):
        """A point in the log; what came before has been waited for by seen()."""
        return os.path.getsize(os.path.join(self.dir, "log"))

    def seen(self, mark, path, size, expected):
        """(good requests, connections) since the mark, once it has been written; fewer than expected are
        waited for as long as more come."""
        requests, waited = -1, FLUSH_SECONDS
        while True:
            time.sleep(waited)
            before = requests
            requests, connections = count_log(self.read(mark), path, size)
            if requests >= expected or requests == before:
                return requests, connections
            waited = 5 * FLUSH_SECONDS

    def read(self, mark):
        with open(os.path.join(self.dir, "log"), encoding="latin-1") as log:
            log.seek(mark)
            return log.read()


def count_log(lines, path, size):
    """Of the origin's log: how many requests of this path were answered with 200 and the whole body, and
    over how many connections."""
    fields = [line.split() for line in lines.splitlines()]
    good = [f[0] for f in fields if len(f) == 4 and f[1] == "200" and int(f[2]) >= size and f[3] == path]
    return len(good), len(set(good))


class NginxProxy(Peer):
    """nginx.org: ngx_http_upstream_module, "keepalive": for HTTP, proxy_http_version 1.1 and an empty
    Connection field."""

    name = program = "nginx"
    conf = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error; ROOT
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream origin {{
        server {far}:{far_port};
        keepalive 512;
        keepalive_requests 1000000000; keepalive_time 24h; keepalive_timeout 1h;
    }}
    server {{
        listen {address}:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;     # never by way of a file
        }}
    }}
}}
""".replace("ROOT", "user root;" if AS_ROOT else "")

    def command(self):
        return "-p", self.dir, "-e", os.path.join(self.dir, "error"), "-c", self.conf_name


class HAProxy(Peer):
    """configuration.txt: http-reuse always "can provide a significant performance increase";
    option tcp-smart-connect "saves one packet on the network and thus boosts performance";
    splicing gives "noticeable performance gains" for large bodies (splice-response, as splice-auto finds no
    reason for it here).  By default half of the idle connections are closed every five seconds."""

    name, program = "HAProxy", "haproxy"
    conf = """
global
    nbthread 1
    maxconn 2048
defaults
    mode http
    http-reuse always
    option splice-response
    option tcp-smart-connect
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen main
    bind {address}:{port} backlog 4096
    server origin {far}:{far_port} pool-purge-delay 1h
"""

    def command(self):
        return "-db", "-q", "-f", self.conf_name


class Squid(Peer):
    """squid.conf.documented: server_persistent_connections and memory_pools are on; cache deny all
    and no log leave it nothing to do but to forward.  -N: one process."""

    name, program = "Squid", "squid"
    conf = """
http_port {address}:{port} accel defaultsite={far}:{far_port}
cache_peer {far} parent {far_port} 0 no-query no-digest no-netdb-exchange originserver name=origin
cache_peer_access origin allow all
http_access allow all
never_direct allow all
cache deny all
cache_mem 8 MB
access_log none
cache_store_log none
cache_log {dir}/cache.log
pid_filename none
coredump_dir {dir}
visible_hostname bench
server_idle_pconn_timeout 1 hour
read_ahead_gap 1 MB
via off
forwarded_for delete
pinger_enable off
shutdown_lifetime 0 seconds
USER
""".replace("USER", f"cache_effective_user {somebody('proxy', 'squid')}" if AS_ROOT else "")

    def command(self):
        return "-N", "-f", self.conf_name


class Varnish(Peer):
    """varnishd(1): it has a thread for each request that is under way, in any number of pools; one pool,
    with all its threads from the start ("may help ramp up faster").  Its log in memory is masked."""

    name = "Varnish"
    program = "varnishd"
    version_option = "-V"
    conf = """
vcl 4.1;
backend default {{ .host = "{far}"; .port = "{far_port}"; }}
sub vcl_recv {{ return (pass); }}
"""
    parameters = {"thread_pools": "1", "thread_pool_min": "400", "thread_pool_max": "400",
                  "backend_idle_timeout": "3600", "listen_depth": "4096", "vsl_mask": ",".join((
                      "-Begin", "-Link", "-End", "-Timestamp", "-ReqStart", "-ReqMethod", "-ReqURL",
                      "-ReqProtocol", "-ReqHeader", "-ReqUnset", "-ReqAcct", "-RespProtocol", "-RespStatus",
                      "-RespReason", "-RespHeader", "-RespUnset", "-BereqMethod", "-BereqURL",
                      "-BereqProtocol", "-BereqHeader", "-BereqUnset", "-BereqAcct", "-BerespProtocol",
                      "-BerespStatus", "-BerespReason", "-BerespHeader", "-BerespUnset", "-VCL_call",
                      "-VCL_return", "-VCL_use", "-BackendOpen", "-BackendClose", "-Fetch_Body", "-Storage",
                      "-SessOpen", "-SessClose", "-Length", "-TTL", "-Filters"))}

    def command(self):
        settings = [word for name, value in self.parameters.items() for word in ("-p", f"{name}={value}")]
        return ("-F", "-j", "none", "-n", self.dir, "-a", f"{self.address}:{self.port}", "-f", self.conf_name,
                "-s", "malloc,64m", *settings)


class TrafficServer(Peer):
    """records.config: exec_thread.limit is what worker threads are; with accept_threads 0 "accepts will be
    done in each of the worker threads"; server sessions are shared whatever the client."""

    name = "Traffic Server"
    program = "traffic_server"
    version_option = "-V"
    records = """
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.http.server_ports STRING {port}:ip-in={address}
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.http.server_session_sharing.match STRING both
CONFIG proxy.config.http.server_session_sharing.pool STRING thread
CONFIG proxy.config.http.keep_alive_no_activity_timeout_out INT 3600
CONFIG proxy.config.http.insert_request_via_str INT 0
CONFIG proxy.config.http.insert_response_via_str INT 0
CONFIG proxy.config.http.insert_client_ip INT 0
CONFIG proxy.config.http.insert_squid_x_forwarded_for INT 0
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.diags.debug.enabled INT 0
"""
    others = {"remap.config": "map / http://{far}:{far_port}/\n", "storage.config": "{dir}/cache 16M\n",
              "ip_allow.yaml": "ip_allow:\n  - apply: in\n    ip_addrs: 0/0\n    action: allow\n"
                               "    methods: ALL\n",
              "logging.yaml": "", "plugin.config": "", "parent.config": "", "hosting.config": "",
              "volume.config": "", "cache.config": "", "sni.yaml": "", "socks.config": "",
              "splitdns.config": "", "ssl_multicert.config": "", "strategies.yaml": ""}

    def files(self):
        for name, content in {"records.config": self.records, **self.others}.items():
            self.write(f"etc/{name}", self.fill(content))
        for name in ("cache", "log", "run"):
            os.makedirs(os.path.join(self.dir, name))
        place = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/bin",
                 "sysconfdir": f"{self.dir}/etc", "datadir": f"{self.dir}/cache",
                 "includedir": "/usr/include", "libdir": "/usr/lib/trafficserver",
                 "libexecdir": "/usr/lib/trafficserver/modules", "localstatedir": f"{self.dir}/run",
                 "runtimedir": f"{self.dir}/run", "logdir": f"{self.dir}/log", "cachedir": f"{self.dir}/cache"}
        self.conf_name = self.write("runroot.yaml", "".join(f"{k}: {v}\n" for k, v in place.items()))

    def command(self):
        return (f"--run-root={self.conf_name}",)


PROXIES = (NginxProxy, HAProxy, Squid, Varnish, TrafficServer)
