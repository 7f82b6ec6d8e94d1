/* SPDX-License-Identifier: ISC */
/* delay-wire: two network namespaces with a wire between them that takes its time.
 *
 * Each namespace has a TUN device, `wire`.  A thread a direction reads a packet at one end, keeps it for
 * half the round trip, and writes it at the other: in order, none lost, each as large as the MTU
 * allows, so that whatever is sent costs a round trip where it would on a real network, handshakes
 * included.  The threads run at real-time priority: a loaded machine must not make the wire longer.
 *
 * The namespaces have no name and go with the last process in them; nothing is left behind.  This
 * process itself stays at the server's end, so /proc/PID/net is what the kernel knows of that end.
 *
 *   delay_wire.c        options, the two commands, what is printed
 *   delay_wire_net.c    namespaces, devices and addresses
 *   delay_wire_carry.c  the threads that carry packets */
#define _GNU_SOURCE
#include "delay_wire.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_MS = 10000, TERM_MS = 2000 };

static const char help[] =
    "usage: delay-wire [--rtt MS] [--mtu BYTES] [--counts FILE] [--server COMMAND] [--] [COMMAND...]\n"
    "Runs COMMAND at one end of a wire with a round trip of MS (20; 0.5 is fine, too), and the server, a\n"
    "command for sh, at the other.  COMMAND starts when the server listens; when it has ended, the server\n"
    "is ended, and the exit status is COMMAND's.  Both find in their environment\n"
    "  WIRE_CLIENT, WIRE_SERVER          the addresses (" CLIENT_ADDRESS ", " SERVER_ADDRESS ")\n"
    "  WIRE_CLIENT_NET, WIRE_SERVER_NET  files for nsenter --net=FILE\n"
    "  WIRE_PID                          /proc/WIRE_PID/net/dev counts packets at the server's end\n"
    "Without COMMAND it prints these, a line each, and holds the wire until its standard input ends.\n"
    "--counts: append a line to FILE at the end: packets and bytes each way.\n"
    "Needs root; exit status 77 where there can be no wire.\n";

static struct {
    double rtt_ms;
    int mtu;
    const char *counts;
    char *server;
} options = { .rtt_ms = 20, .mtu = 1500 };

static pid_t server;

void fail(int status, const char *format, ...)
{
    int error = errno;
    va_list values;

    fputs("delay-wire: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, error != 0 ? ": %s\n" : "\n", strerror(error));
    exit(status);
}

static bool parse_options(int argc, char **argv)
{
    static const struct option longs[] = {
        { "rtt", required_argument, NULL, 'r' },    { "mtu", required_argument, NULL, 'm' },
        { "counts", required_argument, NULL, 'c' }, { "server", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    char nothing[] = "", *end = nothing;
    int letter;

    while (*end == '\0' && (letter = getopt_long(argc, argv, "+", longs, NULL)) != -1)
        switch (letter) {
        case 'r':
            options.rtt_ms = strtod(optarg, &end);
            if (strcmp(end, "ms") == 0)
                end = nothing;
            break;
        case 'm':
            options.mtu = (int)strtol(optarg, &end, 10);
            break;
        case 'c':
            options.counts = optarg;
            break;
        case 's':
            options.server = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            return false;
        }
    return *end == '\0' && options.rtt_ms >= 0 && options.rtt_ms <= 60000 && options.mtu >= 68 &&
           options.mtu <= MTU_MAX;
}

static void tell_environment(const struct end *client, const struct end *at_server)
{
    char text[64];

    setenv("WIRE_CLIENT", CLIENT_ADDRESS, 1);
    setenv("WIRE_SERVER", SERVER_ADDRESS, 1);
    snprintf(text, sizeof(text), "/proc/%d/fd/%d", (int)getpid(), client->net);
    setenv("WIRE_CLIENT_NET", text, 1);
    snprintf(text, sizeof(text), "/proc/%d/fd/%d", (int)getpid(), at_server->net);
    setenv("WIRE_SERVER_NET", text, 1);
    snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("WIRE_PID", text, 1);
}

static pid_t start(const struct end *end, char **command, bool own_group)
{
    sigset_t none;
    pid_t parent = getpid(), child = fork();

    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    if (own_group)
        setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (setns(end->net, CLONE_NEWNET) == 0)
        execvp(command[0], command);
    fprintf(stderr, "delay-wire: %s: %s\n", command[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static void sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

static bool ends_within(pid_t child, int ms)
{
    for (; ms > 0; ms -= 10) {
        if (waitpid(child, NULL, WNOHANG) != 0)
            return true;
        sleep_ms(10);
    }
    return false;
}

static void end_server(void)
{
    if (server <= 0)
        return;
    kill(-server, SIGTERM);
    if (!ends_within(server, TERM_MS))
        kill(-server, SIGKILL);
}

static void start_server(const struct end *end)
{
    char shell[] = "sh", option[] = "-c", *command[] = { shell, option, options.server, NULL };

    if (options.server == NULL)
        return;
    server = start(end, command, true);
    if (server < 0)
        fail(1, "fork");
    setpgid(server, server); /* whoever comes first */
    atexit(end_server);
    for (int ms = 0; !net_listens(); ms += 10) {
        errno = 0;
        if (waitpid(server, NULL, WNOHANG) != 0) {
            server = 0;
            fail(1, "the server ended before it listened");
        }
        if (ms >= LISTEN_MS)
            fail(1, "the server does not listen");
        sleep_ms(10);
    }
}

/* The status that a shell would give, after the one child, or 128 + the signal that ends us. */
static int wait_for(pid_t child, const sigset_t *signals)
{
    int status, number;

    for (;;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        number = sigwaitinfo(signals, NULL);
        if (number > 0 && number != SIGCHLD) {
            kill(child, number);
            if (!ends_within(child, TERM_MS))
                kill(child, SIGKILL);
            return 128 + number;
        }
    }
}

static void hold(void)
{
    static const char *const names[] = { "WIRE_CLIENT", "WIRE_SERVER", "WIRE_CLIENT_NET", "WIRE_SERVER_NET",
                                         "WIRE_PID" };
    char sink[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        printf("%s=%s\n", names[i], getenv(names[i]));
    fflush(stdout);
    while (read(STDIN_FILENO, sink, sizeof(sink)) > 0)
        ;
}

static void write_counts(const struct way *up, const struct way *down)
{
    FILE *to = options.counts == NULL ? NULL : fopen(options.counts, "ae");

    if (to == NULL)
        return;
    fprintf(to, "{\"to_server\": %" PRIu64 ", \"to_client\": %" PRIu64 ", \"bytes_to_server\": %" PRIu64
                ", \"bytes_to_client\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"late_us\": %" PRIu64 "}\n",
            up->packets, down->packets, up->bytes, down->bytes, up->lost + down->lost,
            (up->late_ns > down->late_ns ? up->late_ns : down->late_ns) / 1000);
    fclose(to);
}

int main(int argc, char **argv)
{
    struct end client, at_server;
    static struct way up, down; /* used until the end of the process */
    sigset_t signals;
    int status = 0;
    pid_t child;

    if (!parse_options(argc, argv)) {
        fputs(help, stderr);
        return 2;
    }
    net_end(&client, CLIENT_ADDRESS, options.mtu);
    net_end(&at_server, SERVER_ADDRESS, options.mtu); /* the last: we stay there */
    tell_environment(&client, &at_server);
    if (argv[optind] != NULL) { /* before the threads, which inherit it */
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
    }
    carry(&up, client.tun, at_server.tun, options.rtt_ms / 2);
    carry(&down, at_server.tun, client.tun, options.rtt_ms / 2);
    start_server(&at_server);
    if (argv[optind] == NULL) {
        hold();
    } else {
        child = start(&client, argv + optind, false);
        if (child < 0)
            fail(1, "fork");
        status = wait_for(child, &signals);
    }
    write_counts(&up, &down);
    return status;
}
