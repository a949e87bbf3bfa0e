/* A private MariaDB server with full durability: a process with a data folder of its own, which can
 * be killed, frozen and run again on the same port and data. The benchmark, the demonstration and
 * the tests start it here.
 *
 * FABRIC_TEST_MYSQL_ROOT names a folder with the files of another system that has MySQL, as
 * tests/check-mysql makes it: the server is then a genuine MySQL, which runs from there with that
 * system's loader and libraries. It needs neither chroot nor root.
 *
 * FABRIC_TEST_MARIADB_DATA names a folder for the data that servers begin with: the first one makes
 * it there, and all others copy it, which is faster.
 *
 * Threading: one thread; the kernel kills the server when that thread ends, also by a signal.
 */
#ifndef TESTS_HARNESS_MARIADB_SERVER_H
#define TESTS_HARNESS_MARIADB_SERVER_H

#include <stdbool.h>

#include "tests/harness/folder.h"
#include "tests/harness/process.h"

typedef struct mariadb_server {
    char url[FOLDER_PATH_SIZE + 128]; /* of the administrator; empty: not installed */
    char folder[FOLDER_PATH_SIZE];
    process_t process;
    const char *option; /* one more option of the server, or NULL */
    bool roomy;         /* for measurements: a log of 1 GiB and a cache of 1 to 6 GiB */
    unsigned port;      /* on 127.0.0.1; 0: only the socket FOLDER/s */
    int owner;          /* the locked file in a folder of mariadb_server_new; else -1 */
} mariadb_server_t;

#define MARIADB_SERVER_NONE ((mariadb_server_t){.process = PROCESS_NONE, .owner = -1})

/* Makes the data of a server in a folder that exists and lies on a disk. `network`: it will listen
 * on a port of 127.0.0.1. NOT_FOUND: no server is installed; STORE_UNAVAILABLE;
 * INVALID_CONFIGURATION for a path that is too long for a socket. */
FABRIC_MUST_USE
fabric_error_t mariadb_server_install(mariadb_server_t *server, const char *folder, bool network,
                                      reason_t *reason);
/* Starts an installed server, without waiting until it answers. It logs to FOLDER/database.log. */
bool mariadb_server_run(mariadb_server_t *server);
/* Whether the server answers; waits for that at most `wait_ms`, or until the server has ended. */
bool mariadb_server_answers(mariadb_server_t *server, unsigned wait_ms);
/* Kills the server with SIGKILL, also when it is frozen by SIGSTOP. Harmless when it does not run.
 */
void mariadb_server_kill(mariadb_server_t *server);
/* Ends the server in order; false when it did not end in order. */
bool mariadb_server_end(mariadb_server_t *server);

/* Makes a server in a new folder below /var/tmp, runs it and waits until it answers, at most 60 s.
 * False with a reason. Folders that killed tests have left there are removed first. */
bool mariadb_server_new(mariadb_server_t *server, char reason[256]);
/* Kills the server and removes its folder. Takes MARIADB_SERVER_NONE. */
void mariadb_server_destroy(mariadb_server_t *server);

/* Keeps a copy of the data, and puts it in the place of the data. The server must not run. */
bool mariadb_server_save(const mariadb_server_t *server);
bool mariadb_server_restore(const mariadb_server_t *server);

/* Runs statements (separated by ;) with the command-line client, so that the tests' library needs
 * no database header. `text` is a URL; its database is used only if `in_database`. The client's
 * complaints are shown if `loud`. */
bool mariadb_client(const char *text, bool in_database, const char *statements, bool loud);

#endif
