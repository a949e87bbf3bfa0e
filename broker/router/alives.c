/* The records of entities that are kept alive: see alive_state.h. What follows from a change is
 * decided in alive.c.
 */
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

enum { NOT_CHANGED, CHANGED_NEXT, CHANGED_CURRENT };

static const state_description_t states[] = {
    [ALIVE_ASLEEP] = {"asleep", STATE_BIT(ALIVE_WAKING) | STATE_BIT(ALIVE_AWAKE)},
    [ALIVE_WAKING] = {"waking",
                      STATE_BIT(ALIVE_ASLEEP) | STATE_BIT(ALIVE_AWAKE) | STATE_BIT(ALIVE_ASIDE)},
    [ALIVE_AWAKE] = {"awake", STATE_BIT(ALIVE_ASLEEP) | STATE_BIT(ALIVE_LEFT)},
    [ALIVE_LEFT] = {"left", STATE_BIT(ALIVE_ASLEEP) | STATE_BIT(ALIVE_AWAKE)},
    [ALIVE_ASIDE] = {"aside", STATE_BIT(ALIVE_ASLEEP) | STATE_BIT(ALIVE_AWAKE)},
};
static const state_machine_t machine = {"alive", states, sizeof states / sizeof *states};

/* ---- records ---- */

fabric_bytes_t alive_type(const alive_t *alive)
{
    return fabric_bytes(alive->name + 1, alive->name[0]);
}

fabric_bytes_t alive_id(const alive_t *alive)
{
    size_t begin = 1 + (size_t)alive->name[0];
    return fabric_bytes(alive->name + begin, alive->name_size - begin);
}

static size_t make_name(uint8_t name[2 * LIMIT_NAME_BYTES_MAX + 1], fabric_bytes_t type,
                        fabric_bytes_t id)
{
    name[0] = (uint8_t)type.size;
    memcpy(name + 1, type.data, type.size);
    memcpy(name + 1 + type.size, id.data, id.size);
    return 1 + type.size + id.size;
}

alive_t *alive_find(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    uint8_t name[2 * LIMIT_NAME_BYTES_MAX + 1];
    size_t size = make_name(name, type, id);
    alive_t *alive = NULL;
    HASH_FIND(by_name, router->alives, name, size, alive);
    return alive;
}

static lane_alive_t *lane_part(router_t *router, const alive_t *alive)
{
    return &lane_of(router, alive->ownership->shard->id)->alive;
}

alive_t *alive_add(router_t *router, ownership_t *ownership, fabric_bytes_t id)
{
    fabric_bytes_t type = ownership_type(ownership);
    alive_t *alive = memory_allocate(sizeof *alive + 1 + type.size + id.size);
    memset(alive, 0, sizeof *alive);
    alive->name_size = (uint16_t)make_name(alive->name, type, id);
    alive->ownership = ownership;
    HASH_ADD_KEYPTR(by_name, router->alives, alive->name, alive->name_size, alive);
    DL_APPEND(ownership->alive.lists[ALIVE_ASLEEP], alive);
    lane_alive_t *lane = lane_part(router, alive);
    DL_APPEND2(lane->all, alive, lane_prev, lane_next);
    lane->count++;
    return alive;
}

alive_state_t alive_now(const alive_t *alive)
{
    bool left = alive->state == ALIVE_AWAKE && alive->owner != alive->ownership->alive.owner;
    return left ? ALIVE_LEFT : alive->state;
}

void alive_leave(alive_part_t *part)
{
    DL_CONCAT(part->lists[ALIVE_LEFT], part->lists[ALIVE_AWAKE]);
    part->lists[ALIVE_AWAKE] = NULL;
    part->owner++;
}

void alive_set_state(router_t *router, alive_t *alive, alive_state_t state)
{
    alive_part_t *part = &alive->ownership->alive;
    alive_state_t before = alive_now(alive);
    if (state == before) {
        return;
    }
    state_machine_check(&machine, before, state);
    part->waking += (uint32_t)(state == ALIVE_WAKING) - (uint32_t)(before == ALIVE_WAKING);
    router->counters.kept_aside +=
        (uint64_t)(state == ALIVE_ASIDE) - (uint64_t)(before == ALIVE_ASIDE);
    DL_DELETE(part->lists[before], alive);
    DL_APPEND(part->lists[state], alive);
    alive->state = state;
    alive->owner = part->owner;
}

void alive_put_last(alive_t *alive)
{
    alive_t **list = &alive->ownership->alive.lists[alive_now(alive)];
    DL_DELETE(*list, alive);
    DL_APPEND(*list, alive);
}

static void take_from_rows(lane_alive_t *lane, alive_t *alive)
{
    if (alive->changed == CHANGED_NEXT) {
        DL_DELETE2(lane->next, alive, changed_prev, changed_next);
    } else if (alive->changed == CHANGED_CURRENT) {
        DL_DELETE2(lane->current, alive, changed_prev, changed_next);
    }
    alive->changed = NOT_CHANGED;
}

static void destroy(router_t *router, alive_t *alive)
{
    alive_part_t *part = &alive->ownership->alive;
    lane_alive_t *lane = lane_part(router, alive);
    take_from_rows(lane, alive);
    part->waking -= alive->state == ALIVE_WAKING;
    router->counters.kept_aside -= alive->state == ALIVE_ASIDE;
    router->counters.kept_alive -= alive->wanted != 0;
    DL_DELETE(part->lists[alive_now(alive)], alive);
    DL_DELETE2(lane->all, alive, lane_prev, lane_next);
    lane->count--;
    HASH_DELETE(by_name, router->alives, alive);
    free(alive);
}

/* Nothing keeps the entity alive, and no row says so. */
void alive_release(router_t *router, alive_t *alive)
{
    if (alive->wanted == 0 && alive->stands == 0 && alive->changes == 0 &&
        alive->changed == NOT_CHANGED) {
        destroy(router, alive);
    }
}

void alive_note_row(router_t *router, alive_t *alive)
{
    lane_alive_t *lane = lane_part(router, alive);
    if (alive->changed == NOT_CHANGED) {
        alive->changed = CHANGED_NEXT;
        DL_APPEND2(lane->next, alive, changed_prev, changed_next);
    }
}

/* ---- checkpoints ---- */

void alive_checkpoint_begins(lane_alive_t *lane)
{
    alive_t *alive;
    DL_FOREACH2(lane->next, alive, changed_next)
    {
        alive->changed = CHANGED_CURRENT;
    }
    lane->current = lane->next;
    lane->next = NULL;
}

const alive_t *alive_next(const lane_alive_t *lane, store_kept_t *row)
{
    const alive_t *alive = lane->current;
    if (alive) {
        *row = (store_kept_t){.type = alive_type(alive),
                              .entity = alive_id(alive),
                              .shard = alive->ownership->shard->id,
                              .causes = alive->stands};
    }
    return alive;
}

void alive_take(router_t *router, lane_alive_t *lane)
{
    alive_t *alive = lane->current;
    take_from_rows(lane, alive);
    alive_release(router, alive);
}

/* ---- lanes ---- */

static void adopt_one(router_t *router, uint32_t lane, const store_kept_t *kept)
{
    shards_add_group(router, shard_id_group(kept->shard));
    shard_t *shard = shard_find(router, kept->shard);
    if (!shard || lane_number(router, kept->shard) != lane) {
        router->counters.damaged++; /* no home has written this */
        return;
    }
    ownership_t *ownership = ownership_make(router, shard, kept->type);
    if (alive_find(router, kept->type, kept->entity)) {
        router->counters.damaged++;
        return;
    }
    alive_t *alive = alive_add(router, ownership, kept->entity);
    if (kept->causes == 0) {
        alive_set_state(router, alive, ALIVE_AWAKE);
    }
    alive->wanted = alive->stands = kept->causes;
    router->counters.kept_alive += kept->causes != 0;
    if (kept->number == 0) { /* the row is older than what stands */
        alive_note_row(router, alive);
    }
}

void alive_adopt(router_t *router, uint32_t lane, const store_kept_t *kept, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        adopt_one(router, lane, &kept[i]);
    }
}

bool alive_drop_next(router_t *router, uint32_t lane)
{
    alive_t *alive = router->lanes[lane].alive.all;
    if (alive) {
        destroy(router, alive);
    }
    return alive;
}

void alives_destroy(router_t *router)
{
    alive_t *alive, *next;
    HASH_ITER(by_name, router->alives, alive, next)
    {
        HASH_DELETE(by_name, router->alives, alive);
        free(alive);
    }
    timers_destroy(&router->alive_pauses);
}
