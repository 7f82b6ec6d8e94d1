/* SPDX-License-Identifier: ISC */
/* What an observed exchange answers about itself, and what no row of a table can say. */
#include "talk.h"

#define GET "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"

static struct play p;

#define FEED(feed, literal) feed(&p, literal, sizeof(literal) - 1)

static void start(void)
{
    p.observes = true;
    play_start(&p);
}

static void knows_how_far_it_is(void **state)
{
    (void)state;
    start();
    FEED(play_client, "GET / HTTP/1.1\r\nHost: a\r\n");
    assert_false(exchange_idle(&p.x));
    assert_int_equal(exchange_outstanding(&p.x), 0);
    FEED(play_client, "\r\n");
    assert_int_equal(p.x.kind, EXCHANGE_OBSERVED);
    assert_false(p.x.request.one_shot);
    assert_true(exchange_request_done(&p.x));
    assert_false(exchange_answered(&p.x));
    assert_int_equal(exchange_body_left(&p.x), UINT64_MAX);
    FEED(play_server, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=7, max=3\r\nContent-Length: 5\r\n\r\n12");
    assert_true(exchange_answered(&p.x));
    assert_int_equal(exchange_body_left(&p.x), 3);
    assert_int_equal(p.x.keep_timeout, 7);
    assert_int_equal(p.x.keep_max, 3);
    assert_int_equal(exchange_head_end(&p.x, "345", 3), 3);
    FEED(play_server, "345");
    assert_int_equal(exchange_body_left(&p.x), 0);
    assert_true(exchange_idle(&p.x));
    FEED(play_client, "PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n");
    assert_true(p.x.request.idempotent && !exchange_request_done(&p.x));
    FEED(play_client, "\r\n");
    assert_false(exchange_request_done(&p.x));
    FEED(play_client, "a");
    assert_true(exchange_request_done(&p.x) && exchange_answered(&p.x));
    FEED(play_server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(p.x.keep_timeout, -1);
    assert_int_equal(p.x.keep_max, -1);
}

/* `request` is the newest whole head's, and only once it is whole. */
static void remembers_the_newest_request(void **state)
{
    struct request first;

    (void)state;
    start();
    FEED(play_client, GET);
    first = p.x.request;
    FEED(play_client, "POST / HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n\r");
    assert_memory_equal(&p.x.request, &first, sizeof(first));
    FEED(play_client, "\n");
    assert_int_equal(p.x.request.minor, 0);
    assert_false(p.x.request.idempotent || p.x.request.one_shot);
    assert_true(p.x.request.host != first.host);
}

/* A replay would send all of them again. */
static void one_unsafe_request_is_enough(void **state)
{
    (void)state;
    start();
    FEED(play_client, GET HEAD);
    assert_true(exchange_idempotent(&p.x));
    FEED(play_client, "POST / HTTP/1.1\r\nHost: a\r\n\r\n" GET);
    assert_true(p.x.request.idempotent);
    assert_false(exchange_idempotent(&p.x));
}

static void only_so_many_outstanding(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        start();
        for (unsigned i = 1; i <= EXCHANGE_PIPELINE_MAX; i++) {
            FEED(play_client, GET);
            assert_int_equal(exchange_outstanding(&p.x), i);
        }
        if (answered)
            FEED(play_server, FIVE);
        FEED(play_client, GET GET "G");
        assert_int_equal(p.x.kind, EXCHANGE_OPAQUE);
        assert_int_equal(exchange_verdict(&p.x), REASON_client_persists);
        assert_int_equal(p.to_server.len, (EXCHANGE_PIPELINE_MAX + 2) * (sizeof(GET) - 1) + 1);
    }
}

/* The ring goes round; which ones are HEAD must stay in step. */
static void many_in_a_row(void **state)
{
    unsigned sent = 0, answered = 0;

    (void)state;
    start();
    while (answered < 500) {
        for (; sent < answered + 1 + answered % EXCHANGE_PIPELINE_MAX; sent++) {
            if (sent % 3 == 0)
                FEED(play_client, HEAD);
            else
                FEED(play_client, GET);
        }
        play_server(&p, FIVE, sizeof(FIVE) - 1 - (answered % 3 == 0 ? 5 : 0));
        answered++;
        assert_int_equal(exchange_outstanding(&p.x), sent - answered);
        assert_int_equal(exchange_idle(&p.x), sent == answered);
    }
    assert_int_equal(exchange_verdict(&p.x), REASON_none);
}

static void heads_too_long(void **state)
{
    static char head[EXCHANGE_HEAD_MAX + 1];

    (void)state;
    for (size_t len = EXCHANGE_HEAD_MAX; len <= EXCHANGE_HEAD_MAX + 1; len++) {
        bool fits = len == EXCHANGE_HEAD_MAX;

        memset(head, 'a', sizeof(head));
        memcpy(head + len - 4, "\r\n\r\n", 4);
        memcpy(head, "GET / HTTP/1.1\r\nHost: ", 22);
        start();
        FEED(play_client, GET);
        FEED(play_server, FIVE);
        play_client(&p, head, len);
        assert_int_equal(p.x.kind, fits ? EXCHANGE_OBSERVED : EXCHANGE_OPAQUE);
        assert_int_equal(p.x.reason, fits ? REASON_none : REASON_head_too_long);
        memcpy(head, "HTTP/1.1 204 x\r\nAbcd: ", 22);
        play_server(&p, head, len);
        assert_int_equal(exchange_idle(&p.x), fits);
        start();
        FEED(play_client, GET);
        play_server(&p, head, len);
        assert_int_equal(exchange_idle(&p.x), fits);
        assert_int_equal(exchange_verdict(&p.x), fits ? REASON_none : REASON_ambiguous_response);
    }
}

/* Long heads in many pieces: time must not grow with the square of their length. */
static void long_heads_byte_by_byte(void **state)
{
    static char head[EXCHANGE_HEAD_MAX];
    struct exchange x;

    (void)state;
    for (size_t i = 0; i < sizeof(head); i++)
        head[i] = "a:\r\n"[i % 4];
    memcpy(head, "GET / HTTP/1.1\r\nHost: abcd\r\n", 28);
    start();
    FEED(play_client, GET);
    x = p.x;
    FEED(play_server, FIVE);
    for (size_t i = 1; i < sizeof(head); i++)
        assert_int_equal(exchange_client(&p.x, head, i).action, EXCHANGE_PASS_KEEP);
    memcpy(head, "HTTP/1.1 200 abcdefghijklm\r\n", 28);
    for (size_t i = 1; i < sizeof(head); i++)
        assert_int_equal(exchange_follow(&x, head, i), 0);
    assert_int_equal(exchange_follow(&x, head, sizeof(head)), sizeof(head));
    assert_int_equal(exchange_verdict(&x), REASON_ambiguous_response);
}

/* A send that took only some of the bytes: look with a copy, count with the original. */
static void counts_what_was_accepted(void **state)
{
    static const char sent[] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" GET;
    const size_t len = sizeof(sent) - 1;
    size_t kept = 0; /* where what must be shown again begins */

    (void)state;
    start();
    FEED(play_client, GET);
    for (size_t at = 1; at <= len; at++) {
        while (kept < at) {
            struct exchange_step step = exchange_client(&p.x, sent + kept, at - kept);

            if (step.action == EXCHANGE_PASS_KEEP)
                break;
            kept += step.take;
        }
        for (size_t from = kept; from < len;) {
            static struct exchange copy;
            struct exchange_step step;

            if (from == kept)
                copy = p.x;
            step = exchange_client(&copy, sent + from, len - from);
            assert_int_equal(step.action, EXCHANGE_PASS);
            from += step.take;
            if (from == len)
                assert_int_equal(exchange_outstanding(&copy), 3);
        }
    }
    assert_int_equal(kept, len);
    assert_int_equal(exchange_outstanding(&p.x), 3);
}

static void released_at_any_time(void **state)
{
    (void)state;
    start();
    FEED(play_client, GET GET);
    FEED(play_server, FIVE "HTTP/1.1");
    exchange_release(&p.x, REASON_odd_descriptor);
    assert_int_equal(exchange_outstanding(&p.x), 0);
    assert_false(exchange_idle(&p.x));
    assert_int_equal(exchange_follow(&p.x, "x", 1), 1);
    FEED(play_client, "abc");
    FEED(play_server, " 200 OK\r\n\r\n");
    assert_int_equal(exchange_verdict(&p.x), REASON_odd_descriptor);
    assert_int_equal(p.to_client.len, sizeof(FIVE "HTTP/1.1 200 OK\r\n\r\n") - 1);
    assert_int_equal(p.to_server.len, sizeof(GET GET "abc") - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_how_far_it_is),
        cmocka_unit_test(remembers_the_newest_request),
        cmocka_unit_test(one_unsafe_request_is_enough),
        cmocka_unit_test(only_so_many_outstanding),
        cmocka_unit_test(many_in_a_row),
        cmocka_unit_test(heads_too_long),
        cmocka_unit_test(long_heads_byte_by_byte),
        cmocka_unit_test(counts_what_was_accepted),
        cmocka_unit_test(released_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
