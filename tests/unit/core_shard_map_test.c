/* The shard map: groups, shards, snapshots, deltas, gaps and malformed input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/limits.h"
#include "core/shard_map.h"

enum { SHARDS = 20 };

static incarnation_t incarnation_of(uint8_t number)
{
    return (incarnation_t){{number, 1, 2, 3}};
}

static void set_shard(shard_map_t *map, uint16_t group, uint16_t number, uint8_t home,
                      uint8_t owner, uint64_t epoch)
{
    map_shard_t shard = {.shard = shard_id_make(group, number), .token = {epoch, epoch + 1}};
    shard.home = home ? incarnation_of(home) : (incarnation_t){{0}};
    shard.owner = owner ? incarnation_of(owner) : (incarnation_t){{0}};
    assert_int_equal(shard_map_set(map, &shard), FABRIC_OK);
}

static map_broker_t broker_of(uint8_t number)
{
    map_broker_t broker = {.incarnation = incarnation_of(number)};
    snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://broker:%u", number);
    snprintf(broker.pub_endpoint, sizeof broker.pub_endpoint, "ipc://pub-%u", number);
    return broker;
}

/* A publisher's map in term 5 with two groups, two types, two brokers and a few homes. */
static shard_map_t *make_publisher(void)
{
    shard_map_t *map = shard_map_new();
    map_broker_t brokers[] = {broker_of(1), broker_of(2)};
    shard_map_set_shards_per_group(map, SHARDS);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 2, fabric_bytes_of("other")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Order"), 1), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 2), FABRIC_OK);
    shard_map_set_brokers(map, brokers, 2);
    shard_map_begin_term(map, 5);
    set_shard(map, 1, 1, 1, 7, 10);
    set_shard(map, 2, SHARDS, 2, 0, 11);
    return map;
}

static shard_map_t *make_receiver(void)
{
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, SHARDS);
    return map;
}

/* Compares everything but what is not published yet. */
static void assert_maps_equal(const shard_map_t *a, const shard_map_t *b)
{
    wire_writer_t left = {0};
    wire_writer_t right = {0};
    shard_map_encode_snapshot(a, &left);
    shard_map_encode_snapshot(b, &right);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&left), wire_writer_bytes(&right)));
    wire_writer_destroy(&left);
    wire_writer_destroy(&right);
}

static void assert_version(const shard_map_t *map, uint64_t term, uint64_t sequence)
{
    assert_int_equal(shard_map_version(map).term, term);
    assert_int_equal(shard_map_version(map).sequence, sequence);
}

static void assert_apply(shard_map_t *map, const wire_writer_t *encoded, fabric_error_t error,
                         bool expect_changed)
{
    bool changed = false;
    assert_int_equal(shard_map_apply(map, wire_writer_bytes(encoded), &changed), error);
    assert_int_equal(changed, expect_changed);
}

static void groups_are_numbered_in_order_and_stay(void **state)
{
    (void)state;
    shard_map_t *map = shard_map_new();
    fabric_bytes_t name = fabric_bytes_of("default");
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_ERROR_INVALID_ARGUMENT);
    shard_map_set_shards_per_group(map, SHARDS);
    assert_int_equal(shard_map_add_group(map, 2, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 0, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 2, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("b")),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 2, fabric_bytes_of("")), FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(shard_map_group_count(map), 1);
    assert_int_equal(shard_map_group_number(map, name), 1);
    assert_int_equal(shard_map_group_number(map, fabric_bytes_of("Default")), 0);
    assert_true(fabric_bytes_equal(shard_map_group_name(map, 1), name));
    assert_int_equal(shard_map_group_name(map, 2).size, 0);
    for (uint16_t number = 2; number <= LIMIT_GROUPS_MAX; number++) {
        char text[16];
        snprintf(text, sizeof text, "g%u", number);
        assert_int_equal(shard_map_add_group(map, number, fabric_bytes_of(text)), FABRIC_OK);
    }
    assert_int_equal(shard_map_add_group(map, LIMIT_GROUPS_MAX + 1, fabric_bytes_of("x")),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    shard_map_destroy(&map);
    assert_null(map);
    shard_map_destroy(&map);
}

/* A coordinator that was just elected may not have read a type that its predecessor had
 * published. */
static void a_type_stays_where_a_later_map_does_not_list_it(void **state)
{
    (void)state;
    shard_map_t *map = make_receiver();
    shard_map_t *first = make_publisher();
    shard_map_t *second = shard_map_new();
    wire_writer_t encoded = {0};
    shard_map_encode_snapshot(first, &encoded);
    assert_apply(map, &encoded, FABRIC_OK, true);

    shard_map_set_shards_per_group(second, SHARDS);
    assert_int_equal(shard_map_add_group(second, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(second, fabric_bytes_of("Late"), 1), FABRIC_OK);
    shard_map_begin_term(second, 6);
    wire_writer_reset(&encoded);
    shard_map_encode_snapshot(second, &encoded);
    assert_apply(map, &encoded, FABRIC_OK, true);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Order")), 1);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Account")), 2);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Late")), 1);

    /* A type in another group than before is none that can be believed. */
    assert_int_equal(shard_map_add_type(second, fabric_bytes_of("Account"), 1), FABRIC_OK);
    shard_map_begin_term(second, 7);
    wire_writer_reset(&encoded);
    shard_map_encode_snapshot(second, &encoded);
    assert_apply(map, &encoded, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    assert_version(map, 6, 1);
    wire_writer_destroy(&encoded);
    shard_map_destroy(&second);
    shard_map_destroy(&first);
    shard_map_destroy(&map);
}

static void types_name_their_group(void **state)
{
    (void)state;
    shard_map_t *map = make_publisher();
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Account")), 2);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("account")), 0);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 1),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("New"), 3),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 2), FABRIC_OK);
    shard_map_destroy(&map);
}

static void entities_are_located_by_their_exact_id(void **state)
{
    (void)state;
    shard_map_t *map = make_publisher();
    fabric_bytes_t id = fabric_bytes_of("order-123");
    shard_id_t shard = shard_map_locate(map, 2, id);
    assert_int_equal(shard_id_group(shard), 2);
    assert_int_equal(shard_id_number(shard), address_shard_number(id, SHARDS));
    assert_int_equal(shard_map_locate(map, 0, id).value, 0);
    assert_int_equal(shard_map_locate(map, 3, id).value, 0);
    assert_int_equal(shard_map_shard(map, shard)->shard.value, shard.value);
    assert_null(shard_map_shard(map, shard_id_make(1, 0)));
    assert_null(shard_map_shard(map, shard_id_make(1, SHARDS + 1)));
    assert_null(shard_map_shard(map, shard_id_make(3, 1)));
    assert_null(shard_map_shard(map, (shard_id_t){0}));
    map_shard_t none = {.shard = shard_id_make(3, 1)};
    assert_int_equal(shard_map_set(map, &none), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(shard_map_broker(map, incarnation_of(2))->router_endpoint,
                        "tcp://broker:2");
    assert_null(shard_map_broker(map, incarnation_of(3)));
    assert_int_equal(shard_map_broker_count(map), 2);
    assert_string_equal(shard_map_broker_at(map, 0)->pub_endpoint, "ipc://pub-1");
    shard_map_destroy(&map);
}

static void a_joiner_takes_a_snapshot_then_deltas(void **state)
{
    (void)state;
    shard_map_t *publisher = make_publisher();
    shard_map_t *receiver = make_receiver();
    wire_writer_t text = {0};
    assert_version(publisher, 5, 1);
    assert_true(shard_map_changed(publisher));
    shard_map_encode_delta(publisher, &text); /* the first of its term: a snapshot */
    assert_version(publisher, 5, 2);
    assert_false(shard_map_changed(publisher));
    assert_apply(receiver, &text, FABRIC_OK, true);
    assert_version(receiver, 5, 2);
    assert_maps_equal(publisher, receiver);
    const map_shard_t *shard = shard_map_shard(receiver, shard_id_make(1, 1));
    assert_true(incarnation_equal(shard->home, incarnation_of(1)));
    assert_true(incarnation_equal(shard->owner, incarnation_of(7)));
    assert_true(token_equal(shard->token, (token_t){10, 11}));
    assert_apply(receiver, &text, FABRIC_OK, false); /* again: ignored */

    set_shard(publisher, 1, 1, 1, 7, 10); /* nothing new */
    assert_false(shard_map_changed(publisher));
    set_shard(publisher, 1, 1, 0, 0, 12);
    set_shard(publisher, 1, 3, 2, 9, 13);
    map_broker_t broker = broker_of(3);
    shard_map_set_brokers(publisher, &broker, 1);
    assert_int_equal(shard_map_add_group(publisher, 3, fabric_bytes_of("late")), FABRIC_OK);
    set_shard(publisher, 3, 4, 3, 0, 1);
    assert_true(shard_map_changed(publisher));
    size_t snapshot_size = text.size;
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    assert_true(text.size < snapshot_size / 2);
    assert_apply(receiver, &text, FABRIC_OK, true);
    assert_maps_equal(publisher, receiver);
    assert_int_equal(shard_map_group_count(receiver), 3);
    assert_true(incarnation_is_none(shard_map_shard(receiver, shard_id_make(1, 1))->home));
    wire_writer_destroy(&text);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

static void a_gap_asks_for_a_snapshot(void **state)
{
    (void)state;
    shard_map_t *publisher = make_publisher();
    shard_map_t *receiver = make_receiver();
    wire_writer_t text = {0};
    shard_map_encode_snapshot(publisher, &text);
    assert_apply(receiver, &text, FABRIC_OK, true);
    shard_map_encode_delta(publisher, &text);
    for (uint64_t epoch = 20; epoch < 22; epoch++) { /* two deltas, the first of which is lost */
        set_shard(publisher, 1, 2, 1, 1, epoch);
        wire_writer_reset(&text);
        shard_map_encode_delta(publisher, &text);
    }
    assert_apply(receiver, &text, FABRIC_ERROR_NOT_FOUND, false);
    assert_version(receiver, 5, 1);
    assert_true(incarnation_is_none(shard_map_shard(receiver, shard_id_make(1, 2))->home));
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    assert_apply(receiver, &text, FABRIC_OK, true);
    assert_maps_equal(publisher, receiver);
    /* a delta of a later term has no base here either, though the sequence fits */
    shard_map_begin_term(publisher, 6);
    wire_writer_reset(&text);
    for (int i = 0; i < 4; i++) {
        wire_writer_reset(&text);
        shard_map_encode_delta(publisher, &text);
    }
    assert_version(publisher, 6, 5);
    assert_version(receiver, 5, 4);
    assert_apply(receiver, &text, FABRIC_ERROR_NOT_FOUND, false);
    shard_map_t *ignorant = shard_map_new(); /* does not know shards_per_group yet */
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    assert_apply(ignorant, &text, FABRIC_ERROR_NOT_FOUND, false);
    wire_writer_destroy(&text);
    shard_map_destroy(&ignorant);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

static void older_terms_and_sequences_are_ignored(void **state)
{
    (void)state;
    shard_map_t *deposed = make_publisher();
    shard_map_t *publisher = make_publisher();
    shard_map_t *receiver = make_receiver();
    wire_writer_t text = {0};
    shard_map_begin_term(publisher, 6);
    set_shard(publisher, 1, 1, 2, 2, 30);
    shard_map_encode_snapshot(publisher, &text);
    assert_apply(receiver, &text, FABRIC_OK, true);
    for (int i = 0; i < 9; i++) { /* the deposed one goes on, up to higher sequences */
        set_shard(deposed, 1, 1, 1, 1, 40 + (uint64_t)i);
        wire_writer_reset(&text);
        shard_map_encode_delta(deposed, &text);
        assert_apply(receiver, &text, FABRIC_OK, false);
    }
    wire_writer_reset(&text);
    shard_map_encode_snapshot(deposed, &text);
    assert_apply(receiver, &text, FABRIC_OK, false);
    assert_version(receiver, 6, 1);
    assert_maps_equal(publisher, receiver);
    wire_writer_destroy(&text);
    shard_map_destroy(&deposed);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

/* Encodes a snapshot by hand, with one group number and one shard. */
static void encode_by_hand(wire_writer_t *text, uint64_t group, const char *name, uint64_t shard)
{
    wire_writer_reset(text);
    wire_put_array(text, 7);
    wire_put_uint(text, 9);
    wire_put_uint(text, 1);
    wire_put_uint(text, 0);
    wire_put_array(text, 0);
    wire_put_array(text, 1);
    wire_put_array(text, 2);
    wire_put_uint(text, group);
    wire_put_text(text, name);
    wire_put_array(text, 0);
    wire_put_array(text, 1);
    wire_put_array(text, 5);
    wire_put_uint(text, shard);
    wire_put_nil(text);
    wire_put_nil(text);
    wire_put_uint(text, 1);
    wire_put_uint(text, 1);
}

/* A snapshot also takes back what it does not say. */
static void a_snapshot_replaces_all_shards(void **state)
{
    (void)state;
    shard_map_t *publisher = make_publisher();
    shard_map_t *receiver = make_publisher();
    wire_writer_t text = {0};
    set_shard(receiver, 2, 5, 1, 1, 99);
    shard_map_begin_term(publisher, 7);
    shard_map_encode_snapshot(publisher, &text);
    assert_apply(receiver, &text, FABRIC_OK, true);
    assert_maps_equal(publisher, receiver);
    encode_by_hand(&text, 1, "default", 1u << 16 | 2); /* names one shard alone */
    assert_apply(receiver, &text, FABRIC_OK, true);
    shard_id_t unnamed = shard_id_make(1, 1);
    assert_true(incarnation_is_none(shard_map_shard(receiver, unnamed)->home));
    assert_int_equal(shard_map_shard(receiver, unnamed)->shard.value, unnamed.value);
    assert_int_equal(shard_map_shard(receiver, shard_id_make(1, 2))->token.home_epoch, 1);
    wire_writer_destroy(&text);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

/* Every cut and thousands of changed bytes: an error changes nothing, success stays in bounds. */
static void malformed_maps_change_nothing(void **state)
{
    (void)state;
    shard_map_t *publisher = make_publisher();
    shard_map_t *before = make_receiver();
    wire_writer_t first = {0};
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &first);
    assert_apply(before, &first, FABRIC_OK, true);
    set_shard(publisher, 1, 4, 2, 2, 50);
    assert_int_equal(shard_map_add_group(publisher, 3, fabric_bytes_of("late")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(publisher, fabric_bytes_of("Late"), 3), FABRIC_OK);
    set_shard(publisher, 3, 4, 2, 2, 50);
    shard_map_encode_delta(publisher, &text);
    size_t refused = 0;
    for (size_t i = 0; i < text.size * 6; i++) {
        static const uint8_t bytes[] = {0xc1, 0x00, 0xff, 0xdd, 0x90};
        size_t at = i / 6;
        uint8_t *copy =
            malloc(text.size); /* of its exact size, so that a sanitizer sees overruns */
        assert_non_null(copy);
        memcpy(copy, text.data, text.size);
        size_t size = text.size;
        if (i % 6 == 5) {
            copy = realloc(copy, at ? at : 1);
            size = at;
        } else {
            copy[at] = bytes[i % 6];
        }
        shard_map_t *receiver = make_receiver();
        assert_apply(receiver, &first, FABRIC_OK, true);
        if (shard_map_apply(receiver, fabric_bytes(copy, size), NULL) != FABRIC_OK) {
            assert_maps_equal(receiver, before);
            refused++;
        }
        shard_map_destroy(&receiver);
        free(copy);
    }
    assert_true(refused > text.size * 2);
    wire_append(&text, "", 1); /* a byte too many */
    assert_apply(before, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    wire_writer_destroy(&first);
    wire_writer_destroy(&text);
    shard_map_destroy(&before);
    shard_map_destroy(&publisher);
}

static void groups_and_shards_that_cannot_be_are_refused(void **state)
{
    (void)state;
    shard_map_t *map = make_publisher();
    wire_writer_t text = {0};
    const struct {
        uint64_t group;
        const char *name;
        uint64_t shard;
        fabric_error_t error;
    } cases[] = {
        {0, "default", 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {2, "default", 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {1, "renamed", 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {4, "skipped", 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {3, "", 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {1, "default", 1u << 16, FABRIC_ERROR_MALFORMED_MESSAGE},
        {1, "default", 1u << 16 | (SHARDS + 1), FABRIC_ERROR_MALFORMED_MESSAGE},
        {1, "default", 3u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {1, "default", UINT64_C(1) << 32 | 1u << 16 | 1, FABRIC_ERROR_MALFORMED_MESSAGE},
        {3, "new", 3u << 16 | SHARDS, FABRIC_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        encode_by_hand(&text, cases[i].group, cases[i].name, cases[i].shard);
        assert_apply(map, &text, cases[i].error, cases[i].error == FABRIC_OK);
    }
    assert_int_equal(shard_map_shard(map, shard_id_make(3, SHARDS))->token.home_epoch, 1);
    wire_writer_destroy(&text);
    shard_map_destroy(&map);
}

/* A map as large as a map may be, with the longest names and numbers that there are. */
static shard_map_t *make_largest(uint32_t shards_per_group, size_t groups)
{
    shard_map_t *map = shard_map_new();
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    char name[LIMIT_NAME_BYTES_MAX + 1];
    shard_map_set_shards_per_group(map, shards_per_group);
    for (uint16_t i = 1; i <= groups; i++) {
        snprintf(name, sizeof name, "%0*u", LIMIT_NAME_BYTES_MAX, i);
        assert_int_equal(shard_map_add_group(map, i, fabric_bytes_of(name)), FABRIC_OK);
        for (uint32_t n = 1; n <= shards_per_group; n++) {
            map_shard_t shard = {.shard = shard_id_make(i, (uint16_t)n),
                                 .home = incarnation_of(1),
                                 .owner = incarnation_of(2),
                                 .token = {UINT64_MAX, UINT64_MAX}};
            assert_int_equal(shard_map_set(map, &shard), FABRIC_OK);
        }
    }
    for (uint16_t i = 1; i <= LIMIT_TYPES_MAX; i++) {
        snprintf(name, sizeof name, "%0*u", LIMIT_NAME_BYTES_MAX, i);
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of(name), 1), FABRIC_OK);
    }
    for (int i = 0; i < LIMIT_BROKERS_MAX; i++) {
        brokers[i].incarnation = incarnation_of((uint8_t)(i + 1));
        memset(brokers[i].router_endpoint, 'e', LIMIT_ENDPOINT_BYTES_MAX);
        memset(brokers[i].pub_endpoint, 'e', LIMIT_ENDPOINT_BYTES_MAX);
        brokers[i].router_endpoint[LIMIT_ENDPOINT_BYTES_MAX] = '\0';
        brokers[i].pub_endpoint[LIMIT_ENDPOINT_BYTES_MAX] = '\0';
    }
    shard_map_set_brokers(map, brokers, LIMIT_BROKERS_MAX);
    shard_map_begin_term(map, UINT64_MAX);
    return map;
}

static void the_largest_map_fits_a_frame(void **state)
{
    (void)state;
    static const struct {
        uint32_t shards_per_group;
        size_t groups;
    } cases[] = {{LIMIT_SHARDS_PER_GROUP_MAX, LIMIT_SHARDS_MAX / LIMIT_SHARDS_PER_GROUP_MAX},
                 {LIMIT_SHARDS_MAX / LIMIT_GROUPS_MAX, LIMIT_GROUPS_MAX}};
    enum { AROUND = 4096 }; /* what a welcome and its frame put around it */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wire_writer_t text = {0};
        shard_map_t *map = make_largest(cases[i].shards_per_group, cases[i].groups);
        shard_map_t *receiver = shard_map_new();
        shard_map_set_shards_per_group(receiver, cases[i].shards_per_group);
        shard_map_encode_snapshot(map, &text);
        assert_in_range(text.size, LIMIT_FRAME_BYTES_MAX / 2, LIMIT_FRAME_BYTES_MAX - AROUND);
        assert_apply(receiver, &text, FABRIC_OK, true);
        assert_int_equal(
            shard_map_add_group(map, (uint16_t)(cases[i].groups + 1), fabric_bytes_of("one more")),
            FABRIC_ERROR_LIMIT_EXCEEDED);
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of("one more"), 1),
                         FABRIC_ERROR_LIMIT_EXCEEDED);
        wire_writer_destroy(&text);
        shard_map_destroy(&receiver);
        shard_map_destroy(&map);
    }
}

static void a_map_with_more_shards_than_fit_is_refused(void **state)
{
    (void)state;
    shard_map_t *map = shard_map_new();
    wire_writer_t text = {0};
    shard_map_set_shards_per_group(map, LIMIT_SHARDS_PER_GROUP_MAX);
    uint16_t groups = LIMIT_SHARDS_MAX / LIMIT_SHARDS_PER_GROUP_MAX;
    for (uint16_t i = 1; i <= groups; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%u", i);
        assert_int_equal(shard_map_add_group(map, i, fabric_bytes_of(name)), FABRIC_OK);
    }
    encode_by_hand(&text, groups + 1u, "one more", 1u << 16 | 1);
    assert_apply(map, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    wire_writer_destroy(&text);
    shard_map_destroy(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_numbered_in_order_and_stay),
        cmocka_unit_test(the_largest_map_fits_a_frame),
        cmocka_unit_test(a_map_with_more_shards_than_fit_is_refused),
        cmocka_unit_test(types_name_their_group),
        cmocka_unit_test(a_type_stays_where_a_later_map_does_not_list_it),
        cmocka_unit_test(entities_are_located_by_their_exact_id),
        cmocka_unit_test(a_joiner_takes_a_snapshot_then_deltas),
        cmocka_unit_test(a_gap_asks_for_a_snapshot),
        cmocka_unit_test(older_terms_and_sequences_are_ignored),
        cmocka_unit_test(a_snapshot_replaces_all_shards),
        cmocka_unit_test(malformed_maps_change_nothing),
        cmocka_unit_test(groups_and_shards_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
