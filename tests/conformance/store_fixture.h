/* What the tests of the store suite share: a database with open connections, builders of messages and batches, and
 * collectors for what visitors get. Internal to the suite. */
#ifndef TESTS_CONFORMANCE_STORE_FIXTURE_H
#define TESTS_CONFORMANCE_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/limits.h"
#include "tests/conformance/store_suite.h"

#define FIXTURE_SHARDS 4 /* per group */

typedef struct found_message {
    store_message_t message; /* views into memory of their own */
    store_tally_t tally;
    bool replied;
    store_reply_t reply;
    uint8_t *bytes;
} found_message_t;

/* Deep copies of visited messages. */
typedef struct found {
    found_message_t *items;
    size_t count, capacity;
} found_t;

typedef struct store_fixture {
    const store_suite_t *suite;
    const store_driver_t *driver;
    char url[512];
    store_t *store;  /* the connection that most tests use */
    store_t *second; /* another one to the same database */
    /* Founded databases only: */
    store_broker_t broker;            /* a member with two lanes, and the coordinator */
    uint32_t machine;                 /* its slot */
    store_writer_t writer;            /* its lane 0 */
    store_writer_t lane_1;            /* its lane 1 */
    uint64_t term;                    /* its term as coordinator */
    uint16_t group;                   /* "default", with it as home */
    store_shard_t shards[64 * 4 + 1]; /* by fixture_shards() */
    size_t shard_count;
    store_broker_t brokers[LIMIT_BROKERS_MAX]; /* by fixture_brokers() */
    size_t broker_count;
    found_t found; /* by the functions below, emptied by each */
} store_fixture_t;

/* Suite under test; set by store_suite_run(). */
void store_fixture_use(const store_suite_t *suite);

int fixture_setup_empty(void **state);   /* two connections to an empty database */
int fixture_setup_founded(void **state); /* schema, a broker, its term and group "default" */
int fixture_teardown(void **state);

#define EMPTY_TEST(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, fixture_setup_empty, fixture_teardown)
#define FOUNDED_TEST(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, fixture_setup_founded, fixture_teardown)

/* Tests need no table of names to be readable. */
#define assert_error(expected, actual)                                                             \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(expected))
#define assert_ok(actual) assert_error(FABRIC_OK, actual)

store_t *fixture_open(store_fixture_t *fixture, bool exclusive);
/* Closes the first connection and opens another in its place. */
void fixture_reconnect(store_fixture_t *fixture);
incarnation_t incarnation_of(uint8_t number);
/* A broker whose endpoint follows from `number`, not yet joined. */
store_broker_t broker_of(uint8_t incarnation, uint8_t number);
store_writer_t fixture_join(store_fixture_t *fixture, const store_broker_t *broker, uint32_t lanes,
                            store_join_t *join);

/* A message of shard 1 of the fixture's group with call key (7, id). */
store_message_t message_of(const store_fixture_t *fixture, uint64_t id);
store_reply_t reply_of(const store_message_t *message);
fabric_bytes_t bytes_of(const char *text);

/* A batch under construction. Items are borrowed. */
typedef struct batch_builder {
    store_batch_t batch;
    const store_message_t *messages[16];
    const store_reply_t *replies[16];
    store_attempt_t attempts[16];
    store_dead_letter_t dead_letters[16];
} batch_builder_t;

void add_message(batch_builder_t *builder, const store_message_t *message);
void add_reply(batch_builder_t *builder, const store_reply_t *reply);
void add_attempt(batch_builder_t *builder, uint64_t id, uint32_t attempts, uint32_t suspicions);
void add_dead_letter(batch_builder_t *builder, const store_message_t *message);
/* Commits over the fixture's first connection; after OK the writer's number is raised. */
fabric_error_t commit_as(store_fixture_t *fixture, store_writer_t *writer,
                         const store_batch_t *batch, store_rejection_t *rejection);
/* The same as the fixture's lane 0, one plain message. */
fabric_error_t commit_one(store_fixture_t *fixture, uint64_t id);
/* Commits as the fixture's lane 0, what must succeed. */
void commit_ok(store_fixture_t *fixture, const batch_builder_t *builder);
/* Commits `count` plain messages with ids from `first` on. */
void commit_messages(store_fixture_t *fixture, uint64_t first, size_t count);
void commit_reply(store_fixture_t *fixture, uint64_t id);

/* Each fills fixture->found. All of them read over the second connection. */
void find_pending(store_fixture_t *fixture, uint64_t from);
void find_calls(store_fixture_t *fixture, uint64_t floor, const call_key_t *calls, size_t count);
/* A part of it. Returns the largest id that may be left. */
uint64_t find_calls_up_to(store_fixture_t *fixture, uint64_t floor, uint64_t last,
                          uint32_t rows_max, const call_key_t *calls, size_t count);
void find_keys(store_fixture_t *fixture, const uint8_t *hashes, size_t count);
void find_replies(store_fixture_t *fixture, const request_id_t *ids, size_t count);
/* That the found messages have exactly the ids first, first + 1, ... in this order. */
void assert_found_ids(const store_fixture_t *fixture, uint64_t first, size_t count);
void assert_same_message(const store_message_t *actual, const store_message_t *expected);
void assert_same_bytes(fabric_bytes_t actual, fabric_bytes_t expected);

void fixture_shards(store_fixture_t *fixture);  /* fills shards */
void fixture_brokers(store_fixture_t *fixture); /* fills brokers, by machine */
uint64_t settled_batch(store_fixture_t *fixture, const store_writer_t *writer);

/* The groups of tests. */
int store_suite_schema(void);
int store_suite_membership(void);
int store_suite_assignment(void);
int store_suite_commit(void);
int store_suite_fence(void);
int store_suite_load(void);
/* For suites of stores with the exclusive lock. */
int store_suite_exclusive(void);

#endif
