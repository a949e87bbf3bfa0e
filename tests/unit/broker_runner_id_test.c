/* Runner ids: frozen by examples, since brokers of all releases must derive the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "broker/router/runner_id.h"

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned value = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return size;
}

static void runners_have_frozen_ids(void **state)
{
    (void)state;
    FILE *file = fopen("schemas/vectors/runners.txt", "r");
    assert_non_null(file);
    char line[256];
    size_t examples = 0;
    while (fgets(line, sizeof line, file)) {
        char secret[40];
        char id[40];
        char text[33];
        incarnation_t incarnation;
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(sscanf(line, "%39s %39s", secret, id), 2);
        assert_int_equal(from_hex(secret, incarnation.bytes), sizeof incarnation.bytes);
        assert_string_equal(incarnation_text(runner_id_of(incarnation), text), id);
        examples++;
    }
    fclose(file);
    assert_int_equal(examples, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runners_have_frozen_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
