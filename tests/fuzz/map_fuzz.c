/* Shard maps: the first byte gives the shards of a group, then come snapshots, deltas and owners,
 * each behind a length of two bytes. An error or an old one changes nothing, versions only grow,
 * and a snapshot of what was taken makes the same map elsewhere. */
#include <stdlib.h>

#include "core/shard_map.h"
#include "tests/fuzz/fuzz.h"
#include "tests/harness/vectors.h"

enum { PIECES_MAX = 16 };

static bool is_later(map_version_t version, map_version_t than)
{
    return version.term > than.term ||
           (version.term == than.term && version.sequence > than.sequence);
}

static void expect_copy(const wire_writer_t *snapshot, uint32_t shards_per_group)
{
    shard_map_t *copy = shard_map_new();
    wire_writer_t again = {0};
    shard_map_set_shards_per_group(copy, shards_per_group);
    assert_int_equal(shard_map_apply(copy, wire_writer_bytes(snapshot), NULL), FABRIC_OK);
    shard_map_encode_snapshot(copy, &again);
    assert_true(fabric_bytes_equal(wire_writer_bytes(snapshot), wire_writer_bytes(&again)));
    wire_writer_destroy(&again);
    shard_map_destroy(&copy);
}

static void apply(shard_map_t *map, fabric_bytes_t encoded, wire_writer_t *snapshot)
{
    map_version_t before = shard_map_version(map);
    wire_writer_t after = {0};
    bool changed = false;
    fabric_error_t error = shard_map_apply(map, encoded, &changed);
    shard_map_encode_snapshot(map, &after);
    if (error || !changed) {
        assert_false(changed);
        assert_true(fabric_bytes_equal(wire_writer_bytes(snapshot), wire_writer_bytes(&after)));
    } else {
        assert_true(is_later(shard_map_version(map), before));
        expect_copy(&after, shard_map_shards_per_group(map));
    }
    wire_writer_destroy(snapshot);
    *snapshot = after;
}

static void take_owners(shard_map_t *map, fabric_bytes_t encoded, wire_writer_t *snapshot)
{
    wire_writer_t after = {0};
    fabric_error_t error = shard_map_take_owners(map, (incarnation_t){{1}}, encoded);
    shard_map_encode_snapshot(map, &after);
    assert_true(!error ||
                fabric_bytes_equal(wire_writer_bytes(snapshot), wire_writer_bytes(&after)));
    wire_writer_destroy(snapshot);
    *snapshot = after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    shard_map_t *map = shard_map_new();
    wire_writer_t snapshot = {0};
    shard_map_set_shards_per_group(map, 1u + fuzz_byte(&input) % 8u);
    shard_map_encode_snapshot(map, &snapshot);
    for (int i = 0; i < PIECES_MAX && fuzz_left(&input) > 0; i++) {
        fabric_bytes_t encoded = fuzz_block(&input);
        apply(map, encoded, &snapshot);
        take_owners(map, encoded, &snapshot);
        free((void *)(uintptr_t)encoded.data);
    }
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
    return 0;
}

static void put_block(wire_writer_t *input, const wire_writer_t *block)
{
    uint8_t length[2] = {(uint8_t)(block->size >> 8), (uint8_t)block->size};
    wire_append(input, length, sizeof length);
    wire_append(input, block->data, block->size);
}

/* A snapshot and a delta of a map with a group of two shards. */
static void seed_history(void)
{
    shard_map_t *map = shard_map_new();
    wire_writer_t input = {0};
    wire_writer_t snapshot = {0};
    wire_writer_t delta = {0};
    map_broker_t broker = {.incarnation = {{1}}, .router_endpoint = "tcp://h:1"};
    fabric_bytes_t type = fabric_bytes_of("Order");
    map_lane_t lane = {.home = {{1}}, .epoch = 3};
    wire_append(&input, "\1", 1);
    shard_map_set_shards_per_group(map, 2);
    shard_map_set_lanes(map, 2);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    shard_map_begin_term(map, 2);
    shard_map_encode_delta(map, &delta);
    put_block(&input, &delta);
    wire_writer_reset(&delta);
    shard_map_set_brokers(map, &broker, 1);
    assert_int_equal(shard_map_add_type(map, type, 1), FABRIC_OK);
    shard_map_set_lane(map, &lane);
    assert_int_equal(shard_map_set_owner(map, type, shard_id_make(1, 2), (incarnation_t){{7}}, 0),
                     FABRIC_OK);
    shard_map_encode_delta(map, &delta);
    put_block(&input, &delta);
    wire_writer_reset(&delta);
    assert_int_equal(shard_map_set_owner(map, type, shard_id_make(1, 2), (incarnation_t){{8}}, 0),
                     FABRIC_OK);
    shard_map_encode_owners(map, &delta);
    put_block(&input, &delta);
    shard_map_encode_snapshot(map, &snapshot);
    put_block(&input, &snapshot);
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
    wire_writer_destroy(&snapshot);
    wire_writer_destroy(&delta);
    shard_map_destroy(&map);
}

/* The maps within the frames of the vectors. */
static void seed_frame(const vector_t *vector, void *context)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    message_map_t map;
    message_welcome_t welcome;
    (void)context;
    if (frame_open(vector->bytes, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        wire_writer_t block = {0};
        wire_writer_t input = {0};
        if (message_open(&body, &kind)) {
            continue;
        }
        if (kind == KIND_MAP && !message_get_map(&body, &map)) {
            wire_append(&block, map.map.data, map.map.size);
        } else if (kind == KIND_WELCOME && !message_get_welcome(&body, &welcome)) {
            wire_append(&block, welcome.map.data, welcome.map.size);
        }
        wire_append(&input, "\1", 1);
        put_block(&input, &block);
        fuzz_seed(wire_writer_bytes(&input));
        wire_writer_destroy(&block);
        wire_writer_destroy(&input);
    }
}

void fuzz_seeds(void)
{
    seed_history();
    vectors_visit("schemas/vectors/frames.txt", seed_frame, NULL);
}
