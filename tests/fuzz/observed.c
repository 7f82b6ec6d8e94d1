/* SPDX-License-Identifier: ISC */
/* An observed conversation: its state after each turn does not depend on how the input is cut, not a byte
 * changes, and a connection that may be parked is one whose both streams can be read in one way only. */
#define _GNU_SOURCE
#include "input.h"
#include "message.h"

static struct play plays[FUZZ_CUTS];
static struct play_buffer client_room, server_room;

static void same_state(const struct play *a, const struct play *b)
{
    assert_int_equal(a->x.kind, b->x.kind);
    assert_int_equal(exchange_verdict(&a->x), exchange_verdict(&b->x));
    assert_int_equal(exchange_answered(&a->x), exchange_answered(&b->x));
    assert_int_equal(exchange_idle(&a->x), exchange_idle(&b->x));
    assert_int_equal(exchange_outstanding(&a->x), exchange_outstanding(&b->x));
    if (a->x.kind != EXCHANGE_OBSERVED)
        return;
    assert_int_equal(a->server_kept.len, b->server_kept.len);
    assert_int_equal(exchange_request_done(&a->x), exchange_request_done(&b->x));
    assert_int_equal(exchange_idempotent(&a->x), exchange_idempotent(&b->x));
    assert_int_equal(exchange_body_left(&a->x), exchange_body_left(&b->x));
    assert_memory_equal(&a->x.request, &b->x.request, sizeof(a->x.request));
    assert_int_equal(exchange_request_left(&a->x), exchange_request_left(&b->x));
    assert_int_equal(a->x.keep_timeout, b->x.keep_timeout);
    assert_int_equal(a->x.keep_max, b->x.keep_max);
    assert_int_equal(a->x.promised, b->x.promised);
}

/* Nothing is edited, so nothing is owed to the client and nothing asked of the server. */
static void never_interferes(struct play *p)
{
    assert_false(exchange_in_head(&p->x) || exchange_cut_short(&p->x) || exchange_asks_close(&p->x));
    assert_true(exchange_outstanding(&p->x) <= EXCHANGE_PIPELINE_MAX);
    if (exchange_idle(&p->x))
        assert_true(exchange_outstanding(&p->x) == 0 && exchange_answered(&p->x) &&
                    exchange_request_done(&p->x) && exchange_body_left(&p->x) == 0 &&
                    p->server_kept.len == 0 && p->client_kept.len == 0);
}

/* A reader of both streams, one exchange after the other. */
struct reader {
    struct slice client, server;
    bool idempotent;
};

static void advance(struct slice *s, size_t n)
{
    s->data += n;
    s->len -= n;
}

/* A body that is there to its end, and in one way only. */
static bool read_body(struct slice *s, enum naive_kind kind, uint64_t length)
{
    static char data[FUZZ_ROOM];
    struct naive_chunks c;

    if (kind == NAIVE_CLOSE || (kind == NAIVE_LENGTH && length > s->len))
        return false;
    if (kind == NAIVE_CHUNKED) {
        naive_chunked(s->data, s->len, data, &c);
        advance(s, c.used);
        return c.result == NAIVE_WHOLE && !c.lenient;
    }
    advance(s, kind == NAIVE_LENGTH ? (size_t)length : 0);
    return true;
}

static bool read_request(struct reader *r, struct naive_request *request)
{
    if (naive_request(r->client.data, r->client.len, request) != NAIVE_WHOLE || request->options.close)
        return false;
    advance(&r->client, request->head.len);
    r->idempotent &= !slice_equal(request->method, SLICE("POST"));
    return read_body(&r->client, request->kind, request->body.length);
}

static bool read_response(struct reader *r, const struct naive_request *request)
{
    struct naive_response response;
    bool head_method = slice_equal(request->method, SLICE("HEAD"));

    do {
        if (naive_response(r->server.data, r->server.len, head_method, &response) != NAIVE_WHOLE)
            return false;
        advance(&r->server, response.head.len);
    } while (naive_interim(&response) && response.clean);
    if (!naive_persists(&response) || response.code == 101 ||
        (request->minor == 0 && !response.options.keep_alive))
        return false;
    return read_body(&r->server, response.kind, response.body.length);
}

/* Servers skip empty lines before a request (9112 2.2); behind the last one, they may be waiting for more. */
static void skip_empty(struct slice *s)
{
    while (s->len > 0 && (*s->data == '\r' || *s->data == '\n'))
        advance(s, 1);
}

static bool read_all(struct reader *r)
{
    for (;; skip_empty(&r->client)) {
        struct naive_request request;

        if (!read_request(r, &request) || !read_response(r, &request))
            return false;
        if (r->client.len == 0)
            return r->server.len == 0;
    }
}

/* After each turn, on what was said so far. */
static void check_parkable(const struct play *p)
{
    struct reader r = { { p->to_server.data, p->to_server.len },
                        { p->to_client.data, p->to_client.len },
                        true };

    if (!exchange_idle(&p->x) || exchange_verdict(&p->x) != REASON_none)
        return;
    assert_true(read_all(&r));
    if (exchange_idempotent(&p->x))
        assert_true(r.idempotent);
}

static void same_text(const struct play_buffer *got, struct slice want)
{
    assert_int_equal(got->len, want.len);
    assert_memory_equal(got->data, want.data, want.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fuzz_input input;
    struct slice client, server;

    fuzz_read(&input, data, len);
    client = fuzz_side(&input, 0, &client_room);
    server = fuzz_side(&input, 1, &server_room);
    for (int cut = 0; cut < FUZZ_CUTS; cut++) {
        plays[cut].observes = true;
        play_start(&plays[cut]);
    }
    for (size_t i = 0; i < input.turns; i++)
        for (int cut = 0; cut < FUZZ_CUTS; cut++) {
            fuzz_feed(&plays[cut], i % 2 ? play_server : play_client, input.turn[i], (enum fuzz_cut)cut,
                      input.seed + i);
            same_state(&plays[0], &plays[cut]);
            never_interferes(&plays[cut]);
            check_parkable(&plays[cut]);
        }
    for (int cut = 0; cut < FUZZ_CUTS; cut++) {
        play_finish(&plays[cut]);
        same_text(&plays[cut].to_server, client);
        same_text(&plays[cut].to_client, server);
    }
    return 0;
}
