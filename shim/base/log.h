/* SPDX-License-Identifier: ISC */
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

/* fd -1: off.  `program`, which lines begin with, is borrowed for good. */
void log_start(int fd, log_write_fn *write, const char *program);

/* "2026-11-30T16:06:45.123456Z": a time since 1970 in UTC.  Pure: gmtime_r(3) takes a lock that the program may hold. */
enum { LOG_TIME = sizeof "2026-11-30T16:06:45.123456Z" };
struct timespec;
void log_time(const struct timespec *at, char out[LOG_TIME]);

/* A line: "2026-11-30T16:06:45.123456Z curl[1234] " + text + "\n", cut at 1 KiB; the time is UTC, and of the program's
 * name there are 32 bytes.  errno is left alone. */
void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
