/* The store suite: the rows of a cleared entity are deleted, slice by slice. */
#include "tests/conformance/store_fixture.h"

#include <string.h>

#include "core/message.h"

enum { ENTITY = 7, OTHER = 8, BELOW = 1000 };

static store_cleared_t cleared;

static store_clear_t clear_of(uint32_t rows_max)
{
    return (store_clear_t){.entity_hash = ENTITY,
                           .type = bytes_of("Order"),
                           .entity = bytes_of("order-123"),
                           .below = BELOW,
                           .rows_max = rows_max};
}

static fabric_error_t write_clear(store_fixture_t *fixture, const store_hold_t *hold,
                                  const store_clear_t *clear)
{
    memset(&cleared, 0x55, sizeof cleared);
    store_slice_t slice = {.clear = clear, .cleared = &cleared, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static void assert_cleared(uint32_t pending, uint32_t scheduled, uint32_t keys)
{
    assert_int_equal(cleared.pending, pending);
    assert_int_equal(cleared.scheduled, scheduled);
    assert_int_equal(cleared.keys, keys);
}

static store_pending_t scheduled_of(int64_t due_ms, uint64_t id, uint64_t entity)
{
    store_pending_t row = pending_of(id, entity);
    row.due_ms = due_ms;
    row.attempts = row.crashes = 0;
    return row;
}

static store_key_t key_of(uint8_t number, uint64_t id, uint64_t entity, bool ended)
{
    store_key_t key = {.entity_hash = entity,
                       .number = 2,
                       .ended = ended,
                       .reply = {.id = {id}, .shard = shard_id_make(1, 3)}};
    memset(key.hash, number, sizeof key.hash);
    key.reply.kept_until_ms = ended ? 5000 : 0;
    return key;
}

static fabric_error_t put_all(store_fixture_t *fixture, const store_hold_t *hold)
{
    store_pending_t scheduled[] = {scheduled_of(300, 20, ENTITY), scheduled_of(100, 21, ENTITY),
                                   scheduled_of(200, 22, OTHER),
                                   scheduled_of(200, BELOW + 5, ENTITY)};
    store_key_t keys[] = {key_of(1, 10, ENTITY, false), key_of(2, 11, ENTITY, true),
                          key_of(3, 12, OTHER, true), key_of(4, BELOW + 1, ENTITY, false)};
    store_slice_t slice = {.scheduled = scheduled,
                           .scheduled_count = 4,
                           .keys = keys,
                           .key_count = 4,
                           .begun = 2,
                           .last = true};
    fabric_error_t error = put_rows(fixture, hold, ENTITY, 10, 3);
    error = error ? error : put_rows(fixture, hold, ENTITY, BELOW, 2);
    error = error ? error : put_rows(fixture, hold, OTHER, 10, 2);
    return error ? error : write_slice(fixture, hold, &slice);
}

static uint64_t count_scheduled(store_fixture_t *fixture, uint32_t lane)
{
    uint64_t count = 99;
    assert_ok(fixture->driver->count_scheduled(fixture->second, lane, &count));
    return count;
}

static void note_key(void *context, const store_key_t *key)
{
    unsigned *found = context;
    *found |= 1u << key->hash[0];
}

/* A bit for each of the keys 1 to 4. */
static unsigned keys_found(store_fixture_t *fixture, uint32_t lane)
{
    store_key_name_t names[4];
    unsigned found = 0;
    for (uint8_t i = 0; i < 4; i++) {
        names[i].entity_hash = i + 1 == 3 ? OTHER : ENTITY;
        memset(names[i].hash, i + 1, sizeof names[i].hash);
    }
    assert_ok(fixture->driver->find_keys(fixture->second, lane, names, 4, note_key, &found));
    return found;
}

static void assert_others_stand(store_fixture_t *fixture, uint32_t lane)
{
    assert_true(has_row(fixture, lane, ENTITY, BELOW));
    assert_true(has_row(fixture, lane, ENTITY, BELOW + 1));
    assert_true(has_row(fixture, lane, OTHER, 10));
    assert_true(has_row(fixture, lane, OTHER, 11));
    assert_int_equal(keys_found(fixture, lane) & (1u << 3 | 1u << 4), 1u << 3 | 1u << 4);
}

static void test_ms_01_the_rows_of_a_cleared_entity_are_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    store_clear_t clear = clear_of(100);
    assert_ok(put_all(fixture, &fixture->hold));
    assert_ok(put_all(fixture, &fixture->hold_1));
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(3, 2, 2);
    for (uint64_t position = 10; position < 13; position++) {
        assert_false(has_row(fixture, 0, ENTITY, position));
        assert_true(has_row(fixture, 1, ENTITY, position));
    }
    assert_int_equal(count_scheduled(fixture, 0), 2);
    assert_int_equal(count_scheduled(fixture, 1), 4);
    assert_int_equal(keys_found(fixture, 0), 1u << 3 | 1u << 4);
    assert_int_equal(keys_found(fixture, 1), 0x1e);
    assert_others_stand(fixture, 0);
    assert_ok(write_clear(fixture, &fixture->hold, &clear)); /* a slice may be written again */
    assert_cleared(0, 0, 0);
}

static void rows_of_a_cleared_entity_go_in_parts(void **state)
{
    store_fixture_t *fixture = *state;
    store_clear_t clear = clear_of(2);
    assert_ok(put_all(fixture, &fixture->hold));
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(2, 0, 0);
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(1, 1, 0);
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(0, 1, 1);
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(0, 0, 1);
    assert_others_stand(fixture, 0);
}

static void entities_with_the_same_hash_are_told_apart(void **state)
{
    store_fixture_t *fixture = *state;
    store_clear_t clear = clear_of(100);
    assert_ok(put_all(fixture, &fixture->hold));
    clear.entity = bytes_of("Order-123");
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(0, 0, 2); /* keys have a hash of their own, and no names */
    clear.type = clear.entity = fabric_bytes(NULL, 0);
    assert_ok(write_clear(fixture, &fixture->hold, &clear));
    assert_cleared(3, 2, 0);
    assert_others_stand(fixture, 0);
}

static void a_fenced_holder_clears_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    store_clear_t clear = clear_of(100);
    assert_ok(put_all(fixture, &fixture->hold));
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 3);
    store_slice_t slice = {
        .clear = &clear, .cleared = &cleared, .settled = 2, .begun = 2, .last = true};
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_true(has_row(fixture, 0, ENTITY, 10));
    assert_int_equal(keys_found(fixture, 0), 0x1e);
}

int store_suite_clear(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(test_ms_01_the_rows_of_a_cleared_entity_are_deleted),
        FOUNDED_TEST(rows_of_a_cleared_entity_go_in_parts),
        FOUNDED_TEST(entities_with_the_same_hash_are_told_apart),
        FOUNDED_TEST(a_fenced_holder_clears_nothing),
    };
    return cmocka_run_group_tests_name("clear", tests, NULL, NULL);
}
