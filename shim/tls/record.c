/* SPDX-License-Identifier: ISC */
#include "tls/record.h"

#include "tls/reach.h"
#include "tls/sessions.h"
#include "tls/verify.h"

#include <unistd.h>

enum { SEEN = 1, TAINTED = 2 }; /* what hangs on an SSL_CTX, as pointers */

static int object_index = -1, context_index = -1;

/* Its own object keeps its BIOs, if it lives on. */
static void let_go(struct record *r, bool lives)
{
    struct kept *kept = r->kept;

    r->kept = NULL;
    if (!kept)
        return;
    if (!lives || kept->s != r->s)
        kept_detach(kept);
    if (!lives && kept->s == r->s)
        sessions_orphan(kept->s);
    if (!lives)
        atomic_store(&kept->busy, false);
    kept_put(kept);
}

static void forget(struct record *r)
{
    let_go(r, false);
    verify_free_chain(r->chain);
    if (r->leaf)
        real.X509_free(r->leaf);
    bytes_clear(&r->protocol);
    bytes_clear(&r->key);
    bytes_clear(&r->flight);
    bytes_clear(&r->request);
    bytes_clear(&r->raw);
    bytes_clear(&r->held);
    free(r);
}

/* CRYPTO_EX_free and CRYPTO_EX_dup of CRYPTO_get_ex_new_index(3).  A copy of an object has no record. */
static void free_data(void *parent, void *data, void *all, int idx, long argl, void *argp)
{
    if (data)
        forget(data);
}

static int copy_data(void *to, const void *from, void **data, int idx, long argl, void *argp)
{
    *data = NULL;
    return 1;
}

bool record_begin(void)
{
    object_index = real.CRYPTO_get_ex_new_index(EX_INDEX_SSL, 0, NULL, NULL, (void *)(uintptr_t)copy_data,
                                                (void *)(uintptr_t)free_data);
    context_index = real.CRYPTO_get_ex_new_index(EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, NULL);
    return object_index >= 0 && context_index >= 0 && sessions_begin();
}

void record_create(struct ssl *s)
{
    if (!record_is_clean(real.SSL_get_SSL_CTX(s)))
        return;
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return;
    r->s = s;
    r->fd = -1;
    r->error = -1;
    r->pid = getpid();
    exchange_init(&r->x);
    if (!real.SSL_set_ex_data(s, object_index, r))
        free(r);
}

struct record *record_at_its_end(const struct ssl *s)
{
    struct record *r = s ? real.SSL_get_ex_data(s, object_index) : NULL;

    return r && r->state != RECORD_DIRECT ? r : NULL;
}

struct record *record_of(const struct ssl *s)
{
    struct record *r = record_at_its_end(s);

    if (!r || !r->restarts)
        return r;
    record_leave(r);
    real.SSL_set_connect_state(r->s);
    return NULL;
}

void record_set_state(struct record *r, enum record_state state)
{
    static const unsigned char moves[RECORD_STATES] = {
        [RECORD_NEW] = 1 << RECORD_CHOOSING | 1 << RECORD_DIRECT,
        [RECORD_CHOOSING] = 1 << RECORD_OWN | 1 << RECORD_ALIAS | 1 << RECORD_DIRECT,
        [RECORD_OWN] = 1 << RECORD_ENDED | 1 << RECORD_DIRECT,
        [RECORD_ALIAS] = 1 << RECORD_OWN | 1 << RECORD_ENDED | 1 << RECORD_DIRECT,
        [RECORD_ENDED] = 1 << RECORD_DIRECT,
    };

    if (moves[r->state] >> state & 1)
        r->state = state;
    else
        r->unfit = true;
}

void record_taint(struct record *r)
{
    r->unfit = true;
    if (r->state == RECORD_NEW)
        record_set_state(r, RECORD_DIRECT);
    if (r->kept)
        atomic_store(&r->kept->spoiled, true);
}

void record_leave(struct record *r)
{
    record_taint(r);
    if (r->state != RECORD_DIRECT)
        record_set_state(r, RECORD_DIRECT);
    let_go(r, true);
}

void record_rewired(struct record *r)
{
    record_taint(r);
    r->fd = -1;
    if (r->state == RECORD_ALIAS)
        kept_attach(r->kept, r->s);
}

void record_end(struct record *r)
{
    if (r->references) {
        r->references--;
        return;
    }
    real.SSL_set_ex_data(r->s, object_index, NULL);
    forget(r);
}

static void *context_data(const struct ssl_ctx *ctx)
{
    return ctx ? real.SSL_CTX_get_ex_data(ctx, context_index) : NULL;
}

void record_see_context(struct ssl_ctx *ctx)
{
    real.SSL_CTX_set_ex_data(ctx, context_index, (void *)(uintptr_t)SEEN);
}

void record_taint_context(struct ssl_ctx *ctx)
{
    if (context_data(ctx))
        real.SSL_CTX_set_ex_data(ctx, context_index, (void *)(uintptr_t)TAINTED);
}

bool record_is_clean(const struct ssl_ctx *ctx)
{
    return (uintptr_t)context_data(ctx) == SEEN;
}
