/* SPDX-License-Identifier: ISC */
/* The editors of heads, for every side and status, with bytes behind the head and just the room that is
 * promised: what comes out is what want.h says, it reads as before, and there is nothing left to
 * take out of it. */
#define _GNU_SOURCE
#include "want.h"

#include "http/request.h"
#include "http/response.h"

static struct play_buffer head, wanted;

static void same_text(const char *got, size_t len, size_t tail)
{
    if (len + tail != wanted.len || memcmp(got, wanted.data, wanted.len) != 0)
        fail_msg("--- got\n%.*s\n--- want\n%.*s\n---", (int)(len + tail), got, (int)wanted.len, wanted.data);
}

/* The fields of the input as a whole head behind that line. */
static void put_head(const char *line, struct slice fields)
{
    struct naive_head ignored = { 0 };
    const char *end = fields.data + fields.len;

    head.len = 0;
    play_append(&head, line, strlen(line));
    if (naive_fields(fields.data, fields.data, end, &ignored) == NAIVE_WHOLE)
        fields.len = ignored.len;
    play_append(&head, fields.data, fields.len);
    if (head.len < 4 || memcmp(head.data + head.len - 4, "\r\n\r\n", 4) != 0)
        play_append(&head, fields.len ? "\r\n\r\n" : "\r\n", fields.len ? 4 : 2);
}

/* The rewritten head is one that we would leave to its client: it persists. */
static void check_rewritten(const char *bytes, size_t len, const struct request_head *before)
{
    uint32_t scanned = 0;
    enum reason reason;
    struct request_head after;

    assert_int_equal(request_line_follow(REQUEST_LINE_METHOD, bytes, len, &scanned, &reason),
                     REQUEST_LINE_DONE);
    assert_int_equal(request_parse(bytes, len, scanned, &after), HEAD_DONE);
    assert_int_equal(after.len, len);
    assert_int_equal(request_refusal(&after), REASON_none);
    assert_true(after.facts.minor == 1 && after.facts.has_host && !after.facts.one_shot);
    assert_true(after.options.keep_alive && !after.options.close && after.options.names == 0);
    assert_int_equal(after.facts.idempotent, before->facts.idempotent);
    assert_int_equal(after.facts.absolute, before->facts.absolute);
    assert_int_equal(after.facts.connection_auth && !before->facts.connection_auth, 0);
    if (before->facts.has_host)
        assert_int_equal(after.facts.host, before->facts.host);
    assert_memory_equal(&after.body, &before->body, sizeof(after.body));
}

static void check_request(const char *line, struct slice fields)
{
    struct slice authority = SLICE(PLAY_AUTHORITY);
    struct naive_request want;
    struct request_head parsed;
    const char *bytes;
    char *out;
    size_t cap, len;

    put_head(line, fields);
    bytes = guard_put(head.data, head.len, 0);
    if (naive_request(bytes, head.len, &want) != NAIVE_WHOLE || want.head.len != head.len)
        return;
    assert_int_equal(request_parse(bytes, head.len, 0, &parsed), HEAD_DONE);
    cap = head.len + authority.len + EXCHANGE_REQUEST_GROWTH;
    out = malloc(cap);
    len = request_rewrite((struct slice){ bytes, head.len }, &parsed.facts, &parsed.cut, authority, out);
    assert_true(len <= cap);
    wanted.len = 0;
    want_request_head(&wanted, bytes, &want);
    same_text(out, len, 0);
    check_rewritten(out, len, &parsed);
    free(out);
}

static unsigned count_fields(const struct naive_head *fields, const char *name)
{
    struct slice value;

    return naive_count(fields, name, &value);
}

static void check_edited(const char *bytes, size_t len, unsigned minor, const struct naive_response *before)
{
    struct naive_response after;
    struct slice value;

    assert_int_equal(naive_response(bytes, len, false, &after), NAIVE_WHOLE);
    assert_int_equal(after.head.len, len);
    assert_int_equal(naive_count(&after.head, "connection", &value), 1);
    assert_true(naive_is(value, "close"));
    assert_int_equal(count_fields(&after.head, "keep-alive") + count_fields(&after.head, "upgrade"), 0);
    if (minor == 0)
        assert_int_equal(count_fields(&after.head, "transfer-encoding"), 0);
    else
        assert_int_equal(after.body.codings, before->body.codings);
    assert_int_equal(after.body.lengths, before->body.lengths);
}

static void check_response(const char *line, struct slice fields, struct slice tail, unsigned minor)
{
    struct naive_response want;
    struct response parsed;
    char *bytes;
    size_t before, len;

    put_head(line, fields);
    before = head.len;
    play_append(&head, tail.data, tail.len);
    bytes = guard_put(head.data, head.len, EXCHANGE_RESPONSE_GROWTH);
    if (naive_response(head.data, head.len, false, &want) != NAIVE_WHOLE || want.head.lenient ||
        want.head.len != before)
        return;
    assert_int_equal(response_parse(bytes, head.len, minor ? HOP_RESPONSE_11 : HOP_RESPONSE_10, &parsed),
                     HEAD_DONE);
    len = response_edit(bytes, tail.len, &parsed);
    assert_true(len <= before + EXCHANGE_RESPONSE_GROWTH);
    wanted.len = 0;
    want_response_head(&wanted, head.data, minor, &want);
    play_append(&wanted, tail.data, tail.len);
    same_text(bytes, len, tail.len);
    if (len <= NAIVE_HEAD_MAX) /* nobody of ours reads a longer one */
        check_edited(bytes, len, minor, &want);
}

/* The fields of a turn: what follows its first line. */
static struct slice fields_of(struct slice turn)
{
    const char *lf = turn.len ? memchr(turn.data, '\n', turn.len) : NULL;
    size_t line = lf ? (size_t)(lf + 1 - turn.data) : 0;

    return (struct slice){ turn.data + line, turn.len - line };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const requests[] = { "GET / HTTP/1.0\r\n", "PUT /x HTTP/1.1\r\n",
                                            "GET http://u@h:1/ HTTP/1.0\r\n", "POST http://h HTTP/1.1\r\n" };
    static const char *const responses[] = { "HTTP/1.1 200 OK\r\n", "HTTP/1.0 407 x\r\n",
                                             "HTTP/1.1 204 \r\n" };
    static struct fuzz_input input;

    fuzz_read(&input, data, len);
    for (size_t i = 0; i < input.turns; i++) {
        struct slice fields = fields_of(input.turn[i]),
                     tail = { "0123456789abcdefghijklmnopqrstuvwxyz", input.seed % 37 };

        for (size_t r = 0; r < 4; r++)
            check_request(requests[r], fields);
        for (size_t r = 0; r < 6; r++)
            check_response(responses[r / 2], fields, tail, r % 2);
    }
    return 0;
}
