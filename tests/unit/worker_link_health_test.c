/* The worker's link tells brokers which executors are stuck. There are two, and the limit is 1,000
 * ms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

enum { LIMIT_MS = 1000 };

/* Looks at the executors; 0: one takes no step. */
static void look(link_driver_t *d, uint64_t first_since_ms, uint64_t second_since_ms)
{
    const uint64_t since_ms[] = {first_since_ms, second_since_ms};
    link_look(d->link, since_ms, d->now_ms);
}

/* What the message at hand says. */
static void expect_said(link_driver_t *d, uint64_t stuck, uint64_t oldest_ms)
{
    message_runner_health_t health;
    assert_int_equal(message_get_runner_health(&d->body, &health), FABRIC_OK);
    assert_int_equal(health.executors, 2);
    assert_int_equal(health.stuck, stuck);
    assert_int_equal(health.oldest_ms, oldest_ms);
}

static void expect_health(link_driver_t *d, uint32_t endpoint, uint64_t stuck, uint64_t oldest_ms)
{
    talk_expect(d, endpoint, KIND_RUNNER_HEALTH);
    expect_said(d, stuck, oldest_ms);
}

static void expect_event(link_driver_t *d, link_event_kind_t kind, uint32_t executor,
                         uint64_t step_ms)
{
    link_event_t event;
    assert_true(link_next_event(d->link, &event));
    assert_int_equal(event.kind, kind);
    assert_int_equal(event.executor, executor);
    assert_int_equal(event.step_ms, step_ms);
}

/* Joins broker 1, and forgets the events of that. */
static void join(link_driver_t *d)
{
    link_event_t event;
    talk_join(d, 0, 1);
    while (link_next_event(d->link, &event)) {
    }
}

static void an_executor_is_stuck_after_the_limit_and_that_is_told_once(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join(d);
    uint64_t begun_ms = d->now_ms;
    look(d, begun_ms, 0);
    d->now_ms += LIMIT_MS;
    look(d, begun_ms, 0);
    talk_expect_silence(d, 0);
    d->now_ms += 1;
    look(d, begun_ms, 0);
    expect_health(d, 0, 1, LIMIT_MS + 1);
    expect_event(d, LINK_EVENT_STUCK, 0, LIMIT_MS + 1);
    d->now_ms += 100;
    look(d, begun_ms, 0);
    talk_expect_silence(d, 0);
    d->now_ms += 100;
    look(d, d->now_ms, 0); /* the next step has begun */
    expect_health(d, 0, 0, 0);
    expect_event(d, LINK_EVENT_RECOVERED, 0, 0);
    talk_expect_silence(d, 0);
}

static void steps_that_end_are_progress(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join(d);
    for (int i = 0; i < 50; i++) {
        d->now_ms += 100;
        look(d, d->now_ms - LIMIT_MS, i % 2 ? d->now_ms : 0);
    }
    link_event_t event;
    assert_false(link_next_event(d->link, &event));
    talk_expect_silence(d, 0);
}

static void the_one_that_is_stuck_longest_is_the_oldest(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    join(d);
    uint64_t second_ms = d->now_ms;
    uint64_t first_ms = d->now_ms + 600;
    d->now_ms += 1200;
    look(d, first_ms, second_ms);
    expect_health(d, 0, 1, 1200);
    expect_event(d, LINK_EVENT_STUCK, 1, 1200);
    d->now_ms += 500;
    look(d, first_ms, second_ms);
    expect_health(d, 0, 2, 1700);
    expect_event(d, LINK_EVENT_STUCK, 0, 1100);
    look(d, first_ms, 0);
    expect_health(d, 0, 1, 1100);
    expect_event(d, LINK_EVENT_RECOVERED, 1, 0);
}

/* How many executors there are, and how many of them are stuck. */
static void a_broker_is_told_with_its_welcome(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    uint64_t begun_ms = d->now_ms;
    d->now_ms += 2000;
    look(d, begun_ms, 0);
    expect_event(d, LINK_EVENT_STUCK, 0, 2000);
    talk_join(d, 0, 1);
    expect_said(d, 1, 2000);
    link_disconnected(d->link, 0, d->now_ms);
    look(d, 0, 0);
    talk_join(d, 0, 1);
    expect_said(d, 0, 0);
    talk_expect_silence(d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(an_executor_is_stuck_after_the_limit_and_that_is_told_once),
        LINK_TEST(steps_that_end_are_progress),
        LINK_TEST(the_one_that_is_stuck_longest_is_the_oldest),
        LINK_TEST(a_broker_is_told_with_its_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
