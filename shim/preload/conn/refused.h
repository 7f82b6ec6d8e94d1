/* SPDX-License-Identifier: ISC */
/* refused: servers that listen for one connection and again when that one has ended (`nc -l` in a loop, socat without
 * fork).  While an idle connection of ours is open there, nobody listens, and a new connect is refused that a direct one
 * would not be.  So what is idle there is closed, and the connect is made again for as long as such a server may need.
 * Only a connect that waits: one that does not learns of the refusal in calls that must not take their time. */
#ifndef HOLDFAST_PRELOAD_REFUSED_H
#define HOLDFAST_PRELOAD_REFUSED_H

#include "pool/endpoint.h"

#include <stdbool.h>
#include <sys/socket.h>

/* No conn is locked, or only that of the calling thread, which waits: up to 100 ms.  A connect of `fd` to `to`, with
 * these arguments, was refused; `gave_up`: a connection that led there has been ended for it.  As connect(2): the last
 * answer. */
int refused_again(const struct endpoint *to, bool gave_up, int fd, const struct sockaddr *name, socklen_t len);

/* A connect to there was refused, and that is the answer: what speaks for its server is forgotten
 * (preload/share/evidence.h), because the next one that listens there may be another. errno is left alone. */
void refused_forget(const struct endpoint *to);

#endif
