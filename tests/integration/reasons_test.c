/* Reasons: the words and numbers of a broker, a database or a handler reach the caller and the
 * log. */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "core/clock.h"
#include "core/log.h"
#include "tests/harness/invocation.h"
#include "tests/harness/machine.h"
#include "tests/harness/mariadb.h"

enum { REFUSED_MS = 500, LINE_MS = 60000 };

#define EXPECT(...) invocation_expect(bed, __LINE__, __VA_ARGS__, NULL)

static testbed_t *bed;

/* ---- brokers that refuse a client ---- */

static void expect_no_client(const fabric_client_options_t *options, fabric_error_t expected,
                             const char *words)
{
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_open(bed->cluster.url, options, &client, &outcome);
    if (error != expected || !strstr(outcome.text, words)) {
        fabric_client_close(&client);
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
}

static void one_peer_too_many(void **state)
{
    static const char *const one_peer[] = {"--peers-max", "1", NULL};
    static const char words[] =
        "Busy (11): this broker has as many peers as it may have: see peers_max";
    char timeout_ms[24];
    fabric_client_options_t options = {.connect_timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    bed = *state;
    bed->broker_arguments = one_peer;
    testbed_start(bed, 0); /* with a client, the one peer */
    expect_no_client(&options, FABRIC_ERROR_BUSY, words);
    snprintf(timeout_ms, sizeof timeout_ms, "%u", options.connect_timeout_ms);
    EXPECT(6,
           "fabricctl: tcp:*: no broker took this client in within * ms: tcp:*: Busy (11): *see "
           "peers_max (Busy): *",
           "fabricctl", "--url", bed->cluster.url, "--timeout-ms", timeout_ms, "status");
}

static void a_client_number_twice(void **state)
{
    fabric_client_options_t options = {.client_number = 77,
                                       .connect_timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    fabric_client_t *first = NULL;
    bed = *state;
    testbed_start(bed, 0);
    assert_int_equal(fabric_client_open(bed->cluster.url, &options, &first, NULL), FABRIC_OK);
    expect_no_client(&options, FABRIC_ERROR_BUSY,
                     "Busy (11): another process is connected under this client number");
    fabric_client_close(&first);
}

/* ---- log lines ---- */

static bool has_line(const char *log, const char *const *parts)
{
    char path[FOLDER_PATH_SIZE + 80];
    char line[LOG_LINE_BYTES_MAX + 1];
    bool found = false;
    snprintf(path, sizeof path, "%s/%s", bed->cluster.folder, log);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        found = true;
        for (size_t i = 0; parts[i]; i++) {
            found = found && strstr(line, parts[i]);
        }
    }
    fclose(file);
    return found;
}

#define EXPECT_LINE(log, ...) expect_line(log, (const char *const[]){__VA_ARGS__, NULL})

static void expect_line(const char *log, const char *const *parts)
{
    uint64_t deadline_ms = clock_monotonic_ms() + LINE_MS;
    while (!has_line(log, parts)) {
        testbed_poll(deadline_ms, parts[0]);
    }
}

static void a_broken_handler(void **state)
{
    static const char *const two_attempts[] = {"--attempts-max", "2", NULL};
    fabric_outcome_t outcome;
    probe_number_t request = {100};
    char id[64];
    bed = *state;
    bed->broker_arguments = two_attempts;
    testbed_start(bed, 1);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "b/1"), &probe_defect,
                                       &request, NULL, &outcome),
                     FABRIC_ERROR_DEAD_LETTER);
    snprintf(id, sizeof id, "%llu", (unsigned long long)outcome.request_id);
    EXPECT_LINE("worker-0.log", " warn worker.defect ", "Probe/b/1 Defect, request ", id,
                ": broken at attempt 2");
    EXPECT_LINE(
        "broker.log", " warn message.dead_letter ", id, "type=Probe entity=b/1 tag=Defect",
        "attempts=2 error=EntityDefect text=\"given up after 2 attempts: broken at attempt 2");
}

/* ---- a database that refuses an entry ---- */

/* Not testbed_execute: the broker uses the file, too. */
static void execute_sqlite(const char *sql)
{
    char path[FOLDER_PATH_SIZE + 80];
    sqlite3 *database = NULL;
    snprintf(path, sizeof path, "%s/fabric.db", bed->cluster.folder);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, LINE_MS);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void set_trap(void)
{
    if (strcmp(bed->store, "mysql") == 0) {
        assert_true(mariadb_execute(bed->database,
                                    "DELIMITER //\n"
                                    "CREATE TRIGGER trap BEFORE INSERT ON journal FOR EACH ROW "
                                    "BEGIN SIGNAL SQLSTATE '23000' "
                                    "SET MESSAGE_TEXT = 'trapped'; END //"));
    } else {
        execute_sqlite("CREATE TRIGGER trap BEFORE INSERT ON journal "
                       "BEGIN SELECT RAISE(ABORT, 'trapped'); END");
    }
}

static void remove_trap(void)
{
    static const char drop[] = "DROP TRIGGER trap";
    if (strcmp(bed->store, "mysql") == 0) {
        assert_true(mariadb_execute(bed->database, drop));
    } else {
        execute_sqlite(drop);
    }
}

/* The first call is under way when the broker hears it, and ends unknown; the next one is
 * refused. */
static void a_refused_entry(void **state)
{
    probe_text_t request = {"hello"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "x"),
                          .message = &probe_echo,
                          .request = &request,
                          .timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    fabric_outcome_t outcome;
    uint64_t deadline_ms = clock_monotonic_ms() + LINE_MS;
    bed = *state;
    testbed_start(bed, 1);
    set_trap();
    while (fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome) ==
           FABRIC_ERROR_OUTCOME_UNKNOWN) {
        testbed_poll(deadline_ms, "a call that is refused");
    }
    assert_int_equal(outcome.error, FABRIC_ERROR_PERSISTENCE);
    assert_non_null(strstr(outcome.text, "the database is unavailable: trapped ("));
    EXPECT_LINE("broker.log", " warn store.unavailable connection=appender number=0 ",
                "cause=\"trapped (");
    remove_trap(); /* or else the broker waits for its append until it has drained */
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"one_peer_too_many", one_peer_too_many, TESTBED_SQLITE},
        {"a_client_number_twice", a_client_number_twice, TESTBED_SQLITE},
        {"a_broken_handler", a_broken_handler, TESTBED_SQLITE},
        {"a_refused_entry", a_refused_entry, TESTBED_BOTH},
    };
    return testbed_run("reasons", tests, sizeof tests / sizeof tests[0]);
}
