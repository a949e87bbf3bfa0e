/* The shard map on the wire: snapshots and deltas, and taking them over. */
#include "core/shard_map_state.h"

#include "core/address.h"

/* ---- publishing ---- */

static void clear_changes(shard_map_t *map)
{
    for (size_t i = 0; i < map->group_count; i++) {
        memset(map->groups[i].dirty, 0, map->shards_per_group * sizeof(bool));
    }
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
    return map->changed;
}

static void put_incarnation(wire_writer_t *writer, incarnation_t incarnation)
{
    if (incarnation_is_none(incarnation)) {
        wire_put_nil(writer);
    } else {
        wire_put_bin(writer, fabric_bytes(incarnation.bytes, sizeof incarnation.bytes));
    }
}

static void put_shard(wire_writer_t *writer, const map_shard_t *shard)
{
    wire_put_array(writer, 5);
    wire_put_uint(writer, shard->shard.value);
    put_incarnation(writer, shard->home);
    put_incarnation(writer, shard->owner);
    wire_put_uint(writer, shard->token.home_epoch);
    wire_put_uint(writer, shard->token.owner_sequence);
}

static uint32_t count_dirty(const shard_map_t *map)
{
    uint32_t count = 0;
    for (size_t g = 0; g < map->group_count; g++) {
        for (uint32_t i = 0; i < map->shards_per_group; i++) {
            count += map->groups[g].dirty[i];
        }
    }
    return count;
}

static void put_names(wire_writer_t *writer, const shard_map_t *map)
{
    wire_put_array(writer, (uint32_t)map->broker_count);
    for (size_t i = 0; i < map->broker_count; i++) {
        const map_broker_t *broker = &map->brokers[i];
        wire_put_array(writer, 3);
        wire_put_bin(writer,
                     fabric_bytes(broker->incarnation.bytes, sizeof broker->incarnation.bytes));
        wire_put_text(writer, broker->router_endpoint);
        wire_put_text(writer, broker->pub_endpoint);
    }
    wire_put_array(writer, (uint32_t)map->group_count);
    for (size_t g = 0; g < map->group_count; g++) {
        wire_put_array(writer, 2);
        wire_put_uint(writer, g + 1);
        wire_put_str(writer, map_group_name(&map->groups[g]));
    }
    wire_put_array(writer, (uint32_t)map->type_count);
    for (size_t i = 0; i < map->type_count; i++) {
        wire_put_array(writer, 2);
        wire_put_str(writer, fabric_bytes(map->types[i].name, map->types[i].name_size));
        wire_put_uint(writer, map->types[i].group);
    }
}

/* `previous` 0: all shards, else the dirty ones. */
static void encode(const shard_map_t *map, uint64_t previous, wire_writer_t *writer)
{
    wire_put_array(writer, 7);
    wire_put_uint(writer, map->version.term);
    wire_put_uint(writer, map->version.sequence);
    wire_put_uint(writer, previous);
    put_names(writer, map);
    wire_put_array(writer, previous == 0 ? (uint32_t)map->group_count * map->shards_per_group
                                         : count_dirty(map));
    for (size_t g = 0; g < map->group_count; g++) {
        for (uint32_t i = 0; i < map->shards_per_group; i++) {
            if (previous == 0 || map->groups[g].dirty[i]) {
                put_shard(writer, &map->groups[g].shards[i]);
            }
        }
    }
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

/* ---- receiving ----
 *
 * One pass over the message checks everything and changes nothing, then one that cannot fail takes
 * it over. */

static incarnation_t get_incarnation(wire_reader_t *reader)
{
    incarnation_t incarnation = {{0}};
    fabric_bytes_t bytes = wire_get_bin(reader);
    if (bytes.size != sizeof incarnation.bytes) {
        reader->failed = true;
        return incarnation;
    }
    memcpy(incarnation.bytes, bytes.data, bytes.size);
    return incarnation;
}

static incarnation_t get_incarnation_or_nil(wire_reader_t *reader)
{
    if (wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
        return (incarnation_t){{0}};
    }
    return get_incarnation(reader);
}

static void get_tuple(wire_reader_t *reader, uint32_t size)
{
    if (wire_get_array(reader) != size) {
        reader->failed = true;
    }
}

static void get_endpoint(wire_reader_t *reader, char endpoint[256])
{
    fabric_bytes_t text = wire_get_str(reader);
    if (text.size > LIMIT_ENDPOINT_BYTES_MAX || (text.size && memchr(text.data, 0, text.size))) {
        reader->failed = true;
        return;
    }
    if (text.size > 0) {
        memcpy(endpoint, text.data, text.size);
    }
    endpoint[text.size] = '\0';
}

static map_broker_t get_broker(wire_reader_t *reader)
{
    map_broker_t broker = {0};
    get_tuple(reader, 3);
    broker.incarnation = get_incarnation(reader);
    get_endpoint(reader, broker.router_endpoint);
    get_endpoint(reader, broker.pub_endpoint);
    return broker;
}

static uint64_t get_group(wire_reader_t *reader, fabric_bytes_t *name)
{
    get_tuple(reader, 2);
    uint64_t number = wire_get_uint(reader);
    *name = wire_get_str(reader);
    return number;
}

static uint64_t get_type(wire_reader_t *reader, fabric_bytes_t *name)
{
    get_tuple(reader, 2);
    *name = wire_get_str(reader);
    return wire_get_uint(reader);
}

static map_shard_t get_shard(wire_reader_t *reader)
{
    map_shard_t shard = {0};
    get_tuple(reader, 5);
    uint64_t id = wire_get_uint(reader);
    if (id > UINT32_MAX) {
        reader->failed = true;
    }
    shard.shard.value = (uint32_t)id;
    shard.home = get_incarnation_or_nil(reader);
    shard.owner = get_incarnation_or_nil(reader);
    shard.token.home_epoch = wire_get_uint(reader);
    shard.token.owner_sequence = wire_get_uint(reader);
    return shard;
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

/* Types keep their group for ever, too. A map that does not list a type comes from a coordinator
 * that has not read the type yet: calls to the type's entities must go on going to the same
 * shards. */
static void check_types(const shard_map_t *map, wire_reader_t *reader, size_t group_count)
{
    size_t count = map->type_count;
    for (uint32_t left = wire_get_array(reader); left > 0 && !reader->failed; left--) {
        fabric_bytes_t name;
        uint64_t group = get_type(reader, &name);
        const map_type_t *known = map_find_type(map, name);
        count += known == NULL;
        if (group == 0 || group > group_count || (known && known->group != group) ||
            count > LIMIT_TYPES_MAX || address_check_name(name)) {
            reader->failed = true;
        }
    }
}

static fabric_error_t check_body(const shard_map_t *map, wire_reader_t reader)
{
    uint32_t left = wire_get_array(&reader);
    if (left > LIMIT_BROKERS_MAX) {
        reader.failed = true;
    }
    for (; left > 0 && !reader.failed; left--) {
        (void)get_broker(&reader);
    }
    size_t group_count = check_groups(map, &reader);
    check_types(map, &reader, group_count);
    for (left = wire_get_array(&reader); left > 0 && !reader.failed; left--) {
        map_shard_t shard = get_shard(&reader);
        if (!map_shard_exists(map, group_count, shard.shard)) {
            reader.failed = true;
        }
    }
    return wire_finish(&reader);
}

static void forget_shards(shard_map_t *map)
{
    for (size_t g = 0; g < map->group_count; g++) {
        for (uint32_t i = 0; i < map->shards_per_group; i++) {
            map_shard_t *shard = &map->groups[g].shards[i];
            *shard = (map_shard_t){.shard = shard->shard};
        }
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
    for (uint32_t left = wire_get_array(&reader); left > 0; left--) {
        fabric_bytes_t name;
        uint64_t group = get_type(&reader, &name);
        if (!map_find_type(map, name)) {
            map_append_type(map, name, (uint16_t)group);
        }
    }
    for (uint32_t left = wire_get_array(&reader); left > 0; left--) {
        map_shard_t shard = get_shard(&reader);
        map_group_t *group = &map->groups[shard_id_group(shard.shard) - 1];
        group->shards[shard_id_number(shard.shard) - 1] = shard;
    }
}

fabric_error_t shard_map_apply(shard_map_t *map, fabric_bytes_t encoded, bool *changed)
{
    wire_reader_t reader = wire_reader(encoded);
    get_tuple(&reader, 7);
    map_version_t version = {.term = wire_get_uint(&reader)};
    version.sequence = wire_get_uint(&reader);
    uint64_t previous = wire_get_uint(&reader);
    if (reader.failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    bool newer = version.term != map->version.term ? version.term > map->version.term
                                                   : version.sequence > map->version.sequence;
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
            forget_shards(map);
        }
        take_body(map, reader);
        map->version = version;
    }
    if (changed) {
        *changed = newer;
    }
    return FABRIC_OK;
}
