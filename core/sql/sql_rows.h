/* Writing entries and the rows of checkpoints, for operations and for the migration.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_ROWS_H
#define CORE_SQL_SQL_ROWS_H

#include "core/sql/sql.h"

/* Inserts entries, in a transaction that the caller has begun; count: a size of a statement. */
FABRIC_MUST_USE fabric_error_t sql_insert_entries(sql_store_t *store, const store_entry_t *entries,
                                                  size_t count);
/* Inserts or replaces rows of pending messages. */
FABRIC_MUST_USE fabric_error_t sql_write_pending(sql_store_t *store, uint32_t lane,
                                                 const store_pending_t *rows, size_t count);
/* The same for dead letters. */
FABRIC_MUST_USE fabric_error_t sql_write_dead(sql_store_t *store, uint32_t lane,
                                              const store_dead_row_t *rows, size_t count);

/* The same for states of entities. */
FABRIC_MUST_USE fabric_error_t sql_write_states(sql_store_t *store, uint32_t lane,
                                                const store_state_t *rows, size_t count);

/* sql_events.c: inserts events, in this order. STORE_LOST: another one is there. */
FABRIC_MUST_USE fabric_error_t sql_write_events(sql_store_t *store, uint32_t lane,
                                                const store_event_t *rows, size_t count);

/* sql_outbox.c: inserts outgoing messages that have no row, and deletes those that have ended. */
FABRIC_MUST_USE fabric_error_t sql_write_outbox(sql_store_t *store, uint32_t lane,
                                                const store_slice_t *slice);

/* sql_direct.c: deletes the direct results of these messages. */
FABRIC_MUST_USE fabric_error_t sql_delete_direct(sql_store_t *store, const request_id_t *ids,
                                                 size_t count);

/* The parameters that name a row of `pending`: lane, entity_hash, position. */
void sql_put_row_key(sql_store_t *store, uint32_t lane, store_row_key_t key);
/* The parameters that name a row of `scheduled`: lane, due_ms, request_id. */
void sql_put_due_key(sql_store_t *store, uint32_t lane, store_due_key_t key);

/* sql_kept.c: writes these rows, or deletes those of them without a cause. */
FABRIC_MUST_USE fabric_error_t sql_write_kept(sql_store_t *store, uint32_t lane,
                                              const store_kept_t *rows, size_t count);

#endif
