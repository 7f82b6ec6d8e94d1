/* SPDX-License-Identifier: ISC */
/* image_part: reading pieces of an ELF file of our own class, shared by image*.c. */
#ifndef HOLDFAST_LAUNCHER_IMAGE_PART_H
#define HOLDFAST_LAUNCHER_IMAGE_PART_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __SIZEOF_POINTER__ == 8
enum { IMAGE_CLASS = ELFCLASS64 };
typedef Elf64_Ehdr image_header;
typedef Elf64_Phdr image_segment;
typedef Elf64_Shdr image_section;
typedef Elf64_Dyn image_entry;
typedef Elf64_Sym image_symbol;
#else
enum { IMAGE_CLASS = ELFCLASS32 };
typedef Elf32_Ehdr image_header;
typedef Elf32_Phdr image_segment;
typedef Elf32_Shdr image_section;
typedef Elf32_Dyn image_entry;
typedef Elf32_Sym image_symbol;
#endif

/* A section's bytes with a NUL behind them; free() the bytes.  bytes is NULL if there is none. */
struct image_part {
    char *bytes;
    size_t len;
    image_section header;
};

/* True if all of `len` bytes at `offset` were read. */
bool image_read(int fd, void *buf, size_t len, uint64_t offset);

/* Reads `count` records of `size` bytes each by one call.  Returns how many there are; free(*table). */
unsigned image_read_table(int fd, uint64_t offset, size_t size, unsigned count, void **table);

/* The section whose header this is, if it is of a size that one can believe. */
struct image_part image_part_load(int fd, const image_section *header);

/* The section of this name.  False if there is none. */
bool image_section_find(int fd, const image_header *elf, const char *name, image_section *section);

/* Calls `each` for every symbol that other objects are to have (`defined`: that they may use). */
void image_each_symbol(int fd, bool defined, void (*each)(void *arg, const char *name), void *arg);

/* The first section of this type (SHT_DYNAMIC, SHT_DYNSYM), and the string table that it is linked to. */
bool image_part_find(int fd, unsigned type, struct image_part *table, struct image_part *strings);

/* Calls `each` for the string of every entry of the dynamic section with this tag, until it says false. */
void image_each_dynamic(int fd, int64_t tag, bool (*each)(void *arg, const char *text), void *arg);

/* The string at `offset`, or "". */
const char *image_string(const struct image_part *strings, uint64_t offset);

#endif
