/* The executor: types with persisted state. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/executor_driver.h"

static const fabric_bytes_t nothing = {NULL, 0};

static executor_driver_t *begin(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_persisted(d);
    exec_begin(d, 1);
    return d;
}

/* The entity begins the activation with this amount. */
static void give_state(executor_driver_t *d, uint64_t activation, int64_t amount)
{
    exec_state(d, "a", activation, 2, exec_amount(d, amount));
}

static void add_in(executor_driver_t *d, uint64_t activation, int64_t amount)
{
    exec_give(d, "a", "Add", 1, activation, REQUEST_DURABLE, exec_amount(d, amount));
}

static void an_instance_begins_with_what_is_stored(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_state(d, 42);
    assert_int_equal(d->starts, 0); /* it is restored, not built */
    assert_int_equal(d->restores, 1);
}

static void an_entity_without_a_stored_state_is_built(void **state)
{
    executor_driver_t *d = begin(state);
    exec_state(d, "a", 1, 0, nothing);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 102);
    exec_expect_state(d, 102);
    assert_int_equal(d->starts, 1);
    assert_int_equal(d->restores, 0);
}

/* What a message leaves as it is, is not sent. */
static void reads_do_not_write(void **state)
{
    executor_driver_t *d = begin(state);
    exec_state(d, "a", 1, 0, nothing);
    exec_add(d, "a", 0);
    exec_durable(d, "a", "Fail");
    exec_add(d, "a", 5);
    exec_add(d, "a", 0);
    exec_run(d);
    exec_expect_amount(d, 1, 100);
    exec_expect_no_state(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_state(d);
    exec_expect_amount(d, 3, 105);
    exec_expect_state(d, 105);
    exec_expect_amount(d, 4, 105);
    exec_expect_no_state(d);
}

static void a_message_before_the_state_is_not_taken(void **state)
{
    executor_driver_t *d = begin(state);
    exec_add(d, "a", 1);
    exec_add(d, "a", 1);
    give_state(d, 2, 40);
    add_in(d, 2, 3);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_amount(d, 3, 43);
}

/* After a defect nothing begins before the home has said what is stored. */
static void a_defect_goes_back_to_what_is_stored(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    d->changes = 1000;
    exec_durable(d, "a", "Break");
    exec_add(d, "a", 1);
    add_in(d, 2, 1);
    give_state(d, 3, 42);
    add_in(d, 3, 1);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_state(d, 42);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_no_state(d);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect_amount(d, 5, 43);
    exec_expect_state(d, 43);
}

/* The home has refused what was computed, and starts again. */
static void a_new_activation_begins_with_its_own_state(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    exec_run(d);
    give_state(d, 2, 40);
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect_amount(d, 2, 41);
    exec_expect_state(d, 41);
    assert_int_equal(d->stops, 1);
}

/* A reply that cannot be encoded fails alone, with what its handler has changed. */
static void a_reply_that_cannot_be_encoded_changes_nothing(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    d->changes = 1000;
    exec_durable(d, "a", "Label");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    exec_expect_no_state(d);
    exec_expect_amount(d, 3, 43);
    exec_expect_state(d, 43);
}

/* The entity goes on as if the message had not come. */
static void a_failure_changes_nothing(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    d->changes = 1000;
    exec_durable(d, "a", "Fail");
    exec_volatile(d, "a", "Fail");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_state(d, 42);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_state(d);
    exec_expect(d, 3, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_state(d);
    exec_expect_amount(d, 4, 43);
    exec_expect_state(d, 43);
}

static void a_failure_that_has_changed_nothing_keeps_the_instance(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_durable(d, "a", "Fail");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_amount(d, 2, 41);
    assert_int_equal(d->restores, 1);
    assert_int_equal(d->stops, 0);
}

static void a_pending_handler_that_fails_changes_nothing(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_add(d, "a", 1);
    exec_run(d);
    fabric_pending_fail(&d->pending, 3, "no");
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_state(d);
    exec_expect_amount(d, 2, 41);
    exec_expect_state(d, 41);
}

static void a_volatile_message_must_not_change_the_state(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_give(d, "a", "Add", 1, 1, 0, exec_amount(d, 0));
    exec_give(d, "a", "Add", 1, 1, 0, exec_amount(d, 1));
    exec_run(d);
    exec_expect_amount(d, 1, 40);
    exec_expect_no_state(d);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_no_state(d);
    assert_non_null(strstr(d->defect, "a volatile message has changed a persisted state"));
}

static void a_pending_handler_sends_the_state_with_its_answer(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 5);
    exec_run(d);
    exec_expect_amount(d, 1, 5);
    exec_expect_state(d, 47);
    exec_expect_amount(d, 2, 48);
    exec_expect_state(d, 48);
}

/* A handler that stops as its shard goes away has no result: nor does what it has changed count. */
static void what_a_stopped_handler_has_changed_is_taken_back(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_announce_stop(d, 1, d->now_ms + 100);
    executor_give(d->executor, &d->announced);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect_stopped(d, 1);
}

/* A call that its caller has cancelled has failed. */
static void what_a_cancelled_handler_has_changed_is_taken_back(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_interrupt(d, "a", 1);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    exec_expect_no_state(d);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 2, 41);
}

/* Another home: what the former one has not stored did not happen, and is not answered from what
 * was kept. */
static void a_new_home_says_what_is_stored(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 0);
    exec_add(d, "a", 2);
    exec_run(d);
    fabric_bytes_t sent = work_output_messages(d->outputs);
    wire_writer_t kept = {0};
    wire_append(&kept, sent.data, sent.size);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, wire_writer_bytes(&kept));
    d->request_id = 0;
    d->again = true;
    give_state(d, 1, 40);
    exec_add(d, "a", 0);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 40);
    exec_expect_amount(d, 2, 42);
    exec_expect_state(d, 42);
    assert_int_equal(executor_stats(d->executor).answered, 0);
    wire_writer_destroy(&kept);
}

/* A handler that is pending since an earlier home answers nobody any more. It is told, and not
 * waited for. */
static void a_new_home_gives_up_pending_handlers(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_t *former = d->pending;
    fabric_pending_on_interrupt(former, exec_told, d);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, nothing);
    exec_run(d);
    assert_int_equal(d->told, 0);
    d->request_id = 0;
    d->again = true;
    d->changes = 1;
    give_state(d, 1, 40);
    exec_run(d);
    assert_int_equal(d->told, 1);
    assert_int_equal(d->told_why, FABRIC_INTERRUPT_STOP);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_reply(&former, &(int64_t){1});
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 2);
    exec_run(d);
    exec_expect_amount(d, 1, 2);
    exec_expect_state(d, 41);
}

static void an_idle_entity_waits_for_its_state_again(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    exec_run(d);
    d->now_ms += 2000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 0);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
}

static void an_older_state_is_migrated(void **state)
{
    executor_driver_t *d = begin(state);
    exec_state(d, "a", 1, 1, fabric_bytes_of("21"));
    exec_add(d, "a", 0);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_no_state(d); /* it is written when it changes */
    exec_expect_amount(d, 2, 43);
    exec_expect_state(d, 43);
    assert_int_equal(d->migrations, 1);
    assert_int_equal(d->restores, 1);
}

static void what_cannot_be_read_is_not_built(void **state)
{
    executor_driver_t *d = begin(state);
    d->migration_fails = true;
    exec_state(d, "a", 1, 1, fabric_bytes_of("21"));
    exec_add(d, "a", 0);
    exec_state(d, "a", 2, 3, fabric_bytes_of("newer"));
    add_in(d, 2, 0);
    exec_state(d, "a", 3, 2, fabric_bytes_of("damaged"));
    add_in(d, 3, 0);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    assert_int_equal(d->handled, 0);
}

/* ---- instances without messages ---- */

static void keep_alive(executor_driver_t *d)
{
    exec_give(d, "a", "Keep", 1, 1, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    assert_string_equal(d->alive, "a1");
}

static void wake(executor_driver_t *d, const char *told)
{
    exec_wake(d, "a", 1, 1);
    exec_run(d);
    assert_string_equal(d->alive, told);
}

static void an_instance_without_a_message_begins_with_its_state(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    wake(d, "a1");
    exec_expect_no_result(d);
    assert_int_equal(d->restores, 1);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_state(d, 42);
    assert_int_equal(d->restores, 1);
}

static void without_its_state_no_instance_is_made(void **state)
{
    executor_driver_t *d = begin(state);
    wake(d, "a1-");
    assert_int_equal(executor_stats(d->executor).entities, 0);
    assert_string_equal(d->defect, "");
    exec_state(d, "a", 1, 0, nothing);
    wake(d, "a1");
    assert_int_equal(d->starts, 1);
    exec_stop(d, 1, d->now_ms);
    exec_run(d);
    exec_begin(d, 2); /* the same worker again: what it knows is not what counts */
    exec_wake(d, "a", 2, 1);
    exec_run(d);
    assert_int_equal(d->starts, 1);
}

static void an_evicted_instance_comes_back_with_its_state(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_persisted(d);
    exec_limit(d, 1, 10);
    exec_begin(d, 1);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    keep_alive(d);
    exec_state(d, "b", 1, 0, nothing);
    exec_add(d, "b", 1);
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    wake(d, "a1");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 4, 43);
    exec_expect_state(d, 43);
    exec_state(d, "c", 1, 0, nothing);
    exec_add(d, "c", 1);
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    d->now_ms += 70000;
    exec_run(d);
    wake(d, "a1-"); /* it is forgotten, and the home has the state */
    give_state(d, 1, 43);
    wake(d, "a1");
}

static void a_kept_instance_that_a_failure_has_ended_is_told_of(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    keep_alive(d);
    d->changes = 1000;
    exec_durable(d, "a", "Fail");
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    wake(d, "a1");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 3, 41);
}

/* A failure takes the state back, and the entity ends all the same, if that is what its handler
 * wants. */
static void one_that_terminates_itself_and_fails_is_not_kept(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    keep_alive(d);
    d->changes = 7;
    d->fails_for_good = true;
    exec_durable(d, "a", "Fail");
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(d->alive, "a0");
    keep_alive(d);
    exec_give(d, "a", "End", 1, 1, REQUEST_DURABLE, exec_amount(d, 1)); /* stays pending */
    exec_run(d);
    fabric_pending_fail(&d->pending, 3, "no");
    exec_run(d);
    exec_expect(d, 4, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(d->alive, "a0");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 5, 41);
}

/* Nor is one that an operator has cleared, whatever becomes of the handler that was pending. */
static void one_that_is_cleared_is_not_kept_by_a_state_that_is_taken_back(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    keep_alive(d);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_interrupt(d, "a", 2);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    assert_string_equal(d->alive, "a0");
    give_state(d, 1, 40);
    keep_alive(d);
    exec_volatile(d, "a", "Hold"); /* changes the state, which it must not */
    exec_run(d);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    exec_complete(d, 1);
    exec_run(d);
    exec_expect(d, 4, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_string_equal(d->alive, "a1- a0");
}

/* A state without an ownership, or for a type without states, is passed over. */
static void a_state_that_nobody_wants_does_no_harm(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_state(d, "a", 1, 2, exec_amount(d, 5));
    exec_add(d, "a", 1);
    d->home_epoch = 2;
    exec_state(d, "a", 1, 2, exec_amount(d, 5));
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_no_result(d);
}

/* No result of a persisted type answers what a next home delivers again, so the link keeps none. */
static void no_result_is_kept(void **state)
{
    executor_driver_t *d = begin(state);
    give_state(d, 1, 40);
    exec_add(d, "a", 2);
    exec_add(d, "a", 0);
    exec_durable(d, "a", "Fail");
    exec_run(d);
    assert_int_equal(d->outputs->count, 4);
    assert_int_equal(d->outputs->states, 1);
    assert_int_equal(d->outputs->durable, 0);
}

/* ---- states without instances ---- */

static void give(executor_driver_t *d, const char *id, const char *tag, fabric_bytes_t payload,
                 uint64_t flags)
{
    exec_state(d, id, 1, 2, exec_amount(d, 40));
    exec_give(d, id, tag, 1, 1, flags, payload);
    exec_run(d);
}

/* As many entities as may have instances may hold states without one. The one whose state came
 * first goes. */
static void states_without_instances_are_bounded(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_persisted(d);
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    exec_state(d, "a", 1, 2, exec_amount(d, 40));
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    fabric_pending_t *first = d->pending;
    exec_state(d, "b", 1, 2, exec_amount(d, 40));
    exec_volatile(d, "b", "Wait");
    exec_run(d);
    const char *ids[] = {"c", "d", "e", "f"};
    for (uint64_t i = 0; i < 4; i++) {
        give(d, ids[i], "Wait", nothing, 0);
        exec_expect(d, i + 3, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    }
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 4);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 2, 42);
    exec_add(d, "d", 1); /* what it held is gone, and is asked for */
    exec_run(d);
    exec_expect(d, 7, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_add(d, "f", 1);
    exec_run(d);
    exec_expect_amount(d, 8, 41);
    fabric_pending_reply(&first, &(int64_t){1});
}

/* Each of these failures has ended an instance, and left a state. */
static void states_that_were_taken_back_are_bounded(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_persisted(d);
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    d->changes = 1000;
    const char *ids[] = {"a", "b", "c", "d", "e"};
    for (uint64_t i = 0; i < 5; i++) {
        give(d, ids[i], "Label", nothing, REQUEST_DURABLE);
        exec_expect(d, i + 1, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 2);
    d->changes = 0;
    exec_add(d, "e", 1);
    exec_run(d);
    exec_expect_amount(d, 6, 41);
}

/* One that is kept alive is still known: only its state goes. */
static void a_kept_entity_only_loses_its_state(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_persisted(d);
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    const char *ids[] = {"a", "b", "c"};
    for (uint64_t i = 0; i < 3; i++) {
        give(d, ids[i], "Keep", exec_amount(d, 1), REQUEST_DURABLE);
        exec_expect(d, i + 1, STATUS_OK, FABRIC_OK);
    }
    assert_string_equal(d->stopped, "ab"); /* and of these b holds its state, and a does not */
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 3);
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect_amount(d, 5, 41);
}

/* Its residents leave all lists before they are freed. */
static void an_executor_may_end_with_pending_handlers(void **state)
{
    executor_driver_t *d = begin(state);
    exec_state(d, "a", 1, 2, exec_amount(d, 40));
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    fabric_pending_t *first = d->pending;
    exec_state(d, "b", 1, 2, exec_amount(d, 40));
    exec_volatile(d, "b", "Wait");
    exec_volatile(d, "a", "Wait"); /* these two wait for their turns */
    exec_volatile(d, "b", "Wait");
    exec_run(d);
    executor_destroy(&d->executor);
    fabric_pending_reply(&first, &(int64_t){1});
    fabric_pending_reply(&d->pending, &(int64_t){1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(an_instance_begins_with_what_is_stored),
        EXECUTOR_TEST(an_entity_without_a_stored_state_is_built),
        EXECUTOR_TEST(reads_do_not_write),
        EXECUTOR_TEST(a_message_before_the_state_is_not_taken),
        EXECUTOR_TEST(a_defect_goes_back_to_what_is_stored),
        EXECUTOR_TEST(a_new_activation_begins_with_its_own_state),
        EXECUTOR_TEST(a_reply_that_cannot_be_encoded_changes_nothing),
        EXECUTOR_TEST(a_failure_changes_nothing),
        EXECUTOR_TEST(a_failure_that_has_changed_nothing_keeps_the_instance),
        EXECUTOR_TEST(a_pending_handler_that_fails_changes_nothing),
        EXECUTOR_TEST(a_volatile_message_must_not_change_the_state),
        EXECUTOR_TEST(a_pending_handler_sends_the_state_with_its_answer),
        EXECUTOR_TEST(what_a_stopped_handler_has_changed_is_taken_back),
        EXECUTOR_TEST(what_a_cancelled_handler_has_changed_is_taken_back),
        EXECUTOR_TEST(a_new_home_says_what_is_stored),
        EXECUTOR_TEST(a_new_home_gives_up_pending_handlers),
        EXECUTOR_TEST(an_idle_entity_waits_for_its_state_again),
        EXECUTOR_TEST(an_older_state_is_migrated),
        EXECUTOR_TEST(what_cannot_be_read_is_not_built),
        EXECUTOR_TEST(an_instance_without_a_message_begins_with_its_state),
        EXECUTOR_TEST(without_its_state_no_instance_is_made),
        EXECUTOR_TEST(an_evicted_instance_comes_back_with_its_state),
        EXECUTOR_TEST(a_kept_instance_that_a_failure_has_ended_is_told_of),
        EXECUTOR_TEST(one_that_terminates_itself_and_fails_is_not_kept),
        EXECUTOR_TEST(one_that_is_cleared_is_not_kept_by_a_state_that_is_taken_back),
        EXECUTOR_TEST(a_state_that_nobody_wants_does_no_harm),
        EXECUTOR_TEST(no_result_is_kept),
        EXECUTOR_TEST(states_without_instances_are_bounded),
        EXECUTOR_TEST(states_that_were_taken_back_are_bounded),
        EXECUTOR_TEST(a_kept_entity_only_loses_its_state),
        EXECUTOR_TEST(an_executor_may_end_with_pending_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
