/* What an append costs on SQLite: pages that it touches, and the length of the write-ahead log. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "core/clock.h"
#include "tests/conformance/sqlite_file.h"

#define assert_ok(actual)                                                                          \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(FABRIC_OK))

enum { DEADLINE_MS = 60000, PAGE_BYTES = 4096, LARGE_BYTES = 1 << 20, GOAL_BYTES = 16 << 20 };
#define LONG_BYTES (7 * GOAL_BYTES)

/* Pages that the connection has looked at. */
static int count_pages(store_t *store)
{
    int hits = 0;
    int misses = 0;
    int highest = 0;
    sqlite3 *database = sqlite_store_of(store)->database;
    sqlite3_db_status(database, SQLITE_DBSTATUS_CACHE_HIT, &hits, &highest, 1);
    sqlite3_db_status(database, SQLITE_DBSTATUS_CACHE_MISS, &misses, &highest, 1);
    return hits + misses;
}

static void an_append_reads_no_other_entry(void **state)
{
    enum { ENTRIES = 8, FEW_PAGES = 40 };
    sqlite_file_t *file = *state;
    for (uint64_t number = 1; number <= ENTRIES; number++) {
        assert_ok(sqlite_file_append(file->store, number, LARGE_BYTES));
    }
    (void)count_pages(file->store);
    assert_ok(sqlite_file_append(file->store, ENTRIES + 1, 10));
    assert_in_range(count_pages(file->store), 1, FEW_PAGES);
    assert_ok(sqlite_file_append(file->store, ENTRIES + 2, LARGE_BYTES));
    assert_in_range(count_pages(file->store), 1, 3 * LARGE_BYTES / PAGE_BYTES);
}

static fabric_error_t write_slice(store_t *store, uint64_t settled, uint64_t begun)
{
    store_slice_t slice = {.settled = settled, .begun = begun, .last = true};
    return sqlite_store_driver.checkpoint(store, &sqlite_file_hold, &slice);
}

/* One connection appends all the time. */
typedef struct writer {
    store_t *store;
    atomic_bool stop;
    _Atomic uint64_t number; /* of the last entry */
    atomic_uint begun_anew;  /* how often the log has become shorter before it was long */
    fabric_error_t error;
} writer_t;

static void *append_all_the_time(void *context)
{
    writer_t *writer = context;
    int pages = 0;
    for (uint64_t number = 1; !writer->stop && !writer->error; number++) {
        writer->error = sqlite_file_append(writer->store, number, LARGE_BYTES / 4);
        int now = sqlite_store_of(writer->store)->log_pages;
        writer->begun_anew += now < pages && pages * (int64_t)PAGE_BYTES < LONG_BYTES;
        pages = now;
        writer->number = number;
    }
    return NULL;
}

/* The connection of the checkpoints moves the log; the one that appends does not, which would do so
 * at a greater length. A machine may be too slow for it now and then, but not each time. */
static void the_log_begins_anew_under_constant_appends(void **state)
{
    enum { TIMES = 2 };
    sqlite_file_t *file = *state;
    writer_t writer = {.store = file->store};
    fabric_error_t error = FABRIC_OK;
    uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, append_all_the_time, &writer), 0);
    for (uint64_t settled = 0; !error && writer.begun_anew < TIMES;) {
        uint64_t number = writer.number;
        error = number > 0 ? write_slice(file->second, settled, number) : FABRIC_OK;
        settled = number;
        error = clock_monotonic_ms() < deadline_ms ? error : FABRIC_ERROR_TIMEOUT;
    }
    writer.stop = true;
    pthread_join(thread, NULL);
    assert_ok(error);
    assert_ok(writer.error);
}

static void a_slice_moves_a_long_log(void **state)
{
    sqlite_file_t *file = *state;
    uint64_t number = 0;
    while (sqlite_store_of(file->store)->log_pages * (int64_t)PAGE_BYTES < GOAL_BYTES) {
        assert_ok(sqlite_file_append(file->store, ++number, LARGE_BYTES));
    }
    assert_ok(write_slice(file->second, 0, number));
    assert_ok(sqlite_file_append(file->store, ++number, 10));
    assert_in_range(sqlite_store_of(file->store)->log_pages, 1, 100);
}

/* Nobody else moves it. */
static void appends_alone_do_not_let_the_log_grow_for_ever(void **state)
{
    enum { MOST = 12 * GOAL_BYTES };
    sqlite_file_t *file = *state;
    sqlite_store_t *store = sqlite_store_of(file->store);
    int64_t longest = 0;
    int pages = 0;
    for (uint64_t number = 1; pages <= store->log_pages; number++) {
        pages = store->log_pages;
        longest = pages > longest ? pages : longest;
        assert_in_range(longest * PAGE_BYTES, 0, MOST);
        assert_ok(sqlite_file_append(file->store, number, LARGE_BYTES));
    }
    assert_in_range(longest * PAGE_BYTES, 2 * GOAL_BYTES, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FOUNDED_TEST(an_append_reads_no_other_entry),
        SQLITE_FOUNDED_TEST(a_slice_moves_a_long_log),
        SQLITE_FOUNDED_TEST(the_log_begins_anew_under_constant_appends),
        SQLITE_FOUNDED_TEST(appends_alone_do_not_let_the_log_grow_for_ever),
    };
    return cmocka_run_group_tests_name("sqlite_log", tests, NULL, NULL);
}
