/* The configuration keys of fabric-broker: each numeric key takes both ends of its range, and
 * refuses the numbers beyond them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker_config.h"
#include "tests/unit/config_ranges.h"

static void test_cf_03_numbers_have_a_range(void **state)
{
    (void)state;
    config_ranges_check(broker_config_keys, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cf_03_numbers_have_a_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
