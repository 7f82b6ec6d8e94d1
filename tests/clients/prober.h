/* SPDX-License-Identifier: ISC */
/* prober: a plain HTTP client with many habits, to be run with and without a shim.
 *
 *   prober.c           the run: one after another, threads, or an event loop
 *   prober_options.c   the command line
 *   prober_request.c   builds the request
 *   prober_reply.c     takes the response apart: head, body, hash, its end
 *   prober_io.c        the many ways to read and to send
 *   prober_exchange.c  one exchange, step by step, blocking or not
 *   prober_wait.c      poll, select and epoll behind one face
 *   prober_after.c     what a socket says once the server has ended
 *
 * It uses nothing but libc, and knows of no shim. */
#ifndef PROBER_H
#define PROBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum wait { WAIT_NONE, WAIT_POLL, WAIT_SELECT, WAIT_EPOLL_LT, WAIT_EPOLL_ET, WAIT_EPOLL_ONESHOT };
enum read_api {
    READ_READ,
    READ_RECV,
    READ_RECVFROM,
    READ_RECVMSG,
    READ_READV,
    READ_PEEK,
    READ_WAITALL,
    READ_DONTWAIT,
    READ_FIONREAD,
    READ_READ_CHK,
    READ_RECV_CHK,
    READ_RECVFROM_CHK,
};
enum send_api { SEND_WRITE, SEND_WRITEV, SEND_SEND, SEND_SENDTO, SEND_SENDMSG };
enum until { UNTIL_EOF, UNTIL_LENGTH };
/* How much to read after a wake-up: one read; until a read that is not full; until EAGAIN. */
enum drained { DRAINED_ONE, DRAINED_SHORT, DRAINED_EAGAIN };
enum trick { TRICK_NONE, TRICK_DUP, TRICK_DUP_BEFORE, TRICK_FORK, TRICK_STDIO };
enum ask { ASK_SO_ERROR, ASK_CONNECT, ASK_BOTH, ASK_NONE };

struct settings {
    int port, family, minor, spread;
    const char *to;
    const char *method, *host;
    long body_size;
    bool chunked_body, keep;
    const char *fields[32];
    int field_count;
    char **targets;
    int target_count;

    bool blocking, register_before, half_close, nodelay;
    int wait, read_api, send_api, until, drained, trick, ask;
    size_t read_size, send_piece;
    long send_delay_us, pause_ms;
    long requests;
    int concurrency;
    int timeout_ms;

    bool dump, dump_body, quiet, no_after, trim;
};
extern struct settings settings;

/* prober_options.c: into settings; exits if it makes no sense. */
void options_parse(int argc, char **argv);

enum { HEAD_MAX = 65536, CONCURRENCY_MAX = 1000 };
enum step { STEP_CONNECT, STEP_SEND, STEP_RECEIVE, STEP_DONE };

struct reply {
    char head[HEAD_MAX]; /* the final head; interim ones only leave their status */
    size_t head_len;
    bool head_done, no_body;
    long long length; /* Content-Length; -1: none */
    bool chunked;
    int chunk_state; /* where in the chunks, see prober_reply.c */
    long long chunk_left;
    long long body_len;
    uint64_t hash;
    char interim[64];
};

struct exchange {
    long index;
    int fd;
    int step;
    const char *target;
    char *request;
    size_t request_len, sent;
    struct reply reply;
    FILE *stream;             /* TRICK_STDIO */
    char name_after_send[64]; /* getsockname */

    bool readable, writable, ended; /* as the last wake-up had it; edge-triggered: as remembered */
    bool woken, registered, failed;
    bool elsewhere;  /* another process reports it */
    unsigned wanted; /* what the epoll registration is armed for */

    long wakeups, empty, reads, sends;
    char *text; /* the report, for stdout */
    size_t text_size;
    FILE *out;
};

/* prober_request.c */
void request_build(struct exchange *x);

/* prober_reply.c */
void reply_init(struct reply *r);
void reply_take(struct reply *r, const char *bytes, size_t n);
/* The client has all it needs and need not wait for the end of the connection. */
bool reply_complete(const struct reply *r);
void reply_print(const struct reply *r, FILE *out);

/* prober_io.c: as read and write, by the call that the settings name.  A call that does something
 * that it never may prints a line starting with BROKEN into x->out. */
ssize_t io_read(struct exchange *x, char *buf, size_t n);
ssize_t io_send(struct exchange *x, const char *buf, size_t n);

/* prober_exchange.c */
void exchange_start(struct exchange *x, long index);
/* As far as possible without waiting.  True if anything moved. */
bool exchange_step(struct exchange *x);
/* All of it, blocking. */
void exchange_run(struct exchange *x);
/* Give up: the reason goes into the report. */
void exchange_fail(struct exchange *x, const char *what, int error);
/* Close and finish the report in x->text. */
void exchange_finish(struct exchange *x);

/* prober_wait.c */
void wait_init(void);
void wait_add(struct exchange *x);
void wait_remove(struct exchange *x);
/* Sleep until one of them can move; sets readable, writable and ended.  False at the timeout. */
bool wait_for(struct exchange **all, int n);

/* prober_after.c */
void after_print(struct exchange *x);
/* Where our end of the socket is, or the error. */
void name_of(int fd, bool peer, char *text, size_t size);
const char *error_name(int error);

#endif
