/* SPDX-License-Identifier: ISC */
/* cache: what ldconfig writes is read; what nobody writes does no harm. */
#include "launcher/cache.c" /* the launcher is no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ENTRIES = 4, ROOM = 4096 };

static char file[ROOM];
static size_t file_len;

static uint32_t add_string(const char *text, size_t base)
{
    uint32_t offset = (uint32_t)(file_len - base);

    memcpy(file + file_len, text, strlen(text) + 1);
    file_len += strlen(text) + 1;
    return offset;
}

/* After `before` bytes of something older: liba twice, once for a certain processor; libb twice. */
static void make_file(size_t before)
{
    static const char *const texts[ENTRIES][2] = {
        { "liba.so.1", "/hwcaps/liba.so.1" }, { "liba.so.1", "/lib/liba.so.1" },
        { "libb.so.1", "/first/libb.so.1" },  { "libb.so.1", "/second/libb.so.1" },
    };
    struct header header = { .count = ENTRIES };
    struct cache_entry entries[ENTRIES];

    memset(file, 'x', before);
    memcpy(header.magic, MAGIC, sizeof(header.magic));
    file_len = before + sizeof(header) + sizeof(entries);
    for (int i = 0; i < ENTRIES; i++)
        entries[i] = (struct cache_entry){ .name = add_string(texts[i][0], before), .path = add_string(texts[i][1], before),
                                           .hwcap = i == 0 };
    header.strings_len = (uint32_t)(file_len - before - sizeof(header) - sizeof(entries));
    memcpy(file + before, &header, sizeof(header));
    memcpy(file + before + sizeof(header), entries, sizeof(entries));
}

/* By way of a file, as in life; the bytes lie in a block of their own, so AddressSanitizer sees their end. */
static void load(struct cache *cache, size_t len, bool readable)
{
    char path[] = "/tmp/holdfast-cache-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, file, len) == (ssize_t)len);
    close(fd);
    assert_int_equal(cache_init(cache, path), readable);
    unlink(path);
}

static char taken[256];
static unsigned offered, refuse;

static bool take(void *arg, const char *path)
{
    assert_ptr_equal(arg, taken);
    snprintf(taken, sizeof(taken), "%s", path);
    return ++offered > refuse;
}

static bool find(const struct cache *cache, const char *name, unsigned refused)
{
    offered = 0;
    refuse = refused;
    taken[0] = '\0';
    return cache_find(cache, name, take, taken);
}

static void test_found(void **state)
{
    for (size_t before = 0; before <= 64; before += 4) {
        struct cache cache;

        make_file(before);
        load(&cache, file_len, true);
        assert_true(find(&cache, "liba.so.1", 0));
        assert_string_equal(taken, "/lib/liba.so.1");
        assert_true(find(&cache, "libb.so.1", 0));
        assert_string_equal(taken, "/first/libb.so.1");
        assert_true(find(&cache, "libb.so.1", 1));
        assert_string_equal(taken, "/second/libb.so.1");
        assert_false(find(&cache, "libb.so.1", 2));
        assert_false(find(&cache, "libb.so", 0));
        assert_int_equal(offered, 0);
        cache_fini(&cache);
    }
}

static void test_none(void **state)
{
    struct cache cache;

    assert_false(cache_init(&cache, "/nowhere/at/all"));
    assert_false(find(&cache, "liba.so.1", 0));
    cache_fini(&cache);
    load(&cache, 0, false);
    assert_false(find(&cache, "liba.so.1", 0));
    cache_fini(&cache);
}

static void test_cut_short(void **state)
{
    make_file(8);
    for (size_t len = 1; len < file_len; len++) {
        struct cache cache;

        load(&cache, len, true);
        find(&cache, "libb.so.1", 9);
        cache_fini(&cache);
    }
}

static void test_spoilt(void **state)
{
    static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };

    make_file(0);
    for (size_t at = 0; at < sizeof(struct header) + ENTRIES * sizeof(struct cache_entry); at++)
        for (size_t i = 0; i < sizeof(values); i++) {
            struct cache cache;
            char before = file[at];

            file[at] = (char)values[i];
            load(&cache, file_len, true);
            find(&cache, "libb.so.1", 9);
            find(&cache, "", 9);
            cache_fini(&cache);
            file[at] = before;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_spoilt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
