/* Making entries: see entry.h. */
#include "core/hash.h"
#include "core/journal/entry_state.h"
#include "core/journal/record_state.h"

struct journal_writer {
    wire_writer_t body;    /* head and index; a seal appends the records behind them */
    wire_writer_t records; /* one after the other */
    wire_writer_t calls;
    size_t count; /* of records */
};

journal_writer_t *journal_writer_new(void)
{
    journal_writer_t *writer = memory_allocate_zeroed(1, sizeof *writer);
    journal_writer_reset(writer);
    return writer;
}

void journal_writer_destroy(journal_writer_t **writer)
{
    if (*writer) {
        wire_writer_destroy(&(*writer)->body);
        wire_writer_destroy(&(*writer)->records);
        wire_writer_destroy(&(*writer)->calls);
        free(*writer);
        *writer = NULL;
    }
}

/* Makes room for `size` bytes at the end. */
static uint8_t *extend(wire_writer_t *buffer, size_t size)
{
    wire_writer_reserve(buffer, size);
    uint8_t *place = buffer->data + buffer->size;
    buffer->size += size;
    return place;
}

void journal_writer_reset(journal_writer_t *writer)
{
    wire_writer_reset(&writer->body);
    wire_writer_reset(&writer->records);
    wire_writer_reset(&writer->calls);
    writer->count = 0;
    *extend(&writer->body, BODY_HEAD_BYTES) = BODY_VERSION;
    *extend(&writer->calls, CALLS_HEAD_BYTES) = CALLS_VERSION;
}

/* To be called before the record is appended. */
static void add_to_index(journal_writer_t *writer, journal_record_kind_t kind, request_id_t id,
                         uint64_t entity_hash)
{
    uint8_t *place = extend(&writer->body, INDEX_ITEM_BYTES);
    place = store_u32(place, (uint32_t)writer->records.size);
    *place++ = (uint8_t)kind;
    place = store_u64(place, id.value);
    store_u64(place, entity_hash);
    writer->count++;
}

static void add_message_to_index(journal_writer_t *writer, journal_record_kind_t kind,
                                 const store_message_t *message)
{
    add_to_index(writer, kind, message->id, journal_entity_hash(message->type, message->entity));
}

/* To be called after the record was added to the index. */
static void add_to_calls(journal_writer_t *writer, const store_message_t *message, bool ended)
{
    uint8_t *place = extend(&writer->calls, CALLS_ITEM_BYTES);
    place = store_u64(place, message->call.client);
    place = store_u64(place, message->call.sequence);
    place = store_u64(place, message->id.value);
    store_u32(place, (uint32_t)(writer->count - 1) << 1 | ended);
}

void journal_put_message(journal_writer_t *writer, const store_message_t *message,
                         uint64_t position, journal_attempts_t attempts)
{
    add_message_to_index(writer, RECORD_MESSAGE, message);
    add_to_calls(writer, message, false);
    record_put_message(&writer->records, message, position, attempts);
}

/* A look-up of the call finds the position here, since the newest record counts. */
void journal_put_move(journal_writer_t *writer, const store_message_t *message, uint64_t position)
{
    add_message_to_index(writer, RECORD_MOVE, message);
    add_to_calls(writer, message, false);
    record_put_move(&writer->records, message, position);
}

void journal_put_result(journal_writer_t *writer, const store_message_t *message, uint64_t position,
                        const store_reply_t *reply)
{
    journal_put_result_with_state(writer, message, position, reply, 0, (fabric_bytes_t){NULL, 0});
}

void journal_put_result_with_state(journal_writer_t *writer, const store_message_t *message,
                                   uint64_t position, const store_reply_t *reply, uint32_t version,
                                   fabric_bytes_t state)
{
    const journal_effects_t effects = {.version = version, .state = state};
    journal_put_result_with_effects(writer, message, position, reply, &effects);
}

void journal_put_result_with_effects(journal_writer_t *writer, const store_message_t *message,
                                     uint64_t position, const store_reply_t *reply,
                                     const journal_effects_t *effects)
{
    add_message_to_index(writer, RECORD_RESULT, message);
    add_to_calls(writer, message, true);
    record_put_result(&writer->records, message, position, reply, effects);
}

void journal_put_attempt(journal_writer_t *writer, const store_message_t *message,
                         uint64_t position, journal_attempts_t attempts)
{
    add_message_to_index(writer, RECORD_ATTEMPT, message);
    record_put_attempt(&writer->records, message, position, attempts);
}

void journal_put_dead(journal_writer_t *writer, const store_message_t *message, uint64_t position,
                      const store_reply_t *reply, journal_attempts_t attempts, uint32_t cause,
                      fabric_bytes_t text)
{
    add_message_to_index(writer, RECORD_DEAD, message);
    add_to_calls(writer, message, true);
    record_put_dead(&writer->records, message, position, reply, attempts, cause, text);
}

/* What a CLEAR has in the place of a call key. */
static call_key_t clear_call(uint64_t entity_hash)
{
    return (call_key_t){.client = entity_hash, .sequence = 0};
}

void journal_put_clear(journal_writer_t *writer, request_id_t id, shard_id_t shard,
                       fabric_bytes_t type, fabric_bytes_t entity)
{
    uint64_t entity_hash = journal_entity_hash(type, entity);
    add_to_index(writer, RECORD_CLEAR, id, entity_hash);
    add_to_calls(writer, &(store_message_t){.id = id, .call = clear_call(entity_hash)}, true);
    record_put_clear(&writer->records, id, shard, type, entity);
}

void journal_put_alive(journal_writer_t *writer, const store_kept_t *kept)
{
    add_to_index(writer, RECORD_ALIVE, (request_id_t){0},
                 journal_entity_hash(kept->type, kept->entity));
    record_put_alive(&writer->records, kept);
}

void journal_put_sent(journal_writer_t *writer, request_id_t source, shard_id_t shard,
                      uint64_t entity_hash, const journal_sent_t *sent)
{
    add_to_index(writer, RECORD_SENT, source, entity_hash);
    record_put_sent(&writer->records, source, shard, sent);
}

void journal_put_adopt(journal_writer_t *writer, incarnation_t broker, uint64_t epoch,
                       fabric_bytes_t name)
{
    add_to_index(writer, RECORD_ADOPT, (request_id_t){0}, 0);
    record_put_adopt(&writer->records, broker, epoch, name);
}

void journal_put_record(journal_writer_t *writer, fabric_bytes_t bytes,
                        const journal_record_t *record)
{
    add_to_index(writer, record->kind, record->id, record->entity_hash);
    if (record->kind == RECORD_MESSAGE || record->kind == RECORD_MOVE ||
        record->kind == RECORD_DEAD) {
        add_to_calls(writer, &record->message, record->kind == RECORD_DEAD);
    } else if (record->kind == RECORD_RESULT) {
        add_to_calls(writer, &(store_message_t){.id = record->id, .call = record->call}, true);
    } else if (record->kind == RECORD_CLEAR) {
        add_to_calls(writer,
                     &(store_message_t){.id = record->id, .call = clear_call(record->entity_hash)},
                     true);
    }
    wire_append(&writer->records, bytes.data, bytes.size);
}

size_t journal_writer_count(const journal_writer_t *writer)
{
    return writer->count;
}

size_t journal_writer_bytes(const journal_writer_t *writer)
{
    return writer->count ? writer->body.size + writer->records.size : 0;
}

fabric_bytes_t journal_record_of(journal_writer_t *writer, size_t index)
{
    const uint8_t *record = writer->records.data + load_u32(writer->body.data + BODY_HEAD_BYTES +
                                                            index * INDEX_ITEM_BYTES);
    return fabric_bytes(record, RECORD_LENGTH_BYTES + load_u32(record));
}

/* ---- sealing ---- */

uint64_t entry_checksum(const store_entry_t *entry)
{
    uint8_t columns[4 + 8 + 8 + sizeof entry->incarnation.bytes + 8 + 8 + 8 + 1 + 8 + 8 + 8 + 8];
    uint8_t *place = store_u32(columns, entry->lane);
    place = store_u64(place, entry->number);
    place = store_u64(place, entry->epoch);
    memcpy(place, entry->incarnation.bytes, sizeof entry->incarnation.bytes);
    place = store_u64(place + sizeof entry->incarnation.bytes, entry->last_id);
    place = store_u64(place, (uint64_t)entry->created_ms);
    place = store_u64(place, entry->log_bytes);
    *place++ = entry->adopt;
    place = store_u64(place, entry->calls.size);
    place = store_u64(place, XXH3_64bits(entry->calls.data, entry->calls.size));
    place = store_u64(place, entry->body.size);
    store_u64(place, XXH3_64bits(entry->body.data, entry->body.size));
    return XXH3_64bits(columns, sizeof columns);
}

static fabric_bytes_t seal_body(journal_writer_t *writer)
{
    size_t index_end = writer->body.size;
    wire_append(&writer->body, writer->records.data, writer->records.size);
    fabric_bytes_t sealed = wire_writer_bytes(&writer->body);
    writer->body.size = index_end; /* the next record belongs behind the index */
    uint8_t *head = writer->body.data;
    store_u32(head + BODY_CHECKED_AT, (uint32_t)writer->count);
    store_u64(head + 1, XXH3_64bits(head + BODY_CHECKED_AT, index_end - BODY_CHECKED_AT));
    return sealed;
}

static fabric_bytes_t seal_calls(journal_writer_t *writer)
{
    uint8_t *head = writer->calls.data;
    store_u64(head + 1,
              XXH3_64bits(head + CALLS_HEAD_BYTES, writer->calls.size - CALLS_HEAD_BYTES));
    return wire_writer_bytes(&writer->calls);
}

void journal_seal(journal_writer_t *writer, store_entry_t *entry, uint64_t log_bytes_before)
{
    const fabric_bytes_t nothing = {NULL, 0};
    entry->body = writer->count > 0 ? seal_body(writer) : nothing;
    entry->calls = writer->calls.size > CALLS_HEAD_BYTES ? seal_calls(writer) : nothing;
    entry->log_bytes = log_bytes_before + entry->calls.size + entry->body.size;
    journal_seal_columns(entry);
}

void journal_seal_columns(store_entry_t *entry)
{
    entry->checksum = entry_checksum(entry);
}
