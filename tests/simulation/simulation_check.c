/* The checkers. See simulation_check.h; the invariants I1-I14 are those of docs/guarantees.md. */
#include "tests/simulation/simulation_check_failing.h"

#include <assert.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/message.h"
#include "tests/simulation/simulation_processes.h"
#include "worker/work.h"

#define RUNS_MAX (16u * CALLS_MAX)

enum { CRASHES_MAX = 3 }; /* of a broker, as it is unless configured */

watch_t watch;

void check_begin(void)
{
    memset(&watch, 0, sizeof watch);
    watch.calls = calloc(CALLS_MAX, sizeof *watch.calls);
    watch.runs = calloc(RUNS_MAX, sizeof *watch.runs);
    watch.by_key = calloc((size_t)ENTITIES_MAX * KEYS_MAX, sizeof *watch.by_key);
    watch.run_count = 1;
    check_control_begin();
    check_owners_begin();
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        watch.by_sequence[i] = calloc(CALLS_MAX + 1, sizeof **watch.by_sequence);
        if (!watch.by_sequence[i]) {
            abort();
        }
    }
    if (!watch.calls || !watch.runs || !watch.by_key) {
        abort();
    }
}

void check_free(void)
{
    check_control_free();
    check_owners_free();
    check_ends_free();
    check_alive_free();
    check_states_free();
    check_events_free();
    free(watch.calls);
    free(watch.runs);
    free(watch.by_key);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        free(watch.by_sequence[i]);
    }
}

/* ---- calls and runs ---- */

uint32_t check_call(unsigned client, unsigned entity, uint32_t flags)
{
    assert(watch.call_count < CALLS_MAX && entity < ENTITIES_MAX);
    watch.calls[watch.call_count] = (watched_call_t){
        .client = client, .entity = entity, .flags = flags, .submitted_us = world.now_us};
    world.result->calls++;
    world.result->durable += (flags & REQUEST_DURABLE) != 0;
    return watch.call_count++;
}

watched_call_t *check_watched(uint32_t call)
{
    return &watch.calls[call];
}

uint32_t check_call_count(void)
{
    return watch.call_count;
}

void check_submitted(uint32_t call, uint64_t sequence)
{
    watched_call_t *watched = &watch.calls[call];
    watched->sequence = sequence;
    assert(sequence >= 1 && sequence <= CALLS_MAX);
    watch.by_sequence[watched->client][sequence] = call + 1;
    world_note("call", call, watched->entity, watched->flags);
}

bool check_poisons(uint32_t call)
{
    if (!world.plan.poison || watch.poisoned || call < world.plan.calls / 2 ||
        !check_is_durable(&watch.calls[call])) {
        return false;
    }
    watch.poisoned = true;
    return true;
}

static uint32_t *place_of_key(const watched_call_t *call)
{
    assert(call->key < KEYS_MAX);
    return &watch.by_key[(size_t)call->entity * KEYS_MAX + call->key];
}

uint32_t check_bringer(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    uint32_t found = call->key > 0 ? *place_of_key(call) : 0;
    return found > 0 ? found - 1 : number;
}

void check_key_stored(uint32_t number, const uint8_t *key_hash)
{
    const watched_call_t *call = &watch.calls[number];
    if ((key_hash != NULL) != (call->key > 0)) {
        world_fail("I8: call %u has primary key %u, and is stored with another", number, call->key);
    }
    if (call->key == 0) {
        return;
    }
    uint32_t *place = place_of_key(call);
    if (*place > 0 && *place != number + 1) {
        world_fail("I8: calls %u and %u have primary key %u of entity %u, and both are stored",
                   *place - 1, number, call->key, call->entity);
    }
    *place = number + 1;
}

static const watched_call_t *bringer_of(const watched_call_t *call)
{
    return &watch.calls[check_bringer((uint32_t)(call - watch.calls))];
}

static uint64_t shard_of(unsigned entity)
{
    ledger_id_t id = ledger_id_of(entity);
    uint32_t number = address_shard_number(fabric_bytes_of(id.text), SIMULATION_SHARDS);
    return shard_id_make(1, (uint16_t)number).value;
}

uint32_t check_run(uint32_t call, process_t *worker, uint64_t request_id, token_t token)
{
    watched_call_t *watched = &watch.calls[call];
    assert(watch.run_count < RUNS_MAX);
    watch.runs[watch.run_count] =
        (watched_run_t){.call = call, .request_id = request_id, .token = token};
    check_owner(worker, ledger_type_of(watched->entity), shard_of(watched->entity), token);
    if (watched->cancelled && (watched->undelivered || token.home_epoch > watched->epoch)) {
        world_fail("I5: call %u has ended as cancelled, and is handled", call);
    }
    world.result->runs++;
    world.result->repeated += check_is_durable(watched) && watched->runs > 0;
    world_note("run", watch.run_count, call, worker->index);
    if (watched->teller > 0 && watched->outgoing_id == 0) {
        world_fail("I10: call %u is handled, and no reply is stored whose handler has told it",
                   call);
    }
    if (world.now_us < watched->due_us) {
        world_fail("call %u is handled %llu us before its time", call,
                   (ull)(watched->due_us - world.now_us));
    }
    if (watched->due_us > 0 && check_is_scheduled(watched)) {
        world_fail("call %u is handled before it has a place", call);
    }
    check_failing_run(watched, token);
    check_cleared_run(watched, token);
    watched->runs++;
    if (!check_is_durable(watched) && watched->runs > 1) {
        world_fail("I3: volatile call %u is handled %u times", call, watched->runs);
    }
    if (check_is_durable(watched)) {
        check_early_run(watched, call, request_id);
    }
    return watch.run_count++;
}

const watched_run_t *check_watched_run(uint32_t run)
{
    return &watch.runs[run];
}

void check_no_gap(uint32_t call, token_t token, uint64_t last_id, uint64_t id)
{
    unsigned entity = watch.calls[call].entity;
    uint64_t handled_id = watch.entities[entity].handled_id;
    shard_id_t shard = {(uint32_t)shard_of(entity)};
    if (handled_id > last_id && handled_id < id && !check_is_blind(shard_id_number(shard), token)) {
        world_fail(
            "I6: an instance that has handled position %llu goes on with position %llu, though "
            "another one has handled position %llu",
            (ull)last_id, (ull)id, (ull)handled_id);
    }
}

/* ---- ends ---- */

uint32_t check_run_of_payload(fabric_bytes_t payload, uint32_t call)
{
    ledger_reply_t reply;
    uint32_t bringer = check_bringer(call);
    if (fabric_schema_decode(&ledger_reply_schema, payload, NULL, &reply) ||
        reply.call != bringer || reply.run == 0 || reply.run >= watch.run_count ||
        watch.runs[reply.run].call != bringer) {
        world_fail("I5: call %u was answered with something that no run of it has said", call);
        return 0;
    }
    return reply.run;
}

static void check_certainly_not_taken(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    if (call->request_id != 0) {
        world_fail("I11: call %u ended as %s, certainly not accepted, but is stored as %llu",
                   number, fabric_error_name(call->error), (ull)call->request_id);
    }
    if (call->runs > 0 && !check_is_early(call)) {
        world_fail("I11: call %u ended as %s, certainly not accepted, but was handled", number,
                   fabric_error_name(call->error));
    }
}

static void check_durable_end(uint32_t number, const call_t *ended)
{
    const watched_call_t *call = &watch.calls[number];
    const watched_call_t *message = bringer_of(call);
    world.result->duplicates += message != call;
    if (message->request_id == 0 || message->request_id != ended->request_id) {
        world_fail("I1: call %u was answered as request %llu and is stored as %llu", number,
                   (ull)ended->request_id, (ull)message->request_id);
    }
    if (call->flags & REQUEST_TELL) {
        return;
    }
    if (!message->replied) {
        world_fail("I10: call %u got a reply that is not stored", number);
    } else if (message->reply_error != (uint32_t)ended->error) {
        world_fail("I5: call %u ended as %s, stored is %s", number, fabric_error_name(ended->error),
                   fabric_error_name(fabric_error_from_number(message->reply_error)));
    } else if (message->reply_run != call->run) {
        world_fail("I5: call %u got the reply of run %llu, stored is that of run %llu", number,
                   (ull)call->run, (ull)message->reply_run);
    }
}

void check_cancels(uint32_t call)
{
    world_note("call.cancel", call, 0, 0);
    watch.calls[call].cancels = true;
}

/* Whether a call has ended as cancelled where no broker had taken it for good. */
static bool was_never_taken(const watched_call_t *call)
{
    return call->error == FABRIC_ERROR_CANCELLED && !call->answered;
}

static void check_cancelled(uint32_t number, const call_t *ended)
{
    watched_call_t *call = &watch.calls[number];
    world.result->cancelled++;
    call->answered = ended->request_id != 0;
    const watched_call_t *message = call->answered ? bringer_of(call) : call;
    bool cleared = call->answered ? message->cleared : check_may_be_cleared(call);
    if (!message->cancels &&
        !cleared) { /* one with a primary key ends so once all who wait want it */
        world_fail("I11: call %u ended as cancelled, and nobody has cancelled it", number);
    }
    if (check_is_durable(call) && call->answered && !message->cancelled && !message->cleared) {
        world_fail("I5: call %u ended as cancelled, and not so in the store", number);
    }
    if (was_never_taken(call) && !call->again && (check_is_durable(call) || !cleared)) {
        check_certainly_not_taken(number);
    }
}

static void check_answer(uint32_t number, const call_t *ended)
{
    watched_call_t *call = &watch.calls[number];
    if (ended->error == FABRIC_ERROR_CANCELLED) {
        check_cancelled(number, ended);
        if (was_never_taken(call)) {
            return;
        }
    }
    bool tell = (call->flags & REQUEST_TELL) != 0;
    bool typed = ended->error == FABRIC_ERROR_ENTITY_FAILURE && ended->typed;
    if (typed || (ended->error == FABRIC_OK && !tell)) {
        call->run = check_run_of_payload(ended->answer, number);
    } else if (ended->error == FABRIC_ERROR_ENTITY_FAILURE) {
        call->run = ended->code;
    }
    if (check_is_durable(call)) {
        check_durable_end(number, ended);
    } else if (call->run > 0) {
        check_state_seen(call);
    } else if (call->runs == 0 && !(tell && (call->flags & REQUEST_WANT_ACCEPTED))) {
        world_fail("I11: volatile call %u ended as %s without having been handled", number,
                   fabric_error_name(ended->error));
    }
}

void check_probes(uint32_t count)
{
    watch.unserved = count;
}

/* Whatever has happened, a lane is served soon after the last fault. */
static void check_probe(const watched_call_t *call)
{
    uint64_t took_ms = (world.now_us - call->probe_us) / 1000;
    if (took_ms > world.plan.served_ms) {
        world_fail("I13: lane of entity %u: %llu ms after the last fault a call ends as %s",
                   call->entity, (ull)took_ms, fabric_error_name(call->error));
    }
    watch.unserved -= call->error == FABRIC_OK;
    world.result->served_ms = took_ms > world.result->served_ms ? took_ms : world.result->served_ms;
}

/* Processes that are restarted in order give back first what they have, so that no call fails. */
static void check_in_order(uint32_t number, const call_t *ended)
{
    fabric_error_class_t class = fabric_error_class(ended->error);
    if (class != FABRIC_CLASS_OK && class != FABRIC_CLASS_FAILURE) {
        world_fail("%s call %u ended as %s, while processes were restarted in order: %.*s",
                   check_is_durable(&watch.calls[number]) ? "durable" : "volatile", number,
                   fabric_error_name(ended->error), (int)ended->answer.size,
                   (const char *)ended->answer.data);
    }
}

void check_ended(uint32_t number, const call_t *ended)
{
    watched_call_t *call = &watch.calls[number];
    world_note("call.ended", number, ended->error, ended->request_id);
    if (call->ended) {
        world_fail("I11: call %u ended twice", number);
    }
    call->ended = true;
    call->ended_us = world.now_us;
    call->error = ended->error;
    watch.ended++;
    if (call->probe_us > 0) {
        check_probe(call);
    }
    if (world.result->restarts > 0) { /* all workers have joined before */
        check_in_order(number, ended);
    }
    switch (fabric_error_class(ended->error)) {
    case FABRIC_CLASS_OK:
    case FABRIC_CLASS_FAILURE:
        check_answer(number, ended);
        break;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_REJECTED:
        world.result->rejected++;
        if (!call->again) { /* otherwise the answer is about the second sending only */
            check_certainly_not_taken(number);
        }
        break;
    case FABRIC_CLASS_UNKNOWN:
        world.result->unknown++;
        break;
    case FABRIC_CLASS_FENCED:
    case FABRIC_CLASS_USAGE:
    case FABRIC_CLASS_FATAL:
        world_fail("I11: call %u ended as %s", number, fabric_error_name(ended->error));
        break;
    }
}

void check_again(uint32_t number)
{
    watch.calls[number].ended = false;
    watch.calls[number].again++;
    watch.ended--;
}

/* ---- frames ---- */

static watched_call_t *call_of(const channel_t *connection, uint64_t sequence)
{
    uint32_t found = 0;
    if (connection && connection->peer->kind == PROCESS_CLIENT && sequence <= CALLS_MAX) {
        found = watch.by_sequence[connection->peer->index][sequence];
    }
    return found ? &watch.calls[found - 1] : NULL;
}

static void check_accepted(const channel_t *connection, wire_reader_t *body)
{
    message_accepted_t accepted;
    if (message_get_accepted(body, &accepted)) {
        return;
    }
    const watched_call_t *call = call_of(connection, accepted.sequence);
    if (!call || !check_is_durable(call)) {
        return;
    }
    const watched_call_t *message = bringer_of(call);
    if (message->request_id != accepted.request_id) {
        world_fail("I10: sequence %llu is told to be accepted as %llu, stored is %llu",
                   (ull)accepted.sequence, (ull)accepted.request_id, (ull)message->request_id);
    }
}

/* What has ended as cancelled is delivered no more. */
static void check_deliver(const process_t *broker, wire_reader_t *body)
{
    message_deliver_t deliver;
    bool looks = world.plan.cancels || world.plan.failing || world.plan.clears || world.plan.early;
    if (!looks || message_get_deliver(body, &deliver)) {
        return;
    }
    uint32_t number = check_find_request(deliver.request_id);
    if (number == UINT32_MAX && deliver.flags & REQUEST_DURABLE) {
        check_delivered_early(broker, &deliver);
    }
    check_failing_delivered(broker, number != UINT32_MAX ? &watch.calls[number] : NULL, &deliver);
    if (number == UINT32_MAX) {
        return; /* a volatile one */
    }
    watched_call_t *call = &watch.calls[number];
    call->delivered = true;
    if (call->cancelled && deliver.home_epoch >= call->epoch) {
        world_fail("I5: broker %u delivers call %u, which has ended as cancelled", broker->index,
                   number);
    }
}

static uint64_t run_of_reply(const message_reply_t *reply, const watched_call_t *call)
{
    if (reply->status == STATUS_FAILURE) {
        return reply->code;
    }
    bool is_told = call->flags & REQUEST_TELL && call->key == 0;
    bool empty = (reply->status != STATUS_OK || is_told) && reply->status != STATUS_TYPED_FAILURE;
    return empty ? 0 : check_run_of_payload(reply->payload, (uint32_t)(call - watch.calls));
}

static void check_reply(const channel_t *connection, wire_reader_t *body)
{
    message_reply_t reply;
    if (message_get_reply(body, &reply)) {
        return;
    }
    const watched_call_t *call = call_of(connection, reply.sequence);
    if (!call || !check_is_durable(call)) {
        return;
    }
    const watched_call_t *message = bringer_of(call);
    if (!message->replied) {
        world_fail("I10: the reply of sequence %llu leaves before it is stored",
                   (ull)reply.sequence);
    } else if (run_of_reply(&reply, call) != message->reply_run ||
               reply.status != message->reply_status || reply.error != message->reply_error) {
        world_fail("I5: the reply of sequence %llu is not the stored one", (ull)reply.sequence);
    }
}

static wire_reader_t rest; /* of the frame, behind the message that is looked at */

bool check_is_interrupted(uint64_t request_id)
{
    wire_reader_t reader = rest;
    wire_reader_t body;
    message_kind_t kind;
    message_interrupt_t interrupt;
    while (frame_next(&reader, &body)) {
        if (!message_open(&body, &kind) && kind == KIND_INTERRUPT &&
            !message_get_interrupt(&body, &interrupt) && interrupt.request_id == request_id) {
            return true;
        }
    }
    return false;
}

void check_broker_sends(process_t *broker, const channel_t *connection, fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    if (frame_open(frame, &reader, &head)) {
        world_fail("I14: broker %u sends a malformed frame", broker->index);
        return;
    }
    while (frame_next(&reader, &body)) {
        rest = reader;
        if (message_open(&body, &kind)) {
            world_fail("I14: broker %u sends a malformed message", broker->index);
        } else if (kind == KIND_ACCEPTED) {
            check_accepted(connection, &body);
        } else if (kind == KIND_REPLY) {
            check_reply(connection, &body);
        } else if (kind == KIND_DELIVER) {
            check_deliver(broker, &body);
        } else if (kind == KIND_ENTITY_STATE) {
            message_entity_state_t given;
            if (!message_get_entity_state(&body, &given)) {
                check_state_given(broker, &given);
            }
        } else if (kind == KIND_ENTITY_EVENTS) {
            message_entity_events_t given;
            if (!message_get_entity_events(&body, &given)) {
                check_events_given(broker, &given);
            }
        } else if (kind == KIND_ANSWER) {
            message_answer_t answer;
            if (!message_get_answer(&body, &answer)) {
                check_events_told(broker, &answer);
            }
        } else if (kind == KIND_ASSIGN) {
            message_assign_t assign;
            if (!message_get_assign(&body, &assign)) {
                check_assign(broker, connection, &assign);
                check_failing_assigned(shard_id_number((shard_id_t){(uint32_t)assign.shard}));
            }
        } else if (kind == KIND_WELCOME) {
            check_welcome(broker, connection);
        } else if (kind == KIND_RELAYED) {
            message_relayed_t relayed;
            if (!message_get_relayed(&body, &relayed)) {
                check_broker_sends(broker, connection, relayed.frame);
            }
        }
    }
}

static watched_run_t *run_of_result(const message_result_t *result)
{
    uint64_t run = 0;
    ledger_reply_t reply;
    if (result->status == STATUS_FAILURE) {
        run = result->code;
    } else if ((result->status == STATUS_OK || result->status == STATUS_TYPED_FAILURE) &&
               !fabric_schema_decode(&ledger_reply_schema, result->payload, NULL, &reply)) {
        run = reply.run;
    }
    return run > 0 && run < watch.run_count ? &watch.runs[run] : NULL;
}

/* Calls `visit` for each result of a frame. */
static void each_result(fabric_bytes_t frame, const process_t *broker,
                        void (*visit)(const process_t *broker, const message_result_t *result,
                                      watched_run_t *run))
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    if (frame_open(frame, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        message_result_t result;
        if (!message_open(&body, &kind) && check_get_result(&body, kind, &result)) {
            watched_run_t *run = run_of_result(&result);
            world.result->unreadable += broker && result.error == FABRIC_ERROR_SNAPSHOT_UNREADABLE;
            if (run) {
                visit(broker, &result, run);
            }
        }
    }
}

static void note_stale(const process_t *broker, const message_result_t *result, watched_run_t *run)
{
    token_t token = {result->home_epoch, result->owner_sequence};
    unsigned type = ledger_type_of(watch.calls[run->call].entity);
    if (!token_less(token, check_newest_token(broker, type, result->shard))) {
        run->timely = true;
        run->stale = false;
    } else if (!run->timely) { /* else the frame is a repetition, or late */
        world.result->stale += !run->stale;
        run->stale = true;
    }
}

void check_broker_receives(process_t *broker, fabric_bytes_t frame)
{
    each_result(frame, broker, note_stale);
}

void check_worker_receives(const process_t *worker, fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    message_assign_t assign;
    if (frame_open(frame, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        if (!message_open(&body, &kind) && kind == KIND_ASSIGN &&
            !message_get_assign(&body, &assign)) {
            check_assigned(worker, &assign);
        }
    }
}

static void note_token(const process_t *broker, const message_result_t *result, watched_run_t *run)
{
    (void)broker;
    run->token = (token_t){result->home_epoch, result->owner_sequence};
    if (run->request_id != result->request_id) {
        world_fail("I5: a worker answers request %llu with the result of request %llu",
                   (ull)result->request_id, (ull)run->request_id);
    }
}

void check_worker_sends(fabric_bytes_t frame)
{
    each_result(frame, NULL, note_token);
}

/* ---- the end ---- */

bool check_is_settled(void)
{
    return watch.ended + watch.told == watch.call_count && watch.told_open == 0 &&
           watch.messages == watch.ends && watch.unserved == 0;
}

uint64_t check_ends(void)
{
    return (uint64_t)watch.ended + watch.ends;
}

static void check_call_at_end(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    if (call->teller > 0) {
        return; /* nobody waits for it */
    }
    if (!call->ended) {
        world_fail("I13: call %u of client %llu never ended", number, (ull)call->client);
        return;
    }
    fabric_error_class_t class = fabric_error_class(call->error);
    bool not_taken = class == FABRIC_CLASS_RETRY || class == FABRIC_CLASS_REJECTED;
    bool maybe_run = !check_is_durable(call) && check_may_be_cleared(call);
    if (!call->again && (not_taken || (was_never_taken(call) && !maybe_run))) {
        check_certainly_not_taken(number);
    }
    bool answered =
        (class == FABRIC_CLASS_OK || class == FABRIC_CLASS_FAILURE) && !was_never_taken(call);
    if (check_is_durable(call) && answered && !bringer_of(call)->replied) {
        world_fail("I1: call %u was accepted and has no final reply", number);
    }
}

/* A poison message that was accepted is a dead letter. */
static void check_poison(void)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        if (call->kills && call->request_id != 0 && !watch.poison_buried) {
            world_fail("I2: call %u kills its workers, and is no dead letter", i);
        }
        if (call->kills && call->request_id != 0 && world.plan.faults == 0 &&
            call->runs != CRASHES_MAX) {
            world_fail("I2: call %u has killed %u workers", i, call->runs);
        }
    }
}

void check_final(void)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        check_call_at_end(i);
    }
    check_store_at_end();
    check_events_at_end();
    check_maps_at_end();
    check_poison();
    check_failing_at_end();
    check_count_unstored();
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        uint64_t pending = simulated_broker_pending(world.brokers[i]);
        if (pending != 0) {
            world_fail("I12: broker %u counts %llu messages as pending", i, (ull)pending);
        }
    }
    for (unsigned i = 0; i < world.plan.clients; i++) {
        size_t open = simulated_client_open_calls(world.clients[i]);
        if (open != 0) {
            world_fail("I13: client %u has %zu calls open", i, open);
        }
    }
}
