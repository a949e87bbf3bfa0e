/* What would move: see plan.h. */
#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/placement.h"

/* An id as a placement has it; none for null. */
static incarnation_t id_of(const json_t *value)
{
    incarnation_t id = {{0}};
    const char *text = json_string_value(value);
    if (text) {
        (void)incarnation_parse(text, &id);
    }
    return id;
}

static json_t *id_value(incarnation_t id)
{
    char text[33];
    return incarnation_is_none(id) ? json_null() : json_string(incarnation_text(id, text));
}

static void set_move(json_t *move, incarnation_t from, incarnation_t to)
{
    json_object_set_new(move, "from", id_value(from));
    json_object_set_new(move, "to", id_value(to));
}

/* ---- lanes ---- */

/* A silent broker counts as one that lives: its death would be another event. */
static size_t find_brokers(const cluster_view_t *view, const char *drained,
                           placement_member_t members[LIMIT_BROKERS_MAX + 1])
{
    size_t count = 0;
    incarnation_t newcomer;
    for (size_t i = 0; i < view->count && count < LIMIT_BROKERS_MAX; i++) {
        const char *text = view->answers[i].broker;
        incarnation_t id = {{0}};
        bool drains = json_is_true(json_object_get(view->documents[i], "draining")) ||
                      (drained && strcmp(drained, text) == 0);
        if (incarnation_parse(text, &id)) {
            members[count++] = placement_broker(id, drains);
        }
    }
    if (!drained && incarnation_parse(PLAN_NEWCOMER, &newcomer)) {
        members[count++] = placement_broker(newcomer, false);
    }
    return count;
}

/* The broker that holds each lane. Where a holder does not answer, the others know by the map what
 * its lanes' shards have as home. Returns the number of lanes. */
static size_t find_holders(const cluster_view_t *view, incarnation_t holders[LIMIT_LANES_MAX])
{
    size_t lanes = cluster_view_lanes(view);
    size_t index;
    const json_t *item;
    lanes = lanes < LIMIT_LANES_MAX ? lanes : LIMIT_LANES_MAX;
    memset(holders, 0, LIMIT_LANES_MAX * sizeof *holders);
    json_array_foreach(json_object_get(lanes > 0 ? view->merged : NULL, "shards"), index, item)
    {
        size_t lane = (size_t)cli_number_of(item, "number") % lanes;
        if (incarnation_is_none(holders[lane])) {
            holders[lane] = id_of(json_object_get(item, "home"));
        }
    }
    json_array_foreach(json_object_get(view->merged, "lanes"), index, item)
    {
        size_t lane = (size_t)cli_number_of(item, "number");
        if (lane < lanes) {
            holders[lane] = id_of(json_object_get(item, "broker"));
        }
    }
    return lanes;
}

/* Moves the first lane that is to move, as a broker gives up its lanes one after another, and what
 * is left is placed anew each time. false: none is to. */
static bool move_next(const placement_member_t *members, size_t count, incarnation_t *holders,
                      size_t lanes, json_t *moves)
{
    incarnation_t placed[LIMIT_LANES_MAX];
    memcpy(placed, holders, lanes * sizeof *placed);
    placement_compute(members, count, placed, lanes);
    for (size_t i = 0; i < lanes; i++) {
        if (!incarnation_is_none(placed[i]) && !incarnation_equal(placed[i], holders[i])) {
            json_t *move = json_object();
            json_object_set_new(move, "lane", json_integer((json_int_t)i));
            set_move(move, holders[i], placed[i]);
            json_array_append_new(moves, move);
            holders[i] = placed[i];
            return true;
        }
    }
    return false;
}

json_t *plan_lanes(const cluster_view_t *view, const char *drained)
{
    placement_member_t members[LIMIT_BROKERS_MAX + 1];
    incarnation_t holders[LIMIT_LANES_MAX];
    json_t *moves = json_array();
    size_t count = find_brokers(view, drained, members);
    size_t lanes = find_holders(view, holders);
    for (size_t i = 0; i < lanes && move_next(members, count, holders, lanes, moves); i++) {
    }
    return moves;
}

/* ---- shards ---- */

/* A change of runners, and the moves that it makes. */
typedef struct change {
    const char *drained;
    const plan_runner_t *added;
    json_t *moves;
} change_t;

/* What one home places at once: one type's parts of the shards of its lanes. */
typedef struct placing {
    const json_t *document;
    const char *type;
    placement_member_t *members;
    size_t member_count;
    const json_t **shards;
    incarnation_t *owners;
    uint64_t *versions;
    size_t count;
} placing_t;

static bool brings(const json_t *runner, const char *type)
{
    size_t index;
    const json_t *name;
    json_array_foreach(json_object_get(runner, "types"), index, name)
    {
        if (strcmp(json_string_value(name) ? json_string_value(name) : "", type) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the type is among those of the newcomer. */
static bool is_listed(const char *types, const char *type)
{
    size_t size = strlen(type);
    for (const char *name = types; name && *name;) {
        size_t length = strcspn(name, ",");
        if (length == size && memcmp(name, type, size) == 0) {
            return true;
        }
        name += length + (name[length] == ',');
    }
    return !types;
}

static void add_runner(const change_t *change, const json_t *runner, placing_t *placing)
{
    const char *state = cli_text_of(runner, "state");
    const char *text = cli_text_of(runner, "incarnation");
    runner_standing_t standing = RUNNER_OPEN;
    incarnation_t id = {{0}};
    bool present = strcmp(state, "healthy") == 0 || strcmp(state, "missing") == 0;
    if (!present || !brings(runner, placing->type) || !incarnation_parse(text, &id)) {
        return;
    }
    (void)runner_standing_parse(cli_text_of(runner, "standing"), &standing);
    if (change->drained && strcmp(change->drained, text) == 0) {
        standing = RUNNER_DRAINING;
    }
    placing->members[placing->member_count++] =
        placement_runner(id, (uint32_t)cli_number_of(runner, "weight"),
                         (uint64_t)cli_number_of(runner, "app_version"), standing);
}

static void find_runners(const change_t *change, placing_t *placing)
{
    const json_t *runners = json_object_get(placing->document, "runners");
    const plan_runner_t *added = change->added;
    incarnation_t newcomer;
    size_t index;
    const json_t *runner;
    placing->members =
        memory_allocate_zeroed(json_array_size(runners) + 1, sizeof *placing->members);
    json_array_foreach((json_t *)runners, index, runner)
    {
        add_runner(change, runner, placing);
    }
    if (!change->drained && is_listed(added->types, placing->type) &&
        incarnation_parse(PLAN_NEWCOMER, &newcomer)) {
        placing->members[placing->member_count++] =
            placement_runner(newcomer, added->weight, added->app_version, RUNNER_OPEN);
    }
}

static uint64_t version_of(const placing_t *placing, incarnation_t owner)
{
    for (size_t i = 0; i < placing->member_count; i++) {
        if (incarnation_equal(placing->members[i].incarnation, owner)) {
            return placing->members[i].version;
        }
    }
    return 0;
}

/* The shards of the group whose home the document's broker is. */
static void find_shards(const char *group, placing_t *placing)
{
    const json_t *shards = json_object_get(placing->document, "shards");
    const char *home = cli_text_of(placing->document, "broker");
    size_t size = json_array_size(shards);
    size_t index;
    const json_t *shard;
    placing->shards = memory_allocate_zeroed(size, sizeof *placing->shards);
    placing->owners = memory_allocate_zeroed(size, sizeof *placing->owners);
    placing->versions = memory_allocate_zeroed(size, sizeof *placing->versions);
    json_array_foreach((json_t *)shards, index, shard)
    {
        if (strcmp(cli_text_of(shard, "group"), group) == 0 &&
            strcmp(cli_text_of(shard, "home"), home) == 0) {
            incarnation_t owner =
                id_of(json_object_get(json_object_get(shard, "owners"), placing->type));
            placing->shards[placing->count] = shard;
            placing->owners[placing->count] = owner;
            placing->versions[placing->count++] = version_of(placing, owner);
        }
    }
}

static void note_move(const placing_t *placing, const json_t *shard, incarnation_t to,
                      json_t *moves)
{
    incarnation_t from = id_of(json_object_get(json_object_get(shard, "owners"), placing->type));
    if (incarnation_equal(from, to)) {
        return;
    }
    json_t *move = json_object();
    json_object_set_new(move, "type", json_string(placing->type));
    json_object_set_new(
        move, "shard",
        json_sprintf("%s:%lld", cli_text_of(shard, "group"), cli_number_of(shard, "number")));
    set_move(move, from, to);
    json_array_append_new(moves, move);
}

static void place_type(const change_t *change, const json_t *document, const json_t *type)
{
    placing_t placing = {.document = document, .type = cli_text_of(type, "name")};
    find_runners(change, &placing);
    find_shards(cli_text_of(type, "group"), &placing);
    placement_compute_versions(placing.members, placing.member_count, placing.owners,
                               placing.versions, placing.count);
    for (size_t i = 0; i < placing.count; i++) {
        note_move(&placing, placing.shards[i], placing.owners[i], change->moves);
    }
    free(placing.members);
    free(placing.shards);
    free(placing.owners);
    free(placing.versions);
}

json_t *plan_shards(const cluster_view_t *view, const char *drained, const plan_runner_t *added)
{
    change_t change = {.drained = drained, .added = added, .moves = json_array()};
    size_t index;
    const json_t *type;
    for (size_t i = 0; i < view->count; i++) {
        const json_t *document = view->documents[i];
        json_array_foreach(json_object_get(document, "types"), index, type)
        {
            place_type(&change, document, type);
        }
    }
    return change.moves;
}
