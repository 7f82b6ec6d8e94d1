/* SPDX-License-Identifier: ISC */
/* Before main, after it, and in libraries that come and go. */
#define _GNU_SOURCE
#include "surface.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool last_wanted;
static struct talk open_talk;
static bool has_open;

static void finish(void)
{
    if (has_open)
        talk_end(&open_talk);
    talk_whole(2);
}

static void keep_open(struct talk *t)
{
    has_open = t->fd >= 0;
    open_talk = *t;
}

void op_at_exit(struct talk *t)
{
    keep_open(t);
    said("atexit", atexit(finish));
}

void op_at_quick_exit(struct talk *t)
{
    keep_open(t);
    said("at_quick_exit", at_quick_exit(finish));
    talk_whole(1);
    quick_exit(5);
}

void op_destructor(struct talk *t)
{
    keep_open(t);
    last_wanted = true;
}

__attribute__((destructor)) static void last(void)
{
    if (last_wanted)
        finish();
}

static void *reads_on(void *argument)
{
    talk_reach(argument, STATE_ENDED);
    sleep_ms(1000);
    return NULL;
}

/* exit() while another thread is inside. */
void op_exit_thread(struct talk *t)
{
    pthread_t thread;

    if (t->state == STATE_MIDDLE) {
        struct talk *next = malloc(sizeof *next);
        talk_end(t);
        run.slow = true;
        talk_init(next);
        run.slow = false;
        talk_reach(next, STATE_SENT);
        pthread_create(&thread, NULL, reads_on, next);
    }
    sleep_ms(30);
    exit(6);
}

/* Before any library's constructor has run. */
static void before_all(int argc, char **argv, char **env)
{
    if (argc > 2 && strcmp(argv[2], "preinit") == 0)
        library_requests(atoi(argv[1]), 400, 3);
}

__attribute__((section(".preinit_array"), used)) static void (*const before)(int, char **,
                                                                             char **) = before_all;

void op_preinit(struct talk *unused)
{
    talk_whole(1);
}

typedef void requests_function(int port, int seed, int n);

/* The library's path is the first of the arguments. */
static void *open_library(int flags)
{
    void *library = dlopen(run.arguments[0] ? run.arguments[0] : "", flags);
    void (*requests)(int, int, int);

    if (!library) {
        say("dlopen: %s", dlerror());
        _exit(92);
    }
    *(void **)&requests = dlsym(library, "library_requests");
    requests(run.port, 500, 3);
    return library;
}

static void closing(struct talk *t, void *library)
{
    said("dlclose", dlclose(library));
    if (t->fd >= 0)
        talk_end(t);
}

void op_library(struct talk *t)
{
    closing(t, open_library(RTLD_NOW | RTLD_LOCAL));
}

void op_library_deepbind(struct talk *t)
{
    closing(t, open_library(RTLD_NOW | RTLD_DEEPBIND));
}

void op_library_again(struct talk *t)
{
    for (int i = 0; i < 4; i++)
        said("dlclose", dlclose(open_library(i % 2 ? RTLD_NOW | RTLD_DEEPBIND : RTLD_LAZY)));
    if (t->fd >= 0)
        talk_end(t);
}
