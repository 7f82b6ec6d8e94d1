/* SPDX-License-Identifier: ISC */
/* fail: how the launcher ends when it is the launcher that fails.  Exit statuses are those of env(1). */
#ifndef HOLDFAST_LAUNCHER_FAIL_H
#define HOLDFAST_LAUNCHER_FAIL_H

enum { FAIL_OURS = 125, FAIL_CANNOT_EXECUTE = 126, FAIL_NOT_FOUND = 127 };

/* One line on stderr, and status 125. */
_Noreturn void fail(const char *subject, const char *problem);

/* asprintf(3), or fail(); free() the result. */
__attribute__((format(printf, 1, 2))) char *fail_or_format(const char *format, ...);

/* setenv(3), or fail(). */
void fail_or_set(const char *name, const char *value);

#endif
