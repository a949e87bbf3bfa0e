/* The owners in a shard map: for each type, the runner of each shard of its group. */
#include "core/shard_map_state.h"

/* ---- runners, which are there as long as an ownership refers to them ---- */

static map_runner_t *use_runner(shard_map_t *map, incarnation_t incarnation, uint64_t app_version)
{
    map_runner_t *runner = NULL;
    if (incarnation_is_none(incarnation)) {
        return NULL;
    }
    HASH_FIND(hh, map->runners, &incarnation, sizeof incarnation, runner);
    if (!runner) {
        runner = memory_allocate_zeroed(1, sizeof *runner);
        runner->incarnation = incarnation;
        HASH_ADD(hh, map->runners, incarnation, sizeof runner->incarnation, runner);
    }
    runner->app_version = app_version;
    runner->uses++;
    return runner;
}

static void drop_runner(shard_map_t *map, map_runner_t *runner)
{
    if (runner && --runner->uses == 0) {
        HASH_DELETE(hh, map->runners, runner);
        free(runner);
    }
}

/* ---- ownerships ---- */

static void mark(shard_map_t *map, map_ownership_t *ownership, bool changed)
{
    map->changed_ownerships += (uint32_t)changed - (uint32_t)ownership->changed;
    ownership->changed = changed;
}

/* As map_set_owner; a runner that comes in use. */
static void give(shard_map_t *map, map_ownership_t *ownership, map_runner_t *runner, bool marks)
{
    bool differs = ownership->owner != runner;
    if (runner) {
        runner->uses++;
        ownership->last = runner->incarnation;
        ownership->last_version = runner->app_version;
        ownership->last_unsure = false;
    }
    drop_runner(map, ownership->owner);
    ownership->owner = runner;
    mark(map, ownership, marks && (differs || ownership->changed));
}

/* NULL: the type or the shard is unknown. */
static map_ownership_t *find_ownership(const shard_map_t *map, fabric_bytes_t type_name,
                                       shard_id_t shard)
{
    const map_type_t *type = map_find_type(map, type_name);
    uint16_t number = shard_id_number(shard);
    bool exists = type && shard_id_group(shard) == type->group && number > 0 &&
                  number <= map->shards_per_group;
    return exists ? &type->shards[number - 1] : NULL;
}

incarnation_t shard_map_owner(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard)
{
    const map_ownership_t *ownership = find_ownership(map, type, shard);
    return ownership && ownership->owner ? ownership->owner->incarnation : (incarnation_t){{0}};
}

incarnation_t shard_map_last_owner(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard)
{
    const map_ownership_t *ownership = find_ownership(map, type, shard);
    return ownership ? ownership->last : (incarnation_t){{0}};
}

bool shard_map_had_owners(const shard_map_t *map, fabric_bytes_t type_name)
{
    const map_type_t *type = map_find_type(map, type_name);
    uint32_t i = 0;
    while (type && i < map->shards_per_group && incarnation_is_none(type->shards[i].last)) {
        i++;
    }
    return type && i < map->shards_per_group;
}

uint64_t shard_map_last_version(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard)
{
    const map_ownership_t *ownership = find_ownership(map, type, shard);
    return ownership ? ownership->last_version : 0;
}

bool shard_map_last_is_certain(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard)
{
    const map_ownership_t *ownership = find_ownership(map, type, shard);
    return ownership && !incarnation_is_none(ownership->last) && !ownership->last_unsure;
}

fabric_error_t shard_map_set_owner(shard_map_t *map, fabric_bytes_t type, shard_id_t shard,
                                   incarnation_t incarnation, uint64_t app_version)
{
    map_ownership_t *ownership = find_ownership(map, type, shard);
    if (!ownership) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    map_runner_t *runner = use_runner(map, incarnation, app_version);
    give(map, ownership, runner, true);
    drop_runner(map, runner);
    return FABRIC_OK;
}

static bool is_of_home(const shard_map_t *map, uint64_t number, const incarnation_t *home)
{
    return map->lane_count > 0 &&
           incarnation_equal(map->lanes[number % map->lane_count].home, *home);
}

void map_forget_owners_of(shard_map_t *map, uint32_t lane)
{
    for (size_t t = 0; t < map->type_count; t++) {
        for (uint32_t number = 1; number <= map->shards_per_group; number++) {
            if (number % map->lane_count == lane) {
                give(map, &map->types[t].shards[number - 1], NULL, true);
                mark(map, &map->types[t].shards[number - 1], true);
            }
        }
    }
}

void map_forget_owners(shard_map_t *map)
{
    for (size_t t = 0; t < map->type_count; t++) {
        for (uint32_t i = 0; i < map->shards_per_group; i++) {
            give(map, &map->types[t].shards[i], NULL, false);
            map->types[t].shards[i].last_unsure = true;
        }
    }
}

void map_mark_owners_of(shard_map_t *map, map_type_t *type)
{
    for (uint32_t i = 0; i < map->shards_per_group; i++) {
        mark(map, &type->shards[i], type->shards[i].owner != NULL);
    }
}

void shard_map_mark_owners(shard_map_t *map, incarnation_t home)
{
    for (size_t t = 0; t < map->type_count; t++) {
        for (uint32_t number = 1; number <= map->shards_per_group; number++) {
            if (is_of_home(map, number, &home)) {
                mark(map, &map->types[t].shards[number - 1], true);
            }
        }
    }
}

void map_unmark_owners(shard_map_t *map)
{
    for (size_t t = 0; map->changed_ownerships > 0 && t < map->type_count; t++) {
        for (uint32_t i = 0; i < map->shards_per_group; i++) {
            mark(map, &map->types[t].shards[i], false);
        }
    }
}

/* ---- encoding ---- */

/* A run: consecutive shards of one type. */
typedef struct run {
    size_t type; /* its index */
    uint32_t first, count;
} run_t;

/* The run at or after a shard of a type, of all shards of types with owners or of marked ones.
 * false: there is none. */
static bool find_run(const shard_map_t *map, bool marked_only, run_t *run)
{
    for (; run->type < map->type_count; run->type++, run->first = 0) {
        const map_ownership_t *shards = map->types[run->type].shards;
        uint32_t from = run->first;
        while (from < map->shards_per_group &&
               !(marked_only ? shards[from].changed : shards[from].owner != NULL)) {
            from++;
        }
        if (from == map->shards_per_group) {
            continue;
        }
        uint32_t end = marked_only ? from : map->shards_per_group;
        while (end < map->shards_per_group && shards[end].changed) {
            end++;
        }
        run->first = marked_only ? from : 0;
        run->count = end - run->first;
        return true;
    }
    return false;
}

static bool next_run(const shard_map_t *map, bool marked_only, run_t *run)
{
    if (run->count > 0) {
        run->first += run->count;
    }
    if (run->first == map->shards_per_group) {
        run->type++;
        run->first = 0;
    }
    run->count = 0;
    return find_run(map, marked_only, run);
}

/* Numbers the runners of all runs, in the order in which the runs refer to them, so that equal maps
 * are encoded alike. Appends them to `list`, and returns how many there are. */
static uint32_t number_runners(const shard_map_t *map, bool marked_only, const map_runner_t **list,
                               uint32_t *runs)
{
    uint32_t count = 0;
    for (map_runner_t *runner = map->runners; runner; runner = runner->hh.next) {
        runner->index = 0;
    }
    *runs = 0;
    for (run_t run = {0}; next_run(map, marked_only, &run); ++*runs) {
        const map_ownership_t *shards = &map->types[run.type].shards[run.first];
        for (uint32_t i = 0; i < run.count; i++) {
            map_runner_t *owner = shards[i].owner;
            if (owner && owner->index == 0) {
                list[count++] = owner;
                owner->index = count;
            }
        }
    }
    return count;
}

static void put_run(const shard_map_t *map, const run_t *run, wire_writer_t *writer)
{
    const map_type_t *type = &map->types[run->type];
    wire_put_array(writer, 3);
    wire_put_uint(writer, run->type);
    wire_put_uint(writer, shard_id_make(type->group, (uint16_t)(run->first + 1)).value);
    wire_put_array(writer, run->count);
    for (uint32_t i = 0; i < run->count; i++) {
        const map_runner_t *owner = type->shards[run->first + i].owner;
        wire_put_uint(writer, owner ? owner->index : 0);
    }
}

void map_put_owners(const shard_map_t *map, bool marked_only, wire_writer_t *writer)
{
    const map_runner_t **list = memory_allocate_zeroed(HASH_COUNT(map->runners), sizeof *list);
    uint32_t runs;
    uint32_t count = number_runners(map, marked_only, list, &runs);
    wire_put_array(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_array(writer, 2);
        wire_put_bin(writer, fabric_bytes(list[i]->incarnation.bytes, sizeof(incarnation_t)));
        wire_put_uint(writer, list[i]->app_version);
    }
    free(list);
    wire_put_array(writer, runs);
    for (run_t run = {0}; next_run(map, marked_only, &run);) {
        put_run(map, &run, writer);
    }
}

/* ---- decoding ---- */

/* What is in front of the runners of a run. */
static uint32_t get_run(wire_reader_t *reader, uint64_t *type, uint64_t *shard)
{
    map_get_tuple(reader, 3);
    *type = wire_get_uint(reader);
    *shard = wire_get_uint(reader);
    return wire_get_array(reader);
}

void map_check_owners(const shard_map_t *map, wire_reader_t *reader, const uint16_t *groups,
                      size_t type_count)
{
    uint32_t runners = wire_get_array(reader);
    for (uint32_t i = 0; i < runners && !reader->failed; i++) {
        map_get_tuple(reader, 2);
        (void)map_get_incarnation(reader);
        (void)wire_get_uint(reader);
    }
    for (uint32_t runs = wire_get_array(reader); runs > 0 && !reader->failed; runs--) {
        uint64_t type, shard;
        uint32_t count = get_run(reader, &type, &shard);
        uint64_t number = shard & 0xffff;
        if (type >= type_count || shard >> 16 != groups[type] || number == 0 || count == 0 ||
            number + count - 1 > map->shards_per_group) {
            reader->failed = true;
        }
        for (; count > 0 && !reader->failed; count--) {
            reader->failed |= wire_get_uint(reader) > runners;
        }
    }
}

void map_take_owners(shard_map_t *map, wire_reader_t *reader, map_type_t *const *types,
                     const incarnation_t *home)
{
    uint32_t runner_count = wire_get_array(reader);
    map_runner_t **runners = memory_allocate_zeroed(runner_count + 1u, sizeof *runners);
    for (uint32_t i = 1; i <= runner_count; i++) {
        map_get_tuple(reader, 2);
        incarnation_t runner = map_get_incarnation(reader);
        runners[i] = use_runner(map, runner, wire_get_uint(reader));
    }
    for (uint32_t runs = wire_get_array(reader); runs > 0; runs--) {
        uint64_t type, shard;
        uint32_t count = get_run(reader, &type, &shard);
        for (uint64_t number = shard & 0xffff; count > 0; count--, number++) {
            map_runner_t *owner = runners[wire_get_uint(reader)];
            if (types[type] && (!home || is_of_home(map, number, home))) {
                give(map, &types[type]->shards[number - 1], owner, home != NULL);
            }
        }
    }
    for (uint32_t i = 1; i <= runner_count; i++) {
        drop_runner(map, runners[i]);
    }
    free(runners);
}
