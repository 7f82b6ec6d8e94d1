/* SPDX-License-Identifier: ISC */
/* threads: a client with many threads, shared sockets, timer signals and cancelled threads.
 *
 *   threads.c   the command line
 *   exchange.c  one exchange of any kind, each byte of the answer checked
 *   alone.c     64 threads that share nothing
 *   shared.c    four threads at one socket: one waits, one reads, one writes, one closes it
 *   timer.c     a timer signal, up to 1000 times a second, and handlers that use sockets
 *   cancel.c    threads cancelled at any moment
 *   stray.c     threads that read from numbers which are nobody's
 *
 * It prints counts, `name value` a line: which of them have to be zero, and which the same as directly,
 * is said in e2e_threads.  It uses nothing but libc. */
#ifndef THREADS_H
#define THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum style { ONE_SHOT_10, ONE_SHOT_11, KEPT, STYLES };
enum waits { BLOCKING, BY_POLL, BY_EPOLL, BY_EPOLL_ET, WAITS };
enum outcome { GOOD, WRONG_BYTES, WRONG_HEAD, TOO_SHORT, TOO_LONG, FAILED, HUNG, OUTCOMES };

struct plan {
    enum style style;
    enum waits waits;
    bool chunked, pieces; /* pieces: the answer comes in segments with pauses */
    long size, stall_ms;  /* stall: before the body */
    unsigned seed;        /* what the body is made of */
    long keepalive;       /* further requests on the connection: KEPT */
};

/* How often a call said EINTR. */
struct interrupted {
    atomic_long connect, send, recv, wait;
};

struct exchange {
    const struct plan *plan;
    _Atomic int fd, epfd; /* -1: none; a cancelled thread's are closed by its cleanup */
    struct interrupted *interrupted;
    void (*before_read)(struct exchange *e); /* or NULL */
    char request[512];
    size_t request_len;
    char head[4096];
    size_t head_len;
    bool in_body;
    long length, body; /* Content-Length or -1; bytes so far */
    int error;         /* errno of what FAILED */
    const char *call;  /* and its name */
};

extern int port;

/* A plan out of a random number: all kinds, sizes up to `most`. */
struct plan plan_of(unsigned random, long most);
unsigned random_next(unsigned *state);

void exchange_init(struct exchange *e, const struct plan *plan);
enum outcome exchange_run(struct exchange *e);
void exchange_drop(struct exchange *e); /* what is still open */
const char *outcome_name(enum outcome outcome);

/* Pieces of it. */
void exchange_ask(struct exchange *e);
int exchange_connect(struct exchange *e);
enum outcome exchange_feed(struct exchange *e, const char *bytes, size_t n);
bool exchange_complete(const struct exchange *e); /* as far as the length tells */

void pattern_init(void);
/* The bytes of a body, as tests/origin/origin.c makes them. */
char pattern_byte(unsigned seed, long at);

int fds_open(void); /* that the program can see */
int fds_in_all(void);
long now_ms(void);
void sleep_us(long us);
void need(bool fine, const char *what);

int alone(int argc, char **argv);
int shared(int argc, char **argv);
int timer(int argc, char **argv);
int cancel(int argc, char **argv);
int stray_mode(int argc, char **argv);

#endif
