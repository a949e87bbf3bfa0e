/* A private database: see database.h. */
#include "tests/harness/database.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/stop.h"
#include "core/clock.h"

enum {
    START_MS = 60000,
    STOP_MS = 30000,
    POLL_MS = 50,
    SHARDS_PER_GROUP = 300, /* a broker's default */
};

#define CLUSTER_NAME "fabric"
#define OPTION_SIZE  (FOLDER_PATH_SIZE + 64)
#define NEEDS        "MariaDB's server: packages mariadb-server-core and mariadb-client-core"

static fabric_error_t open_store(const char *url, const char *password,
                                 const store_driver_t *const *drivers, reason_t *reason,
                                 store_t **store)
{
    store_options_t options = {
        .url = url, .password = password, .connect_timeout_ms = 5000, .io_timeout_ms = 10000};
    return store_open(drivers, &options, reason, store);
}

/* ---- the MariaDB server ---- */

static fabric_error_t write_start_script(const char *folder, char option[OPTION_SIZE],
                                         reason_t *reason)
{
    char path[FOLDER_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/start.sql", folder);
    snprintf(option, OPTION_SIZE, "--init-file=%s", path);
    FILE *file = fopen(path, "w");
    bool written = file && fputs("CREATE DATABASE IF NOT EXISTS fabric;\n", file) >= 0;
    written = file && fclose(file) == 0 && written;
    return written ? FABRIC_OK
                   : reason_set(reason, FABRIC_ERROR_INTERNAL, "%s cannot be written", path);
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
        if (!process_runs(&database->server.process) || clock_monotonic_ms() > deadline_ms) {
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
    char option[OPTION_SIZE];
    fabric_error_t error = write_start_script(folder, option, reason);
    error = error ? error : mariadb_server_install(&database->server, folder, false, reason);
    if (error) {
        return error == FABRIC_ERROR_NOT_FOUND ? FABRIC_ERROR_STORE_UNAVAILABLE : error;
    }
    snprintf(database->url, sizeof database->url, "mysql://root@localhost/fabric?socket=%s/s",
             folder);
    database->server.option = option;
    bool runs = mariadb_server_run(&database->server);
    database->server.option = NULL;
    return runs ? wait_for_server(database, drivers, reason)
                : reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE, "mariadbd cannot be started");
}

/* ---- either ---- */

static fabric_error_t prepare(const database_t *database, uint32_t lanes,
                              const store_driver_t *const *drivers, reason_t *reason,
                              store_facts_t *facts)
{
    store_cluster_t cluster = {
        .name = CLUSTER_NAME, .shards_per_group = SHARDS_PER_GROUP, .lanes = lanes};
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
                              uint32_t lanes, const store_driver_t *const *drivers,
                              reason_t *reason, store_facts_t *facts)
{
    fabric_error_t error = FABRIC_OK;
    if (is_url(kind)) {
        return database_use(database, kind, lanes, drivers, reason, facts);
    }
    if (strcmp(kind, "mysql") == 0) {
        error = start_server(database, folder, drivers, reason);
    } else {
        snprintf(database->url, sizeof database->url, "sqlite:%s/fabric.db", folder);
    }
    return error ? error : prepare(database, lanes, drivers, reason, facts);
}

fabric_error_t database_use(database_t *database, const char *url, uint32_t lanes,
                            const store_driver_t *const *drivers, reason_t *reason,
                            store_facts_t *facts)
{
    *database = (database_t){.server = MARIADB_SERVER_NONE};
    if (snprintf(database->url, sizeof database->url, "%s", url) >= (int)sizeof database->url) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "the database's URL is too long");
    }
    return prepare(database, lanes, drivers, reason, facts);
}

void database_stop(database_t *database)
{
    process_stop(&database->server.process, STOP_MS);
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
