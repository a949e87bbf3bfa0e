/* Cancels where several callers have one primary key, and so wait for one message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/keys_driver.h"

static void cancel(home_t *home, const char *peer, uint64_t sequence)
{
    message_cancel_t message = {
        .sequence = sequence, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(home->driver, peer, cancel, &message);
}

static void expect_cancelled(home_t *home, const char *peer, uint64_t sequence, uint64_t id)
{
    const message_reply_t *reply = driver_replied(home->driver, peer, sequence);
    assert_int_equal(reply->request_id, id);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
}

/* The one who has cancelled gets the reply like the others: a message has one end. */
static void a_caller_who_cancels_leaves_the_message_to_the_others(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        home_t *home = keys_open_home();
        uint64_t id = keys_accept_first(home);
        keys_ask(home, "d", 5, ASK);
        cancel(home, i ? "d" : "c", i ? 5 : 1);
        cancel(home, i ? "d" : "c", i ? 5 : 1);
        home_append(home);
        home_worker(home);
        assert_int_equal(home_work_off(home), 1);
        keys_expect_reply(home, "c", 1, id);
        keys_expect_reply(home, "d", 5, id);
        assert_int_equal(home_counters(home).cancelled, 0);
        keys_expect_one_message(home);
        home_close(&home);
    }
}

static void a_message_ends_when_all_who_wait_have_cancelled(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    uint64_t id = keys_accept_first(home);
    keys_ask(home, "d", 5, ASK);
    cancel(home, "d", 5);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    cancel(home, "c", 1);
    home_append(home);
    expect_cancelled(home, "c", 1, id);
    expect_cancelled(home, "d", 5, id);
    keys_ask(home, "d", 6, ASK); /* the key stands for this end */
    expect_cancelled(home, "d", 6, id);
    home_worker(home);
    assert_int_equal(home_work_off(home), 0);
    home_close(&home);
}

/* It waits for no end, but it wants the message handled. */
static void a_tell_keeps_the_message_that_an_ask_cancels(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    keys_ask(home, "c", 1, TELL);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    keys_ask(home, "d", 5, ASK);
    cancel(home, "d", 5);
    cancel(home, "c", 1);
    home_append(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "d", 5, id);
    assert_int_equal(home_counters(home).cancelled, 0);
    home_close(&home);
}

/* The duplicate is looked up as its caller cancels it. */
static void a_cancel_of_a_held_duplicate_counts_when_it_joins(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    reading_t first;
    keys_ask(home, "c", 1, ASK);
    assert_true(keys_begin_reading(home, 0, &first));
    keys_ask(home, "d", 5, ASK);
    cancel(home, "d", 5);
    keys_end_reading(home, 0, &first, 0);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    cancel(home, "c", 1);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_REPLY)->as.reply.request_id;
    expect_cancelled(home, "d", 5, id);
    home_close(&home);
}

static void a_caller_who_gives_up_leaves_the_message_to_the_others(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        home_t *home = keys_open_home();
        message_request_t request = driver_request(1, "a", ASK | REQUEST_GIVE_UP);
        request.floor = home->driver->heard_id;
        request.deadline_ms = 50;
        request.primary_key = fabric_bytes_of(keys_k);
        driver_send(home->driver, "c", request, &request);
        keys_look_up(home);
        home_append(home);
        if (i == 0) {
            keys_ask(home, "d", 5, ASK);
        }
        driver_pass(home->driver, 100);
        home_worker(home);
        assert_int_equal(home_work_off(home), i == 0 ? 1 : 0);
        home_append(home);
        const message_reply_t *reply = driver_replied(home->driver, "c", 1);
        assert_int_equal(reply->error, i == 0 ? FABRIC_OK : FABRIC_ERROR_CANCELLED);
        if (i == 0) {
            assert_int_equal(driver_replied(home->driver, "d", 5)->error, FABRIC_OK);
        }
        home_close(&home);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_who_cancels_leaves_the_message_to_the_others),
        cmocka_unit_test(a_message_ends_when_all_who_wait_have_cancelled),
        cmocka_unit_test(a_tell_keeps_the_message_that_an_ask_cancels),
        cmocka_unit_test(a_cancel_of_a_held_duplicate_counts_when_it_joins),
        cmocka_unit_test(a_caller_who_gives_up_leaves_the_message_to_the_others),
    };
    return cmocka_run_group_tests_name("router_keyed_cancel", tests, NULL, NULL);
}
