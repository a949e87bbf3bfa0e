/* The store and the coordinator around the models, and what may happen to all of them: see
 * router_model.h. */
#include "tests/unit/router_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

/* ---- store and coordinator ---- */

static model_foreign_t *foreign_call(model_t *model, call_key_t key)
{
    for (size_t i = 0; i < model->foreign_count; i++) {
        call_key_t call = model->foreign[i].message->stored.call;
        if (call.client == key.client && call.sequence == key.sequence) {
            return &model->foreign[i];
        }
    }
    return NULL;
}

static model_foreign_t *foreign_row(model_t *model, uint64_t id)
{
    for (size_t i = 0; i < model->foreign_count; i++) {
        if (model->foreign[i].message->stored.id.value == id) {
            return &model->foreign[i];
        }
    }
    return NULL;
}

static void store_foreign_row(model_t *model, const store_message_t *message)
{
    assert_null(foreign_call(model, message->call)); /* accepted once */
    assert_true(model->foreign_count < FOREIGN_MAX);
    model->foreign[model->foreign_count++] = (model_foreign_t){.message = message_new(message)};
}

static void store_message_row(model_t *model, const store_message_t *message)
{
    model->accepted++;
    if (message->call.client > CLIENTS) {
        store_foreign_row(model, message);
        return;
    }
    model_call_t *call = model_call(model, message->call.client, message->call.sequence);
    assert_int_equal(call->id, 0); /* accepted once */
    call->id = message->id.value;
    call->shard = message->shard;
    const model_client_t *client = &model->clients[message->call.client - 1];
    for (uint64_t i = 1; i < client->next; i++) {
        const model_call_t *other = &client->calls[i];
        if (other->id && other->entity == call->entity) { /* I7 */
            assert_int_equal(i < message->call.sequence, other->id < call->id);
        }
    }
}

static void store_end(model_t *model, const batch_end_t *end)
{
    model_call_t *call = model_row(model, end->message->id.value);
    model_foreign_t *foreign = foreign_row(model, end->message->id.value);
    assert_true(call || foreign);
    if (!call) {
        assert_false(foreign->ended); /* I5 */
        foreign->ended = true;
        return;
    }
    assert_false(call->ended); /* I5 */
    assert_true(call->sound || end->reply->status == STATUS_DEFECT);
    call->ended = true;
    call->reply = *end->reply;
    call->reply.payload = fabric_bytes_of("reply");
    uint64_t *ended = &model->ended[call->entity];
    assert_true(call->id > *ended);
    *ended = call->id;
}

static void store_batch(model_t *model, uint32_t lane, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->message_count; i++) {
        assert_true(batch->messages[i]->id.value > model->newest_id[lane]);
        model->newest_id[lane] = batch->messages[i]->id.value;
        store_message_row(model, batch->messages[i]);
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        uint64_t id = batch->attempts[i].message->id.value;
        model_call_t *call = model_row(model, id);
        model_foreign_t *foreign = foreign_row(model, id);
        assert_true(call || foreign);
        if (!call) {
            foreign->counts = batch->attempts[i].attempts;
        } else {
            assert_true(batch->attempts[i].attempts.crashes >= call->counts.crashes);
            call->counts = batch->attempts[i].attempts;
            assert_true(call->counts.crashes <= call->ends);
        }
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        store_end(model, &batch->ends[i]);
    }
}

/* The message of a call that the store has. */
static message_t *row_of(const model_call_t *call, call_key_t key)
{
    char id[8];
    snprintf(id, sizeof id, "e%u", call->entity);
    message_request_t request =
        driver_request(key.sequence, id, REQUEST_DURABLE | (call->tell ? REQUEST_TELL : 0u));
    message_t *message = message_new(&(store_message_t){.id = {call->id},
                                                        .shard = call->shard,
                                                        .flags = (uint32_t)request.flags,
                                                        .type = request.type,
                                                        .entity = request.id,
                                                        .tag = request.tag,
                                                        .payload = request.payload,
                                                        .call = key});
    message->attempts = call->counts.attempts;
    message->crashes = call->counts.crashes;
    return message;
}

/* What the store has of a call now. */
static model_seen_t look(model_t *model, call_key_t key)
{
    if (key.client > CLIENTS) {
        const model_foreign_t *row = foreign_call(model, key);
        return row ? (model_seen_t){row->message->stored.id.value, row->ended} : (model_seen_t){0};
    }
    const model_call_t *call = model_call(model, key.client, key.sequence);
    return (model_seen_t){call->id, call->ended};
}

/* A look-up reads at some time between its beginning and its end. */
static void lookup_read(model_t *model, uint32_t lane)
{
    const router_lookup_t *lookup = &model->lookups[lane];
    free(model->seen[lane]);
    model->seen[lane] = calloc(lookup->call_count, sizeof(model_seen_t));
    assert_non_null(model->seen[lane]);
    for (size_t i = 0; i < lookup->call_count; i++) {
        model->seen[lane][i] = look(model, lookup->calls[i]);
    }
}

/* Tells the router of a call that the store has. */
static void lookup_call(model_t *model, uint32_t lane, call_key_t key, model_seen_t seen)
{
    if (key.client > CLIENTS) {
        const store_message_t *row = &foreign_call(model, key)->message->stored;
        store_reply_t reply = {.id = row->id, .shard = row->shard};
        if (row->id.value > model->lookups[lane].floor.value) {
            driver_lookup_found(model->driver, lane, row, seen.ended ? &reply : NULL);
        }
        return;
    }
    const model_call_t *call = model_call(model, key.client, key.sequence);
    message_t *row = row_of(call, key);
    assert_true(call->id > model->lookups[lane].floor.value);
    driver_lookup_found(model->driver, lane, &row->stored, seen.ended ? &call->reply : NULL);
    message_destroy(&row);
}

static void lookup_begin(model_t *model, uint32_t lane)
{
    model->lookup_running[lane] =
        router_take_lookup(model->driver->router, lane, &model->lookups[lane]);
    if (model->lookup_running[lane]) {
        lookup_read(model, lane);
    }
}

static void lookup_end(model_t *model, uint32_t lane)
{
    const router_lookup_t *lookup = &model->lookups[lane];
    fabric_error_t error =
        !model->calm && model_pick(model, 8) == 0 ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK;
    if (model_pick(model, 2) == 0) {
        lookup_read(model, lane);
    }
    for (size_t i = 0; i < lookup->call_count; i++) {
        call_key_t key = lookup->calls[i];
        bool same = i > 0 && lookup->calls[i - 1].client == key.client &&
                    lookup->calls[i - 1].sequence == key.sequence;
        if (!same && model->seen[lane][i].id) {
            lookup_call(model, lane, key, model->seen[lane][i]);
        }
    }
    model->lookup_running[lane] = false;
    router_lookup_done(model->driver->router, lane, error, lookup->floor, model->driver->now_ms);
    driver_pull(model->driver);
}

/* ---- lanes ---- */

/* The lane gets another holder while the router may still wait for the answer to a batch. Then it
 * is decided whether the batch was stored. */
static void lose_lane(model_t *model, uint32_t lane)
{
    driver_t *driver = model->driver;
    const lane_batch_t *batch = driver->batch[lane];
    if (batch && model->orphans[lane] == ORPHAN_NONE) {
        model->orphans[lane] = model_pick(model, 2) ? ORPHAN_LANDED : ORPHAN_LOST;
        if (model->orphans[lane] == ORPHAN_LANDED) {
            store_batch(model, lane, batch);
            model->accepted_unseen += batch->message_count;
            model->ended_unseen += batch->end_count;
        }
    }
    model->drops++;
    if (batch && model->orphans[lane] == ORPHAN_LOST && model_pick(model, 2) == 0) {
        driver->epochs[lane] = 0;
        model->orphans[lane] = ORPHAN_NONE;
        driver_batch_fenced(driver, lane); /* the appender notices it first */
    } else {
        driver_hold(driver, lane, 0);
    }
}

static void put_by_position(message_t **chain, message_t *message)
{
    while (*chain && (*chain)->position < message->position) {
        chain = &(*chain)->chain;
    }
    message->chain = *chain;
    *chain = message;
}

/* The router's broker holds the lane again, and what stands in the lane is loaded. */
static void regain_lane(model_t *model, uint32_t lane)
{
    driver_t *driver = model->driver;
    store_hold_t hold;
    message_t *chain = NULL;
    for (unsigned c = 0; c < CLIENTS; c++) {
        for (uint64_t i = 1; i < model->clients[c].next; i++) {
            const model_call_t *call = &model->clients[c].calls[i];
            if (call->id && !call->ended && shard_id_number(call->shard) % LANES == lane) {
                put_by_position(&chain, row_of(call, (call_key_t){c + 1, i}));
            }
        }
    }
    for (size_t i = 0; i < model->foreign_count; i++) {
        const model_foreign_t *foreign = &model->foreign[i];
        if (!foreign->ended && shard_id_number(foreign->message->stored.shard) % LANES == lane) {
            message_t *message = message_new(&foreign->message->stored);
            message->attempts = foreign->counts.attempts;
            message->crashes = foreign->counts.crashes;
            put_by_position(&chain, message);
        }
    }
    driver_hold(driver, lane, ++model->epochs[lane]);
    assert_true(router_next_adoption(driver->router, &hold));
    assert_int_equal(hold.lane, lane);
    assert_int_equal(hold.epoch, model->epochs[lane]);
    driver_adopt(driver, lane, chain, model->newest_id[lane]);
}

/* The answer to a batch whose lane was dropped. */
static void answer_orphan(model_t *model, uint32_t lane)
{
    if (model->orphans[lane] == ORPHAN_LANDED) {
        driver_batch_done(model->driver, lane);
    } else {
        driver_batch_fenced(model->driver, lane);
    }
    model->orphans[lane] = ORPHAN_NONE;
}

static void lane_step(model_t *model, uint32_t lane)
{
    driver_t *driver = model->driver;
    if (model->lookup_running[lane] && model_pick(model, 2) == 0) {
        lookup_end(model, lane);
    } else if (model->orphans[lane] != ORPHAN_NONE) {
        answer_orphan(model, lane);
    } else if (driver->batch[lane]) {
        store_batch(model, lane, driver->batch[lane]);
        driver_batch_done(driver, lane);
    } else if (!driver_take_batch(driver, lane) && !model->lookup_running[lane]) {
        lookup_begin(model, lane);
    } else if (!model->lookup_running[lane] && model_pick(model, 2) == 0) {
        lookup_begin(model, lane); /* beside the batch */
    }
}

static void home_step(model_t *model, uint32_t lane)
{
    if (model->driver->epochs[lane] == 0) {
        regain_lane(model, lane);
    } else if (model_pick(model, 4) == 0) {
        lose_lane(model, lane);
    }
}

static void desire_step(model_t *model)
{
    uint64_t chance = model->calm ? 9 : model_pick(model, 10);
    const model_worker_t *worker = &model->workers[model_pick(model, WORKERS)];
    incarnation_t runner = driver_runner(chance == 0 ? 0 : worker->number);
    router_desire(model->driver->router, "Counter",
                  shard_id_make(1, (uint16_t)(1 + model_pick(model, DRIVER_SHARDS))), runner,
                  model->driver->now_ms);
    driver_pull(model->driver);
}

/* A crash may be counted for the call that the worker was given at this place. */
static void accuse(model_t *model, const model_worker_t *worker, size_t place)
{
    model_call_t *call = model_delivered(model, &worker->queue[place]->as.deliver);
    if (call) {
        call->ends++;
    }
}

/* Tells, perhaps again, on which message the worker's last process ended. */
static void report_crash(model_t *model, model_worker_t *worker)
{
    driver_crashed(model->driver, worker->killed_number, &worker->killed_on, 1, "signal 6");
    if (model_pick(model, 2) == 0) {
        worker->killed_on = 0;
    }
}

/* A worker is killed, and the router notices it on the next send. A supervisor reports the message
 * at once, or later, or never. */
static void kill_worker(model_t *model, model_worker_t *worker)
{
    bool known = worker->supervised && worker->count > 0;
    bool at_once = known && model_pick(model, 2) == 0;
    worker->killed_on = known ? worker->queue[0]->as.deliver.request_id : 0;
    worker->killed_number = worker->number;
    for (size_t i = 0; i < (at_once ? 1 : worker->count); i++) {
        accuse(model, worker, i);
    }
    model_worker_drop(worker);
    worker->alive = false;
    if (at_once) {
        report_crash(model, worker);
    }
    driver_gone(model->driver, worker->peer);
}

static void worker_trouble(model_t *model, model_worker_t *worker)
{
    if (worker->killed_on > 0 && model_pick(model, 2) == 0) {
        report_crash(model, worker);
    }
    switch (worker->alive ? model_pick(model, 4) : 1) {
    case 0:
        kill_worker(model, worker);
        break;
    case 1:
        model_worker_connect(model, worker, true);
        break;
    case 2:
        model_worker_connect(model, worker, false);
        break;
    default:
        if (worker->alive) {
            message_bye_t goodbye = {.reason = {NULL, 0}};
            driver_send(model->driver, worker->peer, bye, &goodbye);
        }
    }
}

static void tick(model_t *model, uint64_t ms)
{
    model->driver->now_ms += ms;
    for (unsigned i = 0; i < WORKERS; i++) {
        if (model->workers[i].alive) {
            driver_ping(model->driver, model->workers[i].peer);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!model->clients[i].away) {
            driver_ping(model->driver, model->clients[i].peer);
        }
    }
    router_tick(model->driver->router, model->driver->now_ms);
    driver_pull(model->driver);
    driver_orders_forget(model->driver);
}

/* A client says goodbye, and comes back when the router may have forgotten it. */
static void client_absence(model_t *model, model_client_t *client)
{
    message_bye_t goodbye = {.reason = {NULL, 0}};
    driver_send(model->driver, client->peer, bye, &goodbye);
    client->away = true;
    tick(model, 600);
    model_take_notes(model);
    tick(model, 600);
    client->away = false;
    model_client_connect(model, client);
}

void model_step(model_t *model)
{
    model_client_t *client = &model->clients[model_pick(model, CLIENTS)];
    model_worker_t *worker = &model->workers[model_pick(model, WORKERS)];
    uint64_t chance = model_pick(model, 1000);
    if (chance < 250) {
        model_client_new_call(model, client);
    } else if (chance < 650) {
        model_worker_answer(model, worker);
    } else if (chance < 850) {
        lane_step(model, (uint32_t)model_pick(model, LANES));
    } else if (chance < 900) {
        tick(model, 10 + model_pick(model, 30));
    } else if (chance < 930) {
        model_client_retry(model, client);
    } else if (chance < 935) {
        model_client_connect(model, client);
    } else if (chance < 936) {
        client_absence(model, client);
    } else if (chance < 943) {
        worker_trouble(model, worker);
    } else if (chance < 944) {
        tick(model, 4000); /* everyone's lease runs out, but for those who ping first */
    } else if (chance < 946) {
        home_step(model, (uint32_t)model_pick(model, LANES));
    } else if (chance < 950) {
        router_lane_available(model->driver->router, (uint32_t)model_pick(model, LANES),
                              model_pick(model, 2) == 0, "it is away");
    } else {
        desire_step(model);
    }
    model_take_notes(model);
}

static bool all_settled(model_t *model)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (model_settled(&model->clients[i]) < model->clients[i].next) {
            return false;
        }
    }
    return driver_counters(model->driver).pending == 0;
}

void model_calm_down(model_t *model)
{
    model->calm = true;
    for (uint32_t i = 0; i < LANES; i++) {
        if (model->driver->epochs[i] == 0) {
            regain_lane(model, i);
        }
    }
    router_lane_available(model->driver->router, 0, true, NULL);
    router_lane_available(model->driver->router, 1, true, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        model_worker_connect(model, &model->workers[i], true);
    }
    model_take_notes(model);
    for (int round = 0; round < 20000 && !all_settled(model); round++) {
        if (round % 100 == 0) {
            driver_desire(model->driver, model->workers[0].number);
        }
        lane_step(model, (uint32_t)round % LANES);
        model_worker_answer(model, &model->workers[round / 2 % WORKERS]);
        tick(model, 10);
        if (round % 10 == 0) {
            model_client_retry(model, &model->clients[round / 10 % CLIENTS]);
        }
        model_take_notes(model);
    }
    assert_true(all_settled(model));
}

model_t *model_open(uint64_t random)
{
    router_config_t config;
    driver_config(&config);
    config.lanes = LANES;
    config.batch_items_max = 3;
    config.batch_bytes_max = 1 + random % 400; /* from one item to about three */
    config.attempts_max = 3;
    config.backoff_ms = 20;
    config.entity_pending_max = 20;
    config.pending_max = 60;
    config.client_memory_ms = 500;
    model_t *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->driver = driver_new(&config);
    driver_homes(model->driver, NULL);
    for (uint32_t i = 0; i < LANES; i++) {
        model->epochs[i] = DRIVER_EPOCH;
    }
    model->random = random;
    for (unsigned i = 0; i < CLIENTS; i++) {
        model->clients[i].next = model->clients[i].oldest = 1;
        model_client_connect(model, &model->clients[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        model_worker_connect(model, &model->workers[i], true);
    }
    return model;
}

void model_close(model_t **at)
{
    model_t *model = *at;
    for (unsigned i = 0; i < WORKERS; i++) {
        model_worker_drop(&model->workers[i]);
    }
    driver_close(&model->driver);
    for (size_t i = 0; i < model->foreign_count; i++) {
        message_destroy(&model->foreign[i].message);
    }
    for (uint32_t i = 0; i < LANES; i++) {
        free(model->seen[i]);
    }
    free(model);
    *at = NULL;
}
