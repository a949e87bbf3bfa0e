/* The Order entity: lines that are ordered once. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include "examples/order/order.h"

enum { LINES_MAX = 50, GIFT_MAX = 100, CREDIT_CENTS = 100000 };

typedef struct order {
    order_status_t status;
    int64_t placed_at;
    int64_t total_cents;
    order_line_t lines[LINES_MAX];
    uint32_t lines_count;
    char gift[GIFT_MAX + 1];
} order_t;

/* The value of a label, or an empty one. The keys of a map ascend, so it is searched by halves. */
static fabric_bytes_t label_value(const order_place_t *request, const char *name)
{
    fabric_bytes_t wanted = fabric_bytes_of(name);
    uint32_t first = 0;
    uint32_t count = request->labels_count;
    while (count > 0) {
        const order_label_t *label = &request->labels[first + count / 2];
        size_t size = label->key.size < wanted.size ? label->key.size : wanted.size;
        int order = size > 0 ? memcmp(label->key.data, wanted.data, size) : 0;
        if (order == 0 && label->key.size == wanted.size) {
            return label->value;
        }
        if (order < 0 || (order == 0 && label->key.size < wanted.size)) {
            first += count / 2 + 1;
            count -= count / 2 + 1;
        } else {
            count /= 2;
        }
    }
    return fabric_bytes(NULL, 0);
}

/* The reply's lines and gift are views of the state, which stays until the reply is encoded. */
static void show(const order_t *order, order_contents_t *contents)
{
    contents->status = order->status;
    contents->placed_at = order->placed_at;
    contents->total_cents = order->total_cents;
    contents->lines = order->lines;
    contents->lines_count = order->lines_count;
    contents->gift = fabric_bytes_of(order->gift);
}

static bool add_up(const order_place_t *request, int64_t *total_cents)
{
    *total_cents = 0;
    for (uint32_t i = 0; i < request->lines_count; i++) {
        const order_line_t *line = &request->lines[i];
        int64_t price;
        if (__builtin_mul_overflow(line->price_cents, (int64_t)line->quantity, &price) ||
            __builtin_add_overflow(*total_cents, price, total_cents)) {
            return false;
        }
    }
    return true;
}

static fabric_result_t place(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    order_t *order = (order_t *)state;
    const order_place_t *wanted = (const order_place_t *)request;
    fabric_bytes_t gift = label_value(wanted, "gift");
    int64_t total_cents;
    if (order->status != ORDER_NEW && fabric_context_delivery(context) > 1) {
        show(order, (order_contents_t *)reply); /* it may be this message that placed it */
        return FABRIC_REPLY;
    }
    if (order->status != ORDER_NEW) {
        order_placed_before_t failure = {.placed_at = order->placed_at};
        return fabric_fail_with(context, ORDER_PLACED_BEFORE, &failure);
    }
    if (wanted->lines_count < 1 || wanted->lines_count > LINES_MAX || gift.size > GIFT_MAX) {
        return fabric_fail(context, 2,
                           "an order has 1 to %d lines, and a gift's text at most %d bytes",
                           LINES_MAX, GIFT_MAX);
    }
    if (wanted->payment == ORDER_BY_INVOICE && wanted->by.invoice.days > 60) {
        return fabric_fail(context, 3, "an invoice is paid within 60 days");
    }
    if (!add_up(wanted, &total_cents)) {
        return fabric_fail(context, 4, "the total is too large");
    }
    if (wanted->payment == ORDER_BY_INVOICE && total_cents > CREDIT_CENTS) {
        order_insufficient_funds_t failure = {.balance_cents = CREDIT_CENTS,
                                              .requested_cents = total_cents};
        return fabric_fail_with(context, ORDER_INSUFFICIENT_FUNDS, &failure);
    }
    order->status = ORDER_PLACED;
    order->placed_at = wanted->placed_at;
    order->total_cents = total_cents;
    order->lines_count = wanted->lines_count;
    memcpy(order->lines, wanted->lines, wanted->lines_count * sizeof *wanted->lines);
    if (gift.size > 0) {
        memcpy(order->gift, gift.data, gift.size);
    }
    show(order, (order_contents_t *)reply);
    return FABRIC_REPLY;
}

static fabric_result_t get(fabric_context_t *context, void *state, const void *request, void *reply)
{
    (void)context;
    (void)request; /* Get carries nothing */
    show((const order_t *)state, (order_contents_t *)reply);
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&order_place, place}, {&order_get, get}};

static const fabric_entity_type_t order_type = {
    .name = "Order",
    .state_size = sizeof(order_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    /* An order that a broken handler cannot place waits for people: fabricctl entity resume. */
    .on_failure = FABRIC_PARK,
};

FABRIC_MODULE(&order_type);
