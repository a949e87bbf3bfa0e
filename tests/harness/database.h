/* A private database: a MariaDB server with full durability, or a SQLite file, with Fabric's
 * tables, and its product and durability settings.
 *
 * Threading: the main thread only.
 */
#ifndef TESTS_HARNESS_DATABASE_H
#define TESTS_HARNESS_DATABASE_H

#include "tests/harness/mariadb_server.h"
#include "core/store.h"

typedef struct database {
    char url[FOLDER_PATH_SIZE + 128];
    mariadb_server_t server; /* none with SQLite */
} database_t;

/* Starts the database of `kind` in a folder that exists, makes the tables, and reads its facts
 * back. "mysql", "sqlite", or the mysql:// URL of an empty database that a server has, which is
 * then used. The server begins as MARIADB_SERVER_NONE, but may be roomy. After an error
 * database_stop() must be called as well. The cluster is founded with so many lanes; 0: as many as
 * the store has by default. */
FABRIC_MUST_USE fabric_error_t database_start(database_t *database, const char *kind,
                                              const char *folder, uint32_t lanes,
                                              const store_driver_t *const *drivers,
                                              reason_t *reason, store_facts_t *facts);
bool database_is_kind(const char *kind);
/* Makes the tables in an empty database that a server has, and reads its facts back. */
FABRIC_MUST_USE fabric_error_t database_use(database_t *database, const char *url, uint32_t lanes,
                                            const store_driver_t *const *drivers, reason_t *reason,
                                            store_facts_t *facts);
void database_stop(database_t *database);

/* The facts of a database that exists already. */
FABRIC_MUST_USE fabric_error_t database_facts(const char *url, const char *password,
                                              const store_driver_t *const *drivers,
                                              reason_t *reason, store_facts_t *facts);

#endif
