/* The store suite: who is fenced changes nothing; what became of a commit whose answer was lost. */
#include "tests/conformance/store_fixture.h"

#include <string.h>

/* Three messages stand in the store, 10 answered, the mark at 5. */
static void write_some(store_fixture_t *fixture)
{
    commit_messages(fixture, 10, 3);
    commit_reply(fixture, 10);
    batch_builder_t builder = {.batch = {.high_id = 12, .mark = 5}};
    add_attempt(&builder, 11, 1, 0);
    commit_ok(fixture, &builder);
}

/* Tries to write one item of every kind as `writer`, each alone and all at once, and sees that nothing has changed. */
static void assert_writes_nothing(store_fixture_t *fixture, const store_writer_t *writer)
{
    uint8_t hash[32];
    memset(hash, 0x77, sizeof hash);
    store_message_t fresh = message_of(fixture, 20);
    store_message_t stored = message_of(fixture, 11);
    store_reply_t reply = reply_of(&stored);
    fresh.key_hash = hash;
    batch_builder_t builders[6];
    memset(builders, 0, sizeof builders);
    for (size_t i = 0; i < 6; i++) {
        builders[i].batch.high_id = 999;
        if (i == 0 || i == 5) {
            add_message(&builders[i], &fresh);
        }
        if (i == 1 || i == 5) {
            add_reply(&builders[i], &reply);
        }
        if (i == 2 || i == 5) {
            add_attempt(&builders[i], 11, 9, 0);
        }
        if (i == 3 || i == 5) {
            add_dead_letter(&builders[i], &stored);
        }
        if (i == 4 || i == 5) {
            builders[i].batch.mark = 9;
        }
        store_writer_t copy = *writer;
        assert_error(FABRIC_ERROR_FENCED, commit_as(fixture, &copy, &builders[i].batch, NULL));
    }
    find_pending(fixture, 0);
    assert_found_ids(fixture, 11, 2);
    assert_int_equal(fixture->found.items[0].tally.attempts, 1);
    find_keys(fixture, hash, 1);
    assert_int_equal(fixture->found.count, 0);
    fixture_shards(fixture);
    for (size_t i = 0; i < fixture->shard_count; i++) {
        assert_int_equal(fixture->shards[i].mark, 5);
    }
}

/* That neither a dead letter nor a high id came out of the attempts above: `writer` may write. */
static void assert_wrote_nothing_hidden(store_fixture_t *fixture, store_writer_t *writer)
{
    store_message_t stored = message_of(fixture, 11);
    batch_builder_t builder = {.batch.high_id = 12};
    add_dead_letter(&builder, &stored);
    assert_ok(commit_as(fixture, writer, &builder.batch, NULL));
    store_join_t join;
    store_broker_t next = broker_of(99, 1);
    fixture_join(fixture, &next, 1, &join);
    assert_int_equal(join.machine, fixture->machine);
    assert_int_equal(join.high_id, 12);
}

static void a_successor_fences(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    write_some(fixture);
    store_broker_t again = broker_of(9, 1);
    store_writer_t successor = fixture_join(fixture, &again, 2, &join);
    assert_int_equal(successor.batch, fixture->writer.batch);
    assert_writes_nothing(fixture, &fixture->writer);
    assert_int_equal(settled_batch(fixture, &successor), successor.batch);
    uint64_t batch = 4711;
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->settle(fixture->second, &fixture->writer, &batch));
    assert_int_equal(batch, 4711);
    assert_wrote_nothing_hidden(fixture, &successor);
}

static void leaving_fences(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t batch = 0;
    write_some(fixture);
    assert_ok(fixture->driver->broker_leave(fixture->store, fixture->broker.incarnation));
    assert_writes_nothing(fixture, &fixture->writer);
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->settle(fixture->second, &fixture->writer, &batch));
}

static void a_takeover_fences(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint64_t term = 0;
    uint64_t batch = 0;
    write_some(fixture);
    fixture_join(fixture, &b, 1, &join);
    store_coordinator_t before = {fixture->term, fixture->broker.incarnation};
    assert_ok(fixture->driver->coordinator_take(fixture->store, &before, b.incarnation, &term));
    assert_ok(fixture->driver->take_homes(fixture->store, term, b.incarnation, &b.incarnation, 1));
    assert_writes_nothing(fixture, &fixture->writer);
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->settle(fixture->second, &fixture->writer, &batch));
}

static void every_part_of_the_writer_must_match(void **state)
{
    store_fixture_t *fixture = *state;
    write_some(fixture);
    store_writer_t wrong = fixture->writer;
    wrong.batch--;
    assert_writes_nothing(fixture, &wrong);
    wrong.batch += 2;
    assert_writes_nothing(fixture, &wrong);
    wrong = fixture->writer;
    wrong.lane = 5;
    assert_writes_nothing(fixture, &wrong);
    wrong = fixture->writer;
    wrong.machine++;
    assert_writes_nothing(fixture, &wrong);
    wrong = fixture->writer;
    wrong.incarnation.bytes[15] ^= 1;
    assert_writes_nothing(fixture, &wrong);
    wrong.incarnation = (incarnation_t){{0}};
    assert_writes_nothing(fixture, &wrong);
    assert_wrote_nothing_hidden(fixture, &fixture->writer);
}

static void settle_tells_whether_a_batch_was_committed(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t n = fixture->writer.batch;
    assert_int_equal(settled_batch(fixture, &fixture->writer), n);
    store_message_t message = message_of(fixture, 10);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    store_writer_t lost = fixture->writer; /* its answer never arrives: the number stays n */
    assert_ok(commit_as(fixture, &fixture->writer, &builder.batch, NULL));
    assert_int_equal(settled_batch(fixture, &lost), n + 1);
    /* Running it again all the same does no harm. */
    store_rejection_t rejection;
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->commit(fixture->second, &lost, &builder.batch, &rejection));
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 1);
    assert_int_equal(settled_batch(fixture, &fixture->writer), n + 1);
    store_writer_t nobody = {1023, 0, incarnation_of(77), 0};
    uint64_t batch = 0;
    assert_error(FABRIC_ERROR_FENCED, fixture->driver->settle(fixture->second, &nobody, &batch));
}

static void lanes_count_for_themselves(void **state)
{
    store_fixture_t *fixture = *state;
    store_rejection_t rejection;
    store_message_t first = message_of(fixture, 10);
    store_message_t second = message_of(fixture, 11);
    batch_builder_t builder = {0};
    add_message(&builder, &second);
    assert_ok(
        fixture->driver->commit(fixture->second, &fixture->lane_1, &builder.batch, &rejection));
    fixture->lane_1.batch++;
    builder = (batch_builder_t){0};
    add_message(&builder, &first);
    commit_ok(fixture, &builder);
    commit_messages(fixture, 12, 1);
    assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
    assert_int_equal(settled_batch(fixture, &fixture->lane_1), fixture->lane_1.batch);
    assert_int_equal(fixture->writer.batch, fixture->lane_1.batch + 1);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 3);
}

static void an_empty_batch_is_a_batch(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t n = fixture->writer.batch;
    batch_builder_t builder = {.batch.high_id = 3};
    commit_ok(fixture, &builder);
    commit_ok(fixture, &builder);
    assert_int_equal(settled_batch(fixture, &fixture->writer), n + 2);
}

int store_suite_fence(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(a_successor_fences),
        FOUNDED_TEST(leaving_fences),
        FOUNDED_TEST(a_takeover_fences),
        FOUNDED_TEST(every_part_of_the_writer_must_match),
        FOUNDED_TEST(settle_tells_whether_a_batch_was_committed),
        FOUNDED_TEST(lanes_count_for_themselves),
        FOUNDED_TEST(an_empty_batch_is_a_batch),
    };
    return cmocka_run_group_tests_name("fence", tests, NULL, NULL);
}
