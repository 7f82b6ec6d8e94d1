# SPDX-License-Identifier: ISC
"""The clients of e2e_chaos and e2e_replay: each asks an origin for a batch of numbers and says of every
one what it got, so that two runs can be compared number by number.

A client is a function of (batch, place): `batch` has seed, numbers, method..., `place` is a Place.  It
returns the command; its `records` takes what the command left and gives {number: text}.
"""

import hashlib
import os
import random
import re
from typing import NamedTuple

from holdfast_test import MAY_DIFFER, PROBER

ENDPOINTS = 8       # addresses that a batch is spread over: what is learnt of one is not of the others


class Place(NamedTuple):
    """Where a batch goes, and where its client may write."""
    net: str            # 127.x.y, without the last number
    port: int
    path: str           # /chaos, /replay, /dead
    directory: str

    def address(self, i):
        return f"{self.net}.{1 + i % ENDPOINTS}"

    def url(self, batch, i):
        return f"http://{self.address(i)}:{self.port}{self.target(batch, i)}"

    def target(self, batch, i):
        return f"{self.path}/{batch.seed}/{batch.numbers[i]}"

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


class Batch(NamedTuple):
    name: str
    client: object
    seed: int
    numbers: tuple
    method: str = "GET"
    body: int = -1          # bytes; -1: none
    words: tuple = ()
    settings: tuple = ()    # (name, value) of HOLDFAST_*

    def __str__(self):
        return f"{self.name} {self.method} seed {self.seed} numbers {self.numbers[0]}.. {' '.join(self.words)}" + (
            f" {self.settings}" if self.settings else "")

    def only(self, number):
        return self._replace(numbers=(number,), name=f"{self.name} again")


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


class Prober:
    """The project's own client: its report has a block for each request."""

    @staticmethod
    def command(batch, place):
        body = ["--body-size", str(batch.body)] if batch.body >= 0 else []
        quiet = ["sh", "-c", "trap '' PIPE; exec \"$@\"", "sh"] if batch.settings else []
        return [*quiet, PROBER, "--port", str(place.port), "--to", place.address(0), "--spread", str(ENDPOINTS),
                "--method", batch.method, "--timeout", "20000", "--no-after", "--trim",
                "-n", str(len(batch.numbers)), *body, *batch.words,
                *(place.target(batch, i) for i in range(len(batch.numbers)))]

    @staticmethod
    def records(batch, out, _err, _place):
        blocks = re.split(r"^#(\d+) ", out.decode("latin-1"), flags=re.M)[1:]
        found = {}
        for index, text in zip(blocks[::2], blocks[1::2]):
            lines = [line for line in text.split("\n") if not MAY_DIFFER.match(line)]
            found[batch.numbers[int(index)]] = "\n".join(line for line in lines if not line.startswith("requests "))
        return found


class Curl:
    """A file of URLs, a file for each answer, a line for each outcome."""

    @staticmethod
    def command(batch, place):
        lines = []
        for i in range(len(batch.numbers)):
            lines += [f'url = "{place.url(batch, i)}"', f'output = "{place.directory}/got.{i}"']
        if batch.body >= 0:
            lines += [f'data-binary = "@{place.file("body", "b" * batch.body)}"']
        method = ["-I"] if batch.method == "HEAD" else ["-X", batch.method]
        return ["curl", "-sS", "--no-progress-meter", "-m", "20", "-H", "Expect:", *method, *batch.words,
                "-w", "%{urlnum} %{http_code} %{exitcode} %{errormsg}\\n",
                "-K", place.file("urls", "\n".join(lines))]

    @staticmethod
    def records(batch, out, _err, place):
        found = {}
        # The text of an attempt that curl has itself repeated stays; which error a dead socket gives is chance.
        text = re.sub(r"Send failure: (Connection reset by peer|Broken pipe)", "Send failure", out.decode("latin-1"))
        for line in text.splitlines():
            index, _, rest = line.partition(" ")
            body = read(os.path.join(place.directory, f"got.{index}"))
            if batch.method == "HEAD":
                body = re.sub(rb"(?mi)^(connection|keep-alive):.*\r\n", b"", body)
            found[batch.numbers[int(index)]] = f"{rest} {len(body)} {digest(body)}"
        return found


class Wget:
    @staticmethod
    def command(batch, place):
        urls = "\n".join(place.url(batch, i) for i in range(len(batch.numbers)))
        return ["wget", "-S", "--tries=1", "--timeout=20", "--no-http-keep-alive", "--content-on-error",
                "-P", place.directory, *batch.words, "-i", place.file("urls", urls)]

    @staticmethod
    def records(batch, _out, err, place):
        text = re.sub(r"(?mi)^ *(connection|keep-alive|date):.*\n", "", err.decode("latin-1"))
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\([\d.]+ [KMGT]?B/s\)| +[\d.]+[KMGT]?=[\d.]+s|in [\d.]+s",
                      "@", text)
        text = re.sub(r"http://\S*/|" + re.escape(place.directory) + "/", "", text)
        text = re.sub(r"127\.[\d.]+:\d+", "ADDRESS", text)
        text = re.sub(r"(?m)^ *\d+K.*\n?", "", text)      # dots and speeds
        text = re.sub(r"(?m)^(FINISHED|Total wall|Downloaded:).*\n?", "", text)
        found = {}
        for block in re.split(r"^--@-- ", text, flags=re.M)[1:]:
            number = int(re.match(r"\s*(\d+)", block).group(1))
            body = read(os.path.join(place.directory, str(number)))
            found[number] = f"{block} {len(body)} {digest(body)}"
        return found


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


PYTHON = r"""
import hashlib, sys, threading, queue, itertools
how, method, size, threads, urls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
data = b"b" * size if size >= 0 else None
def urllib_(url):
    import urllib.request, urllib.error
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            return r.status, r.headers["X-Number"], r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers["X-Number"], e.read()
def httpclient(url):
    import http.client, urllib.parse
    parts = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        c.request(method, parts.path, body=data)
        r = c.getresponse()
        return r.status, r.headers["X-Number"], r.read()
    finally:
        c.close()
def requests_(url):
    import requests
    r = requests.request(method, url, data=data, timeout=20)
    return r.status_code, r.headers.get("X-Number"), r.content
ask = {"urllib": urllib_, "httpclient": httpclient, "requests": requests_}[how]
jobs, lock = queue.SimpleQueue(), threading.Lock()
for line in open(urls):
    jobs.put(line.split())
def work():
    while True:
        try:
            number, url = jobs.get_nowait()
        except queue.Empty:
            return
        try:
            status, name, body = ask(url)
            text = f"{status} {name} {len(body)} {hashlib.sha256(body).hexdigest()[:16]}"
        except Exception as e:
            import re
            text = f"{type(e).__name__} " + re.sub(r"0x[0-9a-f]+|\s+", " ", str(e)) + f" {getattr(e, 'partial', b'')!r:.60}"
        with lock:
            print(f"{number} {text}", flush=True)
all = [threading.Thread(target=work) for _ in range(threads)]
for t in all: t.start()
for t in all: t.join()
"""
PERL = r"""
use LWP::UserAgent; use Digest::SHA qw(sha256_hex);
my ($method, $size, $file) = @ARGV;
my $ua = LWP::UserAgent->new(timeout => 20);
open(my $in, "<", $file);
while (my $line = <$in>) {
    my ($number, $url) = split " ", $line;
    my $request = HTTP::Request->new($method, $url);
    if ($size >= 0) { $request->content("b" x $size); $request->header("Content-Length", $size); }
    my $r = $ua->request($request);
    my $body = $r->content;
    print "$number ", $r->status_line, " ", $r->header("X-Number") // "-", " ", $r->header("X-Died") // "-", " ",
        $r->header("Client-Aborted") // "-", " ", length($body), " ", substr(sha256_hex($body), 0, 16), "\n";
}
"""
PERL_TINY = r"""
use HTTP::Tiny; use Digest::SHA qw(sha256_hex);
my ($method, $size, $file) = @ARGV;
open(my $in, "<", $file);
while (my $line = <$in>) {
    my ($number, $url) = split " ", $line;
    my $r = HTTP::Tiny->new(timeout => 20, keep_alive => 0)->request($method, $url,
        $size >= 0 ? { content => "b" x $size } : {});
    my $body = $r->{content};
    $body =~ s/ at \S+ line \d+.*//s if $r->{status} == 599;
    print "$number $r->{status} ", $r->{headers}{"x-number"} // "-", " ", length($body), " ",
        substr(sha256_hex($body), 0, 16), $r->{status} == 599 ? " " . $body =~ s/\s+/ /gr : "", "\n";
}
"""
PHP = r"""<?php
[, $method, $size, $file] = $argv;
foreach (file($file, FILE_IGNORE_NEW_LINES) as $line) {
    [$number, $url] = explode(" ", $line);
    $http = ["method" => $method, "ignore_errors" => true, "timeout" => 20];
    if ($size >= 0) $http += ["content" => str_repeat("b", $size), "header" => "Content-Type: text/plain"];
    error_clear_last();
    $http_response_header = ["none"];
    $body = @file_get_contents($url, false, stream_context_create(["http" => $http]));
    # It takes an interim response for the answer, and the head behind it for its body; and it reads on behind
    # the end of a message, where the server of a connection that persists may send other things.
    if ($body !== false && preg_match("/ 1\d\d /", $http_response_header[0]))
        $body = preg_replace(["/^Connection: .*\r\n/mi", "/\r\n\r\n.*/s"], "", $body);
    elseif ($body !== false && ($method == "HEAD" || preg_match("/ (204|304) /", $http_response_header[0])))
        $body = "";
    foreach ($body !== false ? preg_grep("/^Content-Length: *\d+$/i", $http_response_header) : [] as $field)
        $body = substr($body, 0, (int)substr($field, 15));
    $name = implode(" ", preg_grep("/^X-Number/i", $http_response_header));
    $error = error_get_last()["message"] ?? "-";
    echo "$number {$http_response_header[0]} $name ", $body === false ? "false" : strlen($body) . " " . md5($body),
        " ", preg_replace("/\s+/", " ", str_replace($url, "URL", $error)), "\n";
}
"""
RUBY = r"""
require "net/http"
require "digest"
method, size, file = ARGV
File.foreach(file) do |line|
  number, url = line.split
  uri = URI(url)
  begin
    request = Net::HTTPGenericRequest.new(method, size.to_i >= 0, method != "HEAD", uri)
    if size.to_i >= 0
      request.body = "b" * size.to_i
      request["Content-Type"] = "text/plain"
    end
    request["Connection"] = "close"
    http = Net::HTTP.new(uri.host, uri.port)
    http.max_retries = 0
    r = http.start { |h| h.request(request) }
    puts "#{number} #{r.code} #{r["X-Number"]} #{r.body.to_s.bytesize} #{Digest::SHA256.hexdigest(r.body.to_s)[0, 16]}"
  rescue StandardError => e
    puts "#{number} #{e.class} #{e.message.gsub(/\s+/, " ")}"
  end
end
"""


class Script:
    """A script that is given a file of numbers and URLs, and prints a line for each."""

    def __init__(self, interpreter, text, *words):
        self.interpreter, self.text, self.words = interpreter, text, words

    def command(self, batch, place):
        urls = "\n".join(f"{number} {place.url(batch, i)}" for i, number in enumerate(batch.numbers))
        threads = ["4"] if self.text is PYTHON else []
        return [self.interpreter, place.file("script", self.text), *self.words, batch.method, str(batch.body),
                *threads, place.file("urls", urls + "\n")]

    @staticmethod
    def records(_batch, out, _err, _place):
        text = re.sub(r"127\.[\d.]+", "ADDRESS", out.decode("latin-1"))
        parts = re.split(r"(?m)^(\d+) ", text)[1:]
        return {int(number): rest for number, rest in zip(parts[::2], parts[1::2])}


REAL = (
    ("curl-0", Curl, ("-0",)),
    ("curl-close", Curl, ("-H", "Connection: close")),
    ("curl-0-parallel", Curl, ("-0", "-Z", "--parallel-max", "4")),
    ("wget", Wget, ()),
    ("urllib", Script("python3", PYTHON, "urllib"), ()),
    ("http.client", Script("python3", PYTHON, "httpclient"), ()),
    ("requests", Script("python3", PYTHON, "requests"), ()),
    ("lwp", Script("perl", PERL), ()),
    ("tiny", Script("perl", PERL_TINY), ()),
    ("php", Script("php", PHP), ()),
    ("ruby", Script("ruby", RUBY), ()),
)
# Several of each kind: what a client reads with, and how it waits.
PROBER_VERSIONS = (("--version", "1.0"), ("--version", "1.1"), ("--version", "1.1", "--keep", "--until", "length"))
PROBER_WAITS = ((), (), ("--concurrency", "4"), ("--nonblocking",), ("--nonblocking", "--concurrency", "8"),
                ("--nonblocking", "--wait", "epoll-et", "--concurrency", "3"),
                ("--nonblocking", "--wait", "epoll-lt", "--ask", "connect"),
                ("--nonblocking", "--wait", "epoll-oneshot", "--drained", "one", "--register", "before"),
                ("--nonblocking", "--wait", "select", "--drained", "short"), ("--wait", "select"))
PROBER_READS = ((), (), ("--read-size", "100000"), ("--api", "peek", "--read-size", "500"), ("--api", "waitall"),
                ("--api", "readv"), ("--api", "dontwait"), ("--api", "fionread"), ("--read-size", "61"),
                ("--api", "recvmsg"))
PROBER_SENDS = ((), (), ("--send-piece", "7"), ("--send-api", "writev"), ("--send-piece", "1000"),
                ("--send-api", "sendmsg"))
BODIES = {"GET": (-1,), "HEAD": (-1,), "DELETE": (-1, 10), "PUT": (0, 10, 3000, 70000), "POST": (0, 10, 3000, 70000),
          "PATCH": (10, 3000)}
METHODS = ("GET", "GET", "GET", "GET", "HEAD", "PUT", "PUT", "DELETE", "POST", "PATCH")


def prober_habits(dice: random.Random, method):
    """(body, words) of a client of the prober's kind."""
    version, read, body = dice.choice(PROBER_VERSIONS), dice.choice(PROBER_READS), dice.choice(BODIES[method])
    if "--keep" in version and "waitall" in read:
        read = ()                       # the server does not end it
    words = [*version, *dice.choice(PROBER_WAITS), *read]
    if body >= 0:
        words += dice.choice(PROBER_SENDS)
        words += ("--chunked-body",) if "1.1" in words and dice.random() < 0.2 else ()
    if "--send-piece" in words and body > 3000:
        words[words.index("--send-piece") + 1] = "1000"
    return body, tuple(words)


def prober_batch(dice, seed, numbers):
    method = dice.choice(METHODS)
    return Batch("prober", Prober, seed, numbers, method, *prober_habits(dice, method))


def real_batch(dice: random.Random, kind, seed, numbers):
    name, client, words = kind
    method = "GET" if name == "wget" else dice.choice(("GET", "GET", "HEAD", "PUT", "POST"))
    body = dice.choice((10, 3000)) if method in ("PUT", "POST") else -1
    return Batch(name, client, seed, numbers, method, body, words)
