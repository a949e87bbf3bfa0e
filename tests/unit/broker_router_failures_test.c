/* Typed failures in the router: which reach their caller, and that whoever asks again gets the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/limits.h"
#include "tests/unit/router_driver.h"

enum { ASK = REQUEST_DURABLE, AGAIN = REQUEST_DURABLE | REQUEST_RESEND };

/* An Item, as a failure's values. */
static const uint8_t item[] = {0x92, 0xa2, 'a', 'b', 0x07};

static driver_t *open_usual(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

/* The worker answers its next delivery with a typed failure. */
static void fail_with(driver_t *driver, uint64_t code, fabric_bytes_t values)
{
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    message_result_t result = {.shard = delivery->shard,
                               .home_epoch = delivery->home_epoch,
                               .owner_sequence = delivery->owner_sequence,
                               .activation = delivery->activation,
                               .request_id = delivery->request_id,
                               .status = STATUS_TYPED_FAILURE,
                               .error = FABRIC_ERROR_ENTITY_FAILURE,
                               .code = code,
                               .payload = values};
    driver_send(driver, "w1", result, &result);
}

static void expect_failed(driver_t *driver, uint64_t sequence)
{
    const message_reply_t *reply = driver_replied(driver, "c1", sequence);
    assert_int_equal(reply->status, STATUS_TYPED_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(reply->code, DRIVER_FAILURE);
    assert_int_equal(reply->payload.size, sizeof item);
    assert_memory_equal(reply->payload.data, item, sizeof item);
}

/* The entity goes on with what was delivered to it before. */
static void a_failure_is_an_answer(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_ask(driver, "c1", 2, "a", ASK);
    driver_commit(driver);
    fail_with(driver, DRIVER_FAILURE, fabric_bytes(item, sizeof item));
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0); /* nothing is committed yet */
    driver_commit(driver);
    expect_failed(driver, 1);
    assert_int_equal(driver_replied(driver, "c1", 2)->status, STATUS_OK);
    assert_int_equal(driver_counters(driver).dead_letters, 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void whoever_asks_again_gets_the_same(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    fail_with(driver, DRIVER_FAILURE, fabric_bytes(item, sizeof item));
    driver_ask(driver, "c1", 1, "a", AGAIN); /* not committed: no answer yet */
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_commit(driver);
    expect_failed(driver, 1);
    driver_ask(driver, "c1", 1, "a", AGAIN);
    expect_failed(driver, 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_close(&driver);
}

/* A call that this broker does not know, and the store does. */
static void a_failure_that_the_store_has_is_told(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    router_lookup_t lookup;
    message_request_t request = driver_request(1, "a", AGAIN);
    store_message_t message = {.id = {7},
                               .shard = shard_id_make(1, 1),
                               .type = request.type,
                               .entity = request.id,
                               .tag = request.tag,
                               .payload = request.payload,
                               .flags = REQUEST_DURABLE,
                               .call = {1, 1}};
    store_reply_t reply = {.id = {7},
                           .status = STATUS_TYPED_FAILURE,
                           .error = FABRIC_ERROR_ENTITY_FAILURE,
                           .code = DRIVER_FAILURE,
                           .payload = fabric_bytes(item, sizeof item)};
    driver_ask(driver, "c1", 1, "a", AGAIN);
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    driver_lookup_found(driver, 0, &message, &reply);
    router_lookup_done(driver->router, 0, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_pull(driver);
    expect_failed(driver, 1);
    assert_int_equal(driver_counters(driver).damaged, 0);
    driver_close(&driver);
}

static void a_volatile_failure_is_passed_on(void **state)
{
    static uint8_t large[2 * LIMIT_TEXT_BYTES_MAX];
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", 0);
    fail_with(driver, DRIVER_FAILURE, fabric_bytes(item, sizeof item));
    expect_failed(driver, 1);
    driver_ask(driver, "c1", 2, "a", 0);
    fail_with(driver, 99, fabric_bytes("\xc1", 1)); /* the client checks it */
    assert_int_equal(driver_replied(driver, "c1", 2)->code, 99);
    driver_ask(driver, "c1", 3, "a", 0);
    fail_with(driver, 99, fabric_bytes(large, sizeof large)); /* values are not cut as texts are */
    assert_int_equal(driver_replied(driver, "c1", 3)->payload.size, sizeof large);
    driver_close(&driver);
}

/* What is not declared, or does not fit, ends as a reply that does not fit: SH-04. */
static void test_sh_04_a_durable_failure_must_be_as_declared(void **state)
{
    static uint8_t too_long[LIMIT_PAYLOAD_BYTES_MAX + 1];
    const struct {
        uint64_t code;
        fabric_bytes_t values;
        const char *text;
    } bad[] = {
        {8, fabric_bytes(item, sizeof item), "the message declares no failure of its number"},
        {UINT64_MAX, fabric_bytes(item, sizeof item), "the message declares no failure"},
        {DRIVER_FAILURE, fabric_bytes(item, sizeof item - 1), ""},
        {DRIVER_FAILURE, fabric_bytes(NULL, 0), ""},
        {DRIVER_FAILURE, fabric_bytes("\x90", 1), "sku"},
        {DRIVER_FAILURE, fabric_bytes(too_long, sizeof too_long), "it is over its limits"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[LIMIT_TEXT_BYTES_MAX + 1] = "";
        driver_t *driver = open_usual();
        driver_ask(driver, "c1", 1, "a", ASK);
        driver_commit(driver);
        fail_with(driver, bad[i].code, bad[i].values);
        driver_commit(driver);
        const message_reply_t *reply = driver_replied(driver, "c1", 1);
        assert_int_equal(reply->status, STATUS_DEFECT);
        assert_int_equal(reply->error, FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_int_equal(reply->code, 0);
        memcpy(text, reply->payload.data, reply->payload.size);
        assert_non_null(strstr(text, "the worker's result: "));
        assert_non_null(strstr(text, bad[i].text));
        assert_int_equal(driver_counters(driver).pending, 0);
        driver_close(&driver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_an_answer),
        cmocka_unit_test(whoever_asks_again_gets_the_same),
        cmocka_unit_test(a_failure_that_the_store_has_is_told),
        cmocka_unit_test(a_volatile_failure_is_passed_on),
        cmocka_unit_test(test_sh_04_a_durable_failure_must_be_as_declared),
    };
    return cmocka_run_group_tests_name("router_failures", tests, NULL, NULL);
}
