/* Outgoing messages on their way: see outgoing.h. */
#include "broker/router/outgoing.h"

#include <stdlib.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* ---- to other brokers ---- */

void outgoing_send_add(router_t *router, const outgoing_send_t *send)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    queues->sends = memory_reserve(queues->sends, queues->send_count + 1, &queues->send_capacity,
                                   sizeof *queues->sends);
    queues->sends[queues->send_count++] = *send;
}

bool outgoing_send_take(router_t *router, outgoing_send_t *send)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    if (queues->send_first == queues->send_count) {
        queues->send_first = queues->send_count = 0;
        return false;
    }
    *send = queues->sends[queues->send_first++];
    return true;
}

void outgoing_sends_drop(router_t *router, uint32_t lane)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    size_t kept = queues->send_first;
    for (size_t i = queues->send_first; i < queues->send_count; i++) {
        if (lane_number(router, queues->sends[i].message->source_shard) != lane) {
            queues->sends[kept++] = queues->sends[i];
        }
    }
    queues->send_count = kept;
}

/* ---- what comes back ---- */

void outgoing_answer_add(router_t *router, const outgoing_answer_t *answer)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    queues->answers = memory_reserve(queues->answers, queues->answer_count + 1,
                                     &queues->answer_capacity, sizeof *queues->answers);
    queues->answers[queues->answer_count++] = *answer;
}

bool outgoing_answer_take(router_t *router, outgoing_answer_t *answer)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    if (queues->answer_first == queues->answer_count) {
        queues->answer_first = queues->answer_count = 0;
        return false;
    }
    *answer = queues->answers[queues->answer_first++];
    return true;
}

void outgoing_lost_add(router_t *router, incarnation_t broker)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    for (uint32_t i = 0; i < queues->lost_count; i++) {
        if (incarnation_equal(queues->lost[i], broker)) {
            return;
        }
    }
    if (queues->lost_count == LIMIT_BROKERS_MAX) { /* nobody takes them: the oldest is a past one */
        queues->lost_count--;
        memmove(queues->lost, queues->lost + 1, queues->lost_count * sizeof *queues->lost);
    }
    queues->lost[queues->lost_count++] = broker;
}

bool outgoing_lost_take(router_t *router, incarnation_t *broker)
{
    router_outgoing_queues_t *queues = &router->outgoing;
    if (queues->lost_count == 0) {
        return false;
    }
    *broker = queues->lost[--queues->lost_count];
    return true;
}

void router_outgoing_unsent(router_t *router, const message_outgoing_t *message, uint64_t now_ms)
{
    router->now_ms = now_ms;
    outgoing_answer_add(router, &(outgoing_answer_t){.call = {message->source, message->sequence},
                                                     .error = FABRIC_ERROR_NOT_CONNECTED});
}

/* A later release may refuse for a reason that this one does not know: it is asked again. */
static fabric_error_t error_of(const message_outgoing_answer_t *answer)
{
    fabric_error_t error = fabric_error_from_number(answer->error);
    bool unknown = error == FABRIC_ERROR_INTERNAL || (!error && answer->request_id == 0);
    return unknown ? FABRIC_ERROR_BUSY : error;
}

static void add_answer(router_t *router, const message_outgoing_answer_t *answer)
{
    outgoing_answer_add(router,
                        &(outgoing_answer_t){.call = {answer->source, answer->sequence},
                                             .error = error_of(answer),
                                             .id = {answer->request_id},
                                             .retry_after_ms = (uint32_t)answer->retry_after_ms});
}

/* What a broker says of a call is true, whoever has been asked last. */
void router_outgoing_answered(router_t *router, incarnation_t broker,
                              const message_outgoing_answer_t *answer, uint64_t now_ms)
{
    (void)broker;
    router->now_ms = now_ms;
    add_answer(router, answer);
}

void router_outgoing_lost(router_t *router, incarnation_t broker, uint64_t now_ms)
{
    router->now_ms = now_ms;
    outgoing_lost_add(router, broker);
}

/* ---- what arrives ---- */

bool outgoing_epoch_counts(router_t *router, uint32_t lane, uint64_t epoch)
{
    uint64_t *latest = &router->outgoing.epochs[lane];
    *latest = epoch > *latest ? epoch : *latest;
    return epoch == *latest;
}

void outgoing_answer_send(router_t *router, incarnation_t sender,
                          const message_outgoing_answer_t *answer)
{
    if (incarnation_equal(sender, router->config.incarnation)) {
        add_answer(router, answer);
        return;
    }
    const member_t *member = member_find(router, sender);
    if (member && member->peer) {
        message_put_outgoing_answer(peer_writer(router, member->peer), answer);
    } else {
        router->counters.unsent++;
    }
}

void outgoing_destroy(router_t *router)
{
    free(router->outgoing.sends);
    free(router->outgoing.answers);
}
