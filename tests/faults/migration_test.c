/* A database of schema version 2 with messages that are pending, ended and dead is migrated by
 * brokers that are killed meanwhile. What was pending is handled once and in order; a call that had
 * ended is unknown when it is sent again. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "mysql/mysql_url.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/old_schema.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

/* Requests 1001 to 1299 went to one entity: those that end in 00 are dead letters, of the others
 * every third is pending. */
enum {
    FIRST_ID = 1001,
    LAST_ID = 1299,
    DEAD_COUNT = 2,
    ENDED_ID = 1001,
    PENDING_ID = 1002,
    SHARDS = 300,
    GROUP_SHARDS = 65536, /* before those of the first group */
    CLIENT = 77,          /* its sequences are the request ids */
    LATER = 100000,       /* the first sequence of the client that comes later */
    KILLS = 8,
    KILL_STEP_MS = 10,
    WAIT_MAX_MS = 90000
};

#define ENTITY "migrated"

static const char *const broker_arguments[] = {"--migrate", NULL};

static bool is_dead(uint64_t id)
{
    return id % 100 == 0;
}

static bool is_pending(uint64_t id)
{
    return id % 3 == 0 && !is_dead(id);
}

/* ---- the old database ---- */

static bool is_on_server(const testbed_t *bed)
{
    return bed->database[0] != '\0';
}

static void put_hexadecimal(FILE *text, fabric_bytes_t bytes)
{
    fprintf(text, "X'");
    for (size_t i = 0; i < bytes.size; i++) {
        fprintf(text, "%02x", bytes.data[i]);
    }
    fprintf(text, "'");
}

/* The columns of a message, in the same order in both databases. */
static void put_message(FILE *text, const testbed_t *bed, const char *table, const char *more,
                        uint64_t id)
{
    bool server = is_on_server(bed);
    probe_number_t request = {id};
    uint8_t payload[64];
    size_t size = 0;
    uint32_t shard = GROUP_SHARDS + address_shard_number(fabric_bytes_of(ENTITY), SHARDS);
    assert_int_equal(
        fabric_schema_encode(&probe_number_schema, &request, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    fprintf(text,
            "INSERT INTO %s (request_id, shard, flags, entity_type, entity_id, tag, traceparent, "
            "headers, %s, deliver_at_ms, payload%s) VALUES (%llu, %u, 1, ",
            table, server ? "call_client, call_sequence" : "client, sequence", more,
            (unsigned long long)id, shard);
    put_hexadecimal(text, fabric_bytes_of(PROBE_TYPE));
    fprintf(text, ", ");
    put_hexadecimal(text, fabric_bytes_of(ENTITY));
    fprintf(text, ", ");
    put_hexadecimal(text, fabric_bytes_of(probe_append.tag));
    fprintf(text, ", X'', X'', %d, %llu, 0, ", CLIENT, (unsigned long long)id);
    put_hexadecimal(text, fabric_bytes(payload, size));
    fprintf(text, "%s);", *more ? ", 11, 10, X'6f6f7073'" : "");
}

static void put_contents(FILE *text, const testbed_t *bed)
{
    bool server = is_on_server(bed);
    fprintf(text, "%s",
            server ? "UPDATE cluster SET name = 'fabric';"
                   : "INSERT INTO cluster VALUES (1, X'000102030405060708090a0b0c0d0e0f', "
                     "'fabric', 300);");
    fprintf(text, "INSERT INTO writer VALUES (3, 0, X'01010101010101010101010101010101', 9, 5000);"
                  "INSERT INTO shard_group VALUES (1, X'64656661756c74');");
    for (uint64_t id = FIRST_ID; id <= LAST_ID; id++) {
        put_message(text, bed, "mailbox", "", id);
        if (is_dead(id)) {
            put_message(text, bed, "dead_letter",
                        server ? ", error, attempts, last_error" : ", cause, attempts, last_error",
                        id);
        }
    }
    fprintf(text, "INSERT INTO reply SELECT request_id, 0, shard, 0, 0, 0, X'' FROM mailbox"
                  " WHERE request_id %% 3 <> 0 OR request_id %% 100 = 0;");
}

/* In place of the database that the testbed has made. */
static void make_old_server(testbed_t *bed, const char *contents)
{
    char sql[600];
    mysql_url_t url;
    assert_int_equal(mysql_url_parse(bed->database, NULL, &url), FABRIC_OK);
    snprintf(sql, sizeof sql, "DROP DATABASE %s; CREATE DATABASE %s;", url.database, url.database);
    assert_true(mariadb_execute(bed->database, sql));
    assert_true(mariadb_execute(bed->database, old_schema_mysql_1));
    assert_true(mariadb_execute(bed->database, old_schema_mysql_2));
    assert_true(mariadb_execute(bed->database, contents));
}

static void make_old_file(testbed_t *bed, const char *contents)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[FOLDER_PATH_SIZE + 80];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", bed->cluster.database.url + strlen("sqlite:"),
                 endings[i]);
        assert_true(remove(path) == 0 || i > 0);
    }
    testbed_execute(bed, old_schema_sqlite_1);
    testbed_execute(bed, old_schema_sqlite_2);
    testbed_execute(bed, contents);
}

static void make_old(testbed_t *bed)
{
    char *contents = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&contents, &size);
    assert_non_null(text);
    fprintf(text, "BEGIN;");
    put_contents(text, bed);
    fprintf(text, "COMMIT;");
    fclose(text);
    if (is_on_server(bed)) {
        make_old_server(bed, contents);
    } else {
        make_old_file(bed, contents);
    }
    free(contents);
}

/* ---- brokers ---- */

/* Starts a broker of its own address, and kills it after some time, at whatever it is doing. */
static void start_and_kill(testbed_t *bed, int ms)
{
    char programs[FOLDER_PATH_SIZE];
    char path[FOLDER_PATH_SIZE + 32];
    char log[FOLDER_PATH_SIZE + 32];
    reason_t reason = {{0}};
    process_t broker = PROCESS_NONE;
    assert_int_equal(folder_of_programs(&reason, programs), FABRIC_OK);
    snprintf(path, sizeof path, "%s/fabric-broker", programs);
    snprintf(log, sizeof log, "%s/killed.log", bed->cluster.folder);
    const char *arguments[] = {path,
                               "--listen",
                               "tcp://127.0.0.1:*",
                               "--publish",
                               "tcp://127.0.0.1:*",
                               "--store",
                               bed->cluster.database.url,
                               "--migrate",
                               NULL};
    assert_int_equal(process_start(arguments, log, false, &reason, &broker), FABRIC_OK);
    (void)poll(NULL, 0, ms);
    bool runs = process_runs(&broker);
    process_kill(&broker);
    assert_true(runs); /* it has not refused the database */
}

static fabric_error_t send_again(testbed_t *bed, uint64_t id)
{
    fabric_client_t *client = NULL;
    probe_number_t request = {id};
    fabric_client_options_t options = {.name = "late",
                                       .client_number = CLIENT,
                                       .first_sequence = LATER,
                                       .connect_timeout_ms = WAIT_MAX_MS};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, ENTITY),
                          .message = &probe_append,
                          .request = &request,
                          .key = {CLIENT, id},
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, NULL), FABRIC_OK);
    fabric_error_t error = fabric_client_call(client, &call, NULL, NULL, NULL, NULL);
    fabric_client_close(&client);
    return error;
}

/* What was pending ran once, in order, and nothing else ran. */
static void check_starts(testbed_t *bed)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t next = 0;
    for (uint64_t id = FIRST_ID; id <= LAST_ID; id++) {
        if (is_pending(id)) {
            assert_true(next < starts.count);
            assert_int_equal(starts.items[next].number, id);
            next++;
        }
    }
    assert_int_equal(starts.count, next);
    probe_starts_free(&starts);
}

static void a_database_of_version_2_is_served(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    testbed_stop_processes(bed);
    fabric_client_close(&bed->client);
    make_old(bed);
    int unfinished = 0;
    for (int i = 1; i <= KILLS; i++) {
        start_and_kill(bed, i * KILL_STEP_MS);
        unfinished += testbed_query_number(bed, "SELECT MAX(version) FROM schema_version") == 2;
    }
    print_message("%d of %d kills were before the end of the migration\n", unfinished, KILLS);
    bed->options.broker_arguments = broker_arguments;
    testbed_restart(bed, 1);
    testbed_wait_drained(bed);
    assert_int_equal(send_again(bed, ENDED_ID), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(send_again(bed, PENDING_ID), FABRIC_OK); /* it was pending */
    testbed_wait_drained(bed);
    check_starts(bed);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), DEAD_COUNT);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_database_of_version_2_is_served", a_database_of_version_2_is_served, TESTBED_BOTH},
    };
    return testbed_run("migration", tests, sizeof tests / sizeof tests[0]);
}
