/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/lend.h"

#include "base/block.h"
#include "preload/self/self.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever had threads may have none any more; nobody but this one could begin another. */
static bool is_only_thread(void)
{
    enum { ONE_THREAD = 3 }; /* links: the folder's own two, and one a thread (proc(5)) */
    struct stat tasks;
    int saved = errno;
    bool only = stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == ONE_THREAD;

    errno = saved;
    return only;
}

bool lend_can_add(void)
{
    return self_alone() || is_only_thread();
}

static bool has(char *const *env, const char *entry)
{
    for (; *env; env++)
        if (*env == entry)
            return true;
    return false;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = block_get(len + 1, NULL);

    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* The caller's texts are copied, too: it may leave by longjmp, and `environ` stays as it is then. */
static void make_array(struct lend *lend, char *const *wanted)
{
    size_t n = 0;

    while (wanted[n])
        n++;
    lend->made = block_get((n + 1) * sizeof *wanted, &lend->cap);
    if (!lend->made)
        return;
    for (size_t i = 0; i < n; i++) {
        char *copy = has(lend->own, wanted[i]) ? NULL : copy_text(wanted[i], strlen(wanted[i]));
        lend->made[i] = copy ? copy : wanted[i];
    }
    lend->made[n] = NULL;
    environ = lend->made;
}

/* Another thread may be reading a text for as long as it likes: it is kept, for the next time. */
static char *lasting(const char *text, size_t len)
{
    static char *_Atomic last;
    char *kept = atomic_load(&last);

    if (kept && strncmp(kept, text, len) == 0 && kept[len] == '\0')
        return kept;
    kept = copy_text(text, len);
    if (kept)
        atomic_store(&last, kept);
    return kept;
}

static void set_slot(char **slot, char *entry)
{
    __atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

static const char *find_named(char *const *env, const char *entry, size_t name)
{
    for (; *env; env++)
        if (strncmp(*env, entry, name) == 0)
            return *env;
    return NULL;
}

/* The first entry that is to be another one; one that is to go becomes empty. */
static void replace_entry(struct lend *lend, char *const *wanted)
{
    char **slot = lend->own;

    while (*slot && has(wanted, *slot))
        slot++;
    if (!*slot)
        return;
    size_t name = strcspn(*slot, "=") + 1;
    const char *other = find_named(wanted, *slot, name);
    lend->entry = *slot;
    lend->text = other ? lasting(other, strlen(other)) : lasting(*slot, name);
    if (lend->text)
        set_slot(slot, lend->text);
}

void lend_begin(struct lend *lend, char *const *wanted)
{
    *lend = (struct lend){ .own = environ };
    if (wanted == lend->own || !lend->own)
        return;
    if (lend_can_add())
        make_array(lend, wanted);
    else
        replace_entry(lend, wanted);
}

static void drop_array(const struct lend *lend)
{
    if (environ != lend->made)
        return; /* setenv has made another one of it */
    environ = lend->own;
    for (char **entry = lend->made; *entry; entry++)
        if (!has(lend->own, *entry))
            block_put(*entry, strlen(*entry) + 1);
    block_put(lend->made, lend->cap);
}

void lend_end(const struct lend *lend)
{
    if (lend->made)
        drop_array(lend);
    for (char **slot = environ; lend->text && slot && *slot; slot++)
        if (*slot == lend->text)
            set_slot(slot, lend->entry);
}
