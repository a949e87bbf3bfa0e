/* The worker's link when its worker leaves the cluster. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void leaving(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    assert_false(link_left(d->link, d->now_ms));
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    talk_expect(d, 0, KIND_BYE);
    assert_false(link_left(d->link, d->now_ms));
    talk_release(d, 1, 500);
    talk_expect_work(d, WORK_STOP, 1);
    talk_stopped(d, d->connection, 1);
    talk_expect_released(d, 1);
    talk_say(d, 0, bye, .reason = fabric_bytes_of("bye"));
    assert_true(link_left(d->link, d->now_ms));
}

static void leaving_has_a_deadline(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    for (int i = 0; i < 10 && !link_left(d->link, d->now_ms); i++) {
        d->now_ms += 250;
        talk_ping(d, 1, 1);
        assert_true(link_next_deadline(d->link) <= 1000 + 500 + 2000);
    }
    assert_true(link_left(d->link, d->now_ms));
    assert_int_equal(d->now_ms, 1000 + 500 + 2000);
}

static void leaving_without_a_broker_is_immediate(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    assert_true(link_left(d->link, d->now_ms));
}

/* The broker may give shards to the worker before it can know that the worker leaves. */
static void leaving_waits_for_the_answer_to_a_hello(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    talk_expect_silence(d, 0);
    talk_pass(d, 2000);
    talk_expect_silence(d, 0); /* the hello is not said again */
    assert_false(link_left(d->link, d->now_ms));
    talk_welcome(d, 0, 1, 1, d->connection);
    talk_expect(d, 0, KIND_RUNNER_HEALTH);
    talk_expect(d, 0, KIND_BYE);
    assert_false(link_left(d->link, d->now_ms));
    talk_say(d, 0, bye, .reason = fabric_bytes_of("bye"));
    assert_true(link_left(d->link, d->now_ms));
}

static void leaving_ends_with_a_refusal(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    talk_say(d, 0, refused, .error = FABRIC_ERROR_PERSISTENCE, .text = fabric_bytes_of("later"));
    assert_true(link_left(d->link, d->now_ms));
}

static void leaving_does_not_wait_for_ever_for_an_answer(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    for (int i = 0; i < 10 && !link_left(d->link, d->now_ms); i++) {
        talk_pass_to_deadline(d);
    }
    assert_true(link_left(d->link, d->now_ms));
    assert_int_equal(d->now_ms, 1000 + 500 + 2000);
}

/* A second "connected" without a "disconnected" before it means a new connection. */
static void leaving_says_nothing_on_a_new_connection(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    link_leave(d->link, fabric_bytes_of("test"), d->now_ms);
    talk_expect(d, 0, KIND_BYE);
    link_connected(d->link, 0, d->now_ms);
    talk_result(d, d->connection, 5);
    talk_expect_silence(d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(leaving),
        LINK_TEST(leaving_has_a_deadline),
        LINK_TEST(leaving_without_a_broker_is_immediate),
        LINK_TEST(leaving_waits_for_the_answer_to_a_hello),
        LINK_TEST(leaving_ends_with_a_refusal),
        LINK_TEST(leaving_does_not_wait_for_ever_for_an_answer),
        LINK_TEST(leaving_says_nothing_on_a_new_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
