/* SPDX-License-Identifier: ISC */
#include "http/response.h"

static void read_field(struct response *r, enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_DATE:
        r->dated |= value.len > 0;
        break;
    case FIELD_KEEP_ALIVE:
        field_keep_alive(value, &r->timeout, &r->max);
        break;
    case FIELD_WWW_AUTHENTICATE:
    case FIELD_PROXY_AUTHENTICATE:
        r->challenges |= field_authenticates_connection(value);
        break;
    default:
        r->connection |= id == FIELD_CONNECTION;
        hop_read_framing(&r->options, &r->body, id, value);
        break;
    }
}

static enum head_result read_fields(const char *bytes, const char *end, struct response *r)
{
    const char *line = r->status.next;
    struct head_field field;

    for (;; line = field.next) {
        enum field_id id;
        enum head_result result = hop_next_known(&line, end, &field, &id, &r->lenient);

        if (result != HEAD_DONE)
            return result;
        if (id == FIELD_OTHER)
            break;
        read_field(r, id, head_trim(field.value));
        if (hop_by_hop(id, r->side))
            hop_cut_line(&r->cut, bytes, line, field.next);
    }
    r->len = (size_t)(field.next - bytes);
    if (r->options.names > 0) /* any line may have to go */
        r->cut = (struct hop_cut){ (uint32_t)(r->status.next - bytes), (uint32_t)(line - bytes), false };
    return HEAD_DONE;
}

enum head_result response_parse(const char *bytes, size_t len, enum hop_side side, struct response *response)
{
    enum head_result result;

    *response = (struct response){ .side = side, .timeout = -1, .max = -1 };
    result = head_status(bytes, bytes + len, &response->status, &response->lenient);
    if (result != HEAD_DONE)
        return result;
    return read_fields(bytes, bytes + len, response);
}

/* 9112 6.3: no body, whatever the fields say. */
static bool is_bodyless(const struct response *r, bool head_method)
{
    return head_method || r->status.code == 204 || r->status.code == 304 || r->status.code < 200;
}

/* A length in a 204 or 1xx is wrong (9110 8.6), and somebody might send such a body all the same. */
static struct response_framing frame_bodyless(const struct response *r)
{
    const struct field_body *body = &r->body;
    struct response_framing framing = { .kind = FRAMING_NONE };

    framing.doubtful = body->bad_length || body->repeated || (body->has_coding && body->has_length);
    if (r->status.code == 204 || r->status.code < 200)
        framing.unsure = body->has_coding || body->bad_length || body->length > 0;
    return framing;
}

/* 9112 6.1 and 6.3: Transfer-Encoding decides, if it can. */
static struct response_framing frame_coded(const struct response *r)
{
    const struct field_body *body = &r->body;
    struct response_framing framing = { .kind = FRAMING_CHUNKED };

    if (r->status.minor == 0 || !body->ends_chunked)
        return (struct response_framing){ .kind = FRAMING_CLOSE, .untouched = true, .forced = true };
    framing.untouched = body->has_length || !body->plain_chunked;
    return framing;
}

struct response_framing response_frame(const struct response *r, bool head_method)
{
    struct response_framing framing = { .kind = FRAMING_CLOSE };

    if (is_bodyless(r, head_method)) {
        framing = frame_bodyless(r);
    } else if (r->body.has_coding) {
        framing = frame_coded(r);
    } else if (r->body.has_length) {
        framing.kind = r->body.bad_length ? FRAMING_CLOSE : FRAMING_LENGTH;
        framing.untouched = framing.forced = r->body.bad_length;
        framing.doubtful = r->body.repeated;
    } else {
        /* A server that says it persists, and gives no length, would have us wait for ever. */
        framing.forced = r->options.keep_alive && !r->options.close;
    }
    framing.untouched |= r->lenient;
    framing.unsure |= framing.untouched;
    framing.doubtful |= framing.unsure || r->options.names_vital || r->options.odd;
    return framing;
}

static const char close_line[] = "Connection: close\r\n";
#define CLOSE_LEN (sizeof(close_line) - 1)

/* The part of a buffer that is being edited: written up to `to`, read up to `from`. */
struct edit {
    char *to, *from, *end;
    size_t growth; /* by how much what is not yet read had to move away */
    bool placed;
};

/* In the first Connection field's place; what comes after it may have to make room. */
static void place_close(struct edit *e)
{
    size_t room = (size_t)(e->from - e->to);

    if (room < CLOSE_LEN) {
        memmove(e->from + CLOSE_LEN - room, e->from, (size_t)(e->end - e->from));
        e->growth += CLOSE_LEN - room;
        e->from += CLOSE_LEN - room;
        e->end += CLOSE_LEN - room;
    }
    memcpy(e->to, close_line, CLOSE_LEN);
    e->to += CLOSE_LEN;
    e->placed = true;
}

static void keep_line(struct edit *e, const char *line)
{
    size_t len = (size_t)(e->from - line);

    if (e->to != line)
        memmove(e->to, line, len);
    e->to += len;
}

/* Some of the lines up to `end` go. */
static void edit_lines(struct edit *e, const struct response *r, const char *end)
{
    bool is_407 = r->status.code == 407, lenient = false;
    struct hop_filter filter;
    struct head_field field;

    hop_filter_init(&filter, r->side, is_407 ? FIELD_PROXY_AUTHENTICATE : FIELD_OTHER, e->from,
                    r->options.names ? end : e->from);
    while (e->from < end + e->growth) {
        const char *line = e->from;
        enum field_id id;

        head_field(line, e->end, &field, &lenient);
        e->from += field.next - line;
        id = field_identify(field.name);
        if (id == FIELD_CONNECTION && !e->placed)
            place_close(e);
        else if (!hop_filter_drops(&filter, &field, id))
            keep_line(e, line);
    }
}

/* All of them go. */
static void drop_lines(struct edit *e, const struct response *r, char *end)
{
    e->from = end;
    if (r->connection && !e->placed)
        place_close(e);
}

/* As the last field, before the blank line, which is `rest` bytes from here. */
static void append_close(struct edit *e, size_t rest)
{
    char *blank = e->from + rest, *line = e->to + rest;

    memmove(e->to, e->from, rest);
    memmove(line + CLOSE_LEN, blank, (size_t)(e->end - blank));
    memcpy(line, close_line, CLOSE_LEN);
}

size_t response_edit(char *head, size_t tail, const struct response *r)
{
    size_t blank = r->len - 2, from = r->cut.to ? r->cut.from : blank;
    struct edit e = { .to = head + from, .from = head + from, .end = head + r->len + tail,
                      .placed = r->close_unsaid };
    char *old_end = head + r->len;

    if (r->cut.all && r->status.code != 407)
        drop_lines(&e, r, head + r->cut.to);
    else if (r->cut.to)
        edit_lines(&e, r, head + r->cut.to);
    old_end += e.growth;
    if (!e.placed)
        append_close(&e, (size_t)(old_end - 2 - e.from));
    else if (e.to != e.from)
        memmove(e.to, e.from, (size_t)(e.end - e.from));
    return (size_t)(old_end - e.from) + (size_t)(e.to - head) + (e.placed ? 0 : CLOSE_LEN);
}
