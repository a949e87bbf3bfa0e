/* One private MariaDB server of a test program: a process of its own with a folder of its own below
 * /var/tmp (a disk file system), which can be killed, stopped and run again on the same port and
 * data.
 *
 * Threading: one thread; the server is killed when that thread ends, also by a signal. What a
 * killed test left in /var/tmp is removed by the next start.
 */
#ifndef TESTS_HARNESS_MARIADB_SERVER_H
#define TESTS_HARNESS_MARIADB_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct mariadb_server {
    char url[512]; /* of the administrator; empty: never ran */
    char folder[64];
    pid_t pid; /* 0: does not run */
    int owner; /* the locked file in the folder */
} mariadb_server_t;

/* Makes a server and waits until it answers, at most 60 s. False with a reason. */
bool mariadb_server_new(mariadb_server_t *server, char reason[256]);
/* Kills it and removes its folder. Takes a zeroed one. */
void mariadb_server_destroy(mariadb_server_t *server);

/* Kills it with SIGKILL, also when it is stopped by SIGSTOP. Harmless when it does not run. */
void mariadb_server_kill(mariadb_server_t *server);
/* Ends it in order; false when it did not end in order. */
bool mariadb_server_end(mariadb_server_t *server);
/* Starts it again where it was; does not wait until it answers. */
bool mariadb_server_run(mariadb_server_t *server);
/* Whether it answers; waits for that at most `wait_ms`, or until it has ended. */
bool mariadb_server_answers(mariadb_server_t *server, unsigned wait_ms);

/* Keeps a copy of the data, and puts it in the place of the data. It must not run. */
bool mariadb_server_save(const mariadb_server_t *server);
bool mariadb_server_restore(const mariadb_server_t *server);

/* Runs statements (separated by ;) with the command-line client, so that the tests' library needs
 * no database header. `text` is a URL; its database is used only when `in_database`. Complaints are
 * shown when `loud`. */
bool mariadb_client(const char *text, bool in_database, const char *statements, bool loud);

#endif
