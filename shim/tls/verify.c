/* SPDX-License-Identifier: ISC */
#include "tls/verify.h"

#include "tls/reach.h"

static void *store_of(struct ssl *s)
{
    void *store = NULL;

    real.SSL_ctrl(s, CTRL_GET_VERIFY_STORE, 0, &store);
    return store ? store : real.SSL_CTX_get_cert_store(real.SSL_get_SSL_CTX(s));
}

/* The order is that of ssl_verify_cert_chain: what the client set comes last. */
static bool set_up(void *x, struct ssl *s)
{
    void *param = real.X509_STORE_CTX_get0_param(x), *callback = real.SSL_get_verify_callback(s);

    real.X509_VERIFY_PARAM_set_auth_level(param, real.SSL_get_security_level(s));
    if (!real.X509_STORE_CTX_set_ex_data(x, real.SSL_get_ex_data_X509_STORE_CTX_idx(), s) ||
        !real.X509_STORE_CTX_set_default(x, "ssl_server") || !real.X509_VERIFY_PARAM_set1(param, real.SSL_get0_param(s)))
        return false;
    if (callback)
        real.X509_STORE_CTX_set_verify_cb(x, callback);
    return true;
}

bool verify_again(struct ssl *s, struct ssl *kept, void **chain)
{
    void *sent = real.SSL_get_peer_cert_chain(kept), *store = store_of(s);
    bool accepted = false;

    *chain = NULL;
    if (!sent || !store || real.OPENSSL_sk_num(sent) < 1)
        return false;
    void *x = real.X509_STORE_CTX_new();
    if (!x)
        return false;
    real.ERR_set_mark();
    if (real.X509_STORE_CTX_init(x, store, real.OPENSSL_sk_value(sent, 0), sent) && set_up(x, s)) {
        int result = real.X509_verify_cert(x);
        real.SSL_set_verify_result(s, real.X509_STORE_CTX_get_error(x));
        accepted = result > 0 || real.SSL_get_verify_mode(s) == VERIFY_NONE;
        if (real.X509_STORE_CTX_get0_chain(x))
            *chain = real.X509_STORE_CTX_get1_chain(x);
        real.X509_VERIFY_PARAM_move_peername(real.SSL_get0_param(s), real.X509_STORE_CTX_get0_param(x));
    }
    real.ERR_pop_to_mark();
    real.X509_STORE_CTX_free(x);
    return accepted;
}

bool verify_status(struct ssl *s)
{
    struct ssl_ctx *ctx = real.SSL_get_SSL_CTX(s);
    int (*callback)(struct ssl *s, void *argument) = NULL;
    void *argument = NULL;

    if (real.SSL_ctrl(s, CTRL_GET_STATUS_TYPE, 0, NULL) == STATUS_NONE)
        return true;
    real.SSL_CTX_ctrl(ctx, CTRL_GET_STATUS_CALLBACK, 0, (void *)&callback);
    real.SSL_CTX_ctrl(ctx, CTRL_GET_STATUS_ARGUMENT, 0, (void *)&argument);
    return !callback || callback(s, argument) > 0;
}

void verify_free_chain(void *chain)
{
    if (chain)
        real.OPENSSL_sk_pop_free(chain, real.X509_free);
}
