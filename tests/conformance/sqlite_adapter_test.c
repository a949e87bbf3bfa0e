/* The SQLite adapter: what only a file can show. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/conformance/sqlite_file.h"

#define assert_error(expected, actual)                                                             \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(expected))
#define assert_ok(actual) assert_error(FABRIC_OK, actual)

enum { DEADLINE_MS = 30000 };

static void commits_are_synchronous_and_in_wal(void **state)
{
    sqlite_file_t *file = *state;
    store_facts_t facts;
    assert_ok(sqlite_store_driver.facts(file->store, &facts));
    assert_string_equal(facts.durability, "journal_mode=wal synchronous=full");
    assert_true(facts.durable);
    assert_false(facts.read_only);
    assert_non_null(strstr(facts.product, "SQLite 3."));
}

/* One broker needs no more, and each lane of an append changes pages of its own. */
static void a_new_cluster_has_one_lane(void **state)
{
    sqlite_file_t *file = *state;
    store_cluster_t wanted = {.name = "fabric", .shards_per_group = 300};
    store_cluster_t cluster;
    file->store = sqlite_file_open(file, 1000, NULL);
    assert_non_null(file->store);
    assert_ok(sqlite_store_driver.schema_apply(file->store, &wanted, NULL));
    assert_ok(sqlite_store_driver.check(file->store, &wanted, NULL, &cluster));
    assert_int_equal(cluster.lanes, 1);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM journal"), 1);
}

/* ---- the broker's lock ---- */

/* A child that opens the file exclusively, says so, and waits to be killed. */
static pid_t hold_in_another_process(const sqlite_file_t *file)
{
    int ready[2];
    char answer = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store_options_t options = {.url = file->url,
                                   .io_timeout_ms = 1000,
                                   .exclusive = true,
                                   .holder = "broker-7 at tcp://127.0.0.1:7"};
        store_t *store = NULL;
        answer = sqlite_store_driver.open(&options, NULL, &store) ? 'n' : 'y';
        while (write(ready[1], &answer, 1) < 0 && errno == EINTR) {
        }
        for (;;) {
            pause();
        }
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &answer, 1);
    close(ready[0]);
    if (got != 1 || answer != 'y') {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        return -1;
    }
    return child;
}

static void the_lock_names_another_process_and_dies_with_it(void **state)
{
    sqlite_file_t *file = *state;
    char expected[64];
    reason_t reason = {""};
    store_t *store = NULL;
    store_options_t options = {.url = file->url, .io_timeout_ms = 1000, .exclusive = true};
    pid_t child = hold_in_another_process(file);
    assert_true(child > 0);
    fabric_error_t held = sqlite_store_driver.open(&options, &reason, &store);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_error(FABRIC_ERROR_STORE_LOCKED, held);
    assert_non_null(strstr(reason.text, "broker-7 at tcp://127.0.0.1:7"));
    snprintf(expected, sizeof expected, "pid %ld", (long)child);
    assert_non_null(strstr(reason.text, expected));
    assert_ok(sqlite_store_driver.open(&options, &reason, &store));
    store_close(&store);
}

/* ---- one writer ---- */

/* A process that is not this one, as far as turns go. */
static void a_lock_of_another_process_is_waited_for_and_then_busy(void **state)
{
    sqlite_file_t *file = *state;
    sqlite3 *other = NULL;
    store_t *hasty = sqlite_file_open(file, 20, NULL);
    assert_non_null(hasty);
    assert_int_equal(sqlite3_open(file->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    uint64_t start_ms = clock_monotonic_ms();
    fabric_error_t held = sqlite_file_append(hasty, 1, 10);
    uint64_t waited_ms = clock_monotonic_ms() - start_ms;
    sqlite3_close(other);
    fabric_error_t free_again = sqlite_file_append(hasty, 1, 10);
    store_close(&hasty);
    assert_error(FABRIC_ERROR_STORE_BUSY, held);
    assert_true(waited_ms >= 15);
    assert_ok(free_again);
}

/* However long a caller is willing to wait for answers, it does not wait for a lock that long. */
static void a_lock_is_waited_for_at_most_a_second(void **state)
{
    sqlite_file_t *file = *state;
    store_t *leisurely = sqlite_file_open(file, DEADLINE_MS, NULL);
    assert_non_null(leisurely);
    assert_ok(sql_begin(sql_store_of(file->second), SQL_WRITE));
    uint64_t start_ms = clock_monotonic_ms();
    fabric_error_t held = sqlite_file_append(leisurely, 1, 10);
    uint64_t waited_ms = clock_monotonic_ms() - start_ms;
    fabric_error_t ended = sql_end(sql_store_of(file->second), FABRIC_ERROR_FENCED);
    const char *words = store_error_text(leisurely, held);
    bool told = strstr(words, "another connection of this process writes") != NULL;
    store_close(&leisurely);
    assert_error(FABRIC_ERROR_STORE_BUSY, held);
    assert_true(told);
    assert_in_range(waited_ms, 990, DEADLINE_MS - 1);
    assert_error(FABRIC_ERROR_FENCED, ended);
    assert_ok(sqlite_file_append(file->store, 1, 10));
}

enum { WRITERS = 3, TURNS = 400 };

typedef struct race {
    const char *path;
    pthread_barrier_t start;
    atomic_bool comes[WRITERS]; /* is about to queue, or queues */
    unsigned order[TURNS];      /* who had which turn; belongs to who has the turn */
    unsigned taken;
} race_t;

typedef struct racer {
    race_t *race;
    unsigned number;
    bool timed_out;
    pthread_t thread;
} racer_t;

/* Notes a turn, and keeps it until all others come for theirs. False: the race is over. */
static bool use_turn(racer_t *racer)
{
    race_t *race = racer->race;
    if (race->taken == TURNS) {
        return false;
    }
    race->order[race->taken++] = racer->number;
    for (unsigned i = 0; race->taken < TURNS && i < WRITERS; i++) {
        while (i != racer->number && !race->comes[i]) {
            sched_yield();
        }
    }
    return true;
}

static void *run_racer(void *context)
{
    racer_t *racer = context;
    atomic_bool *comes = &racer->race->comes[racer->number];
    sqlite_turn_t turn;
    bool more = true;
    sqlite_turn_open(&turn, racer->race->path);
    pthread_barrier_wait(&racer->race->start);
    while (more) {
        *comes = true;
        racer->timed_out = !sqlite_turn_take(&turn, clock_monotonic_ms() + DEADLINE_MS);
        *comes = false;
        more = !racer->timed_out && use_turn(racer);
        sqlite_turn_give(&turn);
    }
    *comes = true;
    sqlite_turn_close(&turn);
    return NULL;
}

/* A writer that has just written queues behind those that wait: an append waits for one turn of
 * each. */
static void writers_take_turns(void **state)
{
    sqlite_file_t *file = *state;
    race_t race = {.path = file->path};
    racer_t racers[WRITERS] = {{0}};
    pthread_barrier_init(&race.start, NULL, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        racers[i] = (racer_t){.race = &race, .number = i};
        pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(racers[i].thread, NULL);
    }
    pthread_barrier_destroy(&race.start);
    unsigned passed = 0; /* turns before which somebody else had waited longer */
    for (unsigned i = 2; i < TURNS; i++) {
        passed += race.order[i] == race.order[i - 1] || race.order[i] == race.order[i - 2];
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_false(racers[i].timed_out);
    }
    assert_int_equal(race.taken, TURNS);
    /* A thread that comes may not be in the queue yet. */
    assert_in_range(passed, 0, TURNS / 4);
}

static void who_waits_in_vain_leaves_the_queue(void **state)
{
    sqlite_file_t *file = *state;
    sqlite_turn_t turns[3];
    for (size_t i = 0; i < 3; i++) {
        sqlite_turn_open(&turns[i], file->path);
    }
    bool first = sqlite_turn_take(&turns[0], clock_monotonic_ms());
    bool second = sqlite_turn_take(&turns[1], clock_monotonic_ms() + 5);
    sqlite_turn_give(&turns[0]);
    bool third = sqlite_turn_take(&turns[2], clock_monotonic_ms());
    sqlite_turn_close(&turns[2]); /* gives it back */
    bool first_again = sqlite_turn_take(&turns[0], clock_monotonic_ms());
    sqlite_turn_close(&turns[0]);
    sqlite_turn_close(&turns[1]);
    assert_true(first);
    assert_false(second);
    assert_true(third);
    assert_true(first_again);
}

/* ---- disks ---- */

static void a_full_disk_is_typed_and_recovers(void **state)
{
    sqlite_file_t *file = *state;
    store_t *base = file->store;
    sql_store_t *store = sql_store_of(base);
    assert_ok(sqlite_execute(store, "PRAGMA max_page_count = 60"));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, sqlite_file_append(base, 1, 500000));
    assert_non_null(strstr(store_error_text(base, FABRIC_ERROR_STORE_UNAVAILABLE), "full"));
    assert_int_equal(sqlite_file_count_entries(base), 0);
    assert_ok(sqlite_execute(store, "PRAGMA max_page_count = 1000000"));
    assert_ok(sqlite_file_append(base, 1, 500000));
    assert_int_equal(sqlite_file_count_entries(file->second), 1);
}

/* The log may grow no further: writing the append's pages fails in the operating system. */
static void a_failing_write_is_never_taken_for_done(void **state)
{
    sqlite_file_t *file = *state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit low = {.rlim_cur = 400000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    fabric_error_t error = sqlite_file_append(file->store, 1, 1000000);
    fabric_error_t afterwards = sqlite_file_append(file->store, 1, 10);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, error);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, afterwards);
    assert_int_equal(sqlite_file_count_entries(file->second), 0);
    store_close(&file->store);
    file->store = sqlite_file_open(file, 1000, NULL);
    assert_non_null(file->store);
    assert_ok(sqlite_file_append(file->store, 1, 1000000));
    assert_int_equal(sqlite_file_count_entries(file->second), 1);
}

/* ---- what somebody has damaged ---- */

static bool keep_entry(void *context, const store_entry_t *entry)
{
    store_entry_t *entries = context;
    entries[entry->number] = *entry;
    entries[entry->number].body.data = NULL;
    return true;
}

static void a_damaged_row_is_read_as_nothing(void **state)
{
    sqlite_file_t *file = *state;
    store_entry_t entries[4] = {{0}};
    for (uint64_t number = 1; number <= 3; number++) {
        assert_ok(sqlite_file_append(file->store, number, 10));
    }
    assert_int_equal(sqlite_file_execute(file, "UPDATE journal SET epoch = 'text', checksum = 1.5,"
                                               " incarnation = x'0102', body = 7 "
                                               "WHERE lane = 3 AND number = 2"),
                     SQLITE_OK);
    assert_ok(sqlite_store_driver.read_journal(file->store, 3, 1, STORE_ENTRY_ALL, 10, 1 << 20,
                                               keep_entry, entries));
    assert_int_equal(entries[1].checksum, ~1ull);
    assert_int_equal(entries[2].number, 2);
    assert_int_equal(entries[2].epoch, 0);
    assert_int_equal(entries[2].checksum, 0);
    assert_true(incarnation_is_none(entries[2].incarnation));
    assert_int_equal(entries[2].body.size, 0);
    assert_int_equal(entries[3].body.size, 10);
}

static void a_file_that_is_no_database_is_left_alone(void **state)
{
    sqlite_file_t *file = *state;
    char text[32] = "";
    static const char words[] = "these are not the bytes of a database";
    int descriptor = open(file->path, O_CREAT | O_WRONLY, 0600);
    ssize_t wrote = write(descriptor, words, sizeof words);
    close(descriptor);
    store_options_t options = {.url = file->url, .io_timeout_ms = 1000};
    store_t *store = NULL;
    fabric_error_t error = sqlite_store_driver.open(&options, NULL, &store);
    descriptor = open(file->path, O_RDONLY);
    ssize_t got = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    assert_int_equal(wrote, sizeof words);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, error);
    assert_int_equal(got, sizeof text - 1);
    assert_memory_equal(text, words, sizeof text - 1);
}

/* Not even the mode of its journal is changed. */
static void a_database_of_another_program_is_left_alone(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    assert_int_equal(sqlite_file_execute(file, "CREATE TABLE Journal (entry TEXT)"), SQLITE_OK);
    file->store = sqlite_file_open(file, 1000, NULL);
    assert_non_null(file->store);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, sqlite_file_apply(file->store, "fabric", &reason));
    assert_non_null(strstr(reason.text, "another program"));
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM sqlite_master"), 1);
    assert_int_equal(sqlite_file_number(file, "SELECT journal_mode = 'delete' "
                                              "FROM pragma_journal_mode"),
                     1);
}

static void a_missing_directory_is_unavailable(void **state)
{
    (void)state;
    reason_t reason = {""};
    store_t *store = NULL;
    store_options_t options = {.url = "sqlite:/nonexistent/directory/fabric.db"};
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 sqlite_store_driver.open(&options, &reason, &store));
    assert_non_null(strstr(reason.text, "/nonexistent/directory/fabric.db"));
    options.exclusive = true;
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 sqlite_store_driver.open(&options, &reason, &store));
    assert_null(store);
}

/* A user who may only read the file. */
static int check_as_reader(const sqlite_file_t *file)
{
    enum { NOBODY = 65534 };
    store_cluster_t wanted = {0};
    store_cluster_t found;
    store_facts_t facts = {0};
    reason_t reason = {""};
    if (chmod(file->path, 0444) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0)) {
        return 1;
    }
    store_t *store = sqlite_file_open(file, 1000, NULL);
    if (!store || store->driver->facts(store, &facts) || !facts.read_only) {
        return 2;
    }
    fabric_error_t error = store->driver->check(store, &wanted, &reason, &found);
    bool told = strstr(reason.text, "read-only") != NULL;
    fabric_error_t append = sqlite_file_append(store, 1, 10);
    store_close(&store);
    return error != FABRIC_ERROR_STORE_UNAVAILABLE    ? 3
           : !told                                    ? 4
           : append != FABRIC_ERROR_STORE_UNAVAILABLE ? 5
                                                      : 0;
}

static void a_file_that_may_only_be_read_is_unavailable(void **state)
{
    sqlite_file_t *file = *state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(check_as_reader(file));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- space and speed ---- */

static int64_t purge_all_but_the_last(store_t *store, uint64_t settled, uint64_t last)
{
    store_purged_t purged = {0};
    store_slice_t checkpoint = {.settled = settled, .begun = last, .last = true};
    store_purge_t purge = {.before = last, .created_before_ms = INT64_MAX, .entries_max = 1000};
    fabric_error_t error = sqlite_store_driver.checkpoint(store, &sqlite_file_hold, &checkpoint);
    error = error ? error : sqlite_store_driver.purge(store, &sqlite_file_hold, &purge, &purged);
    return error ? -1 : (int64_t)purged.entries;
}

static void purged_pages_are_used_again(void **state)
{
    enum { ROUNDS = 12, ENTRIES = 40, BODY_BYTES = 30000 };
    sqlite_file_t *file = *state;
    int64_t settled = 0;
    uint64_t number = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ENTRIES; i++) {
            assert_ok(sqlite_file_append(file->store, ++number, BODY_BYTES));
        }
        assert_int_equal(purge_all_but_the_last(file->second, number - ENTRIES, number),
                         round == 0 ? ENTRIES - 1 : ENTRIES);
        if (round == 1) {
            settled = sqlite_file_number(file, "PRAGMA page_count");
        }
    }
    assert_true(settled > 0);
    assert_in_range(sqlite_file_number(file, "PRAGMA page_count"), 1, settled + settled / 20);
}

/* ---- for people ---- */

typedef struct sizes {
    uint64_t journal_rows, journal_bytes, pending_rows, pending_bytes;
    size_t tables;
} sizes_t;

static void note_table(void *context, const char *table, uint64_t rows, uint64_t bytes)
{
    sizes_t *sizes = context;
    sizes->tables++;
    if (strcmp(table, "journal") == 0) {
        sizes->journal_rows = rows;
        sizes->journal_bytes = bytes;
    } else if (strcmp(table, "pending") == 0) {
        sizes->pending_rows = rows;
        sizes->pending_bytes = bytes;
    }
}

static void tables_tell_their_sizes(void **state)
{
    sqlite_file_t *file = *state;
    sizes_t sizes = {0};
    for (uint64_t number = 1; number <= 50; number++) {
        assert_ok(sqlite_file_append(file->store, number, 1000));
    }
    assert_ok(sqlite_file_put_rows(file->store, 1, 300));
    assert_int_equal(purge_all_but_the_last(file->store, 0, 40), 39);
    assert_ok(sqlite_store_driver.table_list(file->store, note_table, &sizes));
    assert_int_equal(sizes.tables, sqlite_file_number(file, "SELECT count(*) FROM sqlite_master "
                                                            "WHERE type = 'table'"));
    assert_in_range(sizes.journal_rows, 11, 11 + 12);
    assert_in_range(sizes.journal_bytes, 9000, 11000);
    assert_int_equal(sizes.pending_rows, 300);
    assert_in_range(sizes.pending_bytes, 300 * 60, 300 * 120);
}

static void views_show_rows_in_words(void **state)
{
    sqlite_file_t *file = *state;
    store_pending_t row = {.position = 4194304000,
                           .entity_hash = 9,
                           .id = {4194304000},
                           .shard = {65536 + 3},
                           .due_ms = 1800000000123,
                           .attempts = 2,
                           .type = fabric_bytes("Order", 5),
                           .entity = fabric_bytes("order-1", 7),
                           .tag = fabric_bytes("Add", 3),
                           .body = fabric_bytes("record", 6)};
    store_pending_t scheduled = row;
    scheduled.due_ms = 1800000000456;
    scheduled.attempts = 0;
    store_slice_t slice = {
        .puts = &row, .put_count = 1, .scheduled = &scheduled, .scheduled_count = 1};
    assert_int_equal(sqlite_file_execute(file, "INSERT INTO shard_group VALUES (1, x'64')"),
                     SQLITE_OK);
    assert_ok(sqlite_store_driver.checkpoint(file->store, &sqlite_file_hold, &slice));
    static const char *const questions[] = {
        ("SELECT count(*) FROM fabric_scheduled WHERE lane = 3 AND shard = 'd:3' AND type = 'Order'"
         " AND id = 'order-1' AND tag = 'Add' AND accepted_at = '2025-01-01 00:00:01.000'"
         " AND due_at = '2027-01-15 08:00:00.456' AND attempts = 0 AND bytes = 6"
         " AND position = request_id"),
        "SELECT count(*) FROM fabric_scheduled",
        ("SELECT count(*) FROM fabric_pending WHERE lane = 3 AND shard = 'd:3' AND type = 'Order'"
         " AND id = 'order-1' AND tag = 'Add' AND accepted_at = '2025-01-01 00:00:01.000'"
         " AND due_at = '2027-01-15 08:00:00.123' AND attempts = 2 AND bytes = 6"),
        "SELECT count(*) FROM fabric_pending",
        "SELECT count(*) FROM fabric_entities WHERE type = 'Order' AND pending = 1",
        ("SELECT count(*) FROM fabric_lanes WHERE lane = 3 AND newest_entry = 0"
         " AND holder = '01020300000000000000000000000000'"),
        "SELECT count(*) = 0 FROM fabric_dead_letters",
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        assert_int_equal(sqlite_file_number(file, questions[i]), 1);
    }
}

/* An older copy takes the place of the file between two appends on one connection, whose row of the
 * lane is the same. */
static void a_file_that_is_replaced_takes_no_append(void **state)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    sqlite_file_t *file = *state;
    char sql[500];
    char copy[440];
    char path[440];
    snprintf(copy, sizeof copy, "%s-copy", file->path);
    snprintf(sql, sizeof sql, "VACUUM INTO '%s'", copy);
    assert_ok(sqlite_file_append(file->store, 1, 100));
    assert_int_equal(sqlite_file_execute(file, sql), 0);
    assert_ok(sqlite_file_append(file->store, 2, 100));
    assert_int_equal(rename(copy, file->path), 0);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s%s", file->path, suffixes[i]);
        unlink(path);
    }
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, sqlite_file_append(file->store, 3, 100));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, sqlite_file_append(file->store, 3, 100));
    assert_error(FABRIC_ERROR_STORE_UNKNOWN,
                 sqlite_store_driver.lane_give_up(file->second, &sqlite_file_hold));
    store_close(&file->store);
    file->store = sqlite_file_open(file, 1000, NULL);
    assert_non_null(file->store);
    assert_int_equal(sqlite_file_count_entries(file->store), 1);
    store_entry_t lost = sqlite_file_entry(2, 100);
    store_entry_t next = sqlite_file_entry(3, 100);
    store_anchor_t anchor = {lost.lane, lost.number, lost.checksum};
    assert_error(FABRIC_ERROR_FENCED,
                 sqlite_store_driver.append_after(file->store, &anchor, &next, 1));
}

static void a_file_that_is_removed_takes_no_append(void **state)
{
    sqlite_file_t *file = *state;
    assert_ok(sqlite_file_append(file->store, 1, 100));
    assert_int_equal(unlink(file->path), 0);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, sqlite_file_append(file->store, 2, 100));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SQLITE_FOUNDED_TEST(commits_are_synchronous_and_in_wal),
        SQLITE_EMPTY_TEST(a_new_cluster_has_one_lane),
        SQLITE_FOUNDED_TEST(the_lock_names_another_process_and_dies_with_it),
        SQLITE_FOUNDED_TEST(a_lock_of_another_process_is_waited_for_and_then_busy),
        SQLITE_FOUNDED_TEST(a_lock_is_waited_for_at_most_a_second),
        SQLITE_FOUNDED_TEST(writers_take_turns),
        SQLITE_FOUNDED_TEST(who_waits_in_vain_leaves_the_queue),
        SQLITE_FOUNDED_TEST(a_full_disk_is_typed_and_recovers),
        SQLITE_FOUNDED_TEST(a_failing_write_is_never_taken_for_done),
        SQLITE_FOUNDED_TEST(a_damaged_row_is_read_as_nothing),
        SQLITE_EMPTY_TEST(a_file_that_is_no_database_is_left_alone),
        SQLITE_EMPTY_TEST(a_database_of_another_program_is_left_alone),
        SQLITE_EMPTY_TEST(a_missing_directory_is_unavailable),
        SQLITE_FOUNDED_TEST(a_file_that_may_only_be_read_is_unavailable),
        SQLITE_FOUNDED_TEST(a_file_that_is_replaced_takes_no_append),
        SQLITE_FOUNDED_TEST(a_file_that_is_removed_takes_no_append),
        SQLITE_FOUNDED_TEST(purged_pages_are_used_again),
        SQLITE_FOUNDED_TEST(tables_tell_their_sizes),
        SQLITE_FOUNDED_TEST(views_show_rows_in_words),
    };
    return cmocka_run_group_tests_name("sqlite_adapter", tests, NULL, NULL);
}
