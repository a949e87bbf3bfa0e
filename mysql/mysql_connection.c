/* Opens, replaces and closes connections, and ends transactions. */
#include "mysql/mysql_connection.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "mysql/mysql_operations.h"
#include "mysql/mysql_store.h"

/* How long the server keeps the locks of a client that froze inside a transaction. MariaDB limits
 * exactly that; MySQL only knows a limit for idleness of any kind, so that its connections are to
 * be replaced after a short idle time. */
#define FROZEN_TRANSACTION_S 2
#define MARIADB_WAIT_S       120
#define MARIADB_IDLE_MS      60000u
#define MYSQL_IDLE_MS        1000u
#define LOCK_WAIT_S          1

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    /* By hand, because mysql_init would do it, but not safely in several threads at once. */
    if (mysql_library_init(0, NULL, NULL)) {
        abort();
    }
}

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
    mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
    /* Everything stored is bytes: no conversion anywhere. Reconnecting by itself, which would lose
     * the session's settings, is off in the libraries unless asked for. */
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "binary");
    return handle;
}

static fabric_error_t read_server_facts(mysql_store_t *store)
{
    mysql_session_t *session = &store->session;
    fabric_error_t error =
        mysql_session_execute(session, "SELECT VERSION(), @@session.max_allowed_packet");
    if (error) {
        return error;
    }
    MYSQL_RES *result = mysql_store_result(session->handle);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    if (row && row[0] && row[1]) {
        store->is_mariadb = strstr(row[0], "MariaDB") != NULL;
        store->packet_bytes_max = strtoul(row[1], NULL, 10);
    } else {
        error = FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    if (result) {
        mysql_free_result(result);
    }
    return error;
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
             "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
             " time_zone = '+00:00', innodb_lock_wait_timeout = %d, autocommit = 0",
             LOCK_WAIT_S);
    fabric_error_t error = mysql_session_execute(
        &store->session, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    error = error ? error : mysql_session_execute(&store->session, limits);
    return error ? error : mysql_session_execute(&store->session, modes);
}

/* Connects and sets the session up; on an error the session is closed. */
static fabric_error_t connect_session(mysql_store_t *store, reason_t *reason)
{
    const mysql_url_t *url = &store->url;
    bool local = url->socket[0] != 0;
    MYSQL *handle = handle_new(store);
    mysql_session_init(&store->session, &store->base, handle);
    fabric_error_t error = FABRIC_OK;
    if (!mysql_real_connect(handle, local ? NULL : url->host, url->user, store->password,
                            url->database, local ? 0 : url->port, local ? url->socket : NULL,
                            CLIENT_FOUND_ROWS)) {
        (void)mysql_session_failure(&store->session);
        error = FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    error = error ? error : read_server_facts(store);
    error = error ? error : apply_settings(store);
    if (error) {
        error = reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                           "store: cannot use database '%s' on %s as user '%s': %.200s (%u)",
                           url->database, local ? url->socket : url->host, url->user,
                           mysql_error(handle), mysql_errno(handle));
        store->session.lost = true;
        mysql_session_close(&store->session);
    }
    store->used_ms = clock_monotonic_ms();
    return error;
}

fabric_error_t mysql_store_open(const store_options_t *options, reason_t *reason, store_t **store)
{
    mysql_url_t url;
    fabric_error_t error = mysql_url_parse(options->url, reason, &url);
    if (error) {
        return error;
    }
    pthread_once(&library_once, library_init);
    mysql_store_t *made = calloc(1, sizeof *made);
    if (!made) {
        abort();
    }
    made->base.driver = &mysql_store_driver;
    made->url = url;
    made->password = options->password ? strdup(options->password) : NULL;
    made->connect_timeout_ms = options->connect_timeout_ms;
    made->io_timeout_ms = options->io_timeout_ms;
    error = connect_session(made, reason);
    store_t *opened = &made->base;
    if (error) {
        mysql_store_close(&opened);
        return error;
    }
    *store = opened;
    return FABRIC_OK;
}

void mysql_store_close(store_t **store)
{
    mysql_store_t *closing = *store ? mysql_store_of(*store) : NULL;
    *store = NULL;
    if (closing) {
        mysql_session_close(&closing->session);
        if (closing->password) {
            explicit_bzero(closing->password, strlen(closing->password));
        }
        free(closing->password);
        free(closing);
    }
}

fabric_error_t mysql_begin(mysql_store_t *store)
{
    if (store->session.lost) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t idle_ms = now_ms - store->used_ms;
    store->used_ms = now_ms;
    if (idle_ms < (store->is_mariadb ? MARIADB_IDLE_MS : MYSQL_IDLE_MS)) {
        return FABRIC_OK;
    }
    /* No transaction is open here, so that a new connection is as good as the old one; only the
     * prepared statements have to be made again, which is why the old one is tried first. */
    if (mysql_ping(store->session.handle) == 0) {
        return FABRIC_OK;
    }
    (void)mysql_session_failure(&store->session);
    store->session.lost = true;
    mysql_session_close(&store->session);
    return connect_session(store, NULL);
}

fabric_error_t mysql_end_read(mysql_store_t *store, fabric_error_t error)
{
    if (!store->session.lost && mysql_rollback(store->session.handle)) {
        store->session.lost = true; /* the words of what failed before stay */
    }
    store->used_ms = clock_monotonic_ms();
    return error;
}

fabric_error_t mysql_end(mysql_store_t *store, fabric_error_t error)
{
    error = error ? error : mysql_session_commit(&store->session);
    if (error) {
        return mysql_end_read(store, error);
    }
    store->used_ms = clock_monotonic_ms();
    return FABRIC_OK;
}
