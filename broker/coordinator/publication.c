/* Publishing the shard map: see publication.h. */
#include "broker/coordinator/publication.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

#define PUBLISH_EVERY_MS 20u

struct coordinator_publication {
    shard_map_t *map;
    coordinator_effects_t *effects;
    uint64_t publish_ms; /* not before */
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

/* Whether the row is later than what the map says. Within an epoch a holder can only give up. */
static bool is_later(const store_hold_t *row, const map_lane_t *lane)
{
    return row->epoch != lane->epoch
               ? row->epoch > lane->epoch
               : incarnation_is_none(row->holder) && !incarnation_is_none(lane->home);
}

void coordinator_publication_put_lanes(coordinator_publication_t *self,
                                       const coordinator_lanes_t *lanes)
{
    for (uint32_t i = 0; i < coordinator_lanes_count(lanes); i++) {
        const store_hold_t *row = coordinator_lanes_at(lanes, i);
        if (is_later(row, shard_map_lane(self->map, i))) {
            map_lane_t lane = {.number = i,
                               .home = row->holder,
                               .next = coordinator_lanes_next(lanes, i),
                               .epoch = row->epoch};
            shard_map_set_lane(self->map, &lane);
        }
    }
}

void coordinator_publication_put_next(coordinator_publication_t *self,
                                      const coordinator_lanes_t *lanes)
{
    for (uint32_t i = 0; i < coordinator_lanes_count(lanes); i++) {
        const store_hold_t *row = coordinator_lanes_at(lanes, i);
        map_lane_t lane = *shard_map_lane(self->map, i);
        incarnation_t next = coordinator_lanes_next(lanes, i);
        if (lane.epoch == row->epoch && !incarnation_equal(lane.next, next)) {
            lane.next = next;
            shard_map_set_lane(self->map, &lane);
        }
    }
}

void coordinator_publication_put_owner(coordinator_publication_t *self, const char *type,
                                       shard_id_t shard, incarnation_t owner, uint64_t app_version)
{
    fabric_error_t error =
        shard_map_set_owner(self->map, fabric_bytes_of(type), shard, owner, app_version);
    assert(!error || shard_map_type_group(self->map, fabric_bytes_of(type)) == 0);
    (void)error;
}

void coordinator_publication_put_owners(coordinator_publication_t *self,
                                        const coordinator_shards_t *shards)
{
    for (size_t i = 0; i < coordinator_shards_count(shards); i++) {
        const char *type;
        shard_id_t shard;
        incarnation_t owner;
        uint64_t app_version;
        if (coordinator_shards_at(shards, i, &type, &shard, &owner, &app_version)) {
            coordinator_publication_put_owner(self, type, shard, owner, app_version);
        }
    }
}

void coordinator_publication_tell_again(coordinator_publication_t *self, incarnation_t broker)
{
    shard_map_mark_owners(self->map, broker);
}

/* ---- leaving ---- */

static void emit(coordinator_publication_t *self, coordinator_effect_kind_t kind,
                 incarnation_t broker, fabric_bytes_t bytes)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, kind);
    effect->broker = broker;
    effect->version = shard_map_version(self->map);
    coordinator_effect_set_bytes(effect, bytes);
}

static void publish_delta(coordinator_publication_t *self)
{
    wire_writer_t encoded = {0};
    shard_map_encode_delta(self->map, &encoded);
    emit(self, COORDINATOR_MAP, (incarnation_t){{0}}, wire_writer_bytes(&encoded));
    wire_writer_destroy(&encoded);
}

/* The holder of the term learns the owners; this broker's router learns the rest. */
static void tell_what_is_new(coordinator_publication_t *self, incarnation_t holder)
{
    wire_writer_t encoded = {0};
    if (shard_map_owners_changed(self->map)) {
        shard_map_encode_owners(self->map, &encoded);
        emit(self, COORDINATOR_OWNERS, holder, wire_writer_bytes(&encoded));
    }
    if (shard_map_revised(self->map)) {
        wire_writer_reset(&encoded);
        shard_map_encode_revision(self->map, &encoded);
        emit(self, COORDINATOR_MAP_REVISED, (incarnation_t){{0}}, wire_writer_bytes(&encoded));
    }
    wire_writer_destroy(&encoded);
}

void coordinator_publication_publish(coordinator_publication_t *self,
                                     const coordinator_term_t *term, uint64_t now_ms)
{
    if (!shard_map_changed(self->map) || now_ms < self->publish_ms) {
        return;
    }
    self->publish_ms = now_ms + PUBLISH_EVERY_MS;
    if (coordinator_term_standing(term) == STANDING_HOLDER) {
        publish_delta(self);
    } else {
        tell_what_is_new(self, coordinator_term_row(term)->holder);
    }
}

/* ---- arriving ---- */

fabric_error_t coordinator_publication_receive(coordinator_publication_t *self,
                                               const store_coordinator_t *row,
                                               fabric_bytes_t encoded, bool *changed)
{
    *changed = false;
    map_version_t version;
    fabric_error_t error = shard_map_read_version(encoded, &version);
    if (error || version.term < row->term) {
        return error; /* no map, or one of a holder that is deposed */
    }
    error = shard_map_apply_again(self->map, encoded, changed);
    if (*changed) {
        emit(self, COORDINATOR_MAP, (incarnation_t){{0}}, encoded);
    } else if (error == FABRIC_ERROR_NOT_FOUND) {
        emit(self, COORDINATOR_MAP_WANTED, row->holder, (fabric_bytes_t){NULL, 0});
        error = FABRIC_OK;
    }
    return error;
}

uint64_t coordinator_publication_next_deadline(const coordinator_publication_t *self,
                                               uint64_t now_ms)
{
    bool waits = shard_map_changed(self->map) && self->publish_ms > now_ms;
    return waits ? self->publish_ms : UINT64_MAX;
}
