/* image_part: reading pieces of an ELF file of our own class, shared by image*.c. */
#ifndef HOLDFAST_LAUNCHER_IMAGE_PART_H
#define HOLDFAST_LAUNCHER_IMAGE_PART_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* A section's bytes with a NUL behind them; free() the bytes.  bytes is NULL if there is none. */
struct image_part {
    char *bytes;
    size_t len;
    ElfW(Shdr) header;
};

/* True if all of `len` bytes at `offset` were read. */
bool image_read(int fd, void *buf, size_t len, uint64_t offset);

bool image_read_section(int fd, const ElfW(Ehdr) *elf, unsigned index, ElfW(Shdr) *section);

/* The section whose header this is, if it is of a size that one can believe. */
struct image_part image_part_load(int fd, const ElfW(Shdr) *header);

/* The first section of this type (SHT_DYNAMIC, SHT_DYNSYM), and the string table that it is linked to. */
bool image_part_find(int fd, unsigned type, struct image_part *table, struct image_part *strings);

/* The string at `offset`, or "". */
const char *image_string(const struct image_part *strings, uint64_t offset);

#endif
