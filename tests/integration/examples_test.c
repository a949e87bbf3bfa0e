/* The examples and the demonstration work as documented. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/testbed.h"

enum { LINE_SIZE = 400, LINES_MAX = 30, PATH_SIZE = FOLDER_PATH_SIZE + 100, STEP_MS = 120000 };

static const char *built(const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", getenv("FABRIC_BUILD"), name);
    return path;
}

/* Runs a program to its end, which must be a good one, and keeps what it prints. */
static size_t run_command(testbed_t *bed, const char *const *arguments,
                          char lines[LINES_MAX][LINE_SIZE])
{
    char log[PATH_SIZE];
    size_t count = 0;
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    const char *name = arguments[0];
    snprintf(log, sizeof log, "%s/log", bed->folder);
    fabric_error_t error = process_start(arguments, log, true, &reason, &process);
    while (!error && count < LINES_MAX &&
           process_read_line(&process, STEP_MS, lines[count], LINE_SIZE) == FABRIC_OK) {
        count++;
    }
    error = error ? error : process_wait(&process, STEP_MS, &reason);
    process_stop(&process, 0);
    if (error) {
        for (size_t i = 0; i < count; i++) {
            fprintf(stderr, "%s\n", lines[i]);
        }
        folder_print_end(bed->folder, "log", stderr);
        fail_msg("%s: %s: %s", name, fabric_error_name(error), reason.text);
    }
    return count;
}

static size_t run(testbed_t *bed, const char *name, const char *argument,
                  char lines[LINES_MAX][LINE_SIZE])
{
    char path[PATH_SIZE];
    return run_command(bed, (const char *const[]){built(name, path), argument, NULL}, lines);
}

static void counter_example_works(void **state)
{
    testbed_t *bed = *state;
    char module[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    assert_non_null(getenv("FABRIC_BUILD"));
    assert_int_equal(run(bed, "examples/counter/counter_test", NULL, lines), 3);
    assert_string_equal(lines[0], "ok: a counter starts at 0");
    bed->worker_arguments =
        (const char *const[]){"--module", built("examples/counter/counter.so", module), NULL};
    testbed_start(bed, 1);
    assert_int_equal(run(bed, "examples/counter/counter_client", bed->cluster.url, lines), 7);
    assert_string_equal(lines[0], "counter-1: incremented by 5 to 5");
    assert_string_equal(lines[4], "counter-1 = 6");
    assert_int_equal(run(bed, "examples/counter/counter_first_client", bed->cluster.url, lines), 1);
    assert_string_equal(lines[0], "counter-1 = 11");
    assert_int_equal(run(bed, "examples/counter/counter_async_client", bed->cluster.url, lines), 1);
    assert_string_equal(lines[0],
                        "1000 increments of 10 counters, 0 failed; the highest value is 100");
}

static void expect_line(testbed_t *bed, const char *const *command, const char *line)
{
    char lines[LINES_MAX][LINE_SIZE];
    assert_int_equal(run_command(bed, command, lines), 1);
    assert_string_equal(lines[0], line);
}

/* Its worker is killed, and another one started in its place. */
static void replace_worker(testbed_t *bed)
{
    testbed_kill(&bed->cluster.workers[0]);
    testbed_restart_worker(bed, 0);
    testbed_wait_ready(bed, 1);
}

static void start_order_worker(testbed_t *bed)
{
    static char folder[FOLDER_PATH_SIZE + 40];
    static const char *const environment[] = {folder, NULL};
    snprintf(folder, sizeof folder, "ORDER_FOLDER=%s/orders", bed->folder);
    bed->worker_environment = environment;
    testbed_start(bed, 0);
    bed->options.module = "../examples/order/order.so";
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
}

/* Fields of most kinds, as structs and as JSON; a payment that outlives its worker. */
static void order_example_works(void **state)
{
    static const char request[] =
        "{\"placedAt\": \"2025-01-31T13:00:00+01:00\", \"payment\": {\"invoice\": {\"address\": "
        "\"here\"}}, \"lines\": [{\"sku\": \"apple\", \"quantity\": 3, \"priceCents\": 50}], "
        "\"labels\": {\"z\": \"\", \"gift\": \"For you\"}}";
    testbed_t *bed = *state;
    char client[PATH_SIZE], control[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    assert_int_equal(run(bed, "examples/order/order_test", NULL, lines), 22);
    assert_string_equal(lines[2], "ok: an invoice has a limit");
    assert_string_equal(lines[8], "by: expected one of card, invoice, found the number 3");
    assert_string_equal(lines[13], "ok: a second charge returns the first payment");
    start_order_worker(bed);
    const char *const buy[] = {built("examples/order/order_client", client), bed->cluster.url,
                               NULL};
    assert_int_equal(run_command(bed, buy, lines), 4);
    assert_string_equal(lines[0], "status 1, 230 cents, gift \"For you\"");
    assert_string_equal(lines[1], "3 apple");
    assert_string_equal(lines[3], "payment 1");
    replace_worker(bed);
    expect_line(bed, buy, "payment 1, made before");
    const char *const too_much[] = {client, bed->cluster.url, "order-3", "3000", NULL};
    expect_line(bed, too_much, "50080 cents too much");
    built("bin/fabricctl", control);
    const char *const call[] = {control, "call",  "--url", bed->cluster.url, "Order", "order-2",
                                "Place", request, NULL};
    expect_line(bed, call,
                "{\"status\": \"PLACED\", \"placedAt\": \"2025-01-31T12:00:00.000Z\", "
                "\"totalCents\": 150, \"lines\": [{\"sku\": \"apple\", \"quantity\": 3, "
                "\"priceCents\": 50}], \"gift\": \"For you\"}");
}

/* On SQLite the one broker is started again; on MariaDB another one takes over. */
static void kill_broker(testbed_t *bed)
{
    testbed_kill(&bed->cluster.broker);
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_restart_broker(bed);
    }
}

/* The value survives a worker, with another one there, the last worker, and a broker. */
static void persistent_counter_example_works(void **state)
{
    testbed_t *bed = *state;
    char client[PATH_SIZE], control[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    assert_int_equal(run(bed, "examples/persistent_counter/persistent_counter_test", NULL, lines),
                     5);
    assert_string_equal(lines[1], "ok: a counter survives its worker");
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, 3, 0);
    }
    bed->options.module = "../examples/persistent_counter/persistent_counter.so";
    testbed_add_worker(bed);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    const char *const add[] = {
        built("examples/persistent_counter/persistent_counter_client", client), bed->cluster.urls,
        "counter-1", "5", NULL};
    const char *const show[] = {built("bin/fabricctl", control),
                                "--url",
                                bed->cluster.urls,
                                "entity",
                                "state",
                                "PersistentCounter",
                                "counter-1",
                                NULL};
    expect_line(bed, add, "counter-1 = 5");
    testbed_kill(&bed->cluster.workers[0]);
    expect_line(bed, add, "counter-1 = 10");
    testbed_kill(&bed->cluster.workers[1]);
    testbed_restart_worker(bed, 0);
    expect_line(bed, add, "counter-1 = 15");
    kill_broker(bed);
    expect_line(bed, add, "counter-1 = 20");
    expect_line(bed, show, "{\"value\": 20}");
}

static void pay(testbed_t *bed, const char *amount, const char *line)
{
    char client[PATH_SIZE];
    const char *const command[] = {built("examples/account/account_client", client),
                                   bed->cluster.urls, "acct-789", amount, NULL};
    expect_line(bed, command, line);
}

/* An account is what its events make, and a refusal is none; after each death as before. */
static void account_example_works(void **state)
{
    testbed_t *bed = *state;
    char lines[LINES_MAX][LINE_SIZE];
    assert_int_equal(run(bed, "examples/account/account_test", NULL, lines), 6);
    assert_string_equal(lines[1], "ok: an account is rebuilt from its events");
    assert_string_equal(lines[2], "ok: each movement is an event");
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, 3, 0);
    }
    bed->options.module = "../examples/account/account.so";
    testbed_add_worker(bed);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    pay(bed, "100", "acct-789 = 100");
    pay(bed, "-30", "acct-789 = 70");
    pay(bed, "50", "acct-789 = 120");
    pay(bed, "-500", "acct-789 has 120, and 500 were requested");
    testbed_kill(&bed->cluster.workers[0]);
    pay(bed, "-20", "acct-789 = 100");
    testbed_kill(&bed->cluster.workers[1]);
    testbed_restart_worker(bed, 0);
    pay(bed, "20", "acct-789 = 120");
    kill_broker(bed);
    pay(bed, "30", "acct-789 = 150");
}

/* A limiter forgets with its worker. */
static void rate_limiter_example_works(void **state)
{
    testbed_t *bed = *state;
    char client[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    assert_int_equal(run(bed, "examples/rate_limiter/rate_limiter_test", NULL, lines), 5);
    assert_string_equal(lines[3], "ok: a limiter that is restarted begins anew");
    testbed_start(bed, 0);
    bed->options.module = "../examples/rate_limiter/rate_limiter.so";
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
    const char *const check[] = {built("examples/rate_limiter/rate_limiter_client", client),
                                 bed->cluster.urls, "api-key-1", "120", NULL};
    expect_line(bed, check, "api-key-1: 100 of 120 allowed");
    process_stop(&bed->cluster.workers[0], STEP_MS); /* its brokers know that it is gone */
    testbed_restart_worker(bed, 0);
    testbed_wait_ready(bed, 1);
    expect_line(bed, check, "api-key-1: 100 of 120 allowed");
}

/* The number before a word of the line that holds both. */
static uint64_t number_before(char lines[LINES_MAX][LINE_SIZE], size_t count, const char *begin,
                              const char *word)
{
    for (size_t i = 0; i < count; i++) {
        const char *end = strstr(lines[i], begin) ? strstr(lines[i], word) : NULL;
        while (end && end > lines[i] && end[-1] >= '0' && end[-1] <= '9') {
            end--;
        }
        if (end) {
            return strtoull(end, NULL, 10);
        }
    }
    fail_msg("the demonstration prints no '%s'", word);
    return 0;
}

/* Exactly what the killed worker had not answered is delivered again. */
static void demonstration_adds_up(void **state)
{
    testbed_t *bed = *state;
    char lines[LINES_MAX][LINE_SIZE];
    size_t count = run(bed, "bin/fabric-demo", NULL, lines);
    uint64_t durable = number_before(lines, count, "kill -9", " durable");
    uint64_t open = number_before(lines, count, "kill -9", " unanswered");
    assert_true(durable > 0);
    assert_int_equal(open, durable + number_before(lines, count, "kill -9", " volatile"));
    assert_int_equal(number_before(lines, count, "demo: ", " redelivered"), durable);
    assert_int_equal(number_before(lines, count, "demo: ", " lost"), 0);
    assert_true(number_before(lines, count, "demo: ", " accepted") >= 20000);
    assert_int_equal(number_before(lines, count, "volatile messages", " failed or unknown"),
                     open - durable);
}

static void demonstration_survives_a_broker(void **state)
{
    char path[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    const char *const arguments[] = {
        built("bin/fabric-demo", path), "--store", "mysql", "--brokers", "3", NULL};
    size_t count = run_command(*state, arguments, lines);
    assert_int_equal(number_before(lines, count, "demo: ", " lost"), 0);
    assert_true(number_before(lines, count, "demo: ", " accepted") >= 20000);
    assert_int_equal(number_before(lines, count, "demo: ", " brokers"), 3);
    assert_true(number_before(lines, count, "of broker process", " calls in flight") > 0);
}

static void demonstration_explains_itself(void **state)
{
    char lines[LINES_MAX][LINE_SIZE];
    assert_true(run(*state, "bin/fabric-demo", "--help", lines) > 5);
    assert_int_equal(strncmp(lines[0], "usage: fabric-demo", 18), 0);
    assert_int_equal(run(*state, "bin/fabric-demo", "--version", lines), 1);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"counter_example_works", counter_example_works, TESTBED_SQLITE},
        {"order_example_works", order_example_works, TESTBED_SQLITE},
        {"persistent_counter_example_works", persistent_counter_example_works, TESTBED_BOTH},
        {"account_example_works", account_example_works, TESTBED_BOTH},
        {"rate_limiter_example_works", rate_limiter_example_works, TESTBED_SQLITE},
        {"demonstration_adds_up", demonstration_adds_up, TESTBED_SQLITE},
        {"demonstration_survives_a_broker", demonstration_survives_a_broker, TESTBED_MYSQL},
        {"demonstration_explains_itself", demonstration_explains_itself, TESTBED_SQLITE},
    };
    return testbed_run("examples", tests, sizeof tests / sizeof tests[0]);
}
