/* spare: a fresh socket that a lease made needless is not thrown away but handed out at the next
 * socket(2): making and destroying one costs more than all else that holdfast does.  One a family.
 * While handed out, the client's fd and the conn's private fd are two numbers for it. */
#ifndef HOLDFAST_PRELOAD_SPARE_H
#define HOLDFAST_PRELOAD_SPARE_H

#include <stdbool.h>

/* The spare of this family, now the caller's (a private fd), or -1. */
int spare_take(int family, bool *nonblocking);

/* Keeps a pristine socket (a private fd, the pool's now) for later, or closes it. */
void spare_give(int family, int fd, bool nonblocking);

/* Closes them: a child of a fork must not share them, nor a process that changed its namespace. */
void spare_abandon(void);

#endif
