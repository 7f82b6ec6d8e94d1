/* SPDX-License-Identifier: ISC */
/* What fuzzing, and comparing with other parsers, has found: inputs that once came out otherwise, and
 * those of which other parsers think otherwise than we do. */
#include "talk.h"

#define OLD "GET / HTTP/1.0\r\n\r\n"
#define OLD_SENT "GET / HTTP/1.1\r\nHost: " PLAY_AUTHORITY "\r\nConnection: keep-alive\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_GOT "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

/* A line of a chunked body that is not what 9112 7.1 says ends where every reader thinks it does, or it
 * does not: the body is delivered, the connection is no longer trusted. */
static const struct play_row responses[] = {
    { "a quoted string without an end", S(OLD), S(CHUNKED "1;x=\"y\r\na\r\n0\r\n\r\n"), S(OLD_SENT),
      S(CHUNKED_GOT "a"), PLAY_END, REASON_ambiguous_response },
    { "its end is quoted", S(OLD), S(CHUNKED "1;x=\"\\\"\r\na\r\n0\r\n\r\n"), S(OLD_SENT), S(CHUNKED_GOT "a"),
      PLAY_END, REASON_ambiguous_response },
    { "a quoted string with all that it may have", S(OLD), S(CHUNKED "1;x=\";\\\"\\\\ \"\r\na\r\n0\r\n\r\n"),
      S(OLD_SENT), S(CHUNKED_GOT "a"), PLAY_END, REASON_none },
    { "a semicolon and no extension", S(OLD), S(CHUNKED "1;\r\na\r\n0\r\n\r\n"), S(OLD_SENT),
      S(CHUNKED_GOT "a"), PLAY_END, REASON_none },
    { "a response where the trailers should be", S(OLD),
      S(CHUNKED "0\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), S(OLD_SENT), S(CHUNKED_GOT), PLAY_END,
      REASON_ambiguous_response },
    { "a folded trailer", S(OLD), S(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), S(OLD_SENT), S(CHUNKED_GOT), PLAY_END,
      REASON_ambiguous_response },
    { "a blank before a trailer's colon", S(OLD), S(CHUNKED "0\r\nA : b\r\n\r\n"), S(OLD_SENT),
      S(CHUNKED_GOT), PLAY_END, REASON_ambiguous_response },
    { "trailers", S(OLD), S(CHUNKED "0\r\nA: b\r\nC:\r\n\r\n"), S(OLD_SENT), S(CHUNKED_GOT), PLAY_END,
      REASON_none },
    { "an empty line after an interim response", S(OLD),
      S("HTTP/1.1 100 x\r\n\r\n\r\nHTTP/1.1 204 x\r\n\r\n"), S(OLD_SENT), S("\r\nHTTP/1.1 204 x\r\n\r\n"),
      PLAY_ASKS_CLOSE, REASON_bad_response },
};

#define TO "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\n" TO "Transfer-Encoding: chunked\r\n\r\n"
#define NONE "HTTP/1.1 204 x\r\n\r\n"

static const struct talk_row conversations[] = {
    { "a request's chunk with an open quote",
      { C(POST "1;x=\"\r\na\r\n0\r\n\r\n"), R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "a request where its trailers should be",
      { C(POST "0\r\nGET / HTTP/1.1\r\n" TO "\r\n"), R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "a request's trailers", { C(POST "0\r\nA: b\r\n\r\n"), R(NONE) }, "1i", REASON_none },
    { "control characters in a value",
      { C("GET / HTTP/1.1\r\n" TO "A: b\x01\x0b\x7f\r\n\r\n"), R(NONE) },
      "1i",
      REASON_none },
    { "one in a length",
      { C("GET / HTTP/1.1\r\n" TO "Content-Length: \x0b"
          "0\r\n\r\n"),
        R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "one in a coding",
      { C("GET / HTTP/1.1\r\n" TO "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n"),
        R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "one in an option",
      { C("GET / HTTP/1.1\r\n" TO "Connection: close\x0b\r\n\r\n"), R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "a method that nobody knows",
      { C("ANNOUNCED! / HTTP/1.1\r\n" TO "\r\n"), R(NONE) },
      "1i",
      REASON_none },
    { "a target that is no URI", { C("GET /\xff\"{|} HTTP/1.1\r\n" TO "\r\n"), R(NONE) }, "1i", REASON_none },
    { "codings before chunked",
      { C("GET / HTTP/1.1\r\n" TO "Transfer-Encoding: gzip, chunked\r\n\r\n"), R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "an empty line first",
      { C("\r\nGET / HTTP/1.1\r\n" TO "\r\n"), R(NONE) },
      "oo",
      REASON_ambiguous_request },
    { "two spaces", { C("GET  / HTTP/1.1\r\n" TO "\r\n"), R(NONE) }, "oo", REASON_not_http },
    { "an empty line between two responses",
      { C("GET / HTTP/1.1\r\n" TO "\r\n"), R(NONE "\r\n"), C("GET / HTTP/1.1\r\n" TO "\r\n"), R(NONE) },
      "1011",
      REASON_bytes_left },
};

static void test_responses(void **state)
{
    play_rows(responses, sizeof(responses) / sizeof(responses[0]));
}

static void test_conversations(void **state)
{
    talk_rows(conversations, sizeof(conversations) / sizeof(conversations[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_conversations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
