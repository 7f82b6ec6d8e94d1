#include "launcher/env.h"

#include "base/version.h"
#include "launcher/preload.h"

#include <stdio.h>
#include <stdlib.h>

static void print_quoted(const char *value)
{
    putchar('\'');
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*value);
    putchar('\'');
}

/* As it is in our own environment now. */
static void print_variable(const char *name)
{
    const char *value = getenv(name);

    if (!value) {
        printf("unset %s\n", name);
        return;
    }
    printf("%s=", name);
    print_quoted(value);
    printf("; export %s\n", name);
}

/* An unquoted eval makes one line of all: a comment can only be the last. */
void env_print_on(const struct config *config)
{
    enum preload_small small;

    if (!config) {
        printf("# HOLDFAST=0: nothing to do\n");
        return;
    }
    char *library = preload_find_library(), *entry = preload_entry(library, &small);

    preload_announce();
    preload_add(entry);
    print_variable("LD_PRELOAD");
    print_variable(VERSION_VARIABLE);
    if (config->log_path)
        print_variable("HOLDFAST_LOG");
    if (config->stats_path)
        print_variable("HOLDFAST_STATS");
    if (config->share == CONFIG_SHARE_TREE && !getenv("HOLDFAST_TREE"))
        printf("# each process keeps its idle connections to itself; under `holdfast sh` they are shared\n");
    free(entry);
    free(library);
}

void env_print_off(void)
{
    preload_remove();
    print_variable("LD_PRELOAD");
    printf("unset %s\n", VERSION_VARIABLE);
}
