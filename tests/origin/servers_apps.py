# SPDX-License-Identifier: ISC
"""What the servers of servers_real.py run that is a program rather than a file: the same answers
(servers.PATHS) in each language.  {www} stands for the directory of the documents."""

# For CGI: the answer is chosen by the name that the script was called by.
CGI = r"""#!/bin/sh
www={www}
text='Content-Type: text/plain\r\n'
case ${0##*/} in
chunked | until-close)
    printf "$text\r\n"; head -c 3000 $www/file10k; sleep 0.02; tail -c +3001 $www/file10k ;;
204) printf 'Status: 204 No Content\r\n\r\n' ;;
redirect) printf "Status: 302 Found\r\nLocation: /small\r\nContent-Length: 6\r\n$text\r\nmoved\n" ;;
*)
    sum=$(head -c "${CONTENT_LENGTH:-0}" | cksum)
    printf "$text"'Content-Length: %d\r\n\r\n%s\n' $((${#sum} + 1)) "$sum" ;;
esac
"""

# What http.server itself does with files, and the other paths.
HTTP_SERVER = r"""
import base64, http.server, sys, zlib
protocol, port, www = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = protocol
    def __init__(self, *args):
        super().__init__(*args, directory=www)
    def log_message(self, *args):
        pass
    def answer(self, status, body, *fields):
        self.send_response(status)
        for name, value in (("Content-Type", "text/plain"), *fields):
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def stream(self, chunked):
        with open(www + "/file10k", "rb") as file:
            body = file.read()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[:1], body[1:3000], body[3000:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True
    def do_GET(self):
        path = self.path.partition("?")[0]
        wanted = "Basic " + base64.b64encode(b"user:secret").decode()
        if path == "/chunked":
            self.stream(self.request_version == protocol == "HTTP/1.1")
        elif path == "/until-close":
            self.stream(False)
        elif path == "/204":
            self.answer(204, b"")
        elif path == "/redirect":
            self.answer(302, b"moved\n", ("Location", "/small"))
        elif path == "/private" and self.headers["Authorization"] != wanted:
            self.answer(401, b"who?\n", ("WWW-Authenticate", 'Basic realm="test"'))
        else:
            super().do_GET()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"%d %08x\n" % (len(body), zlib.crc32(body)))
    do_PUT = do_POST
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

WSGI = r"""
import base64, email.utils, zlib
www = {www!r}
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
def application(environ, start):
    def answer(status, body, *fields):
        length = [] if status.startswith(("204", "304")) else [("Content-Length", str(len(body)))]
        start(status, [("Content-Type", "text/plain"), *length, *fields])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] in ("POST", "PUT"):
        body = environ["wsgi.input"].read()
        return answer("200 OK", b"%d %08x\n" % (len(body), zlib.crc32(body)))
    if path == "/chunked":
        with open(www + "/file10k", "rb") as file:
            body = file.read()
        start("200 OK", [("Content-Type", "text/plain")])
        return iter((body[:1], body[1:3000], body[3000:]))
    if path == "/204":
        return answer("204 No Content", b"")
    if path == "/redirect":
        return answer("302 Found", b"moved\n", ("Location", "/small"))
    if path == "/private" and environ.get("HTTP_AUTHORIZATION") != (
            "Basic " + base64.b64encode(b"user:secret").decode()):
        return answer("401 Unauthorized", b"who?\n", ("WWW-Authenticate", 'Basic realm="test"'))
    if environ.get("HTTP_IF_MODIFIED_SINCE") == DATE:
        return answer("304 Not Modified", b"")
    try:
        with open(www + path, "rb") as file:
            return answer("200 OK", file.read(), ("Last-Modified", DATE))
    except OSError:
        return answer("404 Not Found", b"missing\n")
"""

TORNADO = r"""
import base64, sys, zlib
import tornado.ioloop, tornado.web
port, www = int(sys.argv[1]), sys.argv[2]
class Fixed(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        if self.request.path == "/204":
            self.set_status(204)
        elif self.request.path == "/redirect":
            self.redirect("/small")
        elif self.request.headers.get("Authorization") != (
                "Basic " + base64.b64encode(b"user:secret").decode()):
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="test"')
        else:
            self.write("private\n")
class Stream(tornado.web.RequestHandler):
    async def get(self):
        self.set_header("Content-Type", "text/plain")
        with open(www + "/file10k", "rb") as file:
            for size in (1, 2999, -1):
                self.write(file.read(size))
                await self.flush()
class Upload(tornado.web.RequestHandler):
    def post(self):
        self.write(b"%d %08x\n" % (len(self.request.body), zlib.crc32(self.request.body)))
    put = post
tornado.web.Application([
    ("/204|/redirect|/private", Fixed), ("/chunked", Stream), ("/post|/put/file", Upload),
    ("/(.*)", tornado.web.StaticFileHandler, {"path": www}),
]).listen(port, "127.0.0.1")
tornado.ioloop.IOLoop.current().start()
"""

RACK = r"""
require 'zlib'
DATE = 'Tue, 14 Nov 2023 22:13:20 GMT'
Parts = Struct.new(:parts) do
  def each(&block) = parts.each(&block)
end
answer = lambda do |status, body, fields = {}|
  length = [204, 304].include?(status) ? {} : { 'Content-Length' => body.bytesize.to_s }
  [status, length.merge(status == 204 ? {} : { 'Content-Type' => 'text/plain' }, fields), [body]]
end
run(lambda do |env|
  path = env['PATH_INFO']
  if %w[POST PUT].include?(env['REQUEST_METHOD'])
    body = env['rack.input'].read
    next answer.call(200, format("%d %08x\n", body.bytesize, Zlib.crc32(body)))
  end
  case path
  when '/chunked'
    body = File.binread('{www}/file10k')
    [200, { 'Content-Type' => 'text/plain' }, Parts.new([body[0, 1], body[1, 2999], body[3000..]])]
  when '/204' then answer.call(204, '')
  when '/redirect' then answer.call(302, "moved\n", 'Location' => '/small')
  else
    if path == '/private' && env['HTTP_AUTHORIZATION'] != "Basic #{['user:secret'].pack('m0')}"
      next answer.call(401, "who?\n", 'WWW-Authenticate' => 'Basic realm="test"')
    end
    next answer.call(304, '') if env['HTTP_IF_MODIFIED_SINCE'] == DATE
    next answer.call(404, "missing\n") unless File.file?("{www}#{path}")
    answer.call(200, File.binread("{www}#{path}"), 'Last-Modified' => DATE)
  end
end)
"""

NODE = r"""
const fs = require('fs'), http = require('http');
const [port, www] = process.argv.slice(2), DATE = 'Tue, 14 Nov 2023 22:13:20 GMT';
http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    const answer = (status, body, fields = {}) => {
        const length = status === 204 || status === 304 ? {} : { 'Content-Length': body.length };
        response.writeHead(status, { 'Content-Type': 'text/plain', ...length, ...fields });
        response.end(request.method === 'HEAD' || body === '' ? undefined : body);
    };
    if (request.method === 'POST' || request.method === 'PUT') {
        let size = 0, sum = 0;
        request.on('data', (part) => { size += part.length; for (const b of part) sum += b; });
        request.on('end', () => answer(200, `${size} ${sum}\n`));
        return;
    }
    if (path === '/chunked' || path === '/until-close') {
        if (path === '/until-close') response.useChunkedEncodingByDefault = false;
        const body = fs.readFileSync(www + '/file10k');
        response.setHeader('Content-Type', 'text/plain');
        response.write(body.subarray(0, 1));
        response.write(body.subarray(1, 3000));
        setTimeout(() => response.end(body.subarray(3000)), 5);
    } else if (path === '/204') answer(204, '');
    else if (path === '/redirect') answer(302, 'moved\n', { Location: '/small' });
    else if (path === '/private' && request.headers.authorization !== 'Basic dXNlcjpzZWNyZXQ=')
        answer(401, 'who?\n', { 'WWW-Authenticate': 'Basic realm="test"' });
    else if (request.headers['if-modified-since'] === DATE) answer(304, '');
    else fs.readFile(www + path, (error, data) =>
        error ? answer(404, 'missing\n') : answer(200, data, { 'Last-Modified': DATE }));
}).listen(Number(port), '127.0.0.1');
"""
