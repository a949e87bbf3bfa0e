/* What handlers tell other entities, while workers and brokers are killed: it arrives once and in
 * order, if the handler's reply counts, and else never. On SQLite with one broker, and on MariaDB
 * with three. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/testbed.h"
#include "tests/harness/teller.h"

enum {
    BROKERS = 3,
    WAIT_MAX_MS = 60000,
    TELLERS = 24,
    GIFTS = 600,
    KILL_EACH = 100,
    INFLIGHT = 64
};

static const char *const quick[] = {"--backoff-ms", "20", "--backoff-max-ms", "100", NULL};

static bool is_alone(const testbed_t *bed)
{
    return strcmp(bed->store, "sqlite") == 0;
}

static void start(testbed_t *bed, uint32_t workers)
{
    bed->broker_arguments = quick;
    if (is_alone(bed)) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    bed->options.module = TELLER_MODULE;
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_wait_ready(bed, workers);
}

static void kill_worker(testbed_t *bed, uint32_t number)
{
    testbed_kill(&bed->cluster.workers[number]);
    testbed_restart_worker(bed, number);
}

static void kill_broker(testbed_t *bed, uint32_t number)
{
    if (is_alone(bed)) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        testbed_kill(&bed->cluster.brokers[number]);
        testbed_restart_number(bed, number);
    }
}

static fabric_error_t ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                          const teller_order_t *order, teller_content_t *content)
{
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(TELLER_TYPE, id),
                          .message = message,
                          .request = order,
                          .timeout_ms = WAIT_MAX_MS};
    return fabric_client_call(bed->client, &call, content, NULL, NULL, &outcome);
}

static void order(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  const char *to, int64_t amount)
{
    teller_order_t wanted = {.amount = amount};
    teller_content_t content;
    snprintf(wanted.to, sizeof wanted.to, "%s", to);
    assert_int_equal(ask(bed, id, message, &wanted, &content), FABRIC_OK);
}

static teller_content_t look(testbed_t *bed, const char *id)
{
    teller_content_t content;
    assert_int_equal(ask(bed, id, &teller_look, NULL, &content), FABRIC_OK);
    return content;
}

/* ---- many tellers ---- */

static const char *name_of(uint64_t number)
{
    static char names[2][16];
    static unsigned turn;
    char *name = names[turn++ % 2];
    snprintf(name, sizeof names[0], "teller-%u", (unsigned)(number % TELLERS));
    return name;
}

static struct {
    uint64_t started, ended;
    bool wrong;
} gifts;

static void ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    gifts.wrong = gifts.wrong || outcome->error;
    gifts.ended++;
}

static void begin_gift(testbed_t *bed)
{
    teller_order_t wanted = {.amount = 1 + (int64_t)(gifts.started % 7)};
    snprintf(wanted.to, sizeof wanted.to, "%s", name_of(gifts.started * 5 + 1));
    fabric_call_t call = {.entity = fabric_entity(TELLER_TYPE, name_of(gifts.started)),
                          .message = &teller_give,
                          .request = &wanted,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_start(bed->client, &call, ended, NULL, NULL), FABRIC_OK);
    gifts.started++;
}

static void kill_one(testbed_t *bed, uint64_t turn)
{
    if (turn % 2 == 0) {
        kill_broker(bed, (uint32_t)(turn / 2 % BROKERS));
    } else {
        kill_worker(bed, (uint32_t)(turn / 2 % 2));
    }
}

static teller_content_t sum_of_all(testbed_t *bed)
{
    teller_content_t sum = {0};
    for (uint64_t i = 0; i < TELLERS; i++) {
        teller_content_t one = look(bed, name_of(i));
        sum.amount += one.amount;
        sum.given += one.given;
        sum.taken += one.taken;
    }
    return sum;
}

/* All that was given has been taken. */
static void wait_taken(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (sum_of_all(bed).taken < gifts.started) {
        testbed_poll(deadline_ms, "what was given");
    }
    testbed_wait_drained(bed);
    teller_content_t sum = sum_of_all(bed);
    assert_int_equal(sum.amount, 0);
    assert_int_equal(sum.given, gifts.started);
    assert_int_equal(sum.taken, gifts.started);
}

static void transfers_keep_the_total(void **state)
{
    testbed_t *bed = *state;
    start(bed, 2);
    memset(&gifts, 0, sizeof gifts);
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (gifts.ended < GIFTS) {
        while (gifts.started < GIFTS && gifts.started - gifts.ended < INFLIGHT) {
            begin_gift(bed);
            if (gifts.started % KILL_EACH == 0) {
                kill_one(bed, gifts.started / KILL_EACH);
            }
        }
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of all calls");
    }
    assert_false(gifts.wrong);
    wait_taken(bed);
    for (uint32_t i = 0; i < BROKERS; i++) { /* what is not known to be sent is sent again */
        kill_broker(bed, i);
        kill_worker(bed, i % 2);
        wait_taken(bed);
    }
    assert_int_equal(testbed_sum(bed, "dead_letters"), 0);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM outbox"), 0);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), 0);
}

/* ---- two tellers ---- */

static void a_failure_tells_nothing(void **state)
{
    testbed_t *bed = *state;
    teller_order_t wanted = {"bob", 5};
    teller_content_t content;
    start(bed, 1);
    assert_int_equal(ask(bed, "alice", &teller_refuse, &wanted, &content),
                     FABRIC_ERROR_ENTITY_FAILURE);
    order(bed, "alice", &teller_give, "bob", 3); /* comes after it */
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while ((content = look(bed, "bob")).taken == 0) {
        testbed_poll(deadline_ms, "what was given");
    }
    assert_int_equal(content.amount, 3);
    assert_int_equal(look(bed, "alice").amount, -3);
}

static void numbers_arrive_in_order(void **state)
{
    enum { ROUNDS = 12, NUMBERS = 50 };
    testbed_t *bed = *state;
    start(bed, 2);
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        order(bed, "alice", &teller_count, "bob", NUMBERS);
        if (i % 3 == 2) {
            kill_one(bed, i / 3);
        }
    }
    while (look(bed, "bob").next < ROUNDS * NUMBERS) {
        testbed_poll(deadline_ms, "the last number");
    }
    assert_int_equal(look(bed, "bob").disordered, 0);
}

/* More than the links between brokers hold at once. */
static void large_messages_arrive(void **state)
{
    enum { ROUNDS = 24, PARCELS = 2 };
    testbed_t *bed = *state;
    start(bed, 1);
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        order(bed, name_of(i), &teller_post, name_of(i * 5 + 1), PARCELS);
        if (i == ROUNDS / 2) {
            kill_broker(bed, 1);
        }
    }
    uint64_t parcels = 0;
    while (parcels < (uint64_t)ROUNDS * PARCELS) {
        parcels = 0;
        for (uint64_t i = 0; i < TELLERS; i++) {
            teller_content_t content = look(bed, name_of(i));
            assert_int_equal(content.parcel_bytes, content.parcels * TELLER_PARCEL_BYTES);
            parcels += content.parcels;
        }
        testbed_poll(deadline_ms, "all parcels");
    }
    assert_int_equal(parcels, ROUNDS * PARCELS);
    assert_int_equal(testbed_sum(bed, "dead_letters"), 0);
}

#define OUTGOING_TEST(name)                                                                        \
    {                                                                                              \
#name, name, TESTBED_BOTH                                                                  \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        OUTGOING_TEST(transfers_keep_the_total),
        OUTGOING_TEST(a_failure_tells_nothing),
        OUTGOING_TEST(numbers_arrive_in_order),
        OUTGOING_TEST(large_messages_arrive),
    };
    return testbed_run("outgoing", tests, sizeof tests / sizeof tests[0]);
}
