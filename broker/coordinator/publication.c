/* Publishing the shard map: see publication.h. */
#include "broker/coordinator/publication.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

#define PUBLISH_EVERY_MS 20u
#define STANDBY_SEQUENCE ((uint64_t)1 << 48)

struct coordinator_publication {
    shard_map_t *map;
    coordinator_effects_t *effects;
    uint64_t publish_ms; /* not before */
    uint64_t standby_sequence;
};

coordinator_publication_t *coordinator_publication_new(shard_map_t *map,
                                                       coordinator_effects_t *effects)
{
    coordinator_publication_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->map = map;
    self->effects = effects;
    return self;
}

void coordinator_publication_destroy(coordinator_publication_t **publication)
{
    free(*publication);
    *publication = NULL;
}

void coordinator_publication_put_members(coordinator_publication_t *self,
                                         const coordinator_members_t *members)
{
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < coordinator_members_count(members) && count < LIMIT_BROKERS_MAX; i++) {
        const store_broker_t *broker = coordinator_members_at(members, i);
        map_broker_t *entry = &brokers[count++];
        entry->incarnation = broker->incarnation;
        snprintf(entry->router_endpoint, sizeof entry->router_endpoint, "%s",
                 broker->router_endpoint);
        snprintf(entry->pub_endpoint, sizeof entry->pub_endpoint, "%s", broker->pub_endpoint);
        snprintf(entry->name, sizeof entry->name, "%s", broker->name);
    }
    shard_map_set_brokers(self->map, brokers, count);
}

void coordinator_publication_put_lanes(coordinator_publication_t *self,
                                       const coordinator_lanes_t *lanes)
{
    for (uint32_t i = 0; i < coordinator_lanes_count(lanes); i++) {
        const store_hold_t *row = coordinator_lanes_at(lanes, i);
        map_lane_t lane = {.number = i, .home = row->holder, .epoch = row->epoch};
        shard_map_set_lane(self->map, &lane);
    }
}

void coordinator_publication_put_owner(coordinator_publication_t *self, shard_id_t shard,
                                       incarnation_t owner)
{
    for (size_t i = 0; i < shard_map_type_count(self->map); i++) {
        fabric_bytes_t type = shard_map_type_name(self->map, i);
        if (shard_map_type_group(self->map, type) == shard_id_group(shard)) {
            fabric_error_t error = shard_map_set_owner(self->map, type, shard, owner);
            assert(!error);
            (void)error;
        }
    }
}

void coordinator_publication_put_owners(coordinator_publication_t *self,
                                        const coordinator_shards_t *shards)
{
    for (size_t i = 0; i < coordinator_shards_count(shards); i++) {
        shard_id_t shard;
        incarnation_t owner;
        if (coordinator_shards_at(shards, i, &shard, &owner)) {
            coordinator_publication_put_owner(self, shard, owner);
        }
    }
}

static void emit_map(coordinator_publication_t *self, const wire_writer_t *encoded,
                     map_version_t version)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_MAP);
    effect->version = version;
    coordinator_effect_set_bytes(effect, wire_writer_bytes(encoded));
}

/* Puts another version at the head of an encoded snapshot. */
static void with_version(const wire_writer_t *snapshot, map_version_t version,
                         wire_writer_t *encoded)
{
    wire_reader_t reader = wire_reader(wire_writer_bytes(snapshot));
    uint32_t fields = wire_get_array(&reader);
    (void)wire_get_uint(&reader);
    (void)wire_get_uint(&reader);
    wire_put_array(encoded, fields);
    wire_put_uint(encoded, version.term);
    wire_put_uint(encoded, version.sequence);
    wire_append(encoded, reader.next, wire_left(&reader));
}

static void emit_as_standby(coordinator_publication_t *self, const wire_writer_t *snapshot,
                            uint64_t holder_term)
{
    map_version_t version = {holder_term - 1, STANDBY_SEQUENCE + ++self->standby_sequence};
    wire_writer_t encoded = {0};
    with_version(snapshot, version, &encoded);
    emit_map(self, &encoded, version);
    wire_writer_destroy(&encoded);
}

void coordinator_publication_publish(coordinator_publication_t *self,
                                     const coordinator_term_t *term, uint64_t now_ms)
{
    if (!shard_map_changed(self->map) || now_ms < self->publish_ms) {
        return;
    }
    self->publish_ms = now_ms + PUBLISH_EVERY_MS;
    wire_writer_t encoded = {0};
    shard_map_encode_delta(self->map, &encoded); /* also marks the changes as seen */
    if (coordinator_term_standing(term) == STANDING_HOLDER) {
        emit_map(self, &encoded, shard_map_version(self->map));
    } else {
        wire_writer_reset(&encoded);
        shard_map_encode_snapshot(self->map, &encoded);
        emit_as_standby(self, &encoded, coordinator_term_row(term)->term);
    }
    wire_writer_destroy(&encoded);
}

uint64_t coordinator_publication_next_deadline(const coordinator_publication_t *self,
                                               uint64_t now_ms)
{
    bool waits = shard_map_changed(self->map) && self->publish_ms > now_ms;
    return waits ? self->publish_ms : UINT64_MAX;
}
