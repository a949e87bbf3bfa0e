/* Wall clocks are set under load: those of the broker, the worker, the client and the database
 * server, one at a time, by an hour and by a day, forwards and backwards, and to ten times their
 * speed. Leases, deadlines and owners depend on monotonic clocks and must not change; ids begin at
 * the database's time when a broker starts, and must grow along a shard all the same. Only the time
 * stamps of log lines follow the wall clock.
 *
 * The client is this process. To be under a clock of its own it runs itself again, with libfaketime
 * loaded. What it starts has clocks of its own: brokers and workers by the testbed, the database's
 * server because it is started while the environment names its clock. */
#include "tests/checker/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/fake_clock.h"
#include "tests/harness/machine.h"

enum {
    RUN_MS = 350, /* of load after each change of a clock */
    LEASE_MS = 3000,
    GAP_MS_MAX = 2500,   /* less than a lease */
    CALL_MS = 60000,     /* less than the smallest jump */
    HOUR_S = 3600,       /* of the stamps */
    DEADLINE_MS = 30000, /* of what is waited for */
    LOG_SIZE = 1 << 20
};

#define ROUNDS "CLOCK_TEST_RUNS_AGAIN"

static fake_clock_t broker_clock;
static fake_clock_t worker_clock;
static fake_clock_t client_clock;
static fake_clock_t database_clock;
static char missing[256]; /* why clocks cannot be moved here */

static const char *const offsets[] = {"+1h", "-1h", "+1d", "+0", "-1d", "+1d", "+0 x10", "+0"};

/* ---- what must not change ---- */

typedef struct picture {
    json_t *shards; /* homes and owners */
    int64_t term, sequence;
} picture_t;

static picture_t take_picture(testbed_t *bed)
{
    json_t *status = testbed_status(bed->client);
    picture_t picture = {json_incref(json_object_get(status, "shards")),
                         json_integer_value(json_object_get(status, "map_term")),
                         json_integer_value(json_object_get(status, "map_sequence"))};
    json_decref(status);
    assert_true(json_array_size(picture.shards) > 0);
    return picture;
}

static void assert_same_picture(testbed_t *bed, picture_t *before)
{
    picture_t after = take_picture(bed);
    assert_int_equal(before->term, after.term);
    assert_int_equal(before->sequence, after.sequence);
    assert_true(json_equal(before->shards, after.shards));
    json_decref(before->shards);
    json_decref(after.shards);
}

static void assert_no_trouble(testbed_t *bed, const workload_t *load)
{
    workload_counts_t counts = workload_counts(load);
    assert_int_equal(counts.failed, 0);
    assert_int_equal(counts.rejected, 0);
    assert_int_equal(counts.unknown, 0);
    assert_in_range(workload_gap_ms(load), 0, machine_scaled(GAP_MS_MAX));
    assert_int_equal(testbed_counter(bed->client, "redelivered"), 0);
    assert_int_equal(testbed_counter(bed->client, "results_refused"), 0);
}

static void start(testbed_t *bed)
{
    /* After a jump, all entries are a day old; the checker needs them. */
    static char lease[16];
    static const char *const arguments[] = {"--call-retention-ms", "2000000000", "--lease-ms",
                                            lease, NULL};
    if (missing[0]) {
        testbed_skip(bed, missing);
    }
    machine_measure();
    snprintf(lease, sizeof lease, "%u", (unsigned)machine_scaled(LEASE_MS));
    fake_clock_export(&client_clock); /* from here on the server's clock is its own */
    const fake_clock_t *clocks[] = {&broker_clock, &worker_clock, &client_clock, &database_clock};
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        fake_clock_set(clocks[i], "+0");
    }
    bed->broker_arguments = arguments;
    bed->broker_environment = broker_clock.environment;
    bed->worker_environment = worker_clock.environment;
    testbed_start(bed, 2);
}

static void move_clock(testbed_t *bed, const fake_clock_t *clock)
{
    const workload_options_t options = {.timeout_ms = CALL_MS};
    start(bed);
    workload_t *load = workload_start(bed, &options);
    workload_run(load, RUN_MS);
    picture_t before = take_picture(bed);
    workload_mark(load);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        fake_clock_set(clock, offsets[i]);
        workload_run(load, RUN_MS);
    }
    assert_same_picture(bed, &before);
    assert_no_trouble(bed, load);
    assert_null(cluster_casualty(&bed->cluster));
    workload_end_and_check(&load);
}

static void broker_clock_moves(void **state)
{
    move_clock(*state, &broker_clock);
}

static void worker_clock_moves(void **state)
{
    move_clock(*state, &worker_clock);
}

static void client_clock_moves(void **state)
{
    int64_t before_ms = clock_wall_ms();
    move_clock(*state, &client_clock);
    fake_clock_set(&client_clock,
                   "+1d"); /* this process's clock must have changed, or nothing was tested */
    assert_true(clock_wall_ms() - before_ms > 23 * HOUR_S * INT64_C(1000));
}

static void database_clock_moves(void **state)
{
    testbed_t *bed = *state;
    move_clock(bed, &database_clock);
    fake_clock_set(&database_clock, "+1d");
    int64_t ahead_s =
        testbed_query_number(bed, "SELECT UNIX_TIMESTAMP(SYSDATE())") - clock_wall_ms() / 1000;
    assert_true(ahead_s > 23 * HOUR_S);
}

/* ---- stamps ---- */

/* The latest stamp of the broker's log lines. */
static time_t last_stamp(const testbed_t *bed)
{
    char path[FOLDER_PATH_SIZE + 16];
    char line[2048];
    time_t last = 0;
    snprintf(path, sizeof path, "%s/broker.log", bed->cluster.folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct tm date = {0};
        if (strptime(line, "%Y-%m-%dT%H:%M:%S", &date)) {
            time_t stamp = timegm(&date);
            last = stamp > last ? stamp : last;
        }
    }
    fclose(file);
    return last;
}

static void only_stamps_follow(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    time_t now = time(NULL);
    assert_in_range(last_stamp(bed), now - HOUR_S, now + HOUR_S);
    fake_clock_set(&broker_clock, "+1d");
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 3);
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (last_stamp(bed) < now + 23 * HOUR_S) {
        testbed_poll(deadline_ms, "a log line with tomorrow's stamp");
    }
}

/* ---- brokers that start after a jump ---- */

static table_count_t count_messages(testbed_t *bed, uint64_t above)
{
    table_filter_t filter = {.above = above, .inconsistent = true};
    testbed_wait_drained(bed);
    return table_count_read(bed, &filter);
}

/* That messages were accepted since, and all of them with larger ids than before. */
static void assert_ids_above(testbed_t *bed, const table_count_t *before)
{
    table_count_t after = count_messages(bed, 0);
    assert_true(after.messages > before->messages);
    assert_int_equal(count_messages(bed, before->last_id).messages,
                     after.messages - before->messages);
}

static bool has_new_replies(void *context)
{
    const workload_t *load = context;
    static uint64_t before;
    static const workload_t *of;
    uint64_t replied = workload_counts(load).replied;
    if (of != load) {
        of = load;
        before = replied;
    }
    bool grown = replied > before + 200;
    before = grown ? replied : before;
    return grown;
}

static void run_until_replies(workload_t *load)
{
    assert_true(workload_run_until(load, has_new_replies, load, DEADLINE_MS));
}

static void restart_broker(testbed_t *bed)
{
    reason_t reason = {{0}};
    if (cluster_restart_broker(&bed->cluster, &reason)) {
        fail_msg("the broker does not start again: %s", reason.text);
    }
}

/* On SQLite the broker's clock is the database's. */
static void restarts_after_jumps(testbed_t *bed, const fake_clock_t *clock)
{
    static const char *const jumps[] = {"+1d", "-1d", "+0"};
    start(bed);
    workload_t *load = workload_start(bed, NULL);
    run_until_replies(load);
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        bool sqlite = strcmp(bed->store, "sqlite") == 0;
        table_count_t before = sqlite ? (table_count_t){0} : count_messages(bed, 0);
        fake_clock_set(clock, jumps[i]);
        restart_broker(bed);
        run_until_replies(load);
        if (!sqlite) {
            assert_ids_above(bed, &before);
        }
    }
    assert_int_equal(workload_counts(load).failed, 0);
    workload_end_and_check(&load);
}

static void broker_restarts_after_jumps(void **state)
{
    restarts_after_jumps(*state, &broker_clock);
}

static void test_nt_19_database_jumps_and_the_broker_restarts(void **state)
{
    restarts_after_jumps(*state, &database_clock);
}

/* The standby began when the database's clock was right again: a day behind the ids that the first
 * broker made, and that clients name. */
static void standby_takes_over_after_a_jump(void **state)
{
    testbed_t *bed = *state;
    reason_t reason = {{0}};
    bed->lanes = 1; /* which stays where it is when the standby joins */
    start(bed);
    fake_clock_set(&database_clock, "+1d");
    restart_broker(bed);
    testbed_wait_ready(bed, 2);
    fake_clock_set(&database_clock, "+0");
    assert_int_equal(cluster_start_standby(&bed->cluster, &reason), FABRIC_OK);
    testbed_add_worker(bed); /* the first two know the standby by the map */
    testbed_wait_ready(bed, 3);
    testbed_connect(bed);
    workload_t *load = workload_start(bed, NULL);
    run_until_replies(load);
    table_count_t before = count_messages(bed, 0);
    testbed_kill(&bed->cluster.broker);
    run_until_replies(load);
    assert_ids_above(bed, &before);
    assert_int_equal(workload_counts(load).failed, 0);
    workload_end_and_check(&load);
}

/* ---- */

/* Returns in a process whose clock is the client's, unless that cannot be. */
static void run_again_under_a_clock(char **arguments)
{
    bool again = getenv(ROUNDS) != NULL;
    if (!fake_clock_open(&client_clock, "client", missing)) {
        return;
    }
    if (!again) {
        setenv(ROUNDS, "1", 1);
        fake_clock_export(&client_clock);
        execv("/proc/self/exe", arguments);
        snprintf(missing, sizeof missing, "this program cannot run itself");
        return;
    }
    if (!fake_clock_open(&broker_clock, "broker", missing) ||
        !fake_clock_open(&worker_clock, "worker", missing) ||
        !fake_clock_open(&database_clock, "database", missing)) {
        return;
    }
    fake_clock_export(&database_clock);
}

int main(int count, char **arguments)
{
    (void)count;
    static const testbed_test_t tests[] = {
        {"broker_clock_moves", broker_clock_moves, TESTBED_BOTH},
        {"worker_clock_moves", worker_clock_moves, TESTBED_MYSQL},
        {"client_clock_moves", client_clock_moves, TESTBED_MYSQL},
        {"database_clock_moves", database_clock_moves, TESTBED_MYSQL},
        {"only_stamps_follow", only_stamps_follow, TESTBED_SQLITE},
        {"broker_restarts_after_jumps", broker_restarts_after_jumps, TESTBED_BOTH},
        {"test_nt_19_database_jumps_and_the_broker_restarts",
         test_nt_19_database_jumps_and_the_broker_restarts, TESTBED_MYSQL},
        {"standby_takes_over_after_a_jump", standby_takes_over_after_a_jump, TESTBED_MYSQL},
    };
    run_again_under_a_clock(arguments);
    int failed = testbed_run("clock", tests, sizeof tests / sizeof tests[0]);
    fake_clock_close(&broker_clock);
    fake_clock_close(&worker_clock);
    fake_clock_close(&client_clock);
    fake_clock_close(&database_clock);
    return failed;
}
