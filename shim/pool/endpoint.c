/* SPDX-License-Identifier: ISC */
#include "pool/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The kernel also takes a sockaddr_in6 without sin6_scope_id (RFC 2133). */
#define IN6_SHORT offsetof(struct sockaddr_in6, sin6_scope_id)

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
static const uint8_t zeros[16];

static int from_in(struct endpoint *to, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in in;

    if (len < sizeof(in))
        return -EINVAL;
    memcpy(&in, address, sizeof(in));
    to->port = in.sin_port;
    memcpy(to->address, &in.sin_addr, sizeof(in.sin_addr));
    return 0;
}

static int from_in6(struct endpoint *to, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    if (len < IN6_SHORT)
        return -EINVAL;
    memcpy(&in6, address, len < sizeof(in6) ? IN6_SHORT : sizeof(in6));
    to->port = in6.sin6_port;
    to->scope = in6.sin6_scope_id;
    to->flow = in6.sin6_flowinfo;
    memcpy(to->address, &in6.sin6_addr, sizeof(in6.sin6_addr));
    return 0;
}

static bool is_mapped(const struct endpoint *e)
{
    return e->family == AF_INET6 && memcmp(e->address, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* The IPv4 address, where there is one. */
static const uint8_t *v4_of(const struct endpoint *e)
{
    return e->family == AF_INET ? e->address : is_mapped(e) ? e->address + sizeof(mapped_prefix) : NULL;
}

int endpoint_from(struct endpoint *to, const struct sockaddr *address, socklen_t len)
{
    sa_family_t family;
    const uint8_t *v4;
    int error;

    memset(to, 0, sizeof(*to));
    if (len < offsetof(struct sockaddr, sa_family) + sizeof(family))
        return -EINVAL;
    memcpy(&family, (const char *)address + offsetof(struct sockaddr, sa_family), sizeof(family));
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    to->family = family;
    error = family == AF_INET ? from_in(to, address, len) : from_in6(to, address, len);
    if (error)
        return error;
    v4 = v4_of(to);
    if (to->port == 0 || (v4 ? memcmp(v4, zeros, 4) == 0 : memcmp(to->address, zeros, 16) == 0))
        return -EINVAL;
    return 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

uint32_t endpoint_hash(const struct endpoint *e)
{
    uint64_t words[sizeof(*e) / sizeof(uint64_t)], hash = 0;

    _Static_assert(sizeof(*e) == 56, "padding would be compared and hashed");
    memcpy(words, e, sizeof(words));
    words[3] += words[4] + words[5] + words[6]; /* who and where from: seldom more than one to a place */
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

struct endpoint endpoint_place(const struct endpoint *e)
{
    struct endpoint place = { .family = AF_INET6, .port = e->port, .scope = e->scope };

    memcpy(place.address, e->address, sizeof(place.address));
    if (e->family == AF_INET) {
        memcpy(place.address, mapped_prefix, sizeof(mapped_prefix));
        memcpy(place.address + sizeof(mapped_prefix), e->address, 4);
    }
    return place;
}

bool endpoint_same_place(const struct endpoint *a, const struct endpoint *b)
{
    struct endpoint x = endpoint_place(a), y = endpoint_place(b);

    return endpoint_equal(&x, &y);
}

uint32_t endpoint_place_hash(const struct endpoint *e)
{
    struct endpoint place = endpoint_place(e);

    return endpoint_hash(&place);
}

/* Room is always enough: 39 characters of address, 11 of zone, 6 of port, two brackets. */
static size_t print_address(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX], const uint8_t *v4,
                            bool zone)
{
    char address[INET6_ADDRSTRLEN] = "?";
    int len;

    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? v4 : e->address, address, sizeof(address));
    if (v4)
        len = snprintf(out, ENDPOINT_TEXT_MAX, "%s", address);
    else if (zone && e->scope)
        len = snprintf(out, ENDPOINT_TEXT_MAX, "[%s%%%u]", address, e->scope);
    else
        len = snprintf(out, ENDPOINT_TEXT_MAX, "[%s]", address);
    return (size_t)len;
}

static size_t add_port(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX], size_t len)
{
    return len + (size_t)snprintf(out + len, ENDPOINT_TEXT_MAX - len, ":%u", ntohs(e->port));
}

size_t endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    return add_port(e, out, print_address(e, out, e->family == AF_INET ? e->address : NULL, true));
}

size_t endpoint_authority(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    size_t len = print_address(e, out, v4_of(e), false);

    return ntohs(e->port) == 80 ? len : add_port(e, out, len);
}
