/* Changes of rows that wait for a checkpoint: see checkpoint_state.h. */
#include "broker/router/router_state.h"
#include "core/memory.h"

/* ---- rings ---- */

static void ring_append(message_link_t *ring, message_link_t *link)
{
    link->prev = ring->prev;
    link->next = ring;
    ring->prev->next = link;
    ring->prev = link;
}

static void ring_remove(message_link_t *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* ---- changes that wait ---- */

void checkpoint_note(checkpoint_t *checkpoint, message_t *message)
{
    if (!message_is_changed(message)) {
        ring_append(&checkpoint->next_messages, &message->changed);
    }
}

void checkpoint_forget(message_t *message)
{
    if (message_is_changed(message)) {
        ring_remove(&message->changed);
    }
}

void checkpoint_note_row(checkpoint_t *checkpoint, store_row_key_t key, journal_attempts_t attempts)
{
    row_changes_t *next = &checkpoint->next;
    next->amendments = memory_reserve(next->amendments, next->amendment_count + 1,
                                      &next->amendment_capacity, sizeof *next->amendments);
    next->amendments[next->amendment_count++] = (row_amendment_t){.key = key, .attempts = attempts};
}

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = ((const row_amendment_t *)a)->key.position;
    uint64_t y = ((const row_amendment_t *)b)->key.position;
    return (x > y) - (x < y);
}

static bool end_amendment(row_changes_t *changes, uint64_t position)
{
    row_amendment_t key = {.key = {.position = position}};
    row_amendment_t *found = changes->amendment_count == 0
                                 ? NULL
                                 : bsearch(&key, changes->amendments, changes->amendment_count,
                                           sizeof key, compare_positions);
    if (found) {
        found->over = true;
    }
    return found;
}

bool checkpoint_forget_row(checkpoint_t *checkpoint, uint64_t position)
{
    return end_amendment(&checkpoint->next, position);
}

void checkpoint_note_end(checkpoint_t *checkpoint, store_row_key_t key)
{
    row_changes_t *next = &checkpoint->next;
    next->deletes = memory_reserve(next->deletes, next->delete_count + 1, &next->delete_capacity,
                                   sizeof *next->deletes);
    next->deletes[next->delete_count++] = key;
}

void checkpoint_note_unscheduled(checkpoint_t *checkpoint, store_due_key_t key)
{
    row_changes_t *next = &checkpoint->next;
    next->unscheduled = memory_reserve(next->unscheduled, next->unscheduled_count + 1,
                                       &next->unscheduled_capacity, sizeof *next->unscheduled);
    next->unscheduled[next->unscheduled_count++] = key;
}

void checkpoint_note_direct(checkpoint_t *checkpoint, request_id_t id)
{
    row_changes_t *next = &checkpoint->next;
    next->direct = memory_reserve(next->direct, next->direct_count + 1, &next->direct_capacity,
                                  sizeof *next->direct);
    next->direct[next->direct_count++] = id;
}

void checkpoint_note_dead(router_t *router, checkpoint_t *checkpoint, const message_t *message)
{
    message_t *copy = message_new(&message->stored);
    message_set_reply(copy, &message->reply);
    copy->position = message->position;
    copy->entity_hash = message->entity_hash;
    copy->attempts = message->attempts;
    copy->crashes = message->crashes;
    copy->cause = message->cause;
    copy->has_row = message->has_row;
    row_changes_t *next = &checkpoint->next;
    next->dead =
        memory_reserve(next->dead, next->dead_count + 1, &next->dead_capacity, sizeof *next->dead);
    int64_t passed_ms = (int64_t)(router->now_ms - router->started_ms);
    next->dead[next->dead_count++] =
        (dead_row_t){.message = copy, .ended_ms = router->config.store_now_ms + passed_ms};
}
