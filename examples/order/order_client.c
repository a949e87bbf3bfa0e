/* Places an order and prints what the entity answers: order_client URL [ID [APPLES]] */
#include <fabric/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/order/order.h"

static void print(const order_contents_t *contents)
{
    printf("status %d, %" PRId64 " cents, gift \"%.*s\"\n", (int)contents->status,
           contents->total_cents, (int)contents->gift.size, (const char *)contents->gift.data);
    for (uint32_t i = 0; i < contents->lines_count; i++) {
        printf("%" PRIu32 " %s\n", contents->lines[i].quantity, contents->lines[i].sku);
    }
}

int main(int argc, char **argv)
{
    order_line_t lines[] = {{"apple", 3, 50}, {"pear", 1, 80}};
    const order_label_t labels[] = {{fabric_bytes_of("source"), fabric_bytes_of("web")},
                                    {fabric_bytes_of("gift"), fabric_bytes_of("For you")}};
    order_place_t request = {
        .placed_at = 1735689600000, /* 2025-01-01T00:00:00Z */
        .lines = lines,
        .lines_count = 2,
        .payment = ORDER_BY_INVOICE,
        .by.invoice = {fabric_bytes_of("1 Main Street"), 14},
        .labels = labels,
        .labels_count = 2,
    };
    fabric_client_t *client;
    fabric_outcome_t outcome;
    order_contents_t reply;
    uint8_t *payload;
    union { /* of the structs of all failures */
        order_placed_before_t placed_before;
        order_insufficient_funds_t insufficient_funds;
    } failure;
    if (argc < 2 || fabric_client_open(argv[1], NULL, &client, &outcome)) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: order_client URL [ID [APPLES]]" : outcome.text);
        return 1;
    }
    if (argc > 3) {
        lines[0].quantity = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    fabric_call_t call = {.entity = fabric_entity("Order", argc > 2 ? argv[2] : "order-1"),
                          .message = &order_place,
                          .request = &request,
                          .failure = &failure,
                          .failure_size = sizeof failure};
    /* The views of the reply point into its payload, which is freed when they are not needed. */
    fabric_error_t error = fabric_client_call(client, &call, &reply, &payload, NULL, &outcome);
    if (outcome.failure && outcome.failure->number == ORDER_INSUFFICIENT_FUNDS) {
        printf("%" PRId64 " cents too much\n", failure.insufficient_funds.requested_cents -
                                                   failure.insufficient_funds.balance_cents);
        error = FABRIC_OK; /* an answer that this program knows */
    } else if (error) {
        fprintf(stderr, "%s\n", outcome.text);
    } else {
        print(&reply);
    }
    free(payload);
    fabric_client_close(&client);
    return error ? 1 : 0;
}
