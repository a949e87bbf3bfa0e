/* The store suite: states of entities. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { MANY = 300, NAME_SIZE = 256, LARGE = 1 << 20 };

/* What load_states has visited. Large states are told by their size and hash alone. */
typedef struct loaded {
    store_state_t rows[MANY];
    uint8_t names[MANY][2 * NAME_SIZE];
    uint8_t states[MANY][32];
    uint64_t hashes[MANY];
    size_t count, done;
} loaded_t;

static loaded_t loaded;

static void keep_state(void *context, const store_state_t *row)
{
    (void)context;
    assert_true(loaded.count < MANY);
    assert_true(row->type.size < NAME_SIZE && row->entity.size < NAME_SIZE);
    uint8_t *names = loaded.names[loaded.count];
    uint8_t *state = loaded.states[loaded.count];
    loaded.hashes[loaded.count] = XXH3_64bits(row->state.data, row->state.size);
    store_state_t *copy = &loaded.rows[loaded.count++];
    *copy = *row;
    memcpy(names, row->type.data, row->type.size);
    memcpy(names + NAME_SIZE, row->entity.data, row->entity.size);
    memcpy(state, row->state.data, row->state.size < 32 ? row->state.size : 32);
    copy->type.data = names;
    copy->entity.data = names + NAME_SIZE;
    copy->state.data = state;
}

static void load(store_fixture_t *fixture, uint32_t lane, const store_state_t *rows, size_t count,
                 uint64_t bytes_max)
{
    store_entity_name_t names[MANY];
    for (size_t i = 0; i < count; i++) {
        names[i] = (store_entity_name_t){rows[i].type, rows[i].entity};
    }
    loaded.count = 0;
    assert_ok(fixture->driver->load_states(fixture->second, lane, names, count, bytes_max,
                                           keep_state, NULL, &loaded.done));
}

static store_state_t state_of(fabric_bytes_t type, fabric_bytes_t entity, fabric_bytes_t state)
{
    return (store_state_t){.type = type,
                           .entity = entity,
                           .shard = shard_id_make(1, 3),
                           .number = 2,
                           .version = 1,
                           .state = state};
}

static fabric_error_t put(store_fixture_t *fixture, const store_hold_t *hold,
                          const store_state_t *rows, size_t count)
{
    store_slice_t slice = {.states = rows, .state_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static void assert_has(const store_state_t *wanted)
{
    for (size_t i = 0; i < loaded.count; i++) {
        const store_state_t *row = &loaded.rows[i];
        if (fabric_bytes_equal(row->type, wanted->type) &&
            fabric_bytes_equal(row->entity, wanted->entity)) {
            assert_int_equal(row->shard.value, wanted->shard.value);
            assert_int_equal(row->number, wanted->number);
            assert_int_equal(row->version, wanted->version);
            assert_int_equal(row->state.size, wanted->state.size);
            assert_int_equal(loaded.hashes[i], XXH3_64bits(wanted->state.data, wanted->state.size));
            return;
        }
    }
    fail_msg("a state was not loaded");
}

/* Names are exact bytes: they differ in case, in trailing blanks and in where the type ends. */
static void states_are_loaded_by_exact_names(void **state)
{
    store_fixture_t *fixture = *state;
    static const uint8_t bytes[] = {0, 0xff, '\'', ' '};
    uint8_t longest[255];
    memset(longest, 0xfe, sizeof longest);
    store_state_t rows[] = {
        state_of(bytes_of("Order"), bytes_of("a"), bytes_of("one")),
        state_of(bytes_of("order"), bytes_of("a"), bytes_of("two")),
        state_of(bytes_of("Order"), bytes_of("a "), bytes_of("three")),
        state_of(bytes_of("Order"), bytes_of("A"), bytes_of("four")),
        state_of(bytes_of("Ordera"), bytes_of("b"), fabric_bytes("\0\xff\0", 3)),
        state_of(bytes_of("Order"), fabric_bytes(bytes, sizeof bytes), bytes_of("six")),
        state_of(fabric_bytes(longest, 255), fabric_bytes(longest, 255), bytes_of("seven"))};
    enum { COUNT = sizeof rows / sizeof rows[0] };
    rows[1].version = UINT32_MAX;
    rows[1].number = (UINT64_C(1) << 62) + 3;
    rows[1].shard = shard_id_make(LIMIT_GROUPS_MAX, LIMIT_SHARDS_PER_GROUP_MAX);
    load(fixture, 0, rows, COUNT, LARGE);
    assert_int_equal(loaded.count, 0);
    assert_int_equal(loaded.done, COUNT);
    assert_ok(put(fixture, &fixture->hold, rows, COUNT));
    load(fixture, 0, rows, COUNT, LARGE);
    assert_int_equal(loaded.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_has(&rows[i]);
    }
    load(fixture, 0, &rows[2], 1, LARGE);
    assert_int_equal(loaded.count, 1);
    assert_has(&rows[2]);
    load(fixture, 1, rows, COUNT, LARGE); /* another lane's */
    assert_int_equal(loaded.count, 0);
}

static void a_state_is_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    store_state_t rows[] = {state_of(bytes_of("Order"), bytes_of("a"), bytes_of("old")),
                            state_of(bytes_of("Order"), bytes_of("b"), bytes_of("other"))};
    assert_ok(put(fixture, &fixture->hold, rows, 2));
    rows[0].state = bytes_of("new and longer");
    rows[0].version = 2;
    rows[0].number = 5;
    rows[0].shard = shard_id_make(2, 1);
    assert_ok(put(fixture, &fixture->hold, rows, 1));
    load(fixture, 0, rows, 2, LARGE);
    assert_int_equal(loaded.count, 2);
    assert_has(&rows[0]);
    assert_has(&rows[1]);
}

/* More than one statement writes, and reads. */
static void many_states_are_written_and_loaded(void **state)
{
    store_fixture_t *fixture = *state;
    static store_state_t rows[MANY];
    static char names[MANY][16];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "e%u", i);
        rows[i] = state_of(bytes_of("Order"), fabric_bytes_of(names[i]), fabric_bytes_of(names[i]));
    }
    assert_ok(put(fixture, &fixture->hold, rows, MANY - 1)); /* the last one is not there */
    load(fixture, 0, rows, MANY, LARGE);
    assert_int_equal(loaded.done, MANY);
    assert_int_equal(loaded.count, MANY - 1);
    for (unsigned i = 0; i < MANY - 1; i++) {
        assert_has(&rows[i]);
    }
}

/* Reading stops behind so many bytes, and says where. */
static void large_states_come_in_parts(void **state)
{
    store_fixture_t *fixture = *state;
    enum { COUNT = 40 };
    store_state_t rows[COUNT];
    char names[COUNT][16];
    uint8_t *large = memory_allocate(LARGE);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "e%u", i);
        rows[i] = state_of(bytes_of("Order"), fabric_bytes_of(names[i]), bytes_of("small"));
    }
    memset(large, 0xa7, LARGE);
    rows[0].state = rows[1].state = fabric_bytes(large, LARGE);
    assert_ok(put(fixture, &fixture->hold, rows, COUNT));
    load(fixture, 0, rows, COUNT, LARGE);
    size_t done = loaded.done;
    assert_in_range(done, 1, COUNT - 1);
    assert_int_equal(loaded.count, done);
    for (size_t i = 0; i < done; i++) {
        assert_has(&rows[i]);
    }
    load(fixture, 0, rows + done, COUNT - done, 2 * LARGE);
    assert_int_equal(loaded.done, COUNT - done);
    for (size_t i = done; i < COUNT; i++) {
        assert_has(&rows[i]);
    }
    free(large);
}

static void a_slice_under_an_old_hold_changes_no_state(void **state)
{
    store_fixture_t *fixture = *state;
    store_state_t row = state_of(bytes_of("Order"), bytes_of("a"), bytes_of("state"));
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, put(fixture, &fixture->hold, &row, 1));
    load(fixture, 0, &row, 1, LARGE);
    assert_int_equal(loaded.count, 0);
}

int store_suite_states(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(states_are_loaded_by_exact_names),
        FOUNDED_TEST(a_state_is_replaced),
        FOUNDED_TEST(many_states_are_written_and_loaded),
        FOUNDED_TEST(large_states_come_in_parts),
        FOUNDED_TEST(a_slice_under_an_old_hold_changes_no_state),
    };
    return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
