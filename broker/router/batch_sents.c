/* Ends of outgoing messages in batches: see batch_state.h. */
#include "broker/router/batch_state.h"

#include <string.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* SENTS_MAX: of one entry. WAIT_MS, MANY: ends wait so long for other records, or until there are
 * so many. SENT_BYTES, DEAD_BYTES: of a record, beside what it points to; about. */
enum { SENTS_MAX = 4096, WAIT_MS = 30, MANY = 256, SENT_BYTES = 20, DEAD_BYTES = 512 };

void batch_add_sent(const router_t *router, lane_batches_t *lane, const batch_sent_t *sent)
{
    batch_builder_t *next = &lane->next;
    if (next->sent_count == 0) {
        next->sents_due_ms = router->now_ms + WAIT_MS;
    }
    next->sents = memory_reserve(next->sents, next->sent_count + 1, &next->sent_capacity,
                                 sizeof *next->sents);
    next->sents[next->sent_count++] = *sent;
}

void batch_free_sents(batch_builder_t *builder)
{
    for (size_t i = 0; i < builder->sent_count; i++) {
        if (builder->sents[i].dead) {
            message_t *dead = message_of(builder->sents[i].dead);
            message_destroy(&dead);
        }
    }
    builder->sent_count = 0;
}

size_t batch_sents_due(const router_t *router, const batch_builder_t *next)
{
    bool due = next->sent_count >= MANY || next->sents_due_ms <= router->now_ms;
    return due ? next->sent_count : 0;
}

/* Dead letters take half of the entry's bytes at most. */
size_t batch_count_sents(const router_config_t *config, const batch_builder_t *next,
                         uint64_t *bytes)
{
    size_t count = 0;
    while (count < next->sent_count && count < SENTS_MAX && *bytes < config->batch_bytes_max / 2) {
        const batch_sent_t *sent = &next->sents[count++];
        *bytes += SENT_BYTES;
        if (sent->dead) {
            *bytes += DEAD_BYTES + sent->dead->payload.size + sent->dead->headers.size;
        }
    }
    return count;
}

void batch_take_sents(batch_builder_t *current, batch_builder_t *next, size_t count)
{
    current->sents =
        memory_reserve(current->sents, count, &current->sent_capacity, sizeof *current->sents);
    current->sent_count = count;
    next->sent_count -= count;
    if (count > 0) {
        memcpy(current->sents, next->sents, count * sizeof *next->sents);
        memmove(next->sents, next->sents + count, next->sent_count * sizeof *next->sents);
    }
}
