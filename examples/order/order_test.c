/* A test of the Order entity, alone and without a cluster: linked with the entity's own object
 * files and libfabric_worker. The shop's records are in a folder of the test, and its bank is one
 * that the test can make fail. */
#include <fabric/testing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/order/order.h"
#include "examples/order/order_shop.h"

/* What FABRIC_MODULE exports; its first type is the Order. */
extern const fabric_module_t fabric_module;

static fabric_testing_t *order;
static fabric_outcome_t outcome;
static char folder[] = "/tmp/order-test-XXXXXX";
static unsigned failures;

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

/* ---- a bank ---- */

static order_bank_fn *real_bank;
static enum { PAYS, DECLINES, PAYS_IN_VAIN, PAYS_IN_SILENCE } mood;
static unsigned charges; /* of all keys */

static order_bank_answer_t bank(const char *key, fabric_bytes_t payer, int64_t cents,
                                uint64_t *payment)
{
    charges++;
    if (mood == DECLINES) {
        return ORDER_BANK_DECLINED;
    }
    order_bank_answer_t answer = real_bank(key, payer, cents, payment);
    if (mood == PAYS_IN_VAIN) {
        setenv("ORDER_FOLDER", "/dev/null/nowhere", 1); /* so that the record cannot be saved */
    }
    return mood == PAYS_IN_SILENCE ? ORDER_BANK_SILENT : answer;
}

/* How many payments the bank has made. */
static uint64_t payments(void)
{
    char path[100];
    uint64_t count = 0;
    snprintf(path, sizeof path, "%s/payments", folder);
    FILE *file = fopen(path, "re");
    for (int c = file ? getc(file) : EOF; c != EOF; c = getc(file)) {
        count += c == '\n';
    }
    if (file) {
        fclose(file);
    }
    return count;
}

/* ---- messages ---- */

static const order_line_t lines[] = {{"apple", 3, 50}, {"pear", 1, 80}};
static const order_label_t labels[] = {
    {{(const uint8_t *)"source", 6}, {(const uint8_t *)"web", 3}},
    {{(const uint8_t *)"gift", 4}, {(const uint8_t *)"You", 3}}};
static order_place_t request = {.placed_at = 5,
                                .lines = lines,
                                .lines_count = 2,
                                .payment = ORDER_BY_INVOICE,
                                .by.invoice = {{(const uint8_t *)"1 Main Street", 13}, 14},
                                .labels = labels,
                                .labels_count = 2};
static order_contents_t contents;
static order_receipt_t receipt;

static bool open_order(const char *id)
{
    fabric_testing_close(&order);
    return !fabric_testing_open(fabric_module.types[0], id, &order, &outcome);
}

static fabric_result_t place(void)
{
    return fabric_testing_send(order, &order_place, &request, &contents, &outcome);
}

static fabric_result_t get(void)
{
    contents = (order_contents_t){0};
    return fabric_testing_send(order, &order_get, NULL, &contents, &outcome);
}

static fabric_result_t charge(void)
{
    receipt = (order_receipt_t){0};
    return fabric_testing_send(order, &order_charge, NULL, &receipt, &outcome);
}

static bool fails(fabric_result_t result, uint64_t code)
{
    return result == FABRIC_FAILURE && outcome.code == code;
}

static bool is(order_status_t status, uint64_t payment)
{
    return get() == FABRIC_REPLY && contents.status == status &&
           contents.has_payment == (payment != 0) && contents.payment == payment;
}

/* ---- placing ---- */

static void test_placing(void)
{
    static const order_line_t many[] = {{"apple", 3000, 50}};
    order_place_t good = request;
    request.lines_count = 0;
    expect(open_order("order-1") && fails(place(), 2), "an order has lines");
    request.lines_count = 2;
    request.by.invoice.days = 90;
    expect(fails(place(), 3), "an invoice is paid in time");
    request.by.invoice.days = 14;
    request.lines = many;
    request.lines_count = 1;
    bool failed = fails(place(), ORDER_INSUFFICIENT_FUNDS);
    const order_insufficient_funds_t *funds =
        (const order_insufficient_funds_t *)fabric_testing_failure(order);
    expect(failed && funds && funds->requested_cents == 150000, "an invoice has a limit");
    request = good;
    expect(fails(get(), ORDER_UNKNOWN) && fails(charge(), ORDER_UNKNOWN) && charges == 0,
           "an order that was never placed is not found");
    expect(place() == FABRIC_REPLY && contents.total_cents == 230, "an order adds up");
    expect(is(ORDER_PLACED, 0) && contents.lines_count == 2 && contents.lines[1].quantity == 1 &&
               fabric_bytes_equal(contents.gift, fabric_bytes_of("You")),
           "an order shows its lines and its gift");
    expect(fails(place(), ORDER_PLACED_BEFORE), "an order is placed once");
    request.payment = (order_payment_t)3;
    expect(place() == FABRIC_DEFECT && outcome.error == FABRIC_ERROR_MALFORMED_MESSAGE,
           "there is no third way to pay");
    printf("%s\n", outcome.text);
    request = good;
}

/* ---- what survives, and what happens once ---- */

static void test_state(void)
{
    uint8_t record[ORDER_RECORD_MAX];
    size_t size;
    expect(order_shop_load(fabric_bytes_of("order-1"), record, &size) && size > 0,
           "an order that was answered is in the records");
    fabric_testing_restart(order);
    expect(!fabric_testing_has_instance(order) && is(ORDER_PLACED, 0) && contents.lines_count == 2,
           "a new instance begins with its record");
    expect(charge() == FABRIC_REPLY && !receipt.already_paid, "an order is paid");
    uint64_t payment = receipt.payment;
    fabric_testing_restart(order);
    expect(is(ORDER_PAID, payment), "a paid order survives its worker");
    expect(charge() == FABRIC_REPLY && receipt.already_paid && receipt.payment == payment &&
               payments() == 1,
           "a second charge returns the first payment");
    expect(!order_shop_save(fabric_bytes_of("order-1"), (fabric_token_t){0, 0},
                            fabric_bytes(record, size)) &&
               is(ORDER_PAID, payment),
           "a worker that has lost the order overwrites nothing");
}

/* A message is delivered again, and its effect is not. */
static void test_effects(void)
{
    open_order("order-2");
    fabric_testing_fail_store(order); /* the reply is lost, and its worker */
    expect(place() == FABRIC_REPLY && contents.status == ORDER_PLACED,
           "an order that is placed again by the same message is that order");
    uint64_t before = payments();
    charges = 0;
    fabric_testing_fail_store(order);
    expect(charge() == FABRIC_REPLY && !receipt.already_paid && payments() == before + 1,
           "a charge whose reply was lost is paid once");
    open_order("order-3");
    bool placed = place() == FABRIC_REPLY;
    mood = PAYS_IN_VAIN;
    bool broke = charge() == FABRIC_DEFECT;
    mood = PAYS;
    setenv("ORDER_FOLDER", folder, 1);
    expect(placed && broke && fabric_testing_retry(order, &receipt, NULL) == FABRIC_REPLY &&
               receipt.payment == before + 2 && payments() == before + 2 &&
               is(ORDER_PAID, before + 2),
           "a payment that was not recorded is found by its key");
    open_order("order-4");
    placed = place() == FABRIC_REPLY;
    mood = PAYS_IN_SILENCE;
    broke = charge() == FABRIC_DEFECT;
    mood = PAYS;
    expect(placed && broke && fabric_testing_retry(order, &receipt, NULL) == FABRIC_REPLY &&
               payments() == before + 3,
           "a bank that does not answer is asked again, and is paid once");
}

static void test_failures(void)
{
    open_order("order-5");
    bool placed = place() == FABRIC_REPLY;
    mood = DECLINES;
    expect(placed && fails(charge(), ORDER_DECLINED) && is(ORDER_PLACED, 0),
           "a payment that is declined changes nothing");
    expect(fabric_testing_has_instance(order), "an order survives a failure");
    mood = PAYS;
    expect(charge() == FABRIC_REPLY && !receipt.already_paid && is(ORDER_PAID, receipt.payment),
           "a payment that was declined may be tried again");
}

static void remove_folder(void)
{
    static const char *const names[] = {"order-1.order", "order-2.order", "order-3.order",
                                        "order-4.order", "order-5.order", "payments",
                                        "lock"};
    char path[100];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    if (!mkdtemp(folder) || setenv("ORDER_FOLDER", folder, 1)) {
        perror(folder);
        return 1;
    }
    real_bank = order_bank;
    order_bank = bank;
    test_placing();
    test_state();
    test_effects();
    test_failures();
    fabric_testing_close(&order);
    remove_folder();
    return failures > 0;
}
