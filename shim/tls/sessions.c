/* SPDX-License-Identifier: ISC */
#include "tls/sessions.h"

#include "tls/reach.h"

typedef int new_session(struct ssl *s, void *session);

static int callback_index = -1, orphan_index = -1;
static char orphan; /* what its address means */

bool sessions_begin(void)
{
    callback_index = real.CRYPTO_get_ex_new_index(EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, NULL);
    orphan_index = real.CRYPTO_get_ex_new_index(EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
    return callback_index >= 0 && orphan_index >= 0;
}

/* 0: nobody keeps the session. */
static int hear(struct ssl *s, void *session)
{
    new_session *callback = (new_session *)(uintptr_t)sessions_callback(real.SSL_get_SSL_CTX(s));

    return callback && !real.SSL_get_ex_data(s, orphan_index) ? callback(s, session) : 0;
}

bool sessions_are_ours(struct ssl_ctx *ctx)
{
    void *set = real.SSL_CTX_sess_get_new_cb(ctx);

    return !set || set == (void *)(uintptr_t)hear;
}

void sessions_set_callback(struct ssl_ctx *ctx, void *callback)
{
    bool ours = callback && real.SSL_CTX_set_ex_data(ctx, callback_index, callback);

    real.SSL_CTX_sess_set_new_cb(ctx, ours ? (void *)(uintptr_t)hear : callback);
}

void *sessions_callback(struct ssl_ctx *ctx)
{
    void *set = real.SSL_CTX_sess_get_new_cb(ctx);

    return set == (void *)(uintptr_t)hear ? real.SSL_CTX_get_ex_data(ctx, callback_index) : set;
}

void sessions_orphan(struct ssl *s)
{
    real.SSL_set_ex_data(s, orphan_index, &orphan);
}
