/* The worker library and the process around it: fork(), and threads that are cancelled. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fabric/worker.h>

enum { WAIT_MAX_S = 20 };

static fabric_result_t handle(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_REPLY;
}

static const fabric_message_type_t message = {
    .tag = "Do", .request = &fabric_schema_empty, .reply = &fabric_schema_empty};
static const fabric_handler_t handlers[] = {{&message, handle}};
static const fabric_entity_type_t type = {.name = "N", .handlers = handlers, .handler_count = 1};

/* A worker that finds no broker. */
static fabric_worker_t *open_worker(void)
{
    static const fabric_entity_type_t *const types[] = {&type, NULL};
    fabric_worker_t *worker = NULL;
    fabric_worker_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER, .executors = 1};
    assert_int_equal(fabric_worker_open("tcp://127.0.0.1:1", types, &options, &worker, NULL),
                     FABRIC_OK);
    return worker;
}

static int wait_for(pid_t child)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* The number of the first step that went wrong, or 0. */
static int use_in_child(fabric_worker_t *worker)
{
    fabric_worker_stats_t stats = {.entities = 7};
    if (fabric_worker_wait_ready(worker, 60000, NULL) != FABRIC_ERROR_INVALID_ARGUMENT) {
        return 1;
    }
    fabric_worker_stats(worker, &stats);
    if (stats.entities != 0) {
        return 2;
    }
    fabric_worker_stop(worker);
    fabric_worker_close(&worker);
    return worker ? 3 : 0;
}

static void a_child_does_no_harm_to_an_open_worker(void **state)
{
    (void)state;
    fabric_worker_t *worker = open_worker();
    pid_t child = fork();
    if (child == 0) {
        alarm(WAIT_MAX_S); /* what hangs dies of it */
        _exit(use_in_child(worker));
    }
    assert_int_equal(wait_for(child), 0);
    assert_int_equal(fabric_worker_wait_ready(worker, 20, NULL), FABRIC_ERROR_NOT_CONNECTED);
    fabric_worker_close(&worker);
}

static void a_child_may_open_a_worker_of_its_own(void **state)
{
    (void)state;
    fabric_worker_t *worker = open_worker();
    pid_t child = fork();
    if (child == 0) {
        alarm(WAIT_MAX_S);
        fabric_worker_close(&worker);
        worker = open_worker();
        bool good = fabric_worker_wait_ready(worker, 20, NULL) == FABRIC_ERROR_NOT_CONNECTED;
        fabric_worker_close(&worker);
        _exit(good && !worker ? 0 : 1);
    }
    assert_int_equal(wait_for(child), 0);
    fabric_worker_close(&worker);
}

static void *wait_cancelled(void *argument)
{
    (void)pthread_cancel(pthread_self());
    fabric_error_t error = fabric_worker_wait_ready((fabric_worker_t *)argument, 100, NULL);
    pthread_testcancel();
    return error ? NULL : argument;
}

/* One that took the lock with it would stop all who come after it. */
static void a_cancelled_thread_leaves_a_wait_first(void **state)
{
    (void)state;
    fabric_worker_t *worker = open_worker();
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_cancelled, worker), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(result == PTHREAD_CANCELED);
    alarm(WAIT_MAX_S);
    assert_int_equal(fabric_worker_wait_ready(worker, 20, NULL), FABRIC_ERROR_NOT_CONNECTED);
    fabric_worker_close(&worker);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_does_no_harm_to_an_open_worker),
        cmocka_unit_test(a_child_may_open_a_worker_of_its_own),
        cmocka_unit_test(a_cancelled_thread_leaves_a_wait_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
