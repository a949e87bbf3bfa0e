/* The whole worker library, its threads and sockets included, against a small broker of the test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#include <fabric/worker.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/message.h"
#include "core/shard_map.h"

#define DEADLINE_MS 10000u
#define SHARD       0x10001u

/* ---- the entity ---- */

typedef struct number {
    int64_t value;
} number_t;
static const fabric_field_t number_fields[] = {FABRIC_I64(number_t, value)};
static const fabric_schema_t number_schema = FABRIC_SCHEMA("Number", number_t, number_fields);
enum { STUCK_MS = 300 };

static const fabric_message_type_t add_message = {"Add", &number_schema, &number_schema, true,
                                                  NULL,  NULL,           false,          false};
static const fabric_message_type_t later_message = {"Later", &number_schema, &number_schema, false,
                                                    NULL,    NULL,           false,          false};
static const fabric_message_type_t block_message = {"Block", &number_schema, &number_schema, true,
                                                    NULL,    NULL,           false,          false};

static sem_t blocked, unblock;
static atomic_int stopped;

static fabric_result_t add(fabric_context_t *context, void *state, const void *request, void *reply)
{
    (void)context;
    ((number_t *)state)->value += ((const number_t *)request)->value;
    *(number_t *)reply = *(number_t *)state;
    return FABRIC_REPLY;
}

static void *complete(void *argument)
{
    fabric_pending_t *pending = (fabric_pending_t *)argument;
    number_t reply = {4711};
    fabric_pending_reply(&pending, &reply);
    return NULL;
}

static fabric_result_t later(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    pthread_t thread;
    (void)state;
    (void)request;
    (void)reply;
    if (pthread_create(&thread, NULL, complete, fabric_later(context)) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static fabric_result_t block(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    sem_post(&blocked);
    sem_wait(&unblock);
    ((number_t *)reply)->value = 1;
    return FABRIC_REPLY;
}

static void on_stop(void *state, fabric_bytes_t id)
{
    (void)state;
    (void)id;
    atomic_fetch_add(&stopped, 1);
}

static const fabric_handler_t handlers[] = {
    {&add_message, add}, {&later_message, later}, {&block_message, block}};
static const fabric_entity_type_t type = {
    .name = "N",
    .state_size = sizeof(number_t),
    .stop = on_stop,
    .handlers = handlers,
    .handler_count = 3,
};

/* ---- the broker ---- */

typedef struct fixture {
    void *zmq;
    void *router;
    char endpoint[128];
    uint8_t peer[64];
    size_t peer_size;
    zmq_msg_t frame;
    wire_reader_t messages;
    wire_reader_t body;
    uint64_t connection;
    uint64_t request_id;
    fabric_worker_t *worker;
    atomic_int welcomed, refused; /* log events */
    atomic_bool hold;             /* whether the log callback waits for the handler of "Block" */
    atomic_int stuck, recovered;  /* log events that are as they should be */
    atomic_bool early;            /* that handler has begun while the callback waited */
} fixture_t;

static void bind_router(fixture_t *f, const char *endpoint)
{
    int one = 1;
    int zero = 0;
    int timeout_ms = 50;
    size_t size = sizeof f->endpoint;
    f->router = zmq_socket(f->zmq, ZMQ_ROUTER);
    assert_non_null(f->router);
    zmq_setsockopt(f->router, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
    zmq_setsockopt(f->router, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(f->router, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    uint64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (zmq_bind(f->router, endpoint) != 0) {
        assert_true(clock_monotonic_ms() < until_ms); /* the old socket lets go of its port soon */
    }
    if (!f->endpoint[0]) {
        assert_int_equal(zmq_getsockopt(f->router, ZMQ_LAST_ENDPOINT, f->endpoint, &size), 0);
    }
}

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    sem_init(&blocked, 0, 0);
    sem_init(&unblock, 0, 0);
    atomic_store(&stopped, 0);
    f->zmq = zmq_ctx_new();
    zmq_msg_init(&f->frame);
    bind_router(f, "tcp://127.0.0.1:*");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    sem_post(&unblock);
    if (f->router) {
        zmq_close(f->router);
    }
    fabric_worker_close(&f->worker);
    zmq_msg_close(&f->frame);
    zmq_ctx_term(f->zmq);
    sem_destroy(&blocked);
    sem_destroy(&unblock);
    free(f);
    return 0;
}

/* The next message from the worker other than PING, waited for. */
static message_kind_t next_message(fixture_t *f)
{
    uint64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;
    while (clock_monotonic_ms() < until_ms) {
        while (frame_next(&f->messages, &f->body)) {
            message_kind_t kind;
            assert_int_equal(message_open(&f->body, &kind), FABRIC_OK);
            if (kind != KIND_PING) {
                return kind;
            }
        }
        int size = zmq_recv(f->router, f->peer, sizeof f->peer, 0);
        if (size < 0) {
            continue;
        }
        frame_head_t head;
        f->peer_size = (size_t)size;
        assert_true(zmq_msg_recv(&f->frame, f->router, 0) >= 0);
        assert_int_equal(frame_open(fabric_bytes(zmq_msg_data(&f->frame), zmq_msg_size(&f->frame)),
                                    &f->messages, &head),
                         FABRIC_OK);
    }
    fail_msg("the worker sent nothing");
    return KIND_BYE;
}

static void send_bytes(fixture_t *f, fabric_bytes_t bytes)
{
    assert_true(zmq_send(f->router, f->peer, f->peer_size, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(f->router, bytes.data, bytes.size, 0) >= 0);
}

#define SAY(f, kind, ...)                                                                          \
    do {                                                                                           \
        wire_writer_t frame_ = {0};                                                                \
        frame_head_t head_ = {.version = LIMIT_PROTOCOL_VERSION};                                  \
        message_##kind##_t message_ = {__VA_ARGS__};                                               \
        frame_begin(&frame_, &head_);                                                              \
        message_put_##kind(&frame_, &message_);                                                    \
        send_bytes((f), wire_writer_bytes(&frame_));                                               \
        wire_writer_destroy(&frame_);                                                              \
    } while (0)

/* Takes the hello of a new connection. */
static void take_hello(fixture_t *f)
{
    message_hello_t hello;
    assert_int_equal(next_message(f), KIND_HELLO);
    assert_int_equal(message_get_hello(&f->body, &hello), FABRIC_OK);
    assert_int_equal(hello.role, ROLE_WORKER);
    assert_true(hello.connection > f->connection);
    f->connection = hello.connection;
}

static void put_welcome(const fixture_t *f, wire_writer_t *frame, uint64_t heartbeat_ms)
{
    static const uint8_t id[16] = {1};
    shard_map_t *map = shard_map_new();
    wire_writer_t snapshot = {0};
    shard_map_set_shards_per_group(map, 300);
    shard_map_set_lanes(map, 12);
    shard_map_begin_term(map, 1);
    shard_map_encode_snapshot(map, &snapshot);
    message_welcome_t message = {.protocol = 1,
                                 .cluster_id = fabric_bytes(id, 16),
                                 .cluster_name = fabric_bytes_of("test"),
                                 .broker = fabric_bytes(id, 16),
                                 .connection = f->connection,
                                 .shards_per_group = 300,
                                 .lease_ms = 60000,
                                 .heartbeat_ms = heartbeat_ms,
                                 .map = wire_writer_bytes(&snapshot)};
    message_put_welcome(frame, &message);
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
}

static message_runner_health_t expect_health(fixture_t *f)
{
    message_runner_health_t health = {0};
    assert_int_equal(next_message(f), KIND_RUNNER_HEALTH);
    assert_int_equal(message_get_runner_health(&f->body, &health), FABRIC_OK);
    assert_int_equal(health.executors, 2);
    return health;
}

static void welcome(fixture_t *f)
{
    wire_writer_t frame = {0};
    take_hello(f);
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    put_welcome(f, &frame, 20);
    send_bytes(f, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_int_equal(expect_health(f).stuck, 0);
}

static void put_deliver(fixture_t *f, wire_writer_t *frame, uint64_t owner_sequence,
                        const char *tag, bool durable)
{
    uint8_t payload[32];
    number_t number = {5};
    size_t size = 0;
    assert_int_equal(
        fabric_schema_encode(&number_schema, &number, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    message_deliver_t message = {.shard = SHARD,
                                 .home_epoch = 1,
                                 .owner_sequence = owner_sequence,
                                 .activation = 1,
                                 .request_id = ++f->request_id,
                                 .delivery = 1,
                                 .attempt = 1,
                                 .flags = durable ? REQUEST_DURABLE : 0,
                                 .type = fabric_bytes_of("N"),
                                 .id = fabric_bytes_of("n-1"),
                                 .tag = fabric_bytes_of(tag),
                                 .payload = fabric_bytes(payload, size)};
    message_put_deliver(frame, &message);
}

/* Sends one frame with `count` deliveries. */
static void deliver_many(fixture_t *f, unsigned count, uint64_t owner_sequence, const char *tag,
                         bool durable)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    for (unsigned i = 0; i < count; i++) {
        put_deliver(f, &frame, owner_sequence, tag, durable);
    }
    send_bytes(f, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void deliver(fixture_t *f, uint64_t owner_sequence, const char *tag, bool durable)
{
    deliver_many(f, 1, owner_sequence, tag, durable);
}

static void expect_result(fixture_t *f, reply_status_t status, int64_t value)
{
    message_result_t result;
    assert_int_equal(next_message(f), KIND_RESULT);
    assert_int_equal(message_get_result(&f->body, &result), FABRIC_OK);
    assert_int_equal(result.status, status);
    if (status == STATUS_OK) {
        number_t number;
        assert_int_equal(fabric_schema_decode(&number_schema, result.payload, NULL, &number),
                         FABRIC_OK);
        assert_int_equal(number.value, value);
    }
}

/* For a while, as the handler may not come before the callback has returned. */
static bool wait_for_handler(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(&blocked, &until) == 0;
}

/* On the worker's threads, one at a time. */
static void note_log(void *context, fabric_log_level_t level, const char *code, const char *text)
{
    fixture_t *f = (fixture_t *)context;
    if (strcmp(code, "worker.stuck") == 0 && level == FABRIC_LOG_WARN &&
        strstr(text, ": N/n-1 Block, request ")) {
        atomic_fetch_add(&f->stuck, 1);
    }
    if (strcmp(code, "worker.recovered") == 0 && level == FABRIC_LOG_INFO) {
        atomic_fetch_add(&f->recovered, 1);
    }
    if (strcmp(code, "worker.welcomed") == 0 && level == FABRIC_LOG_INFO) {
        atomic_fetch_add(&f->welcomed, 1);
    }
    if (strcmp(code, "worker.refused") == 0 && level == FABRIC_LOG_ERROR) {
        atomic_fetch_add(&f->refused, 1);
    }
    if (strcmp(code, "worker.malformed") == 0 && atomic_load(&f->hold)) {
        atomic_store(&f->early, wait_for_handler());
    }
}

static const fabric_entity_type_t *const types[] = {&type, NULL};

static void open_worker(fixture_t *f)
{
    fabric_worker_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER,
                                       .executors = 2,
                                       .grace_ms = 2000,
                                       .stuck_ms = STUCK_MS,
                                       .log = note_log,
                                       .log_context = f};
    assert_int_equal(fabric_worker_open(f->endpoint, types, &options, &f->worker, NULL), FABRIC_OK);
}

static void start(fixture_t *f)
{
    fabric_outcome_t outcome;
    open_worker(f);
    welcome(f);
    assert_int_equal(fabric_worker_wait_ready(f->worker, DEADLINE_MS, &outcome), FABRIC_OK);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_int_equal(atomic_load(&f->welcomed), 1);
    SAY(f, assign, .shard = SHARD, .home_epoch = 1, .owner_sequence = 1,
        .type = fabric_bytes_of(type.name));
}

static void *stop_worker(void *argument)
{
    fabric_worker_stop((fabric_worker_t *)argument);
    return NULL;
}

/* ---- tests ---- */

static void handles_messages(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    start(f);
    deliver(f, 1, "Add", true);
    deliver(f, 1, "Later", false);
    deliver(f, 1, "Add", true);
    expect_result(f, STATUS_OK, 5);
    expect_result(f, STATUS_OK, 4711);
    expect_result(f, STATUS_OK, 10);
    deliver(f, 2, "Add", true);
    expect_result(f, STATUS_NOT_TAKEN, 0);
    fabric_worker_stats_t stats;
    fabric_worker_stats(f->worker, &stats);
    assert_int_equal(stats.handled, 3);
    assert_int_equal(stats.entities, 1);
    assert_int_equal(stats.shards, 1);
}

/* A handler may crash as soon as it begins, and the broker must be noted by then. The first welcome
 * is malformed: the log callback hears of it first, and waits. */
static void tells_of_a_welcome_before_it_handles_messages(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    wire_writer_t frame = {0};
    message_assign_t assign = {
        .shard = SHARD, .home_epoch = 1, .owner_sequence = 1, .type = fabric_bytes_of(type.name)};
    atomic_store(&f->hold, true);
    open_worker(f);
    take_hello(f);
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    put_welcome(f, &frame, 0);
    put_welcome(f, &frame, 20);
    message_put_assign(&frame, &assign);
    put_deliver(f, &frame, 1, "Block", true);
    send_bytes(f, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    sem_post(&unblock);
    assert_int_equal(expect_health(f).stuck, 0);
    expect_result(f, STATUS_OK, 1);
    assert_int_equal(atomic_load(&f->welcomed), 1);
    assert_false(atomic_load(&f->early));
}

/* A handler that answers later does not hold its executor; one that does not return does. */
static void a_handler_that_does_not_return_is_told(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    start(f);
    deliver(f, 1, "Later", false);
    expect_result(f, STATUS_OK, 4711);
    deliver(f, 1, "Block", true);
    message_runner_health_t health = expect_health(f);
    assert_int_equal(health.stuck, 1);
    assert_in_range(health.oldest_ms, STUCK_MS, DEADLINE_MS);
    assert_int_equal(atomic_load(&f->stuck), 1);
    assert_int_equal(atomic_load(&f->recovered), 0);
    sem_post(&unblock);
    expect_result(f, STATUS_OK, 1);
    health = expect_health(f);
    assert_int_equal(health.stuck, 0);
    assert_int_equal(health.oldest_ms, 0);
    assert_int_equal(atomic_load(&f->stuck), 1);
    assert_int_equal(atomic_load(&f->recovered), 1);
}

/* Small frames are copied, large ones stay where libzmq has put them. Some messages wait for the
 * one before. */
static void handles_messages_of_large_frames(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    int64_t sum = 0;
    start(f);
    for (unsigned count = 1; count <= 1000; count *= 10) {
        deliver(f, 1, "Later", false);
        deliver_many(f, count, 1, "Add", true);
        expect_result(f, STATUS_OK, 4711);
        for (unsigned i = 0; i < count; i++) {
            sum += 5;
            expect_result(f, STATUS_OK, sum);
        }
    }
}

static void junk_does_no_harm(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    start(f);
    send_bytes(f, fabric_bytes_of("\x93\x02\xc4")); /* a delivery may have been lost with it */
    welcome(f);
    SAY(f, assign, .shard = SHARD, .home_epoch = 1, .owner_sequence = 2,
        .type = fabric_bytes_of(type.name));
    deliver(f, 2, "Add", true);
    expect_result(f, STATUS_OK, 5);
}

static void stop_is_graceful(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    pthread_t thread;
    message_released_t released;
    start(f);
    deliver(f, 1, "Block", true);
    deliver(f, 1, "Add", true);
    sem_wait(&blocked);
    assert_int_equal(pthread_create(&thread, NULL, stop_worker, f->worker), 0);
    assert_int_equal(next_message(f), KIND_BYE);
    SAY(f, release, .shard = SHARD, .home_epoch = 1, .owner_sequence = 1, .grace_ms = 2000);
    /* An answer to a second release, of a token that is not held, shows that the first was read. */
    SAY(f, release, .shard = SHARD, .home_epoch = 1, .owner_sequence = 7, .grace_ms = 0);
    assert_int_equal(next_message(f), KIND_RELEASED);
    sem_post(&unblock);
    expect_result(f, STATUS_OK, 1);        /* the running one ended */
    expect_result(f, STATUS_NOT_TAKEN, 0); /* the other was not begun */
    assert_int_equal(next_message(f), KIND_RELEASED);
    assert_int_equal(message_get_released(&f->body, &released), FABRIC_OK);
    assert_int_equal(released.owner_sequence, 1);
    assert_int_equal(atomic_load(&stopped), 1);
    SAY(f, bye, .reason = fabric_bytes_of(""));
    pthread_join(thread, NULL);
    fabric_worker_stats_t stats;
    fabric_worker_stats(f->worker, &stats);
    assert_int_equal(stats.handled, 1);
    assert_int_equal(stats.entities, 0);
    assert_int_equal(stats.shards, 0);
}

static void reconnects(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    start(f);
    deliver(f, 1, "Add", true);
    expect_result(f, STATUS_OK, 5);
    zmq_close(f->router);
    f->messages = (wire_reader_t){0};
    fabric_worker_stats_t stats;
    uint64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;
    do { /* the loss is noticed at once, not at the next connection */
        fabric_worker_stats(f->worker, &stats);
    } while (stats.shards != 0 && clock_monotonic_ms() < until_ms);
    assert_int_equal(stats.shards, 0);
    bind_router(f, f->endpoint);
    welcome(f);
    deliver(f, 1, "Add", true); /* the old token is dead */
    expect_result(f, STATUS_NOT_TAKEN, 0);
    SAY(f, assign, .shard = SHARD, .home_epoch = 1, .owner_sequence = 2,
        .type = fabric_bytes_of(type.name));
    deliver(f, 2, "Add", true);
    expect_result(f, STATUS_OK, 5); /* fresh state */
    assert_int_equal(atomic_load(&stopped), 1);
}

static void refusal_is_told(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_outcome_t outcome;
    open_worker(f);
    assert_int_equal(next_message(f), KIND_HELLO);
    SAY(f, refused, .error = FABRIC_ERROR_TYPE_CONFLICT, .text = fabric_bytes_of("N: other group"));
    assert_int_equal(fabric_worker_wait_ready(f->worker, DEADLINE_MS, &outcome),
                     FABRIC_ERROR_TYPE_CONFLICT);
    assert_int_equal(outcome.error, FABRIC_ERROR_TYPE_CONFLICT);
    assert_non_null(strstr(outcome.text, "N: other group"));
    fabric_worker_stop(f->worker);
    assert_int_equal(atomic_load(&f->refused), 1);
    assert_int_equal(fabric_worker_wait_ready(f->worker, 0, NULL), FABRIC_ERROR_CLOSED);
}

/* The error by which a broker refuses the worker at present says more than that none is there. */
static void a_refusal_for_now_is_told_at_the_deadline(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_outcome_t outcome;
    open_worker(f);
    assert_int_equal(next_message(f), KIND_HELLO);
    SAY(f, refused, .error = FABRIC_ERROR_BUSY, .text = fabric_bytes_of("full house"));
    uint64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;
    fabric_error_t error;
    do {
        error = fabric_worker_wait_ready(f->worker, 10, &outcome);
    } while (error == FABRIC_ERROR_NOT_CONNECTED && clock_monotonic_ms() < until_ms);
    assert_int_equal(error, FABRIC_ERROR_BUSY);
    assert_non_null(strstr(outcome.text, "full house"));
    welcome(f);
    assert_int_equal(fabric_worker_wait_ready(f->worker, DEADLINE_MS, &outcome), FABRIC_OK);
}

static void without_a_broker(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_outcome_t outcome;
    fabric_worker_t *worker;
    fabric_worker_options_t options = {.connect_timeout_ms = 20, .executors = 1};
    zmq_close(f->router);
    f->router = NULL;
    open_worker(f);
    assert_int_equal(fabric_worker_wait_ready(f->worker, 20, NULL), FABRIC_ERROR_NOT_CONNECTED);
    uint64_t before_ms = clock_monotonic_ms();
    fabric_worker_stop(f->worker);
    assert_int_equal(fabric_worker_open(f->endpoint, types, &options, &worker, &outcome),
                     FABRIC_ERROR_NOT_CONNECTED);
    assert_null(worker);
    assert_int_not_equal(outcome.text[0], '\0');
    assert_true(clock_monotonic_ms() - before_ms < 4000);
}

static void expect_refused(const char *url, const fabric_entity_type_t *const *some,
                           const fabric_worker_options_t *options, fabric_error_t error)
{
    fabric_worker_t *worker = (fabric_worker_t *)&options; /* as a caller may leave it */
    fabric_outcome_t outcome;
    assert_int_equal(fabric_worker_open(url, some, options, &worker, &outcome), error);
    assert_null(worker);
    assert_int_equal(outcome.error, error);
    assert_int_not_equal(outcome.text[0], '\0');
    fabric_worker_close(&worker);
}

static void options_are_checked(void **state)
{
    (void)state;
    static const fabric_entity_type_t *const none[] = {NULL};
    static const fabric_entity_type_t *const twice[] = {&type, &type, NULL};
    static const char url[] = "tcp://127.0.0.1:1";
    fabric_worker_options_t options = {.executors = 65};
    expect_refused("tcp://192.0.2.1:1", types, NULL, FABRIC_ERROR_PLAINTEXT_REFUSED);
    expect_refused("tcp://", types, NULL, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(NULL, types, NULL, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(url, types, &options, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(url, NULL, NULL, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(url, none, NULL, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(url, twice, NULL, FABRIC_ERROR_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handles_messages),
        TEST(tells_of_a_welcome_before_it_handles_messages),
        TEST(a_handler_that_does_not_return_is_told),
        TEST(handles_messages_of_large_frames),
        TEST(junk_does_no_harm),
        TEST(stop_is_graceful),
        TEST(reconnects),
        TEST(refusal_is_told),
        TEST(a_refusal_for_now_is_told_at_the_deadline),
        TEST(without_a_broker),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
