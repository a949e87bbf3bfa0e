/* A test of the Order entity, alone and without a cluster: linked with the entity's own object file
 * and libfabric_worker. */
#include <fabric/testing.h>

#include <stdio.h>

#include "examples/order/order.h"

/* What FABRIC_MODULE exports; its first type is the Order. */
extern const fabric_module_t fabric_module;

static unsigned failures;

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

int main(void)
{
    static const order_line_t lines[] = {{"apple", 3, 50}, {"pear", 1, 80}};
    const order_label_t labels[] = {{fabric_bytes_of("source"), fabric_bytes_of("web")},
                                    {fabric_bytes_of("gift"), fabric_bytes_of("For you")}};
    order_place_t request = {
        .placed_at = 5,
        .payment = ORDER_BY_INVOICE,
        .by.invoice = {fabric_bytes_of("1 Main Street"), 90},
        .labels = labels,
        .labels_count = 2,
    };
    order_contents_t reply;
    fabric_outcome_t outcome;
    fabric_testing_t *order;
    if (fabric_testing_open(fabric_module.types[0], "order-1", &order, &outcome)) {
        printf("%s\n", outcome.text);
        return 1;
    }
    expect(fabric_testing_send(order, &order_place, &request, &reply, &outcome) == FABRIC_FAILURE &&
               outcome.code == 2,
           "an order has lines");
    request.lines = lines;
    request.lines_count = 2;
    expect(fabric_testing_send(order, &order_place, &request, &reply, &outcome) == FABRIC_FAILURE &&
               outcome.code == 3,
           "an invoice is paid in time");
    static const order_line_t many[] = {{"apple", 3000, 50}};
    request.by.invoice.days = 14;
    request.lines = many;
    request.lines_count = 1;
    bool failed =
        fabric_testing_send(order, &order_place, &request, &reply, &outcome) == FABRIC_FAILURE;
    const order_insufficient_funds_t *funds =
        (const order_insufficient_funds_t *)fabric_testing_failure(order);
    expect(failed && outcome.code == ORDER_INSUFFICIENT_FUNDS && funds &&
               funds->requested_cents == 150000,
           "an invoice has a limit");
    request.lines = lines;
    request.lines_count = 2;
    expect(fabric_testing_send(order, &order_place, &request, &reply, NULL) == FABRIC_REPLY &&
               reply.total_cents == 230,
           "an order adds up");
    expect(fabric_testing_send(order, &order_get, NULL, &reply, NULL) == FABRIC_REPLY &&
               reply.status == ORDER_PLACED && reply.lines_count == 2 &&
               reply.lines[1].quantity == 1 &&
               fabric_bytes_equal(reply.gift, fabric_bytes_of("For you")),
           "an order shows its lines and its gift");
    expect(fabric_testing_send(order, &order_place, &request, &reply, &outcome) == FABRIC_FAILURE &&
               outcome.code == ORDER_PLACED_BEFORE,
           "an order is placed once");
    request.payment = (order_payment_t)3;
    expect(fabric_testing_send(order, &order_place, &request, &reply, &outcome) == FABRIC_DEFECT &&
               outcome.error == FABRIC_ERROR_MALFORMED_MESSAGE,
           "there is no third way to pay");
    printf("%s\n", outcome.text);
    fabric_testing_close(&order);
    return failures > 0;
}
