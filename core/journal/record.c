/* Records: see record.h. Each kind's writer and reader stand side by side. */
#include "core/journal/record.h"

#include "core/hash.h"
#include "core/journal/entry.h"
#include "core/journal/record_state.h"
#include "core/limits.h"

enum {
    ADOPT_FIELDS = 3,
    MESSAGE_FIELDS = 15,
    RESULT_FIELDS = 9,
    KEYED_RESULT_FIELDS = 11,
    ATTEMPT_FIELDS = 3,
    DEAD_FIELDS = 20,
    CLEAR_FIELDS = 3,
    ALIVE_FIELDS = 3,
    SENT_FIELDS = 3,
    STATE_FIELDS = 4,      /* more: of a RESULT that has changed its entity's persisted state */
    EVENT_FIELDS = 4,      /* more than those: of one whose entity's type appends events */
    OUTGOING_FIELDS = 4,   /* more than those: of one that has outgoing messages */
    KEY_FIELDS = 2,        /* more: of a RESULT whose message has a primary key */
    PLACE_FIELDS = 1,      /* more: of a RESULT or ATTEMPT whose message has a time of delivery */
    DEAD_PLACE_FIELDS = 1, /* the same of a DEAD */
    PLACE_PARTS = 2        /* of a place: position, time of delivery */
};

const char *journal_record_kind_name(unsigned kind)
{
    switch (kind) {
#define JOURNAL_RECORD_ROW(number, name, meaning)                                                  \
    case (number):                                                                                 \
        return #name;
#include "schemas/records.def"
#undef JOURNAL_RECORD_ROW
    default: /* a number from outside */
        return "?";
    }
}

bool record_kind_is_known(unsigned kind)
{
    return journal_record_kind_name(kind)[0] != '?';
}

/* ---- hashes ---- */

static uint64_t hash(fabric_bytes_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t journal_entity_hash(fabric_bytes_t type, fabric_bytes_t id)
{
    return hash(id, hash(type, 0));
}

uint64_t journal_contents_hash(const store_message_t *message)
{
    return hash(message->payload,
                hash(message->tag, journal_entity_hash(message->type, message->entity)));
}

/* ---- the head ---- */

static size_t begin_record(wire_writer_t *out, journal_record_kind_t kind, shard_id_t shard,
                           uint32_t field_count)
{
    size_t mark = out->size;
    wire_writer_reserve(out, RECORD_HEAD_BYTES);
    out->size += RECORD_HEAD_BYTES;
    out->data[mark + RECORD_CHECKED_AT] = (uint8_t)kind;
    store_u32(out->data + mark + RECORD_CHECKED_AT + 1, shard.value);
    wire_put_array(out, field_count);
    return mark;
}

static void end_record(wire_writer_t *out, size_t mark)
{
    uint8_t *head = out->data + mark;
    size_t size = out->size - mark;
    store_u32(head, (uint32_t)(size - RECORD_LENGTH_BYTES));
    store_u64(head + RECORD_LENGTH_BYTES,
              XXH3_64bits(head + RECORD_CHECKED_AT, size - RECORD_CHECKED_AT));
}

/* Whether length and checksum fit the bytes. */
static bool head_is_sound(fabric_bytes_t bytes)
{
    return bytes.size >= RECORD_HEAD_BYTES &&
           load_u32(bytes.data) == bytes.size - RECORD_LENGTH_BYTES &&
           load_u64(bytes.data + RECORD_LENGTH_BYTES) ==
               XXH3_64bits(bytes.data + RECORD_CHECKED_AT, bytes.size - RECORD_CHECKED_AT);
}

/* ---- fields ---- */

static uint32_t get_u32(wire_reader_t *fields)
{
    uint64_t value = wire_get_uint(fields);
    if (value > UINT32_MAX) {
        fields->failed = true;
    }
    return (uint32_t)value;
}

static void put_attempts(wire_writer_t *out, journal_attempts_t attempts)
{
    wire_put_uint(out, attempts.attempts);
    wire_put_uint(out, attempts.crashes);
}

static journal_attempts_t get_attempts(wire_reader_t *fields)
{
    journal_attempts_t attempts;
    attempts.attempts = get_u32(fields);
    attempts.crashes = get_u32(fields);
    return attempts;
}

static void put_call(wire_writer_t *out, call_key_t call)
{
    wire_put_uint(out, call.client);
    wire_put_uint(out, call.sequence);
}

static call_key_t get_call(wire_reader_t *fields)
{
    call_key_t call;
    call.client = wire_get_uint(fields);
    call.sequence = wire_get_uint(fields);
    return call;
}

static void put_key_hash(wire_writer_t *out, const uint8_t *key_hash)
{
    wire_put_bin(out, fabric_bytes(key_hash, key_hash ? STORE_KEY_BYTES : 0));
}

static const uint8_t *get_key_hash(wire_reader_t *fields)
{
    fabric_bytes_t key_hash = wire_get_bin(fields);
    if (key_hash.size != 0 && key_hash.size != STORE_KEY_BYTES) {
        fields->failed = true;
    }
    return key_hash.size > 0 ? key_hash.data : NULL;
}

/* All of a message but its id and shard. */
static void put_contents(wire_writer_t *out, const store_message_t *message)
{
    wire_put_uint(out, message->flags);
    wire_put_str(out, message->type);
    wire_put_str(out, message->entity);
    wire_put_str(out, message->tag);
    wire_put_bin(out, message->payload);
    wire_put_str(out, message->traceparent);
    wire_put_bin(out, message->headers);
    put_call(out, message->call);
    put_key_hash(out, message->key_hash);
    wire_put_int(out, message->deliver_at_ms);
}

static void get_contents(wire_reader_t *fields, store_message_t *message)
{
    message->flags = get_u32(fields);
    message->type = wire_get_str(fields);
    message->entity = wire_get_str(fields);
    message->tag = wire_get_str(fields);
    message->payload = wire_get_bin(fields);
    message->traceparent = wire_get_str(fields);
    message->headers = wire_get_bin(fields);
    message->call = get_call(fields);
    message->key_hash = get_key_hash(fields);
    message->deliver_at_ms = wire_get_int(fields);
}

static void put_reply(wire_writer_t *out, const store_reply_t *reply)
{
    wire_put_uint(out, reply->status);
    wire_put_uint(out, reply->error);
    wire_put_uint(out, reply->code);
    wire_put_bin(out, reply->payload);
}

static void get_reply(wire_reader_t *fields, store_reply_t *reply)
{
    uint64_t status = wire_get_uint(fields);
    if (status > UINT8_MAX) {
        fields->failed = true;
    }
    reply->status = (uint8_t)status;
    reply->error = get_u32(fields);
    reply->code = wire_get_uint(fields);
    reply->payload = wire_get_bin(fields);
}

/* Where the row of a message lies does not follow from its id if it has a time of delivery. Records
 * without a copy of the message say it in one nested field at their end, which those of other
 * messages lack: the other optional fields come in pairs, so the number of fields tells all. */
static uint32_t place_fields(const store_message_t *message)
{
    return message->deliver_at_ms != 0 ? PLACE_FIELDS : 0;
}

static void put_position(wire_writer_t *out, const store_message_t *message, uint64_t position)
{
    wire_put_uint(out, position == message->id.value ? 0 : position);
}

static void get_position(wire_reader_t *fields, journal_record_t *record)
{
    uint64_t position = wire_get_uint(fields);
    record->position = position ? position : record->id.value;
}

static void put_place(wire_writer_t *out, const store_message_t *message, uint64_t position)
{
    if (message->deliver_at_ms != 0) {
        wire_put_array(out, PLACE_PARTS);
        put_position(out, message, position);
        wire_put_int(out, message->deliver_at_ms);
    }
}

/* `count`: of all fields; `fields`: of those without a place. Returns how many there are to be. */
static uint32_t get_place(wire_reader_t *reader, uint32_t count, uint32_t fields,
                          journal_record_t *record)
{
    record->position = record->id.value;
    if (count != fields + PLACE_FIELDS) {
        return fields;
    }
    reader->failed |= wire_get_array(reader) != PLACE_PARTS;
    get_position(reader, record);
    record->deliver_at_ms = wire_get_int(reader);
    reader->failed |= record->deliver_at_ms == 0;
    return count;
}

/* ---- kinds ---- */

void record_put_adopt(wire_writer_t *out, incarnation_t broker, uint64_t epoch, fabric_bytes_t name)
{
    size_t mark = begin_record(out, RECORD_ADOPT, (shard_id_t){0}, ADOPT_FIELDS);
    wire_put_bin(out, fabric_bytes(broker.bytes, sizeof broker.bytes));
    wire_put_uint(out, epoch);
    wire_put_str(out, name);
    end_record(out, mark);
}

static uint32_t get_adopt(wire_reader_t *fields, journal_record_t *record)
{
    fabric_bytes_t broker = wire_get_bin(fields);
    if (broker.size == sizeof record->broker.bytes) {
        memcpy(record->broker.bytes, broker.data, broker.size);
    } else {
        fields->failed = true;
    }
    record->epoch = wire_get_uint(fields);
    record->name = wire_get_str(fields);
    return ADOPT_FIELDS;
}

void record_put_message(wire_writer_t *out, const store_message_t *message, uint64_t position,
                        journal_attempts_t attempts)
{
    size_t mark = begin_record(out, RECORD_MESSAGE, message->shard, MESSAGE_FIELDS);
    wire_put_uint(out, message->id.value);
    put_position(out, message, position);
    put_contents(out, message);
    put_attempts(out, attempts);
    end_record(out, mark);
}

static uint32_t get_message(wire_reader_t *fields, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    get_position(fields, record);
    get_contents(fields, &record->message);
    record->attempts = get_attempts(fields);
    return MESSAGE_FIELDS;
}

/* The fields are those of MESSAGE. */
void record_put_move(wire_writer_t *out, const store_message_t *message, uint64_t position)
{
    size_t mark = begin_record(out, RECORD_MOVE, message->shard, MESSAGE_FIELDS);
    wire_put_uint(out, message->id.value);
    put_position(out, message, position);
    put_contents(out, message);
    put_attempts(out, (journal_attempts_t){0}); /* it was never delivered */
    end_record(out, mark);
}

/* ---- a RESULT ---- */

static bool has_events(const journal_effects_t *effects)
{
    return effects->events.count > 0 || effects->sequence > 0;
}

/* How many fields tell the effects. Those of more have those of less, empty or not. */
static uint32_t effect_fields(const journal_effects_t *effects)
{
    if (effects->outgoing.count > 0) {
        return STATE_FIELDS + EVENT_FIELDS + OUTGOING_FIELDS;
    }
    uint32_t state = effects->state.size > 0 ? STATE_FIELDS : 0;
    return has_events(effects) ? STATE_FIELDS + EVENT_FIELDS : state;
}

static void put_outgoing(wire_writer_t *out, const store_message_t *message,
                         const journal_outgoing_t *outgoing)
{
    wire_put_uint(out, outgoing->id);
    wire_put_str(out, message->tag);
    wire_put_str(out, outgoing->traceparent);
    wire_put_array(out, outgoing->count);
    wire_append(out, outgoing->list.data, outgoing->list.size);
}

static void put_effects(wire_writer_t *out, const store_message_t *message,
                        const journal_effects_t *effects)
{
    uint32_t count = effect_fields(effects);
    if (count == 0) {
        return;
    }
    wire_put_str(out, message->type);
    wire_put_str(out, message->entity);
    wire_put_uint(out, effects->version);
    wire_put_bin(out, effects->state);
    if (count >= STATE_FIELDS + EVENT_FIELDS) {
        wire_put_uint(out, effects->sequence);
        wire_put_uint(out, effects->events.first);
        wire_put_int(out, effects->events.recorded_ms);
        journal_events_put_array(out, &effects->events);
    }
    if (effects->outgoing.count > 0) {
        put_outgoing(out, message, &effects->outgoing);
    }
}

static void get_state(wire_reader_t *fields, journal_record_t *record)
{
    store_state_t *state = &record->state;
    state->type = wire_get_str(fields);
    state->entity = wire_get_str(fields);
    state->shard = record->shard;
    state->version = get_u32(fields);
    state->state = wire_get_bin(fields);
    fields->failed |= state->type.size == 0 || state->type.size > LIMIT_NAME_BYTES_MAX ||
                      state->entity.size == 0 || state->entity.size > LIMIT_NAME_BYTES_MAX;
}

/* Whether the state contains all events up to the last one here, and there is one of the two. With
 * outgoing messages there may be neither, and a state of a type that appends no events. */
static bool effects_fit(const store_state_t *state, const journal_events_t *events, bool outgoing)
{
    if (state->state.size == 0) {
        return (outgoing || events->count > 0) && state->sequence == 0 && state->version == 0;
    }
    if (outgoing && events->count == 0 && state->sequence == 0) {
        return true;
    }
    return state->sequence > 0 && state->sequence <= STORE_SEQUENCE_MAX &&
           (events->count == 0 || state->sequence == journal_events_last(events));
}

static void get_events(wire_reader_t *fields, bool outgoing, journal_record_t *record)
{
    record->state.sequence = wire_get_uint(fields);
    record->events.first = wire_get_uint(fields);
    record->events.recorded_ms = wire_get_int(fields);
    journal_events_get(fields, &record->events);
    fields->failed |= !effects_fit(&record->state, &record->events, outgoing);
}

static void get_outgoing(wire_reader_t *fields, journal_outgoing_t *outgoing)
{
    outgoing->id = wire_get_uint(fields);
    outgoing->tag = wire_get_str(fields);
    outgoing->traceparent = wire_get_str(fields);
    journal_outgoing_get(fields, outgoing);
    fields->failed |= outgoing->count == 0 || outgoing->tag.size == 0 ||
                      outgoing->tag.size > LIMIT_NAME_BYTES_MAX ||
                      outgoing->traceparent.size > LIMIT_TRACEPARENT_BYTES_MAX;
}

void record_put_result(wire_writer_t *out, const store_message_t *message, uint64_t position,
                       const store_reply_t *reply, const journal_effects_t *effects)
{
    uint32_t count = RESULT_FIELDS + (message->key_hash ? KEY_FIELDS : 0u) +
                     effect_fields(effects) + place_fields(message);
    size_t mark = begin_record(out, RECORD_RESULT, message->shard, count);
    wire_put_uint(out, message->id.value);
    put_call(out, message->call);
    wire_put_uint(out, journal_contents_hash(message));
    wire_put_uint(out, message->flags);
    put_reply(out, reply);
    if (message->key_hash) {
        put_key_hash(out, message->key_hash);
        wire_put_int(out, reply->kept_until_ms);
    }
    put_effects(out, message, effects);
    put_place(out, message, position);
    end_record(out, mark);
}

/* `count`: of the fields that are there. It tells which of the last ones are: a place has one
 * field, a key two, a state four, events, which have those of a state, eight, and outgoing
 * messages, which have those of events, twelve. */
static uint32_t get_result(wire_reader_t *fields, uint32_t count, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    record->call = get_call(fields);
    record->contents = wire_get_uint(fields);
    record->message_flags = get_u32(fields);
    get_reply(fields, &record->reply);
    bool stateful = count >= RESULT_FIELDS + STATE_FIELDS;
    bool eventful = count >= RESULT_FIELDS + STATE_FIELDS + EVENT_FIELDS;
    bool outgoing = count >= RESULT_FIELDS + STATE_FIELDS + EVENT_FIELDS + OUTGOING_FIELDS;
    uint32_t known = RESULT_FIELDS + (stateful ? STATE_FIELDS : 0u) +
                     (eventful ? EVENT_FIELDS : 0u) + (outgoing ? OUTGOING_FIELDS : 0u);
    if (count >= known + KEY_FIELDS) {
        record->key_hash = get_key_hash(fields);
        fields->failed = fields->failed || !record->key_hash;
        record->reply.kept_until_ms = wire_get_int(fields);
        known += KEY_FIELDS;
    }
    if (stateful) {
        get_state(fields, record);
        fields->failed |= !eventful && record->state.state.size == 0;
    }
    if (eventful) {
        get_events(fields, outgoing, record);
    }
    if (outgoing) {
        get_outgoing(fields, &record->outgoing);
    }
    return get_place(fields, count, known, record);
}

void record_put_attempt(wire_writer_t *out, const store_message_t *message, uint64_t position,
                        journal_attempts_t attempts)
{
    size_t mark =
        begin_record(out, RECORD_ATTEMPT, message->shard, ATTEMPT_FIELDS + place_fields(message));
    wire_put_uint(out, message->id.value);
    put_attempts(out, attempts);
    put_place(out, message, position);
    end_record(out, mark);
}

static uint32_t get_attempt(wire_reader_t *fields, uint32_t count, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    record->attempts = get_attempts(fields);
    return get_place(fields, count, ATTEMPT_FIELDS, record);
}

void record_put_dead(wire_writer_t *out, const store_message_t *message, uint64_t position,
                     const store_reply_t *reply, journal_attempts_t attempts, uint32_t cause,
                     fabric_bytes_t text)
{
    bool placed = message->deliver_at_ms != 0;
    size_t mark = begin_record(out, RECORD_DEAD, message->shard,
                               DEAD_FIELDS + (placed ? DEAD_PLACE_FIELDS : 0));
    wire_put_uint(out, message->id.value);
    put_contents(out, message);
    put_attempts(out, attempts);
    wire_put_uint(out, cause);
    wire_put_str(out, text);
    put_reply(out, reply);
    if (placed) {
        put_position(out, message, position);
    }
    end_record(out, mark);
}

static uint32_t get_dead(wire_reader_t *fields, uint32_t count, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    get_contents(fields, &record->message);
    record->attempts = get_attempts(fields);
    record->cause = get_u32(fields);
    record->text = wire_get_str(fields);
    get_reply(fields, &record->reply);
    record->position = record->id.value;
    if (count != DEAD_FIELDS + DEAD_PLACE_FIELDS || record->message.deliver_at_ms == 0) {
        return DEAD_FIELDS;
    }
    get_position(fields, record);
    return count;
}

void record_put_clear(wire_writer_t *out, request_id_t id, shard_id_t shard, fabric_bytes_t type,
                      fabric_bytes_t entity)
{
    size_t mark = begin_record(out, RECORD_CLEAR, shard, CLEAR_FIELDS);
    wire_put_uint(out, id.value);
    wire_put_str(out, type);
    wire_put_str(out, entity);
    end_record(out, mark);
}

static uint32_t get_clear(wire_reader_t *fields, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    record->position = record->id.value;
    record->message.type = wire_get_str(fields);
    record->message.entity = wire_get_str(fields);
    return CLEAR_FIELDS;
}

void record_put_alive(wire_writer_t *out, const store_kept_t *kept)
{
    size_t mark = begin_record(out, RECORD_ALIVE, kept->shard, ALIVE_FIELDS);
    wire_put_str(out, kept->type);
    wire_put_str(out, kept->entity);
    wire_put_uint(out, kept->causes);
    end_record(out, mark);
}

static uint32_t get_alive(wire_reader_t *fields, journal_record_t *record)
{
    store_kept_t *kept = &record->kept;
    kept->type = wire_get_str(fields);
    kept->entity = wire_get_str(fields);
    kept->causes = get_u32(fields);
    kept->shard = record->shard;
    fields->failed |= kept->type.size == 0 || kept->type.size > LIMIT_NAME_BYTES_MAX ||
                      kept->entity.size == 0 || kept->entity.size > LIMIT_NAME_BYTES_MAX;
    return ALIVE_FIELDS;
}

void record_put_sent(wire_writer_t *out, request_id_t source, shard_id_t shard,
                     const journal_sent_t *sent)
{
    size_t mark = begin_record(out, RECORD_SENT, shard, SENT_FIELDS);
    wire_put_uint(out, source.value);
    wire_put_uint(out, sent->id);
    wire_put_array(out, sent->count);
    wire_append(out, sent->list.data, sent->list.size);
    end_record(out, mark);
}

static uint32_t get_sent(wire_reader_t *fields, journal_record_t *record)
{
    record->id.value = wire_get_uint(fields);
    record->position = record->id.value;
    record->sent.id = wire_get_uint(fields);
    journal_sent_get(fields, &record->sent);
    return SENT_FIELDS;
}

/* Reads the `count` fields of a record, and returns how many there are to be. */
static uint32_t get_fields(wire_reader_t *fields, uint32_t count, journal_record_t *record)
{
    switch (record->kind) {
    case RECORD_ADOPT:
        return get_adopt(fields, record);
    case RECORD_MESSAGE:
    case RECORD_MOVE:
        return get_message(fields, record);
    case RECORD_RESULT:
        return get_result(fields, count, record);
    case RECORD_ATTEMPT:
        return get_attempt(fields, count, record);
    case RECORD_DEAD:
        return get_dead(fields, count, record);
    case RECORD_CLEAR:
        return get_clear(fields, record);
    case RECORD_SENT:
        return get_sent(fields, record);
    case RECORD_ALIVE:
        return get_alive(fields, record);
    }
    return 0;
}

fabric_error_t record_decode(fabric_bytes_t bytes, journal_record_t *record)
{
    if (!head_is_sound(bytes)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const uint8_t *head = bytes.data + RECORD_CHECKED_AT;
    if (!record_kind_is_known(*head)) {
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    *record =
        (journal_record_t){.kind = (journal_record_kind_t)*head, .shard = {load_u32(head + 1)}};
    wire_reader_t fields =
        wire_reader(fabric_bytes(bytes.data + RECORD_HEAD_BYTES, bytes.size - RECORD_HEAD_BYTES));
    uint32_t count = wire_get_array(&fields);
    uint32_t expected = get_fields(&fields, count, record);
    if (count != expected || wire_finish(&fields) != FABRIC_OK) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    record->message.id = record->reply.id = record->id;
    record->message.shard = record->reply.shard = record->shard;
    return FABRIC_OK;
}

fabric_error_t journal_record_decode(fabric_bytes_t bytes, journal_record_t *record)
{
    journal_record_t decoded;
    fabric_error_t error = record_decode(bytes, &decoded);
    if (error) {
        return error;
    }
    if (decoded.kind == RECORD_MESSAGE || decoded.kind == RECORD_MOVE ||
        decoded.kind == RECORD_DEAD || decoded.kind == RECORD_CLEAR) {
        decoded.entity_hash = journal_entity_hash(decoded.message.type, decoded.message.entity);
    } else if (decoded.state.type.size > 0) {
        decoded.entity_hash = journal_entity_hash(decoded.state.type, decoded.state.entity);
    } else if (decoded.kind == RECORD_ALIVE) {
        decoded.entity_hash = journal_entity_hash(decoded.kept.type, decoded.kept.entity);
    }
    *record = decoded;
    return FABRIC_OK;
}
