/* All calls of a session: the open ones by sequence and by deadline, the parked ones, and the ones
 * that have ended.
 *
 * A call is parked when it is a volatile call or a query that waits; durable calls wait in their
 * shard's queue.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_CALL_TABLE_STATE_H
#define CLIENT_CALL_TABLE_STATE_H

#include "libfabric_client/src/list.h"
#include "libfabric_client/src/times.h"

enum {
    WHEEL_SLOTS = 1024, /* of the deadlines */
    WHEEL_SLOT_MS = 4
};

typedef struct call_table {
    call_list_t open;
    call_t **buckets;
    size_t bucket_count; /* a power of two */

    call_list_t wheel[WHEEL_SLOTS];
    uint64_t wheel_due_ms;  /* no deadline in the wheel is earlier */
    uint64_t wheel_done_ms; /* up to here all slots were looked at */
    call_list_t expired;    /* open calls whose deadline has come */

    call_list_t parked;
    uint64_t parked_due_ms; /* no retry of a parked call is earlier */

    call_list_t done;
} call_table_t;

void call_table_init(call_table_t *table);
/* Destroys all calls in it. */
void call_table_clear(call_table_t *table);

/* Adds an open call; its sequence is not in the table. */
void call_table_add(call_table_t *table, call_t *call, uint64_t now_ms);
/* The open call with a sequence, or NULL. */
call_t *call_table_find(const call_table_t *table, uint64_t sequence);
/* Takes an open call, which is not parked, out of the table. */
void call_table_remove(call_table_t *table, call_t *call);
/* Moves the open calls whose deadline has come to `expired`. */
void call_table_expire(call_table_t *table, uint64_t now_ms);

/* Parks an open call until its route is known (0) or until a time. */
void call_table_park(call_table_t *table, call_t *call, uint64_t retry_at_ms);
void call_table_set_retry(call_table_t *table, call_t *call, uint64_t retry_at_ms);
void call_table_unpark(call_table_t *table, call_t *call);
/* Finds out when the next retry of a parked call is due. */
void call_table_update_parked(call_table_t *table);

/* Keeps a call that has ended, and gives it back: NULL when there is none. */
void call_table_add_done(call_table_t *table, call_t *call);
call_t *call_table_take_done(call_table_t *table);

#endif
