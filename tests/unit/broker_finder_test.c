/* The finder's logic over the store in memory: what it finds, how far it looks, purges that overlap
 * with it, damage, and when it gives up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/store/finder.h"
#include "core/journal/entry.h"
#include "core/message.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_finder"

enum { LANE = 1, CALLS = 40, FIRST = 100, LAST = FIRST + CALLS - 1 };

typedef struct fixture {
    actor_world_t *world;
    finder_t *finder;
    finder_config_t config;
    store_hold_t hold;
    sample_t sample;
    finder_answer_t answer;
} fixture_t;

static void open_finder(fixture_t *f)
{
    finder_destroy(&f->finder);
    f->finder = finder_new(&f->config, &f->world->world);
}

/* Forty messages, two in an entry; each of the first half ends in the entry after its own. */
static void open_world(fixture_t *f)
{
    f->world = world_new(DATABASE);
    f->hold = world_hold(f->world, LANE);
    f->config = (finder_config_t){.connection = f->world->connection};
    finder_config_defaults(&f->config);
    open_finder(f);
    sample_fill(&f->sample, LANE, FIRST);
    for (size_t i = 0; i < CALLS; i += 2) {
        lane_batch_t batch = sample_messages(&f->sample, i, 2);
        if (i >= 2 && i <= CALLS / 2) {
            batch.ends = f->sample.ends + i - 2;
            batch.end_count = 2;
        }
        (void)world_append(f->world, &f->hold, &batch);
    }
}

static void close_world(fixture_t *f)
{
    finder_answer_clear(&f->answer);
    finder_destroy(&f->finder);
    world_free(&f->world);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    open_world(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    close_world(f);
    free(f);
    return 0;
}

static fabric_error_t find(fixture_t *f, uint64_t floor, const call_key_t *calls, size_t count)
{
    finder_answer_clear(&f->answer);
    return finder_find(f->finder, LANE, (request_id_t){floor}, calls, count, &f->answer);
}

/* Looks for all of them. Each one above `reached` is found, with its reply if it has ended; returns
 * how many were found. */
static size_t find_all(fixture_t *f, uint64_t floor)
{
    call_key_t calls[CALLS];
    bool found[CALLS] = {false};
    for (uint64_t i = 0; i < CALLS; i++) {
        calls[i] = (call_key_t){9, LAST - i};
    }
    assert_int_equal(find(f, floor, calls, CALLS), FABRIC_OK);
    assert_true(f->answer.reached.value >= floor);
    for (size_t i = 0; i < f->answer.count; i++) {
        const finder_found_t *one = &f->answer.found[i];
        size_t index = one->message->stored.id.value - FIRST;
        assert_false(found[index]);
        found[index] = true;
        assert_int_equal(one->message->stored.call.sequence, FIRST + index);
        assert_int_equal(one->message->state, index < CALLS / 2 ? MESSAGE_ENDED : MESSAGE_NEW);
        assert_int_equal(one->contents, journal_contents_hash(&f->sample.messages[index]));
    }
    for (uint64_t i = 0; i < CALLS; i++) {
        if (FIRST + i > f->answer.reached.value && !found[i]) {
            fail_msg("%d is not found, and all above %d were looked at", (int)(FIRST + i),
                     (int)f->answer.reached.value);
        }
    }
    return f->answer.count;
}

/* ---- what is found ---- */

static void test_ms_10_sm_16_calls_are_found_with_their_contents_or_replies(void **state)
{
    fixture_t *f = *state;
    const call_key_t calls[] = {{9, FIRST}, {9, LAST}, {9, 999}, {8, FIRST}};
    assert_int_equal(find(f, FIRST - 1, calls, 4), FABRIC_OK);
    assert_int_equal(f->answer.reached.value, FIRST - 1);
    assert_int_equal(f->answer.count, 2);
    const message_t *pending = f->answer.found[0].message;
    const message_t *ended = f->answer.found[1].message;
    assert_int_equal(pending->stored.id.value, LAST);
    assert_int_equal(pending->state, MESSAGE_NEW);
    assert_true(fabric_bytes_equal(pending->stored.payload, fabric_bytes_of("payload")));
    assert_int_equal(ended->stored.id.value, FIRST);
    assert_int_equal(ended->state, MESSAGE_ENDED);
    assert_true(fabric_bytes_equal(ended->reply.payload, fabric_bytes_of("reply")));
    assert_int_equal(ended->stored.shard.value, f->sample.messages[0].shard.value);
    assert_true(ended->stored.flags & REQUEST_DURABLE);
    assert_int_equal(find(f, FIRST - 1, &calls[2], 2), FABRIC_OK);
    assert_int_equal(f->answer.count, 0);
    assert_int_equal(f->answer.reached.value, FIRST - 1);
}

static void dead_letters_are_found_with_their_failures(void **state)
{
    fixture_t *f = *state;
    size_t index = CALLS - 1;
    const call_key_t call = {9, LAST};
    f->sample.replies[index].status = STATUS_DEFECT;
    f->sample.ends[index] = (batch_end_t){.message = &f->sample.messages[index],
                                          .reply = &f->sample.replies[index],
                                          .dead = true,
                                          .cause = FABRIC_ERROR_ENTITY_DEFECT};
    lane_batch_t batch = sample_ends(&f->sample, index, 1);
    (void)world_append(f->world, &f->hold, &batch);
    assert_int_equal(find(f, FIRST, &call, 1), FABRIC_OK);
    assert_int_equal(f->answer.count, 1);
    assert_int_equal(f->answer.found[0].message->state, MESSAGE_ENDED);
    assert_int_equal(f->answer.found[0].message->reply.status, STATUS_DEFECT);
    assert_int_equal(f->answer.found[0].contents,
                     journal_contents_hash(&f->sample.messages[index]));
}

static void pages_join_without_a_gap(void **state)
{
    fixture_t *f = *state;
    for (uint32_t entries = 1; entries <= CALLS / 2 + 2; entries++) {
        f->config.page_entries = entries;
        open_finder(f);
        assert_int_equal(find_all(f, FIRST - 1), CALLS);
        assert_int_equal(f->answer.reached.value, FIRST - 1);
        assert_int_equal(find_all(f, LAST - 6), 6);
        assert_int_equal(f->answer.reached.value, LAST - 6);
    }
}

static void a_look_up_ends_at_its_floor(void **state)
{
    fixture_t *f = *state;
    f->config.page_entries = 1;
    open_finder(f);
    (void)find_all(f, LAST); /* connects */
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_UNAVAILABLE, 5, 1);
    assert_int_equal(find_all(f, LAST - 2), 2); /* two entries, two pages */
}

/* ---- bounds ---- */

static void bytes_of_calls_are_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.page_entries = 1;
    f->config.calls_bytes_max = 100;
    open_finder(f);
    size_t found = find_all(f, FIRST - 1);
    assert_true(found > 0 && found < CALLS / 2);
    assert_true(f->answer.reached.value > FIRST && f->answer.reached.value < LAST);
    assert_int_equal(f->answer.lost.value, 0);
}

static void time_is_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.page_entries = 1;
    f->config.time_max_ms = 1000;
    f->world->step_ms = 400; /* after the third page it is 1200 ms later */
    open_finder(f);
    size_t found = find_all(f, FIRST - 1);
    assert_true(found > 0 && found <= 6);
    assert_true(f->answer.reached.value >= LAST - 6);
    assert_int_equal(f->answer.lost.value, 0);
}

static void bytes_of_bodies_are_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.bodies_bytes_max = 300;
    open_finder(f);
    size_t found = find_all(f, FIRST - 1);
    assert_true(found > 0 && found < CALLS);
    assert_true(f->answer.reached.value > FIRST && f->answer.reached.value < LAST);
    assert_int_equal(f->answer.lost.value, 0);
}

/* ---- purges ---- */

static store_purge_t purge_below(uint64_t number)
{
    return (store_purge_t){
        .before = number, .created_before_ms = INT64_MAX, .entries_max = UINT32_MAX};
}

static void purged_calls_are_unknown(void **state)
{
    fixture_t *f = *state;
    store_purge_t purge = purge_below(8);
    store_purged_t purged;
    world_checkpoint(f->world, &f->hold, 8);
    assert_int_equal(f->world->store->driver->purge(f->world->store, &f->hold, &purge, &purged),
                     FABRIC_OK);
    assert_true(find_all(f, FIRST - 1) < CALLS);
    assert_int_equal(f->answer.reached.value, FIRST + 13);
    assert_int_equal(f->answer.lost.value, FIRST + 13);
    assert_int_equal(find_all(f, FIRST + 13), CALLS - 14);
    assert_int_equal(f->answer.reached.value, FIRST + 13);
}

/* An ADOPT entry stays where the entries around it are purged. */
static void an_old_first_entry_hides_no_purge(void **state)
{
    fixture_t *f = *state;
    store_hold_t later = world_assign(f->world, LANE, world_other);
    store_entry_t adopt = world_take(f->world, &later);
    sample_t sample;
    sample_fill(&sample, LANE, 500);
    for (size_t i = 0; i < 4; i++) {
        lane_batch_t batch = sample_messages(&sample, i, 1);
        (void)world_append(f->world, &later, &batch);
    }
    f->hold = later;
    world_checkpoint(f->world, &f->hold, adopt.number + 3);
    store_purge_t purge = purge_below(adopt.number + 3);
    store_purged_t purged;
    assert_int_equal(f->world->store->driver->purge(f->world->store, &later, &purge, &purged),
                     FABRIC_OK);
    const call_key_t call = {9, 500};
    assert_int_equal(find(f, LAST, &call, 1), FABRIC_OK); /* the ADOPT entry's last id */
    assert_int_equal(f->answer.count, 0);
    assert_int_equal(f->answer.reached.value, 501);
}

/* A purge that is under way commits between any two reads. */
static void a_purge_meanwhile_makes_calls_unknown_but_never_new(void **state)
{
    fixture_t *f = *state;
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (uint32_t delay = 0; delay < 60; delay++) {
        close_world(f);
        open_world(f);
        world_checkpoint(f->world, &f->hold, 12);
        memory_store_fault_t fault = {.operation = MEMORY_STORE_PURGE,
                                      .kind = MEMORY_STORE_UNKNOWN_RUNNING,
                                      .times = 1,
                                      .delay = delay};
        memory_store_fault(DATABASE, &fault);
        store_purge_t purge = purge_below(12);
        store_purged_t purged;
        f->config.page_entries = 3;
        open_finder(f);
        assert_int_equal(f->world->store->driver->purge(f->world->store, &f->hold, &purge, &purged),
                         FABRIC_ERROR_STORE_UNKNOWN);
        (void)find_all(f, FIRST - 1);
        low = f->answer.reached.value < low ? f->answer.reached.value : low;
        high = f->answer.reached.value > high ? f->answer.reached.value : high;
        memory_store_end_running(DATABASE, true);
        memory_store_clear_faults(DATABASE);
    }
    assert_int_equal(low, FIRST - 1); /* the purge came later */
    assert_int_equal(high, FIRST + 21);
}

static void a_checkpoint_meanwhile_changes_nothing(void **state)
{
    fixture_t *f = *state;
    for (uint32_t delay = 0; delay < 40; delay++) {
        close_world(f);
        open_world(f);
        memory_store_fault_t fault = {.operation = MEMORY_STORE_CHECKPOINT,
                                      .kind = MEMORY_STORE_UNKNOWN_RUNNING,
                                      .times = 1,
                                      .delay = delay};
        memory_store_fault(DATABASE, &fault);
        store_slice_t slice = {
            .settled = memory_store_lane(DATABASE, LANE).number, .begun = 15, .last = true};
        assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->hold, &slice),
                         FABRIC_ERROR_STORE_UNKNOWN);
        assert_int_equal(find_all(f, FIRST - 1), CALLS);
        memory_store_end_running(DATABASE, true);
    }
}

/* ---- damage ---- */

/* The last entry but one gets one wrong byte in its calls or body: it is written anew at the
 * end. */
static void append_damaged(fixture_t *f, bool calls)
{
    store_entry_t last = world_end(f->world, LANE);
    store_entry_t entry = {.lane = LANE,
                           .number = last.number + 1,
                           .epoch = f->hold.epoch,
                           .incarnation = f->hold.holder,
                           .last_id = LAST};
    journal_writer_t *writer = journal_writer_new();
    journal_put_result(writer, f->sample.list[CALLS - 1], f->sample.list[CALLS - 1]->id.value,
                       &f->sample.replies[CALLS - 1]);
    journal_seal(writer, &entry, last.log_bytes);
    fabric_bytes_t *part = calls ? &entry.calls : &entry.body;
    uint8_t *bytes = malloc(part->size);
    memcpy(bytes, part->data, part->size);
    bytes[part->size - 1] ^= 1;
    part->data = bytes;
    assert_int_equal(f->world->store->driver->append(f->world->store, &entry, 1), FABRIC_OK);
    journal_writer_destroy(&writer);
    free(bytes);
}

static void a_damaged_result_is_a_defect(void **state)
{
    fixture_t *f = *state;
    const call_key_t call = {9, LAST};
    append_damaged(f, false);
    assert_int_equal(find(f, FIRST, &call, 1), FABRIC_OK);
    assert_int_equal(f->answer.count, 1);
    const message_t *message = f->answer.found[0].message;
    assert_int_equal(message->stored.id.value, LAST);
    assert_int_equal(message->state, MESSAGE_ENDED);
    assert_int_equal(message->reply.status, STATUS_DEFECT);
    assert_int_equal(message->reply.error, FABRIC_ERROR_ENTITY_DEFECT);
}

static void damaged_calls_make_older_ones_unknown(void **state)
{
    fixture_t *f = *state;
    const call_key_t call = {9, 999};
    append_damaged(f, true);
    assert_int_equal(find(f, FIRST, &call, 1), FABRIC_OK);
    assert_int_equal(f->answer.reached.value, LAST);
    assert_int_equal(f->answer.lost.value, LAST);
}

/* ---- failures ---- */

static void a_failure_leaves_no_answer_and_the_next_look_up_connects_again(void **state)
{
    fixture_t *f = *state;
    const call_key_t call = {9, FIRST};
    for (uint32_t after = 0; after < 4; after++) {
        world_strike(f->world, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, after, 1);
        assert_int_equal(find(f, FIRST - 1, &call, 1), FABRIC_ERROR_STORE_UNAVAILABLE);
        assert_null(f->answer.found);
        assert_int_equal(find(f, FIRST - 1, &call, 1), FABRIC_OK);
        assert_int_equal(f->answer.count, 1);
        finder_destroy(&f->finder);
        open_finder(f);
    }
}

static void a_stop_ends_a_look_up(void **state)
{
    fixture_t *f = *state;
    const call_key_t call = {9, FIRST};
    f->config.page_entries = 1;
    open_finder(f);
    f->world->looks_max = 3;
    assert_int_equal(find(f, FIRST - 1, &call, 1), FABRIC_ERROR_SHUTTING_DOWN);
    assert_null(f->answer.found);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_ms_10_sm_16_calls_are_found_with_their_contents_or_replies),
        TEST(dead_letters_are_found_with_their_failures),
        TEST(pages_join_without_a_gap),
        TEST(a_look_up_ends_at_its_floor),
        TEST(bytes_of_calls_are_bounded),
        TEST(time_is_bounded),
        TEST(bytes_of_bodies_are_bounded),
        TEST(purged_calls_are_unknown),
        TEST(an_old_first_entry_hides_no_purge),
        TEST(a_purge_meanwhile_makes_calls_unknown_but_never_new),
        TEST(a_checkpoint_meanwhile_changes_nothing),
        TEST(a_damaged_result_is_a_defect),
        TEST(damaged_calls_make_older_ones_unknown),
        TEST(a_failure_leaves_no_answer_and_the_next_look_up_connects_again),
        TEST(a_stop_ends_a_look_up),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
