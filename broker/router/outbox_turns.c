/* The turns of outgoing messages: see outbox_turns.h. */
#include "broker/router/outbox_turns.h"

#include <stdio.h>
#include <string.h>

#include "broker/router/outgoing.h"
#include "broker/router/outgoing_requests.h"
#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "core/crash_point.h"

/* PAUSE_MS: after a connection was lost, or could not take more. TURN_MAX: orders of one turn: a
 * message to this broker itself is admitted at once. */
enum { PAUSE_MS = 100, TURN_MAX = 256 };

/* ---- homes ---- */

/* The home of the lane by what is known here; none: nobody. */
static outbox_home_t home_of(const router_t *router, uint32_t number)
{
    const router_lane_t *lane = &router->lanes[number];
    if (lane->state == LANE_HOME) {
        return (outbox_home_t){.broker = router->config.incarnation, .epoch = lane->epoch};
    }
    const map_lane_t *mapped = shard_map_lane(router->map, number);
    bool known = mapped && shard_map_broker(router->map, mapped->home) &&
                 !incarnation_equal(mapped->home, router->config.incarnation);
    return known ? (outbox_home_t){.broker = mapped->home, .epoch = mapped->epoch}
                 : (outbox_home_t){.epoch = 0};
}

/* What was sent to another home, or under an epoch that is over, may not have been accepted. */
static void follow_home(lane_outbox_t *outbox, uint32_t target, const outbox_home_t *now)
{
    outbox_home_t *home = &outbox->homes[target];
    if (!incarnation_equal(home->broker, now->broker) || home->epoch != now->epoch) {
        *home = *now;
        sender_lost(outbox->sender, target);
    }
}

static void broker_lost(router_t *router, incarnation_t broker)
{
    for (uint32_t lane = 0; lane < router->config.lanes && router->outboxes > 0; lane++) {
        lane_outbox_t *outbox = &router->lanes[lane].outbox;
        for (uint32_t target = 0; outbox->sender && target < router->config.lanes; target++) {
            if (incarnation_equal(outbox->homes[target].broker, broker)) {
                sender_lost(outbox->sender, target);
                outbox->homes[target].pause_until_ms = router->now_ms + PAUSE_MS;
            }
        }
    }
}

/* ---- sending ---- */

/* Where router_t.outbox_of has the lane of a call's source. Others may have the same place, and
 * then its word is wrong. */
static uint8_t *place_of(router_t *router, call_key_t call)
{
    return &router->outbox_of[(call.client * UINT64_C(0x9e3779b97f4a7c15) >> 32) % OUTBOX_PLACES];
}

static void send_order(router_t *router, incarnation_t broker, const sender_order_t *order)
{
    outgoing_send_t send = {.broker = broker,
                            .message = order->message,
                            .call = order->call,
                            .predecessor = order->predecessor,
                            .floor = order->floor,
                            .resend = order->resend};
    router->counters.outgoing_resent += order->resend;
    *place_of(router, order->call) = (uint8_t)lane_number(router, order->message->source_shard);
    if (incarnation_equal(broker, router->config.incarnation)) {
        outgoing_request_send(router, &send);
    } else {
        outgoing_send_add(router, &send);
    }
    CRASH_POINT(TOLD_SENT);
}

/* At most so many as are `left`, which counts down. */
static void send_to(router_t *router, lane_outbox_t *outbox, uint32_t target, uint32_t *left)
{
    const outbox_home_t *home = &outbox->homes[target];
    sender_order_t order;
    while (*left > 0 && router->now_ms >= home->pause_until_ms &&
           sender_take(outbox->sender, target, router->now_ms, &order)) {
        send_order(router, home->broker, &order);
        --*left;
    }
}

/* To one target, of each lane. A lane that leaves sends nothing any more: its next home goes on. */
static void send_to_target(router_t *router, uint32_t target, uint32_t *left)
{
    outbox_home_t home = home_of(router, target);
    for (uint32_t i = 0; i < router->config.lanes && !incarnation_is_none(home.broker); i++) {
        router_lane_t *lane = &router->lanes[(router->outboxes_turn + i) % router->config.lanes];
        if (lane->outbox.sender && lane->state == LANE_HOME) {
            follow_home(&lane->outbox, target, &home);
            send_to(router, &lane->outbox, target, left);
        }
    }
}

static void send_all(router_t *router, uint32_t *left)
{
    for (uint32_t i = 0; i<router->config.lanes && * left> 0; i++) {
        send_to_target(router, (router->outboxes_turn + i) % router->config.lanes, left);
    }
}

/* ---- answers ---- */

static void answered(router_t *router, const outgoing_answer_t *answer)
{
    sender_answer_t given = {
        .error = answer->error, .id = answer->id, .retry_after_ms = answer->retry_after_ms};
    uint32_t first = *place_of(router, answer->call);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        lane_outbox_t *outbox = &router->lanes[(first + i) % router->config.lanes].outbox;
        if (outbox->sender &&
            sender_find(outbox->sender, answer->call, &given.key, &given.target_lane)) {
            sender_answer(outbox->sender, &given, router->now_ms);
            outbox_account(router, outbox);
            return;
        }
    }
}

/* Whether there were any. */
static bool take_answers(router_t *router)
{
    bool any = false;
    incarnation_t broker;
    while (outgoing_lost_take(router, &broker)) {
        broker_lost(router, broker);
        any = true;
    }
    outgoing_answer_t answer;
    while (outgoing_answer_take(router, &answer)) {
        answered(router, &answer);
        any = true;
    }
    return any;
}

/* ---- ends ---- */

/* Of the source's lane, with an id of its own. */
static message_t *make_dead_letter(router_t *router, const sender_end_t *end)
{
    const store_outgoing_t *told = end->message;
    store_message_t stored = {.id = request_id_make(router, (request_id_t){0}),
                              .shard = told->shard,
                              .flags = told->flags & ~(uint32_t)REQUEST_RESEND,
                              .type = told->type,
                              .entity = told->entity,
                              .tag = told->tag,
                              .payload = told->payload,
                              .traceparent = told->traceparent,
                              .headers = told->headers,
                              .call = {told->source.value, told->key.index + 1u},
                              .deliver_at_ms = told->deliver_at_ms};
    char text[LIMIT_TEXT_BYTES_MAX + 1]; /* cut at the limit */
    int size =
        snprintf(text, sizeof text, "%s; told by %.*s %.*s in %.*s, message %llu",
                 fabric_error_name(end->error), (int)told->source_type.size,
                 (const char *)told->source_type.data, (int)told->source_entity.size,
                 (const char *)told->source_entity.data, (int)told->source_tag.size,
                 (const char *)told->source_tag.data, (unsigned long long)told->source.value);
    store_reply_t reply = {
        .id = stored.id,
        .shard = stored.shard,
        .status = STATUS_DEFECT,
        .error = FABRIC_ERROR_DEAD_LETTER,
        .payload = fabric_bytes(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1)};
    message_t *dead = message_new(&stored);
    message_set_reply(dead, &reply);
    dead->position = stored.id.value;
    dead->entity_hash = journal_entity_hash(told->type, told->entity);
    dead->cause = (uint32_t)end->error;
    return dead;
}

static void note_end(router_t *router, router_lane_t *lane, const sender_end_t *end)
{
    const store_outgoing_t *told = end->message;
    batch_sent_t sent = {.source = told->source,
                         .shard = told->source_shard,
                         .entity_hash = journal_entity_hash(told->source_type, told->source_entity),
                         .outgoing_id = told->key.id,
                         .target_lane = told->target_lane,
                         .end = {.index = told->key.index, .id = end->id}};
    if (end->error) {
        message_t *dead = make_dead_letter(router, end);
        sent.dead = &dead->stored;
        sent.reply = &dead->reply;
        sent.end.id = dead->stored.id;
        sent.end.cause = dead->cause;
    }
    batch_add_sent(router, &lane->batches, &sent);
}

/* Dead letters need ids, each of them one that is reserved: what cannot be noted now is at a later
 * tick. A lane that is being adopted appends nothing yet. */
static void note_ends(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        router_lane_t *lane = &router->lanes[i];
        bool held = lane->state == LANE_HOME || lane->state == LANE_LEAVING;
        sender_end_t end;
        while (held && lane->outbox.sender && router_is_leased(router) &&
               sender_take_end(lane->outbox.sender, &end)) {
            note_end(router, lane, &end);
        }
    }
}

/* ---- events ---- */

void outboxes_run(router_t *router)
{
    if (router->outboxes == 0) {
        return;
    }
    bool any = take_answers(router) || router->outboxes_wait;
    router->outboxes_wait = false;
    if (!any) {
        return;
    }
    uint32_t left = TURN_MAX;
    do { /* what stays in this broker may be answered at once */
        send_all(router, &left);
    } while (take_answers(router) && left > 0);
    if (left == 0) {
        router->outboxes_go_on = true;
        router->outboxes_turn = (router->outboxes_turn + 1) % router->config.lanes;
    }
    note_ends(router);
}

bool outboxes_go_on(router_t *router)
{
    if (!router->outboxes_go_on) {
        return false;
    }
    router->outboxes_go_on = false;
    router->outboxes_wait = true;
    outboxes_run(router);
    return true;
}

/* What comes back is looked at when the event is over. */
bool router_next_outgoing(router_t *router, router_outgoing_t *outgoing)
{
    outboxes_run(router);
    return outgoing_request_next(router, outgoing);
}

void outboxes_tick(router_t *router)
{
    if (router->outboxes == 0) {
        (void)take_answers(router); /* nobody waits for them any more */
        return;
    }
    router->outboxes_wait = true;
    outboxes_run(router);
}

void router_outgoing_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                            outgoing_copy_t **messages, size_t count, bool ended, uint64_t now_ms)
{
    router->now_ms = now_ms;
    outbox_rows_loaded(router, lane, error, messages, count, ended);
    router->outboxes_wait = true;
    outboxes_run(router);
}
