/* The store suite on SQLite, and what only a file can show. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite/sqlite_connection.h"
#include "sqlite/sqlite_store.h"
#include "tests/conformance/store_fixture.h"

static const char *path_of(const char *url)
{
    return url + strlen("sqlite:");
}

static bool create(char url[512])
{
    const char *parent = getenv("TMPDIR");
    char directory[400];
    snprintf(directory, sizeof directory, "%s/fabric-sqlite-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory)) {
        return false;
    }
    snprintf(url, 512, "sqlite:%s/fabric.db", directory);
    return true;
}

static void destroy(const char *url)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    char path[600];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s%s", path_of(url), suffixes[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s", path_of(url));
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static bool execute(const char *url, const char *sql)
{
    store_options_t options = {.url = url, .io_timeout_ms = 5000};
    store_t *store = NULL;
    if (sqlite_store_driver.open(&options, NULL, &store)) {
        return false;
    }
    fabric_error_t error = sqlite_execute(sqlite_store_of(store), sql);
    store_close(&store);
    return !error;
}

static bool damage(const char *url, store_suite_damage_t kind)
{
    static const char *const statements[] = {
        [STORE_SUITE_NEWER_VERSION] = "UPDATE schema_version SET version = version + 1",
        [STORE_SUITE_VERSION_1] = "ALTER TABLE attempt DROP COLUMN suspicions;"
                                  "UPDATE schema_version SET version = 1",
        [STORE_SUITE_FOREIGN_TABLES] = "CREATE TABLE mailbox (letter TEXT)",
        [STORE_SUITE_NO_CLUSTER] = "DELETE FROM cluster",
        [STORE_SUITE_STRANGE_EPOCHS] = "UPDATE shard SET home_epoch = CASE shard % 2 WHEN 0 THEN 0 "
                                       "ELSE 9223372036854775807 END",
    };
    return execute(url, statements[kind]);
}

static void commits_are_synchronous_and_in_wal(void **state)
{
    store_fixture_t *fixture = *state;
    store_facts_t facts;
    assert_ok(fixture->driver->facts(fixture->store, &facts));
    assert_string_equal(facts.durability, "journal_mode=wal synchronous=full");
    assert_non_null(strstr(facts.product, "SQLite 3."));
}

/* A child that opens the file exclusively, says so, and waits to be killed. */
static pid_t hold_in_another_process(const store_fixture_t *fixture)
{
    int ready[2];
    char answer = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store_options_t options = {.url = fixture->url,
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
    store_fixture_t *fixture = *state;
    char expected[64];
    reason_t reason = {""};
    store_t *store = NULL;
    store_options_t options = {.url = fixture->url, .io_timeout_ms = 1000, .exclusive = true};
    pid_t child = hold_in_another_process(fixture);
    assert_true(child > 0);
    fabric_error_t held = fixture->driver->open(&options, &reason, &store);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_error(FABRIC_ERROR_STORE_LOCKED, held);
    assert_non_null(strstr(reason.text, "broker-7 at tcp://127.0.0.1:7"));
    snprintf(expected, sizeof expected, "pid %ld", (long)child);
    assert_non_null(strstr(reason.text, expected));
    assert_ok(fixture->driver->open(&options, &reason, &store));
    store_close(&store);
}

static void a_held_write_lock_is_busy(void **state)
{
    store_fixture_t *fixture = *state;
    store_options_t options = {.url = fixture->url, .io_timeout_ms = 20};
    store_t *impatient = NULL;
    store_rejection_t rejection;
    store_batch_t batch = {.high_id = 1};
    assert_ok(fixture->driver->open(&options, NULL, &impatient));
    fabric_error_t begun = sqlite_begin(sqlite_store_of(fixture->second));
    fabric_error_t held = fixture->driver->commit(impatient, &fixture->writer, &batch, &rejection);
    fabric_error_t ended = sqlite_finish(sqlite_store_of(fixture->second), FABRIC_ERROR_FENCED);
    fabric_error_t free_again =
        fixture->driver->commit(impatient, &fixture->writer, &batch, &rejection);
    store_close(&impatient);
    assert_ok(begun);
    assert_error(FABRIC_ERROR_STORE_BUSY, held);
    assert_error(FABRIC_ERROR_FENCED, ended);
    assert_ok(free_again);
}

static void a_full_disk_is_typed_and_recovers(void **state)
{
    store_fixture_t *fixture = *state;
    static uint8_t payload[500000];
    store_message_t message = message_of(fixture, 10);
    message.payload = fabric_bytes(payload, sizeof payload);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    assert_true(sqlite_execute(sqlite_store_of(fixture->store), "PRAGMA max_page_count = 60") ==
                FABRIC_OK);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                 commit_as(fixture, &fixture->writer, &builder.batch, NULL));
    assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
    find_pending(fixture, 0);
    assert_int_equal(fixture->found.count, 0);
    assert_true(sqlite_execute(sqlite_store_of(fixture->store),
                               "PRAGMA max_page_count = 1000000") == FABRIC_OK);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 1);
}

/* The log may grow no further: writing the commit's pages fails in the operating system. */
static void a_failing_write_is_never_taken_for_done(void **state)
{
    store_fixture_t *fixture = *state;
    static uint8_t payload[1000000];
    store_message_t message = message_of(fixture, 10);
    message.payload = fabric_bytes(payload, sizeof payload);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit low = {.rlim_cur = 400000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    store_writer_t writer = fixture->writer;
    fabric_error_t error = commit_as(fixture, &fixture->writer, &builder.batch, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(error == FABRIC_ERROR_STORE_UNKNOWN || error == FABRIC_ERROR_STORE_UNAVAILABLE);
    if (error == FABRIC_ERROR_STORE_UNKNOWN) {
        assert_error(FABRIC_ERROR_STORE_UNAVAILABLE,
                     commit_as(fixture, &fixture->writer, &builder.batch, NULL));
        store_close(&fixture->store);
        fixture->store = fixture_open(fixture, false);
        assert_non_null(fixture->store);
    }
    assert_int_equal(settled_batch(fixture, &writer), writer.batch);
    commit_ok(fixture, &builder);
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 1);
}

static void a_damaged_row_fails_alone(void **state)
{
    store_fixture_t *fixture = *state;
    commit_messages(fixture, 10, 3);
    assert_true(execute(fixture->url, "UPDATE mailbox SET shard = -1, key_hash = x'0102', "
                                      "client = 'text' WHERE request_id = 11"));
    find_pending(fixture, 0);
    assert_found_ids(fixture, 10, 3);
    assert_int_equal(fixture->found.items[1].message.shard.value, 0);
    assert_null(fixture->found.items[1].message.key_hash);
}

static void a_file_that_is_no_database_is_left_alone(void **state)
{
    store_fixture_t *fixture = *state;
    char url[512];
    char text[32] = "";
    static const char words[] = "these are not the bytes of a database";
    assert_true(create(url));
    int file = open(path_of(url), O_CREAT | O_WRONLY, 0600);
    ssize_t wrote = write(file, words, sizeof words);
    close(file);
    store_options_t options = {.url = url, .io_timeout_ms = 1000};
    reason_t reason = {""};
    store_t *store = NULL;
    fabric_error_t error = fixture->driver->open(&options, &reason, &store);
    file = open(path_of(url), O_RDONLY);
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    destroy(url);
    assert_int_equal(wrote, sizeof words);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, error);
    assert_int_equal(got, sizeof text - 1);
    assert_memory_equal(text, words, sizeof text - 1);
}

static void a_missing_directory_is_unavailable(void **state)
{
    store_fixture_t *fixture = *state;
    reason_t reason = {""};
    store_t *store = NULL;
    store_options_t options = {.url = "sqlite:/nonexistent/directory/fabric.db"};
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, fixture->driver->open(&options, &reason, &store));
    assert_non_null(strstr(reason.text, "/nonexistent/directory/fabric.db"));
    options.exclusive = true;
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, fixture->driver->open(&options, &reason, &store));
    assert_null(store);
}

static int file(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(commits_are_synchronous_and_in_wal),
        FOUNDED_TEST(the_lock_names_another_process_and_dies_with_it),
        FOUNDED_TEST(a_held_write_lock_is_busy),
        FOUNDED_TEST(a_full_disk_is_typed_and_recovers),
        FOUNDED_TEST(a_failing_write_is_never_taken_for_done),
        FOUNDED_TEST(a_damaged_row_fails_alone),
        EMPTY_TEST(a_file_that_is_no_database_is_left_alone),
        EMPTY_TEST(a_missing_directory_is_unavailable),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}

int main(void)
{
    static const store_suite_t suite = {.name = "sqlite",
                                        .driver = &sqlite_store_driver,
                                        .exclusive = true,
                                        .create = create,
                                        .destroy = destroy,
                                        .damage = damage};
    return store_suite_run(&suite) + file();
}
