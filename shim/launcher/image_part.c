/* SPDX-License-Identifier: ISC */
#include "launcher/image_part.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTION_MAX = 64 << 20 };

bool image_read(int fd, void *buf, size_t len, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

unsigned image_read_table(int fd, uint64_t offset, size_t size, unsigned count, void **table)
{
    ssize_t got = -1;

    *table = malloc(size * count + 1);
    if (*table && offset <= INT64_MAX)
        got = pread(fd, *table, size * count, (off_t)offset);
    return got < 0 ? 0 : (unsigned)((size_t)got / size);
}

/* All section headers; free() them. */
static unsigned load_sections(int fd, const image_header *elf, image_section **all)
{
    void *table = NULL;
    unsigned count = 0;

    if (elf->e_shentsize == sizeof(**all))
        count = image_read_table(fd, elf->e_shoff, sizeof(**all), elf->e_shnum, &table);
    *all = table;
    return count;
}

struct image_part image_part_load(int fd, const image_section *header)
{
    struct image_part part = { .header = *header };

    if (header->sh_type == SHT_NOBITS || header->sh_size > SECTION_MAX)
        return part;
    part.len = header->sh_size;
    part.bytes = malloc(part.len + 1);
    if (!part.bytes)
        return part;
    if (!image_read(fd, part.bytes, part.len, header->sh_offset)) {
        free(part.bytes);
        part.bytes = NULL;
        return part;
    }
    part.bytes[part.len] = '\0';
    return part;
}

bool image_section_find(int fd, const image_header *elf, const char *name, image_section *section)
{
    image_section *all;
    unsigned count = load_sections(fd, elf, &all);
    struct image_part names = { .bytes = NULL };
    bool found = false;

    if (elf->e_shstrndx < count)
        names = image_part_load(fd, &all[elf->e_shstrndx]);
    for (unsigned i = 0; names.bytes && !found && i < count; i++) {
        *section = all[i];
        found = strcmp(image_string(&names, section->sh_name), name) == 0;
    }
    free(names.bytes);
    free(all);
    return found;
}

bool image_part_find(int fd, unsigned type, struct image_part *table, struct image_part *strings)
{
    image_header elf;
    image_section *all = NULL;
    unsigned count = image_read(fd, &elf, sizeof(elf), 0) ? load_sections(fd, &elf, &all) : 0, i = 0;

    *table = *strings = (struct image_part){ .bytes = NULL };
    while (i < count && all[i].sh_type != type)
        i++;
    if (i < count && all[i].sh_link < count) {
        *table = image_part_load(fd, &all[i]);
        *strings = image_part_load(fd, &all[all[i].sh_link]);
    }
    free(all);
    if (table->bytes && strings->bytes)
        return true;
    free(table->bytes);
    free(strings->bytes);
    return false;
}

void image_each_dynamic(int fd, int64_t tag, bool (*each)(void *arg, const char *text), void *arg)
{
    struct image_part table, strings;
    image_entry entry;
    bool on = true;

    if (!image_part_find(fd, SHT_DYNAMIC, &table, &strings))
        return;
    for (size_t at = 0; at + sizeof(entry) <= table.len && on; at += sizeof(entry)) {
        memcpy(&entry, table.bytes + at, sizeof(entry));
        if (entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == tag)
            on = each(arg, image_string(&strings, entry.d_un.d_val));
    }
    free(table.bytes);
    free(strings.bytes);
}

const char *image_string(const struct image_part *strings, uint64_t offset)
{
    return offset < strings->len ? strings->bytes + offset : "";
}
