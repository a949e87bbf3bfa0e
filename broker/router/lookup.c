/* Calls that have to be looked up in the store: resends that this home does not remember. One scan of the mailbox above their
 * lowest floor settles all of a lane's open look-ups; meanwhile what a client sends after them is held, so that its order stays.
 *
 * Look-ups and commits go on beside each other. That is safe since a call is looked up only when it is not in a lane, and is
 * accepted only when its client has no look-up under way: what a look-up has to find was committed before it began.
 */
#include "broker/router/admission.h"
#include "broker/router/damaged_rows.h"
#include "broker/router/router_state.h"

/* Of the calls of one look-up. What it finds is held in memory beside them. */
enum { LOOKUP_BYTES_MAX = 16 << 20 };

static void lookup_push(lookup_t *lookup, lookup_item_t item)
{
    if (lookup->count == lookup->capacity) {
        lookup->capacity = lookup->capacity ? 2 * lookup->capacity : 64;
        lookup->items = realloc(lookup->items, lookup->capacity * sizeof *lookup->items);
        if (!lookup->items) {
            abort();
        }
    }
    lookup->items[lookup->count++] = item;
}

void lookup_add(router_t *router, client_t *client, message_t *message)
{
    lookup_push(&lane_of(router, message->stored.shard)->lookup_next,
                (lookup_item_t){.message = message, .client = client});
    client->lookups++;
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

/* How many calls from the oldest on one look-up may hold; at least 1. */
static size_t count_items(const lookup_t *next)
{
    size_t count = 0;
    for (uint64_t bytes = 0; count < next->count && bytes < LOOKUP_BYTES_MAX; count++) {
        bytes += next->items[count].message->size;
    }
    return count;
}

/* Moves the oldest calls from `next` to `current`, in the order of their keys. */
static void take_items(lookup_t *current, lookup_t *next)
{
    size_t count = count_items(next);
    lookup_t all = *next;
    *next = *current;
    *current = all;
    current->count = count;
    next->count = 0;
    for (size_t i = count; i < all.count; i++) {
        lookup_push(next, all.items[i]);
    }
    qsort(current->items, count, sizeof *current->items, compare_items);
    free(current->calls);
    current->calls = malloc(count * sizeof *current->calls);
    if (!current->calls) {
        abort();
    }
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

/* All items with this call key: a client may have sent one call several times. */
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

static void set_stored_reply(router_t *router, message_t *asked, const store_message_t *stored,
                             const store_reply_t *reply)
{
    static const char text[] = "the stored reply is damaged";
    store_reply_t told = *reply;
    if (!stored_reply_is_sound(router, stored, reply)) {
        told.status = STATUS_DEFECT;
        told.error = FABRIC_ERROR_ENTITY_DEFECT;
        told.code = 0;
        told.payload = fabric_bytes(text, sizeof text - 1);
    }
    message_set_reply(asked, &told);
}

void router_lookup_found(router_t *router, uint32_t number, const store_message_t *message,
                         const store_reply_t *reply)
{
    lookup_t *lookup = &router->lanes[number].lookup_current;
    const lookup_item_t *end = lookup->items + lookup->count;
    for (lookup_item_t *item = first_item(lookup, message->call); item < end; item++) {
        if (item->message->stored.call.client != message->call.client ||
            item->message->stored.call.sequence != message->call.sequence) {
            break;
        }
        item->found = true;
        item->conflict = !call_same_contents(&item->message->stored, message);
        /* A damaged id is told to nobody: clients remember the highest. */
        item->message->stored.id =
            id_is_too_high(router, message->id) ? (request_id_t){0} : message->id;
        if (reply) {
            item->ended = true;
            uint32_t before = item->message->size;
            set_stored_reply(router, item->message, message, reply);
            item->client->bytes += item->message->size - before;
            router->client_bytes += item->message->size - before;
        }
    }
}

/* The call has ended: its reply is what the store has. */
static void answer_ended(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    message_set_state(message, MESSAGE_ENDED);
    if (message->stored.flags & REQUEST_TELL) {
        call_send_accepted(router, message);
    } else {
        call_send_reply(router, message);
    }
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (call) {
        call_open(call, message);
        call->state = CALL_ENDED;
        client_keep(router, client, message);
    } else {
        message_destroy(&message);
    }
}

/* The call is accepted and not ended: the message in the mailbox answers it. */
static void attach_pending(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    message_t *pending = NULL;
    HASH_FIND(by_id, router->messages_by_id, &message->stored.id, sizeof message->stored.id,
              pending);
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (!pending) { /* its shard is not ours (yet), or it has ended meanwhile: the next look-up will tell */
        if (call) {
            *call = (call_t){0};
        }
        request_reject(router, client, sequence, FABRIC_ERROR_NOT_HOME, 50, "");
    } else {
        if (call) {
            call_open(call, pending);
        }
        if (message->stored.flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED)) {
            call_send_accepted(router, pending);
        }
    }
    message_destroy(&message);
}

typedef enum waiting_kind {
    WAITING_HELD,
    WAITING_NEW,
    WAITING_PENDING,
    WAITING_ENDED,
    WAITING_CONFLICT,
    WAITING_UNKNOWN,
    WAITING_FAILED
} waiting_kind_t;

/* What the look-up found is marked on the message, until all of the client's look-ups are over. */
static void mark_item(const lookup_item_t *item, fabric_error_t error, request_id_t reached)
{
    waiting_kind_t kind = WAITING_NEW;
    if (error) {
        kind = WAITING_FAILED;
    } else if (item->conflict) {
        kind = WAITING_CONFLICT;
    } else if (item->ended) {
        kind = WAITING_ENDED;
    } else if (item->found) {
        kind = WAITING_PENDING;
    } else if (item->message->floor < reached.value) {
        kind = WAITING_UNKNOWN;
    }
    item->message->lookup_outcome = kind;
}

static void refuse_waiting(router_t *router, client_t *client, message_t *message,
                           fabric_error_t error)
{
    const char *text = error == FABRIC_ERROR_OUTCOME_UNKNOWN
                           ? "the call is older than the messages that may be looked through for it"
                           : store_cause(router, message->stored.shard, error);
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (call) {
        bool final = fabric_error_class(error) != FABRIC_CLASS_RETRY;
        call->state = final ? CALL_REFUSED : CALL_NONE;
        call->error = error;
    }
    request_reject(router, client, sequence, error, 100, text);
    message_destroy(&message);
}

/* The store does not know the call: it is accepted now, in its turn. */
static void accept_waiting(router_t *router, client_t *client, message_t *message)
{
    router_lane_t *lane = lane_of(router, message->stored.shard);
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (!call && batch_find_call(lane, message->stored.call)) {
        message_destroy(&message); /* the same call was looked up twice */
    } else if (!call_predecessor_known(client, message->predecessor)) {
        refuse_waiting(router, client, message, FABRIC_ERROR_PREDECESSOR_MISSING);
    } else {
        durable_accept(router, client, message);
    }
}

/* It came after look-ups that are over now: as if it came now. */
static void arrive_again(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (call && call->state == CALL_WAITING) {
        *call = (call_t){0};
    }
    call_arrived(router, client, message);
}

/* Everything that the client has waiting goes on, in the order in which it arrived. */
static void go_on(router_t *router, client_t *client)
{
    message_t *waiting = client_take_held(router, client);
    while (waiting) {
        message_t *message = waiting;
        waiting = message->chain;
        message->chain = NULL;
        waiting_kind_t kind = (waiting_kind_t)message->lookup_outcome;
        message->lookup_outcome = WAITING_HELD;
        switch (kind) {
        case WAITING_HELD:
            arrive_again(router, client, message);
            break;
        case WAITING_NEW:
            accept_waiting(router, client, message);
            break;
        case WAITING_PENDING:
            attach_pending(router, client, message);
            break;
        case WAITING_ENDED:
            answer_ended(router, client, message);
            break;
        case WAITING_CONFLICT:
            refuse_waiting(router, client, message, FABRIC_ERROR_ALREADY_PROCESSING);
            break;
        case WAITING_UNKNOWN:
            refuse_waiting(router, client, message, FABRIC_ERROR_OUTCOME_UNKNOWN);
            break;
        case WAITING_FAILED:
            refuse_waiting(router, client, message, FABRIC_ERROR_PERSISTENCE);
            break;
        }
    }
}

void router_lookup_done(router_t *router, uint32_t number, fabric_error_t error,
                        request_id_t reached, uint64_t now_ms)
{
    router->now_ms = now_ms;
    lookup_t *lookup = &router->lanes[number].lookup_current;
    size_t count = lookup->count;
    lookup->running = false;
    lookup->count = 0;
    for (size_t i = 0; i < count; i++) {
        mark_item(&lookup->items[i], error, reached);
        lookup->items[i].client->lookups--;
    }
    for (size_t i = 0; i < count; i++) {
        client_t *client = lookup->items[i].client;
        if (client->lookups == 0 && client->waiting) {
            go_on(router, client);
        }
    }
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
