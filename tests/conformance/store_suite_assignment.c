/* The store suite: what the coordinator writes. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

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

/* ---- groups and types ------------------------------------------------------------------------- */

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
    fixture_shards(fixture);
    assert_int_equal(fixture->shard_count, 3 * FIXTURE_SHARDS);
    for (size_t i = 0; i < fixture->shard_count; i++) {
        const store_shard_t *shard = &fixture->shards[i];
        assert_int_equal(shard_id_number(shard->shard), i % FIXTURE_SHARDS + 1);
        assert_true(incarnation_equal(shard->home, fixture->broker.incarnation));
        assert_int_equal(shard->home_epoch, 1);
        assert_int_equal(shard->mark, 0);
    }
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
    fixture_shards(fixture);
    assert_int_equal(fixture->shard_count, LIMIT_GROUPS_MAX * FIXTURE_SHARDS);
}

static void group_put_refuses_what_cannot_be_published(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    store_cluster_t wanted = {.name = "large", .shards_per_group = LIMIT_SHARDS_PER_GROUP_MAX};
    store_coordinator_t before;
    store_join_t join;
    reason_t reason = {""};
    uint16_t number = 0;
    assert_ok(driver->schema_apply(fixture->store, &wanted, &reason));
    fixture->broker = broker_of(1, 1);
    fixture_join(fixture, &fixture->broker, 1, &join);
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

/* ---- homes ------------------------------------------------------------------------------------ */

static void take_lease(store_fixture_t *fixture, incarnation_t holder, uint64_t *term)
{
    store_coordinator_t before;
    assert_ok(fixture->driver->coordinator_read(fixture->store, &before));
    assert_ok(fixture->driver->coordinator_take(fixture->store, &before, holder, term));
}

/* Counts the shards with this home and epoch. */
static size_t count_shards(store_fixture_t *fixture, incarnation_t home, uint64_t epoch)
{
    size_t count = 0;
    fixture_shards(fixture);
    for (size_t i = 0; i < fixture->shard_count; i++) {
        count += incarnation_equal(fixture->shards[i].home, home) &&
                 fixture->shards[i].home_epoch == epoch;
    }
    return count;
}

static void take_homes_moves_only_the_dead_and_fences_them(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t a = fixture->broker.incarnation;
    store_broker_t b = broker_of(2, 2);
    store_broker_t c = broker_of(3, 3);
    store_join_t join;
    uint64_t term = 0;
    uint16_t number = 0;
    store_writer_t writer_b = fixture_join(fixture, &b, 2, &join);
    store_writer_t lane_1_b = {join.machine, 1, b.incarnation, join.batches[1]};
    store_writer_t writer_c = fixture_join(fixture, &c, 1, &join);
    take_lease(fixture, b.incarnation, &term);
    assert_ok(
        fixture->driver->group_put(fixture->store, term, b.incarnation, bytes_of("of b"), &number));
    take_lease(fixture, c.incarnation, &term);
    assert_ok(
        fixture->driver->group_put(fixture->store, term, c.incarnation, bytes_of("of c"), &number));

    /* b dies; a and c live; c coordinates. */
    incarnation_t living[] = {c.incarnation, a};
    assert_ok(fixture->driver->take_homes(fixture->store, term, c.incarnation, living, 2));
    assert_int_equal(count_shards(fixture, a, 1), FIXTURE_SHARDS);
    assert_int_equal(count_shards(fixture, c.incarnation, 1), FIXTURE_SHARDS);
    assert_int_equal(count_shards(fixture, c.incarnation, 2), FIXTURE_SHARDS);
    store_batch_t batch = {.high_id = 1};
    assert_error(FABRIC_ERROR_FENCED, commit_as(fixture, &writer_b, &batch, NULL));
    assert_error(FABRIC_ERROR_FENCED, commit_as(fixture, &lane_1_b, &batch, NULL));
    assert_error(FABRIC_ERROR_FENCED, fixture->driver->broker_renew(fixture->store, b.incarnation));
    assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
    assert_ok(commit_as(fixture, &writer_c, &batch, NULL));
    assert_ok(fixture->driver->broker_renew(fixture->store, a));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 2);

    /* SR-08: again is as once. */
    assert_ok(fixture->driver->take_homes(fixture->store, term, c.incarnation, living, 2));
    assert_int_equal(count_shards(fixture, c.incarnation, 2), FIXTURE_SHARDS);
    assert_int_equal(count_shards(fixture, a, 1), FIXTURE_SHARDS);
}

static void take_homes_keeps_marks_and_sees_what_the_dead_committed(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint64_t term = 0;
    commit_messages(fixture, 100, 3);
    store_batch_t batch = {.high_id = 102, .mark = 100};
    assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
    fixture_join(fixture, &b, 1, &join);
    take_lease(fixture, b.incarnation, &term);
    assert_ok(fixture->driver->take_homes(fixture->store, term, b.incarnation, &b.incarnation, 1));
    assert_int_equal(count_shards(fixture, b.incarnation, 2), FIXTURE_SHARDS);
    assert_int_equal(fixture->shards[0].mark, 100);
    find_pending(fixture, fixture->shards[0].mark);
    assert_found_ids(fixture, 100, 3);
}

/* Whatever an epoch was, the next home has one that is above the first: it loads what is there. */
static void a_strange_epoch_is_mended_by_the_next_home(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint64_t term = 0;
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_STRANGE_EPOCHS));
    fixture_join(fixture, &b, 1, &join);
    take_lease(fixture, b.incarnation, &term);
    assert_ok(fixture->driver->take_homes(fixture->store, term, b.incarnation, &b.incarnation, 1));
    assert_int_equal(count_shards(fixture, b.incarnation, 2), FIXTURE_SHARDS);
}

static void homes_of_a_broker_that_left_are_taken_over(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint64_t term = 0;
    fixture_join(fixture, &b, 1, &join);
    assert_ok(fixture->driver->broker_leave(fixture->store, fixture->broker.incarnation));
    take_lease(fixture, b.incarnation, &term);
    assert_ok(fixture->driver->take_homes(fixture->store, term, b.incarnation, &b.incarnation, 1));
    assert_int_equal(count_shards(fixture, b.incarnation, 2), FIXTURE_SHARDS);
}

/* Every changing call of the coordinator, under the given term and holder. */
static void assert_all_fenced(store_fixture_t *fixture, uint64_t term, incarnation_t holder)
{
    const store_driver_t *driver = fixture->driver;
    uint16_t number = 4711;
    store_type_t type = {.name = bytes_of("Stale"), .group = fixture->group};
    store_runner_t runner = {.incarnation = incarnation_of(50), .weight = 1};
    assert_error(FABRIC_ERROR_FENCED, driver->take_homes(fixture->store, term, holder, &holder, 1));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->group_put(fixture->store, term, holder, bytes_of("stale"), &number));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->group_put(fixture->store, term, holder, bytes_of("default"), &number));
    assert_error(FABRIC_ERROR_FENCED, driver->type_put(fixture->store, term, holder, &type));
    assert_error(FABRIC_ERROR_FENCED, driver->runner_put(fixture->store, term, holder, &runner));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->runner_remove(fixture->store, term, holder, incarnation_of(51)));
    assert_int_equal(number, 4711);
}

static void a_stale_term_changes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    incarnation_t self = fixture->broker.incarnation;
    store_runner_t runner = {.incarnation = incarnation_of(51), .weight = 1};
    assert_ok(driver->runner_put(fixture->store, fixture->term, self, &runner));
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint64_t term = 0;
    fixture_join(fixture, &b, 1, &join);
    take_lease(fixture, b.incarnation, &term);

    assert_all_fenced(fixture, fixture->term, self);     /* the deposed one */
    assert_all_fenced(fixture, term, self);              /* right term, wrong holder */
    assert_all_fenced(fixture, term + 1, b.incarnation); /* a term to come */
    assert_all_fenced(fixture, fixture->term, b.incarnation);

    listed_t listed = {0};
    assert_ok(driver->group_list(fixture->second, list_group, &listed));
    assert_int_equal(listed.count, 1);
    listed.count = 0;
    assert_ok(driver->type_list(fixture->second, list_type, &listed));
    assert_int_equal(listed.count, 0);
    assert_ok(driver->runner_list(fixture->second, list_runner, &listed));
    assert_int_equal(listed.count, 1);
    assert_true(incarnation_equal(listed.items[0].incarnation, runner.incarnation));
    assert_int_equal(count_shards(fixture, self, 1), FIXTURE_SHARDS);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 2);
    store_batch_t batch = {.high_id = 1};
    assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
}

int store_suite_assignment(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(group_put_makes_a_group_once),
        FOUNDED_TEST(group_put_stops_at_the_limit),
        EMPTY_TEST(group_put_refuses_what_cannot_be_published),
        FOUNDED_TEST(type_put_replaces_descriptions_and_keeps_groups),
        FOUNDED_TEST(runners_come_and_go),
        FOUNDED_TEST(take_homes_moves_only_the_dead_and_fences_them),
        FOUNDED_TEST(take_homes_keeps_marks_and_sees_what_the_dead_committed),
        FOUNDED_TEST(a_strange_epoch_is_mended_by_the_next_home),
        FOUNDED_TEST(homes_of_a_broker_that_left_are_taken_over),
        FOUNDED_TEST(a_stale_term_changes_nothing),
    };
    return cmocka_run_group_tests_name("assignment", tests, NULL, NULL);
}
