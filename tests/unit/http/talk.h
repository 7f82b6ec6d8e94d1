/* SPDX-License-Identifier: ISC */
/* talk: plays an observed conversation, turn by turn, with every turn cut in any way. */
#ifndef UNIT_HTTP_TALK_H
#define UNIT_HTTP_TALK_H

#include "play.h"

#define TALK_TURNS 10

/* Who speaks, and what; who == 0: the end. */
struct talk_turn {
    char who; /* 'c', 's' */
    struct slice bytes;
};

#define C(literal)                                                                                           \
    {                                                                                                        \
        'c', S(literal)                                                                                      \
    }
#define R(literal)                                                                                           \
    {                                                                                                        \
        's', S(literal)                                                                                      \
    }

struct talk_row {
    const char *name;
    struct talk_turn turns[TALK_TURNS];
    const char *states; /* after each turn, see talk_state */
    enum reason verdict;
};

/* i: idle; o: opaque; u: undecided; else how many requests are outstanding. */
static inline char talk_state(const struct play *p)
{
    if (p->x.kind == EXCHANGE_OPAQUE)
        return 'o';
    if (p->x.kind == EXCHANGE_UNDECIDED)
        return 'u';
    assert_int_equal(p->x.kind, EXCHANGE_OBSERVED);
    if (exchange_idle(&p->x)) {
        assert_int_equal(exchange_outstanding(&p->x), 0);
        assert_true(exchange_answered(&p->x) && exchange_request_done(&p->x));
        return 'i';
    }
    return (char)('0' + exchange_outstanding(&p->x));
}

/* Nothing is edited, so nothing is owed to the client and nothing asked of the server. */
static inline void talk_never_interferes(struct play *p)
{
    assert_false(exchange_in_head(&p->x) && p->x.kind == EXCHANGE_OBSERVED);
    assert_false(exchange_cut_short(&p->x));
    assert_false(exchange_asks_close(&p->x));
}

static inline void talk_turn(struct play *p, const struct talk_turn *turn, struct play_cut cut)
{
    play_pieces(p, turn->who == 'c' ? play_client : play_server, turn->bytes, cut);
    talk_never_interferes(p);
}

/* How many of the server's bytes wait for the rest of a head. */
static inline size_t talk_kept(const struct play *p)
{
    return p->x.kind == EXCHANGE_OBSERVED ? p->server_kept.len : 0;
}

/* All turns, the one at `odd` cut otherwise than the rest; kept[] is filled, or compared where `again`. */
static inline void talk_once(struct play *p, const struct talk_row *row, struct play_cut cut, size_t odd,
                             struct play_cut odd_cut, size_t kept[], bool again)
{
    static struct play_buffer client, server;

    client.len = server.len = 0;
    p->observes = true;
    play_start(p);
    for (size_t i = 0; i < TALK_TURNS && row->turns[i].who; i++) {
        const struct talk_turn *turn = &row->turns[i];

        talk_turn(p, turn, i == odd ? odd_cut : cut);
        play_append(turn->who == 'c' ? &client : &server, turn->bytes.data, turn->bytes.len);
        if (talk_state(p) != row->states[i])
            fail_msg("%s: after turn %zu %c, not %c (%s)", row->name, i, talk_state(p), row->states[i],
                     reason_name(p->x.reason));
        if (again)
            assert_int_equal(talk_kept(p), kept[i]);
        kept[i] = talk_kept(p);
    }
    if (exchange_verdict(&p->x) != row->verdict)
        fail_msg("%s: verdict %s, not %s", row->name, reason_name(exchange_verdict(&p->x)),
                 reason_name(row->verdict));
    play_finish(p);
    assert_int_equal(p->to_server.len, client.len);
    assert_memory_equal(p->to_server.data, client.data, client.len);
    assert_int_equal(p->to_client.len, server.len);
    assert_memory_equal(p->to_client.data, server.data, server.len);
}

/* An empty turn where one side speaks twice. */
static inline void talk_seed(const struct talk_row *row)
{
    struct slice turns[2 * TALK_TURNS];
    size_t count = 0;

    for (size_t i = 0; i < TALK_TURNS && row->turns[i].who; i++) {
        if ((count % 2 == 0) == (row->turns[i].who == 's'))
            turns[count++] = SLICE("");
        turns[count++] = row->turns[i].bytes;
    }
    seed_write(turns, count);
}

#ifdef PLAY_THROUGH_WIRE
/* What the server says before the client has said what it wants is libc's business. */
static inline bool speaks_first(const struct talk_row *row)
{
    for (size_t i = 0; i < TALK_TURNS && row->turns[i].who; i++)
        if (row->turns[i].who == 's' && (i == 0 || row->states[i - 1] == 'u'))
            return true;
    return false;
}
#endif

static inline void talk_rows(const struct talk_row *rows, size_t count)
{
    static const struct play_cut whole = { 0, 0 }, bytes = { 1, 1 };
    static struct play p;
    size_t kept[TALK_TURNS];

    for (const struct talk_row *row = rows; row < rows + count; row++) {
#ifdef PLAY_THROUGH_WIRE
        if (!wire_observes(row->turns[0].bytes) || speaks_first(row))
            continue;
#endif
        talk_seed(row);
        talk_once(&p, row, whole, TALK_TURNS, whole, kept, false);
        talk_once(&p, row, bytes, TALK_TURNS, bytes, kept, true);
        for (size_t i = 0; i < TALK_TURNS && row->turns[i].who; i++) {
            talk_once(&p, row, whole, i, bytes, kept, true);
            for (size_t at = 1; at < row->turns[i].bytes.len; at++)
                talk_once(&p, row, whole, i, (struct play_cut){ at, 0 }, kept, true);
        }
    }
}

#endif
