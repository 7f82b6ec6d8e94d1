/* SPDX-License-Identifier: ISC */
/* client: a client for scripted exchanges, whose calls are made to fail by the library of fault.h.
 *
 *   client.c           the run, what is left open at its end
 *   client_talk.c      one exchange, step by step
 *   client_wait.c      poll and epoll
 *   client_io.c        the many ways to send and to receive
 *   client_reply.c     takes the response apart, and compares it with what the origin must send
 *   client_scripts.c   the scripts
 *
 * It says a line an exchange: `N ok`, `N fail CALL ERRNO`, `N short` (ended, without an error, before it
 * was complete), `N timeout`; `head` a hash of the fields that are the same on every way, `body` how much
 * of it came; BROKEN, if a byte was wrong. */
#ifndef FAULT_CLIENT_H
#define FAULT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wait { WAIT_NONE, WAIT_POLL, WAIT_LEVEL, WAIT_EDGE };
enum receive {
    RECEIVE_READ,
    RECEIVE_RECV,
    RECEIVE_RECVFROM,
    RECEIVE_RECVMSG,
    RECEIVE_READV,
    RECEIVE_PEEK,
    RECEIVE_PEEKV,
    RECEIVE_WAITALL,
    RECEIVE_DONTWAIT,
    RECEIVE_COUNTED,
    RECEIVE_STREAM,
};
enum transmit { TRANSMIT_WRITE, TRANSMIT_SEND, TRANSMIT_WRITEV, TRANSMIT_SENDMSG, TRANSMIT_FASTOPEN };

/* What is done between the request and the response. */
enum between {
    BETWEEN_NOTHING,
    BETWEEN_SHUTDOWN,
    BETWEEN_DUP,
    BETWEEN_DUP2,
    BETWEEN_FORK,
    BETWEEN_EXEC,
    BETWEEN_OPTION,
    BETWEEN_FCNTL,
};

/* One exchange of a script. */
struct how {
    const char *method; /* default GET */
    const char *path;   /* "bytes" or another of the origin's; default "bytes" */
    const char *query;  /* "&name=value..." */
    const char *host;
    long size;          /* of the response's body; default 300 */
    long body_size;     /* of the request's; 0: none */
    int minor;
    bool keep;          /* HTTP/1.1 without `Connection: close`: ends with the length */
    int requests;       /* on this connection; default 1 */
    int family;         /* 6; default 4 */
    enum wait wait;     /* not WAIT_NONE: the socket does not block */
    bool registered_early;
    enum receive receive;
    size_t receive_size; /* default 16384 */
    enum transmit transmit;
    size_t piece;       /* bytes a send; 0: all */
    enum between between;
    bool options;       /* sets some before connect */
    bool asks;          /* for names and options, before and after the end */
    long stop_after;    /* closes after so many bytes of the body; 0: never */
    bool not_http;      /* sends a line that is none, and wants the origin's 400 */
    bool no_send;       /* connects and closes */
    bool wrong_port;    /* nobody listens there */
    bool stubborn;      /* makes a call that has failed once more */
};

struct script {
    const char *name;
    const char *environment; /* "NAME=value", or NULL */
    bool threads;            /* the process has a second thread, which sleeps */
    bool paired;             /* two exchanges are open at once */
    int count;
    struct how how[8];
};

extern const struct script scripts[];
extern const int script_count;

enum step {
    STEP_SOCKET,
    STEP_OPTION,
    STEP_REGISTER,
    STEP_CONNECT,
    STEP_ERROR,
    STEP_SEND,
    STEP_BETWEEN,
    STEP_ASK,
    STEP_RECEIVE,
    STEP_AFTER,
    STEP_CLOSE,
    STEP_LEAVE,
    STEPS,
};

enum {
    PLACE_EXCHANGE = 100000, /* place = (exchange + 1) * this + step * the next + how often before */
    PLACE_STEP = 1000,
    PLACE_EXIT = 99 * PLACE_EXCHANGE,
    PLACE_EXEC = 50 * PLACE_EXCHANGE, /* added after an exec */
    PATIENCE = 4000,                  /* ms */
    HEAD_MAX = 16384,
};

struct reply {
    char head[HEAD_MAX];
    size_t head_len;
    bool in_body, broken;
    long length, got; /* length: -1 until the head is whole */
    long expected;
    uint64_t seed;
    uint64_t head_hash;
};

struct exchange {
    int index;
    const struct how *how;
    int fd, set, copy; /* set: epoll, or -1 */
    bool registered, input_only;
    unsigned ready; /* edge-triggered: what was told and not yet denied */
    int counts[STEPS];
    char *request;
    size_t request_len, sent;
    struct reply reply;
    void *stream;
    const char *failed; /* the call, or NULL */
    int error, close_error;
    bool ended, timed_out, elsewhere, tried_again;
};

struct run {
    int port, base;
    const char *id;
    const struct script *script;
    char **argv;
};
extern struct run run;
extern volatile int pipe_signals;

/* A call of the client's: the library is told where it is made from. */
#define CALL(x, step, expression)                    \
    __extension__({                                  \
        begin_call(x, step);                         \
        __auto_type answer_ = (expression);          \
        end_call();                                  \
        answer_;                                     \
    })
void begin_call(struct exchange *x, enum step step);
void end_call(void);

/* The exchange is over: `call` failed with errno. */
void fail(struct exchange *x, const char *call);

/* client_talk.c */
void exchange_begin(struct exchange *x, int index);
bool exchange_ask(struct exchange *x);      /* connects and sends; false: failed */
void exchange_receive(struct exchange *x);
void exchange_finish(struct exchange *x);   /* closes and reports */
void exchange_resume(int index, int fd);    /* after an exec */

/* client_wait.c */
void enroll(struct exchange *x); /* registers with epoll, if that is the way, once */
bool wait_for(struct exchange *x, short events);

/* client_io.c: as send and recv, by the call of the script. */
ssize_t io_send(struct exchange *x, const char *bytes, size_t len);
ssize_t io_receive(struct exchange *x, char *buf, size_t len);
const char *io_name(bool sending, const struct how *how);

/* client_reply.c */
void reply_init(struct reply *r, uint64_t seed, long expected);
void reply_take(struct reply *r, const char *bytes, size_t len);
bool reply_complete(const struct reply *r);

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
