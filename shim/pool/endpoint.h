/* SPDX-License-Identifier: ISC */
/* endpoint: where a socket is connected to, and everything else that was fixed when it connected and
 * that makes two sockets not interchangeable. */
#ifndef HOLDFAST_POOL_ENDPOINT_H
#define HOLDFAST_POOL_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Compared with memcmp and sent between processes: no padding, unused bytes zero. */
struct endpoint {
    uint16_t family;  /* of the fd itself: ::ffff:127.0.0.1 on an AF_INET6 fd stays AF_INET6 */
    uint16_t port;    /* network order */
    uint32_t scope;   /* sin6_scope_id */
    uint8_t address[16];
    uint32_t uid;     /* the user whose socket it is: his fsuid, most often the effective uid */
    uint32_t gid;     /* his effective group, when his program was started */
    uint32_t user_namespace; /* its inode; 0: the one in which his process was started */
    uint32_t flow;    /* sin6_flowinfo */
    uint64_t netns;   /* SO_NETNS_COOKIE, 0 where the kernel has none */
    uint64_t options; /* hash of the bound address and of the options set before connect */
};

/* A name as the kernel takes and gives it; sockaddr_storage is four times as long. */
union endpoint_name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

#define ENDPOINT_TEXT_MAX 64

/* Fills family, port, scope, flow and address; the rest is zero.  -EAFNOSUPPORT for what is neither
 * AF_INET nor AF_INET6, -EINVAL for a short or wildcard address or port 0. */
int endpoint_from(struct endpoint *to, const struct sockaddr *address, socklen_t len);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
uint32_t endpoint_hash(const struct endpoint *e);

/* The place: what a server listens on, whoever connects to it and how.  The same for an IPv4 address and for
 * what maps it into IPv6. */
struct endpoint endpoint_place(const struct endpoint *e);
bool endpoint_same_place(const struct endpoint *a, const struct endpoint *b);
uint32_t endpoint_place_hash(const struct endpoint *e);

/* "127.0.0.1:8080", "[::1]:8080": for the log. */
size_t endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);

/* What a missing Host becomes: the same, but without ":80", without a zone, and an IPv4-mapped
 * address as IPv4 (3986 3.2.2). */
size_t endpoint_authority(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);

#endif
