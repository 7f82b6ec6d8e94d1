/* SPDX-License-Identifier: ISC */
/* An exchange whose one-shot requests are adapted: its outputs, state and ends do not depend on how the
 * input is cut, and both sides get what want.h says. */
#define _GNU_SOURCE
#include "want.h"

static struct play plays[FUZZ_CUTS];
static struct play_buffer client_room, server_room, wanted;

static void same_text(const char *what, const struct play_buffer *got, struct slice want)
{
    if (got->len != want.len || memcmp(got->data, want.data, want.len) != 0)
        fail_msg("%s\n--- got\n%.*s\n--- want\n%.*s\n---", what, (int)got->len, got->data, (int)want.len,
                 want.data);
}

/* After the same turn. */
static void same_state(const struct play *a, const struct play *b)
{
    assert_int_equal(a->x.kind, b->x.kind);
    assert_int_equal(exchange_verdict(&a->x), exchange_verdict(&b->x));
    assert_int_equal(play_outcome_of(a), play_outcome_of(b));
    assert_int_equal(a->asked_close, b->asked_close);
    assert_int_equal(exchange_answered(&a->x), exchange_answered(&b->x));
    assert_int_equal(exchange_request_done(&a->x), exchange_request_done(&b->x));
    assert_int_equal(exchange_cut_short(&a->x), exchange_cut_short(&b->x));
    assert_int_equal(exchange_body_left(&a->x), exchange_body_left(&b->x));
    assert_int_equal(exchange_in_head(&a->x), exchange_in_head(&b->x));
    assert_int_equal(a->client_kept.len, b->client_kept.len);
    assert_int_equal(a->server_kept.len, b->server_kept.len);
    same_text("to the client", &a->to_client, (struct slice){ b->to_client.data, b->to_client.len });
    if (a->x.kind == EXCHANGE_UNDECIDED || a->x.kind == EXCHANGE_OPAQUE)
        return;
    assert_memory_equal(&a->x.request, &b->x.request, sizeof(a->x.request));
    assert_int_equal(exchange_request_left(&a->x), exchange_request_left(&b->x));
    assert_int_equal(a->x.keep_timeout, b->x.keep_timeout);
    assert_int_equal(a->x.keep_max, b->x.keep_max);
    assert_int_equal(a->x.promised, b->x.promised);
}

static struct exchange_reply server_shown(const struct play *p, const struct play_buffer *b, size_t len)
{
    struct exchange copy = p->x;

    return exchange_server(&copy, guard_put(b->data, len, EXCHANGE_RESPONSE_GROWTH), len);
}

/* exchange_head_end says after which byte exchange_server has something for the client. */
static void head_end_holds(const struct play *p, struct slice more)
{
    static struct play_buffer b;
    struct exchange_reply reply;
    size_t end;

    if (!exchange_in_head(&p->x) || more.len == 0)
        return;
    b.len = 0;
    play_append(&b, p->server_kept.data, p->server_kept.len);
    play_append(&b, more.data, more.len);
    end = exchange_head_end(&p->x, guard_put(b.data, b.len, 0), b.len);
    reply = server_shown(p, &b, b.len);
    if (end == 0)
        assert_true(reply.out == 0);
    else
        assert_true(reply.out > 0 || reply.flow != EXCHANGE_MORE);
    if (end == 0 || end == b.len)
        return;
    reply = server_shown(p, &b, end);
    assert_true(reply.used == end && reply.out > 0);
    size_t whole = reply.out;
    reply = server_shown(p, &b, end - 1);
    assert_true(reply.flow == EXCHANGE_MORE && reply.out < whole); /* interim responses before it are the client's */
}

static struct exchange_reply edited(struct exchange *x, struct slice bytes, struct play_buffer *out)
{
    char *input = guard_put(bytes.data, bytes.len, EXCHANGE_RESPONSE_GROWTH);
    struct exchange_reply reply = exchange_server(x, input, bytes.len);

    out->len = 0;
    play_append(out, input, reply.out);
    return reply;
}

/* Half a head that the client saw nothing of can be forgotten: a replay's response is like a first one. */
static void forgets(const struct exchange *x, struct slice half, struct slice replay)
{
    static struct play_buffer first_out, again_out;
    struct exchange first = *x, again = *x;
    struct exchange_reply reply;

    if (!exchange_in_head(x) || exchange_answered(x) || half.len == 0)
        return;
    reply = edited(&again, half, &again_out);
    if (reply.flow != EXCHANGE_MORE || reply.out > 0 || exchange_verdict(&again) != REASON_none)
        return;
    assert_true(exchange_answered(&again));
    exchange_unanswered(&again);
    assert_false(exchange_answered(&again));
    reply = edited(&again, replay, &again_out);
    assert_int_equal(edited(&first, replay, &first_out).flow, reply.flow);
    same_text("after half a head", &again_out, (struct slice){ first_out.data, first_out.len });
    assert_int_equal(exchange_verdict(&again), exchange_verdict(&first));
    assert_int_equal(exchange_decoded(&again), exchange_decoded(&first));
}

static void before_server(const struct fuzz_input *input, struct slice turn)
{
    static const struct slice brief =
        S("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nno line feed in all that is to come");
    const struct play *p = &plays[FUZZ_WHOLE];
    struct slice half = { turn.data, input->seed % (turn.len + 1) };

    head_end_holds(p, turn);
    forgets(&p->x, half, turn);
    forgets(&p->x, half, brief);
}

static void play_turns(const struct fuzz_input *input)
{
    for (int cut = 0; cut < FUZZ_CUTS; cut++) {
        plays[cut].observes = false;
        play_start(&plays[cut]);
    }
    for (size_t i = 0; i < input->turns; i++) {
        if (i % 2)
            before_server(input, input->turn[i]);
        for (int cut = 0; cut < FUZZ_CUTS; cut++) {
            fuzz_feed(&plays[cut], i % 2 ? play_server : play_client, input->turn[i], (enum fuzz_cut)cut,
                      input->seed + i);
            same_state(&plays[0], &plays[cut]);
        }
    }
    for (int cut = 0; cut < FUZZ_CUTS; cut++) {
        play_finish(&plays[cut]);
        same_text("to the server", &plays[cut].to_server,
                  (struct slice){ plays[0].to_server.data, plays[0].to_server.len });
    }
}

/* What the client said before it heard anything. */
static struct slice first_words(const struct fuzz_input *input, struct slice client)
{
    struct slice words = { client.data, 0 };

    for (size_t i = 0; i < input->turns; i++)
        if (i % 2 == 0)
            words.len += input->turn[i].len;
        else if (input->turn[i].len > 0)
            break;
    return words;
}

static void check_end(const struct want *e, bool request_clean, size_t server_len)
{
    const struct play *whole = &plays[FUZZ_WHOLE], *bytes = &plays[FUZZ_BYTES];
    bool ended = whole->ended_at > 0;

    assert_int_equal(ended, e->end > 0);
    if (server_len <= 4096)
        assert_int_equal(bytes->ended_at, e->end);
    if (!e->maybe_broken)
        assert_int_equal(whole->broken, e->broken);
    assert_int_equal(exchange_decoded(&whole->x), e->decoded && ended);
    if (e->decoded && !ended)
        assert_true(exchange_cut_short(&whole->x));
    if (!e->decoded)
        assert_false(exchange_cut_short(&whole->x));
    if (e->left > 0)
        assert_int_equal(exchange_body_left(&whole->x), e->left);
    if (ended && exchange_verdict(&whole->x) == REASON_none)
        assert_true(e->clean && request_clean);
}

static bool is_blank(char c)
{
    return c && strchr(" \t\v\f\x1c\x1d\x1e\x1f\x85\xa0", c);
}

/* A line that begins with a token and a blank, or a version anywhere. */
static bool hides_request(struct slice body)
{
    for (size_t i = 0; i < body.len; i++) {
        size_t at = i, token;

        if (is_blank(body.data[i]) && body.len - i > 5 && memcmp(body.data + i + 1, "HTTP/", 5) == 0)
            return true;
        if (i > 0 && body.data[i - 1] != '\r' && body.data[i - 1] != '\n')
            continue;
        while (at < body.len && is_blank(body.data[at]))
            at++;
        for (token = at; at < body.len && naive_token((struct slice){ body.data + at, 1 });)
            at++;
        if (at > token && at < body.len && is_blank(body.data[at]))
            return true;
    }
    return false;
}

static bool has_body(const char *method)
{
    return !strstr(" GET HEAD OPTIONS TRACE DELETE PURGE ", method);
}

/* What the client said before it heard anything: is that the whole of a request that can be adapted? */
static bool is_safe(const struct naive_request *r, struct slice words)
{
    static char data[FUZZ_ROOM];
    struct slice body = { words.data + r->head.len, words.len - r->head.len }, value;
    bool expects = r->minor == 1 && naive_count(&r->head, "expect", &value) > 0;
    struct naive_chunks c;
    char method[12] = "";

    if (r->kind == NAIVE_NONE) {
        if (r->method.len < sizeof method - 2)
            snprintf(method, sizeof method, " %.*s ", (int)r->method.len, r->method.data);
        return method[0] && !has_body(method);
    }
    if (r->kind == NAIVE_LENGTH) {
        if ((expects && r->body.length > 0) || r->body.length > body.len ||
            r->head.len + r->body.length > EXCHANGE_HEAD_MAX)
            return false;
        body.len = r->body.length;
        return !hides_request(body);
    }
    naive_chunked(body.data, body.len, data, &c);
    body.len = c.used;
    return !expects && c.result == NAIVE_WHOLE && !c.lenient && !hides_request(body);
}

/* Behind the request: a part of what the client sent there, and only what cannot be taken for a request before the
 * server is known to read on. */
static void check_extra(struct slice client, size_t request)
{
    const struct play_buffer *got = &plays[0].to_server;
    size_t extra = got->len - wanted.len;

    assert_true(extra <= client.len - request);
    assert_memory_equal(got->data + wanted.len, client.data + request, extra);
    if (extra > 0)
        assert_true(exchange_verdict(&plays[0].x) != REASON_none);
    if (extra > 0 && exchange_listens(&plays[0].x) != EXCHANGE_LISTENS)
        assert_false(hides_request((struct slice){ client.data + request, extra }));
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void check_adapted(struct slice client, struct slice server, const struct naive_request *request)
{
    static struct want e;
    bool request_clean;

    memset(&e, 0, sizeof(e));
    e.out = &wanted;
    wanted.len = 0;
    want_request_head(&wanted, client.data, request);
    size_t head = wanted.len;
    request_clean = want_request_body(
        &wanted, (struct slice){ client.data + request->head.len, client.len - request->head.len }, request);
    assert_true(plays[0].to_server.len >= wanted.len);
    assert_memory_equal(plays[0].to_server.data, wanted.data, wanted.len);
    check_extra(client, request->head.len + wanted.len - head);
    if (request->kind == NAIVE_LENGTH)
        assert_int_equal(exchange_request_left(&plays[0].x),
                         request->body.length -
                             smaller(request->body.length, client.len - request->head.len));
    want_server(&e, server, request);
    same_text("to the client, against what is expected", &plays[0].to_client,
              (struct slice){ wanted.data, wanted.len });
    check_end(&e, request_clean, server.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fuzz_input input;
    struct naive_request request;
    struct slice client, server, words;
    bool touched;

    fuzz_read(&input, data, len);
    client = fuzz_side(&input, 0, &client_room);
    server = fuzz_side(&input, 1, &server_room);
    play_turns(&input);
    words = first_words(&input, client);
    touched = naive_request(words.data, words.len, &request) == NAIVE_WHOLE && request.one_shot &&
              is_safe(&request, words);
    assert_int_equal(plays[0].x.kind == EXCHANGE_ADAPTED, touched);
    if (touched) {
        check_adapted(client, server, &request);
    } else {
        same_text("to the server, untouched", &plays[0].to_server, client);
        same_text("to the client, untouched", &plays[0].to_client, server);
        assert_true(plays[0].ended_at == 0 && !plays[0].broken && !plays[0].asked_close);
    }
    return 0;
}
