/* The supervisor with children that do nothing but end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/stop_signals.h"
#include "worker/supervisor.h"

enum { DEADLINE_MS = 30000, CHILDREN_MAX = 16 };

/* What the children of a test leave, in memory that they share with it. */
typedef struct record {
    _Atomic uint32_t children;
    _Atomic int pids[CHILDREN_MAX];
    _Atomic uint32_t waits_ms[CHILDREN_MAX];
    _Atomic uint64_t culprits[CHILDREN_MAX]; /* of the process before; 0: none */
    _Atomic uint32_t ready;                  /* those that wait for a signal */
} record_t;

static record_t *record;
static supervisor_child_fn *behaviour;
static pid_t running; /* the supervisor of the test at hand; 0: it has ended */

static int set_up(void **state)
{
    (void)state;
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return record == MAP_FAILED ? -1 : 0;
}

/* The children of a supervisor that a failed test has left die with it. */
static int tear_down(void **state)
{
    (void)state;
    if (running > 0) {
        (void)kill(running, SIGKILL);
        (void)waitpid(running, NULL, 0);
        running = 0;
    }
    return munmap(record, sizeof *record);
}

/* Takes down what this child was given; returns its number: 1, 2, ... */
static uint32_t begin(crash_notes_t *notes, uint32_t wait_ms)
{
    uint64_t culprits[CRASH_SLOTS_MAX] = {0};
    uint32_t number = atomic_fetch_add(&record->children, 1);
    if (number >= CHILDREN_MAX) {
        abort();
    }
    (void)crash_notes_culprits(notes, culprits);
    atomic_store(&record->culprits[number], culprits[0]);
    atomic_store(&record->waits_ms[number], wait_ms);
    atomic_store(&record->pids[number], (int)getpid());
    crash_notes_clear(notes);
    return number + 1;
}

/* Starts a supervisor in a process of its own, with its log thrown away. */
static pid_t start(supervisor_child_fn *child)
{
    static const struct rlimit none = {0, 0};
    behaviour = child;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)dup2(nowhere, STDERR_FILENO);
        _exit(supervisor_run(behaviour, NULL));
    }
    running = pid;
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 2);
    }
    running = 0;
    return status;
}

/* Two signals that come at once are one, so it may take more than one. */
static int end_by_more_signals(pid_t pid)
{
    int status = 0;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        (void)kill(pid, SIGTERM);
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 20);
    }
    running = 0;
    return status;
}

static void wait_until_ready(uint32_t count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (atomic_load(&record->ready) < count) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 2);
    }
}

/* ---- ends ---- */

static int crash_twice(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    (void)context;
    uint32_t number = begin(notes, wait_ms);
    crash_slot_t *slot = crash_notes_slot(notes, 0);
    atomic_store(&slot->at_hand, 4710 + number);
    atomic_store(&slot->crashed, number < 3 ? 4710 + number : 0);
    if (number == 1) {
        (void)raise(SIGKILL);
    }
    if (number == 2) {
        _exit(9);
    }
    return 69;
}

static void a_crash_starts_another_child_which_knows_the_culprit(void **state)
{
    (void)state;
    int status = end_of(start(crash_twice));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 69);
    assert_int_equal(atomic_load(&record->children), 3);
    assert_int_equal(atomic_load(&record->culprits[0]), 0);
    assert_int_equal(atomic_load(&record->culprits[1]), 4711);
    assert_int_equal(atomic_load(&record->culprits[2]), 4712);
}

static int crash_often(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    (void)context;
    if (begin(notes, wait_ms) < 12) {
        _exit(0); /* without a word */
    }
    return 0;
}

static void each_crash_makes_the_next_child_wait_longer(void **state)
{
    static const uint32_t expected[] = {0,    0,    100,  200,   400,   800,
                                        1600, 3200, 6400, 10000, 10000, 10000};
    (void)state;
    int status = end_of(start(crash_often));
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&record->children), 12);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(atomic_load(&record->waits_ms[i]), expected[i]);
    }
}

static int return_config(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    (void)context;
    (void)begin(notes, wait_ms);
    return 78;
}

static void a_child_that_cannot_start_is_not_started_again(void **state)
{
    (void)state;
    int status = end_of(start(return_config));
    assert_int_equal(WEXITSTATUS(status), 78);
    assert_int_equal(atomic_load(&record->children), 1);
}

/* ---- signals ---- */

static int wait_for_stop(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    (void)context;
    (void)begin(notes, wait_ms);
    int stop = stop_signals_start();
    struct pollfd item = {.fd = stop, .events = POLLIN};
    atomic_fetch_add(&record->ready, 1);
    return stop >= 0 && poll(&item, 1, DEADLINE_MS) == 1 ? 5 : 1;
}

/* Asked to stop, it does not, but for a second signal. */
static int wait_for_second(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    int exit_code = wait_for_stop(context, notes, wait_ms);
    atomic_fetch_add(&record->ready, 1);
    (void)poll(NULL, 0, DEADLINE_MS);
    return exit_code;
}

static void a_stop_is_passed_on(void **state)
{
    (void)state;
    pid_t pid = start(wait_for_stop);
    wait_until_ready(1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    int status = end_of(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
}

/* As service managers and terminals do. */
static void a_stop_that_is_sent_to_both_is_one(void **state)
{
    (void)state;
    pid_t pid = start(wait_for_second);
    wait_until_ready(1);
    assert_int_equal(kill(atomic_load(&record->pids[0]), SIGTERM), 0);
    wait_until_ready(2);
    assert_int_equal(kill(pid, SIGTERM), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        (void)poll(NULL, 0, 5);
    }
    int status = end_by_more_signals(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
    assert_int_equal(atomic_load(&record->children), 1);
}

/* The next child is asked as well, once it has reported. */
static void a_crash_on_the_way_to_a_stop(void **state)
{
    (void)state;
    pid_t pid = start(wait_for_second);
    wait_until_ready(1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    wait_until_ready(2);
    assert_int_equal(kill(atomic_load(&record->pids[0]), SIGKILL), 0);
    wait_until_ready(4); /* the second child has heard of the stop */
    int status = end_by_more_signals(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
    assert_int_equal(atomic_load(&record->children), 2);
}

/* The first child crashes when it is asked to stop. */
static int crash_at_stop(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    bool first = atomic_load(&record->children) == 0;
    int exit_code = wait_for_stop(context, notes, wait_ms);
    if (first) {
        (void)raise(SIGKILL);
    }
    return exit_code;
}

/* On one processor, where fork() lets the supervisor go on, the request to stop comes before the
 * second child has done anything. */
static void a_child_that_has_just_begun_is_asked_to_stop(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    pid_t pid = start(crash_at_stop);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    wait_until_ready(1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    int status = end_of(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
    assert_int_equal(atomic_load(&record->children), 2);
    assert_int_equal(atomic_load(&record->waits_ms[1]), 0); /* no other child has died before it */
}

/* Each child waits for a second signal while the notes name a culprit. */
static int crash_and_wait(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    bool first = atomic_load(&record->children) == 0;
    (void)wait_for_stop(context, notes, wait_ms);
    crash_slot_t *slot = crash_notes_slot(notes, 0);
    atomic_store(&slot->at_hand, 4711);
    atomic_store(&slot->crashed, 4711);
    if (first) {
        (void)raise(SIGKILL);
    }
    atomic_fetch_add(&record->ready, 1);
    (void)poll(NULL, 0, DEADLINE_MS);
    return 1;
}

static void a_second_stop_ends_a_worker_that_is_reporting_a_crash(void **state)
{
    (void)state;
    pid_t pid = start(crash_and_wait);
    wait_until_ready(1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    wait_until_ready(3); /* the second child has heard of the stop */
    assert_int_equal(kill(pid, SIGTERM), 0);
    int status = end_of(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
    assert_int_equal(atomic_load(&record->children), 2);
}

static void a_child_dies_with_its_supervisor(void **state)
{
    (void)state;
    pid_t pid = start(wait_for_stop);
    wait_until_ready(1);
    pid_t child = atomic_load(&record->pids[0]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)end_of(pid);
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (kill(child, 0) == 0) { /* until whoever collects orphans has done so */
        (void)waitpid(child, NULL, WNOHANG);
        assert_true(clock_monotonic_ms() < deadline_ms);
        (void)poll(NULL, 0, 2);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(a_crash_starts_another_child_which_knows_the_culprit),
        TEST(each_crash_makes_the_next_child_wait_longer),
        TEST(a_child_that_cannot_start_is_not_started_again),
        TEST(a_stop_is_passed_on),
        TEST(a_stop_that_is_sent_to_both_is_one),
        TEST(a_crash_on_the_way_to_a_stop),
        TEST(a_child_that_has_just_begun_is_asked_to_stop),
        TEST(a_second_stop_ends_a_worker_that_is_reporting_a_crash),
        TEST(a_child_dies_with_its_supervisor),
    };
    return cmocka_run_group_tests_name("worker supervisor", tests, NULL, NULL);
}
