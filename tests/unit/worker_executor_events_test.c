/* The executor: types with events. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/journal/entry.h"
#include "tests/unit/executor_driver.h"
#include "worker/executor_events.h"

static const fabric_bytes_t nothing = {NULL, 0};

static executor_driver_t *begin_with(void **state, uint32_t snapshot_every)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_with_events(d, snapshot_every);
    exec_begin(d, 1);
    return d;
}

static executor_driver_t *begin(void **state)
{
    return begin_with(state, 0);
}

/* All of the entity's events, from 1 on, up to three. */
static void give(executor_driver_t *d, uint64_t activation, int64_t a, int64_t b, int64_t c)
{
    const int64_t amounts[] = {a, b, c};
    uint32_t count = a == 0 ? 0 : b == 0 ? 1 : c == 0 ? 2 : 3;
    exec_snapshot(d, activation, 0, 0, nothing);
    exec_events(d, activation, 1, "Added", 2, amounts, count, false);
}

static void add_in(executor_driver_t *d, uint64_t activation, int64_t amount)
{
    exec_give(d, "a", "Add", 1, activation, REQUEST_DURABLE, exec_amount(d, amount));
}

static void expect_event(executor_driver_t *d, uint64_t sequence, int64_t amount)
{
    exec_expect_events(d, sequence, &amount, 1);
}

static void an_instance_is_built_of_its_events(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 6, 7);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 120); /* 100 that it is built with */
    expect_event(d, 4, 2);
    exec_expect_no_snapshot(d);
    assert_int_equal(d->starts, 1);
}

static void events_come_in_parts(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Added", 2, (const int64_t[]){1, 2}, 2, true);
    exec_events(d, 1, 3, "Added", 2, NULL, 0, true);
    exec_events(d, 1, 3, "Added", 1, (const int64_t[]){4}, 1, true); /* adds 8 */
    exec_events(d, 1, 4, "Emptied", 0, (const int64_t[]){0}, 1, true);
    exec_events(d, 1, 5, "Added", 2, (const int64_t[]){8}, 1, false);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 10);
    expect_event(d, 6, 2);
}

/* Nothing begins without the last part, nor with parts of two activations. */
static void a_part_is_not_enough(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Added", 2, (const int64_t[]){1, 2}, 2, true);
    exec_add(d, "a", 2);
    exec_events(d, 2, 3, "Added", 2, (const int64_t[]){3}, 1, false);
    add_in(d, 2, 2);
    exec_snapshot(d, 3, 0, 0, nothing);
    exec_events(d, 4, 1, "Added", 2, NULL, 0, false);
    add_in(d, 4, 2);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    assert_int_equal(d->starts, 0);
}

static void a_lost_home_takes_its_part_along(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Added", 2, (const int64_t[]){1, 2}, 2, true);
    exec_run(d);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, nothing);
    exec_events(d, 1, 3, "Added", 2, (const int64_t[]){4}, 1, false);
    exec_add(d, "a", 1);
    give(d, 2, 1, 2, 0);
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect_amount(d, 2, 104);
    expect_event(d, 3, 1);
}

static void sequences_go_on_while_messages_are_in_flight(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_add(d, "a", 2);
    d->appends = 1; /* each twice: as of the first one, as nothing has run yet */
    exec_add(d, "a", 0);
    exec_add(d, "a", 3);
    exec_run(d);
    exec_expect_amount(d, 1, 109);
    exec_expect_events(d, 2, (const int64_t[]){2, 2}, 2);
    exec_expect_amount(d, 2, 109);
    assert_false(d->eventful); /* it only reads */
    exec_expect_amount(d, 3, 115);
    exec_expect_events(d, 4, (const int64_t[]){3, 3}, 2);
}

static void a_failure_takes_its_events_back(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_add(d, "a", 2);
    exec_durable(d, "a", "Fail");
    d->changes = 1000;
    exec_run(d);
    exec_expect_amount(d, 1, 107);
    expect_event(d, 2, 2);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_false(d->eventful);
    assert_int_equal(d->stops, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    give(d, 2, 5, 2, 0);
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect_amount(d, 4, 108);
    expect_event(d, 3, 1);
}

static void a_failure_that_has_appended_nothing_keeps_the_instance(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 0, 0, 0);
    exec_durable(d, "a", "Fail");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_amount(d, 2, 101);
    expect_event(d, 1, 1);
    assert_int_equal(d->stops, 0);
}

static void a_defect_takes_its_events_back(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->changes = 1000;
    exec_durable(d, "a", "Break");
    give(d, 2, 5, 0, 0);
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_false(d->eventful);
    exec_expect_amount(d, 2, 106);
    expect_event(d, 2, 1);
}

static void a_reply_that_cannot_be_encoded_takes_its_events_back(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->changes = 1000;
    exec_durable(d, "a", "Label");
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_false(d->eventful);
    assert_int_equal(d->stops, 1);
}

static void a_volatile_message_must_not_append(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_give(d, "a", "Add", 1, 1, 0, exec_amount(d, 0));
    exec_give(d, "a", "Add", 1, 1, 0, exec_amount(d, 1));
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_false(d->eventful);
    assert_non_null(strstr(d->defect, "a volatile message has appended events"));
}

static void a_pending_handler_sends_its_events_with_its_answer(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 5);
    exec_run(d);
    exec_expect_amount(d, 1, 5);
    expect_event(d, 2, 7);
    exec_expect_amount(d, 2, 113);
    expect_event(d, 3, 1);
}

static void a_pending_handler_that_fails_or_is_cancelled_appends_nothing(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->changes = 7;
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_fail(&d->pending, 3, "no");
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_false(d->eventful);
    give(d, 2, 5, 0, 0);
    exec_give(d, "a", "Hold", 1, 2, REQUEST_DURABLE, fabric_bytes((const uint8_t *)"\x90", 1));
    exec_run(d);
    exec_interrupt(d, "a", 2);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    assert_false(d->eventful);
    assert_int_equal(d->stops, 2);
}

static void a_pending_volatile_message_must_not_append(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->changes = 7;
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_complete(d, 5);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_false(d->eventful);
}

/* ---- snapshots ---- */

static void a_snapshot_comes_after_so_many_events(void **state)
{
    executor_driver_t *d = begin_with(state, 3);
    give(d, 1, 5, 0, 0);
    exec_add(d, "a", 1);
    exec_add(d, "a", 2);
    exec_add(d, "a", 4);
    exec_run(d);
    exec_expect_amount(d, 1, 106);
    exec_expect_no_snapshot(d);
    exec_expect_amount(d, 2, 108);
    expect_event(d, 3, 2);
    exec_expect_snapshot(d, 3, 108);
    exec_expect_amount(d, 3, 112);
    expect_event(d, 4, 4);
    exec_expect_no_snapshot(d);
}

/* An instance that was built of many sends one with its next reply, though it appends nothing. */
static void a_snapshot_comes_alone(void **state)
{
    executor_driver_t *d = begin_with(state, 3);
    give(d, 1, 5, 6, 7);
    exec_give(d, "a", "Add", 1, 1, 0, exec_amount(d, 0)); /* a volatile one stores nothing */
    exec_add(d, "a", 0);
    exec_add(d, "a", 0);
    exec_run(d);
    exec_expect_amount(d, 1, 118);
    assert_false(d->eventful);
    exec_expect_amount(d, 2, 118);
    exec_expect_events(d, 0, NULL, 0);
    exec_expect_snapshot(d, 3, 118);
    assert_int_equal(d->first, 0);
    exec_expect_amount(d, 3, 118);
    assert_false(d->eventful);
}

static void an_instance_begins_with_a_snapshot(void **state)
{
    executor_driver_t *d = begin_with(state, 3);
    exec_snapshot(d, 1, 2, 70, exec_amount(d, 1000));
    exec_events(d, 1, 71, "Added", 2, (const int64_t[]){1, 2}, 2, false);
    exec_add(d, "a", 4);
    exec_run(d);
    exec_expect_amount(d, 1, 1007);
    expect_event(d, 73, 4);
    exec_expect_snapshot(d, 73, 1007);
    assert_int_equal(d->starts, 0);
    assert_int_equal(d->restores, 1);
}

/* Of another version, or damaged: the home gives all events then. */
static void a_snapshot_that_cannot_be_read_is_passed_over(void **state)
{
    executor_driver_t *d = begin_with(state, 3);
    exec_snapshot(d, 1, 1, 70, exec_amount(d, 1000));
    exec_events(d, 1, 71, "Added", 2, NULL, 0, false);
    exec_add(d, "a", 4);
    exec_snapshot(d, 2, 2, 70, fabric_bytes_of("garbage"));
    exec_events(d, 2, 71, "Added", 2, NULL, 0, false);
    add_in(d, 2, 4);
    give(d, 3, 5, 0, 0);
    add_in(d, 3, 4);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    exec_expect_amount(d, 3, 109);
    expect_event(d, 2, 4);
    assert_int_equal(d->defects_told, 0);
}

static void a_type_without_snapshots_reads_none(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 70, exec_amount(d, 1000));
    exec_events(d, 1, 71, "Added", 2, NULL, 0, false);
    exec_add(d, "a", 4);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
}

/* ---- what is not built, and not appended ---- */

static void an_event_that_is_not_known_is_not_passed_over(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Added", 2, (const int64_t[]){1}, 1, true);
    exec_events(d, 1, 2, "Added", 3, (const int64_t[]){1}, 1, false);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    assert_non_null(strstr(d->defect, "does not know its event 2: Added of version 3"));
    assert_int_equal(d->starts, 0);
}

static void an_event_that_cannot_be_read_is_not_passed_over(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Labelled", 0, (const int64_t[]){1}, 1, false);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    assert_non_null(strstr(d->defect, "its event 1, Labelled, cannot be read"));
}

static void a_gap_is_not_passed_over(void **state)
{
    executor_driver_t *d = begin(state);
    exec_snapshot(d, 1, 0, 0, nothing);
    exec_events(d, 1, 1, "Added", 2, (const int64_t[]){1}, 1, true);
    exec_events(d, 1, 5, "Added", 2, (const int64_t[]){1}, 1, false);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    assert_non_null(strstr(d->defect, "of its events 2 to 4 are missing"));
}

static void an_event_that_the_type_does_not_have_is_a_defect(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->append_tag = "Doubled";
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "the type has no event Doubled"));
    give(d, 2, 5, 0, 0);
    d->append_tag = NULL;
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect_amount(d, 2, 106);
}

/* A pending handler as well, whose handle is given up. */
static void an_event_that_does_not_fit_its_schema_is_a_defect(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    d->append_tag = "Labelled";
    d->changes = -1; /* eight times 0xff: neither UTF-8 nor terminated */
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "the event Labelled: text"));
    exec_complete(d, 1);
    exec_run(d);
    exec_expect_no_result(d);
}

static void a_type_without_events_appends_none(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->with_events = true; /* its handlers believe so */
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "the type has no event Added"));
}

/* How many events of Add fit a record, without a reply. */
static int fitting_events(executor_driver_t *d)
{
    wire_writer_t list = {0};
    fabric_bytes_t amount = exec_amount(d, 1);
    journal_events_put(&list, fabric_bytes_of("Added"), 2, amount);
    size_t count = EVENTS_RECORD_BYTES / list.size;
    assert_true(count * list.size + amount.size <= EVENTS_RECORD_BYTES); /* one is appended more */
    wire_writer_destroy(&list);
    return (int)count;
}

static void what_a_record_cannot_hold_is_a_defect(void **state)
{
    executor_driver_t *d = begin(state);
    assert_true(EVENTS_RECORD_BYTES + 1024 <= JOURNAL_RECORD_BYTES_MAX);
    int fitting = fitting_events(d);
    give(d, 1, 5, 0, 0);
    d->appends = fitting + 10;
    exec_add(d, "a", 1);
    give(d, 2, 5, 0, 0);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "the events of one message are larger than a record"));
    d->appends = fitting;
    add_in(d, 2, 1);
    give(d, 3, 5, 0, 0);
    exec_run(d);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "the events and the reply are larger than a record"));
    d->appends = fitting - 2;
    add_in(d, 3, 1);
    add_in(d, 3, 1);
    exec_run(d);
    exec_expect_amount(d, 3, 105 + fitting - 1);
    assert_int_equal(d->event_count, fitting - 1);
    exec_expect_amount(d, 4, 105 + 2 * (fitting - 1));
    assert_true(d->first == (uint64_t)fitting + 1);
}

/* ---- kept alive ---- */

static void a_wish_waits_for_the_events(void **state)
{
    executor_driver_t *d = begin(state);
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER);
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    give(d, 1, 5, 0, 0);
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER);
    exec_run(d);
    assert_string_equal(d->alive, "a1");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 106);
    expect_event(d, 2, 1);
}

/* So that its home gives all events. */
static void an_answer_to_a_wish_says_that_the_snapshot_cannot_be_read(void **state)
{
    executor_driver_t *d = begin_with(state, 3);
    exec_snapshot(d, 1, 1, 70, exec_amount(d, 1000));
    exec_events(d, 1, 71, "Added", 2, NULL, 0, false);
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER);
    exec_run(d);
    assert_string_equal(d->alive, "a1-?");
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER); /* which holds nothing any more */
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    give(d, 1, 5, 0, 0);
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER);
    exec_run(d);
    assert_string_equal(d->alive, "a1");
    assert_int_equal(d->defects_told, 0);
}

static void an_idle_entity_waits_for_its_events_again(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_add(d, "a", 2);
    exec_run(d);
    d->now_ms += 2000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 0);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
}

/* It does not begin again by itself: the home has the events. */
static void one_that_is_kept_alive_and_has_failed_is_absent(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_give(d, "a", "Keep", 1, 1, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    assert_string_equal(d->alive, "a1");
    d->changes = 1000;
    exec_durable(d, "a", "Fail");
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(d->alive, "a1-");
    assert_int_equal(d->defects_told, 0);
    give(d, 1, 5, 0, 0);
    exec_wake(d, "a", 1, ALIVE_BY_HANDLER);
    exec_run(d);
    assert_string_equal(d->alive, "a1");
}

/* As many entities as may have instances may hold events without one. The one that was given its
 * own first lets go of them. */
static void events_without_an_instance_are_bounded(void **state)
{
    executor_driver_t *d = begin(state);
    exec_limit(d, 1, 10);
    exec_begin(d, 1);
    give(d, 1, 5, 0, 0);
    exec_run(d);
    d->given_id = "b";
    give(d, 1, 6, 0, 0);
    exec_run(d);
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    exec_expect_amount(d, 2, 107);
}

static void a_cleared_entity_waits_for_its_events_again(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 107); /* the order has come before what it was given */
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    add_in(d, 2, 1);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    give(d, 3, 5, 2, 0);
    exec_run(d);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE); /* of what was not begun */
    add_in(d, 4, 1);
    exec_run(d);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
}

/* A new home: what the former one has not stored did not happen. */
static void a_new_home_says_what_is_stored(void **state)
{
    executor_driver_t *d = begin(state);
    give(d, 1, 5, 0, 0);
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
    give(d, 1, 5, 0, 0);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 107);
    expect_event(d, 2, 2);
    assert_int_equal(executor_stats(d->executor).answered, 0);
    wire_writer_destroy(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(an_instance_is_built_of_its_events),
        EXECUTOR_TEST(events_come_in_parts),
        EXECUTOR_TEST(a_part_is_not_enough),
        EXECUTOR_TEST(a_lost_home_takes_its_part_along),
        EXECUTOR_TEST(sequences_go_on_while_messages_are_in_flight),
        EXECUTOR_TEST(a_failure_takes_its_events_back),
        EXECUTOR_TEST(a_failure_that_has_appended_nothing_keeps_the_instance),
        EXECUTOR_TEST(a_defect_takes_its_events_back),
        EXECUTOR_TEST(a_reply_that_cannot_be_encoded_takes_its_events_back),
        EXECUTOR_TEST(a_volatile_message_must_not_append),
        EXECUTOR_TEST(a_pending_handler_sends_its_events_with_its_answer),
        EXECUTOR_TEST(a_pending_handler_that_fails_or_is_cancelled_appends_nothing),
        EXECUTOR_TEST(a_pending_volatile_message_must_not_append),
        EXECUTOR_TEST(a_snapshot_comes_after_so_many_events),
        EXECUTOR_TEST(a_snapshot_comes_alone),
        EXECUTOR_TEST(an_instance_begins_with_a_snapshot),
        EXECUTOR_TEST(a_snapshot_that_cannot_be_read_is_passed_over),
        EXECUTOR_TEST(a_type_without_snapshots_reads_none),
        EXECUTOR_TEST(an_event_that_is_not_known_is_not_passed_over),
        EXECUTOR_TEST(an_event_that_cannot_be_read_is_not_passed_over),
        EXECUTOR_TEST(a_gap_is_not_passed_over),
        EXECUTOR_TEST(an_event_that_the_type_does_not_have_is_a_defect),
        EXECUTOR_TEST(an_event_that_does_not_fit_its_schema_is_a_defect),
        EXECUTOR_TEST(a_type_without_events_appends_none),
        EXECUTOR_TEST(what_a_record_cannot_hold_is_a_defect),
        EXECUTOR_TEST(a_wish_waits_for_the_events),
        EXECUTOR_TEST(an_idle_entity_waits_for_its_events_again),
        EXECUTOR_TEST(an_answer_to_a_wish_says_that_the_snapshot_cannot_be_read),
        EXECUTOR_TEST(one_that_is_kept_alive_and_has_failed_is_absent),
        EXECUTOR_TEST(events_without_an_instance_are_bounded),
        EXECUTOR_TEST(a_cleared_entity_waits_for_its_events_again),
        EXECUTOR_TEST(a_new_home_says_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
