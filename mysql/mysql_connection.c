/* Opens, replaces and closes connections, and begins and ends transactions. */
#include "mysql/mysql_connection.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/memory.h"
#include "mysql/mysql_statement.h"
#include "mysql/mysql_store.h"

/* How long the server keeps the locks of a client that froze inside a transaction. MariaDB limits
 * exactly that; MySQL only knows a limit for idleness of any kind, so that its connections are to
 * be replaced after a short idle time. */
#define FROZEN_TRANSACTION_S 2
#define MARIADB_WAIT_S       120
#define MARIADB_IDLE_MS      60000u
#define MYSQL_IDLE_MS        1000u
/* For rows, and for tables that somebody alters. */
#define LOCK_WAIT_S 1
/* Of the client library, for what it receives: a row holds two bodies of 4 MiB at most. */
#define PACKET_BYTES_MAX (64ul << 20)

#define SQL_MODE  "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
#define ISOLATION "READ-COMMITTED"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    /* By hand, because mysql_init would do it, but not safely in several threads at once. */
    if (mysql_library_init(0, NULL, NULL)) {
        abort();
    }
}

/* ---- texts ---- */

fabric_error_t mysql_note_failure(mysql_store_t *store, mysql_verdict_t verdict, unsigned number,
                                  const char *words)
{
    store->session.lost = store->session.lost || verdict.connection_lost;
    store_note_error(&store->sql.base, number, words);
    return verdict.error;
}

static fabric_error_t failure(mysql_store_t *store)
{
    unsigned number = mysql_errno(store->session.handle);
    return mysql_note_failure(store, mysql_error_of_statement(number), number,
                              mysql_error(store->session.handle));
}

fabric_error_t mysql_execute(sql_store_t *base, const char *text)
{
    mysql_store_t *store = mysql_store_of(base);
    return mysql_real_query(store->session.handle, text, strlen(text)) ? failure(store) : FABRIC_OK;
}

fabric_error_t mysql_query_text(mysql_store_t *store, const char *text, mysql_visit_row_fn *visit,
                                void *context)
{
    fabric_error_t error = mysql_execute(&store->sql, text);
    if (error) {
        return error;
    }
    MYSQL_RES *result = mysql_store_result(store->session.handle);
    if (!result) {
        return failure(store);
    }
    for (MYSQL_ROW row = mysql_fetch_row(result); row; row = mysql_fetch_row(result)) {
        visit(context, row);
    }
    mysql_free_result(result);
    return FABRIC_OK;
}

const char *mysql_name(const sql_store_t *store)
{
    return ((const mysql_store_t *)store)->name;
}

/* ---- connecting ---- */

static unsigned whole_seconds(uint32_t ms)
{
    return ms / 1000 + (ms % 1000 != 0 || ms == 0);
}

static MYSQL *handle_new(const mysql_store_t *store)
{
    MYSQL *handle = mysql_init(NULL);
    if (!handle) {
        abort();
    }
    unsigned connect_s = whole_seconds(store->connect_timeout_ms);
    unsigned io_s = whole_seconds(store->io_timeout_ms);
    unsigned protocol = store->url.socket[0] ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned long packet_bytes_max = PACKET_BYTES_MAX;
    mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(handle, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_bytes_max);
    /* Everything stored is bytes: no conversion anywhere. Reconnecting by itself, which would lose
     * the session's settings, is off in the libraries unless asked for. */
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "binary");
    return handle;
}

static void note_product(void *context, char **row)
{
    *(bool *)context = row[0] && strstr(row[0], "MariaDB") != NULL;
}

static fabric_error_t apply_settings(mysql_store_t *store)
{
    char limits[200];
    snprintf(limits, sizeof limits,
             store->is_mariadb ? "SET SESSION wait_timeout = %d, idle_transaction_timeout = %d"
                               : "SET SESSION wait_timeout = %d, net_read_timeout = %d",
             store->is_mariadb ? MARIADB_WAIT_S : FROZEN_TRANSACTION_S, FROZEN_TRANSACTION_S);
    char modes[200];
    snprintf(modes, sizeof modes,
             "SET SESSION sql_mode = '" SQL_MODE "', time_zone = '+00:00', autocommit = 1,"
             " innodb_lock_wait_timeout = %d, lock_wait_timeout = %d",
             LOCK_WAIT_S, LOCK_WAIT_S);
    fabric_error_t error =
        mysql_execute(&store->sql, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    error = error ? error : mysql_execute(&store->sql, limits);
    return error ? error : mysql_execute(&store->sql, modes);
}

/* Counts the settings that have the values on which the operations rest. */
static void count_settings(void *context, char **row)
{
    static const char *const settings[][2] = {
        {"autocommit", "ON"},
        {"sql_mode", SQL_MODE},
        {"transaction_isolation", ISOLATION},
        {"tx_isolation", ISOLATION}, /* its name on older servers */
    };
    for (size_t i = 0; row[0] && row[1] && i < sizeof settings / sizeof settings[0]; i++) {
        bool is_name = strcmp(row[0], settings[i][0]) == 0;
        *(int *)context += is_name && strcmp(row[1], settings[i][1]) == 0 ? 1 : is_name ? -10 : 0;
    }
}

/* What lies between us and the server may swallow settings, so their values are read back. */
static fabric_error_t verify_settings(mysql_store_t *store)
{
    int count = 0;
    fabric_error_t error =
        mysql_query_text(store,
                         "SHOW SESSION VARIABLES WHERE Variable_name IN"
                         " ('autocommit', 'sql_mode', 'transaction_isolation', 'tx_isolation')",
                         count_settings, &count);
    return !error && count < 3 ? FABRIC_ERROR_STORE_UNSAFE : error;
}

static void close_session(mysql_session_t *session)
{
    if (session->handle) {
        /* Before its statements: they are detached by it, and are then freed without traffic. Its
         * goodbye is a few bytes, for which nobody waits: the library itself has closed a socket
         * that took no more. So the handle's number of the socket may be another one's by now. */
        mysql_close(session->handle);
    }
    mysql_statements_free(session);
    *session = (mysql_session_t){.lost = true};
}

/* Connects and sets the session up; on an error the session is closed. */
static fabric_error_t connect_session(mysql_store_t *store, reason_t *reason)
{
    const mysql_url_t *url = &store->url;
    bool local = url->socket[0] != 0;
    MYSQL *handle = handle_new(store);
    store->session = (mysql_session_t){.handle = handle};
    fabric_error_t error = FABRIC_OK;
    if (!mysql_real_connect(handle, local ? NULL : url->host, url->user, store->password,
                            url->database, local ? 0 : url->port, local ? url->socket : NULL,
                            CLIENT_FOUND_ROWS)) {
        error = failure(store);
    }
    error = error ? error
                  : mysql_query_text(store, "SELECT VERSION()", note_product, &store->is_mariadb);
    error = error ? error : apply_settings(store);
    error = error ? error : verify_settings(store);
    if (error) {
        bool is_unsafe = error == FABRIC_ERROR_STORE_UNSAFE;
        error = reason_set(reason, is_unsafe ? error : FABRIC_ERROR_STORE_UNAVAILABLE,
                           "store: cannot use %s on %s as user '%s': %.200s", store->name,
                           local ? url->socket : url->host, url->user,
                           is_unsafe ? "the session does not keep autocommit=1, sql_mode=" SQL_MODE
                                       " and isolation " ISOLATION
                                     : store->sql.base.last_error.text);
        store->session.lost = true;
        close_session(&store->session);
    }
    store->used_ms = clock_monotonic_ms();
    return error;
}

fabric_error_t mysql_open(const store_options_t *options, reason_t *reason, store_t **store)
{
    mysql_url_t url;
    fabric_error_t error = mysql_url_parse(options->url, reason, &url);
    if (error) {
        return error;
    }
    pthread_once(&library_once, library_init);
    mysql_store_t *made = memory_allocate_zeroed(1, sizeof *made);
    sql_store_init(&made->sql, &mysql_store_driver, &mysql_engine);
    made->binds = memory_allocate_zeroed(SQL_PARAMETERS_MAX, sizeof *made->binds);
    made->url = url;
    snprintf(made->name, sizeof made->name, "database '%s'", url.database);
    made->password = options->password ? memory_copy_string(options->password) : NULL;
    made->connect_timeout_ms = options->connect_timeout_ms;
    made->io_timeout_ms = options->io_timeout_ms;
    error = connect_session(made, reason);
    store_t *opened = &made->sql.base;
    if (error) {
        mysql_close_store(&opened);
        return error;
    }
    *store = opened;
    return FABRIC_OK;
}

void mysql_close_store(store_t **store)
{
    mysql_store_t *closing = *store ? mysql_store_of(sql_store_of(*store)) : NULL;
    *store = NULL;
    if (closing) {
        close_session(&closing->session);
        if (closing->password) {
            explicit_bzero(closing->password, strlen(closing->password));
        }
        free(closing->password);
        free(closing->binds);
        sql_store_release(&closing->sql);
        free(closing);
    }
}

/* ---- transactions ---- */

/* Replaces a connection that the server has dropped while it was idle. No transaction is open, so a
 * new one is as good; only the prepared statements have to be made again, so the old one is tried
 * first. */
static fabric_error_t check_connection(mysql_store_t *store)
{
    if (store->session.lost) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    uint64_t idle_ms = clock_monotonic_ms() - store->used_ms;
    if (idle_ms < (store->is_mariadb ? MARIADB_IDLE_MS : MYSQL_IDLE_MS) ||
        mysql_ping(store->session.handle) == 0) {
        return FABRIC_OK;
    }
    (void)failure(store);
    store->session.lost = true;
    close_session(&store->session);
    return connect_session(store, NULL) ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK;
}

fabric_error_t mysql_begin(sql_store_t *base, sql_transaction_t kind)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = check_connection(store);
    store->used_ms = clock_monotonic_ms();
    return error || kind != SQL_WRITE ? error : mysql_execute(base, "START TRANSACTION");
}

fabric_error_t mysql_commit_transaction(sql_store_t *base)
{
    mysql_store_t *store = mysql_store_of(base);
    store->used_ms = clock_monotonic_ms();
    if (base->transaction != SQL_WRITE || mysql_commit(store->session.handle) == 0) {
        return FABRIC_OK;
    }
    unsigned number = mysql_errno(store->session.handle);
    mysql_verdict_t verdict = mysql_error_of_commit(number, mysql_sqlstate(store->session.handle));
    fabric_error_t error =
        mysql_note_failure(store, verdict, number, mysql_error(store->session.handle));
    mysql_roll_back(base);
    return error;
}

void mysql_roll_back(sql_store_t *base)
{
    mysql_store_t *store = mysql_store_of(base);
    store->used_ms = clock_monotonic_ms();
    if (base->transaction == SQL_WRITE && !store->session.lost &&
        mysql_rollback(store->session.handle)) {
        store->session.lost = true; /* the words of what failed before stay */
    }
}

/* ---- transactions of handlers ---- */

fabric_error_t mysql_release(sql_store_t *base, bool *stands)
{
    static const char text[] = "RELEASE SAVEPOINT fabric_handler";
    enum { NO_SAVEPOINT = 1305, UNREAD_RESULT = 2014 };
    mysql_store_t *store = mysql_store_of(base);
    int failed = mysql_real_query(store->session.handle, text, sizeof text - 1);
    unsigned number = failed ? mysql_errno(store->session.handle) : 0;
    store->session.lost = store->session.lost || number == UNREAD_RESULT;
    *stands = !failed;
    return number == 0 || number == NO_SAVEPOINT || number == UNREAD_RESULT ? FABRIC_OK
                                                                            : failure(store);
}

void *mysql_handle(sql_store_t *base)
{
    return mysql_store_of(base)->session.handle;
}
