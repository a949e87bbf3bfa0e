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
    calls_account(router, client, message->size, 0);
    message->chain = NULL;
    *(held->first ? &held->last->chain : &held->first) = message;
    held->last = message;
}

message_t *requests_take_held(router_t *router, client_t *client)
{
    message_t *first = client->held.first;
    for (const message_t *message = first; message; message = message->chain) {
        router->held--;
        calls_account(router, client, 0, message->size);
    }
    client->held.first = client->held.last = NULL;
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

void lookup_add(router_t *router, client_t *client, message_t *message)
{
    lookup_push(&lane_of(router, message->stored.shard)->lookup_next,
                (lookup_item_t){.message = message, .client = client});
    client->held.lookups++;
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
    free(current->calls);
    current->calls = memory_allocate(count * sizeof *current->calls);
    current->floor = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const message_t *message = current->items[i].message;
        current->calls[i] = message->stored.call;
        current->floor = message->floor < current->floor ? message->floor : current->floor;
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
    lookup->running = true;
    *result = (router_lookup_t){{lookup->floor}, lookup->calls, lookup->count};
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

static lookup_outcome_t outcome_of(const lookup_item_t *item, fabric_error_t error,
                                   request_id_t reached)
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
    return item->message->floor < reached.value ? LOOKUP_UNKNOWN : LOOKUP_NOT_FOUND;
}

size_t lookup_end(lookup_t *lookup, fabric_error_t error, request_id_t reached)
{
    size_t count = lookup->count;
    for (size_t i = 0; i < count; i++) {
        const lookup_item_t *item = &lookup->items[i];
        item->message->lookup_outcome = outcome_of(item, error, reached);
        item->client->held.lookups--;
    }
    lookup->running = false;
    lookup->answered++;
    lookup->count = 0;
    return count;
}

size_t lookup_abandon(lookup_t *lookup)
{
    size_t count = lookup->count;
    for (size_t i = 0; i < count; i++) {
        lookup->items[i].message->lookup_outcome = LOOKUP_MOVED;
        lookup->items[i].client->held.lookups--;
    }
    lookup->count = 0;
    return count;
}

void lookups_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free(router->lanes[i].lookup_current.items);
        free(router->lanes[i].lookup_current.calls);
        free(router->lanes[i].lookup_next.items);
        free(router->lanes[i].lookup_next.calls);
    }
}
