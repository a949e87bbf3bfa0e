/* Settings of a MySQL or MariaDB server under which a broker refuses to start, and what is told of
 * them. The server keeps a binary log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mysql/mysql_store.h"
#include "tests/harness/mariadb.h"

enum { START_MS = 60000 };

static const store_driver_t *const drivers[] = {&mysql_store_driver, NULL};
static const store_cluster_t wanted = {.name = "settings", .shards_per_group = 8, .lanes = 2};
static char url[512];
static store_t *store;

static int setup(void **state)
{
    (void)state;
    store_options_t options = {.url = url,
                               .password = mariadb_password(),
                               .connect_timeout_ms = 20000,
                               .io_timeout_ms = 20000};
    reason_t reason = {{0}};
    assert_true(mariadb_fresh_database(url));
    assert_int_equal(store_open(drivers, &options, &reason, &store), FABRIC_OK);
    assert_int_equal(store->driver->schema_apply(store, &wanted, &reason), FABRIC_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(&store);
    mariadb_drop_database(url);
    return 0;
}

static fabric_error_t check(reason_t *reason)
{
    store_cluster_t cluster;
    return store->driver->check(store, &wanted, reason, &cluster);
}

/* Under a setting of the server a broker does not start, and the reason names the setting. */
static void check_refused(const char *setting, const char *bad, const char *good)
{
    char statement[200];
    reason_t reason = {{0}};
    snprintf(statement, sizeof statement, "SET GLOBAL %s = %s", setting, bad);
    assert_int_equal(check(&reason), FABRIC_OK);
    assert_true(mariadb_execute(url, statement));
    assert_int_equal(check(&reason), FABRIC_ERROR_STORE_UNSAFE);
    if (!strstr(reason.text, setting)) {
        fail_msg("%s: %s", setting, reason.text);
    }
    snprintf(statement, sizeof statement, "SET GLOBAL %s = %s", setting, good);
    assert_true(mariadb_execute(url, statement));
    assert_int_equal(check(&reason), FABRIC_OK);
}

static void a_packet_that_holds_no_append_is_refused(void **state)
{
    (void)state;
    check_refused("max_allowed_packet", "16777216 - 1024", "16777216");
}

static void a_binary_log_of_statements_is_refused(void **state)
{
    (void)state;
    check_refused("binlog_format", "'STATEMENT'", "'MIXED'");
}

static void a_redo_log_that_holds_few_appends_is_refused(void **state)
{
    (void)state;
    store_facts_t facts;
    assert_int_equal(store->driver->facts(store, &facts), FABRIC_OK);
    bool is_mariadb = strstr(facts.product, "MariaDB") != NULL;
    if (is_mariadb && strcmp(facts.product, "MariaDB 10.9") < 0 &&
        strcmp(facts.product, "MariaDB 10.10") < 0) {
        skip(); /* there it cannot be set while the server runs */
    }
    check_refused(is_mariadb ? "innodb_log_file_size" : "innodb_redo_log_capacity", "64 << 20",
                  "96 << 20");
}

static void a_small_cache_of_the_binary_log_is_told(void **state)
{
    (void)state;
    store_facts_t facts;
    assert_true(mariadb_execute(url, "SET GLOBAL binlog_cache_size = 32768"));
    assert_int_equal(store->driver->facts(store, &facts), FABRIC_OK);
    assert_non_null(strstr(facts.durability, "log_bin=1"));
    assert_non_null(strstr(facts.durability, "binlog_cache_size is under 1 MiB"));
    assert_true(mariadb_execute(url, "SET GLOBAL binlog_cache_size = 1 << 20"));
    assert_int_equal(store->driver->facts(store, &facts), FABRIC_OK);
    assert_null(strstr(facts.durability, "binlog_cache_size"));
}

static void note_table(void *context, const char *table, uint64_t rows, uint64_t bytes)
{
    if (strcmp(table, "journal") == 0) {
        *(bool *)context = rows == 2 && bytes > 0;
    }
}

static void tables_are_listed_with_their_sizes(void **state)
{
    (void)state;
    bool found = false;
    assert_true(mariadb_execute(url, "ANALYZE TABLE journal"));
    assert_int_equal(store->driver->table_list(store, note_table, &found), FABRIC_OK);
    assert_true(found);
}

/* The test's own server, started again with a binary log. */
static bool start_server(char reason[256])
{
    if (!mariadb_start(reason)) {
        return false;
    }
    mariadb_server_t *server = mariadb_own();
    snprintf(reason, 256, "%s", server ? "it did not start" : "the server is not the test's own");
    if (!server || !mariadb_server_end(server)) {
        return false;
    }
    server->option = "--log-bin";
    return mariadb_server_run(server) && mariadb_server_answers(server, START_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_that_holds_no_append_is_refused),
        cmocka_unit_test(a_binary_log_of_statements_is_refused),
        cmocka_unit_test(a_redo_log_that_holds_few_appends_is_refused),
        cmocka_unit_test(a_small_cache_of_the_binary_log_is_told),
        cmocka_unit_test(tables_are_listed_with_their_sizes),
    };
    char reason[256];
    int failed = 0;
    if (start_server(reason)) {
        failed = cmocka_run_group_tests_name("mysql_settings", tests, setup, teardown);
    } else {
        print_message("skip: mysql_settings: %s\n[  SKIPPED ] mysql_settings\n", reason);
    }
    mariadb_stop();
    return failed;
}
