/* registrations: in which epoll sets a socket is registered.  A registration belongs to an fd number
 * and the socket under it, so it has to be taken out before another socket gets there and put back
 * after; and taken out before a close while the socket lives on in the pool. */
#ifndef HOLDFAST_PRELOAD_REGISTRATIONS_H
#define HOLDFAST_PRELOAD_REGISTRATIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { REGISTRATIONS_MAX = 4 };

struct registration {
    int epfd, fd;
    uint32_t events;
    uint64_t data;
    unsigned made; /* owed_numbers at that moment */
    bool out; /* taken out by registrations_remove, to be put back */
};

struct registrations {
    int count;
    struct registration set[REGISTRATIONS_MAX];
};

/* After a successful epoll_ctl of the client; false: more than we can remember. */
bool registrations_note(struct registrations *r, int epfd, int op, int fd, uint32_t events,
                        uint64_t data);

/* Takes all out, remembering which masks were armed; registrations_restore puts back what was in. */
void registrations_remove(struct registrations *r);
void registrations_restore(struct registrations *r);

/* The number is about to be closed: its registrations leave for good. */
void registrations_drop(struct registrations *r, int fd);

/* The number was closed where we did not see it: what is known of its registrations is forgotten. */
void registrations_lose(struct registrations *r, int fd);

/* One number is about to be closed while `copy` goes on to lead to the same socket. */
void registrations_move(struct registrations *r, int fd, int copy);

#endif
