/* SPDX-License-Identifier: ISC */
/* What the server saw: connections and requests counted, the log (a line a request) and the record
 * (the bytes of each request as they were received). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "origin.h"

enum { LISTED = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_file, *record_file;
static unsigned long next_number, accepted, served, most;
static unsigned long per_connection[LISTED]; /* requests of connection first + i */
static unsigned long first = 1;

static int open_for(const char *path, FILE **file)
{
    if (path == NULL)
        return 0;
    *file = fopen(path, "ae");
    if (*file == NULL)
        perror(path);
    return *file == NULL ? -1 : 0;
}

int book_open(void)
{
    if (open_for(options.log_path, &log_file) < 0)
        return -1;
    return open_for(options.record_path, &record_file);
}

unsigned long book_accepted(void)
{
    unsigned long number;

    pthread_mutex_lock(&lock);
    number = ++next_number;
    accepted++;
    pthread_mutex_unlock(&lock);
    return number;
}

void book_forget(struct conn *c)
{
    pthread_mutex_lock(&lock);
    if (c->requests == 1 && c->number >= first)
        accepted--;
    pthread_mutex_unlock(&lock);
}

void book_request(const struct conn *c, const struct request *r)
{
    pthread_mutex_lock(&lock);
    served++;
    if (c->number >= first && c->number - first < LISTED)
        per_connection[c->number - first]++;
    if (c->requests > most)
        most = c->requests;
    if (log_file != NULL) {
        fprintf(log_file, "%lu %lu %s%s %s HTTP/1.%d\n", c->number, c->requests, r->bad ? "BAD " : "",
                r->method, r->target, r->minor);
        fflush(log_file);
    }
    pthread_mutex_unlock(&lock);
}

void book_crossed(const struct conn *c, const struct request *r)
{
    if (log_file == NULL)
        return;
    pthread_mutex_lock(&lock);
    fprintf(log_file, "crossed %lu %lu %s %s\n", c->number, c->requests, r->method, r->target);
    fflush(log_file);
    pthread_mutex_unlock(&lock);
}

void book_record(const struct conn *c, const struct request *r)
{
    if (record_file == NULL)
        return;
    pthread_mutex_lock(&lock);
    fprintf(record_file, "== connection %lu request %lu head %zu bytes %zu\n", c->number, c->requests,
            r->head_len, r->raw_len);
    fwrite(r->raw, 1, r->raw_len, record_file);
    fputc('\n', record_file);
    fflush(record_file);
    pthread_mutex_unlock(&lock);
}

static void list_connections(FILE *to)
{
    const char *comma = "";

    for (unsigned long i = 0; i < LISTED && first + i <= next_number; i++) {
        if (per_connection[i] == 0)
            continue;
        fprintf(to, "%s\"%lu\": %lu", comma, first + i, per_connection[i]);
        comma = ", ";
    }
}

char *book_stats(bool reset)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL)
        abort();
    pthread_mutex_lock(&lock);
    fprintf(to, "{\"connections\": %lu, \"requests\": %lu, \"most\": %lu, \"per_connection\": {", accepted,
            served, most);
    list_connections(to);
    fprintf(to, "}}\n");
    if (reset) {
        accepted = served = most = 0;
        first = next_number + 1;
        memset(per_connection, 0, sizeof(per_connection));
    }
    pthread_mutex_unlock(&lock);
    fclose(to);
    return text;
}
