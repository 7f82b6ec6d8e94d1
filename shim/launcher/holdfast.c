/* holdfast: runs a command with libholdfast.so preloaded.  Checks here what the library, which must
 * keep quiet, could only ignore. */
#include "base/config.h"
#include "base/version.h"
#include "launcher/fail.h"
#include "launcher/look.h"
#include "launcher/preload.h"
#include "launcher/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_line[] = "usage: holdfast [-v] [--] COMMAND [ARG...]\n";

static _Noreturn void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    exit(0);
}

static _Noreturn void show_help(void)
{
    printf("%s       holdfast --help | --version\n\n"
           "Runs COMMAND so that the one-shot HTTP/1.x connections that it opens share kept ones.\n\n"
           "  -v  says why not, if COMMAND's file shows that they cannot\n\n"
           "Settings, from the environment:\n",
           usage_line);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        printf("  %s\n      %s\n      %s (default: %s)\n", setting->name, setting->meaning, setting->shape,
               *setting->fallback ? setting->fallback : "none");
    }
    printf("\nExit status: 125 if holdfast itself fails, 126 if COMMAND cannot be executed, 127 if it is\n"
           "not found, otherwise that of COMMAND.\n");
    finish_output();
}

static _Noreturn void refuse_usage(const char *problem, const char *word)
{
    fprintf(stderr, "holdfast: %s%s\n%s", problem, word, usage_line);
    exit(FAIL_OURS);
}

/* Returns the index of COMMAND. */
static int parse_options(int argc, char **argv, bool *verbose)
{
    int i;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0)
            show_help();
        if (strcmp(argv[i], "--version") == 0) {
            printf("holdfast %s\n", HOLDFAST_VERSION);
            finish_output();
        }
        if (strcmp(argv[i], "-v") != 0)
            refuse_usage("unknown option ", argv[i]);
        *verbose = true;
    }
    if (i >= argc)
        refuse_usage("no command given", "");
    return i;
}

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    fprintf(stderr, "holdfast: %s=%s: expected %s\n", setting->name, value, setting->shape);
}

/* Whether to preload.  HOLDFAST=0 is the way out of everything: nothing else is looked at then. */
static bool check_settings(struct config *config)
{
    config_load(config, getenv, NULL, NULL);
    if (!config->enabled)
        return false;
    if (config_load(config, getenv, complain, NULL) > 0)
        exit(FAIL_OURS);
    return true;
}

/* The command may change its directory, and so may its children. */
static void make_absolute(const char *name)
{
    const char *path = getenv(name);
    char cwd[PATH_MAX], *absolute;

    if (!path || !*path || *path == '/')
        return;
    if (!getcwd(cwd, sizeof(cwd)))
        fail(name, "a relative path, and the current directory cannot be found");
    absolute = fail_or_format("%s%s%s", cwd, strcmp(cwd, "/") == 0 ? "" : "/", path);
    fail_or_set(name, absolute);
    free(absolute);
}

static void explain(const struct look *look)
{
    if (*look->interpreter)
        fprintf(stderr, "holdfast: %s: its interpreter %s: %s: its connections will not be reused\n",
                look->path, look->interpreter, look->reason);
    else
        fprintf(stderr, "holdfast: %s: %s: its connections will not be reused\n", look->path, look->reason);
}

static void preload(const char *command, bool verbose)
{
    enum preload_small small;
    char *library = preload_find_library(), *entry = preload_entry(library, &small);
    struct look look;

    preload_announce();
    look_at_command(command, library, &look);
    if (look.effect == LOOK_FOREIGN && small == PRELOAD_SMALL_SERVED)
        look.reason = NULL;
    if (look.reason && verbose)
        explain(&look);
    if (look.effect == LOOK_DISTURBS || (look.effect == LOOK_FOREIGN && small == PRELOAD_SMALL_DISTURBED))
        preload_remove();
    else
        preload_add(entry);
    free(entry);
    free(library);
}

int main(int argc, char **argv)
{
    bool verbose = isatty(STDERR_FILENO);
    int command = parse_options(argc, argv, &verbose);
    struct config config;
    int error;

    if (check_settings(&config)) {
        make_absolute("HOLDFAST_LOG");
        make_absolute("HOLDFAST_STATS");
        preload(argv[command], verbose);
        if (config.share != CONFIG_SHARE_OFF)
            tree_prepare();
    }
    execvp(argv[command], argv + command);
    error = errno;
    fprintf(stderr, "holdfast: %s: %s\n", argv[command], strerror(error));
    return error == ENOENT ? FAIL_NOT_FOUND : FAIL_CANNOT_EXECUTE;
}
