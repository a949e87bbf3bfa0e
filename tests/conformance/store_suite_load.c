/* The store suite: reading messages back. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>
#include <string.h>

static void sm_02_what_was_read_is_not_read_again(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 1, 5);
    commit_reply(fixture, 1);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 2, 4);
    commit_messages(fixture, 6, 5);
    /* Who has read up to 5 reads on from there. */
    find_pending(fixture, 6);
    assert_found_ids(fixture, 6, 5);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 2, 9);
}

static void ms_06_sm_15_an_answered_message_is_not_pending(void **state)
{
    store_fixture_t *fixture = *state;
    store_message_t messages[2] = {message_of(fixture, 10), message_of(fixture, 11)};
    store_reply_t reply = reply_of(&messages[0]);
    batch_builder_t builder = {0};
    add_message(&builder, &messages[0]);
    add_message(&builder, &messages[1]);
    add_reply(&builder, &reply); /* of the same batch */
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 11, 1);
    commit_reply(fixture, 11);
    find_pending(fixture, 0);
    assert_int_equal(fixture->found.count, 0);
}

static void ms_07_pending_messages_come_by_id_whatever_their_order_of_commit(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 300, 2);
    commit_messages(fixture, 100, 100);
    commit_messages(fixture, 200, 100);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 100, 202);
    find_pending(fixture, 150);
    assert_found_ids(fixture, 150, 152);
    find_pending(fixture, 302);
    assert_int_equal(fixture->found.count, 0);
}

static void sm_11_messages_of_all_shards_are_pending(void **state)
{
    store_fixture_t *fixture = *state;
    store_message_t messages[FIXTURE_SHARDS];
    batch_builder_t builder = {0};
    for (uint16_t i = 0; i < FIXTURE_SHARDS; i++) {
        messages[i] = message_of(fixture, 10u + i);
        messages[i].shard = shard_id_make(fixture->group, (uint16_t)(i + 1));
        add_message(&builder, &messages[i]);
    }
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, FIXTURE_SHARDS);
    for (uint16_t i = 0; i < FIXTURE_SHARDS; i++) {
        assert_int_equal(fixture->found.items[i].message.shard.value, messages[i].shard.value);
    }
}

static void ms_13_sm_12_sm_13_empty_lists_find_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 1, 3);
    commit_reply(fixture, 1);
    find_calls(fixture, 0, NULL, 0);
    assert_int_equal(fixture->found.count, 0);
    find_keys(fixture, NULL, 0);
    assert_int_equal(fixture->found.count, 0);
    find_replies(fixture, NULL, 0);
    assert_int_equal(fixture->found.count, 0);
}

static void ms_10_sm_16_sm_18_replies_by_id(void **state)
{
    store_fixture_t *fixture = *state;
    request_id_t ids[] = {{10}, {11}, {12}, {4711}};
    commit_messages(fixture, 10, 3);
    find_replies(fixture, ids, 4);
    assert_int_equal(fixture->found.count, 0);
    commit_reply(fixture, 11);
    find_replies(fixture, ids, 4);
    assert_found_ids(fixture, 11, 1);
    store_message_t message = message_of(fixture, 11);
    assert_same_message(&fixture->found.items[0].message, &message);
    assert_true(fixture->found.items[0].replied);
    const store_reply_t *reply = &fixture->found.items[0].reply;
    assert_int_equal(reply->id.value, 11);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->shard.value, message.shard.value);
    assert_same_bytes(reply->payload, bytes_of("done"));
    find_replies(fixture, ids, 1);
    assert_int_equal(fixture->found.count, 0);
}

static void calls_are_found_above_the_floor_only(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 10, 10);
    commit_reply(fixture, 15);
    const call_key_t calls[] = {{7, 19}, {7, 12}, {7, 15}, {8, 12}, {7, 99}, {12, 7}};
    find_calls(fixture, 0, calls, 6);
    assert_int_equal(fixture->found.count, 3);
    size_t replied = 0;
    for (size_t i = 0; i < 3; i++) {
        const found_message_t *found = &fixture->found.items[i];
        store_message_t expected = message_of(fixture, found->message.id.value);
        assert_same_message(&found->message, &expected);
        assert_int_equal(found->replied, found->message.id.value == 15);
        replied += found->replied;
    }
    assert_int_equal(replied, 1);
    find_calls(fixture, 14, calls, 6);
    assert_int_equal(fixture->found.count, 2);
    find_calls(fixture, 15, calls, 6); /* larger than the floor, not equal to it */
    assert_found_ids(fixture, 19, 1);
    find_calls(fixture, UINT64_MAX, calls, 6);
    assert_int_equal(fixture->found.count, 0);
}

/* From the largest id down, some rows at a time, in steps that join without a gap. */
static void calls_are_looked_for_in_steps(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 10, 10);
    const call_key_t calls[] = {{7, 19}, {7, 17}, {7, 16}, {7, 12}, {7, 10}};
    assert_int_equal(find_calls_up_to(fixture, 10, UINT64_MAX, 3, calls, 5), 16);
    assert_int_equal(fixture->found.count, 2); /* 19 and 17 */
    assert_int_equal(find_calls_up_to(fixture, 10, 16, 3, calls, 5), 13);
    assert_found_ids(fixture, 16, 1);
    assert_int_equal(find_calls_up_to(fixture, 10, 13, 3, calls, 5), 10); /* the floor */
    assert_found_ids(fixture, 12, 1);
    assert_int_equal(find_calls_up_to(fixture, 0, 10, 3, calls, 5), 0);
    assert_found_ids(fixture, 10, 1);
    assert_int_equal(find_calls_up_to(fixture, 19, UINT64_MAX, 3, calls, 5), 19);
    assert_int_equal(fixture->found.count, 0);
}

static void keys_are_found_with_their_replies(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t hashes[4][32];
    memset(hashes[0], 0x00, 32);
    memset(hashes[1], 0xff, 32);
    memset(hashes[2], 0xff, 32);
    memset(hashes[3], 0x20, 32);
    hashes[2][31] = 0x00;
    store_message_t messages[4];
    batch_builder_t builder = {0};
    for (size_t i = 0; i < 3; i++) {
        messages[i] = message_of(fixture, 10 + i);
        messages[i].key_hash = hashes[i];
        add_message(&builder, &messages[i]);
    }
    messages[3] = message_of(fixture, 13); /* without a key */
    add_message(&builder, &messages[3]);
    commit_ok(fixture, &builder);
    commit_reply(fixture, 11);
    find_keys(fixture, hashes[0], 4);
    assert_int_equal(fixture->found.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const found_message_t *found = &fixture->found.items[i];
        assert_in_range(found->message.id.value, 10, 12);
        assert_same_message(&found->message, &messages[found->message.id.value - 10]);
        assert_int_equal(found->replied, found->message.id.value == 11);
    }
    find_keys(fixture, hashes[3], 1);
    assert_int_equal(fixture->found.count, 0);
}

/* Sizes around those of buffers, rising and falling from row to row, in two columns at once. */
static void values_of_all_sizes_side_by_side(void **state)
{
    static const size_t sizes[] = {0,    1,   255, 256, 257, 0,   384, 385,
                                   5000, 256, 0,   577, 383, 257, 1,   6000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    store_fixture_t *fixture = *state;
    static uint8_t bytes[6000];
    store_message_t messages[COUNT];
    batch_builder_t builder = {0};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 >> 3);
    }
    for (size_t i = 0; i < COUNT; i++) {
        messages[i] = message_of(fixture, 10 + i);
        messages[i].payload = fabric_bytes(bytes, sizes[i]);
        messages[i].headers = fabric_bytes(bytes, sizes[COUNT - 1 - i]);
        add_message(&builder, &messages[i]);
    }
    commit_ok(fixture, &builder);
    for (int again = 0; again < 2; again++) { /* on the same connection, whose buffers have grown */
        find_pending(fixture, 0);
        assert_found_ids(fixture, 10, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            assert_same_message(&fixture->found.items[i].message, &messages[i]);
        }
    }
}

/* More than any adapter asks for in one statement. */
static void long_lists_are_found_whole(void **state)
{
    enum { COUNT = 1700 };
    store_fixture_t *fixture = *state;
    uint8_t *hashes = calloc(COUNT, 32);
    call_key_t *calls = calloc(COUNT, sizeof *calls);
    request_id_t *ids = calloc(COUNT, sizeof *ids);
    store_message_t *messages = calloc(COUNT, sizeof *messages);
    store_reply_t *replies = calloc(COUNT, sizeof *replies);
    const store_message_t **message_list = calloc(COUNT, sizeof *message_list);
    const store_reply_t **reply_list = calloc(COUNT, sizeof *reply_list);
    if (!hashes || !calls || !ids || !messages || !replies || !message_list || !reply_list) {
        abort();
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(hashes + i * 32, &i, sizeof i);
        ids[i].value = 10 + i;
        messages[i] = message_of(fixture, ids[i].value);
        messages[i].key_hash = hashes + i * 32;
        calls[i] = messages[i].call;
        replies[i] = reply_of(&messages[i]);
        message_list[i] = &messages[i];
        reply_list[i] = &replies[i];
    }
    store_batch_t batch = {.high_id = 10 + COUNT,
                           .messages = message_list,
                           .message_count = COUNT,
                           .replies = reply_list,
                           .reply_count = COUNT};
    fabric_error_t error = commit_as(fixture, &fixture->writer, &batch, NULL);
    find_calls(fixture, 9, calls, COUNT);
    size_t by_call = fixture->found.count;
    find_keys(fixture, hashes, COUNT);
    size_t by_key = fixture->found.count;
    find_replies(fixture, ids, COUNT);
    size_t by_id = fixture->found.count;
    free(hashes);
    free(calls);
    free(ids);
    free(messages);
    free(replies);
    free(message_list);
    free(reply_list);
    assert_ok(error);
    assert_int_equal(by_call, COUNT);
    assert_int_equal(by_key, COUNT);
    assert_int_equal(by_id, COUNT);
}

/* ---- more than a page ---- */

enum { BATCH = 5000, FEW = 100 };

/* Commits messages or replies with the ids first..last. */
static void commit_range(store_fixture_t *fixture, uint64_t first, uint64_t last, bool replies)
{
    static store_message_t messages[BATCH];
    static store_reply_t ends[BATCH];
    static const store_message_t *message_list[BATCH];
    static const store_reply_t *reply_list[BATCH];
    while (first <= last) {
        size_t count = 0;
        for (; count < BATCH && first <= last; count++, first++) {
            messages[count] = message_of(fixture, first);
            ends[count] = reply_of(&messages[count]);
            message_list[count] = &messages[count];
            reply_list[count] = &ends[count];
        }
        store_batch_t batch = {.high_id = first,
                               .messages = message_list,
                               .message_count = replies ? 0 : count,
                               .replies = reply_list,
                               .reply_count = replies ? count : 0};
        assert_ok(commit_as(fixture, &fixture->writer, &batch, NULL));
    }
}

static void more_pending_messages_than_a_page(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t page = fixture->suite->page_rows ? fixture->suite->page_rows : FEW;
    commit_range(fixture, 1, page + 2, false);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 1, page + 2);
    find_pending(fixture, 3); /* one page, and nothing after it */
    assert_found_ids(fixture, 3, page);
    commit_range(fixture, 2, page - 1, true);
    find_pending(fixture, 0); /* the first and the last of a page, and the page after it */
    assert_int_equal(fixture->found.count, 4);
    assert_int_equal(fixture->found.items[0].message.id.value, 1);
    assert_int_equal(fixture->found.items[1].message.id.value, page);
    assert_int_equal(fixture->found.items[2].message.id.value, page + 1);
    assert_int_equal(fixture->found.items[3].message.id.value, page + 2);
    commit_range(fixture, page, page + 1, true);
    find_pending(fixture, 2); /* a page that has ended as a whole, and the page after it */
    assert_found_ids(fixture, page + 2, 1);
}

int store_suite_load(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(sm_02_what_was_read_is_not_read_again),
        FOUNDED_TEST(ms_06_sm_15_an_answered_message_is_not_pending),
        FOUNDED_TEST(ms_07_pending_messages_come_by_id_whatever_their_order_of_commit),
        FOUNDED_TEST(sm_11_messages_of_all_shards_are_pending),
        FOUNDED_TEST(ms_13_sm_12_sm_13_empty_lists_find_nothing),
        FOUNDED_TEST(ms_10_sm_16_sm_18_replies_by_id),
        FOUNDED_TEST(calls_are_found_above_the_floor_only),
        FOUNDED_TEST(calls_are_looked_for_in_steps),
        FOUNDED_TEST(keys_are_found_with_their_replies),
        FOUNDED_TEST(values_of_all_sizes_side_by_side),
        FOUNDED_TEST(long_lists_are_found_whole),
        FOUNDED_TEST(more_pending_messages_than_a_page),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
