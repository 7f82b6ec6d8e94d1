/* SPDX-License-Identifier: ISC */
#include "tls/handshake.h"

#include "tls/services.h"
#include "tls/hello.h"
#include "tls/reach.h"
#include "tls/verify.h"

#include <errno.h>

enum { FLIGHT_MOST = 16384 + 5, SHOULD_RETRY = 8 /* BIO_should_retry(3) */ };

/* A socket, and the same for both directions.  What else there is (memory, a client's own) cannot be followed. */
static bool has_socket(struct record *r)
{
    void *in = real.SSL_get_rbio(r->s), *out = real.SSL_get_wbio(r->s);

    r->fd = real.SSL_get_rfd(r->s);
    return in && in == out && r->fd >= 0 && r->fd == real.SSL_get_wfd(r->s) &&
           real.BIO_method_type(in) == BIO_TYPE_SOCKET && !real.BIO_next(in);
}

/* Who listens to what OpenSSL does would miss it, or hear it of another. */
static bool is_unwatched(struct ssl *s)
{
    struct ssl_ctx *ctx = real.SSL_get_SSL_CTX(s);

    return !real.SSL_get_info_callback(s) && !real.SSL_CTX_get_info_callback(ctx) && !real.SSL_CTX_get_keylog_callback(ctx) &&
           !real.SSL_CTX_sess_get_new_cb(ctx);
}

static bool has_no_certificate(struct ssl *s)
{
    return !real.SSL_get_certificate(s) && !real.SSL_get_privatekey(s) &&
           !real.SSL_CTX_get_client_cert_cb(real.SSL_get_SSL_CTX(s));
}

static bool can_be_followed(struct record *r)
{
    struct ssl *s = r->s;
    const void *method = real.SSL_get_ssl_method(s);

    return reach_is_on() && record_is_clean(real.SSL_get_SSL_CTX(s)) && has_socket(r) && !real.SSL_is_server(s) &&
           real.SSL_in_before(s) && (method == real.TLS_method() || method == real.TLS_client_method()) &&
           is_unwatched(s) && has_no_certificate(s) && !real.SSL_get_session(s) && !real.SSL_get_read_ahead(s) &&
           !real.SSL_get_quiet_shutdown(s) && !real.SSL_ct_is_enabled(s);
}

static bool read_flight(struct record *r, void *memory)
{
    int n;

    if (!bytes_reserve(&r->flight, FLIGHT_MOST))
        return false;
    n = real.BIO_read(memory, r->flight.data, FLIGHT_MOST);
    r->flight.end = n > 0 ? (size_t)n : 0;
    r->flight_len = r->flight.end;
    return n > 0;
}

/* The call is made with memory in the socket's place.  What it answers: less than 0, with a flight; or it is the answer of
 * the client's call.  -ENOMEM: nothing was done. */
static int make_flight(struct record *r, int (*call)(struct ssl *s))
{
    void *socket = real.SSL_get_rbio(r->s), *in = real.BIO_new(real.BIO_s_mem()), *out = real.BIO_new(real.BIO_s_mem());

    if (!in || !out || !real.BIO_up_ref(out)) {
        real.BIO_free(in);
        real.BIO_free(out);
        return -ENOMEM;
    }
    real.BIO_up_ref(socket);
    real.BIO_up_ref(socket);
    real.SSL_set0_rbio(r->s, in);
    real.SSL_set0_wbio(r->s, out);
    int result = call(r->s);
    if (result < 0 && real.SSL_get_error(r->s, result) == ERROR_WANT_READ)
        read_flight(r, out);
    real.SSL_set0_rbio(r->s, socket);
    real.SSL_set0_wbio(r->s, socket);
    real.BIO_free(out);
    return result;
}

/* What decides besides the ClientHello what is negotiated, or accepted. */
static bool make_key(struct record *r)
{
    const uint64_t options = real.SSL_get_options(r->s);
    const int level = real.SSL_get_security_level(r->s);

    if (hello_key(r->flight.data, r->flight.end, &r->key) && bytes_add(&r->key, &options, sizeof options) &&
        bytes_add(&r->key, &level, sizeof level))
        return true;
    bytes_clear(&r->key);
    return false;
}

static int fail(struct record *r, int error)
{
    r->error = ERROR_SYSCALL;
    errno = error;
    return -1;
}

/* What is left of the flight goes out, then the handshake goes on by itself. */
static int go_on(struct record *r, int (*call)(struct ssl *s))
{
    void *out = real.SSL_get_wbio(r->s);

    while (bytes_len(&r->flight)) {
        int n = real.BIO_write(out, r->flight.data + r->flight.start, (int)bytes_len(&r->flight));
        if (n <= 0) {
            r->error = real.BIO_test_flags(out, SHOULD_RETRY) ? ERROR_WANT_WRITE : ERROR_SYSCALL;
            return -1;
        }
        r->flight.start += (size_t)n;
    }
    return call(r->s);
}

static bool may_use(const struct record *r, struct kept *kept)
{
    return !atomic_load(&kept->busy) && !atomic_load(&kept->spoiled) && bytes_equal(&r->key, &kept->key) &&
           is_unwatched(kept->s);
}

static bool become_alias(struct record *r, struct kept *kept)
{
    if (!r->key.data || !may_use(r, kept) || !verify_again(r->s, kept->s, &r->chain))
        return false;
    if (!holdfast_secure.take(r->fd)) {
        verify_free_chain(r->chain);
        r->chain = NULL;
        return false;
    }
    atomic_store(&kept->busy, true);
    kept_attach(kept, r->s);
    r->kept = kept;
    r->leaf = real.SSL_get0_peer_certificate(kept->s);
    if (r->leaf)
        real.X509_up_ref(r->leaf);
    record_set_state(r, RECORD_ALIAS);
    return true;
}

static int begin(struct record *r, int (*call)(struct ssl *s))
{
    struct kept *kept = NULL;
    enum secure_found found = SECURE_NOTHING;

    kept_sweep();
    if (can_be_followed(r))
        found = holdfast_secure.find(r->fd, (void **)&kept);
    if (found == SECURE_NOTHING) {
        record_set_state(r, RECORD_DIRECT);
        return call(r->s);
    }
    int result = make_flight(r, call);
    if (result == -ENOMEM || !r->flight.data || !r->flight.end) {
        record_set_state(r, RECORD_DIRECT);
        return result == -ENOMEM ? call(r->s) : result;
    }
    make_key(r);
    if (found == SECURE_IDLE && become_alias(r, kept))
        return 1;
    verify_free_chain(r->chain);
    r->chain = NULL;
    result = holdfast_secure.own(r->fd);
    record_set_state(r, RECORD_OWN);
    if (result < 0)
        exchange_release(&r->x, REASON_tls);
    return result < 0 && result != -ENOTSUP ? fail(r, -result) : go_on(r, call);
}

int handshake_run(struct record *r, int (*call)(struct ssl *s))
{
    r->error = -1;
    switch (r->state) {
    case RECORD_NEW:
        return begin(r, call);
    case RECORD_OWN:
        return r->due ? handshake_settle(r) : go_on(r, call);
    case RECORD_ALIAS:
    case RECORD_ENDED:
        return 1;
    default:
        return call(r->s);
    }
}

/* The program has judged a certificate that it was shown before: another one would be a server that it never saw. */
static bool is_same_server(struct record *r)
{
    void *leaf = real.SSL_get0_peer_certificate(r->s);

    return leaf && r->leaf && real.X509_cmp(leaf, r->leaf) == 0;
}

int handshake_settle(struct record *r)
{
    if (r->lost)
        return fail(r, ECONNRESET);
    if (!r->due)
        return 1;
    int result = go_on(r, real.SSL_do_handshake);
    if (result == 1 && !is_same_server(r)) {
        r->lost = true;
        return fail(r, ECONNRESET);
    }
    if (result == 1)
        r->due = false;
    return result;
}

bool handshake_replace(struct record *r)
{
    int result = r->state == RECORD_ALIAS ? holdfast_secure.replace(r->fd) : -ECONNRESET;

    if (result < 0) {
        errno = -result;
        return false;
    }
    kept_detach(r->kept);
    kept_put(r->kept);
    r->kept = NULL;
    verify_free_chain(r->chain);
    r->chain = NULL;
    r->flight.start = 0;
    r->flight.end = r->flight_len;
    r->request_sent = 0;
    r->due = true;
    bytes_clear(&r->raw);
    record_set_state(r, RECORD_OWN);
    return true;
}
