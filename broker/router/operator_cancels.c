/* Cancels by operators: see operator_cancels.h. */
#include "broker/router/operator_cancels.h"

#include <stdlib.h>

#include <utlist.h>

#include "broker/router/cancels.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

enum { CANCELS_MAX = 64, IDS_MAX = 256, WAIT_MS_MAX = 60000 };

typedef enum outcome {
    OUTCOME_NONE,      /* not known yet */
    OUTCOME_CANCELLED, /* it has ended as cancelled */
    OUTCOME_ENDED,     /* it has ended, and not because of this cancel: `error` says how */
    OUTCOME_RUNNING,   /* its handler was told to stop, and has not ended in time */
    OUTCOME_WAITING,   /* its end was not durable in time */
    OUTCOME_MOVED,     /* its lane was dropped, or the message moved meanwhile */
    OUTCOME_UNKNOWN,   /* no lane of this broker has it */
    OUTCOME_FAILED     /* the store failed: `error` */
} outcome_t;

static const char *const outcome_names[] = {
    [OUTCOME_NONE] = "waiting",    [OUTCOME_CANCELLED] = "cancelled", [OUTCOME_ENDED] = "ended",
    [OUTCOME_RUNNING] = "running", [OUTCOME_WAITING] = "waiting",     [OUTCOME_MOVED] = "moved",
    [OUTCOME_UNKNOWN] = "unknown", [OUTCOME_FAILED] = "failed",
};

typedef struct operator_item {
    request_id_t id;
    outcome_t outcome;
    uint32_t error; /* fabric_error_t */
    bool in_memory; /* its end is waited for, in this lane: */
    uint32_t lane;
    uint64_t searches; /* else, a bit for each lane that is searched for it */
} operator_item_t;

struct operator_cancel {
    uint64_t origin; /* who asks */
    uint64_t sequence;
    uint64_t until_ms;
    uint64_t lanes; /* a bit for each lane that this broker was home of: the others are not its */
    operator_item_t *items;
    size_t count, open; /* items, and those without an outcome */
    operator_cancel_t *prev, *next;
};

_Static_assert(LIMIT_LANES_MAX <= 64, "a bit for each lane");

static uint64_t lane_bit(uint32_t lane)
{
    return UINT64_C(1) << lane;
}

/* ---- answers ---- */

static void put_lanes(uint64_t lanes, wire_writer_t *answer)
{
    uint32_t count = (uint32_t)__builtin_popcountll(lanes);
    wire_put_text(answer, "lanes");
    wire_put_array(answer, count);
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        if (lanes & lane_bit(i)) {
            wire_put_uint(answer, i);
        }
    }
}

static void put_item(const operator_item_t *item, wire_writer_t *answer)
{
    bool explained = item->outcome == OUTCOME_ENDED || item->outcome == OUTCOME_FAILED;
    wire_put_map(answer, explained ? 3 : 2);
    wire_put_text(answer, "request_id");
    wire_put_uint(answer, item->id.value);
    wire_put_text(answer, "outcome");
    wire_put_text(answer, outcome_names[item->outcome]);
    if (explained) {
        wire_put_text(answer, "error");
        wire_put_text(answer, fabric_error_name(fabric_error_from_number(item->error)));
    }
}

static void put_answer(router_t *router, const operator_cancel_t *cancel, wire_writer_t *answer)
{
    wire_put_map(answer, 3);
    wire_put_text(answer, "lane_count");
    wire_put_uint(answer, router->config.lanes);
    put_lanes(cancel->lanes, answer);
    wire_put_text(answer, "requests");
    wire_put_array(answer, (uint32_t)cancel->count);
    for (size_t i = 0; i < cancel->count; i++) {
        put_item(&cancel->items[i], answer);
    }
}

static void destroy(router_t *router, operator_cancel_t *cancel)
{
    DL_DELETE(router->operator_cancels.first, cancel);
    router->operator_cancels.count--;
    free(cancel->items);
    free(cancel);
}

static void finish(router_t *router, operator_cancel_t *cancel)
{
    peer_t *peer = peer_of_origin(router, cancel->origin);
    if (peer) {
        wire_writer_t document = {0};
        put_answer(router, cancel, &document);
        message_answer_t answer = {.sequence = cancel->sequence,
                                   .error = FABRIC_OK,
                                   .document = wire_writer_bytes(&document)};
        message_put_answer(peer_writer(router, peer), &answer);
        wire_writer_destroy(&document);
    }
    destroy(router, cancel);
}

static void finish_all(router_t *router)
{
    operator_cancel_t *cancel, *next;
    DL_FOREACH_SAFE(router->operator_cancels.first, cancel, next)
    {
        if (cancel->open == 0) {
            finish(router, cancel);
        }
    }
}

/* ---- items ---- */

static void settle(operator_cancel_t *cancel, operator_item_t *item, outcome_t outcome,
                   uint32_t error)
{
    if (item->outcome == OUTCOME_NONE) {
        item->outcome = outcome;
        item->error = error;
        cancel->open--;
    }
}

/* The durable message is in memory: it ends, or is marked. */
static void cancel_in_memory(router_t *router, operator_cancel_t *cancel, operator_item_t *item,
                             message_t *message)
{
    if (message->state == MESSAGE_ENDED) {
        settle(cancel, item, OUTCOME_ENDED, message->reply.error);
        return;
    }
    item->in_memory = true;
    item->searches = 0;
    item->lane = lane_number(router, message->stored.shard);
    if (router->lanes[item->lane].state != LANE_HOME) {
        settle(cancel, item, OUTCOME_MOVED, 0);
        return;
    }
    message->by_operator = true;
    if (!message->cancelled) {
        message_end_or_mark(router, message);
    }
}

static void search_lanes(router_t *router, const operator_cancel_t *cancel, operator_item_t *item)
{
    item->searches = cancel->lanes;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        if (cancel->lanes & lane_bit(i)) {
            search_add(router, i, item->id);
        }
    }
}

static void begin_item(router_t *router, operator_cancel_t *cancel, operator_item_t *item)
{
    message_t *message = message_find(router, item->id);
    bool is_durable = message && message->stored.flags & REQUEST_DURABLE;
    if (message && message->state != MESSAGE_STORED && is_durable) {
        cancel_in_memory(router, cancel, item, message);
    } else if (cancel->lanes == 0 || (message && !is_durable)) {
        settle(cancel, item, OUTCOME_UNKNOWN, 0);
    } else {
        search_lanes(router, cancel, item);
    }
}

/* One lane of those that are searched for the item's message has an answer. */
static void item_searched(router_t *router, operator_cancel_t *cancel, operator_item_t *item,
                          uint32_t lane, const search_item_t *found)
{
    message_t *message = message_find(router, item->id);
    item->searches &= ~lane_bit(lane);
    switch (found->result) {
    case SEARCH_NONE:
        if (item->searches == 0) {
            settle(cancel, item, OUTCOME_UNKNOWN, 0);
        }
        return;
    case SEARCH_MEMORY:
    case SEARCH_TAKEN:
        if (message && message->state != MESSAGE_STORED && message->entity) {
            cancel_in_memory(router, cancel, item, message);
        } else { /* a damaged row: it becomes a dead letter */
            settle(cancel, item, OUTCOME_ENDED, FABRIC_ERROR_DEAD_LETTER);
        }
        return;
    case SEARCH_ENDED:
        settle(cancel, item, OUTCOME_ENDED, found->end);
        return;
    case SEARCH_MOVED:
        settle(cancel, item, OUTCOME_MOVED, 0);
        return;
    case SEARCH_FAILED:
        settle(cancel, item, OUTCOME_FAILED, FABRIC_ERROR_PERSISTENCE);
        return;
    }
}

/* The message has been searched for in the lane. */
static void searched(router_t *router, request_id_t id, uint32_t lane, const search_item_t *found)
{
    operator_cancel_t *cancel;
    DL_FOREACH(router->operator_cancels.first, cancel)
    {
        for (size_t i = 0; i < cancel->count; i++) {
            operator_item_t *item = &cancel->items[i];
            if (item->id.value == id.value && item->outcome == OUTCOME_NONE &&
                item->searches & lane_bit(lane)) {
                item_searched(router, cancel, item, lane, found);
            }
        }
    }
}

void router_searched(router_t *router, uint32_t lane, fabric_error_t error, message_t *found,
                     uint64_t now_ms)
{
    router->now_ms = now_ms;
    const search_t *search = search_end(router, lane, error, found);
    for (size_t i = 0; i < search->count; i++) {
        searched(router, search->current[i].place.id, lane, &search->items[i]);
    }
    finish_all(router);
}

/* ---- beginning ---- */

static void refuse(router_t *router, peer_t *peer, uint64_t sequence, fabric_error_t error,
                   const char *text)
{
    message_answer_t answer = {
        .sequence = sequence, .error = (uint64_t)error, .text = fabric_bytes_of(text)};
    message_put_answer(peer_writer(router, peer), &answer);
}

static uint64_t home_lanes(const router_t *router)
{
    uint64_t lanes = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        lanes |= router->lanes[i].state == LANE_HOME ? lane_bit(i) : 0;
    }
    return lanes;
}

/* The argument: array(2) of the milliseconds to wait and an array of request ids. */
static operator_cancel_t *read_argument(const router_t *router, fabric_bytes_t argument)
{
    wire_reader_t reader = wire_reader(argument);
    uint32_t parts = wire_get_array(&reader);
    uint64_t wait_ms = wire_get_uint(&reader);
    uint32_t count = wire_get_array(&reader);
    if (reader.failed || parts != 2 || count < 1 || count > IDS_MAX) {
        return NULL;
    }
    operator_cancel_t *cancel = memory_allocate_zeroed(1, sizeof *cancel);
    cancel->until_ms = router->now_ms + (wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX);
    cancel->items = memory_allocate_zeroed(count, sizeof *cancel->items);
    cancel->count = cancel->open = count;
    bool sound = true;
    for (uint32_t i = 0; i < count; i++) {
        cancel->items[i].id.value = wire_get_uint(&reader);
        sound = sound && cancel->items[i].id.value != 0 && cancel->items[i].id.value <= INT64_MAX;
    }
    if (wire_finish(&reader) || !sound) {
        free(cancel->items);
        free(cancel);
        return NULL;
    }
    return cancel;
}

void operator_cancel_received(router_t *router, peer_t *peer, const message_query_t *query)
{
    if (router->operator_cancels.count >= CANCELS_MAX) {
        refuse(router, peer, query->sequence, FABRIC_ERROR_BUSY, "too many cancels at once");
        return;
    }
    operator_cancel_t *cancel = read_argument(router, query->argument);
    if (!cancel) {
        refuse(router, peer, query->sequence, FABRIC_ERROR_MALFORMED_MESSAGE,
               "the argument is an array of milliseconds to wait and 1 to 256 request ids");
        return;
    }
    cancel->origin = peer_origin(router, peer);
    cancel->sequence = query->sequence;
    cancel->lanes = home_lanes(router);
    DL_APPEND(router->operator_cancels.first, cancel);
    router->operator_cancels.count++;
    for (size_t i = 0; i < cancel->count; i++) {
        begin_item(router, cancel, &cancel->items[i]);
    }
    finish_all(router);
}

/* ---- ending ---- */

void operator_cancel_ended(router_t *router, const message_t *message)
{
    bool is_cancelled = message->reply.error == FABRIC_ERROR_CANCELLED;
    operator_cancel_t *cancel;
    DL_FOREACH(router->operator_cancels.first, cancel)
    {
        for (size_t i = 0; i < cancel->count; i++) {
            operator_item_t *item = &cancel->items[i];
            if (item->id.value == message->stored.id.value && item->in_memory) {
                settle(cancel, item, is_cancelled ? OUTCOME_CANCELLED : OUTCOME_ENDED,
                       message->reply.error);
            }
        }
    }
    finish_all(router);
}

void operator_cancels_drop(router_t *router, uint32_t lane)
{
    operator_cancel_t *cancel;
    DL_FOREACH(router->operator_cancels.first, cancel)
    {
        for (size_t i = 0; i < cancel->count; i++) {
            operator_item_t *item = &cancel->items[i];
            if ((item->in_memory && item->lane == lane) || item->searches & lane_bit(lane)) {
                settle(cancel, item, OUTCOME_MOVED, 0);
            }
        }
    }
    finish_all(router);
}

/* What is said of an item without an outcome. */
static outcome_t outcome_so_far(router_t *router, const operator_item_t *item)
{
    const message_t *message = message_find(router, item->id);
    if (item->in_memory && !message) {
        return OUTCOME_MOVED; /* it is gone without an end: the next search tells */
    }
    bool running = item->in_memory && message->state == MESSAGE_IN_FLIGHT;
    return running ? OUTCOME_RUNNING : OUTCOME_WAITING;
}

void operator_cancels_tick(router_t *router)
{
    operator_cancel_t *cancel, *next;
    DL_FOREACH_SAFE(router->operator_cancels.first, cancel, next)
    {
        if (router->now_ms < cancel->until_ms) {
            continue;
        }
        for (size_t i = 0; i < cancel->count; i++) {
            operator_item_t *item = &cancel->items[i];
            settle(cancel, item, outcome_so_far(router, item), 0);
        }
        finish(router, cancel);
    }
}

void operator_cancels_destroy(router_t *router)
{
    operator_cancel_t *cancel, *next;
    DL_FOREACH_SAFE(router->operator_cancels.first, cancel, next)
    {
        destroy(router, cancel);
    }
}
