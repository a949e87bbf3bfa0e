/* What a new holder finds of scheduled messages: in entries, in rows, and in rows that the entries
 * have overruled, also after a checkpoint that was cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/store/loader_search.h"
#include "core/journal/entry.h"
#include "core/message.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader_schedule"

enum { LANE = 1, FIRST = 100, DUE_MS = 5000, MOVED = 200 };

typedef struct fixture {
    actor_world_t *world;
    loader_t loader;
    store_hold_t own;   /* what the loader's broker holds */
    store_hold_t other; /* the holder before, who writes */
    sample_t sample;
    adoption_t adoption;
    loader_fault_t fault;
} fixture_t;

/* All messages have times. */
static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(DATABASE);
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = 1 << 20};
    loader_init(&f->loader, &config, &f->world->world);
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    sample_fill(&f->sample, LANE, FIRST);
    for (size_t i = 0; i < 16; i++) {
        f->sample.messages[i].deliver_at_ms = DUE_MS + (int64_t)i;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    adoption_clear(&f->adoption);
    loader_clear(&f->loader);
    world_free(&f->world);
    free(f);
    return 0;
}

/* ---- what the former holder writes ---- */

static void begin(fixture_t *f, size_t first, size_t count)
{
    lane_batch_t batch = sample_messages(&f->sample, first, count);
    (void)world_append(f->world, &f->other, &batch);
}

static void move(fixture_t *f, size_t index)
{
    batch_move_t one = {&f->sample.messages[index], MOVED + index};
    lane_batch_t batch = {.moves = &one, .move_count = 1, .last_id = MOVED + index};
    (void)world_append(f->world, &f->other, &batch);
}

static void end(fixture_t *f, size_t index, uint64_t position)
{
    batch_end_t one = {.message = &f->sample.messages[index],
                       .position = position,
                       .reply = &f->sample.replies[index]};
    lane_batch_t batch = {.ends = &one, .end_count = 1};
    (void)world_append(f->world, &f->other, &batch);
}

/* Rows of so many messages: scheduled, or at their new positions. */
static void write_rows(fixture_t *f, size_t first, size_t count, bool moved, bool last)
{
    store_pending_t rows[16] = {{0}};
    store_due_key_t gone[16];
    uint64_t number = world_end(f->world, LANE).number;
    journal_writer_t *writer = journal_writer_new();
    for (size_t i = 0; i < count; i++) {
        const store_message_t *message = &f->sample.messages[first + i];
        uint64_t position = moved ? MOVED + first + i : message->id.value;
        journal_put_message(writer, message, position, (journal_attempts_t){0});
        rows[i] =
            (store_pending_t){.position = position,
                              .entity_hash = journal_entity_hash(message->type, message->entity),
                              .id = message->id,
                              .shard = message->shard,
                              .due_ms = message->deliver_at_ms,
                              .number = number,
                              .type = message->type,
                              .entity = message->entity,
                              .tag = message->tag};
        gone[i] = (store_due_key_t){message->deliver_at_ms, message->id.value};
    }
    for (size_t i = 0; i < count; i++) {
        rows[i].body = journal_record_of(writer, i);
    }
    store_slice_t slice = {
        .settled = memory_store_lane(DATABASE, LANE).number, .begun = number, .last = last};
    if (moved) {
        slice.puts = rows;
        slice.put_count = count;
        slice.unscheduled = gone;
        slice.unscheduled_count = last ? count : 0; /* the slice that was cut off has them */
    } else {
        slice.scheduled = rows;
        slice.scheduled_count = count;
    }
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->other, &slice),
                     FABRIC_OK);
    journal_writer_destroy(&writer);
}

static void adopt(fixture_t *f)
{
    f->own = world_assign(f->world, LANE, world_self);
    adoption_clear(&f->adoption);
    assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault), FABRIC_OK);
}

/* ---- what is found ---- */

static const message_t *message_of_index(const fixture_t *f, size_t index)
{
    const message_t *message = f->adoption.messages;
    while (message && message->stored.id.value != FIRST + index) {
        message = message->chain;
    }
    return message;
}

/* How many rows of the message are overruled: among the scheduled ones, or the others. */
static size_t overruled(const fixture_t *f, size_t index, bool scheduled)
{
    size_t count = 0;
    for (size_t i = 0; i < f->adoption.overruled_count; i++) {
        const overruled_row_t *row = &f->adoption.overruled[i];
        if (row->id.value == FIRST + index && (row->due_ms != 0) == scheduled) {
            assert_true(row->ended);
            count++;
        }
    }
    return count;
}

static uint64_t backlog(const fixture_t *f)
{
    uint64_t count = 0;
    for (size_t i = 0; i < f->adoption.backlog_count; i++) {
        count += f->adoption.backlogs[i].count;
    }
    return count;
}

static void scheduled_messages_of_entries_are_in_memory(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 3);
    move(f, 1);
    end(f, 2, 0); /* it was cancelled */
    adopt(f);
    assert_int_equal(message_of_index(f, 0)->position, FIRST);
    assert_int_equal(message_of_index(f, 0)->stored.deliver_at_ms, DUE_MS);
    assert_int_equal(message_of_index(f, 1)->position, MOVED + 1);
    assert_null(message_of_index(f, 2));
    assert_int_equal(f->adoption.scheduled, 0);
    assert_int_equal(f->adoption.overruled_count, 0);
    assert_int_equal(f->adoption.last_id, MOVED + 1);
}

static void rows_of_scheduled_messages_are_counted(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    write_rows(f, 0, 8, false, true);
    begin(f, 8, 1);
    adopt(f);
    assert_int_equal(f->adoption.scheduled, 8);
    assert_int_equal(f->adoption.backlog_count, 0);
    assert_int_equal(f->adoption.overruled_count, 0);
    assert_null(message_of_index(f, 0));
    assert_non_null(message_of_index(f, 8));
}

static void a_move_overrules_the_scheduled_row(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 4);
    write_rows(f, 0, 4, false, true);
    move(f, 1);
    move(f, 2);
    end(f, 2, MOVED + 2);
    end(f, 3, 0); /* it was cancelled: the row is found by the time that the record says */
    adopt(f);
    assert_int_equal(f->adoption.scheduled, 1);
    assert_int_equal(overruled(f, 1, true), 1);
    assert_int_equal(overruled(f, 2, true), 1);
    assert_int_equal(overruled(f, 3, true), 1);
    assert_int_equal(f->adoption.overruled_count, 3);
    const message_t *moved = message_of_index(f, 1);
    assert_int_equal(moved->position, MOVED + 1);
    assert_false(moved->has_row);
    assert_true(fabric_bytes_equal(moved->stored.payload, fabric_bytes_of("payload")));
    assert_null(message_of_index(f, 2));
}

static void the_end_of_a_moved_message_overrules_its_row(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 2);
    move(f, 0);
    move(f, 1);
    write_rows(f, 0, 2, true, true);
    end(f, 0, MOVED);
    adopt(f);
    assert_int_equal(f->adoption.scheduled, 0);
    assert_int_equal(backlog(f), 1);
    assert_int_equal(overruled(f, 0, false), 1);
    assert_int_equal(f->adoption.overruled[0].position, MOVED);
}

/* The rows of both places are there. */
static void a_checkpoint_that_was_cut_off_leaves_both_rows(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 2);
    write_rows(f, 0, 2, false, true);
    move(f, 0);
    move(f, 1);
    write_rows(f, 0, 2, true, false);
    end(f, 1, MOVED + 1);
    adopt(f);
    assert_int_equal(f->adoption.scheduled, 0);
    assert_int_equal(backlog(f), 0);
    assert_true(message_of_index(f, 0)->has_row); /* at its new position */
    assert_int_equal(overruled(f, 0, true), 1);
    assert_int_equal(overruled(f, 0, false), 0);
    assert_int_equal(overruled(f, 1, true), 1);
    assert_int_equal(overruled(f, 1, false), 1);
}

static void a_scheduled_message_of_a_checkpoint_that_was_cut_off_has_its_row(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 2);
    write_rows(f, 0, 1, false, false);
    adopt(f);
    assert_int_equal(f->adoption.scheduled, 0); /* both are in memory */
    assert_true(message_of_index(f, 0)->has_row);
    assert_false(message_of_index(f, 1)->has_row);
    assert_int_equal(f->adoption.overruled_count, 0);
}

static void scheduled_rows_are_loaded_in_order(void **state)
{
    fixture_t *f = *state;
    message_chain_t rows = {0};
    bool ended = false;
    begin(f, 0, 8);
    write_rows(f, 0, 8, false, true);
    assert_int_equal(loader_load_scheduled(&f->loader, LANE, (store_due_key_t){INT64_MIN, 0}, 5,
                                           UINT64_MAX, &rows, &ended),
                     FABRIC_OK);
    assert_false(ended);
    size_t index = 0;
    for (const message_t *row = rows.first; row; row = row->chain, index++) {
        assert_int_equal(row->stored.id.value, FIRST + index);
        assert_int_equal(row->stored.deliver_at_ms, DUE_MS + (int64_t)index);
        assert_int_equal(row->position, FIRST + index);
        assert_true(row->has_row);
    }
    assert_int_equal(index, 5);
    message_chain_destroy(&rows.first);
    assert_int_equal(loader_load_scheduled(&f->loader, LANE,
                                           (store_due_key_t){DUE_MS + 4, FIRST + 4}, 100,
                                           UINT64_MAX, &rows, &ended),
                     FABRIC_OK);
    assert_true(ended);
    assert_int_equal(rows.first->stored.id.value, FIRST + 5);
    message_chain_destroy(&rows.first);
}

static const message_t *next_of(const message_t *found, message_state_t state, uint64_t id)
{
    while (found && (found->state != state || found->stored.id.value != id)) {
        found = found->chain;
    }
    return found;
}

static size_t length_of(const message_t *found)
{
    size_t length = 0;
    for (; found; found = found->chain) {
        length++;
    }
    return length;
}

/* By its id: its row, wherever that lies, and its end, as far as the journal has it. */
static void messages_are_found_by_their_ids(void **state)
{
    fixture_t *f = *state;
    message_chain_t found;
    wanted_row_t wanted[5];
    begin(f, 0, 4);
    write_rows(f, 0, 4, false, true);
    move(f, 1);
    write_rows(f, 1, 1, true, true); /* its scheduled row is gone */
    end(f, 2, FIRST + 2);
    end(f, 3, FIRST + 3);
    for (size_t i = 0; i < 5; i++) {
        wanted[i] = (wanted_row_t){.place.id = {i == 4 ? 4711 : FIRST + i}};
    }
    assert_int_equal(loader_search(&f->loader, LANE, wanted, 5, &found), FABRIC_OK);
    const message_t *scheduled = next_of(found.first, MESSAGE_NEW, FIRST);
    assert_int_equal(scheduled->position, FIRST);
    assert_int_equal(scheduled->stored.deliver_at_ms, DUE_MS);
    assert_true(scheduled->has_row);
    assert_int_equal(next_of(found.first, MESSAGE_NEW, FIRST + 1)->position, MOVED + 1);
    for (size_t i = 2; i < 4; i++) {
        const message_t *ended = next_of(found.first, MESSAGE_ENDED, FIRST + i);
        assert_int_equal(ended->reply.status, f->sample.replies[i].status);
        assert_int_equal(ended->reply.error, f->sample.replies[i].error);
        assert_non_null(next_of(found.first, MESSAGE_NEW, FIRST + i)); /* no checkpoint yet */
    }
    assert_int_equal(length_of(found.first), 6);
    message_chain_destroy(&found.first);
    assert_int_equal(loader_search(&f->loader, LANE - 1, wanted, 5, &found), FABRIC_OK);
    assert_null(found.first);
}

/* By its place: its row alone, and no other one. */
static void rows_are_found_by_their_places(void **state)
{
    fixture_t *f = *state;
    message_chain_t found;
    begin(f, 0, 4);
    write_rows(f, 0, 4, false, true);
    move(f, 1);
    write_rows(f, 1, 1, true, true);
    uint64_t hash = journal_entity_hash(f->sample.messages[1].type, f->sample.messages[1].entity);
    const wanted_row_t wanted[] = {
        {{{FIRST}, DUE_MS, hash, FIRST}, true},
        {{{FIRST + 1}, DUE_MS + 1, hash, FIRST + 1}, true}, /* it lies elsewhere */
        {{{FIRST + 1}, 0, hash, MOVED + 1}, true},
        {{{FIRST + 9}, 0, hash, FIRST + 9}, true},
    };
    assert_int_equal(loader_search(&f->loader, LANE, wanted, 4, &found), FABRIC_OK);
    assert_int_equal(length_of(found.first), 2);
    assert_int_equal(found.first->position, FIRST);
    assert_int_equal(found.first->chain->position, MOVED + 1);
    message_chain_destroy(&found.first);
}

#define loader_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loader_test(scheduled_messages_of_entries_are_in_memory),
        loader_test(rows_of_scheduled_messages_are_counted),
        loader_test(a_move_overrules_the_scheduled_row),
        loader_test(the_end_of_a_moved_message_overrules_its_row),
        loader_test(a_checkpoint_that_was_cut_off_leaves_both_rows),
        loader_test(a_scheduled_message_of_a_checkpoint_that_was_cut_off_has_its_row),
        loader_test(scheduled_rows_are_loaded_in_order),
        loader_test(messages_are_found_by_their_ids),
        loader_test(rows_are_found_by_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
