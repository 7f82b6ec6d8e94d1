/* SPDX-License-Identifier: ISC */
/* recvmmsg on a TCP socket: the end of a connection is a message of no bytes and does not stop it, and a timeout does so
 * only when it is over after a message; what is left of it is written back.  A message without room waits until something
 * is there, or for a signal, which then ends the next message. */
#define _GNU_SOURCE
#include "assume.h"

#include <signal.h>
#include <sys/time.h>

enum { MESSAGES = 3 };

static int receive(int fd, int flags, struct timespec *timeout, unsigned lengths[MESSAGES])
{
    char room[MESSAGES][4];
    struct iovec pieces[MESSAGES];
    struct mmsghdr messages[MESSAGES] = { 0 };

    for (int i = 0; i < MESSAGES; i++) {
        pieces[i] = (struct iovec){ room[i], sizeof room[i] };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &pieces[i], .msg_iovlen = 1 };
    }
    int n = recvmmsg(fd, messages, MESSAGES, flags, timeout);
    for (int i = 0; i < MESSAGES; i++)
        lengths[i] = messages[i].msg_len;
    return n;
}

static void on_signal(int number)
{
    (void)number;
}

/* Again and again, so that one comes while it waits. */
static int interrupted_without_room(int fd)
{
    const struct sigaction action = { .sa_handler = on_signal };
    const struct itimerval often = { .it_interval.tv_usec = 20000, .it_value.tv_usec = 20000 }, never = { { 0 }, { 0 } };
    char room[4];
    struct iovec none = { room, 0 }, some = { room, sizeof room };
    struct mmsghdr messages[] = { { .msg_hdr = { .msg_iov = &none, .msg_iovlen = 1 } },
                                  { .msg_hdr = { .msg_iov = &some, .msg_iovlen = 1 } } };

    need(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0, "timer");
    int n = recvmmsg(fd, messages, 2, 0, NULL);
    need(setitimer(ITIMER_REAL, &never, NULL) == 0, "no timer");
    return n == 1 ? (int)messages[0].msg_len : -1;
}

int main(void)
{
    struct timespec ample = { 100, 0 };
    unsigned lengths[MESSAGES];
    int ours, theirs;

    tcp_pair(&ours, &theirs);
    need(send(theirs, "123456", 6, 0) == 6 && shutdown(theirs, SHUT_WR) == 0, "send");
    check(poll_for(ours, POLLIN | POLLRDHUP, LATE_MS) & POLLIN, "readable");
    need(usleep(100000) == 0, "usleep");
    check(receive(ours, 0, &ample, lengths) == 3, "bytes, then ends");
    check(lengths[0] == 4 && lengths[1] == 2 && lengths[2] == 0, "4, 2, 0");
    check(ample.tv_sec == 99, "the rest of the time is written back");
    check(receive(ours, 0, NULL, lengths) == 3 && lengths[2] == 0, "at the end: three messages of no bytes");
    check(receive(ours, MSG_WAITFORONE, NULL, lengths) == 3, "likewise for one");
    tcp_pair(&ours, &theirs);
    need(send(theirs, "1234", 4, 0) == 4, "send");
    check(receive(ours, MSG_WAITFORONE, NULL, lengths) == 1 && lengths[0] == 4, "one, and no more are there");
    tcp_pair(&ours, &theirs);
    check(interrupted_without_room(ours) == 0, "a signal: one message of no bytes");
    return 0;
}
