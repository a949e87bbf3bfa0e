/* The audit of outgoing messages finds each contradiction between what was told, what was accepted
 * and the rows of `outbox`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal/outgoing.h"
#include "core/memory.h"
#include "tests/checker/outbox_audit.h"

enum { FAULTS_SIZE = 2000, LANES = 4, SOURCE = 100, FIRST = 200, TOLD = 1000 };

typedef struct story {
    outbox_audit_t *audit;
    char faults[FAULTS_SIZE];
} story_t;

/* Of each lane. */
static const audit_progress_t progress[LANES] = {{.checkpoint = 1, .begun = 1, .last = 99},
                                                 {.checkpoint = 1, .begun = 1, .last = 99},
                                                 {.checkpoint = 1, .begun = 1, .last = 99},
                                                 {.checkpoint = 1, .begun = 1, .last = 99}};

static void note_fault(void *context, const char *text)
{
    story_t *story = context;
    size_t size = strlen(story->faults);
    snprintf(story->faults + size, sizeof story->faults - size, "%s\n", text);
}

static int set_up(void **state)
{
    story_t *story = memory_allocate_zeroed(1, sizeof *story);
    story->audit = outbox_audit_new(note_fault, story);
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    story_t *story = *state;
    outbox_audit_destroy(&story->audit);
    free(story);
    return 0;
}

static void end_expecting(story_t *story, const char *faults)
{
    outbox_audit_end(story->audit, progress, LANES);
    assert_string_equal(story->faults, faults);
}

/* ---- records ---- */

static void entry(story_t *story, uint64_t lane, uint64_t number, uint64_t last_id)
{
    outbox_audit_entry(story->audit, lane, number, last_id);
}

static store_outgoing_t told(const char *entity, const char *payload)
{
    return (store_outgoing_t){.shard = {0x10003}, /* of lane 3 */
                              .flags = 3,
                              .type = fabric_bytes_of("Account"),
                              .entity = fabric_bytes_of(entity),
                              .tag = fabric_bytes_of("Pay"),
                              .payload = fabric_bytes_of(payload),
                              .headers = fabric_bytes_of("headers"),
                              .deliver_at_ms = 5};
}

/* The end of request SOURCE + `which` of entity o-1 in lane 2, which has told these. */
static void tell(story_t *story, uint64_t which, const store_outgoing_t *messages, uint64_t count)
{
    wire_writer_t list = {0};
    for (uint64_t i = 0; i < count; i++) {
        journal_outgoing_put(&list, &messages[i]);
    }
    decoded_record_t record = {.kind = DECODED_RESULT,
                               .id = SOURCE + which,
                               .shard = 0x10002,
                               .type = fabric_bytes_of("Order"),
                               .entity = fabric_bytes_of("o-1"),
                               .tag = fabric_bytes_of("Place"),
                               .traceparent = fabric_bytes_of("trace"),
                               .outgoing_id = TOLD + which,
                               .outgoing_count = count,
                               .outgoing = wire_writer_bytes(&list)};
    outbox_audit_record(story->audit, &record);
    wire_writer_destroy(&list);
}

static void tell_two(story_t *story, uint64_t which)
{
    const store_outgoing_t messages[] = {told("a", "one"), told("a", "two")};
    tell(story, which, messages, 2);
}

static decoded_record_t accepted(uint64_t which, uint64_t index, const char *payload, uint64_t id)
{
    return (decoded_record_t){.kind = DECODED_MESSAGE,
                              .id = id,
                              .shard = 0x10003,
                              .flags = 3,
                              .client = SOURCE + which,
                              .sequence = (UINT64_C(1) << 63) + index + 1,
                              .type = fabric_bytes_of("Account"),
                              .entity = fabric_bytes_of("a"),
                              .tag = fabric_bytes_of("Pay"),
                              .payload = fabric_bytes_of(payload),
                              .traceparent = fabric_bytes_of("trace"),
                              .headers = fabric_bytes_of("headers"),
                              .deliver_at_ms = 5};
}

static void accept_one(story_t *story, uint64_t which, uint64_t index, const char *payload,
                       uint64_t id)
{
    decoded_record_t record = accepted(which, index, payload, id);
    outbox_audit_record(story->audit, &record);
}

static void end_one(story_t *story, uint64_t which, uint64_t index, uint64_t id, uint32_t cause)
{
    wire_writer_t list = {0};
    store_sent_t end = {.index = (uint32_t)index, .id = {id}, .cause = cause};
    journal_sent_put(&list, &end);
    decoded_record_t record = {.kind = DECODED_SENT,
                               .id = SOURCE + which,
                               .shard = 0x10002,
                               .outgoing_id = TOLD + which,
                               .outgoing_count = 1,
                               .outgoing = wire_writer_bytes(&list)};
    outbox_audit_record(story->audit, &record);
    wire_writer_destroy(&list);
}

static void die(story_t *story, uint64_t id)
{
    decoded_record_t record = {.kind = DECODED_DEAD, .id = id, .shard = 0x10002};
    outbox_audit_record(story->audit, &record);
}

/* Requests 101 and 102 tell two each, in entries 1 and 2 of lane 2; all four are accepted, and the
 * ends of three are known. */
static void tell_of_messages(story_t *story)
{
    entry(story, 2, 0, TOLD);
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 2);
    tell_two(story, 2);
    entry(story, 2, 3, TOLD + 3);
    end_one(story, 1, 0, 2001, 0);
    end_one(story, 1, 1, 2002, 0);
    end_one(story, 2, 0, 2003, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    accept_one(story, 1, 1, "two", 2002);
    accept_one(story, 2, 0, "one", 2003);
    accept_one(story, 2, 1, "two", 2004);
}

static audit_outgoing_t row_of(uint64_t which, uint64_t index, uint64_t number)
{
    return (audit_outgoing_t){.lane = 2,
                              .outgoing_id = TOLD + which,
                              .index = index,
                              .number = number,
                              .source = SOURCE + which,
                              .source_shard = 0x10002,
                              .source_type = fabric_bytes_of("Order"),
                              .source_entity = fabric_bytes_of("o-1"),
                              .source_tag = fabric_bytes_of("Place"),
                              .target_lane = 3,
                              .told = {.shard = 0x10003,
                                       .flags = 3,
                                       .type = fabric_bytes_of("Account"),
                                       .entity = fabric_bytes_of("a"),
                                       .tag = fabric_bytes_of("Pay"),
                                       .payload = fabric_bytes_of(index ? "two" : "one"),
                                       .headers = fabric_bytes_of("headers"),
                                       .deliver_at_ms = 5},
                              .traceparent = fabric_bytes_of("trace")};
}

static void add_row(story_t *story, audit_outgoing_t row)
{
    outbox_audit_row(story->audit, &row, LANES);
}

/* ---- the tests ---- */

#define ONE "message 1001/0 that request 101 of lane 2 told "
#define TWO "message 1001/1 that request 101 of lane 2 told "

static void messages_that_were_accepted_once_are_right(void **state)
{
    story_t *story = *state;
    tell_of_messages(story);
    add_row(story, row_of(1, 0, 1)); /* of a checkpoint, before the SENT */
    end_expecting(story, "");
    outbox_count_t count = outbox_audit_count(story->audit);
    assert_int_equal(count.told, 4);
    assert_int_equal(count.open, 1);
}

static void a_message_that_was_accepted_twice_is_found(void **state)
{
    story_t *story = *state;
    tell_of_messages(story);
    entry(story, 3, 2, 3001);
    accept_one(story, 1, 1, "two", 3001);
    end_expecting(story, TWO "was accepted as requests 2002 and 3001\n");
}

static void a_message_that_was_not_accepted_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 3);
    end_one(story, 1, 0, 2001, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 1, "two", 2002);
    audit_progress_t none[LANES] = {{.last = 99}};
    outbox_audit_end(story->audit, none, LANES);
    assert_string_equal(story->faults, ONE "is said to be request 2001, and was accepted as 0\n");
}

static void a_message_with_another_id_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    end_one(story, 1, 0, 2005, 0);
    end_one(story, 1, 1, 2002, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    accept_one(story, 1, 1, "two", 2002);
    end_expecting(story, ONE "is said to be request 2005, and was accepted as 2001\n");
}

static void a_message_of_other_contents_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    end_one(story, 1, 0, 2001, 0);
    end_one(story, 1, 1, 2002, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "other", 2001);
    decoded_record_t record = accepted(1, 1, "two", 2002);
    record.traceparent = fabric_bytes_of("none");
    outbox_audit_record(story->audit, &record);
    end_expecting(story, ONE "was accepted as request 2001 with other contents\n" TWO
                             "was accepted as request 2002 with other contents\n");
}

/* One whose time has come when it is accepted has none any more. */
static void a_message_with_another_time_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    end_one(story, 1, 0, 2001, 0);
    end_one(story, 1, 1, 2002, 0);
    entry(story, 3, 1, 3000);
    decoded_record_t first = accepted(1, 0, "one", 2001);
    decoded_record_t second = accepted(1, 1, "two", 2002);
    first.deliver_at_ms = 0;
    second.deliver_at_ms = 6;
    outbox_audit_record(story->audit, &first);
    outbox_audit_record(story->audit, &second);
    end_expecting(story, TWO "was accepted as request 2002 with other contents\n");
}

static void a_message_in_another_lane_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    end_one(story, 1, 0, 2001, 0);
    end_one(story, 1, 1, 2002, 0);
    entry(story, 1, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 1, "two", 2002);
    end_expecting(story, ONE "was accepted in lane 1\n");
}

/* Two of one result, and two of two results. */
static void messages_in_another_order_are_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 2);
    tell_two(story, 2);
    entry(story, 2, 3, TOLD + 9);
    end_one(story, 1, 0, 2003, 0);
    end_one(story, 1, 1, 2001, 0);
    end_one(story, 2, 0, 2002, 0);
    end_one(story, 2, 1, 2004, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2003);
    accept_one(story, 1, 1, "two", 2001);
    accept_one(story, 2, 0, "one", 2002);
    accept_one(story, 2, 1, "two", 2004);
    end_expecting(story, TWO "was accepted as request 2001, and 1001/0 before it as 2003\n");
}

static void a_result_that_overtakes_another_one_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 2);
    tell_two(story, 2);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    accept_one(story, 1, 1, "two", 2004);
    accept_one(story, 2, 0, "one", 2003);
    accept_one(story, 2, 1, "two", 2005);
    add_row(story, row_of(1, 0, 1));
    add_row(story, row_of(1, 1, 1));
    end_expecting(story, "message 1002/0 that request 102 of lane 2 told was accepted as request "
                         "2003, and 1001/1 before it as 2004\n");
}

/* It left before its result was durable, or its result never was. */
static void a_message_that_nobody_has_told_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, SOURCE + 5);
    accept_one(story, 7, 0, "any", SOURCE + 3); /* the client is no request */
    entry(story, 3, 1, 3000);
    accept_one(story, 3, 0, "one", 2001);
    end_expecting(story, "request 2001 of lane 3 has the call key of request 103, which has not "
                         "told it\n");
}

static void one_message_too_many_is_found(void **state)
{
    story_t *story = *state;
    tell_of_messages(story);
    entry(story, 2, 4, TOLD + 9);
    accept_one(story, 50, 0, "source", SOURCE + 1);
    entry(story, 3, 2, 3001);
    accept_one(story, 1, 2, "three", 3001);
    add_row(story, row_of(1, 0, 1));
    end_expecting(story, "request 3001 of lane 3 has the call key of request 101, which has not "
                         "told it\n");
}

static void a_message_that_is_older_than_what_was_told_is_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    end_one(story, 1, 0, TOLD, 0);
    end_one(story, 1, 1, 2002, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", TOLD);
    accept_one(story, 1, 1, "two", 2002);
    end_expecting(story, ONE "was accepted as request 1000 before it was told\n");
}

static void ends_of_nothing_are_found(void **state)
{
    story_t *story = *state;
    tell_of_messages(story);
    entry(story, 2, 4, TOLD + 9);
    end_one(story, 1, 0, 2001, 0);
    end_one(story, 2, 2, 2001, 0);
    entry(story, 1, 4, TOLD + 9);
    end_one(story, 2, 1, 2004, 0);
    end_expecting(story, ONE "ends in entries 3 and 4\n"
                             "entry 4 of lane 2 ends message 1002/2, which request 102 has not "
                             "told before\n"
                             "entry 4 of lane 1 ends message 1002/1, which request 102 has not "
                             "told before\n");
}

static void dead_letters_are_right(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 9);
    die(story, TOLD + 8);
    die(story, TOLD + 9);
    end_one(story, 1, 0, TOLD + 8, 9);
    end_one(story, 1, 1, TOLD + 9, 9);
    end_expecting(story, "");
}

static void dead_letters_that_are_none_are_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 1, TOLD + 1);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 9);
    die(story, TOLD + 9);
    entry(story, 2, 3, TOLD + 9);
    end_one(story, 1, 0, TOLD + 8, 9);
    end_one(story, 1, 1, TOLD + 9, 9);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    end_expecting(story, ONE "is said to be dead letter 1008, which entry 3 has not\n" ONE
                             "is said to be a dead letter, and was accepted as request 2001\n" TWO
                             "is said to be dead letter 1009, which entry 3 has not\n");
}

/* The message that has the key is another one; it is to the same entity. */
static void a_message_may_join_another_one_with_its_key(void **state)
{
    story_t *story = *state;
    store_outgoing_t messages[] = {told("a", "one"), told("b", "two")};
    messages[0].primary_key = messages[1].primary_key = fabric_bytes_of("key");
    entry(story, 2, 1, TOLD + 1);
    tell(story, 1, messages, 2);
    entry(story, 2, 2, TOLD + 2);
    end_one(story, 1, 0, FIRST, 0);
    end_one(story, 1, 1, FIRST, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 9000, 7, "of a client", FIRST);
    end_expecting(story, TWO "is said to be request 200, and was accepted as 0\n");
}

static void outgoing_ids_that_do_not_grow_are_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 0, TOLD + 1);
    entry(story, 2, 1, TOLD + 9);
    tell_two(story, 1); /* no larger than what entry 0 knew */
    tell_two(story, 3);
    tell_two(story, 2);
    entry(story, 2, 2, TOLD + 9);
    tell_two(story, 10); /* larger than the entry's last id */
    audit_progress_t none[LANES] = {{.last = 99}};
    outbox_audit_end(story->audit, none, LANES);
    assert_string_equal(
        story->faults,
        "entry 1 of lane 2 has outgoing id 1001, its last id is 1009, and that of the entry before "
        "1001\n"
        "entry 1 of lane 2 has outgoing id 1002 after 1003\n"
        "entry 2 of lane 2 has outgoing id 1010, its last id is 1009, and that of the entry before "
        "1009\n");
}

static void messages_of_no_durable_reply_are_found(void **state)
{
    story_t *story = *state;
    store_outgoing_t message = told("a", "one");
    message.flags = 2;
    entry(story, 2, 1, TOLD + 1);
    tell(story, 1, &message, 1);
    decoded_record_t record = {.kind = DECODED_RESULT,
                               .id = SOURCE + 2,
                               .status = 1,
                               .outgoing_id = TOLD + 1,
                               .outgoing_count = 1};
    entry(story, 1, 1, TOLD + 1);
    outbox_audit_record(story->audit, &record);
    audit_progress_t none[LANES] = {{.last = 99}};
    outbox_audit_end(story->audit, none, LANES);
    assert_string_equal(story->faults,
                        ONE "has flags 2\n"
                            "request 102 ends with status 1, and tells others something\n");
}

static void rows_that_are_missing_or_left_are_found(void **state)
{
    story_t *story = *state;
    entry(story, 2, 0, TOLD);
    entry(story, 2, 1, TOLD + 2);
    tell_two(story, 1);
    entry(story, 2, 2, TOLD + 3);
    end_one(story, 1, 0, 2001, 0);
    entry(story, 3, 1, 3000);
    accept_one(story, 1, 0, "one", 2001);
    audit_progress_t later[LANES] = {{0}};
    later[2].checkpoint = 2;
    add_row(story, row_of(1, 0, 1));
    outbox_audit_end(story->audit, later, LANES);
    assert_string_equal(story->faults, ONE "ended in entry 2, and has a row as of entry 2\n" TWO
                                           "is open since entry 1, and has no row as of entry 2\n");
}

static void rows_of_other_messages_are_found(void **state)
{
    story_t *story = *state;
    tell_of_messages(story);
    audit_outgoing_t payload = row_of(1, 0, 1);
    payload.told.payload = fabric_bytes_of("two");
    audit_outgoing_t source = row_of(1, 1, 1);
    source.source_tag = fabric_bytes_of("Pay");
    source.target_lane = 2;
    audit_outgoing_t id = row_of(2, 0, 2);
    id.outgoing_id++;
    add_row(story, payload);
    add_row(story, row_of(1, 0, 2));
    add_row(story, source);
    add_row(story, id);
    end_expecting(story, ONE "has a row of another message\n" ONE "has two rows\n" ONE
                             "in entry 1 has a row of entry 2\n" TWO
                             "has a row of another message\n" TWO "has a row to lane 2\n"
                             "outbox has message 1003/0 of lane 2, which request 102 has not "
                             "told\n");
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        audit_test(messages_that_were_accepted_once_are_right),
        audit_test(a_message_that_was_accepted_twice_is_found),
        audit_test(a_message_that_was_not_accepted_is_found),
        audit_test(a_message_with_another_id_is_found),
        audit_test(a_message_of_other_contents_is_found),
        audit_test(a_message_with_another_time_is_found),
        audit_test(a_message_in_another_lane_is_found),
        audit_test(messages_in_another_order_are_found),
        audit_test(a_result_that_overtakes_another_one_is_found),
        audit_test(a_message_that_nobody_has_told_is_found),
        audit_test(one_message_too_many_is_found),
        audit_test(a_message_that_is_older_than_what_was_told_is_found),
        audit_test(ends_of_nothing_are_found),
        audit_test(dead_letters_are_right),
        audit_test(dead_letters_that_are_none_are_found),
        audit_test(a_message_may_join_another_one_with_its_key),
        audit_test(outgoing_ids_that_do_not_grow_are_found),
        audit_test(messages_of_no_durable_reply_are_found),
        audit_test(rows_that_are_missing_or_left_are_found),
        audit_test(rows_of_other_messages_are_found),
    };
    return cmocka_run_group_tests_name("checker_outbox", tests, NULL, NULL);
}
