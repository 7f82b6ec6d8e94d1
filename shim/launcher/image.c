/* SPDX-License-Identifier: ISC */
#include "launcher/image.h"

#include "launcher/image_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* By a loader's name: ld-musl-x86_64.so.1; ld-linux-x86-64.so.2, ld64.so.2, ld.so.1. */
static enum image_libc libc_of_loader(const char *path)
{
    const char *name = base_name(path);

    if (starts(name, "ld-musl-") || starts(name, "libc.musl-") || strcmp(name, "libc.so") == 0)
        return IMAGE_MUSL;
    if (starts(name, "ld-linux") || starts(name, "ld64.so") || starts(name, "ld.so"))
        return IMAGE_GLIBC;
    return IMAGE_OTHER_LIBC;
}

struct search {
    bool (*wanted)(const char *);
    char *found;
};

static bool take_wanted(void *arg, const char *text)
{
    struct search *search = arg;

    if ((search->wanted && !search->wanted(text)) || strlen(text) >= PATH_MAX)
        return true;
    memcpy(search->found, text, strlen(text) + 1);
    return !*text;
}

/* The string of the first entry with this tag that is taken by `wanted`, which may be NULL; "" if none. */
static void find_dynamic(int fd, int64_t tag, bool (*wanted)(const char *), char found[PATH_MAX])
{
    struct search search = { wanted, found };

    found[0] = '\0';
    image_each_dynamic(fd, tag, take_wanted, &search);
}

static bool is_libc(const char *needed)
{
    return starts(needed, "libc.");
}

int image_library_libc(int fd, enum image_libc *libc)
{
    char needed[PATH_MAX];

    find_dynamic(fd, DT_NEEDED, is_libc, needed);
    if (!*needed)
        return -ENOEXEC;
    *libc = starts(needed, "libc.so.") ? IMAGE_GLIBC : IMAGE_MUSL;
    return 0;
}

static bool has_go_sections(int fd, const image_header *elf)
{
    image_section section;

    return image_section_find(fd, elf, ".note.go.buildid", &section) ||
           image_section_find(fd, elf, ".go.buildinfo", &section);
}

static bool read_interpreter(int fd, const image_segment *segment, struct image *image)
{
    size_t len = segment->p_filesz;

    if (len == 0 || len > sizeof(image->interpreter) ||
        !image_read(fd, image->interpreter, len, segment->p_offset) || image->interpreter[len - 1] != '\0') {
        image->interpreter[0] = '\0';
        return false;
    }
    return true;
}

/* Without an interpreter it is a program that relocates itself (static-pie), or it is a dynamic loader,
 * and that has a name by which programs ask for it. */
static void look_at_lone(int fd, struct image *image)
{
    char name[PATH_MAX];

    find_dynamic(fd, DT_SONAME, NULL, name);
    image->dynamic = *name != '\0';
    image->libc = libc_of_loader(name);
}

static void look_at_segments(int fd, const image_header *elf, struct image *image)
{
    image_segment *all;
    void *table = NULL;
    unsigned count = 0;
    bool relocates = false;

    if (elf->e_phentsize == sizeof(*all))
        count = image_read_table(fd, elf->e_phoff, sizeof(*all), elf->e_phnum, &table);
    all = table;
    for (unsigned i = 0; i < count && !image->dynamic; i++) {
        relocates = relocates || all[i].p_type == PT_DYNAMIC;
        image->dynamic = all[i].p_type == PT_INTERP && read_interpreter(fd, &all[i], image);
    }
    free(all);
    if (image->dynamic)
        image->libc = libc_of_loader(image->interpreter);
    else if (relocates && count == elf->e_phnum)
        look_at_lone(fd, image);
}

void image_look(int fd, struct image *image)
{
    image_header elf;

    memset(image, 0, sizeof(*image));
    /* Both classes agree up to e_machine, and the header of the smaller is 52 bytes. */
    memset(&elf, 0, sizeof(elf));
    if (!image_read(fd, &elf, sizeof(Elf32_Ehdr), 0) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
        return;
    image->class = elf.e_ident[EI_CLASS];
    image->machine = elf.e_machine;
    if (image->class != IMAGE_CLASS || !image_read(fd, &elf, sizeof(elf), 0))
        return;
    look_at_segments(fd, &elf, image);
    image->go = has_go_sections(fd, &elf);
}

bool image_version(int fd, char version[VERSION_SIZE])
{
    image_header elf;
    image_section section;
    struct version_note note;

    if (!image_read(fd, &elf, sizeof(elf), 0) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
        elf.e_ident[EI_CLASS] != IMAGE_CLASS || !image_section_find(fd, &elf, VERSION_SECTION, &section) ||
        section.sh_size != sizeof(note) || !image_read(fd, &note, sizeof(note), section.sh_offset))
        return false;
    memcpy(version, note.version, VERSION_SIZE);
    version[VERSION_SIZE - 1] = '\0';
    return true;
}
