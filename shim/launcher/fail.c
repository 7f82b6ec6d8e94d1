/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *subject, const char *problem)
{
    fprintf(stderr, "holdfast: %s: %s\n", subject, problem);
    exit(FAIL_OURS);
}

char *fail_or_format(const char *format, ...)
{
    char *text;
    va_list ap;

    va_start(ap, format);
    int len = vasprintf(&text, format, ap);
    va_end(ap);
    if (len < 0)
        fail("no memory", strerror(ENOMEM));
    return text;
}

void fail_or_set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        fail(name, strerror(errno));
}
