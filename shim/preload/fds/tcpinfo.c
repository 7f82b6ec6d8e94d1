/* SPDX-License-Identifier: ISC */
#include "preload/fds/tcpinfo.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* The beginning of the kernel's struct tcp_info, in words of 32 bits; the first byte is the state. */
enum { STATE, UNACKED = 6, LAST_DATA_RECV = 13, LAST_ACK_RECV, RTT = 17, BYTES_ACKED = 30, NOTSENT_BYTES = 36, BYTES_SENT = 50,
       BYTES_RETRANS = 52, WORDS = 54 };

bool tcpinfo_read(int fd, struct tcpinfo *out)
{
    uint32_t words[WORDS] = { 0 };
    uint64_t sent, again;
    socklen_t len = sizeof words;
    int saved = errno;
    bool read = real.getsockopt(fd, IPPROTO_TCP, TCP_INFO, words, &len) == 0;

    errno = saved;
    *out = (struct tcpinfo){ .state = 0 };
    if (!read)
        return false;
    out->state = *(const unsigned char *)words;
    out->rtt_us = words[RTT];
    out->since_data_ms = words[LAST_DATA_RECV];
    out->since_ack_ms = words[LAST_ACK_RECV];
    memcpy(&out->acknowledged, &words[BYTES_ACKED], sizeof out->acknowledged);
    out->outstanding = words[UNACKED] || words[NOTSENT_BYTES];
    memcpy(&sent, &words[BYTES_SENT], sizeof sent);
    memcpy(&again, &words[BYTES_RETRANS], sizeof again);
    out->arrived = sent == 0 || out->acknowledged > sent - again; /* the SYN counts as one, tcp_ack() */
    return true;
}
