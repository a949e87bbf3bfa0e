/* Reading JSON text with all its integers. jansson's integers end at 2^63 - 1; larger ones are kept
 * as their digits.
 *
 * Threading: pure; any thread.
 */
#ifndef CORE_JSON_LOAD_H
#define CORE_JSON_LOAD_H

#include <jansson.h>

/* Parses any JSON value without duplicate members and without NULs. The caller releases the result.
 * NULL with an error. */
json_t *json_load_text(const char *text, json_error_t *error);

/* The digits, with a sign, of an integer that is too large for a json_int_t. NULL: the value is
 * something else. jansson takes such a value for a string, so this is asked first. */
const char *json_large_integer(const json_t *value);

#endif
