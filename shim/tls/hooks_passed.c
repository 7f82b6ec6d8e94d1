/* SPDX-License-Identifier: ISC */
/* The functions that only pass a call on, to the object that it is for. */
#include "tls/hooks.h"

#include "tls/handshake.h"
#include "tls/reach.h"
#include "tls/record.h"

#include <stdint.h>
#include <string.h>

/* Each takes addresses and whole numbers, at most eight: as many as these, whatever each of them means. */
#define WORDS                                                                                                   \
    uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f, uintptr_t g, uintptr_t h
typedef uintptr_t passed(WORDS);

enum {
#define HOOK(name)
#define PLAIN(name)
#define STATE(name) PASSED_##name,
#define CHANGE(name) PASSED_##name,
#define REWIRE(name) PASSED_##name,
#define RESTART(name) PASSED_##name,
#define TAINT(name) PASSED_##name,
#define TAINT_CTX(name) PASSED_##name,
#define LEAVE(name) PASSED_##name,
#include "tls/symbols.def"
    PASSED_COUNT,
};

static passed *nexts[PASSED_COUNT];

static uintptr_t speaker_of(uintptr_t object)
{
    const struct record *r = record_of((const struct ssl *)object); /* NOLINT(performance-no-int-to-ptr) */

    return r ? (uintptr_t)record_speaker(r) : object;
}

/* An alias that has asked for nothing makes its own handshake, by the BIOs that it had and then by the others. */
static struct record *rewire(uintptr_t object)
{
    struct record *r = record_of((const struct ssl *)object); /* NOLINT(performance-no-int-to-ptr) */

    if (!r || r->state == RECORD_NEW)
        return NULL;
    if (r->state == RECORD_ALIAS && r->x.kind == EXCHANGE_UNDECIDED)
        handshake_replace(r);
    return r;
}

static void rewired(struct record *r)
{
    if (!r)
        return;
    record_rewired(r);
    if (r->due)
        handshake_settle(r);
}

static void restarted(uintptr_t object)
{
    struct record *r = record_of((const struct ssl *)object); /* NOLINT(performance-no-int-to-ptr) */

    if (r && r->state != RECORD_NEW)
        record_leave(r);
}

static uintptr_t tainted(uintptr_t object, bool also_before)
{
    struct record *r = record_of((const struct ssl *)object); /* NOLINT(performance-no-int-to-ptr) */

    if (r && (also_before || r->state != RECORD_NEW))
        record_taint(r);
    return speaker_of(object);
}

#define HOOK(name)
#define PLAIN(name)
#define STATE(name) \
    static uintptr_t hook_##name(WORDS) { return nexts[PASSED_##name](speaker_of(a), b, c, d, e, f, g, h); }
#define CHANGE(name) \
    static uintptr_t hook_##name(WORDS) { return nexts[PASSED_##name](tainted(a, false), b, c, d, e, f, g, h); }
#define TAINT(name) \
    static uintptr_t hook_##name(WORDS) { return nexts[PASSED_##name](tainted(a, true), b, c, d, e, f, g, h); }
#define REWIRE(name)                                                                               \
    static uintptr_t hook_##name(WORDS)                                                            \
    {                                                                                              \
        struct record *r = rewire(a);                                                              \
        uintptr_t result = nexts[PASSED_##name](a, b, c, d, e, f, g, h);                           \
        rewired(r);                                                                                \
        return result;                                                                             \
    }
#define RESTART(name)                                                                              \
    static uintptr_t hook_##name(WORDS)                                                            \
    {                                                                                              \
        restarted(a);                                                                              \
        return nexts[PASSED_##name](a, b, c, d, e, f, g, h);                                       \
    }
#define TAINT_CTX(name)                                                                            \
    static uintptr_t hook_##name(WORDS)                                                            \
    {                                                                                              \
        record_taint_context((struct ssl_ctx *)a); /* NOLINT(performance-no-int-to-ptr) */         \
        return nexts[PASSED_##name](a, b, c, d, e, f, g, h);                                       \
    }
#define LEAVE(name)                                          \
    static uintptr_t hook_##name(WORDS)                      \
    {                                                        \
        reach_leave();                                       \
        return nexts[PASSED_##name](a, b, c, d, e, f, g, h); \
    }
#include "tls/symbols.def"

static const struct {
    const char *name;
    hook_function hook;
    passed **next; /* NULL: it is not replaced */
} table[] = {
#define HOOK(name)
#define PLAIN(name) { #name, NULL, NULL },
#define PASSED(name) { #name, (hook_function)hook_##name, &nexts[PASSED_##name] },
#define STATE PASSED
#define CHANGE PASSED
#define REWIRE PASSED
#define RESTART PASSED
#define TAINT PASSED
#define TAINT_CTX PASSED
#define LEAVE PASSED
#include "tls/symbols.def"
};

bool hooks_find(const char *name, hook_function *hook)
{
    if (hooks_by_hand(name, hook))
        return true;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0) {
            *hook = table[i].hook;
            return true;
        }
    return false;
}

/* One that this libssl lacks is asked for by no module that it serves. */
void hooks_load(void *(*lookup)(const char *name))
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].next)
            *table[i].next = (passed *)(uintptr_t)lookup(table[i].name);
}
