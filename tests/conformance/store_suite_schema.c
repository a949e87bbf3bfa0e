/* The store suite: connections, schema, identity of the cluster. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <string.h>

static const store_cluster_t wanted = {.name = "suite", .shards_per_group = FIXTURE_SHARDS};

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
    store_cluster_t cluster;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_status(fixture->store, &reason, &version));
    assert_int_equal(version, 0);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                 fixture->driver->check(fixture->store, "suite", 0, &reason, &cluster));
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
    assert_ok(fixture->driver->check(fixture->second, "suite", FIXTURE_SHARDS, NULL, &first));
    assert_ok(fixture->driver->schema_apply(fixture->second, &wanted, NULL));
    assert_ok(fixture->driver->check(fixture->store, "", 0, NULL, &again));
    assert_memory_equal(first.id, again.id, sizeof first.id);
    assert_memory_not_equal(first.id, zeros, sizeof zeros);
    assert_string_equal(again.name, "suite");
    assert_int_equal(again.shards_per_group, FIXTURE_SHARDS);
}

static void schema_apply_refuses_another_cluster(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    store_cluster_t other_name = {.name = "Suite", .shards_per_group = FIXTURE_SHARDS};
    store_cluster_t other_shards = {.name = "suite", .shards_per_group = FIXTURE_SHARDS + 1};
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &other_name, &reason));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH,
                 fixture->driver->schema_apply(fixture->store, &other_shards, &reason));
    assert_ok(fixture->driver->check(fixture->store, "suite", FIXTURE_SHARDS, NULL, &cluster));
}

static void check_compares_name_and_shards(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "other", 0, &reason, &cluster));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "SUITE", 0, NULL, &cluster));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "suite ", 0, NULL, &cluster));
    assert_error(FABRIC_ERROR_SHARDS_MISMATCH,
                 fixture->driver->check(fixture->store, "suite", 300, &reason, &cluster));
}

static void newer_schema_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    uint32_t version = 0;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_NEWER_VERSION));
    assert_ok(fixture->driver->schema_status(fixture->store, NULL, &version));
    assert_int_equal(version, STORE_SCHEMA_VERSION + 1);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                 fixture->driver->schema_apply(fixture->store, &wanted, &reason));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                 fixture->driver->check(fixture->store, "suite", 0, &reason, &cluster));
}

static void a_database_of_version_1_is_migrated_with_its_rows(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    uint32_t version = 0;
    commit_messages(fixture, 10, 2);
    batch_builder_t builder = {.batch.high_id = 11};
    add_attempt(&builder, 10, 3, 0);
    commit_ok(fixture, &builder);
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_VERSION_1));
    store_close(&fixture->store); /* as after an upgrade of the program */
    fixture->store = fixture_open(fixture, false);
    assert_ok(fixture->driver->schema_status(fixture->store, NULL, &version));
    assert_int_equal(version, 1);
    assert_error(FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                 fixture->driver->check(fixture->store, "suite", 0, NULL, &cluster));
    for (int times = 0; times < 2; times++) {
        assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
        assert_ok(fixture->driver->schema_status(fixture->store, NULL, &version));
        assert_int_equal(version, STORE_SCHEMA_VERSION);
    }
    assert_ok(fixture->driver->check(fixture->store, "suite", FIXTURE_SHARDS, NULL, &cluster));
    builder = (batch_builder_t){.batch.high_id = 11};
    add_attempt(&builder, 11, 0, 5);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 2);
    assert_int_equal(fixture->found.items[0].tally.attempts, 3);
    assert_int_equal(fixture->found.items[0].tally.suspicions, 0);
    assert_int_equal(fixture->found.items[1].tally.suspicions, 5);
}

static void foreign_tables_are_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    uint32_t version = 0;
    reason_t reason = {""};
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_FOREIGN_TABLES));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_status(fixture->store, &reason, &version));
    assert_true(strlen(reason.text) > 0);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "suite", 0, NULL, &cluster));
}

/* Neither is another cluster founded over the tables of the first. */
static void a_missing_cluster_row_is_told(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    reason_t reason = {""};
    assert_ok(fixture->driver->schema_apply(fixture->store, &wanted, NULL));
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_NO_CLUSTER));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "suite", 0, &reason, &cluster));
    assert_non_null(strstr(reason.text, "row"));
    reason.text[0] = 0;
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->schema_apply(fixture->store, &wanted, &reason));
    assert_non_null(strstr(reason.text, "row"));
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE,
                 fixture->driver->check(fixture->store, "", 0, NULL, &cluster));
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

static void sr_05_two_databases_hold_the_same_shards(void **state)
{
    store_fixture_t *fixture = *state;
    void *other_state = NULL;
    assert_int_equal(fixture_setup_founded(&other_state), 0);
    store_fixture_t *other = other_state;
    commit_messages(other, 1, 3);
    commit_messages(fixture, 1, 1);
    find_pending(fixture, 0);
    size_t here = fixture->found.count;
    find_pending(other, 0);
    size_t there = other->found.count;
    store_cluster_t a;
    store_cluster_t b;
    fabric_error_t error = fixture->driver->check(fixture->store, "", 0, NULL, &a);
    fabric_error_t other_error = other->driver->check(other->store, "", 0, NULL, &b);
    fixture_teardown(&other_state);
    assert_int_equal(here, 1);
    assert_int_equal(there, 3);
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
        EMPTY_TEST(schema_apply_refuses_another_cluster),
        EMPTY_TEST(check_compares_name_and_shards),
        EMPTY_TEST(newer_schema_is_refused),
        FOUNDED_TEST(a_database_of_version_1_is_migrated_with_its_rows),
        EMPTY_TEST(foreign_tables_are_refused),
        EMPTY_TEST(a_missing_cluster_row_is_told),
        EMPTY_TEST(facts_name_a_durable_writable_product),
        FOUNDED_TEST(sr_05_two_databases_hold_the_same_shards),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
