/* The audit of events finds each contradiction between rows and the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal/events.h"
#include "core/memory.h"
#include "tests/checker/event_audit.h"

enum { FAULTS_SIZE = 2000, RECORDED_MS = 77 };

typedef struct story {
    event_audit_t *audit;
    char faults[FAULTS_SIZE];
} story_t;

/* Of the lane. */
static const audit_progress_t progress = {.checkpoint = 3, .begun = 3, .last = 5};

static void note_fault(void *context, const char *text)
{
    story_t *story = context;
    size_t size = strlen(story->faults);
    snprintf(story->faults + size, sizeof story->faults - size, "%s\n", text);
}

static int set_up(void **state)
{
    story_t *story = memory_allocate_zeroed(1, sizeof *story);
    story->audit = event_audit_new(note_fault, story);
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    story_t *story = *state;
    event_audit_destroy(&story->audit);
    free(story);
    return 0;
}

static void end_expecting(story_t *story, const char *faults)
{
    event_audit_end(story->audit, 2, &progress);
    assert_string_equal(story->faults, faults);
}

/* An entry with a result that has one event for each letter. */
static void append(story_t *story, const char *entity, uint64_t number, uint64_t first,
                   const char *letters)
{
    wire_writer_t list = {0};
    size_t count = strlen(letters);
    for (size_t i = 0; i < count; i++) {
        journal_events_put(&list, fabric_bytes_of("Added"), 2, fabric_bytes(letters + i, 1));
    }
    fabric_bytes_t bytes = wire_writer_bytes(&list);
    decoded_record_t record = {.kind = DECODED_RESULT,
                               .id = 100 * number,
                               .shard = 0x10002,
                               .type = fabric_bytes_of("T"),
                               .entity = fabric_bytes_of(entity),
                               .first_event = first,
                               .event_count = count,
                               .recorded_ms = RECORDED_MS,
                               .events = bytes};
    event_audit_result(story->audit, 2, number, &record);
    wire_writer_destroy(&list);
}

/* Entries of lane 2 up to 5, of which the checkpoint knows 3. */
static void tell_of_events(story_t *story)
{
    append(story, "a", 1, 1, "kl");
    append(story, "b", 2, 1, "x");
    append(story, "a", 3, 3, "m");
    append(story, "a", 5, 4, "n");
}

static audit_event_t row_of(const char *entity, uint64_t sequence, const char *letter,
                            uint64_t number)
{
    return (audit_event_t){.lane = 2,
                           .sequence = sequence,
                           .shard = 0x10002,
                           .number = number,
                           .request_id = 100 * number,
                           .version = 2,
                           .recorded_ms = RECORDED_MS,
                           .type = fabric_bytes_of("T"),
                           .entity = fabric_bytes_of(entity),
                           .tag = fabric_bytes_of("Added"),
                           .payload = fabric_bytes_of(letter)};
}

static void add_row(story_t *story, const char *entity, uint64_t sequence, const char *letter,
                    uint64_t number)
{
    audit_event_t row = row_of(entity, sequence, letter, number);
    event_audit_row(story->audit, &row);
}

static void add_rows(story_t *story)
{
    add_row(story, "a", 1, "k", 1);
    add_row(story, "a", 2, "l", 1);
    add_row(story, "a", 3, "m", 3);
    add_row(story, "b", 1, "x", 2);
}

static void add_state(story_t *story, const char *entity, uint64_t sequence)
{
    audit_state_t row = {.lane = 2,
                         .sequence = sequence,
                         .type = fabric_bytes_of("T"),
                         .entity = fabric_bytes_of(entity)};
    event_audit_state(story->audit, &row);
}

static void rows_are_right(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    add_rows(story);
    add_state(story, "a", 3);
    end_expecting(story, ""); /* that of the last entry may be there, or not */
}

static void rows_beyond_the_checkpoint_are_right(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    add_row(story, "a", 4, "n", 5);
    add_rows(story);
    add_state(story, "a", 4);
    end_expecting(story, "");
}

static void a_gap_in_the_journal_is_found(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    append(story, "b", 4, 3, "z");
    add_rows(story);
    end_expecting(story, "event: T b of lane 2: entry 4 has event 3 behind event 1\n");
}

static void an_event_without_its_row_is_found(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    add_row(story, "a", 1, "k", 1);
    add_row(story, "a", 3, "m", 3);
    add_row(story, "b", 1, "x", 2);
    end_expecting(story, "event: T a of lane 2: event 3 has a row, and event 2 has none\n"
                         "event: T a of lane 2: event 2, of entry 1, has no row as of entry 3\n");
}

static void a_state_of_events_without_rows_is_found(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    add_rows(story);
    add_state(story, "a", 4);
    end_expecting(story, "event: T a of lane 2: its row of entity_state contains event 4, and 3 "
                         "have rows\n");
}

static void rows_that_the_journal_has_not_are_found(void **state)
{
    story_t *story = *state;
    tell_of_events(story);
    add_rows(story);
    add_row(story, "a", 5, "o", 5);
    add_row(story, "c", 1, "o", 5);
    add_row(story, "b", 1, "x", 2);
    end_expecting(story, "event: T a of lane 2: there is a row of event 5, and the journal has 4\n"
                         "event: T c of lane 2: there is a row of event 1, and the journal has 0\n"
                         "event: T b of lane 2: there are two rows of event 1\n");
}

/* Each of its columns counts. */
static void a_row_of_another_event_is_found(void **state)
{
    story_t *story = *state;
    append(story, "a", 1, 1, "klmnopq");
    audit_event_t rows[] = {row_of("a", 1, "x", 1), row_of("a", 2, "l", 1), row_of("a", 3, "m", 1),
                            row_of("a", 4, "n", 1), row_of("a", 5, "o", 1), row_of("a", 6, "p", 1),
                            row_of("a", 7, "q", 1)};
    rows[1].shard++;
    rows[2].request_id++;
    rows[3].recorded_ms++;
    rows[4].version++;
    rows[5].tag = fabric_bytes_of("Taken");
    rows[6].number++;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        event_audit_row(story->audit, &rows[i]);
    }
    end_expecting(story,
                  "event: T a of lane 2: the row of event 1 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 2 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 3 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 4 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 5 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 6 is not what entry 1 has\n"
                  "event: T a of lane 2: the row of event 7 bears number 2, and it is of entry "
                  "1\n");
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        audit_test(rows_are_right),
        audit_test(rows_beyond_the_checkpoint_are_right),
        audit_test(a_gap_in_the_journal_is_found),
        audit_test(an_event_without_its_row_is_found),
        audit_test(a_state_of_events_without_rows_is_found),
        audit_test(rows_that_the_journal_has_not_are_found),
        audit_test(a_row_of_another_event_is_found),
    };
    return cmocka_run_group_tests_name("checker_events", tests, NULL, NULL);
}
