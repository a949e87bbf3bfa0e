/* The coordinator's term that this process knows to be durable in its store, kept from one broker
 * incarnation to the next.
 *
 * Where a database was restored from an old copy, a broker's row may be missing. A missing row
 * looks like a fence, and a broker that joined again would go on without the commits that the
 * database has forgotten. The coordinator's term never goes down, whoever holds it: a term that is
 * smaller than before proves that the store went back.
 *
 * A term that was only read may belong to a commit that is not on disk yet, and a server that dies
 * may forget such a commit. A term therefore counts as durable once something was written after it
 * was read.
 *
 * Threading: belongs to one thread at a time: first to the one that opens the broker, then to the
 * coordinator's.
 */
#ifndef BROKER_COORDINATOR_DURABLE_TERM_H
#define BROKER_COORDINATOR_DURABLE_TERM_H

#include "core/store.h"

/* Zeroed: nothing is known. */
typedef struct durable_term {
    bool opened; /* cluster_id is set */
    uint8_t cluster_id[16];
    uint64_t read_term;    /* as read last */
    uint64_t durable_term; /* the last one that is surely on disk */
} durable_term_t;

void durable_term_read(durable_term_t *known, uint64_t term);
/* A write that began after the last reading is durable, and with it the term that was read. */
void durable_term_wrote(durable_term_t *known);
/* A call failed: the server may have died since the last reading. */
void durable_term_failed(durable_term_t *known);
/* Whether a store with this term has forgotten commits. */
bool durable_term_is_lost(const durable_term_t *known, uint64_t term);

/* Checks a store that has just been opened, before a broker joins. STORE_LOST: the store has
 * forgotten commits; the reason says what happened and what to do. Else the store's term and
 * cluster are noted. */
FABRIC_MUST_USE
fabric_error_t durable_term_check(durable_term_t *known, const store_cluster_t *cluster,
                                  uint64_t term, reason_t *reason);

#endif
