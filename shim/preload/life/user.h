/* SPDX-License-Identifier: ISC */
/* user: the process, or a thread of it, becomes another user or gets into another namespace. */
#ifndef HOLDFAST_PRELOAD_USER_H
#define HOLDFAST_PRELOAD_USER_H

#include "preload/conn/conn.h"

#include <stdbool.h>

/* Before a call by which this thread, or the process (`everywhere`), gets another user or another place: `kinds`
 * of enum identity_kind.  What was connected before stays, under its own key (preload/self/identity.h).  If nobody
 * here can become the user again that the process had at its start, user_leave_home follows.  errno is left alone. */
void user_changing(unsigned kinds);

/* After it. */
void user_changed(unsigned kinds, bool succeeded, bool everywhere);

/* The user of the process's start is nobody's here any more, and nothing of his stays: queues, board, broker's line, idle
 * connections and spares are given up. */
void user_leave_home(void);

/* For conn_each: a spare that was handed out becomes what the client believes it is (conn_enter). */
void user_settle_spare(struct conn *c);

#endif
