/* A private database: see database.h. */
#include "tests/harness/database.h"

#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/stop.h"
#include "core/clock.h"

enum {
    INSTALL_MS = 120000,
    START_MS = 60000,
    STOP_MS = 30000,
    POLL_MS = 50,
    SHARDS_PER_GROUP = 300, /* a broker's default */
};

#define CLUSTER_NAME  "fabric"
#define ARGUMENT_SIZE (FOLDER_PATH_SIZE + 64)
#define NEEDS         "MariaDB's server: packages mariadb-server-core and mariadb-client-core"

static fabric_error_t open_store(const char *url, const char *password,
                                 const store_driver_t *const *drivers, reason_t *reason,
                                 store_t **store)
{
    store_options_t options = {
        .url = url, .password = password, .connect_timeout_ms = 5000, .io_timeout_ms = 10000};
    return store_open(drivers, &options, reason, store);
}

/* ---- the MariaDB server ---- */

static const char *user_name(void)
{
    const struct passwd *user = getpwuid(geteuid());
    return user ? user->pw_name : "root";
}

static fabric_error_t write_start_script(const char *folder, reason_t *reason)
{
    char path[ARGUMENT_SIZE];
    snprintf(path, sizeof path, "%s/start.sql", folder);
    FILE *file = fopen(path, "w");
    bool written = file && fputs("CREATE DATABASE IF NOT EXISTS fabric;\n", file) >= 0;
    written = file && fclose(file) == 0 && written;
    return written ? FABRIC_OK
                   : reason_set(reason, FABRIC_ERROR_INTERNAL, "%s cannot be written", path);
}

/* Makes the server's system tables. Its temporary tables are in a folder of its own, here and
 * later: a server that starts removes those of all others from one that it shares with them. */
static fabric_error_t install_server(database_t *database, const char *folder, reason_t *reason)
{
    char user[64];
    char data[ARGUMENT_SIZE];
    char log[ARGUMENT_SIZE];
    char temporary[ARGUMENT_SIZE];
    snprintf(user, sizeof user, "--user=%.50s", user_name());
    snprintf(data, sizeof data, "--datadir=%s/data", folder);
    snprintf(temporary, sizeof temporary, "--tmpdir=%s", folder);
    snprintf(log, sizeof log, "%s/database.log", folder);
    const char *const arguments[] = {"mariadb-install-db",
                                     "--no-defaults",
                                     user,
                                     data,
                                     "--skip-test-db",
                                     "--auth-root-authentication-method=normal",
                                     temporary,
                                     "--innodb-log-file-size=256M",
                                     NULL};
    reason_t cause = {{0}};
    fabric_error_t error = process_start(arguments, log, false, reason, &database->server);
    if (error) {
        return error;
    }
    error = process_wait(&database->server, INSTALL_MS, &cause);
    return error ? reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                              "mariadb-install-db: %s; this needs " NEEDS, cause.text)
                 : FABRIC_OK;
}

/* Debian keeps mariadbd where only administrators look for programs. */
static void widen_path(void)
{
    char path[8192];
    const char *before = getenv("PATH");
    snprintf(path, sizeof path, "%s:/usr/sbin:/usr/local/sbin", before ? before : "/usr/bin:/bin");
    setenv("PATH", path, 1);
}

/* The server's own defaults, but for what durability asks, and a cache and a log that are larger
 * than the smallest. */
static fabric_error_t run_server(database_t *database, const char *folder, reason_t *reason)
{
    char user[64];
    char data[ARGUMENT_SIZE];
    char socket[ARGUMENT_SIZE];
    char start[ARGUMENT_SIZE];
    char log[ARGUMENT_SIZE];
    char temporary[ARGUMENT_SIZE];
    snprintf(temporary, sizeof temporary, "--tmpdir=%s", folder);
    snprintf(user, sizeof user, "--user=%.50s", user_name());
    snprintf(data, sizeof data, "--datadir=%s/data", folder);
    snprintf(socket, sizeof socket, "--socket=%s/s", folder);
    snprintf(start, sizeof start, "--init-file=%s/start.sql", folder);
    snprintf(log, sizeof log, "%s/database.log", folder);
    const char *const arguments[] = {"mariadbd",
                                     "--no-defaults",
                                     user,
                                     data,
                                     socket,
                                     start,
                                     temporary,
                                     "--skip-networking",
                                     "--innodb-flush-log-at-trx-commit=1",
                                     "--sync-binlog=1",
                                     "--skip-log-bin",
                                     "--innodb-buffer-pool-size=256M",
                                     "--innodb-log-file-size=256M",
                                     NULL};
    return process_start(arguments, log, false, reason, &database->server);
}

static fabric_error_t wait_for_server(database_t *database, const store_driver_t *const *drivers,
                                      reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + START_MS;
    while (!stop_requested()) {
        store_t *store = NULL;
        if (open_store(database->url, NULL, drivers, reason, &store) == FABRIC_OK) {
            store_close(&store);
            return FABRIC_OK;
        }
        if (!process_runs(&database->server) || clock_monotonic_ms() > deadline_ms) {
            return reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                              "mariadbd does not start; this needs " NEEDS);
        }
        poll(NULL, 0, POLL_MS);
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

static fabric_error_t start_server(database_t *database, const char *folder,
                                   const store_driver_t *const *drivers, reason_t *reason)
{
    if (strlen(folder) > 100) { /* a socket's address has 107 */
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%s: is too long for a socket: set TMPDIR to a shorter path", folder);
    }
    snprintf(database->url, sizeof database->url, "mysql://root@localhost/fabric?socket=%s/s",
             folder);
    widen_path();
    fabric_error_t error = write_start_script(folder, reason);
    error = error ? error : install_server(database, folder, reason);
    error = error ? error : run_server(database, folder, reason);
    return error ? error : wait_for_server(database, drivers, reason);
}

/* ---- either ---- */

static fabric_error_t prepare(const database_t *database, const store_driver_t *const *drivers,
                              reason_t *reason, store_facts_t *facts)
{
    store_cluster_t cluster = {.name = CLUSTER_NAME, .shards_per_group = SHARDS_PER_GROUP};
    store_t *store = NULL;
    fabric_error_t error = open_store(database->url, NULL, drivers, reason, &store);
    if (!error) {
        error = store->driver->schema_apply(store, &cluster, reason);
    }
    if (!error) {
        error = store->driver->facts(store, facts);
    }
    store_close(&store);
    return error;
}

static bool is_url(const char *kind)
{
    return strncmp(kind, "mysql://", strlen("mysql://")) == 0;
}

bool database_is_kind(const char *kind)
{
    return strcmp(kind, "mysql") == 0 || strcmp(kind, "sqlite") == 0 || is_url(kind);
}

fabric_error_t database_start(database_t *database, const char *kind, const char *folder,
                              const store_driver_t *const *drivers, reason_t *reason,
                              store_facts_t *facts)
{
    fabric_error_t error = FABRIC_OK;
    if (is_url(kind)) {
        return database_use(database, kind, drivers, reason, facts);
    }
    *database = (database_t){.server = PROCESS_NONE};
    if (strcmp(kind, "mysql") == 0) {
        error = start_server(database, folder, drivers, reason);
    } else {
        snprintf(database->url, sizeof database->url, "sqlite:%s/fabric.db", folder);
    }
    return error ? error : prepare(database, drivers, reason, facts);
}

fabric_error_t database_use(database_t *database, const char *url,
                            const store_driver_t *const *drivers, reason_t *reason,
                            store_facts_t *facts)
{
    *database = (database_t){.server = PROCESS_NONE};
    if (snprintf(database->url, sizeof database->url, "%s", url) >= (int)sizeof database->url) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "the database's URL is too long");
    }
    return prepare(database, drivers, reason, facts);
}

void database_stop(database_t *database)
{
    process_stop(&database->server, STOP_MS);
}

fabric_error_t database_facts(const char *url, const char *password,
                              const store_driver_t *const *drivers, reason_t *reason,
                              store_facts_t *facts)
{
    store_t *store = NULL;
    fabric_error_t error = open_store(url, password, drivers, reason, &store);
    if (!error) {
        error = store->driver->facts(store, facts);
    }
    store_close(&store);
    return error;
}
