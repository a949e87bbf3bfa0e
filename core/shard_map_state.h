/* The inside of a shard map: only for core/shard_map.c (look-ups and changes),
 * core/shard_map_owners.c (owners, and their encoding) and core/shard_map_wire.c (the encoding of
 * the rest). */
#ifndef CORE_SHARD_MAP_STATE_H
#define CORE_SHARD_MAP_STATE_H

#include "core/hash.h"
#include "core/limits.h"
#include "core/shard_map.h"

typedef struct map_group {
    uint8_t name[LIMIT_NAME_BYTES_MAX];
    size_t name_size;
} map_group_t;

/* A runner that owns shards. */
typedef struct map_runner {
    incarnation_t incarnation;
    uint64_t app_version;
    uint32_t uses;  /* the ownerships that refer to it */
    uint32_t index; /* in the list that is being encoded, + 1; 0: not in it yet */
    UT_hash_handle hh;
} map_runner_t;

typedef struct map_ownership {
    map_runner_t *owner;   /* NULL: nobody */
    incarnation_t last;    /* the last owner; none: there was none since the map was made */
    uint64_t last_version; /* of its application */
    bool last_unsure;      /* a whole map has come since, which tells of present owners only */
    bool changed;          /* set since the last delta, or since it was received */
} map_ownership_t;

typedef struct map_type {
    uint8_t name[LIMIT_NAME_BYTES_MAX];
    size_t name_size;
    uint16_t group;
    bool received;           /* the last whole map that was received, or a delta since, has it */
    map_ownership_t *shards; /* shards_per_group of them: number n at n - 1 */
} map_type_t;

struct shard_map {
    map_version_t version;
    uint32_t shards_per_group;
    size_t group_count;
    map_group_t groups[LIMIT_GROUPS_MAX]; /* number n at n - 1 */
    size_t type_count;
    map_type_t types[LIMIT_TYPES_MAX];
    uint32_t lane_count;
    map_lane_t lanes[LIMIT_LANES_MAX];
    size_t broker_count;
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    map_runner_t *runners;       /* a hash table */
    uint32_t changed_ownerships; /* how many are marked so */
    bool changed;                /* anything else */
    bool snapshot_due; /* a term began: no map has been published that a delta could follow */
};

static inline fabric_bytes_t map_group_name(const map_group_t *group)
{
    return fabric_bytes(group->name, group->name_size);
}

static inline fabric_bytes_t map_type_name(const map_type_t *type)
{
    return fabric_bytes(type->name, type->name_size);
}

/* ---- shard_map.c ---- */

/* Adds the next group. The name must be new and of a right length, the group within the limit. */
void map_append_group(shard_map_t *map, fabric_bytes_t name);
/* NULL: the map has no such type. */
map_type_t *map_find_type(const shard_map_t *map, fabric_bytes_t name);
/* Adds a type, likewise; its group exists. */
map_type_t *map_append_type(shard_map_t *map, fabric_bytes_t name, uint16_t group);

/* ---- shard_map_owners.c ---- */

/* Gives shard `number` of the type an owner (none: nobody). `mark`: a change is marked, else the
 * ownership is unmarked. */
void map_set_owner(shard_map_t *map, map_type_t *type, uint32_t number, incarnation_t runner,
                   bool mark);
/* Takes the owners of the lane's shards away, and marks them all: a home whose owners came before
 * the publisher knew it as the home sees in the next delta that they are to be told again. */
void map_forget_owners_of(shard_map_t *map, uint32_t lane);
/* Takes all owners away. Nothing is marked any more. */
void map_forget_owners(shard_map_t *map);
/* Marks the shards of the type that have owners. */
void map_mark_owners_of(shard_map_t *map, map_type_t *type);
/* Nothing is marked any more. */
void map_unmark_owners(shard_map_t *map);

/* Appends the lists of runners and runs: of all owners, or of those that are marked. */
void map_put_owners(const shard_map_t *map, bool marked_only, wire_writer_t *writer);
/* Checks both lists. The runs refer to `count` types with these groups. */
void map_check_owners(const shard_map_t *map, wire_reader_t *reader, const uint16_t *groups,
                      size_t count);
/* Takes both lists over, which have passed the check. The runs refer to these types; NULL: it is
 * left out. `home`: only shards of lanes with that home, and changes are marked. NULL: all, and
 * nothing is. */
void map_take_owners(shard_map_t *map, wire_reader_t *reader, map_type_t *const *types,
                     const incarnation_t *home);

/* ---- shard_map_wire.c ---- */

/* A runner's or broker's incarnation, which is not none: else the reader fails. */
incarnation_t map_get_incarnation(wire_reader_t *reader);
/* Fails the reader unless an array of that size begins. */
void map_get_tuple(wire_reader_t *reader, uint32_t size);

#endif
