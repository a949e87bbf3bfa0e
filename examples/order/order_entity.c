/* The Order entity: lines that are ordered once, and paid once. Built as a module for
 * fabric-worker.
 *
 * Its state is not in the fabric but in the shop's own records, where other programs read it, too:
 * an instance begins with its record, and a handler saves the record before it replies. A message
 * that is delivered again finds in the record what it has done before, by its key. */
#include <fabric/worker.h>

#include <stdio.h>

#include "examples/order/order.h"
#include "examples/order/order_shop.h"

enum { LINES_MAX = 50, TEXT_MAX = 100, KEY_MAX = 63, CREDIT_CENTS = 100000 };

typedef struct order {
    order_status_t status;
    int64_t placed_at;
    int64_t total_cents;
    order_line_t lines[LINES_MAX];
    uint32_t lines_count;
    char gift[TEXT_MAX + 1];
    char payer[TEXT_MAX + 1];
    uint64_t payment;
    char placed_by[KEY_MAX + 1]; /* the keys of the messages that did it */
    char paid_by[KEY_MAX + 1];
} order_t;

static const fabric_field_t record_fields[] = {
    FABRIC_ENUM(order_t, status, order_statuses),
    FABRIC_TIMESTAMP(order_t, placed_at),
    FABRIC_I64(order_t, total_cents),
    FABRIC_LIST(order_t, lines, lines_count, order_line_schema),
    FABRIC_STRING(order_t, gift),
    FABRIC_STRING(order_t, payer),
    FABRIC_U64(order_t, payment),
    FABRIC_STRING(order_t, placed_by),
    FABRIC_STRING(order_t, paid_by),
};
static const fabric_schema_t record_schema = FABRIC_SCHEMA("Order", order_t, record_fields);

/* ---- the record ---- */

static bool load(fabric_instance_t *instance, void *state)
{
    uint8_t record[ORDER_RECORD_MAX];
    size_t size;
    fabric_schema_fault_t fault = {""};
    fabric_bytes_t id = fabric_instance_address(instance).id;
    if (!order_shop_takes(id)) {
        return true; /* no such order can be placed */
    }
    if (!order_shop_load(id, record, &size)) {
        return fabric_build_failed(instance, "the record cannot be read");
    }
    if (size > 0 &&
        fabric_schema_decode(&record_schema, fabric_bytes(record, size), &fault, state)) {
        return fabric_build_failed(instance, "the record: %s", fault.text);
    }
    return true;
}

/* What is not saved must not be in memory either: so a handler changes a copy. After a defect the
 * next instance loads the record. */
static bool save(fabric_context_t *context, order_t *order, const order_t *changed)
{
    uint8_t record[ORDER_RECORD_MAX];
    size_t size;
    if (fabric_schema_encode(&record_schema, changed, record, sizeof record, NULL, &size) ||
        !order_shop_save(fabric_context_id(context), fabric_context_token(context),
                         fabric_bytes(record, size))) {
        return false;
    }
    *order = *changed;
    return true;
}

/* ---- messages ---- */

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
    contents->has_payment = order->status == ORDER_PAID;
    contents->payment = order->payment;
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

static void copy_text(fabric_bytes_t text, char copy[TEXT_MAX + 1])
{
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
}

static fabric_bytes_t payer_of(const order_place_t *request)
{
    return request->payment == ORDER_BY_CARD ? request->by.card.token : request->by.invoice.address;
}

/* Whether the order can be placed; else the failure is set. */
static bool accept(fabric_context_t *context, const order_place_t *wanted, int64_t *total_cents,
                   fabric_result_t *result)
{
    if (wanted->lines_count < 1 || wanted->lines_count > LINES_MAX ||
        label_value(wanted, "gift").size > TEXT_MAX || payer_of(wanted).size > TEXT_MAX ||
        !order_shop_takes(fabric_context_id(context))) {
        *result = fabric_fail(context, 2,
                              "an order has 1 to %d lines, texts of at most %d bytes, and an id of "
                              "letters, digits, '-' and '_'",
                              LINES_MAX, TEXT_MAX);
    } else if (wanted->payment == ORDER_BY_INVOICE && wanted->by.invoice.days > 60) {
        *result = fabric_fail(context, 3, "an invoice is paid within 60 days");
    } else if (!add_up(wanted, total_cents)) {
        *result = fabric_fail(context, 4, "the total is too large");
    } else if (wanted->payment == ORDER_BY_INVOICE && *total_cents > CREDIT_CENTS) {
        order_insufficient_funds_t failure = {.balance_cents = CREDIT_CENTS,
                                              .requested_cents = *total_cents};
        *result = fabric_fail_with(context, ORDER_INSUFFICIENT_FUNDS, &failure);
    } else {
        return true;
    }
    return false;
}

static fabric_result_t place(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    order_t *order = (order_t *)state;
    const order_place_t *wanted = (const order_place_t *)request;
    const char *key = fabric_context_effect_key(context, "place");
    order_t placed = {.status = ORDER_PLACED};
    fabric_result_t result;
    if (order->status != ORDER_NEW && strcmp(order->placed_by, key) != 0) {
        order_placed_before_t failure = {.placed_at = order->placed_at};
        return fabric_fail_with(context, ORDER_PLACED_BEFORE, &failure);
    }
    if (order->status == ORDER_NEW) {
        if (!accept(context, wanted, &placed.total_cents, &result)) {
            return result;
        }
        placed.placed_at = wanted->placed_at;
        placed.lines_count = wanted->lines_count;
        memcpy(placed.lines, wanted->lines, wanted->lines_count * sizeof *wanted->lines);
        copy_text(label_value(wanted, "gift"), placed.gift);
        copy_text(payer_of(wanted), placed.payer);
        snprintf(placed.placed_by, sizeof placed.placed_by, "%s", key);
        if (!save(context, order, &placed)) {
            return fabric_defect(context, "the record is not saved");
        }
    }
    show(order, (order_contents_t *)reply);
    return FABRIC_REPLY;
}

/* The bank knows the payment of a message that was delivered before, by its key, also where the
 * worker has died before it saved the record. */
static fabric_result_t charge(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    order_t *order = (order_t *)state;
    order_receipt_t *receipt = (order_receipt_t *)reply;
    const char *key = fabric_context_effect_key(context, "charge");
    order_t paid = *order;
    (void)request; /* Charge carries nothing */
    if (order->status == ORDER_NEW) {
        return fabric_fail_with(context, ORDER_UNKNOWN, NULL);
    }
    if (order->status != ORDER_PAID) {
        switch (order_bank(key, fabric_bytes_of(order->payer), order->total_cents, &paid.payment)) {
        case ORDER_BANK_DECLINED:
            return fabric_fail_with(context, ORDER_DECLINED,
                                    &(order_declined_t){order->total_cents});
        case ORDER_BANK_SILENT:
            return fabric_defect(context, "the bank does not answer"); /* and is asked again */
        case ORDER_BANK_PAID:
            break;
        }
        paid.status = ORDER_PAID;
        snprintf(paid.paid_by, sizeof paid.paid_by, "%s", key);
        if (!save(context, order, &paid)) {
            return fabric_defect(context, "the record is not saved");
        }
    }
    receipt->payment = order->payment;
    receipt->already_paid = strcmp(order->paid_by, key) != 0;
    return FABRIC_REPLY;
}

static fabric_result_t get(fabric_context_t *context, void *state, const void *request, void *reply)
{
    const order_t *order = (const order_t *)state;
    (void)request; /* Get carries nothing */
    if (order->status == ORDER_NEW) {
        return fabric_fail_with(context, ORDER_UNKNOWN, NULL);
    }
    show(order, (order_contents_t *)reply);
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&order_place, place}, {&order_get, get}, {&order_charge, charge}};

static const fabric_entity_type_t order_type = {
    .name = "Order",
    .state_size = sizeof(order_t),
    .build = load,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    /* An order that a broken handler cannot place waits for people: fabricctl entity resume. */
    .on_failure = FABRIC_PARK,
};

FABRIC_MODULE(&order_type);
