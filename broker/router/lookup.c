/* Look-ups of calls in the store, and the requests that are held for them: see lookup_state.h. One
 * pass over the lane's entries above the lowest floor of their calls settles all items of a look-
 * up. */
#include "broker/router/lookup_state.h"

#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* Bytes of the requests of one look-up. The messages that it finds are kept in memory beside
 * them. */
enum { LOOKUP_BYTES_MAX = 16 << 20 };

/* ---- held requests ---- */

void request_hold(router_t *router, client_t *client, message_t *message, call_t *call)
{
    held_requests_t *held = &client->held;
    if (call) {
        call_wait(client, call, message->deadline_ms);
    }
    router->held++;
    calls_account(router, client, message->size + held_call_bytes(), 0);
    held_calls_add(&held->calls, message);
    message->chain = NULL;
    *(held->first ? &held->last->chain : &held->first) = message;
    held->last = message;
}

static void take(router_t *router, client_t *client, const message_t *message)
{
    router->held--;
    calls_account(router, client, 0, message->size + held_call_bytes());
    held_calls_remove(&client->held.calls, message);
}

message_t *requests_take_held(router_t *router, client_t *client)
{
    message_t *first = client->held.first;
    for (const message_t *message = first; message; message = message->chain) {
        take(router, client, message);
    }
    client->held.first = client->held.last = NULL;
    return first;
}

message_t *requests_take_ready(router_t *router, client_t *client)
{
    held_requests_t *held = &client->held;
    message_t *first = held->first;
    message_t *last = NULL;
    for (message_t *message = first; message && message->key_outcome != KEY_ASKED;
         message = message->chain) {
        take(router, client, message);
        last = message;
    }
    if (!last) {
        return NULL;
    }
    held->first = last->chain;
    held->last = held->first ? held->last : NULL;
    last->chain = NULL;
    return first;
}

/* ---- look-ups ---- */

static void lookup_push(lookup_t *lookup, lookup_item_t item)
{
    if (lookup->count == lookup->capacity) {
        lookup->capacity = lookup->capacity ? 2 * lookup->capacity : 64;
        lookup->items = memory_resize(lookup->items, lookup->capacity, sizeof *lookup->items);
    }
    lookup->items[lookup->count++] = item;
}

void lookup_add(router_t *router, client_t *client, message_t *message, bool call_wanted)
{
    lookup_push(&lane_of(router, message->stored.shard)->lookup_next,
                (lookup_item_t){.message = message, .client = client, .call_wanted = call_wanted});
    client->held.lookups += call_wanted;
    if (message->stored.key_hash) {
        message->key_outcome = KEY_ASKED;
    }
}

static int compare_items(const void *a, const void *b)
{
    const call_key_t *x = &((const lookup_item_t *)a)->message->stored.call;
    const call_key_t *y = &((const lookup_item_t *)b)->message->stored.call;
    if (x->client != y->client) {
        return x->client < y->client ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* How many of the oldest items one look-up may have; at least 1. */
static size_t count_items(const lookup_t *next)
{
    size_t count = 0;
    for (uint64_t bytes = 0; count < next->count && bytes < LOOKUP_BYTES_MAX; count++) {
        bytes += next->items[count].message->size;
    }
    return count;
}

/* Moves the oldest items from `next` to `current`, in the order of their keys. */
static void take_items(lookup_t *current, lookup_t *next)
{
    size_t count = count_items(next);
    lookup_t all = *next;
    all.answered = current->answered;
    *next = *current;
    *current = all;
    current->count = count;
    next->count = 0;
    for (size_t i = count; i < all.count; i++) {
        lookup_push(next, all.items[i]);
    }
    qsort(current->items, count, sizeof *current->items, compare_items);
}

static void note_calls(lookup_t *lookup)
{
    free(lookup->calls);
    lookup->calls = memory_allocate(lookup->count * sizeof *lookup->calls);
    lookup->call_count = 0;
    lookup->floor = UINT64_MAX;
    for (size_t i = 0; i < lookup->count; i++) {
        const message_t *message = lookup->items[i].message;
        if (lookup->items[i].call_wanted) {
            lookup->calls[lookup->call_count++] = message->stored.call;
            lookup->floor = message->floor < lookup->floor ? message->floor : lookup->floor;
        }
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(((const lookup_key_t *)a)->hash, ((const lookup_key_t *)b)->hash,
                  STORE_KEY_BYTES);
}

static void note_keys(lookup_t *lookup)
{
    free(lookup->keys);
    free(lookup->names);
    lookup->keys = memory_allocate(lookup->count * sizeof *lookup->keys);
    lookup->names = memory_allocate(lookup->count * sizeof *lookup->names);
    lookup->key_count = lookup->name_count = 0;
    for (size_t i = 0; i < lookup->count; i++) {
        const uint8_t *hash = lookup->items[i].message->stored.key_hash;
        if (hash) {
            lookup->keys[lookup->key_count++] = (lookup_key_t){hash, i};
        }
    }
    qsort(lookup->keys, lookup->key_count, sizeof *lookup->keys, compare_keys);
    for (size_t i = 0; i < lookup->key_count; i++) {
        if (i == 0 || compare_keys(&lookup->keys[i - 1], &lookup->keys[i]) != 0) {
            store_key_name_t *name = &lookup->names[lookup->name_count++];
            name->entity_hash = lookup->items[lookup->keys[i].item].message->entity_hash;
            memcpy(name->hash, lookup->keys[i].hash, STORE_KEY_BYTES);
        }
    }
}

bool router_take_lookup(router_t *router, uint32_t number, router_lookup_t *result)
{
    router_lane_t *lane = &router->lanes[number];
    lookup_t *lookup = &lane->lookup_current;
    if (lookup->running || lane->lookup_next.count == 0) {
        return false;
    }
    take_items(lookup, &lane->lookup_next);
    note_calls(lookup);
    note_keys(lookup);
    lookup->forgotten = lane->keys.forgotten;
    key_page_t page = key_list_next(&lane->keys.list, lookup->name_count);
    lookup->list = page.number;
    lookup->lost = UINT64_MAX;
    lookup->running = true;
    *result = (router_lookup_t){.floor = {lookup->floor},
                                .calls = lookup->calls,
                                .call_count = lookup->call_count,
                                .keys = lookup->names,
                                .key_count = lookup->name_count,
                                .page = page};
    return true;
}

/* The first of the items with this call key: a client may have sent one call several times. */
static lookup_item_t *first_item(lookup_t *lookup, call_key_t call)
{
    size_t low = 0;
    size_t high = lookup->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        call_key_t at = lookup->items[middle].message->stored.call;
        bool less =
            at.client != call.client ? at.client < call.client : at.sequence < call.sequence;
        if (less) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &lookup->items[low];
}

void lookup_found(router_t *router, lookup_t *lookup, const router_found_t *found)
{
    const store_message_t *message = found->message;
    const lookup_item_t *end = lookup->items + lookup->count;
    for (lookup_item_t *item = first_item(lookup, message->call); item < end; item++) {
        message_t *asked = item->message;
        if (asked->stored.call.client != message->call.client ||
            asked->stored.call.sequence != message->call.sequence) {
            break;
        }
        if (!item->call_wanted) {
            continue;
        }
        item->found = true;
        item->conflict =
            found->contents != 0 && journal_contents_hash(&asked->stored) != found->contents;
        asked->stored.id = message->id;
        asked->position = found->position ? found->position : message->id.value;
        asked->stored.deliver_at_ms = message->deliver_at_ms;
        item->doubtful = request_id_is_too_high(router, message->id);
        if (found->reply) {
            item->ended = true;
            uint32_t before = asked->size;
            message_set_reply(asked, found->reply);
            calls_account(router, item->client, asked->size, before);
        }
    }
}

/* The first of the keys with this hash. */
static const lookup_key_t *first_key(const lookup_t *lookup, const uint8_t *hash)
{
    size_t low = 0;
    size_t high = lookup->key_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(lookup->keys[middle].hash, hash, STORE_KEY_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &lookup->keys[low];
}

void lookup_key_found(router_t *router, lookup_t *lookup, const store_key_t *row,
                      uint64_t last_entry)
{
    bool is_doubtful = row->number > last_entry; /* a successor has written it */
    const lookup_key_t *end = lookup->keys + lookup->key_count;
    for (const lookup_key_t *key = first_key(lookup, row->hash);
         key < end && memcmp(key->hash, row->hash, STORE_KEY_BYTES) == 0; key++) {
        lookup_item_t *item = &lookup->items[key->item];
        message_t *asked = item->message;
        item->key_found = true;
        if (item->found) {
            continue; /* its own call is known */
        }
        asked->stored.id = row->reply.id;
        item->key_doubtful = is_doubtful || request_id_is_too_high(router, row->reply.id);
        if (row->ended) {
            item->key_ended = true;
            uint32_t before = asked->size;
            message_set_reply(asked, &row->reply);
            calls_account(router, item->client, asked->size, before);
        }
    }
}

static key_outcome_t key_outcome_of(const lookup_item_t *item, fabric_error_t error)
{
    if (error || item->key_doubtful) {
        return KEY_FAILED;
    }
    if (!item->key_found) {
        return KEY_FREE;
    }
    return item->key_ended ? KEY_ENDED : KEY_PENDING;
}

/* Clients may ask their users; for an outgoing message unknown is the end, so it has to be true. */
static lookup_outcome_t outcome_below(const lookup_t *lookup, const lookup_item_t *item)
{
    bool is_there = item->message->floor >= lookup->lost;
    return item->client->outgoing && is_there ? LOOKUP_CUT_SHORT : LOOKUP_UNKNOWN;
}

static lookup_outcome_t outcome_of(const lookup_t *lookup, const lookup_item_t *item,
                                   fabric_error_t error, request_id_t reached)
{
    if (error || item->doubtful) {
        return LOOKUP_FAILED;
    }
    if (item->conflict) {
        return LOOKUP_CONFLICT;
    }
    if (item->found) {
        return item->ended ? LOOKUP_ENDED : LOOKUP_PENDING;
    }
    return item->message->floor < reached.value ? outcome_below(lookup, item) : LOOKUP_NOT_FOUND;
}

static void set_outcome(router_t *router, const lookup_item_t *item, lookup_outcome_t outcome)
{
    lookup_rounds_t *rounds = &lane_of(router, item->message->stored.shard)->rounds;
    item->message->lookup_outcome = (uint8_t)outcome;
    item->message->lookup_round = rounds->number & 1;
    rounds->held[rounds->number & 1]++;
    item->client->held.lookups -= item->call_wanted;
}

size_t lookup_end(router_t *router, lookup_t *lookup, fabric_error_t error, request_id_t reached)
{
    size_t count = lookup->count;
    for (size_t i = 0; i < count; i++) {
        const lookup_item_t *item = &lookup->items[i];
        message_t *message = item->message;
        if (item->call_wanted) {
            set_outcome(router, item, outcome_of(lookup, item, error, reached));
        }
        if (message->stored.key_hash) {
            message->key_outcome = (uint8_t)key_outcome_of(item, error);
            message->key_forgotten = lookup->forgotten;
        }
    }
    lookup->running = false;
    lookup->answered++;
    lookup->count = lookup->key_count = 0;
    return count;
}

size_t lookup_abandon(router_t *router, lookup_t *lookup)
{
    size_t count = lookup->count;
    for (size_t i = 0; i < count; i++) {
        lookup->items[i].message->key_outcome = KEY_UNASKED;
        set_outcome(router, &lookup->items[i], LOOKUP_MOVED);
    }
    lookup->count = lookup->key_count = 0;
    return count;
}

static void abandon_found(router_t *router, const router_lane_t *lane, const client_t *client)
{
    for (; client; client = client->by_number.next) {
        for (message_t *message = client->held.first; message; message = message->chain) {
            if (message->lookup_outcome != LOOKUP_NONE &&
                lane_of(router, message->stored.shard) == lane) {
                message->lookup_outcome = LOOKUP_MOVED;
                message->key_outcome = KEY_UNASKED;
            }
        }
    }
}

void lookup_abandon_found(router_t *router, const router_lane_t *lane)
{
    if (lane->rounds.held[0] + lane->rounds.held[1] > 0) {
        abandon_found(router, lane, router->clients);
        abandon_found(router, lane, router->outgoing_by_number);
    }
}

bool lookup_acted_on(router_lane_t *lane, uint8_t round)
{
    return --lane->rounds.held[round] == 0;
}

void lookup_rounds_pass(router_lane_t *lane)
{
    lookup_rounds_t *rounds = &lane->rounds;
    for (int i = 0; i < 2; i++) {
        if (!lane->lookup_current.running && rounds->held[(rounds->number + 1) & 1] == 0) {
            rounds->number++;
        }
    }
}

static void lookup_clear(lookup_t *lookup)
{
    free(lookup->calls);
    free(lookup->keys);
    free(lookup->names);
}

void lookups_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free(router->lanes[i].lookup_current.items);
        free(router->lanes[i].lookup_next.items);
        lookup_clear(&router->lanes[i].lookup_current);
        lookup_clear(&router->lanes[i].lookup_next);
    }
}
