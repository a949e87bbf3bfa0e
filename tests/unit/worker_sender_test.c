/* The client by which a worker's entities send, without a broker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>

#include "core/clock.h"
#include "worker/sender.h"

static const fabric_message_type_t message = {
    .tag = "Say", .request = &fabric_schema_empty, .reply = &fabric_schema_empty, .durable = true};

static char *const brokers[] = {"tcp://127.0.0.1:1"}; /* where nobody listens */
static atomic_uint ended, untold;

static void on_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    fabric_error_t *error = (fabric_error_t *)context;
    (void)payload;
    if (error) {
        *error = outcome->error;
    }
    atomic_fetch_add(&ended, 1);
}

static void on_untold(void *context, const char *text)
{
    (void)text;
    atomic_fetch_add((atomic_uint *)context, 1);
}

static fabric_sender_t *new_sender(void)
{
    atomic_store(&ended, 0);
    atomic_store(&untold, 0);
    return sender_client_new(&(sender_config_t){.brokers = brokers,
                                                .broker_count = 1,
                                                .name = "test",
                                                .report = on_untold,
                                                .report_context = &untold});
}

static fabric_call_t call_of(uint32_t timeout_ms)
{
    return (fabric_call_t){
        .entity = fabric_entity("Type", "id"), .message = &message, .timeout_ms = timeout_ms};
}

static void wait_for(atomic_uint *count, unsigned wanted)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 30000;
    while (atomic_load(count) < wanted) {
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
}

static void a_sender_that_is_not_used_opens_nothing(void **state)
{
    fabric_sender_t *sender = new_sender();
    (void)state;
    sender_client_close(sender);
    sender_client_destroy(&sender);
    assert_null(sender);
}

static void asks_end_by_their_completions(void **state)
{
    fabric_sender_t *sender = new_sender();
    fabric_error_t errors[3] = {FABRIC_OK, FABRIC_OK, FABRIC_OK};
    fabric_call_t brief = call_of(50);
    fabric_call_t call = call_of(60000);
    fabric_call_key_t key;
    (void)state;
    assert_int_equal(sender->start(sender, &brief, on_end, &errors[0], &key), FABRIC_OK);
    wait_for(&ended, 1);
    assert_int_not_equal(errors[0], FABRIC_OK); /* nobody was there */
    assert_int_equal(sender->start(sender, &call, on_end, &errors[1], &key), FABRIC_OK);
    sender->cancel(sender, key);
    wait_for(&ended, 2);
    assert_int_equal(errors[1], FABRIC_ERROR_CANCELLED);
    assert_int_equal(sender->start(sender, &call, on_end, &errors[2], &key), FABRIC_OK);
    sender_client_close(sender);
    assert_int_equal(atomic_load(&ended), 3);
    assert_int_equal(errors[2], FABRIC_ERROR_CLOSED);
    assert_int_equal(sender->start(sender, &call, on_end, NULL, &key), FABRIC_ERROR_CLOSED);
    sender_client_destroy(&sender);
}

static void tells_that_are_not_accepted_are_told(void **state)
{
    fabric_sender_t *sender = new_sender();
    fabric_call_t call = call_of(100);
    (void)state;
    call.tell = true;
    uint64_t began_ms = clock_monotonic_ms();
    assert_int_equal(sender->tell(sender, &call), FABRIC_OK);
    sender_client_close(sender); /* waits until it has ended */
    assert_in_range(clock_monotonic_ms() - began_ms, 100, SENDER_WAIT_MS + 5000);
    assert_int_equal(atomic_load(&untold), 1);
    sender_client_destroy(&sender);
}

static void a_wait_for_an_answer_is_bounded(void **state)
{
    fabric_sender_t *sender = new_sender();
    const fabric_ask_t ask = {
        .entity = fabric_entity("Type", "id"), .message = &message, .timeout_ms = 60000};
    fabric_outcome_t outcome;
    (void)state;
    uint64_t began_ms = clock_monotonic_ms();
    assert_int_not_equal(fabric_sender_ask(sender, &ask, NULL, &outcome), FABRIC_OK);
    assert_in_range(clock_monotonic_ms() - began_ms, 0, SENDER_WAIT_MS + 5000);
    sender_client_close(sender);
    assert_int_equal(fabric_sender_ask(sender, &ask, NULL, &outcome), FABRIC_ERROR_CLOSED);
    sender_client_destroy(&sender);
}

static void calls_under_way_are_bounded(void **state)
{
    fabric_sender_t *sender = new_sender();
    fabric_call_t call = call_of(60000);
    fabric_call_key_t key;
    (void)state;
    for (unsigned i = 0; i < SENDER_PENDING_MAX; i++) {
        assert_int_equal(sender->start(sender, &call, on_end, NULL, &key), FABRIC_OK);
    }
    assert_int_equal(sender->start(sender, &call, on_end, NULL, &key), FABRIC_ERROR_BUSY);
    sender_client_close(sender);
    assert_int_equal(atomic_load(&ended), SENDER_PENDING_MAX);
    sender_client_destroy(&sender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_that_is_not_used_opens_nothing),
        cmocka_unit_test(asks_end_by_their_completions),
        cmocka_unit_test(tells_that_are_not_accepted_are_told),
        cmocka_unit_test(a_wait_for_an_answer_is_bounded),
        cmocka_unit_test(calls_under_way_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
