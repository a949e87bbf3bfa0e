/* Calls that wait for a message: several callers of one message, and one caller that comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/router_driver.h"

enum {
    ASK = REQUEST_DURABLE,
    ASK_ACCEPTED = REQUEST_DURABLE | REQUEST_WANT_ACCEPTED,
    SECOND = 5 /* the sequence of the second caller's call */
};

/* Two clients and a worker; the first client asks. */
static driver_t *open_asked(uint64_t flags)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", flags);
    return driver;
}

/* Makes a call of the second client wait for the message that the first client's call has
 * brought. */
static void attach_second(driver_t *driver)
{
    client_t *first = client_find(driver->router, 1);
    client_t *second = client_find(driver->router, 2);
    message_t *message = call_find(first, 1)->message;
    call_open(driver->router, second, call_add(driver->router, second, SECOND), message);
    driver_check(driver);
}

static void handle(driver_t *driver)
{
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
}

static void settle(driver_t *driver, const char *peer, uint64_t settled)
{
    driver_send_settling(driver, peer, settled, ping, &(message_ping_t){.sequence = 1});
    driver_check(driver);
}

static void test_ms_11_sm_17_both_callers_get_the_reply(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK_ACCEPTED);
    attach_second(driver);
    driver_commit(driver);
    uint64_t id = driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.request_id;
    const message_accepted_t *accepted = &driver_take(driver, "c2", KIND_ACCEPTED)->as.accepted;
    assert_int_equal(accepted->sequence, SECOND);
    assert_int_equal(accepted->request_id, id);
    handle(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->request_id, id);
    assert_int_equal(driver_replied(driver, "c2", SECOND)->request_id, id);
    assert_int_equal(driver_counters(driver).delivered, 1);
    driver_close(&driver);
}

/* The ended message answers resends of each call until its client has settled on the call. */
static void an_ended_message_stays_for_its_last_call(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    attach_second(driver);
    driver_commit(driver);
    handle(driver);
    driver_replied(driver, "c1", 1);
    driver_replied(driver, "c2", SECOND);
    settle(driver, "c1", 2);
    driver_ask(driver, "c2", SECOND, "a", ASK | REQUEST_RESEND);
    driver_replied(driver, "c2", SECOND);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    settle(driver, "c2", SECOND + 1);
    driver_close(&driver);
}

static void a_second_caller_that_settles_is_told_no_more(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    attach_second(driver);
    settle(driver, "c2", SECOND + 1);
    driver_commit(driver);
    handle(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "c2", KIND_REPLY), 0);
    driver_close(&driver);
}

/* The caller that brought the message may settle first, also while the message is in a batch. */
static void a_second_caller_outlasts_the_first(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    attach_second(driver);
    settle(driver, "c1", 2);
    driver_commit(driver);
    handle(driver);
    driver_replied(driver, "c2", SECOND);
    driver_ask(driver, "c2", SECOND, "a", ASK | REQUEST_RESEND);
    driver_replied(driver, "c2", SECOND);
    driver_close(&driver);
}

static void assert_redirected(driver_t *driver, const char *peer, uint64_t sequence)
{
    assert_int_equal(driver_take(driver, peer, KIND_REDIRECT)->as.redirect.sequence, sequence);
}

static void test_ms_12_both_callers_are_told_that_the_lane_is_lost(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    attach_second(driver);
    uint32_t lane = 0;
    while (!driver_take_batch(driver, lane)) {
        lane++;
    }
    driver_batch_fenced(driver, lane);
    assert_redirected(driver, "c1", 1);
    assert_redirected(driver, "c2", SECOND);
    driver_ask(driver, "c2", SECOND, "a", ASK | REQUEST_RESEND);
    assert_redirected(driver, "c2", SECOND);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void each_caller_is_told_at_its_own_deadline(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    attach_second(driver);
    client_t *second = client_find(driver->router, 2);
    call_set_deadline(second, call_find(second, SECOND), driver->now_ms + 1000);
    driver_commit(driver);
    const char *const peers[] = {"c1", "c2", "w1", NULL};
    driver_pass_alive(driver, 1200, peers);
    assert_int_equal(driver_take(driver, "c2", KIND_ACCEPTED)->as.accepted.sequence, SECOND);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    driver_close(&driver);
}

/* A client that comes back under another routing id replaces its earlier connection. */
static void a_later_connection_gets_the_reply(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    driver_commit(driver);
    driver_client_hello(driver, "c1b", 1, 2);
    driver_ask(driver, "c1b", 1, "a", ASK | REQUEST_RESEND);
    handle(driver);
    driver_replied(driver, "c1b", 1);
    assert_int_equal(driver_count(driver, "c1b", KIND_REPLY), 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_close(&driver);
}

/* A durable call belongs to its client number: a later life of the client is the same caller. */
static void a_later_life_gets_the_reply(void **state)
{
    (void)state;
    driver_t *driver = open_asked(ASK);
    driver_commit(driver);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_client_hello(driver, "c1b", 1, 2);
    driver_ask(driver, "c1b", 1, "a", ASK | REQUEST_RESEND);
    handle(driver);
    driver_replied(driver, "c1b", 1);
    assert_int_equal(driver_count(driver, "c1b", KIND_REPLY), 0);
    assert_int_equal(driver_counters(driver).delivered, 1);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ms_11_sm_17_both_callers_get_the_reply),
        cmocka_unit_test(an_ended_message_stays_for_its_last_call),
        cmocka_unit_test(a_second_caller_that_settles_is_told_no_more),
        cmocka_unit_test(a_second_caller_outlasts_the_first),
        cmocka_unit_test(test_ms_12_both_callers_are_told_that_the_lane_is_lost),
        cmocka_unit_test(each_caller_is_told_at_its_own_deadline),
        cmocka_unit_test(a_later_connection_gets_the_reply),
        cmocka_unit_test(a_later_life_gets_the_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
