/* SPDX-License-Identifier: ISC */
/* registrations: in which epoll sets a socket is registered.  A registration belongs to an fd number
 * and the socket under it, so it has to be taken out before another socket gets there and put back
 * after; and taken out before a close while the socket lives on in the pool. */
#ifndef HOLDFAST_PRELOAD_REGISTRATIONS_H
#define HOLDFAST_PRELOAD_REGISTRATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { REGISTRATIONS_MAX = 4 };

struct registration {
    int epfd, fd;
    uint32_t events; /* as the client asked for them */
    uint64_t data;
    unsigned made; /* registrations_numbers at that moment */
    bool fired; /* when it was taken out it had, under EPOLLONESHOT */
    bool out;   /* taken out by registrations_remove, to be put back, or by the client, if it has fired */
    bool extra; /* the kernel also reports EPOLLRDHUP, for us: the client did not ask for it */
};

/* Grows before the program makes an epoll set, or a copy of some number: what was registered before may have
 * been in another set than the one that has its number then. */
extern atomic_uint registrations_numbers;

/* One with EPOLLEXCLUSIVE was noted: of its end the kernel can only tell as of input (registrations_mask).  Never cleared. */
extern atomic_bool registrations_exclusive;

struct registrations {
    int count;
    bool watched; /* on a reused connection: each gets that extra */
    bool held_back; /* some are out until the conn is unlocked: the socket is not connected yet, and would say POLLHUP */
    bool asks_end; /* one of them asks for EPOLLRDHUP, or did.  Cleared with the last */
    struct registration set[REGISTRATIONS_MAX];
};

/* After a successful epoll_ctl of the client; false: more than we can remember. */
bool registrations_note(struct registrations *r, int epfd, int op, int fd, uint32_t events,
                        uint64_t data);

/* What the kernel is told for what the client asks for. */
uint32_t registrations_mask(const struct registrations *r, uint32_t events);

/* The kernel reports what the clients asked for, and no more. */
void registrations_unwatch(struct registrations *r);

/* The one of this set and data, or NULL. */
struct registration *registrations_find(struct registrations *r, int epfd, uint64_t data);

/* An event was taken from the kernel that the client is not told of: as if it had not been, and armed again if it had fired.
 * Without the extra, or it would be told again at once. */
void registrations_untell(struct registration *which);

/* A registration that has fired under EPOLLONESHOT, and was armed again, is as before. */
void registrations_disarm(struct registration *which);

/* Edge-triggered: the kernel gives no edge for what the client was told of already, until the client changes the
 * registration or the socket under the number hangs up. */
void registrations_silence(struct registration *which);

/* Takes all out, remembering which masks were armed; registrations_restore puts back what was in.  One that has fired
 * under EPOLLONESHOT stays out, because the kernel arms what is added at least for EPOLLERR and EPOLLHUP: the client's
 * next epoll_ctl puts it back. */
void registrations_remove(struct registrations *r);
void registrations_restore(struct registrations *r);

/* The client's calls go past us from here on: as the client has asked, and what stayed out is put back as silent as can be,
 * if the set's number can be no other set's by now. */
void registrations_let_go(struct registrations *r);

/* What the kernel is to be asked for where the client asks for `op`: it does not know of one that stayed out. 0: nothing is
 * left to be done. */
int registrations_operation(const struct registrations *r, int epfd, int op, int fd);

/* The number is about to be closed: its registrations leave for good. */
void registrations_drop(struct registrations *r, int fd);

/* The number was closed where we did not see it: what is known of its registrations is forgotten. */
void registrations_lose(struct registrations *r, int fd);

/* One number is about to be closed while `copy` goes on to lead to the same socket. */
void registrations_move(struct registrations *r, int fd, int copy);

#endif
