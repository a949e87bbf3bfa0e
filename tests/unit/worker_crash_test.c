/* What a process that crashes leaves behind, and how the next one reports it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/message.h"
#include "worker/crash_handler.h"
#include "worker/crash_report_zmq.h"

enum { DEADLINE_MS = 20000, REQUEST = 4711, LINE_SIZE = 300 };

static int set_up(void **state)
{
    *state = crash_notes_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    crash_notes_t *notes = *state;
    crash_notes_destroy(&notes);
    return 0;
}

/* ---- notes ---- */

static void a_thread_that_survived_is_no_culprit(void **state)
{
    crash_notes_t *notes = *state;
    uint64_t culprits[CRASH_SLOTS_MAX];
    assert_int_equal(crash_notes_culprits(notes, culprits), 0);
    for (uint32_t i = 0; i < CRASH_SLOTS_MAX; i++) {
        atomic_store(&crash_notes_slot(notes, i)->at_hand, 100 + i);
    }
    assert_int_equal(crash_notes_culprits(notes, culprits), 0);
    atomic_store(&crash_notes_slot(notes, 3)->crashed, 103);
    atomic_store(&crash_notes_slot(notes, 5)->crashed, 99);
    atomic_store(&crash_notes_slot(notes, CRASH_SLOTS_MAX - 1)->crashed, 100 + CRASH_SLOTS_MAX - 1);
    assert_int_equal(crash_notes_culprits(notes, culprits), 2);
    assert_int_equal(culprits[0], 103);
    assert_int_equal(culprits[1], 100 + CRASH_SLOTS_MAX - 1);
    crash_notes_set_standing(notes, RUNNER_CORDONED);
    crash_notes_clear(notes);
    assert_int_equal(crash_notes_culprits(notes, culprits), 0);
    assert_int_equal(crash_notes_standing(notes), RUNNER_CORDONED); /* the next process has it */
}

static void brokers_are_noted_once_and_the_newest_stay(void **state)
{
    crash_notes_t *notes = *state;
    char endpoint[32];
    crash_notes_add_broker(notes, "tcp://a:1");
    crash_notes_add_broker(notes, "tcp://a:1");
    assert_int_equal(crash_notes_broker_count(notes), 1);
    for (unsigned i = 0; i < CRASH_BROKERS_MAX; i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://b:%u", i);
        crash_notes_add_broker(notes, endpoint);
    }
    assert_int_equal(crash_notes_broker_count(notes), CRASH_BROKERS_MAX);
    assert_string_equal(crash_notes_broker(notes, 0), endpoint);
    assert_string_equal(crash_notes_broker(notes, 1), "tcp://b:0");
}

static void the_first_end_is_the_one_that_is_told(void **state)
{
    crash_notes_t *notes = *state;
    crash_notes_set_text(notes, "signal 11");
    crash_notes_set_text(notes, "signal 9");
    assert_string_equal(crash_notes_text(notes), "signal 11");
}

/* ---- crashes ---- */

typedef void crash_fn(void);

/* UBSan would see these coming. */
__attribute__((no_sanitize("undefined"))) static void use_null(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

__attribute__((no_sanitize("undefined"))) static void divide(void)
{
    volatile int zero = 0;
    volatile int result = 100 / zero;
    (void)result;
}

static void call_abort(void)
{
    abort();
}

static void call_exit(void)
{
    exit(3);
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static int overflow_by(volatile int *deeper)
{
    volatile int frame[256] = {*deeper};
    return frame[0] == -1 ? 0 : overflow_by(frame) + frame[1];
}

static void overflow(void)
{
    volatile int begin = 1;
    (void)overflow_by(&begin);
}

static void be_killed(void)
{
    (void)kill(getpid(), SIGKILL);
    pause();
}

static void call_exit_at_once(void)
{
    _exit(3);
}

/* A forked process has none of its parent's other threads, so their memory looks lost there. */
static bool forked;
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return forked;
}

/* Runs a function in a process of its own that is forked here, as a handler may do. */
static void fork_and_run(crash_fn *run)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        forked = true;
        run();
        _exit(1);
    }
    (void)waitpid(pid, &status, 0);
    _exit(status != 0 ? 3 : 0);
}

static void fork_a_process_that_exits(void)
{
    fork_and_run(call_exit);
}

static void fork_a_process_that_crashes(void)
{
    fork_and_run(use_null);
}

static void fork_a_process_that_aborts(void)
{
    fork_and_run(call_abort);
}

typedef struct scene {
    crash_notes_t *notes;
    crash_fn *crash;
    bool noted; /* whether the thread that crashes has a slot */
} scene_t;

static void *be_idle(void *notes)
{
    crash_slot_t *slot = crash_notes_slot(notes, 0);
    crash_stack_t *stack = crash_handler_enter(slot);
    atomic_store(&slot->at_hand, 1);
    while (atomic_load(&slot->at_hand) != 0) {
        pause();
    }
    crash_handler_leave(&stack);
    return NULL;
}

static void *be_culprit(void *argument)
{
    const scene_t *scene = argument;
    crash_slot_t *slot = crash_notes_slot(scene->notes, 1);
    crash_stack_t *stack = scene->noted ? crash_handler_enter(slot) : NULL;
    atomic_store(&slot->at_hand, REQUEST);
    scene->crash();
    crash_handler_leave(&stack);
    return NULL;
}

/* Without the handlers of cmocka, and of a sanitizer. */
static void become_plain(void)
{
    static const struct rlimit none = {0, 0};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    (void)setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    crash_handler_start();
}

/* In a process of its own: a thread crashes while another one is at a request, too. */
static _Noreturn void play(scene_t *scene)
{
    pthread_t threads[2];
    become_plain();
    if (pthread_create(&threads[0], NULL, be_idle, scene->notes) == 0) {
        while (atomic_load(&crash_notes_slot(scene->notes, 0)->at_hand) == 0) {
            (void)poll(NULL, 0, 1);
        }
        if (pthread_create(&threads[1], NULL, be_culprit, scene) == 0) {
            pthread_join(threads[1], NULL);
        }
    }
    _exit(0);
}

static int run_scene(scene_t *scene)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        play(scene);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_culprit(void **state, crash_fn *crash, int number)
{
    scene_t scene = {.notes = *state, .crash = crash, .noted = true};
    uint64_t culprits[CRASH_SLOTS_MAX];
    int status = run_scene(&scene);
    assert_int_equal(crash_notes_culprits(scene.notes, culprits), 1);
    assert_int_equal(culprits[0], REQUEST);
    assert_true(number == 0 ? WIFEXITED(status) && WEXITSTATUS(status) == 3
                            : WIFSIGNALED(status) && WTERMSIG(status) == number);
}

static void a_null_pointer(void **state)
{
    expect_culprit(state, use_null, SIGSEGV);
}

static void a_division(void **state)
{
    expect_culprit(state, divide, SIGFPE);
}

static void an_abort(void **state)
{
    expect_culprit(state, call_abort, SIGABRT);
}

static void an_overflowing_stack(void **state)
{
    expect_culprit(state, overflow, SIGSEGV);
}

static void an_exit(void **state)
{
    expect_culprit(state, call_exit, 0);
}

static void expect_nobody(void **state, crash_fn *crash, bool noted)
{
    scene_t scene = {.notes = *state, .crash = crash, .noted = noted};
    uint64_t culprits[CRASH_SLOTS_MAX];
    assert_int_not_equal(run_scene(&scene), 0);
    assert_int_equal(crash_notes_culprits(scene.notes, culprits), 0);
}

static void nobody_is_blamed_for_a_kill(void **state)
{
    expect_nobody(state, be_killed, true);
}

static void nobody_is_blamed_for_an_exit_that_nobody_sees(void **state)
{
    expect_nobody(state, call_exit_at_once, true);
}

static void nobody_is_blamed_for_a_thread_without_a_slot(void **state)
{
    expect_nobody(state, use_null, false);
}

/* It shares the memory of the notes, but not the handler that runs. */
static void nobody_is_blamed_for_the_end_of_a_forked_process(void **state)
{
    expect_nobody(state, fork_a_process_that_exits, true);
    expect_nobody(state, fork_a_process_that_crashes, true);
    expect_nobody(state, fork_a_process_that_aborts, true);
}

/* A signal of a fault that another process sends. */
static void nobody_is_blamed_for_a_signal_of_others(void **state)
{
    crash_notes_t *notes = *state;
    uint64_t culprits[CRASH_SLOTS_MAX];
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become_plain();
        (void)be_idle(notes);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (atomic_load(&crash_notes_slot(notes, 0)->at_hand) == 0) {
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    assert_int_equal(kill(pid, SIGSEGV), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_not_equal(status, 0);
    assert_int_equal(crash_notes_culprits(notes, culprits), 0);
}

/* ---- the report ---- */

typedef struct broker {
    void *zmq;
    void *router;
    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1];
    unsigned answer_at; /* which report is answered; 0: none */
    unsigned reports;
    char last[LINE_SIZE];
    pthread_t thread;
    atomic_bool end;
} broker_t;

static void note_report(broker_t *broker, const message_crashed_t *crashed)
{
    wire_reader_t list = wire_reader(crashed->culprits);
    uint32_t count = wire_get_array(&list);
    int size = snprintf(broker->last, LINE_SIZE, "%.*s", (int)crashed->text.size,
                        (const char *)crashed->text.data);
    for (uint32_t i = 0; i < count; i++) {
        size += snprintf(broker->last + size, LINE_SIZE - (size_t)size, " %llu",
                         (unsigned long long)wire_get_uint(&list));
    }
    broker->reports++;
}

static void answer(broker_t *broker, fabric_bytes_t routing_id, fabric_bytes_t incarnation)
{
    wire_writer_t frame = {0};
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION};
    message_crash_noted_t noted = {.incarnation = incarnation};
    frame_begin(&frame, &head);
    message_put_crash_noted(&frame, &noted);
    (void)zmq_send(broker->router, routing_id.data, routing_id.size, ZMQ_SNDMORE);
    (void)zmq_send(broker->router, frame.data, frame.size, 0);
    wire_writer_destroy(&frame);
}

static void take(broker_t *broker)
{
    uint8_t id[64];
    uint8_t bytes[4096];
    wire_reader_t frame, body;
    frame_head_t head;
    message_kind_t kind;
    message_crashed_t crashed;
    int id_size = zmq_recv(broker->router, id, sizeof id, 0);
    int size = zmq_recv(broker->router, bytes, sizeof bytes, 0);
    if (id_size < 0 || size < 0 ||
        frame_open(fabric_bytes(bytes, (size_t)size), &frame, &head) != FABRIC_OK ||
        !frame_next(&frame, &body) || message_open(&body, &kind) != FABRIC_OK ||
        kind != KIND_CRASHED || message_get_crashed(&body, &crashed) != FABRIC_OK) {
        abort();
    }
    note_report(broker, &crashed);
    if (broker->reports == broker->answer_at) {
        answer(broker, fabric_bytes(id, (size_t)id_size), crashed.incarnation);
    }
}

static void *run_broker(void *argument)
{
    broker_t *broker = argument;
    zmq_pollitem_t item = {.socket = broker->router, .events = ZMQ_POLLIN};
    while (!atomic_load(&broker->end)) {
        if (zmq_poll(&item, 1, 5) > 0) {
            take(broker);
        }
    }
    return NULL;
}

static void broker_start(broker_t *broker, unsigned answer_at)
{
    size_t size = sizeof broker->endpoint;
    int linger = 0;
    *broker = (broker_t){.zmq = zmq_ctx_new(), .answer_at = answer_at};
    broker->router = zmq_socket(broker->zmq, ZMQ_ROUTER);
    zmq_setsockopt(broker->router, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_bind(broker->router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(broker->router, ZMQ_LAST_ENDPOINT, broker->endpoint, &size), 0);
    assert_int_equal(pthread_create(&broker->thread, NULL, run_broker, broker), 0);
}

static void broker_stop(broker_t *broker)
{
    atomic_store(&broker->end, true);
    pthread_join(broker->thread, NULL);
    zmq_close(broker->router);
    zmq_ctx_term(broker->zmq);
}

static void note_culprits(crash_notes_t *notes)
{
    crash_notes_begin(notes, (incarnation_t){{1, 2, 3}});
    crash_notes_set_text(notes, "signal 11");
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store(&crash_notes_slot(notes, i)->at_hand, 70 + i);
        atomic_store(&crash_notes_slot(notes, i)->crashed, 70 + i);
    }
}

/* Sends a report to two brokers, of which the second has a name and answers the second report.
 * False: the time for reports was over before, as may be on a slow machine. */
static bool tell_two_brokers(void)
{
    crash_notes_t *notes = crash_notes_new();
    broker_t brokers[2];
    reason_t reason;
    char named[LIMIT_ENDPOINT_BYTES_MAX + 1];
    broker_start(&brokers[0], 1);
    broker_start(&brokers[1], 2);
    note_culprits(notes);
    crash_notes_add_broker(notes, brokers[0].endpoint);
    snprintf(named, sizeof named, "tcp://localhost%s", strrchr(brokers[1].endpoint, ':'));
    crash_notes_add_broker(notes, named);
    assert_int_equal(crash_report_send(notes, &reason), FABRIC_OK);
    broker_stop(&brokers[0]);
    broker_stop(&brokers[1]);
    crash_notes_destroy(&notes);
    if (brokers[0].reports < 1 || brokers[1].reports < 2) {
        return false;
    }
    assert_string_equal(brokers[0].last, "signal 11 70 71");
    assert_string_equal(brokers[1].last, "signal 11 70 71");
    return true;
}

static void each_broker_is_told_until_it_answers(void **state)
{
    (void)state;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (!tell_two_brokers()) {
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
}

/* One broker is gone, one never answers. Returns how many reports the latter has got. */
static unsigned report_in_vain(void)
{
    crash_notes_t *notes = crash_notes_new();
    broker_t broker;
    reason_t reason;
    broker_start(&broker, 0);
    note_culprits(notes);
    crash_notes_add_broker(notes, "tcp://127.0.0.1:1");
    crash_notes_add_broker(notes, broker.endpoint);
    uint64_t begun_ms = clock_monotonic_ms();
    assert_int_equal(crash_report_send(notes, &reason), FABRIC_OK);
    uint64_t took_ms = clock_monotonic_ms() - begun_ms;
    broker_stop(&broker);
    crash_notes_destroy(&notes);
    assert_in_range(took_ms, 250, DEADLINE_MS);
    return broker.reports;
}

static void nobody_is_waited_for_without_end(void **state)
{
    (void)state;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (report_in_vain() == 0) { /* a slow machine may not connect in time */
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
}

static void nothing_is_told_where_nobody_knows_the_process(void **state)
{
    reason_t reason;
    assert_int_equal(crash_report_send(*state, &reason), FABRIC_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(a_thread_that_survived_is_no_culprit),
        TEST(brokers_are_noted_once_and_the_newest_stay),
        TEST(the_first_end_is_the_one_that_is_told),
        TEST(a_null_pointer),
        TEST(a_division),
        TEST(an_abort),
        TEST(an_overflowing_stack),
        TEST(an_exit),
        TEST(nobody_is_blamed_for_a_kill),
        TEST(nobody_is_blamed_for_an_exit_that_nobody_sees),
        TEST(nobody_is_blamed_for_a_thread_without_a_slot),
        TEST(nobody_is_blamed_for_the_end_of_a_forked_process),
        TEST(nobody_is_blamed_for_a_signal_of_others),
        TEST(each_broker_is_told_until_it_answers),
        TEST(nobody_is_waited_for_without_end),
        TEST(nothing_is_told_where_nobody_knows_the_process),
    };
    return cmocka_run_group_tests_name("worker crash", tests, NULL, NULL);
}
