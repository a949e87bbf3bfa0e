/* The finder's logic over the store in memory: what it finds, how far it looks, and when it gives
 * up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "broker/store/finder.h"
#include "core/message.h"
#include "tests/memory/memory_store.h"

#define DATABASE "broker_finder"

enum { ROWS = 10, FIRST = 100, LAST = FIRST + ROWS - 1 };

static const store_driver_t *const drivers[] = {&memory_store_driver, NULL};

typedef struct fixture {
    finder_t *finder;
    finder_config_t config;
    finder_answer_t answer;
    uint64_t now_ms;
    uint32_t step_ms;   /* at each look at the clock */
    uint32_t pages_max; /* stopping from then on */
} fixture_t;

static uint64_t read_clock(void *context)
{
    fixture_t *f = context;
    f->now_ms += f->step_ms;
    return f->now_ms;
}

static bool is_stopping(void *context)
{
    fixture_t *f = context;
    return f->pages_max-- == 0;
}

/* Ten messages with the call keys (9, id); the first two have ended. */
static void fill(void)
{
    store_options_t options = {.url = "memory:" DATABASE};
    store_t *store = NULL;
    store_join_t joined = {0};
    store_cluster_t wanted = {.name = "test", .shards_per_group = 8};
    store_broker_t broker = {.incarnation = {{1}}, .router_endpoint = "tcp://127.0.0.1:1"};
    assert_int_equal(store_open(drivers, &options, NULL, &store), FABRIC_OK);
    assert_int_equal(store->driver->schema_apply(store, &wanted, NULL), FABRIC_OK);
    assert_int_equal(store->driver->broker_join(store, &broker, 1, &joined), FABRIC_OK);
    store_message_t messages[ROWS];
    const store_message_t *list[ROWS];
    store_reply_t replies[2];
    const store_reply_t *reply_list[] = {&replies[0], &replies[1]};
    for (uint64_t i = 0; i < ROWS; i++) {
        messages[i] = (store_message_t){.id = {FIRST + i},
                                        .shard = shard_id_make(1, 1),
                                        .flags = REQUEST_DURABLE,
                                        .type = fabric_bytes_of("Counter"),
                                        .entity = fabric_bytes_of("a"),
                                        .tag = fabric_bytes_of("Add"),
                                        .payload = fabric_bytes_of("payload"),
                                        .call = {9, FIRST + i}};
        list[i] = &messages[i];
    }
    for (size_t i = 0; i < 2; i++) {
        replies[i] = (store_reply_t){
            .id = messages[i].id, .shard = messages[i].shard, .payload = fabric_bytes_of("r")};
    }
    store_batch_t batch = {.high_id = 115,
                           .messages = list,
                           .message_count = ROWS,
                           .replies = reply_list,
                           .reply_count = 2};
    store_writer_t writer = {
        .machine = joined.machine, .incarnation = {{1}}, .batch = joined.batches[0]};
    assert_int_equal(store->driver->commit(store, &writer, &batch, NULL), FABRIC_OK);
    store_close(&store);
}

static void open_finder(fixture_t *f)
{
    finder_world_t world = {f, read_clock, is_stopping};
    finder_destroy(&f->finder);
    f->finder = finder_new(&f->config, &world);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memory_store_reset(DATABASE);
    fill();
    f->config = (finder_config_t){.drivers = drivers, .options = {.url = "memory:" DATABASE}};
    finder_config_defaults(&f->config);
    f->pages_max = 1000;
    open_finder(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    message_chain_destroy(&f->answer.messages);
    finder_destroy(&f->finder);
    free(f);
    memory_store_free_all();
    return 0;
}

static fabric_error_t find(fixture_t *f, uint64_t floor, const call_key_t *calls, size_t count)
{
    message_chain_destroy(&f->answer.messages);
    return finder_find(f->finder, (request_id_t){floor}, calls, count, &f->answer);
}

/* Looks for all ten; returns how many were found. */
static size_t find_all(fixture_t *f, uint64_t floor)
{
    call_key_t calls[ROWS];
    size_t count = 0;
    for (uint64_t i = 0; i < ROWS; i++) {
        calls[i] = (call_key_t){9, FIRST + i};
    }
    assert_int_equal(find(f, floor, calls, ROWS), FABRIC_OK);
    for (const message_t *message = f->answer.messages; message; message = message->chain) {
        assert_true(message->stored.id.value > f->answer.reached.value);
        count++;
    }
    return count;
}

static void calls_are_found_with_their_replies(void **state)
{
    fixture_t *f = *state;
    const call_key_t calls[] = {{9, 101}, {9, 104}, {9, 999}};
    assert_int_equal(find(f, 99, calls, 3), FABRIC_OK);
    assert_int_equal(f->answer.reached.value, 99);
    assert_int_equal(f->answer.high_id, 115);
    const message_t *newer = f->answer.messages;
    assert_non_null(newer);
    assert_int_equal(newer->stored.id.value, 104);
    assert_int_not_equal(newer->state, MESSAGE_ENDED);
    const message_t *older = newer->chain;
    assert_non_null(older);
    assert_int_equal(older->stored.id.value, 101);
    assert_int_equal(older->state, MESSAGE_ENDED);
    assert_true(fabric_bytes_equal(older->reply.payload, fabric_bytes_of("r")));
    assert_null(older->chain);
    assert_int_equal(find(f, 99, &calls[2], 1), FABRIC_OK);
    assert_null(f->answer.messages);
    assert_int_equal(f->answer.high_id, 0);
}

static void pages_join_without_a_gap(void **state)
{
    fixture_t *f = *state;
    for (uint32_t rows = 1; rows <= ROWS + 1; rows++) {
        f->config.page_rows = rows;
        open_finder(f);
        assert_int_equal(find_all(f, 0), ROWS);
        assert_int_equal(f->answer.reached.value, 0);
        assert_int_equal(find_all(f, 103), 6);
        assert_int_equal(f->answer.reached.value, 103);
    }
}

static void rows_are_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.page_rows = 2;
    f->config.rows_max = 4;
    open_finder(f);
    assert_int_equal(find_all(f, 0), 4);
    assert_int_equal(f->answer.reached.value, LAST - 4);
    assert_int_equal(find_all(f, LAST - 4), 4); /* all that there is */
    assert_int_equal(f->answer.reached.value, LAST - 4);
}

static void time_is_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.page_rows = 2;
    f->config.time_max_ms = 1000;
    f->step_ms = 400; /* after the third page it is 1200 ms later */
    open_finder(f);
    assert_int_equal(find_all(f, 0), 6);
    assert_int_equal(f->answer.reached.value, LAST - 6);
}

/* A look-up leaves out what it found beyond its bound, as if it had not read so far. */
static void bytes_are_bounded(void **state)
{
    fixture_t *f = *state;
    f->config.bytes_max = 2 * sizeof(message_t) + 1;
    open_finder(f);
    assert_int_equal(find_all(f, 0), 2);
    assert_int_equal(f->answer.reached.value, LAST - 2);
}

static void a_failure_leaves_nothing_and_the_next_look_up_connects_again(void **state)
{
    fixture_t *f = *state;
    memory_store_fault_t fault = {.operation = MEMORY_STORE_LOAD,
                                  .kind = MEMORY_STORE_DISCONNECTED,
                                  .after = 1, /* the second page */
                                  .times = 1};
    const call_key_t call = {9, LAST};
    f->config.page_rows = 2;
    open_finder(f);
    memory_store_fault(DATABASE, &fault);
    assert_int_equal(find(f, 0, &call, 1), FABRIC_ERROR_STORE_UNAVAILABLE);
    assert_null(f->answer.messages);
    assert_int_equal(find_all(f, 0), ROWS);
}

static void it_gives_up_when_told(void **state)
{
    fixture_t *f = *state;
    const call_key_t call = {9, LAST};
    f->config.page_rows = 2;
    f->pages_max = 2;
    open_finder(f);
    assert_int_equal(find(f, 0, &call, 1), FABRIC_ERROR_SHUTTING_DOWN);
    assert_null(f->answer.messages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_found_with_their_replies),
        TEST(pages_join_without_a_gap),
        TEST(rows_are_bounded),
        TEST(time_is_bounded),
        TEST(bytes_are_bounded),
        TEST(a_failure_leaves_nothing_and_the_next_look_up_connects_again),
        TEST(it_gives_up_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
