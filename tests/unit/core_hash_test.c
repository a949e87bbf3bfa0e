/* The hash of a key in memory is that of the key's value: what was added is found. An optimizer
 * that takes the hash function to read something else drops the key's store before it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hash.h"

enum { ITEMS = 1000 };

typedef struct words {
    uint32_t a, b, c, d;
} words_t;

typedef struct item {
    UT_hash_handle by_id, by_words;
    uint64_t id;   /* which the hash function reads by halves */
    words_t words; /* which the hash function reads by pairs */
} item_t;

typedef struct table {
    item_t *by_id, *by_words;
} table_t;

static item_t *find_id(const table_t *table, uint64_t id)
{
    item_t *item = NULL;
    HASH_FIND(by_id, table->by_id, &id, sizeof id, item);
    return item;
}

static item_t *find_words(const table_t *table, words_t words)
{
    item_t *item = NULL;
    HASH_FIND(by_words, table->by_words, &words, sizeof words, item);
    return item;
}

static words_t words_of(uint64_t id)
{
    return (words_t){(uint32_t)id, (uint32_t)id + 1, (uint32_t)id + 2, (uint32_t)id + 3};
}

static void add(table_t *table, uint64_t id)
{
    item_t *item = memory_allocate_zeroed(1, sizeof *item);
    *item = (item_t){.id = id, .words = words_of(id)};
    HASH_ADD(by_id, table->by_id, id, sizeof item->id, item);
    HASH_ADD(by_words, table->by_words, words, sizeof item->words, item);
}

static void what_was_added_is_found(void **state)
{
    (void)state;
    table_t table = {.by_id = NULL};
    for (uint64_t id = 1; id <= ITEMS; id++) {
        assert_null(find_id(&table, id));
        add(&table, id);
    }
    size_t found_ids = 0;
    size_t found_words = 0;
    for (uint64_t id = 1; id <= ITEMS; id++) {
        const item_t *item = find_id(&table, id);
        found_ids += item && item->id == id;
        item = find_words(&table, words_of(id));
        found_words += item && item->id == id;
    }
    item_t *item;
    item_t *next;
    HASH_CLEAR(by_words, table.by_words);
    HASH_ITER(by_id, table.by_id, item, next)
    {
        HASH_DELETE(by_id, table.by_id, item);
        free(item);
    }
    assert_int_equal(found_ids, ITEMS);
    assert_int_equal(found_words, ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_added_is_found)};
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("core_hash", tests, NULL, NULL);
}
