/* A trigger makes the database refuse what a broker writes. An entry of a journal is refused as a
 * whole, so a refusal is an outage: it is tried again, callers and log get the database's words,
 * and nobody is told that something succeeded which is not stored. */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/machine.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/stop.h"

enum { WAIT_MAX_MS = 60000, REFUSED_MS = 500, OTHERS = 40 };

static const probe_text_t hello = {"hello"};

/* ---- the trigger ---- */

/* Changes the schema beside the broker that runs. */
static void change_schema(testbed_t *bed, const char *sql)
{
    const char *path = bed->cluster.database.url + strlen("sqlite:");
    sqlite3 *database = NULL;
    if (bed->database[0]) {
        testbed_execute(bed, sql);
        return;
    }
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, WAIT_MAX_MS);
    int code = sqlite3_exec(database, sql, NULL, NULL, NULL);
    sqlite3_close(database);
    assert_int_equal(code, SQLITE_OK);
}

/* From now on, the insertion into a table is refused of rows for which `condition` is true. */
static void start_refusing(testbed_t *bed, const char *table, const char *condition)
{
    char sql[600];
    snprintf(sql, sizeof sql,
             bed->database[0]
                 ? "CREATE TRIGGER refusal BEFORE INSERT ON %s FOR EACH ROW IF %s THEN SIGNAL "
                   "SQLSTATE '45000' SET MESSAGE_TEXT = 'this row is refused'; END IF"
                 : "CREATE TRIGGER refusal BEFORE INSERT ON %s WHEN %s BEGIN SELECT "
                   "RAISE(ABORT, 'this row is refused'); END",
             table, condition);
    change_schema(bed, sql);
}

static void stop_refusing(testbed_t *bed)
{
    change_schema(bed, "DROP TRIGGER refusal");
}

/* ---- calls ---- */

typedef struct call {
    bool ended;
    fabric_outcome_t outcome;
} call_t;

/* In static memory: they may end after a test has failed, when the client is closed. */
static call_t others[OTHERS];
static call_t held;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = context;
    (void)payload;
    call->ended = true;
    call->outcome = *outcome;
}

static void start(testbed_t *bed, call_t *call, const char *id,
                  const fabric_message_type_t *message, bool tell)
{
    fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = &hello,
                          .tell = tell,
                          .timeout_ms = WAIT_MAX_MS};
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &what, call_ended, call, NULL), FABRIC_OK);
}

static void finish_well(testbed_t *bed, const call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (!call->ended) {
        (void)fabric_client_wait(bed->client, 20);
        if (clock_monotonic_ms() > deadline_ms || stop_requested()) {
            fail_msg("a call does not end");
        }
    }
    if (call->outcome.error) {
        fail_msg("%s: %s", fabric_error_name(call->outcome.error), call->outcome.text);
    }
}

static void call_others(testbed_t *bed)
{
    char id[32];
    for (size_t i = 0; i < OTHERS; i++) {
        snprintf(id, sizeof id, "other-%zu", i / 2);
        start(bed, &others[i], id, &probe_echo, i % 4 == 3);
    }
}

static void finish_others(testbed_t *bed)
{
    for (size_t i = 0; i < OTHERS; i++) {
        finish_well(bed, &others[i]);
    }
}

static fabric_error_t ask_once(fabric_client_t *client, const fabric_message_type_t *message,
                               fabric_outcome_t *outcome)
{
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "once"),
                          .message = message,
                          .request = &hello,
                          .timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    return fabric_client_call(client, &call, NULL, NULL, NULL, outcome);
}

/* Calls until one is certainly not accepted. The first ones may have reached the broker before it
 * knew of the outage: they end unknown. Returns how many did. */
static uint64_t expect_refusal(testbed_t *bed, fabric_client_t *client)
{
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    uint64_t unknown = 0;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (ask_once(client, &probe_echo, &outcome) == FABRIC_ERROR_OUTCOME_UNKNOWN) {
        unknown++;
        testbed_poll(deadline_ms, "a call that is refused");
    }
    assert_string_equal(fabric_error_name(outcome.error), "PersistenceError");
    if (!strstr(outcome.text, "the database is unavailable: ") ||
        !strstr(outcome.text, "this row is refused")) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s", outcome.text);
    }
    return unknown;
}

static void wait_for_outage(testbed_t *bed, const char *words)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (process_log_count(&bed->cluster, "broker.log", words) == 0) {
        testbed_poll(deadline_ms, words);
    }
}

/* ---- tests ---- */

/* Durable calls wait or are refused, volatile ones go on. What waited is stored once the database
 * takes it, and what was refused is not. */
static void entries_are_refused(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    fabric_client_t *client = NULL; /* beside the one of the calls that wait */
    fabric_client_options_t options = {.connect_timeout_ms = WAIT_MAX_MS};
    testbed_start(bed, 1);
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, NULL), FABRIC_OK);
    call_others(bed);
    finish_others(bed);
    start_refusing(bed, "journal", "1 = 1");
    call_others(bed); /* they wait, or are sent again later */
    uint64_t unknown = expect_refusal(bed, client);
    wait_for_outage(bed,
                    "store.unavailable connection=appender number=0 cause=\"this row is refused");
    if (ask_once(client, &probe_volatile_echo, &outcome)) {
        fail_msg("%s: %s", fabric_error_name(outcome.error), outcome.text);
    }
    fabric_client_close(&client);
    stop_refusing(bed);
    finish_others(bed);
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    table_count_t all = table_count_read(bed, NULL);
    assert_in_range(all.messages, 2 * OTHERS, 2 * OTHERS + unknown);
    assert_int_equal(all.calls, all.messages);
    assert_int_equal(all.answered, all.messages);
}

/* Where a checkpoint is refused, appends go on, and what stands is checkpointed later. */
static void rows_are_refused(void **state)
{
    testbed_t *bed = *state;
    probe_text_t gate = {"gate"};
    fabric_call_t hold = {.entity = fabric_entity(PROBE_TYPE, "held"),
                          .message = &probe_hold,
                          .request = &gate,
                          .timeout_ms = 2 * WAIT_MAX_MS};
    testbed_start(bed, 1);
    start_refusing(bed, "pending", "1 = 1");
    held = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &hold, call_ended, &held, NULL), FABRIC_OK);
    wait_for_outage(bed, "store.unavailable connection=checkpointer cause=\"this row is refused");
    call_others(bed);
    finish_others(bed);
    stop_refusing(bed);
    wait_for_outage(bed, "store.available connection=checkpointer");
    assert_false(held.ended);
    testbed_open_gate(bed, "gate");
    finish_well(bed, &held);
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    table_count_expect_all_answered(bed, OTHERS + 1);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"entries_are_refused", entries_are_refused, TESTBED_BOTH},
        {"rows_are_refused", rows_are_refused, TESTBED_BOTH},
    };
    return testbed_run("store refusal", tests, sizeof tests / sizeof tests[0]);
}
