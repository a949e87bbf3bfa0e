/* Outgoing messages on their way to their targets' homes, and the answers that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/outgoing_requests.h"
#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

/* SOURCE: the request id of a source. */
enum { OTHER = 0xb1, SOURCE = 900 };

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    broker_credential_t brokers[] = {{.broker = home->driver->config.incarnation},
                                     driver_credential(OTHER)};
    router_members(home->driver->router, brokers, 2, home->driver->now_ms);
    driver_forget(home->driver);
    return home;
}

/* No source is remembered. */
static void expect_forgotten(home_t *home)
{
    assert_int_equal(home->driver->router->outgoing_client_count, 0);
    driver_check(home->driver);
}

static void close_home(home_t **home)
{
    expect_forgotten(*home);
    home_close(home);
}

static store_outgoing_t told_here(const home_t *home)
{
    message_request_t like = driver_request(1, "a", REQUEST_DURABLE | REQUEST_TELL);
    shard_id_t shard = shard_map_locate(home->driver->router->map, 1, like.id);
    return (store_outgoing_t){.key = {.id = 77},
                              .source = {SOURCE},
                              .source_shard = shard,
                              .shard = shard,
                              .flags = (uint32_t)like.flags,
                              .type = like.type,
                              .entity = like.id,
                              .tag = like.tag,
                              .payload = like.payload};
}

static outgoing_send_t send_of(const home_t *home, const store_outgoing_t *message)
{
    return (outgoing_send_t){.broker = driver_incarnation(OTHER),
                             .message = message,
                             .call = {SOURCE, 1},
                             .floor = request_id_highest(home->driver->router)};
}

static void messages_to_this_broker_itself_are_answered_here(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_t *router = home->driver->router;
    store_outgoing_t message = told_here(home);
    outgoing_send_t send = send_of(home, &message);
    outgoing_answer_t taken;
    outgoing_request_send(router, &send);
    assert_false(outgoing_answer_take(router, &taken));
    home_append(home);
    assert_true(outgoing_answer_take(router, &taken));
    assert_int_equal(taken.call.client, SOURCE);
    assert_int_equal(taken.call.sequence, 1);
    assert_int_equal(taken.error, FABRIC_OK);
    assert_non_null(lane_model_find(&home->store, taken.id.value));
    assert_false(outgoing_answer_take(router, &taken));
    expect_forgotten(home);
    message.tag = fabric_bytes_of("Sub");
    send.call.sequence = 2;
    send.floor = 1; /* it was told long ago */
    outgoing_request_send(router, &send);
    assert_true(outgoing_answer_take(router, &taken));
    assert_int_equal(taken.error, FABRIC_ERROR_UNKNOWN_MESSAGE);
    driver_pull(home->driver);
    close_home(&home);
}

static void messages_for_other_brokers_are_pulled_in_order(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_t *router = home->driver->router;
    store_outgoing_t message = told_here(home);
    outgoing_send_t send = send_of(home, &message);
    outgoing_send_add(router, &send);
    send.call.sequence = 2;
    send.predecessor = 1;
    send.resend = true;
    outgoing_send_add(router, &send);
    router_outgoing_t pulled;
    assert_true(router_next_outgoing(router, &pulled));
    assert_true(incarnation_equal(pulled.broker, driver_incarnation(OTHER)));
    assert_int_equal(pulled.message.epoch, router->lanes[0].epoch);
    assert_int_equal(pulled.message.source, SOURCE);
    assert_int_equal(pulled.message.sequence, 1);
    assert_int_equal(pulled.message.flags, REQUEST_DURABLE | REQUEST_TELL);
    assert_int_equal(pulled.message.shard, message.shard.value);
    assert_int_equal(pulled.message.floor, send.floor);
    assert_true(router_next_outgoing(router, &pulled));
    assert_int_equal(pulled.message.sequence, 2);
    assert_int_equal(pulled.message.predecessor, 1);
    assert_int_equal(pulled.message.flags, REQUEST_DURABLE | REQUEST_TELL | REQUEST_RESEND);
    assert_false(router_next_outgoing(router, &pulled));
    outgoing_send_add(router, &send);
    driver_hold(home->driver, 0, 0); /* the messages of a lane that is dropped stay */
    assert_int_equal(driver_count(home->driver, "mesh", KIND_OUTGOING), 0);
    close_home(&home);
}

static void what_other_brokers_answer_is_handed_on(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_t *router = home->driver->router;
    incarnation_t other = driver_incarnation(OTHER), lost;
    message_outgoing_t message = {.source = SOURCE, .sequence = 1};
    router_outgoing_unsent(router, &message, home->driver->now_ms);
    router_outgoing_answered(
        router, other,
        &(message_outgoing_answer_t){.source = SOURCE, .sequence = 2, .request_id = 4711},
        home->driver->now_ms);
    outgoing_answer_t taken;
    assert_true(outgoing_answer_take(router, &taken));
    assert_int_equal(taken.call.sequence, 1);
    assert_int_equal(fabric_error_class(taken.error), FABRIC_CLASS_RETRY);
    assert_true(outgoing_answer_take(router, &taken));
    assert_int_equal(taken.call.sequence, 2);
    assert_int_equal(taken.error, FABRIC_OK);
    assert_int_equal(taken.id.value, 4711);
    message_outgoing_answer_t later = {.source = SOURCE, .error = 60000}; /* of a later release */
    router_outgoing_answered(router, other, &later, home->driver->now_ms);
    assert_true(outgoing_answer_take(router, &taken));
    assert_int_equal(fabric_error_class(taken.error), FABRIC_CLASS_RETRY);
    assert_false(outgoing_answer_take(router, &taken));
    for (int i = 0; i < 2; i++) {
        router_outgoing_lost(router, other, home->driver->now_ms);
    }
    assert_true(outgoing_lost_take(router, &lost));
    assert_true(incarnation_equal(lost, other));
    assert_false(outgoing_lost_take(router, &lost));
    close_home(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_to_this_broker_itself_are_answered_here),
        cmocka_unit_test(messages_for_other_brokers_are_pulled_in_order),
        cmocka_unit_test(what_other_brokers_answer_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
