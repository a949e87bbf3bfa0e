/* The store suite: connections, schema, identity of the cluster. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <string.h>

static const store_cluster_t wanted = {
    .name = "suite", .shards_per_group = FIXTURE_SHARDS, .lanes = FIXTURE_LANES};
static const store_cluster_t anything; /* for checks that compare nothing */

static fabric_error_t check(store_fixture_t *fixture, const char *name, uint32_t shards,
                            uint32_t lanes, reason_t *reason)
{
    store_cluster_t asked = {.shards_per_group = shards, .lanes = lanes};
    store_cluster_t cluster;
    snprintf(asked.name, sizeof asked.name, "%s", name);
    return fixture->driver->check(fixture->second, &asked, reason, &cluster);
}

static void url_without_a_database_is_invalid(void **state)
{
    store_fixture_t *fixture = *state;
    char url[64];
    snprintf(url, sizeof url, "%s:", fixture->driver->scheme);
    store_options_t options = {.url = url, .connect_timeout_ms = 1000, .io_timeout_ms = 1000};
    reason_t reason = {""};
    store_t *store = NULL;
    assert_error(FABRIC_ERROR_INVALID_CONFIGURATION,
                 fixture->driver->open(&options, &reason, &store));
    assert_null(store);
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_INVALID_CONFIGURATION, fixture->driver->open(&options, NULL, &store));
}

static void empty_database_has_version_0_and_fails_the_check(void **state)
{
    store_fixture_t *fixture = *state;
    uint32_t version = 99;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_status(fixture->store, &reason, &version));
    assert_int_equal(version, 0);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION, check(fixture, "suite", 0, 0, &reason));
    assert_true(strlen(reason.text) > 0);
}

static void schema_apply_founds_once(void **state)
{
    store_fixture_t *fixture = *state;
    static const uint8_t zeros[16];
    uint32_t version = 0;
    store_cluster_t first;
    store_cluster_t again;
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_ok(fixture->driver->schema_status(fixture->second, NULL, &version));
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    assert_ok(fixture->driver->check(fixture->second, &wanted, NULL, &first));
    assert_ok(fixture->driver->schema_apply(fixture->second, &wanted, NULL));
    assert_ok(fixture->driver->check(fixture->store, &anything, NULL, &again));
    assert_memory_equal(first.id, again.id, sizeof first.id);
    assert_memory_not_equal(first.id, zeros, sizeof zeros);
    assert_string_equal(again.name, "suite");
    assert_int_equal(again.shards_per_group, FIXTURE_SHARDS);
    assert_int_equal(again.lanes, FIXTURE_LANES);
}

/* So every lane has a newest entry, and a writer that slept since the beginning finds number 0
 * taken. */
static void each_lane_begins_with_its_entry_0(void **state)
{
    store_fixture_t *fixture = *state;
    for (int times = 0; times < 2; times++) {
        assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
        for (uint32_t lane = 0; lane < FIXTURE_LANES; lane++) {
            store_lane_t row = lane_row(fixture, lane);
            assert_true(incarnation_is_none(row.holder));
            assert_int_equal(row.epoch, 0);
            assert_int_equal(row.number, 0);
            assert_int_equal(row.begun, 0);
            assert_int_equal(row.purged_id, 0);
            assert_int_equal(row.purged_ms, 0);
            read_entries(fixture, lane, 0);
            assert_numbers(fixture, 0, 1, 1);
            const store_entry_t *first = &fixture->entries.items[0];
            assert_int_equal(first->lane, lane);
            assert_true(first->adopt);
            assert_int_equal(first->epoch, 0);
            assert_int_equal(first->log_bytes, 0);
            assert_int_equal(first->calls.size + first->body.size, 0);
        }
        read_entries(fixture, FIXTURE_LANES, 0);
        assert_int_equal(fixture->entries.count, 0);
    }
}

static void a_cluster_can_have_all_lanes(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t wide = wanted;
    wide.lanes = LIMIT_LANES_MAX;
    assert_ok(fixture->driver->schema_apply(fixture->store, &wide, NULL));
    assert_int_equal(lane_row(fixture, LIMIT_LANES_MAX - 1).epoch, 0);
    assert_int_equal(newest_entry(fixture, LIMIT_LANES_MAX - 1), 0);
}

static void a_cluster_that_is_founded_without_being_told_has_the_defaults(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t named = {.name = "suite"};
    store_cluster_t cluster;
    uint32_t lanes = fixture->driver->lanes_default;
    assert_in_range(lanes, 1, LIMIT_LANES_MAX);
    for (int times = 0; times < 2; times++) {
        assert_ok(fixture->driver->schema_apply(fixture->store, &named, NULL));
        assert_ok(fixture->driver->check(fixture->second, &named, NULL, &cluster));
        assert_int_equal(cluster.lanes, lanes);
        assert_int_equal(cluster.shards_per_group, STORE_SHARDS_PER_GROUP_DEFAULT);
    }
    assert_int_equal(newest_entry(fixture, lanes - 1), 0);
    read_entries(fixture, lanes, 0);
    assert_int_equal(fixture->entries.count, 0);
}

static void schema_apply_refuses_another_cluster(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t other_name = wanted;
    store_cluster_t other_shards = wanted;
    store_cluster_t other_lanes = wanted;
    reason_t reason = {""};
    other_name.name[0] = 'S';
    other_shards.shards_per_group++;
    other_lanes.lanes--;
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &other_name, &reason));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH,
                 fixture->driver->schema_apply(fixture->store, &other_shards, &reason));
    reason.text[0] = '\0';
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH,
                 fixture->driver->schema_apply(fixture->store, &other_lanes, &reason));
    assert_non_null(strstr(reason.text, "lanes"));
    assert_ok(check(fixture, "suite", FIXTURE_SHARDS, FIXTURE_LANES, NULL));
}

static void check_compares_name_shards_and_lanes(void **state)
{
    store_fixture_t *fixture = *state;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "other", 0, 0, &reason));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "SUITE", 0, 0, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "suite ", 0, 0, NULL));
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH, check(fixture, "suite", 300, 0, &reason));
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH, check(fixture, "", 0, FIXTURE_LANES + 1, &reason));
    assert_ok(check(fixture, "", 0, FIXTURE_LANES, &reason));
}

static void newer_schema_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    uint32_t version = 0;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_NEWER_VERSION));
    assert_ok(fixture->driver->schema_status(fixture->store, NULL, &version));
    assert_int_equal(version, STORE_SCHEMA_VERSION + 1);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                 fixture->driver->schema_apply(fixture->store, &wanted, &reason));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION, check(fixture, "suite", 0, 0, &reason));
}

static void foreign_tables_are_refused(void **state)
{
    store_fixture_t *fixture = *state;
    uint32_t version = 0;
    reason_t reason = {""};
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_FOREIGN_TABLES));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_status(fixture->store, &reason, &version));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "suite", 0, 0, NULL));
}

/* Neither is another cluster founded over the tables of the first. */
static void a_missing_cluster_row_is_told(void **state)
{
    store_fixture_t *fixture = *state;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_NO_CLUSTER));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "suite", 0, 0, &reason));
    assert_non_null(strstr(reason.text, "row"));
    reason.text[0] = 0;
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &wanted, &reason));
    assert_non_null(strstr(reason.text, "row"));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, check(fixture, "", 0, 0, NULL));
}

static void facts_name_a_durable_writable_product(void **state)
{
    store_fixture_t *fixture = *state;
    store_facts_t facts;
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_ok(fixture->driver->facts(fixture->store, &facts));
    assert_true(strlen(facts.product) > 0);
    assert_true(strlen(facts.durability) > 0);
    assert_true(facts.durable);
    assert_false(facts.read_only);
}

static void visit_table(void *context, const char *table, uint64_t rows, uint64_t bytes)
{
    (void)rows, (void)bytes;
    *(unsigned *)context |= strcmp(table, "journal") == 0 ? 1u : 0;
    *(unsigned *)context |= strcmp(table, "pending") == 0 ? 2u : 0;
    *(unsigned *)context |= strcmp(table, "dead_letter") == 0 ? 4u : 0;
    *(unsigned *)context |= strcmp(table, "primary_key") == 0 ? 8u : 0;
}

static void the_tables_are_listed(void **state)
{
    store_fixture_t *fixture = *state;
    unsigned seen = 0;
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_ok(fixture->driver->table_list(fixture->store, visit_table, &seen));
    assert_int_equal(seen, 15);
}

static void sr_05_two_databases_hold_the_same_lanes(void **state)
{
    store_fixture_t *fixture = *state;
    void *other_state = NULL;
    assert_int_equal(fixture_setup_founded(&other_state), 0);
    store_fixture_t *other = other_state;
    append_some(other, &other->hold, 2, 3);
    append_some(fixture, &fixture->hold, 2, 1);
    uint64_t here = newest_entry(fixture, 0);
    uint64_t there = newest_entry(other, 0);
    store_cluster_t a;
    store_cluster_t b;
    fabric_error_t error = fixture->driver->check(fixture->store, &anything, NULL, &a);
    fabric_error_t other_error = other->driver->check(other->store, &anything, NULL, &b);
    fixture_teardown(&other_state);
    assert_int_equal(here, 2);
    assert_int_equal(there, 4);
    assert_ok(error);
    assert_ok(other_error);
    assert_memory_not_equal(a.id, b.id, sizeof a.id);
}

int store_suite_schema(void)
{
    static const struct CMUnitTest tests[] = {
        EMPTY_TEST(url_without_a_database_is_invalid),
        EMPTY_TEST(empty_database_has_version_0_and_fails_the_check),
        EMPTY_TEST(schema_apply_founds_once),
        EMPTY_TEST(each_lane_begins_with_its_entry_0),
        EMPTY_TEST(a_cluster_can_have_all_lanes),
        EMPTY_TEST(a_cluster_that_is_founded_without_being_told_has_the_defaults),
        EMPTY_TEST(schema_apply_refuses_another_cluster),
        EMPTY_TEST(check_compares_name_shards_and_lanes),
        EMPTY_TEST(newer_schema_is_refused),
        EMPTY_TEST(foreign_tables_are_refused),
        EMPTY_TEST(a_missing_cluster_row_is_told),
        EMPTY_TEST(facts_name_a_durable_writable_product),
        EMPTY_TEST(the_tables_are_listed),
        FOUNDED_TEST(sr_05_two_databases_hold_the_same_lanes),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
