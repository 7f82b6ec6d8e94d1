/* SPDX-License-Identifier: ISC */
/* config: every setting, with good, bad and boundary values. */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The environment of the test: one variable. */
static const char *variable, *variable_value;
static const char *refused_name, *refused_value;
static int refused_count;

static char *lookup(const char *name)
{
    return variable && strcmp(name, variable) == 0 ? (char *)(uintptr_t)variable_value : NULL;
}

static void note(void *arg, const struct config_setting *setting, const char *value)
{
    assert_ptr_equal(arg, &refused_count);
    refused_name = setting->name;
    refused_value = value;
    refused_count++;
}

static int load(struct config *config, const char *name, const char *value)
{
    variable = name;
    variable_value = value;
    refused_name = refused_value = NULL;
    refused_count = 0;
    memset(config, 0xa5, sizeof(*config));
    return config_load(config, lookup, note, &refused_count);
}

static void assert_defaults(const struct config *config)
{
    assert_true(config->enabled);
    assert_int_equal(config->idle_seconds, 15);
    assert_int_equal(config->max_per_endpoint, 64);
    assert_int_equal(config->unsafe, CONFIG_UNSAFE_FRESH);
    assert_int_equal(config->host, CONFIG_HOST_ADDRESS);
    assert_true(config->upgrade);
    assert_int_equal(config->max_idle, 0);
    assert_int_equal(config->max_requests, 0);
    assert_int_equal(config->max_age, 60);
    assert_null(config->only);
    assert_null(config->except);
    assert_null(config->commands_only);
    assert_null(config->commands_except);
    assert_null(config->log_path);
    assert_null(config->stats_path);
}

static void accepted(const char *name, const char *value, struct config *config)
{
    assert_int_equal(load(config, name, value), 0);
    assert_int_equal(refused_count, 0);
}

static void refused(const char *name, const char *value)
{
    struct config config;

    if (load(&config, name, value) != 1)
        fail_msg("%s=%s was not refused", name, value);
    assert_int_equal(refused_count, 1);
    assert_string_equal(refused_name, name);
    assert_string_equal(refused_value, value);
    assert_defaults(&config);
    assert_int_equal(config_load(&config, lookup, NULL, NULL), 1);
}

static void test_defaults(void **state)
{
    struct config config;

    assert_int_equal(load(&config, NULL, NULL), 0);
    assert_defaults(&config);
    for (size_t i = 0; i < config_settings_count; i++) {
        assert_int_equal(load(&config, config_settings[i].name, ""), 0);
        assert_defaults(&config);
    }
}

static void test_switch(void **state)
{
    static const char *const on[] = { "1", "on", "yes", "true", "ON", "True" };
    static const char *const off[] = { "0", "off", "no", "false", "OFF", "False", "nO" };
    static const char *const bad[] = { "2", "banana", "00", " 0", "0 ", "offf", "of", "-1" };
    struct config config;

    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        accepted("HOLDFAST", on[i], &config);
        assert_true(config.enabled);
    }
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        accepted("HOLDFAST", off[i], &config);
        assert_false(config.enabled);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused("HOLDFAST", bad[i]);
}

static void test_numbers(void **state)
{
    static const char *const bad[] = { "0",    "abc", "-1",  "+1", " 1",  "1 ", "1s", "0x10", "1.5",
                                       "1e3", "--", "18446744073709551617", "4294967297", "99999999999999999999999" };
    struct config config;

    accepted("HOLDFAST_IDLE", "1", &config);
    assert_int_equal(config.idle_seconds, 1);
    accepted("HOLDFAST_IDLE", "86400", &config);
    assert_int_equal(config.idle_seconds, 86400);
    accepted("HOLDFAST_IDLE", "007", &config);
    assert_int_equal(config.idle_seconds, 7);
    refused("HOLDFAST_IDLE", "86401");
    accepted("HOLDFAST_MAX_PER_ENDPOINT", "1", &config);
    assert_int_equal(config.max_per_endpoint, 1);
    accepted("HOLDFAST_MAX_PER_ENDPOINT", "65536", &config);
    assert_int_equal(config.max_per_endpoint, 65536);
    refused("HOLDFAST_MAX_PER_ENDPOINT", "65537");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused("HOLDFAST_IDLE", bad[i]);
        refused("HOLDFAST_MAX_PER_ENDPOINT", bad[i]);
    }
}

static void test_words(void **state)
{
    static const char *const bad[] = { "Reuse", "fresh ", "never", "0", "x" };
    static const char *const bad_host[] = { "fresh", "Never", "name", "0" };
    struct config config;

    accepted("HOLDFAST_UNSAFE", "reuse", &config);
    assert_int_equal(config.unsafe, CONFIG_UNSAFE_REUSE);
    accepted("HOLDFAST_UNSAFE", "fresh", &config);
    assert_int_equal(config.unsafe, CONFIG_UNSAFE_FRESH);
    accepted("HOLDFAST_HOST", "never", &config);
    assert_int_equal(config.host, CONFIG_HOST_NEVER);
    accepted("HOLDFAST_HOST", "address", &config);
    assert_int_equal(config.host, CONFIG_HOST_ADDRESS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused("HOLDFAST_UNSAFE", bad[i]);
    for (size_t i = 0; i < sizeof(bad_host) / sizeof(bad_host[0]); i++)
        refused("HOLDFAST_HOST", bad_host[i]);
}

static void test_limits(void **state)
{
    static const char *const bad[] = { "0", "-1", "none", "1 ", "99999999999" };
    static const char *const names[] = { "HOLDFAST_MAX_IDLE", "HOLDFAST_MAX_REQUESTS", "HOLDFAST_MAX_AGE" };
    struct config config;

    accepted("HOLDFAST_MAX_IDLE", "7", &config);
    assert_int_equal(config.max_idle, 7);
    accepted("HOLDFAST_MAX_REQUESTS", "65535", &config);
    assert_int_equal(config.max_requests, 65535);
    refused("HOLDFAST_MAX_REQUESTS", "65536");
    accepted("HOLDFAST_MAX_AGE", "86400", &config);
    assert_int_equal(config.max_age, 86400);
    refused("HOLDFAST_MAX_AGE", "86401");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            refused(names[n], bad[i]);
    accepted("HOLDFAST_UPGRADE", "0", &config);
    assert_false(config.upgrade);
    refused("HOLDFAST_UPGRADE", "never");
}

static void assert_fault(const char *name, const char *value, const char *fault)
{
    for (size_t i = 0; i < config_settings_count; i++)
        if (strcmp(config_settings[i].name, name) == 0) {
            struct slice bad = config_fault(&config_settings[i], value);
            assert_true(slice_equal(bad, (struct slice){ fault, strlen(fault) }));
            return;
        }
    fail_msg("no %s", name);
}

/* What the elements may be: filter.c. */
static void test_lists(void **state)
{
    static const char places[] = "127.0.0.1,[::1]:80,example.com", commands[] = "curl, wget";
    struct config config;

    accepted("HOLDFAST_ONLY", places, &config);
    assert_ptr_equal(config.only, places);
    assert_null(config.except);
    accepted("HOLDFAST_EXCEPT", places, &config);
    assert_ptr_equal(config.except, places);
    accepted("HOLDFAST_COMMANDS_ONLY", commands, &config);
    assert_ptr_equal(config.commands_only, commands);
    accepted("HOLDFAST_COMMANDS_EXCEPT", commands, &config);
    assert_ptr_equal(config.commands_except, commands);
    refused("HOLDFAST_ONLY", "127.0.0.1,");
    refused("HOLDFAST_EXCEPT", "10.0.0.0/33");
    refused("HOLDFAST_COMMANDS_ONLY", "/bin/sh");
    refused("HOLDFAST_COMMANDS_EXCEPT", "sh,,ls");
    assert_fault("HOLDFAST_EXCEPT", "a,10.0.0.0/33,b", "10.0.0.0/33");
    assert_fault("HOLDFAST_COMMANDS_ONLY", "sh, /bin/ls ", "/bin/ls");
    assert_fault("HOLDFAST_IDLE", "1,2", "1,2");
}

static void test_paths(void **state)
{
    static const char path[] = "some/file with spaces";
    struct config config;

    accepted("HOLDFAST_LOG", path, &config);
    assert_ptr_equal(config.log_path, path);
    assert_null(config.stats_path);
    accepted("HOLDFAST_STATS", path, &config);
    assert_ptr_equal(config.stats_path, path);
    assert_null(config.log_path);
}

/* Every setting is described, and its default is a value that it accepts. */
static void test_table(void **state)
{
    struct config config;

    assert_int_equal(config_settings_count, 17);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        assert_int_equal(strncmp(setting->name, "HOLDFAST", 8), 0);
        assert_true(*setting->shape && *setting->meaning);
        assert_int_equal(load(&config, setting->name, setting->fallback), 0);
        assert_defaults(&config);
    }
    for (size_t i = 0; config_own_names[i]; i++)
        for (size_t k = 0; k < config_settings_count; k++)
            assert_string_not_equal(config_own_names[i], config_settings[k].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_switch), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_limits), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_paths),    cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
