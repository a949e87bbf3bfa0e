/* Events of entities in the loader, over the store in memory: what an entry has, what an adoption
 * finds of it, and reads of rows in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/store/loader.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader_events"

enum { LANE = 1, FIRST = 100, RECORDED_MS = 1790 };

typedef struct fixture {
    actor_world_t *world;
    loader_t loader;
    store_hold_t hold;
    sample_t sample;
    adoption_t adoption;
    loaded_events_t loaded;
    wire_writer_t lists[8]; /* of the events of the first messages */
    journal_events_t events[8];
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(DATABASE);
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = 1 << 20};
    loader_init(&f->loader, &config, &f->world->world);
    f->hold = world_assign(f->world, LANE, world_self);
    (void)world_take(f->world, &f->hold);
    sample_fill(&f->sample, LANE, FIRST);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < sizeof f->lists / sizeof *f->lists; i++) {
        wire_writer_destroy(&f->lists[i]);
    }
    loaded_events_clear(&f->loaded);
    adoption_clear(&f->adoption);
    loader_clear(&f->loader);
    world_free(&f->world);
    free(f);
    return 0;
}

/* The end of a message appends so many events from this sequence on: "5", "6", ... */
static void append(fixture_t *f, size_t message, uint64_t first, uint32_t count)
{
    wire_writer_t *list = &f->lists[message];
    for (uint32_t i = 0; i < count; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%u", (unsigned)(first + i));
        journal_events_put(list, fabric_bytes_of("Paid"), 7, fabric_bytes_of(text));
    }
    f->events[message] = (journal_events_t){.first = first,
                                            .count = count,
                                            .recorded_ms = RECORDED_MS,
                                            .list = wire_writer_bytes(list)};
    f->sample.ends[message].events = &f->events[message];
}

/* "4-6 9": the sequences of the entity's values; each event says its own. */
static const char *sequences_of(events_value_t *const *values, size_t count, fabric_bytes_t entity)
{
    static char text[200];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (!fabric_bytes_equal(values[i]->entity, entity)) {
            continue;
        }
        store_event_t event;
        journal_events_reader_t reader = journal_events_open(&values[i]->events);
        while (journal_events_next(&reader, &event)) {
            char sequence[24];
            (void)snprintf(sequence, sizeof sequence, "%u", (unsigned)event.sequence);
            assert_true(fabric_bytes_equal(event.payload, fabric_bytes_of(sequence)));
            assert_true(fabric_bytes_equal(event.tag, fabric_bytes_of("Paid")));
            assert_int_equal(event.version, 7);
        }
        assert_int_equal(values[i]->events.recorded_ms, RECORDED_MS);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u-%u", size ? " " : "",
                                 (unsigned)values[i]->events.first,
                                 (unsigned)journal_events_last(&values[i]->events));
    }
    return text;
}

static void an_adoption_has_the_events_of_the_entries(void **state)
{
    fixture_t *f = *state;
    lane_batch_t messages = sample_messages(&f->sample, 0, 8);
    (void)world_append(f->world, &f->hold, &messages);
    append(f, 0, 4, 3); /* messages 0 and 4 are of one entity */
    append(f, 1, 1, 1);
    append(f, 4, 7, 2);
    store_state_t snapshot = {.version = 3, .state = fabric_bytes_of("s"), .sequence = 8};
    f->sample.ends[4].state = &snapshot;
    lane_batch_t ends = sample_ends(&f->sample, 0, 6);
    store_entry_t entry = world_append(f->world, &f->hold, &ends);
    loader_fault_t fault;
    f->hold = world_assign(f->world, LANE, world_self);
    assert_int_equal(loader_adopt(&f->loader, &f->hold, &f->adoption, &fault), FABRIC_OK);
    assert_int_equal(f->adoption.event_count, 3);
    const store_message_t *sample = f->sample.messages;
    assert_string_equal(sequences_of(f->adoption.events, 3, sample[0].entity), "4-6 7-8");
    assert_string_equal(sequences_of(f->adoption.events, 3, sample[1].entity), "1-1");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->adoption.events[i]->number, entry.number);
        assert_true(f->adoption.events[i]->shard.value == sample[0].shard.value);
    }
    assert_int_equal(f->adoption.events[2]->id.value, FIRST + 4);
    assert_int_equal(f->adoption.state_count, 1);
    assert_int_equal(f->adoption.states[0]->row.sequence, 8);
}

/* Rows with sequences from 1 on of the entity of a message, two of each message. */
static void write_rows(fixture_t *f, const store_message_t *message, uint32_t count)
{
    static char texts[64][12];
    store_event_t rows[64];
    assert_true(count <= 64);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%u", i + 1);
        rows[i] = (store_event_t){.type = message->type,
                                  .entity = message->entity,
                                  .shard = message->shard,
                                  .sequence = i + 1,
                                  .number = 1,
                                  .id = {FIRST + i / 2},
                                  .recorded_ms = RECORDED_MS,
                                  .tag = fabric_bytes_of("Paid"),
                                  .version = 7,
                                  .payload = fabric_bytes_of(texts[i])};
    }
    store_entry_t end = world_end(f->world, LANE);
    store_slice_t slice = {
        .events = rows, .event_count = count, .settled = 0, .begun = end.number, .last = false};
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->hold, &slice),
                     FABRIC_OK);
}

static void rows_are_read_in_parts(void **state)
{
    fixture_t *f = *state;
    const store_message_t *a = &f->sample.messages[0];
    const store_message_t *b = &f->sample.messages[1];
    write_rows(f, a, 5);
    write_rows(f, b, 2);
    store_history_t histories[] = {{{a->type, a->entity}, 1, 100}, {{b->type, b->entity}, 0, 100}};
    assert_int_equal(loader_load_events(&f->loader, LANE, histories, 2, 1 << 20, &f->loaded),
                     FABRIC_OK);
    assert_int_equal(f->loaded.done, 2);
    assert_string_equal(sequences_of(f->loaded.values, f->loaded.count, a->entity), "2-2 3-4 5-5");
    assert_string_equal(sequences_of(f->loaded.values, f->loaded.count, b->entity), "1-2");
    loaded_events_clear(&f->loaded);
    store_event_t small = {.tag = fabric_bytes_of("Paid"), .payload = fabric_bytes_of("2")};
    assert_int_equal(loader_load_events(&f->loader, LANE, histories, 2,
                                        2 * store_event_bytes(&small), &f->loaded),
                     FABRIC_OK);
    assert_int_equal(f->loaded.done, 0);
    assert_string_equal(sequences_of(f->loaded.values, f->loaded.count, a->entity), "2-2 3-3");
}

static void a_read_is_repeated_until_the_store_answers(void **state)
{
    fixture_t *f = *state;
    const store_message_t *a = &f->sample.messages[0];
    write_rows(f, a, 4);
    store_history_t history = {{a->type, a->entity}, 0, 100};
    world_strike(f->world, MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 2);
    assert_int_equal(loader_load_events(&f->loader, LANE, &history, 1, 1 << 20, &f->loaded),
                     FABRIC_OK);
    assert_string_equal(sequences_of(f->loaded.values, f->loaded.count, a->entity), "1-2 3-4");
    assert_int_equal(f->loaded.done, 1);
}

static void large_events_make_several_values(void **state)
{
    (void)state;
    static uint8_t large[40 << 10];
    events_collector_t collector = {0};
    store_event_t event = {.type = fabric_bytes_of("Account"),
                           .entity = fabric_bytes_of("a"),
                           .tag = fabric_bytes_of("Paid"),
                           .payload = fabric_bytes(large, sizeof large)};
    for (event.sequence = 1; event.sequence <= 5; event.sequence++) {
        events_collect(&collector, &event);
    }
    events_collected(&collector);
    assert_int_equal(collector.count, 3);
    assert_int_equal(journal_events_last(&collector.values[0]->events), 2);
    assert_int_equal(collector.values[2]->events.first, 5);
    events_values_clear(&collector.values, &collector.count);
}

#define loader_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loader_test(an_adoption_has_the_events_of_the_entries),
        loader_test(rows_are_read_in_parts),
        loader_test(a_read_is_repeated_until_the_store_answers),
        cmocka_unit_test(large_events_make_several_values),
    };
    return cmocka_run_group_tests_name("broker_loader_events", tests, NULL, NULL);
}
