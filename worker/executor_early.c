/* Instances that rest on messages which were delivered early: such a message may never be stored,
 * and then what its handler has done must not be seen. Where its home stays, it is stored in the
 * end. Where the home is gone, the results say which messages it may not have stored: those that it
 * has not settled, and those of handlers that are pending. */
#include "worker/executor_state.h"

#include <utlist.h>

static bool has_early_handler(const entity_t *entity)
{
    const fabric_pending_t *pending = entity->pending;
    while (pending && !(pending->flags & DELIVER_EARLY)) {
        pending = pending->next;
    }
    return pending != NULL;
}

/* Their messages are handled anew if the former home has stored them. */
static void give_up_handlers(executor_t *executor, entity_t *entity)
{
    uint32_t round = executor->output.round;
    while (entity->pending) {
        output_begin(&executor->output, entity->pending->round);
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        handle_abandon(executor, entity->pending);
    }
    output_begin(&executor->output, round);
}

static void look_at(executor_t *executor, entity_t *entities)
{
    entity_t *entity, *next;
    DL_FOREACH_SAFE2(entities, entity, next, ownership_next)
    {
        const kept_results_t *kept = &entity->ownership->kept;
        bool rests = entity->early != 0 && kept_results_have(kept, entity->early);
        if (entity_is_resident(entity) && (rests || has_early_handler(entity))) {
            give_up_handlers(executor, entity);
            entity_go_back(&executor->entities, entity);
            alive_tell_absent(&executor->entities, entity);
        }
    }
}

void executor_end_early(executor_t *executor, ownership_t *ownership)
{
    look_at(executor, ownership->entities);
    look_at(executor, ownership->busy);
}
