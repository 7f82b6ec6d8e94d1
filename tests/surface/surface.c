/* SPDX-License-Identifier: ISC */
/* The command line, and what happens around each thing: see surface.h. */
#define _GNU_SOURCE
#include "surface.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run run = { .kind = "bytes", .size = BODY_BYTES };

static const struct op {
    const char *name, *states, *modes;
    bool slow;
    void (*function)(struct talk *t);
} ops[] = {
#define OP(name, states, modes, slow) { #name, states, modes, slow, op_##name },
    OPS(OP)
#undef OP
};

static const char state_letters[] = "nchsme";
static const char *const state_names[] = { "new", "connected", "half", "sent", "middle", "ended" };
static const char mode_letters[] = "cwkn";
static const char *const mode_names[] = { "cold", "warm", "keep", "nonblocking" };

static int list(void)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (const char *s = ops[i].states; *s; s++)
            for (const char *m = ops[i].modes; *m; m++)
                printf("%s %s %s\n", ops[i].name,
                       *s == '-' ? "none" : state_names[strchr(state_letters, *s) - state_letters],
                       mode_names[strchr(mode_letters, *m) - mode_letters]);
    return 0;
}

static int word(const char *const names[], size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static void set_mode(const char *name)
{
    int mode = word(mode_names, 4, name);

    run.warm = mode != 0;
    run.keep = mode == 2;
    run.nonblocking = mode == 3;
}

static void do_op(const struct op *op, const char *state)
{
    struct talk t;
    int at = word(state_names, 6, state);
    bool slow = run.slow;

    run.state = at < 0 ? STATE_NEW : (enum state)at;
    run.slow = false;
    if (run.warm)
        talk_whole(1);
    run.slow = slow || op->slow;
    talk_init(&t);
    run.slow = slow;
    if (at >= 0)
        talk_reach(&t, run.state);
    op->function(&t);
    if (run.no_after)
        return;
    talk_whole(2);
    say("%d descriptors", fds_open());
}

static int usage(void)
{
    fprintf(stderr, "usage: surface --list\n"
                    "       surface PORT WHAT [STATE|none [cold|warm|keep|nonblocking [KIND [ARG...]]]]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc < 3)
        return usage();
    setenv("SURFACE_PORT", argv[1], 1);
    run.port = atoi(argv[1]);
    run.arguments = argc > 6 ? argv + 6 : argv + argc;
    if (readlink("/proc/self/exe", run.self, sizeof run.self - 1) < 0)
        return 98;
    set_mode(argc > 4 ? argv[4] : "cold");
    if (argc > 5)
        run.kind = argv[5];
    if (strcmp(argv[2], "rest") == 0)
        return main_rest(run.arguments);
    if (strcmp(argv[2], "lists") == 0)
        return main_lists(run.arguments);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i].name, argv[2]) == 0) {
            do_op(&ops[i], argc > 3 ? argv[3] : "none");
            return 0;
        }
    return usage();
}
