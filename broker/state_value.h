/* A persisted state of an entity in a broker's memory: written once, and shared by those who need
 * it, each of whom drops it.
 *
 * Threading: belongs to one thread at a time, with all who share it: the loader makes values and
 * hands them over whole; then they are the router's. An appender or checkpointer reads what the
 * router shares until it answers.
 */
#ifndef BROKER_STATE_VALUE_H
#define BROKER_STATE_VALUE_H

#include <stddef.h>

#include "core/store_message.h"

typedef struct state_value {
    uint32_t references;
    uint64_t *total;   /* that it counts in; NULL: in none */
    size_t size;       /* of all of it */
    store_state_t row; /* its views point into bytes[]; the number counts for rows that were read */
    uint8_t bytes[];
} state_value_t;

/* A copy, with one reference. */
state_value_t *state_value_new(const store_state_t *row);
/* Its bytes count in *total from now on, once, until nobody has a reference any more. */
void state_value_count(state_value_t *value, uint64_t *total);
state_value_t *state_value_share(state_value_t *value); /* NULL: NULL */
/* Sets *value to NULL, which it may be. */
void state_value_drop(state_value_t **value);

#endif
