/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/filter.h"

#include "base/list.h"

#include <arpa/inet.h>

enum { ADDRESS_TEXT = 64, MAPPED_BITS = 96 };

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Decimal digits only, at most five. */
static bool read_number(struct slice digits, unsigned least, unsigned most, unsigned *number)
{
    *number = 0;
    if (digits.len == 0 || digits.len > 5)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.data[i]))
            return false;
        *number = *number * 10 + (unsigned)(digits.data[i] - '0');
    }
    return *number >= least && *number <= most;
}

static bool read_port(struct slice digits, struct filter_rule *rule)
{
    unsigned port;

    if (!read_number(digits, 1, 65535, &port))
        return false;
    rule->port = (uint16_t)port;
    return true;
}

static bool is_mapped(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

/* Without port and prefix; strict, as inet_pton(3) is: no leading zeros, no zone. */
static bool read_address(struct slice text, struct filter_rule *rule)
{
    char copy[ADDRESS_TEXT];

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    rule->prefix = 128;
    if (inet_pton(AF_INET6, copy, rule->address) == 1) {
        rule->family = is_mapped(rule->address) ? FILTER_IPV4 : FILTER_IPV6;
        return true;
    }
    memcpy(rule->address, mapped, sizeof mapped);
    rule->family = FILTER_IPV4;
    return inet_pton(AF_INET, copy, rule->address + sizeof mapped) == 1;
}

/* `[address]`, and whatever follows in `*rest`. */
static bool read_bracketed(struct slice element, struct filter_rule *rule, struct slice *rest)
{
    const char *end = memchr(element.data, ']', element.len);

    if (!end)
        return false;
    struct slice inside = { element.data + 1, (size_t)(end - element.data - 1) };
    *rest = (struct slice){ end + 1, element.len - inside.len - 2 };
    return memchr(inside.data, ':', inside.len) && read_address(inside, rule);
}

static bool read_prefix(struct slice digits, struct filter_rule *rule, bool ipv4)
{
    unsigned bits;

    if (!read_number(digits, 0, ipv4 ? 32 : 128, &bits))
        return false;
    rule->prefix = (uint8_t)(ipv4 ? MAPPED_BITS + bits : bits);
    if (rule->prefix < MAPPED_BITS) /* more of IPv6 than IPv4 as IPv6 writes it */
        rule->family = FILTER_IPV6;
    return true;
}

/* A dot-separated name of letters, digits, hyphens and underscores; one that ends in a number is a slip in
 * an address. */
static bool is_name(struct slice text)
{
    size_t label = 0;
    bool number = true;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i], lower = ascii_lower(c);
        if (c == '.' && label == 0)
            return false;
        if (c == '.' && i + 1 == text.len)
            break;
        if (c != '.' && !is_digit(c) && !(lower >= 'a' && lower <= 'z') && c != '-' && c != '_')
            return false;
        number = c == '.' || (number && is_digit(c));
        label = c == '.' ? 0 : label + 1;
    }
    return label > 0 && !number;
}

/* What is left of an element that names an address: nothing, a prefix or a port. */
static bool read_rest(struct slice rest, struct filter_rule *rule, bool ipv4)
{
    struct slice number = { rest.data + 1, rest.len - (rest.len > 0) };

    if (rest.len == 0)
        return true;
    return rest.data[0] == '/' ? read_prefix(number, rule, ipv4) : rest.data[0] == ':' && read_port(number, rule);
}

static bool read_plain(struct slice element, struct filter_rule *rule)
{
    bool ipv6 = memchr(element.data, ':', element.len) != memrchr(element.data, ':', element.len);
    size_t len = 0;

    while (len < element.len && element.data[len] != '/' && (ipv6 || element.data[len] != ':'))
        len++;
    struct slice address = { element.data, len }, rest = { element.data + len, element.len - len };

    return read_address(address, rule) && read_rest(rest, rule, !ipv6);
}

static bool read_rule(struct slice element, struct filter_rule *rule)
{
    struct slice rest;

    *rule = (struct filter_rule){ .family = FILTER_ANY };
    if (element.len == 0)
        return false;
    if (element.data[0] == ':' && read_port((struct slice){ element.data + 1, element.len - 1 }, rule))
        return true;
    if (element.data[0] == '[')
        return read_bracketed(element, rule, &rest) && read_rest(rest, rule, false);
    if (read_plain(element, rule))
        return true;
    *rule = (struct filter_rule){ .name = element };
    return is_name(element);
}

bool filter_check(const char *text, struct slice *bad)
{
    struct slice rest = { *text ? text : NULL, strlen(text) };
    struct filter_rule rule;
    size_t names = 0;

    for (unsigned count = 0; list_next(&rest, bad); count++) {
        if (count == FILTER_RULES || !read_rule(*bad, &rule))
            return false;
        names += rule.name.len;
        if (names > FILTER_NAMES)
            return false;
    }
    return true;
}

static struct slice without_dot(struct slice name)
{
    if (name.len && name.data[name.len - 1] == '.')
        name.len--;
    return name;
}

static struct slice keep_text(struct filter *filter, struct slice name)
{
    char *copy = filter->text + filter->text_len;

    if (name.len)
        memcpy(copy, name.data, name.len);
    filter->text_len += name.len;
    return (struct slice){ copy, name.len };
}

bool filter_read(struct filter *filter, const char *text)
{
    struct slice rest = { *text ? text : NULL, strlen(text) }, element;

    filter->count = filter->names = 0;
    filter->text_len = 0;
    if (!filter_check(text, &element))
        return false;
    while (list_next(&rest, &element)) {
        struct filter_rule *rule = &filter->rules[filter->count++];
        read_rule(element, rule);
        filter->names += rule->name.len > 0;
        rule->name = keep_text(filter, without_dot(rule->name));
    }
    return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;

    return memcmp(a, b, whole) == 0 && (left == 0 || (a[whole] ^ b[whole]) >> (8 - left) == 0);
}

bool filter_has_address(const struct filter *filter, const uint8_t address[16], uint16_t port)
{
    enum filter_family family = is_mapped(address) ? FILTER_IPV4 : FILTER_IPV6;

    for (unsigned i = 0; i < filter->count; i++) {
        const struct filter_rule *rule = &filter->rules[i];
        if (rule->name.len || (rule->port && rule->port != port))
            continue;
        if (rule->family == FILTER_ANY ||
            (rule->family == family && same_bits(rule->address, address, rule->prefix)))
            return true;
    }
    return false;
}

/* 3986 3.2.2, 3.2.3 */
static struct slice without_port(struct slice host)
{
    size_t len = host.len;

    while (len && is_digit(host.data[len - 1]))
        len--;
    if (len && host.data[len - 1] == ':')
        host.len = len - 1;
    return host;
}

bool filter_has_name(const struct filter *filter, struct slice host)
{
    struct slice name = without_dot(without_port(host));

    for (unsigned i = 0; i < filter->count; i++)
        if (filter->rules[i].name.len && slice_equal_nocase(filter->rules[i].name, name))
            return true;
    return false;
}
