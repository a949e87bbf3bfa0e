/* A trigger makes the database refuse single rows: the callers of these are told, whatever else was
 * in the same batch, and no caller is told that something succeeded which is not stored. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 30000, OTHERS = 40 };

/* Restarts the broker with a trigger on the insertion into a table; `condition` is true of the rows
 * that are refused. */
static void start_refusing(testbed_t *bed, const char *table, const char *condition)
{
    char sql[600];
    testbed_start(bed, 1);
    testbed_stop_processes(bed);
    snprintf(sql, sizeof sql,
             bed->database[0]
                 ? "CREATE TRIGGER refusal BEFORE INSERT ON %s FOR EACH ROW IF %s THEN SIGNAL "
                   "SQLSTATE '45000' SET MESSAGE_TEXT = 'this row is refused'; END IF"
                 : "CREATE TRIGGER refusal BEFORE INSERT ON %s WHEN %s BEGIN SELECT "
                   "RAISE(ABORT, 'this row is refused'); END",
             table, condition);
    testbed_execute(bed, sql);
    testbed_restart(bed, 1);
}

/* ---- calls that share batches ---- */

typedef struct call {
    bool ended;
    fabric_outcome_t outcome;
} call_t;

/* In static memory: they may end after a test has failed, when the client is closed. */
static call_t others[OTHERS];
static call_t refused[2];

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = context;
    (void)payload;
    call->ended = true;
    call->outcome = *outcome;
}

static void start(testbed_t *bed, call_t *call, const char *id, const char *text, bool tell)
{
    probe_text_t request = {""};
    fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_echo,
                          .request = &request,
                          .tell = tell,
                          .timeout_ms = WAIT_MAX_MS};
    snprintf(request.text, sizeof request.text, "%s", text);
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &what, call_ended, call, NULL), FABRIC_OK);
}

static const fabric_outcome_t *finish(testbed_t *bed, const call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (!call->ended) {
        (void)fabric_client_wait(bed->client, 20);
        if (clock_monotonic_ms() > deadline_ms || stop_requested()) {
            fail_msg("a call does not end");
        }
    }
    return &call->outcome;
}

/* Sends calls that will be refused, an ask and if wanted a tell, among calls that will not. */
static void call_all(testbed_t *bed, const char *id, const char *text, bool tell)
{
    char other[32];
    for (size_t i = 0; i < OTHERS; i++) {
        snprintf(other, sizeof other, "other-%zu", i / 2);
        start(bed, &others[i], other, "hello", i % 4 == 3);
        if (i == OTHERS / 2) {
            start(bed, &refused[0], id, text, false);
        }
        if (i == OTHERS / 2 + 1 && tell) {
            start(bed, &refused[1], id, text, true);
        }
    }
    for (size_t i = 0; i < OTHERS; i++) {
        assert_int_equal(finish(bed, &others[i])->error, FABRIC_OK);
    }
}

static void expect_number(testbed_t *bed, int64_t number, const char *sql)
{
    assert_int_equal(testbed_query_number(bed, sql), number);
}

/* ---- tests ---- */

static void a_refused_message(void **state)
{
    testbed_t *bed = *state;
    start_refusing(bed, "mailbox", "INSTR(NEW.entity_id, 'refused') > 0");
    call_all(bed, "refused", "hello", true);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(fabric_error_name(finish(bed, &refused[i])->error), "StoreRejected");
    }
    testbed_wait_drained(bed);
    assert_true(testbed_count_events(bed, "broker.log", "store.rejected") > 0);
    testbed_stop_processes(bed);
    expect_number(bed, 0, "SELECT COUNT(*) FROM mailbox WHERE INSTR(entity_id, 'refused') > 0");
    expect_number(bed, OTHERS, "SELECT COUNT(*) FROM mailbox");
    expect_number(bed, OTHERS, "SELECT COUNT(*) FROM reply WHERE status = 0");
}

/* The reply of a payload that is refused becomes a failure that is stored in its place. */
static void a_refused_reply(void **state)
{
    testbed_t *bed = *state;
    start_refusing(bed, "reply", "INSTR(NEW.payload, 'answer') > 0");
    call_all(bed, "answers", "answer", false);
    assert_string_equal(fabric_error_name(finish(bed, &refused[0])->error), "StoreRejected");
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    expect_number(bed, OTHERS, "SELECT COUNT(*) FROM reply WHERE status = 0");
    expect_number(bed, OTHERS + 1, "SELECT COUNT(*) FROM reply");
}

/* Where every reply to a message is refused, its caller hears that the outcome is unknown. The
 * message stays, and is handled once the database takes its reply. */
static void a_message_without_a_reply(void **state)
{
    testbed_t *bed = *state;
    start_refusing(bed, "reply",
                   "NEW.request_id IN "
                   "(SELECT request_id FROM mailbox WHERE INSTR(entity_id, 'mute') > 0)");
    call_all(bed, "mute", "hello", false);
    assert_string_equal(fabric_error_name(finish(bed, &refused[0])->error), "OutcomeUnknown");
    testbed_stop_processes(bed);
    expect_number(bed, OTHERS, "SELECT COUNT(*) FROM reply");
    expect_number(bed, OTHERS + 1, "SELECT COUNT(*) FROM mailbox");
    testbed_execute(bed, "DROP TRIGGER refusal");
    testbed_restart(bed, 1);
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    expect_number(bed, OTHERS + 1, "SELECT COUNT(*) FROM reply WHERE status = 0");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_refused_message", a_refused_message, TESTBED_BOTH},
        {"a_refused_reply", a_refused_reply, TESTBED_BOTH},
        {"a_message_without_a_reply", a_message_without_a_reply, TESTBED_BOTH},
    };
    return testbed_run("store refusal", tests, sizeof tests / sizeof tests[0]);
}
