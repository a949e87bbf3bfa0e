/* Baseline: the lifecycles of messages as plain rows in MariaDB or MySQL, without Fabric.
 *
 * One lifecycle is a row for the message and a row for its reply. N messages are inserted in one
 * group commit, their N replies in the next; each commit begins with the update of a fence. The
 * inserts are prepared and have up to 64 rows each.
 *
 *     baseline-rows mysql|URL N SECONDS
 *
 * mysql: a private server with full durability, as fabric-bench --spawn mysql starts it. URL: a
 * server that runs already, such as mysql://root@localhost/any?socket=/path; its user must be
 * allowed to create databases. The program makes the database fabric_baseline and drops it at the
 * end.
 *
 * Threading: the main thread only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mysql.h>

#include "bench/histogram.h"
#include "core/clock.h"
#include "core/exit_codes.h"
#include "core/memory.h"
#include "mysql/mysql_url.h"
#include "tests/harness/mariadb_server.h"
#include "tests/harness/stop.h"

enum {
    STATEMENT_ROWS_MAX = 64,
    STATEMENT_SIZES = 7, /* 1, 2, 4 ... 64 rows */
    PAYLOAD_BYTES = 100,
    BATCH_MAX = 100000,
    SECONDS_MAX = 3600,
    START_MS = 60000
};

/* ---- statements ---- */

typedef struct column {
    const char *name;
    const char *type;
    const char *text; /* NULL: a number */
} column_t;

static char payload[PAYLOAD_BYTES + 1];

/* The first column is the request id. */
static const column_t message_columns[] = {
    {"request_id", "BIGINT PRIMARY KEY", NULL},
    {"shard", "INT NOT NULL", NULL},
    {"flags", "INT NOT NULL", NULL},
    {"entity_type", "VARBINARY(255) NOT NULL", "Order"},
    {"entity_id", "VARBINARY(255) NOT NULL", "order-1234"},
    {"tag", "VARBINARY(255) NOT NULL", "Order"},
    {"payload", "MEDIUMBLOB NOT NULL", payload},
    {"call_client", "BIGINT NOT NULL", NULL},
    {"call_sequence", "BIGINT NOT NULL", NULL},
};
static const column_t reply_columns[] = {
    {"request_id", "BIGINT PRIMARY KEY", NULL},
    {"shard", "INT NOT NULL", NULL},
    {"payload", "MEDIUMBLOB NOT NULL", payload},
};

enum {
    MESSAGE_COLUMNS = sizeof message_columns / sizeof message_columns[0],
    REPLY_COLUMNS = sizeof reply_columns / sizeof reply_columns[0],
};

typedef struct table {
    const char *name;
    const column_t *columns;
    size_t column_count;
    MYSQL_BIND binds[STATEMENT_ROWS_MAX * MESSAGE_COLUMNS]; /* of the largest statement */
    MYSQL_STMT *inserts[STATEMENT_SIZES];                   /* prepared at their first use */
} table_t;

typedef struct rows {
    MYSQL *connection;
    int64_t ids[STATEMENT_ROWS_MAX]; /* of the statement's rows */
    int64_t constant;                /* the value of every other number */
    table_t messages;
    table_t replies;
    uint64_t lifecycles;
    uint64_t elapsed_us;
    histogram_t pairs; /* microseconds of two commits: messages and their replies */
} rows_t;

static fabric_error_t refused(rows_t *rows, reason_t *reason, const char *what)
{
    return reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE, "%s: %s", what,
                      mysql_error(rows->connection));
}

static fabric_error_t execute(rows_t *rows, const char *text, reason_t *reason)
{
    return mysql_query(rows->connection, text) ? refused(rows, reason, text) : FABRIC_OK;
}

static void bind_table(rows_t *rows, table_t *table, const char *name, const column_t *columns,
                       size_t column_count)
{
    *table = (table_t){.name = name, .columns = columns, .column_count = column_count};
    for (size_t i = 0; i < STATEMENT_ROWS_MAX * column_count; i++) {
        const column_t *column = &columns[i % column_count];
        MYSQL_BIND *bind = &table->binds[i];
        bind->buffer_type = column->text ? MYSQL_TYPE_BLOB : MYSQL_TYPE_LONGLONG;
        bind->buffer = &rows->constant;
        if (column->text) {
            /* The library only reads through the pointer. */
            bind->buffer = (void *)(uintptr_t)column->text;
            bind->buffer_length = strlen(column->text);
        } else if (i % column_count == 0) {
            bind->buffer = &rows->ids[i / column_count];
        }
    }
}

static fabric_error_t create_table(rows_t *rows, const table_t *table, reason_t *reason)
{
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text, "CREATE TABLE %s (", table->name);
    for (size_t i = 0; i < table->column_count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s", i ? ", " : "",
                                 table->columns[i].name, table->columns[i].type);
    }
    snprintf(text + used, sizeof text - used, ") ENGINE=InnoDB");
    return execute(rows, text, reason);
}

static fabric_error_t prepare(rows_t *rows, table_t *table, size_t size, reason_t *reason)
{
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, "INSERT INTO %s VALUES ", table->name);
    for (size_t row = 0; row < (size_t)1 << size; row++) {
        used += (size_t)snprintf(text + used, sizeof text - used, row ? ",(?" : "(?");
        for (size_t i = 1; i < table->column_count; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, ",?");
        }
        used += (size_t)snprintf(text + used, sizeof text - used, ")");
    }
    MYSQL_STMT *insert = mysql_stmt_init(rows->connection);
    table->inserts[size] = insert;
    return !insert || mysql_stmt_prepare(insert, text, used) ||
                   mysql_stmt_bind_param(insert, table->binds)
               ? refused(rows, reason, "prepare")
               : FABRIC_OK;
}

/* ---- one run ---- */

/* Inserts a row for each of the ids first, first + 1, ... in the fewest statements. */
static fabric_error_t insert(rows_t *rows, table_t *table, int64_t first, size_t count,
                             reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    size_t size = STATEMENT_SIZES - 1;
    for (size_t done = 0; !error && done < count; done += (size_t)1 << size) {
        while ((size_t)1 << size > count - done) {
            size--;
        }
        for (size_t i = 0; i < (size_t)1 << size; i++) {
            rows->ids[i] = first + (int64_t)(done + i);
        }
        error = table->inserts[size] ? FABRIC_OK : prepare(rows, table, size, reason);
        if (!error && mysql_stmt_execute(table->inserts[size])) {
            error = refused(rows, reason, "insert");
        }
    }
    return error;
}

static fabric_error_t commit_batch(rows_t *rows, table_t *table, int64_t first, size_t count,
                                   reason_t *reason)
{
    fabric_error_t error =
        execute(rows, "UPDATE writer SET batch = batch + 1 WHERE id = 1", reason);
    error = error ? error : insert(rows, table, first, count, reason);
    return error ? error : execute(rows, "COMMIT", reason);
}

static fabric_error_t make_tables(rows_t *rows, reason_t *reason)
{
    static const char *const before[] = {
        "DROP DATABASE IF EXISTS fabric_baseline",
        "CREATE DATABASE fabric_baseline",
        "USE fabric_baseline",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "CREATE TABLE writer (id INT PRIMARY KEY, batch BIGINT NOT NULL) ENGINE=InnoDB",
        "INSERT INTO writer VALUES (1, 0)",
        "SET autocommit = 0",
    };
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < sizeof before / sizeof before[0]; i++) {
        error = execute(rows, before[i], reason);
    }
    memset(payload, 'x', PAYLOAD_BYTES);
    rows->constant = 7;
    bind_table(rows, &rows->messages, "mailbox", message_columns, MESSAGE_COLUMNS);
    bind_table(rows, &rows->replies, "reply", reply_columns, REPLY_COLUMNS);
    error = error ? error : create_table(rows, &rows->messages, reason);
    return error ? error : create_table(rows, &rows->replies, reason);
}

static fabric_error_t measure(rows_t *rows, size_t batch, uint64_t duration_us, reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    uint64_t begin_us = clock_monotonic_us();
    uint64_t now_us = begin_us;
    while (!error && now_us - begin_us < duration_us) {
        uint64_t before_us = now_us;
        int64_t first = (int64_t)rows->lifecycles + 1;
        error = commit_batch(rows, &rows->messages, first, batch, reason);
        error = error ? error : commit_batch(rows, &rows->replies, first, batch, reason);
        now_us = clock_monotonic_us();
        histogram_record(&rows->pairs, now_us - before_us);
        rows->lifecycles += batch;
        error = !error && stop_requested() ? FABRIC_ERROR_SHUTTING_DOWN : error;
    }
    rows->elapsed_us = now_us - begin_us;
    return error;
}

/* ---- processor time ---- */

static uint64_t cpu_us(clockid_t clock)
{
    struct timespec time = {0};
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* The clock of the processor time of all the server's threads; false where the server does not run
 * on this machine. */
static bool find_server_clock(rows_t *rows, clockid_t *clock)
{
    long pid = 0;
    if (mysql_query(rows->connection, "SELECT @@pid_file")) {
        return false;
    }
    MYSQL_RES *result = mysql_store_result(rows->connection);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    FILE *file = row && row[0] ? fopen(row[0], "r") : NULL;
    bool found =
        file && fscanf(file, "%ld", &pid) == 1 && clock_getcpuclockid((pid_t)pid, clock) == 0;
    if (file) {
        fclose(file);
    }
    mysql_free_result(result);
    return found;
}

static void print_report(const rows_t *rows, size_t batch, uint64_t caller_us, bool server_known,
                         uint64_t server_us)
{
    double lifecycles = (double)rows->lifecycles;
    printf("rows n=%zu lifecycles/s=%.0f p50us_pair=%" PRIu64 " caller_us_each=%.2f", batch,
           lifecycles * 1e6 / (double)rows->elapsed_us, histogram_percentile(&rows->pairs, 0.5),
           (double)caller_us / lifecycles);
    if (server_known) {
        printf(" server_us_each=%.2f", (double)server_us / lifecycles);
    }
    printf("\n");
}

/* ---- the whole ---- */

static fabric_error_t start_server(mariadb_server_t *server, char folder[FOLDER_PATH_SIZE],
                                   reason_t *reason)
{
    fabric_error_t error = folder_make(reason, folder);
    server->roomy = true;
    error = error ? error : mariadb_server_install(server, folder, false, reason);
    if (!error && !(mariadb_server_run(server) && mariadb_server_answers(server, START_MS))) {
        error = reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                           "the database server does not start: see its log");
        folder_print_end(folder, "database.log", stderr);
    }
    return error;
}

static fabric_error_t connect_to(rows_t *rows, const char *text, reason_t *reason)
{
    mysql_url_t url;
    fabric_error_t error = mysql_url_parse(text, reason, &url);
    if (error) {
        return error;
    }
    rows->connection = mysql_init(NULL);
    const char *socket = url.socket[0] ? url.socket : NULL;
    return mysql_real_connect(rows->connection, socket ? NULL : url.host, url.user, NULL, NULL,
                              socket ? 0 : url.port, socket, 0)
               ? FABRIC_OK
               : refused(rows, reason, "connect");
}

static void disconnect(rows_t *rows)
{
    if (!rows->connection) {
        return;
    }
    for (size_t size = 0; size < STATEMENT_SIZES; size++) {
        if (rows->messages.inserts[size]) {
            mysql_stmt_close(rows->messages.inserts[size]);
        }
        if (rows->replies.inserts[size]) {
            mysql_stmt_close(rows->replies.inserts[size]);
        }
    }
    (void)mysql_query(rows->connection, "DROP DATABASE IF EXISTS fabric_baseline");
    mysql_close(rows->connection);
}

static fabric_error_t run(const char *url, size_t batch, uint64_t duration_us, reason_t *reason)
{
    rows_t *rows = memory_allocate_zeroed(1, sizeof *rows);
    clockid_t server_clock = CLOCK_MONOTONIC;
    fabric_error_t error = connect_to(rows, url, reason);
    error = error ? error : make_tables(rows, reason);
    bool server_known = !error && find_server_clock(rows, &server_clock);
    uint64_t caller_us = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t server_us = cpu_us(server_clock);
    error = error ? error : measure(rows, batch, duration_us, reason);
    caller_us = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - caller_us;
    server_us = cpu_us(server_clock) - server_us;
    if (!error) {
        print_report(rows, batch, caller_us, server_known, server_us);
    }
    disconnect(rows);
    free(rows);
    return error;
}

int main(int argc, char **argv)
{
    char folder[FOLDER_PATH_SIZE] = "";
    mariadb_server_t server = MARIADB_SERVER_NONE;
    reason_t reason = {{0}};
    unsigned long batch = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned long seconds = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (batch < 1 || batch > BATCH_MAX || seconds < 1 || seconds > SECONDS_MAX) {
        fputs("usage: baseline-rows mysql|URL N SECONDS\n", stderr);
        return EXIT_USAGE;
    }
    stop_install();
    bool spawn = strcmp(argv[1], "mysql") == 0;
    fabric_error_t error = spawn ? start_server(&server, folder, &reason) : FABRIC_OK;
    error = error ? error : run(spawn ? server.url : argv[1], batch, seconds * 1000000, &reason);
    mariadb_server_destroy(&server);
    folder_remove(folder);
    stop_die();
    if (error) {
        fprintf(stderr, "baseline-rows: %s\n",
                reason.text[0] ? reason.text : fabric_error_meaning(error));
        return EXIT_UNAVAILABLE;
    }
    return EXIT_SUCCESS;
}
