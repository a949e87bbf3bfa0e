/* Order, losses of workers, redelivery, defects and credit in the router. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "core/message.h"
#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", "w1", "w2", NULL};

/* A client, and a worker with three durable messages of one entity in flight. */
static driver_t *open_with_three(const message_deliver_t *deliveries[3])
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    for (uint64_t i = 1; i <= 3; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
    }
    driver_commit(driver);
    for (int i = 0; i < 3; i++) {
        deliveries[i] = driver_delivery(driver, "w1");
        assert_int_equal(deliveries[i]->delivery, 1);
    }
    assert_true(deliveries[0]->request_id < deliveries[1]->request_id);
    assert_true(deliveries[1]->request_id < deliveries[2]->request_id);
    return driver;
}

/* The second worker gets all messages again, in order, before those that are sent later. Results
 * under the old token come from `deposed`. */
static void expect_again(driver_t *driver, const message_deliver_t *deliveries[3],
                         const char *deposed)
{
    driver_ask(driver, "c1", 4, "a", REQUEST_DURABLE);
    driver_commit(driver);
    if (driver_count(driver, "w2", KIND_WELCOME) == 0) {
        driver_worker(driver, "w2", 102);
    }
    uint64_t refused = driver_counters(driver).results_refused;
    for (uint64_t i = 0; i < 3; i++) {
        const message_deliver_t *again =
            driver_delivered(driver, "w2", deliveries[i]->request_id, 2);
        assert_true(again->owner_sequence > deliveries[i]->owner_sequence);
        assert_int_equal(again->attempt, 1);
        driver_result(driver, deposed, deliveries[i], STATUS_OK, FABRIC_OK);
        driver_result(driver, "w2", again, STATUS_OK, FABRIC_OK);
    }
    assert_int_equal(driver_counters(driver).results_refused, refused + 3);
    driver_result(driver, "w2", driver_delivery(driver, "w2"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    for (uint64_t i = 1; i <= 4; i++) {
        driver_replied(driver, "c1", i);
    }
    assert_int_equal(driver_counters(driver).pending, 0);
    assert_int_equal(driver_counters(driver).redelivered, 3);
    driver_close(&driver);
}

static void an_unreachable_worker_has_a_short_grace(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 60, (const char *const[]){"c1", NULL}); /* the next ping tells */
    assert_false(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_pass_alive(driver, 150, (const char *const[]){"c1", NULL});
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    expect_again(driver, deliveries, "w1");
}

static void a_silent_worker_loses_its_lease(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_pass_alive(driver, 2900, (const char *const[]){"c1", NULL});
    assert_false(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_pass_alive(driver, 200, (const char *const[]){"c1", NULL});
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_ping(driver, "w1");
    driver_take(driver, "w1", KIND_WHO);
    expect_again(driver, deliveries, "w1");
}

static void a_worker_that_comes_back_is_assigned_anew(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_worker_hello(driver, "w2", 101, 2, 1000); /* the same one, on a new connection */
    expect_again(driver, deliveries, "w2");
}

static void shards_wanted_while_it_was_away_are_assigned(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_gone(driver, "w1");
    driver_pass(driver, 60);
    driver_desire(driver, 101);
    driver_worker_hello(driver, "w2", 101, 2, 10);
    assert_int_equal(driver_count(driver, "w2", KIND_ASSIGN), DRIVER_SHARDS);
    driver_close(&driver);
}

static void a_lost_volatile_message_is_unknown_once(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", 0);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 300, (const char *const[]){"c1", NULL});
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_worker(driver, "w2", 102);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 0);
    driver_result(driver, "w2", delivery, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_close(&driver);
}

static void a_volatile_reply_waits_for_earlier_commits(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_ask(driver, "c1", 4, "a", 0);
    driver_ask(driver, "c1", 5, "b", 0);
    const message_deliver_t *peek = driver_delivery(driver, "w1");
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 5); /* another entity */
    for (int i = 0; i < 3; i++) {
        driver_result(driver, "w1", deliveries[i], STATUS_OK, FABRIC_OK);
    }
    driver_result(driver, "w1", peek, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_commit(driver);
    for (uint64_t i = 1; i <= 4; i++) {
        driver_replied(driver, "c1", i);
    }
    assert_int_equal(driver_counters(driver).volatile_handled, 2);
    driver_close(&driver);
}

/* A result may have been lost with the rest of such a frame. */
static void what_stood_in_a_broken_frame_is_delivered_again(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) { /* at a message, in the head */
        const message_deliver_t *deliveries[3];
        driver_t *driver = open_with_three(deliveries);
        wire_writer_t frame = {0};
        frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
        size_t head = frame.size;
        message_put_result(&frame,
                           &(message_result_t){.shard = deliveries[0]->shard,
                                               .home_epoch = deliveries[0]->home_epoch,
                                               .owner_sequence = deliveries[0]->owner_sequence,
                                               .activation = deliveries[0]->activation,
                                               .request_id = deliveries[0]->request_id});
        frame.data[cut ? 0 : head] = 0xc1; /* msgpack uses it for nothing */
        driver_send_bytes(driver, "w1", wire_writer_bytes(&frame));
        wire_writer_destroy(&frame);
        assert_int_equal(driver_take(driver, "w1", KIND_REFUSED)->as.refused.error,
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        driver_worker_hello(driver, "w1-again", 101, 2, 100);
        driver_take(driver, "w1-again", KIND_WELCOME);
        for (uint64_t i = 0; i < 3; i++) {
            const message_deliver_t *again =
                driver_delivered(driver, "w1-again", deliveries[i]->request_id, 2);
            driver_result(driver, "w1-again", again, STATUS_OK, FABRIC_OK);
        }
        driver_commit(driver);
        for (uint64_t i = 1; i <= 3; i++) {
            driver_replied(driver, "c1", i);
        }
        driver_close(&driver);
    }
}

static void what_was_not_taken_is_not_overtaken(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[0], STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    driver_ask(driver, "c1", 4, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_pass_alive(driver, 100, alive);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0); /* two more come back first */
    for (int i = 1; i < 3; i++) {
        driver_result(driver, "w1", deliveries[i], STATUS_NOT_TAKEN,
                      FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    }
    driver_pass_alive(driver, 100, alive);
    for (int i = 0; i < 3; i++) {
        driver_delivered(driver, "w1", deliveries[i]->request_id,
                         1); /* its handler never started */
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 1);
    driver_ask(driver, "c1", 5, "v", 0);
    driver_delivery(driver, "w1");
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_MAILBOX_FULL);
    assert_int_equal(driver_rejected(driver, "c1", 5), FABRIC_ERROR_MAILBOX_FULL);
    driver_close(&driver);
}

static void a_defect_drains_waits_and_is_retried_in_order(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[0], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_pass_alive(driver, 500, alive); /* the backoff is over, but not all is back */
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    for (int i = 1; i < 3; i++) {
        driver_result(driver, "w1", deliveries[i], STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_commit(driver); /* the attempt is counted durably first */
    const message_deliver_t *again = driver_delivered(driver, "w1", deliveries[0]->request_id, 2);
    assert_int_equal(again->attempt, 2);
    assert_true(again->activation > deliveries[0]->activation);
    assert_int_equal(driver_delivered(driver, "w1", deliveries[1]->request_id, 1)->attempt, 1);
    driver_delivered(driver, "w1", deliveries[2]->request_id, 1);
    driver_close(&driver);
}

static void after_the_last_attempt_it_is_a_dead_letter(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    uint64_t waited_ms = 0;
    for (uint64_t attempt = 1; attempt <= 10; attempt++) {
        while (driver_count(driver, "w1", KIND_DELIVER) < 2) {
            assert_true(waited_ms < 120000);
            driver_pass_alive(driver, 50, alive);
            waited_ms += 50;
        }
        const message_deliver_t *first = driver_delivery(driver, "w1");
        const message_deliver_t *second = driver_delivery(driver, "w1");
        assert_int_equal(first->attempt, attempt);
        driver_result(driver, "w1", first, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
        driver_result(driver, "w1", second, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
        driver_commit(driver);
    }
    assert_in_range(waited_ms, 34000, 36000); /* 500 + 750 + 1125 ... + 8546 + 10000 ms */
    const message_reply_t *reply = driver_replied(driver, "c1", 1);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_DEAD_LETTER);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    assert_int_equal(driver_counters(driver).dead_letters, 1);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void a_malformed_message_is_not_tried_again(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[0], STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_counters(driver).dead_letters,
                     1); /* kept, as no worker has handled it */
    driver_close(&driver);
}

static void credit_is_shared_in_turn(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker_hello(driver, "w1", 101, 1, 2);
    driver_desire(driver, 101);
    for (uint64_t i = 1; i <= 6; i++) {
        driver_ask(driver, "c1", i, "hot", REQUEST_DURABLE);
    }
    driver_ask(driver, "c1", 7, "cold", REQUEST_DURABLE);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 2);
    uint64_t cold_at = 0;
    for (uint64_t i = 1; i <= 7; i++) {
        const message_deliver_t *delivery = driver_delivery(driver, "w1");
        assert_true(driver_count(driver, "w1", KIND_DELIVER) <= 1);
        cold_at = delivery->id.size == 4 ? i : cold_at;
        driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    }
    assert_in_range(cold_at, 1, 5); /* not behind all messages of the hot one */
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void a_full_pipe_is_tried_again_at_the_next_tick(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    strcpy(driver->full, "c1");
    driver_ping(driver, "c1");
    driver->full[0] = '\0';
    driver_pull(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_PONG), 0);
    driver_pass(driver, 10);
    assert_int_equal(driver_count(driver, "c1", KIND_PONG), 1);
    driver_close(&driver);
}

/* The right worker and message, under a token of another ownership, as an earlier incarnation of
 * this home may have given it. */
static void a_result_counts_under_the_present_token_only(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker(driver, "w1", 101);
    driver_client(driver, "c1", 1);
    driver_desire(driver, 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    uint64_t refused = driver_counters(driver).results_refused;
    message_deliver_t other = *delivery;
    other.home_epoch++;
    driver_result(driver, "w1", &other, STATUS_OK, FABRIC_OK);
    other = *delivery;
    other.owner_sequence--;
    driver_result(driver, "w1", &other, STATUS_OK, FABRIC_OK);
    other = *delivery;
    other.shard++;
    driver_result(driver, "w1", &other, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, refused + 3);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

static void a_result_counts_from_the_owner_only(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_worker_hello(driver, "w2", 102, 1, 1000); /* a member that owns nothing */
    uint64_t refused = driver_counters(driver).results_refused;
    driver_result(driver, "w2", deliveries[0], STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, refused + 1);
    assert_null(driver_take_batch(driver, 0));
    driver_result(driver, "w1", deliveries[0], STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

/* A result that an entity computed before its restart does not count, though token and owner are
 * the same; nor does a second result of one delivery. */
static void a_result_counts_once_and_of_the_present_activation_only(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *first = driver_delivery(driver, "w1");
    driver_result(driver, "w1", first, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_commit(driver);
    driver_pass_alive(driver, driver->config.backoff_ms, alive);
    const message_deliver_t *again = driver_delivery(driver, "w1");
    assert_int_equal(again->request_id, first->request_id);
    assert_int_equal(again->owner_sequence, first->owner_sequence);
    uint64_t refused = driver_counters(driver).results_refused;
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, refused + 1);
    assert_null(driver_take_batch(driver, 0));
    driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, refused + 2);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_close(&driver);
}

/* The worker goes on after a defect as if nothing had happened: the results that it computes then
 * are refused. */
static void results_after_a_defect_are_refused(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_ask(driver, "c1", 4, "a", 0);
    const message_deliver_t *peek = driver_delivery(driver, "w1");
    uint64_t refused = driver_counters(driver).results_refused;
    driver_result(driver, "w1", deliveries[0], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_result(driver, "w1", deliveries[1], STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", deliveries[2], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_result(driver, "w1", peek, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).results_refused, refused + 3);
    assert_int_equal(driver_counters(driver).pending, 3);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_rejected(driver, "c1", 4), FABRIC_ERROR_OUTCOME_UNKNOWN); /* it ran */
    router_violation_t violation;
    assert_true(router_take_violation(driver->router, &violation));
    assert_int_equal(violation.count, 3);
    driver_pass_alive(driver, driver->config.backoff_ms, alive);
    for (uint64_t i = 0; i < 3; i++) {
        const message_deliver_t *again =
            driver_delivered(driver, "w1", deliveries[i]->request_id, 2);
        assert_int_equal(again->attempt, i == 0 ? 2 : 1); /* the refused defect does not count */
        driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
    }
    driver_commit(driver);
    for (uint64_t i = 1; i <= 3; i++) {
        driver_replied(driver, "c1", i);
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_close(&driver);
}

/* A message that is answered before an earlier one overtakes it, however the earlier one ends. */
static void results_out_of_order_are_refused(void **state)
{
    (void)state;
    static const reply_status_t answers[] = {STATUS_OK, STATUS_FAILURE, STATUS_DEFECT};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const message_deliver_t *deliveries[3];
        driver_t *driver = open_with_three(deliveries);
        fabric_error_t errors[] = {FABRIC_OK, FABRIC_ERROR_ENTITY_FAILURE,
                                   FABRIC_ERROR_ENTITY_DEFECT};
        driver_result(driver, "w1", deliveries[1], answers[i], errors[i]);
        driver_result(driver, "w1", deliveries[0], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
        driver_result(driver, "w1", deliveries[2], STATUS_OK, FABRIC_OK);
        assert_int_equal(driver_counters(driver).results_refused, 3);
        driver_commit(driver);
        assert_int_equal(driver_counters(driver).pending, 3);
        assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0); /* not in a loop */
        driver_pass_alive(driver, driver->config.backoff_ms, alive);
        for (int k = 0; k < 3; k++) {
            const message_deliver_t *again =
                driver_delivered(driver, "w1", deliveries[k]->request_id, 2);
            assert_int_equal(again->attempt, 1);
            driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
        }
        driver_commit(driver);
        assert_int_equal(driver_counters(driver).pending, 0);
        driver_close(&driver);
    }
}

static void a_volatile_result_out_of_order_is_refused(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_ask(driver, "c1", 4, "a", 0);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_rejected(driver, "c1", 4), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    driver_result(driver, "w1", deliveries[0], STATUS_OK, FABRIC_OK); /* its activation is over */
    assert_int_equal(driver_counters(driver).results_refused, 2);
    driver_close(&driver);
}

/* A message in the middle comes back. It is delivered again, so a message behind it must not have
 * been handled before. */
static void results_behind_what_was_not_taken_are_refused(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[0], STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", deliveries[1], STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    driver_result(driver, "w1", deliveries[2], STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_pass_alive(driver, 100, alive);
    driver_delivered(driver, "w1", deliveries[1]->request_id, 1);
    driver_delivered(driver, "w1", deliveries[2]->request_id, 2);
    driver_close(&driver);
}

/* A volatile message that met a full mailbox, or whose caller gave up, is not delivered again:
 * nothing overtakes it. */
static void results_behind_a_rejected_volatile_message_count(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    const message_deliver_t *deliveries[3];
    for (uint64_t i = 0; i < 3; i++) {
        driver_ask(driver, "c1", i + 1, "a", 0);
        deliveries[i] = driver_delivery(driver, "w1");
    }
    driver_result(driver, "w1", deliveries[1], STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    driver_result(driver, "w1", deliveries[0], STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", deliveries[2], STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 1);
    driver_replied(driver, "c1", 3);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_MAILBOX_FULL);
    assert_int_equal(driver_counters(driver).results_refused, 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unreachable_worker_has_a_short_grace),
        cmocka_unit_test(a_result_counts_under_the_present_token_only),
        cmocka_unit_test(a_result_counts_from_the_owner_only),
        cmocka_unit_test(a_result_counts_once_and_of_the_present_activation_only),
        cmocka_unit_test(a_silent_worker_loses_its_lease),
        cmocka_unit_test(a_worker_that_comes_back_is_assigned_anew),
        cmocka_unit_test(shards_wanted_while_it_was_away_are_assigned),
        cmocka_unit_test(a_lost_volatile_message_is_unknown_once),
        cmocka_unit_test(a_volatile_reply_waits_for_earlier_commits),
        cmocka_unit_test(what_stood_in_a_broken_frame_is_delivered_again),
        cmocka_unit_test(what_was_not_taken_is_not_overtaken),
        cmocka_unit_test(a_defect_drains_waits_and_is_retried_in_order),
        cmocka_unit_test(results_after_a_defect_are_refused),
        cmocka_unit_test(results_out_of_order_are_refused),
        cmocka_unit_test(a_volatile_result_out_of_order_is_refused),
        cmocka_unit_test(results_behind_what_was_not_taken_are_refused),
        cmocka_unit_test(results_behind_a_rejected_volatile_message_count),
        cmocka_unit_test(after_the_last_attempt_it_is_a_dead_letter),
        cmocka_unit_test(a_malformed_message_is_not_tried_again),
        cmocka_unit_test(credit_is_shared_in_turn),
        cmocka_unit_test(a_full_pipe_is_tried_again_at_the_next_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
