/* SPDX-License-Identifier: ISC */
/* broker: the state of holdfastd, and its parts.  One thread; nothing in it waits but the loop. */
#ifndef HOLDFAST_BROKER_BROKER_H
#define HOLDFAST_BROKER_BROKER_H

#include "broker/hoard.h"
#include "pool/tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

struct options {
    unsigned idle_exit_s;      /* 0: never */
    unsigned max_per_endpoint;
    const char *log;           /* a file, NULL: standard error */
    bool taken_over;           /* a launcher has made everything already */
};

struct broker {
    struct options options;
    struct tree_calls calls;
    struct tree tree;          /* the queues, the board */
    struct hoard hoard;
    int epoll, listener, lock, signals;
    struct sockaddr_un name;   /* the listener's; empty: it is the service manager's */
    uint64_t name_inode;       /* of the socket's name, which somebody else may have taken since */
    struct line *lines;        /* lines.c */
    unsigned lines_count, lines_most;
    uint64_t netns, started_ms;
    uint64_t next_sweep_ms;    /* UINT64_MAX: the queues are empty */
    bool waiting[TREE_QUEUES]; /* for something to come */
    uint32_t last_asked;       /* hash of the endpoint that was asked for last */
    uint64_t last_asked_ms, last_complaint_ms;
    bool ending;
};

/* What an event is about: a hoard's entry, which is an address; a line's address and 1; one of these. */
enum { EVENT_ENTRY = 0, EVENT_LINE = 1, EVENT_OTHER = 2, EVENT_KINDS = 4 };
enum { EVENT_LISTENER = TREE_QUEUES, EVENT_SIGNAL }; /* and the queues by number */

uint64_t broker_now_ms(void);
bool broker_watch(struct broker *b, int fd, uint32_t events, uint64_t data);

/* start.c: everything in place, made or inherited; true, or says on the log what is wrong. */
bool start(struct broker *b);
void start_undo(struct broker *b); /* nobody connects any more */

/* lines.c: those who talk to the broker. */
void lines_accept(struct broker *b);
bool lines_add(struct broker *b, int fd); /* fd's owner from here on */
void lines_read(struct broker *b, struct line *line, uint32_t events);
void lines_close(struct broker *b);

/* sweep.c: from the queues into the hoard. */
void sweep_begin(struct broker *b);
void sweep_wake(struct broker *b, unsigned queue); /* something came */
void sweep(struct broker *b, uint64_t now_ms);
void sweep_drain(struct broker *b); /* closes all that lies in them */

/* loop.c */
void loop(struct broker *b);

/* notify.c: tells the service manager, if there is one (sd_notify(3)). */
void notify(const char *state);

#endif
