/* Server programs: signals, and outputs that nobody reads. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"

enum {
    START_MS = 30000,
    STOP_MS = 20000, /* of a process that is to end; far below what the test made it wait for */
    WORKER = 0,
    BROKER = 1,
    PROGRAMS = 2
};

#define FOREVER_MS "600000"

/* The programs of the running test. */
typedef struct programs {
    process_t processes[PROGRAMS];
    int outputs[PROGRAMS]; /* both ends of the named pipe that each writes to; 0: none */
    char url[INVOCATION_PATH_SIZE + 16];
    char other[INVOCATION_PATH_SIZE + 16];
    char store[INVOCATION_PATH_SIZE + 16];
} programs_t;

static programs_t programs;

static void stop_programs(void *context)
{
    (void)context;
    for (size_t i = 0; i < PROGRAMS; i++) {
        if (programs.processes[i].pid > 0) {
            kill(-programs.processes[i].pid, SIGCONT);
            kill(-programs.processes[i].pid, SIGKILL);
        }
        process_stop(&programs.processes[i], 0);
        if (programs.outputs[i] > 0) {
            close(programs.outputs[i]);
        }
    }
    memset(&programs, 0, sizeof programs);
}

static void set_up(testbed_t *bed)
{
    char path[INVOCATION_PATH_SIZE];
    memset(&programs, 0, sizeof programs);
    bed->at_end = stop_programs;
    snprintf(programs.url, sizeof programs.url, "ipc://%s", invocation_path(bed, "router", path));
    snprintf(programs.other, sizeof programs.other, "ipc://%s", invocation_path(bed, "pub", path));
    snprintf(programs.store, sizeof programs.store, "sqlite:%s", invocation_path(bed, "db", path));
}

/* Starts a program whose outputs both go to that file of the folder. */
static void start(testbed_t *bed, size_t which, const char *log, const char *const *arguments)
{
    char path[INVOCATION_PATH_SIZE];
    reason_t reason = {{0}};
    fabric_error_t error = process_start(arguments, invocation_path(bed, log, path), false, &reason,
                                         &programs.processes[which]);
    if (error) {
        fail_msg("%s", reason.text);
    }
}

/* `prefix` is what comes before the program, as "unshare"; NULL: nothing. */
static void start_broker(testbed_t *bed, const char *prefix)
{
    char path[INVOCATION_PATH_SIZE];
    const char *arguments[] = {"unshare",
                               "--pid",
                               "--fork",
                               "--kill-child",
                               invocation_program("fabric-broker", path),
                               "--listen",
                               programs.url,
                               "--publish",
                               programs.other,
                               "--store",
                               programs.store,
                               "--drain-ms",
                               FOREVER_MS,
                               NULL};
    start(bed, BROKER, "broker.out", prefix ? arguments : arguments + 4);
}

static void start_worker(testbed_t *bed, const char *prefix)
{
    char path[INVOCATION_PATH_SIZE];
    char module[INVOCATION_PATH_SIZE + 64];
    snprintf(module, sizeof module, "%s", invocation_program("fabric", path));
    snprintf(strrchr(module, '/'), 64, "/../tests/probe_module.so");
    const char *arguments[] = {
        "unshare",  "--pid", "--fork", "--kill-child", invocation_program("fabric-worker", path),
        "--module", module,  "--url",  programs.url,   "--grace-ms",
        FOREVER_MS, NULL};
    start(bed, WORKER, "worker.out", prefix ? arguments : arguments + 4);
}

static void connect_client(testbed_t *bed)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {.name = "test", .connect_timeout_ms = START_MS};
    fabric_error_t error = fabric_client_open(programs.url, &options, &bed->client, &outcome);
    if (error) {
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
}

/* A durable call that is handled shows that broker and worker serve. */
static void expect_service(testbed_t *bed)
{
    probe_text_t text = {"hello"};
    uint64_t end_ms = clock_monotonic_ms() + START_MS;
    fabric_error_t error = FABRIC_ERROR_TIMEOUT;
    while (error) {
        fabric_outcome_t outcome = {0};
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "x"),
                              .message = &probe_echo,
                              .request = &text,
                              .timeout_ms = 2000};
        error = fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome);
        if (error && clock_monotonic_ms() >= end_ms) {
            fail_msg("%s: %s", fabric_error_name(error), outcome.text);
        }
    }
}

static void ignore_completion(void *context, const fabric_outcome_t *outcome,
                              fabric_bytes_t payload)
{
    (void)context;
    (void)outcome;
    (void)payload;
}

/* Keeps a handler pending, so that neither program can end in order. */
static void hold_a_handler(testbed_t *bed)
{
    char path[INVOCATION_PATH_SIZE];
    char line[256];
    probe_text_t gate = {"never"};
    uint64_t end_ms = clock_monotonic_ms() + START_MS;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "held"),
                          .message = &probe_hold,
                          .request = &gate,
                          .timeout_ms = 600000};
    assert_int_equal(fabric_client_start(bed->client, &call, ignore_completion, NULL, NULL),
                     FABRIC_OK);
    invocation_path(bed, PROBE_STARTS, path);
    for (bool begun = false; !begun;) {
        testbed_poll(end_ms, "the start of the handler");
        FILE *file = fopen(path, "r");
        while (file && !begun && fgets(line, sizeof line, file)) {
            begun = strstr(line, " Hold ") != NULL;
        }
        if (file) {
            fclose(file);
        }
    }
}

/* Whether a file of the folder has that text. */
static bool has_said(const testbed_t *bed, const char *log, const char *text)
{
    char path[INVOCATION_PATH_SIZE];
    char line[2048];
    bool said = false;
    FILE *file = fopen(invocation_path(bed, log, path), "r");
    while (file && !said && fgets(line, sizeof line, file)) {
        said = strstr(line, text) != NULL;
    }
    if (file) {
        fclose(file);
    }
    return said;
}

static void wait_until_said(const testbed_t *bed, const char *log, const char *text)
{
    uint64_t end_ms = clock_monotonic_ms() + START_MS;
    while (!has_said(bed, log, text)) {
        testbed_poll(end_ms, text);
    }
}

static void expect_end(size_t which, int exit_status)
{
    process_t *process = &programs.processes[which];
    uint64_t end_ms = clock_monotonic_ms() + STOP_MS;
    while (process_runs(process)) {
        testbed_poll(end_ms,
                     which == BROKER ? "the broker does not end" : "the worker does not end");
    }
    assert_true(WIFEXITED(process->status));
    assert_int_equal(WEXITSTATUS(process->status), exit_status);
}

/* ---- outputs ---- */

/* Makes a named pipe that is full. */
static void make_full_pipe(testbed_t *bed, size_t which, const char *name)
{
    char path[INVOCATION_PATH_SIZE];
    assert_int_equal(mkfifo(invocation_path(bed, name, path), 0600), 0);
    programs.outputs[which] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(programs.outputs[which] > 0);
}

static void fill(int pipe)
{
    static const char page[4096] = {' '};
    while (write(pipe, page, sizeof page) > 0) {
    }
    while (write(pipe, page, 1) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
}

/* Takes out what is in a pipe until a text comes by. */
static void drain_until(int pipe, const char *text)
{
    static char kept[1 << 16];
    size_t size = 0;
    uint64_t end_ms = clock_monotonic_ms() + START_MS;
    while (!memmem(kept, size, text, strlen(text))) {
        if (size == sizeof kept) { /* the end of it may be the beginning of the text */
            size = strlen(text);
            memmove(kept, kept + sizeof kept - size, size);
        }
        ssize_t got = read(pipe, kept + size, sizeof kept - size);
        size += got > 0 ? (size_t)got : 0;
        if (got <= 0) {
            testbed_poll(end_ms, text);
        }
    }
}

/* Nobody reads the outputs of broker and worker: both serve all the same, log later how many lines
 * are missing, and end in time although their outputs are full. */
static void outputs_that_nobody_reads(void **state)
{
    testbed_t *bed = *state;
    set_up(bed);
    make_full_pipe(bed, BROKER, "broker.out");
    make_full_pipe(bed, WORKER, "worker.out");
    for (size_t i = 0; i < PROGRAMS; i++) {
        fill(programs.outputs[i]);
    }
    start_broker(bed, NULL);
    start_worker(bed, NULL);
    connect_client(bed);
    expect_service(bed);
    for (size_t i = 0; i < PROGRAMS; i++) {
        drain_until(programs.outputs[i], " log.dropped lines=");
        fill(programs.outputs[i]);
    }
    expect_service(bed);
    for (size_t i = 0; i < PROGRAMS; i++) {
        assert_int_equal(kill(programs.processes[i].pid, SIGTERM), 0);
        expect_end(i, 0);
    }
}

/* ---- signals ---- */

static void hang_up_is_ignored(void **state)
{
    testbed_t *bed = *state;
    set_up(bed);
    start_broker(bed, NULL);
    start_worker(bed, NULL);
    connect_client(bed);
    expect_service(bed);
    for (size_t i = 0; i < PROGRAMS; i++) {
        assert_int_equal(kill(programs.processes[i].pid, SIGHUP), 0);
    }
    wait_until_said(bed, "broker.out", " signal.ignored signal=SIGHUP");
    wait_until_said(bed, "worker.out", " signal.ignored signal=SIGHUP");
    expect_service(bed);
    for (size_t i = 0; i < PROGRAMS; i++) {
        assert_int_equal(kill(programs.processes[i].pid, SIGTERM), 0);
        expect_end(i, 0);
    }
    assert_true(has_said(bed, "broker.out", " broker.stopped cause=OK"));
}

/* A server that accepts connections and never sends anything. */
static void stop_while_the_database_hangs(void **state)
{
    testbed_t *bed = *state;
    char path[INVOCATION_PATH_SIZE];
    char store[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    set_up(bed);
    programs.outputs[WORKER] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int server = programs.outputs[WORKER];
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
    snprintf(store, sizeof store, "mysql://root@127.0.0.1:%u/x", ntohs(address.sin_port));
    const char *arguments[] = {invocation_program("fabric-broker", path),
                               "--listen",
                               programs.url,
                               "--publish",
                               programs.other,
                               "--store",
                               store,
                               "--connect-timeout-ms",
                               FOREVER_MS,
                               "--io-timeout-ms",
                               FOREVER_MS,
                               NULL};
    start(bed, BROKER, "broker.out", arguments);
    struct pollfd connected = {.fd = server, .events = POLLIN};
    assert_int_equal(poll(&connected, 1, START_MS), 1);
    assert_int_equal(kill(programs.processes[BROKER].pid, SIGTERM), 0);
    expect_end(BROKER, 0);
    assert_true(has_said(bed, "broker.out", " stop.forced "));
}

/* The process inside a namespace that `unshare` made for it; or itself. */
static pid_t inner_process(pid_t pid, const char *prefix)
{
    char path[64];
    long inner = pid;
    uint64_t end_ms = clock_monotonic_ms() + START_MS;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
    while (prefix && inner == pid) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        if (fscanf(file, "%ld", &inner) != 1) {
            testbed_poll(end_ms, "unshare starts nothing");
        }
        fclose(file);
    }
    return (pid_t)inner;
}

/* The first signal asks for an orderly stop, which something holds up here; the second ends the
 * process. */
static void expect_end_by_second_signal(testbed_t *bed, size_t which, const char *prefix)
{
    process_t *process = &programs.processes[which];
    pid_t pid = inner_process(process->pid, prefix);
    uint64_t end_ms = clock_monotonic_ms() + STOP_MS;
    assert_int_equal(kill(pid, SIGTERM), 0);
    for (int i = 0; i < 20; i++) {
        testbed_poll(end_ms, "time stands still");
        if (!process_runs(process)) {
            folder_print_end(bed->folder, which == BROKER ? "broker.out" : "worker.out", stderr);
            fail_msg("the first signal ended it, with wait status %d", process->status);
        }
    }
    while (process_runs(process)) { /* two that come at once are one */
        (void)kill(pid, SIGTERM);
        testbed_poll(end_ms, "the second signal does not end it");
    }
    assert_true(WIFEXITED(process->status));
    assert_int_equal(WEXITSTATUS(process->status), 128 + SIGTERM);
}

/* The stop is held up by a pending handler, or by a frozen worker that does not release its
 * shards. */
static void second_signal(testbed_t *bed, size_t which, const char *prefix)
{
    set_up(bed);
    start_broker(bed, which == BROKER ? prefix : NULL);
    start_worker(bed, which == WORKER ? prefix : NULL);
    connect_client(bed);
    expect_service(bed);
    if (which == WORKER) {
        hold_a_handler(bed);
    } else {
        testbed_freeze(&programs.processes[WORKER]);
    }
    expect_end_by_second_signal(bed, which, prefix);
}

static void a_second_signal_ends_a_broker(void **state)
{
    second_signal(*state, BROKER, NULL);
}

static void a_second_signal_ends_a_worker(void **state)
{
    second_signal(*state, WORKER, NULL);
}

static void second_signal_as_process_1(testbed_t *bed, size_t which)
{
    if (geteuid() != 0) {
        testbed_skip(bed, "only root can make a namespace of process ids");
    }
    second_signal(bed, which, "unshare");
}

static void a_second_signal_ends_a_broker_as_process_1(void **state)
{
    second_signal_as_process_1(*state, BROKER);
}

static void a_second_signal_ends_a_worker_as_process_1(void **state)
{
    second_signal_as_process_1(*state, WORKER);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"outputs_that_nobody_reads", outputs_that_nobody_reads, TESTBED_SQLITE},
        {"hang_up_is_ignored", hang_up_is_ignored, TESTBED_SQLITE},
        {"stop_while_the_database_hangs", stop_while_the_database_hangs, TESTBED_SQLITE},
        {"a_second_signal_ends_a_broker", a_second_signal_ends_a_broker, TESTBED_SQLITE},
        {"a_second_signal_ends_a_worker", a_second_signal_ends_a_worker, TESTBED_SQLITE},
        {"a_second_signal_ends_a_broker_as_process_1", a_second_signal_ends_a_broker_as_process_1,
         TESTBED_SQLITE},
        {"a_second_signal_ends_a_worker_as_process_1", a_second_signal_ends_a_worker_as_process_1,
         TESTBED_SQLITE},
    };
    return testbed_run("process", tests, sizeof tests / sizeof tests[0]);
}
