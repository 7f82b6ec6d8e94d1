/* SPDX-License-Identifier: ISC */
/* See delay_wire.c. */
#ifndef DELAY_WIRE_H
#define DELAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_ADDRESS "10.77.0.1"
#define SERVER_ADDRESS "10.77.0.2"

enum { NO_WIRE = 77, MTU_MAX = 9000 };

/* Prints the message, with errno's if that is set, and exits. */
void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* delay_wire_net.c */

/* One end of the wire: its namespace, and the device in it.  Both fds are ours, close-on-exec. */
struct end {
    int net, tun;
};

/* Makes a namespace, enters it, and sets up the device and the loopback in it.  Exits with NO_WIRE if
 * that cannot be done here. */
void net_end(struct end *end, const char *address, int mtu);

/* Whether a TCP socket listens in the namespace that we are in. */
bool net_listens(void);

/* delay_wire_carry.c */

/* One direction.  The counts grow while it is used; whoever reads them may be a packet behind. */
struct way {
    int from, to;
    uint64_t delay_ns;
    uint64_t packets, bytes;
    uint64_t lost;    /* that the other end's device did not take */
    uint64_t late_ns; /* how much too late the latest one was */
    char *ring;       /* packets on their way: see delay_wire_carry.c */
    size_t head, tail, end;
};

/* Starts the thread that carries packets from one device to the other, for as long as we live. */
void carry(struct way *way, int from, int to, double delay_ms);

#endif
