/* log: lines into the file that HOLDFAST_LOG names, without malloc or stdio, one write a line.  Off
 * until log_open.  The caller supplies the real write(2): this code also runs inside a program whose
 * write is interposed by us. */
#ifndef HOLDFAST_BASE_LOG_H
#define HOLDFAST_BASE_LOG_H

#include <stdbool.h>
#include <sys/types.h>

typedef ssize_t log_write_fn(int fd, const void *bytes, size_t len);

extern int log_fd; /* -1: off.  Owned by whoever called log_start. */

static inline bool log_on(void) { return log_fd >= 0; }

/* -1: off. */
void log_start(int fd, log_write_fn *write);

/* A line: "<seconds>.<micros> <pid> " + text + "\n", cut at 1 KiB.  errno is left alone. */
void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
