/* The store lane's logic over the store in memory, in virtual time: what it does when the database
 * is busy, gone, silent, fenced, has lost commits, or refuses an item. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/lane.h"
#include "core/message.h"
#include "tests/memory/memory_store.h"

#define DATABASE "broker_lane"

static const store_driver_t *const drivers[] = {&memory_store_driver, NULL};
static const incarnation_t self = {{1}};

typedef struct fixture {
    lane_t *lane;
    lane_config_t config;
    uint64_t slept_ms;
    uint32_t longest_ms;         /* sleep */
    uint32_t sleeps, sleeps_max; /* stopping from then on */
    uint32_t went, came;         /* how often the database was reported gone and back */
    char cause[200];             /* why it was reported gone last */
    store_message_t messages[16];
    const store_message_t *message_list[16];
    store_reply_t replies[16];
    const store_reply_t *reply_list[16];
} fixture_t;

static void sleep_virtually(void *context, uint32_t wait_ms)
{
    fixture_t *f = context;
    f->slept_ms += wait_ms;
    f->longest_ms = wait_ms > f->longest_ms ? wait_ms : f->longest_ms;
    f->sleeps++;
}

static uint32_t draw(void *context)
{
    (void)context;
    return 7;
}

static bool is_stopping(void *context)
{
    const fixture_t *f = context;
    return f->sleeps >= f->sleeps_max;
}

static void take_available(void *context, bool available, const char *cause)
{
    fixture_t *f = context;
    f->went += available ? 0 : 1;
    f->came += available ? 1 : 0;
    assert_true(available == (cause == NULL));
    if (cause) {
        snprintf(f->cause, sizeof f->cause, "%s", cause);
    }
}

static void fill(fixture_t *f, uint64_t first)
{
    for (size_t i = 0; i < 16; i++) {
        f->messages[i] = (store_message_t){.id = {first + i},
                                           .shard = shard_id_make(1, 1),
                                           .flags = REQUEST_DURABLE,
                                           .type = fabric_bytes_of("Counter"),
                                           .entity = fabric_bytes_of("a"),
                                           .tag = fabric_bytes_of("Add"),
                                           .payload = fabric_bytes_of("payload"),
                                           .call = {9, first + i}};
        f->replies[i] = (store_reply_t){
            .id = {first + i}, .shard = shard_id_make(1, 1), .payload = fabric_bytes_of("r")};
        f->message_list[i] = &f->messages[i];
        f->reply_list[i] = &f->replies[i];
    }
}

/* Joins a broker with one lane, as another incarnation would after a restart. */
static void join(incarnation_t incarnation, store_join_t *joined)
{
    store_options_t options = {.url = "memory:" DATABASE};
    store_t *store = NULL;
    reason_t reason = {{0}};
    assert_int_equal(store_open(drivers, &options, &reason, &store), FABRIC_OK);
    store_cluster_t wanted = {.name = "test", .shards_per_group = 8};
    assert_int_equal(store->driver->schema_apply(store, &wanted, &reason), FABRIC_OK);
    store_broker_t broker = {.incarnation = incarnation, .router_endpoint = "tcp://127.0.0.1:1"};
    assert_int_equal(store->driver->broker_join(store, &broker, 1, joined), FABRIC_OK);
    store_close(&store);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memory_store_reset(DATABASE);
    store_join_t joined = {0};
    join(self, &joined);
    f->sleeps_max = 1000;
    f->config = (lane_config_t){
        .drivers = drivers,
        .options = {.url = "memory:" DATABASE},
        .writer = {.machine = joined.machine, .incarnation = self, .batch = joined.batches[0]}};
    lane_world_t world = {f, sleep_virtually, draw, is_stopping, take_available};
    f->lane = lane_new(&f->config, &world);
    assert_int_equal(lane_open(f->lane, NULL), FABRIC_OK);
    fill(f, 100);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    lane_destroy(&f->lane);
    free(f);
    memory_store_free_all();
    return 0;
}

static void strike(memory_store_operation_t operation, memory_store_fault_kind_t kind,
                   uint32_t after, uint32_t times)
{
    memory_store_fault_t fault = {
        .operation = operation, .kind = kind, .after = after, .times = times};
    memory_store_fault(DATABASE, &fault);
}

static void strike_item(int item, size_t index, uint32_t after, uint32_t times)
{
    memory_store_fault_t fault = {.operation = MEMORY_STORE_COMMIT,
                                  .kind = MEMORY_STORE_REJECTED,
                                  .after = after,
                                  .times = times};
    fault.rejection.index = index;
    switch (item) {
    case STORE_ITEM_MESSAGE:
        fault.rejection.item = STORE_ITEM_MESSAGE;
        break;
    case STORE_ITEM_REPLY:
        fault.rejection.item = STORE_ITEM_REPLY;
        break;
    case STORE_ITEM_DEAD_LETTER:
        fault.rejection.item = STORE_ITEM_DEAD_LETTER;
        break;
    default:
        fault.rejection.item = STORE_ITEM_UNKNOWN;
    }
    memory_store_fault(DATABASE, &fault);
}

/* `count` messages from `first` on, and their replies when `with_replies`. */
static store_batch_t batch_of(const fixture_t *f, size_t first, size_t count, bool with_replies)
{
    return (store_batch_t){.high_id = 115,
                           .messages = f->message_list + first,
                           .message_count = count,
                           .replies = f->reply_list + first,
                           .reply_count = with_replies ? count : 0};
}

typedef struct dump {
    uint64_t ids[32];
    bool replied[32];
    size_t count;
} dump_t;

static void visit(void *context, const store_message_t *message, store_tally_t counts,
                  const store_reply_t *reply)
{
    (void)counts;
    dump_t *dump = context;
    dump->replied[dump->count] = reply != NULL;
    dump->ids[dump->count++] = message->id.value;
}

static dump_t stored(void)
{
    dump_t dump = {0};
    memory_store_dump(DATABASE, visit, &dump);
    return dump;
}

static void commit(fixture_t *f, size_t first, size_t count, fabric_error_t expected)
{
    store_batch_t batch = batch_of(f, first, count, false);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), expected);
    assert_int_equal(rejected.count, 0);
    lane_rejections_clear(&rejected);
}

static void commits(void **state)
{
    fixture_t *f = *state;
    commit(f, 0, 3, FABRIC_OK);
    commit(f, 3, 2, FABRIC_OK);
    assert_int_equal(stored().count, 5);
    assert_int_equal(f->sleeps, 0);
    assert_int_equal(f->went, 0);
}

static void unknown_and_applied_is_done(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    commit(f, 0, 3, FABRIC_OK);
    assert_int_equal(memory_store_commits(DATABASE), 1);
    commit(f, 3, 1, FABRIC_OK); /* the batch number is right */
    assert_int_equal(stored().count, 4);
    assert_int_equal(f->went, 1);
    assert_int_equal(f->came, 1);
}

static void unknown_and_not_applied_runs_again(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_BEFORE, 0, 2);
    commit(f, 0, 3, FABRIC_OK);
    commit(f, 3, 1, FABRIC_OK);
    assert_int_equal(stored().count, 4);
    assert_int_equal(memory_store_commits(DATABASE), 2);
}

static void busy_is_tried_again_with_jitter(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_BUSY, 0, 3);
    commit(f, 0, 3, FABRIC_OK);
    assert_int_equal(f->sleeps, 3);
    assert_int_equal(f->went, 0);
    assert_int_equal(stored().count, 3);
}

static void busy_without_end_counts_as_unavailable(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_BUSY, 0, LANE_BUSY_TRIES_MAX);
    commit(f, 0, 3, FABRIC_OK);
    assert_int_equal(f->went, 1);
    assert_int_equal(f->came, 1);
    assert_true(f->slept_ms < 1000);
}

static void unavailable_then_back(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_DISCONNECTED, 0, 1);
    strike(MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 20);
    commit(f, 0, 3, FABRIC_OK);
    assert_int_equal(f->sleeps, 20);
    assert_true(f->slept_ms > 20 * LANE_BACKOFF_MAX_MS / 4);
    assert_true(f->slept_ms <= 20 * LANE_BACKOFF_MAX_MS);
    assert_int_equal(f->went, 2); /* the connection broke, then none could be made */
    assert_int_equal(f->came, 1);
    assert_int_equal(stored().count, 3);
}

/* However long the database was gone, calls go on within a second of its return. The lane's own
 * backoff is therefore much shorter than a second. */
static void a_long_outage_makes_no_long_waits(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 200);
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNAVAILABLE, 0, 1);
    commit(f, 0, 2, FABRIC_OK);
    assert_int_equal(f->sleeps, 200);
    assert_in_range(f->longest_ms, 1, 250);
}

/* A database that answers but refuses to write is unavailable all the time: logged once. */
static void refused_commits_are_one_outage(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNAVAILABLE, 0, 20);
    commit(f, 0, 2, FABRIC_OK);
    assert_int_equal(f->went, 1);
    assert_int_equal(f->came, 1);
}

/* The database's words are logged, once for each different text, also where an open has failed. */
static void the_databases_own_words_are_told(void **state)
{
    fixture_t *f = *state;
    memory_store_fault_t denied = {.operation = MEMORY_STORE_COMMIT,
                                   .kind = MEMORY_STORE_UNAVAILABLE,
                                   .times = 5,
                                   .words = "INSERT command denied"};
    memory_store_fault_t read_only = denied;
    read_only.words = "running with read-only";
    memory_store_fault(DATABASE, &denied);
    memory_store_fault(DATABASE, &read_only);
    commit(f, 0, 2, FABRIC_OK);
    assert_int_equal(f->went, 2);
    assert_int_equal(f->came, 1);
    assert_string_equal(f->cause, "running with read-only (0)");
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_DISCONNECTED, 0, 1);
    strike(MEMORY_STORE_OPEN, MEMORY_STORE_UNAVAILABLE, 0, 3);
    commit(f, 2, 2, FABRIC_OK);
    assert_int_equal(f->went, 4);
    assert_string_equal(f->cause, "store: an injected fault (0)");
}

/* Each refused item comes with the database's words about this item. */
static void rejections_say_why(void **state)
{
    fixture_t *f = *state;
    memory_store_fault_t first = {.operation = MEMORY_STORE_COMMIT,
                                  .kind = MEMORY_STORE_REJECTED,
                                  .times = 1,
                                  .rejection = {.item = STORE_ITEM_MESSAGE, .index = 1},
                                  .words = "too long"};
    memory_store_fault_t second = first;
    second.after = 1;
    second.words = "too wide";
    memory_store_fault(DATABASE, &first);
    memory_store_fault(DATABASE, &second);
    store_batch_t batch = batch_of(f, 0, 4, false);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 2);
    assert_int_equal(rejected.items[0].index, 1);
    assert_string_equal(rejected.items[0].reason.text, "too long (5)");
    assert_int_equal(rejected.items[1].index, 2);
    assert_string_equal(rejected.items[1].reason.text, "too wide (5)");
    lane_rejections_clear(&rejected);
}

static void stops_waiting_when_told(void **state)
{
    fixture_t *f = *state;
    f->sleeps_max = 5;
    strike(MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, UINT32_MAX);
    commit(f, 0, 3, FABRIC_ERROR_SHUTTING_DOWN);
    assert_int_equal(f->sleeps, 5);
    assert_int_equal(stored().count, 0);
}

static void fenced(void **state)
{
    fixture_t *f = *state;
    commit(f, 0, 1, FABRIC_OK);
    store_join_t joined = {0};
    join((incarnation_t){{2}}, &joined);
    commit(f, 1, 1, FABRIC_ERROR_FENCED);
    assert_int_equal(stored().count, 1);
}

static void fenced_while_the_outcome_is_unknown(void **state)
{
    fixture_t *f = *state;
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    store_join_t joined = {0};
    join((incarnation_t){{2}}, &joined);
    commit(f, 0, 1, FABRIC_ERROR_FENCED);
}

/* Another process commits under this broker's row, once or several times. The lane must act upon
 * nothing that it reads afterwards. */
static void a_row_that_went_on_without_us_is_a_fence(void **state)
{
    fixture_t *f = *state;
    fixture_t other = {.sleeps_max = 1000};
    lane_world_t world = {&other, sleep_virtually, draw, is_stopping, take_available};
    other.lane = lane_new(&f->config, &world);
    assert_int_equal(lane_open(other.lane, NULL), FABRIC_OK);
    fill(&other, 100);
    for (size_t i = 0; i < 2; i++) {
        commit(&other, i, 1, FABRIC_OK);
        strike(MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 1);
        message_t *messages = NULL;
        uint64_t high_id = 0;
        assert_int_equal(lane_load(f->lane, (request_id_t){0}, &messages, &high_id),
                         FABRIC_ERROR_FENCED);
        assert_null(messages);
    }
    commit(f, 2, 1, FABRIC_ERROR_FENCED);
    assert_int_equal(stored().count, 2);
    lane_destroy(&other.lane);
}

static void lost_commits_are_noticed(void **state)
{
    fixture_t *f = *state;
    commit(f, 0, 2, FABRIC_OK);
    commit(f, 2, 2, FABRIC_OK);
    memory_store_fault_t fault = {
        .operation = MEMORY_STORE_COMMIT, .kind = MEMORY_STORE_LOSE, .times = 1, .lost = 1};
    memory_store_fault(DATABASE, &fault);
    commit(f, 4, 1, FABRIC_ERROR_STORE_LOST);
}

static void lost_commits_are_not_taken_for_a_fence(void **state)
{
    fixture_t *f = *state;
    commit(f, 0, 2, FABRIC_OK);
    memory_store_lose(DATABASE, 1);
    commit(f, 2, 1, FABRIC_ERROR_STORE_LOST);
}

static void rejected_message_takes_its_reply_along(void **state)
{
    fixture_t *f = *state;
    strike_item(STORE_ITEM_MESSAGE, 2, 0, 1);
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNAVAILABLE, 2, 1); /* there is no third try */
    store_batch_t batch = batch_of(f, 0, 5, true);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 2);
    assert_int_equal(rejected.items[0].item, STORE_ITEM_MESSAGE);
    assert_int_equal(rejected.items[0].index, 2);
    assert_int_equal(rejected.items[1].item, STORE_ITEM_REPLY);
    assert_int_equal(rejected.items[1].index, 2);
    lane_rejections_clear(&rejected);
    dump_t dump = stored();
    assert_int_equal(dump.count, 4);
    for (size_t i = 0; i < dump.count; i++) {
        assert_int_not_equal(dump.ids[i], 102);
        assert_true(dump.replied[i]);
    }
    assert_int_equal(memory_store_commits(DATABASE), 1);
    assert_int_equal(f->went, 0);
}

static void second_rejection_counts_in_what_is_left(void **state)
{
    fixture_t *f = *state;
    strike_item(STORE_ITEM_MESSAGE, 0, 0, 1);
    strike_item(STORE_ITEM_MESSAGE, 1, 1, 1); /* of messages 1, 2, 3: number 2 */
    store_batch_t batch = batch_of(f, 0, 4, false);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 2);
    assert_int_equal(rejected.items[0].index, 0);
    assert_int_equal(rejected.items[1].index, 2);
    lane_rejections_clear(&rejected);
    dump_t dump = stored();
    assert_int_equal(dump.count, 2);
    assert_int_equal(dump.ids[0], 101);
    assert_int_equal(dump.ids[1], 103);
}

static void rejected_dead_letter_lets_the_reply_through(void **state)
{
    fixture_t *f = *state;
    strike_item(STORE_ITEM_DEAD_LETTER, 0, 0, 1);
    store_batch_t batch = batch_of(f, 0, 2, true);
    store_dead_letter_t letter = {
        .message = &f->messages[1], .error = FABRIC_ERROR_ENTITY_DEFECT, .attempts = 3};
    batch.dead_letters = &letter;
    batch.dead_letter_count = 1;
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 1);
    assert_int_equal(rejected.items[0].item, STORE_ITEM_DEAD_LETTER);
    lane_rejections_clear(&rejected);
    dump_t dump = stored();
    assert_int_equal(dump.count, 2);
    assert_true(dump.replied[1]);
}

/* The store refuses the whole, then the first half, then its first quarter, ... without a name. */
static void unnamed_rejection_is_halved_down(void **state)
{
    fixture_t *f = *state;
    /* Whole batch, whole again without the mark, 0-3, 0-1, 0: all refused; the rest goes in. */
    strike_item(STORE_ITEM_UNKNOWN, 0, 0, 5);
    store_batch_t batch = batch_of(f, 0, 8, false);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 1);
    assert_int_equal(rejected.items[0].item, STORE_ITEM_MESSAGE);
    assert_int_equal(rejected.items[0].index, 0);
    lane_rejections_clear(&rejected);
    dump_t dump = stored();
    assert_int_equal(dump.count, 7);
    for (size_t i = 0; i < dump.count; i++) {
        assert_int_equal(dump.ids[i], 101 + i);
    }
    assert_int_equal(memory_store_commits(DATABASE), 3);
    commit(f, 8, 1, FABRIC_OK); /* the batch number is right */
}

/* A halved batch meets an unknown outcome: nothing is written twice or left out. */
static void unknown_within_a_halved_batch(void **state)
{
    fixture_t *f = *state;
    strike_item(STORE_ITEM_UNKNOWN, 0, 0, 2);
    strike(MEMORY_STORE_COMMIT, MEMORY_STORE_UNKNOWN_AFTER, 2, 1);
    store_batch_t batch = batch_of(f, 0, 8, true);
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    assert_int_equal(rejected.count, 0);
    lane_rejections_clear(&rejected);
    dump_t dump = stored();
    assert_int_equal(dump.count, 8);
    for (size_t i = 0; i < dump.count; i++) {
        assert_true(dump.replied[i]);
    }
}

static void loads_what_is_pending_in_order(void **state)
{
    fixture_t *f = *state;
    store_batch_t batch = batch_of(f, 0, 6, false);
    batch.reply_count = 2;
    store_attempt_t attempt = {{103}, {4, 5}};
    batch.attempts = &attempt;
    batch.attempt_count = 1;
    lane_rejections_t rejected;
    assert_int_equal(lane_commit(f->lane, &batch, &rejected), FABRIC_OK);
    strike(MEMORY_STORE_LOAD, MEMORY_STORE_BUSY, 0, 1);
    strike(MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 2);
    message_t *messages = NULL;
    uint64_t high_id = 0;
    assert_int_equal(lane_load(f->lane, (request_id_t){0}, &messages, &high_id), FABRIC_OK);
    assert_int_equal(high_id, 115);
    uint64_t next = 102;
    for (const message_t *message = messages; message; message = message->chain) {
        assert_int_equal(message->stored.id.value, next++);
        assert_int_equal(message->attempts, message->stored.id.value == 103 ? 4 : 0);
        assert_int_equal(message->crashes, message->stored.id.value == 103 ? 5 : 0);
        assert_true(fabric_bytes_equal(message->stored.payload, fabric_bytes_of("payload")));
    }
    assert_int_equal(next, 106);
    message_chain_destroy(&messages);
    assert_null(messages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commits),
        TEST(unknown_and_applied_is_done),
        TEST(unknown_and_not_applied_runs_again),
        TEST(busy_is_tried_again_with_jitter),
        TEST(busy_without_end_counts_as_unavailable),
        TEST(unavailable_then_back),
        TEST(a_long_outage_makes_no_long_waits),
        TEST(refused_commits_are_one_outage),
        TEST(the_databases_own_words_are_told),
        TEST(rejections_say_why),
        TEST(stops_waiting_when_told),
        TEST(fenced),
        TEST(fenced_while_the_outcome_is_unknown),
        TEST(a_row_that_went_on_without_us_is_a_fence),
        TEST(lost_commits_are_noticed),
        TEST(lost_commits_are_not_taken_for_a_fence),
        TEST(rejected_message_takes_its_reply_along),
        TEST(second_rejection_counts_in_what_is_left),
        TEST(rejected_dead_letter_lets_the_reply_through),
        TEST(unnamed_rejection_is_halved_down),
        TEST(unknown_within_a_halved_batch),
        TEST(loads_what_is_pending_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
