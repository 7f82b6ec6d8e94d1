/* SPDX-License-Identifier: ISC */
/* tcpinfo: what the kernel says of a TCP connection (TCP_INFO, tcp(7)).  libc's struct tcp_info may end before the
 * fields that came with Linux 4.2 to 4.19. */
#ifndef HOLDFAST_PRELOAD_TCPINFO_H
#define HOLDFAST_PRELOAD_TCPINFO_H

#include <stdbool.h>
#include <stdint.h>

enum { TCPINFO_ESTABLISHED = 1, TCPINFO_CLOSED = 7 };

struct tcpinfo {
    unsigned state;
    unsigned rtt_us;          /* smoothed */
    unsigned since_data_ms;   /* the last data came */
    unsigned since_ack_ms;    /* the last acknowledgement, of whatever */
    uint64_t acknowledged;    /* bytes so far */
    bool arrived;             /* all that was sent was acknowledged, also where the connection is broken since;
                                 or the kernel does not say it */
    bool outstanding;         /* something was sent that is not acknowledged, or could not be sent yet */
};

/* False, all zero: not a TCP socket, or the kernel does not say it. */
bool tcpinfo_read(int fd, struct tcpinfo *out);

#endif
