/* The checker of the fault tests: what callers were told against what is stored, and nothing where
 * all is right. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/checker/checker_story.h"

/* ---- what is right ---- */

static void nothing_is_clean(void **state)
{
    story_expect_clean(*state);
}

static void healthy_is_clean(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    story_tell(s, 0, 2);
    story_echo(s, 0, 3);
    story_ask(s, 0, 4);
    story_expect_clean(s);
    assert_int_equal(s->report.counted, 3);
    assert_int_equal(s->report.uncounted, 0);
}

static void takeover_is_clean(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2);
    story_store(s, STORY_ASK, 2);
    const history_record_t *late = story_begin(s, 0, STORY_ASK, 2); /* frozen */
    const history_record_t *run = story_execute(s, 1, STORY_ASK, 2);
    story_commit(s, run);
    story_seen(s, run);
    story_end(s, late); /* thawed, and refused */
    story_ask(s, 1, 3);
    story_expect_clean(s);
    assert_int_equal(s->report.uncounted, 1);
}

static void killed_in_a_handler_is_clean(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1);
    story_begin(s, 0, STORY_ASK, 1);
    story_execute_tell(s, 1, 1);
    story_commit_tell(s, 1);
    story_expect_clean(s);
}

static void tell_that_ran_twice_is_clean(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_execute_tell(s, 0, 1);
    story_execute_tell(s, 1, 1);
    story_commit_tell(s, 1);
    story_ask(s, 1, 2); /* builds upon the second */
    story_expect_clean(s);
    assert_int_equal(s->report.counted, 2);
}

static void sent_again_is_clean(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_UNKNOWN, STORY_ASK, 1);
    story_ask(s, 0, 2); /* overtakes the first, which was lost */
    story_note(s, HISTORY_INVOKED, STORY_ASK | HISTORY_AGAIN, 1);
    story_store(s, STORY_ASK, 1);
    const history_record_t *run = story_execute(s, 0, STORY_ASK, 1);
    story_commit(s, run);
    story_seen(s, run);
    story_expect_clean(s);
    assert_int_equal(s->report.settled, 1);
}

static void rejected_is_clean(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_REJECTED, STORY_ASK, 1)->error = FABRIC_ERROR_BUSY;
    story_note(s, HISTORY_INVOKED, STORY_ECHO, 2);
    story_note(s, HISTORY_REJECTED, STORY_ECHO, 2)->error = FABRIC_ERROR_RUNNER_UNAVAILABLE;
    story_expect_clean(s);
}

static void messages_of_other_types_are_ignored(void **state)
{
    story_t *s = *state;
    story_store(s, STORY_ASK, 1)->fold = false;
    s->replies[s->tables.reply_count++] = (table_reply_t){.request_id = STORY_FIRST_ID + 1};
    story_expect_clean(s);
}

/* ---- lost, invented, doubled ---- */

static void lost_tell(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_accepted(s, 1);
    story_expect(s, CHECKER_LOST, 1);
}

static void lost_though_unknown(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_UNKNOWN, STORY_ASK, 1)->request_id =
        STORY_FIRST_ID + 1; /* told to be accepted */
    story_expect(s, CHECKER_LOST, 1);
}

static void lost_with_its_reply(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    const history_record_t *run = story_execute(s, 0, STORY_ASK, 1);
    story_seen(s, run);
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_LOST], 1);
    assert_int_equal(s->report.of_kind[CHECKER_INVENTED], 1); /* handled and not stored */
}

static void stored_as_another_request(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1)->request_id = 5;
    story_execute_tell(s, 0, 1);
    story_commit_tell(s, 1);
    story_expect(s, CHECKER_LOST, 1);
}

static void falsely_accepted(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_REJECTED, STORY_ASK, 1);
    story_store(s, STORY_ASK, 1);
    story_commit(s, story_execute(s, 0, STORY_ASK, 1));
    story_expect(s, CHECKER_FALSELY_ACCEPTED, 1);
}

static void falsely_accepted_echo(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ECHO, 1);
    story_note(s, HISTORY_REJECTED, STORY_ECHO, 1);
    story_execute(s, 0, STORY_ECHO, 1);
    story_expect(s, CHECKER_FALSELY_ACCEPTED, 1);
}

static void invented_message(void **state)
{
    story_t *s = *state;
    story_store(s, STORY_ASK, 1);
    s->replies[s->tables.reply_count++] =
        (table_reply_t){.request_id = STORY_FIRST_ID + 1, .error = FABRIC_ERROR_ENTITY_DEFECT};
    s->dead_letters_max = 1;
    story_expect(s, CHECKER_INVENTED, 1);
}

static void message_with_other_contents(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->messages[0].entity = STORY_ENTITY + 1;
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_INVENTED], 1);
    assert_int_equal(s->report.of_kind[CHECKER_LOST], 1); /* what was sent is not there */
}

static void invented_execution(void **state)
{
    story_t *s = *state;
    story_execute(s, 0, STORY_ECHO, 1);
    story_expect(s, CHECKER_INVENTED, 1);
}

static void reply_without_message(void **state)
{
    story_t *s = *state;
    story_commit(s, story_ask(s, 0, 1))->request_id = 5;
    story_expect(s, CHECKER_INVENTED, 1);
}

static void ended_without_execution(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_commit_tell(s, 1);
    story_expect(s, CHECKER_INVENTED, 1);
}

static void call_key_stored_twice(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    story_ask(s, 0, 2);
    s->messages[1].key_sequence = 1;
    story_expect(s, CHECKER_DOUBLED, 1);
}

static void sent_again_under_a_new_key(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    table_message_t *row = story_store(s, STORY_ASK, 1);
    row->request_id = 2000;
    row->key_sequence = 99;
    history_record_t *start = story_begin(s, 0, STORY_ASK, 1);
    start->request_id = 2000;
    story_commit(s, story_end(s, start));
    story_expect(s, CHECKER_DOUBLED, 1);
}

static void accepted_as_two_requests(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_note(s, HISTORY_UNKNOWN, STORY_TELL, 1)->request_id = 5;
    story_note(s, HISTORY_INVOKED, STORY_TELL | HISTORY_AGAIN, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1);
    story_execute_tell(s, 0, 1);
    story_commit_tell(s, 1);
    story_expect(s, CHECKER_DOUBLED, 1);
}

static void execution_counted_twice(void **state)
{
    story_t *s = *state;
    const history_record_t *run = story_ask(s, 0, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2);
    story_store(s, STORY_ASK, 2);
    story_commit(s, run)->request_id = STORY_FIRST_ID + 2;
    story_expect(s, CHECKER_DOUBLED, 1);
}

static void tell_counted_twice(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_execute_tell(s, 0, 1);
    story_ask(s, 0, 2); /* builds upon the first execution */
    story_execute_tell(s, 1, 1);
    story_commit_tell(s, 1);
    story_ask(s, 1, 3); /* and this upon the second */
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_DOUBLED], 1);
}

/* ---- replies ---- */

static void reply_seen_is_not_the_stored_one(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_store(s, STORY_ASK, 1);
    story_seen(s, story_execute(s, 0, STORY_ASK, 1));
    story_commit(s, story_execute(s, 1, STORY_ASK, 1));
    story_expect(s, CHECKER_REPLY, 1);
}

static void reply_seen_is_not_stored(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_store(s, STORY_ASK, 1);
    story_seen(s, story_execute(s, 0, STORY_ASK, 1));
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_REPLY], 1);
    assert_int_equal(s->report.of_kind[CHECKER_LIVENESS], 1);
}

static void two_different_replies_seen(void **state)
{
    story_t *s = *state;
    const history_record_t *run = story_ask(s, 0, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK | HISTORY_AGAIN, 1);
    story_seen(s, run)->reply_hash++;
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_REPLY], 2); /* and not the stored one */
}

static void reply_to_another_call_seen(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->records[s->history.count - 1].execution = (history_execution_t){0, 0};
    story_expect(s, CHECKER_REPLY, 1);
}

static void reply_of_another_stored(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2);
    story_store(s, STORY_ASK, 1);
    story_store(s, STORY_ASK, 2);
    const history_record_t *first = story_execute(s, 0, STORY_ASK, 1);
    const history_record_t *second = story_execute(s, 0, STORY_ASK, 2);
    story_commit(s, first)->request_id = STORY_FIRST_ID + 2;
    story_commit(s, second)->request_id = STORY_FIRST_ID + 1;
    story_expect(s, CHECKER_REPLY, 2);
}

static void reply_that_cannot_be_read(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->replies[0].readable = false;
    story_expect(s, CHECKER_REPLY, 1);
}

static void volatile_reply_that_nothing_said(void **state)
{
    story_t *s = *state;
    story_echo(s, 0, 1);
    s->records[s->history.count - 1].execution.serial = 99;
    story_expect(s, CHECKER_REPLY, 1);
}

static void failure_seen_is_not_the_stored_one(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_store(s, STORY_ASK, 1);
    story_commit(s, story_execute(s, 0, STORY_ASK, 1));
    history_record_t *failed = story_note(s, HISTORY_FAILED, STORY_ASK, 1);
    failed->request_id = STORY_FIRST_ID + 1;
    failed->error = FABRIC_ERROR_ENTITY_DEFECT;
    story_expect(s, CHECKER_REPLY, 1);
}

/* ---- the rest ---- */

static void volatile_handled_twice(void **state)
{
    story_t *s = *state;
    story_echo(s, 0, 1);
    story_execute(s, 1, STORY_ECHO, 1);
    story_expect(s, CHECKER_VOLATILE, 1);
}

static void pending_at_the_end(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1);
    story_expect(s, CHECKER_LIVENESS, 1);
}

static void dead_letters_are_counted(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1);
    s->dead[s->tables.dead_letter_count++] =
        (table_dead_letter_t){.request_id = STORY_FIRST_ID + 1};
    story_expect(s, CHECKER_DEAD_LETTER, 1);
    s->dead_letters_max = 1;
    story_expect_clean(s);
}

static void contradictions_of_tables_are_told(void **state)
{
    story_t *s = *state;
    table_fault_t fault = {"entry 5 of lane 1 is missing"};
    story_ask(s, 0, 1);
    s->tables.faults = &fault;
    s->tables.fault_count = 1;
    story_expect(s, CHECKER_STORE, 1);
    assert_string_equal(s->report.lines[0], "store: entry 5 of lane 1 is missing");
}

static void processes_that_took_too_much(void **state)
{
    story_t *s = *state;
    s->processes[0] = (checker_process_t){"broker", STORY_MEMORY_KIB_MAX, STORY_DESCRIPTORS_MAX};
    s->processes[1] = s->processes[0];
    s->process_count = 2;
    story_expect_clean(s);
    s->processes[0].memory_kib++;
    s->processes[1].descriptors++;
    story_expect(s, CHECKER_BOUNDS, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_set_up, story_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_clean),
        TEST(healthy_is_clean),
        TEST(takeover_is_clean),
        TEST(killed_in_a_handler_is_clean),
        TEST(tell_that_ran_twice_is_clean),
        TEST(sent_again_is_clean),
        TEST(rejected_is_clean),
        TEST(messages_of_other_types_are_ignored),
        TEST(lost_tell),
        TEST(lost_though_unknown),
        TEST(lost_with_its_reply),
        TEST(stored_as_another_request),
        TEST(falsely_accepted),
        TEST(falsely_accepted_echo),
        TEST(invented_message),
        TEST(message_with_other_contents),
        TEST(invented_execution),
        TEST(reply_without_message),
        TEST(ended_without_execution),
        TEST(call_key_stored_twice),
        TEST(sent_again_under_a_new_key),
        TEST(accepted_as_two_requests),
        TEST(execution_counted_twice),
        TEST(tell_counted_twice),
        TEST(reply_seen_is_not_the_stored_one),
        TEST(reply_seen_is_not_stored),
        TEST(two_different_replies_seen),
        TEST(reply_to_another_call_seen),
        TEST(reply_of_another_stored),
        TEST(reply_that_cannot_be_read),
        TEST(volatile_reply_that_nothing_said),
        TEST(failure_seen_is_not_the_stored_one),
        TEST(volatile_handled_twice),
        TEST(pending_at_the_end),
        TEST(dead_letters_are_counted),
        TEST(contradictions_of_tables_are_told),
        TEST(processes_that_took_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
