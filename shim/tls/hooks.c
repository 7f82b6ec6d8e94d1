/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "tls/hooks.h"

#include "tls/controls.h"
#include "tls/handshake.h"
#include "tls/reach.h"
#include "tls/record.h"
#include "tls/sessions.h"
#include "tls/talk.h"

#include <stdint.h>
#include <string.h>

/* ---- objects ---- */

static struct ssl_ctx *hook_SSL_CTX_new(const void *method)
{
    struct ssl_ctx *ctx = real.SSL_CTX_new(method);

    if (ctx && reach_is_on())
        record_see_context(ctx);
    return ctx;
}

static struct ssl *hook_SSL_new(struct ssl_ctx *ctx)
{
    struct ssl *s = real.SSL_new(ctx);

    if (s && reach_is_on())
        record_create(s);
    return s;
}

static void hook_SSL_free(struct ssl *s)
{
    struct record *r = record_at_its_end(s);

    if (r)
        record_end(r);
    real.SSL_free(s);
}

static int hook_SSL_up_ref(struct ssl *s)
{
    struct record *r = record_of(s);
    int result = real.SSL_up_ref(s);

    if (r && result == 1) {
        record_taint(r);
        r->references++;
    }
    return result;
}

/* Of an object whose handshake has begun OpenSSL gives the object itself. */
static struct ssl *hook_SSL_dup(struct ssl *s)
{
    struct record *r = record_of(s);

    if (!r)
        return real.SSL_dup(s);
    record_taint(r);
    if (r->state == RECORD_DIRECT)
        return real.SSL_dup(s);
    return hook_SSL_up_ref(s) == 1 ? s : NULL;
}

static void hook_SSL_CTX_sess_set_new_cb(struct ssl_ctx *ctx, void *callback)
{
    if (record_is_clean(ctx))
        sessions_set_callback(ctx, callback);
    else
        real.SSL_CTX_sess_set_new_cb(ctx, callback);
}

static void *hook_SSL_CTX_sess_get_new_cb(struct ssl_ctx *ctx)
{
    return sessions_callback(ctx);
}

/* ---- handshake ---- */

static void hook_SSL_set_accept_state(struct ssl *s)
{
    struct record *r = record_of(s);

    if (r && r->state == RECORD_NEW)
        record_taint(r);
    else if (r)
        record_leave(r);
    real.SSL_set_accept_state(s);
}

/* curl does this on its way to SSL_free. */
static void hook_SSL_set_connect_state(struct ssl *s)
{
    struct record *r = record_of(s);

    if (r && r->state == RECORD_ENDED) {
        r->restarts = true;
        return;
    }
    if (r && r->state != RECORD_NEW)
        record_leave(r);
    real.SSL_set_connect_state(s);
}

static int hook_SSL_connect(struct ssl *s)
{
    struct record *r = record_of(s);

    reach_look();
    return r ? handshake_run(r, real.SSL_connect) : real.SSL_connect(s);
}

static int hook_SSL_do_handshake(struct ssl *s)
{
    struct record *r = record_of(s);

    reach_look();
    return r ? handshake_run(r, real.SSL_do_handshake) : real.SSL_do_handshake(s);
}

/* ---- what is said ---- */

/* One without a handshake, which reads or writes, makes it by that: it is left alone.  So is one that a callback of its own
 * verification uses. */
static struct record *talking(struct ssl *s)
{
    struct record *r = record_of(s);

    if (r && r->state == RECORD_CHOOSING) {
        r->unfit = true;
        return NULL;
    }

    if (r && r->state == RECORD_NEW) {
        record_set_state(r, RECORD_DIRECT);
        return NULL;
    }
    return r;
}

static int clip(size_t len)
{
    return len > INT32_MAX ? INT32_MAX : (int)len;
}

static int hook_SSL_read(struct ssl *s, void *buf, int len)
{
    struct record *r = talking(s);

    return r ? talk_read(r, buf, len, false) : real.SSL_read(s, buf, len);
}

static int hook_SSL_peek(struct ssl *s, void *buf, int len)
{
    struct record *r = talking(s);

    return r ? talk_read(r, buf, len, true) : real.SSL_peek(s, buf, len);
}

static int hook_SSL_write(struct ssl *s, const void *buf, int len)
{
    struct record *r = talking(s);

    return r ? talk_write(r, buf, len) : real.SSL_write(s, buf, len);
}

static int told(int result, size_t *bytes)
{
    *bytes = result > 0 ? (size_t)result : 0;
    return result > 0;
}

static int hook_SSL_read_ex(struct ssl *s, void *buf, size_t len, size_t *got)
{
    struct record *r = talking(s);

    return r ? told(talk_read(r, buf, clip(len), false), got) : real.SSL_read_ex(s, buf, len, got);
}

static int hook_SSL_peek_ex(struct ssl *s, void *buf, size_t len, size_t *got)
{
    struct record *r = talking(s);

    return r ? told(talk_read(r, buf, clip(len), true), got) : real.SSL_peek_ex(s, buf, len, got);
}

static int hook_SSL_write_ex(struct ssl *s, const void *buf, size_t len, size_t *done)
{
    struct record *r = talking(s);

    return r ? told(talk_write(r, buf, clip(len)), done) : real.SSL_write_ex(s, buf, len, done);
}

static int hook_SSL_pending(const struct ssl *s)
{
    const struct record *r = record_of(s);

    return r && r->state != RECORD_NEW ? clip(talk_pending(r)) : real.SSL_pending(s);
}

static int hook_SSL_has_pending(const struct ssl *s)
{
    const struct record *r = record_of(s);

    if (!r || r->state == RECORD_NEW)
        return real.SSL_has_pending(s);
    return talk_pending(r) > 0 || (r->state != RECORD_ENDED && real.SSL_has_pending(record_speaker(r)));
}

static int hook_SSL_shutdown(struct ssl *s)
{
    struct record *r = record_of(s);

    return r && r->state > RECORD_CHOOSING ? talk_shutdown(r) : real.SSL_shutdown(s);
}

static int hook_SSL_get_shutdown(const struct ssl *s)
{
    const struct record *r = record_of(s);

    if (r && r->state == RECORD_ENDED)
        return RECEIVED_SHUTDOWN | (r->shut ? SENT_SHUTDOWN : 0);
    return real.SSL_get_shutdown(r ? record_speaker(r) : s);
}

/* At the end it changes what is told of the end, and nothing else. */
static void hook_SSL_set_shutdown(struct ssl *s, int mode)
{
    struct record *r = record_of(s);

    if (r && r->state == RECORD_ENDED) {
        r->shut = mode & SENT_SHUTDOWN;
        return;
    }
    if (r && r->state != RECORD_NEW)
        record_taint(r);
    real.SSL_set_shutdown(r ? record_speaker(r) : s, mode);
}

static int hook_SSL_get_error(const struct ssl *s, int result)
{
    const struct record *r = record_of(s);

    if (r && result <= 0 && r->error >= 0)
        return r->error;
    return real.SSL_get_error(r ? record_speaker(r) : s, result);
}

/* ---- questions ---- */

static void *hook_SSL_get0_verified_chain(const struct ssl *s)
{
    const struct record *r = record_of(s);

    return r && r->kept && r->kept->s != s ? r->chain : real.SSL_get0_verified_chain(s);
}

/* A session carries the judgement of the client that made it. */
static bool has_session(const struct record *r)
{
    return !r->kept || r->kept->s == r->s || real.SSL_get_verify_result(r->kept->s) == real.SSL_get_verify_result(r->s);
}

static void *hook_SSL_get_session(const struct ssl *s)
{
    const struct record *r = record_of(s);

    if (!r)
        return real.SSL_get_session(s);
    return has_session(r) ? real.SSL_get_session(record_speaker(r)) : NULL;
}

static void *hook_SSL_get1_session(struct ssl *s)
{
    const struct record *r = record_of(s);

    if (!r)
        return real.SSL_get1_session(s);
    return has_session(r) ? real.SSL_get1_session(record_speaker(r)) : NULL;
}

/* ---- what is set ---- */

static long hook_SSL_ctrl(struct ssl *s, int cmd, long number, void *pointer)
{
    struct record *r = record_of(s);

    if (!r)
        return real.SSL_ctrl(s, cmd, number, pointer);
    if (controls_asks_connection(cmd))
        return real.SSL_ctrl(record_speaker(r), cmd, number, pointer);
    if (controls_only_asks(cmd, number) || (r->state == RECORD_NEW && controls_is_harmless_before(cmd)))
        return real.SSL_ctrl(s, cmd, number, pointer);
    if (cmd == CTRL_MODE || cmd == CTRL_CLEAR_MODE) { /* who has the connection next has a mode of its own */
        if (r->state == RECORD_ALIAS)
            real.SSL_ctrl(r->kept->s, cmd, number, pointer);
        return real.SSL_ctrl(s, cmd, number, pointer);
    }
    record_taint(r);
    return real.SSL_ctrl(record_speaker(r), cmd, number, pointer);
}

static long hook_SSL_CTX_callback_ctrl(struct ssl_ctx *ctx, int cmd, void *callback)
{
    if (cmd != CTRL_SET_STATUS_CALLBACK)
        record_taint_context(ctx);
    return real.SSL_CTX_callback_ctrl(ctx, cmd, callback);
}

static long hook_SSL_CTX_ctrl(struct ssl_ctx *ctx, int cmd, long number, void *pointer)
{
    if (!controls_is_harmless_before(cmd))
        record_taint_context(ctx);
    return real.SSL_CTX_ctrl(ctx, cmd, number, pointer);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    hook_function hook;
} table[] = {
#define HOOK(name) { #name, (hook_function)hook_##name },
#define PLAIN(name)
#define STATE PLAIN
#define CHANGE PLAIN
#define REWIRE PLAIN
#define RESTART PLAIN
#define TAINT PLAIN
#define TAINT_CTX PLAIN
#define LEAVE PLAIN
#include "tls/symbols.def"
};

bool hooks_by_hand(const char *name, hook_function *hook)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0) {
            *hook = table[i].hook;
            return true;
        }
    return false;
}
