/* SPDX-License-Identifier: ISC */
/* look: whether the library can be of use to a command, before it runs. */
#ifndef HOLDFAST_LAUNCHER_LOOK_H
#define HOLDFAST_LAUNCHER_LOOK_H

#include <limits.h>

enum look_effect {
    LOOK_USED,     /* as far as can be seen from here */
    LOOK_UNUSED,   /* never loaded, or loaded and never called.  Children may use it */
    LOOK_DISTURBS, /* its loader would complain, or refuse to start it */
    LOOK_FOREIGN,  /* likewise, unless it finds something of its own class in our place */
};

struct look {
    enum look_effect effect;
    const char *reason;         /* why it is not used; NULL: it is */
    char path[PATH_MAX];        /* the command's file; empty: not found */
    char interpreter[PATH_MAX]; /* of a script: the program that the reason is about; else empty */
};

/* `command` as execvp(3) takes it; `library`: the path of ours. */
void look_at_command(const char *command, const char *library, struct look *look);

#endif
