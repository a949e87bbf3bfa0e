/* The router under a seeded mix of everything that can happen to it, with models of its clients, workers, store and coordinator
 * that check what must hold whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/lib/router_driver.h"

enum {
    CLIENTS = 3,
    WORKERS = 2,
    ENTITIES = 6,
    CALLS = 4096,
    STEPS = 6000,
    HELD_MAX = 256,
    SEEDS = 60
};

typedef enum call_mode { CALL_UNSENT, CALL_SENT, CALL_REFUSED_ONCE, CALL_SETTLED } call_mode_t;

typedef struct model_call {
    call_mode_t mode;
    bool durable, tell, sent_before;
    unsigned entity;
    uint64_t floor;
    /* the store's row, and what workers did */
    uint64_t id;
    shard_id_t shard;
    bool ended;
    unsigned runs;
    store_reply_t reply;
    const store_message_t *row; /* valid while not ended: the router's own */
} model_call_t;

typedef struct model_client {
    char peer[32];
    uint64_t connection, next, oldest, high_id;
    model_call_t calls[CALLS];
} model_client_t;

typedef struct model_worker {
    char peer[32];
    unsigned number;
    uint64_t connection;
    bool alive;
    token_t tokens[DRIVER_SHARDS + 1]; /* home_epoch 0: not held */
    uint64_t defect[ENTITIES];         /* activation up to which the entity is broken */
    note_t *queue[HELD_MAX];
    size_t count;
} model_worker_t;

typedef struct model {
    driver_t *driver;
    uint64_t random;
    model_client_t clients[CLIENTS];
    model_worker_t workers[WORKERS];
    unsigned incarnations;
    bool calm; /* nothing goes wrong any more */
    uint64_t first_run[ENTITIES], ended[ENTITIES];
    token_t newest[DRIVER_SHARDS + 1];
    unsigned newest_owner[DRIVER_SHARDS + 1];
    bool lookup_running[2];
    router_lookup_t lookups[2];
    uint64_t accepted;
} model_t;

static uint64_t pick(model_t *model, uint64_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % below;
}

static model_call_t *call_of(model_t *model, uint64_t client, uint64_t sequence)
{
    assert_in_range(client, 1, CLIENTS);
    assert_in_range(sequence, 1, CALLS - 1);
    return &model->clients[client - 1].calls[sequence];
}

/* ---- clients ---- */

static uint64_t settled(model_client_t *client)
{
    while (client->oldest < client->next && client->calls[client->oldest].mode == CALL_SETTLED) {
        client->oldest++;
    }
    return client->oldest;
}

static void send_call(model_t *model, model_client_t *client, uint64_t sequence)
{
    model_call_t *call = &client->calls[sequence];
    char id[8];
    snprintf(id, sizeof id, "e%u", call->entity);
    message_request_t request =
        driver_request(sequence, id,
                       (call->durable ? REQUEST_DURABLE : 0u) |
                           (call->tell ? REQUEST_TELL | REQUEST_WANT_ACCEPTED : 0u) |
                           (call->sent_before ? REQUEST_RESEND : 0u));
    if (!call->sent_before) {
        call->floor = client->high_id;
    }
    request.floor = call->floor;
    for (uint64_t i = sequence - 1; call->durable && i >= client->oldest && i > 0; i--) {
        const model_call_t *before = &client->calls[i];
        if (before->durable && before->mode != CALL_SETTLED && before->entity == call->entity) {
            request.predecessor = i; /* same entity, so the same shard: others are not needed */
            break;
        }
    }
    call->mode = CALL_SENT;
    call->sent_before = true;
    driver_send_settling(model->driver, client->peer, settled(client), request, &request);
}

static void client_new_call(model_t *model, model_client_t *client)
{
    if (client->next >= CALLS - 1 || client->next - settled(client) > 60) {
        return;
    }
    model_call_t *call = &client->calls[client->next++];
    call->durable = pick(model, 3) > 0;
    call->tell = call->durable && pick(model, 3) == 0;
    call->entity = (unsigned)pick(model, ENTITIES);
    send_call(model, client, client->next - 1);
}

static void client_connect(model_t *model, model_client_t *client)
{
    uint64_t number = (uint64_t)(client - model->clients) + 1;
    snprintf(client->peer, sizeof client->peer, "c%d-%d", (int)number, (int)++client->connection);
    driver_client_hello(model->driver, client->peer, number, client->connection);
    for (uint64_t i = settled(client); i < client->next; i++) {
        model_call_t *call = &client->calls[i];
        if (!call->durable) {
            call->mode = CALL_SETTLED; /* outcome unknown */
        } else if (call->mode != CALL_SETTLED) {
            send_call(model, client, i);
        }
    }
}

static void client_retry(model_t *model, model_client_t *client)
{
    for (uint64_t i = settled(client); i < client->next; i++) {
        if (client->calls[i].mode == CALL_REFUSED_ONCE) {
            send_call(model, client, i);
        }
    }
}

static void client_note(model_t *model, model_client_t *client, const note_t *note)
{
    uint64_t number = (uint64_t)(client - model->clients) + 1;
    if (strcmp(client->peer, note->peer) != 0) {
        return;
    }
    client->high_id = note->head.high_id > client->high_id ? note->head.high_id : client->high_id;
    if (note->kind == KIND_ACCEPTED || note->kind == KIND_REPLY) {
        model_call_t *call = call_of(model, number, note->as.accepted.sequence);
        if (call->durable) {
            assert_int_equal(call->id, note->as.accepted.request_id); /* I10: it is committed */
            assert_true(note->kind == KIND_ACCEPTED || call->ended);
        }
        assert_true(call->durable || note->kind == KIND_REPLY);
        if (note->kind == KIND_REPLY || call->tell) {
            call->mode = CALL_SETTLED;
        }
    } else if (note->kind == KIND_REJECTED || note->kind == KIND_REDIRECT) {
        fabric_error_t error = note->kind == KIND_REDIRECT
                                   ? FABRIC_ERROR_NOT_HOME
                                   : fabric_error_from_number(note->as.rejected.error);
        model_call_t *call = call_of(model, number, note->as.rejected.sequence);
        if (call->mode == CALL_SETTLED) {
            return;
        }
        if (call->durable) {
            assert_int_equal(fabric_error_class(error), FABRIC_CLASS_RETRY);
            call->mode = CALL_REFUSED_ONCE;
        } else {
            call->mode = CALL_SETTLED;
        }
    } else if (note->kind == KIND_WHO) {
        client_connect(model, client);
    }
}

/* ---- workers ---- */

static unsigned entity_number(const message_deliver_t *delivery)
{
    assert_int_equal(delivery->id.size, 2);
    return (unsigned)(delivery->id.data[1] - '0');
}

static void worker_drop(model_worker_t *worker)
{
    for (size_t i = 0; i < worker->count; i++) {
        free(worker->queue[i]);
    }
    worker->count = 0;
    memset(worker->tokens, 0, sizeof worker->tokens);
    memset(worker->defect, 0, sizeof worker->defect);
}

static void worker_connect(model_t *model, model_worker_t *worker, bool anew)
{
    worker->alive = true;
    if (anew) { /* else it still answers what it was given under its old tokens */
        worker_drop(worker);
        worker->number = 100 + ++model->incarnations % 100;
        worker->connection = 0;
    }
    snprintf(worker->peer, sizeof worker->peer, "w%d-%u-%d", (int)(worker - model->workers),
             model->incarnations, (int)++worker->connection);
    driver_worker_hello(model->driver, worker->peer, worker->number, worker->connection, 6);
}

/* The call that a delivery is about: volatile ones are known by their sequence in the header only, so not at all. */
static model_call_t *find_row(model_t *model, uint64_t id)
{
    for (unsigned c = 0; c < CLIENTS; c++) {
        for (uint64_t i = 1; i < model->clients[c].next; i++) {
            if (model->clients[c].calls[i].id == id) {
                return &model->clients[c].calls[i];
            }
        }
    }
    return NULL;
}

/* A handler runs: in the order of acceptance, and never after a later one has ended. */
static void check_run(model_t *model, const message_deliver_t *delivery)
{
    unsigned entity = entity_number(delivery);
    if (!(delivery->flags & REQUEST_DURABLE)) {
        return;
    }
    model_call_t *call = find_row(model, delivery->request_id);
    assert_non_null(call); /* I10: it is committed */
    uint16_t shard = shard_id_number((shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    if (!token_equal(token, model->newest[shard])) {
        return; /* a deposed owner: its result will be refused */
    }
    assert_true(delivery->request_id > model->ended[entity]);
    if (call->runs++ == 0) {
        assert_true(delivery->request_id > model->first_run[entity]);
        model->first_run[entity] = delivery->request_id;
    }
}

static void worker_answer(model_t *model, model_worker_t *worker)
{
    if (worker->count == 0) {
        return;
    }
    note_t *note = worker->queue[0];
    worker->count--;
    memmove(worker->queue, worker->queue + 1, worker->count * sizeof worker->queue[0]);
    const message_deliver_t *delivery = &note->as.deliver;
    unsigned entity = entity_number(delivery);
    uint16_t shard = shard_id_number((shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    uint64_t chance = model->calm ? 99 : pick(model, 100);
    if (!token_equal(token, worker->tokens[shard])) {
        driver_result(model->driver, worker->peer, delivery, STATUS_NOT_TAKEN,
                      FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    } else if (delivery->activation <= worker->defect[entity]) {
        driver_result(model->driver, worker->peer, delivery, STATUS_NOT_TAKEN,
                      FABRIC_ERROR_ENTITY_DEFECT);
    } else {
        check_run(model, delivery);
        if (chance < 10) {
            worker->defect[entity] = delivery->activation;
        }
        driver_result(model->driver, worker->peer, delivery,
                      chance < 10   ? STATUS_DEFECT
                      : chance < 20 ? STATUS_FAILURE
                                    : STATUS_OK,
                      chance < 20 ? FABRIC_ERROR_ENTITY_DEFECT : FABRIC_OK);
    }
    free(note);
}

static bool worker_note(model_t *model, model_worker_t *worker, note_t *note)
{
    if (strcmp(worker->peer, note->peer) != 0 || !worker->alive) {
        return false;
    }
    if (note->kind == KIND_ASSIGN) {
        uint16_t shard = shard_id_number((shard_id_t){(uint32_t)note->as.assign.shard});
        token_t token = {note->as.assign.home_epoch, note->as.assign.owner_sequence};
        assert_true(token_less(model->newest[shard], token));
        model->newest[shard] = worker->tokens[shard] = token;
    } else if (note->kind == KIND_RELEASE) {
        uint16_t shard = shard_id_number((shard_id_t){(uint32_t)note->as.release.shard});
        token_t token = {note->as.release.home_epoch, note->as.release.owner_sequence};
        if (token_equal(token, worker->tokens[shard])) {
            worker->tokens[shard] = (token_t){0, 0};
        }
        message_released_t released = {note->as.release.shard, token.home_epoch,
                                       token.owner_sequence};
        while (worker->count > 0) {
            worker_answer(model, worker);
        }
        driver_send(model->driver, worker->peer, released, &released);
    } else if (note->kind == KIND_DELIVER) {
        assert_true(worker->count < HELD_MAX);
        worker->queue[worker->count++] = note;
        return true;
    } else if (note->kind == KIND_WHO) {
        worker_connect(model, worker, false);
    } else if (note->kind == KIND_BYE) {
        worker->alive = false;
    }
    return false;
}

static void take_notes(model_t *model)
{
    driver_t *driver = model->driver;
    while (driver->notes) {
        note_t *note = driver->notes;
        driver->notes = note->next;
        bool kept = false;
        for (unsigned i = 0; i < CLIENTS; i++) {
            client_note(model, &model->clients[i], note);
        }
        for (unsigned i = 0; i < WORKERS && !kept; i++) {
            kept = worker_note(model, &model->workers[i], note);
        }
        if (!kept) {
            free(note);
        }
    }
}

/* ---- store and coordinator ---- */

static void store_message_row(model_t *model, const store_message_t *message)
{
    model_call_t *call = call_of(model, message->call.client, message->call.sequence);
    assert_int_equal(call->id, 0); /* accepted once */
    call->id = message->id.value;
    call->shard = message->shard;
    call->row = message;
    model->accepted++;
    const model_client_t *client = &model->clients[message->call.client - 1];
    for (uint64_t i = 1; i < client->next; i++) {
        const model_call_t *other = &client->calls[i];
        if (other->id && other->entity == call->entity) { /* I7 */
            assert_int_equal(i < message->call.sequence, other->id < call->id);
        }
    }
}

static void store_batch(model_t *model, const store_batch_t *batch)
{
    for (size_t i = 0; i < batch->message_count; i++) {
        store_message_row(model, batch->messages[i]);
    }
    for (size_t i = 0; i < batch->reply_count; i++) {
        model_call_t *call = find_row(model, batch->replies[i]->id.value);
        assert_non_null(call);
        assert_false(call->ended); /* I5 */
        call->ended = true;
        call->row = NULL;
        call->reply = *batch->replies[i];
        call->reply.payload = (fabric_bytes_t){NULL, 0};
        uint64_t *ended = &model->ended[call->entity];
        assert_true(call->id > *ended);
        *ended = call->id;
    }
    for (unsigned c = 0; batch->mark && c < CLIENTS; c++) {
        for (uint64_t i = 1; i < model->clients[c].next; i++) {
            const model_call_t *call = &model->clients[c].calls[i];
            assert_true(call->id == 0 || call->ended || call->id >= batch->mark);
        }
    }
}

static void lookup_end(model_t *model, uint32_t lane)
{
    const router_lookup_t *lookup = &model->lookups[lane];
    fabric_error_t error =
        !model->calm && pick(model, 8) == 0 ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK;
    for (size_t i = 0; i < lookup->call_count; i++) {
        call_key_t key = lookup->calls[i];
        model_call_t *call = call_of(model, key.client, key.sequence);
        bool same = i > 0 && lookup->calls[i - 1].client == key.client &&
                    lookup->calls[i - 1].sequence == key.sequence;
        if (!call->id || same) {
            continue;
        }
        assert_true(call->id > lookup->floor.value);
        char id[8];
        snprintf(id, sizeof id, "e%u", call->entity);
        message_request_t request = driver_request(key.sequence, id, REQUEST_DURABLE);
        store_message_t row = {.id = {call->id},
                               .shard = call->shard,
                               .type = request.type,
                               .entity = request.id,
                               .tag = request.tag,
                               .payload = request.payload,
                               .call = key};
        router_lookup_found(model->driver->router, lane, &row, 0,
                            call->ended ? &call->reply : NULL);
    }
    model->lookup_running[lane] = false;
    router_lookup_done(model->driver->router, lane, error, model->driver->now_ms);
    driver_pull(model->driver);
}

static void lane_step(model_t *model, uint32_t lane)
{
    driver_t *driver = model->driver;
    if (model->lookup_running[lane]) {
        lookup_end(model, lane);
    } else if (driver->batch[lane]) {
        store_batch(model, driver->batch[lane]);
        driver_batch_done(driver, lane);
    } else if (!driver_take_batch(driver, lane)) {
        model->lookup_running[lane] =
            router_take_lookup(driver->router, lane, &model->lookups[lane]);
    }
}

static void desire_step(model_t *model)
{
    uint64_t chance = model->calm ? 9 : pick(model, 10);
    const model_worker_t *worker = &model->workers[pick(model, WORKERS)];
    incarnation_t runner = driver_incarnation(chance == 0 ? 0 : worker->number);
    router_desire(model->driver->router,
                  shard_id_make(1, (uint16_t)(1 + pick(model, DRIVER_SHARDS))), runner,
                  model->driver->now_ms);
    driver_pull(model->driver);
}

static void worker_trouble(model_t *model, model_worker_t *worker)
{
    switch (worker->alive ? pick(model, 4) : 1) {
    case 0: /* killed, and noticed on the next send */
        worker_drop(worker);
        worker->alive = false;
        driver_gone(model->driver, worker->peer);
        break;
    case 1:
        worker_connect(model, worker, true);
        break;
    case 2:
        worker_connect(model, worker, false);
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
        driver_ping(model->driver, model->clients[i].peer);
    }
    router_tick(model->driver->router, model->driver->now_ms);
    driver_pull(model->driver);
    driver_orders_forget(model->driver);
}

static void step(model_t *model)
{
    model_client_t *client = &model->clients[pick(model, CLIENTS)];
    model_worker_t *worker = &model->workers[pick(model, WORKERS)];
    uint64_t chance = pick(model, 1000);
    if (chance < 250) {
        client_new_call(model, client);
    } else if (chance < 650) {
        worker_answer(model, worker);
    } else if (chance < 850) {
        lane_step(model, (uint32_t)pick(model, 2));
    } else if (chance < 900) {
        tick(model, 10 + pick(model, 30));
    } else if (chance < 930) {
        client_retry(model, client);
    } else if (chance < 935) {
        client_connect(model, client);
    } else if (chance < 943) {
        worker_trouble(model, worker);
    } else if (chance < 944) {
        tick(model, 4000); /* everyone's lease runs out, but for those who ping first */
    } else if (chance < 950) {
        router_lane_available(model->driver->router, (uint32_t)pick(model, 2), pick(model, 2) == 0);
    } else {
        desire_step(model);
    }
    take_notes(model);
}

static bool all_settled(model_t *model)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (settled(&model->clients[i]) < model->clients[i].next) {
            return false;
        }
    }
    return driver_counters(model->driver).pending == 0;
}

static void calm_down(model_t *model)
{
    model->calm = true;
    router_lane_available(model->driver->router, 0, true);
    router_lane_available(model->driver->router, 1, true);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_connect(model, &model->workers[i], true);
    }
    take_notes(model);
    for (int round = 0; round < 20000 && !all_settled(model); round++) {
        if (round % 100 == 0) {
            driver_desire(model->driver, model->workers[0].number);
        }
        lane_step(model, (uint32_t)round % 2);
        worker_answer(model, &model->workers[round / 2 % WORKERS]);
        tick(model, 10);
        if (round % 10 == 0) {
            client_retry(model, &model->clients[round / 10 % CLIENTS]);
        }
        take_notes(model);
    }
    assert_true(all_settled(model));
}

static void run(uint64_t seed)
{
    router_config_t config;
    driver_config(&config);
    config.lanes = 2;
    config.batch_items_max = 3;
    config.attempts_max = 3;
    config.backoff_ms = 20;
    config.entity_pending_max = 20;
    config.pending_max = 60;
    config.client_memory_ms = 500;
    model_t *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->driver = driver_new(&config);
    driver_homes(model->driver, NULL);
    model->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        model->clients[i].next = model->clients[i].oldest = 1;
        client_connect(model, &model->clients[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_connect(model, &model->workers[i], true);
    }
    for (int i = 0; i < STEPS; i++) {
        step(model);
    }
    bool stop_dirty = seed % 5 == 0; /* destroyed in whatever state it is in */
    if (!stop_dirty) {
        calm_down(model);
        router_counters_t counters = driver_counters(model->driver);
        assert_int_equal(counters.accepted, model->accepted);
        assert_int_equal(counters.ended, model->accepted);
        assert_true(counters.redelivered > 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_drop(&model->workers[i]);
    }
    driver_close(&model->driver);
    free(model);
}

/* The seed that is being run: printed when the test fails. ROUTER_SEED runs one alone. */
static uint64_t running;

static void whatever_happens_nothing_is_lost_doubled_or_reordered(void **state)
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
        cmocka_unit_test_teardown(whatever_happens_nothing_is_lost_doubled_or_reordered,
                                  print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
