# SPDX-License-Identifier: ISC
"""What the programs of matrix_clients.py's rows say, by language.  Each gets URLs, or the host, the
port and the paths, and prints all that its library tells of each answer."""

PYTHON_URLLIB = """
import sys, urllib.request
for url in sys.argv[1:]:
    with urllib.request.urlopen(url, timeout=20) as r:
        print(r.status, r.reason, *sorted(f"{k}: {v}" for k, v in r.headers.items()), sep="\\n", flush=True)
        sys.stdout.buffer.write(r.read())
"""

PYTHON_HTTPCLIENT = """
import http.client, sys
host, port, *paths = sys.argv[1:]
for path in paths:
    c = http.client.HTTPConnection(host, int(port), timeout=20)
    c.request("GET", path, headers={"Connection": "close"})
    r = c.getresponse()
    print(r.status, *sorted(f"{k}: {v}" for k, v in r.getheaders()), sep="\\n", flush=True)
    sys.stdout.buffer.write(r.read())
    c.close()
"""

PYTHON_RAW = """
import socket, sys
host, port, *paths = sys.argv[1:]
for path in paths:
    with socket.create_connection((host, int(port)), 20) as s:
        s.sendall(f"GET {path} HTTP/1.0\\r\\n\\r\\n".encode())
        while data := s.recv(8192):
            sys.stdout.buffer.write(data)
"""

PYTHON_ASYNCIO = """
import asyncio, sys
host, port, *paths = sys.argv[1:]
async def get(path):
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    answer = await reader.read()
    writer.close()
    return answer
async def main():
    for answer in await asyncio.gather(*map(get, paths * 2)):
        sys.stdout.buffer.write(answer)
asyncio.run(main())
"""

PYTHON_REQUESTS = """
import requests, sys
for url in sys.argv[1:]:
    r = requests.get(url, timeout=20)
    print(r.status_code, *sorted(f"{k}: {v}" for k, v in r.headers.items()), r.text, sep="\\n", flush=True)
"""

PYTHON_SESSION = PYTHON_REQUESTS.replace("for url", "with requests.Session() as s:\n  for url").replace(
    "requests.get", "s.get").replace("\n    ", "\n      ")

PYTHON_AIOHTTP = """
import aiohttp, asyncio, sys
version, *urls = sys.argv[1:]
async def main():
    async with aiohttp.ClientSession(version=getattr(aiohttp, version)) as session:
        for url in urls:
            async with session.get(url) as r:
                print(r.status, *sorted(f"{k}: {v}" for k, v in r.headers.items()), await r.text(),
                      sep="\\n", flush=True)
asyncio.run(main())
"""

PYTHON_PYCURL = """
import io, pycurl, sys
for url in sys.argv[1:]:
    body = io.BytesIO()
    c = pycurl.Curl()
    c.setopt(c.URL, url)
    c.setopt(c.WRITEDATA, body)
    c.setopt(c.HEADERFUNCTION, body.write)
    c.perform()
    c.close()
    sys.stdout.buffer.write(body.getvalue())
"""

PYTHON_HTTPX = """
import httpx, sys
for url in sys.argv[1:]:
    r = httpx.get(url, timeout=20)
    print(r.status_code, *sorted(f"{k}: {v}" for k, v in r.headers.items()), r.text, sep="\\n", flush=True)
"""

PHP_CONTENTS = """<?php
$context = stream_context_create(['http' => ['timeout' => 20, 'protocol_version' => $argv[1]]]);
foreach (array_slice($argv, 2) as $url) {
    $body = file_get_contents($url, false, $context);
    print(implode("\\n", $http_response_header) . "\\n" . $body);
}
"""

PHP_FSOCKOPEN = """<?php
foreach (array_slice($argv, 3) as $path) {
    $s = fsockopen($argv[1], $argv[2], $errno, $error, 20);
    fwrite($s, "GET $path HTTP/1.0\\r\\n\\r\\n");
    while (!feof($s)) print(fgets($s, 128));
    fclose($s);
}
"""

PHP_XML = """<?php
foreach (array_slice($argv, 1) as $url) {
    print_r(get_headers($url, true)[0] . "\\n");
    print(simplexml_load_file($url)->asXML());
    copy($url, 'copied');
}
"""

PHP_CURL = """<?php
foreach (array_slice($argv, 2) as $url) {
    $c = curl_init($url);
    curl_setopt_array($c, [CURLOPT_HEADER => true, CURLOPT_RETURNTRANSFER => true] +
        ($argv[1] == 'close' ? [CURLOPT_HTTPHEADER => ['Connection: close']] : []));
    print(curl_exec($c));
    curl_close($c);
}
"""

PHP_SOAP = """<?php
$client = new SoapClient(null, ['location' => $argv[1], 'uri' => 'urn:x', 'keep_alive' => false,
    'exceptions' => false]);
for ($i = 0; $i < 3; $i++) print($client->__soapCall('hello', [$i])->getMessage() . "\\n");
"""

PERL_LWP = """
use LWP::UserAgent;
my $agent = LWP::UserAgent->new(timeout => 20);
for (@ARGV) {
    my $r = $agent->get($_);
    $r->remove_header('Client-Date');
    print $r->status_line, "\\n", $r->headers->as_string, $r->content;
}
"""

PERL_TINY = """
use HTTP::Tiny;
my $agent = HTTP::Tiny->new(timeout => 20, keep_alive => shift);
for (@ARGV) {
    my $r = $agent->get($_);
    print "$r->{status} $r->{reason}\\n", map({ "$_: $r->{headers}{$_}\\n" } sort keys %{$r->{headers}}),
        $r->{content};
}
"""

PERL_SOCKET = """
use IO::Socket::INET;
my ($host, $port, @paths) = @ARGV;
for (@paths) {
    my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 20) or die;
    print $s "GET $_ HTTP/1.0\\r\\nHost: $host\\r\\n\\r\\n";
    print while <$s>;
    close $s;
}
"""

PERL_MOJO = """
use Mojo::UserAgent;
my $agent = Mojo::UserAgent->new(max_connections => shift);
for (@ARGV) {
    my $r = $agent->get($_)->result;
    print $r->code, "\\n", join("\\n", sort split /\\r\\n/, $r->headers->to_string), "\\n", $r->body;
}
"""

PERL_CURL = """
use WWW::Curl::Easy;
for (@ARGV) {
    my $c = WWW::Curl::Easy->new;
    $c->setopt(CURLOPT_HEADER, 1);
    $c->setopt(CURLOPT_URL, $_);
    $c->perform;
}
"""

RUBY_OPENURI = """
require 'open-uri'
ARGV.each do |url|
  URI.open(url, read_timeout: 20) { |r| puts r.status, r.meta.sort.map { |k, v| "#{k}: #{v}" }, r.read }
end
"""

RUBY_NETHTTP = """
require 'net/http'
ARGV.each do |url|
  r = Net::HTTP.get_response(URI(url))
  puts r.code, r.each_capitalized.sort.map { |k, v| "#{k}: #{v}" }, r.body
end
"""

RUBY_SOCKET = """
require 'socket'
host, port, *paths = ARGV
paths.each do |path|
  s = TCPSocket.new(host, port)
  s.write("GET #{path} HTTP/1.0\\r\\n\\r\\n")
  print s.read
  s.close
end
"""

TCL_HTTP = """
package require http
fconfigure stdout -translation binary
foreach url [lrange $argv 1 end] {
    set r [http::geturl $url -timeout 20000 -keepalive [lindex $argv 0]]
    puts "[http::status $r] [http::ncode $r]"
    foreach {name value} [http::meta $r] {puts "$name: $value"}
    puts -nonewline [http::data $r]
    http::cleanup $r
}
"""

TCL_SOCKET = """
fconfigure stdout -translation binary
foreach path [lrange $argv 2 end] {
    set s [socket [lindex $argv 0] [lindex $argv 1]]
    fconfigure $s -translation binary
    puts -nonewline $s "GET $path HTTP/1.0\\r\\n\\r\\n"
    flush $s
    puts -nonewline [read $s]
    close $s
}
"""

GAWK = """
BEGIN {
    ORS = RS = "\\r\\n"
    for (i = 3; i < ARGC; i++) {
        s = "/inet/tcp/0/" ARGV[1] "/" ARGV[2]
        print "GET " ARGV[i] " HTTP/1.0\\r\\n" |& s
        while ((s |& getline line) > 0) printf "%s\\n", line
        close(s)
    }
}
"""

SHELL_CAT = """
host=$1 port=$2; shift 2
for path; do
    exec 3<>/dev/tcp/$host/$port || exit
    printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$path" "$host" >&3
    cat <&3
    exec 3>&-
done
"""

SHELL_READ = SHELL_CAT.replace("cat <&3", "while IFS= read -r line <&3; do printf '%s\\n' \"$line\"; done")

ZSH = """
zmodload zsh/net/tcp
host=$1 port=$2; shift 2
for p; do
    ztcp $host $port || exit
    fd=$REPLY
    print -n -u $fd "GET $p HTTP/1.0\\r\\n\\r\\n"
    while IFS= read -r -u $fd line; do print -r -- $line; done
    ztcp -c $fd
done
"""

NODE = """
const http = require('http');
const [mode, ...urls] = process.argv.slice(2);
const next = () => {
    const url = urls.shift();
    if (!url) return;
    http.get(url, mode === 'false' ? { agent: false } : {}, (r) => {
        const parts = [];
        r.on('data', (part) => parts.push(part));
        r.on('end', () => {
            const fields = Object.entries(r.headers).map(([k, v]) => `${k}: ${v}`).sort();
            console.log([r.statusCode, ...fields, Buffer.concat(parts)].join('\\n'));
            mode === 'false' ? r.on('close', next) : setImmediate(next);
        });
    });
};
next();
"""

NODE_FETCH = """
(async () => {
    for (const url of process.argv.slice(2)) {
        const r = await fetch(url);
        const fields = [...r.headers].map(([k, v]) => `${k}: ${v}`).sort();
        console.log([r.status, ...fields, await r.text()].join('\\n'));
    }
})();
"""

JAVA = """
import java.net.*;
import java.net.http.*;
import java.util.*;
public class Fetch {
    static void show(int status, Map<String, List<String>> fields, byte[] body) {
        System.out.println(status);
        new TreeMap<>(fields).forEach((k, v) -> System.out.println(k + ": " + v));
        System.out.write(body, 0, body.length);
        System.out.flush();
    }
    public static void main(String[] args) throws Exception {
        HttpClient client = args[0].equals("client") ? HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).build() : null;
        for (int i = 1; i < args.length; i++) {
            if (client != null) {
                HttpResponse<byte[]> r = client.send(HttpRequest.newBuilder(URI.create(args[i])).build(),
                    HttpResponse.BodyHandlers.ofByteArray());
                show(r.statusCode(), r.headers().map(), r.body());
                continue;
            }
            HttpURLConnection c = (HttpURLConnection) new URL(args[i]).openConnection();
            if (args[0].equals("close")) c.setRequestProperty("Connection", "close");
            byte[] body = c.getInputStream().readAllBytes();
            Map<String, List<String>> fields = new HashMap<>(c.getHeaderFields());
            fields.remove(null);
            show(c.getResponseCode(), fields, body);
        }
    }
}
"""

LUA = """
local http = require('socket.http')
for _, url in ipairs(arg) do
    local body, code, fields = http.request(url)
    local lines = {}
    for k, v in pairs(fields) do lines[#lines + 1] = k .. ': ' .. v end
    table.sort(lines)
    print(code, '\\n' .. table.concat(lines, '\\n'))
    io.write(body)
end
"""

PIKE = """
int main(int argc, array(string) argv) {
    foreach (argv[1..], string url) {
        object r = Protocols.HTTP.get_url(url);
        write("%d\\n", r->status);
        foreach (sort(indices(r->headers)), string k) write("%s: %O\\n", k, r->headers[k]);
        write("%s", r->data());
    }
}
"""

APT = """601 Configuration
Config-Item: APT::Sandbox::User=root

600 URI Acquire
URI: {base}{static}?1
Filename: got1

600 URI Acquire
URI: {base}{chunked}?2
Filename: got2

600 URI Acquire
URI: {base}{small}?3
Filename: got3

"""
