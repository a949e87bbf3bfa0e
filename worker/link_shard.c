/* The shards of the link: assigned, released, lost, and what is delivered for them. */
#include "worker/link_state.h"

#include <stdlib.h>

/* The longest grace time a broker can ask for. */
#define GRACE_MS_MAX 600000u

static link_shard_t *shard_find(link_t *link, uint64_t number)
{
    link_shard_t *shard = NULL;
    if (number <= UINT32_MAX) {
        uint32_t value = (uint32_t)number;
        HASH_FIND(hh, link->shards, &value, sizeof value, shard);
    }
    return shard;
}

static bool shard_valid(const link_t *link, uint64_t number)
{
    if (number > UINT32_MAX) {
        return false;
    }
    shard_id_t shard = {(uint32_t)number};
    return shard_id_group(shard) >= 1 && shard_id_group(shard) <= LIMIT_GROUPS_MAX &&
           shard_id_number(shard) >= 1 && shard_id_number(shard) <= link->shards_per_group;
}

static uint32_t executor_of(const link_t *link, shard_id_t shard)
{
    return ((uint32_t)shard_id_number(shard) + shard_id_group(shard)) % link->config.executors;
}

static void work_push(link_t *link, work_t *work)
{
    if (link->works_first) {
        link->works_last->next = work;
    } else {
        link->works_first = work;
    }
    link->works_last = work;
}

static void flush_one(link_t *link, uint32_t executor)
{
    if (link->staged[executor]) {
        work_push(link, link->staged[executor]);
        link->staged[executor] = NULL;
    }
}

void link_flush_staged(link_t *link)
{
    for (uint32_t i = 0; i < link->config.executors; i++) {
        flush_one(link, i);
    }
}

/* An order comes after the deliveries that were received before it. */
static void push_order(link_t *link, work_kind_t kind, const link_shard_t *shard,
                       const work_lease_t *lease, uint64_t deadline_ms)
{
    uint32_t executor = executor_of(link, shard->shard);
    flush_one(link, executor);
    work_t *order = work_new(kind, executor, shard->source, 0);
    order->shard = shard->shard;
    order->token = shard->token;
    order->lease = lease;
    order->deadline_ms = deadline_ms;
    work_push(link, order);
}

static void shard_set(link_t *link, link_shard_t *shard, shard_state_t state)
{
    uint64_t held = atomic_load_explicit(&link->held, memory_order_relaxed);
    if (state != SHARD_LOST && shard->state == SHARD_LOST) {
        held++;
    } else if (state == SHARD_LOST && shard->state != SHARD_LOST) {
        held--;
    }
    atomic_store_explicit(&link->held, held, memory_order_relaxed);
    shard->state = state;
}

void link_assign(link_t *link, uint32_t index, const message_assign_t *message, uint64_t now_ms)
{
    if (!shard_valid(link, message->shard)) {
        link_malformed(link, index, FABRIC_ERROR_INVALID_ARGUMENT);
        return;
    }
    token_t token = {message->home_epoch, message->owner_sequence};
    link_shard_t *shard = shard_find(link, message->shard);
    if (!shard) {
        shard = (link_shard_t *)calloc(1, sizeof *shard);
        if (!shard) {
            abort();
        }
        shard->shard = (shard_id_t){(uint32_t)message->shard};
        HASH_ADD(hh, link->shards, shard.value, sizeof shard->shard.value, shard);
    } else if (!token_less(shard->token, token)) {
        link_count_dropped(link); /* said again, or by a home that was deposed */
        return;
    }
    if (shard->state != SHARD_LOST) {
        push_order(link, WORK_STOP, shard, NULL, now_ms + link->config.grace_ms);
    }
    link_endpoint_t *endpoint = &link->endpoints[index];
    shard->token = token;
    shard->source = (work_source_t){index, endpoint->connection};
    shard_set(link, shard, SHARD_HELD);
    push_order(link, WORK_BEGIN, shard, &endpoint->lease, 0);
}

static bool shard_held(const link_shard_t *shard, uint32_t index, token_t token)
{
    return shard && shard->state != SHARD_LOST && shard->source.endpoint == index &&
           token_equal(shard->token, token);
}

void link_release(link_t *link, uint32_t index, const message_release_t *message, uint64_t now_ms)
{
    token_t token = {message->home_epoch, message->owner_sequence};
    link_shard_t *shard = shard_find(link, message->shard);
    if (!shard_held(shard, index, token)) {
        message_released_t released = {message->shard, message->home_epoch,
                                       message->owner_sequence};
        message_put_released(link_out(&link->endpoints[index]), &released);
        return;
    }
    uint64_t grace_ms = message->grace_ms < GRACE_MS_MAX ? message->grace_ms : GRACE_MS_MAX;
    shard_set(link, shard, SHARD_RELEASING);
    push_order(link, WORK_STOP, shard, NULL, now_ms + grace_ms);
}

void link_lose_shards(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_shard_t *shard, *next;
    HASH_ITER(hh, link->shards, shard, next)
    {
        if (shard->state != SHARD_LOST && shard->source.endpoint == index) {
            shard_set(link, shard, SHARD_LOST);
            push_order(link, WORK_STOP, shard, NULL, now_ms + link->config.grace_ms);
        }
    }
}

static bool name_valid(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

static void not_taken(link_t *link, uint32_t index, const message_deliver_t *message,
                      fabric_error_t error)
{
    message_result_t result = {
        .shard = message->shard,
        .home_epoch = message->home_epoch,
        .owner_sequence = message->owner_sequence,
        .activation = message->activation,
        .request_id = message->request_id,
        .status = STATUS_NOT_TAKEN,
        .error = error,
    };
    message_put_result(link_out(&link->endpoints[index]), &result);
}

void link_deliver(link_t *link, uint32_t index, work_frame_t *frame,
                  const message_deliver_t *message)
{
    if (!name_valid(message->type) || !name_valid(message->id) || !name_valid(message->tag) ||
        (message->flags & ~(uint64_t)REQUEST_FLAGS) != 0) {
        link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        not_taken(link, index, message, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    token_t token = {message->home_epoch, message->owner_sequence};
    link_shard_t *shard = shard_find(link, message->shard);
    if (!shard_held(shard, index, token)) {
        not_taken(link, index, message, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
        return;
    }
    if (message->request_id > link->high_id) {
        link->high_id = message->request_id;
    }
    uint32_t executor = executor_of(link, shard->shard);
    work_t *staged = link->staged[executor];
    if (staged && (staged->count == WORK_DELIVERIES_MAX || staged->frame != frame)) {
        flush_one(link, executor);
        staged = NULL;
    }
    if (!staged) {
        staged = work_new(WORK_DELIVERIES, executor, shard->source, 1);
        staged->frame = frame;
        atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    }
    link->staged[executor] = work_add(staged, message);
}

static void output_stopped(link_t *link, const work_output_t *output)
{
    link_endpoint_t *endpoint = &link->endpoints[output->source.endpoint];
    link_shard_t *shard = shard_find(link, output->shard.value);
    if (!shard || shard->state != SHARD_RELEASING || !token_equal(shard->token, output->token)) {
        return;
    }
    shard_set(link, shard, SHARD_LOST);
    message_released_t released = {
        .shard = output->shard.value,
        .home_epoch = output->token.home_epoch,
        .owner_sequence = output->token.owner_sequence,
    };
    message_put_released(link_out(endpoint), &released);
}

void link_output(link_t *link, work_output_t **outputs)
{
    while (*outputs) {
        work_output_t *output = *outputs;
        *outputs = output->next;
        output->next = NULL;
        link_endpoint_t *endpoint = &link->endpoints[output->source.endpoint];
        bool live =
            endpoint->phase == PHASE_WELCOMED && endpoint->connection == output->source.connection;
        if (live && output->kind == OUTPUT_RESULTS) {
            if (endpoint->out_first) {
                endpoint->out_last->next = output;
            } else {
                endpoint->out_first = output;
            }
            endpoint->out_last = output;
            continue;
        }
        if (live) {
            output_stopped(link, output);
        } else if (output->kind == OUTPUT_RESULTS) {
            link_count_dropped(
                link); /* their tokens are dead: the home delivers the messages again */
        }
        work_output_list_destroy(&output);
    }
}
