/* The loader's logic over the store in memory: what an adoption finds, however often it is cut off
 * and whoever repeats it; damage; loads of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/store/loader.h"
#include "core/journal/entry.h"
#include "core/message.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader"

enum { LANE = 1, FIRST = 100 };

typedef struct fixture {
    actor_world_t *world;
    loader_t loader;
    store_hold_t own;   /* what the loader's broker holds */
    store_hold_t other; /* the holder before, who writes */
    sample_t sample;
    adoption_t adoption;
    loader_fault_t fault;
} fixture_t;

static void open_loader(fixture_t *f, uint64_t tail_bytes_max)
{
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = tail_bytes_max};
    loader_init(&f->loader, &config, &f->world->world);
}

/* The other broker holds the lane and has taken it. */
static void open_world(fixture_t *f)
{
    f->world = world_new(DATABASE);
    open_loader(f, 1 << 20);
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    sample_fill(&f->sample, LANE, FIRST);
}

static void close_world(fixture_t *f)
{
    adoption_clear(&f->adoption);
    loader_clear(&f->loader);
    world_free(&f->world);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    open_world(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    close_world(f);
    free(f);
    return 0;
}

static store_entry_t next_entry(const fixture_t *f, const store_entry_t *last, uint64_t last_id)
{
    return (store_entry_t){.lane = LANE,
                           .number = last->number + 1,
                           .epoch = f->other.epoch,
                           .incarnation = world_other,
                           .last_id = last_id};
}

static void begin(fixture_t *f, size_t first, size_t count)
{
    lane_batch_t batch = sample_messages(&f->sample, first, count);
    (void)world_append(f->world, &f->other, &batch);
}

static void end(fixture_t *f, size_t first, size_t count)
{
    lane_batch_t batch = sample_ends(&f->sample, first, count);
    (void)world_append(f->world, &f->other, &batch);
}

static void count_attempt(fixture_t *f, size_t index, uint32_t attempts)
{
    f->sample.attempts[index].attempts.attempts = attempts;
    lane_batch_t batch = {.attempts = f->sample.attempts + index, .attempt_count = 1};
    (void)world_append(f->world, &f->other, &batch);
}

static void checkpoint(fixture_t *f, size_t first, size_t count)
{
    world_write_slice(f->world, &f->other, &f->sample, first, count, 0, 0, true);
}

static fabric_error_t adopt_as(fixture_t *f, incarnation_t holder)
{
    f->own = world_assign(f->world, LANE, holder);
    adoption_clear(&f->adoption);
    return loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault);
}

static void adopt(fixture_t *f)
{
    assert_int_equal(adopt_as(f, world_self), FABRIC_OK);
}

/* ---- what stands ---- */

static const overruled_row_t *find_overruled(const adoption_t *adoption, uint64_t id)
{
    for (size_t i = 0; i < adoption->overruled_count; i++) {
        if (adoption->overruled[i].id.value == id) {
            return &adoption->overruled[i];
        }
    }
    return NULL;
}

static message_t *find_message(message_t *chain, uint64_t id)
{
    while (chain && chain->stored.id.value != id) {
        chain = chain->chain;
    }
    return chain;
}

/* What stands by an adoption: the messages in memory and the rows that are not overruled. */
typedef struct standing {
    const adoption_t *adoption;
    bool stands[64];
    uint32_t attempts[64];
    uint64_t rows[4]; /* standing rows of entities a..d that are not in memory */
    store_backlog_t backlogs[4];
} standing_t;

static void visit_row(void *context, uint32_t lane, const store_pending_t *row)
{
    standing_t *standing = context;
    size_t index = row->id.value - FIRST;
    if (lane != LANE) {
        return;
    }
    const overruled_row_t *overruled = find_overruled(standing->adoption, row->id.value);
    message_t *message = find_message(standing->adoption->messages, row->id.value);
    if (message) {
        assert_true(message->has_row);
    } else if (!overruled || !overruled->ended) {
        standing->stands[index] = true;
        standing->attempts[index] = overruled ? overruled->attempts.attempts : row->attempts;
        standing->rows[index % 4]++;
        standing->backlogs[index % 4].entity_hash = row->entity_hash;
    }
}

static standing_t standing_of(const adoption_t *adoption)
{
    standing_t standing = {.adoption = adoption};
    uint64_t before = 0;
    for (const message_t *message = adoption->messages; message; message = message->chain) {
        assert_true(message->position > before);
        before = message->position;
        size_t index = message->stored.id.value - FIRST;
        assert_true(fabric_bytes_equal(message->stored.payload, fabric_bytes_of("payload")));
        standing.stands[index] = true;
        standing.attempts[index] = message->attempts;
        assert_int_equal(message->state, MESSAGE_NEW);
    }
    memory_store_dump_pending(DATABASE, visit_row, &standing);
    return standing;
}

/* Exactly the messages from..to stand, and the backlogs count those of them that only rows have. */
static void expect_standing(const fixture_t *f, size_t from, size_t to)
{
    const adoption_t *adoption = &f->adoption;
    standing_t standing = standing_of(adoption);
    size_t entities = 0;
    for (size_t i = 0; i < 64; i++) {
        if (standing.stands[i] != (i >= from && i < to)) {
            fail_msg("message %zu %s", i, standing.stands[i] ? "stands" : "does not stand");
        }
    }
    for (size_t i = 0; i < 4; i++) {
        entities += standing.rows[i] > 0;
        for (size_t j = 0; j < adoption->backlog_count; j++) {
            if (adoption->backlogs[j].entity_hash == standing.backlogs[i].entity_hash &&
                standing.rows[i] > 0) {
                assert_int_equal(adoption->backlogs[j].count, standing.rows[i]);
            }
        }
    }
    assert_int_equal(adoption->backlog_count, entities);
}

static void a_new_lane_is_empty(void **state)
{
    fixture_t *f = *state;
    store_hold_t hold = world_hold(f->world, 0);
    assert_int_equal(loader_adopt(&f->loader, &hold, &f->adoption, &f->fault), FABRIC_OK);
    store_entry_t last = world_end(f->world, 0);
    assert_int_equal(f->adoption.number, 1);
    assert_int_equal(f->adoption.checkpoint, 0);
    assert_int_equal(f->adoption.log_bytes, last.log_bytes);
    assert_true(last.adopt);
    assert_int_equal(last.epoch, hold.epoch);
    assert_true(incarnation_equal(last.incarnation, world_self));
    assert_null(f->adoption.messages);
    assert_int_equal(f->adoption.backlog_count, 0);
    assert_int_equal(f->adoption.overruled_count, 0);
}

static void entries_are_folded(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 6);
    end(f, 0, 3);
    count_attempt(f, 4, 2);
    adopt(f);
    expect_standing(f, 3, 6);
    message_t *counted = find_message(f->adoption.messages, FIRST + 4);
    assert_int_equal(counted->attempts, 2);
    assert_int_equal(counted->counted.attempts, 2);
    assert_false(counted->has_row);
    assert_int_equal(counted->entity_hash,
                     journal_entity_hash(counted->stored.type, counted->stored.entity));
    assert_int_equal(f->adoption.last_id, FIRST + 5);
    assert_int_equal(world_end(f->world, LANE).last_id, FIRST + 5);
    assert_int_equal(f->adoption.number, world_end(f->world, LANE).number);
    assert_int_equal(f->adoption.tail_bytes, f->adoption.log_bytes);
}

static void rows_stand_unless_they_are_overruled(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    checkpoint(f, 0, 8);
    end(f, 0, 2);
    count_attempt(f, 5, 3);
    count_attempt(f, 6, 0); /* its entity was parked, and is resumed */
    begin(f, 8, 2);
    adopt(f);
    expect_standing(f, 2, 10);
    assert_int_equal(standing_of(&f->adoption).attempts[5], 3);
    assert_int_equal(f->adoption.overruled_count, 4); /* FIRST + 6 is one of them */
    assert_true(find_overruled(&f->adoption, FIRST)->ended);
    assert_null(find_message(f->adoption.messages, FIRST + 5));
    assert_int_equal(f->adoption.checkpoint, 2);
    assert_true(f->adoption.tail_bytes < f->adoption.log_bytes);
}

/* A checkpoint writes no rows of messages that end while it is being written. */
static void messages_that_ended_during_a_checkpoint_have_no_rows(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    checkpoint(f, 4, 4);
    end(f, 0, 4); /* one of each entity */
    adopt(f);
    expect_standing(f, 4, 8);
    assert_int_equal(f->adoption.overruled_count, 0);
}

static void dead_letters_are_kept_for_their_rows(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 2);
    checkpoint(f, 0, 2);
    begin(f, 2, 1);
    for (size_t i = 1; i < 3; i++) {
        f->sample.replies[i].status = STATUS_DEFECT;
        f->sample.ends[i] = (batch_end_t){.message = &f->sample.messages[i],
                                          .reply = &f->sample.replies[i],
                                          .dead = true,
                                          .attempts = {.attempts = 10},
                                          .cause = FABRIC_ERROR_ENTITY_DEFECT,
                                          .text = fabric_bytes_of("broken")};
    }
    end(f, 1, 2);
    adopt(f);
    expect_standing(f, 0, 1);
    for (uint64_t id = FIRST + 1; id < FIRST + 3; id++) {
        message_t *dead = find_message(f->adoption.dead, id);
        assert_non_null(dead);
        assert_int_equal(dead->state, MESSAGE_ENDED);
        assert_int_equal(dead->cause, FABRIC_ERROR_ENTITY_DEFECT);
        assert_int_equal(dead->attempts, 10);
        assert_true(fabric_bytes_equal(dead->reply.payload, fabric_bytes_of("reply")));
        assert_int_equal(dead->has_row, id == FIRST + 1);
    }
    assert_true(find_overruled(&f->adoption, FIRST + 1)->ended);
    assert_null(find_overruled(&f->adoption, FIRST + 2));
}

/* ---- checkpoints that were cut off ---- */

static void a_checkpoint_that_was_cut_off_does_no_harm(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    checkpoint(f, 0, 8);
    end(f, 0, 4);
    begin(f, 8, 4);
    world_write_slice(f->world, &f->other, &f->sample, 8, 2, 0, 2,
                      false); /* two of each are written */
    count_attempt(f, 9, 1);
    adopt(f);
    expect_standing(f, 4, 12);
    assert_true(find_message(f->adoption.messages, FIRST + 9)->has_row);
    assert_false(find_message(f->adoption.messages, FIRST + 10)->has_row);
    assert_null(find_overruled(&f->adoption, FIRST + 1)); /* its row is gone */
    assert_true(find_overruled(&f->adoption, FIRST + 2)->ended);
    assert_int_equal(find_overruled(&f->adoption, FIRST + 9)->attempts.attempts, 1);
}

/* What the cut-off checkpoint wrote ends before the next one begins. */
static void rows_of_a_cut_off_checkpoint_are_overruled_when_they_end(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    world_write_slice(f->world, &f->other, &f->sample, 0, 8, 0, 0, false);
    end(f, 0, 6);
    adopt(f);
    expect_standing(f, 6, 8);
    assert_int_equal(f->adoption.overruled_count, 6);
}

static void two_checkpoints_in_a_row_may_be_cut_off(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    world_write_slice(f->world, &f->other, &f->sample, 0, 4, 0, 0, false);
    end(f, 0, 2);
    adopt(f);
    expect_standing(f, 2, 8);
    world_write_slice(f->world, &f->own, &f->sample, 4, 2, 0, 1, false);
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    end(f, 2, 1);
    adopt(f);
    expect_standing(f, 3, 8);
    world_write_slice(f->world, &f->own, &f->sample, 3, 5, 0, 3, true);
    adopt(f);
    expect_standing(f, 3, 8);
    assert_int_equal(f->adoption.overruled_count, 0);
}

/* ---- taking the lane ---- */

static void an_adoption_may_be_repeated(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 4);
    adopt(f);
    uint64_t number = f->adoption.number;
    for (int i = 0; i < 3; i++) {
        adoption_clear(&f->adoption);
        assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault), FABRIC_OK);
        assert_int_equal(f->adoption.number, number);
        assert_int_equal(world_end(f->world, LANE).number, number);
        expect_standing(f, 0, 4);
    }
    lane_batch_t batch = sample_ends(&f->sample, 0, 1);
    (void)world_append(f->world, &f->own, &batch);
    adoption_clear(&f->adoption);
    assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault), FABRIC_OK);
    assert_int_equal(f->adoption.number, number + 2);
    expect_standing(f, 1, 4);
}

/* The lane comes back to a broker that has taken it before, and nobody has written since. */
static void each_epoch_has_its_own_first_entry(void **state)
{
    fixture_t *f = *state;
    adopt(f);
    uint64_t number = f->adoption.number;
    (void)world_assign(f->world, LANE, world_other);
    adopt(f);
    assert_int_equal(f->adoption.number, number + 1);
    assert_int_equal(world_end(f->world, LANE).epoch, f->own.epoch);
}

static void who_does_not_hold_the_lane_takes_nothing(void **state)
{
    fixture_t *f = *state;
    store_hold_t stale = {.lane = LANE, .holder = world_self, .epoch = f->other.epoch};
    uint64_t number = world_end(f->world, LANE).number;
    assert_int_equal(loader_adopt(&f->loader, &stale, &f->adoption, &f->fault),
                     FABRIC_ERROR_FENCED);
    assert_int_equal(world_end(f->world, LANE).number, number);
}

static void build_history(fixture_t *f)
{
    begin(f, 0, 12);
    checkpoint(f, 0, 12);
    end(f, 0, 4);
    begin(f, 12, 4);
    world_write_slice(f->world, &f->other, &f->sample, 12, 2, 0, 2, false);
}

/* Another broker's append may be under way while the lane is taken: it lands and is seen by the
 * adopter, or it does not land. */
static void an_append_lands_before_the_adoption_or_never(void **state)
{
    fixture_t *f = *state;
    size_t landed = 0;
    enum { DELAYS = 16 };
    for (uint32_t delay = 0; delay < DELAYS; delay++) {
        close_world(f);
        open_world(f);
        begin(f, 0, 4);
        f->own = world_assign(f->world, LANE, world_self);
        journal_writer_t *writer = journal_writer_new();
        journal_put_message(writer, f->sample.list[4], FIRST + 4, (journal_attempts_t){0});
        store_entry_t last = world_end(f->world, LANE);
        store_entry_t entry = next_entry(f, &last, FIRST + 4);
        journal_seal(writer, &entry, last.log_bytes);
        memory_store_fault_t fault = {.operation = MEMORY_STORE_APPEND,
                                      .kind = MEMORY_STORE_UNKNOWN_RUNNING,
                                      .times = 1,
                                      .delay = delay};
        memory_store_fault(DATABASE, &fault);
        assert_int_equal(f->world->store->driver->append(f->world->store, &entry, 1),
                         FABRIC_ERROR_STORE_UNKNOWN);
        store_close(&f->world->store);
        assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault), FABRIC_OK);
        memory_store_end_running(DATABASE, true);
        assert_int_equal(store_open(f->world->connection.drivers, &f->world->connection.options,
                                    NULL, &f->world->store),
                         FABRIC_OK);
        bool is_there = f->adoption.number == last.number + 2;
        assert_int_equal(world_end(f->world, LANE).number, f->adoption.number);
        expect_standing(f, 0, is_there ? 5 : 4);
        landed += is_there;
        journal_writer_destroy(&writer);
    }
    assert_true(landed > 1 && landed < DELAYS);
}

/* Strikes the n-th call of an adoption with each fault, until adoptions have no n-th call. */
static void an_adoption_outlives_every_fault(void **state)
{
    fixture_t *f = *state;
    static const memory_store_fault_kind_t kinds[] = {MEMORY_STORE_BUSY, MEMORY_STORE_DISCONNECTED,
                                                      MEMORY_STORE_UNKNOWN_BEFORE,
                                                      MEMORY_STORE_UNKNOWN_AFTER};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        for (uint32_t call = 0; call < 12; call++) {
            close_world(f);
            open_world(f);
            build_history(f);
            f->own = world_assign(f->world, LANE, world_self);
            uint64_t number = world_end(f->world, LANE).number;
            world_strike(f->world, MEMORY_STORE_ANY, kinds[kind], call, 1);
            assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &f->fault), FABRIC_OK);
            memory_store_clear_faults(DATABASE);
            assert_int_equal(f->adoption.number, number + 1);
            expect_standing(f, 4, 16);
        }
    }
}

/* The adopter dies at its n-th call, twice: the next one finds the same. */
static void adoptions_may_be_cut_off_anywhere_and_repeated_by_another(void **state)
{
    fixture_t *f = *state;
    for (uint32_t call = 0; call < 12; call++) {
        close_world(f);
        open_world(f);
        build_history(f);
        for (int i = 0; i < 2; i++) {
            f->world->looks_max = f->world->looks; /* no second attempt */
            world_strike(f->world, MEMORY_STORE_ANY,
                         call % 2 ? MEMORY_STORE_UNKNOWN_AFTER : MEMORY_STORE_DISCONNECTED,
                         call + 1, 1000); /* assigning passes */
            fabric_error_t error = adopt_as(f, i ? world_other : world_self);
            assert_true(error == FABRIC_OK || error == FABRIC_ERROR_SHUTTING_DOWN);
            memory_store_clear_faults(DATABASE);
        }
        f->world->looks_max = f->world->looks + 1000;
        adopt(f);
        expect_standing(f, 4, 16);
    }
}

/* ---- damage ---- */

/* An entry at the end with any body. */
static void append_body(fixture_t *f, fabric_bytes_t body, uint64_t skipped)
{
    store_entry_t last = world_end(f->world, LANE);
    store_entry_t entry = next_entry(f, &last, last.last_id);
    entry.number += skipped;
    entry.body = body;
    assert_int_equal(f->world->store->driver->append(f->world->store, &entry, 1), FABRIC_OK);
}

static void damage_stops_an_adoption(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 4);
    append_body(f, fabric_bytes_of("no index is to be found here"), 0);
    uint64_t damaged = world_end(f->world, LANE).number;
    begin(f, 4, 1);
    assert_int_equal(adopt_as(f, world_self), FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(f->fault.number, damaged);
    assert_true(f->fault.reason.text[0] != '\0');
}

static void a_gap_stops_an_adoption(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 4);
    uint64_t number = world_end(f->world, LANE).number;
    append_body(f, (fabric_bytes_t){NULL, 0}, 2);
    assert_int_equal(adopt_as(f, world_self), FABRIC_ERROR_STORE_LOST);
    assert_int_equal(f->fault.number, number + 1);
}

static void rows_beyond_the_end_stop_an_adoption(void **state)
{
    fixture_t *f = *state;
    store_lane_t row = memory_store_lane(DATABASE, LANE);
    begin(f, 0, 4);
    uint64_t number = world_end(f->world, LANE).number;
    row.number = row.begun = number + 1;
    memory_store_set_lane(DATABASE, &row);
    assert_int_equal(adopt_as(f, world_self), FABRIC_ERROR_STORE_LOST);
    assert_int_equal(world_end(f->world, LANE).number, number); /* nothing is taken */
}

static void the_bytes_above_a_checkpoint_are_bounded(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 8);
    begin(f, 8, 8);
    loader_clear(&f->loader);
    open_loader(f, world_end(f->world, LANE).log_bytes);
    assert_int_equal(adopt_as(f, world_self), FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_non_null(strstr(f->fault.reason.text, "checkpoint_bytes_max"));
    loader_clear(&f->loader);
    open_loader(f, 1 << 20);
    adopt(f);
    expect_standing(f, 0, 16);
}

/* Writes a record of the sample, whose last byte is wrong. */
static void append_damaged(fixture_t *f, size_t index, bool result)
{
    store_entry_t last = world_end(f->world, LANE);
    store_entry_t entry = next_entry(f, &last, FIRST + index);
    journal_writer_t *writer = journal_writer_new();
    if (result) {
        journal_put_result(writer, f->sample.list[index], 0, &f->sample.replies[index]);
    } else {
        journal_put_message(writer, f->sample.list[index], FIRST + index, (journal_attempts_t){0});
    }
    journal_seal(writer, &entry, last.log_bytes);
    uint8_t *body = malloc(entry.body.size);
    memcpy(body, entry.body.data, entry.body.size);
    body[entry.body.size - 1] ^= 1;
    entry.body.data = body;
    assert_int_equal(f->world->store->driver->append(f->world->store, &entry, 1), FABRIC_OK);
    journal_writer_destroy(&writer);
    free(body);
}

static void a_damaged_message_is_no_message(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 1);
    append_damaged(f, 1, false);
    adopt(f);
    message_t *damaged = find_message(f->adoption.messages, FIRST + 1);
    assert_non_null(damaged);
    assert_int_equal(damaged->stored.flags, 0);
    assert_int_equal(shard_id_number(damaged->stored.shard) % WORLD_LANES, LANE);
    assert_int_equal(damaged->entity_hash,
                     journal_entity_hash(f->sample.messages[1].type, f->sample.messages[1].entity));
    assert_true(find_message(f->adoption.messages, FIRST)->stored.flags & REQUEST_DURABLE);
}

static void a_damaged_result_ends_its_message(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 4);
    checkpoint(f, 0, 4);
    begin(f, 4, 1);
    append_damaged(f, 0, true);
    append_damaged(f, 4, true);
    adopt(f);
    expect_standing(f, 1, 4);
}

/* ---- loads ---- */

static store_range_t range_of(const fixture_t *f, size_t entity, uint64_t after, uint64_t until,
                              uint32_t limit)
{
    const store_message_t *message = &f->sample.messages[entity];
    return (store_range_t){.entity_hash = journal_entity_hash(message->type, message->entity),
                           .after = after,
                           .until = until,
                           .limit = limit};
}

static void rows_are_loaded_in_order(void **state)
{
    fixture_t *f = *state;
    begin(f, 0, 16);
    checkpoint(f, 0, 16);
    store_range_t ranges[] = {range_of(f, 1, FIRST + 1, FIRST + 13, 10),
                              range_of(f, 0, 0, INT64_MAX, 2)};
    static const uint64_t ids[] = {FIRST + 5, FIRST + 9, FIRST + 13, FIRST, FIRST + 4};
    message_chain_t rows;
    size_t done = 0;
    world_strike(f->world, MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 1);
    assert_int_equal(loader_load(&f->loader, LANE, ranges, 2, UINT64_MAX, &rows, &done), FABRIC_OK);
    const message_t *message = rows.first;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++, message = message->chain) {
        assert_non_null(message);
        assert_int_equal(message->stored.id.value, ids[i]);
        assert_int_equal(message->position, ids[i]);
        assert_true(message->has_row);
        assert_true(fabric_bytes_equal(message->stored.payload, fabric_bytes_of("payload")));
    }
    assert_null(message);
    message_chain_destroy(&rows.first);
}

static void a_damaged_row_is_no_message(void **state)
{
    fixture_t *f = *state;
    const store_message_t *message = &f->sample.messages[0];
    store_pending_t row = {.position = FIRST,
                           .entity_hash = journal_entity_hash(message->type, message->entity),
                           .id = message->id,
                           .shard = message->shard,
                           .number = 1,
                           .type = message->type,
                           .entity = message->entity,
                           .tag = message->tag,
                           .body = fabric_bytes_of("rubbish")};
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 1, .last = true};
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->other, &slice),
                     FABRIC_OK);
    store_range_t range = range_of(f, 0, 0, INT64_MAX, 10);
    message_chain_t rows;
    size_t done = 0;
    assert_int_equal(loader_load(&f->loader, LANE, &range, 1, UINT64_MAX, &rows, &done), FABRIC_OK);
    assert_int_equal(done, 1);
    assert_int_equal(rows.first->stored.flags, 0);
    assert_true(fabric_bytes_equal(rows.first->stored.entity, message->entity));
    assert_int_equal(rows.first->stored.shard.value, message->shard.value);
    message_chain_destroy(&rows.first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_lane_is_empty),
        TEST(entries_are_folded),
        TEST(rows_stand_unless_they_are_overruled),
        TEST(messages_that_ended_during_a_checkpoint_have_no_rows),
        TEST(dead_letters_are_kept_for_their_rows),
        TEST(a_checkpoint_that_was_cut_off_does_no_harm),
        TEST(rows_of_a_cut_off_checkpoint_are_overruled_when_they_end),
        TEST(two_checkpoints_in_a_row_may_be_cut_off),
        TEST(an_adoption_may_be_repeated),
        TEST(each_epoch_has_its_own_first_entry),
        TEST(who_does_not_hold_the_lane_takes_nothing),
        TEST(an_append_lands_before_the_adoption_or_never),
        TEST(an_adoption_outlives_every_fault),
        TEST(adoptions_may_be_cut_off_anywhere_and_repeated_by_another),
        TEST(damage_stops_an_adoption),
        TEST(a_gap_stops_an_adoption),
        TEST(rows_beyond_the_end_stop_an_adoption),
        TEST(the_bytes_above_a_checkpoint_are_bounded),
        TEST(a_damaged_message_is_no_message),
        TEST(a_damaged_result_ends_its_message),
        TEST(rows_are_loaded_in_order),
        TEST(a_damaged_row_is_no_message),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
