/* Places an order, has it paid, and prints what the entity answers. Whoever runs it again gets
 * the payment that there is: order_client URL [ID [APPLES]] */
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

/* Whether that went well; *placed: there is an order now, which can be paid. */
static bool place(fabric_client_t *client, const char *id, uint32_t apples, bool *placed)
{
    const order_line_t lines[] = {{"apple", apples, 50}, {"pear", 1, 80}};
    const order_label_t labels[] = {{fabric_bytes_of("source"), fabric_bytes_of("web")},
                                    {fabric_bytes_of("gift"), fabric_bytes_of("For you")}};
    const order_place_t request = {
        .placed_at = 1735689600000, /* 2025-01-01T00:00:00Z */
        .lines = lines,
        .lines_count = 2,
        .payment = ORDER_BY_INVOICE,
        .by.invoice = {fabric_bytes_of("1 Main Street"), 14},
        .labels = labels,
        .labels_count = 2,
    };
    fabric_outcome_t outcome;
    order_contents_t reply;
    uint8_t *payload;
    union { /* of the structs of all failures */
        order_placed_before_t placed_before;
        order_insufficient_funds_t insufficient_funds;
    } failure;
    fabric_call_t call = {.entity = fabric_entity("Order", id),
                          .message = &order_place,
                          .request = &request,
                          .failure = &failure,
                          .failure_size = sizeof failure};
    /* The views of the reply point into its payload, which is freed when they are not needed. */
    fabric_error_t error = fabric_client_call(client, &call, &reply, &payload, NULL, &outcome);
    *placed = !error;
    if (outcome.failure && outcome.failure->number == ORDER_INSUFFICIENT_FUNDS) {
        printf("%" PRId64 " cents too much\n", failure.insufficient_funds.requested_cents -
                                                   failure.insufficient_funds.balance_cents);
        error = FABRIC_OK; /* an answer that this program knows */
    } else if (outcome.failure && outcome.failure->number == ORDER_PLACED_BEFORE) {
        *placed = true;
        error = FABRIC_OK;
    } else if (error) {
        fprintf(stderr, "%s\n", outcome.text);
    } else {
        print(&reply);
    }
    free(payload);
    return error == FABRIC_OK;
}

static bool charge(fabric_client_t *client, const char *id)
{
    order_receipt_t receipt;
    fabric_outcome_t outcome;
    if (fabric_client_ask(client, fabric_entity("Order", id), &order_charge, NULL, &receipt,
                          &outcome)) {
        fprintf(stderr, "%s\n", outcome.text);
        return false;
    }
    printf("payment %" PRIu64 "%s\n", receipt.payment, receipt.already_paid ? ", made before" : "");
    return true;
}

int main(int argc, char **argv)
{
    const char *id = argc > 2 ? argv[2] : "order-1";
    uint32_t apples = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 3;
    fabric_client_t *client;
    fabric_outcome_t outcome;
    if (argc < 2 || fabric_client_open(argv[1], NULL, &client, &outcome)) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: order_client URL [ID [APPLES]]" : outcome.text);
        return 1;
    }
    bool placed = false;
    bool good = place(client, id, apples, &placed) && (!placed || charge(client, id));
    fabric_client_close(&client);
    return good ? 0 : 1;
}
