/* A MariaDB (or MySQL) server for tests: a private one, or the one that FABRIC_TEST_MYSQL names.
 *
 *     char reason[256];
 *     if (!mariadb_start(reason)) { print_message("skipped: %s\n", reason); ... }  group setup
 *     char url[512];
 *     mariadb_fresh_database(url);  ... mariadb_drop_database(url);  each test
 *     mariadb_stop();  group teardown
 *
 * FABRIC_TEST_MYSQL is a URL like mysql://root@127.0.0.1:3306/any, FABRIC_TEST_MYSQL_PASSWORD its
 * password; the user must be allowed to create databases. Without it the server is a private one:
 * see mariadb_server.h.
 *
 * Threading: one thread.
 */
#ifndef TESTS_HARNESS_MARIADB_H
#define TESTS_HARNESS_MARIADB_H

#include <stdbool.h>

#include "tests/harness/mariadb_server.h"

/* Starts the server and waits until it answers, at most 60 s. False with a reason when no server
 * can be started, for instance because none is installed. */
bool mariadb_start(char reason[256]);
/* Kills a private server and removes its folder. Harmless when none runs. */
void mariadb_stop(void);
/* The private server, for faults; NULL when the server is not ours. */
mariadb_server_t *mariadb_own(void);
/* Makes the private server answer again, whatever state a test has left it in. */
void mariadb_revive(void);
/* The password for store_options_t; NULL: none. */
const char *mariadb_password(void);

/* Creates an empty database with a random name. `url` gets its URL. False when the server refuses.
 */
bool mariadb_fresh_database(char url[512]);
void mariadb_drop_database(const char *url);
/* Runs statements (separated by ;) as the server's administrator, by default in the database of
 * `url`. False when one fails. */
bool mariadb_execute(const char *url, const char *statements);

#endif
