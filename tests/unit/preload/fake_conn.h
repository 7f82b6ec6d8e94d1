/* SPDX-License-Identifier: ISC */
/* fake_conn: tracked conns on the sockets of fake_kernel.h, brought to each state. */
#ifndef UNIT_PRELOAD_FAKE_CONN_H
#define UNIT_PRELOAD_FAKE_CONN_H

#include "fake_kernel.h"

#include "preload/conn/connecting.h"
#include "preload/conn/deferred.h"
#include "preload/conn/swap.h"
#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/share/evidence.h"
#include "preload/wire/closing.h"
#include "preload/wire/recv.h"
#include "preload/wire/send.h"

static const char fake_request[] = "GET / HTTP/1.0\r\nHost: h\r\n\r\n";
static const char fake_adapted[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
static const char fake_answer[] = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";

static inline struct sockaddr_in fake_address(unsigned port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(0xc0000201) }; /* 192.0.2.1 */
}

/* What socket(2) does, but for a spare. */
static inline int fake_open(bool nonblocking)
{
    int fd = real.socket(AF_INET, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    struct conn *c = conn_create(fd, false, CONN_NEW);

    assert_non_null(c);
    c->to.family = AF_INET;
    c->nonblocking = nonblocking;
    return fd;
}

/* Locked. */
static inline struct conn *fake_enter(int fd)
{
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    assert_non_null(c);
    return c;
}

/* What connect(2) does: 0 or -errno. */
static inline int fake_connect_to(int fd, unsigned port)
{
    struct sockaddr_in to = fake_address(port);
    struct conn *c = fake_enter(fd);
    int result = connecting_lease(c, (const struct sockaddr *)&to, sizeof to);

    if (result == CONN_PLAIN) {
        connecting_fresh(c);
        result = real.connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ? 0 : -errno;
        connecting_begun(c, -result);
    }
    conn_leave(c);
    return result;
}

/* What send(2) and recv(2) do; -errno. */
static inline ssize_t fake_sends(int fd, const void *bytes, size_t len)
{
    struct iovec piece = { (void *)(uintptr_t)bytes, len };
    struct conn *c = conn_enter(fd, NEED_ALL);
    ssize_t result = CONN_PLAIN;

    if (c) {
        result = wire_send(c, fd, &piece, 1, 0);
        conn_leave(c);
    }
    if (result == CONN_PLAIN && (result = real.send(fd, bytes, len, 0)) < 0)
        return -errno;
    return result;
}

static inline ssize_t fake_receives(int fd, void *bytes, size_t len)
{
    struct iovec piece = { bytes, len };
    struct conn *c = conn_enter(fd, NEED_AS_IS);
    ssize_t result = CONN_PLAIN;

    if (c) {
        conn_make_ready(c, NEED_ALL_BUT_END);
        result = wire_receive(c, fd, &piece, 1, 0);
        conn_leave(c);
    }
    if (result == CONN_PLAIN && (result = real.recv(fd, bytes, len, 0)) < 0)
        return -errno;
    return result;
}

/* What close(2) does. */
static inline void fake_closes(int fd)
{
    struct conn *c = conn_find(fd) ? conn_enter(fd, NEED_AS_IS) : NULL;

    if (c) {
        closing_number(c, fd);
        if (fake_under(fd))
            real.close(fd);
        closing_gone(c, fd);
        conn_leave(c);
    } else if (fake_under(fd)) {
        real.close(fd);
    }
}

/* One exchange, whole, of a one-shot client; the number stays open, ENDED. */
static inline int fake_exchange(unsigned port)
{
    char bytes[200];
    int fd = fake_open(false);

    assert_int_equal(fake_connect_to(fd, port), 0);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    struct fake_socket *s = fake_under(fd);
    fake_arrives(s, fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_true(conn_has_ended(fake_enter(fd)));
    conn_leave(conn_find(fd));
    return fd;
}

/* Closes everything; nothing is left over. */
static inline int fake_end(void **state)
{
    (void)state;
    fake_fail_nothing();
    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        if (conn_find(fd) && conn_find(fd) != CONN_PRIVATE)
            fake_closes(fd);
    spare_abandon();
    pool_shed(1000);
    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        if (private_is(fd))
            private_close(fd); /* the end-of-file socket */
        else if (fake_under(fd))
            fail_msg("%d is open still", fd);
    assert_int_equal(conn_deferred, 0);
    assert_int_equal(conn_borrowed, 0);
    return 0;
}

#endif
