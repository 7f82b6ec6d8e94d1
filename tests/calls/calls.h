/* SPDX-License-Identifier: ISC */
/* calls: plays a program of socket calls, one a line, and prints what each has answered.
 *
 *   calls.c    the command line, the table of calls, threads and forks around them
 *   said.c     what was printed
 *   serve.c    plays programs that come by stdin: `calls serve MEETING PORT`
 *   talk.c     requests, and the line to the origin
 *   io.c       what sends and receives
 *   wait.c     poll, select, epoll
 *   fd.c       sockets, numbers, options
 *   origin.c   the server, told step by step what to answer: `calls origin MEETING`
 *
 * The language: `with share`, if the processes of the program are to share connections; `req` and `resp` lines (talk.c,
 * origin.c), then one call a line.  A call names
 * sockets by slot, 0 to SLOTS - 1; -1 in a slot is passed on as it is.  Nothing that is printed depends on time, on the
 * port, or on the bytes of hop-by-hop fields, so two runs can be compared line by line. */
#ifndef CALLS_H
#define CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SLOTS = 8, SETS = 3, REQUESTS = 6, WORDS = 12, HIGH_FD = 900 };

struct call {
    int argc;
    char *argv[WORDS];
};

/* One word as a number, 0 where there is none. */
long call_number(const struct call *call, int i);
const char *call_word(const struct call *call, int i);
/* Flags by name, with `+` between them; "-": none. */
int call_flags(const struct call *call, int i);

/* calls.c */
extern int slots[SLOTS]; /* fds, -1: none */
int *slot_of(const struct call *call, int i);
/* Adds to the line that this call prints; room is bounded. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "-1 EAGAIN" or the number. */
void say_result(long result);
void say_bytes(const char *bytes, size_t len);
uint64_t hash_bytes(const void *bytes, size_t len);

/* said.c: where what was printed is kept.  It lies in memory that the server, the program and all that it starts share, so
 * that a line costs no system call, and what was said stays when its process is killed. */
bool said_make(void);      /* the server: before all programs */
void said_begin(void);     /* the server: nothing has been said */
void said_in_child(void);  /* the program: stdout leads there */
extern int said_memory;    /* the server's own number for it, or -1 */
void said_find(void);      /* another program: if stdout does */
void said_add(const char *bytes, size_t len); /* to stdout, wherever it leads */
void said_end(const char *bytes, size_t len); /* the server: behind all that was said */
const char *said_all(size_t *len);

/* talk.c */
void talk_open(const char *path, int port);
void talk_close(void);
int talk_port(void);
void talk_request(const struct call *call); /* a `req` line */
/* Bytes of request k from `from` to `to`, of 1000. */
const char *talk_bytes(int k, long from, long to, size_t *len);
void talk_ask_origin(const char *line); /* and says what it answered */
void talk_forward(const char *line);    /* a `resp` line, without an answer; goes out with talk_flush, or what is asked */
void talk_flush(void);

/* io.c, wait.c, fd.c: each does one call. */
typedef void (*do_call)(const struct call *call);
do_call io_find(const char *name);
do_call wait_find(const char *name);
do_call fd_find(const char *name);
void wait_forget(void); /* the numbers that it has given out */

/* In a process that has played others, everything is as before the first. */
void play_text(const char *program, size_t len, const char *meeting, int port);

/* serve.c */
int serve_main(const char *meeting, int port);
/* Whether a thread is found sleeping.  Twice or thrice in a row, a millisecond apart: it is blocked. */
enum { ASLEEP_LOOKS = 3 };
bool is_asleep(int pid, int tid);

/* origin.c */
int origin_main(const char *path);

struct call_entry {
    const char *name;
    do_call work;
};
do_call call_find(const struct call_entry *table, size_t n, const char *name);

#endif
