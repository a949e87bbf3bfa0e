/* The checker's decoder of journals: see journal_decoder.h. */
#include "tests/checker/journal_decoder.h"

#include <string.h>

#include "core/hash.h"

enum {
    VERSION = 1,
    BODY_HEAD = 13,
    ITEM = 21,
    RECORD_HEAD = 17,
    CALLS_HEAD = 9,
    CALL = 28,
    INCARNATION = 16
};

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static uint64_t xxh3(fabric_bytes_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t decoded_entity_hash(fabric_bytes_t type, fabric_bytes_t entity)
{
    return xxh3(entity, xxh3(type, 0));
}

/* ---- msgpack: the few forms that records have ---- */

typedef struct cursor {
    const uint8_t *next, *end;
    bool bad;
} cursor_t;

static size_t left(const cursor_t *cursor)
{
    return cursor->bad ? 0 : (size_t)(cursor->end - cursor->next);
}

/* The big-endian number behind the type byte, which has `size` bytes. */
static uint64_t behind_type(cursor_t *cursor, size_t size)
{
    if (left(cursor) < 1 + size) {
        cursor->bad = true;
        return 0;
    }
    uint64_t number = big_endian(cursor->next + 1, size);
    cursor->next += 1 + size;
    return number;
}

static unsigned type_byte(const cursor_t *cursor)
{
    return left(cursor) > 0 ? *cursor->next : 0xc1; /* which msgpack never uses */
}

/* An integer, negative ones only where they may be. */
static uint64_t integer(cursor_t *cursor, bool may_be_negative)
{
    unsigned type = type_byte(cursor);
    if (type < 0x80) {
        cursor->next++;
        return type;
    }
    if (type >= 0xcc && type <= 0xcf) {
        uint64_t number = behind_type(cursor, (size_t)1 << (type - 0xcc));
        cursor->bad = cursor->bad || (may_be_negative && number > INT64_MAX);
        return number;
    }
    int64_t number = 0;
    if (type >= 0xe0) {
        cursor->next++;
        number = (int64_t)type - 256;
    } else if (type >= 0xd0 && type <= 0xd3) {
        unsigned bits = 8u << (type - 0xd0);
        uint64_t shifted = behind_type(cursor, bits / 8) << (64 - bits);
        memcpy(&number, &shifted, sizeof number);
        number >>= 64 - bits;
    } else {
        cursor->bad = true;
    }
    cursor->bad = cursor->bad || (number < 0 && !may_be_negative);
    return (uint64_t)number;
}

static uint64_t number_below(cursor_t *cursor, unsigned bits)
{
    uint64_t number = integer(cursor, false);
    cursor->bad = cursor->bad || (bits < 64 && number >> bits != 0);
    return number;
}

static uint64_t number(cursor_t *cursor)
{
    return number_below(cursor, 64);
}

static fabric_bytes_t view(cursor_t *cursor, uint64_t size)
{
    if (size > left(cursor)) {
        cursor->bad = true;
        return fabric_bytes(NULL, 0);
    }
    fabric_bytes_t bytes = fabric_bytes(cursor->next, (size_t)size);
    cursor->next += size;
    return bytes;
}

static fabric_bytes_t string(cursor_t *cursor)
{
    unsigned type = type_byte(cursor);
    if (type >= 0xa0 && type < 0xc0) {
        cursor->next++;
        return view(cursor, type - 0xa0);
    }
    cursor->bad = cursor->bad || type < 0xd9 || type > 0xdb;
    return view(cursor, cursor->bad ? 0 : behind_type(cursor, (size_t)1 << (type - 0xd9)));
}

static fabric_bytes_t binary(cursor_t *cursor)
{
    unsigned type = type_byte(cursor);
    cursor->bad = cursor->bad || type < 0xc4 || type > 0xc6;
    return view(cursor, cursor->bad ? 0 : behind_type(cursor, (size_t)1 << (type - 0xc4)));
}

static uint64_t array(cursor_t *cursor)
{
    unsigned type = type_byte(cursor);
    if (type >= 0x90 && type < 0xa0) {
        cursor->next++;
        return type - 0x90;
    }
    cursor->bad = cursor->bad || (type != 0xdc && type != 0xdd);
    return cursor->bad ? 0 : behind_type(cursor, type == 0xdc ? 2 : 4);
}

/* ---- records ---- */

static void key_hash(cursor_t *cursor, decoded_record_t *record)
{
    record->key_hash = binary(cursor);
    cursor->bad = cursor->bad || (record->key_hash.size != 0 && record->key_hash.size != 32);
}

static void contents(cursor_t *cursor, decoded_record_t *record)
{
    record->flags = number_below(cursor, 32);
    record->type = string(cursor);
    record->entity = string(cursor);
    record->tag = string(cursor);
    record->payload = binary(cursor);
    record->traceparent = string(cursor);
    record->headers = binary(cursor);
    record->client = number(cursor);
    record->sequence = number(cursor);
    key_hash(cursor, record);
    record->deliver_at_ms = (int64_t)integer(cursor, true);
    record->contents =
        xxh3(record->payload, xxh3(record->tag, decoded_entity_hash(record->type, record->entity)));
}

static void counts(cursor_t *cursor, decoded_record_t *record)
{
    record->attempts = number_below(cursor, 32);
    record->crashes = number_below(cursor, 32);
}

static void reply(cursor_t *cursor, decoded_record_t *record)
{
    record->status = number_below(cursor, 8);
    record->error = number_below(cursor, 32);
    record->code = number(cursor);
    record->reply = binary(cursor);
}

static uint64_t adopt_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->incarnation = binary(cursor);
    cursor->bad = cursor->bad || record->incarnation.size != INCARNATION;
    record->epoch = number(cursor);
    record->name = string(cursor);
    return 3;
}

static uint64_t message_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->id = number(cursor);
    record->position = number(cursor);
    record->position = record->position ? record->position : record->id;
    contents(cursor, record);
    counts(cursor, record);
    return 15;
}

/* Where the row of a scheduled message is: one more field of a record that has some already. */
static uint64_t place(cursor_t *cursor, uint64_t count, uint64_t plain, decoded_record_t *record)
{
    record->position = record->id;
    if (count != plain + 1) {
        return plain;
    }
    uint64_t parts = array(cursor);
    cursor->bad = cursor->bad || parts != 2;
    uint64_t position = number(cursor);
    record->position = position ? position : record->id;
    record->deliver_at_ms = (int64_t)integer(cursor, true);
    cursor->bad = cursor->bad || record->deliver_at_ms == 0;
    return count;
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= 255;
}

static void next_event(cursor_t *cursor, decoded_event_t *event)
{
    uint64_t parts = array(cursor);
    event->tag = string(cursor);
    event->version = number_below(cursor, 32);
    event->payload = binary(cursor);
    cursor->bad = cursor->bad || parts != 3 || !is_name(event->tag);
}

bool decode_event(fabric_bytes_t *events, decoded_event_t *event)
{
    cursor_t cursor = {events->data, events->data + events->size, events->size == 0};
    if (!cursor.bad) {
        next_event(&cursor, event);
    }
    *events = fabric_bytes(cursor.next, left(&cursor));
    return !cursor.bad;
}

static void event_list(cursor_t *cursor, decoded_record_t *record)
{
    uint64_t count = array(cursor);
    const uint8_t *begin = cursor->next;
    for (uint64_t i = 0; i < count && !cursor->bad; i++) {
        decoded_event_t event;
        next_event(cursor, &event);
    }
    record->event_count = count;
    record->events = fabric_bytes(begin, (size_t)(cursor->next - begin));
}

/* Which numbers an entity's events and its state may have. With outgoing messages there may be
 * neither, or a state of a type without events. */
static bool numbers_fit(const decoded_record_t *record, bool outgoing)
{
    if (outgoing && record->event_count == 0 && record->state_sequence == 0) {
        return record->first_event == 0 && (record->state.size > 0 || record->state_version == 0);
    }
    const uint64_t most = INT64_MAX;
    uint64_t first = record->first_event;
    uint64_t last = record->event_count > 0 ? first + record->event_count - 1 : 0;
    bool events = record->event_count > 0 ? first >= 1 && first <= most && last <= most
                                          : first == 0 && record->state.size > 0;
    bool state = record->state.size > 0
                     ? record->state_sequence >= 1 && record->state_sequence <= most &&
                           (last == 0 || record->state_sequence == last)
                     : record->state_sequence == 0 && record->state_version == 0;
    return events && state;
}

static void event_fields(cursor_t *cursor, bool outgoing, decoded_record_t *record)
{
    record->state_sequence = number(cursor);
    record->first_event = number(cursor);
    record->recorded_ms = (int64_t)integer(cursor, true);
    event_list(cursor, record);
    cursor->bad = cursor->bad || !numbers_fit(record, outgoing);
}

/* How many items of so many parts there are, which begin with a number below 2^32; none after the
 * first that is bad. */
static void outgoing_items(cursor_t *cursor, decoded_record_t *record, void item(cursor_t *cursor))
{
    uint64_t count = array(cursor);
    const uint8_t *begin = cursor->next;
    for (uint64_t i = 0; i < count && !cursor->bad; i++) {
        item(cursor);
    }
    record->outgoing_count = count;
    record->outgoing = fabric_bytes(begin, (size_t)(cursor->next - begin));
    cursor->bad = cursor->bad || record->outgoing_id == 0 || count < 1 || count > 1000;
}

static void next_told(cursor_t *cursor, decoded_told_t *told)
{
    uint64_t parts = array(cursor);
    told->shard = number_below(cursor, 32);
    told->type = string(cursor);
    told->entity = string(cursor);
    told->tag = string(cursor);
    told->payload = binary(cursor);
    told->primary_key = binary(cursor);
    told->deliver_at_ms = (int64_t)integer(cursor, true);
    told->flags = number_below(cursor, 32);
    told->headers = binary(cursor);
    cursor->bad = cursor->bad || parts != 9 || !is_name(told->type) || !is_name(told->entity) ||
                  !is_name(told->tag) || told->primary_key.size > 1024;
}

static void next_end(cursor_t *cursor, decoded_end_t *end)
{
    uint64_t parts = array(cursor);
    end->index = number(cursor);
    end->id = number(cursor);
    end->cause = number_below(cursor, 32);
    cursor->bad = cursor->bad || parts != 3 || end->index >= 1000 || end->id == 0;
}

static void outgoing_message(cursor_t *cursor)
{
    decoded_told_t told;
    next_told(cursor, &told);
}

static void outgoing_end(cursor_t *cursor)
{
    decoded_end_t end;
    next_end(cursor, &end);
}

bool decode_told(fabric_bytes_t *list, decoded_told_t *told)
{
    cursor_t cursor = {list->data, list->data + list->size, list->size == 0};
    if (!cursor.bad) {
        next_told(&cursor, told);
    }
    *list = fabric_bytes(cursor.next, left(&cursor));
    return !cursor.bad;
}

bool decode_end(fabric_bytes_t *list, decoded_end_t *end)
{
    cursor_t cursor = {list->data, list->data + list->size, list->size == 0};
    if (!cursor.bad) {
        next_end(&cursor, end);
    }
    *list = fabric_bytes(cursor.next, left(&cursor));
    return !cursor.bad;
}

static void outgoing_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->outgoing_id = number(cursor);
    record->tag = string(cursor);
    record->traceparent = string(cursor);
    outgoing_items(cursor, record, outgoing_message);
    cursor->bad = cursor->bad || !is_name(record->tag) || record->traceparent.size > 55;
}

static uint64_t sent_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->id = record->position = number(cursor);
    record->outgoing_id = number(cursor);
    outgoing_items(cursor, record, outgoing_end);
    return 3;
}

/* The number of fields says which there are: 1 for a place, 2 for a primary key, 4 for a state, and
 * 8 for events, which have those of a state, and 12 for outgoing messages, which have those of
 * events. */
static uint64_t result_fields(cursor_t *cursor, uint64_t count, decoded_record_t *record)
{
    record->id = number(cursor);
    record->client = number(cursor);
    record->sequence = number(cursor);
    record->contents = number(cursor);
    record->flags = number_below(cursor, 32);
    reply(cursor, record);
    bool stateful = count >= 13;
    bool eventful = count >= 17;
    bool outgoing = count >= 21;
    uint64_t plain = outgoing ? 21 : eventful ? 17 : stateful ? 13 : 9;
    if (count >= plain + 2) {
        key_hash(cursor, record);
        cursor->bad = cursor->bad || record->key_hash.size == 0;
        record->kept_until_ms = (int64_t)integer(cursor, true);
        plain += 2;
    }
    if (stateful) {
        record->type = string(cursor);
        record->entity = string(cursor);
        record->state_version = number_below(cursor, 32);
        record->state = binary(cursor);
        cursor->bad = cursor->bad || !is_name(record->type) || !is_name(record->entity) ||
                      (!eventful && record->state.size == 0);
    }
    if (eventful) {
        event_fields(cursor, outgoing, record);
    }
    if (outgoing) {
        outgoing_fields(cursor, record);
    }
    return place(cursor, count, plain, record);
}

static uint64_t attempt_fields(cursor_t *cursor, uint64_t count, decoded_record_t *record)
{
    record->id = number(cursor);
    counts(cursor, record);
    return place(cursor, count, 3, record);
}

static uint64_t dead_fields(cursor_t *cursor, uint64_t count, decoded_record_t *record)
{
    record->id = number(cursor);
    contents(cursor, record);
    counts(cursor, record);
    record->cause = number_below(cursor, 32);
    record->text = string(cursor);
    reply(cursor, record);
    record->position = record->id;
    if (count != 21 || record->deliver_at_ms == 0) {
        return 20;
    }
    uint64_t position = number(cursor);
    record->position = position ? position : record->id;
    return 21;
}

static uint64_t clear_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->id = record->position = number(cursor);
    record->type = string(cursor);
    record->entity = string(cursor);
    return 3;
}

static uint64_t alive_fields(cursor_t *cursor, decoded_record_t *record)
{
    record->type = string(cursor);
    record->entity = string(cursor);
    record->causes = number_below(cursor, 32);
    cursor->bad = cursor->bad || record->type.size < 1 || record->type.size > 255 ||
                  record->entity.size < 1 || record->entity.size > 255;
    return 3;
}

/* How many of the `count` fields the kind has; 0: there is no such kind. */
static uint64_t fields(cursor_t *cursor, uint64_t count, decoded_record_t *record)
{
    switch (record->kind) {
    case DECODED_ADOPT:
        return adopt_fields(cursor, record);
    case DECODED_MESSAGE:
    case DECODED_MOVE:
        return message_fields(cursor, record);
    case DECODED_RESULT:
        return result_fields(cursor, count, record);
    case DECODED_ATTEMPT:
        return attempt_fields(cursor, count, record);
    case DECODED_DEAD:
        return dead_fields(cursor, count, record);
    case DECODED_CLEAR:
        return clear_fields(cursor, record);
    case DECODED_SENT:
        return sent_fields(cursor, record);
    case DECODED_ALIVE:
        return alive_fields(cursor, record);
    default: /* a number from the store */
        return 0;
    }
}

const char *decode_record(fabric_bytes_t bytes, decoded_record_t *record)
{
    if (bytes.size < RECORD_HEAD || big_endian(bytes.data, 4) != bytes.size - 4) {
        return "a record's length is wrong";
    }
    if (big_endian(bytes.data + 4, 8) != xxh3(fabric_bytes(bytes.data + 12, bytes.size - 12), 0)) {
        return "a record's checksum is wrong";
    }
    *record = (decoded_record_t){.kind = bytes.data[12], .shard = big_endian(bytes.data + 13, 4)};
    cursor_t cursor = {bytes.data + RECORD_HEAD, bytes.data + bytes.size, false};
    uint64_t count = array(&cursor);
    uint64_t expected = fields(&cursor, count, record);
    if (expected == 0) {
        return "a record is of an unknown kind";
    }
    return cursor.bad || count != expected || cursor.next != cursor.end
               ? "a record's fields are not those of its kind"
               : NULL;
}

/* ---- bodies ---- */

/* Where the record begins, from the end of the index. */
static uint64_t offset_of(fabric_bytes_t body, uint64_t number, uint64_t count, uint64_t end)
{
    return number < count ? big_endian(body.data + BODY_HEAD + number * ITEM, 4) : end;
}

static const char *decode_indexed(fabric_bytes_t body, uint32_t number, uint64_t count,
                                  decoded_record_t *record)
{
    const uint8_t *item = body.data + BODY_HEAD + (size_t)number * ITEM;
    uint64_t records = BODY_HEAD + count * ITEM;
    uint64_t begin = offset_of(body, number, count, body.size - records);
    uint64_t end = offset_of(body, number + 1u, count, body.size - records);
    if ((number == 0 && begin != 0) || begin > end || end > body.size - records) {
        return "an offset of the index is wrong";
    }
    const char *fault =
        decode_record(fabric_bytes(body.data + records + begin, (size_t)(end - begin)), record);
    if (fault) {
        return fault;
    }
    bool contradicts = record->kind != item[4] || record->id != big_endian(item + 5, 8);
    bool named = record->kind == DECODED_MESSAGE || record->kind == DECODED_MOVE ||
                 record->kind == DECODED_DEAD || record->kind == DECODED_CLEAR ||
                 record->kind == DECODED_ALIVE;
    uint64_t hash = named ? decoded_entity_hash(record->type, record->entity) : 0;
    return contradicts ||
                   ((named || record->kind == DECODED_ADOPT) && big_endian(item + 13, 8) != hash)
               ? "the index contradicts a record"
               : NULL;
}

const char *decode_body(fabric_bytes_t body, decoded_record_fn *visit, void *context)
{
    if (body.size == 0) {
        return NULL;
    }
    if (body.size < BODY_HEAD || body.data[0] != VERSION) {
        return "the body has no head of version 1";
    }
    uint64_t count = big_endian(body.data + 9, 4);
    if (count == 0 || count > (body.size - BODY_HEAD) / (ITEM + RECORD_HEAD)) {
        return "the index has an impossible count";
    }
    if (big_endian(body.data + 1, 8) !=
        xxh3(fabric_bytes(body.data + 9, 4 + (size_t)count * ITEM), 0)) {
        return "the index has a wrong checksum";
    }
    for (uint32_t i = 0; i < count; i++) {
        decoded_record_t record;
        const char *fault = decode_indexed(body, i, count, &record);
        if (fault) {
            return fault;
        }
        visit(context, i, &record);
    }
    return NULL;
}

/* ---- rows ---- */

/* Compares `calls` with the records of the body, one after the other. */
typedef struct calls_check {
    fabric_bytes_t rest;
    bool differs;
} calls_check_t;

static void compare_call(void *context, uint32_t number, const decoded_record_t *record)
{
    calls_check_t *check = context;
    bool clears = record->kind == DECODED_CLEAR; /* the entity's hash stands for the client */
    bool ends = record->kind == DECODED_RESULT || record->kind == DECODED_DEAD || clears;
    uint64_t client = clears ? decoded_entity_hash(record->type, record->entity) : record->client;
    if (!ends && record->kind != DECODED_MESSAGE && record->kind != DECODED_MOVE) {
        return;
    }
    if (check->rest.size < CALL) {
        check->differs = true;
        return;
    }
    const uint8_t *call = check->rest.data;
    check->differs = check->differs || big_endian(call, 8) != client ||
                     big_endian(call + 8, 8) != record->sequence ||
                     big_endian(call + 16, 8) != record->id ||
                     big_endian(call + 24, 4) != 2u * number + ends;
    check->rest = fabric_bytes(call + CALL, check->rest.size - CALL);
}

static const char *check_calls(const decoded_row_t *row)
{
    calls_check_t check = {.rest = row->calls};
    if (row->calls.size > 0) {
        if (row->calls.size <= CALLS_HEAD || row->calls.data[0] != VERSION) {
            return "calls have no head of version 1";
        }
        check.rest = fabric_bytes(row->calls.data + CALLS_HEAD, row->calls.size - CALLS_HEAD);
        if (big_endian(row->calls.data + 1, 8) != xxh3(check.rest, 0)) {
            return "calls have a wrong checksum";
        }
    }
    const char *fault = decode_body(row->body, compare_call, &check);
    if (fault) {
        return fault;
    }
    return check.differs || check.rest.size > 0 ? "calls are not those of the body" : NULL;
}

static uint8_t *put(uint8_t *place, uint64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--, number >>= 8) {
        place[i - 1] = (uint8_t)number;
    }
    return place + size;
}

const char *decode_check_row(const decoded_row_t *row)
{
    uint8_t columns[93];
    if (row->incarnation.size != INCARNATION) {
        return "the incarnation has not 16 bytes";
    }
    uint8_t *place = put(columns, row->lane, 4);
    place = put(place, row->number, 8);
    place = put(place, row->epoch, 8);
    memcpy(place, row->incarnation.data, INCARNATION);
    place = put(place + INCARNATION, row->last_id, 8);
    place = put(place, (uint64_t)row->created_ms, 8);
    place = put(place, row->log_bytes, 8);
    place = put(place, row->adopt, 1);
    place = put(place, row->calls.size, 8);
    place = put(place, xxh3(row->calls, 0), 8);
    place = put(place, row->body.size, 8);
    place = put(place, xxh3(row->body, 0), 8);
    if (xxh3(fabric_bytes(columns, (size_t)(place - columns)), 0) != row->checksum) {
        return "the row's checksum is wrong";
    }
    return check_calls(row);
}
