/* SPDX-License-Identifier: ISC */
/* The readers of heads: at every length of the input the verdict is that of message.h, it never
 * changes once it is there, and what is looked at again is what can have changed. */
#define _GNU_SOURCE
#include "input.h"
#include "message.h"

#include "http/request.h"
#include "http/response.h"

/* Lengths of a long input that are looked at. */
#define STEPS 600u

static size_t next_length(size_t at, size_t len)
{
    size_t step = len > STEPS ? len / STEPS + 1 : 1;

    return at + step < len || at == len ? at + step : len;
}

/* As far as the bytes of a request line have been recognised, in one piece and by pieces. */
struct line_state {
    enum request_line part;
    enum reason reason;
    uint32_t scanned;
};

static void check_line(struct line_state *pieces, const char *bytes, size_t len)
{
    struct line_state whole = { REQUEST_LINE_METHOD, REASON_none, 0 };

    whole.part = request_line_follow(whole.part, bytes, len, &whole.scanned, &whole.reason);
    if (pieces->part < REQUEST_LINE_DONE)
        pieces->part = request_line_follow(pieces->part, bytes, len, &pieces->scanned, &pieces->reason);
    assert_int_equal(whole.part, pieces->part);
    assert_int_equal(whole.part == REQUEST_LINE_REFUSED, whole.reason != REASON_none);
    if (whole.part != REQUEST_LINE_DONE)
        assert_int_equal(whole.reason, pieces->reason);
    assert_true(whole.scanned <= len);
}

static void same_facts(const struct request_head *head, const struct naive_request *want)
{
    static const char *const idempotent[] = { "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE" };
    bool safe = false;

    for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++)
        safe |= slice_equal(want->method, (struct slice){ idempotent[i], strlen(idempotent[i]) });
    assert_int_equal(head->len, want->head.len);
    assert_int_equal(head->facts.minor, want->minor);
    assert_int_equal(head->facts.one_shot, want->one_shot);
    assert_int_equal(head->facts.absolute, want->absolute);
    assert_int_equal(head->facts.has_host, want->hosts > 0);
    assert_int_equal(head->facts.idempotent, safe);
    assert_int_equal(head->facts.head_method, slice_equal(want->method, SLICE("HEAD")));
    assert_int_equal(head->body.has_coding, want->body.codings > 0);
    assert_int_equal(head->body.has_length, want->body.lengths > 0);
    assert_int_equal(head->body.length, want->body.length);
}

/* What one length of the input comes to: WHOLE, and may be touched; MORE; or BAD. */
static enum naive request_verdict(const char *bytes, size_t len, size_t version, struct naive_request *want)
{
    struct request_head head;
    enum head_result result = request_parse(bytes, len, version, &head);

    if (result == HEAD_MORE)
        return NAIVE_MORE;
    if (result == HEAD_BAD || request_refusal(&head) != REASON_none || head.len > NAIVE_HEAD_MAX)
        return NAIVE_BAD;
    assert_int_equal(naive_request(bytes, len, want), NAIVE_WHOLE);
    same_facts(&head, want);
    return NAIVE_WHOLE;
}

static void check_requests(struct slice input)
{
    struct line_state line = { REQUEST_LINE_METHOD, REASON_none, 0 };
    enum naive before = NAIVE_MORE;
    size_t seen = 0;

    for (size_t len = 1; len <= input.len; len = next_length(len, input.len)) {
        const char *bytes = guard_put(input.data, len, 0);
        struct naive_request want;
        enum naive result = NAIVE_MORE;

        check_line(&line, bytes, len);
        if (line.part == REQUEST_LINE_DONE)
            result = request_verdict(bytes, len, line.scanned, &want);
        if (line.part == REQUEST_LINE_REFUSED)
            result = NAIVE_BAD;
        if (before != NAIVE_MORE)
            assert_int_equal(result, before);
        if (line.part == REQUEST_LINE_DONE && seen > 0 && before == NAIVE_MORE &&
            !head_recheck(bytes, len, seen, true))
            assert_int_equal(result, NAIVE_MORE);
        if (result != NAIVE_BAD)
            assert_int_equal(result, naive_request(bytes, len, &want));
        else
            assert_int_not_equal(naive_request(bytes, len, &want), NAIVE_WHOLE);
        before = result;
        seen = line.part == REQUEST_LINE_DONE && memchr(bytes, '\n', len) ? len : 0;
    }
}

static enum naive response_verdict(const char *bytes, size_t len, bool head_method, enum hop_side side)
{
    struct response r;
    struct response_framing framing;
    struct naive_response want;
    enum head_result result = response_parse(bytes, len, side, &r);
    enum naive expected = naive_response(bytes, len, head_method, &want);

    if (want.head.len > NAIVE_HEAD_MAX)
        return result == HEAD_DONE ? NAIVE_BAD : (enum naive)result;
    assert_int_equal(result, expected == NAIVE_WHOLE  ? HEAD_DONE
                             : expected == NAIVE_MORE ? HEAD_MORE
                                                      : HEAD_BAD);
    if (result != HEAD_DONE)
        return expected;
    framing = response_frame(&r, head_method);
    assert_int_equal(r.len, want.head.len);
    assert_int_equal(r.lenient, want.head.lenient);
    assert_int_equal(r.status.code, want.code);
    assert_int_equal(r.status.minor, want.minor);
    assert_int_equal((int)framing.kind, (int)want.kind);
    assert_int_equal(framing.untouched, want.untouched);
    assert_int_equal(framing.unsure, want.unsure);
    if (framing.kind == FRAMING_LENGTH)
        assert_int_equal(r.body.length, want.body.length);
    assert_true(want.clean || framing.doubtful || framing.kind == FRAMING_CLOSE);
    return expected;
}

static void check_responses(struct slice input, bool head_method, enum hop_side side)
{
    enum naive before = NAIVE_MORE;
    size_t seen = 0;

    for (size_t len = 1; len <= input.len; len = next_length(len, input.len)) {
        const char *bytes = guard_put(input.data, len, 0);
        enum naive result = response_verdict(bytes, len, head_method, side);

        if (before != NAIVE_MORE)
            assert_int_equal(result, before);
        if (seen >= 8 && before == NAIVE_MORE && !head_recheck(bytes, len, seen, false))
            assert_int_equal(result, NAIVE_MORE);
        before = result;
        seen = len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fuzz_input input;

    fuzz_read(&input, data, len);
    for (size_t i = 0; i < input.turns; i++)
        if (i % 2 == 0)
            check_requests(input.turn[i]);
        else
            check_responses(input.turn[i], input.seed & 1,
                            input.seed & 2 ? HOP_RESPONSE_10 : HOP_RESPONSE_11);
    return 0;
}
