/* Models of clients and workers: see router_model.h. */
#include "tests/unit/router_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

uint64_t model_pick(model_t *model, uint64_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % below;
}

model_call_t *model_call(model_t *model, uint64_t client, uint64_t sequence)
{
    assert_in_range(client, 1, CLIENTS);
    assert_in_range(sequence, 1, CALLS - 1);
    return &model->clients[client - 1].calls[sequence];
}

/* ---- clients ---- */

uint64_t model_settled(model_client_t *client)
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
    char name[32]; /* tells whose delivery a volatile one is */
    snprintf(name, sizeof name, "%.1s %d", client->peer + 1, (int)sequence);
    request.traceparent = fabric_bytes_of(name);
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
    call->sends++;
    driver_send_settling(model->driver, client->peer, model_settled(client), request, &request);
}

void model_client_new_call(model_t *model, model_client_t *client)
{
    if (client->next >= CALLS - 1 || client->next - model_settled(client) > 60) {
        return;
    }
    model_call_t *call = &client->calls[client->next++];
    call->durable = model_pick(model, 3) > 0;
    call->tell = call->durable && model_pick(model, 3) == 0;
    call->entity = (unsigned)model_pick(model, ENTITIES);
    send_call(model, client, client->next - 1);
}

void model_client_connect(model_t *model, model_client_t *client)
{
    uint64_t number = (uint64_t)(client - model->clients) + 1;
    snprintf(client->peer, sizeof client->peer, "c%d-%d", (int)number, (int)++client->connection);
    driver_client_hello(model->driver, client->peer, number, client->connection);
    for (uint64_t i = model_settled(client); i < client->next; i++) {
        model_call_t *call = &client->calls[i];
        if (!call->durable) {
            call->mode = CALL_SETTLED; /* outcome unknown */
        } else if (call->mode != CALL_SETTLED) {
            send_call(model, client, i);
        }
    }
}

void model_client_retry(model_t *model, model_client_t *client)
{
    for (uint64_t i = model_settled(client); i < client->next; i++) {
        if (client->calls[i].mode == CALL_REFUSED_ONCE) {
            send_call(model, client, i);
        }
    }
}

static void model_client_note(model_t *model, model_client_t *client, const note_t *note)
{
    uint64_t number = (uint64_t)(client - model->clients) + 1;
    if (strcmp(client->peer, note->peer) != 0) {
        return;
    }
    client->high_id = note->head.high_id > client->high_id ? note->head.high_id : client->high_id;
    if (note->kind == KIND_ACCEPTED || note->kind == KIND_REPLY) {
        model_call_t *call = model_call(model, number, note->as.accepted.sequence);
        if (call->durable) {
            call->heard_accepted = true;
            assert_int_equal(call->id, note->as.accepted.request_id); /* I10: it is stored */
            assert_true(note->kind == KIND_ACCEPTED || call->ended);
        }
        assert_true(call->durable || (note->kind == KIND_REPLY && call->sound));
        if (note->kind == KIND_REPLY || call->tell) {
            call->mode = CALL_SETTLED;
        }
    } else if (note->kind == KIND_REJECTED || note->kind == KIND_REDIRECT) {
        fabric_error_t error = note->kind == KIND_REDIRECT
                                   ? FABRIC_ERROR_NOT_HOME
                                   : fabric_error_from_number(note->as.rejected.error);
        model_call_t *call = model_call(model, number, note->as.rejected.sequence);
        if (call->mode == CALL_SETTLED) {
            return;
        }
        if (call->durable) {
            assert_int_equal(fabric_error_class(error), FABRIC_CLASS_RETRY);
            call->refusals += call->mode == CALL_SENT;
            bool certain = call->sends == call->refusals && !call->heard_accepted;
            assert_false(certain && call->id != 0); /* I11: what is refused is not accepted */
            call->mode = CALL_REFUSED_ONCE;
        } else {
            call->mode = CALL_SETTLED;
        }
    } else if (note->kind == KIND_WHO) {
        model_client_connect(model, client);
    }
}

/* ---- workers ---- */

static bool is_foreign(const message_deliver_t *delivery)
{
    return delivery->id.size > 0 && delivery->id.data[0] != 'e';
}

static unsigned entity_number(const message_deliver_t *delivery)
{
    assert_int_equal(delivery->id.size, 2);
    return (unsigned)(delivery->id.data[1] - '0');
}

void model_worker_drop(model_worker_t *worker)
{
    for (size_t i = 0; i < worker->count; i++) {
        free(worker->queue[i]);
    }
    worker->count = 0;
    memset(worker->tokens, 0, sizeof worker->tokens);
    memset(worker->defect, 0, sizeof worker->defect);
}

void model_worker_connect(model_t *model, model_worker_t *worker, bool anew)
{
    worker->alive = true;
    if (anew) { /* else it still answers what it was given under its old tokens */
        model_worker_drop(worker);
        worker->number = 100 + ++model->incarnations % 100;
        worker->connection = 0;
        worker->supervised = model_pick(model, 2) == 0;
    }
    model->driver->supervised = worker->supervised;
    snprintf(worker->peer, sizeof worker->peer, "w%d-%u-%d", (int)(worker - model->workers),
             model->incarnations, (int)++worker->connection);
    driver_worker_hello(model->driver, worker->peer, worker->number, worker->connection, 6);
}

model_call_t *model_row(model_t *model, uint64_t id)
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

model_call_t *model_delivered(model_t *model, const message_deliver_t *delivery)
{
    if (delivery->flags & REQUEST_DURABLE && !(delivery->flags & DELIVER_EARLY)) {
        return model_row(model, delivery->request_id);
    }
    char name[32] = "";
    memcpy(name, delivery->traceparent.data, delivery->traceparent.size);
    return model_call(model, strtoull(name, NULL, 10), strtoull(name + 2, NULL, 10));
}

/* A handler runs: in the order of acceptance, and never after a later message has ended. The router
 * is not to blame for a handler that the worker runs out of turn. */
static void check_run(model_t *model, const message_deliver_t *delivery, bool sound)
{
    unsigned entity = entity_number(delivery);
    model_call_t *call = model_delivered(model, delivery);
    if (!(delivery->flags & REQUEST_DURABLE)) {
        assert_int_equal(call->runs++, 0); /* I3 */
        call->sound = sound;
        return;
    }
    assert_non_null(call); /* I10: it is committed */
    uint16_t shard = shard_id_number((shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    if (!token_equal(token, model->newest[shard])) {
        return; /* a deposed owner: its result will be refused */
    }
    assert_true(delivery->request_id > model->ended[entity]);
    call->sound |= sound;
    if (sound && call->runs++ == 0) {
        assert_true(delivery->request_id > model->first_run[entity]);
        model->first_run[entity] = delivery->request_id;
    }
}

static void answer_foreign(model_t *model, model_worker_t *worker,
                           const message_deliver_t *delivery)
{
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    bool held = token_equal(
        token, worker->tokens[shard_id_number((shard_id_t){(uint32_t)delivery->shard})]);
    driver_result(model->driver, worker->peer, delivery, held ? STATUS_OK : STATUS_NOT_TAKEN,
                  held ? FABRIC_OK : FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
}

static bool same_activation(const message_deliver_t *a, const message_deliver_t *b)
{
    token_t token = {a->home_epoch, a->owner_sequence};
    return fabric_bytes_equal(a->id, b->id) && a->activation == b->activation &&
           token_equal(token, (token_t){b->home_epoch, b->owner_sequence});
}

/* Takes the oldest delivery, or one out of its turn. `sound`: no earlier delivery of its activation
 * is left. */
static note_t *take_delivery(model_t *model, model_worker_t *worker, bool *sound)
{
    size_t place = model->calm || model_pick(model, 40) > 0 ? 0 : model_pick(model, worker->count);
    note_t *note = worker->queue[place];
    *sound = true;
    for (size_t i = 0; i < place; i++) {
        *sound &= !same_activation(&worker->queue[i]->as.deliver, &note->as.deliver);
    }
    worker->count--;
    memmove(worker->queue + place, worker->queue + place + 1,
            (worker->count - place) * sizeof worker->queue[0]);
    return note;
}

void model_worker_answer(model_t *model, model_worker_t *worker)
{
    if (worker->count == 0) {
        return;
    }
    bool sound;
    note_t *note = take_delivery(model, worker, &sound);
    const message_deliver_t *delivery = &note->as.deliver;
    if (is_foreign(delivery)) {
        answer_foreign(model, worker, delivery);
        free(note);
        return;
    }
    unsigned entity = entity_number(delivery);
    uint16_t shard = shard_id_number((shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    uint64_t chance = model->calm ? 99 : model_pick(model, 100);
    bool over = delivery->activation <= worker->defect[entity];
    bool goes_on = over && chance > 80; /* with what its defect has broken */
    bool held = token_equal(token, worker->tokens[shard]);
    if (held && (!sound || chance < 10 || chance == 98)) {
        worker->defect[entity] = delivery->activation;
    }
    if (!held || (sound && !over && chance == 98)) {
        driver_result(model->driver, worker->peer, delivery, STATUS_NOT_TAKEN,
                      FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    } else if (over && !goes_on) {
        driver_result(model->driver, worker->peer, delivery, STATUS_NOT_TAKEN,
                      FABRIC_ERROR_ENTITY_DEFECT);
    } else {
        check_run(model, delivery, sound && !over);
        driver_result(model->driver, worker->peer, delivery,
                      chance < 10   ? STATUS_DEFECT
                      : chance < 20 ? STATUS_FAILURE
                                    : STATUS_OK,
                      chance < 10   ? FABRIC_ERROR_ENTITY_DEFECT
                      : chance < 20 ? FABRIC_ERROR_ENTITY_FAILURE
                                    : FABRIC_OK);
    }
    free(note);
}

/* The store has counted each failure before the next delivery. */
static void check_attempt(model_t *model, const message_deliver_t *delivery)
{
    const model_call_t *call = model_row(model, delivery->request_id);
    if (call) {
        assert_int_equal(delivery->attempt, call->counts.attempts + call->counts.crashes + 1);
    }
}

static bool model_worker_note(model_t *model, model_worker_t *worker, note_t *note)
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
            model_worker_answer(model, worker);
        }
        driver_send(model->driver, worker->peer, released, &released);
    } else if (note->kind == KIND_DELIVER) {
        assert_true(worker->count < HELD_MAX);
        check_attempt(model, &note->as.deliver);
        worker->queue[worker->count++] = note;
        return true;
    } else if (note->kind == KIND_WHO) {
        model_worker_connect(model, worker, false);
    } else if (note->kind == KIND_BYE) {
        worker->alive = false;
    }
    return false;
}

void model_take_notes(model_t *model)
{
    driver_t *driver = model->driver;
    while (driver->notes) {
        note_t *note = driver->notes;
        driver->notes = note->next;
        bool kept = false;
        for (unsigned i = 0; i < CLIENTS; i++) {
            model_client_note(model, &model->clients[i], note);
        }
        for (unsigned i = 0; i < WORKERS && !kept; i++) {
            kept = model_worker_note(model, &model->workers[i], note);
        }
        if (!kept) {
            free(note);
        }
    }
}
