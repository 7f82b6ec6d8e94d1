#define _GNU_SOURCE
#include "preload/evidence.h"

#include "base/log.h"
#include "pool/board.h"
#include "preload/idle.h"
#include "preload/tally.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct evidence_table own;

static struct evidence_table *table(void)
{
    struct board *board = tally_board();

    return board ? &board->evidence : &own;
}

static uint32_t now_s(void)
{
    return (uint32_t)(idle_now_ms() / 1000);
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

void evidence_note(const struct endpoint *to, enum evidence what)
{
    if (evidence_table_note(table(), to, what, now_s()))
        write_down(to, what, "");
}

void evidence_forget(const struct endpoint *to, enum evidence what)
{
    if (evidence_table_forget(table(), to, what, now_s()))
        write_down(to, what, " no longer:");
}

/* ---- trials ---- */

static bool exists(uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

/* Tells one namespace of processes from others, as a rule: of the link's text, `pid:[4026531836]`. */
static uint32_t pid_space(void)
{
    char text[64];
    ssize_t len = readlink("/proc/self/ns/pid", text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    const char *digits = strchr(text, '[');
    return digits ? (uint32_t)strtoul(digits + 1, NULL, 10) : 0;
}

static struct evidence_who who(void)
{
    return (struct evidence_who){ .pid = (uint32_t)getpid(), .space = pid_space(), .exists = exists };
}

typedef enum evidence_trial (*trial_step)(struct evidence_table *, const struct endpoint *,
                                          const struct evidence_who *, uint32_t);

static bool step(trial_step what, const struct endpoint *to)
{
    int saved = errno;
    struct evidence_who me = who();
    enum evidence_trial result = what(table(), to, &me, now_s());

    if (result == EVIDENCE_FAILED)
        evidence_note(to, EVIDENCE_SILENT_ONCE);
    errno = saved;
    return result == EVIDENCE_FREE;
}

bool evidence_trial_possible(const struct endpoint *to)
{
    return step(evidence_table_trial, to);
}

bool evidence_trial_begin(const struct endpoint *to)
{
    return step(evidence_table_try, to);
}

void evidence_trial_end(const struct endpoint *to)
{
    int saved = errno;
    struct evidence_who me = who();

    evidence_table_tried(table(), to, &me);
    errno = saved;
}
