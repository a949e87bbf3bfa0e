/* What a worker's result may say: a result that breaks the rules of its status does not reach the
 * caller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", "w1", NULL};

static const uint8_t item[] = {0x92, 0xa2, 'a', 'b', 0x07};
static const uint8_t no_item[] = {0x92, 0x07, 0xa2, 'a', 'b'};
static uint8_t long_text[2000];

/* A client, and a worker that was given one message with these flags. */
static driver_t *open_with_one(uint64_t flags, const message_deliver_t **delivery)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", flags);
    driver_commit(driver);
    *delivery = driver_delivery(driver, "w1");
    return driver;
}

typedef struct answer {
    uint64_t status, error, code;
    fabric_bytes_t payload;
} answer_t;

static void send_answer(driver_t *driver, const message_deliver_t *delivery, const answer_t *answer)
{
    message_result_t result = {.shard = delivery->shard,
                               .home_epoch = delivery->home_epoch,
                               .owner_sequence = delivery->owner_sequence,
                               .activation = delivery->activation,
                               .request_id = delivery->request_id,
                               .status = answer->status,
                               .error = answer->error,
                               .code = answer->code,
                               .payload = answer->payload};
    driver_send(driver, "w1", result, &result);
}

/* The reply to the only message, which was sent with these flags. The caller closes the driver. */
static const message_reply_t *reply_to(driver_t **driver, uint64_t flags, const answer_t *answer)
{
    const message_deliver_t *delivery;
    *driver = open_with_one(flags, &delivery);
    send_answer(*driver, delivery, answer);
    driver_commit(*driver);
    return driver_replied(*driver, "c1", 1);
}

static void expect_malformed(uint64_t flags, const answer_t *answer)
{
    driver_t *driver;
    router_violation_t violation;
    const message_reply_t *reply = reply_to(&driver, flags, answer);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(reply->code, 0);
    assert_memory_equal(reply->payload.data, "the worker's result: ", 21);
    assert_int_equal(driver_counters(driver).dead_letters, flags & REQUEST_DURABLE ? 1 : 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    assert_true(router_take_violation(driver->router, &violation));
    assert_string_equal(violation.role, "worker");
    driver_close(&driver);
}

static void a_result_that_contradicts_itself_is_no_reply(void **state)
{
    (void)state;
    static uint8_t too_long[LIMIT_PAYLOAD_BYTES_MAX + 1];
    const fabric_bytes_t good = fabric_bytes(item, sizeof item);
    const answer_t bad[] = {
        {STATUS_OK, FABRIC_ERROR_BUSY, 0, good},
        {STATUS_OK, UINT64_MAX, 0, good},
        {STATUS_OK, 0, 7, good},
        {STATUS_OK, 0, 0, fabric_bytes(too_long, sizeof too_long)},
        {STATUS_FAILURE, 0, 7, good},
        {STATUS_FAILURE, FABRIC_ERROR_BUSY, 7, good},
        {STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE, 7, fabric_bytes(too_long, sizeof too_long)},
        {STATUS_TYPED_FAILURE + 1, 0, 0, good},
        {UINT64_MAX, 0, 0, good},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_malformed(REQUEST_DURABLE, &bad[i]);
        expect_malformed(0, &bad[i]);
    }
}

static void a_durable_reply_fits_its_schema(void **state)
{
    (void)state;
    const answer_t bad[] = {{STATUS_OK, 0, 0, fabric_bytes(no_item, sizeof no_item)},
                            {STATUS_OK, 0, 0, fabric_bytes(item, sizeof item - 1)},
                            {STATUS_OK, 0, 0, fabric_bytes(NULL, 0)}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_malformed(REQUEST_DURABLE, &bad[i]);
    }
    driver_t *driver;
    const answer_t good = {STATUS_OK, 0, 0, fabric_bytes(item, sizeof item)};
    assert_int_equal(reply_to(&driver, REQUEST_DURABLE, &good)->status, STATUS_OK);
    driver_close(&driver);
    assert_int_equal(reply_to(&driver, 0, &bad[0])->status, STATUS_OK); /* the client checks it */
    driver_close(&driver);
    const message_deliver_t *delivery;
    driver = open_with_one(REQUEST_DURABLE | REQUEST_TELL, &delivery);
    send_answer(driver, delivery, &bad[0]); /* no caller gets it */
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).dead_letters, 0);
    driver_close(&driver);
}

/* A failure of one message only (I14): the entity goes on, and later results count. */
static void what_follows_a_malformed_reply_counts(void **state)
{
    (void)state;
    const message_deliver_t *delivery;
    driver_t *driver = open_with_one(REQUEST_DURABLE, &delivery);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *next = driver_delivery(driver, "w1");
    const answer_t bad = {STATUS_OK, 0, 0, fabric_bytes(no_item, sizeof no_item)};
    send_answer(driver, delivery, &bad);
    driver_result(driver, "w1", next, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_DEFECT);
    assert_int_equal(driver_replied(driver, "c1", 2)->status, STATUS_OK);
    driver_close(&driver);
}

static void texts_are_cut(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof long_text);
    const fabric_bytes_t text = fabric_bytes(long_text, sizeof long_text);
    const uint64_t flags[] = {REQUEST_DURABLE, 0};
    for (size_t i = 0; i < 2; i++) {
        driver_t *driver;
        const answer_t failure = {STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE, 42, text};
        const message_reply_t *reply = reply_to(&driver, flags[i], &failure);
        assert_int_equal(reply->status, STATUS_FAILURE);
        assert_int_equal(reply->code, 42);
        assert_int_equal(reply->payload.size, LIMIT_TEXT_BYTES_MAX);
        driver_close(&driver);
        const answer_t malformed = {STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE, 0, text};
        reply = reply_to(&driver, flags[i], &malformed);
        assert_int_equal(reply->payload.size, LIMIT_TEXT_BYTES_MAX);
        driver_close(&driver);
    }
}

/* The result's error could tell the caller that the message was not handled. */
static void a_defect_has_the_error_of_one(void **state)
{
    (void)state;
    memset(long_text, 'x', sizeof long_text);
    driver_t *driver;
    const answer_t defect = {STATUS_DEFECT, FABRIC_ERROR_BUSY, 42,
                             fabric_bytes(long_text, sizeof long_text)};
    const message_reply_t *reply = reply_to(&driver, 0, &defect);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(reply->code, 0);
    assert_int_equal(reply->payload.size, LIMIT_TEXT_BYTES_MAX);
    driver_close(&driver);
    const message_deliver_t *delivery;
    driver = open_with_one(REQUEST_DURABLE, &delivery);
    for (uint64_t attempt = 1; attempt <= driver->config.attempts_max; attempt++) {
        send_answer(driver, delivery, &defect);
        driver_commit(driver);
        for (int i = 0; i < 2000 && attempt < driver->config.attempts_max &&
                        driver_count(driver, "w1", KIND_DELIVER) == 0;
             i++) {
            driver_pass_alive(driver, 50, alive);
        }
        delivery = attempt < driver->config.attempts_max ? driver_delivery(driver, "w1") : NULL;
    }
    reply = driver_replied(driver, "c1", 1);
    assert_int_equal(reply->error, FABRIC_ERROR_DEAD_LETTER);
    assert_int_equal(reply->code, 0);
    assert_int_equal(reply->payload.size, LIMIT_TEXT_BYTES_MAX);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_that_contradicts_itself_is_no_reply),
        cmocka_unit_test(a_durable_reply_fits_its_schema),
        cmocka_unit_test(what_follows_a_malformed_reply_counts),
        cmocka_unit_test(texts_are_cut),
        cmocka_unit_test(a_defect_has_the_error_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
