/* The examples Order and PersistentCounter on a cluster, while workers and brokers are killed: what
 * was answered is there, and what was done is done once. On SQLite with one broker, and on MariaDB
 * with three. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/clock.h"
#include "examples/order/order.h"
#include "examples/persistent_counter/persistent_counter.h"
#include "tests/harness/testbed.h"

enum {
    BROKERS = 3,
    WAIT_MAX_MS = 60000,
    CHARGES = 24,
    ORDERS = 20,
    PATH_SIZE = FOLDER_PATH_SIZE + 40
};

static fabric_client_t *another;
static int lock = -1;

static void close_others(void *context)
{
    (void)context;
    fabric_client_close(&another);
    if (lock >= 0) {
        close(lock);
        lock = -1;
    }
}

static const char *path_of(const testbed_t *bed, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/orders/%s", bed->folder, name);
    return path;
}

static void start(testbed_t *bed, const char *module)
{
    static char variable[PATH_SIZE];
    static const char *const environment[] = {variable, NULL};
    static const char *const quick[] = {"--backoff-ms", "20", "--backoff-max-ms", "100", NULL};
    fabric_outcome_t outcome;
    snprintf(variable, sizeof variable, "ORDER_FOLDER=%s/orders", bed->folder);
    bed->worker_environment = environment;
    bed->broker_arguments = quick;
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    bed->options.module = module;
    testbed_add_worker(bed);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    bed->at_end = close_others;
    assert_int_equal(fabric_client_open(bed->cluster.urls, NULL, &another, &outcome), FABRIC_OK);
}

static void kill_workers(testbed_t *bed)
{
    for (uint32_t i = 0; i < 2; i++) {
        testbed_kill(&bed->cluster.workers[i]);
        testbed_restart_worker(bed, i);
    }
}

/* On SQLite the one broker is started again; on MariaDB the others take over. */
static void kill_broker(testbed_t *bed, uint32_t number)
{
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        testbed_kill(&bed->cluster.brokers[number]);
        testbed_restart_number(bed, number);
    }
}

static fabric_error_t call(fabric_client_t *client, const fabric_call_t *wanted, void *reply,
                           fabric_outcome_t *outcome)
{
    fabric_call_t whole = *wanted;
    whole.timeout_ms = WAIT_MAX_MS;
    fabric_error_t error = fabric_client_call(client, &whole, reply, NULL, NULL, outcome);
    if (error && error != FABRIC_ERROR_ENTITY_FAILURE) {
        fail_msg("%s: %s: %s", wanted->message->tag, fabric_error_name(error), outcome->text);
    }
    return error;
}

/* ---- orders ---- */

static fabric_call_t call_of(const char *id, const fabric_message_type_t *message)
{
    return (fabric_call_t){.entity = fabric_entity("Order", id), .message = message};
}

static void place(testbed_t *bed, const char *id, const char *card)
{
    static const order_line_t lines[] = {{"widget", 2, 4995}};
    const order_place_t request = {.placed_at = 1,
                                   .lines = lines,
                                   .lines_count = 1,
                                   .payment = ORDER_BY_CARD,
                                   .by.card = {fabric_bytes_of(card)}};
    fabric_outcome_t outcome;
    fabric_call_t wanted = call_of(id, &order_place);
    wanted.request = &request;
    uint8_t *payload = NULL;
    order_contents_t contents;
    wanted.timeout_ms = WAIT_MAX_MS;
    fabric_error_t error =
        fabric_client_call(bed->client, &wanted, &contents, &payload, NULL, &outcome);
    free(payload);
    if (error) {
        fail_msg("Place %s: %s", id, outcome.text);
    }
}

static void expect_order(testbed_t *bed, const char *id, order_status_t status, uint64_t payment)
{
    fabric_outcome_t outcome;
    uint8_t *payload = NULL;
    order_contents_t contents = {0};
    fabric_call_t wanted = call_of(id, &order_get);
    wanted.timeout_ms = WAIT_MAX_MS;
    fabric_error_t error =
        fabric_client_call(bed->client, &wanted, &contents, &payload, NULL, &outcome);
    free(payload);
    if (error) {
        fail_msg("Get %s: %s", id, outcome.text);
    }
    assert_int_equal(contents.status, status);
    assert_int_equal(contents.has_payment, payment != 0);
    assert_int_equal(contents.payment, payment);
    assert_int_equal(contents.total_cents, 9990);
}

static order_receipt_t charge(fabric_client_t *client, const char *id, fabric_call_key_t *key)
{
    fabric_outcome_t outcome;
    order_receipt_t receipt = {0};
    fabric_call_t wanted = call_of(id, &order_charge);
    wanted.key = *key;
    if (call(client, &wanted, &receipt, &outcome)) {
        fail_msg("Charge %s: %s", id, outcome.text);
    }
    *key = outcome.key;
    return receipt;
}

static void expect_failure(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                           int32_t number)
{
    fabric_outcome_t outcome;
    fabric_call_t wanted = call_of(id, message);
    wanted.timeout_ms = WAIT_MAX_MS;
    assert_int_equal(fabric_client_call(bed->client, &wanted, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_non_null(outcome.failure);
    assert_int_equal(outcome.failure->number, number);
}

/* How many payments the bank has made. */
static unsigned payments(const testbed_t *bed)
{
    char path[PATH_SIZE];
    unsigned lines = 0;
    FILE *file = fopen(path_of(bed, "payments", path), "re");
    for (int c = file ? getc(file) : EOF; c != EOF; c = getc(file)) {
        lines += c == '\n';
    }
    if (file) {
        fclose(file);
    }
    return lines;
}

static void an_order_survives_and_its_second_charge_returns_the_first_payment(void **state)
{
    testbed_t *bed = *state;
    fabric_call_key_t key = {0};
    fabric_call_key_t second = {0};
    start(bed, "../examples/order/order.so");
    expect_failure(bed, "order-0", &order_get, ORDER_UNKNOWN);
    expect_failure(bed, "order-0", &order_charge, ORDER_UNKNOWN);
    place(bed, "order-123", "card-1");
    kill_workers(bed);
    expect_order(bed, "order-123", ORDER_PLACED, 0);
    order_receipt_t first = charge(bed->client, "order-123", &key);
    assert_false(first.already_paid);
    kill_workers(bed);
    kill_broker(bed, 0);
    expect_order(bed, "order-123", ORDER_PAID, first.payment);
    order_receipt_t again = charge(another, "order-123", &second);
    assert_true(again.already_paid);
    assert_int_equal(again.payment, first.payment);
    again = charge(bed->client, "order-123", &key); /* the first call */
    assert_false(again.already_paid);
    assert_int_equal(again.payment, first.payment);
    assert_int_equal(payments(bed), 1);
}

static void an_order_survives_a_payment_that_is_declined(void **state)
{
    testbed_t *bed = *state;
    start(bed, "../examples/order/order.so");
    place(bed, "order-error", "declined");
    expect_failure(bed, "order-error", &order_charge, ORDER_DECLINED);
    expect_order(bed, "order-error", ORDER_PLACED, 0);
    kill_workers(bed);
    expect_failure(bed, "order-error", &order_charge, ORDER_DECLINED);
    expect_order(bed, "order-error", ORDER_PLACED, 0);
    assert_int_equal(payments(bed), 0);
}

/* ---- charges under way ---- */

typedef struct charges {
    unsigned started, ended, first; /* first: those that were not paid before */
    uint64_t payments[ORDERS];      /* of each order, as its replies say */
    bool differ, failed;
} charges_t;

static charges_t charges;

static void ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    uint64_t *payment = context;
    order_receipt_t receipt = {0};
    charges.ended++;
    if (outcome->error ||
        fabric_schema_decode(&order_receipt_schema, payload, NULL, &receipt) != FABRIC_OK) {
        charges.failed = true;
        return;
    }
    charges.differ = charges.differ || (*payment != 0 && *payment != receipt.payment);
    charges.first += !receipt.already_paid;
    *payment = receipt.payment;
}

static void begin_charge(fabric_client_t *client, const char *id, uint64_t *payment)
{
    fabric_call_t wanted = call_of(id, &order_charge);
    wanted.timeout_ms = WAIT_MAX_MS;
    assert_int_equal(fabric_client_start(client, &wanted, ended, payment, NULL), FABRIC_OK);
    charges.started++;
}

static void wait_for_charges(testbed_t *bed, unsigned count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (charges.ended < count) {
        (void)fabric_client_wait(bed->client, 5);
        (void)fabric_client_process(another);
        testbed_poll(deadline_ms, "the ends of the charges");
    }
    assert_false(charges.failed);
    assert_false(charges.differ);
}

/* The record cannot be saved while the test holds its lock, so the worker dies between the payment
 * and the record. */
static void a_payment_is_made_once_when_its_worker_dies_before_it_is_recorded(void **state)
{
    testbed_t *bed = *state;
    char path[PATH_SIZE];
    charges = (charges_t){0};
    start(bed, "../examples/order/order.so");
    place(bed, "order-456", "card-2");
    lock = open(path_of(bed, "lock", path), O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0 && flock(lock, LOCK_EX) == 0);
    begin_charge(bed->client, "order-456", &charges.payments[0]);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (payments(bed) == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the payment");
    }
    kill_workers(bed);
    assert_int_equal(charges.ended, 0);
    close(lock);
    lock = -1;
    wait_for_charges(bed, 1);
    assert_int_equal(charges.first, 1);
    assert_int_equal(charges.payments[0], 1);
    assert_int_equal(payments(bed), 1);
    expect_order(bed, "order-456", ORDER_PAID, 1);
}

static void of_charges_at_once_one_pays(void **state)
{
    testbed_t *bed = *state;
    charges = (charges_t){0};
    start(bed, "../examples/order/order.so");
    place(bed, "order-789", "card-3");
    for (unsigned i = 0; i < CHARGES; i++) {
        begin_charge(i % 2 == 0 ? bed->client : another, "order-789", &charges.payments[0]);
    }
    wait_for_charges(bed, CHARGES);
    assert_int_equal(charges.first, 1);
    assert_int_equal(payments(bed), 1);
    expect_order(bed, "order-789", ORDER_PAID, charges.payments[0]);
}

/* Three charges for each order, between which workers and brokers die. */
static void orders_under_load_are_paid_once(void **state)
{
    testbed_t *bed = *state;
    char ids[ORDERS][16];
    charges = (charges_t){0};
    start(bed, "../examples/order/order.so");
    for (unsigned i = 0; i < ORDERS; i++) {
        snprintf(ids[i], sizeof ids[i], "load-%u", i);
        place(bed, ids[i], "card-4");
    }
    for (unsigned i = 0; i < 3 * ORDERS; i++) {
        unsigned order = i % ORDERS;
        begin_charge(i % 2 == 0 ? bed->client : another, ids[order], &charges.payments[order]);
        if (i % ORDERS == 5) {
            kill_workers(bed);
        } else if (i % ORDERS == 15) {
            kill_broker(bed, i / ORDERS);
        }
    }
    wait_for_charges(bed, charges.started);
    assert_int_equal(charges.first, ORDERS);
    assert_int_equal(payments(bed), ORDERS);
    for (unsigned i = 0; i < ORDERS; i++) {
        expect_order(bed, ids[i], ORDER_PAID, charges.payments[i]);
    }
}

/* ---- a persistent counter ---- */

static size_t key_of_amount(const void *request, uint8_t *key, size_t capacity)
{
    const persistent_counter_increment_request_t *increment = request;
    return (size_t)snprintf((char *)key, capacity, "payment-%" PRId64, increment->amount);
}

/* The counter's Increment, for a program that knows an increment by its amount. */
static const fabric_message_type_t keyed_increment = {
    .tag = "Increment",
    .request = &persistent_counter_increment_schema,
    .reply = &persistent_counter_value_schema,
    .durable = true,
    .primary_key = key_of_amount,
};

static int64_t increment(fabric_client_t *client, const fabric_message_type_t *message,
                         int64_t amount, fabric_call_key_t *key)
{
    fabric_outcome_t outcome;
    persistent_counter_value_t value = {0};
    const persistent_counter_increment_request_t request = {amount};
    const fabric_call_t wanted = {.entity = fabric_entity("PersistentCounter", "counter-1"),
                                  .message = message,
                                  .request = &request,
                                  .key = key ? *key : (fabric_call_key_t){0}};
    fabric_error_t error = call(client, &wanted, &value, &outcome);
    if (key) {
        *key = outcome.key;
    }
    return error ? -1 : value.value;
}

static void an_increment_that_is_sent_again_counts_once(void **state)
{
    testbed_t *bed = *state;
    const fabric_message_type_t *plain = &persistent_counter_increment;
    fabric_call_key_t key = {0};
    start(bed, "../examples/persistent_counter/persistent_counter.so");
    assert_int_equal(increment(bed->client, plain, 5, &key), 5);
    assert_int_equal(increment(bed->client, &keyed_increment, 20, NULL), 25);
    kill_workers(bed);
    kill_broker(bed, 1);
    assert_int_equal(increment(bed->client, plain, 5, &key), 5);          /* the same call */
    assert_int_equal(increment(another, &keyed_increment, 20, NULL), 25); /* the same message */
    assert_int_equal(increment(another, plain, 5, NULL), 30);             /* another one */
}

static void an_overflow_changes_nothing_and_the_counter_goes_on(void **state)
{
    testbed_t *bed = *state;
    const fabric_message_type_t *plain = &persistent_counter_increment;
    fabric_call_key_t key = {0};
    start(bed, "../examples/persistent_counter/persistent_counter.so");
    assert_int_equal(increment(bed->client, plain, 7, NULL), 7);
    assert_int_equal(increment(bed->client, plain, INT64_MAX, &key), -1);
    assert_int_equal(increment(bed->client, plain, 1, NULL), 8);
    kill_workers(bed);
    kill_broker(bed, 2);
    assert_int_equal(increment(bed->client, plain, INT64_MAX, &key), -1); /* the same failure */
    assert_int_equal(increment(bed->client, plain, 1, NULL), 9);
}

#define DURABILITY_TEST(name)                                                                      \
    {                                                                                              \
#name, name, TESTBED_BOTH                                                                  \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        DURABILITY_TEST(an_order_survives_and_its_second_charge_returns_the_first_payment),
        DURABILITY_TEST(an_order_survives_a_payment_that_is_declined),
        DURABILITY_TEST(a_payment_is_made_once_when_its_worker_dies_before_it_is_recorded),
        DURABILITY_TEST(of_charges_at_once_one_pays),
        DURABILITY_TEST(orders_under_load_are_paid_once),
        DURABILITY_TEST(an_increment_that_is_sent_again_counts_once),
        DURABILITY_TEST(an_overflow_changes_nothing_and_the_counter_goes_on),
    };
    return testbed_run("durability", tests, sizeof tests / sizeof tests[0]);
}
