/* SPDX-License-Identifier: ISC */
/* What becomes of requests: one row a rule, no response. */
#include "play.h"

#define KA "Connection: keep-alive\r\n"
#define HOST "Host: " PLAY_AUTHORITY "\r\n"

#define ADAPTS(name, in, out)                                                                                \
    {                                                                                                        \
        name, S(in), S(""), S(out), SAME, PLAY_OPEN, REASON_none                                             \
    }
#define ADAPTS_BUT(name, in, out, why)                                                                       \
    {                                                                                                        \
        name, S(in), S(""), S(out), SAME, PLAY_OPEN, REASON_##why                                            \
    }
#define LEAVES(name, in, why)                                                                                \
    {                                                                                                        \
        name, S(in), S("any answer"), SAME, SAME, PLAY_OPEN, REASON_##why                                    \
    }

static const struct play_row version_rows[] = {
    ADAPTS("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n" HOST KA "\r\n"),
    ADAPTS("1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    LEAVES("1.0 with an empty Host", "GET / HTTP/1.0\r\nHost:\r\n\r\n", of_its_version),
    LEAVES("1.0 with a Range", "GET / HTTP/1.0\r\nHost: a\r\nrange: bytes=0-9\r\n\r\n", of_its_version),
    ADAPTS("1.1 with a Range", "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\nConnection: close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\n" KA "\r\n"),
    LEAVES("1.0 that expects what nobody knows", "PUT / HTTP/1.0\r\nHost: a\r\nExpect: foo\r\nContent-Length: 0\r\n\r\n",
           of_its_version),
    LEAVES("1.0 with a body that means nothing", "DELETE / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\na", of_its_version),
    ADAPTS("1.0 with an empty one", "DELETE / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
           "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" KA "\r\n"),
    ADAPTS("1.1 with a body that means nothing",
           "DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
           "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" KA "\r\na"),
    ADAPTS("1.0 with close", "GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\nA: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n" KA "\r\n"),
    ADAPTS("1.1 with close", "GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("close in any case", "GET / HTTP/1.1\r\nHOST: a\r\ncOnnection: \t CLOSE \t\r\n\r\n",
           "GET / HTTP/1.1\r\nHOST: a\r\n" KA "\r\n"),
    ADAPTS("close in a list",
           "GET / HTTP/1.1\r\nHost: a\r\nConnection: , te,,close ,\r\nTE: trailers\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("close in a second field",
           "GET / HTTP/1.1\r\nConnection: te\r\nHost: a\r\nConnection: close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("close beats keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("close beats Proxy-Connection",
           "GET / HTTP/1.0\r\nHost: a\r\nProxy-Connection: keep-alive\r\nConnection: close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("other fields keep order, case and blanks",
           "GET /a?b#c HTTP/1.0\r\nx-B:  1 \r\nX-a:\t2\r\nConnection: close\r\nHost: a\r\nX-a: "
           "\xe4\xff\r\nX:\r\n\r\n",
           "GET /a?b#c HTTP/1.1\r\nx-B:  1 \r\nX-a:\t2\r\nHost: a\r\nX-a: \xe4\xff\r\nX:\r\n" KA "\r\n"),
    ADAPTS("asterisk form", "OPTIONS * HTTP/1.0\r\nHost: a\r\n\r\n",
           "OPTIONS * HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("absolute form", "GET http://o:1/x HTTP/1.0\r\nHost: o:1\r\n\r\n",
           "GET http://o:1/x HTTP/1.1\r\nHost: o:1\r\n" KA "\r\n"),
    ADAPTS("absolute form without Host", "GET http://me:pw@o:1/x HTTP/1.0\r\n\r\n",
           "GET http://me:pw@o:1/x HTTP/1.1\r\nHost: o:1\r\n" KA "\r\n"),
    ADAPTS("absolute form without Host or path", "GET http://o?q HTTP/1.0\r\nA: b\r\n\r\n",
           "GET http://o?q HTTP/1.1\r\nHost: o\r\nA: b\r\n" KA "\r\n"),
    LEAVES("an unknown method", "FROB /x HTTP/1.0\r\nHost: a\r\n\r\n", open_ended),
    LEAVES("1.1 that persists", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", client_persists),
    LEAVES("1.1 that says keep-alive", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
           client_persists),
    LEAVES("1.0 that says keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\nmore",
           client_persists),
    LEAVES("1.0 with Proxy-Connection", "GET http://a/ HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n\r\n",
           client_persists),
    LEAVES("close in the name of an option", "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
           client_persists),
};

static const struct play_row field_rows[] = {
    ADAPTS("named fields go",
           "GET / HTTP/1.0\r\nFoo: 1\r\nHost: a\r\nConnection: foo, Bar\r\nbar: 2\r\nBaz: 3\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nBaz: 3\r\n" KA "\r\n"),
    ADAPTS("fields named twice",
           "GET / HTTP/1.0\r\nConnection: foo\r\nHost: a\r\nFoo: 1\r\nConnection: bar\r\nBar: 2\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Keep-Alive goes", "GET / HTTP/1.0\r\nHost: a\r\nKeep-Alive: 300\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Upgrade of 1.0 goes", "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Expect of 1.0 goes",
           "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" KA "\r\nab"),
    LEAVES("Expect of 1.1",
           "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: "
           "2\r\n\r\nab",
           expects),
    ADAPTS("Expect of 1.1 without a body stays",
           "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" KA "\r\n"),
    ADAPTS("TE goes, named or not", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Proxy-Authorization goes in origin form",
           "GET / HTTP/1.0\r\nHost: a\r\nProxy-Authorization: Basic eA==\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Proxy-Authorization goes in asterisk form",
           "OPTIONS * HTTP/1.0\r\nHost: a\r\nProxy-Authorization: Basic eA==\r\n\r\n",
           "OPTIONS * HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("Proxy-Authorization stays in absolute form",
           "GET HTTP://o/ HTTP/1.0\r\nHost: o\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: "
           "close\r\n\r\n",
           "GET HTTP://o/ HTTP/1.1\r\nHost: o\r\nProxy-Authorization: Basic eA==\r\n" KA "\r\n"),
    ADAPTS("Authorization stays",
           "GET / HTTP/1.0\r\nHost: a\r\nAuthorization: Basic eA==\r\nCookie: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eA==\r\nCookie: a\r\n" KA "\r\n"),
    ADAPTS_BUT("NTLM", "GET / HTTP/1.0\r\nHost: a\r\nAuthorization: nTLM eA==\r\n\r\n",
               "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: nTLM eA==\r\n" KA "\r\n", connection_auth),
    ADAPTS_BUT("Negotiate", "GET http://o/ HTTP/1.0\r\nHost: o\r\nProxy-Authorization: negotiate x\r\n\r\n",
               "GET http://o/ HTTP/1.1\r\nHost: o\r\nProxy-Authorization: negotiate x\r\n" KA "\r\n",
               connection_auth),
    LEAVES("names Host", "GET / HTTP/1.0\r\nHost: a\r\nConnection: host\r\n\r\n", names_vital_field),
    LEAVES("names Content-Length", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Content-Length\r\n\r\n",
           names_vital_field),
    LEAVES("names Transfer-Encoding",
           "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, transfer-encoding\r\n\r\n", names_vital_field),
    LEAVES("names Authorization", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Authorization\r\n\r\n",
           names_vital_field),
    LEAVES("names Cookie", "GET / HTTP/1.0\r\nConnection: close\r\nConnection: Cookie\r\n\r\n",
           names_vital_field),
    LEAVES("Upgrade of 1.1",
           "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n", upgrade),
    LEAVES("Connection with no token", "GET / HTTP/1.0\r\nHost: a\r\nConnection: close b\r\n\r\n",
           ambiguous_request),
    LEAVES("Connection with too many names",
           "GET / HTTP/1.0\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n", ambiguous_request),
    ADAPTS("Connection with as many names as may be",
           "GET / HTTP/1.0\r\nHost: a\r\nP: 1\r\nQ: 2\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nQ: 2\r\n" KA "\r\n"),
};

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
#define LENGTH "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: "

static const struct play_row body_rows[] = {
    ADAPTS("Content-Length", "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n" KA "\r\nabc"),
    ADAPTS("a line feed too many", "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n\n",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" KA "\r\nabc"),
    ADAPTS("a line feed after no body", "GET / HTTP/1.0\r\nHost: a\r\n\r\n\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS_BUT("bytes left", "GET / HTTP/1.0\r\nHost: a\r\n\r\n\r\nrest\r\n",
               "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n\r\nrest\r\n", bytes_left),
    ADAPTS_BUT("bytes left behind a body", "PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\na\r\nrest\r\n",
               "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" KA "\r\na\r\nrest\r\n", bytes_left),
    ADAPTS("a second request", "GET / HTTP/1.0\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("a second request behind an empty line", "GET / HTTP/1.0\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("a token behind the body", "PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\na!",
           "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" KA "\r\na"),
    LEAVES("a body that is a request", LENGTH "15\r\n\r\nDELETE /x HTTP/", hidden_request),
    LEAVES("a line of a body that is like a request", LENGTH "7\r\n\r\n=\r\nA b\n", hidden_request),
    LEAVES("a request behind blanks", LENGTH "7\r\n\r\n \t\fA\vb\n", hidden_request),
    LEAVES("a version in the middle of a line", LENGTH "9\r\n\r\n= HTTP/1.", hidden_request),
    LEAVES("no length, and a method that may have a body", "POST / HTTP/1.0\r\nHost: a\r\n\r\n", open_ended),
    LEAVES("PUT without a length", "PUT / HTTP/1.0\r\nHost: a\r\n\r\nabc", open_ended),
    LEAVES("SOURCE", "SOURCE / HTTP/1.0\r\nHost: a\r\n\r\n", open_ended),
    LEAVES("a long body", LENGTH "65536\r\n\r\nabc", long_body),
    ADAPTS("PURGE", "PURGE / HTTP/1.0\r\nHost: a\r\n\r\n", "PURGE / HTTP/1.1\r\nHost: a\r\n" KA "\r\n"),
    ADAPTS("an empty body", LENGTH "0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" KA "\r\n"),
    ADAPTS("lines that are like no request", LENGTH "15\r\n\r\na=b c\r\nd: e\n\n(f",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n" KA "\r\na=b c\r\nd: e\n\n(f"),
    ADAPTS("chunks of 1.1 as they are",
           CHUNKED "Trailer: X\r\nConnection: close\r\n\r\nA;x=1\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
           CHUNKED "Trailer: X\r\n" KA "\r\nA;x=1\r\n0123456789\r\n0\r\nX: y\r\n\r\n"),
    LEAVES("chunks with a bare LF", CHUNKED "Connection: close\r\n\r\n1\na\r\n0\r\n\r\n", ambiguous_request),
    LEAVES("broken chunks", CHUNKED "Connection: close\r\n\r\n1\r\nab\r\n0\r\n\r\n", ambiguous_request),
    LEAVES("two lengths that differ", LENGTH "1\r\nContent-Length: 2\r\n\r\nab", ambiguous_request),
    LEAVES("two lengths that agree", LENGTH "2\r\nContent-Length: 2\r\n\r\nab", ambiguous_request),
    LEAVES("a list of lengths", LENGTH "2, 2\r\n\r\nab", ambiguous_request),
    LEAVES("no length", LENGTH "\r\n\r\nab", ambiguous_request),
    LEAVES("a signed length", LENGTH "+2\r\n\r\nab", ambiguous_request),
    LEAVES("a negative length", LENGTH "-2\r\n\r\nab", ambiguous_request),
    LEAVES("a hexadecimal length", LENGTH "0x2\r\n\r\nab", ambiguous_request),
    LEAVES("a length with a space", LENGTH "2 2\r\n\r\nab", ambiguous_request),
    LEAVES("a length of 2^64+2", LENGTH "18446744073709551618\r\n\r\nab", ambiguous_request),
    LEAVES("length and chunks", CHUNKED "Content-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n",
           ambiguous_request),
    LEAVES("chunks in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           ambiguous_request),
    LEAVES("gzip, chunked",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n",
           ambiguous_request),
    LEAVES("xchunked",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n",
           ambiguous_request),
    LEAVES("identity",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n",
           ambiguous_request),
    LEAVES("chunked twice", CHUNKED "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
           ambiguous_request),
};

static const struct play_row ambiguous_rows[] = {
    LEAVES("two Hosts", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", ambiguous_request),
    LEAVES("1.1 without Host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", ambiguous_request),
    LEAVES("a bare LF after the request line", "GET / HTTP/1.0\nHost: a\n\n", ambiguous_request),
    LEAVES("a bare LF after a field", "GET / HTTP/1.0\r\nHost: a\nA: b\r\n\r\n", ambiguous_request),
    LEAVES("a bare LF at the end", "GET / HTTP/1.0\r\nHost: a\r\n\n", ambiguous_request),
    LEAVES("a space before the colon", "GET / HTTP/1.0\r\nHost : a\r\n\r\n", ambiguous_request),
    LEAVES("obs-fold", "GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", ambiguous_request),
    LEAVES("obs-fold right away", "GET / HTTP/1.0\r\n\tHost: a\r\n\r\n", ambiguous_request),
    LEAVES("NUL in a value", "GET / HTTP/1.0\r\nA: b\0c\r\n\r\n", ambiguous_request),
    LEAVES("NUL in a name", "GET / HTTP/1.0\r\nA\0: b\r\n\r\n", ambiguous_request),
    LEAVES("a bare CR in a value", "GET / HTTP/1.0\r\nA: b\rc\r\n\r\n", ambiguous_request),
    LEAVES("two CRs", "GET / HTTP/1.0\r\nA: b\r\r\n\r\n", ambiguous_request),
    LEAVES("an empty name", "GET / HTTP/1.0\r\n: b\r\n\r\n", ambiguous_request),
    LEAVES("no colon", "GET / HTTP/1.0\r\nfoo\r\n\r\n", ambiguous_request),
    LEAVES("a slash in a name", "GET / HTTP/1.0\r\na/b: c\r\n\r\n", ambiguous_request),
    LEAVES("a leading CRLF", "\r\nGET / HTTP/1.0\r\n\r\n", ambiguous_request),
    LEAVES("a space after the version", "GET / HTTP/1.0 \r\n\r\n", ambiguous_request),
    LEAVES("version 1.10", "GET / HTTP/1.10\r\n\r\n", ambiguous_request),
    LEAVES("version 1.2", "GET / HTTP/1.2\r\n\r\n", ambiguous_request),
    LEAVES("a relative target", "GET index.html HTTP/1.0\r\n\r\n", ambiguous_request),
    LEAVES("an authority for a target", "GET a:80 HTTP/1.0\r\n\r\n", ambiguous_request),
    LEAVES("a target without authority", "GET http:///a HTTP/1.0\r\n\r\n", ambiguous_request),
};

static const struct play_row foreign_rows[] = {
    LEAVES("HTTP/0.9", "GET /\r\n", not_http),
    LEAVES("SSH", "SSH-2.0-OpenSSH_9.2\r\n", not_http),
    LEAVES("SMTP", "EHLO me\r\n", not_http),
    LEAVES("Redis", "*1\r\n$4\r\nPING\r\n", not_http),
    LEAVES("memcached", "get a b c\r\n", not_http),
    LEAVES("RTSP", "OPTIONS rtsp://a RTSP/1.0\r\n", not_http),
    LEAVES("SIP", "INVITE sip:a SIP/2.0\r\n", not_http),
    LEAVES("HTTP/2.0 with another method", "GET / HTTP/2.0\r\n", not_http),
    LEAVES("lower case", "GET / http/1.0\r\n\r\n", not_http),
    LEAVES("no digit", "GET / HTTP/1.x\r\n\r\n", not_http),
    LEAVES("two spaces", "GET  / HTTP/1.0\r\n\r\n", not_http),
    LEAVES("a space in the target", "GET /a b HTTP/1.0\r\n\r\n", not_http),
    LEAVES("a tab in the target", "GET /a\tb HTTP/1.0\r\n\r\n", not_http),
    LEAVES("DEL in the target", "GET /a\x7f HTTP/1.0\r\n\r\n", not_http),
    LEAVES("a leading space", " GET / HTTP/1.0\r\n\r\n", not_http),
    LEAVES("zeros", "\0\0\0\1", not_http),
    LEAVES("TLS", "\x16\x03\x01\x02\x00\x01", tls),
    LEAVES("nearly TLS", "\x16\x04\x01\x02\x00\x01", not_http),
    LEAVES("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http2),
    LEAVES("CONNECT", "CONNECT a:443 HTTP/1.0\r\n\r\n\x16\x03", connect_method),
    LEAVES("CONNECT of 1.1", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", connect_method),
};

#define ROWS_TEST(group)                                                                                     \
    static void group(void **state)                                                                          \
    {                                                                                                        \
        (void)state;                                                                                         \
        play_rows(group##_rows, sizeof(group##_rows) / sizeof(group##_rows[0]));                             \
    }

ROWS_TEST(version)
ROWS_TEST(field)
ROWS_TEST(body)
ROWS_TEST(ambiguous)
ROWS_TEST(foreign)

/* Nothing is held before the version is seen, and all of it from there to the head's end. */
static void holds_only_what_may_change(void **state)
{
    static const char head[] = "GET /index HTTP/1.0\r\nHost: a\r\n\r\n";
    struct exchange x;

    (void)state;
    exchange_init(&x);
    for (size_t i = 1; i < sizeof(head) - 1; i++) {
        struct exchange_step step = exchange_client(&x, guard_put(head, i, 0), i);

        assert_int_equal(step.action, i < 19 ? EXCHANGE_PASS_KEEP : EXCHANGE_HOLD);
        assert_int_equal(x.kind, EXCHANGE_UNDECIDED);
    }
}

static struct request facts_of(const char *head)
{
    struct exchange x;
    size_t len = strlen(head);
    struct exchange_step step;

    exchange_init(&x);
    step = exchange_client(&x, guard_put(head, len, 0), len);
    assert_int_equal(step.action, EXCHANGE_HEAD);
    assert_int_equal(step.take, len);
    return x.request;
}

static void tells_requests_apart(void **state)
{
    struct request a = facts_of("GET / HTTP/1.0\r\nHost: Example.COM \r\n\r\n");
    struct request b =
        facts_of("HEAD http://example.com/ HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    struct request c = facts_of("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    struct request d = facts_of("GET http://a/ HTTP/1.0\r\nProxy-Authorization: Basic x\r\n\r\n");
    struct request e = facts_of("GET http://a/ HTTP/1.0\r\nProxy-Authorization: Basic y\r\n\r\n");

    (void)state;
    assert_true(a.one_shot && a.idempotent && a.has_host && !a.head_method && !a.absolute);
    assert_int_equal(a.minor, 0);
    assert_true(b.one_shot && b.head_method && b.absolute && b.minor == 1);
    assert_true(a.host != 0 && a.host == b.host);
    assert_true(!c.idempotent && !c.has_host && c.host == 0 && c.proxy_auth == 0);
    assert_true(d.proxy_auth != 0 && d.proxy_auth != e.proxy_auth);
    assert_false(facts_of("get / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").idempotent);
    assert_true(facts_of("DELETE / HTTP/1.0\r\n\r\n").idempotent);
    assert_false(facts_of("PATCH / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").idempotent);
}

/* A head of exactly the most that is read, and one byte more. */
/* Which requests no server can fail to read as asking for the close. */
static void tells_plain_closes(void **state)
{
    static const struct {
        struct slice head;
        bool plain;
    } rows[] = {
        { S("GET / HTTP/1.0\r\n\r\n"), true },
        { S("GET / HTTP/1.0\r\nConnection: close\r\n\r\n"), true },
        { S("GET / HTTP/1.0\r\nConnection: TE, close\r\n\r\n"), true },
        { S("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false },
        { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"), true },
        { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\nTE: deflate\r\n\r\n"), false },
        { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close,\r\n\r\n"), false },
        { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nConnection: close\r\nTE: x\r\n\r\n"), false },
        { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct exchange x;
        exchange_init(&x);
        assert_int_equal(exchange_client(&x, rows[i].head.data, rows[i].head.len).action, EXCHANGE_HEAD);
        assert_true(x.request.one_shot && x.request.plain_close == rows[i].plain);
    }
}

static void bounds_heads(void **state)
{
    static char head[EXCHANGE_HEAD_MAX + 8];
    struct exchange x;

    (void)state;
    memset(head, 'a', sizeof(head));
    memcpy(head, "GET / HTTP/1.0\r\nA: ", 19);
    memcpy(head + EXCHANGE_HEAD_MAX - 4, "\r\n\r\n", 4);
    exchange_init(&x);
    assert_int_equal(exchange_client(&x, guard_put(head, EXCHANGE_HEAD_MAX, 0), EXCHANGE_HEAD_MAX).action,
                     EXCHANGE_HEAD);
    memcpy(head + EXCHANGE_HEAD_MAX - 4, "a\r\n\r\n", 5);
    for (size_t len = EXCHANGE_HEAD_MAX - 3; len <= EXCHANGE_HEAD_MAX + 1; len++) {
        exchange_init(&x);
        exchange_client(&x, guard_put(head, len, 0), len);
        assert_int_equal(x.kind, len < EXCHANGE_HEAD_MAX ? EXCHANGE_UNDECIDED : EXCHANGE_OPAQUE);
    }
    assert_int_equal(x.reason, REASON_head_too_long);
    memset(head, 'a', sizeof(head));
    memcpy(head, "GET /", 5);
    exchange_init(&x);
    exchange_client(&x, guard_put(head, EXCHANGE_HEAD_MAX, 0), EXCHANGE_HEAD_MAX);
    assert_int_equal(exchange_verdict(&x), REASON_head_too_long);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version),
        cmocka_unit_test(field),
        cmocka_unit_test(body),
        cmocka_unit_test(ambiguous),
        cmocka_unit_test(foreign),
        cmocka_unit_test(holds_only_what_may_change),
        cmocka_unit_test(tells_requests_apart),
        cmocka_unit_test(tells_plain_closes), cmocka_unit_test(bounds_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
