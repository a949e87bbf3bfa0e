/* The store suite: a process is killed before each statement of a change. What it leaves is all
 * of the change or nothing, and whoever makes the change again gets all of it. */
#include "tests/conformance/store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"

typedef enum made { MADE_NOTHING, MADE_PARTLY, MADE_WHOLE } made_t;

typedef fabric_error_t make_fn(const store_fixture_t *fixture, store_t *store);

/* A change, made in rounds. In each the parent prepares, a process makes it and is killed, and
 * the parent makes it again. */
typedef struct change {
    void (*prepare)(store_fixture_t *fixture);
    make_fn *make;
    made_t (*made)(store_fixture_t *fixture);
    bool once; /* made again, it is refused: the number is taken, the epoch is another */
} change_t;

static unsigned round_number;
static store_hold_t before; /* as the round found the lane */
static store_coordinator_t lease;

/* The dead process's locks last until the server has seen that it is gone. */
static fabric_error_t make_again(store_fixture_t *fixture, make_fn *make)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 20000;
    fabric_error_t error = make(fixture, fixture->store);
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = make(fixture, fixture->store);
    }
    return error;
}

/* Whether the process lived long enough to make the change. */
static bool kill_before(store_fixture_t *fixture, make_fn *make, unsigned nth)
{
    int status = 0;
    pid_t child = fixture_fork(fixture, make, nth, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_error(FABRIC_OK, (fabric_error_t)WEXITSTATUS(status));
    return true;
}

static void kill_before_each_statement(store_fixture_t *fixture, const change_t *change)
{
    bool lived = false;
    for (unsigned nth = 1; !lived; nth++) {
        round_number = nth;
        assert_in_range(nth, 1, 100);
        if (change->prepare) {
            change->prepare(fixture);
        }
        assert_int_equal(change->made(fixture), MADE_NOTHING);
        lived = kill_before(fixture, change->make, nth);
        made_t made = change->made(fixture);
        assert_int_equal(made, lived ? MADE_WHOLE : made == MADE_WHOLE ? MADE_WHOLE : MADE_NOTHING);
        fabric_error_t error = make_again(fixture, change->make);
        bool refused = made == MADE_WHOLE && change->once;
        assert_true(refused ? error == FABRIC_ERROR_STORE_REJECTED || error == FABRIC_ERROR_FENCED
                            : error == FABRIC_OK);
        assert_int_equal(change->made(fixture), MADE_WHOLE);
        assert_true(!lived || nth > 1);
    }
}

static made_t made_of(int done, int of)
{
    return done == 0 ? MADE_NOTHING : done == of ? MADE_WHOLE : MADE_PARTLY;
}

/* ---- journals ---- */

static fabric_error_t make_append(const store_fixture_t *fixture, store_t *store)
{
    store_entry_t entries[] = {entry_of(&fixture->hold, 1 + round_number),
                               entry_of(&fixture->hold_1, 1 + round_number)};
    return fixture->driver->append(store, entries, 2);
}

static made_t append_made(store_fixture_t *fixture)
{
    return made_of(
        (newest_entry(fixture, 0) > round_number) + (newest_entry(fixture, 1) > round_number), 2);
}

static void an_append(void **state)
{
    static const change_t change = {.make = make_append, .made = append_made, .once = true};
    kill_before_each_statement(*state, &change);
}

static void prepare_take(store_fixture_t *fixture)
{
    store_lane_t row = lane_row(fixture, 0);
    before = (store_hold_t){0, row.holder, row.epoch};
    before = fixture_assign(fixture, &before, incarnation_of((uint8_t)(100 + round_number)));
}

static fabric_error_t make_take(const store_fixture_t *fixture, store_t *store)
{
    store_entry_t adopt = adopt_of(&before, 1 + round_number);
    return fixture->driver->lane_take(store, &before, &adopt);
}

static made_t take_made(store_fixture_t *fixture)
{
    return made_of(newest_entry(fixture, 0) > round_number, 1);
}

static void a_taking(void **state)
{
    static const change_t change = {prepare_take, make_take, take_made, true};
    kill_before_each_statement(*state, &change);
}

/* In each round entries 3 * round - 1, 3 * round and 3 * round + 1 are written, and the first
 * two purged. */
static void prepare_purge(store_fixture_t *fixture)
{
    append_some(fixture, &fixture->hold, 3 * round_number - 1, 3);
    store_slice_t slice = {.begun = 3 * round_number + 1, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
}

static fabric_error_t make_purge(const store_fixture_t *fixture, store_t *store)
{
    store_purge_t purge = {
        .before = 3 * round_number + 1, .created_before_ms = INT64_MAX, .entries_max = 10};
    store_purged_t purged;
    return fixture->driver->purge(store, &fixture->hold, &purge, &purged);
}

static made_t purge_made(store_fixture_t *fixture)
{
    bool marked = lane_row(fixture, 0).purged_id == 300 * round_number;
    read_entries(fixture, 0, 3 * round_number - 1);
    return made_of(marked + 3 - (int)fixture->entries.count, 3);
}

static void a_purge(void **state)
{
    static const change_t change = {prepare_purge, make_purge, purge_made, false};
    kill_before_each_statement(*state, &change);
}

/* ---- rows ---- */

static void prepare_slice(store_fixture_t *fixture)
{
    assert_ok(put_rows(fixture, &fixture->hold, round_number, 1000 * round_number, 2));
    while (newest_entry(fixture, 0) < 10 + round_number) {
        append_some(fixture, &fixture->hold, newest_entry(fixture, 0) + 1, 1);
    }
}

static fabric_error_t make_slice(const store_fixture_t *fixture, store_t *store)
{
    uint64_t first = 1000 * round_number;
    store_pending_t puts[3];
    for (size_t i = 0; i < 3; i++) {
        puts[i] = pending_of(first + 10 + i, round_number);
    }
    store_amendment_t amendment = {.key = {round_number, first}, .number = 9, .attempts = 5};
    store_row_key_t deleted = {round_number, first + 1};
    store_dead_row_t dead = dead_of(first + 1);
    store_slice_t slice = {.puts = puts,
                           .put_count = 3,
                           .amendments = &amendment,
                           .amendment_count = 1,
                           .deletes = &deleted,
                           .delete_count = 1,
                           .dead = &dead,
                           .dead_count = 1,
                           .settled = 2,
                           .begun = 10 + round_number,
                           .last = true};
    return fixture->driver->checkpoint(store, &fixture->hold, &slice);
}

static made_t slice_made(store_fixture_t *fixture)
{
    uint64_t first = 1000 * round_number;
    store_dead_row_t dead;
    store_lane_t row = lane_row(fixture, 0);
    int done = (row.number == 10 + round_number) + (row.begun == 10 + round_number);
    done += fixture->suite->dead_letter(fixture->url, 0, (request_id_t){first + 1}, &dead);
    done += !has_row(fixture, 0, round_number, first + 1);
    load_range(fixture, 0, round_number, first + 1, INT64_MAX, 100);
    done += (int)fixture->rows.count;
    load_range(fixture, 0, round_number, first - 1, first, 100);
    done += fixture->rows.items[0].row.attempts == 5;
    return made_of(done, 8);
}

/* Also twice in a row: each round is killed one statement later than the one before it. */
static void a_slice(void **state)
{
    static const change_t change = {prepare_slice, make_slice, slice_made, false};
    kill_before_each_statement(*state, &change);
}

/* ---- an end that tells others something ---- */

enum { TOLD = 3 };

static store_outgoing_t killed_message(uint32_t index)
{
    return (store_outgoing_t){.key = {1000 * round_number, index},
                              .number = 9,
                              .source = {1000 * round_number - 1},
                              .source_shard = shard_id_make(1, 3),
                              .source_type = bytes_of("Order"),
                              .source_entity = bytes_of("o-1"),
                              .source_tag = bytes_of("Place"),
                              .shard = shard_id_make(1, 4),
                              .target_lane = 1,
                              .type = bytes_of("Account"),
                              .entity = bytes_of("alice"),
                              .tag = bytes_of("Pay"),
                              .payload = bytes_of("payload")};
}

/* A message that is pending, and one that was told before and is to end. */
static void prepare_told(store_fixture_t *fixture)
{
    store_outgoing_t earlier = killed_message(TOLD);
    store_slice_t slice = {.outgoing = &earlier, .outgoing_count = 1, .begun = 2, .last = true};
    assert_ok(put_rows(fixture, &fixture->hold, round_number, 1000 * round_number, 1));
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    while (newest_entry(fixture, 0) < 10 + round_number) {
        append_some(fixture, &fixture->hold, newest_entry(fixture, 0) + 1, 1);
    }
}

static fabric_error_t make_told(const store_fixture_t *fixture, store_t *store)
{
    store_outgoing_t messages[TOLD];
    store_row_key_t source = {round_number, 1000 * round_number};
    store_outgoing_key_t earlier = killed_message(TOLD).key;
    for (uint32_t i = 0; i < TOLD; i++) {
        messages[i] = killed_message(i);
    }
    store_slice_t slice = {.deletes = &source,
                           .delete_count = 1,
                           .outgoing = messages,
                           .outgoing_count = TOLD,
                           .sent = &earlier,
                           .sent_count = 1,
                           .settled = 2,
                           .begun = 10 + round_number,
                           .last = true};
    return fixture->driver->checkpoint(store, &fixture->hold, &slice);
}

static void count_told(void *context, const store_outgoing_t *message)
{
    int *counts = context;
    if (message->key.id == 1000 * round_number) {
        counts[message->key.index == TOLD]++;
    }
}

/* The source's end and what it tells are there together, or neither. */
static made_t told_made(store_fixture_t *fixture)
{
    int counts[2] = {0};
    bool ended = false;
    assert_ok(fixture->driver->load_outgoing(fixture->second, 0, 1, (store_outgoing_key_t){0, 0},
                                             UINT32_MAX, UINT64_MAX, count_told, counts, &ended));
    load_range(fixture, 0, round_number, 0, INT64_MAX, 9);
    bool reached = lane_row(fixture, 0).number == 10 + round_number;
    return made_of(counts[0] + (counts[1] == 0) + (fixture->rows.count == 0) + reached, TOLD + 3);
}

static void a_slice_of_outgoing_messages(void **state)
{
    static const change_t change = {prepare_told, make_told, told_made, false};
    kill_before_each_statement(*state, &change);
}

/* ---- a checkpoint of several slices ---- */

enum { SLICES = 3, PER_SLICE = 3, EVENTS = SLICES * PER_SLICE };

/* In each round of an entity of its own. */
static const char *event_entity(void)
{
    static char name[16];
    snprintf(name, sizeof name, "e%u", round_number);
    return name;
}

static store_event_t killed_event(uint64_t sequence)
{
    return (store_event_t){.type = bytes_of("Order"),
                           .entity = bytes_of(event_entity()),
                           .shard = shard_id_make(1, 3),
                           .sequence = sequence,
                           .number = 9,
                           .id = {1000 * round_number + sequence},
                           .tag = bytes_of("Placed"),
                           .version = 1,
                           .payload = bytes_of("payload")};
}

static void prepare_events(store_fixture_t *fixture)
{
    assert_ok(put_rows(fixture, &fixture->hold, round_number, 1000 * round_number, 1));
    while (newest_entry(fixture, 0) < 10 + round_number) {
        append_some(fixture, &fixture->hold, newest_entry(fixture, 0) + 1, 1);
    }
}

/* The last slice has the state that contains all of the events. */
static fabric_error_t make_events(const store_fixture_t *fixture, store_t *store)
{
    store_state_t snapshot = {.type = bytes_of("Order"),
                              .entity = bytes_of(event_entity()),
                              .shard = shard_id_make(1, 3),
                              .number = 9,
                              .version = 1,
                              .sequence = EVENTS,
                              .state = bytes_of("state")};
    fabric_error_t error = FABRIC_OK;
    for (unsigned slice = 0; !error && slice < SLICES; slice++) {
        store_event_t events[PER_SLICE];
        bool last = slice == SLICES - 1;
        for (unsigned i = 0; i < PER_SLICE; i++) {
            events[i] = killed_event(1 + slice * PER_SLICE + i);
        }
        store_slice_t part = {.events = events,
                              .event_count = PER_SLICE,
                              .states = &snapshot,
                              .state_count = last,
                              .settled = 2,
                              .begun = 10 + round_number,
                              .last = last};
        error = fixture->driver->checkpoint(store, &fixture->hold, &part);
    }
    return error;
}

static void count_event(void *context, size_t history, const store_event_t *event)
{
    (void)history;
    assert_int_equal(event->sequence, ++*(uint64_t *)context); /* without gaps */
    assert_int_equal(event->id.value, 1000 * round_number + event->sequence);
}

static void note_sequence(void *context, const store_state_t *state)
{
    *(uint64_t *)context = state->sequence;
}

/* How many events there are. A state that is there contains no others. */
static uint64_t events_made(store_fixture_t *fixture)
{
    store_entity_name_t name = {bytes_of("Order"), bytes_of(event_entity())};
    store_history_t history = {name, 0, 2 * EVENTS};
    uint64_t count = 0;
    uint64_t contained = 0;
    size_t done = 0;
    assert_ok(fixture->driver->load_events(fixture->second, 0, &history, 1, UINT64_MAX, count_event,
                                           &count, &done));
    assert_ok(fixture->driver->load_states(fixture->second, 0, &name, 1, UINT64_MAX, note_sequence,
                                           &contained, &done));
    assert_true(contained <= count);
    bool ended = lane_row(fixture, 0).number == 10 + round_number;
    assert_true(!ended || (count == EVENTS && contained == EVENTS));
    return count;
}

/* Of each entity there are the first events of those that it is to have, wherever the checkpoint is
 * cut off; and all of them, once each, when it was made again, and once more. */
static void a_checkpoint_of_events(void **state)
{
    store_fixture_t *fixture = *state;
    bool lived = false;
    unsigned partly = 0;
    for (unsigned nth = 1; !lived; nth++) {
        round_number = nth;
        assert_in_range(nth, 1, 100);
        prepare_events(fixture);
        assert_int_equal(events_made(fixture), 0);
        lived = kill_before(fixture, make_events, nth);
        uint64_t made = events_made(fixture);
        assert_int_equal(made % PER_SLICE, 0);
        partly += made > 0 && made < EVENTS;
        for (unsigned i = 0; i < 2; i++) {
            assert_ok(make_again(fixture, make_events));
            assert_int_equal(events_made(fixture), EVENTS);
        }
    }
    assert_true(partly > 2 * (SLICES - 1)); /* it was cut off within slices, and between them */
}

/* ---- who holds what ---- */

static void prepare_assignment(store_fixture_t *fixture)
{
    store_lane_t row = lane_row(fixture, 0);
    before = (store_hold_t){0, row.holder, row.epoch};
}

static fabric_error_t make_assignment(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->lane_assign(store, fixture->term, fixture->broker.incarnation, &before,
                                        incarnation_of((uint8_t)(100 + round_number)));
}

static made_t assignment_made(store_fixture_t *fixture)
{
    store_lane_t row = lane_row(fixture, 0);
    bool named = incarnation_equal(row.holder, incarnation_of((uint8_t)(100 + round_number)));
    return made_of(named + (row.epoch == before.epoch + 1), 2);
}

static void an_assignment(void **state)
{
    static const change_t change = {prepare_assignment, make_assignment, assignment_made, true};
    kill_before_each_statement(*state, &change);
}

static fabric_error_t make_release(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->lane_give_up(store, &before);
}

static made_t release_made(store_fixture_t *fixture)
{
    return made_of(incarnation_is_none(lane_row(fixture, 0).holder), 1);
}

static void a_release(void **state)
{
    static const change_t change = {prepare_take, make_release, release_made, true};
    kill_before_each_statement(*state, &change);
}

static bool is_member(store_fixture_t *fixture, uint8_t number)
{
    fixture_brokers(fixture);
    for (size_t i = 0; i < fixture->broker_count; i++) {
        if (incarnation_equal(fixture->brokers[i].incarnation, incarnation_of(number))) {
            return true;
        }
    }
    return false;
}

/* A broker starts again at the endpoint of its former life. */
static void prepare_join(store_fixture_t *fixture)
{
    store_broker_t former = broker_of((uint8_t)(100 + round_number), 50);
    fixture_join(fixture, &former);
    assert_ok(
        fixture->driver->broker_renew(fixture->store, former.incarnation, 1000 * round_number));
}

static fabric_error_t make_join(const store_fixture_t *fixture, store_t *store)
{
    store_broker_t joining = broker_of((uint8_t)(200 + round_number), 50);
    store_join_t join;
    fabric_error_t error = fixture->driver->broker_join(store, &joining, &join);
    return error || join.high_id == 1000 * round_number ? error : FABRIC_ERROR_BUSY;
}

static made_t join_made(store_fixture_t *fixture)
{
    return made_of(is_member(fixture, (uint8_t)(200 + round_number)) +
                       !is_member(fixture, (uint8_t)(100 + round_number)),
                   2);
}

static void a_join(void **state)
{
    static const change_t change = {prepare_join, make_join, join_made, false};
    kill_before_each_statement(*state, &change);
}

static void prepare_leaving(store_fixture_t *fixture)
{
    store_lane_t row = lane_row(fixture, 2);
    before = (store_hold_t){2, row.holder, row.epoch};
    prepare_join(fixture);
    fixture_assign(fixture, &before, incarnation_of((uint8_t)(100 + round_number)));
}

static fabric_error_t make_leaving(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->broker_leave(store, incarnation_of((uint8_t)(100 + round_number)));
}

static made_t leaving_made(store_fixture_t *fixture)
{
    return made_of(!is_member(fixture, (uint8_t)(100 + round_number)) +
                       incarnation_is_none(lane_row(fixture, 2).holder),
                   2);
}

static void a_leaving(void **state)
{
    static const change_t change = {prepare_leaving, make_leaving, leaving_made, false};
    kill_before_each_statement(*state, &change);
}

static fabric_error_t make_removal(const store_fixture_t *fixture, store_t *store)
{
    return fixture->driver->broker_remove(store, fixture->term, fixture->broker.incarnation,
                                          incarnation_of((uint8_t)(100 + round_number)));
}

static made_t removal_made(store_fixture_t *fixture)
{
    return made_of(!is_member(fixture, (uint8_t)(100 + round_number)), 1);
}

static void a_removal(void **state)
{
    static const change_t change = {prepare_join, make_removal, removal_made, false};
    kill_before_each_statement(*state, &change);
}

static void prepare_lease(store_fixture_t *fixture)
{
    assert_ok(fixture->driver->coordinator_read(fixture->second, &lease));
}

static fabric_error_t make_lease(const store_fixture_t *fixture, store_t *store)
{
    uint64_t term = 0;
    return fixture->driver->coordinator_take(store, &lease, incarnation_of(77), &term);
}

static made_t lease_made(store_fixture_t *fixture)
{
    store_coordinator_t now;
    assert_ok(fixture->driver->coordinator_read(fixture->second, &now));
    return made_of(now.term > lease.term, 1);
}

static void a_lease(void **state)
{
    static const change_t change = {prepare_lease, make_lease, lease_made, true};
    kill_before_each_statement(*state, &change);
}

/* ---- the schema ---- */

static fabric_error_t make_schema(const store_fixture_t *fixture, store_t *store)
{
    store_cluster_t wanted = {
        .name = "suite", .shards_per_group = FIXTURE_SHARDS, .lanes = FIXTURE_LANES};
    return fixture->driver->schema_apply(store, &wanted, NULL);
}

static void a_founding(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t any = {.lanes = 0};
    store_cluster_t cluster;
    unsigned nth = 1;
    bool founded = false;
    while (!kill_before(fixture, make_schema, nth++)) {
        fabric_error_t error = fixture->driver->check(fixture->second, &any, NULL, &cluster);
        assert_true(error == FABRIC_OK || (error == FABRIC_ERROR_WRONG_SCHEMA_VERSION && !founded));
        founded = error == FABRIC_OK; /* killed after its last change */
        assert_true(nth < 200);
    }
    assert_true(nth > 3);
    assert_ok(fixture->driver->check(fixture->second, &any, NULL, &cluster));
    for (uint32_t lane = 0; lane < FIXTURE_LANES; lane++) {
        read_entries(fixture, lane, 0);
        assert_numbers(fixture, 0, 1, 1);
        assert_int_equal(lane_row(fixture, lane).epoch, 0);
    }
}

int store_suite_killed(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(an_append),
        FOUNDED_TEST(a_taking),
        FOUNDED_TEST(a_purge),
        FOUNDED_TEST(a_slice),
        FOUNDED_TEST(a_release),
        FOUNDED_TEST(a_join),
        FOUNDED_TEST(an_assignment),
        FOUNDED_TEST(a_leaving),
        FOUNDED_TEST(a_removal),
        FOUNDED_TEST(a_lease),
        EMPTY_TEST(a_founding),
        FOUNDED_TEST(a_checkpoint_of_events),
        FOUNDED_TEST(a_slice_of_outgoing_messages),
    };
    return cmocka_run_group_tests_name("killed", tests, NULL, NULL);
}
