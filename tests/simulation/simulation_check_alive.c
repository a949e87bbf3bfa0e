/* The checker of entities that are kept alive: their rows say what the journal says. See
 * simulation_check.h. */
#include "tests/simulation/simulation_check_state.h"

#include <stdlib.h>
#include <string.h>

#include "tests/memory/memory_store.h"

enum { KEPT_MAX = 4 * ENTITIES_MAX, NAME_SIZE = 64 };

typedef struct watched_kept {
    char type[NAME_SIZE], entity[NAME_SIZE];
    uint32_t lane, causes;
    uint64_t changed_in; /* the last entry that speaks of it */
    bool seen;           /* its row, at the present look */
} watched_kept_t;

static watched_kept_t kept[KEPT_MAX];
static size_t kept_count;

void check_alive_free(void)
{
    kept_count = 0;
}

static bool is_name(const char *name, fabric_bytes_t bytes)
{
    return strlen(name) == bytes.size && memcmp(name, bytes.data, bytes.size) == 0;
}

/* NULL: no entry has spoken of it. */
static watched_kept_t *find(uint32_t lane, const store_kept_t *wanted)
{
    for (size_t i = 0; i < kept_count; i++) {
        if (kept[i].lane == lane && is_name(kept[i].type, wanted->type) &&
            is_name(kept[i].entity, wanted->entity)) {
            return &kept[i];
        }
    }
    return NULL;
}

void check_alive_cleared(const store_entry_t *entry, const journal_record_t *record)
{
    store_kept_t cleared = {.type = record->message.type, .entity = record->message.entity};
    watched_kept_t *at = find(entry->lane, &cleared);
    if (at) {
        at->causes = 0;
        at->changed_in = entry->number;
    }
}

void check_alive_stored(const store_entry_t *entry, const journal_record_t *record)
{
    watched_kept_t *at = find(entry->lane, &record->kept);
    world.result->alive++;
    if (shard_id_number(record->shard) % world.plan.lanes != entry->lane) {
        world_fail("an entity that is kept alive is in lane %u, not in that of shard %u",
                   entry->lane, shard_id_number(record->shard));
    }
    if (!at && (kept_count == KEPT_MAX || record->kept.type.size >= NAME_SIZE ||
                record->kept.entity.size >= NAME_SIZE)) {
        world_fail("an entity is kept alive that there is not");
        return;
    }
    if (!at) {
        at = &kept[kept_count++];
        *at = (watched_kept_t){.lane = entry->lane};
        memcpy(at->type, record->kept.type.data, record->kept.type.size);
        memcpy(at->entity, record->kept.entity.data, record->kept.entity.size);
    }
    at->causes = record->kept.causes;
    at->changed_in = entry->number;
}

typedef struct kept_look {
    uint32_t lane;
    uint64_t number;
} kept_look_t;

static void look_at_row(void *context, uint32_t lane, const store_kept_t *row)
{
    const kept_look_t *look = context;
    if (lane != look->lane) {
        return;
    }
    watched_kept_t *at = find(lane, row);
    if (!at) {
        world_fail("an entity of lane %u has a row, and was never kept alive", lane);
        return;
    }
    at->seen = true;
    if (at->changed_in <= look->number && row->causes != at->causes) {
        world_fail("%s/%s is kept alive by %u, and its row says %u, at the checkpoint of %llu",
                   at->type, at->entity, at->causes, row->causes, (ull)look->number);
    }
}

void check_alive_rows(uint32_t lane, uint64_t number)
{
    kept_look_t look = {lane, number};
    for (size_t i = 0; i < kept_count; i++) {
        kept[i].seen = false;
    }
    memory_store_dump_kept(SIMULATION_DATABASE, look_at_row, &look);
    for (size_t i = 0; i < kept_count; i++) {
        if (kept[i].lane == lane && kept[i].changed_in <= number && kept[i].causes != 0 &&
            !kept[i].seen) {
            world_fail("%s/%s is kept alive, and has no row at the checkpoint of %llu",
                       kept[i].type, kept[i].entity, (ull)number);
        }
    }
}
