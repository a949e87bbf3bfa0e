/* The audit of persisted states finds each contradiction between rows and the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "tests/checker/state_audit.h"

enum { FAULTS_SIZE = 2000 };

typedef struct story {
    state_audit_t *audit;
    char faults[FAULTS_SIZE];
} story_t;

/* Of the lane; the checkpoint that was to reach entry 4 was cut off. */
static const audit_progress_t progress = {.checkpoint = 3, .begun = 4, .last = 5};

static void note_fault(void *context, const char *text)
{
    story_t *story = context;
    size_t size = strlen(story->faults);
    snprintf(story->faults + size, sizeof story->faults - size, "%s\n", text);
}

static int set_up(void **state)
{
    story_t *story = memory_allocate_zeroed(1, sizeof *story);
    story->audit = state_audit_new(note_fault, story);
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    story_t *story = *state;
    state_audit_destroy(&story->audit);
    free(story);
    return 0;
}

static void end_expecting(story_t *story, const char *faults)
{
    state_audit_end(story->audit, 2, &progress);
    assert_string_equal(story->faults, faults);
}

static void change(story_t *story, const char *entity, uint64_t number, const char *state)
{
    decoded_record_t record = {.kind = DECODED_RESULT,
                               .shard = 0x10002,
                               .type = fabric_bytes_of("T"),
                               .entity = fabric_bytes_of(entity),
                               .state_version = 3,
                               .state = fabric_bytes_of(state)};
    state_audit_result(story->audit, 2, number, &record);
}

/* Entries of lane 2 up to 5, of which the checkpoint knows 3. "a" changes twice in 1 and once in 3
 * and in 4, "b" in 2; "c" in 4 alone, and "d" in 5, which no checkpoint was to reach. */
static void tell_of_states(story_t *story)
{
    change(story, "a", 1, "a left out");
    change(story, "a", 1, "a1");
    change(story, "b", 2, "b2");
    change(story, "a", 3, "a3");
    change(story, "a", 4, "a4");
    change(story, "c", 4, "c4");
    change(story, "d", 5, "d5");
}

static audit_state_t row_of(const char *entity, const char *state, uint64_t number)
{
    return (audit_state_t){.lane = 2,
                           .shard = 0x10002,
                           .number = number,
                           .version = 3,
                           .type = fabric_bytes_of("T"),
                           .entity = fabric_bytes_of(entity),
                           .state = fabric_bytes_of(state)};
}

static void add_state(story_t *story, const char *entity, const char *state, uint64_t number)
{
    audit_state_t row = row_of(entity, state, number);
    state_audit_row(story->audit, &row, &progress);
}

static void rows_of_states_are_right(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a3", 3);
    add_state(story, "b", "b2", 5); /* as of then it is what it was */
    end_expecting(story, "");       /* that of c may be there, or not */
}

static void rows_of_a_checkpoint_that_was_cut_off_are_right(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a4", 4);
    add_state(story, "b", "b2", 2);
    add_state(story, "c", "c4", 5);
    end_expecting(story, "");
}

static void a_state_without_its_row_is_found(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a3", 3);
    end_expecting(story, "entity_state: T b of lane 2: it changed in entry 2, and has no row as of "
                         "entry 3\n");
}

static void a_row_that_was_not_written_again_is_found(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a1", 2);
    add_state(story, "b", "b2", 2);
    end_expecting(story, "entity_state: T a of lane 2: it changed in entry 3, and its row as of "
                         "entry 3 is of entry 2\n");
}

static void a_row_of_another_state_is_found(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a1", 3);
    add_state(story, "b", "a3", 3);
    add_state(story, "c", "c4", 3);
    end_expecting(story, "entity_state: T a of lane 2: the row of entry 3 has the state of entry "
                         "1, not of entry 3\n"
                         "entity_state: T b of lane 2: no result has stored what the row of entry "
                         "3 has\n"
                         "entity_state: T c of lane 2: the row bears number 3, and its state is of "
                         "entry 4\n");
}

/* What an entry's last result has left counts, and a row has all of it. */
static void a_state_that_an_entry_replaces_does_not_count(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    audit_state_t version = row_of("b", "b2", 3);
    audit_state_t shard = row_of("c", "c4", 4);
    version.version++;
    shard.shard++;
    add_state(story, "a", "a left out", 3);
    state_audit_row(story->audit, &version, &progress);
    state_audit_row(story->audit, &shard, &progress);
    end_expecting(story, "entity_state: T a of lane 2: no result has stored what the row of entry "
                         "3 has\n"
                         "entity_state: T b of lane 2: no result has stored what the row of entry "
                         "3 has\n"
                         "entity_state: T c of lane 2: no result has stored what the row of entry "
                         "4 has\n");
}

static void a_row_newer_than_its_checkpoint_is_found(void **state)
{
    story_t *story = *state;
    tell_of_states(story);
    add_state(story, "a", "a4", 6);
    add_state(story, "b", "b2", 3);
    add_state(story, "b", "b2", 3);
    add_state(story, "d", "d5", 5);
    end_expecting(story, "entity_state: T a of lane 2: the row bears number 6, and the journal "
                         "ends with entry 5\n"
                         "entity_state: T b of lane 2: there are two rows\n"
                         "entity_state: T d of lane 2: it has a row, and changed first in entry 5, "
                         "after that of 4\n");
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        audit_test(rows_of_states_are_right),
        audit_test(rows_of_a_checkpoint_that_was_cut_off_are_right),
        audit_test(a_state_without_its_row_is_found),
        audit_test(a_row_that_was_not_written_again_is_found),
        audit_test(a_row_of_another_state_is_found),
        audit_test(a_state_that_an_entry_replaces_does_not_count),
        audit_test(a_row_newer_than_its_checkpoint_is_found),
    };
    return cmocka_run_group_tests_name("checker_states", tests, NULL, NULL);
}
