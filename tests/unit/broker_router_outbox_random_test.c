/* Outgoing messages under a seeded mix of everything that can happen to them: the home of their
 * targets changes, connections are lost, slices are committed late or cut off, rows are read at one
 * moment and handed over at another, and homes are killed and begin anew with what the store has.
 * Each message is accepted once, after all that were told before between the same two entities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/random.h"
#include "tests/unit/outbox_bench.h"

enum { SEEDS = 60, STEPS = 1500, TOLD = 250, ENTITIES = 3, LOOKED_UP = 4096 };

typedef struct world {
    uint64_t random;
    home_t *home;
    bool there; /* the other broker is home of lane 1 */
    unsigned told;
    uint64_t ids; /* that the other broker has made */
    router_outgoing_load_t load;
    bool loading, loaded; /* rows of lane 0, or of lane 1: */
    uint32_t load_lane;
    outgoing_copy_t **rows;
    size_t row_count;
    bool rows_ended;
    const router_slice_t *slices[OUTBOX_LANES];
    const lane_batch_t *batches[OUTBOX_LANES];
} world_t;

static uint64_t pick(world_t *world, uint64_t max)
{
    return random_up_to(&world->random, max);
}

static bool chance(world_t *world, unsigned percent)
{
    return pick(world, 99) < percent;
}

static router_t *router_of(const world_t *world)
{
    return world->home->driver->router;
}

static uint64_t now_of(const world_t *world)
{
    return world->home->driver->now_ms;
}

static void pull(world_t *world)
{
    driver_pull(world->home->driver);
    driver_check(world->home->driver);
}

/* ---- acceptance ---- */

static bool is_pair(const store_outgoing_t *a, const store_outgoing_t *b)
{
    return fabric_bytes_equal(a->entity, b->entity) &&
           fabric_bytes_equal(a->source_entity, b->source_entity);
}

/* The first one between the two that was told before and is not accepted; NULL: there is none. */
static const lane_told_t *first_missing(const world_t *world, const lane_told_t *told)
{
    const lane_told_t *at = world->home->store.told;
    while (at != told && (at->lane != told->lane || at->accepted > 0 ||
                          !is_pair(&at->copy->message, &told->copy->message))) {
        at = at->next;
    }
    return at == told ? NULL : at;
}

static void accept(const world_t *world, lane_told_t *told, uint64_t id)
{
    assert_int_equal(told->accepted, 0);
    assert_null(first_missing(world, told));
    told->accepted = id;
}

/* The other broker has got the message. */
static void receive_there(world_t *world, const message_outgoing_t *message)
{
    lane_told_t *told =
        lane_told_find(world->home->store.told, message->source, (uint32_t)message->sequence - 1);
    assert_non_null(told);
    fabric_error_t error = FABRIC_OK;
    const lane_told_t *missing = told->accepted > 0 ? NULL : first_missing(world, told);
    if (!world->there) {
        error = FABRIC_ERROR_NOT_HOME;
    } else if (told->accepted > 0) {
        assert_true(message->flags & REQUEST_RESEND);
    } else if (missing) { /* only one of the same result can have been sent before */
        assert_true(missing->copy->message.key.id == message->floor && message->predecessor > 0);
        error = FABRIC_ERROR_PREDECESSOR_MISSING;
    } else if (chance(world, 20)) {
        error = FABRIC_ERROR_BUSY;
    } else {
        accept(world, told, message->floor + (1 << 24) + ++world->ids);
    }
    if (chance(world, 90)) {
        outbox_answer(world->home, message->source, message->sequence, error,
                      error ? 0 : told->accepted);
    }
}

static void receive_some(world_t *world)
{
    driver_t *driver = world->home->driver;
    for (uint64_t i = pick(world, 6); i > 0; i--) {
        if (driver_count(driver, "mesh", KIND_OUTGOING) == 0) {
            return;
        }
        message_outgoing_t message = driver_take(driver, "mesh", KIND_OUTGOING)->as.outgoing;
        if (chance(world, 90)) {
            receive_there(world, &message);
        }
    }
}

/* ---- the store ---- */

static void append(world_t *world, uint32_t lane)
{
    if (!world->batches[lane]) {
        world->batches[lane] = router_take_batch(router_of(world), lane, now_of(world));
        return;
    }
    const lane_batch_t *batch = world->batches[lane];
    world->batches[lane] = NULL;
    uint64_t entry = lane_model_append(&world->home->store, lane, batch);
    for (size_t i = 0; i < batch->message_count; i++) {
        const store_message_t *message = batch->messages[i];
        lane_told_t *told = lane_told_find(world->home->store.told, message->call.client,
                                           (uint32_t)message->call.sequence - 1);
        if (told) {
            accept(world, told, message->id.value);
        }
    }
    router_batch_done(router_of(world), lane, FABRIC_OK, entry, 100, now_of(world));
    pull(world);
}

static void checkpoint(world_t *world, uint32_t lane)
{
    const router_slice_t *slice = world->slices[lane];
    if (!slice) {
        world->slices[lane] = router_take_slice(router_of(world), lane, now_of(world));
        if (world->slices[lane] && chance(world, 30)) {
            lane_model_commit(&world->home->store, lane, &world->slices[lane]->slice);
        }
        return;
    }
    world->slices[lane] = NULL;
    home_settle_slice(world->home, lane, slice);
}

static void forget_load(world_t *world)
{
    if (world->rows) {
        outgoing_copies_clear(&world->rows, &world->row_count);
    }
    world->loading = world->loaded = false;
}

static void load(world_t *world)
{
    if (!world->loading) {
        world->load_lane = (uint32_t)pick(world, 1);
        world->loading = router_take_outgoing(router_of(world), world->load_lane, &world->load);
    } else if (!world->loaded) {
        world->load.limit = 1 + (uint32_t)pick(world, 5);
        world->rows = lane_told_load(world->home->store.told, world->load_lane, &world->load,
                                     &world->row_count, &world->rows_ended);
        world->loaded = true;
    } else if (chance(world, 20)) {
        outgoing_copies_clear(&world->rows, &world->row_count);
        router_outgoing_loaded(router_of(world), world->load_lane, FABRIC_ERROR_STORE_UNAVAILABLE,
                               NULL, 0, false, now_of(world));
        world->loading = world->loaded = false;
        pull(world);
    } else {
        router_outgoing_loaded(router_of(world), world->load_lane, FABRIC_OK, world->rows,
                               world->row_count, world->rows_ended, now_of(world));
        free((void *)world->rows);
        world->rows = NULL;
        world->row_count = 0;
        world->loading = world->loaded = false;
        pull(world);
    }
}

/* What the other broker has accepted is known to the next home. */
static void tell_accepted_there(const world_t *world, uint32_t lane, const lane_told_t *told)
{
    const store_outgoing_t *message = &told->copy->message;
    store_message_t stored = {
        .id = {told->accepted},
        .shard = message->shard,
        .flags = REQUEST_DURABLE | REQUEST_TELL,
        .type = message->type,
        .entity = message->entity,
        .tag = message->tag,
        .payload = message->payload,
        .call = {message->source.value, CALL_OUTGOING | (message->key.index + 1)}};
    store_reply_t reply = {.id = stored.id, .shard = stored.shard};
    driver_lookup_found(world->home->driver, lane, &stored, &reply);
}

static void look_up(world_t *world, uint32_t lane)
{
    router_lookup_t lookup;
    if (!router_take_lookup(router_of(world), lane, &lookup)) {
        return;
    }
    for (size_t i = 0; i < lookup.call_count; i++) {
        call_key_t call = lookup.calls[i];
        const lane_message_t *at = lane_model_find_call(&world->home->store, call);
        const lane_told_t *told =
            lane_told_find(world->home->store.told, call.client, (uint32_t)call.sequence - 1);
        if (at) {
            driver_lookup_found_at(world->home->driver, lane, &at->message->stored,
                                   at->ended > 0 ? &at->message->reply : NULL,
                                   at->message->position);
        } else if (told && told->accepted > 0) {
            tell_accepted_there(world, lane, told);
        }
    }
    router_lookup_done(router_of(world), lane, FABRIC_OK, (request_id_t){0}, now_of(world));
    pull(world);
}

/* ---- what happens ---- */

static void work(world_t *world)
{
    if (driver_count(world->home->driver, "w", KIND_DELIVER) == 0) {
        return;
    }
    const message_deliver_t *delivery = driver_delivery(world->home->driver, "w");
    const char *targets[4];
    size_t count = world->told < TOLD && chance(world, 70) ? pick(world, 4) : 0;
    for (size_t i = 0; i < count; i++) {
        targets[i] = outbox_entity((uint32_t)pick(world, 1), (unsigned)pick(world, ENTITIES - 1));
    }
    world->told += (unsigned)count;
    if (count > 0) {
        outbox_result(world->home, delivery, targets, count);
    } else {
        driver_result(world->home->driver, "w", delivery, STATUS_OK, FABRIC_OK);
    }
}

static void forget_actors(world_t *world)
{
    forget_load(world);
    for (uint32_t i = 0; i < OUTBOX_LANES; i++) {
        world->slices[i] = NULL;
        world->batches[i] = NULL;
    }
}

static void kill_home(world_t *world)
{
    forget_actors(world);
    home_kill(world->home);
    home_worker(world->home);
    world->home->next += 1000;
    world->there = false;
}

/* The store actors come to the ends of what they do for the lane, which is appended or not. */
static void leave_lane(world_t *world)
{
    if (world->batches[1] && chance(world, 50)) {
        append(world, 1);
    }
    driver_hold(world->home->driver, 1, 0);
    if (world->batches[1]) {
        world->batches[1] = NULL;
        router_batch_done(router_of(world), 1, FABRIC_ERROR_FENCED, 0, 0, now_of(world));
    }
    if (world->slices[1]) {
        world->slices[1] = NULL;
        router_slice_done(router_of(world), 1, FABRIC_ERROR_FENCED, now_of(world));
    }
    world->there = true;
    pull(world);
}

/* What is on its way to a broker that loses the lane is refused there. */
static void enter_lane(world_t *world)
{
    while (driver_count(world->home->driver, "mesh", KIND_OUTGOING) > 0) {
        (void)driver_take(world->home->driver, "mesh", KIND_OUTGOING);
    }
    world->there = false;
    home_adopt(world->home, 1);
    driver_desire(world->home->driver, 9);
}

static void pass(world_t *world)
{
    static const char *const peers[] = {"c", "w", NULL};
    driver_pass_alive(world->home->driver, 10 * (1 + pick(world, 30)), peers);
}

static void lose_connection(world_t *world)
{
    router_outgoing_lost(router_of(world), driver_incarnation(OUTBOX_THERE), now_of(world));
    pull(world);
}

static void step(world_t *world)
{
    uint32_t lane = (uint32_t)pick(world, 1);
    switch (pick(world, 15)) {
    case 0:
        if (world->told < TOLD) {
            uint32_t source = world->there ? 0 : lane;
            home_tell(world->home, outbox_entity(source, (unsigned)pick(world, ENTITIES - 1)), 1);
        }
        break;
    case 1:
    case 2:
        work(world);
        break;
    case 3:
    case 4:
    case 5:
        append(world, lane);
        break;
    case 6:
    case 7:
        checkpoint(world, lane);
        break;
    case 8:
    case 9:
        load(world);
        break;
    case 10:
        look_up(world, lane);
        break;
    case 11:
    case 12:
        receive_some(world);
        break;
    case 13:
        if (chance(world, 20)) {
            lose_connection(world);
        }
        (void)home_load(world->home, lane);
        break;
    case 14:
        if (chance(world, 30) && world->there) {
            enter_lane(world);
        } else if (chance(world, 15) && !world->there) {
            leave_lane(world);
        } else if (chance(world, 5)) {
            kill_home(world);
        }
        break;
    default:
        pass(world);
        break;
    }
}

/* ---- the end ---- */

static bool all_have_ended(const world_t *world)
{
    for (const lane_told_t *told = world->home->store.told; told; told = told->next) {
        if (told->ended == 0) {
            return false;
        }
    }
    return driver_count(world->home->driver, "w", KIND_DELIVER) == 0;
}

static void finish(world_t *world)
{
    world->told = TOLD;
    if (world->there) {
        enter_lane(world);
    }
    for (unsigned i = 0; i < 2000 && !all_have_ended(world); i++) {
        for (uint32_t lane = 0; lane < OUTBOX_LANES; lane++) {
            look_up(world, lane);
            append(world, lane);
            append(world, lane);
            checkpoint(world, lane);
            (void)home_load(world->home, lane);
        }
        for (unsigned k = 0; k < 3; k++) {
            load(world);
        }
        work(world);
        pass(world);
    }
    for (const lane_told_t *told = world->home->store.told; told; told = told->next) {
        assert_true(told->accepted > 0);
        assert_true(told->ended > 0);
        assert_null(told->dead);
        assert_int_equal(told->end.id.value, told->accepted);
    }
}

static void change(router_config_t *config)
{
    config->outgoing_window = 5;
    config->entity_window = 20;
}

static void check_seed(unsigned seed)
{
    world_t world = {.random = seed};
    world.home = outbox_open(change);
    world.there = true;
    for (unsigned i = 0; i < STEPS; i++) {
        step(&world);
    }
    finish(&world);
    forget_load(&world);
    outbox_close(&world.home);
}

static void each_message_is_accepted_once_and_in_order(void **state)
{
    (void)state;
    const char *only = getenv("SEED");
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        if (!only || (unsigned)atoi(only) == seed) {
            print_message("seed %u\n", seed);
            check_seed(seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_accepted_once_and_in_order),
    };
    return cmocka_run_group_tests_name("broker_router_outbox_random", tests, NULL, NULL);
}
