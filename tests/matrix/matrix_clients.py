# SPDX-License-Identifier: ISC
"""The clients of the matrix, a row each: what it runs, and over how many connections with holdfast.

In argv, URLS stands for the URLs of the row's answers and PATHS for their paths; {url} is the first URL,
{path} its path, {base} the server, {host}, {port}, and {redirect} a URL that leads to another.  {script}
is a file with the row's `script`, {made} a directory in which `prepare` was run once, and every run has
a current directory of its own.  A row with `python` runs the Python that has that module.
"""

import re
from dataclasses import dataclass

import matrix_scripts as scripts
from servers import find_program
from servers_real import python_with
from clients import run

# How many connections with holdfast, where the server persists:
ONE = "one"         # a one-shot client in one process: one, or as many as it has in flight at a time
OWN = "own"         # it persists by itself: as directly, not one more
EACH = "each"       # as many as directly: nothing to share, or out of reach
SOME = "some"       # at most as many as directly

WORDLESS_ASKED = 12
USUAL = ("static", "chunked", "small", "static")


@dataclass(frozen=True)
class Row:
    name: str
    argv: tuple
    connections: str = ONE
    at_a_time: int = 1      # requests in flight
    script: str = ""
    answers: tuple = USUAL  # kinds of answers, as in servers_real.KINDS
    status: object = 0      # its exit status; None: any, as long as it is the same
    counted: bool = True    # it makes as many requests each time that it is run
    ordered: bool = True    # it gives its fields the same order each time
    asks: bool = True       # a one-shot client asks for the close
    trusts: bool = False    # takes a server's silence for persistence, which fails sometimes even directly
    shuts: bool = False     # it ends its side after the request, which some servers take for its end
    python: str = ""
    needs: tuple = ()       # programs besides argv[0]
    probe: tuple = ()       # a command that succeeds where the row can run
    body: str = ""          # what is in {script}.body
    prepare: tuple = ()
    keep: str = ""          # of its output, only the lines that match this are compared
    change: tuple = ()      # (regular expression, replacement) for its output
    environment: tuple = ()

    def missing(self):
        """Why this row cannot run here, or None."""
        if self.python and not python_with(self.python):
            return f"Python's {self.python} is not installed"
        for program in (self.argv[0], *self.needs, *self.prepare[:1]):
            if program != "{python}" and not find_program(program):
                return f"{program} is not installed"
        if self.probe and run(self.probe).status != 0:
            return f"{' '.join(self.probe)} fails"
        return None

    def words(self, server, port, made):
        """A server that says nothing is asked more often: what it is worth shows after the third time."""
        times = -(-WORDLESS_ASKED // len(self.answers)) if server.wordless and self.connections == ONE else 1
        paths = [f"{'/small' if kind == 'small' else server.path(kind)}?{i}"
                 for i, kind in enumerate(self.answers * times, 1)]
        base = f"http://127.0.0.1:{port}"
        return {"URLS": [base + path for path in paths], "PATHS": paths}, {
            "{url}": base + paths[0], "{path}": paths[0], "{base}": base, "{host}": "127.0.0.1",
            "{port}": str(port), "{redirect}": base + server.path("redirect"),
            "{post}": base + server.path("post"),
            "{static}": server.path("static"), "{chunked}": server.path("chunked"),
            "{small}": "/small", "{script}": f"{made}/script", "{made}": made,
            "{python}": python_with(self.python) if self.python else "python3"}

    def fill(self, lists, words, argv=None):
        filled = []
        for argument in self.argv if argv is None else argv:
            for word, value in words.items():
                argument = argument.replace(word, value)
            filled += lists.get(argument, [argument])
        return filled


def python(name, text, *arguments, **more):
    return Row(name, ("{python}", "{script}", *arguments), script=text, **more)


def perl(name, text, *arguments, module=None, **more):
    probe = ("perl", f"-M{module}", "-e", "0") if module else ()
    return Row(name, ("perl", "{script}", *arguments), script=text, probe=probe, **more)


def netcat(name, *argv, **more):
    """One request a process, each asked through a shell's pipe."""
    return Row(name, ("sh", "-c", """for path; do
        printf 'GET %s HTTP/1.0\\r\\n\\r\\n' "$path" | """ + " ".join(argv) + " || exit\ndone",
                      "sh", "PATHS"), SOME, needs=argv[:1], **more)


def each(name, command, status=0, **more):
    """One process for each URL, which is "$url" in the command."""
    return Row(name, ("sh", "-c", f"n=0; for url; do n=$((n + 1)); {command} || s=$?; done; exit $s",
                      "sh", "URLS"), SOME, status=status, needs=(command.split(" ")[0],), **more)


def java(name, mode, connections):
    return Row(name, ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", "{made}", "Fetch",
                      mode, "URLS"), connections, script=scripts.JAVA, needs=("javac",),
               prepare=("sh", "-c", "cp script Fetch.java && javac Fetch.java"))


BY_HAND = ("{host}", "{port}", "PATHS")
CURL = ("curl", "-sS", "-i")
CLOCK = ((r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "CLOCK"), (r"\([\d.]+ [KMGT]?B/s\)", "(SPEED)"),
         (r" +[\d.]+ ?[KMGT]?=[\d.]+s", " SPEED"), (r"\bin [\d.]+s", "in TIME"),
         (r"wall clock time: [\d.]+s", "wall clock time: TIME"))
PHP = ("php", "{script}")
WGET2 = ("wget2", "-q", "--progress=none", "--max-threads=1")
GIT_DATES = (("GIT_AUTHOR_DATE", "1700000000 +0000"), ("GIT_COMMITTER_DATE", "1700000000 +0000"))

CLIENTS = (
    Row("curl-0", (*CURL, "-0", "URLS")),
    Row("curl-close", (*CURL, "-H", "Connection: close", "URLS")),
    Row("curl", (*CURL, "URLS"), OWN),
    Row("curl-0-parallel", ("curl", "-sS", "--no-progress-meter", "-0", "-Z", "--parallel-max", "3",
                            "{url}&[1-9]", "-o", "got.#1"), at_a_time=3, answers=("static",)),
    Row("curl-0-location", (*CURL, "-0", "-L", "{redirect}?1", "{redirect}?2")),
    Row("wget", ("wget", "URLS"), OWN, change=CLOCK),
    Row("wget-close", ("wget", "--no-http-keep-alive", "URLS"), change=CLOCK),
    Row("wget-mirror", ("wget", "--no-http-keep-alive", "-nv", "-r", "-l", "1", "-e", "robots=off",
                        "{base}/index.html"), change=CLOCK),
    Row("wget2", (*WGET2, "URLS")),
    Row("wget2-close", (*WGET2, "--no-http-keep-alive", "URLS")),
    Row("busybox-wget", ("busybox", "wget", "-q", "-O", "-", "URLS")),
    Row("aria2", ("aria2c", "-q", "--no-conf", "-Z", "-j1", "--enable-http-keep-alive=false", "URLS")),
    each("axel", 'axel -q -n1 -o got.$n "$url"'),
    Row("snarf", ("snarf", "-q", "URLS"), answers=("static", "small", "static")),
    Row("puf", ("puf", "-xg", "-lc", "1", "URLS"), SOME, answers=("static", "small", "static")),
    Row("tnftp", ("tnftp", "-V", "-o", "-", "URLS")),
    Row("lftp", ("lftp", "-c", "set net:max-retries 1; "
                 "cat {base}{static}?1 {base}{chunked}?2 {base}{static}?3"), SOME),
    Row("xmllint", ("xmllint", "{base}/doc.xml?1", "{base}/doc.xml?2", "{base}/doc.xml?3")),

    Row("ab", ("ab", "-q", "-n", "12", "-c", "3", "{url}"), at_a_time=3,
        keep="Document Length|Complete requests|Failed|HTML|Non-2xx"),
    Row("ab-keepalive", ("ab", "-q", "-k", "-n", "12", "-c", "1", "{url}"), OWN, answers=("small",),
        keep="Document Length|Complete requests|Failed|HTML|Non-2xx|Keep-Alive requests"),
    Row("siege", ("siege", "-q", "-b", "-c", "1", "-r", "4", "{url}"), keep=r"transactions|availability"),
    Row("httperf", ("httperf", "--server={host}", "--port={port}", "--uri={path}", "--num-conns=4"),
        keep="^(Total: connections|Reply status|Errors)", change=((r"test-duration.*", ""),)),
    Row("wrk-close", ("wrk", "-t1", "-c2", "-d1s", "-H", "Connection: close", "{url}"), at_a_time=2,
        keep="Non-2xx|Socket errors", counted=False, trusts=True),
    Row("hey", ("hey", "-n", "6", "-c", "2", "-disable-keepalive", "{url}"), EACH, keep="responses"),
    Row("httping", ("httping", "-c", "3", "-i", "0.1", "-G", "-g", "{url}"), keep="ok,",
        change=((r"time .*", ""),)),
    Row("squidclient", ("squidclient", "-h", "{host}", "-p", "{port}", "--ping", "-g", "3", "-I", "1",
                        "{url}"), SOME, change=((r"min/avg/max = .*", ""), (r"(?m)^.* secs, .*\n", ""))),

    each("w3m", 'w3m -dump_source "$url"'),
    each("lynx", 'lynx -source "$url"'),
    Row("lynx-location", ("lynx", "-source", "{redirect}"), change=((r"HTTP/1.*", ""),)),
    each("links", 'links -source "$url"'),
    each("elinks", 'elinks -no-home -dump 1 "$url"'),
    each("netrik", 'netrik --dump "$url"', answers=("static", "small", "static")),
    Row("elinks-location", ("elinks", "-no-home", "-source", "1", "{redirect}")),

    Row("check_http", ("sh", "-c", """for path; do
        /usr/lib/nagios/plugins/check_http -H {host} -p {port} -u "$path" -s 0 || s=$?
        done; exit $s""", "sh", "PATHS"), SOME, needs=("/usr/lib/nagios/plugins/check_http",),
        change=((r"[\d.]+ second.*", ""), (r"\d+ bytes", "BYTES"))),
    Row("check_http-follow", ("/usr/lib/nagios/plugins/check_http", "-H", "{host}", "-p", "{port}", "-u",
                              "/redirect", "-f", "follow"), answers=("redirect",),
        change=((r"[\d.]+ second.*", ""), (r"\d+ bytes", "BYTES"))),

    python("python-urllib", scripts.PYTHON_URLLIB, "URLS"),
    python("python-httpclient", scripts.PYTHON_HTTPCLIENT, *BY_HAND),
    python("python-socket", scripts.PYTHON_RAW, *BY_HAND),
    python("python-asyncio", scripts.PYTHON_ASYNCIO, *BY_HAND, at_a_time=8),
    python("python-requests", scripts.PYTHON_REQUESTS, "URLS", at_a_time=2, python="requests"),
    python("python-session", scripts.PYTHON_SESSION, "URLS", connections=OWN, python="requests"),
    python("python-aiohttp", scripts.PYTHON_AIOHTTP, "HttpVersion11", "URLS", connections=OWN,
           python="aiohttp"),
    python("python-aiohttp-1.0", scripts.PYTHON_AIOHTTP, "HttpVersion10", "URLS", python="aiohttp"),
    python("python-pycurl", scripts.PYTHON_PYCURL, "URLS", python="pycurl"),
    python("python-httpx", scripts.PYTHON_HTTPX, "URLS", python="httpx"),

    Row("php-contents", (*PHP, "1.1", "URLS"), script=scripts.PHP_CONTENTS),
    Row("php-contents-1.0", (*PHP, "1.0", "URLS"), script=scripts.PHP_CONTENTS),
    Row("php-fsockopen", (*PHP, *BY_HAND), script=scripts.PHP_FSOCKOPEN),
    Row("php-xml", (*PHP, "{base}/doc.xml?1", "{base}/doc.xml?2"), script=scripts.PHP_XML,
        probe=("php", "-r", "exit((int)!function_exists('simplexml_load_file'));")),
    Row("php-curl", (*PHP, "", "URLS"), script=scripts.PHP_CURL,
        probe=("php", "-r", "exit((int)!function_exists('curl_init'));")),
    Row("php-curl-close", (*PHP, "close", "URLS"), script=scripts.PHP_CURL,
        probe=("php", "-r", "exit((int)!function_exists('curl_init'));")),
    Row("php-soap", (*PHP, "{post}"), EACH, script=scripts.PHP_SOAP, trusts=True,
        probe=("php", "-r", "exit((int)!class_exists('SoapClient'));")),

    perl("perl-lwp", scripts.PERL_LWP, "URLS", module="LWP::UserAgent"),
    perl("perl-tiny", scripts.PERL_TINY, "1", "URLS", connections=OWN),
    perl("perl-tiny-close", scripts.PERL_TINY, "0", "URLS"),
    perl("perl-socket", scripts.PERL_SOCKET, *BY_HAND),
    perl("perl-mojo", scripts.PERL_MOJO, "5", "URLS", module="Mojo::UserAgent", connections=OWN),
    perl("perl-mojo-close", scripts.PERL_MOJO, "0", "URLS", module="Mojo::UserAgent", asks=False),
    perl("perl-curl", scripts.PERL_CURL, "URLS", module="WWW::Curl::Easy"),

    Row("ruby-open-uri", ("ruby", "{script}", "URLS"), script=scripts.RUBY_OPENURI),
    Row("ruby-net-http", ("ruby", "{script}", "URLS"), script=scripts.RUBY_NETHTTP),
    Row("ruby-socket", ("ruby", "{script}", *BY_HAND), script=scripts.RUBY_SOCKET),
    Row("tcl-http", ("tclsh", "{script}", "0", "URLS"), script=scripts.TCL_HTTP),
    Row("tcl-http-keepalive", ("tclsh", "{script}", "1", "URLS"), OWN, script=scripts.TCL_HTTP),
    Row("tcl-socket", ("tclsh", "{script}", *BY_HAND), script=scripts.TCL_SOCKET),
    Row("lua", ("lua5.4", "{script}", "URLS"), script=scripts.LUA, ordered=False,
        probe=("lua5.4", "-e", "require 'socket.http'")),
    Row("pike", ("pike8.0", "{script}", "URLS"), script=scripts.PIKE, ordered=False),
    java("java-close", "close", ONE),
    java("java", "default", OWN),
    java("java-client", "client", OWN),
    Row("node-close", ("node", "{script}", "false", "URLS"), script=scripts.NODE),
    Row("node", ("node", "{script}", "default", "URLS"), OWN, script=scripts.NODE),
    Row("node-fetch", ("node", "{script}", "URLS"), OWN, script=scripts.NODE_FETCH),

    Row("bash-cat", ("bash", "{script}", *BY_HAND), SOME, script=scripts.SHELL_CAT),
    Row("bash-read", ("bash", "{script}", *BY_HAND), SOME, script=scripts.SHELL_READ),
    Row("ksh-cat", ("ksh", "{script}", *BY_HAND), SOME, script=scripts.SHELL_CAT),
    Row("zsh-ztcp", ("zsh", "{script}", *BY_HAND), script=scripts.ZSH),
    Row("gawk", ("gawk", "-f", "{script}", *BY_HAND), script=scripts.GAWK),
    netcat("nc-openbsd", "nc.openbsd", "{host}", "{port}"),
    netcat("nc-openbsd-N", "nc.openbsd", "-N", "{host}", "{port}", shuts=True),
    netcat("nc-traditional", "nc.traditional", "{host}", "{port}"),
    netcat("ncat", "ncat", "{host}", "{port}", shuts=True),
    netcat("socat", "socat", "-t", "5", "-", "tcp:{host}:{port}", shuts=True),
    netcat("busybox-nc", "busybox", "nc", "{host}", "{port}", shuts=True),

    Row("git", ("git", "-c", "init.templateDir=", "-c", "http.maxRequests=1", "clone", "-q", "--bare",
                "{base}/repo.git", "got"), SOME,
        environment=GIT_DATES, trusts=True),
    Row("apt", ("sh", "-c",
                "{ cat <<'END'\n" + scripts.APT + "END\nsleep 0.5; } | /usr/lib/apt/methods/http"),
        SOME, status=100, trusts=True, needs=("/usr/lib/apt/methods/http",),
        change=((r"(Last-Modified|Date): .*", ""),)),
    Row("openssl-ocsp", ("sh", "-c", """for i in 1 2 3; do
        openssl ocsp -no_nonce -issuer {made}/ca.pem -serial $i -url {post}; done"""), EACH, status=1,
        prepare=("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                 "-keyout", "key.pem", "-out", "ca.pem"), change=((r"(?m)^[0-9A-F]+:", ""),)),
)


# What differs between two runs of anything: the time, what belongs to the connection, the version.
COMMON = ((r"(?im)^ *(connection|keep-alive|date|age|x-varnish|expires): .*\n", ""),
          (r"HTTP/1\.[01]\b", "HTTP/1.x"))


def comparable(row, data, by_version=()):
    """What has to be the same of an output.  README: a server may choose by the version."""
    chosen = [(rf"(?im)^ *{name}: .*\n", "") for name in by_version]
    for pattern, replacement in (*row.change, *COMMON, *chosen):
        data = re.sub(pattern.encode(), replacement.encode(), data)
    if row.keep:
        data = b"\n".join(line for line in data.splitlines() if re.search(row.keep.encode(), line))
    return data
