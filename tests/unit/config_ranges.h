/* The ranges of a program's configuration keys. */
#ifndef TESTS_UNIT_CONFIG_RANGES_H
#define TESTS_UNIT_CONFIG_RANGES_H

#include "core/config.h"

/* Each key that is a number is taken at the ends of its range, as an argument, and refused one beyond
 * them; there are `numbers_min` of them at least. Anything else fails the cmocka test. */
void config_ranges_check(const config_key_t *keys, size_t numbers_min);

#endif
