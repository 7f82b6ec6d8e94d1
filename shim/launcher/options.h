/* SPDX-License-Identifier: ISC */
/* options: the words of holdfast's own command line. */
#ifndef HOLDFAST_LAUNCHER_OPTIONS_H
#define HOLDFAST_LAUNCHER_OPTIONS_H

#include <stdbool.h>

enum options_mode {
    OPTIONS_RUN,
    OPTIONS_EXPLAIN,
    OPTIONS_CHECK,
    OPTIONS_ENV,
    OPTIONS_STATUS,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

struct options {
    enum options_mode mode;
    bool verbose;      /* -v was given */
    bool off;          /* --off was given, which only OPTIONS_ENV has */
    double every_s;    /* --watch: in seconds, 0: not given; only OPTIONS_STATUS has it */
    const char *value; /* what follows the `=` of the mode's option; NULL: nothing does */
    char **command;    /* the command and its arguments; empty for a mode that takes none */
};

/* Every word counts, or is refused: ends the program with FAIL_OURS and a line on stderr. */
void options_parse(char **argv, struct options *options);

/* --help, on stdout. */
void options_show_help(void);

/* The same end for a mode's value that is unknown: `shape` says what it may be. */
_Noreturn void options_refuse_value(const char *option, const char *value, const char *shape);

#endif
