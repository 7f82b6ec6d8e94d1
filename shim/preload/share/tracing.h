/* SPDX-License-Identifier: ISC */
/* tracing: tells `holdfast --explain` what happens here (base/trace.h).  Off without it: one load and one
 * branch, and only where a tracked connection changes. */
#ifndef HOLDFAST_PRELOAD_TRACING_H
#define HOLDFAST_PRELOAD_TRACING_H

#include "base/trace.h"

#include <stdbool.h>

struct endpoint;

extern int tracing_fd; /* -1: off */

static inline bool tracing_on(void) { return tracing_fd >= 0; }

/* In the constructor: opens the file that the environment names, which has to be there already. */
void tracing_start(bool left_alone);

/* This process shares connections with no other one. */
void tracing_alone(void);

/* What has happened to a connection to there; `why` for TRACE_reason. */
void tracing_write(const struct endpoint *to, enum trace_event event, enum reason why);

/* A program is about to be executed, with this environment. */
void tracing_exec(const char *path, char *const *env);

#endif
