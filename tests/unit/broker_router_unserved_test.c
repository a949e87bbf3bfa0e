/* Messages that no runner runs, since none brings their type, or since their owner does not take
 * them. They wait without a loop, no other message waits with them, and callers, the log and the
 * status are told why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/document.h"
#include "core/limits.h"
#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", "w1", "w2", NULL};

/* Answers all deliveries to w1 as not taken; returns how many there were. */
static unsigned refuse_all(driver_t *driver, fabric_error_t error)
{
    unsigned count = 0;
    while (driver_count(driver, "w1", KIND_DELIVER) > 0) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN, error);
        assert_true(++count < 1000); /* in one moment: a loop */
    }
    return count;
}

/* What the client was told of calls during refuse_for. */
static size_t answers;

/* The same for some time. Drops all that the router has sent before. */
static unsigned refuse_for(driver_t *driver, fabric_error_t error, uint64_t ms)
{
    unsigned count = refuse_all(driver, error);
    answers = 0;
    for (uint64_t end_ms = driver->now_ms + ms; driver->now_ms < end_ms;) {
        driver_pass_alive(driver, 10, alive);
        count += refuse_all(driver, error);
        driver_commit(driver);
        answers += driver_count(driver, "c1", KIND_ANSWER);
        driver_forget(driver);
    }
    return count;
}

static void expect_reason(const char *text)
{
    assert_non_null(strstr(text, "no runner brings the entity type Counter"));
    assert_non_null(strstr(text, "start a worker"));
}

/* A text of what the router sent, with its terminator. */
static const char *text_of(fabric_bytes_t bytes)
{
    static char text[LIMIT_TEXT_BYTES_MAX + 1];
    assert_true(bytes.size < sizeof text);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

/* What the caller is told of a call that waits. */
static const char *take_wait(driver_t *driver, const char *peer, uint64_t sequence,
                             fabric_error_t error)
{
    const message_answer_t *answer = &driver_take(driver, peer, KIND_ANSWER)->as.answer;
    wire_reader_t document = wire_reader(answer->document);
    assert_int_equal(answer->sequence, 7);
    assert_int_equal(wire_get_uint(&document), sequence);
    assert_int_equal(answer->error, error);
    return text_of(answer->text);
}

/* The client wants to hear why its calls wait. */
static void ask_waits(driver_t *driver)
{
    message_query_t query = {.sequence = 7, .name = fabric_bytes_of("waits")};
    driver_send(driver, "c1", query, &query);
    assert_int_equal(driver_count(driver, "c1", KIND_ANSWER), 0);
}

static driver_t *open_with_worker(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

/* ---- pauses ---- */

static void a_refused_entity_pauses_longer_and_longer(void **state)
{
    static const fabric_error_t errors[] = {
        FABRIC_ERROR_RUNNER_NOT_REGISTERED, FABRIC_ERROR_ENTITY_NOT_ASSIGNED,
        FABRIC_ERROR_ENTITY_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        driver_t *driver = open_with_worker();
        driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
        driver_commit(driver);
        /* 0.05, 0.1, 0.2 ... 6.4, 10, 10 ... seconds apart. */
        assert_in_range(refuse_for(driver, errors[i], 120000), 18, 22);
        assert_in_range(refuse_for(driver, errors[i], 300000), 29, 31);
        assert_int_equal(driver_counters(driver).pending, 1);
        driver_close(&driver);
    }
}

/* A worker answers the second of two messages first: neither of them goes on, and there is no
 * loop. */
static void an_entity_whose_results_are_refused_pauses_too(void **state)
{
    unsigned count = 0;
    (void)state;
    driver_t *driver = open_with_worker();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    for (uint64_t end_ms = driver->now_ms + 120000; driver->now_ms < end_ms;) {
        if (driver_count(driver, "w1", KIND_DELIVER) == 2) {
            const message_deliver_t *first = driver_delivery(driver, "w1");
            driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
            driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
            count++;
        }
        driver_commit(driver);
        if (driver_count(driver, "w1", KIND_DELIVER) == 0) {
            driver_forget(driver);
        }
        driver_pass_alive(driver, 10, alive);
    }
    assert_in_range(count, 15, 22);
    assert_int_equal(driver_counters(driver).pending, 2);
    driver_close(&driver);
}

/* Takes the next delivery to w1, which comes after that time, and not before. */
static const message_deliver_t *delivery_after(driver_t *driver, uint64_t ms)
{
    driver_pass_alive(driver, (ms - 1) / 10 * 10, alive); /* time passes in steps of 10 ms */
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_pass_alive(driver, 10, alive);
    return driver_delivery(driver, "w1");
}

/* No attempt is counted, however often it happens; callers hear why; the pauses are those of a
 * defect. */
static void test_sh_46_what_cannot_be_built_is_tried_again(void **state)
{
    static const uint64_t pauses_ms[] = {500,  750,  1125, 1688,  2532,
                                         3798, 5697, 8546, 10000, 10000};
    (void)state;
    driver_t *driver = open_with_worker();
    ask_waits(driver);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_ask(driver, "c1", 2, "a", 0);
    const message_deliver_t *second = driver_delivery(driver, "w1");
    for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
        driver_result_with(driver, "w1", delivery, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT,
                           fabric_bytes_of("the database is away"));
        driver_result(driver, "w1", second, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
        assert_string_equal(take_wait(driver, "c1", 1, FABRIC_ERROR_NOT_BUILT),
                            "the database is away");
        driver_forget(driver);
        delivery = delivery_after(driver, pauses_ms[i]);
        second = driver_delivery(driver, "w1");
        assert_int_equal(delivery->attempt, 1);
        assert_int_equal(delivery->delivery, 1); /* no handler has begun */
    }
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_replied(driver, "c1", 2);
    driver_close(&driver);
}

static void others_of_the_shard_do_not_wait(void **state)
{
    (void)state;
    driver_t *driver = open_with_worker();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    refuse_for(driver, FABRIC_ERROR_RUNNER_NOT_REGISTERED, 60000);
    uint64_t sequence = 2;
    for (char id[2] = "b"; id[0] <= 'z'; id[0]++) { /* some of them in its shard */
        driver_ask(driver, "c1", sequence, id, REQUEST_DURABLE);
        driver_commit(driver);
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
        driver_commit(driver);
        driver_replied(driver, "c1", sequence++);
    }
    driver_close(&driver);
}

static void a_new_owner_is_tried_at_once(void **state)
{
    (void)state;
    driver_t *driver = open_with_worker();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    refuse_for(driver, FABRIC_ERROR_RUNNER_NOT_REGISTERED, 120000);
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_take(driver, "w2", KIND_WELCOME);
    driver_desire(driver, 102);
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        message_release_t release = driver_take(driver, "w1", KIND_RELEASE)->as.release;
        message_released_t released = {release.shard, release.home_epoch, release.owner_sequence};
        driver_send(driver, "w1", released, &released);
    }
    driver_result(driver, "w2", driver_delivery(driver, "w2"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

static void what_is_taken_ends_the_row_of_refusals(void **state)
{
    (void)state;
    driver_t *driver = open_with_worker();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    refuse_for(driver, FABRIC_ERROR_ENTITY_NOT_ASSIGNED, 10000);
    while (driver_count(driver, "w1", KIND_DELIVER) == 0) {
        driver_pass_alive(driver, 10, alive);
    }
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    refuse_all(driver, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    driver_pass_alive(driver, 60, alive); /* the shortest pause again */
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 1);
    driver_close(&driver);
}

/* ---- reasons ---- */

/* A router whose only worker brings another type. */
static driver_t *open_with_other_type(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_type(driver, "Other");
    driver->brings = "Other";
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_desire_type(driver, "Other", 101);
    return driver;
}

static fabric_error_t error_of(driver_t *driver, const message_request_t *request)
{
    driver_send(driver, "c1", request, request);
    return driver_rejected(driver, "c1", request->sequence);
}

/* Clients do not send volatile calls again that no worker can handle, but those whose home is not
 * found, and those of types that nobody has registered. */
static void volatile_calls_are_sent_again_until_types_are_known(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_elect(driver);
    driver_client(driver, "c1", 1);
    message_request_t request = driver_request(1, "a", 0);
    driver->mapped = "Strange";
    driver_map(driver, 2, driver->config.incarnation);
    request.type = fabric_bytes_of("Strange");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    request.sequence = 2;
    request.type = fabric_bytes_of("Nothing");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver->mapped = NULL;
    router_destroy(&driver->router);
    driver->router = router_new(&driver->config, driver->now_ms);
    driver_elect(driver);
    driver_map(driver, 3, driver->config.incarnation);
    driver_client(driver, "c1", 1);
    request.sequence = 3;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_close(&driver);
}

/* What a broker has read before its election may lack types, and the store may be slow. */
static void a_new_holder_reads_the_types_before_it_has_the_final_word(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_pass(driver, 2 * (uint64_t)driver->config.registration_ms);
    driver_client(driver, "c1", 1);
    router_holder(driver->router, driver->config.incarnation);
    driver->mapped = "Other";
    driver_map(driver, 2, driver->config.incarnation);
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    request.type = fabric_bytes_of("Strange");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    request.sequence = 2;
    request.flags = 0;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    router_types_read(driver->router, true);
    request.sequence = 3;
    request.flags = REQUEST_DURABLE;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    router_types_read(driver->router, false); /* one is being stored */
    request.sequence = 4;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_close(&driver);
}

/* Of a broker that has just started beside another one: the map names owners that have not found it
 * yet. */
static void volatile_calls_are_sent_again_until_owners_join(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver->map_owner = 101;
    driver_map(driver, 2, (incarnation_t){{0xb1}});
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    message_request_t request = driver_request(1, "a", 0);
    request.tag = fabric_bytes_of("Peek");
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    broker_credential_t other = driver_credential(0xb1);
    router_members(driver->router, &other, 1, driver->now_ms);
    request.sequence = 2;
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_NOT_HOME);
    driver_pass_alive(driver, config.lease_ms, alive);
    request.sequence = 3;
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

/* Of a broker that has just started beside another one, under whom only other shards of the type
 * have owners: the lane of this one was between two homes when the map was made. */
static void volatile_calls_are_sent_again_where_other_shards_have_owners(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver->map_owner = 101;
    driver->map_unowned = address_shard_number(fabric_bytes_of("a"), DRIVER_SHARDS);
    driver_map(driver, 2, (incarnation_t){{0xb1}});
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    broker_credential_t other = driver_credential(0xb1);
    router_members(driver->router, &other, 1, driver->now_ms);
    message_request_t request = driver_request(1, "a", 0);
    request.tag = fabric_bytes_of("Peek");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    driver_type(driver, "Other");
    request.sequence = 2;
    request.type = fabric_bytes_of("Other");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_pass_alive(driver, config.lease_ms, alive);
    request = driver_request(3, "a", 0);
    request.tag = fabric_bytes_of("Peek");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

/* A type that was registered a moment ago: the runner has said hello to the holder of the term, and
 * not to this broker yet. */
static void volatile_calls_are_sent_again_until_a_new_types_runners_join(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    router_types_listed(driver->router);
    driver_pass_alive(driver, 2 * driver->config.lease_ms, alive);
    driver_type(driver, "Strange");
    message_request_t request = driver_request(1, "a", 0);
    request.type = fabric_bytes_of("Strange");
    request.tag = fabric_bytes_of("Peek");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    driver_pass_alive(driver, driver->config.lease_ms, alive);
    request.sequence = 2;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_type(driver, "Novel"); /* its runner comes and goes: nothing is to be waited for */
    driver->brings = "Novel";
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    request.sequence = 3;
    request.type = fabric_bytes_of("Novel");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

/* Of a broker that has just started beside another one: the coordinator has not taken notice of the
 * first runner yet; others join when that one has left. */
static void volatile_calls_are_sent_again_until_an_owner_is_chosen(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_desire(driver, 0);
    broker_credential_t other = driver_credential(0xb1);
    router_members(driver->router, &other, 1, driver->now_ms);
    message_request_t request = driver_request(1, "a", 0);
    request.tag = fabric_bytes_of("Peek");
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_worker_hello(driver, "w1", 101, 1, 10);
    request.sequence = 2;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    request.sequence = 3;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_NOT_HOME);
    driver_pass_alive(driver, driver->config.lease_ms, alive);
    request.sequence = 4;
    assert_int_equal(error_of(driver, &request), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

static void volatile_callers_hear_why(void **state)
{
    (void)state;
    driver_t *driver = open_with_other_type();
    router_unserved_t unserved;
    assert_false(router_take_unserved(driver->router, &unserved));
    driver_ask(driver, "c1", 1, "a", 0);
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->error, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    expect_reason(text_of(rejected->text));
    /* One behind a durable message does not wait with it. */
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE | REQUEST_TELL);
    driver_commit(driver);
    driver_ask(driver, "c1", 3, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_true(router_take_unserved(driver->router, &unserved));
    assert_string_equal(unserved.type, "Counter");
    assert_int_equal(unserved.count, 3);
    assert_false(router_take_unserved(driver->router, &unserved));
    driver_close(&driver);
}

/* Another reason is not reported as a missing type. */
static void other_refusals_are_not_called_a_missing_type(void **state)
{
    (void)state;
    driver_t *driver = open_with_worker();
    router_unserved_t unserved;
    driver_ask(driver, "c1", 1, "a", 0);
    refuse_all(driver, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_ask(driver, "c1", 3, "a", 0); /* the worker said that it brings the type */
    refuse_all(driver, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_ask(driver, "c1", 2, "a", 0);
    refuse_all(driver, FABRIC_ERROR_MAILBOX_FULL);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_MAILBOX_FULL);
    assert_false(router_take_unserved(driver->router, &unserved));
    driver_close(&driver);
}

static void callers_of_accepted_calls_are_told_why_they_wait(void **state)
{
    (void)state;
    driver_t *driver = open_with_other_type();
    driver_client(driver, "c2", 2);
    ask_waits(driver);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE | REQUEST_TELL);
    driver_ask(driver, "c2", 1, "a", REQUEST_DURABLE); /* has not asked */
    driver_commit(driver);
    expect_reason(take_wait(driver, "c1", 1, FABRIC_ERROR_RUNNER_UNAVAILABLE));
    assert_int_equal(driver_count(driver, "c1", KIND_ANSWER), 0);
    assert_int_equal(driver_count(driver, "c2", KIND_ANSWER), 0);
    driver_ask(driver, "c1", 3, "a", REQUEST_DURABLE);
    driver_commit(driver);
    expect_reason(take_wait(driver, "c1", 3, FABRIC_ERROR_RUNNER_UNAVAILABLE));
    driver_pass_alive(driver, 60000, alive);
    assert_int_equal(driver_count(driver, "c1", KIND_ANSWER), 0); /* once is enough */
    driver->brings = "Counter";
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_desire(driver, 102);
    driver_delivery(driver, "w2"); /* the messages have waited for that worker */
    driver_close(&driver);
}

/* A call waits from the time on at which the last runner of its type is gone. */
static void callers_hear_that_the_last_worker_has_gone(void **state)
{
    (void)state;
    driver_t *driver = open_with_worker();
    router_unserved_t unserved;
    ask_waits(driver);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_delivery(driver, "w1");
    driver_pass_alive(driver, 5000, (const char *const[]){"c1", NULL}); /* w1 is silent */
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_desire(driver, 0);
    expect_reason(take_wait(driver, "c1", 1, FABRIC_ERROR_RUNNER_UNAVAILABLE));
    assert_true(router_take_unserved(driver->router, &unserved));
    assert_string_equal(unserved.type, "Counter");
    driver_close(&driver);
}

static void callers_hear_that_no_worker_is_there(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    ask_waits(driver);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    assert_non_null(strstr(take_wait(driver, "c1", 1, FABRIC_ERROR_RUNNER_UNAVAILABLE),
                           "no runner brings the entity type Counter: start a worker"));
    driver_ask(driver, "c1", 2, "a", 0);
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->error, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    assert_non_null(strstr(text_of(rejected->text), "start a worker"));
    driver_close(&driver);
}

/* ---- status ---- */

static json_t *ask_status(driver_t *driver)
{
    char *text = NULL;
    message_query_t query = {.sequence = 99, .name = fabric_bytes_of("status")};
    driver_send(driver, "c1", query, &query);
    const message_answer_t *answer = &driver_take(driver, "c1", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_OK);
    assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
    json_t *status = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(status);
    return status;
}

static void expect_state(driver_t *driver, const char *wanted, const char *home)
{
    json_t *status = ask_status(driver);
    const json_t *named = json_object_get(status, "home");
    const json_t *healthy =
        json_object_get(json_array_get(json_object_get(status, "shards"), 0), "healthy");
    assert_string_equal(json_string_value(json_object_get(status, "state")), wanted);
    if (home) {
        assert_string_equal(json_string_value(named), home);
    } else {
        assert_true(json_is_null(named));
    }
    /* A broker that is not the home does not know, and one whose lease is over does not serve. */
    assert_true(strcmp(wanted, "serving") == 0 ? json_is_true(healthy) : !json_is_true(healthy));
    assert_int_equal(json_is_null(healthy),
                     strcmp(wanted, "starting") == 0 || strcmp(wanted, "standby") == 0);
    json_decref(status);
}

static void status_says_what_the_broker_is(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver_client(driver, "c1", 1);
    expect_state(driver, "starting", NULL);
    router_holder(driver->router, (incarnation_t){{0xb1}});
    expect_state(driver, "standby", "tcp://there:1");
    router_holder(driver->router, (incarnation_t){{0xb2}}); /* the map does not know it yet */
    expect_state(driver, "standby", NULL);
    router_holder(driver->router, config.incarnation);
    driver_homes(driver, NULL);
    driver_worker(driver, "w1", 101);
    expect_state(driver, "serving", "tcp://here:1");
    router_lease(driver->router, driver->now_ms, UINT64_MAX);
    expect_state(driver, "unconfirmed", "tcp://here:1");
    driver_close(&driver);
}

static void expect_type(const json_t *status, const char *name, const char *runner)
{
    size_t index;
    const json_t *type;
    json_array_foreach(json_object_get(status, "types"), index, type)
    {
        const json_t *runners = json_object_get(type, "runners");
        if (strcmp(json_string_value(json_object_get(type, "name")), name) == 0) {
            assert_string_equal(json_string_value(json_object_get(type, "group")), "default");
            assert_int_equal(json_array_size(runners), runner != NULL);
            if (runner) {
                assert_string_equal(json_string_value(json_array_get(runners, 0)), runner);
            }
            return;
        }
    }
    fail_msg("type %s is not in the status", name);
}

static const char *owner_of(const json_t *status, size_t shard, const char *type)
{
    const json_t *item = json_array_get(json_object_get(status, "shards"), shard);
    return json_string_value(json_object_get(json_object_get(item, "owners"), type));
}

static bool is_healthy(const json_t *status)
{
    return json_is_true(
        json_object_get(json_array_get(json_object_get(status, "shards"), 0), "healthy"));
}

static void status_names_types_their_runners_and_owners(void **state)
{
    char first[33];
    char second[33];
    (void)state;
    driver_t *driver = open_with_worker();
    incarnation_text(driver_runner(101), first);
    incarnation_text(driver_runner(102), second);
    driver_type(driver, "Other");
    driver_type(driver, "Nobodys");
    json_t *status = ask_status(driver);
    expect_type(status, "Counter", first);
    expect_type(status, "Other", NULL);
    assert_string_equal(owner_of(status, 0, "Counter"), first);
    assert_null(owner_of(status, 0, "Other"));
    assert_true(is_healthy(status)); /* what nobody brings is no fault of a shard */
    json_decref(status);
    driver->brings = "Other";
    driver->app_version = 7;
    driver_worker_hello(driver, "w2", 102, 1, 10);
    status = ask_status(driver);
    expect_type(status, "Counter", first);
    expect_type(status, "Other", second);
    assert_false(is_healthy(status));
    json_decref(status);
    driver_desire_type(driver, "Other", 102);
    status = ask_status(driver);
    assert_true(is_healthy(status));
    assert_string_equal(owner_of(status, 0, "Counter"), first);
    assert_string_equal(owner_of(status, 0, "Other"), second);
    const json_t *runner = json_array_get(json_object_get(status, "runners"), 1);
    assert_int_equal(json_integer_value(json_object_get(runner, "app_version")), 7);
    assert_int_equal(json_integer_value(json_object_get(runner, "owned")), DRIVER_SHARDS);
    json_decref(status);
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    status = ask_status(driver);
    expect_type(status, "Counter", NULL); /* a worker that leaves brings no type */
    expect_type(status, "Nobodys", NULL);
    json_decref(status);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_entity_pauses_longer_and_longer),
        cmocka_unit_test(test_sh_46_what_cannot_be_built_is_tried_again),
        cmocka_unit_test(an_entity_whose_results_are_refused_pauses_too),
        cmocka_unit_test(others_of_the_shard_do_not_wait),
        cmocka_unit_test(a_new_owner_is_tried_at_once),
        cmocka_unit_test(what_is_taken_ends_the_row_of_refusals),
        cmocka_unit_test(volatile_calls_are_sent_again_until_types_are_known),
        cmocka_unit_test(a_new_holder_reads_the_types_before_it_has_the_final_word),
        cmocka_unit_test(volatile_calls_are_sent_again_until_owners_join),
        cmocka_unit_test(volatile_calls_are_sent_again_where_other_shards_have_owners),
        cmocka_unit_test(volatile_calls_are_sent_again_until_an_owner_is_chosen),
        cmocka_unit_test(volatile_calls_are_sent_again_until_a_new_types_runners_join),
        cmocka_unit_test(volatile_callers_hear_why),
        cmocka_unit_test(other_refusals_are_not_called_a_missing_type),
        cmocka_unit_test(callers_of_accepted_calls_are_told_why_they_wait),
        cmocka_unit_test(callers_hear_that_the_last_worker_has_gone),
        cmocka_unit_test(callers_hear_that_no_worker_is_there),
        cmocka_unit_test(status_says_what_the_broker_is),
        cmocka_unit_test(status_names_types_their_runners_and_owners),
    };
    return cmocka_run_group_tests_name("unserved", tests, NULL, NULL);
}
