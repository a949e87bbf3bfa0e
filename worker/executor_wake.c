/* Making an instance without a message, for an entity that is kept alive. */
#include "worker/executor_state.h"
#include "worker/executor_events.h"
#include "worker/executor_stored.h"

/* Whether an instance may be made now. Messages that wait for the entity, or for room, come first,
 * and another place is left for the next one; so does the end of an instance under a former
 * ownership. */
static bool may_start(const executor_t *executor, const entity_t *entity)
{
    const entity_table_t *entities = &executor->entities;
    bool has_place =
        (entity && entity_is_resident(entity)) || residents_have_spare(&entities->residents);
    return !entities->outside.first && has_place &&
           (!entity || (!entity->first && entity->state != ENTITY_PENDING));
}

/* Whether all is here that the instance begins with: the home gives what is stored before it asks
 * for the instance, and does so again if it is told that there is none. */
static bool has_state(const type_entry_t *type, const entity_t *entity,
                      const ownership_t *ownership)
{
    return !type->stores ||
           (entity && entity->ownership == ownership && stored_is_here(type, entity));
}

/* Makes the instance, unless it cannot be built. Where that is for its snapshot, the home gives all
 * events instead. */
static fabric_error_t start(executor_t *executor, entity_t *entity, const message_deliver_t *wake)
{
    entity_table_t *entities = &executor->entities;
    entity_set_known(entities, entity, (uint32_t)wake->attempt);
    if (entity_start(entities, entity)) {
        return FABRIC_OK;
    }
    bool unreadable = events_were_unreadable(entity);
    if (!unreadable) {
        handling_report_not_woken(executor, entity);
    }
    if (!entity->resources) {
        entity_end(entities, entity);
    }
    return unreadable ? FABRIC_ERROR_SNAPSHOT_UNREADABLE : FABRIC_ERROR_NOT_BUILT;
}

fabric_error_t executor_wake(executor_t *executor, ownership_t *ownership, const type_entry_t *type,
                             const message_deliver_t *wake)
{
    entity_table_t *entities = &executor->entities;
    entity_t *entity = entity_find(entities, type, wake->id);
    bool here = entity && entity->ownership == ownership && entity_is_resident(entity);
    if (entity && ((here && entity->known) || alive_is_over(entity, ownership))) {
        alive_tell_again(entities, entity); /* its handlers may have said otherwise since */
        return FABRIC_OK;
    }
    if (here) {
        entity_set_known(entities, entity, (uint32_t)wake->attempt);
    } else {
        if (!has_state(type, entity, ownership) || !may_start(executor, entity)) {
            return FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
        }
        entity = entity ? entity : entity_make(entities, type, wake->id, executor->now_ms);
        if (!entity_enter(entities, entity, ownership, wake->activation, executor->now_ms)) {
            return FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
        }
        fabric_error_t error = start(executor, entity, wake);
        if (error) {
            return error;
        }
    }
    alive_answer(entities, entity, wake->activation);
    return FABRIC_OK;
}
