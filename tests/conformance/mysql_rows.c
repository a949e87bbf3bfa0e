/* How many rows a MySQL or MariaDB server reads: see mysql_rows.h. */
#include "tests/conformance/mysql_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "mysql/mysql_connection.h"
#include "tests/conformance/store_fixture.h"

static void add_count(void *context, char **row)
{
    *(unsigned long long *)context += strtoull(row[1], NULL, 10);
}

static unsigned long long count_reads(store_t *store)
{
    unsigned long long count = 0;
    assert_ok(mysql_query_text(mysql_store_of(sql_store_of(store)),
                               "SHOW SESSION STATUS LIKE 'Handler_read%'", add_count, &count));
    return count;
}

/* The rows that statements of the connection have read since the call before; the question itself
 * reads some. */
static unsigned long long rows_read(store_t *store)
{
    static unsigned long long before;
    unsigned long long now = count_reads(store);
    unsigned long long own = count_reads(store) - now;
    unsigned long long read = now - before;
    before = now + own;
    return read > own ? read - own : 0;
}

enum { KEYED_ENTITIES = 50, KEYED_EACH = 100 };

/* The first rows of every second entity. */
static void take_keys(store_row_key_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        keys[i] =
            (store_row_key_t){100 + i % (KEYED_ENTITIES / 2) * 2, 1 + i / (KEYED_ENTITIES / 2)};
    }
}

/* A find, an amendment and deletes of so many rows, among a hundred times as many, read little. */
static void change_some(store_fixture_t *fixture, size_t count)
{
    store_row_key_t keys[128];
    bool found[128];
    take_keys(keys, count);
    (void)rows_read(fixture->store);
    assert_ok(fixture->driver->find_rows(fixture->store, 0, keys, count, found));
    assert_in_range(rows_read(fixture->store), count, 2 * count + 10);
    store_amendment_t amendment = {.key = keys[0], .number = 3, .attempts = 1};
    store_slice_t slice = {.amendments = &amendment,
                           .amendment_count = 1,
                           .deletes = keys,
                           .delete_count = count,
                           .settled = 2,
                           .begun = 2};
    (void)rows_read(fixture->store);
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_in_range(rows_read(fixture->store), count, 2 * count + 20);
    for (size_t i = 0; i < count; i++) {
        assert_true(found[i]);
        assert_false(has_row(fixture, 0, keys[i].entity_hash, keys[i].position));
    }
}

void mysql_rows_are_found_by_their_key(void **state)
{
    static const size_t counts[] = {1, 2, 3, 32, 64, 128};
    store_fixture_t *fixture = *state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint64_t entity = 0; entity < KEYED_ENTITIES; entity++) {
            assert_ok(put_rows(fixture, &fixture->hold, 100 + entity, 1, KEYED_EACH));
        }
        change_some(fixture, counts[i]);
    }
    (void)rows_read(fixture->second);
    load_range(fixture, 0, 101, 10, INT64_MAX, 20);
    assert_positions(fixture, 11, 20);
    assert_in_range(rows_read(fixture->second), 20, 25);
}

static void count_name(void *context, const store_key_name_t *name)
{
    (void)name;
    ++*(size_t *)context;
}

/* A page of keys behind one of an entity that has many reads no more rows than it has. */
void mysql_keys_are_listed_by_their_key(void **state)
{
    enum { KEYS = 600, PAGE = 20 };
    store_fixture_t *fixture = *state;
    store_key_t *keys = memory_allocate_zeroed(KEYS, sizeof *keys);
    store_key_name_t after = {.entity_hash = 7};
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = (store_key_t){.entity_hash = 7, .number = 2, .reply.id = {1000 + i}};
        keys[i].hash[0] = (uint8_t)(i >> 8);
        keys[i].hash[1] = (uint8_t)i;
    }
    memcpy(after.hash, keys[KEYS / 2].hash, sizeof after.hash);
    store_slice_t slice = {.keys = keys, .key_count = KEYS, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    free(keys);
    size_t seen = 0;
    bool ended = true;
    (void)rows_read(fixture->second);
    assert_ok(
        fixture->driver->list_keys(fixture->second, 0, &after, PAGE, count_name, &seen, &ended));
    assert_in_range(rows_read(fixture->second), PAGE - 1, PAGE + 5);
    assert_int_equal(seen, PAGE);
    assert_false(ended);
}

static void count_event(void *context, size_t history, const store_event_t *event)
{
    (void)history;
    (void)event;
    ++*(size_t *)context;
}

static void count_outgoing(void *context, const store_outgoing_t *message)
{
    (void)message;
    ++*(size_t *)context;
}

/* So do a page of the messages to one target lane, and what the oldest one is. */
void mysql_outgoing_messages_are_found_by_their_target(void **state)
{
    enum { MESSAGES = 600, PAGE = 20 };
    store_fixture_t *fixture = *state;
    store_outgoing_t *messages = memory_allocate_zeroed(MESSAGES, sizeof *messages);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        messages[i] = (store_outgoing_t){
            .key = {10 + i / 100, i % 100}, .target_lane = i % 3 == 0, .type = bytes_of("Account")};
    }
    store_slice_t slice = {
        .outgoing = messages, .outgoing_count = MESSAGES, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    size_t seen = 0;
    bool ended = false;
    (void)rows_read(fixture->second);
    assert_ok(fixture->driver->load_outgoing(fixture->second, 0, 1, (store_outgoing_key_t){12, 50},
                                             PAGE, 1 << 20, count_outgoing, &seen, &ended));
    assert_in_range(rows_read(fixture->second), PAGE - 1, PAGE + 5);
    assert_int_equal(seen, PAGE);
    uint64_t oldest = 0;
    (void)rows_read(fixture->second);
    assert_ok(fixture->driver->oldest_outgoing(fixture->second, &oldest));
    assert_in_range(rows_read(fixture->second), 1, 60);
    store_outgoing_key_t keys[PAGE];
    for (size_t i = 0; i < PAGE; i++) {
        keys[i] = messages[100 + i].key;
    }
    slice = (store_slice_t){.sent = keys, .sent_count = PAGE, .settled = 2, .begun = 2};
    (void)rows_read(fixture->store);
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_in_range(rows_read(fixture->store), 0, 2 * PAGE + 20);
    free(messages);
}

/* What the oldest one is takes a few rows of each lane, however many entries its journal has, below
 * its checkpoint, and above it. */
void mysql_oldest_message_is_found_without_the_journal(void **state)
{
    enum { DOUBLINGS = 17 };
    store_fixture_t *fixture = *state;
    for (uint32_t i = 0; i < DOUBLINGS; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "INSERT INTO journal (lane, number, epoch, incarnation, last_id, created_ms,"
                 " log_bytes, checksum, adopt, calls, body) SELECT lane, number + %u, epoch,"
                 " incarnation, last_id, created_ms, log_bytes, checksum, 0, '', '' FROM journal"
                 " WHERE lane = 0 AND number > 0",
                 1u << i);
        assert_ok(mysql_execute(sql_store_of(fixture->store), text));
    }
    for (uint32_t i = 0; i < 3; i++) {
        char text[100];
        uint32_t below = i << (DOUBLINGS - 1); /* none, half of them, all */
        uint64_t oldest = 0;
        snprintf(text, sizeof text, "UPDATE checkpoint SET number = %u WHERE lane = 0", below);
        assert_ok(mysql_execute(sql_store_of(fixture->store), text));
        (void)rows_read(fixture->second);
        assert_ok(fixture->driver->oldest_outgoing(fixture->second, &oldest));
        assert_in_range(rows_read(fixture->second), 1, 60);
        assert_true(oldest > 0);
    }
}

/* So do a page of a long history, and a checkpoint that is written again. */
void mysql_events_are_found_by_their_key(void **state)
{
    enum { EVENTS = 600, PAGE = 20 };
    store_fixture_t *fixture = *state;
    store_event_t *events = memory_allocate_zeroed(EVENTS, sizeof *events);
    for (uint32_t i = 0; i < EVENTS; i++) {
        events[i] = (store_event_t){.type = bytes_of("Order"),
                                    .entity = bytes_of(i < EVENTS / 2 ? "a" : "b"),
                                    .sequence = 1 + i % (EVENTS / 2),
                                    .tag = bytes_of("Placed")};
    }
    store_slice_t slice = {.events = events, .event_count = EVENTS, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    store_history_t history = {{bytes_of("Order"), bytes_of("a")}, 100, PAGE};
    size_t seen = 0;
    size_t done = 0;
    (void)rows_read(fixture->second);
    assert_ok(fixture->driver->load_events(fixture->second, 0, &history, 1, 1 << 20, count_event,
                                           &seen, &done));
    assert_in_range(rows_read(fixture->second), PAGE - 1, PAGE + 5);
    assert_int_equal(seen, PAGE);
    slice.event_count = PAGE;
    slice.settled = 2;
    (void)rows_read(fixture->store);
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_in_range(rows_read(fixture->store), 0, 2 * PAGE + 20);
    free(events);
}
