/* Founding a cluster, and what becomes of the rows of schema versions 1 and 2. */
#include "core/sql/sql_migration.h"

#include <stdlib.h>

#include "core/journal/entry.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/snowflake.h"
#include "core/sql/sql_membership.h"
#include "core/sql/sql_rows.h"
#include "core/sql/sql_schema.h"

/* Of the column dead_letter.text. */
#define DEAD_TEXT_BYTES_MAX 2048u

static const incarnation_t nobody = {{0}};

fabric_error_t sql_migrate_agree(sql_store_t *store, const store_cluster_t *wanted,
                                 reason_t *reason)
{
    schema_found_t schema = {0};
    store_cluster_t cluster = {0};
    bool founded = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = schema_look(store, reason, &schema);
    if (!error && schema.version > 0) {
        error = schema_read_cluster(store, &cluster, &founded);
        if (!error) {
            error = founded ? schema_agree(&cluster, wanted, reason)
                            : schema_cluster_is_missing(store, reason);
        }
    }
    return sql_end(store, error);
}

/* ---- founding ---- */

/* What the old tables say: everything of the new ones begins above it. */
typedef struct highest {
    uint64_t id;
    uint64_t epoch;
    int64_t now_ms;
} highest_t;

static fabric_error_t read_highest(sql_store_t *store, bool is_old, highest_t *highest)
{
    uint64_t now_ms = 0;
    bool found = false;
    fabric_error_t error = sql_query_number(store, SQL_NOW_MS, &found, &now_ms);
    highest->now_ms = (int64_t)now_ms;
    if (error || !is_old) {
        return error;
    }
    error = sql_query_one(store, SQL_OLD_HIGHEST, &found);
    if (found) {
        uint64_t writer = sql_u64(store, 0);
        uint64_t mailbox = sql_u64(store, 1);
        highest->id = writer > mailbox ? writer : mailbox;
        highest->epoch = sql_u64(store, 2);
    }
    sql_close(store);
    return error;
}

/* Rows of `lane`, of `checkpoint` and entries 0 of the journal. */
static fabric_error_t insert_lanes(sql_store_t *store, uint32_t lanes, const highest_t *highest)
{
    for (uint32_t lane = 0; lane < lanes; lane++) {
        sql_put_u64(store, lane);
        sql_put_incarnation(store, &nobody);
        sql_put_u64(store, highest->epoch);
    }
    fabric_error_t error = sql_run(store, SQL_LANE_INSERT, lanes, NULL);
    if (error) {
        return error;
    }
    for (uint32_t lane = 0; lane < lanes; lane++) {
        sql_put_u64(store, lane);
        sql_put_u64(store, 0);
        sql_put_u64(store, 0);
        sql_put_u64(store, highest->id);
        sql_put_i64(store, highest->id > 0 ? highest->now_ms : 0);
    }
    error = sql_run(store, SQL_CHECKPOINT_INSERT, lanes, NULL);
    if (error) {
        return error;
    }
    store_entry_t entries[LIMIT_LANES_MAX] = {{0}};
    journal_writer_t *writer = journal_writer_new();
    for (uint32_t lane = 0; lane < lanes; lane++) {
        entries[lane] = (store_entry_t){.lane = lane,
                                        .epoch = highest->epoch,
                                        .last_id = highest->id,
                                        .created_ms = highest->now_ms,
                                        .adopt = true};
        journal_seal(writer, &entries[lane], 0);
    }
    error = sql_insert_entries(store, entries, lanes);
    journal_writer_destroy(&writer);
    return error;
}

/* Keeps what the machines of the old version had made in the slots of the same numbers. */
static fabric_error_t insert_slots(sql_store_t *store)
{
    uint64_t marks[LIMIT_MACHINES_MAX] = {0};
    fabric_error_t error = sql_query(store, SQL_OLD_SLOTS, 1);
    while (sql_next(store, &error)) {
        uint64_t machine = sql_u64(store, 0);
        if (machine < LIMIT_MACHINES_MAX) {
            marks[machine] = sql_u64(store, 1);
        }
    }
    sql_close(store);
    for (uint32_t slot = 0; !error && slot < LIMIT_MACHINES_MAX; slot++) {
        if (marks[slot] > 0) {
            sql_put_u64(store, slot);
            sql_put_incarnation(store, &nobody);
            sql_put_u64(store, marks[slot]);
            error = sql_run(store, SQL_SLOT_PUT, 1, NULL);
        }
    }
    return error;
}

static fabric_error_t insert_cluster(sql_store_t *store, const store_cluster_t *wanted,
                                     uint32_t lanes)
{
    uint8_t id[16];
    random_bytes(id, sizeof id);
    sql_put_bytes(store, fabric_bytes(id, sizeof id));
    sql_put_bytes(store, fabric_bytes_of(wanted->name));
    sql_put_u64(store, wanted->shards_per_group ? wanted->shards_per_group
                                                : STORE_SHARDS_PER_GROUP_DEFAULT);
    sql_put_u64(store, lanes);
    fabric_error_t error = sql_run(store, SQL_CLUSTER_INSERT, 1, NULL);
    if (!error) {
        sql_put_u64(store, 0);
        sql_put_incarnation(store, &nobody);
        error = sql_run(store, SQL_COORDINATOR_INSERT, 1, NULL);
    }
    return error;
}

static fabric_error_t found_cluster(sql_store_t *store, const store_cluster_t *wanted,
                                    reason_t *reason)
{
    schema_found_t schema = {0};
    store_cluster_t cluster = {0};
    highest_t highest = {0};
    bool founded = false;
    uint32_t lanes = wanted->lanes ? wanted->lanes : store->base.driver->lanes_default;
    fabric_error_t error = schema_look(store, reason, &schema);
    error = error ? error : schema_read_cluster(store, &cluster, &founded);
    if (error || cluster.lanes > 0) {
        return error; /* done before */
    }
    bool is_old = founded && schema.has_mailbox;
    if (founded) {
        sql_put_u64(store, lanes);
        error = sql_run(store, SQL_CLUSTER_LANES, 1, NULL);
    } else {
        error = insert_cluster(store, wanted, lanes);
        /* There is a coordinator's row, which is made with the cluster's. */
        error =
            error == FABRIC_ERROR_STORE_REJECTED ? schema_cluster_is_missing(store, reason) : error;
    }
    error = error ? error : read_highest(store, is_old, &highest);
    error = error ? error : insert_lanes(store, lanes, &highest);
    return error || !is_old ? error : insert_slots(store);
}

fabric_error_t sql_migrate_found(sql_store_t *store, const store_cluster_t *wanted,
                                 reason_t *reason)
{
    if (wanted->lanes > LIMIT_LANES_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    return error ? error : sql_end(store, found_cluster(store, wanted, reason));
}

/* ---- rows ---- */

#define FIRST_ROWS 100u

/* Copying one old table. */
typedef struct copying {
    sql_store_t *store;
    uint32_t lanes;
    journal_writer_t *writer; /* the records of one page */
    sql_pages_t pages;
    uint64_t after; /* id of the last row read */
} copying_t;

static uint32_t lane_of(const copying_t *copying, shard_id_t shard)
{
    return shard_id_number(shard) % copying->lanes;
}

/* The message of the present row. */
static store_message_t old_message(const sql_store_t *store)
{
    fabric_bytes_t key = sql_bytes(store, 11);
    return (store_message_t){.id = {sql_u64(store, 0)},
                             .shard = {sql_u32(store, 1)},
                             .flags = sql_u32(store, 2),
                             .type = sql_bytes(store, 3),
                             .entity = sql_bytes(store, 4),
                             .tag = sql_bytes(store, 5),
                             .payload = sql_bytes(store, 6),
                             .traceparent = sql_bytes(store, 7),
                             .headers = sql_bytes(store, 8),
                             .call = {sql_u64(store, 9), sql_u64(store, 10)},
                             .key_hash = key.size == 32 ? key.data : NULL,
                             .deliver_at_ms = (int64_t)sql_u64(store, 12)};
}

/* The record of a pending message of the present row. Its position is its id. */
static void put_pending(copying_t *copying, const store_message_t *message)
{
    journal_attempts_t attempts = {sql_u32(copying->store, 13), sql_u32(copying->store, 14)};
    journal_put_message(copying->writer, message, message->id.value, attempts);
}

/* The record of a dead letter of the present row. */
static void put_dead(copying_t *copying, const store_message_t *message)
{
    const sql_store_t *store = copying->store;
    journal_attempts_t attempts = {sql_u32(store, 13), 0};
    store_reply_t reply = {.id = message->id,
                           .shard = message->shard,
                           .status = (uint8_t)sql_u64(store, 16),
                           .error = sql_u32(store, 17),
                           .code = sql_u64(store, 18),
                           .payload = sql_bytes(store, 19)};
    fabric_bytes_t text = sql_bytes(store, 15);
    text.size = text.size < DEAD_TEXT_BYTES_MAX ? text.size : DEAD_TEXT_BYTES_MAX;
    journal_put_dead(copying->writer, message, message->id.value, &reply, attempts,
                     sql_u32(store, 14), text);
}

static store_pending_t pending_of_record(const journal_record_t *record, fabric_bytes_t body)
{
    return (store_pending_t){.position = record->position,
                             .entity_hash = record->entity_hash,
                             .id = record->id,
                             .shard = record->shard,
                             .due_ms = record->message.deliver_at_ms,
                             .attempts = record->attempts.attempts,
                             .crashes = record->attempts.crashes,
                             .type = record->message.type,
                             .entity = record->message.entity,
                             .tag = record->message.tag,
                             .body = body};
}

static store_dead_row_t dead_of_record(const journal_record_t *record, fabric_bytes_t body)
{
    return (store_dead_row_t){.id = record->id,
                              .shard = record->shard,
                              .ended_ms = snowflake_timestamp_ms(record->id),
                              .error = record->cause,
                              .attempts = record->attempts.attempts,
                              .type = record->message.type,
                              .entity = record->message.entity,
                              .tag = record->message.tag,
                              .text = record->text,
                              .body = body};
}

/* The records of one page, decoded. */
typedef struct page {
    journal_record_t *records;
    fabric_bytes_t *bodies;
    store_pending_t *rows; /* of one lane at a time */
    size_t count;
} page_t;

static fabric_error_t write_dead(copying_t *copying, const page_t *page)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < page->count; i++) {
        store_dead_row_t row = dead_of_record(&page->records[i], page->bodies[i]);
        error = sql_write_dead(copying->store, lane_of(copying, row.shard), &row, 1);
    }
    return error;
}

static fabric_error_t write_pending(copying_t *copying, const page_t *page)
{
    fabric_error_t error = FABRIC_OK;
    for (uint32_t lane = 0; !error && lane < copying->lanes; lane++) {
        size_t count = 0;
        for (size_t i = 0; i < page->count; i++) {
            if (lane_of(copying, page->records[i].shard) == lane) {
                page->rows[count++] = pending_of_record(&page->records[i], page->bodies[i]);
            }
        }
        error = sql_write_pending(copying->store, lane, page->rows, count);
    }
    return error;
}

static fabric_error_t write_page(copying_t *copying)
{
    size_t count = journal_writer_count(copying->writer);
    page_t page = {memory_allocate(count * sizeof *page.records),
                   memory_allocate(count * sizeof *page.bodies),
                   memory_allocate(count * sizeof *page.rows), count};
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        page.bodies[i] = journal_record_of(copying->writer, i);
        error = journal_record_decode(page.bodies[i], &page.records[i]);
    }
    error = error ? error : sql_begin(copying->store, SQL_WRITE);
    if (!error) {
        bool is_dead = page.records[0].kind == RECORD_DEAD;
        error = is_dead ? write_dead(copying, &page) : write_pending(copying, &page);
        error = sql_end(copying->store, error);
    }
    free(page.records);
    free(page.bodies);
    free(page.rows);
    return error;
}

/* Copies one page of rows after `after`, of OLD_PENDING up to `until`. `ended`: that was all. */
static fabric_error_t copy_page(copying_t *copying, sql_statement_t statement, uint64_t until,
                                bool *ended)
{
    sql_store_t *store = copying->store;
    uint32_t limit = sql_page_rows(&copying->pages, FIRST_ROWS, UINT32_MAX, UINT64_MAX);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    journal_writer_reset(copying->writer);
    sql_put_u64(store, copying->after);
    if (statement == SQL_OLD_PENDING) {
        sql_put_u64(store, until);
    }
    sql_put_u64(store, limit);
    error = sql_query(store, statement, 1);
    while (sql_next(store, &error)) {
        store_message_t message = old_message(store);
        copying->after = message.id.value;
        if (statement == SQL_OLD_PENDING) {
            put_pending(copying, &message);
        } else {
            put_dead(copying, &message);
        }
    }
    sql_close(store);
    error = sql_end(store, error);
    size_t count = journal_writer_count(copying->writer);
    copying->pages.rows += count;
    copying->pages.bytes += journal_writer_bytes(copying->writer);
    *ended = count < limit;
    return error || count == 0 ? error : write_page(copying);
}

/* Goes through the old messages in ranges of bounded size: most have ended, and a server that looks
 * for the others in silence would seem dead. */
static fabric_error_t copy_pending(copying_t *copying)
{
    fabric_error_t error = FABRIC_OK;
    uint64_t until = 0;
    do {
        bool found = false;
        uint64_t after = until;
        error = sql_begin(copying->store, SQL_READ);
        if (!error) {
            sql_put_u64(copying->store, after);
            error = sql_query_number(copying->store, SQL_OLD_PAGE, &found, &until);
            error = sql_end(copying->store, error);
        }
        copying->after = after;
        for (bool ended = until == 0; !error && !ended;) {
            error = copy_page(copying, SQL_OLD_PENDING, until, &ended);
        }
    } while (!error && until > 0);
    return error;
}

static fabric_error_t copy_dead(copying_t *copying)
{
    fabric_error_t error = FABRIC_OK;
    copying->after = 0;
    for (bool ended = false; !error && !ended;) {
        error = copy_page(copying, SQL_OLD_DEAD, 0, &ended);
    }
    return error;
}

fabric_error_t sql_migrate_rows(sql_store_t *store, const store_cluster_t *wanted, reason_t *reason)
{
    (void)wanted;
    schema_found_t schema = {0};
    store_cluster_t cluster = {0};
    bool founded = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = schema_look(store, reason, &schema);
    error = error ? error : schema_read_cluster(store, &cluster, &founded);
    error = sql_end(store, error);
    if (error || schema.version == 0 || !schema.has_mailbox) {
        return error;
    }
    copying_t copying = {.store = store, .lanes = cluster.lanes, .writer = journal_writer_new()};
    error = copy_pending(&copying);
    error = error ? error : copy_dead(&copying);
    journal_writer_destroy(&copying.writer);
    return error;
}
