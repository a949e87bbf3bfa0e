/* The adopter, an actor with a thread and a connection of its own, over the store in memory:
 * adoptions that are cut off at any of their calls, repeated, or overtaken by another holder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/store/loader_zmq.h"
#include "core/journal/entry.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_adopter"

/* CALLS: more than an adoption makes. STANDING: of the messages of build_history. */
enum { LANE = 1, FIRST = 100, CALLS = 14, STANDING = 12, WAIT_MAX_MS = 20000 };

typedef struct fixture {
    actor_world_t *world;
    int halt_fd;
    loader_actor_t actors[5]; /* each is started once */
    size_t started;
    loader_actor_t *adopter; /* the last one */
    store_hold_t other;      /* the holder before, who writes */
    sample_t sample;
    load_operation_t operation;
} fixture_t;

static loader_actor_t *start(fixture_t *f, const char *name)
{
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = name,
                              .tail_bytes_max = 1 << 20};
    store_clock_t clock = {.store_ms = WORLD_STORE_MS};
    assert_true(f->started < sizeof f->actors / sizeof *f->actors);
    loader_actor_t *actor = &f->actors[f->started++];
    assert_int_equal(loader_actor_start(actor, name, &config, f->halt_fd, clock), FABRIC_OK);
    return actor;
}

static void start_adopter(fixture_t *f, const char *name)
{
    f->adopter = start(f, name);
}

/* The other broker has messages 0 to 15 accepted, a checkpoint of 0 to 11, and ends of 0 to 3; its
 * next checkpoint was cut off. */
static void build_history(fixture_t *f)
{
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    lane_batch_t batch = sample_messages(&f->sample, 0, 12);
    (void)world_append(f->world, &f->other, &batch);
    world_write_slice(f->world, &f->other, &f->sample, 0, 12, 0, 0, true);
    batch = sample_ends(&f->sample, 0, 4);
    (void)world_append(f->world, &f->other, &batch);
    batch = sample_messages(&f->sample, 12, 4);
    (void)world_append(f->world, &f->other, &batch);
    world_write_slice(f->world, &f->other, &f->sample, 12, 2, 0, 2, false);
}

static void open_world(fixture_t *f)
{
    f->world = world_new(DATABASE);
    f->halt_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(f->halt_fd >= 0);
    build_history(f);
}

static void stop_all(fixture_t *f)
{
    for (size_t i = 0; i < f->started; i++) {
        loader_actor_stop(&f->actors[i]);
    }
}

static void close_world(fixture_t *f)
{
    stop_all(f);
    adoption_clear(&f->operation.adoption);
    f->started = 0;
    close(f->halt_fd);
    world_free(&f->world);
}

static void reopen_world(fixture_t *f)
{
    close_world(f);
    open_world(f);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    sample_fill(&f->sample, LANE, FIRST);
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

static load_operation_t *wait_for(loader_actor_t *actor)
{
    struct pollfd item = {.fd = pipe_fd(actor->base.actor.pipe), .events = POLLIN};
    assert_int_equal(poll(&item, 1, WAIT_MAX_MS), 1);
    return loader_actor_take(actor);
}

static void send_adoption(fixture_t *f, const store_hold_t *hold)
{
    adoption_clear(&f->operation.adoption);
    f->operation = (load_operation_t){.kind = LOADER_ADOPT, .lane = hold->lane, .hold = *hold};
    loader_actor_send(f->adopter, &f->operation);
}

static fabric_error_t adopt(fixture_t *f, const store_hold_t *hold)
{
    send_adoption(f, hold);
    assert_ptr_equal(wait_for(f->adopter), &f->operation);
    return f->operation.error;
}

/* Messages in memory, and rows of others. */
static void expect_standing(const adoption_t *adoption, uint64_t expected)
{
    uint64_t count = 0;
    for (const message_t *message = adoption->messages; message; message = message->chain) {
        count++;
    }
    for (size_t i = 0; i < adoption->backlog_count; i++) {
        count += adoption->backlogs[i].count;
    }
    assert_int_equal(count, expected);
}

/* The store does not answer any more, from the adoption's n-th call on. */
static void cut_off(fixture_t *f, memory_store_fault_kind_t kind, uint32_t call)
{
    world_strike(f->world, MEMORY_STORE_ANY, kind, call, UINT32_MAX);
}

static void halt(const fixture_t *f)
{
    assert_int_equal(eventfd_write(f->halt_fd, 1), 0);
}

static void go_on(const fixture_t *f)
{
    eventfd_t value;
    memory_store_clear_faults(DATABASE);
    assert_int_equal(eventfd_read(f->halt_fd, &value), 0);
}

/* ---- one adoption after another ---- */

static void lanes_are_adopted_in_the_order_in_which_they_come(void **state)
{
    fixture_t *f = *state;
    store_hold_t first = world_assign(f->world, LANE, world_self);
    store_hold_t second = world_hold(f->world, 0);
    load_operation_t next = {.kind = LOADER_ADOPT, .lane = second.lane, .hold = second};
    start_adopter(f, "adopter");
    send_adoption(f, &first);
    loader_actor_send(f->adopter, &next);
    assert_ptr_equal(wait_for(f->adopter), &f->operation);
    assert_ptr_equal(wait_for(f->adopter), &next);
    assert_int_equal(f->operation.error, FABRIC_OK);
    expect_standing(&f->operation.adoption, STANDING);
    assert_int_equal(next.error, FABRIC_OK);
    assert_int_equal(next.adoption.number, 1);
    expect_standing(&next.adoption, 0);
    adoption_clear(&next.adoption);
    assert_null(loader_actor_take(f->adopter));
}

/* One call of the store fails once, or is refused again and again for a time. */
static void an_adoption_outlives_every_fault_at_every_call(void **state)
{
    fixture_t *f = *state;
    static const struct {
        memory_store_fault_kind_t kind;
        uint32_t times;
    } faults[] = {
        {MEMORY_STORE_BUSY, 1},           {MEMORY_STORE_BUSY, CONNECTION_BUSY_TRIES_MAX + 1},
        {MEMORY_STORE_UNAVAILABLE, 2},    {MEMORY_STORE_DISCONNECTED, 1},
        {MEMORY_STORE_UNKNOWN_BEFORE, 1}, {MEMORY_STORE_UNKNOWN_AFTER, 1}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (uint32_t call = 0; call < CALLS; call++) {
            reopen_world(f);
            store_hold_t own = world_assign(f->world, LANE, world_self);
            uint64_t number = world_end(f->world, LANE).number;
            world_strike(f->world, MEMORY_STORE_ANY, faults[i].kind, call, faults[i].times);
            start_adopter(f, "adopter");
            assert_int_equal(adopt(f, &own), FABRIC_OK);
            memory_store_clear_faults(DATABASE);
            assert_int_equal(f->operation.adoption.number, number + 1);
            expect_standing(&f->operation.adoption, STANDING);
        }
    }
}

/* ---- ends ---- */

/* The adopter ends at its n-th call, whether the store has carried that one out or not. Another one
 * of the same broker, and then another broker's, find the same. */
static void an_adoption_that_is_cut_off_is_repeated(void **state)
{
    fixture_t *f = *state;
    static const memory_store_fault_kind_t kinds[] = {MEMORY_STORE_DISCONNECTED,
                                                      MEMORY_STORE_UNKNOWN_AFTER};
    for (uint32_t call = 0; call < 2 * CALLS; call++) {
        reopen_world(f);
        store_hold_t own = world_assign(f->world, LANE, world_self);
        uint64_t number = world_end(f->world, LANE).number;
        cut_off(f, kinds[call % 2], call / 2);
        start_adopter(f, "adopter");
        halt(f);
        fabric_error_t error = adopt(f, &own);
        assert_true(error == FABRIC_OK || error == FABRIC_ERROR_SHUTTING_DOWN);
        stop_all(f);
        go_on(f);
        for (int times = 0; times < 2; times++) {
            start_adopter(f, "adopter");
            assert_int_equal(adopt(f, &own), FABRIC_OK);
            assert_int_equal(f->operation.adoption.number, number + 1);
            expect_standing(&f->operation.adoption, STANDING);
            stop_all(f);
        }
        f->other = world_assign(f->world, LANE, world_other);
        start_adopter(f, "other");
        assert_int_equal(adopt(f, &f->other), FABRIC_OK);
        assert_int_equal(f->operation.adoption.number, number + 2);
        expect_standing(&f->operation.adoption, STANDING);
    }
}

/* What it was given comes to nothing, and what it has brought is dropped. */
static void a_stop_ends_adoptions_without_a_database(void **state)
{
    fixture_t *f = *state;
    store_hold_t own = world_assign(f->world, LANE, world_self);
    load_operation_t more[2] = {{.kind = LOADER_ADOPT, .lane = LANE, .hold = own},
                                {.kind = LOADER_ADOPT, .lane = LANE, .hold = own}};
    start_adopter(f, "adopter");
    loader_actor_send(f->adopter, &more[0]);
    struct pollfd item = {.fd = pipe_fd(f->adopter->base.actor.pipe), .events = POLLIN};
    assert_int_equal(poll(&item, 1, WAIT_MAX_MS), 1); /* it is not taken */
    cut_off(f, MEMORY_STORE_DISCONNECTED, 0);
    send_adoption(f, &own);
    loader_actor_send(f->adopter, &more[1]);
    halt(f);
    stop_all(f);
    assert_int_equal(more[0].error, FABRIC_OK);
    assert_null(more[0].adoption.messages);
    assert_int_equal(f->operation.error, FABRIC_ERROR_SHUTTING_DOWN);
    assert_int_equal(more[1].error, FABRIC_ERROR_SHUTTING_DOWN);
}

/* ---- another holder ---- */

static fixture_t *deposed; /* who is deposed after `calls_left` more calls */
static int calls_left;
static store_driver_t deposing_driver;

/* Another broker takes the lane. */
static void note_call(void)
{
    if (calls_left-- == 0) {
        deposed->other = world_assign(deposed->world, LANE, world_other);
        (void)world_take(deposed->world, &deposed->other);
    }
}

static fabric_error_t list_lanes(store_t *store, store_visit_lane_fn *visit, void *context)
{
    note_call();
    return memory_store_driver.lane_list(store, visit, context);
}

static fabric_error_t read_back(store_t *store, uint32_t lane, uint64_t upto,
                                store_entry_part_t part, uint32_t entries_max, uint64_t bytes_max,
                                store_visit_entry_fn *visit, void *context)
{
    note_call();
    return memory_store_driver.read_journal_back(store, lane, upto, part, entries_max, bytes_max,
                                                 visit, context);
}

static fabric_error_t take(store_t *store, const store_hold_t *hold, const store_entry_t *entry)
{
    note_call();
    return memory_store_driver.lane_take(store, hold, entry);
}

static fabric_error_t read_entries(store_t *store, uint32_t lane, uint64_t from,
                                   store_entry_part_t part, uint32_t entries_max,
                                   uint64_t bytes_max, store_visit_entry_fn *visit, void *context)
{
    note_call();
    return memory_store_driver.read_journal(store, lane, from, part, entries_max, bytes_max, visit,
                                            context);
}

static fabric_error_t find_rows(store_t *store, uint32_t lane, const store_row_key_t *keys,
                                size_t count, bool *found)
{
    note_call();
    return memory_store_driver.find_rows(store, lane, keys, count, found);
}

static fabric_error_t list_backlogs(store_t *store, uint32_t lane, store_visit_backlog_fn *visit,
                                    void *context)
{
    note_call();
    return memory_store_driver.list_backlogs(store, lane, visit, context);
}

static fabric_error_t list_outboxes(store_t *store, uint32_t lane, store_visit_outbox_fn *visit,
                                    void *context)
{
    note_call();
    return memory_store_driver.list_outboxes(store, lane, visit, context);
}

static fabric_error_t open_deposing(const store_options_t *options, reason_t *reason,
                                    store_t **store)
{
    fabric_error_t error = memory_store_driver.open(options, reason, store);
    if (!error) {
        (*store)->driver = &deposing_driver;
    }
    return error;
}

/* At each call of an adoption it is told so. Where it has taken the lane before, its entry stands
 * before the successor's, whose adoption finds all of the rest. */
static void a_deposed_adopter_harms_nobody(void **state)
{
    fixture_t *f = *state;
    static const store_driver_t *const drivers[] = {&deposing_driver, NULL};
    deposing_driver = memory_store_driver;
    deposing_driver.open = open_deposing;
    deposing_driver.lane_list = list_lanes;
    deposing_driver.read_journal_back = read_back;
    deposing_driver.lane_take = take;
    deposing_driver.read_journal = read_entries;
    deposing_driver.find_rows = find_rows;
    deposing_driver.list_backlogs = list_backlogs;
    deposing_driver.list_outboxes = list_outboxes;
    deposed = f;
    for (int call = 0; call < 8; call++) {
        reopen_world(f);
        f->world->connection.drivers = drivers;
        store_hold_t own = world_assign(f->world, LANE, world_self);
        uint64_t number = world_end(f->world, LANE).number;
        start_adopter(f, "adopter");
        calls_left = call;
        assert_int_equal(adopt(f, &own), FABRIC_ERROR_FENCED);
        assert_true(calls_left < 0);
        assert_int_equal(world_end(f->world, LANE).number, number + (call < 3 ? 1 : 2));
        assert_int_equal(world_end(f->world, LANE).epoch, f->other.epoch);
        stop_all(f);
        start_adopter(f, "other");
        assert_int_equal(adopt(f, &f->other), FABRIC_OK);
        expect_standing(&f->operation.adoption, STANDING);
    }
}

/* ---- beside the loader ---- */

/* The loader, a second actor, loads rows while an adoption does not come to an end. */
static void loads_do_not_wait_for_adoptions(void **state)
{
    fixture_t *f = *state;
    store_hold_t own = world_assign(f->world, LANE, world_self);
    const store_message_t *message = &f->sample.messages[4];
    store_range_t range = {.entity_hash = journal_entity_hash(message->type, message->entity),
                           .until = INT64_MAX,
                           .limit = 100};
    load_operation_t load = {.kind = LOADER_LOAD,
                             .lane = LANE,
                             .ranges = &range,
                             .range_count = 1,
                             .bytes_max = UINT64_MAX};
    world_strike(f->world, MEMORY_STORE_READ_JOURNAL, MEMORY_STORE_DISCONNECTED, 0, UINT32_MAX);
    start_adopter(f, "adopter");
    loader_actor_t *loader = start(f, "loader");
    send_adoption(f, &own);
    loader_actor_send(loader, &load);
    assert_ptr_equal(wait_for(loader), &load);
    assert_null(loader_actor_take(f->adopter));
    assert_int_equal(load.error, FABRIC_OK);
    assert_int_equal(load.rows->stored.id.value, message->id.value);
    message_chain_destroy(&load.rows);
    memory_store_clear_faults(DATABASE);
    assert_ptr_equal(wait_for(f->adopter), &f->operation);
    assert_int_equal(f->operation.error, FABRIC_OK);
    expect_standing(&f->operation.adoption, STANDING);
}

/* Rows of three messages to lane 0, in a checkpoint of the journal's end. */
static void write_outgoing(fixture_t *f)
{
    store_outgoing_t rows[3];
    for (uint32_t i = 0; i < 3; i++) {
        rows[i] = (store_outgoing_t){.key = {7, i},
                                     .number = 1,
                                     .source = {FIRST},
                                     .source_shard = shard_id_make(1, LANE),
                                     .source_type = fabric_bytes_of("Order"),
                                     .source_entity = fabric_bytes_of("o-1"),
                                     .source_tag = fabric_bytes_of("Place"),
                                     .shard = shard_id_make(1, WORLD_LANES),
                                     .type = fabric_bytes_of("Account"),
                                     .entity = fabric_bytes_of("alice"),
                                     .tag = fabric_bytes_of("Pay")};
    }
    store_slice_t slice = {.outgoing = rows,
                           .outgoing_count = 3,
                           .settled = memory_store_lane(DATABASE, LANE).number,
                           .begun = world_end(f->world, LANE).number,
                           .last = true};
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->other, &slice),
                     FABRIC_OK);
}

static load_operation_t outgoing_after(uint32_t index)
{
    return (load_operation_t){
        .kind = LOADER_OUTGOING,
        .lane = LANE,
        .outgoing = {.target_lane = 0, .after = {7, index}, .limit = 2, .bytes_max = UINT64_MAX}};
}

/* What nobody takes any more is freed with the actor. */
static void rows_of_outgoing_messages_are_loaded(void **state)
{
    fixture_t *f = *state;
    write_outgoing(f);
    loader_actor_t *loader = start(f, "loader");
    load_operation_t first = outgoing_after(0);
    first.outgoing.after = (store_outgoing_key_t){0, 0};
    loader_actor_send(loader, &first);
    assert_ptr_equal(wait_for(loader), &first);
    assert_int_equal(first.error, FABRIC_OK);
    assert_int_equal(first.told.count, 2);
    assert_int_equal(first.told.values[1]->message.key.index, 1);
    assert_false(first.told.ended);
    loaded_outgoing_clear(&first.told);
    load_operation_t second = outgoing_after(1);
    loader_actor_send(loader, &second);
    struct pollfd item = {.fd = pipe_fd(loader->base.actor.pipe), .events = POLLIN};
    assert_int_equal(poll(&item, 1, WAIT_MAX_MS), 1); /* it is not taken */
    assert_true(second.told.ended);
    assert_int_equal(second.told.count, 1);
    stop_all(f);
    assert_int_equal(second.told.count, 0);
}

/* ---- rows that are newer than a record ---- */

/* A checkpoint that was cut off has written a row with the last of two counts. The record of the
 * first one does not overwrite it. */
static void a_row_keeps_the_last_count(void **state)
{
    fixture_t *f = *state;
    const store_message_t *message = &f->sample.messages[5];
    for (uint32_t attempts = 1; attempts <= 2; attempts++) {
        f->sample.attempts[5].attempts.attempts = attempts;
        lane_batch_t batch = {.attempts = &f->sample.attempts[5], .attempt_count = 1};
        (void)world_append(f->world, &f->other, &batch);
    }
    uint64_t number = world_end(f->world, LANE).number;
    store_amendment_t amendment = {
        .key = {journal_entity_hash(message->type, message->entity), message->id.value},
        .number = number,
        .attempts = 2};
    store_slice_t slice = {.amendments = &amendment,
                           .amendment_count = 1,
                           .settled = memory_store_lane(DATABASE, LANE).number,
                           .begun = number};
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->other, &slice),
                     FABRIC_OK);
    store_hold_t own = world_assign(f->world, LANE, world_self);
    start_adopter(f, "adopter");
    assert_int_equal(adopt(f, &own), FABRIC_OK);
    const adoption_t *adoption = &f->operation.adoption;
    expect_standing(adoption, STANDING);
    size_t counted = 0;
    for (size_t i = 0; i < adoption->overruled_count; i++) {
        const overruled_row_t *row = &adoption->overruled[i];
        counted += row->id.value == message->id.value && row->attempts.attempts == 2;
    }
    assert_int_equal(counted, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lanes_are_adopted_in_the_order_in_which_they_come),
        TEST(an_adoption_outlives_every_fault_at_every_call),
        TEST(an_adoption_that_is_cut_off_is_repeated),
        TEST(a_stop_ends_adoptions_without_a_database),
        TEST(a_deposed_adopter_harms_nobody),
        TEST(loads_do_not_wait_for_adoptions),
        TEST(rows_of_outgoing_messages_are_loaded),
        TEST(a_row_keeps_the_last_count),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
