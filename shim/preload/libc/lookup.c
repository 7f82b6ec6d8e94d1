/* SPDX-License-Identifier: ISC */
/* The tables are those of the generic ABI and of GNU's hash section (DT_GNU_HASH): four words (buckets, index of
 * the first symbol, words of the filter, shift), the filter, the buckets, the chains. */
#define _GNU_SOURCE
#include "preload/libc/lookup.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

enum { OBJECTS_MOST = 64, HIDDEN_VERSION = 0x8000 };

struct object {
    ElfW(Addr) base;
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Half) *versions; /* NULL: none */
    const uint32_t *hash;
};

/* `sound` as long as every object behind this one can be read like that. */
static struct {
    struct object objects[OBJECTS_MOST];
    unsigned count;
    bool sound;
} loaded;

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden"))); /* this object's */

/* Most loaders leave addresses in the dynamic section, some offsets. */
static const void *address(ElfW(Addr) base, uintptr_t value)
{
    return (const void *)(value < base ? base + value : value);
}

static struct object read_dynamic(const struct link_map *map)
{
    struct object object = { .base = map->l_addr };

    for (const ElfW(Dyn) *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++) {
        const void *at = address(map->l_addr, entry->d_un.d_ptr);

        if (entry->d_tag == DT_SYMTAB)
            object.symbols = at;
        else if (entry->d_tag == DT_STRTAB)
            object.strings = at;
        else if (entry->d_tag == DT_VERSYM)
            object.versions = at;
        else if (entry->d_tag == DT_GNU_HASH)
            object.hash = at;
    }
    return object;
}

/* The program's own; NULL: the kernel has started the loader, which was told to load the program. */
static const ElfW(Dyn) *program_dynamic(void)
{
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)getauxval(AT_PHDR), *dynamic = NULL;
    const ElfW(Addr) table = (ElfW(Addr))part;
    ElfW(Addr) base = 0;

    for (unsigned long left = part ? getauxval(AT_PHNUM) : 0; left; left--, part++) {
        if (part->p_type == PT_PHDR)
            base = table - part->p_vaddr;
        else if (part->p_type == PT_DYNAMIC)
            dynamic = part;
    }
    return dynamic ? (const ElfW(Dyn) *)(base + dynamic->p_vaddr) : NULL;
}

/* The loader's list, which it leaves there for debuggers.  Not dl_iterate_phdr: that may be another preloaded
 * library's (fakechroot's crashes in its own chroot), and no such library is to be asked while ours starts. */
static const struct link_map *first_object(void)
{
    const ElfW(Dyn) *entry = program_dynamic();

    while (entry && entry->d_tag != DT_NULL && entry->d_tag != DT_DEBUG)
        entry++;
    const struct r_debug *debug = entry && entry->d_tag == DT_DEBUG ? (const void *)entry->d_un.d_ptr : NULL;
    return debug ? debug->r_map : NULL;
}

static bool note(const struct link_map *map)
{
    struct object object = read_dynamic(map);

    if (!object.symbols || !object.strings || !object.hash || loaded.count == OBJECTS_MOST)
        return false;
    loaded.objects[loaded.count++] = object;
    return true;
}

void lookup_begin(void)
{
    const struct link_map *map = first_object();

    while (map && map->l_ld != _DYNAMIC)
        map = map->l_next;
    loaded.count = 0;
    loaded.sound = map != NULL;
    while (loaded.sound && (map = map->l_next))
        loaded.sound = note(map);
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* The index of the first symbol that may have this hash, 0: none has. */
static uint32_t chain_start(const struct object *object, uint32_t hash)
{
    enum { BITS = 8 * sizeof(ElfW(Addr)) };
    const uint32_t buckets = object->hash[0], words = object->hash[2], shift = object->hash[3];
    const ElfW(Addr) *filter = (const ElfW(Addr) *)(const void *)(object->hash + 4);
    ElfW(Addr) word = filter[hash / BITS % words];

    if (!(word >> hash % BITS & word >> (hash >> shift) % BITS & 1))
        return 0;
    return ((const uint32_t *)(const void *)(filter + words))[hash % buckets];
}

enum answer { ABSENT, FOUND, ODD };

/* A default version (one that is not hidden) of a function that is not chosen at run time. */
static enum answer judge(const struct object *object, uint32_t index, void **found)
{
    const ElfW(Sym) *symbol = &object->symbols[index];

    if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0)
        return ABSENT;
    if ((object->versions && object->versions[index] & HIDDEN_VERSION) || (symbol->st_info & 15) != STT_FUNC)
        return ODD;
    *found = (void *)(object->base + symbol->st_value);
    return FOUND;
}

static enum answer search(const struct object *object, const char *name, uint32_t hash, void **found)
{
    const uint32_t *words = object->hash, first = words[1];
    const uint32_t *chains = words + 4 + words[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t)) + words[0];
    enum answer result = ABSENT;
    uint32_t index = chain_start(object, hash);

    if (index < first || index == 0)
        return ABSENT;
    for (;; index++) {
        uint32_t its = chains[index - first];
        if ((its | 1) == (hash | 1) && strcmp(object->strings + object->symbols[index].st_name, name) == 0) {
            enum answer one = judge(object, index, found);
            if (one == FOUND)
                return FOUND;
            result = one == ODD ? ODD : result;
        }
        if (its & 1)
            return result;
    }
}

void *lookup_next(const char *name)
{
    uint32_t hash = hash_of(name);
    void *found = NULL;

    for (unsigned i = 0; loaded.sound && i < loaded.count; i++) {
        enum answer answer = search(&loaded.objects[i], name, hash, &found);
        if (answer != ABSENT)
            return answer == FOUND ? found : NULL;
    }
    return NULL;
}
