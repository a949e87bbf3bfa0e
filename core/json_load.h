/* JSON text read by jansson, whose integers end at 2^63 - 1, with all its integers: those beyond are kept as their
 * digits.
 *
 * Threading: pure; any thread.
 */
#ifndef CORE_JSON_LOAD_H
#define CORE_JSON_LOAD_H

#include <jansson.h>

/* Any JSON value without members given twice and without NULs. The caller's to release; NULL with an error. */
json_t *json_load_text(const char *text, json_error_t *error);

/* The digits, with a sign, of an integer for which a json_int_t has no room; NULL: the value is something else. jansson
 * takes such a value for a string, so ask this first. */
const char *json_large_integer(const json_t *value);

#endif
