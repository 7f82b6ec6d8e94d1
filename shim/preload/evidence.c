#define _GNU_SOURCE
#include "preload/evidence.h"

#include "base/log.h"
#include "pool/board.h"
#include "preload/tally.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct evidence_table own;

static struct evidence_table *table(void)
{
    struct board *board = tally_board();

    return board ? &board->evidence : &own;
}

static uint32_t now_s(void)
{
    struct timespec now;

    clock_gettime(EVIDENCE_CLOCK, &now);
    return (uint32_t)now.tv_sec;
}

uint32_t evidence_left(const struct endpoint *to, enum evidence what)
{
    return evidence_table_left(table(), to, what, now_s());
}

bool evidence_has(const struct endpoint *to, enum evidence what)
{
    return evidence_left(to, what) != 0;
}

static void write_down(const struct endpoint *to, enum evidence what, const char *when)
{
    char text[ENDPOINT_TEXT_MAX];

    if (!log_on())
        return;
    endpoint_text(to, text);
    log_printf("server %s%s %s (%s)", text, when, evidence_sentence(what), evidence_word(what));
}

bool evidence_note(const struct endpoint *to, enum evidence what)
{
    bool news = evidence_table_note(table(), to, what, now_s());

    if (news)
        write_down(to, what, "");
    return news;
}

void evidence_forget(const struct endpoint *to, enum evidence what)
{
    if (evidence_table_forget(table(), to, what, now_s()))
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
    return (digits ? (uint32_t)strtoul(digits + 1, NULL, 10) : 0) & EVIDENCE_SPACE_MASK;
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
    bool possible = report(to, evidence_table_trial(table(), to, &nobody, now_s()));

    errno = saved;
    return possible;
}

/* As it was when a trial was begun last: a filter of system calls may have come since. */
static struct evidence_who me;

bool evidence_trial_begin(const struct endpoint *to)
{
    int saved = errno;

    me = (struct evidence_who){ .pid = (uint32_t)getpid(), .space = pid_space(), .is_gone = is_gone };
    bool begun = report(to, evidence_table_try(table(), to, &me, now_s()));
    errno = saved;
    return begun;
}

void evidence_trial_end(const struct endpoint *to)
{
    evidence_table_tried(table(), to, &me);
}
