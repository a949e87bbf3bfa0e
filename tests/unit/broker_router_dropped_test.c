/* What goes with a lane that the router drops, and what the store actors still do for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lanes_driver.h"

/* ---- a lane is dropped ---- */

static void owners_lose_their_tokens(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    driver_forget(driver);
    lanes_ask(driver, 1, 1, ASK);
    lanes_ask(driver, 2, 2, ASK);
    driver_commit(driver);
    const message_deliver_t *lost = driver_delivery(driver, "w1");
    const message_deliver_t *kept = driver_delivery(driver, "w1");
    driver_hold(driver, 1, 0);
    assert_int_equal(driver_count(driver, "w1", KIND_RELEASE), DRIVER_SHARDS / LANES);
    while (driver_count(driver, "w1", KIND_RELEASE) > 0) {
        message_release_t release = driver_take(driver, "w1", KIND_RELEASE)->as.release;
        assert_int_equal(shard_id_number((shard_id_t){(uint32_t)release.shard}) % LANES, 1);
        assert_int_equal(release.home_epoch, DRIVER_EPOCH);
        assert_int_equal(release.grace_ms, 0);
        message_released_t released = {release.shard, release.home_epoch, release.owner_sequence};
        driver_send(driver, "w1", released, &released);
    }
    driver_result(driver, "w1", lost, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    driver_result(driver, "w1", kept, STATUS_OK, FABRIC_OK); /* the other lane goes on */
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

/* A worker that leaves is done when the lanes of its last shards are gone. */
static void a_leaving_worker_need_not_give_back_what_is_lost(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    driver_hold(driver, 1, 0);
    driver_hold(driver, 2, 0);
    driver_pass_alive(driver, 20, (const char *const[]){"w1", NULL});
    driver_take(driver, "w1", KIND_BYE);
    driver_close(&driver);
}

enum { SEQUENCES = 8 };

/* How often each call got an answer of this kind; takes the answers. */
static void take_told(driver_t *driver, message_kind_t kind, uint64_t told[SEQUENCES])
{
    memset(told, 0, SEQUENCES * sizeof *told);
    while (driver_count(driver, "c1", kind) > 0) {
        const note_t *note = driver_take(driver, "c1", kind);
        uint64_t sequence =
            kind == KIND_REDIRECT ? note->as.redirect.sequence : note->as.accepted.sequence;
        assert_in_range(sequence, 1, SEQUENCES - 1);
        told[sequence]++;
    }
}

static void assert_told(driver_t *driver, const uint64_t accepted[SEQUENCES],
                        const uint64_t redirected[SEQUENCES])
{
    uint64_t told[SEQUENCES];
    take_told(driver, KIND_ACCEPTED, told);
    assert_memory_equal(told, accepted, sizeof told);
    take_told(driver, KIND_REDIRECT, told);
    assert_memory_equal(told, redirected, sizeof told);
    assert_int_equal(lanes_count_answers(driver), 0);
}

/* A redirect alone says that a call was certainly not accepted. So the callers of stored asks hear
 * of that first; the caller of a stored tell has its answer; and what is being stored is told once
 * that is over. */
static void callers_are_sent_away(void **state)
{
    (void)state;
    for (int stored_at_last = 0; stored_at_last < 2; stored_at_last++) {
        driver_t *driver = lanes_open_two();
        lanes_ask(driver, 1, 1, ASK);
        lanes_ask(driver, 2, 1, ASK | REQUEST_WANT_ACCEPTED);
        lanes_ask(driver, 3, 1, TELL);
        driver_commit(driver);
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
        lanes_ask(driver, 4, 1, TELL);
        lanes_ask(driver, 5, 1, ASK);
        assert_non_null(driver_take_batch(driver, 1)); /* the end of 1; and 4 and 5 */
        lanes_ask(driver, 6, 1, ASK);
        lanes_ask(driver, 7, 2, ASK);
        driver_forget(driver);
        driver_hold(driver, 1, 0);
        assert_told(driver, (const uint64_t[SEQUENCES]){0, 1, 1, 0, 0, 0, 0, 0},
                    (const uint64_t[SEQUENCES]){0, 1, 1, 0, 0, 0, 1, 0});
        lanes_ask(driver, 6, 1, AGAIN); /* as clients do who do not know better */
        lanes_assert_redirected(driver, 6);
        if (stored_at_last) {
            driver_batch_done(driver, 1);
            assert_told(driver, (const uint64_t[SEQUENCES]){0, 0, 0, 0, 1, 1, 0, 0},
                        (const uint64_t[SEQUENCES]){0, 0, 0, 0, 0, 1, 0, 0});
        } else {
            driver_batch_fenced(driver, 1);
            assert_told(driver, (const uint64_t[SEQUENCES]){0},
                        (const uint64_t[SEQUENCES]){0, 0, 0, 0, 1, 1, 0, 0});
        }
        driver_commit(driver);
        assert_int_equal(lanes_count_answers(driver), 0);
        assert_int_equal(driver_counters(driver).pending, 1);
        driver_close(&driver);
    }
}

/* The client settles on a call, or goes, while nobody knows yet whether the call's message is
 * stored. */
static void calls_of_orphans_may_be_settled(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    lanes_ask(driver, 2, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, 0);
    driver_send_settling(driver, "c1", 2, ping, &(message_ping_t){.sequence = 1});
    driver_check(driver);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_pass_alive(driver, driver->config.client_memory_ms + 2000,
                      (const char *const[]){"w1", NULL});
    driver_check(driver);
    driver_batch_done(driver, 1);
    driver_check(driver);
    driver_pass_alive(driver, 2000, (const char *const[]){"w1", NULL});
    driver_close(&driver);
    driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, 0);
    driver_close(&driver); /* in the middle of it */
}

static void a_volatile_message_moves_only_if_it_was_not_delivered(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    const char *entity = lanes_entity_in(1);
    lanes_ask(driver, 1, 1, ASK);
    driver_commit(driver);
    for (uint64_t i = 0; i < 2; i++) {
        driver_ask(driver, "c1", 2 + i, entity, 0);
    }
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    /* 2 has a result that waits for the one before it; 3 is in flight; 4 waits for the lease. */
    router_lease(driver->router, driver->now_ms, UINT64_MAX);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_desire(driver, 0);
    driver_ask(driver, "c1", 4, entity, 0);
    driver_forget(driver);
    driver_hold(driver, 1, 0);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_OUTCOME_UNKNOWN);
    lanes_assert_redirected(driver, 1);
    lanes_assert_redirected(driver, 4);
    driver_close(&driver);
}

/* A client that is away hears nothing, and is remembered as before. */
static void who_is_away_hears_nothing(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_send_settling(driver, "c1", 2, ping, &(message_ping_t){.sequence = 1});
    lanes_ask(driver, 2, 1, ASK);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_forget(driver);
    driver_hold(driver, 1, 0);
    assert_int_equal(lanes_count_answers(driver), 0);
    driver_batch_fenced(driver, 1);
    driver_pass_alive(driver, driver->config.client_memory_ms + 2000,
                      (const char *const[]){"w1", NULL});
    driver_close(&driver);
}

/* ---- what the store actors still work on ---- */

/* The appender reads the batch until it has answered. */
static void a_batch_outlives_its_lane(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    lanes_ask(driver, 2, 1, ASK);
    const lane_batch_t *batch = driver_take_batch(driver, 1);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->attempt_count, 1);
    assert_int_equal(batch->epoch, DRIVER_EPOCH);
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_check(driver);
    assert_true(
        fabric_bytes_equal(batch->messages[0]->entity, fabric_bytes_of(lanes_entity_in(1))));
    assert_true(fabric_bytes_equal(batch->attempts[0].message->entity,
                                   fabric_bytes_of(lanes_entity_in(1))));
    driver_adopt(driver, 1, NULL, 0); /* under the new epoch nothing is appended before */
    lanes_ask(driver, 3, 1, ASK);
    assert_int_equal(router_waiting(driver->router, 1), 1);
    assert_null(router_take_batch(driver->router, 1, driver->now_ms));
    uint64_t accepted = driver_counters(driver).accepted;
    driver_batch_done(driver, 1);
    assert_int_equal(driver_counters(driver).accepted, accepted);
    batch = driver_take_batch(driver, 1);
    assert_int_equal(batch->epoch, DRIVER_EPOCH + 1);
    assert_int_equal(batch->messages[0]->call.sequence, 3);
    driver_batch_done(driver, 1);
    assert_int_equal(driver_counters(driver).accepted, accepted + 1);
    driver_close(&driver);
}

/* The appender finds that the lane is another broker's. */
static void a_fenced_batch_drops_its_lane(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, TELL);
    assert_non_null(driver_take_batch(driver, 1));
    driver_batch_fenced(driver, 1);
    lanes_assert_redirected(driver, 1);
    assert_int_equal(driver_counters(driver).accepted, 0);
    assert_int_equal(driver_counters(driver).entries, 0);
    lanes_ask(driver, 2, 1, TELL);
    lanes_assert_redirected(driver, 2);
    driver_close(&driver);
}

/* The answer to a batch of an earlier epoch does not drop the lane under the new one. */
static void a_fence_of_an_earlier_epoch_is_old_news(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, TELL);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_adopt(driver, 1, NULL, 0);
    driver_forget(driver);
    driver_batch_fenced(driver, 1);
    lanes_ask(driver, 1, 1, TELL);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_close(&driver);
}

/* The end of a damaged message is in no queue, and in a batch or about to be. */
static void damaged_messages_go_with_their_lane(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        driver_t *driver = lanes_open_foreign();
        driver_hold(driver, 1, 4);
        message_t *damaged = lanes_stored(700, 1, 1);
        damaged->stored.tag.size = 0;
        driver_adopt(driver, 1, damaged, 700);
        assert_int_equal(driver_counters(driver).pending, 1);
        if (taken) {
            assert_non_null(driver_take_batch(driver, 1));
        }
        driver_hold(driver, 1, 0);
        assert_int_equal(driver_counters(driver).pending, 0);
        driver_check(driver);
        if (taken) {
            driver_batch_fenced(driver, 1);
        }
        driver_close(&driver);
    }
}

/* ---- look-ups ---- */

/* What was held for the lane is sent away; what the client sent after it, to another lane, goes
 * on. */
static void held_requests_go_with_their_lane(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        driver_t *driver = lanes_open_two();
        router_lookup_t lookup;
        lanes_ask(driver, 1, 1, AGAIN);
        lanes_ask(driver, 2, 2, ASK);
        lanes_ask(driver, 3, 1, ASK);
        if (taken) {
            assert_true(router_take_lookup(driver->router, 1, &lookup));
        }
        assert_int_equal(router_waiting(driver->router, 2), 0);
        driver_hold(driver, 1, 0);
        lanes_assert_redirected(driver, 1);
        lanes_assert_redirected(driver, 3);
        assert_int_equal(lanes_count_answers(driver), 0);
        assert_int_equal(router_waiting(driver->router, 2), 1);
        if (taken) { /* the finder still works on it, and answers */
            message_t *row = lanes_stored(700, 1, 1);
            assert_int_equal(lookup.calls[0].sequence, 1);
            driver_lookup_found(driver, 1, &row->stored, NULL);
            message_destroy(&row);
            router_lookup_done(driver->router, 1, FABRIC_OK, lookup.floor, driver->now_ms);
            driver_pull(driver);
        }
        assert_int_equal(lanes_count_answers(driver), 0);
        driver_close(&driver);
    }
}

/* A client has calls looked up in two lanes, and one of them goes. */
static void look_ups_in_other_lanes_go_on(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    router_lookup_t lookup;
    lanes_ask(driver, 1, 1, AGAIN);
    lanes_ask(driver, 2, 2, AGAIN);
    assert_true(router_take_lookup(driver->router, 2, &lookup));
    driver_hold(driver, 1, 0);
    assert_int_equal(lanes_count_answers(driver), 0); /* in its turn */
    router_lookup_done(driver->router, 2, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_pull(driver);
    lanes_assert_redirected(driver, 1);
    assert_int_equal(router_waiting(driver->router, 2), 1);
    driver_close(&driver);
}

/* The same broker adopts the lane again: the resend is looked up there, and finds its message. */
static void a_resend_finds_its_message_at_the_new_home(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    router_lookup_t lookup;
    lanes_ask(driver, 1, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_batch_done(driver, 1); /* it was stored before the lane was taken */
    driver_take(driver, "c1", KIND_ACCEPTED);
    lanes_assert_redirected(driver, 1);
    driver_adopt(driver, 1, lanes_stored(700, 1, 1), 700);
    lanes_ask(driver, 1, 1, AGAIN);
    assert_true(router_take_lookup(driver->router, 1, &lookup));
    message_t *row = lanes_stored(700, 1, 1);
    driver_lookup_found(driver, 1, &row->stored, NULL);
    message_destroy(&row);
    router_lookup_done(driver->router, 1, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_desire(driver, 101);
    driver_result(driver, "w1", driver_delivered(driver, "w1", 700, 2), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->request_id, 700);
    assert_int_equal(driver_counters(driver).ended, 1);
    driver_close(&driver);
}

/* What an orphaned batch holds may not have been stored, so it does not answer for the store. */
static void an_orphaned_batch_answers_no_resend(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    router_lookup_t lookup;
    lanes_ask(driver, 1, 1, ASK);
    driver_send_settling(driver, "c1", 2, ping, &(message_ping_t){.sequence = 1});
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_adopt(driver, 1, NULL, 0);
    lanes_ask(driver, 1, 1, AGAIN);
    assert_true(router_take_lookup(driver->router, 1, &lookup));
    driver_close(&driver);
}

/* The same broker is home again while a batch of before is still under way: a resend of a call in
 * it is looked up, and then the call's first message says nothing any more. */
static void a_resend_is_not_kept_waiting_by_an_orphan(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    router_lookup_t lookup;
    lanes_ask(driver, 1, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_adopt(driver, 1, NULL, 0);
    lanes_ask(driver, 1, 1, AGAIN);
    driver_check(driver);
    assert_true(router_take_lookup(driver->router, 1, &lookup));
    assert_int_equal(lookup.calls[0].sequence, 1);
    driver_batch_fenced(driver, 1);
    driver_check(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_REDIRECT), 0);
    router_lookup_done(driver->router, 1, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_desire(driver, 101);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

/* Nobody knows yet whether that call was accepted: what the client has sent after it must not come
 * before it. */
static void an_orphan_is_no_predecessor(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    assert_non_null(driver_take_batch(driver, 1));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    driver_adopt(driver, 1, NULL, 0);
    message_request_t next = driver_request(2, lanes_entity_in(1), ASK);
    next.predecessor = 1;
    driver_send(driver, "c1", request, &next);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_PREDECESSOR_MISSING);
    driver_batch_fenced(driver, 1);
    lanes_assert_redirected(driver, 1);
    driver_close(&driver);
}

/* Clients name what they hear as the floors of their calls. */
static void clients_hear_the_highest_id_of_an_adopted_lane(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    driver_hold(driver, 1, 4);
    driver_adopt(driver, 1, NULL, 700);
    driver_ping(driver, "c1");
    assert_int_equal(driver_take(driver, "c1", KIND_PONG)->head.high_id, 700);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_lose_their_tokens),
        cmocka_unit_test(a_leaving_worker_need_not_give_back_what_is_lost),
        cmocka_unit_test(callers_are_sent_away),
        cmocka_unit_test(calls_of_orphans_may_be_settled),
        cmocka_unit_test(a_volatile_message_moves_only_if_it_was_not_delivered),
        cmocka_unit_test(who_is_away_hears_nothing),
        cmocka_unit_test(a_batch_outlives_its_lane),
        cmocka_unit_test(a_fenced_batch_drops_its_lane),
        cmocka_unit_test(a_fence_of_an_earlier_epoch_is_old_news),
        cmocka_unit_test(damaged_messages_go_with_their_lane),
        cmocka_unit_test(held_requests_go_with_their_lane),
        cmocka_unit_test(look_ups_in_other_lanes_go_on),
        cmocka_unit_test(a_resend_finds_its_message_at_the_new_home),
        cmocka_unit_test(an_orphaned_batch_answers_no_resend),
        cmocka_unit_test(a_resend_is_not_kept_waiting_by_an_orphan),
        cmocka_unit_test(an_orphan_is_no_predecessor),
        cmocka_unit_test(clients_hear_the_highest_id_of_an_adopted_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
