/* Reading JSON that brokers have sent: a member that is missing, or is something else than
 * expected, is no error.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

/* The element of an array of objects in which `key` is this text; NULL: there is none. */
json_t *cli_find(const json_t *array, const char *key, const char *text);
/* The text of a member, or "-" where there is none. */
const char *cli_text_of(const json_t *object, const char *key);
/* The number of a member, or 0. */
long long cli_number_of(const json_t *object, const char *key);

/* A text from elsewhere as JSON, escaped for terminals where it is not UTF-8. The caller's. */
json_t *cli_json_text(const char *text);

#endif
