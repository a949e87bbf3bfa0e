/* What an append leaves for the log: dead letters, each by its name, and no more of them than the
 * limit. */
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
    log_limiter_t log;
    int pipe[2];
    char text[65536];
    store_message_t messages[MESSAGES];
    batch_end_t ends[MESSAGES];
    lane_batch_t batch;
} fixture_t;

static int set_up(void **state)
{
    static fixture_t fixture;
    fixture = (fixture_t){.batch = {.ends = fixture.ends}};
    assert_int_equal(pipe(fixture.pipe), 0);
    log_set_sink(fixture.pipe[1]);
    for (size_t i = 0; i < MESSAGES; i++) {
        fixture.messages[i] = (store_message_t){.id = {100 + i},
                                                .type = fabric_bytes_of("Order"),
                                                .entity = fabric_bytes_of("order 1"),
                                                .tag = fabric_bytes_of("Place")};
        fixture.ends[i] = (batch_end_t){.message = &fixture.messages[i],
                                        .dead = true,
                                        .attempts = {7, 3},
                                        .cause = FABRIC_ERROR_ENTITY_DEFECT,
                                        .text = fabric_bytes_of("no such item")};
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    log_set_sink(STDERR_FILENO);
    close(f->pipe[0]);
    close(f->pipe[1]);
    return 0;
}

/* Logs the first ends; returns how many lines that made, with their text in f->text. */
static size_t log_lines(fixture_t *f, size_t ends, uint64_t now_ms)
{
    f->batch.end_count = ends;
    batch_log_committed(&f->log, &f->batch, now_ms);
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

static void dead_letters_are_named(void **state)
{
    fixture_t *f = *state;
    f->ends[1].dead = false;
    assert_int_equal(log_lines(f, 2, 1000), 1);
    assert_non_null(strstr(f->text, " warn message.dead_letter request_id=100 type=Order "
                                    "entity=\"order 1\" tag=Place attempts=10 "
                                    "error=EntityDefect text=\"no such item\""));
    assert_null(strstr(f->text, "request_id=101 "));
}

static void dead_letters_of_outgoing_messages_are_named(void **state)
{
    fixture_t *f = *state;
    const store_reply_t reply = {.payload = fabric_bytes_of("told by a")};
    batch_sent_t sents[] = {{.source = {7}},
                            {.source = {7},
                             .end = {.cause = FABRIC_ERROR_UNKNOWN_MESSAGE},
                             .dead = f->ends[0].message,
                             .reply = &reply}};
    f->batch.sents = sents;
    f->batch.sent_count = 2;
    assert_int_equal(log_lines(f, 0, 1000), 1);
    assert_non_null(strstr(f->text, "request_id=100 "));
    assert_non_null(strstr(f->text, "error=UnknownMessage text=\"told by a\""));
    f->batch.sent_count = 0;
}

static void a_flood_is_counted_instead(void **state)
{
    fixture_t *f = *state;
    assert_int_equal(log_lines(f, MESSAGES, 1000), 10);
    assert_int_equal(log_lines(f, 1, 2000), 1);
    assert_non_null(strstr(f->text, "left_out=20"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(dead_letters_are_named),
        TEST(dead_letters_of_outgoing_messages_are_named),
        TEST(a_flood_is_counted_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
