#include "launcher/image_part.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTION_MAX = 64 << 20 };

bool image_read(int fd, void *buf, size_t len, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

bool image_read_section(int fd, const image_header *elf, unsigned index, image_section *section)
{
    if (index >= elf->e_shnum || elf->e_shentsize != sizeof(*section))
        return false;
    return image_read(fd, section, sizeof(*section), elf->e_shoff + (uint64_t)index * sizeof(*section));
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
    image_section header;
    struct image_part names;
    bool found = false;

    if (!image_read_section(fd, elf, elf->e_shstrndx, &header))
        return false;
    names = image_part_load(fd, &header);
    if (!names.bytes)
        return false;
    for (unsigned i = 0; !found && image_read_section(fd, elf, i, section); i++)
        found = strcmp(image_string(&names, section->sh_name), name) == 0;
    free(names.bytes);
    return found;
}

static bool load_both(int fd, const image_header *elf, const image_section *section, struct image_part *table,
                      struct image_part *strings)
{
    image_section linked;

    if (!image_read_section(fd, elf, section->sh_link, &linked))
        return false;
    *table = image_part_load(fd, section);
    *strings = image_part_load(fd, &linked);
    if (table->bytes && strings->bytes)
        return true;
    free(table->bytes);
    free(strings->bytes);
    return false;
}

bool image_part_find(int fd, unsigned type, struct image_part *table, struct image_part *strings)
{
    image_header elf;
    image_section section;

    if (!image_read(fd, &elf, sizeof(elf), 0))
        return false;
    for (unsigned i = 0; image_read_section(fd, &elf, i, &section); i++)
        if (section.sh_type == type)
            return load_both(fd, &elf, &section, table, strings);
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
