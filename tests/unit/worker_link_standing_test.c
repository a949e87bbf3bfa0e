/* The worker's link: the standing that operators give the worker is told to every broker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void expect_standing(link_driver_t *d, uint32_t endpoint, runner_standing_t standing)
{
    message_runner_standing_t told;
    talk_expect(d, endpoint, KIND_RUNNER_STANDING);
    assert_int_equal(message_get_runner_standing(&d->body, &told), FABRIC_OK);
    assert_int_equal(told.standing, standing);
}

static void join_second(link_driver_t *d)
{
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    talk_join(d, 1, 2);
}

static void all_brokers_are_told(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    join_second(d);
    talk_say(d, 1, runner_order, .standing = RUNNER_CORDONED);
    expect_standing(d, 0, RUNNER_CORDONED);
    expect_standing(d, 1, RUNNER_CORDONED);
    assert_true(talk_has_event(d, LINK_EVENT_STANDING, FABRIC_OK));
    talk_say(d, 0, runner_order, .standing = RUNNER_CORDONED); /* it is so already */
    talk_expect_silence(d, 0);
    talk_expect_silence(d, 1);
    talk_say(d, 0, runner_order, .standing = 3); /* malformed */
    talk_expect_silence(d, 0);
}

/* A broker goes by the last word: a worker that was opened again says that too. */
static void it_is_said_behind_each_hello(void **state)
{
    static const runner_standing_t standings[] = {RUNNER_DRAINING, RUNNER_OPEN};
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    for (size_t i = 0; i < 2; i++) {
        talk_say(d, 0, runner_order, .standing = standings[i]);
        expect_standing(d, 0, standings[i]);
        talk_say(d, 0, who, .protocol = 1);
        talk_expect(d, 0, KIND_HELLO);
        message_hello_t hello;
        assert_int_equal(message_get_hello(&d->body, &hello), FABRIC_OK);
        expect_standing(d, 0, standings[i]);
        talk_expect_silence(d, 0);
        talk_welcome(d, 0, 1, 1, hello.connection);
        talk_expect(d, 0, KIND_RUNNER_HEALTH);
        assert_true(talk_has_event(d, LINK_EVENT_WELCOMED, FABRIC_OK));
        expect_standing(d, 0, standings[i]); /* it may have changed since the hello */
    }
}

/* A broker counts the frames that come after the one with the hello, and the worker those after the
 * welcome: nothing may come between. */
static void nothing_is_said_between_hello_and_welcome(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    link_connected(d->link, 1, d->now_ms);
    talk_expect_hello(d, 1);
    talk_say(d, 0, runner_order, .standing = RUNNER_CORDONED);
    expect_standing(d, 0, RUNNER_CORDONED);
    talk_expect_silence(d, 1);
    talk_welcome(d, 1, 2, 1, d->connection);
    talk_expect(d, 1, KIND_RUNNER_HEALTH);
    expect_standing(d, 1, RUNNER_CORDONED);
}

static void a_standing_that_nobody_gave_is_not_said(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_say(d, 0, runner_order, .standing = RUNNER_OPEN);
    talk_expect_silence(d, 0);
}

/* The next process of a supervised worker begins as its predecessor ended. */
static void an_inherited_standing_is_said(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    static const link_config_t config = {.name = {(const uint8_t *)"w", 1},
                                         .types = {(const uint8_t *)"\x90", 1},
                                         .window = 1,
                                         .executors = 1,
                                         .standing = RUNNER_CORDONED};
    link_destroy(&d->link);
    d->link = link_new(&config, d->now_ms);
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:1"), FABRIC_OK);
    talk_expect_socket(d, 0, LINK_SOCKET_OPEN);
    link_connected(d->link, 0, d->now_ms);
    talk_expect(d, 0, KIND_HELLO);
    expect_standing(d, 0, RUNNER_CORDONED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(all_brokers_are_told),
        LINK_TEST(it_is_said_behind_each_hello),
        LINK_TEST(nothing_is_said_between_hello_and_welcome),
        LINK_TEST(a_standing_that_nobody_gave_is_not_said),
        LINK_TEST(an_inherited_standing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
