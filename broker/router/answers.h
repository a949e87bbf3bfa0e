/* What callers are told: acceptances, replies, rejections, redirects, and how far a call has come.
 * Answers are encoded straight into the frame that leaves.
 */
#ifndef BROKER_ROUTER_ANSWERS_H
#define BROKER_ROUTER_ANSWERS_H

#include "broker/router/client_state.h"

/* ---- one request ---- */

void request_reject(router_t *router, client_t *client, uint64_t sequence, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* The request's call key stands for a message with other contents. */
void request_reject_conflict(router_t *router, client_t *client, uint64_t sequence);
/* This broker does not serve the request's shard: another one may, the one of the map. Where the
 * map names none and this broker adopts the shard's lane, the request is refused with NOT_HOME. */
void request_redirect(router_t *router, client_t *client, uint64_t sequence, shard_id_t shard);
/* The broker at this endpoint knows more about the request; empty: no such broker is known. */
void request_redirect_to(router_t *router, client_t *client, uint64_t sequence, shard_id_t shard,
                         const char *endpoint);
/* Answers a resend of a call that is in the client's table: at once, or when the call's answer is
 * there. */
void call_answer_again(router_t *router, client_t *client, call_t *call, const message_t *again);
/* Tells the client how far its calls have come whose deadlines are over. The calls go on. */
void client_tell_overdue(router_t *router, client_t *client);

/* ---- whoever waits for a message ---- */

/* Whether a caller still waits for the message's answer. */
bool message_is_awaited(router_t *router, const message_t *message);
void message_send_accepted(router_t *router, const message_t *message);
/* The same for those that asked for it. */
void message_send_wanted_accepted(router_t *router, const message_t *message);
/* Callers that sent a durable message as a tell get none. */
void message_send_reply(router_t *router, const message_t *message);
void message_reject(router_t *router, const message_t *message, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* The message's shard may have another home: its callers are told to ask there. */
void message_redirect(router_t *router, const message_t *message);
/* Whether a caller of the message asked to be told why its calls wait. Of one that was delivered
 * early nobody hears before it is stored: the reason is told when the message is refused again. */
bool message_hears_waits(router_t *router, const message_t *message);
/* Tells these callers why the message waits. */
void message_send_wait(router_t *router, const message_t *message, fabric_error_t error,
                       const char *text);
/* The message is not in a batch any more. */
void message_left_lane(router_t *router, message_t *message);
/* The message has ended, and its reply is durable. False: no call keeps it. */
bool message_end_calls(router_t *router, message_t *message);
/* This broker does not keep the message any more: its calls are forgotten. */
void message_drop_calls(router_t *router, message_t *message);

#endif
