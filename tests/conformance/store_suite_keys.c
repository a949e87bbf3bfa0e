/* The store suite: primary keys. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/message.h"

enum { MANY = 700 };

/* What find_keys has found. */
typedef struct found {
    store_key_t keys[MANY];
    uint8_t payloads[MANY][64];
    size_t count;
} found_t;

static found_t found;

static void keep_key(void *context, const store_key_t *key)
{
    (void)context;
    assert_true(found.count < MANY);
    assert_true(key->reply.payload.size <= sizeof found.payloads[0]);
    if (key->reply.payload.size > 0) {
        memcpy(found.payloads[found.count], key->reply.payload.data, key->reply.payload.size);
    }
    found.keys[found.count] = *key;
    found.keys[found.count].reply.payload =
        fabric_bytes(found.payloads[found.count], key->reply.payload.size);
    found.count++;
}

static void find(store_fixture_t *fixture, uint32_t lane, const store_key_name_t *names,
                 size_t count)
{
    found.count = 0;
    assert_ok(fixture->driver->find_keys(fixture->second, lane, names, count, keep_key, NULL));
}

static store_key_name_t name_of(const store_key_t *key)
{
    store_key_name_t name = {.entity_hash = key->entity_hash};
    memcpy(name.hash, key->hash, sizeof name.hash);
    return name;
}

static bool is_there(store_fixture_t *fixture, uint32_t lane, const store_key_t *key)
{
    store_key_name_t name = name_of(key);
    find(fixture, lane, &name, 1);
    return found.count == 1;
}

/* The key with this number; its message has ended where `until_ms` is not 0. */
static store_key_t key_of(uint32_t number, int64_t until_ms)
{
    store_key_t key = {.entity_hash = 7,
                       .number = 2,
                       .ended = until_ms > 0,
                       .reply = {.id = {1000 + number}, .shard = shard_id_make(1, 3)}};
    memset(key.hash, 0x20, sizeof key.hash);
    for (unsigned i = 0; i < sizeof number; i++) {
        key.hash[i] = (uint8_t)(number >> 8 * i);
    }
    if (key.ended) {
        key.reply.status = STATUS_OK;
        key.reply.payload = bytes_of("reply");
        key.reply.kept_until_ms = until_ms;
    }
    return key;
}

static fabric_error_t put(store_fixture_t *fixture, const store_hold_t *hold,
                          const store_key_t *keys, size_t count)
{
    store_slice_t slice = {.keys = keys, .key_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static void assert_same_key(const store_key_t *actual, const store_key_t *expected)
{
    assert_memory_equal(actual->hash, expected->hash, STORE_KEY_BYTES);
    assert_int_equal(actual->entity_hash, expected->entity_hash);
    assert_int_equal(actual->number, expected->number);
    assert_int_equal(actual->ended, expected->ended);
    assert_int_equal(actual->reply.id.value, expected->reply.id.value);
    assert_int_equal(actual->reply.shard.value, expected->reply.shard.value);
    assert_int_equal(actual->reply.status, expected->reply.status);
    assert_int_equal(actual->reply.error, expected->reply.error);
    assert_int_equal(actual->reply.code, expected->reply.code);
    assert_int_equal(actual->reply.kept_until_ms, expected->reply.kept_until_ms);
    assert_same_bytes(actual->reply.payload, expected->reply.payload);
}

static void test_sm_06_a_key_comes_back_as_it_was(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t keys[3] = {key_of(1, 0), key_of(2, 5000), key_of(3, 0)};
    keys[1].entity_hash = UINT64_MAX;
    keys[1].number = (UINT64_C(1) << 62) + 3;
    keys[1].reply.id.value = (UINT64_C(1) << 62) + 2;
    keys[1].reply.shard = shard_id_make(LIMIT_GROUPS_MAX, LIMIT_SHARDS_PER_GROUP_MAX);
    keys[1].reply.status = STATUS_FAILURE;
    keys[1].reply.error = UINT32_MAX;
    keys[1].reply.code = UINT64_MAX;
    keys[1].reply.kept_until_ms = INT64_MAX;
    keys[1].reply.payload = fabric_bytes("a\0b", 3);
    assert_ok(put(fixture, &fixture->hold, keys, 2));
    assert_true(is_there(fixture, 0, &keys[0]));
    assert_same_key(&found.keys[0], &keys[0]);
    assert_true(is_there(fixture, 0, &keys[1]));
    assert_same_key(&found.keys[0], &keys[1]);
    assert_false(is_there(fixture, 0, &keys[2]));
    assert_false(is_there(fixture, 1, &keys[0]));
}

static void test_sm_04_keys_are_compared_byte_by_byte(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t key = key_of('A' | 'b' << 8, 0);
    key.hash[STORE_KEY_BYTES - 1] = 0;
    assert_ok(put(fixture, &fixture->hold, &key, 1));
    for (unsigned i = 0; i < STORE_KEY_BYTES; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            store_key_t other = key;
            other.hash[i] ^= (uint8_t)(1u << bit);
            assert_false(is_there(fixture, 0, &other));
        }
    }
    store_key_t padded = key; /* no collation may pad or cut it */
    padded.hash[STORE_KEY_BYTES - 1] = ' ';
    assert_ok(put(fixture, &fixture->hold, &padded, 1));
    assert_true(is_there(fixture, 0, &key));
    assert_int_equal(found.keys[0].hash[STORE_KEY_BYTES - 1], 0);
}

/* Keys of one entity, and of entities whose hashes are the same, are different rows. */
static void keys_are_found_by_their_entity_and_hash(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t keys[3] = {key_of(1, 0), key_of(2, 0), key_of(3, 0)};
    keys[2].entity_hash = UINT64_MAX;
    assert_ok(put(fixture, &fixture->hold, keys, 3));
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_there(fixture, 0, &keys[i]));
        assert_same_key(&found.keys[0], &keys[i]);
        store_key_t other = keys[i];
        other.entity_hash ^= 1;
        assert_false(is_there(fixture, 0, &other));
    }
}

static void the_end_of_a_message_replaces_its_keys_row(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t key = key_of(1, 0);
    assert_ok(put(fixture, &fixture->hold, &key, 1));
    store_key_t ended = key_of(1, 9000);
    ended.number = 3;
    ended.reply.payload = bytes_of("a longer reply than the one before");
    for (int times = 0; times < 2; times++) { /* a slice may be written again */
        assert_ok(put(fixture, &fixture->hold, &ended, 1));
        assert_true(is_there(fixture, 0, &key));
        assert_same_key(&found.keys[0], &ended);
    }
}

static void many_keys_are_found_at_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t *keys = memory_allocate(MANY * sizeof *keys);
    store_key_name_t *names = memory_allocate(2 * MANY * sizeof *names);
    for (uint32_t i = 0; i < 2 * MANY; i++) {
        store_key_t key = key_of(i, i % 2 ? 5000 : 0);
        key.entity_hash = i % 7 + (i % 3 ? 0 : UINT64_C(1) << 63);
        names[i] = name_of(&key);
        keys[i / 2] = i % 2 ? keys[i / 2] : key;
    }
    assert_ok(put(fixture, &fixture->hold, keys, MANY));
    find(fixture, 0, names, 2 * MANY);
    assert_int_equal(found.count, MANY);
    bool seen[MANY] = {false};
    for (size_t i = 0; i < found.count; i++) {
        uint64_t number = found.keys[i].reply.id.value - 1000;
        assert_true(number % 2 == 0 && number / 2 < MANY && !seen[number / 2]);
        seen[number / 2] = true;
        assert_same_key(&found.keys[i], &keys[number / 2]);
    }
    free(keys);
    free(names);
}

/* ---- the list ---- */

typedef struct names {
    store_key_name_t names[MANY];
    size_t count;
} names_t;

static names_t listed;

static void keep_name(void *context, const store_key_name_t *name)
{
    (void)context;
    assert_true(listed.count < MANY);
    listed.names[listed.count++] = *name;
}

/* The next page of the lane's keys, behind those that were listed; true: the last one. */
static bool list_page(store_fixture_t *fixture, uint32_t lane, uint32_t limit)
{
    size_t before = listed.count;
    store_key_name_t last = before > 0 ? listed.names[before - 1] : (store_key_name_t){0};
    bool ended = false;
    assert_ok(fixture->driver->list_keys(fixture->second, lane, before > 0 ? &last : NULL, limit,
                                         keep_name, NULL, &ended));
    assert_in_range(listed.count - before, ended ? 0 : limit, limit);
    return ended;
}

static unsigned times_listed(const store_key_t *key)
{
    unsigned times = 0;
    for (size_t i = 0; i < listed.count; i++) {
        times += listed.names[i].entity_hash == key->entity_hash &&
                 memcmp(listed.names[i].hash, key->hash, STORE_KEY_BYTES) == 0;
    }
    return times;
}

static void all_keys_are_listed_page_by_page(void **state)
{
    enum { KEYS = 300, PAGE = 32 };
    store_fixture_t *fixture = *state;
    store_key_t *keys = memory_allocate(KEYS * sizeof *keys);
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = key_of(i, i % 2 ? 5000 : 0);
        keys[i].entity_hash = i % 3 + (i % 2 ? 0 : UINT64_C(1) << 63);
    }
    listed.count = 0;
    assert_true(list_page(fixture, 0, PAGE));
    assert_ok(put(fixture, &fixture->hold, keys, KEYS));
    assert_ok(put(fixture, &fixture->hold_1, keys, 1));
    unsigned pages = 1;
    for (; !list_page(fixture, 0, PAGE); pages++) {
    }
    assert_int_equal(pages, KEYS / PAGE + 1);
    assert_int_equal(listed.count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(times_listed(&keys[i]), 1);
    }
    listed.count = 0;
    assert_true(list_page(fixture, 1, PAGE));
    assert_int_equal(listed.count, 1);
    free(keys);
}

/* What was there before the first page is on a later one, whatever changes between them. */
static void a_list_misses_no_key_that_stays(void **state)
{
    enum { KEYS = 60 };
    store_fixture_t *fixture = *state;
    store_key_t keys[2 * KEYS];
    for (uint32_t i = 0; i < 2 * KEYS; i++) {
        keys[i] = key_of(i, i % 4 == 1 ? 1000 : 0);
        keys[i].entity_hash = i % 5;
    }
    assert_ok(put(fixture, &fixture->hold, keys, KEYS));
    listed.count = 0;
    assert_false(list_page(fixture, 0, KEYS / 2));
    store_purge_t wanted = {.keys_before_ms = 2000, .keys_max = KEYS}; /* every fourth */
    store_purged_t purged;
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.keys, KEYS / 4);
    keys[0] = key_of(0, 9000); /* its message has ended */
    keys[0].entity_hash = 0;
    assert_ok(put(fixture, &fixture->hold, keys, 1));
    assert_ok(put(fixture, &fixture->hold, keys + KEYS, KEYS));
    while (!list_page(fixture, 0, KEYS / 4)) {
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(times_listed(&keys[i]) == 1 || (i % 4 == 1 && times_listed(&keys[i]) == 0));
    }
}

static void a_fenced_holder_writes_no_keys(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t key = key_of(1, 0);
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, put(fixture, &fixture->hold, &key, 1));
    assert_false(is_there(fixture, 0, &key));
}

/* ---- retention ---- */

static store_purged_t purge(store_fixture_t *fixture, int64_t before_ms, uint32_t keys_max)
{
    store_purge_t wanted = {.keys_before_ms = before_ms, .keys_max = keys_max};
    store_purged_t purged = {.keys = 4711};
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.entries, 0);
    return purged;
}

static void keys_are_deleted_when_their_time_is_over(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t keys[5] = {key_of(1, 3000), key_of(2, 1000), key_of(3, 0), key_of(4, 2000),
                           key_of(5, 2001)};
    assert_ok(put(fixture, &fixture->hold, keys, 5));
    assert_ok(put(fixture, &fixture->hold_1, keys, 5));
    assert_int_equal(purge(fixture, 1000, 100).keys, 0);
    assert_int_equal(purge(fixture, 2001, 0).keys, 0);
    assert_int_equal(purge(fixture, 2001, 1).keys, 1); /* the oldest first */
    assert_false(is_there(fixture, 0, &keys[1]));
    assert_true(is_there(fixture, 0, &keys[3]));
    assert_int_equal(purge(fixture, 2001, 100).keys, 1);
    assert_false(is_there(fixture, 0, &keys[3]));
    assert_int_equal(purge(fixture, INT64_MAX, 100).keys, 2);
    assert_true(is_there(fixture, 0, &keys[2])); /* its message has not ended */
    for (size_t i = 0; i < 5; i++) {
        assert_true(is_there(fixture, 1, &keys[i]));
    }
}

static void a_fenced_holder_deletes_no_keys(void **state)
{
    store_fixture_t *fixture = *state;
    store_key_t key = key_of(1, 1000);
    assert_ok(put(fixture, &fixture->hold, &key, 1));
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 3);
    store_purge_t wanted = {.keys_before_ms = 5000, .keys_max = 10};
    store_purged_t purged;
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_true(is_there(fixture, 0, &key));
}

int store_suite_keys(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(test_sm_06_a_key_comes_back_as_it_was),
        FOUNDED_TEST(test_sm_04_keys_are_compared_byte_by_byte),
        FOUNDED_TEST(keys_are_found_by_their_entity_and_hash),
        FOUNDED_TEST(the_end_of_a_message_replaces_its_keys_row),
        FOUNDED_TEST(many_keys_are_found_at_once),
        FOUNDED_TEST(all_keys_are_listed_page_by_page),
        FOUNDED_TEST(a_list_misses_no_key_that_stays),
        FOUNDED_TEST(a_fenced_holder_writes_no_keys),
        FOUNDED_TEST(keys_are_deleted_when_their_time_is_over),
        FOUNDED_TEST(a_fenced_holder_deletes_no_keys),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
