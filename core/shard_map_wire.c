/* The shard map on the wire: snapshots and deltas, and taking them over. */
#include "core/shard_map_state.h"

#include "core/address.h"

/* ---- publishing ---- */

static void clear_changes(shard_map_t *map)
{
    map_unmark_owners(map);
    map->changed = false;
    map->snapshot_due = false;
}

void shard_map_begin_term(shard_map_t *map, uint64_t term)
{
    clear_changes(map);
    map->version = (map_version_t){term, 1};
    map->changed = true;
    map->snapshot_due = true;
}

bool shard_map_changed(const shard_map_t *map)
{
    return map->changed || map->changed_ownerships > 0;
}

static void put_incarnation(wire_writer_t *writer, incarnation_t incarnation)
{
    if (incarnation_is_none(incarnation)) {
        wire_put_nil(writer);
    } else {
        wire_put_bin(writer, fabric_bytes(incarnation.bytes, sizeof incarnation.bytes));
    }
}

static void put_brokers(wire_writer_t *writer, const shard_map_t *map)
{
    wire_put_array(writer, (uint32_t)map->broker_count);
    for (size_t i = 0; i < map->broker_count; i++) {
        const map_broker_t *broker = &map->brokers[i];
        wire_put_array(writer, 4);
        wire_put_bin(writer,
                     fabric_bytes(broker->incarnation.bytes, sizeof broker->incarnation.bytes));
        wire_put_text(writer, broker->router_endpoint);
        wire_put_text(writer, broker->pub_endpoint);
        wire_put_text(writer, broker->name);
    }
}

static void put_groups(wire_writer_t *writer, const shard_map_t *map)
{
    wire_put_array(writer, (uint32_t)map->group_count);
    for (size_t g = 0; g < map->group_count; g++) {
        wire_put_array(writer, 2);
        wire_put_uint(writer, g + 1);
        wire_put_str(writer, map_group_name(&map->groups[g]));
    }
}

static void put_types(wire_writer_t *writer, const shard_map_t *map)
{
    wire_put_array(writer, (uint32_t)map->type_count);
    for (size_t i = 0; i < map->type_count; i++) {
        wire_put_array(writer, 2);
        wire_put_str(writer, map_type_name(&map->types[i]));
        wire_put_uint(writer, map->types[i].group);
    }
}

static void put_lanes(wire_writer_t *writer, const shard_map_t *map)
{
    wire_put_array(writer, map->lane_count);
    for (uint32_t i = 0; i < map->lane_count; i++) {
        const map_lane_t *lane = &map->lanes[i];
        wire_put_array(writer, 4);
        wire_put_uint(writer, lane->number);
        put_incarnation(writer, lane->home);
        wire_put_uint(writer, lane->epoch);
        put_incarnation(writer, lane->next);
    }
}

/* `previous` 0: all owners, else the changed ones. */
static void encode(const shard_map_t *map, uint64_t previous, wire_writer_t *writer)
{
    wire_put_array(writer, 9);
    wire_put_uint(writer, map->version.term);
    wire_put_uint(writer, map->version.sequence);
    wire_put_uint(writer, previous);
    put_brokers(writer, map);
    put_groups(writer, map);
    put_types(writer, map);
    put_lanes(writer, map);
    map_put_owners(map, previous != 0, writer);
}

void shard_map_encode_delta(shard_map_t *map, wire_writer_t *writer)
{
    uint64_t previous = map->snapshot_due ? 0 : map->version.sequence;
    map->version.sequence++;
    encode(map, previous, writer);
    clear_changes(map);
}

void shard_map_encode_snapshot(const shard_map_t *map, wire_writer_t *writer)
{
    encode(map, 0, writer);
}

bool shard_map_owners_changed(const shard_map_t *map)
{
    return map->changed_ownerships > 0;
}

void shard_map_encode_owners(shard_map_t *map, wire_writer_t *writer)
{
    wire_put_array(writer, 3);
    put_types(writer, map);
    map_put_owners(map, true, writer);
    map_unmark_owners(map);
}

bool shard_map_revised(const shard_map_t *map)
{
    return map->changed;
}

void shard_map_encode_revision(shard_map_t *map, wire_writer_t *writer)
{
    map->version.sequence += map->version.term == 0;
    encode(map, 0, writer);
    map->changed = false;
}

/* ---- receiving ----
 *
 * One pass over the message checks everything and changes nothing, then one that cannot fail takes
 * it over. */

incarnation_t map_get_incarnation(wire_reader_t *reader)
{
    incarnation_t incarnation = {{0}};
    fabric_bytes_t bytes = wire_get_bin(reader);
    if (bytes.size == sizeof incarnation.bytes) {
        memcpy(incarnation.bytes, bytes.data, bytes.size);
    }
    reader->failed |= incarnation_is_none(incarnation);
    return incarnation;
}

static incarnation_t get_incarnation_or_nil(wire_reader_t *reader)
{
    if (wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
        return (incarnation_t){{0}};
    }
    return map_get_incarnation(reader);
}

void map_get_tuple(wire_reader_t *reader, uint32_t size)
{
    if (wire_get_array(reader) != size) {
        reader->failed = true;
    }
}

/* An endpoint or a broker's name. */
static void get_text(wire_reader_t *reader, char copy[256])
{
    fabric_bytes_t text = wire_get_str(reader);
    if (text.size > 255 || (text.size && memchr(text.data, 0, text.size))) {
        reader->failed = true;
        return;
    }
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
}

static map_broker_t get_broker(wire_reader_t *reader)
{
    map_broker_t broker = {0};
    map_get_tuple(reader, 4);
    broker.incarnation = map_get_incarnation(reader);
    get_text(reader, broker.router_endpoint);
    get_text(reader, broker.pub_endpoint);
    get_text(reader, broker.name);
    return broker;
}

static uint64_t get_group(wire_reader_t *reader, fabric_bytes_t *name)
{
    map_get_tuple(reader, 2);
    uint64_t number = wire_get_uint(reader);
    *name = wire_get_str(reader);
    return number;
}

static uint64_t get_type(wire_reader_t *reader, fabric_bytes_t *name)
{
    map_get_tuple(reader, 2);
    *name = wire_get_str(reader);
    return wire_get_uint(reader);
}

static map_lane_t get_lane(wire_reader_t *reader)
{
    map_lane_t lane = {0};
    map_get_tuple(reader, 4);
    uint64_t number = wire_get_uint(reader);
    reader->failed |= number >= LIMIT_LANES_MAX;
    lane.number = (uint32_t)number;
    lane.home = get_incarnation_or_nil(reader);
    lane.epoch = wire_get_uint(reader);
    lane.next = get_incarnation_or_nil(reader);
    return lane;
}

/* Groups keep their number and name for ever, so a message may repeat known groups and go on from
 * there. Returns how many groups there will be. */
static size_t check_groups(const shard_map_t *map, wire_reader_t *reader)
{
    fabric_bytes_t names[LIMIT_GROUPS_MAX];
    size_t count = map->group_count;
    for (size_t i = 0; i < count; i++) {
        names[i] = map_group_name(&map->groups[i]);
    }
    uint32_t left = wire_get_array(reader);
    for (; left > 0 && !reader->failed; left--) {
        fabric_bytes_t name;
        uint64_t number = get_group(reader, &name);
        size_t known = 0;
        while (known < count && !fabric_bytes_equal(names[known], name)) {
            known++;
        }
        if (number != known + 1 || !shard_map_can_grow(known, map->shards_per_group) ||
            address_check_name(name)) {
            reader->failed = true;
        } else if (known == count) {
            names[count++] = name;
        }
    }
    return count;
}

/* The types of a message, in its order. */
typedef struct map_types {
    size_t count;
    uint16_t groups[LIMIT_TYPES_MAX];
} map_types_t;

/* Types keep their group for ever, too. A map that does not list a type comes from a coordinator
 * that has not read the type yet: calls to the type's entities must go on going to the same
 * shards. */
static void check_types(const shard_map_t *map, wire_reader_t *reader, size_t group_count,
                        map_types_t *types)
{
    size_t known_count = map->type_count;
    types->count = 0;
    uint32_t left = wire_get_array(reader);
    reader->failed |= left > LIMIT_TYPES_MAX;
    for (; left > 0 && !reader->failed; left--) {
        fabric_bytes_t name;
        uint64_t group = get_type(reader, &name);
        const map_type_t *known = map_find_type(map, name);
        if (group == 0 || group > group_count || (known && known->group != group) ||
            (!known && !shard_map_can_take_type(known_count, map->shards_per_group)) ||
            address_check_name(name)) {
            reader->failed = true;
            return;
        }
        known_count += known == NULL;
        types->groups[types->count++] = (uint16_t)group;
    }
}

/* All lanes, in order; as many as the map knows. */
static void check_lanes(const shard_map_t *map, wire_reader_t *reader)
{
    uint32_t count = wire_get_array(reader);
    if (count == 0 || count > LIMIT_LANES_MAX || (map->lane_count && count != map->lane_count)) {
        reader->failed = true;
    }
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        reader->failed |= get_lane(reader).number != i;
    }
}

static fabric_error_t check_body(const shard_map_t *map, wire_reader_t reader)
{
    uint32_t left = wire_get_array(&reader);
    reader.failed |= left > LIMIT_BROKERS_MAX;
    for (; left > 0 && !reader.failed; left--) {
        (void)get_broker(&reader);
    }
    size_t group_count = check_groups(map, &reader);
    map_types_t types;
    check_types(map, &reader, group_count, &types);
    check_lanes(map, &reader);
    map_check_owners(map, &reader, types.groups, types.count);
    return wire_finish(&reader);
}

/* A whole map begins: its publisher may know fewer types than the one before. */
static void forget_received(shard_map_t *map)
{
    for (size_t i = 0; i < map->type_count; i++) {
        map->types[i].received = false;
    }
}

/* Adds the types that are new. `types`: those of the message, in its order. The publisher has left
 * out the owners that it was told before it had their type: they are told again. */
static void take_types(shard_map_t *map, wire_reader_t *reader, map_type_t **types)
{
    for (uint32_t left = wire_get_array(reader); left > 0; left--) {
        fabric_bytes_t name;
        uint64_t group = get_type(reader, &name);
        map_type_t *known = map_find_type(map, name);
        if (known && !known->received) {
            map_mark_owners_of(map, known);
        }
        *types = known ? known : map_append_type(map, name, (uint16_t)group);
        (*types++)->received = true;
    }
}

static void take_body(shard_map_t *map, wire_reader_t reader)
{
    map->broker_count = wire_get_array(&reader);
    for (size_t i = 0; i < map->broker_count; i++) {
        map->brokers[i] = get_broker(&reader);
    }
    for (uint32_t left = wire_get_array(&reader); left > 0; left--) {
        fabric_bytes_t name;
        uint64_t number = get_group(&reader, &name);
        if (number > map->group_count) {
            map_append_group(map, name);
        }
    }
    map_type_t *types[LIMIT_TYPES_MAX];
    take_types(map, &reader, types);
    map->lane_count = wire_get_array(&reader);
    for (uint32_t i = 0; i < map->lane_count; i++) {
        map->lanes[i] = get_lane(&reader);
    }
    map_take_owners(map, &reader, types, NULL);
}

static map_version_t get_version(wire_reader_t *reader)
{
    map_get_tuple(reader, 9);
    map_version_t version = {.term = wire_get_uint(reader)};
    version.sequence = wire_get_uint(reader);
    return version;
}

fabric_error_t shard_map_read_version(fabric_bytes_t encoded, map_version_t *version)
{
    wire_reader_t reader = wire_reader(encoded);
    *version = get_version(&reader);
    return reader.failed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK;
}

static fabric_error_t apply(shard_map_t *map, fabric_bytes_t encoded, bool again, bool *changed)
{
    wire_reader_t reader = wire_reader(encoded);
    map_version_t version = get_version(&reader);
    uint64_t previous = wire_get_uint(&reader);
    if (reader.failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    bool newer = map_version_is_newer(version, map->version) ||
                 (again && previous == 0 && !map_version_is_newer(map->version, version));
    if (newer) {
        bool follows = version.term == map->version.term && previous == map->version.sequence;
        if (map->shards_per_group == 0 || (previous != 0 && !follows)) {
            return FABRIC_ERROR_NOT_FOUND;
        }
        fabric_error_t error = check_body(map, reader);
        if (error) {
            return error;
        }
        if (previous == 0) {
            map_forget_owners(map);
            forget_received(map);
        }
        take_body(map, reader);
        map->version = version;
    }
    if (changed) {
        *changed = newer;
    }
    return FABRIC_OK;
}

fabric_error_t shard_map_apply(shard_map_t *map, fabric_bytes_t encoded, bool *changed)
{
    return apply(map, encoded, false, changed);
}

fabric_error_t shard_map_apply_again(shard_map_t *map, fabric_bytes_t encoded, bool *changed)
{
    return apply(map, encoded, true, changed);
}

/* ---- receiving owners ---- */

/* The types that the runs refer to, by their names; those that this map does not have are NULL. */
static void find_types(const shard_map_t *map, wire_reader_t *reader, map_type_t **found,
                       map_types_t *types)
{
    types->count = 0;
    uint32_t left = wire_get_array(reader);
    reader->failed |= left > LIMIT_TYPES_MAX;
    for (; left > 0 && !reader->failed; left--) {
        fabric_bytes_t name;
        uint64_t group = get_type(reader, &name);
        map_type_t *known = map_find_type(map, name);
        if (group == 0 || group > LIMIT_GROUPS_MAX || (known && known->group != group)) {
            reader->failed = true;
            return;
        }
        found[types->count] = known;
        types->groups[types->count++] = (uint16_t)group;
    }
}

fabric_error_t shard_map_take_owners(shard_map_t *map, incarnation_t home, fabric_bytes_t encoded)
{
    map_type_t *found[LIMIT_TYPES_MAX];
    map_types_t types;
    wire_reader_t reader = wire_reader(encoded);
    map_get_tuple(&reader, 3);
    find_types(map, &reader, found, &types);
    wire_reader_t lists = reader;
    map_check_owners(map, &reader, types.groups, types.count);
    fabric_error_t error = wire_finish(&reader);
    if (!error) {
        map_take_owners(map, &lists, found, &home);
    }
    return error;
}
