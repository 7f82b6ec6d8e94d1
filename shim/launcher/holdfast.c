/* SPDX-License-Identifier: ISC */
/* holdfast: runs a command with libholdfast.so preloaded.  Checks here what the library, which must
 * keep quiet, could only ignore. */
#include "base/policy.h"
#include "base/version.h"
#include "launcher/check.h"
#include "launcher/env.h"
#include "launcher/explain.h"
#include "launcher/fail.h"
#include "launcher/link.h"
#include "launcher/look.h"
#include "launcher/options.h"
#include "launcher/preload.h"
#include "launcher/report.h"
#include "launcher/status.h"
#include "launcher/settings.h"
#include "launcher/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is asked of us, and what we see of our own place. */
struct launch {
    struct options options;
    bool filtered; /* by a policy under which the library cannot work */
    bool verbose;  /* asked for, or standard error is a terminal */
};

static _Noreturn void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    exit(0);
}

static _Noreturn void show_version(void)
{
    printf("holdfast %s\n", HOLDFAST_VERSION);
    finish_output();
}

static void warn(const struct look *look)
{
    if (*look->interpreter)
        fprintf(stderr, "holdfast: %s: its interpreter %s: %s: its connections will not be reused\n",
                look->path, look->interpreter, look->reason);
    else
        fprintf(stderr, "holdfast: %s: %s: its connections will not be reused\n", look->path, look->reason);
}

/* What is known of the command, and the library that was chosen for it. */
struct chosen {
    struct look look;
    char *library;
    struct report_sharing sharing;
};

/* free() the entry of LD_PRELOAD. */
static char *look_for(const char *command, struct chosen *chosen, enum preload_small *small)
{
    struct look *look = &chosen->look;

    chosen->library = preload_find_library();
    char *entry = preload_entry(chosen->library, small);
    look_at_command(command, chosen->library, look);
    if (look->effect == LOOK_FOREIGN && *small == PRELOAD_SMALL_SERVED)
        look->reason = NULL;
    return entry;
}

static void preload(const char *command, bool verbose, bool tls, struct chosen *chosen)
{
    enum preload_small small;
    struct look *look = &chosen->look;
    char *entry = look_for(command, chosen, &small);

    if (tls)
        entry = preload_with_tls(entry);
    preload_announce();
    if (look->reason && verbose)
        warn(look);
    if (look->effect == LOOK_DISTURBS || (look->effect == LOOK_FOREIGN && small == PRELOAD_SMALL_DISTURBED))
        preload_remove();
    else
        preload_add(entry);
    free(entry);
}

static int check(const struct options *options)
{
    enum preload_small small;
    struct chosen chosen;

    free(look_for(options->command[0], &chosen, &small));
    bool usable = check_print(options->command, &chosen.look, chosen.library, options->verbose);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    return usable ? 0 : 1;
}

static void print_env(const struct launch *launch)
{
    const struct env_form *form = env_form_find(launch->options.value);
    struct config config;

    if (launch->options.off) {
        env_print_off(form);
        return;
    }
    bool on = settings_load(&config);
    if (launch->verbose)
        settings_point_out();
    if (on) {
        settings_make_absolute();
        settings_load(&config); /* it borrows from the environment */
    }
    env_print_on(form, on ? &config : NULL);
}

/* A filter of system calls leaves no room for the library, nor for what we start. */
static bool filtered(const struct launch *launch)
{
    if (!launch->filtered)
        return false;
    if (launch->verbose && launch->options.mode == OPTIONS_RUN)
        fprintf(stderr, "holdfast: a filter of system calls (seccomp) is in force that the library cannot work under: "
                        "connections will not be reused\n");
    preload_remove();
    return true;
}

/* False: HOLDFAST=0, or nothing can be done. */
static bool prepare(const struct launch *launch, struct chosen *chosen)
{
    struct config config;

    if (!settings_load(&config))
        return false;
    if (launch->verbose)
        settings_point_out();
    if (filtered(launch))
        return false;
    settings_make_absolute();
    if (launch->verbose)
        settings_point_out_files();
    preload(launch->options.command[0], launch->verbose && launch->options.mode == OPTIONS_RUN,
            config.tls == CONFIG_TLS_REUSE, chosen);
    if (config.share == CONFIG_SHARE_OFF)
        chosen->sharing = (struct report_sharing){ "HOLDFAST_SHARE=off", "Leave that setting out." };
    else if (!tree_prepare(config.share, chosen->look.path))
        chosen->sharing = (struct report_sharing){ "too few descriptors", "Raise the limit: ulimit -Hn, to 256 or more." };
    return true;
}

static int execute(char **command)
{
    execvp(command[0], command);
    int error = errno;
    fprintf(stderr, "holdfast: %s: %s\n", command[0], strerror(error));
    return error == ENOENT ? FAIL_NOT_FOUND : FAIL_CANNOT_EXECUTE;
}

static int launch_command(const struct launch *launch)
{
    struct chosen chosen = { .library = NULL };
    bool on = prepare(launch, &chosen);

    if (launch->options.mode == OPTIONS_EXPLAIN) {
        explain_prepare(launch->options.value);
        const struct report_run run = { .command = launch->options.command[0], .look = on ? &chosen.look : NULL,
                                        .library = chosen.library, .sharing = chosen.sharing,
                                        .files_told = launch->verbose };
        explain_run(execute, launch->options.command, &run);
    }
    return execute(launch->options.command);
}

int main(int argc, char **argv)
{
    struct launch launch = { .filtered = policy_filters() && !policy_allows() };

    (void)argc;
    if (link_resolve(argv))
        launch.options = (struct options){ .mode = OPTIONS_RUN, .command = argv };
    else
        options_parse(argv, &launch.options);
    /* The policy may kill for ioctl. */
    launch.verbose = launch.options.verbose || (!launch.filtered && isatty(STDERR_FILENO));
    switch (launch.options.mode) {
    case OPTIONS_HELP:
        options_show_help();
        finish_output();
    case OPTIONS_VERSION:
        show_version();
    case OPTIONS_STATUS:
        status_show(launch.options.value ? launch.options.value : "", launch.options.every_s);
    case OPTIONS_ENV:
        print_env(&launch);
        finish_output();
    case OPTIONS_CHECK:
        return check(&launch.options);
    default:
        return launch_command(&launch);
    }
}
