/* The standing of a runner: whether operators let it own shards. It lives with the runner, which
 * tells it to each broker (RUNNER_STANDING).
 *
 * Threading: none of its own.
 */
#ifndef CORE_STANDING_H
#define CORE_STANDING_H

#include <stdbool.h>
#include <stdint.h>

/* As on the wire. */
typedef enum runner_standing {
    RUNNER_OPEN = 0,     /* it is given shards */
    RUNNER_CORDONED = 1, /* it keeps its shards, and is given no others */
    RUNNER_DRAINING = 2  /* its shards go to others */
} runner_standing_t;

/* The name that status documents show. */
const char *runner_standing_name(runner_standing_t standing);
/* Whether a number that was received is a standing. */
bool runner_standing_is(uint64_t number);
/* Whether a name of a status document is one; then *standing is set. */
bool runner_standing_parse(const char *name, runner_standing_t *standing);
/* The setter of each field that holds a standing. Returns whether the standing is another one than
 * before. */
bool runner_standing_set(runner_standing_t *standing, runner_standing_t next);

#endif
