/* What comes out must not depend on how the input was cut: conversations made at random from pieces
 * that matter, whole, byte by byte and cut at random, compared.  The seed is fixed. */
#include "unit_http_play.h"

#define ROUNDS 4000

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
