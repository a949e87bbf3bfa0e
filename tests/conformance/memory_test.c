/* The store suite on the in-memory store, and the faults that only this store has. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/memory/memory_store.h"
#include "tests/conformance/store_fixture.h"

static const char *name_of(const char *url)
{
    return url + strlen("memory:");
}

static bool create(char url[512])
{
    static unsigned number;
    snprintf(url, 512, "memory:test-%u", number++);
    memory_store_reset(name_of(url));
    return true;
}

static void destroy(const char *url)
{
    memory_store_reset(name_of(url));
}

static bool damage(const char *url, store_suite_damage_t kind)
{
    switch (kind) {
    case STORE_SUITE_NEWER_VERSION:
        memory_store_set_version(name_of(url), STORE_SCHEMA_VERSION + 1);
        break;
    case STORE_SUITE_VERSION_1:
        memory_store_set_version(name_of(url), 1);
        break;
    case STORE_SUITE_FOREIGN_TABLES:
        memory_store_make_foreign(name_of(url));
        break;
    case STORE_SUITE_NO_CLUSTER:
        memory_store_lose_cluster(name_of(url));
        break;
    case STORE_SUITE_STRANGE_EPOCHS:
        memory_store_set_epochs(name_of(url), 0, UINT64_MAX);
        break;
    }
    return true;
}

static void inject(const store_fixture_t *fixture, memory_store_operation_t operation,
                   memory_store_fault_kind_t kind, uint32_t after, uint32_t times)
{
    memory_store_fault_t fault = {.operation = operation,
                                  .kind = kind,
                                  .after = after,
                                  .times = times,
                                  .rejection = {.item = STORE_ITEM_REPLY, .index = 3},
                                  .lost = 1};
    memory_store_fault(name_of(fixture->url), &fault);
}

static void faults_strike_after_and_times(void **state)
{
    store_fixture_t *fixture = *state;
    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_UNAVAILABLE, 1, 2);
    assert_ok(commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 2));
    find_pending(fixture, 0); /* another operation */
    assert_found_ids(fixture, 1, 1);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 2));
    assert_ok(commit_one(fixture, 2));
    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_BUSY, 0, 1);
    assert_error(FABRIC_ERROR_STORE_BUSY, commit_one(fixture, 3));
    assert_ok(commit_one(fixture, 3));
    find_pending(fixture, 0);
    assert_found_ids(fixture, 1, 3);
}

static void an_unknown_commit_was_done_or_not_and_kills_the_connection(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t n = fixture->writer.batch;
    uint64_t batch = 0;
    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->settle(fixture->store, &fixture->writer, &batch));
    fixture_reconnect(fixture);
    assert_int_equal(settled_batch(fixture, &fixture->writer), n);
    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->broker_renew(fixture->store, fixture->broker.incarnation));
    fixture_reconnect(fixture);
    assert_int_equal(settled_batch(fixture, &fixture->writer), n + 1);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 1, 1);
}

static void a_rejection_names_the_injected_item(void **state)
{
    store_fixture_t *fixture = *state;
    store_rejection_t rejection = {.item = STORE_ITEM_UNKNOWN};
    store_batch_t batch = {0};
    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_REJECTED, 0, 1);
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 commit_as(fixture, &fixture->writer, &batch, &rejection));
    assert_int_equal(rejection.item, STORE_ITEM_REPLY);
    assert_int_equal(rejection.index, 3);
    assert_ok(commit_as(fixture, &fixture->writer, &batch, &rejection));
}

static void lost_commits_are_as_if_they_had_never_been(void **state)
{
    store_fixture_t *fixture = *state;
    uint8_t hash[32] = {5};
    commit_messages(fixture, 10, 2);
    batch_builder_t kept = {.batch = {.high_id = 11, .mark = 4}};
    add_attempt(&kept, 10, 1, 0);
    commit_ok(fixture, &kept);
    store_writer_t before = fixture->writer;

    store_message_t keyed = message_of(fixture, 12);
    store_message_t old = message_of(fixture, 10);
    store_reply_t reply = reply_of(&old);
    keyed.key_hash = hash;
    batch_builder_t lost = {.batch.mark = 9};
    add_message(&lost, &keyed);
    add_reply(&lost, &reply);
    add_attempt(&lost, 10, 2, 0);
    add_dead_letter(&lost, &old);
    commit_ok(fixture, &lost);
    assert_ok(commit_one(fixture, 13));
    memory_store_lose(name_of(fixture->url), 2);

    assert_int_equal(settled_batch(fixture, &before), before.batch);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 2);
    assert_int_equal(fixture->found.items[0].tally.attempts, 1);
    find_keys(fixture, hash, 1);
    assert_int_equal(fixture->found.count, 0);
    fixture_shards(fixture);
    assert_int_equal(fixture->shards[0].mark, 4);
    assert_error(FABRIC_ERROR_FENCED, commit_one(fixture, 14));
    fixture->writer = before;
    commit_ok(fixture, &lost);
    find_keys(fixture, hash, 1);
    assert_found_ids(fixture, 12, 1);

    inject(fixture, MEMORY_STORE_COMMIT, MEMORY_STORE_LOSE, 0, 1);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, commit_one(fixture, 14));
    assert_int_equal(settled_batch(fixture, &before), before.batch);
}

static void any_operation_can_be_cut_off(void **state)
{
    store_fixture_t *fixture = *state;
    store_coordinator_t coordinator;
    reason_t reason = {""};
    store_t *opened = NULL;
    store_options_t options = {.url = fixture->url};
    inject(fixture, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, 2);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->coordinator_read(fixture->store, &coordinator));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, fixture->driver->open(&options, &reason, &opened));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 fixture->driver->coordinator_read(fixture->store, &coordinator));
    memory_store_clear_faults(name_of(fixture->url));
    fixture_reconnect(fixture);
    assert_ok(fixture->driver->coordinator_read(fixture->store, &coordinator));
}

static void count_message(void *context, const store_message_t *message, store_tally_t tally,
                          const store_reply_t *reply)
{
    size_t *counts = context;
    assert_true(tally.attempts == 0 && message->id.value > 0);
    counts[reply ? 1 : 0]++;
}

static void count_dead_letter(void *context, const store_dead_letter_t *letter)
{
    size_t *counts = context;
    assert_int_equal(letter->message->id.value, 2);
    assert_same_bytes(letter->text, bytes_of("segmentation fault"));
    counts[2]++;
}

static void dumps_show_everything(void **state)
{
    store_fixture_t *fixture = *state;
    size_t counts[3] = {0};
    const char *name = name_of(fixture->url);
    store_join_t join;
    store_broker_t other = broker_of(2, 2);
    commit_messages(fixture, 1, 3);
    commit_reply(fixture, 2);
    store_message_t message = message_of(fixture, 2);
    batch_builder_t builder = {0};
    add_dead_letter(&builder, &message);
    commit_ok(fixture, &builder);
    memory_store_dump(name, count_message, counts);
    memory_store_dump_dead_letters(name, count_dead_letter, counts);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 1);
    assert_int_equal(memory_store_commits(name), 3);
    memory_store_set_time(name, 123456);
    fixture_join(fixture, &other, 1, &join);
    assert_int_equal(join.now_ms, 123456);
}

static int faults(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(faults_strike_after_and_times),
        FOUNDED_TEST(an_unknown_commit_was_done_or_not_and_kills_the_connection),
        FOUNDED_TEST(a_rejection_names_the_injected_item),
        FOUNDED_TEST(lost_commits_are_as_if_they_had_never_been),
        FOUNDED_TEST(any_operation_can_be_cut_off),
        FOUNDED_TEST(dumps_show_everything),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}

int main(void)
{
    static const store_suite_t suite = {.name = "memory",
                                        .driver = &memory_store_driver,
                                        .exclusive = true,
                                        .create = create,
                                        .destroy = destroy,
                                        .damage = damage};
    int failed = store_suite_run(&suite) + faults();
    memory_store_free_all();
    return failed;
}
