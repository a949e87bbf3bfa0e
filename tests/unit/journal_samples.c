/* Samples of journals: see journal_samples.h. */
#include "tests/unit/journal_samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/message.h"

enum { POOL_BYTES = 4096, KEY_HASH_BYTES = 32 };

/* ---- making ---- */

fabric_bytes_t journal_sample_bytes(size_t size_max)
{
    static uint8_t pool[POOL_BYTES];
    for (size_t i = 0; pool[0] == 0 && i < sizeof pool; i++) {
        pool[i] = (uint8_t)(1 + rand() % 255);
    }
    size_t size = (size_t)rand() % (size_max + 1);
    return fabric_bytes(pool + (size_t)rand() % (sizeof pool - size_max), size);
}

/* Any number of up to 64 bits, each length as likely as any other. */
static uint64_t any_number(unsigned bits)
{
    uint64_t number = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
    return number & (UINT64_MAX >> (64 - 1 - (unsigned)rand() % bits));
}

store_message_t journal_sample_message(uint64_t id)
{
    return (store_message_t){
        .id = {id},
        .shard = {(uint32_t)any_number(32)},
        .flags = (uint32_t)any_number(32),
        .type = journal_sample_bytes(40),
        .entity = journal_sample_bytes(255),
        .tag = journal_sample_bytes(40),
        .payload = journal_sample_bytes(300),
        .traceparent = journal_sample_bytes(55),
        .headers = journal_sample_bytes(rand() % 4 ? 0 : 100),
        .call = {any_number(64), any_number(64)},
        .key_hash = rand() % 2 ? journal_sample_bytes(KEY_HASH_BYTES).data : NULL,
        .deliver_at_ms = rand() % 2 ? 0 : (int64_t)any_number(64),
    };
}

store_reply_t journal_sample_reply(const store_message_t *message)
{
    return (store_reply_t){.id = message->id,
                           .shard = message->shard,
                           .status = (uint8_t)(rand() % 3),
                           .error = (uint32_t)any_number(32),
                           .code = any_number(64),
                           .payload = journal_sample_bytes(300),
                           .kept_until_ms = message->key_hash ? (int64_t)any_number(64) : 0};
}

static journal_attempts_t any_attempts(void)
{
    return (journal_attempts_t){(uint32_t)any_number(32), (uint32_t)any_number(32)};
}

/* A name has 1 byte at least. */
static fabric_bytes_t name_of(fabric_bytes_t name)
{
    return name.size > 0 ? name : fabric_bytes_of("n");
}

journal_events_t journal_sample_events(wire_writer_t *list, uint32_t count)
{
    wire_writer_reset(list);
    for (uint32_t i = 0; i < count; i++) {
        journal_events_put(list, name_of(journal_sample_bytes(40)), (uint32_t)any_number(32),
                           journal_sample_bytes(100));
    }
    return (journal_events_t){.first = count > 0 ? 1 + any_number(62) : 0,
                              .count = count,
                              .recorded_ms = (int64_t)any_number(64),
                              .list = wire_writer_bytes(list)};
}

journal_outgoing_t journal_sample_outgoing(wire_writer_t *list, uint32_t count)
{
    wire_writer_reset(list);
    for (uint32_t i = 0; i < count; i++) {
        store_outgoing_t message = {.shard = {(uint32_t)any_number(32)},
                                    .type = name_of(journal_sample_bytes(255)),
                                    .entity = name_of(journal_sample_bytes(255)),
                                    .tag = name_of(journal_sample_bytes(40)),
                                    .payload = journal_sample_bytes(300),
                                    .primary_key = journal_sample_bytes(40),
                                    .deliver_at_ms = (int64_t)any_number(64),
                                    .flags = (uint32_t)any_number(32),
                                    .headers = journal_sample_bytes(100)};
        journal_outgoing_put(list, &message);
    }
    return (journal_outgoing_t){.id = count > 0 ? 1 + any_number(63) : 0,
                                .count = count,
                                .traceparent = journal_sample_bytes(55),
                                .list = wire_writer_bytes(list)};
}

journal_sent_t journal_sample_sent(wire_writer_t *list, uint32_t count)
{
    wire_writer_reset(list);
    for (uint32_t i = 0; i < count; i++) {
        store_sent_t end = {(uint32_t)rand() % STORE_OUTGOING_MAX,
                            {1 + any_number(63)},
                            rand() % 2 ? (uint32_t)any_number(32) : 0};
        journal_sent_put(list, &end);
    }
    return (journal_sent_t){1 + any_number(63), count, wire_writer_bytes(list)};
}

/* What a handler has left: nothing, a state, events, or both. */
static journal_effects_t sample_effects(wire_writer_t *list)
{
    fabric_bytes_t state = journal_sample_bytes(300);
    journal_effects_t effects = {.state = rand() % 2 ? state : (fabric_bytes_t){NULL, 0}};
    effects.version = effects.state.size > 0 ? (uint32_t)any_number(32) : 0;
    if (rand() % 2) {
        effects.events = journal_sample_events(list, (uint32_t)rand() % 4);
        uint64_t last = journal_events_last(&effects.events);
        effects.sequence = effects.state.size == 0 ? 0 : last ? last : 1 + any_number(62);
    }
    bool alone = effects.sequence == 0 && effects.events.count == 0;
    effects.events = alone ? (journal_events_t){.count = 0} : effects.events;
    return effects;
}

/* Returns the record's text: its events do not outlive the call. */
static char *put_sample_result(journal_writer_t *writer, const store_message_t *message,
                               journal_record_t *put)
{
    wire_writer_t list = {0};
    wire_writer_t told = {0};
    bool named = message->type.size > 0 && message->entity.size > 0;
    journal_effects_t effects = {.version = 0};
    if (named) {
        effects = sample_effects(&list);
    }
    if (named && message->tag.size > 0 && rand() % 2) {
        effects.outgoing = journal_sample_outgoing(&told, 1 + (uint32_t)rand() % 3);
        put->outgoing = effects.outgoing;
        put->outgoing.tag = message->tag;
    }
    if (effects.state.size > 0 || effects.events.count > 0 || effects.outgoing.count > 0) {
        put->state = (store_state_t){.type = message->type,
                                     .entity = message->entity,
                                     .shard = message->shard,
                                     .version = effects.version,
                                     .sequence = effects.sequence,
                                     .state = effects.state};
        put->events = effects.events;
    }
    journal_put_result_with_effects(writer, message, put->position, &put->reply, &effects);
    char *text = journal_record_text(JOURNAL_READ_RECORD, put);
    wire_writer_destroy(&list);
    wire_writer_destroy(&told);
    return text;
}

static char *put_sample_sent(journal_writer_t *writer, journal_record_t *put)
{
    wire_writer_t list = {0};
    put->sent = journal_sample_sent(&list, 1 + (uint32_t)rand() % 3);
    journal_put_sent(writer, put->id, put->shard, put->entity_hash, &put->sent);
    char *text = journal_record_text(JOURNAL_READ_RECORD, put);
    wire_writer_destroy(&list);
    return text;
}

char *journal_sample_put(journal_writer_t *writer, const store_message_t *message)
{
    static const journal_record_kind_t kinds[] = {RECORD_ADOPT,   RECORD_MESSAGE, RECORD_RESULT,
                                                  RECORD_ATTEMPT, RECORD_DEAD,    RECORD_MOVE,
                                                  RECORD_CLEAR,   RECORD_ALIVE,   RECORD_SENT};
    journal_record_t put = {
        .kind = kinds[(size_t)rand() % (sizeof kinds / sizeof kinds[0])],
        .id = message->id,
        .shard = message->shard,
        .entity_hash = journal_entity_hash(message->type, message->entity),
        .message = *message,
        .position = rand() % 2 ? message->id.value : 1 + any_number(63),
        .deliver_at_ms = message->deliver_at_ms,
        .call = message->call,
        .contents = journal_contents_hash(message),
        .key_hash = message->key_hash,
        .message_flags = message->flags,
        .reply = journal_sample_reply(message),
        .attempts = any_attempts(),
        .cause = (uint32_t)any_number(32),
        .text = journal_sample_bytes(200),
    };
    switch (put.kind) {
    case RECORD_ADOPT:
        put = (journal_record_t){.kind = RECORD_ADOPT,
                                 .broker = {{(uint8_t)rand(), 2, 3}},
                                 .epoch = any_number(64),
                                 .name = journal_sample_bytes(255)};
        journal_put_adopt(writer, put.broker, put.epoch, put.name);
        break;
    case RECORD_ALIVE:
        put = (journal_record_t){.kind = RECORD_ALIVE,
                                 .shard = message->shard,
                                 .kept = {.type = name_of(message->type),
                                          .entity = name_of(message->entity),
                                          .shard = message->shard,
                                          .causes = (uint32_t)any_number(32)}};
        put.entity_hash = journal_entity_hash(put.kept.type, put.kept.entity);
        journal_put_alive(writer, &put.kept);
        break;
    case RECORD_MESSAGE:
        journal_put_message(writer, message, put.position, put.attempts);
        break;
    case RECORD_MOVE:
        put.attempts = (journal_attempts_t){0};
        journal_put_move(writer, message, put.position);
        break;
    case RECORD_RESULT:
        return put_sample_result(writer, message, &put);
    case RECORD_SENT:
        return put_sample_sent(writer, &put);
    case RECORD_ATTEMPT:
        journal_put_attempt(writer, message, put.position, put.attempts);
        break;
    case RECORD_DEAD:
        journal_put_dead(writer, message, put.position, &put.reply, put.attempts, put.cause,
                         put.text);
        break;
    case RECORD_CLEAR:
        journal_put_clear(writer, message->id, message->shard, message->type, message->entity);
        break;
    }
    return journal_record_text(JOURNAL_READ_RECORD, &put);
}

store_entry_t journal_sample_entry(journal_writer_t *writer, uint64_t number)
{
    store_entry_t entry = {.lane = 3,
                           .number = number,
                           .epoch = 5,
                           .incarnation = {{0xaa, 0xbb, 0xcc}},
                           .last_id = UINT64_C(1) << 40 | number,
                           .created_ms = INT64_C(1790000000000),
                           .adopt = number % 7 == 0};
    journal_seal(writer, &entry, 1000);
    return entry;
}

/* ---- as text ---- */

static void put_bytes(FILE *text, const char *name, fabric_bytes_t bytes)
{
    fprintf(text, ";%s=", name);
    for (size_t i = 0; i < bytes.size; i++) {
        fprintf(text, "%02x", bytes.data[i]);
    }
}

/* In quotes where it has letters, digits, "_" and "-" only, else as hexadecimal digits. */
static void put_name(FILE *text, const char *name, fabric_bytes_t bytes)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == 0 || !strchr(plain, bytes.data[i])) {
            put_bytes(text, name, bytes);
            return;
        }
    }
    fprintf(text, ";%s='%.*s'", name, (int)bytes.size, bytes.size ? (const char *)bytes.data : "");
}

static void put_number(FILE *text, const char *name, uint64_t number)
{
    fprintf(text, ";%s=%" PRIu64, name, number);
}

static void put_message(FILE *text, const store_message_t *message)
{
    put_number(text, "flags", message->flags);
    put_name(text, "type", message->type);
    put_name(text, "entity", message->entity);
    put_name(text, "tag", message->tag);
    put_bytes(text, "payload", message->payload);
    put_name(text, "traceparent", message->traceparent);
    put_bytes(text, "headers", message->headers);
    fprintf(text, ";call=%" PRIu64 "/%" PRIu64, message->call.client, message->call.sequence);
    put_bytes(text, "key", fabric_bytes(message->key_hash, message->key_hash ? KEY_HASH_BYTES : 0));
    fprintf(text, ";deliver_at=%" PRId64, message->deliver_at_ms);
}

static void put_reply(FILE *text, const store_reply_t *reply)
{
    put_number(text, "status", reply->status);
    put_number(text, "error", reply->error);
    put_number(text, "code", reply->code);
    put_bytes(text, "reply", reply->payload);
}

/* Of a message without a time of delivery it is the id. */
static void put_place(FILE *text, uint64_t position, int64_t deliver_at_ms)
{
    if (deliver_at_ms != 0) {
        put_number(text, "position", position);
        fprintf(text, ";due=%" PRId64, deliver_at_ms);
    }
}

static void put_effects(FILE *text, const journal_record_t *record)
{
    put_name(text, "type", record->state.type);
    put_name(text, "entity", record->state.entity);
    if (record->state.state.size > 0) {
        put_number(text, "version", record->state.version);
        put_bytes(text, "state", record->state.state);
    }
    if (record->state.sequence > 0) {
        put_number(text, "sequence", record->state.sequence);
    }
    if (record->state.sequence > 0 || record->events.count > 0) {
        fprintf(text, ";recorded=%" PRId64, record->events.recorded_ms);
    }
    journal_events_reader_t reader = journal_events_open(&record->events);
    store_event_t event = {.sequence = 0};
    while (journal_events_next(&reader, &event)) {
        put_number(text, "event", event.sequence);
        put_name(text, "tag", event.tag);
        put_number(text, "version", event.version);
        put_bytes(text, "payload", event.payload);
    }
}

static void put_outgoing(FILE *text, const journal_outgoing_t *outgoing)
{
    put_number(text, "outgoing", outgoing->id);
    put_name(text, "tag", outgoing->tag);
    put_name(text, "traceparent", outgoing->traceparent);
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    store_outgoing_t message = {.flags = 0};
    while (journal_outgoing_next(&reader, &message)) {
        put_number(text, "index", message.key.index);
        put_number(text, "shard", message.shard.value);
        put_name(text, "type", message.type);
        put_name(text, "entity", message.entity);
        put_name(text, "tag", message.tag);
        put_bytes(text, "payload", message.payload);
        put_bytes(text, "key", message.primary_key);
        fprintf(text, ";deliver_at=%" PRId64, message.deliver_at_ms);
        put_number(text, "flags", message.flags);
        put_bytes(text, "headers", message.headers);
    }
}

static void put_sent(FILE *text, const journal_sent_t *sent)
{
    put_number(text, "outgoing", sent->id);
    journal_sent_reader_t reader = journal_sent_open(sent);
    store_sent_t end;
    while (journal_sent_next(&reader, &end)) {
        put_number(text, "index", end.index);
        put_number(text, "as", end.id.value);
        put_number(text, "cause", end.cause);
    }
}

static void put_fields(FILE *text, const journal_record_t *record)
{
    switch (record->kind) {
    case RECORD_ADOPT:
        put_bytes(text, "broker", fabric_bytes(record->broker.bytes, sizeof record->broker.bytes));
        put_number(text, "epoch", record->epoch);
        put_name(text, "name", record->name);
        break;
    case RECORD_ALIVE:
        put_name(text, "type", record->kept.type);
        put_name(text, "entity", record->kept.entity);
        put_number(text, "causes", record->kept.causes);
        break;
    case RECORD_MESSAGE:
    case RECORD_MOVE:
        put_number(text, "position", record->position);
        put_message(text, &record->message);
        break;
    case RECORD_RESULT:
        fprintf(text, ";call=%" PRIu64 "/%" PRIu64 ";contents=%016" PRIx64, record->call.client,
                record->call.sequence, record->contents);
        put_number(text, "flags", record->message_flags);
        put_reply(text, &record->reply);
        if (record->key_hash) {
            put_bytes(text, "key", fabric_bytes(record->key_hash, KEY_HASH_BYTES));
            fprintf(text, ";kept_until=%" PRId64, record->reply.kept_until_ms);
        }
        if (record->state.type.size > 0) {
            put_effects(text, record);
        }
        if (record->outgoing.count > 0) {
            put_outgoing(text, &record->outgoing);
        }
        put_place(text, record->position, record->deliver_at_ms);
        break;
    case RECORD_ATTEMPT:
        put_place(text, record->position, record->deliver_at_ms);
        break;
    case RECORD_DEAD:
        put_message(text, &record->message);
        put_number(text, "cause", record->cause);
        put_name(text, "text", record->text);
        put_reply(text, &record->reply);
        put_place(text, record->position, record->message.deliver_at_ms);
        break;
    case RECORD_CLEAR:
        put_name(text, "type", record->message.type);
        put_name(text, "entity", record->message.entity);
        break;
    case RECORD_SENT:
        put_sent(text, &record->sent);
        break;
    }
    if (record->kind == RECORD_MESSAGE || record->kind == RECORD_MOVE ||
        record->kind == RECORD_ATTEMPT || record->kind == RECORD_DEAD) {
        fprintf(text, ";attempts=%" PRIu32 ";crashes=%" PRIu32, record->attempts.attempts,
                record->attempts.crashes);
    }
}

static void put_record(FILE *text, journal_read_t read, const journal_record_t *record)
{
    if (read == JOURNAL_READ_UNKNOWN) {
        fprintf(text, "UNKNOWN;kind=%u", (unsigned)record->kind);
    } else {
        fprintf(text, "%s%s", read == JOURNAL_READ_DAMAGED ? "DAMAGED-" : "",
                journal_record_kind_name(record->kind));
    }
    if (record->kind != RECORD_ADOPT) {
        fprintf(text, ";id=%" PRIu64 ";hash=%016" PRIx64, record->id.value, record->entity_hash);
    }
    if (read == JOURNAL_READ_RECORD) {
        if (record->kind != RECORD_ADOPT) {
            put_number(text, "shard", record->shard.value);
        }
        put_fields(text, record);
    }
}

typedef struct memory_text {
    char *bytes;
    size_t size;
} memory_text_t;

static FILE *open_text(memory_text_t *text)
{
    FILE *file = open_memstream(&text->bytes, &text->size);
    if (!file) {
        abort();
    }
    return file;
}

static char *close_text(FILE *file, memory_text_t *text)
{
    if (fclose(file) != 0) {
        abort();
    }
    return text->bytes;
}

char *journal_record_text(journal_read_t read, const journal_record_t *record)
{
    memory_text_t text;
    FILE *file = open_text(&text);
    put_record(file, read, record);
    return close_text(file, &text);
}

char *journal_lone_record_text(fabric_bytes_t bytes)
{
    journal_record_t record;
    fabric_error_t error = journal_record_decode(bytes, &record);
    return error ? strdup(fabric_error_name(error))
                 : journal_record_text(JOURNAL_READ_RECORD, &record);
}

static void put_body(FILE *text, fabric_bytes_t body)
{
    journal_reader_t reader;
    journal_record_t record;
    if (journal_reader_open(&reader, body, NULL) != FABRIC_OK) {
        fputs("MalformedMessage", text);
        return;
    }
    for (uint32_t i = 0; i < reader.count; i++) {
        fputs(i > 0 ? "|" : "", text);
        journal_read_t read = journal_read_next(&reader, &record);
        put_record(text, read, &record);
    }
}

char *journal_body_text(fabric_bytes_t body)
{
    memory_text_t text;
    FILE *file = open_text(&text);
    put_body(file, body);
    return close_text(file, &text);
}

static void put_calls(FILE *text, fabric_bytes_t calls)
{
    journal_calls_reader_t reader = journal_calls_open(calls);
    journal_call_t call;
    bool damaged;
    for (const char *between = ""; journal_calls_next(&reader, &call, &damaged); between = "|") {
        fprintf(text, "%scall=%" PRIu64 "/%" PRIu64 ";id=%" PRIu64 ";%s;record=%" PRIu32, between,
                call.call.client, call.call.sequence, call.id.value,
                call.ended ? "ended" : "accepted", call.record);
    }
    if (damaged) {
        fputs("MalformedMessage", text);
    }
}

char *journal_calls_text(fabric_bytes_t calls)
{
    memory_text_t text;
    FILE *file = open_text(&text);
    put_calls(file, calls);
    return close_text(file, &text);
}

bool journal_sample_read_row(fabric_bytes_t row, store_entry_t *entry)
{
    wire_reader_t reader = wire_reader(row);
    store_entry_t read = {0};
    uint32_t count = wire_get_array(&reader);
    read.checksum = wire_get_uint(&reader);
    read.lane = (uint32_t)wire_get_uint(&reader);
    read.number = wire_get_uint(&reader);
    read.epoch = wire_get_uint(&reader);
    fabric_bytes_t incarnation = wire_get_bin(&reader);
    read.last_id = wire_get_uint(&reader);
    read.created_ms = wire_get_int(&reader);
    read.log_bytes = wire_get_uint(&reader);
    read.adopt = wire_get_bool(&reader);
    read.calls = wire_get_bin(&reader);
    read.body = wire_get_bin(&reader);
    if (count != 11 || incarnation.size != sizeof read.incarnation.bytes ||
        wire_finish(&reader) != FABRIC_OK) {
        return false;
    }
    memcpy(read.incarnation.bytes, incarnation.data, incarnation.size);
    *entry = read;
    return true;
}

char *journal_entry_text(fabric_bytes_t row)
{
    store_entry_t entry;
    if (!journal_sample_read_row(row, &entry)) {
        return NULL;
    }
    memory_text_t text;
    FILE *file = open_text(&text);
    fputs(journal_entry_is_sound(&entry) ? "sound" : "unsound", file);
    put_number(file, "lane", entry.lane);
    put_number(file, "number", entry.number);
    put_number(file, "epoch", entry.epoch);
    put_number(file, "last_id", entry.last_id);
    put_number(file, "log_bytes", entry.log_bytes);
    fputs("|", file);
    put_body(file, entry.body);
    fputs("|", file);
    put_calls(file, entry.calls);
    return close_text(file, &text);
}
