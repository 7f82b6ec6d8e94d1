/* SPDX-License-Identifier: ISC */
/* What comes out must not depend on how the input was cut: conversations made at random from pieces
 * that matter, whole, byte by byte and cut at random, compared.  The seed is fixed. */
#include "talk.h"

#define ROUNDS 4000
#define MESSAGES 6

static const struct slice request_pieces[] = {
    S("GET / HTTP/1.0\r\n"),
    S("POST /a HTTP/1.1\r\n"),
    S("HEAD http://h/ HTTP/1.0\r\n"),
    S("Host: a\r\n"),
    S("Connection: close\r\n"),
    S("Connection: x, keep-alive\r\n"),
    S("Content-Length: 5\r\n"),
    S("Transfer-Encoding: chunked\r\n"),
    S("X: y\r\n"),
    S("Upgrade: h2c\r\n"),
    S("\r\n"),
    S("\r\n"),
    S("5\r\nabcde\r\n0\r\n\r\n"),
    S("0\r\n\r\n"),
    S("12345"),
};

static const struct slice response_pieces[] = {
    S("HTTP/1.1 200 OK\r\n"),
    S("HTTP/1.0 200 OK\r\n"),
    S("HTTP/1.1 100 \r\n\r\n"),
    S("HTTP/1.1 101 \r\n\r\n"),
    S("HTTP/1.1 204 x\r\n"),
    S("Connection: x, keep-alive\r\n"),
    S("Connection:\r\n"),
    S("Connection: close\r\n"),
    S("Keep-Alive: timeout=5\r\n"),
    S("Content-Length: 5\r\n"),
    S("Content-Length: 4\r\n"),
    S("Transfer-Encoding: chunked\r\n"),
    S("Transfer-Encoding: chunked\r\n\r\n"),
    S("X: y\r\n"),
    S("X: a long value, one that takes the fast way\r\n"),
    S("\r\n"),
    S("\r\n"),
    S("5\r\nabcde\r\n"),
    S("0\r\n\r\n"),
    S("0\r\nX: y\r\n\r\n"),
    S("12345"),
};

/* Half of the conversations begin with one of these, or too few would reach the response. */
static const struct slice adapted[] = {
    S("GET / HTTP/1.0\r\n\r\n"),
    S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    S("HEAD / HTTP/1.0\r\n\r\n"),
};

static uint64_t seed = 0x9e3779b97f4a7c15u;

/* xorshift64 */
static size_t below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

static void add(struct play_buffer *b, const struct slice *pieces, size_t count)
{
    struct slice piece = pieces[below(count)];

    play_append(b, piece.data, piece.len);
}

static void mutate(struct play_buffer *b)
{
    static const char odd[] = "\r\n\0 \t:,;xA0f\x80";
    size_t at = below(b->len);

    switch (below(3)) {
    case 0:
        b->data[at] = odd[below(sizeof(odd) - 1)];
        break;
    case 1:
        memmove(b->data + at, b->data + at + 1, b->len - at - 1);
        b->len -= b->len > 1;
        break;
    default:
        memmove(b->data + at + 1, b->data + at, b->len - at);
        b->data[at] = odd[below(sizeof(odd) - 1)];
        b->len++;
    }
}

static void make(struct play_buffer *b, const struct slice *pieces, size_t count, size_t starts)
{
    size_t n = 1 + below(8);

    b->len = 0;
    add(b, pieces, starts);
    while (n-- > 0)
        add(b, pieces, count);
    if (below(4) > 0)
        play_append(b, "\r\n", 2);
    while (below(2) == 0)
        add(b, pieces, count);
    if (below(3) == 0)
        mutate(b);
}

static void same_buffer(const struct play_buffer *a, const struct play_buffer *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

static void same(const struct play *a, const struct play *b)
{
    same_buffer(&a->to_server, &b->to_server);
    same_buffer(&a->to_client, &b->to_client);
    assert_int_equal(play_outcome_of(a), play_outcome_of(b));
    assert_int_equal(a->asked_close, b->asked_close);
    assert_int_equal(a->x.kind, b->x.kind);
    assert_int_equal(exchange_verdict(&a->x), exchange_verdict(&b->x));
    assert_int_equal(a->ended_at > 0, b->ended_at > 0);
    assert_int_equal(a->x.keep_timeout, b->x.keep_timeout);
}

static void one_round(size_t reached[])
{
    static struct play_buffer client, server;
    static struct play bytes, other;
    const struct play_cut whole = { 0, 0 }, single = { 1, 1 };
    struct slice in, out;

    make(&client, request_pieces, sizeof(request_pieces) / sizeof(request_pieces[0]), 3);
    if (below(2) == 0) {
        client.len = 0;
        add(&client, adapted, sizeof(adapted) / sizeof(adapted[0]));
    }
    make(&server, response_pieces, sizeof(response_pieces) / sizeof(response_pieces[0]), 5);
    in = (struct slice){ client.data, client.len };
    out = (struct slice){ server.data, server.len };
    play_all(&bytes, in, single, out, single);
    play_all(&other, in, whole, out, whole);
    same(&bytes, &other);
    for (int i = 0; i < 3; i++) {
        play_all(&other, in, (struct play_cut){ 1 + below(in.len), 1 + below(in.len) }, out,
                 (struct play_cut){ 1 + below(out.len), 1 + below(out.len) });
        same(&bytes, &other);
        assert_true(other.ended_at >= bytes.ended_at);
    }
    reached[exchange_verdict(&bytes.x)]++;
}

static void cuts_do_not_matter(void **state)
{
    size_t reached[REASON_count] = { 0 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        one_round(reached);
    for (int i = 0; i < REASON_count; i++)
        if (reached[i] > 0)
            print_message("%s %zu\n", i == REASON_none ? "none" : reason_name(i), reached[i]);
    assert_true(reached[REASON_none] > 20 && reached[REASON_ambiguous_response] > 20);
    assert_true(reached[REASON_bytes_left] > 20 && reached[REASON_server_closes] > 20);
}

/* The state after each turn, and after the last one. */
static void talk_compare(const struct play *a, const struct play *b)
{
    assert_int_equal(talk_state(a), talk_state(b));
    assert_int_equal(talk_kept(a), talk_kept(b));
    assert_int_equal(exchange_verdict(&a->x), exchange_verdict(&b->x));
    assert_int_equal(exchange_answered(&a->x), exchange_answered(&b->x));
    if (a->x.kind != EXCHANGE_OBSERVED)
        return;
    assert_int_equal(exchange_request_done(&a->x), exchange_request_done(&b->x));
    assert_int_equal(exchange_body_left(&a->x), exchange_body_left(&b->x));
    assert_memory_equal(&a->x.request, &b->x.request, sizeof(a->x.request));
    assert_int_equal(a->x.keep_timeout, b->x.keep_timeout);
    assert_int_equal(a->x.keep_max, b->x.keep_max);
}

static struct play_cut random_cut(size_t len)
{
    return (struct play_cut){ 1 + below(len), 1 + below(len) };
}

/* Turns of anything: after each one it must not matter how it was cut. */
static void one_wild_talk(size_t reached[])
{
    static struct play_buffer said;
    static struct play plays[4];
    static const struct slice tame[] = {
        S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"),
    };
    size_t turns = 2 + below(5);

    for (size_t i = 0; i < 4; i++) {
        plays[i].observes = true;
        play_start(&plays[i]);
    }
    for (size_t turn = 0; turn < turns; turn++) {
        struct talk_turn t = { turn % 2 ? 's' : 'c', { said.data, 0 } };

        if (turn % 2)
            make(&said, response_pieces, sizeof(response_pieces) / sizeof(response_pieces[0]), 5);
        else
            make(&said, request_pieces, sizeof(request_pieces) / sizeof(request_pieces[0]), 3);
        if (below(3) > turn % 2) {
            said.len = 0;
            add(&said, &tame[turn % 2], 1);
        }
        t.bytes.len = said.len;
        for (size_t i = 0; i < 4; i++) {
            talk_turn(&plays[i], &t,
                      i == 0   ? (struct play_cut){ 0, 0 }
                      : i == 1 ? (struct play_cut){ 1, 1 }
                               : random_cut(said.len));
            talk_compare(&plays[0], &plays[i]);
        }
    }
    reached[exchange_verdict(&plays[0].x)]++;
}

static void wild_talks(void **state)
{
    size_t reached[REASON_count] = { 0 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        one_wild_talk(reached);
    assert_true(reached[REASON_none] > 20 && reached[REASON_ambiguous_response] > 20);
    assert_true(reached[REASON_bytes_left] > 20 && reached[REASON_ambiguous_request] > 20);
}

/* A request and answers to it that end by themselves; the last few of each end the following. */
struct talk_pair {
    struct slice request, answers[6];
};

static const struct talk_pair pairs[] = {
    { S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
      { S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"),
        S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX: y\r\n\r\n"),
        S("HTTP/1.1 102 x\r\n\r\nHTTP/1.1 304 x\r\nContent-Length: 9\r\nKeep-Alive: timeout=9\r\n\r\n"),
        S("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
        S("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        S("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\n\r\nx") } },
    { S("\r\nHEAD / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n"),
      { S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), S("HTTP/1.1 200 OK\r\n\r\n"),
        S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\n\r\n"),
        S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345") } },
    { S("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
      { S("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"),
        S("HTTP/1.1 200 OK\r\nKeep-Alive: max=4\r\nContent-Length: 2\r\n\r\nab"),
        S("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), S("HTTP/1.1 200 OK\r\n\r\nabc"), S("oops\r\n") } },
    { S("PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc"),
      { S("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab"),
        S("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n"),
        S("HTTP/1.1 204 x\r\nConnection: keep-alive\r\n\r\n"),
        S("HTTP/1.0 304 x\r\nConnection: keep-alive\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"),
        S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc") } },
    { S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: NTLM x\r\n\r\n"),
      { S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"),
        S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 101 x\r\n\r\n") } },
    { S("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n"),
      { S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 204 x\r\n\r\n"),
        S("HTTP/1.1 204 x\r\n\r\n"), S("HTTP/1.1 101 x\r\n\r\n"), S("HTTP/1.1 101 x\r\n\r\n") } },
};

/* Both directions of a conversation.  asked[i]: the client's bytes that must have been sent before the
 * server's byte answered[i] - 1. */
struct talk_script {
    struct play_buffer client, server;
    size_t count, asked[MESSAGES], answered[MESSAGES];
};

static void write_script(struct talk_script *script)
{
    bool pleasant = below(3) > 0;

    script->client.len = script->server.len = 0;
    script->count = 1 + below(MESSAGES);
    for (size_t i = 0; i < script->count; i++) {
        const struct talk_pair *pair = &pairs[i && !pleasant ? below(6) : below(4)];
        const struct slice *answer = &pair->answers[i + 1 < script->count || pleasant ? below(4) : below(6)];
        size_t skip = i == 0 && pair->request.data[0] == '\r' ? 2 : 0;

        play_append(&script->client, pair->request.data + skip, pair->request.len - skip);
        play_append(&script->server, answer->data, answer->len);
        script->asked[i] = script->client.len;
        script->answered[i] = script->server.len;
    }
}

/* How many of the server's bytes can be there after `sent` of the client's. */
static size_t server_may(const struct talk_script *script, size_t sent)
{
    size_t may = 0;

    for (size_t i = 0; i < script->count && script->asked[i] <= sent; i++)
        may = script->answered[i];
    return may;
}

/* Any interleaving must come to what is reached if the client's bytes come first, at every point. */
static bool one_interleaving(const struct talk_script *script)
{
    static struct play straight, mixed;
    size_t sent = 0, got = 0;

    straight.observes = mixed.observes = true;
    play_start(&mixed);
    while (sent < script->client.len || got < script->server.len) {
        size_t step = 1 + below(below(4) ? 12 : 200), may = server_may(script, sent);

        if (below(2) && sent < script->client.len) {
            step = step < script->client.len - sent ? step : script->client.len - sent;
            play_client(&mixed, script->client.data + sent, step);
            sent += step;
        } else if (got < may) {
            step = step < may - got ? step : may - got;
            play_server(&mixed, script->server.data + got, step);
            got += step;
        }
        if (sent == 0)
            continue;
        play_start(&straight);
        play_client(&straight, script->client.data, sent);
        if (got > 0)
            play_server(&straight, script->server.data, got);
        talk_compare(&straight, &mixed);
    }
    return exchange_idle(&mixed.x) && exchange_verdict(&mixed.x) == REASON_none;
}

static void interleavings(void **state)
{
    static struct talk_script script;
    int parkable = 0;

    (void)state;
    for (int i = 0; i < ROUNDS / 2; i++) {
        write_script(&script);
        parkable += one_interleaving(&script);
    }
    print_message("parkable %d\n", parkable);
    assert_in_range(parkable, ROUNDS / 4, ROUNDS / 2 - ROUNDS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(wild_talks),
        cmocka_unit_test(interleavings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
