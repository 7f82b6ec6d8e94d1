/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/choice.h"

#include "base/filter.h"
#include "base/list.h"
#include "preload/self/self.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static struct filter only, except;

void choice_start(void)
{
    if (self.config.only)
        filter_read(&only, self.config.only);
    if (self.config.except)
        filter_read(&except, self.config.except);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* AT_EXECFN stays the script's where the kernel puts its interpreter in its place. */
static bool lists_program(const char *list)
{
    const char *executed = (const char *)getauxval(AT_EXECFN);
    static char file[PATH_MAX]; /* once, at the start */
    ssize_t len;

    if (list_has(list, program_invocation_short_name) || (executed && list_has(list, base_name(executed))))
        return true;
    len = readlink("/proc/self/exe", file, sizeof file - 1);
    if (len <= 0)
        return false;
    file[len] = '\0';
    return list_has(list, base_name(file));
}

bool choice_leaves_program(void)
{
    const struct config *config = &self.config;

    return (config->commands_only && !lists_program(config->commands_only)) ||
           (config->commands_except && lists_program(config->commands_except));
}

static bool has(const struct filter *filter, const struct endpoint *to)
{
    uint8_t address[16] = { [10] = 0xff, [11] = 0xff };

    if (to->family == AF_INET)
        memcpy(address + 12, to->address, 4);
    else
        memcpy(address, to->address, sizeof address);
    return filter_has_address(filter, address, ntohs(to->port));
}

bool choice_leaves_endpoint(const struct endpoint *to)
{
    if (only.count && !only.names && !has(&only, to))
        return true;
    return except.count && has(&except, to);
}

bool choice_goes_by_name(void)
{
    return only.names || except.names;
}

bool choice_leaves_name(const struct endpoint *to, struct slice name)
{
    return (only.count && !has(&only, to) && !filter_has_name(&only, name)) || filter_has_name(&except, name);
}
