/* SPDX-License-Identifier: ISC */
#include "tls/talk.h"

#include "base/quiet.h"
#include "tls/services.h"
#include "http/opening.h"
#include "tls/handshake.h"
#include "tls/park.h"
#include "tls/reach.h"

#include <errno.h>
#include <limits.h>

enum { RECORD_MOST = 16384 };

/* Another call is what the answer waits for, not an end. */
static bool is_wait(struct record *r, int result)
{
    int error = real.SSL_get_error(record_speaker(r), result);

    return error == ERROR_WANT_READ || error == ERROR_WANT_WRITE;
}

static bool is_adapted(const struct record *r)
{
    return r->x.kind == EXCHANGE_ADAPTED;
}

/* Nothing is followed from here on. */
static void pass_all(struct record *r, enum reason why)
{
    exchange_release(&r->x, why);
    bytes_clear(&r->request);
    r->unfit = true;
}

/* ---- the request ---- */

/* An alias that turns out to be dead is replaced.  1: all of `request` is out. */
static int send_request(struct record *r)
{
    while (r->request_sent < r->request.end) {
        int ready = handshake_settle(r);
        if (ready != 1)
            return ready;
        struct quiet quiet;
        bool lent = r->state == RECORD_ALIAS;
        if (lent) {
            quiet_begin(&quiet);
            real.ERR_set_mark();
        }
        int n = real.SSL_write(record_speaker(r), r->request.data + r->request_sent, (int)(r->request.end - r->request_sent));
        bool wait = n <= 0 && is_wait(r, n);
        if (lent)
            quiet_end_of(&quiet, n <= 0 && !wait ? SIGPIPE : 0);
        bool replaced = lent && n <= 0 && !wait && handshake_replace(r);
        if (lent && (n > 0 || wait || replaced))
            real.ERR_pop_to_mark();
        if (n > 0)
            r->request_sent += (size_t)n;
        else if (!replaced)
            return n;
    }
    return 1;
}

/* The program's own bytes go out as they are. */
static int write_own(struct record *r, const void *buf, int len)
{
    int ready = handshake_settle(r);

    return ready == 1 ? real.SSL_write(record_speaker(r), buf, len) : ready;
}

/* A head that is not ours, or only a part of one: on a connection of the client's own. */
static int write_unadapted(struct record *r, const void *buf, int len, enum reason why)
{
    if (r->state == RECORD_ALIAS && !handshake_replace(r))
        return record_fail(r, errno);
    pass_all(r, why);
    if (why == REASON_tls) /* else `request` has told of it */
        holdfast_secure.pass(r->fd);
    return write_own(r, buf, len);
}

static bool adapt(struct record *r, const char *head, size_t len)
{
    if (!bytes_reserve(&r->request, len + EXCHANGE_REQUEST_GROWTH))
        return false;
    r->request.end = exchange_adapt(&r->x, head, len, (struct slice){ "", 0 }, r->request.data);
    r->request_sent = 0;
    r->request_len = len;
    return true;
}

static int finish_request(struct record *r)
{
    int result = send_request(r), len = (int)r->request_len;

    if (result != 1)
        return result;
    r->request_len = 0;
    return len;
}

/* What the program writes first. */
static int write_first(struct record *r, const char *buf, int len)
{
    struct exchange_step step = exchange_client(&r->x, buf, (size_t)len);

    bool whole = step.action == EXCHANGE_HEAD && step.take == (size_t)len && r->x.kind == EXCHANGE_UNDECIDED;
    if (!whole || r->x.request.absolute || r->x.request.proxy_auth || r->x.request.connection_auth)
        return write_unadapted(r, buf, len, REASON_tls);
    enum secure_request what = holdfast_secure.request(r->fd, &r->x);
    if (what == SECURE_REPLACE || (r->kept && r->kept->host != r->x.request.host)) {
        if (!handshake_replace(r))
            return record_fail(r, errno);
        what = holdfast_secure.request(r->fd, &r->x);
    }
    if (what == SECURE_ADAPT && adapt(r, buf, (size_t)len))
        return finish_request(r);
    r->looks = r->x.request.minor == 0 && r->state == RECORD_OWN;
    return write_unadapted(r, buf, len, REASON_unproven);
}

/* As after the peer's end: the kernel takes what comes first, then there is an error. */
static int write_after_end(struct record *r, int len)
{
    if (r->swallowed)
        return record_fail(r, EPIPE);
    r->swallowed = true;
    return len;
}

int talk_write(struct record *r, const void *buf, int len)
{
    r->error = -1;
    if (r->state == RECORD_ENDED)
        return write_after_end(r, len);
    if (r->request_len) /* the same call, again */
        return finish_request(r);
    if (r->x.kind == EXCHANGE_UNDECIDED && len > 0)
        return write_first(r, buf, len);
    if (is_adapted(r)) /* behind a request that was whole */
        r->unfit = true;
    return write_own(r, buf, len);
}

/* ---- the response ---- */

/* The response is complete.  Behind a server that said it closes comes its own end. */
static void finish(struct record *r)
{
    enum reason why = exchange_verdict(&r->x);

    if ((why == REASON_server_closes || why == REASON_server_http10) && !exchange_decoded(&r->x)) {
        pass_all(r, why);
        return;
    }
    park_end(r, why == REASON_none);
}

/* Does what exchange_server has said of bytes that were just read. */
static void follow(struct record *r, enum exchange_flow flow)
{
    if (!r->told && r->x.status) {
        r->told = true;
        bytes_clear(&r->request);
        holdfast_secure.answered(r->fd, &r->x);
    }
    if (flow == EXCHANGE_BROKEN)
        r->broken = true;
    if (flow == EXCHANGE_END)
        finish(r);
}

/* May what has come of an answer belong to the connection's past? */
static enum opening look_at_opening(struct record *r)
{
    unsigned status;

    if (r->state != RECORD_ALIAS || exchange_answered(&r->x))
        return OPENING_ANSWER;
    return opening_read(r->raw.data, r->raw.end, r->x.request.head_method, &status);
}

/* The connection has ended, or broken, before its answer was complete: 1: look again; else the call's answer. */
static int at_end(struct record *r, int result)
{
    if (r->state == RECORD_ALIAS && !exchange_answered(&r->x) && !r->raw.end && handshake_replace(r))
        return 1;
    r->unfit = true;
    if (bytes_len(&r->raw)) { /* half a head: as it is */
        exchange_release(&r->x, REASON_closed_by_server);
        r->held = r->raw;
        r->raw = (struct bytes){ .data = NULL };
        return 1;
    }
    if (exchange_cut_short(&r->x)) {
        exchange_release(&r->x, REASON_closed_by_server);
        return record_fail(r, ECONNRESET);
    }
    return result;
}

/* One read of the speaker: bytes; 0 or less, as SSL_read, with r->error; INT_MIN: look again. */
static int read_more(struct record *r, void *buf, int len)
{
    bool lent = r->state == RECORD_ALIAS && !exchange_answered(&r->x);

    if (lent)
        real.ERR_set_mark();
    int n = real.SSL_read(record_speaker(r), buf, len);
    if (n > 0 || is_wait(r, n)) {
        if (lent)
            real.ERR_pop_to_mark();
        return n;
    }
    n = at_end(r, n);
    if (lent && n == 1)
        real.ERR_pop_to_mark();
    return n == 1 ? INT_MIN : n;
}

/* 1: some of it was followed; else as SSL_read. */
static int read_head(struct record *r)
{
    if (!bytes_reserve(&r->raw, RECORD_MOST + EXCHANGE_RESPONSE_GROWTH))
        return record_fail(r, ENOMEM);
    int n = read_more(r, r->raw.data + r->raw.end, RECORD_MOST);
    if (n <= 0)
        return n == INT_MIN ? 1 : n;
    r->raw.end += (size_t)n;
    enum opening opening = look_at_opening(r);
    if (opening == OPENING_MORE)
        return 1;
    if (opening != OPENING_ANSWER && handshake_replace(r))
        return 1;
    if (!bytes_reserve(&r->raw, EXCHANGE_RESPONSE_GROWTH))
        return record_fail(r, ENOMEM);
    struct exchange_reply reply = exchange_server(&r->x, r->raw.data + r->raw.start, bytes_len(&r->raw));
    if (!bytes_add(&r->held, r->raw.data + r->raw.start, reply.out))
        return record_fail(r, ENOMEM);
    r->raw.start += reply.used;
    if (reply.flow != EXCHANGE_MORE)
        bytes_clear(&r->raw);
    follow(r, reply.flow);
    return 1;
}

/* The same, of the body, into `buf`; *out bytes are the client's. */
static int read_body(struct record *r, char *buf, int len, size_t *out)
{
    int n = read_more(r, buf, len);

    if (n <= 0)
        return n == INT_MIN ? 1 : n;
    struct exchange_reply reply = exchange_server(&r->x, buf, (size_t)n);
    *out = reply.out;
    follow(r, reply.flow);
    return 1;
}

/* The same, into `held`, where there is room for that. */
static int read_held(struct record *r, int len)
{
    size_t out = 0;
    int result = read_body(r, r->held.data + r->held.end, len, &out);

    r->held.end += out;
    return result;
}

static bool goes_on(const struct record *r)
{
    return is_adapted(r) && r->state != RECORD_ENDED && !r->broken;
}

/* What OpenSSL has of the record that was just read: the kernel does not show it any more, and nobody would wake a client
 * that waits for the socket.  So it is followed now, and if the response ends with it, the socket shows its end. */
static void drain(struct record *r)
{
    int pending;

    while (goes_on(r) && !exchange_in_head(&r->x) && (pending = real.SSL_pending(record_speaker(r))) > 0) {
        int most = pending < RECORD_MOST ? pending : RECORD_MOST;
        if (!bytes_reserve(&r->held, (size_t)most) || read_held(r, most) != 1)
            return;
    }
}

static int give_held(struct record *r, char *buf, int len, bool peek)
{
    size_t n = bytes_len(&r->held) < (size_t)len ? bytes_len(&r->held) : (size_t)len;

    memcpy(buf, r->held.data + r->held.start, n);
    if (!peek) {
        r->held.start += n;
        if (r->held.start == r->held.end)
            bytes_clear(&r->held);
    }
    return (int)n;
}

/* Bytes; 0 at the end; what SSL_read answers. */
static int read_adapted(struct record *r, char *buf, int len, bool peek)
{
    while (!bytes_len(&r->held) && goes_on(r)) {
        size_t out = 0;
        int result = send_request(r);
        if (result == 1 && exchange_in_head(&r->x))
            result = read_head(r);
        else if (result == 1 && !peek)
            result = read_body(r, buf, len, &out);
        else if (result == 1)
            result = bytes_reserve(&r->held, RECORD_MOST) ? read_held(r, RECORD_MOST) : record_fail(r, ENOMEM);
        if (result != 1)
            return result;
        drain(r);
        if (out)
            return (int)out;
    }
    if (bytes_len(&r->held))
        return give_held(r, buf, len, peek);
    if (r->broken)
        return record_fail(r, ECONNRESET);
    if (r->state == RECORD_ENDED) {
        r->error = ERROR_ZERO_RETURN;
        return 0;
    }
    return peek ? real.SSL_peek(record_speaker(r), buf, len) : real.SSL_read(record_speaker(r), buf, len);
}

/* Of an answer to what went out as it was. */
static void look_at_version(struct record *r, const char *buf, int n)
{
    static const char version[] = "HTTP/1.1 ";

    r->looks = false;
    if (n >= (int)sizeof version - 1 && memcmp(buf, version, sizeof version - 1) == 0)
        holdfast_secure.speaks11(r->fd);
}

int talk_read(struct record *r, void *buf, int len, bool peek)
{
    r->error = -1;
    if (len > 0 && (is_adapted(r) || bytes_len(&r->held)))
        return read_adapted(r, buf, len, peek);
    int ready = r->state == RECORD_ENDED ? 1 : handshake_settle(r);
    if (ready != 1)
        return ready;
    if (r->state == RECORD_ALIAS && r->x.kind == EXCHANGE_UNDECIDED && len > 0) { /* it asks for nothing, and waits */
        if (!handshake_replace(r))
            return record_fail(r, errno);
        pass_all(r, REASON_not_http);
        ready = handshake_settle(r);
        if (ready != 1)
            return ready;
    }
    int n = peek ? real.SSL_peek(record_speaker(r), buf, len) : real.SSL_read(record_speaker(r), buf, len);
    if (r->looks && n > 0)
        look_at_version(r, buf, n);
    return n;
}

int talk_shutdown(struct record *r)
{
    r->error = -1;
    if (r->state == RECORD_ENDED) {
        r->shut = true;
        return 1;
    }
    if (r->state == RECORD_ALIAS || r->state == RECORD_OWN)
        r->unfit = true;
    if (r->due || r->lost)
        return 0;
    return real.SSL_shutdown(record_speaker(r));
}

size_t talk_pending(const struct record *r)
{
    size_t held = bytes_len(&r->held);

    if (r->state == RECORD_ENDED || r->due)
        return held;
    return held + (size_t)real.SSL_pending(record_speaker(r));
}
