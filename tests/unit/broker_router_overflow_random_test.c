/* Checkpoints, overflow and loads under a seeded mix of everything that can happen to them: slices
 * are committed late, repeatedly or never, rows are read at one moment and handed over at another,
 * workers come and go, and homes are killed and begin anew with what the store has. The model of
 * the lanes checks each entry and each slice; this file checks deliveries, answers and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/primary_key.h"
#include "core/random.h"
#include "tests/unit/random_cancels.h"
#include "tests/unit/lane_actors.h"
#include "tests/unit/router_driver.h"

enum { STEPS = 3000, SEEDS = 60, LANES = 2, ENTITIES = 6, CALLS = 8192, HELD = 1024 };

/* What the test knows of a call of this home. */
typedef struct call {
    bool waits;   /* an answer is to come */
    bool replied; /* it came */
    bool tell;
    unsigned entity;
    unsigned key; /* of its primary key, of which each entity has a few; 0: none */
    int64_t deliver_at_ms;
} call_t;

enum { CLEAR = INT32_MAX /* sequence of the query */ };

static uint64_t cancelled;

typedef struct world {
    uint64_t random;
    router_config_t config;
    driver_t *driver;
    lane_model_t store;
    lane_actors_t actors[LANES];
    uint64_t epoch;
    uint64_t next; /* sequence of the client's next call */
    uint64_t settled;
    call_t calls[CALLS];
    message_deliver_t held[HELD]; /* deliveries with the worker, in order */
    size_t held_count;
    uint64_t broken[ENTITIES]; /* activation that a defect has ended */
    uint64_t activation[ENTITIES], delivered[ENTITIES];
    random_cancels_t cancels;
    unsigned worker; /* its number; 0: nobody owns the shards */
    unsigned homes;
    unsigned keyed; /* percent of the calls that have primary keys */
} world_t;

static uint64_t pick(world_t *world, uint64_t max)
{
    return random_up_to(&world->random, max);
}

static bool chance(world_t *world, unsigned percent)
{
    return pick(world, 99) < percent;
}

/* ---- what the router sends ---- */

static unsigned entity_of(fabric_bytes_t id)
{
    return (unsigned)(id.data[1] - '0');
}

static void take_deliveries(world_t *world)
{
    while (driver_count(world->driver, "w", KIND_DELIVER) > 0) {
        const message_deliver_t *deliver = driver_delivery(world->driver, "w");
        const lane_message_t *at = lane_model_find(&world->store, deliver->request_id);
        assert_non_null(at);                        /* it is durable */
        assert_true(at->ended == 0 || at->cleared); /* the home may not know of the clear yet */
        unsigned entity = entity_of(deliver->id);
        assert_true(fabric_bytes_equal(deliver->payload, at->message->stored.payload));
        assert_true(deliver->activation >= world->activation[entity]);
        if (deliver->activation > world->activation[entity]) {
            world->activation[entity] = deliver->activation;
            world->delivered[entity] = 0;
        }
        assert_true(at->message->position > world->delivered[entity]); /* once, and in order */
        world->delivered[entity] = at->message->position;
        assert_true(at->message->stored.deliver_at_ms <= driver_unix_ms(world->driver));
        assert_true(world->held_count < HELD);
        world->held[world->held_count++] = *deliver;
    }
}

/* The message of the call, or of the call whose primary key it has. */
static const lane_message_t *message_of_call(const world_t *world, uint64_t sequence)
{
    const call_t *call = &world->calls[sequence];
    const lane_message_t *at = lane_model_find_call(&world->store, (call_key_t){1, sequence});
    if (at || call->key == 0) {
        return at;
    }
    uint8_t hash[STORE_KEY_BYTES];
    char id[3] = {'e', (char)('0' + call->entity), 0};
    store_message_t message = {.type = fabric_bytes_of("Counter"),
                               .entity = fabric_bytes_of(id),
                               .tag = fabric_bytes_of("Add")};
    primary_key_hash(&message, fabric_bytes(&call->key, sizeof call->key), hash);
    return lane_model_find_key(&world->store, hash);
}

/* The call's own message, or one with its primary key: not the last one, where its entity was
 * cleared in between. */
static const lane_message_t *message_of_answer(const world_t *world, uint64_t sequence, uint64_t id)
{
    const lane_message_t *at = lane_model_find(&world->store, id);
    const lane_message_t *own = lane_model_find_call(&world->store, (call_key_t){1, sequence});
    assert_non_null(at);
    assert_true(own ? own == at : world->calls[sequence].key > 0);
    assert_int_equal(entity_of(at->message->stored.entity), world->calls[sequence].entity);
    return at;
}

static void take_answers(world_t *world)
{
    while (driver_count(world->driver, "c", KIND_ANSWER) > 0) {
        const message_answer_t *answer = &driver_take(world->driver, "c", KIND_ANSWER)->as.answer;
        if (answer->sequence != CLEAR) {
            cancelled += random_cancels_check(&world->cancels, &world->store, answer, LANES);
        }
    }
    while (driver_count(world->driver, "c", KIND_REPLY) > 0) {
        const message_reply_t *reply = &driver_take(world->driver, "c", KIND_REPLY)->as.reply;
        const lane_message_t *at = message_of_answer(world, reply->sequence, reply->request_id);
        assert_true(at->ended > 0);
        assert_int_equal(reply->status, at->message->reply.status);
        call_t *call = &world->calls[reply->sequence];
        call->replied = true;
        call->waits = false;
    }
    while (driver_count(world->driver, "c", KIND_REJECTED) > 0) {
        const message_rejected_t *rejected =
            &driver_take(world->driver, "c", KIND_REJECTED)->as.rejected;
        world->calls[rejected->sequence].waits = false;
    }
    while (driver_count(world->driver, "c", KIND_REDIRECT) > 0) {
        const message_redirect_t *redirect =
            &driver_take(world->driver, "c", KIND_REDIRECT)->as.redirect;
        world->calls[redirect->sequence].waits = false;
    }
    while (driver_count(world->driver, "c", KIND_ACCEPTED) > 0) {
        const message_accepted_t *accepted =
            &driver_take(world->driver, "c", KIND_ACCEPTED)->as.accepted;
        (void)message_of_answer(world, accepted->sequence, accepted->request_id);
    }
}

static void give_back(world_t *world)
{
    while (driver_count(world->driver, "w", KIND_RELEASE) > 0) {
        const message_release_t *release =
            &driver_take(world->driver, "w", KIND_RELEASE)->as.release;
        size_t kept = 0;
        for (size_t i = 0; i < world->held_count; i++) {
            if (world->held[i].shard != release->shard) {
                world->held[kept++] = world->held[i];
            }
        }
        world->held_count = kept;
        message_released_t released = {.shard = release->shard,
                                       .home_epoch = release->home_epoch,
                                       .owner_sequence = release->owner_sequence};
        driver_send(world->driver, "w", released, &released);
    }
}

static void look(world_t *world)
{
    take_deliveries(world);
    take_answers(world);
    give_back(world);
    driver_check(world->driver);
}

/* ---- the client and the worker ---- */

static void send_call(world_t *world, uint64_t sequence, unsigned entity, uint64_t flags,
                      int64_t deliver_at_ms)
{
    char id[3] = {'e', (char)('0' + entity), 0};
    uint8_t payload[] = {0x92, 0xa2, 'a', 'b', (uint8_t)(sequence % 128)};
    message_request_t request = driver_request(sequence, id, REQUEST_DURABLE | flags);
    request.payload = fabric_bytes(payload, sizeof payload);
    request.floor = flags & REQUEST_RESEND ? 0 : world->driver->heard_id;
    request.deliver_at_ms = (uint64_t)deliver_at_ms;
    const call_t *call = &world->calls[sequence];
    if (call->key > 0) {
        request.primary_key = fabric_bytes(&call->key, sizeof call->key);
    }
    driver_send_settling(world->driver, "c", world->settled, request, &request);
}

/* Of a new call: some are due at different times, some at the same, and some have been. */
static int64_t choose_time(world_t *world)
{
    int64_t now_ms = driver_unix_ms(world->driver);
    int64_t later_ms = now_ms + (int64_t)pick(world, 1000) - 20;
    return chance(world, 70) ? 0 : chance(world, 50) ? later_ms : later_ms / 1000 * 1000;
}

/* The client settles on what it does not wait for, from the oldest call on. */
static void settle(world_t *world)
{
    while (world->settled < world->next && !world->calls[world->settled].waits) {
        world->settled++;
    }
}

static void ask(world_t *world)
{
    settle(world);
    unsigned burst = (unsigned)pick(world, chance(world, 10) ? 40 : 3);
    for (unsigned i = 0; i < burst && world->next < CALLS; i++) {
        unsigned entity = chance(world, 50) ? 0 : (unsigned)pick(world, ENTITIES - 1);
        bool tell = chance(world, 50);
        world->calls[world->next] = (call_t){.waits = !tell, .tell = tell, .entity = entity};
        if (chance(world, world->keyed)) {
            world->calls[world->next].key = 1 + (unsigned)pick(world, 30 + world->next / 8);
        }
        int64_t deliver_at_ms = choose_time(world);
        world->calls[world->next].deliver_at_ms = deliver_at_ms;
        send_call(world, world->next++, entity, tell ? REQUEST_TELL | REQUEST_WANT_ACCEPTED : 0,
                  deliver_at_ms);
    }
}

/* The client asks again for what is stored and has not been answered. */
static void ask_again(world_t *world)
{
    for (uint64_t sequence = world->settled; sequence < world->next; sequence++) {
        call_t *call = &world->calls[sequence];
        if (call->waits || call->replied || call->tell || !chance(world, 20) ||
            !message_of_call(world, sequence)) {
            continue;
        }
        call->waits = true;
        send_call(world, sequence, call->entity, REQUEST_RESEND, call->deliver_at_ms);
    }
}

static void answer(world_t *world, const message_deliver_t *deliver)
{
    unsigned entity = entity_of(deliver->id);
    if (world->broken[entity] == deliver->activation) {
        driver_result(world->driver, "w", deliver, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    } else if (chance(world, 6)) {
        world->broken[entity] = deliver->activation;
        driver_result(world->driver, "w", deliver, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    } else if (chance(world, 3)) {
        driver_result(world->driver, "w", deliver, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    } else {
        driver_result(world->driver, "w", deliver, STATUS_OK, FABRIC_OK);
    }
}

static void work(world_t *world, size_t count)
{
    while (count-- > 0 && world->held_count > 0) {
        message_deliver_t deliver = world->held[0];
        world->held_count--;
        memmove(world->held, world->held + 1, world->held_count * sizeof *world->held);
        answer(world, &deliver);
    }
}

static void clear(world_t *world)
{
    char id[3] = {'e', (char)('0' + pick(world, ENTITIES - 1)), 0};
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {.sequence = CLEAR,
                             .name = fabric_bytes_of("clear"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(world->driver, "c", query, &query);
    wire_writer_destroy(&argument);
}

static void change_owner(world_t *world)
{
    world->worker = world->worker ? 0 : 9;
    driver_desire(world->driver, world->worker);
}

/* ---- the store actors ---- */

static void append(world_t *world, uint32_t lane)
{
    lane_actors_t *actors = &world->actors[lane];
    if (!actors->batch) {
        actors->batch = router_take_batch(world->driver->router, lane, world->driver->now_ms);
    } else if (!actors->appended) {
        actors->appended = lane_model_append(&world->store, lane, actors->batch);
    } else {
        uint64_t entry = actors->appended;
        actors->batch = NULL;
        actors->appended = 0;
        router_batch_done(world->driver->router, lane, FABRIC_OK, entry,
                          world->store.rows[lane].entry_bytes, world->driver->now_ms);
    }
}

static void checkpoint(world_t *world, uint32_t lane)
{
    lane_actors_t *actors = &world->actors[lane];
    if (!actors->slice) {
        actors->slice = router_take_slice(world->driver->router, lane, world->driver->now_ms);
        actors->digest = actors->slice ? lane_model_digest(&actors->slice->slice) : 0;
        return;
    }
    assert_true(actors->digest == lane_model_digest(&actors->slice->slice)); /* constant */
    if (!actors->committed || chance(world, 20)) {
        lane_model_commit(&world->store, lane, &actors->slice->slice);
        actors->committed = true;
    } else {
        actors->slice = NULL;
        actors->committed = false;
        router_slice_done(world->driver->router, lane, FABRIC_OK, world->driver->now_ms);
    }
}

/* ---- homes ---- */

static void adopt(world_t *world, uint32_t lane)
{
    store_hold_t hold = {lane, world->config.incarnation, ++world->epoch};
    driver_hold(world->driver, lane, hold.epoch);
    adoption_t adoption;
    lane_model_adopt(&world->store, &hold, &adoption);
    router_adopted(world->driver->router, &adoption, world->driver->now_ms);
    driver_pull(world->driver);
    assert_null(adoption.messages);
}

static void begin_home(world_t *world)
{
    world->homes++;
    world->config.high_id = 0;
    for (uint32_t i = 0; i < LANES; i++) {
        uint64_t last_id = world->store.rows[i].last_id;
        world->config.high_id = last_id > world->config.high_id ? last_id : world->config.high_id;
    }
    world->driver = driver_new(&world->config);
    for (uint32_t i = 0; i < LANES; i++) {
        adopt(world, i);
    }
    router_lease(world->driver->router, UINT64_MAX, UINT64_MAX);
    driver_client(world->driver, "c", 1);
    world->worker = 9;
    driver_worker(world->driver, "w", 9);
}

/* The home is killed, and so is what it has given to the store actors: some of it is durable. */
static void end_home(world_t *world)
{
    for (uint32_t i = 0; i < LANES; i++) {
        lane_actors_t *actors = &world->actors[i];
        if (actors->batch && !actors->appended && chance(world, 50)) {
            lane_model_append(&world->store, i, actors->batch);
        }
        if (actors->slice && chance(world, 50)) {
            lane_model_commit(&world->store, i, &actors->slice->slice);
        }
        message_chain_destroy(&actors->rows);
        message_chain_destroy(&actors->scheduled_rows);
        message_chain_destroy(&actors->searched_rows);
        *actors = (lane_actors_t){.random = &world->random};
    }
    world->config.store_now_ms = driver_unix_ms(world->driver); /* the next home's clock goes on */
    driver_close(&world->driver);
    for (uint64_t i = 0; i < world->next; i++) {
        world->calls[i].waits = false;
    }
    world->held_count = 0;
    memset(world->activation, 0, sizeof world->activation);
    memset(world->delivered, 0, sizeof world->delivered);
    memset(world->broken, 0, sizeof world->broken);
}

static void forget_lane(world_t *world, uint32_t lane)
{
    size_t kept = 0;
    for (size_t i = 0; i < world->held_count; i++) {
        if ((world->held[i].shard & 0xffff) % LANES != lane) {
            world->held[kept++] = world->held[i];
        }
    }
    world->held_count = kept;
}

/* The lane is dropped, and held again under a new epoch. What was taken under the old one is
 * durable by then, or never. */
static void lose_lane(world_t *world)
{
    uint32_t lane = (uint32_t)pick(world, LANES - 1);
    lane_actors_t *actors = &world->actors[lane];
    if (actors->batch && !actors->appended && chance(world, 50)) {
        actors->appended = lane_model_append(&world->store, lane, actors->batch);
    }
    if (actors->slice && !actors->committed && chance(world, 50)) {
        lane_model_commit(&world->store, lane, &actors->slice->slice);
    }
    bool durable = actors->appended > 0;
    driver_hold(world->driver, lane, 0);
    look(world);
    bool late = chance(world, 50); /* its answers come after the adoption */
    if (late) {
        adopt(world, lane);
    }
    if (actors->batch) {
        router_batch_done(world->driver->router, lane, durable ? FABRIC_OK : FABRIC_ERROR_FENCED,
                          actors->appended, 100, world->driver->now_ms);
    }
    if (actors->slice) {
        router_slice_done(world->driver->router, lane,
                          actors->committed ? FABRIC_OK : FABRIC_ERROR_FENCED,
                          world->driver->now_ms);
    }
    if (actors->loading) {
        router_loaded(world->driver->router, lane, FABRIC_OK, actors->rows, actors->done,
                      world->driver->now_ms);
        actors->rows = NULL;
    }
    if (actors->loading_scheduled) {
        router_scheduled_loaded(world->driver->router, lane, FABRIC_OK, actors->scheduled_rows,
                                actors->scheduled_ended, world->driver->now_ms);
        actors->scheduled_rows = NULL;
    }
    if (actors->searching) {
        router_searched(world->driver->router, lane, FABRIC_OK, actors->searched_rows,
                        world->driver->now_ms);
        actors->searched_rows = NULL;
    }
    if (actors->looking) {
        router_lookup_done(world->driver->router, lane, FABRIC_OK, (request_id_t){0},
                           world->driver->now_ms);
    }
    *actors = (lane_actors_t){.random = &world->random};
    forget_lane(world, lane);
    if (!late) {
        adopt(world, lane);
    }
    driver_desire(world->driver, world->worker);
}

/* ---- runs ---- */

static void store_step(world_t *world)
{
    uint32_t lane = (uint32_t)pick(world, LANES - 1);
    switch (pick(world, 5)) {
    case 0:
        append(world, lane);
        break;
    case 1:
        checkpoint(world, lane);
        break;
    case 2:
        lane_actors_load(&world->actors[lane], world->driver, &world->store, lane);
        break;
    case 3:
        lane_actors_load_scheduled(&world->actors[lane], world->driver, &world->store, lane);
        break;
    case 4:
        lane_actors_search(&world->actors[lane], world->driver, &world->store, lane);
        break;
    default:
        lane_actors_look_up(&world->actors[lane], world->driver, &world->store, lane);
        break;
    }
    if (chance(world, 20)) {
        (void)router_go_on(world->driver->router, world->driver->now_ms);
    }
    driver_pull(world->driver);
}

static void pass(world_t *world, uint64_t ms)
{
    static const char *const peers[] = {"c", "w", NULL};
    driver_pass_alive(world->driver, ms, peers);
}

static void step(world_t *world)
{
    unsigned what = (unsigned)pick(world, 999);
    if (what < 80) {
        ask(world);
    } else if (what < 110) {
        ask_again(world);
    } else if (what < 250) {
        work(world, pick(world, 8));
    } else if (what < 260) {
        change_owner(world);
    } else if (what < 300) {
        pass(world, 10 * pick(world, 5));
    } else if (what < 303) {
        end_home(world);
        begin_home(world);
    } else if (what < 307) {
        lose_lane(world);
    } else if (what < 313) {
        clear(world);
    } else if (what < 346) {
        random_cancels_send(&world->cancels, world->driver, &world->store, &world->random);
    } else {
        store_step(world);
    }
    look(world);
}

static void make_config(world_t *world)
{
    router_config_t *config = &world->config;
    driver_config(config);
    config->lanes = LANES;
    world->keyed = (unsigned[]){0, 30, 90}[pick(world, 2)];
    config->entity_window = (uint32_t[]){1, 4, 20}[pick(world, 2)];
    config->schedule_window = (uint32_t[]){1, 4, 20}[pick(world, 2)];
    config->slice_rows_max = (uint32_t[]){2, 5, 5000}[pick(world, 2)];
    config->checkpoint_ms = (uint32_t[]){10, 50, 200}[pick(world, 2)];
    config->memory_bytes_max = chance(world, 30) ? 600000 : UINT64_C(1) << 30;
    config->client_heartbeat_ms = config->worker_heartbeat_ms = config->lease_ms = 100000;
    config->backoff_ms = config->backoff_max_ms = 20;
    config->checkpoint_bytes = chance(world, 50) ? 1000 : UINT64_C(64) << 20;
    config->checkpoint_bytes_max = chance(world, 30) ? 3000 : UINT64_C(256) << 20;
}

/* Everything goes on until nothing is left to be done. */
static void calm_down(world_t *world)
{
    if (world->worker == 0) {
        change_owner(world);
    }
    for (int i = 0; i < 20000; i++) {
        work(world, HELD);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            append(world, lane);
            checkpoint(world, lane);
            lane_actors_load(&world->actors[lane], world->driver, &world->store, lane);
            lane_actors_load_scheduled(&world->actors[lane], world->driver, &world->store, lane);
            lane_actors_look_up(&world->actors[lane], world->driver, &world->store, lane);
            lane_actors_search(&world->actors[lane], world->driver, &world->store, lane);
        }
        (void)router_go_on(world->driver->router, world->driver->now_ms);
        driver_pull(world->driver);
        if (i % 10 == 0) {
            pass(world, 10);
        }
        look(world);
        if (i % 100 == 99 && lane_model_standing(&world->store) == 0 &&
            lane_model_row_count(&world->store) == 0) {
            return;
        }
    }
    print_message("%d stand, %d rows\n", (int)lane_model_standing(&world->store),
                  (int)lane_model_row_count(&world->store));
    fail();
}

/* Nobody handles anything: once all is checkpointed, memory has no more than its windows. */
static void fill_up(world_t *world)
{
    if (world->worker != 0) {
        change_owner(world);
    }
    for (int i = 0; i < 3000; i++) {
        if (i < 30) {
            ask(world);
        }
        for (uint32_t lane = 0; lane < LANES; lane++) {
            append(world, lane);
            checkpoint(world, lane);
            lane_actors_load(&world->actors[lane], world->driver, &world->store, lane);
            lane_actors_load_scheduled(&world->actors[lane], world->driver, &world->store, lane);
        }
        (void)router_go_on(world->driver->router, world->driver->now_ms);
        driver_pull(world->driver);
        pass(world, i % 10 == 0 ? 10 : 0);
        look(world);
    }
    router_counters_t counters = driver_counters(world->driver);
    uint64_t standing = lane_model_standing(&world->store);
    /* Of cleared entities that have a queue, more is counted until their backlogs are read. */
    assert_true(counters.pending == standing ||
                (world->store.clear_count > 0 && counters.pending > standing));
    uint64_t bound = UINT64_C(1) * ENTITIES * world->config.entity_window +
                     UINT64_C(4) * LANES * world->config.schedule_window;
    assert_true(counters.pending - counters.stored <= bound);
}

static uint64_t stored_most, loaded, kills, moves, scheduled;

static void run(uint64_t seed)
{
    world_t *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 5;
    make_config(world);
    lane_model_init(&world->store, LANES, world->config.slice_rows_max);
    world->next = world->settled = 1;
    for (uint32_t i = 0; i < LANES; i++) {
        world->actors[i].random = &world->random;
    }
    begin_home(world);
    for (int i = 0; i < STEPS; i++) {
        step(world);
        uint64_t stored = driver_counters(world->driver).stored;
        stored_most = stored > stored_most ? stored : stored_most;
    }
    if (seed % 3 == 0) {
        fill_up(world);
    }
    calm_down(world);
    for (uint64_t i = 1; i < world->next; i++) { /* who waits for what is stored got an answer */
        assert_false(world->calls[i].waits && message_of_call(world, i));
    }
    router_counters_t counters = driver_counters(world->driver);
    assert_int_equal(counters.pending, 0);
    assert_int_equal(counters.stored, 0);
    loaded += counters.loaded;
    moves += world->store.moves;
    scheduled += world->store.scheduled;
    assert_int_equal(counters.scheduled, 0);
    kills += world->homes - 1;
    driver_close(&world->driver);
    for (uint32_t i = 0; i < LANES; i++) {
        message_chain_destroy(&world->actors[i].rows);
        message_chain_destroy(&world->actors[i].scheduled_rows);
        message_chain_destroy(&world->actors[i].searched_rows);
    }
    lane_model_clear(&world->store);
    free(world);
}

/* The seed that is being run: printed when the test fails. ROUTER_SEED=n runs only seed n. */
static uint64_t running;

static void whatever_happens_rows_and_journal_tell_what_stands(void **state)
{
    (void)state;
    const char *only = getenv("ROUTER_SEED");
    if (only) {
        running = strtoull(only, NULL, 10);
        run(running);
        return;
    }
    for (running = 1; running <= SEEDS; running++) {
        run(running);
    }
    assert_true(stored_most > 50 && loaded > 100 && kills > 10);
    assert_true(moves > 1000 && scheduled > 1000 && cancelled > 1000);
}

static int print_seed(void **state)
{
    (void)state;
    if (running <= SEEDS) {
        print_message("last seed: %d\n", (int)running);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(whatever_happens_rows_and_journal_tell_what_stands, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
