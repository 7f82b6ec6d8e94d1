/* SPDX-License-Identifier: ISC */
/* state: the states of a conn, by name; states.def says what each means. */
#ifndef HOLDFAST_PRELOAD_STATE_H
#define HOLDFAST_PRELOAD_STATE_H

#include <stdbool.h>

enum conn_state {
#define STATE(name, missing, send, receive, moves) CONN_##name,
#include "preload/conn/states.def"
#undef STATE
    CONN_STATES,
};

/* What has not been done yet to the socket under a number; the last two matter also where the end does not. */
enum conn_missing {
    MISSING_nothing,
    MISSING_touch,    /* the socket is to count as touched: fds/spare.h */
    MISSING_swap,     /* the end-of-file socket is to lie there: deferred.h */
    MISSING_spare,    /* the spare is to be what the client believes it is: fds/spare.h */
    MISSING_register, /* an epoll set is to know it: deferred.h */
};

/* The states, as bits, that lack anything before a call that needs all, or all but the end (enum need). */
enum {
#define STATE(name, missing, send, receive, moves) | (MISSING_##missing > MISSING_nothing) << CONN_##name
    CONN_LACKING = 0
#include "preload/conn/states.def"
    ,
#undef STATE
#define STATE(name, missing, send, receive, moves) | (MISSING_##missing > MISSING_swap) << CONN_##name
    CONN_LACKING_BUT_END = 0
#include "preload/conn/states.def"
    ,
#undef STATE
};

/* What has to be true of the socket under an fd for what is about to happen: see spare.h, deferred.h. */
enum need {
    NEED_AS_IS,       /* nothing: it leaves nothing behind on the socket of a NEW conn, and does not touch that of an
                         ENDED one */
    NEED_ALL_BUT_END, /* a spare is what the client believes it is, a registration is in its set */
    NEED_ALL,         /* and an end of file lies under an ENDED number.  The socket of a NEW conn counts as touched */
};

/* For the log. */
const char *conn_state_name(enum conn_state state);

/* Does states.def have this move? */
bool conn_may_become(enum conn_state from, enum conn_state to);

#endif
