/* What callers are told: see answers.h. */
#include "broker/router/answers.h"

#include <stdio.h>

#include "broker/router/ghosts.h"
#include "broker/router/outgoing.h"
#include "broker/router/router_state.h"

enum { LANE_RETRY_MS = 50, LANE_TEXT_SIZE = 100 };

/* ---- one request ---- */

/* What a client without a connection is told: nothing, unless it is one of outgoing messages.
 * `id`: of the accepted message. */
static void answer_unconnected(router_t *router, client_t *client, uint64_t sequence,
                               const message_outgoing_answer_t *answer)
{
    if (!client->outgoing) {
        router->counters.unsent++;
        return;
    }
    message_outgoing_answer_t whole = *answer;
    whole.source = client->number;
    whole.sequence = sequence & ~CALL_OUTGOING;
    outgoing_answer_send(router, client->incarnation, &whole);
    client_note_answer(router, client);
}

void request_reject(router_t *router, client_t *client, uint64_t sequence, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text)
{
    router->counters.rejected++;
    if (!client->peer) {
        message_outgoing_answer_t answer = {.error = (uint64_t)error,
                                            .retry_after_ms = retry_after_ms,
                                            .text = fabric_bytes_of(text)};
        answer_unconnected(router, client, sequence, &answer);
        return;
    }
    message_rejected_t rejected = {.sequence = sequence,
                                   .error = (uint64_t)error,
                                   .retry_after_ms = retry_after_ms,
                                   .text = fabric_bytes_of(text)};
    message_put_rejected(peer_writer(router, client->peer), &rejected);
}

void request_reject_conflict(router_t *router, client_t *client, uint64_t sequence)
{
    request_reject(router, client, sequence, FABRIC_ERROR_ALREADY_PROCESSING, 0,
                   "the call key stands for a message with other contents");
}

void request_redirect_to(router_t *router, client_t *client, uint64_t sequence, shard_id_t shard,
                         const char *endpoint)
{
    router->counters.rejected++;
    if (!client->peer) {
        message_outgoing_answer_t answer = {.error = FABRIC_ERROR_NOT_HOME};
        answer_unconnected(router, client, sequence, &answer);
        return;
    }
    message_redirect_t redirect = {
        .sequence = sequence, .shard = shard.value, .endpoint = fabric_bytes_of(endpoint)};
    message_put_redirect(peer_writer(router, client->peer), &redirect);
}

/* Whether the lane is this broker's, and does not serve yet or any more. Sets the text, for the
 * callers of its shards. */
static bool is_changing(const router_t *router, uint32_t number, char text[LANE_TEXT_SIZE])
{
    const router_lane_t *lane = &router->lanes[number];
    const char *what = lane->state == LANE_LEAVING ? "is being handed over to another broker"
                       : lane->damaged             ? "is damaged: the log of its broker says where"
                                                   : "is being adopted by this broker";
    snprintf(text, LANE_TEXT_SIZE, "lane %u %s", (unsigned)number, what);
    return lane->state == LANE_ADOPTING || lane->state == LANE_LEAVING;
}

void request_redirect(router_t *router, client_t *client, uint64_t sequence, shard_id_t shard)
{
    char text[LANE_TEXT_SIZE];
    const map_broker_t *home = router_other_home(router, shard);
    if (!home && is_changing(router, lane_number(router, shard), text)) {
        request_reject(router, client, sequence, FABRIC_ERROR_NOT_HOME, LANE_RETRY_MS, text);
        return;
    }
    request_redirect_to(router, client, sequence, shard, home ? home->router_endpoint : "");
}

/* A durable call's answer waits in the store until the client asks again. A volatile call's answer
 * is lost without a connection. */
static bool is_reachable(router_t *router, const client_t *client, const message_t *message)
{
    bool reachable = client && client->peer;
    router->counters.unsent += !reachable && !(message->stored.flags & REQUEST_DURABLE);
    return reachable;
}

static void send_accepted(router_t *router, client_t *client, uint64_t sequence,
                          const message_t *message)
{
    if (client && client->outgoing) {
        message_outgoing_answer_t answer = {.request_id = message->stored.id.value};
        answer_unconnected(router, client, sequence, &answer);
    } else if (is_reachable(router, client, message)) {
        message_accepted_t accepted = {.sequence = sequence,
                                       .request_id = message->stored.id.value};
        message_put_accepted(peer_writer(router, client->peer), &accepted);
    }
}

static void send_reply(router_t *router, const client_t *client, uint64_t sequence,
                       const message_t *message)
{
    if (!is_reachable(router, client, message)) {
        return;
    }
    message_reply_t reply = {.sequence = sequence,
                             .request_id = message->stored.id.value,
                             .status = message->reply.status,
                             .error = message->reply.error,
                             .code = message->reply.code,
                             .payload = message->reply.payload};
    message_put_reply(peer_writer(router, client->peer), &reply);
}

void call_answer_again(router_t *router, client_t *client, call_t *call, const message_t *again)
{
    message_t *message = call->message;
    uint32_t flags = again->stored.flags; /* a message with a primary key may have others */
    call_set_deadline(client, call, again->deadline_ms);
    if (call->state == CALL_OPEN && !message_is_unstored(message)) {
        message->deadline_ms = again->deadline_ms;
    }
    if (call->state == CALL_REFUSED) {
        request_reject(router, client, call->sequence, call->error, 0, "");
    } else if (message && !message_has_contents(message, &again->stored)) {
        request_reject_conflict(router, client, call->sequence);
    } else if (message && call->state == CALL_ENDED && !(flags & REQUEST_TELL)) {
        send_reply(router, client, call->sequence, message);
    } else if (message && flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED) &&
               !message_is_unstored(message)) {
        send_accepted(router, client, call->sequence, message);
    }
}

/* A stored message will be handled; one that is not stored may be stored later. */
static void tell_overdue(router_t *router, client_t *client, const call_t *call)
{
    message_t *message = call->message;
    if (!message || message_is_unstored(message)) {
        request_reject(router, client, call->sequence, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                       "the deadline has passed, and it is not known yet whether it is stored");
        return;
    }
    call_key_t key = {client->number, call->sequence};
    if (!(message_find_waiter(message, key)->flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED))) {
        send_accepted(router, client, call->sequence, message);
    }
}

void client_tell_overdue(router_t *router, client_t *client)
{
    uint64_t place = 0;
    const call_t *call;
    while ((call = calls_next_overdue(client, router->now_ms, &place))) {
        tell_overdue(router, client, call);
    }
}

/* ---- whoever waits for a message ---- */

/* NULL: the caller is gone for good. */
static client_t *client_of(router_t *router, const message_t *message, const waiter_t *waiter)
{
    client_t *client = client_of_call(router, waiter->call);
    bool durable = message->stored.flags & REQUEST_DURABLE;
    return client && (durable || client->life == waiter->life) ? client : NULL;
}

bool message_is_awaited(router_t *router, const message_t *message)
{
    const waiter_t *waiter = &message->waiter;
    while (waiter && !client_of(router, message, waiter)) {
        waiter = waiter->next;
    }
    return waiter != NULL;
}

void message_send_accepted(router_t *router, const message_t *message)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        send_accepted(router, client_of(router, message, waiter), waiter->call.sequence, message);
    }
}

void message_send_wanted_accepted(router_t *router, const message_t *message)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        if (waiter->flags & REQUEST_WANT_ACCEPTED) {
            send_accepted(router, client_of(router, message, waiter), waiter->call.sequence,
                          message);
        }
    }
}

/* Whether the caller is through when the message is stored: see waiter_t. */
static bool is_told(const message_t *message, const waiter_t *waiter)
{
    return waiter->flags & REQUEST_TELL && message->stored.flags & REQUEST_DURABLE;
}

void message_send_reply(router_t *router, const message_t *message)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        if (!is_told(message, waiter)) {
            send_reply(router, client_of(router, message, waiter), waiter->call.sequence, message);
        }
    }
}

void message_reject(router_t *router, const message_t *message, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        client_t *client = client_of(router, message, waiter);
        if (client) {
            request_reject(router, client, waiter->call.sequence, error, retry_after_ms, text);
        } else {
            router->counters.unsent++;
        }
    }
}

/* Whether the caller has sent the call again, and another record of it, or a look-up, answers. */
static bool asks_anew(const client_t *client, const message_t *message, const waiter_t *waiter)
{
    const call_t *call = call_find(client, waiter->call.sequence);
    return call && call->message != message;
}

void message_redirect(router_t *router, const message_t *message)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        client_t *client = client_of(router, message, waiter);
        if (client && asks_anew(client, message, waiter)) {
            continue;
        }
        if (client) {
            request_redirect(router, client, waiter->call.sequence, message->stored.shard);
        } else {
            router->counters.unsent++;
        }
    }
}

static bool hears_waits(const client_t *client)
{
    return client && client->peer && client->hears_waits;
}

bool message_hears_waits(router_t *router, const message_t *message)
{
    const waiter_t *waiter = message->early ? NULL : &message->waiter;
    while (waiter && !hears_waits(client_of(router, message, waiter))) {
        waiter = waiter->next;
    }
    return waiter != NULL;
}

static void send_wait(router_t *router, const client_t *client, uint64_t sequence,
                      fabric_error_t error, const char *text)
{
    wire_writer_t document = {0};
    wire_put_uint(&document, sequence);
    message_answer_t answer = {.sequence = client->waits_sequence,
                               .error = (uint64_t)error,
                               .text = fabric_bytes_of(text),
                               .document = wire_writer_bytes(&document)};
    message_put_answer(peer_writer(router, client->peer), &answer);
    wire_writer_destroy(&document);
}

void message_send_wait(router_t *router, const message_t *message, fabric_error_t error,
                       const char *text)
{
    for (const waiter_t *waiter = &message->waiter; waiter; waiter = waiter->next) {
        const client_t *client = client_of(router, message, waiter);
        if (hears_waits(client)) {
            send_wait(router, client, waiter->call.sequence, error, text);
        }
    }
}

/* ---- the calls of a message ---- */

void message_left_lane(router_t *router, message_t *message)
{
    if (message->settled_early) {
        call_left_lane(client_of_call(router, message->stored.call), message);
    }
}

bool message_end_calls(router_t *router, message_t *message)
{
    waiter_t *next = &message->waiter;
    while (next) {
        waiter_t *waiter = next;
        next = waiter->next;
        if (waiter->called) {
            client_t *client = client_of_call(router, waiter->call);
            call_end(router, client, call_find(client, waiter->call.sequence), message);
        }
    }
    return message_is_called(message);
}

void message_drop_calls(router_t *router, message_t *message)
{
    waiter_t *next = &message->waiter;
    while (next) {
        waiter_t *waiter = next;
        next = waiter->next;
        if (waiter->called) {
            client_t *client = client_of_call(router, waiter->call);
            call_drop(router, client, call_find(client, waiter->call.sequence));
        }
    }
}
