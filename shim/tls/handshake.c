/* SPDX-License-Identifier: ISC */
#include "tls/handshake.h"

#include "tls/services.h"
#include "tls/hello.h"
#include "tls/reach.h"
#include "tls/sessions.h"
#include "tls/verify.h"

#include <errno.h>
#include <unistd.h>

enum { FLIGHT_PART = 16384, SHOULD_RETRY = 8 /* BIO_should_retry(3) */ };

/* One for both directions, and nothing behind it. */
static bool has_one_bio(const struct record *r)
{
    void *in = real.SSL_get_rbio(r->s);

    return in && in == real.SSL_get_wbio(r->s) && !real.BIO_next(in);
}

/* A socket of OpenSSL's own.  Else r->fd is -1: the program may have a BIO of its own (curl), before a socket or not. */
static void look_for_socket(struct record *r)
{
    bool socket = real.BIO_method_type(real.SSL_get_rbio(r->s)) == BIO_TYPE_SOCKET;

    r->fd = socket && real.SSL_get_rfd(r->s) == real.SSL_get_wfd(r->s) ? real.SSL_get_rfd(r->s) : -1;
}

/* Who listens to what OpenSSL does would miss it, or hear it of another.  Of new sessions: sessions.h. */
static bool is_unwatched(struct ssl *s)
{
    struct ssl_ctx *ctx = real.SSL_get_SSL_CTX(s);

    return !real.SSL_get_info_callback(s) && !real.SSL_CTX_get_info_callback(ctx) && !real.SSL_CTX_get_keylog_callback(ctx) &&
           sessions_are_ours(ctx) && !real.SSL_CTX_sess_get_get_cb(ctx) && !real.SSL_CTX_sess_get_remove_cb(ctx);
}

static bool has_no_certificate(struct ssl *s)
{
    return !real.SSL_get_certificate(s) && !real.SSL_get_privatekey(s) &&
           !real.SSL_CTX_get_client_cert_cb(real.SSL_get_SSL_CTX(s));
}

/* SSL_connect makes a client of what was told nothing; who was told to be a server has no record any more. */
static bool can_be_followed(struct record *r, int (*call)(struct ssl *s))
{
    struct ssl *s = r->s;
    const void *method = real.SSL_get_ssl_method(s);

    return reach_is_on() && r->pid == getpid() && !r->unfit && record_is_clean(real.SSL_get_SSL_CTX(s)) && has_one_bio(r) &&
           (call == real.SSL_connect || !real.SSL_is_server(s)) &&
           real.SSL_in_before(s) && (method == real.TLS_method() || method == real.TLS_client_method()) &&
           is_unwatched(s) && has_no_certificate(s) && !real.SSL_get_read_ahead(s) &&
           !real.SSL_get_quiet_shutdown(s) && !real.SSL_ct_is_enabled(s) && real.SSL_ctrl(s, CTRL_CERT_FLAGS, 0, NULL) == 0;
}

/* All of it; or none, if there is no memory. */
static void read_flight(struct record *r, void *memory)
{
    char part[FLIGHT_PART];
    int n;

    while ((n = real.BIO_read(memory, part, sizeof part)) > 0)
        if (!bytes_add(&r->flight, part, (size_t)n)) {
            bytes_clear(&r->flight);
            break;
        }
    r->flight_len = r->flight.end;
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

/* What decides besides the ClientHello what is negotiated, or accepted: of the lowest version a ClientHello up to TLS 1.2
 * says nothing. */
static void make_key(struct record *r)
{
    const uint64_t besides[] = {
        real.SSL_get_options(r->s),
        (uint64_t)real.SSL_get_security_level(r->s),
        (uint64_t)real.SSL_ctrl(r->s, CTRL_GET_MIN_PROTO, 0, NULL),
        (uint64_t)real.SSL_ctrl(r->s, CTRL_GET_MAX_PROTO, 0, NULL),
    };

    if (!hello_key(r->flight.data, r->flight.end, &r->key) || !bytes_add(&r->key, besides, sizeof besides))
        bytes_clear(&r->key);
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

/* What the program is told of `kept` it has to find true of another connection, too, should that take its place. */
static bool remember_server(struct record *r, const struct kept *kept)
{
    const unsigned char *protocol;
    unsigned len;

    real.SSL_get0_alpn_selected(kept->s, &protocol, &len);
    r->version = real.SSL_version(kept->s);
    r->leaf = real.SSL_get0_peer_certificate(kept->s);
    return r->leaf && real.X509_up_ref(r->leaf) == 1 && (len == 0 || bytes_add(&r->protocol, protocol, len));
}

/* `kept` answers what the program's callback asks of its object meanwhile. */
static bool accepts_status(struct record *r, struct kept *kept)
{
    kept_hold(kept);
    r->kept = kept;
    bool accepted = verify_status(r->s);
    if (r->kept) {
        r->kept = NULL;
        kept_put(kept);
    }
    return accepted && r->state == RECORD_CHOOSING;
}

/* True: `kept` is the program's, with the reference that the caller had.  The verification may have run code of the program's,
 * so what could have changed meanwhile is looked at behind it. */
static bool become_alias(struct record *r, struct kept *kept)
{
    bool fits = r->key.data && kept_fits(kept, &r->key) && is_unwatched(kept->s) && has_no_certificate(kept->s);

    if (!fits || !verify_again(r->s, kept->s, &r->chain) || !accepts_status(r, kept) || r->unfit || r->state != RECORD_CHOOSING ||
        !remember_server(r, kept) || !holdfast_secure.take(r->fd, kept)) {
        verify_free_chain(r->chain);
        r->chain = NULL;
        return false;
    }
    kept_from_pool(kept);
    kept_put(kept); /* the caller has one */
    atomic_store(&kept->busy, true);
    kept_attach(kept, r->s);
    r->kept = kept;
    record_set_state(r, RECORD_ALIAS);
    return true;
}

static int make_own(struct record *r, int (*call)(struct ssl *s))
{
    int result = holdfast_secure.own(r->fd);

    if (r->state == RECORD_CHOOSING)
        record_set_state(r, RECORD_OWN);
    if (result < 0) {
        exchange_release(&r->x, REASON_tls);
        r->unfit = true;
    }
    return result < 0 && result != -ENOTSUP ? record_fail(r, -result) : go_on(r, call);
}

/* The program's own BIO is given the flight, and what it sends is kept back: so its socket is known.  False: it is not, and
 * what it took of the flight has gone out. */
static bool ask_for_socket(struct record *r)
{
    holdfast_secure.expect(r->flight.data, r->flight.end);
    int n = real.BIO_write(real.SSL_get_wbio(r->s), r->flight.data, (int)r->flight.end);
    r->fd = holdfast_secure.expected();
    if (r->fd < 0 && n > 0)
        r->flight.start += (size_t)n;
    return r->fd >= 0;
}

/* An idle connection has nothing to say.  But curl loads the certificates that it trusts when its BIO is read. */
static bool reads_nothing(struct record *r)
{
    char byte;

    return real.BIO_read(real.SSL_get_rbio(r->s), &byte, 1) <= 0;
}

static int make_direct(struct record *r, int (*call)(struct ssl *s))
{
    record_set_state(r, RECORD_DIRECT);
    return call(r->s);
}

/* Its flight is made, and nobody can follow it.  Where not all of that went out, the next call goes on. */
static int make_unfollowed(struct record *r, int (*call)(struct ssl *s))
{
    if (!bytes_len(&r->flight))
        return make_direct(r, call);
    record_set_state(r, RECORD_OWN);
    exchange_release(&r->x, REASON_tls);
    r->unfit = true;
    return go_on(r, call);
}

/* Its flight is made. */
static int choose(struct record *r, int (*call)(struct ssl *s), struct kept *kept)
{
    bool own_bio = r->fd < 0;

    if (own_bio && (!ask_for_socket(r) || holdfast_secure.find(r->fd, (void **)&kept) == SECURE_NOTHING))
        return make_unfollowed(r, call);
    make_key(r);
    bool quiet = !own_bio || !kept || reads_nothing(r), alias = quiet && kept && become_alias(r, kept);
    if (kept && !alias)
        kept_put(kept);
    if (alias)
        return 1;
    if (quiet)
        return make_own(r, call);
    r->lost = true;
    record_set_state(r, RECORD_OWN);
    return record_fail(r, ECONNRESET);
}

static int begin(struct record *r, int (*call)(struct ssl *s))
{
    struct kept *kept = NULL;

    kept_sweep();
    if (!can_be_followed(r, call))
        return make_direct(r, call);
    look_for_socket(r);
    if (r->fd >= 0 && holdfast_secure.find(r->fd, (void **)&kept) == SECURE_NOTHING)
        return make_direct(r, call);
    record_set_state(r, RECORD_CHOOSING);
    int result = make_flight(r, call);
    if (result != -ENOMEM && bytes_len(&r->flight))
        return choose(r, call, kept);
    if (kept)
        kept_put(kept);
    record_set_state(r, RECORD_DIRECT);
    return result == -ENOMEM ? call(r->s) : result;
}

int handshake_run(struct record *r, int (*call)(struct ssl *s))
{
    r->error = -1;
    switch (r->state) {
    case RECORD_NEW:
        return begin(r, call);
    case RECORD_OWN:
        return r->lost || r->due ? handshake_settle(r) : go_on(r, call);
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
    const unsigned char *protocol;
    unsigned len;

    real.SSL_get0_alpn_selected(r->s, &protocol, &len);
    return leaf && r->leaf && real.X509_cmp(leaf, r->leaf) == 0 && real.SSL_version(r->s) == r->version &&
           len == bytes_len(&r->protocol) && (len == 0 || memcmp(protocol, r->protocol.data, len) == 0);
}

int handshake_settle(struct record *r)
{
    if (r->lost)
        return record_fail(r, ECONNRESET);
    if (!r->due)
        return 1;
    int result = go_on(r, real.SSL_do_handshake);
    if (result == 1 && !is_same_server(r)) {
        r->lost = true;
        return record_fail(r, ECONNRESET);
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
