/* The shard map: which broker is each lane's home, and which runner owns each shard of each entity
 * type, in which version. It is a hint for routing; correctness never rests on its freshness.
 *
 * On the wire (welcome.map, map.map, PUB): array(9)
 *   - term,
 *   - sequence,
 *   - previous sequence, or 0 for a snapshot,
 *   - brokers: array of [incarnation bin, router endpoint str, pub endpoint str, name str],
 *   - groups: array of [number, name str], the numbers in order from 1,
 *   - types: array of [name str, group number],
 *   - lanes: array of [number, home incarnation bin or nil, epoch, next incarnation bin or nil],
 *     the numbers in order from 0; their count is the cluster's,
 *   - runners: array of [runner id bin, application version], those that the owners refer to,
 *   - owners: array of runs [index of a type in types, first shard, array of runners]; a runner is
 *     its index in runners + 1, or 0: nobody.
 *
 * A snapshot has one run for each type that has owners, a delta runs of the shards that have
 * changed. Both list all brokers, groups, types and lanes, which are not many. A delta applies to
 * exactly its previous sequence of the same term; any other is a gap (NOT_FOUND), and the receiver
 * asks for a snapshot. A (term, sequence) that is not above the one held is ignored. Published
 * frames are ordinary frames (core/message.h) with one MAP message.
 *
 * The homes of lanes tell the owners of their lanes' shards to the broker that publishes the map:
 * array(3) of types, runners and owners as above (owners.owners).
 *
 * Threading: none of its own.
 */
#ifndef CORE_SHARD_MAP_H
#define CORE_SHARD_MAP_H

#include "core/ids.h"
#include "core/wire.h"

typedef struct shard_map shard_map_t;

typedef struct map_version {
    uint64_t term;
    uint64_t sequence;
} map_version_t;

typedef struct map_broker {
    incarnation_t incarnation;
    char router_endpoint[256];
    char pub_endpoint[256];
    char name[256];
} map_broker_t;

/* A lane as the store has it: its holder is the home. */
typedef struct map_lane {
    uint32_t number;    /* from 0 */
    incarnation_t home; /* none: no home */
    incarnation_t next; /* that is to become the home in place of one that lives; or none */
    uint64_t epoch;
} map_lane_t;

shard_map_t *shard_map_new(void);
void shard_map_destroy(shard_map_t **map);

map_version_t shard_map_version(const shard_map_t *map);
/* Whether a version is newer than another one. */
bool map_version_is_newer(map_version_t version, map_version_t than);
uint32_t shard_map_shards_per_group(const shard_map_t *map);
/* 1..LIMIT_SHARDS_PER_GROUP_MAX, before the first group or snapshot; later only the same again. */
void shard_map_set_shards_per_group(shard_map_t *map, uint32_t shards_per_group);

/* ---- groups and types ---- */

/* Groups, by stored number: they are added in order from 1 and stay for ever. LIMIT_EXCEEDED if
 * shard_map_can_grow says no, or for a name that is not 1-255 bytes; INVALID_ARGUMENT for a number
 * out of order, or a name under another number. Adding an existing group changes nothing. */
FABRIC_MUST_USE
fabric_error_t shard_map_add_group(shard_map_t *map, uint16_t number, fabric_bytes_t name);
uint16_t shard_map_group_number(const shard_map_t *map, fabric_bytes_t name); /* 0: none */
fabric_bytes_t shard_map_group_name(const shard_map_t *map, uint16_t number); /* empty: none */
size_t shard_map_group_count(const shard_map_t *map); /* numbers run from 1 to it */
/* Whether a cluster that has so many groups may have one more: within LIMIT_GROUPS_MAX and
 * LIMIT_SHARDS_MAX. */
bool shard_map_can_grow(uint64_t groups, uint32_t shards_per_group);

/* Entity types and their groups, so that clients can locate an entity by its type. INVALID_ARGUMENT
 * for a group that does not exist or a type that is in another one, LIMIT_EXCEEDED if
 * shard_map_can_take_type says no. Adding an existing one changes nothing. A new type's shards have
 * no owners. */
FABRIC_MUST_USE
fabric_error_t shard_map_add_type(shard_map_t *map, fabric_bytes_t name, uint16_t group);
uint16_t shard_map_type_group(const shard_map_t *map, fabric_bytes_t name); /* 0: unknown */
size_t shard_map_type_count(const shard_map_t *map);
fabric_bytes_t shard_map_type_name(const shard_map_t *map, size_t index);
/* Whether a cluster that has so many types may have one more: within LIMIT_TYPES_MAX, and within
 * LIMIT_OWNERSHIPS_MAX, so that a snapshot with the longest names and most runners fits into a
 * frame. */
bool shard_map_can_take_type(uint64_t types, uint32_t shards_per_group);

/* The shard of an entity id in a group; none where the group does not exist. */
shard_id_t shard_map_locate(const shard_map_t *map, uint16_t group, fabric_bytes_t id);

/* ---- lanes ---- */

/* How many lanes the cluster has: 1..LIMIT_LANES_MAX; once, or the same again. A receiver learns it
 * from its first map. Lanes begin without home, in epoch 0. */
void shard_map_set_lanes(shard_map_t *map, uint32_t count);
uint32_t shard_map_lane_count(const shard_map_t *map); /* 0: unknown */
/* NULL for a lane that does not exist. Valid until the map changes. */
const map_lane_t *shard_map_lane(const shard_map_t *map, uint32_t number);
/* The lane of a shard, which is its number mod the count of lanes. NULL for a shard that does not
 * exist, or while the count is unknown. */
const map_lane_t *shard_map_lane_of(const shard_map_t *map, shard_id_t shard);
/* The lane must exist. With another home or epoch its shards lose their owners, who had them from
 * the former home. */
void shard_map_set_lane(shard_map_t *map, const map_lane_t *lane);

/* ---- owners ---- */

/* The runner id of the shard's owner, for a type; none: it has none, or type or shard is unknown.
 */
incarnation_t shard_map_owner(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard);
/* The last owner that this map has had there, also under a former home; none: there was none. Maps
 * that are encoded do not tell it. */
incarnation_t shard_map_last_owner(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard);
/* Whether this map has had an owner of any shard of the type. */
bool shard_map_had_owners(const shard_map_t *map, fabric_bytes_t type);
/* The version of that owner's application; 0: it had none, or there was no owner. */
uint64_t shard_map_last_version(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard);
/* Whether no other owner can have come after that one without this map's knowing: since then each
 * change of the map was received. */
bool shard_map_last_is_certain(const shard_map_t *map, fabric_bytes_t type, shard_id_t shard);
/* INVALID_ARGUMENT for an unknown type, or a shard that does not exist or is in another group.
 * `runner` none: nobody. `app_version`: of its application; 0: none. */
FABRIC_MUST_USE
fabric_error_t shard_map_set_owner(shard_map_t *map, fabric_bytes_t type, shard_id_t shard,
                                   incarnation_t runner, uint64_t app_version);

/* ---- brokers ---- */

/* The broker of a list, or NULL. */
const map_broker_t *map_broker_find(const map_broker_t *brokers, size_t count,
                                    incarnation_t incarnation);
/* Brokers, at most LIMIT_BROKERS_MAX, for the endpoints of homes. */
void shard_map_set_brokers(shard_map_t *map, const map_broker_t *brokers, size_t count);
const map_broker_t *shard_map_broker(const shard_map_t *map,
                                     incarnation_t incarnation); /* or NULL */
size_t shard_map_broker_count(const shard_map_t *map);
const map_broker_t *shard_map_broker_at(const shard_map_t *map, size_t index);

/* ---- publishing ---- */

/* Starts a term, larger than any before, at sequence 1. What was changed before counts as
 * published, and the first delta of a term is written as a snapshot. */
void shard_map_begin_term(shard_map_t *map, uint64_t term);
/* Whether anything changed since the last shard_map_encode_delta. */
bool shard_map_changed(const shard_map_t *map);
/* Raises the sequence by one and appends the delta since the last one. */
void shard_map_encode_delta(shard_map_t *map, wire_writer_t *writer);
void shard_map_encode_snapshot(const shard_map_t *map, wire_writer_t *writer);

/* Takes over the owners that a home has told (shard_map_encode_owners), of those shards whose
 * lane's home it is in this map. Types that this map does not have are left out.
 * MALFORMED_MESSAGE: the map is as it was. */
FABRIC_MUST_USE
fabric_error_t shard_map_take_owners(shard_map_t *map, incarnation_t home, fabric_bytes_t encoded);

/* ---- receiving ---- */

/* The version of an encoded map. MALFORMED_MESSAGE: it does not begin as a map does. */
FABRIC_MUST_USE
fabric_error_t shard_map_read_version(fabric_bytes_t encoded, map_version_t *version);
/* Applies a snapshot or delta. OK (also when it is old and ignored), NOT_FOUND for a gap and before
 * shards_per_group is set, MALFORMED_MESSAGE. On an error the map is as it was.
 * `changed` may be NULL; it tells whether anything was applied. */
FABRIC_MUST_USE
fabric_error_t shard_map_apply(shard_map_t *map, fabric_bytes_t encoded, bool *changed);
/* The same for what may also be a snapshot of the version held, which then takes the place of what
 * the map has. */
FABRIC_MUST_USE
fabric_error_t shard_map_apply_again(shard_map_t *map, fabric_bytes_t encoded, bool *changed);

/* A receiver may know more than the map that it received, and set it as a publisher does. */

/* Whether owners were set since the map was received or they were encoded. */
bool shard_map_owners_changed(const shard_map_t *map);
/* Appends those owners, for shard_map_take_owners of the publisher. */
void shard_map_encode_owners(shard_map_t *map, wire_writer_t *writer);
/* All owners of shards whose lane's home it is in this map, also nobody, count as set anew. */
void shard_map_mark_owners(shard_map_t *map, incarnation_t home);
/* Whether anything else was set. */
bool shard_map_revised(const shard_map_t *map);
/* Appends a snapshot of all that is known, for receivers of this process
 * (shard_map_apply_again) and for newcomers. It has the version that was received, or, before
 * any was, the next sequence of term 0, which is older than any that is published. */
void shard_map_encode_revision(shard_map_t *map, wire_writer_t *writer);

#endif
