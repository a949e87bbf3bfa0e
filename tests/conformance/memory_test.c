/* The store suite on the in-memory store, and the faults that only this store has. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/memory/memory_store.h"
#include "tests/conformance/store_fixture.h"

static const char *name_of(const char *url)
{
    return url + strlen("memory:");
}

static bool create(char url[512])
{
    static unsigned number;
    snprintf(url, 512, "memory:test-%u", number++);
    memory_store_reset(name_of(url));
    return true;
}

static void destroy(const char *url)
{
    memory_store_reset(name_of(url));
}

static bool damage(const char *url, store_suite_damage_t kind)
{
    switch (kind) {
    case STORE_SUITE_NEWER_VERSION:
        memory_store_set_version(name_of(url), STORE_SCHEMA_VERSION + 1);
        break;
    case STORE_SUITE_FOREIGN_TABLES:
        memory_store_make_foreign(name_of(url));
        break;
    case STORE_SUITE_NO_CLUSTER:
        memory_store_lose_cluster(name_of(url));
        break;
    case STORE_SUITE_NO_ENTRY:
        memory_store_lose_entry(name_of(url), 0, memory_store_lane(name_of(url), 0).number);
        break;
    }
    return true;
}

/* The database remembers its transactions, and takes them back. */
static bool copy(const char *url)
{
    (void)url;
    return true;
}

static bool put_back(const char *url, unsigned appends)
{
    memory_store_lose(name_of(url), appends);
    return true;
}

/* A dead letter that is looked for. */
typedef struct wanted_dead {
    uint32_t lane;
    request_id_t id;
    store_dead_row_t *row;
    bool found;
} wanted_dead_t;

static void find_dead(void *context, uint32_t lane, const store_dead_row_t *row)
{
    wanted_dead_t *wanted = context;
    if (lane == wanted->lane && row->id.value == wanted->id.value) {
        *wanted->row = *row; /* its views are valid as long as the row stands */
        wanted->found = true;
    }
}

static bool dead_letter(const char *url, uint32_t lane, request_id_t id, store_dead_row_t *row)
{
    wanted_dead_t wanted = {lane, id, row, false};
    memory_store_dump_dead(name_of(url), find_dead, &wanted);
    return wanted.found;
}

/* ---- faults ---- */

static void inject(const store_fixture_t *fixture, memory_store_operation_t operation,
                   memory_store_fault_kind_t kind, uint32_t after, uint32_t times)
{
    memory_store_fault_t fault = {
        .operation = operation, .kind = kind, .after = after, .times = times, .lost = 1};
    memory_store_fault(name_of(fixture->url), &fault);
}

static void inject_running(const store_fixture_t *fixture, memory_store_operation_t operation,
                           uint32_t delay)
{
    memory_store_fault_t fault = {
        .operation = operation, .kind = MEMORY_STORE_UNKNOWN_RUNNING, .times = 1, .delay = delay};
    memory_store_fault(name_of(fixture->url), &fault);
}

static void faults_strike_after_and_times(void **state)
{
    store_fixture_t *fixture = *state;
    inject(fixture, MEMORY_STORE_APPEND, MEMORY_STORE_UNAVAILABLE, 1, 2);
    assert_ok(append_one(fixture, &fixture->hold, 2));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, append_one(fixture, &fixture->hold, 3));
    read_entries(fixture, 0, 2); /* another operation */
    assert_numbers(fixture, 2, 1, 1);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, append_one(fixture, &fixture->hold, 3));
    assert_ok(append_one(fixture, &fixture->hold, 3));
    inject(fixture, MEMORY_STORE_APPEND, MEMORY_STORE_BUSY, 0, 1);
    assert_error(FABRIC_ERROR_STORE_BUSY, append_one(fixture, &fixture->hold, 4));
    assert_ok(append_one(fixture, &fixture->hold, 4));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 3);
}

static void an_unknown_append_landed_or_not_and_kills_the_connection(void **state)
{
    store_fixture_t *fixture = *state;
    inject(fixture, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, append_one(fixture, &fixture->hold, 2));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, append_one(fixture, &fixture->hold, 2));
    fixture_reconnect(fixture);
    assert_int_equal(newest_entry(fixture, 0), 1);
    inject(fixture, MEMORY_STORE_APPEND, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, append_one(fixture, &fixture->hold, 2));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->broker_renew(fixture->store, fixture->broker.incarnation, 1));
    fixture_reconnect(fixture);
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &fixture->hold, 2));
}

static void an_append_that_still_runs_lands_after_later_calls(void **state)
{
    store_fixture_t *fixture = *state;
    inject_running(fixture, MEMORY_STORE_APPEND, 2);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, append_one(fixture, &fixture->hold, 2));
    fixture_reconnect(fixture);
    assert_int_equal(newest_entry(fixture, 0), 1); /* opening was the first call */
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &fixture->hold, 2));
}

static void an_append_that_still_runs_is_overtaken(void **state)
{
    store_fixture_t *fixture = *state;
    store_entry_t late[] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold_1, 2)};
    inject_running(fixture, MEMORY_STORE_APPEND, 100);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, fixture->driver->append(fixture->store, late, 2));
    fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 2);
    memory_store_end_running(name_of(fixture->url), true);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 1);
    assert_true(fixture->entries.items[0].adopt);
    assert_int_equal(newest_entry(fixture, 1), 1); /* all of the statement or nothing */
}

static void a_checkpoint_that_still_runs_has_its_lane_locked(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    inject_running(fixture, MEMORY_STORE_CHECKPOINT, 100);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, put_rows(fixture, &fixture->hold, 7, 10, 2));
    assert_false(has_row(fixture, 0, 7, 10));
    assert_ok(fixture->driver->append(
        fixture->second, &(store_entry_t){.lane = 0, .number = 3, .incarnation = self}, 1));
    assert_error(FABRIC_ERROR_STORE_BUSY,
                 fixture->driver->lane_assign(fixture->second, fixture->term, self, &fixture->hold,
                                              incarnation_of(2)));
    assert_false(has_row(fixture, 0, 7, 10));
    /* Of another lane: at once. */
    fixture_assign(fixture, &fixture->hold_1, incarnation_of(2));
    assert_false(has_row(fixture, 0, 7, 10));
    /* Any other change of the lane waits for it. */
    assert_ok(fixture->driver->lane_give_up(fixture->second, &fixture->hold));
    assert_true(has_row(fixture, 0, 7, 10));
    assert_int_equal(lane_row(fixture, 0).number, 2);
}

static void what_still_runs_can_be_rolled_back(void **state)
{
    store_fixture_t *fixture = *state;
    inject_running(fixture, MEMORY_STORE_CHECKPOINT, 100);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, put_rows(fixture, &fixture->hold, 7, 10, 2));
    memory_store_end_running(name_of(fixture->url), false);
    fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    assert_false(has_row(fixture, 0, 7, 10));
}

static void an_older_copy_forgets_everything_since(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    const char *name = name_of(fixture->url);
    append_some(fixture, &fixture->hold, 2, 2);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 3));
    assert_ok(fixture->driver->broker_renew(fixture->store, self, 500));
    uint64_t commits = memory_store_commits(name);

    append_some(fixture, &fixture->hold, 4, 2);
    store_pending_t put = pending_of(11, 7);
    put.attempts = 3;
    store_amendment_t amendment = {.key = {7, 10}, .number = 4, .attempts = 4};
    store_row_key_t deleted = {7, 12};
    store_dead_row_t dead = dead_of(12);
    store_slice_t slice = {.puts = &put,
                           .put_count = 1,
                           .amendments = &amendment,
                           .amendment_count = 1,
                           .deletes = &deleted,
                           .delete_count = 1,
                           .dead = &dead,
                           .dead_count = 1,
                           .settled = 2,
                           .begun = 5,
                           .last = true};
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    store_purge_t purge = {.before = 5, .created_before_ms = INT64_MAX, .entries_max = 100};
    store_purged_t purged;
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &purge, &purged));
    assert_ok(fixture->driver->broker_renew(fixture->store, self, 900));
    uint16_t group = 0;
    assert_ok(
        fixture->driver->group_put(fixture->store, fixture->term, self, bytes_of("new"), &group));
    fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    memory_store_lose(name, 2);

    assert_int_equal(memory_store_commits(name), commits);
    read_entries(fixture, 0, 0);
    assert_numbers(fixture, 0, 1, 4);
    load_range(fixture, 0, 7, 0, INT64_MAX, 100);
    assert_positions(fixture, 10, 3);
    assert_int_equal(fixture->rows.items[0].row.attempts, 0);
    assert_int_equal(fixture->rows.items[1].row.attempts, 0);
    assert_false(dead_letter(fixture->url, 0, dead.id, &dead));
    store_lane_t row = lane_row(fixture, 0);
    assert_int_equal(row.epoch, 1);
    assert_int_equal(row.number, 2);
    assert_int_equal(row.purged_id, 0);
    fixture_brokers(fixture);
    assert_int_equal(fixture->brokers[0].id_mark, 500);
    uint16_t again = 0;
    assert_ok(
        fixture->driver->group_put(fixture->store, fixture->term, self, bytes_of("other"), &again));
    assert_int_equal(again, group);

    inject(fixture, MEMORY_STORE_APPEND, MEMORY_STORE_LOSE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, append_one(fixture, &fixture->hold, 4));
    assert_int_equal(newest_entry(fixture, 0), 2);
    /* A writer of the lost entries sees that its own are missing under the same epoch. */
    memory_store_lose(name, 1000);
    assert_int_equal(newest_entry(fixture, 0), 0);
    assert_int_equal(lane_row(fixture, 0).epoch, 1);
}

static void any_operation_can_be_cut_off(void **state)
{
    store_fixture_t *fixture = *state;
    store_coordinator_t coordinator;
    reason_t reason = {""};
    store_t *opened = NULL;
    store_options_t options = {.url = fixture->url};
    inject(fixture, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, 2);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->coordinator_read(fixture->store, &coordinator));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, fixture->driver->open(&options, &reason, &opened));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->coordinator_read(fixture->store, &coordinator));
    memory_store_clear_faults(name_of(fixture->url));
    fixture_reconnect(fixture);
    assert_ok(fixture->driver->coordinator_read(fixture->store, &coordinator));
    inject(fixture, MEMORY_STORE_TAKE, MEMORY_STORE_REJECTED, 0, 1);
    store_entry_t adopt = adopt_of(&fixture->hold, 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 fixture->driver->lane_take(fixture->store, &fixture->hold, &adopt));
    assert_ok(fixture->driver->lane_take(fixture->store, &fixture->hold, &adopt));
    inject(fixture, MEMORY_STORE_RENEW, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN,
                 fixture->driver->broker_renew(fixture->store, fixture->broker.incarnation, 77));
    fixture_brokers(fixture);
    assert_int_equal(fixture->brokers[0].id_mark, 77);
}

static void count_events(void *context, uint32_t lane, const store_event_t *row)
{
    assert_int_equal(lane, 0);
    assert_int_equal(row->sequence, ++*(uint64_t *)context);
}

static uint64_t events_of(const store_fixture_t *fixture)
{
    uint64_t count = 0;
    memory_store_dump_events(name_of(fixture->url), count_events, &count);
    return count;
}

static void ignore_event(void *context, size_t history, const store_event_t *event)
{
    (void)context;
    (void)history;
    (void)event;
}

/* Events are appended and taken back with all else of their transaction. */
static void events_share_the_fate_of_their_checkpoint(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t events[] = {{.type = bytes_of("Order"),
                               .entity = bytes_of("a"),
                               .sequence = 1,
                               .tag = bytes_of("Placed"),
                               .payload = bytes_of("one")},
                              {.type = bytes_of("Order"),
                               .entity = bytes_of("a"),
                               .sequence = 2,
                               .tag = bytes_of("Paid")}};
    store_slice_t slice = {.events = events, .event_count = 1, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(events_of(fixture), 1);
    slice.event_count = 2;
    slice.begun = 3;
    inject(fixture, MEMORY_STORE_CHECKPOINT, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(events_of(fixture), 1);
    fixture_reconnect(fixture);
    inject_running(fixture, MEMORY_STORE_CHECKPOINT, 100);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(events_of(fixture), 1);
    memory_store_end_running(name_of(fixture->url), true);
    assert_int_equal(events_of(fixture), 2);
    fixture_reconnect(fixture);
    assert_ok(write_slice(fixture, &fixture->hold, &slice)); /* the same once more */
    assert_int_equal(events_of(fixture), 2);
    size_t done = 0;
    store_history_t history = {{events[0].type, events[0].entity}, 0, 9};
    inject(fixture, MEMORY_STORE_LOAD, MEMORY_STORE_UNAVAILABLE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->load_events(fixture->store, 0, &history, 1, 1 << 20, ignore_event,
                                              NULL, &done));
    memory_store_lose(name_of(fixture->url), 1); /* entry 3, and the event with it */
    assert_int_equal(events_of(fixture), 1);
}

static void count_outgoing(void *context, uint32_t lane, const store_outgoing_t *row)
{
    assert_int_equal(lane, 0);
    assert_true(row->key.id > 0);
    ++*(uint64_t *)context;
}

static uint64_t outgoing_of(const store_fixture_t *fixture)
{
    uint64_t count = 0;
    memory_store_dump_outgoing(name_of(fixture->url), count_outgoing, &count);
    return count;
}

/* So are outgoing messages, and their ends. */
static void outgoing_messages_share_the_fate_of_their_checkpoint(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t messages[] = {{.key = {7, 0}, .type = bytes_of("Order")},
                                   {.key = {7, 1}, .payload = bytes_of("two")},
                                   {.key = {6, 0}, .headers = bytes_of("three")}};
    store_slice_t slice = {.outgoing = messages, .outgoing_count = 2, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(outgoing_of(fixture), 2);
    slice = (store_slice_t){.outgoing = messages + 2,
                            .outgoing_count = 1,
                            .sent = &messages[0].key,
                            .sent_count = 1,
                            .begun = 3,
                            .last = true};
    inject(fixture, MEMORY_STORE_CHECKPOINT, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, write_slice(fixture, &fixture->hold, &slice));
    fixture_reconnect(fixture);
    inject_running(fixture, MEMORY_STORE_CHECKPOINT, 100);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, write_slice(fixture, &fixture->hold, &slice));
    uint64_t oldest = 0;
    assert_ok(fixture->driver->oldest_outgoing(fixture->second, &oldest));
    assert_true(oldest <= 7);
    memory_store_end_running(name_of(fixture->url), true);
    assert_int_equal(outgoing_of(fixture), 2); /* one more, and one less */
    fixture_reconnect(fixture);
    assert_ok(write_slice(fixture, &fixture->hold, &slice)); /* the same once more */
    assert_int_equal(outgoing_of(fixture), 2);
    inject(fixture, MEMORY_STORE_LOAD, MEMORY_STORE_UNAVAILABLE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->oldest_outgoing(fixture->store, &oldest));
    memory_store_lose(name_of(fixture->url), 1); /* entry 3, and what came with it */
    assert_int_equal(outgoing_of(fixture), 2);
}

static bool count_entry(void *context, const store_entry_t *entry)
{
    assert_int_equal(entry->number, (*(size_t *)context)++);
    return true;
}

static void count_pending(void *context, uint32_t lane, const store_pending_t *row)
{
    assert_true(lane < 2 && row->position >= 10);
    (*(size_t *)context)++;
}

static void count_dead(void *context, uint32_t lane, const store_dead_row_t *row)
{
    assert_int_equal(lane, 1);
    assert_same_bytes(row->text, bytes_of("segmentation fault"));
    (*(size_t *)context)++;
}

static void dumps_show_everything(void **state)
{
    store_fixture_t *fixture = *state;
    size_t counts[3] = {0};
    const char *name = name_of(fixture->url);
    append_some(fixture, &fixture->hold, 2, 3);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 3));
    assert_ok(put_rows(fixture, &fixture->hold_1, 7, 10, 2));
    store_dead_row_t dead = dead_of(12);
    store_slice_t slice = {.dead = &dead, .dead_count = 1, .settled = 2, .begun = 1, .last = true};
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold_1, &slice));
    memory_store_dump_entries(name, 0, count_entry, &counts[0]);
    memory_store_dump_pending(name, count_pending, &counts[1]);
    memory_store_dump_dead(name, count_dead, &counts[2]);
    assert_int_equal(counts[0], 5);
    assert_int_equal(counts[1], 5);
    assert_int_equal(counts[2], 1);
    assert_int_equal(memory_store_lane(name, 0).number, 2);
    memory_store_set_time(name, 123456);
    store_broker_t other = broker_of(2, 2);
    assert_int_equal(fixture_join(fixture, &other).now_ms, 123456);
    store_lane_t lane = memory_store_lane(name, 0);
    lane.epoch = 77;
    memory_store_set_lane(name, &lane);
    assert_int_equal(lane_row(fixture, 0).epoch, 77);
}

/* Rows may come and go in any order, and very many. */
static void twenty_thousand_rows(void **state)
{
    store_fixture_t *fixture = *state;
    for (uint64_t i = 0; i < 4; i++) {
        assert_ok(put_rows(fixture, &fixture->hold, i % 3, 1 + 5000 * i, 5000));
    }
    store_row_key_t deletes[5000];
    uint64_t position = 0;
    for (uint64_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 5000; j++) {
            position = (position + 7919) % 20011;
            deletes[j] = (store_row_key_t){(position - 1) / 5000 % 3, position};
        }
        store_slice_t slice = {.deletes = deletes, .delete_count = 5000, .settled = 2, .begun = 2};
        assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    }
    list_backlogs(fixture, 0);
    assert_int_equal(fixture->backlog_count, 3);
    uint64_t left =
        fixture->backlogs[0].count + fixture->backlogs[1].count + fixture->backlogs[2].count;
    assert_in_range(left, 5000, 5011); /* 7919 walks through all of 0..20010 */
    load_all(fixture, 0);
    assert_int_equal(fixture->rows.count, left);
    memory_store_lose(name_of(fixture->url), 1); /* entry 2, and all of these */
    list_backlogs(fixture, 0);
}

static int faults(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(faults_strike_after_and_times),
        FOUNDED_TEST(an_unknown_append_landed_or_not_and_kills_the_connection),
        FOUNDED_TEST(an_append_that_still_runs_lands_after_later_calls),
        FOUNDED_TEST(an_append_that_still_runs_is_overtaken),
        FOUNDED_TEST(a_checkpoint_that_still_runs_has_its_lane_locked),
        FOUNDED_TEST(what_still_runs_can_be_rolled_back),
        FOUNDED_TEST(an_older_copy_forgets_everything_since),
        FOUNDED_TEST(any_operation_can_be_cut_off),
        FOUNDED_TEST(dumps_show_everything),
        FOUNDED_TEST(events_share_the_fate_of_their_checkpoint),
        FOUNDED_TEST(outgoing_messages_share_the_fate_of_their_checkpoint),
        FOUNDED_TEST(twenty_thousand_rows),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}

int main(void)
{
    static const store_suite_t suite = {.name = "memory",
                                        .driver = &memory_store_driver,
                                        .exclusive = true,
                                        .row_locks = true,
                                        .create = create,
                                        .destroy = destroy,
                                        .damage = damage,
                                        .copy = copy,
                                        .put_back = put_back,
                                        .dead_letter = dead_letter};
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = store_suite_run(&suite) + faults();
    memory_store_free_all();
    return failed;
}
