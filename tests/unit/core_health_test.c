/* What brokers say about their health, summed: what makes a cluster unhealthy, and in which words.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/health.h"
#include "core/random.h"
#include "core/wire.h"

enum { SHARDS = 10 };

/* A lane as a broker tells it. */
typedef struct lane {
    uint64_t number, epoch;
    const char *state;
    bool stuck, damaged;
    uint64_t append_ms;
} lane_t;

typedef struct type {
    const char *name;
    uint64_t brought, served, moving, waiting;
} type_t;

typedef struct runner {
    const char *id;
    const char *state;
    uint64_t stuck, stuck_ms;
} runner_t;

typedef struct broker {
    const char *state;
    uint64_t map_sequence, pending, oldest_ms;
    bool fenced;
    uint64_t fence_ms;
    lane_t lanes[2];
    type_t types[2];
    runner_t runners[2];
} broker_t;

static void put_uint(wire_writer_t *document, const char *key, uint64_t value)
{
    wire_put_text(document, key);
    wire_put_uint(document, value);
}

static void put_text(wire_writer_t *document, const char *key, const char *value)
{
    wire_put_text(document, key);
    wire_put_text(document, value);
}

static void put_lanes(const broker_t *broker, wire_writer_t *document)
{
    uint32_t count = 0;
    while (count < 2 && broker->lanes[count].state) {
        count++;
    }
    wire_put_text(document, "lanes");
    wire_put_array(document, count);
    for (uint32_t i = 0; i < count; i++) {
        const lane_t *lane = &broker->lanes[i];
        wire_put_map(document, 8);
        put_uint(document, "number", lane->number);
        put_text(document, "state", lane->state);
        put_uint(document, "epoch", lane->epoch);
        put_text(document, "cause", lane->stuck ? "it is gone" : "");
        put_uint(document, "append_ms", lane->append_ms);
        put_uint(document, "load_ms", 5);
        wire_put_text(document, "stuck");
        wire_put_bool(document, lane->stuck);
        wire_put_text(document, "damaged");
        wire_put_bool(document, lane->damaged);
    }
}

static void put_types(const broker_t *broker, wire_writer_t *document)
{
    uint32_t count = 0;
    while (count < 2 && broker->types[count].name) {
        count++;
    }
    wire_put_text(document, "types");
    wire_put_array(document, count);
    for (uint32_t i = 0; i < count; i++) {
        const type_t *type = &broker->types[i];
        wire_put_map(document, 5);
        put_text(document, "name", type->name);
        put_uint(document, "brought", type->brought);
        put_uint(document, "served", type->served);
        put_uint(document, "moving", type->moving);
        put_uint(document, "waiting", type->waiting);
    }
}

static void put_runners(const broker_t *broker, wire_writer_t *document)
{
    uint32_t count = 0;
    while (count < 2 && broker->runners[count].id) {
        count++;
    }
    wire_put_text(document, "runners");
    wire_put_array(document, count);
    for (uint32_t i = 0; i < count; i++) {
        const runner_t *runner = &broker->runners[i];
        wire_put_map(document, 6);
        put_text(document, "incarnation", runner->id);
        put_text(document, "name", runner->id);
        put_text(document, "state", runner->state);
        put_uint(document, "executors", 4);
        put_uint(document, "stuck", runner->stuck);
        put_uint(document, "stuck_ms", runner->stuck_ms);
    }
}

static void put_broker(const broker_t *broker, wire_writer_t *document)
{
    wire_put_map(document, 13);
    put_text(document, "cluster", "prod");
    put_text(document, "state", broker->state ? broker->state : "serving");
    put_text(document, "what nobody knows", "is skipped");
    put_uint(document, "map_term", 7);
    put_uint(document, "map_sequence", broker->map_sequence);
    put_uint(document, "lanes_of_cluster", 2);
    put_uint(document, "shards_per_group", SHARDS);
    put_uint(document, "pending", broker->pending);
    wire_put_text(document, "oldest_pending_ms");
    if (broker->oldest_ms > 0) {
        wire_put_uint(document, broker->oldest_ms);
    } else {
        wire_put_nil(document);
    }
    wire_put_text(document, "fence");
    if (broker->fenced) {
        wire_put_map(document, 2);
        put_uint(document, "ago_ms", broker->fence_ms);
        put_uint(document, "lane", 1);
    } else {
        wire_put_nil(document);
    }
    put_lanes(broker, document);
    put_types(broker, document);
    put_runners(broker, document);
}

static void add(health_sum_t *sum, const broker_t *broker, const char *name)
{
    wire_writer_t document = {0};
    put_broker(broker, &document);
    assert_int_equal(health_sum_add(sum, name, "tcp://h:1", wire_writer_bytes(&document)),
                     FABRIC_OK);
    wire_writer_destroy(&document);
}

/* The sum of one or two brokers. */
static const fabric_health_t *sum_of(const broker_t *one, const broker_t *two)
{
    static fabric_health_t health;
    health_sum_t *sum = health_sum_new();
    add(sum, one, "one");
    if (two) {
        add(sum, two, "two");
    }
    health_sum_end(sum, &health);
    health_sum_destroy(&sum);
    return &health;
}

/* Two brokers of a cluster that is well: each has a lane, and half of the shards. */
static broker_t well(uint64_t lane)
{
    return (broker_t){.map_sequence = 3 + lane,
                      .lanes = {{.number = lane, .epoch = 2, .state = "home"}},
                      .types = {{"Order", 1, SHARDS / 2, 0, 0}},
                      .runners = {{"r1", "healthy", 0, 0}}};
}

static void expect_reason(const fabric_health_t *health, const char *reason)
{
    assert_false(health->healthy);
    assert_int_equal(health->reason_count, 1);
    if (strcmp(health->reasons[0], reason) != 0) {
        fail_msg("'%s' is not '%s'", health->reasons[0], reason);
    }
}

static void a_cluster_that_is_well(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    one.pending = 3;
    one.oldest_ms = 70;
    two.pending = 4;
    two.oldest_ms = 900;
    two.fenced = true;
    two.fence_ms = 12;
    one.fenced = true;
    one.fence_ms = 99;
    const fabric_health_t *health = sum_of(&one, &two);
    assert_true(health->healthy);
    assert_int_equal(health->reason_count, 0);
    assert_string_equal(health->cluster, "prod");
    assert_int_equal(health->map_term, 7);
    assert_int_equal(health->map_sequence, 4);
    assert_int_equal(health->brokers, 2);
    assert_int_equal(health->brokers_answering, 2);
    assert_int_equal(health->silent_count, 0);
    assert_int_equal(health->runners, 1);
    assert_int_equal(health->runners_healthy, 1);
    assert_int_equal(health->lanes, 2);
    assert_int_equal(health->lanes_served, 2);
    assert_int_equal(health->lanes_moving, 0);
    assert_int_equal(health->types, 1);
    assert_int_equal(health->shards, SHARDS);
    assert_int_equal(health->shards_served, SHARDS);
    assert_int_equal(health->pending, 7);
    assert_int_equal(health->oldest_pending_ms, 900);
    assert_true(health->fenced);
    assert_int_equal(health->last_fence_ms, 12);
    assert_int_equal(health->last_fence_lane, 1);
}

static void a_silent_broker_is_named_and_its_lanes_have_no_home(void **state)
{
    (void)state;
    fabric_health_t health;
    health_sum_t *sum = health_sum_new();
    broker_t one = well(0);
    add(sum, &one, "one");
    health_sum_add_silent(sum, "two", "tcp://h:2", "it is frozen");
    health_sum_end(sum, &health);
    health_sum_destroy(&sum);
    assert_false(health.healthy);
    assert_int_equal(health.brokers, 2);
    assert_int_equal(health.brokers_answering, 1);
    assert_int_equal(health.silent_count, 1);
    assert_string_equal(health.silent[0], "two (tcp://h:2)");
    assert_int_equal(health.reason_count, 3);
    assert_string_equal(health.reasons[0], "broker two (tcp://h:2) does not answer: it is frozen");
    assert_string_equal(health.reasons[1], "lane 1 has no home among the brokers that answer");
    assert_string_equal(health.reasons[2], "5 of 10 shards are unserved for the entity type Order");
    assert_int_equal(health.lanes_served, 1);
    assert_int_equal(health.shards_unserved, SHARDS / 2);
}

static void a_stuck_lane_says_what_waits(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    two.lanes[0].stuck = true;
    two.lanes[0].append_ms = 4230;
    const fabric_health_t *health = sum_of(&one, &two);
    expect_reason(health, "lane 1 of broker two is stuck: an append has waited for 4.2 s: it is "
                          "gone");
    assert_int_equal(health->lanes_stuck, 1);
    two.lanes[0] = (lane_t){.number = 1, .epoch = 2, .state = "adopting", .damaged = true};
    expect_reason(sum_of(&one, &two), "lane 1 of broker two cannot be read: fabricctl journal "
                                      "repair shows what can be done");
}

static void an_unconfirmed_lease_is_a_reason(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    two.state = "unconfirmed";
    expect_reason(sum_of(&one, &two), "broker two (tcp://h:1) serves nothing now: the database has "
                                      "not confirmed its lease in time");
}

static void what_moves_is_no_harm(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    two.lanes[0].state = "adopting";
    two.types[0].served = 0;
    two.types[0].moving = SHARDS / 2;
    const fabric_health_t *health = sum_of(&one, &two);
    assert_true(health->healthy);
    assert_int_equal(health->lanes_moving, 1);
    assert_int_equal(health->lanes_served, 1);
    assert_int_equal(health->shards_moving, SHARDS / 2);
}

/* For a moment two brokers may count as holder of one lane: the later epoch is right. */
static void of_two_holders_the_later_one_counts(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    one.lanes[1] = (lane_t){.number = 1, .epoch = 1, .state = "home", .stuck = true};
    assert_true(sum_of(&one, &two)->healthy);
    assert_true(sum_of(&two, &one)->healthy);
}

static void a_runner_is_as_the_worst_word_about_it(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    one.runners[0] = (runner_t){"r1", "healthy", 1, 500};
    two.runners[0] = (runner_t){"r1", "missing", 1, 12345};
    one.runners[1] = (runner_t){"r2", "healthy", 0, 0};
    two.runners[1] = (runner_t){"r2", "leaving", 0, 0};
    const fabric_health_t *health = sum_of(&one, &two);
    expect_reason(health, "runner r1 is stuck: 1 of its 4 executors, the first for 12.3 s; its log "
                          "says at which message");
    assert_int_equal(health->runners, 2);
    assert_int_equal(health->runners_healthy, 0);
    assert_int_equal(health->runners_stuck, 1);
}

static void a_type_that_nobody_brings_matters_where_messages_wait(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    one.types[1] = (type_t){"Old", 0, 0, 0, 0};
    two.types[1] = (type_t){"Old", 0, 0, 0, 0};
    const fabric_health_t *health = sum_of(&one, &two);
    assert_true(health->healthy);
    assert_int_equal(health->types_missing, 1);
    assert_int_equal(health->shards, SHARDS);
    two.types[1].waiting = 2;
    health = sum_of(&one, &two);
    expect_reason(health, "messages wait for the entity type Old, and no runner brings it: start a "
                          "worker that does");
    assert_int_equal(health->shards_unserved, 2);
    one.types[1].brought = 1; /* there, at least */
    health = sum_of(&one, &two);
    expect_reason(health, "10 of 10 shards are unserved for the entity type Old");
}

static void types_without_any_runner_are_unhealthy(void **state)
{
    (void)state;
    broker_t one = well(0);
    broker_t two = well(1);
    one.types[0].brought = two.types[0].brought = 0;
    one.types[0].served = two.types[0].served = 0;
    one.runners[0].id = two.runners[0].id = NULL;
    expect_reason(sum_of(&one, &two), "there is no runner: start a worker");
    one.types[0].name = two.types[0].name = NULL; /* a new cluster */
    assert_true(sum_of(&one, &two)->healthy);
}

/* Nobody says that the cluster is well. */
static void a_cluster_of_which_no_broker_is_known(void **state)
{
    (void)state;
    fabric_health_t health;
    health_sum_t *sum = health_sum_new();
    health_sum_end(sum, &health);
    health_sum_destroy(&sum);
    expect_reason(&health, "no broker is known");
}

static void reasons_are_counted_beyond_those_that_are_told(void **state)
{
    (void)state;
    fabric_health_t health;
    health_sum_t *sum = health_sum_new();
    for (int i = 0; i < 80; i++) {
        health_sum_add_silent(sum, "a", "tcp://h:2", "it is frozen");
    }
    health_sum_end(sum, &health);
    health_sum_destroy(&sum);
    assert_int_equal(health.reason_count, 80);
    assert_int_equal(health.brokers, 80);
    assert_int_equal(health.silent_count, FABRIC_HEALTH_BROKERS_MAX);
}

static void of_a_document_that_is_cut_nothing_counts(void **state)
{
    (void)state;
    fabric_health_t health;
    wire_writer_t document = {0};
    broker_t broker = well(0);
    broker.pending = 5;
    put_broker(&broker, &document);
    health_sum_t *sum = health_sum_new();
    assert_int_equal(health_sum_add(sum, "a", "b", fabric_bytes(document.data, document.size - 1)),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    health_sum_end(sum, &health);
    assert_int_equal(health.pending, 0);
    assert_int_equal(health.runners, 0);
    assert_int_equal(health.lanes, 0);
    health_sum_destroy(&sum);
    wire_writer_destroy(&document);
}

/* Any bytes may come from a broker. */
static void no_bytes_do_harm(void **state)
{
    (void)state;
    wire_writer_t document = {0};
    fabric_health_t health;
    broker_t broker = well(0);
    broker.fenced = true;
    put_broker(&broker, &document);
    uint64_t random = 1;
    health_sum_t *sum = health_sum_new();
    assert_int_equal(health_sum_add(sum, "a", "b", fabric_bytes("", 0)),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(health_sum_add(sum, "a", "b", fabric_bytes("\x01", 1)),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[1024];
        assert_true(document.size <= sizeof bytes);
        memcpy(bytes, document.data, document.size);
        for (uint64_t flips = random_up_to(&random, 3); flips > 0; flips--) {
            bytes[random_up_to(&random, document.size - 1)] ^=
                (uint8_t)(1u << random_up_to(&random, 7));
        }
        size_t size = document.size - (i % 4 == 0 ? random_up_to(&random, document.size) : 0);
        if (health_sum_add(sum, "a", "b", fabric_bytes(bytes, size))) {
            health_sum_add_silent(sum, "a", "b", "what it says cannot be read");
        }
    }
    health_sum_end(sum, &health);
    assert_int_equal(health.brokers, 20000);
    health_sum_destroy(&sum);
    wire_writer_destroy(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_that_is_well),
        cmocka_unit_test(a_silent_broker_is_named_and_its_lanes_have_no_home),
        cmocka_unit_test(a_stuck_lane_says_what_waits),
        cmocka_unit_test(an_unconfirmed_lease_is_a_reason),
        cmocka_unit_test(what_moves_is_no_harm),
        cmocka_unit_test(of_two_holders_the_later_one_counts),
        cmocka_unit_test(a_runner_is_as_the_worst_word_about_it),
        cmocka_unit_test(a_type_that_nobody_brings_matters_where_messages_wait),
        cmocka_unit_test(types_without_any_runner_are_unhealthy),
        cmocka_unit_test(a_cluster_of_which_no_broker_is_known),
        cmocka_unit_test(reasons_are_counted_beyond_those_that_are_told),
        cmocka_unit_test(of_a_document_that_is_cut_nothing_counts),
        cmocka_unit_test(no_bytes_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
