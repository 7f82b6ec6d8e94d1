/* SPDX-License-Identifier: ISC */
/* framing: a body's end, its verdict and what is decoded do not depend on how it is cut, and are what
 * message.h reads. */
#define _GNU_SOURCE
#include "input.h"
#include "message.h"

/* What came of a body. */
struct followed {
    uint64_t seed; /* of the cuts */
    struct framing f;
    enum framing_result result;
    size_t used;
    struct play_buffer out;
};

static enum framing_result follow_piece(struct followed *body, bool decode, const char *bytes, size_t len)
{
    char *input = guard_put(bytes, len, 0);
    enum framing_result result;
    size_t used = SIZE_MAX, out = 0;

    if (decode)
        result = framing_decode(&body->f, input, len, &used, &out);
    else
        result = framing_follow(&body->f, input, len, &used);
    assert_true(used <= len && out <= used);
    if (!decode)
        assert_memory_equal(input, bytes, len);
    if (result == FRAMING_MORE)
        assert_int_equal(used, len);
    body->used += used;
    play_append(&body->out, input, out);
    return result;
}

static void follow(struct followed *body, enum framing_kind kind, bool decode, struct slice bytes,
                   enum fuzz_cut cut)
{
    uint64_t seed = body->seed, length = bytes.len ? seed % (2 * bytes.len) : 0;

    body->used = body->out.len = 0;
    framing_start(&body->f, kind, length);
    body->result = FRAMING_MORE;
    for (size_t at = 0, n; at < bytes.len && body->result == FRAMING_MORE; at += n) {
        n = fuzz_piece(cut, &seed, bytes.len, bytes.len - at);
        body->result = follow_piece(body, decode, bytes.data + at, n);
    }
    if (bytes.len > 0 && kind == FRAMING_LENGTH) {
        assert_int_equal(body->used, length < bytes.len ? length : bytes.len);
        assert_int_equal(body->f.left, length - body->used);
        assert_int_equal(body->result, length > bytes.len ? FRAMING_MORE : FRAMING_DONE);
    }
}

static void same(const struct followed *a, const struct followed *b, bool outputs)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->f.lenient, b->f.lenient);
    assert_int_equal(a->f.left, b->f.left);
    assert_int_equal(a->f.state, b->f.state);
    if (!outputs)
        return;
    assert_int_equal(a->out.len, b->out.len);
    assert_memory_equal(a->out.data, b->out.data, a->out.len);
}

static void check_chunks(const struct followed *decoded, struct slice bytes)
{
    static char data[FUZZ_ROOM];
    struct naive_chunks c;

    naive_chunked(bytes.data, bytes.len, data, &c);
    assert_int_equal(decoded->out.len, c.out);
    assert_memory_equal(decoded->out.data, data, c.out);
    if (!c.unsure)
        assert_int_equal(decoded->result, c.result == NAIVE_WHOLE  ? FRAMING_DONE
                                          : c.result == NAIVE_MORE ? FRAMING_MORE
                                                                   : FRAMING_BAD);
    if (c.result != NAIVE_WHOLE)
        assert_int_not_equal(decoded->result, FRAMING_DONE);
    if (c.result == NAIVE_WHOLE) {
        assert_int_equal(decoded->used, c.used);
        assert_int_equal(decoded->f.lenient, c.lenient);
    }
}

static void check_body(struct slice bytes, uint64_t seed)
{
    static struct followed decoded[2], plain[2];

    decoded[0].seed = decoded[1].seed = plain[0].seed = plain[1].seed = seed;
    for (int cut = 0; cut < FUZZ_CUTS; cut++) {
        struct followed *now = &decoded[cut > 0];

        follow(now, FRAMING_CHUNKED, true, bytes, (enum fuzz_cut)cut);
        same(&decoded[0], now, true);
        for (enum framing_kind kind = FRAMING_NONE; kind <= FRAMING_CLOSE; kind++) {
            follow(&plain[0], kind, false, bytes, FUZZ_WHOLE);
            follow(&plain[1], kind, false, bytes, (enum fuzz_cut)cut);
            same(&plain[0], &plain[1], false);
            if (kind == FRAMING_CHUNKED)
                same(&decoded[0], &plain[1], false);
        }
    }
    check_chunks(&decoded[0], bytes);
}

/* The body of each turn, or all of it where there is no head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fuzz_input input;

    fuzz_read(&input, data, len);
    for (size_t i = 0; i < input.turns; i++) {
        struct slice turn = input.turn[i];
        const char *blank = memmem(turn.data, turn.len, "\r\n\r\n", 4);
        size_t head = blank ? (size_t)(blank + 4 - turn.data) : 0;

        check_body((struct slice){ turn.data + head, turn.len - head }, input.seed);
    }
    return 0;
}
