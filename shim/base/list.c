/* SPDX-License-Identifier: ISC */
#include "base/list.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool list_next(struct slice *rest, struct slice *element)
{
    if (!rest->data)
        return false;
    const char *comma = memchr(rest->data, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->data) : rest->len;

    *element = (struct slice){ rest->data, len };
    while (element->len && is_blank(element->data[0]))
        element->data++, element->len--;
    while (element->len && is_blank(element->data[element->len - 1]))
        element->len--;
    if (comma)
        *rest = (struct slice){ comma + 1, rest->len - len - 1 };
    else
        rest->data = NULL;
    return true;
}

bool list_check_commands(const char *text, struct slice *bad)
{
    struct slice rest = { *text ? text : NULL, strlen(text) };

    while (list_next(&rest, bad))
        if (bad->len == 0 || memchr(bad->data, '/', bad->len))
            return false;
    return true;
}

bool list_has(const char *text, const char *word)
{
    struct slice rest = { *text ? text : NULL, strlen(text) }, element;

    while (list_next(&rest, &element))
        if (slice_equal(element, (struct slice){ word, strlen(word) }))
            return true;
    return false;
}
