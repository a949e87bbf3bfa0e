/* The hot path: one batch in one transaction, and settling what became of one.
 *
 * A batch is first written many rows at a time. When the server refuses something, all of it is
 * rolled back and written again item by item, which names the culprit; that is slow, and rare,
 * because sizes and keys were checked before.
 */
#include "core/crash_point.h"
#include "core/limits.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_error.h"
#include "mysql/mysql_operations.h"

/* Bytes of one statement: enough for the gain of many rows, little enough for buffers to stay
 * small. A single larger row goes alone, up to what the server takes. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
/* What a row takes besides its byte strings, generously; and a statement besides its rows. */
#define ROW_BYTES_EXTRA       192
#define STATEMENT_BYTES_EXTRA 32768

/* ---- rows of each table as parameters ---- */

/* Items of one kind in a batch: how large each is, and how it becomes parameters. Kinds on the hot
 * path have a second statement for plain items, with fewer parameters. */
typedef struct item_kind {
    statement_id_t statement;
    statement_id_t plain_statement;
    size_t (*bytes)(const store_batch_t *batch, size_t index);
    bool (*is_plain)(const store_batch_t *batch, size_t index); /* NULL: none is */
    void (*put)(mysql_session_t *session, const store_batch_t *batch, size_t index, bool plain);
} item_kind_t;

static size_t message_size(const store_message_t *message)
{
    return message->type.size + message->entity.size + message->tag.size + message->payload.size +
           message->traceparent.size + message->headers.size;
}

/* What every message has, up to its payload. */
static void put_message_begin(mysql_session_t *session, const store_message_t *message)
{
    statement_put_u64(session, message->id.value);
    statement_put_u64(session, message->shard.value);
    statement_put_u64(session, message->flags);
    statement_put_bytes(session, message->type);
    statement_put_bytes(session, message->entity);
    statement_put_bytes(session, message->tag);
    statement_put_bytes(session, message->payload);
}

static void put_call(mysql_session_t *session, const store_message_t *message)
{
    statement_put_u64(session, message->call.client);
    statement_put_u64(session, message->call.sequence);
}

static void put_message(mysql_session_t *session, const store_message_t *message)
{
    put_message_begin(session, message);
    statement_put_bytes(session, message->traceparent);
    if (message->headers.size > 0) {
        statement_put_bytes(session, message->headers);
    } else {
        statement_put_null(session);
    }
    put_call(session, message);
    if (message->key_hash) {
        statement_put_bytes(session, fabric_bytes(message->key_hash, 32));
    } else {
        statement_put_null(session);
    }
    statement_put_i64(session, message->deliver_at_ms);
}

static size_t message_bytes(const store_batch_t *batch, size_t index)
{
    return message_size(batch->messages[index]);
}

static bool message_is_plain(const store_batch_t *batch, size_t index)
{
    const store_message_t *message = batch->messages[index];
    return message->traceparent.size == 0 && message->headers.size == 0 && !message->key_hash &&
           message->deliver_at_ms == 0;
}

static void message_put(mysql_session_t *session, const store_batch_t *batch, size_t index,
                        bool plain)
{
    const store_message_t *message = batch->messages[index];
    if (plain) {
        put_message_begin(session, message);
        put_call(session, message);
    } else {
        put_message(session, message);
    }
}

static size_t reply_bytes(const store_batch_t *batch, size_t index)
{
    return batch->replies[index]->payload.size;
}

static bool reply_is_plain(const store_batch_t *batch, size_t index)
{
    const store_reply_t *reply = batch->replies[index];
    return reply->status == 0 && reply->error == 0 && reply->code == 0;
}

static void reply_put(mysql_session_t *session, const store_batch_t *batch, size_t index,
                      bool plain)
{
    const store_reply_t *reply = batch->replies[index];
    statement_put_u64(session, reply->id.value);
    statement_put_u64(session, reply->shard.value);
    if (!plain) {
        statement_put_u64(session, reply->status);
        statement_put_u64(session, reply->error);
        statement_put_u64(session, reply->code);
    }
    statement_put_bytes(session, reply->payload);
}

static size_t attempt_bytes(const store_batch_t *batch, size_t index)
{
    (void)batch;
    (void)index;
    return 0;
}

static void attempt_put(mysql_session_t *session, const store_batch_t *batch, size_t index,
                        bool plain)
{
    (void)plain;
    statement_put_u64(session, batch->attempts[index].id.value);
    statement_put_u64(session, batch->attempts[index].tally.attempts);
    statement_put_u64(session, batch->attempts[index].tally.suspicions);
}

static size_t dead_letter_bytes(const store_batch_t *batch, size_t index)
{
    const store_dead_letter_t *letter = &batch->dead_letters[index];
    return message_size(letter->message) + letter->text.size;
}

static void dead_letter_put(mysql_session_t *session, const store_batch_t *batch, size_t index,
                            bool plain)
{
    (void)plain;
    const store_dead_letter_t *letter = &batch->dead_letters[index];
    put_message(session, letter->message);
    statement_put_u64(session, letter->error);
    statement_put_u64(session, letter->attempts);
    statement_put_bytes(session, letter->text);
}

static const item_kind_t message_kind = {STATEMENT_MESSAGE_INSERT, STATEMENT_PLAIN_MESSAGE_INSERT,
                                         message_bytes, message_is_plain, message_put};
static const item_kind_t reply_kind = {STATEMENT_REPLY_INSERT, STATEMENT_PLAIN_REPLY_INSERT,
                                       reply_bytes, reply_is_plain, reply_put};
static const item_kind_t attempt_kind = {STATEMENT_ATTEMPT_PUT, STATEMENT_ATTEMPT_PUT,
                                         attempt_bytes, NULL, attempt_put};
static const item_kind_t dead_letter_kind = {STATEMENT_DEAD_LETTER_INSERT,
                                             STATEMENT_DEAD_LETTER_INSERT, dead_letter_bytes, NULL,
                                             dead_letter_put};

/* ---- many rows at a time ---- */

/* How many items from `first` on fit into one statement; at least 1. */
static size_t items_that_fit(const item_kind_t *kind, const store_batch_t *batch, size_t first,
                             size_t count)
{
    size_t end = count - first > STATEMENT_ROWS_MAX ? first + STATEMENT_ROWS_MAX : count;
    size_t bytes = 0;
    for (size_t i = first; i < end; i++) {
        bytes += kind->bytes(batch, i) + ROW_BYTES_EXTRA;
        if (bytes > STATEMENT_BYTES_GOAL) {
            return i > first ? i - first : 1;
        }
    }
    return end - first;
}

static fabric_error_t run_rows(mysql_store_t *store, const item_kind_t *kind,
                               const store_batch_t *batch, size_t first, size_t rows)
{
    bool plain = kind->is_plain != NULL;
    for (size_t i = first; plain && i < first + rows; i++) {
        plain = kind->is_plain(batch, i);
    }
    statement_begin(&store->session);
    for (size_t i = first; i < first + rows; i++) {
        kind->put(&store->session, batch, i, plain);
    }
    return statement_run(&store->session, plain ? kind->plain_statement : kind->statement, rows,
                         NULL);
}

/* Inserts one item. STORE_REJECTED without asking the server when it takes no packet as large,
 * since it would hang up. */
static fabric_error_t write_one(mysql_store_t *store, const item_kind_t *kind,
                                const store_batch_t *batch, size_t index)
{
    if (kind->bytes(batch, index) + STATEMENT_BYTES_EXTRA > store->packet_bytes_max) {
        store->session.last_error = 0;
        (void)reason_set(&store->base.last_error, FABRIC_OK,
                         "the row does not fit into max_allowed_packet, which is %zu bytes (1153)",
                         store->packet_bytes_max);
        return FABRIC_ERROR_STORE_REJECTED;
    }
    return run_rows(store, kind, batch, index, 1);
}

static fabric_error_t write_many(mysql_store_t *store, const item_kind_t *kind,
                                 const store_batch_t *batch, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t rows = statement_size_within(items_that_fit(kind, batch, done, count));
        error = rows == 1 ? write_one(store, kind, batch, done)
                          : run_rows(store, kind, batch, done, rows);
        done += rows;
    }
    return error;
}

/* Inserts the primary keys of those messages that have one. */
static fabric_error_t write_keys(mysql_store_t *store, const store_batch_t *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->message_count; i++) {
        count += batch->messages[i]->key_hash != NULL;
    }
    fabric_error_t error = FABRIC_OK;
    size_t next = 0;
    while (!error && count > 0) {
        size_t rows = statement_size_within(count);
        count -= rows;
        statement_begin(&store->session);
        for (size_t put = 0; put < rows; next++) {
            const store_message_t *message = batch->messages[next];
            if (message->key_hash) {
                statement_put_bytes(&store->session, fabric_bytes(message->key_hash, 32));
                statement_put_u64(&store->session, message->id.value);
                put++;
            }
        }
        error = statement_run(&store->session, STATEMENT_KEY_INSERT, rows, NULL);
    }
    return error;
}

/* ---- the transaction ---- */

static fabric_error_t advance_writer(mysql_session_t *session, const store_writer_t *writer,
                                     uint64_t high_id)
{
    uint64_t matched = 0;
    statement_begin(session);
    statement_put_u64(session, high_id);
    statement_put_u64(session, writer->machine);
    statement_put_u64(session, writer->lane);
    statement_put_incarnation(session, &writer->incarnation);
    statement_put_u64(session, writer->batch);
    fabric_error_t error = statement_run(session, STATEMENT_WRITER_ADVANCE, 1, &matched);
    return !error && matched == 0 ? FABRIC_ERROR_FENCED : error;
}

static fabric_error_t raise_mark(mysql_session_t *session, const store_writer_t *writer,
                                 uint64_t mark)
{
    if (mark == 0) {
        return FABRIC_OK;
    }
    statement_begin(session);
    statement_put_u64(session, mark);
    statement_put_incarnation(session, &writer->incarnation);
    statement_put_u64(session, mark);
    return statement_run(session, STATEMENT_MARK_RAISE, 1, NULL);
}

static fabric_error_t write_batch(mysql_store_t *store, const store_writer_t *writer,
                                  const store_batch_t *batch)
{
    fabric_error_t error = advance_writer(&store->session, writer, batch->high_id);
    CRASH_POINT(COMMIT_WRITER);
    error = error ? error : write_many(store, &message_kind, batch, batch->message_count);
    error = error ? error : write_keys(store, batch);
    CRASH_POINT(COMMIT_MESSAGES);
    error = error ? error : write_many(store, &reply_kind, batch, batch->reply_count);
    error = error ? error : write_many(store, &attempt_kind, batch, batch->attempt_count);
    error = error ? error : write_many(store, &dead_letter_kind, batch, batch->dead_letter_count);
    error = error ? error : raise_mark(&store->session, writer, batch->mark);
    CRASH_POINT(COMMIT_LAST);
    return error;
}

/* ---- item by item ---- */

/* FABRIC_OK when the row that is there already is this very message: it bears the same call key. */
static fabric_error_t compare_message(mysql_session_t *session, const store_message_t *message)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(session);
    statement_put_u64(session, message->id.value);
    fabric_error_t error = statement_query_one(session, STATEMENT_CALL_OF_MESSAGE, &rows, &found);
    if (!error && !(found && statement_u64(rows, 0) == message->call.client &&
                    statement_u64(rows, 1) == message->call.sequence)) {
        error = FABRIC_ERROR_STORE_REJECTED;
    }
    statement_end(rows);
    return error;
}

/* FABRIC_OK when the key stands for this message already. */
static fabric_error_t compare_key(mysql_session_t *session, const store_message_t *message)
{
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(session);
    statement_put_bytes(session, fabric_bytes(message->key_hash, 32));
    fabric_error_t error = statement_query_one(session, STATEMENT_MESSAGE_OF_KEY, &rows, &found);
    if (!error && !(found && statement_u64(rows, 0) == message->id.value)) {
        error = FABRIC_ERROR_STORE_REJECTED;
    }
    statement_end(rows);
    return error;
}

static bool is_duplicate(const mysql_session_t *session, fabric_error_t error)
{
    return error == FABRIC_ERROR_STORE_REJECTED && !session->lost &&
           session->last_error == MYSQL_DUPLICATE_ENTRY;
}

static fabric_error_t write_message(mysql_store_t *store, const store_batch_t *batch, size_t index)
{
    mysql_session_t *session = &store->session;
    const store_message_t *message = batch->messages[index];
    fabric_error_t error = write_one(store, &message_kind, batch, index);
    if (is_duplicate(session, error)) {
        error = compare_message(session, message);
    }
    if (error || !message->key_hash) {
        return error;
    }
    statement_begin(session);
    statement_put_bytes(session, fabric_bytes(message->key_hash, 32));
    statement_put_u64(session, message->id.value);
    error = statement_run(session, STATEMENT_KEY_INSERT, 1, NULL);
    return is_duplicate(session, error) ? compare_key(session, message) : error;
}

/* Notes which item an error is about. */
static fabric_error_t blame(fabric_error_t error, store_rejection_t *rejection, int item,
                            size_t index)
{
    if (error == FABRIC_ERROR_STORE_REJECTED) {
        rejection->item = (__typeof__(rejection->item))item;
        rejection->index = index;
    }
    return error;
}

static fabric_error_t write_each(mysql_store_t *store, const item_kind_t *kind,
                                 const store_batch_t *batch, size_t count, int item,
                                 store_rejection_t *rejection)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        error = blame(write_one(store, kind, batch, i), rejection, item, i);
    }
    return error;
}

static fabric_error_t write_batch_by_item(mysql_store_t *store, const store_writer_t *writer,
                                          const store_batch_t *batch, store_rejection_t *rejection)
{
    fabric_error_t error = advance_writer(&store->session, writer, batch->high_id);
    for (size_t i = 0; !error && i < batch->message_count; i++) {
        error = blame(write_message(store, batch, i), rejection, STORE_ITEM_MESSAGE, i);
    }
    error = error ? error
                  : write_each(store, &reply_kind, batch, batch->reply_count, STORE_ITEM_REPLY,
                               rejection);
    error = error ? error
                  : write_each(store, &attempt_kind, batch, batch->attempt_count,
                               STORE_ITEM_ATTEMPT, rejection);
    error = error ? error
                  : write_each(store, &dead_letter_kind, batch, batch->dead_letter_count,
                               STORE_ITEM_DEAD_LETTER, rejection);
    return error ? error : raise_mark(&store->session, writer, batch->mark);
}

/* ---- the operations ---- */

fabric_error_t mysql_batch_commit(store_t *base, const store_writer_t *writer,
                                  const store_batch_t *batch, store_rejection_t *rejection)
{
    mysql_store_t *store = mysql_store_of(base);
    store_rejection_t found = {.item = STORE_ITEM_UNKNOWN};
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    error = mysql_end(store, write_batch(store, writer, batch));
    if (error == FABRIC_ERROR_STORE_REJECTED && !store->session.lost) {
        error = mysql_end(store, write_batch_by_item(store, writer, batch, &found));
    }
    if (error == FABRIC_ERROR_STORE_REJECTED && rejection) {
        *rejection = found;
    }
    return error;
}

fabric_error_t mysql_batch_settle(store_t *base, const store_writer_t *writer, uint64_t *batch)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool found = false;
    uint64_t number = 0;
    incarnation_t holder;
    statement_begin(&store->session);
    statement_put_u64(&store->session, writer->machine);
    statement_put_u64(&store->session, writer->lane);
    error = statement_query_one(&store->session, STATEMENT_WRITER_SETTLE, &rows, &found);
    if (!error && found && statement_incarnation(rows, 0, &holder) &&
        incarnation_equal(holder, writer->incarnation)) {
        number = statement_u64(rows, 1);
    } else if (!error) {
        error = FABRIC_ERROR_FENCED;
    }
    statement_end(rows);
    error = mysql_end_read(store, error);
    if (!error) {
        *batch = number;
    }
    return error;
}
