# SPDX-License-Identifier: ISC
"""Five clients, each asking for every kind of answer that a server has, three times in one process:
rows like those of matrix_clients.py, named CLIENT/KIND."""

from matrix_clients import CLOCK, EACH, ONE, SOME, Row
from servers_real import KINDS

MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"      # when all files of all servers were
BODY = "".join(f"upload={n:06d}&\n" for n in range(400))
# A server that did not read this could take each line for a request: it goes out as it is.
LINES = "".join(f"upload {n:06d}\n" for n in range(400))

PYTHON = """
import sys, urllib.error, urllib.request
kind, *urls = sys.argv[1:]
manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
for url in urls:
    request = urllib.request.Request(url)
    if kind in ("post", "put"):
        request.data = open(sys.argv[0] + ".body", "rb").read()
    if kind in ("post", "put", "head"):
        request.method = kind.upper()
    if kind == "304":
        request.add_header("If-Modified-Since", "MODIFIED")
    if kind == "basic":
        manager.add_password(None, url, "user", "secret")
    try:
        r = opener.open(request, timeout=20)
    except urllib.error.HTTPError as error:
        r = error
    print(r.status, *sorted(f"{k}: {v}" for k, v in r.headers.items()), sep="\\n", flush=True)
    sys.stdout.buffer.write(r.read())
"""

PHP = """<?php
$kind = $argv[1];
$options = ['ignore_errors' => true, 'timeout' => 20, 'protocol_version' => 1.0];
$header = '';
if ($kind == 'post' || $kind == 'put') {
    $options['content'] = file_get_contents($argv[0] . '.body');
    $header = 'Content-Type: text/plain';
}
if (in_array($kind, ['post', 'put', 'head'])) $options['method'] = strtoupper($kind);
if ($kind == '304') $header = 'If-Modified-Since: MODIFIED';
if ($kind == 'basic') $header = 'Authorization: Basic ' . base64_encode('user:secret');
$context = stream_context_create(['http' => $options + ['header' => $header]]);
foreach (array_slice($argv, 2) as $url) {
    $body = file_get_contents($url, false, $context);
    print(implode("\\n", $http_response_header) . "\\n" . $body);
}
"""

PERL = """
use LWP::UserAgent;
my ($kind, @urls) = @ARGV;
my $agent = LWP::UserAgent->new(timeout => 20);
my $method = { post => 'POST', put => 'PUT', head => 'HEAD' }->{$kind} || 'GET';
for (@urls) {
    my $q = HTTP::Request->new($method, $_);
    if ($kind =~ /^p/) {
        open my $file, '<', "$0.body";
        $q->content(do { local $/; <$file> });
    }
    $q->header('If-Modified-Since' => 'MODIFIED') if $kind eq '304';
    $agent->credentials(m{//([^/]*)}, 'test', 'user', 'secret') if $kind eq 'basic';
    my $r = $agent->request($q);
    $r->remove_header('Client-Date');
    print $r->status_line, "\\n", $r->headers->as_string, $r->content;
}
"""

UPLOAD = "{made}/script.body"
CURL = {
    "304": ("-z", MODIFIED), "head": ("-I",), "redirect": ("-L",), "basic": ("-u", "user:secret"),
    "post": ("--data-binary", "@" + UPLOAD), "put": ("-X", "PUT", "--data-binary", "@" + UPLOAD),
}
WGET = {
    "304": ("--header", "If-Modified-Since: " + MODIFIED), "head": ("--spider",),
    "basic": ("--user", "user", "--password", "secret"), "post": ("--post-file", UPLOAD),
    "put": ("--method", "PUT", "--body-file", UPLOAD),
}


def commands(kind):
    """(client, argv, script) for this kind of answer."""
    yield "curl-0", ("curl", "-sS", "-i", "-0", *CURL.get(kind, ()), "URLS"), ""
    yield "wget-close", ("wget", "--no-http-keep-alive", "-t", "1", "-S", "-O", "-",
                         *WGET.get(kind, ()), "URLS"), ""
    for client, program, script in (("python-urllib", "python3", PYTHON), ("php-1.0", "php", PHP),
                                    ("perl-lwp", "perl", PERL)):
        yield client, (program, "{script}", kind, "URLS"), script.replace("MODIFIED", MODIFIED)


def row(client, kind, argv, script, lines=False):
    # A body that nobody wants may not have come yet when its connection is closed.
    shared = {"post": EACH, "until-close": SOME, "redirect": SOME, "404": SOME, "basic": SOME}.get(kind, ONE)
    return Row(f"{client}/{kind}{'-lines' if lines else ''}", argv, EACH if lines else shared, script=script,
               answers=(kind,) * 3, status=None, change=CLOCK, body=LINES if lines else BODY,
               probe=("perl", "-MLWP::UserAgent", "-e", "0") if argv[0] == "perl" else ())


# Kind by kind, client by client, so that each third of them has every kind.
ANSWERS = tuple(row(client, kind, argv, script, lines)
                for kind, lines in (*((kind, False) for kind in KINDS), ("put", True))
                for client, argv, script in commands(kind))
