/* The checker's decoder reads what core/journal/ writes and no more, and its audit finds each
 * contradiction between a journal and the rows of its checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/journal/entry_state.h"
#include "core/memory.h"
#include "core/wire.h"
#include "tests/checker/journal_audit.h"
#include "tests/harness/vectors.h"
#include "tests/unit/journal_samples.h"

enum { ID = 1000, FAULTS_SIZE = 2000 };

/* ---- the decoder ---- */

static void expect_same(const decoded_record_t *ours, const journal_record_t *theirs)
{
    const store_message_t *message = &theirs->message;
    assert_int_equal(ours->kind, theirs->kind);
    assert_int_equal(ours->id, theirs->id.value);
    assert_int_equal(ours->shard, theirs->shard.value);
    assert_int_equal(ours->position, theirs->position);
    bool result = theirs->kind == RECORD_RESULT;
    call_key_t call = result ? theirs->call : message->call;
    assert_int_equal(ours->client, call.client);
    assert_int_equal(ours->sequence, call.sequence);
    assert_int_equal(ours->flags, result ? theirs->message_flags : message->flags);
    bool alive = theirs->kind == RECORD_ALIVE;
    const store_state_t *state = &theirs->state;
    fabric_bytes_t type = alive ? theirs->kept.type : result ? state->type : message->type;
    fabric_bytes_t entity = alive ? theirs->kept.entity : result ? state->entity : message->entity;
    assert_true(fabric_bytes_equal(ours->type, type));
    assert_true(fabric_bytes_equal(ours->entity, entity));
    assert_true(fabric_bytes_equal(ours->state, state->state));
    assert_int_equal(ours->state_version, state->version);
    assert_int_equal(ours->state_sequence, state->sequence);
    assert_int_equal(ours->first_event, theirs->events.first);
    assert_int_equal(ours->event_count, theirs->events.count);
    assert_int_equal(ours->recorded_ms, theirs->events.recorded_ms);
    assert_true(fabric_bytes_equal(ours->events, theirs->events.list));
    bool sent = theirs->kind == RECORD_SENT;
    const journal_outgoing_t *outgoing = &theirs->outgoing;
    assert_int_equal(ours->outgoing_id, sent ? theirs->sent.id : outgoing->id);
    assert_int_equal(ours->outgoing_count, sent ? theirs->sent.count : outgoing->count);
    assert_true(fabric_bytes_equal(ours->outgoing, sent ? theirs->sent.list : outgoing->list));
    assert_int_equal(ours->causes, theirs->kept.causes);
    assert_true(fabric_bytes_equal(ours->tag, result ? outgoing->tag : message->tag));
    assert_true(fabric_bytes_equal(ours->payload, message->payload));
    assert_true(fabric_bytes_equal(ours->traceparent,
                                   result ? outgoing->traceparent : message->traceparent));
    assert_true(fabric_bytes_equal(ours->headers, message->headers));
    const uint8_t *key_hash = result ? theirs->key_hash : message->key_hash;
    assert_true(fabric_bytes_equal(ours->key_hash, fabric_bytes(key_hash, key_hash ? 32 : 0)));
    assert_int_equal(ours->kept_until_ms, result ? theirs->reply.kept_until_ms : 0);
    bool bare = result || theirs->kind == RECORD_ATTEMPT;
    assert_int_equal(ours->deliver_at_ms, bare ? theirs->deliver_at_ms : message->deliver_at_ms);
    assert_int_equal(ours->attempts, theirs->attempts.attempts);
    assert_int_equal(ours->crashes, theirs->attempts.crashes);
    assert_int_equal(ours->status, theirs->reply.status);
    assert_int_equal(ours->error, theirs->reply.error);
    assert_int_equal(ours->code, theirs->reply.code);
    assert_true(fabric_bytes_equal(ours->reply, theirs->reply.payload));
    assert_int_equal(ours->cause, theirs->cause);
    assert_true(fabric_bytes_equal(ours->text, theirs->text));
    assert_int_equal(ours->epoch, theirs->epoch);
    assert_true(fabric_bytes_equal(ours->name, theirs->name));
    if (result) {
        assert_int_equal(ours->contents, theirs->contents);
    } else if (theirs->kind == RECORD_MESSAGE || theirs->kind == RECORD_MOVE ||
               theirs->kind == RECORD_DEAD) {
        assert_int_equal(ours->contents, journal_contents_hash(message));
    }
}

static void read_record_twice(fabric_bytes_t bytes)
{
    decoded_record_t ours;
    journal_record_t theirs;
    const char *fault = decode_record(bytes, &ours);
    bool read = journal_record_decode(bytes, &theirs) == FABRIC_OK;
    assert_int_equal(!fault, read);
    if (read) {
        expect_same(&ours, &theirs);
    }
}

static void compare_record(void *context, uint32_t number, const decoded_record_t *record)
{
    const fabric_bytes_t *body = context;
    journal_record_t theirs;
    assert_int_equal(journal_read_at(*body, number, &theirs), JOURNAL_READ_RECORD);
    expect_same(record, &theirs);
}

static bool has_damage(fabric_bytes_t body)
{
    journal_reader_t reader;
    journal_record_t record;
    if (journal_reader_open(&reader, body, NULL) != FABRIC_OK) {
        return true;
    }
    for (;;) {
        journal_read_t read = journal_read_next(&reader, &record);
        if (read != JOURNAL_READ_RECORD) {
            return read != JOURNAL_READ_END;
        }
    }
}

static void read_body_twice(fabric_bytes_t body)
{
    assert_int_equal(decode_body(body, compare_record, &body) != NULL, has_damage(body));
}

static const char *check_row(const store_entry_t *entry)
{
    decoded_row_t row = {.lane = entry->lane,
                         .number = entry->number,
                         .epoch = entry->epoch,
                         .incarnation = fabric_bytes(entry->incarnation.bytes, 16),
                         .last_id = entry->last_id,
                         .created_ms = entry->created_ms,
                         .log_bytes = entry->log_bytes,
                         .checksum = entry->checksum,
                         .adopt = entry->adopt,
                         .calls = entry->calls,
                         .body = entry->body};
    return decode_check_row(&row);
}

static void check_vector(const vector_t *vector, void *context)
{
    (void)context;
    if (strncmp(vector->name, "record_", 7) == 0) {
        read_record_twice(vector->bytes);
        vectors_damage(vector, 100, read_record_twice);
    } else if (strncmp(vector->name, "body_", 5) == 0) {
        read_body_twice(vector->bytes);
        vectors_damage(vector, 100, read_body_twice);
    } else if (strncmp(vector->name, "entry_", 6) == 0) {
        store_entry_t entry;
        assert_true(journal_sample_read_row(vector->bytes, &entry));
        assert_int_equal(check_row(&entry) == NULL, vector->valid);
    }
}

static void two_decoders_agree_about_the_vectors(void **state)
{
    (void)state;
    srand(1);
    vectors_visit("schemas/vectors/journal.txt", check_vector, NULL);
}

static void two_decoders_agree_about_anything(void **state)
{
    (void)state;
    srand(2);
    journal_writer_t *writer = journal_writer_new();
    for (uint64_t round = 0; round < 300; round++) {
        journal_writer_reset(writer);
        for (uint64_t i = 0; i < 10; i++) {
            store_message_t message = journal_sample_message(round * 10 + i);
            free(journal_sample_put(writer, &message));
            read_record_twice(journal_record_of(writer, (size_t)i));
        }
        store_entry_t entry = journal_sample_entry(writer, round);
        read_body_twice(entry.body);
        assert_null(check_row(&entry));
    }
    journal_writer_destroy(&writer);
}

/* ---- the audit ---- */

/* A lane with a journal, and what the audit says. */
typedef struct story {
    journal_audit_t *audit;
    journal_writer_t *writer;
    journal_writer_t *rows; /* bodies of rows */
    store_entry_t next;
    uint64_t log_bytes, records;
    char faults[FAULTS_SIZE];
} story_t;

static void note_record(void *context, uint32_t number, const decoded_record_t *record)
{
    story_t *story = context;
    (void)number;
    story->records += record->kind != 0;
}

static void note_fault(void *context, const char *text)
{
    story_t *story = context;
    size_t size = strlen(story->faults);
    snprintf(story->faults + size, sizeof story->faults - size, "%s\n", text);
}

static store_message_t message_of(uint64_t id)
{
    return (store_message_t){.id = {id},
                             .shard = {0x10001},
                             .flags = 1,
                             .type = fabric_bytes_of("Fold"),
                             .entity = fabric_bytes_of("fold-1"),
                             .tag = fabric_bytes_of("Fold"),
                             .payload = fabric_bytes_of("abc"),
                             .call = {7, id}};
}

static void put_message(story_t *story, uint64_t id)
{
    store_message_t message = message_of(id);
    journal_put_message(story->writer, &message, id, (journal_attempts_t){0, 0});
}

static void put_result(story_t *story, uint64_t id)
{
    store_message_t message = message_of(id);
    store_reply_t reply = {.payload = fabric_bytes_of("yes")};
    journal_put_result(story->writer, &message, message.id.value, &reply);
}

static void put_dead(story_t *story, uint64_t id)
{
    store_message_t message = message_of(id);
    store_reply_t reply = {.status = 2, .error = 15};
    journal_put_dead(story->writer, &message, message.id.value, &reply, (journal_attempts_t){10, 0},
                     14, fabric_bytes_of("broken"));
}

static void send_entry(story_t *story, const store_entry_t *entry)
{
    decoded_row_t row = {.lane = entry->lane,
                         .number = entry->number,
                         .epoch = entry->epoch,
                         .incarnation = fabric_bytes(entry->incarnation.bytes, 16),
                         .last_id = entry->last_id,
                         .created_ms = entry->created_ms,
                         .log_bytes = entry->log_bytes,
                         .checksum = entry->checksum,
                         .adopt = entry->adopt,
                         .calls = entry->calls,
                         .body = entry->body};
    journal_audit_entry(story->audit, &row);
}

/* The next entry, with what was put. */
static void append(story_t *story)
{
    journal_seal(story->writer, &story->next, story->log_bytes);
    send_entry(story, &story->next);
    journal_writer_reset(story->writer);
    story->log_bytes = story->next.log_bytes;
    story->next.number++;
    story->next.adopt = false;
}

static void take_lane(story_t *story, uint64_t epoch)
{
    story->next.epoch = epoch;
    story->next.incarnation = (incarnation_t){{(uint8_t)epoch}};
    story->next.adopt = true;
    journal_put_adopt(story->writer, story->next.incarnation, epoch, fabric_bytes_of("b"));
    append(story);
}

static void add_pending(story_t *story, uint64_t id, uint64_t number)
{
    store_message_t message = message_of(id);
    journal_writer_reset(story->rows);
    journal_put_message(story->rows, &message, id, (journal_attempts_t){0, 0});
    audit_pending_t row = {.lane = 1,
                           .position = id,
                           .entity_hash = journal_entity_hash(message.type, message.entity),
                           .request_id = id,
                           .number = number,
                           .body = journal_record_of(story->rows, 0)};
    journal_audit_pending(story->audit, &row);
}

static void add_dead(story_t *story, uint64_t id)
{
    store_message_t message = message_of(id);
    store_reply_t reply = {.status = 2, .error = 15};
    journal_writer_reset(story->rows);
    journal_put_dead(story->rows, &message, message.id.value, &reply, (journal_attempts_t){10, 0},
                     14, fabric_bytes_of("broken"));
    journal_audit_dead(story->audit, 1, id, journal_record_of(story->rows, 0));
}

/* Entries 0 (founded), 1 (adopted), 2 (A, B begin), 3 (A ends, C begins), 4 (D begins and dies);
 * the checkpoint stands at 3. */
enum { A = ID + 1, B, C, D, CHECKPOINT = 3 };

static int set_up(void **state)
{
    story_t *story = memory_allocate_zeroed(1, sizeof *story);
    audit_listener_t listener = {note_record, note_fault, story};
    story->audit = journal_audit_new(&listener);
    story->writer = journal_writer_new();
    story->rows = journal_writer_new();
    story->next = (store_entry_t){.lane = 1, .adopt = true, .last_id = ID + 100};
    journal_audit_checkpoint(story->audit, 1, CHECKPOINT, CHECKPOINT);
    append(story);
    take_lane(story, 1);
    put_message(story, A);
    put_message(story, B);
    append(story);
    put_result(story, A);
    put_message(story, C);
    append(story);
    put_message(story, D);
    put_dead(story, D);
    append(story);
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    story_t *story = *state;
    journal_audit_destroy(&story->audit);
    journal_writer_destroy(&story->writer);
    journal_writer_destroy(&story->rows);
    free(story);
    return 0;
}

static void end_expecting(story_t *story, const char *fault)
{
    journal_audit_end(story->audit);
    assert_string_equal(story->faults, fault);
}

/* The rows that belong to the story, with those of B and C by the given numbers; 0: none. */
static void add_rows(story_t *story, uint64_t b, uint64_t c)
{
    if (b) {
        add_pending(story, B, b);
    }
    if (c) {
        add_pending(story, C, c);
    }
}

static void a_whole_story_is_right(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 4);
    end_expecting(story, "");
    assert_int_equal(story->records, 7);
}

static void a_cut_off_checkpoint_is_right(void **state)
{
    story_t *story = *state;
    put_result(story, B);
    append(story);
    add_rows(story, 0, 5); /* the row of B was deleted before its checkpoint was complete */
    add_dead(story, D);
    end_expecting(story, "");
}

static void another_broker_may_take_the_lane(void **state)
{
    story_t *story = *state;
    take_lane(story, 2);
    append(story);
    add_rows(story, 2, 3);
    end_expecting(story, "");
}

static void a_row_that_is_missing_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 0);
    end_expecting(story, "pending lacks request 1003, which began in entry 3, as of entry 3\n");
}

static void a_row_that_was_not_deleted_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    add_pending(story, A, 2);
    end_expecting(story, "pending still has request 1001, which ended in entry 3, as of entry 3\n");
}

static void a_row_with_a_number_after_the_end_is_found(void **state)
{
    story_t *story = *state;
    put_result(story, B);
    append(story);
    add_rows(story, 5, 3);
    end_expecting(story, "pending: request 1002 bears number 5, and had ended in entry 5\n");
}

static void a_row_with_a_number_before_its_message_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 1, 3);
    end_expecting(story, "pending: request 1002 bears number 1, and began in entry 2 of 4\n");
}

static void a_dead_letter_that_is_missing_is_found(void **state)
{
    story_t *story = *state;
    journal_audit_checkpoint(story->audit, 2, 1,
                             1); /* another lane, which is past its dead letter */
    story->next = (store_entry_t){.lane = 2, .adopt = true, .last_id = ID + 100};
    story->log_bytes = 0;
    append(story);
    put_message(story, ID + 20);
    put_dead(story, ID + 20);
    append(story);
    add_rows(story, 2, 3);
    end_expecting(story, "dead_letter lacks request 1020, as of entry 1\n");
}

static void a_dead_letter_beside_its_message_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    add_pending(story, D, 4);
    add_dead(story, D);
    add_dead(story, B);
    journal_audit_end(story->audit);
    assert_non_null(strstr(story->faults, "dead_letter has request 1004, which is pending, too"));
    assert_non_null(strstr(story->faults, "dead_letter has request 1002, which is no dead letter"));
}

static void a_gap_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    story->next.number++;
    append(story);
    end_expecting(story, "entry 5 of lane 1 is missing\n");
}

static void a_deposed_writer_is_found(void **state)
{
    story_t *story = *state;
    store_entry_t old = story->next;
    add_rows(story, 2, 3);
    take_lane(story, 2);
    old.number = story->next.number;
    story->next = old;
    append(story);
    end_expecting(story, "entry 6 of lane 1 is by a deposed writer: epoch 1 after 2\n");
}

static void a_writer_without_adoption_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    story->next.epoch = 2;
    append(story);
    end_expecting(story, "entry 5 of lane 1 is by a writer that has not adopted it\n");
}

static void a_second_begin_or_end_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    put_message(story, B);
    put_result(story, A);
    put_result(story, ID + 50);
    append(story);
    end_expecting(story, "request 1002 begins twice\n"
                         "request 1001 ends in entries 3 and 5\n"
                         "request 1050 ends in lane 1, where it never began\n");
}

static void wrong_columns_are_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    story->log_bytes += 1;
    append(story);
    story->next.last_id = ID;
    put_message(story, ID + 9);
    append(story);
    journal_seal(story->writer, &story->next, story->log_bytes);
    story->next.checksum ^= 1;
    send_entry(story, &story->next);
    end_expecting(story, "entry 5 of lane 1: log_bytes does not add up\n"
                         "entry 6 of lane 1 has request 1009 and a smaller last id\n"
                         "entry 7 of lane 1: the row's checksum is wrong\n");
}

/* The row's checksum covers them, and they have one: only their contents are wrong. */
static void calls_of_another_body_are_found(void **state)
{
    story_t *story = *state;
    store_entry_t other = {.lane = 1};
    put_message(story, ID + 60);
    journal_seal(story->writer, &other, 0);
    put_message(story, ID + 61);
    store_entry_t more = {.lane = 1};
    uint8_t *calls = memory_allocate(other.calls.size);
    memcpy(calls, other.calls.data, other.calls.size);
    journal_seal(story->writer, &more, 0);
    assert_null(check_row(&more));
    more.calls = fabric_bytes(calls, other.calls.size);
    more.checksum = entry_checksum(&more);
    assert_string_equal(check_row(&more), "calls are not those of the body");
    more.calls = fabric_bytes(NULL, 0);
    more.checksum = entry_checksum(&more);
    assert_string_equal(check_row(&more), "calls are not those of the body");
    free(calls);
}

static void a_row_of_something_else_is_found(void **state)
{
    story_t *story = *state;
    add_rows(story, 2, 3);
    add_pending(story, ID + 50, 3);
    end_expecting(story, "pending has request 1050 of lane 1, which the journal has not\n");
}

/* Entries of lane 2 up to 2, of which the checkpoint knows 1: "a" and "b" are kept alive as of it,
 * "b" is not any more and "c" is as of the last. */
static void tell_of_kept(story_t *story)
{
    store_kept_t kept = {.type = fabric_bytes_of("T"),
                         .entity = fabric_bytes_of("a"),
                         .shard = {0x10002},
                         .causes = 1};
    journal_audit_checkpoint(story->audit, 2, 1, 1);
    story->next = (store_entry_t){.lane = 2, .adopt = true, .last_id = ID + 100};
    story->log_bytes = 0;
    append(story);
    journal_put_alive(story->writer, &kept);
    kept.entity = fabric_bytes_of("b");
    journal_put_alive(story->writer, &kept);
    append(story);
    kept.causes = 0;
    journal_put_alive(story->writer, &kept);
    kept.causes = 1;
    kept.entity = fabric_bytes_of("c");
    journal_put_alive(story->writer, &kept);
    append(story);
    add_rows(story, 2, 3);
}

static void add_kept(story_t *story, const char *entity, uint64_t causes)
{
    audit_kept_t row = {.lane = 2,
                        .shard = 0x10002,
                        .number = 1,
                        .causes = causes,
                        .type = fabric_bytes_of("T"),
                        .entity = fabric_bytes_of(entity)};
    journal_audit_kept(story->audit, &row);
}

static void rows_of_kept_entities_are_right(void **state)
{
    story_t *story = *state;
    tell_of_kept(story);
    add_kept(story, "a", 1);
    end_expecting(story, ""); /* those of b and c may be there, or not */
}

static void a_kept_entity_without_its_row_is_found(void **state)
{
    story_t *story = *state;
    tell_of_kept(story);
    add_kept(story, "b", 1);
    end_expecting(story, "kept_alive: an entity of lane 2 has causes 0, and 1 by the journal\n");
}

static void a_row_of_no_kept_entity_is_found(void **state)
{
    story_t *story = *state;
    tell_of_kept(story);
    add_kept(story, "a", 3);
    end_expecting(story, "kept_alive: an entity of lane 2 has causes 3, and 1 by the journal\n");
}

static store_message_t message_to(const char *entity, uint64_t id)
{
    store_message_t message = message_of(id);
    message.shard = (shard_id_t){0x10002};
    message.type = fabric_bytes_of("T");
    message.entity = fabric_bytes_of(entity);
    return message;
}

static void a_state_that_must_not_count_is_found(void **state)
{
    story_t *story = *state;
    store_message_t other = message_to("b", B);
    store_reply_t reply = {.status = 1, .error = 2};
    add_rows(story, 0, 3);
    journal_put_result_with_state(story->writer, &other, B, &reply, 3, fabric_bytes_of("b"));
    append(story);
    journal_audit_end(story->audit);
    assert_non_null(strstr(story->faults, "request 1002 ends with the state of another entity\n"
                                          "request 1002 ends with status 1 and a state\n"));
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_decoders_agree_about_the_vectors),
        cmocka_unit_test(two_decoders_agree_about_anything),
        audit_test(a_whole_story_is_right),
        audit_test(a_cut_off_checkpoint_is_right),
        audit_test(another_broker_may_take_the_lane),
        audit_test(a_row_that_is_missing_is_found),
        audit_test(a_row_that_was_not_deleted_is_found),
        audit_test(a_row_with_a_number_after_the_end_is_found),
        audit_test(a_row_with_a_number_before_its_message_is_found),
        audit_test(a_dead_letter_that_is_missing_is_found),
        audit_test(a_dead_letter_beside_its_message_is_found),
        audit_test(a_gap_is_found),
        audit_test(a_deposed_writer_is_found),
        audit_test(a_writer_without_adoption_is_found),
        audit_test(a_second_begin_or_end_is_found),
        audit_test(wrong_columns_are_found),
        audit_test(calls_of_another_body_are_found),
        audit_test(a_row_of_something_else_is_found),
        audit_test(rows_of_kept_entities_are_right),
        audit_test(a_kept_entity_without_its_row_is_found),
        audit_test(a_row_of_no_kept_entity_is_found),
        audit_test(a_state_that_must_not_count_is_found),
    };
    return cmocka_run_group_tests_name("checker_journal", tests, NULL, NULL);
}
