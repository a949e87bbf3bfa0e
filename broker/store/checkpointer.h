/* The checkpointer: writes the slices of checkpoints as rows, and purges journals. It repeats a
 * slice until the outcome is certain, since an identical slice that is committed twice changes
 * nothing. It also gives lanes up, behind their last slices.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_CHECKPOINTER_H
#define BROKER_STORE_CHECKPOINTER_H

#include "broker/store/connection.h"

/* How long entries below the checkpoint are kept. */
typedef struct retention {
    uint64_t call_retention_ms;
    uint64_t lane_bytes_max; /* of one lane's journal; decides where it is reached first */
} retention_t;

/* Of one transaction, which appends to SQLite wait for. */
#define PURGE_ENTRIES_MAX 500u
#define PURGE_BYTES_MAX   (4u << 20)
#define PURGE_KEYS_MAX    500u
#define PURGE_TURNS_MAX   16u /* transactions after one checkpoint: other lanes' slices wait */

typedef struct checkpointer {
    connection_t connection;
    retention_t retention;
} checkpointer_t;

void checkpointer_init(checkpointer_t *checkpointer, const connection_config_t *config,
                       const store_world_t *world, const retention_t *retention);
void checkpointer_clear(checkpointer_t *checkpointer);

/* OK: committed. FENCED: another broker has the lane. STORE_LOST: the database has lost what the
 * slice builds on: stop, loudly. SHUTTING_DOWN: told to stop before the outcome was certain. Any
 * other error: the store cannot take such a slice. */
FABRIC_MUST_USE fabric_error_t checkpointer_write(checkpointer_t *checkpointer,
                                                  const store_hold_t *hold,
                                                  const store_slice_t *slice);
/* The lane has no holder any more. OK, FENCED: another broker has it, or an earlier try of this
 * call gave it up. SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t checkpointer_give_up(checkpointer_t *checkpointer,
                                                    const store_hold_t *hold);
/* Deletes primary keys and entries whose time is over, and the oldest entries of a journal that is
 * too large; all of them below `checkpoint`, the number as of which the rows are complete.
 * `log_bytes`: of the lane's journal at its end. Entries that an open outgoing message of any lane
 * may need stay, until the journal is too large. Goes on after the next checkpoint if there is too
 * much. FENCED, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t checkpointer_purge(checkpointer_t *checkpointer,
                                                  const store_hold_t *hold, uint64_t checkpoint,
                                                  uint64_t log_bytes, store_purged_t *purged);

#endif
