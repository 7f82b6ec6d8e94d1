/* SPDX-License-Identifier: ISC */
/* connects: a client that does to its sockets, around connect(2), what few programs do.  Each case prints what its calls
 * answered; tests/identity/e2e_connects compares that with a direct run, and which origin got how many requests. */
#ifndef CONNECTS_H
#define CONNECTS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <netinet/in.h>

extern struct sockaddr_in to_a, to_b, to_nowhere; /* two origins, and a port that refuses */
extern bool nonblocking, by_syscall;              /* how the cases call */

struct sockaddr *addr(struct sockaddr_in *to);
int new_socket(void);
int do_connect(int fd, struct sockaddr_in *to);   /* prints nothing; connect's answer */
void say_connect(int fd, const char *what, struct sockaddr_in *to);
void unspec(int fd);
void ask(int fd);                                 /* a whole one-shot request */
void hear(int fd, const char *what);              /* to the end; prints the status line and the body's length */
void hear_some(int fd);                           /* the answer, but not its end */
void get(struct sockaddr_in *to, const char *what);
void said(const char *what, long result);         /* the result, and errno's name if it is -1 */
void wait_for(int fd, short events);
int fds_open(void);
long raw_close(int fd);                           /* past libc */

/* connects_again.c, connects_past.c, connects_lost.c */
struct work {
    const char *name;
    void (*function)(const char *variant);
    const char *variants; /* words, or "" */
};
extern const struct work again_cases[], past_cases[], lost_cases[];

#endif
