/* The ranges of a program's configuration keys. */
#ifndef TESTS_UNIT_CONFIG_RANGES_H
#define TESTS_UNIT_CONFIG_RANGES_H

#include "core/config.h"

/* Checks that each numeric key takes both ends of its range, as an argument, and refuses the
 * numbers beyond them, and that there are at least `numbers_min` such keys. Fails the cmocka test
 * if not. */
void config_ranges_check(const config_key_t *keys, size_t numbers_min);

#endif
