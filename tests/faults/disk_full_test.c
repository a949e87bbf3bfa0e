/* The database's disk is full under load: nothing is accepted that is not stored, no process dies
 * or grows, and when space is freed service resumes by itself with nothing lost.
 *
 * The database lies on a small private file system: an ext4 in an unlinked file, mounted in a
 * private mount namespace, so that it vanishes with the last process of the test. A server that
 * gives up on a full disk is started again when space is freed, as a service manager would do. */
#include "tests/checker/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/machine.h"

enum {
    WORKERS = 2,
    WARM_MS = 500,
    CALL_MS = 3000,
    FULL_MS = 4000, /* of load after the first call that the full disk failed */
    /* until the disk is noticed to be full: a server uses reserved space first */
    NOTICED_MS = 60000,
    START_MS = 60000,        /* for the server */
    RESUME_MS = 10000,       /* after space is freed */
    SERVER_LOOKS_MS = 60000, /* how often a server without space for its binary log tries again */
    RSS_KIB_MAX = 512 * 1024,
    DISK_MIB = 1200 /* a server's logs are up to 512 MiB; sparse, so most of it costs nothing */
};

static struct {
    char folder[64]; /* where the small file system is mounted */
    mariadb_server_t server;
    char missing[200]; /* why there is none */
} disk = {.server = {.process = {.output = -1}, .owner = -1}};

/* $DISK is the folder of the small file system. */
static bool shell(const char *command)
{
    return system(command) == 0;
}

/* ---- the small file system ---- */

static bool disk_mount(void)
{
    char size[16];
    snprintf(disk.folder, sizeof disk.folder, "/var/tmp/fabric-full.XXXXXX");
    snprintf(size, sizeof size, "%dM", DISK_MIB);
    if (geteuid() != 0) {
        snprintf(disk.missing, sizeof disk.missing, "only root can mount a small file system");
        return false;
    }
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        !mkdtemp(disk.folder)) {
        snprintf(disk.missing, sizeof disk.missing, "no namespace of its own: %s", strerror(errno));
        return false;
    }
    setenv("DISK", disk.folder, 1);
    setenv("DISK_SIZE", size, 1);
    bool mounted = shell("PATH=$PATH:/usr/sbin:/sbin; truncate -s $DISK_SIZE $DISK.img && "
                         "mkfs.ext4 -q -m 0 $DISK.img && mount -o loop $DISK.img $DISK");
    (void)shell("rm -f $DISK.img");
    if (!mounted) {
        snprintf(disk.missing, sizeof disk.missing, "no ext4 on a loop device can be mounted here");
        rmdir(disk.folder);
    }
    return mounted;
}

static void disk_unmount(void)
{
    process_stop(&disk.server.process, START_MS);
    if (umount2(disk.folder, MNT_DETACH)) {
        print_error("%s: %s\n", disk.folder, strerror(errno));
    }
    rmdir(disk.folder);
}

/* Fills the file system. */
static void disk_fill(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/ballast", disk.folder);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    off_t used = 0;
    for (off_t size = 1 << 26; size >= 512;) {
        int code = posix_fallocate(file, used, size);
        assert_true(code == 0 || code == ENOSPC);
        used += code ? 0 : size;
        size /= code ? 2 : 1;
    }
    close(file);
}

static void disk_free(void)
{
    char path[100];
    snprintf(path, sizeof path, "%s/ballast", disk.folder);
    assert_int_equal(unlink(path), 0);
}

/* ---- the server on it ---- */

static bool server_start(void)
{
    char folder[80];
    reason_t reason = {{0}};
    snprintf(folder, sizeof folder, "%s/db", disk.folder);
    if (!disk.server.url[0]) {
        fabric_error_t error = mkdir(folder, 0700)
                                   ? FABRIC_ERROR_INTERNAL
                                   : mariadb_server_install(&disk.server, folder, true, &reason);
        if (error) {
            print_error("%s\n", reason.text);
            return false;
        }
    }
    if (mariadb_server_run(&disk.server) && mariadb_server_answers(&disk.server, START_MS)) {
        return true;
    }
    folder_print_end(folder, "database.log", stderr);
    return false;
}

/* Tells the testbed about it. */
static bool server_announce(void)
{
    return setenv("FABRIC_TEST_MYSQL", disk.server.url, 1) == 0;
}

/* ---- SQLite on it ---- */

/* Moves the file there; the broker goes on finding it where it was. */
static void move_file(testbed_t *bed)
{
    reason_t reason = {{0}};
    testbed_stop_processes(bed);
    setenv("FILE", bed->cluster.database.url + strlen("sqlite:"), 1);
    assert_true(shell("mv $FILE $DISK/fabric.db && ln -s $DISK/fabric.db $FILE"));
    assert_int_equal(cluster_restart_broker(&bed->cluster, &reason), FABRIC_OK);
    for (int i = 0; i < WORKERS; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    testbed_wait_ready(bed, WORKERS);
}

/* ---- the test ---- */

static uint64_t failures(const workload_t *load)
{
    workload_counts_t counts = workload_counts(load);
    return counts.unknown + counts.rejected + counts.failed;
}

typedef struct wait {
    const workload_t *load;
    uint64_t before;
} wait_t;

static bool something_failed(void *context)
{
    const wait_t *wait = context;
    return failures(wait->load) > wait->before;
}

static bool server_has_ended(const testbed_t *bed)
{
    return strcmp(bed->store, "mysql") == 0 && !process_runs(&disk.server.process);
}

typedef struct resumption {
    const testbed_t *bed;
    wait_t wait;
} resumption_t;

/* Or the server has ended, which may take it a while after it has given up. */
static bool something_replied(void *context)
{
    const resumption_t *resumption = context;
    return workload_counts(resumption->wait.load).replied > resumption->wait.before ||
           server_has_ended(resumption->bed);
}

/* Runs the load until there are replies. Starts the server again where it has ended. */
static bool resume(const testbed_t *bed, workload_t *load)
{
    uint32_t wait_ms =
        (uint32_t)machine_scaled(RESUME_MS) + (disk.server.option ? SERVER_LOOKS_MS : 0);
    resumption_t resumption = {bed, {load, workload_counts(load).replied}};
    uint64_t start_ms = clock_monotonic_ms();
    bool ended = false;
    bool resumed = false;
    do {
        if (server_has_ended(bed)) {
            assert_false(ended); /* once more, with space */
            ended = true;
            assert_true(server_start());
            start_ms = clock_monotonic_ms();
        }
        resumed = workload_run_until(load, something_replied, &resumption, wait_ms);
    } while (resumed && server_has_ended(bed));
    print_message("%s resumed after %llu ms\n", ended ? "aborted server;" : "",
                  (unsigned long long)(clock_monotonic_ms() - start_ms));
    return resumed;
}

static void check_process(process_t *process, const char *name)
{
    char path[40];
    char line[200];
    unsigned long kib = 0;
    assert_true(process_runs(process));
    snprintf(path, sizeof path, "/proc/%ld/status", (long)process_child(process));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (kib == 0 && fgets(line, sizeof line, file)) {
        (void)sscanf(line, "VmRSS: %lu", &kib);
    }
    fclose(file);
    print_message("%s: %lu KiB\n", name, kib);
    assert_in_range(kib, 1, RSS_KIB_MAX);
}

static void disk_full(void **state)
{
    testbed_t *bed = *state;
    bool sqlite = strcmp(bed->store, "sqlite") == 0;
    machine_measure();
    testbed_start(bed, WORKERS);
    if (sqlite) {
        move_file(bed);
    }
    /* A call that ends unknown is to tell of the disk. */
    const workload_options_t options = {.timeout_ms = (uint32_t)machine_scaled(CALL_MS)};
    workload_t *load = workload_start(bed, &options);
    workload_run(load, WARM_MS);
    disk_fill();
    wait_t failed = {load, failures(load)};
    uint64_t start_ms = clock_monotonic_ms();
    bool noticed =
        workload_run_until(load, something_failed, &failed, (uint32_t)machine_scaled(NOTICED_MS));
    print_message("full after %llu ms\n", (unsigned long long)(clock_monotonic_ms() - start_ms));
    workload_run(load, FULL_MS);
    check_process(&bed->cluster.broker, "broker");
    for (uint32_t i = bed->cluster.worker_count - WORKERS; i < bed->cluster.worker_count; i++) {
        check_process(&bed->cluster.workers[i], "worker");
    }
    disk_free();
    bool resumed = resume(bed, load);
    assert_true(noticed);
    assert_true(resumed);
    workload_run(load, WARM_MS);
    workload_end_and_check(&load);
}

static int run_one(unsigned store, const char *name)
{
    if (disk.missing[0]) {
        print_message("skip: %s: %s\n[  SKIPPED ] %s\n", name, disk.missing, name);
        return 0;
    }
    const testbed_test_t test = {name, disk_full, store};
    return testbed_run("disk_full", &test, 1);
}

int main(void)
{
    bool mounted = disk_mount();
    int failed = run_one(TESTBED_SQLITE, "disk_full_sqlite");
    if (mounted && !(server_start() && server_announce())) {
        snprintf(disk.missing, sizeof disk.missing, "no server starts on the small file system");
    }
    failed += run_one(TESTBED_MYSQL, "disk_full_mysql");
    /* A server that cannot write its binary log says nothing and tries again once a minute, which
     * takes too long for every run. */
    if (getenv("FABRIC_FAULT_REPEAT")) {
        process_stop(&disk.server.process, START_MS);
        disk.server.option = "--log-bin=log";
        if (mounted && !server_start()) {
            snprintf(disk.missing, sizeof disk.missing, "no server with a binary log starts here");
        }
        failed += run_one(TESTBED_MYSQL, "disk_full_binlog");
    }
    if (mounted) {
        disk_unmount();
    }
    return failed;
}
