/* A MariaDB (or MySQL) server for tests: a private one, or the one that FABRIC_TEST_MYSQL names.
 *
 *     char reason[256];
 *     if (!mariadb_start(reason)) { print_message("skipped: %s\n", reason); ... }     group setup
 *     char url[512];
 *     mariadb_fresh_database(url);  ... mariadb_drop_database(url);                    each test
 *     mariadb_stop();                                                                  group teardown
 *
 * FABRIC_TEST_MYSQL is a URL like mysql://root@127.0.0.1:3306/any, FABRIC_TEST_MYSQL_PASSWORD its
 * password; the user must be allowed to create databases. Otherwise tests/lib/mariadb.sh runs a
 * server in a folder of its own below /var/tmp, which must be a disk file system. It is killed when
 * the thread that started it ends, also by a signal; what a killed test left in /var/tmp is removed
 * by the next start.
 *
 * Threading: one thread.
 */
#ifndef TESTS_LIB_MARIADB_H
#define TESTS_LIB_MARIADB_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts the server and waits until it answers, at most 60 s. False with a reason when there is
 * none to be had, for instance because it is not installed. */
bool mariadb_start(char reason[256]);
/* Kills a private server and removes its folder. Harmless when none runs. */
void mariadb_stop(void);
/* The private server's process id, for faults; 0 when the server is not ours. */
pid_t mariadb_pid(void);
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
