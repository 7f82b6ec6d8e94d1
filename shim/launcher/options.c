/* SPDX-License-Identifier: ISC */
#include "launcher/options.h"

#include "launcher/fail.h"
#include "launcher/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_line[] = "usage: holdfast [-v] [--] COMMAND [ARG...]\n";

static const char help[] =
    "       holdfast --explain[=FILE] [-v] [--] COMMAND [ARG...]\n"
    "       holdfast --check [-v] [--] COMMAND [ARG...]\n"
    "       holdfast --env[=sh|fish|systemd] [-v] [--off]\n"
    "       holdfast --status[=PID | =[PID,]json|openmetrics|prometheus] [--watch[=SECONDS]]\n"
    "       holdfast --help | --version\n\n"
    "Runs COMMAND with persistent HTTP/1.x connections.\n\n"
    "  -v     warn if holdfast cannot work in COMMAND (static, Go, setuid), and about unknown\n"
    "         HOLDFAST_ variables; the default where standard error is a terminal\n"
    "  --explain\n"
    "         when COMMAND has ended, report on stderr, or in FILE, which connections COMMAND and the\n"
    "         programs that it started made, and why no more of them were reused\n"
    "  --check\n"
    "         without running COMMAND, say whether holdfast can work in COMMAND (exit status 0, else 1),\n"
    "         and which socket calls COMMAND makes; with -v, also in which library\n"
    "  --env  print what switches holdfast on for a shell and all that the shell starts:\n"
    "         eval \"$(holdfast --env)\", or holdfast --env=fish | source; for a service, print a drop-in\n"
    "         for its unit: --env=systemd\n"
    "  --off  with --env: print what switches holdfast off again\n"
    "  --status\n"
    "         idle connections and counts: of process PID and those that share connections with it; without\n"
    "         PID, inside `holdfast COMMAND`, of the processes of that command; elsewhere of your broker\n"
    "  --watch\n"
    "         with --status: show them again every second, or every SECONDS, until the processes have exited\n"
    "  -h, --help\n"
    "         this text\n"
    "  -V, --version\n"
    "         the version\n\n"
    "A link to holdfast that is named as a program, in a folder of PATH, runs the program of that name that\n"
    "comes later in PATH: see holdfast(1).\n\n"
    "Settings, from the environment:\n";

/* The options that choose a mode. */
static const struct choice {
    const char *name;
    enum options_mode mode;
    bool valued;  /* NAME=VALUE as well */
    bool command; /* a command is wanted */
    bool verbose; /* -v means something */
} choices[] = {
    { "--explain", OPTIONS_EXPLAIN, true, true, true },
    { "--check", OPTIONS_CHECK, false, true, true },
    { "--env", OPTIONS_ENV, true, false, true },
    { "--status", OPTIONS_STATUS, true, false, false },
    { "--help", OPTIONS_HELP, false, false, false },
    { "-h", OPTIONS_HELP, false, false, false },
    { "--version", OPTIONS_VERSION, false, false, false },
    { "-V", OPTIONS_VERSION, false, false, false },
};

static const struct choice plain_run = { "", OPTIONS_RUN, false, true, true };

static _Noreturn void refuse(const char *first, const char *problem, const char *second)
{
    fprintf(stderr, "holdfast: %s%s%s\n%s", first, problem, second, usage_line);
    exit(FAIL_OURS);
}

void options_refuse_value(const char *option, const char *value, const char *shape)
{
    char *problem = fail_or_format("%s=%s: expected ", option, value);

    refuse(problem, "", shape);
}

/* An option whose value may be left out does not take an empty one. */
static const struct choice *find_choice(const char *word)
{
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        size_t len = strlen(choices[i].name);

        if (strncmp(word, choices[i].name, len) != 0)
            continue;
        if (!word[len] || (choices[i].valued && word[len] == '=' && word[len + 1]))
            return &choices[i];
    }
    return NULL;
}

/* "--watch" or "--watch=SECONDS". */
static bool parse_watch(const char *word, struct options *options)
{
    enum { MOST_S = 86400 };
    static const char name[] = "--watch";
    const char *value = word + sizeof name - 1;
    char *end;

    if (strncmp(word, name, sizeof name - 1) != 0 || (*value && *value != '='))
        return false;
    options->every_s = *value ? strtod(value + 1, &end) : 1;
    if (*value && (value[1] < '0' || value[1] > '9' || *end || options->every_s < 0.1 || options->every_s > MOST_S))
        options_refuse_value(name, value + 1, "a number of seconds, from 0.1 to 86400");
    return true;
}

/* The options that go with a mode. */
static bool parse_companion(const char *word, struct options *options)
{
    if (strcmp(word, "-v") == 0)
        options->verbose = true;
    else if (strcmp(word, "--off") == 0)
        options->off = true;
    else
        return parse_watch(word, options);
    return true;
}

static void parse_choice(const char *word, struct options *options, const struct choice **choice)
{
    const struct choice *found = find_choice(word);
    const char *equals = strchr(word, '=');

    if (!found)
        refuse("unknown option ", "", word);
    if (*choice != &plain_run)
        refuse((*choice)->name, " cannot be combined with ", word);
    *choice = found;
    options->value = equals ? equals + 1 : NULL;
}

void options_parse(char **argv, struct options *options)
{
    const struct choice *choice = &plain_run;

    *options = (struct options){ .mode = OPTIONS_RUN };
    while (*argv && *++argv && **argv == '-') {
        if (strcmp(*argv, "--") == 0) {
            argv++;
            break;
        }
        if (!parse_companion(*argv, options))
            parse_choice(*argv, options, &choice);
    }
    if (options->off && choice->mode != OPTIONS_ENV)
        refuse("--off", " needs ", "--env");
    if (options->every_s > 0 && choice->mode != OPTIONS_STATUS)
        refuse("--watch", " needs ", "--status");
    if (options->verbose && !choice->verbose)
        refuse(choice->name, " cannot be combined with ", "-v");
    if (choice->command && !*argv)
        refuse("no command given", "", "");
    if (!choice->command && *argv)
        refuse(choice->name, " takes no command: ", *argv);
    options->mode = choice->mode;
    options->command = argv;
}

void options_show_help(void)
{
    printf("%s%s", usage_line, help);
    settings_show();
    printf("\nExit status: 125 if holdfast itself fails, 126 if COMMAND cannot be executed, 127 if COMMAND is\n"
           "not found, otherwise that of COMMAND.\n");
}
