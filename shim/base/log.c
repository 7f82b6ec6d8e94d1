#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

int log_fd = -1;
static log_write_fn *write_line;

void log_start(int fd, log_write_fn *write)
{
    write_line = write;
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

void log_printf(const char *format, ...)
{
    char line[LINE_MAX_BYTES]; /* the newline takes the place of snprintf's terminator */
    int saved = errno, fd = log_fd;
    struct timespec now = { 0, 0 };
    size_t len, start;
    va_list args;

    if (fd < 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    start = put(snprintf(line, LINE_MAX_BYTES, "%lld.%06ld %ld ", (long long)now.tv_sec, now.tv_nsec / 1000,
                         (long)getpid()),
                LINE_MAX_BYTES);
    errno = saved; /* for %m */
    va_start(args, format);
    len = start + put(vsnprintf(line + start, LINE_MAX_BYTES - start, format, args), LINE_MAX_BYTES - start);
    va_end(args);
    blunt_controls(line + start, len - start);
    line[len++] = '\n';
    write_line(fd, line, len);
    errno = saved;
}
