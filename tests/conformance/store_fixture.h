/* What the tests of the store suite share: a database with open connections, builders of
 * entries, rows and slices, and collectors for what visitors get. Internal to the suite. */
#ifndef TESTS_CONFORMANCE_STORE_FIXTURE_H
#define TESTS_CONFORMANCE_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/types.h>

#include "core/limits.h"
#include "tests/conformance/store_suite.h"

#define FIXTURE_SHARDS 4 /* per group */
#define FIXTURE_LANES  3

/* Deep copies of what was visited. */
typedef struct found_entries {
    store_entry_t *items;
    size_t count, capacity;
} found_entries_t;

typedef struct found_row {
    store_pending_t row;
    size_t range;
} found_row_t;

typedef struct found_rows {
    found_row_t *items;
    size_t count, capacity;
} found_rows_t;

typedef struct store_fixture {
    const store_suite_t *suite;
    const store_driver_t *driver;
    char url[512];
    store_t *store;  /* the connection that most tests use */
    store_t *second; /* another one to the same database */
    /* Founded databases only: */
    store_broker_t broker; /* a member, and the coordinator */
    uint32_t machine;      /* its slot */
    uint64_t term;         /* its term as coordinator */
    uint16_t group;        /* "default" */
    store_hold_t hold;     /* it holds lane 0, whose newest entry is its ADOPT entry, number 1 */
    store_hold_t hold_1;   /* the same of lane 1; nobody holds lane 2 */
    store_broker_t brokers[LIMIT_BROKERS_MAX]; /* by fixture_brokers() */
    size_t broker_count;
    found_entries_t entries; /* by the functions below, emptied by each */
    found_rows_t rows;
    store_backlog_t backlogs[64];
    size_t backlog_count;
} store_fixture_t;

/* Suite under test; set by store_suite_run(). */
void store_fixture_use(const store_suite_t *suite);

int fixture_setup_empty(void **state); /* two connections to an empty database */
int fixture_setup_founded(
    void **state); /* schema, a broker, its term, group "default" and two lanes */
int fixture_setup_wide(
    void *
        *state); /* the same with LIMIT_LANES_MAX lanes, which it holds: `hold` is that of lane 0 */
int fixture_teardown(void **state);

#define EMPTY_TEST(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, fixture_setup_empty, fixture_teardown)
#define FOUNDED_TEST(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, fixture_setup_founded, fixture_teardown)

#define WIDE_TEST(function)                                                                        \
    cmocka_unit_test_setup_teardown(function, fixture_setup_wide, fixture_teardown)

/* Tests need no table of names to be readable. */
#define assert_error(expected, actual)                                                             \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(expected))
#define assert_ok(actual) assert_error(FABRIC_OK, actual)

store_t *fixture_open(const store_fixture_t *fixture, bool exclusive);
/* Closes the first connection and opens another in its place. */
void fixture_reconnect(store_fixture_t *fixture);
incarnation_t incarnation_of(uint8_t number);
/* A broker whose endpoint follows from `number`, not yet joined. */
store_broker_t broker_of(uint8_t incarnation, uint8_t number);
store_join_t fixture_join(store_fixture_t *fixture, const store_broker_t *broker);
fabric_bytes_t bytes_of(const char *text);
void assert_same_bytes(fabric_bytes_t actual, fabric_bytes_t expected);

/* ---- lanes ---- */

store_lane_t lane_row(store_fixture_t *fixture, uint32_t lane);
/* Names another holder of a lane as the coordinator. Returns what that one holds then. */
store_hold_t fixture_assign(store_fixture_t *fixture, const store_hold_t *before,
                            incarnation_t holder);
/* The same, and the new holder's ADOPT entry `number`. */
store_hold_t fixture_take_over(store_fixture_t *fixture, const store_hold_t *before,
                               incarnation_t holder, uint64_t number);
/* The newest entry of a lane: its number. */
uint64_t newest_entry(store_fixture_t *fixture, uint32_t lane);

/* ---- entries ---- */

/* Entry `number` of the hold's lane, with last id 100 * number and created at 1000 * number; 20
 * bytes of calls and body. */
store_entry_t entry_of(const store_hold_t *hold, uint64_t number);
store_entry_t adopt_of(const store_hold_t *hold, uint64_t number);
/* Over the first connection. */
fabric_error_t append_one(store_fixture_t *fixture, const store_hold_t *hold, uint64_t number);
void append_some(store_fixture_t *fixture, const store_hold_t *hold, uint64_t first, size_t count);

/* Fills fixture->entries, over the second connection. */
void read_entries(store_fixture_t *fixture, uint32_t lane, uint64_t from);
void read_entries_back(store_fixture_t *fixture, uint32_t lane, uint64_t upto);
/* false: enough. */
bool collect_entry(void *fixture, const store_entry_t *entry);
void forget_entries(store_fixture_t *fixture);
/* That the entries found have exactly these numbers: first, first + step, ... */
void assert_numbers(const store_fixture_t *fixture, uint64_t first, int step, size_t count);
void assert_same_entry(const store_entry_t *actual, const store_entry_t *expected);

/* ---- rows ---- */

/* A row of entity `entity` (its hash). */
store_pending_t pending_of(uint64_t position, uint64_t entity);
store_dead_row_t dead_of(uint64_t id);
/* Writes a slice that builds on what is there: on the lane's checkpoint, and on entries up to the
 * one that it is to reach, of which those are appended that are missing. */
fabric_error_t write_slice(store_fixture_t *fixture, const store_hold_t *hold,
                           const store_slice_t *slice);
/* A checkpoint of one slice that puts `count` rows of one entity at positions first, first + 1,
 * ... */
fabric_error_t put_rows(store_fixture_t *fixture, const store_hold_t *hold, uint64_t entity,
                        uint64_t first, size_t count);
/* Fill fixture->rows and fixture->backlogs, over the second connection. */
void load_range(store_fixture_t *fixture, uint32_t lane, uint64_t entity, uint64_t after,
                uint64_t until, uint32_t limit);
void list_backlogs(store_fixture_t *fixture, uint32_t lane);
void load_all(store_fixture_t *fixture, uint32_t lane); /* all rows of the lane, by position */
void collect_row(void *fixture, size_t range, const store_pending_t *row);
void forget_rows(store_fixture_t *fixture);
void assert_positions(const store_fixture_t *fixture, uint64_t first, size_t count);
void assert_same_row(const store_pending_t *actual, const store_pending_t *expected);
bool has_row(store_fixture_t *fixture, uint32_t lane, uint64_t entity, uint64_t position);

void fixture_brokers(store_fixture_t *fixture); /* fills brokers, by machine */

/* ---- processes ---- */

/* Starts a process that runs `make` on a connection of its own and gets the signal before its
 * n-th statement. Its exit status is what `make` answered. It must not assert. The fixture's
 * connections are replaced. */
pid_t fixture_fork(store_fixture_t *fixture,
                   fabric_error_t (*make)(const store_fixture_t *, store_t *), unsigned nth,
                   int signal);

/* The groups of tests. */
int store_suite_schema(void);
int store_suite_membership(void);
int store_suite_coordinator(void);
int store_suite_registry(void);
int store_suite_lanes(void);
int store_suite_append(void);
int store_suite_adoption(void);
int store_suite_repair(void);
int store_suite_lookup(void);
int store_suite_purge(void);
int store_suite_checkpoint(void);
int store_suite_load(void);
int store_suite_scheduled(void);
int store_suite_keys(void);
int store_suite_states(void);
int store_suite_events(void);
int store_suite_outbox(void);
int store_suite_clear(void);
int store_suite_kept(void);
/* For suites of stores with transactions of handlers. */
int store_suite_direct(void);
/* For suites of stores with the exclusive lock. */
int store_suite_exclusive(void);
/* For suites of stores that run statements. */
int store_suite_killed(void);
int store_suite_frozen(void);

#endif
