/* The tables are those of the generic ABI and of GNU's hash section (DT_GNU_HASH): four words (buckets, index of
 * the first symbol, words of the filter, shift), the filter, the buckets, the chains. */
#define _GNU_SOURCE
#include "preload/lookup.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
    bool behind, sound;
} loaded;

/* Most loaders leave addresses in the dynamic section, some offsets. */
static const void *address(const struct dl_phdr_info *info, uintptr_t value)
{
    return (const void *)(value < info->dlpi_addr ? info->dlpi_addr + value : value);
}

static void read_dynamic(const struct dl_phdr_info *info, const ElfW(Dyn) *entry, struct object *object)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *at = address(info, entry->d_un.d_ptr);

        if (entry->d_tag == DT_SYMTAB)
            object->symbols = at;
        else if (entry->d_tag == DT_STRTAB)
            object->strings = at;
        else if (entry->d_tag == DT_VERSYM)
            object->versions = at;
        else if (entry->d_tag == DT_GNU_HASH)
            object->hash = at;
    }
}

/* In which segment this function lies tells which object this is. */
static bool is_this(const struct dl_phdr_info *info)
{
    ElfW(Addr) here = (ElfW(Addr))&lookup_begin;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && here - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

static int note(struct dl_phdr_info *info, size_t size, void *unused)
{
    struct object object = { .base = info->dlpi_addr };

    (void)size, (void)unused;
    if (!loaded.behind) {
        loaded.behind = is_this(info);
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            read_dynamic(info, (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), &object);
    if (!object.symbols || !object.strings || !object.hash || loaded.count == OBJECTS_MOST) {
        loaded.sound = false;
        return 1;
    }
    loaded.objects[loaded.count++] = object;
    return 0;
}

void lookup_begin(void)
{
    loaded.count = 0;
    loaded.behind = false;
    loaded.sound = true;
    dl_iterate_phdr(note, NULL);
    loaded.sound &= loaded.behind;
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
