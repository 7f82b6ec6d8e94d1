/* first: the answer that is held while its request is asked once more (preload/wire/provisional.h). */
#ifndef HOLDFAST_PRELOAD_FIRST_H
#define HOLDFAST_PRELOAD_FIRST_H

#include "preload/conn/conn.h"

struct first_answer {
    int fd; /* the connection that it came on, ours */
    unsigned status;
    struct hold bytes; /* that are not in the kernel any more */
    size_t cap;        /* of this block */
};

/* Locked.  It is held from here on, or, NULL, is none any more. */
void first_set(struct conn *c, struct first_answer *first);

/* Locked.  The first answer, if there is one, is of no use any more. */
void first_drop(struct conn *c);

#endif
