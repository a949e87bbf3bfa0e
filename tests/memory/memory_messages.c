/* The in-memory store: commits, settling, and reading messages back. */
#include "tests/memory/memory_connection.h"

/* ---- messages --------------------------------------------------------------------------------- */

fabric_error_t memory_store_commit(store_t *base, const store_writer_t *writer,
                                   const store_batch_t *batch, store_rejection_t *rejection)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_COMMIT, rejection);
    if (error) {
        return error;
    }
    error = memory_commit(store->database, writer, batch, rejection);
    if (error == FABRIC_ERROR_STORE_REJECTED) {
        store_note_error(base, 1, "the row contradicts another");
    }
    return memory_leave(store, error);
}

fabric_error_t memory_settle(store_t *base, const store_writer_t *writer, uint64_t *batch)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_SETTLE, NULL);
    if (error) {
        return error;
    }
    const memory_writer_t *row = memory_find_writer(store->database, writer->machine, writer->lane);
    if (!row || !incarnation_equal(row->incarnation, writer->incarnation)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    *batch = row->batch;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_load_pending(store_t *base, request_id_t from, store_visit_message_fn *visit,
                                   void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, NULL);
    if (error) {
        return error;
    }
    const memory_database_t *database = store->database;
    for (size_t i = memory_lower_bound(database, from.value); i < database->messages.count; i++) {
        const memory_message_t *message = database->messages.items[i];
        if (!message->reply) {
            visit(context, &message->message, message->tally, NULL);
        }
    }
    return memory_leave(store, FABRIC_OK);
}

static bool is_among(const call_key_t *calls, size_t count, call_key_t call)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].client == call.client && calls[i].sequence == call.sequence) {
            return true;
        }
    }
    return false;
}

fabric_error_t memory_find_calls(store_t *base, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                 store_visit_message_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, NULL);
    if (error) {
        return error;
    }
    const memory_database_t *database = store->database;
    size_t i = last->value == UINT64_MAX ? database->messages.count
                                         : memory_lower_bound(database, last->value + 1);
    for (; rows_max > 0 && i > 0 && database->messages.items[i - 1]->message.id.value > floor.value;
         rows_max--) {
        const memory_message_t *message = database->messages.items[--i];
        last->value = message->message.id.value - 1;
        if (is_among(calls, call_count, message->message.call)) {
            visit(context, &message->message, message->tally, message->reply);
        }
    }
    if (rows_max > 0) {
        *last = floor;
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_find_keys(store_t *base, const uint8_t *hashes, size_t hash_count,
                                store_visit_message_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < hash_count; i++) {
        const memory_message_t *message = memory_find_key(store->database, hashes + i * 32);
        if (message) {
            visit(context, &message->message, message->tally, message->reply);
        }
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_find_replies(store_t *base, const request_id_t *ids, size_t id_count,
                                   store_visit_message_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < id_count; i++) {
        const memory_message_t *message = memory_find_message(store->database, ids[i].value);
        if (message && message->reply) {
            visit(context, &message->message, message->tally, message->reply);
        }
    }
    return memory_leave(store, FABRIC_OK);
}
