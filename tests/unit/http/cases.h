/* SPDX-License-Identifier: ISC */
/* cases: the rows of cases.def as C values, and their bytes written out. */
#ifndef UNIT_HTTP_CASES_H
#define UNIT_HTTP_CASES_H

#include "play.h"

/* What comes out: the same, the same but for hop-by-hop fields, or these bytes. */
struct case_text {
    enum case_how { TEXT_SAME, TEXT_EDITED, TEXT_GIVEN } how;
    struct slice given;
};

struct case_row {
    const char *name, *section;
    const char *clients; /* NULL: `request` is given */
    struct slice request;
    enum exchange_kind kind; /* where `request` is given */
    struct case_text sends;
    struct slice response;
    struct case_text sees;
    enum play_outcome end;
    enum reason why;
    bool chunks, truncated;
    struct slice data; /* of chunks */
};

/* clang-format off */
#define TEXT(how, text) { how, { text, sizeof(text) - 1 } }
#define AS_IS TEXT(TEXT_SAME, "")
#define EDITED TEXT(TEXT_EDITED, "")
#define SEES(text) TEXT(TEXT_GIVEN, text)
#define SENDS(text) TEXT(TEXT_GIVEN, text)
#define ADAPTED EXCHANGE_ADAPTED
#define OBSERVED EXCHANGE_OBSERVED
#define OPAQUE EXCHANGE_OPAQUE
#define LOST EXCHANGE_OPAQUE
#define ENDS PLAY_END
#define ASKS PLAY_ASKS_CLOSE
#define WAITS PLAY_OPEN
#define BREAKS PLAY_BROKEN

#define RESPONSE(NAME, SECTION, CLIENTS, BYTES, SEEN, END, WHY)                                     \
    { .name = NAME, .section = SECTION, .clients = CLIENTS, .response = S(BYTES), .sees = SEEN,     \
      .end = END, .why = REASON_##WHY },
#define CHUNKS(NAME, SECTION, BODY, DATA, END, WHY)                                                 \
    { .name = NAME, .section = SECTION, .clients = "onk", .response = S(OK TE "\r\n" BODY),         \
      .data = S(OK "\r\n" DATA), .end = END, .why = REASON_##WHY, .chunks = true },
#define REQUEST(NAME, SECTION, BYTES, KIND, OUT, WHY)                                               \
    { .name = NAME, .section = SECTION, .request = S(BYTES), .kind = KIND, .sends = OUT,            \
      .response = S(OK "Content-Length: 2\r\n\r\nok"), .sees = EDITED, .end = ENDS,                \
      .why = REASON_##WHY },
#define EXCHANGE(NAME, SECTION, BYTES, KIND, OUT, ANSWER, SEEN, END, WHY)                           \
    { .name = NAME, .section = SECTION, .request = S(BYTES), .kind = KIND, .sends = OUT,            \
      .response = S(ANSWER), .sees = SEEN, .end = END, .why = REASON_##WHY },
#define TRUNCATED(NAME, SECTION, CLIENTS, BYTES)                                                    \
    { .name = NAME, .section = SECTION, .clients = CLIENTS, .response = S(BYTES), .truncated = true },
/* clang-format on */

static const struct case_row case_rows[] = {
#include "cases/cases.def"
};

#define CASE_COUNT (sizeof(case_rows) / sizeof(case_rows[0]))
#define CASE_CUTS 32

/* The requests of RESPONSE's clients, and what goes out of them. */
struct case_client {
    char letter;
    bool old, head;
    enum exchange_kind kind;
    struct slice request, sends;
};

#define HEADED(rest) "HEAD " rest
static const struct case_client case_clients[] = {
    { 'o', true, false, ADAPTED, S(GET10 "\r\n"), S(ASKED) },
    { 'n', false, false, ADAPTED, S(GET11 CLOSE "\r\n"), S(ASKED) },
    { 'k', false, false, OBSERVED, S(GET11 "\r\n"), S(GET11 "\r\n") },
    { 'p', true, false, OBSERVED, S(GET10 KEEP "\r\n"), S(GET10 KEEP "\r\n") },
    { 'O', true, true, ADAPTED, S(HEADED("/ HTTP/1.0\r\nHost: h\r\n\r\n")),
      S(HEADED("/ HTTP/1.1\r\nHost: h\r\n" KEEP "\r\n")) },
    { 'N', false, true, ADAPTED, S(HEADED("/ HTTP/1.1\r\nHost: h\r\n" CLOSE "\r\n")),
      S(HEADED("/ HTTP/1.1\r\nHost: h\r\n" KEEP "\r\n")) },
    { 'K', false, true, OBSERVED, S(HEADED("/ HTTP/1.1\r\nHost: h\r\n\r\n")),
      S(HEADED("/ HTTP/1.1\r\nHost: h\r\n\r\n")) },
};

static inline const struct case_client *case_client_of(char letter)
{
    for (size_t i = 0; i < sizeof(case_clients) / sizeof(case_clients[0]); i++)
        if (case_clients[i].letter == letter)
            return &case_clients[i];
    fail_msg("no client %c", letter);
    return NULL;
}

/* @{N*text}; returns what follows. */
static inline const char *case_repeat(struct play_buffer *out, const char *at, const char *end)
{
    char *star;
    unsigned long count = strtoul(at + 2, &star, 10);
    const char *text = star + 1, *close = memchr(text, '}', (size_t)(end - text));

    assert_true(*star == '*' && close);
    while (count-- > 0)
        play_append(out, text, (size_t)(close - text));
    return close + 1;
}

/* Writes a row's bytes out; cuts[], which may be NULL, are where the marks @| stood. */
static inline size_t case_write(struct play_buffer *out, struct slice text, size_t cuts[CASE_CUTS])
{
    const char *at = text.data, *end = at + text.len;
    size_t count = 0;

    out->len = 0;
    while (at < end) {
        if (*at != '@' || at + 1 == end) {
            play_append(out, at++, 1);
        } else if (at[1] == '{') {
            at = case_repeat(out, at, end);
        } else if (at[1] == 'A') {
            play_append(out, PLAY_AUTHORITY, sizeof(PLAY_AUTHORITY) - 1);
            at += 2;
        } else if (at[1] == '|') {
            assert_true(cuts && count < CASE_CUTS);
            cuts[count++] = out->len;
            at += 2;
        } else {
            bool mark = at[1] == '/' || at[1] == '.';

            play_append(out, at, mark ? 0 : 1);
            at += mark ? 2 : 1;
        }
    }
    return count;
}

#endif
