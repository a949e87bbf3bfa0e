/* Outgoing messages that arrive: see outgoing_requests.h. Also what the mesh pulls. */
#include "broker/router/outgoing_requests.h"

#include "broker/router/admission.h"
#include "broker/router/answers.h"
#include "broker/router/router_state.h"

enum { RETRY_MS = 50 };

/* ---- what arrives ---- */

/* Whether the type's entities are in other shards than when the message was told: it was forgotten,
 * and registered anew in another group. */
static bool has_moved(router_t *router, const message_outgoing_t *message)
{
    const known_type_t *type = type_find(router, message->type);
    return type && shard_map_locate(router->map, type->group, message->id).value != message->shard;
}

/* The client of the source; NULL, with an error and its text: the message is refused before it has
 * one. */
static client_t *client_of(router_t *router, const message_outgoing_t *message,
                           fabric_error_t *error, const char **text)
{
    bool numbered = message->sequence > 0 && message->sequence < CALL_OUTGOING;
    if (message->lane >= router->config.lanes || message->source == 0 || !numbered) {
        *error = FABRIC_ERROR_MALFORMED_MESSAGE;
        *text = "there is no such source";
    } else if (!outgoing_epoch_counts(router, (uint32_t)message->lane, message->epoch)) {
        *error = FABRIC_ERROR_FENCED;
        *text = "the lane of the source has a later home";
    } else if (has_moved(router, message)) {
        *error = FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
        *text = "the entity type is in another shard group now";
    } else {
        client_t *client = client_find_outgoing(router, message->source);
        return client ? client : client_add_outgoing(router, message->source);
    }
    return NULL;
}

static void receive(router_t *router, incarnation_t sender, const message_outgoing_t *message)
{
    fabric_error_t error = FABRIC_OK;
    const char *text = "";
    client_t *client = client_of(router, message, &error, &text);
    if (!client) {
        bool again = fabric_error_class(error) == FABRIC_CLASS_RETRY;
        outgoing_answer_send(router, sender,
                             &(message_outgoing_answer_t){.source = message->source,
                                                          .sequence = message->sequence,
                                                          .error = (uint64_t)error,
                                                          .retry_after_ms = again ? RETRY_MS : 0,
                                                          .text = fabric_bytes_of(text)});
        return;
    }
    client_note_sender(router, client, sender);
    uint64_t predecessor = message->predecessor ? message->predecessor | CALL_OUTGOING : 0;
    message_request_t request = {.sequence = message->sequence | CALL_OUTGOING,
                                 .flags = message->flags | REQUEST_DURABLE | REQUEST_TELL |
                                          REQUEST_WANT_ACCEPTED,
                                 .type = message->type,
                                 .id = message->id,
                                 .tag = message->tag,
                                 .payload = message->payload,
                                 .predecessor = predecessor,
                                 .floor = message->floor,
                                 .primary_key = message->primary_key,
                                 .deliver_at_ms = message->deliver_at_ms,
                                 .traceparent = message->traceparent,
                                 .headers = message->headers};
    request_received(router, client, &request);
}

void outgoing_request_received(router_t *router, const peer_t *peer,
                               const message_outgoing_t *message)
{
    receive(router, peer ? peer->member->incarnation : router->config.incarnation, message);
}

/* ---- what leaves ---- */

static message_outgoing_t message_of_send(const router_t *router, const outgoing_send_t *send)
{
    const store_outgoing_t *message = send->message;
    uint32_t lane = lane_number(router, message->source_shard);
    return (message_outgoing_t){.lane = lane,
                                .epoch = router->lanes[lane].epoch,
                                .source = send->call.client,
                                .sequence = send->call.sequence,
                                .shard = message->shard.value,
                                .flags = message->flags | (send->resend ? REQUEST_RESEND : 0),
                                .type = message->type,
                                .id = message->entity,
                                .tag = message->tag,
                                .payload = message->payload,
                                .predecessor = send->predecessor,
                                .floor = send->floor,
                                .primary_key = message->primary_key,
                                .deliver_at_ms = (uint64_t)message->deliver_at_ms,
                                .traceparent = message->traceparent,
                                .headers = message->headers};
}

void outgoing_request_send(router_t *router, const outgoing_send_t *send)
{
    message_outgoing_t message = message_of_send(router, send);
    receive(router, router->config.incarnation, &message);
}

/* The event is over: clients that have got the answers to all that they have sent are forgotten. */
bool outgoing_request_next(router_t *router, router_outgoing_t *outgoing)
{
    outgoing_send_t send;
    clients_forget_answered(router);
    if (!outgoing_send_take(router, &send)) {
        return false;
    }
    *outgoing = (router_outgoing_t){send.broker, message_of_send(router, &send)};
    return true;
}
