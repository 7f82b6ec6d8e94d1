/* holdfast: runs a command with libholdfast.so preloaded.  Checks here what the library, which must
 * keep quiet, could only ignore. */
#include "base/policy.h"
#include "base/version.h"
#include "launcher/check.h"
#include "launcher/env.h"
#include "launcher/explain.h"
#include "launcher/fail.h"
#include "launcher/look.h"
#include "launcher/preload.h"
#include "launcher/status.h"
#include "launcher/settings.h"
#include "launcher/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_line[] = "usage: holdfast [-v] [--] COMMAND [ARG...]\n";

enum mode { MODE_RUN, MODE_EXPLAIN, MODE_CHECK, MODE_ENV, MODE_ENV_OFF };

struct options {
    enum mode mode;
    bool filtered; /* by a policy under which the library cannot work */
    bool verbose;
    bool asked; /* for that, by -v */
    const char *report; /* of MODE_EXPLAIN: a file; NULL: stderr */
    char **command;
};

static _Noreturn void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    exit(0);
}

static _Noreturn void show_help(void)
{
    printf("%s       holdfast --explain[=FILE] [--] COMMAND [ARG...]\n"
           "       holdfast --check [-v] [--] COMMAND\n"
           "       holdfast --env [--off]\n"
           "       holdfast --status[=json|=openmetrics]\n"
           "       holdfast --help | --version\n\n"
           "Runs COMMAND so that the one-shot HTTP/1.x connections that it opens share kept ones.\n\n"
           "  -v     says why not, if COMMAND's file shows that they cannot, and which variables\n"
           "         HOLDFAST_... are no settings\n"
           "  --explain\n"
           "         tells on stderr, or in FILE, when COMMAND has ended: which connections it and what\n"
           "         it started made, and why no more of them were reused\n"
           "  --check\n"
           "         says, without running it, whether the library can be loaded into COMMAND (exit status\n"
           "         0, else 1), and which socket calls it makes; with -v, also where\n"
           "  --env  prints what a shell has to set for all that it starts: eval \"$(holdfast --env)\";\n"
           "         with --off, what undoes it\n"
           "  --status  what lies idle, and what was counted: among the processes under one holdfast, if it\n"
           "         is run there, else in the user's broker\n\n"
           "Settings, from the environment:\n",
           usage_line);
    settings_show();
    printf("\nExit status: 125 if holdfast itself fails, 126 if COMMAND cannot be executed, 127 if it is\n"
           "not found, otherwise that of COMMAND.\n");
    finish_output();
}

static _Noreturn void show_version(void)
{
    printf("holdfast %s\n", HOLDFAST_VERSION);
    finish_output();
}

static _Noreturn void refuse_usage(const char *problem, const char *word)
{
    fprintf(stderr, "holdfast: %s%s\n%s", problem, word, usage_line);
    exit(FAIL_OURS);
}

/* False: none of our options. */
static bool parse_option(const char *option, struct options *options)
{
    if (strcmp(option, "--help") == 0)
        show_help();
    if (strcmp(option, "--version") == 0)
        show_version();
    if (strcmp(option, "--status") == 0)
        status_show("");
    if (strncmp(option, "--status=", strlen("--status=")) == 0)
        status_show(option + strlen("--status="));
    if (strcmp(option, "-v") == 0)
        options->verbose = options->asked = true;
    else if (strncmp(option, "--explain", 9) == 0 && (!option[9] || (option[9] == '=' && option[10]))) {
        options->mode = MODE_EXPLAIN;
        options->report = option[9] ? option + 10 : NULL;
    }
    else if (strcmp(option, "--check") == 0)
        options->mode = MODE_CHECK;
    else if (strcmp(option, "--env") == 0)
        options->mode = MODE_ENV;
    else if (strcmp(option, "--off") == 0 && options->mode == MODE_ENV)
        options->mode = MODE_ENV_OFF;
    else
        return false;
    return true;
}

static void parse_options(char **argv, struct options *options)
{
    while (*++argv && **argv == '-') {
        if (strcmp(*argv, "--") == 0) {
            argv++;
            break;
        }
        if (!parse_option(*argv, options))
            refuse_usage("unknown option ", *argv);
    }
    bool wanted = options->mode != MODE_ENV && options->mode != MODE_ENV_OFF;
    if (wanted && !*argv)
        refuse_usage("no command given", "");
    if (!wanted && *argv)
        refuse_usage("no command is wanted here: ", *argv);
    options->command = argv;
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

static void preload(const char *command, bool verbose, struct chosen *chosen)
{
    enum preload_small small;
    struct look *look = &chosen->look;
    char *entry = look_for(command, chosen, &small);

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
    bool usable = check_print(options->command[0], &chosen.look, chosen.library, options->asked);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    return usable ? 0 : 1;
}

static void print_env(const struct options *options)
{
    struct config config;

    if (options->mode == MODE_ENV_OFF) {
        env_print_off();
        return;
    }
    bool on = settings_load(&config);
    if (options->verbose)
        settings_point_out();
    if (on) {
        settings_make_absolute();
        settings_load(&config); /* it borrows from the environment */
    }
    env_print_on(on ? &config : NULL);
}

/* A filter of system calls leaves no room for the library, nor for what we start. */
static bool filtered(const struct options *options)
{
    if (!options->filtered)
        return false;
    if (options->verbose && options->mode == MODE_RUN)
        fprintf(stderr, "holdfast: a filter of system calls (seccomp) is in force that the library cannot work under: "
                        "connections will not be reused\n");
    preload_remove();
    return true;
}

/* False: HOLDFAST=0, or nothing can be done. */
static bool prepare(const struct options *options, struct chosen *chosen)
{
    struct config config;

    if (!settings_load(&config))
        return false;
    if (options->verbose)
        settings_point_out();
    if (filtered(options))
        return false;
    settings_make_absolute();
    preload(options->command[0], options->verbose && options->mode == MODE_RUN, chosen);
    if (config.share != CONFIG_SHARE_OFF)
        tree_prepare(config.share, chosen->look.path);
    return true;
}

static int execute(char **command)
{
    execvp(command[0], command);
    int error = errno;
    fprintf(stderr, "holdfast: %s: %s\n", command[0], strerror(error));
    return error == ENOENT ? FAIL_NOT_FOUND : FAIL_CANNOT_EXECUTE;
}

int main(int argc, char **argv)
{
    struct options options = { .mode = MODE_RUN, .filtered = policy_filters() && !policy_allows() };
    struct chosen chosen = { .library = NULL };

    if (argc == 0)
        refuse_usage("no command given", "");
    options.verbose = !options.filtered && isatty(STDERR_FILENO); /* it may kill for ioctl */
    parse_options(argv, &options);
    if (options.mode == MODE_ENV || options.mode == MODE_ENV_OFF) {
        print_env(&options);
        finish_output();
    }
    if (options.mode == MODE_CHECK)
        return check(&options);
    bool on = prepare(&options, &chosen);
    if (options.mode == MODE_EXPLAIN) {
        explain_prepare(options.report);
        explain_run(execute, options.command, on ? &chosen.look : NULL, chosen.library);
    }
    return execute(options.command);
}
