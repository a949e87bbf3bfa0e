/* Rows edited by hand, with a real broker: each becomes a dead letter with its cause, and all other
 * messages are handled. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "tests/harness/testbed.h"

enum { WORKERS = 1, GOOD = 3 };

static const probe_text_t hello = {"hello"};

/* A copy of the first row that differs in one column. */
typedef struct damage {
    const char *column;
    const char *value;
    unsigned stores; /* those whose column takes the value */
    /* the damage does not show in the row: a worker says that it cannot handle the message */
    bool by_worker;
} damage_t;

static const damage_t damages[] = {
    {"shard", "0", TESTBED_BOTH, false},
    {"shard", "4294967295", TESTBED_BOTH, false},
    {"shard", "-1", TESTBED_SQLITE, false},
    {"shard", "9999999999", TESTBED_SQLITE, false},
    {"entity_id", "'somebody else'", TESTBED_BOTH, false}, /* whose shard is another */
    {"entity_id", "''", TESTBED_BOTH, false},
    {"entity_id", "zeroblob(300)", TESTBED_SQLITE, false},
    {"entity_type", "''", TESTBED_BOTH, false},
    {"entity_type", "'Vanished'", TESTBED_BOTH, true},
    {"tag", "''", TESTBED_BOTH, false},
    {"tag", "'Nothing'", TESTBED_BOTH, true},
    {"tag", "12345", TESTBED_SQLITE, true},
    {"payload", "''", TESTBED_BOTH, true},
    {"payload", "substr(payload, 1, 3)", TESTBED_BOTH, true},
    {"payload", "zeroblob(2000000)", TESTBED_SQLITE, false},
    {"payload", "REPEAT('x', 2000000)", TESTBED_MYSQL, false},
    {"flags", "0", TESTBED_BOTH, false},
    {"flags", "4294967295", TESTBED_BOTH, false},
    {"flags", "-1", TESTBED_SQLITE, false},
    {"headers", "'these are no headers'", TESTBED_BOTH, false},
    {"deliver_at_ms", "-9223372036854775807", TESTBED_BOTH, false},
};

/* The columns of both stores but for the id. */
static const char *const columns[] = {"shard",    "flags",        "entity_type", "entity_id",
                                      "tag",      "payload",      "traceparent", "headers",
                                      "key_hash", "deliver_at_ms"};

/* Copies the row `first`, giving the copy an id and one column another value. */
static void copy_row(testbed_t *bed, int64_t first, const char *id, const damage_t *damage)
{
    char names[400] = "";
    char values[400] = "";
    char sql[1200];
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        bool damaged = damage && strcmp(damage->column, columns[i]) == 0;
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, ", %s", columns[i]);
        used = strlen(values);
        snprintf(values + used, sizeof values - used, ", %s", damaged ? damage->value : columns[i]);
    }
    const char *call = bed->database[0] ? "call_client, call_sequence" : "client, sequence";
    snprintf(sql, sizeof sql,
             "INSERT INTO mailbox (request_id, %s%s) SELECT %s, %s%s FROM mailbox WHERE "
             "request_id = %lld",
             call, names, id, call, values, (long long)first);
    testbed_execute(bed, sql);
}

/* Returns the number of damaged rows, and of those whose damage shows in the row. Undamaged copies
 * lie among them. */
static int64_t damage_rows(testbed_t *bed, int64_t *telling)
{
    unsigned store = bed->database[0] ? TESTBED_MYSQL : TESTBED_SQLITE;
    int64_t first = testbed_query_number(bed, "SELECT MIN(request_id) FROM mailbox");
    int64_t next = testbed_query_number(bed, "SELECT MAX(request_id) FROM mailbox");
    int64_t count = 0;
    char id[32];
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        if (damages[i].stores & store) {
            snprintf(id, sizeof id, "%lld", (long long)++next);
            copy_row(bed, first, id, &damages[i]);
            *telling += !damages[i].by_worker;
            count++;
        }
    }
    for (int i = 0; i < GOOD; i++) {
        snprintf(id, sizeof id, "%lld", (long long)++next);
        copy_row(bed, first, id, NULL);
    }
    copy_row(bed, first, bed->database[0] ? "18446744073709551615" : "-1", NULL);
    ++*telling;
    return count + 1;
}

/* Rows without a message: the broker must ignore them. */
static void leave_orphans(testbed_t *bed)
{
    testbed_execute(bed, "INSERT INTO attempt (request_id, attempts) VALUES (12345, 1)");
    testbed_execute(bed, "INSERT INTO attempt (request_id, attempts) "
                         "SELECT MIN(request_id) + 1, 4294967295 FROM mailbox");
    testbed_execute(bed, "INSERT INTO shard (shard, home, home_epoch, mark) "
                         "SELECT 4294967295, home, 7, 0 FROM shard LIMIT 1");
}

static void expect_echo(testbed_t *bed, const char *id)
{
    probe_text_t reply;
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, id),
                                             &probe_echo, &hello, &reply, &outcome);
    if (error) {
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
    assert_string_equal(reply.text, hello.text);
}

static bool log_says(testbed_t *bed, const char *words)
{
    char path[FOLDER_PATH_SIZE + 40];
    char line[LOG_LINE_BYTES_MAX + 1];
    bool found = false;
    snprintf(path, sizeof path, "%s/broker.log", bed->cluster.folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        found = strstr(line, words) != NULL;
    }
    fclose(file);
    return found;
}

/* A dead letter is not loaded again. */
static void expect_quiet_restart(testbed_t *bed)
{
    testbed_stop_processes(bed);
    testbed_restart(bed, WORKERS);
    expect_echo(bed, "three");
    assert_int_equal(testbed_counter(bed->client, "damaged"), 0);
    testbed_wait_drained(bed);
}

static void damaged_rows(void **state)
{
    static const char *const arguments[] = {"--registration-ms", "1000", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    testbed_start(bed, WORKERS);
    expect_echo(bed, "one");
    testbed_stop_processes(bed);
    int64_t telling = 0;
    int64_t damaged = damage_rows(bed, &telling);
    leave_orphans(bed);
    testbed_restart(bed, WORKERS);
    expect_echo(bed, "one");
    expect_echo(bed, "two");
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "damaged"), telling);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), damaged);
    assert_true(log_says(bed, "row.damaged"));
    expect_quiet_restart(bed);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), damaged);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM reply WHERE status = 0"),
                     1 + GOOD + 3);
    assert_int_equal(testbed_query_number(bed,
                                          "SELECT COUNT(*) FROM mailbox m LEFT JOIN reply r ON "
                                          "r.request_id = m.request_id WHERE r.request_id IS NULL"),
                     0);
}

int main(void)
{
    static const testbed_test_t tests[] = {{"damaged_rows", damaged_rows, TESTBED_BOTH}};
    return testbed_run("damaged_rows", tests, sizeof tests / sizeof tests[0]);
}
