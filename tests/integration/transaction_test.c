/* Transactional messages: a handler's rows, its reply and the end of its message are there
 * together, whatever dies. On MariaDB with one broker, and with three. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "tests/harness/crash_points.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/testbed.h"
#include "tests/harness/till.h"

enum { BROKERS = 3, WAIT_MAX_MS = 60000, TILLS = 12, CALLS = 240, KILL_EACH = 60 };

static const char *const quick[] = {
    "--backoff-ms",   "20", "--backoff-max-ms", "100", "--lease-ms", "1000",
    "--attempts-max", "2",  "--crashes-max",    "3",   NULL};

/* ---- the cluster ---- */

static void give_database(testbed_t *bed)
{
    static char password[300];
    static const char *environment[] = {NULL, NULL, NULL};
    static const char *arguments[] = {"--database", NULL, NULL};
    arguments[1] = bed->database;
    bed->worker_arguments = arguments;
    if (mariadb_password() && mariadb_password()[0]) {
        snprintf(password, sizeof password, "FABRIC_DATABASE_PASSWORD=%s", mariadb_password());
        environment[0] = password;
        bed->worker_environment = environment;
    }
}

static void start(testbed_t *bed, uint32_t brokers, uint32_t workers)
{
    bed->broker_arguments = quick;
    give_database(bed);
    if (brokers == 1) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, brokers, 0);
    }
    testbed_execute(bed, TILL_TABLE);
    bed->options.module = TILL_MODULE;
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    if (workers > 0) {
        testbed_wait_ready(bed, workers);
    }
}

/* The worker dies, or freezes, at a point. */
static void add_crashing_worker(testbed_t *bed, const char *crash)
{
    static char variable[100];
    const char *const *usual = bed->worker_environment;
    const char *environment[] = {variable, "FABRIC_NO_SUPERVISOR=yes", usual ? usual[0] : NULL,
                                 NULL};
    snprintf(variable, sizeof variable, "FABRIC_CRASH=%s", crash);
    bed->options.worker_environment = environment;
    bed->options.programs = crash_programs();
    testbed_add_worker(bed);
    bed->options.worker_environment = usual;
    bed->options.programs = NULL;
}

/* ---- calls ---- */

static fabric_error_t book(testbed_t *bed, const char *id, int64_t amount, till_course_t course,
                           till_sum_t *sum, fabric_outcome_t *outcome)
{
    till_entry_t entry = {amount, (uint32_t)course};
    fabric_call_t call = {.entity = fabric_entity(TILL_TYPE, id),
                          .message = &till_book,
                          .request = &entry,
                          .timeout_ms = WAIT_MAX_MS};
    return fabric_client_call(bed->client, &call, sum, NULL, NULL, outcome);
}

static int64_t add(testbed_t *bed, const char *id, int64_t amount)
{
    till_sum_t sum = {0};
    fabric_outcome_t outcome;
    fabric_error_t error = book(bed, id, amount, TILL_REPLY, &sum, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", id, fabric_error_name(error), outcome.text);
    }
    return sum.sum;
}

static int64_t rows_of(testbed_t *bed, const char *id)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM till_row WHERE till = '%s'", id);
    return testbed_query_number(bed, sql);
}

static bool is_tidy(void *context)
{
    return testbed_query_number(context, "SELECT COUNT(*) FROM direct_result") == 0;
}

/* A checkpoint has deleted what the journal has. */
static void wait_tidy(testbed_t *bed)
{
    testbed_wait_drained(bed);
    testbed_wait_until(bed, is_tidy, bed, "a checkpoint of direct results");
}

/* ---- one message ---- */

static void test_sh_32_rows_and_reply_commit_together(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1, 1);
    assert_int_equal(add(bed, "a", 5), 5);
    assert_int_equal(add(bed, "a", 7), 12);
    assert_int_equal(rows_of(bed, "a"), 2);
    till_sum_t connected = {9};
    fabric_outcome_t outcome;
    fabric_call_t ping = {
        .entity = fabric_entity(TILL_TYPE, "a"), .message = &till_ping, .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_call(bed->client, &ping, &connected, NULL, NULL, &outcome),
                     FABRIC_OK);
    assert_int_equal(connected.sum, 0);
    wait_tidy(bed);
    testbed_break_connections(bed); /* the worker opens another one */
    assert_int_equal(add(bed, "a", 1), 13);
    assert_int_equal(rows_of(bed, "a"), 3);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM shard_owner"), 1);
}

static void expect_failure(testbed_t *bed, const char *id, till_course_t course,
                           fabric_error_t expected, const char *words, int64_t rows)
{
    till_sum_t sum;
    fabric_outcome_t outcome;
    fabric_error_t error = book(bed, id, 5, course, &sum, &outcome);
    assert_string_equal(fabric_error_name(error), fabric_error_name(expected));
    if (!strstr(outcome.text, words)) {
        fail_msg("%s: %s", id, outcome.text);
    }
    assert_int_equal(rows_of(bed, id), rows);
    assert_int_equal(add(bed, id, 1), 5 * rows + 1); /* the entity goes on */
}

static void what_is_no_reply_rolls_back(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1, 1);
    expect_failure(bed, "fails", TILL_FAIL, FABRIC_ERROR_ENTITY_FAILURE, "not this one", 0);
    expect_failure(bed, "breaks", TILL_BREAK, FABRIC_ERROR_DEAD_LETTER, "it broke", 0);
    expect_failure(bed, "later", TILL_LATER, FABRIC_ERROR_DEAD_LETTER, "answer at once", 0);
    wait_tidy(bed);
}

/* A handler that ends its transaction has a defect. Each of its two attempts has left what it had
 * committed. */
static void a_handler_that_ends_its_transaction_has_a_defect(void **state)
{
    static const char words[] = "had ended when it returned";
    testbed_t *bed = *state;
    start(bed, 1, 1);
    expect_failure(bed, "commits", TILL_COMMIT, FABRIC_ERROR_DEAD_LETTER, words, 2);
    expect_failure(bed, "goes on", TILL_COMMIT_MORE, FABRIC_ERROR_DEAD_LETTER, words, 2);
    expect_failure(bed, "rolls back", TILL_ROLL_BACK, FABRIC_ERROR_DEAD_LETTER, words, 0);
    expect_failure(bed, "defines", TILL_DEFINE, FABRIC_ERROR_DEAD_LETTER, words, 2);
    expect_failure(bed, "leaves", TILL_LEAVE, FABRIC_ERROR_DEAD_LETTER, words, 0);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 5);
    wait_tidy(bed);
}

/* ---- deaths ---- */

typedef struct pending_call {
    bool ended;
    fabric_outcome_t outcome;
} pending_call_t;

/* In static memory: it may end after a test has failed, when the client is closed. */
static pending_call_t open_call;

static void on_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    pending_call_t *call = context;
    (void)payload;
    call->outcome = *outcome;
    call->ended = true;
}

static void begin_call(testbed_t *bed, const char *id, till_course_t course)
{
    static till_entry_t entry;
    entry = (till_entry_t){5, (uint32_t)course};
    fabric_call_t call = {.entity = fabric_entity(TILL_TYPE, id),
                          .message = &till_book,
                          .request = &entry,
                          .timeout_ms = WAIT_MAX_MS};
    open_call = (pending_call_t){.ended = false};
    assert_int_equal(fabric_client_start(bed->client, &call, on_end, &open_call, NULL), FABRIC_OK);
}

static void wait_for_call(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!open_call.ended) {
        (void)fabric_client_wait(bed->client, 20);
        testbed_poll(deadline_ms, "the call");
    }
    assert_string_equal(fabric_error_name(open_call.outcome.error), "OK");
}

static void wait_for_end(process_t *process)
{
    reason_t reason = {{0}};
    (void)!process_wait(process, WAIT_MAX_MS, &reason);
    assert_true(WIFSIGNALED(process->status) && WTERMSIG(process->status) == SIGKILL);
}

/* A worker dies at the point with a message at hand; another one comes. */
static void die_at(testbed_t *bed, const char *crash, till_course_t course)
{
    start(bed, 1, 0);
    add_crashing_worker(bed, crash);
    testbed_wait_ready(bed, 1);
    begin_call(bed, "a", course);
    wait_for_end(&bed->cluster.workers[0]);
    testbed_add_worker(bed);
    wait_for_call(bed);
    assert_int_equal(rows_of(bed, "a"), 1);
    assert_int_equal(add(bed, "a", 1), 6);
    wait_tidy(bed);
}

static void a_worker_dies_before_its_commit(void **state)
{
    die_at(*state, "direct.inside:1", TILL_REPLY);
}

static void a_worker_dies_between_its_commit_and_its_result(void **state)
{
    die_at(*state, "direct.after:1", TILL_REPLY);
}

/* ---- what handlers tell others ---- */

static bool was_told(void *context)
{
    return rows_of(context, TILL_TOLD) > 0;
}

static void expect_told_once(testbed_t *bed)
{
    testbed_wait_until(bed, was_told, bed, "what was told");
    wait_tidy(bed);
    assert_int_equal(rows_of(bed, TILL_TOLD), 1);
    assert_int_equal(add(bed, TILL_TOLD, 1), 6);
}

static void what_is_told_commits_with_the_rows(void **state)
{
    testbed_t *bed = *state;
    till_sum_t sum;
    fabric_outcome_t outcome;
    start(bed, 1, 1);
    expect_failure(bed, "fails", TILL_TELL_FAIL, FABRIC_ERROR_ENTITY_FAILURE, "not this one", 0);
    assert_int_equal(book(bed, "a", 5, TILL_TELL, &sum, &outcome), FABRIC_OK);
    assert_int_equal(rows_of(bed, "a"), 1);
    expect_told_once(bed);
}

/* The rows are there, and what was told is in the result that the next worker finds. */
static void what_was_told_is_sent_when_the_worker_dies(void **state)
{
    die_at(*state, "direct.after:1", TILL_TELL);
    expect_told_once(*state);
}

/* The result stands, and the home counts the death of the worker as the last one that the message
 * may cause: nothing else ends it. */
static void a_message_that_was_committed_is_not_given_up(void **state)
{
    static const char *const strict[] = {"--backoff-ms", "20", "--crashes-max", "1", "--lease-ms",
                                         "1000",         NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = strict;
    give_database(bed);
    testbed_start(bed, 0);
    testbed_execute(bed, TILL_TABLE);
    bed->options.module = TILL_MODULE;
    char crash[] = "FABRIC_CRASH=direct.after:1"; /* under a supervisor, which reports the crash */
    const char *const *usual = bed->worker_environment;
    const char *environment[] = {crash, usual ? usual[0] : NULL, NULL};
    bed->options.worker_environment = environment;
    bed->options.programs = crash_programs();
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
    assert_int_equal(add(bed, "a", 5), 5);
    assert_int_equal(rows_of(bed, "a"), 1);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    bed->options.worker_environment = usual;
}

/* The worker stands still with its result written and not committed, and another one takes its
 * place: the database has dropped the session of the first one. */
static void a_frozen_worker_does_not_commit(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1, 0);
    add_crashing_worker(bed, "direct.inside:1:freeze");
    testbed_wait_ready(bed, 1);
    begin_call(bed, "a", TILL_REPLY);
    testbed_add_worker(bed);
    wait_for_call(bed); /* by the other one */
    assert_int_equal(rows_of(bed, "a"), 1);
    testbed_thaw(&bed->cluster.workers[0]);
    assert_int_equal(add(bed, "a", 1), 6);
    assert_int_equal(rows_of(bed, "a"), 2);
    testbed_kill(&bed->cluster.workers[0]);
}

/* Brokers and workers are killed while messages come: each that was answered has one row. */
static void each_answered_message_has_one_row(void **state)
{
    testbed_t *bed = *state;
    start(bed, BROKERS, 2);
    char id[16];
    for (uint32_t i = 0; i < CALLS; i++) {
        snprintf(id, sizeof id, "t%u", (unsigned)(i % TILLS));
        assert_int_equal(add(bed, id, 1), 1 + i / TILLS);
        if (i % KILL_EACH == KILL_EACH / 2) {
            uint32_t number = i / KILL_EACH % 2;
            testbed_kill(&bed->cluster.workers[number]);
            testbed_restart_worker(bed, number);
        } else if (i % KILL_EACH == KILL_EACH - 1) {
            uint32_t number = i / KILL_EACH % BROKERS;
            testbed_kill(&bed->cluster.brokers[number]);
            testbed_restart_number(bed, number);
        }
    }
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM till_row"), CALLS);
    wait_tidy(bed);
}

/* ---- refusals ---- */

/* Whether the worker's log has a line with these words. */
static bool has_line(testbed_t *bed, const char *words)
{
    char path[FOLDER_PATH_SIZE + 80];
    char line[2000];
    bool found = false;
    snprintf(path, sizeof path, "%s/worker-0.log", bed->cluster.folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        found = strstr(line, words) != NULL;
    }
    fclose(file);
    return found;
}

static void expect_refusal(testbed_t *bed, const char *words)
{
    reason_t reason = {{0}};
    process_t *worker = &bed->cluster.workers[0];
    testbed_add_worker(bed);
    (void)!process_wait(worker, WAIT_MAX_MS, &reason);
    assert_true(WIFEXITED(worker->status));
    assert_int_equal(WEXITSTATUS(worker->status), 78);
    assert_true(has_line(bed, words));
}

static void sqlite_refuses_at_registration(void **state)
{
    static const char *const arguments[] = {"--database", "mysql://nobody@127.0.0.1:1/none", NULL};
    testbed_t *bed = *state;
    bed->worker_arguments = arguments;
    testbed_start(bed, 0);
    bed->options.module = TILL_MODULE;
    expect_refusal(bed, "entity type Till: it has transactional messages");
}

static void a_worker_needs_the_database(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    bed->options.module = TILL_MODULE;
    expect_refusal(bed, "message Book is transactional");
}

static void another_database_is_refused_at_start(void **state)
{
    static const char *const arguments[] = {"--database", "sqlite:/var/lib/none.db", NULL};
    testbed_t *bed = *state;
    bed->worker_arguments = arguments;
    testbed_start(bed, 0);
    bed->options.module = TILL_MODULE;
    expect_refusal(bed, "database: the URL must have the form mysql://");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_sh_32_rows_and_reply_commit_together", test_sh_32_rows_and_reply_commit_together,
         TESTBED_MYSQL},
        {"what_is_no_reply_rolls_back", what_is_no_reply_rolls_back, TESTBED_MYSQL},
        {"a_handler_that_ends_its_transaction_has_a_defect",
         a_handler_that_ends_its_transaction_has_a_defect, TESTBED_MYSQL},
        {"a_worker_dies_before_its_commit", a_worker_dies_before_its_commit, TESTBED_MYSQL},
        {"a_worker_dies_between_its_commit_and_its_result",
         a_worker_dies_between_its_commit_and_its_result, TESTBED_MYSQL},
        {"what_is_told_commits_with_the_rows", what_is_told_commits_with_the_rows, TESTBED_MYSQL},
        {"what_was_told_is_sent_when_the_worker_dies", what_was_told_is_sent_when_the_worker_dies,
         TESTBED_MYSQL},
        {"a_message_that_was_committed_is_not_given_up",
         a_message_that_was_committed_is_not_given_up, TESTBED_MYSQL},
        {"a_frozen_worker_does_not_commit", a_frozen_worker_does_not_commit, TESTBED_MYSQL},
        {"each_answered_message_has_one_row", each_answered_message_has_one_row, TESTBED_MYSQL_3},
        {"sqlite_refuses_at_registration", sqlite_refuses_at_registration, TESTBED_SQLITE},
        {"another_database_is_refused_at_start", another_database_is_refused_at_start,
         TESTBED_SQLITE},
        {"a_worker_needs_the_database", a_worker_needs_the_database, TESTBED_SQLITE},
    };
    return testbed_run("transaction", tests, sizeof tests / sizeof tests[0]);
}
