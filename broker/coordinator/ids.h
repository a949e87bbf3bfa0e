/* The ids that this broker may make: none above the mark that its last renewal has stored.
 *
 * Threading: belongs to the coordinator's thread.
 */
#ifndef BROKER_COORDINATOR_IDS_H
#define BROKER_COORDINATOR_IDS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct coordinator_ids {
    uint64_t high_id; /* as the router has told it */
    uint64_t mark;    /* as the store has it */
} coordinator_ids_t;

/* The mark for the next renewal. */
uint64_t coordinator_ids_next_mark(const coordinator_ids_t *ids);
void coordinator_ids_stored(coordinator_ids_t *ids, uint64_t mark);
/* The router has made ids up to this one. They never exceed the mark, but an adopted lane may have
 * lifted them to it. Whether more ids are to be reserved. */
bool coordinator_ids_made(coordinator_ids_t *ids, uint64_t high_id);

#endif
