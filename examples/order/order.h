/* The messages of the Order entity, shared by the entity and its clients. They use fields of most
 * kinds. */
#ifndef ORDER_H
#define ORDER_H

#include <fabric/message_type.h>

typedef enum order_status {
    ORDER_NEW = 0,
    ORDER_PLACED = 1,
    ORDER_CANCELLED = 2,
    ORDER_PAID = 3
} order_status_t;

static const fabric_choice_t order_status_items[] = {
    FABRIC_CHOICE(ORDER_NEW, "NEW", "Nothing was ordered yet."),
    FABRIC_CHOICE(ORDER_PLACED, "PLACED", NULL),
    FABRIC_CHOICE(ORDER_CANCELLED, "CANCELLED", NULL),
    FABRIC_CHOICE(ORDER_PAID, "PAID", "The bank has paid."),
};
static const fabric_choices_t order_statuses = FABRIC_CHOICES("Status", order_status_items);

/* A line of an order. */
typedef struct order_line {
    char sku[33];
    uint32_t quantity;
    int64_t price_cents;
} order_line_t;

static const fabric_field_t order_line_fields[] = {
    FABRIC_STRING(order_line_t, sku, FABRIC_DOC("What is ordered.")),
    FABRIC_U32(order_line_t, quantity),
    FABRIC_I64(order_line_t, price_cents, FABRIC_JSON("priceCents"), FABRIC_DOC("Of one piece.")),
};
static const fabric_schema_t order_line_schema =
    FABRIC_SCHEMA("Line", order_line_t, order_line_fields);

/* How an order is paid: by one of these. */
typedef struct order_card {
    fabric_bytes_t token;
} order_card_t;

typedef struct order_invoice {
    fabric_bytes_t address;
    uint32_t days;
} order_invoice_t;

static const fabric_field_t order_card_fields[] = {FABRIC_STRING_VIEW(order_card_t, token)};
static const fabric_schema_t order_card_schema =
    FABRIC_SCHEMA("Card", order_card_t, order_card_fields);

static const fabric_field_t order_invoice_fields[] = {
    FABRIC_STRING_VIEW(order_invoice_t, address),
    FABRIC_U32(order_invoice_t, days, FABRIC_DEFAULT(30), FABRIC_DOC("Within which it is paid.")),
};
static const fabric_schema_t order_invoice_schema =
    FABRIC_SCHEMA("Invoice", order_invoice_t, order_invoice_fields);

typedef enum order_payment { ORDER_BY_CARD = 1, ORDER_BY_INVOICE = 2 } order_payment_t;

static const fabric_choice_t order_payment_items[] = {
    FABRIC_VARIANT(ORDER_BY_CARD, "card", order_card_schema, NULL),
    FABRIC_VARIANT(ORDER_BY_INVOICE, "invoice", order_invoice_schema, NULL),
};
static const fabric_choices_t order_payments = FABRIC_CHOICES("Payment", order_payment_items);

/* A label: an entry of a map. */
typedef struct order_label {
    fabric_bytes_t key;
    fabric_bytes_t value;
} order_label_t;

static const fabric_field_t order_label_fields[] = {
    FABRIC_STRING_VIEW(order_label_t, key),
    FABRIC_STRING_VIEW(order_label_t, value),
};
static const fabric_schema_t order_label_schema =
    FABRIC_SCHEMA("Label", order_label_t, order_label_fields);

/* Place: orders all lines, once. Durable. */
typedef struct order_place {
    int64_t placed_at;
    const order_line_t *lines;
    uint32_t lines_count;
    order_payment_t payment;
    union {
        order_card_t card;
        order_invoice_t invoice;
    } by;
    const order_label_t *labels;
    uint32_t labels_count;
    bool has_note;
    fabric_bytes_t note;
} order_place_t;

static const fabric_field_t order_place_fields[] = {
    FABRIC_TIMESTAMP(order_place_t, placed_at, FABRIC_JSON("placedAt")),
    FABRIC_LIST_VIEW(order_place_t, lines, lines_count, order_line_schema),
    FABRIC_UNION(order_place_t, by, payment, order_payments, FABRIC_JSON("payment")),
    FABRIC_MAP_VIEW(order_place_t, labels, labels_count, order_label_schema,
                    FABRIC_DOC("Anything by its name; \"gift\" is printed on the parcel.")),
    FABRIC_STRING_VIEW(order_place_t, note, FABRIC_PRESENT(order_place_t, has_note)),
};
static const fabric_schema_t order_place_schema =
    FABRIC_SCHEMA("Place", order_place_t, order_place_fields);

/* The reply of Place and Get. */
typedef struct order_contents {
    order_status_t status;
    int64_t placed_at;
    int64_t total_cents;
    const order_line_t *lines;
    uint32_t lines_count;
    fabric_bytes_t gift;
    bool has_payment;
    uint64_t payment; /* the bank's number of it */
} order_contents_t;

static const fabric_field_t order_contents_fields[] = {
    FABRIC_ENUM(order_contents_t, status, order_statuses),
    FABRIC_TIMESTAMP(order_contents_t, placed_at, FABRIC_JSON("placedAt")),
    FABRIC_I64(order_contents_t, total_cents, FABRIC_JSON("totalCents")),
    FABRIC_LIST_VIEW(order_contents_t, lines, lines_count, order_line_schema),
    FABRIC_STRING_VIEW(order_contents_t, gift, FABRIC_DEFAULT_STRING("")),
    FABRIC_U64(order_contents_t, payment, FABRIC_PRESENT(order_contents_t, has_payment)),
};
static const fabric_schema_t order_contents_schema =
    FABRIC_SCHEMA("Contents", order_contents_t, order_contents_fields);

/* The failures of Place, which a caller may want to act on: their numbers and values. */
typedef enum order_place_failure {
    ORDER_PLACED_BEFORE = 1,
    ORDER_INSUFFICIENT_FUNDS = 5
} order_place_failure_t;

typedef struct order_placed_before {
    int64_t placed_at;
} order_placed_before_t;

typedef struct order_insufficient_funds {
    int64_t balance_cents;
    int64_t requested_cents;
} order_insufficient_funds_t;

static const fabric_field_t order_placed_before_fields[] = {
    FABRIC_TIMESTAMP(order_placed_before_t, placed_at, FABRIC_JSON("placedAt")),
};
static const fabric_schema_t order_placed_before_schema =
    FABRIC_SCHEMA("PlacedBefore", order_placed_before_t, order_placed_before_fields);

static const fabric_field_t order_insufficient_funds_fields[] = {
    FABRIC_I64(order_insufficient_funds_t, balance_cents, FABRIC_JSON("balanceCents")),
    FABRIC_I64(order_insufficient_funds_t, requested_cents, FABRIC_JSON("requestedCents")),
};
static const fabric_schema_t order_insufficient_funds_schema =
    FABRIC_SCHEMA("InsufficientFunds", order_insufficient_funds_t, order_insufficient_funds_fields);

static const fabric_choice_t order_place_failure_items[] = {
    FABRIC_VARIANT(ORDER_PLACED_BEFORE, "PlacedBefore", order_placed_before_schema, NULL),
    FABRIC_VARIANT(ORDER_INSUFFICIENT_FUNDS, "InsufficientFunds", order_insufficient_funds_schema,
                   "The order is larger than what an invoice is granted for."),
};
static const fabric_choices_t order_place_failures =
    FABRIC_CHOICES("PlaceFailure", order_place_failure_items);

static const fabric_message_type_t order_place = {
    .tag = "Place",
    .request = &order_place_schema,
    .reply = &order_contents_schema,
    .durable = true,
    .failures = &order_place_failures,
};

/* The failures of Get and Charge. */
typedef enum order_failure { ORDER_UNKNOWN = 6, ORDER_DECLINED = 7 } order_failure_t;

typedef struct order_declined {
    int64_t cents;
} order_declined_t;

static const fabric_field_t order_declined_fields[] = {FABRIC_I64(order_declined_t, cents)};
static const fabric_schema_t order_declined_schema =
    FABRIC_SCHEMA("Declined", order_declined_t, order_declined_fields);

static const fabric_choice_t order_failure_items[] = {
    FABRIC_VARIANT(ORDER_UNKNOWN, "OrderNotFound", fabric_schema_empty, "It was never placed."),
    FABRIC_VARIANT(ORDER_DECLINED, "PaymentDeclined", order_declined_schema, "By the bank."),
};
static const fabric_choices_t order_failures = FABRIC_CHOICES("OrderFailure", order_failure_items);

/* Get: answers what was ordered. Durable, so that it comes after a Place sent before it. */
static const fabric_message_type_t order_get = {
    .tag = "Get",
    .request = &fabric_schema_empty,
    .reply = &order_contents_schema,
    .durable = true,
    .failures = &order_failures,
};

/* Charge: has the bank take the total from whoever pays the order, once. Durable. A further Charge
 * answers the payment that there is. */
typedef struct order_receipt {
    uint64_t payment;
    bool already_paid;
} order_receipt_t;

static const fabric_field_t order_receipt_fields[] = {
    FABRIC_U64(order_receipt_t, payment),
    FABRIC_BOOL(order_receipt_t, already_paid, FABRIC_JSON("alreadyPaid")),
};
static const fabric_schema_t order_receipt_schema =
    FABRIC_SCHEMA("Receipt", order_receipt_t, order_receipt_fields);

static const fabric_message_type_t order_charge = {
    .tag = "Charge",
    .request = &fabric_schema_empty,
    .reply = &order_receipt_schema,
    .durable = true,
    .failures = &order_failures,
};

#endif
