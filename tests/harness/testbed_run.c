/* Runs integration tests, each with a testbed or several with one: see testbed.h. */
#include "tests/harness/testbed_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/mariadb.h"
#include "tests/harness/stop.h"

static const char *missing_server; /* why there is no server; NULL: it was not asked for, or runs */
static char missing_server_text[256];

static int set_up_sqlite(void **state)
{
    return testbed_set_up(state, TESTBED_SQLITE);
}

static int set_up_mysql(void **state)
{
    return testbed_set_up(state, TESTBED_MYSQL);
}

static int set_up_mysql_3(void **state)
{
    return testbed_set_up(state, TESTBED_MYSQL_3);
}

static void skip_named(const char *name, const char *reason)
{
    print_message("skip: %s: %s\n", name, reason);
    skip();
}

void testbed_skip(const testbed_t *bed, const char *reason)
{
    skip_named(bed->name, reason);
}

/* Runs in place of a test whose server is missing. */
static void say_skipped(void **state)
{
    skip_named(*state, missing_server);
}

/* ---- which tests run, and where ---- */

static bool is_full(void)
{
    const char *form = getenv("FABRIC_CONFORMANCE");
    return form && strcmp(form, "full") == 0;
}

static unsigned first_of(unsigned stores)
{
    return stores & -stores;
}

static unsigned stores_of(const testbed_test_t *test)
{
    if (is_full()) {
        unsigned stores = test->stores == TESTBED_CLUSTERS ? TESTBED_ALL : test->stores;
        return strncmp(test->name, "test_", 5) == 0 ? stores : 0;
    }
    return test->stores == TESTBED_ALL ? first_of(test->stores) : test->stores;
}

static unsigned shared_stores_of(const testbed_test_t *test)
{
    return is_full() ? test->stores : first_of(test->stores);
}

typedef unsigned stores_fn(const testbed_test_t *test);

/* Starts the server if a test needs one, or says why there is none. */
static void prepare(const testbed_test_t *tests, size_t count, stores_fn *stores)
{
    unsigned wanted = 0;
    stop_install();
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    for (size_t i = 0; i < count; i++) {
        wanted |= stores(&tests[i]);
    }
    if (mariadb_password()) {
        missing_server = "programs are not handed the password of the server that is given";
    } else if ((wanted & ~(unsigned)TESTBED_SQLITE) && !mariadb_start(missing_server_text)) {
        missing_server = missing_server_text;
    }
}

/* SQLite does not change with the server. */
static unsigned first_store(void)
{
    const char *root = getenv("FABRIC_TEST_MYSQL_ROOT");
    return root && *root ? TESTBED_MYSQL : TESTBED_SQLITE;
}

static struct CMUnitTest test_on(const testbed_test_t *test, unsigned store, unsigned stores)
{
    char name[128];
    bool one = (stores & (stores - 1)) == 0;
    snprintf(name, sizeof name, "%s%s", test->name,
             one                       ? ""
             : store == TESTBED_SQLITE ? "_sqlite"
             : store == TESTBED_MYSQL  ? "_mysql"
                                       : "_mysql_3");
    struct CMUnitTest unit = {.name = strdup(name), .test_func = test->run};
    if (store != TESTBED_SQLITE && missing_server) {
        unit.test_func = say_skipped;
        unit.initial_state = (void *)(uintptr_t)unit.name;
    }
    return unit;
}

static void free_units(struct CMUnitTest *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)units[i].name);
    }
    free(units);
}

int testbed_run(const char *area, const testbed_test_t *tests, size_t count)
{
    struct CMUnitTest *units = calloc(3 * count, sizeof *units);
    size_t unit_count = 0;
    if (!units) {
        abort();
    }
    prepare(tests, count, stores_of);
    for (unsigned store = first_store(); store <= TESTBED_MYSQL_3; store *= 2) {
        for (size_t i = 0; i < count; i++) {
            if (!(stores_of(&tests[i]) & store)) {
                continue;
            }
            struct CMUnitTest unit = test_on(&tests[i], store, stores_of(&tests[i]));
            if (unit.test_func != say_skipped) {
                unit.setup_func = store == TESTBED_SQLITE  ? set_up_sqlite
                                  : store == TESTBED_MYSQL ? set_up_mysql
                                                           : set_up_mysql_3;
                unit.teardown_func = testbed_tear_down;
                unit.initial_state = (void *)(uintptr_t)unit.name;
            }
            units[unit_count++] = unit;
        }
    }
    int failed = _cmocka_run_group_tests(area, units, unit_count, NULL, NULL);
    mariadb_stop();
    free_units(units, unit_count);
    return failed;
}

/* ---- tests that share a cluster ---- */

static testbed_store_t shared_store;
static void (*start_shared)(testbed_t *bed);

static int set_up_shared(void **state)
{
    *state = (void *)(uintptr_t) "shared";
    if (testbed_set_up(state, shared_store)) {
        return -1;
    }
    start_shared(*state);
    return 0;
}

/* Ends the calls of the test before, too. */
static int connect_shared(void **state)
{
    testbed_connect(*state);
    return 0;
}

static int run_on(const char *area, const testbed_test_t *tests, size_t count, unsigned store)
{
    char name[64];
    struct CMUnitTest *units = calloc(count, sizeof *units);
    size_t unit_count = 0;
    bool runs = store == TESTBED_SQLITE || !missing_server;
    if (!units) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (shared_stores_of(&tests[i]) & store) {
            units[unit_count] = test_on(&tests[i], store, shared_stores_of(&tests[i]));
            units[unit_count].setup_func = runs ? connect_shared : NULL;
            unit_count++;
        }
    }
    snprintf(name, sizeof name, "%s %u", area, store);
    shared_store = (testbed_store_t)store;
    int failed = unit_count == 0
                     ? 0
                     : _cmocka_run_group_tests(name, units, unit_count, runs ? set_up_shared : NULL,
                                               runs ? testbed_tear_down : NULL);
    free_units(units, unit_count);
    return failed;
}

int testbed_run_shared(const char *area, void (*start)(testbed_t *bed), const testbed_test_t *tests,
                       size_t count)
{
    int failed = 0;
    start_shared = start;
    prepare(tests, count, shared_stores_of);
    for (unsigned store = first_store(); store <= TESTBED_MYSQL_3; store *= 2) {
        failed += run_on(area, tests, count, store);
    }
    mariadb_stop();
    return failed;
}
