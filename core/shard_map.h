/* The shard map: which broker is each shard's home, which runner its owner, under which token, in
 * which version. It is a hint for routing; correctness never rests on its freshness.
 *
 * On the wire (welcome.map, map.map, PUB): array(7)
 *   - term,
 *   - sequence,
 *   - previous sequence, or 0 for a snapshot,
 *   - brokers: array of [incarnation bin, router endpoint str, pub endpoint str],
 *   - groups: array of [number, name str], the numbers in order from 1,
 *   - types: array of [name str, group number],
 *   - shards: array of [shard, home incarnation bin or nil, owner's runner id bin or nil, home
 *     epoch, owner sequence].
 *
 * A snapshot lists all shards, a delta only the changed ones. Both list all brokers, groups and
 * types, which are not many. A delta applies to exactly its previous sequence of the same term; any
 * other is a gap (NOT_FOUND), and the receiver asks for a snapshot. A (term, sequence) that is not
 * above the one held is ignored. Published frames are ordinary frames (core/message.h) with one MAP
 * message.
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
} map_broker_t;

typedef struct map_shard {
    shard_id_t shard;
    incarnation_t home;  /* none: no home */
    incarnation_t owner; /* its runner id; none: no owner */
    token_t token;
} map_shard_t;

shard_map_t *shard_map_new(void);
void shard_map_destroy(shard_map_t **map);

map_version_t shard_map_version(const shard_map_t *map);
uint32_t shard_map_shards_per_group(const shard_map_t *map);
/* 1..LIMIT_SHARDS_PER_GROUP_MAX, before the first group or snapshot; later only the same again. */
void shard_map_set_shards_per_group(shard_map_t *map, uint32_t shards_per_group);

/* Groups, by stored number: they are added in order from 1 and stay for ever. LIMIT_EXCEEDED if
 * shard_map_can_grow says no, or for a name that is not 1-255 bytes; INVALID_ARGUMENT for a number
 * out of order, or a name under another number. Adding an existing group changes nothing. A new
 * group's shards exist at once, without home and owner. */
FABRIC_MUST_USE
fabric_error_t shard_map_add_group(shard_map_t *map, uint16_t number, fabric_bytes_t name);
uint16_t shard_map_group_number(const shard_map_t *map, fabric_bytes_t name); /* 0: none */
fabric_bytes_t shard_map_group_name(const shard_map_t *map, uint16_t number); /* empty: none */
size_t shard_map_group_count(const shard_map_t *map); /* numbers run from 1 to it */
/* Whether a cluster that has so many groups may have one more: within LIMIT_GROUPS_MAX, and within
 * LIMIT_SHARDS_MAX, so that a snapshot with the longest names and numbers fits into a frame. */
bool shard_map_can_grow(uint64_t groups, uint32_t shards_per_group);

/* Entity types and their groups, so that clients can locate an entity by its type. INVALID_ARGUMENT
 * for a group that does not exist or a type that is in another one, LIMIT_EXCEEDED past
 * LIMIT_TYPES_MAX. Adding an existing one changes nothing. */
FABRIC_MUST_USE
fabric_error_t shard_map_add_type(shard_map_t *map, fabric_bytes_t name, uint16_t group);
uint16_t shard_map_type_group(const shard_map_t *map, fabric_bytes_t name); /* 0: unknown */

/* The shard of an entity id in a group; none where the group does not exist. */
shard_id_t shard_map_locate(const shard_map_t *map, uint16_t group, fabric_bytes_t id);
/* NULL for a shard that does not exist. Valid until the map changes. */
const map_shard_t *shard_map_shard(const shard_map_t *map, shard_id_t shard);
/* INVALID_ARGUMENT for a shard that does not exist. The change becomes part of the next delta. */
FABRIC_MUST_USE
fabric_error_t shard_map_set(shard_map_t *map, const map_shard_t *shard);

/* Brokers, at most LIMIT_BROKERS_MAX, for the endpoints of homes. */
void shard_map_set_brokers(shard_map_t *map, const map_broker_t *brokers, size_t count);
const map_broker_t *shard_map_broker(const shard_map_t *map,
                                     incarnation_t incarnation); /* or NULL */
size_t shard_map_broker_count(const shard_map_t *map);
const map_broker_t *shard_map_broker_at(const shard_map_t *map, size_t index);

/* Publisher: starts a term, larger than any before, at sequence 1. What was changed before counts
 * as published, and the first delta of a term is written as a snapshot. */
void shard_map_begin_term(shard_map_t *map, uint64_t term);
/* Whether anything changed since the last shard_map_encode_delta. */
bool shard_map_changed(const shard_map_t *map);
/* Raises the sequence by one and appends the delta since the last one. */
void shard_map_encode_delta(shard_map_t *map, wire_writer_t *writer);
void shard_map_encode_snapshot(const shard_map_t *map, wire_writer_t *writer);

/* Receiver: applies a snapshot or delta. OK (also when it is old and ignored), NOT_FOUND for a gap
 * and before shards_per_group is set, MALFORMED_MESSAGE. On an error the map is as it was.
 * `changed` may be NULL; it tells whether anything was applied. */
FABRIC_MUST_USE
fabric_error_t shard_map_apply(shard_map_t *map, fabric_bytes_t encoded, bool *changed);

#endif
