/* What the home is told of entities that are kept alive: by a handler of theirs, or because they
 * have resources. It keeps that in the store, and sees to it that they have instances (DESIGN.md,
 * docs/decisions/0033). What is said while there is no home is told to the next one. */
#include "core/store_message.h"
#include "worker/executor_entity_state.h"

static uint8_t causes_of(const entity_t *entity)
{
    return (uint8_t)((entity->kept ? ALIVE_BY_HANDLER : 0) |
                     (entity->resources ? ALIVE_BY_RESOURCE : 0));
}

/* Whether the ownership has a home that hears. */
static bool is_heard(const ownership_t *ownership)
{
    return ownership && ownership->state != OWNERSHIP_ORPHANED &&
           ownership->state != OWNERSHIP_RESUMING;
}

static void put(entity_table_t *table, const entity_t *entity, uint64_t activation, bool absent)
{
    const ownership_t *ownership = entity->ownership;
    message_alive_t message = {.shard = ownership->key.shard,
                               .home_epoch = ownership->key.token.home_epoch,
                               .owner_sequence = ownership->key.token.owner_sequence,
                               .activation = activation,
                               .causes = entity->told,
                               .absent = absent,
                               .type = entity_type(table, entity)->name,
                               .id = entity_id(entity)};
    output_put_alive(table->output, ownership->source, &message, entity->used_ms);
}

void alive_tell_again(entity_table_t *table, entity_t *entity)
{
    entity->known = true;
    entity->told = causes_of(entity);
    if (is_heard(entity->ownership)) {
        put(table, entity, 0, entity->told != 0 && !entity_is_resident(entity));
    }
}

void alive_tell(entity_table_t *table, entity_t *entity)
{
    if (causes_of(entity) != entity->told && !table->building) {
        alive_tell_again(table, entity);
    }
}

void alive_decide(entity_table_t *table, entity_t *entity)
{
    if (causes_of(entity) != entity->told || !entity->known) {
        alive_tell_again(table, entity);
    }
}

void alive_tell_absent(entity_table_t *table, entity_t *entity)
{
    if (causes_of(entity) != 0) {
        alive_tell_again(table, entity);
    }
}

void alive_answer(entity_table_t *table, entity_t *entity, uint64_t activation)
{
    entity->told |= causes_of(entity);
    put(table, entity, activation, false);
}

bool alive_is_over(const entity_t *entity, const ownership_t *ownership)
{
    return entity->ownership == ownership && entity->known && causes_of(entity) == 0;
}

void alive_tell_all(entity_table_t *table, ownership_t *ownership)
{
    entity_t *const lists[] = {ownership->entities, ownership->busy};
    for (unsigned i = 0; i < 2; i++) {
        for (entity_t *entity = lists[i]; entity; entity = entity->ownership_next) {
            if (entity->known) {
                alive_tell_again(table, entity);
            }
        }
    }
}
