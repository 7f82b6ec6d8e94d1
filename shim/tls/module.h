/* SPDX-License-Identifier: ISC */
/* module: the objects that the loader has mapped, and the functions that they ask others for (elf(5), dl_iterate_phdr(3)). */
#ifndef HOLDFAST_TLS_MODULE_H
#define HOLDFAST_TLS_MODULE_H

#include <stdbool.h>
#include <stddef.h>

struct module_count {
    unsigned copies;          /* of the library of this name */
    unsigned others;          /* other versions of it */
    const char *path;         /* of the last copy, the loader's text */
    unsigned long long added; /* how many modules were ever loaded */
};

/* `name`: "libssl.so.3". */
void module_count(const char *name, struct module_count *count);

/* In each module that asks for functions of `library`, those that hooks.h has are put in the place of the library's.  False:
 * one asks for a function that hooks.h does not know, or in a way that cannot be followed, or gets it from somebody who has
 * put himself in the library's place: then nothing of it was changed.  So with one that asks for such functions, and does not
 * say of whom. */
bool module_replace_all(const char *library);

#endif
