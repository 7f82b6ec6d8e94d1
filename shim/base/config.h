/* SPDX-License-Identifier: ISC */
/* config: the settings, read from the environment.  The launcher refuses what config_load refuses;
 * the library goes on with the default that is left in place. */
#ifndef HOLDFAST_BASE_CONFIG_H
#define HOLDFAST_BASE_CONFIG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum config_unsafe { CONFIG_UNSAFE_FRESH, CONFIG_UNSAFE_REUSE };
enum config_share { CONFIG_SHARE_TREE, CONFIG_SHARE_USER, CONFIG_SHARE_OFF };
enum config_tls { CONFIG_TLS_OFF, CONFIG_TLS_REUSE };
enum config_host { CONFIG_HOST_ADDRESS, CONFIG_HOST_NEVER };

struct config {
    bool enabled;
    unsigned idle_seconds;
    unsigned max_per_endpoint;
    unsigned max_idle;     /* here and below: 0: no limit */
    unsigned max_requests;
    unsigned max_age;      /* seconds */
    bool upgrade;
    enum config_unsafe unsafe;
    enum config_host host;
    enum config_share share;
    enum config_tls tls;
    /* Texts are borrowed from the environment; NULL: none. */
    const char *only, *except;                   /* for filter_read */
    const char *commands_only, *commands_except; /* for list_has */
    const char *log_path;
    const char *stats_path;
};

/* One row of settings.def, for --help and for checking the documents. */
struct config_setting {
    const char *name, *fallback, *shape, *meaning;
};
extern const struct config_setting config_settings[];
extern const size_t config_settings_count;

/* Variables of our name that processes tell each other something by; no settings. */
extern const char *const config_own_names[]; /* the last is NULL */

/* Is this a value of HOLDFAST that switches all of it off?  NULL is none. */
bool config_is_off(const char *value);

/* Calls `complain(arg, setting, value)`, which may be NULL, for each variable whose value is refused; that field keeps
 * its default.  `lookup` is getenv, secure_getenv or a test's own.  An empty value is the default.
 * Returns the number of values refused.  No allocation, no output. */
int config_load(struct config *config, char *(*lookup)(const char *name),
                void (*complain)(void *arg, const struct config_setting *setting, const char *value),
                void *arg);

/* Of a value that was refused, the part that is wrong: an element of a list (it may be empty), or all of it. */
struct slice config_fault(const struct config_setting *setting, const char *value);

#endif
