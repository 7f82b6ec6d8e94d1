/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

int log_fd = -1;
static log_write_fn *write_line;
static const char *name = "";

void log_start(int fd, log_write_fn *write, const char *program)
{
    write_line = write;
    name = program;
    log_fd = fd;
}

/* What snprintf put into `room` bytes, its terminator not counted. */
static size_t put(int printed, size_t room)
{
    if (printed < 0)
        return 0;
    return (size_t)printed < room ? (size_t)printed : room - 1;
}

/* Host names and paths come from outside: they must not be able to forge a line. */
static void blunt_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
}

/* The calendar of 1970 and later, in years that begin with March: each is as long as the one 400 years before it, and
 * its leap day is its last. */
struct date {
    unsigned year, month, day;
};

static struct date date_of(uint64_t day)
{
    enum { TO_MARCH_OF_0 = 719468, DAYS_400 = 146097, DAYS_100 = 36524, DAYS_4 = 1460, DAYS_1 = 365 };
    const uint64_t since = day + TO_MARCH_OF_0;
    const unsigned in_400 = (unsigned)(since % DAYS_400);
    const unsigned year = (in_400 - in_400 / DAYS_4 + in_400 / DAYS_100 - in_400 / (DAYS_400 - 1)) / DAYS_1;
    const unsigned in_year = in_400 - (DAYS_1 * year + year / 4 - year / 100);
    const unsigned month = (5 * in_year + 2) / 153; /* 153 days in five months */

    return (struct date){ .year = (unsigned)(since / DAYS_400) * 400 + year + (month >= 10),
                          .month = month < 10 ? month + 3 : month - 9,
                          .day = in_year - (153 * month + 2) / 5 + 1 };
}

void log_time(const struct timespec *at, char out[LOG_TIME])
{
    enum { DAY_S = 86400 };
    const struct date date = date_of((uint64_t)at->tv_sec / DAY_S);
    const unsigned in_day = (unsigned)((uint64_t)at->tv_sec % DAY_S);

    snprintf(out, LOG_TIME, "%04u-%02u-%02uT%02u:%02u:%02u.%06luZ", date.year % 10000, date.month % 100, date.day % 100,
             in_day / 3600, in_day / 60 % 60, in_day % 60, (unsigned long)at->tv_nsec / 1000 % 1000000);
}

void log_printf(const char *format, ...)
{
    char line[LINE_MAX_BYTES]; /* the newline takes the place of snprintf's terminator */
    int saved = errno, fd = log_fd;
    struct timespec now = { 0, 0 };
    char time[LOG_TIME];
    size_t len, start;
    va_list args;

    if (fd < 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    log_time(&now, time);
    start = put(snprintf(line, LINE_MAX_BYTES, "%s %.32s[%ld] ", time, name, (long)getpid()), LINE_MAX_BYTES);
    errno = saved; /* for %m */
    va_start(args, format);
    len = start + put(vsnprintf(line + start, LINE_MAX_BYTES - start, format, args), LINE_MAX_BYTES - start);
    va_end(args);
    blunt_controls(line, len);
    line[len++] = '\n';
    write_line(fd, line, len);
    errno = saved;
}
