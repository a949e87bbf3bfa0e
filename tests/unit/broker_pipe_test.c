/* Pipes: order, what their descriptors say, and two threads that wait for each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "broker/pipe.h"

enum { VALUES = 20000, DEADLINE_S = 60 };

static bool is_readable(const pipe_t *pipe)
{
    struct pollfd item = {.fd = pipe_fd(pipe), .events = POLLIN};
    return poll(&item, 1, 0) == 1;
}

static void send_number(pipe_t *pipe, uint64_t number)
{
    pipe_send(pipe, &number, sizeof number);
}

static void expect_number(pipe_t *pipe, uint64_t expected)
{
    uint64_t number = 0;
    assert_true(pipe_take(pipe, &number, sizeof number));
    assert_int_equal(number, expected);
}

static void expect_nothing(pipe_t *pipe)
{
    uint64_t number;
    assert_false(pipe_take(pipe, &number, sizeof number));
}

static void values_come_in_order_at_the_other_end(void **state)
{
    (void)state;
    pipe_t *near = NULL;
    pipe_t *far = NULL;
    assert_true(pipe_open(&near, &far));
    for (uint64_t i = 0; i < 3; i++) {
        send_number(near, i);
        send_number(far, 100 + i);
    }
    for (uint64_t i = 0; i < 3; i++) {
        expect_number(far, i);
        expect_number(near, 100 + i);
    }
    expect_nothing(near);
    expect_nothing(far);
    pipe_close(&near, &far);
    assert_null(near);
    assert_null(far);
}

static void an_end_is_readable_while_values_wait(void **state)
{
    (void)state;
    pipe_t *near = NULL;
    pipe_t *far = NULL;
    assert_true(pipe_open(&near, &far));
    for (uint64_t round = 0; round < 3; round++) {
        assert_false(is_readable(far));
        send_number(near, 1);
        send_number(near, 2);
        assert_true(is_readable(far));
        assert_false(is_readable(near));
        expect_number(far, 1);
        assert_true(is_readable(far)); /* whoever takes one value in a turn comes back */
        expect_number(far, 2);
    }
    assert_false(is_readable(far));
    expect_nothing(far);
    pipe_close(&near, &far);
}

static void values_that_nobody_takes_are_dropped(void **state)
{
    (void)state;
    pipe_t *near = NULL;
    pipe_t *far = NULL;
    assert_true(pipe_open(&near, &far));
    send_number(near, 1);
    send_number(far, 2);
    pipe_close(&near, &far); /* the leak sanitizer sees what is left */
}

/* ---- two threads ---- */

static void *echo(void *argument)
{
    pipe_t *pipe = argument;
    for (uint64_t i = 0; i < VALUES; i++) {
        uint64_t number = 0;
        pipe_wait(pipe, &number, sizeof number);
        send_number(pipe, number);
    }
    return NULL;
}

/* Waits for the descriptor, as the router does, and takes what is there. */
static uint64_t take_all(pipe_t *pipe, uint64_t next)
{
    struct pollfd item = {.fd = pipe_fd(pipe), .events = POLLIN};
    uint64_t number = 0;
    (void)poll(&item, 1, -1);
    while (pipe_take(pipe, &number, sizeof number)) {
        assert_int_equal(number, next);
        next++;
    }
    return next;
}

/* So many are under way at once: with one each value wakes the other thread. */
static void exchange(uint64_t window)
{
    pipe_t *near = NULL;
    pipe_t *far = NULL;
    pthread_t thread;
    assert_true(pipe_open(&near, &far));
    assert_int_equal(pthread_create(&thread, NULL, echo, far), 0);
    uint64_t sent = 0;
    for (uint64_t taken = 0; taken < VALUES; taken = take_all(near, taken)) {
        while (sent < VALUES && sent < taken + window) {
            send_number(near, sent++);
        }
    }
    pthread_join(thread, NULL);
    pipe_close(&near, &far);
}

static void no_wake_up_is_lost_between_threads(void **state)
{
    (void)state;
    alarm(DEADLINE_S);
    exchange(1);
    exchange(2);
    exchange(64);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_in_order_at_the_other_end),
        cmocka_unit_test(an_end_is_readable_while_values_wait),
        cmocka_unit_test(values_that_nobody_takes_are_dropped),
        cmocka_unit_test(no_wake_up_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
