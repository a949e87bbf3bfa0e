/* See random_cancels.h. */
#include "tests/unit/random_cancels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "tests/unit/cancel_query.h"

static uint64_t choose(const lane_model_t *store, uint64_t *random)
{
    unsigned total = HASH_CNT(by_id, store->messages);
    uint64_t place = random_up_to(random, total - 1);
    bool young = random_up_to(random, 99) < 70 && total > 50;
    place = young ? total - 1 - place % 50 : place;
    const lane_message_t *at = store->messages;
    while (place-- > 0) {
        at = at->by_id.next;
    }
    return at->message->stored.id.value;
}

void random_cancels_send(random_cancels_t *cancels, driver_t *driver, const lane_model_t *store,
                         uint64_t *random)
{
    if (!store->messages) {
        return;
    }
    struct random_cancel *cancel = &cancels->cancels[++cancels->sequence % RANDOM_CANCELS];
    cancel->count = 1 + (size_t)random_up_to(random, 3);
    for (size_t i = 0; i < cancel->count; i++) {
        cancel->ids[i] = choose(store, random);
    }
    cancel_query_send(driver, "c", cancels->sequence, random_up_to(random, 1) * 1000, cancel->ids,
                      cancel->count);
}

static bool check(const lane_message_t *at, const message_answer_t *answer, uint32_t lanes)
{
    cancel_outcome_t outcome = cancel_query_outcome(answer->document, at->message->stored.id.value);
    uint32_t lane = (at->message->stored.shard.value & 0xffff) % lanes;
    if (strcmp(outcome.outcome, "cancelled") == 0) {
        assert_true(at->ended > 0);
        assert_int_equal(at->message->reply.error, FABRIC_ERROR_CANCELLED);
        return true;
    }
    if (strcmp(outcome.outcome, "ended") == 0) {
        assert_true(at->ended > 0);
        assert_string_equal(outcome.error,
                            fabric_error_name((fabric_error_t)at->message->reply.error));
    } else if (strcmp(outcome.outcome, "unknown") == 0) {
        assert_true(at->cleared || !cancel_query_has_lane(answer->document, lane));
    }
    return false;
}

uint64_t random_cancels_check(const random_cancels_t *cancels, const lane_model_t *store,
                              const message_answer_t *answer, uint32_t lanes)
{
    const struct random_cancel *cancel = &cancels->cancels[answer->sequence % RANDOM_CANCELS];
    uint64_t cancelled = 0;
    assert_int_equal(answer->error, FABRIC_OK);
    for (size_t i = 0; i < cancel->count; i++) {
        const lane_message_t *at = lane_model_find(store, cancel->ids[i]);
        assert_non_null(at);
        cancelled += check(at, answer, lanes);
    }
    return cancelled;
}
