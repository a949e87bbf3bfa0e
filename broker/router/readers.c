/* Queries of the events of entities: see readers_state.h. */
#include "broker/router/readers_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/address.h"
#include "core/hash.h"
#include "core/memory.h"

/* QUERIES_MAX: at one time. PART_EVENTS and PART_BYTES: of one answer, which is within half a
 * frame: the bytes of payloads at which it ends, and so it has one event more at most. READ_MS: how
 * long rows may take. */
enum { QUERIES_MAX = 256, PART_EVENTS = 1000, PART_BYTES = 512 << 10 };
enum { WAIT_MS_MAX = 60000, READ_MS = 10000 };

struct reader {
    uint64_t origin; /* who asks */
    uint64_t sequence;
    uint64_t wait_until_ms; /* for an event */
    uint64_t end_at_ms;     /* in any case */
    uint64_t after;
    uint32_t limit;
    shard_id_t shard;
    uint64_t entity_hash;
    reader_t **list; /* that it is in */
    reader_t *prev, *next;
    fabric_bytes_t type, id; /* views into names */
    uint8_t names[];
};

static lane_readers_t *readers_of(router_t *router, const reader_t *reader)
{
    return &lane_of(router, reader->shard)->readers;
}

static void move(reader_t *reader, reader_t **list)
{
    if (reader->list) {
        DL_DELETE(*reader->list, reader);
    }
    reader->list = list;
    if (list) {
        DL_APPEND(*list, reader);
    }
}

static void destroy(router_t *router, reader_t *reader)
{
    router->reader_count--;
    move(reader, NULL);
    free(reader);
}

/* ---- answers ---- */

static void put_answer(router_t *router, uint64_t origin, uint64_t sequence, fabric_error_t error,
                       const char *text, fabric_bytes_t document)
{
    peer_t *peer = peer_of_origin(router, origin);
    message_answer_t answer = {.sequence = sequence,
                               .error = (uint64_t)error,
                               .text = fabric_bytes_of(text),
                               .document = document};
    if (peer) {
        message_put_answer(peer_writer(router, peer), &answer);
    }
}

static void fail(router_t *router, reader_t *reader, fabric_error_t error, const char *text)
{
    put_answer(router, reader->origin, reader->sequence, error, text, fabric_bytes(NULL, 0));
    destroy(router, reader);
}

/* The events of an answer. */
typedef struct part {
    wire_writer_t events;
    uint32_t count;
    uint64_t last;
    size_t bytes; /* of payloads */
    bool more;
} part_t;

/* Adds the event, unless the part is full. */
static void part_add(part_t *part, const reader_t *reader, const store_event_t *event)
{
    if (part->more || part->count == reader->limit || part->bytes >= PART_BYTES) {
        part->more = true;
        return;
    }
    wire_put_array(&part->events, 6);
    wire_put_uint(&part->events, event->sequence);
    wire_put_str(&part->events, event->tag);
    wire_put_uint(&part->events, event->version);
    wire_put_uint(&part->events, event->recorded_ms > 0 ? (uint64_t)event->recorded_ms : 0);
    wire_put_uint(&part->events, event->id.value);
    wire_put_bin(&part->events, event->payload);
    part->count++;
    part->last = event->sequence;
    part->bytes += event->payload.size;
}

/* Adds those of the value's events that come behind the part. */
static void part_add_value(part_t *part, const reader_t *reader, const events_value_t *value)
{
    journal_events_reader_t events = journal_events_open(&value->events);
    store_event_t event = {.id = value->id, .recorded_ms = value->events.recorded_ms};
    while (!part->more && journal_events_next(&events, &event)) {
        if (event.sequence > part->last) {
            part_add(part, reader, &event);
        }
    }
}

/* Answers the query with the part, and ends both. */
static void finish(router_t *router, reader_t *reader, part_t *part)
{
    wire_writer_t document = {0};
    wire_put_map(&document, 2);
    wire_put_text(&document, "events");
    wire_put_array(&document, part->count);
    wire_append(&document, part->events.data, part->events.size);
    wire_put_text(&document, "more");
    wire_put_bool(&document, part->more);
    put_answer(router, reader->origin, reader->sequence, FABRIC_OK, "",
               wire_writer_bytes(&document));
    wire_writer_destroy(&document);
    wire_writer_destroy(&part->events);
    destroy(router, reader);
}

/* ---- what memory has ---- */

/* Whether the value has events behind the sequence. */
static bool is_behind(const events_value_t *value, uint64_t after)
{
    return journal_events_last(&value->events) > after;
}

/* The first value with durable events behind the sequence, which is sought from the nearer end: who
 * follows a history is near its last event. */
static const events_value_t *next_in_memory(router_t *router, const reader_t *reader,
                                            uint64_t after)
{
    const events_value_t *first = persisted_events(router, reader->shard, reader->type, reader->id);
    if (!first || !is_behind(first->prev, after)) { /* the one before the first is the last */
        return NULL;
    }
    const events_value_t *value = first;
    if (is_behind(first, after)) {
        return first->number != 0 ? first : NULL;
    }
    if (after - first->events.first < journal_events_last(&first->prev->events) - after) {
        while (!is_behind(value, after)) {
            value = value->next;
        }
    } else {
        value = first->prev;
        while (is_behind(value->prev, after)) {
            value = value->prev;
        }
    }
    return value->number != 0 ? value : NULL;
}

/* Adds what memory has behind the part. */
static void join_memory(router_t *router, const reader_t *reader, part_t *part)
{
    const events_value_t *value = next_in_memory(router, reader, part->last);
    for (; !part->more && value && value->number != 0; value = value->next) {
        part_add_value(part, reader, value);
    }
}

static void answer_from_memory(router_t *router, reader_t *reader)
{
    part_t part = {.last = reader->after};
    join_memory(router, reader, &part);
    finish(router, reader, &part);
}

/* ---- beginning ---- */

/* The argument: array(5) of type and id, as bytes, the sequence behind which to begin, how many
 * events at most, and how many milliseconds to wait for the first. */
typedef struct argument {
    fabric_bytes_t type, id;
    uint64_t after, limit, wait_ms;
} argument_t;

static bool read_argument(fabric_bytes_t bytes, argument_t *argument)
{
    wire_reader_t reader = wire_reader(bytes);
    uint32_t parts = wire_get_array(&reader);
    argument->type = wire_get_bin(&reader);
    argument->id = wire_get_bin(&reader);
    argument->after = wire_get_uint(&reader);
    argument->limit = wire_get_uint(&reader);
    argument->wait_ms = wire_get_uint(&reader);
    return !wire_finish(&reader) && parts == 5 && argument->type.size >= 1 &&
           argument->type.size <= LIMIT_NAME_BYTES_MAX && argument->id.size >= 1 &&
           argument->id.size <= LIMIT_NAME_BYTES_MAX;
}

static reader_t *reader_new(router_t *router, const argument_t *argument)
{
    reader_t *reader =
        memory_allocate_zeroed(1, sizeof *reader + argument->type.size + argument->id.size);
    uint8_t *id = reader->names + argument->type.size;
    memcpy(reader->names, argument->type.data, argument->type.size);
    memcpy(id, argument->id.data, argument->id.size);
    reader->type = fabric_bytes(reader->names, argument->type.size);
    reader->id = fabric_bytes(id, argument->id.size);
    reader->entity_hash = journal_entity_hash(reader->type, reader->id);
    reader->after = argument->after;
    uint64_t limit = argument->limit;
    reader->limit = limit == 0 || limit > PART_EVENTS ? PART_EVENTS : (uint32_t)limit;
    uint64_t wait_ms = argument->wait_ms < WAIT_MS_MAX ? argument->wait_ms : WAIT_MS_MAX;
    reader->wait_until_ms = router->now_ms + wait_ms;
    reader->end_at_ms = reader->wait_until_ms + READ_MS;
    router->reader_count++;
    return reader;
}

/* Whether memory has the next event. */
static bool is_in_memory(router_t *router, const reader_t *reader)
{
    const events_value_t *value = next_in_memory(router, reader, reader->after);
    return value && value->events.first <= reader->after + 1;
}

/* As the type is registered, or as the entity's owner brings it. */
static bool may_have_events(router_t *router, const reader_t *reader)
{
    const shard_t *shard = shard_find(router, reader->shard);
    const ownership_t *ownership = shard ? ownership_of(router, shard, reader->type) : NULL;
    return type_appends(router, reader->type) || (ownership && ownership->appends);
}

/* Of a type that appends no events nothing is read, or kept in memory. Whoever may wait does, as if
 * there were none yet. */
static void begin(router_t *router, reader_t *reader)
{
    lane_readers_t *readers = readers_of(router, reader);
    bool goes_on = reader->after < STORE_SEQUENCE_MAX && !is_in_memory(router, reader);
    if (goes_on && may_have_events(router, reader)) {
        move(reader, &readers->wanted);
    } else if (goes_on && router->now_ms < reader->wait_until_ms) {
        move(reader, &readers->waiting);
    } else if (document_allowed(router)) {
        answer_from_memory(router, reader);
    } else {
        fail(router, reader, FABRIC_ERROR_BUSY, "too many queries at once");
    }
}

/* Why the query cannot be begun; FABRIC_OK: it can, and *shard gets the entity's. */
static fabric_error_t check(router_t *router, const message_query_t *query, argument_t *argument,
                            shard_id_t *shard, const char **text)
{
    if (!read_argument(query->argument, argument)) {
        *text = "the argument is an array of an entity's type and id, a sequence, a number of "
                "events and milliseconds to wait";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const known_type_t *type = type_find(router, argument->type);
    if (!type && unregistered_held_ms(router) > 0) { /* it may not know all types yet */
        *text = "no worker has registered this entity type yet";
        return FABRIC_ERROR_RUNNER_NOT_REGISTERED;
    }
    if (!type) {
        *text = "no worker has registered this entity type";
        return FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
    }
    uint32_t number = address_shard_number(argument->id, router->config.shards_per_group);
    *shard = shard_id_make(type->group, (uint16_t)number);
    if (lane_of(router, *shard)->state != LANE_HOME) {
        *text = "this broker is not the home of the entity's shard";
        return FABRIC_ERROR_NOT_HOME;
    }
    if (router->reader_count >= QUERIES_MAX) {
        *text = "too many queries for events at once";
        return FABRIC_ERROR_BUSY;
    }
    return FABRIC_OK;
}

void reader_received(router_t *router, peer_t *peer, const message_query_t *query)
{
    argument_t argument;
    shard_id_t shard = {0};
    const char *text = "";
    uint64_t origin = peer_origin(router, peer);
    fabric_error_t error = check(router, query, &argument, &shard, &text);
    if (error) {
        put_answer(router, origin, query->sequence, error, text, fabric_bytes(NULL, 0));
        return;
    }
    reader_t *reader = reader_new(router, &argument);
    reader->origin = origin;
    reader->sequence = query->sequence;
    reader->shard = shard;
    begin(router, reader);
}

/* ---- rows ---- */

bool router_take_reading(router_t *router, uint32_t number, router_reading_t *read)
{
    router_lane_t *lane = &router->lanes[number];
    lane_readers_t *readers = &lane->readers;
    reader_t *reader = readers->wanted;
    if (readers->running || !reader || lane->state != LANE_HOME) {
        return false;
    }
    uint8_t *id = readers->names + reader->type.size;
    memcpy(readers->names, reader->type.data, reader->type.size);
    memcpy(id, reader->id.data, reader->id.size);
    readers->read = (store_history_t){
        .name = {fabric_bytes(readers->names, reader->type.size),
                 fabric_bytes(id, reader->id.size)},
        .after = reader->after,
        .limit = reader->limit + 1, /* tells whether there are more */
    };
    readers->shard = reader->shard;
    persisted_events_hold(router, reader->shard, reader->type, reader->id);
    move(reader, &readers->reading);
    readers->running = readers->holding = true;
    *read = (router_reading_t){&readers->read, PART_BYTES};
    return true;
}

/* The rows are read to their end: what memory has comes behind them. */
static void go_on(router_t *router, lane_readers_t *readers, reader_t *reader, part_t *part)
{
    join_memory(router, reader, part);
    if (part->count > 0 || router->now_ms >= reader->wait_until_ms) {
        finish(router, reader, part);
    } else {
        move(reader, &readers->waiting);
    }
}

/* Of one more event than is wanted, or fewer. */
static void take_rows(router_t *router, lane_readers_t *readers, events_value_t *const *values,
                      size_t count, bool done)
{
    reader_t *reader = readers->reading;
    part_t part = {.last = reader->after};
    for (size_t i = 0; i < count; i++) {
        part_add_value(&part, reader, values[i]);
    }
    part.more = part.more || !done;
    if (part.more) {
        finish(router, reader, &part);
    } else {
        go_on(router, readers, reader, &part);
    }
}

void router_reading_loaded(router_t *router, uint32_t number, fabric_error_t error,
                           events_value_t *const *values, size_t count, bool done, uint64_t now_ms)
{
    router->now_ms = now_ms;
    lane_readers_t *readers = &router->lanes[number].readers;
    readers->running = false;
    if (readers->reading && error) {
        fail(router, readers->reading, FABRIC_ERROR_PERSISTENCE, "the events could not be read");
    } else if (readers->reading) {
        take_rows(router, readers, values, count, done);
    }
    if (readers->holding) {
        readers->holding = false;
        persisted_events_release(router, readers->shard, readers->read.name.type,
                                 readers->read.name.entity);
    }
}

/* ---- what happens meanwhile ---- */

static bool is_of(const reader_t *reader, uint64_t hash, fabric_bytes_t type, fabric_bytes_t id)
{
    return reader->entity_hash == hash && fabric_bytes_equal(reader->type, type) &&
           fabric_bytes_equal(reader->id, id);
}

void readers_appended(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id)
{
    lane_readers_t *readers = &lane_of(router, shard)->readers;
    reader_t *reader, *next;
    if (!readers->waiting) {
        return;
    }
    uint64_t hash = journal_entity_hash(type, id);
    DL_FOREACH_SAFE(readers->waiting, reader, next)
    {
        if (is_of(reader, hash, type, id)) {
            answer_from_memory(router, reader);
        }
    }
}

static void end_list(router_t *router, reader_t **list)
{
    reader_t *reader, *next;
    DL_FOREACH_SAFE(*list, reader, next)
    {
        fail(router, reader, FABRIC_ERROR_NOT_HOME,
             "this broker is not the home of the entity's shard any more");
    }
}

void readers_drop(router_t *router, uint32_t number)
{
    lane_readers_t *readers = &router->lanes[number].readers;
    readers->holding = false; /* what was held goes with the lane */
    end_list(router, &readers->wanted);
    end_list(router, &readers->reading);
    end_list(router, &readers->waiting);
}

static void look(router_t *router, reader_t *reader)
{
    const lane_readers_t *readers = readers_of(router, reader);
    bool waits = reader->list == &readers->waiting;
    if (!peer_of_origin(router, reader->origin)) {
        destroy(router, reader);
    } else if (waits && router->now_ms >= reader->wait_until_ms) {
        part_t part = {.last = reader->after};
        finish(router, reader, &part);
    } else if (router->now_ms >= reader->end_at_ms) {
        fail(router, reader, FABRIC_ERROR_PERSISTENCE, "the database has not answered in time");
    }
}

static void look_at_list(router_t *router, reader_t *list)
{
    reader_t *reader, *next;
    DL_FOREACH_SAFE(list, reader, next)
    {
        look(router, reader);
    }
}

void readers_tick(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes && router->reader_count > 0; i++) {
        look_at_list(router, router->lanes[i].readers.wanted);
        look_at_list(router, router->lanes[i].readers.reading);
        look_at_list(router, router->lanes[i].readers.waiting);
    }
}

void readers_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        lane_readers_t *readers = &router->lanes[i].readers;
        reader_t **lists[] = {&readers->wanted, &readers->reading, &readers->waiting};
        for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
            reader_t *reader, *next;
            DL_FOREACH_SAFE(*lists[k], reader, next)
            {
                destroy(router, reader);
            }
        }
    }
}
