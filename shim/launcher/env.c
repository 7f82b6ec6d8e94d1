/* SPDX-License-Identifier: ISC */
#include "launcher/env.h"

#include "base/version.h"
#include "launcher/fail.h"
#include "launcher/options.h"
#include "launcher/preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct env_form {
    const char *name;
    void (*set)(const char *name, const char *value);
    void (*unset)(const char *name); /* NULL: there are no words for it */
    const char *hint;                /* that processes share nothing yet */
};

/* The value with this in place of each of `special`: `escape` %c is the character. */
static void print_escaped(const char *value, const char *special, const char *before, const char *after)
{
    for (; *value; value++) {
        bool is_special = strchr(special, *value) != NULL;

        printf("%s%c%s", is_special ? before : "", *value, is_special ? after : "");
    }
}

static void set_in_sh(const char *name, const char *value)
{
    printf("%s='", name);
    print_escaped(value, "'", "'\\", "'");
    printf("'; export %s\n", name);
}

static void unset_in_sh(const char *name)
{
    printf("unset %s\n", name);
}

static void set_in_fish(const char *name, const char *value)
{
    printf("set -gx %s '", name);
    print_escaped(value, "'\\", "\\", "");
    printf("'\n");
}

static void unset_in_fish(const char *name)
{
    printf("set -e %s\n", name);
}

/* systemd.exec(5): a quoted assignment is unescaped as in C; systemd.unit(5): `%` begins a specifier. */
static void set_in_systemd(const char *name, const char *value)
{
    printf("Environment=\"%s=", name);
    for (; *value; value++)
        if (*value == '%')
            printf("%%%%");
        else if (*value == '\n')
            printf("\\n");
        else if (*value == '"' || *value == '\\')
            printf("\\%c", *value);
        else
            putchar(*value);
    printf("\"\n");
}

/* An unquoted eval makes one line of all: a comment can only be the last. */
static const char hint_shell[] = "# each process keeps its idle connections to itself; under `holdfast sh` they are shared\n";
static const char hint_systemd[] =
    "# Each process of the service keeps its idle connections to itself.  To share them: set HOLDFAST_SHARE=user here,\n"
    "# and run holdfastd(8) as the user of the service.\n";

static const struct env_form forms[] = {
    { "sh", set_in_sh, unset_in_sh, hint_shell },
    { "fish", set_in_fish, unset_in_fish, hint_shell },
    { "systemd", set_in_systemd, NULL, hint_systemd },
};

const struct env_form *env_form_find(const char *name)
{
    if (!name)
        return &forms[0];
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(name, forms[i].name) == 0)
            return &forms[i];
    options_refuse_value("--env", name, "sh, fish or systemd");
}

static bool is_for_unit(const struct env_form *form)
{
    return !form->unset;
}

/* As it is in our own environment now. */
static void print_variable(const struct env_form *form, const char *name)
{
    const char *value = getenv(name);

    if (value)
        form->set(name, value);
    else if (form->unset)
        form->unset(name);
}

/* A unit does not get the environment of whoever writes it. */
static void print_settings(const struct env_form *form)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        const char *value = getenv(config_settings[i].name);

        if (value && *value)
            form->set(config_settings[i].name, value);
    }
}

static void print_unit_head(void)
{
    printf("# A drop-in: `systemctl edit NAME.service`, or a file in /etc/systemd/system/NAME.service.d.\n"
           "# If the unit sets LD_PRELOAD itself, write the unit's value behind this one, with a colon between them.\n"
           "[Service]\n");
}

void env_print_on(const struct env_form *form, const struct config *config)
{
    enum preload_small small;

    if (!config) {
        printf("# HOLDFAST=0: nothing to do\n");
        return;
    }
    char *library = preload_find_library(), *entry = preload_entry(library, &small);

    if (config->tls == CONFIG_TLS_REUSE)
        entry = preload_with_tls(entry);
    preload_announce();
    if (is_for_unit(form)) {
        print_unit_head();
        form->set("LD_PRELOAD", entry);
        print_variable(form, VERSION_VARIABLE);
        print_settings(form);
    } else {
        preload_add(entry);
        print_variable(form, "LD_PRELOAD");
        print_variable(form, VERSION_VARIABLE);
        if (config->log_path)
            print_variable(form, "HOLDFAST_LOG");
        if (config->stats_path)
            print_variable(form, "HOLDFAST_STATS");
    }
    if (config->share == CONFIG_SHARE_TREE && (is_for_unit(form) || !getenv("HOLDFAST_TREE")))
        fputs(form->hint, stdout);
    free(entry);
    free(library);
}

void env_print_off(const struct env_form *form)
{
    if (is_for_unit(form))
        fail("--env=systemd --off", "remove the drop-in instead");
    preload_remove();
    print_variable(form, "LD_PRELOAD");
    form->unset(VERSION_VARIABLE);
}
