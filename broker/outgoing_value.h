/* An outgoing message in a broker's memory, with all that it says in one allocation.
 *
 * Threading: belongs to one thread at a time: the loader makes copies and hands them over; then
 * they are the router's. A store actor reads what the router lends until it answers.
 */
#ifndef BROKER_OUTGOING_VALUE_H
#define BROKER_OUTGOING_VALUE_H

#include <stddef.h>

#include "core/store_message.h"

/* What the views of a message take. */
size_t outgoing_bytes(const store_outgoing_t *message);
/* A copy whose views point into `bytes`, of that size: for a structure that has them at its end. */
store_outgoing_t outgoing_put(const store_outgoing_t *message, uint8_t *bytes);

typedef struct outgoing_copy {
    size_t size;              /* of all of it */
    store_outgoing_t message; /* its views point into bytes[] */
    uint8_t bytes[];
} outgoing_copy_t;

outgoing_copy_t *outgoing_copy_new(const store_outgoing_t *message);
/* Sets *copy to NULL, which it may be. */
void outgoing_copy_destroy(outgoing_copy_t **copy);
/* Of an array, in which some may be NULL; frees it, too. */
void outgoing_copies_clear(outgoing_copy_t ***copies, size_t *count);

#endif
