/* SPDX-License-Identifier: ISC */
/* Observed conversations: where they are idle, what may be parked, and that not one byte changes. */
#include "talk.h"

#define GET "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(fields) "POST /a HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define OLD(fields) "GET /a HTTP/1.0\r\n" fields "\r\n"
#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"
#define OK10(fields) "HTTP/1.0 200 OK\r\n" fields "\r\n"
#define FIVE OK("Content-Length: 5\r\n") "12345"
#define EMPTY OK("Content-Length: 0\r\n")
#define ALIVE "Connection: keep-alive\r\n"
#define CLOSE "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

#define ROWS(rows) talk_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static const struct talk_row sequence_rows[] = {
    { "one", { C(GET), R(FIVE) }, "1i", REASON_none },
    { "three", { C(GET), R(FIVE), C(GET), R(EMPTY), C(GET), R(FIVE) }, "1i1i1i", REASON_none },
    { "an answer in pieces",
      { C(GET), R("HTTP/1.1 200 OK\r\nContent-"), R("Length: 5\r\n\r\n"), R("1234"), R("5"), C("GE"),
        C("T / HTTP/1.1\r\nHost"), C(": a\r\n\r\n"), R(EMPTY) },
      "1111i001i",
      REASON_none },
    { "a body", { C(POST("Content-Length: 5\r\n") "123"), C("45"), R(FIVE), C(GET) }, "11i1", REASON_none },
    { "a body of nothing", { C(POST("Content-Length: 0\r\n")), R(EMPTY) }, "1i", REASON_none },
    { "a chunked body",
      { C(POST(CHUNKED) "5\r\nabcde\r\n"), C("0\r\n\r\n"), R(EMPTY), C(GET), R(FIVE) },
      "11i1i",
      REASON_none },
    { "chunks",
      { C(GET), R(OK(CHUNKED) "5;x=y\r\nabcde\r\n"), R("0\r\nX: y\r\n\r\n"), C(GET),
        R(OK(CHUNKED) "0\r\n\r\n") },
      "11i1i",
      REASON_none },
    { "304 and 204",
      { C(GET), R("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"), C(GET), R("HTTP/1.1 204 x\r\n\r\n") },
      "1i1i",
      REASON_none },
    { "HEAD",
      { C(HEAD), R(OK("Content-Length: 5\r\n")), C(HEAD), R(OK(CHUNKED)), C(HEAD), R(OK("")), C(GET),
        R(FIVE) },
      "1i1i1i1i",
      REASON_none },
    { "100 Continue",
      { C(POST("Expect: 100-continue\r\nContent-Length: 2\r\n")), R("HTTP/1.1 100 Continue\r\n\r\n"), C("ab"),
        R(FIVE) },
      "111i",
      REASON_none },
    { "hints before the answer",
      { C(GET), R("HTTP/1.1 103 x\r\nLink: x\r\n\r\nHTTP/1.1 102 x\r\n\r\n"), R(FIVE), C(GET) },
      "11i1",
      REASON_none },
    { "an empty line before the second request",
      { C(GET), R(FIVE), C("\r\n" GET), R(FIVE) },
      "1i1i",
      REASON_none },
    { "an empty line, and no request", { C(GET), C("\r\n"), R(FIVE) }, "110", REASON_none },
    { "a line feed too many after a body",
      { C(POST("Content-Length: 1\r\n") "a\r\n"), R(FIVE), C(GET), R(FIVE) },
      "101i",
      REASON_none },
    { "the next request is on its way",
      { C(GET "G"), R(FIVE), C("ET"), C(" / HTTP/1.1\r\nHost: a\r") },
      "1000",
      REASON_none },
};

static const struct talk_row pipeline_rows[] = {
    { "three, HEAD in the middle",
      { C(GET HEAD GET), R(FIVE), R(OK("Content-Length: 5\r\n")), R(FIVE) },
      "321i",
      REASON_none },
    { "three answers at once",
      { C(GET HEAD GET), R(FIVE OK("Content-Length: 5\r\n") FIVE) },
      "3i",
      REASON_none },
    { "two answers and a half",
      { C(GET HEAD GET), R(FIVE OK(CHUNKED) "HTTP/1.1 2"), R("04 x\r\n\r\n") },
      "31i",
      REASON_none },
    { "bodies",
      { C(POST("Content-Length: 1\r\n") "a" POST(CHUNKED) "1\r\na\r\n0\r\n\r\n" GET), R(FIVE EMPTY FIVE) },
      "3i",
      REASON_none },
    { "the second while the first is answered",
      { C(GET), R(OK("Content-Length: 5\r\n") "1"), C(HEAD), R("2345"), R(OK("Content-Length: 9\r\n")) },
      "1121i",
      REASON_none },
    { "the second one's body while the first is answered",
      { C(GET POST("Content-Length: 2\r\n") "a"), R(FIVE), C("b"), R(FIVE) },
      "211i",
      REASON_none },
    { "a 1xx for the second", { C(GET GET), R(FIVE "HTTP/1.1 103 x\r\n\r\n"), R(FIVE) }, "21i", REASON_none },
    { "the last one closes", { C(GET OLD("")), R(FIVE), R(FIVE) }, "21i", REASON_client_closes },
    { "the first answer closes",
      { C(GET GET), R(OK(CLOSE "Content-Length: 0\r\n")) },
      "21",
      REASON_server_closes },
    { "one answer too many",
      { C(GET GET), R(FIVE FIVE), R(FIVE), C(GET), R(FIVE) },
      "2i011",
      REASON_bytes_left },
};

static const struct talk_row persistence_rows[] = {
    { "1.0, granted by 1.0",
      { C(OLD(ALIVE)), R(OK10(ALIVE "Content-Length: 0\r\n")), C(OLD(ALIVE)) },
      "1i1",
      REASON_none },
    { "1.0, granted by 1.1", { C(OLD(ALIVE)), R(OK(ALIVE "Content-Length: 0\r\n")) }, "1i", REASON_none },
    { "1.0, refused", { C(OLD(ALIVE)), R(OK(CLOSE "Content-Length: 0\r\n")) }, "1i", REASON_server_closes },
    { "1.0, ignored by 1.0",
      { C(OLD(ALIVE)), R(OK10("Content-Length: 0\r\n")) },
      "1i",
      REASON_server_http10 },
    { "1.0, ignored by 1.1", { C(OLD(ALIVE)), R(EMPTY) }, "1i", REASON_server_http10 },
    { "1.0, granted without a length",
      { C(OLD(ALIVE)), R(OK(ALIVE) "a"), R(FIVE) },
      "111",
      REASON_no_length },
    { "1.0, and 1.1 after it",
      { C(OLD(ALIVE) GET), R(OK(ALIVE "Content-Length: 0\r\n") EMPTY) },
      "2i",
      REASON_none },
    { "1.1, granted by 1.0", { C(GET), R(OK10(ALIVE "Content-Length: 0\r\n")) }, "1i", REASON_none },
    { "1.1, ignored by 1.0", { C(GET), R(OK10("Content-Length: 0\r\n")) }, "1i", REASON_server_http10 },
    { "the server closes",
      { C(GET), R(FIVE), C(GET), R(OK(CLOSE CHUNKED) "0\r\n\r\n") },
      "1i1i",
      REASON_server_closes },
    { "close on the last request",
      { C(GET), R(FIVE), C("GET / HTTP/1.1\r\nHost: a\r\n" CLOSE "\r\n"), R(FIVE) },
      "1i1i",
      REASON_client_closes },
    { "one-shot, observed", { C(OLD("")), R(OK(CLOSE) "abc") }, "11", REASON_client_closes },
    { "no length", { C(GET), R(OK("") "abc"), R(FIVE) }, "111", REASON_no_length },
    { "spent",
      { C(GET), R(OK("Keep-Alive: timeout=5, max=0\r\nContent-Length: 0\r\n")) },
      "1i",
      REASON_keepalive_spent },
    { "NTLM challenge",
      { C(GET), R("HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"), C(GET), R(FIVE) },
      "1i1i",
      REASON_connection_auth },
    { "Negotiate credentials",
      { C("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Negotiate x\r\n\r\n"), R(FIVE), C(GET), R(FIVE) },
      "1i1i",
      REASON_connection_auth },
    { "an answer before the body",
      { C(POST("Content-Length: 3\r\n") "a"), R(EMPTY), C("bc"), C(GET), R(FIVE) },
      "10i1i",
      REASON_request_unfinished },
    { "an answer that ends after the body",
      { C(POST("Content-Length: 3\r\n") "a"), R("HTTP/1.1 200 OK\r\nContent-L"), C("bc"),
        R("ength: 0\r\n\r\n") },
      "111i",
      REASON_none },
    { "a final answer instead of 100",
      { C(POST("Expect: 100-continue\r\nContent-Length: 3\r\n")),
        R("HTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n"), C(GET), R(FIVE) },
      "10oo",
      REASON_not_http },
};

static const struct talk_row refused_rows[] = {
    { "upgrade",
      { C(GET), R(FIVE), C("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x81"),
        R("HTTP/1.1 101 x\r\n\r\n\x81") },
      "1ioo",
      REASON_upgrade },
    { "tunnel",
      { C(GET), R(FIVE), C("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n") },
      "1io",
      REASON_connect_method },
    { "HTTP/2", { C(GET), R(FIVE), C("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") }, "1io", REASON_http2 },
    { "TLS", { C(GET), R(FIVE), C("\x16\x03\x01") }, "1io", REASON_tls },
    { "garbage", { C(GET), R(FIVE), C("one two three\r\n"), R("four") }, "1ioo", REASON_not_http },
    { "a body longer than its length", { C(POST("Content-Length: 1\r\n") "a<b>") }, "o", REASON_not_http },
    { "garbage while an answer comes",
      { C(GET), R("HTTP/1."), C("<>\r\n"), R("1 200 OK\r\n\r\n") },
      "11oo",
      REASON_not_http },
    { "two lengths",
      { C(GET POST("Content-Length: 1\r\nContent-Length: 2\r\n") "ab"), R(FIVE) },
      "oo",
      REASON_ambiguous_request },
    { "no Host", { C(GET "GET / HTTP/1.1\r\n\r\n"), R(FIVE) }, "oo", REASON_ambiguous_request },
    { "bare line feeds",
      { C(GET), R(FIVE), C("GET / HTTP/1.1\nHost: a\n\n") },
      "1io",
      REASON_ambiguous_request },
    { "a vital field",
      { C(GET POST("Connection: Content-Length\r\nContent-Length: 1\r\n") "a") },
      "o",
      REASON_names_vital_field },
    { "a bare line feed in chunks",
      { C(POST(CHUNKED) "1\na\r\n0\r\n\r\n"), R(EMPTY) },
      "oo",
      REASON_ambiguous_request },
    { "no chunk", { C(POST(CHUNKED) "x\r\n"), R(EMPTY) }, "oo", REASON_ambiguous_request },
};

static const struct talk_row doubtful_rows[] = {
    { "bytes after the end", { C(GET), R(FIVE "6"), C(GET), R(FIVE) }, "1011", REASON_bytes_left },
    { "408 while idle",
      { C(GET), R(FIVE), R("HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n") },
      "1i0",
      REASON_bytes_left },
    { "408 in the middle of a head",
      { C(GET), R(FIVE), C("GET"), R("HTTP/1.1 408 x\r\n\r\n"), C(" / HTTP/1.1\r\n") },
      "1i000",
      REASON_bytes_left },
    { "a body for HEAD", { C(HEAD), R(FIVE) }, "10", REASON_bytes_left },
    { "switching without being asked",
      { C(GET), R("HTTP/1.1 101 x\r\n\r\n"), C("\x81\r\n\r\n"), R("\x81") },
      "1111",
      REASON_switching },
    { "not HTTP", { C(GET), R("ICY 200 OK\r\n\r\n") }, "11", REASON_bad_response },
    { "an odd head",
      { C(GET), R("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), R(FIVE) },
      "111",
      REASON_ambiguous_response },
    { "bare line feeds",
      { C(GET), R("HTTP/1.1 200 OK\nContent-Length: 1\n\na"), C(GET), R(FIVE) },
      "1i1i",
      REASON_ambiguous_response },
    { "bare line feeds in a 1xx", { C(GET), R("HTTP/1.1 100 x\n\n" FIVE) }, "1i", REASON_ambiguous_response },
    { "length and chunks",
      { C(GET), R(OK("Content-Length: 1\r\n" CHUNKED) "0\r\n\r\n"), C(GET), R(FIVE) },
      "1i1i",
      REASON_ambiguous_response },
    { "two lengths",
      { C(GET), R(OK("Content-Length: 1\r\nContent-Length: 2\r\n") "a") },
      "11",
      REASON_ambiguous_response },
    { "the same length twice",
      { C(GET), R(OK("Content-Length: 1\r\nContent-Length: 1\r\n") "a") },
      "1i",
      REASON_ambiguous_response },
    { "another coding",
      { C(GET), R(OK("Transfer-Encoding: xchunked\r\n") "0\r\n\r\n") },
      "11",
      REASON_ambiguous_response },
    { "chunks of 1.0", { C(GET), R(OK10(ALIVE CHUNKED) "0\r\n\r\n") }, "11", REASON_ambiguous_response },
    { "no chunk",
      { C(GET), R(OK(CHUNKED) "x\r\n0\r\n\r\n" FIVE), C(GET) },
      "112",
      REASON_ambiguous_response },
    { "a bare line feed in chunks",
      { C(GET), R(OK(CHUNKED) "1\na\r\n0\r\n\r\n") },
      "1i",
      REASON_ambiguous_response },
    { "a length in a 204",
      { C(GET), R("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n") },
      "1i",
      REASON_ambiguous_response },
    { "the server speaks first",
      { C("GET /"), R("220 x\r\n"), C(" HTTP/1.1\r\nHost: a\r\n\r\n") },
      "uoo",
      REASON_not_http },
};

static void sequences(void **state)
{
    (void)state;
    ROWS(sequence_rows);
}

static void pipelines(void **state)
{
    (void)state;
    ROWS(pipeline_rows);
}

static void persistence(void **state)
{
    (void)state;
    ROWS(persistence_rows);
}

static void refused(void **state)
{
    (void)state;
    ROWS(refused_rows);
}

static void doubtful(void **state)
{
    (void)state;
    ROWS(doubtful_rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences), cmocka_unit_test(pipelines), cmocka_unit_test(persistence),
        cmocka_unit_test(refused),   cmocka_unit_test(doubtful),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
