/* SPDX-License-Identifier: ISC */
#include "base/config.h"

#include "base/filter.h"
#include "base/list.h"

#include <stdint.h>

static bool is_one_of(const char *value, const char *const *words)
{
    struct slice given = { value, strlen(value) };

    for (; *words; words++)
        if (slice_equal_nocase(given, (struct slice){ *words, strlen(*words) }))
            return true;
    return false;
}

bool config_is_off(const char *value)
{
    static const char *const off[] = { "0", "off", "no", "false", NULL };

    return value && is_one_of(value, off);
}

static bool parse_switch(void *field, const char *value)
{
    static const char *const on[] = { "1", "on", "yes", "true", NULL };
    bool yes = is_one_of(value, on);

    if (!yes && !config_is_off(value))
        return false;
    *(bool *)field = yes;
    return true;
}

/* Digits only: what strtoul takes besides (space, sign, 0x) is more likely a slip than meant. */
static bool parse_number(unsigned *field, const char *value, unsigned least, unsigned most)
{
    uint64_t number = 0;

    if (!*value)
        return false;
    for (; *value; value++) {
        if (*value < '0' || *value > '9')
            return false;
        number = number * 10 + (uint64_t)(*value - '0');
        if (number > most)
            return false;
    }
    if (number < least)
        return false;
    *field = (unsigned)number;
    return true;
}

static bool parse_seconds(void *field, const char *value)
{
    return parse_number(field, value, 1, 86400);
}

static bool parse_count(void *field, const char *value)
{
    return parse_number(field, value, 1, 65536);
}

/* No limit where there is none. */
static bool parse_limit(void *field, const char *value)
{
    *(unsigned *)field = 0;
    return !*value || parse_number(field, value, 1, 65535);
}

/* `words` in the order of the field's enum, whose values are those of an unsigned. */
static bool parse_word(unsigned *field, const char *value, const char *words)
{
    for (unsigned i = 0; *words; i++) {
        size_t len = strcspn(words, " ");
        if (strlen(value) == len && memcmp(value, words, len) == 0) {
            *field = i;
            return true;
        }
        words += len + (words[len] == ' ');
    }
    return false;
}

static bool parse_unsafe(void *field, const char *value)
{
    return parse_word(field, value, "fresh reuse");
}

static bool parse_host(void *field, const char *value)
{
    return parse_word(field, value, "address never");
}

static bool parse_share(void *field, const char *value)
{
    return parse_word(field, value, "tree user off");
}

static bool parse_tls(void *field, const char *value)
{
    return parse_word(field, value, "off reuse");
}

static bool parse_path(void *field, const char *value)
{
    *(const char **)field = *value ? value : NULL;
    return true;
}

static bool parse_places(void *field, const char *value)
{
    struct slice bad;

    return filter_check(value, &bad) && parse_path(field, value);
}

static bool parse_commands(void *field, const char *value)
{
    struct slice bad;

    return list_check_commands(value, &bad) && parse_path(field, value);
}

const struct config_setting config_settings[] = {
#define SETTING(name, field, parse, fallback, shape, meaning) { name, fallback, shape, meaning },
#include "base/settings.def"
#undef SETTING
};

static const struct {
    bool (*parse)(void *field, const char *value);
    size_t offset;
} targets[] = {
#define SETTING(name, field, parse, fallback, shape, meaning) { parse, offsetof(struct config, field) },
#include "base/settings.def"
#undef SETTING
};

const size_t config_settings_count = sizeof(config_settings) / sizeof(config_settings[0]);

const char *const config_own_names[] = {
#define SETTING(name, field, parse, fallback, shape, meaning)
#define OWN(name) name,
#include "base/settings.def"
#undef SETTING
    NULL,
};

struct slice config_fault(const struct config_setting *setting, const char *value)
{
    bool (*parse)(void *, const char *) = targets[setting - config_settings].parse;
    struct slice bad = { value, strlen(value) };

    if (parse == parse_places)
        filter_check(value, &bad);
    else if (parse == parse_commands)
        list_check_commands(value, &bad);
    return bad;
}

int config_load(struct config *config, char *(*lookup)(const char *name),
                void (*complain)(void *arg, const struct config_setting *setting, const char *value),
                void *arg)
{
    int refused = 0;

    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        void *field = (char *)config + targets[i].offset;
        const char *value = lookup(setting->name);

        targets[i].parse(field, setting->fallback);
        if (!value || !*value || targets[i].parse(field, value))
            continue;
        refused++;
        if (complain)
            complain(arg, setting, value);
    }
    return refused;
}
