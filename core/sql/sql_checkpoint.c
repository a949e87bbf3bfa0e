/* Checkpoints: writing rows, slice by slice. */
#include <stdlib.h>

#include "core/crash_point.h"
#include "core/memory.h"
#include "core/sql/sql_lane.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* Bytes of one statement: enough for the gain of many rows, little enough for buffers to stay
 * small. A larger row goes alone. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
/* What a row takes besides its byte strings, generously. */
#define ROW_BYTES_EXTRA 160

/* ---- rows as parameters ---- */

/* The rows of one table, and what is done with them. */
typedef struct row_kind {
    sql_statement_t statement;
    size_t size; /* of one row in its array */
    size_t (*bytes)(const void *row);
    void (*put)(sql_store_t *store, uint32_t lane, const void *row);
    store_row_key_t (*key)(const void *row); /* in its lane */
} row_kind_t;

static size_t pending_bytes(const void *item)
{
    const store_pending_t *row = item;
    return row->type.size + row->entity.size + row->tag.size + row->body.size;
}

static store_row_key_t pending_key(const void *item)
{
    const store_pending_t *row = item;
    return (store_row_key_t){row->entity_hash, row->position};
}

static void pending_put(sql_store_t *store, uint32_t lane, const void *item)
{
    const store_pending_t *row = item;
    sql_put_row_key(store, lane, pending_key(row));
    sql_put_u64(store, row->id.value);
    sql_put_u64(store, row->shard.value);
    if (row->due_ms == 0) {
        sql_put_null(store);
    } else {
        sql_put_i64(store, row->due_ms);
    }
    sql_put_u64(store, row->number);
    sql_put_u64(store, row->attempts);
    sql_put_u64(store, row->crashes);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_bytes(store, row->body);
}

static size_t delete_bytes(const void *item)
{
    (void)item;
    return 0;
}

static store_row_key_t delete_key(const void *item)
{
    return *(const store_row_key_t *)item;
}

static void delete_put(sql_store_t *store, uint32_t lane, const void *item)
{
    sql_put_row_key(store, lane, delete_key(item));
}

/* Of rows of `scheduled`, whose key is a time and an id. */
static store_row_key_t scheduled_key(const void *item)
{
    const store_pending_t *row = item;
    return (store_row_key_t){(uint64_t)row->due_ms, row->id.value};
}

static void scheduled_put(sql_store_t *store, uint32_t lane, const void *item)
{
    const store_pending_t *row = item;
    sql_put_due_key(store, lane, (store_due_key_t){row->due_ms, row->id.value});
    sql_put_u64(store, row->shard.value);
    sql_put_u64(store, row->number);
    sql_put_u64(store, row->entity_hash);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_bytes(store, row->body);
}

static store_row_key_t unscheduled_key(const void *item)
{
    const store_due_key_t *key = item;
    return (store_row_key_t){(uint64_t)key->due_ms, key->id};
}

static void unscheduled_put(sql_store_t *store, uint32_t lane, const void *item)
{
    sql_put_due_key(store, lane, *(const store_due_key_t *)item);
}

static size_t dead_bytes(const void *item)
{
    const store_dead_row_t *row = item;
    return row->type.size + row->entity.size + row->tag.size + row->text.size + row->body.size;
}

static store_row_key_t dead_key(const void *item)
{
    const store_dead_row_t *row = item;
    return (store_row_key_t){0, row->id.value};
}

static void dead_put(sql_store_t *store, uint32_t lane, const void *item)
{
    const store_dead_row_t *row = item;
    sql_put_u64(store, lane);
    sql_put_u64(store, row->id.value);
    sql_put_u64(store, row->shard.value);
    sql_put_u64(store, row->number);
    sql_put_i64(store, row->ended_ms);
    sql_put_u64(store, row->error);
    sql_put_u64(store, row->attempts);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_bytes(store, row->text);
    sql_put_bytes(store, row->body);
}

static size_t key_bytes(const void *item)
{
    return ((const store_key_t *)item)->reply.payload.size;
}

/* In the order of entities, then of hashes: their first bytes tell nearly all of them apart. */
static store_row_key_t key_key(const void *item)
{
    const store_key_t *row = item;
    store_row_key_t key = {row->entity_hash, 0};
    for (size_t i = 0; i < sizeof key.position; i++) {
        key.position = key.position << 8 | row->hash[i];
    }
    return key;
}

static void key_put(sql_store_t *store, uint32_t lane, const void *item)
{
    const store_key_t *row = item;
    sql_put_u64(store, lane);
    sql_put_bytes(store, fabric_bytes(row->hash, sizeof row->hash));
    sql_put_u64(store, row->entity_hash);
    sql_put_u64(store, row->reply.id.value);
    sql_put_u64(store, row->reply.shard.value);
    sql_put_u64(store, row->number);
    if (row->ended) {
        sql_put_i64(store, row->reply.kept_until_ms);
    } else {
        sql_put_null(store);
    }
    sql_put_u64(store, row->reply.status);
    sql_put_u64(store, row->reply.error);
    sql_put_u64(store, row->reply.code);
    sql_put_bytes(store, row->reply.payload);
}

static const row_kind_t pending_kind = {SQL_PENDING_PUT, sizeof(store_pending_t), pending_bytes,
                                        pending_put, pending_key};
static const row_kind_t delete_kind = {SQL_PENDING_DELETE, sizeof(store_row_key_t), delete_bytes,
                                       delete_put, delete_key};
static const row_kind_t scheduled_kind = {SQL_SCHEDULED_PUT, sizeof(store_pending_t), pending_bytes,
                                          scheduled_put, scheduled_key};
static const row_kind_t unscheduled_kind = {SQL_SCHEDULED_DELETE, sizeof(store_due_key_t),
                                            delete_bytes, unscheduled_put, unscheduled_key};
static const row_kind_t dead_kind = {SQL_DEAD_PUT, sizeof(store_dead_row_t), dead_bytes, dead_put,
                                     dead_key};
static const row_kind_t key_kind = {SQL_KEY_PUT, sizeof(store_key_t), key_bytes, key_put, key_key};

/* ---- many rows at a time ---- */

/* A row in the order of writing. */
typedef struct place {
    store_row_key_t key;
    const void *row;
} place_t;

static int compare_numbers(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

static int compare_places(const void *left, const void *right)
{
    const store_row_key_t *a = &((const place_t *)left)->key;
    const store_row_key_t *b = &((const place_t *)right)->key;
    int order = compare_numbers(a->entity_hash, b->entity_hash);
    return order ? order : compare_numbers(a->position, b->position);
}

/* How many of so many rows fit into one statement; at least 1. */
static size_t rows_that_fit(const row_kind_t *kind, const place_t *places, size_t count)
{
    size_t most = sql_size_within(count);
    size_t bytes = 0;
    for (size_t i = 0; i < most; i++) {
        bytes += kind->bytes(places[i].row) + ROW_BYTES_EXTRA;
        if (bytes > STATEMENT_BYTES_GOAL) {
            return sql_size_within(i > 0 ? i : 1);
        }
    }
    return most;
}

static fabric_error_t write_places(sql_store_t *store, const row_kind_t *kind, uint32_t lane,
                                   const place_t *places, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t fitting = rows_that_fit(kind, places + done, count - done);
        for (size_t i = 0; i < fitting; i++) {
            kind->put(store, lane, places[done + i].row);
        }
        error = sql_run(store, kind->statement, fitting, NULL);
        done += fitting;
    }
    return error;
}

/* Writes, or deletes, in the order of the keys: rows that follow one another share pages. */
static fabric_error_t write_rows(sql_store_t *store, const row_kind_t *kind, uint32_t lane,
                                 const void *rows, size_t count)
{
    if (count == 0) {
        return FABRIC_OK;
    }
    place_t *places = memory_allocate(count * sizeof *places);
    for (size_t i = 0; i < count; i++) {
        const void *row = (const char *)rows + i * kind->size;
        places[i] = (place_t){kind->key(row), row};
    }
    qsort(places, count, sizeof *places, compare_places);
    fabric_error_t error = write_places(store, kind, lane, places, count);
    free(places);
    return error;
}

fabric_error_t sql_write_pending(sql_store_t *store, uint32_t lane, const store_pending_t *rows,
                                 size_t count)
{
    return write_rows(store, &pending_kind, lane, rows, count);
}

fabric_error_t sql_write_dead(sql_store_t *store, uint32_t lane, const store_dead_row_t *rows,
                              size_t count)
{
    return write_rows(store, &dead_kind, lane, rows, count);
}

/* ---- a slice ---- */

static fabric_error_t amend_rows(sql_store_t *store, uint32_t lane,
                                 const store_amendment_t *amendments, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        sql_put_u64(store, amendments[i].number);
        sql_put_u64(store, amendments[i].attempts);
        sql_put_u64(store, amendments[i].crashes);
        sql_put_row_key(store, lane, amendments[i].key);
        error = sql_run(store, SQL_PENDING_AMEND, 1, NULL);
    }
    return error;
}

static fabric_error_t write_scheduled(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    fabric_error_t error =
        write_rows(store, &scheduled_kind, lane, slice->scheduled, slice->scheduled_count);
    return error ? error
                 : write_rows(store, &unscheduled_kind, lane, slice->unscheduled,
                              slice->unscheduled_count);
}

/* Deletes at most as many rows as are left of *left, by a statement that has one parameter more. */
static fabric_error_t clear_rows(sql_store_t *store, sql_statement_t statement, uint32_t *left,
                                 uint32_t *deleted)
{
    uint64_t matched = 0;
    sql_put_u64(store, *left);
    fabric_error_t error = sql_run(store, statement, 1, &matched);
    *deleted = (uint32_t)matched;
    *left -= *deleted < *left ? *deleted : *left;
    return error;
}

static void put_clear(sql_store_t *store, uint32_t lane, const store_clear_t *clear, bool names)
{
    sql_put_u64(store, lane);
    sql_put_u64(store, clear->entity_hash);
    sql_put_u64(store, clear->below);
    if (names) {
        sql_put_u64(store, clear->type.size > 0);
        sql_put_bytes(store, clear->type);
        sql_put_bytes(store, clear->entity);
    }
}

static fabric_error_t clear_entity(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    if (!slice->clear) {
        return FABRIC_OK;
    }
    uint32_t left = slice->clear->rows_max;
    store_cleared_t *cleared = slice->cleared;
    *cleared = (store_cleared_t){0};
    put_clear(store, lane, slice->clear, true);
    fabric_error_t error = clear_rows(store, SQL_PENDING_CLEAR, &left, &cleared->pending);
    if (!error && left > 0) {
        put_clear(store, lane, slice->clear, true);
        error = clear_rows(store, SQL_SCHEDULED_CLEAR, &left, &cleared->scheduled);
    }
    if (!error && left > 0) {
        put_clear(store, lane, slice->clear, false);
        error = clear_rows(store, SQL_KEY_CLEAR, &left, &cleared->keys);
    }
    return error;
}

/* Notes what the checkpoint is to reach, unless the database has lost what the slice builds on. */
static fabric_error_t begin_slice(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    uint64_t matched = 0;
    sql_put_u64(store, slice->begun);
    sql_put_u64(store, lane);
    sql_put_u64(store, slice->settled);
    sql_put_u64(store, slice->begun);
    sql_put_u64(store, slice->newest > slice->begun ? slice->newest : slice->begun);
    fabric_error_t error = sql_run(store, SQL_CHECKPOINT_BEGIN, 1, &matched);
    return !error && matched == 0 ? FABRIC_ERROR_STORE_LOST : error;
}

static fabric_error_t end_checkpoint(sql_store_t *store, uint32_t lane, uint64_t number)
{
    sql_put_u64(store, number);
    sql_put_u64(store, lane);
    return sql_run(store, SQL_CHECKPOINT_END, 1, NULL);
}

static fabric_error_t write_slice(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    CRASH_POINT(SLICE_LOCKED);
    fabric_error_t error = begin_slice(store, lane, slice);
    error = error ? error : sql_write_pending(store, lane, slice->puts, slice->put_count);
    error = error ? error : amend_rows(store, lane, slice->amendments, slice->amendment_count);
    error = error ? error : write_scheduled(store, lane, slice);
    CRASH_POINT(SLICE_INSIDE);
    error =
        error ? error : write_rows(store, &delete_kind, lane, slice->deletes, slice->delete_count);
    CRASH_POINT(SLICE_DELETED);
    error = error ? error : sql_write_dead(store, lane, slice->dead, slice->dead_count);
    error = error ? error : write_rows(store, &key_kind, lane, slice->keys, slice->key_count);
    error = error ? error : sql_write_events(store, lane, slice->events, slice->event_count);
    error = error ? error : sql_write_outbox(store, lane, slice);
    error = error ? error : sql_write_states(store, lane, slice->states, slice->state_count);
    error = error ? error : sql_write_kept(store, lane, slice->kept, slice->kept_count);
    error = error ? error : sql_delete_direct(store, slice->direct, slice->direct_count);
    error = error ? error : clear_entity(store, lane, slice);
    CRASH_POINT(SLICE_DEAD);
    if (!error && slice->last) {
        error = end_checkpoint(store, lane, slice->begun);
    }
    CRASH_POINT(SLICE_LAST);
    return error;
}

fabric_error_t sql_checkpoint(store_t *base, const store_hold_t *hold, const store_slice_t *slice)
{
    sql_store_t *store = sql_store_of(base);
    if (slice->put_count + slice->amendment_count + slice->delete_count + slice->dead_count +
            slice->scheduled_count + slice->unscheduled_count + slice->key_count +
            slice->event_count + slice->outgoing_count + slice->sent_count + slice->state_count +
            slice->kept_count + slice->direct_count + (slice->clear ? slice->clear->rows_max : 0) >
        STORE_SLICE_ROWS_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin_as_holder(store, hold);
    if (error) {
        return error;
    }
    return sql_end(store, write_slice(store, hold->lane, slice));
}
