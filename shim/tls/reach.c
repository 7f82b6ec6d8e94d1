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
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define LIBSSL "libssl.so.3"

enum { WAIT_S = 1 };

/* SSL_CTX_new(3). */
__attribute__((visibility("default"))) struct ssl_ctx *SSL_CTX_new(const void *method);

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
    return &holdfast_secure && strcmp(holdfast_secure.version, HOLDFAST_VERSION) == 0 && holdfast_secure.begin(&kept_calls);
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* One thread at a time: what the others call meanwhile might be half replaced, so they wait.  Not for ever: the child of a
 * fork may find it taken, and so may a constructor that holds the loader's lock, which the other thread wants. */
static bool begin_look(void)
{
    const time_t until = now() + WAIT_S;

    while (atomic_flag_test_and_set(&looking)) {
        sched_yield();
        if (now() > until) {
            reach_leave();
            return false;
        }
    }
    return true;
}

static void look_closely(const struct module_count *count)
{
    bool one = count->others == 0 && count->copies == 1;

    if (count->others == 0 && count->copies == 0)
        return;
    if (one && (library || (may_begin() && load(count->path))) && module_replace_all(LIBSSL))
        atomic_store_explicit(&on, true, memory_order_release);
    else
        reach_leave();
}

/* Modules may have come since it was done last. */
void reach_look(void)
{
    static unsigned long long seen;
    struct module_count count = { .path = NULL };
    int saved = errno;

    if (atomic_load(&left) || !begin_look())
        return;
    module_count(LIBSSL, &count);
    if (count.added != seen)
        look_closely(&count);
    seen = count.added;
    atomic_flag_clear(&looking);
    errno = saved;
}

/* What the caller would have without us: of its own module and what that needs, else of what comes behind us.  A module that
 * is known has ours by now, and does not come here again. */
static void *next_of(const void *caller)
{
    Dl_info info;
    void *handle = dladdr(caller, &info) ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    void *found = handle ? dlsym(handle, "SSL_CTX_new") : NULL;

    if (handle)
        dlclose(handle);
    return found && found != (void *)(uintptr_t)SSL_CTX_new ? found : dlsym(RTLD_NEXT, "SSL_CTX_new");
}

struct ssl_ctx *SSL_CTX_new(const void *method)
{
    reach_look();
    void *next = next_of(__builtin_return_address(0));
    struct ssl_ctx *ctx = next ? ((struct ssl_ctx * (*)(const void *)) next)(method) : NULL;

    if (ctx && reach_is_on() && next == (void *)(uintptr_t)real.SSL_CTX_new)
        record_see_context(ctx);
    return ctx;
}
