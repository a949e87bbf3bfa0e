/* The store suite: a process is stopped (SIGSTOP) before each statement of a change, others go
 * on, and the process wakes. */
#include "tests/conformance/store_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"

enum { DEADLINE_MS = 60000 };

typedef fabric_error_t make_fn(const store_fixture_t *fixture, store_t *store);

typedef struct frozen {
    pid_t processes[LIMIT_LANES_MAX]; /* 0: ended */
    fabric_error_t answers[LIMIT_LANES_MAX];
    size_t stopped;
} frozen_t;

static store_hold_t hold; /* of the lane that the next process is about */

/* Waits until the process is stopped or has ended. */
static void wait_for(frozen_t *frozen, size_t i)
{
    int status = 0;
    assert_int_equal(waitpid(frozen->processes[i], &status, WUNTRACED), frozen->processes[i]);
    if (WIFSTOPPED(status)) {
        frozen->stopped++;
        return;
    }
    frozen->processes[i] = 0;
    frozen->answers[i] =
        WIFEXITED(status) ? (fabric_error_t)WEXITSTATUS(status) : FABRIC_ERROR_BUSY;
}

static void freeze(store_fixture_t *fixture, frozen_t *frozen, size_t i, make_fn *make,
                   unsigned nth)
{
    frozen->processes[i] = fixture_fork(fixture, make, nth, SIGSTOP);
    wait_for(frozen, i);
}

static void thaw(frozen_t *frozen)
{
    for (size_t i = 0; i < LIMIT_LANES_MAX; i++) {
        if (frozen->processes[i] > 0) {
            kill(frozen->processes[i], SIGCONT);
            wait_for(frozen, i);
        }
    }
}

/* ---- a holder freezes ---- */

static fabric_error_t make_append(const store_fixture_t *fixture, store_t *store)
{
    store_entry_t entry = entry_of(&hold, 5);
    store_entry_t last = entry_of(&hold, 4);
    store_anchor_t anchor = {last.lane, last.number, last.checksum};
    return fixture->driver->append_after(store, &anchor, &entry, 1);
}

static bool append_made(store_fixture_t *fixture, uint32_t lane)
{
    return newest_entry(fixture, lane) == 5;
}

static fabric_error_t make_slice(const store_fixture_t *fixture, store_t *store)
{
    store_pending_t puts[2] = {pending_of(20, 7), pending_of(21, 7)};
    store_amendment_t amendment = {.key = {7, 10}, .number = 3, .attempts = 5};
    store_row_key_t deleted = {7, 11};
    store_dead_row_t dead = dead_of(11);
    store_slice_t slice = {.puts = puts,
                           .put_count = 2,
                           .amendments = &amendment,
                           .amendment_count = 1,
                           .deletes = &deleted,
                           .delete_count = 1,
                           .dead = &dead,
                           .dead_count = 1,
                           .settled = 3,
                           .begun = 4,
                           .last = true};
    return fixture->driver->checkpoint(store, &hold, &slice);
}

static bool slice_made(store_fixture_t *fixture, uint32_t lane)
{
    return has_row(fixture, lane, 7, 20);
}

static fabric_error_t make_take(const store_fixture_t *fixture, store_t *store)
{
    store_entry_t adopt = adopt_of(&hold, 5);
    return fixture->driver->lane_take(store, &hold, &adopt);
}

static fabric_error_t make_purge(const store_fixture_t *fixture, store_t *store)
{
    store_purge_t purge = {.before = 4, .created_before_ms = INT64_MAX, .entries_max = 10};
    store_purged_t purged;
    return fixture->driver->purge(store, &hold, &purge, &purged);
}

static bool purge_made(store_fixture_t *fixture, uint32_t lane)
{
    return lane_row(fixture, lane).purged_id > 0;
}

static fabric_error_t make_release(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->lane_give_up(store, &hold);
}

static bool release_made(store_fixture_t *fixture, uint32_t lane)
{
    return incarnation_is_none(lane_row(fixture, lane).holder);
}

/* What a lane holds, in one number: whether anything has changed. */
static uint64_t contents_of(store_fixture_t *fixture, uint32_t lane)
{
    store_lane_t row = lane_row(fixture, lane);
    store_dead_row_t dead;
    uint64_t sum = row.number + 7 * row.begun + 31 * row.purged_id + 101 * row.epoch;
    sum += row.holder.bytes[0];
    sum += fixture->suite->dead_letter(fixture->url, lane, (request_id_t){11}, &dead) ? 997 : 0;
    read_entries(fixture, lane, 0);
    for (size_t i = 0; i < fixture->entries.count; i++) {
        const store_entry_t *entry = &fixture->entries.items[i];
        sum = sum * 1000003 + entry->number + 17 * entry->epoch + entry->adopt;
    }
    load_all(fixture, lane);
    for (size_t i = 0; i < fixture->rows.count; i++) {
        const store_pending_t *pending = &fixture->rows.items[i].row;
        sum = sum * 1000003 + pending->position + 13 * pending->attempts + pending->number;
    }
    return sum;
}

/* Another broker gets the lane, as soon as the locks of the frozen one are gone, writes its
 * ADOPT entry at the first number that is free, and a checkpoint. */
static void take_away(store_fixture_t *fixture, uint32_t lane, uint64_t deadline_ms)
{
    incarnation_t self = fixture->broker.incarnation;
    fabric_error_t error = FABRIC_ERROR_STORE_BUSY;
    store_hold_t next = {.lane = lane, .holder = incarnation_of(9)};
    while (error && clock_monotonic_ms() < deadline_ms) {
        store_lane_t row = lane_row(fixture, lane);
        store_hold_t now = {lane, row.holder, row.epoch};
        next.epoch = row.epoch + 1;
        error =
            fixture->driver->lane_assign(fixture->second, fixture->term, self, &now, next.holder);
        assert_true(error == FABRIC_OK || error == FABRIC_ERROR_STORE_BUSY ||
                    error == FABRIC_ERROR_STORE_REJECTED);
    }
    assert_ok(error);
    do {
        store_entry_t adopt = adopt_of(&next, newest_entry(fixture, lane) + 1);
        error = fixture->driver->lane_take(fixture->second, &next, &adopt);
    } while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms);
    assert_ok(error);
    store_amendment_t amendment = {.key = {7, 10}, .number = 6, .attempts = 7};
    store_slice_t slice = {.amendments = &amendment, .amendment_count = 1, .begun = 6};
    assert_ok(write_slice(fixture, &next, &slice));
}

/* A process freezes on each lane, each one statement later than the one before; then all lanes
 * are taken away. When the processes wake, nothing of what they had begun comes to anything any
 * more. */
static void freeze_before_each_statement(store_fixture_t *fixture, make_fn *make,
                                         bool (*made)(store_fixture_t *, uint32_t))
{
    frozen_t frozen = {.stopped = 0};
    uint64_t contents[LIMIT_LANES_MAX];
    bool was_made[LIMIT_LANES_MAX];
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        hold = (store_hold_t){lane, fixture->broker.incarnation, 1};
        append_some(fixture, &hold, 2, 3);
        assert_ok(put_rows(fixture, &hold, 7, 10, 2));
        store_slice_t slice = {.begun = 3, .last = true};
        assert_ok(write_slice(fixture, &hold, &slice));
        freeze(fixture, &frozen, lane, make, lane + 1);
    }
    size_t stopped = frozen.stopped;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        was_made[lane] = made(fixture, lane);
        take_away(fixture, lane, deadline_ms);
        contents[lane] = contents_of(fixture, lane);
    }
    thaw(&frozen);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        assert_true(contents_of(fixture, lane) == contents[lane]);
        fabric_error_t answer = frozen.answers[lane];
        bool certain = answer != FABRIC_ERROR_STORE_UNKNOWN;
        assert_true(!certain || (answer == FABRIC_OK) == was_made[lane]);
        assert_true(lane < stopped || answer == FABRIC_OK);
    }
    assert_true(stopped >= 2 && stopped < LIMIT_LANES_MAX);
}

static void in_an_append(void **state)
{
    freeze_before_each_statement(*state, make_append, append_made);
}

static void in_a_slice(void **state)
{
    freeze_before_each_statement(*state, make_slice, slice_made);
}

static void in_a_taking(void **state)
{
    freeze_before_each_statement(*state, make_take, append_made);
}

static void in_a_purge(void **state)
{
    freeze_before_each_statement(*state, make_purge, purge_made);
}

static void in_a_release(void **state)
{
    freeze_before_each_statement(*state, make_release, release_made);
}

/* ---- a coordinator freezes ---- */

static uint64_t old_term;

static fabric_error_t make_assignment(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->lane_assign(store, old_term, fixture->broker.incarnation, &hold,
                                        incarnation_of(5));
}

/* Another broker becomes the coordinator, and assigns the lane. */
static void take_the_lease(store_fixture_t *fixture, uint64_t deadline_ms)
{
    store_coordinator_t lease;
    fabric_error_t error = FABRIC_ERROR_STORE_BUSY;
    assert_ok(fixture->driver->coordinator_read(fixture->second, &lease));
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = fixture->driver->coordinator_take(fixture->second, &lease,
                                                  fixture->broker.incarnation, &fixture->term);
    }
    assert_ok(error);
    store_lane_t row = lane_row(fixture, hold.lane);
    store_hold_t now = {hold.lane, row.holder, row.epoch};
    do {
        error = fixture->driver->lane_assign(fixture->second, fixture->term,
                                             fixture->broker.incarnation, &now, incarnation_of(9));
    } while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms);
    assert_ok(error);
}

static void in_an_assignment(void **state)
{
    store_fixture_t *fixture = *state;
    size_t stopped = 0;
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        frozen_t frozen = {.stopped = 0};
        hold = (store_hold_t){lane, fixture->broker.incarnation, 1};
        old_term = fixture->term;
        freeze(fixture, &frozen, lane, make_assignment, lane + 1);
        if (frozen.stopped == 0) {
            assert_ok(frozen.answers[lane]);
            break;
        }
        stopped++;
        take_the_lease(fixture, clock_monotonic_ms() + DEADLINE_MS);
        store_lane_t before = lane_row(fixture, lane);
        thaw(&frozen);
        store_lane_t after = lane_row(fixture, lane);
        assert_int_not_equal(frozen.answers[lane], FABRIC_OK);
        assert_int_equal(before.epoch, 2);
        assert_int_equal(after.epoch, before.epoch);
        assert_true(incarnation_equal(after.holder, incarnation_of(9)));
    }
    assert_true(stopped >= 3 && stopped < LIMIT_LANES_MAX);
}

int store_suite_frozen(void)
{
    static const struct CMUnitTest tests[] = {
        WIDE_TEST(in_an_append), WIDE_TEST(in_a_slice),   WIDE_TEST(in_a_taking),
        WIDE_TEST(in_a_purge),   WIDE_TEST(in_a_release), WIDE_TEST(in_an_assignment),
    };
    return cmocka_run_group_tests_name("frozen", tests, NULL, NULL);
}
