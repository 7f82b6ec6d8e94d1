/* SPDX-License-Identifier: ISC */
/* What an exchange answers about itself, and what no row of a table can say. */
#include "play.h"

static struct play p;

static const struct play_cut whole;

#define FEED(feed, literal) feed(&p, literal, sizeof(literal) - 1)

static void start(const char *request)
{
    play_start(&p);
    play_client(&p, request, strlen(request));
    assert_int_equal(p.x.kind, EXCHANGE_ADAPTED);
}

/* Adapted, but the socket took only so many bytes of the body. */
static void start_in_part(const char *request, size_t body)
{
    static char out[1024];
    size_t len = strlen(request);
    struct exchange_step step;

    play_start(&p);
    step = exchange_client(&p.x, request, len);
    assert_int_equal(step.action, EXCHANGE_HEAD);
    exchange_adapt(&p.x, request, step.take, SLICE("a"), out);
    if (body > 0)
        exchange_client(&p.x, request + step.take, body);
}

static bool client_got(const char *text)
{
    return p.to_client.len == strlen(text) && memcmp(p.to_client.data, text, p.to_client.len) == 0;
}

static void knows_how_far_it_is(void **state)
{
    (void)state;
    start_in_part("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 1);
    assert_false(exchange_request_done(&p.x));
    FEED(play_client, "bc");
    assert_true(exchange_request_done(&p.x));
    assert_true(exchange_in_head(&p.x));
    assert_false(exchange_answered(&p.x));
    assert_int_equal(exchange_body_left(&p.x), UINT64_MAX);
    FEED(play_server, "H");
    assert_true(exchange_answered(&p.x));
    assert_true(exchange_in_head(&p.x));
    FEED(play_server, "TTP/1.1 200 OK\r\nKeep-Alive: timeout=7, max=3\r\nContent-Length: 5\r\n\r\n12");
    assert_false(exchange_in_head(&p.x));
    assert_int_equal(exchange_body_left(&p.x), 3);
    assert_false(exchange_cut_short(&p.x));
    assert_int_equal(p.x.keep_timeout, 7);
    assert_int_equal(p.x.keep_max, 3);
    FEED(play_server, "345");
    assert_int_equal(exchange_body_left(&p.x), 0);
    assert_true(p.ended_at > 0);
    assert_int_equal(exchange_verdict(&p.x), REASON_none);
    FEED(play_server, "late");
    assert_int_equal(exchange_verdict(&p.x), REASON_bytes_left);
}

/* What the kernel moves for the client, and nobody has looked at. */
static void body_that_passes_unseen(void **state)
{
    (void)state;
    start("GET / HTTP/1.0\r\n\r\n");
    assert_false(exchange_passes_unseen(&p.x));
    FEED(play_server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1");
    assert_true(exchange_passes_unseen(&p.x));
    struct exchange_reply reply = exchange_server(&p.x, NULL, 3);
    assert_int_equal(reply.flow, EXCHANGE_DATA);
    assert_int_equal(reply.out, 3);
    reply = exchange_server(&p.x, NULL, 1);
    assert_int_equal(reply.flow, EXCHANGE_END);
    assert_false(exchange_passes_unseen(&p.x));
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_false(exchange_passes_unseen(&p.x));
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_true(exchange_passes_unseen(&p.x));
    assert_int_equal(exchange_server(&p.x, NULL, 9).flow, EXCHANGE_DATA);
}

static void cut_short_only_if_decoded(void **state)
{
    (void)state;
    start("GET / HTTP/1.0\r\n\r\n");
    assert_false(exchange_cut_short(&p.x));
    FEED(play_server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    assert_true(exchange_cut_short(&p.x));
    assert_int_equal(exchange_body_left(&p.x), UINT64_MAX);
    FEED(play_server, "cde\r\n0\r\n");
    assert_true(exchange_cut_short(&p.x));
    FEED(play_server, "\r\n");
    assert_false(exchange_cut_short(&p.x));
    start("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    assert_false(exchange_cut_short(&p.x));
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx");
    assert_true(p.broken && exchange_cut_short(&p.x));
    FEED(play_server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_true(client_got("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
}

static void answer_before_the_whole_request(void **state)
{
    (void)state;
    start_in_part("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 1);
    FEED(play_server, "HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n");
    assert_true(p.ended_at > 0);
    assert_int_equal(exchange_verdict(&p.x), REASON_request_unfinished);
}

static void asks_close_after_the_request(void **state)
{
    (void)state;
    start_in_part("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 1);
    FEED(play_server, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    assert_false(p.asked_close);
    FEED(play_client, "bc");
    assert_true(exchange_asks_close(&p.x));
    assert_false(exchange_asks_close(&p.x));
}

static void is_over_perhaps(void **state)
{
    (void)state;
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_true(exchange_over_perhaps(&p.x));
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    assert_false(exchange_over_perhaps(&p.x));
    start("GET / HTTP/1.0\r\n\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_false(exchange_over_perhaps(&p.x));
}

static void swallows_only_so_many_interims(void **state)
{
    static const char interim[] = "HTTP/1.1 102 x\r\n\r\n";

    (void)state;
    start("GET / HTTP/1.0\r\n\r\n");
    for (int i = 0; i < 64; i++)
        FEED(play_server, interim);
    assert_int_equal(p.to_client.len, 0);
    assert_int_equal(exchange_verdict(&p.x), REASON_none);
    FEED(play_server, interim);
    FEED(play_server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_true(client_got("HTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
    assert_int_equal(exchange_verdict(&p.x), REASON_ambiguous_response);
    assert_true(p.asked_close);
    start("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 300; i++)
        FEED(play_server, interim);
    FEED(play_server, "HTTP/1.1 204 x\r\n\r\n");
    assert_int_equal(exchange_verdict(&p.x), REASON_none);
    assert_true(p.ended_at > 0);
}

static void head_of_a_response_too_long(void **state)
{
    static char head[EXCHANGE_HEAD_MAX + 1];

    (void)state;
    for (size_t len = EXCHANGE_HEAD_MAX - 1; len <= EXCHANGE_HEAD_MAX + 1; len++) {
        memset(head, 'a', sizeof(head));
        memcpy(head, "HTTP/1.1 204 x\r\nA: ", 19);
        memcpy(head + len - 4, "\r\n\r\n", 4);
        start("GET / HTTP/1.0\r\n\r\n");
        play_server(&p, head, len);
        if (len <= EXCHANGE_HEAD_MAX) {
            assert_true(p.ended_at > 0);
            assert_int_equal(p.to_client.len, len + EXCHANGE_RESPONSE_GROWTH);
        } else {
            assert_true(p.asked_close);
            assert_int_equal(exchange_verdict(&p.x), REASON_ambiguous_response);
            assert_memory_equal(p.to_client.data, head, len);
        }
    }
}

static void server_that_speaks_first(void **state)
{
    (void)state;
    play_start(&p);
    FEED(play_client, "GET /");
    FEED(play_server, "220 ready\r\n");
    assert_int_equal(p.x.kind, EXCHANGE_OPAQUE);
    assert_int_equal(p.x.reason, REASON_not_http);
    assert_true(client_got("220 ready\r\n"));
    FEED(play_client, " HTTP/1.0\r\n\r\n");
    assert_int_equal(p.to_server.len, 18);
    assert_memory_equal(p.to_server.data, "GET / HTTP/1.0\r\n\r\n", 18);
}

static void released_at_any_time(void **state)
{
    (void)state;
    start("GET / HTTP/1.0\r\n\r\n");
    exchange_release(&p.x, REASON_half_closed);
    FEED(play_client, "\r\n");
    FEED(play_server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(p.x.kind, EXCHANGE_OPAQUE);
    assert_true(client_got("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert_memory_equal(p.to_server.data + p.to_server.len - 2, "\r\n", 2);
    assert_int_equal(p.ended_at, 0);
    assert_false(exchange_in_head(&p.x));
    assert_int_equal(exchange_verdict(&p.x), REASON_half_closed);
}

/* The end of the one head that the client sees something of, for every beginning of the input. */
static void head_ends(const char *request, const char *input, size_t end)
{
    size_t len = strlen(input);

    start(request);
    for (size_t i = 1; i <= len; i++)
        assert_int_equal(exchange_head_end(&p.x, guard_put(input, i, 0), i), i < end ? 0 : end);
}

static void finds_the_head_s_end(void **state)
{
    static const char old[] = "GET / HTTP/1.0\r\n\r\n";
    static const char new[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    (void)state;
    head_ends(old, "HTTP/1.1 200 OK\r\n\r\nbody", 19);
    head_ends(old, "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", 37);
    start(new);
    assert_int_equal(exchange_head_end(&p.x, "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", 36), 18);
    assert_int_equal(exchange_head_end(&p.x, "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", 41), 37);
    start(old);
    assert_int_equal(exchange_head_end(&p.x, "HTTP/1.1 200 OK\r\n: x\r\n", 22), 22);
    assert_int_equal(exchange_head_end(&p.x, "oops", 4), 4);
    FEED(play_server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(exchange_head_end(&p.x, "HTTP", 4), 4);
}

/* A send that took only some of the bytes: look with a copy, count with the original. */
static void counts_what_was_accepted(void **state)
{
    static const char body[] = "abcdef";
    struct exchange copy;
    struct exchange_step step;

    (void)state;
    start_in_part("POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nabcdef", 0);
    for (size_t at = 0; at < 6; at++) {
        copy = p.x;
        step = exchange_client(&copy, body + at, 6 - at);
        assert_int_equal(step.action, EXCHANGE_PASS);
        assert_int_equal(step.take, 6 - at);
        assert_false(exchange_request_done(&p.x));
        step = exchange_client(&p.x, body + at, 1);
        assert_int_equal(step.take, 1);
    }
    assert_true(exchange_request_done(&p.x));
}

/* What follows the request waits for the head of the answer, unless it cannot be taken for a request. */
static void behind_the_request(void **state)
{
    static const struct {
        const char *extra, *at_once, *answer, *later;
        enum reason verdict;
    } rows[] = {
        { "DELETE / HTTP/1.1\r\n\r\n", "", "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", "", REASON_none },
        { "DELETE / HTTP/1.1\r\n\r\n", "", "HTTP/1.1 200 x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n",
          "DELETE / HTTP/1.1\r\n\r\n", REASON_server_closes },
        { "FOO BAR", "", "HTTP/1.1 200 x\r\n\r\n", "FOO BAR", REASON_no_length },
        { "FOO BAR", "", "HTTP/1.0 200 x\r\nContent-Length: 9\r\n\r\n", "FOO BAR", REASON_server_http10 },
        { "FOO BAR", "", "ICY 200 OK\r\n\r\n", "FOO BAR", REASON_bad_response },
        { "FOO BAR", "", "HTTP/1.1 100 x\r\n\r\n", "", REASON_none },
        { "\r\n\n", "", "ICY 200 OK\r\n\r\n", "\r\n\n", REASON_bad_response },
        { "\r\nFOO", "", "ICY 200 OK\r\n\r\n", "\r\nFOO", REASON_bad_response },
        { "\r\nFOO", "", "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", "", REASON_none },
        { "$GPGGA,1*00\r\n", "$GPGGA,1*00\r\n", "ICY 200 OK\r\n\r\n", "$GPGGA,1*00\r\n", REASON_bytes_left },
        { "(1)\nGET / x\n", "(1)\n", "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", "(1)\n", REASON_bytes_left },
        { "(1)\nGET / x\n", "(1)\n", "ICY 200 OK\r\n\r\n", "(1)\nGET / x\n", REASON_bytes_left },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start("GET / HTTP/1.0\r\n\r\n");
        size_t head = p.to_server.len;
        play_client(&p, rows[i].extra, strlen(rows[i].extra));
        assert_int_equal(p.to_server.len - head, strlen(rows[i].at_once));
        assert_memory_equal(p.to_server.data + head, rows[i].at_once, strlen(rows[i].at_once));
        play_server(&p, rows[i].answer, strlen(rows[i].answer));
        assert_int_equal(p.to_server.len - head, strlen(rows[i].later));
        assert_memory_equal(p.to_server.data + head, rows[i].later, strlen(rows[i].later));
        assert_int_equal(exchange_verdict(&p.x), rows[i].verdict);
    }
}

/* EXCHANGE_HEAD is answered again as long as nobody decided. */
static void shown_twice(void **state)
{
    static const char head[] = "GET / HTTP/1.0\r\nA: b\r\n\r\n";
    struct exchange x;

    (void)state;
    exchange_init(&x);
    exchange_client(&x, head, 20);
    for (int i = 0; i < 3; i++) {
        struct exchange_step step = exchange_client(&x, head, sizeof(head) - 1);

        assert_int_equal(step.action, EXCHANGE_HEAD);
        assert_int_equal(step.take, sizeof(head) - 1);
    }
}

/* The longest Host that is made from a target fits the room that callers are told to have. */
static void host_from_a_long_target(void **state)
{
    (void)state;
    for (size_t len = 259; len <= 261; len++) {
        char request[512] = "GET http://", out[1024];
        struct exchange_step step;
        struct exchange x;

        memset(request + 11, 'a', len);
        strcpy(request + 11 + len, "/ HTTP/1.0\r\n\r\n");
        exchange_init(&x);
        step = exchange_client(&x, request, strlen(request));
        assert_int_equal(step.action, len <= 260 ? EXCHANGE_HEAD : EXCHANGE_PASS);
        if (step.action == EXCHANGE_HEAD)
            assert_in_range(exchange_adapt(&x, request, step.take, SLICE(""), out), step.take + len,
                            step.take + EXCHANGE_REQUEST_GROWTH);
    }
}

/* A long response in few pieces and in many: time must not grow with the square of its length. */
static void long_heads_byte_by_byte(void **state)
{
    static char head[EXCHANGE_HEAD_MAX];
    struct exchange x;

    (void)state;
    for (size_t i = 0; i < sizeof(head); i++)
        head[i] = "a:\r\n"[i % 4];
    memcpy(head, "HTTP/1.1 204 abcde", 18);
    memcpy(head + 18, "\r\n", 2);
    memcpy(head + sizeof(head) - 8, "b:cd\r\n\r\n", 8);
    start("GET / HTTP/1.0\r\n\r\n");
    x = p.x;
    for (size_t i = 1; i < sizeof(head); i++)
        assert_int_equal(exchange_server(&x, head, i).flow, EXCHANGE_MORE);
    play_all(&p, SLICE("GET / HTTP/1.0\r\n\r\n"), whole, (struct slice){ head, sizeof(head) }, whole);
    assert_true(p.ended_at > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_how_far_it_is),
        cmocka_unit_test(body_that_passes_unseen),
        cmocka_unit_test(cut_short_only_if_decoded),
        cmocka_unit_test(answer_before_the_whole_request),
        cmocka_unit_test(asks_close_after_the_request),
        cmocka_unit_test(is_over_perhaps),
        cmocka_unit_test(swallows_only_so_many_interims),
        cmocka_unit_test(head_of_a_response_too_long),
        cmocka_unit_test(server_that_speaks_first),
        cmocka_unit_test(released_at_any_time),
        cmocka_unit_test(finds_the_head_s_end),
        cmocka_unit_test(counts_what_was_accepted),
        cmocka_unit_test(behind_the_request),
        cmocka_unit_test(shown_twice),
        cmocka_unit_test(host_from_a_long_target),
        cmocka_unit_test(long_heads_byte_by_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
