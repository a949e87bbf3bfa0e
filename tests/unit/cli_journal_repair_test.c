/* fabricctl journal repair: what is damaged is told and replaced, and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/journal_repair.h"
#include "core/journal/fold.h"
#include "core/memory.h"
#include "tests/memory/memory_store.h"

#define DATABASE "repair"

enum { LANE = 1, FIRST_ID = 1000, BODY_MAX = 4096 };

typedef struct state {
    store_t *store;
    journal_writer_t *writer;
    store_entry_t next;
    char *text; /* what the last repair printed */
    reason_t reason;
} state_t;

static int set_up(void **context)
{
    state_t *state = memory_allocate_zeroed(1, sizeof *state);
    store_options_t options = {.url = "memory:" DATABASE};
    store_cluster_t wanted = {.name = "c", .shards_per_group = 10, .lanes = 2};
    memory_store_reset(DATABASE);
    assert_int_equal(memory_store_driver.open(&options, NULL, &state->store), FABRIC_OK);
    assert_int_equal(memory_store_driver.schema_apply(state->store, &wanted, NULL), FABRIC_OK);
    state->writer = journal_writer_new();
    state->next = (store_entry_t){.lane = LANE, .number = 1, .incarnation = {{7}}};
    *context = state;
    return 0;
}

static int tear_down(void **context)
{
    state_t *state = *context;
    store_close(&state->store);
    memory_store_free_all();
    journal_writer_destroy(&state->writer);
    free(state->text);
    free(state);
    return 0;
}

static store_message_t message_of(uint64_t id)
{
    return (store_message_t){.id = {id},
                             .shard = {0x10001},
                             .flags = 1,
                             .type = fabric_bytes_of("Order"),
                             .entity = fabric_bytes_of("7"),
                             .tag = fabric_bytes_of("Place"),
                             .payload = fabric_bytes_of("abc"),
                             .call = {7, id}};
}

/* Appends an entry with two messages and the end of the first; `damage`: a byte of the body, from
 * its beginning, that is changed after the checksum was made; -1: none. */
static void append(state_t *state, int damage)
{
    uint8_t body[BODY_MAX];
    store_entry_t entry = state->next;
    uint64_t id = FIRST_ID + 10 * entry.number;
    store_message_t first = message_of(id);
    store_message_t second = message_of(id + 1);
    store_reply_t reply = {.payload = fabric_bytes_of("yes")};
    journal_writer_reset(state->writer);
    journal_put_message(state->writer, &first, id, (journal_attempts_t){0, 0});
    journal_put_message(state->writer, &second, id + 1, (journal_attempts_t){0, 0});
    journal_put_result(state->writer, &first, first.id.value, &reply);
    entry.last_id = id + 5;
    entry.created_ms = (int64_t)(100 * entry.number);
    journal_seal(state->writer, &entry, state->next.log_bytes);
    if (damage >= 0) {
        memcpy(body, entry.body.data, entry.body.size);
        body[damage] ^= 1;
        entry.body.data = body;
    }
    assert_int_equal(memory_store_driver.append(state->store, &entry, 1), FABRIC_OK);
    state->next.number++;
    state->next.log_bytes = entry.log_bytes;
}

static fabric_error_t repair(state_t *state, bool really)
{
    size_t size = 0;
    free(state->text);
    FILE *file = open_memstream(&state->text, &size);
    fabric_error_t error = journal_repair(state->store, really, file, &state->reason);
    fclose(file);
    return error;
}

static bool fold_entry(void *context, const store_entry_t *entry)
{
    if (entry->number > 0) {
        assert_true(journal_entry_is_sound(entry));
        assert_int_equal(journal_fold_entry(context, entry, NULL), FABRIC_OK);
    }
    return true;
}

/* Folds all entries, so they can be adopted. */
static journal_fold_t *fold(void)
{
    journal_fold_t *folded = journal_fold_new(LANE, 0);
    memory_store_dump_entries(DATABASE, LANE, fold_entry, folded);
    return folded;
}

static void note_mark(void *context, const store_lane_t *lane)
{
    if (lane->lane == LANE) {
        *(uint64_t *)context = lane->purged_id;
    }
}

static uint64_t purged_id(state_t *state)
{
    uint64_t mark = 0;
    assert_int_equal(memory_store_driver.lane_list(state->store, note_mark, &mark), FABRIC_OK);
    return mark;
}

static void a_sound_journal_stays(void **context)
{
    state_t *state = *context;
    append(state, -1);
    append(state, -1);
    assert_int_equal(repair(state, true), FABRIC_OK);
    assert_string_equal(state->text, "nothing has to be repaired\n");
    assert_int_equal(purged_id(state), 0);
}

static void records_of_a_damaged_index_are_kept(void **context)
{
    state_t *state = *context;
    append(state, -1);
    append(state, 15); /* an offset of the index */
    append(state, -1);
    assert_int_equal(repair(state, false), FABRIC_OK);
    assert_non_null(
        strstr(state->text, "lane 1, entry 2: the checksum of the body's index is wrong"));
    assert_non_null(
        strstr(state->text, " 3 records can be read, and are kept; all others are lost"));
    assert_non_null(strstr(state->text, "1 entries have to be replaced: stop all brokers"));
    assert_int_equal(purged_id(state), 0); /* nothing was done */
    assert_int_equal(repair(state, true), FABRIC_OK);
    assert_non_null(strstr(state->text, "1 entries were replaced\n"));
    assert_int_equal(purged_id(state), FIRST_ID + 35); /* the next entry's last id */
    journal_fold_t *folded = fold();
    assert_int_equal(journal_fold_count(folded), 6);
    const journal_item_t *item = journal_fold_find(folded, (request_id_t){FIRST_ID + 20});
    assert_int_equal(item->standing, JOURNAL_ENDED);
    assert_int_equal(item->entity_hash,
                     journal_entity_hash(fabric_bytes_of("Order"), fabric_bytes_of("7")));
    journal_fold_destroy(&folded);
    assert_int_equal(repair(state, false), FABRIC_OK);
    assert_string_equal(state->text, "nothing has to be repaired\n");
}

static void a_missing_entry_is_filled(void **context)
{
    state_t *state = *context;
    append(state, -1);
    state->next.number += 2;
    append(state, -1);
    assert_int_equal(repair(state, true), FABRIC_OK);
    assert_string_equal(state->text, "lane 1, entry 2 is missing: all that it held is lost\n"
                                     "lane 1, entry 3 is missing: all that it held is lost\n"
                                     "2 entries were replaced\n");
    assert_int_equal(purged_id(state), FIRST_ID + 45);
    journal_fold_t *folded = fold();
    assert_int_equal(journal_fold_number(folded), 4);
    assert_int_equal(journal_fold_count(folded), 4);
    journal_fold_destroy(&folded);
}

static void the_last_entry_may_be_damaged(void **context)
{
    state_t *state = *context;
    append(state, -1);
    append(state, 0); /* its version */
    assert_int_equal(repair(state, true), FABRIC_OK);
    assert_int_equal(purged_id(state), FIRST_ID + 21); /* the highest that it tells of */
    journal_fold_t *folded = fold();
    assert_int_equal(journal_fold_number(folded), 2);
    assert_int_equal(journal_fold_last_id(folded), FIRST_ID + 21);
    journal_fold_destroy(&folded);
}

static void several_damaged_entries_follow_each_other(void **context)
{
    state_t *state = *context;
    append(state, 3);
    append(state, 3);
    state->next.number++;
    append(state, 3);
    append(state, -1);
    assert_int_equal(repair(state, true), FABRIC_OK);
    assert_non_null(strstr(state->text, "4 entries were replaced\n"));
    journal_fold_t *folded = fold();
    assert_int_equal(journal_fold_number(folded), 5);
    assert_int_equal(journal_fold_count(folded), 8);
    journal_fold_destroy(&folded);
}

static void entries_of_a_newer_release_are_no_damage(void **context)
{
    state_t *state = *context;
    store_entry_t entry = state->next;
    entry.body = fabric_bytes_of("\2 something new");
    journal_seal_columns(&entry);
    assert_int_equal(memory_store_driver.append(state->store, &entry, 1), FABRIC_OK);
    assert_int_equal(repair(state, true), FABRIC_ERROR_WRONG_SCHEMA_VERSION);
    assert_non_null(strstr(state->reason.text, "lane 1, entry 1: the body has version 2"));
    assert_non_null(strstr(state->reason.text, "a newer release wrote it"));
}

static void a_lane_that_is_held_is_not_repaired(void **context)
{
    state_t *state = *context;
    store_lane_t held = {.lane = LANE, .holder = {{7}}, .epoch = 1};
    append(state, 3);
    memory_store_set_lane(DATABASE, &held);
    assert_int_equal(repair(state, false), FABRIC_OK); /* it may be looked at */
    assert_int_equal(repair(state, true), FABRIC_ERROR_FENCED);
    assert_string_equal(state->reason.text, "a broker holds lane 1, or has just taken it");
}

#define repair_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        repair_test(a_sound_journal_stays),
        repair_test(records_of_a_damaged_index_are_kept),
        repair_test(a_missing_entry_is_filled),
        repair_test(the_last_entry_may_be_damaged),
        repair_test(several_damaged_entries_follow_each_other),
        repair_test(entries_of_a_newer_release_are_no_damage),
        repair_test(a_lane_that_is_held_is_not_repaired),
    };
    return cmocka_run_group_tests_name("cli_journal_repair", tests, NULL, NULL);
}
