/* What a commit leaves for the log: dead letters and refused items, each by its name, and no more
 * of them than the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/router/batch_log.h"
#include "core/message.h"

enum { MESSAGES = 30 };

typedef struct fixture {
    batch_log_t log;
    int pipe[2];
    char text[65536];
    message_t *records[MESSAGES];
    const store_message_t *messages[MESSAGES];
    const store_reply_t *replies[MESSAGES];
    store_attempt_t attempt;
    store_dead_letter_t letters[MESSAGES];
    store_batch_t batch;
} fixture_t;

static int set_up(void **state)
{
    static fixture_t fixture;
    fixture = (fixture_t){.attempt = {.id = {77}}};
    assert_int_equal(pipe(fixture.pipe), 0);
    log_set_sink(fixture.pipe[1]);
    for (size_t i = 0; i < MESSAGES; i++) {
        store_message_t stored = {.id = {100 + i},
                                  .type = fabric_bytes_of("Order"),
                                  .entity = fabric_bytes_of("order 1"),
                                  .tag = fabric_bytes_of("Place")};
        fixture.records[i] = message_new(&stored);
        fixture.messages[i] = &fixture.records[i]->stored;
        fixture.replies[i] = &fixture.records[i]->reply;
        fixture.letters[i] = (store_dead_letter_t){.message = fixture.messages[i],
                                                   .error = FABRIC_ERROR_ENTITY_DEFECT,
                                                   .attempts = 10,
                                                   .text = fabric_bytes_of("no such item")};
    }
    fixture.batch = (store_batch_t){.messages = fixture.messages,
                                    .message_count = MESSAGES,
                                    .replies = fixture.replies,
                                    .reply_count = MESSAGES,
                                    .attempts = &fixture.attempt,
                                    .attempt_count = 1,
                                    .dead_letters = fixture.letters};
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    log_set_sink(STDERR_FILENO);
    close(f->pipe[0]);
    close(f->pipe[1]);
    for (size_t i = 0; i < MESSAGES; i++) {
        message_destroy(&f->records[i]);
    }
    return 0;
}

/* Logs the batch; returns how many lines that made, with their text in f->text. */
static size_t log_lines(fixture_t *f, store_rejection_t *items, size_t count, uint64_t now_ms)
{
    lane_rejections_t rejected = {items, count};
    batch_log_committed(&f->log, &f->batch, &rejected, now_ms);
    assert_int_equal(write(f->pipe[1], ".", 1), 1); /* so that reading never waits */
    ssize_t size = read(f->pipe[0], f->text, sizeof f->text - 1);
    assert_true(size > 0);
    f->text[size - 1] = '\0';
    size_t lines = 0;
    for (const char *at = f->text; (at = strchr(at, '\n')); at++) {
        lines++;
    }
    return lines;
}

static void refused_items_are_named(void **state)
{
    fixture_t *f = *state;
    store_rejection_t items[] = {
        {.item = STORE_ITEM_MESSAGE, .index = 2, .reason = {"Data too long (1406)"}},
        {.item = STORE_ITEM_REPLY, .index = 3, .reason = {"a trigger says no (1644)"}},
        {.item = STORE_ITEM_ATTEMPT, .index = 0, .reason = {"no (1)"}}};
    assert_int_equal(log_lines(f, items, 3, 1000), 3);
    assert_non_null(strstr(f->text, " warn store.rejected item=message request_id=102 type=Order "
                                    "entity=\"order 1\" tag=Place cause=\"Data too long (1406)\""));
    assert_non_null(strstr(f->text, " warn store.rejected item=reply request_id=103 type=Order "
                                    "entity=\"order 1\" tag=Place cause=\"a trigger says no"));
    assert_non_null(strstr(f->text, "item=attempt request_id=77 "));
}

static void dead_letters_are_named_once_they_are_stored(void **state)
{
    fixture_t *f = *state;
    f->batch.dead_letter_count = 2;
    store_rejection_t refused = {.item = STORE_ITEM_DEAD_LETTER, .index = 1};
    assert_int_equal(log_lines(f, &refused, 1, 1000), 2);
    assert_non_null(strstr(f->text, " warn message.dead_letter request_id=100 type=Order "
                                    "entity=\"order 1\" tag=Place attempts=10 "
                                    "error=EntityDefect text=\"no such item\""));
    assert_non_null(strstr(f->text, "store.rejected item=dead_letter request_id=101 "));
    assert_null(strstr(f->text, "message.dead_letter request_id=101 "));
}

static void a_flood_is_counted_instead(void **state)
{
    fixture_t *f = *state;
    f->batch.dead_letter_count = MESSAGES;
    assert_int_equal(log_lines(f, NULL, 0, 1000), 10);
    f->batch.dead_letter_count = 1;
    assert_int_equal(log_lines(f, NULL, 0, 2000), 1);
    assert_non_null(strstr(f->text, "left_out=20"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refused_items_are_named),
        TEST(dead_letters_are_named_once_they_are_stored),
        TEST(a_flood_is_counted_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
