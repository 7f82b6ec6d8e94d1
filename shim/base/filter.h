/* SPDX-License-Identifier: ISC */
/* filter: the places that HOLDFAST_ONLY or HOLDFAST_EXCEPT lists, read once into fixed memory.  Pure: a
 * name is compared with what a request says, and never looked up. */
#ifndef HOLDFAST_BASE_FILTER_H
#define HOLDFAST_BASE_FILTER_H

#include "base/slice.h"

#include <stdint.h>

enum { FILTER_RULES = 64, FILTER_NAMES = 4096 };

enum filter_family { FILTER_ANY, FILTER_IPV4, FILTER_IPV6 };

struct filter_rule {
    enum filter_family family; /* FILTER_ANY: whatever the address */
    uint8_t address[16];       /* IPv4: mapped into IPv6 (4291 2.5.5.2) */
    uint8_t prefix;            /* how many bits of it count */
    uint16_t port;             /* 0: any */
    struct slice name;         /* instead of all these; empty: not a name */
};

struct filter {
    unsigned count, names;
    struct filter_rule rules[FILTER_RULES];
    char text[FILTER_NAMES]; /* the rules' names lie here */
    size_t text_len;
};

/* Could filter_read take all of it?  Each element is `address`, `address/prefix`, `:port`, `address:port` (IPv6:
 * `[address]`, `[address]:port`) or a name.  False: *bad is the first element that is none of these, which may be empty;
 * or the one that is too much. */
bool filter_check(const char *text, struct slice *bad);

/* False, and an empty filter, where filter_check says so.  Copies what it needs of the text. */
bool filter_read(struct filter *filter, const char *text);

/* Is the place in the list by its address or port?  `address`: IPv4 mapped into IPv6. */
bool filter_has_address(const struct filter *filter, const uint8_t address[16], uint16_t port);

/* Is `host`, as in a Host field or a target's authority, in the list by its name?  Its port does not count,
 * nor does a final dot. */
bool filter_has_name(const struct filter *filter, struct slice host);

#endif
