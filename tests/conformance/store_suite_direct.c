/* The store suite: transactions of handlers, whose results are stored with a user's own rows. */
#include "tests/conformance/store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"

enum { DEADLINE_MS = 60000, STATEMENTS_MAX = 20 };

static char seen[64];

static void see(void *context, fabric_bytes_t body)
{
    (void)context;
    assert_true(body.size < sizeof seen);
    memcpy(seen, body.data, body.size);
    seen[body.size] = '\0';
}

static store_owner_t owner_of(uint32_t lane, uint64_t epoch, uint64_t sequence)
{
    return (store_owner_t){.lane = lane,
                           .shard = shard_id_make(1, 3),
                           .token = {epoch, sequence},
                           .type = bytes_of("Order")};
}

static void make_table(store_fixture_t *fixture)
{
    assert_true(fixture->suite->execute(
        fixture->second, "CREATE TABLE user_row (id BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB"));
}

/* Whether the handler's row of that message is there: its second insert is refused. */
static bool has_user_row(store_fixture_t *fixture, uint64_t id)
{
    char text[100];
    snprintf(text, sizeof text, "INSERT INTO user_row VALUES (%llu)", (unsigned long long)id);
    bool missing = fixture->suite->execute(fixture->second, text);
    if (missing) {
        snprintf(text, sizeof text, "DELETE FROM user_row WHERE id = %llu", (unsigned long long)id);
        assert_true(fixture->suite->execute(fixture->second, text));
    }
    return !missing;
}

static bool has_result(store_fixture_t *fixture, uint64_t id)
{
    bool found = false;
    seen[0] = '\0';
    assert_ok(
        fixture->driver->direct_begin(fixture->second, (request_id_t){id}, see, NULL, &found));
    if (!found) {
        fixture->driver->direct_roll_back(fixture->second);
    }
    return found;
}

/* Begins the transaction of a message that has no result, and inserts the handler's row. */
static void begin(store_fixture_t *fixture, uint64_t id)
{
    char text[100];
    bool found = true;
    assert_ok(fixture->driver->direct_begin(fixture->store, (request_id_t){id}, see, NULL, &found));
    assert_false(found);
    assert_non_null(fixture->driver->direct_connection(fixture->store));
    snprintf(text, sizeof text, "INSERT INTO user_row VALUES (%llu)", (unsigned long long)id);
    assert_true(fixture->suite->execute(fixture->store, text));
}

static fabric_error_t commit(store_fixture_t *fixture, const store_owner_t *owner, uint64_t id)
{
    bool stands = false;
    assert_ok(fixture->driver->direct_check(fixture->store, &stands));
    assert_true(stands);
    return fixture->driver->direct_commit(fixture->store, owner, (request_id_t){id},
                                          bytes_of("result"));
}

static fabric_error_t claim(store_fixture_t *fixture, const store_owner_t *owner)
{
    return fixture->driver->owner_claim(fixture->store, owner);
}

static void a_result_is_stored_with_the_rows_of_its_handler(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t owner = owner_of(0, 1, 5);
    make_table(fixture);
    assert_ok(claim(fixture, &owner));
    begin(fixture, 700);
    assert_ok(commit(fixture, &owner, 700));
    assert_true(has_user_row(fixture, 700));
    assert_true(has_result(fixture, 700));
    assert_string_equal(seen, "result");
    begin(fixture, 701);
    fixture->driver->direct_roll_back(fixture->store);
    assert_false(has_user_row(fixture, 701));
    assert_false(has_result(fixture, 701));
    begin(fixture, 702); /* the connection goes on */
    assert_ok(commit(fixture, &owner, 702));
    assert_true(has_user_row(fixture, 702));
}

/* The tables of this store are not in the database that the handler has chosen. */
static void another_default_database_does_not_hold_up_the_commit(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t owner = owner_of(0, 1, 5);
    make_table(fixture);
    assert_ok(claim(fixture, &owner));
    begin(fixture, 700);
    assert_true(fixture->suite->execute(fixture->store, "USE information_schema"));
    assert_ok(commit(fixture, &owner, 700));
    assert_true(has_user_row(fixture, 700));
    assert_true(has_result(fixture, 700));
}

static void nobody_commits_who_has_not_claimed(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t owner = owner_of(0, 1, 5);
    make_table(fixture);
    begin(fixture, 700);
    assert_error(FABRIC_ERROR_FENCED, commit(fixture, &owner, 700));
    assert_false(has_user_row(fixture, 700));
    assert_ok(claim(fixture, &owner));
    store_owner_t others[] = {owner, owner};
    others[0].type = bytes_of("order");
    others[1].shard = shard_id_make(1, 6);
    for (size_t i = 0; i < 2; i++) { /* of another part */
        begin(fixture, 700);
        assert_error(FABRIC_ERROR_FENCED, commit(fixture, &others[i], 700));
    }
    assert_false(has_result(fixture, 700));
}

static void a_claim_is_for_the_present_home_only(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t early = owner_of(0, 0, 9);
    store_owner_t late = owner_of(0, 2, 1);
    store_owner_t nowhere = owner_of(9, 1, 1);
    assert_error(FABRIC_ERROR_FENCED, claim(fixture, &early));
    assert_error(FABRIC_ERROR_FENCED, claim(fixture, &late));
    assert_error(FABRIC_ERROR_FENCED, claim(fixture, &nowhere));
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_ok(claim(fixture, &late));
    assert_ok(claim(fixture, &late)); /* it may be repeated */
}

static void a_later_owner_ends_the_commits_of_the_one_before(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t before = owner_of(0, 1, 5);
    store_owner_t after = owner_of(0, 1, 6);
    make_table(fixture);
    assert_ok(claim(fixture, &before));
    begin(fixture, 700);
    assert_ok(fixture->driver->owner_claim(fixture->second, &after)); /* nobody holds it up */
    assert_error(FABRIC_ERROR_FENCED, commit(fixture, &before, 700));
    assert_false(has_user_row(fixture, 700));
    assert_error(FABRIC_ERROR_FENCED, claim(fixture, &before));
    begin(fixture, 701);
    assert_error(FABRIC_ERROR_FENCED, commit(fixture, &before, 701));
    begin(fixture, 702);
    assert_ok(commit(fixture, &after, 702));
}

static void another_home_ends_the_commits_of_owners(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t before = owner_of(0, 1, 5);
    store_owner_t after = owner_of(0, 2, 1);
    make_table(fixture);
    assert_ok(claim(fixture, &before));
    begin(fixture, 700);
    /* A slow handler holds up no taking. */
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, commit(fixture, &before, 700));
    assert_false(has_user_row(fixture, 700));
    assert_ok(claim(fixture, &after)); /* its sequence is smaller, its token is not */
    begin(fixture, 700);
    assert_ok(commit(fixture, &after, 700));
}

/* The two transactions run at the same time: the second one finds the result of the first only when
 * it stores its own. */
static void a_message_has_one_result(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t owner = owner_of(0, 1, 5);
    bool found = true;
    make_table(fixture);
    assert_ok(claim(fixture, &owner));
    begin(fixture, 700);
    assert_ok(
        fixture->driver->direct_begin(fixture->second, (request_id_t){700}, see, NULL, &found));
    assert_false(found);
    assert_true(fixture->suite->execute(fixture->second, "INSERT INTO user_row VALUES (1)"));
    assert_ok(commit(fixture, &owner, 700));
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 fixture->driver->direct_commit(fixture->second, &owner, (request_id_t){700},
                                                bytes_of("another")));
    assert_true(has_result(fixture, 700));
    assert_string_equal(seen, "result");
    assert_true(has_user_row(fixture, 700));
    assert_false(has_user_row(fixture, 1));
}

/* What a handler may do to its transaction, and must not. */
static void an_ended_transaction_is_noticed(void **state)
{
    static const char *const endings[] = {
        "COMMIT",
        "ROLLBACK",
        "START TRANSACTION",
        "CREATE TABLE other (id BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB",
        "SET autocommit = 1",
    };
    store_fixture_t *fixture = *state;
    enum { COUNT = sizeof endings / sizeof endings[0] };
    make_table(fixture);
    for (size_t i = 0; i < COUNT; i++) {
        bool stands = true;
        bool ends = strncmp(endings[i], "SET", 3) != 0; /* it is on: nothing changes */
        begin(fixture, 700 + i);
        assert_true(fixture->suite->execute(fixture->store, endings[i]));
        assert_true(fixture->suite->execute(fixture->store, "INSERT INTO user_row VALUES (1)"));
        assert_ok(fixture->driver->direct_check(fixture->store, &stands));
        assert_int_equal(stands, !ends);
        fixture->driver->direct_roll_back(fixture->store);
        (void)fixture->suite->execute(fixture->second, "DELETE FROM user_row");
    }
    bool stands = true;
    begin(fixture, 800);
    assert_true(fixture->suite->execute(fixture->store, "COMMIT"));
    assert_true(fixture->suite->execute(fixture->store, "START TRANSACTION"));
    assert_true(fixture->suite->execute(fixture->store, "SAVEPOINT another"));
    assert_ok(fixture->driver->direct_check(fixture->store, &stands));
    assert_false(stands);
    fixture->driver->direct_roll_back(fixture->store);
}

static void a_checkpoint_deletes_results_that_the_journal_has(void **state)
{
    store_fixture_t *fixture = *state;
    store_owner_t owner = owner_of(0, 1, 5);
    enum { COUNT = 70 };
    request_id_t ids[COUNT + 1];
    make_table(fixture);
    assert_ok(claim(fixture, &owner));
    for (uint64_t i = 0; i < COUNT; i++) {
        begin(fixture, 700 + i);
        assert_ok(commit(fixture, &owner, 700 + i));
        ids[i] = (request_id_t){700 + i};
    }
    ids[COUNT] = (request_id_t){1}; /* has no row */
    store_slice_t slice = {.direct = ids + 1, .direct_count = COUNT, .begun = 2, .last = true};
    store_hold_t hold = fixture->hold;
    hold.epoch++;
    assert_error(FABRIC_ERROR_FENCED, write_slice(fixture, &hold, &slice));
    assert_true(has_result(fixture, 769));
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_true(has_result(fixture, 700));
    for (uint64_t i = 1; i < COUNT; i++) {
        assert_false(has_result(fixture, 700 + i));
    }
}

/* ---- a worker freezes, or dies ---- */

static fabric_error_t make(const store_fixture_t *fixture, store_t *store)
{
    const store_driver_t *driver = fixture->driver;
    store_owner_t owner = owner_of(0, 1, 5);
    bool found = false;
    bool stands = false;
    fabric_error_t error = driver->owner_claim(store, &owner);
    error = error ? error : driver->direct_begin(store, (request_id_t){700}, see, NULL, &found);
    if (error || found) {
        return error ? error : FABRIC_ERROR_STORE_REJECTED;
    }
    if (!fixture->suite->execute(store, "INSERT INTO user_row VALUES (700)")) {
        driver->direct_roll_back(store);
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    error = driver->direct_check(store, &stands);
    if (error || !stands) {
        driver->direct_roll_back(store);
        return error ? error : FABRIC_ERROR_ENTITY_DEFECT;
    }
    return driver->direct_commit(store, &owner, (request_id_t){700}, bytes_of("result"));
}

/* Another owner takes over, and reads what the one before has left: a result, or none for ever.
 * The locks of a frozen owner are gone after two seconds. */
static bool take_over(store_fixture_t *fixture, uint64_t sequence)
{
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    store_owner_t owner = owner_of(0, 1, sequence);
    fabric_error_t error = FABRIC_ERROR_STORE_BUSY;
    bool found = false;
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = claim(fixture, &owner);
    }
    assert_ok(error);
    do {
        error =
            fixture->driver->direct_begin(fixture->store, (request_id_t){700}, see, NULL, &found);
    } while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms);
    assert_ok(error);
    if (!found) {
        fixture->driver->direct_roll_back(fixture->store);
    }
    return found;
}

/* A process gets the signal before its n-th statement, another owner takes over, and the process
 * goes on. */
static bool interrupt(store_fixture_t *fixture, unsigned nth, int number)
{
    int status = 0;
    assert_true(fixture->suite->execute(fixture->second, "DELETE FROM shard_owner"));
    assert_true(fixture->suite->execute(fixture->second, "DELETE FROM direct_result"));
    assert_true(fixture->suite->execute(fixture->second, "DELETE FROM user_row"));
    pid_t child = fixture_fork(fixture, make, nth, number);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    bool ended = WIFEXITED(status);
    bool found = take_over(fixture, 6);
    if (WIFSTOPPED(status)) {
        kill(child, SIGCONT);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    fabric_error_t answer =
        WIFEXITED(status) ? (fabric_error_t)WEXITSTATUS(status) : FABRIC_ERROR_STORE_UNKNOWN;
    assert_int_equal(has_result(fixture, 700), found);
    assert_int_equal(has_user_row(fixture, 700), found);
    assert_true(!ended || found);
    assert_true(answer == FABRIC_ERROR_STORE_UNKNOWN || (answer == FABRIC_OK) == found);
    return ended;
}

static void interrupt_before_each_statement(store_fixture_t *fixture, int number)
{
    bool ended = false;
    unsigned nth = 1;
    make_table(fixture);
    for (; !ended && nth < STATEMENTS_MAX; nth++) {
        ended = interrupt(fixture, nth, number);
    }
    assert_true(ended && nth > 8);
}

static void a_frozen_owner_is_fenced(void **state)
{
    interrupt_before_each_statement(*state, SIGSTOP);
}

static void an_owner_that_dies_leaves_all_or_nothing(void **state)
{
    interrupt_before_each_statement(*state, SIGKILL);
}

int store_suite_direct(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(a_result_is_stored_with_the_rows_of_its_handler),
        FOUNDED_TEST(another_default_database_does_not_hold_up_the_commit),
        FOUNDED_TEST(nobody_commits_who_has_not_claimed),
        FOUNDED_TEST(a_claim_is_for_the_present_home_only),
        FOUNDED_TEST(a_later_owner_ends_the_commits_of_the_one_before),
        FOUNDED_TEST(another_home_ends_the_commits_of_owners),
        FOUNDED_TEST(a_message_has_one_result),
        FOUNDED_TEST(an_ended_transaction_is_noticed),
        FOUNDED_TEST(a_checkpoint_deletes_results_that_the_journal_has),
        FOUNDED_TEST(a_frozen_owner_is_fenced),
        FOUNDED_TEST(an_owner_that_dies_leaves_all_or_nothing),
    };
    return cmocka_run_group_tests_name("direct", tests, NULL, NULL);
}
