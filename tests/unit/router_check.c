/* The router's accounts, recomputed: see router_check.h. */
#include "tests/unit/router_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "tests/unit/router_check_state.h"

static char fault[200];

void router_expect(const char *what, uint64_t kept, uint64_t counted)
{
    if (kept != counted && fault[0] == '\0') {
        snprintf(fault, sizeof fault, "%s: %" PRIu64 " by the account, %" PRIu64 " by counting",
                 what, kept, counted);
    }
}

static bool is_durable(const message_t *message)
{
    return message->stored.flags & REQUEST_DURABLE;
}

/* ---- messages ---- */

static uint64_t size_of(const message_t *message)
{
    const store_message_t *stored = &message->stored;
    return sizeof *message + stored->type.size + stored->entity.size + stored->tag.size +
           stored->payload.size + stored->traceparent.size + stored->headers.size +
           (stored->key_hash ? 32 : 0) + message->reply.payload.size;
}

static void check_messages(const router_t *router)
{
    uint64_t bytes = 0;
    uint64_t pending = 0;
    uint64_t waiting = 0; /* for their times of delivery */
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        router_expect("bytes of a message", message->size, size_of(message));
        bytes += size_of(message);
        bool damaged = !message->entity && message->state != MESSAGE_STORED;
        waiting += message->state == MESSAGE_SCHEDULED || message->state == MESSAGE_DUE;
        waiting += message->state == MESSAGE_RESULT && message->entity && /* it was cancelled */
                   message_is_scheduled(message);
        pending += damaged || (message->entity && is_durable(message));
        router_expect("a message of a lane that was dropped", message->orphaned, false);
    }
    router_expect("bytes of all messages", router->message_bytes, bytes);
    router_expect("pending messages in memory", router->counters.pending - router->counters.stored,
                  pending);
    uint64_t aged = router->pending_ages.ancient;
    for (size_t i = 0; i < AGES_LEVELS; i++) {
        aged += router->pending_ages.counts[i];
    }
    router_expect("ages of pending messages", aged, pending - waiting);
}

/* ---- clients ---- */

static uint64_t lookups_of(const router_t *router, const client_t *client)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const lookup_t *lookups[] = {&router->lanes[i].lookup_next,
                                     &router->lanes[i].lookup_current};
        for (size_t k = 0; k < 2; k++) {
            for (size_t at = 0; at < lookups[k]->count; at++) {
                count +=
                    lookups[k]->items[at].client == client && lookups[k]->items[at].call_wanted;
            }
        }
    }
    return count;
}

/* Returns the bytes that the client's calls keep: ended messages, and waiters beside the first of a
 * message. */
static uint64_t check_calls(const client_t *client)
{
    const call_table_t *calls = &client->calls;
    uint64_t bytes = calls->capacity * sizeof(call_t);
    for (uint64_t i = 0; i < calls->capacity; i++) {
        const call_t *call = &calls->ring[i];
        if (call->state == CALL_OPEN || call->state == CALL_WAITING) {
            router_expect("a deadline that is looked after",
                          call->deadline_ms == 0 || call->deadline_ms >= calls->deadline_ms, true);
        }
        if (call->state == CALL_NONE || !call->message) {
            continue;
        }
        router_expect("a call's place", i, call->sequence & (calls->capacity - 1));
        const waiter_t *waiter =
            message_find_waiter(call->message, (call_key_t){client->number, call->sequence});
        router_expect("a call that waits for its message", waiter && waiter->called, true);
        bytes += waiter == &call->message->waiter ? 0 : sizeof *waiter;
        bool ended = call->message->state == MESSAGE_ENDED;
        router_expect("the end of a call", call->state == CALL_ENDED, ended);
        bytes += ended ? size_of(call->message) : 0;
    }
    return bytes;
}

static bool is_settled_early(const message_t *message, const client_t *client)
{
    return message->settled_early && message->stored.call.client == client->number;
}

static uint64_t settled_early_of(const router_t *router, const client_t *client)
{
    uint64_t count = 0;
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        count += is_settled_early(message, client);
    }
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const message_t *orphan = router->lanes[i].batches.orphans;
        for (; orphan; orphan = orphan->chain) {
            count += is_settled_early(orphan, client);
        }
    }
    return count;
}

/* Those of outgoing messages stand behind the others. */
static const client_t *next_client(const router_t *router, const client_t *client)
{
    const client_t *next = client->by_number.next;
    return next || client->outgoing ? next : router->outgoing_by_number;
}

static void check_clients(const router_t *router)
{
    uint64_t bytes = 0;
    uint64_t held = 0;
    uint64_t away = 0;
    uint64_t absent = 0;
    uint64_t outgoing = 0;
    size_t looked_up[LIMIT_LANES_MAX][2] = {{0}};
    const client_t *client = router->clients ? router->clients : router->outgoing_by_number;
    for (; client; client = next_client(router, client)) {
        uint64_t own = sizeof *client + check_calls(client);
        const message_t *last = NULL;
        for (const message_t *message = client->held.first; message; message = message->chain) {
            bool several = false;
            const message_t *found =
                held_calls_find(&client->held.calls, message->stored.call.sequence, &several);
            router_expect("a held message", found == message || several, true);
            own += size_of(message) + held_call_bytes();
            held++;
            looked_up[lane_number(router, message->stored.shard)][message->lookup_round] +=
                message->lookup_outcome != LOOKUP_NONE;
            last = message;
        }
        router_expect("a client's last held message", (uintptr_t)client->held.last,
                      (uintptr_t)last);
        router_expect("a client's look-ups", client->held.lookups, lookups_of(router, client));
        router_expect("a client's messages that it has settled on early",
                      client->calls.settled_early, settled_early_of(router, client));
        router_expect("bytes of a client", client->calls.bytes, own);
        router_expect("a client's peer", client->peer && client->peer->client != client, false);
        bytes += own;
        absent += client->peer == NULL && !client->outgoing;
        outgoing += client->outgoing;
    }
    for (client = router->away; client; client = client->away_next) {
        away++;
    }
    router_expect("bytes of all clients", router->client_bytes, bytes);
    router_expect("held messages", router->held, held);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        for (int round = 0; round < 2; round++) {
            router_expect("held messages that were looked up", router->lanes[i].rounds.held[round],
                          looked_up[i][round]);
        }
    }
    router_expect("clients that are away", away, absent);
    router_expect("clients of outgoing messages", router->outgoing_client_count, outgoing);
}

/* ---- primary keys ---- */

static uint64_t count_list(const primary_key_t *list)
{
    uint64_t count = 0;
    for (const primary_key_t *key = list; key; key = key->next) {
        count++;
    }
    return count;
}

static void check_keys(const router_t *router)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const lane_keys_t *keys = &router->lanes[i].keys;
        uint64_t listed = 0;
        bytes += keys->list.filter.bytes;
        for (const primary_key_t *key = keys->by_hash; key; key = key->by_hash.next) {
            bytes += sizeof *key + key->row.reply.payload.size;
            listed += key->list != NULL;
        }
        router_expect("primary keys in lists", listed,
                      count_list(keys->next) + count_list(keys->current) +
                          count_list(keys->settled));
    }
    router_expect("bytes of primary keys", router->key_bytes, bytes);
}

/* ---- persisted states ---- */

static uint64_t count_states(const persisted_t *list)
{
    uint64_t count = 0;
    for (const persisted_t *state = list; state; state = state->next) {
        count++;
    }
    return count;
}

/* The share of one reference in the bytes of a value, times SHARES; at most four of a value are
 * there: newest, durable, of a message and in a slice. */
enum { SHARES = 12 };

static uint64_t share_of(const state_value_t *value)
{
    return value ? value->size * SHARES / value->references : 0;
}

/* The same of all references but those of the records. */
static uint64_t other_shares(const router_t *router)
{
    uint64_t shares = 0;
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        shares += share_of(message->left);
    }
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const checkpoint_slice_t *slice = &router->lanes[i].checkpoint.slice;
        for (size_t j = 0; j < slice->state_count; j++) {
            shares += share_of(slice->state_values[j]);
        }
        const message_t *orphan = router->lanes[i].batches.orphans;
        for (; orphan; orphan = orphan->chain) {
            shares += share_of(orphan->left);
        }
    }
    return shares;
}

/* Values in order, with what is not durable last; the bytes of all of it. */
static uint64_t check_history(const history_t *history)
{
    uint64_t bytes = sizeof *history;
    bool joins = history->stage != HISTORY_RESTS || history->readers > 0;
    for (const events_value_t *value = history->values; value; value = value->next) {
        const events_value_t *next = value->next;
        bytes += value->size;
        router_expect("events behind others that are not durable",
                      next && value->number == 0 && next->number > 0, false);
        router_expect("events out of order",
                      next && next->events.first <= journal_events_last(&value->events), false);
        router_expect("events that are in a slice, and not durable",
                      value->number == 0 && value->taken > 0, false);
        router_expect("events that wait for no slice",
                      value->number > 0 && value->taken < value->events.count && !history->changes,
                      false);
        router_expect("settled events that nobody joins", value->settled && !joins, false);
    }
    for (const events_value_t *value = history->loaded; value; value = value->next) {
        bytes += value->size;
    }
    router_expect("what a history that rests has read",
                  history->stage == HISTORY_RESTS && history->loaded, false);
    router_expect("bytes of a history", history->bytes, bytes);
    return bytes;
}

static void check_states(const router_t *router)
{
    uint64_t bytes = 0;
    uint64_t shares = other_shares(router);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const lane_persisted_t *states = &router->lanes[i].persisted;
        uint64_t listed = 0;
        for (const persisted_t *state = states->by_name; state; state = state->by_name.next) {
            router_expect("the record that refers to a state",
                          state->place && *state->place != state, false);
            bool same = state->newest == state->durable;
            bytes += sizeof *state + state->name_size;
            shares += share_of(state->newest) + share_of(state->durable);
            listed += state->list != NULL;
            bytes += state->history ? check_history(state->history) : 0;
            bool read = state->list == &states->wanted || state->list == &states->reading;
            router_expect("a state that is to be read", read && state->known, false);
            router_expect("a settled state that is not durable",
                          state->list == &states->settled && !same, false);
            router_expect("a change without a durable state",
                          (state->list == &states->next || state->list == &states->current) &&
                              !state->durable,
                          false);
        }
        router_expect("states in lists", listed,
                      count_states(states->next) + count_states(states->current) +
                          count_states(states->settled) + count_states(states->wanted) +
                          count_states(states->reading));
    }
    router_expect("bytes of persisted states", router->state_bytes * SHARES,
                  bytes * SHARES + shares);
}

/* ---- peers ---- */

static uint64_t check_frames(const peer_t *peer)
{
    uint64_t bytes = 0;
    for (const out_frame_t *frame = peer->first; frame; frame = frame->next) {
        bytes += frame == peer->last ? peer->last_bytes : frame->writer.size;
        router_expect("the last frame", frame == peer->last, frame->next == NULL);
        router_expect("a frame within its bound", frame->writer.size <= LIMIT_FRAME_BYTES_MAX,
                      true);
    }
    router_expect("bytes of frames for a peer", peer->queued_bytes, bytes);
    router_expect("a peer with frames that is offered",
                  peer->first && !peer->blocked && !peer->offered, false);
    return bytes;
}

static void check_peers(const router_t *router)
{
    uint64_t bytes = 0;
    uint64_t count = 0;
    uint64_t tunnelled = 0;
    uint64_t offered = 0;
    uint64_t in_list = 0;
    uint64_t spare = 0;
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        const peer_t *peer = router->peers[i];
        if (peer) {
            router_expect("a peer's handle", peer->handle, i);
            router_expect("a client's peer", peer->phase == PEER_CLIENT && !peer->client, false);
            router_expect("a worker's peer", peer->phase == PEER_WORKER && !peer->runner, false);
            router_expect("a broker's peer", peer->phase == PEER_BROKER && !peer->member, false);
            router_expect("a carrier", peer->tunnelled && !peer->member, false);
            bytes += check_frames(peer);
            count++;
            tunnelled += peer->carrier != NULL;
            offered += peer->offered;
        }
    }
    for (const peer_t *peer = router->offered; peer; peer = peer->next_offered) {
        in_list++;
    }
    for (const out_frame_t *frame = router->spare_frames; frame; frame = frame->next) {
        spare++;
    }
    router_expect("bytes of frames for all peers", router->queued_bytes, bytes);
    router_expect("peers", router->peer_count, count);
    router_expect("peers by routing id", HASH_CNT(by_routing_id, router->peers_by_routing_id),
                  count - tunnelled);
    router_expect("peers that are offered", in_list, offered);
    router_expect("spare frames", router->spare_count, spare);
}

/* ---- entities and runners ---- */

static uint64_t attempts_of(const batch_builder_t *builder, const entity_t *entity)
{
    uint64_t count = 0;
    for (size_t i = 0; i < builder->attempt_count; i++) {
        count += message_of(builder->attempts[i].message)->entity == entity;
    }
    return count;
}

/* Attempts of the entity's messages that are not durable yet. */
static uint64_t attempts_in_lanes(const router_t *router, const entity_t *entity)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const lane_batches_t *batches = &router->lanes[i].batches;
        count += attempts_of(&batches->next, entity);
        count += batches->running ? attempts_of(&batches->current, entity) : 0;
    }
    return count;
}

static void check_entity(const router_t *router, const entity_t *entity)
{
    uint64_t in_flight = 0;
    uint64_t queued_volatile = 0;
    uint64_t volatile_results = 0;
    uint64_t pending = 0;
    uint64_t durable = 0;
    uint64_t mailbox = 0;
    const message_t *cursor = NULL;
    for (const message_t *message = entity->queue; message; message = message->next) {
        bool queued = message->state == MESSAGE_QUEUED;
        cursor = queued && !cursor ? message : cursor;
        durable += is_durable(message);
        mailbox += message->state != MESSAGE_RESULT;
        in_flight += message->state == MESSAGE_IN_FLIGHT;
        queued_volatile += queued && !is_durable(message);
        volatile_results += message->state == MESSAGE_RESULT && !is_durable(message);
    }
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        pending += message->entity == entity && is_durable(message);
    }
    router_expect("an entity's messages that wait or are in flight", entity->mailbox, mailbox);
    router_expect("an entity's messages in flight", entity->in_flight, in_flight);
    router_expect("an entity's durable messages in its queue", entity->queued, durable);
    router_expect("an entity's queued volatile messages", entity->queued_volatile, queued_volatile);
    router_expect("an entity's volatile results", entity->volatile_results, volatile_results);
    router_expect("an entity's pending messages", entity->pending, pending);
    if (shard_is_home(entity->ownership->shard)) {
        router_expect("an entity's holds", entity->holds, attempts_in_lanes(router, entity));
    }
    uint64_t unstored = 0;
    for (const message_t *message = entity->queue; message; message = message->next) {
        unstored += message->early;
    }
    router_expect("an entity's messages that are not stored", entity->unstored, unstored);
    router_expect("the state that an entity refers to",
                  entity->persisted &&
                      (entity->persisted->place != &entity->persisted ||
                       entity->persisted->name_size != entity->name_size ||
                       memcmp(entity->persisted->name, entity->name, entity->name_size) != 0),
                  false);
    router_expect("an entity's cursor", (uintptr_t)entity->cursor, (uintptr_t)cursor);
}

static void check_runner(const router_t *router, const runner_t *runner)
{
    uint64_t owned = 0;
    uint64_t outstanding = 0;
    bool isolated = !runner->poison.isolated;
    bool alone = true;
    for (const ownership_t *ownership = router->ownerships; ownership;
         ownership = ownership->by_key.next) {
        owned += ownership->owner == runner;
    }
    for (const entity_t *entity = router->entities; entity; entity = entity->by_name.next) {
        const message_t *message = entity->ownership->owner == runner ? entity->queue : NULL;
        for (; message; message = message->next) {
            bool in_flight = message->state == MESSAGE_IN_FLIGHT;
            outstanding += in_flight;
            isolated |= in_flight && message->alone && message == runner->poison.isolated;
            alone &= !message->alone || (in_flight && entity->in_flight == 1);
        }
    }
    router_expect("a runner's ownerships", runner->owned, owned);
    router_expect("a runner's outstanding deliveries", runner->outstanding, outstanding);
    router_expect("an isolated message that is in flight", isolated, true);
    router_expect("the only message of its entity that is in flight", alone, true);
    router_expect("a runner's window",
                  runner->state != RUNNER_JOINED || outstanding <= runner->window, true);
}

/* ---- lanes ---- */

/* Whether the lane is adopted, and not dropped. */
static bool is_held(const router_lane_t *lane)
{
    return lane->state == LANE_HOME || lane->state == LANE_LEAVING;
}

/* Nothing is left of a foreign shard when the drop of its lane is over. */
static void check_ownership(const router_t *router, const ownership_t *ownership)
{
    const router_lane_t *lane = &router->lanes[lane_number(router, ownership->shard->id)];
    bool home = is_held(lane);
    router_expect("entities of a foreign shard", !home && !lane->dropping && ownership->entities,
                  false);
    uint64_t busy = 0, in_flight = 0;
    for (const entity_t *entity = ownership->busy; entity; entity = entity->busy_next) {
        busy++;
    }
    for (const entity_t *entity = ownership->entities; entity; entity = entity->next) {
        in_flight += entity->in_flight > 0;
        router_expect("the type of an ownership's entity",
                      fabric_bytes_equal(entity_type(entity), ownership_type(ownership)), true);
        router_expect("a list of entities that wait",
                      entity->waits_for && home && entity->waits_for != ownership->owner, false);
    }
    router_expect("entities with messages in flight", busy, in_flight);
    router_expect("messages in flight of a foreign shard", !home && ownership->busy, false);
    router_expect("an ownership's owner", ownership->owner != NULL,
                  ownership->state != OWNERSHIP_UNOWNED);
    router_expect("an owner of a foreign shard", !home && ownership->owner, false);
}

/* A shard is foreign exactly if its lane is not this broker's. The tokens of its owners differ. */
static void check_shard(const router_t *router, const shard_t *shard)
{
    const router_lane_t *lane = &router->lanes[lane_number(router, shard->id)];
    router_expect("a shard's epoch", shard->epoch, is_held(lane) ? lane->epoch : 0);
    for (const ownership_t *ownership = shard->ownerships; ownership; ownership = ownership->next) {
        check_ownership(router, ownership);
        if (ownership->owner) {
            router_expect("an owner's epoch", ownership->token.home_epoch, shard->epoch);
            router_expect("an owner's sequence",
                          ownership->token.owner_sequence <= shard->owner_sequence, true);
            router_expect("the ownership of a token",
                          ownership_of_token(shard, ownership->token) == ownership, true);
        }
    }
}

/* What follows from a message that was delivered early is in no earlier entry. */
static void check_early(const batch_builder_t *builder)
{
    uint64_t early = 0;
    for (size_t i = 0; i < builder->message_count; i++) {
        const message_t *message = message_of(builder->messages[i]);
        early += message->early;
        router_expect("a message that was delivered early and is in a queue",
                      message->early && message->state == MESSAGE_IN_LANE, false);
    }
    router_expect("messages that were delivered early", builder->early_count, early);
}

/* No end is appended whose message is not: the batch under way has it, or an entry before. */
static void check_ends(const lane_batches_t *batches)
{
    const batch_builder_t *next = &batches->next;
    const batch_builder_t *current = &batches->current;
    for (size_t i = 0; batches->running && !batches->orphaned && i < next->message_count; i++) {
        const store_message_t *message = next->messages[i];
        for (size_t j = 0; j < current->end_count; j++) {
            router_expect("an end before its message", current->ends[j].message == message, false);
        }
        for (size_t j = 0; j < current->attempt_count; j++) {
            router_expect("an attempt before its message", current->attempts[j].message == message,
                          false);
        }
    }
}

static void check_lane(const router_lane_t *lane)
{
    const lane_batches_t *batches = &lane->batches;
    const batch_builder_t *next = &batches->next;
    bool filled = next->message_count + next->move_count + next->attempt_count + next->end_count +
                      next->clear_count + next->sent_count >
                  0;
    router_expect("what a lane appends", filled && !is_held(lane), false);
    router_expect("look-ups in a lane", lane->lookup_next.count > 0 && !is_held(lane), false);
    router_expect("an adoption that is due", lane->adoption_due && lane->state != LANE_ADOPTING,
                  false);
    router_expect("an orphaned batch", batches->orphaned && !batches->running, false);
    router_expect("orphans", batches->orphans && !batches->orphaned, false);
    for (const message_t *message = batches->orphans; message; message = message->chain) {
        router_expect("an orphan", message->orphaned && !message->entity, true);
        router_expect("an orphan that calls wait for",
                      message_is_called(message) && !message_is_unstored(message), false);
    }
    check_ends(batches);
    check_early(next);
    if (batches->running) {
        check_early(&batches->current);
    }
}

static void check_lanes(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        check_lane(&router->lanes[i]);
    }
    for (uint16_t group = 0; group < LIMIT_GROUPS_MAX; group++) {
        for (uint32_t i = 0; router->groups[group] && i < router->config.shards_per_group; i++) {
            check_shard(router, &router->groups[group][i]);
        }
    }
}

const char *router_check(const router_t *router)
{
    fault[0] = '\0';
    check_lanes(router);
    check_messages(router);
    check_clients(router);
    check_keys(router);
    check_states(router);
    check_peers(router);
    for (const entity_t *entity = router->entities; entity; entity = entity->by_name.next) {
        check_entity(router, entity);
    }
    uint32_t to_log = 0;
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        check_runner(router, runner);
        to_log += runner->to_log;
    }
    router_expect("runners whose health is to be logged", router->runners_to_log, to_log);
    router_check_lanes(router);
    return fault[0] ? fault : NULL;
}

bool router_knows(router_t *router, request_id_t id)
{
    const message_t *message = message_find(router, id);
    return message && message->state != MESSAGE_STORED;
}
