/* Primary keys: whoever sends the same message again gets the same request id and the same reply,
 * whatever was killed meanwhile. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    WAIT_MAX_MS = 90000,
    BROKERS = 3,
    CLIENTS = 2,
    ENTITIES = 16,
    PAYMENTS = 320, /* each sent once by each client */
    KILL_AFTER = 40 /* ends of calls */
};

static size_t key_of_number(const void *request, uint8_t *key, size_t capacity)
{
    const probe_number_t *number = request;
    return (size_t)snprintf((char *)key, capacity, "payment-%llu",
                            (unsigned long long)number->number);
}

static size_t key_of_text(const void *request, uint8_t *key, size_t capacity)
{
    const probe_text_t *text = request;
    return (size_t)snprintf((char *)key, capacity, "%s", text->text);
}

/* Messages of Probe, as a program describes them that gives them keys. */
static const fabric_message_type_t keyed_append = {.tag = "Append",
                                                   .request = &probe_number_schema,
                                                   .reply = &probe_place_schema,
                                                   .durable = true,
                                                   .primary_key = key_of_number};
static const fabric_message_type_t keyed_hold = {.tag = "Hold",
                                                 .request = &probe_text_schema,
                                                 .reply = &probe_number_schema,
                                                 .durable = true,
                                                 .primary_key = key_of_text};

static fabric_client_t *others[CLIENTS];

static void close_others(void *context)
{
    (void)context;
    for (int i = 0; i < CLIENTS; i++) {
        fabric_client_close(&others[i]);
    }
}

static fabric_client_t *open_another(testbed_t *bed, int number)
{
    fabric_outcome_t outcome;
    bed->at_end = close_others;
    assert_int_equal(fabric_client_open(bed->cluster.urls, NULL, &others[number], &outcome),
                     FABRIC_OK);
    return others[number];
}

/* ---- the stored reply ---- */

typedef struct paid {
    uint64_t request_id;
    probe_place_t place;
} paid_t;

static paid_t pay(fabric_client_t *client, uint64_t number)
{
    paid_t paid;
    fabric_outcome_t outcome;
    probe_number_t request = {number};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "account"),
                          .message = &keyed_append,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    fabric_error_t error = fabric_client_call(client, &call, &paid.place, NULL, NULL, &outcome);
    if (error) {
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
    paid.request_id = outcome.request_id;
    return paid;
}

static void expect_same(paid_t again, paid_t first)
{
    assert_int_equal(again.request_id, first.request_id);
    assert_int_equal(again.place.position, first.place.position);
    assert_int_equal(again.place.hash, first.place.hash);
    assert_int_equal(again.place.delivery, first.place.delivery);
}

static bool is_checkpointed(void *context)
{
    testbed_t *bed = context;
    return testbed_counter(bed->client, "journal_bytes") == 0;
}

static void test_ip_02_a_duplicate_gets_the_stored_reply(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    fabric_client_t *other = open_another(bed, 0);
    paid_t first = pay(bed->client, 1);
    assert_int_equal(first.place.position, 1);
    expect_same(pay(other, 1), first); /* from memory, or from the store */
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    expect_same(pay(other, 1), first); /* from the journal */
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    expect_same(pay(other, 1), first); /* from its row */
    paid_t second = pay(bed->client, 2);
    assert_true(second.request_id != first.request_id);
    testbed_kill(&bed->cluster.broker);
    testbed_kill(&bed->cluster.workers[0]);
    testbed_restart_broker(bed);
    testbed_restart_worker(bed, 0);
    expect_same(pay(other, 1), first);
    expect_same(pay(bed->client, 1), first);
    expect_same(pay(bed->client, 2), second);
    paid_t third = pay(bed->client, 3); /* its home has listed the keys, and looks it up no more */
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    expect_same(pay(other, 3), third);
    probe_starts_t starts = probe_starts_read(bed->folder);
    assert_int_equal(probe_starts_count(&starts, "account"), 3);
    probe_starts_free(&starts);
}

/* ---- the running call ---- */

typedef struct ended {
    bool done;
    fabric_outcome_t outcome;
} ended_t;

static void note_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)payload;
    *(ended_t *)context = (ended_t){true, *outcome};
}

static void hold(fabric_client_t *client, ended_t *ended)
{
    static const probe_text_t gate = {"gate"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "lock"),
                          .message = &keyed_hold,
                          .request = &gate,
                          .timeout_ms = WAIT_MAX_MS};
    *ended = (ended_t){.done = false};
    assert_int_equal(fabric_client_start(client, &call, note_end, ended, NULL), FABRIC_OK);
}

static void wait_for(fabric_client_t *client, const ended_t *ended)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!ended->done) {
        (void)fabric_client_wait(client, 5);
        testbed_poll(deadline_ms, "the end of a call");
    }
    assert_int_equal(ended->outcome.error, FABRIC_OK);
}

static void wait_for_start(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t started = 0;
    while (started == 0) {
        probe_starts_t starts = probe_starts_read(bed->folder);
        started = probe_starts_count(&starts, "lock");
        probe_starts_free(&starts);
        testbed_poll(deadline_ms, "the start of a handler");
    }
}

static void a_duplicate_joins_the_running_call(void **state)
{
    testbed_t *bed = *state;
    static ended_t first, second, third;
    testbed_start(bed, 1);
    fabric_client_t *other = open_another(bed, 0);
    hold(bed->client, &first);
    wait_for_start(bed);
    hold(other, &second);
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    hold(other, &third);
    testbed_open_gate(bed, "gate");
    wait_for(bed->client, &first);
    wait_for(other, &second);
    wait_for(other, &third);
    assert_int_equal(second.outcome.request_id, first.outcome.request_id);
    assert_int_equal(third.outcome.request_id, first.outcome.request_id);
}

/* ---- crossing duplicates ---- */

typedef struct payment {
    bool done;
    uint64_t request_id;
    fabric_error_t error;
    uint8_t reply[64];
    size_t reply_size;
    char text[256];
} payment_t;

static payment_t payments[CLIENTS][PAYMENTS];
static uint64_t ends;

static void note_payment(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    payment_t *payment = context;
    payment->done = true;
    payment->error = outcome->error;
    payment->request_id = outcome->request_id;
    payment->reply_size = payload.size < sizeof payment->reply ? payload.size : 0;
    memcpy(payment->reply, payload.data, payment->reply_size);
    memcpy(payment->text, outcome->text, sizeof payment->text);
    ends++;
}

static void name_entity(unsigned number, char id[16])
{
    snprintf(id, 16, "account-%u", number % ENTITIES);
}

static void start_payment(int client, unsigned number)
{
    char id[16];
    probe_number_t request = {number};
    name_entity(number, id);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &keyed_append,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(
        fabric_client_start(others[client], &call, note_payment, &payments[client][number], NULL),
        FABRIC_OK);
}

static void wait_for_ends(uint64_t count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (ends < count) {
        for (int i = 0; i < CLIENTS; i++) {
            (void)fabric_client_wait(others[i], 2);
        }
        testbed_poll(deadline_ms, "the ends of payments");
    }
}

/* Each payment is one message, whichever client's request was first. */
static void check_payments(testbed_t *bed)
{
    for (unsigned i = 0; i < PAYMENTS; i++) {
        const payment_t *a = &payments[0][i];
        const payment_t *b = &payments[1][i];
        if (a->error || b->error) {
            fail_msg("payment %u: %s, %s", i, a->text, b->text);
        }
        assert_int_equal(a->request_id, b->request_id);
        assert_int_equal(a->reply_size, b->reply_size);
        assert_memory_equal(a->reply, b->reply, a->reply_size);
    }
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        char id[16];
        unsigned number = (unsigned)starts.items[i].number;
        name_entity(number, id);
        assert_string_equal(starts.items[i].id, id);
        assert_int_equal(starts.items[i].request_id, payments[0][number].request_id);
    }
    probe_starts_free(&starts);
}

static void test_sm_04_crossing_duplicates_are_one_message(void **state)
{
    testbed_t *bed = *state;
    testbed_start_brokers(bed, BROKERS, 2);
    memset(payments, 0, sizeof payments);
    ends = 0;
    for (int i = 0; i < CLIENTS; i++) {
        open_another(bed, i);
    }
    for (unsigned i = 0; i < PAYMENTS; i++) {
        start_payment(0, i);
        start_payment(1, i);
        if (i == PAYMENTS / 2) {
            wait_for_ends(KILL_AFTER);
            testbed_kill(&bed->cluster.brokers[1]);
        }
    }
    wait_for_ends(KILL_AFTER * 2);
    testbed_restart_number(bed, 1);
    wait_for_ends(CLIENTS * PAYMENTS);
    check_payments(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ip_02_a_duplicate_gets_the_stored_reply",
         test_ip_02_a_duplicate_gets_the_stored_reply, TESTBED_BOTH},
        {"a_duplicate_joins_the_running_call", a_duplicate_joins_the_running_call, TESTBED_BOTH},
        {"test_sm_04_crossing_duplicates_are_one_message",
         test_sm_04_crossing_duplicates_are_one_message, TESTBED_MYSQL},
    };
    return testbed_run("keys", tests, sizeof tests / sizeof tests[0]);
}
