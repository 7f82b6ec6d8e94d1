/* SPDX-License-Identifier: ISC */
/* What becomes of responses: one row a rule. */
#include "play.h"

#define OLD S("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
#define OLD_OUT S("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
#define NEW S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
#define HEAD_OLD S("HEAD / HTTP/1.0\r\nHost: a\r\n\r\n")
#define HEAD_OUT S("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")

#define TO_OLD(name, in, out, outcome, why)                                                                  \
    {                                                                                                        \
        name, OLD, S(in), OLD_OUT, S(out), PLAY_##outcome, REASON_##why                                      \
    }
#define TO_NEW(name, in, out, outcome, why)                                                                  \
    {                                                                                                        \
        name, NEW, S(in), OLD_OUT, S(out), PLAY_##outcome, REASON_##why                                      \
    }
#define TO_HEAD(name, in, out, why)                                                                          \
    {                                                                                                        \
        name, HEAD_OLD, S(in), HEAD_OUT, S(out), PLAY_END, REASON_##why                                      \
    }
#define UNTOUCHED(name, in, outcome, why)                                                                    \
    {                                                                                                        \
        name, OLD, S(in), OLD_OUT, SAME, PLAY_##outcome, REASON_##why                                        \
    }
#define UNTOUCHED_NEW(name, in, outcome, why)                                                                \
    {                                                                                                        \
        name, NEW, S(in), OLD_OUT, SAME, PLAY_##outcome, REASON_##why                                        \
    }

#define OK "HTTP/1.1 200 OK\r\n"
#define OK10 "HTTP/1.0 200 OK\r\n"
#define CL2 "Content-Length: 2\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CLOSE "Connection: close\r\n"
#define KA "Connection: keep-alive\r\n"

static const struct play_row head_rows[] = {
    TO_OLD("silence persists", OK CL2 "\r\nab", OK CL2 CLOSE "\r\nab", END, none),
    TO_OLD("keep-alive becomes close", OK KA CL2 "\r\nab", OK CLOSE CL2 "\r\nab", END, none),
    TO_NEW("for 1.1 as well", OK CL2 KA "\r\nab", OK CL2 CLOSE "\r\nab", END, none),
    TO_OLD("close stays", OK CLOSE CL2 "\r\nab", OK CLOSE CL2 "\r\nab", END, server_closes),
    TO_OLD("close in any case", OK "connection:CLOSE\r\n" CL2 "\r\nab", OK CLOSE CL2 "\r\nab", END,
           server_closes),
    TO_OLD("close in a list", OK "Connection: foo, close\r\nfoo: 1\r\n" CL2 "\r\nab", OK CLOSE CL2 "\r\nab",
           END, server_closes),
    TO_OLD("close beats keep-alive", OK KA CL2 CLOSE "\r\nab", OK CLOSE CL2 "\r\nab", END, server_closes),
    TO_OLD("an empty Connection, shorter than close", OK "Connection:\r\n" CL2 "A: b\r\n\r\nab",
           OK CLOSE CL2 "A: b\r\n\r\nab", END, none),
    TO_OLD("several that go, around one that grows",
           OK "Connection:\r\nKeep-Alive:\r\nA: b\r\nUpgrade:\r\n" CL2 "Connection: \r\nC: d\r\n\r\nab",
           OK CLOSE "A: b\r\n" CL2 "C: d\r\n\r\nab", END, none),
    TO_OLD("one that grows where others went", OK "TE:\r\nA: b\r\nConnection:\r\n" CL2 "\r\nab",
           OK "A: b\r\n" CLOSE CL2 "\r\nab", END, none),
    TO_OLD("gone, and nothing in its place", OK "Keep-Alive: timeout=5\r\nA: b\r\n" CL2 "\r\nab",
           OK "A: b\r\n" CL2 CLOSE "\r\nab", END, none),
    TO_OLD("as Apache", OK CL2 "Keep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nA: b\r\n\r\nab",
           OK CL2 CLOSE "A: b\r\n\r\nab", END, none),
    TO_OLD("named fields go", OK "Foo: 1\r\nConnection: foo, bar\r\n" CL2 "BAR: 2\r\nbaz: 3\r\n\r\nab",
           OK CLOSE CL2 "baz: 3\r\n\r\nab", END, none),
    TO_OLD("named after it was overwritten",
           OK "Connection: a, bcdefg\r\nA: 1\r\nBcdefg: 2\r\nA: 3\r\n" CL2 "\r\nab", OK CLOSE CL2 "\r\nab",
           END, none),
    TO_OLD("Upgrade goes", OK "Upgrade: h2,h2c\r\nConnection: Upgrade\r\n" CL2 "\r\nab",
           OK CLOSE CL2 "\r\nab", END, none),
    TO_OLD("no other field", OK CL2 "\r\nab", OK CL2 CLOSE "\r\nab", END, none),
    TO_OLD("no field, no body", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n" CLOSE "\r\n",
           END, none),
    TO_OLD("no reason phrase", "HTTP/1.1 200\r\n" CL2 "\r\nab", "HTTP/1.1 200\r\n" CL2 CLOSE "\r\nab", END,
           none),
    TO_OLD("an empty reason phrase", "HTTP/1.1 200 \r\n" CL2 "\r\nab", "HTTP/1.1 200 \r\n" CL2 CLOSE "\r\nab",
           END, none),
    TO_OLD("a later minor version", "HTTP/1.2 200 \r\n" CL2 "\r\nab", "HTTP/1.2 200 \r\n" CL2 CLOSE "\r\nab",
           END, none),
    TO_OLD("odd bytes that are allowed", OK "A:\t\x01\x80\xff\x7f\tb\r\n" CL2 "\r\nab",
           OK "A:\t\x01\x80\xff\x7f\tb\r\n" CL2 CLOSE "\r\nab", END, none),
    TO_OLD("Proxy-Authenticate on a 407", "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n" CL2 "\r\nab",
           "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n" CL2 CLOSE "\r\nab", END, none),
    TO_OLD("Proxy-Authenticate elsewhere", OK "Proxy-Authenticate: Basic\r\n" CL2 "\r\nab",
           OK CL2 CLOSE "\r\nab", END, none),
    TO_OLD("Connection names a vital field", OK "Connection: content-length\r\n" CL2 "\r\nab",
           OK CLOSE CL2 "\r\nab", END, ambiguous_response),
    TO_OLD("Connection with no token", OK "Connection: keep alive\r\n" CL2 "\r\nab", OK CLOSE CL2 "\r\nab",
           END, ambiguous_response),
};

#define ALIVE(text) OK CL2 "Keep-Alive: " text "\r\n\r\nab"
#define ALIVE_OUT OK CL2 CLOSE "\r\nab"

static const struct play_row persistence_rows[] = {
    TO_OLD("1.0 without keep-alive", OK10 CL2 "\r\nab", OK10 CL2 CLOSE "\r\nab", END, server_http10),
    TO_OLD("1.0 with keep-alive", OK10 CL2 "Connection: Keep-Alive\r\n\r\nab", OK10 CL2 CLOSE "\r\nab", END,
           none),
    TO_OLD("1.0 with keep-alive, no length", OK10 KA "\r\nab", OK10 CLOSE "\r\nab", ASKS_CLOSE, no_length),
    TO_OLD("1.0 with keep-alive, no body", "HTTP/1.0 304 \r\n" KA "\r\n", "HTTP/1.0 304 \r\n" CLOSE "\r\n",
           END, none),
    TO_OLD("1.0 without length", OK10 "\r\nab", OK10 CLOSE "\r\nab", OPEN, server_http10),
    TO_OLD("1.1 without length", OK "\r\nab", OK CLOSE "\r\nab", OPEN, no_length),
    TO_OLD("1.1 without length, closes", OK CLOSE "\r\nab", OK CLOSE "\r\nab", OPEN, server_closes),
    TO_OLD("timeout=2", ALIVE("timeout=2"), ALIVE_OUT, END, none),
    TO_OLD("timeout=1", ALIVE("timeout=1"), ALIVE_OUT, END, keepalive_spent),
    TO_OLD("timeout=0", ALIVE("max=5, timeout = 0"), ALIVE_OUT, END, keepalive_spent),
    TO_OLD("max=0", ALIVE("timeout=15;MAX=\"0\""), ALIVE_OUT, END, keepalive_spent),
    TO_OLD("no number", ALIVE("timeout=x, max="), ALIVE_OUT, END, none),
    TO_OLD("NTLM", "HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\n" CL2 "\r\nab",
           "HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\n" CL2 CLOSE "\r\nab", END, connection_auth),
    TO_OLD("Negotiate in a list",
           "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"a\", negotiate\r\n" CL2 "\r\nab",
           "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"a\", negotiate\r\n" CL2 CLOSE "\r\nab", END,
           connection_auth),
    TO_OLD("NTLM of a proxy", "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM abc\r\n" CL2 "\r\nab",
           "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM abc\r\n" CL2 CLOSE "\r\nab", END, connection_auth),
    TO_OLD("Basic", "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"NTLM\"\r\n" CL2 "\r\nab",
           "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"NTLM\"\r\n" CL2 CLOSE "\r\nab", END, none),
};

static const struct play_row length_rows[] = {
    TO_OLD("a length of 0", OK "Content-Length: 0\r\n\r\n", OK "Content-Length: 0\r\n" CLOSE "\r\n", END,
           none),
    TO_OLD("205 is framed normally", "HTTP/1.1 205 x\r\n" CL2 "\r\nab",
           "HTTP/1.1 205 x\r\n" CL2 CLOSE "\r\nab", END, none),
    TO_OLD("204 with a length", "HTTP/1.1 204 x\r\n" CL2 "\r\n", "HTTP/1.1 204 x\r\n" CL2 CLOSE "\r\n",
           ASKS_CLOSE, ambiguous_response),
    TO_OLD("204 with a length of 0", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 204 x\r\nContent-Length: 0\r\n" CLOSE "\r\n", END, none),
    TO_OLD("304 with a length", "HTTP/1.1 304 x\r\n" CL2 "\r\n", "HTTP/1.1 304 x\r\n" CL2 CLOSE "\r\n", END,
           none),
    TO_HEAD("HEAD with a length", OK CL2 "\r\n", OK CL2 CLOSE "\r\n", none),
    TO_HEAD("HEAD with chunks", OK CHUNKED "\r\n", OK CLOSE "\r\n", none),
    TO_HEAD("HEAD with nothing", OK "\r\n", OK CLOSE "\r\n", none),
    TO_HEAD("HEAD with a body", OK CL2 "\r\nab", OK CL2 CLOSE "\r\nab", bytes_left),
    TO_OLD("bytes left", OK CL2 "\r\nabcd", OK CL2 CLOSE "\r\nabcd", END, bytes_left),
    TO_OLD("cut short", OK "Content-Length: 3\r\n\r\nab", OK "Content-Length: 3\r\n" CLOSE "\r\nab", OPEN,
           none),
    TO_OLD("equal lengths", OK CL2 CL2 "\r\nab", OK CL2 CL2 CLOSE "\r\nab", END, ambiguous_response),
    TO_OLD("equal lengths in a list", OK "Content-Length: 2 , 02\r\n\r\nab",
           OK "Content-Length: 2 , 02\r\n" CLOSE "\r\nab", END, ambiguous_response),
    UNTOUCHED("different lengths", OK CL2 "Content-Length: 3\r\n\r\nabc", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("different lengths in a list", OK "Content-Length: 2, 3\r\n\r\nabc", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("an empty element", OK "Content-Length: 2,\r\n\r\nabc", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("an empty length", OK "Content-Length:\r\n\r\nabc", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a negative length", OK "Content-Length: -1\r\n\r\nabc", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a signed length", OK "Content-Length: +1\r\n\r\nabc", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a length of 2^64", OK "Content-Length: 18446744073709551616\r\n\r\nabc", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("a length of 2^63", OK "Content-Length: 9223372036854775808\r\n\r\nabc", ASKS_CLOSE,
              ambiguous_response),
    TO_OLD("a length of 9e18", OK "Content-Length: 9000000000000000000\r\n\r\nabc",
           OK "Content-Length: 9000000000000000000\r\n" CLOSE "\r\nabc", OPEN, none),
};

static const struct play_row chunk_rows[] = {
    TO_OLD("decoded for 1.0", OK CHUNKED "\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", OK CLOSE "\r\nabcde",
           END, none),
    TO_OLD("with trailers",
           OK "Trailer: X\r\n" CHUNKED KA "\r\n00A\r\n0123456789\r\n000\r\nX: y\r\nZ:\r\n\r\n",
           OK CLOSE "\r\n0123456789", END, none),
    TO_OLD("empty", OK CHUNKED "\r\n0\r\n\r\n", OK CLOSE "\r\n", END, none),
    TO_OLD("in any case", OK "transfer-ENCODING:CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", OK CLOSE "\r\na", END,
           none),
    TO_OLD("bytes left are dropped", OK CHUNKED "\r\n1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK", OK CLOSE "\r\na",
           END, bytes_left),
    TO_OLD("and the server closes", OK CHUNKED CLOSE "\r\n1\r\na\r\n0\r\n\r\n", OK CLOSE "\r\na", END,
           server_closes),
    TO_OLD("bare LF", OK CHUNKED "\r\n1\na\n0\n\n", OK CLOSE "\r\na", END, ambiguous_response),
    TO_OLD("padded size", OK CHUNKED "\r\n1  \r\na\r\n0\r\n\r\n", OK CLOSE "\r\na", END, ambiguous_response),
    TO_OLD("broken size", OK CHUNKED "\r\n1\r\na\r\nx\r\n", OK CLOSE "\r\na", BROKEN, ambiguous_response),
    TO_OLD("broken end of data", OK CHUNKED "\r\n1\r\nabc", OK CLOSE "\r\na", BROKEN, ambiguous_response),
    TO_OLD("a size of 2^64", OK CHUNKED "\r\n10000000000000000\r\na", OK CLOSE "\r\n", BROKEN,
           ambiguous_response),
    TO_OLD("no size", OK CHUNKED "\r\n\r\na", OK CLOSE "\r\n", BROKEN, ambiguous_response),
    TO_OLD("a negative size", OK CHUNKED "\r\n-1\r\na", OK CLOSE "\r\n", BROKEN, ambiguous_response),
    TO_OLD("a hexadecimal prefix", OK CHUNKED "\r\n0x1\r\na\r\n0\r\n\r\n", OK CLOSE "\r\n", BROKEN,
           ambiguous_response),
    TO_NEW("kept for 1.1", OK CHUNKED "Trailer: X\r\n\r\n3;a\r\nabc\r\n0\r\nX: y\r\n\r\n",
           OK CHUNKED "Trailer: X\r\n" CLOSE "\r\n3;a\r\nabc\r\n0\r\nX: y\r\n\r\n", END, none),
    TO_NEW("bytes left pass to 1.1", OK CHUNKED "\r\n0\r\n\r\nxyz", OK CHUNKED CLOSE "\r\n0\r\n\r\nxyz", END,
           bytes_left),
    TO_NEW("bare LF for 1.1", OK CHUNKED "\r\n0\n\n", OK CHUNKED CLOSE "\r\n0\n\n", ASKS_CLOSE,
           ambiguous_response),
    TO_NEW("broken for 1.1", OK CHUNKED "\r\n1\r\nabc\r\n0\r\n\r\n",
           OK CHUNKED CLOSE "\r\n1\r\nabc\r\n0\r\n\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("with a length", OK CHUNKED CL2 "\r\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("with a length first", OK CL2 CHUNKED "\r\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("broken where untouched", OK CHUNKED CL2 "\r\nx\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("chunked twice", OK CHUNKED CHUNKED "\r\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("chunked, gzip", OK "Transfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("chunked, then gzip", OK CHUNKED "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("xchunked", OK "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("identity", OK "Transfer-Encoding: identity\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("an empty coding", OK "Transfer-Encoding:\r\n\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("in a 1.0 response", OK10 CHUNKED KA "\r\n0\r\n\r\n", ASKS_CLOSE, ambiguous_response),
};

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define HINTS "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: keep-alive\r\n\r\n"

static const struct play_row interim_rows[] = {
    TO_OLD("swallowed for 1.0", CONTINUE HINTS OK CL2 "\r\nab", OK CL2 CLOSE "\r\nab", END, none),
    TO_OLD("swallowed before chunks", HINTS OK CHUNKED "\r\n1\r\na\r\n0\r\n\r\n", OK CLOSE "\r\na", END,
           none),
    TO_OLD("swallowed, and nothing else", CONTINUE, "", OPEN, none),
    TO_NEW("passed to 1.1", CONTINUE HINTS OK CL2 KA "\r\nab", CONTINUE HINTS OK CL2 CLOSE "\r\nab", END,
           none),
    TO_NEW("passed before growth", CONTINUE "HTTP/1.1 204 x\r\n\r\n",
           CONTINUE "HTTP/1.1 204 x\r\n" CLOSE "\r\n", END, none),
    TO_OLD("swallowed before an odd answer", CONTINUE "oops\r\n\r\n", "oops\r\n\r\n", ASKS_CLOSE,
           bad_response),
    TO_OLD("swallowed with a bare LF", "HTTP/1.1 100 \n\nHTTP/1.1 204 x\r\n\r\n",
           "HTTP/1.1 204 x\r\n" CLOSE "\r\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("101 that nobody asked for",
              "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nanything", OPEN, switching),
    UNTOUCHED_NEW("101 for 1.1", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", OPEN, switching),
};

static const struct play_row odd_rows[] = {
    UNTOUCHED("bare LF, framing clear", "HTTP/1.1 200 OK\n" CL2 "\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("one bare LF", OK "A: b\n" KA CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("bare LF at the end only", OK CL2 "\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("bare LF and chunks", "HTTP/1.1 200 OK\n" CHUNKED "\n1\r\na\r\n0\r\n\r\n", ASKS_CLOSE,
              ambiguous_response),
    UNTOUCHED("bare LF and no length", "HTTP/1.1 200 OK\n\nab", OPEN, ambiguous_response),
    UNTOUCHED("space before the colon", OK "Content-Length : 2\r\n\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("obs-fold", OK "A: b\r\n c\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("NUL", OK "A: b\0\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("bare CR", OK "A: b\rc\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("CR CR LF", OK CL2 "\r\r\nab\n", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("an empty name", OK ": b\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("no colon", OK "oops\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a NUL in the status line", "HTTP/1.1 200 \0\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a code of two digits", "HTTP/1.1 20 OK\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a code of four digits", "HTTP/1.1 2000 OK\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("a code below 100", "HTTP/1.1 099 OK\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("two spaces", "HTTP/1.1  200 OK\r\n" CL2 "\r\nab", ASKS_CLOSE, ambiguous_response),
    UNTOUCHED("HTTP/0.9", "<html>\r\n\r\n", ASKS_CLOSE, bad_response),
    UNTOUCHED("Shoutcast", "ICY 200 OK\r\n\r\n", OPEN, bad_response),
    UNTOUCHED("HTTP/2", "HTTP/2 200\r\n\r\n", ASKS_CLOSE, bad_response),
    UNTOUCHED("a leading CRLF", "\r\nHTTP/1.1 200 OK\r\n\r\n", ASKS_CLOSE, bad_response),
    UNTOUCHED("half a head", "HTTP/1.1 200 OK\r\nContent-Le", OPEN, none),
    UNTOUCHED("half a version", "HTTP/1", OPEN, none),
};

#define ROWS_TEST(group)                                                                                     \
    static void group(void **state)                                                                          \
    {                                                                                                        \
        (void)state;                                                                                         \
        play_rows(group##_rows, sizeof(group##_rows) / sizeof(group##_rows[0]));                             \
    }

ROWS_TEST(head)
ROWS_TEST(persistence)
ROWS_TEST(length)
ROWS_TEST(chunk)
ROWS_TEST(interim)
ROWS_TEST(odd)

/* Of a server that says it to no HTTP/1.0 client: nothing is added, and what goes goes all the same. */
static void test_close_unsaid(void **state)
{
    static const struct {
        struct slice request, in, out;
    } rows[] = {
        { OLD, S(OK CL2 "\r\nab"), S(OK CL2 "\r\nab") },
        { OLD, S(OK KA CL2 "\r\nab"), S(OK CL2 "\r\nab") },
        { OLD, S(OK "Keep-Alive: timeout=5\r\nA: b\r\n" CL2 KA "\r\nab"), S(OK "A: b\r\n" CL2 "\r\nab") },
        { OLD, S(OK "Foo: 1\r\nConnection: foo\r\n" CL2 "\r\nab"), S(OK CL2 "\r\nab") },
        { OLD, S(OK CHUNKED "\r\n2\r\nab\r\n0\r\n\r\n"), S(OK "\r\nab") },
        { OLD, S(OK CLOSE CL2 "\r\nab"), S(OK CLOSE CL2 "\r\nab") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[512], bytes[512];
        struct exchange x;
        exchange_init(&x);
        struct exchange_step step = exchange_client(&x, rows[i].request.data, rows[i].request.len);
        assert_int_equal(step.action, EXCHANGE_HEAD);
        x.close_unsaid = true;
        exchange_adapt(&x, rows[i].request.data, step.take, (struct slice){ "", 0 }, out);
        memcpy(bytes, rows[i].in.data, rows[i].in.len);
        struct exchange_reply reply = exchange_server(&x, bytes, rows[i].in.len);
        assert_int_equal(reply.flow, EXCHANGE_END);
        assert_int_equal(reply.out, rows[i].out.len);
        assert_memory_equal(bytes, rows[i].out.data, reply.out);
    }
}

/* A client of HTTP/1.1 whose server is asked to close: it is shown the close whatever the server says. */
static void test_closing(void **state)
{
    static const struct slice request = S("GET / HTTP/1.1\r\nHost: a\r\nTE: x\r\nConnection: TE, close\r\n\r\n");
    static const struct slice asked = S("GET / HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n");
    static const struct {
        struct slice in, out;
        enum reason why;
    } rows[] = {
        { S(OK CL2 "\r\nab"), S(OK CL2 CLOSE "\r\nab"), REASON_close_test },
        { S(OK KA CL2 "\r\nab"), S(OK CLOSE CL2 "\r\nab"), REASON_close_test },
        { S(OK CLOSE CL2 "\r\nab"), S(OK CLOSE CL2 "\r\nab"), REASON_server_closes },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[512], bytes[512];
        struct exchange x;
        exchange_init(&x);
        assert_int_equal(exchange_client(&x, request.data, request.len).action, EXCHANGE_HEAD);
        x.closing = true;
        assert_int_equal(exchange_adapt(&x, request.data, request.len, (struct slice){ "", 0 }, out), asked.len);
        assert_memory_equal(out, asked.data, asked.len);
        memcpy(bytes, rows[i].in.data, rows[i].in.len);
        struct exchange_reply reply = exchange_server(&x, bytes, rows[i].in.len);
        assert_int_equal(reply.flow, EXCHANGE_END);
        assert_int_equal(reply.out, rows[i].out.len);
        assert_memory_equal(bytes, rows[i].out.data, reply.out);
        assert_int_equal(exchange_verdict(&x), rows[i].why);
    }
}

/* What an answer shows of its server. */
static void test_shown(void **state)
{
    static const struct slice old = OLD;
    static const struct {
        struct slice in;
        bool http11, dated, promised, said_close;
    } rows[] = {
        { S(OK CL2 "\r\nab"), true, false, false, false },
        { S(OK "Date: x\r\n" CL2 "\r\nab"), true, true, false, false },
        { S(OK "date:\r\n" CL2 "\r\nab"), true, false, false, false },
        { S(OK "Dat: x\r\nHost: y\r\n" CL2 "\r\nab"), true, false, false, false },
        { S(OK10 "Date: x\r\n" KA CL2 "\r\nab"), false, true, true, false },
        { S(OK "Keep-Alive: timeout=9\r\n" CL2 "\r\nab"), true, false, true, false },
        { S(OK CLOSE CL2 "\r\nab"), true, false, false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[512], bytes[512];
        struct exchange x;
        exchange_init(&x);
        assert_int_equal(exchange_client(&x, old.data, old.len).action, EXCHANGE_HEAD);
        exchange_adapt(&x, old.data, old.len, (struct slice){ "", 0 }, out);
        memcpy(bytes, rows[i].in.data, rows[i].in.len);
        assert_int_equal(x.status, 0);
        assert_int_equal(exchange_server(&x, bytes, rows[i].in.len).flow, EXCHANGE_END);
        assert_int_equal(x.status, 200);
        assert_true(x.http11 == rows[i].http11 && x.dated == rows[i].dated);
        assert_true(x.promised == rows[i].promised && x.said_close == rows[i].said_close);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head),  cmocka_unit_test(persistence), cmocka_unit_test(length),
        cmocka_unit_test(chunk), cmocka_unit_test(interim),     cmocka_unit_test(odd),
        cmocka_unit_test(test_close_unsaid), cmocka_unit_test(test_closing), cmocka_unit_test(test_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
