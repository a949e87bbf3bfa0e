/* Runner ids: frozen by examples, since brokers of all releases must derive the same ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/router/runner_id.h"
#include "tests/harness/vectors.h"

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
        size_t size = 0;
        uint8_t *bytes = vectors_parse_hexadecimal(secret, &size);
        assert_int_equal(size, sizeof incarnation.bytes);
        memcpy(incarnation.bytes, bytes, size);
        free(bytes);
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
