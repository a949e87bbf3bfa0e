/* A cluster of 3 brokers, 20 workers and 200 clients on one machine: it starts, serves each client
 * in every lane, keeps no descriptor or thread of clients that have left, and stops cleanly. What
 * each kind of process takes is printed; docs/limits.md has the figures.
 *
 * The program is also the processes of the clients: `scale_test clients URLS COUNT NAME`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cpu.h"
#include "core/address.h"
#include "core/clock.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/testbed.h"

/* Programs that a sanitizer watches need several times the memory and the time. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SMALLER = 4 };
#else
enum { SMALLER = 1 };
#endif

enum {
    BROKERS = 3,
    WORKERS = 20 / SMALLER,
    CROWDS = 10, /* processes with many clients */
    CROWD = 19 / SMALLER,
    SINGLES = 10, /* processes with one client */
    PROCESSES = CROWDS + SINGLES,
    CLIENTS_MAX = 32,
    SHARDS = 300,
    WAIT_MAX_MS = 90000,
    SETTLE_MS = 300, /* until the connections of questions are closed */
    IDLE_MS = 1000
};

/* ---- a process of clients ---- */

/* An entity of the lane. */
static void name_entity(const char *prefix, uint32_t lane, char name[64])
{
    for (unsigned i = 0;; i++) {
        snprintf(name, 64, "%s-%u", prefix, i);
        if (address_shard_number(fabric_bytes_of(name), SHARDS) % TESTBED_LANES == lane) {
            return;
        }
    }
}

static bool ask(fabric_client_t *client, const char *entity, const fabric_message_type_t *message)
{
    probe_text_t request = {""};
    probe_text_t reply = {""};
    fabric_outcome_t outcome = {0};
    snprintf(request.text, sizeof request.text, "%s", entity);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, entity),
                          .message = message,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    fabric_error_t error = fabric_client_call(client, &call, &reply, NULL, NULL, &outcome);
    if (error || strcmp(request.text, reply.text) != 0) {
        fprintf(stderr, "%s: %s %s\n", entity, fabric_error_name(error), outcome.text);
        return false;
    }
    return true;
}

/* A durable and a volatile call in each lane. */
static bool ask_all_lanes(fabric_client_t *client, const char *name)
{
    bool answered = true;
    for (uint32_t lane = 0; answered && lane < TESTBED_LANES; lane++) {
        char entity[64];
        name_entity(name, lane, entity);
        answered = ask(client, entity, &probe_echo) && ask(client, entity, &probe_volatile_echo);
    }
    return answered;
}

/* Says "served" when all calls have been answered, and ends in order after SIGTERM. */
static int be_clients(const char *urls, uint32_t count, const char *name)
{
    static fabric_client_t *clients[CLIENTS_MAX];
    fabric_client_options_t options = {.name = name, .connect_timeout_ms = WAIT_MAX_MS};
    sigset_t signals;
    int ended_by;
    bool served = count <= CLIENTS_MAX;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    for (uint32_t i = 0; served && i < count; i++) {
        char own[32];
        snprintf(own, sizeof own, "%s-%u", name, i);
        served = fabric_client_open(urls, &options, &clients[i], NULL) == FABRIC_OK &&
                 ask_all_lanes(clients[i], own);
    }
    if (served) {
        (void)!write(STDOUT_FILENO, "served\n", 7);
        sigwait(&signals, &ended_by);
    }
    for (uint32_t i = 0; i < count && i < CLIENTS_MAX; i++) {
        fabric_client_close(&clients[i]);
    }
    return served ? 0 : 1;
}

/* ---- the test ---- */

static struct {
    process_t processes[PROCESSES];
    uint64_t started_ms;
} clients;

static void start_clients(testbed_t *bed)
{
    char log[FOLDER_PATH_SIZE + 32];
    snprintf(log, sizeof log, "%s/clients.log", bed->folder);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        reason_t reason = {{0}};
        char count[12];
        char name[16];
        snprintf(count, sizeof count, "%u", i < CROWDS ? CROWD : 1);
        snprintf(name, sizeof name, "crowd%u", i);
        const char *const arguments[] = {
            "/proc/self/exe", "clients", bed->cluster.urls, count, name, NULL};
        assert_int_equal(process_start(arguments, log, true, &reason, &clients.processes[i]),
                         FABRIC_OK);
    }
    for (uint32_t i = 0; i < PROCESSES; i++) {
        char line[32];
        if (process_read_line(&clients.processes[i], WAIT_MAX_MS, line, sizeof line)) {
            folder_print_end(bed->folder, "clients.log", stderr);
            fail_msg("client process %u was not served", i);
        }
    }
}

static void stop_clients(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        process_stop(&clients.processes[i], 0);
    }
}

/* Ends processes in order, all at once: each exits with status 0, and leaves no other behind. */
static void end_in_order(testbed_t *bed, process_t *processes, uint32_t count, const char *what)
{
    uint64_t start_ms = clock_monotonic_ms();
    pid_t groups[CLUSTER_WORKERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        groups[i] = processes[i].pid;
        assert_int_equal(kill(groups[i], SIGTERM), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        reason_t reason = {{0}};
        if (process_wait(&processes[i], WAIT_MAX_MS, &reason) != FABRIC_OK) {
            cluster_print_logs(&bed->cluster, stderr);
            fail_msg("%s %u: %s", what, i, reason.text);
        }
        assert_int_equal(kill(-groups[i], 0), -1);
        process_stop(&processes[i], 0);
    }
    print_message("%u %s ended within %llu ms\n", count, what,
                  (unsigned long long)(clock_monotonic_ms() - start_ms));
}

/* ---- figures ---- */

typedef struct figures {
    size_t descriptors, threads;
    uint64_t rss_kib, pss_kib;
} figures_t;

static void print_figures(const char *what, const process_t *processes, uint32_t count)
{
    figures_t most = {0};
    uint64_t pss_kib = 0;
    for (uint32_t i = 0; i < count; i++) {
        figures_t one = {process_descriptors(&processes[i]), process_threads(&processes[i]),
                         process_rss_kib(&processes[i]), process_pss_kib(&processes[i])};
        most.descriptors = one.descriptors > most.descriptors ? one.descriptors : most.descriptors;
        most.threads = one.threads > most.threads ? one.threads : most.threads;
        most.rss_kib = one.rss_kib > most.rss_kib ? one.rss_kib : most.rss_kib;
        pss_kib += one.pss_kib;
    }
    print_message("%-32s %3zu descriptors, %2zu threads, %5.1f MiB RSS at most; %5.1f MiB PSS on "
                  "average\n",
                  what, most.descriptors, most.threads, (double)most.rss_kib / 1024,
                  (double)pss_kib / count / 1024);
}

static void print_idle(const testbed_t *bed)
{
    cpu_times_t before = cpu_times_read(&bed->cluster);
    uint64_t start_us = clock_monotonic_us();
    testbed_pause(IDLE_MS);
    cpu_times_t after = cpu_times_read(&bed->cluster);
    cpu_times_t used = cpu_times_between(&before, &after);
    double us = (double)(clock_monotonic_us() - start_us);
    print_message("idle: a broker takes %.1f %% of a processor, a worker %.2f %%\n",
                  100 * (double)used.brokers / BROKERS / us,
                  100 * (double)used.workers / WORKERS / us);
}

static size_t sum_descriptors(const testbed_t *bed)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < BROKERS; i++) {
        sum += process_descriptors(&bed->cluster.brokers[i]);
    }
    return sum;
}

static size_t sum_threads(const testbed_t *bed)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < BROKERS; i++) {
        sum += process_threads(&bed->cluster.brokers[i]);
    }
    return sum;
}

/* Each lane has got durable calls of each client. */
static void expect_all_lanes_used(testbed_t *bed)
{
    uint64_t ended = 0;
    for (uint32_t i = 0; i < BROKERS; i++) {
        json_t *status = testbed_status_of(bed->cluster.broker_urls[i]);
        assert_int_equal(json_array_size(json_object_get(status, "lanes")),
                         TESTBED_LANES / BROKERS);
        ended += (uint64_t)json_integer_value(
            json_object_get(json_object_get(status, "counters"), "ended"));
        json_decref(status);
    }
    assert_int_equal(ended, (CROWDS * CROWD + SINGLES) * TESTBED_LANES);
    assert_int_equal(
        testbed_query_number(bed, "SELECT COUNT(DISTINCT lane) FROM journal WHERE number > 1"),
        TESTBED_LANES);
}

static void a_crowd_is_served(void **state)
{
    testbed_t *bed = *state;
    uint64_t start_ms = clock_monotonic_ms();
    testbed_start_brokers(bed, BROKERS, WORKERS);
    fabric_client_close(&bed->client);
    print_message("%u brokers and %u workers are ready after %llu ms\n", BROKERS, WORKERS,
                  (unsigned long long)(clock_monotonic_ms() - start_ms));
    testbed_pause(SETTLE_MS);
    size_t threads = sum_threads(bed);
    size_t descriptors =
        sum_descriptors(bed) + BROKERS; /* a database connection, when it is used */
    print_figures("a broker without clients", bed->cluster.brokers, BROKERS);

    start_ms = clock_monotonic_ms();
    bed->at_end = stop_clients;
    start_clients(bed);
    print_message("%u clients in %u processes are served after %llu ms\n", CROWDS * CROWD + SINGLES,
                  PROCESSES, (unsigned long long)(clock_monotonic_ms() - start_ms));
    print_figures("a broker with clients", bed->cluster.brokers, BROKERS);
    print_figures("a worker", bed->cluster.workers, WORKERS);
    print_figures("a process with one client", clients.processes + CROWDS, SINGLES);
    char crowd[64];
    snprintf(crowd, sizeof crowd, "a process with %u clients", CROWD);
    print_figures(crowd, clients.processes, CROWDS);
    expect_all_lanes_used(bed);
    print_idle(bed);

    end_in_order(bed, clients.processes, PROCESSES, "client processes");
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (sum_descriptors(bed) > descriptors || sum_threads(bed) > threads) {
        testbed_poll(deadline_ms, "brokers to close the descriptors of clients that have left");
    }
    print_figures("a broker after clients", bed->cluster.brokers, BROKERS);
    testbed_wait_drained(bed);
    assert_null(cluster_casualty(&bed->cluster));
    end_in_order(bed, bed->cluster.workers, WORKERS, "workers");
    while (testbed_query_number(bed, "SELECT COUNT(*) FROM runner") > 0) {
        testbed_poll(deadline_ms, "the rows of workers that have left to be removed");
    }
    end_in_order(bed, bed->cluster.brokers, BROKERS, "brokers");
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM pending"), 0);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM broker WHERE incarnation <> "
                                               "REPEAT(X'00', 16)"),
                     0);
}

int main(int argc, char **argv)
{
    static const testbed_test_t tests[] = {
        {"a_crowd_is_served", a_crowd_is_served, TESTBED_MYSQL},
    };
    if (argc == 5 && strcmp(argv[1], "clients") == 0) {
        return be_clients(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
    }
    return testbed_run("scale", tests, sizeof tests / sizeof tests[0]);
}
