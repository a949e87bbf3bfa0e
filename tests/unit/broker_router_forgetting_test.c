/* An entity type that an operator wants forgotten, at one broker: what it says it has of the type,
 * what it refuses meanwhile, and how the type opens or goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#include "broker/router/forgetting_state.h"
#include "core/document.h"
#include "tests/unit/lane_driver.h"

enum { TOKEN = 77 };

static const char *const alive[] = {"c1", NULL};

/* Asks as a client; lanes are sent with type_forget only. */
static const message_answer_t *ask(driver_t *driver, const char *peer, const char *name,
                                   const char *type, uint64_t token)
{
    wire_writer_t argument = {0};
    bool lanes = strcmp(name, "type_forget") == 0;
    wire_put_array(&argument, lanes ? 3 : 2);
    wire_put_bin(&argument, fabric_bytes_of(type));
    wire_put_uint(&argument, token);
    if (lanes) {
        wire_put_array(&argument, 1);
        wire_put_array(&argument, 3);
        wire_put_uint(&argument, 0);
        wire_put_uint(&argument, DRIVER_EPOCH);
        wire_put_bool(&argument, true);
    }
    message_query_t query = {
        .sequence = 5, .name = fabric_bytes_of(name), .argument = wire_writer_bytes(&argument)};
    driver_pass(driver, 10); /* so many documents in a tick */
    driver_send(driver, peer, query, &query);
    wire_writer_destroy(&argument);
    return &driver_take(driver, peer, KIND_ANSWER)->as.answer;
}

static fabric_error_t error_of(driver_t *driver, const char *name, const char *type, uint64_t token)
{
    return (fabric_error_t)ask(driver, "c1", name, type, token)->error;
}

/* The answer's document; the caller's. */
static json_t *document_of(driver_t *driver, const char *peer, const char *name)
{
    char *text = NULL;
    const message_answer_t *answer = ask(driver, peer, name, "Counter", TOKEN);
    assert_int_equal(answer->error, FABRIC_OK);
    assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
    json_t *document = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(document);
    return document;
}

static bool is_done(driver_t *driver, const char *name)
{
    json_t *document = document_of(driver, "c1", name);
    bool done = json_is_true(json_object_get(document, "done"));
    json_decref(document);
    return done;
}

static void expect_found(driver_t *driver, const char *peer, unsigned pending, unsigned scheduled,
                         unsigned runners)
{
    json_t *document = document_of(driver, peer, "type_close");
    assert_int_equal(json_integer_value(json_object_get(document, "pending")), pending);
    assert_int_equal(json_integer_value(json_object_get(document, "scheduled")), scheduled);
    assert_int_equal(json_integer_value(json_object_get(document, "brought")), runners);
    assert_int_equal(json_array_size(json_object_get(document, "runners")), runners);
    assert_true(json_is_false(json_object_get(document, "reading")));
    json_decref(document);
}

static const router_order_t *last_order(const driver_t *driver)
{
    assert_true(driver->order_count > 0);
    return &driver->orders[driver->order_count - 1];
}

/* A home that holds the term, and in which types have been registered for long. */
static driver_t *open_holder(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_elect(driver);
    router_registered(driver->router, UINT64_MAX, driver->now_ms);
    return driver;
}

static fabric_error_t rejection(driver_t *driver, uint64_t sequence, uint64_t flags)
{
    driver_ask(driver, "c1", sequence, "a", flags);
    return driver_rejected(driver, "c1", sequence);
}

static const fabric_bytes_t counter = {(const uint8_t *)"Counter", 7};

/* The whole way, at the holder of the term. A new version is as one of a new type. */
static void a_type_is_closed_forgotten_and_opened(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    json_t *document = document_of(driver, "c1", "type_close");
    json_t *lanes = json_object_get(document, "lanes");
    assert_int_equal(json_array_size(lanes), driver->config.lanes);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(lanes, 0), 0)), 0);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(lanes, 0), 1)), DRIVER_EPOCH);
    json_decref(document);
    assert_int_equal(last_order(driver)->kind, ROUTER_TYPE_CLOSED);
    assert_string_equal(last_order(driver)->name, "Counter");
    assert_int_equal(rejection(driver, 1, REQUEST_DURABLE), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    assert_int_equal(rejection(driver, 2, 0), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_found(driver, "c1", 0, 0, 0); /* the command may ask again */

    assert_false(is_done(driver, "type_forget"));
    const router_order_t *order = last_order(driver);
    assert_int_equal(order->kind, ROUTER_TYPE_FORGET);
    assert_true(order->until_ms > driver->now_ms);
    wire_reader_t reader = wire_reader(fabric_bytes(order->types, order->types_size));
    assert_int_equal(wire_get_array(&reader), 1);
    size_t orders = driver->order_count;
    assert_false(is_done(driver, "type_forget"));
    assert_int_equal(driver->order_count, orders);
    router_type_forgotten(driver->router, counter);
    router_forget_done(driver->router, counter, FABRIC_OK, "");
    assert_true(is_done(driver, "type_forget"));

    assert_false(is_done(driver, "type_open"));
    assert_int_equal(last_order(driver)->kind, ROUTER_TYPE_OPEN);
    orders = driver->order_count;
    assert_false(is_done(driver, "type_open"));
    assert_int_equal(driver->order_count, orders);
    router_type_opened(driver->router, counter);
    assert_true(is_done(driver, "type_open"));
    assert_int_equal(rejection(driver, 3, REQUEST_DURABLE), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    assert_int_equal(rejection(driver, 4, 0), FABRIC_ERROR_RUNNER_NOT_REGISTERED); /* it waits */
    assert_int_equal(error_of(driver, "type_close", "Counter", TOKEN),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);

    driver_type(driver, "Counter");
    driver_ask(driver, "c1", 5, "a", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_close(&driver);
}

/* A document has no type that is forgotten; its place stays its own. */
static void a_forgotten_type_is_in_no_document(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    driver_type(driver, "Other");
    router_type_forgotten(driver->router, counter);
    for (int round = 0; round < 2; round++) {
        message_query_t query = {.sequence = 9, .name = fabric_bytes_of("status")};
        driver_send(driver, "c1", query, &query);
        const message_answer_t *answer = &driver_take(driver, "c1", KIND_ANSWER)->as.answer;
        char *text = NULL;
        assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
        json_t *status = json_loads(text, 0, NULL);
        assert_int_equal(json_array_size(json_object_get(status, "types")), round + 1);
        json_decref(status);
        free(text);
        driver_type(driver, "Counter");
    }
    driver_close(&driver);
}

static void what_stands_of_a_type_is_counted(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE); /* it waits for its append */
    message_request_t later = driver_request(2, "b", REQUEST_DURABLE);
    later.floor = driver->heard_id;
    later.deliver_at_ms = (uint64_t)(driver_unix_ms(driver) + 86400000);
    driver_send(driver, "c1", request, &later);
    expect_found(driver, "c1", 1, 1, 0);
    driver_commit(driver);
    expect_found(driver, "c1", 1, 1, 0);
    driver->admit = false; /* its admission is under way */
    driver_worker_hello(driver, "w", 9, 1, 1000);
    expect_found(driver, "c1", 1, 1, 1);
    driver_close(&driver);
}

/* What has ended is kept for its caller, and keeps no type. */
static void ended_messages_do_not_count(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    driver_worker(driver, "w", 9);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_result(driver, "w", driver_delivery(driver, "w"), STATUS_OK, FABRIC_OK);
    expect_found(driver, "c1", 1, 0, 1); /* its result waits for its append */
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    expect_found(driver, "c1", 0, 0, 1);
    driver_close(&driver);
}

/* Of an entity with more messages than memory holds, the store's count. */
static void messages_in_the_store_are_counted(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    home_tell_rows(home, "a", 20);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    expect_found(home->driver, "c", 20, 0, 0);
    home_close(&home);
}

/* The request passed the first checks before, and is looked up. */
static void a_held_request_is_not_accepted(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    router_lookup_t lookup;
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE | REQUEST_RESEND);
    uint32_t lane = 0;
    while (!router_take_lookup(driver->router, lane, &lookup)) {
        assert_true(++lane < driver->config.lanes);
    }
    expect_found(driver, "c1", 0, 0, 0);
    router_lookup_done(driver->router, lane, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_pull(driver);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_found(driver, "c1", 0, 0, 0);
    driver_close(&driver);
}

/* The command was killed. The types are read before the type opens. */
static void a_type_opens_by_itself(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    expect_found(driver, "c1", 0, 0, 0);
    driver_pass_alive(driver, 4 * (uint64_t)driver->config.lease_ms - 20, alive);
    assert_int_equal(last_order(driver)->kind, ROUTER_TYPE_CLOSED);
    driver_pass_alive(driver, 20, alive);
    assert_int_equal(last_order(driver)->kind, ROUTER_TYPE_OPEN);
    assert_int_equal(rejection(driver, 1, REQUEST_DURABLE), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    assert_int_equal(error_of(driver, "type_close", "Counter", TOKEN), FABRIC_ERROR_BUSY);
    router_type_opened(driver->router, counter);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_close(&driver);
}

/* Other brokers may have opened the type before what began too late is settled. */
static void the_holder_begins_nothing_late(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    expect_found(driver, "c1", 0, 0, 0);
    driver_pass_alive(driver, driver->config.lease_ms, alive);
    assert_int_equal(error_of(driver, "type_forget", "Counter", TOKEN),
                     FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(last_order(driver)->kind, ROUTER_TYPE_CLOSED);
    driver_close(&driver);
}

static void a_refusal_of_the_coordinator_is_told(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    expect_found(driver, "c1", 0, 0, 0);
    assert_false(is_done(driver, "type_forget"));
    router_forget_done(driver->router, counter, FABRIC_ERROR_TYPE_IN_USE, "7 messages wait");
    json_t *document = document_of(driver, "c1", "type_forget");
    assert_true(json_is_true(json_object_get(document, "done")));
    assert_int_equal(json_integer_value(json_object_get(document, "error")),
                     FABRIC_ERROR_TYPE_IN_USE);
    assert_string_equal(json_string_value(json_object_get(document, "text")), "7 messages wait");
    json_decref(document);
    driver_close(&driver);
}

static void only_one_command_at_a_time_and_only_the_holder(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    assert_int_equal(error_of(driver, "type_close", "Strange", TOKEN),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    expect_found(driver, "c1", 0, 0, 0);
    assert_int_equal(error_of(driver, "type_close", "Counter", TOKEN + 1), FABRIC_ERROR_BUSY);
    assert_int_equal(error_of(driver, "type_forget", "Counter", TOKEN + 1),
                     FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(error_of(driver, "type_open", "Counter", TOKEN + 1), FABRIC_OK); /* not ours */
    assert_int_equal(rejection(driver, 1, REQUEST_DURABLE), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    router_holder(driver->router, (incarnation_t){{0xb1}});
    assert_int_equal(error_of(driver, "type_forget", "Counter", TOKEN), FABRIC_ERROR_NOT_HOME);
    message_query_t query = {.sequence = 6,
                             .name = fabric_bytes_of("type_close"),
                             .argument = fabric_bytes_of("\x91\x01")};
    driver_send(driver, "c1", query, &query);
    assert_int_equal(driver_take(driver, "c1", KIND_ANSWER)->as.answer.error,
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_close(&driver);
}

/* The map still has the type, and the holder of the term learns first whether it is registered
 * again. */
static void the_holder_has_the_word_on_a_forgotten_type(void **state)
{
    (void)state;
    driver_t *driver = open_holder();
    router_holder(driver->router, (incarnation_t){{0xb1}});
    router_type_forgotten(driver->router, counter);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const message_redirect_t *redirect = &driver_take(driver, "c1", KIND_REDIRECT)->as.redirect;
    assert_int_equal(redirect->sequence, 1);
    assert_true(fabric_bytes_equal(redirect->endpoint, fabric_bytes_of("tcp://there:1")));
    driver_close(&driver);
}

typedef struct sum {
    int64_t amount;
} sum_t;
static const fabric_field_t sum_fields[] = {FABRIC_I64(sum_t, amount)};
static const fabric_schema_t sum_schema = FABRIC_SCHEMA("Sum", sum_t, sum_fields);

/* The states of its entities would be what those of the next version begin with. */
static void a_type_with_persisted_states_is_not_forgotten(void **state)
{
    (void)state;
    driver_told.state = (fabric_schema_t *)&sum_schema;
    driver_t *driver = open_holder();
    driver_told = DRIVER_TOLD_USUALLY;
    size_t orders = driver->order_count;
    assert_int_equal(error_of(driver, "type_close", "Counter", TOKEN), FABRIC_ERROR_TYPE_IN_USE);
    assert_int_equal(driver->order_count, orders); /* it is not closed */
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_is_closed_forgotten_and_opened),
        cmocka_unit_test(a_forgotten_type_is_in_no_document),
        cmocka_unit_test(what_stands_of_a_type_is_counted),
        cmocka_unit_test(ended_messages_do_not_count),
        cmocka_unit_test(messages_in_the_store_are_counted),
        cmocka_unit_test(a_held_request_is_not_accepted),
        cmocka_unit_test(a_type_opens_by_itself),
        cmocka_unit_test(the_holder_begins_nothing_late),
        cmocka_unit_test(a_refusal_of_the_coordinator_is_told),
        cmocka_unit_test(only_one_command_at_a_time_and_only_the_holder),
        cmocka_unit_test(the_holder_has_the_word_on_a_forgotten_type),
        cmocka_unit_test(a_type_with_persisted_states_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
