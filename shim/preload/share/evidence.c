/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/evidence.h"

#include "base/log.h"
#include "base/number.h"
#include "pool/board.h"
#include "preload/share/tally.h"
#include "preload/self/self.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct evidence_table table; /* where no board is shared */
    _Atomic uint32_t pid, space; /* as they were when a trial was begun last: a filter of system calls may have come since */
} our;

/* What this thread was told of one place: an exchange asks some ten times about the same.  It holds until somebody
 * changes something in the table, and for a second (evidence_refresh): facts last for minutes. */
static __thread struct {
    struct endpoint of;
    const struct evidence_table *table; /* NULL: nothing */
    uint32_t changes, second;
    uint32_t asked, holds, noted; /* bits, by enum evidence */
    volatile bool busy;           /* a signal handler that comes now asks the table itself */
} told;

_Static_assert(EVIDENCE_count <= 32, "a bit for each");

static struct evidence_table *table(void)
{
    struct board *board = tally_board();

    return board ? &board->evidence : &our.table;
}

static void forget_told(const struct endpoint *to)
{
    told.table = table();
    told.changes = evidence_table_changes(told.table);
    told.of = *to;
    told.asked = told.holds = told.noted = 0;
}

/* Places are compared, as in pool/evidence.c: family, port, scope and address, which come first, and the namespace. */
static inline bool is_same_place(const struct endpoint *a, const struct endpoint *b)
{
    uint64_t x[3], y[3];

    _Static_assert(offsetof(struct endpoint, uid) == sizeof x, "what is compared as words");
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && a->netns == b->netns;
}

/* Is `told` about `to`, and true still? */
static inline bool is_about(const struct endpoint *to)
{
    return told.table && told.changes == evidence_table_changes(told.table) && is_same_place(&told.of, to);
}

/* The rest of `told` is about `to` from here on. */
static inline void turn_to(const struct endpoint *to)
{
    if (!is_about(to))
        forget_told(to);
}

uint32_t evidence_left(const struct endpoint *to, enum evidence what)
{
    return evidence_table_left(table(), to, what, self_coarse_s());
}

void evidence_refresh(void)
{
    uint32_t second = self_coarse_s();

    if (told.second != second) /* also where a board has come meanwhile */
        told.table = NULL;
    told.second = second;
}

/* The table itself is asked. */
static uint32_t look_up(const struct endpoint *to, uint32_t among)
{
    uint32_t hold = 0;

    for (unsigned what = 0; what < EVIDENCE_count; what++)
        if (among & EVIDENCE_BIT(what) && evidence_left(to, what))
            hold |= EVIDENCE_BIT(what);
    return hold;
}

static __attribute__((noinline)) uint32_t ask(const struct endpoint *to, uint32_t among)
{
    if (told.busy)
        return look_up(to, among);
    told.busy = true;
    turn_to(to);
    uint32_t unasked = among & ~told.asked;
    told.asked |= unasked;
    told.holds |= look_up(to, unasked);
    uint32_t hold = told.holds & among;
    told.busy = false;
    return hold;
}

uint32_t evidence_which(const struct endpoint *to, uint32_t among)
{
    if (told.busy)
        return ask(to, among);
    told.busy = true;
    bool is_told = is_about(to) && !(among & ~told.asked);
    uint32_t hold = told.holds & among;
    told.busy = false;
    return is_told ? hold : ask(to, among);
}

static void write_down(const struct endpoint *to, enum evidence what, const char *when)
{
    char text[ENDPOINT_TEXT_MAX];

    if (!log_on())
        return;
    endpoint_text(to, text);
    log_printf("server %s%s %s (%s)", text, when, evidence_sentence(what), evidence_word(what));
}

/* What this thread has noted within this second is not noted again. */
static bool is_noted(const struct endpoint *to, enum evidence what)
{
    if (told.busy)
        return false;
    told.busy = true;
    turn_to(to);
    bool noted = told.noted & EVIDENCE_BIT(what);
    told.noted |= EVIDENCE_BIT(what);
    told.busy = false;
    return noted;
}

static __attribute__((noinline)) bool note(const struct endpoint *to, enum evidence what)
{
    if (is_noted(to, what))
        return false;
    bool news = evidence_table_note(table(), to, what, self_coarse_s());

    if (news)
        write_down(to, what, "");
    return news;
}

bool evidence_note(const struct endpoint *to, enum evidence what)
{
    if (told.busy)
        return note(to, what);
    told.busy = true;
    bool noted = is_about(to) && told.noted & EVIDENCE_BIT(what);
    told.busy = false;
    return noted ? false : note(to, what);
}

void evidence_forget(const struct endpoint *to, enum evidence what)
{
    if (evidence_table_forget(table(), to, what, self_coarse_s()))
        write_down(to, what, " no longer:");
}

/* ---- trials ---- */

/* Tells one namespace of processes from others, as a rule: of the link's text, `pid:[4026531836]`. */
static uint32_t pid_space(void)
{
    char text[64];
    ssize_t len = readlink("/proc/self/ns/pid", text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    const char *digits = strchr(text, '[');
    return (digits ? (uint32_t)number_at(digits + 1, 10) : 0) & EVIDENCE_SPACE_MASK;
}

/* Of another namespace nobody can be asked for. */
static bool is_gone(uint32_t pid, uint32_t space)
{
    return space == pid_space() && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static bool report(const struct endpoint *to, enum evidence_trial trial)
{
    if (trial == EVIDENCE_FAILED)
        evidence_note(to, EVIDENCE_SILENT_ONCE);
    return trial == EVIDENCE_FREE;
}

bool evidence_trial_possible(const struct endpoint *to)
{
    const struct evidence_who nobody = { .is_gone = is_gone };
    int saved = errno;
    bool possible = report(to, evidence_table_trial(table(), to, &nobody, self_coarse_s()));

    errno = saved;
    return possible;
}

static struct evidence_who me_then(void)
{
    return (struct evidence_who){ .pid = atomic_load_explicit(&our.pid, memory_order_relaxed),
                                  .space = atomic_load_explicit(&our.space, memory_order_relaxed),
                                  .is_gone = is_gone };
}

bool evidence_trial_begin(const struct endpoint *to)
{
    int saved = errno;

    atomic_store_explicit(&our.pid, (uint32_t)getpid(), memory_order_relaxed);
    atomic_store_explicit(&our.space, pid_space(), memory_order_relaxed);
    struct evidence_who me = me_then();
    bool begun = report(to, evidence_table_try(table(), to, &me, self_coarse_s()));
    errno = saved;
    return begun;
}

void evidence_trial_end(const struct endpoint *to)
{
    struct evidence_who me = me_then();

    evidence_table_tried(table(), to, &me);
}
