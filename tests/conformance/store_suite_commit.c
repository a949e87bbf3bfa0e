/* The store suite: what a batch writes, and batches with a bad item. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>
#include <string.h>

static void ms_04_saved_message_is_readable(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t hash[32];
    memset(hash, 0xc3, sizeof hash);
    store_message_t message = message_of(fixture, 1000);
    message.shard = shard_id_make(fixture->group, 3);
    message.flags = 7;
    message.traceparent = bytes_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    message.headers = fabric_bytes("\x81\xa1k\xa1v", 5);
    message.key_hash = hash;
    message.deliver_at_ms = INT64_C(4102444800000);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 1000, 1);
    assert_same_message(&fixture->found.items[0].message, &message);
    assert_int_equal(fixture->found.items[0].tally.attempts, 0);
    assert_false(fixture->found.items[0].replied);
}

static void assert_rejected(store_fixture_t *fixture, const batch_builder_t *builder, int item,
                            size_t index)
{
    store_rejection_t rejection = {.item = STORE_ITEM_UNKNOWN, .index = 99};
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 commit_as(fixture, &fixture->writer, &builder->batch, &rejection));
    assert_int_equal(rejection.item, item);
    assert_int_equal(rejection.index, index);
    assert_non_null(strchr(fixture->store->last_error.text, '(')); /* words and a number */
    /* Rolled back as a whole, the writer row included. */
    assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
}

static void ms_05_sm_04_a_second_message_of_a_primary_key_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t hash[32];
    memset(hash, 0x11, sizeof hash);
    store_message_t first = message_of(fixture, 10);
    first.key_hash = hash;
    batch_builder_t builder = {0};
    add_message(&builder, &first);
    commit_ok(fixture, &builder);

    store_message_t plain = message_of(fixture, 11);
    store_message_t second = message_of(fixture, 12);
    second.key_hash = hash;
    builder = (batch_builder_t){0};
    add_message(&builder, &plain);
    add_message(&builder, &second);
    assert_rejected(fixture, &builder, STORE_ITEM_MESSAGE, 1);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 1);

    /* SM-06: the key leads to the original. */
    find_keys(fixture, hash, 1);
    assert_found_ids(fixture, 10, 1);
    assert_same_message(&fixture->found.items[0].message, &first);

    /* Also after the message has ended. */
    commit_reply(fixture, 10);
    assert_rejected(fixture, &builder, STORE_ITEM_MESSAGE, 1);
}

static void a_primary_key_twice_in_one_batch_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t hash[32] = {1};
    uint8_t other[32] = {1, 1};
    store_message_t messages[3];
    batch_builder_t builder = {0};
    for (size_t i = 0; i < 3; i++) {
        messages[i] = message_of(fixture, 10 + i);
        messages[i].key_hash = i == 1 ? other : hash;
        add_message(&builder, &messages[i]);
    }
    assert_rejected(fixture, &builder, STORE_ITEM_MESSAGE, 2);
    find_keys(fixture, hash, 1);
    assert_int_equal(fixture->found.count, 0);
    builder.batch.message_count = 2;
    commit_ok(fixture, &builder);
    find_keys(fixture, hash, 1);
    assert_found_ids(fixture, 10, 1);
}

static void a_bad_message_is_named_and_leaves_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    store_message_t messages[10];
    batch_builder_t builder = {0};
    commit_messages(fixture, 16, 1);
    for (size_t i = 0; i < 10; i++) {
        messages[i] = message_of(fixture, 10 + i);
        messages[i].call.client = 8; /* id 16 is taken by another call */
        add_message(&builder, &messages[i]);
    }
    store_reply_t reply = reply_of(&messages[0]);
    add_reply(&builder, &reply);
    add_attempt(&builder, 16, 5, 0);
    add_dead_letter(&builder, &messages[1]);
    builder.batch.mark = 5;
    assert_rejected(fixture, &builder, STORE_ITEM_MESSAGE, 6);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 16, 1);
    assert_int_equal(fixture->found.items[0].tally.attempts, 0);
    assert_int_equal(fixture->found.items[0].message.call.client, 7);
    fixture_shards(fixture);
    assert_int_equal(fixture->shards[0].mark, 0);

    /* Without the bad one the rest goes through, in the same order. */
    memmove(&builder.messages[6], &builder.messages[7], 3 * sizeof builder.messages[0]);
    builder.batch.message_count = 9;
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 11, 9);
    assert_int_equal(fixture->found.items[5].tally.attempts, 5);
}

static void a_second_final_reply_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_message_t messages[3];
    store_reply_t replies[3];
    batch_builder_t builder = {0};
    commit_messages(fixture, 10, 3);
    commit_reply(fixture, 12);
    for (size_t i = 0; i < 3; i++) {
        messages[i] = message_of(fixture, 10 + i);
        replies[i] = reply_of(&messages[i]);
        replies[i].payload = bytes_of("another");
        add_reply(&builder, &replies[i]);
    }
    assert_rejected(fixture, &builder, STORE_ITEM_REPLY, 2);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 2);
    request_id_t id = {12};
    find_replies(fixture, &id, 1);
    assert_int_equal(fixture->found.count, 1);
    assert_same_bytes(fixture->found.items[0].reply.payload, bytes_of("done"));

    builder.batch.reply_count = 2;
    builder.replies[1] = &replies[0];
    assert_rejected(fixture, &builder, STORE_ITEM_REPLY, 1);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 2);
}

static void attempts_replace_the_number_stored(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 10, 2);
    batch_builder_t builder = {.batch.high_id = 11};
    add_attempt(&builder, 10, 3, 9);
    commit_ok(fixture, &builder);
    builder = (batch_builder_t){.batch.high_id = 11};
    add_attempt(&builder, 10, 2, 7);
    add_attempt(&builder, 11, UINT32_MAX, UINT32_MAX);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 2);
    assert_int_equal(fixture->found.items[0].tally.attempts, 2);
    assert_int_equal(fixture->found.items[0].tally.suspicions, 7);
    assert_true(fixture->found.items[1].tally.attempts == UINT32_MAX);
    assert_true(fixture->found.items[1].tally.suspicions == UINT32_MAX);
    /* A message and its attempts may come in one batch. */
    store_message_t message = message_of(fixture, 12);
    builder = (batch_builder_t){0};
    add_message(&builder, &message);
    add_attempt(&builder, 12, 1, 0);
    add_attempt(&builder, 12, 0, 2); /* of two in one batch the later one stands */
    commit_ok(fixture, &builder);
    find_pending(fixture, 12);
    assert_int_equal(fixture->found.items[0].tally.attempts, 0);
    assert_int_equal(fixture->found.items[0].tally.suspicions, 2);
    /* The look-ups hand it over too. */
    find_calls(fixture, 11, &message.call, 1);
    assert_found_ids(fixture, 12, 1);
    assert_int_equal(fixture->found.items[0].tally.suspicions, 2);
}

static void a_dead_letter_is_kept_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_message_t messages[2] = {message_of(fixture, 10), message_of(fixture, 11)};
    store_reply_t reply = reply_of(&messages[0]);
    reply.status = 2;
    reply.error = FABRIC_ERROR_DEAD_LETTER;
    commit_messages(fixture, 10, 2);
    batch_builder_t builder = {.batch.high_id = 11};
    add_reply(&builder, &reply);
    add_dead_letter(&builder, &messages[0]);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 11, 1);
    request_id_t id = {10};
    find_replies(fixture, &id, 1);
    assert_int_equal(fixture->found.count, 1);
    assert_int_equal(fixture->found.items[0].reply.error, FABRIC_ERROR_DEAD_LETTER);
    assert_int_equal(fixture->found.items[0].reply.status, 2);
    builder = (batch_builder_t){.batch.high_id = 11};
    add_dead_letter(&builder, &messages[1]);
    add_dead_letter(&builder, &messages[0]);
    assert_rejected(fixture, &builder, STORE_ITEM_DEAD_LETTER, 1);
    /* The rejected batch left no dead letter for 11 either. */
    builder.batch.dead_letter_count = 1;
    commit_ok(fixture, &builder);
}

static void numbers_keep_all_their_64_bits(void **state)
{
    store_fixture_t *fixture = *state;
    static const uint64_t ids[] = {1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1};
    static const call_key_t calls[] = {{UINT64_MAX, 1},
                                       {1, UINT64_MAX},
                                       {(uint64_t)INT64_MAX + 1, (uint64_t)INT64_MAX + 1},
                                       {INT64_MAX, 0}};
    store_message_t messages[4];
    batch_builder_t builder = {0};
    for (size_t i = 0; i < 4; i++) {
        messages[i] = message_of(fixture, ids[i]);
        messages[i].call = calls[i];
        messages[i].flags = UINT32_MAX;
        messages[i].deliver_at_ms = INT64_MAX;
        messages[i].shard = shard_id_make(UINT16_MAX, UINT16_MAX);
        add_message(&builder, &messages[i]);
    }
    builder.batch.mark = UINT64_MAX - 2;
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_int_equal(fixture->found.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_same_message(&fixture->found.items[i].message, &messages[i]);
    }
    find_pending(fixture, (uint64_t)INT64_MAX + 1);
    assert_int_equal(fixture->found.count, 2);
    find_pending(fixture, INT64_MAX);
    assert_int_equal(fixture->found.count, 3);
    find_pending(fixture, UINT64_MAX);
    assert_int_equal(fixture->found.count, 0);
    find_calls(fixture, 0, calls, 4);
    assert_int_equal(fixture->found.count, 4);
    find_calls(fixture, INT64_MAX, calls, 4);
    assert_int_equal(fixture->found.count, 2);
    fixture_shards(fixture);
    assert_true(fixture->shards[0].mark == UINT64_MAX - 2);

    store_reply_t reply = reply_of(&messages[3]);
    reply.code = UINT64_MAX;
    reply.status = 1;
    reply.error = FABRIC_ERROR_ENTITY_FAILURE;
    builder = (batch_builder_t){.batch.high_id = UINT64_MAX};
    add_reply(&builder, &reply);
    commit_ok(fixture, &builder);
    find_replies(fixture, &messages[3].id, 1);
    assert_int_equal(fixture->found.count, 1);
    const store_reply_t *found = &fixture->found.items[0].reply;
    assert_true(found->code == UINT64_MAX && found->id.value == messages[3].id.value);
    assert_int_equal(found->status, 1);
    assert_int_equal(found->error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(found->shard.value, messages[3].shard.value);
}

static void ids_and_names_are_exact_bytes(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t all[256];
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)i;
    }
    const fabric_bytes_t names[] = {
        bytes_of("user-42"),
        bytes_of("USER-42"),
        bytes_of("user-42 "),
        fabric_bytes("user-42\0", 8),
        fabric_bytes("\0", 1),
        fabric_bytes("\xff\xfe'\"\\%_;", 8),
        bytes_of("stra\xc3\x9f"
                 "e"),
        bytes_of("strasse"),
        fabric_bytes(all, 255),
        fabric_bytes(all + 1, 255),
    };
    store_message_t messages[10];
    batch_builder_t builder = {0};
    for (size_t i = 0; i < 10; i++) {
        messages[i] = message_of(fixture, 10 + i);
        messages[i].entity = names[i];
        messages[i].type = names[9 - i];
        messages[i].tag = names[(i + 5) % 10];
        add_message(&builder, &messages[i]);
    }
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_same_message(&fixture->found.items[i].message, &messages[i]);
    }
}

static void payloads_from_nothing_to_a_mebibyte(void **state)
{
    store_fixture_t *fixture = *state;
    size_t size = 1048576;
    uint8_t *large = malloc(size);
    assert_non_null(large);
    for (size_t i = 0; i < size; i++) {
        large[i] = (uint8_t)(i * 31 >> 3);
    }
    store_message_t messages[2] = {message_of(fixture, 10), message_of(fixture, 11)};
    messages[0].payload = fabric_bytes(NULL, 0);
    messages[1].payload = fabric_bytes(large, size);
    store_reply_t replies[2] = {reply_of(&messages[0]), reply_of(&messages[1])};
    replies[0].payload = fabric_bytes(large, size);
    replies[1].payload = fabric_bytes(NULL, 0);
    batch_builder_t builder = {0};
    add_message(&builder, &messages[0]);
    add_message(&builder, &messages[1]);
    fabric_error_t error = commit_as(fixture, &fixture->writer, &builder.batch, NULL);
    find_pending(fixture, 0);
    bool same = fixture->found.count == 2 &&
                fabric_bytes_equal(fixture->found.items[0].message.payload, messages[0].payload) &&
                fabric_bytes_equal(fixture->found.items[1].message.payload, messages[1].payload);
    builder = (batch_builder_t){.batch.high_id = 11};
    add_reply(&builder, &replies[0]);
    add_reply(&builder, &replies[1]);
    fabric_error_t reply_error = commit_as(fixture, &fixture->writer, &builder.batch, NULL);
    request_id_t ids[2] = {{10}, {11}};
    find_replies(fixture, ids, 2);
    bool same_replies = fixture->found.count == 2;
    for (size_t i = 0; i < fixture->found.count && same_replies; i++) {
        const store_reply_t *reply = &fixture->found.items[i].reply;
        same_replies = fabric_bytes_equal(reply->payload, replies[reply->id.value - 10].payload);
    }
    free(large);
    assert_ok(error);
    assert_ok(reply_error);
    assert_true(same);
    assert_true(same_replies);
}

static void a_thousand_messages_in_one_batch(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 1, 1000);
    commit_messages(fixture, 1001, 1537);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 1, 2537);
}

static void marks_are_set_for_own_shards_only(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_join_t join;
    uint16_t number = 0;
    uint64_t term = 0;
    store_coordinator_t before = {fixture->term, fixture->broker.incarnation};
    store_writer_t writer_b = fixture_join(fixture, &b, 1, &join);
    assert_ok(fixture->driver->coordinator_take(fixture->store, &before, b.incarnation, &term));
    assert_ok(
        fixture->driver->group_put(fixture->store, term, b.incarnation, bytes_of("of b"), &number));
    store_batch_t batch = {.high_id = 50, .mark = 40};
    assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
    batch = (store_batch_t){.high_id = 51};
    assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
    batch = (store_batch_t){.high_id = 60, .mark = 45};
    assert_ok(commit_as(fixture, &writer_b, &batch, NULL));
    fixture_shards(fixture);
    assert_int_equal(fixture->shard_count, 2 * FIXTURE_SHARDS);
    for (size_t i = 0; i < fixture->shard_count; i++) {
        bool own = shard_id_group(fixture->shards[i].shard) == fixture->group;
        assert_int_equal(fixture->shards[i].mark, own ? 40 : 45);
    }
}

int store_suite_commit(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(ms_04_saved_message_is_readable),
        FOUNDED_TEST(ms_05_sm_04_a_second_message_of_a_primary_key_is_refused),
        FOUNDED_TEST(a_primary_key_twice_in_one_batch_is_refused),
        FOUNDED_TEST(a_bad_message_is_named_and_leaves_nothing),
        FOUNDED_TEST(a_second_final_reply_is_refused),
        FOUNDED_TEST(attempts_replace_the_number_stored),
        FOUNDED_TEST(a_dead_letter_is_kept_once),
        FOUNDED_TEST(numbers_keep_all_their_64_bits),
        FOUNDED_TEST(ids_and_names_are_exact_bytes),
        FOUNDED_TEST(payloads_from_nothing_to_a_mebibyte),
        FOUNDED_TEST(a_thousand_messages_in_one_batch),
        FOUNDED_TEST(marks_are_set_for_own_shards_only),
    };
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
