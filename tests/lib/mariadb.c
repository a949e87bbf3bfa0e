/* Starts and stops a database server for tests, and creates databases on it. */
#include "tests/lib/mariadb.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "mysql/mysql_url.h"

#define FOLDER_PREFIX "/var/tmp/fabric-mariadb."
#define START_MS      60000
#define NOT_INSTALLED 3 /* exit status of mariadb.sh */

static struct {
    char url[512]; /* of the administrator; empty: not started */
    char folder[64];
    pid_t pid;
    int owner; /* the locked file in the folder */
} server;

const char *mariadb_password(void)
{
    return getenv("FABRIC_TEST_MYSQL_PASSWORD");
}

pid_t mariadb_pid(void)
{
    return server.pid;
}

/* ---- the command-line client ---- */

static void exec_client(const mysql_url_t *url, const char *database, const char *statements)
{
    char user[128];
    char place[300];
    char port[32];
    snprintf(user, sizeof user, "--user=%s", url->user);
    snprintf(place, sizeof place, url->socket[0] ? "--socket=%s" : "--host=%s",
             url->socket[0] ? url->socket : url->host);
    snprintf(port, sizeof port, "--port=%u", url->port);
    const char *protocol = url->socket[0] ? "--protocol=socket" : "--protocol=tcp";
    if (mariadb_password()) {
        setenv("MYSQL_PWD", mariadb_password(), 1);
    }
    execlp("mariadb", "mariadb", "--no-defaults", user, place, port, protocol, "--batch",
           "--execute", statements, database, (char *)NULL);
    execlp("mysql", "mysql", "--no-defaults", user, place, port, protocol, "--batch", "--execute",
           statements, database, (char *)NULL);
    _exit(127);
}

/* Runs statements with the command-line client, so that the tests' library needs no database
 * header. Its complaints are shown when `loud`. */
static bool run_client(const char *text, bool in_database, const char *statements, bool loud)
{
    mysql_url_t url;
    if (mysql_url_parse(text, NULL, &url)) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        if (!loud) {
            dup2(null, STDERR_FILENO);
        }
        exec_client(&url, in_database ? url.database : NULL, statements);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool mariadb_execute(const char *url, const char *statements)
{
    return run_client(url, true, statements, true);
}

/* ---- databases ---- */

bool mariadb_fresh_database(char url[512])
{
    const char *slash = strchr(server.url + strlen("mysql://"), '/');
    const char *query = strchr(server.url, '?');
    uint64_t number;
    clock_random(&number, sizeof number);
    char statement[100];
    snprintf(statement, sizeof statement, "CREATE DATABASE fabric_%016llx",
             (unsigned long long)number);
    snprintf(url, 512, "%.*s/%s%.200s", (int)(slash - server.url), server.url,
             strrchr(statement, ' ') + 1, query ? query : "");
    return run_client(server.url, false, statement, true);
}

void mariadb_drop_database(const char *url)
{
    mysql_url_t parsed;
    if (!mysql_url_parse(url, NULL, &parsed)) {
        char statement[100];
        snprintf(statement, sizeof statement, "DROP DATABASE IF EXISTS %s", parsed.database);
        (void)run_client(server.url, false, statement, true);
    }
}

/* ---- the private server's folder ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_folder(const char *folder)
{
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Marks the folder as in use for as long as this process lives: a lock ends with its holder, however
 * that ends. */
static bool own_folder(const char *folder)
{
    char unlocked[128];
    char locked[128];
    snprintf(unlocked, sizeof unlocked, "%s/owner.new", folder);
    snprintf(locked, sizeof locked, "%s/owner", folder);
    int file = open(unlocked, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) || rename(unlocked, locked)) {
        return false;
    }
    server.owner = file;
    return true;
}

static bool is_abandoned(const char *folder)
{
    char path[128];
    snprintf(path, sizeof path, "%s/owner", folder);
    int file = open(path, O_RDWR | O_CLOEXEC);
    bool abandoned = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0;
    if (file >= 0) {
        close(file);
    }
    return abandoned;
}

/* 0 when there is none. */
static long read_number(const char *folder, const char *name)
{
    char path[128];
    long number = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld", &number) != 1) {
            number = 0;
        }
        fclose(file);
    }
    return number;
}

/* Removes the folders of tests that were killed. */
static void remove_leftovers(void)
{
    glob_t found;
    if (glob(FOLDER_PREFIX "*", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (is_abandoned(found.gl_pathv[i])) {
                remove_folder(found.gl_pathv[i]);
            }
        }
    }
    globfree(&found);
}

/* tests/lib/mariadb.sh below the working directory, or below a folder above the program. */
static bool find_script(char path[600])
{
    static const char script[] = "tests/lib/mariadb.sh";
    snprintf(path, 600, "%s", script);
    if (access(path, R_OK) == 0) {
        return true;
    }
    char folder[512];
    ssize_t size = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[size > 0 ? size : 0] = 0;
    for (char *slash = strrchr(folder, '/'); slash; slash = strrchr(folder, '/')) {
        *slash = 0;
        snprintf(path, 600, "%s/%s", folder, script);
        if (access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- starting and stopping ---- */

static void exec_server(const char *script, pid_t parent)
{
    char log[128];
    snprintf(log, sizeof log, "%s/start.log", server.folder);
    int null = open("/dev/null", O_RDONLY);
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(null, STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    /* The signal survives the exec of the shell, and the shell's exec of the server. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execl("/bin/sh", "sh", script, "run", server.folder, (char *)NULL);
    }
    _exit(127);
}

/* Waits until the server answers; false, and `status` is its exit status, when it ended; false and
 * -1 after too long. */
static bool wait_until_ready(int *status)
{
    uint64_t deadline_ms = clock_monotonic_ms() + START_MS;
    char socket_path[80];
    snprintf(socket_path, sizeof socket_path, "%s/s", server.folder);
    *status = -1;
    while (clock_monotonic_ms() < deadline_ms) {
        int ended = 0;
        if (waitpid(server.pid, &ended, WNOHANG) == server.pid) {
            *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128;
            server.pid = 0;
            return false;
        }
        if (access(socket_path, F_OK) == 0) {
            snprintf(server.url, sizeof server.url, "mysql://root@127.0.0.1:%ld/mysql?socket=%s",
                     read_number(server.folder, "port"), socket_path);
            if (run_client(server.url, false, "DO 1", false)) {
                return true;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    return false;
}

static bool start_private(const char *script, char reason[256])
{
    /* Twice, because another server may have taken the port in between. */
    for (int tries = 0; tries < 2; tries++) {
        snprintf(server.folder, sizeof server.folder, FOLDER_PREFIX "XXXXXX");
        if (!mkdtemp(server.folder) || !own_folder(server.folder)) {
            snprintf(reason, 256, "cannot make %s: %s", server.folder, strerror(errno));
            server.folder[0] = 0;
            return false;
        }
        pid_t parent = getpid();
        server.pid = fork();
        if (server.pid == 0) {
            exec_server(script, parent);
        }
        int status = -1;
        if (server.pid > 0 && wait_until_ready(&status)) {
            return true;
        }
        snprintf(reason, 256,
                 status == NOT_INSTALLED ? "MariaDB's server is not installed"
                                         : "MariaDB's server did not start (status %d)",
                 status);
        mariadb_stop();
        if (status == NOT_INSTALLED) {
            return false;
        }
    }
    return false;
}

bool mariadb_start(char reason[256])
{
    const char *foreign = getenv("FABRIC_TEST_MYSQL");
    if (server.url[0]) {
        return true;
    }
    if (foreign && *foreign) {
        if (strlen(foreign) >= sizeof server.url || !run_client(foreign, false, "DO 1", true)) {
            snprintf(reason, 256, "the server that FABRIC_TEST_MYSQL names does not answer");
            return false;
        }
        snprintf(server.url, sizeof server.url, "%s", foreign);
        return true;
    }
    char script[600];
    if (!find_script(script)) {
        snprintf(reason, 256, "tests/lib/mariadb.sh is not there: run tests in the source folder");
        return false;
    }
    remove_leftovers();
    return start_private(script, reason);
}

void mariadb_stop(void)
{
    if (server.pid > 0) {
        kill(server.pid, SIGKILL);
        kill(server.pid, SIGCONT);
        while (waitpid(server.pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (server.folder[0]) {
        remove_folder(server.folder);
        close(server.owner);
    }
    server.pid = 0;
    server.folder[0] = 0;
    server.url[0] = 0;
}
