/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/check.h"

#include "launcher/closure.h"
#include "launcher/fail.h"
#include "launcher/image_part.h"
#include "launcher/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct call {
    const char *name, *remark;
    bool replaced;  /* by our library */
    bool called, by_current;
} calls[] = {
#define CALL(name, remark) { name, remark, false, false, false },
#include "launcher/calls.def"
#undef CALL
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* Libraries that say what a program speaks; the first that a name begins with. */
static const struct tongue {
    const char *file, *what;
} tongues[] = {
    { "libssl.so.3", "OpenSSL 3: https stays direct, unless HOLDFAST_TLS=reuse" },
    { "libssl.so", "OpenSSL: https stays direct" },
    { "libgnutls.so", "GnuTLS: https stays direct" },
    { "libssl3.so", "NSS: https stays direct" },
    { "libmbedtls.so", "mbed TLS: https stays direct" },
    { "libwolfssl.so", "wolfSSL: https stays direct" },
    { "libnghttp2.so", "HTTP/2, where it is spoken, stays direct" },
    { "libngtcp2.so", "HTTP/3, where it is spoken, stays direct" },
    { "liburing.so", "io_uring: a program that makes a ring has its sockets left alone" },
};

static bool loads_later; /* dlopen */

static struct call *find_call(const char *name)
{
    for (int i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

static void note_replaced(void *arg, const char *name)
{
    struct call *call = find_call(name);

    (void)arg;
    if (call)
        call->replaced = true;
}

static void note_called(void *arg, const char *name)
{
    struct call *call = find_call(name);

    (void)arg;
    if (call)
        call->called = call->by_current = true;
    loads_later = loads_later || strcmp(name, "dlopen") == 0;
}

static void each_symbol(const char *path, bool defined, void (*each)(void *arg, const char *name))
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

    if (fd < 0)
        return;
    image_each_symbol(fd, defined, each, NULL);
    close(fd);
}

static bool is_seen(const struct call *call)
{
    return call->called && call->replaced;
}

static bool is_unseen(const struct call *call)
{
    return call->called && !call->replaced;
}

static bool is_by_current(const struct call *call)
{
    return call->by_current;
}

/* "read write" */
static char *names_of(bool (*wanted)(const struct call *))
{
    char *names = fail_or_format("%s", "");

    for (int i = 0; i < CALLS; i++) {
        if (!wanted(&calls[i]))
            continue;
        char *more = fail_or_format("%s%s%s", names, *names ? " " : "", calls[i].name);
        free(names);
        names = more;
    }
    return names;
}

static void print_names(const char *first, bool (*wanted)(const struct call *), int indent)
{
    char *names = names_of(wanted);

    if (*names)
        text_wrap(stdout, first, names, indent);
    free(names);
}

static void look_through(const struct closure_object *object, bool verbose)
{
    for (int i = 0; i < CALLS; i++)
        calls[i].by_current = false;
    if (!object->of_libc)
        each_symbol(object->path, false, note_called);
    if (!verbose || object->parent < 0)
        return;
    printf("  %s: %s\n", object->name, object->path ? object->path : "not found");
    print_names("      ", is_by_current, 6);
}

static void print_missing(const struct closure *closure)
{
    for (int i = 1; i < closure->count; i++)
        if (!closure->objects[i].path)
            printf("%s is not found, which %s wants: it may not start at all\n", closure->objects[i].name,
                   closure->objects[closure->objects[i].parent].name);
}

static void print_calls(const struct closure *closure, const char *path)
{
    char *seen = names_of(is_seen);

    if (!find_call("connect")->called && !find_call("socket")->called)
        printf("%s makes no connections itself, as far as can be seen from its file.\n", path);
    printf("Socket calls, its own and those of %d libraries:\n", closure->count - 1);
    text_wrap(stdout, "  followed: ", *seen ? seen : "none", 12);
    for (int i = 0; i < CALLS; i++)
        if (is_unseen(&calls[i]))
            printf("  not followed: %s (%s)\n", calls[i].name,
                   *calls[i].remark ? calls[i].remark : "not in this library");
    free(seen);
}

static void print_tongues(const struct closure *closure)
{
    for (int i = 1; i < closure->count; i++)
        for (size_t k = 0; k < sizeof(tongues) / sizeof(tongues[0]); k++)
            if (strncmp(closure->objects[i].name, tongues[k].file, strlen(tongues[k].file)) == 0) {
                printf("It is linked to %s (%s).\n", closure->objects[i].name, tongues[k].what);
                break;
            }
}

static void print_program(const char *path, bool verbose)
{
    static struct closure closure;

    closure_init(&closure, path);
    if (closure.image.class == 0 || !closure.image.dynamic) { /* another class: nothing more is known */
        printf("Its socket calls cannot be looked at.\n");
        closure_fini(&closure);
        return;
    }
    if (verbose)
        printf("Loaded with it, and the socket calls of each:\n");
    for (int i = 0; i < closure.count; i++)
        look_through(&closure.objects[i], verbose);
    print_missing(&closure);
    print_calls(&closure, path);
    print_tongues(&closure);
    closure_fini(&closure);
}

/* What a run would meet, and files do not show. */
static void print_unseen(char *const *command, const struct look *look)
{
    if (command[1])
        printf("Not looked at: its arguments.  If they name another program to run, check that one.\n");
    if (*look->interpreter)
        printf("Not looked at: what the script says, and the programs that it starts.  Check each of them by its name, "
               "or run the script with --explain.\n");
    else if (loads_later)
        printf("Not looked at: what it loads while it runs (dlopen): plugins, modules of an interpreter.\n");
}

static bool print_verdict(char *const *command, const struct look *look, const char *library, bool verbose)
{
    const char *program = *look->interpreter ? look->interpreter : look->path;

    if (!*look->path) {
        printf("%s: not found\n", command[0]);
        return false;
    }
    if (*look->interpreter)
        printf("%s: run by %s\n", look->path, look->interpreter);
    if (access(program, F_OK) != 0) {
        printf("%s: not found\n", program);
        return false;
    }
    if (look->reason) {
        printf("%s: %s: holdfast cannot be used\n", program, look->reason);
        return false;
    }
    printf("%s: holdfast can be used\n", program);
    each_symbol(library, true, note_replaced);
    print_program(program, verbose);
    return true;
}

bool check_print(char *const *command, const struct look *look, const char *library, bool verbose)
{
    bool usable = print_verdict(command, look, library, verbose);

    if (usable)
        print_unseen(command, look);
    return usable;
}
