/* SPDX-License-Identifier: ISC */
/* Which symbols a library asks for, and whether a libc has them. */
#include "launcher/image.h"

#include "launcher/image_part.h"

#include <stdlib.h>
#include <string.h>

struct symbols {
    struct image_part table, strings;
};

static bool load(int fd, struct symbols *symbols)
{
    return image_part_find(fd, SHT_DYNSYM, &symbols->table, &symbols->strings);
}

static void unload(struct symbols *symbols)
{
    free(symbols->table.bytes);
    free(symbols->strings.bytes);
}

/* Binding and type are packed alike in both classes. */
static unsigned binding(const image_symbol *symbol)
{
    return ELF64_ST_BIND(symbol->st_info);
}

static bool next(const struct symbols *symbols, size_t *at, image_symbol *symbol)
{
    if (*at + sizeof(*symbol) > symbols->table.len)
        return false;
    memcpy(symbol, symbols->table.bytes + *at, sizeof(*symbol));
    *at += sizeof(*symbol);
    return true;
}

static bool defines(const struct symbols *symbols, const char *name)
{
    image_symbol symbol;

    for (size_t at = 0; next(symbols, &at, &symbol);)
        if (symbol.st_shndx != SHN_UNDEF && binding(&symbol) != STB_LOCAL &&
            strcmp(image_string(&symbols->strings, symbol.st_name), name) == 0)
            return true;
    return false;
}

void image_each_symbol(int fd, bool defined, void (*each)(void *arg, const char *name), void *arg)
{
    struct symbols symbols;
    image_symbol symbol;

    if (!load(fd, &symbols))
        return;
    for (size_t at = 0; next(&symbols, &at, &symbol);)
        if (binding(&symbol) != STB_LOCAL && (symbol.st_shndx != SHN_UNDEF) == defined)
            each(arg, image_string(&symbols.strings, symbol.st_name));
    unload(&symbols);
}

bool image_provides(int provider, int library)
{
    struct symbols ours, theirs;
    image_symbol symbol;
    bool all = true;

    if (!load(library, &ours))
        return false;
    if (!load(provider, &theirs)) {
        unload(&ours);
        return false;
    }
    for (size_t at = 0; all && next(&ours, &at, &symbol);)
        if (symbol.st_shndx == SHN_UNDEF && binding(&symbol) == STB_GLOBAL)
            all = defines(&theirs, image_string(&ours.strings, symbol.st_name));
    unload(&theirs);
    unload(&ours);
    return all;
}
