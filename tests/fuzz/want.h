/* SPDX-License-Identifier: ISC */
/* want: what an adapted exchange must give to either side, written down from README's "What may
 * differ on the wire" with the readers of message.h. */
#ifndef FUZZ_WANT_H
#define FUZZ_WANT_H

#include "input.h"
#include "message.h"

static inline void want_slice(struct play_buffer *out, struct slice s)
{
    play_append(out, s.data, s.len);
}

static inline bool want_any(struct slice name, const char *const *names)
{
    for (; *names; names++)
        if (naive_is(name, *names))
            return true;
    return false;
}

/* All fields but those that are about the connection: those named in `go`, but for the one that `stays`
 * here, and those named by a Connection field.  The first of these becomes `connection`. */
static inline void want_fields(struct play_buffer *out, const struct naive_head *head, const char *const *go,
                               const char *stays, const char *connection)
{
    const char *at = head->fields;
    struct naive_options options;
    struct naive_field field;
    bool placed = false;

    naive_options(head, &options);
    while (naive_next(head, &at, &field)) {
        if (naive_is(field.name, "connection")) {
            play_append(out, connection, placed ? 0 : strlen(connection));
            placed = true;
        } else if (naive_is(field.name, stays)) {
            want_slice(out, field.line);
        } else if (!want_any(field.name, go) &&
                   (naive_vital(field.name) || !naive_named(&options, field.name))) {
            want_slice(out, field.line);
        }
    }
    if (!placed)
        play_append(out, connection, strlen(connection));
}

static inline void want_request_head(struct play_buffer *out, const char *head, const struct naive_request *r)
{
    static const char *const old[] = {
        "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
        "upgrade",    "trailer",          "trailers",           "transfer-encoding",   "expect",
        NULL
    };
    static const char *const new[] = {
        "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "upgrade", NULL
    };

    play_append(out, head, (size_t)(r->head.fields - head) - 3);
    play_append(out, "1\r\n", 3);
    if (r->hosts == 0) {
        play_append(out, "Host: ", 6);
        want_slice(out, r->absolute ? r->authority : SLICE(PLAY_AUTHORITY));
        play_append(out, "\r\n", 2);
    }
    want_fields(out, &r->head, r->minor ? new : old, r->absolute ? "proxy-authorization" : "-", "");
    play_append(out, "Connection: keep-alive\r\n\r\n", 26);
}

static inline void want_response_head(struct play_buffer *out, const char *head, unsigned client_minor,
                                      const struct naive_response *r)
{
    static const char *const old[] = {
        "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
        "upgrade",    "trailer",          "trailers",           "transfer-encoding",   NULL
    };
    static const char *const new[] = {
        "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "upgrade", NULL
    };

    play_append(out, head, (size_t)(r->head.fields - head));
    want_fields(out, &r->head, client_minor ? new : old, r->code == 407 ? "proxy-authenticate" : "-",
                "Connection: close\r\n");
    play_append(out, "\r\n", 2);
}

/* The server's side of an adapted exchange. */
struct want {
    struct play_buffer *out;
    bool broken, decoded;
    bool maybe_broken; /* nobody can say */
    bool unsure;       /* the server may mean another end: all goes on to its own */
    size_t end;        /* of the server's bytes where the response ends, 0: it does not */
    uint64_t left;     /* of a length, when it does not end */
    bool clean;        /* it ends there, and all of it may be followed by another response */
    struct naive_response response;
};

static inline void want_chunks(struct want *e, struct slice body, size_t offset)
{
    static char data[FUZZ_ROOM];
    struct naive_chunks c;

    naive_chunked(body.data, body.len, data, &c);
    e->clean &= !c.lenient && c.result == NAIVE_WHOLE;
    e->unsure |= c.lenient;
    if (c.result == NAIVE_WHOLE)
        e->end = offset + c.used;
    if (!e->decoded) {
        want_slice(e->out, body);
        return;
    }
    play_append(e->out, data, c.out);
    e->broken = c.result == NAIVE_BAD;
    e->maybe_broken = c.unsure;
}

static inline void want_body(struct want *e, struct slice body, size_t offset)
{
    const struct naive_response *r = &e->response;

    if (r->kind == NAIVE_CHUNKED) {
        want_chunks(e, body, offset);
        return;
    }
    want_slice(e->out, body);
    if (r->kind == NAIVE_NONE)
        e->end = offset;
    else if (r->kind == NAIVE_LENGTH && body.len >= r->body.length)
        e->end = offset + r->body.length;
    else if (r->kind == NAIVE_LENGTH)
        e->left = r->body.length - body.len;
}

/* Interim responses; returns where the final one begins.  One that is not known to be whole is given as it
 * is; false: so is all the rest. */
static inline bool want_interims(struct want *e, struct slice server, const struct naive_request *request,
                                 size_t *at)
{
    bool head_method = slice_equal(request->method, SLICE("HEAD"));

    for (unsigned interims = 0; *at < server.len; interims++) {
        enum naive result = naive_response(server.data + *at, server.len - *at, head_method, &e->response);

        if (result != NAIVE_WHOLE)
            return false;
        if (!naive_interim(&e->response))
            return true;
        if (request->minor == 0 && interims == 64)
            return false;
        e->clean &= e->response.clean;
        e->unsure |= e->response.unsure;
        if (request->minor == 1)
            play_append(e->out, server.data + *at, e->response.head.len);
        *at += e->response.head.len;
    }
    return false;
}

static inline void want_server(struct want *e, struct slice server, const struct naive_request *request)
{
    const char *final;
    size_t at = 0;

    e->out->len = 0;
    e->clean = true;
    if (!want_interims(e, server, request, &at) || e->response.code == 101) {
        play_append(e->out, server.data + at, server.len - at);
        e->clean = false;
        return;
    }
    e->unsure |= e->response.unsure;
    final = server.data + at;
    at += e->response.head.len;
    e->decoded = e->response.kind == NAIVE_CHUNKED && request->minor == 0 && !e->response.untouched;
    e->clean &= naive_persists(&e->response);
    if (e->response.untouched)
        play_append(e->out, final, e->response.head.len);
    else
        want_response_head(e->out, final, request->minor, &e->response);
    want_body(e, (struct slice){ server.data + at, server.len - at }, at);
    if (e->unsure && !e->decoded)
        e->end = 0;
    e->clean &= e->end == server.len;
}

/* A request's body.  Returns whether it is whole and clean. */
static inline bool want_request_body(struct play_buffer *out, struct slice rest,
                                     const struct naive_request *r)
{
    static char data[FUZZ_ROOM];
    struct naive_chunks c = { .result = NAIVE_WHOLE };
    size_t end;

    if (r->kind == NAIVE_CHUNKED)
        naive_chunked(rest.data, rest.len, data, &c);
    end = r->kind == NAIVE_CHUNKED ? c.used : r->kind == NAIVE_LENGTH ? r->body.length : 0;
    if (c.result != NAIVE_WHOLE || end > rest.len) {
        want_slice(out, rest);
        return false;
    }
    play_append(out, rest.data, end);
    return !c.lenient;
}

#endif
