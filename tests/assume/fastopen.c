/* SPDX-License-Identifier: ISC */
/* TCP_FASTOPEN_NO_COOKIE and sendto(MSG_FASTOPEN) on a fresh socket connect and send without waiting;
 * a poller for reading only is told the outcome.  Needs bit 0 of net.ipv4.tcp_fastopen. */
#define _GNU_SOURCE
#include "assume.h"

#include <netinet/tcp.h>

static int fresh_socket(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    need(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on)) == 0, "TCP_FASTOPEN_NO_COOKIE");
    return fd;
}

static bool enabled(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_fastopen", "r");
    int value = 0, got = file == NULL ? 0 : fscanf(file, "%d", &value);

    if (file != NULL)
        fclose(file);
    return got == 1 && (value & 1);
}

static ssize_t send_fast(int fd, const struct sockaddr_in *to)
{
    return sendto(fd, "request", 7, MSG_FASTOPEN | MSG_NOSIGNAL, (const struct sockaddr *)to, sizeof(*to));
}

static void sends_and_connects(void)
{
    struct sockaddr_in at;
    int listener = listen_here(&at), fd = fresh_socket(), theirs;
    char back[16];

    check(send_fast(fd, &at) == 7, "sendto takes the bytes at once");
    theirs = accept(listener, NULL, NULL);
    check(recv(theirs, back, sizeof(back), 0) == 7, "they arrive");
    check(poll_for(fd, POLLIN, 0) == 0, "nothing to read yet");
    check(send(theirs, "reply", 5, 0) == 5 && poll_for(fd, POLLIN, LATE_MS) == POLLIN,
          "POLLIN comes with the answer");
    check(recv(fd, back, sizeof(back), 0) == 5, "which is read as usual");
}

static void refusal_appears(void)
{
    struct sockaddr_in at;
    int error = 0, fd = fresh_socket();
    socklen_t size = sizeof(error);
    ssize_t sent;
    char byte;

    close(listen_here(&at)); /* nobody listens there now */
    sent = send_fast(fd, &at);
    check(sent == 7 || (sent == -1 && errno == ECONNREFUSED), "sendto does not wait");
    if (sent == 7) {
        check(poll_for(fd, POLLIN, LATE_MS) & (POLLIN | POLLERR), "a poller for reading is woken");
        errno = 0;
        check(recv(fd, &byte, 1, 0) == -1 && errno == ECONNREFUSED, "and reads ECONNREFUSED");
    }
    check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0, "once");
}

int main(void)
{
    if (!enabled())
        skip("net.ipv4.tcp_fastopen has bit 0 unset");
    sends_and_connects();
    refusal_appears();
    return 0;
}
