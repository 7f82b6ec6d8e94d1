/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Every case of cases.def through the exchange: whole, byte by byte and split at every offset (large ones
 * in pieces), each input at a guard page. */
#include "cases.h"

#include <strings.h>

#define LARGE 700u /* from here on not every split is tried */

/* One case as one client meets it. */
struct run {
    const char *name;
    char letter; /* or '-' */
    bool old;
    enum exchange_kind kind;
    struct slice request, sends, response;
    enum case_how how; /* `sees` is written out */
    struct slice sees;
    enum play_outcome end;
    enum reason why;
    bool cut; /* the response is not whole */
};

static struct play play;
static struct play_buffer request, sends, response, sees, got, wanted;
static size_t plays, complaints;

/* One row says no more than its first complaint. */
__attribute__((format(printf, 2, 3))) static void complain(const struct run *run, const char *format, ...)
{
    static const char *last;
    va_list args;

    if (last != run->name) {
        print_error("%s (%c): ", run->name, run->letter);
        va_start(args, format);
        vprint_error(format, args);
        va_end(args);
        print_error("\n");
        complaints++;
    }
    last = run->name;
}

/* Fields that may differ wherever a head was edited; others have to be spelled out in the case. */
static bool may_differ(const char *line, size_t len)
{
    static const char *const names[] = { "connection:", "keep-alive:", "upgrade:", "proxy-authenticate:" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (len >= strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void without_hop_by_hop(struct play_buffer *out, const char *bytes, size_t len)
{
    out->len = 0;
    for (const char *line = bytes, *end = bytes + len; line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        size_t n = feed ? (size_t)(feed + 1 - line) : (size_t)(end - line);

        if (!may_differ(line, n))
            play_append(out, line, n);
        line += n;
    }
}

static void compare(const struct run *run, const char *what, const struct play_buffer *a, struct slice b)
{
    if (play_equal(a, b, run->why))
        return;
    complain(run, "%s\n--- got\n%.*s\n--- want\n%.*s\n---", what, (int)(a->len < 2000 ? a->len : 2000),
             a->data, (int)(b.len < 2000 ? b.len : 2000), b.data);
}

static void check_client(const struct run *run)
{
    if (run->kind != ADAPTED || run->how == TEXT_SAME) {
        compare(run, "to the client", &play.to_client, run->response);
        return;
    }
    without_hop_by_hop(&got, play.to_client.data, play.to_client.len);
    without_hop_by_hop(&wanted, run->sees.data, run->sees.len);
    compare(run, "to the client", &got, (struct slice){ wanted.data, wanted.len });
    if (run->end == ENDS && !memmem(play.to_client.data, play.to_client.len, CLOSE, sizeof(CLOSE) - 1))
        complain(run, "the client is not told of close");
}

static void check_end(const struct run *run)
{
    bool idle = exchange_idle(&play.x);

    if (run->cut && (play.ended_at > 0 || idle))
        complain(run, "whole although only %zu bytes came", run->response.len);
    if (run->cut)
        return;
    if (run->kind == ADAPTED && play_outcome_of(&play) != run->end)
        complain(run, "outcome %d, not %d (%s)", play_outcome_of(&play), run->end,
                 reason_name(play.x.reason));
    if (!play_judges(&play.x, run->why))
        complain(run, "verdict %s, not %s", reason_name(exchange_verdict(&play.x)), reason_name(run->why));
    if (run->kind == OBSERVED && run->why == REASON_none && idle != (run->end == ENDS))
        complain(run, "idle %d", idle);
}

static void check(const struct run *run)
{
    if (play.x.kind != run->kind)
        complain(run, "kind %d, not %d", play.x.kind, run->kind);
    if (run->kind != OPAQUE && play.x.request.one_shot != (run->kind == ADAPTED))
        complain(run, "one-shot %d", play.x.request.one_shot);
    compare(run, "to the server", &play.to_server, run->sends);
    check_client(run);
    check_end(run);
    plays++;
}

static void once(const struct run *run, struct play_cut client, struct play_cut server)
{
    play.observes = run->kind != ADAPTED;
    play_all(&play, run->request, client, run->response, server);
    check(run);
}

static void every_way(const struct run *run)
{
    static const struct play_cut whole = { 0, 0 };
    size_t client = run->request.len < LARGE ? 1 : 977, server = run->response.len < LARGE ? 1 : 977;

    once(run, whole, whole);
    seed_write((const struct slice[]){ run->request, run->response }, 2);
    once(run, (struct play_cut){ client, client }, (struct play_cut){ server, server });
    for (size_t i = client; i < run->request.len; i += client)
        once(run, (struct play_cut){ i, 0 }, whole);
    for (size_t i = server; i < run->response.len; i += server)
        once(run, whole, (struct play_cut){ i, 0 });
}

static struct slice slice_of(const struct play_buffer *b)
{
    return (struct slice){ b->data, b->len };
}

/* Of a chunked body the end depends on the client: who sees data only is given what can be read. */
static void adjust_chunks(const struct case_row *row, struct run *run)
{
    if (run->old) {
        run->how = TEXT_GIVEN;
        case_write(&sees, row->data, NULL);
        return;
    }
    run->how = TEXT_EDITED;
    run->end = row->end == ENDS && row->why == REASON_none ? ENDS : ASKS;
}

static struct run run_of(const struct case_row *row, const struct case_client *client)
{
    struct run run = { row->name, '-', .kind = row->kind, .end = row->end, .why = row->why };

    case_write(&request, client ? client->request : row->request, NULL);
    case_write(&sends,
               client                         ? client->sends
               : row->sends.how == TEXT_GIVEN ? row->sends.given
                                              : row->request,
               NULL);
    if (!row->truncated)
        case_write(&response, row->response, NULL);
    run.how = row->sees.how;
    case_write(&sees, run.how == TEXT_GIVEN ? row->sees.given : row->response, (size_t[CASE_CUTS]){ 0 });
    if (client) {
        run.letter = client->letter;
        run.old = client->old;
        run.kind = client->kind;
    }
    if (row->chunks)
        adjust_chunks(row, &run);
    run.request = slice_of(&request);
    run.sends = slice_of(&sends);
    run.response = slice_of(&response);
    run.sees = slice_of(&sees);
    return run;
}

/* Where the head that begins here ends; NULL: it is not whole. */
static const char *head_end(const char *at, const char *end)
{
    const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);

    return blank ? blank + 4 : NULL;
}

static void append_data(struct play_buffer *out, const char *at, const char *end)
{
    while (at < end) {
        unsigned long size = strtoul(at, NULL, 16);
        const char *feed = memchr(at, '\n', (size_t)(end - at));

        if (!feed || size == 0)
            return;
        at = feed + 1;
        play_append(out, at, size < (size_t)(end - at) ? size : (size_t)(end - at));
        at += size + 2;
    }
}

/* What an HTTP/1.0 client sees of the beginning of a response; true: it was decoded. */
static bool shown_to_old(struct play_buffer *out, struct slice bytes)
{
    const char *at = bytes.data, *end = at + bytes.len, *body;

    while (end - at > 9 && memcmp(at, "HTTP/1.1 1", 10) == 0 && head_end(at, end))
        at = head_end(at, end);
    out->len = 0;
    body = head_end(at, end);
    if (!body || !memmem(at, (size_t)(body - at), TE, sizeof(TE) - 1) ||
        memmem(at, (size_t)(body - at), "Content-Length", 14)) {
        play_append(out, at, (size_t)(end - at));
        return false;
    }
    play_append(out, at, (size_t)(body - at) - sizeof(TE) + 1 - 2);
    play_append(out, "\r\n", 2);
    append_data(out, body, end);
    return true;
}

static size_t cut_everywhere(const struct case_row *row, const struct case_client *client)
{
    static struct play_buffer full;
    size_t cuts[CASE_CUTS], count = case_write(&full, row->response, cuts);

    for (size_t i = 0; i < count; i++) {
        struct run run = run_of(row, client);
        bool decoded = false;

        run.response = run.sees = (struct slice){ full.data, cuts[i] };
        run.how = TEXT_EDITED;
        if (client->old && client->kind == ADAPTED) {
            decoded = shown_to_old(&sees, run.response);
            run.sees = slice_of(&sees);
        }
        run.cut = cuts[i] < full.len;
        run.end = WAITS;
        if (!run.cut)
            continue; /* the other tables have that */
        every_way(&run);
        if (exchange_cut_short(&play.x) != decoded)
            complain(&run, "cut short after %zu: %d", cuts[i], !decoded);
    }
    return count;
}

static size_t run_row(const struct case_row *row)
{
    size_t cases = 0;
    struct run run;

    if (!row->clients) {
        run = run_of(row, NULL);
        every_way(&run);
        return 1;
    }
    for (const char *letter = row->clients; *letter; letter++) {
        const struct case_client *client = case_client_of(*letter);

        if (row->truncated) {
            cases = cut_everywhere(row, client);
        } else {
            run = run_of(row, client);
            every_way(&run);
            cases = 1;
        }
    }
    return cases;
}

static void all_cases(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct case_row *row = case_rows; row < case_rows + CASE_COUNT; row++)
        count += run_row(row);
    print_message("%zu rows, %zu cases, played %zu times\n", CASE_COUNT, count, plays);
    assert_true(count >= 150);
    assert_int_equal(complaints, 0);
}

static void every_case_names_its_section(void **state)
{
    (void)state;
    for (const struct case_row *row = case_rows; row < case_rows + CASE_COUNT; row++) {
        unsigned rfc, part;

        if (sscanf(row->section, "%u %u", &rfc, &part) != 2)
            fail_msg("%s: section %s", row->name, row->section);
        for (const struct case_row *other = case_rows; other < row; other++)
            if (strcmp(row->name, other->name) == 0)
                fail_msg("%s: twice", row->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_names_its_section),
        cmocka_unit_test(all_cases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
