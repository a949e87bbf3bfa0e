/* Caches of small blocks: freed blocks come back to the thread that freed them, newest first, and a
 * cache is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "broker/memory_cache.h"

enum { SMALL = 300, LARGE = 5000 };

#ifdef __SANITIZE_ADDRESS__
static const bool is_cached = false;
#else
static const bool is_cached = true;
#endif

/* All bytes of the block may be used. */
static void *allocate(size_t size)
{
    void *block = memory_cache_allocate(size);
    assert_non_null(block);
    memset(block, 0xa5, size);
    return block;
}

static void without_a_cache_blocks_are_freed(void **state)
{
    (void)state;
    void *blocks[3] = {allocate(0), allocate(SMALL), allocate(LARGE)};
    memory_cache_free(blocks[0], 0);
    memory_cache_free(blocks[1], SMALL);
    memory_cache_free(blocks[2], LARGE);
    memory_cache_free(NULL, SMALL);
    memory_cache_close();
}

static void the_newest_block_of_its_size_comes_first(void **state)
{
    (void)state;
    memory_cache_open();
    void *first = allocate(SMALL);
    void *second = allocate(SMALL);
    void *other = allocate(2 * SMALL);
    uintptr_t places[3] = {(uintptr_t)first, (uintptr_t)second, (uintptr_t)other};
    memory_cache_free(first, SMALL);
    memory_cache_free(second, SMALL);
    memory_cache_free(other, 2 * SMALL);
    first = allocate(SMALL - 1);
    second = allocate(SMALL);
    other = allocate(2 * SMALL);
    if (is_cached) {
        assert_int_equal((uintptr_t)first, places[1]);
        assert_int_equal((uintptr_t)second, places[0]);
        assert_int_equal((uintptr_t)other, places[2]);
    }
    memory_cache_free(first, SMALL - 1);
    memory_cache_free(second, SMALL);
    memory_cache_free(other, 2 * SMALL);
    memory_cache_free(NULL, SMALL);
    void *third = allocate(SMALL);
    memory_cache_free(third, SMALL);
    memory_cache_close();
}

static void *make(void *context)
{
    return memset(memory_cache_allocate(SMALL), *(const int *)context, SMALL);
}

static void a_block_of_another_thread_is_kept_whole(void **state)
{
    (void)state;
    int byte = 7;
    pthread_t thread;
    void *block = NULL;
    assert_int_equal(pthread_create(&thread, NULL, make, &byte), 0);
    assert_int_equal(pthread_join(thread, &block), 0);
    memory_cache_open();
    memory_cache_free(block, SMALL);
    void *again = allocate(SMALL + 16); /* of the same class: 320 bytes */
    memory_cache_free(again, SMALL + 16);
    memory_cache_close();
}

/* Blocks that were freed and are not in the cache went back to malloc. */
static void a_cache_is_bounded(void **state)
{
    (void)state;
    enum { SIZE = 1024, COUNT = (int)(MEMORY_CACHE_BYTES_MAX / SIZE) + 100 };
    static void *blocks[COUNT];
    memory_cache_open();
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = allocate(SIZE);
    }
    for (int i = 0; i < COUNT; i++) {
        memory_cache_free(blocks[i], SIZE);
    }
    assert_true(memory_cache_bytes() <= MEMORY_CACHE_BYTES_MAX);
    assert_true(!is_cached || memory_cache_bytes() > MEMORY_CACHE_BYTES_MAX - SIZE);
    memory_cache_close();
    assert_int_equal(memory_cache_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_cache_blocks_are_freed),
        cmocka_unit_test(the_newest_block_of_its_size_comes_first),
        cmocka_unit_test(a_block_of_another_thread_is_kept_whole),
        cmocka_unit_test(a_cache_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
