/* Outgoing messages on their way: from the outboxes of this broker's lanes to other brokers, and
 * what comes back. docs/decisions/0041-outgoing-messages.md says what they are for.
 *
 *     outgoing_send_add(router, &send);                 an outbox: the mesh pulls it
 *     while (outgoing_answer_take(router, &answer)) {}  an outbox: how far what it sent has come
 *     while (outgoing_lost_take(router, &broker)) {}    an outbox: what it sent there may be lost
 *
 * Answers come from other brokers, and from this one, where it is the target's home as well.
 */
#ifndef BROKER_ROUTER_OUTGOING_H
#define BROKER_ROUTER_OUTGOING_H

#include <fabric/error.h>

#include "core/limits.h"
#include "core/message.h"
#include "core/store_message.h"

typedef struct router router_t;

/* A message, and where it goes. */
typedef struct outgoing_send {
    incarnation_t broker;
    const store_outgoing_t *message; /* valid until it is pulled, or its source's lane is dropped */
    call_key_t call;
    uint64_t predecessor; /* the call's second half of the one that is to be accepted before; 0 */
    uint64_t floor;
    bool resend;
} outgoing_send_t;

typedef struct outgoing_answer {
    call_key_t call;
    fabric_error_t error;    /* OK: accepted */
    request_id_t id;         /* of the accepted message */
    uint32_t retry_after_ms; /* class retry: 0: as the sender likes */
} outgoing_answer_t;

typedef struct router_outgoing_queues {
    outgoing_send_t *sends;
    size_t send_first, send_count, send_capacity;
    outgoing_answer_t *answers;
    size_t answer_first, answer_count, answer_capacity;
    incarnation_t lost[LIMIT_BROKERS_MAX];
    uint32_t lost_count;
    uint64_t epochs[LIMIT_LANES_MAX]; /* of sources' lanes: the latest one that sent something */
} router_outgoing_queues_t;

/* ---- to other brokers ---- */

/* After the event at hand the mesh pulls all that was added. */
void outgoing_send_add(router_t *router, const outgoing_send_t *send);
bool outgoing_send_take(router_t *router, outgoing_send_t *send);
/* The lane is dropped: its messages are not sent. */
void outgoing_sends_drop(router_t *router, uint32_t lane);

/* ---- what comes back ---- */

void outgoing_answer_add(router_t *router, const outgoing_answer_t *answer);
bool outgoing_answer_take(router_t *router, outgoing_answer_t *answer);
/* A broker to which the connection is lost: what was sent there and not answered has to be sent
 * again. Each once, however often it was lost since. */
void outgoing_lost_add(router_t *router, incarnation_t broker);
bool outgoing_lost_take(router_t *router, incarnation_t *broker);

/* ---- what arrives ---- */

/* Whether a message counts that the home of a source's lane has sent under this epoch: false, if
 * something of a later one has arrived. */
bool outgoing_epoch_counts(router_t *router, uint32_t lane, uint64_t epoch);
/* Answers such a message: to the broker that has sent it, if it is connected, or as an answer of
 * this one. */
void outgoing_answer_send(router_t *router, incarnation_t sender,
                          const message_outgoing_answer_t *answer);

void outgoing_destroy(router_t *router);

#endif
