/* What people call brokers and runners: a name, or the beginning of an id.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <jansson.h>

/* Digits of an id that are enough, if no other id begins with them. */
enum { CLI_ID_DIGITS_MIN = 4, CLI_ID_DIGITS_SHOWN = 8 };

/* Finds the one that is called `wanted`, by its whole name or the beginning of its id, in an array
 * of objects with the members "incarnation" and "name". NULL: one line that lists the candidates
 * was printed, and the exit code is CLI_NOT_FOUND. `what`: "broker" or "runner". */
const json_t *cli_name_find(const json_t *array, const char *what, const char *wanted);
/* How many are called so. */
size_t cli_name_count(const json_t *array, const char *wanted);

#endif
