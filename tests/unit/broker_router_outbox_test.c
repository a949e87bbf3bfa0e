/* What handlers have told others is sent by the home of their lane, once, in order, and until it
 * has come to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/outbox_bench.h"

static const char *s(unsigned number)
{
    return outbox_entity(0, number);
}

static const char *t(unsigned number)
{
    return outbox_entity(1, number);
}

/* "t1#1" and the like, for the number'th entity of lane 1. */
static const char *sent_to(unsigned number, const char *rest)
{
    static char text[4][40];
    static unsigned next;
    char *at = text[next++ % 4];
    snprintf(at, sizeof text[0], "%s%s", t(number), rest);
    return at;
}

static void expect_sent(home_t *home, const char *expected)
{
    assert_string_equal(outbox_sent(home), expected);
}

static uint64_t open_messages(const home_t *home)
{
    return home_counters(home).outgoing;
}

/* ---- sending ---- */

static void what_was_told_is_sent_when_it_is_durable(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    const char *target = t(0);
    assert_null(outbox_sender(home));
    uint64_t id = outbox_tell(home, s(0), &target, 1);
    expect_sent(home, "");
    home_append(home);
    const message_outgoing_t *message = outbox_next(home);
    assert_non_null(message);
    assert_int_equal(message->source, id);
    assert_int_equal(message->sequence, 1);
    assert_true(message->floor > id);
    assert_int_equal(message->flags, REQUEST_DURABLE | REQUEST_TELL);
    assert_true(fabric_bytes_equal(message->id, fabric_bytes_of(target)));
    assert_int_equal(message->lane, 0);
    assert_int_equal(message->epoch, home->driver->epochs[0]);
    assert_int_equal(open_messages(home), 1);
    expect_sent(home, "");
    outbox_close(&home);
}

static void an_end_is_not_urgent(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    outbox_answer(home, id, 1, FABRIC_OK, 777);
    assert_int_equal(open_messages(home), 0);
    assert_int_equal(router_waiting(home->driver->router, 0), 0);
    driver_pass(home->driver, 40);
    assert_int_equal(router_waiting(home->driver->router, 0), 1);
    home_append(home);
    const lane_told_t *told = lane_told_find(home->store.told, id, 0);
    assert_true(told->ended > told->told);
    assert_int_equal(told->end.id.value, 777);
    assert_int_equal(told->end.cause, 0);
    assert_int_equal(home_counters(home).outgoing_accepted, 1);
    outbox_close(&home);
}

static void an_end_goes_with_what_else_is_appended(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    outbox_answer(home, id, 1, FABRIC_OK, 777);
    home_tell(home, s(1), 1);
    const lane_batch_t *batch = router_take_batch(home->driver->router, 0, home->driver->now_ms);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->sent_count, 1);
    uint64_t entry = lane_model_append(&home->store, 0, batch);
    router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
    assert_int_equal(sender_oldest(outbox_sender(home)), 0);
    outbox_close(&home);
}

static void messages_between_two_entities_keep_their_order(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    const char *targets[] = {t(0), t(1), t(0)};
    uint64_t first = outbox_tell(home, s(0), targets, 3);
    home_append(home);
    const char *sent = outbox_sent(home);
    char expected[100];
    snprintf(expected, sizeof expected, "%s#1 %s#3<1 %s#2", t(0), t(0), t(1));
    assert_string_equal(sent, expected);
    uint64_t second = outbox_tell_one(home, s(0), t(0));
    outbox_tell_one(home, s(1), t(0)); /* another source does not wait */
    expect_sent(home, sent_to(0, "#1"));
    outbox_answer(home, first, 3, FABRIC_OK, 13);
    expect_sent(home, "");
    outbox_answer(home, first, 1, FABRIC_OK, 11);
    const message_outgoing_t *next = outbox_next(home);
    assert_int_equal(next->source, second);
    assert_int_equal(next->predecessor, 0);
    outbox_close(&home);
}

static void what_is_refused_for_now_is_sent_again(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    outbox_answer(home, id, 1, FABRIC_ERROR_BUSY, 0);
    expect_sent(home, "");
    driver_pass(home->driver, 60);
    expect_sent(home, sent_to(0, "#1")); /* nobody has it */
    assert_int_equal(home_counters(home).outgoing_resent, 0);
    driver_pass(home->driver, 9900);
    expect_sent(home, "");
    driver_pass(home->driver, 200); /* no answer for so long */
    expect_sent(home, sent_to(0, "#1!"));
    assert_int_equal(home_counters(home).outgoing_resent, 1);
    outbox_close(&home);
}

static void what_was_sent_on_a_lost_connection_is_sent_again_a_little_later(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    router_outgoing_lost(home->driver->router, driver_incarnation(7), home->driver->now_ms);
    driver_pass(home->driver, 200);
    expect_sent(home, ""); /* of somebody else */
    router_outgoing_lost(home->driver->router, driver_incarnation(OUTBOX_THERE),
                         home->driver->now_ms);
    expect_sent(home, "");
    driver_pass(home->driver, 110);
    expect_sent(home, sent_to(0, "#1!"));
    outbox_close(&home);
}

/* ---- homes ---- */

static void what_stays_in_this_broker_is_accepted_here(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), s(1)); /* accepted by the next entry */
    expect_sent(home, "");
    lane_message_t *accepted =
        lane_model_find_call(&home->store, (call_key_t){id, CALL_OUTGOING + 1});
    assert_non_null(accepted);
    outbox_append_ends(home);
    const lane_told_t *told = lane_told_find(home->store.told, id, 0);
    assert_true(told->ended > 0);
    assert_int_equal(told->end.id.value, accepted->message->stored.id.value);
    assert_true(driver_delivery(home->driver, "w")->request_id == told->end.id.value);
    outbox_close(&home);
}

static void messages_follow_the_home_of_their_target(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    home_adopt(home, 1); /* the other broker has not accepted it */
    driver_pass(home->driver, 10);
    router_lookup_t lookup;
    assert_true(router_take_lookup(home->driver->router, 1, &lookup)); /* it was sent before */
    assert_int_equal(lookup.call_count, 1);
    assert_int_equal(lookup.calls[0].client, id);
    router_lookup_done(home->driver->router, 1, FABRIC_OK, lookup.floor, home->driver->now_ms);
    home_append(home);
    assert_non_null(lane_model_find_call(&home->store, (call_key_t){id, CALL_OUTGOING + 1}));
    outbox_append_ends(home);
    assert_true(lane_told_find(home->store.told, id, 0)->ended > 0);
    outbox_close(&home);
}

/* ---- dead letters ---- */

static void what_is_refused_for_good_is_a_dead_letter(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    uint64_t other = outbox_tell_one(home, s(1), t(0));
    (void)outbox_sent(home);
    outbox_answer(home, id, 1, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0);
    outbox_answer(home, other, 1, FABRIC_ERROR_OUTCOME_UNKNOWN, 0);
    outbox_append_ends(home);
    const lane_told_t *told = lane_told_find(home->store.told, id, 0);
    assert_non_null(told->dead);
    assert_int_equal(told->end.cause, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    assert_true(fabric_bytes_equal(told->dead->stored.entity, fabric_bytes_of(t(0))));
    char text[200];
    snprintf(text, sizeof text, "%.*s", (int)told->dead->reply.payload.size,
             (const char *)told->dead->reply.payload.data);
    assert_non_null(strstr(text, "UnknownEntityType"));
    assert_non_null(strstr(text, s(0)));
    assert_int_equal(lane_told_find(home->store.told, other, 0)->end.cause,
                     FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(home_counters(home).outgoing_dead, 2);
    assert_int_equal(home_counters(home).dead_letters, 2);
    home_checkpoint(home);
    assert_true(told->has_dead_row);
    outbox_close(&home);
}

/* Its id would be one that another broker may make. */
static void a_dead_letter_waits_for_ids(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    router_t *router = home->driver->router;
    uint64_t mark = router->id_mark;
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    (void)outbox_sent(home);
    router->id_mark = request_id_highest(router);
    outbox_answer(home, id, 1, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0);
    driver_pass(home->driver, 40);
    assert_int_equal(router->lanes[0].batches.next.sent_count, 0);
    router->id_mark = mark;
    outbox_append_ends(home);
    outbox_append_ends(home);
    assert_non_null(lane_told_find(home->store.told, id, 0)->dead);
    outbox_close(&home);
}

static void a_new_home_keeps_dead_letters_that_have_no_rows(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    (void)outbox_sent(home);
    outbox_answer(home, id, 1, FABRIC_ERROR_UNKNOWN_MESSAGE, 0);
    outbox_append_ends(home);
    outbox_kill(home);
    expect_sent(home, "");
    home_checkpoint(home);
    assert_true(lane_told_find(home->store.told, id, 0)->has_dead_row);
    outbox_close(&home);
}

/* ---- rows ---- */

static void a_checkpoint_writes_what_is_open_and_deletes_what_has_ended(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    const char *targets[] = {t(0), t(1), t(2)};
    uint64_t id = outbox_tell(home, s(0), targets, 3);
    home_append(home);
    (void)outbox_sent(home);
    outbox_answer(home, id, 2, FABRIC_OK, 12);
    outbox_append_ends(home);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 2); /* the ended one gets none */
    assert_int_equal(home->driver->router->lanes[0].outbox.told_count, 0);
    outbox_answer(home, id, 1, FABRIC_OK, 11);
    outbox_append_ends(home);
    assert_int_equal(lane_told_rows(home->store.told), 2);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 1);
    outbox_answer(home, id, 3, FABRIC_OK, 13);
    outbox_append_ends(home);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 0);
    outbox_close(&home);
}

static void a_source_and_what_it_told_change_in_one_slice(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    home_tell_rows(home, s(0), 1); /* the source has a row */
    const char *targets[] = {t(0), t(1)};
    outbox_result(home, driver_delivery(home->driver, "w"), targets, 2);
    home_append(home);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.delete_count, 1);
    assert_int_equal(slice->slice.outgoing_count, 2);
    home_settle_slice(home, 0, slice);
    outbox_close(&home);
}

static void an_end_while_a_checkpoint_is_under_way(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    (void)outbox_sent(home);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.outgoing_count, 1);
    uint64_t digest = lane_model_digest(&slice->slice);
    outbox_answer(home, id, 1, FABRIC_OK, 11);
    outbox_append_ends(home);
    assert_true(lane_model_digest(&slice->slice) == digest);
    home_settle_slice(home, 0, slice);
    assert_int_equal(lane_told_rows(home->store.told), 1);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 0);
    outbox_close(&home);
}

/* ---- windows ---- */

enum { WINDOW = 1024, MANY = 1000 };

static void tell_many(home_t *home, unsigned source)
{
    const char *target = t(0);
    const char *targets[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        targets[i] = target;
    }
    outbox_tell(home, s(source), targets, MANY);
    home_append(home);
}

/* The other broker accepts all that it is sent, until nothing comes any more. Returns how many. */
static unsigned accept_all(home_t *home)
{
    unsigned count = 0;
    const message_outgoing_t *message;
    while ((message = outbox_next(home))) {
        lane_told_t *told =
            lane_told_find(home->store.told, message->source, (uint32_t)message->sequence - 1);
        assert_non_null(told);
        assert_int_equal(told->accepted, 0);
        told->accepted = 100000 + ++count;
        outbox_answer(home, message->source, message->sequence, FABRIC_OK, told->accepted);
    }
    return count;
}

static void a_window_that_is_full_is_read_from_rows(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    for (unsigned i = 0; i < 3; i++) {
        tell_many(home, i);
    }
    assert_int_equal(open_messages(home), 3 * MANY);
    assert_true(sender_is_full(outbox_sender(home), 1));
    assert_false(home_load_outgoing(home, 0)); /* there are no rows yet */
    unsigned accepted = accept_all(home);
    assert_int_equal(accepted, WINDOW);
    outbox_append_ends(home);
    home_checkpoint(home);
    for (unsigned i = 0; i < 10 && accepted < 3 * MANY; i++) {
        while (home_load_outgoing(home, 0)) {
        }
        accepted += accept_all(home);
        outbox_append_ends(home);
        home_checkpoint(home);
    }
    assert_int_equal(accepted, 3 * MANY);
    assert_int_equal(open_messages(home), 0);
    (void)home_load_outgoing(home, 0);
    assert_false(sender_is_full(outbox_sender(home), 1));
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 0);
    outbox_close(&home);
}

/* One turn is short, however much there is to send, and the next one follows at once. */
static void what_is_sent_at_once_is_bounded(void **state)
{
    enum { TURN = 256 };
    (void)state;
    home_t *home = outbox_open(NULL);
    router_t *router = home->driver->router;
    tell_many(home, 0);
    size_t sent = driver_count(home->driver, "mesh", KIND_OUTGOING);
    assert_true(sent > 0);
    assert_true(sent <= TURN);
    bool more;
    do {
        router_outgoing_t outgoing;
        size_t before = sent;
        while (router_next_outgoing(router, &outgoing)) {
            sent++;
        }
        assert_in_range(sent - before, 0, TURN);
        more = router_go_on(router, home->driver->now_ms);
    } while (more);
    assert_int_equal(sent, MANY);
    outbox_close(&home);
}

static void change_outgoing_max(router_config_t *config)
{
    config->outgoing_max = 2;
}

/* Else there would be no way back as long as there is something new at each checkpoint. */
static void what_has_no_row_yet_goes_on_behind_the_rows(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    tell_many(home, 0);
    tell_many(home, 1);
    assert_true(sender_is_full(outbox_sender(home), 1));
    (void)accept_all(home);
    outbox_append_ends(home);
    home_checkpoint(home);
    tell_many(home, 2);
    unsigned accepted = WINDOW;
    for (unsigned i = 0; i < 10 && sender_is_full(outbox_sender(home), 1); i++) {
        while (home_load_outgoing(home, 0)) {
        }
        accepted += accept_all(home);
        outbox_append_ends(home);
    }
    assert_false(sender_is_full(outbox_sender(home), 1));
    assert_int_equal(accepted + accept_all(home), 3 * MANY);
    outbox_close(&home);
}

static void a_full_outbox_refuses_types_that_tell(void **state)
{
    (void)state;
    home_t *home = outbox_open(change_outgoing_max);
    driver_told.options.tells = false;
    driver_type(home->driver, "Silent");
    const char *targets[] = {t(0), t(1)};
    uint64_t id = outbox_tell(home, s(0), targets, 2);
    home_append(home);
    (void)outbox_sent(home);
    driver_forget(home->driver);
    uint64_t refused = home_tell(home, s(1), 1);
    assert_int_equal(driver_rejected(home->driver, "c", refused), FABRIC_ERROR_OUTGOING_FULL);
    message_request_t request = driver_request(home->next++, s(1), REQUEST_DURABLE | REQUEST_TELL);
    request.type = fabric_bytes_of("Silent");
    driver_send(home->driver, "c", request, &request);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    outbox_answer(home, id, 1, FABRIC_OK, 11);
    home_tell(home, s(1), 1);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    home_append(home);
    outbox_close(&home);
}

/* ---- lanes that come and go ---- */

static void a_new_home_goes_on_with_what_is_open(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    const char *targets[] = {t(0), t(1), t(0)};
    uint64_t first = outbox_tell(home, s(0), targets, 3);
    home_append(home);
    (void)outbox_sent(home);
    outbox_answer(home, first, 2, FABRIC_OK, 12);
    outbox_append_ends(home);
    home_checkpoint(home); /* two have rows */
    outbox_tell_one(home, s(0), t(0));
    outbox_answer(home, first, 1, FABRIC_OK, 11);
    outbox_append_ends(home); /* and the entries say that one of them has ended */
    outbox_kill(home);
    assert_true(open_messages(home) >= 2);
    expect_sent(home, ""); /* rows come first */
    assert_true(home_load_outgoing(home, 0));
    expect_sent(home, sent_to(0, "#3!"));
    outbox_answer(home, first, 3, FABRIC_OK, 13);
    outbox_append_ends(home);
    expect_sent(home, sent_to(0, "#1!")); /* it needs no row */
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 1);
    assert_int_equal(open_messages(home), 1);
    outbox_close(&home);
}

static void a_new_home_sends_again_what_has_no_row(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    expect_sent(home, sent_to(0, "#1"));
    outbox_answer(home, id, 1, FABRIC_OK, 11); /* which is not appended */
    outbox_kill(home);
    expect_sent(home, sent_to(0, "#1!"));
    outbox_answer(home, id, 1, FABRIC_OK, 11);
    outbox_append_ends(home);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 0);
    outbox_close(&home);
}

static void a_checkpoint_that_was_cut_off_leaves_no_row_behind(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    (void)outbox_sent(home);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    router_slice_t slice = *home_take_slice(home, 0);
    slice.slice.last = false; /* it is committed, and another one would follow */
    lane_model_commit(&home->store, 0, &slice.slice);
    outbox_kill(home);
    while (home_load_outgoing(home, 0)) {
    }
    expect_sent(home, sent_to(0, "#1!"));
    outbox_answer(home, id, 1, FABRIC_OK, 11);
    outbox_append_ends(home);
    home_checkpoint(home);
    assert_int_equal(lane_told_rows(home->store.told), 0);
    outbox_close(&home);
}

static void a_row_with_an_id_that_nobody_has_made_is_damaged(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    home_checkpoint(home);
    outbox_kill(home);
    router_outgoing_load_t load;
    assert_true(router_take_outgoing(home->driver->router, 0, &load));
    size_t count = 0;
    bool ended = false;
    outgoing_copy_t **rows = lane_told_load(home->store.told, 0, &load, &count, &ended);
    assert_int_equal(count, 1);
    rows[0]->message.key.id = router_high_id(home->driver->router) + 1;
    router_outgoing_loaded(home->driver->router, 0, FABRIC_OK, rows, count, false,
                           home->driver->now_ms);
    free((void *)rows);
    assert_int_equal(home->driver->router->counters.damaged, 1);
    assert_false(router_take_outgoing(home->driver->router, 0, &load)); /* not for ever */
    expect_sent(home, "");
    assert_true(outbox_tell_one(home, s(1), t(0)) != id);
    expect_sent(home, sent_to(0, "#1"));
    outbox_close(&home);
}

static void a_lane_that_is_dropped_takes_everything_along(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    uint64_t id = outbox_tell_one(home, s(0), t(0));
    outbox_tell_one(home, s(1), t(0));
    (void)outbox_sent(home);
    outbox_answer(home, id, 1, FABRIC_ERROR_UNKNOWN_MESSAGE, 0);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    const router_slice_t *slice = router_take_slice(home->driver->router, 0, home->driver->now_ms);
    uint64_t digest = lane_model_digest(&slice->slice);
    const lane_batch_t *batch = router_take_batch(home->driver->router, 0, home->driver->now_ms);
    assert_int_equal(batch->sent_count, 1);
    driver_hold(home->driver, 0, 0);
    assert_null(outbox_sender(home));
    assert_int_equal(home->driver->router->outgoing_bytes, 0);
    assert_true(lane_model_digest(&slice->slice) == digest);
    assert_int_equal(batch->sents[0].dead->call.client, id);
    router_slice_done(home->driver->router, 0, FABRIC_OK, home->driver->now_ms);
    router_batch_done(home->driver->router, 0, FABRIC_ERROR_FENCED, 0, 0, home->driver->now_ms);
    outbox_answer(home, id, 1, FABRIC_OK, 11); /* nobody waits for it */
    outbox_close(&home);
}

static void a_read_of_a_lane_that_was_dropped_meanwhile(void **state)
{
    (void)state;
    home_t *home = outbox_open(NULL);
    outbox_tell_one(home, s(0), t(0));
    home_checkpoint(home);
    outbox_kill(home);
    router_outgoing_load_t load;
    assert_true(router_take_outgoing(home->driver->router, 0, &load));
    size_t count = 0;
    bool ended = false;
    outgoing_copy_t **rows = lane_told_load(home->store.told, 0, &load, &count, &ended);
    driver_hold(home->driver, 0, 0);
    home_adopt(home, 0);
    assert_false(home_load_outgoing(home, 0)); /* one at a time */
    router_outgoing_loaded(home->driver->router, 0, FABRIC_OK, rows, count, ended,
                           home->driver->now_ms);
    free((void *)rows);
    expect_sent(home, "");
    assert_true(home_load_outgoing(home, 0));
    expect_sent(home, sent_to(0, "#1!"));
    outbox_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_is_sent_when_it_is_durable),
        cmocka_unit_test(an_end_is_not_urgent),
        cmocka_unit_test(an_end_goes_with_what_else_is_appended),
        cmocka_unit_test(messages_between_two_entities_keep_their_order),
        cmocka_unit_test(what_is_refused_for_now_is_sent_again),
        cmocka_unit_test(what_was_sent_on_a_lost_connection_is_sent_again_a_little_later),
        cmocka_unit_test(what_stays_in_this_broker_is_accepted_here),
        cmocka_unit_test(messages_follow_the_home_of_their_target),
        cmocka_unit_test(what_is_refused_for_good_is_a_dead_letter),
        cmocka_unit_test(a_dead_letter_waits_for_ids),
        cmocka_unit_test(a_new_home_keeps_dead_letters_that_have_no_rows),
        cmocka_unit_test(a_checkpoint_writes_what_is_open_and_deletes_what_has_ended),
        cmocka_unit_test(a_source_and_what_it_told_change_in_one_slice),
        cmocka_unit_test(an_end_while_a_checkpoint_is_under_way),
        cmocka_unit_test(a_window_that_is_full_is_read_from_rows),
        cmocka_unit_test(what_is_sent_at_once_is_bounded),
        cmocka_unit_test(what_has_no_row_yet_goes_on_behind_the_rows),
        cmocka_unit_test(a_full_outbox_refuses_types_that_tell),
        cmocka_unit_test(a_new_home_goes_on_with_what_is_open),
        cmocka_unit_test(a_new_home_sends_again_what_has_no_row),
        cmocka_unit_test(a_checkpoint_that_was_cut_off_leaves_no_row_behind),
        cmocka_unit_test(a_row_with_an_id_that_nobody_has_made_is_damaged),
        cmocka_unit_test(a_lane_that_is_dropped_takes_everything_along),
        cmocka_unit_test(a_read_of_a_lane_that_was_dropped_meanwhile),
    };
    return cmocka_run_group_tests_name("broker_router_outbox", tests, NULL, NULL);
}
