/* The appender's logic over the store in memory, in virtual time: each answer that an append can
 * get, fences, and what the entries hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/journal/entry.h"
#include "tests/unit/appender_fixture.h"

static bool copy_entry(void *context, const store_entry_t *entry)
{
    store_entry_t *copy = context;
    *copy = *entry;
    uint8_t *bytes = malloc(entry->body.size + 1);
    memcpy(bytes, entry->body.data, entry->body.size);
    copy->body = fabric_bytes(bytes, entry->body.size);
    assert_true(journal_entry_is_sound(entry));
    return false;
}

/* ---- what is written ---- */

static void one_statement_holds_the_entries_of_all_lanes(void **state)
{
    fixture_t *f = *state;
    uint64_t before = memory_store_commits(FIXTURE_DATABASE);
    fixture_append_well(f, 3, 0);
    assert_int_equal(memory_store_commits(FIXTURE_DATABASE), before + 1);
    fixture_append_well(f, 2, 2);
    assert_int_equal(f->parts[0].number, 3);
    assert_int_equal(world_end(f->world, 2).number, 2);
    assert_int_equal(f->world->slept_ms, 0);
    assert_int_equal(f->world->went, 0);
}

static void an_entry_tells_who_wrote_it_and_when(void **state)
{
    fixture_t *f = *state;
    uint64_t log_bytes = world_end(f->world, 1).log_bytes;
    f->world->now_ms += 4000;
    fixture_append_well(f, 2, 0);
    store_entry_t end = world_end(f->world, 1);
    assert_int_equal(end.created_ms, WORLD_STORE_MS + 4000);
    assert_int_equal(end.last_id, 101);
    assert_int_equal(end.epoch, world_hold(f->world, 1).epoch);
    assert_true(incarnation_equal(end.incarnation, world_self));
    assert_false(end.adopt);
    assert_true(f->parts[1].bytes > 0);
    assert_int_equal(end.log_bytes, log_bytes + f->parts[1].bytes);
    fixture_append_well(f, 2, 2);
    assert_int_equal(world_end(f->world, 1).log_bytes, end.log_bytes + f->parts[1].bytes);
}

static void records_stand_in_order(void **state)
{
    fixture_t *f = *state;
    sample_t *sample = &f->samples[0];
    lane_batch_t batch = sample_messages(sample, 0, 2);
    sample->ends[3] = (batch_end_t){.message = &sample->messages[3],
                                    .reply = &sample->replies[3],
                                    .dead = true,
                                    .attempts = {.attempts = 9, .crashes = 1},
                                    .cause = FABRIC_ERROR_ENTITY_DEFECT,
                                    .text = fabric_bytes_of("broken")};
    batch.attempts = sample->attempts + 1;
    batch.attempt_count = 1;
    batch.ends = sample->ends + 2;
    batch.end_count = 2;
    fixture_put(f, 0, batch);
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    store_entry_t entry;
    const store_driver_t *driver = f->world->store->driver;
    assert_int_equal(driver->read_journal(f->world->store, 0, f->parts[0].number, STORE_ENTRY_ALL,
                                          1, UINT64_MAX, copy_entry, &entry),
                     FABRIC_OK);
    static const journal_record_kind_t kinds[] = {RECORD_MESSAGE, RECORD_MESSAGE, RECORD_ATTEMPT,
                                                  RECORD_RESULT, RECORD_DEAD};
    static const uint64_t ids[] = {100, 101, 101, 102, 103};
    journal_reader_t reader;
    journal_record_t record;
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
        assert_int_equal(record.kind, kinds[i]);
        assert_int_equal(record.id.value, ids[i]);
    }
    assert_int_equal(record.attempts.attempts, 9);
    assert_int_equal(record.cause, FABRIC_ERROR_ENTITY_DEFECT);
    assert_true(fabric_bytes_equal(record.text, fabric_bytes_of("broken")));
    assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_END);
    free((void *)entry.body.data);
}

/* A later end of the entry has the entity's state, but the events are all there. */
static void a_result_has_its_events(void **state)
{
    fixture_t *f = *state;
    sample_t *sample = &f->samples[0];
    wire_writer_t list = {0};
    journal_events_put(&list, fabric_bytes_of("Paid"), 7, fabric_bytes_of("p"));
    journal_events_t events[] = {{3, 1, 1790, wire_writer_bytes(&list)},
                                 {4, 1, 1791, wire_writer_bytes(&list)}};
    store_state_t snapshot = {.version = 2, .state = fabric_bytes_of("s"), .sequence = 4};
    sample->ends[0].events = &events[0];
    sample->ends[1].events = &events[1];
    sample->ends[1].state = &snapshot;
    lane_batch_t batch = sample_ends(sample, 0, 3);
    fixture_put(f, 0, batch);
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    store_entry_t entry = {0};
    assert_int_equal(f->world->store->driver->read_journal(f->world->store, 0, f->parts[0].number,
                                                           STORE_ENTRY_ALL, 1, UINT64_MAX,
                                                           copy_entry, &entry),
                     FABRIC_OK);
    journal_reader_t reader;
    journal_record_t record;
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
        assert_int_equal(record.events.first, i < 2 ? 3 + i : 0);
        assert_int_equal(record.events.recorded_ms, i < 2 ? 1790 + i : 0);
        assert_int_equal(record.state.sequence, i == 1 ? 4 : 0);
    }
    wire_writer_destroy(&list);
    free((void *)entry.body.data);
}

/* It may have neither a state nor events. */
static void a_result_has_what_was_told(void **state)
{
    fixture_t *f = *state;
    sample_t *sample = &f->samples[0];
    wire_writer_t list = {0};
    const store_outgoing_t message = {.shard = {7},
                                      .flags = 3,
                                      .type = fabric_bytes_of("T"),
                                      .entity = fabric_bytes_of("t"),
                                      .tag = fabric_bytes_of("Note")};
    journal_outgoing_put(&list, &message);
    journal_outgoing_t outgoing[] = {{.id = 900, .count = 1}, {.id = 901, .count = 1}};
    store_state_t left = {.version = 2, .state = fabric_bytes_of("s")};
    for (size_t i = 0; i < 2; i++) {
        outgoing[i].list = wire_writer_bytes(&list);
        sample->ends[i].outgoing = &outgoing[i];
    }
    sample->ends[1].state = &left;
    fixture_put(f, 0, sample_ends(sample, 0, 3));
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    store_entry_t entry = {0};
    assert_int_equal(f->world->store->driver->read_journal(f->world->store, 0, f->parts[0].number,
                                                           STORE_ENTRY_ALL, 1, UINT64_MAX,
                                                           copy_entry, &entry),
                     FABRIC_OK);
    journal_reader_t reader;
    journal_record_t record;
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
        assert_int_equal(record.outgoing.id, i < 2 ? 900 + i : 0);
        assert_int_equal(record.outgoing.count, i < 2 ? 1 : 0);
        assert_int_equal(record.state.state.size, i == 1 ? 1 : 0);
        assert_int_equal(record.events.count, 0);
    }
    wire_writer_destroy(&list);
    free((void *)entry.body.data);
}

/* A dead letter stands before the record that names it. One record names those of one source. */
static void ends_of_outgoing_messages_stand_in_order(void **state)
{
    fixture_t *f = *state;
    sample_t *sample = &f->samples[0];
    batch_sent_t sents[] = {
        {.source = {50}, .shard = {7}, .outgoing_id = 60, .end = {.index = 0, .id = {81}}},
        {.source = {50},
         .shard = {7},
         .outgoing_id = 60,
         .end = {.index = 2, .id = {103}, .cause = FABRIC_ERROR_UNKNOWN_MESSAGE},
         .dead = &sample->messages[3],
         .reply = &sample->replies[3]},
        {.source = {51}, .shard = {7}, .outgoing_id = 61, .end = {.index = 0, .id = {82}}}};
    fixture_put(f, 0,
                (lane_batch_t){.epoch = f->batches[0].epoch, .sents = sents, .sent_count = 3});
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    store_entry_t entry = {0};
    assert_int_equal(f->world->store->driver->read_journal(f->world->store, 0, f->parts[0].number,
                                                           STORE_ENTRY_ALL, 1, UINT64_MAX,
                                                           copy_entry, &entry),
                     FABRIC_OK);
    static const journal_record_kind_t kinds[] = {RECORD_DEAD, RECORD_SENT, RECORD_SENT};
    static const uint64_t ids[] = {103, 50, 51};
    static const uint32_t counts[] = {0, 2, 1};
    journal_reader_t reader;
    journal_record_t record;
    store_sent_t end = {0};
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
        assert_int_equal(record.kind, kinds[i]);
        assert_int_equal(record.id.value, ids[i]);
        assert_int_equal(record.sent.count, counts[i]);
        journal_sent_reader_t ends = journal_sent_open(&record.sent);
        for (uint32_t k = 0; k < record.sent.count; k++) {
            assert_true(journal_sent_next(&ends, &end));
        }
        assert_true(i != 1 || (end.index == 2 && end.cause == FABRIC_ERROR_UNKNOWN_MESSAGE));
    }
    assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_END);
    free((void *)entry.body.data);
}

static void a_statement_has_a_largest_size(void **state)
{
    fixture_t *f = *state;
    enum { LARGE = 1 << 20 };
    uint8_t *payload = calloc(1, LARGE);
    for (uint32_t lane = 0; lane < WORLD_LANES; lane++) {
        for (size_t i = 0; i < 3; i++) {
            f->samples[lane].messages[i].payload = fabric_bytes(payload, LARGE);
        }
        fixture_put(f, lane, sample_messages(&f->samples[lane], 0, 3));
    }
    uint64_t before = memory_store_commits(FIXTURE_DATABASE);
    assert_int_equal(appender_append(f->appender, f->parts, WORLD_LANES), FABRIC_OK);
    assert_int_equal(memory_store_commits(FIXTURE_DATABASE), before + 2); /* 9 MiB */
    for (uint32_t lane = 0; lane < WORLD_LANES; lane++) {
        assert_int_equal(f->parts[lane].number, 2);
        assert_int_equal(world_end(f->world, lane).number, 2);
    }
    free(payload);
}

/* ---- busy and gone ---- */

static void test_nt_14_busy_is_tried_again_with_jitter(void **state)
{
    fixture_t *f = *state;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_BUSY, 0, 3);
    fixture_append_well(f, 3, 0);
    assert_true(f->world->slept_ms > 0);
    assert_int_equal(f->world->went, 0);
}

static void busy_without_end_counts_as_unavailable(void **state)
{
    fixture_t *f = *state;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_BUSY, 0, CONNECTION_BUSY_TRIES_MAX);
    fixture_append_well(f, 3, 0);
    assert_int_equal(f->world->went, 1);
    assert_int_equal(f->world->came, 1);
    assert_true(f->world->slept_ms < 1000);
}

/* Each further attempt may wait as long as the database lets a transaction wait for a lock. */
static void busy_is_not_tried_again_by_an_actor_that_stops(void **state)
{
    fixture_t *f = *state;
    f->world->looks_max = 0;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_BUSY, 0, 2);
    assert_int_equal(fixture_append(f, 3, 0), FABRIC_ERROR_SHUTTING_DOWN);
    assert_int_equal(f->world->slept_ms, 0);
}

static void test_sr_03_an_outage_ends_with_the_database_and_is_told_once(void **state)
{
    fixture_t *f = *state;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_DISCONNECTED, 0, 1);
    world_strike(f->world, MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 50);
    fixture_append_well(f, 3, 0);
    assert_true(f->world->went >= 1 && f->world->went <= 2); /* by words of the database */
    assert_int_equal(f->world->came, 1);
    assert_true(f->world->cause[0] != '\0');
    assert_true(f->world->longest_ms <= CONNECTION_BACKOFF_MAX_MS);
    fixture_append_well(f, 3, 2);
}

static void a_stop_ends_an_outage(void **state)
{
    fixture_t *f = *state;
    f->world->looks_max = 5;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_DISCONNECTED, 0, 1);
    world_strike(f->world, MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 1000);
    assert_int_equal(fixture_append(f, 3, 0), FABRIC_ERROR_SHUTTING_DOWN);
    assert_int_equal(world_end(f->world, 0).number, 1);
}

/* ---- lost answers ---- */

static void a_lost_answer_that_did_not_land_runs_again(void **state)
{
    fixture_t *f = *state;
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_BEFORE, 0, 2);
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 3, 2);
    assert_int_equal(world_end(f->world, 0).number, 3);
}

static void a_lost_answer_that_landed_is_done(void **state)
{
    fixture_t *f = *state;
    uint64_t before = memory_store_commits(FIXTURE_DATABASE);
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    fixture_append_well(f, 3, 0);
    assert_int_equal(memory_store_commits(FIXTURE_DATABASE), before + 1);
    fixture_append_well(f, 3, 2); /* the numbers are right */
    assert_int_equal(world_end(f->world, 0).number, 3);
}

static void a_statement_that_still_runs_is_met_again(void **state)
{
    fixture_t *f = *state;
    for (uint32_t delay = 1; delay < 12; delay++) {
        memory_store_fault_t fault = {.operation = MEMORY_STORE_APPEND,
                                      .kind = MEMORY_STORE_UNKNOWN_RUNNING,
                                      .times = 1,
                                      .delay = delay};
        memory_store_fault(FIXTURE_DATABASE, &fault);
        fixture_append_well(f, 3, 2 * delay);
        memory_store_end_running(FIXTURE_DATABASE, true);
        assert_int_equal(world_end(f->world, 0).number, 1 + delay);
    }
}

/* The statement landed and its answer is lost. Before the appender looks again, another broker
 * takes the lane, checkpoints and purges: the number is free. */
static void what_landed_and_was_purged_is_not_inserted_again(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_put(f, 0, sample_messages(&f->samples[0], 2, 2));
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    world_strike(f->world, MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 1000);
    f->world->looks_max = 3;
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_ERROR_SHUTTING_DOWN);
    store_hold_t successor = world_assign(f->world, 0, world_other);
    store_entry_t adopt = world_take(f->world, &successor);
    assert_int_equal(adopt.number, 4);
    fixture_purge(f, &successor, adopt.number);
    assert_int_equal(world_entry_count(f->world, 0), 3); /* entry 0 and both brokers' ADOPT */
    memory_store_clear_faults(FIXTURE_DATABASE);
    f->world->looks_max = 1000;
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    assert_true(f->parts[0].fenced);
    assert_int_equal(world_entry_count(f->world, 0), 3);
}

/* The same, and nothing is purged: the successor has read the entry, and it stands. */
static void what_landed_before_the_lane_was_taken_is_durable(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_put(f, 0, sample_messages(&f->samples[0], 2, 2));
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    world_strike(f->world, MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 1000);
    f->world->looks_max = 3;
    uint64_t now_ms = f->world->now_ms;
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_ERROR_SHUTTING_DOWN);
    store_hold_t successor = world_assign(f->world, 0, world_other);
    assert_int_equal(world_take(f->world, &successor).number, 4);
    memory_store_clear_faults(FIXTURE_DATABASE);
    f->world->looks_max = 1000;
    f->world->now_ms = now_ms; /* the same entry is made once more */
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    assert_false(f->parts[0].fenced);
    store_hold_t fenced;
    assert_true(appender_next_fenced(f->appender, &fenced));
    fixture_put(f, 0, sample_messages(&f->samples[0], 4, 2));
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    assert_true(f->parts[0].fenced);
}

/* ---- fences ---- */

/* The appender sleeps and learns nothing: the key stops it. */
static void a_writer_that_wakes_after_its_lane_was_taken_is_fenced(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    store_hold_t successor = world_assign(f->world, 1, world_other);
    fixture_put(f, 1, sample_messages(&f->samples[1], 2, 2));
    f->batches[1].epoch = successor.epoch - 1;
    (void)world_take(f->world, &successor);
    fixture_put(f, 0, sample_messages(&f->samples[0], 2, 2));
    fixture_put(f, 2, sample_messages(&f->samples[2], 2, 2));
    assert_int_equal(appender_append(f->appender, f->parts, 3), FABRIC_OK);
    assert_true(f->parts[1].fenced);
    assert_false(f->parts[0].fenced);
    assert_false(f->parts[2].fenced);
    assert_int_equal(f->parts[0].number, 3);
    assert_int_equal(world_end(f->world, 0).number, 3);
    assert_true(world_end(f->world, 1).adopt);
    assert_int_equal(world_end(f->world, 2).number, 3);
    store_hold_t fenced;
    assert_false(appender_next_fenced(f->appender, &fenced)); /* the part has told it */
    assert_int_equal(f->world->went, 0);
}

static void a_writer_that_wakes_after_a_purge_is_fenced(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    store_hold_t successor = world_assign(f->world, 0, world_other);
    store_entry_t adopt = world_take(f->world, &successor);
    sample_t others;
    sample_fill(&others, 0, 200);
    lane_batch_t batch = sample_messages(&others, 0, 1);
    store_entry_t last = world_append(f->world, &successor, &batch);
    assert_true(last.number > adopt.number);
    fixture_purge(f, &successor, last.number);
    fixture_put(f, 0, sample_messages(&f->samples[0], 2, 2));
    f->batches[0].epoch = successor.epoch - 1;
    size_t before = world_entry_count(f->world, 0);
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    assert_true(f->parts[0].fenced);
    assert_int_equal(world_entry_count(f->world, 0), before);
}

static void a_fenced_lane_appends_nothing_more(void **state)
{
    fixture_t *f = *state;
    store_hold_t own = world_hold(f->world, 0);
    store_hold_t successor = world_assign(f->world, 0, world_other);
    (void)world_take(f->world, &successor);
    for (size_t i = 0; i < 2; i++) {
        fixture_put(f, 0, sample_messages(&f->samples[0], 2 * i, 2));
        f->batches[0].epoch = own.epoch;
        assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
        assert_true(f->parts[0].fenced);
    }
    assert_int_equal(world_end(f->world, 0).number, 2);
}

static void a_lane_that_comes_back_begins_anew(void **state)
{
    fixture_t *f = *state;
    store_hold_t own = world_hold(f->world, 0);
    store_hold_t other = world_assign(f->world, 0, world_other);
    (void)world_take(f->world, &other);
    store_hold_t again = world_assign(f->world, 0, world_self);
    store_entry_t adopt = world_take(f->world, &again);
    appender_begin(f->appender, &again, adopt.number, adopt.log_bytes);
    appender_end(f->appender, 0, own.epoch); /* says nothing about the present epoch */
    fixture_put(f, 0, sample_messages(&f->samples[0], 0, 2));
    f->batches[0].epoch = own.epoch; /* left over */
    assert_int_equal(appender_append(f->appender, f->parts, 1), FABRIC_OK);
    assert_true(f->parts[0].fenced);
    fixture_append_well(f, 1, 2);
    assert_int_equal(f->parts[0].number, adopt.number + 1);
    appender_end(f->appender, 0, again.epoch);
    assert_int_equal(fixture_append(f, 1, 4), FABRIC_OK);
    assert_true(f->parts[0].fenced);
}

/* ---- checks ---- */

static void a_check_finds_lanes_that_others_hold(void **state)
{
    fixture_t *f = *state;
    store_hold_t own = world_hold(f->world, 1);
    store_hold_t fenced = {0};
    fixture_append_well(f, 3, 0);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    assert_false(appender_next_fenced(f->appender, &fenced));
    fixture_append_well(f, 3, 2);
    (void)world_assign(f->world, 1, world_other);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    assert_true(appender_next_fenced(f->appender, &fenced));
    assert_int_equal(fenced.lane, 1);
    assert_int_equal(fenced.epoch, own.epoch);
    assert_false(appender_next_fenced(f->appender, &fenced));
}

/* Given up in this broker's name. */
static void a_check_finds_lanes_that_nobody_holds(void **state)
{
    fixture_t *f = *state;
    store_lane_t row = memory_store_lane(FIXTURE_DATABASE, 1);
    store_hold_t fenced = {0};
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 3, 2);
    row.holder = (incarnation_t){{0}};
    memory_store_set_lane(FIXTURE_DATABASE, &row);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    assert_true(appender_next_fenced(f->appender, &fenced));
    assert_int_equal(fenced.lane, 1);
}

static void a_new_connection_checks_all_lanes(void **state)
{
    fixture_t *f = *state;
    store_hold_t fenced;
    fixture_append_well(f, 3, 0);
    (void)world_assign(f->world, 2, world_other);
    world_strike(f->world, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    fixture_append_well(f, 2, 2);
    assert_true(appender_next_fenced(f->appender, &fenced));
    assert_int_equal(fenced.lane, 2);
}

static void nothing_is_asked_about_lanes_that_were_checked(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    world_strike(f->world, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, 1);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    assert_int_equal(f->world->went, 0);
}

/* The broker's own checkpointer may be faster than the check. */
static void purged_entries_are_not_lost(void **state)
{
    fixture_t *f = *state;
    store_hold_t hold = world_hold(f->world, 0);
    for (size_t i = 0; i < 5; i++) {
        fixture_append_well(f, 1, 2 * i);
    }
    fixture_purge(f, &hold, 5);
    assert_int_equal(world_entry_count(f->world, 0), 4); /* 0, ADOPT, 5, 6 */
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    fixture_append_well(f, 1, 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_statement_holds_the_entries_of_all_lanes),
        TEST(an_entry_tells_who_wrote_it_and_when),
        TEST(records_stand_in_order),
        TEST(a_result_has_its_events),
        TEST(a_result_has_what_was_told),
        TEST(ends_of_outgoing_messages_stand_in_order),
        TEST(a_statement_has_a_largest_size),
        TEST(test_nt_14_busy_is_tried_again_with_jitter),
        TEST(busy_is_not_tried_again_by_an_actor_that_stops),
        TEST(busy_without_end_counts_as_unavailable),
        TEST(test_sr_03_an_outage_ends_with_the_database_and_is_told_once),
        TEST(a_stop_ends_an_outage),
        TEST(a_lost_answer_that_did_not_land_runs_again),
        TEST(a_lost_answer_that_landed_is_done),
        TEST(a_statement_that_still_runs_is_met_again),
        TEST(what_landed_and_was_purged_is_not_inserted_again),
        TEST(what_landed_before_the_lane_was_taken_is_durable),
        TEST(a_writer_that_wakes_after_its_lane_was_taken_is_fenced),
        TEST(a_writer_that_wakes_after_a_purge_is_fenced),
        TEST(a_fenced_lane_appends_nothing_more),
        TEST(a_lane_that_comes_back_begins_anew),
        TEST(a_check_finds_lanes_that_others_hold),
        TEST(a_check_finds_lanes_that_nobody_holds),
        TEST(a_new_connection_checks_all_lanes),
        TEST(nothing_is_asked_about_lanes_that_were_checked),
        TEST(purged_entries_are_not_lost),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
