/* Clears of entities whose rows are being loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

enum { QUERY = 77 };

/* The clear is durable, and answered. */
static void clear(home_t *home, const char *id)
{
    driver_t *driver = home->driver;
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {.sequence = QUERY,
                             .name = fabric_bytes_of("clear"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(driver, "c", query, &query);
    wire_writer_destroy(&argument);
    home_append(home);
    while (router_go_on(driver->router, driver->now_ms)) {
        driver_pull(driver);
    }
    driver_pull(driver);
    driver_check(driver);
    assert_int_equal(driver_take(driver, "c", KIND_ANSWER)->as.answer.error, FABRIC_OK);
}

/* It says nothing of rows behind those that it was to read, which the clear has deleted. */
static void a_load_that_began_before_does_not_say_what_is_left(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_tell_rows(home, "a", 12);
    home_kill(home);
    driver_client(home->driver, "c", 1);
    router_load_t load;
    assert_true(router_take_load(home->driver->router, 0, &load));
    home_tell_rows(home, "a", 6);
    clear(home, "a");
    home_checkpoint(home);
    size_t done;
    message_t *rows = lane_model_load(&home->store, 0, load.ranges, load.count, SIZE_MAX, &done);
    assert_null(rows);
    home_tell_rows(home, "a", 9);
    router_loaded(home->driver->router, 0, FABRIC_OK, rows, done, home->driver->now_ms);
    driver_check(home->driver);
    home_worker(home);
    assert_int_equal(home_work_off(home), 9);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).stored, 0);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_that_began_before_does_not_say_what_is_left),
    };
    return cmocka_run_group_tests_name("broker_router_clear_loads", tests, NULL, NULL);
}
