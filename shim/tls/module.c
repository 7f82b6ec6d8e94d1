/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "tls/module.h"

#include "tls/hooks.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of x86-64 and aarch64: the place of a function that is called, of one that is called by its address, and of an address in
 * data.  Elsewhere none is known, and nothing is replaced. */
#if defined(__x86_64__) && defined(__LP64__)
enum { PLACE_CALLED = R_X86_64_JUMP_SLOT, PLACE_ADDRESS = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__) && defined(__LP64__)
enum { PLACE_CALLED = R_AARCH64_JUMP_SLOT, PLACE_ADDRESS = R_AARCH64_GLOB_DAT };
#else
enum { PLACE_CALLED = -1, PLACE_ADDRESS = -1 };
#endif

struct module {
    uintptr_t base, from, to; /* from, to: what it occupies */
    const char *names;
    const ElfW(Sym) *symbols;
    const ElfW(Rela) *lists[2];
    size_t counts[2];
    uintptr_t relro_from, relro_to;
    const ElfW(Dyn) *dynamic;
};

static uintptr_t page(void)
{
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

/* glibc has made addresses of them, musl has not. */
static const void *address_of(const struct dl_phdr_info *info, uintptr_t value)
{
    return (const void *)(value < info->dlpi_addr ? info->dlpi_addr + value : value);
}

static bool read_module(const struct dl_phdr_info *info, struct module *m)
{
    *m = (struct module){ .base = info->dlpi_addr };
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD) {
            m->from = m->from && m->from < from ? m->from : from;
            m->to = m->to > from + part->p_memsz ? m->to : from + part->p_memsz;
        }
        if (part->p_type == PT_DYNAMIC)
            m->dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + part->p_vaddr); /* NOLINT(performance-no-int-to-ptr) */
        if (part->p_type == PT_GNU_RELRO) {
            m->relro_from = from;
            m->relro_to = (from + part->p_memsz) & ~(page() - 1); /* as the loader seals it */
        }
    }
    for (const ElfW(Dyn) *d = m->dynamic; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB)
            m->names = address_of(info, d->d_un.d_ptr);
        else if (d->d_tag == DT_SYMTAB)
            m->symbols = address_of(info, d->d_un.d_ptr);
        else if (d->d_tag == DT_JMPREL)
            m->lists[0] = address_of(info, d->d_un.d_ptr);
        else if (d->d_tag == DT_PLTRELSZ)
            m->counts[0] = d->d_un.d_val / sizeof(ElfW(Rela));
        else if (d->d_tag == DT_RELA)
            m->lists[1] = address_of(info, d->d_un.d_ptr);
        else if (d->d_tag == DT_RELASZ)
            m->counts[1] = d->d_un.d_val / sizeof(ElfW(Rela));
    }
    return m->dynamic && m->names && m->symbols;
}

/* The name that others find it by; NULL: none, as of most programs. */
static const char *name_of(const struct module *m)
{
    for (const ElfW(Dyn) *d = m->dynamic; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_SONAME)
            return m->names + d->d_un.d_val;
    return NULL;
}

static bool needs(const struct module *m, const char *prefix)
{
    for (const ElfW(Dyn) *d = m->dynamic; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_NEEDED && strncmp(m->names + d->d_un.d_val, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

struct counting {
    const char *name;
    struct module_count *count;
};

static int count_one(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct counting *c = arg;
    struct module m;

    c->count->added = info->dlpi_adds;
    if (!read_module(info, &m))
        return 0;
    const char *name = name_of(&m);
    if (!name || strncmp(name, "libssl.so", 9) != 0)
        return 0;
    if (strcmp(name, c->name) == 0) {
        c->count->copies++;
        c->count->path = info->dlpi_name;
    } else {
        c->count->others++;
    }
    return 0;
}

void module_count(const char *name, struct module_count *count)
{
    struct counting c = { name, count };

    *count = (struct module_count){ .path = NULL };
    dl_iterate_phdr(count_one, &c);
}

/* One place that a function of the library is asked for in.  False: it cannot be followed. */
typedef bool place_function(const struct module *m, uintptr_t *place, unsigned type, hook_function hook);

/* The program, the library whose functions are asked for, and this one. */
static struct module program, server, own;

static bool each_place(const struct module *m, place_function *what)
{
    for (int list = 0; list < 2; list++) {
        for (size_t i = 0; i < m->counts[list] && m->lists[list]; i++) {
            const ElfW(Rela) *r = &m->lists[list][i];
            const ElfW(Sym) *symbol = &m->symbols[ELF64_R_SYM(r->r_info)];
            const char *name = m->names + symbol->st_name;
            hook_function hook = NULL;
            if (ELF64_R_SYM(r->r_info) == 0 || symbol->st_shndx != SHN_UNDEF ||
                (strncmp(name, "SSL_", 4) != 0 && strncmp(name, "BIO_", 4) != 0))
                continue;
            bool known = hooks_find(name, &hook);
            if (!known && *name == 'B') /* libcrypto's */
                continue;
            /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
            if (!known || (hook && !what(m, (uintptr_t *)(m->base + r->r_offset), (unsigned)ELF64_R_TYPE(r->r_info), hook)))
                return false;
        }
    }
    return true;
}

static bool lies_in(uintptr_t address, const struct module *m)
{
    return address >= m->from && address < m->to;
}

/* It leads to the library, or to where the loader resolves it at the first call, or to us already. */
static bool is_good_place(const struct module *m, uintptr_t *place, unsigned type, hook_function hook)
{
    uintptr_t now = __atomic_load_n(place, __ATOMIC_RELAXED);

    return ((int)type == PLACE_CALLED || (int)type == PLACE_ADDRESS) &&
           (lies_in(now, &own) || lies_in(now, &server) || lies_in(now, m) || lies_in(now, &program));
}

static bool is_no_place(const struct module *m, uintptr_t *place, unsigned type, hook_function hook)
{
    return false;
}

/* Written in one piece: another thread may be calling. */
static bool put(const struct module *m, uintptr_t *place, unsigned type, hook_function hook)
{
    const uintptr_t size = page(), at = (uintptr_t)place & ~(size - 1);
    bool sealed = (uintptr_t)place >= m->relro_from && (uintptr_t)place < m->relro_to;

    if (__atomic_load_n(place, __ATOMIC_RELAXED) == (uintptr_t)hook)
        return true;
    if (sealed && mprotect((void *)at, size, PROT_READ | PROT_WRITE) != 0) /* NOLINT(performance-no-int-to-ptr) */
        return false;
    __atomic_store_n(place, (uintptr_t)hook, __ATOMIC_RELEASE);
    if (sealed)
        mprotect((void *)at, size, PROT_READ); /* NOLINT(performance-no-int-to-ptr) */
    return true;
}

static int find_both(struct dl_phdr_info *info, size_t size, void *library)
{
    struct module m;
    bool read = read_module(info, &m);
    const char *name = read ? name_of(&m) : NULL;

    if (!program.to)
        program = m;
    if (name && strcmp(name, library) == 0)
        server = m;
    if (read && lies_in((uintptr_t)find_both, &m))
        own = m;
    return 0;
}

static int replace_one(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct module m;
    const char *library = arg;

    if (!read_module(info, &m) || m.base == own.base || m.base == server.base)
        return 0;
    if (!needs(&m, library)) /* of libssl1.1, or another's libssl-0123.so: not ours; else its own, or whoever's */
        return needs(&m, "libssl") || each_place(&m, is_no_place) ? 0 : 1;
    return each_place(&m, is_good_place) && each_place(&m, put) ? 0 : 1;
}

bool module_replace_all(const char *library)
{
    void *name = (void *)(uintptr_t)library;

    if ((int)PLACE_CALLED < 0)
        return false;
    program.to = 0;
    dl_iterate_phdr(find_both, name);
    return dl_iterate_phdr(replace_one, name) == 0;
}
