/* Primary keys: requests stay in order while keys are looked up, and old calls are answered by
 * their keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

static void requests_stay_in_order_behind_a_look_up(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    for (uint64_t i = 1; i <= 6; i++) {
        uint8_t name = (uint8_t)('p' + i);
        asked_t asked = {"c", i, ASK, i - 1, 0, "a", fabric_bytes(&name, i % 2)};
        keys_send(home, &asked);
    }
    assert_int_equal(keys_look_up(home), 1); /* one pass for all */
    home_append(home);
    assert_int_equal(home_work_off(home), 6);
    uint64_t before = 0;
    for (uint64_t i = 1; i <= 6; i++) {
        uint64_t id = driver_replied(home->driver, "c", i)->request_id;
        assert_true(id > before);
        before = id;
    }
    home_close(&home);
}

/* What was looked up first goes on, though later requests are looked up still. */
static void a_stream_of_requests_does_not_hold_the_first_back(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    reading_t reading;
    asked_t asked = {"c", 1, ASK, 0, 0, "a", fabric_bytes_of("1")};
    keys_send(home, &asked);
    assert_true(keys_begin_reading(home, 0, &reading));
    asked = (asked_t){"c", 2, ASK, 1, 0, "a", fabric_bytes_of("2")};
    keys_send(home, &asked);
    keys_end_reading(home, 0, &reading, 0);
    home_append(home);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 1);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 2);
    home_close(&home);
}

/* The journal does not tell any more what has become of the call, but the key's row does. */
static void an_old_call_is_answered_by_its_key(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    home_work_off(home);
    home_checkpoint(home);
    keys_take_over(home);
    reading_t reading;
    keys_ask(home, "c", 1, AGAIN);
    asked_t other = {"c", 2, AGAIN, 0, 0, "a", fabric_bytes_of("other")};
    keys_send(home, &other);
    assert_true(keys_begin_reading(home, 0, &reading));
    keys_end_reading(home, 0, &reading, UINT64_C(1) << 62); /* purged up to there */
    keys_expect_reply(home, "c", 1, id);
    assert_int_equal(driver_rejected(home->driver, "c", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    home_append(home);
    keys_expect_one_message(home);
    home_close(&home);
}

/* It would vouch for its predecessor, and what follows it would come before that. */
static void an_old_call_waits_for_its_predecessor(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    home_work_off(home);
    reading_t reading;
    asked_t old = {"d", 2, AGAIN, 1, 0, "a", fabric_bytes_of(keys_k)};
    asked_t next = {"d", 3, ASK, 2, 0, "a", fabric_bytes_of("next")};
    keys_send(home, &old);
    keys_send(home, &next);
    assert_true(keys_begin_reading(home, 0, &reading));
    keys_end_reading(home, 0, &reading, UINT64_C(1) << 62);
    keys_look_up(home);
    assert_int_equal(driver_rejected(home->driver, "d", 2), FABRIC_ERROR_PREDECESSOR_MISSING);
    assert_int_equal(driver_rejected(home->driver, "d", 3), FABRIC_ERROR_PREDECESSOR_MISSING);
    asked_t first = {"d", 1, ASK, 0, 0, "a", {NULL, 0}};
    keys_send(home, &first);
    keys_send(home, &old);
    keys_look_up(home);
    keys_expect_reply(home, "d", 2, id);
    home_close(&home);
}

/* The client has ended the call as unknown, and settled on it. */
static void a_settled_call_is_answered_by_its_key(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    uint64_t id = keys_accept_first(home);
    driver_send_settling(home->driver, "d", 9, ping, &(message_ping_t){.sequence = 1});
    keys_ask(home, "d", 5, AGAIN);
    keys_look_up(home);
    keys_ask(home, "d", 5, AGAIN);
    keys_look_up(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "d", 5, id);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    keys_ask(home, "d", 5, AGAIN);
    keys_look_up(home);
    keys_expect_reply(home, "d", 5, id);
    keys_expect_reply(home, "c", 1, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void a_settled_call_waits_for_a_message_in_the_store(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_tell(home, "a", 8); /* more than the window */
    asked_t asked = {"c", 9, ASK_ACCEPTED, 0, 0, "a", fabric_bytes_of(keys_k)};
    keys_send(home, &asked);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    driver_send_settling(home->driver, "d", 9, ping, &(message_ping_t){.sequence = 1});
    keys_ask(home, "d", 5, AGAIN); /* while it is in memory */
    keys_look_up(home);
    home_checkpoint(home);
    driver_send_settling(home->driver, "c", 10, ping, &(message_ping_t){.sequence = 1});
    keys_ask(home, "d", 6, AGAIN); /* joins its ghost */
    keys_look_up(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 9);
    keys_expect_reply(home, "d", 5, id);
    keys_expect_reply(home, "d", 6, id);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_stay_in_order_behind_a_look_up),
        cmocka_unit_test(a_stream_of_requests_does_not_hold_the_first_back),
        cmocka_unit_test(an_old_call_is_answered_by_its_key),
        cmocka_unit_test(an_old_call_waits_for_its_predecessor),
        cmocka_unit_test(a_settled_call_is_answered_by_its_key),
        cmocka_unit_test(a_settled_call_waits_for_a_message_in_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
