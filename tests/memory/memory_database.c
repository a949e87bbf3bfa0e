/* The data of an in-memory database: messages by id and by key, commits and how to take them back. */
#include "tests/memory/memory_database.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

void memory_reserve(void **items, size_t *capacity, size_t count, size_t item_size)
{
    if (count > *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 16;
        void *grown = allocate(wanted * item_size);
        if (*capacity) {
            memcpy(grown, *items, *capacity * item_size);
        }
        free(*items);
        *items = grown;
        *capacity = wanted;
    }
}

/* ---- messages --------------------------------------------------------------------------------- */

static fabric_bytes_t put_bytes(uint8_t **at, fabric_bytes_t bytes)
{
    if (bytes.size == 0) {
        return fabric_bytes(NULL, 0);
    }
    memcpy(*at, bytes.data, bytes.size);
    fabric_bytes_t copy = fabric_bytes(*at, bytes.size);
    *at += bytes.size;
    return copy;
}

static memory_message_t *copy_message(const store_message_t *message)
{
    memory_message_t *copy =
        allocate(sizeof *copy + message->type.size + message->entity.size + message->tag.size +
                 message->payload.size + message->traceparent.size + message->headers.size + 32);
    uint8_t *at = copy->bytes;
    copy->message = *message;
    if (message->key_hash) {
        copy->message.key_hash = put_bytes(&at, fabric_bytes(message->key_hash, 32)).data;
    }
    copy->message.type = put_bytes(&at, message->type);
    copy->message.entity = put_bytes(&at, message->entity);
    copy->message.tag = put_bytes(&at, message->tag);
    copy->message.payload = put_bytes(&at, message->payload);
    copy->message.traceparent = put_bytes(&at, message->traceparent);
    copy->message.headers = put_bytes(&at, message->headers);
    return copy;
}

static void free_message(memory_message_t *message)
{
    free(message->reply);
    free(message);
}

static void free_dead_letter(memory_dead_letter_t *letter)
{
    free_message(letter->copy);
    free(letter);
}

size_t memory_lower_bound(const memory_database_t *database, uint64_t from)
{
    size_t low = 0;
    size_t high = database->messages.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (database->messages.items[middle]->message.id.value < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

memory_message_t *memory_find_message(const memory_database_t *database, uint64_t id)
{
    size_t at = memory_lower_bound(database, id);
    if (at < database->messages.count && database->messages.items[at]->message.id.value == id) {
        return database->messages.items[at];
    }
    return NULL;
}

/* ---- primary keys ----------------------------------------------------------------------------- */

/* The place of a hash: where it stands, or the free one where it belongs. */
static size_t key_place(const memory_database_t *database, const uint8_t *hash)
{
    uint64_t number;
    memcpy(&number, hash, sizeof number);
    size_t mask = database->key_capacity - 1;
    size_t place = (size_t)(number * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (database->keys[place] &&
           memcmp(database->keys[place]->message.key_hash, hash, 32) != 0) {
        place = (place + 1) & mask;
    }
    return place;
}

static void rebuild_keys(memory_database_t *database, size_t capacity)
{
    free(database->keys);
    database->keys = allocate(capacity * sizeof(memory_message_t *));
    database->key_capacity = capacity;
    database->key_count = 0;
    for (size_t i = 0; i < database->messages.count; i++) {
        memory_message_t *message = database->messages.items[i];
        if (message->message.key_hash) {
            database->keys[key_place(database, message->message.key_hash)] = message;
            database->key_count++;
        }
    }
}

memory_message_t *memory_find_key(const memory_database_t *database, const uint8_t *hash)
{
    return database->key_capacity ? database->keys[key_place(database, hash)] : NULL;
}

/* ---- commits ---------------------------------------------------------------------------------- */

memory_writer_t *memory_find_writer(memory_database_t *database, uint32_t machine, uint32_t lane)
{
    for (size_t i = 0; i < database->writers.count; i++) {
        memory_writer_t *writer = &database->writers.items[i];
        if (writer->machine == machine && writer->lane == lane) {
            return writer;
        }
    }
    return NULL;
}

static void remember(memory_database_t *database, memory_undo_t undo)
{
    undo.commit = database->commits;
    *MEMORY_APPEND(&database->undo) = undo;
}

static bool insert_message(memory_database_t *database, const store_message_t *message)
{
    size_t at = memory_lower_bound(database, message->id.value);
    if (memory_find_message(database, message->id.value) ||
        (message->key_hash && memory_find_key(database, message->key_hash))) {
        return false;
    }
    memory_message_t *copy = copy_message(message);
    copy->commit = database->commits;
    (void)MEMORY_APPEND(&database->messages);
    memory_message_t **place = &database->messages.items[at];
    memmove(place + 1, place, (database->messages.count - 1 - at) * sizeof(memory_message_t *));
    *place = copy;
    if (copy->message.key_hash) {
        if (database->key_count * 2 >= database->key_capacity) {
            rebuild_keys(database, database->key_capacity ? database->key_capacity * 2 : 64);
        } else {
            database->keys[key_place(database, copy->message.key_hash)] = copy;
            database->key_count++;
        }
    }
    return true;
}

static bool insert_reply(memory_database_t *database, const store_reply_t *reply)
{
    memory_message_t *message = memory_find_message(database, reply->id.value);
    if (!message || message->reply) {
        return false;
    }
    message->reply = allocate(sizeof *message->reply + reply->payload.size);
    uint8_t *at = (uint8_t *)(message->reply + 1);
    *message->reply = *reply;
    message->reply->payload = put_bytes(&at, reply->payload);
    message->reply_commit = database->commits;
    return true;
}

static bool put_attempt(memory_database_t *database, const store_attempt_t *attempt)
{
    memory_message_t *message = memory_find_message(database, attempt->id.value);
    if (!message) {
        return false;
    }
    remember(database, (memory_undo_t){.kind = MEMORY_UNDO_TALLY,
                                       .row = attempt->id.value,
                                       .tally_before = message->tally});
    message->tally = attempt->tally;
    return true;
}

static bool insert_dead_letter(memory_database_t *database, const store_dead_letter_t *letter)
{
    for (size_t i = 0; i < database->dead_letters.count; i++) {
        if (database->dead_letters.items[i]->copy->message.id.value == letter->message->id.value) {
            return false;
        }
    }
    memory_dead_letter_t *copy = allocate(sizeof *copy + letter->text.size);
    uint8_t *at = copy->text;
    copy->copy = copy_message(letter->message);
    copy->commit = database->commits;
    copy->letter = *letter;
    copy->letter.message = &copy->copy->message;
    copy->letter.text = put_bytes(&at, letter->text);
    *MEMORY_APPEND(&database->dead_letters) = copy;
    return true;
}

static void set_marks(memory_database_t *database, incarnation_t home, uint64_t mark)
{
    for (size_t i = 0; i < database->shards.count; i++) {
        store_shard_t *shard = &database->shards.items[i];
        if (incarnation_equal(shard->home, home) && shard->mark != mark) {
            remember(database,
                     (memory_undo_t){.kind = MEMORY_UNDO_MARK, .row = i, .before = shard->mark});
            shard->mark = mark;
        }
    }
}

/* Writes the batch's items until one is refused; `at` then says which. */
static bool insert_items(memory_database_t *database, const store_batch_t *batch,
                         store_rejection_t *at)
{
    at->item = STORE_ITEM_MESSAGE;
    for (at->index = 0; at->index < batch->message_count; at->index++) {
        if (!insert_message(database, batch->messages[at->index])) {
            return false;
        }
    }
    at->item = STORE_ITEM_REPLY;
    for (at->index = 0; at->index < batch->reply_count; at->index++) {
        if (!insert_reply(database, batch->replies[at->index])) {
            return false;
        }
    }
    at->item = STORE_ITEM_ATTEMPT;
    for (at->index = 0; at->index < batch->attempt_count; at->index++) {
        if (!put_attempt(database, &batch->attempts[at->index])) {
            return false;
        }
    }
    at->item = STORE_ITEM_DEAD_LETTER;
    for (at->index = 0; at->index < batch->dead_letter_count; at->index++) {
        if (!insert_dead_letter(database, &batch->dead_letters[at->index])) {
            return false;
        }
    }
    return true;
}

fabric_error_t memory_commit(memory_database_t *database, const store_writer_t *writer,
                             const store_batch_t *batch, store_rejection_t *rejection)
{
    memory_writer_t *row = memory_find_writer(database, writer->machine, writer->lane);
    if (!row || !incarnation_equal(row->incarnation, writer->incarnation) ||
        row->batch != writer->batch) {
        return FABRIC_ERROR_FENCED;
    }
    database->commits++;
    remember(database, (memory_undo_t){.kind = MEMORY_UNDO_WRITER,
                                       .row = (uint64_t)(row - database->writers.items),
                                       .before = row->batch,
                                       .high_id_before = row->high_id});
    row->batch++;
    row->high_id = batch->high_id;
    store_rejection_t at;
    if (!insert_items(database, batch, &at)) {
        memory_undo_to(database, database->commits - 1);
        *rejection = at;
        return FABRIC_ERROR_STORE_REJECTED;
    }
    if (batch->mark != 0) {
        set_marks(database, writer->incarnation, batch->mark);
    }
    return FABRIC_OK;
}

static void undo_rows(memory_database_t *database, uint64_t commits)
{
    while (database->undo.count > 0 &&
           database->undo.items[database->undo.count - 1].commit > commits) {
        memory_undo_t undo = database->undo.items[--database->undo.count];
        switch (undo.kind) {
        case MEMORY_UNDO_WRITER:
            database->writers.items[undo.row].batch = undo.before;
            database->writers.items[undo.row].high_id = undo.high_id_before;
            break;
        case MEMORY_UNDO_MARK:
            database->shards.items[undo.row].mark = undo.before;
            break;
        case MEMORY_UNDO_TALLY:
            memory_find_message(database, undo.row)->tally = undo.tally_before;
            break;
        }
    }
}

void memory_undo_to(memory_database_t *database, uint64_t commits)
{
    assert(commits <= database->commits);
    undo_rows(database, commits);
    size_t kept = 0;
    for (size_t i = 0; i < database->messages.count; i++) {
        memory_message_t *message = database->messages.items[i];
        if (message->commit > commits) {
            free_message(message);
            continue;
        }
        if (message->reply && message->reply_commit > commits) {
            free(message->reply);
            message->reply = NULL;
        }
        database->messages.items[kept++] = message;
    }
    database->messages.count = kept;
    while (database->dead_letters.count > 0 &&
           database->dead_letters.items[database->dead_letters.count - 1]->commit > commits) {
        free_dead_letter(database->dead_letters.items[--database->dead_letters.count]);
    }
    if (database->key_capacity) {
        rebuild_keys(database, database->key_capacity);
    }
    database->commits = commits;
}

/* ---- the whole -------------------------------------------------------------------------------- */

void memory_database_clear(memory_database_t *database)
{
    memory_undo_to(database, 0);
    for (size_t i = 0; i < database->groups.count; i++) {
        free(database->groups.items[i].bytes);
    }
    for (size_t i = 0; i < database->types.count; i++) {
        free(database->types.items[i].bytes);
    }
    free(database->brokers.items);
    free(database->writers.items);
    free(database->runners.items);
    free(database->groups.items);
    free(database->types.items);
    free(database->shards.items);
    free(database->messages.items);
    free(database->dead_letters.items);
    free(database->undo.items);
    free(database->faults.items);
    free(database->keys);
    memory_database_t empty = {.next = database->next, .holder = database->holder};
    memcpy(empty.name, database->name, sizeof empty.name);
    memcpy(empty.holder_text, database->holder_text, sizeof empty.holder_text);
    *database = empty;
}
