/* A private MariaDB server: see mariadb_server.h. */
#include "tests/harness/mariadb_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "mysql/mysql_url.h"
#include "tests/harness/mariadb.h"

#define FOLDER_PREFIX "/var/tmp/fabric-mariadb."
#define NEEDS         "MariaDB's server: packages mariadb-server-core and mariadb-client-core"

enum {
    INSTALL_MS = 120000,
    START_MS = 60000,
    END_MS = 30000,
    CLIENT_MS = 60000,
    POLL_MS = 5,
    ARGUMENTS_MAX = 24,
    ARGUMENT_SIZE = FOLDER_PATH_SIZE + 64,
    SOCKET_FOLDER_MAX = 100 /* the address of a Unix socket has 107 bytes */
};

/* ---- command lines ---- */

typedef struct command {
    char texts[ARGUMENTS_MAX][ARGUMENT_SIZE];
    const char *list[ARGUMENTS_MAX + 1];
    size_t count;
} command_t;

static void add(command_t *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(command_t *command, const char *format, ...)
{
    va_list rest;
    if (command->count == ARGUMENTS_MAX) {
        abort();
    }
    char *text = command->texts[command->count];
    va_start(rest, format);
    vsnprintf(text, ARGUMENT_SIZE, format, rest);
    va_end(rest);
    command->list[command->count++] = text;
    command->list[command->count] = NULL;
}

/* Debian installs mariadbd in /usr/sbin, which is not in every user's PATH. */
static void widen_path(void)
{
    char path[8192];
    const char *before = getenv("PATH");
    if (!before || !strstr(before, ":/usr/sbin:/usr/local/sbin")) {
        snprintf(path, sizeof path, "%s:/usr/sbin:/usr/local/sbin",
                 before ? before : "/usr/bin:/bin");
        setenv("PATH", path, 1);
    }
}

static const char *mysql_root(void)
{
    const char *root = getenv("FABRIC_TEST_MYSQL_ROOT");
    return root && *root ? root : NULL;
}

/* The first path that fits the pattern, or an empty text. */
static void find_path(char path[FOLDER_PATH_SIZE], const char *root, const char *pattern)
{
    char whole[ARGUMENT_SIZE];
    glob_t found;
    snprintf(whole, sizeof whole, "%s%s", root, pattern);
    path[0] = 0;
    if (glob(whole, 0, NULL, &found) == 0) {
        snprintf(path, FOLDER_PATH_SIZE, "%s", found.gl_pathv[0]);
    }
    globfree(&found);
}

/* Runs mysqld with the loader and the libraries of its own system. */
static void add_mysqld(command_t *command, const char *root)
{
    char loader[FOLDER_PATH_SIZE];
    char libraries[FOLDER_PATH_SIZE];
    find_path(loader, root, "/lib*/ld-linux-*.so.*");
    find_path(libraries, root, "/usr/lib/*-linux-gnu");
    add(command, "%s", loader);
    add(command, "--library-path");
    add(command, "%.250s:%.250s/usr/lib/mysql/private", libraries, root);
    add(command, "%s/usr/sbin/mysqld", root);
    add(command, "--no-defaults");
    add(command, "--basedir=%s/usr", root);
    add(command, "--lc-messages-dir=%s/usr/share/mysql", root);
    add(command, "--plugin-dir=%s/usr/lib/mysql/plugin", root);
}

/* The temporary tables have a folder of their own: a server that starts removes those of all other
 * servers from a folder that it shares with them. */
static void add_places(command_t *command, const char *folder)
{
    const struct passwd *user = getpwuid(geteuid());
    add(command, "--user=%.50s", user ? user->pw_name : "root");
    add(command, "--datadir=%s/data", folder);
    add(command, "--tmpdir=%s", folder);
}

static void log_path_of(const mariadb_server_t *server, char path[ARGUMENT_SIZE])
{
    snprintf(path, ARGUMENT_SIZE, "%s/database.log", server->folder);
}

/* ---- its data ---- */

/* A port that is free now. Another server may take the port before this one does. */
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = probe >= 0 && bind(probe, (struct sockaddr *)&address, size) == 0 &&
                 getsockname(probe, (struct sockaddr *)&address, &size) == 0;
    if (probe >= 0) {
        close(probe);
    }
    return bound ? ntohs(address.sin_port) : 0;
}

static fabric_error_t make_data(const mariadb_server_t *server, const char *folder,
                                reason_t *reason)
{
    command_t command = {.count = 0};
    char log[ARGUMENT_SIZE];
    reason_t cause = {{0}};
    process_t process = PROCESS_NONE;
    if (mysql_root()) {
        add_mysqld(&command, mysql_root());
        add(&command, "--initialize-insecure");
    } else {
        add(&command, "mariadb-install-db");
        add(&command, "--no-defaults");
        add(&command, "--skip-test-db");
        add(&command, "--auth-root-authentication-method=normal");
        add(&command, "--innodb-log-file-size=256M");
    }
    add_places(&command, folder);
    log_path_of(server, log);
    widen_path();
    fabric_error_t error = process_start(command.list, log, false, reason, &process);
    if (error) {
        return error;
    }
    error = process_wait(&process, INSTALL_MS, &cause);
    process_stop(&process, 0);
    return error ? reason_set(reason,
                              error == FABRIC_ERROR_NOT_FOUND ? error
                                                              : FABRIC_ERROR_STORE_UNAVAILABLE,
                              "%s: %s; this needs " NEEDS, command.list[0], cause.text)
                 : FABRIC_OK;
}

/* Puts a copy of a folder at a path inside the server's. */
static bool copy_folder(const mariadb_server_t *server, const char *from, const char *to)
{
    command_t command = {.count = 0};
    char log[ARGUMENT_SIZE];
    char target[ARGUMENT_SIZE];
    process_t process = PROCESS_NONE;
    snprintf(target, sizeof target, "%s/%s", server->folder, to);
    folder_remove(target);
    add(&command, "cp");
    add(&command, "-a");
    add(&command, "--sparse=always");
    add(&command, "%s", from);
    add(&command, "%s", target);
    log_path_of(server, log);
    bool copied = process_start(command.list, log, false, NULL, &process) == FABRIC_OK &&
                  process_wait(&process, INSTALL_MS, NULL) == FABRIC_OK;
    process_stop(&process, 0);
    return copied;
}

/* Makes the data that several servers begin with, unless another process has made it. */
static fabric_error_t make_shared_data(const mariadb_server_t *server, const char *shared,
                                       reason_t *reason)
{
    char lock_path[FOLDER_PATH_SIZE + 16];
    char unfinished[FOLDER_PATH_SIZE + 16];
    char made[FOLDER_PATH_SIZE + 32];
    char done[FOLDER_PATH_SIZE + 16];
    fabric_error_t error = FABRIC_OK;
    snprintf(lock_path, sizeof lock_path, "%s/lock", shared);
    snprintf(unfinished, sizeof unfinished, "%s/unfinished", shared);
    snprintf(made, sizeof made, "%s/data", unfinished);
    snprintf(done, sizeof done, "%s/data", shared);
    int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool locked = lock >= 0 && flock(lock, LOCK_EX) == 0;
    if (locked && access(done, F_OK) != 0) {
        folder_remove(unfinished);
        locked = mkdir(unfinished, 0700) == 0;
        error = locked ? make_data(server, unfinished, reason) : FABRIC_OK;
        locked = locked && (error || rename(made, done) == 0);
    }
    if (!locked) {
        error =
            reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE, "%s: %s", shared, strerror(errno));
    }
    if (lock >= 0) {
        close(lock);
    }
    return error;
}

static fabric_error_t provide_data(const mariadb_server_t *server, reason_t *reason)
{
    char data[FOLDER_PATH_SIZE + 16];
    const char *shared = getenv("FABRIC_TEST_MARIADB_DATA");
    if (!shared || !*shared || strlen(shared) >= FOLDER_PATH_SIZE) {
        return make_data(server, server->folder, reason);
    }
    snprintf(data, sizeof data, "%s/data", shared);
    fabric_error_t error = make_shared_data(server, shared, reason);
    if (!error && !copy_folder(server, data, "data")) {
        error = reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE, "%s cannot be copied", data);
    }
    return error;
}

fabric_error_t mariadb_server_install(mariadb_server_t *server, const char *folder, bool network,
                                      reason_t *reason)
{
    if (strlen(folder) > SOCKET_FOLDER_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%s: is too long for a socket: set TMPDIR to a shorter path", folder);
    }
    snprintf(server->folder, sizeof server->folder, "%s", folder);
    fabric_error_t error = provide_data(server, reason);
    if (error) {
        return error;
    }
    server->port = network ? free_port() : 0;
    if (server->port > 0) {
        snprintf(server->url, sizeof server->url, "mysql://root@127.0.0.1:%u/mysql?socket=%s/s",
                 server->port, folder);
    } else {
        snprintf(server->url, sizeof server->url, "mysql://root@localhost/mysql?socket=%s/s",
                 folder);
    }
    return FABRIC_OK;
}

/* ---- its process ---- */

/* The buffer pool. That of a measurement holds a whole journal (journal_bytes_max) and more where
 * the machine has the memory, as docs/operations.md says that it should. */
static long buffer_pool_mib(bool roomy)
{
    if (!roomy) {
        return 256;
    }
    long third = sysconf(_SC_PHYS_PAGES) / 3 * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
    return third < 1024 ? 1024 : third > 6144 ? 6144 : third;
}

/* MariaDB: the server's own defaults, but for the settings that durability needs, and a cache and a
 * log that are larger than the smallest. */
static void add_mariadbd(command_t *command, bool roomy)
{
    add(command, "mariadbd");
    add(command, "--no-defaults");
    add(command, "--innodb-flush-log-at-trx-commit=1");
    add(command, "--sync-binlog=1");
    add(command, "--skip-log-bin");
    add(command, "--innodb-buffer-pool-size=%ldM", buffer_pool_mib(roomy));
    add(command, "--innodb-log-file-size=%s", roomy ? "1G" : "256M");
    add(command, "--skip-name-resolve");
}

/* MySQL: its own defaults (above all a binary log), but for sizes and for paths outside its
 * folder. */
static void add_mysqld_options(command_t *command, bool roomy)
{
    add(command, "--mysqlx=OFF");
    add(command, "--secure-file-priv=");
    add(command, "--innodb-buffer-pool-size=%ldM", buffer_pool_mib(roomy));
    add(command, "--innodb-redo-log-capacity=%s", roomy ? "1G" : "512M");
}

bool mariadb_server_run(mariadb_server_t *server)
{
    command_t command = {.count = 0};
    char log[ARGUMENT_SIZE];
    if (mysql_root()) {
        add_mysqld(&command, mysql_root());
        add_mysqld_options(&command, server->roomy);
    } else {
        add_mariadbd(&command, server->roomy);
    }
    add_places(&command, server->folder);
    add(&command, "--socket=%s/s", server->folder);
    add(&command, "--pid-file=%s/server.pid", server->folder);
    add(&command, "--performance-schema=OFF");
    if (server->port > 0) {
        add(&command, "--bind-address=127.0.0.1");
        add(&command, "--port=%u", server->port);
    } else {
        add(&command, "--skip-networking");
    }
    if (server->option) {
        add(&command, "%s", server->option);
    }
    log_path_of(server, log);
    widen_path();
    return process_start(command.list, log, false, NULL, &server->process) == FABRIC_OK;
}

void mariadb_server_kill(mariadb_server_t *server)
{
    process_kill(&server->process);
}

bool mariadb_server_end(mariadb_server_t *server)
{
    if (process_runs(&server->process)) {
        kill(server->process.pid, SIGTERM);
    }
    bool ended = process_wait(&server->process, END_MS, NULL) == FABRIC_OK;
    process_kill(&server->process);
    return ended;
}

bool mariadb_server_answers(mariadb_server_t *server, unsigned wait_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + wait_ms;
    char socket_path[ARGUMENT_SIZE];
    snprintf(socket_path, sizeof socket_path, "%s/s", server->folder);
    while (process_runs(&server->process)) {
        if (access(socket_path, F_OK) == 0 && mariadb_client(server->url, false, "DO 1", false)) {
            return true;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        poll(NULL, 0, POLL_MS);
    }
    return false;
}

/* ---- a server in a folder of its own ---- */

/* Marks the folder as in use for as long as this process lives: a lock ends with its holder,
 * however the holder ends. */
static bool own_folder(mariadb_server_t *server, const char *folder)
{
    char unlocked[FOLDER_PATH_SIZE + 16];
    char locked[FOLDER_PATH_SIZE + 16];
    snprintf(unlocked, sizeof unlocked, "%s/owner.new", folder);
    snprintf(locked, sizeof locked, "%s/owner", folder);
    int file = open(unlocked, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) || rename(unlocked, locked)) {
        return false;
    }
    server->owner = file;
    return true;
}

static bool is_abandoned(const char *folder)
{
    char path[FOLDER_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/owner", folder);
    int file = open(path, O_RDWR | O_CLOEXEC);
    bool abandoned = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0;
    if (file >= 0) {
        close(file);
    }
    return abandoned;
}

/* Removes the folders of tests that were killed. */
static void remove_leftovers(void)
{
    glob_t found;
    if (glob(FOLDER_PREFIX "*", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (is_abandoned(found.gl_pathv[i])) {
                folder_remove(found.gl_pathv[i]);
            }
        }
    }
    globfree(&found);
}

bool mariadb_server_new(mariadb_server_t *server, char reason[256])
{
    char folder[] = FOLDER_PREFIX "XXXXXX";
    remove_leftovers();
    /* Tries twice, because another server may have taken the port in between. */
    for (int tries = 0; tries < 2; tries++) {
        reason_t cause = {{0}};
        memcpy(folder, FOLDER_PREFIX "XXXXXX", sizeof folder);
        *server = MARIADB_SERVER_NONE;
        if (!mkdtemp(folder) || !own_folder(server, folder)) {
            snprintf(reason, 256, "cannot make %s: %s", folder, strerror(errno));
            return false;
        }
        fabric_error_t error = mariadb_server_install(server, folder, true, &cause);
        if (!error && mariadb_server_run(server) && mariadb_server_answers(server, START_MS)) {
            return true;
        }
        snprintf(reason, 256, "%.255s", error ? cause.text : "MariaDB's server does not start");
        if (error != FABRIC_ERROR_NOT_FOUND) {
            folder_print_end(folder, "database.log", stderr);
        }
        mariadb_server_destroy(server);
        if (error == FABRIC_ERROR_NOT_FOUND) {
            return false;
        }
    }
    return false;
}

void mariadb_server_destroy(mariadb_server_t *server)
{
    mariadb_server_kill(server);
    folder_remove(server->folder);
    if (server->owner >= 0) {
        close(server->owner);
    }
    *server = MARIADB_SERVER_NONE;
}

/* ---- copies of its data ---- */

/* Puts a copy of one folder of the server in the place of another. */
static bool copy_inside(const mariadb_server_t *server, const char *from, const char *to)
{
    char path[FOLDER_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", server->folder, from);
    return copy_folder(server, path, to);
}

bool mariadb_server_save(const mariadb_server_t *server)
{
    return server->process.pid == 0 && copy_inside(server, "data", "saved");
}

bool mariadb_server_restore(const mariadb_server_t *server)
{
    return server->process.pid == 0 && copy_inside(server, "saved", "data");
}

/* ---- the command-line client ---- */

static fabric_error_t run_client(const char *program, const mysql_url_t *url, const char *database,
                                 const char *statements, bool loud)
{
    char user[128];
    char place[300];
    char port[32];
    char password[256];
    process_t process = PROCESS_NONE;
    snprintf(user, sizeof user, "--user=%s", url->user);
    snprintf(place, sizeof place, url->socket[0] ? "--socket=%s" : "--host=%s",
             url->socket[0] ? url->socket : url->host);
    snprintf(port, sizeof port, "--port=%u", url->port);
    snprintf(password, sizeof password, "MYSQL_PWD=%s",
             mariadb_password() ? mariadb_password() : "");
    const char *const arguments[] = {
        program,    "--no-defaults",
        user,       place,
        port,       url->socket[0] ? "--protocol=socket" : "--protocol=tcp",
        "--batch",  "--execute",
        statements, database,
        NULL};
    const char *const environment[] = {mariadb_password() ? password : NULL, NULL};
    fabric_error_t error = process_start_with(
        arguments, environment, loud ? "/dev/stderr" : "/dev/null", false, NULL, &process);
    error = error ? error : process_wait(&process, CLIENT_MS, NULL);
    process_stop(&process, 0);
    return error;
}

bool mariadb_client(const char *text, bool in_database, const char *statements, bool loud)
{
    mysql_url_t url;
    if (mysql_url_parse(text, NULL, &url)) {
        return false;
    }
    const char *database = in_database ? url.database : NULL;
    fabric_error_t error = run_client("mariadb", &url, database, statements, loud);
    if (error == FABRIC_ERROR_NOT_FOUND) {
        error = run_client("mysql", &url, database, statements, loud);
    }
    return error == FABRIC_OK;
}
