/* The ranges of a program's configuration keys: see config_ranges.h. */
#include "tests/unit/config_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static fabric_error_t load(const config_key_t *keys, const char *name, uint64_t value)
{
    char option[64];
    char text[32];
    char program[] = "program";
    char *arguments[] = {program, option, text, NULL};
    int rest = 0;
    bool help = false;
    bool version = false;
    reason_t reason = {{0}};
    config_t *config = config_new(keys);
    snprintf(option, sizeof option, "--%s", name);
    for (char *at = option; *at; at++) {
        *at = *at == '_' ? '-' : *at;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    fabric_error_t error = config_load(config, 3, arguments, &reason, &rest, &help, &version);
    assert_true(error || config_uint(config, name) == value);
    config_destroy(&config);
    return error;
}

void config_ranges_check(const config_key_t *keys, size_t numbers_min)
{
    size_t numbers = 0;
    for (const config_key_t *key = keys; key->name; key++) {
        if (key->type != CONFIG_UINT) {
            continue;
        }
        numbers++;
        assert_true(key->max > key->min);
        assert_int_equal(load(keys, key->name, key->min), FABRIC_OK);
        assert_int_equal(load(keys, key->name, key->max), FABRIC_OK);
        if (key->min > 0) {
            assert_int_equal(load(keys, key->name, key->min - 1), FABRIC_ERROR_INVALID_ARGUMENT);
        }
        if (key->max < UINT64_MAX) {
            assert_int_equal(load(keys, key->name, key->max + 1), FABRIC_ERROR_INVALID_ARGUMENT);
        }
    }
    assert_true(numbers >= numbers_min);
}
