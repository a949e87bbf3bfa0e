/* What the handler of a message has told others, in a broker's memory, until its RESULT is durable.
 *
 * Threading: belongs to the router with its message; an appender reads it until it answers.
 */
#ifndef BROKER_TOLD_VALUE_H
#define BROKER_TOLD_VALUE_H

#include "core/journal/outgoing.h"

typedef struct told_value {
    uint64_t *total; /* that it counts in */
    size_t size;     /* of all of it */
    /* At least one; `tag` and `traceparent` are views of the message that has it, and the list is
     * in bytes[]. `id` is 0 until an entry takes the message's end: see batch.c. */
    journal_outgoing_t outgoing;
    uint8_t bytes[];
} told_value_t;

/* Takes a copy of the list. Its bytes count in *total as long as it exists. */
told_value_t *told_value_new(const journal_outgoing_t *outgoing, uint64_t *total);
/* Sets *value to NULL, which it may be. */
void told_value_destroy(told_value_t **value);

#endif
