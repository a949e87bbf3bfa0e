/* Instances that rest on messages which were delivered early: such a message may never be stored,
 * and then what its handler has done must not be seen. Where its home stays, it is stored in the
 * end. Where the home is gone, the results say which messages it may not have stored: those that it
 * has not settled, and those of handlers that are pending. */
#include <stdlib.h>
#include <utlist.h>

#include "worker/executor_result.h"

static bool has_early_handler(const entity_t *entity)
{
    const fabric_pending_t *pending = entity->pending;
    while (pending && !(pending->flags & DELIVER_EARLY)) {
        pending = pending->call_next;
    }
    return pending != NULL;
}

/* What keeps the entity alive is what its next home has stored: it asks for the instance then. What
 * this worker knows may come from a handler whose message was never stored. */
static void forget_causes(entity_t *entity)
{
    entity->kept = entity->known = false;
    entity->told = 0;
}

/* Whether the entity's last result may be that of a message which is not stored. Of a type with
 * whose results something is stored none are kept, so nobody knows. */
static bool has_early_result(const executor_t *executor, const entity_t *entity)
{
    return entity->early != 0 && (entity_type(&executor->entities, entity)->unkept ||
                                  kept_results_have(&entity->ownership->kept, entity->early));
}

static void look_at(executor_t *executor, entity_t *entities)
{
    entity_t *entity, *next;
    DL_FOREACH_SAFE2(entities, entity, next, ownership_next)
    {
        bool has_result = has_early_result(executor, entity);
        if (!has_result && !has_early_handler(entity)) {
            continue;
        }
        if (has_result) { /* if it is stored, it is handled anew, and says anew what it has said */
            free(kept_results_take(&entity->ownership->kept, entity->early, executor->now_ms));
        }
        if (entity_is_resident(entity)) {
            result_give_up_handlers(executor, entity, NULL);
            entity_go_back(&executor->entities, entity);
        }
        forget_causes(entity);
        entity_end_turn(&executor->entities, entity);
    }
}

void executor_end_early(executor_t *executor, ownership_t *ownership)
{
    look_at(executor, ownership->entities);
    look_at(executor, ownership->busy);
}
