/* A private MariaDB server: see mariadb_server.h. */
#include "tests/harness/mariadb_server.h"

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
#include "tests/harness/mariadb.h"

#define FOLDER_PREFIX "/var/tmp/fabric-mariadb."
#define START_MS      60000u
#define END_MS        30000u
#define POLL_NS       (5 * 1000 * 1000)
#define NOT_INSTALLED 3 /* exit status of mariadb.sh */

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

bool mariadb_client(const char *text, bool in_database, const char *statements, bool loud)
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

/* Marks the folder as in use for as long as this process lives: a lock ends with its holder,
 * however that ends. */
static bool own_folder(mariadb_server_t *server)
{
    char unlocked[128];
    char locked[128];
    snprintf(unlocked, sizeof unlocked, "%s/owner.new", server->folder);
    snprintf(locked, sizeof locked, "%s/owner", server->folder);
    int file = open(unlocked, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) || rename(unlocked, locked)) {
        return false;
    }
    server->owner = file;
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

/* tests/harness/mariadb.sh below the working directory, or below a folder above the program. */
static bool find_script(char path[600])
{
    static const char script[] = "tests/harness/mariadb.sh";
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

/* ---- its process ---- */

static void exec_server(const mariadb_server_t *server, const char *script, pid_t parent)
{
    char log[128];
    snprintf(log, sizeof log, "%s/start.log", server->folder);
    int null = open("/dev/null", O_RDONLY);
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(null, STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    /* The signal survives the exec of the shell, and the shell's exec of the server. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execl("/bin/sh", "sh", script, "run", server->folder, (char *)NULL);
    }
    _exit(127);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

/* Collects the process when it has ended; `status` gets its exit status, 128 after a signal. */
static bool has_ended(mariadb_server_t *server, int *status)
{
    int ended = 0;
    if (server->pid > 0 && waitpid(server->pid, &ended, WNOHANG) == server->pid) {
        *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128;
        server->pid = 0;
    }
    return server->pid == 0;
}

bool mariadb_server_run(mariadb_server_t *server)
{
    char script[600];
    if (!find_script(script)) {
        return false;
    }
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0) {
        exec_server(server, script, parent);
    }
    return server->pid > 0;
}

void mariadb_server_kill(mariadb_server_t *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    server->pid = 0;
}

bool mariadb_server_end(mariadb_server_t *server)
{
    int status = -1;
    uint64_t deadline_ms = clock_monotonic_ms() + END_MS;
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
    }
    while (!has_ended(server, &status)) {
        if (clock_monotonic_ms() > deadline_ms) {
            mariadb_server_kill(server);
            return false;
        }
        pause_briefly();
    }
    return status == 0;
}

/* As mariadb_server_answers; `status` gets the server's exit status when it has ended. */
static bool wait_until_ready(mariadb_server_t *server, unsigned wait_ms, int *status)
{
    uint64_t deadline_ms = clock_monotonic_ms() + wait_ms;
    char socket_path[80];
    snprintf(socket_path, sizeof socket_path, "%s/s", server->folder);
    while (!has_ended(server, status)) {
        if (access(socket_path, F_OK) == 0) {
            snprintf(server->url, sizeof server->url, "mysql://root@127.0.0.1:%ld/mysql?socket=%s",
                     read_number(server->folder, "port"), socket_path);
            if (mariadb_client(server->url, false, "DO 1", false)) {
                return true;
            }
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        pause_briefly();
    }
    return false;
}

bool mariadb_server_answers(mariadb_server_t *server, unsigned wait_ms)
{
    int status = -1;
    return wait_until_ready(server, wait_ms, &status);
}

/* ---- making and unmaking ---- */

static void show_log(const mariadb_server_t *server)
{
    char path[128];
    char line[300];
    snprintf(path, sizeof path, "%s/start.log", server->folder);
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log)) {
        fputs(line, stderr);
    }
    if (log) {
        fclose(log);
    }
}

bool mariadb_server_new(mariadb_server_t *server, char reason[256])
{
    char script[600];
    if (!find_script(script)) {
        snprintf(reason, 256,
                 "tests/harness/mariadb.sh is not there: run tests in the source folder");
        return false;
    }
    remove_leftovers();
    /* Twice, because another server may have taken the port in between. */
    for (int tries = 0; tries < 2; tries++) {
        *server = (mariadb_server_t){.owner = -1};
        snprintf(server->folder, sizeof server->folder, FOLDER_PREFIX "XXXXXX");
        if (!mkdtemp(server->folder) || !own_folder(server)) {
            snprintf(reason, 256, "cannot make %s: %s", server->folder, strerror(errno));
            server->folder[0] = 0;
            return false;
        }
        int status = -1;
        if (mariadb_server_run(server) && wait_until_ready(server, START_MS, &status)) {
            return true;
        }
        snprintf(reason, 256,
                 status == NOT_INSTALLED ? "MariaDB's server is not installed"
                                         : "MariaDB's server did not start (status %d)",
                 status);
        if (status != NOT_INSTALLED) {
            show_log(server);
        }
        mariadb_server_destroy(server);
        if (status == NOT_INSTALLED) {
            return false;
        }
    }
    return false;
}

void mariadb_server_destroy(mariadb_server_t *server)
{
    mariadb_server_kill(server);
    if (server->folder[0]) {
        remove_folder(server->folder);
        close(server->owner);
    }
    *server = (mariadb_server_t){.owner = -1};
}

/* ---- its data ---- */

/* Puts a copy of one folder of the server in the place of another. */
static bool copy_folder(const mariadb_server_t *server, const char *from, const char *to)
{
    char source[128];
    char target[128];
    snprintf(source, sizeof source, "%s/%s", server->folder, from);
    snprintf(target, sizeof target, "%s/%s", server->folder, to);
    remove_folder(target);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("cp", "cp", "-a", "--sparse=always", source, target, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool mariadb_server_save(const mariadb_server_t *server)
{
    return server->pid == 0 && copy_folder(server, "data", "saved");
}

bool mariadb_server_restore(const mariadb_server_t *server)
{
    return server->pid == 0 && copy_folder(server, "saved", "data");
}
