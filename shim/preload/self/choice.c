#define _GNU_SOURCE
#include "preload/self/choice.h"

#include "base/filter.h"
#include "base/list.h"
#include "http/request.h"
#include "preload/life/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static struct filter only, except;

void choice_start(void)
{
    if (process_config.only)
        filter_read(&only, process_config.only);
    if (process_config.except)
        filter_read(&except, process_config.except);
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
    char file[PATH_MAX];
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
    const struct config *config = &process_config;

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

/* 9112 3.2.2: the authority of an absolute target counts, else the Host field. */
static struct slice server_name(struct slice head)
{
    struct request_head parsed;

    if (request_parse(head.data, head.len, 0, &parsed) != HEAD_DONE)
        return (struct slice){ head.data, 0 };
    return parsed.host;
}

bool choice_leaves_request(const struct endpoint *to, struct slice head)
{
    if (!only.names && !except.names)
        return false;
    struct slice name = server_name(head);
    return (only.count && !has(&only, to) && !filter_has_name(&only, name)) ||
           filter_has_name(&except, name);
}
