/* SPDX-License-Identifier: ISC */
#include "tls/kept.h"

#include "tls/services.h"
#include "tls/reach.h"

#include <unistd.h>

static _Atomic(struct kept *) forgotten;
static atomic_int count;

struct kept *kept_create(struct ssl *s, struct bytes *key)
{
    kept_sweep();
    if (atomic_load(&count) >= KEPT_MOST)
        return NULL;
    struct kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    if (real.SSL_up_ref(s) != 1) {
        free(kept);
        return NULL;
    }
    kept->s = s;
    kept->key = *key;
    *key = (struct bytes){ .data = NULL };
    kept->pid = getpid();
    kept->references = 1;
    kept->busy = true;
    atomic_fetch_add(&count, 1);
    return kept;
}

bool kept_fits(const struct kept *kept, const struct bytes *key)
{
    return !atomic_load(&kept->busy) && !atomic_load(&kept->spoiled) && kept->pid == getpid() &&
           bytes_equal(key, &kept->key);
}

static void hold(void *pointer)
{
    struct kept *kept = pointer;

    atomic_fetch_add(&kept->references, 1);
}

void kept_hold(struct kept *kept)
{
    hold(kept);
}

void kept_to_pool(struct kept *kept)
{
    hold(kept);
    atomic_store(&kept->pooled, true);
}

void kept_from_pool(struct kept *kept)
{
    atomic_store(&kept->pooled, false);
}

void kept_put(struct kept *kept)
{
    if (atomic_fetch_sub(&kept->references, 1) > 1)
        return;
    real.SSL_free(kept->s);
    bytes_clear(&kept->key);
    free(kept);
    atomic_fetch_sub(&count, 1);
}

void kept_attach(struct kept *kept, struct ssl *s)
{
    void *in = real.SSL_get_rbio(s), *out = real.SSL_get_wbio(s);

    real.BIO_up_ref(in);
    real.SSL_set0_rbio(kept->s, in);
    real.BIO_up_ref(out);
    real.SSL_set0_wbio(kept->s, out);
    real.SSL_ctrl(kept->s, CTRL_CLEAR_MODE, -1L, NULL);
    real.SSL_ctrl(kept->s, CTRL_MODE, real.SSL_ctrl(s, CTRL_MODE, 0, NULL), NULL);
}

void kept_detach(struct kept *kept)
{
    real.SSL_set0_rbio(kept->s, NULL);
    real.SSL_set0_wbio(kept->s, NULL);
}

/* Once: its reference is one. */
static void forget(void *pointer)
{
    struct kept *kept = pointer;

    if (!atomic_exchange(&kept->pooled, false))
        return;
    kept->next = atomic_load(&forgotten);
    while (!atomic_compare_exchange_weak(&forgotten, &kept->next, kept))
        ;
}

void kept_sweep(void)
{
    struct kept *next;

    if (!atomic_load_explicit(&forgotten, memory_order_relaxed))
        return;
    for (struct kept *kept = atomic_exchange(&forgotten, NULL); kept; kept = next) {
        next = kept->next;
        kept_put(kept);
    }
}

const struct secure_kept kept_calls = { .hold = hold, .forget = forget };
