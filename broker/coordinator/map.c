/* The coordinator's core: composing the map.
 *
 * The holder of the term publishes deltas under its term, at most one every PUBLISH_EVERY_MS. A
 * standby knows homes but no owners; for its own peers it encodes what the store says as snapshots
 * of the term before the holder's, with sequences above any that a holder reaches: newer than every
 * map of former holders, older than every map of the present one.
 */
#include "broker/coordinator/coordinator_state.h"

#include <stdio.h>

#define STANDBY_SEQUENCE ((uint64_t)1 << 48)

void coordinator_map_shard(coordinator_t *c, const held_shard_t *shard)
{
    map_shard_t entry = {.shard = shard->stored.shard,
                         .home = shard->stored.home,
                         .token = {shard->stored.home_epoch, 0}};
    if (shard->announced_epoch == shard->stored.home_epoch) {
        entry.owner = shard->owner;
        entry.token = shard->token;
    }
    /* A shard of a group that has not been read yet comes with the next reading. */
    fabric_error_t unknown = shard_map_set(c->map, &entry);
    (void)unknown;
}

void coordinator_map_sync(coordinator_t *c)
{
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < c->member_count && count < LIMIT_BROKERS_MAX; i++) {
        const store_broker_t *broker = &c->members[i].broker;
        map_broker_t *entry = &brokers[count++];
        entry->incarnation = broker->incarnation;
        snprintf(entry->router_endpoint, sizeof entry->router_endpoint, "%s",
                 broker->router_endpoint);
        snprintf(entry->pub_endpoint, sizeof entry->pub_endpoint, "%s", broker->pub_endpoint);
    }
    shard_map_set_brokers(c->map, brokers, count);
    for (size_t i = 0; i < c->shard_room; i++) {
        if (c->shards[i].known) {
            coordinator_map_shard(c, &c->shards[i]);
        }
    }
}

static void emit_map(coordinator_t *c, const wire_writer_t *encoded, map_version_t version)
{
    coordinator_effect_t *effect = coordinator_emit(c, COORDINATOR_MAP);
    effect->version = version;
    coordinator_emit_bytes(effect, wire_writer_bytes(encoded));
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

static void publish_as_standby(coordinator_t *c, const wire_writer_t *snapshot)
{
    map_version_t version = {c->row.term - 1, STANDBY_SEQUENCE + ++c->standby_sequence};
    wire_writer_t encoded = {0};
    with_version(snapshot, version, &encoded);
    emit_map(c, &encoded, version);
    wire_writer_destroy(&encoded);
}

void coordinator_publish(coordinator_t *c, uint64_t now_ms)
{
    bool informed = c->groups_read && c->shards_read && c->row.term > 0;
    if (!informed || !shard_map_changed(c->map) || now_ms < c->publish_ms) {
        return;
    }
    c->publish_ms = now_ms + PUBLISH_EVERY_MS;
    wire_writer_t encoded = {0};
    shard_map_encode_delta(c->map, &encoded); /* also marks the changes as seen */
    if (c->holder) {
        emit_map(c, &encoded, shard_map_version(c->map));
    } else {
        wire_writer_reset(&encoded);
        shard_map_encode_snapshot(c->map, &encoded);
        publish_as_standby(c, &encoded);
    }
    wire_writer_destroy(&encoded);
}
