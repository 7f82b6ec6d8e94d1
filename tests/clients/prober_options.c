/* SPDX-License-Identifier: ISC */
/* What the command line asks for. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "prober.h"

struct settings settings = {
    .family = 4,
    .method = "GET",
    .to = "127.0.0.1",
    .spread = 1,
    .body_size = -1,
    .blocking = true,
    .read_size = 16384,
    .requests = 1,
    .concurrency = 1,
    .timeout_ms = 5000,
    .drained = DRAINED_EAGAIN,
};

static const char help[] =
    "usage: prober --port N [options] TARGET...\n"
    "  --to IPV4 (default 127.0.0.1)   --spread N (request i goes to the address + i % N)\n"
    "request:\n"
    "  --version 1.0|1.1 (1.1 says `Connection: close`, unless --keep)   --method M   --family 4|6\n"
    "  -H 'Name: value'   --host NAME ('' for none; default: none in 1.0)   --body-size N\n"
    "  --chunked-body     --send-api write|writev|send|sendto|sendmsg   --send-piece N\n"
    "  --send-delay US    --half-close (shutdown after sending)   --nodelay (before connect)\n"
    "reading:\n"
    "  --blocking (default) | --nonblocking     --wait poll|select|epoll-lt|epoll-et|epoll-oneshot\n"
    "  --register before|after (connect)        --ask so_error|connect|both|none (how connect went)\n"
    "  --read-size N  --api read|recv|recvfrom|recvmsg|readv|peek|waitall|dontwait|fionread|\n"
    "                       read_chk|recv_chk|recvfrom_chk\n"
    "  --until eof|length   --drained one|short|eagain   --trick dup|dup-before|fork|stdio\n"
    "run:\n"
    "  -n N (requests, cycling through the targets)   --concurrency N   --timeout MS   --pause MS\n"
    "  --dump (raw bytes of the responses)   --dump-body   --quiet (a summary only)   --no-after\n"
    "  --trim (what follows the end of the body does not count)\n"
    "Lines with '@' are counts, and may differ from run to run; all others are to be the same.\n"
    "Exit status: 0; 1 a request failed; 2 usage; 3 TIMEOUT, nothing came.\n";

static int choose(const char *value, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    fprintf(stderr, "prober: what is %s?\n", value);
    exit(2);
}

static const char *const waits[] = {
    "none", "poll", "select", "epoll-lt", "epoll-et", "epoll-oneshot", NULL
};
static const char *const apis[] = { "read",     "recv",         "recvfrom", "recvmsg",  "readv",
                                    "peek",     "waitall",      "dontwait", "fionread", "read_chk",
                                    "recv_chk", "recvfrom_chk", NULL };
static const char *const send_apis[] = { "write", "writev", "send", "sendto", "sendmsg", NULL };
static const char *const untils[] = { "eof", "length", NULL };
static const char *const draineds[] = { "one", "short", "eagain", NULL };
static const char *const tricks[] = { "none", "dup", "dup-before", "fork", "stdio", NULL };
static const char *const asks[] = { "so_error", "connect", "both", "none", NULL };
static const char *const registers[] = { "after", "before", NULL };
static const char *const versions[] = { "1.0", "1.1", NULL };

enum option_id {
    PORT = 256,
    TO,
    SPREAD,
    TRIM,
    FAMILY,
    VERSION,
    METHOD,
    HOST,
    BODY_SIZE,
    CHUNKED_BODY,
    KEEP,
    SEND_API,
    SEND_PIECE,
    SEND_DELAY,
    HALF_CLOSE,
    NODELAY,
    BLOCKING,
    NONBLOCKING,
    WAIT,
    REGISTER,
    ASK,
    READ_SIZE,
    API,
    UNTIL,
    DRAINED,
    TRICK,
    CONCURRENCY,
    TIMEOUT,
    PAUSE,
    DUMP,
    DUMP_BODY,
    QUIET,
    NO_AFTER,
    HELP,
};

static const struct option longs[] = {
    { "port", 1, NULL, PORT },
    { "to", 1, NULL, TO },
    { "spread", 1, NULL, SPREAD },
    { "trim", 0, NULL, TRIM },
    { "family", 1, NULL, FAMILY },
    { "version", 1, NULL, VERSION },
    { "method", 1, NULL, METHOD },
    { "host", 1, NULL, HOST },
    { "body-size", 1, NULL, BODY_SIZE },
    { "chunked-body", 0, NULL, CHUNKED_BODY },
    { "keep", 0, NULL, KEEP },
    { "send-api", 1, NULL, SEND_API },
    { "send-piece", 1, NULL, SEND_PIECE },
    { "send-delay", 1, NULL, SEND_DELAY },
    { "half-close", 0, NULL, HALF_CLOSE },
    { "nodelay", 0, NULL, NODELAY },
    { "blocking", 0, NULL, BLOCKING },
    { "nonblocking", 0, NULL, NONBLOCKING },
    { "wait", 1, NULL, WAIT },
    { "register", 1, NULL, REGISTER },
    { "ask", 1, NULL, ASK },
    { "read-size", 1, NULL, READ_SIZE },
    { "api", 1, NULL, API },
    { "until", 1, NULL, UNTIL },
    { "drained", 1, NULL, DRAINED },
    { "trick", 1, NULL, TRICK },
    { "concurrency", 1, NULL, CONCURRENCY },
    { "timeout", 1, NULL, TIMEOUT },
    { "pause", 1, NULL, PAUSE },
    { "dump", 0, NULL, DUMP },
    { "dump-body", 0, NULL, DUMP_BODY },
    { "quiet", 0, NULL, QUIET },
    { "no-after", 0, NULL, NO_AFTER },
    { "help", 0, NULL, HELP },
    { 0 },
};

static void add_field(const char *text)
{
    if (settings.field_count == (int)(sizeof(settings.fields) / sizeof(settings.fields[0])))
        exit(2);
    settings.fields[settings.field_count++] = text;
}

static void take_option(int id, char *value)
{
    struct settings *s = &settings;

    switch (id) {
    case PORT:
        s->port = atoi(value);
        break;
    case TO:
        s->to = value;
        break;
    case SPREAD:
        s->spread = atoi(value);
        break;
    case TRIM:
        s->trim = true;
        break;
    case FAMILY:
        s->family = atoi(value);
        break;
    case VERSION:
        s->minor = choose(value, versions);
        break;
    case METHOD:
        s->method = value;
        break;
    case HOST:
        s->host = value;
        break;
    case 'H':
        add_field(value);
        break;
    case BODY_SIZE:
        s->body_size = atol(value);
        break;
    case CHUNKED_BODY:
        s->chunked_body = true;
        break;
    case KEEP:
        s->keep = true;
        break;
    case SEND_API:
        s->send_api = choose(value, send_apis);
        break;
    case SEND_PIECE:
        s->send_piece = (size_t)atol(value);
        break;
    case SEND_DELAY:
        s->send_delay_us = atol(value);
        break;
    case HALF_CLOSE:
        s->half_close = true;
        break;
    case NODELAY:
        s->nodelay = true;
        break;
    case BLOCKING:
        s->blocking = true;
        break;
    case NONBLOCKING:
        s->blocking = false;
        break;
    case WAIT:
        s->wait = choose(value, waits);
        break;
    case REGISTER:
        s->register_before = choose(value, registers);
        break;
    case ASK:
        s->ask = choose(value, asks);
        break;
    case READ_SIZE:
        s->read_size = (size_t)atol(value);
        break;
    case API:
        s->read_api = choose(value, apis);
        break;
    case UNTIL:
        s->until = choose(value, untils);
        break;
    case DRAINED:
        s->drained = choose(value, draineds);
        break;
    case TRICK:
        s->trick = choose(value, tricks);
        break;
    case 'n':
        s->requests = atol(value);
        break;
    case CONCURRENCY:
        s->concurrency = atoi(value);
        break;
    case TIMEOUT:
        s->timeout_ms = atoi(value);
        break;
    case PAUSE:
        s->pause_ms = atol(value);
        break;
    case DUMP:
        s->dump = true;
        break;
    case DUMP_BODY:
        s->dump_body = true;
        break;
    case QUIET:
        s->quiet = true;
        break;
    case NO_AFTER:
        s->no_after = true;
        break;
    case HELP:
        fputs(help, stdout);
        exit(0);
    default:
        fputs(help, stderr);
        exit(2);
    }
}

void options_parse(int argc, char **argv)
{
    struct settings *s = &settings;
    int id;

    while ((id = getopt_long(argc, argv, "n:H:", longs, NULL)) != -1)
        take_option(id, optarg);
    s->targets = argv + optind;
    s->target_count = argc - optind;
    if (!s->blocking && s->wait == WAIT_NONE)
        s->wait = WAIT_POLL;
    if (s->port > 0 && s->target_count > 0 && s->read_size > 0 && s->spread > 0 && s->concurrency > 0 &&
        s->concurrency <= CONCURRENCY_MAX && (s->wait == WAIT_NONE || s->trick <= TRICK_DUP_BEFORE))
        return;
    fputs(help, stderr);
    exit(2);
}
