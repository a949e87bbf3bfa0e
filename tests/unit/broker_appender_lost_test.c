/* The appender notices that the database has lost commits, in virtual time: on a new connection, by
 * its anchor, or by a check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/appender_fixture.h"

/* So long that the next append is bound to its anchor. */
static void pause_appends(fixture_t *f)
{
    f->world->now_ms += APPENDER_PUT_BACK_MS;
}

/* The next append follows at once, and takes so long. */
static fabric_error_t append_slowly(fixture_t *f, uint32_t lanes, size_t first, uint32_t ms)
{
    f->world->step_after = 1;
    f->world->step_ms = ms;
    fabric_error_t error = fixture_append(f, lanes, first);
    f->world->step_ms = 0;
    return error;
}

static void lost_commits_are_found_on_a_new_connection(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 3, 2);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    memory_store_fault_t fault = {
        .operation = MEMORY_STORE_APPEND, .kind = MEMORY_STORE_LOSE, .times = 1, .lost = 1};
    memory_store_fault(FIXTURE_DATABASE, &fault);
    assert_int_equal(fixture_append(f, 3, 4), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "entry 3 "));
}

/* An older copy is put back, and the connection lives on: behind a proxy, say. */
static void an_older_copy_takes_no_append(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 1, 2);
    pause_appends(f);
    memory_store_lose(FIXTURE_DATABASE, 1); /* entry 3 of lane 0 */
    uint64_t commits = memory_store_commits(FIXTURE_DATABASE);
    for (uint32_t lane = 0; lane < 2; lane++) {
        fixture_put(f, lane, sample_messages(&f->samples[lane], 4, 2));
    }
    /* Lane 1 has lost nothing, but the copy is another journal than the one that was written. */
    assert_int_equal(appender_append(f->appender, &f->parts[1], 1), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "entry 3 "));
    assert_int_equal(appender_append(f->appender, f->parts, 2), FABRIC_ERROR_STORE_LOST);
    assert_int_equal(memory_store_commits(FIXTURE_DATABASE), commits);
}

/* The copy has all that the appender has written, but not the first entry of a lane that has begun
 * since. */
static void an_older_copy_without_a_lanes_first_entry_takes_no_append(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    store_lane_t row = memory_store_lane(FIXTURE_DATABASE, 1);
    store_hold_t hold = world_assign(f->world, 1, world_self);
    store_entry_t adopt = world_take(f->world, &hold);
    appender_begin(f->appender, &hold, adopt.number, adopt.log_bytes);
    memory_store_lose(FIXTURE_DATABASE, 1);
    row.epoch = hold.epoch; /* the copy was made between the assignment and the entry */
    memory_store_set_lane(FIXTURE_DATABASE, &row);
    fixture_put(f, 1, sample_messages(&f->samples[1], 2, 2));
    uint64_t commits = memory_store_commits(FIXTURE_DATABASE);
    assert_int_equal(appender_append(f->appender, &f->parts[1], 1), FABRIC_ERROR_STORE_LOST);
    assert_int_equal(memory_store_commits(FIXTURE_DATABASE), commits);
}

/* The append follows the last one at once, so it is not bound to it, and waits in the database
 * until the copy is in its place. */
static void a_copy_that_is_put_back_during_an_append_is_found_before_it_is_told(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 1, 2);
    memory_store_lose(FIXTURE_DATABASE, 1);
    assert_int_equal(append_slowly(f, 2, 4, APPENDER_PUT_BACK_MS), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "entry 3 "));
}

/* The same, and the connection breaks before the lanes are checked. */
static void an_append_in_doubt_is_told_after_a_check(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 1, 2);
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_DISCONNECTED, 0, 1);
    assert_int_equal(append_slowly(f, 1, 4, APPENDER_PUT_BACK_MS), FABRIC_OK);
    assert_int_equal(f->parts[0].number, 4);
    assert_int_equal(f->world->went, 1);
    memory_store_lose(FIXTURE_DATABASE, 1);
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_DISCONNECTED, 0, 1);
    assert_int_equal(append_slowly(f, 1, 6, APPENDER_PUT_BACK_MS), FABRIC_ERROR_STORE_LOST);
}

/* The answer of a slow append says when its entry was durable at the latest; it may have been long
 * before. */
static void a_pause_counts_from_the_beginning_of_the_append_before(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    assert_int_equal(append_slowly(f, 1, 2, APPENDER_PUT_BACK_MS - 1), FABRIC_OK);
    memory_store_lose(FIXTURE_DATABASE, 1);
    assert_int_equal(fixture_append(f, 1, 4), FABRIC_ERROR_STORE_LOST);
}

/* A quick append is not bound to the append before it, and is not followed by a check. */
static void a_copy_that_is_put_back_at_once_is_found_by_the_next_check(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 2, 2);
    memory_store_lose(FIXTURE_DATABASE, 1); /* entry 3 of the lanes 0 and 1 */
    fixture_put(f, 2, sample_messages(&f->samples[2], 2, 2));
    assert_int_equal(appender_append(f->appender, &f->parts[2], 1), FABRIC_OK);
    assert_int_equal(f->parts[2].number, 3);
    assert_int_equal(appender_check(f->appender), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "lane 0: entry 3 "));
}

/* The lanes that the copy lacks something of do not append any more, so no further check would look
 * at them. */
static void the_first_append_after_a_check_is_bound(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 3, 0);
    fixture_append_well(f, 2, 2);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    memory_store_lose(FIXTURE_DATABASE, 1); /* entry 3 of the lanes 0 and 1 */
    fixture_put(f, 2, sample_messages(&f->samples[2], 2, 2));
    assert_int_equal(appender_append(f->appender, &f->parts[2], 1), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "lane 0: entry 3 "));
}

/* All lanes are checked before it and after it. */
static void an_append_without_an_anchor_is_told_after_a_check(void **state)
{
    fixture_t *f = *state;
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_DISCONNECTED, WORLD_LANES, 1);
    fixture_append_well(f, 1, 0);
    assert_int_equal(f->world->went, 1);
    fixture_append_well(f, 1, 2);
    store_hold_t hold = world_assign(f->world, 1, world_self);
    store_entry_t adopt = world_take(f->world, &hold);
    appender_begin(f->appender, &hold, adopt.number, adopt.log_bytes);
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_DISCONNECTED, WORLD_LANES, 1);
    fixture_append_well(f, 1, 4);
    assert_int_equal(f->world->went, 2);
}

/* The anchor lies in a lane that another broker has taken and purged. */
static void an_anchor_that_was_purged_is_no_lost_commit(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 2, 0); /* the anchor is an entry of lane 0 */
    store_hold_t successor = world_assign(f->world, 0, world_other);
    store_entry_t adopt = world_take(f->world, &successor);
    fixture_purge(f, &successor, adopt.number);
    for (size_t i = 0; i < 2; i++) {
        pause_appends(f);
        fixture_put(f, 1, sample_messages(&f->samples[1], 2 + 2 * i, 2));
        assert_int_equal(appender_append(f->appender, &f->parts[1], 1), FABRIC_OK);
        assert_false(f->parts[1].fenced);
        assert_int_equal(f->parts[1].number, 3 + i);
    }
    assert_int_equal(f->world->went, 0);
}

static void lost_commits_are_found_by_a_check(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_append_well(f, 1, 2);
    memory_store_lose(FIXTURE_DATABASE, 1);
    assert_int_equal(appender_check(f->appender), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "entry 3 "));
}

/* A checkpoint that is settled before the check hides nothing, since nothing was purged. */
static void lost_commits_below_the_checkpoint_are_found(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_append_well(f, 1, 2);
    memory_store_lose(FIXTURE_DATABASE, 1);
    store_lane_t row = memory_store_lane(FIXTURE_DATABASE, 0);
    row.number = 4;
    memory_store_set_lane(FIXTURE_DATABASE, &row);
    assert_int_equal(appender_check(f->appender), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "entry 3 "));
}

/* The same for the entry up to which the last check has come. */
static void lost_commits_that_were_checked_are_found_below_the_checkpoint(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_append_well(f, 1, 2);
    assert_int_equal(appender_check(f->appender), FABRIC_OK);
    memory_store_lose(FIXTURE_DATABASE, 1);
    store_lane_t row = memory_store_lane(FIXTURE_DATABASE, 0);
    row.number = 4;
    memory_store_set_lane(FIXTURE_DATABASE, &row);
    pause_appends(f);
    assert_int_equal(fixture_append(f, 1, 4), FABRIC_ERROR_STORE_LOST);
}

static void an_older_epoch_is_a_lost_commit(void **state)
{
    fixture_t *f = *state;
    fixture_append_well(f, 1, 0);
    fixture_append_well(f, 1, 2);
    store_lane_t row = memory_store_lane(FIXTURE_DATABASE, 0);
    row.epoch--;
    memory_store_set_lane(FIXTURE_DATABASE, &row);
    assert_int_equal(appender_check(f->appender), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(appender_lost(f->appender), "epoch"));
}

static void an_entry_of_somebody_else_in_place_of_an_own_one_is_a_lost_commit(void **state)
{
    fixture_t *f = *state;
    store_hold_t hold = world_hold(f->world, 0);
    fixture_append_well(f, 1, 0);
    fixture_append_well(f, 1, 2);
    memory_store_lose(FIXTURE_DATABASE, 1);
    hold.holder = world_other;
    lane_batch_t batch = sample_messages(&f->samples[0], 8, 1);
    (void)world_append(f->world, &hold, &batch);
    assert_int_equal(appender_check(f->appender), FABRIC_ERROR_STORE_LOST);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lost_commits_are_found_on_a_new_connection),
        TEST(an_older_copy_takes_no_append),
        TEST(an_older_copy_without_a_lanes_first_entry_takes_no_append),
        TEST(a_copy_that_is_put_back_during_an_append_is_found_before_it_is_told),
        TEST(an_append_in_doubt_is_told_after_a_check),
        TEST(a_pause_counts_from_the_beginning_of_the_append_before),
        TEST(a_copy_that_is_put_back_at_once_is_found_by_the_next_check),
        TEST(the_first_append_after_a_check_is_bound),
        TEST(an_append_without_an_anchor_is_told_after_a_check),
        TEST(an_anchor_that_was_purged_is_no_lost_commit),
        TEST(lost_commits_are_found_by_a_check),
        TEST(lost_commits_below_the_checkpoint_are_found),
        TEST(lost_commits_that_were_checked_are_found_below_the_checkpoint),
        TEST(an_older_epoch_is_a_lost_commit),
        TEST(an_entry_of_somebody_else_in_place_of_an_own_one_is_a_lost_commit),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
