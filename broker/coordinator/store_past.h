/* What a broker's process knows to be durable in its store, kept from one incarnation to the next.
 *
 * In a copy of the database from before an incarnation joined there is no row of it, which looks like a
 * fence; whoever started again on it would go on without what was acknowledged since. But whoever takes
 * over, the coordinator's term never goes down: where it is lower than before, the store went back.
 *
 * A term that is read may be of a commit that is not on disk yet, which a server that dies may rightly
 * forget: it counts once something is written after it.
 *
 * Threading: belongs to one thread at a time: to who opens the broker, then to its coordinator's.
 */
#ifndef BROKER_COORDINATOR_STORE_PAST_H
#define BROKER_COORDINATOR_STORE_PAST_H

#include "core/store.h"

/* Zeroed: nothing is known. */
typedef struct store_past {
    bool opened; /* cluster_id is set */
    uint8_t cluster_id[16];
    uint64_t read_term;    /* the last */
    uint64_t durable_term; /* the last that was surely on disk */
} store_past_t;

void store_past_read(store_past_t *past, uint64_t term);
/* What was begun after the last reading is durable: so is what was read. */
void store_past_wrote(store_past_t *past);
/* The server may have died since the last reading. */
void store_past_failed(store_past_t *past);
/* Whether a store with this term has gone back. */
bool store_past_is_lost(const store_past_t *past, uint64_t term);

/* For a store that has just been opened, before a broker joins. STORE_LOST, with a reason that
 * says what happened and what to do; else takes note of what there is. */
FABRIC_MUST_USE fabric_error_t store_past_check(store_past_t *past, const store_cluster_t *cluster,
                                                uint64_t term, reason_t *reason);

#endif
