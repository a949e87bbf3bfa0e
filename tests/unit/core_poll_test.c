/* Waiting for sockets and descriptors at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/poll_zmq.h"

enum { LONG_MS = 20000, SHORT_MS = 30, SENT = 20000 };

typedef struct fixture {
    void *zmq;
    void *near, *far; /* a pair */
    int fd;           /* an eventfd */
    zmq_pollitem_t items[2];
} fixture_t;

static void *pair_new(fixture_t *f, int (*join)(void *socket, const char *endpoint))
{
    void *pair = zmq_socket(f->zmq, ZMQ_PAIR);
    int one = 1;
    assert_non_null(pair);
    assert_int_equal(zmq_setsockopt(pair, ZMQ_SNDHWM, &one, sizeof one), 0);
    assert_int_equal(zmq_setsockopt(pair, ZMQ_RCVHWM, &one, sizeof one), 0);
    assert_int_equal(join(pair, "inproc://pair"), 0);
    return pair;
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->zmq = zmq_ctx_new();
    f->near = pair_new(f, zmq_bind);
    f->far = pair_new(f, zmq_connect);
    f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(f->fd >= 0);
    f->items[0] = (zmq_pollitem_t){.socket = f->near, .events = ZMQ_POLLIN};
    f->items[1] = (zmq_pollitem_t){.fd = f->fd, .events = ZMQ_POLLIN};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    zmq_close(f->near);
    zmq_close(f->far);
    zmq_ctx_term(f->zmq);
    close(f->fd);
    free(f);
    return 0;
}

static void send_to(void *socket)
{
    assert_int_equal(zmq_send(socket, "x", 1, ZMQ_DONTWAIT), 1);
}

static void signal_fd(const fixture_t *f)
{
    uint64_t one = 1;
    assert_int_equal(write(f->fd, &one, sizeof one), sizeof one);
}

/* Waits, and says what is ready: 1 the socket, 2 the descriptor. Ready at once, or a failure. */
static int ready_now(fixture_t *f)
{
    uint64_t began_ms = clock_monotonic_ms();
    int ready = poll_zmq(f->items, 2, LONG_MS);
    int which = (f->items[0].revents ? 1 : 0) | (f->items[1].revents ? 2 : 0);
    assert_true(clock_monotonic_ms() - began_ms < LONG_MS / 2);
    assert_int_equal(ready, (which & 1) + (which >> 1));
    return which;
}

static void expect_idle(fixture_t *f)
{
    uint64_t began_ms = clock_monotonic_ms();
    f->items[0].revents = f->items[1].revents = ZMQ_POLLIN; /* of an earlier poll */
    assert_int_equal(poll_zmq(f->items, 2, SHORT_MS), 0);
    assert_true(clock_monotonic_ms() - began_ms + 1 >= SHORT_MS);
    assert_int_equal(f->items[0].revents | f->items[1].revents, 0);
}

static void take(void *socket)
{
    char byte;
    assert_int_equal(zmq_recv(socket, &byte, 1, ZMQ_DONTWAIT), 1);
}

/* A first poll may be woken by the connection of the pair. */
static void settle(fixture_t *f)
{
    (void)poll_zmq(f->items, 2, 0);
    (void)poll_zmq(f->items, 2, 0);
}

static void nothing_is_ready(void **state)
{
    fixture_t *f = *state;
    settle(f);
    expect_idle(f);
}

static void a_message_and_a_descriptor(void **state)
{
    fixture_t *f = *state;
    settle(f);
    send_to(f->far);
    assert_int_equal(ready_now(f), 1);
    signal_fd(f);
    assert_int_equal(ready_now(f), 3);
    take(f->near);
    assert_int_equal(ready_now(f), 2);
}

/* The socket's descriptor has announced the message once already. */
static void a_message_that_libzmq_knows_of(void **state)
{
    fixture_t *f = *state;
    int events = 0;
    size_t size = sizeof events;
    settle(f);
    send_to(f->far);
    assert_int_equal(zmq_getsockopt(f->near, ZMQ_EVENTS, &events, &size), 0);
    assert_true(events & ZMQ_POLLIN);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ready_now(f), 1);
    }
    take(f->near);
    expect_idle(f);
}

static void a_socket_that_is_full(void **state)
{
    fixture_t *f = *state;
    settle(f);
    f->items[0].events = ZMQ_POLLOUT;
    assert_int_equal(ready_now(f), 1);
    while (zmq_send(f->near, "x", 1, ZMQ_DONTWAIT) == 1) {
    }
    expect_idle(f);
    while (zmq_recv(f->far, &(char){0}, 1, ZMQ_DONTWAIT) == 1) {
    }
    assert_int_equal(ready_now(f), 1);
}

/* Before the other thread waits, or while it does. */
static void *send_meanwhile(void *argument)
{
    fixture_t *f = argument;
    send_to(f->far);
    return NULL;
}

static void a_message_of_another_thread(void **state)
{
    fixture_t *f = *state;
    pthread_t thread;
    settle(f);
    assert_int_equal(pthread_create(&thread, NULL, send_meanwhile, f), 0);
    assert_int_equal(ready_now(f), 1);
    pthread_join(thread, NULL);
}

/* ---- several threads, and signals ---- */

typedef struct stress {
    fixture_t *fixture;
    pthread_t waiter;
    atomic_bool over;
} stress_t;

static void *send_numbers(void *argument)
{
    const stress_t *stress = argument;
    for (uint64_t i = 0; i < SENT; i++) {
        while (zmq_send(stress->fixture->far, &i, sizeof i, 0) < 0 && errno == EINTR) {
        }
    }
    return NULL;
}

static void *signal_often(void *argument)
{
    const stress_t *stress = argument;
    for (uint64_t i = 0; i < SENT; i++) {
        signal_fd(stress->fixture);
    }
    return NULL;
}

static void *interrupt(void *argument)
{
    stress_t *stress = argument;
    while (!atomic_load(&stress->over)) {
        pthread_kill(stress->waiter, SIGUSR1);
        (void)poll_zmq(NULL, 0, 1);
    }
    return NULL;
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Takes all numbers that are there. A signal may end this early: the next poll tells again. */
static uint64_t take_numbers(void *socket, uint64_t next)
{
    uint64_t number = 0;
    while (zmq_recv(socket, &number, sizeof number, ZMQ_DONTWAIT) == sizeof number) {
        assert_int_equal(number, next);
        next++;
    }
    return next;
}

static uint64_t take_signals(int fd)
{
    uint64_t count = 0;
    return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

/* Two threads send while this one waits, and a third one interrupts it: this one never waits for
 * what has come already. */
static void no_wake_up_is_lost(void **state)
{
    fixture_t *f = *state;
    stress_t stress = {.fixture = f, .waiter = pthread_self()};
    struct sigaction action = {.sa_handler = ignore_signal};
    void *(*const work[])(void *argument) = {send_numbers, signal_often, interrupt};
    pthread_t threads[3];
    uint64_t numbers = 0;
    uint64_t signals = 0;
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work[i], &stress), 0);
    }
    while (numbers < SENT || signals < SENT) {
        uint64_t began_ms = clock_monotonic_ms();
        (void)poll_zmq(f->items, 2, LONG_MS);
        assert_true(clock_monotonic_ms() - began_ms < LONG_MS / 2);
        numbers = f->items[0].revents ? take_numbers(f->near, numbers) : numbers;
        signals += f->items[1].revents ? take_signals(f->fd) : 0;
    }
    assert_int_equal(numbers + signals, 2 * SENT);
    atomic_store(&stress.over, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_and_a_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_libzmq_knows_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_that_is_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_of_another_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_wake_up_is_lost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
