/* What the handler of a durable message has told others (fabric_tell()), encoded, until the result
 * of its message takes it along.
 *
 * Threading: the executor's thread alone, but for told_destroy.
 */
#ifndef WORKER_TOLD_H
#define WORKER_TOLD_H

#include <fabric/ask.h>

#include "core/wire.h"

typedef struct told {
    uint32_t count;
    wire_writer_t list; /* see core/journal/outgoing.h; their shards are 0: the home knows them */
} told_t;

/* Adds a message to *told, which is made where it is NULL. There is room for `bytes_max` in all.
 * INVALID_ARGUMENT, MALFORMED_MESSAGE or LIMIT_EXCEEDED: nothing has changed. */
FABRIC_MUST_USE fabric_error_t told_add(told_t **told, const fabric_tell_t *tell, size_t bytes_max);
/* How much of a record they take, at most; NULL: nothing. */
size_t told_bytes(const told_t *told);
/* Sets *told to NULL, which it may be. */
void told_destroy(told_t **told);

#endif
