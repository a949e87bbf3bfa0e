/* The hot path in SQLite: one batch, one transaction, begun by the fence. */
#include "sqlite/sqlite_commit.h"

#include "core/crash_point.h"
#include "sqlite/sqlite_connection.h"

/* Runs the insert of one item; where the item is at fault, says so by STORE_REJECTED. */
static fabric_error_t run_item(sqlite_query_t *query)
{
    fabric_error_t error = sqlite_run(query);
    int primary = query->code & 0xff;
    return primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG ? FABRIC_ERROR_STORE_REJECTED
                                                                    : error;
}

static fabric_error_t advance_writer(sqlite_store_t *store, const store_writer_t *writer,
                                     uint64_t high_id)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_WRITER_ADVANCE);
    sqlite_bind_u64(&query, 1, writer->machine);
    sqlite_bind_u64(&query, 2, writer->lane);
    sqlite_bind_incarnation(&query, 3, &writer->incarnation);
    sqlite_bind_u64(&query, 4, writer->batch);
    sqlite_bind_u64(&query, 5, writer->batch + 1);
    sqlite_bind_u64(&query, 6, high_id);
    fabric_error_t error = sqlite_run(&query);
    return !error && !sqlite_changed(store) ? FABRIC_ERROR_FENCED : error;
}

/* Binds parameters 1 to 13, the same in mailbox and dead_letter. */
static void bind_message(sqlite_query_t *query, const store_message_t *message)
{
    sqlite_bind_u64(query, 1, message->id.value);
    sqlite_bind_u64(query, 2, message->shard.value);
    sqlite_bind_u64(query, 3, message->call.client);
    sqlite_bind_u64(query, 4, message->call.sequence);
    sqlite_bind_u64(query, 5, message->flags);
    sqlite_bind_i64(query, 6, message->deliver_at_ms);
    sqlite_bind_bytes(query, 7, message->type);
    sqlite_bind_bytes(query, 8, message->entity);
    sqlite_bind_bytes(query, 9, message->tag);
    if (message->key_hash) {
        sqlite_bind_bytes(query, 10, fabric_bytes(message->key_hash, 32));
    } else {
        sqlite_bind_null(query, 10);
    }
    sqlite_bind_bytes(query, 11, message->traceparent);
    sqlite_bind_bytes(query, 12, message->headers);
    sqlite_bind_bytes(query, 13, message->payload);
}

static fabric_error_t insert_message(sqlite_store_t *store, const store_message_t *message)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_MESSAGE_INSERT);
    bind_message(&query, message);
    fabric_error_t error = run_item(&query);
    if (error || !message->key_hash) {
        return error;
    }
    sqlite_query_t key = sqlite_query(store, SQLITE_STATEMENT_KEY_INSERT);
    sqlite_bind_bytes(&key, 1, fabric_bytes(message->key_hash, 32));
    sqlite_bind_u64(&key, 2, message->id.value);
    return run_item(&key);
}

static fabric_error_t insert_reply(sqlite_store_t *store, const store_reply_t *reply)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_REPLY_INSERT);
    sqlite_bind_u64(&query, 1, reply->id.value);
    sqlite_bind_u64(&query, 2, reply->shard.value);
    sqlite_bind_u64(&query, 3, reply->status);
    sqlite_bind_u64(&query, 4, reply->error);
    sqlite_bind_u64(&query, 5, reply->code);
    sqlite_bind_bytes(&query, 6, reply->payload);
    return run_item(&query);
}

static fabric_error_t put_attempt(sqlite_store_t *store, const store_attempt_t *attempt)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_ATTEMPT_PUT);
    sqlite_bind_u64(&query, 1, attempt->id.value);
    sqlite_bind_u64(&query, 2, attempt->tally.attempts);
    sqlite_bind_u64(&query, 3, attempt->tally.suspicions);
    return run_item(&query);
}

static fabric_error_t insert_dead_letter(sqlite_store_t *store, const store_dead_letter_t *letter)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_DEAD_LETTER_INSERT);
    bind_message(&query, letter->message);
    sqlite_bind_u64(&query, 14, letter->error);
    sqlite_bind_u64(&query, 15, letter->attempts);
    sqlite_bind_bytes(&query, 16, letter->text);
    return run_item(&query);
}

static fabric_error_t set_mark(sqlite_store_t *store, const incarnation_t *home, uint64_t mark)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_MARK_SET);
    sqlite_bind_incarnation(&query, 1, home);
    sqlite_bind_u64(&query, 2, mark);
    return sqlite_run(&query);
}

/* Writes the batch's items. `at` follows the item under way, for the rejection. */
static fabric_error_t insert_items(sqlite_store_t *store, const store_batch_t *batch,
                                   store_rejection_t *at)
{
    fabric_error_t error = FABRIC_OK;
    at->item = STORE_ITEM_MESSAGE;
    for (at->index = 0; at->index < batch->message_count; at->index++) {
        error = insert_message(store, batch->messages[at->index]);
        if (error) {
            return error;
        }
    }
    CRASH_POINT(COMMIT_MESSAGES);
    at->item = STORE_ITEM_REPLY;
    for (at->index = 0; at->index < batch->reply_count; at->index++) {
        error = insert_reply(store, batch->replies[at->index]);
        if (error) {
            return error;
        }
    }
    at->item = STORE_ITEM_ATTEMPT;
    for (at->index = 0; at->index < batch->attempt_count; at->index++) {
        error = put_attempt(store, &batch->attempts[at->index]);
        if (error) {
            return error;
        }
    }
    at->item = STORE_ITEM_DEAD_LETTER;
    for (at->index = 0; at->index < batch->dead_letter_count; at->index++) {
        error = insert_dead_letter(store, &batch->dead_letters[at->index]);
        if (error) {
            return error;
        }
    }
    return FABRIC_OK;
}

fabric_error_t sqlite_commit(store_t *base, const store_writer_t *writer,
                             const store_batch_t *batch, store_rejection_t *rejection)
{
    sqlite_store_t *store = sqlite_store_of(base);
    store_rejection_t at = {.item = STORE_ITEM_UNKNOWN};
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    error = advance_writer(store, writer, batch->high_id);
    CRASH_POINT(COMMIT_WRITER);
    if (!error) {
        error = insert_items(store, batch, &at);
    }
    if (!error && batch->mark != 0) {
        error = set_mark(store, &writer->incarnation, batch->mark);
    }
    CRASH_POINT(COMMIT_LAST);
    error = sqlite_finish(store, error);
    if (error == FABRIC_ERROR_STORE_REJECTED) {
        *rejection = at;
    }
    return error;
}

fabric_error_t sqlite_settle(store_t *base, const store_writer_t *writer, uint64_t *batch)
{
    sqlite_store_t *store = sqlite_store_of(base);
    /* With the write lock: waits for a commit that still runs. */
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    incarnation_t holder = {{0}};
    uint64_t number = 0;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_WRITER_READ);
    sqlite_bind_u64(&query, 1, writer->machine);
    sqlite_bind_u64(&query, 2, writer->lane);
    if (sqlite_row(&query)) {
        holder = sqlite_column_incarnation(&query, 0);
        number = sqlite_column_u64(&query, 1);
    }
    error = sqlite_end(&query);
    if (!error && !incarnation_equal(holder, writer->incarnation)) {
        error = FABRIC_ERROR_FENCED;
    }
    error = sqlite_finish(store, error);
    if (!error) {
        *batch = number;
    }
    return error;
}
