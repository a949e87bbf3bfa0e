/* Admission of requests by the router: each request that is not admitted is refused with its own
 * error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "core/snowflake.h"
#include "core/type_description.h"
#include "tests/unit/router_driver.h"
#include "tests/harness/vectors.h"

enum { LITTLE_MEMORY = 16384 };

static driver_t *open_with(void (*change)(router_config_t *config))
{
    router_config_t config;
    driver_config(&config);
    if (change) {
        change(&config);
    }
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    return driver;
}

static fabric_error_t error_of(driver_t *driver, const message_request_t *request)
{
    driver_send(driver, "c1", request, request);
    return driver_rejected(driver, "c1", request->sequence);
}

static void unknown_types_may_appear_for_a_while(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    driver_elect(driver);
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    request.type = fabric_bytes_of("Nothing");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_pass_alive(driver, driver->config.registration_ms, (const char *const[]){"c1", NULL});
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    driver_close(&driver);
}

static void messages_must_fit_their_description(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    request.tag = fabric_bytes_of("Nothing");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_UNKNOWN_MESSAGE);
    request = driver_request(2, "a", REQUEST_DURABLE);
    request.tag = fabric_bytes_of("Peek");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_MALFORMED_MESSAGE);
    request = driver_request(3, "a", 0);
    request.tag = fabric_bytes_of("Add");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_MALFORMED_MESSAGE);
    request = driver_request(4, "a", REQUEST_DURABLE);
    request.payload = fabric_bytes_of("\x93\xa2zz\x07\x07");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_close(&driver);
}

static void limits_hold(void **state)
{
    (void)state;
    static const uint8_t zeros[LIMIT_PAYLOAD_BYTES_MAX + 1];
    driver_t *driver = open_with(NULL);
    for (uint64_t i = 1; i <= 8; i++) {
        message_request_t request = driver_request(i, "a", REQUEST_DURABLE);
        fabric_bytes_t *const views[] = {&request.type,    &request.id,          &request.tag,
                                         &request.payload, &request.traceparent, &request.headers};
        const size_t sizes[] = {LIMIT_NAME_BYTES_MAX,        LIMIT_NAME_BYTES_MAX,
                                LIMIT_NAME_BYTES_MAX,        LIMIT_PAYLOAD_BYTES_MAX,
                                LIMIT_TRACEPARENT_BYTES_MAX, LIMIT_HEADER_BYTES_MAX};
        if (i <= 6) {
            *views[i - 1] = fabric_bytes(zeros, sizes[i - 1] + 1);
        } else {
            *views[i - 7] = fabric_bytes(zeros, 0); /* empty type, empty id */
        }
        assert_int_equal(error_of(driver, &request), FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    message_request_t request = driver_request(0, "a", REQUEST_DURABLE);
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_MALFORMED_MESSAGE);
    request = driver_request(20, "a", 32);
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_UNKNOWN_KIND);
    request = driver_request(21, "a", REQUEST_DURABLE);
    request.primary_key = fabric_bytes(zeros, LIMIT_PRIMARY_KEY_BYTES_MAX + 1);
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_LIMIT_EXCEEDED);
    request = driver_request(21, "a", REQUEST_DURABLE);
    request.deliver_at_ms = (uint64_t)LIMIT_DELIVER_AT_MS_MAX + 1;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_LIMIT_EXCEEDED);
    request = driver_request(22, "a", REQUEST_DURABLE);
    request.floor = UINT64_MAX;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_PERSISTENCE);
    driver_close(&driver);
}

/* A type that takes any payload, so that payloads may be as large as the limit allows. */
static void describe_blobs(driver_t *driver)
{
    typedef struct blob {
        struct {
            uint32_t size;
            uint8_t data[LIMIT_PAYLOAD_BYTES_MAX];
        } bytes;
    } blob_t;
    static const fabric_field_t fields[] = {FABRIC_BYTES(blob_t, bytes)};
    static const fabric_schema_t schema = FABRIC_SCHEMA("Blob", blob_t, fields);
    message_description_t message = {.tag = "Add",
                                     .durable = true,
                                     .request = (fabric_schema_t *)(uintptr_t)&schema,
                                     .reply = (fabric_schema_t *)(uintptr_t)&schema};
    type_description_t type = {.name = "Counter",
                               .group = "default",
                               .mailbox_capacity = 1,
                               .concurrency = 1,
                               .messages = &message,
                               .message_count = 1};
    wire_writer_t text = {0};
    type_description_put(&type, &text);
    router_type(driver->router, 1, wire_writer_bytes(&text));
    wire_writer_destroy(&text);
}

static void put_headers(wire_writer_t *headers, uint32_t count, size_t value_size)
{
    static const uint8_t zeros[LIMIT_HEADER_BYTES_MAX];
    wire_put_map(headers, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_text(headers, (char[]){(char)('0' + i), '\0'});
        wire_put_bin(headers, fabric_bytes(zeros, value_size));
    }
}

static void assert_taken(driver_t *driver, const message_request_t *request)
{
    driver_send(driver, "c1", request, request);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_commit(driver);
}

static void what_is_at_its_limit_is_taken(void **state)
{
    (void)state;
    char text[LIMIT_NAME_BYTES_MAX + 1];
    driver_t *driver = open_with(NULL);
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    memset(text, 'x', sizeof text);
    request.id = fabric_bytes(text, LIMIT_NAME_BYTES_MAX);
    request.traceparent = fabric_bytes(text, LIMIT_TRACEPARENT_BYTES_MAX);
    assert_taken(driver, &request);
    wire_writer_t headers = {0};
    request = driver_request(2, "a", REQUEST_DURABLE);
    put_headers(&headers, LIMIT_HEADERS_MAX, 1);
    request.headers = wire_writer_bytes(&headers);
    assert_taken(driver, &request);
    wire_writer_reset(&headers);
    put_headers(&headers, 1, LIMIT_HEADER_BYTES_MAX - 6);
    assert_int_equal(headers.size, LIMIT_HEADER_BYTES_MAX);
    request = driver_request(3, "a", REQUEST_DURABLE);
    request.headers = wire_writer_bytes(&headers);
    assert_taken(driver, &request);
    wire_writer_reset(&headers);
    static const uint8_t zeros[LIMIT_PAYLOAD_BYTES_MAX];
    describe_blobs(driver);
    wire_put_array(&headers, 1);
    wire_put_bin(&headers, fabric_bytes(zeros, LIMIT_PAYLOAD_BYTES_MAX - 6));
    assert_int_equal(headers.size, LIMIT_PAYLOAD_BYTES_MAX);
    request = driver_request(4, "a", REQUEST_DURABLE);
    request.payload = wire_writer_bytes(&headers);
    assert_taken(driver, &request);
    assert_int_equal(driver_counters(driver).accepted, 4);
    wire_writer_destroy(&headers);
    driver_close(&driver);
}

static uint64_t id_at(const driver_t *driver, int64_t ahead_ms)
{
    int64_t now_ms = driver->config.store_now_ms + ahead_ms;
    return snowflake_make((snowflake_parts_t){.timestamp_ms = now_ms}).value;
}

static void ids_of_tomorrow(router_config_t *config)
{
    config->high_id = id_at(&(driver_t){.config = *config}, 86400000);
}

/* Commits the only message that waits, and returns its id. */
static uint64_t stored_id(driver_t *driver)
{
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_non_null(batch);
    assert_int_equal(batch->message_count, 1);
    uint64_t id = batch->messages[0]->id.value;
    driver_batch_done(driver, 0);
    return id;
}

static void assert_floor(driver_t *driver, uint64_t sequence, int64_t ahead_ms, bool taken)
{
    message_request_t request = driver_request(sequence, "a", REQUEST_DURABLE);
    request.floor = id_at(driver, ahead_ms);
    driver_send(driver, "c1", request, &request);
    if (!taken) {
        fabric_error_t error = driver_rejected(driver, "c1", sequence);
        assert_int_equal(error, FABRIC_ERROR_PERSISTENCE);
        assert_int_equal(fabric_error_class(error), FABRIC_CLASS_RETRY);
        return;
    }
    assert_true(stored_id(driver) > request.floor);
}

static void a_floor_is_at_most_a_second_ahead(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    assert_floor(driver, 1, 1001, false);
    assert_floor(driver, 2, INT64_C(86400000) * 365, false);
    assert_floor(driver, 3, 1000, true);
    driver_pass_alive(driver, 10, (const char *const[]){"c1", NULL});
    assert_floor(driver, 1, 1001, true); /* by and by it is no more than that */
    driver_close(&driver);
    driver = open_with(ids_of_tomorrow); /* the database's clock has gone back since */
    assert_floor(driver, 1, 86400000 + 1, false);
    assert_floor(driver, 2, 86400000, true);
    assert_floor(driver, 3, 86400000 + 1, false);
    driver_close(&driver);
}

/* A client names floors as far ahead as the limit allows, and farther. Each is above the id that
 * the client was given before. */
static void floors_do_not_climb(void **state)
{
    (void)state;
    static const int64_t steps_ms[] = {59000, 1000, 1, 0};
    driver_t *driver = open_with(NULL);
    uint64_t last = id_at(driver, 0);
    for (uint64_t i = 1; i <= 400; i++) {
        message_request_t request = driver_request(i, "a", REQUEST_DURABLE);
        request.floor = last + ((uint64_t)steps_ms[i % 4] << 22);
        driver_send(driver, "c1", request, &request);
        if (driver_count(driver, "c1", KIND_REJECTED) > 0) {
            assert_int_equal(driver_rejected(driver, "c1", i), FABRIC_ERROR_PERSISTENCE);
            continue;
        }
        last = stored_id(driver);
        assert_true(last > request.floor);
        assert_true(last < id_at(driver, 1002));
    }
    assert_true(last > id_at(driver, 1000)); /* it tried */
    driver_close(&driver);
}

/* The head of a frame tells an id, too. */
static void ids_do_not_follow_what_peers_have_seen(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    driver_worker(driver, "w1", 101);
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, id_at(driver, 59000), 0});
    driver_send_bytes(driver, "c1", wire_writer_bytes(&frame));
    driver_send_bytes(driver, "w1", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_floor(driver, 1, 0, true);
    assert_floor(driver, 2, 59000, false);
    driver_close(&driver);
}

/* The next home knows the floors that clients have named, even when the database's clock goes
 * back. */
static void clients_are_told_stored_ids_only(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", 0);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_take(driver, "c1", KIND_REPLY)->head.high_id, 0);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    uint64_t id = stored_id(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_take(driver, "c1", KIND_REPLY)->head.high_id, id);
    driver_close(&driver);
}

/* Of the driver's present time. */
static uint64_t id_in(const driver_t *driver, int64_t ahead_ms)
{
    return id_at(driver, (int64_t)driver->now_ms - 1000 + ahead_ms);
}

/* The coordinator reserves ids ahead of the highest one, and of the present time. */
static void the_highest_id_is_told_now_and_then(void **state)
{
    (void)state;
    const char *const alive[] = {"c1", "w1", NULL};
    driver_t *driver = open_with(NULL);
    driver_worker(driver, "w1", 101);
    driver_pass_alive(driver, 200, alive);
    uint64_t idle = driver->high_id;
    assert_in_range(idle, id_in(driver, -200), id_in(driver, 0)); /* though no id was made */
    driver_ask(driver, "c1", 1, "a", 0);
    uint64_t made = driver_delivery(driver, "w1")->request_id;
    assert_int_equal(driver->high_id, idle);
    driver_pass_alive(driver, 200, alive);
    assert_true(driver->high_id >= made);
    driver_close(&driver);
    driver = open_with(ids_of_tomorrow);
    driver_pass_alive(driver, 10, alive);
    assert_int_equal(driver->high_id, driver->config.high_id);
    driver_close(&driver);
}

/* The slot's next holder makes ids above the mark, so this broker makes none above it, durable or
 * volatile. */
static void no_id_is_above_the_reserved_ones(void **state)
{
    (void)state;
    const char *const alive[] = {"c1", "w1", NULL};
    driver_t *driver = open_with(NULL);
    driver_map(driver, 2, driver->config.incarnation);
    driver_worker(driver, "w1", 101);
    uint64_t mark = id_in(driver, 100);
    router_lease(driver->router, UINT64_MAX, mark);
    uint64_t taken = 0;
    for (uint64_t i = 1; i <= 200; i++) {
        driver_pass_alive(driver, 10, alive);
        driver_ask(driver, "c1", i, "a", i % 2 ? REQUEST_DURABLE : 0);
        if (driver_count(driver, "c1", KIND_REJECTED) + driver_count(driver, "c1", KIND_REDIRECT)) {
            assert_true(i % 2 == 0 || driver_rejected(driver, "c1", i) == FABRIC_ERROR_PERSISTENCE);
            driver_forget(driver);
            continue;
        }
        driver_commit(driver);
        assert_true(driver_delivery(driver, "w1")->request_id <= mark);
        taken++;
    }
    assert_in_range(taken, 5, 10);
    message_request_t request = driver_request(301, "a", REQUEST_DURABLE);
    request.floor = id_in(driver, 900);
    router_lease(driver->router, UINT64_MAX, id_in(driver, 500)); /* the floor is above it */
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_rejected(driver, "c1", 301), FABRIC_ERROR_PERSISTENCE);
    router_lease(driver->router, UINT64_MAX, id_in(driver, 1000));
    request.sequence++;
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_close(&driver);
}

/* What was accepted waits for its delivery until ids are reserved again. */
static void nothing_is_delivered_while_the_ids_are_used_up(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    router_lease(driver->router, UINT64_MAX, id_in(driver, 0));
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    router_lease(driver->router, UINT64_MAX, id_in(driver, 10000));
    driver_pull(driver);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

static void headers_are_a_map(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    request.headers = fabric_bytes_of("\x81\xa1n\xc4\x01v");
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    const char *const bad[] = {"\x81\xa1n\xa1v",
                               "\x81\xa0\xc4\x01v",
                               "\x82\xa1n\xc4\x01v",
                               "x",
                               "\x82\xa1n\xc4\x01v\xa1n\xc4\x01w",
                               "\x83\xa1n\xc4\x01v\xa1m\xc4\x01v\xa1m\xc4\x01v"};
    for (uint64_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.sequence = 2 + i;
        request.headers = fabric_bytes_of(bad[i]);
        assert_int_equal(error_of(driver, &request), FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    wire_writer_t many = {0};
    wire_put_map(&many, LIMIT_HEADERS_MAX + 1);
    for (int i = 0; i <= LIMIT_HEADERS_MAX; i++) {
        wire_put_text(&many, "n");
        wire_put_bin(&many, fabric_bytes_of("v"));
    }
    request.sequence = 10;
    request.headers = wire_writer_bytes(&many);
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_LIMIT_EXCEEDED);
    wire_writer_destroy(&many);
    driver_close(&driver);
}

static void send_strange(driver_t *driver, uint64_t sequence)
{
    message_request_t request = driver_request(sequence, "a", REQUEST_DURABLE);
    request.type = fabric_bytes_of("Strange");
    driver_send(driver, "c1", request, &request);
}

/* The holder of the term learns of types first. */
static void unknown_types_are_left_to_the_holder_of_the_term(void **state)
{
    (void)state;
    driver_t *driver = driver_open(); /* its broker is home of lanes all the same */
    router_holder(driver->router, (incarnation_t){{0xb1}});
    driver_pass(driver, 2 * (uint64_t)driver->config.registration_ms);
    driver_client(driver, "c1", 1);
    send_strange(driver, 1);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    const note_t *note = driver_take(driver, "c1", KIND_REDIRECT);
    assert_true(fabric_bytes_equal(note->as.redirect.endpoint, fabric_bytes_of("tcp://there:1")));
    driver_elect(driver);
    send_strange(driver, 2);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    driver_close(&driver);
}

/* A broker that has just started has read neither types nor who holds the term. A volatile call,
 * which is not tried again where no worker brings its type, is to be tried again here. */
static void who_knows_no_holder_yet_says_nothing_of_types(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    router_holder(driver->router, (incarnation_t){{0}});
    send_strange(driver, 1);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_NOT_HOME);
    router_holder(driver->router, (incarnation_t){{0xb7}}); /* whom the map does not have yet */
    send_strange(driver, 2);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_NOT_HOME);
    router_holder(driver->router, driver->config.incarnation);
    send_strange(driver, 3);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_close(&driver);
}

/* The map knows a type that this broker has not read yet: the home of its shard serves it before
 * long. */
static void types_of_the_map_are_left_to_their_homes(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    router_holder(driver->router, (incarnation_t){{0xb1}});
    driver_pass(driver, 2 * (uint64_t)driver->config.registration_ms);
    driver_client(driver, "c1", 1);
    driver->mapped = "Strange";
    driver_map(driver, 2, (incarnation_t){{0xb1}});
    send_strange(driver, 1);
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_map(driver, 3, driver->config.incarnation);
    send_strange(driver, 2);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_close(&driver);
}

static void test_nt_18_who_is_not_home_redirects(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver_client(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const note_t *note = driver_take(driver, "c1", KIND_REDIRECT);
    assert_int_equal(note->as.redirect.sequence, 1);
    assert_true(fabric_bytes_equal(note->as.redirect.endpoint, fabric_bytes_of("tcp://there:1")));
    router_lease(driver->router, 5000, UINT64_MAX);
    driver_hold(driver, 0, 1);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE); /* the lane is being adopted */
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_adopt(driver, 0, NULL, 0);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_count(driver, "c1", KIND_REDIRECT), 0);
    driver_pass(driver, 4000); /* the lease is over */
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_close(&driver);
}

/* The caller is told what the database said. */
static void assert_refused_by_database(driver_t *driver, uint64_t sequence)
{
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->sequence, sequence);
    assert_int_equal(rejected->error, FABRIC_ERROR_PERSISTENCE);
    assert_true(fabric_bytes_equal(
        rejected->text,
        fabric_bytes_of("the database is unavailable: INSERT command denied (1142)")));
}

/* The lease runs out because the database is away, and no other home of the shards is known:
 * callers are told of the database, not redirected. */
static void who_cannot_renew_its_lease_says_why(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_map(driver, 2, driver->config.incarnation);
    driver_client(driver, "c1", 1);
    router_lease(driver->router, driver->now_ms + 1000, UINT64_MAX);
    router_lane_available(driver->router, 0, false, "INSERT command denied (1142)");
    driver_pass(driver, 2000);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_refused_by_database(driver, 1);
    driver_map(driver, 3, (incarnation_t){{0xb1}}); /* but the other broker is their home */
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_close(&driver);
}

static void small_pending_limits(router_config_t *config)
{
    config->pending_max = 3;
    config->entity_pending_max = 2;
}

static void mailboxes_and_memory_are_bounded(void **state)
{
    (void)state;
    driver_t *driver = open_with(small_pending_limits);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "a", REQUEST_DURABLE);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_MAILBOX_FULL);
    driver_ask(driver, "c1", 4, "b", REQUEST_DURABLE);
    driver_ask(driver, "c1", 5, "c", REQUEST_DURABLE);
    assert_int_equal(driver_rejected(driver, "c1", 5), FABRIC_ERROR_BUSY);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 3);
    driver_close(&driver);
}

static void little_memory(router_config_t *config)
{
    config->memory_bytes_max = LITTLE_MEMORY;
}

/* A volatile message that takes nearly all of the memory. */
static void ask_much(driver_t *driver, uint64_t sequence)
{
    static const uint8_t payload[LITTLE_MEMORY - 2000];
    message_request_t request = driver_request(sequence, "a", 0);
    request.payload = fabric_bytes(payload, sizeof payload);
    driver_send(driver, "c1", request, &request);
}

static void bytes_in_memory_are_bounded_and_come_free_again(void **state)
{
    (void)state;
    driver_t *driver = open_with(little_memory);
    driver_worker(driver, "w1", 101);
    ask_much(driver, 1);
    driver_ask(driver, "c1", 2, "b", 0);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_BUSY);
    driver_ask(driver, "c1", 3, "b", REQUEST_DURABLE);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_BUSY);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    driver_ask(driver, "c1", 4, "b", REQUEST_DURABLE);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_close(&driver);
}

static void volatile_messages_need_an_owner_and_capacity(void **state)
{
    (void)state;
    enum { CAPACITY = 4 };
    driver_told.mailbox_capacity = CAPACITY;
    driver_t *driver = open_with(NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_ask(driver, "c1", 1, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_worker_hello(driver, "w1", 101, 1, 1); /* one delivery at a time */
    driver_desire(driver, 101);
    for (uint64_t i = 2; i < 2 + CAPACITY; i++) {
        driver_ask(driver, "c1", i, "a", 0);
    }
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_ask(driver, "c1", 20, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 20), FABRIC_ERROR_MAILBOX_FULL);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_replied(driver, "c1", 2)->status, STATUS_OK);
    driver_desire(driver, 0); /* nobody: callers of undelivered messages are told at once */
    driver_pass_alive(driver, 6000, (const char *const[]){"w1", "c1", NULL});
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_rejected(driver, "c1", 4), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

static void nothing_durable_comes_in_without_its_lane(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    router_lane_available(driver->router, 0, false, "INSERT command denied (1142)");
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_refused_by_database(driver, 1);
    router_lane_available(driver->router, 0, true, NULL);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_close(&driver);
}

static void a_draining_router_takes_nothing_and_is_drained(void **state)
{
    (void)state;
    driver_t *driver = open_with(NULL);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_stop(driver);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_SHUTTING_DOWN);
    assert_false(router_drained(driver->router));
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        const message_release_t *release = &driver_take(driver, "w1", KIND_RELEASE)->as.release;
        message_released_t released = {release->shard, release->home_epoch,
                                       release->owner_sequence};
        driver_send(driver, "w1", released, &released);
    }
    assert_false(router_drained(driver->router));
    driver_commit(driver);
    assert_true(router_drained(driver->router));
    driver_close(&driver);
}

static void check_headers_vector(const vector_t *vector, void *context)
{
    driver_t *driver = context;
    static uint64_t sequence;
    message_request_t request = driver_request(++sequence, "a", REQUEST_DURABLE);
    request.headers = vector->bytes;
    driver_send(driver, "c1", request, &request);
    print_message("%s\n", vector->name);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), !vector->valid);
    if (!vector->valid) {
        fabric_error_t error = driver_rejected(driver, "c1", sequence);
        assert_string_equal(fabric_error_name(error), vector->expected);
    }
}

static void headers_are_as_their_vectors_say(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    vectors_visit("schemas/vectors/headers.txt", check_headers_vector, driver);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_types_may_appear_for_a_while),
        cmocka_unit_test(messages_must_fit_their_description),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_is_at_its_limit_is_taken),
        cmocka_unit_test(a_floor_is_at_most_a_second_ahead),
        cmocka_unit_test(floors_do_not_climb),
        cmocka_unit_test(ids_do_not_follow_what_peers_have_seen),
        cmocka_unit_test(clients_are_told_stored_ids_only),
        cmocka_unit_test(the_highest_id_is_told_now_and_then),
        cmocka_unit_test(no_id_is_above_the_reserved_ones),
        cmocka_unit_test(nothing_is_delivered_while_the_ids_are_used_up),
        cmocka_unit_test(headers_are_a_map),
        cmocka_unit_test(test_nt_18_who_is_not_home_redirects),
        cmocka_unit_test(who_cannot_renew_its_lease_says_why),
        cmocka_unit_test(unknown_types_are_left_to_the_holder_of_the_term),
        cmocka_unit_test(who_knows_no_holder_yet_says_nothing_of_types),
        cmocka_unit_test(types_of_the_map_are_left_to_their_homes),
        cmocka_unit_test(mailboxes_and_memory_are_bounded),
        cmocka_unit_test(bytes_in_memory_are_bounded_and_come_free_again),
        cmocka_unit_test(volatile_messages_need_an_owner_and_capacity),
        cmocka_unit_test(nothing_durable_comes_in_without_its_lane),
        cmocka_unit_test(a_draining_router_takes_nothing_and_is_drained),
        cmocka_unit_test(headers_are_as_their_vectors_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
