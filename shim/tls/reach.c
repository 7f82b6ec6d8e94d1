/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "tls/reach.h"

#include "tls/services.h"
#include "base/version.h"
#include "tls/hooks.h"
#include "tls/kept.h"
#include "tls/module.h"
#include "tls/record.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define LIBSSL "libssl.so.3"


struct real real;
static atomic_bool on, left;
static atomic_flag looking = ATOMIC_FLAG_INIT;
static void *library; /* libssl, never closed */

bool reach_is_on(void)
{
    return atomic_load_explicit(&on, memory_order_acquire) && !atomic_load_explicit(&left, memory_order_relaxed);
}

void reach_leave(void)
{
    atomic_store(&left, true);
}

static void *in_library(const char *name)
{
    return dlsym(library, name);
}

/* Once.  False: not this libssl. */
static bool load(const char *path)
{
    bool whole = true;

    library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (!library)
        return false;
#define FUNCTION(ret, name, params)           \
    *(void **)&real.name = in_library(#name); \
    whole &= real.name != NULL;
#include "tls/openssl.def"
#undef FUNCTION
    if (!whole || real.OpenSSL_version_num() >> 28 != 3)
        return false;
    hooks_load(in_library);
    return record_begin();
}

static bool may_begin(void)
{
    return &holdfast_secure && strcmp(holdfast_secure.version, HOLDFAST_VERSION) == 0 && holdfast_secure.begin(kept_forget);
}

/* Modules may have come since it was done last. */
static void look(void)
{
    static unsigned long long seen;
    struct module_count count;

    if (atomic_load(&left) || atomic_flag_test_and_set(&looking))
        return;
    module_count(LIBSSL, &count);
    if (count.added == seen) {
        atomic_flag_clear(&looking);
        return;
    }
    seen = count.added;
    if (count.others || count.copies > 1) {
        reach_leave();
    } else if (count.copies == 1) {
        if (!library && (!may_begin() || !load(count.path)))
            reach_leave();
        else if (!module_replace_all(LIBSSL))
            reach_leave();
        else
            atomic_store_explicit(&on, true, memory_order_release);
    }
    atomic_flag_clear(&looking);
}

void reach_look(void)
{
    look();
}

/* The caller's own libssl's.  A module that is known has ours by now, and does not come here again. */
static void *next_of(const void *caller)
{
    char name[256];
    void *found = NULL;

    if (module_needs(caller, "libssl.so", name, sizeof name)) {
        void *handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
        found = handle ? dlsym(handle, "SSL_CTX_new") : NULL;
        if (handle)
            dlclose(handle);
    }
    if (!found)
        found = dlsym(RTLD_NEXT, "SSL_CTX_new");
    return found ? found : library ? (void *)(uintptr_t)real.SSL_CTX_new : NULL;
}

/* SSL_CTX_new(3). */
__attribute__((visibility("default"))) struct ssl_ctx *SSL_CTX_new(const void *method);

struct ssl_ctx *SSL_CTX_new(const void *method)
{
    look();
    void *next = next_of(__builtin_return_address(0));
    struct ssl_ctx *ctx = next ? ((struct ssl_ctx * (*)(const void *)) next)(method) : NULL;

    if (ctx && reach_is_on() && next == (void *)(uintptr_t)real.SSL_CTX_new)
        record_see_context(ctx);
    return ctx;
}
