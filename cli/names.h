/* What people call brokers and runners: a name, or the beginning of an id.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stddef.h>

/* Digits of an id that are enough, if no other id begins with them. */
enum { CLI_ID_DIGITS_MIN = 4, CLI_ID_DIGITS_SHOWN = 8 };

typedef struct cli_name {
    const char *id; /* hexadecimal digits */
    const char *name;
} cli_name_t;

/* Finds the one that is called `wanted`, by its whole name or the beginning of its id. Returns
 * CLI_DONE and sets *index, or prints one line that lists the candidates and returns CLI_NOT_FOUND.
 * `what`: "broker" or "runner". */
int cli_name_find(const cli_name_t *names, size_t count, const char *what, const char *wanted,
                  size_t *index);
/* How many are called so. */
size_t cli_name_count(const cli_name_t *names, size_t count, const char *wanted);

#endif
