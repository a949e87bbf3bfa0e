/* A cluster for one integration test: see testbed.h. */
#include "tests/harness/testbed_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <mysql.h>
#include <sqlite3.h>

#include "core/random.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/document.h"
#include "core/log.h"
#include "mysql/mysql_store.h"
#include "mysql/mysql_url.h"
#include "sqlite/sqlite_store.h"
#include "tests/harness/mariadb.h"

enum {
    POLL_MS = 5,
    QUERY_MS = 10000,
    READY_MS = 60000,
    STOP_MS = 20000,
    FREEZE_MS = 20000,
    WAIT_MS = 90000
};

static const store_driver_t *const drivers[] = {&sqlite_store_driver, &mysql_store_driver, NULL};

/* ---- one test ---- */

int testbed_set_up(void **state, testbed_store_t store)
{
    reason_t reason = {{0}};
    testbed_t *bed = calloc(1, sizeof *bed);
    const char *name = *state;
    if (!bed || folder_make(&reason, bed->folder) != FABRIC_OK) {
        print_error("no folder: %s\n", reason.text);
        free(bed);
        return -1;
    }
    bed->name = name;
    bed->store = store == TESTBED_SQLITE ? "sqlite" : "mysql";
    bed->brokers = store == TESTBED_MYSQL_3 ? 3 : 1;
    for (uint32_t i = 0; i < CLUSTER_BROKERS_MAX; i++) {
        bed->cluster.brokers[i] = PROCESS_NONE;
    }
    bed->cluster.database.server = MARIADB_SERVER_NONE;
    setenv(PROBE_FOLDER, bed->folder, 1);
    *state = bed;
    if (store != TESTBED_SQLITE && !mariadb_fresh_database(bed->database)) {
        print_error("no database\n");
        return -1;
    }
    return 0;
}

int testbed_tear_down(void **state)
{
    testbed_t *bed = *state;
    if (bed->at_end) {
        bed->at_end(bed->at_end_context);
    }
    while (bed->locks) {
        testbed_lock_t *lock = bed->locks;
        testbed_unlock(&lock);
    }
    fabric_client_close(&bed->client);
    /* A handler that waits for a gate may wait for ever, and a frozen broker hears of no stop. */
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        if (process_runs(&bed->cluster.workers[i])) {
            kill(-bed->cluster.workers[i].pid, SIGKILL);
        }
    }
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        if (process_runs(&bed->cluster.brokers[i]) &&
            process_is_stopped(&bed->cluster.brokers[i])) {
            process_kill(&bed->cluster.brokers[i]);
        }
    }
    cluster_stop(&bed->cluster);
    if (bed->database[0]) {
        mariadb_revive();
        mariadb_drop_database(bed->database);
    }
    folder_remove(bed->folder);
    free(bed);
    return 0;
}

/* ---- the cluster ---- */

static void require(testbed_t *bed, fabric_error_t error, const reason_t *reason)
{
    if (error) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s: %s", fabric_error_name(error), reason->text);
    }
}

void testbed_connect(testbed_t *bed)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {.name = "test", .connect_timeout_ms = READY_MS};
    fabric_client_close(&bed->client);
    fabric_error_t error = fabric_client_open(bed->cluster.urls, &options, &bed->client, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", bed->cluster.urls, fabric_error_name(error), outcome.text);
    }
}

static void start_first(testbed_t *bed, uint32_t workers)
{
    reason_t reason = {{0}};
    char work_us[12];
    snprintf(work_us, sizeof work_us, "%u", bed->work_us);
    setenv(PROBE_WORK_US, work_us, 1);
    bed->options = (cluster_options_t){.store = bed->store,
                                       .workers = workers,
                                       .lanes = bed->lanes,
                                       .database = bed->database[0] ? bed->database : NULL,
                                       .broker_store = bed->broker_store,
                                       .module = "../tests/probe_module.so",
                                       .programs = bed->programs,
                                       .broker_arguments = bed->broker_arguments,
                                       .worker_arguments = bed->worker_arguments,
                                       .broker_environment = bed->broker_environment,
                                       .worker_environment = bed->worker_environment};
    require(bed, cluster_start(&bed->cluster, &bed->options, drivers, &reason), &reason);
    testbed_connect(bed);
    if (workers) {
        testbed_wait_ready(bed, workers);
    }
}

/* Workers that start when all brokers are there know them all. */
static void start_others(testbed_t *bed, uint32_t brokers)
{
    reason_t reason = {{0}};
    start_first(bed, 0);
    for (uint32_t i = 1; i < brokers; i++) {
        require(bed, cluster_add_broker(&bed->cluster, &reason), &reason);
    }
}

void testbed_start_brokers(testbed_t *bed, uint32_t brokers, uint32_t workers)
{
    start_others(bed, brokers);
    testbed_wait_spread(bed);
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    if (workers) {
        testbed_wait_ready(bed, workers);
    }
}

void testbed_start(testbed_t *bed, uint32_t workers)
{
    if (bed->brokers > 1) {
        testbed_start_brokers(bed, bed->brokers, workers);
    } else {
        start_first(bed, workers);
    }
}

void testbed_start_pair(testbed_t *bed, uint32_t workers)
{
    bed->lanes = 1; /* which placement leaves where it is */
    start_others(bed, 2);
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    testbed_wait_ready(bed, workers);
}

void testbed_restart_broker(testbed_t *bed)
{
    reason_t reason = {{0}};
    require(bed, cluster_restart_broker(&bed->cluster, &reason), &reason);
}

void testbed_restart_standby(testbed_t *bed)
{
    reason_t reason = {{0}};
    require(bed, cluster_restart_standby(&bed->cluster, &reason), &reason);
}

void testbed_restart_number(testbed_t *bed, uint32_t number)
{
    reason_t reason = {{0}};
    require(bed, cluster_restart_number(&bed->cluster, number, &reason), &reason);
}

void testbed_add_broker(testbed_t *bed)
{
    reason_t reason = {{0}};
    require(bed, cluster_add_broker(&bed->cluster, &reason), &reason);
}

void testbed_add_worker(testbed_t *bed)
{
    reason_t reason = {{0}};
    require(bed, cluster_add_worker(&bed->cluster, &reason), &reason);
}

void testbed_restart_worker(testbed_t *bed, uint32_t number)
{
    reason_t reason = {{0}};
    require(bed, cluster_restart_worker(&bed->cluster, number, &reason), &reason);
}

void testbed_restart(testbed_t *bed, uint32_t workers)
{
    testbed_restart_broker(bed);
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    testbed_wait_ready(bed, workers);
}

void testbed_kill(process_t *process)
{
    uint64_t deadline_ms = clock_monotonic_ms() + STOP_MS;
    assert_true(process->pid > 0);
    assert_int_equal(kill(process->pid, SIGKILL), 0);
    while (process_runs(process)) {
        testbed_poll(deadline_ms, "the end of a killed process");
    }
}

void testbed_kill_child(const process_t *process)
{
    uint64_t deadline_ms = clock_monotonic_ms() + STOP_MS;
    pid_t child = process_child(process);
    while (child == process->pid) { /* the supervisor has yet to start it */
        testbed_poll(deadline_ms, "a child to kill");
        child = process_child(process);
    }
    assert_true(child > 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (process_child(process) == child) {
        testbed_poll(deadline_ms, "the end of a killed child");
    }
}

void testbed_freeze(const process_t *process)
{
    assert_true(process->pid > 0);
    uint64_t deadline_ms = clock_monotonic_ms() + FREEZE_MS;
    assert_int_equal(kill(-process->pid, SIGSTOP), 0);
    while (!process_is_stopped(process)) {
        testbed_poll(deadline_ms, "a process to be stopped");
    }
}

void testbed_thaw(const process_t *process)
{
    assert_true(process->pid > 0);
    assert_int_equal(kill(-process->pid, SIGCONT), 0);
}

void testbed_stop_processes(testbed_t *bed)
{
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        process_stop(&bed->cluster.workers[i], STOP_MS);
    }
    for (uint32_t i = bed->cluster.broker_count; i > 0; i--) {
        process_stop(&bed->cluster.brokers[i - 1], STOP_MS);
    }
}

json_t *testbed_status(fabric_client_t *client)
{
    uint8_t *document = NULL;
    size_t size = 0;
    char *text = NULL;
    fabric_outcome_t outcome = {0};
    fabric_error_t error = fabric_client_query(client, "status", fabric_bytes(NULL, 0), QUERY_MS,
                                               &document, &size, &outcome);
    if (error) {
        fail_msg("status: %s: %s", fabric_error_name(error), outcome.text);
    }
    assert_int_equal(document_to_json(fabric_bytes(document, size), &text), FABRIC_OK);
    json_t *status = json_loads(text, 0, NULL);
    free(document);
    free(text);
    assert_non_null(status);
    return status;
}

uint64_t testbed_counter(fabric_client_t *client, const char *name)
{
    json_t *status = testbed_status(client);
    const json_t *value = json_object_get(json_object_get(status, "counters"), name);
    assert_true(json_is_integer(value));
    uint64_t number = (uint64_t)json_integer_value(value);
    json_decref(status);
    return number;
}

const char *testbed_owner(const json_t *shard, const char *type)
{
    return json_string_value(json_object_get(json_object_get(shard, "owners"), type));
}

typedef struct held {
    int64_t lanes;
    char *incarnation;
} held_t;

static void take_held(void *context, const fabric_bytes_t *columns)
{
    held_t *held = context;
    snprintf(held->incarnation, 33, "%.*s", (int)columns[0].size, (const char *)columns[0].data);
    held->lanes = strtoll((const char *)columns[1].data, NULL, 10);
}

int64_t testbed_lanes_held(testbed_t *bed, const char *endpoint, char incarnation[33])
{
    char sql[600];
    held_t held = {-1, incarnation};
    incarnation[0] = '\0';
    snprintf(sql, sizeof sql,
             "SELECT LOWER(HEX(b.incarnation)), COUNT(l.lane) FROM broker b LEFT JOIN lane l ON "
             "l.holder = b.incarnation WHERE b.router_endpoint = '%s' AND b.incarnation <> "
             "REPEAT(X'00', 16) GROUP BY b.incarnation ORDER BY b.incarnation",
             endpoint);
    testbed_query_rows(bed, sql, take_held, &held);
    return held.lanes;
}

unsigned testbed_count_events(testbed_t *bed, const char *log, const char *code)
{
    char path[FOLDER_PATH_SIZE + 80];
    char line[LOG_LINE_BYTES_MAX + 1];
    char wanted[80];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/%s", bed->cluster.folder, log);
    snprintf(wanted, sizeof wanted, " %s ", code);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        count += strstr(line, wanted) != NULL;
    }
    fclose(file);
    return count;
}

uint32_t testbed_repeat(uint32_t usual)
{
    const char *text = getenv("FABRIC_FAULT_REPEAT");
    long count = text ? strtol(text, NULL, 10) : 0;
    return count > 0 && count < 100000 ? (uint32_t)count : usual;
}

uint64_t testbed_seed(void)
{
    const char *text = getenv("FABRIC_FAULT_SEED");
    uint32_t drawn = 0;
    random_bytes(&drawn, sizeof drawn);
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1 + (uint64_t)drawn;
    print_message("seed: FABRIC_FAULT_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

void testbed_open_gate(testbed_t *bed, const char *name)
{
    char path[FOLDER_PATH_SIZE + 80];
    snprintf(path, sizeof path, "%s/%s", bed->folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
}

void testbed_poll(uint64_t deadline_ms, const char *missing)
{
    if (stop_requested() || clock_monotonic_ms() >= deadline_ms) {
        fail_msg("waited in vain for %s", missing);
    }
    poll(NULL, 0, POLL_MS);
}

void testbed_wait_until(testbed_t *bed, bool (*done)(void *context), void *context,
                        const char *missing)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (!done(context)) {
        if (clock_monotonic_ms() >= deadline_ms) {
            cluster_print_logs(&bed->cluster, stderr);
        }
        testbed_poll(deadline_ms, missing);
    }
}

void testbed_pause(uint32_t ms)
{
    uint64_t until_ms = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < until_ms) {
        testbed_poll(UINT64_MAX, "the end of a pause");
    }
}

/* ---- the database ---- */

typedef void row_fn(void *context, const fabric_bytes_t *columns);

enum { COLUMNS_MAX = 16 };

static bool query_sqlite(const char *path, const char *sql, row_fn *row, void *context)
{
    fabric_bytes_t columns[COLUMNS_MAX];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR;
    if (sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK) {
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            for (int i = 0; i < sqlite3_column_count(statement) && i < COLUMNS_MAX; i++) {
                const void *data = sqlite3_column_blob(statement, i);
                columns[i] = fabric_bytes(data, (size_t)sqlite3_column_bytes(statement, i));
            }
            row(context, columns);
        }
    }
    if (step != SQLITE_DONE) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return step == SQLITE_DONE;
}

static MYSQL *connect_mysql(const char *text)
{
    mysql_url_t url;
    MYSQL *connection = mysql_init(NULL);
    assert_int_equal(mysql_url_parse(text, NULL, &url), FABRIC_OK);
    assert_non_null(connection);
    bool local = url.socket[0] != '\0';
    if (!mysql_real_connect(connection, local ? "localhost" : url.host, url.user, NULL,
                            url.database, url.port, local ? url.socket : NULL, 0)) {
        print_error("%s: %s\n", text, mysql_error(connection));
    }
    return connection;
}

static bool query_mysql(const char *text, const char *sql, row_fn *row, void *context)
{
    fabric_bytes_t columns[COLUMNS_MAX];
    MYSQL_ROW found;
    MYSQL *connection = connect_mysql(text);
    MYSQL_RES *result = mysql_query(connection, sql) == 0 ? mysql_store_result(connection) : NULL;
    while (result && (found = mysql_fetch_row(result))) {
        const unsigned long *sizes = mysql_fetch_lengths(result);
        for (unsigned i = 0; i < mysql_num_fields(result) && i < COLUMNS_MAX; i++) {
            columns[i] = fabric_bytes(found[i], found[i] ? sizes[i] : 0);
        }
        row(context, columns);
    }
    if (!result) {
        print_error("%s: %s\n", sql, mysql_error(connection));
    }
    mysql_free_result(result);
    mysql_close(connection);
    return result != NULL;
}

void testbed_query_rows(testbed_t *bed, const char *sql, row_fn *row, void *context)
{
    const char *url = bed->cluster.database.url;
    assert_true(bed->database[0] ? query_mysql(url, sql, row, context)
                                 : query_sqlite(url + strlen("sqlite:"), sql, row, context));
}

static void take_number(void *context, const fabric_bytes_t *columns)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)columns[0].size, (const char *)columns[0].data);
    *(int64_t *)context = columns[0].size > 0 ? strtoll(text, NULL, 10) : -1;
}

int64_t testbed_query_number(testbed_t *bed, const char *sql)
{
    int64_t number = -1;
    testbed_query_rows(bed, sql, take_number, &number);
    assert_true(number >= 0);
    return number;
}

static bool execute_sqlite(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    bool done = sqlite3_open(path, &database) == SQLITE_OK &&
                sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK;
    if (!done) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(database));
    }
    sqlite3_close(database);
    return done;
}

static bool execute_mysql(const char *url, const char *sql)
{
    MYSQL *connection = connect_mysql(url);
    bool done = mysql_query(connection, sql) == 0;
    if (!done) {
        print_error("%s: %s\n", sql, mysql_error(connection));
    }
    mysql_close(connection);
    return done;
}

void testbed_execute(testbed_t *bed, const char *sql)
{
    const char *url = bed->cluster.database.url;
    assert_true(bed->database[0] ? execute_mysql(url, sql)
                                 : execute_sqlite(url + strlen("sqlite:"), sql));
}

struct testbed_lock {
    testbed_t *bed;
    testbed_lock_t *next; /* of the same test */
    MYSQL *connection;
};

testbed_lock_t *testbed_lock(testbed_t *bed, const char *sql)
{
    testbed_lock_t *lock = calloc(1, sizeof *lock);
    assert_non_null(lock);
    *lock = (testbed_lock_t){bed, bed->locks, connect_mysql(bed->cluster.database.url)};
    bed->locks = lock;
    bool locked = mysql_query(lock->connection, "START TRANSACTION") == 0 &&
                  mysql_query(lock->connection, sql) == 0;
    mysql_free_result(locked ? mysql_store_result(lock->connection) : NULL);
    if (!locked) {
        print_error("%s: %s\n", sql, mysql_error(lock->connection));
    }
    assert_true(locked && mysql_errno(lock->connection) == 0);
    return lock;
}

void testbed_unlock(testbed_lock_t **lock)
{
    testbed_lock_t **at = &(*lock)->bed->locks;
    while (*at != *lock) {
        at = &(*at)->next;
    }
    *at = (*lock)->next;
    mysql_close((*lock)->connection); /* which rolls back */
    free(*lock);
    *lock = NULL;
}

enum { BREAKS_MAX = 10 };

typedef struct statements {
    const char *database;
    char text[1000];
    size_t size;
} statements_t;

#define PROCESS_LIST                                                                               \
    "SHOW PROCESSLIST" /* MySQL's table cannot tell statements with binary values */

/* Id, User, Host, db, Command, Time, State, Info */
static void add_kill(void *context, const fabric_bytes_t *columns)
{
    statements_t *kills = context;
    if (!fabric_bytes_equal(columns[3], fabric_bytes_of(kills->database)) ||
        fabric_bytes_equal(columns[7], fabric_bytes_of(PROCESS_LIST))) {
        return; /* another database's connection, or the one that asks */
    }
    int size = snprintf(kills->text + kills->size, sizeof kills->text - kills->size, "KILL %.*s;",
                        (int)columns[0].size, (const char *)columns[0].data);
    kills->size += (size_t)size;
    assert_true(kills->size < sizeof kills->text);
}

void testbed_break_connections(testbed_t *bed)
{
    mysql_url_t url;
    assert_int_equal(mysql_url_parse(bed->cluster.database.url, NULL, &url), FABRIC_OK);
    statements_t kills = {.database = url.database};
    testbed_query_rows(bed, PROCESS_LIST, add_kill, &kills);
    assert_true(kills.size > 0);
    /* One that has ended since it was listed ends the statements: those behind it are listed
     * anew. */
    for (unsigned i = 1; kills.size > 0 && !mariadb_execute(bed->database, kills.text); i++) {
        assert_true(i < BREAKS_MAX);
        kills = (statements_t){.database = url.database};
        testbed_query_rows(bed, PROCESS_LIST, add_kill, &kills);
    }
}

typedef struct connections {
    const char *database;
    unsigned count;
} connections_t;

static void count_connection(void *context, const fabric_bytes_t *columns)
{
    connections_t *connections = context;
    connections->count +=
        fabric_bytes_equal(columns[3], fabric_bytes_of(connections->database)) ? 1 : 0;
}

static bool is_alone(void *context)
{
    testbed_t *bed = context;
    mysql_url_t url;
    assert_int_equal(mysql_url_parse(bed->cluster.database.url, NULL, &url), FABRIC_OK);
    connections_t connections = {.database = url.database};
    testbed_query_rows(bed, PROCESS_LIST, count_connection, &connections);
    return connections.count == 1; /* the one that asks */
}

void testbed_wait_disconnected(testbed_t *bed)
{
    if (bed->database[0]) {
        testbed_wait_until(bed, is_alone, bed, "the end of all connections to the database");
    }
}
