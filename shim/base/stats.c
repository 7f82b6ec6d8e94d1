/* SPDX-License-Identifier: ISC */
#include "base/stats.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct stats stats;

void stats_reason(enum reason reason)
{
    if ((unsigned)reason < REASON_count)
        atomic_fetch_add_explicit(&stats.reasons[reason], 1, memory_order_relaxed);
}

void stats_reset(void)
{
#define X(name) atomic_store_explicit(&stats.name, 0, memory_order_relaxed);
    STATS_COUNTERS(X)
#undef X
    for (unsigned i = 0; i < REASON_count; i++)
        atomic_store_explicit(&stats.reasons[i], 0, memory_order_relaxed);
}

/* Text under construction; once full it stays full. */
struct text {
    char *data;
    size_t len, cap;
    bool full;
};

static void add_bytes(struct text *text, const char *bytes, size_t len)
{
    if (text->full || len > text->cap - text->len) {
        text->full = true;
        return;
    }
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
}

static void add(struct text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

static void add_count(struct text *text, const char *before, const char *name, unsigned long value)
{
    char number[32];

    snprintf(number, sizeof(number), "%lu", value);
    add(text, before);
    add(text, "\"");
    add(text, name);
    add(text, "\":");
    add(text, number);
}

/* Length of a UTF-8 sequence of two or more bytes by its first one, 0 if none begins so. */
static size_t utf8_expected(unsigned char first)
{
    if (first >= 0xf0)
        return first <= 0xf4 ? 4 : 0;
    if (first >= 0xe0)
        return 3;
    return first >= 0xc2 ? 2 : 0;
}

/* Length of the valid UTF-8 sequence of two or more bytes at `at` (3629 4), 0 if it is none. */
static size_t utf8_length(const unsigned char *at)
{
    size_t len = utf8_expected(at[0]);

    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

/* The contents of a JSON string (8259 7).  A command's name may hold any byte. */
static void add_escaped(struct text *text, const char *string)
{
    const unsigned char *at = (const unsigned char *)string;

    while (*at) {
        size_t len = utf8_length(at);
        char escape[8];

        if (len == 0 && *at >= 0x80) {
            add(text, "\\ufffd");
            len = 1;
        } else if (len == 0 && (*at < 0x20 || *at == 0x7f)) {
            snprintf(escape, sizeof(escape), "\\u%04x", *at);
            add(text, escape);
            len = 1;
        } else {
            if (*at == '"' || *at == '\\')
                add(text, "\\");
            len = len ? len : 1;
            add_bytes(text, (const char *)at, len);
        }
        at += len;
    }
}

static void add_reasons(struct text *text)
{
    const char *comma = "";

    for (unsigned i = REASON_none + 1; i < REASON_count; i++) {
        unsigned long count = atomic_load_explicit(&stats.reasons[i], memory_order_relaxed);

        if (count == 0)
            continue;
        add_count(text, comma, reason_name((enum reason)i), count);
        comma = ",";
    }
}

size_t stats_format(char *out, size_t cap, long pid, const char *command)
{
    struct text text = { out, 0, cap, false };
    char number[32];

    snprintf(number, sizeof(number), "%ld", pid);
    add(&text, "{\"pid\":");
    add(&text, number);
    add(&text, ",\"command\":\"");
    add_escaped(&text, command);
    add(&text, "\"");
#define X(name) add_count(&text, ",", #name, atomic_load_explicit(&stats.name, memory_order_relaxed));
    STATS_COUNTERS(X)
#undef X
    add(&text, ",\"reasons\":{");
    add_reasons(&text);
    add(&text, "}}\n");
    return text.full ? 0 : text.len;
}
