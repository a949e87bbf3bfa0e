/* A database host that goes silent: the connections that there are stay open, and nothing comes
 * through them any more, while new ones work. What a store does over a silent one ends at its
 * deadline, closing it takes no time, and it disturbs nobody. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_store.h"
#include "mysql/mysql_url.h"
#include "tests/harness/machine.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/proxy.h"
#include "tests/conformance/store_fixture.h"

/* LARGE: entries of 1 MiB, more than the buffers on the way take. */
enum { IO_MS = 2000, CLOSE_MS = 500, HOLD_MS = 20000, LARGE = 15, LARGE_BYTES = 1 << 20 };

#define SILENT_USER "silent"

static proxy_t *proxy;
static char silent_url[512]; /* the fixture's database, through the proxy */
static uint64_t next_entry;  /* of lane 0 */

/* ---- setup ---- */

static int setup(void **state)
{
    mysql_url_t url;
    char statements[300];
    if (fixture_setup_founded(state) != 0) {
        return -1;
    }
    const store_fixture_t *fixture = *state;
    next_entry = 2;
    assert_int_equal(mysql_url_parse(fixture->url, NULL, &url), FABRIC_OK);
    snprintf(statements, sizeof statements,
             "CREATE USER IF NOT EXISTS " SILENT_USER "@'%%'; GRANT ALL ON %s.* TO " SILENT_USER
             "@'%%'",
             url.database);
    assert_true(mariadb_execute(fixture->url, statements));
    proxy = proxy_start("127.0.0.1", url.port, PROXY_MYSQL);
    assert_non_null(proxy);
    snprintf(silent_url, sizeof silent_url, "mysql://" SILENT_USER "@127.0.0.1:%u/%s",
             proxy_port(proxy), url.database);
    return 0;
}

static int teardown(void **state)
{
    proxy_stop(&proxy);
    return fixture_teardown(state);
}

static fabric_error_t try_open(store_t **store)
{
    store_options_t options = {
        .url = silent_url, .connect_timeout_ms = IO_MS, .io_timeout_ms = IO_MS};
    return mysql_store_driver.open(&options, NULL, store);
}

/* The fixture's first connection is one through the proxy. */
static void connect_through(store_fixture_t *fixture)
{
    store_close(&fixture->store);
    assert_ok(try_open(&fixture->store));
}

static int descriptor_of(store_t *store)
{
    return mysql_store_of(sql_store_of(store))->session.handle->net.fd;
}

static void close_in_time(store_t **store)
{
    uint64_t begin_ms = clock_monotonic_ms();
    store_close(store);
    assert_in_range(clock_monotonic_ms() - begin_ms, 0, machine_scaled(CLOSE_MS));
}

/* ---- what the actors do with their connections ---- */

static fabric_error_t append(store_fixture_t *fixture)
{
    fabric_error_t error = append_one(fixture, &fixture->hold, next_entry);
    next_entry += error ? 0 : 1;
    return error;
}

static fabric_error_t checkpoint(store_fixture_t *fixture)
{
    store_pending_t row = pending_of(7, 7);
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 1};
    return fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice);
}

static fabric_error_t purge(store_fixture_t *fixture)
{
    store_purged_t purged;
    return fixture->driver->purge(fixture->store, &fixture->hold,
                                  &(store_purge_t){.before = 1, .entries_max = 5}, &purged);
}

static fabric_error_t load(store_fixture_t *fixture)
{
    size_t done;
    return fixture->driver->load_rows(fixture->store, 0, &(store_range_t){7, 0, 100, 100}, 1, 1000,
                                      collect_row, fixture, &done);
}

static fabric_error_t find(store_fixture_t *fixture)
{
    return fixture->driver->read_journal_back(fixture->store, 0, 100, STORE_ENTRY_CALLS, 10, 1000,
                                              collect_entry, fixture);
}

static void ignore_lane(void *context, const store_lane_t *lane)
{
    (void)context;
    (void)lane;
}

static fabric_error_t renew(store_fixture_t *fixture)
{
    fabric_error_t error =
        fixture->driver->broker_renew(fixture->store, fixture->broker.incarnation, 1);
    return error ? error : fixture->driver->lane_list(fixture->store, ignore_lane, NULL);
}

static fabric_error_t prove_term(store_fixture_t *fixture)
{
    uint16_t group;
    return fixture->driver->group_put(fixture->store, fixture->term, fixture->broker.incarnation,
                                      bytes_of("default"), &group);
}

typedef struct task {
    const char *actor;
    fabric_error_t (*run)(store_fixture_t *fixture);
    fabric_error_t when_silent;
} task_t;

static const task_t tasks[] = {
    {"appender", append, FABRIC_ERROR_STORE_UNKNOWN},
    {"checkpointer", checkpoint, FABRIC_ERROR_STORE_UNAVAILABLE},
    {"checkpointer", purge, FABRIC_ERROR_STORE_UNAVAILABLE},
    {"loader", load, FABRIC_ERROR_STORE_UNAVAILABLE},
    {"finder", find, FABRIC_ERROR_STORE_UNAVAILABLE},
    {"coordinator", renew, FABRIC_ERROR_STORE_UNKNOWN},
    {"coordinator", prove_term, FABRIC_ERROR_STORE_UNAVAILABLE},
};

/* ---- tests ---- */

/* The task's statement, which is prepared already, never gets an answer: it ends, and the same task
 * works over a new connection while the old one is silent still. */
static void hang_and_go_on(store_fixture_t *fixture, const task_t *task)
{
    connect_through(fixture);
    assert_ok(task->run(fixture));
    uint32_t held = proxy_held(proxy);
    proxy_hold_present(proxy);
    assert_true(proxy_held(proxy) > held);
    uint64_t begin_ms = clock_monotonic_ms();
    fabric_error_t error = task->run(fixture);
    uint64_t took_ms = clock_monotonic_ms() - begin_ms;
    if (error != task->when_silent || took_ms > IO_MS + machine_scaled(1000)) {
        fail_msg("%s: %s after %llu ms", task->actor, fabric_error_name(error),
                 (unsigned long long)took_ms);
    }
    close_in_time(&fixture->store);
    assert_ok(try_open(&fixture->store));
    assert_ok(task->run(fixture));
    assert_true(proxy_held(proxy) > held);
}

static void test_sr_02_a_statement_without_an_answer_ends_and_a_new_connection_works(void **state)
{
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        hang_and_go_on(*state, &tasks[i]);
    }
}

/* The host falls silent while a transaction has the lane's lock. The server gives the lock up by
 * itself, so the next connection can do the work. */
static void test_sr_02_a_transaction_that_hangs_leaves_its_locks(void **state)
{
    store_fixture_t *fixture = *state;
    connect_through(fixture);
    proxy_hold(proxy, "UPDATE checkpoint SET begun");
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, checkpoint(fixture));
    assert_int_equal(proxy_held(proxy), 1);
    close_in_time(&fixture->store);
    proxy_hold(proxy, NULL);
    assert_ok(try_open(&fixture->store));
    uint64_t deadline_ms = clock_monotonic_ms() + HOLD_MS;
    fabric_error_t error = checkpoint(fixture);
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = checkpoint(fixture);
    }
    assert_ok(error);
    assert_int_equal(proxy_held(proxy), 1);
}

/* Nothing that a new connection sends is answered either. */
static void test_sr_02_a_connection_that_hangs_as_it_is_made_ends(void **state)
{
    store_fixture_t *fixture = *state;
    store_close(&fixture->store);
    static const uint64_t after[] = {0, 60, 150, 400};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        proxy_stall(proxy, PROXY_TO_CLIENT, after[i]);
        uint64_t begin_ms = clock_monotonic_ms();
        store_t *store = NULL;
        assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, try_open(&store));
        assert_in_range(clock_monotonic_ms() - begin_ms, 0, IO_MS + machine_scaled(1000));
        proxy_heal(proxy);
    }
    assert_ok(try_open(&fixture->store));
}

/* A connection that is silent, but of which its store does not know that yet. */
static void test_sr_04_closing_a_silent_connection_takes_no_time(void **state)
{
    store_fixture_t *fixture = *state;
    connect_through(fixture);
    assert_ok(append(fixture));
    proxy_hold_present(proxy);
    close_in_time(&fixture->store);
    assert_ok(try_open(&fixture->store));
    assert_ok(load(fixture));
}

static fabric_error_t append_large(store_fixture_t *fixture, uint64_t first, fabric_bytes_t body)
{
    store_entry_t entries[LARGE];
    for (uint32_t i = 0; i < LARGE; i++) {
        entries[i] = entry_of(&fixture->hold, first + i);
        entries[i].body = body;
    }
    return fixture->driver->append(fixture->store, entries, LARGE);
}

/* More was to be sent than the buffers on the way take. */
static void test_sr_04_closing_a_full_connection_takes_no_time(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t *body = memory_allocate_zeroed(LARGE_BYTES, 1);
    connect_through(fixture);
    assert_ok(append_large(fixture, 2, fabric_bytes(body, 1))); /* the statement is prepared */
    proxy_hold_present(proxy);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN,
                 append_large(fixture, 2 + LARGE, fabric_bytes(body, LARGE_BYTES)));
    close_in_time(&fixture->store);
    assert_ok(try_open(&fixture->store));
    assert_ok(append_large(fixture, 2 + LARGE, fabric_bytes(body, LARGE_BYTES)));
    free(body);
}

enum { SPARE = 16 };

static void take_spare(int *spare)
{
    for (int i = 0; i < SPARE; i++) {
        spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(spare[i] >= 0);
    }
}

static void close_all(const int *descriptors, int count)
{
    for (int i = 0; i < count; i++) {
        close(descriptors[i]);
    }
}

/* The library closes the socket of a connection that is lost, and by then its number may be that of
 * another thread's socket, which nobody touches. What other threads of this process open meanwhile
 * gets smaller numbers. */
static void test_sr_04_closing_a_lost_connection_disturbs_no_other_one(void **state)
{
    store_fixture_t *fixture = *state;
    int spare[SPARE], pair[2];
    char byte = 0;
    store_close(&fixture->store);
    take_spare(spare);
    connect_through(fixture);
    int descriptor = descriptor_of(fixture->store);
    close_all(spare, SPARE);
    proxy_hold_present(proxy);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, load(fixture));
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_DUPFD_CLOEXEC, descriptor), descriptor);
    close_in_time(&fixture->store);
    assert_int_equal(send(pair[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(descriptor, &byte, 1, MSG_DONTWAIT), 1);
    close(descriptor);
    close_all(pair, 2);
    assert_ok(try_open(&fixture->store));
}

#define SILENT_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SILENT_TEST(test_sr_02_a_statement_without_an_answer_ends_and_a_new_connection_works),
        SILENT_TEST(test_sr_02_a_transaction_that_hangs_leaves_its_locks),
        SILENT_TEST(test_sr_02_a_connection_that_hangs_as_it_is_made_ends),
        SILENT_TEST(test_sr_04_closing_a_silent_connection_takes_no_time),
        SILENT_TEST(test_sr_04_closing_a_full_connection_takes_no_time),
        SILENT_TEST(test_sr_04_closing_a_lost_connection_disturbs_no_other_one),
    };
    char reason[256];
    int failed = 0;
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    machine_measure();
    bool started = mariadb_start(reason);
    if (started && mariadb_own()) {
        store_suite_t suite = {.name = "silent",
                               .driver = &mysql_store_driver,
                               .password = mariadb_password(),
                               .create = mariadb_fresh_database,
                               .destroy = mariadb_drop_database};
        store_fixture_use(&suite);
        failed = cmocka_run_group_tests_name("mysql_silent", tests, NULL, NULL);
    } else {
        print_message("skip: mysql_silent: %s\n[  SKIPPED ] mysql_silent\n",
                      started ? "the server is not the test's own" : reason);
    }
    mariadb_stop();
    return failed;
}
