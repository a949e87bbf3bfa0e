/* Slow handlers: see executor_slow_state.h. */
#include "worker/executor_slow_state.h"

#include <utlist.h>

void slow_init(executor_slow_t *slow)
{
    slow->next_ms = UINT64_MAX;
}

static uint64_t due_ms(const type_entry_t *type, const fabric_pending_t *pending)
{
    return pending->began_ms + type->slow_ms + 1;
}

void slow_watch(executor_slow_t *slow, const type_entry_t *type, fabric_pending_t *pending,
                uint64_t began_ms)
{
    pending->began_ms = began_ms;
    if (type->slow_ms == FABRIC_NEVER_SLOW) {
        return;
    }
    pending->watched = true;
    DL_APPEND2(slow->watched[type->index], pending, watch_previous, watch_next);
    if (due_ms(type, pending) < slow->next_ms) {
        slow->next_ms = due_ms(type, pending);
    }
}

void slow_unwatch(executor_slow_t *slow, const type_entry_t *type, fabric_pending_t *pending)
{
    if (pending->watched) {
        pending->watched = false;
        DL_DELETE2(slow->watched[type->index], pending, watch_previous, watch_next);
    }
}

fabric_pending_t *slow_take(executor_slow_t *slow, const type_table_t *types, uint64_t now_ms)
{
    if (now_ms < slow->next_ms) {
        return NULL;
    }
    slow->next_ms = UINT64_MAX;
    for (size_t i = 0; i < type_table_count(types); i++) {
        const type_entry_t *type = type_table_at(types, i);
        fabric_pending_t *first;
        while ((first = slow->watched[i]) && due_ms(type, first) <= now_ms) {
            slow_unwatch(slow, type, first);
            if (slow_note(slow, first->request_id)) { /* it was not told while it ran */
                slow->next_ms = now_ms;               /* there may be more */
                return first;
            }
        }
        if (first && due_ms(type, first) < slow->next_ms) {
            slow->next_ms = due_ms(type, first);
        }
    }
    return NULL;
}

bool slow_note(executor_slow_t *slow, uint64_t request_id)
{
    bool first =
        atomic_exchange_explicit(&slow->told, request_id, memory_order_relaxed) != request_id;
    if (first) {
        atomic_fetch_add_explicit(&slow->count, 1, memory_order_relaxed);
    }
    return first;
}

void slow_forget(executor_slow_t *slow, uint64_t request_id)
{
    uint64_t told = request_id;
    (void)atomic_compare_exchange_strong_explicit(&slow->told, &told, 0, memory_order_relaxed,
                                                  memory_order_relaxed);
}
