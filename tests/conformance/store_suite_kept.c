/* The store suite: rows of entities that are kept alive. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

enum { MANY = 700, NAME_SIZE = 256 };

/* What list_kept has visited, by name. */
typedef struct listed {
    store_kept_t kept[MANY];
    uint8_t names[MANY][2 * NAME_SIZE];
    size_t count;
} listed_t;

static listed_t listed;

static void keep_row(void *context, const store_kept_t *kept)
{
    (void)context;
    assert_true(listed.count < MANY);
    assert_true(kept->type.size < NAME_SIZE && kept->entity.size < NAME_SIZE);
    uint8_t *names = listed.names[listed.count];
    store_kept_t *copy = &listed.kept[listed.count++];
    *copy = *kept;
    memcpy(names, kept->type.data, kept->type.size);
    memcpy(names + NAME_SIZE, kept->entity.data, kept->entity.size);
    copy->type.data = names;
    copy->entity.data = names + NAME_SIZE;
}

static void list(store_fixture_t *fixture, uint32_t lane)
{
    listed.count = 0;
    assert_ok(fixture->driver->list_kept(fixture->second, lane, keep_row, NULL));
}

static store_kept_t kept_of(fabric_bytes_t type, fabric_bytes_t entity, uint32_t causes)
{
    return (store_kept_t){.type = type,
                          .entity = entity,
                          .shard = shard_id_make(1, 3),
                          .number = 2,
                          .causes = causes};
}

static fabric_error_t put_kept(store_fixture_t *fixture, const store_hold_t *hold,
                               const store_kept_t *kept, size_t count)
{
    store_slice_t slice = {.kept = kept, .kept_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static const store_kept_t *find(const store_kept_t *wanted)
{
    for (size_t i = 0; i < listed.count; i++) {
        if (fabric_bytes_equal(listed.kept[i].type, wanted->type) &&
            fabric_bytes_equal(listed.kept[i].entity, wanted->entity)) {
            return &listed.kept[i];
        }
    }
    return NULL;
}

static void assert_has(const store_kept_t *wanted)
{
    const store_kept_t *found = find(wanted);
    assert_non_null(found);
    assert_int_equal(found->shard.value, wanted->shard.value);
    assert_int_equal(found->number, wanted->number);
    assert_int_equal(found->causes, wanted->causes);
}

/* Names are exact bytes: they differ in case, in trailing blanks and in where the type ends. */
static void kept_entities_are_listed_by_their_exact_names(void **state)
{
    store_fixture_t *fixture = *state;
    static const uint8_t bytes[] = {0, 0xff, '\'', ' '};
    uint8_t longest[255];
    memset(longest, 0xfe, sizeof longest);
    store_kept_t kept[] = {
        kept_of(bytes_of("Order"), bytes_of("a"), 1),
        kept_of(bytes_of("order"), bytes_of("a"), 2),
        kept_of(bytes_of("Order"), bytes_of("a "), 3),
        kept_of(bytes_of("Order"), bytes_of("A"), 1),
        kept_of(bytes_of("Ordera"), bytes_of("b"), 1),
        kept_of(bytes_of("Order"), fabric_bytes(bytes, sizeof bytes), UINT32_MAX),
        kept_of(fabric_bytes(longest, 255), fabric_bytes(longest, 255), 1)};
    enum { COUNT = sizeof kept / sizeof kept[0] };
    list(fixture, 0);
    assert_int_equal(listed.count, 0);
    assert_ok(put_kept(fixture, &fixture->hold, kept, COUNT));
    list(fixture, 0);
    assert_int_equal(listed.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_has(&kept[i]);
    }
    list(fixture, 1); /* another lane's */
    assert_int_equal(listed.count, 0);
}

static void a_kept_row_is_replaced_and_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    store_kept_t kept[] = {kept_of(bytes_of("Order"), bytes_of("a"), 1),
                           kept_of(bytes_of("Order"), bytes_of("b"), 1),
                           kept_of(bytes_of("Order"), bytes_of("c"), 1)};
    assert_ok(put_kept(fixture, &fixture->hold, kept, 3));
    kept[0].causes = 3;
    kept[0].number = 5;
    kept[0].shard = shard_id_make(2, 1);
    kept[1].causes = 0;
    kept[2] = kept_of(bytes_of("Order"), bytes_of("d"), 0); /* has no row */
    assert_ok(put_kept(fixture, &fixture->hold, kept, 3));
    list(fixture, 0);
    assert_int_equal(listed.count, 2);
    assert_has(&kept[0]);
    assert_null(find(&kept[1]));
}

/* More than one statement writes, or deletes. */
static void many_kept_rows_are_written_and_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    store_kept_t *kept = memory_allocate(MANY * sizeof *kept);
    char(*names)[16] = memory_allocate(MANY * sizeof *names);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "e%u", i);
        kept[i] = kept_of(bytes_of("Order"), fabric_bytes_of(names[i]), 1 + i % 3);
    }
    assert_ok(put_kept(fixture, &fixture->hold, kept, MANY));
    list(fixture, 0);
    assert_int_equal(listed.count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_has(&kept[i]);
        kept[i].causes = i % 10 == 0;
    }
    assert_ok(put_kept(fixture, &fixture->hold, kept, MANY));
    list(fixture, 0);
    assert_int_equal(listed.count, MANY / 10);
    assert_has(&kept[0]);
    assert_null(find(&kept[1]));
    free(names);
    free(kept);
}

static void a_slice_under_an_old_hold_changes_no_kept_row(void **state)
{
    store_fixture_t *fixture = *state;
    store_kept_t kept = kept_of(bytes_of("Order"), bytes_of("a"), 1);
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, put_kept(fixture, &fixture->hold, &kept, 1));
    list(fixture, 0);
    assert_int_equal(listed.count, 0);
}

int store_suite_kept(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(kept_entities_are_listed_by_their_exact_names),
        FOUNDED_TEST(a_kept_row_is_replaced_and_deleted),
        FOUNDED_TEST(many_kept_rows_are_written_and_deleted),
        FOUNDED_TEST(a_slice_under_an_old_hold_changes_no_kept_row),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
