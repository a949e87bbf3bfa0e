/* The store suite: what the coordinator registers: shard groups, entity types, runners. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

typedef struct listed {
    size_t count;
    struct {
        char name[256];
        size_t size;
        uint16_t group;
        uint32_t weight;
        incarnation_t incarnation;
        fabric_bytes_t description; /* size only */
        uint8_t last;               /* byte of the description */
    } items[LIMIT_GROUPS_MAX + 1];
} listed_t;

static void list_group(void *context, uint16_t number, fabric_bytes_t name)
{
    listed_t *listed = context;
    assert_true(listed->count <= LIMIT_GROUPS_MAX && name.size < 256);
    memcpy(listed->items[listed->count].name, name.data, name.size);
    listed->items[listed->count].size = name.size;
    listed->items[listed->count++].group = number;
}

static void list_type(void *context, const store_type_t *type)
{
    listed_t *listed = context;
    size_t size = type->description.size;
    list_group(context, type->group, type->name);
    listed->items[listed->count - 1].description.size = size;
    listed->items[listed->count - 1].last = size ? type->description.data[size - 1] : 0;
}

static void list_runner(void *context, const store_runner_t *runner)
{
    listed_t *listed = context;
    list_group(context, 0, bytes_of(runner->name));
    listed->items[listed->count - 1].weight = runner->weight;
    listed->items[listed->count - 1].incarnation = runner->incarnation;
}

static fabric_error_t put_group(store_fixture_t *fixture, const char *name, uint16_t *number)
{
    return fixture->driver->group_put(fixture->store, fixture->term, fixture->broker.incarnation,
                                      bytes_of(name), number);
}

static fabric_error_t put_type(store_fixture_t *fixture, const char *name, uint16_t group,
                               fabric_bytes_t description)
{
    store_type_t type = {.name = bytes_of(name), .group = group, .description = description};
    return fixture->driver->type_put(fixture->store, fixture->term, fixture->broker.incarnation,
                                     &type);
}

/* ---- groups and types ---- */

static void group_put_makes_a_group_once(void **state)
{
    store_fixture_t *fixture = *state;
    uint16_t first = 0;
    uint16_t again = 0;
    uint16_t twin = 0;
    assert_true(fixture->group >= 1);
    assert_ok(put_group(fixture, "slow", &first));
    assert_ok(put_group(fixture, "slow", &again));
    assert_ok(put_group(fixture, "SLOW", &twin));
    assert_int_equal(first, again);
    assert_int_not_equal(first, fixture->group);
    assert_int_not_equal(twin, first);
    listed_t groups = {0};
    assert_ok(fixture->driver->group_list(fixture->second, list_group, &groups));
    assert_int_equal(groups.count, 3);
}

static void group_put_stops_at_the_limit(void **state)
{
    store_fixture_t *fixture = *state;
    uint16_t number = 0;
    for (int i = 1; i < LIMIT_GROUPS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "group-%d", i);
        assert_ok(put_group(fixture, name, &number));
        assert_true(number >= 1 && number <= LIMIT_GROUPS_MAX);
    }
    assert_error(FABRIC_ERROR_LIMIT_EXCEEDED, put_group(fixture, "one more", &number));
    assert_ok(put_group(fixture, "default", &number));
    assert_int_equal(number, fixture->group);
}

static void group_put_refuses_what_cannot_be_published(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    store_cluster_t wanted = {
        .name = "large", .shards_per_group = LIMIT_SHARDS_PER_GROUP_MAX, .lanes = 1};
    store_coordinator_t before;
    reason_t reason = {""};
    uint16_t number = 0;
    assert_ok(driver->schema_apply(fixture->store, &wanted, &reason));
    fixture->broker = broker_of(1, 1);
    fixture_join(fixture, &fixture->broker);
    assert_ok(driver->coordinator_read(fixture->store, &before));
    assert_ok(driver->coordinator_take(fixture->store, &before, fixture->broker.incarnation,
                                       &fixture->term));
    for (int i = 1; i <= LIMIT_SHARDS_MAX / LIMIT_SHARDS_PER_GROUP_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "group-%d", i);
        assert_ok(put_group(fixture, name, &number));
        assert_int_equal(number, i);
    }
    assert_error(FABRIC_ERROR_LIMIT_EXCEEDED, put_group(fixture, "one more", &number));
    listed_t groups = {0};
    assert_ok(driver->group_list(fixture->second, list_group, &groups));
    assert_int_equal(groups.count, LIMIT_SHARDS_MAX / LIMIT_SHARDS_PER_GROUP_MAX);
    assert_ok(put_group(fixture, "group-1", &number));
}

static void type_put_replaces_descriptions_and_keeps_groups(void **state)
{
    store_fixture_t *fixture = *state;
    uint16_t slow = 0;
    uint8_t *large = calloc(1, 200000);
    assert_non_null(large);
    large[199999] = 0x7f;
    assert_ok(put_group(fixture, "slow", &slow));
    assert_ok(put_type(fixture, "Order", fixture->group, fabric_bytes("a\0b", 3)));
    assert_ok(put_type(fixture, "Order", fixture->group, fabric_bytes("a\0b", 3)));
    assert_error(FABRIC_ERROR_TYPE_CONFLICT, put_type(fixture, "Order", slow, bytes_of("c")));
    assert_ok(put_type(fixture, "order", slow, bytes_of("")));
    listed_t types = {0};
    assert_ok(fixture->driver->type_list(fixture->second, list_type, &types));
    assert_int_equal(types.count, 2);
    size_t order = types.items[0].name[0] == 'O' ? 0 : 1;
    assert_int_equal(types.items[order].group, fixture->group);
    assert_int_equal(types.items[order].description.size, 3);
    assert_int_equal(types.items[order].last, 'b');
    assert_int_equal(types.items[1 - order].group, slow);
    assert_int_equal(types.items[1 - order].description.size, 0);

    fabric_error_t error = put_type(fixture, "Order", fixture->group, fabric_bytes(large, 200000));
    free(large);
    assert_ok(error);
    types.count = 0;
    assert_ok(fixture->driver->type_list(fixture->second, list_type, &types));
    order = types.items[0].name[0] == 'O' ? 0 : 1;
    assert_int_equal(types.items[order].description.size, 200000);
    assert_int_equal(types.items[order].last, 0x7f);
}

/* The time does not change with later types, and it is the same for all connections. */
static void the_first_registration_is_kept(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    store_registration_t registration = {true, 7};
    assert_ok(driver->first_registration(fixture->store, &registration));
    assert_false(registration.any);
    assert_ok(put_type(fixture, "Order", fixture->group, bytes_of("a")));
    assert_ok(driver->first_registration(fixture->second, &registration));
    assert_true(registration.any);
    uint64_t first_ms = registration.ago_ms;
    assert_true(first_ms < 600000);
    uint64_t started_ms = clock_monotonic_ms();
    do { /* the database's clock goes on */
        assert_ok(put_type(fixture, "Other", fixture->group, bytes_of("b")));
        assert_ok(driver->first_registration(fixture->second, &registration));
    } while (registration.ago_ms < first_ms + 20 && clock_monotonic_ms() < started_ms + 30000);
    assert_true(registration.ago_ms >= first_ms + 20);
}

static void runners_come_and_go(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    store_runner_t runner = {.incarnation = incarnation_of(50), .weight = 3, .name = "first"};
    store_runner_t other = {.incarnation = incarnation_of(51), .weight = UINT32_MAX};
    assert_ok(fixture->driver->runner_put(fixture->store, fixture->term, self, &runner));
    assert_ok(fixture->driver->runner_put(fixture->store, fixture->term, self, &other));
    runner.weight = 4;
    assert_ok(fixture->driver->runner_put(fixture->store, fixture->term, self, &runner));
    assert_ok(fixture->driver->runner_put(fixture->store, fixture->term, self, &runner));
    assert_ok(
        fixture->driver->runner_remove(fixture->store, fixture->term, self, incarnation_of(51)));
    assert_ok(
        fixture->driver->runner_remove(fixture->store, fixture->term, self, incarnation_of(51)));
    listed_t runners = {0};
    assert_ok(fixture->driver->runner_list(fixture->second, list_runner, &runners));
    assert_int_equal(runners.count, 1);
    assert_int_equal(runners.items[0].weight, 4);
    assert_string_equal(runners.items[0].name, "first");
    assert_true(incarnation_equal(runners.items[0].incarnation, runner.incarnation));
}

int store_suite_registry(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(group_put_makes_a_group_once),
        FOUNDED_TEST(group_put_stops_at_the_limit),
        EMPTY_TEST(group_put_refuses_what_cannot_be_published),
        FOUNDED_TEST(type_put_replaces_descriptions_and_keeps_groups),
        FOUNDED_TEST(the_first_registration_is_kept),
        FOUNDED_TEST(runners_come_and_go),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
