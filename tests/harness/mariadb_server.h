/* One private MariaDB server of a test program: a process with a folder below /var/tmp (a disk file
 * system). It can be killed, stopped, and started again on the same port and data.
 *
 * Threading: one thread; the server is killed when that thread ends, also by a signal. What a
 * killed test left in /var/tmp is removed by the next start.
 */
#ifndef TESTS_HARNESS_MARIADB_SERVER_H
#define TESTS_HARNESS_MARIADB_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct mariadb_server {
    char url[512]; /* of the administrator; empty: the server never ran */
    char folder[64];
    pid_t pid; /* 0: the server does not run */
    int owner; /* the locked file in the folder */
} mariadb_server_t;

/* Makes a server and waits until it answers, at most 60 s. False with a reason. */
bool mariadb_server_new(mariadb_server_t *server, char reason[256]);
/* Kills the server and removes its folder. Takes a zeroed struct. */
void mariadb_server_destroy(mariadb_server_t *server);

/* Kills the server with SIGKILL, also when SIGSTOP has stopped it. Does nothing when it does not
 * run. */
void mariadb_server_kill(mariadb_server_t *server);
/* Shuts the server down in order; false when that failed. */
bool mariadb_server_end(mariadb_server_t *server);
/* Starts the server again on the same port and data; does not wait until it answers. */
bool mariadb_server_run(mariadb_server_t *server);
/* Whether the server answers; waits at most `wait_ms`, and no longer than the server runs. */
bool mariadb_server_answers(mariadb_server_t *server, unsigned wait_ms);

/* The first keeps a copy of the data, the second puts that copy in the place of the data. The
 * server must not run. */
bool mariadb_server_save(const mariadb_server_t *server);
bool mariadb_server_restore(const mariadb_server_t *server);

/* Runs statements (separated by ;) with the command-line client, so that the tests' library needs
 * no database header. `text` is a URL; its database is used only when `in_database`. Complaints are
 * shown when `loud`. */
bool mariadb_client(const char *text, bool in_database, const char *statements, bool loud);

#endif
