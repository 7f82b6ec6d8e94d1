/* SPDX-License-Identifier: ISC */
/* holdfastd: the broker (pool/broker.h).  Runs in the foreground, until a signal ends it or nobody has had
 * a use for it for a while. */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, IDLE_EXIT_MOST_S = 86400 };

static const char usage[] = "usage: holdfastd [--idle-exit=SECONDS] [--log=FILE]\n"
                            "       holdfastd --help | --version\n";

static const char help[] =
    "\n"
    "Keeps idle connections for all processes of this user, in this network namespace, that run with\n"
    "HOLDFAST_SHARE=user.  holdfast starts one where there is none; this is for service managers, which it\n"
    "tells when it is ready (NOTIFY_SOCKET), and which may hand it its socket (LISTEN_FDS).\n"
    "\n"
    "  --idle-exit=SECONDS  exit after this many seconds without use (default: never)\n"
    "  --log=FILE           appends to FILE instead of writing to standard error\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "Settings, from the environment: HOLDFAST_MAX_PER_ENDPOINT, XDG_RUNTIME_DIR.\n"
    "\n"
    "SIGHUP makes it forget what is known of servers; SIGTERM and SIGINT close what is idle and end it.  Exit\n"
    "status: 0 after those or when it was idle, 1 if it cannot do its work, or another one does, 2 for a wrong usage.\n";

static _Noreturn void refuse_usage(void)
{
    fputs(usage, stderr);
    exit(EXIT_USAGE);
}

static unsigned parse_seconds(const char *text)
{
    char *end;
    errno = 0;
    unsigned long seconds = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || errno || seconds < 1 || seconds > IDLE_EXIT_MOST_S) {
        fprintf(stderr, "holdfastd: --idle-exit=%s: expected seconds, 1 to %d\n", text, IDLE_EXIT_MOST_S);
        exit(EXIT_USAGE);
    }
    return (unsigned)seconds;
}

static _Noreturn void tell(const char *text, const char *more)
{
    fputs(text, stdout);
    fputs(more, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void parse_options(struct options *options, int argc, char **argv)
{
    enum { IDLE_EXIT, LOG, TAKEN_OVER };
    static const struct option known[] = {
        { "idle-exit", required_argument, NULL, IDLE_EXIT },
        { "log", required_argument, NULL, LOG },
        { "taken-over", no_argument, NULL, TAKEN_OVER }, /* from a launcher */
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { 0 },
    };

    for (int c; (c = getopt_long(argc, argv, "hV", known, NULL)) != -1;)
        switch (c) {
        case IDLE_EXIT:
            options->idle_exit_s = parse_seconds(optarg);
            break;
        case LOG:
            options->log = optarg;
            break;
        case TAKEN_OVER:
            options->taken_over = true;
            break;
        case 'h':
            tell(usage, help);
        case 'V':
            tell("holdfastd " HOLDFAST_VERSION "\n", "");
        default:
            refuse_usage();
        }
    if (optind != argc) {
        fprintf(stderr, "holdfastd: takes no arguments: %s\n", argv[optind]);
        refuse_usage();
    }
}

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    (void)arg;
    fprintf(stderr, "holdfastd: %s=%s: expected %s\n", setting->name, value, setting->shape);
}

/* A launcher has checked its own, and must not be told. */
static void read_settings(struct options *options)
{
    struct config config;

    if (config_load(&config, getenv, options->taken_over ? NULL : complain, NULL) > 0 && !options->taken_over)
        exit(EXIT_USAGE);
    options->max_per_endpoint = config.max_per_endpoint;
}

/* Without a wait for somebody to read a FIFO, at the start or later. */
static void open_log(const struct options *options)
{
    int fd = STDERR_FILENO;

    if (options->log)
        fd = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0 && !options->taken_over) {
        fprintf(stderr, "holdfastd: %s: %s\n", options->log, strerror(errno));
        exit(1);
    }
    log_start(fd, write, "holdfastd");
}


static void end(struct broker *b)
{
    notify("STOPPING=1");
    board_leave_alone(b->tree.board, 0, UINT64_MAX);
    start_undo(b);
    hoard_close(&b->hoard);
    sweep_drain(b);
    lines_close(b);
}

int main(int argc, char **argv)
{
    static struct broker b;

    parse_options(&b.options, argc, argv);
    read_settings(&b.options);
    open_log(&b.options);
    if (!start(&b))
        return 1;
    log_printf("holdfastd " HOLDFAST_VERSION " is ready");
    notify("READY=1");
    loop(&b);
    end(&b);
    return 0;
}
