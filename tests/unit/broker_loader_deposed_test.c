/* An adopter that is deposed between two of its calls to the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/store/loader.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader_deposed"

enum { LANE = 1, FIRST = 100, MESSAGES = 4 };

static actor_world_t *world;
static sample_t sample;
static store_driver_t deposing_driver;

/* Another broker takes the lane, checkpoints it, and purges what it can. */
static void depose(void)
{
    static const store_purge_t all = {
        .before = UINT64_MAX, .created_before_ms = INT64_MAX, .entries_max = 1000};
    store_purged_t purged;
    store_hold_t other = world_assign(world, LANE, world_other);
    (void)world_take(world, &other);
    world_write_slice(world, &other, &sample, 0, MESSAGES, 0, 0, true);
    assert_int_equal(world->store->driver->purge(world->store, &other, &all, &purged), FABRIC_OK);
    assert_true(purged.entries > 0);
}

static fabric_error_t take_and_lose(store_t *store, const store_hold_t *hold,
                                    const store_entry_t *entry)
{
    fabric_error_t error = memory_store_driver.lane_take(store, hold, entry);
    depose();
    return error;
}

static fabric_error_t lose_and_count(store_t *store, uint32_t lane, store_visit_backlog_fn *visit,
                                     void *context)
{
    depose();
    return memory_store_driver.list_backlogs(store, lane, visit, context);
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

static loader_t open_loader(void)
{
    static const store_driver_t *const drivers[] = {&deposing_driver, NULL};
    loader_t loader;
    deposing_driver.open = open_deposing;
    world->connection.drivers = drivers;
    loader_config_t config = {.connection = world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = 1 << 20};
    loader_init(&loader, &config, &world->world);
    return loader;
}

static void adopt_and_be_deposed(void)
{
    world = world_new(DATABASE);
    sample_fill(&sample, LANE, FIRST);
    store_hold_t before = world_assign(world, LANE, world_other);
    (void)world_take(world, &before);
    lane_batch_t batch = sample_messages(&sample, 0, MESSAGES);
    (void)world_append(world, &before, &batch);
    loader_t loader = open_loader();
    store_hold_t own = world_assign(world, LANE, world_self);
    adoption_t adoption = {0};
    loader_fault_t fault;
    assert_int_equal(loader_adopt(&loader, &own, &adoption, &fault), FABRIC_ERROR_FENCED);
    loader_clear(&loader);
    world_free(&world);
}

/* What a successor has purged is not lost. */
static void an_adopter_that_is_deposed_is_fenced(void **state)
{
    (void)state;
    deposing_driver = memory_store_driver;
    deposing_driver.lane_take = take_and_lose;
    adopt_and_be_deposed();
}

/* The rows that are counted are not those of the journal that was read. */
static void rows_of_a_successor_are_not_adopted(void **state)
{
    (void)state;
    deposing_driver = memory_store_driver;
    deposing_driver.list_backlogs = lose_and_count;
    adopt_and_be_deposed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_adopter_that_is_deposed_is_fenced),
                                       cmocka_unit_test(rows_of_a_successor_are_not_adopted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
